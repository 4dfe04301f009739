/*
 * A tenant put back to an older copy while its site runs; the other tenants
 * notice nothing. What was sent (upload.h) is made a store beside the one in use
 * and checked, on the vault's thread, while the tenant goes on. Then:
 *   1  the tenant is taken: its sessions are told to come again, requests for it
 *      wait, and it is closed once nothing is under way there
 *   2  the copy's journal gets a ROW_GENERATION: what it lost is where the
 *      other one ends, so what was granted after it is adopted from the devices
 *      It is told too what must hold all the same: who was erased since, and
 *      what was revoked (carry.h)
 *   3  the system store notes where that copy now ends ("restoring")
 *   4  the two stores change places, in one step of the file system
 *   5  the system store takes that place for the tenant's anchor, forgets what
 *      was known of the other one, and the note, all in one write
 *   6  the store that was replaced is removed, and the tenant opens
 * A crash before 4 leaves the old store, one after it the new one, whole; which
 * of them is there, and so whether 5 is still to be done, is seen by whether its
 * journal holds the place that was noted (tenant_restore_settle). Nobody who can
 * only put back the tenant's files gets a copy in unseen that way: the note is
 * in the system store, which the site's counter guards.
 *
 * The admin's reason opens the new generation in the same step, so nothing is
 * frozen: an older copy that he asked for by name, and that says so in its
 * journal, is no finding. It must not know of archives and passphrases.
 */
#ifndef APPLIANCE_LEDGER_TENANT_RESTORE_H
#define APPLIANCE_LEDGER_TENANT_RESTORE_H

#include "appliance/ledger/carry.h"
#include "appliance/ledger/inside.h"

/* It goes on by itself from there: who asked looks how far it is, for a journal
 * of a million rows takes longer to check than a connection lasts. */
void tenant_restore_asked(const struct request *request);
void tenant_restore_looked(const struct request *request);
/** It was put back; only the answer is still there. */
bool tenant_restore_is_over(const struct spool *spool);
/** In the tick, while tenant->restoring: true when the tenant was taken. */
bool tenant_restore_step(struct tenant *tenant);
/** The site stops: given up as soon as that may be. */
void tenant_restore_stop(struct tenant *tenant);

/** Does a note say that the tenant's store was being exchanged? Then find out
 * which one is there, and go on from it. The tenant is closed. Any thread. */
int tenant_restore_settle(struct process *process, const char *name);
/** The same at the start; and what a crash left beside is removed. */
int tenant_restore_clear(struct process *process, const char *name);

/** Steps 2 to 5, of a store that lies checked beside the one in place; both are
 * closed. */
struct tenant_exchange {
	struct process *process;
	const char *name;
	const uint8_t *key; /* of the tenant */
	struct principal who;
	const char *reason;
	uint64_t counter; /* of the site */
	struct row_mark until_now; /* where the one in place ends */
	/** Faults for tests, called before each step ("row", "carry",
	 * "note", "exchange", "settle"); NULL otherwise. Non-zero ends it with that, as
	 * a crash would. */
	int (*fault)(void *ctx, const char *step);
	void *fault_ctx;
	struct row_mark copied; /* out: where the copy ended */
	struct row_mark lost; /* out */
	struct row_mark now; /* out: where it begins to go on */
	struct carried carried; /* out */
};
int tenant_exchange(struct tenant_exchange *exchange);

#endif
