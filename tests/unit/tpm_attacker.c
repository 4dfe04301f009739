/* An attacker with a TPM; see tpm_attacker.h. */
#include "tests/unit/tpm_attacker.h"

#include "shared/proof/p256.h"
#include "shared/proof/template.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#define MUST(what)                                                      \
	do {                                                            \
		if (!(what)) {                                          \
			fprintf(stderr, "attacker: %s: %s\n", __func__, \
			    #what);                                     \
			abort();                                        \
		}                                                       \
	} while (0)

#define NONE ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE

struct tpm_identity *
attacker_open(const char *folder, const char *tcti)
{
	struct identity_options options = { .folder = folder, .tcti = tcti };
	struct tpm_identity *attacker;

	MUST(tpm_identity_open(&attacker, folder, &options) == 0);
	return attacker;
}

void
attacker_close(struct tpm_identity *attacker)
{
	tpm_identity_close(attacker);
}

static ESYS_CONTEXT *
connect_to(struct tpm_identity *attacker)
{
	attacker->link.again = true; /* says why it does not answer */
	MUST(tpm_link_open(&attacker->link) == 0);
	return attacker->link.esys;
}

/* With the secret of the site that has it, if one has. */
static bool
find_index(struct tpm_identity *attacker, ESYS_TR *index, uint32_t handle)
{
	ESYS_CONTEXT *esys = attacker->link.esys;
	TPM2B_AUTH auth = { .size = 32 };

	if (Esys_TR_FromTPMPublic(esys, handle, NONE, index) != 0)
		return false;
	struct tpm_site *site = tpm_store_bound(attacker->store);

	if (site != NULL) {
		memcpy(auth.buffer, site->secret, 32);
		MUST(Esys_TR_SetAuth(esys, *index, &auth) == 0);
	}
	return true;
}

/* --- indexes -------------------------------------------------------------- */

void
attacker_define(struct tpm_identity *attacker, const struct attack_index *index)
{
	ESYS_CONTEXT *esys = connect_to(attacker);
	const struct tpm_site *site = tpm_store_bound(attacker->store);
	uint8_t bytes[TEMPLATE_COUNTER_BYTES];
	TPM2B_AUTH auth = { .size = 32 };
	TPM2B_NV_PUBLIC area = { 0 };
	ESYS_TR made;
	size_t at = 0;

	MUST(site != NULL);
	memcpy(auth.buffer, site->secret, 32);
	template_counter_public(bytes, index->index, false);
	MUST(Tss2_MU_TPMS_NV_PUBLIC_Unmarshal(bytes, sizeof(bytes), &at,
		 &area.nvPublic) == 0);
	area.nvPublic.attributes = index->attributes;
	area.nvPublic.dataSize = index->size;
	if (!index->with_policy)
		area.nvPublic.authPolicy.size = 0;
	MUST(Esys_NV_DefineSpace(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
		 ESYS_TR_NONE, ESYS_TR_NONE, &auth, &area, &made) == 0);
	Esys_TR_Close(esys, &made);
	tpm_link_rest(&attacker->link);
}

bool
attacker_undefine(struct tpm_identity *attacker, uint32_t index)
{
	ESYS_CONTEXT *esys = connect_to(attacker);
	ESYS_TR found;
	bool done = find_index(attacker, &found, index) &&
	    Esys_NV_UndefineSpace(esys, ESYS_TR_RH_OWNER, found,
		ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE) == 0;

	tpm_link_rest(&attacker->link);
	return done;
}

void
attacker_write(struct tpm_identity *attacker, uint32_t index, uint64_t value)
{
	ESYS_CONTEXT *esys = connect_to(attacker);
	TPM2B_MAX_NV_BUFFER data = { .size = 8 };
	ESYS_TR found;

	be64_write(data.buffer, value);
	MUST(find_index(attacker, &found, index));
	MUST(Esys_NV_Write(esys, found, found, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		 ESYS_TR_NONE, &data, 0) == 0);
	Esys_TR_Close(esys, &found);
	tpm_link_rest(&attacker->link);
}

void
attacker_count(struct tpm_identity *attacker, uint32_t index)
{
	ESYS_CONTEXT *esys = connect_to(attacker);
	ESYS_TR found;

	MUST(find_index(attacker, &found, index));
	MUST(Esys_NV_Increment(esys, found, found, ESYS_TR_PASSWORD,
		 ESYS_TR_NONE, ESYS_TR_NONE) == 0);
	Esys_TR_Close(esys, &found);
	tpm_link_rest(&attacker->link);
}

/* --- statements ----------------------------------------------------------- */

static void
keep(struct statement *out, TPM2B_ATTEST *attest, TPMT_SIGNATURE *signature)
{
	const TPMS_SIGNATURE_ECC *ecc = &signature->signature.ecdsa;

	memset(out, 0, sizeof(*out));
	MUST(attest->size <= sizeof(out->attest));
	memcpy(out->attest, attest->attestationData, attest->size);
	out->len = attest->size;
	memcpy(out->signature + 32 - ecc->signatureR.size,
	    ecc->signatureR.buffer, ecc->signatureR.size);
	memcpy(out->signature + 64 - ecc->signatureS.size,
	    ecc->signatureS.buffer, ecc->signatureS.size);
	Esys_Free(attest);
	Esys_Free(signature);
}

static bool
certify_with(struct statement *out, struct tpm_identity *attacker, ESYS_TR ak,
    uint32_t handle, uint16_t size, uint16_t offset,
    const uint8_t qualifying[32])
{
	static const TPMT_SIG_SCHEME own = { .scheme = TPM2_ALG_NULL };
	ESYS_CONTEXT *esys = attacker->link.esys;
	TPM2B_DATA nonce = { .size = 32 };
	TPM2B_ATTEST *attest;
	TPMT_SIGNATURE *signature;
	ESYS_TR index;

	memcpy(nonce.buffer, qualifying, 32);
	MUST(find_index(attacker, &index, handle));
	TSS2_RC rc = Esys_NV_Certify(esys, ak, index, index, ESYS_TR_PASSWORD,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, &nonce, &own, size, offset, &attest,
	    &signature);

	Esys_TR_Close(esys, &index);
	if (rc != 0)
		return false;
	keep(out, attest, signature);
	return true;
}

bool
attacker_certify(struct statement *out, struct tpm_identity *attacker,
    uint32_t index, uint16_t size, uint16_t offset,
    const uint8_t qualifying[32])
{
	ESYS_TR ak;

	connect_to(attacker);
	MUST(tpm_ak_load(attacker, &ak) == 0);
	bool done =
	    certify_with(out, attacker, ak, index, size, offset, qualifying);

	tpm_flush(attacker, &ak);
	tpm_link_rest(&attacker->link);
	return done;
}

void
attacker_quote(struct statement *out, struct tpm_identity *attacker,
    const uint8_t qualifying[32])
{
	static const TPMT_SIG_SCHEME own = { .scheme = TPM2_ALG_NULL };
	static const TPML_PCR_SELECTION none = { 0 };
	ESYS_CONTEXT *esys = connect_to(attacker);
	TPM2B_DATA nonce = { .size = 32 };
	TPM2B_ATTEST *attest;
	TPMT_SIGNATURE *signature;
	ESYS_TR ak;

	memcpy(nonce.buffer, qualifying, 32);
	MUST(tpm_ak_load(attacker, &ak) == 0);
	MUST(Esys_Quote(esys, ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
		 &nonce, &own, &none, &attest, &signature) == 0);
	keep(out, attest, signature);
	tpm_flush(attacker, &ak);
	tpm_link_rest(&attacker->link);
}

void
attacker_fill_sessions(struct tpm_identity *attacker)
{
	static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	ESYS_CONTEXT *esys = connect_to(attacker);
	int begun = 0;
	ESYS_TR session;

	while (begun < 100 &&
	    Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, NONE, NULL,
		TPM2_SE_HMAC, &none, TPM2_ALG_SHA256, &session) == 0)
		begun++;
	MUST(begun > 0 && begun < 100);
	tpm_link_close(&attacker->link);
}

