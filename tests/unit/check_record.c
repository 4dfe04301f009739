/* Records read from JSON: what is taken and how the rest is refused. */
#include "tests/unit/record_tables.h"

#include <stdio.h>
#include <string.h>

START_TEST(every_type_is_read_and_written_the_same)
{
	struct all all;

	ck_assert_int_eq(read_text(&all, &all_record, ALL_JSON), 0);
	ck_assert(all.flag);
	ck_assert_uint_eq(all.small, 9);
	ck_assert_uint_eq(all.large, U53_MAX);
	ck_assert_int_eq(all.offset, -500);
	ck_assert_uint_eq(all.color, 2);
	ck_assert_str_eq(all.name, "caf\xc3\xa9 \"x\"");
	ck_assert_mem_eq(all.key, "\x00\x01\xfe\xff", 4);
	ck_assert_uint_eq(all.blob.len, 5);
	ck_assert_mem_eq(all.blob.data, "hello", 5);
	ck_assert_uint_eq(all.text.len, 5);
	ck_assert_mem_eq(all.text.data, "a\nb\tc", 5);
	ck_assert_int_eq(all.time, INT64_C(1795324800123));
	ck_assert_int_eq(all.date, 20512);
	ck_assert_int_eq(all.price.fee, 500000);
	ck_assert_int_eq(all.price.extra, 5);
	ck_assert_str_eq(all.price.currency, "EUR");
	ck_assert_uint_eq(all.parts.count, 2);
	const struct part *parts = all.parts.items;

	ck_assert_uint_eq(parts[0].commit_qty, 0);
	ck_assert_uint_eq(parts[0].words.count, 0);
	ck_assert_uint_eq(parts[1].commit_qty, 1000000);
	ck_assert_uint_eq(parts[1].words.count, 2);
	const struct word *words = parts[1].words.items;

	ck_assert_str_eq(words[0].text, "one");
	ck_assert_str_eq(words[1].text, "two");
	ck_assert_int_eq(record_check(&all_record, &all, &err), 0);
	assert_written(&all_record, &all, ALL_JSON);
}
END_TEST

START_TEST(order_spaces_and_escapes_do_not_matter)
{
	struct part part;

	ck_assert_int_eq(read_text(&part, &part_record,
			     " {\n\"words\" : [ \"\\u006fne\" ] ,"
			     "\t\"commit\\u005fqty\" :7}\r\n"),
	    0);
	ck_assert_uint_eq(part.commit_qty, 7);
	ck_assert_str_eq(((const struct word *)part.words.items)->text, "one");
}
END_TEST

START_TEST(absent_optional_fields_are_zero_and_left_out)
{
	struct all all;
	struct all zero;

	memset(&zero, 0, sizeof(zero));
	ck_assert_int_eq(read_text(&all, &none_record, "{}"), 0);
	ck_assert_mem_eq(&all, &zero, sizeof(all));
	assert_written(&none_record, &all, "{}");
	ck_assert_int_eq(record_check(&none_record, &all, &err), 0);
	ck_assert_int_eq(read_text(&all, &none_record,
			     "{\"flag\":null,\"small\":null,\"large\":null,"
			     "\"offset\":null,\"color\":null,\"name\":null,"
			     "\"key\":null,"
			     "\"blob\":null,\"text\":null,\"time\":null,"
			     "\"date\":null,"
			     "\"price\":null,\"parts\":null}"),
	    0);
	ck_assert_mem_eq(&all, &zero, sizeof(all));
	ck_assert_int_eq(read_text(&all, &none_record,
			     "{\"flag\":false,\"color\":\"red\",\"name\":\"\","
			     "\"key\":\"AAAAAA\",\"blob\":\"\",\"text\":\"\","
			     "\"parts\":[]}"),
	    0);
	ck_assert_mem_eq(&all, &zero, sizeof(all));
}
END_TEST

