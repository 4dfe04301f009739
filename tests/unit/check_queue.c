/* The queue: order, offers, places, absence, limits. */
#include "appliance/ledger/queue.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

#define CLAIM 15000
#define ABSENT 60000
#define HOUR 3600000

static struct queue queue;
static int64_t now;

static void
set_up(void)
{
	memset(&queue, 0, sizeof(queue));
	queue.limits = (struct queue_limits){ .pool_max = 20000,
		.device_max = 20000,
		.total_max = 20000,
		.claim_ms = CLAIM,
		.absent_ms = ABSENT };
	now = 1000;
}

static void
tear_down(void)
{
	queue_release(&queue);
	ck_assert_uint_eq(queue_count(&queue), 0);
	ck_assert_ptr_null(queue.first_pool);
	ck_assert_ptr_null(queue.first_absent);
}

static void
name_request(uint8_t request[REQUEST_BYTES], unsigned int name)
{
	memset(request, 0, REQUEST_BYTES);
	memcpy(request, &name, sizeof(name));
}

struct join {
	const char *feature;
	uint32_t count;
	int32_t priority;
	int64_t wait_ms;
	bool absent;
};

static int
try_join(struct waiter **waiter, uint64_t device, unsigned int name,
    const struct join *join)
{
	uint8_t request[REQUEST_BYTES], digest[QUEUE_DIGEST_BYTES] = { 0 };
	struct queue_ask ask = {
		.device = device,
		.request = request,
		.digest = digest,
		.product = "davinci",
		.feature = join->feature == NULL ? "" : join->feature,
		.user = "alice",
		.host = "ws-1",
		.license = 7,
		.count = join->count == 0 ? 1 : join->count,
		.priority = join->priority,
		.refusal = ERR_NO_SEATS,
		.wait_ms = join->wait_ms == 0 ? HOUR : join->wait_ms,
		.present = !join->absent,
	};

	name_request(request, name);
	return queue_join(waiter, &queue, &ask, now);
}

static struct waiter *
join(uint64_t device, unsigned int name, const struct join *how)
{
	const struct join plain = { 0 };
	struct waiter *waiter = NULL;

	ck_assert_int_eq(try_join(&waiter, device, name,
			     how == NULL ? &plain : how),
	    0);
	return waiter;
}

static struct queue_pool *
pool(void)
{
	return queue_pool_find(&queue, "davinci", "");
}

/* --- order --------------------------------------------------------------- */

START_TEST(first_come_is_first_offered)
{
	struct waiter *waiters[3];

	for (unsigned int i = 0; i < 3; i++)
		waiters[i] = join(i + 1, i, NULL);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_uint_eq(queue_place(waiters[i]), i + 1);
	ck_assert_ptr_null(queue_next(pool(), 0));
	ck_assert_ptr_eq(queue_next(pool(), 1), waiters[0]);
	queue_offer(&queue, waiters[0], now);
	/* The one free seat is set aside, a second one is not. */
	ck_assert_ptr_null(queue_next(pool(), 1));
	ck_assert_ptr_eq(queue_next(pool(), 2), waiters[1]);
	/* It stands in line until it has claimed. */
	ck_assert_uint_eq(queue_place(waiters[1]), 2);
	queue_claim(&queue, waiters[0]);
	ck_assert_ptr_null(queue_next(pool(), 1));
	queue_leave(&queue, waiters[0]);
	ck_assert_uint_eq(queue_place(waiters[1]), 1);
	ck_assert_ptr_eq(queue_next(pool(), 1), waiters[1]);
}
END_TEST

START_TEST(higher_priority_goes_first_and_equals_by_arrival)
{
	const struct join high = { .priority = 5 }, low = { .priority = -5 };
	struct waiter *last = join(1, 1, &low);
	struct waiter *third = join(2, 2, NULL);
	struct waiter *first = join(3, 3, &high);
	struct waiter *second = join(4, 4, &high);

	ck_assert_uint_eq(queue_place(first), 1);
	ck_assert_uint_eq(queue_place(second), 2);
	ck_assert_uint_eq(queue_place(third), 3);
	ck_assert_uint_eq(queue_place(last), 4);
	ck_assert_ptr_eq(queue_next(pool(), 1), first);
}
END_TEST

