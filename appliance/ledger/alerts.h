/*
 * Whoever finds something that somebody must know says so here: alert_raise()
 * for what happens (a key came from nowhere it should), alert_set() for what is
 * so or not (the disk is full). In the loop; what is said is journaled as soon
 * as the store can be written, once for one subject, then counted with a row a
 * minute at most. What cannot be journaled (the store is put back, the disk is
 * full) is kept and shown meanwhile. It must not know where alerts go.
 */
#ifndef APPLIANCE_LEDGER_ALERTS_H
#define APPLIANCE_LEDGER_ALERTS_H

#include "appliance/ledger/inside.h"
#include "appliance/ledger/ledger_alert.h"

/** Subjects that one tenant may have alerts of at once. */
#define ALERTS_MAX 1024
/** What happened to a key is over when it does not happen for so long. */
#define ALERTS_QUIET_MS ((int64_t)24 * 60 * 60 * 1000)

struct alert_fact {
	struct alert_subject subject;
	const char *address, *host; /* NULL: none */
	const uint8_t *fingerprint; /* 32; NULL: none */
	uint64_t value, limit;
	bool logged; /* whoever found it has said more than its words do */
};

void alert_raise(struct tenant *tenant, const struct alert_fact *fact);
/** True once when it begins, however often it is said. */
bool alert_set(struct tenant *tenant, const struct alert_fact *fact, bool on);
bool alert_is_on(const struct tenant *tenant,
    const struct alert_subject *subject);
/** What a figure in percent is to an alert that begins at `on` and ends below
 * `off`. */
bool alert_crosses(bool was_on, uint64_t percent, uint32_t on, uint32_t off);
/** The stage of a contract with so much time left: 30, 7 or 1 days, 0 when it
 * is over; -1: none yet. */
int alert_license_stage(int64_t left_ms);

/** Read those that are open. */
int alerts_open(struct tenant *tenant);
void alerts_close(struct tenant *tenant);
/** Once a second. */
void alerts_tick(struct tenant *tenant);
/** Before the stop: all that is not journaled yet; true while calls are under
 * way for it. */
bool alerts_flush(struct tenant *tenant);
/** Is there something that is not journaled yet? */
bool alerts_wait(const struct tenant *tenant);
/** The key is revoked: there is nothing left to know of it. */
void alerts_key_ended(struct tenant *tenant, uint64_t device);
/** A license was installed or renewed. */
void alerts_license_changed(struct tenant *tenant);
/** Are contracts to be looked at now? Once for each change. */
bool alerts_take_licenses_due(struct tenant *tenant);
/** Is what limits count to be counted now? When the limits changed, soon after
 * more were made, and once a minute, for some may have gone. */
bool alerts_take_count_due(struct tenant *tenant, uint64_t made);
/** Add to the last page what is not journaled yet. */
void alerts_add_waiting(struct alert_page *page, struct tenant *tenant,
    struct arena *arena);

/* --- alerts_watch.c -------------------------------------------------------- */

/** Does its map, or the site's disk, fill? */
bool alerts_fill(const struct tenant *tenant);
/** What is so or not, of this tenant and, where it is the site's own, of the
 * site. */
void alerts_watch(struct tenant *tenant);

#endif
