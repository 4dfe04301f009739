/*
 * What root tells of maintenance, for the ledger to journal and for admins to
 * see: one record in one file of the folder that both share. It must not know
 * who writes rows.
 */
#ifndef SHARED_BOX_MAINTENANCE_STATE_H
#define SHARED_BOX_MAINTENANCE_STATE_H

#include "shared/box/maintenance.h"

/** In [appliance] state_dir: root's word, and the token that the ledger hands
 * to root's unit. */
#define MAINTENANCE_STATE_FILE "maintenance.json"
#define MAINTENANCE_TOKEN_FILE "maintenance.token"
#define MAINTENANCE_STATE_BYTES_MAX 24576

struct maintenance_state {
	char box[MAINTENANCE_BOX_TEXT];
	char owner[64]; /* id of the owner's key; "": nobody owns the box */
	struct record_list events; /* maintenance_event, the oldest first */
};

extern const struct record maintenance_state_record;

/** Into FOLDER/maintenance.json, whole or not at all. */
int maintenance_state_write(const char *folder,
    const struct maintenance_state *state);
/** ERR_NOT_FOUND: root has not told anything; ERR_CORRUPT. The events are in
 * the arena. */
int maintenance_state_read(struct maintenance_state *state, const char *folder,
    struct arena *arena);

#endif
