/*
 * What a TPM says about how its machine was started: TPM2_Quote of the PCRs of
 * the boot, by the identity's attestation key, over bytes of the asker. Like a
 * proof (proof.h) it does not travel as the TPM gives it: all of its bytes are
 * constant, known to the verifier, or members here, so the verifier writes them
 * itself (magic, type, signer, nonce, selection, digest) and checks the
 * signature over that. Nothing of a stranger is parsed. It must not know which
 * values are good ones.
 *
 * PCRs 0 to 7 hold the firmware, its settings and the boot programs (4), the
 * partition table (5) and whose keys Secure Boot believes (7); 11 holds the UKI
 * by its sections and the words of the boot's phases (systemd). 8 and 9 belong
 * to GRUB and to what a kernel command line adds, 10 to IMA, 12 to 15 to
 * settings that the image does not have: they would tell nothing.
 */
#ifndef SHARED_PROOF_QUOTE_H
#define SHARED_PROOF_QUOTE_H

#include "shared/proof/identity.h"

/** PCRs 0 to 7, then 11, in this order. */
#define QUOTE_PCRS 9
#define QUOTE_PCR_BYTES 32
#define QUOTE_MASK 0x8ffu

struct quote {
	uint8_t pcrs[QUOTE_PCRS * QUOTE_PCR_BYTES]; /* SHA-256 bank */
	uint64_t clock_ms;
	uint64_t resets;
	uint64_t restarts;
	bool clock_unsafe;
	uint8_t firmware[8]; /* of the TPM */
	uint8_t signature[64]; /* P-256: r and low s */
};
extern const struct record quote_record;

/** Place of a PCR in `pcrs`; -1: it is not quoted. */
int quote_place(uint32_t pcr);
/** Its number. */
uint32_t quote_pcr(uint32_t place);

/**
 * The identity is bound, and in a TPM. Blocks, as all of identity.h.
 * @retval ERR_UNAVAILABLE  There is no TPM, or it keeps no SHA-256 PCRs.
 * @retval ERR_BUSY         PCRs were extended meanwhile.
 */
int identity_quote(struct quote *quote, struct identity *identity,
    const uint8_t qualifying[32]);

/** Does it hold, of that public key (class tpm) and over that? 0 or
 * ERR_BAD_PROOF. Pure, as proof_verify(). */
int quote_verify(const struct quote *quote, const uint8_t qualifying[32],
    const uint8_t *public_key, size_t len);

#endif
