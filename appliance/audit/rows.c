/*
 * From a row of the journal to an entry. Rows say what they mean by the keys of
 * their fields, so that a row of a new kind is an entry as soon as it is in the
 * journal: `by` is who did it, `device`, `license`, `lease`, `product` what it is
 * about, `code` why not. See audit.h.
 */
#include "appliance/audit/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stddef.h>
#include <stdio.h>
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
	return audit_error(mdb_get(txn->txn, txn->audit->table[table], &key,
			       value),
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
	return audit_error(mdb_put(txn->txn, txn->audit->table[table], &key,
			       &value, 0),
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
	int rc = mdb_del(txn->txn, txn->audit->table[AUDIT_LEASES], &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : audit_error(rc, "end a lease");
}

/* --- fields by their keys ------------------------------------------------------ */

static void
take_number(struct audit_entry *out, const char *key, uint64_t number)
{
	static const struct {
		const char *key;
		size_t offset;
	} known[] = {
		{ "device", offsetof(struct audit_entry, device) },
		{ "license", offsetof(struct audit_entry, license) },
		{ "lease", offsetof(struct audit_entry, lease) },
		{ "count", offsetof(struct audit_entry, count) },
		{ "object", offsetof(struct audit_entry, object) },
		/* Of accounts, tokens and erasures. */
		{ "user", offsetof(struct audit_entry, object) },
		{ "join", offsetof(struct audit_entry, object) },
		{ "erasure", offsetof(struct audit_entry, object) },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].key, key) == 0)
			memcpy((uint8_t *)out + known[i].offset, &number,
			    sizeof(number));
}

static void
take_fixed(struct audit_entry *out, const struct record_field *field,
    const uint8_t *bytes)
{
	static const struct {
		const char *key;
		size_t offset, size;
	} known[] = {
		{ "user", offsetof(struct audit_entry, user), SUBJECT_BYTES },
		{ "host", offsetof(struct audit_entry, host), SUBJECT_BYTES },
		{ "address", offsetof(struct audit_entry, address),
		    SUBJECT_BYTES },
		{ "reason", offsetof(struct audit_entry, reason),
		    SUBJECT_BYTES },
		{ "application", offsetof(struct audit_entry, print), 32 },
		{ "fingerprint", offsetof(struct audit_entry, print), 32 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].key, field->key) == 0 &&
		    known[i].size == field->size)
			memcpy((uint8_t *)out + known[i].offset, bytes,
			    field->size);
}

static void
take_text(struct audit_entry *out, const char *key, const char *text)
{
	if (strcmp(key, "product") == 0)
		text_copy(out->product, sizeof(out->product), text);
	else if (strcmp(key, "code") == 0 || strcmp(key, "result") == 0)
		text_copy(out->result, sizeof(out->result), text);
	else if (strcmp(key, "operation") == 0)
		text_copy(out->what, sizeof(out->what), text);
}

/* How a lease ended, what changed of a user, which seat: the word for it. */
static void
take_word(struct audit_entry *out, const struct record_field *field,
    uint32_t index)
{
	if (strcmp(field->key, "reason") == 0 ||
	    strcmp(field->key, "event") == 0 ||
	    (strcmp(field->key, "what") == 0 && field->names != NULL))
		text_copy(out->result, sizeof(out->result),
		    field->names[index]);
	else if (field->names == seat_type_names)
		text_copy(out->result, sizeof(out->result),
		    index == SEAT_OVERAGE ? "overage" : "granted");
}

static void
take_fields(struct audit_entry *out, bool *by, const struct record *record,
    const uint8_t *value)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];
		const uint8_t *at = value + field->offset;
		uint64_t number;
		uint32_t index;

		if (field->type == RECORD_U64) {
			memcpy(&number, at, sizeof(number));
			take_number(out, field->key, number);
		} else if (field->type == RECORD_ENUM) {
			memcpy(&index, at, sizeof(index));
			take_word(out, field, index);
		} else if (field->type == RECORD_TEXT) {
			take_text(out, field->key, (const char *)at);
		} else if (field->type == RECORD_FIXED) {
			take_fixed(out, field, at);
		} else if (field->type == RECORD_STRUCT &&
		    field->of == &row_actor_record) {
			memcpy(&out->by, at, sizeof(out->by));
			*by = true;
		} else if (field->type == RECORD_STRUCT &&
		    (strcmp(field->key, "denied") == 0 ||
			strcmp(field->key, "grant") == 0)) {
			take_fields(out, by, field->of, at);
		}
	}
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
	    ? mdb_del(txn->txn, audit->table[AUDIT_WORDS], &word, NULL)
	    : 0;

	if (err == 0 && rc == 0)
		rc = mdb_del(txn->txn, audit->table[AUDIT_ORDINALS], &at, NULL);
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

/* Who, where the row does not name him as such. */
static void
find_actor(struct audit_entry *out, const struct row *row)
{
	if (row->kind == ROW_USER_LOGIN || row->kind == ROW_USER_DENIED)
		out->by = (struct row_actor){ ACTOR_USER, out->object };
	else if (out->device != 0)
		out->by = (struct row_actor){ ACTOR_DEVICE, out->device };
}

/* Seats that a grant is for are its count; the entry stands for one grant. */
static bool
counts_times(uint32_t kind)
{
	return kind == ROW_DENIED || kind == ROW_USER_DENIED ||
	    kind == ROW_KEY_DENIED || kind == ROW_ACT;
}

int
audit_row(struct audit_txn *txn, const struct row *row, int64_t time)
{
	const struct record *record = row_record(row->kind);
	struct audit_entry entry = { .row = row->number, .time = time };
	bool by = false;

	if (row->kind == ROW_TICK || row->kind == ROW_SUBJECT_ADDED)
		return 0;
	if (record == NULL)
		return ERR_UNKNOWN_ROW;
	text_copy(entry.what, sizeof(entry.what), row_kind_name(row->kind));
	text_copy(entry.result, sizeof(entry.result), "done");
	take_fields(&entry, &by, record, (const uint8_t *)&row->u);
	if (row->kind == ROW_LICENSE_INSTALLED)
		text_copy(entry.product, sizeof(entry.product),
		    row->u.license_installed.document.product.id);
	if (!counts_times(row->kind))
		entry.count = 1;
	if (!by)
		find_actor(&entry, row);
	bool ended = row->kind == ROW_LEASE_ENDED ||
	    row->kind == ROW_BORROW_ENDED || row->kind == ROW_LEASE_ADOPTED;
	int err = complete(&entry, txn, ended);

	entry.of_key |= row->kind == ROW_KEY_CREATED;
	if (err == 0)
		err = audit_put(txn, &entry);
	return err == 0 ? learn(txn, row, &entry) : err;
}
