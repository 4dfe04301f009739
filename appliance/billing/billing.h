/*
 * Statements: what a customer owes a vendor for a span of days, from the terms
 * of his licenses and the rollups of what was used (DESIGN 12). Pure functions:
 * the same input gives the same statement, and the same statement the same
 * bytes, at the site and at the hub. So nothing here depends on the side, on
 * the time of making, or on a number that one side alone has. Parties are named
 * as the license names them (license_customer), and which terms held on a day
 * follows from the documents themselves, not from when they were installed.
 *
 * It must not know LMDB, clocks, requests, customers' mail or where bytes go.
 *
 * Rules, in words (tests/system/reference_bill.py is written from these):
 *
 * Days. A day is a UTC day. A period is whole days, both ends included. Months
 * are those of the calendar.
 *
 * Which terms hold. The serials of one license are in force one after the other:
 * the lowest known from the first day of its contract; each higher one from the
 * day it was issued or its contract's first day, whichever is later. A serial
 * ends the day before any higher one begins, on its contract's last day, or on
 * the day of a cancellation, whichever is first. Serials that so have no day
 * are never in force. A day with no serial in force costs no fee. A suspended
 * day costs what it costs otherwise.
 *
 * Money is in minor units; every rounding is half to even, and is made once, on
 * an exact fraction.
 *
 * Commit fee (commit_overage, hybrid, revenue_share): the month's fee divided by
 * its days, for each day that the serial is in force. Rounding is on the running
 * sum since the month's first day: the line of a span is R(sum to its end) -
 * R(sum to its start). So a month of one fee is exactly that fee, however it is
 * cut into serials or statements.
 *
 * Subscription (subscription, hybrid): the cycle `monthly` is the calendar
 * month, as the commit fee. `annual` falls due in advance, in whole, on the
 * contract's first day and each anniversary of it (29 February: on the 28th in
 * common years) at the fee of the serial in force that day; a last cycle cut by
 * the contract's end costs fee x days / days of the cycle.
 *
 * Overage: the count that the rows number, per serial and feature, times the
 * price of that serial. Models subscription and revenue_share do not charge it:
 * the line is there, at a price of 0.
 *
 * Metrics (per_use, hybrid): per calendar month, or the part of it that is in
 * the period. Counters: in the order of serials; what a serial includes is used
 * up first by what came under earlier serials of that month; what is above is
 * charged in started units. Gauges: once a month, by the highest value of all
 * serials (of one that was not in force in the span, only when it was reported
 * within it), at the prices of the highest serial that was in force in the span
 * and prices it, or if none did, of the highest one that has a value and prices
 * it. `included` is not prorated. A metric is what its highest serial has it as.
 *
 * Revenue share: share_metric likewise, times share_ppm / 1,000,000.
 *
 * Lines of a license stand by kind (as here), first day, serial, feature and
 * metric.
 *
 * Credits, in their order, lower the sum of all lines, to zero at most; what is
 * left of them is `credit_left` and not paid out. Taxes: lines are grouped by
 * their serial's list of taxes; credits lower the groups in proportion to their
 * sums (running sums again, in order of first appearance); each name and rate is
 * one tax line, on the sum of its groups.
 *
 * Bounds: an amount above 2^53 - 1 minor units is refused, as are an unknown
 * currency, and usage under a serial or feature whose terms are not given: a
 * statement is whole, or there is none.
 */
#ifndef APPLIANCE_BILLING_BILLING_H
#define APPLIANCE_BILLING_BILLING_H

#include "appliance/metering/metering.h"
#include "shared/license/license.h"

#define BILLING_DAYS_MAX 366
#define BILLING_LINES_MAX 8192
#define BILLING_CREDITS_MAX 256
/** Licenses in one statement, and serials of one license. */
#define BILLING_LICENSES_MAX 256
#define BILLING_SERIALS_MAX 128
#define BILLING_TEXT_MAX 256
#define BILLING_PERIOD_SIZE 24

/** Days since 1970, both included. */
struct billing_period {
	int32_t first, last;
};

/** "2026-11", or "2026-11-03/2026-11-20". 0 or ERR_BAD_REQUEST: malformed, no
 * real day, ends before it begins, or more than BILLING_DAYS_MAX. */
int billing_period_read(struct billing_period *period, const char *text,
    size_t len);
int billing_period_check(const struct billing_period *period);
/** "2026-11" of a whole month, else both days. */
void billing_period_format(char out[BILLING_PERIOD_SIZE],
    const struct billing_period *period);
