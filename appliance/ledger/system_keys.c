/*
 * Admins' keys in the system store: made, found by what was presented, listed,
 * revoked. A key's text is never kept, only a keyed hash of it.
 */
#include "appliance/ledger/system_private.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

#define KEY_BYTES 32 /* of the random part: 43 characters of base64url */
#define KEY_TEXT 43
#define KEY_PREFIX "clsk_"

static const struct record_field system_key_fields[] = {
	R_U64(system_key, number, 1, (UINT64_C(1) << 53) - 1, 0, "Number"),
	R_TEXT(system_key, tenant, 1, 63, 0, "Whose"),
	R_TEXT(system_key, name, 0, 63, 0, "For people"),
	R_TIME(system_key, created_at, 0, "When it was made"),
	R_BOOL(system_key, revoked, 0, "No longer good"),
	R_U32(system_key, scopes, 0, UINT32_MAX, 0, "What it may"),
};
static RECORD_DEFINE(system_key, 1, "An admin's key");

/* Keyed, so that the order of the table says nothing about the keys and a
 * look-up by hash leaks nothing that a caller could steer by its timing. */
static void
hash_key_text(uint8_t hash[32], const struct system_store *system,
    const char *text, size_t len)
{
	crypto_generichash(hash, 32, (const uint8_t *)text, len,
	    system->hash_key, SYSTEM_HASH_KEY_BYTES);
}

static int
add_key(struct system_store *system, struct system_key *key,
    const uint8_t hash[32])
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	MDB_val k = { strlen(key->tenant), key->tenant }, v;

	rc = mdb_get(txn, system->tenants, &k, &v);
	if (rc == MDB_NOTFOUND) {
		mdb_txn_abort(txn);
		return ERR_NOT_FOUND;
	}
	if (rc == 0)
		rc = system_next(&key->number, txn, system, "next_key");
	if (rc == 0)
		rc = system_put(txn, system->keys, hash, 32, &system_key_record,
		    key, MDB_NOOVERWRITE);
	return system_finish(txn, rc, "write");
}

int
system_key_add(char text[SYSTEM_KEY_TEXT], struct system_store *system,
    const char *tenant, const char *name, uint32_t scopes, int64_t now_ms)
{
	struct system_key key = { .created_at = now_ms, .scopes = scopes };
	uint8_t random[KEY_BYTES], hash[32];
	struct buf out = { 0 };
	char encoded[TEXT_BASE64_SIZE(KEY_BYTES)];

	if (!system_tenant_is_valid(tenant) ||
	    !text_copy(key.tenant, sizeof(key.tenant), tenant) ||
	    !text_copy(key.name, sizeof(key.name), name))
		return ERR_BAD_REQUEST;
	randombytes_buf(random, sizeof(random));
	text_to_base64(encoded, random, sizeof(random));
	buf_printf(&out, KEY_PREFIX "%s_%s", tenant, encoded);
	bool fits =
	    !out.failed && text_copy(text, SYSTEM_KEY_TEXT, buf_text(&out));
	int rc = fits ? 0 : ERR_NOMEM;

	if (rc == 0) {
		hash_key_text(hash, system, text, strlen(text));
		rc = add_key(system, &key, hash);
	}
	if (out.data != NULL)
		sodium_memzero(out.data, out.len);
	buf_release(&out);
	sodium_memzero(random, sizeof(random));
	sodium_memzero(encoded, sizeof(encoded));
	if (rc != 0)
		sodium_memzero(text, SYSTEM_KEY_TEXT);
	return rc;
}

bool
system_key_is_of(const void *data, size_t len, const char *tenant)
{
	struct system_key key;
	struct arena arena = { 0 };
	int rc = record_read_msgpack(&key, &system_key_record, data, len, NULL,
	    &arena, NULL);

	arena_release(&arena);
	return rc == 0 && strcmp(key.tenant, tenant) == 0;
}

/* Only what has the shape is worth a hash and a look-up. */
bool
system_key_has_shape(char tenant[SYSTEM_TENANT_MAX + 1], const char *text,
    size_t len)
{
	const size_t prefix = sizeof(KEY_PREFIX) - 1;

	if (len >= SYSTEM_KEY_TEXT || len < prefix + 1 + 1 + KEY_TEXT ||
	    memcmp(text, KEY_PREFIX, prefix) != 0)
		return false;
	size_t tenant_len = len - prefix - 1 - KEY_TEXT;

	return text[prefix + tenant_len] == '_' &&
	    text_copy_n(tenant, SYSTEM_TENANT_MAX + 1, text + prefix,
		tenant_len) &&
	    system_tenant_is_valid(tenant);
}

int
system_key_find(struct system_key *key, struct system_store *system,
    const char *text, size_t len)
{
	char tenant[SYSTEM_TENANT_MAX + 1];
	uint8_t hash[32];
	MDB_txn *txn;

	if (!system_key_has_shape(tenant, text, len))
		return ERR_UNAUTHENTICATED;
	hash_key_text(hash, system, text, len);
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = system_get(key, txn, system->keys, hash, sizeof(hash),
	    &system_key_record);
	mdb_txn_abort(txn);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return system_failed(rc, "read");
	if (rc != 0 || key->revoked || strcmp(key->tenant, tenant) != 0)
		return ERR_UNAUTHENTICATED;
	return 0;
}

static int
read_key(struct system_key *key, const MDB_val *value)
{
	struct arena arena = { 0 };
	int rc = record_read_msgpack(key, &system_key_record, value->mv_data,
	    value->mv_size, NULL, &arena, NULL);

	arena_release(&arena);
	return rc == 0 ? 0 : MDB_CORRUPTED;
}

int
system_each_key(struct system_store *system,
    int (*each)(void *ctx, const struct system_key *key), void *ctx)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val k, v;
	struct system_key key;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn), err = 0;

	if (rc != 0)
		return system_failed(rc, "read");
	if ((rc = mdb_cursor_open(txn, system->keys, &cursor)) != 0) {
		mdb_txn_abort(txn);
		return system_failed(rc, "read");
	}
	while (
	    err == 0 && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		if ((rc = read_key(&key, &v)) != 0)
			break;
		err = each(ctx, &key);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (err != 0)
		return err;
	return rc == MDB_NOTFOUND ? 0 : system_failed(rc, "read");
}

/* Its place in the table, and how many others are good. */
static int
find_key(uint8_t hash[32], struct system_key *found, size_t *others,
    MDB_txn *txn, struct system_store *system, uint64_t number)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	struct system_key key;
	int rc = mdb_cursor_open(txn, system->keys, &cursor);

	if (rc != 0)
		return rc;
	*others = 0;
	found->number = 0;
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		rc = k.mv_size == 32 ? read_key(&key, &v) : MDB_CORRUPTED;
		if (rc != 0)
			break;
		if (key.number != number) {
			*others += !key.revoked;
			continue;
		}
		*found = key;
		memcpy(hash, k.mv_data, 32);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
system_key_revoke(struct system_store *system, uint64_t number)
{
	struct system_key key;
	uint8_t hash[32];
	size_t others;
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = find_key(hash, &key, &others, txn, system, number);
	if (rc == 0 &&
	    (key.number == 0 || key.revoked || (others == 0 && !key.revoked))) {
		mdb_txn_abort(txn);
		if (key.number == 0)
			return ERR_NOT_FOUND;
		return key.revoked ? 0 : ERR_CONFLICT;
	}
	key.revoked = true;
	if (rc == 0)
		rc = system_put(txn, system->keys, hash, sizeof(hash),
		    &system_key_record, &key, 0);
	return system_finish(txn, rc, "write");
}
