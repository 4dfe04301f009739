/* The endorsement key (EK), the attestation key (AK) below it, and sessions;
 * see tpm_private.h. */
#include "shared/proof/tpm_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/template.h"

#include <sodium.h>
#include <string.h>
#include <tss2/tss2_mu.h>

/* Where the TCG's Provisioning Guidance puts an EK that was made persistent. */
#define EK_HANDLE_RSA 0x81010001u
#define EK_HANDLE_P256 0x81010016u

/* Coordinates without leading zeros, of TPMs that write them so, fit no
 * template: one key in 128. */
#define AK_TRIES 4

static const char endorsement_words[] =
    "the endorsement hierarchy has a password, and an identity needs it to "
    "have none";

int
tpm_public_read(TPM2B_PUBLIC *out, const uint8_t *bytes, size_t len)
{
	size_t offset = 0;

	memset(out, 0, sizeof(*out));
	if (Tss2_MU_TPMT_PUBLIC_Unmarshal(bytes, len, &offset,
		&out->publicArea) != TSS2_RC_SUCCESS ||
	    offset != len)
		return ERR_CORRUPT;
	return 0;
}

void
tpm_flush(struct tpm_identity *tpm, ESYS_TR *object)
{
	/* What the library only names is closed; what it loaded, flushed. */
	if (*object != ESYS_TR_NONE &&
	    Esys_FlushContext(tpm->link.esys, *object) != TSS2_RC_SUCCESS)
		(void)Esys_TR_Close(tpm->link.esys, object);
	*object = ESYS_TR_NONE;
}

/* --- saved contexts ------------------------------------------------------- */

void
tpm_keys_forget(struct tpm_identity *tpm)
{
	Esys_Free(tpm->ek_context);
	Esys_Free(tpm->ak_context);
	tpm->ek_context = tpm->ak_context = NULL;
	tpm->ek_handle = 0;
}

/* Save and flush. */
static int
put_away(struct tpm_identity *tpm, TPMS_CONTEXT **context, ESYS_TR *object,
    const char *what)
{
	TSS2_RC rc = Esys_ContextSave(tpm->link.esys, *object, context);

	tpm_flush(tpm, object);
	return rc == TSS2_RC_SUCCESS ? 0
				     : tpm_link_failed(&tpm->link, rc, what);
}

static int
bring_back(struct tpm_identity *tpm, ESYS_TR *object,
    const TPMS_CONTEXT *context, const char *what)
{
	TSS2_RC rc = Esys_ContextLoad(tpm->link.esys, context, object);

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	*object = ESYS_TR_NONE;
	/* A TPM that began anew knows no contexts of before. */
	if (!tpm->link.again &&
	    (tpm_rc_is(rc, TPM2_RC_INTEGRITY) ||
		tpm_rc_is(rc, TPM2_RC_HANDLE))) {
		tpm->link.lost = true;
		return ERR_UNAVAILABLE;
	}
	return tpm_link_failed(&tpm->link, rc, what);
}

/* --- EK ------------------------------------------------------------------- */

/* The key of an EK: what differs from the template; false when more does. */
static bool
take_ek_key(uint8_t key[PROOF_EK_MAX], size_t len, const TPM2B_PUBLIC *found)
{
	uint8_t want[TEMPLATE_PUBLIC_MAX], have[sizeof(TPMT_PUBLIC)];
	size_t have_len = 0;
	const TPMU_PUBLIC_ID *unique = &found->publicArea.unique;

	if (len == TEMPLATE_EK_RSA_BYTES) {
		if (found->publicArea.type != TPM2_ALG_RSA ||
		    unique->rsa.size != len)
			return false;
		memcpy(key, unique->rsa.buffer, len);
	} else {
		if (found->publicArea.type != TPM2_ALG_ECC ||
		    unique->ecc.x.size != 32 || unique->ecc.y.size != 32)
			return false;
		memcpy(key, unique->ecc.x.buffer, 32);
		memcpy(key + 32, unique->ecc.y.buffer, 32);
	}
	size_t want_len = template_ek_public(want, key, len);

	return Tss2_MU_TPMT_PUBLIC_Marshal(&found->publicArea, have,
		   sizeof(have), &have_len) == TSS2_RC_SUCCESS &&
	    have_len == want_len && memcmp(have, want, want_len) == 0;
}

