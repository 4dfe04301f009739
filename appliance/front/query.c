/*
 * A request's parameters as the JSON object that its record's reader takes:
 * one way in for path, query and body, so that bounds, unknown and doubled
 * names are judged in one place.
 */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/proof.h"
#include "shared/record/json.h"

#include <string.h>

/* headers are 4 KiB: no value is longer */
#define VALUE_MAX 4096

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent-decoding; false when it is malformed, too long or holds a NUL. */
static bool
decode(char *out, size_t size, size_t *out_len, const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || n + 1 >= size)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	*out_len = n;
	return true;
}

static const struct record_field *
find_field(const struct record *record, const char *key, size_t len)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];

		if (strlen(field->key) == len &&
		    memcmp(field->key, key, len) == 0)
			return field;
	}
	return NULL;
}

/* A whole number as JSON writes it: no zero in front. */
static bool
is_number(const char *text, size_t len)
{
	size_t sign = len > 0 && text[0] == '-' ? 1 : 0;
	size_t digits = len - sign;

	return digits > 0 && digits < 24 &&
	    strspn(text + sign, "0123456789") == digits &&
	    (text[sign] != '0' || digits == 1);
}

/* What is no number where one belongs goes on as a string: the reader says
 * what it wanted instead. */
static bool
is_bare(const struct record_field *field, const char *text, size_t len)
{
	if (field == NULL)
		return false;
	switch (field->type) {
	case RECORD_U32:
	case RECORD_U64:
	case RECORD_I64:
		return is_number(text, len);
	case RECORD_BOOL:
		return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
	case RECORD_ENUM:
	case RECORD_TEXT:
	case RECORD_FIXED:
	case RECORD_BLOB:
	case RECORD_STRING:
	case RECORD_TIME:
	case RECORD_DATE:
	case RECORD_MONEY:
	case RECORD_STRUCT:
	case RECORD_LIST:
	case RECORD_CURSOR:
		return false;
	}
	return false;
}

/* "lease-7" where a lease's number belongs, as people and logs write it; of a
 * device also with the class in front. Returns what to skip. */
static size_t
id_prefix(const struct record_field *field, const char *text, size_t len)
{
	size_t key = strlen(field->key);
	size_t word = strcspn(text, "-");

	if (field->type != RECORD_U64 || word + 1 >= len ||
	    !is_number(text + word + 1, len - word - 1) ||
	    text[word + 1] == '-')
		return 0;
	if (key > 3 && strcmp(field->key + key - 3, "_id") == 0)
		key -= 3;
	if (word == key && memcmp(text, field->key, word) == 0)
		return word + 1;
	for (size_t i = 0;
	     strcmp(field->key, "device") == 0 && proof_class_names[i] != NULL;
	     i++)
		if (strlen(proof_class_names[i]) == word &&
		    memcmp(text, proof_class_names[i], word) == 0)
			return word + 1;
	return 0;
}

static void
add_member(struct buf *out, const struct record *record, const char *key,
    size_t key_len, const char *value, size_t value_len)
{
	const struct record_field *field = find_field(record, key, key_len);
	size_t skip = field != NULL ? id_prefix(field, value, value_len) : 0;

	if (out->len > 1)
		buf_add_byte(out, ',');
	json_add_string(out, key, key_len);
	buf_add_byte(out, ':');
	if (is_bare(field, value + skip, value_len - skip))
		buf_add(out, value + skip, value_len - skip);
	else
		json_add_string(out, value, value_len);
}

static int
refuse(struct problem *problem, const char *field, const char *words)
{
	problem_set(problem, ERR_BAD_REQUEST, NULL, "%s", words);
	text_copy(problem->field, sizeof(problem->field), field);
	return ERR_BAD_REQUEST;
}

static int
add_query(struct buf *out, const struct record *record, const char *query,
    struct problem *problem)
{
	char key[128], value[VALUE_MAX];
	size_t key_len = 0, value_len = 0;

	for (const char *p = query; *p != '\0';) {
		size_t n = strcspn(p, "&");
		const char *equals = memchr(p, '=', n);
		size_t name = equals != NULL ? (size_t)(equals - p) : n;
		size_t rest = equals != NULL ? n - name - 1 : 0;

		if (n > 0 &&
		    (name == 0 ||
			!decode(key, sizeof(key), &key_len, p, name) ||
			!text_is_utf8(key, key_len)))
			return refuse(problem, "",
			    "a parameter of the query has no readable name");
		if (n > 0 &&
		    (equals == NULL ||
			!decode(value, sizeof(value), &value_len, equals + 1,
			    rest) ||
			!text_is_utf8(value, value_len)))
			return refuse(problem, key,
			    "a parameter of the query has no readable value");
		if (n > 0)
			add_member(out, record, key, key_len, value, value_len);
		p += n + (p[n] == '&' ? 1 : 0);
	}
	return 0;
}

/* The members of a body behind those of the path. What a body says again is a
 * doubled name, which the reader refuses; what is no object, it refuses too. */
static void
add_body(struct buf *out, const char *body, size_t len)
{
	size_t at = 0, first;

	while (
	    at < len && strchr(" \t\r\n", body[at]) != NULL && body[at] != '\0')
		at++;
	if (at == len || body[at] != '{') {
		buf_clear(out);
		buf_add(out, body, len);
		return;
	}
	for (first = at + 1; first < len && body[first] != '\0' &&
	     strchr(" \t\r\n", body[first]) != NULL;)
		first++;
	if (out->len > 1 && first < len && body[first] != '}')
		buf_add_byte(out, ',');
	buf_add(out, body + at + 1, len - at - 1);
}

int
query_to_json(struct buf *out, const struct record *record,
    const struct operation_parameter *parameters, size_t n_parameters,
    const char *query, const uint8_t *body, size_t body_len,
    struct problem *problem)
{
	buf_clear(out);
	buf_add_byte(out, '{');
	for (size_t i = 0; i < n_parameters; i++) {
		const struct operation_parameter *p = &parameters[i];
		char value[VALUE_MAX];

		if (!text_copy_n(value, sizeof(value), p->value,
			p->value_len) ||
		    !text_is_utf8(value, p->value_len))
			return refuse(problem, "", "the path is malformed");
		add_member(out, record, p->key, p->key_len, value,
		    p->value_len);
	}
	if (body_len > 0) {
		if (query[0] != '\0')
			return refuse(problem, "",
			    "this request has a body: its query must be empty");
		add_body(out, (const char *)body, body_len);
		return out->failed ? ERR_NOMEM : 0;
	}
	int err = add_query(out, record, query, problem);

	buf_add_byte(out, '}');
	return err != 0 ? err : out->failed ? ERR_NOMEM : 0;
}
