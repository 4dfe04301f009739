/*
 * A row of the journal as an entry, with what earlier rows say of its device and
 * lease. See audit.h.
 */
#include "appliance/audit/inside.h"

#include "shared/base/err.h"
#include "shared/journal/entry.h"

#include <string.h>

/* --- what is known of devices and leases -------------------------------------- */

struct known_device {
	bool key;
	uint8_t host[SUBJECT_BYTES];
	uint8_t address[SUBJECT_BYTES];
	uint8_t print[32];
};
#define DEVICE_BYTES ((size_t)1 + 2 * SUBJECT_BYTES + 32)

struct known_lease {
	uint64_t device;
	uint64_t license;
	uint8_t user[SUBJECT_BYTES];
	uint8_t host[SUBJECT_BYTES];
	uint8_t print[32];
	char product[64];
};

static int
table_get(MDB_val *value, const struct audit_txn *txn, enum audit_table table,
    uint64_t number)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes };

	be64_write(bytes, number);
	return audit_error(mdb_get(txn->txn, txn->audit->base.table[table],
			       &key, value),
	    "look up a number");
}

static int
table_put(struct audit_txn *txn, enum audit_table table, uint64_t number,
    const void *data, size_t len)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes };
	MDB_val value = { len, (void *)(uintptr_t)data };

	be64_write(bytes, number);
	return audit_error(mdb_put(txn->txn, txn->audit->base.table[table],
			       &key, &value, 0),
	    "write what a number is");
}

static int
device_get(struct known_device *out, const struct audit_txn *txn,
    uint64_t device)
{
	MDB_val value;
	int err = table_get(&value, txn, AUDIT_DEVICES, device);

	*out = (struct known_device){ .key = false };
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && value.mv_size != DEVICE_BYTES)
		err = ERR_CORRUPT;
	if (err != 0)
		return err;
	const uint8_t *p = value.mv_data;

	out->key = p[0] != 0;
	memcpy(out->host, p + 1, SUBJECT_BYTES);
	memcpy(out->address, p + 1 + SUBJECT_BYTES, SUBJECT_BYTES);
	memcpy(out->print, p + 1 + 2 * SUBJECT_BYTES, 32);
	return 0;
}

static int
device_put(struct audit_txn *txn, uint64_t device,
    const struct known_device *known)
{
	uint8_t bytes[DEVICE_BYTES] = { known->key ? 1 : 0 };

	memcpy(bytes + 1, known->host, SUBJECT_BYTES);
	memcpy(bytes + 1 + SUBJECT_BYTES, known->address, SUBJECT_BYTES);
	memcpy(bytes + 1 + 2 * SUBJECT_BYTES, known->print, 32);
	return table_put(txn, AUDIT_DEVICES, device, bytes, sizeof(bytes));
}

#define LEASE_BYTES_MIN ((size_t)16 + 2 * SUBJECT_BYTES + 32)

static int
lease_get(struct known_lease *out, const struct audit_txn *txn, uint64_t lease)
{
	MDB_val value;
	int err = table_get(&value, txn, AUDIT_LEASES, lease);

	if (err == 0 &&
	    (value.mv_size < LEASE_BYTES_MIN ||
		value.mv_size >= LEASE_BYTES_MIN + sizeof(out->product)))
		err = ERR_CORRUPT;
	if (err != 0)
		return err;
	const uint8_t *p = value.mv_data;

	*out = (struct known_lease){ .device = be64_read(p),
		.license = be64_read(p + 8) };
	memcpy(out->user, p + 16, SUBJECT_BYTES);
	memcpy(out->host, p + 16 + SUBJECT_BYTES, SUBJECT_BYTES);
	memcpy(out->print, p + 16 + 2 * SUBJECT_BYTES, 32);
	memcpy(out->product, p + LEASE_BYTES_MIN,
	    value.mv_size - LEASE_BYTES_MIN);
	return 0;
}

