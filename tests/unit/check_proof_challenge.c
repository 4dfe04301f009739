/* The challenge that only the TPM of an endorsement key can open, opened here by
 * what the TPM's specification says. */
#include "shared/proof/p256.h"
#include "tests/unit/proof_makers.h"

#include <openssl/rsa.h>

static void
hmac(uint8_t out[32], const uint8_t *key, size_t key_len, const void *a,
    size_t a_len, const void *b, size_t b_len)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, a, a_len);
	crypto_auth_hmacsha256_update(&state, b, b_len);
	crypto_auth_hmacsha256_final(&state, out);
}

/* What a TPM does with a credential once it has the seed: part 1, 24.4. */
static bool
open_credential(uint8_t secret[32], const struct record_span *credential,
    const uint8_t seed[32], const uint8_t device[PROOF_KEY_BYTES_TPM])
{
	const uint8_t *bytes = credential->data;
	uint8_t area[TEMPLATE_PUBLIC_MAX], name[TEMPLATE_NAME_BYTES];
	uint8_t key[32], text[256], plain[34];
	static const uint8_t iv[16];
	int len;

	ck_assert_uint_eq(credential->len, 68);
	template_name(name, area,
	    template_ak_public(area, device + 37, device + 69));
	hmac(key, seed, 32, "\0\0\0\1INTEGRITY\0", 14, "\0\0\1\0", 4);
	hmac(text, key, 32, bytes + 34, 34, name, sizeof(name));
	if (be16_read(bytes) != 32 || memcmp(text, bytes + 2, 32) != 0)
		return false;
	memcpy(text, name, sizeof(name));
	memcpy(text + sizeof(name), "\0\0\0\x80", 4);
	hmac(key, seed, 32, "\0\0\0\1STORAGE\0", 12, text, sizeof(name) + 4);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	ck_assert_int_eq(EVP_DecryptInit(ctx, EVP_aes_128_cfb128(), key, iv),
	    1);
	ck_assert_int_eq(EVP_DecryptUpdate(ctx, plain, &len, bytes + 34, 34),
	    1);
	EVP_CIPHER_CTX_free(ctx);
	ck_assert_uint_eq(be16_read(plain), 32);
	memcpy(secret, plain + 2, 32);
	return true;
}

/* A TPM in software: what it makes of the seed, part 1, C.6.4 and B.10.4. */
static bool
open_p256(uint8_t secret[32], EVP_PKEY *ek,
    const struct proof_challenge *challenge)
{
	const uint8_t *point = challenge->seed.data;
	uint8_t seed[32], z[32], text[128];
	size_t len = 32;

	if (challenge->seed.len != 68 || be16_read(point) != 32 ||
	    be16_read(point + 34) != 32)
		return false;
	EVP_PKEY *theirs = p256_key(point + 2, point + 36);

	if (theirs == NULL)
		return false;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);

	ck_assert_int_eq(EVP_PKEY_derive_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_derive_set_peer(ctx, theirs), 1);
	ck_assert_int_eq(EVP_PKEY_derive(ctx, z, &len), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	memcpy(text, "\0\0\0\1", 4);
	memcpy(text + 4, z, 32);
	memcpy(text + 36, "IDENTITY\0", 9);
	memcpy(text + 45, point + 2, 32);
	memcpy(text + 77, p256_ek, 32);
	crypto_hash_sha256(seed, text, 109);
	return open_credential(secret, &challenge->credential, seed,
	    p256_device);
}

static bool
open_rsa(uint8_t secret[32], EVP_PKEY *ek,
    const struct proof_challenge *challenge)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);
	uint8_t seed[256];
	size_t len = sizeof(seed);

	ck_assert_int_eq(EVP_PKEY_decrypt_init(ctx), 1);
	EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING);
	EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256());
	EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup("IDENTITY", 9), 9);
	bool opened = EVP_PKEY_decrypt(ctx, seed, &len, challenge->seed.data,
			  challenge->seed.len) == 1 &&
	    len == 32;

	EVP_PKEY_CTX_free(ctx);
	return opened &&
	    open_credential(secret, &challenge->credential, seed, rsa_key);
}

