/* The environment, its place and its transactions. See metering.h. */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file is sparse. */
#define MAP_BYTES ((size_t)64 << 30)
#define META_BYTES 64

static const char *const tables[METERING_TABLES] = {
	[METERING_META] = "meta",
	[METERING_NAMES] = "names",
	[METERING_LINES] = "lines",
	[METERING_HOURS] = "hours",
	[METERING_LEASES] = "leases",
	[METERING_LICENSES] = "licenses",
	[METERING_DIGESTS] = "digests",
	[METERING_OVERAGES] = "overages",
};
static const char meta_key[] = "place";

int
metering_error(int rc, const char *what)
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
		log_warn("metering", "no room to %s: %s", what,
		    mdb_strerror(rc));
		return ERR_FULL;
	case ENOMEM:
		log_error("metering", "no memory to %s", what);
		return ERR_NOMEM;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		log_error("metering", "cannot %s: %s", what, mdb_strerror(rc));
		return ERR_CORRUPT;
	default:
		log_error("metering", "cannot %s: %s", what, mdb_strerror(rc));
		return ERR_IO;
	}
}

/* --- the environment -------------------------------------------------------- */

static int
open_tables(struct metering *metering)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(metering->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < METERING_TABLES && rc == 0; i++)
		rc = mdb_dbi_open(txn, tables[i], MDB_CREATE,
		    &metering->table[i]);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static int
open_env(struct metering *metering)
{
	unsigned int flags = MDB_NOTLS;
	int dead, rc;

	if (mkdir(metering->path, 0700) != 0 && errno != EEXIST)
		return errno;
	if (metering->volatile_)
		flags |= MDB_NOSYNC | MDB_NOMETASYNC;
	rc = mdb_env_create(&metering->env);
	if (rc != 0)
		return rc;
	rc = mdb_env_set_maxdbs(metering->env, METERING_TABLES);
	if (rc == 0)
		rc = mdb_env_set_mapsize(metering->env, metering->map_bytes);
	if (rc == 0)
		rc = mdb_env_open(metering->env, metering->path, flags, 0600);
	if (rc == 0)
		rc = mdb_reader_check(metering->env, &dead);
	return rc == 0 ? open_tables(metering) : rc;
}

static void
close_env(struct metering *metering)
{
	if (metering->env != NULL)
		mdb_env_close(metering->env);
	metering->env = NULL;
}

int
metering_clear(struct metering *metering)
{
	static const char *const files[] = { "data.mdb", "lock.mdb" };
	char name[sizeof(metering->path) + 16];

	close_env(metering);
	for (size_t i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s/%s", metering->path, files[i]);
		if (unlink(name) != 0 && errno != ENOENT)
			return metering_error(errno, "remove the projection");
	}
	return metering_error(open_env(metering), "make the projection");
}

/* Of another format, or damaged: it is made of the journal, so away with it. */
static bool
is_usable(struct metering *metering)
{
	struct metering_place place;

	return metering_place(&place, metering) == 0;
}

int
metering_open(struct metering **out, const char *path, size_t map_bytes,
    bool volatile_)
{
	struct metering *metering = calloc(1, sizeof(*metering));

	if (metering == NULL)
		return ERR_NOMEM;
	metering->map_bytes = map_bytes != 0 ? map_bytes : MAP_BYTES;
	metering->volatile_ = volatile_;
	if (snprintf(metering->path, sizeof(metering->path), "%s", path) >=
	    (int)sizeof(metering->path)) {
		free(metering);
		return ERR_BAD_REQUEST;
	}
	int err = metering_error(open_env(metering), "open the projection");

	if (err == ERR_CORRUPT || (err == 0 && !is_usable(metering))) {
		log_warn("metering",
		    "%s is of another release or damaged: it is made anew",
		    path);
		err = metering_clear(metering);
	}
	if (err != 0) {
		metering_close(metering);
		return err;
	}
	*out = metering;
	return 0;
}

void
metering_close(struct metering *metering)
{
	if (metering == NULL)
		return;
	close_env(metering);
	free(metering);
}

int
metering_sync(struct metering *metering)
{
	return metering_error(mdb_env_sync(metering->env, 1), "sync");
}

uint64_t
metering_bytes(struct metering *metering)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(metering->env, &info) != 0 ||
	    mdb_env_stat(metering->env, &stat) != 0)
		return 0;
	return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* --- the place -------------------------------------------------------------- */