/** As metering asks: start of the first day, end of the last, ms. */
void billing_period_ms(int64_t *from, int64_t *to,
    const struct billing_period *period);

/** One serial of a license. */
struct billing_version {
	const struct license *license; /* borrowed */
	/** Days it is in force, both included; last < first: none. */
	int32_t first, last;
};

/**
 * Sort the serials of one license and say when each was in force, by the rule
 * above. `cancelled`: the last day, INT32_MAX: never. Serials must differ and
 * be of one license, else ERR_BAD_REQUEST.
 */
int billing_versions_arrange(struct billing_version *versions, size_t n,
    int32_t cancelled);

/** All serials of one license, in order. */
struct billing_license {
	const struct billing_version *versions;
	size_t n_versions;
};

/** Something that the vendor owes the customer. */
struct billing_credit {
	char id[64]; /* "CN-2026-0007" */
	char description[BILLING_TEXT_MAX];
	int64_t amount; /* minor units, above 0 */
	char currency[4];
};

/**
 * What was used. Same meaning as metering_read(): scopes METERING_PRICED (step
 * METERING_WHOLE) and METERING_METRIC (step METERING_MONTH) are asked, for one
 * license, the period as from and to. billing_source_metering() is one.
 */
struct billing_source {
	int (*read)(void *ctx, const struct metering_question *question,
	    int (*each)(void *each_ctx, const struct metering_rollup *rollup),
	    void *each_ctx);
	void *ctx;
};
/** Of a projection. */
struct billing_source billing_source_metering(struct metering *metering);

struct billing_input {
	struct billing_period period;
	/** At least one; all of one vendor and one tenant, in one currency.
	 * In order of license ids. */
	const struct billing_license *licenses;
	size_t n_licenses;
	const struct billing_credit *credits;
	size_t n_credits;
	struct billing_source source;
};

/* --- a statement ------------------------------------------------------------ */

enum billing_kind {
	BILLING_COMMIT_FEE,
	BILLING_SUBSCRIPTION,
	BILLING_OVERAGE,
	BILLING_USAGE,
	BILLING_SHARE,
};

struct billing_line {
	enum billing_kind kind;
	uint64_t serial; /* of the license */
	char feature[64]; /* of overage; "": the product itself */
	char metric[64]; /* of usage and share */
	char description[BILLING_TEXT_MAX]; /* English, for people */
	/** The days that it is for. */
	int32_t first, last;
	/** What is counted: seats over commit, started units, cycles (1); of a
	 * prorated fee 1. */
	uint64_t quantity;
	/** quantity x unit_price = amount, but for a share. A prorated fee's is
	 * its amount. */
	int64_t unit_price;
	int64_t amount;
	/** Of a prorated fee: `days` of `of_days`; else 0. */
	uint32_t days, of_days;
	uint64_t overage_first, overage_last; /* numbers of the rows */
	uint64_t used; /* of a metric, before what is included */
	uint64_t included; /* of it, without charge */
	uint32_t share_ppm;
	uint32_t taxes; /* group, an index */
};

/** The part of one license. */
struct billing_section {
	char license_id[64];
	struct license_product product; /* of the newest serial in the period */
	uint32_t first_line, n_lines; /* side by side in the statement */
	uint64_t overage; /* checkouts */
	int64_t overage_cost;
	int64_t commit_fee;
	int64_t total; /* of all its lines */
};

struct billing_credit_line {
	char id[64];
	char description[BILLING_TEXT_MAX];
	int64_t amount; /* of it; above 0 */
	int64_t applied;
};

struct billing_tax_line {
	char name[64];
	uint32_t rate_ppm;
	int64_t base;
	int64_t amount;
};

/** Lists live in the arena. */
struct statement {
	struct billing_period period;
	struct license_vendor vendor;
	struct license_customer customer; /* name never "" */
	char tenant[64];
	char currency[4];
	const struct billing_section *sections;
	size_t n_sections;
	const struct billing_line *lines;
	size_t n_lines;
	const struct billing_credit_line *credits;
	size_t n_credits;
	const struct billing_tax_line *taxes;
	size_t n_taxes;
	int64_t sum; /* of the lines */
	int64_t credited; /* of the credits, applied */
	int64_t credit_left;
	int64_t net; /* sum - credited */
	int64_t tax;
	int64_t total; /* net + tax */
};

/**
 * Make a statement. A license without a day in the period and without usage has
 * no section.
 * @retval ERR_BAD_REQUEST  Parties or currencies differ, a currency is unknown,
 *                          bounds; `error` says which.
 * @retval ERR_MISMATCH     Usage under a serial, feature or price that was not
 *                          given; `error` names it.
 * @retval ERR_TOO_LARGE    An amount does not fit, or too many lines.
 * @retval ERR_NOMEM        Or what the source returned.
 * The statement is zeroed on error.
 */
