/*
 * Fold: what follows from a row. No policy: a row is a fact, and an old journal
 * folds the same tomorrow. Used by commits, replays, recovery and upgrades. It
 * must not know commands, clocks or keys, and it refuses nothing but what
 * contradicts the state, which is damage.
 */
#ifndef APPLIANCE_LEDGER_FOLD_H
#define APPLIANCE_LEDGER_FOLD_H

#include "appliance/ledger/state.h"

/** Where a row stands. */
struct fold_place {
	uint64_t batch;
	uint32_t index; /* in its batch */
	int64_t time; /* of the batch */
};

/** Before the first row of a batch: what its time alone brings about. */
int fold_batch(struct state *state, const struct fold_place *place);

/** Write state from one fact, the next one. 0, ERR_UNKNOWN_ROW, ERR_CORRUPT or
 * a fault of the store. */
int fold_row(struct state *state, const struct row *row,
    const struct fold_place *place);

#endif
