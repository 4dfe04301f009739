/*
 * Invoices that a hub made: one for a customer and a month, for good. What is
 * in one goes to whoever writes invoices (REQUIREMENTS A), and it names no
 * person. Tables in rows_invoice.c; rows.h includes this, nobody else does.
 */
#ifndef SHARED_JOURNAL_ROWS_INVOICE_H
#define SHARED_JOURNAL_ROWS_INVOICE_H

/** Of one invoice. */
#define INVOICE_DOCUMENT_MAX 32768

/** ROW_INVOICE_MADE: it was made, and is owed to every channel that takes
 * invoices. */
struct row_invoice {
	uint64_t number; /* of the account, from 1 without a gap */
	uint64_t customer;
	int32_t first, last; /* days, a month */
	int64_t total; /* minor units */
	char currency[4];
	uint32_t channels; /* that take it; 0: it is only kept */
	struct record_span document; /* its bytes, JSON */
	struct row_actor by;
};
/** ROW_INVOICE_AGAIN: somebody wants the same bytes sent again. */
struct row_invoice_again {
	uint64_t number;
	uint32_t channels;
	struct row_actor by;
};

extern const struct record row_invoice_record, row_invoice_again_record;

#endif
