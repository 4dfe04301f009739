/*
 * Slots of leases that were ended by force while their holder could not be
 * told: it may go on believing until the last span it was signed is over, so
 * its slot stays taken until then (DESIGN 5: seats an unreachable client may
 * still believe in count). The time is in the row that ended the lease; slots
 * come free when the journal's time passes it, which is a fact and no policy.
 * It must not know who ended what.
 */
#ifndef APPLIANCE_LEDGER_LINGER_H
#define APPLIANCE_LEDGER_LINGER_H

#include "appliance/ledger/state.h"

/** These slots, already without their lease, stay taken until then. The pool's
 * own counts are the caller's. */
int linger_add(struct state *state, int64_t until, struct pool_id id,
    const struct row_slots *slots);

/** Give back every slot whose time is over. */
int linger_end(struct state *state, int64_t now);

/** Calls `each` for all slots that linger, run by run. */
int linger_each(const struct state *state,
    int (*each)(void *ctx, struct pool_id id, const struct row_slots *slots),
    void *ctx);

/** How many slots of the pool are over at `now`, and how many of those are
 * below `end`: the next batch gives them back. */
int linger_over(uint32_t *slots, uint32_t *below, const struct state *state,
    struct pool_id id, uint32_t end, int64_t now);

/** When the last one ends; 0: there are none. */
int linger_last(int64_t *until, const struct state *state);

#endif
