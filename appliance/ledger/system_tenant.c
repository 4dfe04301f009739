/*
 * Tenants in the system store: what they are, their host names, where the
 * journals of closed ones stood, and what each did on each day.
 */
#include "appliance/ledger/system_private.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static const struct record_field system_tenant_fields[] = {
	R_TEXT(system_tenant, name, 1, 63, 0, "Name"),
	R_TIME(system_tenant, created_at, 0, "When it was made"),
	R_U64(system_tenant, number, 1, U53_MAX, 0, "Number"),
	R_ENUM(system_tenant, status, tenant_status_names, 0, "Status"),
	R_TEXT(system_tenant, reason, 0, 127, RECORD_OPTIONAL,
	    "Why it is suspended"),
	R_U64(system_tenant, revision, 0, U53_MAX, 0,
	    "Of what its journal is to know"),
	R_STRUCT(system_tenant, limits, &tenant_limits_record, RECORD_OPTIONAL,
	    "What it may use"),
	R_FIXED(system_tenant, made_by, RECORD_OPTIONAL,
	    "The Idempotency-Key that made it"),
	R_FIXED(system_tenant, made_of, RECORD_OPTIONAL,
	    "Digest of the request that made it"),
};
static RECORD_DEFINE(system_tenant, 1, "A tenant of the site");

static const struct record_field system_quiet_fields[] = {
	R_STRUCT(system_quiet, mark, &row_mark_record, 0, "Its journal's end"),
	R_TIME(system_quiet, time, 0, "Its journal's time"),
	R_U64(system_quiet, tick, 0, U53_MAX, 0, "The site's counter"),
	R_BOOL(system_quiet, owes_clock, 0, "It has not seen this row"),
	R_STRUCT(system_quiet, clock, &row_clock_record, RECORD_OPTIONAL,
	    "The clock was put back"),
};
static RECORD_DEFINE(system_quiet, 1, "A tenant that is closed");

static const struct record_field system_usage_fields[] = {
	R_U64(system_usage, calls, 0, U53_MAX, 0, "Requests"),
	R_U64(system_usage, errors, 0, U53_MAX, 0,
	    "Of them, refused or failed"),
	R_U64(system_usage, micros, 0, U53_MAX, 0, "To answer them"),
	R_U32(system_usage, peak, 0, UINT32_MAX, 0, "Leases at once"),
	R_FIXED(system_usage, users, 0, "Who, as bits"),
};
static RECORD_DEFINE(system_usage, 1, "A day of a tenant");

bool
system_tenant_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > SYSTEM_TENANT_MAX || name[0] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* --- tenants --------------------------------------------------------------- */

int
system_put_tenant(MDB_txn *txn, struct system_store *system,
    const struct system_tenant *tenant, unsigned int flags)
{
	return system_put(txn, system->tenants, tenant->name,
	    strlen(tenant->name), &system_tenant_record, tenant, flags);
}

static int
add_tenant(struct system_store *system, struct system_tenant *tenant,
    const struct tenant_profile *profile)
{
	struct system_tenant added = *tenant;
	MDB_txn *txn;

	if (!system_tenant_is_valid(tenant->name))
		return ERR_BAD_REQUEST;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_next(&added.number, txn, system, "next_tenant");
	if (rc == 0)
		rc = system_put_tenant(txn, system, &added, MDB_NOOVERWRITE);
	if (rc == 0 && profile != NULL)
		rc = system_put_profile(txn, system, tenant->name, profile);
	rc = system_finish(txn, rc, "write");
	if (rc == 0)
		*tenant = added;
	return rc;
}

int
system_tenant_add(struct system_store *system, const char *name, int64_t now_ms)
{
	struct system_tenant tenant = {
		.created_at = now_ms,
		.status = TENANT_ACTIVE,
	};

	return text_copy(tenant.name, sizeof(tenant.name), name)
	    ? add_tenant(system, &tenant, NULL)
	    : ERR_BAD_REQUEST;
}

int
system_tenant_begin(struct system_tenant *tenant, struct system_store *system,
    const struct tenant_profile *profile)
{
	tenant->status = TENANT_PROVISIONING;
	tenant->number = 0;
	return add_tenant(system, tenant, profile);
}

int
system_tenant_load(struct system_tenant *tenant, struct system_store *system,
    const char *name)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = system_get(tenant, txn, system->tenants, name, strlen(name),
	    &system_tenant_record);
	mdb_txn_abort(txn);
	if (rc == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	return rc == 0 ? 0 : system_failed(rc, "read");
}

static bool
names_tenant(const MDB_val *v, const char *name)
{
	return v->mv_size == strlen(name) &&
	    memcmp(v->mv_data, name, v->mv_size) == 0;
}

