#include "shared/journal/entry.h"

#include "shared/base/text.h"

#include <stddef.h>
#include <string.h>

/* --- fields by their keys ------------------------------------------------------ */

static void
take_number(struct journal_entry *out, const char *key, uint64_t number)
{
	static const struct {
		const char *key;
		size_t offset;
	} known[] = {
		{ "device", offsetof(struct journal_entry, device) },
		{ "license", offsetof(struct journal_entry, license) },
		{ "lease", offsetof(struct journal_entry, lease) },
		{ "count", offsetof(struct journal_entry, count) },
		{ "object", offsetof(struct journal_entry, object) },
		/* Of accounts, tokens and erasures. */
		{ "user", offsetof(struct journal_entry, object) },
		{ "join", offsetof(struct journal_entry, object) },
		{ "erasure", offsetof(struct journal_entry, object) },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].key, key) == 0)
			memcpy((uint8_t *)out + known[i].offset, &number,
			    sizeof(number));
}

static void
take_fixed(struct journal_entry *out, const struct record_field *field,
    const uint8_t *bytes)
{
	static const struct {
		const char *key;
		size_t offset, size;
	} known[] = {
		{ "user", offsetof(struct journal_entry, user), SUBJECT_BYTES },
		{ "host", offsetof(struct journal_entry, host), SUBJECT_BYTES },
		{ "address", offsetof(struct journal_entry, address),
		    SUBJECT_BYTES },
		{ "reason", offsetof(struct journal_entry, reason),
		    SUBJECT_BYTES },
		{ "application", offsetof(struct journal_entry, print), 32 },
		{ "fingerprint", offsetof(struct journal_entry, print), 32 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].key, field->key) == 0 &&
		    known[i].size == field->size)
			memcpy((uint8_t *)out + known[i].offset, bytes,
			    field->size);
}

static void
take_text(struct journal_entry *out, const char *key, const char *text)
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
take_word(struct journal_entry *out, const struct record_field *field,
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
take_fields(struct journal_entry *out, bool *by, const struct record *record,
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

/* Who, where the row does not name him as such. */
static void
find_actor(struct journal_entry *out, const struct row *row)
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

bool
journal_entry_read(struct journal_entry *out, const struct row *row,
    int64_t time)
{
	const struct record *record = row_record(row->kind);
	bool by = false;

	if (record == NULL || row->kind == ROW_TICK ||
	    row->kind == ROW_SUBJECT_ADDED)
		return false;
	*out = (struct journal_entry){ .row = row->number, .time = time };
	text_copy(out->what, sizeof(out->what), row_kind_name(row->kind));
	text_copy(out->result, sizeof(out->result), "done");
	take_fields(out, &by, record, (const uint8_t *)&row->u);
	if (row->kind == ROW_LICENSE_INSTALLED)
		text_copy(out->product, sizeof(out->product),
		    row->u.license_installed.document.product.id);
	if (!counts_times(row->kind))
		out->count = 1;
	if (!by)
		find_actor(out, row);
	return true;
}
