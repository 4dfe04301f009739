#include "appliance/ledger/system_private.h"

#include "shared/backup/dump.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAP_BYTES ((size_t)256 << 20)

static const struct record_field system_clock_fields[] = {
	R_TEXT(system_clock, boot, 0, 63, 0, "Boot id of the kernel"),
	R_I64(system_clock, offset_ms, INT64_MIN, INT64_MAX, 0,
	    "Site time less CLOCK_BOOTTIME"),
};
static RECORD_DEFINE(system_clock, 1, "The site clock of one boot");

static const struct record_field system_tick_fields[] = {
	R_ENUM(system_tick, witness, witness_class_names, 0,
	    "Where it is kept besides"),
	R_U64(system_tick, counter, 0, (UINT64_C(1) << 53) - 1, 0, "Its value"),
	R_BOOL(system_tick, making, 0, "The witness is about to be made"),
	R_U64(system_tick, base, 0, (UINT64_C(1) << 53) - 1, 0,
	    "Its value less that of the TPM's counter"),
	R_U64(system_tick, clock_ms, 0, (UINT64_C(1) << 53) - 1, 0,
	    "The TPM's clock"),
	R_U64(system_tick, resets, 0, (UINT64_C(1) << 53) - 1, 0,
	    "The TPM's resets"),
	R_TIME(system_tick, at, 0, "When it was written"),
};
static RECORD_DEFINE(system_tick, 1, "The site's own counter");

static const struct record_field system_generation_fields[] = {
	R_U64(system_generation, counter, 0, (UINT64_C(1) << 53) - 1, 0,
	    "The site's counter in its rows"),
	R_ENUM(system_generation, witness, witness_class_names, 0,
	    "Where it was kept besides"),
	R_U64(system_generation, stored, 0, (UINT64_C(1) << 53) - 1, 0,
	    "What the store had"),
	R_U64(system_generation, witnessed, 0, (UINT64_C(1) << 53) - 1, 0,
	    "What the witness had"),
	R_TEXT(system_generation, reason, 0, 127, RECORD_OPTIONAL,
	    "What happened"),
	R_STRUCT(system_generation, by, &row_actor_record, 0, "Who says so"),
};
static RECORD_DEFINE(system_generation, 1, "An acknowledged rollback");
/* A fact beside it, of the same struct: it came later. */
static const struct record_field system_generation_wall_fields[] = {
	R_TIME(system_generation, wall, 0, "When, by the wall clock"),
};
static const struct record system_generation_wall_record = {
	.name = "system_generation_wall",
	.doc = "When a rollback was acknowledged",
	.version = 1,
	.size = sizeof(struct system_generation),
	.fields = system_generation_wall_fields,
	.n_fields = sizeof(system_generation_wall_fields) /
	    sizeof(system_generation_wall_fields[0]),
};

int
system_failed(int rc, const char *what)
{
	log_error("system", "cannot %s the site's store: %s", what,
	    mdb_strerror(rc));
	if (rc == MDB_MAP_FULL || rc == ENOSPC)
		return ERR_FULL;
	if (rc == ENOMEM)
		return ERR_NOMEM;
	if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ||
	    rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
		return ERR_CORRUPT;
	return ERR_IO;
}

static int
open_env(MDB_env **env, const char *path)
{
	int rc = mdb_env_create(env);

	if (rc != 0)
		return rc;
	if ((rc = mdb_env_set_mapsize(*env, MAP_BYTES)) == 0 &&
	    (rc = mdb_env_set_maxdbs(*env, 16)) == 0 &&
	    (rc = file_reserve_lmdb_lock(path)) == 0)
		rc = mdb_env_open(*env, path, MDB_NOTLS, 0600);
	if (rc != 0) {
		mdb_env_close(*env);
		*env = NULL;
	}
	return rc;
}

