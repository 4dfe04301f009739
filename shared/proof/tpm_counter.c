/* A site's counter in the TPM; see tpm_private.h. TPMs promise that a counter
 * never shows a number twice: one that is removed and defined again begins
 * above every counter that the TPM ever had (part 1, 37.2.4). */
#include "shared/proof/tpm_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/template.h"

#include <sodium.h>
#include <string.h>
#include <tss2/tss2_mu.h>

static const char owner_words[] =
    "the TPM's owner has set a password: say it in the setting for it";
static const char counter_words[] =
    "the counter there is not this identity's: somebody removed it and made "
    "another; enroll the device anew";

/* --- what stands at an index ---------------------------------------------- */

enum index_state { INDEX_FREE, INDEX_NEW, INDEX_COUNTS, INDEX_FOREIGN };

static enum index_state
judge_public(const TPM2B_NV_PUBLIC *found, uint32_t index)
{
	uint8_t have[sizeof(TPMS_NV_PUBLIC)], want[TEMPLATE_COUNTER_BYTES];
	size_t len = 0;

	if (Tss2_MU_TPMS_NV_PUBLIC_Marshal(&found->nvPublic, have, sizeof(have),
		&len) != TSS2_RC_SUCCESS ||
	    len != sizeof(want))
		return INDEX_FOREIGN;
	template_counter_public(want, index, true);
	if (memcmp(have, want, len) == 0)
		return INDEX_COUNTS;
	template_counter_public(want, index, false);
	return memcmp(have, want, len) == 0 ? INDEX_NEW : INDEX_FOREIGN;
}

/* On 0 with a state other than FREE, `index` is to be closed. */
static int
look_up(struct tpm_identity *tpm, ESYS_TR *index, enum index_state *state,
    const struct tpm_site *site)
{
	ESYS_CONTEXT *esys = tpm->link.esys;
	TPM2B_NV_PUBLIC *found = NULL;

	*state = INDEX_FOREIGN; /* until it is known */
	TSS2_RC rc = Esys_TR_FromTPMPublic(esys, site->index, ESYS_TR_NONE,
	    ESYS_TR_NONE, ESYS_TR_NONE, index);

	if (tpm_rc_is(rc, TPM2_RC_HANDLE)) {
		*index = ESYS_TR_NONE;
		*state = INDEX_FREE;
		return 0;
	}
	if (rc == TSS2_RC_SUCCESS) {
		rc = Esys_NV_ReadPublic(esys, *index, ESYS_TR_NONE,
		    ESYS_TR_NONE, ESYS_TR_NONE, &found, NULL);
		if (rc != TSS2_RC_SUCCESS)
			(void)Esys_TR_Close(esys, index);
	}
	if (rc != TSS2_RC_SUCCESS) {
		*index = ESYS_TR_NONE;
		return tpm_link_failed(&tpm->link, rc, "look for the counter");
	}
	*state = judge_public(found, site->index);
	Esys_Free(found);
	return 0;
}

static int
set_secret(struct tpm_identity *tpm, ESYS_TR index, const struct tpm_site *site)
{
	TPM2B_AUTH auth = { .size = sizeof(site->secret) };

	memcpy(auth.buffer, site->secret, sizeof(site->secret));
	TSS2_RC rc = Esys_TR_SetAuth(tpm->link.esys, index, &auth);

	sodium_memzero(&auth, sizeof(auth));
	return rc == TSS2_RC_SUCCESS
	    ? 0
	    : tpm_link_failed(&tpm->link, rc, "use the counter");
}

int
tpm_counter_open(struct tpm_identity *tpm, ESYS_TR *index,
    const struct tpm_site *site)
{
	enum index_state state;
	int err = look_up(tpm, index, &state, site);

	if (err != 0)
		return err;
	if (state != INDEX_COUNTS) {
		log_error("proof",
		    "the TPM at %s %s at 0x%x, where the counter for site %s "
		    "was: enroll the device anew",
		    tpm->link.tcti,
		    state == INDEX_FREE ? "has nothing" : "has something else",
		    site->index, site->site);
		err = ERR_MISMATCH;
	} else {
		err = set_secret(tpm, *index, site);
	}
	if (err < 0 && *index != ESYS_TR_NONE)
		(void)Esys_TR_Close(tpm->link.esys, index);
	return err;
}

