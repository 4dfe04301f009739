/*
 * Maintenance of the box, as an admin asks for it and as root tells of it: a
 * token of the box's owner is handed on in a file of [appliance] state_dir, and
 * what root did (opened, refused, ended) is looked for once a second in another
 * one, and journaled, also after a restart. Everything that touches the files is
 * done on the vault's thread.
 *
 * It must not judge a token: a daemon that was taken over must not be able to
 * open a shell, so root's unit asks the owner's key, and this part has no word.
 */
#ifndef APPLIANCE_LEDGER_MAINTAINING_H
#define APPLIANCE_LEDGER_MAINTAINING_H

#include "appliance/ledger/inside.h"

void maintenance_open_asked(const struct request *request);
void maintenance_show_asked(const struct request *request);

/** Once a second, of each tenant; only the site's own journals the box. */
void maintaining_tick(struct tenant *tenant);

#endif
