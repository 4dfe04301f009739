/* The walk over a whole journal: an honest one passes, and every dishonest one
 * is stopped at its batch, in words. Headers are bent before they are signed:
 * what is tested is a site that lies under its own signature. */
#include "shared/base/err.h"
#include "tests/unit/journal_maker.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

static struct journal_walk *walk;
static char error[256];

static void
walk_make(void)
{
	walk = malloc(sizeof(*walk));
	ck_assert_ptr_nonnull(walk);
}

static void
walk_free(void)
{
	free(walk);
}

static int
walk_batch(const struct maker *maker, uint64_t i)
{
	return journal_walk_batch(walk, maker->blobs[i].data,
	    maker->blobs[i].len, NULL, NULL, error, sizeof(error));
}

/* Walks up to the last batch, which is the one in question. */
static int
walk_all(const struct maker *maker)
{
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i + 1 < maker->n; i++)
		ck_assert_msg(walk_batch(maker, i) == 0, "%s", error);
	return walk_batch(maker, maker->n - 1);
}

static void
add(struct maker *maker, struct row row)
{
	maker_add(maker, &row);
}

/* Batches 1 to 17, seventeen being open; license 1 has two overage checkouts,
 * license 2 has one. */
static struct maker *
maker_with_past(uint8_t seed)
{
	struct maker *maker = maker_new(seed);

	for (uint64_t i = 1; i < 17; i++) {
		add(maker, maker_grant(i, 1, 0));
		if (i == 5 || i == 9)
			add(maker, maker_grant(100 + i, 1, i / 4));
		if (i == 7)
			add(maker, maker_grant(100 + i, 2, 1));
		if (i == 10)
			add(maker, maker_end(3, 1));
		maker_commit(maker);
	}
	add(maker, maker_grant(17, 1, 3));
	add(maker, maker_end(5, 1));
	return maker;
}

START_TEST(an_honest_journal_passes)
{
	struct maker *maker = maker_with_past(1);

	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	ck_assert_str_eq(error, "");
	ck_assert_uint_eq(walk->next_batch, 18);
	ck_assert_uint_eq(walk->next_row, maker->next.first_row);
	ck_assert_uint_eq(walk->totals.grants, 20);
	ck_assert_uint_eq(walk->totals.ends, 2);
	ck_assert_uint_eq(walk->totals.overage, 4);
	ck_assert_uint_eq(walk->overage[0], 3);
	ck_assert_uint_eq(walk->overage[1], 1);
	ck_assert_mem_eq(walk->head, maker->heads[17], 32);
	ck_assert_str_eq(walk->tenant, "default");
	maker_release(maker);
}
END_TEST

static void
bend_root(struct journal_header *h)
{
	h->root[3] ^= 1;
}
static void
bend_history(struct journal_header *h)
{
	h->history[0] ^= 1;
}
static void
bend_batch(struct journal_header *h)
{
	h->batch++;
}
static void
bend_first_row(struct journal_header *h)
{
	h->first_row++;
}
static void
bend_rows(struct journal_header *h)
{
	h->rows++;
}
static void
bend_time(struct journal_header *h)
{
	h->time -= 1001;
}
static void
bend_site(struct journal_header *h)
{
	h->site[0] = 'S';
}
static void
bend_tenant(struct journal_header *h)
{
	h->tenant[0] = 'D';
}
static void
bend_grants(struct journal_header *h)
{
	h->totals.grants--;
}
static void
bend_ends(struct journal_header *h)
{
	h->totals.ends++;
}
static void
bend_overage(struct journal_header *h)
{
	h->totals.overage--;
}

static const struct {
	void (*bend)(struct journal_header *header);
	int err;
	const char *error;
} bends[] = {
	{ bend_root, ERR_CORRUPT, "batch 17: root does not match its rows" },
	{ bend_history, ERR_FORK,
	    "batch 17: history does not match the batches before" },
	{ bend_batch, ERR_CORRUPT, "batch 17: its header is that of batch 18" },
	{ bend_first_row, ERR_CORRUPT,
	    "batch 17: its rows begin at 23, not at 22" },
	{ bend_rows, ERR_CORRUPT, "batch 17: holds 2 rows, its header says 3" },
	{ bend_time, ERR_CORRUPT, "batch 17: its time goes back" },
	{ bend_site, ERR_CORRUPT,
	    "batch 17: is of site Site-test and tenant default, not of "
	    "site-test and default" },
	{ bend_tenant, ERR_CORRUPT,
	    "batch 17: is of site site-test and tenant Default, not of "
	    "site-test and default" },
	{ bend_grants, ERR_CORRUPT, "batch 17: totals do not match the rows" },
	{ bend_ends, ERR_CORRUPT, "batch 17: totals do not match the rows" },
	{ bend_overage, ERR_CORRUPT, "batch 17: totals do not match the rows" },
};

