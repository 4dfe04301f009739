/*
 * LMDB behind a narrow interface: one environment per tenant, its tables, its
 * transactions, our own errors. Keys are bytes, ordered as memcmp orders them;
 * values read are borrowed from the map until the transaction ends or writes.
 * It must not know what the values mean.
 */
#ifndef APPLIANCE_LEDGER_STORE_H
#define APPLIANCE_LEDGER_STORE_H

#include "shared/record/record.h"

#include <lmdb.h>

/* X(name, table's name on disk, part of the logical dump) */
#define STORE_TABLE_LIST(X)                          \
	X(STORE_META, "meta", 0)                     \
	X(STORE_BATCHES, "batches", 0)               \
	X(STORE_NODES, "nodes", 0)                   \
	X(STORE_COUNTERS, "counters", 1)             \
	X(STORE_LICENSES, "licenses", 1)             \
	X(STORE_DOCUMENTS, "documents", 1)           \
	X(STORE_PRODUCTS, "products", 1)             \
	X(STORE_VENDORS, "vendors", 1)               \
	X(STORE_POOLS, "pools", 1)                   \
	X(STORE_POOL_NAMES, "pool_names", 1)         \
	X(STORE_SLOTS, "slots", 1)                   \
	X(STORE_LINGER, "linger", 1)                 \
	X(STORE_LEASES, "leases", 1)                 \
	X(STORE_LEASE_SLOTS, "lease_slots", 1)       \
	X(STORE_BORROWS, "borrows", 1)               \
	X(STORE_BORROWERS, "borrowers", 1)           \
	X(STORE_ON_LOAN, "on_loan", 1)               \
	X(STORE_DEVICES, "devices", 1)               \
	X(STORE_DEVICE_KEYS, "device_keys", 1)       \
	X(STORE_JOINS, "joins", 1)                   \
	X(STORE_SKIPPED, "skipped", 1)               \
	X(STORE_ADOPTED, "adopted", 1)               \
	X(STORE_SUBJECTS, "subjects", 0)             \
	X(STORE_SUBJECT_INDEX, "subject_index", 0)   \
	X(STORE_SEALED, "sealed", 0)                 \
	X(STORE_USERS, "users", 1)                   \
	X(STORE_USER_LOGINS, "user_logins", 0)       \
	X(STORE_IDEMPOTENCY, "idempotency", 0)       \
	X(STORE_ERASURES, "erasures", 1)             \
	X(STORE_ERASURE_TOKENS, "erasure_tokens", 0) \
	X(STORE_KEYS, "keys", 1)                     \
	X(STORE_KEY_HASHES, "key_hashes", 1)         \
	X(STORE_KEY_USE, "key_use", 0)               \
	X(STORE_ALERTS, "alerts", 1)                 \
	X(STORE_ALERTS_OPEN, "alerts_open", 1)       \
	X(STORE_CHANNELS, "channels", 1)             \
	X(STORE_OUTBOX, "outbox", 0)                 \
	X(STORE_POLICIES, "policies", 1)             \
	X(STORE_SYNC, "sync", 1)                     \
	X(STORE_POLICY_TEXTS, "policy_texts", 0)     \
	X(STORE_BASE, "base", 0)                     \
	X(STORE_USAGE, "usage", 1)                   \
	X(STORE_USAGE_EVENTS, "usage_events", 1)     \
	X(STORE_LICENSE_STATUS, "license_status", 1) \
	X(STORE_HUB_ACCOUNT, "hub_account", 1)       \
	X(STORE_HUB_CUSTOMERS, "hub_customers", 1)   \
	X(STORE_HUB_NAMES, "hub_names", 1)           \
	X(STORE_HUB_ORDERS, "hub_orders", 1)         \
	X(STORE_HUB_ISSUED, "hub_issued", 1)         \
	X(STORE_HUB_REVISED, "hub_revised", 1)       \
	X(STORE_HUB_SITES, "hub_sites", 1)           \
	X(STORE_HUB_REPORTED, "hub_reported", 1)     \
	X(STORE_UPDATE, "update", 1)                 \
	X(STORE_HUB_IMAGES, "hub_images", 1)         \
	X(STORE_HUB_MEASURED, "hub_measured", 1)     \
	X(STORE_CREDITS, "credits", 1)               \
	X(STORE_MAINTENANCE, "maintenance", 1)       \
	X(STORE_HUB_INVOICES, "hub_invoices", 1)     \
	X(STORE_OUTBOX_KEPT, "outbox_kept", 0)       \
	X(STORE_OUTBOX_BODIES, "outbox_bodies", 0)

enum store_table {
#define X(name, text, dumped) name,
	STORE_TABLE_LIST(X)
#undef X
	    STORE_TABLES,
};

/** Map of an environment unless told otherwise; the file is sparse. */
#define STORE_MAP_BYTES ((size_t)64 << 30)

