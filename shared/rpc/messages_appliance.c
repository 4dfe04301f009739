/* Tables: the box and its updates. */
#include "shared/rpc/messages_appliance.h"

#include "shared/rpc/tables.h"

static const struct record_field update_begin_fields[] = {
	R_FIXED(update_begin, digest, 0,
	    "BLAKE2b-256 of the file; it names the update from here on."),
	R_U64(update_begin, bytes, 1, U53_MAX, 0, "Its length."),
};
RECORD_DEFINE(update_begin, 1, "Begin to send an update, or go on with it.");

static const struct record_field update_ref_fields[] = {
	R_FIXED(update_ref, digest, 0, "BLAKE2b-256 of the file."),
};
RECORD_DEFINE(update_ref, 1, "An update by the digest of its file.");

static const struct record_field update_put_fields[] = {
	R_FIXED(update_put, digest, 0, "BLAKE2b-256 of the whole file."),
	R_U64(update_put, offset, 0, U53_MAX, OPT, "From which byte on."),
	R_BLOB(update_put, data, 1, UPDATE_PIECE_MAX, 0, "Bytes."),
};
RECORD_DEFINE(update_put, 1, "A piece of an update.");

const char *const update_phase_names[] = { "none", "receiving", "requested",
	"checking", "installing", "restarting", "trying", "done", "failed",
	"fell_back", NULL };
static const struct record_field update_view_fields[] = {
	R_FIXED(update_view, digest, OPT,
	    "BLAKE2b-256 of the file; absent: it is on a stick, and was not "
	    "read yet."),
	R_U64(update_view, bytes, 0, U53_MAX, OPT, "Its length."),
	R_U64(update_view, offset, 0, U53_MAX, 0,
	    "Bytes that are there: where the next piece begins."),
	R_ENUM(update_view, phase, update_phase_names, 0, "How far it is."),
	R_U64(update_view, update, 0, U53_MAX, OPT,
	    "Its number in the journal; absent: nobody asked to install it."),
	R_BOOL(update_view, usb, OPT, "It is on a stick in the box."),
	R_U32(update_view, percent, 0, 100, OPT, "Of `installing`."),
	R_TEXT(update_view, version, 0, 63, OPT,
	    "The version that its signed manifest names."),
	R_TEXT(update_view, slot, 0, 7, OPT, "Where it is written: A or B."),
	R_TIME(update_view, requested_at, OPT, "Asked for."),
	R_TIME(update_view, ended_at, OPT, "Done, failed or fallen back."),
	R_TEXT(update_view, reason, 0, 159, OPT, "Why it came to nothing."),
};
RECORD_DEFINE(update_view, 1, "An update of the box.");

static const struct record_field appliance_warning_fields[] = {
	R_TEXT(appliance_warning, text, 1, 159, 0, "In words."),
};
RECORD_DEFINE(appliance_warning, 1, "Something an admin should look at.");

static const struct record_field appliance_status_fields[] = {
	R_TEXT(appliance_status, version, 0, 63, OPT,
	    "Version of the image that runs."),
	R_TEXT(appliance_status, build, 0, 63, OPT, "Its build."),
	R_TEXT(appliance_status, slot, 0, 7, OPT, "Where it lies: A or B."),
	R_BOOL(appliance_status, confirmed, OPT,
	    "It passed its check; else it is being tried."),
	R_U32(appliance_status, level, 0, UINT32_MAX, OPT,
	    "Its level; one that closes a hole raises it."),
	R_U32(appliance_status, floor, 0, UINT32_MAX, OPT,
	    "Images below that level are refused, by the box's TPM."),
	R_U32(appliance_status, store_format, 0, UINT32_MAX, OPT,
	    "Format of its store; it rises when no older version is left to "
	    "fall back to."),
	R_STRUCT(appliance_status, last, &update_view_record, OPT,
	    "The last update."),
	R_LIST(appliance_status, warnings, &appliance_warning_record, 0,
	    APPLIANCE_WARNINGS_MAX, 0, "What an admin should look at."),
};
RECORD_DEFINE(appliance_status, 1, "The box that the site runs on.");
