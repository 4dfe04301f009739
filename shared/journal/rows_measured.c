/* The tables of rows about images and starts; see rows_measured.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_image_pcr_fields[] = {
	R_U32(row_image_pcr, pcr, 0, 11, 0, "Which."),
	R_FIXED(row_image_pcr, value, 0, "What it may be."),
};
RECORD_DEFINE(row_image_pcr, 1, "A value of a PCR.");

static const struct record_field row_image_added_fields[] = {
	R_U64(row_image_added, image, 1, U53_MAX, 0, "Its number."),
	R_TEXT(row_image_added, version, 1, 63, 0, "Its version."),
	R_TEXT(row_image_added, build_id, 0, 63, RECORD_OPTIONAL, "Its build."),
	R_LIST(row_image_added, pcrs, &row_image_pcr_record, 1, 64, 0,
	    "What its machines have."),
	R_STRUCT(row_image_added, by, &row_actor_record, 0, "Who said so."),
};
RECORD_DEFINE(row_image_added, 1, "An image is released.");

static const struct record_field row_image_removed_fields[] = {
	R_U64(row_image_removed, image, 1, U53_MAX, 0, "Which."),
	R_STRUCT(row_image_removed, by, &row_actor_record, 0, "Who said so."),
};
RECORD_DEFINE(row_image_removed, 1, "An image counts no more.");

static const struct record_field row_site_measured_fields[] = {
	R_U64(row_site_measured, site, 1, U53_MAX, 0, "Which site."),
	R_U64(row_site_measured, sequence, 1, U53_MAX, 0, "By which report."),
	R_U32(row_site_measured, boot, 1, 3, 0,
	    "1: unknown, 2: genuine, 3: altered."),
	R_U64(row_site_measured, image, 0, U53_MAX, RECORD_OPTIONAL,
	    "The image that it is, or says to be."),
	R_FIXED(row_site_measured, pcrs, RECORD_OPTIONAL,
	    "SHA-256 of the PCRs that its TPM quoted."),
	R_FIXED(row_site_measured, log_digest, RECORD_OPTIONAL,
	    "SHA-256 of its event log, as it says."),
	R_TEXT(row_site_measured, reason, 0, 127, RECORD_OPTIONAL, "Why."),
};
RECORD_DEFINE(row_site_measured, 1, "How a site's machine was started.");
