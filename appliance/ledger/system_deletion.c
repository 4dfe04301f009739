/*
 * Tenants that are being deleted, and certificates of those that were: facts of
 * the system store, "deleting/NAME" and "deleted/NUMBER".
 */
#include "appliance/ledger/system_private.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static const struct record_field system_deletion_fields[] = {
	R_U64(system_deletion, number, 0, (UINT64_C(1) << 53) - 1, 0,
	    "The tenant's number"),
	R_TEXT(system_deletion, tenant, 1, 63, 0, "Its name"),
	R_TEXT(system_deletion, token, 1, SYSTEM_TOKEN_MAX, 0,
	    "The certificate"),
};
static RECORD_DEFINE(system_deletion, 1, "A tenant that was deleted");

static const char kept[] = "deleted/";

static struct system_name
name_of_kept(uint64_t number)
{
	char text[32];

	/* In the order of their numbers. */
	snprintf(text, sizeof(text), "%020llu", (unsigned long long)number);
	return system_name_of("deleted", text);
}

int
system_deletion_begin(struct system_store *system,
    const struct system_tenant *tenant, const struct system_deletion *deletion)
{
	struct system_name key = system_name_of("deleting", tenant->name);
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_put(txn, system->facts, key.name, key.len,
	    &system_deletion_record, deletion, 0);
	if (rc == 0)
		rc = system_put_tenant(txn, system, tenant, 0);
	return system_finish(txn, rc, "write");
}

int
system_deletion_keep(struct system_store *system, const char *name)
{
	struct system_name key = system_name_of("deleting", name);
	struct system_deletion deletion;
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_get(&deletion, txn, system->facts, key.name, key.len,
	    &system_deletion_record);
	/* A crash came between this and the deletion of the tenant. */
	if (rc == MDB_NOTFOUND) {
		mdb_txn_abort(txn);
		return 0;
	}
	struct system_name place = name_of_kept(deletion.number);

	if (rc == 0)
		rc = system_put(txn, system->facts, place.name, place.len,
		    &system_deletion_record, &deletion, 0);
	if (rc == 0)
		rc = system_delete(txn, system->facts, key.name, key.len);
	return system_finish(txn, rc, "write");
}

static int
walk(MDB_cursor *cursor, uint64_t after,
    int (*each)(void *ctx, const struct system_deletion *deletion), void *ctx)
{
	struct system_name from = name_of_kept(after + 1);
	MDB_val k = { from.len, from.name }, v;
	int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE), err = 0;

	while (rc == 0 && err == 0 && k.mv_size > sizeof(kept) - 1 &&
	    memcmp(k.mv_data, kept, sizeof(kept) - 1) == 0) {
		struct system_deletion deletion;
		struct arena arena = { 0 };

		err = record_read_msgpack(&deletion, &system_deletion_record,
		    v.mv_data, v.mv_size, NULL, &arena, NULL);
		arena_release(&arena);
		if (err != 0)
			return ERR_CORRUPT;
		err = each(ctx, &deletion);
		if (err == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	if (err != 0)
		return err;
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : system_failed(rc, "read");
}

int
system_each_deletion(struct system_store *system, uint64_t after,
    int (*each)(void *ctx, const struct system_deletion *deletion), void *ctx)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	int err, rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = mdb_cursor_open(txn, system->facts, &cursor);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return system_failed(rc, "read");
	}
	err = walk(cursor, after, each, ctx);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return err;
}
