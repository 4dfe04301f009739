/*
 * Giving up old batches of a journal without breaking its chain (DESIGN 5).
 *
 * What goes are the rows of batches before some batch P. What stays:
 *   - every head, in the history tree (about 110 bytes a batch): so whoever shows
 *     an old header still gets the proof that this journal continues it, or is
 *     told that it does not;
 *   - the anchor (journal.h): the signed header of batch P - 1 and the frontier of
 *     the history there, which the signed `history` of batch P proves;
 *   - the base: the logical dump of the state tables after a batch B >= P, in
 *     pieces. Its hash stands in a ROW_CHECKPOINT, so it is signed; folding the
 *     batches after B onto it gives the state (ledger_refold). Batches P to B are
 *     there to be read and verified. One base serves until P would pass B, so
 *     that the state is written out once for each span that is kept;
 *   - batches before P in which a lease or ticket was granted that is still held:
 *     its holder may ask for the evidence again. They go with a later turn.
 *
 * A ROW_PRUNED says it: who, up to where, which checkpoint it rests on. A journal
 * whose beginning is missing without such a row does not hold. So a walk over what
 * is left proves: every row from P on, in order and complete; that P continues
 * one history of P batches, whose heads nobody can change now; and the state as of
 * B, by its hash. It does not prove what the rows before P were: that is what an
 * archive is for (journal archive), which joins at the head of P - 1.
 *
 * In order: base written in small transactions beside all else; then row, anchor
 * and the pointer to the base in the transaction of one batch; then the batches
 * go, some at a time (ledger_sweep). A crash before the row leaves pieces of a
 * base that nobody points to, and the next one removes them; after it, the
 * sweep goes on at the next start. Nothing that is needed goes before what
 * stands in its place is on the disk.
 *
 * Pages that come free are used again, and given back to the file system at the
 * end of a sweep (store_trim.c).
 *
 * Projections (audit, metering) have read all of it before it goes (pruning.c);
 * those that are made anew begin at P. It must not know requests, tenants or when
 * it is time to do it.
 */
#ifndef APPLIANCE_LEDGER_PRUNE_H
#define APPLIANCE_LEDGER_PRUNE_H

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/store.h"

/* --- what a journal begins with ---------------------------------------------- */

/** Where the journal begins; `before` 0: with its genesis. Spans are borrowed
 * from the view. */
int ledger_anchor(struct journal_anchor *out, struct ledger_view *view);

/** The same with what its header says. */
struct ledger_beginning {
	uint64_t batch; /* the first that is there; 0: all are */
	uint64_t row; /* its first row, from 1 */
	uint8_t head[32]; /* of the batch before it */
	int64_t time; /* of the batch before it; 0: none */
};
int ledger_beginning(struct ledger_beginning *out, struct ledger_view *view);

/** The state that a fold starts with; chunks 0: with nothing, at genesis. */
struct ledger_base {
	uint64_t batch; /* it stands after this one */
	uint8_t hash[32]; /* ledger_state_hash() then */
	uint32_t chunks;
};
int ledger_base(struct ledger_base *out, struct ledger_view *view);

/* --- pruning ------------------------------------------------------------------- */

/**
 * The one place that says what must not go yet, whatever an admin asks for:
 * batches before *limit may. 0, or a refusal in `problem` when none may.
 *
 * What is not billed stays: while a license asks for reports (`sync` in its
 * terms), batches stay until a receipt of its vendor covers them.
 */
int journal_may_prune(uint64_t *limit, struct ledger_view *view,
    struct problem *problem);

struct ledger_plan {
	/** Of the row to be: `by` and `checkpoint` are not filled in. before 0:
	 * there is nothing to give up. */
	struct row_pruned row;
	uint64_t batches; /* that go */
	uint64_t bytes; /* of them */
	uint64_t kept; /* that stay for a lease or ticket that is held */
	bool needs_base;
};
/** What goes when all before that time may: whole batches, never the newest one.
 * Reads the size of each: for a helper thread. */
int ledger_plan(struct ledger_plan *plan, struct ledger_view *view,
    int64_t before_ms, struct problem *problem);

/** Write the state of the view as a base that nobody points to yet; the row that
 * tells of it, too. Reads everything and writes as much, in transactions of some
 * ms: for a helper thread, one at a time, not while a sweep runs. */
int ledger_base_make(struct ledger_base *base, struct row_checkpoint *row,
    struct ledger_view *view);

/** LEDGER_PRUNE. `by` and `checkpoint` of the row are filled in. */
struct ledger_prune {
	struct row_pruned row;
	bool based; /* a new base: */
	struct ledger_base base;
	struct row_checkpoint checkpoint;
};

/* --- the sweep --------------------------------------------------------------- */

/** Batches that one transaction of a sweep removes at most. */
#define LEDGER_SWEEP_BATCHES 128

struct ledger_sweep {
	uint64_t before; /* 0: there is nothing to do */
	uint64_t at; /* the next batch to look at */
	uint64_t *kept; /* sorted */
	size_t n_kept;
	bool batches_done, bases_done;
	struct store_trim trim; /* what came free goes back to the disk */
	uint64_t removed, bytes; /* so far */
};
/** Is something left to remove? Cheap. */
int ledger_sweep_is_due(bool *due, struct ledger *ledger);
/** What is left to remove. ledger_sweep_end() after it, whatever it returned. */
int ledger_sweep_begin(struct ledger_sweep *sweep, struct ledger *ledger);
/** One transaction of it; any thread, one at a time. */
int ledger_sweep_step(bool *more, struct ledger_sweep *sweep,
    struct ledger *ledger);
void ledger_sweep_end(struct ledger_sweep *sweep);

#endif
