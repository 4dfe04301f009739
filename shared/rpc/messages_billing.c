/* Tables of messages_billing.h. */
#include "shared/rpc/messages_billing.h"

#include "shared/rpc/tables.h"

static const char *const format_names[] = { "json", "csv", "pdf", "text",
	"invoice", NULL };

const char *const billing_format_types[] = {
	[BILLING_AS_JSON] = "application/json",
	[BILLING_AS_CSV] = "text/csv; charset=utf-8; header=present",
	[BILLING_AS_PDF] = "application/pdf",
	[BILLING_AS_TEXT] = "text/plain; charset=utf-8",
	[BILLING_AS_INVOICE] = "application/json",
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
	R_BOOL(billing_document, more, OPT, "More of them follow."),
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

#define CREDIT(S)                                                           \
	R_TEXT(S, credit_id, 1, 63, 0,                                      \
	    "As the vendor's books name it, \"CN-2026-0007\"."),            \
	    R_TEXT(S, customer_crm_id, 1, 63, 0,                            \
		"Whom it is for: the account's id in the vendor's CRM."),   \
	    R_TEXT(S, license, 0, 63, OPT,                                  \
		"For one license; absent: for all of the customer's "       \
		"together."),                                               \
	    R_TEXT(S, period, 7, 7, 0,                                      \
		"The month whose statement it stands in, \"2026-11\": one " \
		"that is not over."),                                       \
	    R_MONEY(S, amount, currency, 0, "What is credited, above 0."),  \
	    R_TEXT(S, currency, 3, 3, 0,                                    \
		"The currency of the licenses, ISO 4217."),                 \
	    R_ENUM(S, reason, credit_reason_names, 0, "Why."),              \
	    R_TEXT(S, evidence, 0, 63, OPT,                                 \
		"Number of the document that it rests on: a ticket, an "    \
		"earlier invoice. It stands on the statement.")

static const struct record_field billing_credit_add_fields[] = {
	CREDIT(billing_credit_add),
};
RECORD_DEFINE(billing_credit_add, 1, "A credit note.");

static const struct record_field billing_credit_view_fields[] = {
	R_U64(billing_credit_view, credit, 1, U53_MAX, 0,
	    "Its number in the account."),
	CREDIT(billing_credit_view),
	R_TEXT(billing_credit_view, site, 0, 63, OPT,
	    "The site that is told with its next receipt."),
	R_TEXT(billing_credit_view, tenant, 0, 63, OPT, "The tenant there."),
	R_TIME(billing_credit_view, at, 0, "When it was written."),
};
RECORD_DEFINE(billing_credit_view, 1, "A credit note.");

static const struct record_field billing_credit_query_fields[] = {
	R_TEXT(billing_credit_query, customer_crm_id, 1, 63, 0,
	    "Of this customer."),
	R_CURSOR(billing_credit_query, after, 'G', OPT, "Where to go on."),
	R_U32(billing_credit_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(billing_credit_query, 1, "Credits of whom.");

static const struct record_field billing_credit_page_fields[] = {
	R_LIST(billing_credit_page, items, &billing_credit_view_record, 0,
	    LIST_LIMIT_MAX, 0, "By their numbers."),
	R_CURSOR(billing_credit_page, next, 'G', OPT,
	    "For `after`; absent: that was all."),
};
RECORD_DEFINE(billing_credit_page, 1, "Credits of a customer.");

static const char *const invoice_state_names[] = { "kept", "waiting", "sent",
	NULL };

static const struct record_field billing_invoice_add_fields[] = {
	R_TEXT(billing_invoice_add, customer_crm_id, 1, 63, 0,
	    "Whom it is for: the account's id in the vendor's CRM."),
	R_TEXT(billing_invoice_add, period, 7, 7, 0,
	    "A month that is over, \"2026-11\"."),
	R_BOOL(billing_invoice_add, again, OPT,
	    "Where it was made before: send the same bytes again."),
	R_BOOL(billing_invoice_add, incomplete, OPT,
	    "Make it though a site has not reported the whole month: what it "
	    "reports later is on no invoice."),
};
RECORD_DEFINE(billing_invoice_add, 1, "Make an invoice.");

static const struct record_field billing_invoice_view_fields[] = {
	R_U64(billing_invoice_view, invoice, 1, U53_MAX, 0,
	    "Its number in the account."),
	R_TEXT(billing_invoice_view, customer_crm_id, 1, 63, 0,
	    "Whom it is for."),
	R_TEXT(billing_invoice_view, period, 7, 7, 0, "Its month."),
	R_MONEY(billing_invoice_view, total, currency, 0,
	    "What is to be paid."),
	R_TEXT(billing_invoice_view, currency, 3, 3, 0, "In this."),
	R_ENUM(billing_invoice_view, state, invoice_state_names, 0,
	    "Kept: no channel takes invoices. Waiting: a channel has not taken "
	    "it yet."),
	R_U32(billing_invoice_view, attempts, 0, UINT32_MAX, OPT,
	    "Tries so far, of what waits."),
	R_TIME(billing_invoice_view, due_at, OPT, "When it is tried next."),
	R_TEXT(billing_invoice_view, error, 0, 95, OPT,
	    "What went wrong last."),
	R_TIME(billing_invoice_view, at, 0, "When it was made."),
};
RECORD_DEFINE(billing_invoice_view, 1, "An invoice.");

static const struct record_field billing_invoice_query_fields[] = {
	R_TEXT(billing_invoice_query, customer_crm_id, 0, 63, OPT,
	    "Of this customer; absent: of all."),
	R_CURSOR(billing_invoice_query, after, 'V', OPT, "Where to go on."),
	R_U32(billing_invoice_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(billing_invoice_query, 1, "Which invoices.");

static const struct record_field billing_invoice_page_fields[] = {
	R_LIST(billing_invoice_page, items, &billing_invoice_view_record, 0,
	    LIST_LIMIT_MAX, 0, "By their numbers."),
	R_CURSOR(billing_invoice_page, next, 'V', OPT,
	    "For `after`; absent: that was all."),
};
RECORD_DEFINE(billing_invoice_page, 1, "Invoices that were made.");
