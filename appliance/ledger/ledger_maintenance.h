/*
 * What the process around asks the core about maintenance of the box. See
 * maintenance_rows.h.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_MAINTENANCE_H
#define APPLIANCE_LEDGER_LEDGER_MAINTENANCE_H

#include "appliance/ledger/ledger.h"

/** What of root's events the journal has. */
struct state_maintenance {
	uint64_t event; /* the last; 0: none */
	bool open; /* an opened one without its end */
};

int ledger_maintenance(struct state_maintenance *out, struct ledger_view *view);

#endif