/* --- reading and counting ------------------------------------------------- */

/* In a session, so that nobody on the way tells another number. */
static int
read_in_session(uint64_t *value, struct tpm_identity *tpm, ESYS_TR index,
    ESYS_TR session)
{
	TPM2B_MAX_NV_BUFFER *data = NULL;
	uint8_t bytes[8];
	TSS2_RC rc = Esys_NV_Read(tpm->link.esys, index, index, session,
	    ESYS_TR_NONE, ESYS_TR_NONE, sizeof(bytes), 0, &data);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_refused(&tpm->link, rc, "read the counter",
		    counter_words, ERR_MISMATCH);
	bool whole = data->size == sizeof(bytes);

	if (whole)
		*value = be64_read(data->buffer);
	Esys_Free(data);
	return whole ? 0 : ERR_CORRUPT;
}

static int
read_value(uint64_t *value, struct tpm_identity *tpm, ESYS_TR index)
{
	ESYS_TR session;
	int err = tpm_session(tpm, &session, TPM2_SE_HMAC, 0);

	if (err < 0)
		return err;
	err = read_in_session(value, tpm, index, session);
	tpm_flush(tpm, &session);
	return err;
}

/* PolicyAuthValue, then PolicyCommandCode(NV_Increment): the template's. */
static int
count_session(struct tpm_identity *tpm, ESYS_TR *session)
{
	int err = tpm_session(tpm, session, TPM2_SE_POLICY, 0);

	if (err < 0)
		return err;
	TSS2_RC rc = Esys_PolicyAuthValue(tpm->link.esys, *session,
	    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);

	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_PolicyCommandCode(tpm->link.esys, *session,
		    ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		    TPM2_CC_NV_Increment);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	tpm_flush(tpm, session);
	return tpm_link_failed(&tpm->link, rc, "ask to count");
}

static int
count_once(struct tpm_identity *tpm, ESYS_TR index)
{
	ESYS_TR session;
	int err = count_session(tpm, &session);

	if (err < 0)
		return err;
	TSS2_RC rc = Esys_NV_Increment(tpm->link.esys, index, index, session,
	    ESYS_TR_NONE, ESYS_TR_NONE);

	tpm_flush(tpm, &session);
	return rc == TSS2_RC_SUCCESS ? 0
				     : tpm_link_refused(&tpm->link, rc, "count",
					   counter_words, ERR_MISMATCH);
}

int
tpm_counter_read(uint64_t *value, struct tpm_identity *tpm,
    const struct tpm_site *site)
{
	ESYS_TR index;
	int err = tpm_counter_open(tpm, &index, site);

	if (err < 0)
		return err;
	err = read_value(value, tpm, index);
	(void)Esys_TR_Close(tpm->link.esys, &index);
	return err;
}

/* Read first: where a connection broke, nobody knows whether the TPM has
 * counted, and one too many would close what is still borrowed. */
static int
raise_to(uint64_t *value, struct tpm_identity *tpm, ESYS_TR index, uint64_t to)
{
	ESYS_TR session;
	int err = tpm_session(tpm, &session, TPM2_SE_HMAC, 0);

	if (err < 0)
		return err;
	err = read_in_session(value, tpm, index, session);
	if (err == 0 && *value + 1 == to) {
		err = count_once(tpm, index);
		if (err == 0)
			err = read_in_session(value, tpm, index, session);
	}
	tpm_flush(tpm, &session);
	return err;
}

int
tpm_counter_raise(struct tpm_identity *tpm, const struct tpm_site *site,
    uint64_t to)
{
	uint64_t value = 0;
	ESYS_TR index;
	int err = tpm_counter_open(tpm, &index, site);

	if (err < 0)
		return err;
	err = raise_to(&value, tpm, index, to);
	(void)Esys_TR_Close(tpm->link.esys, &index);
	if (err == 0 && value != to) {
		log_warn("proof",
		    "the counter for site %s stands at %llu and cannot become "
		    "%llu",
		    site->site, (unsigned long long)value,
		    (unsigned long long)to);
		err = ERR_CONFLICT;
	}
	return err;
}

/* --- defining ------------------------------------------------------------- */

