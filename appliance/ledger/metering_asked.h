/*
 * A tenant's metering projection in the process: the auditor's thread follows
 * the journal for it (following.h) and answers what is asked of a period. Beside
 * that, events of named metrics and what follows from them: denials, alerts. It
 * must not know how anything is counted.
 */
#ifndef APPLIANCE_LEDGER_METERING_ASKED_H
#define APPLIANCE_LEDGER_METERING_ASKED_H

#include "appliance/ledger/following.h"

struct ledger_view;
struct metering;
struct request;
struct tenant;

/** The loop's but `metering` and `forgot`, which are the auditor thread's while
 * the tenant is open. Zero-initialised is a projection that was not opened yet. */
struct tenant_metering {
	struct following following;
	struct metering *metering;
	bool limits_due; /* something was tracked since they were looked at */
	int64_t limits_looked; /* boottime */
	int64_t forgot; /* hours of people before it are gone */
	int64_t forget_looked; /* boottime; 0: not yet */
};

/** It has rows, or may have: it was opened. */
void metering_is_due(struct tenant *tenant);
/** Once a second. */
void metering_tick(struct tenant *tenant);
/** The tenant closes; nothing of it runs any more. */
void metering_end(struct tenant *tenant);
/** Open it and let it follow, on the auditor's thread (call_audit): who needs a
 * period that is whole. `more`: it did not get to the end in a moment. */
int metering_catch_up(bool *more, struct tenant *tenant);
/** Limits of metrics that are nearly used up: once a second, in the loop. */
void metering_watch(struct tenant *tenant);

void usage_track_asked(const struct request *request);
void usage_report_asked(const struct request *request);
void usage_stats_asked(const struct request *request);

#endif
