/* The walk over a journal that was put back to an older copy: a generation
 * begins where an admin acknowledged that, the site's counter goes on from
 * there, and leases of what was lost are billed once. */
#include "tests/unit/journal_walker.h"

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

Suite *
suite(void)
{
	Suite *s = suite_create("journal generations");
	TCase *tc = tcase_create("journal generations");

	tcase_add_checked_fixture(tc, walk_make, walk_free);
	tcase_add_test(tc, a_generation_begins_with_its_row);
	tcase_add_test(tc, a_batch_begins_one_generation);
	tcase_add_test(tc, ticks_go_up);
	tcase_add_test(tc, an_adopted_lease_is_counted_as_a_grant);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