START_TEST(waiter_for_many_seats_is_not_overtaken_by_one_for_few)
{
	const struct join many = { .count = 5 };
	struct waiter *head = join(1, 1, &many);
	struct waiter *small = join(2, 2, NULL);

	ck_assert_ptr_null(queue_next(pool(), 4));
	ck_assert_ptr_eq(queue_next(pool(), 5), head);
	queue_offer(&queue, head, now);
	ck_assert_ptr_null(queue_next(pool(), 5));
	ck_assert_ptr_eq(queue_next(pool(), 6), small);
}
END_TEST

START_TEST(features_have_queues_of_their_own)
{
	const struct join other = { .feature = "can" };
	struct waiter *a = join(1, 1, NULL);
	struct waiter *b = join(1, 2, &other);

	ck_assert_uint_eq(queue_place(a), 1);
	ck_assert_uint_eq(queue_place(b), 1);
	ck_assert_ptr_ne(a->pool, b->pool);
	ck_assert_ptr_eq(queue_pool_find(&queue, "davinci", "can"), b->pool);
	ck_assert_ptr_null(queue_pool_find(&queue, "davincic", "an"));
	queue_leave(&queue, a);
	ck_assert_ptr_null(pool());
	ck_assert_ptr_eq(queue_pool_find(&queue, "davinci", "can"), b->pool);
}
END_TEST

START_TEST(waiter_is_known_by_device_and_request)
{
	uint8_t request[REQUEST_BYTES];
	struct waiter *a = join(1, 1, NULL);
	struct waiter *b = join(2, 1, NULL);

	name_request(request, 1);
	ck_assert_ptr_eq(queue_find(&queue, 1, request), a);
	ck_assert_ptr_eq(queue_find(&queue, 2, request), b);
	ck_assert_ptr_null(queue_find(&queue, 3, request));
	name_request(request, 2);
	ck_assert_ptr_null(queue_find(&queue, 1, request));
	ck_assert_ptr_eq(queue_get(&queue, a->number), a);
	ck_assert_ptr_eq(queue_after(&queue, a->number), b);
	ck_assert_ptr_null(queue_after(&queue, b->number));
	ck_assert_ptr_null(queue_get(&queue, 0));
	ck_assert_ptr_null(queue_get(&queue, b->number + 1));
}
END_TEST

/* --- offers -------------------------------------------------------------- */

START_TEST(offer_that_is_not_claimed_lapses_to_the_next)
{
	struct waiter *a = join(1, 1, NULL);
	struct waiter *b = join(2, 2, NULL);
	enum queue_over over;

	queue_offer(&queue, a, now);
	ck_assert_ptr_null(queue_take_over(&over, &queue, now + CLAIM - 1));
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + CLAIM), a);
	ck_assert_int_eq(over, QUEUE_OFFER_OVER);
	queue_take_due(&queue, now);
	queue_leave(&queue, a);
	ck_assert_ptr_eq(queue_take_due(&queue, now), pool());
	ck_assert_ptr_eq(queue_next(pool(), 1), b);
}
END_TEST

START_TEST(claim_that_was_raced_keeps_its_place)
{
	struct waiter *a = join(1, 1, NULL);
	enum queue_over over;

	join(2, 2, NULL);
	queue_offer(&queue, a, now);
	queue_claim(&queue, a);
	/* No deadline holds while it is on its way. */
	ck_assert_ptr_ne(queue_take_over(&over, &queue, now + HOUR), a);
	queue_unclaim(&queue, a);
	ck_assert_uint_eq(queue_place(a), 1);
	ck_assert_uint_eq(pool()->offered + pool()->claiming, 0);
	ck_assert_ptr_eq(queue_next(pool(), 1), a);
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + HOUR), a);
	ck_assert_int_eq(over, QUEUE_WAIT_OVER);
}
END_TEST

START_TEST(offer_made_is_good_beyond_the_wait)
{
	const struct join hasty = { .wait_ms = 1000 };
	struct waiter *a = join(1, 1, &hasty);
	enum queue_over over;

	queue_offer(&queue, a, now + 999);
	ck_assert_ptr_null(
	    queue_take_over(&over, &queue, now + 999 + CLAIM - 1));
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + 999 + CLAIM), a);
	ck_assert_int_eq(over, QUEUE_OFFER_OVER);
}
END_TEST