static int
open_tables(struct system_store *system, unsigned int flags)
{
	MDB_txn *txn;
	int rc =
	    mdb_txn_begin(system->env, NULL, flags == 0 ? MDB_RDONLY : 0, &txn);

	if (rc != 0)
		return rc;
	if ((rc = mdb_dbi_open(txn, "tenants", flags, &system->tenants)) != 0 ||
	    (rc = mdb_dbi_open(txn, "hosts", flags, &system->hosts)) != 0 ||
	    (rc = mdb_dbi_open(txn, "profiles", flags, &system->profiles)) !=
		0 ||
	    (rc = mdb_dbi_open(txn, "usage", flags, &system->usage)) != 0 ||
	    (rc = mdb_dbi_open(txn, "keys", flags, &system->keys)) != 0 ||
	    (rc = mdb_dbi_open(txn, "facts", flags, &system->facts)) != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

int
system_create(const char *path)
{
	struct system_store system = { 0 };
	int rc = open_env(&system.env, path);

	if (rc == 0)
		rc = open_tables(&system, MDB_CREATE);
	mdb_env_close(system.env);
	return rc == 0 ? 0 : system_failed(rc, "make");
}

int
system_open(struct system_store **out, const char *path,
    const uint8_t hash_key[SYSTEM_HASH_KEY_BYTES])
{
	struct system_store *system = calloc(1, sizeof(*system));

	if (system == NULL)
		return ERR_NOMEM;
	system->hash_key = sodium_malloc(SYSTEM_HASH_KEY_BYTES);
	if (system->hash_key == NULL) {
		free(system);
		return ERR_NOMEM;
	}
	memcpy(system->hash_key, hash_key, SYSTEM_HASH_KEY_BYTES);
	sodium_mprotect_readonly(system->hash_key);
	int rc = open_env(&system->env, path);

	if (rc == 0)
		rc = open_tables(system, 0);
	if (rc != 0) {
		system_close(system);
		return system_failed(rc, "open");
	}
	*out = system;
	return 0;
}

void
system_close(struct system_store *system)
{
	if (system == NULL)
		return;
	if (system->env != NULL)
		mdb_env_close(system->env);
	sodium_free(system->hash_key);
	free(system);
}

/* --- one value ----------------------------------------------------------- */

int
system_put(MDB_txn *txn, MDB_dbi table, const void *key, size_t key_len,
    const struct record *record, const void *value, unsigned int flags)
{
	struct buf bytes = { 0 };

	record_write_msgpack(&bytes, record, value);
	if (bytes.failed) {
		buf_release(&bytes);
		return ENOMEM;
	}
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	MDB_val v = { bytes.len, bytes.data };
	int rc = mdb_put(txn, table, &k, &v, flags);

	buf_release(&bytes);
	return rc;
}

/* Returns what LMDB says, or MDB_CORRUPTED; the records hold no spans. */
int
system_get(void *out, MDB_txn *txn, MDB_dbi table, const void *key,
    size_t key_len, const struct record *record)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key }, v;
	struct arena arena = { 0 };
	int rc = mdb_get(txn, table, &k, &v);

	if (rc != 0)
		return rc;
	rc = record_read_msgpack(out, record, v.mv_data, v.mv_size, NULL,
	    &arena, NULL);
	arena_release(&arena);
	return rc == 0 ? 0 : MDB_CORRUPTED;
}

int
system_delete(MDB_txn *txn, MDB_dbi table, const void *key, size_t len)
{
	MDB_val k = { len, (void *)(uintptr_t)key };
	int rc = mdb_del(txn, table, &k, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Ends the transaction: commits when all went well so far. */
int
system_finish(MDB_txn *txn, int rc, const char *what)
{
	if (rc != 0)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
	if (rc == MDB_KEYEXIST)
		return ERR_CONFLICT;
	return rc == 0 ? 0 : system_failed(rc, what);
}

int
system_next(uint64_t *number, MDB_txn *txn, struct system_store *system,
    const char *name)
{
	MDB_val k = { strlen(name), (void *)(uintptr_t)name }, v;
	uint8_t bytes[8];
	int rc = mdb_get(txn, system->facts, &k, &v);

	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	if (rc == 0 && v.mv_size != sizeof(bytes))
		return MDB_CORRUPTED;
	*number = rc == 0 ? be64_read(v.mv_data) : 1;
	be64_write(bytes, *number + 1);
	v = (MDB_val){ sizeof(bytes), bytes };
	return mdb_put(txn, system->facts, &k, &v, 0);
}

/* --- the clock ----------------------------------------------------------- */

static const char clock_name[] = "clock";

int
system_clock_load(struct system_clock *clock, struct system_store *system)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = system_get(clock, txn, system->facts, clock_name,
	    sizeof(clock_name) - 1, &system_clock_record);
	mdb_txn_abort(txn);
	if (rc == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	return rc == 0 ? 0 : system_failed(rc, "read");
}

int
system_clock_save(struct system_store *system, const struct system_clock *clock)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_put(txn, system->facts, clock_name, sizeof(clock_name) - 1,
	    &system_clock_record, clock, 0);
	return system_finish(txn, rc, "write");
}

/* --- the site's own counter ----------------------------------------------- */

static const char tick_name[] = "tick";
static const char generation_name[] = "generation";
static const char wall_name[] = "generation_wall";

struct system_name
system_name_of(const char *what, const char *tenant)
{
	struct system_name key;
	int len = snprintf(key.name, sizeof(key.name), "%s/%s", what, tenant);

	key.len =
	    (size_t)len < sizeof(key.name) ? (size_t)len : sizeof(key.name) - 1;
	return key;
}

int
system_load_fact(void *out, struct system_store *system, const char *name,
    size_t len, const struct record *record)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = system_get(out, txn, system->facts, name, len, record);
	mdb_txn_abort(txn);
	if (rc == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	return rc == 0 ? 0 : system_failed(rc, "read");
}

int
system_tick_load(struct system_tick *tick, struct system_store *system)
{
	return system_load_fact(tick, system, tick_name, sizeof(tick_name) - 1,
	    &system_tick_record);
}

static int
put_anchor(MDB_txn *txn, struct system_store *system,
    const struct system_anchor *anchor, bool settled)
{
	struct system_name key = system_name_of("anchor", anchor->tenant);
	int rc = system_put(txn, system->facts, key.name, key.len,
	    &row_mark_record, &anchor->mark, 0);

	if (rc != 0 || !settled)
		return rc;
	key = system_name_of("evidence", anchor->tenant);
	rc = system_delete(txn, system->facts, key.name, key.len);
	/* It is open: a note that it is not was what showed the rollback. */
	key = system_name_of("quiet", anchor->tenant);
	return rc == 0 ? system_delete(txn, system->facts, key.name, key.len)
		       : rc;
}

int
system_tick_save(struct system_store *system, const struct system_tick *tick,
    const struct system_anchor *anchors, size_t n,
    const struct system_generation *settled)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_put(txn, system->facts, tick_name, sizeof(tick_name) - 1,
	    &system_tick_record, tick, 0);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = put_anchor(txn, system, &anchors[i], settled != NULL);
	if (rc == 0 && settled != NULL)
		rc = system_put(txn, system->facts, generation_name,
		    sizeof(generation_name) - 1, &system_generation_record,
		    settled, 0);
	if (rc == 0 && settled != NULL)
		rc = system_put(txn, system->facts, wall_name,
		    sizeof(wall_name) - 1, &system_generation_wall_record,
		    settled, 0);
	return system_finish(txn, rc, "write");
}

