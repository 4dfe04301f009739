/*
 * Between the files of the system store: the store itself and one value of it.
 * Only they may include it.
 */
#ifndef APPLIANCE_LEDGER_SYSTEM_PRIVATE_H
#define APPLIANCE_LEDGER_SYSTEM_PRIVATE_H

#include "appliance/ledger/system.h"

#include <lmdb.h>

struct system_store {
	MDB_env *env;
	MDB_dbi tenants; /* name -> system_tenant */
	MDB_dbi hosts; /* host name -> tenant's name */
	MDB_dbi profiles; /* tenant's name -> tenant_profile, sealed */
	MDB_dbi usage; /* tenant's name, NUL, day -> system_usage */
	MDB_dbi keys; /* keyed hash -> system_key */
	MDB_dbi facts; /* name -> bytes */
	uint8_t *hash_key;
};

/** A fact about one tenant: "quiet/NAME". */
struct system_name {
	char name[96];
	size_t len;
};
struct system_name system_name_of(const char *what, const char *tenant);

/** Logs, and gives our error for LMDB's. */
int system_failed(int rc, const char *what);
/** What LMDB says. */
int system_put(MDB_txn *txn, MDB_dbi table, const void *key, size_t key_len,
    const struct record *record, const void *value, unsigned int flags);
/** What LMDB says, or MDB_CORRUPTED; the record must hold no spans. */
int system_get(void *out, MDB_txn *txn, MDB_dbi table, const void *key,
    size_t key_len, const struct record *record);
/** MDB_NOTFOUND is fine. */
int system_delete(MDB_txn *txn, MDB_dbi table, const void *key, size_t len);
/** Where a tenant's journal stood, for what; committed. Ours. */
int system_save_mark(struct system_store *system, const char *what,
    const char *tenant, const struct row_mark *mark);
/** The next number of that name, from 1: none is ever given twice, also where
 * what had it is gone. What LMDB says. */
int system_next(uint64_t *number, MDB_txn *txn, struct system_store *system,
    const char *name);
int system_put_tenant(MDB_txn *txn, struct system_store *system,
    const struct system_tenant *tenant, unsigned int flags);
/** Encrypted under the store's own key. What LMDB says, or ENOMEM. */
int system_put_sealed(MDB_txn *txn, struct system_store *system, MDB_dbi table,
    const void *name, size_t name_len, const struct record *record,
    const void *value);
int system_open_sealed(void *out, const struct system_store *system,
    const MDB_val *k, const MDB_val *v, const struct record *record);
int system_put_owed(MDB_txn *txn, struct system_store *system, const char *name,
    const struct system_owed *owed);
int system_clear_owed(MDB_txn *txn, struct system_store *system,
    const char *name, uint64_t to);
int system_put_profile(MDB_txn *txn, struct system_store *system,
    const char *name, const struct tenant_profile *profile);
int system_change_profile(MDB_txn *txn, struct system_store *system,
    const char *name, const struct tenant_change *change);
/** Ends the transaction: commits when all went well so far. */
int system_finish(MDB_txn *txn, int rc, const char *what);
/** One fact, in a transaction of its own; ERR_NOT_FOUND. */
int system_load_fact(void *out, struct system_store *system, const char *name,
    size_t len, const struct record *record);

#endif