static EVP_PKEY *
make_p256_device(void)
{
	EVP_PKEY *ek = make_point(p256_ek);

	make_key(p256_device, p256_ek, 64);
	return ek;
}

static EVP_PKEY *
make_rsa_device(void)
{
	EVP_PKEY *ek = EVP_RSA_gen(2048);
	BIGNUM *n = NULL;

	ck_assert_int_eq(EVP_PKEY_get_bn_param(ek, OSSL_PKEY_PARAM_RSA_N, &n),
	    1);
	ck_assert_int_eq(BN_bn2binpad(n, rsa_ek, 256), 256);
	BN_free(n);
	make_key(rsa_key, rsa_ek, 256);
	return ek;
}

START_TEST(elliptic_challenge_opens_with_the_endorsement_key)
{
	EVP_PKEY *ek = make_p256_device();
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32], opened[32];

	randombytes_buf(secret, sizeof(secret));
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, p256_device, sizeof(p256_device)),
	    0);
	ck_assert(open_p256(opened, ek, &challenge));
	ck_assert_mem_eq(opened, secret, 32);
	p256_device[40] ^= 1; /* for another attestation key */
	ck_assert(!open_p256(opened, ek, &challenge));
	EVP_PKEY_free(ek);
	arena_release(&arena);
}
END_TEST

START_TEST(rsa_challenge_opens_with_the_endorsement_key)
{
	EVP_PKEY *ek = make_rsa_device();
	struct proof_material material = { .ek = { rsa_ek, 256 } };
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32], opened[32];

	randombytes_buf(secret, sizeof(secret));
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, rsa_key, sizeof(rsa_key)),
	    0);
	ck_assert(open_rsa(opened, ek, &challenge));
	ck_assert_mem_eq(opened, secret, 32);
	rsa_key[40] ^= 1;
	ck_assert(!open_rsa(opened, ek, &challenge));
	EVP_PKEY_free(ek);
	arena_release(&arena);
}
END_TEST

START_TEST(no_two_challenges_are_alike)
{
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge a, b;
	struct arena arena = { 0 };
	uint8_t secret[32] = { 9 };

	ck_assert_int_eq(proof_challenge_make(&a, &arena, secret, &material,
			     p256_device, sizeof(p256_device)),
	    0);
	ck_assert_int_eq(proof_challenge_make(&b, &arena, secret, &material,
			     p256_device, sizeof(p256_device)),
	    0);
	ck_assert_mem_ne(a.seed.data, b.seed.data, a.seed.len);
	ck_assert_mem_ne(a.credential.data, b.credential.data,
	    a.credential.len);
	arena_release(&arena);
}
END_TEST

START_TEST(what_is_no_key_gets_no_challenge)
{
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32] = { 9 };

	p256_ek[63] ^= 1; /* off the curve */
	make_key(p256_device, p256_ek, 64);
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, p256_device, sizeof(p256_device)),
	    ERR_BAD_PROOF);
	ck_assert_ptr_null(challenge.seed.data);
	memset(rsa_ek, 0, sizeof(rsa_ek));
	make_key(rsa_key, rsa_ek, sizeof(rsa_ek));
	material.ek = (struct record_span){ rsa_ek, sizeof(rsa_ek) };
	ck_assert_int_eq(proof_challenge_make(&challenge, &arena, secret,
			     &material, rsa_key, sizeof(rsa_key)),
	    ERR_BAD_PROOF);
	arena_release(&arena);
}
END_TEST

