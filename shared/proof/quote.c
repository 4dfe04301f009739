/* Quotes as values, and whether they hold; see quote.h. */
#include "shared/proof/quote.h"

#include "shared/base/err.h"
#include "shared/proof/p256.h"
#include "shared/proof/template.h"

#include <sodium.h>

#define LAST_PCR 11

static const struct record_field quote_fields[] = {
	R_FIXED(quote, pcrs, 0, "SHA-256 PCRs 0 to 7 and 11, 32 bytes each."),
	R_U64(quote, clock_ms, 0, U53_MAX, 0, "The TPM's clock."),
	R_U64(quote, resets, 0, UINT32_MAX, 0, "Its resets."),
	R_U64(quote, restarts, 0, UINT32_MAX, 0, "Its restarts."),
	R_BOOL(quote, clock_unsafe, 0, "That clock may stand a bit back."),
	R_FIXED(quote, firmware, 0, "The TPM's firmware version."),
	R_FIXED(quote, signature, 0, "P-256 over what the TPM stated."),
};
RECORD_DEFINE(quote, 1, "What a TPM says of the start of its machine.");

int
quote_place(uint32_t pcr)
{
	if (pcr < QUOTE_PCRS - 1)
		return (int)pcr;
	return pcr == LAST_PCR ? QUOTE_PCRS - 1 : -1;
}

uint32_t
quote_pcr(uint32_t place)
{
	return place < QUOTE_PCRS - 1 ? place : LAST_PCR;
}

int
quote_verify(const struct quote *quote, const uint8_t qualifying[32],
    const uint8_t *public_key, size_t len)
{
	uint8_t attest[TEMPLATE_QUOTE_BYTES], digest[32];
	struct template_key key;

	if (!template_key_read(&key, public_key, len) ||
	    quote->resets > UINT32_MAX || quote->restarts > UINT32_MAX ||
	    !p256_is_low(quote->signature + 32))
		return ERR_BAD_PROOF;
	template_quote(attest, quote, &key, qualifying);
	crypto_hash_sha256(digest, attest, sizeof(attest));
	return p256_verify(digest, quote->signature, key.x, key.y)
	    ? 0
	    : ERR_BAD_PROOF;
}
