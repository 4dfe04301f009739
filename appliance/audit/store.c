/* The environment, its dictionary and its transactions. See audit.h. */
#include "appliance/audit/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

#define MAP_BYTES ((size_t)256 << 30)
#define META_BYTES 72

static const struct projection_table tables[AUDIT_TABLES] = {
	[AUDIT_META] = { "meta", 0 },
	[AUDIT_ENTRIES] = { "entries", 0 },
	[AUDIT_INDEX] = { "index", MDB_DUPSORT | MDB_DUPFIXED },
	[AUDIT_WORDS] = { "words", 0 },
	[AUDIT_ORDINALS] = { "ordinals", 0 },
	[AUDIT_DEVICES] = { "devices", 0 },
	[AUDIT_LEASES] = { "leases", 0 },
	[AUDIT_HOURS] = { "hours", 0 },
};
static const char meta_key[] = "place";

static const struct projection_kind kind = {
	.name = "audit",
	.tables = tables,
	.n_tables = AUDIT_TABLES,
	.map_bytes = MAP_BYTES,
};

/* --- the environment -------------------------------------------------------- */

/* It is made of the journal: of another format, away with it. */
static bool
is_usable(void *ctx)
{
	struct audit_place place;

	return audit_place(&place, ctx) == 0;
}

int
audit_open(struct audit **out, const char *path, size_t map_bytes,
    bool volatile_)
{
	struct audit *audit = calloc(1, sizeof(*audit));

	if (audit == NULL)
		return ERR_NOMEM;
	int err = projection_open(&audit->base, &kind, path, map_bytes,
	    volatile_, is_usable, audit);

	if (err != 0) {
		free(audit);
		return err;
	}
	*out = audit;
	return 0;
}

void
audit_close(struct audit *audit)
{
	if (audit == NULL)
		return;
	projection_close(&audit->base);
	free(audit);
}

int
audit_clear(struct audit *audit)
{
	return projection_clear(&audit->base);
}

int
audit_sync(struct audit *audit)
{
	return projection_sync(&audit->base);
}

uint64_t
audit_bytes(struct audit *audit)
{
	return projection_bytes(&audit->base);
}

/* --- the place -------------------------------------------------------------- */

int
place_read(struct audit_place *place, uint32_t *next_ordinal,
    const struct audit *audit, MDB_txn *txn)
{
	MDB_val key = { sizeof(meta_key), (void *)(uintptr_t)meta_key };
	MDB_val value;
	int rc = mdb_get(txn, audit->base.table[AUDIT_META], &key, &value);

	*place = (struct audit_place){ .batch = 0 };
	*next_ordinal = 1;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return audit_error(rc, "read the place");
	const uint8_t *p = value.mv_data;

	if (value.mv_size != META_BYTES || be32_read(p) != AUDIT_FORMAT)
		return ERR_CORRUPT;
	*next_ordinal = be32_read(p + 4);
	place->batch = be64_read(p + 8);
	place->row = be64_read(p + 16);
	place->entries = be64_read(p + 24);
	place->pruned = be64_read(p + 32);
	memcpy(place->head, p + 40, 32);
	return 0;
}

static int
place_write(struct audit_txn *txn)
{
	MDB_val key = { sizeof(meta_key), (void *)(uintptr_t)meta_key };
	uint8_t bytes[META_BYTES];
	MDB_val value = { sizeof(bytes), bytes };
	const struct audit_place *place = &txn->place;

	be32_write(bytes, AUDIT_FORMAT);
	be32_write(bytes + 4, txn->next_ordinal);
	be64_write(bytes + 8, place->batch);
	be64_write(bytes + 16, place->row);
	be64_write(bytes + 24, place->entries);
	be64_write(bytes + 32, place->pruned);
	memcpy(bytes + 40, place->head, 32);
	return mdb_put(txn->txn, txn->audit->base.table[AUDIT_META], &key,
	    &value, 0);
}

int
audit_place(struct audit_place *place, struct audit *audit)
{
	uint32_t next_ordinal;
	MDB_txn *txn;
	int rc = mdb_txn_begin(audit->base.env, NULL, MDB_RDONLY, &txn);

	if (rc != 0)
		return audit_error(rc, "begin to read");
	int err = place_read(place, &next_ordinal, audit, txn);

	mdb_txn_abort(txn);
	return err;
}

/* --- the dictionary --------------------------------------------------------- */

#define WORD_MAX 64

int
word_find(uint32_t *ordinal, const struct audit *audit, MDB_txn *txn,
    uint8_t sort, const void *data, size_t len)
{
	uint8_t bytes[1 + WORD_MAX];
	MDB_val key = { 1 + len, bytes }, value;

	*ordinal = 0;
	if (len > WORD_MAX)
		return ERR_NOT_FOUND_INTERNAL;
	bytes[0] = sort;
	memcpy(bytes + 1, data, len);
	int rc = mdb_get(txn, audit->base.table[AUDIT_WORDS], &key, &value);

	if (rc == 0 && value.mv_size != 4)
		return ERR_CORRUPT;
	if (rc == 0)
		*ordinal = be32_read(value.mv_data);
	return rc == MDB_NOTFOUND ? ERR_NOT_FOUND_INTERNAL
				  : audit_error(rc, "look up a word");
}

