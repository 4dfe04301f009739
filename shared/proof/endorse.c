/* The EK of an enrolment; see endorse.h. */
#include "shared/proof/endorse.h"

#include "shared/proof/p256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

static const struct record_field proof_material_fields[] = {
	R_BLOB(proof_material, ek, 0, PROOF_EK_MAX, RECORD_OPTIONAL,
	    "Its endorsement key: RSA modulus, or P-256 x and y."),
	R_BLOB(proof_material, certificate, 0, PROOF_CERTIFICATE_MAX,
	    RECORD_OPTIONAL, "Certificate of the endorsement key, DER."),
};
RECORD_DEFINE(proof_material, 1, "What a device shows of its TPM.");

static const struct record_field proof_challenge_fields[] = {
	R_BLOB(proof_challenge, credential, 1, 128, 0,
	    "A secret for one attestation key, encrypted."),
	R_BLOB(proof_challenge, seed, 1, 320, 0,
	    "What decrypts it, for one endorsement key."),
};
RECORD_DEFINE(proof_challenge, 1,
    "What only the TPM with both keys can answer.");

bool
endorse_key_fits(struct template_key *key,
    const struct proof_material *material, const uint8_t *public_key,
    size_t len)
{
	uint8_t ek_public[TEMPLATE_PUBLIC_MAX], qualified[32];
	size_t ek_len =
	    template_ek_public(ek_public, material->ek.data, material->ek.len);

	if (ek_len == 0 || !template_key_read(key, public_key, len))
		return false;
	template_ek_qualified(qualified, ek_public, ek_len);
	return memcmp(qualified, key->ek_qualified, sizeof(qualified)) == 0;
}

static EVP_PKEY *
read_rsa(const uint8_t *modulus, size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(modulus, (int)len, NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (build != NULL && n != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_ulong(build, OSSL_PKEY_PARAM_RSA_E, RSA_F4) ==
		1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

EVP_PKEY *
endorse_ek_read(const struct record_span *ek)
{
	const uint8_t *bytes = ek->data;

	if (ek->len == TEMPLATE_EK_RSA_BYTES)
		return read_rsa(bytes, ek->len);
	return ek->len == TEMPLATE_EK_P256_BYTES ? p256_key(bytes, bytes + 32)
						 : NULL;
}
