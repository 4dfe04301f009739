/*
 * Is this store the one that was last written here? The site counts what it
 * does, in its store and in a witness outside of it (witness.h), and knows by
 * the two whether one of its stores, or all of them, were put back to an older
 * copy (DESIGN 9). Plain steps in the order that makes a crash at any point
 * tellable from that; who runs them on which thread, and what is stopped
 * meanwhile, is the caller's.
 *
 * A tick from c to c + 1:
 *   1  the journal of each tenant that has news gets a ROW_TICK of c + 1
 *   2  the system store gets c + 1, and where every journal stands (anchors)
 *   3  the witness is incremented
 * The last two are guard_tick. At start the witness says w, the store s:
 *   s = w          clean; journals may be one tick ahead (between 1 and 2)
 *   s = w + 1      interrupted between 2 and 3: the witness is incremented
 *   anything else  put back: s < w the system store, s > w + 1 the witness
 * and every journal must hold its anchor, or it was put back by itself. Then
 * nothing is granted, journaled or ticked until an admin acknowledges:
 *   1  the journal of every tenant gets a ROW_GENERATION with counter w + 1
 *   2  the system store gets w + 1 and anchors; evidence is forgotten
 *   3  the witness is incremented
 * A crash on the way leaves it unacknowledged, or one increment short of done.
 * Where the witness was lost, or put back, the store says first that one is
 * being made.
 *
 * The counter alone sees what is older than the last tick. What agents and
 * devices present (evidence) closes most of the rest: a document that bears the
 * site's signature and names a batch that its journal does not hold, in the
 * journal's generation or a later one. Those of earlier generations are of
 * branches that were abandoned, and prove nothing new.
 *
 * A witness in a TPM that does not answer is no finding: nothing is known then.
 * At start the site waits for it (its key is sealed to the same TPM, so it could
 * sign nothing either). While it runs, seats go on, which wait for no tick; what
 * does wait for one (borrows, returns, licenses) is journaled, and answered with
 * `unavailable` until the TPM counts again. A TPM whose counter is gone, or
 * another TPM, is a witness that was lost, or a site that does not start.
 *
 * After an acknowledgement devices bring what the lost branch granted them: for
 * leases see decide_generation.c, for borrows, where more hangs on it, borrow.h.
 *
 * Tenants open on use and close when nothing goes on there. A closed one is
 * noted in the system store with the end of its journal ("quiet"):
 *   close  1  the journal's end is covered by a tick, and its stop noted there
 *          2  the system store gets the note
 *   open   1  the journal must end exactly where the note says
 *          2  the note is taken away
 *          3  the journal gets a ROW_STARTED; with it, rows of what it slept
 *             through
 * At start only tenants without a note are opened and looked at. A crash leaves
 * the note and an unchanged journal, or no note.
 *
 * One tenant may be put back on purpose while the site runs: its journal has its
 * generation, and the system store its new anchor, before it opens again, so
 * none of this finds anything (tenant_restore.h).
 *
 * It must not know of sessions, threads, operations or people.
 */
#ifndef APPLIANCE_LEDGER_GUARD_H
#define APPLIANCE_LEDGER_GUARD_H

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/system.h"
#include "appliance/ledger/witness.h"

/** A tenant's journal. */
struct guard_part {
	const char *tenant;
	struct ledger *ledger;
};

struct guard {
	struct system_store *system;
	struct witness *witness;
	struct guard_part *parts;
	size_t n_parts;
	/** Faults for tests: called before each step that writes ("making",
	 * "make", "store", "increment", "incremented", "move", "moved",
	 * "admit", "admitted", "dismiss", "dismissed"); NULL otherwise. A
	 * non-zero result ends the function with it, as a crash would. */
	int (*fault)(void *ctx, const char *step);
	void *fault_ctx;
};

/** Parts that the caller made with calloc. */
void guard_free_parts(struct guard *guard);

/** What was found, and what is in force. */
struct guard_report {
	uint64_t counter; /* of the witness, in force while not rolled_back */
	uint64_t stored; /* of the store, as it was found */
	uint64_t witnessed; /* of the witness then; 0: it was lost */
	bool first; /* there was none before: it was made */
	bool interrupted; /* a tick was finished */
	bool rolled_back;
	char words[256]; /* what was found, for people; "": nothing */
};

/**
 * Look at all of it, and repair what a crash left. Before anything is granted.
 * Returns faults only: then nothing is known, and nothing may start.
 */
int guard_begin(struct guard_report *report, const struct guard *guard,
    int64_t now);

/**
 * Another witness counts from now on, after a clean guard_begin with the one
 * before (a file; a TPM in its place): the store says so in one write, and the
 * old one is removed. A crash leaves either. The other way round, from a TPM to
 * a file, is a loss: guard_begin finds it, and an admin acknowledges it.
 */
int guard_move(struct guard_report *report, struct guard *guard,
    struct witness *witness, int64_t now);

/**
 * Steps 2 and 3 of a tick. *counter is the value in force and goes up by one.
 * After a fault it is tried again with the same *counter.
 *
 * @retval ERR_ROLLED_BACK  The witness is not where it was left.
 */
int guard_tick(uint64_t *counter, const struct guard *guard, int64_t now);

/**
 * Prepare an acknowledgement: a witness that was lost or put back is made, above
 * all that was counted. Then the journals get
 * their rows (LEDGER_GENERATION, with `lost` by guard_lost), with
 * report->counter + 1; then guard_settle.
 */
int guard_prepare(struct guard_report *report, const struct guard *guard,
    int64_t now);
/** The furthest that is known of what a journal has lost; zero: nothing. */
int guard_lost(struct row_mark *lost, const struct guard *guard,
    const struct guard_part *part);
/** Steps 2 and 3. The report is clean after it. `settled`: who says what
 * happened, and what was found; its counter is filled in, and tenants that are
 * closed meanwhile get their rows by it when they open. */
int guard_settle(struct guard_report *report, const struct guard *guard,
    const struct system_generation *settled, int64_t now);

/**
 * Somebody shows a place in a journal, verified to be signed by this site. Does
 * it prove that the journal was put back? 1: yes, and it is kept, so that a
 * restart knows; 0: no; else a fault.
 */
int guard_evidence(struct guard_report *report, const struct guard *guard,
    const struct guard_part *part, const struct row_mark *mark);

/**
 * A tenant's store was opened, the only part of the guard: is it the newest?
 * Tenants that are noted as quiet are looked at here and not at the start. The
 * note is taken away, and then its journal may be written to. `counter` is the
 * one in force. Any thread; one tenant at a time.
 *
 * @param[out] report  rolled_back, and words: nothing may be written.
 */
int guard_admit(struct guard_report *report, struct system_quiet *quiet,
    bool *was_quiet, const struct guard *guard, uint64_t counter);
/** The same tenant is about to be closed, nothing is under way, and all that it
 * journaled is covered by a tick: note that. */
int guard_dismiss(const struct guard *guard, uint64_t counter);

/** The same without writing: is it proof? 1, 0, or a fault. */
int guard_is_proof(const struct guard_part *part, const struct row_mark *mark);

#endif
