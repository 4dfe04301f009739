/* The table of rows about the box; see rows_box.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_maintenance_fields[] = {
	R_U64(row_maintenance, event, 1, U53_MAX, 0, "The box's number of it."),
	R_FIXED(row_maintenance, token, RECORD_OPTIONAL,
	    "Id of the token; absent: it could not be read."),
	R_TEXT(row_maintenance, owner, 0, 63, RECORD_OPTIONAL,
	    "Id of the owner's key that signed it."),
	R_U32(row_maintenance, minutes, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "That it grants."),
	R_FIXED(row_maintenance, reason, RECORD_OPTIONAL,
	    "What for; else why it was refused, or why it ended."),
	R_TIME(row_maintenance, at, 0, "When, by the box's clock."),
	R_TIME(row_maintenance, until, RECORD_OPTIONAL, "At most."),
};
RECORD_DEFINE(row_maintenance, 1,
    "Maintenance of the box was opened, refused, or has ended.");
