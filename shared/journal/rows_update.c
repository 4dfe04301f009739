/* The tables of rows about updates of the appliance; see rows.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_update_requested_fields[] = {
	R_U64(row_update_requested, update, 1, U53_MAX, 0, "Its number."),
	R_FIXED(row_update_requested, digest, RECORD_OPTIONAL,
	    "BLAKE2b-256 of the bundle; absent: whatever is on the stick."),
	R_U64(row_update_requested, bytes, 0, U53_MAX, RECORD_OPTIONAL,
	    "Its length."),
	R_BOOL(row_update_requested, usb, RECORD_OPTIONAL,
	    "It is read from a stick in the box."),
	R_TEXT(row_update_requested, running, 0, ROW_UPDATE_VERSION_MAX,
	    RECORD_OPTIONAL, "The version that runs."),
	R_STRUCT(row_update_requested, by, &row_actor_record, 0, "Who asked."),
};
RECORD_DEFINE(row_update_requested, 1, "An update of the box is asked for.");

static const struct record_field row_update_ended_fields[] = {
	R_U64(row_update_ended, update, 1, U53_MAX, 0, "Its number."),
	R_FIXED(row_update_ended, digest, RECORD_OPTIONAL,
	    "BLAKE2b-256 of the bundle, as it was installed."),
	R_TEXT(row_update_ended, version, 0, ROW_UPDATE_VERSION_MAX,
	    RECORD_OPTIONAL, "The version that its signed manifest names."),
	R_TEXT(row_update_ended, slot, 0, 7, RECORD_OPTIONAL,
	    "Where it was written: A or B."),
	R_TEXT(row_update_ended, reason, 0, ROW_UPDATE_REASON_MAX,
	    RECORD_OPTIONAL, "Why it came to nothing."),
};
RECORD_DEFINE(row_update_ended, 1, "An update of the box came to its end.");
