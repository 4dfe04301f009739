#include "appliance/ledger/subjects.h"

#include "appliance/ledger/turning.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT 1
#define SALT_BYTES 16
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD (1 + 1 + NONCE) /* format, kind, nonce */
#define PLAIN_MAX (SALT_BYTES + SUBJECT_VALUE_MAX)

_Static_assert(SUBJECT_ENTROPY == SUBJECT_BYTES + SALT_BYTES + NONCE,
    "the entropy of a subject is its id, salt and nonce");

enum { KEY_INDEX, KEY_VALUE, KEYS };

struct subject_keys {
	struct turning *turning;
};

static void
derive_keys(uint8_t keys[KEYS][TURNING_KEY], const uint8_t root[32])
{
	crypto_kdf_derive_from_key(keys[KEY_INDEX], TURNING_KEY, 1, "lhsubjct",
	    root);
	crypto_kdf_derive_from_key(keys[KEY_VALUE], TURNING_KEY, 2, "lhsubjct",
	    root);
}

struct subject_keys *
subject_keys_new(const uint8_t root[32])
{
	struct subject_keys *keys = calloc(1, sizeof *keys);
	uint8_t derived[KEYS][TURNING_KEY];

	if (keys == NULL)
		return NULL;
	derive_keys(derived, root);
	keys->turning = turning_new(derived[0], KEYS);
	sodium_memzero(derived, sizeof derived);
	if (keys->turning == NULL) {
		free(keys);
		return NULL;
	}
	return keys;
}

void
subject_keys_free(struct subject_keys *keys)
{
	if (keys != NULL)
		turning_free(keys->turning);
	free(keys);
}

void
subject_keys_turn(struct subject_keys *keys, const uint8_t root[32])
{
	uint8_t derived[KEYS][TURNING_KEY];

	derive_keys(derived, root);
	turning_turn(keys->turning, derived[0]);
	sodium_memzero(derived, sizeof derived);
}

void
subject_keys_back(struct subject_keys *keys)
{
	turning_back(keys->turning);
}

/* False: there are no keys before these. */
static bool
index_hash(uint8_t hash[32], const struct subject_keys *keys, bool before,
    enum subject_kind kind, const char *value, size_t len)
{
	uint8_t text[1 + SUBJECT_VALUE_MAX], key[TURNING_KEY];

	if (!turning_get(key, keys->turning, KEY_INDEX, before))
		return false;
	text[0] = (uint8_t)kind;
	memcpy(text + 1, value, len);
	crypto_generichash(hash, 32, text, 1 + len, key, sizeof key);
	sodium_memzero(key, sizeof key);
	return true;
}

static int
value_length(size_t *len, const char *value)
{
	*len = strnlen(value, SUBJECT_VALUE_MAX + 1);
	return *len <= SUBJECT_VALUE_MAX ? 0 : ERR_TOO_LARGE;
}

int
subject_find(uint8_t id[SUBJECT_BYTES], const struct state *state,
    const struct subject_keys *keys, enum subject_kind kind, const char *value)
{
	uint8_t hash[32];
	struct record_span found;
	size_t len;
	int err = value_length(&len, value);

	if (err != 0)
		return err;
	if (len == 0) {
		memset(id, 0, SUBJECT_BYTES);
		return 0;
	}
	index_hash(hash, keys, false, kind, value, len);
	err = store_get(&found, &state->txn, STORE_SUBJECT_INDEX, hash,
	    sizeof hash);
	if (err == ERR_NOT_FOUND_INTERNAL &&
	    index_hash(hash, keys, true, kind, value, len))
		err = store_get(&found, &state->txn, STORE_SUBJECT_INDEX, hash,
		    sizeof hash);
	if (err != 0)
		return err;
	if (found.len != SUBJECT_BYTES)
		return ERR_CORRUPT;
	memcpy(id, found.data, SUBJECT_BYTES);
	return 0;
}

