/*
 * API keys in the ledger's core: the commands that make, change and rotate
 * them, and how a key is found by its hash. A key is a device of class `key`;
 * its number is the device's, and it is revoked as a device is. What names
 * people and hosts lies in a sealed document outside the fold (sealed.h), as
 * struct key_document in MessagePack. It must not know secrets in the clear,
 * requests or caches.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_KEY_H
#define APPLIANCE_LEDGER_LEDGER_KEY_H

#include "appliance/ledger/ledger.h"
#include "shared/rpc/messages_key.h"

#define KEY_HASH_BYTES 32

/** Keyed with the tenant's own secret: the hash alone is of no use to try keys
 * against, and tells nothing of another tenant's. */
void ledger_key_hash(uint8_t hash[KEY_HASH_BYTES], const struct ledger *ledger,
    const char *text, size_t len);

/** The secret of it, 32 bytes in guarded memory; NULL: there is none. */
uint8_t *ledger_key_hashes(const uint8_t tenant_key[32]);

/** The reply is struct ledger_key_made. */
struct ledger_key_create {
	uint8_t hash[KEY_HASH_BYTES];
	char name[64];
	uint32_t app_type; /* enum key_app */
	scope_set scopes;
	uint32_t expires_in_days; /* 0: never */
	struct record_span document; /* key_document in MessagePack */
};

/** The document is replaced, if it is still the one that the new one was made
 * of; else ERR_CONFLICT: read it again. */
struct ledger_key_change {
	uint64_t device;
	uint8_t before[16]; /* id of the document that was read */
	struct record_span document;
};

struct ledger_key_rotate {
	uint64_t device;
	uint8_t hash[KEY_HASH_BYTES];
	uint32_t overlap_hours; /* that the old secret stays good; 0: none */
	uint32_t expires_in_days; /* 0: it ends when it did before */
};

/** A row is written with what the first of these refusals came with. */
struct ledger_key_denied {
	struct row_denied denied;
	char address[64];
	char host[128]; /* or "" */
	char user[128]; /* or "" */
	uint8_t fingerprint[32]; /* zero: none */
};

struct ledger_key {
	uint64_t device;
	scope_set scopes;
	uint32_t app_type;
	bool revoked;
	bool previous; /* found by the hash of the secret before this one */
	uint8_t document[16]; /* id */
	int64_t created_at, rotated_at, expires_at, previous_until;
	struct row_actor by;
};

/** By the hash of a secret; ERR_NOT_FOUND_INTERNAL. Whether it is still good
 * the caller compares. */
int ledger_key_find(struct ledger_key *out, struct ledger_view *view,
    const uint8_t hash[KEY_HASH_BYTES]);
/** By number; ERR_NOT_FOUND_INTERNAL also when that device is no key. */
int ledger_key(struct ledger_key *out, struct ledger_view *view,
    uint64_t device);

/** Its document, in the arena; zero when it was erased. */
int ledger_key_document(struct key_document *out, struct ledger_view *view,
    const struct ledger_key *key, struct arena *arena);

/** How keys were used, outside journal and fold: so that a restart does not
 * give them new rates. See buckets.h. */
struct ledger_key_use {
	uint64_t device;
	int64_t requests_until; /* buckets: site time, us */
	int64_t checkouts_until;
	int64_t last_used_at; /* site time, ms */
};
/** One transaction; any thread, beside a commit. */
int ledger_key_use_put(struct ledger *ledger, const struct ledger_key_use *use,
    size_t n);
int ledger_key_use_each(struct ledger_view *view,
    int (*each)(void *ctx, const struct ledger_key_use *use), void *ctx);

/** "license:checkout license:return": names in the order of enum scope. */
void key_scopes_write(char out[256], scope_set scopes);
scope_set key_scopes_read(const char *text);

#endif
