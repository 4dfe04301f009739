#include "appliance/ledger/sealed.h"

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
#define PLAIN_MAX (SALT_BYTES + SEALED_MAX)
#define BOUND (SEALED_ID_BYTES + 2) /* what the seal is bound to */

_Static_assert(SEALED_ENTROPY == SEALED_ID_BYTES + SALT_BYTES + NONCE,
    "the entropy of a document is its id, salt and nonce");

struct sealed_keys {
	struct turning *turning; /* one key */
};

static void
derive_key(uint8_t key[TURNING_KEY], const uint8_t root[32])
{
	crypto_kdf_derive_from_key(key, TURNING_KEY, 1, "lhsealed", root);
}

struct sealed_keys *
sealed_keys_new(const uint8_t root[32])
{
	struct sealed_keys *keys = calloc(1, sizeof *keys);
	uint8_t key[TURNING_KEY];

	if (keys == NULL)
		return NULL;
	derive_key(key, root);
	keys->turning = turning_new(key, 1);
	sodium_memzero(key, sizeof key);
	if (keys->turning == NULL) {
		free(keys);
		return NULL;
	}
	return keys;
}

void
sealed_keys_free(struct sealed_keys *keys)
{
	if (keys != NULL)
		turning_free(keys->turning);
	free(keys);
}

void
sealed_keys_turn(struct sealed_keys *keys, const uint8_t root[32])
{
	uint8_t key[TURNING_KEY];

	derive_key(key, root);
	turning_turn(keys->turning, key);
	sodium_memzero(key, sizeof key);
}

void
sealed_keys_back(struct sealed_keys *keys)
{
	turning_back(keys->turning);
}

/* One of another id or kind put in its place does not decrypt. */
static void
bind_to(uint8_t out[BOUND], const uint8_t id[SEALED_ID_BYTES], uint8_t kind)
{
	memcpy(out, id, SEALED_ID_BYTES);
	out[SEALED_ID_BYTES] = FORMAT;
	out[SEALED_ID_BYTES + 1] = kind;
}

static void
commit_to(uint8_t commitment[32], const uint8_t salt[SALT_BYTES], uint8_t kind,
    const void *document, size_t len)
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, 32);
	crypto_generichash_update(&st, salt, SALT_BYTES);
	crypto_generichash_update(&st, &kind, 1);
	crypto_generichash_update(&st, document, len);
	crypto_generichash_final(&st, commitment, 32);
}

/* Sealed under the key in force. */
static int
store_sealed(struct state *state, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], uint8_t kind, const uint8_t *plain,
    size_t len, const uint8_t nonce[NONCE])
{
	uint8_t stored[HEAD + PLAIN_MAX + TAG], bound[BOUND], key[TURNING_KEY];

	turning_get(key, keys->turning, 0, false);
	stored[0] = FORMAT;
	stored[1] = kind;
	memcpy(stored + 2, nonce, NONCE);
	bind_to(bound, id, kind);
	crypto_aead_xchacha20poly1305_ietf_encrypt(stored + HEAD, NULL, plain,
	    len, bound, sizeof bound, NULL, stored + 2, key);
	sodium_memzero(key, sizeof key);
	return store_put(&state->txn, STORE_SEALED, id, SEALED_ID_BYTES, stored,
	    HEAD + len + TAG);
}

int
sealed_put(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32],
    struct state *state, const struct sealed_keys *keys, enum sealed_kind kind,
    const void *document, size_t len, const uint8_t entropy[SEALED_ENTROPY])
{
	const uint8_t *salt = entropy + SEALED_ID_BYTES;
	uint8_t plain[PLAIN_MAX];

	if (len > SEALED_MAX)
		return ERR_TOO_LARGE;
	memcpy(id, entropy, SEALED_ID_BYTES);
	memcpy(plain, salt, SALT_BYTES);
	memcpy(plain + SALT_BYTES, document, len);
	commit_to(commitment, salt, (uint8_t)kind, document, len);
	int err = store_sealed(state, keys, id, (uint8_t)kind, plain,
	    SALT_BYTES + len, salt + SALT_BYTES);

	sodium_memzero(plain, sizeof plain);
	return err;
}

