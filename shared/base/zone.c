#include "shared/base/zone.h"

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)256 << 10)
#define NAME_MAX_BYTES 63
#define HEAD 44 /* bytes of a header */
#define TIMES_MAX 4096
#define DAY_S 86400
#define OFFSET_MAX_S (26 * 3600) /* RFC 8536 section 3.2: -25 to +26 h */

/* When one of the two times of the year begins (POSIX, "TZ"). */
struct rule {
	char kind; /* 'M', 'J', or 'n': days from 0 */
	int month, week, day; /* 'M'; day also of the others */
	int32_t time; /* s of that day, may be negative */
};

struct footer {
	int32_t standard; /* ahead of UTC, s */
	bool summers; /* it has another time for a part of the year */
	int32_t summer;
	struct rule from, to;
};

struct zone {
	size_t n;
	int64_t *times; /* ascending: from then on, */
	int32_t *offsets; /* this one */
	int32_t first; /* before all of them */
	bool ruled; /* after them the footer says */
	struct footer footer;
};

/* --- the footer ----------------------------------------------------------- */

static bool
read_int(int *out, const char **at, int least, int most)
{
	int value = 0, digits = 0;

	while (**at >= '0' && **at <= '9' && digits < 4) {
		value = value * 10 + (*(*at)++ - '0');
		digits++;
	}
	*out = value;
	return digits > 0 && value >= least && value <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool
read_clock(int32_t *out, const char **at, int hours_max)
{
	int part[3] = { 0, 0, 0 };
	bool minus = **at == '-';

	if (**at == '+' || **at == '-')
		(*at)++;
	if (!read_int(&part[0], at, 0, hours_max))
		return false;
	for (int i = 1; i < 3 && **at == ':'; i++) {
		(*at)++;
		if (!read_int(&part[i], at, 0, 59))
			return false;
	}
	*out = part[0] * 3600 + part[1] * 60 + part[2];
	if (minus)
		*out = -*out;
	return true;
}

static bool
read_name(const char **at)
{
	const char *start = *at;

	if (*start == '<') {
		const char *end = strchr(start, '>');

		if (end == NULL)
			return false;
		*at = end + 1;
		return end - start >= 4;
	}
	while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
		(*at)++;
	return *at - start >= 3;
}

static bool
read_rule(struct rule *rule, const char **at)
{
	*rule = (struct rule){ .kind = 'n', .time = 2 * 3600 };
	if (*(*at)++ != ',')
		return false;
	if (**at == 'M') {
		rule->kind = *(*at)++;
		if (!read_int(&rule->month, at, 1, 12) || *(*at)++ != '.' ||
		    !read_int(&rule->week, at, 1, 5) || *(*at)++ != '.' ||
		    !read_int(&rule->day, at, 0, 6))
			return false;
	} else {
		if (**at == 'J')
			rule->kind = *(*at)++;
		if (!read_int(&rule->day, at, rule->kind == 'J' ? 1 : 0,
			rule->kind == 'J' ? 365 : 365))
			return false;
	}
	if (**at != '/')
		return true;
	(*at)++;
	return read_clock(&rule->time, at, 167);
}

static bool
read_footer(struct footer *out, const char *text)
{
	const char *at = text;
	int32_t west;

	memset(out, 0, sizeof(*out));
	if (!read_name(&at) || !read_clock(&west, &at, 24))
		return false;
	out->standard = -west;
	if (*at == '\0')
		return true;
	if (!read_name(&at))
		return false;
	out->summer = out->standard + 3600;
	out->summers = true;
	if (*at != ',') {
		if (!read_clock(&west, &at, 24))
			return false;
		out->summer = -west;
	}
	return read_rule(&out->from, &at) && read_rule(&out->to, &at) &&
	    *at == '\0';
}

/* --- the calendar --------------------------------------------------------- */

/* Days since 1970 of the first of January; proleptic Gregorian. */
static int64_t
year_begins(int64_t year)
{
	int64_t y = year - 1;
	int64_t leaps = y / 4 - y / 100 + y / 400;

	return y * 365 + leaps - 719162;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t
year_of(int64_t at)
{
	int64_t year = 1970 + at / (366 * (int64_t)DAY_S);

	while (year_begins(year + 1) * DAY_S <= at)
		year++;
	return year;
}

/* The day of the year on which a rule is, from 0. */
static int
rule_day(const struct rule *rule, int64_t year)
{
	static const int days[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273,
		304, 334, 365 };
	bool leap = is_leap(year);

	if (rule->kind == 'n')
		return rule->day;
	if (rule->kind == 'J')
		return rule->day - 1 + (leap && rule->day >= 60);
	int first = days[rule->month - 1] + (leap && rule->month > 2);
	int end = days[rule->month] + (leap && rule->month > 1);
	/* 1970 began on a Thursday, 4 from Sunday on. */
	int weekday = (int)(((year_begins(year) + first) % 7 + 7 + 4) % 7);
	int day = first + (rule->day - weekday + 7) % 7 + (rule->week - 1) * 7;

	return day >= end ? day - 7 : day;
}

static int32_t
footer_offset(const struct footer *footer, int64_t at)
{
	if (!footer->summers)
		return footer->standard;
	int64_t year = year_of(at + footer->standard);
	int64_t begins = year_begins(year) * DAY_S;
	int64_t from = begins + rule_day(&footer->from, year) * (int64_t)DAY_S +
	    footer->from.time - footer->standard;
	int64_t to = begins + rule_day(&footer->to, year) * (int64_t)DAY_S +
	    footer->to.time - footer->summer;
	bool summer = from < to ? at >= from && at < to : at >= from || at < to;

	return summer ? footer->summer : footer->standard;
}

/* --- the file (RFC 8536) -------------------------------------------------- */

struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
};

static bool
read_head(struct counts *out, const uint8_t *data, size_t len)
{
	if (len < HEAD || memcmp(data, "TZif", 4) != 0 || data[4] < '2')
		return false;
	out->isut = be32_read(data + 20);
	out->isstd = be32_read(data + 24);
	out->leap = be32_read(data + 28);
	out->time = be32_read(data + 32);
	out->type = be32_read(data + 36);
	out->chars = be32_read(data + 40);
	return out->time <= TIMES_MAX && out->type >= 1 && out->type <= 256 &&
	    out->chars <= 4096 && out->leap <= 4096 && out->isstd <= 256 &&
	    out->isut <= 256;
}

static size_t
body_size(const struct counts *c, size_t word)
{
	return c->time * (word + 1) + c->type * (size_t)6 + c->chars +
	    c->leap * (word + 4) + c->isstd + c->isut;
}

static int
read_times(struct zone *zone, const struct counts *c, const uint8_t *data)
{
	const uint8_t *index = data + c->time * (size_t)8;
	const uint8_t *types = index + c->time;

	zone->times = calloc(c->time + 1, sizeof(*zone->times));
	zone->offsets = calloc(c->time + 1, sizeof(*zone->offsets));
	if (zone->times == NULL || zone->offsets == NULL)
		return ERR_NOMEM;
	zone->n = c->time;
	zone->first = (int32_t)be32_read(types);
	for (uint32_t i = 0; i < c->time; i++) {
		zone->times[i] = (int64_t)be64_read(data + i * (size_t)8);
		if (index[i] >= c->type ||
		    (i > 0 && zone->times[i] <= zone->times[i - 1]))
			return ERR_CORRUPT;
		zone->offsets[i] =
		    (int32_t)be32_read(types + index[i] * (size_t)6);
	}
	for (uint32_t i = 0; i < c->type; i++) {
		int32_t offset = (int32_t)be32_read(types + i * (size_t)6);

		if (offset < -OFFSET_MAX_S || offset > OFFSET_MAX_S)
			return ERR_CORRUPT;
	}
	return 0;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; empty: the last offset stays. */
static int
read_end(struct zone *zone, const uint8_t *data, size_t len)
{
	char text[128];

	if (len < 2 || data[0] != '\n' || data[len - 1] != '\n' ||
	    len - 2 >= sizeof(text) || memchr(data, '\0', len) != NULL)
		return ERR_CORRUPT;
	memcpy(text, data + 1, len - 2);
	text[len - 2] = '\0';
	if (text[0] == '\0')
		return 0;
	zone->ruled = read_footer(&zone->footer, text);
	return zone->ruled ? 0 : ERR_CORRUPT;
}

static int
fill(struct zone *zone, const uint8_t *data, size_t len)
{
	struct counts old, now;

	if (len > FILE_MAX || !read_head(&old, data, len) ||
	    len - HEAD < body_size(&old, 4))
		return ERR_CORRUPT;
	size_t skip = HEAD + body_size(&old, 4);

	data += skip;
	len -= skip;
	if (!read_head(&now, data, len) || len - HEAD < body_size(&now, 8))
		return ERR_CORRUPT;
	int err = read_times(zone, &now, data + HEAD);

	skip = HEAD + body_size(&now, 8);
	return err != 0 ? err : read_end(zone, data + skip, len - skip);
}

int
zone_read(struct zone **out, const uint8_t *data, size_t len)
{
	struct zone *zone = calloc(1, sizeof(*zone));

	if (zone == NULL)
		return ERR_NOMEM;
	int err = fill(zone, data, len);

	if (err != 0) {
		zone_free(zone);
		return err;
	}
	*out = zone;
	return 0;
}

/* Nothing but names below the folder. */
static bool
is_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 3 && len <= NAME_MAX_BYTES && name[0] != '/' &&
	    name[len - 1] != '/' && strstr(name, "//") == NULL &&
	    strspn(name,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789_+-/") == len;
}

int
zone_open(struct zone **zone, const char *name)
{
	char path[sizeof(ZONE_FOLDER) + NAME_MAX_BYTES + 1];
	uint8_t *data;
	size_t len;

	if (name[0] == '\0' || strcmp(name, "UTC") == 0) {
		*zone = calloc(1, sizeof(**zone));
		return *zone != NULL ? 0 : ERR_NOMEM;
	}
	if (!is_name(name))
		return ERR_BAD_REQUEST;
	snprintf(path, sizeof(path), "%s/%s", ZONE_FOLDER, name);
	int err = file_read(&data, &len, path, FILE_MAX);

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return ERR_NOT_FOUND;
	err = zone_read(zone, data, len);
	free(data);
	return err;
}

void
zone_free(struct zone *zone)
{
	if (zone == NULL)
		return;
	free(zone->times);
	free(zone->offsets);
	free(zone);
}

int32_t
zone_offset(const struct zone *zone, int64_t at)
{
	size_t low = 0, high = zone->n;

	if (zone->n == 0)
		return zone->ruled ? footer_offset(&zone->footer, at)
				   : zone->first;
	if (at < zone->times[0])
		return zone->first;
	if (at >= zone->times[zone->n - 1])
		return zone->ruled ? footer_offset(&zone->footer, at)
				   : zone->offsets[zone->n - 1];
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (zone->times[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return zone->offsets[low];
}
