/*
 * What the site's store says of a tenant (suspended or not, its limits, who
 * said so) as rows of the tenant's own journal. Two stores, in this order, so
 * that a crash anywhere leaves a row that is owed, and none twice:
 *   1  the system store gets the tenant as it is now, with its next revision,
 *      and in the same write that its journal is owed a row
 *   2  it holds in memory: a suspended tenant takes nothing more
 *   3  the journal gets the row, which names the revision; one that the journal
 *      has already adds nothing. From here on its limits are those
 *   4  the system store forgets that it owes it
 * Who changed an open tenant is answered after step 4. A closed one is opened
 * for steps 3 and 4, and whoever comes first waits until 3 is done. A start, and
 * each opening, does what is owed before anything is asked of the tenant. Where
 * the journal says something else all the same (its store was put back, or one
 * of the two is of before there were such rows), it gets what the system store
 * says, by the site.
 */
#ifndef APPLIANCE_LEDGER_TENANT_OWED_H
#define APPLIANCE_LEDGER_TENANT_OWED_H

#include "appliance/ledger/inside.h"

/** One row that is owed. */
struct tenant_owed {
	struct system_owed *items; /* in their order */
	size_t n, at; /* the first `at` of them are journaled */
};

/** Step 1's part: the row of the tenant as it is now. */
void tenant_owed_make(struct system_owed *owed,
    const struct system_tenant *facts, int64_t now, const struct principal *by);

/** What it is owed, as its store is opened: into tenant->owed. Not in the
 * loop. */
int tenant_owed_load(struct tenant *tenant);
void tenant_owed_release(struct tenant *tenant);
/** At its start: the call that journals the next one; NULL: no memory. Call
 * tenant_owed_next() when it is through. */
struct call *tenant_owed_call(struct tenant *tenant);
void tenant_owed_next(struct tenant *tenant);
static inline bool
tenant_owes(const struct tenant *tenant)
{
	return tenant->owed != NULL && tenant->owed->at < tenant->owed->n;
}

/** Of an open tenant: steps 3 and 4; then `waiting` is answered (NULL:
 * nobody waits). False: no memory, and that was answered. */
bool tenant_owed_settle(struct tenant *tenant, struct call *waiting);
/** It is started, and about to take requests: true when something was changed
 * while it opened. That is journaled first; then tenant_started() comes again.
 */
bool tenant_owed_delays(struct tenant *tenant);
/** Once a second: what came to nothing is tried again. */
void tenant_owed_watch(struct tenant *tenant);

#endif
