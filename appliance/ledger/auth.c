#include "appliance/ledger/auth.h"

#include <sodium.h>
#include <string.h>

_Static_assert(crypto_shorthash_KEYBYTES == 16, "the key of SipHash");

void
auth_init(struct auth *auth)
{
	memset(auth, 0, sizeof(*auth));
	randombytes_buf(auth->hash_key, sizeof(auth->hash_key));
}

bool
auth_count_bad(struct auth *auth, const char *address, int64_t boottime_ms)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint16_t at;

	crypto_shorthash(hash, (const uint8_t *)address, strlen(address),
	    auth->hash_key);
	memcpy(&at, hash, sizeof(at));
	struct auth_bucket *bucket = &auth->buckets[at % AUTH_BUCKETS];
	int64_t second = boottime_ms / 1000;

	if (bucket->second != second)
		*bucket = (struct auth_bucket){ .second = second };
	if (bucket->bad >= AUTH_BAD_PER_S)
		return false;
	bucket->bad++;
	return true;
}
