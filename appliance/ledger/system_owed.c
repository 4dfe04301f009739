/*
 * Rows that a tenant's journal is to get of what the site's store has of it:
 * facts of the system store, "owed/NAME/REVISION", written in the transaction
 * that changes the tenant.
 */
#include "appliance/ledger/system_private.h"

#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

static const struct record_field system_owed_fields[] = {
	R_U64(system_owed, revision, 1, (UINT64_C(1) << 53) - 1, 0, "Which"),
	R_TIME(system_owed, at, 0, "When it became so"),
	R_ENUM(system_owed, status, tenant_status_names, 0, "Status"),
	R_STRUCT(system_owed, limits, &tenant_limits_record, RECORD_OPTIONAL,
	    "What it may use"),
	R_TEXT(system_owed, reason, 0, 127, RECORD_OPTIONAL, "Why"),
	R_STRUCT(system_owed, by, &row_actor_record, 0, "Who did it"),
};
static RECORD_DEFINE(system_owed, 1, "A row that a journal is to get");

/* No name of a tenant holds a slash; in the order of their revisions. */
static struct system_name
name_of(const char *tenant, uint64_t revision)
{
	char text[72];

	snprintf(text, sizeof(text), "%.*s/%020llu", SYSTEM_TENANT_MAX, tenant,
	    (unsigned long long)revision);
	return system_name_of("owed", text);
}

/* The first at `from` or behind; MDB_NOTFOUND. */
static int
seek(MDB_val *k, MDB_val *v, MDB_cursor *cursor, const char *tenant,
    uint64_t from)
{
	struct system_name name = name_of(tenant, from);
	size_t prefix = name.len - 20;

	*k = (MDB_val){ name.len, name.name };
	int rc = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);

	if (rc == 0 &&
	    (k->mv_size != name.len ||
		memcmp(k->mv_data, name.name, prefix) != 0))
		rc = MDB_NOTFOUND;
	return rc;
}

static int
is_full(MDB_txn *txn, struct system_store *system, const char *tenant)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	unsigned int n = 0;
	int rc = mdb_cursor_open(txn, system->facts, &cursor);

	if (rc != 0)
		return rc;
	struct system_name last = name_of(tenant, UINT64_MAX);

	rc = seek(&k, &v, cursor, tenant, 0);
	while (rc == 0 && k.mv_size == last.len &&
	    memcmp(k.mv_data, last.name, last.len - 20) == 0) {
		n++;
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	return n >= SYSTEM_OWED_MAX ? ERR_BUSY : 0;
}

int
system_put_owed(MDB_txn *txn, struct system_store *system, const char *name,
    const struct system_owed *owed)
{
	struct system_name key = name_of(name, owed->revision);
	int rc = is_full(txn, system, name);

	return rc != 0 ? rc
		       : system_put_sealed(txn, system, system->facts, key.name,
			     key.len, &system_owed_record, owed);
}

int
system_clear_owed(MDB_txn *txn, struct system_store *system, const char *name,
    uint64_t to)
{
	struct system_name last = name_of(name, to);
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, system->facts, &cursor);

	if (rc != 0)
		return rc;
	while ((rc = seek(&k, &v, cursor, name, 0)) == 0 &&
	    memcmp(k.mv_data, last.name, last.len) <= 0 &&
	    (rc = mdb_cursor_del(cursor, 0)) == 0)
		;
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
system_each_owed(struct system_store *system, const char *name, uint64_t after,
    int (*each)(void *ctx, const struct system_owed *owed), void *ctx)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val k, v;
	int err = 0, rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = mdb_cursor_open(txn, system->facts, &cursor);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return system_failed(rc, "read");
	}
	while (err == 0 && (rc = seek(&k, &v, cursor, name, after + 1)) == 0) {
		struct system_owed owed;

		rc = system_open_sealed(&owed, system, &k, &v,
		    &system_owed_record);
		if (rc != 0)
			break;
		after = owed.revision;
		err = each(ctx, &owed);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (err != 0)
		return err;
	return rc == MDB_NOTFOUND ? 0 : system_failed(rc, "read");
}

static int
stop_at_first(void *ctx, const struct system_owed *owed)
{
	*(uint64_t *)ctx = owed->revision;
	return 1;
}

int
system_owed_done(struct system_store *system, const char *name,
    uint64_t revision)
{
	uint64_t first = 0;
	MDB_txn *txn;
	int rc = system_each_owed(system, name, 0, stop_at_first, &first);

	if (rc < 0 || first == 0 || first > revision)
		return rc < 0 ? rc : 0;
	rc = mdb_txn_begin(system->env, NULL, 0, &txn);
	if (rc != 0)
		return system_failed(rc, "write");
	return system_finish(txn,
	    system_clear_owed(txn, system, name, revision), "write");
}
