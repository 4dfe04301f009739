/*
 * One table per record: C field, key, type, bounds, doc line. From the table
 * come the JSON reader (wrong, unknown or doubled keys are refused by name;
 * numbers are read from their text, so money is exact), the JSON writer (no
 * tree), the MessagePack codec (an array in table order, shortest form, the
 * record's version first) and the OpenAPI component. Records are plain values.
 * This part must not know what any record means, nor where bytes come from.
 */
#ifndef SHARED_RECORD_RECORD_H
#define SHARED_RECORD_RECORD_H

#include "shared/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Whole numbers up to it are exact even in a reader that makes doubles of them
 * (RFC 8259 section 6). */
#define U53_MAX ((UINT64_C(1) << 53) - 1)

enum record_type {
	RECORD_BOOL, /* bool */
	RECORD_U32, /* uint32_t, min..max; JSON integer */
	RECORD_U64, /* uint64_t, min..max (max <= 2^53 - 1); JSON integer */
	RECORD_I64, /* int64_t, (int64_t)min..(int64_t)max; JSON integer */
	RECORD_ENUM, /* uint32_t index into names; JSON string */
	RECORD_TEXT, /* char[size]; UTF-8 without control characters, min..max
			bytes, NUL-terminated */
	RECORD_FIXED, /* uint8_t[size], exactly; base64url in JSON */
	RECORD_BLOB, /* struct record_span; base64url in JSON; min..max bytes */
	RECORD_STRING, /* struct record_span; long UTF-8 text (tokens); min..max
			 bytes; new lines and tabs allowed */
	RECORD_TIME, /* int64_t, ms since 1970; RFC 3339 UTC in JSON */
	RECORD_DATE, /* int32_t, days since 1970; "2026-01-31" in JSON */
	RECORD_MONEY, /* int64_t, minor units, >= 0; JSON number with at most
			as many decimals as the currency of the same record
			has (the field at `currency_offset`, a RECORD_TEXT
			read first or after: resolved when the object ends) */
	RECORD_STRUCT, /* nested record, inline */
	RECORD_LIST, /* struct record_list of nested records, min..max items */
	RECORD_CURSOR, /* uint64_t <= max: a place in the list named by `min`;
			  in JSON an opaque string, and one of another list
			  or with a slip in it is refused. No secret, no
			  authority */
};

/** Bytes that live in the arena or in the caller's input; no NUL. */
struct record_span {
	const void *data;
	uint32_t len;
};

/** Items of the record `of`, in the arena or the caller's array. */
struct record_list {
	void *items;
	uint32_t count;
};

enum {
	/** May be absent: the zero value, which writers leave out of JSON
	 * (MessagePack always holds every field). Fields are otherwise
	 * required. */
	RECORD_OPTIONAL = 1,
	/** Never in logs or in `--json` of people (keys, tokens). */
	RECORD_SECRET = 2,
};

struct record;

struct record_field {
	const char *key;
	const char *doc;
	enum record_type type;
	unsigned int flags;
	size_t offset;
	size_t size;
	uint64_t min, max;
	const char *const *names; /* RECORD_ENUM, ends with NULL */
	const struct record *of; /* RECORD_STRUCT, RECORD_LIST */
	size_t currency_offset; /* RECORD_MONEY */
};

struct record {
	const char *name; /* OpenAPI component and error prefix */
	const char *doc;
	uint32_t version; /* first item of the MessagePack array */
	size_t size; /* sizeof the struct */
	const struct record_field *fields;
	size_t n_fields; /* at most 64 */
	/** The record has one field and stands for it: a JSON list of such
	 * records is ["a", "b"], not [{"name": "a"}]. */
	bool bare;
};

/* clang-format off */
/* Rows of a table. S is the struct's tag, f the member and the key. */
#define RECORD_AT(S, f)                                                        \
	.key = #f, .offset = offsetof(struct S, f),                            \
	.size = sizeof(((struct S *)0)->f)
#define R_BOOL(S, f, fl, d)                                                    \
	{ RECORD_AT(S, f), .type = RECORD_BOOL, .flags = (fl), .doc = (d) }
#define R_U32(S, f, lo, hi, fl, d)                                             \
	{ RECORD_AT(S, f), .type = RECORD_U32, .min = (lo), .max = (hi),       \
	  .flags = (fl), .doc = (d) }
#define R_U64(S, f, lo, hi, fl, d)                                             \
	{ RECORD_AT(S, f), .type = RECORD_U64, .min = (lo), .max = (hi),       \
	  .flags = (fl), .doc = (d) }
#define R_I64(S, f, lo, hi, fl, d)                                             \
	{ RECORD_AT(S, f), .type = RECORD_I64, .min = (uint64_t)(lo),          \
	  .max = (uint64_t)(hi), .flags = (fl), .doc = (d) }
#define R_ENUM(S, f, n, fl, d)                                                 \
	{ RECORD_AT(S, f), .type = RECORD_ENUM, .names = (n), .flags = (fl),   \
	  .doc = (d) }
/* Room for max bytes is checked against the member when compiling. */
#define R_TEXT(S, f, lo, hi, fl, d)                                            \
	{ RECORD_AT(S, f), .type = RECORD_TEXT, .min = (lo),                   \
	  .max = (hi) +                                                        \
	      0 * sizeof(char[sizeof(((struct S *)0)->f) > (hi) ? 1 : -1]),    \
	  .flags = (fl), .doc = (d) }
