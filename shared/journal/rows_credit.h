/*
 * Credit notes of a vendor: written at the hub, and taken at the site that they
 * are for. A credit names no person: why it is given is one of a few reasons, and
 * what it rests on is the number of another document. Tables in rows_credit.c;
 * rows.h includes this, nobody else does.
 */
#ifndef SHARED_JOURNAL_ROWS_CREDIT_H
#define SHARED_JOURNAL_ROWS_CREDIT_H

/** Why it is given. Numbers are stored, so they stay. */
enum credit_reason {
	CREDIT_OTHER,
	CREDIT_OUTAGE,
	CREDIT_DEFECT,
	CREDIT_BILLING_ERROR,
	CREDIT_UNUSED,
	CREDIT_GOODWILL,
	CREDIT_CONTRACT,
	CREDIT_REASONS,
};
extern const char *const credit_reason_names[];

/** Of both rows: ROW_CREDIT_ADDED at a hub, ROW_CREDIT_TAKEN at a site. */
struct row_credit {
	uint64_t number; /* of the vendor's account: goes up */
	char id[64]; /* as the vendor's books name it: "CN-2026-0007" */
	char vendor[64]; /* at a site; "" at a hub: the account */
	uint64_t customer; /* at a hub */
	uint64_t site; /* at a hub: who is told; its number there */
	char license_id[64]; /* "": all of the customer's together */
	int32_t first, last; /* days of the statement that it stands in */
	int64_t amount; /* minor units, above 0 */
	char currency[4];
	uint32_t reason; /* enum credit_reason */
	char evidence[64]; /* number of another document; "": none */
	int64_t at; /* the hub's time when it was written */
	struct row_actor by;
};

extern const struct record row_credit_record;

#endif
