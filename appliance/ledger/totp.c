#include "appliance/ledger/totp.h"

#include "shared/base/buf.h"
#include "shared/base/err.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CODES 1000000 /* ten to the TOTP_DIGITS */
#define WINDOW 1 /* steps on either side */

uint32_t
totp_code(const uint8_t *secret, size_t len, uint64_t step)
{
	uint8_t message[8], mac[EVP_MAX_MD_SIZE];
	unsigned int mac_len = 0;

	be64_write(message, step);
	/* No code at all where there is no HMAC: larger than any. */
	if (HMAC(EVP_sha1(), secret, (int)len, message, sizeof(message), mac,
		&mac_len) == NULL ||
	    mac_len != 20)
		return CODES;
	const uint8_t *at = mac + (mac[19] & 15);
	uint32_t code = (be32_read(at) & 0x7fffffff) % CODES;

	sodium_memzero(mac, sizeof(mac));
	return code;
}

/* Six digits and nothing else but spaces. */
static bool
read_code(uint32_t *code, const char *text)
{
	size_t digits = 0;

	*code = 0;
	for (; *text != '\0'; text++) {
		if (*text == ' ')
			continue;
		if (*text < '0' || *text > '9' || ++digits > TOTP_DIGITS)
			return false;
		*code = *code * 10 + (uint32_t)(*text - '0');
	}
	return digits == TOTP_DIGITS;
}

int
totp_check(uint64_t *step, const uint8_t secret[TOTP_SECRET_BYTES],
    const char *text, int64_t now_ms, uint64_t last)
{
	uint64_t found = 0;
	uint32_t code;

	if (now_ms < 0 || !read_code(&code, text))
		return ERR_UNAUTHENTICATED;
	uint64_t now = (uint64_t)now_ms / 1000 / TOTP_STEP_S;

	for (uint64_t at = now < WINDOW ? 0 : now - WINDOW; at <= now + WINDOW;
	     at++)
		if (totp_code(secret, TOTP_SECRET_BYTES, at) == code &&
		    at > last)
			found = at;
	if (found == 0)
		return ERR_UNAUTHENTICATED;
	*step = found;
	return 0;
}

void
totp_secret_text(char out[TOTP_SECRET_TEXT],
    const uint8_t secret[TOTP_SECRET_BYTES])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	size_t n = 0;

	/* 20 bytes are 32 groups of five bits. */
	for (size_t i = 0; i < TOTP_SECRET_BYTES; i += 5) {
		uint64_t bits = 0;

		for (size_t k = 0; k < 5; k++)
			bits = bits << 8 | secret[i + k];
		for (int k = 7; k >= 0; k--)
			out[n++] = alphabet[bits >> (5 * k) & 31];
	}
	out[n] = '\0';
}

static size_t
add_encoded(char *out, size_t size, size_t at, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text != '\0' && at + 4 < size; text++) {
		if (strchr(plain, *text) != NULL)
			out[at++] = *text;
		else
			at += (size_t)snprintf(out + at, size - at, "%%%02X",
			    (unsigned char)*text);
	}
	out[at] = '\0';
	return at;
}

void
totp_uri(char out[TOTP_URI_TEXT], const char *issuer, const char *account,
    const uint8_t secret[TOTP_SECRET_BYTES])
{
	char names[242], name[120], text[TOTP_SECRET_TEXT];
	size_t n = add_encoded(names, 100, 0, issuer);

	(void)add_encoded(name, 100, 0, issuer);
	names[n++] = ':';
	(void)add_encoded(names, n + 120, n, account);
	totp_secret_text(text, secret);
	snprintf(out, TOTP_URI_TEXT, "otpauth://totp/%s?secret=%s&issuer=%s",
	    names, text, name);
	sodium_memzero(text, sizeof(text));
}
