#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/plain.h"
#include "shared/record/record_fields.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
append(char *out, size_t size, const char *text)
{
	size_t len = strnlen(out, size);

	snprintf(out + len, size - len, "%s", text);
}

static void
path_write(char *out, size_t size, const struct record_path *path)
{
	if (path == NULL)
		return;
	path_write(out, size, path->up);
	if (path->key != NULL) {
		if (*out != '\0')
			append(out, size, ".");
		append(out, size, path->key);
	}
	if (path->index >= 0) {
		char index[24];

		snprintf(index, sizeof(index), "[%jd]", (intmax_t)path->index);
		append(out, size, index);
	}
}

int
record_fail(struct record_error *error, const struct record_path *path,
    const char *key, const char *format, ...)
{
	struct record_path inner = { path, key, -1 };
	va_list args;

	if (error == NULL)
		return ERR_BAD_REQUEST;
	error->field[0] = '\0';
	path_write(error->field, sizeof(error->field), &inner);
	va_start(args, format);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
	va_end(args);
	return ERR_BAD_REQUEST;
}

static void
describe_names(char *out, size_t size, const struct record_field *field)
{
	append(out, size, "must be one of ");
	for (size_t i = 0; field->names[i] != NULL; i++) {
		append(out, size, i == 0 ? "\"" : ", \"");
		append(out, size, field->names[i]);
		append(out, size, "\"");
	}
}

/* "1 to 63 bytes of ..." */
static void
describe_bytes(char *out, size_t size, uint64_t min, uint64_t max,
    const char *what)
{
	if (min == max)
		snprintf(out, size, "must be %ju bytes of %s", (uintmax_t)min,
		    what);
	else if (min == 0)
		snprintf(out, size, "must be at most %ju bytes of %s",
		    (uintmax_t)max, what);
	else
		snprintf(out, size, "must be %ju to %ju bytes of %s",
		    (uintmax_t)min, (uintmax_t)max, what);
}

static void
describe_bounds(char *out, size_t size, const struct record_field *field)
{
	switch (field->type) {
	case RECORD_BOOL:
		append(out, size, "must be true or false");
		return;
	case RECORD_U32:
	case RECORD_U64:
		snprintf(out, size, "must be a whole number from %ju to %ju",
		    (uintmax_t)field->min, (uintmax_t)field->max);
		return;
	case RECORD_I64:
		snprintf(out, size, "must be a whole number from %jd to %jd",
		    (intmax_t)(int64_t)field->min,
		    (intmax_t)(int64_t)field->max);
		return;
	case RECORD_ENUM:
		describe_names(out, size, field);
		return;
	case RECORD_TEXT:
		describe_bytes(out, size, field->min, field->max,
		    "UTF-8 without control characters");
		return;
	case RECORD_FIXED:
		describe_bytes(out, size, field->size, field->size,
		    "data, in base64url without padding");
		return;
	case RECORD_BLOB:
		describe_bytes(out, size, field->min, field->max,
		    "data, in base64url without padding");
		return;
	case RECORD_STRING:
		describe_bytes(out, size, field->min, field->max, "UTF-8 text");
		return;
	case RECORD_TIME:
		append(out, size,
		    "must be a time from 1970 on like "
		    "\"2026-01-31T12:00:00Z\"");
		return;
	case RECORD_DATE:
		append(out, size,
		    "must be a date from 1970 on like \"2026-01-31\"");
		return;
	case RECORD_MONEY:
		append(out, size,
		    "must be an amount like 1250.50, not negative, without an "
		    "exponent, at most 2^53 minor units");
		return;
	case RECORD_STRUCT:
		append(out, size, "must be an object");
		return;
	case RECORD_CURSOR:
		append(out, size,
		    "must be the cursor that a page of this list gave as its "
		    "next one");
		return;
	case RECORD_LIST:
		snprintf(out, size, "must be a list of %ju to %ju items",
		    (uintmax_t)field->min, (uintmax_t)field->max);
		return;
	}
}

int
record_fail_bounds(struct record_error *error, const struct record_path *path,
    const struct record_field *field)
{
	char words[sizeof(error->reason)] = "";

	if (error == NULL)
		return ERR_BAD_REQUEST;
	describe_bounds(words, sizeof(words), field);
	return record_fail(error, path, field->key, "%s", words);
}

bool
record_text_is_valid(enum record_type type, const char *text, size_t len)
{
	size_t start = 0;

	if (len == 0)
		return true; /* text may be NULL then */
	for (;;) {
		start += plain_run(text + start, len - start);
		if (start == len)
			return true;
		if (text[start] != '"' && text[start] != '\\')
			break;
		start++;
	}
	/* The rest has more than plain ASCII in it. */
	for (size_t i = start; i < len && type == RECORD_STRING; i++) {
		if (text[i] != '\n' && text[i] != '\t')
			continue;
		if (!text_is_printable(text + start, i - start))
			return false;
		start = i + 1;
	}
	return text_is_printable(text + start, len - start);
}

static bool
bytes_are_zero(const uint8_t *p, size_t len)
{
	uint8_t seen = 0;

	for (size_t i = 0; i < len; i++)
		seen |= p[i];
	return seen == 0;
}

bool
record_field_is_zero(const struct record_field *field, const void *at)
{
	switch (field->type) {
	case RECORD_BOOL:
		return !record_load_bool(at);
	case RECORD_U32:
	case RECORD_ENUM:
		return record_load_u32(at) == 0;
	case RECORD_U64:
	case RECORD_CURSOR:
		return record_load_u64(at) == 0;
	case RECORD_I64:
	case RECORD_TIME:
	case RECORD_MONEY:
		return record_load_i64(at) == 0;
	case RECORD_DATE:
		return record_load_i32(at) == 0;
	case RECORD_TEXT:
		return *(const char *)at == '\0';
	case RECORD_FIXED:
		return bytes_are_zero(at, field->size);
	case RECORD_BLOB:
	case RECORD_STRING:
		return record_load_span(at).len == 0;
	case RECORD_LIST:
		return record_load_list(at).count == 0;
	case RECORD_STRUCT:
		return record_is_zero(field->of, at);
	}
	return false;
}

