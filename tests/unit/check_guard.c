/* The guard's judgement at the start, one finding a test, and what an
 * acknowledgement knows: real stores and a real file, put where they are to
 * stand. guard_sim does the same at random. */
#include "appliance/ledger/guard.h"
#include "shared/base/log.h"
#include "tests/unit/guard_world.h"
#include "tests/unit/suite.h"

#include <sys/stat.h>

static void
forget_witness(void)
{
	char path[128];

	snprintf(path, sizeof path, "%s/" SITE, folder);
	ck_assert_int_eq(unlink(path), 0);
}

static int
start(void)
{
	return guard_begin(&report, &guard, world.now);
}

static void
witness_at(uint64_t counter)
{
	uint64_t made;

	ck_assert_int_eq(witness_make(&made, witness, counter), 0);
	ck_assert_uint_eq(made, counter);
}

static void
store_at(uint64_t counter)
{
	struct system_tick tick = { .witness = WITNESS_FILE,
		.counter = counter,
		.at = world.now };

	ck_assert_int_eq(system_tick_save(store, &tick, NULL, 0, NULL), 0);
}

static void
journal_at(uint64_t counter)
{
	struct row_tick row = { .counter = counter };
	struct command command =
	    world_command(&world, LEDGER_TICK, ACTOR_SITE, 0, &row);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

/* A place that this journal never had. */
static struct row_mark
elsewhere(uint32_t generation, uint64_t batch)
{
	struct row_mark mark = { .generation = generation, .batch = batch };

	memset(mark.head, 9, sizeof mark.head);
	return mark;
}

/* Found, in these words; and whatever stops the site is kept: found again. */
static void
expect_found(const char *words)
{
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(start(), 0);
		ck_assert_msg(report.rolled_back, "not found: %s", words);
		ck_assert_msg(strstr(report.words, words) != NULL, "%s",
		    report.words);
		ck_assert(!report.interrupted && !report.first);
	}
}

static void
expect_clean(uint64_t counter)
{
	ck_assert_int_eq(start(), 0);
	ck_assert_msg(!report.rolled_back, "%s", report.words);
	ck_assert_uint_eq(report.counter, counter);
	ck_assert_uint_eq(report.stored, counter);
	ck_assert_uint_eq(report.witnessed, counter);
	ck_assert(!report.interrupted && !report.first);
	ck_assert_str_eq(report.words, "");
}

/* --- crashes ---------------------------------------------------------------- */

START_TEST(a_first_start_makes_the_counter_wherever_it_broke_off)
{
	static const char *const steps[] = { "making", "make", "store" };
	uint64_t counter;

	crash_before = steps[_i];
	ck_assert_int_eq(start(), ERR_IO);
	crash_before = NULL;
	ck_assert_int_eq(start(), 0);
	ck_assert(report.first && !report.rolled_back);
	counter = report.counter;
	ck_assert_uint_ge(counter, 1);
	expect_clean(counter);
}
END_TEST

START_TEST(a_tick_that_broke_off_is_finished_or_was_none)
{
	static const struct {
		const char *step;
		uint64_t counter;
		bool interrupted;
	} cases[] = { { "store", 1, false }, { "increment", 2, true },
		{ "incremented", 2, false } };
	uint64_t counter = 1;

	ck_assert_int_eq(start(), 0);
	ck_assert_uint_eq(report.counter, 1);
	crash_before = cases[_i].step;
	ck_assert_int_eq(guard_tick(&counter, &guard, world.now), ERR_IO);
	ck_assert_uint_eq(counter, 1);
	crash_before = NULL;
	ck_assert_int_eq(start(), 0);
	ck_assert(!report.rolled_back && !report.first);
	ck_assert_int_eq(report.interrupted, cases[_i].interrupted);
	ck_assert_uint_eq(report.counter, cases[_i].counter);
	expect_clean(cases[_i].counter);
}
END_TEST

/* Its row is written before its number. */
START_TEST(a_journal_may_be_one_tick_ahead)
{
	ck_assert_int_eq(start(), 0);
	journal_at(2);
	expect_clean(1);
}
END_TEST

/* --- findings --------------------------------------------------------------- */

START_TEST(a_store_behind_the_witness_was_put_back)
{
	witness_at(8);
	store_at(7);
	expect_found("the site's store was put back to an older copy: it is at "
		     "tick 7");
	ck_assert_uint_eq(report.stored, 7);
	ck_assert_uint_eq(report.witnessed, 8);
	ck_assert_uint_eq(report.counter, 8);
}
END_TEST

START_TEST(a_witness_behind_store_or_journal_was_put_back)
{
	witness_at(5);
	if (_i == 0) {
		store_at(7);
	} else {
		store_at(5);
		journal_at(7);
	}
	expect_found("was put back to an older copy: it is at tick 5, and the "
		     "site was at tick 7 already");
}
END_TEST