static int
clear_hosts(MDB_txn *txn, struct system_store *system, const char *name)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, system->hosts, &cursor);

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		if (names_tenant(&v, name) &&
		    (rc = mdb_cursor_del(cursor, 0)) != 0)
			break;
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
put_hosts(MDB_txn *txn, struct system_store *system, const char *name,
    const struct tenant_host_name *hosts, size_t n)
{
	int rc = clear_hosts(txn, system, name);

	for (size_t i = 0; i < n && rc == 0; i++) {
		MDB_val k = { strlen(hosts[i].host),
			(void *)(uintptr_t)hosts[i].host };
		MDB_val v = { strlen(name), (void *)(uintptr_t)name };

		rc = mdb_put(txn, system->hosts, &k, &v, MDB_NOOVERWRITE);
		if (rc == MDB_KEYEXIST && names_tenant(&v, name))
			rc = 0; /* it stood there twice */
	}
	return rc;
}

int
system_tenant_put(struct system_store *system,
    const struct system_tenant *tenant, const struct tenant_change *change,
    const struct tenant_host_name *hosts, size_t n)
{
	return system_tenant_change(system, tenant, change, hosts, n, NULL);
}

int
system_tenant_change(struct system_store *system,
    const struct system_tenant *tenant, const struct tenant_change *change,
    const struct tenant_host_name *hosts, size_t n,
    const struct system_owed *owed)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	if (owed != NULL)
		rc = system_put_owed(txn, system, tenant->name, owed);
	if (rc == ERR_BUSY) {
		mdb_txn_abort(txn);
		return rc;
	}
	if (rc == 0)
		rc = system_put_tenant(txn, system, tenant, 0);
	if (rc == 0 && change != NULL)
		rc = system_change_profile(txn, system, tenant->name, change);
	if (rc == 0 && hosts != NULL)
		rc = put_hosts(txn, system, tenant->name, hosts, n);
	return system_finish(txn, rc, "write");
}

static int
clear_keys(MDB_txn *txn, struct system_store *system, const char *name)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, system->keys, &cursor);

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		if (system_key_is_of(v.mv_data, v.mv_size, name) &&
		    (rc = mdb_cursor_del(cursor, 0)) != 0)
			break;
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Days are behind the name and a NUL, which no name holds. */
static size_t
usage_key(uint8_t key[SYSTEM_TENANT_MAX + 8], const char *tenant, int32_t day)
{
	size_t len = strnlen(tenant, SYSTEM_TENANT_MAX);

	memcpy(key, tenant, len);
	key[len++] = 0;
	be32_write(key + len, (uint32_t)day);
	return len + 4;
}

static int
clear_usage(MDB_txn *txn, struct system_store *system, const char *name)
{
	uint8_t key[SYSTEM_TENANT_MAX + 8];
	size_t len = usage_key(key, name, 0);
	MDB_val k = { len, key }, v;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, system->usage, &cursor);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size == len &&
	    memcmp(k.mv_data, key, len - 4) == 0) {
		rc = mdb_cursor_del(cursor, 0);
		if (rc == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
system_tenant_delete(struct system_store *system, const char *name)
{
	static const char *const facts[] = { "quiet", "anchor", "evidence" };
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = clear_hosts(txn, system, name);
	if (rc == 0)
		rc = clear_keys(txn, system, name);
	if (rc == 0)
		rc = clear_usage(txn, system, name);
	if (rc == 0)
		rc = system_clear_owed(txn, system, name, UINT64_MAX);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]) && rc == 0;
	     i++) {
		struct system_name key = system_name_of(facts[i], name);

		rc = system_delete(txn, system->facts, key.name, key.len);
	}
	if (rc == 0)
		rc = system_delete(txn, system->profiles, name, strlen(name));
	if (rc == 0)
		rc = system_delete(txn, system->tenants, name, strlen(name));
	return system_finish(txn, rc, "write");
}

/* --- walks ----------------------------------------------------------------- */