START_TEST(pool_that_was_put_off_gets_its_turn_later)
{
	join(1, 1, NULL);
	ck_assert_ptr_eq(queue_take_due(&queue, now), pool());
	ck_assert_ptr_null(queue_take_due(&queue, now));
	queue_pool_put_off(&queue, pool(), now + 500);
	queue_license_set_due(&queue, 7);
	ck_assert_ptr_null(queue_take_due(&queue, now + 499));
	ck_assert_ptr_eq(queue_take_due(&queue, now + 500), pool());
}
END_TEST

START_TEST(pools_are_due_by_their_license)
{
	const struct join other = { .feature = "can" };
	struct waiter *a = join(1, 1, NULL);

	join(1, 2, &other);
	while (queue_take_due(&queue, now) != NULL)
		;
	ck_assert_int_eq(queue_pool_set_license(&queue, a->pool, 8), 0);
	queue_license_set_due(&queue, 8);
	ck_assert_ptr_eq(queue_take_due(&queue, now), a->pool);
	ck_assert_ptr_null(queue_take_due(&queue, now));
	queue_license_set_due(&queue, 7);
	ck_assert_ptr_eq(queue_take_due(&queue, now),
	    queue_pool_find(&queue, "davinci", "can"));
	ck_assert_ptr_null(queue_take_due(&queue, now));
	queue_license_set_due(&queue, 9);
	ck_assert_ptr_null(queue_take_due(&queue, now));
	ck_assert_int_eq(queue_pool_set_license(&queue, a->pool, 7), 0);
	queue_license_set_due(&queue, 7);
	ck_assert_ptr_nonnull(queue_take_due(&queue, now));
	ck_assert_ptr_nonnull(queue_take_due(&queue, now));
}
END_TEST

/* --- absence ------------------------------------------------------------- */

START_TEST(device_that_is_away_is_passed_over_and_keeps_its_place)
{
	struct waiter *a = join(1, 1, NULL);
	struct waiter *b = join(2, 2, NULL);
	enum queue_over over;

	queue_set_absent(&queue, 1, now);
	ck_assert_ptr_eq(queue_next(pool(), 1), b);
	ck_assert_uint_eq(queue_place(a), 1);
	ck_assert_uint_eq(queue_pool_ahead(pool()), 1);
	ck_assert_ptr_null(queue_take_over(&over, &queue, now + ABSENT - 1));
	queue_set_present(&queue, 1);
	ck_assert_ptr_eq(queue_next(pool(), 1), a);
	ck_assert_ptr_null(queue_take_over(&over, &queue, now + ABSENT));
	queue_set_absent(&queue, 1, now);
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + ABSENT), a);
	ck_assert_int_eq(over, QUEUE_ABSENT_OVER);
}
END_TEST

START_TEST(offer_to_a_device_that_goes_away_passes_on_at_once)
{
	struct waiter *a = join(1, 1, NULL);
	struct waiter *b = join(2, 2, NULL);

	queue_offer(&queue, a, now);
	queue_take_due(&queue, now);
	queue_set_absent(&queue, 1, now);
	ck_assert_ptr_eq(queue_take_due(&queue, now), pool());
	ck_assert_ptr_eq(queue_next(pool(), 1), b);
	ck_assert_uint_eq(queue_place(a), 1);
}
END_TEST

START_TEST(coming_and_going_does_not_hold_a_seat_up_for_ever)
{
	struct waiter *a = join(1, 1, NULL);
	enum queue_over over;
	int offers = 0;

	while (queue_next(pool(), 1) == a) {
		queue_offer(&queue, a, now);
		queue_set_absent(&queue, 1, now);
		queue_set_present(&queue, 1);
		ck_assert_int_le(++offers, QUEUE_OFFERS_MAX);
	}
	ck_assert_int_eq(offers, QUEUE_OFFERS_MAX);
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + CLAIM), a);
	ck_assert_int_eq(over, QUEUE_OFFER_OVER);
}
END_TEST

START_TEST(waiter_that_joins_without_a_session_is_away)
{
	const struct join absent = { .absent = true };
	enum queue_over over;
	struct waiter *a = join(1, 1, &absent);

	ck_assert_ptr_null(queue_next(pool(), 1));
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + ABSENT), a);
	queue_set_present(&queue, 1);
	ck_assert_ptr_eq(queue_next(pool(), 1), a);
}
END_TEST

