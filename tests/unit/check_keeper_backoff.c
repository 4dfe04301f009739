/* When agents come back: each for itself, and a thousand together. */
#include "agent/keeper/backoff.h"
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <string.h>

#define AGENTS 1000
#define SECONDS 600

static uint64_t state = 1;

/* xorshift64*: the same each time. */
static uint32_t
any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(state * UINT64_C(2685821657736338717) >> 32);
}

START_TEST(one_agent_comes_back_soon_and_then_less_often)
{
	struct backoff backoff = { 0 };

	ck_assert_uint_eq(backoff_ms(&backoff, 0), 0);
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 200);
	backoff.failures = 3;
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 1600);
	backoff.failures = 1000000;
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 30000);
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX / 2), 15000);
}
END_TEST

START_TEST(a_spread_that_was_asked_for_has_bounds)
{
	struct backoff backoff = { .spread_ms = 8000 };

	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 8000);
	backoff.failures = 1;
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 16000);
	/* Leases come first. */
	backoff.bound_ms = 3000;
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 3000);
	backoff.failures = 6;
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 12800);
	/* A site that asks for too much is not believed. */
	backoff = (struct backoff){ .spread_ms = UINT32_MAX };
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 60000);
	backoff.failures = 2;
	ck_assert_uint_eq(backoff_ms(&backoff, UINT32_MAX), 120000);
}
END_TEST

/* A thousand lose the site at 0; it is back after `away_ms`. The most that
 * arrive, well or in vain, in any second. */
static int
peak_of(uint32_t spread_ms, uint32_t away_ms, uint32_t *last_ms)
{
	static uint32_t arrivals[AGENTS * 64];
	int n = 0, peak = 0;

	*last_ms = 0;
	for (int i = 0; i < AGENTS; i++) {
		struct backoff backoff = { .spread_ms = spread_ms,
			.bound_ms = 40000 };
		uint32_t now = 0;

		do {
			now += backoff_ms(&backoff, any());
			backoff.failures++;
			ck_assert_int_lt(n, AGENTS * 64);
			arrivals[n++] = now;
		} while (now < away_ms);
		if (now > *last_ms)
			*last_ms = now;
	}
	for (int i = 0; i < n; i++) {
		int within = 0;

		for (int j = 0; j < n; j++)
			within += arrivals[j] >= arrivals[i] &&
			    arrivals[j] < arrivals[i] + 1000;
		if (within > peak)
			peak = within;
	}
	return peak;
}

START_TEST(a_thousand_do_not_come_in_one_second)
{
	static const uint32_t away_ms[] = { 50, 500, 2000, 5000, 20000, 60000 };
	uint32_t last_ms;

	for (size_t i = 0; i < sizeof(away_ms) / sizeof(away_ms[0]); i++) {
		int peak = peak_of(8000, away_ms[i], &last_ms);

		ck_assert_msg(peak <= AGENTS / 4, "away %u ms: %d in a second",
		    away_ms[i], peak);
		/* And nobody waits longer than leases allow. */
		ck_assert_uint_le(last_ms, away_ms[i] + 40000);
	}
	/* Without the spread they would. */
	ck_assert_int_gt(peak_of(0, 50, &last_ms), AGENTS * 9 / 10);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper_backoff");
	TCase *tcase = tcase_create("backoff");

	tcase_add_test(tcase, one_agent_comes_back_soon_and_then_less_often);
	tcase_add_test(tcase, a_spread_that_was_asked_for_has_bounds);
	tcase_add_test(tcase, a_thousand_do_not_come_in_one_second);
	suite_add_tcase(s, tcase);
	return s;
}