START_TEST(a_witness_that_is_gone_or_damaged_shows_nothing)
{
	char path[128];

	witness_at(5);
	store_at(5);
	expect_clean(5);
	snprintf(path, sizeof path, "%s/" SITE, folder);
	if (_i == 0)
		forget_witness();
	else
		ck_assert_int_eq(truncate(path, 3), 0);
	expect_found("is missing or damaged");
	ck_assert_uint_eq(report.witnessed, 0);
	ck_assert_uint_eq(report.stored, 5);
}
END_TEST

START_TEST(a_store_without_a_counter_is_of_before_the_first_start)
{
	if (_i == 0)
		ck_assert_int_eq(witness_make(&report.counter, witness, 5), 0);
	else
		journal_at(5);
	expect_found(_i == 0 ? "and the file " : "and a journal has");
	ck_assert(strstr(report.words, "before the site's first start"));
}
END_TEST

START_TEST(a_counter_of_the_tpm_is_not_looked_for_in_a_file)
{
	struct system_tick tick = { .witness = WITNESS_TPM, .counter = 5 };

	witness_at(5);
	ck_assert_int_eq(system_tick_save(store, &tick, NULL, 0, NULL), 0);
	expect_found("was in the box's TPM, and is to be in the file");
}
END_TEST

START_TEST(a_journal_without_its_anchor_was_put_back)
{
	struct system_anchor anchor = { TENANT, elsewhere(1, 4) };
	struct system_tick tick = { .witness = WITNESS_FILE, .counter = 5 };

	witness_at(5);
	ck_assert_int_eq(system_tick_save(store, &tick, &anchor, 1, NULL), 0);
	expect_found("the journal of tenant default was put back to an older "
		     "copy");
}
END_TEST

/* The first thing that is found is the one that is told. */
START_TEST(one_finding_is_told)
{
	struct system_anchor anchor = { TENANT, elsewhere(1, 4) };
	struct system_tick tick = { .witness = WITNESS_FILE, .counter = 4 };

	witness_at(5);
	ck_assert_int_eq(system_tick_save(store, &tick, &anchor, 1, NULL), 0);
	expect_found("it is at tick 4");
}
END_TEST

/* --- what others have seen --------------------------------------------------- */

START_TEST(what_others_have_seen_is_kept_when_it_is_further)
{
	static const struct {
		struct row_mark before, shown, kept;
	} cases[] = {
		{ { .generation = 0 }, { .generation = 1, .batch = 9 },
		    { .generation = 1, .batch = 9 } },
		{ { .generation = 1, .batch = 9 },
		    { .generation = 1, .batch = 8 },
		    { .generation = 1, .batch = 9 } },
		{ { .generation = 1, .batch = 9 },
		    { .generation = 2, .batch = 3 },
		    { .generation = 2, .batch = 3 } },
		{ { .generation = 2, .batch = 3 },
		    { .generation = 1, .batch = 9 },
		    { .generation = 2, .batch = 3 } },
	};
	struct row_mark mark;

	ck_assert_int_eq(start(), 0);
	for (size_t i = 0; i < 2; i++) {
		mark = i == 0 ? cases[_i].before : cases[_i].shown;
		if (mark.generation == 0)
			continue;
		memset(mark.head, 9, sizeof mark.head);
		ck_assert_int_eq(guard_evidence(&report, &guard, &part, &mark),
		    1);
	}
	ck_assert(report.rolled_back);
	ck_assert_int_eq(system_evidence_load(&mark, store, TENANT), 0);
	ck_assert_uint_eq(mark.generation, cases[_i].kept.generation);
	ck_assert_uint_eq(mark.batch, cases[_i].kept.batch);
	ck_assert_int_eq(guard_lost(&mark, &guard, &part), 0);
	ck_assert_uint_eq(mark.batch, cases[_i].kept.batch);
	expect_found("the journal of tenant default");
}
END_TEST

static void
begin_generation(const struct row_mark *lost)
{
	struct ledger_generation request = { .lost = *lost,
		.counter = report.counter + 1,
		.reason = "put back" };
	struct command command =
	    world_command(&world, LEDGER_GENERATION, ACTOR_ADMIN, 1, &request);

	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}

/* Of a branch that had been acknowledged more often than this one. */
START_TEST(what_was_acknowledged_proves_nothing_and_hides_nothing)
{
	struct row_mark lost = elsewhere(4, 90), later = elsewhere(5, 7), mark;

	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(guard_evidence(&report, &guard, &part, &lost), 1);
	/* A crash before it was settled leaves what was kept. */
	begin_generation(&lost);
	ck_assert_int_eq(guard_is_proof(&part, &lost), 0);
	ck_assert_int_eq(start(), 0);
	ck_assert(!report.rolled_back);
	ck_assert_int_eq(guard_evidence(&report, &guard, &part, &lost), 0);
	ck_assert(!report.rolled_back);
	ck_assert_int_eq(guard_lost(&mark, &guard, &part), 0);
	ck_assert_uint_eq(mark.generation, 0);
	ck_assert_int_eq(guard_evidence(&report, &guard, &part, &later), 1);
	ck_assert(report.rolled_back);
	ck_assert_int_eq(system_evidence_load(&mark, store, TENANT), 0);
	ck_assert_uint_eq(mark.batch, later.batch);
}
END_TEST

