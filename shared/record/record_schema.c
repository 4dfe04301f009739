#include "shared/base/text.h"
#include "shared/record/json.h"
#include "shared/record/record_fields.h"

#include <string.h>

static void
add_text(struct buf *buf, const char *text)
{
	json_add_string(buf, text, strlen(text));
}

static void
add_ref(struct buf *buf, const struct record *record)
{
	buf_printf(buf, "\"$ref\":\"#/components/schemas/%s\"", record->name);
}

/* JSON Schema counts characters where the table counts bytes: what is said
 * here never refuses what the reader takes, but the reader is stricter. */
static void
add_text_bounds(struct buf *buf, const struct record_field *field)
{
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;

	buf_add_str(buf, "\"type\":\"string\"");
	if (field->min > 0 && !optional)
		buf_printf(buf, ",\"minLength\":%ju",
		    (uintmax_t)((field->min + 3) / 4));
	buf_printf(buf, ",\"maxLength\":%ju,\"x-maxBytes\":%ju",
	    (uintmax_t)field->max, (uintmax_t)field->max);
	/* No control characters; long texts have lines. */
	buf_add_str(buf,
	    field->type == RECORD_TEXT
		? ",\"pattern\":\"^[^\\u0000-\\u001f\\u007f-\\u009f]*$\""
		: ",\"pattern\":\"^[^\\u0000-\\u0008\\u000b-\\u001f"
		  "\\u007f-\\u009f]*$\"");
}

static void
add_bytes_bounds(struct buf *buf, const struct record_field *field)
{
	bool fixed = field->type == RECORD_FIXED;
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;
	uint64_t min = fixed ? field->size : field->min;
	uint64_t max = fixed ? field->size : field->max;

	buf_add_str(buf,
	    "\"type\":\"string\",\"contentEncoding\":\"base64url\","
	    "\"pattern\":\"^[A-Za-z0-9_-]*$\"");
	if (min > 0 && (fixed || !optional))
		buf_printf(buf, ",\"minLength\":%ju",
		    (uintmax_t)(TEXT_BASE64_SIZE(min) - 1));
	buf_printf(buf, ",\"maxLength\":%ju",
	    (uintmax_t)(TEXT_BASE64_SIZE(max) - 1));
}

static void
add_names(struct buf *buf, const struct record_field *field)
{
	buf_add_str(buf, "\"type\":\"string\",\"enum\":[");
	for (size_t i = 0; field->names[i] != NULL; i++) {
		if (i > 0)
			buf_add_byte(buf, ',');
		add_text(buf, field->names[i]);
	}
	buf_add_byte(buf, ']');
}

static void
add_list(struct buf *buf, const struct record_field *field)
{
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;

	buf_add_str(buf, "\"type\":\"array\",\"items\":{");
	add_ref(buf, field->of);
	buf_add_byte(buf, '}');
	if (field->min > 0 && !optional)
		buf_printf(buf, ",\"minItems\":%ju", (uintmax_t)field->min);
	buf_printf(buf, ",\"maxItems\":%ju", (uintmax_t)field->max);
}

/* The members of a field's schema object, without braces and description. */
static void
add_field(struct buf *buf, const struct record_field *field)
{
	switch (field->type) {
	case RECORD_BOOL:
		buf_add_str(buf, "\"type\":\"boolean\"");
		break;
	case RECORD_U32:
	case RECORD_U64:
		buf_printf(buf,
		    "\"type\":\"integer\",\"minimum\":%ju,\"maximum\":%ju",
		    (uintmax_t)field->min, (uintmax_t)field->max);
		break;
	case RECORD_I64:
		buf_printf(buf,
		    "\"type\":\"integer\",\"minimum\":%jd,\"maximum\":%jd",
		    (intmax_t)(int64_t)field->min,
		    (intmax_t)(int64_t)field->max);
		break;
	case RECORD_ENUM:
		add_names(buf, field);
		break;
	case RECORD_TEXT:
	case RECORD_STRING:
		add_text_bounds(buf, field);
		break;
	case RECORD_FIXED:
	case RECORD_BLOB:
		add_bytes_bounds(buf, field);
		break;
	case RECORD_TIME:
		buf_add_str(buf,
		    "\"type\":\"string\",\"format\":\"date-time\"");
		break;
	case RECORD_DATE:
		buf_add_str(buf, "\"type\":\"string\",\"format\":\"date\"");
		break;
	case RECORD_MONEY:
		buf_printf(buf,
		    "\"type\":\"number\",\"minimum\":0,\"maximum\":%jd",
		    (intmax_t)(RECORD_MONEY_MAX));
		break;
	case RECORD_STRUCT:
		add_ref(buf, field->of);
		break;
	case RECORD_LIST:
		add_list(buf, field);
		break;
	case RECORD_CURSOR:
		buf_printf(buf,
		    "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-]{%d}$\"",
		    RECORD_CURSOR_TEXT);
		break;
	}
}

static void
add_described_field(struct buf *buf, const struct record_field *field)
{
	add_field(buf, field);
	if (field->doc != NULL && *field->doc != '\0') {
		buf_add_str(buf, ",\"description\":");
		add_text(buf, field->doc);
	}
}

static void
add_required(struct buf *buf, const struct record *record)
{
	bool first = true;

	for (size_t i = 0; i < record->n_fields; i++) {
		if ((record->fields[i].flags & RECORD_OPTIONAL) != 0)
			continue;
		buf_add_str(buf, first ? ",\"required\":[" : ",");
		add_text(buf, record->fields[i].key);
		first = false;
	}
	if (!first)
		buf_add_byte(buf, ']');
}

void
record_write_field_schema(struct buf *buf, const struct record_field *field)
{
	buf_add_byte(buf, '{');
	add_field(buf, field);
	buf_add_byte(buf, '}');
}

void
record_write_schema(struct buf *buf, const struct record *record)
{
	buf_add_byte(buf, '{');
	if (record->bare) {
		/* It stands in lists only, and there it is its one field. */
		add_described_field(buf, &record->fields[0]);
		buf_add_byte(buf, '}');
		return;
	}
	buf_add_str(buf, "\"type\":\"object\"");
	if (record->doc != NULL && *record->doc != '\0') {
		buf_add_str(buf, ",\"description\":");
		add_text(buf, record->doc);
	}
	buf_add_str(buf, ",\"properties\":{");
	for (size_t i = 0; i < record->n_fields; i++) {
		if (i > 0)
			buf_add_byte(buf, ',');
		add_text(buf, record->fields[i].key);
		buf_add_str(buf, ":{");
		add_described_field(buf, &record->fields[i]);
		buf_add_byte(buf, '}');
	}
	buf_add_byte(buf, '}');
	add_required(buf, record);
	buf_add_str(buf, ",\"additionalProperties\":false}");
}

static bool
is_among(const struct record *const *records, size_t count,
    const struct record *record)
{
	for (size_t i = 0; i < count; i++)
		if (records[i] == record)
			return true;
	return false;
}

size_t
record_closure(const struct record **out, size_t size,
    const struct record *record)
{
	size_t count = 0;

	if (size == 0)
		return 0;
	out[count++] = record;
	/* What was found is itself looked through, in turn. */
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < out[i]->n_fields; j++) {
			const struct record *of = out[i]->fields[j].of;

			if (of != NULL && count < size &&
			    !is_among(out, count, of))
				out[count++] = of;
		}
	}
	return count;
}
