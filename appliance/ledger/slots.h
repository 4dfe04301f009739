/*
 * Which slots of a pool are taken: bitmaps of 2048 slots under the keys
 * (license, pool, level, index), level 0 the slots themselves, level 1 which
 * chunks of level 0 are full. The lowest free slot is found with two or three
 * reads, whether ten seats are taken or ten million. It must not know what a
 * slot is worth.
 */
#ifndef APPLIANCE_LEDGER_SLOTS_H
#define APPLIANCE_LEDGER_SLOTS_H

#include "appliance/ledger/state.h"

#define SLOTS_CHUNK 2048

/** The `count` lowest free slots below `end`, as runs in ascending order; there
 * is room for `count` of them. ERR_NOT_FOUND_INTERNAL when there are not so
 * many. */
int slots_find(struct row_slots *runs, uint32_t *n_runs,
    const struct state *state, struct pool_id id, uint32_t count, uint32_t end);

/** Runs ascend. ERR_CORRUPT when one is taken already. */
int slots_take(struct state *state, struct pool_id id,
    const struct row_slots *runs, uint32_t n_runs);
/** ERR_CORRUPT when one is free already. */
int slots_give(struct state *state, struct pool_id id,
    const struct row_slots *runs, uint32_t n_runs);

/** How many slots below `end` are taken. Reads all bitmaps that were ever
 * written. */
int slots_count(uint32_t *taken, const struct state *state, struct pool_id id,
    uint32_t end);

/** Are they all taken? */
int slots_are_taken(bool *taken, const struct state *state, struct pool_id id,
    const struct row_slots *runs, uint32_t n_runs);

/** ERR_CORRUPT with words when a full-chunk mark is wrong; counts the slots
 * taken of every pool by calling `each` once per chunk. */
int slots_check(const struct state *state,
    int (*each)(void *ctx, struct pool_id id, uint32_t taken), void *ctx,
    char *error, size_t error_size);

#endif
