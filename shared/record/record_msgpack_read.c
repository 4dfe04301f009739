#include "shared/base/err.h"
#include "shared/record/msgpack.h"
#include "shared/record/record_fields.h"

#include <string.h>

struct unpacking {
	const uint8_t *data;
	size_t len;
	size_t at;
	struct arena *arena;
	struct record_error *error;
	unsigned int depth;
};

static int read_record(struct unpacking *in, const struct record *record,
    void *out, const struct record_path *path);
static int read_field(struct unpacking *in, const struct record_field *field,
    void *at, const struct record_path *path);

/* A big-endian number behind the type byte; at moves past it. */
static bool
sized_read(struct unpacking *in, uint64_t *value, size_t size)
{
	const uint8_t *p = in->data + in->at + 1;

	if (in->len - in->at < size + 1)
		return false;
	*value = 0;
	for (size_t i = 0; i < size; i++)
		*value = *value << 8 | p[i];
	in->at += size + 1;
	return true;
}

static bool
uint_read(struct unpacking *in, uint64_t *value)
{
	if (in->at == in->len)
		return false;
	uint8_t type = in->data[in->at];

	if (type < 0x80) {
		*value = type;
		in->at++;
		return true;
	}
	switch (type) {
	case MP_UINT8:
		return sized_read(in, value, 1) && *value >= 0x80;
	case MP_UINT16:
		return sized_read(in, value, 2) && *value > UINT8_MAX;
	case MP_UINT32:
		return sized_read(in, value, 4) && *value > UINT16_MAX;
	case MP_UINT64:
		return sized_read(in, value, 8) && *value > UINT32_MAX;
	}
	return false;
}

static bool
int_read(struct unpacking *in, int64_t *value)
{
	uint64_t bits;

	if (in->at == in->len)
		return false;
	uint8_t type = in->data[in->at];

	if (type >= 0xe0) {
		*value = (int8_t)type;
		in->at++;
		return true;
	}
	switch (type) {
	case MP_INT8:
		if (!sized_read(in, &bits, 1))
			return false;
		*value = (int8_t)bits;
		return *value < -32;
	case MP_INT16:
		if (!sized_read(in, &bits, 2))
			return false;
		*value = (int16_t)bits;
		return *value < INT8_MIN;
	case MP_INT32:
		if (!sized_read(in, &bits, 4))
			return false;
		*value = (int32_t)bits;
		return *value < INT16_MIN;
	case MP_INT64:
		if (!sized_read(in, &bits, 8))
			return false;
		*value = (int64_t)bits;
		return *value < INT32_MIN;
	}
	if (!uint_read(in, &bits) || bits > INT64_MAX)
		return false;
	*value = (int64_t)bits;
	return true;
}

static bool
array_read(struct unpacking *in, uint64_t *count)
{
	if (in->at == in->len)
		return false;
	uint8_t type = in->data[in->at];

	if ((type & 0xf0) == MP_FIXARRAY) {
		*count = type & 0x0f;
		in->at++;
		return true;
	}
	if (type == MP_ARRAY16)
		return sized_read(in, count, 2) && *count >= 16;
	if (type == MP_ARRAY32)
		return sized_read(in, count, 4) && *count > UINT16_MAX;
	return false;
}

static bool
length_read(struct unpacking *in, uint64_t *len, bool text)
{
	if (in->at == in->len)
		return false;
	uint8_t type = in->data[in->at];

	if (text && (type & 0xe0) == MP_FIXSTR) {
		*len = type & 0x1f;
		in->at++;
		return true;
	}
	if (type == (text ? MP_STR8 : MP_BIN8))
		return sized_read(in, len, 1) && (!text || *len >= 32);
	if (type == (text ? MP_STR16 : MP_BIN16))
		return sized_read(in, len, 2) && *len > UINT8_MAX;
	if (type == (text ? MP_STR32 : MP_BIN32))
		return sized_read(in, len, 4) && *len > UINT16_MAX;
	return false;
}

/* A str or bin; the span points into the input. */
static bool
span_read(struct unpacking *in, struct record_span *span, bool text)
{
	uint64_t len;

	if (!length_read(in, &len, text) || len > in->len - in->at)
		return false;
	span->data = len == 0 ? NULL : in->data + in->at;
	span->len = (uint32_t)len;
	in->at += len;
	return true;
}

static bool
read_bytes(struct unpacking *in, const struct record_field *field, void *at)
{
	bool text = field->type == RECORD_TEXT || field->type == RECORD_STRING;
	struct record_span span;

	if (!span_read(in, &span, text))
		return false;
	if (field->type == RECORD_BLOB || field->type == RECORD_STRING) {
		record_store_span(at, span);
		return true;
	}
	if (field->type == RECORD_FIXED ? span.len != field->size
					: span.len >= field->size)
		return false;
	if (span.len == 0)
		return true;
	/* A NUL would shorten the text behind the back of the check. */
	if (text && memchr(span.data, '\0', span.len) != NULL)
		return false;
	memcpy(at, span.data, span.len);
	return true;
}

