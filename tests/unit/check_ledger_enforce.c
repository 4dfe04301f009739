/* The ways a license is enforced: what is granted beyond seats and dates, as
 * what, and how far. */
#include "shared/journal/rows.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci"
#define DAYS 3

static struct world world;
static uint64_t device;
static struct license license;
static struct license_feature features[1];
static struct row row; /* of the last grant */
static struct arena arena;
static char detail[256]; /* of the last refusal */

static void
install(uint32_t enforce, uint32_t commit, uint32_t overage)
{
	uint64_t serial = license.serial;

	license = world_license(&world, PRODUCT, commit, overage);
	license.serial = serial + 1;
	license.features = (struct record_list){ features, 1 };
	license.terms.enforce = enforce;
	license.terms.grace_days = enforce == LICENSE_GRACE ? DAYS : 0;
	ck_assert_int_eq(world_install(&world, &license), 0);
}

static void
setup(void)
{
	world_init(&world, 43);
	device = world_device(&world, "ws-1");
	memset(&license, 0, sizeof license);
	features[0] = (struct license_feature){ .id = "autosar",
		.total_licenses = 3,
		.commit_qty = 1,
		.max_overage = 2,
		.overage_per_use = 12050,
		.currency = "EUR" };
}

static void
teardown(void)
{
	arena_release(&arena);
	world_check(&world);
	world_reopen(&world);
	world_check(&world);
	world_free(&world);
}

static int
ask(const char *of, uint32_t count)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	snprintf(body.feature, sizeof body.feature, "%s", of);
	body.count = count;
	arena_release(&arena);
	command = world_command(&world, OP_LEASE_CHECKOUT, ACTOR_DEVICE, device,
	    &body);
	int err = world_do(&world, &command);

	snprintf(detail, sizeof detail, "%s", command.problem.detail);
	/* What it points to goes with the command. */
	if (err == 0) {
		const struct record_span *bytes = &command.reply.checkout.row;
		const uint8_t *copy =
		    arena_copy(&arena, bytes->data, bytes->len);

		ck_assert_int_eq(row_read(&row,
				     command.reply.checkout.row_number, copy,
				     bytes->len, &arena),
		    0);
	}
	arena_release(&command.arena);
	return err;
}

/* A grant of one seat: its slot, and whether it is billed. */
static uint64_t
take(const char *of, uint32_t slot, uint64_t overage)
{
	const struct row_lease_granted *r = &row.u.lease_granted;

	ck_assert_int_eq(ask(of, 1), 0);
	ck_assert_uint_eq(row_slot_first(r), slot);
	ck_assert_uint_eq(r->overage, overage);
	ck_assert_uint_eq(r->overage_count, overage != 0);
	ck_assert_uint_eq(r->type, overage != 0 ? SEAT_OVERAGE : SEAT_COMMIT);
	return r->lease;
}

static void
give(uint64_t lease)
{
	ck_assert_int_eq(world_return(&world, device, lease), 0);
}

static struct ledger_pool
pool_of(const char *of)
{
	struct ledger_pool pool;
	struct ledger_view *view;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_pool(&pool, view, PRODUCT, of, world.now), 0);
	ledger_view_close(view);
	return pool;
}

static void
assert_state(const char *state)
{
	struct license_number number = { 1 };
	struct license_view view;
	struct ledger_view *at;
	struct problem problem;
	struct arena held = { .chunks = NULL };

	ck_assert_int_eq(ledger_view_open(&at, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&view, at, OP_LICENSE_SHOW, &number,
			     world.now, &held, &problem),
	    0);
	ledger_view_close(at);
	ck_assert_str_eq(view.state, state);
	arena_release(&held);
}

static int64_t
contract_end(void)
{
	return license_contract_end(&license);
}

