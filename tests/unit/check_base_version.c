/* Product versions and the ranges that a license covers. */
#include "shared/base/err.h"
#include "shared/base/version.h"
#include "tests/unit/suite.h"

START_TEST(versions_are_numbers_and_dots)
{
	static const char *const bad[] = { "", ".", "1.", ".1", "1..2", "v1",
		"1.2.3.4.5", "1.2-beta", "1234567890", "1 ", " 1", "-1" };
	struct version a;
	struct version b;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(version_parse(&a, bad[i]), ERR_BAD_REQUEST);
	ck_assert_int_eq(version_parse(&a, "8"), 0);
	ck_assert_int_eq(version_parse(&b, "8.0.0.0"), 0);
	ck_assert_int_eq(version_compare(&a, &b), 0);
	ck_assert_int_eq(version_parse(&b, "8.10"), 0);
	ck_assert_int_eq(version_parse(&a, "8.9.999999999"), 0);
	ck_assert_int_lt(version_compare(&a, &b), 0);
	ck_assert_int_gt(version_compare(&b, &a), 0);
}
END_TEST

START_TEST(ranges_hold_what_their_terms_say)
{
	ck_assert(version_in_range("8.0.0", ">=8.0.0"));
	ck_assert(version_in_range("8.1.3", ">=8.0.0"));
	ck_assert(!version_in_range("7.9.9", ">=8.0.0"));
	ck_assert(version_in_range("8.9", ">=8.0.0 <9.0.0"));
	ck_assert(!version_in_range("9.0.0", ">=8.0.0 <9.0.0"));
	ck_assert(version_in_range("8.2.0", "8.2"));
	ck_assert(version_in_range("8.2", "=8.2.0.0"));
	ck_assert(!version_in_range("8.2.1", "8.2"));
	ck_assert(version_in_range("0.1", "*"));
	ck_assert(version_in_range("9.0", "<=9"));
	ck_assert(!version_in_range("9.0", ">9"));
	ck_assert(!version_in_range("x", "*"));
	ck_assert(!version_in_range("8", "~8"));
}
END_TEST

START_TEST(a_range_is_one_to_eight_terms)
{
	ck_assert(version_range_is_valid("*"));
	ck_assert(version_range_is_valid(">=1 <2 >1 <=3 =1 1 * 9"));
	ck_assert(!version_range_is_valid(">=1 <2 >1 <=3 =1 1 * 9 9"));
	ck_assert(!version_range_is_valid(""));
	ck_assert(!version_range_is_valid(" >=1"));
	ck_assert(!version_range_is_valid(">=1 "));
	ck_assert(!version_range_is_valid(">="));
	ck_assert(!version_range_is_valid(">= 1"));
	ck_assert(!version_range_is_valid("==1"));
	ck_assert(!version_range_is_valid("*1"));
	ck_assert(!version_range_is_valid(">=8.0.0,<9"));
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("version");
	TCase *tcase = tcase_create("version");

	tcase_add_test(tcase, versions_are_numbers_and_dots);
	tcase_add_test(tcase, ranges_hold_what_their_terms_say);
	tcase_add_test(tcase, a_range_is_one_to_eight_terms);
	suite_add_tcase(s, tcase);
	return s;
}
