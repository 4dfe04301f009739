/*
 * The history tree: one leaf per batch head, complete subtrees kept in the
 * table of nodes. Gives the history root of a header and the proofs that one
 * batch's journal continues another's. It must not know what is in batches.
 */
#ifndef APPLIANCE_LEDGER_HISTORY_H
#define APPLIANCE_LEDGER_HISTORY_H

#include "appliance/ledger/state.h"

/** The tree itself, for proofs that are made elsewhere. */
struct merkle_source history_source(struct state *state);
/** Root over the heads of batches 0 to n - 1. */
int history_root(uint8_t root[MERKLE_BYTES], struct state *state, uint64_t n);

/** The head of batch number `batch`, the next one. */
int history_append(struct state *state, uint64_t batch, const uint8_t head[32]);

/** Complete subtrees over the heads of batches 0 to n - 1, as
 * journal_walk_resume() takes them: 64 * 32 bytes. */
int history_frontier(uint8_t *out, size_t *hashes, struct state *state,
    uint64_t n);
/** Leaves `first` to before `end` of another journal's tree, behind those that
 * are there. */
int history_copy(struct state *to, struct state *from, uint64_t first,
    uint64_t end);

/** Nothing known: batch 0 and a zero head. */
bool history_is_unknown(const struct journal_known *known);

/** Does this journal hold that head at its place? 0, or ERR_ROLLED_BACK. The
 * client checks its `history` itself against the proof. */
int history_holds(struct state *state, const struct journal_known *known);

/** The same of what a client says that it saw: ERR_GONE when it is of an
 * earlier generation, and so of a branch that was abandoned. */
int history_judge(struct state *state, const struct journal_known *known);

/** That the journal as of batch `late` continues the one as of batch `early`:
 * empty when they are the same batch. */
struct history_proof {
	uint64_t early, late;
	uint8_t inclusion[MERKLE_PATH_MAX][MERKLE_BYTES];
	size_t inclusion_len;
	uint8_t consistency[MERKLE_PATH_MAX + 1][MERKLE_BYTES];
	size_t consistency_len;
};
int history_prove(struct history_proof *proof, struct state *state,
    uint64_t early, uint64_t late);

#endif
