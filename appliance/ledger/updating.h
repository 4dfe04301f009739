/*
 * Updates of the box, as an admin asks for them: the bundle comes in pieces
 * into files (update_files.h), that it is to be installed is journaled
 * (update.h), then root's runner is asked. What came of it is looked for once a
 * second while one is under way, and journaled, also by the version that the
 * box started meanwhile. Everything that touches the files is done on the
 * vault's thread, one after the other.
 *
 * A crash after the row and before the request: the next look asks again. It
 * must not know slots, signatures or the TPM's floor: those are root's.
 */
#ifndef APPLIANCE_LEDGER_UPDATING_H
#define APPLIANCE_LEDGER_UPDATING_H

#include "appliance/ledger/inside.h"

void appliance_status_asked(const struct request *request);
void update_begin_asked(const struct request *request);
void update_put_asked(const struct request *request);
void update_show_asked(const struct request *request);
void update_install_asked(const struct request *request);
void update_drop_asked(const struct request *request);

/** May stores not go to a newer format yet? This version is not confirmed, or the
 * other slot has one that may be started again: it must still be able to open
 * what is written. Any thread. */
bool updating_holds_format(const struct process *process);

/** Once a second, of each tenant; only the site's own has updates. */
void updating_tick(struct tenant *tenant);

#endif
