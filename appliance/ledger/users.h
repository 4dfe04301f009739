/*
 * People who log in, as the store has them. What stands in rows and state is a
 * number, a role and a state; login, name, mail, the hash of the password and
 * the secrets of a second factor are one sealed document, and a login is found
 * by a keyed hash, both outside of the fold (DESIGN 5). It must not know of
 * sessions, requests or who may do what.
 */
#ifndef APPLIANCE_LEDGER_USERS_H
#define APPLIANCE_LEDGER_USERS_H

#include "appliance/ledger/fold.h"
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/password.h"
#include "appliance/ledger/sealed.h"
#include "appliance/ledger/totp.h"

/** Users of one tenant, those that were removed included. */
#define USERS_MAX 10000
#define USER_RECOVERY_CODES 10
#define USER_RECOVERY_BYTES 16

struct state_user {
	uint64_t user;
	enum user_role role;
	enum user_state state;
	enum user_source source;
	uint8_t document[SEALED_ID_BYTES];
	int64_t created_at;
	int64_t login_at; /* the last one; 0: never */
	/** Number of the row that last changed what a login rests on: role,
	 * state, password, second factor. */
	uint64_t epoch;
	uint64_t totp_step; /* used; see totp.h */
};

/* 0, ERR_NOT_FOUND_INTERNAL, ERR_CORRUPT or a fault of the store. */
int state_user(struct state_user *out, const struct state *state,
    uint64_t user);
int state_user_put(struct state *state, const struct state_user *user);
int state_user_read(struct state_user *out, const struct record_span *key,
    const struct record_span *value);
/** The number of the next one, from 1. */
int state_user_next(uint64_t *user, const struct state *state);

int fold_user_created(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_user_changed(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_user_login(struct state *state, const struct row *row,
    const struct fold_place *place);

/** What is sealed. Wipe it after use. */
struct user_document {
	char login[USER_LOGIN_MAX + 1];
	char name[128];
	char mail[128];
	char hash[PASSWORD_HASH_TEXT]; /* "": of the directory */
	bool one_time; /* the password is to be changed first */
	bool totp; /* a code is asked for */
	uint8_t secret[TOTP_SECRET_BYTES];
	uint8_t begun[TOTP_SECRET_BYTES]; /* shown, not confirmed yet */
	/** Keyed hashes of recovery codes that are left. */
	uint32_t n_recovery;
	uint8_t recovery[USER_RECOVERY_CODES][USER_RECOVERY_BYTES];
};

/** Keys derived from the tenant's and, of the index of logins, from `root`:
 * person_key_root(). In guarded memory. */
struct user_keys;
struct user_keys *user_keys_new(const uint8_t tenant_key[32],
    const uint8_t root[32]);
void user_keys_free(struct user_keys *keys);
/** As subject_keys_turn() and subject_keys_back(). */
void user_keys_turn(struct user_keys *keys, const uint8_t root[32]);
void user_keys_back(struct user_keys *keys);
/** After user_keys_turn(), and before the documents are sealed anew or after:
 * the index of logins is made anew out of them. */
int user_logins_turn(struct state *state, const struct user_keys *keys,
    const struct sealed_keys *sealed);

/** ERR_NOT_FOUND_INTERNAL when nobody has it. */
int user_find(uint64_t *user, const struct state *state,
    const struct user_keys *keys, const char *login);
int user_login_put(struct state *state, const struct user_keys *keys,
    const char *login, uint64_t user);
int user_login_delete(struct state *state, const struct user_keys *keys,
    const char *login);

void user_recovery_hash(uint8_t out[USER_RECOVERY_BYTES],
    const struct user_keys *keys, uint64_t user, const char *plain_code);

/** ERR_NOT_FOUND_INTERNAL when he was removed. */
int user_document_get(struct user_document *out, const struct state *state,
    const struct sealed_keys *keys, const struct state_user *user);
/** A new one, with a new id. */
int user_document_put(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32],
    struct state *state, const struct sealed_keys *keys,
    const struct user_document *document,
    const uint8_t entropy[SEALED_ENTROPY]);
void user_document_wipe(struct user_document *document);

/** As admins see him. */
int user_view_fill(struct user_view *out, const struct state *state,
    const struct sealed_keys *keys, const struct state_user *user);
/** As a login is checked. Wipe `out` after use. */
struct ledger_login;
void user_login_fill(struct ledger_login *out, const struct state_user *user,
    const struct user_document *document);

#endif