START_TEST(an_optional_number_out_of_bounds_is_no_absent_one)
{
	assert_refused(&none_record, "{\"small\":0}", "small",
	    "must be a whole number from 1 to 9");
	assert_refused(&none_record, "{\"offset\":0}", "offset",
	    "must be a whole number from 1 to 500");
}
END_TEST

START_TEST(required_zero_values_are_written)
{
	struct part part = { 0 };
	struct price price = { .currency = "JPY" };

	assert_written(&part_record, &part, "{\"commit_qty\":0}");
	assert_written(&price_record, &price,
	    "{\"fee\":0,\"currency\":\"JPY\"}");
}
END_TEST

START_TEST(a_record_without_fields_is_an_empty_object)
{
	struct void_ value;

	ck_assert_int_eq(read_text(&value, &void_record, "{}"), 0);
	assert_written(&void_record, &value, "{}");
	assert_refused(&void_record, "{\"a\":1}", "a", "is not known here");
}
END_TEST

START_TEST(unknown_doubled_and_missing_keys_are_refused_by_name)
{
	assert_refused(&part_record, "{\"commit_quantity\":1}",
	    "commit_quantity", "is not known here");
	assert_refused(&part_record, "{\"comit_qty\":1}", "comit_qty",
	    "is not known here; did you mean commit_qty?");
	assert_refused(&part_record, "{\"commit_qty\":1,\"commit_qty\":1}",
	    "commit_qty", "is given twice");
	assert_refused(&part_record,
	    "{\"commit_qty\":1,\"commit\\u005fqty\":1}", "commit_qty",
	    "is given twice");
	assert_refused(&none_record, "{\"small\":null,\"small\":1}", "small",
	    "is given twice");
	assert_refused(&part_record, "{}", "commit_qty", "is missing");
	assert_refused(&part_record, "{\"\":1}", "", "is not known here");
	assert_refused(&part_record, "{\"commit_qt\":1}", "commit_qt",
	    "is not known here; did you mean commit_qty?");
	assert_refused(&part_record, "{\"commit_qty2\":1}", "commit_qty2",
	    "is not known here; did you mean commit_qty?");
	assert_refused(&part_record, "{\"\\u001b[2J\":1}", "",
	    "has a key that is not known here");
	assert_refused(&part_record, "{\"\\ud800\":1}", "",
	    "has a key with a broken escape");
}
END_TEST

START_TEST(a_path_names_the_field_inside)
{
	assert_refused(&none_record, "{\"parts\":[{\"commit_qty\":-1}]}",
	    "parts[0].commit_qty", "must be a whole number from 0 to 1000000");
	assert_refused(&none_record,
	    "{\"parts\":[{\"commit_qty\":1},{\"commit_qty\":1,\"words\":"
	    "[\"a\",\"b\",\"eight888\"]}]}",
	    "parts[1].words[2]",
	    "must be 1 to 7 bytes of UTF-8 without control characters");
	assert_refused(&none_record, "{\"parts\":[{}]}", "parts[0].commit_qty",
	    "is missing");
	assert_refused(&none_record, "{\"parts\":[1]}", "parts[0]",
	    "must be an object");
	assert_refused(&none_record, "{\"price\":{\"fees\":1}}", "price.fees",
	    "is not known here; did you mean fee?");
	assert_refused(&none_record, "{\"price\":[]}", "price",
	    "must be an object");
}
END_TEST

START_TEST(numbers_are_whole_and_within_bounds)
{
	static const char *const bad[] = { "1.0", "1e0", "10", "0", "-1",
		"\"1\"", "true", "null", "[1]", "{}", "18446744073709551617",
		"99999999999999999999999999", "4294967297", "-0" };
	char text[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{\"flag\":true,\"small\":%s}",
		    bad[i]);
		assert_refused(&all_record, text, "small",
		    "must be a whole number from 1 to 9");
	}
	assert_refused(&none_record, "{\"large\":9007199254740992}", "large",
	    "must be a whole number from 5 to 9007199254740991");
	assert_refused(&all_record,
	    "{\"flag\":true,\"small\":1,\"large\":1,\"offset\":-501}", "offset",
	    "must be a whole number from -500 to 500");
	assert_refused(&none_record, "{\"offset\":-9223372036854775809}",
	    "offset", "must be a whole number from 1 to 500");
}
END_TEST

