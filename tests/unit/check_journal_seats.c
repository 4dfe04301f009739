/* What the walk over a journal adds up: slots and overage numbers of leases, and
 * of borrows and their tickets. */
#include "tests/unit/journal_walker.h"

static struct row
typed(struct row row, uint32_t type)
{
	row.u.lease_granted.type = type;
	return row;
}

START_TEST(overage_numbers_have_no_gaps)
{
	static const struct {
		uint64_t license;
		uint64_t overage;
		const char *error; /* NULL: none */
	} cases[] = {
		{ 1, 4, NULL },
		{ 2, 2, NULL },
		{ 3, 1, NULL },
		{ 1, 5,
		    "batch 18: row 24: overage seat 5 of license 1 follows "
		    "number 3" },
		{ 1, 3,
		    "batch 18: row 24: overage seat 3 of license 1 follows "
		    "number 3" },
		{ 2, 4,
		    "batch 18: row 24: overage seat 4 of license 2 follows "
		    "number 1" },
		{ JOURNAL_WALK_LICENSES, 2,
		    "batch 18: row 24: overage seat 2 of license 4096 "
		    "follows number 0" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct maker *maker = maker_with_past(4);

		maker_commit(maker);
		add(maker, maker_grant(60, cases[i].license, cases[i].overage));
		maker_commit(maker);
		ck_assert_int_eq(walk_all(maker),
		    cases[i].error == NULL ? 0 : ERR_CORRUPT);
		ck_assert_str_eq(error,
		    cases[i].error == NULL ? "" : cases[i].error);
		maker_release(maker);
	}
}
END_TEST

START_TEST(what_is_not_followed_is_counted)
{
	struct maker *maker = maker_with_past(5);

	add(maker, maker_grant(60, JOURNAL_WALK_LICENSES + 1, 1));
	add(maker, maker_grant(61, JOURNAL_WALK_LICENSES + 1, 5));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	ck_assert_uint_eq(walk->overage_unchecked, 2);
	maker_release(maker);
}
END_TEST

START_TEST(a_seat_is_overage_or_it_is_not)
{
	struct maker *maker = maker_with_past(6);

	add(maker, typed(maker_grant(60, 1, 0), SEAT_OVERAGE));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error,
	    "batch 17: row 24: its seats do not add up: a overage lease of 1, "
	    "0 overage from number 0");
	maker_release(maker);
	maker = maker_with_past(6);
	add(maker, typed(maker_grant(60, 1, 4), SEAT_COMMIT));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error,
	    "batch 17: row 24: its seats do not add up: a commit lease of 1, "
	    "1 overage from number 4");
	maker_release(maker);
}
END_TEST

static struct row
many(uint64_t lease, uint64_t overage, uint32_t overage_count,
    struct row_slots *slots, uint32_t n, uint32_t count)
{
	struct row row = maker_grant(lease, 1, overage);

	row.u.lease_granted.slots = (struct record_list){ slots, n };
	row.u.lease_granted.count = count;
	row.u.lease_granted.overage_count = overage_count;
	return row;
}

START_TEST(a_lease_of_many_seats_uses_as_many_overage_numbers)
{
	struct row_slots slots[] = { { 3, 2 }, { 7, 3 } };

	for (uint64_t next = 6; next <= 8; next++) {
		struct maker *maker = maker_with_past(6);

		/* 4, 5 and 6 of license 1. */
		add(maker, many(60, 4, 3, slots, 2, 5));
		add(maker, maker_grant(61, 1, next));
		maker_commit(maker);
		ck_assert_int_eq(walk_all(maker), next == 7 ? 0 : ERR_CORRUPT);
		maker_release(maker);
	}
}
END_TEST