static int
set_owner_auth(struct tpm_identity *tpm)
{
	TPM2B_AUTH auth = { 0 };

	if (tpm->owner_auth == NULL)
		return 0;
	size_t len = strlen(tpm->owner_auth);

	if (len > sizeof(auth.buffer))
		return ERR_BAD_REQUEST;
	auth.size = (uint16_t)len;
	memcpy(auth.buffer, tpm->owner_auth, len);
	TSS2_RC rc = Esys_TR_SetAuth(tpm->link.esys, ESYS_TR_RH_OWNER, &auth);

	sodium_memzero(&auth, sizeof(auth));
	return rc == TSS2_RC_SUCCESS ? 0 : ERR_SYSTEM;
}

static int
define_index(struct tpm_identity *tpm, ESYS_TR *index,
    const struct tpm_site *site)
{
	uint8_t bytes[TEMPLATE_COUNTER_BYTES];
	TPM2B_AUTH auth = { .size = sizeof(site->secret) };
	TPM2B_NV_PUBLIC public_area = { 0 };
	size_t offset = 0;
	ESYS_TR session;
	int err = set_owner_auth(tpm);

	/* The index's secret is the first parameter: encrypted on its way. */
	if (err == 0)
		err = tpm_session(tpm, &session, TPM2_SE_HMAC,
		    TPMA_SESSION_DECRYPT);
	if (err < 0)
		return err;
	template_counter_public(bytes, site->index, false);
	TSS2_RC rc = Tss2_MU_TPMS_NV_PUBLIC_Unmarshal(bytes, sizeof(bytes),
	    &offset, &public_area.nvPublic);

	memcpy(auth.buffer, site->secret, sizeof(site->secret));
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_NV_DefineSpace(tpm->link.esys, ESYS_TR_RH_OWNER,
		    session, ESYS_TR_NONE, ESYS_TR_NONE, &auth, &public_area,
		    index);
	sodium_memzero(&auth, sizeof(auth));
	tpm_flush(tpm, &session);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	*index = ESYS_TR_NONE;
	if (tpm_rc_is(rc, TPM2_RC_NV_DEFINED))
		return ERR_CONFLICT; /* somebody was faster */
	return tpm_link_refused(&tpm->link, rc, "make a counter", owner_words,
	    ERR_UNAVAILABLE);
}

int
tpm_counter_define(struct tpm_identity *tpm, const struct tpm_site *site,
    bool fresh)
{
	enum index_state state;
	ESYS_TR index;
	int err = look_up(tpm, &index, &state, site);

	if (err != 0)
		return err;
	/* Where the first try broke off, what is there may be its work. */
	if (state == INDEX_FOREIGN ||
	    (fresh && !tpm->link.again && state != INDEX_FREE))
		err = ERR_CONFLICT;
	else if (state == INDEX_FREE)
		err = define_index(tpm, &index, site);
	if (err == 0)
		err = set_secret(tpm, index, site);
	/* Before its first count it has no value, and another Name. */
	if (err == 0 && state != INDEX_COUNTS)
		err = count_once(tpm, index);
	else if (err == 0) {
		uint64_t value;

		err = read_value(&value, tpm, index); /* is it ours? */
	}
	if (index != ESYS_TR_NONE)
		(void)Esys_TR_Close(tpm->link.esys, &index);
	return err == ERR_MISMATCH ? ERR_CONFLICT : err;
}

int
tpm_counter_remove(struct tpm_identity *tpm, const struct tpm_site *site)
{
	enum index_state state;
	ESYS_TR index, session;
	int err = look_up(tpm, &index, &state, site);

	if (err != 0 || state == INDEX_FREE)
		return err;
	if (state == INDEX_FOREIGN) { /* not ours to remove */
		(void)Esys_TR_Close(tpm->link.esys, &index);
		return 0;
	}
	err = set_owner_auth(tpm);
	if (err == 0)
		err = tpm_session(tpm, &session, TPM2_SE_HMAC, 0);
	if (err < 0) {
		(void)Esys_TR_Close(tpm->link.esys, &index);
		return err;
	}
	TSS2_RC rc = Esys_NV_UndefineSpace(tpm->link.esys, ESYS_TR_RH_OWNER,
	    index, session, ESYS_TR_NONE, ESYS_TR_NONE);

	tpm_flush(tpm, &session);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	(void)Esys_TR_Close(tpm->link.esys, &index);
	return tpm_link_refused(&tpm->link, rc, "remove the counter",
	    owner_words, ERR_UNAVAILABLE);
}
