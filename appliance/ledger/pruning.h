/*
 * When old batches of a journal are given up: asked for by an admin of the site,
 * or by itself where [journal] keep_days says how long they stay. What has to be
 * written and removed for it is, some at a time, on the thread for copies of
 * whole stores, a tenth of its time at most; grants never wait for more than one
 * small transaction of it. How it works stands in prune.h.
 */
#ifndef APPLIANCE_LEDGER_PRUNING_H
#define APPLIANCE_LEDGER_PRUNING_H

#include "appliance/ledger/prune.h"

struct request;
struct tenant;

/** What is younger stays, whatever is asked: so long the ids of requests are
 * remembered by their rows, also over a restart. */
#define PRUNING_AGE_MS INT64_C(86400000)

/** Zero-initialised is valid; pruning_open() says what the last run left. */
struct tenant_pruning {
	bool busy; /* a plan, or a turn of a sweep, is on its way */
	bool due; /* something is to be removed */
	/* Of the turn under way: */
	struct ledger_sweep sweep;
	bool begun;
	bool more;
	int64_t looked_at; /* boottime: what keep_days says */
	int64_t again_at; /* boottime: after a fault */
};

/** OP_JOURNAL_SHOW, OP_JOURNAL_PRUNE. */
void journal_show_asked(const struct request *request);
void journal_prune_asked(const struct request *request);

int pruning_open(struct tenant *tenant);
/** Once a second. */
void pruning_tick(struct tenant *tenant);
void pruning_end(struct tenant *tenant);

#endif
