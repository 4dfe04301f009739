/*
 * A strict JSON tokenizer (RFC 8259): a pull parser over memory, no tree, no
 * allocation, numbers as text. See README.md for why it is our own. It must
 * not know of records.
 */
#ifndef SHARED_RECORD_JSON_H
#define SHARED_RECORD_JSON_H

#include "shared/base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum json_type {
	JSON_END, /* the text is over, or the container is */
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER, /* text: as written */
	JSON_STRING, /* text: between the quotes, escapes still in it */
	JSON_OBJECT, /* entered; text: its brace */
	JSON_ARRAY, /* entered; text: its bracket */
};

struct json_reader {
	const char *text;
	size_t len;
	size_t at;
	unsigned int depth;
	unsigned int depth_max;
	uint64_t in_object; /* bit per depth */
	uint64_t not_first; /* bit per depth */
	const char *error; /* static words, NULL while all is well */
};

struct json_token {
	enum json_type type;
	const char *text;
	size_t len;
	bool escaped; /* a string with a backslash in it */
};

/** `text` is borrowed; depth_max at most 64. */
void json_open(struct json_reader *reader, const char *text, size_t len,
    unsigned int depth_max);

/** Next value. Within an object the key (a STRING) is read first with
 * json_next_key. Returns 0 or ERR_BAD_REQUEST. */
int json_next(struct json_reader *reader, struct json_token *token);

/** Next key of the object entered last; type JSON_END leaves it. */
int json_next_key(struct json_reader *reader, struct json_token *key);

/** Pass over the value that `token` began (all of it, if a container). */
int json_skip(struct json_reader *reader, const struct json_token *token);

/** Only white space may be left. */
int json_finish(struct json_reader *reader);

/** Decode a string's escapes: out holds at least token->len + 1. Refuses
 * \u0000 and lone surrogates. */
int json_unescape(char *out, size_t *out_len, const struct json_token *token);

/** Append a JSON string with its quotes. */
void json_add_string(struct buf *buf, const char *text, size_t len);

/** Well-formed JSON text as a whole? Any value at the top. */
int json_check(const char *text, size_t len, unsigned int depth_max);

#endif
