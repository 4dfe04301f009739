/*
 * The queue against a plain model: random devices join, leave, go away, claim
 * and let offers lapse, while seats come and go. After every step: places and
 * heads are those of a sorted list, nobody is offered a seat before one ahead
 * who could take it, no more seats are offered than are free, and no seat lies
 * free unnoticed while the head could have it.
 */
#include "appliance/ledger/queue.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOLS 3
#define DEVICES 6
#define STEPS 1000
#define SEEDS 20
#define MODEL_MAX 32
#define CLAIM 5000
#define ABSENT 9000

struct model_waiter {
	struct waiter *waiter;
	uint64_t number;
	unsigned int pool;
	uint64_t device;
	uint32_t count;
	int32_t priority;
	enum waiter_state state;
	int64_t until, claim_until;
};

struct sim {
	struct queue queue;
	struct model_waiter waiters[MODEL_MAX]; /* by number */
	size_t n;
	int64_t away_since[DEVICES + 1]; /* -1: it is there */
	uint64_t free[POOLS]; /* by the ledger */
	uint64_t held[POOLS];
	int64_t now;
	uint64_t random;
	unsigned int name;
	unsigned int granted, lapsed, raced; /* that it all happened */
};

static uint64_t
draw(struct sim *sim, uint64_t below)
{
	/* xorshift64 (Marsaglia 2003) */
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 7;
	sim->random ^= sim->random << 17;
	return sim->random % below;
}

static const char *
feature_of(unsigned int pool)
{
	static const char *const features[POOLS] = { "", "can", "lin" };

	return features[pool];
}

static bool
stands_before(const struct model_waiter *a, const struct model_waiter *b)
{
	return a->priority > b->priority ||
	    (a->priority == b->priority && a->number < b->number);
}

static bool
is_ready(const struct sim *sim, const struct model_waiter *w)
{
	return w->state == WAITER_WAITING && sim->away_since[w->device] < 0;
}

static void
forget(struct sim *sim, size_t i)
{
	memmove(&sim->waiters[i], &sim->waiters[i + 1],
	    (sim->n - i - 1) * sizeof(sim->waiters[0]));
	sim->n--;
}

static size_t
model_of(const struct sim *sim, const struct waiter *waiter)
{
	size_t i = 0;

	while (i < sim->n && sim->waiters[i].waiter != waiter)
		i++;
	ck_assert_uint_lt(i, sim->n);
	return i;
}

/* --- invariants ---------------------------------------------------------- */

static void
check_pool(const struct sim *sim, unsigned int p)
{
	const struct queue_pool *pool =
	    queue_pool_find(&sim->queue, "davinci", feature_of(p));
	const struct model_waiter *head = NULL;
	uint64_t offered = 0, claiming = 0;
	uint32_t length = 0, ahead = 0;

	for (size_t i = 0; i < sim->n; i++) {
		const struct model_waiter *w = &sim->waiters[i];

		if (w->pool != p)
			continue;
		length++;
		offered += w->state == WAITER_OFFERED ? w->count : 0;
		claiming += w->state == WAITER_CLAIMING ? w->count : 0;
		if (!is_ready(sim, w))
			continue;
		ahead++;
		if (head == NULL || stands_before(w, head))
			head = w;
	}
	if (pool == NULL) {
		ck_assert_uint_eq(length, 0);
		return;
	}
	ck_assert_uint_eq(queue_pool_length(pool), length);
	ck_assert_uint_eq(queue_pool_ahead(pool), ahead);
	ck_assert_uint_eq(pool->offered, offered);
	ck_assert_uint_eq(pool->claiming, claiming);
	ck_assert_ptr_eq(queue_head(pool), head == NULL ? NULL : head->waiter);
	/* Nobody is forgotten. */
	if (head != NULL && offered + claiming + head->count <= sim->free[p])
		ck_assert(pool->due);
}

