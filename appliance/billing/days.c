/* Days, months and periods of the Gregorian calendar; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

#define DAYS_400 146097 /* of 400 years */

static bool
is_leap(int32_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint32_t
days_in(int32_t year, uint32_t month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };

	return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from the first of year 0 to the first of that year; year >= 0. */
static int32_t
days_before_year(int32_t year)
{
	int32_t y = year - 1;

	return year <= 0 ? 0 : year * 365 + y / 4 - y / 100 + y / 400 + 1;
}

#define DAYS_TO_1970 719528

int32_t
billing_day_of(struct billing_date date)
{
	int32_t days = days_before_year(date.year) - DAYS_TO_1970;

	for (uint32_t month = 1; month < date.month; month++)
		days += (int32_t)days_in(date.year, month);
	return days + (int32_t)date.day - 1;
}

struct billing_date
billing_date_of(int32_t day)
{
	int32_t left = day + DAYS_TO_1970;
	struct billing_date date = {
		.year = (int32_t)((int64_t)left * 400 / DAYS_400),
		.month = 1,
	};

	/* The guess is off by one at most. */
	while (days_before_year(date.year) > left)
		date.year--;
	while (days_before_year(date.year + 1) <= left)
		date.year++;
	left -= days_before_year(date.year);
	while (left >= (int32_t)days_in(date.year, date.month)) {
		left -= (int32_t)days_in(date.year, date.month);
		date.month++;
	}
	date.day = (uint32_t)left + 1;
	return date;
}

struct billing_period
billing_month_of(int32_t day)
{
	struct billing_date date = billing_date_of(day);
	int32_t first = day - (int32_t)date.day + 1;

	return (struct billing_period){ first,
		first + (int32_t)days_in(date.year, date.month) - 1 };
}

int32_t
billing_anniversary(int32_t start, int32_t year)
{
	struct billing_date date = billing_date_of(start);

	date.year = year;
	if (date.day > days_in(year, date.month))
		date.day = days_in(year, date.month);
	return billing_day_of(date);
}

struct billing_period
billing_overlap(const struct billing_period *a, const struct billing_period *b)
{
	return (struct billing_period){
		a->first > b->first ? a->first : b->first,
		a->last < b->last ? a->last : b->last,
	};
}

/* --- periods ---------------------------------------------------------------- */

int
billing_period_check(const struct billing_period *period)
{
	return period->first < 0 || period->last < period->first ||
		period->last - period->first >= BILLING_DAYS_MAX
	    ? ERR_BAD_REQUEST
	    : 0;
}

int
billing_period_read(struct billing_period *period, const char *text, size_t len)
{
	char day[11];
	int err;

	if (len == 7) {
		memcpy(day, text, 7);
		memcpy(day + 7, "-01", 4);
		err = clock_parse_date(&period->first, day, 10);
		if (err == 0)
			*period = billing_month_of(period->first);
	} else if (len == 21 && text[10] == '/') {
		err = clock_parse_date(&period->first, text, 10);
		if (err == 0)
			err = clock_parse_date(&period->last, text + 11, 10);
	} else {
		err = ERR_BAD_REQUEST;
	}
	return err == 0 ? billing_period_check(period) : err;
}

void
billing_period_format(char out[BILLING_PERIOD_SIZE],
    const struct billing_period *period)
{
	struct billing_period month = billing_month_of(period->first);
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

	clock_format_date(first, period->first);
	clock_format_date(last, period->last);
	if (month.first == period->first && month.last == period->last)
		snprintf(out, BILLING_PERIOD_SIZE, "%.7s", first);
	else
		snprintf(out, BILLING_PERIOD_SIZE, "%.10s/%.10s", first, last);
}

void
billing_period_ms(int64_t *from, int64_t *to,
    const struct billing_period *period)
{
	*from = (int64_t)period->first * BILLING_DAY_MS;
	*to = ((int64_t)period->last + 1) * BILLING_DAY_MS;
}
