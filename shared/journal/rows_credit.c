/* The table of rows about credits; see rows_credit.h. */
#include "shared/journal/rows_private.h"

const char *const credit_reason_names[] = { "other", "outage", "defect",
	"billing_error", "unused", "goodwill", "contract", NULL };

static const struct record_field row_credit_fields[] = {
	R_U64(row_credit, number, 1, U53_MAX, 0,
	    "Of the vendor's account, from 1."),
	R_TEXT(row_credit, id, 1, 63, 0, "As the vendor's books name it."),
	R_TEXT(row_credit, vendor, 0, 63, RECORD_OPTIONAL,
	    "At a site: whose it is."),
	R_U64(row_credit, customer, 0, U53_MAX, RECORD_OPTIONAL,
	    "At a hub: whom it is for."),
	R_U64(row_credit, site, 0, U53_MAX, RECORD_OPTIONAL,
	    "At a hub: which site is told."),
	R_TEXT(row_credit, license_id, 0, 63, RECORD_OPTIONAL,
	    "For one license; absent: for all together."),
	R_DATE(row_credit, first, 0, "First day of its statement."),
	R_DATE(row_credit, last, 0, "Last one."),
	R_MONEY(row_credit, amount, currency, 0, "What is credited."),
	R_TEXT(row_credit, currency, 3, 3, 0, "In this."),
	R_ENUM(row_credit, reason, credit_reason_names, 0, "Why."),
	R_TEXT(row_credit, evidence, 0, 63, RECORD_OPTIONAL,
	    "Number of the document that it rests on."),
	R_TIME(row_credit, at, 0, "When the vendor wrote it."),
	R_STRUCT(row_credit, by, &row_actor_record, 0, "Who brought it here."),
};
RECORD_DEFINE(row_credit, 1, "A vendor credits a customer.");
