#include "shared/rpc/rpc.h"

#include "shared/base/text.h"
#include "shared/record/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX (((uint64_t)1 << 53) - 1)
#define CODE_BASE (-32000)

static int
refuse(struct record_error *error, const char *field, const char *reason)
{
	if (error != NULL) {
		text_copy(error->field, sizeof(error->field), field);
		text_copy(error->reason, sizeof(error->reason), reason);
	}
	return ERR_BAD_REQUEST;
}

static bool
token_is(const struct json_token *token, const char *text)
{
	return !token->escaped && token->len == strlen(text) &&
	    memcmp(token->text, text, token->len) == 0;
}

/* An object as raw text, braces included. */
static int
read_object(const char **text, size_t *len, struct json_reader *reader)
{
	struct json_token token;

	if (json_next(reader, &token) < 0 || token.type != JSON_OBJECT)
		return ERR_BAD_REQUEST;
	size_t start = reader->at - 1;

	if (json_skip(reader, &token) < 0)
		return ERR_BAD_REQUEST;
	*text = reader->text + start;
	*len = reader->at - start;
	return 0;
}

static int
read_id(uint64_t *id, struct json_reader *reader, bool *is_null)
{
	struct json_token token;
	uint64_t value;

	if (json_next(reader, &token) < 0)
		return ERR_BAD_REQUEST;
	if (token.type == JSON_NULL) { /* of an error without a request */
		*is_null = true;
		return 0;
	}
	if (token.type != JSON_NUMBER ||
	    !text_to_u64(&value, token.text, token.len) || value == 0 ||
	    value > ID_MAX)
		return ERR_BAD_REQUEST;
	*id = value;
	return 0;
}

static int
read_string(const char **text, size_t *len, struct json_reader *reader)
{
	struct json_token token;

	if (json_next(reader, &token) < 0 || token.type != JSON_STRING ||
	    token.escaped || token.len == 0 || token.len > 63)
		return ERR_BAD_REQUEST;
	*text = token.text;
	*len = token.len;
	return 0;
}

enum member {
	MEMBER_VERSION = 1,
	MEMBER_ID = 2,
	MEMBER_METHOD = 4,
	MEMBER_PARAMS = 8,
	MEMBER_RESULT = 16,
	MEMBER_ERROR = 32,
};
static const char *const member_names[] = { "jsonrpc", "id", "method", "params",
	"result", "error", NULL };

static int
read_member(struct rpc_envelope *envelope, bool *null_id,
    struct json_reader *reader, unsigned int member)
{
	const char *text;
	size_t len;

	switch ((enum member)member) {
	case MEMBER_VERSION:
		if (read_string(&text, &len, reader) < 0 || len != 3 ||
		    memcmp(text, "2.0", 3) != 0)
			return ERR_BAD_REQUEST;
		return 0;
	case MEMBER_ID:
		return read_id(&envelope->id, reader, null_id);
	case MEMBER_METHOD:
		return read_string(&envelope->method, &envelope->method_len,
		    reader);
	case MEMBER_PARAMS:
		return read_object(&envelope->params, &envelope->params_len,
		    reader);
	case MEMBER_RESULT:
		return read_object(&envelope->result, &envelope->result_len,
		    reader);
	case MEMBER_ERROR:
		return read_object(&envelope->error, &envelope->error_len,
		    reader);
	}
	return ERR_BAD_REQUEST;
}

/* Which members go together: section 4 and 5 of the specification. */
static int
check_members(unsigned int seen, bool null_id, struct record_error *error)
{
	if ((seen & MEMBER_VERSION) == 0)
		return refuse(error, "jsonrpc", "is missing");
	unsigned int rest = seen &
	    (MEMBER_METHOD | MEMBER_PARAMS | MEMBER_RESULT | MEMBER_ERROR);

	if ((rest & MEMBER_METHOD) != 0) {
		if ((rest & (MEMBER_RESULT | MEMBER_ERROR)) != 0)
			return refuse(error, "method",
			    "cannot stand beside a result or error");
		return null_id ? refuse(error, "id", "must be a number") : 0;
	}
	if (rest != MEMBER_RESULT && rest != MEMBER_ERROR)
		return refuse(error, "", "is neither request nor response");
	if ((seen & MEMBER_ID) == 0 || (null_id && rest == MEMBER_RESULT))
		return refuse(error, "id", "is missing");
	return 0;
}