static int
walk(struct system_store *system, MDB_dbi table,
    int (*each)(void *ctx, const MDB_val *k, const MDB_val *v), void *ctx)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val k, v;
	int err = 0;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = mdb_cursor_open(txn, table, &cursor);
	if (rc == 0) {
		while (err == 0 &&
		    (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
			err = each(ctx, &k, &v);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	if (err != 0)
		return err;
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : system_failed(rc, "read");
}

struct tenant_walk {
	int (*each)(void *ctx, const struct system_tenant *tenant);
	int (*host)(void *ctx, const char *host, const char *tenant);
	void *ctx;
};

static int
read_value(void *out, const struct record *record, const MDB_val *v)
{
	struct arena arena = { 0 };
	int rc = record_read_msgpack(out, record, v->mv_data, v->mv_size, NULL,
	    &arena, NULL);

	arena_release(&arena);
	return rc == 0 ? 0 : ERR_CORRUPT;
}

static int
walk_tenant(void *ctx, const MDB_val *k, const MDB_val *v)
{
	const struct tenant_walk *way = ctx;
	struct system_tenant tenant;

	(void)k;
	int rc = read_value(&tenant, &system_tenant_record, v);

	return rc == 0 ? way->each(way->ctx, &tenant) : rc;
}

int
system_each_tenant(struct system_store *system,
    int (*each)(void *ctx, const struct system_tenant *tenant), void *ctx)
{
	struct tenant_walk way = { .each = each, .ctx = ctx };

	return walk(system, system->tenants, walk_tenant, &way);
}

static int
walk_host(void *ctx, const MDB_val *k, const MDB_val *v)
{
	const struct tenant_walk *way = ctx;
	char host[128], tenant[64];

	if (!text_copy_n(host, sizeof(host), k->mv_data, k->mv_size) ||
	    !text_copy_n(tenant, sizeof(tenant), v->mv_data, v->mv_size))
		return ERR_CORRUPT;
	return way->host(way->ctx, host, tenant);
}

int
system_each_host(struct system_store *system,
    int (*each)(void *ctx, const char *host, const char *tenant), void *ctx)
{
	struct tenant_walk way = { .host = each, .ctx = ctx };

	return walk(system, system->hosts, walk_host, &way);
}

/* --- quiet ones ------------------------------------------------------------- */

int
system_quiet_load(struct system_quiet *quiet, struct system_store *system,
    const char *name)
{
	struct system_name key = system_name_of("quiet", name);

	return system_load_fact(quiet, system, key.name, key.len,
	    &system_quiet_record);
}

int
system_quiet_save(struct system_store *system, const char *name,
    const struct system_quiet *quiet)
{
	struct system_name key = system_name_of("quiet", name);
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_put(txn, system->facts, key.name, key.len,
	    &system_quiet_record, quiet, 0);
	return system_finish(txn, rc, "write");
}

int
system_quiet_clear(struct system_store *system, const char *name)
{
	struct system_name key = system_name_of("quiet", name);
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_delete(txn, system->facts, key.name, key.len);
	return system_finish(txn, rc, "write");
}

static int
correct_quiet(MDB_txn *txn, struct system_store *system, const MDB_val *name,
    const struct row_clock *row)
{
	struct system_quiet quiet;
	char text[64];

	if (!text_copy_n(text, sizeof(text), name->mv_data, name->mv_size))
		return MDB_CORRUPTED;
	struct system_name key = system_name_of("quiet", text);
	int rc = system_get(&quiet, txn, system->facts, key.name, key.len,
	    &system_quiet_record);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (quiet.time > row->wall)
		quiet.time = row->wall;
	quiet.owes_clock = true;
	quiet.clock = *row;
	return system_put(txn, system->facts, key.name, key.len,
	    &system_quiet_record, &quiet, 0);
}

int
system_quiet_correct(struct system_store *system, const struct row_clock *row)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = mdb_cursor_open(txn, system->tenants, &cursor);
	if (rc == 0) {
		while ((rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0 &&
		    (rc = correct_quiet(txn, system, &k, row)) == 0)
			;
		mdb_cursor_close(cursor);
		rc = rc == MDB_NOTFOUND ? 0 : rc;
	}
	return system_finish(txn, rc, "write");
}

/* --- usage ------------------------------------------------------------------- */

int
system_usage_save(struct system_store *system,
    const struct system_usage_item *items, size_t n)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	for (size_t i = 0; i < n && rc == 0; i++) {
		uint8_t key[SYSTEM_TENANT_MAX + 8];
		size_t len = usage_key(key, items[i].tenant, items[i].day);

		rc = system_put(txn, system->usage, key, len,
		    &system_usage_record, &items[i].usage, 0);
	}
	return system_finish(txn, rc, "write");
}

int
system_usage_load(struct system_usage *usage, struct system_store *system,
    const char *tenant, int32_t day)
{
	uint8_t key[SYSTEM_TENANT_MAX + 8];
	size_t len = usage_key(key, tenant, day);
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = system_get(usage, txn, system->usage, key, len,
	    &system_usage_record);
	mdb_txn_abort(txn);
	if (rc == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	return rc == 0 ? 0 : system_failed(rc, "read");
}

/* Days after 1970 only, so that their order is that of their bytes. */
static int
walk_usage(MDB_cursor *cursor, const char *tenant, int32_t first, int32_t last,
    int (*each)(void *ctx, int32_t day, const struct system_usage *usage),
    void *ctx)
{
	uint8_t key[SYSTEM_TENANT_MAX + 8];
	size_t len = usage_key(key, tenant, first);
	MDB_val k = { len, key }, v;
	int rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

	while (rc == 0 && k.mv_size == len &&
	    memcmp(k.mv_data, key, len - 4) == 0) {
		const uint8_t *found = k.mv_data;
		int32_t day = (int32_t)be32_read(found + len - 4);
		struct system_usage usage;

		if (day > last)
			return 0;
		int err = read_value(&usage, &system_usage_record, &v);

		if (err == 0)
			err = each(ctx, day, &usage);
		if (err != 0)
			return err;
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : system_failed(rc, "read");
}

int
system_each_usage(struct system_store *system, const char *tenant,
    int32_t first, int32_t last,
    int (*each)(void *ctx, int32_t day, const struct system_usage *usage),
    void *ctx)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	if ((rc = mdb_cursor_open(txn, system->usage, &cursor)) != 0) {
		mdb_txn_abort(txn);
		return system_failed(rc, "read");
	}
	rc = walk_usage(cursor, tenant, first < 0 ? 0 : first, last, each, ctx);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc;
}
