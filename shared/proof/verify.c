/* Does a proof hold? libsodium for Ed25519, libcrypto for P-256; see proof.h.
 * Nothing here knows a TPM but by the bytes it signs. */
#include "shared/proof/proof.h"

#include "shared/base/err.h"
#include "shared/proof/p256.h"
#include "shared/proof/statement.h"
#include "shared/proof/template.h"

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
	if (!p256_is_low(proof->signature + 32))
		return ERR_BAD_PROOF;
	proof_qualifying_data(qualifying, subject);
	template_attest(attest, proof, &key, qualifying);
	crypto_hash_sha256(digest, attest, sizeof(attest));
	return p256_verify(digest, proof->signature, key.x, key.y)
	    ? 0
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
