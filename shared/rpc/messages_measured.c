/* Tables: released images, on a hub. */
#include "shared/rpc/messages_measured.h"

#include "shared/rpc/tables.h"

const char *const hub_boot_names[] = { "none", "unknown", "genuine", "altered",
	NULL };

static const struct record_field hub_image_pcr_fields[] = {
	R_U32(hub_image_pcr, pcr, 0, 11, 0, "0 to 7, or 11."),
	R_TEXT(hub_image_pcr, sha256, 64, 64, 0,
	    "A value that it may have, of the SHA-256 bank, in hex."),
};
RECORD_DEFINE(hub_image_pcr, 1, "A value of a PCR.");

static const struct record_field hub_image_fields[] = {
	R_TEXT(hub_image, version, 1, 63, 0, "\"0.2.0\"."),
	R_TEXT(hub_image, build_id, 0, 63, OPT, "Of its build."),
	R_LIST(hub_image, pcrs, &hub_image_pcr_record, 1, HUB_IMAGE_PCRS_MAX, 0,
	    "What a machine that was started from it has."),
	R_TIME(hub_image, added_at, OPT, "Known since, in answers."),
};
RECORD_DEFINE(hub_image, 1, "A released image of the appliance.");

static const struct record_field hub_image_ref_fields[] = {
	R_TEXT(hub_image_ref, version, 1, 63, 0, "Which one."),
};
RECORD_DEFINE(hub_image_ref, 1, "A released image.");

static const struct record_field hub_image_query_fields[] = {
	R_CURSOR(hub_image_query, after, 'I', OPT, "Where to go on."),
	R_U32(hub_image_query, limit, 1, 1000, OPT, "At most so many."),
};
RECORD_DEFINE(hub_image_query, 1, "Which images.");

static const struct record_field hub_image_page_fields[] = {
	R_LIST(hub_image_page, items, &hub_image_record, 0, 1000, 0,
	    "In the order in which they came."),
	R_CURSOR(hub_image_page, next, 'I', OPT, "Where to go on."),
};
RECORD_DEFINE(hub_image_page, 1, "Released images.");
