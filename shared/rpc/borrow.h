/*
 * What is said on the wire about borrows: between agent and site, and between
 * people and site. Source: DESIGN 9 and 10. It must not know who acts on it;
 * what a ticket is worth is in shared/journal/ticket.h.
 *
 * A proof that asks for something (take, extend) is over a nonce of the site
 * (borrow.challenge), the TLS exporter and the digest of the request without
 * the proof: nobody else can use it, nor for anything else. A proof that gives
 * back (prepare, return, the file) is over nothing of the site's: see
 * ticket_return_subject().
 */
#ifndef SHARED_RPC_BORROW_H
#define SHARED_RPC_BORROW_H

#include "shared/rpc/messages.h"

/** Borrows of one device at most. */
#define BORROW_DEVICE_MAX 64
/** How far the target of a return may be above the device's counter: a device
 * that begins returns and never raises it gets no more rows than that, and a
 * site wears no TPM out. */
#define BORROW_AHEAD_MAX 16

/** Good for one proof of this connection. */
struct borrow_challenge {
	uint8_t nonce[PROOF_NONCE_BYTES];
};

struct borrow_take {
	/** Which seats: `nonce` is that of the challenge; wait_s and known have
	 * no meaning here. */
	struct checkout ask;
	uint32_t length_s;
	struct proof proof; /* purpose borrow */
};
/** The ticket is fetched with borrow.list. */
struct borrow_taken {
	uint64_t lease;
	int64_t until;
};

struct borrow_extend {
	uint64_t lease;
	uint32_t length_s; /* from now */
	uint8_t nonce[PROOF_NONCE_BYTES]; /* of the challenge */
	struct proof proof; /* purpose borrow */
};

/** The first step of a return: these come back, the others get tickets for the
 * next value of the counter. Said again it says the same. */
struct borrow_prepare {
	bool all; /* of the device's */
	struct record_list leases; /* lease_ref; those that have ended count
				      for nothing */
	uint8_t nonce[PROOF_NONCE_BYTES];
	struct proof proof; /* purpose return: the counter as it stands */
};
struct borrow_prepared {
	/** What the counter is to be raised to; 0: none of them is lent any
	 * more. The replacements are fetched with borrow.list, and stored,
	 * before that. */
	uint64_t epoch;
};

/** The last step: the counter as it stands now. */
struct borrow_return {
	uint8_t nonce[PROOF_NONCE_BYTES];
	struct proof proof; /* purpose return */
};
struct borrow_returned {
	uint64_t counter; /* the highest that was ever proved */
	uint32_t ended; /* borrows that this proof ended */
	uint32_t left; /* that the device still has */
};

/** The same as a file, which anybody may bring: it proves itself. */
struct borrow_file {
	char site[64];
	char tenant[64];
	uint64_t device;
	uint8_t nonce[PROOF_NONCE_BYTES];
	struct proof proof; /* purpose return */
	int64_t made_at; /* for people */
};

/* --- what a device has --------------------------------------------------- */

/** borrow.list of an agent: its tickets, with all that they prove. */
struct borrow_mine {
	uint64_t after; /* cursor: of the last ticket seen */
};
struct borrow_evidence {
	uint64_t lease;
	uint64_t row_number;
	struct record_span row;
	struct record_span path; /* hashes */
	struct record_span header;
};
/** Up to two tickets a borrow: one for the counter as it was proved, one for
 * what it is about to be raised to. */
struct borrow_tickets {
	struct record_list items; /* borrow_evidence */
	uint64_t next; /* cursor; 0: that was all */
	uint64_t target; /* of a return that was begun; 0: none */
	/** The counter is to be proved above this before the device gets
	 * anything more; 0: nothing is owed. */
	uint64_t owed;
};

/* --- people -------------------------------------------------------------- */

enum borrow_state {
	BORROW_LENT,
	BORROW_RETURNING, /* the device began to give it back */
	BORROW_UNPROVEN, /* its time is over, and nothing was proved */
};
extern const char *const borrow_state_names[];

struct borrow_view {
	uint64_t lease;
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count; /* seats */
	uint32_t type; /* enum seat_type */
	uint32_t state; /* enum borrow_state */
	uint64_t license;
	uint64_t device;
	char device_name[64];
	uint32_t class_; /* of the device */
	char user[64];
	char host[128];
	int64_t taken_at;
	int64_t until;
	uint64_t epoch; /* of its last ticket */
};
/** Empty or 0: any. */
struct borrow_query {
	char product[64];
	uint64_t device;
	uint64_t after; /* cursor: the last borrow seen */
	uint32_t limit;
};
struct borrow_page {
	struct record_list items; /* borrow_view */
	uint64_t next; /* cursor; 0: that was all */
};

struct borrow_write_off {
	uint64_t lease;
	/** Do not wait for the end of its window: its seats are free now, and
	 * as many overage seats are taken, and billed, in their place. */
	bool overage;
};
struct borrow_written_off {
	uint64_t lease;
	int64_t until; /* seats stay taken so long; 0: they are free */
	uint32_t overage_count; /* seats that are billed */
};

extern const struct record borrow_challenge_record, borrow_take_record,
    borrow_taken_record, borrow_extend_record, borrow_prepare_record,
    borrow_prepared_record, borrow_return_record, borrow_returned_record,
    borrow_file_record, borrow_mine_record, borrow_evidence_record,
    borrow_tickets_record, borrow_view_record, borrow_query_record,
    borrow_page_record, borrow_write_off_record, borrow_written_off_record;

/** What the proof of a borrow.take or borrow.extend is over: SHA-256 of the
 * request without it. ERR_NOMEM. */
int borrow_take_digest(uint8_t digest[32], const struct borrow_take *request);
int borrow_extend_digest(uint8_t digest[32],
    const struct borrow_extend *request);

#endif