bool
attacker_sign(struct tpm_identity *attacker, const uint8_t digest[32])
{
	static const TPMT_SIG_SCHEME own = { .scheme = TPM2_ALG_NULL };
	static const TPMT_TK_HASHCHECK no_ticket = {
		.tag = TPM2_ST_HASHCHECK,
		.hierarchy = TPM2_RH_NULL,
	};
	ESYS_CONTEXT *esys = connect_to(attacker);
	TPM2B_DIGEST wanted = { .size = 32 };
	TPMT_SIGNATURE *signature = NULL;
	ESYS_TR ak;

	memcpy(wanted.buffer, digest, 32);
	MUST(tpm_ak_load(attacker, &ak) == 0);
	bool signed_it =
	    Esys_Sign(esys, ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
		&wanted, &own, &no_ticket, &signature) == 0;

	Esys_Free(signature);
	tpm_flush(attacker, &ak);
	tpm_link_rest(&attacker->link);
	return signed_it;
}

/* --- a key of the owner's hierarchy --------------------------------------- */

/* A storage key as any, then the template's AK below it. */
static ESYS_TR
load_owner_ak(struct tpm_identity *attacker, uint8_t ak[64])
{
	static const TPM2B_SENSITIVE_CREATE no_secret = { 0 };
	static const TPM2B_DATA no_data = { 0 };
	static const TPML_PCR_SELECTION no_pcrs = { 0 };
	ESYS_CONTEXT *esys = attacker->link.esys;
	uint8_t bytes[TEMPLATE_PUBLIC_MAX];
	TPM2B_PUBLIC template, *made;
	TPM2B_PRIVATE *wrapped;
	ESYS_TR parent, loaded;

	MUST(tpm_public_read(&template, bytes,
		 template_ek_public(bytes, NULL, 64)) == 0);
	template.publicArea.authPolicy.size = 0;
	template.publicArea.objectAttributes &= ~TPMA_OBJECT_ADMINWITHPOLICY;
	template.publicArea.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
	MUST(Esys_CreatePrimary(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
		 ESYS_TR_NONE, ESYS_TR_NONE, &no_secret, &template, &no_data,
		 &no_pcrs, &parent, NULL, NULL, NULL, NULL) == 0);
	MUST(tpm_public_read(&template, bytes,
		 template_ak_public(bytes, NULL, NULL)) == 0);
	MUST(Esys_Create(esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		 ESYS_TR_NONE, &no_secret, &template, &no_data, &no_pcrs,
		 &wrapped, &made, NULL, NULL, NULL) == 0);
	MUST(Esys_Load(esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		 ESYS_TR_NONE, wrapped, made, &loaded) == 0);
	memcpy(ak, made->publicArea.unique.ecc.x.buffer, 32);
	memcpy(ak + 32, made->publicArea.unique.ecc.y.buffer, 32);
	Esys_FlushContext(esys, parent);
	Esys_Free(made);
	Esys_Free(wrapped);
	return loaded;
}

