/*
 * What a site checks once, when a device with a TPM enrolls: that the public
 * key is that of the endorsement key (EK) shown, who made the TPM, and, by a
 * challenge that only the TPM with that EK and that attestation key can
 * answer, that both are in one TPM. libcrypto alone; any thread; pure but for
 * the two files of proof_trust_open(). It must not know of TPMs as devices,
 * nor of sessions.
 *
 * In order: proof_verify() of the proof with purpose enroll,
 * proof_material_judge(), proof_challenge_make(), the device answers, the
 * secrets are equal (sodium_memcmp). Only then is it enrolled.
 */
#ifndef SHARED_PROOF_ENROLL_H
#define SHARED_PROOF_ENROLL_H

#include "shared/base/buf.h"
#include "shared/proof/proof.h"
#include "shared/record/record.h"

#define PROOF_EK_MAX 256
#define PROOF_CERTIFICATE_MAX 4096
#define PROOF_SECRET_BYTES 32

/** What a device shows of its TPM beside its public key. */
struct proof_material {
	/** RSA-2048: the modulus, 256 bytes; P-256: x and y, 64 bytes; the rest
	 * of an EK is the TCG's constant template. Empty without a TPM. */
	struct record_span ek;
	struct record_span certificate; /* of the EK, DER; empty: has none */
};
extern const struct record proof_material_record;

/** TPM2_MakeCredential, for TPM2_ActivateCredential. */
struct proof_challenge {
	struct record_span credential; /* encrypted secret and its HMAC */
	struct record_span seed; /* for the EK alone */
};
extern const struct record proof_challenge_record;

/**
 * A challenge for the device with this public key and this EK. `secret` is
 * random, and the caller's to keep until the answer.
 * ERR_BAD_PROOF: the public key does not belong to the EK, or is none.
 */
int proof_challenge_make(struct proof_challenge *out, struct arena *arena,
    const uint8_t secret[PROOF_SECRET_BYTES],
    const struct proof_material *material, const uint8_t *public_key,
    size_t len);

/** Whom a site believes about TPMs. Read once, then constant. */
struct proof_trust;

/**
 * @param ca_file       PEM, any number of CA certificates: chains end at any of
 *                      them.
 * @param issuers_file  A line each: "hardware" or "virtual", a blank, and the
 *                      SHA-256 of a CA certificate in hex (as by openssl x509
 *                      -fingerprint -sha256, with or without colons); # starts
 *                      a comment.
 * Both may be NULL: then every TPM is of class vtpm. Returns 0 or an error,
 * logged with file and line.
 */
int proof_trust_open(struct proof_trust **trust, const char *ca_file,
    const char *issuers_file);
void proof_trust_close(struct proof_trust *trust);

/** What is known of a TPM. */
struct proof_endorsement {
	/** PROOF_TPM: the certificate chains to a CA of the bundle, and a CA on
	 * that way is listed as hardware, and none as virtual. Else PROOF_VTPM.
	 */
	uint32_t class_;
	uint8_t ek_id[32]; /* SHA-256 of the EK's public area: one a TPM and
			      type of EK */
	/** SHA-256 over issuer and serial number; one device a certificate.
	 * Zero when no certificate holds. */
	uint8_t certificate_id[32];
	char manufacturer[16]; /* "IFX"; "" when no certificate says */
	char issuer[128]; /* for people, of a certificate that can be read */
	char reason[160]; /* why it is no more than vtpm, in words; "" */
};

/**
 * Who made this TPM? 0 with any honest answer, "nobody knows" included (class
 * vtpm). ERR_BAD_PROOF for a lie: the public key does not belong to the EK, or
 * the certificate is another EK's.
 */
int proof_material_judge(struct proof_endorsement *out,
    const struct proof_trust *trust, const struct proof_material *material,
    const uint8_t *public_key, size_t len, int64_t now_ms);

#endif