struct wide {
	int64_t value;
};
static const struct record_field wide_fields[] = {
	R_I64(wide, value, INT64_MIN, INT64_MAX, 0, ""),
};
static RECORD_DEFINE(wide, 1, "");

START_TEST(signed_numbers_reach_both_ends)
{
	struct wide wide;

	ck_assert_int_eq(read_text(&wide, &wide_record,
			     "{\"value\":-9223372036854775808}"),
	    0);
	ck_assert(wide.value == INT64_MIN);
	assert_written(&wide_record, &wide, "{\"value\":-9223372036854775808}");
	ck_assert_int_eq(read_text(&wide, &wide_record,
			     "{\"value\":9223372036854775807}"),
	    0);
	ck_assert(wide.value == INT64_MAX);
	assert_written(&wide_record, &wide, "{\"value\":9223372036854775807}");
	ck_assert_int_eq(read_text(&wide, &wide_record, "{\"value\":-0}"), 0);
	assert_written(&wide_record, &wide, "{\"value\":0}");
	assert_refused(&wide_record, "{\"value\":9223372036854775808}", "value",
	    "must be a whole number from -9223372036854775808 to "
	    "9223372036854775807");
}
END_TEST

START_TEST(text_is_bounded_in_bytes_and_without_control_characters)
{
	static const char *const bad[] = { "\"1234567890123456\"", "\"a\\nb\"",
		"\"\\u007f\"", "\"\\u0085\"", "\"\\u0000\"", "\"\\ud800\"", "1",
		"\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3"
		"\xa4\xc3\xa4\"" };
	char text[128];
	struct all all;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{\"name\":%s}", bad[i]);
		assert_refused(&none_record, text, "name",
		    "must be 1 to 15 bytes of UTF-8 without control "
		    "characters");
	}
	ck_assert_int_eq(read_text(&all, &none_record,
			     "{\"name\":\"123456789012345\"}"),
	    0);
	ck_assert_str_eq(all.name, "123456789012345");
	ck_assert_int_eq(read_text(&all, &none_record,
			     "{\"name\":"
			     "\"\\u0031\\u0032\\u0033\\u0034\\u0035\\u0036\\u00"
			     "37"
			     "\\u0038\\u0039\\u0030\\u0031\\u0032\\u0033\\u0034"
			     "\\u0035\"}"),
	    0);
	ck_assert_str_eq(all.name, "123456789012345");
	assert_refused(&none_record, "{\"text\":\"a\\u001bb\"}", "text",
	    "must be 2 to 70000 bytes of UTF-8 text");
	assert_refused(&none_record, "{\"text\":\"a\"}", "text",
	    "must be 2 to 70000 bytes of UTF-8 text");
	assert_refused(&price_record, "{\"fee\":1,\"currency\":\"EURO\"}",
	    "currency", "must be 3 bytes of UTF-8 without control characters");
}
END_TEST

START_TEST(bytes_are_strict_base64url)
{
	static const char *const bad[] = { "\"AAAA\"", "\"AAAAAAA\"",
		"\"AAAAAB\"", "\"AAAAA=\"", "\"AAAA+A\"", "\"AAAA\\u0041A\"",
		"0", "\"\"" };
	char text[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{\"key\":%s}", bad[i]);
		assert_refused(&none_record, text, "key",
		    "must be 4 bytes of data, in base64url without padding");
	}
	assert_refused(&none_record, "{\"blob\":\"A\"}", "blob",
	    "must be 1 to 300 bytes of data, in base64url without padding");
}
END_TEST

