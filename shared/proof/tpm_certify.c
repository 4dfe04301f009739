/* TPM2_NV_Certify and the TPM's clock; see tpm_private.h. What the TPM says is
 * taken apart here, and written again from the templates as the verifier will:
 * where both differ, this is the side that can say why. */
#include "shared/proof/tpm_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/proof/p256.h"
#include "shared/proof/template.h"

#include <string.h>
#include <tss2/tss2_mu.h>

/* Offsets in the statement, whose members have constant sizes. */
#define AT_SIGNER 6
#define AT_NONCE 42
#define AT_CLOCK 76
#define AT_RESETS 84
#define AT_RESTARTS 88
#define AT_SAFE 92
#define AT_FIRMWARE 93
#define AT_NAME 101
#define AT_VALUE 141

/* The TPM's numbers, with leading zeros where it leaves them out. */
static bool
take_number(uint8_t out[32], const TPM2B_ECC_PARAMETER *number)
{
	if (number->size > 32)
		return false;
	memset(out, 0, 32);
	memcpy(out + 32 - number->size, number->buffer, number->size);
	return true;
}

bool
tpm_take_signature(uint8_t out[64], const TPMT_SIGNATURE *signature)
{
	const TPMS_SIGNATURE_ECC *ecc = &signature->signature.ecdsa;

	if (signature->sigAlg != TPM2_ALG_ECDSA ||
	    ecc->hash != TPM2_ALG_SHA256 ||
	    !take_number(out, &ecc->signatureR) ||
	    !take_number(out + 32, &ecc->signatureS))
		return false;
	p256_lower(out + 32);
	return true;
}

static const char *
difference(const uint8_t have[TEMPLATE_ATTEST_BYTES],
    const uint8_t want[TEMPLATE_ATTEST_BYTES])
{
	if (memcmp(have, want, AT_SIGNER) != 0)
		return "it is no statement about an index";
	if (memcmp(have + AT_SIGNER, want + AT_SIGNER, AT_NONCE - AT_SIGNER) !=
	    0)
		return "the key is not the endorsement key's child";
	if (memcmp(have + AT_NONCE, want + AT_NONCE, AT_CLOCK - AT_NONCE) != 0)
		return "it is over another nonce";
	return "the index is no counter as wanted";
}

int
tpm_read_stated(struct tpm_stated *out, struct tpm_identity *tpm,
    const TPM2B_ATTEST *attest, size_t size)
{
	const uint8_t *have = attest->attestationData;
	size_t len = tpm_identity_public(out->public_key, tpm);

	if (attest->size != size ||
	    !template_key_read(&out->key, out->public_key, len)) {
		log_error("proof",
		    "the TPM at %s states something else than asked",
		    tpm->link.tcti);
		return ERR_MISMATCH;
	}
	out->clock = (struct identity_clock){
		.clock_ms = be64_read(have + AT_CLOCK),
		.resets = be32_read(have + AT_RESETS),
		.restarts = be32_read(have + AT_RESTARTS),
		.clock_unsafe = have[AT_SAFE] == 0,
	};
	memcpy(out->firmware, have + AT_FIRMWARE, sizeof(out->firmware));
	return 0;
}

/* The statement's numbers, and whether they are all that it says. */
static int
take_statement(struct proof *proof, struct tpm_identity *tpm,
    const struct tpm_site *site, const uint8_t qualifying[32],
    const TPM2B_ATTEST *attest)
{
	const uint8_t *have = attest->attestationData;
	uint8_t want[TEMPLATE_ATTEST_BYTES];
	struct tpm_stated stated;
	int err = tpm_read_stated(&stated, tpm, attest, sizeof(want));

	if (err != 0)
		return err;
	proof->class_ = PROOF_TPM;
	proof->clock_ms = stated.clock.clock_ms;
	proof->resets = stated.clock.resets;
	proof->restarts = stated.clock.restarts;
	proof->clock_unsafe = stated.clock.clock_unsafe;
	memcpy(proof->firmware, stated.firmware, sizeof(proof->firmware));
	proof->counter = be64_read(have + AT_VALUE);
	template_attest(want, proof, &stated.key, qualifying);
	if (memcmp(have, want, sizeof(want)) == 0)
		return 0;
	log_error("proof", "what the TPM at %s states for site %s is unfit: %s",
	    tpm->link.tcti, site->site, difference(have, want));
	return ERR_MISMATCH;
}

/* With the AK loaded and the session begun. */
static int
ask(struct proof *proof, struct tpm_identity *tpm, const struct tpm_site *site,
    const uint8_t qualifying[32], ESYS_TR ak, ESYS_TR session)
{
	static const TPMT_SIG_SCHEME own_scheme = { .scheme = TPM2_ALG_NULL };
	static const char lost[] =
	    "the counter there is not this identity's: enroll the device anew";
	TPM2B_DATA nonce = { .size = 32 };
	TPM2B_ATTEST *attest = NULL;
	TPMT_SIGNATURE *signature = NULL;
	ESYS_TR index;
	int err = tpm_counter_open(tpm, &index, site);

	if (err < 0)
		return err;
	memcpy(nonce.buffer, qualifying, 32);
	TSS2_RC rc = Esys_NV_Certify(tpm->link.esys, ak, index, index,
	    ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &nonce, &own_scheme, 8, 0,
	    &attest, &signature);

	(void)Esys_TR_Close(tpm->link.esys, &index);
	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_refused(&tpm->link, rc, "certify the counter",
		    lost, ERR_MISMATCH);
	err = take_statement(proof, tpm, site, qualifying, attest);
	if (err == 0 && !tpm_take_signature(proof->signature, signature))
		err = ERR_MISMATCH;
	Esys_Free(attest);
	Esys_Free(signature);
	return err;
}

int
tpm_certify(struct proof *proof, struct tpm_identity *tpm,
    const struct tpm_site *site, const uint8_t qualifying[32])
{
	ESYS_TR session, ak;
	int err = tpm_session(tpm, &session, TPM2_SE_HMAC, 0);

	if (err < 0)
		return err;
	err = tpm_ak_load(tpm, &ak);
	if (err == 0)
		err = ask(proof, tpm, site, qualifying, ak, session);
	tpm_flush(tpm, &ak);
	tpm_flush(tpm, &session);
	return err;
}

int
tpm_clock_read(struct identity_clock *clock, struct tpm_identity *tpm)
{
	TPMS_TIME_INFO *now = NULL;
	TSS2_RC rc = Esys_ReadClock(tpm->link.esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, &now);

	if (rc != TSS2_RC_SUCCESS)
		return tpm_link_failed(&tpm->link, rc, "read its clock");
	clock->clock_ms = now->clockInfo.clock;
	clock->resets = now->clockInfo.resetCount;
	clock->restarts = now->clockInfo.restartCount;
	clock->clock_unsafe = now->clockInfo.safe == TPM2_NO;
	Esys_Free(now);
	return 0;
}
