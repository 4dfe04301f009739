/* See device.h. Sources: TPM 2.0 Library part 1, 11.4.10 (KDFa, KDFe), 24
 * (credentials); FIPS 186-4. */
#include "tests/bench/device.h"

#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/proof/p256.h"
#include "shared/proof/statement.h"
#include "shared/proof/template.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 512
/* What protects a secret: its HMAC as a TPM2B, then it, encrypted, as one. */
#define SIZED_BYTES (2 + PROOF_SECRET_BYTES)
#define CREDENTIAL_BYTES (2 + 32 + SIZED_BYTES)
#define POINT_BYTES 68

/* --- keys ------------------------------------------------------------------ */

/* The pair whose secret is this hash of the seed. */
static EVP_PKEY *
make_pair(uint8_t point[65], const uint8_t seed[32], const char *name)
{
	uint8_t scalar[32];
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *at = EC_POINT_new(group);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pair = NULL;

	crypto_auth_hmacsha256(scalar, (const uint8_t *)name, strlen(name),
	    seed);
	BIGNUM *secret = BN_bin2bn(scalar, sizeof(scalar), NULL);

	if (EC_POINT_mul(group, at, secret, NULL, NULL, NULL) == 1 &&
	    EC_POINT_point2oct(group, at, POINT_CONVERSION_UNCOMPRESSED, point,
		65, NULL) == 65 &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
		"prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY,
		point, 65) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret) ==
		1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pair, EVP_PKEY_KEYPAIR, params) != 1)
		pair = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_clear_free(secret);
	EC_POINT_free(at);
	EC_GROUP_free(group);
	return pair;
}

static int
make_tpm(struct device *device)
{
	uint8_t ak[65], ek[65], area[TEMPLATE_PUBLIC_MAX], qualified[32];
	struct template_key key = { .index = TEMPLATE_COUNTER_FIRST,
		.ek_qualified = qualified,
		.x = ak + 1,
		.y = ak + 33 };

	device->ak = make_pair(ak, device->seed, "attest");
	device->ek = make_pair(ek, device->seed, "endorse");
	if (device->ak == NULL || device->ek == NULL)
		return -1;
	memcpy(device->ek_point, ek + 1, sizeof(device->ek_point));
	template_ek_qualified(qualified, area,
	    template_ek_public(area, device->ek_point, 64));
	template_key_write(device->key, &key);
	device->key_len = PROOF_KEY_BYTES_TPM;
	return 0;
}

static int
make_keys(struct device *device)
{
	/* Above those of its last life. */
	device->sequence = device->counter = (uint64_t)clock_wall_ms();
	if (device->class_ == PROOF_VTPM)
		return make_tpm(device);
	device->key_len = PROOF_KEY_BYTES_SOFTWARE;
	return crypto_sign_seed_keypair(device->key, device->secret,
	    device->seed);
}

/* --- the folder ------------------------------------------------------------ */

static void
path_of(char path[PATH_BYTES], const char *folder, unsigned int number)
{
	snprintf(path, PATH_BYTES, "%s/%u", folder, number);
}

static bool
recall(struct device *device, const char *folder, unsigned int number)
{
	char path[PATH_BYTES], hex[65];
	unsigned long long known;

	path_of(path, folder, number);
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return false;
	bool whole = fscanf(file, "%llu %64s", &known, hex) == 2 &&
	    sodium_hex2bin(device->seed, 32, hex, 64, NULL, NULL, NULL) == 0;

	fclose(file);
	if (whole)
		device->number = known;
	return whole;
}

bool
device_is_known(const char *folder, unsigned int number)
{
	struct device device;

	return recall(&device, folder, number);
}

int
device_open(struct device *device, const char *folder, unsigned int number,
    uint32_t class_)
{
	*device = (struct device){ .class_ = class_ };
	if (!recall(device, folder, number))
		randombytes_buf(device->seed, sizeof(device->seed));
	return make_keys(device);
}

int
device_remember(const struct device *device, const char *folder,
    unsigned int number)
{
	char path[PATH_BYTES], hex[65];

	path_of(path, folder, number);
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return -1;
	text_to_hex(hex, device->seed, sizeof(device->seed));
	fprintf(file, "%llu %s\n", (unsigned long long)device->number, hex);
	return fclose(file) == 0 ? 0 : -1;
}

void
device_close(struct device *device)
{
	EVP_PKEY_free(device->ak);
	EVP_PKEY_free(device->ek);
	device->ak = device->ek = NULL;
}

/* --- proofs ---------------------------------------------------------------- */

static int
sign_p256(uint8_t signature[64], EVP_PKEY *key, const uint8_t *bytes,
    size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80];
	const uint8_t *at = der;
	size_t der_len = sizeof(der);
	ECDSA_SIG *pair = NULL;

	if (ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, der, &der_len, bytes, len) == 1)
		pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
	bool made = pair != NULL &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32 &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32;

	if (made)
		p256_lower(signature + 32);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(ctx);
	return made ? 0 : -1;
}

