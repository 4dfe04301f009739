/*
 * Who owns the machine: has the identity's folder and its TPM, and asks the TPM
 * for whatever it will do. The TPM's signatures are real; what they are over is
 * his choice.
 */
#ifndef TESTS_UNIT_TPM_ATTACKER_H
#define TESTS_UNIT_TPM_ATTACKER_H

#include "shared/proof/tpm_private.h"

#include <openssl/evp.h>

/** What a TPM signed, as it gave it. */
struct statement {
	uint8_t attest[512];
	size_t len;
	uint8_t signature[64]; /* r, s; not lowered */
};

/** Opens the same identity beside its rightful user; ends the test on an
 * error, as all of these do. */
struct tpm_identity *attacker_open(const char *folder, const char *tcti);
void attacker_close(struct tpm_identity *attacker);

/** An index as he likes it. `secret` is the site's, so that the agent too can
 * read it. */
struct attack_index {
	uint32_t index;
	TPMA_NV attributes;
	uint16_t size;
	bool with_policy; /* the template's */
};
void attacker_define(struct tpm_identity *attacker,
    const struct attack_index *index);
bool attacker_undefine(struct tpm_identity *attacker, uint32_t index);
void attacker_write(struct tpm_identity *attacker, uint32_t index,
    uint64_t value);
void attacker_count(struct tpm_identity *attacker, uint32_t index);

/** TPM2_NV_Certify with the identity's key. False: the TPM refuses. */
bool attacker_certify(struct statement *out, struct tpm_identity *attacker,
    uint32_t index, uint16_t size, uint16_t offset,
    const uint8_t qualifying[32]);

/** The same with another key of the template, below a key of the owner's
 * hierarchy; its point in `ak`. */
void attacker_certify_as_owner(struct statement *out, uint8_t ak[64],
    struct tpm_identity *attacker, uint32_t index,
    const uint8_t qualifying[32]);

/** TPM2_Quote with the identity's key. */
void attacker_quote(struct statement *out, struct tpm_identity *attacker,
    const uint8_t qualifying[32]);

/** Begins sessions until the TPM has no room for more, and is gone. */
void attacker_fill_sessions(struct tpm_identity *attacker);

/** Has the TPM sign a digest of his own with the identity's key. */
bool attacker_sign(struct tpm_identity *attacker, const uint8_t digest[32]);

/** The proof that such a statement would be, as far as it can be read; false:
 * it has another size. */
bool attacker_proof(struct proof *out, const struct statement *statement);

/**
 * A key in software that says it stands in a TPM under this EK (64 or 256
 * bytes): its public key, and a statement of its own making, signed. It has the
 * numbers that `proof` brings.
 */
void attacker_pretend(struct proof *proof, uint8_t key[PROOF_KEY_BYTES_TPM],
    const uint8_t *ek, size_t ek_len, const uint8_t qualifying[32]);

/** Is it the key's signature over the raw statement? So that a test knows what
 * the verifier refused. */
bool statement_is_signed(const struct statement *statement,
    const uint8_t ak[64]);

#endif
