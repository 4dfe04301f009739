/* Public areas, Names and the attested statement, byte for byte; see
 * template.h. */
#include "shared/proof/template.h"

#include "shared/proof/quote.h"

#include "shared/base/buf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define KEY_FORMAT 1

/* TPM 2.0 Library part 2: 6.3 (algorithms), 6.4 (curves), 6.9, 6.10, 7.1. */
#define ALG_RSA 0x0001
#define ALG_AES 0x0006
#define ALG_SHA256 0x000b
#define ALG_NULL 0x0010
#define ALG_ECDSA 0x0018
#define ALG_ECC 0x0023
#define ALG_CFB 0x0043
#define CURVE_P256 0x0003
#define RH_ENDORSEMENT 0x4000000bu
#define ATTEST_MAGIC 0xff544347u
#define ATTEST_NV 0x8014
#define ATTEST_QUOTE 0x8018

/* TPMA_OBJECT, part 2, 8.3.2 */
#define FIXED_TPM (1u << 1)
#define FIXED_PARENT (1u << 4)
#define SENSITIVE_DATA_ORIGIN (1u << 5)
#define USER_WITH_AUTH (1u << 6)
#define ADMIN_WITH_POLICY (1u << 7)
#define NO_DA (1u << 10)
#define RESTRICTED (1u << 16)
#define DECRYPT (1u << 17)
#define SIGN (1u << 18)

/* TPMA_NV, part 2, 13.4. Written by policy only, so that nobody but who knows
 * the index's secret counts; read with that secret; never ORDERLY, which would
 * keep the number in RAM. */
#define NV_POLICYWRITE (1u << 3)
#define NV_COUNTER (1u << 4)
#define NV_AUTHREAD (1u << 18)
#define NV_NO_DA (1u << 25)
#define NV_WRITTEN (1u << 29)
#define COUNTER_SIZE 8

/* PolicySecret(TPM_RH_ENDORSEMENT): TCG EK Credential Profile, B.2. */
static const uint8_t ek_policy[32] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3,
	0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
	0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69,
	0xaa };

/* PolicyAuthValue, then PolicyCommandCode(NV_Increment): who knows the secret
 * may count, and may not change the secret. */
static const uint8_t counter_policy[32] = { 0x87, 0x52, 0xd7, 0xcf, 0xd2, 0xd2,
	0xe6, 0xea, 0x2a, 0x8e, 0x72, 0xc0, 0x28, 0x17, 0x8d, 0x4d, 0xb8, 0x26,
	0x28, 0xc8, 0xb7, 0xdb, 0xb4, 0x7e, 0xb0, 0xe4, 0x67, 0x52, 0x1c, 0x75,
	0x01, 0x4f };

/* --- writing -------------------------------------------------------------- */

struct writer {
	uint8_t *at;
};

static void
put(struct writer *w, const void *data, size_t len)
{
	memcpy(w->at, data, len);
	w->at += len;
}

static void
put_zero(struct writer *w, size_t len)
{
	memset(w->at, 0, len);
	w->at += len;
}

static void
put_u16(struct writer *w, unsigned int value)
{
	be16_write(w->at, (uint16_t)value);
	w->at += 2;
}

static void
put_u32(struct writer *w, uint32_t value)
{
	be32_write(w->at, value);
	w->at += 4;
}

static void
put_u64(struct writer *w, uint64_t value)
{
	be64_write(w->at, value);
	w->at += 8;
}

/* A TPM2B: its size, then the bytes; NULL: zeros. */
static void
put_sized(struct writer *w, const void *data, size_t len)
{
	put_u16(w, (unsigned int)len);
	if (data == NULL)
		put_zero(w, len);
	else
		put(w, data, len);
}

/* --- public areas --------------------------------------------------------- */

size_t
template_ek_public(uint8_t out[TEMPLATE_PUBLIC_MAX], const uint8_t *key,
    size_t len)
{
	struct writer w = { out };
	bool rsa = len == TEMPLATE_EK_RSA_BYTES;

	if (!rsa && len != TEMPLATE_EK_P256_BYTES)
		return 0;
	put_u16(&w, rsa ? ALG_RSA : ALG_ECC);
	put_u16(&w, ALG_SHA256);
	put_u32(&w,
	    FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN |
		ADMIN_WITH_POLICY | RESTRICTED | DECRYPT);
	put_sized(&w, ek_policy, sizeof(ek_policy));
	put_u16(&w, ALG_AES);
	put_u16(&w, 128);
	put_u16(&w, ALG_CFB);
	put_u16(&w, ALG_NULL);
	if (rsa) {
		put_u16(&w, 2048);
		put_u32(&w, 0); /* the exponent: 65537 */
		put_sized(&w, key, 256);
	} else {
		put_u16(&w, CURVE_P256);
		put_u16(&w, ALG_NULL);
		put_sized(&w, key, 32);
		put_sized(&w, key == NULL ? NULL : key + 32, 32);
	}
	return (size_t)(w.at - out);
}

size_t
template_ak_public(uint8_t out[TEMPLATE_PUBLIC_MAX], const uint8_t *x,
    const uint8_t *y)
{
	struct writer w = { out };

	put_u16(&w, ALG_ECC);
	put_u16(&w, ALG_SHA256);
	put_u32(&w,
	    FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH |
		NO_DA | RESTRICTED | SIGN);
	put_u16(&w, 0); /* no policy */
	put_u16(&w, ALG_NULL);
	put_u16(&w, ALG_ECDSA);
	put_u16(&w, ALG_SHA256);
	put_u16(&w, CURVE_P256);
	put_u16(&w, ALG_NULL);
	put_sized(&w, x, 32);
	put_sized(&w, y, 32);
	return (size_t)(w.at - out);
}

