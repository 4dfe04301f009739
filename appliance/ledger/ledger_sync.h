/*
 * Reports out of a snapshot, for the process around the core. Any thread. See
 * sync.h for what the core does with what comes back.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_SYNC_H
#define APPLIANCE_LEDGER_LEDGER_SYNC_H

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/measure.h"

/** Who counts hours of seats; the core does not. */
struct sync_hours {
	/** Every hour of that vendor's seats from `from`, the start of one, to
	 * that of `to`; see report_source. */
	int (*tell)(const struct sync_hours *hours, struct ledger_view *view,
	    const char *vendor, int64_t from, int64_t to,
	    int (*each)(void *sink, const struct report_hour *hour),
	    void *sink);
};

/**
 * The next report to a vendor: behind the last receipt, or behind `after`,
 * which must be a mark of this journal (a report made just before).
 *
 * @param[out] more  there is something behind it
 * @param proof  what the process knows of the site; the counter is filled in
 * @param measure  how its machine was started; NULL: nothing is told
 * @param hours  of seats; NULL: none are told
 * @retval ERR_NOT_FOUND           There is no such vendor here.
 * @retval ERR_NOT_FOUND_INTERNAL  Nothing is behind the mark.
 * @retval ERR_ROLLED_BACK         `after` is not of this journal.
 */
int sync_build(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, bool *more, struct ledger_view *view,
    const char *vendor, const struct report_mark *after,
    const struct report_proof *proof, struct measure *measure,
    const struct sync_hours *hours);
/** Seal it to the key that issued the vendor's newest license. */
int sync_seal(struct buf *file, struct ledger_view *view, const char *vendor,
    const struct buf *token, const struct buf *body);

/** How far a license is on its way to where nothing is granted for want of a
 * receipt, in percent, and its days; 0 days: any. */
int sync_unsynced(uint64_t *percent, uint64_t *days, struct ledger_view *view,
    const struct license *license, int64_t now_ms);

#endif
