/* One-time codes: the vectors of RFC 4226 and RFC 6238, windows, reuse. */
#include "appliance/ledger/totp.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>

static const uint8_t secret[] = "12345678901234567890";

/* RFC 6238, appendix B, SHA1: eight digits, of which six are ours. */
START_TEST(codes_are_those_of_rfc_6238)
{
	static const struct {
		uint64_t time;
		uint32_t code;
	} vectors[] = {
		{ 59, 94287082 },
		{ 1111111109, 7081804 },
		{ 1111111111, 14050471 },
		{ 1234567890, 89005924 },
		{ 2000000000, 69279037 },
		{ UINT64_C(20000000000), 65353130 },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		ck_assert_uint_eq(totp_code(secret, 20, vectors[i].time / 30),
		    vectors[i].code % 1000000);
}
END_TEST

/* RFC 4226, appendix D. */
START_TEST(codes_are_those_of_rfc_4226)
{
	static const uint32_t codes[] = { 755224, 287082, 359152, 969429,
		338314, 254676, 287922, 162583, 399871, 520489 };

	for (uint64_t i = 0; i < 10; i++)
		ck_assert_uint_eq(totp_code(secret, 20, i), codes[i]);
}
END_TEST

static int
check(uint64_t *step, uint64_t code_step, int64_t now_step, uint64_t last)
{
	char text[16];

	snprintf(text, sizeof(text), "%06u", totp_code(secret, 20, code_step));
	return totp_check(step, secret, text, now_step * 30000 + 29999, last);
}

START_TEST(code_is_good_for_a_step_on_either_side)
{
	uint64_t step = 0;

	for (int off = -3; off <= 3; off++) {
		int want = off >= -1 && off <= 1 ? 0 : ERR_UNAUTHENTICATED;

		step = 7;
		ck_assert_int_eq(check(&step, (uint64_t)(50000000 + off),
				     50000000, 0),
		    want);
		ck_assert_uint_eq(step,
		    want == 0 ? (uint64_t)(50000000 + off) : 7);
	}
}
END_TEST

START_TEST(code_is_good_once_and_none_before_it_afterwards)
{
	uint64_t step = 0;

	ck_assert_int_eq(check(&step, 1000, 1000, 0), 0);
	ck_assert_int_eq(check(&step, 1000, 1000, step), ERR_UNAUTHENTICATED);
	ck_assert_int_eq(check(&step, 999, 1000, step), ERR_UNAUTHENTICATED);
	ck_assert_int_eq(check(&step, 1001, 1000, step), 0);
	ck_assert_uint_eq(step, 1001);
}
END_TEST

START_TEST(what_is_no_code_is_refused)
{
	static const char *const texts[] = { "", "28708", "2870820", "28708a",
		"-87082", "+287082", "287082\n", "0x2870", "２87082" };
	uint64_t step = 0;

	/* Step 1 is of the second 59. */
	ck_assert_int_eq(totp_check(&step, secret, "287082", 59000, 0), 0);
	ck_assert_int_eq(totp_check(&step, secret, "287 082", 59000, 0), 0);
	ck_assert_int_eq(totp_check(&step, secret, "287082", -1, 0),
	    ERR_UNAUTHENTICATED);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_int_eq(totp_check(&step, secret, texts[i], 59000, 0),
		    ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(uri_is_what_authenticators_read)
{
	char uri[TOTP_URI_TEXT], text[TOTP_SECRET_TEXT];

	totp_secret_text(text, secret);
	ck_assert_str_eq(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	totp_uri(uri, "ACME & Sons", "jo:e@x", secret);
	ck_assert_str_eq(uri,
	    "otpauth://totp/ACME%20%26%20Sons:jo%3Ae%40x"
	    "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	    "&issuer=ACME%20%26%20Sons");
}
END_TEST

START_TEST(long_names_are_cut_and_stay_whole_characters_of_the_uri)
{
	char uri[TOTP_URI_TEXT], name[200];

	memset(name, '%', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	totp_uri(uri, name, name, secret);
	ck_assert_ptr_nonnull(
	    strstr(uri, "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer="));
	ck_assert_uint_eq((strlen(strstr(uri, "&issuer=")) - 8) % 3, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("totp");
	TCase *tcase = tcase_create("totp");

	tcase_add_test(tcase, codes_are_those_of_rfc_6238);
	tcase_add_test(tcase, codes_are_those_of_rfc_4226);
	tcase_add_test(tcase, code_is_good_for_a_step_on_either_side);
	tcase_add_test(tcase, code_is_good_once_and_none_before_it_afterwards);
	tcase_add_test(tcase, what_is_no_code_is_refused);
	tcase_add_test(tcase, uri_is_what_authenticators_read);
	tcase_add_test(tcase,
	    long_names_are_cut_and_stay_whole_characters_of_the_uri);
	suite_add_tcase(suite, tcase);
	return suite;
}
