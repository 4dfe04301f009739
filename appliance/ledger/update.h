/*
 * Updates of the box, within the core: who asked for which, and how it ended.
 * They stand in the journal of the site's own tenant. At most one is under way;
 * asked for once more it is the same. It must not know files, slots or RAUC.
 */
#ifndef APPLIANCE_LEDGER_UPDATE_H
#define APPLIANCE_LEDGER_UPDATE_H

#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_update.h"

/** ERR_NOT_FOUND_INTERNAL: there never was one. */
int state_update(struct state_update *out, const struct state *state);

int fold_update_requested(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_update_ended(struct state *state, const struct row *row,
    const struct fold_place *place);

/** LEDGER_UPDATE */
int decide_update(struct batch *batch, struct command *command);
/** LEDGER_UPDATE_ENDED */
int decide_update_ended(struct batch *batch, struct command *command);
extern const struct record ledger_update_record, ledger_update_ended_record;

#endif
