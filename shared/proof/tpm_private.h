/*
 * What the tpm_*.c files share. One call of identity.h is one connection
 * (tpm_identity.c, `run`): it loads what it needs, works, flushes all of it.
 * Nothing stays in the TPM's few slots between calls; keys come back from
 * contexts that the TPM itself encrypted, which costs little. Only this folder
 * may include it.
 */
#ifndef SHARED_PROOF_TPM_PRIVATE_H
#define SHARED_PROOF_TPM_PRIVATE_H

#include "shared/proof/template.h"
#include "shared/proof/tpm_identity.h"
#include "shared/proof/tpm_link.h"
#include "shared/proof/tpm_store.h"

struct quote;

struct tpm_identity {
	const char *folder;
	const char *owner_auth; /* NULL: none */
	struct tpm_link link;
	struct tpm_store *store; /* sodium_malloc'd */
	/** The EK stands at this persistent handle; 0: it is in ek_context. */
	TPM2_HANDLE ek_handle;
	TPMS_CONTEXT *ek_context;
	TPMS_CONTEXT *ak_context;
};

/* --- tpm_keys.c ----------------------------------------------------------- */

/** Find or make the EK that the store names; of a new identity (ek_len is that
 * of the EK wanted, `fresh`) any of that kind. ERR_MISMATCH: another TPM. */
int tpm_keys_find_ek(struct tpm_identity *tpm, bool fresh);

/** Make an attestation key below the EK, into the store. */
int tpm_keys_make_ak(struct tpm_identity *tpm);

/** What the saved contexts were made of is gone: begin anew. */
void tpm_keys_forget(struct tpm_identity *tpm);

int tpm_ek_load(struct tpm_identity *tpm, ESYS_TR *ek);
void tpm_ek_release(struct tpm_identity *tpm, ESYS_TR *ek);
int tpm_ak_load(struct tpm_identity *tpm, ESYS_TR *ak);

/** Takes ESYS_TR_NONE; sets it so. */
void tpm_flush(struct tpm_identity *tpm, ESYS_TR *object);

/**
 * A session with a secret that only this TPM's EK can read (salted), so that
 * who listens on the bus neither reads nor forges what passes.
 * @param type  TPM2_SE_HMAC, TPM2_SE_POLICY or TPM2_SE_TRIAL
 * @param more  TPMA_SESSION_DECRYPT and ENCRYPT: the first parameter in and
 *              out is encrypted
 */
int tpm_session(struct tpm_identity *tpm, ESYS_TR *session, TPM2_SE type,
    TPMA_SESSION more);

/** The same, with leave to use the EK. */
int tpm_ek_session(struct tpm_identity *tpm, ESYS_TR *session,
    TPMA_SESSION more);

/** A template's or a stored public area as the library wants it. */
int tpm_public_read(TPM2B_PUBLIC *out, const uint8_t *bytes, size_t len);

/* --- tpm_counter.c -------------------------------------------------------- */

/** Define the site's counter and count once. ERR_CONFLICT: the index is
 * somebody else's. 0 when it is there already, of a site that is not `fresh`. */
int tpm_counter_define(struct tpm_identity *tpm, const struct tpm_site *site,
    bool fresh);
int tpm_counter_remove(struct tpm_identity *tpm, const struct tpm_site *site);
int tpm_counter_read(uint64_t *value, struct tpm_identity *tpm,
    const struct tpm_site *site);
int tpm_counter_raise(struct tpm_identity *tpm, const struct tpm_site *site,
    uint64_t to);

/** Open the index and give the library its secret; ERR_MISMATCH: it is not
 * there, or not what the template says. */
int tpm_counter_open(struct tpm_identity *tpm, ESYS_TR *index,
    const struct tpm_site *site);

/* --- tpm_certify.c -------------------------------------------------------- */

int tpm_certify(struct proof *proof, struct tpm_identity *tpm,
    const struct tpm_site *site, const uint8_t qualifying[32]);
/** What every statement begins with, and the key that it is to be by. */
struct tpm_stated {
	uint8_t public_key[PROOF_KEY_MAX];
	struct template_key key; /* points into it */
	struct identity_clock clock;
	uint8_t firmware[8];
};

/** @param size  of a statement of that kind
 * @return ERR_MISMATCH, logged: it is none of it */
int tpm_read_stated(struct tpm_stated *out, struct tpm_identity *tpm,
    const TPM2B_ATTEST *attest, size_t size);
/** r and low s; false: it is none of an AK. */
bool tpm_take_signature(uint8_t out[64], const TPMT_SIGNATURE *signature);
int tpm_clock_read(struct identity_clock *clock, struct tpm_identity *tpm);

/* --- tpm_quote.c ---------------------------------------------------------- */

/** Of SHA-256, by a mask of 24. */
void tpm_select_pcrs(TPML_PCR_SELECTION *out, uint32_t pcrs);
int tpm_quote(struct quote *quote, struct tpm_identity *tpm,
    const uint8_t qualifying[32]);

/* --- tpm_enroll.c --------------------------------------------------------- */

/** Empty when the TPM has none. */
int tpm_certificate_read(struct buf *out, struct tpm_identity *tpm);
int tpm_activate(uint8_t secret[PROOF_SECRET_BYTES], struct tpm_identity *tpm,
    const struct proof_challenge *challenge);

/* --- tpm_seal.c ----------------------------------------------------------- */

int tpm_seal(struct buf *blob, struct tpm_identity *tpm, const void *secret,
    size_t len, uint32_t pcrs);
int tpm_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct tpm_identity *tpm, const void *blob, size_t blob_len);

#endif
