/* Tables of the rows about what is used beside seats, and about licenses that
 * are suspended and the like; see rows.h. */
#include "shared/journal/rows_private.h"

const char *const usage_kind_names[] = { "counter", "gauge", NULL };
const char *const license_status_names[] = { "active", "suspended", "expired",
	"cancelled", NULL };
const char *const license_turn_names[] = { "renew", "suspend", "resume",
	"cancel", NULL };

static const struct record_field row_usage_tracked_fields[] = {
	R_U64(row_usage_tracked, license, 1, U53_MAX, 0,
	    "Number of the license."),
	R_TEXT(row_usage_tracked, metric, 1, 63, 0, "What was used."),
	R_ENUM(row_usage_tracked, kind, usage_kind_names, 0,
	    "Do amounts add up, or is it what there is now?"),
	R_U64(row_usage_tracked, amount, 0, U53_MAX, 0, "How much."),
	R_FIXED(row_usage_tracked, event, 0, "Id of the event."),
	R_TIME(row_usage_tracked, at, 0, "When it was, as it was said."),
	R_U64(row_usage_tracked, device, 0, U53_MAX, 0,
	    "Device or API key that said so."),
	R_FIXED(row_usage_tracked, user, RECORD_OPTIONAL,
	    "Subject id of the user; zero: none was named."),
};
RECORD_DEFINE(row_usage_tracked, 1, "Something was used.");

static const struct record_field row_license_changed_fields[] = {
	R_U64(row_license_changed, license, 1, U53_MAX, 0,
	    "Number of the license."),
	R_ENUM(row_license_changed, turn, license_turn_names, 0,
	    "What the vendor says of it."),
	R_U64(row_license_changed, revision, 1, U53_MAX, 0,
	    "Of the vendor's documents on this license; a higher one is "
	    "newer."),
	R_TIME(row_license_changed, from, RECORD_OPTIONAL,
	    "When it is in force; absent: since it came."),
	R_TIME(row_license_changed, issued_at, 0, "When the vendor said so."),
	R_FIXED(row_license_changed, digest, 0,
	    "BLAKE2b-256 of the signed document."),
	R_BLOB(row_license_changed, token, 0, 16384, RECORD_OPTIONAL,
	    "The signed document, but of a renewal."),
	R_STRUCT(row_license_changed, by, &row_actor_record, 0,
	    "Who brought it."),
};
RECORD_DEFINE(row_license_changed, 1,
    "A license was renewed, suspended, resumed or cancelled.");
