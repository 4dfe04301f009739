/*
 * The audit projection of one tenant: who did what, when, from where and with
 * what result, made from the rows of the journal so that a narrow question over
 * ten million of them is answered at once. An LMDB environment of its own,
 * beside the ledger's; nothing but searches reads it, so it may be thrown away
 * and made anew from the journal at any time (DESIGN 5).
 *
 * It holds no names: people, hosts and addresses are subject ids, as in the
 * rows. What they stand for lies in the ledger's store, sealed; whoever searches
 * for a name looks its id up there first. The row of an erasure takes the ids of
 * the person out of the dictionary here, so that no index leads to him any more.
 *
 * One writer, which follows the journal with a place of its own: entries, index
 * and place are written in one transaction, so a crash loses nothing and counts
 * nothing twice. Any number of readers. It must not know the ledger, requests
 * or names.
 */
#ifndef APPLIANCE_AUDIT_AUDIT_H
#define APPLIANCE_AUDIT_AUDIT_H

#include "shared/journal/rows.h"

#include <lmdb.h>

/** What an entry can be searched by. Numbers are stored. */
enum audit_field {
	AUDIT_ACTOR = 1, /* audit_actor() */
	AUDIT_DEVICE = 2, /* number; an API key is one too */
	AUDIT_USER = 3, /* subject id */
	AUDIT_HOST = 4, /* subject id */
	AUDIT_ADDRESS = 5, /* subject id */
	AUDIT_PRODUCT = 6, /* text */
	AUDIT_RESULT = 7, /* text: "done", "granted", "no_seats" */
	AUDIT_WHAT = 8, /* text: "lease.granted", "key.revoke" */
	AUDIT_PRINT = 9, /* SHA-256 of an application */
	AUDIT_FIELDS,
};

struct audit_entry {
	uint64_t row; /* its number in the journal; its name here too */
	int64_t time;
	struct row_actor by;
	/** Kind of the row, or the operation that was asked for. */
	char what[48];
	char result[48];
	char product[64];
	uint64_t device; /* 0: none; the same in all that follows */
	bool of_key; /* the device is an API key */
	uint64_t license;
	uint64_t lease;
	uint64_t object; /* number of a user, token, erasure */
	uint64_t count; /* refusals of one cause in one entry; else 1 */
	uint8_t user[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint8_t address[SUBJECT_BYTES];
	uint8_t reason[SUBJECT_BYTES];
	uint8_t print[32];
	/** These were known and are erased. */
	bool user_erased, host_erased, address_erased, reason_erased;
};

/** An actor as one value of AUDIT_ACTOR. */
uint64_t audit_actor(uint32_t kind, uint64_t id);

/** How far the projection is. */
struct audit_place {
	uint64_t batch; /* the next one to be read; 0: it is empty */
	uint8_t head[32]; /* of the one before */
	uint64_t row; /* the last row told */
	uint64_t entries; /* that it holds */
	uint64_t pruned; /* rows up to this one were given up */
};

struct audit;

/** Open it in the folder, made when missing. What is of another format is made
 * anew. `volatile_`: sync nothing; audit_sync() at the end. Errors are logged. */
int audit_open(struct audit **audit, const char *path, size_t map_bytes,
    bool volatile_);
/** Takes NULL. */
void audit_close(struct audit *audit);
/** Throw away all of it. No transaction may be open. */
int audit_clear(struct audit *audit);
int audit_sync(struct audit *audit);
/** Bytes of its file that are used. */
uint64_t audit_bytes(struct audit *audit);

/* --- writing: one thread --------------------------------------------------- */

struct audit_txn;
int audit_begin(struct audit_txn **txn, struct audit *audit);
/** What the next row is about comes behind all that were told before. Rows that
 * are no entry (a pulse, a name that is introduced) only teach it. */
int audit_row(struct audit_txn *txn, const struct row *row, int64_t time);
/** An entry as it stands; audit_row() makes them. */
int audit_put(struct audit_txn *txn, const struct audit_entry *entry);
/** All rows of that batch were told. */
void audit_batch(struct audit_txn *txn, uint64_t batch, const uint8_t head[32],
    uint64_t last_row);
/** Rows up to this one are not there to be told: the journal gave up that batch
 * and all before it. */
void audit_skip(struct audit_txn *txn, uint64_t batch, const uint8_t head[32],
    uint64_t last_row);
/** Give up entries older than that, `most` at a time; how many were. */
int audit_prune(uint64_t *given_up, struct audit_txn *txn, int64_t before,
    uint64_t most);
/** Either ends it. */
int audit_commit(struct audit_txn *txn);
void audit_abort(struct audit_txn *txn);

/* --- reading: any thread --------------------------------------------------- */

int audit_place(struct audit_place *place, struct audit *audit);

/** Values of one field, any of which fits. `size`: bytes of each. */
struct audit_match {
	enum audit_field field;
	/** Numbers (AUDIT_ACTOR, AUDIT_DEVICE), or: */
	const uint64_t *numbers;
	/** ids, words without their NUL, digests. */
	const struct record_span *values;
	uint32_t n; /* 0: nothing fits */
};
struct audit_question {
	const struct audit_match *matches; /* all of them must fit */
	uint32_t n_matches;
	int64_t from; /* time; inclusive; INT64_MIN: any */
	int64_t to; /* exclusive; INT64_MAX: any */
	bool oldest_first;
	uint64_t after; /* row: go on behind it; 0: from the beginning */
	uint32_t limit;
};

/** Looks at one question: rows that were tried at most, so that it ends soon
 * where little fits; `next` goes on. */
#define AUDIT_LOOK_MAX 100000

/**
 * Entries that fit, newest first or oldest first. A page may hold fewer than
 * `limit`, even none, and yet not be the last: `next` is 0 then only. Non-zero
 * from `each` stops, and is returned.
 */
int audit_search(uint64_t *next, struct audit *audit,
    const struct audit_question *question,
    int (*each)(void *ctx, const struct audit_entry *entry), void *ctx);

/** Every subject id of that kind that stands in an entry, erased ones left out.
 */
int audit_each_subject(struct audit *audit, enum subject_kind kind,
    int (*each)(void *ctx, const uint8_t id[SUBJECT_BYTES]), void *ctx);

#endif
