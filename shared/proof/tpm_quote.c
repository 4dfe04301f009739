/* TPM2_Quote; see quote.h. As with the counter (tpm_certify.c) what the TPM
 * states is written again from the templates here, and must be the same. */
#include "shared/proof/quote.h"
#include "shared/proof/tpm_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/template.h"

#include <string.h>

/* PCRs change while the machine starts: so often it is tried. */
#define TRIES 3

void
tpm_select_pcrs(TPML_PCR_SELECTION *out, uint32_t pcrs)
{
	*out = (TPML_PCR_SELECTION){ .count = 1 };
	out->pcrSelections[0].hash = TPM2_ALG_SHA256;
	out->pcrSelections[0].sizeofSelect = 3;
	for (int i = 0; i < 3; i++)
		out->pcrSelections[0].pcrSelect[i] = (uint8_t)(pcrs >> 8 * i);
}

/* One call gives up to eight: one each is simple, and no faster matters. */
static int
read_pcr(uint8_t out[QUOTE_PCR_BYTES], struct tpm_identity *tpm, uint32_t pcr)
{
	TPML_PCR_SELECTION wanted, *given = NULL;
	TPML_DIGEST *values = NULL;

	tpm_select_pcrs(&wanted, UINT32_C(1) << pcr);
	TSS2_RC rc = Esys_PCR_Read(tpm->link.esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &wanted, NULL, &given, &values);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_failed(&tpm->link, rc, "read its PCRs");
	bool there =
	    values->count == 1 && values->digests[0].size == QUOTE_PCR_BYTES;

	if (there)
		memcpy(out, values->digests[0].buffer, QUOTE_PCR_BYTES);
	Esys_Free(given);
	Esys_Free(values);
	if (there)
		return 0;
	log_error("proof", "the TPM at %s keeps no SHA-256 PCRs",
	    tpm->link.tcti);
	return ERR_UNAVAILABLE;
}

/* ERR_BUSY: it states something else than what was read. */
static int
take_statement(struct quote *quote, struct tpm_identity *tpm,
    const uint8_t qualifying[32], const TPM2B_ATTEST *attest)
{
	uint8_t want[TEMPLATE_QUOTE_BYTES];
	struct tpm_stated stated;
	int err = tpm_read_stated(&stated, tpm, attest, sizeof(want));

	if (err != 0)
		return err;
	quote->clock_ms = stated.clock.clock_ms;
	quote->resets = stated.clock.resets;
	quote->restarts = stated.clock.restarts;
	quote->clock_unsafe = stated.clock.clock_unsafe;
	memcpy(quote->firmware, stated.firmware, sizeof(quote->firmware));
	template_quote(want, quote, &stated.key, qualifying);
	return memcmp(attest->attestationData, want, sizeof(want)) == 0
	    ? 0
	    : ERR_BUSY;
}

/* With the AK loaded and the session begun. */
static int
ask_once(struct quote *quote, struct tpm_identity *tpm,
    const uint8_t qualifying[32], ESYS_TR ak, ESYS_TR session)
{
	static const TPMT_SIG_SCHEME own_scheme = { .scheme = TPM2_ALG_NULL };
	TPM2B_DATA nonce = { .size = 32 };
	TPML_PCR_SELECTION wanted;
	TPM2B_ATTEST *attest = NULL;
	TPMT_SIGNATURE *signature = NULL;
	int err = 0;

	memset(quote, 0, sizeof(*quote));
	for (uint32_t i = 0; i < QUOTE_PCRS && err == 0; i++)
		err = read_pcr(quote->pcrs + i * QUOTE_PCR_BYTES, tpm,
		    quote_pcr(i));
	if (err != 0)
		return err;
	memcpy(nonce.buffer, qualifying, 32);
	tpm_select_pcrs(&wanted, QUOTE_MASK);
	TSS2_RC rc = Esys_Quote(tpm->link.esys, ak, session, ESYS_TR_NONE,
	    ESYS_TR_NONE, &nonce, &own_scheme, &wanted, &attest, &signature);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_failed(&tpm->link, rc, "quote its PCRs");
	err = take_statement(quote, tpm, qualifying, attest);
	if (err == 0 && !tpm_take_signature(quote->signature, signature))
		err = ERR_MISMATCH;
	Esys_Free(attest);
	Esys_Free(signature);
	return err;
}

int
tpm_quote(struct quote *quote, struct tpm_identity *tpm,
    const uint8_t qualifying[32])
{
	ESYS_TR session, ak;
	int err = tpm_session(tpm, &session, TPM2_SE_HMAC, 0);

	if (err < 0)
		return err;
	err = tpm_ak_load(tpm, &ak);
	if (err == 0) {
		err = ERR_BUSY;
		for (int i = 0; i < TRIES && err == ERR_BUSY; i++)
			err = ask_once(quote, tpm, qualifying, ak, session);
	}
	if (err == ERR_BUSY)
		log_warn("proof",
		    "the PCRs of the TPM at %s do not stand still",
		    tpm->link.tcti);
	tpm_flush(tpm, &ak);
	tpm_flush(tpm, &session);
	return err;
}
