/*
 * The identity of a device in a TPM: an attestation key that never leaves it,
 * below the endorsement key, and a counter a site. It must not know of threads
 * (identity.c calls one at a time) nor of what a verifier makes of it. What
 * each call promises stands in identity.h.
 */
#ifndef SHARED_PROOF_TPM_IDENTITY_H
#define SHARED_PROOF_TPM_IDENTITY_H

#include "shared/proof/identity.h"

/** In the folder: what only the TPM can use. */
#define TPM_IDENTITY_FILE "tpm.json"

struct tpm_identity;
struct quote;

/** `folder` is borrowed. */
int tpm_identity_open(struct tpm_identity **tpm, const char *folder,
    const struct identity_options *options);
void tpm_identity_close(struct tpm_identity *tpm);

int tpm_identity_bind(struct tpm_identity *tpm, const char *site,
    const char *tenant);
int tpm_identity_unbind(struct tpm_identity *tpm, const char *site,
    const char *tenant);
/** 0 when not bound. */
size_t tpm_identity_public(uint8_t out[PROOF_KEY_MAX],
    const struct tpm_identity *tpm);

int tpm_identity_make(struct proof *proof, struct tpm_identity *tpm,
    const struct proof_subject *subject);
int tpm_identity_counter_read(uint64_t *value, struct tpm_identity *tpm);
int tpm_identity_counter_raise(struct tpm_identity *tpm, uint64_t to);
int tpm_identity_clock_read(struct identity_clock *clock,
    struct tpm_identity *tpm);

int tpm_identity_quote(struct quote *quote, struct tpm_identity *tpm,
    const uint8_t qualifying[32]);

int tpm_identity_material(struct proof_material *out, struct tpm_identity *tpm,
    struct arena *arena);
int tpm_identity_answer(uint8_t secret[PROOF_SECRET_BYTES],
    struct tpm_identity *tpm, const struct proof_challenge *challenge);

int tpm_identity_seal(struct buf *blob, struct tpm_identity *tpm,
    const void *secret, size_t len, uint32_t pcrs);
int tpm_identity_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct tpm_identity *tpm, const void *blob, size_t blob_len);

#endif