static bool
decrypt(uint8_t plain[PLAIN_MAX], unsigned long long *len,
    const struct sealed_keys *keys, bool before, const uint8_t bound[BOUND],
    const struct record_span *stored)
{
	const uint8_t *data = stored->data;
	uint8_t key[TURNING_KEY];

	if (!turning_get(key, keys->turning, 0, before))
		return false;
	bool is = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, len, NULL,
		      data + HEAD, stored->len - HEAD, bound, BOUND, data + 2,
		      key) == 0;

	sodium_memzero(key, sizeof key);
	return is;
}

/* Under the key in force, or the one before: a reader's snapshot may be that
 * old. */
static int
open_plain(uint8_t plain[PLAIN_MAX], size_t *plain_len,
    const struct sealed_keys *keys, const uint8_t id[SEALED_ID_BYTES],
    const struct record_span *stored)
{
	const uint8_t *data = stored->data;
	uint8_t bound[BOUND];
	unsigned long long len = 0;

	if (stored->len < HEAD + SALT_BYTES + TAG ||
	    stored->len > HEAD + PLAIN_MAX + TAG || data[0] != FORMAT) {
		log_error("sealed", "a stored document has a wrong shape");
		return ERR_CORRUPT;
	}
	bind_to(bound, id, data[1]);
	if (!decrypt(plain, &len, keys, false, bound, stored) &&
	    !decrypt(plain, &len, keys, true, bound, stored)) {
		log_error("sealed", "a stored document does not decrypt");
		return ERR_CORRUPT;
	}
	*plain_len = (size_t)len;
	return 0;
}

static int
open_stored(struct sealed *out, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], const struct record_span *stored)
{
	const uint8_t *data = stored->data;
	uint8_t plain[PLAIN_MAX];
	size_t len;
	int err = open_plain(plain, &len, keys, id, stored);

	if (err != 0)
		return err;
	memcpy(out->id, id, SEALED_ID_BYTES);
	out->kind = data[1];
	out->len = (uint32_t)(len - SALT_BYTES);
	memcpy(out->data, plain + SALT_BYTES, out->len);
	commit_to(out->commitment, plain, data[1], out->data, out->len);
	sodium_memzero(plain, sizeof plain);
	return 0;
}

int
sealed_get(struct sealed *out, const struct state *state,
    const struct sealed_keys *keys, enum sealed_kind kind,
    const uint8_t id[SEALED_ID_BYTES])
{
	struct record_span stored;
	int err =
	    store_get(&stored, &state->txn, STORE_SEALED, id, SEALED_ID_BYTES);

	if (err == 0)
		err = open_stored(out, keys, id, &stored);
	if (err != 0 || out->kind == kind)
		return err;
	sealed_wipe(out);
	return ERR_NOT_FOUND_INTERNAL;
}

void
sealed_wipe(struct sealed *sealed)
{
	sodium_memzero(sealed, sizeof *sealed);
}

int
sealed_delete(struct state *state, const uint8_t id[SEALED_ID_BYTES])
{
	return store_delete(&state->txn, STORE_SEALED, id, SEALED_ID_BYTES);
}

struct walk {
	const struct sealed_keys *keys;
	enum sealed_kind kind;
	int (*each)(void *ctx, const struct sealed *sealed);
	void *ctx;
	struct sealed *sealed;
};

static int
walk_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walk *walk = ctx;

	if (key->len != SEALED_ID_BYTES || value->len < HEAD)
		return ERR_CORRUPT;
	if (((const uint8_t *)value->data)[1] != walk->kind)
		return 0;
	int err = open_stored(walk->sealed, walk->keys, key->data, value);

	return err == 0 ? walk->each(walk->ctx, walk->sealed) : err;
}

