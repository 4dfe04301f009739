/*
 * Between the ledger and its metering projection (appliance/metering): the rows
 * that are new go in. One thread at a time. It must not know requests, tenants,
 * or when it is time to follow.
 */
#ifndef APPLIANCE_LEDGER_METERING_FEED_H
#define APPLIANCE_LEDGER_METERING_FEED_H

#include "appliance/ledger/ledger.h"
#include "appliance/metering/metering.h"

/** Rows that go in in one transaction. */
#define METERING_FEED_ROWS 20000

/**
 * Tell the projection what the journal has more, METERING_FEED_ROWS about; a
 * journal that is not the one it was made from (a copy was put back) makes it
 * anew. Of batches that were given up before they were told, nothing is counted.
 *
 * @param[out] more  Something is left to do.
 */
int metering_feed(bool *more, struct metering *metering,
    struct ledger_view *view);
/** Rows of the journal that are not counted yet. */
int metering_behind(uint64_t *rows, struct metering *metering,
    const struct ledger_view *view);

#endif