int
rpc_read(struct rpc_envelope *envelope, const char *text, size_t len,
    struct record_error *error)
{
	struct json_reader reader;
	struct json_token token;
	unsigned int seen = 0;
	bool null_id = false;

	memset(envelope, 0, sizeof(*envelope));
	json_open(&reader, text, len, RECORD_DEPTH_MAX + 1);
	if (json_next(&reader, &token) < 0)
		goto broken;
	if (token.type != JSON_OBJECT)
		return refuse(error, "", "must be one JSON object");
	for (;;) {
		struct json_token key;
		unsigned int i = 0;

		if (json_next_key(&reader, &key) < 0)
			goto broken;
		if (key.type == JSON_END)
			break;
		while (
		    member_names[i] != NULL && !token_is(&key, member_names[i]))
			i++;
		if (member_names[i] == NULL)
			return refuse(error, "", "has an unknown member");
		if ((seen & (1U << i)) != 0)
			return refuse(error, member_names[i], "is doubled");
		seen |= 1U << i;
		if (read_member(envelope, &null_id, &reader, 1U << i) < 0) {
			if (reader.error != NULL)
				goto broken;
			return refuse(error, member_names[i], "is malformed");
		}
	}
	if (json_finish(&reader) < 0)
		goto broken;
	return check_members(seen, null_id, error);
broken:
	return refuse(error, "",
	    reader.error != NULL ? reader.error : "is not JSON");
}

static void
add_head(struct buf *out, uint64_t id)
{
	buf_add_str(out, "{\"jsonrpc\":\"2.0\"");
	if (id != 0)
		buf_printf(out, ",\"id\":%llu", (unsigned long long)id);
}

void
rpc_write_request(struct buf *out, uint64_t id, const char *method,
    const struct record *record, const void *params)
{
	add_head(out, id);
	buf_add_str(out, ",\"method\":");
	json_add_string(out, method, strlen(method));
	buf_add_str(out, ",\"params\":");
	record_write_json(out, record, params);
	buf_add_byte(out, '}');
}

void
rpc_write_result(struct buf *out, uint64_t id, const struct record *record,
    const void *result)
{
	add_head(out, id);
	buf_add_str(out, ",\"result\":");
	record_write_json(out, record, result);
	buf_add_byte(out, '}');
}

void
rpc_write_error(struct buf *out, uint64_t id, int err,
    const struct problem *problem)
{
	add_head(out, id);
	if (id == 0)
		buf_add_str(out, ",\"id\":null");
	buf_printf(out, ",\"error\":{\"code\":%d,\"message\":",
	    err <= CODE_BASE ? err : CODE_BASE + err);
	const char *message = err <= CODE_BASE ? problem->detail : err_str(err);

	json_add_string(out, message, strlen(message));
	buf_add_str(out, ",\"data\":");
	record_write_json(out, &problem_record, problem);
	buf_add_str(out, "}}");
}

/* Cut at the last whole character, and leave nothing that a record's text may
 * not hold: the words may come from strangers. */
static void
clean_text(char *text)
{
	size_t len = strlen(text);

	for (int i = 0; i < 3 && len > 0 && !text_is_utf8(text, len); i++)
		len--;
	text[len] = '\0';
	if (text_is_printable(text, len))
		return;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 ||
		    (unsigned char)text[i] >= 0x7f)
			text[i] = '?';
}

/* A string's text into out, as much as fits. */
static int
read_words(char *out, size_t out_size, struct json_reader *reader)
{
	struct json_token token;
	size_t len;

	out[0] = '\0';
	if (json_next(reader, &token) < 0)
		return ERR_BAD_REQUEST;
	if (token.type != JSON_STRING)
		return json_skip(reader, &token);
	char *text = malloc(token.len + 1);

	if (text == NULL)
		return ERR_NOMEM;
	int err = json_unescape(text, &len, &token);

	if (err == 0) {
		if (len > out_size - 1)
			len = out_size - 1;
		memcpy(out, text, len);
		out[len] = '\0';
		clean_text(out);
	}
	free(text);
	return err;
}

