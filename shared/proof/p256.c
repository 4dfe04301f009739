/* Points and low s; see p256.h. */
#include "shared/proof/p256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* libcrypto refuses coordinates that are not of a point, or not reduced. */
EVP_PKEY *
p256_key(const uint8_t x[32], const uint8_t y[32])
{
	static char group[] = "prime256v1";
	uint8_t point[65] = { POINT_CONVERSION_UNCOMPRESSED };
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
		    group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
		    point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	memcpy(point + 1, x, 32);
	memcpy(point + 33, y, 32);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* The order n: FIPS 186-4, D.1.2.3. */
static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00,
	0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
	0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25,
	0x51 };
static const uint8_t half_order[32] = { 0x7f, 0xff, 0xff, 0xff, 0x80, 0x00,
	0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73,
	0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31,
	0x92, 0xa8 };

bool
p256_is_low(const uint8_t s[32])
{
	return memcmp(s, half_order, 32) <= 0;
}

void
p256_lower(uint8_t s[32])
{
	int borrow = 0;

	if (p256_is_low(s))
		return;
	for (int i = 31; i >= 0; i--) {
		int digit = order[i] - s[i] - borrow;

		borrow = digit < 0;
		s[i] = (uint8_t)(digit + 256 * borrow);
	}
}

/* --- signatures --- */

/* r and s as libcrypto takes them: DER. Returns its length; 0: no memory. */
static size_t
encode_signature(uint8_t out[80], const uint8_t signature[64])
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, 32, NULL);
	BIGNUM *s = BN_bin2bn(signature + 32, 32, NULL);
	int len = 0;

	/* It refuses what there was no memory for. */
	if (pair == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else {
		len = i2d_ECDSA_SIG(pair, &out);
	}
	ECDSA_SIG_free(pair);
	return len > 0 ? (size_t)len : 0;
}

static bool
check_signature(const uint8_t digest[32], const uint8_t *der, size_t len,
    EVP_PKEY *point)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(point, NULL);
	bool holds = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_verify(ctx, der, len, digest, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	return holds;
}

bool
p256_verify(const uint8_t digest[32], const uint8_t signature[64],
    const uint8_t x[32], const uint8_t y[32])
{
	uint8_t der[80];
	bool holds = false;

	/* Errors stay in a queue of the thread, where TLS would find them. */
	ERR_set_mark();
	EVP_PKEY *point = p256_key(x, y);
	size_t len = encode_signature(der, signature);

	if (point != NULL && len > 0)
		holds = check_signature(digest, der, len, point);
	EVP_PKEY_free(point);
	ERR_pop_to_mark();
	return holds;
}
