/*
 * Whose line it is: a document by which a site says that whoever holds the key
 * of this TLS certificate speaks for it. So a hub knows the site behind a
 * connection (mutual TLS), and no authority has to issue certificates to sites:
 * the certificate is the courier's own, made at its start, kept in memory alone
 * and good for nothing without this word of the site key; the word is of no use
 * to whoever cannot prove the certificate's key. It must not know TLS.
 */
#ifndef SHARED_REPORT_LINE_H
#define SHARED_REPORT_LINE_H

#include "shared/license/license.h"

/** Of the token's text. */
#define REPORT_LINE_MAX 1024

/** Payload of a TOKEN_LINE. */
struct report_line {
	char site[64];
	char tenant[64];
	char vendor[64]; /* to whom it speaks */
	uint8_t certificate[32]; /* SHA-256 of its DER */
	int64_t at; /* signed then, by the site's clock */
};
extern const struct record report_line_record;

int report_line_sign(struct buf *token, const struct report_line *line,
    const uint8_t secret[TOKEN_SECRET_BYTES]);
/** Unverified, to find out whose key it is to be verified with. ERR_BAD_TOKEN,
 * ERR_TOO_LARGE, ERR_NOMEM. */
int report_line_peek(struct report_line *line, const char *token, size_t len);
/** What it says is all it says. ERR_BAD_SIGNATURE, ERR_UNTRUSTED (another key),
 * and as above. */
int report_line_verify(struct report_line *line, const char *token, size_t len,
    const uint8_t site_key[TOKEN_PUBLIC_BYTES]);

#endif
