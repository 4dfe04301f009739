/*
 * What a device says about itself: one primitive for login, enrolment and
 * borrowing: a signed statement of identity, counter and clock over the
 * verifier's nonce (DESIGN 9). Here is the statement and its check, for sites
 * and applications; identity.h is the device's half, enroll.h what a site
 * checks once. Callers choose the purpose, never the bytes that get signed. It
 * must not know of TPMs as devices, of sockets, nor of sessions.
 *
 * A TPM's proof is TPM2_NV_Certify of the device's counter. It is not sent as
 * the TPM gives it: every byte of it is either constant, or known to the
 * verifier, or a member of `struct proof`, so the verifier writes the bytes
 * itself and checks the signature over them. Nothing of a stranger is parsed.
 */
#ifndef SHARED_PROOF_PROOF_H
#define SHARED_PROOF_PROOF_H

#include "shared/record/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROOF_NONCE_BYTES 32
/** Of any class; see PROOF_KEY_BYTES_TPM. */
#define PROOF_KEY_MAX 128

enum proof_class {
	PROOF_SOFTWARE,
	PROOF_TPM,
	PROOF_VTPM,
	PROOF_ASSIGNED,
	PROOF_KEY,
};
extern const char *const proof_class_names[]; /* ends with NULL */

enum proof_purpose {
	PROOF_LOGIN,
	PROOF_ENROLL,
	PROOF_BORROW,
	PROOF_RETURN,
};
extern const char *const proof_purpose_names[];

/** What a proof is over; both sides fill it from their own knowledge. */
struct proof_subject {
	enum proof_purpose purpose;
	const char *site; /* site id */
	const char *tenant; /* "default" */
	uint64_t device; /* 0 while enrolling */
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint8_t exporter[32]; /* of this TLS connection; zero: none */
	uint8_t request_digest[32]; /* of what is asked with it; zero: none */
};

/** The statement as it travels. After proof_verify() all of it holds. */
struct proof {
	/** PROOF_SOFTWARE, PROOF_ASSIGNED or PROOF_TPM: what made the proof. A
	 * TPM does not know whether it is a chip or a program; the site's
	 * record of the device says tpm or vtpm: see proof_class_fits(). */
	uint32_t class_;
	/** The device's monotonic counter for this site and tenant: the epoch
	 * of its borrows. It rises by identity_counter_raise() only. */
	uint64_t counter;
	uint64_t clock_ms; /* powered-on time of the device */
	uint64_t resets; /* how often that clock may have lost time */
	/** software, assigned: number of this proof, so that a copied key that
	 * is used beside the original shows. 0 from a TPM. */
	uint64_t sequence;
	/* The rest is 0 but from a TPM. */
	uint64_t restarts; /* resumes since the last reset (restartCount) */
	bool clock_unsafe; /* `safe` = 0: the clock may stand a bit back */
	uint8_t firmware[8]; /* of the TPM; no meaning here */
	uint8_t signature[64]; /* Ed25519; a TPM's: P-256, r and low s */
};
extern const struct record proof_record;

/** SHA-256 over length-prefixed {version, purpose, site, tenant, device,
 * nonce, exporter, request digest}. */
void proof_qualifying_data(uint8_t out[32],
    const struct proof_subject *subject);

/**
 * Does the proof hold? Returns 0 or ERR_BAD_PROOF. Pure: no TPM, no clock, no
 * state; any thread. About 50 us for Ed25519, 130 us for a TPM's.
 *
 * It says that the holder of the key made this statement now. The rest is the
 * caller's: nonces are used once, the class fits that of the device
 * (proof_class_fits), counter, clock and resets against what was proved before.
 */
int proof_verify(const struct proof *proof, const struct proof_subject *subject,
    const uint8_t *public_key, size_t len);

/** May a proof of class `said` come from a device enrolled as `enrolled`? Each
 * class of itself, and a TPM's also of `vtpm`. */
bool proof_class_fits(uint32_t said, uint32_t enrolled);

/** SHA-256 of a device's public key in hex: what lists of pre-approved devices
 * hold, and people compare. */
#define PROOF_FINGERPRINT_SIZE 65
void proof_fingerprint(char out[PROOF_FINGERPRINT_SIZE],
    const uint8_t *public_key, size_t len);

/* --- public keys --------------------------------------------------------- */

/** software, assigned: an Ed25519 key. */
#define PROOF_KEY_BYTES_SOFTWARE 32
/** tpm, vtpm: format u8 (1), index of the counter u32, digest of the EK's
 * qualified name [32], the attestation key's point x [32], y [32]. With the
 * constant templates (template.h) that is all that a verifier needs. */
#define PROOF_KEY_BYTES_TPM 101

#endif
