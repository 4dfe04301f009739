/* Records as MessagePack: one form for each value, everything else refused. */
#include "tests/unit/record_tables.h"

#include <stdio.h>
#include <string.h>

static int
read_bytes(void *out, const struct record *record, const void *data, size_t len,
    size_t *consumed)
{
	/* Exactly these bytes: the sanitizer sees what reads beyond. Spans
	 * point into them, so they live in the arena. */
	uint8_t *exact = arena_alloc(&arena, len > 0 ? len : 1);

	ck_assert_ptr_nonnull(exact);
	if (len > 0)
		memcpy(exact, data, len);
	memset(&err, 0, sizeof(err));
	return record_read_msgpack(out, record, exact, len, consumed, &arena,
	    &err);
}

static void
assert_refused_bytes(const struct record *record, const void *data, size_t len,
    const char *field, const char *reason)
{
	uint8_t out[1024];
	uint8_t zero[1024] = { 0 };

	memset(out, 0xaa, sizeof(out));
	ck_assert_uint_le(record->size, sizeof(out));
	ck_assert_int_eq(read_bytes(out, record, data, len, NULL),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.field, field);
	ck_assert_str_eq(err.reason, reason);
	ck_assert_mem_eq(out, zero, record->size);
}

static void
pack(struct buf *buf, const struct record *record, const void *value)
{
	buf_clear(buf);
	record_write_msgpack(buf, record, value);
	ck_assert(!buf->failed);
}

struct number {
	int64_t value;
};
static const struct record_field number_fields[] = {
	R_I64(number, value, INT64_MIN, INT64_MAX, 0, ""),
};
static RECORD_DEFINE(number, 1, "");

