/* Tables of status.h. */
#include "shared/box/status.h"

#define OPT RECORD_OPTIONAL

const char *const box_state_names[] = { "starting", "ready", "refusing",
	"stopping", NULL };

static const struct record_field box_license_fields[] = {
	R_TEXT(box_license, license_id, 1, 63, 0, "Its id."),
	R_TEXT(box_license, product, 0, 63, OPT, "Id of the product."),
	R_U32(box_license, used, 0, UINT32_MAX, 0, "Seats that are held."),
	R_U32(box_license, seats, 0, UINT32_MAX, 0, "Seats that it gives."),
	R_U32(box_license, overage_used, 0, UINT32_MAX, 0, "Held above."),
	R_U32(box_license, overage_seats, 0, UINT32_MAX, 0, "Allowed above."),
	R_TEXT(box_license, state, 0, 15, OPT, "active, expired, overrun."),
};
RECORD_DEFINE(box_license, 1, "Seats of a license.");

static const struct record_field box_warning_fields[] = {
	R_TEXT(box_warning, text, 1, 159, 0, "For people."),
};
const struct record box_warning_record = {
	.name = "box_warning",
	.doc = "What somebody should look at.",
	.version = 1,
	.size = sizeof(struct box_warning),
	.fields = box_warning_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field box_status_fields[] = {
	R_TIME(box_status, time, 0, "The site's time."),
	R_U64(box_status, boottime_ms, 0, U53_MAX, 0,
	    "When it was written, ms since the box was switched on."),
	R_ENUM(box_status, state, box_state_names, 0, "What the site does."),
	R_TEXT(box_status, reason, 0, 191, OPT, "Why it grants nothing."),
	R_TEXT(box_status, site, 0, 63, OPT, "The site's id."),
	R_TEXT(box_status, name, 0, 127, OPT, "Its name, for people."),
	R_TEXT(box_status, software, 0, 31, OPT, "And version."),
	R_U32(box_status, port, 0, 65535, OPT, "That it listens on."),
	R_FIXED(box_status, ca_sha256, 0, "Of the CA of its certificate."),
	R_U32(box_status, tenants, 0, UINT32_MAX, OPT, "That are open."),
	R_U64(box_status, licenses, 0, U53_MAX, OPT, "Installed in them."),
	R_LIST(box_status, items, &box_license_record, 0, BOX_LICENSES_MAX, 0,
	    "The first of them."),
	R_U64(box_status, leases, 0, U53_MAX, OPT, "Held."),
	R_U64(box_status, devices, 0, U53_MAX, OPT, "Enrolled."),
	R_U64(box_status, connected, 0, U53_MAX, OPT, "Of them, now."),
	R_U64(box_status, waiting, 0, U53_MAX, OPT, "For a seat."),
	R_TIME(box_status, receipt_at, OPT,
	    "The oldest of the vendors' last receipts."),
	R_U64(box_status, unreported, 0, U53_MAX, OPT,
	    "Batches that no receipt covers."),
	R_TIME(box_status, stops_at, OPT, "Without a receipt."),
	R_U64(box_status, alerts, 0, U53_MAX, OPT, "Open."),
	R_LIST(box_status, warnings, &box_warning_record, 0, BOX_WARNINGS_MAX,
	    0, "What somebody should look at."),
};
RECORD_DEFINE(box_status, 1, "The site, as the console shows it.");
