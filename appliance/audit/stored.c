/* An entry on disk and its lines in the index; the oldest ones given up. See
 * inside.h. */
#include "appliance/audit/inside.h"

#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

/* --- the form on disk -------------------------------------------------------- */

static uint8_t *
put48(uint8_t *p, uint64_t value)
{
	be16_write(p, (uint16_t)(value >> 32));
	be32_write(p + 2, (uint32_t)value);
	return p + 6;
}

static uint64_t
get48(const uint8_t *p)
{
	return (uint64_t)be16_read(p) << 32 | be32_read(p + 2);
}

/* Numbers of devices and leases stay far below. */
static uint64_t
at_most(uint64_t value, unsigned int bits)
{
	uint64_t most = (UINT64_C(1) << bits) - 1;

	return value < most ? value : most;
}

void
stored_write(uint8_t out[STORED_BYTES], const struct stored *in)
{
	const uint32_t words[] = { in->what, in->result, in->product, in->user,
		in->host, in->address, in->reason, in->print };
	uint8_t *p = out;

	be64_write(p, (uint64_t)in->time);
	p[8] = (uint8_t)in->by_kind;
	be64_write(p + 9, in->by_id);
	p = put48(p + 17, at_most(in->device, 48));
	*p = in->of_key ? 1 : 0;
	be32_write(p + 1, (uint32_t)at_most(in->license, 32));
	p = put48(p + 5, at_most(in->lease, 48));
	p = put48(p, at_most(in->object, 48));
	be32_write(p, (uint32_t)at_most(in->count, 32));
	for (size_t i = 0; i < 8; i++)
		be32_write(p + 4 + 4 * i, words[i]);
}

bool
stored_read(struct stored *out, const MDB_val *value)
{
	uint32_t *words[] = { &out->what, &out->result, &out->product,
		&out->user, &out->host, &out->address, &out->reason,
		&out->print };
	const uint8_t *p = value->mv_data;

	if (value->mv_size != STORED_BYTES)
		return false;
	out->time = (int64_t)be64_read(p);
	out->by_kind = p[8];
	out->by_id = be64_read(p + 9);
	out->device = get48(p + 17);
	out->of_key = p[23] != 0;
	out->license = be32_read(p + 24);
	out->lease = get48(p + 28);
	out->object = get48(p + 34);
	out->count = be32_read(p + 40);
	for (size_t i = 0; i < 8; i++)
		*words[i] = be32_read(p + 44 + 4 * i);
	return true;
}

/* --- the index --------------------------------------------------------------- */

uint64_t
audit_actor(uint32_t kind, uint64_t id)
{
	/* Never 0: the site is kind 0, number 0. */
	return (uint64_t)(kind + 1) << 56 | at_most(id, 56);
}

void
index_key(uint8_t key[INDEX_KEY_BYTES], enum audit_field field, uint64_t value)
{
	key[0] = (uint8_t)field;
	be64_write(key + 1, value);
}

void
index_row(uint8_t out[INDEX_ROW_BYTES], uint64_t row)
{
	put48(out, row);
}

uint64_t
index_row_read(const MDB_val *value)
{
	return value->mv_size == INDEX_ROW_BYTES ? get48(value->mv_data) : 0;
}

uint64_t
stored_value(const struct stored *entry, enum audit_field field)
{
	switch (field) {
	case AUDIT_ACTOR:
		return audit_actor(entry->by_kind, entry->by_id);
	case AUDIT_DEVICE:
		return entry->device;
	case AUDIT_USER:
		return entry->user;
	case AUDIT_HOST:
		return entry->host;
	case AUDIT_ADDRESS:
		return entry->address;
	case AUDIT_PRODUCT:
		return entry->product;
	case AUDIT_RESULT:
		return entry->result;
	case AUDIT_WHAT:
		return entry->what;
	case AUDIT_PRINT:
		return entry->print;
	case AUDIT_FIELDS:
		break;
	}
	return 0;
}

static int
add_postings(struct audit_txn *txn, uint64_t row, const struct stored *entry)
{
	if (txn->n_postings + AUDIT_FIELDS > txn->size_postings) {
		size_t size =
		    txn->size_postings == 0 ? 1024 : txn->size_postings * 2;
		struct posting *more =
		    realloc(txn->postings, size * sizeof(*more));

		if (more == NULL)
			return ERR_NOMEM;
		txn->postings = more;
		txn->size_postings = size;
	}
	for (int field = 1; field < AUDIT_FIELDS; field++) {
		uint64_t value = stored_value(entry, (enum audit_field)field);
		struct posting *posting = &txn->postings[txn->n_postings];

		if (value == 0)
			continue;
		index_key(posting->key, (enum audit_field)field, value);
		index_row(posting->row, row);
		txn->n_postings++;
	}
	return 0;
}

/* --- hours ------------------------------------------------------------------- */

int
hour_flush(struct audit_txn *txn)
{
	uint8_t key[8], bytes[16];
	MDB_val at = { 8, key }, value;
	MDB_dbi hours = txn->audit->base.table[AUDIT_HOURS];

	if (txn->hour_first == 0)
		return 0;
	be64_write(key, txn->hour);
	int rc = mdb_get(txn->txn, hours, &at, &value);
	uint64_t first = txn->hour_first, last = txn->hour_last;

	if (rc == 0 && value.mv_size == 16) {
		uint64_t before = be64_read(value.mv_data);

		first = before < first ? before : first;
		before = be64_read((const uint8_t *)value.mv_data + 8);
		last = before > last ? before : last;
	}
	if (rc == 0 || rc == MDB_NOTFOUND) {
		be64_write(bytes, first);
		be64_write(bytes + 8, last);
		value = (MDB_val){ sizeof(bytes), bytes };
		rc = mdb_put(txn->txn, hours, &at, &value, 0);
	}
	txn->hour_first = 0;
	return audit_error(rc, "write an hour");
}