START_TEST(a_blob_is_bounded_before_it_is_decoded)
{
	struct all all;
	char text[512];
	int at = snprintf(text, sizeof(text), "{\"blob\":\"");

	memset(text + at, 'A', 400);
	snprintf(text + at + 400, 16, "\"}");
	ck_assert_int_eq(read_text(&all, &none_record, text), 0);
	ck_assert_uint_eq(all.blob.len, 300);
	snprintf(text + at + 400, 16, "AA\"}");
	assert_refused(&none_record, text, "blob",
	    "must be 1 to 300 bytes of data, in base64url without padding");
}
END_TEST

START_TEST(names_times_and_dates_are_exact)
{
	assert_refused(&none_record, "{\"color\":\"gre\"}", "color",
	    "must be one of \"red\", \"green\", \"blue\"");
	assert_refused(&none_record, "{\"color\":\"greenish\"}", "color",
	    "must be one of \"red\", \"green\", \"blue\"");
	assert_refused(&none_record, "{\"color\":1}", "color",
	    "must be one of \"red\", \"green\", \"blue\"");
	assert_refused(&none_record, "{\"time\":\"2026-11-22\"}", "time",
	    "must be a time from 1970 on like \"2026-01-31T12:00:00Z\"");
	assert_refused(&none_record, "{\"time\":\"1969-12-31T23:59:59Z\"}",
	    "time",
	    "must be a time from 1970 on like \"2026-01-31T12:00:00Z\"");
	assert_refused(&none_record, "{\"date\":\"2026-02-29\"}", "date",
	    "must be a date from 1970 on like \"2026-01-31\"");
	assert_refused(&none_record, "{\"date\":\"1969-12-31\"}", "date",
	    "must be a date from 1970 on like \"2026-01-31\"");
	assert_refused(&none_record, "{\"flag\":1}", "flag",
	    "must be true or false");
}
END_TEST

START_TEST(broken_text_is_refused_with_its_place)
{
	assert_refused(&part_record, "", "",
	    "is not JSON: a value is missing (line 1, column 1)");
	assert_refused(&part_record, "[]", "", "must be an object");
	assert_refused(&part_record, "{\n  \"commit_qty\": 1\n  \"words\"", "",
	    "is not JSON: a comma or } is missing (line 3, column 3)");
	assert_refused(&part_record, "{\"commit_qty\":1} x", "",
	    "is not JSON: something follows after its end (line 1, column "
	    "18)");
	assert_refused(&part_record, "{\"commit_qty\":01}", "",
	    "is not JSON: a number begins with 0 (line 1, column 15)");
	assert_refused(&part_record, "{\"commit_qty\":1,\"words\":[\"a\"", "",
	    "is not JSON: a comma or ] is missing (line 1, column 29)");
}
END_TEST

START_TEST(every_prefix_of_a_record_is_refused)
{
	static const char text[] = ALL_JSON;
	struct all all;
	char copy[sizeof(text)];

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		memcpy(copy, text, len);
		copy[len] = '\0';
		ck_assert_int_eq(read_text(&all, &all_record, copy),
		    ERR_BAD_REQUEST);
	}
}
END_TEST

START_TEST(lists_keep_their_bounds)
{
	assert_refused(&none_record,
	    "{\"parts\":[{\"commit_qty\":1},{\"commit_qty\":1},"
	    "{\"commit_qty\":1},{\"commit_qty\":1}]}",
	    "parts", "must be a list of 1 to 3 items");
	assert_refused(&none_record, "{\"parts\":{}}", "parts",
	    "must be a list of 1 to 3 items");
	assert_refused(&all_record, "{\"parts\":[]}", "parts",
	    "must be a list of 1 to 3 items");
}
END_TEST

struct many {
	struct record_list items;
};
static const struct record_field many_fields[] = {
	R_LIST(many, items, &part_record, 0, 100000, 0, ""),
};
static RECORD_DEFINE(many, 1, "");

