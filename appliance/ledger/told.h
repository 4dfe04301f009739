/*
 * Batches as they are stored, for projections that follow the journal. The
 * signature was checked when they were written; who audits checks it again. It
 * must not know what a projection makes of them.
 */
#ifndef APPLIANCE_LEDGER_TOLD_H
#define APPLIANCE_LEDGER_TOLD_H

#include "appliance/ledger/core.h"

/** Zero-initialised is empty; release its arena at the end. */
struct told {
	struct arena arena;
	struct journal_batch batch;
	struct journal_header header;
	uint8_t head[32];
};

/** ERR_CORRUPT also when it is not there. The one before is forgotten. */
int told_read(struct told *told, const struct ledger_view *view,
    uint64_t number);

#endif
