/* Clocks and RFC 3339; see clock.h. The calendar is proleptic Gregorian,
 * counted in days so that no time zone of the machine gets in. */
#include "shared/base/clock.h"

#include "shared/base/err.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)
/* 9999-12-31, the last day that four digits of a year can name. */
#define LAST_DAY 2932896

static int64_t
clock_us(clockid_t id)
{
	struct timespec now;

	/* Cannot fail for clocks every Linux has. */
	if (clock_gettime(id, &now) != 0)
		return 0;
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_boottime_ms(void)
{
	return clock_us(CLOCK_BOOTTIME) / 1000;
}

int64_t
clock_boottime_us(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

int64_t
clock_wall_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of January of a year from 1970 on. */
static int32_t
days_before_year(int year)
{
	int y = year - 1;

	return (int32_t)(year - 1970) * 365 + (y / 4 - y / 100 + y / 400) -
	    (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static void
date_from_days(int *year, int *month, int *day, int32_t days)
{
	/* A year has at most 366 days: start low, step up. */
	int y = 1970 + days / 366;

	while (days_before_year(y + 1) <= days)
		y++;
	days -= days_before_year(y);
	int m = 1;

	while (days >= month_days(y, m))
		days -= month_days(y, m++);
	*year = y;
	*month = m;
	*day = days + 1;
}

void
clock_format(char out[CLOCK_TEXT_SIZE], int64_t time_ms)
{
	const int64_t last = (int64_t)(LAST_DAY + 1) * DAY_MS - 1;
	int year;
	int month;
	int day;

	if (time_ms < 0)
		time_ms = 0;
	if (time_ms > last)
		time_ms = last;
	date_from_days(&year, &month, &day, (int32_t)(time_ms / DAY_MS));
	int ms = (int)(time_ms % DAY_MS);

	snprintf(out, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	    (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100,
	    (unsigned)(ms / 3600000) % 100, (unsigned)(ms / 60000 % 60),
	    (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
}

void
clock_format_date(char out[CLOCK_TEXT_SIZE], int32_t days)
{
	if (days < 0)
		days = 0;
	if (days > LAST_DAY)
		days = LAST_DAY;
	clock_format(out, (int64_t)days * DAY_MS);
	out[10] = '\0';
}

/* Exactly n digits at *text, which moves behind them; -1 when not. */
static int
take_digits(const char **text, const char *end, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*text)++) {
		if (*text == end || **text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

static bool
take_char(const char **text, const char *end, char c)
{
	if (*text == end || **text != c)
		return false;
	(*text)++;
	return true;
}

static int
take_date(int32_t *days, const char **text, const char *end)
{
	int year = take_digits(text, end, 4);

	if (year < 1970 || !take_char(text, end, '-'))
		return ERR_BAD_REQUEST;
	int month = take_digits(text, end, 2);

	if (month < 1 || month > 12 || !take_char(text, end, '-'))
		return ERR_BAD_REQUEST;
	int day = take_digits(text, end, 2);

	if (day < 1 || day > month_days(year, month))
		return ERR_BAD_REQUEST;
	*days = days_before_year(year) + day - 1;
	for (int m = 1; m < month; m++)
		*days += month_days(year, m);
	return 0;
}

int
clock_parse_date(int32_t *days, const char *text, size_t len)
{
	const char *end = text + len;
	int32_t value;

	if (take_date(&value, &text, end) != 0 || text != end)
		return ERR_BAD_REQUEST;
	*days = value;
	return 0;
}

/* hh:mm:ss and an optional fraction, to ms of the day. */
static int
take_time(int64_t *ms, const char **text, const char *end)
{
	int hour = take_digits(text, end, 2);

	if (hour < 0 || hour > 23 || !take_char(text, end, ':'))
		return ERR_BAD_REQUEST;
	int minute = take_digits(text, end, 2);

	if (minute < 0 || minute > 59 || !take_char(text, end, ':'))
		return ERR_BAD_REQUEST;
	int second = take_digits(text, end, 2);

	/* 60 is a leap second: the instant after it, as POSIX counts. */
	if (second < 0 || second > 60)
		return ERR_BAD_REQUEST;
	*ms = ((int64_t)hour * 60 + minute) * 60000 + (int64_t)second * 1000;
	if (!take_char(text, end, '.'))
		return 0;
	int digits = 0;
	int weight = 100;

	while (*text != end && **text >= '0' && **text <= '9') {
		if (++digits > 9)
			return ERR_BAD_REQUEST;
		*ms += (**text - '0') * weight;
		weight /= 10;
		(*text)++;
	}
	return digits > 0 ? 0 : ERR_BAD_REQUEST;
}

static int
take_offset(int64_t *ms, const char **text, const char *end)
{
	*ms = 0;
	if (take_char(text, end, 'Z') || take_char(text, end, 'z'))
		return 0;
	int sign = 1;

	if (take_char(text, end, '-'))
		sign = -1;
	else if (!take_char(text, end, '+'))
		return ERR_BAD_REQUEST;
	int hour = take_digits(text, end, 2);

	if (hour < 0 || hour > 23 || !take_char(text, end, ':'))
		return ERR_BAD_REQUEST;
	int minute = take_digits(text, end, 2);

	if (minute < 0 || minute > 59)
		return ERR_BAD_REQUEST;
	*ms = sign * ((int64_t)hour * 60 + minute) * 60000;
	return 0;
}

int
clock_parse(int64_t *time_ms, const char *text, size_t len)
{
	const char *end = text + len;
	int32_t days;
	int64_t ms;
	int64_t offset;

	if (take_date(&days, &text, end) != 0)
		return ERR_BAD_REQUEST;
	if (!take_char(&text, end, 'T') && !take_char(&text, end, 't'))
		return ERR_BAD_REQUEST;
	if (take_time(&ms, &text, end) != 0 ||
	    take_offset(&offset, &text, end) != 0 || text != end)
		return ERR_BAD_REQUEST;
	int64_t value = days * DAY_MS + ms - offset;

	if (value < 0 || value >= (LAST_DAY + 1) * DAY_MS)
		return ERR_BAD_REQUEST;
	*time_ms = value;
	return 0;
}
