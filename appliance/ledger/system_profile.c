/*
 * What people want to know of a tenant: the system store keeps it sealed, for
 * names and addresses of people stand in it. See system.h.
 */
#include "appliance/ledger/system_private.h"

#include "shared/base/err.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define SEALED_MAX 2048
#define SEAL_KEY crypto_aead_xchacha20poly1305_ietf_KEYBYTES

/* Of all that is sealed in this store. */
static uint8_t *
seal_key(const struct system_store *system)
{
	uint8_t *key = sodium_malloc(SEAL_KEY);

	if (key != NULL)
		crypto_kdf_derive_from_key(key, SEAL_KEY, 1, "lhprofil",
		    system->hash_key);
	return key;
}

/* Bound to its key: nothing passes for another's. */
int
system_put_sealed(MDB_txn *txn, struct system_store *system, MDB_dbi table,
    const void *name, size_t name_len, const struct record *record,
    const void *value)
{
	struct buf plain = { .max = SEALED_MAX };
	uint8_t sealed[NONCE + SEALED_MAX + TAG];
	uint8_t *key = seal_key(system);
	int rc = ENOMEM;

	record_write_msgpack(&plain, record, value);
	if (key != NULL && !plain.failed) {
		randombytes_buf(sealed, NONCE);
		crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE, NULL,
		    plain.data, plain.len, name, name_len, NULL, sealed, key);
		MDB_val k = { name_len, (void *)(uintptr_t)name };
		MDB_val v = { NONCE + plain.len + TAG, sealed };

		rc = mdb_put(txn, table, &k, &v, 0);
	}
	sodium_free(key);
	if (plain.data != NULL)
		sodium_memzero(plain.data, plain.len);
	buf_release(&plain);
	return rc;
}

int
system_open_sealed(void *out, const struct system_store *system,
    const MDB_val *k, const MDB_val *v, const struct record *record)
{
	const uint8_t *sealed = v->mv_data;
	uint8_t plain[SEALED_MAX];
	unsigned long long len = 0;
	struct arena arena = { 0 };
	uint8_t *key = seal_key(system);
	int rc = key == NULL ? ENOMEM : MDB_CORRUPTED;

	if (key != NULL && v->mv_size >= NONCE + TAG &&
	    v->mv_size - NONCE - TAG <= sizeof(plain) &&
	    crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &len, NULL,
		sealed + NONCE, v->mv_size - NONCE, k->mv_data, k->mv_size,
		sealed, key) == 0 &&
	    record_read_msgpack(out, record, plain, (size_t)len, NULL, &arena,
		NULL) == 0)
		rc = 0;
	arena_release(&arena);
	sodium_free(key);
	sodium_memzero(plain, sizeof(plain));
	return rc;
}

int
system_put_profile(MDB_txn *txn, struct system_store *system, const char *name,
    const struct tenant_profile *profile)
{
	return system_put_sealed(txn, system, system->profiles, name,
	    strlen(name), &tenant_profile_record, profile);
}

static int
get_profile(struct tenant_profile *profile, MDB_txn *txn,
    const struct system_store *system, const char *name)
{
	MDB_val k = { strlen(name), (void *)(uintptr_t)name }, v;
	int rc = mdb_get(txn, system->profiles, &k, &v);

	return rc == 0 ? system_open_sealed(profile, system, &k, &v,
			     &tenant_profile_record)
		       : rc;
}

int
system_profile_load(struct tenant_profile *profile, struct system_store *system,
    const char *name)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = get_profile(profile, txn, system, name);
	mdb_txn_abort(txn);
	if (rc == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	return rc == 0 ? 0 : system_failed(rc, "read");
}

/* --- changes ----------------------------------------------------------------- */

static bool
is_empty(const void *value, size_t size)
{
	return sodium_is_zero(value, size) == 1;
}

bool
system_profile_changes(const struct tenant_change *change)
{
	return change->partnerName[0] != '\0' || change->tier[0] != '\0' ||
	    !is_empty(&change->contactInfo, sizeof(change->contactInfo)) ||
	    !is_empty(&change->branding, sizeof(change->branding));
}

static void
merge(struct tenant_profile *profile, const struct tenant_change *change)
{
	if (change->partnerName[0] != '\0')
		memcpy(profile->partnerName, change->partnerName,
		    sizeof(profile->partnerName));
	if (change->tier[0] != '\0')
		memcpy(profile->tier, change->tier, sizeof(profile->tier));
	if (!is_empty(&change->contactInfo, sizeof(change->contactInfo)))
		profile->contactInfo = change->contactInfo;
	if (!is_empty(&change->branding, sizeof(change->branding)))
		profile->branding = change->branding;
}

/* The whole profile is sealed as one. It is read in the transaction that writes
 * it, so that no erasure in between is undone. */
int
system_change_profile(MDB_txn *txn, struct system_store *system,
    const char *name, const struct tenant_change *change)
{
	struct tenant_profile profile;

	memset(&profile, 0, sizeof(profile));
	int rc = get_profile(&profile, txn, system, name);

	if (rc == 0 || rc == MDB_NOTFOUND) {
		merge(&profile, change);
		rc = system_put_profile(txn, system, name, &profile);
	}
	sodium_memzero(&profile, sizeof(profile));
	return rc;
}

/* --- one person -------------------------------------------------------------- */

/* As people write names: around it no spaces, and case is no matter. */
static bool
is_same(const char *mine, const char *his)
{
	mine += strspn(mine, " ");
	his += strspn(his, " ");
	size_t len = strlen(his);

	while (len > 0 && his[len - 1] == ' ')
		len--;
	return len > 0 && strncasecmp(mine, his, len) == 0 &&
	    mine[len + strspn(mine + len, " ")] == '\0';
}

static bool
is_contact(const struct tenant_contact *contact, const char *person)
{
	return is_same(contact->name, person) ||
	    is_same(contact->email, person);
}

int
system_contact_find(struct tenant_contact *contact, struct system_store *system,
    const char *tenant, const char *person)
{
	struct tenant_profile profile;
	int rc = system_profile_load(&profile, system, tenant);

	if (rc == 0 && !is_contact(&profile.contactInfo, person))
		rc = ERR_NOT_FOUND;
	if (rc == 0)
		*contact = profile.contactInfo;
	sodium_memzero(&profile, sizeof(profile));
	return rc;
}

int
system_contact_erase(struct system_store *system, const char *tenant,
    const char *person)
{
	struct tenant_profile profile;
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = get_profile(&profile, txn, system, tenant);
	if (rc == MDB_NOTFOUND ||
	    (rc == 0 && !is_contact(&profile.contactInfo, person))) {
		mdb_txn_abort(txn);
		sodium_memzero(&profile, sizeof(profile));
		return ERR_NOT_FOUND;
	}
	if (rc == 0) {
		memset(&profile.contactInfo, 0, sizeof(profile.contactInfo));
		rc = system_put_profile(txn, system, tenant, &profile);
	}
	sodium_memzero(&profile, sizeof(profile));
	return system_finish(txn, rc, "write");
}
