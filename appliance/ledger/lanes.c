#include "appliance/ledger/lanes.h"

#include "appliance/ledger/table.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Each by its channel, tests of those that take no alerts beside. */
#define WAYS_MAX (2 * CHANNELS_MAX)
/* Of one way: those beyond wait for those before. */
#define WAY_LANES_MAX OUTBOX_MAX

struct way {
	uint64_t channel;
	uint32_t of;
	size_t lanes;
	size_t n;
	struct state_delivery found[LANES_LOOK_MAX];
};

struct lanes {
	int64_t now, next_at;
	uint64_t turn, waiting;
	struct table seen; /* lane -> its way */
	size_t n_ways;
	struct way ways[WAYS_MAX];
};

struct lanes *
lanes_new(int64_t now_ms, uint64_t turn)
{
	struct lanes *lanes = calloc(1, sizeof *lanes);

	if (lanes == NULL)
		return NULL;
	lanes->now = now_ms;
	lanes->turn = turn;
	lanes->next_at = INT64_MAX;
	return lanes;
}

void
lanes_free(struct lanes *lanes)
{
	if (lanes == NULL)
		return;
	table_release(&lanes->seen);
	free(lanes);
}

static struct way *
find_way(struct lanes *lanes, const struct state_delivery *delivery)
{
	for (size_t i = 0; i < lanes->n_ways; i++)
		if (lanes->ways[i].channel == delivery->channel &&
		    lanes->ways[i].of == delivery->of)
			return &lanes->ways[i];
	if (lanes->n_ways == WAYS_MAX)
		return NULL;
	struct way *way = &lanes->ways[lanes->n_ways++];

	way->channel = delivery->channel;
	way->of = delivery->of;
	return way;
}

/* Stages of one thing are in order, too. */
static uint64_t
lane_of(const struct state_delivery *delivery)
{
	uint64_t lane;
	struct {
		uint64_t channel, id;
		uint32_t kind, about, what, none;
	} of = { delivery->channel, delivery->subject.id,
		delivery->subject.kind, delivery->subject.about, delivery->of,
		0 };
	uint8_t hash[16];

	crypto_generichash(hash, sizeof hash, (const uint8_t *)&of, sizeof of,
	    NULL, 0);
	memcpy(&lane, hash, sizeof lane);
	return lane;
}

static bool
is_full(const struct way *way)
{
	return way->n ==
	    (way->of == CHANNEL_ALERTS ? LANES_LOOK_MAX : LANES_CHANNEL_MAX);
}

int
lanes_add(struct lanes *lanes, const struct state_delivery *delivery)
{
	if (delivery->state == DELIVERY_IS_DEAD)
		return 0;
	lanes->waiting++;
	struct way *way = find_way(lanes, delivery);

	if (way == NULL || way->lanes == WAY_LANES_MAX || is_full(way))
		return 0;
	uint64_t lane = lane_of(delivery);

	/* Another is before it, about the same. */
	if (table_get(&lanes->seen, lane) != NULL)
		return 0;
	int err = table_put(&lanes->seen, lane, way);

	if (err != 0)
		return err;
	way->lanes++;
	if (delivery->due_at > lanes->now) {
		if (delivery->due_at < lanes->next_at)
			lanes->next_at = delivery->due_at;
		return 0;
	}
	way->found[way->n++] = *delivery;
	return 0;
}

uint64_t
lanes_waiting(const struct lanes *lanes)
{
	return lanes->waiting;
}

int64_t
lanes_next_at(const struct lanes *lanes)
{
	return lanes->next_at;
}

size_t
lanes_choose(struct state_delivery out[LANES_LOOK_MAX],
    const struct lanes *lanes)
{
	size_t n = 0;

	for (size_t round = 0; round < LANES_LOOK_MAX; round++)
		for (size_t i = 0; i < lanes->n_ways; i++) {
			const struct way *way =
			    &lanes->ways[(lanes->turn + i) % lanes->n_ways];

			if (round < way->n && n < LANES_LOOK_MAX)
				out[n++] = way->found[round];
		}
	return n;
}
