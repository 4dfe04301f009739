/*
 * Hours of a vendor's seats for a report, as metering counted them: between the
 * core, which makes reports (ledger_sync.h) and must not know metering, and
 * appliance/metering.
 */
#ifndef APPLIANCE_LEDGER_SYNC_HOURS_H
#define APPLIANCE_LEDGER_SYNC_HOURS_H

#include "appliance/ledger/ledger_sync.h"

struct metering;

struct sync_metered {
	struct sync_hours base;
	struct metering *metering; /* borrowed */
};
void sync_hours_of(struct sync_metered *metered, struct metering *metering);

#endif