static int
hour_note(struct audit_txn *txn, uint64_t row, int64_t time)
{
	uint64_t hour = hour_of(time);
	int err =
	    txn->hour_first != 0 && txn->hour != hour ? hour_flush(txn) : 0;

	if (txn->hour_first == 0)
		txn->hour_first = row;
	txn->hour = hour;
	txn->hour_last = row;
	return err;
}

/* --- putting ------------------------------------------------------------------ */

static int
add_text(uint32_t *ordinal, struct audit_txn *txn, const char *text)
{
	*ordinal = 0;
	return text[0] == '\0'
	    ? 0
	    : word_add(ordinal, txn, WORD_TEXT, text, strlen(text));
}

static int
add_bytes(uint32_t *ordinal, struct audit_txn *txn, uint8_t sort,
    const uint8_t *bytes, size_t len)
{
	static const uint8_t none[32];

	*ordinal = 0;
	return memcmp(bytes, none, len) == 0
	    ? 0
	    : word_add(ordinal, txn, sort, bytes, len);
}

static int
add_subject(uint32_t *ordinal, struct audit_txn *txn, enum subject_kind kind,
    const uint8_t id[SUBJECT_BYTES])
{
	return add_bytes(ordinal, txn, (uint8_t)(WORD_SUBJECT + kind), id,
	    SUBJECT_BYTES);
}

int
audit_put(struct audit_txn *txn, const struct audit_entry *entry)
{
	struct stored stored = {
		.time = entry->time,
		.by_kind = entry->by.kind,
		.by_id = entry->by.id,
		.device = entry->device,
		.of_key = entry->of_key,
		.license = entry->license,
		.lease = entry->lease,
		.object = entry->object,
		.count = entry->count,
	};
	uint8_t key[8], bytes[STORED_BYTES];
	MDB_val at = { sizeof(key), key }, value = { sizeof(bytes), bytes };
	int err = add_text(&stored.what, txn, entry->what);

	if (err == 0)
		err = add_text(&stored.result, txn, entry->result);
	if (err == 0)
		err = add_text(&stored.product, txn, entry->product);
	if (err == 0)
		err = add_subject(&stored.user, txn, SUBJECT_USER, entry->user);
	if (err == 0)
		err = add_subject(&stored.host, txn, SUBJECT_HOST, entry->host);
	if (err == 0)
		err = add_subject(&stored.address, txn, SUBJECT_ADDRESS,
		    entry->address);
	if (err == 0)
		err = add_subject(&stored.reason, txn, SUBJECT_REASON,
		    entry->reason);
	if (err == 0)
		err = add_bytes(&stored.print, txn, WORD_PRINT, entry->print,
		    sizeof(entry->print));
	if (err == 0)
		err = add_postings(txn, entry->row, &stored);
	if (err == 0)
		err = hour_note(txn, entry->row, entry->time);
	if (err != 0)
		return err;
	be64_write(key, entry->row);
	stored_write(bytes, &stored);
	txn->place.entries++;
	return audit_error(mdb_put(txn->txn,
			       txn->audit->base.table[AUDIT_ENTRIES], &at,
			       &value, MDB_APPEND),
	    "write an entry");
}

/* --- giving up what is old ---------------------------------------------------- */

static int
delete_postings(struct audit_txn *txn, uint64_t row, const struct stored *entry)
{
	uint8_t key[INDEX_KEY_BYTES], bytes[INDEX_ROW_BYTES];
	int rc = 0;

	index_row(bytes, row);
	for (int field = 1; field < AUDIT_FIELDS && rc == 0; field++) {
		uint64_t value = stored_value(entry, (enum audit_field)field);
		MDB_val at = { sizeof(key), key },
			data = { sizeof(bytes), bytes };

		if (value == 0)
			continue;
		index_key(key, (enum audit_field)field, value);
		rc = mdb_del(txn->txn, txn->audit->base.table[AUDIT_INDEX], &at,
		    &data);
		rc = rc == MDB_NOTFOUND ? 0 : rc;
	}
	return audit_error(rc, "give up an entry");
}

/* The first one there is; its key and value are copied out. */
static int
oldest(uint64_t *row, struct stored *entry, const struct audit_txn *txn)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn->txn,
	    txn->audit->base.table[AUDIT_ENTRIES], &cursor);

	if (rc != 0)
		return audit_error(rc, "read the oldest entry");
	rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	if (rc == 0 && (key.mv_size != 8 || !stored_read(entry, &value)))
		rc = MDB_CORRUPTED;
	if (rc == 0)
		*row = be64_read(key.mv_data);
	mdb_cursor_close(cursor);
	return audit_error(rc, "read the oldest entry");
}

int
audit_prune(uint64_t *given_up, struct audit_txn *txn, int64_t before,
    uint64_t most)
{
	struct stored entry = { 0 };
	uint64_t row = 0;
	int err = 0;

	*given_up = 0;
	while (err == 0 && *given_up < most) {
		uint8_t key[8];
		MDB_val at = { sizeof(key), key };

		err = oldest(&row, &entry, txn);
		if (err == ERR_NOT_FOUND_INTERNAL ||
		    (err == 0 && entry.time >= before))
			return 0;
		if (err == 0)
			err = delete_postings(txn, row, &entry);
		be64_write(key, row);
		if (err == 0)
			err = audit_error(mdb_del(txn->txn,
					      txn->audit->base
						  .table[AUDIT_ENTRIES],
					      &at, NULL),
			    "give up an entry");
		if (err == 0) {
			(*given_up)++;
			txn->place.entries--;
			if (row > txn->place.pruned)
				txn->place.pruned = row;
		}
	}
	return err;
}