/* Is it the identity's? A new identity takes what it finds. */
static int
take_ek(struct tpm_identity *tpm, const TPM2B_PUBLIC *found, bool fresh)
{
	uint8_t key[PROOF_EK_MAX];
	struct tpm_store *store = tpm->store;

	if (!take_ek_key(key, store->ek_len, found))
		return ERR_CORRUPT;
	if (fresh)
		memcpy(store->ek, key, store->ek_len);
	else if (memcmp(store->ek, key, store->ek_len) != 0)
		return ERR_MISMATCH;
	return 0;
}

/* An EK that was made persistent saves the seconds that a chip needs to make
 * an RSA key. Anybody may put a key there: it counts only with the qualified
 * Name of an EK in the endorsement hierarchy. */
static bool
find_persistent(struct tpm_identity *tpm, bool fresh)
{
	ESYS_CONTEXT *esys = tpm->link.esys;
	TPM2_HANDLE handle = tpm->store->ek_len == TEMPLATE_EK_RSA_BYTES
	    ? EK_HANDLE_RSA
	    : EK_HANDLE_P256;
	uint8_t ek_public[TEMPLATE_PUBLIC_MAX], qualified[32];
	TPM2B_PUBLIC *found = NULL;
	TPM2B_NAME *name = NULL;
	ESYS_TR ek = ESYS_TR_NONE;
	bool fits = false;

	if (Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, &ek) != TSS2_RC_SUCCESS)
		return false;
	if (Esys_ReadPublic(esys, ek, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		&found, NULL, &name) == TSS2_RC_SUCCESS) {
		struct tpm_store *store = tpm->store;

		fits = take_ek(tpm, found, fresh) == 0;
		size_t len =
		    template_ek_public(ek_public, store->ek, store->ek_len);

		template_ek_qualified(qualified, ek_public, len);
		fits = fits && name->size == TEMPLATE_NAME_BYTES &&
		    memcmp(name->name + 2, qualified, 32) == 0;
	}
	Esys_Free(found);
	Esys_Free(name);
	(void)Esys_TR_Close(esys, &ek);
	if (fits)
		tpm->ek_handle = handle;
	return fits;
}

static int
make_ek(struct tpm_identity *tpm, ESYS_TR *ek, TPM2B_PUBLIC **made)
{
	static const TPM2B_SENSITIVE_CREATE no_secret = { 0 };
	static const TPM2B_DATA no_data = { 0 };
	static const TPML_PCR_SELECTION no_pcrs = { 0 };
	uint8_t bytes[TEMPLATE_PUBLIC_MAX];
	TPM2B_PUBLIC template;
	size_t len = template_ek_public(bytes, NULL, tpm->store->ek_len);
	int err = tpm_public_read(&template, bytes, len);

	if (err < 0)
		return err;
	TSS2_RC rc = Esys_CreatePrimary(tpm->link.esys, ESYS_TR_RH_ENDORSEMENT,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_secret, &template,
	    &no_data, &no_pcrs, ek, made, NULL, NULL, NULL);

	return rc == TSS2_RC_SUCCESS
	    ? 0
	    : tpm_link_refused(&tpm->link, rc, "make the endorsement key",
		  endorsement_words, ERR_UNAVAILABLE);
}

static int
find_transient(struct tpm_identity *tpm, bool fresh)
{
	TPM2B_PUBLIC *made = NULL;
	ESYS_TR ek = ESYS_TR_NONE;
	int err = make_ek(tpm, &ek, &made);

	if (err < 0)
		return err;
	err = take_ek(tpm, made, fresh);
	Esys_Free(made);
	if (err == ERR_CORRUPT)
		log_error("proof",
		    "the TPM at %s makes endorsement keys that are not of the "
		    "TCG's template",
		    tpm->link.tcti);
	else if (err == ERR_MISMATCH)
		log_error("proof",
		    "the TPM at %s is not the one that this device enrolled "
		    "with (%s): enroll it anew, with a new folder",
		    tpm->link.tcti, tpm->folder);
	if (err < 0) {
		tpm_flush(tpm, &ek);
		return err;
	}
	return put_away(tpm, &tpm->ek_context, &ek, "save the endorsement key");
}

int
tpm_keys_find_ek(struct tpm_identity *tpm, bool fresh)
{
	if (tpm->ek_handle != 0 || tpm->ek_context != NULL)
		return 0;
	return find_persistent(tpm, fresh) ? 0 : find_transient(tpm, fresh);
}

