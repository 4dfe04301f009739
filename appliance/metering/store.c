/* The environment, its place and its transactions. See metering.h. */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

#define MAP_BYTES ((size_t)64 << 30)
#define META_BYTES 64

static const struct projection_table tables[METERING_TABLES] = {
	[METERING_META] = { "meta", 0 },
	[METERING_NAMES] = { "names", 0 },
	[METERING_LINES] = { "lines", 0 },
	[METERING_HOURS] = { "hours", 0 },
	[METERING_LEASES] = { "leases", 0 },
	[METERING_LICENSES] = { "licenses", 0 },
	[METERING_DIGESTS] = { "digests", 0 },
	[METERING_OVERAGES] = { "overages", 0 },
};
static const char meta_key[] = "place";

static const struct projection_kind kind = {
	.name = "metering",
	.tables = tables,
	.n_tables = METERING_TABLES,
	.map_bytes = MAP_BYTES,
};

/* --- the environment -------------------------------------------------------- */

/* It is made of the journal: of another format, away with it. */
static bool
is_usable(void *ctx)
{
	struct metering_place place;

	return metering_place(&place, ctx) == 0;
}

int
metering_open(struct metering **out, const char *path, size_t map_bytes,
    bool volatile_)
{
	struct metering *metering = calloc(1, sizeof(*metering));

	if (metering == NULL)
		return ERR_NOMEM;
	if (pthread_rwlock_init(&metering->lock, NULL) != 0) {
		free(metering);
		return ERR_NOMEM;
	}
	int err = projection_open(&metering->base, &kind, path, map_bytes,
	    volatile_, is_usable, metering);

	if (err != 0) {
		pthread_rwlock_destroy(&metering->lock);
		free(metering);
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
	projection_close(&metering->base);
	pthread_rwlock_destroy(&metering->lock);
	free(metering);
}

int
metering_clear(struct metering *metering)
{
	pthread_rwlock_wrlock(&metering->lock);
	int err = projection_clear(&metering->base);

	pthread_rwlock_unlock(&metering->lock);
	return err;
}

int
metering_sync(struct metering *metering)
{
	return projection_sync(&metering->base);
}

uint64_t
metering_bytes(struct metering *metering)
{
	return projection_bytes(&metering->base);
}

/* --- the place -------------------------------------------------------------- */

int
metering_place_read(struct metering_place *place, uint32_t *next_line,
    const struct metering *metering, MDB_txn *txn)
{
	MDB_val key = { sizeof(meta_key), (void *)(uintptr_t)meta_key };
	MDB_val value;
	int rc =
	    mdb_get(txn, metering->base.table[METERING_META], &key, &value);

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
metering_reader(MDB_txn **txn, struct metering *metering)
{
	pthread_rwlock_rdlock(&metering->lock);
	int err = metering->base.env == NULL
	    ? ERR_UNAVAILABLE
	    : metering_error(mdb_txn_begin(metering->base.env, NULL, MDB_RDONLY,
				 txn),
		  "begin to read");

	if (err != 0)
		pthread_rwlock_unlock(&metering->lock);
	return err;
}

void
metering_reader_end(MDB_txn *txn, struct metering *metering)
{
	mdb_txn_abort(txn);
	pthread_rwlock_unlock(&metering->lock);
}

int
metering_place(struct metering_place *place, struct metering *metering)
{
	uint32_t next_line;
	MDB_txn *txn;
	int err = metering_reader(&txn, metering);

	if (err != 0)
		return err;
	err = metering_place_read(place, &next_line, metering, txn);
	metering_reader_end(txn, metering);
	return err;
}

/* --- transactions ----------------------------------------------------------- */

int
metering_put(struct metering_txn *txn, enum metering_table table,
    const void *key, size_t key_len, const void *value, size_t len)
{
	MDB_val at = { key_len, (void *)(uintptr_t)key };
	MDB_val bytes = { len, (void *)(uintptr_t)value };

	return metering_error(mdb_put(txn->txn,
				  txn->metering->base.table[table], &at, &bytes,
				  0),
	    "write what was used");
}

int
metering_get(MDB_val *value, const struct metering_txn *txn,
    enum metering_table table, const void *key, size_t len)
{
	MDB_val at = { len, (void *)(uintptr_t)key };

	return metering_error(mdb_get(txn->txn,
				  txn->metering->base.table[table], &at, value),
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
	int err = metering_error(mdb_txn_begin(metering->base.env, NULL, 0,
				     &txn->txn),
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
