/*
 * Reports out of a snapshot, for the process around the core. Any thread. See
 * sync.h for what the core does with what comes back.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_SYNC_H
#define APPLIANCE_LEDGER_LEDGER_SYNC_H

#include "appliance/ledger/ledger.h"
#include "appliance/ledger/measure.h"

/**
 * The next report to a vendor: behind the last receipt, or behind `after`,
 * which must be a mark of this journal (a report made just before).
 *
 * @param[out] more  there is something behind it
 * @param proof  what the process knows of the site; the counter is filled in
 * @param measure  how its machine was started; NULL: nothing is told
 * @retval ERR_NOT_FOUND           There is no such vendor here.
 * @retval ERR_NOT_FOUND_INTERNAL  Nothing is behind the mark.
 * @retval ERR_ROLLED_BACK         `after` is not of this journal.
 */
int sync_build(struct buf *token, struct buf *body, struct report *report,
    struct report_mark *next, bool *more, struct ledger_view *view,
    const char *vendor, const struct report_mark *after,
    const struct report_proof *proof, struct measure *measure);
/** Seal it to the key that issued the vendor's newest license. */
int sync_seal(struct buf *file, struct ledger_view *view, const char *vendor,
    const struct buf *token, const struct buf *body);

/** How far a license is on its way to where nothing is granted for want of a
 * receipt, in percent, and its days; 0 days: any. */
int sync_unsynced(uint64_t *percent, uint64_t *days, struct ledger_view *view,
    const struct license *license, int64_t now_ms);

#endif
