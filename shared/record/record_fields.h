/*
 * Between the files of this part: what a field may hold, said once for the
 * JSON and the MessagePack codec and for record_check, and the words when it
 * does not. It must not know either text form.
 */
#ifndef SHARED_RECORD_RECORD_FIELDS_H
#define SHARED_RECORD_RECORD_FIELDS_H

#include "shared/record/record.h"

/** RECORD_TIME and RECORD_DATE end with the year 9999. */
#define RECORD_TIME_MAX INT64_C(253402300799999)
#define RECORD_DATE_MAX INT32_C(2932896)
/** RECORD_MONEY ends here: up to it every whole number is exact even in a
 * reader that makes doubles of numbers (RFC 8259 section 6). */
#define RECORD_MONEY_MAX (INT64_C(1) << 53)

/** Where we are, from the inside out; lives on the stack of the readers. Text
 * is made of it only when something is wrong. */
struct record_path {
	const struct record_path *up; /* NULL: the whole */
	const char *key;
	int64_t index; /* -1: no item of a list */
};

/** Say what is wrong at path (and key, unless NULL). ERR_BAD_REQUEST. */
int record_fail(struct record_error *error, const struct record_path *path,
    const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** The field's bounds in words: "must be a whole number from 0 to 9". */
int record_fail_bounds(struct record_error *error,
    const struct record_path *path, const struct record_field *field);

/** Is the value of a leaf (not STRUCT, LIST, MONEY) within bounds? A zero
 * value of an optional one is. */
bool record_leaf_is_valid(const struct record_field *field, const void *at);

/** Text as RECORD_TEXT and RECORD_STRING want it; length is not looked at. */
bool record_text_is_valid(enum record_type type, const char *text, size_t len);

/** A cursor's text: RECORD_CURSOR_TEXT characters and a NUL. */
#define RECORD_CURSOR_TEXT 16
void record_cursor_write(char *out, uint8_t list, uint64_t number);
bool record_cursor_read(uint64_t *number, uint8_t list, const char *text,
    size_t len);

/** The amounts of one object against its currency. */
int record_check_money(const struct record *record, const void *value,
    const struct record_path *path, struct record_error *error);

/** The text field that holds the currency of a RECORD_MONEY. */
const struct record_field *record_currency(const struct record *record,
    const struct record_field *money);

/** Is the field at its zero value? */
bool record_field_is_zero(const struct record_field *field, const void *at);
bool record_is_zero(const struct record *record, const void *value);

static inline const void *
record_at(const void *value, const struct record_field *field)
{
	return (const uint8_t *)value + field->offset;
}

static inline void *
record_at_mutable(void *value, const struct record_field *field)
{
	return (uint8_t *)value + field->offset;
}

/* Fields are members of structs that only the table knows: read and written by
 * memcpy, which costs nothing and leaves alignment and aliasing out of it. */
#define RECORD_LOAD(type, name)                               \
	static inline type record_load_##name(const void *at) \
	{                                                     \
		type value;                                   \
		__builtin_memcpy(&value, at, sizeof(value));  \
		return value;                                 \
	}
#define RECORD_STORE(type, name)                                     \
	static inline void record_store_##name(void *at, type value) \
	{                                                            \
		__builtin_memcpy(at, &value, sizeof(value));         \
	}
RECORD_LOAD(bool, bool)
RECORD_LOAD(uint32_t, u32)
RECORD_LOAD(uint64_t, u64)
RECORD_LOAD(int32_t, i32)
RECORD_LOAD(int64_t, i64)
RECORD_LOAD(struct record_span, span)
RECORD_LOAD(struct record_list, list)
RECORD_STORE(bool, bool)
RECORD_STORE(uint32_t, u32)
RECORD_STORE(uint64_t, u64)
RECORD_STORE(int32_t, i32)
RECORD_STORE(int64_t, i64)
#undef RECORD_LOAD
#undef RECORD_STORE

/* Member by member: the padding behind len stays zero, so that an empty record
 * is zero bytes throughout. */
static inline void
record_store_span(void *at, struct record_span span)
{
	__builtin_memcpy(at, &span.data, sizeof(span.data));
	__builtin_memcpy((uint8_t *)at + offsetof(struct record_span, len),
	    &span.len, sizeof(span.len));
}

static inline void
record_store_list(void *at, struct record_list list)
{
	__builtin_memcpy(at, &list.items, sizeof(list.items));
	__builtin_memcpy((uint8_t *)at + offsetof(struct record_list, count),
	    &list.count, sizeof(list.count));
}

#endif
