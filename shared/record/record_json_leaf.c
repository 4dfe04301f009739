#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/base64.h"
#include "shared/record/record_json.h"

#include <string.h>

/* Digits only, without overflow. The tokenizer has refused leading zeros. */
static bool
digits_read(uint64_t *value, const char *text, size_t len)
{
	uint64_t sum = 0;

	if (len == 0 || len > 20)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)((uint8_t)text[i] - '0');

		if (digit > 9)
			return false;
		if (i == 19 &&
		    (sum > UINT64_MAX / 10 || sum * 10 > UINT64_MAX - digit))
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return true;
}

static bool
unsigned_read(uint64_t *value, const struct record_field *field,
    const struct json_token *token)
{
	return token->type == JSON_NUMBER &&
	    digits_read(value, token->text, token->len) &&
	    *value >= field->min && *value <= field->max;
}

static bool
signed_read(int64_t *value, const struct record_field *field,
    const struct json_token *token)
{
	uint64_t size;

	if (token->type != JSON_NUMBER)
		return false;
	bool negative = *token->text == '-';

	if (!digits_read(&size, token->text + negative, token->len - negative))
		return false;
	if (size > (uint64_t)INT64_MAX + negative)
		return false;
	*value = negative ? (int64_t)-size : (int64_t)size;
	return *value >= (int64_t)field->min && *value <= (int64_t)field->max;
}

int
record_read_number(struct reading *reading, const struct record_field *field,
    void *at, const struct json_token *token, const struct record_path *path)
{
	uint64_t value;
	int64_t signed_value;

	if (field->type == RECORD_MONEY && token->type == JSON_NUMBER) {
		record_store_i64(at, token->text - reading->json.text + 1);
		return 0;
	}
	if (field->type == RECORD_I64 &&
	    signed_read(&signed_value, field, token)) {
		record_store_i64(at, signed_value);
		return 0;
	}
	if (field->type == RECORD_U32 && unsigned_read(&value, field, token) &&
	    value <= UINT32_MAX) {
		record_store_u32(at, (uint32_t)value);
		return 0;
	}
	if (field->type == RECORD_U64 && unsigned_read(&value, field, token)) {
		record_store_u64(at, value);
		return 0;
	}
	return record_fail_bounds(reading->error, path, field);
}

static const char *
count_word(size_t n)
{
	static const char *const words[] = { "no", "one", "two", "three",
		"four", "five", "six", "seven", "eight", "nine" };

	return n < sizeof(words) / sizeof(words[0]) ? words[n] : "many";
}

/* The number's text starts at `text`; minor units of `currency`. */
static int
money_read(struct reading *reading, int64_t *minor,
    const struct record_field *field, const char *text, const char *currency,
    const struct record_path *path)
{
	const char *end = reading->json.text + reading->json.len;
	uint64_t sum = 0;
	int decimals = currency_decimals(currency);
	int given = -1; /* digits after the point; -1: no point yet */

	for (; text < end; text++) {
		if (*text == '.') {
			given = 0;
			continue;
		}
		if (*text == '-' || *text == 'e' || *text == 'E')
			return record_fail_bounds(reading->error, path, field);
		if (*text < '0' || *text > '9')
			break;
		if (given >= 0 && ++given > decimals)
			continue; /* counted for the words */
		if (sum > (uint64_t)RECORD_MONEY_MAX)
			return record_fail_bounds(reading->error, path, field);
		sum = sum * 10 + (uint64_t)(*text - '0');
	}
	if (given > decimals)
		return record_fail(reading->error, path, field->key,
		    "has %s decimal%s; %s has %s", count_word((size_t)given),
		    given == 1 ? "" : "s", currency,
		    decimals == 0 ? "none" : count_word((size_t)decimals));
	for (int i = given < 0 ? 0 : given; i < decimals; i++) {
		if (sum > (uint64_t)RECORD_MONEY_MAX)
			break;
		sum *= 10;
	}
	if (sum > (uint64_t)RECORD_MONEY_MAX)
		return record_fail_bounds(reading->error, path, field);
	*minor = (int64_t)sum;
	return 0;
}

int
record_settle_money(struct reading *reading, const struct record *record,
    void *out, const struct record_path *path)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];
		void *at = record_at_mutable(out, field);

		if (field->type != RECORD_MONEY || record_load_i64(at) == 0)
			continue;
		const struct record_field *unit =
		    record_currency(record, field);
		const char *currency = record_at(out, unit);

		if (currency_decimals(currency) < 0)
			return record_fail(reading->error, path, unit->key,
			    "must be an ISO 4217 currency code in use, like "
			    "EUR");
		int64_t minor = 0;
		const char *text =
		    reading->json.text + (record_load_i64(at) - 1);
		int rc =
		    money_read(reading, &minor, field, text, currency, path);

		if (rc < 0)
			return rc;
		record_store_i64(at, minor);
	}
	return 0;
}

