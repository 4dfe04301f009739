/* What both sides know of a proof: its bytes and their check. */
#include "shared/proof/proof.h"

#include "shared/base/buf.h"
#include "shared/base/err.h"
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
	R_U64(proof, counter, 1, ((uint64_t)1 << 53) - 1, 0,
	    "The device's, monotonic."),
	R_U64(proof, clock_ms, 0, ((uint64_t)1 << 53) - 1, 0,
	    "Powered-on time of the device."),
	R_U64(proof, resets, 0, ((uint64_t)1 << 53) - 1, 0,
	    "How often that clock began anew."),
	R_FIXED(proof, signature, 0, "By the device's key."),
};
RECORD_DEFINE(proof, 1, "A device's signed statement about itself.");

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
	be64_write(out + 4, proof->counter);
	be64_write(out + 12, proof->clock_ms);
	be64_write(out + 20, proof->resets);
	proof_qualifying_data(out + 28, subject);
}

int
proof_verify(const struct proof *proof, const struct proof_subject *subject,
    const uint8_t *public_key, size_t len)
{
	uint8_t statement[STATEMENT_BYTES];

	if (proof->class_ != PROOF_SOFTWARE ||
	    len != crypto_sign_PUBLICKEYBYTES || proof->counter == 0)
		return ERR_BAD_PROOF;
	statement_write(statement, proof, subject);
	if (crypto_sign_verify_detached(proof->signature, statement,
		sizeof(statement), public_key) != 0)
		return ERR_BAD_PROOF;
	return 0;
}
