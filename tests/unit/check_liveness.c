/* Deadlines of leases, and the map under them. */
#include "appliance/ledger/contracts.h"
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/liveness.h"
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <string.h>

#define SKEW LEDGER_SKEW_MS
#define AGAIN 5000

static struct liveness live;

static void
set_up(void)
{
	memset(&live, 0, sizeof(live));
}

static void
tear_down(void)
{
	liveness_release(&live);
}

static uint64_t
due(int64_t boottime)
{
	struct live_lease *lease = liveness_due(&live, boottime, AGAIN);

	return lease == NULL ? 0 : lease->lease;
}

START_TEST(seat_is_free_after_span_grace_and_skew)
{
	ck_assert_int_eq(liveness_add(&live, 7, 1, 1, 120, 300, 1000), 0);
	ck_assert_int_eq(liveness_wait_ms(&live, 1000), 420000 + SKEW);
	ck_assert_uint_eq(due(1000 + 420000 + SKEW - 1), 0);
	ck_assert_uint_eq(due(1000 + 420000 + SKEW), 7);
}
END_TEST

START_TEST(renewal_moves_the_deadline)
{
	liveness_add(&live, 7, 1, 1, 10, 0, 0);
	liveness_renew(liveness_get(&live, 7), 8000);
	ck_assert_uint_eq(due(10000 + SKEW), 0);
	ck_assert_int_eq(liveness_wait_ms(&live, 10000 + SKEW), 8000);
	ck_assert_uint_eq(due(18000 + SKEW), 7);
}
END_TEST

START_TEST(deadline_that_came_to_nothing_is_told_again)
{
	liveness_add(&live, 7, 1, 1, 1, 0, 0);
	ck_assert_uint_eq(due(1000 + SKEW), 7);
	ck_assert_uint_eq(due(1000 + SKEW), 0);
	ck_assert_uint_eq(due(1000 + SKEW + AGAIN), 7);
}
END_TEST

START_TEST(lease_that_is_ending_is_not_told)
{
	liveness_add(&live, 7, 1, 1, 1, 0, 0);
	liveness_get(&live, 7)->ending = 1;
	ck_assert_uint_eq(due(1000 + SKEW), 0);
	liveness_get(&live, 7)->ending = 0;
	ck_assert_uint_eq(due(1000 + SKEW + AGAIN), 7);
}
END_TEST

START_TEST(ended_lease_leaves_its_device)
{
	liveness_add(&live, 1, 5, 1, 1, 0, 0);
	liveness_add(&live, 2, 5, 1, 1, 0, 0);
	liveness_add(&live, 3, 5, 1, 1, 0, 0);
	ck_assert_uint_eq(liveness_count_device(&live, 5), 3);
	liveness_remove(&live, 2);
	liveness_remove(&live, 2);
	ck_assert_uint_eq(liveness_count_device(&live, 5), 2);
	ck_assert_uint_eq(liveness_of_device(&live, 5)->lease, 3);
	ck_assert_uint_eq(liveness_of_device(&live, 5)->next->lease, 1);
	liveness_remove(&live, 3);
	liveness_remove(&live, 1);
	ck_assert_ptr_null(liveness_of_device(&live, 5));
	ck_assert_int_eq(liveness_wait_ms(&live, 0), -1);
}
END_TEST

/* Against the plainest model: an array of deadlines. */
START_TEST(deadlines_come_as_a_plain_list_says)
{
	enum { N = 500, STEPS = 40000 };
	static int64_t deadline[N + 1]; /* 0: not held */
	int64_t now = 1;
	size_t late = 0;

	memset(deadline, 0, sizeof(deadline));
	srand(4711);
	for (int step = 0; step < STEPS; step++) {
		uint64_t lease = 1 + (uint64_t)(rand() % N);
		uint32_t ttl = 1 + (uint32_t)lease % 37;

		now += rand() % 50;
		switch (rand() % 4) {
		case 0:
			if (deadline[lease] == 0) {
				ck_assert_int_eq(liveness_add(&live, lease,
						     lease % 11, 1, ttl, 1,
						     now),
				    0);
				deadline[lease] = now + (ttl + 1) * 1000 + SKEW;
			}
			break;
		case 1:
			if (deadline[lease] != 0) {
				liveness_renew(liveness_get(&live, lease), now);
				deadline[lease] = now + (ttl + 1) * 1000 + SKEW;
			}
			break;
		case 2:
			if (rand() % 4 == 0) {
				liveness_remove(&live, lease);
				deadline[lease] = 0;
			}
			break;
		default:
			while ((lease = due(now)) != 0) {
				ck_assert_int_ne(deadline[lease], 0);
				ck_assert_int_le(deadline[lease], now);
				liveness_remove(&live, lease);
				deadline[lease] = 0;
			}
			for (int i = 1; i <= N; i++)
				late += deadline[i] != 0 && deadline[i] <= now;
		}
	}
	size_t held = 0, of_devices = 0;

	ck_assert_uint_eq(late, 0);
	for (int i = 1; i <= N; i++)
		held += deadline[i] != 0;
	for (uint64_t device = 0; device < 11; device++)
		of_devices += liveness_count_device(&live, device);
	ck_assert_uint_eq(held, live.leases.count);
	ck_assert_uint_eq(held, of_devices);
}
END_TEST

START_TEST(table_finds_what_a_plain_list_holds)
{
	enum { N = 3000 };
	static char present[N];
	struct table table = { 0 };
	int mark;

	srand(42);
	for (int step = 0; step < 100000; step++) {
		int key = rand() % N;

		if (rand() % 2 == 0) {
			ck_assert_int_eq(table_put(&table, (uint64_t)key,
					     &mark),
			    0);
			present[key] = 1;
		} else {
			ck_assert_int_eq(table_remove(&table, (uint64_t)key) !=
				NULL,
			    present[key]);
			present[key] = 0;
		}
	}
	size_t count = 0, walked = 0, at = 0;

	for (int key = 0; key < N; key++) {
		ck_assert_int_eq(table_get(&table, (uint64_t)key) != NULL,
		    present[key]);
		count += (size_t)present[key];
	}
	while (table_next(&table, &at) != NULL)
		walked++;
	ck_assert_uint_eq(walked, count);
	ck_assert_uint_eq(table.count, count);
	table_release(&table);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("liveness");
	TCase *tcase = tcase_create("liveness");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, seat_is_free_after_span_grace_and_skew);
	tcase_add_test(tcase, renewal_moves_the_deadline);
	tcase_add_test(tcase, deadline_that_came_to_nothing_is_told_again);
	tcase_add_test(tcase, lease_that_is_ending_is_not_told);
	tcase_add_test(tcase, ended_lease_leaves_its_device);
	tcase_add_test(tcase, deadlines_come_as_a_plain_list_says);
	tcase_add_test(tcase, table_finds_what_a_plain_list_holds);
	suite_add_tcase(suite, tcase);
	return suite;
}
