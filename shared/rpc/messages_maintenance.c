/* Tables: maintenance of the box. */
#include "shared/rpc/messages_maintenance.h"

#include "shared/rpc/tables.h"

static const struct record_field maintenance_ask_fields[] = {
	R_TEXT(maintenance_ask, token, 1, MAINTENANCE_TOKEN_MAX, 0,
	    "As `leasehold appliance maintenance token` makes it."),
};
RECORD_DEFINE(maintenance_ask, 1, "Show the box a token of its owner.");

static const struct record_field maintenance_view_fields[] = {
	R_TEXT(maintenance_view, site, 1, 63, 0, "The site's id."),
	R_TEXT(maintenance_view, box, 0, MAINTENANCE_BOX_TEXT - 1, OPT,
	    "The box's own id; absent: it has not told yet."),
	R_TEXT(maintenance_view, owner, 0, 63, OPT,
	    "Id of the owner's key; absent: nobody owns it."),
	R_BOOL(maintenance_view, asked, OPT, "A token is being looked at."),
	R_BOOL(maintenance_view, open, OPT, "There is a shell on the console."),
	R_TIME(maintenance_view, until, OPT, "Of an open one, at most."),
	R_LIST(maintenance_view, events, &maintenance_event_record, 0,
	    MAINTENANCE_EVENTS_MAX, 0, "What was done last."),
};
RECORD_DEFINE(maintenance_view, 1, "Maintenance of the box.");