static bool
read_number(struct unpacking *in, const struct record_field *field, void *at)
{
	uint64_t value;
	int64_t signed_value;

	if (field->type == RECORD_U64 || field->type == RECORD_CURSOR) {
		if (!uint_read(in, &value))
			return false;
		record_store_u64(at, value);
		return true;
	}
	if (field->type == RECORD_U32 || field->type == RECORD_ENUM) {
		if (!uint_read(in, &value) || value > UINT32_MAX)
			return false;
		record_store_u32(at, (uint32_t)value);
		return true;
	}
	if (!int_read(in, &signed_value))
		return false;
	if (field->type == RECORD_DATE) {
		if (signed_value < 0 || signed_value > RECORD_DATE_MAX)
			return false;
		record_store_i32(at, (int32_t)signed_value);
		return true;
	}
	record_store_i64(at, signed_value);
	return true;
}

/* A list's items take at least this many bytes each. */
static size_t
item_size_min(const struct record *of)
{
	return of->bare ? 1 : of->n_fields + 2;
}

static int
read_list(struct unpacking *in, const struct record_field *field, void *at,
    const struct record_path *path)
{
	const struct record *of = field->of;
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;
	uint64_t count;

	/* Memory follows the bytes that are there, not those promised. */
	if (!array_read(in, &count) || count > field->max ||
	    (count < field->min && !(optional && count == 0)) ||
	    count > (in->len - in->at) / item_size_min(of))
		return record_fail_bounds(in->error, path, field);
	if (count == 0)
		return 0;
	struct record_field bare = of->fields[0];
	uint8_t *items = arena_alloc(in->arena, count * of->size);

	bare.key = NULL; /* it goes by its place alone */

	if (items == NULL)
		return ERR_TOO_LARGE;
	for (uint32_t i = 0; i < count; i++) {
		struct record_path inner = { path, field->key, i };
		uint8_t *item = items + i * of->size;
		int rc;

		if (of->bare)
			rc = read_field(in, &bare,
			    record_at_mutable(item, &bare), &inner);
		else
			rc = read_record(in, of, item, &inner);
		if (rc < 0)
			return rc;
	}
	record_store_list(at, (struct record_list){ items, (uint32_t)count });
	return 0;
}

static int
read_struct(struct unpacking *in, const struct record_field *field, void *at,
    const struct record_path *path)
{
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;
	struct record_path inner = { path, field->key, -1 };

	if (optional && in->at < in->len && in->data[in->at] == MP_NIL) {
		in->at++;
		return 0;
	}
	int rc = read_record(in, field->of, at, &inner);

	if (rc == 0 && optional && record_is_zero(field->of, at))
		return record_fail(in->error, &inner, NULL,
		    "must be nil when it is empty");
	return rc;
}

static int
read_field(struct unpacking *in, const struct record_field *field, void *at,
    const struct record_path *path)
{
	bool good = false;

	switch (field->type) {
	case RECORD_BOOL:
		good = in->at < in->len &&
		    (in->data[in->at] == MP_TRUE ||
			in->data[in->at] == MP_FALSE);
		if (good)
			record_store_bool(at, in->data[in->at++] == MP_TRUE);
		break;
	case RECORD_U32:
	case RECORD_U64:
	case RECORD_I64:
	case RECORD_ENUM:
	case RECORD_TIME:
	case RECORD_DATE:
	case RECORD_MONEY:
	case RECORD_CURSOR:
		good = read_number(in, field, at);
		break;
	case RECORD_TEXT:
	case RECORD_FIXED:
	case RECORD_BLOB:
	case RECORD_STRING:
		good = read_bytes(in, field, at);
		break;
	case RECORD_STRUCT:
		return read_struct(in, field, at, path);
	case RECORD_LIST:
		return read_list(in, field, at, path);
	}
	/* Amounts wait for their currency. */
	if (!good ||
	    (field->type != RECORD_MONEY && !record_leaf_is_valid(field, at)))
		return record_fail_bounds(in->error, path, field);
	return 0;
}

static int
read_record(struct unpacking *in, const struct record *record, void *out,
    const struct record_path *path)
{
	bool money = false;
	uint64_t count;
	uint64_t version;

	if (in->depth >= RECORD_DEPTH_MAX)
		return record_fail(in->error, path, NULL,
		    "is nested too deeply");
	if (!array_read(in, &count) || count == 0 || !uint_read(in, &version))
		return record_fail(in->error, path, NULL,
		    "is no MessagePack record");
	if (version != record->version)
		return record_fail(in->error, path, NULL,
		    "version %ju is not known", (uintmax_t)version);
	if (count != record->n_fields + 1)
		return record_fail(in->error, path, NULL,
		    "has %ju fields, not %zu", (uintmax_t)(count - 1),
		    record->n_fields);
	in->depth++;
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];
		int rc =
		    read_field(in, field, record_at_mutable(out, field), path);

		if (rc < 0)
			return rc;
		money |= field->type == RECORD_MONEY;
	}
	in->depth--;
	return money ? record_check_money(record, out, path, in->error) : 0;
}

int
record_read_msgpack(void *out, const struct record *record, const uint8_t *data,
    size_t len, size_t *consumed, struct arena *arena,
    struct record_error *error)
{
	struct unpacking in = {
		.data = data,
		.len = len,
		.arena = arena,
		.error = error,
	};

	memset(out, 0, record->size);
	int rc = read_record(&in, record, out, NULL);

	if (rc == 0 && consumed == NULL && in.at != len)
		rc = record_fail(error, NULL, NULL, "has bytes after its end");
	if (rc == ERR_TOO_LARGE)
		record_fail(error, NULL, NULL, "is too large");
	if (rc < 0)
		memset(out, 0, record->size);
	else if (consumed != NULL)
		*consumed = in.at;
	return rc;
}
