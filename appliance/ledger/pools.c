#include "appliance/ledger/pools.h"

#include "appliance/ledger/linger.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>

uint64_t
pool_taken(const struct state_pool *pool)
{
	return (uint64_t)pool->commit + pool->overage + pool->lingering;
}

/* A checkout gets the lowest free slots: first those below commit, then, while
 * that bound allows, overage. */
uint32_t
pool_free(const struct state_pool *pool, const struct license_seats *seats)
{
	uint64_t taken = pool_taken(pool);
	uint32_t commit, overage;

	if (taken >= seats->total)
		return 0;
	commit = seats->commit > pool->below ? seats->commit - pool->below : 0;
	overage =
	    seats->overage > pool->overage ? seats->overage - pool->overage : 0;

	uint32_t left = seats->total - (uint32_t)taken;

	return left < commit + overage ? left : commit + overage;
}

/* The state is damaged, or a row is. */
static int
contradicted(struct pool_id id, const char *why)
{
	log_error("pools", "license %llu, pool %u: %s",
	    (unsigned long long)id.license, id.pool, why);
	return ERR_CORRUPT;
}

static int
pool_get(struct state_pool *pool, const struct state *state, struct pool_id id)
{
	int err = state_pool(pool, state, id);

	return err == ERR_NOT_FOUND_INTERNAL
	    ? contradicted(id, "there is no such pool")
	    : err;
}

/* --- what a license grants ------------------------------------------------ */

static int
pool_set(struct state *state, struct pool_id id,
    const struct license_seats *seats, uint32_t most)
{
	struct state_pool pool = { .commit = 0 };
	int err = state_pool(&pool, state, id);

	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	pool.seats = *seats;
	if (pool.seats_max < most)
		pool.seats_max = most;
	err = slots_count(&pool.below, state, id, seats->commit);
	return err == 0 ? state_pool_put(state, id, &pool) : err;
}

static int
pool_set_feature(struct state *state, struct state_license *license,
    const char *feature)
{
	struct pool_id id = { license->license, 0 };
	struct license_seats seats;
	int err = state_pool_find(&id.pool, state, id.license, feature);

	license_seats(&seats, &license->document, feature);
	if (err == ERR_NOT_FOUND_INTERNAL) {
		id.pool = license->pools++;
		err = state_pool_name_put(state, id, feature);
	}
	return err == 0 ? pool_set(state, id, &seats,
			      license_seats_most(&license->document, &seats))
			: err;
}

int
pools_set(struct state *state, struct state_license *license)
{
	static const struct license_seats none = { 0 };
	const struct license_feature *features =
	    license->document.features.items;
	uint32_t n = license->pools;
	int err = 0;

	for (uint32_t pool = 1; pool < n && err == 0; pool++)
		err = pool_set(state,
		    (struct pool_id){ license->license, pool }, &none, 0);
	if (n == 0)
		license->pools = 1;
	if (err == 0)
		err = pool_set_feature(state, license, "");
	for (uint32_t i = 0; i < license->document.features.count && err == 0;
	     i++)
		err = pool_set_feature(state, license, features[i].id);
	return err;
}

/* --- taking --------------------------------------------------------------- */

/* Numbers of overage seats are those of the license, whatever the pool. */
static int
take_numbers(struct state_pool *first, uint64_t license, uint64_t overage,
    uint32_t count)
{
	if (overage != first->overage_checkouts + 1)
		return contradicted((struct pool_id){ license, 0 },
		    "overage numbers have a gap");
	first->overage_checkouts += count;
	return 0;
}

/* The same where it is `pool`, or else in the product's. */
static int
take_overage(struct state *state, struct state_pool *pool, struct pool_id id,
    uint64_t overage, uint32_t count)
{
	struct pool_id product = { id.license, 0 };
	struct state_pool first;

	if (count == 0)
		return 0;
	if (id.pool == 0)
		return take_numbers(pool, id.license, overage, count);
	int err = pool_get(&first, state, product);

	if (err == 0)
		err = take_numbers(&first, id.license, overage, count);
	return err == 0 ? state_pool_put(state, product, &first) : err;
}

