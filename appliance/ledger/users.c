#include "appliance/ledger/users.h"

#include "appliance/ledger/turning.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/rpc/operations.h"

#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- documents ----------------------------------------------------------- */

/* As it is stored; the codes that are left side by side. */
struct user_sealed {
	char login[USER_LOGIN_MAX + 1];
	char name[128];
	char mail[128];
	char hash[PASSWORD_HASH_TEXT];
	bool one_time;
	bool totp;
	uint8_t secret[TOTP_SECRET_BYTES];
	uint8_t begun[TOTP_SECRET_BYTES];
	struct record_span recovery;
};

static const struct record_field user_sealed_fields[] = {
	R_TEXT(user_sealed, login, 1, USER_LOGIN_MAX, 0, "Login"),
	R_TEXT(user_sealed, name, 0, 127, 0, "Name"),
	R_TEXT(user_sealed, mail, 0, 127, 0, "Mail"),
	R_TEXT(user_sealed, hash, 0, 127, RECORD_SECRET, "Of the password"),
	R_BOOL(user_sealed, one_time, 0, "It is to be changed"),
	R_BOOL(user_sealed, totp, 0, "A code is asked for"),
	R_FIXED(user_sealed, secret, RECORD_SECRET, "Of his codes"),
	R_FIXED(user_sealed, begun, RECORD_SECRET, "Not confirmed yet"),
	R_BLOB(user_sealed, recovery, 0,
	    USER_RECOVERY_CODES *USER_RECOVERY_BYTES, RECORD_SECRET,
	    "Hashes of recovery codes"),
};
static RECORD_DEFINE(user_sealed, 1, "A person who logs in");

static int
read_document(struct user_document *out, const struct sealed *sealed)
{
	struct user_sealed in;
	struct arena arena = { .chunks = NULL };
	int err = record_read_msgpack(&in, &user_sealed_record, sealed->data,
	    sealed->len, NULL, &arena, NULL);

	if (err == 0 && in.recovery.len % USER_RECOVERY_BYTES != 0)
		err = ERR_CORRUPT;
	if (err != 0) {
		log_error("users", "a user's document is damaged");
		arena_release(&arena);
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	}
	memset(out, 0, sizeof *out);
	memcpy(out->login, in.login, sizeof out->login);
	memcpy(out->name, in.name, sizeof out->name);
	memcpy(out->mail, in.mail, sizeof out->mail);
	memcpy(out->hash, in.hash, sizeof out->hash);
	out->one_time = in.one_time;
	out->totp = in.totp;
	memcpy(out->secret, in.secret, sizeof out->secret);
	memcpy(out->begun, in.begun, sizeof out->begun);
	out->n_recovery = in.recovery.len / USER_RECOVERY_BYTES;
	if (in.recovery.len > 0)
		memcpy(out->recovery, in.recovery.data, in.recovery.len);
	sodium_memzero(&in, sizeof in);
	arena_release(&arena);
	return 0;
}

int
user_document_get(struct user_document *out, const struct state *state,
    const struct sealed_keys *keys, const struct state_user *user)
{
	struct sealed sealed;
	int err = user->state == USER_REMOVED
	    ? ERR_NOT_FOUND_INTERNAL
	    : sealed_get(&sealed, state, keys, SEALED_USER, user->document);

	if (err != 0)
		return err;
	err = read_document(out, &sealed);
	sealed_wipe(&sealed);
	return err;
}