START_TEST(hard_grants_nothing_beyond_seats_or_contract)
{
	install(LICENSE_HARD, 1, 1);
	take("", 0, 0);
	uint64_t lease = take("", 1, 1);

	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
	give(lease);
	world.now = contract_end() - 1;
	give(take("", 1, 2));
	assert_state("active");
	world.now = contract_end();
	ck_assert_int_eq(ask("", 1), ERR_LICENSE_EXPIRED);
	ck_assert_uint_eq(pool_of("").free, 0);
	assert_state("expired");
}
END_TEST

START_TEST(grace_is_hard_while_the_contract_runs)
{
	install(LICENSE_GRACE, 1, 1);
	take("", 0, 0);
	take("", 1, 1);
	ck_assert_uint_eq(pool_of("").free, 0);
	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
	ck_assert_int_eq(ask("", 3), ERR_MAX_REACHED);
}
END_TEST

START_TEST(grace_grants_the_seats_as_overage_for_its_days)
{
	install(LICENSE_GRACE, 2, 1);
	uint64_t before = take("", 0, 0);

	world.now = contract_end();
	assert_state("overrun");
	ck_assert_uint_eq(pool_of("").free, 2);
	/* One that is held goes on as what it is, and is none of these. */
	take("", 1, 1);
	take("", 2, 2);
	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
	give(before);
	world.now = contract_end() + DAYS * WORLD_DAY - 1;
	take("", 0, 3);
	/* A feature's too, and the numbers are those of the license. */
	take("autosar", 0, 4);
	world.now++;
	ck_assert_int_eq(ask("autosar", 1), ERR_LICENSE_EXPIRED);
	ck_assert_ptr_nonnull(strstr(detail, "the 3 days after it"));
	ck_assert_uint_eq(pool_of("autosar").free, 0);
	assert_state("expired");
}
END_TEST

START_TEST(grace_bills_each_seat_of_a_checkout_of_several)
{
	install(LICENSE_GRACE, 4, 0);
	world.now = contract_end();
	ck_assert_int_eq(ask("", 3), 0);
	ck_assert_uint_eq(row.u.lease_granted.overage, 1);
	ck_assert_uint_eq(row.u.lease_granted.overage_count, 3);
	take("", 3, 4);
	/* It has overage now, so that is what is used up. */
	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
}
END_TEST

START_TEST(a_renewal_ends_the_grace_and_keeps_what_was_billed)
{
	install(LICENSE_GRACE, 2, 2);
	world.now = contract_end() + 1;
	take("", 0, 1);
	license.contract.end_date += 400;
	license.serial++;
	ck_assert_int_eq(world_install(&world, &license), 0);
	assert_state("active");
	/* A lease's type never changes, and its slot is a committed one. */
	take("", 1, 0);
	take("", 2, 2);
	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
}
END_TEST

START_TEST(advisory_grants_beyond_the_seats_as_overage)
{
	install(LICENSE_ADVISORY, 2, 1);
	ck_assert_uint_eq(pool_of("").free, LICENSE_ADVISORY_SEATS);
	ck_assert_uint_eq(pool_of("").total, 3);
	take("", 0, 0);
	uint64_t second = take("", 1, 0);

	for (uint32_t i = 0; i < 5; i++)
		take("", 2 + i, 1 + i);
	take("autosar", 0, 0);
	take("autosar", 1, 6);
	ck_assert_uint_eq(pool_of("").taken, 7);
	ck_assert_uint_eq(pool_of("").free, LICENSE_ADVISORY_SEATS - 7);
	/* What is free below is committed, also with more held above. */
	give(second);
	take("", 1, 0);
}
END_TEST

START_TEST(advisory_grants_all_as_overage_after_the_contract)
{
	install(LICENSE_ADVISORY, 2, 1);
	take("", 0, 0);
	world.now = contract_end() + 4000 * WORLD_DAY;
	assert_state("overrun");
	take("", 1, 1);
	take("", 2, 2);
	take("", 3, 3);
}
END_TEST

