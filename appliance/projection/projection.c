/* The environment of a projection. See projection.h. */
#include "appliance/projection/projection.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
projection_error(const char *part, int rc, const char *what)
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
		log_warn(part, "no room to %s: %s", what, mdb_strerror(rc));
		return ERR_FULL;
	case ENOMEM:
		log_error(part, "no memory to %s", what);
		return ERR_NOMEM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_KEYEXIST:
		log_error(part, "cannot %s: %s", what, mdb_strerror(rc));
		return ERR_CORRUPT;
	default:
		log_error(part, "cannot %s: %s", what, mdb_strerror(rc));
		return ERR_IO;
	}
}

static int
failed(const struct projection *projection, int rc, const char *what)
{
	return projection_error(projection->kind->name, rc, what);
}

static int
open_tables(struct projection *projection)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(projection->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < projection->kind->n_tables && rc == 0; i++)
		rc = mdb_dbi_open(txn, projection->kind->tables[i].name,
		    projection->kind->tables[i].flags | MDB_CREATE,
		    &projection->table[i]);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
open_env(struct projection *projection)
{
	unsigned int flags = MDB_NOTLS;
	int dead, rc;

	if (mkdir(projection->path, 0700) != 0 && errno != EEXIST)
		return errno;
	if (projection->volatile_)
		flags |= MDB_NOSYNC | MDB_NOMETASYNC;
	rc = mdb_env_create(&projection->env);
	if (rc != 0)
		return rc;
	rc = mdb_env_set_maxdbs(projection->env, projection->kind->n_tables);
	if (rc == 0)
		rc =
		    mdb_env_set_mapsize(projection->env, projection->map_bytes);
	if (rc == 0)
		rc = file_reserve_lmdb_lock(projection->path);
	if (rc == 0)
		rc = mdb_env_open(projection->env, projection->path, flags,
		    0600);
	if (rc == 0)
		rc = mdb_reader_check(projection->env, &dead);
	return rc == 0 ? open_tables(projection) : rc;
}

static void
close_env(struct projection *projection)
{
	if (projection->env != NULL)
		mdb_env_close(projection->env);
	projection->env = NULL;
}

int
projection_clear(struct projection *projection)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	char name[sizeof(projection->path) + 16];

	close_env(projection);
	for (size_t i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s/%s", projection->path,
		    files[i]);
		if (unlink(name) != 0 && errno != ENOENT)
			return failed(projection, errno,
			    "remove the projection");
	}
	return failed(projection, open_env(projection), "make the projection");
}

int
projection_open(struct projection *projection,
    const struct projection_kind *kind, const char *path, size_t map_bytes,
    bool volatile_, bool (*is_usable)(void *ctx), void *ctx)
{
	*projection = (struct projection){
		.kind = kind,
		.map_bytes = map_bytes != 0 ? map_bytes : kind->map_bytes,
		.volatile_ = volatile_,
	};
	if (snprintf(projection->path, sizeof(projection->path), "%s", path) >=
	    (int)sizeof(projection->path))
		return ERR_BAD_REQUEST;
	int err =
	    failed(projection, open_env(projection), "open the projection");

	if (err == ERR_CORRUPT || (err == 0 && !is_usable(ctx))) {
		log_warn(kind->name,
		    "%s is of another release or damaged: it is made anew",
		    path);
		err = projection_clear(projection);
	}
	if (err != 0)
		close_env(projection);
	return err;
}

void
projection_close(struct projection *projection)
{
	close_env(projection);
}

int
projection_sync(struct projection *projection)
{
	return failed(projection, mdb_env_sync(projection->env, 1), "sync");
}

uint64_t
projection_bytes(struct projection *projection)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(projection->env, &info) != 0 ||
	    mdb_env_stat(projection->env, &stat) != 0)
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}