/**
 * How values are written. A program reads and writes all formats up to its own;
 * a store goes to a newer one only when told to (`hold_format` false), which on
 * an appliance is not before the new version was confirmed and no slot has an
 * older one any more that may be started: until then that one still opens it. One of a format above its own it leaves
 * as it is (ERR_CONFLICT, logged). A new format needs its number here, its step
 * in store_format.c, and writers of the one before as long as that may be held.
 */
#ifndef STORE_FORMAT
#define STORE_FORMAT 1
#endif

struct store;

struct store_txn {
	struct store *store;
	MDB_txn *txn;
};

struct store_options {
	const char *path; /* a folder */
	size_t map_bytes; /* 0: STORE_MAP_BYTES */
	bool map_grows; /* store_grow may make it larger */
	bool volatile_; /* never sync: for the simulator */
	bool create; /* make the folder and its tables when missing */
	bool hold_format; /* do not take it to a newer format */
	uint32_t format; /* the program's own; 0: STORE_FORMAT; for tests */
};

const char *store_table_name(enum store_table table);
/** Does it belong to the state that folding the journal gives? */
bool store_table_is_state(enum store_table table);

/**
 * Open the environment in the folder for writing; one process at a time may (a
 * lock file beside the data holds an flock).
 *
 * @retval ERR_BUSY       Somebody else has it.
 * @retval ERR_NOT_FOUND  There is none, and `create` is false.
 * @retval ERR_CONFLICT   A newer version took it to its own format.
 * Others: ERR_FULL, ERR_IO, ERR_CORRUPT, ERR_SYSTEM, ERR_NOMEM; logged.
 */
int store_open(struct store **store, const struct store_options *options);
void store_close(struct store *store);
/** The format that it is in since it was opened. */
uint32_t store_format(const struct store *store);

/** Begin; ends with store_commit or store_abort, exactly one of them. */
int store_begin(struct store_txn *txn, struct store *store, bool write);
/** The transaction has ended, whatever is returned. */
int store_commit(struct store_txn *txn);
/** Takes an ended one. */
void store_abort(struct store_txn *txn);

/** ERR_NOT_FOUND_INTERNAL when there is no such key. */
int store_get(struct record_span *value, const struct store_txn *txn,
    enum store_table table, const void *key, size_t key_len);
int store_put(const struct store_txn *txn, enum store_table table,
    const void *key, size_t key_len, const void *data, size_t len);
/** A key above all others of its table; ERR_CORRUPT when it is not. */
int store_append(const struct store_txn *txn, enum store_table table,
    const void *key, size_t key_len, const void *data, size_t len);
/** ERR_NOT_FOUND_INTERNAL when there is no such key. */
int store_delete(const struct store_txn *txn, enum store_table table,
    const void *key, size_t key_len);
/** Delete every entry of a table. */
int store_clear(const struct store_txn *txn, enum store_table table);
int store_count(uint64_t *entries, const struct store_txn *txn,
    enum store_table table);
/** Key and value of the last entry; ERR_NOT_FOUND_INTERNAL when empty. */
int store_last(struct record_span *key, struct record_span *value,
    const struct store_txn *txn, enum store_table table);
/** Of a table by number (8 bytes, big-endian): the one above its last; 1 when
 * it is empty. ERR_CORRUPT: its last key is none. */
int store_next(uint64_t *number, const struct store_txn *txn,
    enum store_table table);

/** Every entry from the first key >= `from` on (NULL: all), in order; stops on
 * non-zero, which is returned. `each` must not write to the table. */
int store_each(const struct store_txn *txn, enum store_table table,
    const void *from, size_t from_len,
    int (*each)(void *ctx, const struct record_span *key,
	const struct record_span *value),
    void *ctx);

/* --- store_room.c: room, and what to do when there is none ---------------- */

struct store_room {
	uint64_t used_bytes; /* of the map; pages that became free included */
	uint64_t map_bytes;
	uint64_t disk_bytes; /* of the file system */
	uint64_t free_bytes; /* that we may still write there */
};
/** Any thread. All 0: it could not be found out. */
void store_room(struct store_room *room, struct store *store);
/** Is there so little left on the disk that a batch may fail? */
bool store_disk_is_full(const struct store *store);

/**
 * After ERR_FULL, outside of transactions: a larger map, if that was the
 * reason, it may grow, and the disk has room for more.
 *
 * @retval ERR_FULL  It is not the map, or must not grow.
 * @retval ERR_BUSY  Readers did not end in time; ask again.
 */
int store_grow(struct store *store);

/* --- store_trim.c ----------------------------------------------------------- */

/** How far it is; zero-initialised begins. */
struct store_trim {
	size_t at;
	uint64_t bytes; /* that were free, so far; some may have been before */
};
/** Give pages that are free back to the file system, some ms at a time; nobody
 * else writes meanwhile. Any thread. A file system without holes keeps them. */
int store_trim(bool *more, struct store_trim *trim, struct store *store);

/** Can it write again? Commits something of no meaning and takes it back. */
int store_probe(struct store *store);

/** Did a commit fail so that the file must be opened anew? Any thread. */
bool store_is_broken(const struct store *store);

#endif
