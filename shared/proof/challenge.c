/* TPM2_MakeCredential without a TPM; see enroll.h. Sources: TPM 2.0 Library
 * part 1, 24 (credential protection), 11.4.10 (KDFa, KDFe), B.10.4 (RSA),
 * C.6.4 (ECC). */
#include "shared/proof/enroll.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/endorse.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

/* With the NUL, as everywhere in these functions. */
#define IDENTITY "IDENTITY"
#define SEED_BYTES 32
#define KEY_BYTES 16
/* Of the secret as a TPM2B. */
#define SIZED_BYTES (2 + PROOF_SECRET_BYTES)
#define CREDENTIAL_BYTES (2 + 32 + SIZED_BYTES)
#define POINT_BYTES 68 /* x and y, each as a TPM2B */

/* --- key derivation ------------------------------------------------------- */

/* Up to 32 bytes: one round. `label` with its NUL. */
static void
kdfa(uint8_t *out, size_t len, const uint8_t seed[SEED_BYTES],
    const char *label, const void *context, size_t context_len)
{
	crypto_auth_hmacsha256_state state;
	uint8_t digest[32], number[4];

	crypto_auth_hmacsha256_init(&state, seed, SEED_BYTES);
	be32_write(number, 1);
	crypto_auth_hmacsha256_update(&state, number, 4);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)label,
	    strlen(label) + 1);
	crypto_auth_hmacsha256_update(&state, context, context_len);
	be32_write(number, (uint32_t)len * 8);
	crypto_auth_hmacsha256_update(&state, number, 4);
	crypto_auth_hmacsha256_final(&state, digest);
	memcpy(out, digest, len);
	sodium_memzero(digest, sizeof(digest));
}

static void
kdfe(uint8_t out[SEED_BYTES], const uint8_t shared[32], const uint8_t our_x[32],
    const uint8_t ek_x[32])
{
	crypto_hash_sha256_state state;
	uint8_t number[4];

	crypto_hash_sha256_init(&state);
	be32_write(number, 1);
	crypto_hash_sha256_update(&state, number, 4);
	crypto_hash_sha256_update(&state, shared, 32);
	crypto_hash_sha256_update(&state, (const uint8_t *)IDENTITY,
	    sizeof(IDENTITY));
	crypto_hash_sha256_update(&state, our_x, 32);
	crypto_hash_sha256_update(&state, ek_x, 32);
	crypto_hash_sha256_final(&state, out);
}

/* --- the seed, for the EK alone ------------------------------------------- */

static bool
set_oaep(EVP_PKEY_CTX *ctx)
{
	char *label = OPENSSL_strdup(IDENTITY);

	if (label == NULL)
		return false;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0 &&
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof(IDENTITY)) > 0)
		return true; /* the label is the context's */
	OPENSSL_free(label);
	return false;
}

static bool
share_seed_rsa(uint8_t seed[SEED_BYTES], uint8_t out[PROOF_EK_MAX],
    uint32_t *out_len, EVP_PKEY *ek)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);
	size_t len = PROOF_EK_MAX;

	randombytes_buf(seed, SEED_BYTES);
	bool shared = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
	    set_oaep(ctx) &&
	    EVP_PKEY_encrypt(ctx, out, &len, seed, SEED_BYTES) == 1;

	EVP_PKEY_CTX_free(ctx);
	*out_len = (uint32_t)len;
	return shared;
}

static bool
agree(uint8_t out[32], EVP_PKEY *ours, EVP_PKEY *ek)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ours, NULL);
	size_t len = 32;
	bool agreed = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer(ctx, ek) == 1 &&
	    EVP_PKEY_derive(ctx, out, &len) == 1 && len == 32;

	EVP_PKEY_CTX_free(ctx);
	return agreed;
}

static bool
share_seed_p256(uint8_t seed[SEED_BYTES], uint8_t out[PROOF_EK_MAX],
    uint32_t *out_len, EVP_PKEY *ek, const uint8_t ek_x[32])
{
	EVP_PKEY *ours = EVP_EC_gen("P-256");
	uint8_t point[65], secret[32];
	size_t len = 0;
	bool shared = ours != NULL &&
	    EVP_PKEY_get_octet_string_param(ours, OSSL_PKEY_PARAM_PUB_KEY,
		point, sizeof(point), &len) == 1 &&
	    len == sizeof(point) && agree(secret, ours, ek);

	EVP_PKEY_free(ours);
	if (!shared)
		return false;
	kdfe(seed, secret, point + 1, ek_x);
	sodium_memzero(secret, sizeof(secret));
	be16_write(out, 32);
	memcpy(out + 2, point + 1, 32);
	be16_write(out + 34, 32);
	memcpy(out + 36, point + 33, 32);
	*out_len = POINT_BYTES;
	return true;
}

