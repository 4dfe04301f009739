/*
 * Guesses at people's passwords, counted by login and by address: a few are
 * free, then each costs twice the wait of the one before. An attempt is counted
 * when it begins, so that many at once are no way around.
 *
 * Nobody is locked out for good by others. The wait of a login ends at a minute
 * and that of an address at a quarter of an hour, and who got in from an
 * address lately is counted there by himself: whatever is tried from elsewhere,
 * or by his neighbours with other logins, does not touch him.
 *
 * Bounded memory: what is forgotten first is what matters least. Logins and
 * addresses are here as keyed hashes only, also in the file. Time comes in. It
 * must not know users or passwords.
 */
#ifndef APPLIANCE_LEDGER_LOCKOUT_H
#define APPLIANCE_LEDGER_LOCKOUT_H

#include "shared/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/** Failures that cost nothing. */
#define LOCKOUT_LOGIN_FREE 5
#define LOCKOUT_ADDRESS_FREE 20
/** The longest wait. */
#define LOCKOUT_LOGIN_MAX_MS 60000
#define LOCKOUT_ADDRESS_MAX_MS 900000
/** One failure is forgotten in such a time. */
#define LOCKOUT_FORGIVE_MS 600000
/** So long an address stays known to a login. */
#define LOCKOUT_KNOWN_MS (INT64_C(30) * 86400000)

#define LOCKOUT_KEY_BYTES 32

struct lockout;
/** The key is copied into guarded memory. NULL: no memory. */
struct lockout *lockout_new(const uint8_t key[LOCKOUT_KEY_BYTES]);
void lockout_free(struct lockout *lockout);

/** Who tries, and from where. `login` as it is compared: of one spelling. */
struct lockout_try {
	const char *tenant;
	const char *login;
	const char *address; /* of IPv6 the network of 64 bits counts */
};

/** May he try now? 0: yes, and it counts as a failure until one of the next two
 * says otherwise. Else the wait in ms, and nothing was counted. */
int64_t lockout_begin(struct lockout *lockout, const struct lockout_try *try_,
    int64_t now_ms);
/** It was no guess: it came to nothing for a reason of ours. */
void lockout_undo(struct lockout *lockout, const struct lockout_try *try_,
    int64_t now_ms);
/** He is who he says. */
void lockout_passed(struct lockout *lockout, const struct lockout_try *try_,
    int64_t now_ms);
/** An admin helps: the login is free again, from everywhere. */
void lockout_clear(struct lockout *lockout, const char *tenant,
    const char *login);

/** Did it change since it was last written? */
bool lockout_is_dirty(const struct lockout *lockout);
/** All that matters, as bytes; then it is not dirty. */
void lockout_write(struct buf *out, struct lockout *lockout);
/** ERR_CORRUPT: not what lockout_write wrote; nothing was taken. */
int lockout_read(struct lockout *lockout, const uint8_t *data, size_t len);

#endif
