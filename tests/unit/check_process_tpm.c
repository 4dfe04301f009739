/* The ledger process of a site whose box has a TPM: what its clock shows at the
 * start, in a machine that was started again. */
#include "appliance/ledger/system.h"
#include "tests/unit/process_site.h"
#include "tests/unit/suite.h"
#include "tests/unit/tpm_lab.h"

static struct lab_tpm tpm;

static void
start(bool with_tpm)
{
	set_up();
	make_older();
	process_stop(&world, SIGTERM);
	lab_tpm_new(&tpm);
	if (with_tpm)
		world.options.tpm = tpm.tcti;
	process_start(&world);
	process_await_ready(&world);
}

static void
stop(void)
{
	lab_tpm_remove(&tpm);
	tear_down();
}

static struct site_view
show_site(void)
{
	const struct empty empty = { 0 };
	struct site_view site;

	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	return site;
}

/* The time of half a day ago, from now on. */
static int64_t
put_time_back(void)
{
	struct clock_correct correct = { .reason = "a test",
		.time = clock_wall_ms() - DAY_MS / 2 };

	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct), 0);
	/* Journaled, and there is a tick for it at the stop. */
	install_license(&world, "one", 1, 120, 300);
	return correct.time;
}

/* As if the machine had been started since. */
static void
boot_again(void)
{
	uint8_t key[SYSTEM_HASH_KEY_BYTES];
	struct system_store *system;
	struct system_clock clock;
	char path[128];

	snprintf(path, sizeof(path), "%s/system", world.state);
	ck_assert_int_eq(setup_key(key, world.state, "system"), 0);
	ck_assert_int_eq(system_open(&system, path, key), 0);
	ck_assert_int_eq(system_clock_load(&clock, system), 0);
	snprintf(clock.boot, sizeof(clock.boot), "another");
	ck_assert_int_eq(system_clock_save(system, &clock), 0);
	system_close(system);
}

START_TEST(power_off_is_believed_without_a_tpm)
{
	start(false);
	put_time_back();
	process_stop(&world, SIGTERM);
	boot_again();
	process_start(&world);
	process_await_ready(&world);
	struct site_view site = show_site();

	ck_assert(!site.clock_held);
	ck_assert_int_ge(site.time, clock_wall_ms() - 60000);
	stop();
}
END_TEST

START_TEST(power_off_is_held_until_an_admin_confirms_with_a_tpm)
{
	const struct empty empty = { 0 };

	start(true);
	int64_t time = put_time_back();
	struct site_view site = show_site();

	ck_assert_uint_eq(site.witness, WITNESS_TPM);
	process_stop(&world, SIGTERM);
	boot_again();
	process_start(&world);
	process_await_ready(&world);
	site = show_site();
	ck_assert(!site.rolled_back);
	ck_assert(site.clock_held);
	ck_assert_int_ge(site.time, time);
	ck_assert_int_lt(site.time, time + 60000);
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty), 0);
	install_license(&world, "two", 1, 120, 300);
	site = show_site();
	ck_assert(!site.clock_held);
	ck_assert_int_ge(site.time, clock_wall_ms() - 60000);
	stop();
}
END_TEST

/* It counts less than the store says it did: nobody knows how long it was off.
 */
START_TEST(tpm_that_was_cleared_of_its_time_is_told)
{
	start(true);
	put_time_back();
	process_stop(&world, SIGTERM);
	boot_again();
	uint8_t key[SYSTEM_HASH_KEY_BYTES];
	struct system_store *system;
	struct system_tick tick;
	char path[128];

	snprintf(path, sizeof(path), "%s/system", world.state);
	ck_assert_int_eq(setup_key(key, world.state, "system"), 0);
	ck_assert_int_eq(system_open(&system, path, key), 0);
	ck_assert_int_eq(system_tick_load(&tick, system), 0);
	ck_assert_uint_gt(tick.clock_ms, 0);
	tick.resets += 7;
	ck_assert_int_eq(system_tick_save(system, &tick, NULL, 0, false), 0);
	system_close(system);
	process_start(&world);
	process_await_ready(&world);
	struct site_view site = show_site();

	ck_assert(site.clock_held);
	ck_assert_int_lt(site.time, tick.at + 60000);
	stop();
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("process_tpm");
	TCase *clock = tcase_create("clock");

	tcase_set_timeout(clock, PROCESS_TEST_S);
	tcase_add_test(clock, power_off_is_believed_without_a_tpm);
	tcase_add_test(clock,
	    power_off_is_held_until_an_admin_confirms_with_a_tpm);
	tcase_add_test(clock, tpm_that_was_cleared_of_its_time_is_told);
	suite_add_tcase(s, clock);
	return s;
}
