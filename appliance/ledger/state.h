/*
 * The state tables as values: what a decision reads and a fold writes, inside
 * one transaction. Encodings are fixed, big-endian and canonical, so that the
 * same journal gives the same bytes. It must not know policy, commands or rows.
 */
#ifndef APPLIANCE_LEDGER_STATE_H
#define APPLIANCE_LEDGER_STATE_H

#include "appliance/ledger/store.h"
#include "shared/journal/journal.h"
#include "shared/proof/proof.h"

/** Numbers that go on, totals, and the time below which no batch may be. */
struct counters {
	uint64_t batches; /* so many are in the journal */
	uint64_t next_row; /* rows, leases, licenses, devices, join tokens
			      count from 1 */
	uint64_t next_lease;
	uint64_t next_license;
	uint64_t next_device;
	uint64_t next_join;
	int64_t time;
	struct journal_totals totals;
	uint64_t lingering; /* runs of slots without a lease: see linger.h */
	uint64_t pending; /* devices that wait for approval */

	uint32_t generation; /* from 1 */
	int64_t generation_at; /* time of the row that began it; 0: none did */
	uint64_t generation_tick; /* the counter's value in that row */
	uint64_t tick; /* the counter's last value in the journal */
	uint64_t leases_skipped; /* numbers that no grant had: a lost branch may
				    have given them */
	uint64_t devices_skipped;
	uint64_t adopted; /* leases of such numbers that go on */
};

struct state_license {
	uint64_t license;
	uint8_t digest[32]; /* of the token in force */
	uint32_t pools; /* so many it has, see below */
	struct license document;
};

/** Both tokens of a license, by digest, also of serials no longer in force:
 * leases granted under them still name them. */
struct state_document {
	uint64_t license;
	struct record_span issuer;
	struct record_span token;
};

/**
 * The seats that one feature of a license, or the product itself, may give. A
 * pool is numbered when its feature first stands in the license, 0 is the
 * product's, and keeps its number for ever: a renewal without the feature
 * leaves it no seats to give, and its leases go on.
 */
struct pool_id {
	uint64_t license;
	uint32_t pool;
};
struct state_pool {
	struct license_seats seats; /* of the license in force; total 0: none */
	/** Most that any of its serials allowed, beyond its seats too
	 * (license_seats_most), or that were taken when leases of an abandoned
	 * branch were adopted. */
	uint32_t seats_max;
	uint32_t commit; /* seats in use */
	uint32_t overage;
	uint32_t lingering;
	uint32_t below; /* slots taken below seats.commit */
	/** The last overage number given, of the whole license: pool 0 only. */
	uint64_t overage_checkouts;
};

/** A lease that is held; gone when it has ended. */
struct state_lease {
	uint64_t lease;
	uint64_t license;
	uint64_t device;
	uint64_t overage;
	uint32_t pool;
	uint32_t count; /* seats */
	uint32_t overage_count;
	struct row_slots slots; /* the first run of n_slots */
	uint32_t n_slots;
	uint32_t ttl_s;
	uint32_t grace_s;
	uint64_t row_number;
	uint64_t batch; /* where its row stands */
	uint32_t index;
	int64_t granted_at;
	uint8_t request[REQUEST_BYTES];
	uint8_t request_digest[16];
};