void
attacker_certify_as_owner(struct statement *out, uint8_t ak[64],
    struct tpm_identity *attacker, uint32_t index, const uint8_t qualifying[32])
{
	connect_to(attacker);
	ESYS_TR key = load_owner_ak(attacker, ak);

	MUST(certify_with(out, attacker, key, index, 8, 0, qualifying));
	tpm_flush(attacker, &key);
	tpm_link_rest(&attacker->link);
}

/* --- what is made of them ------------------------------------------------- */

bool
attacker_proof(struct proof *out, const struct statement *statement)
{
	const uint8_t *at = statement->attest;

	if (statement->len != TEMPLATE_ATTEST_BYTES)
		return false;
	*out = (struct proof){
		.class_ = PROOF_TPM,
		.clock_ms = be64_read(at + 76),
		.resets = be32_read(at + 84),
		.restarts = be32_read(at + 88),
		.clock_unsafe = at[92] == 0,
		.counter = be64_read(at + 141),
	};
	memcpy(out->firmware, at + 93, 8);
	memcpy(out->signature, statement->signature, 64);
	p256_lower(out->signature + 32);
	return true;
}

bool
statement_is_signed(const struct statement *statement, const uint8_t ak[64])
{
	EVP_PKEY *key = p256_key(ak, ak + 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *pair = ECDSA_SIG_new();
	unsigned char *der = NULL;

	MUST(key != NULL && ctx != NULL && pair != NULL);
	MUST(ECDSA_SIG_set0(pair, BN_bin2bn(statement->signature, 32, NULL),
		 BN_bin2bn(statement->signature + 32, 32, NULL)) == 1);
	int len = i2d_ECDSA_SIG(pair, &der);

	MUST(len > 0);
	MUST(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1);
	bool holds = EVP_DigestVerify(ctx, der, (size_t)len, statement->attest,
			 statement->len) == 1;

	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return holds;
}

/* --- without a TPM -------------------------------------------------------- */

static void
sign_lowered(uint8_t signature[64], EVP_PKEY *key, const uint8_t *data,
    size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[80];
	const unsigned char *at = der;
	size_t der_len = sizeof(der);

	MUST(ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, der, &der_len, data, len) == 1);
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);

	MUST(pair != NULL);
	BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32);
	p256_lower(signature + 32);
	ECDSA_SIG_free(pair);
	EVP_MD_CTX_free(ctx);
}

void
attacker_pretend(struct proof *proof, uint8_t key[PROOF_KEY_BYTES_TPM],
    const uint8_t *ek, size_t ek_len, const uint8_t qualifying[32])
{
	EVP_PKEY *soft = EVP_EC_gen("P-256");
	uint8_t point[65], area[TEMPLATE_PUBLIC_MAX], qualified[32];
	uint8_t attest[TEMPLATE_ATTEST_BYTES];
	struct template_key parts = { .index = TEMPLATE_COUNTER_FIRST };
	size_t len;

	MUST(soft != NULL &&
	    EVP_PKEY_get_octet_string_param(soft, OSSL_PKEY_PARAM_PUB_KEY,
		point, sizeof(point), &len) == 1);
	template_ek_qualified(qualified, area,
	    template_ek_public(area, ek, ek_len));
	parts.ek_qualified = qualified;
	parts.x = point + 1;
	parts.y = point + 33;
	template_key_write(key, &parts);
	proof->class_ = PROOF_TPM;
	template_attest(attest, proof, &parts, qualifying);
	sign_lowered(proof->signature, soft, attest, sizeof(attest));
	EVP_PKEY_free(soft);
}
