/* Tokens of strangers. What verifies is, character for character, what the key
 * signs: one payload has one token. The first byte picks what is tried. */
#include "shared/license/license.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make_keys(uint8_t secret[64])
{
	static const uint8_t seed[32] = { 1 };
	uint8_t public_key[32];

	assert(sodium_init() >= 0);
	crypto_sign_seed_keypair(public_key, secret, seed);
}

/* The bytes as a token's text. */
static void
read_text(const char *text, size_t len, const uint8_t secret[64])
{
	struct buf payload = { 0 }, peeked = { 0 }, again = { 0 };
	char kid[TOKEN_KID_TEXT];

	if (token_kid(kid, text, len) == 0)
		assert(strlen(kid) == TOKEN_KID_TEXT - 1);
	int peek = token_peek(&peeked, text, len);

	if (token_verify(&payload, TOKEN_LICENSE, text, len, secret + 32) ==
	    0) {
		assert(peek == 0 && peeked.len == payload.len);
		assert(token_sign(&again, TOKEN_LICENSE, payload.data,
			   payload.len, secret) == 0);
		assert(again.len == len && memcmp(again.data, text, len) == 0);
	} else {
		assert(payload.len == 0);
	}
	buf_release(&payload);
	buf_release(&peeked);
	buf_release(&again);
}

/* The bytes as a payload: signed, read, and then with one character changed. */
static void
sign_bytes(const uint8_t *data, size_t size, const uint8_t secret[64])
{
	struct buf token = { 0 }, payload = { 0 };

	if (size < 5)
		return;
	uint32_t at = be32_read(data);
	uint8_t value = data[4];

	data += 5;
	size -= 5;
	assert(token_sign(&token, TOKEN_BATCH, data, size, secret) == 0);
	assert(token_verify(&payload, TOKEN_BATCH, (char *)token.data,
		   token.len, secret + 32) == 0);
	assert(payload.len == size &&
	    (size == 0 || memcmp(payload.data, data, size) == 0));
	buf_clear(&payload);
	uint8_t *changed = &token.data[at % token.len];

	if (*changed != value) {
		*changed = value;
		assert(token_verify(&payload, TOKEN_BATCH, (char *)token.data,
			   token.len, secret + 32) != 0);
		assert(payload.len == 0);
	}
	buf_release(&token);
	buf_release(&payload);
}

/* What every license that holds keeps to: seats that add up, of the product and
 * of each feature, which are told apart by their ids. */
static void
check_license(const struct license *license)
{
	const struct license_feature *features = license->features.items;
	struct license_seats seats;

	assert(license->features.count <= LICENSE_FEATURES_MAX);
	assert(license_seats(&seats, license, ""));
	assert(seats.total == seats.commit + seats.overage);
	for (uint32_t i = 0; i < license->features.count; i++) {
		assert(license_seats(&seats, license, features[i].id));
		assert(seats.total == features[i].total_licenses);
		assert(seats.total == seats.commit + seats.overage);
		for (uint32_t j = 0; j < i; j++)
			assert(strcmp(features[i].id, features[j].id) != 0);
	}
}

/* The bytes as what a rightful signer says: terms, license and issuer. */
static void
read_license(const char *json, size_t len, const uint8_t secret[64])
{
	struct license license;
	struct license_issuer issuer = { .vendor = { "v", "V" },
		.not_after = INT64_C(4102444800000) };
	struct license_issuer seen;
	struct record_error error = { "", "" };
	struct arena arena = { 0 };
	struct buf a = { 0 }, b = { 0 };

	memcpy(issuer.key, secret + 32, 32);
	assert(license_document_sign(&a, &license_issuer_record, &issuer,
		   TOKEN_ISSUER, secret) == 0);
	if (token_sign(&b, TOKEN_LICENSE, json, len, secret) == 0) {
		int err = license_verify(&license, &seen, (char *)a.data, a.len,
		    (char *)b.data, b.len, secret + 32, &arena, &error);

		if (err == 0)
			check_license(&license);
		else
			assert(error.reason[0] != '\0' && license.serial == 0);
	}
	arena_release(&arena);
	buf_release(&a);
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t secret[64];

	if (size == 0)
		return 0;
	make_keys(secret);
	switch (data[0] % 3) {
	case 0:
		read_text((const char *)data + 1, size - 1, secret);
		break;
	case 1:
		sign_bytes(data + 1, size - 1, secret);
		break;
	default:
		read_license((const char *)data + 1, size - 1, secret);
		break;
	}
	return 0;
}
