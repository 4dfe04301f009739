/*
 * People, hosts and addresses: the only place where an id in a row becomes a
 * name. Values lie encrypted under the tenant's key, outside journal and fold;
 * a keyed hash finds the id of a value seen before. Deleting an entry erases
 * the person, and the journal does not notice (DESIGN 5). It must not know
 * rows, leases or devices.
 *
 * commitment = BLAKE2b-256(salt || kind, one byte || value), salt 16 bytes
 */
#ifndef APPLIANCE_LEDGER_SUBJECTS_H
#define APPLIANCE_LEDGER_SUBJECTS_H

#include "appliance/ledger/state.h"

#define SUBJECT_VALUE_MAX 127
/** What is shown in the place of a name that was erased, wherever it stood. */
#define SUBJECT_ERASED "erased"
/** Random bytes for one new subject: id, salt, nonce. */
#define SUBJECT_ENTROPY (SUBJECT_BYTES + 16 + 24)

/** Keys derived from `root`, in guarded memory: person_key_root() makes it of
 * the tenant's key and the one that an erasure throws away. */
struct subject_keys;
struct subject_keys *subject_keys_new(const uint8_t root[32]);
void subject_keys_free(struct subject_keys *keys);
/** What is written from now on lies under keys of another root; what lies under
 * those before is still read, but never those before them. */
void subject_keys_turn(struct subject_keys *keys, const uint8_t root[32]);
/** The transaction came to nothing. */
void subject_keys_back(struct subject_keys *keys);

struct subject {
	uint8_t id[SUBJECT_BYTES];
	uint32_t kind;
	char value[SUBJECT_VALUE_MAX + 1];
};

/** The id of a value seen before, or ERR_NOT_FOUND_INTERNAL. An empty value
 * has the zero id. */
int subject_find(uint8_t id[SUBJECT_BYTES], const struct state *state,
    const struct subject_keys *keys, enum subject_kind kind, const char *value);

/** Write a new one: its id comes from `entropy`, its commitment is for the
 * row that introduces it. */
int subject_add(uint8_t id[SUBJECT_BYTES], uint8_t commitment[32],
    struct state *state, const struct subject_keys *keys,
    enum subject_kind kind, const char *value,
    const uint8_t entropy[SUBJECT_ENTROPY]);

/** Every one from that id on, in order of ids, which means nothing; stops on
 * non-zero, which is returned. A subject lasts for its call. */
int subject_each(const struct state *state, const struct subject_keys *keys,
    const uint8_t from[SUBJECT_BYTES],
    int (*each)(void *ctx, const struct subject *subject), void *ctx);

/**
 * After subject_keys_turn(): seal all anew under the keys in force, but those
 * to be erased, which are deleted. Commitments stay as they are. About 3 us
 * each. `seed`: random, for the nonces.
 */
struct subject_turn {
	bool (*erase)(void *ctx, const struct subject *subject,
	    const uint8_t commitment[32]);
	void *ctx;
};
int subject_turn(struct state *state, const struct subject_keys *keys,
    const uint8_t seed[32], const struct subject_turn *what);

/**
 * Ids of values seen lately, so that a checkout need not hash and look up the
 * same user and host again. It may hold only what the store holds: forget all
 * when a batch that added some is given up, and when one is erased. For the
 * committing thread.
 */
struct subject_cache;
struct subject_cache *subject_cache_new(void);
void subject_cache_free(struct subject_cache *cache);
/** False when it is not there. */
bool subject_cache_get(uint8_t id[SUBJECT_BYTES],
    const struct subject_cache *cache, enum subject_kind kind,
    const char *value);
void subject_cache_put(struct subject_cache *cache, enum subject_kind kind,
    const char *value, const uint8_t id[SUBJECT_BYTES]);
void subject_cache_forget(struct subject_cache *cache);

/** What stands behind an id; ERR_NOT_FOUND_INTERNAL when it was erased,
 * ERR_CORRUPT when it does not decrypt. The zero id is an empty value. */
int subject_get(struct subject *out, const struct state *state,
    const struct subject_keys *keys, const uint8_t id[SUBJECT_BYTES]);

#endif