START_TEST(devices_away_leave_in_the_order_they_went)
{
	struct waiter *waiters[3];
	enum queue_over over;

	for (unsigned int i = 0; i < 3; i++)
		waiters[i] = join(i + 1, i, NULL);
	for (unsigned int i = 0; i < 3; i++)
		queue_set_absent(&queue, 3 - i, now + (int64_t)i * 1000);
	queue_set_present(&queue, 2);
	queue_set_absent(&queue, 2, now + 5000);
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + ABSENT),
	    waiters[2]);
	queue_leave(&queue, waiters[2]);
	ck_assert_ptr_null(queue_take_over(&over, &queue, now + ABSENT));
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + 2000 + ABSENT),
	    waiters[0]);
	queue_leave(&queue, waiters[0]);
	ck_assert_ptr_eq(queue_take_over(&over, &queue, now + 5000 + ABSENT),
	    waiters[1]);
}
END_TEST

/* --- limits -------------------------------------------------------------- */

START_TEST(full_queue_refuses_and_stays_as_it_was)
{
	const struct join plain = { 0 }, other = { .feature = "can" };
	struct waiter *waiter, *first;

	queue.limits.pool_max = 3;
	queue.limits.device_max = 2;
	queue.limits.total_max = 4;
	first = join(1, 1, NULL);
	join(1, 2, NULL);
	ck_assert_int_eq(try_join(&waiter, 1, 3, &other), ERR_QUEUE_FULL);
	join(2, 1, NULL);
	ck_assert_int_eq(try_join(&waiter, 2, 2, &plain), ERR_QUEUE_FULL);
	join(2, 3, &other);
	ck_assert_int_eq(try_join(&waiter, 3, 1, &other), ERR_QUEUE_FULL);
	ck_assert_uint_eq(queue_count(&queue), 4);
	queue_leave(&queue, first);
	join(3, 1, &other);
}
END_TEST

/* --- places -------------------------------------------------------------- */

struct told {
	unsigned int n;
	uint64_t worst; /* place told that was not its own */
};

static void
note_told(void *ctx, const struct waiter *waiter)
{
	struct told *told = ctx;

	told->n++;
	if (waiter->told_place != queue_place(waiter))
		told->worst = waiter->number;
}

static unsigned int
tell_round(void)
{
	struct told told = { 0 };

	queue_tell_places(&queue, note_told, &told);
	ck_assert_uint_eq(told.worst, 0);
	return told.n;
}

START_TEST(place_is_told_once_when_it_changed)
{
	struct waiter *waiters[3];

	for (unsigned int i = 0; i < 3; i++) {
		waiters[i] = join(i + 1, i, NULL);
		waiters[i]->told_place = i + 1;
	}
	ck_assert_uint_eq(tell_round(), 0);
	queue_leave(&queue, waiters[0]);
	ck_assert_uint_eq(tell_round(), 2);
	ck_assert_uint_eq(tell_round(), 0);
	/* Who is away is told when it is back. */
	queue_set_absent(&queue, 3, now);
	queue_leave(&queue, waiters[1]);
	ck_assert_uint_eq(tell_round(), 0);
	queue_set_present(&queue, 3);
	ck_assert_uint_eq(tell_round(), 1);
}
END_TEST

START_TEST(step_of_a_long_queue_makes_few_notices_a_round)
{
	struct waiter *waiter;
	unsigned int rounds = 0, told = 0;

	for (unsigned int i = 0; i < 10000; i++)
		join(i % 100, i, NULL)->told_place = i + 1;
	queue_leave(&queue, queue_head(pool()));
	/* The first hundred at once. */
	unsigned int first = tell_round();

	ck_assert_uint_ge(first, QUEUE_TELL_FIRST);
	ck_assert_uint_le(first, QUEUE_TELL_MAX);
	waiter = queue_head(pool());
	ck_assert_uint_eq(waiter->told_place, 1);
	for (told = first; told < 9999; rounds++) {
		unsigned int n = tell_round();

		ck_assert_uint_le(n, QUEUE_TELL_MAX);
		ck_assert_uint_le(rounds, 2 * QUEUE_TELL_ROUNDS);
		told += n;
	}
	ck_assert_uint_eq(told, 9999);
	ck_assert_uint_eq(tell_round(), 0);
}
END_TEST

