/*
 * Commands that carry an Idempotency-Key (DESIGN 10): what was done once is
 * not done again, and who asks again gets the same answer, also after a
 * restart, for 24 hours. An entry is of one principal, one key and one request;
 * it is written in the transaction that does what was asked, into a table that
 * is no part of the state. Refusals did nothing and are not kept. Answers that
 * hold a secret are never kept: only that there was one. Which operations need
 * that, and which do the same twice by their nature, stands in their table
 * (shared/rpc/operations.h).
 *
 * A principal has so many entries and bytes; the oldest make room. It must not
 * know what is asked, nor who may.
 */
#ifndef APPLIANCE_LEDGER_IDEMPOTENCY_H
#define APPLIANCE_LEDGER_IDEMPOTENCY_H

#include "shared/base/buf.h"
#include "shared/record/record.h"

#include <stdbool.h>
#include <stdint.h>

#define IDEMPOTENCY_KEEP_MS INT64_C(86400000)
/** Of one principal. */
#define IDEMPOTENCY_MAX 1000
#define IDEMPOTENCY_BYTES_MAX ((uint32_t)1 << 20)
/** A larger answer is not kept. */
#define IDEMPOTENCY_REPLY_MAX ((size_t)64 << 10)
#define IDEMPOTENCY_ID 16

struct state;
struct ledger;
struct sealed_keys;

/** One key as it was used; zero: there is none. */
struct idempotency {
	bool used;
	uint32_t op; /* that the caller asked for */
	uint32_t kind; /* of the principal */
	uint64_t principal;
	uint8_t id[IDEMPOTENCY_ID]; /* of principal and key */
	uint8_t digest[16]; /* of operation and request */
	const struct record *reply;
	bool noted; /* out: it is written */
};

enum idempotency_found {
	IDEMPOTENCY_NEW,
	IDEMPOTENCY_SAME, /* done, and here is the answer */
	IDEMPOTENCY_GONE, /* done; the answer was not kept */
	IDEMPOTENCY_OTHER, /* the key was used for something else */
};

void idempotency_init(struct idempotency *out, uint32_t op, uint32_t kind,
    uint64_t principal, const char *key, const void *request, size_t len,
    const struct record *reply);

/** Does an answer of this record hold what is shown once? */
bool idempotency_is_secret(const struct record *reply);

/** In a read transaction of its own; `answer` gets MessagePack, in the arena.
 * Returns 0 or a fault. */
int idempotency_find(enum idempotency_found *found, struct record_span *answer,
    const struct ledger *ledger, const struct idempotency *asked,
    int64_t now_ms, struct arena *arena);

/** Write it, with the answer or (NULL) without; replaces what was noted
 * before. In the transaction of the command. Returns 0 or a fault. */
int idempotency_put(struct state *state, const struct sealed_keys *keys,
    struct idempotency *asked, int64_t now_ms, const void *answer, size_t len);

#endif