int
word_add(uint32_t *ordinal, struct audit_txn *txn, uint8_t sort,
    const void *data, size_t len)
{
	struct audit *audit = txn->audit;
	uint8_t bytes[1 + WORD_MAX], number[4];
	int err = word_find(ordinal, audit, txn->txn, sort, data, len);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (len > WORD_MAX || txn->next_ordinal == UINT32_MAX)
		return ERR_TOO_LARGE;
	bytes[0] = sort;
	memcpy(bytes + 1, data, len);
	be32_write(number, txn->next_ordinal);
	MDB_val word = { 1 + len, bytes }, place = { 4, number };
	int rc =
	    mdb_put(txn->txn, audit->base.table[AUDIT_WORDS], &word, &place, 0);

	if (rc == 0)
		rc = mdb_put(txn->txn, audit->base.table[AUDIT_ORDINALS],
		    &place, &word, MDB_APPEND);
	if (rc != 0)
		return audit_error(rc, "add a word");
	*ordinal = txn->next_ordinal++;
	return 0;
}

int
word_get(uint8_t *sort, MDB_val *word, const struct audit *audit, MDB_txn *txn,
    uint32_t ordinal)
{
	uint8_t number[4];
	MDB_val key = { 4, number };

	*sort = WORD_NONE;
	*word = (MDB_val){ 0, NULL };
	be32_write(number, ordinal);
	int rc = mdb_get(txn, audit->base.table[AUDIT_ORDINALS], &key, word);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc == 0 && word->mv_size < 1)
		return ERR_CORRUPT;
	if (rc != 0)
		return audit_error(rc, "read a word");
	*sort = *(const uint8_t *)word->mv_data;
	word->mv_data = (uint8_t *)word->mv_data + 1;
	word->mv_size--;
	return 0;
}

/* --- transactions ----------------------------------------------------------- */

int
audit_begin(struct audit_txn **out, struct audit *audit)
{
	struct audit_txn *txn = calloc(1, sizeof(*txn));

	if (txn == NULL)
		return ERR_NOMEM;
	txn->audit = audit;
	int err =
	    audit_error(mdb_txn_begin(audit->base.env, NULL, 0, &txn->txn),
		"begin to write");

	if (err == 0)
		err = place_read(&txn->place, &txn->next_ordinal, audit,
		    txn->txn);
	if (err != 0) {
		audit_abort(txn);
		return err;
	}
	*out = txn;
	return 0;
}

void
audit_batch(struct audit_txn *txn, uint64_t batch, const uint8_t head[32],
    uint64_t last_row)
{
	txn->place.batch = batch + 1;
	txn->place.row = last_row;
	memcpy(txn->place.head, head, 32);
}

void
audit_skip(struct audit_txn *txn, uint64_t batch, const uint8_t head[32],
    uint64_t last_row)
{
	audit_batch(txn, batch, head, last_row);
	if (last_row > txn->place.pruned)
		txn->place.pruned = last_row;
}

static int
compare_postings(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct posting));
}

_Static_assert(sizeof(struct posting) == INDEX_KEY_BYTES + INDEX_ROW_BYTES,
    "compared as bytes");

/* In the order of the index, each list behind its last page. */
static int
write_postings(struct audit_txn *txn)
{
	MDB_cursor *cursor;
	int rc;

	/* Not all rows are entries. */
	if (txn->n_postings == 0)
		return 0;
	qsort(txn->postings, txn->n_postings, sizeof(*txn->postings),
	    compare_postings);
	rc = mdb_cursor_open(txn->txn, txn->audit->base.table[AUDIT_INDEX],
	    &cursor);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < txn->n_postings && rc == 0; i++) {
		struct posting *posting = &txn->postings[i];
		MDB_val key = { INDEX_KEY_BYTES, posting->key };
		MDB_val row = { INDEX_ROW_BYTES, posting->row };

		rc = mdb_cursor_put(cursor, &key, &row, MDB_APPENDDUP);
	}
	mdb_cursor_close(cursor);
	return rc;
}

static void
txn_free(struct audit_txn *txn)
{
	free(txn->postings);
	free(txn);
}

int
audit_commit(struct audit_txn *txn)
{
	int err = hour_flush(txn);
	int rc = err == 0 ? write_postings(txn) : 0;

	if (err != 0) {
		audit_abort(txn);
		return err;
	}
	if (rc == 0)
		rc = place_write(txn);
	if (rc == 0)
		rc = mdb_txn_commit(txn->txn);
	else
		mdb_txn_abort(txn->txn);
	txn_free(txn);
	return audit_error(rc, "write entries");
}

void
audit_abort(struct audit_txn *txn)
{
	if (txn == NULL)
		return;
	if (txn->txn != NULL)
		mdb_txn_abort(txn->txn);
	txn_free(txn);
}
