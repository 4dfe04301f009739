#include "shared/record/record_json.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Keys that a person meant otherwise are shown up to here. */
#define KEY_SHOWN_MAX ((size_t)48)

static int read_object(struct reading *reading, const struct record *record,
    void *out, const struct record_path *path);
static int read_value(struct reading *reading, const struct record_field *field,
    void *at, const struct json_token *token, const struct record_path *path);

/* The text is no JSON: say where. */
static int
fail_syntax(struct reading *reading)
{
	const struct json_reader *json = &reading->json;
	size_t line = 1;
	size_t column = 1;

	for (size_t i = 0; i < json->at && i < json->len; i++) {
		column++;
		if (json->text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return record_fail(reading->error, NULL, NULL,
	    "is not JSON: %s (line %zu, column %zu)",
	    json->error != NULL ? json->error : "a value is missing", line,
	    column);
}

/* Room for one more item: doubled, since nobody knows how many will come. */
static int
list_grow(struct reading *reading, struct record_list *list, uint32_t *room,
    const struct record_field *field)
{
	size_t size = field->of->size;

	if (list->count < *room)
		return 0;
	uint32_t more = *room == 0 ? 4 : *room * 2;

	if (more > field->max)
		more = (uint32_t)field->max;
	void *items = arena_alloc(reading->arena, more * size);

	if (items == NULL)
		return ERR_TOO_LARGE;
	if (list->count > 0)
		memcpy(items, list->items, list->count * size);
	list->items = items;
	*room = more;
	return 0;
}

static int
read_item(struct reading *reading, const struct record_field *field, void *at,
    const struct json_token *token, const struct record_path *path)
{
	const struct record *of = field->of;

	if (of->bare) {
		struct record_field item = of->fields[0];

		item.key = NULL; /* it goes by its place alone */
		return read_value(reading, &item,
		    record_at_mutable(at, &of->fields[0]), token, path);
	}
	if (token->type != JSON_OBJECT)
		return record_fail(reading->error, path, NULL,
		    "must be an object");
	return read_object(reading, of, at, path);
}

static int
read_list(struct reading *reading, const struct record_field *field, void *at,
    const struct json_token *token, const struct record_path *path)
{
	struct record_list list = { NULL, 0 };
	uint32_t room = 0;

	if (token->type != JSON_ARRAY)
		return record_fail_bounds(reading->error, path, field);
	for (;;) {
		struct record_path inner = { path, field->key, list.count };
		struct json_token item;

		if (json_next(&reading->json, &item) < 0)
			return fail_syntax(reading);
		if (item.type == JSON_END)
			break;
		if (list.count >= field->max)
			return record_fail_bounds(reading->error, path, field);
		int rc = list_grow(reading, &list, &room, field);

		if (rc < 0)
			return rc;
		rc = read_item(reading, field,
		    (uint8_t *)list.items + list.count * field->of->size, &item,
		    &inner);
		if (rc < 0)
			return rc;
		list.count++;
	}
	if (list.count < field->min &&
	    !(list.count == 0 && (field->flags & RECORD_OPTIONAL) != 0))
		return record_fail_bounds(reading->error, path, field);
	record_store_list(at, list);
	return 0;
}

static int
read_value(struct reading *reading, const struct record_field *field, void *at,
    const struct json_token *token, const struct record_path *path)
{
	struct record_path inner = { path, field->key, -1 };

	switch (field->type) {
	case RECORD_BOOL:
		if (token->type != JSON_TRUE && token->type != JSON_FALSE)
			break;
		record_store_bool(at, token->type == JSON_TRUE);
		return 0;
	case RECORD_U32:
	case RECORD_U64:
	case RECORD_I64:
	case RECORD_MONEY:
		return record_read_number(reading, field, at, token, path);
	case RECORD_ENUM:
	case RECORD_TEXT:
	case RECORD_FIXED:
	case RECORD_BLOB:
	case RECORD_STRING:
	case RECORD_TIME:
	case RECORD_DATE:
	case RECORD_CURSOR:
		return record_read_string(reading, field, at, token, path);
	case RECORD_STRUCT:
		if (token->type != JSON_OBJECT)
			break;
		return read_object(reading, field->of, at, &inner);
	case RECORD_LIST:
		return read_list(reading, field, at, token, path);
	}
	return record_fail_bounds(reading->error, path, field);
}

static bool
key_is(const struct record_field *field, const struct json_token *key)
{
	return *field->key == *key->text &&
	    strncmp(field->key, key->text, key->len) == 0 &&
	    field->key[key->len] == '\0';
}

/* Writers follow the table, so the next row is the likely one. */
static size_t
field_find(const struct record *record, size_t expected,
    const struct json_token *key)
{
	if (expected < record->n_fields &&
	    key_is(&record->fields[expected], key))
		return expected;
	for (size_t i = 0; i < record->n_fields; i++)
		if (key_is(&record->fields[i], key))
			return i;
	return record->n_fields;
}

static int
fail_unknown(struct reading *reading, const struct record *record,
    const struct json_token *key, const struct record_path *path)
{
	const char *known[65];
	char shown[KEY_SHOWN_MAX + 1];
	size_t n = record->n_fields < 64 ? record->n_fields : 64;

	for (size_t i = 0; i < n; i++)
		known[i] = record->fields[i].key;
	known[n] = NULL;
	if (!text_copy_n(shown, sizeof(shown), key->text, key->len) ||
	    !text_is_printable(shown, key->len))
		return record_fail(reading->error, path, NULL,
		    "has a key that is not known here");
	const char *closest = text_closest(shown, known);

	if (closest == NULL)
		return record_fail(reading->error, path, shown,
		    "is not known here");
	return record_fail(reading->error, path, shown,
	    "is not known here; did you mean %s?", closest);
}

/* Keys may be written with escapes; they are compared by what they say. */
static int
read_key(struct reading *reading, struct json_token *key)
{
	if (json_next_key(&reading->json, key) < 0)
		return fail_syntax(reading);
	if (key->type == JSON_END || !key->escaped)
		return 0;
	const char *text;
	size_t len;
	int rc = record_read_escapes(reading, &text, &len, key);

	if (rc == ERR_TOO_LARGE)
		return rc;
	if (rc < 0)
		return record_fail(reading->error, NULL, NULL,
		    "has a key with a broken escape");
	key->text = text;
	key->len = len;
	return 0;
}

static int
fail_missing(struct reading *reading, const struct record *record,
    uint64_t seen, const struct record_path *path)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];

		if ((seen >> i & 1) == 0 &&
		    (field->flags & RECORD_OPTIONAL) == 0)
			return record_fail(reading->error, path, field->key,
			    "is missing");
	}
	return 0;
}

