/*
 * Records of billing: which statement is asked for, in which form, and what
 * proves its overage lines. A statement itself is no record: its bytes are made
 * by appliance/billing, the same at the site and at the hub. It must not know how
 * it is calculated.
 */
#ifndef SHARED_RPC_MESSAGES_BILLING_H
#define SHARED_RPC_MESSAGES_BILLING_H

#include "shared/record/record.h"

#include <stdint.h>

/** Bytes of one statement; below a frame of the front. */
#define BILLING_DOCUMENT_MAX ((uint32_t)3 << 20)
#define BILLING_EVIDENCE_MAX 500

enum billing_format {
	BILLING_AS_JSON,
	BILLING_AS_CSV,
	BILLING_AS_PDF,
	BILLING_AS_TEXT,
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

extern const char *const billing_format_types[]; /* Content-Type of each */
extern const struct record billing_statement_query_record,
    billing_overage_query_record, billing_document_record,
    billing_evidence_query_record, billing_evidence_record,
    billing_evidence_page_record;

#endif