int
sealed_each(const struct state *state, const struct sealed_keys *keys,
    enum sealed_kind kind, int (*each)(void *ctx, const struct sealed *sealed),
    void *ctx)
{
	struct sealed sealed;
	struct walk walk = { keys, kind, each, ctx, &sealed };
	int err =
	    store_each(&state->txn, STORE_SEALED, NULL, 0, walk_one, &walk);

	sealed_wipe(&sealed);
	return err;
}

/* --- texts ------------------------------------------------------------------ */

/* No kind of document has this number. */
#define KIND_TEXT 0

_Static_assert(SEALED_TEXT_EXTRA == NONCE + TAG, "what a seal adds");

int
sealed_text_add(struct buf *out, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], const void *text, size_t len)
{
	uint8_t nonce[NONCE], bound[BOUND], key[TURNING_KEY];
	uint8_t *sealed = malloc(len + TAG);

	if (sealed == NULL)
		return ERR_NOMEM;
	randombytes_buf(nonce, sizeof nonce);
	bind_to(bound, id, KIND_TEXT);
	turning_get(key, keys->turning, 0, false);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, text, len,
	    bound, sizeof bound, NULL, nonce, key);
	sodium_memzero(key, sizeof key);
	buf_add(out, nonce, sizeof nonce);
	buf_add(out, sealed, len + TAG);
	free(sealed);
	return out->failed ? ERR_NOMEM : 0;
}

bool
sealed_text_open(uint8_t *out, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], const uint8_t *sealed, size_t len)
{
	uint8_t bound[BOUND], key[TURNING_KEY];
	bool is = false;

	if (len < SEALED_TEXT_EXTRA)
		return false;
	bind_to(bound, id, KIND_TEXT);
	for (int before = 0; before < 2 && !is; before++)
		is = turning_get(key, keys->turning, 0, before == 1) &&
		    crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL,
			sealed + NONCE, len - NONCE, bound, sizeof bound,
			sealed, key) == 0;
	sodium_memzero(key, sizeof key);
	return is;
}

/* --- another key ------------------------------------------------------------ */

/* The next one, from a key on. */
struct turn {
	const struct sealed_keys *keys;
	bool found;
	uint8_t id[SEALED_ID_BYTES];
	uint8_t kind;
	size_t len;
	uint8_t plain[PLAIN_MAX];
};

static int
turn_read(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct turn *turn = ctx;

	if (turn->found)
		return ERR_FULL;
	if (key->len != SEALED_ID_BYTES)
		return ERR_CORRUPT;
	int err =
	    open_plain(turn->plain, &turn->len, turn->keys, key->data, value);

	if (err != 0)
		return err;
	memcpy(turn->id, key->data, SEALED_ID_BYTES);
	turn->kind = ((const uint8_t *)value->data)[1];
	turn->found = true;
	return 0;
}

int
sealed_turn(struct state *state, const struct sealed_keys *keys,
    const uint8_t seed[32])
{
	struct turn *turn = sodium_malloc(sizeof *turn);
	uint8_t from[SEALED_ID_BYTES] = { 0 };
	int err = turn != NULL ? ERR_FULL : ERR_NOMEM;

	while (err == ERR_FULL) {
		uint8_t nonce[NONCE];

		turn->keys = keys;
		turn->found = false;
		err = store_each(&state->txn, STORE_SEALED, from, sizeof from,
		    turn_read, turn);
		if ((err != 0 && err != ERR_FULL) || !turn->found)
			break;
		crypto_generichash(nonce, sizeof nonce, turn->id,
		    sizeof turn->id, seed, 32);
		int rc = store_sealed(state, keys, turn->id, turn->kind,
		    turn->plain, turn->len, nonce);

		if (rc != 0) {
			err = rc;
			break;
		}
		memcpy(from, turn->id, sizeof from);
		for (size_t i = sizeof from; i-- > 0 && ++from[i] == 0;)
			;
	}
	sodium_free(turn);
	return err;
}
