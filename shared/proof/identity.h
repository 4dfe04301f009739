/*
 * A device's own half of proofs: what keeps its key, and what it may be asked
 * to do with it. A folder holds the identity: for class `software` the key
 * itself, for a TPM blobs that only that TPM can use. It must not know of
 * sites but by name, nor of sockets; and nobody can make it sign bytes.
 *
 * Threads: every call but identity_class() and identity_public() may block,
 * software for an fsync, a TPM for up to a second (RSA, slow chips: several
 * while opening). Loops use helper.h. Calls of several threads are taken one
 * after the other. A TPM that went away is opened again by the next call.
 *
 * Errors are logged where they are seen, in words. Those of a TPM:
 *   ERR_UNAVAILABLE  none answers, it is locked out, owned, or has no room
 *   ERR_BUSY         try again
 *   ERR_MISMATCH     another TPM than the identity's, or one that was cleared,
 *                    or the counter is gone: the device must enroll anew
 */
#ifndef SHARED_PROOF_IDENTITY_H
#define SHARED_PROOF_IDENTITY_H

#include "shared/base/buf.h"
#include "shared/proof/enroll.h"
#include "shared/proof/proof.h"

struct identity;

enum identity_ek {
	IDENTITY_RSA, /* 2048 bits; every TPM has it */
	IDENTITY_P256,
};

struct identity_options {
	const char *folder; /* made with mode 0700 when missing */
	/** "device:/dev/tpmrm0", "swtpm:path=/abs/socket",
	 * "swtpm:host=127.0.0.1,port=2321", "mssim:host=127.0.0.1,port=2321".
	 * NULL or "": a key file. */
	const char *tcti;
	/** Without a TPM: PROOF_SOFTWARE or PROOF_ASSIGNED. */
	enum proof_class class_;
	/** Of class assigned: the file of the key that was handed over; NULL:
	 * the folder's own. */
	const char *key_file;
	enum identity_ek ek; /* of an identity that is new */
	/** Password of the TPM's owner, to make and remove counters; NULL: it
	 * has none. Borrowed until identity_close(). */
	const char *owner_auth;
};

/** Open the identity in a folder, or make a new one. With a TPM this makes a
 * key there, and may take seconds. Returns 0 or an error, logged. */
int identity_open_with(struct identity **identity,
    const struct identity_options *options);

/** The same with class software, or an RSA EK when `tcti` names a TPM. */
int identity_open(struct identity **identity, const char *folder,
    const char *tcti);
void identity_close(struct identity *identity);

/** A closed one is wanted no more: its files and its folder go, and what is not
 * there is no error. Counters stay in the TPM: identity_unbind() first. */
void identity_remove(const char *folder);

/** PROOF_SOFTWARE, PROOF_ASSIGNED, or PROOF_TPM for any TPM: whether it is a
 * chip is not the device's to say. Never blocks. */
enum proof_class identity_class(const struct identity *identity);

/**
 * Choose the counter of one site and tenant: each pair has its own, because a
 * return to one must not close the borrows of another. The first time a TPM
 * defines it; the choice is kept in the folder. Needed before the calls below
 * that speak of the counter (a key file takes any and has one counter).
 * ERR_FULL: the TPM, or the identity, has no room for one more.
 */
int identity_bind(struct identity *identity, const char *site,
    const char *tenant);

/** Remove the counter of a site for good, after the device has left it.
 * ERR_NOT_FOUND: there is none. */
int identity_unbind(struct identity *identity, const char *site,
    const char *tenant);

/** Public key bytes; returns the length; 0 of a TPM that is not bound. Never
 * blocks. */
size_t identity_public(uint8_t out[PROOF_KEY_MAX], struct identity *identity);

/** Make a proof. ERR_MISMATCH: the subject is of another site or tenant than
 * the identity is bound to. On an error the proof is zeroed. */
int proof_make(struct proof *proof, struct identity *identity,
    const struct proof_subject *subject);

/* --- counter and clock --------------------------------------------------- */

int identity_counter_read(uint64_t *value, struct identity *identity);

/**
 * Raise the counter to `to`, from the number before. Also 0 when it stands
 * there already: after a crash or a lost connection the same call is said
 * again. ERR_CONFLICT: it stands elsewhere; nothing was done.
 */
int identity_counter_raise(struct identity *identity, uint64_t to);

struct identity_clock {
	uint64_t clock_ms;
	uint64_t resets;
	uint64_t restarts;
	bool clock_unsafe;
};
/** What a proof made now would say, unsigned. */
int identity_clock_read(struct identity_clock *clock,
    struct identity *identity);

/* --- enrolment ----------------------------------------------------------- */

/** What enroll.h checks, in the arena; empty without a TPM. */
int identity_enroll_material(struct proof_material *out,
    struct identity *identity, struct arena *arena);

/** The secret of a challenge that was made for this identity. ERR_BAD_PROOF:
 * it is for another. */
int identity_challenge_answer(uint8_t secret[PROOF_SECRET_BYTES],
    struct identity *identity, const struct proof_challenge *challenge);

/* --- sealing ------------------------------------------------------------- */

#define IDENTITY_SEAL_MAX 64

/**
 * Seal a secret to the TPM: only it opens the blob, and it must stand as now
 * in the SHA-256 PCRs of the mask (bit 0: PCR 0; 0: none). The blob is no
 * secret. ERR_UNAVAILABLE without a TPM.
 */
int identity_seal(struct buf *blob, struct identity *identity,
    const void *secret, size_t len, uint32_t pcrs);

/** On an error `secret` is wiped. ERR_CORRUPT: not such a blob;
 * ERR_MISMATCH: of another TPM; ERR_FORBIDDEN: the PCRs changed. */
int identity_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct identity *identity, const void *blob, size_t blob_len);

#endif
