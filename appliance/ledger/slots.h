/*
 * Which slots of a license are taken: bitmaps of 2048 slots under the keys
 * (license, level, index), level 0 the slots themselves, level 1 which chunks
 * of level 0 are full. The lowest free slot is found with two or three reads,
 * whether ten seats are taken or ten million. It must not know what a slot is
 * worth.
 */
#ifndef APPLIANCE_LEDGER_SLOTS_H
#define APPLIANCE_LEDGER_SLOTS_H

#include "appliance/ledger/state.h"

#define SLOTS_CHUNK 2048

/** Lowest free slot below `end`; ERR_NOT_FOUND_INTERNAL when all are taken. */
int slots_lowest_free(uint32_t *slot, const struct state *state,
    uint64_t license, uint32_t end);

/** ERR_CORRUPT when it is taken already. */
int slots_take(struct state *state, uint64_t license, uint32_t slot);
/** ERR_CORRUPT when it is free already. */
int slots_give(struct state *state, uint64_t license, uint32_t slot);

/** ERR_CORRUPT with words when a full-chunk mark is wrong; counts the slots
 * taken of every license by calling `each` once per chunk. */
int slots_check(const struct state *state,
    int (*each)(void *ctx, uint64_t license, uint32_t taken), void *ctx,
    char *error, size_t error_size);

/** Is it taken? */
int slots_is_taken(bool *taken, const struct state *state, uint64_t license,
    uint32_t slot);

#endif