START_TEST(a_header_that_lies_is_named)
{
	struct maker *maker = maker_with_past(2);

	maker_commit_bent(maker, bends[_i].bend);
	ck_assert_int_eq(walk_all(maker), bends[_i].err);
	ck_assert_str_eq(error, bends[_i].error);
	ck_assert_uint_eq(walk->next_batch, 17);
	maker_release(maker);
}
END_TEST

static void
bend_generation_down(struct journal_header *h)
{
	h->generation = 0;
}
static void
bend_generation_up(struct journal_header *h)
{
	h->generation = 2;
}
static void
bend_generation_far(struct journal_header *h)
{
	h->generation = 3;
}

/* As maker_with_past, of the first generation. */
static struct maker *
maker_of_first(void)
{
	struct maker *maker = maker_new(3);

	maker->next.generation = 1;
	add(maker, maker_grant(1, 1, 1));
	return maker;
}

static struct row
begin_generation(uint32_t generation, uint32_t lost, uint64_t counter)
{
	struct row row = { .kind = ROW_GENERATION };

	row.u.generation = (struct row_generation){
		.generation = generation,
		.lost = { .generation = lost },
		.counter = counter,
		.next_lease = 1000000001,
		.next_device = 1000001,
		.by = { ACTOR_ADMIN, 1 },
	};
	return row;
}

static struct row
tick(uint64_t counter)
{
	struct row row = { .kind = ROW_TICK };

	row.u.tick.counter = counter;
	return row;
}

/* It goes up by one, or above what was lost, in a batch that says so, and
 * nowhere else. */
START_TEST(a_generation_begins_with_its_row)
{
	static const struct {
		uint32_t row; /* 0: none */
		uint32_t lost;
		void (*bend)(struct journal_header *);
		const char *error; /* NULL: none */
	} cases[] = {
		{ 0, 0, NULL, NULL },
		{ 2, 0, bend_generation_up, NULL },
		{ 2, 1, bend_generation_up, NULL },
		{ 3, 2, bend_generation_far, NULL },
		{ 0, 0, bend_generation_up,
		    "batch 2: is of generation 2, and no row begins it" },
		{ 2, 0, NULL,
		    "batch 2: row 4: generation 2 begins in a batch of "
		    "generation 1" },
		{ 3, 0, bend_generation_up,
		    "batch 2: row 4: generation 3 begins in a batch of "
		    "generation 2" },
		{ 3, 1, bend_generation_far,
		    "batch 2: row 4: generation 3 follows generation 1, with 1 "
		    "lost" },
		{ 2, 2, bend_generation_up,
		    "batch 2: row 4: generation 2 follows generation 1, with 2 "
		    "lost" },
		{ 0, 0, bend_generation_down,
		    "batch 2: its generation goes back" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct maker *maker = maker_of_first();

		maker_commit(maker);
		add(maker, tick(5));
		if (cases[i].row != 0)
			add(maker,
			    begin_generation(cases[i].row, cases[i].lost, 7));
		maker_commit_bent(maker, cases[i].bend);
		ck_assert_int_eq(walk_all(maker),
		    cases[i].error == NULL ? 0 : ERR_CORRUPT);
		ck_assert_str_eq(error,
		    cases[i].error == NULL ? "" : cases[i].error);
		maker_release(maker);
	}
}
END_TEST

START_TEST(a_batch_begins_one_generation)
{
	struct maker *maker = maker_of_first();

	maker_commit(maker);
	add(maker, begin_generation(2, 0, 7));
	add(maker, begin_generation(2, 0, 8));
	maker_commit_bent(maker, bend_generation_up);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error,
	    "batch 2: row 4: generation 2 begins in a batch of generation 2");
	maker_release(maker);
}
END_TEST

/* Only where a generation begins may the site's counter go back. */
START_TEST(ticks_go_up)
{
	struct maker *maker = maker_of_first();

	add(maker, tick(5));
	maker_commit(maker);
	add(maker, tick(9));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	ck_assert_uint_eq(walk->tick, 9);
	add(maker, begin_generation(2, 0, 3));
	maker->next.generation = 2;
	maker_commit(maker);
	add(maker, tick(4));
	maker_commit(maker);
	ck_assert_msg(walk_all(maker) == 0, "%s", error);
	add(maker, tick(4));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error,
	    "batch 5: row 7: the site's counter was at 4, and is to reach 4");
	maker_release(maker);
}
END_TEST

