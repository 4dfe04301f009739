/* No TPM yet; see tpm_identity.h. */
#include "shared/proof/tpm_identity.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

int
tpm_identity_open(struct tpm_identity **tpm, const char *folder,
    const struct identity_options *options)
{
	(void)tpm;
	(void)folder;
	log_error("proof",
	    "class tpm is not built into this version: leave the setting for "
	    "the TPM (%s) empty to use a key file",
	    options->tcti);
	return ERR_UNAVAILABLE;
}

void
tpm_identity_close(struct tpm_identity *tpm)
{
	(void)tpm;
}

int
tpm_identity_bind(struct tpm_identity *tpm, const char *site,
    const char *tenant)
{
	(void)tpm;
	(void)site;
	(void)tenant;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_unbind(struct tpm_identity *tpm, const char *site,
    const char *tenant)
{
	(void)tpm;
	(void)site;
	(void)tenant;
	return ERR_UNAVAILABLE;
}

size_t
tpm_identity_public(uint8_t out[PROOF_KEY_MAX], const struct tpm_identity *tpm)
{
	(void)out;
	(void)tpm;
	return 0;
}

int
tpm_identity_make(struct proof *proof, struct tpm_identity *tpm,
    const struct proof_subject *subject)
{
	(void)proof;
	(void)tpm;
	(void)subject;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_counter_read(uint64_t *value, struct tpm_identity *tpm)
{
	(void)value;
	(void)tpm;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_counter_raise(struct tpm_identity *tpm, uint64_t to)
{
	(void)tpm;
	(void)to;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_clock_read(struct identity_clock *clock, struct tpm_identity *tpm)
{
	(void)clock;
	(void)tpm;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_material(struct proof_material *out, struct tpm_identity *tpm,
    struct arena *arena)
{
	(void)out;
	(void)tpm;
	(void)arena;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_answer(uint8_t secret[PROOF_SECRET_BYTES],
    struct tpm_identity *tpm, const struct proof_challenge *challenge)
{
	(void)secret;
	(void)tpm;
	(void)challenge;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_seal(struct buf *blob, struct tpm_identity *tpm,
    const void *secret, size_t len, uint32_t pcrs)
{
	(void)blob;
	(void)tpm;
	(void)secret;
	(void)len;
	(void)pcrs;
	return ERR_UNAVAILABLE;
}

int
tpm_identity_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct tpm_identity *tpm, const void *blob, size_t blob_len)
{
	(void)secret;
	(void)len;
	(void)tpm;
	(void)blob;
	(void)blob_len;
	return ERR_UNAVAILABLE;
}
