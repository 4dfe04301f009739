/* Does a proof hold? libsodium for Ed25519, libcrypto for P-256; see proof.h.
 * Nothing here knows a TPM but by the bytes it signs. */
#include "shared/proof/proof.h"

#include "shared/base/err.h"
#include "shared/proof/statement.h"
#include "shared/proof/template.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <string.h>

/* --- class software and assigned ------------------------------------------ */

/* What the signature does not cover must say nothing. */
static bool
is_bare(const struct proof *proof)
{
	return proof->restarts == 0 && !proof->clock_unsafe &&
	    sodium_is_zero(proof->firmware, sizeof(proof->firmware));
}

static int
verify_software(const struct proof *proof, const struct proof_subject *subject,
    const uint8_t *public_key, size_t len)
{
	uint8_t statement[STATEMENT_BYTES];

	if (len != PROOF_KEY_BYTES_SOFTWARE || proof->sequence == 0 ||
	    !is_bare(proof))
		return ERR_BAD_PROOF;
	statement_write(statement, proof, subject);
	if (crypto_sign_verify_detached(proof->signature, statement,
		sizeof(statement), public_key) != 0)
		return ERR_BAD_PROOF;
	return 0;
}

/* --- class tpm ------------------------------------------------------------ */

/* Of the SubjectPublicKeyInfo of a P-256 key: what stands before the point
 * (RFC 5480). libcrypto decodes that faster than it takes parameters. */
static const uint8_t spki_head[27] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a,
	0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

/* Half of the order of P-256. With s also n - s signs the same, so proofs carry
 * the lower: one statement, signed once, has one form. */
static const uint8_t half_order[32] = { 0x7f, 0xff, 0xff, 0xff, 0x80, 0x00,
	0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73,
	0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31,
	0x92, 0xa8 };

/* NULL: not a point of the curve. */
static EVP_PKEY *
read_point(const struct template_key *key)
{
	uint8_t spki[sizeof(spki_head) + 64];
	const uint8_t *at = spki;

	memcpy(spki, spki_head, sizeof(spki_head));
	memcpy(spki + sizeof(spki_head), key->x, 32);
	memcpy(spki + sizeof(spki_head) + 32, key->y, 32);
	return d2i_PUBKEY(NULL, &at, sizeof(spki));
}

/* r and s as libcrypto takes them: DER. Returns its length; 0: no memory. */
static size_t
encode_signature(uint8_t out[80], const uint8_t signature[64])
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, 32, NULL);
	BIGNUM *s = BN_bin2bn(signature + 32, 32, NULL);
	int len = 0;

	if (pair == NULL || r == NULL || s == NULL ||
	    ECDSA_SIG_set0(pair, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else {
		len = i2d_ECDSA_SIG(pair, &out);
	}
	ECDSA_SIG_free(pair);
	return len > 0 ? (size_t)len : 0;
}

static bool
signature_holds(const uint8_t digest[32], const uint8_t signature[64],
    const struct template_key *key)
{
	uint8_t der[80];
	size_t len = encode_signature(der, signature);
	EVP_PKEY *point = read_point(key);
	EVP_PKEY_CTX *ctx =
	    point == NULL ? NULL : EVP_PKEY_CTX_new(point, NULL);
	bool holds = ctx != NULL && len > 0 && EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_verify(ctx, der, len, digest, 32) == 1;

	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(point);
	return holds;
}

static int
verify_tpm(const struct proof *proof, const struct proof_subject *subject,
    const uint8_t *public_key, size_t len)
{
	uint8_t attest[TEMPLATE_ATTEST_BYTES];
	uint8_t qualifying[32], digest[32];
	struct template_key key;

	if (!template_key_read(&key, public_key, len))
		return ERR_BAD_PROOF;
	/* What the signature cannot hold: it has no sequence, and the TPM's
	 * counts have 32 bits. */
	if (proof->sequence != 0 || proof->resets > UINT32_MAX ||
	    proof->restarts > UINT32_MAX)
		return ERR_BAD_PROOF;
	if (memcmp(proof->signature + 32, half_order, 32) > 0)
		return ERR_BAD_PROOF;
	proof_qualifying_data(qualifying, subject);
	template_attest(attest, proof, &key, qualifying);
	crypto_hash_sha256(digest, attest, sizeof(attest));
	return signature_holds(digest, proof->signature, &key) ? 0
							       : ERR_BAD_PROOF;
}

int
proof_verify(const struct proof *proof, const struct proof_subject *subject,
    const uint8_t *public_key, size_t len)
{
	if (proof->counter == 0)
		return ERR_BAD_PROOF;
	switch (proof->class_) {
	case PROOF_SOFTWARE:
	case PROOF_ASSIGNED:
		return verify_software(proof, subject, public_key, len);
	case PROOF_TPM:
		return verify_tpm(proof, subject, public_key, len);
	default:
		return ERR_BAD_PROOF;
	}
}
