/*
 * What admins, people and programs ask for, as rows: who, for what, from where,
 * and how it ended. What changes the journal has its row in the same batch as
 * the facts (decide); all else (refusals, looks at people's data, what changes
 * another store or nothing that is journaled) is told here by the answer.
 *
 * The first of a cause in a minute is a row at once; its repetitions are one
 * more row with their count when the minute is over. So a flood of refusals is
 * two rows a minute, and a crash loses a count and never a cause. It must not
 * know what the operations do.
 */
#ifndef APPLIANCE_LEDGER_ACTS_H
#define APPLIANCE_LEDGER_ACTS_H

#include "shared/journal/rows.h"
#include "shared/rpc/operations.h"

struct act;
struct call;
struct request;
struct tenant;

/** Causes of one minute that are told apart; beyond, by operation and code
 * alone, and beyond twice as many only counted. */
#define ACTS_MAX 512
/** Where devices and keys spoke from last. */
#define ACTS_SEEN 4096

struct act_seen {
	uint64_t device;
	uint64_t from; /* hash of the address */
};

/** Zero-initialised is empty and valid. */
struct acts {
	struct act *first;
	size_t n;
	size_t pending; /* rows that are still to come */
	uint64_t lost;
	struct act_seen *seen;
};

/** LEDGER_ACT. */
struct ledger_act {
	struct row_act row;
	char address[64];
};

/** Does this operation leave a row of its own when it was done, or refused? Seats
 * that are taken and given back have rows that say it. */
bool acts_want_done(const struct operation *op);
bool acts_want_refusal(const struct operation *op, int err);
/** May repetitions be one row, also when they were done? Of what changes
 * nothing. */
bool acts_fold_done(const struct operation *op);

/** Fill in what it is about, from the parameters in its path. */
void acts_fill(struct row_act *row, const struct operation *op,
    const void *request);

/** In the loop: a request was answered. `asked`: its record; NULL: it could not
 * be read. */
void acts_note(struct tenant *tenant, const struct operation *op,
    const struct row_actor *by, const char *address, const void *asked,
    int err);
/** It was answered by the call. */
void acts_note_call(const struct call *call);
/** A device or key speaks from there: a row when that is news. */
void acts_note_from(struct tenant *tenant, uint64_t device,
    const char *address);

/** Rows for the minutes that are over; with `now`, for all. */
void acts_flush(struct tenant *tenant, bool now);
void acts_release(struct acts *acts);

#endif
