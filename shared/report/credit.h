/*
 * A vendor's credit note on its way to a site (DESIGN 12): so that a statement has the same lines there as at the hub. Signed by the
 * issuing key (TOKEN_CREDIT); it comes back with receipts, and may come any
 * number of times: its number says which it is. It must not know statements.
 */
#ifndef SHARED_REPORT_CREDIT_H
#define SHARED_REPORT_CREDIT_H

#include "shared/journal/rows.h"

/** Of the token's text. */
#define REPORT_CREDIT_MAX 4096

/** Payload of a TOKEN_CREDIT. */
struct report_credit {
	char site[64];
	char tenant[64];
	char vendor[64];
	struct row_credit credit; /* without customer, site and by */
};
extern const struct record report_credit_record;

/** Its key, its parties, and that it says something. As
 * report_receipt_verify(). */
int report_credit_verify(struct report_credit *out, const char *token,
    size_t len, const uint8_t issuer_key[32], const char *site,
    const char *tenant, const char *vendor, struct record_error *error);

#endif
