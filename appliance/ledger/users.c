#include "appliance/ledger/users.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/rpc/operations.h"

#include <ctype.h>
#include <sodium.h>
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
	uint8_t index[crypto_generichash_KEYBYTES];
	uint8_t recovery[crypto_generichash_KEYBYTES];
};

struct user_keys *
user_keys_new(const uint8_t tenant_key[32])
{
	struct user_keys *keys = sodium_malloc(sizeof *keys);

	if (keys == NULL)
		return NULL;
	crypto_kdf_derive_from_key(keys->index, sizeof keys->index, 1,
	    "lhusers_", tenant_key);
	crypto_kdf_derive_from_key(keys->recovery, sizeof keys->recovery, 2,
	    "lhusers_", tenant_key);
	sodium_mprotect_readonly(keys);
	return keys;
}

void
user_keys_free(struct user_keys *keys)
{
	sodium_free(keys);
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

static void
login_key(uint8_t key[32], const struct user_keys *keys, const char *login)
{
	crypto_generichash(key, 32, (const uint8_t *)login, strlen(login),
	    keys->index, sizeof keys->index);
}

int
user_find(uint64_t *user, const struct state *state,
    const struct user_keys *keys, const char *login)
{
	struct record_span value;
	uint8_t key[32];

	login_key(key, keys, login);
	int err =
	    store_get(&value, &state->txn, STORE_USER_LOGINS, key, sizeof key);

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

	login_key(key, keys, login);
	be64_write(value, user);
	return store_put(&state->txn, STORE_USER_LOGINS, key, sizeof key, value,
	    sizeof value);
}

int
user_login_delete(struct state *state, const struct user_keys *keys,
    const char *login)
{
	uint8_t key[32];

	login_key(key, keys, login);
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
