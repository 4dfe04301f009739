/* The site clock: two readings in, one time out. */
#include "appliance/ledger/clock.h"
#include "tests/unit/suite.h"

#define MINUTE ((int64_t)60 * 1000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
/* 2026-11-22T00:00:00Z, and a machine that has run for an hour. */
#define NOON ((int64_t)1795305600000)
#define BOOT HOUR

static struct site_clock
started(void)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON - MINUTE, false, 0, 0, 0,
			     BOOT, NOON),
	    CLOCK_START_FINE);
	return clock;
}

START_TEST(time_follows_the_wall_clock)
{
	struct site_clock clock = started();

	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
	ck_assert_int_eq(clock_step(&clock, BOOT + MINUTE, NOON + MINUTE + 20),
	    CLOCK_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT + MINUTE), NOON + MINUTE + 20);
}
END_TEST

START_TEST(time_never_goes_back_with_the_wall_clock)
{
	struct site_clock clock = started();

	ck_assert_int_eq(clock_step(&clock, BOOT + MINUTE, NOON - DAY),
	    CLOCK_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT + MINUTE), NOON + MINUTE);
	ck_assert(!clock.held);
}
END_TEST

START_TEST(forward_step_of_an_hour_is_adopted)
{
	struct site_clock clock = started();

	ck_assert_int_eq(clock_step(&clock, BOOT, NOON + HOUR), CLOCK_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + HOUR);
}
END_TEST

START_TEST(forward_jump_above_an_hour_is_held_and_told_once)
{
	struct site_clock clock = started();

	ck_assert_int_eq(clock_step(&clock, BOOT, NOON + HOUR + 1),
	    CLOCK_HELD_NOW);
	ck_assert_int_eq(clock_step(&clock, BOOT + 1, NOON + HOUR + 2),
	    CLOCK_FINE);
	ck_assert(clock.held);
	ck_assert_int_eq(clock.held_wall, NOON + HOUR + 2);
	ck_assert_int_eq(clock_time(&clock, BOOT + 1), NOON + 1);
}
END_TEST

START_TEST(small_steps_do_not_add_up_to_a_jump_in_a_day)
{
	struct site_clock clock = started();

	ck_assert_int_eq(clock_step(&clock, BOOT, NOON + 40 * MINUTE),
	    CLOCK_FINE);
	ck_assert_int_eq(clock_step(&clock, BOOT, NOON + 80 * MINUTE),
	    CLOCK_HELD_NOW);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + 40 * MINUTE);
	/* The next day has an hour of its own. */
	ck_assert_int_eq(clock_step(&clock, BOOT + DAY,
			     NOON + DAY + 80 * MINUTE),
	    CLOCK_FINE);
	ck_assert(!clock.held);
	ck_assert_int_eq(clock_time(&clock, BOOT + DAY),
	    NOON + DAY + 80 * MINUTE);
}
END_TEST

START_TEST(wall_clock_set_right_lets_go)
{
	struct site_clock clock = started();

	clock_step(&clock, BOOT, NOON + DAY);
	ck_assert(clock.held);
	ck_assert_int_eq(clock_step(&clock, BOOT + MINUTE, NOON + MINUTE),
	    CLOCK_FINE);
	ck_assert(!clock.held);
	ck_assert_int_eq(clock.held_wall, 0);
}
END_TEST

START_TEST(confirmed_jump_is_adopted)
{
	struct site_clock clock = started();

	ck_assert(!clock_confirm(&clock, BOOT, NOON));
	clock_step(&clock, BOOT, NOON + DAY);
	ck_assert(clock_confirm(&clock, BOOT + 5, NOON + DAY + 5));
	ck_assert(!clock.held);
	ck_assert_int_eq(clock_time(&clock, BOOT + 5), NOON + DAY + 5);
	ck_assert(!clock_confirm(&clock, BOOT + 5, NOON + DAY + 5));
}
END_TEST