/* A lease of a lost branch, with one seat above the committed ones. */
static struct row
adopt(uint64_t lease, uint64_t overage, struct buf *bytes)
{
	static struct row_slots slots = { 7, 1 };
	struct row granted = maker_grant(lease, 1, 4);
	struct row row = { .kind = ROW_LEASE_ADOPTED };

	buf_clear(bytes);
	row_write(bytes, &granted);
	row.u.lease_adopted = (struct row_lease_adopted){
		.lease = lease,
		.license = 1,
		.device = 1,
		.count = 1,
		.slots = { &slots, 1 },
		.type = SEAT_OVERAGE,
		.overage = overage,
		.overage_count = 1,
		.origin = { 1, 1, { 1 }, 9 },
		.row = { bytes->data, (uint32_t)bytes->len },
	};
	return row;
}

/* Its overage seat is billed here, once, by the next number. */
START_TEST(an_adopted_lease_is_counted_as_a_grant)
{
	struct maker *maker = maker_of_first();
	struct buf bytes = { 0 };

	maker_commit(maker);
	add(maker, begin_generation(2, 0, 7));
	add(maker, adopt(50, 2, &bytes));
	maker_commit_bent(maker, bend_generation_up);
	ck_assert_msg(walk_all(maker) == 0, "%s", error);
	ck_assert_uint_eq(walk->totals.grants, 2);
	ck_assert_uint_eq(walk->totals.overage, 2);
	maker_release(maker);

	maker = maker_of_first();
	maker_commit(maker);
	add(maker, begin_generation(2, 0, 7));
	add(maker, adopt(50, 4, &bytes));
	maker_commit_bent(maker, bend_generation_up);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error,
	    "batch 2: row 4: overage seat 4 of license 1 follows number 1");
	maker_release(maker);

	/* What it carries is the grant of that lease. */
	maker = maker_of_first();
	maker_commit(maker);
	struct row row = adopt(50, 2, &bytes);

	row.u.lease_adopted.lease = 51;
	add(maker, row);
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error,
	    "batch 2: row 3: adopts what is no grant of that lease");
	maker_release(maker);
	buf_release(&bytes);
}
END_TEST

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

