/* Tables of messages_billing.h. */
#include "shared/rpc/messages_billing.h"

#include "shared/rpc/tables.h"

static const char *const format_names[] = { "json", "csv", "pdf", "text",
	NULL };

const char *const billing_format_types[] = {
	[BILLING_AS_JSON] = "application/json",
	[BILLING_AS_CSV] = "text/csv; charset=utf-8; header=present",
	[BILLING_AS_PDF] = "application/pdf",
	[BILLING_AS_TEXT] = "text/plain; charset=utf-8",
};

static const struct record_field billing_statement_query_fields[] = {
	R_TEXT(billing_statement_query, period, 7, 21, 0,
	    "A month, \"2026-11\", or days, both included: "
	    "\"2026-11-03/2026-11-20\"; of UTC, at most 366."),
	R_TEXT(billing_statement_query, license, 0, 63, OPT,
	    "Id of one license; absent: all of a vendor in one currency."),
	R_TEXT(billing_statement_query, vendor, 0, 63, OPT,
	    "Id of the vendor, where there are several."),
	R_TEXT(billing_statement_query, customer_crm_id, 0, 63, OPT,
	    "At a hub, where there are several customers: the account's id in "
	    "the vendor's CRM."),
	R_ENUM(billing_statement_query, format, format_names, OPT,
	    "The form of the answer."),
};
RECORD_DEFINE(billing_statement_query, 1, "Which statement.");

static const struct record_field billing_overage_query_fields[] = {
	R_DATE(billing_overage_query, start_date, 0, "First day, UTC."),
	R_DATE(billing_overage_query, end_date, 0, "Last day, included."),
	R_TEXT(billing_overage_query, customer_crm_id, 0, 63, OPT,
	    "Of one customer: the account's id in the vendor's CRM."),
	R_TEXT(billing_overage_query, vendor, 0, 63, OPT,
	    "Id of the vendor, where there are several."),
	R_ENUM(billing_overage_query, format, format_names, OPT,
	    "The form of the answer."),
};
RECORD_DEFINE(billing_overage_query, 1, "Overage of which days.");

static const struct record_field billing_document_fields[] = {
	R_ENUM(billing_document, format, format_names, OPT, "Its form."),
	R_BLOB(billing_document, data, 0, BILLING_DOCUMENT_MAX, 0,
	    "Its bytes."),
};
RECORD_DEFINE(billing_document, 1, "A statement or export.");

static const struct record_field billing_evidence_query_fields[] = {
	R_TEXT(billing_evidence_query, period, 7, 21, 0,
	    "As that of the statement."),
	R_TEXT(billing_evidence_query, license, 1, 63, 0, "Id of the license."),
	R_U64(billing_evidence_query, serial, 0, U53_MAX, OPT,
	    "Under one serial of it."),
	R_TEXT(billing_evidence_query, feature, 0, 63, OPT,
	    "Of one feature of it."),
	R_CURSOR(billing_evidence_query, after, 'E', OPT,
	    "From an earlier page."),
	R_U32(billing_evidence_query, limit, 0, BILLING_EVIDENCE_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(billing_evidence_query, 1, "What proves which overage.");

static const struct record_field billing_evidence_fields[] = {
	R_U64(billing_evidence, serial, 1, U53_MAX, 0,
	    "Serial of the license, whose price holds."),
	R_TEXT(billing_evidence, feature, 0, 63, OPT,
	    "The feature; absent: the product."),
	R_U64(billing_evidence, overage, 1, U53_MAX, 0,
	    "Its first overage number."),
	R_U32(billing_evidence, count, 1, UINT32_MAX, 0,
	    "So many, side by side."),
	R_U64(billing_evidence, row, 1, U53_MAX, 0,
	    "Number of the row in the journal; at a hub, of the site's."),
	R_U64(billing_evidence, batch, 0, U53_MAX, OPT,
	    "Number of the signed batch that holds the row; absent: its rows "
	    "were given up behind a checkpoint, or (at a hub) are the site's."),
	R_TIME(billing_evidence, time, 0, "When."),
	R_U64(billing_evidence, lease, 0, U53_MAX, OPT, "The lease."),
};
RECORD_DEFINE(billing_evidence, 1, "A row that says overage.");

static const struct record_field billing_evidence_page_fields[] = {
	R_LIST(billing_evidence_page, items, &billing_evidence_record, 0,
	    BILLING_EVIDENCE_MAX, 0, "By serial and feature, then by time."),
	R_CURSOR(billing_evidence_page, next, 'E', OPT,
	    "For `after`; absent: that was all."),
};
RECORD_DEFINE(billing_evidence_page, 1, "Rows that say overage.");