void
template_counter_public(uint8_t out[TEMPLATE_COUNTER_BYTES], uint32_t index,
    bool written)
{
	struct writer w = { out };

	put_u32(&w, index);
	put_u16(&w, ALG_SHA256);
	put_u32(&w,
	    NV_POLICYWRITE | NV_COUNTER | NV_AUTHREAD | NV_NO_DA |
		(written ? NV_WRITTEN : 0));
	put_sized(&w, counter_policy, sizeof(counter_policy));
	put_u16(&w, COUNTER_SIZE);
	assert(w.at == out + TEMPLATE_COUNTER_BYTES);
}

/* --- names ---------------------------------------------------------------- */

void
template_name(uint8_t out[TEMPLATE_NAME_BYTES], const uint8_t *public_area,
    size_t len)
{
	be16_write(out, ALG_SHA256);
	crypto_hash_sha256(out + 2, public_area, len);
}

void
template_ek_qualified(uint8_t out[32], const uint8_t *ek_public, size_t len)
{
	uint8_t chain[4 + TEMPLATE_NAME_BYTES];

	be32_write(chain, RH_ENDORSEMENT);
	template_name(chain + 4, ek_public, len);
	crypto_hash_sha256(out, chain, sizeof(chain));
}

/* Of a child: its parent's qualified Name, then its own Name. */
static void
ak_qualified(uint8_t out[TEMPLATE_NAME_BYTES], const struct template_key *key)
{
	uint8_t public_area[TEMPLATE_PUBLIC_MAX];
	uint8_t chain[2 * TEMPLATE_NAME_BYTES];
	size_t len = template_ak_public(public_area, key->x, key->y);

	be16_write(chain, ALG_SHA256);
	memcpy(chain + 2, key->ek_qualified, 32);
	template_name(chain + TEMPLATE_NAME_BYTES, public_area, len);
	template_name(out, chain, sizeof(chain));
}

/* --- the statement -------------------------------------------------------- */

void
template_attest(uint8_t out[TEMPLATE_ATTEST_BYTES], const struct proof *proof,
    const struct template_key *key, const uint8_t qualifying[32])
{
	uint8_t name[TEMPLATE_NAME_BYTES];
	uint8_t counter[TEMPLATE_COUNTER_BYTES];
	uint8_t value[COUNTER_SIZE];
	struct writer w = { out };

	put_u32(&w, ATTEST_MAGIC);
	put_u16(&w, ATTEST_NV);
	ak_qualified(name, key);
	put_sized(&w, name, sizeof(name));
	put_sized(&w, qualifying, 32);
	put_u64(&w, proof->clock_ms);
	put_u32(&w, (uint32_t)proof->resets);
	put_u32(&w, (uint32_t)proof->restarts);
	*w.at++ = !proof->clock_unsafe;
	put(&w, proof->firmware, sizeof(proof->firmware));
	template_counter_public(counter, key->index, true);
	template_name(name, counter, sizeof(counter));
	put_sized(&w, name, sizeof(name));
	put_u16(&w, 0); /* offset */
	be64_write(value, proof->counter);
	put_sized(&w, value, sizeof(value));
	assert(w.at == out + TEMPLATE_ATTEST_BYTES);
}

/* TPMS_ATTEST with a TPMS_QUOTE_INFO: the selection as TPML_PCR_SELECTION, the
 * digest over the values one after the other. */
void
template_quote(uint8_t out[TEMPLATE_QUOTE_BYTES], const struct quote *quote,
    const struct template_key *key, const uint8_t qualifying[32])
{
	uint8_t name[TEMPLATE_NAME_BYTES], digest[32];
	struct writer w = { out };

	put_u32(&w, ATTEST_MAGIC);
	put_u16(&w, ATTEST_QUOTE);
	ak_qualified(name, key);
	put_sized(&w, name, sizeof(name));
	put_sized(&w, qualifying, 32);
	put_u64(&w, quote->clock_ms);
	put_u32(&w, (uint32_t)quote->resets);
	put_u32(&w, (uint32_t)quote->restarts);
	*w.at++ = !quote->clock_unsafe;
	put(&w, quote->firmware, sizeof(quote->firmware));
	put_u32(&w, 1);
	put_u16(&w, ALG_SHA256);
	*w.at++ = 3;
	for (int i = 0; i < 3; i++)
		*w.at++ = (uint8_t)(QUOTE_MASK >> 8 * i);
	crypto_hash_sha256(digest, quote->pcrs, sizeof(quote->pcrs));
	put_sized(&w, digest, sizeof(digest));
	assert(w.at == out + TEMPLATE_QUOTE_BYTES);
}

/* --- public keys ---------------------------------------------------------- */

bool
template_key_read(struct template_key *key, const uint8_t *bytes, size_t len)
{
	if (len != PROOF_KEY_BYTES_TPM || bytes[0] != KEY_FORMAT)
		return false;
	key->index = be32_read(bytes + 1);
	key->ek_qualified = bytes + 5;
	key->x = bytes + 37;
	key->y = bytes + 69;
	return key->index >= TEMPLATE_COUNTER_FIRST &&
	    key->index < TEMPLATE_COUNTER_FIRST + TEMPLATE_COUNTERS;
}

void
template_key_write(uint8_t out[PROOF_KEY_BYTES_TPM],
    const struct template_key *key)
{
	struct writer w = { out };

	*w.at++ = KEY_FORMAT;
	put_u32(&w, key->index);
	put(&w, key->ek_qualified, 32);
	put(&w, key->x, 32);
	put(&w, key->y, 32);
	assert(w.at == out + PROOF_KEY_BYTES_TPM);
}
