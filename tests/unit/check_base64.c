/* The fast base64url against libsodium's, and that it is as strict. */
#include "shared/base/text.h"
#include "shared/record/base64.h"
#include "tests/unit/suite.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define LEN_MAX ((size_t)200)

START_TEST(every_length_agrees_with_libsodium)
{
	for (size_t len = 0; len <= LEN_MAX; len++) {
		/* Exactly so long: the sanitizer sees a step too far. */
		uint8_t *data = malloc(len > 0 ? len : 1);
		size_t text_len = TEXT_BASE64_SIZE(len) - 1;
		char *text = malloc(text_len > 0 ? text_len : 1);
		char expected[TEXT_BASE64_SIZE(LEN_MAX)];
		uint8_t *back = malloc(len > 0 ? len : 1);

		ck_assert(data != NULL && text != NULL && back != NULL);
		for (int round = 0; round < 20; round++) {
			randombytes_buf(data, len);
			text_to_base64(expected, data, len);
			ck_assert_uint_eq(base64_write(text, data, len),
			    text_len);
			if (text_len > 0)
				ck_assert_mem_eq(text, expected, text_len);
			ck_assert_uint_eq(base64_size(text_len), len);
			ck_assert(base64_read(back, text, text_len));
			if (len > 0)
				ck_assert_mem_eq(back, data, len);
		}
		free(data);
		free(text);
		free(back);
	}
}
END_TEST

START_TEST(every_digit_stands_for_itself_at_every_place)
{
	uint8_t data[48];
	char text[64];
	char expected[TEXT_BASE64_SIZE(48)];

	for (unsigned int value = 0; value < 256; value++) {
		memset(data, (int)value, sizeof(data));
		for (size_t i = 0; i < sizeof(data); i += 5)
			data[i] = (uint8_t)~value;
		text_to_base64(expected, data, sizeof(data));
		base64_write(text, data, sizeof(data));
		ck_assert_mem_eq(text, expected, sizeof(text));
	}
}
END_TEST

/* Texts of up to three characters, and one wrong byte anywhere in a longer
 * one: taken exactly when libsodium takes them. */
START_TEST(it_is_as_strict_as_libsodium)
{
	uint8_t ours[64];
	uint8_t theirs[64];
	char text[32];
	size_t len;

	for (unsigned int code = 0; code < 1U << 24; code += 61) {
		size_t n = 1 + code % 3;

		text[0] = (char)(code & 0xff);
		text[1] = (char)(code >> 8 & 0xff);
		text[2] = (char)(code >> 16 & 0xff);
		bool taken = text_from_base64(theirs, sizeof(theirs), &len,
				 text, n) == 0;

		ck_assert_int_eq(base64_read(ours, text, n), taken);
		if (taken)
			ck_assert_mem_eq(ours, theirs, base64_size(n));
	}
	memset(text, 'A', sizeof(text));
	for (size_t at = 0; at < 22; at++) {
		for (unsigned int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			bool taken = text_from_base64(theirs, sizeof(theirs),
					 &len, text, 22) == 0;

			ck_assert_int_eq(base64_read(ours, text, 22), taken);
		}
		text[at] = 'A';
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("base64");
	TCase *t = tcase_create("base64");

	tcase_add_test(t, every_length_agrees_with_libsodium);
	tcase_add_test(t, every_digit_stands_for_itself_at_every_place);
	tcase_add_test(t, it_is_as_strict_as_libsodium);
	suite_add_tcase(s, t);
	return s;
}