static void
commit_to(uint8_t commitment[32], const uint8_t salt[SALT_BYTES], uint8_t kind,
    const char *value, size_t len)
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, salt, SALT_BYTES);
	crypto_generichash_update(&st, &kind, 1);
	crypto_generichash_update(&st, (const uint8_t *)value, len);
	crypto_generichash_final(&st, commitment, 32);
}

/* Sealed under the keys in force, and to be found by its value. */
static int
store_subject(struct state *state, const struct subject_keys *keys,
    const struct subject *subject, const uint8_t salt[SALT_BYTES],
    const uint8_t nonce[NONCE])
{
	uint8_t plain[PLAIN_MAX], stored[HEAD + PLAIN_MAX + TAG], hash[32];
	uint8_t key[TURNING_KEY];
	size_t len = strlen(subject->value);

	turning_get(key, keys->turning, KEY_VALUE, false);
	memcpy(plain, salt, SALT_BYTES);
	memcpy(plain + SALT_BYTES, subject->value, len);
	stored[0] = FORMAT;
	stored[1] = (uint8_t)subject->kind;
	memcpy(stored + 2, nonce, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(stored + HEAD, NULL, plain,
	    SALT_BYTES + len, subject->id, SUBJECT_BYTES, NULL, stored + 2,
	    key);
	sodium_memzero(plain, sizeof plain);
	sodium_memzero(key, sizeof key);
	index_hash(hash, keys, false, subject->kind, subject->value, len);
	int err = store_put(&state->txn, STORE_SUBJECTS, subject->id,
	    SUBJECT_BYTES, stored, HEAD + SALT_BYTES + len + TAG);

	if (err == 0)
		err = store_put(&state->txn, STORE_SUBJECT_INDEX, hash,
		    sizeof hash, subject->id, SUBJECT_BYTES);
	return err;
}

int
subject_add(uint8_t id[SUBJECT_BYTES], uint8_t commitment[32],
    struct state *state, const struct subject_keys *keys,
    enum subject_kind kind, const char *value,
    const uint8_t entropy[SUBJECT_ENTROPY])
{
	const uint8_t *salt = entropy + SUBJECT_BYTES;
	struct subject subject = { .kind = kind };
	size_t len;
	int err = value_length(&len, value);

	if (err != 0)
		return err;
	memcpy(subject.id, entropy, SUBJECT_BYTES);
	memcpy(subject.value, value, len);
	memcpy(id, entropy, SUBJECT_BYTES);
	commit_to(commitment, salt, (uint8_t)kind, value, len);
	return store_subject(state, keys, &subject, salt, salt + SALT_BYTES);
}

static bool
decrypt(uint8_t plain[PLAIN_MAX], unsigned long long *len,
    const struct subject_keys *keys, bool before,
    const uint8_t id[SUBJECT_BYTES], const struct record_span *stored)
{
	const uint8_t *data = stored->data;
	uint8_t key[TURNING_KEY];

	if (!turning_get(key, keys->turning, KEY_VALUE, before))
		return false;
	bool is = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, len, NULL,
		      data + HEAD, stored->len - HEAD, id, SUBJECT_BYTES,
		      data + 2, key) == 0;

	sodium_memzero(key, sizeof key);
	return is;
}

/* Stored under the keys in force, or under those before: a reader's snapshot
 * may be that old. */
static int
open_stored(struct subject *out, uint8_t salt[SALT_BYTES],
    const struct subject_keys *keys, const uint8_t id[SUBJECT_BYTES],
    const struct record_span *stored)
{
	const uint8_t *data = stored->data;
	uint8_t plain[PLAIN_MAX];
	unsigned long long len = 0;

	memset(out, 0, sizeof *out);
	memcpy(out->id, id, SUBJECT_BYTES);
	if (stored->len < HEAD + SALT_BYTES + TAG ||
	    stored->len > HEAD + PLAIN_MAX + TAG || data[0] != FORMAT ||
	    (!decrypt(plain, &len, keys, false, id, stored) &&
		!decrypt(plain, &len, keys, true, id, stored))) {
		log_error("subjects", "a stored subject does not decrypt");
		return ERR_CORRUPT;
	}
	out->kind = data[1];
	memcpy(salt, plain, SALT_BYTES);
	memcpy(out->value, plain + SALT_BYTES, (size_t)len - SALT_BYTES);
	sodium_memzero(plain, sizeof plain);
	return 0;
}

