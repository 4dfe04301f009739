/*
 * Following a tenant's journal for one of its projections: on the auditor's
 * thread, in turns so that all tenants get theirs, once a second where there is
 * news. Nothing waits for it: one that cannot be written (its disk is full) is
 * behind, is said to be once, and is tried again. It must not know what a
 * projection makes of rows, nor what is asked of it.
 */
#ifndef APPLIANCE_LEDGER_FOLLOWING_H
#define APPLIANCE_LEDGER_FOLLOWING_H

#include "appliance/ledger/work.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger_view;
struct tenant;

/** A projection, as it is followed for; the calls are on the auditor's thread.
 */
struct following_kind {
	const char *part; /* of the log */
	/** What it means that it cannot be written: "searches do not find it";
	 * and that it is again. */
	const char *lost, *again;
	/** Open it, unless it is. */
	int (*open)(struct tenant *tenant);
	/** A page of what is new to it; `more`: something is left. */
	int (
	    *feed)(bool *more, struct tenant *tenant, struct ledger_view *view);
};

/** The loop's. Zero-initialised is one that never ran. */
struct following {
	struct work work; /* first */
	const struct following_kind *kind;
	struct tenant *tenant;
	bool running;
	bool due; /* rows came, or something is left to do */
	bool faulty; /* the last time; said once */
	int64_t again_at; /* boottime: not before */
	int rc;
	bool more;
};

/** Once a second. */
void following_tick(struct following *following,
    const struct following_kind *kind, struct tenant *tenant);

/** On the auditor's thread (call_audit), for who needs it whole. `more`: it did
 * not get to the end in a moment. */
int following_catch_up(bool *more, const struct following_kind *kind,
    struct tenant *tenant);

#endif
