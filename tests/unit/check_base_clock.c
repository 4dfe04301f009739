/* Clocks and their text form. */
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "tests/unit/suite.h"

#include <string.h>
#include <time.h>

static int64_t
parsed(const char *text)
{
	int64_t ms = -1;

	if (clock_parse(&ms, text, strlen(text)) != 0)
		return -1;
	return ms;
}

static int32_t
parsed_date(const char *text)
{
	int32_t days = -1;

	if (clock_parse_date(&days, text, strlen(text)) != 0)
		return -1;
	return days;
}

START_TEST(times_are_written_as_rfc_3339)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(text, 0);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
	clock_format(text, INT64_C(1795324800123));
	ck_assert_str_eq(text, "2026-11-22T05:20:00.123Z");
	clock_format(text, -1);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
	clock_format(text, INT64_MAX);
	ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
}
END_TEST

START_TEST(times_are_read_with_any_offset)
{
	ck_assert_int_eq(parsed("2026-11-22T05:20:00.123Z"),
	    INT64_C(1795324800123));
	ck_assert_int_eq(parsed("2026-11-22T06:20:00.123999999+01:00"),
	    INT64_C(1795324800123));
	ck_assert_int_eq(parsed("2026-11-21T23:50:00.12-05:30"),
	    INT64_C(1795324800120));
	ck_assert_int_eq(parsed("2016-12-31T23:59:60Z"),
	    INT64_C(1483228800000));
	ck_assert_int_eq(parsed("2026-11-22t05:20:00z"),
	    INT64_C(1795324800000));
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const bad[] = { "", "2026-11-22", "2026-11-22T05:20",
		"2026-11-22T05:20:00", "2026-11-22 05:20:00Z",
		"2026-11-22T24:00:00Z", "2026-11-22T23:60:00Z",
		"2026-11-22T23:00:61Z", "2026-02-29T00:00:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-1-01T00:00:00Z",
		"2026-11-22T05:20:00.Z", "2026-11-22T05:20:00.1234567890Z",
		"2026-11-22T05:20:00Z ", "2026-11-22T05:20:00+1:00",
		"2026-11-22T05:20:00+24:00", "2026-11-22T05:20:00+01",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01", "+026-11-22T05:20:00Z" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parsed(bad[i]) == -1, "took \"%s\"", bad[i]);
	/* Not a byte is read behind the given length. */
	int64_t ms;

	ck_assert_int_eq(clock_parse(&ms, "2026-11-22T05:20:00Z", 19),
	    ERR_BAD_REQUEST);
}
END_TEST

START_TEST(dates_are_real_days)
{
	char text[CLOCK_TEXT_SIZE];

	ck_assert_int_eq(parsed_date("1970-01-01"), 0);
	ck_assert_int_eq(parsed_date("2000-03-01"), 11017);
	ck_assert_int_eq(parsed_date("2024-02-29"), 19782);
	ck_assert_int_eq(parsed_date("2100-02-29"), -1);
	ck_assert_int_eq(parsed_date("2026-04-31"), -1);
	ck_assert_int_eq(parsed_date("2026-04-30 "), -1);
	ck_assert_int_eq(parsed_date("9999-12-31"), 2932896);
	clock_format_date(text, 19782);
	ck_assert_str_eq(text, "2024-02-29");
	clock_format_date(text, -5);
	ck_assert_str_eq(text, "1970-01-01");
	clock_format_date(text, INT32_MAX);
	ck_assert_str_eq(text, "9999-12-31");
}
END_TEST

/* The C library's calendar is the oracle. */
START_TEST(every_day_goes_there_and_back)
{
	for (int32_t day = 0; day <= 2932896; day += 1) {
		char text[CLOCK_TEXT_SIZE];
		char expected[64];
		time_t t = (time_t)day * 86400;
		struct tm tm;

		/* All of the first centuries, then a sample. */
		if (day > 80000 && day % 97 != 0)
			continue;
		clock_format_date(text, day);
		gmtime_r(&t, &tm);
		strftime(expected, sizeof(expected), "%Y-%m-%d", &tm);
		if (strcmp(text, expected) != 0 || parsed_date(text) != day)
			ck_abort_msg("day %d is %s, not %s", day, text,
			    expected);
	}
}
END_TEST

START_TEST(clocks_go_forward)
{
	int64_t us = clock_boottime_us();
	int64_t ms = clock_boottime_ms();

	ck_assert_int_gt(us, 0);
	ck_assert_int_ge(ms, us / 1000);
	ck_assert_int_lt(ms - us / 1000, 1000);
	ck_assert_int_ge(clock_boottime_us(), us);
	ck_assert_int_le(clock_wall_ms() / 1000 - (int64_t)time(NULL), 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("clock");
	TCase *tcase = tcase_create("clock");

	tcase_add_test(tcase, times_are_written_as_rfc_3339);
	tcase_add_test(tcase, times_are_read_with_any_offset);
	tcase_add_test(tcase, what_is_no_time_is_refused);
	tcase_add_test(tcase, dates_are_real_days);
	tcase_add_test(tcase, every_day_goes_there_and_back);
	tcase_add_test(tcase, clocks_go_forward);
	suite_add_tcase(s, tcase);
	return s;
}
