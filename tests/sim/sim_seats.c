/* The model's seats: which slots are held, linger or are free, and who believes
 * in them. Counted one by one, so that it cannot be wrong the way the ledger
 * could. See sim.h. */
#include "tests/sim/sim.h"

/* --- pools ------------------------------------------------------------- */

static void
pool_begin(struct sim_pool *pool, struct sim *sim, uint32_t license,
    uint32_t feature, uint32_t size)
{
	*pool = (struct sim_pool){ .license = license,
		.slots = &sim->slots[sim->n_slots],
		.size = size };
	if (feature < SIM_FEATURES)
		snprintf(pool->feature, sizeof pool->feature, "f%u", feature);
	sim->n_slots += size;
}

void
sim_pools_begin(struct sim *sim)
{
	uint32_t most = sim->advisory ? SIM_ADVISORY_SLOTS : SIM_SLOTS_MAX;
	uint32_t of_feature =
	    sim->advisory ? SIM_ADVISORY_SLOTS : SIM_FEATURE_SLOTS_MAX;
	size_t slots =
	    (size_t)sim->n_licenses * (most + SIM_FEATURES * of_feature);

	sim->slots = calloc(slots, sizeof *sim->slots);
	sim->freed = calloc(slots, sizeof *sim->freed);
	world_must(sim->slots != NULL && sim->freed != NULL);
	for (uint32_t i = 0; i < sim->n_licenses; i++)
		for (uint32_t f = 0; f < SIM_POOLS; f++)
			pool_begin(&sim->pools[sim->n_pools++], sim, i, f,
			    f < SIM_FEATURES ? of_feature : most);
}

void
sim_pools_end(struct sim *sim)
{
	for (uint64_t i = 1; i <= sim->n_leases; i++)
		free(sim->leases[i].runs);
	free(sim->slots);
	free(sim->freed);
}

struct sim_pool *
sim_pool_of(struct sim *sim, const struct sim_license *license,
    const char *feature)
{
	uint32_t index = (uint32_t)(license - sim->licenses);

	for (uint32_t i = 0; i < sim->n_pools; i++)
		if (sim->pools[i].license == index &&
		    strcmp(sim->pools[i].feature, feature) == 0)
			return &sim->pools[i];
	return NULL;
}

/* --- slots ------------------------------------------------------------- */

static void
slot_free(struct sim_pool *pool, uint32_t slot)
{
	pool->slots[slot].lease = 0;
	pool->slots[slot].lingers_until = 0;
	if (slot < pool->lowest)
		pool->lowest = slot;
}

static bool
slot_is_free(const struct sim_pool *pool, uint32_t slot)
{
	return pool->slots[slot].lease == 0 &&
	    pool->slots[slot].lingers_until == 0;
}

static uint32_t
lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Goes up slot by slot as long as one more may be given; `found` is told each
 * one. Returns how many. */
static uint32_t
go_up(struct sim_pool *pool, const struct license_seats *seats, uint32_t max,
    void (*found)(void *ctx, uint32_t slot), void *ctx)
{
	uint32_t held = pool->commit + pool->overage + pool->lingering;
	uint32_t overage = pool->overage, n = 0, slot;

	while (pool->lowest < pool->size && !slot_is_free(pool, pool->lowest))
		pool->lowest++;
	for (slot = pool->lowest; slot < seats->total && slot < pool->size &&
	     held + n < seats->total && n < max;
	     slot++) {
		if (!slot_is_free(pool, slot))
			continue;
		if (slot >= seats->commit && ++overage > seats->overage)
			return n;
		if (found != NULL)
			found(ctx, slot);
		n++;
	}
	/* Those above all that were ever held, as one. */
	if (n < max && slot == pool->size && slot < seats->total) {
		world_must(found == NULL);
		n += lesser(seats->total - slot,
		    lesser(seats->total - held - n, seats->overage - overage));
	}
	return n;
}

uint32_t
sim_pool_free(struct sim_pool *pool, const struct license_seats *seats)
{
	return go_up(pool, seats, UINT32_MAX, NULL, NULL);
}

struct picking {
	struct row_slots *runs;
	uint32_t n_runs, n, overage;
	uint32_t count, commit;
};

static void
pick(void *ctx, uint32_t slot)
{
	struct picking *p = ctx;
	struct row_slots *last = &p->runs[p->n_runs];

	/* Those behind are reserved for others. */
	if (p->n++ >= p->count)
		return;
	p->overage += slot >= p->commit;
	if (p->n_runs > 0 && last[-1].first + last[-1].count == slot)
		last[-1].count++;
	else
		p->runs[p->n_runs++] = (struct row_slots){ slot, 1 };
}

bool
sim_slots_find(struct row_slots **runs, uint32_t *n_runs, uint32_t *overage,
    struct sim_pool *pool, const struct license_seats *seats, uint32_t count,
    uint32_t reserved)
{
	struct picking p = { .count = count, .commit = seats->commit };
	uint32_t wanted = count + reserved;

	p.runs = calloc(count, sizeof *p.runs);
	world_must(p.runs != NULL);
	if (go_up(pool, seats, wanted, pick, &p) < wanted) {
		free(p.runs);
		return false;
	}
	*runs = p.runs;
	*n_runs = p.n_runs;
	*overage = p.overage;
	return true;
}

