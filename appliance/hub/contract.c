/* When a contract goes on by itself, and until when; see hub.h. */
#include "appliance/hub/hub.h"

#include <time.h>

#define DAY_MS INT64_C(86400000)
#define DAY_S ((time_t)86400)

bool
hub_is_to_renew(const struct hub_order *order, int64_t now_ms)
{
	int64_t end = ((int64_t)order->contract.end_date + 1) * DAY_MS;

	return order->contract.auto_renew && order->serial > 0 &&
	    order->state == HUB_ISSUED && now_ms < end &&
	    now_ms >= end - HUB_RENEW_DAYS * DAY_MS;
}

static struct tm
date_of(int32_t day)
{
	time_t t = (time_t)day * DAY_S;
	struct tm out;

	gmtime_r(&t, &out);
	return out;
}

/* Months from the first day to the day after the last, rounded up; at least
 * one. */
static int
months_of(const struct license_contract *contract)
{
	struct tm from = date_of(contract->start_date);
	struct tm to = date_of(contract->end_date + 1);
	int months = (to.tm_year - from.tm_year) * 12 + to.tm_mon - from.tm_mon;

	if (to.tm_mday > from.tm_mday)
		months++;
	return months > 0 ? months : 1;
}

static int
days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month] + (month == 1 && leap);
}

/* So many whole months after the first day, which are as many as before: a
 * contract of 2024-01-31 to 2024-02-28 does not creep to the month's start. */
int32_t
hub_next_end(const struct license_contract *first,
    const struct license_contract *now)
{
	const int step = months_of(first);
	struct tm start = date_of(first->start_date);
	int months = months_of(now) + step;
	int month = start.tm_mon + months;
	int year = start.tm_year + 1900 + month / 12;

	month %= 12;
	int most = days_in(year, month);
	struct tm at = {
		.tm_year = year - 1900,
		.tm_mon = month,
		.tm_mday = start.tm_mday < most ? start.tm_mday : most,
	};
	int32_t end = (int32_t)(timegm(&at) / DAY_S) - 1;

	/* Whatever the calendar says, it goes on. */
	return end > now->end_date ? end : now->end_date + 1;
}
