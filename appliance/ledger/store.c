#include "appliance/ledger/store_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	bool state;
} tables[STORE_TABLES] = {
#define X(name, text, dumped) { text, dumped },
	STORE_TABLE_LIST(X)
#undef X
};

const char *
store_table_name(enum store_table table)
{
	return tables[table].name;
}

bool
store_table_is_state(enum store_table table)
{
	return tables[table].state;
}

/* Ours for LMDB's and the system's. Full is a warning: it passes when there is
 * room again, and the caller tells everybody who waits. */
int
store_error(int rc, const char *what)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return ERR_NOT_FOUND_INTERNAL;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
		log_warn("store", "no room to %s: %s", what, mdb_strerror(rc));
		return ERR_FULL;
	case ENOMEM:
		log_error("store", "no memory to %s", what);
		return ERR_NOMEM;
	case MDB_READERS_FULL:
		log_error("store", "too many readers to %s", what);
		return ERR_BUSY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_KEYEXIST:
		log_error("store", "cannot %s: %s", what, mdb_strerror(rc));
		return ERR_CORRUPT;
	default:
		log_error("store", "cannot %s: %s", what, mdb_strerror(rc));
		return ERR_IO;
	}
}

/* LMDB locks its own lock file with fcntl, which the same process may take
 * twice: so a lock of our own, which is one per open file. */
static int
store_lock(struct store *store, const char *path)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof name, "%s/writer.lock", path) >=
	    (int)sizeof name)
		return ERR_BAD_REQUEST;
	store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0) {
		log_error("store", "cannot open %s: %s", name, strerror(errno));
		return errno == ENOSPC ? ERR_FULL : ERR_SYSTEM;
	}
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		log_error("store", "%s is open in another process", path);
		return ERR_BUSY;
	}
	log_error("store", "cannot lock %s: %s", name, strerror(errno));
	return ERR_SYSTEM;
}

_Static_assert(STORE_META == 0, "the format is read first");

static int
store_open_tables(struct store *store, const struct store_options *options)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (rc != 0)
		return store_error(rc, "open the tables");
	for (size_t i = 0; i < STORE_TABLES && rc == 0; i++) {
		/* Tables that a later version added are made on the way. */
		unsigned int flags = options->create || i > 0 ? MDB_CREATE : 0;

		rc = mdb_dbi_open(txn, tables[i].name, flags, &store->table[i]);
		int err = rc == 0 && i == STORE_META
		    ? store_format_settle(&store->format, txn, store->table[i],
			  options)
		    : 0;

		if (err != 0) {
			mdb_txn_abort(txn);
			return err;
		}
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc == MDB_NOTFOUND ? ERR_NOT_FOUND
					  : store_error(rc, "open the tables");
	}
	return store_error(mdb_txn_commit(txn), "open the tables");
}

static int
store_open_env(struct store *store, const struct store_options *options)
{
	/* Readers belong to views, not to threads. */
	unsigned int flags = MDB_NOTLS;
	int dead = 0;
	int rc = mdb_env_create(&store->env);

	if (rc != 0)
		return store_error(rc, "make an environment");
	if (options->volatile_)
		flags |= MDB_NOSYNC | MDB_NOMETASYNC;
	rc = mdb_env_set_maxdbs(store->env, STORE_TABLES);
	if (rc == 0)
		rc = mdb_env_set_mapsize(store->env,
		    options->map_bytes != 0 ? options->map_bytes
					    : STORE_MAP_BYTES);
	if (rc == 0)
		rc = file_reserve_lmdb_lock(options->path);
	if (rc == 0)
		rc = mdb_env_open(store->env, options->path, flags, 0600);
	if (rc == 0)
		rc = mdb_reader_check(store->env, &dead);
	return store_error(rc, "open the environment");
}

static bool
store_exists(const char *path)
{
	char name[PATH_MAX];
	struct stat st;

	return snprintf(name, sizeof name, "%s/data.mdb", path) <
	    (int)sizeof name &&
	    stat(name, &st) == 0 && st.st_size > 0;
}

int
store_open(struct store **out, const struct store_options *options)
{
	const char *path = options->path;

	if (!options->create && !store_exists(path))
		return ERR_NOT_FOUND;
	if (options->create && mkdir(path, 0700) != 0 && errno != EEXIST) {
		log_error("store", "cannot make %s: %s", path, strerror(errno));
		return errno == ENOSPC ? ERR_FULL : ERR_SYSTEM;
	}
	struct store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return ERR_NOMEM;
	store->lock_fd = -1;
	store->map_grows = options->map_grows;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->changed, NULL);

	int err = store_lock(store, path);

	if (err == 0)
		err = store_open_env(store, options);
	if (err == 0)
		err = store_open_tables(store, options);
	if (err != 0) {
		store_close(store);
		return err;
	}
	*out = store;
	return 0;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->env != NULL)
		mdb_env_close(store->env);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