START_TEST(of_anchor_and_evidence_the_further_is_lost)
{
	struct system_anchor anchor = { TENANT, elsewhere(1, 40) };
	struct system_tick tick = { .witness = WITNESS_FILE, .counter = 5 };
	struct row_mark seen = elsewhere(1, _i == 0 ? 50 : 30), mark;

	witness_at(5);
	ck_assert_int_eq(system_tick_save(store, &tick, &anchor, 1, NULL), 0);
	ck_assert_int_eq(guard_lost(&mark, &guard, &part), 0);
	ck_assert_uint_eq(mark.batch, 40);
	ck_assert_int_eq(system_evidence_save(store, TENANT, &seen), 0);
	ck_assert_int_eq(guard_lost(&mark, &guard, &part), 0);
	ck_assert_uint_eq(mark.batch, _i == 0 ? 50 : 40);
}
END_TEST

/* --- acknowledgement -------------------------------------------------------- */

START_TEST(an_acknowledgement_makes_what_was_lost_above_all)
{
	static const struct {
		uint64_t witness, store, journal; /* witness 0: it is gone */
		uint64_t counter; /* then */
	} cases[] = {
		{ 9, 7, 7, 9 }, /* it stands above: nothing is made */
		{ 6, 7, 0, 6 }, /* one behind is a tick */
		{ 5, 7, 6, 9 },
		{ 5, 6, 7, 9 },
		{ 0, 7, 6, 9 },
		{ 0, 5, 8, 10 },
	};
	uint64_t counter = cases[_i].counter;

	if (cases[_i].witness != 0)
		ck_assert_int_eq(witness_make(&report.counter, witness,
				     cases[_i].witness),
		    0);
	store_at(cases[_i].store);
	if (cases[_i].journal != 0)
		journal_at(cases[_i].journal);
	ck_assert_int_eq(guard_prepare(&report, &guard, world.now), 0);
	ck_assert_uint_eq(report.counter, counter);
	ck_assert_int_eq(guard_settle(&report, &guard,
			     &(struct system_generation){ .witness = 0 },
			     world.now),
	    0);
	ck_assert_uint_eq(report.counter, counter + 1);
	expect_clean(counter + 1);
}
END_TEST

START_TEST(an_acknowledgement_that_broke_off_is_asked_for_again)
{
	store_at(7);
	crash_before = "make";
	ck_assert_int_eq(guard_prepare(&report, &guard, world.now), ERR_IO);
	crash_before = NULL;
	expect_found("was lost, and nobody has acknowledged it");
	ck_assert_int_eq(guard_prepare(&report, &guard, world.now), 0);
	expect_found("was lost, and nobody has acknowledged it");
	ck_assert_int_eq(guard_prepare(&report, &guard, world.now), 0);
	ck_assert_int_eq(guard_settle(&report, &guard,
			     &(struct system_generation){ .witness = 0 },
			     world.now),
	    0);
	expect_clean(report.counter);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("guard");
	TCase *tc = tcase_create("guard");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc,
	    a_first_start_makes_the_counter_wherever_it_broke_off, 0, 3);
	tcase_add_loop_test(tc, a_tick_that_broke_off_is_finished_or_was_none,
	    0, 3);
	tcase_add_test(tc, a_journal_may_be_one_tick_ahead);
	tcase_add_test(tc, a_store_behind_the_witness_was_put_back);
	tcase_add_loop_test(tc, a_witness_behind_store_or_journal_was_put_back,
	    0, 2);
	tcase_add_loop_test(tc, a_witness_that_is_gone_or_damaged_shows_nothing,
	    0, 2);
	tcase_add_loop_test(tc,
	    a_store_without_a_counter_is_of_before_the_first_start, 0, 2);
	tcase_add_test(tc, a_counter_of_the_tpm_is_not_looked_for_in_a_file);
	tcase_add_test(tc, a_journal_without_its_anchor_was_put_back);
	tcase_add_test(tc, one_finding_is_told);
	tcase_add_loop_test(tc,
	    what_others_have_seen_is_kept_when_it_is_further, 0, 4);
	tcase_add_test(tc,
	    what_was_acknowledged_proves_nothing_and_hides_nothing);
	tcase_add_loop_test(tc, of_anchor_and_evidence_the_further_is_lost, 0,
	    2);
	tcase_add_loop_test(tc,
	    an_acknowledgement_makes_what_was_lost_above_all, 0, 6);
	tcase_add_test(tc,
	    an_acknowledgement_that_broke_off_is_asked_for_again);
	suite_add_tcase(s, tc);
	return s;
}