/* The journal's time frees what lingers. */
void
sim_end_lingering(struct sim *sim, int64_t time)
{
	sim->n_freed = 0;
	for (uint32_t i = 0; i < sim->n_pools; i++) {
		struct sim_pool *pool = &sim->pools[i];

		if (pool->lingering == 0)
			continue;
		for (uint32_t slot = 0; slot < pool->size; slot++) {
			int64_t until = pool->slots[slot].lingers_until;

			if (until == 0 || until > time)
				continue;
			slot_free(pool, slot);
			pool->lingering--;
			sim->freed[sim->n_freed++] =
			    (struct sim_freed){ i, slot, until };
		}
	}
}

/* A batch without rows is no batch: its time was never journaled. */
void
sim_undo_lingering(struct sim *sim)
{
	while (sim->n_freed > 0) {
		const struct sim_freed *freed = &sim->freed[--sim->n_freed];
		struct sim_pool *pool = &sim->pools[freed->pool];

		pool->slots[freed->slot].lingers_until = freed->until;
		pool->lingering++;
	}
}

/* --- leases ------------------------------------------------------------ */

/* Every slot of a lease, also of one that has ended. */
static void
each_slot(struct sim *sim, const struct sim_lease *lease,
    void (*each)(struct sim_pool *pool, uint32_t slot, void *ctx), void *ctx)
{
	struct sim_pool *pool = &sim->pools[lease->pool];

	for (uint32_t i = 0; i < lease->n_runs; i++)
		for (uint32_t k = 0; k < lease->runs[i].count; k++)
			each(pool, lease->runs[i].first + k, ctx);
}

static void
take_slot(struct sim_pool *pool, uint32_t slot, void *ctx)
{
	pool->slots[slot].lease = *(const uint64_t *)ctx;
}

void
sim_lease_take(struct sim *sim, uint64_t number)
{
	const struct sim_lease *lease = &sim->leases[number];
	struct sim_pool *pool = &sim->pools[lease->pool];

	pool->commit += lease->count - lease->overage_count;
	pool->overage += lease->overage_count;
	each_slot(sim, lease, take_slot, &number);
}

static void
give_slot(struct sim_pool *pool, uint32_t slot, void *ctx)
{
	int64_t until = *(const int64_t *)ctx;

	if (until == 0) {
		slot_free(pool, slot);
		return;
	}
	pool->slots[slot].lease = 0;
	pool->slots[slot].lingers_until = until;
	pool->lingering++;
}

void
sim_lease_end(struct sim *sim, uint64_t number, int64_t lingers_until,
    int64_t time)
{
	struct sim_lease *lease = &sim->leases[number];
	struct sim_pool *pool = &sim->pools[lease->pool];
	int64_t until = lingers_until > time ? lingers_until : 0;

	sim_must(sim, lease->held);
	sim->wrote = true;
	lease->held = false;
	lease->ended_as = ++sim->ended;
	sim->totals.ends++;
	pool->commit -= lease->count - lease->overage_count;
	pool->overage -= lease->overage_count;
	each_slot(sim, lease, give_slot, &until);
}

/* --- belief ------------------------------------------------------------ */

struct belief {
	struct sim *sim;
	uint64_t lease;
	int64_t until;
};

static void
believe_slot(struct sim_pool *pool, uint32_t at, void *ctx)
{
	const struct belief *belief = ctx;
	struct sim *sim = belief->sim;
	struct sim_slot *slot = &pool->slots[at];

	if (slot->believed != belief->lease &&
	    slot->believed_until > sim->now) {
		fprintf(stderr,
		    "slot %u of license %u, feature \"%s\": lease-%llu is "
		    "believed in for %lld ms more, now lease-%llu too\n",
		    at, pool->license, pool->feature,
		    (unsigned long long)slot->believed,
		    (long long)(slot->believed_until - sim->now),
		    (unsigned long long)belief->lease);
		sim_fail(sim, __FILE__, __LINE__,
		    "no seat is believed in by two");
	}
	slot->believed = belief->lease;
	slot->believed_until = belief->until;
}

/* Somebody begins to believe in a lease: nobody else may. */
void
sim_believe(struct sim *sim, struct sim_client *client, uint64_t number,
    int64_t from)
{
	const struct sim_lease *lease = &sim->leases[number];
	int64_t until = from + (int64_t)lease->span_s * 1000;

	/* Its clock may be slow: 100 ppm. */
	until += (int64_t)lease->span_s / 10;
	client->state = SIM_HOLDING;
	client->lease = number;
	client->believes_until = until;
	struct belief belief = { sim, number, until };

	if (until > sim->now)
		each_slot(sim, lease, believe_slot, &belief);
}

static void
forget_slot(struct sim_pool *pool, uint32_t at, void *ctx)
{
	struct sim_slot *slot = &pool->slots[at];

	if (slot->believed == *(const uint64_t *)ctx)
		slot->believed_until = 0;
}

void
sim_stop_believing(struct sim *sim, struct sim_client *client)
{
	client->believes_until = 0;
	each_slot(sim, &sim->leases[client->lease], forget_slot,
	    &client->lease);
}

bool
sim_is_reachable(const struct sim *sim, const struct sim_client *client)
{
	return client->silent_until <= sim->now;
}