int
store_begin(struct store_txn *txn, struct store *store, bool write)
{
	/* Its map may be gone. */
	if (store_is_broken(store))
		return ERR_IO;
	store_enter(store);
	int rc =
	    mdb_txn_begin(store->env, NULL, write ? 0 : MDB_RDONLY, &txn->txn);

	txn->store = store;
	if (rc == 0)
		return 0;
	txn->txn = NULL;
	store_leave(store);
	if (rc == MDB_PANIC)
		atomic_store(&store->broken, true);
	return store_error(rc, write ? "begin to write" : "begin to read");
}

int
store_commit(struct store_txn *txn)
{
	int rc = mdb_txn_commit(txn->txn);

	txn->txn = NULL;
	store_leave(txn->store);
	/* LMDB calls a short write an input/output error; on a full disk it is
	 * one. */
	if (rc == EIO && store_disk_is_full(txn->store))
		rc = ENOSPC;
	return store_error(rc, "commit");
}

void
store_abort(struct store_txn *txn)
{
	if (txn->txn == NULL)
		return;
	mdb_txn_abort(txn->txn);
	txn->txn = NULL;
	store_leave(txn->store);
}

/* LMDB takes what it only reads through pointers that are not const. */
static MDB_val
store_val(const void *data, size_t len)
{
	MDB_val val = { .mv_size = len };

	memcpy(&val.mv_data, &data, sizeof data);
	return val;
}

static struct record_span
store_span(const MDB_val *val)
{
	return (struct record_span){ val->mv_data, (uint32_t)val->mv_size };
}

int
store_get(struct record_span *value, const struct store_txn *txn,
    enum store_table table, const void *key, size_t key_len)
{
	MDB_val k = store_val(key, key_len), v;
	int rc = mdb_get(txn->txn, txn->store->table[table], &k, &v);

	if (rc == 0)
		*value = store_span(&v);
	return rc == 0 ? 0 : store_error(rc, "read");
}

int
store_put(const struct store_txn *txn, enum store_table table, const void *key,
    size_t key_len, const void *data, size_t len)
{
	MDB_val k = store_val(key, key_len), v = store_val(data, len);

	return store_error(mdb_put(txn->txn, txn->store->table[table], &k, &v,
			       0),
	    "write");
}

int
store_append(const struct store_txn *txn, enum store_table table,
    const void *key, size_t key_len, const void *data, size_t len)
{
	MDB_val k = store_val(key, key_len), v = store_val(data, len);

	return store_error(mdb_put(txn->txn, txn->store->table[table], &k, &v,
			       MDB_APPEND),
	    "append");
}

int
store_delete(const struct store_txn *txn, enum store_table table,
    const void *key, size_t key_len)
{
	MDB_val k = store_val(key, key_len);

	return store_error(mdb_del(txn->txn, txn->store->table[table], &k,
			       NULL),
	    "delete");
}

int
store_clear(const struct store_txn *txn, enum store_table table)
{
	return store_error(mdb_drop(txn->txn, txn->store->table[table], 0),
	    "clear");
}

int
store_count(uint64_t *entries, const struct store_txn *txn,
    enum store_table table)
{
	MDB_stat stat;
	int rc = mdb_stat(txn->txn, txn->store->table[table], &stat);

	if (rc == 0)
		*entries = stat.ms_entries;
	return store_error(rc, "count");
}

int
store_last(struct record_span *key, struct record_span *value,
    const struct store_txn *txn, enum store_table table)
{
	MDB_cursor *cursor = NULL;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn->txn, txn->store->table[table], &cursor);

	if (rc != 0)
		return store_error(rc, "open a cursor");
	rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	if (rc == 0) {
		*key = store_span(&k);
		*value = store_span(&v);
	}
	mdb_cursor_close(cursor);
	return store_error(rc, "read");
}

int
store_next(uint64_t *number, const struct store_txn *txn,
    enum store_table table)
{
	struct record_span key, value;
	int err = store_last(&key, &value, txn, table);

	*number = 1;
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && key.len != 8)
		err = ERR_CORRUPT;
	if (err == 0)
		*number = be64_read(key.data) + 1;
	return err;
}

int
store_each(const struct store_txn *txn, enum store_table table,
    const void *from, size_t from_len,
    int (*each)(void *ctx, const struct record_span *key,
	const struct record_span *value),
    void *ctx)
{
	MDB_cursor *cursor = NULL;
	MDB_val k = store_val(from, from_len), v;
	int rc = mdb_cursor_open(txn->txn, txn->store->table[table], &cursor);
	int err = 0;

	if (rc != 0)
		return store_error(rc, "open a cursor");
	rc = mdb_cursor_get(cursor, &k, &v,
	    from != NULL ? MDB_SET_RANGE : MDB_FIRST);
	while (rc == 0 && err == 0) {
		struct record_span key = store_span(&k);
		struct record_span value = store_span(&v);

		err = each(ctx, &key, &value);
		if (err == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	if (err != 0)
		return err;
	return rc == MDB_NOTFOUND ? 0 : store_error(rc, "read");
}
