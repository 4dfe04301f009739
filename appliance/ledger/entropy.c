#include "appliance/ledger/entropy.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define KEY crypto_stream_chacha20_KEYBYTES

struct entropy {
	uint8_t block[16384];
	size_t at;
};

static void
refill(struct entropy *entropy, const uint8_t key[KEY])
{
	/* The key is used once, so the nonce need not change. */
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	crypto_stream_chacha20(entropy->block, sizeof(entropy->block), nonce,
	    key);
	entropy->at = KEY;
}

struct entropy *
entropy_new(void)
{
	struct entropy *entropy = sodium_malloc(sizeof(*entropy));
	uint8_t seed[KEY];

	if (entropy == NULL)
		return NULL;
	randombytes_buf(seed, sizeof(seed));
	refill(entropy, seed);
	sodium_memzero(seed, sizeof(seed));
	return entropy;
}

void
entropy_free(struct entropy *entropy)
{
	sodium_free(entropy);
}

void
entropy_take(void *out, struct entropy *entropy, size_t len)
{
	assert(len <= 1024);
	if (sizeof(entropy->block) - entropy->at < len) {
		uint8_t key[KEY];

		memcpy(key, entropy->block, sizeof(key));
		refill(entropy, key);
		sodium_memzero(key, sizeof(key));
	}
	memcpy(out, entropy->block + entropy->at, len);
	memset(entropy->block + entropy->at, 0, len);
	entropy->at += len;
}
