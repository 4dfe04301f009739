#include "shared/record/json.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/plain.h"

#include <string.h>

/* What a byte is to the scanners: one look-up instead of a chain of ifs. */
enum {
	BYTE_SPACE = 1, /* between tokens */
	BYTE_STOP = 2, /* ends the fast run within a string */
	BYTE_DIGIT = 4,
	BYTE_HEX = 8,
};

static const uint8_t byte_class[256] = {
	[0 ... 8] = BYTE_STOP,
	['\t'] = BYTE_SPACE | BYTE_STOP,
	['\n'] = BYTE_SPACE | BYTE_STOP,
	[11 ... 12] = BYTE_STOP,
	['\r'] = BYTE_SPACE | BYTE_STOP,
	[14 ... 31] = BYTE_STOP,
	[' '] = BYTE_SPACE,
	['"'] = BYTE_STOP,
	['\\'] = BYTE_STOP,
	['0' ... '9'] = BYTE_DIGIT | BYTE_HEX,
	['A' ... 'F'] = BYTE_HEX,
	['a' ... 'f'] = BYTE_HEX,
};

static inline bool
byte_is(char c, unsigned int class)
{
	return (byte_class[(uint8_t)c] & class) != 0;
}

void
json_open(struct json_reader *reader, const char *text, size_t len,
    unsigned int depth_max)
{
	*reader = (struct json_reader){
		.text = text,
		.len = len,
		.depth_max = depth_max < 64 ? depth_max : 64,
	};
}

static int
json_fail(struct json_reader *reader, const char *why)
{
	if (reader->error == NULL)
		reader->error = why;
	return ERR_BAD_REQUEST;
}

/* The next byte that is no white space; 0 at the end (a NUL byte in the text
 * is refused wherever it stands, so the two need no telling apart). */
static inline char
json_peek(struct json_reader *reader)
{
	size_t at = reader->at;

	while (at < reader->len && byte_is(reader->text[at], BYTE_SPACE))
		at++;
	reader->at = at;
	return at < reader->len ? reader->text[at] : '\0';
}

/* Bit of the container entered last; depth >= 1. */
static inline uint64_t
json_bit(const struct json_reader *reader)
{
	return UINT64_C(1) << (reader->depth - 1);
}

static int
json_enter(struct json_reader *reader, struct json_token *token, bool object)
{
	if (reader->depth >= reader->depth_max)
		return json_fail(reader, "it is nested too deeply");
	token->text = reader->text + reader->at;
	token->len = 1;
	reader->depth++;
	reader->at++;
	uint64_t bit = json_bit(reader);

	reader->not_first &= ~bit;
	if (object)
		reader->in_object |= bit;
	else
		reader->in_object &= ~bit;
	token->type = object ? JSON_OBJECT : JSON_ARRAY;
	token->escaped = false;
	return 0;
}

static void
json_leave(struct json_reader *reader, struct json_token *token)
{
	reader->depth--;
	reader->at++;
	*token = (struct json_token){ .type = JSON_END };
}