struct state_device {
	uint64_t device;
	uint32_t class_;
	enum device_state state;
	int64_t enrolled_at;
	int64_t decided_at; /* approved or revoked by an admin; 0: not */
	uint8_t name[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint8_t reason[SUBJECT_BYTES]; /* of the revocation */
	uint64_t join; /* the last one used */
	/* of its TPM; zero and "" without one */
	uint8_t ek_id[32];
	uint8_t certificate_id[32];
	char manufacturer[16];
	char issuer[128];
	char why[160]; /* it is no more than vtpm */
	uint8_t public_key[PROOF_KEY_MAX];
	uint32_t public_key_len;
};

struct state_join {
	uint64_t join;
	uint8_t id[16];
	uint32_t uses;
	uint32_t used;
	uint32_t class_;
	bool approved;
	bool revoked;
	int64_t created_at;
	int64_t expires_at;
	struct row_actor by; /* who made it */
	uint32_t n_hosts;
	uint8_t hosts[JOIN_HOSTS_MAX][SUBJECT_BYTES];
	uint32_t n_keys; /* that may use it; 0: any */
	uint8_t keys[JOIN_KEYS_MAX][32];
};

/** An API key; its device says whether it was revoked. */
struct state_key {
	uint64_t device;
	uint8_t hash[32];
	uint8_t previous[32]; /* of the secret before; zero: there was none */
	int64_t previous_until;
	int64_t created_at;
	int64_t rotated_at; /* 0: never */
	int64_t expires_at; /* 0: never */
	uint32_t app_type; /* enum key_app */
	char scopes[256];
	uint8_t document[16]; /* sealed; see sealed.h */
	uint8_t commitment[32];
	/** Who answers for its secret: who made it, or turned it last; of a key
	 * that a key made, who answers for that one. */
	struct row_actor by;
};

/** A version of the policy: what stands of it in the journal. */
struct state_policy {
	uint64_t version;
	int64_t at;
	uint8_t commitment[32];
	uint32_t rules, groups, members;
	struct row_actor by;
};

struct license_cache;
struct license_cache *license_cache_new(void);
void license_cache_free(struct license_cache *cache);
void license_cache_clear(struct license_cache *cache);
/** A transaction ended: what it wrote is forgotten unless it committed. */
void license_cache_end(struct license_cache *cache, bool committed);

/** One transaction over the tables. */
struct state {
	struct store_txn txn;
	struct counters counters;
	struct license_cache *cache; /* the writer's; NULL: none */
};

/** ERR_NOT_FOUND when the environment holds no journal (for writing it may be
 * empty: then the counters are those of an empty journal). */
int state_begin(struct state *state, struct store *store, bool write,
    struct license_cache *cache);
/** Writes the counters and commits. Ended either way. */
int state_commit(struct state *state);
void state_abort(struct state *state);

/* Readers: 0, ERR_NOT_FOUND_INTERNAL, ERR_CORRUPT or a fault of the store. */

/** `out` lives in the cache until the next write to licenses, or in the arena.
 */
int state_license(const struct state_license **out, struct state *state,
    uint64_t license, struct arena *arena);
int state_license_put(struct state *state, const struct state_license *license);
/** Its features live in the arena. */
int state_license_read(struct state_license *out, const struct record_span *key,
    const struct record_span *value, struct arena *arena);

/** Spans are borrowed from the transaction. */
int state_document(struct state_document *out, const struct state *state,
    const uint8_t digest[32]);
int state_document_put(struct state *state, const uint8_t digest[32],
    const struct state_document *document);

/** Which license grants this product. */
int state_product(uint64_t *license, const struct state *state,
    const char *product);
int state_product_put(struct state *state, const char *product,
    uint64_t license);

/** The root key (its id) that a vendor was first seen with. */
int state_vendor(char kid[TOKEN_KID_TEXT], const struct state *state,
    const char *vendor);
int state_vendor_put(struct state *state, const char *vendor, const char *kid);

/** The number of a feature's pool, also of one that is not in the license any
 * more. "" is 0, found or not. */
int state_pool_find(uint32_t *pool, const struct state *state, uint64_t license,
    const char *feature);
int state_pool_name_put(struct state *state, struct pool_id id,
    const char *feature);
int state_pool(struct state_pool *out, const struct state *state,
    struct pool_id id);
int state_pool_put(struct state *state, struct pool_id id,
    const struct state_pool *pool);

int state_lease(struct state_lease *out, const struct state *state,
    uint64_t lease);
/** Its slots, n_slots of them. */
int state_lease_slots(struct row_slots *out, const struct state *state,
    const struct state_lease *lease);
/** Leases are granted in order of their numbers. lease->slots is not looked at:
 * there are n_slots in `slots`. */
int state_lease_append(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots);
/** One whose number was skipped, so that it stands anywhere among them. */
int state_lease_insert(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots);
int state_lease_delete(struct state *state, const struct state_lease *lease);
int state_lease_read(struct state_lease *out, const struct record_span *key,
    const struct record_span *value);

int state_device(struct state_device *out, const struct state *state,
    uint64_t device);
int state_device_put(struct state *state, const struct state_device *device);
int state_device_read(struct state_device *out, const struct record_span *key,
    const struct record_span *value);
/** Which device has this public key. */
int state_device_by_key(uint64_t *device, const struct state *state,
    const void *public_key, size_t len);
/** What one device only may have, of those that are not revoked. */
enum state_tpm_id { STATE_TPM_EK, STATE_TPM_CERTIFICATE };
int state_device_by_tpm(uint64_t *device, const struct state *state,
    enum state_tpm_id what, const uint8_t id[32]);
int state_device_tpm_put(struct state *state, uint64_t device,
    enum state_tpm_id what, const uint8_t id[32]);
int state_device_tpm_delete(struct state *state, enum state_tpm_id what,
    const uint8_t id[32]);
int state_device_key_put(struct state *state, uint64_t device,
    const void *public_key, size_t len);

int state_join(struct state_join *out, const struct state *state,
    uint64_t join);
int state_join_read(struct state_join *out, const struct record_span *key,
    const struct record_span *value);
int state_join_put(struct state *state, const struct state_join *join);

/* API keys; in state_key.c. */
int state_key(struct state_key *out, const struct state *state,
    uint64_t device);
int state_key_read(struct state_key *out, const struct record_span *key,
    const struct record_span *value);
int state_key_put(struct state *state, const struct state_key *key);
/** Which key has this hash, or had it before. */
int state_key_by_hash(uint64_t *device, const struct state *state,
    const uint8_t hash[32]);
int state_key_hash_put(struct state *state, const uint8_t hash[32],
    uint64_t device);
int state_key_hash_delete(struct state *state, const uint8_t hash[32]);

/* Policies; in state_policy.c. */
int state_policy(struct state_policy *out, const struct state *state,
    uint64_t version);
/** The one in force; version 0 and zeros: there was never one. */
int state_policy_newest(struct state_policy *out, const struct state *state);
int state_policy_put(struct state *state, const struct state_policy *policy);

/** Numbers of leases from `first` to before `end` are passed over. */
int state_skip_put(struct state *state, uint64_t first, uint64_t end);
/** Was this number passed over? */
int state_is_skipped(bool *skipped, const struct state *state, uint64_t lease);

/** The row that adopted a lease, which may have ended since. */
int state_adopted(uint64_t *row_number, const struct state *state,
    uint64_t lease);
int state_adopted_put(struct state *state, uint64_t lease, uint64_t row_number);

/** A person was erased; who it was is not known any more. */
struct state_erasure {
	uint64_t erasure; /* from 1 */
	uint64_t row_number;
	uint64_t batch;
	int64_t at;
	uint32_t subjects; /* so many ids */
	uint32_t users;
	struct row_actor by;
	uint8_t document[32];
};
int state_erasure_read(struct state_erasure *out, const struct record_span *key,
    const struct record_span *value);
int state_erasure_put(struct state *state, const struct state_erasure *erasure);
/** The number of the next one. */
int state_erasure_next(uint64_t *number, const struct state *state);

/* --- outside the logical dump ------------------------------------------- */

/** The newest batch's header as token, fields and head. */
struct state_newest {
	uint8_t head[32];
	struct record_span header; /* journal_header in MessagePack */
	struct record_span token;
};
int state_newest(struct state_newest *out, const struct state *state);
int state_newest_put(struct state *state, const struct state_newest *newest);

/** Blob of one batch, borrowed. */
int state_batch(struct record_span *blob, const struct state *state,
    uint64_t batch);
int state_batch_append(struct state *state, uint64_t batch, const void *blob,
    size_t len);

/** The signed document of an erasure; borrowed. */
int state_erasure_token(struct record_span *token, const struct state *state,
    uint64_t erasure);
int state_erasure_token_put(struct state *state, uint64_t erasure,
    const void *token, size_t len);

/** The note of an orderly stop. */
int state_clean(bool *clean, const struct state *state);
int state_clean_put(struct state *state, bool clean);

#endif
