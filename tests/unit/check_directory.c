/* What a login becomes in filters and names of a directory. */
#include "appliance/courier/directory.h"
#include "tests/unit/suite.h"

#include <string.h>

static const char *
filter(const char *login)
{
	static char out[256];

	ck_assert(directory_fill_filter(out, sizeof(out),
	    "(&(objectClass=person)(uid={login}))", login));
	return out;
}

static const char *
name(const char *login)
{
	static char out[256];

	ck_assert(
	    directory_fill_dn(out, sizeof(out), "uid={login},dc=x", login));
	return out;
}

START_TEST(login_in_a_filter_is_a_value_and_nothing_else)
{
	ck_assert_str_eq(filter("olga.ott-1@x_y"),
	    "(&(objectClass=person)(uid=olga.ott-1@x_y))");
	ck_assert_str_eq(filter("*"), "(&(objectClass=person)(uid=\\2a))");
	ck_assert_str_eq(filter("a)(uid=*"),
	    "(&(objectClass=person)(uid=a\\29\\28uid=\\2a))");
	ck_assert_str_eq(filter("a\\2a"),
	    "(&(objectClass=person)(uid=a\\5c2a))");
	ck_assert_str_eq(filter("\xc3\xa4\n\x7f"),
	    "(&(objectClass=person)(uid=\\c3\\a4\\0a\\7f))");
}
END_TEST

START_TEST(login_in_a_name_is_a_value_and_nothing_else)
{
	ck_assert_str_eq(name("olga.ott-1@x_y"), "uid=olga.ott-1@x_y,dc=x");
	ck_assert_str_eq(name("a,dc=y"), "uid=a\\2cdc\\3dy,dc=x");
	ck_assert_str_eq(name("a+cn=b"), "uid=a\\2bcn\\3db,dc=x");
	ck_assert_str_eq(name(" a b "), "uid=\\20a b\\20,dc=x");
	ck_assert_str_eq(name("#a#"), "uid=\\23a#,dc=x");
	ck_assert_str_eq(name("a\"<>;\\"), "uid=a\\22\\3c\\3e\\3b\\5c,dc=x");
	ck_assert_str_eq(name("\xc3\xa4\n"), "uid=\\c3\\a4\\0a,dc=x");
}
END_TEST

START_TEST(mark_is_replaced_wherever_it_stands_and_not_in_the_login)
{
	char out[64];

	ck_assert(directory_fill_filter(out, sizeof(out),
	    "(|(uid={login})(mail={login}@x))", "a"));
	ck_assert_str_eq(out, "(|(uid=a)(mail=a@x))");
	ck_assert(directory_fill_dn(out, sizeof(out), "{login}", "{login}"));
	ck_assert_str_eq(out, "{login}");
	ck_assert(directory_fill_dn(out, sizeof(out), "cn={log", "a"));
	ck_assert_str_eq(out, "cn={log");
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
	char out[16];

	for (size_t n = 1; n < 40; n++) {
		char login[40] = "";

		memset(login, '*', n);
		bool fits =
		    directory_fill_filter(out, sizeof(out), "{login}", login);

		ck_assert_uint_lt(strlen(out), sizeof(out));
		ck_assert(fits == (n * 3 < sizeof(out) - 1));
	}
	ck_assert(!directory_fill_dn(out, sizeof(out), "0123456789abcdef", ""));
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("directory");
	TCase *tcase = tcase_create("directory");

	tcase_add_test(tcase, login_in_a_filter_is_a_value_and_nothing_else);
	tcase_add_test(tcase, login_in_a_name_is_a_value_and_nothing_else);
	tcase_add_test(tcase,
	    mark_is_replaced_wherever_it_stands_and_not_in_the_login);
	tcase_add_test(tcase, what_does_not_fit_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