/* at stands on the backslash. */
static int
json_pass_escape(struct json_reader *reader)
{
	const char *text = reader->text;
	size_t left = reader->len - reader->at;

	if (left < 2)
		return json_fail(reader, "a string does not end");
	switch (text[reader->at + 1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		reader->at += 2;
		return 0;
	case 'u':
		if (left < 6)
			return json_fail(reader, "a string does not end");
		for (size_t i = 2; i < 6; i++)
			if (!byte_is(text[reader->at + i], BYTE_HEX))
				return json_fail(reader,
				    "\\u needs four hex digits");
		reader->at += 6;
		return 0;
	}
	return json_fail(reader, "there is no such escape");
}

/* at stands on the quote. */
static int
json_read_string(struct json_reader *reader, struct json_token *token)
{
	const char *text = reader->text;
	size_t start = ++reader->at;
	uint8_t seen = 0; /* all bytes or'ed: is any of them above 0x7f? */

	token->type = JSON_STRING;
	token->escaped = false;
	for (;;) {
		size_t at = reader->at;

		at += plain_run(text + at, reader->len - at);
		while (at < reader->len && !byte_is(text[at], BYTE_STOP))
			seen |= (uint8_t)text[at++];
		reader->at = at;
		if (at == reader->len)
			return json_fail(reader, "a string does not end");
		if (text[at] == '"')
			break;
		if (text[at] != '\\')
			return json_fail(reader,
			    "a string holds a control character");
		token->escaped = true;
		if (json_pass_escape(reader) < 0)
			return ERR_BAD_REQUEST;
	}
	token->text = text + start;
	token->len = reader->at - start;
	if (seen >= 0x80 && !text_is_utf8(token->text, token->len))
		return json_fail(reader, "a string is not UTF-8");
	reader->at++;
	return 0;
}

static size_t
json_pass_digits(const struct json_reader *reader, size_t at)
{
	while (at < reader->len && byte_is(reader->text[at], BYTE_DIGIT))
		at++;
	return at;
}

/* RFC 8259 section 6. What follows the number is the container's business. */
static int
json_read_number(struct json_reader *reader, struct json_token *token)
{
	const char *text = reader->text;
	size_t at = reader->at;
	size_t digits;

	if (text[at] == '-')
		at++;
	digits = at;
	at = json_pass_digits(reader, at);
	if (at == digits)
		return json_fail(reader, "a number has no digits");
	if (text[digits] == '0' && at - digits > 1)
		return json_fail(reader, "a number begins with 0");
	if (at < reader->len && text[at] == '.') {
		digits = at + 1;
		at = json_pass_digits(reader, digits);
		if (at == digits)
			return json_fail(reader,
			    "a number has no digits after its point");
	}
	if (at < reader->len && (text[at] == 'e' || text[at] == 'E')) {
		at++;
		if (at < reader->len && (text[at] == '+' || text[at] == '-'))
			at++;
		digits = at;
		at = json_pass_digits(reader, digits);
		if (at == digits)
			return json_fail(reader,
			    "a number has no digits in its exponent");
	}
	token->type = JSON_NUMBER;
	token->text = text + reader->at;
	token->len = at - reader->at;
	token->escaped = false;
	reader->at = at;
	return 0;
}

static int
json_read_word(struct json_reader *reader, struct json_token *token,
    enum json_type type, const char *word, size_t len)
{
	if (reader->len - reader->at < len ||
	    memcmp(reader->text + reader->at, word, len) != 0)
		return json_fail(reader, "a value is missing");
	*token = (struct json_token){ .type = type };
	reader->at += len;
	return 0;
}

static int
json_read_value(struct json_reader *reader, struct json_token *token, char c)
{
	switch (c) {
	case '"':
		return json_read_string(reader, token);
	case '{':
		return json_enter(reader, token, true);
	case '[':
		return json_enter(reader, token, false);
	case 't':
		return json_read_word(reader, token, JSON_TRUE, "true", 4);
	case 'f':
		return json_read_word(reader, token, JSON_FALSE, "false", 5);
	case 'n':
		return json_read_word(reader, token, JSON_NULL, "null", 4);
	}
	if (c == '-' || byte_is(c, BYTE_DIGIT))
		return json_read_number(reader, token);
	return json_fail(reader, "a value is missing");
}

int
json_next(struct json_reader *reader, struct json_token *token)
{
	if (reader->error != NULL)
		return ERR_BAD_REQUEST;
	char c = json_peek(reader);

	if (reader->depth == 0) {
		if (reader->at == reader->len) {
			*token = (struct json_token){ .type = JSON_END };
			return 0;
		}
	} else if ((reader->in_object & json_bit(reader)) == 0) {
		uint64_t bit = json_bit(reader);

		if (c == ']') {
			json_leave(reader, token);
			return 0;
		}
		if ((reader->not_first & bit) != 0) {
			if (c != ',')
				return json_fail(reader,
				    "a comma or ] is missing");
			reader->at++;
			c = json_peek(reader);
		}
		reader->not_first |= bit;
	}
	return json_read_value(reader, token, c);
}

int
json_next_key(struct json_reader *reader, struct json_token *key)
{
	if (reader->error != NULL)
		return ERR_BAD_REQUEST;
	char c = json_peek(reader);
	uint64_t bit = json_bit(reader);

	if (c == '}') {
		json_leave(reader, key);
		return 0;
	}
	if ((reader->not_first & bit) != 0) {
		if (c != ',')
			return json_fail(reader, "a comma or } is missing");
		reader->at++;
		c = json_peek(reader);
	}
	reader->not_first |= bit;
	if (c != '"')
		return json_fail(reader, "a key is missing");
	if (json_read_string(reader, key) < 0)
		return ERR_BAD_REQUEST;
	if (json_peek(reader) != ':')
		return json_fail(reader, "a colon is missing");
	reader->at++;
	return 0;
}

int
json_skip(struct json_reader *reader, const struct json_token *token)
{
	if (token->type != JSON_OBJECT && token->type != JSON_ARRAY)
		return 0;
	unsigned int outside = reader->depth - 1;

	while (reader->depth > outside) {
		struct json_token next;

		if ((reader->in_object & json_bit(reader)) != 0) {
			if (json_next_key(reader, &next) < 0)
				return ERR_BAD_REQUEST;
			if (next.type == JSON_END)
				continue;
		}
		if (json_next(reader, &next) < 0)
			return ERR_BAD_REQUEST;
	}
	return 0;
}

int
json_finish(struct json_reader *reader)
{
	if (reader->error != NULL)
		return ERR_BAD_REQUEST;
	json_peek(reader);
	if (reader->at != reader->len)
		return json_fail(reader, "something follows after its end");
	return 0;
}

int
json_check(const char *text, size_t len, unsigned int depth_max)
{
	struct json_reader reader;
	struct json_token token;

	json_open(&reader, text, len, depth_max);
	if (json_next(&reader, &token) < 0 || token.type == JSON_END ||
	    json_skip(&reader, &token) < 0)
		return ERR_BAD_REQUEST;
	return json_finish(&reader);
}
