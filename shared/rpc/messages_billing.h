/*
 * Records of billing: which statement is asked for, in which form, and what
 * proves its overage lines. A statement itself is no record: its bytes are made
 * by appliance/billing, the same at the site and at the hub. It must not know how
 * it is calculated.
 */
#ifndef SHARED_RPC_MESSAGES_BILLING_H
#define SHARED_RPC_MESSAGES_BILLING_H

#include "shared/journal/rows.h"

#include <stdint.h>

/** Bytes of one statement; below a frame of the front. */
#define BILLING_DOCUMENT_MAX ((uint32_t)3 << 20)
#define BILLING_EVIDENCE_MAX 500

enum billing_format {
	BILLING_AS_JSON,
	BILLING_AS_CSV,
	BILLING_AS_PDF,
	BILLING_AS_TEXT,
	/** Of a statement alone: for a program that writes invoices. */
	BILLING_AS_INVOICE,
};

struct billing_statement_query {
	char period[24]; /* "2026-11", "2026-11-03/2026-11-20" */
	char license[64]; /* the vendor's id; "": all of a vendor */
	char vendor[64]; /* "": the only one there is */
	char customer_crm_id[64]; /* "": the only one there is */
	uint32_t format; /* enum billing_format */
};

/** As REQUIREMENTS A names it. */
struct billing_overage_query {
	int32_t start_date;
	int32_t end_date; /* included */
	char customer_crm_id[64]; /* "": every customer */
	char vendor[64];
	uint32_t format;
};

/** Bytes of a kind that the front says as Content-Type. */
struct billing_document {
	uint32_t format; /* enum billing_format */
	struct record_span data;
	bool more; /* between ledger and front: it is a piece, not the last */
};

struct billing_evidence_query {
	char period[24];
	char license[64];
	uint64_t serial; /* 0: every one */
	char feature[64]; /* "": every one */
	uint64_t after; /* cursor */
	uint32_t limit;
};
/** Overage numbers `overage` to `overage` + `count` - 1. */
struct billing_evidence {
	uint64_t serial;
	char feature[64];
	uint64_t overage;
	uint32_t count;
	uint64_t row; /* at a hub: of the site's journal */
	uint64_t batch; /* 0: given up behind a checkpoint, or the site's */
	int64_t time;
	uint64_t lease;
};
struct billing_evidence_page {
	struct record_list items; /* billing_evidence */
	uint64_t next;
};

/** A credit note, at a hub. It stands in the statement of `period`. */
struct billing_credit_add {
	char credit_id[64]; /* as the vendor's books name it */
	char customer_crm_id[64];
	char license[64]; /* "": of all of the customer's licenses together */
	char period[24]; /* a month that is not over: "2026-11" */
	int64_t amount; /* minor units */
	char currency[4];
	uint32_t reason; /* enum credit_reason */
	char evidence[64]; /* number of a document: "INC-4711" */
};
struct billing_credit_view {
	uint64_t credit; /* its number in the account */
	char credit_id[64];
	char customer_crm_id[64];
	char license[64];
	char period[24];
	int64_t amount;
	char currency[4];
	uint32_t reason;
	char evidence[64];
	char site[64]; /* who is told */
	char tenant[64];
	int64_t at;
};
struct billing_credit_query {
	char customer_crm_id[64];
	uint64_t after; /* cursor */
	uint32_t limit;
};
struct billing_credit_page {
	struct record_list items; /* billing_credit_view */
	uint64_t next;
};

extern const char *const billing_format_types[]; /* Content-Type of each */
/** An invoice of a customer for a month that is over, at a hub. */
struct billing_invoice_add {
	char customer_crm_id[64];
	char period[24]; /* "2026-11" */
	bool again; /* there is one: send its bytes again */
	bool incomplete; /* though a site has not reported all of the month */
};
enum invoice_state {
	INVOICE_KEPT, /* no channel took it */
	INVOICE_WAITING, /* for one channel at least */
	INVOICE_SENT,
};
struct billing_invoice_view {
	uint64_t invoice; /* its number in the account */
	char customer_crm_id[64];
	char period[24];
	int64_t total;
	char currency[4];
	uint32_t state; /* enum invoice_state */
	uint32_t attempts; /* of what waits */
	int64_t due_at; /* of its next try */
	char error[96]; /* of the last one */
	int64_t at;
};
struct billing_invoice_query {
	char customer_crm_id[64]; /* "": of all */
	uint64_t after; /* cursor */
	uint32_t limit;
};
struct billing_invoice_page {
	struct record_list items; /* billing_invoice_view */
	uint64_t next;
};

extern const struct record billing_statement_query_record,
    billing_overage_query_record, billing_document_record,
    billing_evidence_query_record, billing_evidence_record,
    billing_evidence_page_record, billing_credit_add_record,
    billing_credit_view_record, billing_credit_query_record,
    billing_credit_page_record, billing_invoice_add_record,
    billing_invoice_view_record, billing_invoice_query_record,
    billing_invoice_page_record;

#endif