int
subject_get(struct subject *out, const struct state *state,
    const struct subject_keys *keys, const uint8_t id[SUBJECT_BYTES])
{
	struct record_span stored;
	uint8_t salt[SALT_BYTES];

	memset(out, 0, sizeof *out);
	memcpy(out->id, id, SUBJECT_BYTES);
	if (sodium_is_zero(id, SUBJECT_BYTES))
		return 0;
	int err =
	    store_get(&stored, &state->txn, STORE_SUBJECTS, id, SUBJECT_BYTES);

	return err == 0 ? open_stored(out, salt, keys, id, &stored) : err;
}

/* --- all of them ----------------------------------------------------------- */

struct each_subject {
	const struct subject_keys *keys;
	int (*each)(void *ctx, const struct subject *subject);
	void *ctx;
};

static int
each_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct each_subject *walk = ctx;
	struct subject subject;
	uint8_t salt[SALT_BYTES];

	if (key->len != SUBJECT_BYTES)
		return ERR_CORRUPT;
	int err = open_stored(&subject, salt, walk->keys, key->data, value);

	return err == 0 ? walk->each(walk->ctx, &subject) : err;
}

int
subject_each(const struct state *state, const struct subject_keys *keys,
    const uint8_t from[SUBJECT_BYTES],
    int (*each)(void *ctx, const struct subject *subject), void *ctx)
{
	struct each_subject walk = { keys, each, ctx };

	return store_each(&state->txn, STORE_SUBJECTS, from, SUBJECT_BYTES,
	    each_one, &walk);
}

/* So many are read before they are written: no cursor is open meanwhile. */
#define TURN_AT_ONCE 256

struct turned {
	struct subject subject;
	uint8_t salt[SALT_BYTES];
};
struct turn {
	const struct subject_keys *keys;
	size_t n;
	struct turned items[TURN_AT_ONCE];
};

static int
turn_read(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct turn *turn = ctx;
	struct turned *item = &turn->items[turn->n];

	if (turn->n == TURN_AT_ONCE)
		return ERR_FULL;
	if (key->len != SUBJECT_BYTES)
		return ERR_CORRUPT;
	int err = open_stored(&item->subject, item->salt, turn->keys, key->data,
	    value);

	turn->n += err == 0;
	return err;
}

/* Nobody else may be deleted or sealed with the same random bytes. */
static void
turn_nonce(uint8_t nonce[NONCE], const uint8_t seed[32],
    const uint8_t id[SUBJECT_BYTES])
{
	crypto_generichash(nonce, NONCE, id, SUBJECT_BYTES, seed, 32);
}

static int
turn_write(struct state *state, const struct turn *turn, const uint8_t seed[32],
    const struct subject_turn *what)
{
	int err = 0;

	for (size_t i = 0; i < turn->n && err == 0; i++) {
		const struct turned *item = &turn->items[i];
		const struct subject *subject = &item->subject;
		uint8_t commitment[32], nonce[NONCE];

		commit_to(commitment, item->salt, (uint8_t)subject->kind,
		    subject->value, strlen(subject->value));
		if (what->erase(what->ctx, subject, commitment)) {
			err = store_delete(&state->txn, STORE_SUBJECTS,
			    subject->id, SUBJECT_BYTES);
			continue;
		}
		turn_nonce(nonce, seed, subject->id);
		err = store_subject(state, turn->keys, subject, item->salt,
		    nonce);
	}
	return err;
}

