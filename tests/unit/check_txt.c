/* Answers of the DNS, whole and not. */
#include "appliance/courier/txt.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <string.h>

static uint8_t query[TXT_QUERY_MAX], answer[1024];
static size_t query_len, answer_len;

static void
ask(const char *name)
{
	ck_assert_int_eq(txt_write(query, &query_len, name, 0x1234), 0);
	memcpy(answer, query, query_len);
	answer[2] = 0x81;
	answer[3] = 0x80;
	answer_len = query_len;
}

/* A record of that type, its strings as they are. */
static void
add(unsigned int type, const char *strings, size_t len)
{
	const uint8_t head[] = { 0xc0, 12, (uint8_t)(type >> 8), (uint8_t)type,
		0, 1, 0, 0, 0, 60, (uint8_t)(len >> 8), (uint8_t)len };

	memcpy(answer + answer_len, head, sizeof head);
	memcpy(answer + answer_len + sizeof head, strings, len);
	answer_len += sizeof head + len;
	answer[7]++;
}

static enum txt_verdict
says(const char *text)
{
	return txt_read(answer, answer_len, query, query_len, text);
}

START_TEST(a_text_is_found_among_others_and_in_pieces)
{
	ask("_leasehold.a.example");
	add(5, "\1x", 2);
	add(16, "\3abc", 4);
	add(16, "\2he\3llo", 7);
	ck_assert_int_eq(says("hello"), TXT_FOUND);
	ck_assert_int_eq(says("abc"), TXT_FOUND);
	ck_assert_int_eq(says("hell"), TXT_ABSENT);
	ck_assert_int_eq(says("hello!"), TXT_ABSENT);
	ck_assert_int_eq(says("x"), TXT_ABSENT);
}
END_TEST

START_TEST(what_is_cut_anywhere_is_broken_or_absent)
{
	ask("_leasehold.a.example");
	add(16, "\2he\3llo", 7);
	for (size_t len = 0; len < answer_len; len++)
		ck_assert_int_eq(txt_read(answer, len, query, query_len,
				     "hello"),
		    TXT_BROKEN);
}
END_TEST

START_TEST(an_answer_is_to_our_question)
{
	ask("_leasehold.a.example");
	add(16, "\5hello", 6);
	answer[14] ^= 0x20; /* the case of a letter does not count */
	ck_assert_int_eq(says("hello"), TXT_FOUND);
	answer[0] ^= 1;
	ck_assert_int_eq(says("hello"), TXT_BROKEN);
	answer[0] ^= 1;
	answer[2] = 0x01; /* a question */
	ck_assert_int_eq(says("hello"), TXT_BROKEN);
	answer[2] = 0x83; /* there is more */
	ck_assert_int_eq(says("hello"), TXT_TRUNCATED);
	answer[2] = 0x81;
	answer[3] = 0x83;
	ck_assert_int_eq(says("hello"), TXT_ABSENT);
	answer[3] = 0x82;
	ck_assert_int_eq(says("hello"), TXT_REFUSED);
	answer[3] = 0x80;
	answer[query_len - 6] ^= 1;
	ck_assert_int_eq(says("hello"), TXT_BROKEN);
}
END_TEST

START_TEST(names_and_resolvers_that_are_none_are_refused)
{
	static const char *const bad[] = { "", ".", "a..b", "a b", "a.",
		"0123456789012345678901234567890123456789012345678901234567890"
		"123.x" };
	static const char *const good[] = { "192.0.2.1", "192.0.2.1:53",
		"2001:db8::1", "[2001:db8::1]:5353", "[::1]" };
	static const char *const wrong[] = { "resolver", "192.0.2.1:0",
		"192.0.2.1:x", "[::1", "[::1]53", "::1]:53", "" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(txt_write(query, &query_len, bad[i], 1) != 0,
		    "%s", bad[i]);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_msg(txt_server_is_one(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(!txt_server_is_one(wrong[i]), "%s", wrong[i]);
}
END_TEST

Suite *
suite(void)
{
	Suite *out = suite_create("txt");
	TCase *tc = tcase_create("txt");

	tcase_add_test(tc, a_text_is_found_among_others_and_in_pieces);
	tcase_add_test(tc, what_is_cut_anywhere_is_broken_or_absent);
	tcase_add_test(tc, an_answer_is_to_our_question);
	tcase_add_test(tc, names_and_resolvers_that_are_none_are_refused);
	suite_add_tcase(out, tc);
	return out;
}
