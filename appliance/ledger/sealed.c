#include "appliance/ledger/sealed.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
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
	uint8_t value[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
};

struct sealed_keys *
sealed_keys_new(const uint8_t tenant_key[32])
{
	struct sealed_keys *keys = sodium_malloc(sizeof *keys);

	if (keys == NULL)
		return NULL;
	crypto_kdf_derive_from_key(keys->value, sizeof keys->value, 1,
	    "lhsealed", tenant_key);
	sodium_mprotect_readonly(keys);
	return keys;
}

void
sealed_keys_free(struct sealed_keys *keys)
{
	sodium_free(keys);
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

int
sealed_put(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32],
    struct state *state, const struct sealed_keys *keys, enum sealed_kind kind,
    const void *document, size_t len, const uint8_t entropy[SEALED_ENTROPY])
{
	const uint8_t *salt = entropy + SEALED_ID_BYTES;
	uint8_t plain[PLAIN_MAX], stored[HEAD + PLAIN_MAX + TAG], bound[BOUND];
	uint8_t kind_byte = (uint8_t)kind;

	if (len > SEALED_MAX)
		return ERR_TOO_LARGE;
	memcpy(id, entropy, SEALED_ID_BYTES);
	memcpy(plain, salt, SALT_BYTES);
	memcpy(plain + SALT_BYTES, document, len);
	commit_to(commitment, salt, kind_byte, document, len);
	stored[0] = FORMAT;
	stored[1] = kind_byte;
	memcpy(stored + 2, salt + SALT_BYTES, NONCE);
	bind_to(bound, id, kind_byte);
	crypto_aead_xchacha20poly1305_ietf_encrypt(stored + HEAD, NULL, plain,
	    SALT_BYTES + len, bound, sizeof bound, NULL, stored + 2,
	    keys->value);
	sodium_memzero(plain, sizeof plain);
	return store_put(&state->txn, STORE_SEALED, id, SEALED_ID_BYTES, stored,
	    HEAD + SALT_BYTES + len + TAG);
}

static int
open_stored(struct sealed *out, const struct sealed_keys *keys,
    const uint8_t id[SEALED_ID_BYTES], const struct record_span *stored)
{
	const uint8_t *data = stored->data;
	uint8_t plain[PLAIN_MAX], bound[BOUND];
	unsigned long long len = 0;

	if (stored->len < HEAD + SALT_BYTES + TAG ||
	    stored->len > HEAD + PLAIN_MAX + TAG || data[0] != FORMAT) {
		log_error("sealed", "a stored document has a wrong shape");
		return ERR_CORRUPT;
	}
	bind_to(bound, id, data[1]);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &len, NULL,
		data + HEAD, stored->len - HEAD, bound, sizeof bound, data + 2,
		keys->value) != 0) {
		log_error("sealed", "a stored document does not decrypt");
		return ERR_CORRUPT;
	}
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