/* Somebody may have put another key there since. */
static int
name_persistent(struct tpm_identity *tpm, ESYS_TR *ek)
{
	ESYS_CONTEXT *esys = tpm->link.esys;
	uint8_t bytes[TEMPLATE_PUBLIC_MAX], want[TEMPLATE_NAME_BYTES];
	TPM2B_NAME *name = NULL;
	TSS2_RC rc = Esys_TR_FromTPMPublic(esys, tpm->ek_handle, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, ek);

	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TR_GetName(esys, *ek, &name);
	template_name(want, bytes,
	    template_ek_public(bytes, tpm->store->ek, tpm->store->ek_len));
	bool same = rc == TSS2_RC_SUCCESS && name->size == sizeof(want) &&
	    memcmp(name->name, want, sizeof(want)) == 0;

	Esys_Free(name);
	if (same)
		return 0;
	if (*ek != ESYS_TR_NONE)
		(void)Esys_TR_Close(esys, ek);
	*ek = ESYS_TR_NONE;
	if (!tpm->link.again) {
		tpm->link.lost = true;
		return ERR_UNAVAILABLE;
	}
	return rc == TSS2_RC_SUCCESS
	    ? ERR_MISMATCH
	    : tpm_link_failed(&tpm->link, rc, "find the endorsement key");
}

int
tpm_ek_load(struct tpm_identity *tpm, ESYS_TR *ek)
{
	*ek = ESYS_TR_NONE;
	int err = tpm_keys_find_ek(tpm, false);

	if (err < 0)
		return err;
	return tpm->ek_handle != 0
	    ? name_persistent(tpm, ek)
	    : bring_back(tpm, ek, tpm->ek_context, "load the endorsement key");
}

/* --- sessions ------------------------------------------------------------- */

/* A persistent EK is only named by the library: there is nothing to flush. */
void
tpm_ek_release(struct tpm_identity *tpm, ESYS_TR *ek)
{
	if (tpm->ek_handle != 0 && *ek != ESYS_TR_NONE)
		(void)Esys_TR_Close(tpm->link.esys, ek);
	else
		tpm_flush(tpm, ek);
	*ek = ESYS_TR_NONE;
}

int
tpm_session(struct tpm_identity *tpm, ESYS_TR *session, TPM2_SE type,
    TPMA_SESSION more)
{
	static const TPMT_SYM_DEF symmetric = {
		.algorithm = TPM2_ALG_AES,
		.keyBits = { .aes = 128 },
		.mode = { .aes = TPM2_ALG_CFB },
	};
	ESYS_TR ek;
	int err = tpm_ek_load(tpm, &ek);

	*session = ESYS_TR_NONE;
	if (err < 0)
		return err;
	TSS2_RC rc = Esys_StartAuthSession(tpm->link.esys, ek, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, type, &symmetric,
	    TPM2_ALG_SHA256, session);

	tpm_ek_release(tpm, &ek);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_TRSess_SetAttributes(tpm->link.esys, *session,
		    more | TPMA_SESSION_CONTINUESESSION, 0xff);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	tpm_flush(tpm, session);
	return tpm_link_failed(&tpm->link, rc, "start a session");
}

int
tpm_ek_session(struct tpm_identity *tpm, ESYS_TR *session, TPMA_SESSION more)
{
	int err = tpm_session(tpm, session, TPM2_SE_POLICY, more);

	if (err < 0)
		return err;
	TSS2_RC rc = Esys_PolicySecret(tpm->link.esys, ESYS_TR_RH_ENDORSEMENT,
	    *session, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL,
	    NULL, 0, NULL, NULL);

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	tpm_flush(tpm, session);
	return tpm_link_refused(&tpm->link, rc, "use the endorsement key",
	    endorsement_words, ERR_UNAVAILABLE);
}

/* --- AK ------------------------------------------------------------------- */

/* The session is begun before the EK is loaded: it needs the EK itself for a
 * moment, and the library knows a persistent one by one name at a time. */
