#include "appliance/ledger/load_store.h"

#include "appliance/ledger/store_private.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one transaction keeps in memory until it is written. */
#define TXN_BYTES ((size_t)16 << 20)
#define TABLES_MAX 96

struct load_store {
	char path[PATH_MAX];
	bool tenant;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi table;
	char name[64]; /* of the table */
	size_t bytes; /* in this transaction */
};

static int
begin(struct load_store *load)
{
	load->bytes = 0;
	return store_error(mdb_txn_begin(load->env, NULL, 0, &load->txn),
	    "begin to restore");
}

static int
commit(struct load_store *load)
{
	int rc = mdb_txn_commit(load->txn);

	load->txn = NULL;
	return store_error(rc, "restore");
}

int
load_store_open(struct load_store **out, const char *path, bool tenant)
{
	struct load_store *load = calloc(1, sizeof(*load));

	if (load == NULL)
		return ERR_NOMEM;
	load->tenant = tenant;
	if (!text_copy(load->path, sizeof(load->path), path)) {
		free(load);
		return ERR_TOO_LARGE;
	}
	int rc = mdb_env_create(&load->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(load->env, TABLES_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(load->env, STORE_MAP_BYTES);
	/* Synced once, at the end: until then nobody believes it. */
	if (rc == 0)
		rc = file_reserve_lmdb_lock(path);
	if (rc == 0)
		rc = mdb_env_open(load->env, path, MDB_NOSYNC, 0600);
	rc = store_error(rc, "make a store to restore into");
	if (rc == 0)
		rc = begin(load);
	if (rc != 0) {
		load_store_cancel(load);
		return rc;
	}
	*out = load;
	return 0;
}

static bool
is_known(const char *name)
{
	for (enum store_table i = 0; i < STORE_TABLES; i++)
		if (strcmp(store_table_name(i), name) == 0)
			return true;
	return false;
}

int
load_store_table(struct load_store *load, const char *name)
{
	if (load->tenant && !is_known(name)) {
		log_error("restore",
		    "the copy has a table %s, which this release does not "
		    "know: a later one made it",
		    name);
		return ERR_CORRUPT;
	}
	/* A handle is of the transaction that made it until that is over. */
	int rc = commit(load);

	if (rc == 0)
		rc = begin(load);
	text_copy(load->name, sizeof(load->name), name);
	return rc != 0 ? rc
		       : store_error(mdb_dbi_open(load->txn, name, MDB_CREATE,
					 &load->table),
			     "make a table");
}

int
load_store_entry(struct load_store *load, const void *key, size_t key_len,
    const void *value, size_t value_len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	MDB_val v = { value_len, (void *)(uintptr_t)value };
	int rc =
	    store_error(mdb_put(load->txn, load->table, &k, &v, MDB_APPEND),
		"restore");

	load->bytes += key_len + value_len;
	if (rc != 0 || load->bytes < TXN_BYTES)
		return rc;
	rc = commit(load);
	return rc == 0 ? begin(load) : rc;
}

static int
sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : ERR_IO;

	if (fd >= 0)
		close(fd);
	return rc;
}

int
load_store_finish(struct load_store *load)
{
	int rc = commit(load);

	if (rc == 0)
		rc = store_error(mdb_env_sync(load->env, 1), "restore");
	if (rc == 0)
		rc = sync_folder(load->path);
	load_store_cancel(load);
	return rc;
}

void
load_store_cancel(struct load_store *load)
{
	if (load == NULL)
		return;
	if (load->txn != NULL)
		mdb_txn_abort(load->txn);
	if (load->env != NULL)
		mdb_env_close(load->env);
	free(load);
}
