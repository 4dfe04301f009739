/* The tokenizer: what it takes and refuses, alone and against JSONTestSuite. */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/record/json.h"
#include "tests/unit/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

static int
check(const char *text)
{
	return json_check(text, strlen(text), 64);
}

/* Read one file of the suite from memory that ends where the text does, so
 * that the sanitizer sees a byte read too far. */
static int
check_file(const char *folder, const char *name)
{
	char path[1024];
	uint8_t *data;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	ck_assert_int_eq(file_read(&data, &len, path, FILE_MAX), 0);
	char *exact = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, data, len);
	free(data);
	int rc = json_check(exact, len, 64);

	free(exact);
	return rc;
}

START_TEST(suite_of_published_cases_is_met)
{
	char folder[768];
	unsigned int count[3] = { 0, 0, 0 };

	if (test_data() == NULL) {
		test_skip("json: suite_of_published_cases_is_met",
		    "LEASEHOLD_DATA is not set");
		return;
	}
	snprintf(folder, sizeof(folder), "%s/json", test_data());
	DIR *dir = opendir(folder);

	ck_assert_msg(dir != NULL, "no folder %s", folder);
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		const char *name = e->d_name;

		if (strstr(name, ".json") == NULL || name[1] != '_')
			continue;
		int rc = check_file(folder, name);

		if (name[0] == 'y')
			ck_assert_msg(rc == 0, "refused: %s", name);
		else if (name[0] == 'n')
			ck_assert_msg(rc == ERR_BAD_REQUEST, "read: %s", name);
		else
			ck_assert_msg(rc == 0 || rc == ERR_BAD_REQUEST,
			    "unforeseen: %s", name);
		count[name[0] == 'y' ? 0 : name[0] == 'n' ? 1 : 2]++;
	}
	closedir(dir);
	ck_assert_uint_ge(count[0], 90);
	ck_assert_uint_ge(count[1], 180);
	ck_assert_uint_ge(count[2], 30);
}
END_TEST

START_TEST(values_of_every_kind_are_read_at_the_top)
{
	ck_assert_int_eq(check("null"), 0);
	ck_assert_int_eq(check(" true\n"), 0);
	ck_assert_int_eq(check("\t-0.5e+10\r"), 0);
	ck_assert_int_eq(check("\"\""), 0);
	ck_assert_int_eq(check("[]"), 0);
	ck_assert_int_eq(check("{}"), 0);
	ck_assert_int_eq(check("{\"a\":[{},[],{\"b\":[1,2]}]}"), 0);
}
END_TEST

START_TEST(text_that_is_not_json_is_refused)
{
	static const char *const bad[] = { "", " ", "nul", "True", "+1", "01",
		"1.", ".5", "1e", "1e+", "-", "--1", "0x1", "NaN", "Infinity",
		"[1,]", "[,1]", "[1 2]", "[1", "]", "[1}", "{1:2}", "{\"a\"}",
		"{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{,}",
		"{\"a\":1", "{\"a\"", "{\"a", "{'a':1}", "1 2", "[] []", "[]x",
		"//\n1", "/**/1", "\"\t\"", "\"\\x\"", "\"\\u12g4\"",
		"\"\\u123", "\"a", "\"\\", "\xef\xbb\xbf{}", "\"\xff\"",
		"\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
		"\"\xc3\"", "tru", "nullx", "[true,fals]", "{\"a\":1}}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(check(bad[i]) == ERR_BAD_REQUEST, "read: %s",
		    bad[i]);
	ck_assert_int_eq(json_check("1\0", 2, 64), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_check("\"\0\"", 3, 64), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_check("[\0]", 3, 64), ERR_BAD_REQUEST);
}
END_TEST

START_TEST(every_prefix_of_a_text_is_refused)
{
	static const char text[] = "{\"k\\u00e9y\":[-1.5e3,true,null,"
				   "{\"x\":\"\xc3\xa4\\n\"},[]],\"z\":false}";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char *exact = malloc(len > 0 ? len : 1);

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, text, len);
		ck_assert_int_eq(json_check(exact, len, 64), ERR_BAD_REQUEST);
		free(exact);
	}
	ck_assert_int_eq(json_check(text, sizeof(text) - 1, 64), 0);
}
END_TEST