int
system_generation_load(struct system_generation *generation,
    struct system_store *system)
{
	struct system_generation wall;
	int rc = system_load_fact(generation, system, generation_name,
	    sizeof(generation_name) - 1, &system_generation_record);

	if (rc != 0)
		return rc;
	rc = system_load_fact(&wall, system, wall_name, sizeof(wall_name) - 1,
	    &system_generation_wall_record);
	generation->wall = rc == 0 ? wall.wall : 0;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int
system_anchor_load(struct row_mark *mark, struct system_store *system,
    const char *tenant)
{
	struct system_name key = system_name_of("anchor", tenant);

	return system_load_fact(mark, system, key.name, key.len,
	    &row_mark_record);
}

int
system_evidence_load(struct row_mark *mark, struct system_store *system,
    const char *tenant)
{
	struct system_name key = system_name_of("evidence", tenant);

	return system_load_fact(mark, system, key.name, key.len,
	    &row_mark_record);
}

int
system_save_mark(struct system_store *system, const char *what,
    const char *tenant, const struct row_mark *mark)
{
	struct system_name key = system_name_of(what, tenant);
	MDB_txn *txn;
	int rc = mdb_txn_begin(system->env, NULL, 0, &txn);

	if (rc != 0)
		return system_failed(rc, "write");
	rc = system_put(txn, system->facts, key.name, key.len, &row_mark_record,
	    mark, 0);
	return system_finish(txn, rc, "write");
}

int
system_evidence_save(struct system_store *system, const char *tenant,
    const struct row_mark *mark)
{
	return system_save_mark(system, "evidence", tenant, mark);
}

/* --- copies ----------------------------------------------------------------- */

static int
dump_entries_of(struct dump_writer *out, MDB_txn *txn, MDB_dbi table)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int err = 0, rc = mdb_cursor_open(txn, table, &cursor);

	if (rc != 0)
		return system_failed(rc, "read");
	while (err == 0 && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		err =
		    dump_entry(out, k.mv_data, k.mv_size, v.mv_data, v.mv_size);
	mdb_cursor_close(cursor);
	if (err != 0)
		return err;
	return rc == MDB_NOTFOUND ? 0 : system_failed(rc, "read");
}

/* Every table that is there: their names are the keys of the main one. */
static int
dump_tables(struct dump_writer *out, MDB_txn *txn, MDB_cursor *cursor)
{
	char name[DUMP_NAME_MAX + 1];
	MDB_val k, v;
	MDB_dbi table;
	int rc, err = 0;

	while (
	    err == 0 && (rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
		if (!text_copy_n(name, sizeof(name), k.mv_data, k.mv_size))
			return ERR_CORRUPT;
		/* They are open all: no new handle is made here. */
		rc = mdb_dbi_open(txn, name, 0, &table);
		if (rc != 0)
			return system_failed(rc, "read");
		err = dump_table(out, name);
		if (err == 0)
			err = dump_entries_of(out, txn, table);
	}
	return err;
}

int
system_dump(struct dump_writer *out, struct system_store *system)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_dbi names;
	int err, rc = mdb_txn_begin(system->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return system_failed(rc, "read");
	rc = mdb_dbi_open(txn, NULL, 0, &names);
	if (rc == 0)
		rc = mdb_cursor_open(txn, names, &cursor);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return system_failed(rc, "read");
	}
	err = dump_tables(out, txn, cursor);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return err;
}
