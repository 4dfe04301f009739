/*
 * A tenant's audit projection in the process: a thread of its own follows the
 * journals that have news, once a second, and answers what is asked of the
 * projections. Nothing else waits for it: a projection that cannot be written
 * (its disk is full) is behind, and is told to be. It must not know what entries
 * say.
 */
#ifndef APPLIANCE_LEDGER_AUDIT_ASKED_H
#define APPLIANCE_LEDGER_AUDIT_ASKED_H

#include "appliance/ledger/work.h"

#include <stdbool.h>
#include <stdint.h>

struct audit;
struct request;
struct tenant;

/** The loop's but `audit`, which is the auditor thread's while the tenant is
 * open. Zero-initialised is a projection that was not opened yet. */
struct tenant_audit {
	struct work work; /* first */
	struct tenant *tenant;
	struct audit *audit;
	bool running;
	bool due; /* rows came, or something is left to do */
	bool faulty; /* the last time; said once */
	int64_t again_at; /* boottime: not before */
	int64_t pruned_at; /* boottime: of the last look for what is old */
	int rc;
	bool more;
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