START_TEST(every_byte_at_every_place_of_a_string_is_judged_alike)
{
	char text[32];

	for (size_t len = 1; len <= 24; len++) {
		for (size_t at = 1; at <= len; at++) {
			for (unsigned int byte = 0; byte < 256; byte++) {
				bool good = byte >= 0x20 && byte < 0x80 &&
				    byte != '"' && byte != '\\';

				memset(text, 'a', len + 1);
				text[0] = text[len + 1] = '"';
				text[at] = (char)byte;
				ck_assert_msg((json_check(text, len + 2, 1) ==
						  0) == good,
				    "byte %u at %zu of %zu", byte, at, len);
			}
		}
	}
}
END_TEST

START_TEST(depth_is_bounded)
{
	char text[200];

	memset(text, '[', 100);
	memset(text + 100, ']', 100);
	ck_assert_int_eq(json_check(text + 36, 128, 64), 0);
	ck_assert_int_eq(json_check(text + 35, 130, 64), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_check(text + 35, 130, 1000), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_check(text + 84, 32, 16), 0);
	ck_assert_int_eq(json_check(text + 83, 34, 16), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_check("[]", 2, 0), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_check("1", 1, 0), 0);
}
END_TEST

START_TEST(tokens_come_in_order_with_their_text)
{
	static const char text[] = "{ \"a\" : [1.50, \"x\\n\"], \"b\" : {} }";
	struct json_reader r;
	struct json_token t;

	json_open(&r, text, sizeof(text) - 1, 8);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_OBJECT);
	ck_assert_ptr_eq(t.text, text);
	ck_assert_int_eq(json_next_key(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_STRING);
	ck_assert_int_eq((int)t.len, 1);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_ARRAY);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_NUMBER);
	ck_assert_int_eq((int)t.len, 4);
	ck_assert_int_eq(memcmp(t.text, "1.50", 4), 0);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_STRING);
	ck_assert(t.escaped);
	ck_assert_int_eq((int)t.len, 3);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_END);
	ck_assert_int_eq(json_next_key(&r, &t), 0);
	ck_assert(!t.escaped);
	ck_assert_int_eq(*t.text, 'b');
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_OBJECT);
	ck_assert_int_eq(json_next_key(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_END);
	ck_assert_int_eq(json_next_key(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_END);
	ck_assert_int_eq(json_finish(&r), 0);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_END);
	ck_assert_ptr_null(r.error);
}
END_TEST

START_TEST(a_skipped_value_is_checked_whole)
{
	static const char good[] = "[{\"a\":[1,{\"b\":2}]},3]";
	static const char bad[] = "[{\"a\":[1,{\"b\":02}]},3]";
	struct json_reader r;
	struct json_token t;

	json_open(&r, good, sizeof(good) - 1, 8);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(json_skip(&r, &t), 0);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_NUMBER);
	ck_assert_int_eq(*t.text, '3');

	json_open(&r, bad, sizeof(bad) - 1, 8);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(json_skip(&r, &t), ERR_BAD_REQUEST);
	ck_assert_str_eq(r.error, "a number begins with 0");
}
END_TEST

START_TEST(an_error_stays)
{
	struct json_reader r;
	struct json_token t;

	json_open(&r, "[1 2]", 5, 8);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(json_next(&r, &t), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_next(&r, &t), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_next_key(&r, &t), ERR_BAD_REQUEST);
	ck_assert_int_eq(json_finish(&r), ERR_BAD_REQUEST);
	ck_assert_str_eq(r.error, "a comma or ] is missing");
}
END_TEST

/* The string's content after json_unescape, "!" when refused. */
static const char *
unescaped(char out[64], const char *quoted)
{
	struct json_reader r;
	struct json_token t;
	size_t len;

	json_open(&r, quoted, strlen(quoted), 1);
	ck_assert_int_eq(json_next(&r, &t), 0);
	ck_assert_int_eq(t.type, JSON_STRING);
	ck_assert_uint_lt(t.len, 64);
	if (json_unescape(out, &len, &t) < 0)
		return "!";
	ck_assert_uint_eq(len, strlen(out));
	ck_assert_uint_le(len, t.len);
	return out;
}