int
device_prove(struct proof *proof, struct device *device,
    const struct proof_subject *subject)
{
	uint8_t statement[STATEMENT_BYTES], attest[TEMPLATE_ATTEST_BYTES];
	uint8_t qualifying[32];
	struct template_key key;

	*proof = (struct proof){
		.class_ =
		    device->class_ == PROOF_VTPM ? PROOF_TPM : device->class_,
		.counter = device->counter,
		.clock_ms = (uint64_t)clock_boottime_ms(),
	};
	if (device->class_ != PROOF_VTPM) {
		proof->sequence = ++device->sequence;
		statement_write(statement, proof, subject);
		return crypto_sign_detached(proof->signature, NULL, statement,
		    sizeof(statement), device->secret);
	}
	proof_qualifying_data(qualifying, subject);
	if (!template_key_read(&key, device->key, device->key_len))
		return -1;
	template_attest(attest, proof, &key, qualifying);
	return sign_p256(proof->signature, device->ak, attest, sizeof(attest));
}

struct proof_material
device_material(const struct device *device)
{
	struct proof_material material = { 0 };

	if (device->class_ == PROOF_VTPM)
		material.ek = (struct record_span){ device->ek_point,
			sizeof(device->ek_point) };
	return material;
}

/* --- credentials ----------------------------------------------------------- */

/* Up to 32 bytes: one round. */
static void
kdfa(uint8_t *out, size_t len, const uint8_t seed[32], const char *label,
    const void *context, size_t context_len)
{
	crypto_auth_hmacsha256_state state;
	uint8_t digest[32], number[4];

	crypto_auth_hmacsha256_init(&state, seed, 32);
	be32_write(number, 1);
	crypto_auth_hmacsha256_update(&state, number, 4);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)label,
	    strlen(label) + 1);
	crypto_auth_hmacsha256_update(&state, context, context_len);
	be32_write(number, (uint32_t)len * 8);
	crypto_auth_hmacsha256_update(&state, number, 4);
	crypto_auth_hmacsha256_final(&state, digest);
	memcpy(out, digest, len);
}

static bool
agree(uint8_t out[32], EVP_PKEY *ours, const uint8_t x[32], const uint8_t y[32])
{
	EVP_PKEY *theirs = p256_key(x, y);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ours, NULL);
	size_t len = 32;
	bool agreed = theirs != NULL && ctx != NULL &&
	    EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer(ctx, theirs) == 1 &&
	    EVP_PKEY_derive(ctx, out, &len) == 1 && len == 32;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	return agreed;
}

static bool
open_seed(uint8_t seed[32], const struct device *device,
    const struct record_span *sealed)
{
	static const uint8_t number[4] = { 0, 0, 0, 1 };
	crypto_hash_sha256_state state;
	uint8_t shared[32];

	if (sealed->len != POINT_BYTES || be16_read(sealed->data) != 32 ||
	    !agree(shared, device->ek, sealed->data + 2, sealed->data + 36))
		return false;
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, number, sizeof(number));
	crypto_hash_sha256_update(&state, shared, sizeof(shared));
	crypto_hash_sha256_update(&state, (const uint8_t *)"IDENTITY", 9);
	crypto_hash_sha256_update(&state, sealed->data + 2, 32);
	crypto_hash_sha256_update(&state, device->ek_point, 32);
	crypto_hash_sha256_final(&state, seed);
	return true;
}

static bool
decrypt(uint8_t out[SIZED_BYTES], const uint8_t *from, const uint8_t key[16])
{
	static const uint8_t iv[16] = { 0 };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	bool done = ctx != NULL &&
	    EVP_DecryptInit_ex2(ctx, EVP_aes_128_cfb128(), key, iv, NULL) ==
		1 &&
	    EVP_DecryptUpdate(ctx, out, &len, from, SIZED_BYTES) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return done;
}

int
device_activate(uint8_t secret[PROOF_SECRET_BYTES], const struct device *device,
    const struct proof_challenge *challenge)
{
	crypto_auth_hmacsha256_state state;
	uint8_t area[TEMPLATE_PUBLIC_MAX], name[TEMPLATE_NAME_BYTES];
	uint8_t seed[32], key[32], integrity[32], sized[SIZED_BYTES];
	const uint8_t *bytes = challenge->credential.data;
	struct template_key ak;

	if (challenge->credential.len != CREDENTIAL_BYTES ||
	    !template_key_read(&ak, device->key, device->key_len) ||
	    !open_seed(seed, device, &challenge->seed))
		return -1;
	template_name(name, area, template_ak_public(area, ak.x, ak.y));
	kdfa(key, 32, seed, "INTEGRITY", NULL, 0);
	crypto_auth_hmacsha256_init(&state, key, sizeof(key));
	crypto_auth_hmacsha256_update(&state, bytes + 34, SIZED_BYTES);
	crypto_auth_hmacsha256_update(&state, name, sizeof(name));
	crypto_auth_hmacsha256_final(&state, integrity);
	kdfa(key, 16, seed, "STORAGE", name, sizeof(name));
	if (memcmp(integrity, bytes + 2, sizeof(integrity)) != 0 ||
	    !decrypt(sized, bytes + 34, key) ||
	    be16_read(sized) != PROOF_SECRET_BYTES)
		return -1;
	memcpy(secret, sized + 2, PROOF_SECRET_BYTES);
	return 0;
}
