/* Sealing a secret to the TPM; see tpm_private.h. A blob is {format u8 (1),
 * PCRs u32, TPM2B_PUBLIC, TPM2B_PRIVATE}: the TPM refuses it when a bit is
 * changed. */
#include "shared/proof/tpm_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define FORMAT 1
#define PCRS_ALL 0x00ffffffu
#define BLOB_MAX 1024

/* A blob taken apart. */
struct sealed {
	uint32_t pcrs;
	TPM2B_PUBLIC public_half;
	TPM2B_PRIVATE private_half;
};

/* --- PCRs ----------------------------------------------------------------- */

/* Their digest as the policy wants it; a TPM without SHA-256 PCRs would take
 * an empty one for any state. */
static int
check_pcrs(struct tpm_identity *tpm, uint32_t pcrs)
{
	TPML_PCR_SELECTION wanted, *given = NULL;
	TPML_DIGEST *values = NULL;

	tpm_select_pcrs(&wanted, pcrs & (~pcrs + 1)); /* one says it for all */
	TSS2_RC rc = Esys_PCR_Read(tpm->link.esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &wanted, NULL, &given, &values);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_failed(&tpm->link, rc, "read its PCRs");
	bool there = values->count == 1;

	Esys_Free(given);
	Esys_Free(values);
	if (there)
		return 0;
	log_error("proof", "the TPM at %s keeps no SHA-256 PCRs",
	    tpm->link.tcti);
	return ERR_UNAVAILABLE;
}

static int
ask_pcrs(struct tpm_identity *tpm, ESYS_TR session, uint32_t pcrs)
{
	static const TPM2B_DIGEST as_now = { 0 };
	TPML_PCR_SELECTION wanted;

	tpm_select_pcrs(&wanted, pcrs);
	TSS2_RC rc = Esys_PolicyPCR(tpm->link.esys, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &as_now, &wanted);

	return rc == TSS2_RC_SUCCESS
	    ? 0
	    : tpm_link_failed(&tpm->link, rc, "tell its PCRs");
}

/* The policy that they stand as now. */
static int
pcr_policy(struct tpm_identity *tpm, TPM2B_DIGEST *out, uint32_t pcrs)
{
	TPM2B_DIGEST *digest = NULL;
	ESYS_TR session;
	int err = check_pcrs(tpm, pcrs);

	if (err == 0)
		err = tpm_session(tpm, &session, TPM2_SE_TRIAL, 0);
	if (err != 0)
		return err;
	err = ask_pcrs(tpm, session, pcrs);
	if (err == 0) {
		TSS2_RC rc = Esys_PolicyGetDigest(tpm->link.esys, session,
		    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest);

		if (rc == TSS2_RC_SUCCESS)
			*out = *digest;
		else
			err = tpm_link_failed(&tpm->link, rc, "make a policy");
	}
	Esys_Free(digest);
	tpm_flush(tpm, &session);
	return err;
}

/* --- blobs ---------------------------------------------------------------- */

static int
write_blob(struct buf *out, uint32_t pcrs, const TPM2B_PUBLIC *public_half,
    const TPM2B_PRIVATE *private_half)
{
	uint8_t bytes[BLOB_MAX];
	size_t len = 0;

	if (Tss2_MU_TPM2B_PUBLIC_Marshal(public_half, bytes, sizeof(bytes),
		&len) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Marshal(private_half, bytes, sizeof(bytes),
		&len) != TSS2_RC_SUCCESS)
		return ERR_SYSTEM;
	buf_add_byte(out, FORMAT);
	buf_add_be32(out, pcrs);
	buf_add(out, bytes, len);
	return out->failed ? ERR_NOMEM : 0;
}

static int
read_blob(struct sealed *out, const void *blob, size_t len)
{
	const uint8_t *bytes = blob;
	size_t at = 5;

	memset(out, 0, sizeof(*out));
	if (len < at || len > BLOB_MAX || bytes[0] != FORMAT)
		return ERR_CORRUPT;
	out->pcrs = be32_read(bytes + 1);
	if ((out->pcrs & ~PCRS_ALL) != 0 ||
	    Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes, len, &at,
		&out->public_half) != TSS2_RC_SUCCESS ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(bytes, len, &at,
		&out->private_half) != TSS2_RC_SUCCESS ||
	    at != len)
		return ERR_CORRUPT;
	return 0;
}

/* --- sealing -------------------------------------------------------------- */

static int
describe(TPM2B_PUBLIC *out, struct tpm_identity *tpm, uint32_t pcrs)
{
	TPMT_PUBLIC *area = &out->publicArea;

	*out = (TPM2B_PUBLIC){ 0 };
	area->type = TPM2_ALG_KEYEDHASH;
	area->nameAlg = TPM2_ALG_SHA256;
	area->objectAttributes =
	    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA;
	area->parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
	if (pcrs != 0)
		return pcr_policy(tpm, &area->authPolicy, pcrs);
	area->objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	return 0;
}

