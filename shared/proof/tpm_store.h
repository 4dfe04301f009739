/*
 * What an identity in a TPM keeps in its folder (tpm.json): which EK it stands
 * under, the attestation key as the TPM wrapped it, and a counter for each site
 * with the secret that may count it. Whoever copies the file can do nothing
 * with it elsewhere. It must not know of TPMs but by these bytes. Only this
 * folder may use it.
 */
#ifndef SHARED_PROOF_TPM_STORE_H
#define SHARED_PROOF_TPM_STORE_H

#include "shared/proof/enroll.h"

#define TPM_SITES_MAX 32
#define TPM_PRIVATE_MAX 256

struct tpm_site {
	char site[64];
	char tenant[64];
	uint32_t index; /* of the counter */
	uint8_t secret[32]; /* of the counter */
	bool bound; /* at most one is */
};

/** Holds secrets: in sodium_malloc'd memory. */
struct tpm_store {
	uint8_t ek[PROOF_EK_MAX];
	uint32_t ek_len;
	uint8_t ak[64]; /* x, y */
	uint8_t ak_private[TPM_PRIVATE_MAX]; /* wrapped by the TPM */
	uint32_t ak_private_len;
	struct tpm_site sites[TPM_SITES_MAX];
	uint32_t n_sites;
};

/** ERR_NOT_FOUND: there is none yet. Errors but that are logged. */
int tpm_store_read(struct tpm_store *store, const char *folder);
int tpm_store_write(struct tpm_store *store, const char *folder);

/** NULL: there is none. */
struct tpm_site *tpm_store_find(struct tpm_store *store, const char *site,
    const char *tenant);
struct tpm_site *tpm_store_bound(struct tpm_store *store);

/** ERR_FULL, ERR_TOO_LARGE (a name is too long). */
int tpm_store_add(struct tpm_site **out, struct tpm_store *store,
    const char *site, const char *tenant);
void tpm_store_remove(struct tpm_store *store, struct tpm_site *site);

#endif