/* The least key above this one. */
static void
next_key(uint8_t key[SUBJECT_BYTES])
{
	for (size_t i = SUBJECT_BYTES; i-- > 0 && ++key[i] == 0;)
		;
}

int
subject_turn(struct state *state, const struct subject_keys *keys,
    const uint8_t seed[32], const struct subject_turn *what)
{
	struct turn *turn = sodium_malloc(sizeof *turn);
	uint8_t from[SUBJECT_BYTES] = { 0 };
	int err = turn == NULL ? ERR_NOMEM
			       : store_clear(&state->txn, STORE_SUBJECT_INDEX);
	bool more = err == 0;

	while (more) {
		*turn = (struct turn){ .keys = keys };
		err = store_each(&state->txn, STORE_SUBJECTS, from, sizeof from,
		    turn_read, turn);
		more = err == ERR_FULL;
		if (err != 0 && !more)
			break;
		err = turn_write(state, turn, seed, what);
		if (err != 0)
			break;
		if (more) {
			memcpy(from, turn->items[turn->n - 1].subject.id,
			    sizeof from);
			next_key(from);
		}
	}
	sodium_free(turn);
	return err;
}

/* --- the cache ------------------------------------------------------------ */

#define CACHE_PLACES 1024

struct cached {
	uint32_t turn; /* of the cache when it was put; 0: never */
	uint32_t kind;
	uint8_t id[SUBJECT_BYTES];
	char value[SUBJECT_VALUE_MAX + 1];
};

/* A value has one place, from which the next one for it drives it out. Values
 * are chosen by clients, so the place is by a keyed hash. */
struct subject_cache {
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint32_t turn;
	struct cached *places[CACHE_PLACES]; /* as they are needed */
};

struct subject_cache *
subject_cache_new(void)
{
	struct subject_cache *cache = calloc(1, sizeof *cache);

	if (cache == NULL)
		return NULL;
	randombytes_buf(cache->key, sizeof cache->key);
	cache->turn = 1;
	return cache;
}

void
subject_cache_free(struct subject_cache *cache)
{
	for (size_t i = 0; cache != NULL && i < CACHE_PLACES; i++)
		free(cache->places[i]);
	free(cache);
}

static size_t
cache_place(const struct subject_cache *cache, enum subject_kind kind,
    const char *value, size_t len)
{
	uint64_t hash;

	crypto_shorthash((uint8_t *)&hash, (const uint8_t *)value, len,
	    cache->key);
	return (hash + (uint64_t)kind) % CACHE_PLACES;
}

bool
subject_cache_get(uint8_t id[SUBJECT_BYTES], const struct subject_cache *cache,
    enum subject_kind kind, const char *value)
{
	size_t len = strlen(value);
	const struct cached *at =
	    cache->places[cache_place(cache, kind, value, len)];

	if (at == NULL || at->turn != cache->turn || at->kind != kind ||
	    strcmp(at->value, value) != 0)
		return false;
	memcpy(id, at->id, SUBJECT_BYTES);
	return true;
}

void
subject_cache_put(struct subject_cache *cache, enum subject_kind kind,
    const char *value, const uint8_t id[SUBJECT_BYTES])
{
	size_t len = strlen(value);
	struct cached **place =
	    &cache->places[cache_place(cache, kind, value, len)];

	if (len > SUBJECT_VALUE_MAX)
		return;
	if (*place == NULL)
		*place = malloc(sizeof **place);
	if (*place == NULL)
		return; /* it is looked up in the store */
	struct cached *at = *place;

	at->turn = cache->turn;
	at->kind = kind;
	memcpy(at->id, id, SUBJECT_BYTES);
	memcpy(at->value, value, len + 1);
}

void
subject_cache_forget(struct subject_cache *cache)
{
	if (++cache->turn != 0)
		return;
	for (size_t i = 0; i < CACHE_PLACES; i++)
		if (cache->places[i] != NULL)
			cache->places[i]->turn = 0;
	cache->turn = 1;
}