START_TEST(a_journal_has_one_genesis_and_it_is_first)
{
	struct maker *maker = maker_with_past(7);
	struct row genesis = { .kind = ROW_GENESIS };

	text_copy(genesis.u.genesis.site, sizeof(genesis.u.genesis.site),
	    "site-test");
	text_copy(genesis.u.genesis.tenant, sizeof(genesis.u.genesis.tenant),
	    "default");
	memcpy(genesis.u.genesis.site_key, maker->secret + 32, 32);
	genesis.u.genesis.format = 1;
	add(maker, genesis);
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 17: row 24: a second genesis");
	maker_release(maker);

	/* Batch 0 again, without and with the wrong one. */
	maker = maker_new(7);
	maker->n = 0;
	maker->next.first_row = 1;
	buf_clear(&maker->blobs[0]);
	add(maker, maker_grant(1, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 0: does not begin with a genesis");
	for (int i = 0; i < 3; i++) {
		maker_release(maker);
		maker = maker_new(7);
		maker->n = 0;
		maker->next.first_row = 1;
		buf_clear(&maker->blobs[0]);
		struct row other = genesis;

		if (i == 0)
			other.u.genesis.site[0] = 'x';
		else if (i == 1)
			other.u.genesis.tenant[0] = 'x';
		else
			other.u.genesis.site_key[0] ^= 1;
		add(maker, other);
		maker_commit(maker);
		ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
		ck_assert_str_eq(error,
		    "batch 0: its genesis is of another site, tenant or key");
	}
	maker_release(maker);
}
END_TEST

START_TEST(time_goes_back_only_where_a_correction_stands)
{
	struct maker *maker = maker_with_past(8);
	struct row row = { .kind = ROW_CLOCK };

	row.u.clock.event = CLOCK_CORRECTED;
	row.u.clock.held = maker->next.time;
	row.u.clock.wall = maker->next.time - 5000;
	add(maker, row);
	maker_commit(maker);
	/* To the very time of the row, and from there on. */
	maker->next.time = row.u.clock.wall;
	add(maker, maker_grant(60, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	maker->next.time = row.u.clock.wall - 1;
	add(maker, maker_grant(61, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 19: its time goes back");
	maker_release(maker);
}
END_TEST

/* A batch of this row, and one that is a second earlier. */
static int
walk_back_after(struct row row)
{
	struct maker *maker = maker_with_past(15);

	maker_commit(maker);
	add(maker, row);
	maker_commit(maker);
	maker->next.time -= 2000;
	add(maker, maker_grant(62, 1, 0));
	maker_commit(maker);
	int err = walk_all(maker);

	maker_release(maker);
	return err;
}

START_TEST(no_other_row_turns_time_back)
{
	struct row row = { .kind = ROW_CLOCK };

	row.u.clock.held = MAKER_TIME;
	row.u.clock.wall = MAKER_TIME;
	row.u.clock.event = CLOCK_CORRECTED;
	ck_assert_int_eq(walk_back_after(row), 0);
	row.u.clock.event = CLOCK_CONFIRMED;
	ck_assert_int_eq(walk_back_after(row), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 19: its time goes back");
	/* One whose numbers look like those of a correction. */
	ck_assert_int_eq(walk_back_after(maker_end(CLOCK_CORRECTED, 1)),
	    ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 19: its time goes back");
}
END_TEST

START_TEST(a_correction_forward_binds_no_later_batch)
{
	struct maker *maker = maker_with_past(16);
	struct row row = { .kind = ROW_CLOCK };

	row.u.clock.event = CLOCK_CORRECTED;
	row.u.clock.held = maker->next.time;
	row.u.clock.wall = maker->next.time + 60000;
	add(maker, row);
	maker_commit(maker);
	add(maker, maker_grant(63, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	maker_release(maker);
}
END_TEST

START_TEST(a_row_that_cannot_be_read_is_named)
{
	struct maker *maker = maker_with_past(17);

	/* An array whose second element is nothing of MessagePack. */
	buf_add(&maker->rows[maker->n_rows++], "\x93\x01\xc1\xc1", 4);
	maker_commit(maker);
	snprintf(error, sizeof(error), "words of before");
	ck_assert_int_ne(walk_all(maker), 0);
	ck_assert_ptr_nonnull(strstr(error, "batch 17: row 24: "));
	/* Of those before it nothing is said. */
	journal_walk_init(walk, maker->secret + 32);
	snprintf(error, sizeof(error), "words of before");
	ck_assert_int_eq(walk_batch(maker, 0), 0);
	ck_assert_str_eq(error, "");
	maker_release(maker);
}
END_TEST

START_TEST(a_batch_left_out_or_put_elsewhere_is_noticed)
{
	struct maker *maker = maker_with_past(9);

	maker_commit(maker);
	journal_walk_init(walk, maker->secret + 32);
	ck_assert_int_eq(walk_batch(maker, 1), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 0: its header is that of batch 1");
	journal_walk_init(walk, maker->secret + 32);
	ck_assert_int_eq(walk_batch(maker, 0), 0);
	ck_assert_int_eq(walk_batch(maker, 2), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 1: its header is that of batch 2");
	maker_release(maker);
}
END_TEST

START_TEST(any_altered_byte_of_a_batch_is_noticed)
{
	struct maker *maker = maker_new(10);
	size_t n;

	add(maker, maker_grant(1, 1, 0));
	add(maker, maker_grant(2, 1, 1));
	maker_commit(maker);
	uint8_t *blob = maker->blobs[1].data;

	n = maker->blobs[1].len;
	for (size_t i = 0; i < n; i++) {
		blob[i] ^= 0x20;
		ck_assert_int_ne(walk_all(maker), 0);
		ck_assert_int_eq(strncmp(error, "batch 1: ", 9), 0);
		blob[i] ^= 0x20;
	}
	for (maker->blobs[1].len = 0; maker->blobs[1].len < n;
	     maker->blobs[1].len++)
		ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_int_eq(walk_all(maker), 0);
	maker_release(maker);
}
END_TEST

START_TEST(rows_of_another_batch_do_not_fit)
{
	struct maker *maker = maker_new(11);
	struct journal_batch batch[2];
	struct arena arena = { 0 };

	for (int i = 0; i < 2; i++) {
		add(maker, maker_grant((uint64_t)i + 1, 1, 0));
		maker_commit(maker);
		ck_assert_int_eq(record_read_msgpack(&batch[i],
				     &journal_batch_record,
				     maker->blobs[i + 1].data,
				     maker->blobs[i + 1].len, NULL, &arena,
				     NULL),
		    0);
	}
	struct buf mixed = { 0 };

	batch[1].rows = batch[0].rows;
	record_write_msgpack(&mixed, &journal_batch_record, &batch[1]);
	buf_clear(&maker->blobs[2]);
	buf_add(&maker->blobs[2], mixed.data, mixed.len);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 2: root does not match its rows");
	buf_release(&mixed);
	arena_release(&arena);
	maker_release(maker);
}
END_TEST

START_TEST(another_sites_journal_is_untrusted)
{
	struct maker *maker = maker_with_past(12);
	uint8_t key[32] = { 1 };

	journal_walk_init(walk, key);
	ck_assert_int_eq(walk_batch(maker, 0), ERR_UNTRUSTED);
	ck_assert_str_eq(error, "batch 0: header: not signed by a trusted key");
	maker_release(maker);
}
END_TEST

struct seen {
	uint64_t rows;
	uint64_t stop_at;
};

static int
see(void *ctx, const struct row *row, int64_t time)
{
	struct seen *seen = ctx;

	ck_assert_uint_eq(row->number, ++seen->rows);
	ck_assert_int_ge(time, MAKER_TIME);
	return row->number == seen->stop_at ? 42 : 0;
}

START_TEST(every_row_is_shown_and_may_end_the_walk)
{
	struct maker *maker = maker_with_past(13);
	struct seen seen = { 0, 0 };

	maker_commit(maker);
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i < maker->n; i++)
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[i].data,
				     maker->blobs[i].len, see, &seen, error,
				     sizeof(error)),
		    0);
	ck_assert_uint_eq(seen.rows, 23);
	seen = (struct seen){ 0, 3 };
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[i].data,
				     maker->blobs[i].len, see, &seen, error,
				     sizeof(error)),
		    i < 2 ? 0 : 42);
	ck_assert_str_eq(error, "");
	maker_release(maker);
	/* Who looks on does not make a bad row a good one. */
	maker = maker_with_past(18);
	add(maker, maker_grant(64, 1, 9));
	maker_commit(maker);
	seen = (struct seen){ 0, 0 };
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i < maker->n; i++)
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[i].data,
				     maker->blobs[i].len, see, &seen, error,
				     sizeof(error)),
		    i + 1 < maker->n ? 0 : ERR_CORRUPT);
	ck_assert_uint_eq(seen.rows, 23);
	maker_release(maker);
}
END_TEST

START_TEST(a_short_buffer_for_words_is_enough)
{
	struct maker *maker = maker_with_past(14);
	char small[12];

	maker_commit_bent(maker, bend_root);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	for (size_t size = 0; size <= sizeof(small); size++) {
		memset(small, 'x', sizeof(small));
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[17].data,
				     maker->blobs[17].len, NULL, NULL, small,
				     size),
		    ERR_CORRUPT);
		if (size != 0)
			ck_assert_uint_lt(strnlen(small, size), size);
		for (size_t i = size; i < sizeof(small); i++)
			ck_assert_int_eq(small[i], 'x');
	}
	maker_release(maker);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("journal walk");
	TCase *tc = tcase_create("journal walk");

	tcase_add_checked_fixture(tc, walk_make, walk_free);
	tcase_add_test(tc, an_honest_journal_passes);
	tcase_add_loop_test(tc, a_header_that_lies_is_named, 0,
	    (int)(sizeof(bends) / sizeof(bends[0])));
	tcase_add_test(tc, a_generation_begins_with_its_row);
	tcase_add_test(tc, a_batch_begins_one_generation);
	tcase_add_test(tc, ticks_go_up);
	tcase_add_test(tc, an_adopted_lease_is_counted_as_a_grant);
	tcase_add_test(tc, overage_numbers_have_no_gaps);
	tcase_add_test(tc, what_is_not_followed_is_counted);
	tcase_add_test(tc, a_seat_is_overage_or_it_is_not);
	tcase_add_test(tc, a_lease_of_many_seats_uses_as_many_overage_numbers);
	tcase_add_test(tc, slots_of_a_lease_add_up);
	tcase_add_test(tc, overage_of_a_borrow_has_its_numbers_once);
	tcase_add_test(tc, tickets_add_up);
	tcase_add_test(tc, the_end_of_a_borrow_adds_up);
	tcase_add_test(tc, a_journal_has_one_genesis_and_it_is_first);
	tcase_add_test(tc, time_goes_back_only_where_a_correction_stands);
	tcase_add_test(tc, no_other_row_turns_time_back);
	tcase_add_test(tc, a_correction_forward_binds_no_later_batch);
	tcase_add_test(tc, a_row_that_cannot_be_read_is_named);
	tcase_add_test(tc, a_batch_left_out_or_put_elsewhere_is_noticed);
	tcase_add_test(tc, any_altered_byte_of_a_batch_is_noticed);
	tcase_add_test(tc, rows_of_another_batch_do_not_fit);
	tcase_add_test(tc, another_sites_journal_is_untrusted);
	tcase_add_test(tc, every_row_is_shown_and_may_end_the_walk);
	tcase_add_test(tc, a_short_buffer_for_words_is_enough);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
