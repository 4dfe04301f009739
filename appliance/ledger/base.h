/*
 * The base of a journal that was pruned: the logical dump of its state tables
 * after some batch, as pieces in a table of the store. The dump is, byte for
 * byte, what ledger_state_hash() hashes: so the pieces prove themselves against
 * the hash that a ROW_CHECKPOINT says. It must not know why there is one.
 */
#ifndef APPLIANCE_LEDGER_BASE_H
#define APPLIANCE_LEDGER_BASE_H

#include "appliance/ledger/core.h"
#include "appliance/ledger/prune.h"

/** The base that the store points to; chunks 0: none. */
int base_get(struct ledger_base *out, const struct state *state);
int base_put(struct state *state, const struct ledger_base *base);
/** Are all of its pieces there? ERR_NOT_FOUND_INTERNAL. */
int base_is_whole(const struct state *state, const struct ledger_base *base);

/** Its state into the empty tables of a fresh store, the pieces themselves and
 * the pointer to them. ERR_CORRUPT: it is not what its hash says. */
int base_load(struct store *to, const struct ledger_base *base,
    const struct state *from);

/** Remove pieces of bases before that batch, or (`others`) of any but that one,
 * `most` at a time, each transaction its own. */
int base_remove(bool *more, struct store *store, uint64_t batch, bool others,
    size_t most);

/* --- prune.c: the anchor -------------------------------------------------------- */

/** Spans are borrowed; before 0: there is none. */
int anchor_get(struct journal_anchor *out, struct arena *arena,
    const struct state *state);
int anchor_put(struct state *state, const struct journal_anchor *anchor);
/** The first batch that is there; 0: all are. */
int anchor_before(uint64_t *before, const struct state *state);
int decide_prune(struct batch *batch, struct command *command);
extern const struct record ledger_prune_record;

/* --- sweep.c ---------------------------------------------------------------------- */

/** Into `kept`: batches before sweep->before that are still needed. */
int sweep_keep(struct ledger_sweep *sweep, const struct state *state);
/** All before this one is swept. */
int swept_get(uint64_t *before, const struct state *state);

#endif
