/* What both sides know of a proof: what it is over, and how it travels. */
#include "shared/proof/proof.h"

#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/proof/statement.h"

#include <sodium.h>
#include <string.h>

/* Part of every digest: a later form of proof cannot pass for this one. */
#define PROOF_FORMAT "leasehold.proof.v1"

const char *const proof_class_names[] = { "software", "tpm", "vtpm", "assigned",
	"key", NULL };
const char *const proof_purpose_names[] = { "login", "enroll", "borrow",
	"return", NULL };

static const struct record_field proof_fields[] = {
	/* `class` is a word of C++, which reads our headers. */
	{ .key = "class",
	    .offset = offsetof(struct proof, class_),
	    .size = sizeof(((struct proof *)0)->class_),
	    .type = RECORD_ENUM,
	    .names = proof_class_names,
	    .doc = "What keeps the device's key." },
	R_U64(proof, counter, 1, U53_MAX, 0,
	    "The device's monotonic counter for this site."),
	R_U64(proof, clock_ms, 0, U53_MAX, 0, "Powered-on time of the device."),
	R_U64(proof, resets, 0, U53_MAX, 0,
	    "How often that clock may have lost time."),
	R_U64(proof, sequence, 0, U53_MAX, RECORD_OPTIONAL,
	    "Number of this proof; 0 from a TPM."),
	R_U64(proof, restarts, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Resumes since the last reset of the TPM."),
	R_BOOL(proof, clock_unsafe, RECORD_OPTIONAL,
	    "The TPM's clock may stand a bit back."),
	R_FIXED(proof, firmware, RECORD_OPTIONAL, "Version that the TPM says."),
	R_FIXED(proof, signature, 0, "By the device's key."),
};
RECORD_DEFINE(proof, 2, "A device's signed statement about itself.");

static void
hash_field(crypto_hash_sha256_state *state, const void *data, size_t len)
{
	uint8_t prefix[4];

	be32_write(prefix, (uint32_t)len);
	crypto_hash_sha256_update(state, prefix, sizeof(prefix));
	crypto_hash_sha256_update(state, data, len);
}

static void
hash_number(crypto_hash_sha256_state *state, uint64_t value)
{
	uint8_t bytes[8];

	be64_write(bytes, value);
	hash_field(state, bytes, sizeof(bytes));
}

/* All zero stands for "none" and is hashed as empty. */
static void
hash_optional(crypto_hash_sha256_state *state, const uint8_t *data, size_t len)
{
	hash_field(state, data, sodium_is_zero(data, len) ? 0 : len);
}

void
proof_qualifying_data(uint8_t out[32], const struct proof_subject *subject)
{
	crypto_hash_sha256_state state;
	const char *purpose = proof_purpose_names[subject->purpose];

	crypto_hash_sha256_init(&state);
	hash_field(&state, PROOF_FORMAT, strlen(PROOF_FORMAT));
	hash_field(&state, purpose, strlen(purpose));
	hash_field(&state, subject->site, strlen(subject->site));
	hash_field(&state, subject->tenant, strlen(subject->tenant));
	hash_number(&state, subject->device);
	hash_field(&state, subject->nonce, sizeof(subject->nonce));
	hash_optional(&state, subject->exporter, sizeof(subject->exporter));
	hash_optional(&state, subject->request_digest,
	    sizeof(subject->request_digest));
	crypto_hash_sha256_final(&state, out);
}

void
statement_write(uint8_t out[STATEMENT_BYTES], const struct proof *proof,
    const struct proof_subject *subject)
{
	be32_write(out, proof->class_);
	be64_write(out + 4, proof->sequence);
	be64_write(out + 12, proof->counter);
	be64_write(out + 20, proof->clock_ms);
	be64_write(out + 28, proof->resets);
	proof_qualifying_data(out + 36, subject);
}

/* --- keys ----------------------------------------------------------------- */

bool
proof_class_fits(uint32_t said, uint32_t enrolled)
{
	return said == enrolled ||
	    (said == PROOF_TPM && enrolled == PROOF_VTPM);
}

void
proof_fingerprint(char out[PROOF_FINGERPRINT_SIZE], const uint8_t *public_key,
    size_t len)
{
	uint8_t digest[32];

	crypto_hash_sha256(digest, public_key, len);
	text_to_hex(out, digest, sizeof(digest));
}
