#include "appliance/ledger/subjects.h"

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

struct subject_keys {
	uint8_t index[crypto_generichash_KEYBYTES];
	uint8_t value[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
};

struct subject_keys *
subject_keys_new(const uint8_t tenant_key[32])
{
	struct subject_keys *keys = sodium_malloc(sizeof *keys);

	if (keys == NULL)
		return NULL;
	crypto_kdf_derive_from_key(keys->index, sizeof keys->index, 1,
	    "lhsubjct", tenant_key);
	crypto_kdf_derive_from_key(keys->value, sizeof keys->value, 2,
	    "lhsubjct", tenant_key);
	sodium_mprotect_readonly(keys);
	return keys;
}

void
subject_keys_free(struct subject_keys *keys)
{
	sodium_free(keys);
}

static void
index_hash(uint8_t hash[32], const struct subject_keys *keys,
    enum subject_kind kind, const char *value, size_t len)
{
	uint8_t text[1 + SUBJECT_VALUE_MAX];

	text[0] = (uint8_t)kind;
	memcpy(text + 1, value, len);
	crypto_generichash(hash, 32, text, 1 + len, keys->index,
	    sizeof keys->index);
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
	index_hash(hash, keys, kind, value, len);
	err = store_get(&found, &state->txn, STORE_SUBJECT_INDEX, hash,
	    sizeof hash);
	if (err != 0)
		return err;
	if (found.len != SUBJECT_BYTES)
		return ERR_CORRUPT;
	memcpy(id, found.data, SUBJECT_BYTES);
	return 0;
}

int
subject_add(uint8_t id[SUBJECT_BYTES], uint8_t commitment[32],
    struct state *state, const struct subject_keys *keys,
    enum subject_kind kind, const char *value,
    const uint8_t entropy[SUBJECT_ENTROPY])
{
	const uint8_t *salt = entropy + SUBJECT_BYTES;
	uint8_t plain[PLAIN_MAX], stored[HEAD + PLAIN_MAX + TAG], hash[32];
	uint8_t kind_byte = (uint8_t)kind;
	crypto_generichash_state st;
	size_t len;
	int err = value_length(&len, value);

	if (err != 0)
		return err;
	memcpy(id, entropy, SUBJECT_BYTES);
	memcpy(plain, salt, SALT_BYTES);
	memcpy(plain + SALT_BYTES, value, len);
	stored[0] = FORMAT;
	stored[1] = kind_byte;
	memcpy(stored + 2, salt + SALT_BYTES, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(stored + HEAD, NULL, plain,
	    SALT_BYTES + len, id, SUBJECT_BYTES, NULL, stored + 2, keys->value);
	sodium_memzero(plain, sizeof plain);
	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, salt, SALT_BYTES);
	crypto_generichash_update(&st, &kind_byte, 1);
	crypto_generichash_update(&st, (const uint8_t *)value, len);
	crypto_generichash_final(&st, commitment, 32);
	index_hash(hash, keys, kind, value, len);
	err = store_put(&state->txn, STORE_SUBJECTS, id, SUBJECT_BYTES, stored,
	    HEAD + SALT_BYTES + len + TAG);
	if (err == 0)
		err = store_put(&state->txn, STORE_SUBJECT_INDEX, hash,
		    sizeof hash, id, SUBJECT_BYTES);
	return err;
}

int
subject_get(struct subject *out, const struct state *state,
    const struct subject_keys *keys, const uint8_t id[SUBJECT_BYTES])
{
	uint8_t plain[PLAIN_MAX];
	struct record_span stored;

	memset(out, 0, sizeof *out);
	memcpy(out->id, id, SUBJECT_BYTES);
	if (sodium_is_zero(id, SUBJECT_BYTES))
		return 0;
	int err =
	    store_get(&stored, &state->txn, STORE_SUBJECTS, id, SUBJECT_BYTES);

	if (err != 0)
		return err;
	const uint8_t *data = stored.data;
	unsigned long long len = 0;

	if (stored.len < HEAD + SALT_BYTES + TAG ||
	    stored.len > HEAD + PLAIN_MAX + TAG || data[0] != FORMAT ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &len, NULL,
		data + HEAD, stored.len - HEAD, id, SUBJECT_BYTES, data + 2,
		keys->value) != 0) {
		log_error("subjects", "a stored subject does not decrypt");
		return ERR_CORRUPT;
	}
	out->kind = data[1];
	memcpy(out->value, plain + SALT_BYTES, (size_t)len - SALT_BYTES);
	sodium_memzero(plain, sizeof plain);
	return 0;
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
	struct cached places[CACHE_PLACES];
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
	    &cache->places[cache_place(cache, kind, value, len)];

	if (at->turn != cache->turn || at->kind != kind ||
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
	struct cached *at =
	    &cache->places[cache_place(cache, kind, value, len)];

	if (len > SUBJECT_VALUE_MAX)
		return;
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
	memset(cache->places, 0, sizeof cache->places);
	cache->turn = 1;
}