int
tpm_seal(struct buf *blob, struct tpm_identity *tpm, const void *secret,
    size_t len, uint32_t pcrs)
{
	static const TPM2B_DATA no_data = { 0 };
	static const TPML_PCR_SELECTION no_pcrs = { 0 };
	TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	TPM2B_PUBLIC template, *public_half = NULL;
	TPM2B_PRIVATE *private_half = NULL;
	ESYS_TR ek, session;

	if (len == 0 || len > IDENTITY_SEAL_MAX || (pcrs & ~PCRS_ALL) != 0)
		return ERR_BAD_REQUEST;
	int err = describe(&template, tpm, pcrs);

	if (err == 0)
		err = tpm_ek_session(tpm, &session, TPMA_SESSION_DECRYPT);
	if (err != 0)
		return err;
	err = tpm_ek_load(tpm, &ek);
	if (err == 0) {
		sensitive.sensitive.data.size = (uint16_t)len;
		memcpy(sensitive.sensitive.data.buffer, secret, len);
		TSS2_RC rc = Esys_Create(tpm->link.esys, ek, session,
		    ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template, &no_data,
		    &no_pcrs, &private_half, &public_half, NULL, NULL, NULL);

		sodium_memzero(&sensitive, sizeof(sensitive));
		if (rc != TSS2_RC_SUCCESS)
			err = tpm_link_failed(&tpm->link, rc, "seal");
	}
	tpm_ek_release(tpm, &ek);
	tpm_flush(tpm, &session);
	if (err == 0)
		err = write_blob(blob, pcrs, public_half, private_half);
	Esys_Free(public_half);
	Esys_Free(private_half);
	return err;
}

/* --- unsealing ------------------------------------------------------------ */

static int
load_sealed(struct tpm_identity *tpm, ESYS_TR *object,
    const struct sealed *sealed)
{
	ESYS_TR ek, session;
	int err = tpm_ek_session(tpm, &session, 0);

	*object = ESYS_TR_NONE;
	if (err != 0)
		return err;
	err = tpm_ek_load(tpm, &ek);
	if (err == 0) {
		TSS2_RC rc = Esys_Load(tpm->link.esys, ek, session,
		    ESYS_TR_NONE, ESYS_TR_NONE, &sealed->private_half,
		    &sealed->public_half, object);

		if (rc != TSS2_RC_SUCCESS) {
			*object = ESYS_TR_NONE;
			err = tpm_link_failed(&tpm->link, rc,
			    "load what is sealed");
		}
	}
	tpm_ek_release(tpm, &ek);
	tpm_flush(tpm, &session);
	return err;
}

static int
open_session(struct tpm_identity *tpm, ESYS_TR *session, uint32_t pcrs)
{
	TPM2_SE type = pcrs != 0 ? TPM2_SE_POLICY : TPM2_SE_HMAC;
	int err = tpm_session(tpm, session, type, TPMA_SESSION_ENCRYPT);

	if (err == 0 && pcrs != 0) {
		err = ask_pcrs(tpm, *session, pcrs);
		if (err != 0)
			tpm_flush(tpm, session);
	}
	return err;
}

static int
take_secret(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    TPM2B_SENSITIVE_DATA *opened)
{
	bool fits = opened->size <= IDENTITY_SEAL_MAX;

	if (fits) {
		memcpy(secret, opened->buffer, opened->size);
		*len = opened->size;
	}
	sodium_memzero(opened, sizeof(*opened));
	Esys_Free(opened);
	return fits ? 0 : ERR_CORRUPT;
}

int
tpm_unseal(uint8_t secret[IDENTITY_SEAL_MAX], size_t *len,
    struct tpm_identity *tpm, const void *blob, size_t blob_len)
{
	TPM2B_SENSITIVE_DATA *opened = NULL;
	struct sealed sealed;
	ESYS_TR object, session;
	int err = read_blob(&sealed, blob, blob_len);

	if (err != 0) {
		log_error("proof", "what is to be unsealed is damaged");
		return err;
	}
	err = load_sealed(tpm, &object, &sealed);
	if (err == 0)
		err = open_session(tpm, &session, sealed.pcrs);
	if (err != 0) {
		tpm_flush(tpm, &object);
		return err;
	}
	TSS2_RC rc = Esys_Unseal(tpm->link.esys, object, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &opened);

	tpm_flush(tpm, &object);
	tpm_flush(tpm, &session);
	if (rc == TSS2_RC_SUCCESS)
		return take_secret(secret, len, opened);
	if (tpm_rc_is(rc, TPM2_RC_POLICY_FAIL)) {
		log_error("proof",
		    "the TPM at %s unseals nothing: the machine was started "
		    "otherwise than when it was sealed (its PCRs changed)",
		    tpm->link.tcti);
		return ERR_FORBIDDEN;
	}
	return tpm_link_failed(&tpm->link, rc, "unseal");
}
