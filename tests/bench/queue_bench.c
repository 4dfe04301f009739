/*
 * What the queue of a site costs with 10,000 waiters in one pool: offers a
 * second (offered, claimed, left, and another joins), and the longest round of
 * telling places. One line; memory only, no ledger.
 */
#include "appliance/ledger/queue.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

#define WAITERS 10000
#define STEPS 200000
#define DEVICES 128
#define STEPS_A_ROUND 1000

struct bench {
	struct queue queue;
	uint64_t joined;
	uint64_t told;
};

static bool
join(struct bench *bench)
{
	uint8_t request[REQUEST_BYTES] = { 0 };
	const uint8_t digest[QUEUE_DIGEST_BYTES] = { 0 };
	const struct queue_ask ask = {
		.device = 1 + bench->joined % DEVICES,
		.request = request,
		.digest = digest,
		.product = "davinci",
		.feature = "",
		.user = "alice",
		.host = "ws-1.example",
		.license = 1,
		.count = 1,
		.refusal = ERR_NO_SEATS,
		.wait_ms = 3600000,
		.present = true,
	};
	struct waiter *waiter;

	bench->joined++;
	memcpy(request, &bench->joined, sizeof(bench->joined));
	if (queue_join(&waiter, &bench->queue, &ask, 1) != 0)
		return false;
	waiter->told_place = queue_place(waiter);
	return true;
}

static void
count_told(void *ctx, const struct waiter *waiter)
{
	struct bench *bench = ctx;

	(void)waiter;
	bench->told++;
}

/* The claim is found by device and request, as the process does it. */
static bool
step(struct bench *bench)
{
	struct queue *queue = &bench->queue;
	struct queue_pool *pool = queue_pool_find(queue, "davinci", "");
	struct waiter *waiter = queue_next(pool, 1);

	if (waiter == NULL)
		return false;
	queue_offer(queue, waiter, 1);
	waiter = queue_find(queue, waiter->device->device, waiter->request);
	if (waiter == NULL)
		return false;
	queue_claim(queue, waiter);
	queue_leave(queue, waiter);
	while (queue_take_due(queue, 1) != NULL)
		;
	return join(bench);
}

int
main(void)
{
	static struct bench bench;
	int64_t longest_us = 0, rounds_us = 0;
	bool good = true;

	bench.queue.limits = (struct queue_limits){ .pool_max = WAITERS,
		.device_max = WAITERS,
		.total_max = WAITERS,
		.claim_ms = 15000,
		.absent_ms = 60000 };
	while (good && queue_count(&bench.queue) < WAITERS)
		good = join(&bench);
	int64_t began_us = clock_boottime_us();

	for (int i = 0; good && i < STEPS; i++) {
		good = step(&bench);
		if (i % STEPS_A_ROUND != 0)
			continue;
		int64_t round_us = clock_boottime_us();

		queue_tell_places(&bench.queue, count_told, &bench);
		round_us = clock_boottime_us() - round_us;
		rounds_us += round_us;
		if (round_us > longest_us)
			longest_us = round_us;
	}
	int64_t took_us = clock_boottime_us() - began_us - rounds_us;

	queue_release(&bench.queue);
	if (!good) {
		fprintf(stderr, "queue_bench: the queue lost somebody\n");
		return 1;
	}
	printf("queue: %.0f offers a second with %d waiters; places told in "
	       "%lld us at most (%llu in %d rounds)\n",
	    (double)STEPS * 1e6 / (double)took_us, WAITERS,
	    (long long)longest_us, (unsigned long long)bench.told,
	    STEPS / STEPS_A_ROUND);
	return 0;
}