int
user_document_put(uint8_t id[SEALED_ID_BYTES], uint8_t commitment[32],
    struct state *state, const struct sealed_keys *keys,
    const struct user_document *document, const uint8_t entropy[SEALED_ENTROPY])
{
	struct user_sealed out = {
		.one_time = document->one_time,
		.totp = document->totp,
		.recovery = { document->recovery,
		    document->n_recovery * USER_RECOVERY_BYTES },
	};
	struct buf bytes = { .len = 0 };

	memcpy(out.login, document->login, sizeof out.login);
	memcpy(out.name, document->name, sizeof out.name);
	memcpy(out.mail, document->mail, sizeof out.mail);
	memcpy(out.hash, document->hash, sizeof out.hash);
	memcpy(out.secret, document->secret, sizeof out.secret);
	memcpy(out.begun, document->begun, sizeof out.begun);
	record_write_msgpack(&bytes, &user_sealed_record, &out);
	int err = bytes.failed
	    ? ERR_NOMEM
	    : sealed_put(id, commitment, state, keys, SEALED_USER, bytes.data,
		  bytes.len, entropy);

	if (bytes.data != NULL)
		sodium_memzero(bytes.data, bytes.len);
	buf_release(&bytes);
	sodium_memzero(&out, sizeof out);
	return err;
}

void
user_document_wipe(struct user_document *document)
{
	sodium_memzero(document, sizeof *document);
}

/* --- logins -------------------------------------------------------------- */

struct user_keys {
	struct turning *index; /* one key */
	uint8_t recovery[crypto_generichash_KEYBYTES];
};

static void
derive_index(uint8_t key[TURNING_KEY], const uint8_t root[32])
{
	crypto_kdf_derive_from_key(key, TURNING_KEY, 1, "lhusers_", root);
}

struct user_keys *
user_keys_new(const uint8_t tenant_key[32], const uint8_t root[32])
{
	struct user_keys *keys = sodium_malloc(sizeof *keys);
	uint8_t index[TURNING_KEY];

	if (keys == NULL)
		return NULL;
	derive_index(index, root);
	keys->index = turning_new(index, 1);
	sodium_memzero(index, sizeof index);
	if (keys->index == NULL) {
		sodium_free(keys);
		return NULL;
	}
	crypto_kdf_derive_from_key(keys->recovery, sizeof keys->recovery, 2,
	    "lhusers_", tenant_key);
	sodium_mprotect_readonly(keys);
	return keys;
}

void
user_keys_free(struct user_keys *keys)
{
	if (keys != NULL)
		turning_free(keys->index);
	sodium_free(keys);
}

void
user_keys_turn(struct user_keys *keys, const uint8_t root[32])
{
	uint8_t index[TURNING_KEY];

	derive_index(index, root);
	turning_turn(keys->index, index);
	sodium_memzero(index, sizeof index);
}

void
user_keys_back(struct user_keys *keys)
{
	turning_back(keys->index);
}

bool
ledger_login_read(char out[USER_LOGIN_MAX + 1], const char *text)
{
	size_t len = strnlen(text, USER_LOGIN_MAX + 1);

	if (len == 0 || len > USER_LOGIN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!plain && (i == 0 || strchr("._-@+", c) == NULL))
			return false;
		out[i] = c;
	}
	out[len] = '\0';
	return true;
}

/* False: there is no index before this one. */
static bool
login_key(uint8_t key[32], const struct user_keys *keys, bool before,
    const char *login)
{
	uint8_t index[TURNING_KEY];

	if (!turning_get(index, keys->index, 0, before))
		return false;
	crypto_generichash(key, 32, (const uint8_t *)login, strlen(login),
	    index, sizeof index);
	sodium_memzero(index, sizeof index);
	return true;
}

int
user_find(uint64_t *user, const struct state *state,
    const struct user_keys *keys, const char *login)
{
	struct record_span value;
	uint8_t key[32];

	login_key(key, keys, false, login);
	int err =
	    store_get(&value, &state->txn, STORE_USER_LOGINS, key, sizeof key);

	if (err == ERR_NOT_FOUND_INTERNAL && login_key(key, keys, true, login))
		err = store_get(&value, &state->txn, STORE_USER_LOGINS, key,
		    sizeof key);
	if (err == 0 && value.len != 8)
		return ERR_CORRUPT;
	if (err == 0)
		*user = be64_read(value.data);
	return err;
}

