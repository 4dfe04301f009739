/*
 * What the process around asks the core about updates of the box. See update.h.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_UPDATE_H
#define APPLIANCE_LEDGER_LEDGER_UPDATE_H

#include "appliance/ledger/ledger.h"
#include "shared/rpc/messages_appliance.h"

/** The last update, as the journal has it. */
struct state_update {
	uint64_t update;
	uint8_t digest[32];
	uint64_t bytes;
	bool usb;
	int64_t requested_at;
	uint32_t phase; /* UPDATE_REQUESTED, _DONE, _FAILED or _FELL_BACK */
	char version[ROW_UPDATE_VERSION_MAX + 1];
	char slot[8];
	char reason[ROW_UPDATE_REASON_MAX + 1];
	int64_t ended_at;
};

/** LEDGER_UPDATE: an admin asks for it; what it is was looked at. The reply is
 * its number: of the one that is under way already, if it is the same. */
struct ledger_update {
	uint8_t digest[32]; /* zero: of the stick */
	uint64_t bytes;
	bool usb;
	char running[ROW_UPDATE_VERSION_MAX + 1];
};

/** LEDGER_UPDATE_ENDED: the runner says so. Of another one than is under way:
 * nothing, no row. */
struct ledger_update_ended {
	uint32_t phase; /* UPDATE_DONE, UPDATE_FAILED or UPDATE_FELL_BACK */
	struct row_update_ended row;
};

/** update 0: there was none. */
int ledger_update(struct state_update *out, struct ledger_view *view);

#endif