START_TEST(challenge_needs_room)
{
	struct proof_material material = { .ek = { p256_ek, 64 } };
	struct proof_challenge challenge;
	uint8_t secret[32] = { 9 };
	int refused = 0;

	for (size_t most = 1; most < 1000; most += 8) {
		struct arena arena = { .max_bytes = most };
		int err = proof_challenge_make(&challenge, &arena, secret,
		    &material, p256_device, sizeof(p256_device));

		ck_assert(err == 0 || err == ERR_NOMEM);
		ck_assert((err == 0) ==
		    (challenge.credential.data != NULL &&
			challenge.seed.data != NULL));
		ck_assert((err == 0) == (challenge.credential.len != 0));
		refused += err != 0;
		arena_release(&arena);
	}
	ck_assert_int_gt(refused, 8);
}
END_TEST

START_TEST(material_and_challenge_travel_as_records)
{
	uint32_t len = (uint32_t)lab_certify(der, &chips, rsa_ek, 256, NULL);
	struct proof_material material = { { rsa_ek, 256 }, { der, len } };
	struct proof_material back;
	struct arena arena = { 0 };
	struct buf text = { 0 };

	record_write_json(&text, &proof_material_record, &material);
	ck_assert_int_eq(record_read_json(&back, &proof_material_record,
			     buf_text(&text), text.len, &arena, NULL),
	    0);
	ck_assert_uint_eq(back.certificate.len, len);
	ck_assert_mem_eq(back.certificate.data, der, len);
	/* Without a TPM it is empty, and so may be read. */
	buf_clear(&text);
	material = (struct proof_material){ 0 };
	record_write_json(&text, &proof_material_record, &material);
	ck_assert_str_eq(buf_text(&text), "{}");
	buf_release(&text);
	arena_release(&arena);
}
END_TEST

/* --- memory --------------------------------------------------------------- */

/* One that was made all the same must be what the TPM can open: a seed that
 * was never shared would be known to anybody. */
static void
fail_challenges(EVP_PKEY *ek, const struct proof_material *material,
    const uint8_t *key,
    bool (*open)(uint8_t *, EVP_PKEY *, const struct proof_challenge *))
{
	struct proof_challenge challenge;
	struct arena arena = { 0 };
	uint8_t secret[32], opened[32];
	int failed = 0;

	for (long n = 0; n < 100000; n++) {
		randombytes_buf(secret, sizeof(secret));
		crypto_fault_in = n;
		int err = proof_challenge_make(&challenge, &arena, secret,
		    material, key, PROOF_KEY_BYTES_TPM);

		if (!crypto_fault_struck())
			break;
		ck_assert((err == 0) == (challenge.seed.len != 0));
		failed += err != 0;
		if (err != 0)
			continue;
		ck_assert_msg(open(opened, ek, &challenge), "%ld", n);
		ck_assert_mem_eq(opened, secret, 32);
	}
	ck_assert_int_gt(failed, 5);
	arena_release(&arena);
}

START_TEST(challenges_outlive_failing_memory)
{
	EVP_PKEY *p256 = make_p256_device(), *rsa = make_rsa_device();
	struct proof_material material = { .ek = { p256_ek, 64 } };

	fail_challenges(p256, &material, p256_device, open_p256);
	material.ek = (struct record_span){ rsa_ek, 256 };
	fail_challenges(rsa, &material, rsa_key, open_rsa);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(rsa);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_challenge");
	TCase *tc = tcase_create("challenge");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, elliptic_challenge_opens_with_the_endorsement_key);
	tcase_add_test(tc, rsa_challenge_opens_with_the_endorsement_key);
	tcase_add_test(tc, no_two_challenges_are_alike);
	tcase_add_test(tc, what_is_no_key_gets_no_challenge);
	tcase_add_test(tc, challenge_needs_room);
	tcase_add_test(tc, material_and_challenge_travel_as_records);
	suite_add_tcase(s, tc);
	tc = tcase_create("memory");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup_faults, teardown);
	tcase_add_test(tc, challenges_outlive_failing_memory);
	suite_add_tcase(s, tc);
	return s;
}