static int
lease_put(struct audit_txn *txn, const struct audit_entry *entry)
{
	uint8_t bytes[LEASE_BYTES_MIN + sizeof(entry->product)];
	size_t len = strlen(entry->product);

	be64_write(bytes, entry->device);
	be64_write(bytes + 8, entry->license);
	memcpy(bytes + 16, entry->user, SUBJECT_BYTES);
	memcpy(bytes + 16 + SUBJECT_BYTES, entry->host, SUBJECT_BYTES);
	memcpy(bytes + 16 + 2 * SUBJECT_BYTES, entry->print, 32);
	memcpy(bytes + LEASE_BYTES_MIN, entry->product, len);
	return table_put(txn, AUDIT_LEASES, entry->lease, bytes,
	    LEASE_BYTES_MIN + len);
}

static int
lease_delete(struct audit_txn *txn, uint64_t lease)
{
	uint8_t bytes[8];
	MDB_val key = { sizeof(bytes), bytes };

	be64_write(bytes, lease);
	int rc =
	    mdb_del(txn->txn, txn->audit->base.table[AUDIT_LEASES], &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : audit_error(rc, "end a lease");
}

/* --- rows that teach -------------------------------------------------------------- */

static int
forget_word(struct audit_txn *txn, uint32_t kind, const uint8_t id[16])
{
	struct audit *audit = txn->audit;
	uint8_t bytes[1 + SUBJECT_BYTES], number[4];
	MDB_val word = { sizeof(bytes), bytes },
		at = { sizeof(number), number };
	uint32_t ordinal;

	bytes[0] = (uint8_t)(WORD_SUBJECT + kind);
	memcpy(bytes + 1, id, SUBJECT_BYTES);
	int err =
	    word_find(&ordinal, audit, txn->txn, bytes[0], id, SUBJECT_BYTES);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	be32_write(number, ordinal);
	int rc = err == 0
	    ? mdb_del(txn->txn, audit->base.table[AUDIT_WORDS], &word, NULL)
	    : 0;

	if (err == 0 && rc == 0)
		rc = mdb_del(txn->txn, audit->base.table[AUDIT_ORDINALS], &at,
		    NULL);
	return err != 0 ? err : audit_error(rc, "forget a subject");
}

/* Their ordinals stay in entries and index, and lead to nobody. */
static int
learn_erasure(struct audit_txn *txn, const struct row_erasure *erasure)
{
	const struct row_subject *subjects = erasure->subjects.items;
	int err = 0;

	for (uint32_t i = 0; i < erasure->subjects.count && err == 0; i++)
		for (uint32_t kind = 0; kind <= SUBJECT_REASON && err == 0;
		     kind++)
			err = forget_word(txn, kind, subjects[i].subject);
	return err;
}

/* What an entry leaves out because its device or lease says it. */
static int
complete(struct audit_entry *out, struct audit_txn *txn, bool ended)
{
	static const uint8_t none[32];
	struct known_device device;
	struct known_lease lease;
	int err = ended && out->lease != 0 ? lease_get(&lease, txn, out->lease)
					   : ERR_NOT_FOUND_INTERNAL;

	if (err == 0) {
		out->device = out->device != 0 ? out->device : lease.device;
		out->license = out->license != 0 ? out->license : lease.license;
		memcpy(out->user, lease.user, sizeof(out->user));
		memcpy(out->host, lease.host, sizeof(out->host));
		memcpy(out->print, lease.print, sizeof(out->print));
		memcpy(out->product, lease.product, sizeof(out->product));
	} else if (err != ERR_NOT_FOUND_INTERNAL) {
		return err;
	}
	if (out->device == 0)
		return 0;
	err = device_get(&device, txn, out->device);
	if (err != 0)
		return err;
	out->of_key = device.key;
	if (memcmp(out->host, none, sizeof(out->host)) == 0)
		memcpy(out->host, device.host, sizeof(out->host));
	/* Where the device itself spoke from. */
	bool itself =
	    (out->by.kind == ACTOR_DEVICE || out->by.kind == ACTOR_KEY) &&
	    out->by.id == out->device;

	if (itself && memcmp(out->address, none, sizeof(out->address)) == 0)
		memcpy(out->address, device.address, sizeof(out->address));
	if (itself && memcmp(out->print, none, sizeof(out->print)) == 0)
		memcpy(out->print, device.print, sizeof(out->print));
	return 0;
}

static int
learn_device(struct audit_txn *txn, const struct audit_entry *entry, bool key)
{
	struct known_device known;
	int err = device_get(&known, txn, entry->device);

	known.key = key;
	memcpy(known.host, entry->host, sizeof(known.host));
	return err == 0 ? device_put(txn, entry->device, &known) : err;
}

/* From where a device or key speaks until it is seen elsewhere. */
static int
learn_address(struct audit_txn *txn, const struct audit_entry *entry)
{
	struct known_device known;
	int err = device_get(&known, txn, entry->device);

	memcpy(known.address, entry->address, sizeof(known.address));
	return err == 0 ? device_put(txn, entry->device, &known) : err;
}

/* After the entry: what later ones are completed with. */
static int
learn(struct audit_txn *txn, const struct row *row,
    const struct audit_entry *entry)
{
	/* Only these teach; all other rows are entries and no more. */
	if (row->kind == ROW_DEVICE_ENROLLED)
		return learn_device(txn, entry, false);
	if (row->kind == ROW_KEY_CREATED)
		return learn_device(txn, entry, true);
	if (row->kind == ROW_ACT)
		return strcmp(row->u.act.operation, "device.seen") == 0
		    ? learn_address(txn, entry)
		    : 0;
	if (row->kind == ROW_ERASURE)
		return learn_erasure(txn, &row->u.erasure);
	if (row->kind == ROW_LEASE_GRANTED || row->kind == ROW_BORROWED ||
	    row->kind == ROW_BORROW_REISSUED || row->kind == ROW_LEASE_ADOPTED)
		return lease_put(txn, entry);
	if (row->kind == ROW_LEASE_ENDED || row->kind == ROW_BORROW_ENDED)
		return lease_delete(txn, entry->lease);
	return 0;
}

/* --- entries -------------------------------------------------------------------- */

static void
from_row(struct audit_entry *out, const struct journal_entry *in)
{
	*out = (struct audit_entry){
		.row = in->row,
		.time = in->time,
		.by = in->by,
		.device = in->device,
		.license = in->license,
		.lease = in->lease,
		.object = in->object,
		.count = in->count,
	};
	memcpy(out->what, in->what, sizeof(out->what));
	memcpy(out->result, in->result, sizeof(out->result));
	memcpy(out->product, in->product, sizeof(out->product));
	memcpy(out->user, in->user, sizeof(out->user));
	memcpy(out->host, in->host, sizeof(out->host));
	memcpy(out->address, in->address, sizeof(out->address));
	memcpy(out->reason, in->reason, sizeof(out->reason));
	memcpy(out->print, in->print, sizeof(out->print));
}

int
audit_row(struct audit_txn *txn, const struct row *row, int64_t time)
{
	struct journal_entry read;
	struct audit_entry entry;

	if (row_record(row->kind) == NULL)
		return ERR_UNKNOWN_ROW;
	if (!journal_entry_read(&read, row, time))
		return 0;
	from_row(&entry, &read);
	bool ended = row->kind == ROW_LEASE_ENDED ||
	    row->kind == ROW_BORROW_ENDED || row->kind == ROW_LEASE_ADOPTED;
	int err = complete(&entry, txn, ended);

	entry.of_key |= row->kind == ROW_KEY_CREATED;
	if (err == 0)
		err = audit_put(txn, &entry);
	return err == 0 ? learn(txn, row, &entry) : err;
}
