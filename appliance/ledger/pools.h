/*
 * What a pool of seats may still give, and what taking and giving back does to
 * it: slots, counts and numbers of overage seats together, so that they never
 * part. No policy, and no clock: the bounds are those that a license brought,
 * and what it grants at a time is told (license_seats_at). It must not know who
 * asks, nor rows.
 */
#ifndef APPLIANCE_LEDGER_POOLS_H
#define APPLIANCE_LEDGER_POOLS_H

#include "appliance/ledger/state.h"

/** Most seats that a checkout can get when the license grants these: both
 * bounds, that of all seats and that of overage, hold at once, also after a
 * renewal changed them while seats were held. Their commit is that of the pool,
 * or 0. */
uint32_t pool_free(const struct state_pool *pool,
    const struct license_seats *seats);
/** Seats held, and lingering. */
uint64_t pool_taken(const struct state_pool *pool);

/** What a license grants from now on. license->pools is counted up for features
 * that are new; what stands in none of them gives no seat any more. */
int pools_set(struct state *state, struct state_license *license);

/** Seats of a new lease, and its overage numbers, which must be the next.
 * ERR_CORRUPT when that contradicts the state. */
int pool_take(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots);

/** The same for a lease of an abandoned branch, which may have slots above all
 * that the license ever allowed. */
int pool_adopt(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots);

/** The seats of a lease that ended are free; or, with lingers_until not 0,
 * taken until then. */
int pool_give(struct state *state, const struct state_lease *lease,
    int64_t lingers_until);

/** Slots that are free, and stay taken until then though nobody holds them;
 * overage_count overage numbers are used for them, `overage` and those behind
 * it, which must be the next. */
struct pool_lingering {
	const struct row_slots *slots;
	uint32_t n_slots;
	int64_t until;
	uint64_t overage;
	uint32_t overage_count;
};
int pool_linger(struct state *state, struct pool_id id,
    const struct pool_lingering *lingering);

/** Lingering slots of a pool come free. */
int pool_free_lingering(struct state *state, struct pool_id id,
    const struct row_slots *slots);

#endif