static int
skip_value(struct json_reader *reader)
{
	struct json_token token;

	if (json_next(reader, &token) < 0)
		return ERR_BAD_REQUEST;
	return json_skip(reader, &token);
}

static int
read_problem(struct problem *problem, struct json_reader *reader)
{
	struct json_token key;
	int err = 0;

	if (json_next(reader, &key) < 0 || key.type != JSON_OBJECT)
		return ERR_BAD_REQUEST;
	while (err == 0) {
		if (json_next_key(reader, &key) < 0)
			return ERR_BAD_REQUEST;
		if (key.type == JSON_END)
			return 0;
		if (token_is(&key, "code"))
			err = read_words(problem->code, sizeof(problem->code),
			    reader);
		else if (token_is(&key, "detail"))
			err = read_words(problem->detail,
			    sizeof(problem->detail), reader);
		else if (token_is(&key, "hint"))
			err = read_words(problem->hint, sizeof(problem->hint),
			    reader);
		else if (token_is(&key, "field"))
			err = read_words(problem->field, sizeof(problem->field),
			    reader);
		else
			err = skip_value(reader);
	}
	return err;
}

static int
read_error_members(struct problem *problem, char *message, size_t message_size,
    struct json_reader *reader)
{
	struct json_token key;
	int err = 0;

	if (json_next(reader, &key) < 0 || key.type != JSON_OBJECT)
		return ERR_BAD_REQUEST;
	while (err == 0) {
		if (json_next_key(reader, &key) < 0)
			return ERR_BAD_REQUEST;
		if (key.type == JSON_END)
			return json_finish(reader);
		if (token_is(&key, "message"))
			err = read_words(message, message_size, reader);
		else if (token_is(&key, "data"))
			err = read_problem(problem, reader);
		else
			err = skip_value(reader);
	}
	return err;
}

int
rpc_read_error(struct problem *problem, const char *error, size_t len)
{
	struct json_reader reader;
	char message[sizeof(problem->detail)] = "";

	memset(problem, 0, sizeof(*problem));
	json_open(&reader, error, len, RECORD_DEPTH_MAX);
	if (read_error_members(problem, message, sizeof(message), &reader) <
	    0) {
		problem_set(problem, ERR_UNAVAILABLE, NULL,
		    "the refusal itself was malformed");
		return ERR_UNAVAILABLE;
	}
	if (problem->code[0] == '\0')
		text_copy(problem->code, sizeof(problem->code),
		    err_code(ERR_BAD_REQUEST));
	if (problem->detail[0] == '\0')
		memcpy(problem->detail, message, sizeof(message));
	return err_from_code(problem->code);
}

int
rpc_read_problem(struct problem *problem, const char *text, size_t len)
{
	struct json_reader reader;

	memset(problem, 0, sizeof(*problem));
	json_open(&reader, text, len, RECORD_DEPTH_MAX);
	int err = read_problem(problem, &reader);

	if (err == 0 && json_finish(&reader) != 0)
		err = ERR_BAD_REQUEST;
	if (err == 0 && problem->code[0] == '\0')
		err = ERR_BAD_REQUEST;
	return err == 0 || err == ERR_NOMEM ? err : ERR_BAD_REQUEST;
}

void
problem_set(struct problem *problem, int err, const char *hint,
    const char *format, ...)
{
	memset(problem, 0, sizeof(*problem));
	text_copy(problem->code, sizeof(problem->code), err_code(err));
	if (hint != NULL) {
		snprintf(problem->hint, sizeof(problem->hint), "%s", hint);
		clean_text(problem->hint);
	}
	if (format == NULL) {
		text_copy(problem->detail, sizeof(problem->detail),
		    err_str(err));
		return;
	}
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem->detail, sizeof(problem->detail), format, arguments);
	va_end(arguments);
	clean_text(problem->detail);
}

void
problem_set_pending(struct problem *problem, uint64_t device)
{
	char hint[sizeof(problem->hint)];

	snprintf(hint, sizeof(hint),
	    "ask the site's admin for: leasehold device approve %llu",
	    (unsigned long long)device);
	problem_set(problem, ERR_FORBIDDEN, hint,
	    "device-%llu waits for an admin's approval",
	    (unsigned long long)device);
}
