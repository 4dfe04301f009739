/*
 * Records for the tests of shared/record: one with every type, the same with
 * every field optional, and small ones inside. Included by one check_*.c each.
 */
#ifndef TESTS_UNIT_RECORD_TABLES_H
#define TESTS_UNIT_RECORD_TABLES_H

#include "shared/base/err.h"
#include "shared/record/record.h"
#include "tests/unit/suite.h"

#include <stdlib.h>
#include <string.h>

static const char *const color_names[] = { "red", "green", "blue", NULL };

struct price {
	int64_t fee;
	int64_t extra;
	char currency[4];
};
static const struct record_field price_fields[] = {
	R_MONEY(price, fee, currency, 0, "The fee."),
	R_MONEY(price, extra, currency, RECORD_OPTIONAL, ""),
	R_TEXT(price, currency, 3, 3, 0, ""),
};
static RECORD_DEFINE(price, 1, "Money.");

struct word {
	char text[8];
};
static const struct record_field word_fields[] = {
	R_TEXT(word, text, 1, 7, 0, "One word."),
};
static const struct record word_record = {
	.name = "word",
	.doc = "",
	.version = 1,
	.size = sizeof(struct word),
	.fields = word_fields,
	.n_fields = 1,
	.bare = true,
};

struct part {
	uint32_t commit_qty;
	struct record_list words;
};
static const struct record_field part_fields[] = {
	R_U32(part, commit_qty, 0, 1000000, 0, ""),
	R_LIST(part, words, &word_record, 0, 4, RECORD_OPTIONAL, ""),
};
static RECORD_DEFINE(part, 2, "A part.");

struct all {
	bool flag;
	uint32_t small;
	uint64_t large;
	int64_t offset;
	uint32_t color;
	char name[16];
	uint8_t key[4];
	struct record_span blob;
	struct record_span text;
	int64_t time;
	int32_t date;
	struct price price;
	struct record_list parts;
};
static const struct record_field all_fields[] = {
	R_BOOL(all, flag, 0, "A flag."),
	R_U32(all, small, 1, 9, 0, "A \"small\" number."),
	R_U64(all, large, 0, U53_MAX, 0, ""),
	R_I64(all, offset, -500, 500, 0, ""),
	R_ENUM(all, color, color_names, 0, ""),
	R_TEXT(all, name, 1, 15, 0, ""),
	R_FIXED(all, key, 0, ""),
	R_BLOB(all, blob, 1, 300, 0, ""),
	R_STRING(all, text, 0, 70000, 0, ""),
	R_TIME(all, time, 0, ""),
	R_DATE(all, date, 0, ""),
	R_STRUCT(all, price, &price_record, 0, ""),
	R_LIST(all, parts, &part_record, 1, 3, 0, ""),
};
static RECORD_DEFINE(all, 1, "Every type.");

/* The same fields, none of them needed. */
static const struct record_field none_fields[] = {
	R_BOOL(all, flag, RECORD_OPTIONAL, ""),
	R_U32(all, small, 1, 9, RECORD_OPTIONAL, ""),
	R_U64(all, large, 5, U53_MAX, RECORD_OPTIONAL, ""),
	R_I64(all, offset, 1, 500, RECORD_OPTIONAL, ""),
	R_ENUM(all, color, color_names, RECORD_OPTIONAL, ""),
	R_TEXT(all, name, 1, 15, RECORD_OPTIONAL, ""),
	R_FIXED(all, key, RECORD_OPTIONAL, ""),
	R_BLOB(all, blob, 1, 300, RECORD_OPTIONAL, ""),
	R_STRING(all, text, 2, 70000, RECORD_OPTIONAL, ""),
	R_TIME(all, time, RECORD_OPTIONAL, ""),
	R_DATE(all, date, RECORD_OPTIONAL, ""),
	R_STRUCT(all, price, &price_record, RECORD_OPTIONAL, ""),
	R_LIST(all, parts, &part_record, 1, 3, RECORD_OPTIONAL, ""),
};
static const struct record none_record = {
	.name = "none",
	.doc = "",
	.version = 1,
	.size = sizeof(struct all),
	.fields = none_fields,
	.n_fields = sizeof(none_fields) / sizeof(none_fields[0]),
};

struct void_ {
	uint32_t unused;
};
static const struct record void_record = {
	.name = "void",
	.doc = "Nothing.",
	.version = 1,
	.size = sizeof(struct void_),
};

struct loop {
	struct record_list inner;
};
static const struct record loop_record;
static const struct record_field loop_fields[] = {
	R_LIST(loop, inner, &loop_record, 0, 1, RECORD_OPTIONAL, ""),
};
static RECORD_DEFINE(loop, 1, "");

#define ALL_JSON                                                           \
	"{\"flag\":true,\"small\":9,\"large\":9007199254740991,"           \
	"\"offset\":-500,\"color\":\"blue\",\"name\":\"caf\xc3\xa9 "       \
	"\\\"x\\\"\","                                                     \
	"\"key\":\"AAH-_w\",\"blob\":\"aGVsbG8\",\"text\":\"a\\nb\\tc\","  \
	"\"time\":\"2026-11-22T05:20:00.123Z\",\"date\":\"2026-02-28\","   \
	"\"price\":{\"fee\":5000.00,\"extra\":0.05,\"currency\":\"EUR\"}," \
	"\"parts\":[{\"commit_qty\":0},"                                   \
	"{\"commit_qty\":1000000,\"words\":[\"one\",\"two\"]}]}"

/* Of the test that runs; `release` is its teardown. */
static struct arena arena;
static struct record_error err;

static inline int
read_text(void *out, const struct record *record, const char *text)
{
	/* Exactly the text's bytes: the sanitizer sees what reads beyond. */
	size_t len = strlen(text);
	char *exact = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, text, len);
	memset(&err, 0, sizeof(err));
	int rc = record_read_json(out, record, exact, len, &arena, &err);

	free(exact);
	return rc;
}

static inline void
assert_refused(const struct record *record, const char *text, const char *field,
    const char *reason)
{
	struct all all;
	struct all zero;

	memset(&all, 0xaa, sizeof(all));
	ck_assert_uint_le(record->size, sizeof(all));
	ck_assert_msg(read_text(&all, record, text) == ERR_BAD_REQUEST,
	    "read: %s", text);
	ck_assert_str_eq(err.field, field);
	ck_assert_str_eq(err.reason, reason);
	memset(&zero, 0, sizeof(zero));
	ck_assert_mem_eq(&all, &zero, record->size);
}

static inline void
assert_written(const struct record *record, const void *value,
    const char *expected)
{
	struct buf buf = { 0 };

	record_write_json(&buf, record, value);
	ck_assert(!buf.failed);
	ck_assert_str_eq(buf_text(&buf), expected);
	buf_release(&buf);
}

static inline void
release(void)
{
	arena_release(&arena);
}

#endif