static void
check_waiters(const struct sim *sim)
{
	for (size_t i = 0; i < sim->n; i++) {
		const struct model_waiter *w = &sim->waiters[i];
		uint32_t before = 0;

		ck_assert_uint_eq(w->waiter->number, w->number);
		ck_assert_int_eq(w->waiter->state, w->state);
		ck_assert_ptr_eq(queue_get(&sim->queue, w->number), w->waiter);
		for (size_t j = 0; j < sim->n; j++)
			before += sim->waiters[j].pool == w->pool &&
			    stands_before(&sim->waiters[j], w);
		ck_assert_uint_eq(queue_place(w->waiter), before + 1);
	}
}

static void
check(const struct sim *sim)
{
	const struct waiter *waiter = NULL;
	uint64_t number = 0;

	ck_assert_uint_eq(queue_count(&sim->queue), sim->n);
	for (size_t i = 0; i < sim->n; i++) {
		waiter = queue_after(&sim->queue, number);
		ck_assert_ptr_eq(waiter, sim->waiters[i].waiter);
		number = waiter->number;
	}
	ck_assert_ptr_null(queue_after(&sim->queue, number));
	for (unsigned int p = 0; p < POOLS; p++)
		check_pool(sim, p);
	check_waiters(sim);
}

/* --- what happens -------------------------------------------------------- */

