/*
 * Guesses at admins' keys, counted by address: so many bad ones a second and
 * no more answers than that one is over the limit. A good key always passes,
 * whatever its neighbours try, so nobody is slowed by others. Bounded memory:
 * addresses share buckets by a secret hash. It must not know the keys.
 */
#ifndef APPLIANCE_LEDGER_AUTH_H
#define APPLIANCE_LEDGER_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#define AUTH_BUCKETS 4096
#define AUTH_BAD_PER_S 10

struct auth_bucket {
	int64_t second;
	uint32_t bad;
};
struct auth {
	uint8_t hash_key[16];
	struct auth_bucket buckets[AUTH_BUCKETS];
};

void auth_init(struct auth *auth);

/** A bad key came from there. False: too many within this second. */
bool auth_count_bad(struct auth *auth, const char *address,
    int64_t boottime_ms);

#endif
