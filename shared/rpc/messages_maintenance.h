/*
 * What an admin asks about maintenance of the box: to show it a token of its
 * owner, and what came of it. Root judges the token; the site only hands it on.
 */
#ifndef SHARED_RPC_MESSAGES_MAINTENANCE_H
#define SHARED_RPC_MESSAGES_MAINTENANCE_H

#include "shared/box/maintenance.h"

struct maintenance_ask {
	char token[MAINTENANCE_TOKEN_MAX + 1];
};
struct maintenance_view {
	char site[64];
	char box[MAINTENANCE_BOX_TEXT]; /* "": root has told nothing yet */
	char owner[64]; /* id of the owner's key; "": nobody owns it */
	bool asked; /* root has not looked at a token yet */
	bool open;
	int64_t until; /* of an open one */
	struct record_list events; /* maintenance_event, the oldest first */
};

extern const struct record maintenance_ask_record, maintenance_view_record;

#endif
