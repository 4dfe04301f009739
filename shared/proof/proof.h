/*
 * What a device says about itself: one primitive for login, enrolment and (to
 * come) borrowing: a signed statement of identity, counter and clock over the
 * verifier's nonce (DESIGN 9). Class `software` signs with an Ed25519 key
 * file; class `tpm` takes the same calls. Callers choose the purpose, never
 * the bytes that get signed. It must not know of sockets or sessions.
 */
#ifndef SHARED_PROOF_PROOF_H
#define SHARED_PROOF_PROOF_H

#include "shared/record/record.h"

#include <stddef.h>
#include <stdint.h>

#define PROOF_NONCE_BYTES 32
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

/** The statement as it travels. */
struct proof {
	uint32_t class_;
	uint64_t counter; /* of the device, monotonic */
	uint64_t clock_ms; /* powered-on time of the device */
	uint64_t resets; /* how often that clock began anew */
	uint8_t signature[64];
};
extern const struct record proof_record;

/** A device's own half: its key. */
struct identity;

/** Open the key in `folder` (created with mode 0700 and a new key when
 * missing). `tcti` is NULL for class software. Returns 0 or an error, logged.
 */
int identity_open(struct identity **identity, const char *folder,
    const char *tcti);
void identity_close(struct identity *identity);
/** A closed one is wanted no more: its key and folder go. What is not there is
 * no error. */
void identity_remove(const char *folder);

enum proof_class identity_class(const struct identity *identity);
/** Public key bytes (32 for software); returns the length. */
size_t identity_public(uint8_t out[PROOF_KEY_MAX],
    const struct identity *identity);

/** Make a proof. Software: microseconds; a TPM: up to a second, so call it
 * from a helper thread. */
int proof_make(struct proof *proof, struct identity *identity,
    const struct proof_subject *subject);

/** SHA-256 over length-prefixed {version, purpose, site, tenant, device,
 * nonce, exporter, request digest}. */
void proof_qualifying_data(uint8_t out[32],
    const struct proof_subject *subject);

/** Returns 0 or ERR_BAD_PROOF. Pure: no TPM, no clock, no state. */
int proof_verify(const struct proof *proof, const struct proof_subject *subject,
    const uint8_t *public_key, size_t len);

#endif
