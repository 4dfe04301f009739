/*
 * Borrowed seats in the small true world: a device that borrows, its proofs,
 * and the ticket that the site writes for it. The device's key is one in the
 * test's memory, of the form that a TPM's has, or a software key: what is signed
 * is what the device signs. Header only.
 */
#ifndef TESTS_UNIT_LIB_TICKET_H
#define TESTS_UNIT_LIB_TICKET_H

#include "shared/journal/ticket.h"
#include "shared/proof/p256.h"
#include "shared/proof/statement.h"
#include "shared/proof/template.h"
#include "tests/unit/lib_chain.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#define TICKET_DAY_S 86400u
#define TICKET_PROVE_S 3600u

struct chain_device {
	uint32_t class_; /* as it was enrolled */
	EVP_PKEY *key; /* of a TPM's form */
	uint8_t secret[64]; /* of a software key */
	uint8_t public_key[PROOF_KEY_MAX];
	size_t public_len;
	/* what it says of itself */
	uint64_t counter, clock_ms, resets, sequence;
};

static inline void
chain_device_tpm(struct chain_device *device, uint32_t class_)
{
	uint8_t point[65], ek[32];
	struct template_key key = { TEMPLATE_COUNTER_FIRST, ek, point + 1,
		point + 33 };
	size_t len;

	*device = (struct chain_device){ .class_ = class_,
		.counter = 5,
		.clock_ms = 1000000000,
		.resets = 3 };
	device->key = EVP_EC_gen("P-256");
	ck_assert_ptr_nonnull(device->key);
	ck_assert_int_eq(EVP_PKEY_get_octet_string_param(device->key,
			     OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point),
			     &len),
	    1);
	randombytes_buf(ek, sizeof(ek));
	template_key_write(device->public_key, &key);
	device->public_len = PROOF_KEY_BYTES_TPM;
}

static inline void
chain_device_software(struct chain_device *device)
{
	*device = (struct chain_device){ .class_ = PROOF_SOFTWARE,
		.counter = 5,
		.clock_ms = 1000000000,
		.resets = 3,
		.public_len = PROOF_KEY_BYTES_SOFTWARE };
	ck_assert_int_eq(crypto_sign_keypair(device->public_key,
			     device->secret),
	    0);
}

static inline void
chain_device_close(struct chain_device *device)
{
	EVP_PKEY_free(device->key);
	device->key = NULL;
}

static inline void
chain_sign_p256(uint8_t signature[64], const struct chain_device *device,
    const uint8_t digest[32])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(device->key, NULL);
	uint8_t der[80];
	const uint8_t *at = der;
	size_t len = sizeof(der);

	ck_assert_int_eq(EVP_PKEY_sign_init(ctx), 1);
	ck_assert_int_eq(EVP_PKEY_sign(ctx, der, &len, digest, 32), 1);
	EVP_PKEY_CTX_free(ctx);
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);

	ck_assert_ptr_nonnull(pair);
	BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32);
	ECDSA_SIG_free(pair);
	p256_lower(signature + 32);
}

/* What the device proves of itself, over this subject. */
static inline void
chain_prove(struct proof *proof, struct chain_device *device,
    const struct proof_subject *subject)
{
	bool software = device->key == NULL;

	*proof = (struct proof){
		.class_ = software ? PROOF_SOFTWARE : PROOF_TPM,
		.counter = device->counter,
		.clock_ms = device->clock_ms,
		.resets = device->resets,
		.sequence = software ? ++device->sequence : 0,
	};
	if (software) {
		uint8_t bytes[STATEMENT_BYTES];

		statement_write(bytes, proof, subject);
		crypto_sign_detached(proof->signature, NULL, bytes,
		    sizeof(bytes), device->secret);
		return;
	}
	uint8_t attest[TEMPLATE_ATTEST_BYTES], qualifying[32], digest[32];
	struct template_key key;

	ck_assert(
	    template_key_read(&key, device->public_key, device->public_len));
	proof_qualifying_data(qualifying, subject);
	template_attest(attest, proof, &key, qualifying);
	crypto_hash_sha256(digest, attest, sizeof(attest));
	chain_sign_p256(proof->signature, device, digest);
}

/* A license that lends for a week to devices with a TPM. */
static inline void
chain_may_lend(struct chain *chain)
{
	chain->license.terms.borrow_max_s = 7 * TICKET_DAY_S;
	chain_sign(chain);
}

/* The row that a true site writes when this device borrows for that long. */
static inline void
chain_lend(struct chain *chain, const struct chain_device *device,
    const struct local_checkout *ask, uint32_t slot, uint32_t length_s)
{
	struct row_ticket *ticket = &chain->row.u.borrowed.ticket;

	chain_prepare(chain, ask, slot);
	chain->row.kind = ROW_BORROWED;
	chain->row.u.borrowed.grant.ttl_s = TICKET_PROVE_S;
	chain->row.u.borrowed.grant.grace_s = 0;
	/* Of the borrow's request: no application made it. */
	memset(chain->row.u.borrowed.grant.nonce, 0x5a, NONCE_BYTES);
	*ticket = (struct row_ticket){
		.why = TICKET_TAKEN,
		.epoch = device->counter,
		.class_ = device->class_,
		.public_key = { device->public_key,
		    (uint32_t)device->public_len },
		.length_s = length_s,
		.clock_ms = device->clock_ms,
		.resets = device->resets,
		.from = chain->time,
		.until = chain->time + (int64_t)length_s * 1000,
	};
}

/* What the keeper's proof of the last row is over. */
static inline void
chain_ticket_subject(struct proof_subject *subject, const struct chain *chain,
    const uint8_t nonce[NONCE_BYTES])
{
	ticket_subject(subject, chain->license.site, chain->license.tenant,
	    CHAIN_DEVICE, nonce, chain->row_bytes.data, chain->row_bytes.len);
}

/* The evidence of the last row, with a proof over this nonce. */
static inline void
chain_ticket(struct local_checkout_reply *reply, struct chain *chain,
    struct chain_device *device, const uint8_t nonce[NONCE_BYTES])
{
	static const struct journal_known nothing_known;
	struct proof_subject subject;

	chain_reply(reply, chain, &nothing_known);
	chain_ticket_subject(&subject, chain, nonce);
	chain_prove(&reply->proof, device, &subject);
}

#endif
