/*
 * What the files of this room share: days and months, exact fractions, and the
 * statement that is being made. See billing.h for what it all means.
 */
#ifndef APPLIANCE_BILLING_INSIDE_H
#define APPLIANCE_BILLING_INSIDE_H

#include "appliance/billing/billing.h"

#define BILLING_DAY_MS INT64_C(86400000)

__extension__ typedef __int128 billing_wide;

/* --- days.c ------------------------------------------------------------------- */

struct billing_date {
	int32_t year;
	uint32_t month, day; /* from 1 */
};
struct billing_date billing_date_of(int32_t day);
int32_t billing_day_of(struct billing_date date);
/** The calendar month that holds a day. */
struct billing_period billing_month_of(int32_t day);
/** The day of `start` in that year; 29 February is the 28th where it must. */
int32_t billing_anniversary(int32_t start, int32_t year);
/** Days that are in both; last < first: none. */
struct billing_period billing_overlap(const struct billing_period *a,
    const struct billing_period *b);
static inline bool
billing_is_empty(const struct billing_period *period)
{
	return period->last < period->first;
}
static inline uint32_t
billing_days(const struct billing_period *period)
{
	return (uint32_t)(period->last - period->first + 1);
}

/* --- amounts.c ------------------------------------------------------------------ */

/** value / of to the nearest whole number, halves to the even one; value >= 0,
 * of > 0. */
billing_wide billing_round(billing_wide value, billing_wide of);
/** ERR_TOO_LARGE above U53_MAX. */
int billing_narrow(int64_t *out, billing_wide value);
/** a + b, both at least 0. */
int billing_add(int64_t *sum, int64_t b);

/* --- making a statement ----------------------------------------------------------- */

struct making {
	const struct billing_input *input;
	struct statement *statement;
	struct arena *arena;
	struct record_error *error;
	struct billing_line *lines; /* grows */
	size_t n_lines, room;
	struct billing_section *sections;
	/* Of each section: its license. */
	const struct billing_license **of;
	size_t n_sections;
	const struct billing_license *license; /* now */
};

/** Fill in the error; returns err. */
int billing_fail(struct making *making, int err, const char *field,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
/** A zeroed line more; NULL: *err says why. It is valid until the next one. */
struct billing_line *billing_line_add(struct making *making, int *err);
/** NULL: none has this serial. */
const struct billing_version *billing_version_get(const struct billing_license
						      *license,
    uint64_t serial);
/** Of a version: the days. */
struct billing_period billing_force(const struct billing_version *version);
enum license_model billing_model(const struct license *license);

/* Lines of the license that is being made. */
int billing_add_fees(struct making *making); /* fees.c */
int billing_add_overage(struct making *making); /* overage.c */
int billing_add_metrics(struct making *making); /* metrics.c */
/** Credits, taxes and sums, when all lines are there. settle.c */
int billing_settle(struct making *making);

/* --- writing --------------------------------------------------------------------- */

/** "DaVinci Configurator SE", or its id. */
const char *billing_product(const struct license_product *product);
/** A JSON string. */
void billing_put_string(struct buf *out, const char *text);
/** `"key":` with a comma in front unless it is the first of its object. */
void billing_put_key(struct buf *out, const char *key);
void billing_put_text(struct buf *out, const char *key, const char *text);
void billing_put_money(struct buf *out, const char *key, int64_t minor,
    const char *currency);
void billing_put_u64(struct buf *out, const char *key, uint64_t value);
void billing_put_day(struct buf *out, const char *key, int32_t day);
/** 190000 is "19", 75000 is "7.5". */
void billing_percent(char out[16], uint32_t ppm);

/* --- pdf_list.c: the overage export as pages ---------------------------------- */

struct billing_list;
/** Also where it fails there may be a list, to be freed. */
int billing_list_begin(struct billing_list **list,
    const struct license_vendor *vendor, const struct billing_period *period,
    const struct billing_fonts *fonts);
int billing_list_row(struct billing_list *list,
    const struct billing_overage *row);
/** Appends all of it, and frees it. */
int billing_list_end(struct buf *out, struct billing_list *list);
void billing_list_free(struct billing_list *list);

#endif
