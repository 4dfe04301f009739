/*
 * Passwords of people: the rule for new ones, Argon2id (libsodium) over them,
 * and codes that are made up for people. A hash holds its own parameters, so
 * that the cost can change without anybody noticing. One check takes the memory
 * of its cost (256 MiB by default) and a second or so: for a thread that does
 * nothing else, never for a loop. It must not know users or sessions.
 */
#ifndef APPLIANCE_LEDGER_PASSWORD_H
#define APPLIANCE_LEDGER_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PASSWORD_CHARACTERS_MIN 12
#define PASSWORD_BYTES_MAX 128
/** Of a hash as text, with its NUL. */
#define PASSWORD_HASH_TEXT 128

/** libsodium's names for memory and passes: 64 MiB and 2, 256 MiB and 3, 1 GiB
 * and 4. */
enum password_cost {
	PASSWORD_MODERATE,
	PASSWORD_INTERACTIVE,
	PASSWORD_SENSITIVE
};
extern const char *const password_cost_names[];

/** Why a new password is refused, in words for people; NULL: it is not. */
const char *password_fault(const char *text, size_t len, const char *login);

/** ERR_NOMEM when there is not enough memory for it. */
int password_hash(char out[PASSWORD_HASH_TEXT], const char *text, size_t len,
    enum password_cost cost);
/** 0, ERR_UNAUTHENTICATED, or ERR_NOMEM when there is not enough memory to
 * tell. */
int password_check(const char hash[PASSWORD_HASH_TEXT], const char *text,
    size_t len);
/** A hash that no password has, and that takes as long to check as others do.
 */
void password_decoy(char out[PASSWORD_HASH_TEXT], enum password_cost cost);

/** Five bits a letter in groups of five, without letters that look alike:
 * "h3k9q-7wmzt-..."; `letters` (a multiple of 5) of them. */
#define PASSWORD_ONE_TIME_LETTERS 25
#define PASSWORD_ONE_TIME_TEXT 30
#define PASSWORD_RECOVERY_LETTERS 15
#define PASSWORD_RECOVERY_TEXT 18
void password_make_code(char *out, size_t letters);
/** As it was made: lower case, without what people put between. False when it
 * is no such code. `out` holds letters + 1. */
bool password_plain_code(char *out, size_t letters, const char *text);

#endif
