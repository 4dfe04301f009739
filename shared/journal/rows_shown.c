/* The tables of rows about hours of seats; see rows_shown.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_shown_denial_fields[] = {
	R_TEXT(row_shown_denial, code, 1, 31, 0, "Why."),
	R_U64(row_shown_denial, count, 0, U53_MAX, 0, "How often."),
};
RECORD_DEFINE(row_shown_denial, 1, "Checkouts refused for one reason.");

static const struct record_field row_shown_seats_fields[] = {
	R_TEXT(row_shown_seats, license_id, 1, 63, 0, "The vendor's id."),
	R_U64(row_shown_seats, serial, 1, U53_MAX, 0, "Edition."),
	R_TEXT(row_shown_seats, feature, 0, 63, RECORD_OPTIONAL,
	    "Feature; absent: the product."),
	R_TIME(row_shown_seats, start, 0, "Start of the hour, UTC."),
	R_U64(row_shown_seats, checkouts, 0, U53_MAX, RECORD_OPTIONAL,
	    "Leases and borrows granted."),
	R_U64(row_shown_seats, seats, 0, U53_MAX, RECORD_OPTIONAL,
	    "Seats of them."),
	R_U64(row_shown_seats, borrows, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of them taken offline."),
	R_U32(row_shown_seats, peak, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Most seats held at once."),
	R_U64(row_shown_seats, seat_ms, 0, U53_MAX, RECORD_OPTIONAL,
	    "Seats times how long they were held."),
	R_U64(row_shown_seats, borrow_ms, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of that, offline."),
	R_U64(row_shown_seats, denials, 0, U53_MAX, RECORD_OPTIONAL,
	    "Checkouts refused."),
	R_LIST(row_shown_seats, denied, &row_shown_denial_record, 0,
	    ROW_DENIED_MAX, RECORD_OPTIONAL, "Why."),
	R_BOOL(row_shown_seats, issued, RECORD_OPTIONAL,
	    "Of a license that was issued to that site, with this serial."),
};
RECORD_DEFINE(row_shown_seats, 1, "Seats of a license in an hour.");

static const struct record_field row_report_seats_fields[] = {
	R_U64(row_report_seats, site, 1, U53_MAX, 0, "Number of the site."),
	R_U64(row_report_seats, sequence, 1, U53_MAX, 0, "The report."),
	R_LIST(row_report_seats, hours, &row_shown_seats_record, 1,
	    ROW_SHOWN_MAX, 0, "What it says of each."),
};
RECORD_DEFINE(row_report_seats, 1, "Hours of seats that a report tells.");