static int
create_ak(struct tpm_identity *tpm, TPM2B_PRIVATE **private_half,
    TPM2B_PUBLIC **public_half)
{
	static const TPM2B_SENSITIVE_CREATE no_secret = { 0 };
	static const TPM2B_DATA no_data = { 0 };
	static const TPML_PCR_SELECTION no_pcrs = { 0 };
	uint8_t bytes[TEMPLATE_PUBLIC_MAX];
	TPM2B_PUBLIC template;
	ESYS_TR session, ek;
	size_t len = template_ak_public(bytes, NULL, NULL);
	int err = tpm_public_read(&template, bytes, len);

	if (err == 0)
		err = tpm_ek_session(tpm, &session, TPMA_SESSION_DECRYPT);
	if (err < 0)
		return err;
	err = tpm_ek_load(tpm, &ek);
	if (err == 0) {
		TSS2_RC rc = Esys_Create(tpm->link.esys, ek, session,
		    ESYS_TR_NONE, ESYS_TR_NONE, &no_secret, &template, &no_data,
		    &no_pcrs, private_half, public_half, NULL, NULL, NULL);

		if (rc != TSS2_RC_SUCCESS)
			err = tpm_link_failed(&tpm->link, rc,
			    "make the device's key");
	}
	tpm_ek_release(tpm, &ek);
	tpm_flush(tpm, &session);
	return err;
}

/* False: not of the template's size. */
static bool
take_ak(struct tpm_store *store, const TPM2B_PRIVATE *private_half,
    const TPM2B_PUBLIC *public_half)
{
	const TPMS_ECC_POINT *point = &public_half->publicArea.unique.ecc;

	if (point->x.size != 32 || point->y.size != 32 ||
	    private_half->size > TPM_PRIVATE_MAX)
		return false;
	memcpy(store->ak, point->x.buffer, 32);
	memcpy(store->ak + 32, point->y.buffer, 32);
	memcpy(store->ak_private, private_half->buffer, private_half->size);
	store->ak_private_len = private_half->size;
	return true;
}

int
tpm_keys_make_ak(struct tpm_identity *tpm)
{
	bool taken = false;
	int err = 0;

	for (int i = 0; i < AK_TRIES && err == 0 && !taken; i++) {
		TPM2B_PRIVATE *private_half = NULL;
		TPM2B_PUBLIC *public_half = NULL;

		err = create_ak(tpm, &private_half, &public_half);
		if (err == 0)
			taken = take_ak(tpm->store, private_half, public_half);
		Esys_Free(private_half);
		Esys_Free(public_half);
	}
	if (err < 0 || taken)
		return err;
	log_error("proof", "the TPM at %s makes no keys of the form wanted",
	    tpm->link.tcti);
	return ERR_UNAVAILABLE;
}

/* Unwrap it below the EK. */
static int
load_wrapped(struct tpm_identity *tpm, ESYS_TR *ak)
{
	const struct tpm_store *store = tpm->store;
	TPM2B_PRIVATE private_half = {
		.size = (uint16_t)store->ak_private_len,
	};
	uint8_t bytes[TEMPLATE_PUBLIC_MAX];
	TPM2B_PUBLIC public_half;
	ESYS_TR session, ek;
	size_t len = template_ak_public(bytes, store->ak, store->ak + 32);
	int err = tpm_public_read(&public_half, bytes, len);

	if (err == 0)
		err = tpm_ek_session(tpm, &session, 0);
	if (err < 0)
		return err;
	err = tpm_ek_load(tpm, &ek);
	if (err == 0) {
		memcpy(private_half.buffer, store->ak_private,
		    store->ak_private_len);
		TSS2_RC rc =
		    Esys_Load(tpm->link.esys, ek, session, ESYS_TR_NONE,
			ESYS_TR_NONE, &private_half, &public_half, ak);

		if (rc != TSS2_RC_SUCCESS) {
			*ak = ESYS_TR_NONE;
			err = tpm_link_failed(&tpm->link, rc,
			    "load the device's key");
		}
	}
	tpm_ek_release(tpm, &ek);
	tpm_flush(tpm, &session);
	return err;
}

int
tpm_ak_load(struct tpm_identity *tpm, ESYS_TR *ak)
{
	*ak = ESYS_TR_NONE;
	if (tpm->ak_context == NULL) {
		ESYS_TR loaded;
		int err = load_wrapped(tpm, &loaded);

		if (err == 0)
			err = put_away(tpm, &tpm->ak_context, &loaded,
			    "save the device's key");
		if (err < 0)
			return err;
	}
	return bring_back(tpm, ak, tpm->ak_context, "load the device's key");
}
