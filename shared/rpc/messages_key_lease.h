/*
 * Seats for programs without an agent: what they ask over HTTPS with an API
 * key, and what they are told. A lease taken so has no WebSocket: it lives by
 * renewals alone. Waiting is a long poll: the answer comes when there is a seat,
 * or after a while as 202 with the place in the queue, which is kept for who
 * asks again with the same Idempotency-Key. Source: DESIGN 10. It must not know
 * who acts on them.
 */
#ifndef SHARED_RPC_MESSAGES_KEY_LEASE_H
#define SHARED_RPC_MESSAGES_KEY_LEASE_H

#include "shared/rpc/messages.h"

/** A request that waits for a seat is answered after so many seconds at most:
 * proxies give up on an answer after 30 or 60. */
#define SEAT_HOLD_MAX_S 25
/** Its place is kept so many seconds for the next one. */
#define SEAT_AGAIN_S 15
/** Leases in one renewal. */
#define SEAT_RENEW_MAX 256
/** "lease-9007199254740991" and its NUL. */
#define SEAT_ID_SIZE 32
/** A version that only licenses of all versions cover. */
#define SEAT_VERSION_UNSAID "0"

struct seat_checkout {
	char product[64];
	char version[32]; /* "": SEAT_VERSION_UNSAID */
	char feature[64];
	uint32_t count; /* 0: 1 */
	char user[64];
	/* Claims; absent, those of X-Hostname and X-App-Fingerprint. */
	char hostname[128];
	char app_fingerprint[72]; /* SHA-256, 64 hexadecimal digits */
	uint32_t wait_s;
	uint32_t hold_s; /* of wait_s, for one request; 0: SEAT_HOLD_MAX_S */
	/** Into the signed row. Zero: one that follows from the request id. The
	 * same in a retry. */
	uint8_t nonce[NONCE_BYTES];
	struct journal_known known; /* zero: no proof of consistency wanted */
};

enum seat_status { SEAT_GRANTED, SEAT_WAITING };
/** The type of a lease; 0 while it waits, and not told then. */
enum seat_kind { SEAT_KIND_NONE, SEAT_KIND_COMMIT, SEAT_KIND_OVERAGE };

/** Of the pool that it draws from, this lease included. */
struct seat_pool {
	uint32_t total; /* commit and overage */
	uint32_t commit;
	uint32_t used; /* of all */
	uint32_t used_overage;
	uint32_t free; /* for who asks now */
};
/** What checks it: see checkout_reply. */
struct seat_evidence {
	uint8_t nonce[NONCE_BYTES]; /* that stands in the row */
	uint8_t license_digest[32]; /* license.file has it */
	uint64_t row_number;
	struct record_span row;
	struct record_span path;
	struct record_span header;
	struct record_span inclusion;
	struct record_span consistency;
};
/** Waiting: `queue` alone beside the product. Times are the site's. */
struct seat_lease {
	uint32_t status; /* enum seat_status */
	char id[SEAT_ID_SIZE]; /* "lease-1042" */
	uint64_t lease; /* its number, as other operations call it */
	uint32_t type; /* enum seat_kind */
	char product[64];
	char feature[64];
	uint32_t count;
	uint32_t ttl_s; /* that each renewal is good for */
	uint32_t grace_s; /* beyond that */
	uint32_t renew_s; /* renew this often, to be on the safe side */
	int64_t renew_by; /* ttl_s from the grant or the last renewal */
	int64_t expires_at; /* and the grace: the seat is another's then */
	/* Of an overage lease: */
	uint32_t overage_count; /* seats above the committed ones */
	uint64_t overage; /* billing number of the first */
	int64_t overage_cost; /* of all of them; minor units */
	char currency[4];
	struct seat_pool seats;
	struct seat_evidence evidence;
	struct queue_place queue;
};

/** The Idempotency-Key that the checkout which waits was asked with. */
struct seat_cancel {
	char idempotency_key[64];
};
struct seat_cancelled {
	bool waited; /* it stood in the queue; false: it did not, or not now */
};

struct seat_id {
	char id[SEAT_ID_SIZE];
};
struct seat_renew {
	struct record_list ids; /* seat_id, 1 to SEAT_RENEW_MAX */
	uint8_t nonce[NONCE_BYTES]; /* zero: no signed beat is wanted */
	bool active;
};
struct seat_renewed_item {
	char id[SEAT_ID_SIZE];
	uint32_t ttl_s;
	int64_t renew_by;
	int64_t expires_at;
};
struct seat_refused_item {
	char id[SEAT_ID_SIZE];
	char code[32]; /* "gone" */
};
/** The beat covers the renewed ones in their order, each with the nonce. */
struct seat_renewed {
	struct record_list renewed; /* seat_renewed_item */
	struct record_list refused; /* seat_refused_item */
	struct record_span beat; /* token; empty where there was no nonce */
};

struct seat_returned {
	char id[SEAT_ID_SIZE];
	uint64_t lease;
};

/** "lease-1042", or "1042". False when it is neither. */
bool seat_id_read(uint64_t *lease, const char *id);
void seat_id_write(char id[SEAT_ID_SIZE], uint64_t lease);

/** A reply of license.checkout: has it no seat yet? */
bool seat_is_waiting(const void *reply);

extern const struct record seat_checkout_record, seat_pool_record,
    seat_evidence_record, seat_lease_record, seat_id_record, seat_renew_record,
    seat_renewed_item_record, seat_refused_item_record, seat_renewed_record,
    seat_returned_record, seat_cancel_record, seat_cancelled_record;

#endif
