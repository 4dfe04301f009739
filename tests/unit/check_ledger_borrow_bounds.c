/* Borrowing in the ledger: the smaller bound holds, what is owed is told, and
 * no proof is journaled twice. */
#include "tests/unit/ledger_borrow.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"
#define SEATS 5u

static struct world world;
static struct borrower laptop;

static void
setup(void)
{
	world_init(&world, 12);
	struct license license = borrow_license(&world, PRODUCT, SEATS, 0);

	license.terms.borrow_max_s = 30 * BORROW_DAY_S;
	license.terms.borrow_seats = 2;
	ck_assert_int_eq(world_install(&world, &license), 0);
	laptop = borrower_new(&world, "laptop-1");
}

static void
teardown(void)
{
	world_check_folded(&world);
	world_free(&world);
}

/* One seat, by the site's own bounds. */
static int
take(struct problem *problem, struct borrow_take *body, uint32_t max_s,
    uint32_t seats, uint32_t keep)
{
	struct command command = world_command(&world, OP_BORROW_TAKE,
	    ACTOR_DEVICE, laptop.device, body);

	command.borrow.max_s = max_s;
	command.borrow.seats = seats;
	command.borrow.keep = keep;
	int err = world_do(&world, &command);

	*problem = command.problem;
	arena_release(&command.arena);
	return err;
}

static int
take_one(struct problem *problem, uint32_t max_s, uint32_t seats, uint32_t keep)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 30 * BORROW_DAY_S);

	return take(problem, &body, max_s, seats, keep);
}

/* --- bounds --------------------------------------------------------------- */

START_TEST(a_site_does_not_lend_for_longer_than_the_license)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 30 * BORROW_DAY_S + 1);
	struct problem problem;

	ck_assert_int_eq(take(&problem, &body, 60 * BORROW_DAY_S, 0, 0),
	    ERR_BORROW_LIMIT);
	ck_assert_ptr_nonnull(strstr(problem.detail, "the license"));
	ck_assert_int_eq(take_one(&problem, 60 * BORROW_DAY_S, 0, 0), 0);
}
END_TEST

START_TEST(a_site_does_not_lend_more_than_the_license)
{
	struct problem problem;

	ck_assert_int_eq(take_one(&problem, 0, SEATS, 0), 0);
	ck_assert_int_eq(take_one(&problem, 0, SEATS, 0), 0);
	ck_assert_int_eq(take_one(&problem, 0, SEATS, 0), ERR_BORROW_LIMIT);
}
END_TEST

START_TEST(a_site_may_lend_less_than_the_license)
{
	struct problem problem;

	ck_assert_int_eq(take_one(&problem, 0, 1, 0), 0);
	ck_assert_int_eq(take_one(&problem, 0, 1, 0), ERR_BORROW_LIMIT);
	ck_assert_int_eq(take_one(&problem, 0, 2, 0), 0);
}
END_TEST

START_TEST(a_site_that_keeps_more_than_there_is_lends_nothing)
{
	struct problem problem;

	ck_assert_int_eq(take_one(&problem, 0, 0, SEATS), ERR_BORROW_LIMIT);
	ck_assert_int_eq(take_one(&problem, 0, 0, SEATS + 4), ERR_BORROW_LIMIT);
	ck_assert_int_eq(take_one(&problem, 0, 0, SEATS - 1), 0);
}
END_TEST

START_TEST(an_advisory_license_lends_beyond_its_contract)
{
	struct license license = borrow_license(&world, "lenient", 3, 0);
	struct problem problem;

	license.contract.end_date = WORLD_TODAY + 1;
	license.terms.enforce = LICENSE_ADVISORY;
	ck_assert_int_eq(world_install(&world, &license), 0);
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, "lenient", 3 * BORROW_DAY_S);

	ck_assert_int_eq(take(&problem, &body, 0, 0, 0), 0);
}
END_TEST

START_TEST(a_license_with_grace_lends_nothing_beyond_its_contract)
{
	struct license license = borrow_license(&world, "kind", 3, 0);
	struct problem problem;

	license.contract.end_date = WORLD_TODAY + 1;
	license.terms.enforce = LICENSE_GRACE;
	license.terms.grace_days = 30;
	ck_assert_int_eq(world_install(&world, &license), 0);
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, "kind", 3 * BORROW_DAY_S);

	ck_assert_int_eq(take(&problem, &body, 0, 0, 0), ERR_BORROW_LIMIT);
	ck_assert_ptr_nonnull(strstr(problem.detail, "nothing is lent beyond"));
	body = borrow_take_body(&world, &laptop, "kind", 60);
	ck_assert_int_eq(take(&problem, &body, 0, 0, 0), 0);
	world.now = license_contract_end(&license);
	body = borrow_take_body(&world, &laptop, "kind", 60);
	ck_assert_int_eq(take(&problem, &body, 0, 0, 0), ERR_BORROW_LIMIT);
}
END_TEST

/* As a committed seat it was lent, so that is what it stays. */
START_TEST(an_advisory_borrow_is_extended_after_the_contract)
{
	struct license license = borrow_license(&world, "lenient", 1, 0);
	struct command command;

	license.contract.end_date = WORLD_TODAY;
	license.terms.enforce = LICENSE_ADVISORY;
	ck_assert_int_eq(world_install(&world, &license), 0);
	uint64_t lease =
	    borrow_take(&world, &laptop, "lenient", 5 * BORROW_DAY_S);

	world.now = license_contract_end(&license) + 1;
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease,
			     6 * BORROW_DAY_S),
	    0);
	arena_release(&command.arena);
	world_check(&world);
	/* One that is lent now is overage, and stays that. */
	lease = borrow_take(&world, &laptop, "lenient", BORROW_DAY_S);
	ck_assert_int_eq(borrow_extend(&world, &command, &laptop, lease,
			     2 * BORROW_DAY_S),
	    0);
	arena_release(&command.arena);
	world_check(&world);
}
END_TEST

