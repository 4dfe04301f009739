/* Passwords: the rule, Argon2id, decoys, codes for people. */
#include "appliance/ledger/password.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *
fault(const char *text)
{
	return password_fault(text, strlen(text), "alice");
}

START_TEST(long_words_are_taken)
{
	ck_assert_ptr_null(fault("plain green bottle hill"));
	ck_assert_ptr_null(fault("Zx9!fuUq0-ab"));
	ck_assert_ptr_null(fault("übergroßeäpfel"));
}
END_TEST

START_TEST(length_is_counted_in_characters_and_bounded_in_bytes)
{
	char text[140];

	memset(text, 0, sizeof(text));
	for (size_t i = 0; i < 129; i++)
		text[i] = "kqzv"[i % 4];
	ck_assert_ptr_nonnull(password_fault(text, 129, ""));
	ck_assert_ptr_null(password_fault(text, 128, ""));
	ck_assert_ptr_null(password_fault(text, 12, ""));
	ck_assert_ptr_nonnull(password_fault(text, 11, ""));
	/* Twelve bytes, six characters. */
	ck_assert_ptr_nonnull(fault("äöüßéè"));
}
END_TEST

START_TEST(what_anybody_would_try_first_is_refused)
{
	static const char *const texts[] = { "passwordpassword",
		"Password12345", "PASSWORD2026!", "123456789012",
		"210987654321", "aaaaaaaaaaaaaaaa", "abcdefghijkl",
		"qwertyuiopas", "changeme2026", "Administrator1",
		"correcthorsebatterystaple", "000000000000" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(fault(texts[i]) != NULL, "%s", texts[i]);
}
END_TEST

START_TEST(login_and_control_characters_are_refused)
{
	ck_assert_ptr_nonnull(fault("my-ALICE-bottle-hill"));
	ck_assert_ptr_nonnull(fault("green\tbottle\thill"));
	ck_assert_ptr_nonnull(fault("green bottle \xff hill"));
	ck_assert_ptr_nonnull(password_fault("green\0bottle hill", 17, ""));
}
END_TEST

START_TEST(hash_knows_its_password_and_no_other)
{
	char hash[PASSWORD_HASH_TEXT], again[PASSWORD_HASH_TEXT];
	char nothing[PASSWORD_HASH_TEXT] = "";

	ck_assert_int_eq(password_hash(hash, "green bottle", 12,
			     PASSWORD_INTERACTIVE),
	    0);
	ck_assert_int_eq(password_hash(again, "green bottle", 12,
			     PASSWORD_INTERACTIVE),
	    0);
	ck_assert_int_eq(strncmp(hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31),
	    0);
	ck_assert_str_ne(hash, again);
	ck_assert_int_eq(password_check(hash, "green bottle", 12), 0);
	ck_assert_int_eq(password_check(hash, "green bottlf", 12),
	    ERR_UNAUTHENTICATED);
	ck_assert_int_eq(password_check(hash, "", 0), ERR_UNAUTHENTICATED);
	ck_assert_int_eq(password_check(nothing, "", 0), ERR_UNAUTHENTICATED);
}
END_TEST

START_TEST(default_costs_a_quarter_of_a_gibibyte)
{
	char hash[PASSWORD_HASH_TEXT];

	ck_assert_int_eq(password_hash(hash, "green bottle", 12, 0), 0);
	ck_assert_int_eq(strncmp(hash, "$argon2id$v=19$m=262144,t=3,p=1$", 32),
	    0);
}
END_TEST

static double
time_check(const char *hash)
{
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	ck_assert_int_eq(password_check(hash, "a wrong password", 16),
	    ERR_UNAUTHENTICATED);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (double)(b.tv_sec - a.tv_sec) +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

START_TEST(decoy_costs_what_a_hash_costs)
{
	char hash[PASSWORD_HASH_TEXT], decoy[PASSWORD_HASH_TEXT];
	double of_hash = 1e9, of_decoy = 1e9;

	ck_assert_int_eq(password_hash(hash, "green bottle", 12,
			     PASSWORD_INTERACTIVE),
	    0);
	password_decoy(decoy, PASSWORD_INTERACTIVE);
	ck_assert_uint_eq(strlen(decoy), strlen(hash));
	for (int i = 0; i < 5; i++) {
		double a = time_check(hash), b = time_check(decoy);

		of_hash = a < of_hash ? a : of_hash;
		of_decoy = b < of_decoy ? b : of_decoy;
	}
	ck_assert_msg(of_decoy > of_hash * 0.7 && of_decoy < of_hash * 1.4,
	    "hash %.3f s, decoy %.3f s", of_hash, of_decoy);
}
END_TEST

START_TEST(codes_are_read_as_people_type_them)
{
	char code[PASSWORD_ONE_TIME_TEXT], plain[26], same[26], typed[64];

	password_make_code(code, PASSWORD_ONE_TIME_LETTERS);
	ck_assert_uint_eq(strlen(code), PASSWORD_ONE_TIME_TEXT - 1);
	ck_assert_ptr_null(password_fault(code, strlen(code), ""));
	ck_assert(password_plain_code(plain, 25, code));
	snprintf(typed, sizeof(typed), " %s ", code);
	for (char *p = typed; *p != '\0'; p++)
		*p = *p == '-'    ? ' '
		    : *p == '0'   ? 'O'
		    : *p == '1'   ? 'l'
		    : (*p >= 'a') ? (char)(*p - 32)
				  : *p;
	ck_assert(password_plain_code(same, 25, typed));
	ck_assert_str_eq(plain, same);
	ck_assert(!password_plain_code(same, 15, code));
	ck_assert(!password_plain_code(same, 25, "short"));
	ck_assert(!password_plain_code(same, 25, "u!"));
	ck_assert(!password_plain_code(same, 25, ""));
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("password");
	TCase *tcase = tcase_create("password");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, long_words_are_taken);
	tcase_add_test(tcase,
	    length_is_counted_in_characters_and_bounded_in_bytes);
	tcase_add_test(tcase, what_anybody_would_try_first_is_refused);
	tcase_add_test(tcase, login_and_control_characters_are_refused);
	tcase_add_test(tcase, hash_knows_its_password_and_no_other);
	tcase_add_test(tcase, default_costs_a_quarter_of_a_gibibyte);
	tcase_add_test(tcase, decoy_costs_what_a_hash_costs);
	tcase_add_test(tcase, codes_are_read_as_people_type_them);
	suite_add_tcase(suite, tcase);
	return suite;
}
