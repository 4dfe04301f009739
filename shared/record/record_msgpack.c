#include "shared/record/msgpack.h"
#include "shared/record/record_fields.h"

#include <string.h>

static void write_record(struct buf *buf, const struct record *record,
    const void *value);

/* A type byte and a number of 1, 2, 4 or 8 bytes. */
static void
write_sized(struct buf *buf, uint8_t type, uint64_t value, size_t size)
{
	uint8_t *out = buf_extend(buf, size + 1);

	if (out == NULL)
		return;
	out[0] = type;
	for (size_t i = size; i > 0; i--) {
		out[i] = (uint8_t)value;
		value >>= 8;
	}
}

static void
write_uint(struct buf *buf, uint64_t value)
{
	if (value < 0x80)
		buf_add_byte(buf, (uint8_t)value);
	else if (value <= UINT8_MAX)
		write_sized(buf, MP_UINT8, value, 1);
	else if (value <= UINT16_MAX)
		write_sized(buf, MP_UINT16, value, 2);
	else if (value <= UINT32_MAX)
		write_sized(buf, MP_UINT32, value, 4);
	else
		write_sized(buf, MP_UINT64, value, 8);
}

static void
write_int(struct buf *buf, int64_t value)
{
	if (value >= 0)
		write_uint(buf, (uint64_t)value);
	else if (value >= -32)
		buf_add_byte(buf, (uint8_t)value);
	else if (value >= INT8_MIN)
		write_sized(buf, MP_INT8, (uint64_t)value, 1);
	else if (value >= INT16_MIN)
		write_sized(buf, MP_INT16, (uint64_t)value, 2);
	else if (value >= INT32_MIN)
		write_sized(buf, MP_INT32, (uint64_t)value, 4);
	else
		write_sized(buf, MP_INT64, (uint64_t)value, 8);
}

static void
write_array_header(struct buf *buf, uint64_t count)
{
	if (count < 16)
		buf_add_byte(buf, (uint8_t)(MP_FIXARRAY | count));
	else if (count <= UINT16_MAX)
		write_sized(buf, MP_ARRAY16, count, 2);
	else
		write_sized(buf, MP_ARRAY32, count, 4);
}

static void
write_bin(struct buf *buf, const void *data, size_t len)
{
	if (len <= UINT8_MAX)
		write_sized(buf, MP_BIN8, len, 1);
	else if (len <= UINT16_MAX)
		write_sized(buf, MP_BIN16, len, 2);
	else
		write_sized(buf, MP_BIN32, len, 4);
	if (len > 0)
		buf_add(buf, data, len);
}

static void
write_str(struct buf *buf, const void *data, size_t len)
{
	if (len < 32)
		buf_add_byte(buf, (uint8_t)(MP_FIXSTR | len));
	else if (len <= UINT8_MAX)
		write_sized(buf, MP_STR8, len, 1);
	else if (len <= UINT16_MAX)
		write_sized(buf, MP_STR16, len, 2);
	else
		write_sized(buf, MP_STR32, len, 4);
	if (len > 0)
		buf_add(buf, data, len);
}

static void
write_field(struct buf *buf, const struct record_field *field, const void *at)
{
	struct record_list list;
	struct record_span span;

	switch (field->type) {
	case RECORD_BOOL:
		buf_add_byte(buf, record_load_bool(at) ? MP_TRUE : MP_FALSE);
		return;
	case RECORD_U32:
	case RECORD_ENUM:
		write_uint(buf, record_load_u32(at));
		return;
	case RECORD_U64:
	case RECORD_CURSOR:
		write_uint(buf, record_load_u64(at));
		return;
	case RECORD_I64:
	case RECORD_TIME:
	case RECORD_MONEY:
		write_int(buf, record_load_i64(at));
		return;
	case RECORD_DATE:
		write_int(buf, record_load_i32(at));
		return;
	case RECORD_TEXT:
		write_str(buf, at, strnlen(at, field->size));
		return;
	case RECORD_FIXED:
		write_bin(buf, at, field->size);
		return;
	case RECORD_BLOB:
		span = record_load_span(at);
		write_bin(buf, span.data, span.len);
		return;
	case RECORD_STRING:
		span = record_load_span(at);
		write_str(buf, span.data, span.len);
		return;
	case RECORD_STRUCT:
		if ((field->flags & RECORD_OPTIONAL) != 0 &&
		    record_is_zero(field->of, at))
			buf_add_byte(buf, MP_NIL);
		else
			write_record(buf, field->of, at);
		return;
	case RECORD_LIST:
		list = record_load_list(at);
		write_array_header(buf, list.count);
		for (uint32_t i = 0; i < list.count; i++) {
			const uint8_t *item =
			    (const uint8_t *)list.items + i * field->of->size;

			if (field->of->bare)
				write_field(buf, &field->of->fields[0],
				    record_at(item, &field->of->fields[0]));
			else
				write_record(buf, field->of, item);
		}
		return;
	}
}

static void
write_record(struct buf *buf, const struct record *record, const void *value)
{
	write_array_header(buf, record->n_fields + 1);
	write_uint(buf, record->version);
	for (size_t i = 0; i < record->n_fields; i++)
		write_field(buf, &record->fields[i],
		    record_at(value, &record->fields[i]));
}

void
record_write_msgpack(struct buf *buf, const struct record *record,
    const void *value)
{
	write_record(buf, record, value);
}
