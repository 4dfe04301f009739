/* The folds of alerts (fold_alert.c), for fold.c alone. */
#ifndef APPLIANCE_LEDGER_FOLD_ALERT_H
#define APPLIANCE_LEDGER_FOLD_ALERT_H

#include "appliance/ledger/fold.h"

int fold_alert_opened(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_alert_again(struct state *state, const struct row *row);
int fold_alert_acknowledged(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_alert_closed(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_channel_added(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_channel_removed(struct state *state, const struct row *row);

#endif