int
record_read_escapes(struct reading *reading, const char **text, size_t *len,
    const struct json_token *token)
{
	*text = token->text;
	*len = token->len;
	if (!token->escaped)
		return 0;
	char *room = arena_alloc(reading->arena, token->len + 1);

	if (room == NULL)
		return ERR_TOO_LARGE;
	*text = room;
	return json_unescape(room, len, token);
}

static int
read_text(struct reading *reading, const struct record_field *field, void *at,
    const struct json_token *token, const struct record_path *path)
{
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;
	const char *text;
	size_t len;

	/* An escape is at most 6 bytes for one: no room for a stranger's
	 * megabyte that would be refused anyway. */
	if (token->len / 6 > field->max)
		return record_fail_bounds(reading->error, path, field);
	int rc = record_read_escapes(reading, &text, &len, token);

	if (rc == ERR_TOO_LARGE)
		return rc;
	if (rc < 0 ||
	    ((len < field->min || len > field->max) &&
		!(optional && len == 0)) ||
	    !record_text_is_valid(field->type, text, len))
		return record_fail_bounds(reading->error, path, field);
	if (field->type == RECORD_TEXT) {
		memcpy(at, text, len);
		return 0;
	}
	struct record_span span = { NULL, (uint32_t)len };

	if (len > 0) {
		span.data = token->escaped
		    ? text
		    : arena_copy(reading->arena, text, len);
		if (span.data == NULL)
			return ERR_TOO_LARGE;
	}
	record_store_span(at, span);
	return 0;
}

/* `out` holds base64_size(token->len). */
static bool
bytes_decode(uint8_t *out, const struct record_field *field,
    const struct json_token *token)
{
	size_t len;

	if ((field->flags & RECORD_SECRET) == 0)
		return base64_read(out, token->text, token->len);
	return text_from_base64(out, base64_size(token->len), &len, token->text,
		   token->len) == 0;
}

static int
read_bytes(struct reading *reading, const struct record_field *field, void *at,
    const struct json_token *token, const struct record_path *path)
{
	bool optional = (field->flags & RECORD_OPTIONAL) != 0;
	size_t len = base64_size(token->len);

	if (token->escaped)
		return record_fail_bounds(reading->error, path, field);
	if (field->type == RECORD_FIXED) {
		if (len != field->size || !bytes_decode(at, field, token))
			return record_fail_bounds(reading->error, path, field);
		return 0;
	}
	if (token->len == 0 && (optional || field->min == 0))
		return 0;
	if (len < field->min || len > field->max)
		return record_fail_bounds(reading->error, path, field);
	uint8_t *data = arena_alloc(reading->arena, len > 0 ? len : 1);

	if (data == NULL)
		return ERR_TOO_LARGE;
	if (!bytes_decode(data, field, token))
		return record_fail_bounds(reading->error, path, field);
	record_store_span(at, (struct record_span){ data, (uint32_t)len });
	return 0;
}

static bool
enum_read(uint32_t *value, const struct record_field *field,
    const struct json_token *token)
{
	if (token->escaped)
		return false;
	for (uint32_t i = 0; field->names[i] != NULL; i++) {
		const char *name = field->names[i];

		if (strncmp(name, token->text, token->len) == 0 &&
		    name[token->len] == '\0') {
			*value = i;
			return true;
		}
	}
	return false;
}

int
record_read_string(struct reading *reading, const struct record_field *field,
    void *at, const struct json_token *token, const struct record_path *path)
{
	uint32_t index;
	uint64_t number;
	int64_t time;
	int32_t date;

	if (token->type != JSON_STRING)
		return record_fail_bounds(reading->error, path, field);
	if (field->type == RECORD_TEXT || field->type == RECORD_STRING)
		return read_text(reading, field, at, token, path);
	if (field->type == RECORD_FIXED || field->type == RECORD_BLOB)
		return read_bytes(reading, field, at, token, path);
	if (field->type == RECORD_ENUM && enum_read(&index, field, token)) {
		record_store_u32(at, index);
		return 0;
	}
	if (field->type == RECORD_TIME &&
	    clock_parse(&time, token->text, token->len) == 0 && time >= 0 &&
	    time <= RECORD_TIME_MAX) {
		record_store_i64(at, time);
		return 0;
	}
	if (field->type == RECORD_CURSOR && !token->escaped &&
	    record_cursor_read(&number, (uint8_t)field->min, token->text,
		token->len)) {
		record_store_u64(at, number);
		return 0;
	}
	if (field->type == RECORD_DATE &&
	    clock_parse_date(&date, token->text, token->len) == 0 &&
	    date >= 0 && date <= RECORD_DATE_MAX) {
		record_store_i32(at, date);
		return 0;
	}
	return record_fail_bounds(reading->error, path, field);
}