static int
take(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots, bool adopted)
{
	struct pool_id id = { lease->license, lease->pool };
	struct state_pool pool;
	int err = pool_get(&pool, state, id);

	if (err == 0)
		err = take_overage(state, &pool, id, lease->overage,
		    lease->overage_count);
	if (err != 0)
		return err;
	pool.commit += lease->count - lease->overage_count;
	pool.overage += lease->overage_count;
	pool.below += row_slots_below(slots, lease->n_slots, pool.seats.commit);
	if (adopted && pool_taken(&pool) > pool.seats_max)
		pool.seats_max = (uint32_t)pool_taken(&pool);
	err = slots_take(state, id, slots, lease->n_slots);
	return err == 0 ? state_pool_put(state, id, &pool) : err;
}

int
pool_take(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots)
{
	return take(state, lease, slots, false);
}

int
pool_adopt(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots)
{
	return take(state, lease, slots, true);
}

/* --- giving back ---------------------------------------------------------- */

static int
linger(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots, int64_t until)
{
	struct pool_id id = { lease->license, lease->pool };
	int err = 0;

	for (uint32_t i = 0; i < lease->n_slots && err == 0; i++)
		err = linger_add(state, until, id, &slots[i]);
	return err;
}

static int
give(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots, int64_t lingers_until)
{
	struct pool_id id = { lease->license, lease->pool };
	uint32_t commit = lease->count - lease->overage_count;
	struct state_pool pool;
	int err = pool_get(&pool, state, id);

	if (err != 0)
		return err;
	if (pool.commit < commit || pool.overage < lease->overage_count)
		return contradicted(id, "no seat of that type is taken");
	pool.commit -= commit;
	pool.overage -= lease->overage_count;
	if (lingers_until != 0) {
		pool.lingering += lease->count;
		err = linger(state, lease, slots, lingers_until);
	} else {
		pool.below -=
		    row_slots_below(slots, lease->n_slots, pool.seats.commit);
		err = slots_give(state, id, slots, lease->n_slots);
	}
	return err == 0 ? state_pool_put(state, id, &pool) : err;
}

int
pool_give(struct state *state, const struct state_lease *lease,
    int64_t lingers_until)
{
	struct row_slots *slots;

	if (lease->n_slots == 1)
		return give(state, lease, &lease->slots, lingers_until);
	slots = calloc(lease->n_slots, sizeof *slots);
	if (slots == NULL)
		return ERR_NOMEM;

	int err = state_lease_slots(slots, state, lease);

	if (err == 0)
		err = give(state, lease, slots, lingers_until);
	free(slots);
	return err;
}

int
pool_linger(struct state *state, struct pool_id id,
    const struct pool_lingering *lingering)
{
	const struct row_slots *slots = lingering->slots;
	uint32_t n = lingering->n_slots;
	struct state_pool pool;
	int err = pool_get(&pool, state, id);

	if (err == 0)
		err = take_overage(state, &pool, id, lingering->overage,
		    lingering->overage_count);
	if (err == 0)
		err = slots_take(state, id, slots, n);
	pool.below += row_slots_below(slots, n, pool.seats.commit);
	for (uint32_t i = 0; i < n && err == 0; i++) {
		pool.lingering += slots[i].count;
		err = linger_add(state, lingering->until, id, &slots[i]);
	}
	return err == 0 ? state_pool_put(state, id, &pool) : err;
}

int
pool_free_lingering(struct state *state, struct pool_id id,
    const struct row_slots *slots)
{
	struct state_pool pool;
	int err = pool_get(&pool, state, id);

	if (err != 0)
		return err;
	if (pool.lingering < slots->count)
		return contradicted(id, "no such slot lingers");
	pool.lingering -= slots->count;
	pool.below -= row_slots_below(slots, 1, pool.seats.commit);
	err = slots_give(state, id, slots, 1);
	return err == 0 ? state_pool_put(state, id, &pool) : err;
}