START_TEST(advisory_has_a_bound)
{
	const uint32_t n = LEASE_COUNT_MAX;
	uint32_t left = LICENSE_ADVISORY_SEATS;
	struct license big;

	install(LICENSE_ADVISORY, 2, 1);
	/* A renewal of a big license leaves that many held. */
	big = license;
	big.serial++;
	big.terms.enforce = LICENSE_HARD;
	big.entitlement.total_licenses = LICENSE_ADVISORY_SEATS + 5;
	big.entitlement.commit_qty = LICENSE_ADVISORY_SEATS + 5;
	big.entitlement.max_overage = 0;
	ck_assert_int_eq(world_install(&world, &big), 0);
	while (left > 0) {
		uint32_t count = left < n ? left : n;

		if (ask("", count) == ERR_MAX_REACHED)
			device = world_device(&world, "another");
		else
			left -= count;
	}
	license.serial = big.serial + 1;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_uint_eq(pool_of("").free, 0);
	ck_assert_int_eq(ask("", 1), ERR_OVERAGE_EXHAUSTED);
	/* One of more seats has them all. */
	license.serial++;
	license.entitlement = big.entitlement;
	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_uint_eq(pool_of("").free, 5);
}
END_TEST

START_TEST(nothing_is_granted_before_the_contract)
{
	static const uint32_t modes[] = { LICENSE_HARD, LICENSE_GRACE,
		LICENSE_ADVISORY };

	for (size_t i = 0; i < 3; i++) {
		install(modes[i], 2, 1);
		license.serial++;
		license.contract.start_date = WORLD_TODAY + 1;
		ck_assert_int_eq(world_install(&world, &license), 0);
		ck_assert_int_eq(ask("", 1), ERR_LICENSE_EXPIRED);
		ck_assert_uint_eq(pool_of("").free, 0);
		assert_state("not_yet");
	}
}
END_TEST

START_TEST(a_license_that_grants_nothing_any_more_is_not_installed)
{
	license = world_license(&world, PRODUCT, 1, 0);
	license.contract.end_date = WORLD_TODAY - 2;
	ck_assert_int_eq(world_install(&world, &license), ERR_LICENSE_EXPIRED);
	license.terms.enforce = LICENSE_GRACE;
	license.terms.grace_days = 1;
	ck_assert_int_eq(world_install(&world, &license), ERR_LICENSE_EXPIRED);
	license.terms.grace_days = 2;
	ck_assert_int_eq(world_install(&world, &license), 0);
	take("", 0, 1);
}
END_TEST

START_TEST(a_hard_renewal_of_an_advisory_license_takes_no_seat)
{
	install(LICENSE_ADVISORY, 1, 0);
	take("", 0, 0);
	take("", 1, 1);
	/* And a renewal that enforces hard lets none in before they are few
	 * enough. */
	install(LICENSE_HARD, 1, 0);
	ck_assert_int_eq(ask("", 1), ERR_NO_SEATS);
	ck_assert_uint_eq(pool_of("").free, 0);
	ck_assert_uint_eq(pool_of("").taken, 2);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger enforce");
	TCase *tc = tcase_create("enforce");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, hard_grants_nothing_beyond_seats_or_contract);
	tcase_add_test(tc, grace_is_hard_while_the_contract_runs);
	tcase_add_test(tc, grace_grants_the_seats_as_overage_for_its_days);
	tcase_add_test(tc, grace_bills_each_seat_of_a_checkout_of_several);
	tcase_add_test(tc, a_renewal_ends_the_grace_and_keeps_what_was_billed);
	tcase_add_test(tc, advisory_grants_beyond_the_seats_as_overage);
	tcase_add_test(tc, advisory_grants_all_as_overage_after_the_contract);
	tcase_add_test(tc, advisory_has_a_bound);
	tcase_add_test(tc, nothing_is_granted_before_the_contract);
	tcase_add_test(tc,
	    a_license_that_grants_nothing_any_more_is_not_installed);
	tcase_add_test(tc, a_hard_renewal_of_an_advisory_license_takes_no_seat);
	suite_add_tcase(s, tc);
	return s;
}