START_TEST(a_license_that_lends_nothing_says_so)
{
	struct license license = borrow_license(&world, "none", 3, 0);
	struct problem problem;

	license.terms.no_borrow = true;
	ck_assert_int_eq(world_install(&world, &license), 0);
	struct borrow_take body = borrow_take_body(&world, &laptop, "none", 60);

	ck_assert_int_eq(take(&problem, &body, 0, 0, 0), ERR_CLASS_NOT_ALLOWED);
	ck_assert_str_eq(problem.hint, "it lends nothing at all");
}
END_TEST

/* --- what is owed --------------------------------------------------------- */

START_TEST(what_is_owed_is_told_by_its_cause)
{
	uint64_t lease = borrow_take(&world, &laptop, PRODUCT, 60);
	struct borrow_returned returned;
	struct command command;
	struct problem problem;

	world.now += WORLD_DAY;
	ck_assert_int_eq(take_one(&problem, 0, 0, 0), ERR_BORROW_LIMIT);
	ck_assert_ptr_nonnull(strstr(problem.detail, "borrow-"));
	ck_assert_ptr_nonnull(strstr(problem.detail, "ran out"));
	laptop.counter++;
	ck_assert_int_eq(borrow_prove(&world, &returned, &laptop), 0);
	ck_assert_uint_eq(returned.ended, 1);
	lease = borrow_take(&world, &laptop, PRODUCT, BORROW_DAY_S);
	ck_assert_uint_ne(lease, 0);
	ck_assert_int_eq(borrow_write_off(&world, &command, lease, false), 0);
	ck_assert_int_eq(take_one(&problem, 0, 0, 0), ERR_BORROW_LIMIT);
	ck_assert_ptr_nonnull(strstr(problem.detail, "given up"));
	/* A proof is a proof, whatever it asks for. */
	laptop.counter++;
	ck_assert_int_eq(take_one(&problem, 0, 0, 0), 0);
}
END_TEST

/* Its session knows of a higher value than the journal does. */
START_TEST(a_proof_older_than_the_login_gets_nothing)
{
	struct borrow_take body =
	    borrow_take_body(&world, &laptop, PRODUCT, 60);
	struct command command = world_command(&world, OP_BORROW_TAKE,
	    ACTOR_DEVICE, laptop.device, &body);

	command.counter = laptop.counter + 1;
	ck_assert_int_eq(world_do(&world, &command), ERR_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(command.problem.detail, "when it logged"));
	arena_release(&command.arena);
	command = world_command(&world, OP_BORROW_TAKE, ACTOR_DEVICE,
	    laptop.device, &body);
	command.counter = laptop.counter;
	ck_assert_int_eq(world_do(&world, &command), 0);
	arena_release(&command.arena);
}
END_TEST

/* --- what is journaled ----------------------------------------------------- */

static uint64_t
next_row(void)
{
	struct journal_header header;
	struct record_span token;
	struct ledger_view *view;
	struct arena arena = { .chunks = NULL };
	uint8_t head[32];

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_newest(&header, head, &token, view, &arena), 0);
	ledger_view_close(view);
	arena_release(&arena);
	return header.first_row + header.rows;
}

static uint64_t
rows_of_a_take(void)
{
	uint64_t before = next_row();

	ck_assert_uint_ne(borrow_take(&world, &laptop, "many", 60), 0);
	return next_row() - before;
}

START_TEST(a_proof_that_says_nothing_new_is_journaled_once)
{
	struct license license = borrow_license(&world, "many", 20, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	rows_of_a_take();
	ck_assert_uint_eq(rows_of_a_take(), 1);
	laptop.clock_ms += 10;
	ck_assert_uint_eq(rows_of_a_take(), 2);
	ck_assert_uint_eq(rows_of_a_take(), 1);
	laptop.resets++;
	ck_assert_uint_eq(rows_of_a_take(), 2);
	ck_assert_uint_eq(rows_of_a_take(), 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_borrow_bounds");
	TCase *tc = tcase_create("bounds");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_site_does_not_lend_for_longer_than_the_license);
	tcase_add_test(tc, a_site_does_not_lend_more_than_the_license);
	tcase_add_test(tc, a_site_may_lend_less_than_the_license);
	tcase_add_test(tc, a_site_that_keeps_more_than_there_is_lends_nothing);
	tcase_add_test(tc, an_advisory_license_lends_beyond_its_contract);
	tcase_add_test(tc, a_license_that_lends_nothing_says_so);
	tcase_add_test(tc,
	    a_license_with_grace_lends_nothing_beyond_its_contract);
	tcase_add_test(tc, an_advisory_borrow_is_extended_after_the_contract);
	tcase_add_test(tc, what_is_owed_is_told_by_its_cause);
	tcase_add_test(tc, a_proof_older_than_the_login_gets_nothing);
	tcase_add_test(tc, a_proof_that_says_nothing_new_is_journaled_once);
	suite_add_tcase(s, tc);
	return s;
}
