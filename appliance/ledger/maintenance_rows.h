/*
 * Maintenance of the box, within the core: what root did, as rows in the journal
 * of the site's own tenant, each once, in root's order. It must not know files,
 * tokens or keys: root alone judges those.
 */
#ifndef APPLIANCE_LEDGER_MAINTENANCE_ROWS_H
#define APPLIANCE_LEDGER_MAINTENANCE_ROWS_H

#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_maintenance.h"
#include "shared/box/maintenance.h"

int fold_maintenance(struct state *state, const struct row *row);
/** LEDGER_MAINTENANCE: of one that is journaled already nothing is done. */
int decide_maintenance(struct batch *batch, struct command *command);

#endif