START_TEST(numbers_take_their_shortest_form)
{
	static const struct {
		int64_t value;
		size_t len;
		const char *bytes;
	} cases[] = {
		{ 0, 1, "\x00" },
		{ 127, 1, "\x7f" },
		{ 128, 2, "\xcc\x80" },
		{ 255, 2, "\xcc\xff" },
		{ 256, 3, "\xcd\x01\x00" },
		{ 65535, 3, "\xcd\xff\xff" },
		{ 65536, 5, "\xce\x00\x01\x00\x00" },
		{ 4294967295, 5, "\xce\xff\xff\xff\xff" },
		{ 4294967296, 9, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00" },
		{ INT64_MAX, 9, "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff" },
		{ -1, 1, "\xff" },
		{ -32, 1, "\xe0" },
		{ -33, 2, "\xd0\xdf" },
		{ -128, 2, "\xd0\x80" },
		{ -129, 3, "\xd1\xff\x7f" },
		{ -32768, 3, "\xd1\x80\x00" },
		{ -32769, 5, "\xd2\xff\xff\x7f\xff" },
		{ INT32_MIN, 5, "\xd2\x80\x00\x00\x00" },
		{ INT64_C(-2147483649), 9,
		    "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff" },
		{ INT64_MIN, 9, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00" },
	};
	struct buf buf = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct number in = { cases[i].value };
		struct number out;

		pack(&buf, &number_record, &in);
		ck_assert_uint_eq(buf.len, cases[i].len + 2);
		ck_assert_mem_eq(buf.data, "\x92\x01", 2);
		ck_assert_mem_eq(buf.data + 2, cases[i].bytes, cases[i].len);
		ck_assert_int_eq(read_bytes(&out, &number_record, buf.data,
				     buf.len, NULL),
		    0);
		ck_assert(out.value == cases[i].value);
	}
	buf_release(&buf);
}
END_TEST

START_TEST(longer_forms_of_numbers_are_refused)
{
	static const struct {
		size_t len;
		const char *bytes;
	} cases[] = {
		{ 2, "\xcc\x7f" },
		{ 3, "\xcd\x00\xff" },
		{ 5, "\xce\x00\x00\xff\xff" },
		{ 9, "\xcf\x00\x00\x00\x00\xff\xff\xff\xff" },
		{ 9, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00" },
		{ 2, "\xd0\xe0" },
		{ 2, "\xd0\x01" },
		{ 3, "\xd1\xff\x80" },
		{ 3, "\xd1\x00\x80" },
		{ 5, "\xd2\xff\xff\x80\x00" },
		{ 9, "\xd3\xff\xff\xff\xff\x80\x00\x00\x00" },
		{ 5, "\xca\x00\x00\x00\x00" },
		{ 9, "\xcb\x00\x00\x00\x00\x00\x00\x00\x00" },
		{ 1, "\xc0" },
		{ 1, "\xc1" },
		{ 1, "\xc2" },
		{ 2,
		    "\xa1"
		    "1" },
		{ 1, "\x90" },
		{ 1, "\x80" },
	};
	uint8_t bytes[16] = { 0x92, 0x01 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(bytes + 2, cases[i].bytes, cases[i].len);
		assert_refused_bytes(&number_record, bytes, cases[i].len + 2,
		    "value",
		    "must be a whole number from -9223372036854775808 to "
		    "9223372036854775807");
	}
}
END_TEST

START_TEST(every_type_keeps_its_bytes)
{
	static const uint8_t golden[] =
	    "\x9e\x01\xc3\x09"
	    "\xcf\x00\x1f\xff\xff\xff\xff\xff\xff" /* large */
	    "\xd1\xfe\x0c" /* offset */
	    "\x02" /* color */
	    "\xa9"
	    "caf\xc3\xa9 \"x\""
	    "\xc4\x04\x00\x01\xfe\xff"
	    "\xc4\x05hello"
	    "\xa5"
	    "a\nb\tc"
	    "\xcf\x00\x00\x01\xa2\x01\xb2\x6c\x7b" /* time */
	    "\xcd\x50\x20" /* date */
	    "\x94\x01\xce\x00\x07\xa1\x20\x05\xa3"
	    "EUR"
	    "\x92\x93\x02\x00\x90"
	    "\x93\x02\xce\x00\x0f\x42\x40\x92\xa3one\xa3two";
	struct all all;
	struct all again;
	struct buf buf = { 0 };

	ck_assert_int_eq(read_text(&all, &all_record, ALL_JSON), 0);
	pack(&buf, &all_record, &all);
	ck_assert_uint_eq(buf.len, sizeof(golden) - 1);
	ck_assert_mem_eq(buf.data, golden, buf.len);
	ck_assert_int_eq(read_bytes(&again, &all_record, buf.data, buf.len,
			     NULL),
	    0);
	assert_written(&all_record, &again, ALL_JSON);
	buf_release(&buf);
}
END_TEST

START_TEST(an_absent_optional_record_is_nil_and_nothing_else)
{
	static const char empty[] = "\x9e\x01\xc2\x00\x00\x00\x00\xa0"
				    "\xc4\x04\x00\x00\x00\x00\xc4\x00\xa0"
				    "\x00\x00\xc0\x90";
	static const char spelled[] = "\x9e\x01\xc2\x00\x00\x00\x00\xa0"
				      "\xc4\x04\x00\x00\x00\x00\xc4\x00\xa0"
				      "\x00\x00\x94\x01\x00\x00\xa0\x90";
	struct all all;
	struct all zero;
	struct buf buf = { 0 };

	memset(&zero, 0, sizeof(zero));
	pack(&buf, &none_record, &zero);
	ck_assert_uint_eq(buf.len, sizeof(empty) - 1);
	ck_assert_mem_eq(buf.data, empty, buf.len);
	ck_assert_int_eq(read_bytes(&all, &none_record, empty,
			     sizeof(empty) - 1, NULL),
	    0);
	ck_assert_mem_eq(&all, &zero, sizeof(all));
	ck_assert_int_eq(read_bytes(&all, &none_record, spelled,
			     sizeof(spelled) - 1, NULL),
	    ERR_BAD_REQUEST);
	buf_release(&buf);
}
END_TEST

struct maybe {
	struct number inner;
};
static const struct record_field maybe_fields[] = {
	R_STRUCT(maybe, inner, &number_record, RECORD_OPTIONAL, ""),
};
static RECORD_DEFINE(maybe, 1, "");

START_TEST(an_empty_record_spelled_out_is_refused)
{
	struct maybe maybe;

	ck_assert_int_eq(read_bytes(&maybe, &maybe_record, "\x92\x01\xc0", 3,
			     NULL),
	    0);
	assert_refused_bytes(&maybe_record, "\x92\x01\x92\x01\x00", 5, "inner",
	    "must be nil when it is empty");
	assert_refused_bytes(&number_record, "\xc0", 1, "",
	    "is no MessagePack record");
}
END_TEST

START_TEST(a_record_without_fields_is_its_version)
{
	struct void_ value = { 0 };
	struct buf buf = { 0 };

	pack(&buf, &void_record, &value);
	ck_assert_uint_eq(buf.len, 2);
	ck_assert_mem_eq(buf.data, "\x91\x01", 2);
	ck_assert_int_eq(read_bytes(&value, &void_record, buf.data, buf.len,
			     NULL),
	    0);
	buf_release(&buf);
}
END_TEST

START_TEST(other_versions_and_shapes_are_refused)
{
	assert_refused_bytes(&number_record, "\x92\x02\x00", 3, "",
	    "version 2 is not known");
	assert_refused_bytes(&number_record, "\x92\xcd\x03\xe8\x00", 5, "",
	    "version 1000 is not known");
	assert_refused_bytes(&number_record, "\x93\x01\x00\x00", 4, "",
	    "has 2 fields, not 1");
	assert_refused_bytes(&number_record, "\x91\x01", 2, "",
	    "has 0 fields, not 1");
	assert_refused_bytes(&number_record, "\x90", 1, "",
	    "is no MessagePack record");
	assert_refused_bytes(&number_record, "\xdc\x00\x02\x01\x00", 5, "",
	    "is no MessagePack record");
	assert_refused_bytes(&number_record, "", 0, "",
	    "is no MessagePack record");
	assert_refused_bytes(&number_record, "\x92\x01\x00\x00", 4, "",
	    "has bytes after its end");
}
END_TEST

START_TEST(trailing_bytes_are_the_caller_s_when_asked)
{
	struct number out;
	size_t consumed = 99;

	ck_assert_int_eq(read_bytes(&out, &number_record,
			     "\x92\x01\x07\x00\x00", 5, &consumed),
	    0);
	ck_assert_uint_eq(consumed, 3);
	ck_assert_int_eq(out.value, 7);
}
END_TEST

struct texts {
	char name[512];
	struct record_span text;
	struct record_span blob;
};
static const struct record_field texts_fields[] = {
	R_TEXT(texts, name, 0, 511, 0, ""),
	R_STRING(texts, text, 0, 100000, 0, ""),
	R_BLOB(texts, blob, 0, 100000, 0, ""),
};
static RECORD_DEFINE(texts, 1, "");

START_TEST(lengths_take_their_shortest_form)
{
	static const size_t lens[] = { 0, 1, 31, 32, 255, 256, 511, 65535,
		65536 };
	static char run[65536];
	struct buf buf = { 0 };

	memset(run, 'x', sizeof(run));
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		size_t len = lens[i];
		struct texts in = { .text = { run, (uint32_t)len },
			.blob = { run, (uint32_t)len } };
		struct texts out;
		size_t str = len < 32 ? 1 : len < 256 ? 2 : len < 65536 ? 3 : 5;
		size_t bin = len < 256 ? 2 : len < 65536 ? 3 : 5;

		pack(&buf, &texts_record, &in);
		ck_assert_uint_eq(buf.len, 3 + str + bin + 2 * len);
		ck_assert_int_eq(read_bytes(&out, &texts_record, buf.data,
				     buf.len, NULL),
		    0);
		ck_assert_uint_eq(out.text.len, len);
		ck_assert_uint_eq(out.blob.len, len);
		if (len > 0)
			ck_assert_mem_eq(out.blob.data, run, len);
	}
	buf_release(&buf);
}
END_TEST

START_TEST(longer_forms_of_lengths_are_refused)
{
	static const char name[] =
	    "must be at most 511 bytes of UTF-8 without control characters";
	static const char blob[] =
	    "must be at most 100000 bytes of data, in base64url without "
	    "padding";

	assert_refused_bytes(&texts_record, "\x94\x01\xd9\x01x\xa0\xc4\x00", 8,
	    "name", name);
	assert_refused_bytes(&texts_record, "\x94\x01\xda\x00\x01x\xa0\xc4\x00",
	    9, "name", name);
	assert_refused_bytes(&texts_record,
	    "\x94\x01\xdb\x00\x00\x00\x01x\xa0\xc4\x00", 11, "name", name);
	assert_refused_bytes(&texts_record, "\x94\x01\xc4\x01x\xa0\xc4\x00", 8,
	    "name", name);
	assert_refused_bytes(&texts_record, "\x94\x01\xa0\xa0\xc5\x00\x01x", 8,
	    "blob", blob);
	assert_refused_bytes(&texts_record,
	    "\x94\x01\xa0\xa0\xc6\x00\x00\x00\x01x", 10, "blob", blob);
	assert_refused_bytes(&texts_record, "\x94\x01\xa0\xa0\xa1x", 6, "blob",
	    blob);
	assert_refused_bytes(&texts_record,
	    "\x94\x01\xa0\xa0\xc6\xff\xff\xff\xffx", 10, "blob", blob);
}
END_TEST

START_TEST(text_that_is_no_text_is_refused)
{
	static const char words[] =
	    "must be 1 to 7 bytes of UTF-8 without control characters";

	assert_refused_bytes(&part_record,
	    "\x93\x02\x00\x91\xa3"
	    "a\0b",
	    8, "words[0]", words);
	assert_refused_bytes(&part_record,
	    "\x93\x02\x00\x91\xa3"
	    "ab\0",
	    8, "words[0]", words);
	assert_refused_bytes(&part_record,
	    "\x93\x02\x00\x92\xa1"
	    "a\xa1\xff",
	    8, "words[1]", words);
	assert_refused_bytes(&part_record, "\x93\x02\x00\x91\xa1\n", 6,
	    "words[0]", words);
	assert_refused_bytes(&part_record, "\x93\x02\x00\x91\xa0", 5,
	    "words[0]", words);
	assert_refused_bytes(&part_record,
	    "\x93\x02\x00\x91\xa8"
	    "12345678",
	    13, "words[0]", words);
}
END_TEST

START_TEST(values_out_of_bounds_are_refused_by_name)
{
	assert_refused_bytes(&part_record, "\x93\x02\xce\x00\x0f\x42\x41\x90",
	    8, "commit_qty", "must be a whole number from 0 to 1000000");
	assert_refused_bytes(&part_record,
	    "\x93\x02\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x90", 12,
	    "commit_qty", "must be a whole number from 0 to 1000000");
	assert_refused_bytes(&part_record, "\x93\x02\x00\x95", 4, "words",
	    "must be a list of 0 to 4 items");
	assert_refused_bytes(&price_record,
	    "\x94\x01\xff\x00\xa3"
	    "EUR",
	    8, "fee",
	    "must be an amount like 1250.50, not negative, without an "
	    "exponent, at most 2^53 minor units");
	assert_refused_bytes(&price_record,
	    "\x94\x01\x00\x00\xa3"
	    "EUX",
	    8, "currency",
	    "must be an ISO 4217 currency code in use, like EUR");
}
END_TEST

struct many {
	struct record_list items;
};
static const struct record_field many_fields[] = {
	R_LIST(many, items, &none_record, 0, 10000000, 0, ""),
};
static RECORD_DEFINE(many, 1, "");

START_TEST(memory_follows_the_bytes_that_are_there)
{
	struct many many;

	/* Ten million items are promised in ten bytes. */
	assert_refused_bytes(&many_record,
	    "\x92\x01\xdd\x00\x98\x96\x80\x9e\x01\xc2", 10, "items",
	    "must be a list of 0 to 10000000 items");
	ck_assert_uint_lt(arena.used_bytes, 4096);
	arena_release(&arena);
	arena = (struct arena){ .max_bytes = 4096 };
	struct buf buf = { 0 };

	buf_add(&buf, "\x92\x01\xdc\x00\x40", 5);
	for (int i = 0; i < 64; i++)
		buf_add(&buf,
		    "\x9e\x01\xc2\x00\x00\x00\x00\xa0\xc4\x04\x00\x00\x00\x00"
		    "\xc4\x00\xa0\x00\x00\xc0\x90",
		    21);
	ck_assert_int_eq(record_read_msgpack(&many, &many_record, buf.data,
			     buf.len, NULL, &arena, &err),
	    ERR_TOO_LARGE);
	ck_assert_str_eq(err.reason, "is too large");
	arena.max_bytes = 0;
	ck_assert_int_eq(record_read_msgpack(&many, &many_record, buf.data,
			     buf.len, NULL, &arena, &err),
	    0);
	ck_assert_uint_eq(many.items.count, 64);
	buf_release(&buf);
}
END_TEST

START_TEST(nesting_is_bounded)
{
	struct loop loop;
	uint8_t bytes[64];
	size_t len = 0;

	for (int i = 0; i < 16; i++) {
		memcpy(bytes + len, "\x92\x01\x91", 3);
		len += 3;
	}
	bytes[len - 1] = 0x90;
	ck_assert_int_eq(read_bytes(&loop, &loop_record, bytes, len, NULL), 0);
	bytes[len - 1] = 0x91;
	memcpy(bytes + len, "\x92\x01\x90", 3);
	ck_assert_int_eq(read_bytes(&loop, &loop_record, bytes, len + 3, NULL),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(err.reason, "is nested too deeply");
}
END_TEST

START_TEST(every_prefix_is_refused)
{
	struct all all;
	struct buf buf = { 0 };

	ck_assert_int_eq(read_text(&all, &all_record, ALL_JSON), 0);
	pack(&buf, &all_record, &all);
	for (size_t len = 0; len < buf.len; len++)
		ck_assert_int_eq(read_bytes(&all, &all_record, buf.data, len,
				     NULL),
		    ERR_BAD_REQUEST);
	buf_release(&buf);
}
END_TEST

/* Whatever bytes are taken, writing what was read gives the same bytes: there
 * is no second form of anything. */
START_TEST(altered_bytes_are_refused_or_mean_what_they_say)
{
	struct all all;
	struct buf good = { 0 };
	struct buf again = { 0 };
	unsigned int taken = 0;
	unsigned int refused = 0;

	ck_assert_int_eq(read_text(&all, &all_record, ALL_JSON), 0);
	pack(&good, &all_record, &all);
	for (size_t at = 0; at < good.len; at++) {
		uint8_t kept = good.data[at];

		for (unsigned int byte = 0; byte < 256; byte++) {
			good.data[at] = (uint8_t)byte;
			if (read_bytes(&all, &all_record, good.data, good.len,
				NULL) < 0) {
				refused++;
				continue;
			}
			taken++;
			pack(&again, &all_record, &all);
			ck_assert_uint_eq(again.len, good.len);
			ck_assert_mem_eq(again.data, good.data, good.len);
			ck_assert_int_eq(record_check(&all_record, &all, &err),
			    0);
		}
		good.data[at] = kept;
		arena_release(&arena);
	}
	ck_assert_uint_gt(taken, good.len);
	ck_assert_uint_gt(refused, taken);
	buf_release(&good);
	buf_release(&again);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("msgpack");
	TCase *t = tcase_create("msgpack");

	tcase_add_checked_fixture(t, NULL, release);
	tcase_add_test(t, numbers_take_their_shortest_form);
	tcase_add_test(t, longer_forms_of_numbers_are_refused);
	tcase_add_test(t, every_type_keeps_its_bytes);
	tcase_add_test(t, an_absent_optional_record_is_nil_and_nothing_else);
	tcase_add_test(t, an_empty_record_spelled_out_is_refused);
	tcase_add_test(t, a_record_without_fields_is_its_version);
	tcase_add_test(t, other_versions_and_shapes_are_refused);
	tcase_add_test(t, trailing_bytes_are_the_caller_s_when_asked);
	tcase_add_test(t, lengths_take_their_shortest_form);
	tcase_add_test(t, longer_forms_of_lengths_are_refused);
	tcase_add_test(t, text_that_is_no_text_is_refused);
	tcase_add_test(t, values_out_of_bounds_are_refused_by_name);
	tcase_add_test(t, memory_follows_the_bytes_that_are_there);
	tcase_add_test(t, nesting_is_bounded);
	tcase_add_test(t, every_prefix_is_refused);
	tcase_add_test(t, altered_bytes_are_refused_or_mean_what_they_say);
	suite_add_tcase(s, t);
	return s;
}