START_TEST(slots_of_a_lease_add_up)
{
	static struct row_slots twice[] = { { 3, 2 }, { 4, 3 } },
				down[] = { { 7, 3 }, { 3, 2 } },
				touch[] = { { 3, 2 }, { 5, 3 } },
				far[] = { { UINT32_MAX, 2 }, { 0, 3 } },
				good[] = { { 3, 2 }, { 6, 3 } };
	static const struct {
		struct row_slots *slots;
		uint32_t count;
		uint32_t overage_count;
		int err;
	} cases[] = {
		{ good, 5, 3, 0 },
		{ twice, 5, 3, ERR_CORRUPT },
		{ down, 5, 3, ERR_CORRUPT },
		{ touch, 5, 3, ERR_CORRUPT },
		{ far, 5, 3, ERR_CORRUPT },
		{ good, 4, 3, ERR_CORRUPT },
		{ good, 6, 3, ERR_CORRUPT },
		{ good, 5, 6, ERR_CORRUPT },
		{ good, 5, 0, ERR_CORRUPT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct maker *maker = maker_with_past(6);

		add(maker,
		    many(60, 4, cases[i].overage_count, cases[i].slots, 2,
			cases[i].count));
		maker_commit(maker);
		ck_assert_int_eq(walk_all(maker), cases[i].err);
		maker_release(maker);
	}
}
END_TEST

/* Five seats, two of them overage numbers 4 and 5 of license 1. */
static struct row_slots lent_slots[] = { { 3, 2 }, { 7, 3 } };

static struct row
lend(enum row_kind kind, uint32_t why)
{
	struct row granted = many(60, 4, 2, lent_slots, 2, 5);
	struct row row = { .kind = kind };
	struct row_borrowed *r = &row.u.borrowed;

	r->grant = granted.u.lease_granted;
	r->grant.ttl_s = BORROW_PROVE_MAX_S;
	r->grant.grace_s = 0;
	r->ticket = (struct row_ticket){
		.why = why,
		.epoch = 1,
		.class_ = PROOF_TPM,
		.public_key = { "key", 3 },
		.length_s = 60,
		.from = MAKER_TIME,
		.until = MAKER_TIME + 60000,
	};
	return row;
}

static struct row
give_up(enum borrow_end reason, int64_t until, uint64_t overage, uint32_t n)
{
	struct row row = { .kind = ROW_BORROW_ENDED };

	row.u.borrow_ended = (struct row_borrow_ended){
		.lease = 60,
		.license = 1,
		.device = 1,
		.count = 5,
		.reason = reason,
		.epoch = 1,
		.until = until,
		.overage = overage,
		.overage_count = n,
	};
	return row;
}

static int
walk_row(struct row row)
{
	struct maker *maker = maker_with_past(6);

	add(maker, row);
	maker_commit(maker);
	int err = walk_all(maker);

	maker_release(maker);
	return err;
}

/* A borrow bills once; what is lent anew, and what is given up, no seat twice.
 */
START_TEST(overage_of_a_borrow_has_its_numbers_once)
{
	struct maker *maker = maker_with_past(6);
	struct row ended = give_up(BORROW_WRITTEN_OFF, MAKER_TIME * 2, 6, 3);

	add(maker, lend(ROW_BORROWED, TICKET_TAKEN));
	add(maker, lend(ROW_BORROW_REISSUED, TICKET_EXTENDED));
	ended.u.borrow_ended.slots = (struct record_list){ lent_slots, 2 };
	add(maker, ended);
	add(maker, maker_grant(61, 1, 9));
	maker_commit(maker);
	ck_assert_msg(walk_all(maker) == 0, "%s", error);
	ck_assert_uint_eq(walk->overage[0], 9);
	ck_assert_uint_eq(walk->totals.ends, 3);
	maker_release(maker);
	/* Numbers that somebody has already. */
	struct row row = lend(ROW_BORROWED, TICKET_TAKEN);

	row.u.borrowed.grant.overage = 3;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	ended.u.borrow_ended.overage = 3;
	ck_assert_int_eq(walk_row(ended), ERR_CORRUPT);
}
END_TEST

START_TEST(tickets_add_up)
{
	struct row row = lend(ROW_BORROWED, TICKET_TAKEN);

	ck_assert_int_eq(walk_row(row), 0);
	row.u.borrowed.ticket.until++;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row = lend(ROW_BORROWED, TICKET_TAKEN);
	row.u.borrowed.grant.grace_s = 1;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row = lend(ROW_BORROW_REISSUED, TICKET_REPLACED);
	ck_assert_int_eq(walk_row(row), 0);
	row.u.borrowed.grant.count = 6;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	/* A first one that takes no seats, a second that takes them again. */
	ck_assert_int_eq(walk_row(lend(ROW_BORROWED, TICKET_EXTENDED)),
	    ERR_CORRUPT);
	ck_assert_int_eq(walk_row(lend(ROW_BORROW_REISSUED, TICKET_TAKEN)),
	    ERR_CORRUPT);
}
END_TEST

START_TEST(the_end_of_a_borrow_adds_up)
{
	struct row row = give_up(BORROW_WRITTEN_OFF, MAKER_TIME * 2, 4, 2);

	ck_assert_int_eq(walk_row(give_up(BORROW_RETURNED, 0, 0, 0)), 0);
	ck_assert_int_eq(walk_row(give_up(BORROW_RAN_OUT, 0, 0, 0)), 0);
	ck_assert_int_eq(walk_row(give_up(BORROW_REVOKED, 0, 0, 0)), 0);
	ck_assert_int_eq(walk_row(give_up(BORROW_REVOKED, 5, 0, 0)), 0);
	/* What came back keeps no seat; who bills seats says which. */
	ck_assert_int_eq(walk_row(give_up(BORROW_RETURNED, 5, 0, 0)),
	    ERR_CORRUPT);
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row.u.borrow_ended.slots = (struct record_list){ lent_slots, 2 };
	ck_assert_int_eq(walk_row(row), 0);
	row.u.borrow_ended.count = 4;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row.u.borrow_ended.count = 5;
	row.u.borrow_ended.until = 0;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row.u.borrow_ended.until = 5;
	row.u.borrow_ended.reason = BORROW_RETURNED;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row.u.borrow_ended.reason = BORROW_WRITTEN_OFF;
	row.u.borrow_ended.overage_count = 6;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	row.u.borrow_ended.overage_count = 0;
	ck_assert_int_eq(walk_row(row), ERR_CORRUPT);
	ck_assert_int_eq(walk_row(give_up(BORROW_REVOKED, 5, 4, 0)),
	    ERR_CORRUPT);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("journal seats");
	TCase *tc = tcase_create("journal seats");

	tcase_add_checked_fixture(tc, walk_make, walk_free);
	tcase_add_test(tc, overage_numbers_have_no_gaps);
	tcase_add_test(tc, what_is_not_followed_is_counted);
	tcase_add_test(tc, a_seat_is_overage_or_it_is_not);
	tcase_add_test(tc, a_lease_of_many_seats_uses_as_many_overage_numbers);
	tcase_add_test(tc, slots_of_a_lease_add_up);
	tcase_add_test(tc, overage_of_a_borrow_has_its_numbers_once);
	tcase_add_test(tc, tickets_add_up);
	tcase_add_test(tc, the_end_of_a_borrow_adds_up);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