static bool
share_seed(uint8_t seed[SEED_BYTES], uint8_t out[PROOF_EK_MAX],
    uint32_t *out_len, const struct record_span *ek)
{
	EVP_PKEY *key;
	bool shared = false;

	ERR_set_mark();
	key = endorse_ek_read(ek);
	if (key != NULL && ek->len == TEMPLATE_EK_RSA_BYTES)
		shared = share_seed_rsa(seed, out, out_len, key);
	else if (key != NULL)
		shared = share_seed_p256(seed, out, out_len, key, ek->data);
	EVP_PKEY_free(key);
	ERR_pop_to_mark(); /* our refusals are nobody else's errors */
	return shared;
}

/* --- the secret, for the AK alone ----------------------------------------- */

static bool
encrypt(uint8_t out[SIZED_BYTES], const uint8_t secret[PROOF_SECRET_BYTES],
    const uint8_t key[KEY_BYTES])
{
	static const uint8_t iv[16] = { 0 };
	uint8_t sized[SIZED_BYTES];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;

	be16_write(sized, PROOF_SECRET_BYTES);
	memcpy(sized + 2, secret, PROOF_SECRET_BYTES);
	bool done = ctx != NULL &&
	    EVP_EncryptInit_ex2(ctx, EVP_aes_128_cfb128(), key, iv, NULL) ==
		1 &&
	    EVP_EncryptUpdate(ctx, out, &len, sized, sizeof(sized)) == 1 &&
	    len == sizeof(sized);

	EVP_CIPHER_CTX_free(ctx);
	sodium_memzero(sized, sizeof(sized));
	return done;
}

static bool
protect(uint8_t out[CREDENTIAL_BYTES], const uint8_t secret[PROOF_SECRET_BYTES],
    const uint8_t seed[SEED_BYTES], const uint8_t name[TEMPLATE_NAME_BYTES])
{
	crypto_auth_hmacsha256_state state;
	uint8_t key[KEY_BYTES], integrity[32];
	uint8_t *encrypted = out + 2 + 32;

	kdfa(key, sizeof(key), seed, "STORAGE", name, TEMPLATE_NAME_BYTES);
	bool done = encrypt(encrypted, secret, key);

	kdfa(integrity, sizeof(integrity), seed, "INTEGRITY", NULL, 0);
	crypto_auth_hmacsha256_init(&state, integrity, sizeof(integrity));
	crypto_auth_hmacsha256_update(&state, encrypted, SIZED_BYTES);
	crypto_auth_hmacsha256_update(&state, name, TEMPLATE_NAME_BYTES);
	be16_write(out, 32);
	crypto_auth_hmacsha256_final(&state, out + 2);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(integrity, sizeof(integrity));
	return done;
}

int
proof_challenge_make(struct proof_challenge *out, struct arena *arena,
    const uint8_t secret[PROOF_SECRET_BYTES],
    const struct proof_material *material, const uint8_t *public_key,
    size_t len)
{
	uint8_t ak_public[TEMPLATE_PUBLIC_MAX], name[TEMPLATE_NAME_BYTES];
	uint8_t credential[CREDENTIAL_BYTES], shared[PROOF_EK_MAX];
	uint8_t seed[SEED_BYTES];
	uint32_t shared_len = 0;
	struct template_key key;

	*out = (struct proof_challenge){ 0 };
	if (!endorse_key_fits(&key, material, public_key, len))
		return ERR_BAD_PROOF;
	template_name(name, ak_public,
	    template_ak_public(ak_public, key.x, key.y));
	/* An EK that libcrypto cannot encrypt to is no EK. */
	if (!share_seed(seed, shared, &shared_len, &material->ek))
		return ERR_BAD_PROOF;
	bool made = protect(credential, secret, seed, name);

	sodium_memzero(seed, sizeof(seed));
	if (!made) {
		log_error("proof", "a challenge cannot be encrypted");
		return ERR_SYSTEM;
	}
	out->credential.len = sizeof(credential);
	out->credential.data =
	    arena_copy(arena, credential, sizeof(credential));
	out->seed.len = shared_len;
	out->seed.data = arena_copy(arena, shared, shared_len);
	if (out->credential.data != NULL && out->seed.data != NULL)
		return 0;
	*out = (struct proof_challenge){ 0 };
	return ERR_NOMEM;
}
