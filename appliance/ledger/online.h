/*
 * Sync over the network (DESIGN 13): for each vendor with a hub the next report
 * is made off the loop, goes to the courier as a finished job, and what comes
 * back is the command that an import of a file is; then the next one, until
 * nothing is left. One report at a time is on its way to one vendor, a few in
 * the whole process, and nobody waits for any of it who wants a seat. What
 * fails is tried again later and later, with jitter, for ever: what was not
 * taken stays in the journal. Nothing of this is state: after a restart the
 * time of the last receipt says when to go on. In the loop. It must not know
 * what a report says, nor TLS.
 */
#ifndef APPLIANCE_LEDGER_ONLINE_H
#define APPLIANCE_LEDGER_ONLINE_H

#include "appliance/ledger/inside.h"

/** Reports on their way at once, of all tenants; each is at most SYNC_FILE_MAX
 * bytes. */
#define ONLINE_MAX 4
/** Tries in a row that came to nothing, before somebody must know of it. */
#define ONLINE_ALERT_AFTER 3

enum online_phase { ONLINE_IDLE, ONLINE_MAKING, ONLINE_SENDING, ONLINE_TAKING };

/** The tenant and the hub of one vendor. */
struct online_vendor {
	struct online_vendor *next;
	char vendor[64];
	char hub[256]; /* "": it goes by file */
	bool anywhere; /* the site's admin named it, not a license */
	enum online_phase phase;
	uint64_t serial; /* of what is on its way */
	uint64_t taken; /* the last report that the hub is known to have */
	bool more; /* behind the report at hand */
	bool asked; /* by somebody, now */
	uint32_t failures; /* in a row */
	int64_t next_at; /* boottime; 0: not by itself */
	int64_t tried_at, synced_at; /* site time */
	char failed[192];
};

/** Of the process, once. */
void online_start(struct process *process);
void online_close(struct tenant *tenant);
/** Licenses or receipts may have changed. */
void online_wake(struct tenant *tenant);
/** Once a second. */
void online_tick(struct tenant *tenant);
/** Is a report on its way? */
bool online_waits(const struct tenant *tenant);
/** Once a second: a tenant that nobody asks is opened for its reports. */
void online_watch(struct process *process);
/** What was on its way; before the process ends. */
void online_release(struct process *process);

/** sync.status, sync.now. */
void sync_status_asked(const struct request *request);
void sync_now_asked(const struct request *request);

#endif