bool
record_is_zero(const struct record *record, const void *value)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (!record_field_is_zero(&record->fields[i],
			record_at(value, &record->fields[i])))
			return false;
	return true;
}

static bool
enum_is_valid(const struct record_field *field, uint32_t value)
{
	for (uint32_t i = 0; field->names[i] != NULL; i++)
		if (i == value)
			return true;
	return false;
}

static bool
in_bounds(const struct record_field *field, uint64_t value)
{
	return value >= field->min && value <= field->max;
}

static bool
text_is_valid(const struct record_field *field, const char *text)
{
	size_t len = strnlen(text, field->size);

	return len < field->size && in_bounds(field, len) &&
	    record_text_is_valid(RECORD_TEXT, text, len);
}

bool
record_leaf_is_valid(const struct record_field *field, const void *at)
{
	struct record_span span;
	int64_t signed_value;

	if ((field->flags & RECORD_OPTIONAL) != 0 &&
	    record_field_is_zero(field, at))
		return true;
	switch (field->type) {
	case RECORD_BOOL:
	case RECORD_FIXED:
		return true;
	case RECORD_U32:
		return in_bounds(field, record_load_u32(at));
	case RECORD_U64:
		return in_bounds(field, record_load_u64(at));
	case RECORD_CURSOR:
		return record_load_u64(at) <= field->max;
	case RECORD_I64:
		signed_value = record_load_i64(at);
		return signed_value >= (int64_t)field->min &&
		    signed_value <= (int64_t)field->max;
	case RECORD_ENUM:
		return enum_is_valid(field, record_load_u32(at));
	case RECORD_TEXT:
		return text_is_valid(field, at);
	case RECORD_BLOB:
	case RECORD_STRING:
		span = record_load_span(at);
		return in_bounds(field, span.len) &&
		    (field->type == RECORD_BLOB ||
			record_text_is_valid(RECORD_STRING, span.data,
			    span.len));
	case RECORD_TIME:
		signed_value = record_load_i64(at);
		return signed_value >= 0 && signed_value <= RECORD_TIME_MAX;
	case RECORD_DATE:
		return record_load_i32(at) >= 0 &&
		    record_load_i32(at) <= RECORD_DATE_MAX;
	case RECORD_MONEY:
	case RECORD_STRUCT:
	case RECORD_LIST:
		break;
	}
	return false;
}

const struct record_field *
record_currency(const struct record *record, const struct record_field *money)
{
	for (size_t i = 0; i < record->n_fields; i++)
		if (record->fields[i].offset == money->currency_offset &&
		    record->fields[i].type == RECORD_TEXT)
			return &record->fields[i];
	assert(false); /* the table names no RECORD_TEXT as the currency */
	return NULL;
}

int
record_check_money(const struct record *record, const void *value,
    const struct record_path *path, struct record_error *error)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];

		if (field->type != RECORD_MONEY)
			continue;
		int64_t amount = record_load_i64(record_at(value, field));
		const struct record_field *unit =
		    record_currency(record, field);
		const char *code = record_at(value, unit);

		if (amount < 0 || amount > RECORD_MONEY_MAX)
			return record_fail_bounds(error, path, field);
		if (amount == 0 && *code == '\0' &&
		    (field->flags & RECORD_OPTIONAL) != 0)
			continue;
		if (currency_decimals(code) < 0)
			return record_fail(error, path, unit->key,
			    "must be an ISO 4217 currency code in use, like "
			    "EUR");
	}
	return 0;
}

static int check_fields(const struct record *record, const void *value,
    const struct record_path *path, struct record_error *error);

static int
check_list(const struct record_field *field, const void *at,
    const struct record_path *path, struct record_error *error)
{
	struct record_list list = record_load_list(at);
	const uint8_t *item = list.items;

	if (list.count == 0 && (field->flags & RECORD_OPTIONAL) != 0)
		return 0;
	if (!in_bounds(field, list.count))
		return record_fail_bounds(error, path, field);
	for (uint32_t i = 0; i < list.count; i++) {
		struct record_path inner = { path, field->key, i };
		int rc = check_fields(field->of, item, &inner, error);

		if (rc < 0)
			return rc;
		item += field->of->size;
	}
	return 0;
}

static int
check_struct(const struct record_field *field, const void *at,
    const struct record_path *path, struct record_error *error)
{
	struct record_path inner = { path, field->key, -1 };

	if ((field->flags & RECORD_OPTIONAL) != 0 &&
	    record_is_zero(field->of, at))
		return 0;
	return check_fields(field->of, at, &inner, error);
}

static int
check_fields(const struct record *record, const void *value,
    const struct record_path *path, struct record_error *error)
{
	bool money = false;

	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];
		const void *at = record_at(value, field);
		int rc = 0;

		if (field->type == RECORD_LIST)
			rc = check_list(field, at, path, error);
		else if (field->type == RECORD_STRUCT)
			rc = check_struct(field, at, path, error);
		else if (field->type == RECORD_MONEY)
			money = true;
		else if (!record_leaf_is_valid(field, at))
			rc = record_fail_bounds(error, path, field);
		if (rc < 0)
			return rc;
	}
	return money ? record_check_money(record, value, path, error) : 0;
}

int
record_check(const struct record *record, const void *value,
    struct record_error *error)
{
	return check_fields(record, value, NULL, error);
}