#define R_FIXED(S, f, fl, d)                                                   \
	{ RECORD_AT(S, f), .type = RECORD_FIXED, .flags = (fl), .doc = (d) }
#define R_BLOB(S, f, lo, hi, fl, d)                                            \
	{ RECORD_AT(S, f), .type = RECORD_BLOB, .min = (lo), .max = (hi),      \
	  .flags = (fl), .doc = (d) }
#define R_STRING(S, f, lo, hi, fl, d)                                          \
	{ RECORD_AT(S, f), .type = RECORD_STRING, .min = (lo), .max = (hi),    \
	  .flags = (fl), .doc = (d) }
#define R_TIME(S, f, fl, d)                                                    \
	{ RECORD_AT(S, f), .type = RECORD_TIME, .flags = (fl), .doc = (d) }
#define R_DATE(S, f, fl, d)                                                    \
	{ RECORD_AT(S, f), .type = RECORD_DATE, .flags = (fl), .doc = (d) }
/* `list` is the letter of one list: it and its query have the same. */
#define R_CURSOR(S, f, list, fl, d)                                            \
	{ RECORD_AT(S, f), .type = RECORD_CURSOR, .min = (list),               \
	  .max = U53_MAX, .flags = (fl), .doc = (d) }
#define R_MONEY(S, f, currency, fl, d)                                         \
	{ RECORD_AT(S, f), .type = RECORD_MONEY,                               \
	  .currency_offset = offsetof(struct S, currency), .flags = (fl),      \
	  .doc = (d) }
#define R_STRUCT(S, f, r, fl, d)                                               \
	{ RECORD_AT(S, f), .type = RECORD_STRUCT, .of = (r), .flags = (fl),    \
	  .doc = (d) }
#define R_LIST(S, f, r, lo, hi, fl, d)                                         \
	{ RECORD_AT(S, f), .type = RECORD_LIST, .of = (r), .min = (lo),        \
	  .max = (hi), .flags = (fl), .doc = (d) }
/* const struct record NAME_record, from static fields NAME_fields[]. */
#define RECORD_DEFINE(NAME, version_, doc_)                                    \
	const struct record NAME##_record = {                                  \
		.name = #NAME,                                                 \
		.doc = (doc_),                                                 \
		.version = (version_),                                         \
		.size = sizeof(struct NAME),                                   \
		.fields = NAME##_fields,                                       \
		.n_fields = sizeof(NAME##_fields) / sizeof(NAME##_fields[0]),  \
	}
/* clang-format on */

/** What was wrong, for people: the path of the field and the reason. */
struct record_error {
	char field[96]; /* "entitlement.commit_qty"; "" for the whole */
	char reason[160]; /* "must be a whole number from 0 to 1000000" */
};

/** JSON nests at most this deep. */
#define RECORD_DEPTH_MAX 16

/**
 * Read one JSON object (RFC 8259, strict) into a record.
 *
 * @param[out]    out    Filled whole, or zeroed on error.
 * @param[in,out] arena  Holds spans and lists; borrowed.
 * @param[out]    error  May be NULL.
 * @retval ERR_BAD_REQUEST  Malformed, or a field out of its bounds.
 * @retval ERR_TOO_LARGE    The arena's bound was hit.
 * Time is linear in len; memory is bounded by the arena.
 */
int record_read_json(void *out, const struct record *record, const char *text,
    size_t len, struct arena *arena, struct record_error *error);

/** Write a record as one compact JSON object. Check buf->failed at the end. */
void record_write_json(struct buf *buf, const struct record *record,
    const void *value);

/** The same with two-space indentation, for people's files. */
void record_write_json_pretty(struct buf *buf, const struct record *record,
    const void *value);

/** MessagePack: [version, field...], shortest forms only. STRUCT fields are
 * arrays of their own (with their version), LIST an array of arrays; an
 * optional STRUCT that is all zero is nil, and has no other form. */
void record_write_msgpack(struct buf *buf, const struct record *record,
    const void *value);

/**
 * The inverse; refuses any form but the one the writer makes, trailing bytes,
 * and values out of bounds. Spans point into `data`, which must outlive `out`.
 * `consumed` may be NULL: then trailing bytes are an error.
 */
int record_read_msgpack(void *out, const struct record *record,
    const uint8_t *data, size_t len, size_t *consumed, struct arena *arena,
    struct record_error *error);

/** Are all fields within their bounds? For values made in code. */
int record_check(const struct record *record, const void *value,
    struct record_error *error);

/** The OpenAPI 3.1 schema object of one record (nested ones as $ref). */
void record_write_schema(struct buf *buf, const struct record *record);

/** The same of one field, without its description: for parameters. */
void record_write_field_schema(struct buf *buf,
    const struct record_field *field);

/** Every record that `record` refers to, itself included, each once. Returns
 * how many; out may be shorter than needed (the rest is left out). */
size_t record_closure(const struct record **out, size_t size,
    const struct record *record);

/** Decimals of an ISO 4217 code in use (EUR 2, JPY 0, BHD 3); -1: unknown. */
int currency_decimals(const char *code);

/** "27000.00" for 2700000 and EUR; out holds 32. */
void money_format(char out[32], int64_t minor, const char *currency);

#endif