static void
join_one(struct sim *sim)
{
	uint8_t request[REQUEST_BYTES] = { 0 };
	const uint8_t digest[QUEUE_DIGEST_BYTES] = { 0 };
	struct model_waiter w = {
		.pool = (unsigned int)draw(sim, POOLS),
		.device = 1 + draw(sim, DEVICES),
		.count = 1 + (uint32_t)draw(sim, 3),
		.priority = draw(sim, 5) == 0 ? (int32_t)draw(sim, 3) - 1 : 0,
	};
	int64_t wait_ms = 1000 + (int64_t)draw(sim, 60000);
	struct queue_ask ask = {
		.device = w.device,
		.request = request,
		.digest = digest,
		.product = "davinci",
		.feature = feature_of(w.pool),
		.user = "",
		.host = "",
		.license = 1 + w.pool % 2,
		.count = w.count,
		.priority = w.priority,
		.refusal = ERR_NO_SEATS,
		.wait_ms = wait_ms,
		.present = sim->away_since[w.device] < 0,
	};

	sim->name++;
	memcpy(request, &sim->name, sizeof(sim->name));
	ck_assert_ptr_null(queue_find(&sim->queue, w.device, request));
	int rc = queue_join(&w.waiter, &sim->queue, &ask, sim->now);

	if (sim->n == MODEL_MAX) {
		ck_assert_int_eq(rc, ERR_QUEUE_FULL);
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_ptr_eq(queue_find(&sim->queue, w.device, request), w.waiter);
	w.number = w.waiter->number;
	w.until = sim->now + wait_ms;
	sim->waiters[sim->n++] = w;
	/* A device without waiters is not known to be away. */
	if (!ask.present && sim->away_since[w.device] == INT64_MAX)
		sim->away_since[w.device] = sim->now;
}

static void
leave_one(struct sim *sim, size_t i)
{
	uint64_t device = sim->waiters[i].device;
	bool others = false;

	queue_leave(&sim->queue, sim->waiters[i].waiter);
	forget(sim, i);
	for (size_t j = 0; j < sim->n; j++)
		others |= sim->waiters[j].device == device;
	/* Its absence counts from the next waiter on. */
	if (!others && sim->away_since[device] >= 0)
		sim->away_since[device] = INT64_MAX;
}

static void
move_device(struct sim *sim)
{
	uint64_t device = 1 + draw(sim, DEVICES);
	bool waits = false;

	for (size_t i = 0; i < sim->n; i++)
		waits |= sim->waiters[i].device == device;
	if (sim->away_since[device] >= 0) {
		queue_set_present(&sim->queue, device);
		sim->away_since[device] = -1;
		return;
	}
	queue_set_absent(&sim->queue, device, sim->now);
	sim->away_since[device] = waits ? sim->now : INT64_MAX;
	for (size_t i = 0; i < sim->n; i++) {
		struct model_waiter *w = &sim->waiters[i];

		if (w->device == device && w->state == WAITER_OFFERED &&
		    w->waiter->offers < QUEUE_OFFERS_MAX)
			w->state = WAITER_WAITING;
	}
}

/* What the process does when a pool is due. */
static void
take_turn(struct sim *sim)
{
	struct queue_pool *pool = queue_take_due(&sim->queue, sim->now);
	struct waiter *next;
	unsigned int p = 0;

	if (pool == NULL)
		return;
	while (strcmp(pool->feature, feature_of(p)) != 0)
		p++;
	while ((next = queue_next(pool, sim->free[p])) != NULL) {
		struct model_waiter *w = &sim->waiters[model_of(sim, next)];
		uint64_t aside = w->count;

		for (size_t i = 0; i < sim->n; i++) {
			const struct model_waiter *other = &sim->waiters[i];

			if (other == w || other->pool != p)
				continue;
			if (other->state != WAITER_WAITING)
				aside += other->count;
			ck_assert(
			    !is_ready(sim, other) || stands_before(w, other));
		}
		ck_assert_uint_le(aside, sim->free[p]);
		queue_offer(&sim->queue, next, sim->now);
		w->state = WAITER_OFFERED;
		w->claim_until = sim->now + CLAIM;
	}
}

static void
step_claim(struct sim *sim)
{
	if (sim->n == 0)
		return;
	size_t i = draw(sim, sim->n);

	/* Most often somebody who has an offer. */
	for (size_t j = 0; draw(sim, 8) != 0 && j < sim->n &&
	     sim->waiters[i].state == WAITER_WAITING;
	     j++)
		i = (i + 1) % sim->n;
	struct model_waiter *w = &sim->waiters[i];

	if (w->state == WAITER_OFFERED) {
		queue_claim(&sim->queue, w->waiter);
		w->state = WAITER_CLAIMING;
	} else if (w->state == WAITER_CLAIMING &&
	    w->count <= sim->free[w->pool]) {
		sim->free[w->pool] -= w->count;
		sim->held[w->pool] += w->count;
		sim->granted++;
		leave_one(sim, i);
	} else if (w->state == WAITER_CLAIMING) {
		queue_unclaim(&sim->queue, w->waiter);
		w->state = WAITER_WAITING;
		sim->raced++;
	} else if (draw(sim, 8) == 0) {
		leave_one(sim, i);
	}
}

static void
step_seats(struct sim *sim)
{
	unsigned int p = (unsigned int)draw(sim, POOLS);
	uint64_t n = 1 + draw(sim, 3);

	if (draw(sim, 3) == 0) {
		/* A newcomer that was on its way before anybody waited. */
		n = n < sim->free[p] ? n : sim->free[p];
		sim->free[p] -= n;
		sim->held[p] += n;
		return;
	}
	n = n < sim->held[p] ? n : sim->held[p];
	sim->held[p] -= n;
	sim->free[p] += n;
	queue_license_set_due(&sim->queue, 1 + p % 2);
}

static void
step_time(struct sim *sim)
{
	struct waiter *waiter;
	enum queue_over over;

	sim->now += (int64_t)draw(sim, 1500);
	while (
	    (waiter = queue_take_over(&over, &sim->queue, sim->now)) != NULL) {
		size_t i = model_of(sim, waiter);
		const struct model_waiter *w = &sim->waiters[i];

		if (over == QUEUE_OFFER_OVER)
			ck_assert(w->state == WAITER_OFFERED &&
			    w->claim_until <= sim->now);
		else if (over == QUEUE_WAIT_OVER)
			ck_assert(
			    w->state == WAITER_WAITING && w->until <= sim->now);
		else
			ck_assert(sim->away_since[w->device] >= 0 &&
			    sim->away_since[w->device] + ABSENT <= sim->now);
		sim->lapsed += over == QUEUE_OFFER_OVER;
		leave_one(sim, i);
	}
	for (size_t i = 0; i < sim->n; i++) {
		const struct model_waiter *w = &sim->waiters[i];

		if (w->state == WAITER_CLAIMING)
			continue;
		ck_assert_int_gt(w->state == WAITER_OFFERED ? w->claim_until
							    : w->until,
		    sim->now);
		if (sim->away_since[w->device] >= 0)
			ck_assert_int_gt(sim->away_since[w->device] + ABSENT,
			    sim->now);
	}
}

static void
run(struct sim *sim, uint64_t seed)
{
	memset(sim, 0, sizeof(*sim));
	sim->queue.limits = (struct queue_limits){ .pool_max = MODEL_MAX,
		.device_max = MODEL_MAX,
		.total_max = MODEL_MAX,
		.claim_ms = CLAIM,
		.absent_ms = ABSENT };
	sim->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim->now = 1;
	for (unsigned int i = 0; i <= DEVICES; i++)
		sim->away_since[i] = -1;
	for (unsigned int p = 0; p < POOLS; p++)
		sim->held[p] = 1 + draw(sim, 6);
	for (int step = 0; step < STEPS; step++) {
		switch (draw(sim, 8)) {
		case 0:
		case 1:
			join_one(sim);
			break;
		case 2:
			step_seats(sim);
			break;
		case 3:
			step_time(sim);
			break;
		case 4:
			if (draw(sim, 4) == 0)
				move_device(sim);
			break;
		case 5:
			take_turn(sim);
			break;
		default:
			step_claim(sim);
			break;
		}
		check(sim);
	}
	if (seed % 2 == 0)
		while (sim->n > 0)
			leave_one(sim, draw(sim, sim->n));
	ck_assert(seed % 2 != 0 ||
	    (sim->queue.devices.count == 0 && sim->queue.pools.count == 0 &&
		sim->queue.licenses.count == 0 &&
		sim->queue.first_due == NULL && sim->queue.times.root == NULL));
	queue_release(&sim->queue);
}

START_TEST(queue_does_as_a_plain_list_would)
{
	static struct sim sim;
	unsigned int granted = 0, lapsed = 0, raced = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		run(&sim, seed);
		granted += sim.granted;
		lapsed += sim.lapsed;
		raced += sim.raced;
	}
	ck_assert_uint_gt(granted, SEEDS * 20);
	ck_assert_uint_gt(lapsed, SEEDS);
	ck_assert_uint_gt(raced, SEEDS);
}
END_TEST

