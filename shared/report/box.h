/*
 * Documents of sync as a file: one container, sealed to its receiver's Ed25519
 * key turned X25519 (crypto_box_seal). From a site to a hub: reports with their
 * bodies. From a hub to a site: receipts and changes, and the issuer token that
 * vouches for their key. Who finds the stick reads nothing but whom it is for and
 * how long it is; and he who has the receiver's key reads all of it, also years
 * later. The seal says nothing of who made it: every document bears its own
 * signature, and a file altered on its way cannot be opened. It must not know
 * what the documents say.
 *
 *   "leasehold-sync-1\n"  receiver's public key [32]  be32 length  sealed bytes
 */
#ifndef SHARED_REPORT_BOX_H
#define SHARED_REPORT_BOX_H

#include "shared/report/report.h"

/** What stands before the sealed bytes; their length is the end of it. */
#define SYNC_BOX_FRONT 53
/** Of a whole file. */
#define SYNC_BOX_MAX ((size_t)20 << 20)
#define SYNC_REPORTS_MAX 4
#define SYNC_RECEIPTS_MAX 8
#define SYNC_CHANGES_MAX 128
#define SYNC_ISSUERS_MAX 8
#define SYNC_CREDITS_MAX 256

struct sync_report {
	struct record_span token;
	struct record_span body;
};
struct sync_token {
	struct record_span token;
};
struct sync_box {
	char site[64]; /* from or to, for people: nothing is believed */
	char tenant[64];
	char vendor[64];
	/** To a site: the vendor's root key, which vouches for the issuers. The
	 * site believes it when its id is the one that it has pinned. */
	uint8_t vendor_key[TOKEN_PUBLIC_BYTES];
	struct record_list reports; /* sync_report, by sequence */
	struct record_list issuers; /* sync_token */
	struct record_list receipts; /* sync_token */
	struct record_list changes; /* sync_token */
	struct record_list credits; /* sync_token */
};
extern const struct record sync_report_record, sync_token_record,
    sync_box_record;

/** Append the sealed file. ERR_TOO_LARGE, ERR_NOMEM, ERR_BAD_REQUEST (a key
 * that is none). */
int sync_box_seal(struct buf *out, const struct sync_box *box,
    const uint8_t receiver[32]);

/** Whom it is for, and is it all here? ERR_BAD_TOKEN: no such file at all;
 * ERR_CLOSED: it is cut short; ERR_TOO_LARGE: there is more than there should
 * be. */
int sync_box_peek(uint8_t receiver[32], const uint8_t *data, size_t len);

/** Open it. `clear` holds what the spans of `box` point into. As above, and
 * ERR_MISMATCH: it is for another key; ERR_BAD_SIGNATURE: it was altered. */
int sync_box_open(struct sync_box *box, struct buf *clear, const uint8_t *data,
    size_t len, const uint8_t receiver_public[32],
    const uint8_t receiver_secret[64], struct arena *arena);

#endif