START_TEST(confirmed_mistake_is_put_back)
{
	struct site_clock clock = started();

	clock_step(&clock, BOOT, NOON + 365 * DAY);
	ck_assert(clock_confirm(&clock, BOOT, NOON + 365 * DAY));
	/* Not into the future. */
	ck_assert(!clock_put_back(&clock, NOON + 366 * DAY, BOOT, NOON));
	ck_assert(clock_put_back(&clock, NOON, BOOT, NOON));
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
	ck_assert(!clock.held);
}
END_TEST

START_TEST(put_back_under_a_wrong_wall_clock_is_held_again)
{
	struct site_clock clock = started();

	clock_step(&clock, BOOT, NOON + DAY);
	clock_confirm(&clock, BOOT, NOON + DAY);
	ck_assert(clock_put_back(&clock, NOON, BOOT, NOON + DAY));
	ck_assert(clock.held);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
	ck_assert_int_eq(clock_step(&clock, BOOT + 1, NOON + DAY + 1),
	    CLOCK_FINE);
}
END_TEST

START_TEST(no_step_ahead_shortens_a_wait)
{
	struct site_clock clock = { .offset = NOON - BOOT, .day_began = BOOT };

	clock_keep_steady(&clock, BOOT + 10 * MINUTE);
	ck_assert_int_eq(clock_step(&clock, BOOT + MINUTE, NOON + 40 * MINUTE),
	    CLOCK_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT + MINUTE), NOON + MINUTE);
	ck_assert(clock_is_steady(&clock, BOOT + 10 * MINUTE - 1));
	ck_assert(!clock_is_steady(&clock, BOOT + 10 * MINUTE));
	/* A jump is told all the same. */
	ck_assert_int_eq(clock_step(&clock, BOOT + MINUTE, NOON + DAY),
	    CLOCK_HELD_NOW);
	ck_assert_int_eq(clock_step(&clock, BOOT + 10 * MINUTE,
			     NOON + 49 * MINUTE),
	    CLOCK_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT + 10 * MINUTE),
	    NOON + 49 * MINUTE);
}
END_TEST

START_TEST(start_within_one_boot_keeps_a_wait)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON - MINUTE, true, NOON - BOOT,
			     NOON + MINUTE, 0, BOOT, NOON + 30 * MINUTE),
	    CLOCK_START_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
	clock_step(&clock, BOOT + MINUTE, NOON + 31 * MINUTE);
	ck_assert_int_eq(clock_time(&clock, BOOT + MINUTE), NOON + 31 * MINUTE);
}
END_TEST

START_TEST(start_behind_the_journal_goes_on_from_it)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON, false, 0, 0, 0, BOOT,
			     NOON - DAY),
	    CLOCK_START_BEHIND);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
	ck_assert_int_eq(clock_time(&clock, BOOT + MINUTE), NOON + MINUTE);
}
END_TEST

START_TEST(start_after_a_reboot_takes_a_long_power_off)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON - 30 * DAY, false, 0, 0, 0,
			     BOOT, NOON),
	    CLOCK_START_AHEAD);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
	ck_assert(!clock.held);
}
END_TEST

START_TEST(start_within_one_boot_holds_a_jump)
{
	struct site_clock clock;

	/* Last batch a day ago; the clock ran on with the machine. */
	ck_assert_int_eq(clock_begin(&clock, NOON - DAY, true, NOON - BOOT, 0,
			     0, BOOT, NOON + 2 * HOUR),
	    CLOCK_START_HELD);
	ck_assert(clock.held);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
}
END_TEST

START_TEST(start_within_one_boot_takes_a_long_pause)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON - DAY, true, NOON - BOOT, 0,
			     0, BOOT, NOON + 3),
	    CLOCK_START_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + 3);
}
END_TEST