/* The object was entered. */
static int
read_object(struct reading *reading, const struct record *record, void *out,
    const struct record_path *path)
{
	uint64_t seen = 0;
	size_t expected = 0;
	bool money = false;

	for (;;) {
		struct json_token key;
		struct json_token value;
		int rc = read_key(reading, &key);

		if (rc < 0)
			return rc;
		if (key.type == JSON_END)
			break;
		size_t i = field_find(record, expected, &key);

		if (i == record->n_fields)
			return fail_unknown(reading, record, &key, path);
		const struct record_field *field = &record->fields[i];

		if ((seen >> i & 1) != 0)
			return record_fail(reading->error, path, field->key,
			    "is given twice");
		seen |= UINT64_C(1) << i;
		expected = i + 1;
		if (json_next(&reading->json, &value) < 0)
			return fail_syntax(reading);
		if (value.type == JSON_NULL &&
		    (field->flags & RECORD_OPTIONAL) != 0)
			continue;
		rc = read_value(reading, field, record_at_mutable(out, field),
		    &value, path);
		if (rc < 0)
			return rc;
		money |= field->type == RECORD_MONEY;
	}
	int rc = fail_missing(reading, record, seen, path);

	if (rc == 0 && money)
		rc = record_settle_money(reading, record, out, path);
	return rc;
}

int
record_read_json(void *out, const struct record *record, const char *text,
    size_t len, struct arena *arena, struct record_error *error)
{
	struct reading reading = { .arena = arena, .error = error };
	struct json_token token;
	int rc;

	memset(out, 0, record->size);
	json_open(&reading.json, text, len, RECORD_DEPTH_MAX);
	if (json_next(&reading.json, &token) < 0 || token.type == JSON_END)
		return fail_syntax(&reading);
	if (token.type != JSON_OBJECT)
		return record_fail(error, NULL, NULL, "must be an object");
	rc = read_object(&reading, record, out, NULL);
	if (rc == 0 && json_finish(&reading.json) < 0)
		rc = fail_syntax(&reading);
	if (rc == ERR_TOO_LARGE)
		record_fail(error, NULL, NULL, "is too large");
	if (rc < 0)
		memset(out, 0, record->size);
	return rc;
}