START_TEST(no_pool_keeps_another_from_its_notices)
{
	char feature[16];
	struct join how = { .feature = feature };

	/* More changes at once than a round has notices. */
	for (unsigned int p = 0; p < 40; p++) {
		snprintf(feature, sizeof(feature), "f%u", p);
		for (unsigned int i = 0; i < 101; i++) {
			how.priority = i == 100;
			join(p, i, &how);
		}
	}
	ck_assert_uint_eq(tell_round(), QUEUE_TELL_MAX);
	ck_assert_uint_eq(tell_round(), QUEUE_TELL_MAX);
	ck_assert_uint_ge(tell_round(), 40);
	for (struct waiter *w = queue_after(&queue, 0); w != NULL;
	     w = queue_after(&queue, w->number))
		ck_assert_uint_ne(w->told_place, 0);
}
END_TEST

/* --- cost ---------------------------------------------------------------- */

/* Ten times as many waiters must not make a step ten times as dear. Places,
 * offers, claims and leaving, in a queue that stays as long as it is. */
static int64_t
time_steps(unsigned int n)
{
	unsigned int name = 0;
	uint64_t sum = 0;

	set_up();
	for (; name < n; name++)
		join(name % 128, name, NULL);
	int64_t began = clock_boottime_us();

	for (int i = 0; i < 20000; i++, name++) {
		struct waiter *head = queue_next(pool(), 1);

		queue_offer(&queue, head, now);
		queue_claim(&queue, head);
		queue_leave(&queue, head);
		sum += queue_place(join(name % 128, name, NULL));
		queue_take_due(&queue, now);
	}
	int64_t took = clock_boottime_us() - began;

	ck_assert_uint_eq(sum, 20000 * (uint64_t)n);
	tear_down();
	return took;
}

START_TEST(step_of_ten_thousand_waiters_costs_little_more_than_of_ten)
{
	int64_t few = time_steps(10), many = time_steps(10000);

	ck_assert_msg(many < 20 * few + 10000, "%lld us for 10, %lld for 10000",
	    (long long)few, (long long)many);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("queue");
	TCase *order = tcase_create("order");
	TCase *rest = tcase_create("rest");

	tcase_add_checked_fixture(order, set_up, tear_down);
	tcase_add_checked_fixture(rest, set_up, tear_down);
	tcase_set_timeout(rest, 60);
	tcase_add_test(order, first_come_is_first_offered);
	tcase_add_test(order, higher_priority_goes_first_and_equals_by_arrival);
	tcase_add_test(order,
	    waiter_for_many_seats_is_not_overtaken_by_one_for_few);
	tcase_add_test(order, features_have_queues_of_their_own);
	tcase_add_test(order, waiter_is_known_by_device_and_request);
	tcase_add_test(order, offer_that_is_not_claimed_lapses_to_the_next);
	tcase_add_test(order, claim_that_was_raced_keeps_its_place);
	tcase_add_test(order, offer_made_is_good_beyond_the_wait);
	tcase_add_test(order, pool_that_was_put_off_gets_its_turn_later);
	tcase_add_test(order, pools_are_due_by_their_license);
	tcase_add_test(rest,
	    device_that_is_away_is_passed_over_and_keeps_its_place);
	tcase_add_test(rest,
	    offer_to_a_device_that_goes_away_passes_on_at_once);
	tcase_add_test(rest, coming_and_going_does_not_hold_a_seat_up_for_ever);
	tcase_add_test(rest, waiter_that_joins_without_a_session_is_away);
	tcase_add_test(rest, devices_away_leave_in_the_order_they_went);
	tcase_add_test(rest, full_queue_refuses_and_stays_as_it_was);
	tcase_add_test(rest, place_is_told_once_when_it_changed);
	tcase_add_test(rest, step_of_a_long_queue_makes_few_notices_a_round);
	tcase_add_test(rest, no_pool_keeps_another_from_its_notices);
	tcase_add_test(rest,
	    step_of_ten_thousand_waiters_costs_little_more_than_of_ten);
	suite_add_tcase(suite, order);
	suite_add_tcase(suite, rest);
	return suite;
}
