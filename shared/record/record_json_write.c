#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/record/base64.h"
#include "shared/record/json.h"
#include "shared/record/record_fields.h"

#include <string.h>

struct writing {
	struct buf *buf;
	bool pretty;
	unsigned int depth;
};

static void write_object(struct writing *writing, const struct record *record,
    const void *value);
static void write_value(struct writing *writing, const struct record *record,
    const void *value, const struct record_field *field);

static void
new_line(struct writing *writing)
{
	if (!writing->pretty)
		return;
	size_t spaces = (size_t)writing->depth * 2;
	uint8_t *out = buf_extend(writing->buf, spaces + 1);

	if (out == NULL)
		return;
	out[0] = '\n';
	memset(out + 1, ' ', spaces);
}

/* A comma and the key; `first` of its object has no comma. */
static void
write_key(struct writing *writing, const char *key, bool first)
{
	size_t len = strlen(key);

	if (!first)
		buf_add_byte(writing->buf, ',');
	new_line(writing);
	uint8_t *out = buf_extend(writing->buf, len + 3 + writing->pretty);

	if (out == NULL)
		return;
	out[0] = '"';
	memcpy(out + 1, key, len);
	out[len + 1] = '"';
	out[len + 2] = ':';
	if (writing->pretty)
		out[len + 3] = ' ';
}

/* Digits of value, ending before `end`. Returns where they begin. */
static char *
digits_write(char *end, uint64_t value)
{
	do {
		*--end = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	return end;
}

static void
write_unsigned(struct buf *buf, uint64_t value, bool negative)
{
	char text[24];
	char *end = text + sizeof(text);
	char *start = digits_write(end, value);

	if (negative)
		*--start = '-';
	buf_add(buf, start, (size_t)(end - start));
}

static void
write_signed(struct buf *buf, int64_t value)
{
	bool negative = value < 0;

	write_unsigned(buf, negative ? -(uint64_t)value : (uint64_t)value,
	    negative);
}

static void
write_quoted(struct buf *buf, const char *text)
{
	size_t len = strlen(text);
	uint8_t *out = buf_extend(buf, len + 2);

	if (out == NULL)
		return;
	out[0] = '"';
	memcpy(out + 1, text, len);
	out[len + 1] = '"';
}

static void
write_base64(struct buf *buf, const struct record_field *field,
    const void *data, size_t len)
{
	size_t room = TEXT_BASE64_SIZE(len); /* a NUL included */
	uint8_t *out = buf_extend(buf, room + 2);

	if (out == NULL)
		return;
	char *text = (char *)out + 1;

	out[0] = '"';
	if (len > 0 && (field->flags & RECORD_SECRET) != 0)
		text_to_base64(text, data, len);
	else if (len > 0)
		base64_write(text, data, len);
	out[room] = '"';
	buf->len--;
}

/* An amount whose currency is not known cannot be written down; only a record
 * that was never checked has one. */
static void
write_money(struct buf *buf, const struct record *record, const void *value,
    const struct record_field *field)
{
	int64_t minor = record_load_i64(record_at(value, field));
	const char *currency = record_at(value, record_currency(record, field));
	char text[32];

	if (minor == 0 && *currency == '\0') {
		buf_add_byte(buf, '0');
		return;
	}
	if (minor < 0 || currency_decimals(currency) < 0) {
		buf->failed = true;
		return;
	}
	money_format(text, minor, currency);
	buf_add_str(buf, text);
}

static void
write_enum(struct buf *buf, const struct record_field *field, uint32_t value)
{
	for (uint32_t i = 0; field->names[i] != NULL; i++) {
		if (i == value) {
			write_quoted(buf, field->names[i]);
			return;
		}
	}
	buf->failed = true; /* never checked, as above */
}

static void
write_list(struct writing *writing, const struct record *of,
    struct record_list list)
{
	const uint8_t *item = list.items;

	buf_add_byte(writing->buf, '[');
	writing->depth++;
	for (uint32_t i = 0; i < list.count; i++) {
		if (i > 0)
			buf_add_byte(writing->buf, ',');
		new_line(writing);
		if (of->bare)
			write_value(writing, of, item, &of->fields[0]);
		else
			write_object(writing, of, item);
		item += of->size;
	}
	writing->depth--;
	if (list.count > 0)
		new_line(writing);
	buf_add_byte(writing->buf, ']');
}

static void
write_value(struct writing *writing, const struct record *record,
    const void *value, const struct record_field *field)
{
	struct buf *buf = writing->buf;
	const void *at = record_at(value, field);
	struct record_span span;
	char text[CLOCK_TEXT_SIZE];

	switch (field->type) {
	case RECORD_BOOL:
		buf_add_str(buf, record_load_bool(at) ? "true" : "false");
		return;
	case RECORD_U32:
		write_unsigned(buf, record_load_u32(at), false);
		return;
	case RECORD_U64:
		write_unsigned(buf, record_load_u64(at), false);
		return;
	case RECORD_I64:
		write_signed(buf, record_load_i64(at));
		return;
	case RECORD_ENUM:
		write_enum(buf, field, record_load_u32(at));
		return;
	case RECORD_TEXT:
		json_add_string(buf, at, strnlen(at, field->size));
		return;
	case RECORD_FIXED:
		write_base64(buf, field, at, field->size);
		return;
	case RECORD_BLOB:
		span = record_load_span(at);
		write_base64(buf, field, span.data, span.len);
		return;
	case RECORD_STRING:
		span = record_load_span(at);
		json_add_string(buf, span.data, span.len);
		return;
	case RECORD_TIME:
		clock_format(text, record_load_i64(at));
		write_quoted(buf, text);
		return;
	case RECORD_DATE:
		clock_format_date(text, record_load_i32(at));
		write_quoted(buf, text);
		return;
	case RECORD_MONEY:
		write_money(buf, record, value, field);
		return;
	case RECORD_CURSOR:
		record_cursor_write(text, (uint8_t)field->min,
		    record_load_u64(at));
		write_quoted(buf, text);
		return;
	case RECORD_STRUCT:
		write_object(writing, field->of, at);
		return;
	case RECORD_LIST:
		write_list(writing, field->of, record_load_list(at));
		return;
	}
}

static void
write_object(struct writing *writing, const struct record *record,
    const void *value)
{
	bool first = true;

	buf_add_byte(writing->buf, '{');
	writing->depth++;
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];

		if ((field->flags & RECORD_OPTIONAL) != 0 &&
		    record_field_is_zero(field, record_at(value, field)))
			continue;
		write_key(writing, field->key, first);
		write_value(writing, record, value, field);
		first = false;
	}
	writing->depth--;
	if (!first)
		new_line(writing);
	buf_add_byte(writing->buf, '}');
}

void
record_write_json(struct buf *buf, const struct record *record,
    const void *value)
{
	struct writing writing = { .buf = buf };

	write_object(&writing, record, value);
}

void
record_write_json_pretty(struct buf *buf, const struct record *record,
    const void *value)
{
	struct writing writing = { .buf = buf, .pretty = true };

	write_object(&writing, record, value);
}