/* The machine was on for two hours since the last tick, and then off. */
START_TEST(power_off_is_held_where_a_tpm_counted)
{
	struct site_clock clock;
	int64_t counted = NOON + 2 * HOUR;

	ck_assert_int_eq(clock_begin(&clock, NOON, false, 0, 0, counted, BOOT,
			     counted + 3 * DAY),
	    CLOCK_START_HELD);
	ck_assert_int_eq(clock_time(&clock, BOOT), counted);
	ck_assert_int_eq(clock.held_wall, counted + 3 * DAY);
	/* An admin knows that it was off. */
	ck_assert(
	    clock_confirm(&clock, BOOT + MINUTE, counted + 3 * DAY + MINUTE));
	ck_assert_int_eq(clock_time(&clock, BOOT + MINUTE),
	    counted + 3 * DAY + MINUTE);
}
END_TEST

START_TEST(short_power_off_is_adopted)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON, false, 0, 0, NOON + HOUR,
			     BOOT, NOON + HOUR + 30 * MINUTE),
	    CLOCK_START_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + HOUR + 30 * MINUTE);
}
END_TEST

START_TEST(wall_behind_what_a_tpm_counted_is_not_followed)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON, false, 0, 0, NOON + DAY,
			     BOOT, NOON + HOUR),
	    CLOCK_START_BEHIND);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + DAY);
}
END_TEST

/* A TPM that was put back counts less than was journaled. */
START_TEST(what_a_tpm_counted_never_puts_time_before_the_journal)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON, false, 0, 0, NOON - DAY,
			     BOOT, NOON + MINUTE),
	    CLOCK_START_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + MINUTE);
}
END_TEST

/* Within one boot CLOCK_BOOTTIME knows better: it counts sleep too. */
START_TEST(within_one_boot_the_tpm_is_not_asked)
{
	struct site_clock clock;

	ck_assert_int_eq(clock_begin(&clock, NOON, true, NOON - BOOT, 0,
			     NOON + DAY, BOOT, NOON + MINUTE),
	    CLOCK_START_FINE);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON + MINUTE);
}
END_TEST

START_TEST(stale_offset_never_puts_time_before_the_journal)
{
	struct site_clock clock;

	clock_begin(&clock, NOON, true, NOON - BOOT - DAY, 0, 0, BOOT,
	    NOON - DAY);
	ck_assert_int_eq(clock_time(&clock, BOOT), NOON);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("clock");
	TCase *run = tcase_create("site clock");
	TCase *start = tcase_create("start");

	tcase_add_test(run, no_step_ahead_shortens_a_wait);
	tcase_add_test(run, start_within_one_boot_keeps_a_wait);
	tcase_add_test(run, time_follows_the_wall_clock);
	tcase_add_test(run, time_never_goes_back_with_the_wall_clock);
	tcase_add_test(run, forward_step_of_an_hour_is_adopted);
	tcase_add_test(run, forward_jump_above_an_hour_is_held_and_told_once);
	tcase_add_test(run, small_steps_do_not_add_up_to_a_jump_in_a_day);
	tcase_add_test(run, wall_clock_set_right_lets_go);
	tcase_add_test(run, confirmed_jump_is_adopted);
	tcase_add_test(run, confirmed_mistake_is_put_back);
	tcase_add_test(run, put_back_under_a_wrong_wall_clock_is_held_again);
	suite_add_tcase(suite, run);
	tcase_add_test(start, start_behind_the_journal_goes_on_from_it);
	tcase_add_test(start, start_after_a_reboot_takes_a_long_power_off);
	tcase_add_test(start, start_within_one_boot_holds_a_jump);
	tcase_add_test(start, start_within_one_boot_takes_a_long_pause);
	tcase_add_test(start, power_off_is_held_where_a_tpm_counted);
	tcase_add_test(start, short_power_off_is_adopted);
	tcase_add_test(start, wall_behind_what_a_tpm_counted_is_not_followed);
	tcase_add_test(start,
	    what_a_tpm_counted_never_puts_time_before_the_journal);
	tcase_add_test(start, within_one_boot_the_tpm_is_not_asked);
	tcase_add_test(start, stale_offset_never_puts_time_before_the_journal);
	suite_add_tcase(suite, start);
	return suite;
}