START_TEST(a_long_list_is_read_and_the_arena_bounds_it)
{
	struct buf text = { 0 };
	struct buf again = { 0 };
	struct many many;
	struct arena small = { .max_bytes = 20000 };

	buf_add_str(&text, "{\"items\":[");
	for (uint32_t i = 0; i < 5000; i++)
		buf_printf(&text, "%s{\"commit_qty\":%u}", i > 0 ? "," : "", i);
	buf_add_str(&text, "]}");
	ck_assert_int_eq(record_read_json(&many, &many_record,
			     (const char *)text.data, text.len, &arena, &err),
	    0);
	ck_assert_uint_eq(many.items.count, 5000);
	record_write_json(&again, &many_record, &many);
	ck_assert_str_eq(buf_text(&again), buf_text(&text));
	ck_assert_int_eq(record_read_json(&many, &many_record,
			     (const char *)text.data, text.len, &small, &err),
	    ERR_TOO_LARGE);
	ck_assert_str_eq(err.reason, "is too large");
	ck_assert_uint_eq(many.items.count, 0);
	arena_release(&small);
	buf_release(&again);
	buf_release(&text);
}
END_TEST

START_TEST(nesting_is_bounded)
{
	struct loop loop;
	struct buf text = { 0 };

	for (unsigned int levels = 7; levels <= 8; levels++) {
		buf_clear(&text);
		for (unsigned int i = 0; i < levels; i++)
			buf_add_str(&text, "{\"inner\":[");
		buf_add_str(&text, "{}");
		for (unsigned int i = 0; i < levels; i++)
			buf_add_str(&text, "]}");
		if (levels == 7)
			ck_assert_int_eq(read_text(&loop, &loop_record,
					     buf_text(&text)),
			    0);
	}
	assert_refused(&loop_record, buf_text(&text), "",
	    "is not JSON: it is nested too deeply (line 1, column 81)");
	buf_release(&text);
}
END_TEST

START_TEST(a_long_path_is_cut_and_not_overrun)
{
	struct record_field fields[] = { part_fields[0] };
	struct record record = part_record;
	char text[160];

	fields[0].key = "a_key_that_is_much_longer_than_any_that_we_would_"
			"write_because_a_table_is_made_by_people_and_typed";
	record.fields = fields;
	record.n_fields = 1;
	snprintf(text, sizeof(text), "{\"%s\":-1}", fields[0].key);
	struct part part;

	ck_assert_int_eq(read_text(&part, &record, text), ERR_BAD_REQUEST);
	ck_assert_uint_eq(strlen(err.field), sizeof(err.field) - 1);
	ck_assert_int_eq(record_read_json(&part, &record, text, strlen(text),
			     &arena, NULL),
	    ERR_BAD_REQUEST);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");

	tcase_add_checked_fixture(t, NULL, release);
	tcase_add_test(t, every_type_is_read_and_written_the_same);
	tcase_add_test(t, order_spaces_and_escapes_do_not_matter);
	tcase_add_test(t, absent_optional_fields_are_zero_and_left_out);
	tcase_add_test(t, an_optional_number_out_of_bounds_is_no_absent_one);
	tcase_add_test(t, required_zero_values_are_written);
	tcase_add_test(t, a_record_without_fields_is_an_empty_object);
	tcase_add_test(t, unknown_doubled_and_missing_keys_are_refused_by_name);
	tcase_add_test(t, a_path_names_the_field_inside);
	tcase_add_test(t, numbers_are_whole_and_within_bounds);
	tcase_add_test(t, signed_numbers_reach_both_ends);
	tcase_add_test(t,
	    text_is_bounded_in_bytes_and_without_control_characters);
	tcase_add_test(t, bytes_are_strict_base64url);
	tcase_add_test(t, a_blob_is_bounded_before_it_is_decoded);
	tcase_add_test(t, names_times_and_dates_are_exact);
	tcase_add_test(t, broken_text_is_refused_with_its_place);
	tcase_add_test(t, every_prefix_of_a_record_is_refused);
	tcase_add_test(t, lists_keep_their_bounds);
	tcase_add_test(t, a_long_list_is_read_and_the_arena_bounds_it);
	tcase_add_test(t, nesting_is_bounded);
	tcase_add_test(t, a_long_path_is_cut_and_not_overrun);
	suite_add_tcase(s, t);
	return s;
}
