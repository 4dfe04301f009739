/*
 * A tenant's audit projection in the process: the auditor's thread follows the
 * journal for it (following.h) and answers what is asked of it. It must not know
 * what entries say.
 */
#ifndef APPLIANCE_LEDGER_AUDIT_ASKED_H
#define APPLIANCE_LEDGER_AUDIT_ASKED_H

#include "appliance/ledger/following.h"

struct audit;
struct request;
struct tenant;

/** The loop's but `audit`, which is the auditor thread's while the tenant is
 * open. Zero-initialised is a projection that was not opened yet. */
struct tenant_audit {
	struct following following;
	struct audit *audit;
	int64_t pruned_at; /* boottime: of the last look for what is old */
};

/** It has rows, or may have: it was opened. */
void audit_is_due(struct tenant *tenant);
/** Once a second. */
void audit_tick(struct tenant *tenant);
/** The tenant closes; its auditor runs no more. */
void audit_end(struct tenant *tenant);

/** Open it and let it follow, on the auditor's thread (call_audit). `more`: it
 * did not get to the end in a moment. */
int audit_catch_up(bool *more, struct tenant *tenant);

void audit_search_asked(const struct request *request);
void audit_state_asked(const struct request *request);
void audit_rebuild_asked(const struct request *request);

#endif