START_TEST(escapes_are_decoded)
{
	char out[64];

	ck_assert_str_eq(unescaped(out, "\"plain\""), "plain");
	ck_assert_str_eq(unescaped(out, "\"\""), "");
	ck_assert_str_eq(unescaped(out, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	    "\"\\/\b\f\n\r\t");
	ck_assert_str_eq(unescaped(out, "\"\\u0041\\u00e4\\u20AC\""),
	    "A\xc3\xa4\xe2\x82\xac");
	ck_assert_str_eq(unescaped(out, "\"\\ud83d\\ude00!\""),
	    "\xf0\x9f\x98\x80!");
	ck_assert_str_eq(unescaped(out, "\"\\uDBFF\\uDFFF\""),
	    "\xf4\x8f\xbf\xbf");
	ck_assert_str_eq(unescaped(out, "\"\\uffff\""), "\xef\xbf\xbf");
}
END_TEST

START_TEST(nul_and_lone_surrogates_are_refused)
{
	char out[64];

	ck_assert_str_eq(unescaped(out, "\"a\\u0000b\""), "!");
	ck_assert_str_eq(unescaped(out, "\"\\ud83d\""), "!");
	ck_assert_str_eq(unescaped(out, "\"\\ud83dx\""), "!");
	ck_assert_str_eq(unescaped(out, "\"\\ud83d\\n12345\""), "!");
	ck_assert_str_eq(unescaped(out, "\"\\ud83d\\u0041\""), "!");
	ck_assert_str_eq(unescaped(out, "\"\\ude00\""), "!");
	ck_assert_str_eq(unescaped(out, "\"\\ude00\\ud83d\""), "!");
}
END_TEST

static void
assert_written(const char *text, size_t len, const char *expected)
{
	struct buf buf = { 0 };

	json_add_string(&buf, text, len);
	ck_assert_str_eq(buf_text(&buf), expected);
	ck_assert_int_eq(json_check((const char *)buf.data, buf.len, 1), 0);
	buf_release(&buf);
}

START_TEST(strings_are_written_so_that_they_are_read_again)
{
	assert_written("", 0, "\"\"");
	assert_written(NULL, 0, "\"\"");
	assert_written("a/b", 3, "\"a/b\"");
	assert_written("\"\\\b\f\n\r\t\x01\x1f\x7f", 10,
	    "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
	assert_written("a\0b", 3, "\"a\\u0000b\"");
	assert_written("\xc3\xa4\xf0\x9f\x98\x80", 6,
	    "\"\xc3\xa4\xf0\x9f\x98\x80\"");
}
END_TEST

START_TEST(broken_utf8_is_written_as_replacement_characters)
{
	assert_written("caf\xc3", 4, "\"caf\xef\xbf\xbd\"");
	assert_written("\xff\n\xc3\xa4\xed\xa0\x80\"", 8,
	    "\"\xef\xbf\xbd\\n\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
	    "\\\"\"");
	assert_written("\xf0\x9f\x98", 3,
	    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf"
	    "\xbd\"");
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");

	tcase_add_test(t, suite_of_published_cases_is_met);
	tcase_add_test(t, values_of_every_kind_are_read_at_the_top);
	tcase_add_test(t, text_that_is_not_json_is_refused);
	tcase_add_test(t, every_prefix_of_a_text_is_refused);
	tcase_add_test(t,
	    every_byte_at_every_place_of_a_string_is_judged_alike);
	tcase_add_test(t, depth_is_bounded);
	tcase_add_test(t, tokens_come_in_order_with_their_text);
	tcase_add_test(t, a_skipped_value_is_checked_whole);
	tcase_add_test(t, an_error_stays);
	tcase_add_test(t, escapes_are_decoded);
	tcase_add_test(t, nul_and_lone_surrogates_are_refused);
	tcase_add_test(t, strings_are_written_so_that_they_are_read_again);
	tcase_add_test(t, broken_utf8_is_written_as_replacement_characters);
	suite_add_tcase(s, t);
	return s;
}
