/* The folds of API keys (fold_key.c), for fold.c alone. */
#ifndef APPLIANCE_LEDGER_FOLD_KEY_H
#define APPLIANCE_LEDGER_FOLD_KEY_H

#include "appliance/ledger/fold.h"

int fold_key_created(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_key_changed(struct state *state, const struct row *row);
int fold_key_rotated(struct state *state, const struct row *row,
    const struct fold_place *place);

#endif