/* --- the tree under it --------------------------------------------------- */

static uint32_t
depth(const struct rank_node *node)
{
	if (node == NULL)
		return 0;
	uint32_t left = depth(node->left), right = depth(node->right);

	return 1 + (left > right ? left : right);
}

START_TEST(keys_in_order_make_no_deep_tree)
{
	static struct rank_node nodes[10000];
	struct rank rank = { 0 };

	for (uint64_t i = 0; i < 10000; i++) {
		nodes[i] = (struct rank_node){ .minor = i + 1 };
		rank_add(&rank, &nodes[i]);
	}
	ck_assert_uint_le(depth(rank.root), 64);
	for (uint32_t i = 0; i < 10000; i++)
		ck_assert_uint_eq(rank_of(&nodes[i]), i);
	for (uint32_t i = 0; i < 10000; i += 2)
		rank_remove(&rank, &nodes[i]);
	ck_assert_uint_eq(rank_size(&rank), 5000);
	for (uint32_t i = 1; i < 10000; i += 2)
		ck_assert_uint_eq(rank_of(&nodes[i]), i / 2);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("queue_sim");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, queue_does_as_a_plain_list_would);
	tcase_add_test(tcase, keys_in_order_make_no_deep_tree);
	suite_add_tcase(suite, tcase);
	return suite;
}