int billing_make(struct statement *statement, const struct billing_input *input,
    struct arena *arena, struct record_error *error);

/* --- its forms: each appends bytes; see buf->failed at the end --------------- */

/** Bounded text of a price with its currency's decimals: "500.00". */
#define BILLING_MONEY_SIZE 32

/** Everything, as one JSON object. */
void billing_write_json(struct buf *out, const struct statement *statement);
/** For a terminal: columns of characters, no control characters. */
void billing_write_text(struct buf *out, const struct statement *statement);
/** What goes to an invoicing webhook (REQUIREMENTS A): one line a line of the
 * statement; credits and taxes are lines too, so that the lines add up to the
 * total. */
void billing_write_invoice(struct buf *out, const struct statement *statement);

/** One row of the overage export: one license of one customer. */
struct billing_overage {
	struct license_customer customer;
	char tenant[64];
	char license_id[64];
	struct license_product product;
	struct billing_period period;
	char currency[4];
	uint64_t checkouts;
	int64_t cost;
	int64_t commit_fee;
	int64_t total; /* of its lines, without credits and taxes */
};
/** Of each section. Returns how many there are; out may be NULL. */
size_t billing_overage_rows(struct billing_overage *out, size_t size,
    const struct statement *statement);

/**
 * RFC 4180 (CRLF): the columns of REQUIREMENTS A, one record a row. A text that
 * a spreadsheet would take for a formula (it begins with = + - @, tab or CR, also
 * in their full-width forms) gets an apostrophe in front, within quotes. What
 * has a quote, comma, CR or LF, or a space at an end, is quoted.
 */
void billing_write_csv(struct buf *out, const struct billing_overage *rows,
    size_t n);
/* --- PDF: pdf.c, libharu ------------------------------------------------------ */

/** Files of the font; NULL: DejaVu Sans of Debian's fonts-dejavu-core. */
struct billing_fonts {
	const char *regular;
	const char *bold;
};
#define BILLING_PAGES_MAX 500
/** A4 pages. The same statement and the same font files give the same bytes.
 * For a helper thread: it reads the font files, and takes tens of ms and some
 * MB. Names in scripts that the font has no letters for show boxes.
 * ERR_TOO_LARGE: more than BILLING_PAGES_MAX pages; ERR_NOT_FOUND: a font is
 * missing (logged). */
int billing_write_pdf(struct buf *out, const struct statement *statement,
    const struct billing_fonts *fonts);
/* --- the overage export, row by row: export.c, pdf_list.c ------------------- */

enum billing_export_form {
	BILLING_EXPORT_CSV,
	BILLING_EXPORT_JSON, /* of REQUIREMENTS A */
	BILLING_EXPORT_PDF, /* a list */
};
/** Of `head`, at most. */
#define BILLING_EXPORT_HEAD_MAX 1024
struct billing_list;
/** One that is being written; its memory does not grow with the rows, but that
 * of a PDF, which has BILLING_PAGES_MAX pages at most. */
struct billing_export {
	enum billing_export_form form;
	struct license_vendor vendor;
	struct billing_period period;
	struct billing_overage last;
	uint64_t n;
	int64_t revenue;
	struct billing_list *list;
};
/** To be released in any case. `fonts` as of billing_write_pdf(). */
int billing_export_begin(struct billing_export *export,
    enum billing_export_form form, const struct license_vendor *vendor,
    const struct billing_period *period, const struct billing_fonts *fonts);
/**
 * Append a row's bytes. Rows must be in order of customers (those of one side by
 * side).
 * @retval ERR_BAD_REQUEST  JSON of several currencies, which one total cannot
 *                          add.
 * @retval ERR_TOO_LARGE    The total does not fit, or too many pages.
 */
int billing_export_row(struct billing_export *export, struct buf *out,
    const struct billing_overage *row);
/** Append what comes behind all rows to `out`, and to `head` what stands before
 * the first one: it tells the total. */
int billing_export_end(struct billing_export *export, struct buf *head,
    struct buf *out);
void billing_export_release(struct billing_export *export);

/** All of it at once. */
int billing_write_overage(struct buf *out, enum billing_export_form form,
    const struct license_vendor *vendor, const struct billing_period *period,
    const struct billing_overage *rows, size_t n,
    const struct billing_fonts *fonts);

#endif
