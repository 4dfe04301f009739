/* What a TPM does once: show its certificate, answer the site's challenge; see
 * tpm_private.h. */
#include "shared/proof/tpm_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/template.h"

#include <sodium.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* TCG EK Credential Profile, 2.2.1.4. */
#define CERTIFICATE_RSA 0x01c00002u
#define CERTIFICATE_P256 0x01c0000au

/* --- certificate ---------------------------------------------------------- */

/* Makers fill the index up with zeros or ones behind the certificate: how long
 * is the outermost SEQUENCE? 0: it is none. */
static size_t
der_length(const uint8_t *data, size_t len)
{
	size_t whole = 0;

	if (len < 4 || data[0] != 0x30)
		return 0;
	if (data[1] == 0x82)
		whole = 4 + ((size_t)data[2] << 8 | data[3]);
	else if (data[1] == 0x81)
		whole = 3 + (size_t)data[2];
	return whole <= len ? whole : 0;
}

static TSS2_RC
read_part(struct tpm_identity *tpm, struct buf *out, ESYS_TR index,
    ESYS_TR reader, size_t size)
{
	size_t left = size - out->len;
	TPM2B_MAX_NV_BUFFER *data = NULL;

	if (left > tpm->link.nv_buffer_bytes)
		left = tpm->link.nv_buffer_bytes;
	TSS2_RC rc = Esys_NV_Read(tpm->link.esys, reader, index,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, (uint16_t)left,
	    (uint16_t)out->len, &data);

	if (rc != TSS2_RC_SUCCESS)
		return rc;
	if (data->size != left)
		rc = TSS2_BASE_RC_MALFORMED_RESPONSE | TSS2_TCTI_RC_LAYER;
	buf_add(out, data->buffer, data->size);
	Esys_Free(data);
	return rc;
}

static TSS2_RC
read_index(struct buf *out, struct tpm_identity *tpm, ESYS_TR index)
{
	TPM2B_NV_PUBLIC *found = NULL;
	TSS2_RC rc = Esys_NV_ReadPublic(tpm->link.esys, index, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &found, NULL);

	if (rc != TSS2_RC_SUCCESS)
		return rc;
	size_t size = found->nvPublic.dataSize;
	ESYS_TR reader = (found->nvPublic.attributes & TPMA_NV_AUTHREAD) != 0
	    ? index
	    : ESYS_TR_RH_OWNER;

	Esys_Free(found);
	if (size > PROOF_CERTIFICATE_MAX)
		size = 0; /* no certificate is as large */
	while (rc == TSS2_RC_SUCCESS && out->len < size && !out->failed)
		rc = read_part(tpm, out, index, reader, size);
	return rc;
}

int
tpm_certificate_read(struct buf *out, struct tpm_identity *tpm)
{
	TPM2_HANDLE handle = tpm->store->ek_len == TEMPLATE_EK_RSA_BYTES
	    ? CERTIFICATE_RSA
	    : CERTIFICATE_P256;
	ESYS_TR index = ESYS_TR_NONE;
	TSS2_RC rc = Esys_TR_FromTPMPublic(tpm->link.esys, handle, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, &index);

	if (tpm_rc_is(rc, TPM2_RC_HANDLE))
		return 0; /* has none */
	if (rc == TSS2_RC_SUCCESS)
		rc = read_index(out, tpm, index);
	if (index != ESYS_TR_NONE)
		(void)Esys_TR_Close(tpm->link.esys, &index);
	if (rc != TSS2_RC_SUCCESS) {
		int err = tpm_link_failed(&tpm->link, rc,
		    "read the endorsement key's certificate");

		/* Without it the device is of a lesser class, but it is. */
		buf_clear(out);
		return tpm->link.lost ? err : 0;
	}
	out->len = der_length(out->data, out->len);
	if (out->len == 0)
		log_warn("proof",
		    "the TPM at %s keeps no certificate where one should be "
		    "(0x%x)",
		    tpm->link.tcti, handle);
	return out->failed ? ERR_NOMEM : 0;
}

/* --- challenge ------------------------------------------------------------ */

static int
read_challenge(TPM2B_ID_OBJECT *credential, TPM2B_ENCRYPTED_SECRET *seed,
    const struct proof_challenge *challenge)
{
	if (challenge->credential.len > sizeof(credential->credential) ||
	    challenge->seed.len > sizeof(seed->secret))
		return ERR_BAD_PROOF;
	credential->size = (uint16_t)challenge->credential.len;
	memcpy(credential->credential, challenge->credential.data,
	    challenge->credential.len);
	seed->size = (uint16_t)challenge->seed.len;
	memcpy(seed->secret, challenge->seed.data, challenge->seed.len);
	return 0;
}

/* With the session begun. */
static int
activate(uint8_t secret[PROOF_SECRET_BYTES], struct tpm_identity *tpm,
    ESYS_TR session, const TPM2B_ID_OBJECT *credential,
    const TPM2B_ENCRYPTED_SECRET *seed)
{
	TPM2B_DIGEST *opened = NULL;
	ESYS_TR ek = ESYS_TR_NONE, ak;
	int err = tpm_ak_load(tpm, &ak);

	if (err == 0)
		err = tpm_ek_load(tpm, &ek);
	if (err < 0) {
		tpm_flush(tpm, &ak);
		return err;
	}
	TSS2_RC rc = Esys_ActivateCredential(tpm->link.esys, ak, ek,
	    ESYS_TR_PASSWORD, session, ESYS_TR_NONE, credential, seed, &opened);

	tpm_flush(tpm, &ak);
	tpm_ek_release(tpm, &ek);
	if (tpm_rc_is_of_parameter(rc)) {
		log_error("proof",
		    "the site's challenge is not for the TPM at %s",
		    tpm->link.tcti);
		return ERR_BAD_PROOF;
	}
	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_failed(&tpm->link, rc,
		    "answer the site's challenge");
	if (opened->size == PROOF_SECRET_BYTES)
		memcpy(secret, opened->buffer, PROOF_SECRET_BYTES);
	else
		err = ERR_BAD_PROOF;
	sodium_memzero(opened, sizeof(*opened));
	Esys_Free(opened);
	return err;
}

int
tpm_activate(uint8_t secret[PROOF_SECRET_BYTES], struct tpm_identity *tpm,
    const struct proof_challenge *challenge)
{
	TPM2B_ID_OBJECT credential;
	TPM2B_ENCRYPTED_SECRET seed;
	ESYS_TR session;
	int err = read_challenge(&credential, &seed, challenge);

	if (err == 0)
		err = tpm_ek_session(tpm, &session, TPMA_SESSION_ENCRYPT);
	if (err < 0)
		return err;
	err = activate(secret, tpm, session, &credential, &seed);
	tpm_flush(tpm, &session);
	return err;
}