int
user_login_put(struct state *state, const struct user_keys *keys,
    const char *login, uint64_t user)
{
	uint8_t key[32], value[8];

	login_key(key, keys, false, login);
	be64_write(value, user);
	return store_put(&state->txn, STORE_USER_LOGINS, key, sizeof key, value,
	    sizeof value);
}

int
user_login_delete(struct state *state, const struct user_keys *keys,
    const char *login)
{
	uint8_t key[32];

	login_key(key, keys, false, login);
	return store_delete(&state->txn, STORE_USER_LOGINS, key, sizeof key);
}

void
user_recovery_hash(uint8_t out[USER_RECOVERY_BYTES],
    const struct user_keys *keys, uint64_t user, const char *plain_code)
{
	crypto_generichash_state st;
	uint8_t number[8];

	be64_write(number, user);
	crypto_generichash_init(&st, keys->recovery, sizeof keys->recovery,
	    USER_RECOVERY_BYTES);
	crypto_generichash_update(&st, number, sizeof number);
	crypto_generichash_update(&st, (const uint8_t *)plain_code,
	    strlen(plain_code));
	crypto_generichash_final(&st, out, USER_RECOVERY_BYTES);
}

/* --- other keys ------------------------------------------------------------ */

/* Logins that are there, read before they are written. */
struct logins {
	const struct state *state;
	const struct sealed_keys *sealed;
	struct named_login {
		uint64_t user;
		char login[USER_LOGIN_MAX + 1];
	} * items;
	size_t n, size;
};

static int
read_login(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct logins *logins = ctx;
	struct user_document document;
	struct state_user user;
	int err = state_user_read(&user, key, value);

	if (err != 0 || user.state == USER_REMOVED)
		return err;
	if (logins->n == logins->size) {
		size_t size = logins->size == 0 ? 64 : 2 * logins->size;
		struct named_login *items =
		    reallocarray(logins->items, size, sizeof *items);

		if (items == NULL)
			return ERR_NOMEM;
		logins->items = items;
		logins->size = size;
	}
	err =
	    user_document_get(&document, logins->state, logins->sealed, &user);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct named_login *item = &logins->items[logins->n++];

	item->user = user.user;
	memcpy(item->login, document.login, sizeof item->login);
	user_document_wipe(&document);
	return 0;
}

int
user_logins_turn(struct state *state, const struct user_keys *keys,
    const struct sealed_keys *sealed)
{
	struct logins logins = { .state = state, .sealed = sealed };
	int err =
	    store_each(&state->txn, STORE_USERS, NULL, 0, read_login, &logins);

	if (err == 0)
		err = store_clear(&state->txn, STORE_USER_LOGINS);
	for (size_t i = 0; i < logins.n && err == 0; i++)
		err = user_login_put(state, keys, logins.items[i].login,
		    logins.items[i].user);
	if (logins.items != NULL)
		sodium_memzero(logins.items,
		    logins.size * sizeof *logins.items);
	free(logins.items);
	return err;
}

/* --- roles --------------------------------------------------------------- */

scope_set
ledger_role_scopes(uint32_t role)
{
	const scope_set reader = SCOPE_BIT(SCOPE_SELF) | SCOPE_BIT(SCOPE_READ) |
	    SCOPE_BIT(SCOPE_USAGE_READ);

	switch ((enum user_role)role) {
	case USER_OWNER:
	case USER_ADMIN:
		return reader | SCOPES_ADMIN;
	case USER_OPERATOR:
		return reader | SCOPE_BIT(SCOPE_DEVICES) |
		    SCOPE_BIT(SCOPE_LEASES);
	case USER_AUDITOR:
		return reader | SCOPE_BIT(SCOPE_AUDIT);
	case USER_VIEWER:
		return reader;
	case USER_ROLES:
		break;
	}
	return 0;
}
