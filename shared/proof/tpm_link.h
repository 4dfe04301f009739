/*
 * The way to a TPM: which one the configuration names, a connection to it, and
 * words for what it answers. It must not know of keys and counters. Only this
 * folder may use it.
 */
#ifndef SHARED_PROOF_TPM_LINK_H
#define SHARED_PROOF_TPM_LINK_H

#include <stdbool.h>
#include <tss2/tss2_esys.h>

#define TPM_TCTI_SIZE 256

struct tpm_link {
	char tcti[TPM_TCTI_SIZE]; /* as configured */
	const struct tpm_way *way; /* the row of the table that it fits */
	const char *target; /* what stands behind the colon */
	TSS2_TCTI_CONTEXT *tcti_context; /* NULL: not connected */
	ESYS_CONTEXT *esys;
	uint32_t nv_buffer_bytes; /* most that one NV_Read gives */
	/** What happened in a call: the TPM went away or began anew, so that
	 * the same is worth saying again once. */
	bool lost;
	bool again; /* this is that once */
	bool crowded; /* slots are to be emptied when it is opened next */
};

/** Only what is on the list: device:/dev/..., swtpm: and mssim: on this
 * machine. ERR_BAD_REQUEST, logged. */
int tpm_link_parse(struct tpm_link *link, const char *tcti);

/** 0 when connected already. ERR_UNAVAILABLE, logged in words. */
int tpm_link_open(struct tpm_link *link);
void tpm_link_close(struct tpm_link *link);

/** After a call: hang up, where others could not speak to the TPM meanwhile. A
 * TPM with a resource manager stays connected. */
void tpm_link_rest(struct tpm_link *link);

/**
 * What `rc` means: logs "cannot WHAT: words" and returns an error. A TPM that
 * went away sets `lost` and is only whispered of the first time.
 */
int tpm_link_failed(struct tpm_link *link, TSS2_RC rc, const char *what);

/** The same where an authorization was asked for: `whose` is what to say when
 * it was refused, and ERR_MISMATCH or ERR_UNAVAILABLE what to return. */
int tpm_link_refused(struct tpm_link *link, TSS2_RC rc, const char *what,
    const char *whose, int err);

/** Is it this answer of the TPM, whatever parameter it blames? */
bool tpm_rc_is(TSS2_RC rc, TSS2_RC code);

/** Did the TPM read a parameter, and not like it? */
bool tpm_rc_is_of_parameter(TSS2_RC rc);

#endif
