/* The tables of rows about invoices; see rows_invoice.h. */
#include "shared/journal/rows_private.h"

static const struct record_field row_invoice_fields[] = {
	R_U64(row_invoice, number, 1, U53_MAX, 0, "Of the account, from 1."),
	R_U64(row_invoice, customer, 1, U53_MAX, 0, "Whom it is for."),
	R_DATE(row_invoice, first, 0, "First day of its month."),
	R_DATE(row_invoice, last, 0, "Last one."),
	R_MONEY(row_invoice, total, currency, 0, "What is to be paid."),
	R_TEXT(row_invoice, currency, 3, 3, 0, "In this."),
	R_U32(row_invoice, channels, 0, UINT32_MAX, 0, "That it goes to."),
	R_STRING(row_invoice, document, 2, INVOICE_DOCUMENT_MAX, 0,
	    "What is sent, to the byte."),
	R_STRUCT(row_invoice, by, &row_actor_record, 0, "Who wanted it."),
};
RECORD_DEFINE(row_invoice, 1, "An invoice was made.");

static const struct record_field row_invoice_again_fields[] = {
	R_U64(row_invoice_again, number, 1, U53_MAX, 0, "Which."),
	R_U32(row_invoice_again, channels, 0, UINT32_MAX, 0,
	    "That it goes to."),
	R_STRUCT(row_invoice_again, by, &row_actor_record, 0, "Who wanted it."),
};
RECORD_DEFINE(row_invoice_again, 1, "An invoice is sent again.");