int
metering_place_read(struct metering_place *place, uint32_t *next_line,
    const struct metering *metering, MDB_txn *txn)
{
	MDB_val key = { sizeof(meta_key), (void *)(uintptr_t)meta_key };
	MDB_val value;
	int rc = mdb_get(txn, metering->table[METERING_META], &key, &value);

	*place = (struct metering_place){ .time = INT64_MIN };
	*next_line = 1;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return metering_error(rc, "read the place");
	const uint8_t *p = value.mv_data;

	if (value.mv_size != META_BYTES || be32_read(p) != METERING_FORMAT)
		return ERR_CORRUPT;
	*next_line = be32_read(p + 4);
	place->batch = be64_read(p + 8);
	place->row = be64_read(p + 16);
	place->time = (int64_t)be64_read(p + 24);
	memcpy(place->head, p + 32, 32);
	return 0;
}

static int
place_write(struct metering_txn *txn)
{
	const struct metering_place *place = &txn->place;
	uint8_t bytes[META_BYTES];

	be32_write(bytes, METERING_FORMAT);
	be32_write(bytes + 4, txn->next_line);
	be64_write(bytes + 8, place->batch);
	be64_write(bytes + 16, place->row);
	be64_write(bytes + 24, (uint64_t)place->time);
	memcpy(bytes + 32, place->head, 32);
	return metering_put(txn, METERING_META, meta_key, sizeof(meta_key),
	    bytes, sizeof(bytes));
}

int
metering_place(struct metering_place *place, struct metering *metering)
{
	uint32_t next_line;
	MDB_txn *txn;
	int rc = mdb_txn_begin(metering->env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return metering_error(rc, "begin to read");
	int err = metering_place_read(place, &next_line, metering, txn);

	mdb_txn_abort(txn);
	return err;
}

/* --- transactions ----------------------------------------------------------- */

int
metering_put(struct metering_txn *txn, enum metering_table table,
    const void *key, size_t key_len, const void *value, size_t len)
{
	MDB_val at = { key_len, (void *)(uintptr_t)key };
	MDB_val bytes = { len, (void *)(uintptr_t)value };

	return metering_error(mdb_put(txn->txn, txn->metering->table[table],
				  &at, &bytes, 0),
	    "write what was used");
}

int
metering_get(MDB_val *value, const struct metering_txn *txn,
    enum metering_table table, const void *key, size_t len)
{
	MDB_val at = { len, (void *)(uintptr_t)key };

	return metering_error(mdb_get(txn->txn, txn->metering->table[table],
				  &at, value),
	    "look up what was used");
}

int
metering_begin(struct metering_txn **out, struct metering *metering)
{
	struct metering_txn *txn = calloc(1, sizeof(*txn));
	struct hot *hot = malloc(HOT_LINES * sizeof(*hot));

	if (txn == NULL || hot == NULL) {
		free(txn);
		free(hot);
		return ERR_NOMEM;
	}
	txn->metering = metering;
	txn->hot = hot;
	int err =
	    metering_error(mdb_txn_begin(metering->env, NULL, 0, &txn->txn),
		"begin to write");

	if (err == 0)
		err = metering_place_read(&txn->place, &txn->next_line,
		    metering, txn->txn);
	if (err != 0) {
		metering_abort(txn);
		return err;
	}
	*out = txn;
	return 0;
}

void
metering_batch(struct metering_txn *txn, uint64_t batch, const uint8_t head[32],
    uint64_t last_row, int64_t time)
{
	txn->place.batch = batch + 1;
	txn->place.row = last_row;
	if (time > txn->place.time)
		txn->place.time = time;
	memcpy(txn->place.head, head, 32);
}

static void
txn_free(struct metering_txn *txn)
{
	arena_release(&txn->arena);
	free(txn->hot);
	free(txn);
}

int
metering_commit(struct metering_txn *txn)
{
	int err = hot_flush(txn);

	if (err == 0)
		err = place_write(txn);
	if (err != 0) {
		metering_abort(txn);
		return err;
	}
	int rc = mdb_txn_commit(txn->txn);

	txn_free(txn);
	return metering_error(rc, "write what was used");
}

void
metering_abort(struct metering_txn *txn)
{
	if (txn == NULL)
		return;
	if (txn->txn != NULL)
		mdb_txn_abort(txn->txn);
	txn_free(txn);
}
