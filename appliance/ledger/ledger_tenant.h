/*
 * The tenant itself in the ledger's core: what its journal says of suspension
 * and limits, and the command by which the process around journals what the
 * site's store of tenants has (tenant_owed.h). Limits are enforced by the core,
 * by what the journal says; suspension by the process, which refuses before
 * anything is asked of the core. It must not know of that store.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_TENANT_H
#define APPLIANCE_LEDGER_LEDGER_TENANT_H

#include "appliance/ledger/ledger.h"

/** Nothing is done when the journal has this revision already, or a later one.
 */
struct ledger_tenant_change {
	struct row_tenant_changed row; /* its reason is filled in */
	char reason[128]; /* "": none */
};

/** As the newest row says; a revision of 0: there is none. */
struct ledger_tenant_facts {
	uint64_t revision;
	bool suspended;
	struct row_limits limits;
};
int ledger_tenant_facts(struct ledger_tenant_facts *out,
    struct ledger_view *view);

/** How many there are, as limits count them (limits.h). Reads every device and
 * user. */
struct ledger_tenant_has {
	uint64_t devices, keys, users;
};
int ledger_tenant_has(struct ledger_tenant_has *out, struct ledger_view *view);
/** Another one whenever a device or key is new. Cheap. */
uint64_t ledger_tenant_made(const struct ledger_view *view);

#endif
