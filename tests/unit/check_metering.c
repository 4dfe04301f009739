/* The metering projection: rows against a naive recount, exact across restarts
 * and crashes, months as they are. */
#include "appliance/metering/metering.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOUR METERING_HOUR_MS
#define DAY (24 * HOUR)

static char folder[64];
static struct metering *metering;
static struct metering_txn *txn;
static uint64_t next_row, next_batch;

static void
setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/metering-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 28, true), 0);
	next_row = 1;
	next_batch = 0;
}

static void
teardown(void)
{
	char name[96];

	metering_close(metering);
	snprintf(name, sizeof(name), "%s/data.mdb", folder);
	unlink(name);
	snprintf(name, sizeof(name), "%s/lock.mdb", folder);
	unlink(name);
	rmdir(folder);
}

static void
reopen(void)
{
	metering_close(metering);
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 28, true), 0);
}

static void
begin(void)
{
	ck_assert_int_eq(metering_begin(&txn, metering), 0);
}

static void
tell(struct row row, int64_t time)
{
	static const uint8_t head[32] = { 7 };

	row.number = next_row;
	ck_assert_int_eq(metering_row(txn, &row, time), 0);
	metering_batch(txn, next_batch++, head, next_row++, time);
}

static void
commit(void)
{
	ck_assert_int_eq(metering_commit(txn), 0);
}

static int64_t
at(const char *text)
{
	struct tm tm = { 0 };

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return (int64_t)timegm(&tm) * 1000;
}

/* --- rows ------------------------------------------------------------------- */

static struct row
installed(uint64_t number, const char *id, uint64_t serial)
{
	struct row row = { .kind = ROW_LICENSE_INSTALLED };
	struct row_license_installed *r = &row.u.license_installed;

	r->license = number;
	r->digest[0] = (uint8_t)number;
	r->digest[1] = (uint8_t)serial;
	text_copy(r->document.license_id, sizeof(r->document.license_id), id);
	r->document.serial = serial;
	return row;
}

struct grant {
	uint64_t lease, license, serial, overage;
	uint32_t count, overage_count;
	const char *feature;
	uint8_t user, host;
};

static struct row
granted(struct grant grant, bool borrowed)
{
	struct row row = { .kind =
			       borrowed ? ROW_BORROWED : ROW_LEASE_GRANTED };
	struct row_lease_granted *r =
	    borrowed ? &row.u.borrowed.grant : &row.u.lease_granted;

	r->lease = grant.lease;
	r->license = grant.license;
	r->license_digest[0] = (uint8_t)grant.license;
	r->license_digest[1] = (uint8_t)grant.serial;
	r->count = grant.count;
	r->overage = grant.overage;
	r->overage_count = grant.overage_count;
	text_copy(r->feature, sizeof(r->feature), grant.feature);
	r->user[0] = grant.user;
	r->host[0] = grant.host;
	return row;
}

static struct row
ended(uint64_t lease, bool borrowed)
{
	struct row row = { .kind =
			       borrowed ? ROW_BORROW_ENDED : ROW_LEASE_ENDED };

	if (borrowed)
		row.u.borrow_ended.lease = lease;
	else
		row.u.lease_ended.lease = lease;
	return row;
}

static struct row
denied(uint64_t license, const char *code, uint64_t count, int64_t minute)
{
	struct row row = { .kind = ROW_DENIED };

	row.u.denied.license = license;
	text_copy(row.u.denied.code, sizeof(row.u.denied.code), code);
	row.u.denied.count = count;
	row.u.denied.minute = minute;
	return row;
}

static struct row
tracked(uint64_t license, const char *metric, enum usage_kind kind,
    uint64_t amount)
{
	struct row row = { .kind = ROW_USAGE_TRACKED };

	row.u.usage_tracked.license = license;
	text_copy(row.u.usage_tracked.metric,
	    sizeof(row.u.usage_tracked.metric), metric);
	row.u.usage_tracked.kind = kind;
	row.u.usage_tracked.amount = amount;
	return row;
}

/* --- questions -------------------------------------------------------------- */

#define FOUND_MAX 20000

struct found {
	uint32_t n;
	struct metering_rollup *rollups;
};

static int
collect(void *ctx, const struct metering_rollup *rollup)
{
	struct found *found = ctx;

	ck_assert_uint_lt(found->n, FOUND_MAX);
	found->rollups[found->n++] = *rollup;
	return 0;
}

static struct found all;

static void
ask(struct metering_question question)
{
	if (all.rollups == NULL)
		all.rollups = calloc(FOUND_MAX, sizeof(*all.rollups));
	ck_assert_ptr_nonnull(all.rollups);
	all.n = 0;
	ck_assert_int_eq(metering_read(metering, &question, collect, &all), 0);
}

static struct metering_question
question(enum metering_scope scope, enum metering_step step, int64_t from,
    int64_t to)
{
	return (struct metering_question){ .scope = scope,
		.from = from,
		.to = to,
		.step = step,
		.now = INT64_MIN };
}

/* --- single facts ------------------------------------------------------------- */

START_TEST(a_lease_across_hours_counts_in_each)
{
	int64_t t = at("2026-11-22 10:30");

	begin();
	tell(installed(1, "lic-a", 1), t - HOUR);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 2,
			 .feature = "",
			 .user = 1,
			 .host = 1 },
		 false),
	    t);
	tell(ended(1, false), t + 2 * HOUR);
	commit();
	ask(question(METERING_PRICED, METERING_HOUR, at("2026-11-22 00:00"),
	    at("2026-11-23 00:00")));
	ck_assert_uint_eq(all.n, 3);
	ck_assert_uint_eq(all.rollups[0].seats.checkouts, 1);
	ck_assert_uint_eq(all.rollups[0].seats.seats, 2);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, HOUR);
	ck_assert_uint_eq(all.rollups[1].seats.seat_ms, 2 * HOUR);
	ck_assert_uint_eq(all.rollups[1].seats.peak, 2);
	ck_assert_uint_eq(all.rollups[1].seats.checkouts, 0);
	ck_assert_uint_eq(all.rollups[2].seats.seat_ms, HOUR);
	ck_assert_str_eq(all.rollups[2].line.license, "lic-a");
}
END_TEST

START_TEST(what_is_held_now_is_counted_up_to_now)
{
	int64_t t = at("2026-11-22 10:00");
	struct metering_question now =
	    question(METERING_TENANT, METERING_WHOLE, t, t + DAY);

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    t);
	commit();
	ask(now);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 0);
	now.now = t + 5 * HOUR + 7;
	ask(now);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 5 * HOUR + 7);
	/* The same after it ended as before. */
	begin();
	tell(ended(1, false), t + 5 * HOUR + 7);
	commit();
	ask(now);
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 5 * HOUR + 7);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 1);
}
END_TEST

START_TEST(a_renewal_in_mid_month_makes_two_serials)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");

	begin();
	tell(installed(1, "lic-a", 1), from);
	for (uint64_t i = 1; i <= 10; i++) {
		uint64_t serial = i <= 4 ? 1 : 2;

		if (i == 5)
			tell(installed(1, "lic-a", 2), from + 15 * DAY);
		tell(granted((struct grant){ .lease = i,
				 .license = 1,
				 .serial = serial,
				 .count = 1,
				 .feature = i % 2 == 0 ? "autosar" : "",
				 .overage = i,
				 .overage_count = 1 },
			 false),
		    from + (int64_t)i * 3 * DAY);
	}
	commit();
	struct metering_question q =
	    question(METERING_PRICED, METERING_MONTH, from, to);

	ask(q);
	/* serial 1: "" 1, 3; autosar 2, 4; serial 2: "" 5, 7, 9; autosar 6, 8
	 */
	ck_assert_uint_eq(all.n, 4);
	ck_assert_uint_eq(all.rollups[0].line.serial, 1);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 2);
	ck_assert_uint_eq(all.rollups[0].seats.overage_first, 1);
	ck_assert_uint_eq(all.rollups[0].seats.overage_last, 3);
	ck_assert_str_eq(all.rollups[1].line.feature, "autosar");
	ck_assert_uint_eq(all.rollups[2].line.serial, 2);
	ck_assert_uint_eq(all.rollups[2].seats.overage, 3);
	ck_assert_uint_eq(all.rollups[2].seats.overage_first, 5);
	ck_assert_uint_eq(all.rollups[2].seats.overage_last, 9);
	ck_assert_uint_eq(all.rollups[3].seats.overage, 2);
	/* Both pools, both serials, at once; the tenth is on 1 December. */
	q.scope = METERING_LICENSE;
	ask(q);
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 9);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 9);
}
END_TEST

START_TEST(months_are_utc_and_a_leap_day_is_a_day)
{
	int64_t from = at("2028-02-01 00:00"), to = at("2028-04-01 00:00");

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	begin();
	tell(installed(1, "lic-a", 1), from);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    from);
	tell(ended(1, false), to);
	commit();
	struct metering_question q =
	    question(METERING_TENANT, METERING_MONTH, from, to);

	ask(q);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 29 * DAY);
	ck_assert_int_eq(all.rollups[0].end, at("2028-03-01 00:00"));
	/* In March clocks go forward somewhere; an hour is an hour. */
	ck_assert_uint_eq(all.rollups[1].seats.seat_ms, 31 * DAY);
	q.step = METERING_DAY;
	ask(q);
	ck_assert_uint_eq(all.n, 60);
	for (uint32_t i = 0; i < all.n; i++)
		ck_assert_uint_eq(all.rollups[i].seats.seat_ms, DAY);
	q.step = METERING_HOUR;
	ask(q);
	ck_assert_uint_eq(all.n, 60 * 24);
}
END_TEST

START_TEST(denials_are_told_by_code_in_their_hour)
{
	int64_t t = at("2026-11-22 10:59");

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(denied(1, "no_seats", 3, t), t + 2 * 60000);
	tell(denied(1, "excluded", 1, t), t + 2 * 60000);
	tell(denied(1, "no_seats", 2, t), t + 2 * 60000);
	tell(denied(0, "not_entitled", 5, t), t + 2 * 60000);
	commit();
	ask(question(METERING_LICENSE, METERING_HOUR, 0, t + 61 * 60000));
	ck_assert_uint_eq(all.n, 2);
	ck_assert_str_eq(all.rollups[0].line.license, "");
	ck_assert_uint_eq(all.rollups[0].seats.denials, 5);
	ck_assert_int_eq(all.rollups[1].start, at("2026-11-22 10:00"));
	ck_assert_uint_eq(all.rollups[1].seats.denials, 6);
	ck_assert_uint_eq(all.rollups[1].seats.n_denied, 2);
	ck_assert_str_eq(all.rollups[1].seats.denied[0].code, "excluded");
	ck_assert_str_eq(all.rollups[1].seats.denied[1].code, "no_seats");
	ck_assert_uint_eq(all.rollups[1].seats.denied[1].count, 5);
}
END_TEST

START_TEST(many_codes_end_in_other)
{
	int64_t t = at("2026-11-22 10:00");
	uint64_t sum = 0;

	begin();
	for (unsigned int i = 0; i < 40; i++) {
		char code[32];

		snprintf(code, sizeof(code), "code_%02u", i);
		tell(denied(0, code, i + 1, t), t);
	}
	commit();
	ask(question(METERING_TENANT, METERING_HOUR, t, t + HOUR));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.n_denied, METERING_DENIALS_MAX);
	for (uint32_t i = 0; i < METERING_DENIALS_MAX; i++)
		sum += all.rollups[0].seats.denied[i].count;
	ck_assert_uint_eq(sum, 40 * 41 / 2);
}
END_TEST

START_TEST(a_borrow_given_up_counts_its_overage)
{
	int64_t t = at("2026-11-22 10:00");
	struct row end = ended(1, true);

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 2,
			 .feature = "autosar" },
		 true),
	    t);
	tell(installed(1, "lic-a", 2), t + HOUR);
	end.u.borrow_ended.license = 1;
	end.u.borrow_ended.overage = 17;
	end.u.borrow_ended.overage_count = 2;
	tell(end, t + 3 * HOUR);
	commit();
	ask(question(METERING_PRICED, METERING_WHOLE, t, t + DAY));
	ck_assert_uint_eq(all.n, 1);
	/* At the price that it was lent for. */
	ck_assert_uint_eq(all.rollups[0].line.serial, 1);
	ck_assert_str_eq(all.rollups[0].line.feature, "autosar");
	ck_assert_uint_eq(all.rollups[0].seats.overage, 2);
	ck_assert_uint_eq(all.rollups[0].seats.overage_first, 17);
	ck_assert_uint_eq(all.rollups[0].seats.overage_last, 18);
	ck_assert_uint_eq(all.rollups[0].seats.borrows, 1);
	ck_assert_uint_eq(all.rollups[0].seats.borrow_ms, 6 * HOUR);
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 6 * HOUR);
}
END_TEST

START_TEST(a_clock_that_is_put_right_counts_no_hour_twice)
{
	int64_t t = at("2026-11-22 10:00");

	begin();
	tell(installed(1, "lic-a", 1), t);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    t);
	tell(granted((struct grant){ .lease = 2,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "" },
		 false),
	    t + 5 * HOUR);
	/* It was four hours ahead. */
	tell(ended(2, false), t + HOUR);
	tell(ended(1, false), t + 6 * HOUR);
	commit();
	ask(question(METERING_TENANT, METERING_WHOLE, t, t + DAY));
	ck_assert_uint_eq(all.rollups[0].seats.seat_ms, 6 * HOUR);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 2);
	ck_assert_uint_eq(all.rollups[0].seats.checkouts, 2);
}
END_TEST

/* --- metrics ------------------------------------------------------------------- */

START_TEST(counters_add_up_and_gauges_hold)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct metering_question q =
	    question(METERING_METRIC, METERING_MONTH, from, to);

	begin();
	tell(installed(1, "lic-a", 1), from - DAY);
	tell(tracked(1, "users", USAGE_GAUGE, 80), from - HOUR);
	tell(tracked(1, "api_calls", USAGE_COUNTER, 10), from - 1);
	tell(tracked(1, "api_calls", USAGE_COUNTER, 10), from);
	tell(tracked(1, "api_calls", USAGE_COUNTER, 32), from + 3 * DAY);
	tell(tracked(1, "users", USAGE_GAUGE, 50), from + 4 * DAY);
	commit();
	q.now = to;
	ask(q);
	ck_assert_uint_eq(all.n, 2);
	ck_assert_str_eq(all.rollups[0].line.feature, "api_calls");
	ck_assert_uint_eq(all.rollups[0].metric.sum, 42);
	ck_assert_uint_eq(all.rollups[0].metric.events, 2);
	ck_assert_str_eq(all.rollups[1].line.feature, "users");
	/* 80 were there when the month began. */
	ck_assert_uint_eq(all.rollups[1].metric.max, 80);
	ck_assert_uint_eq(all.rollups[1].metric.last, 50);
	ck_assert_uint_eq(all.rollups[1].metric.events, 1);
	q.feature = "users";
	q.step = METERING_DAY;
	ask(q);
	ck_assert_uint_eq(all.n, 30);
	ck_assert_uint_eq(all.rollups[3].metric.max, 80);
	/* It came into the day with 80. */
	ck_assert_uint_eq(all.rollups[5].metric.max, 50);
	ck_assert_uint_eq(all.rollups[29].metric.last, 50);
}
END_TEST

START_TEST(a_gauge_goes_on_under_the_next_serial)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct metering_question q =
	    question(METERING_METRIC, METERING_HOUR, from, to);

	begin();
	tell(installed(1, "lic-a", 1), from);
	tell(tracked(1, "storage_mb", USAGE_GAUGE, 700), from + HOUR);
	tell(installed(1, "lic-a", 2), from + 10 * HOUR);
	commit();
	q.now = to;
	q.serial = 1;
	ask(q);
	ck_assert_uint_eq(all.n, 10); /* hours 1 to 10 */
	q.serial = 2;
	ask(q);
	ck_assert_uint_eq(all.n, 30 * 24 - 10);
	ck_assert_uint_eq(all.rollups[0].metric.max, 700);
	ck_assert_uint_eq(all.rollups[0].metric.events, 0);
}
END_TEST

/* --- evidence ------------------------------------------------------------------- */

struct evidence {
	uint32_t n;
	uint64_t rows[16], numbers[16];
};

static int
keep_evidence(void *ctx, const struct metering_overage *overage)
{
	struct evidence *evidence = ctx;

	ck_assert_uint_lt(evidence->n, 16);
	evidence->rows[evidence->n] = overage->row;
	evidence->numbers[evidence->n++] = overage->first;
	return 0;
}

START_TEST(overage_leads_to_its_rows)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct evidence evidence = { 0 };

	begin();
	tell(installed(1, "lic-a", 1), from);
	tell(installed(2, "lic-ab", 1), from);
	for (uint64_t i = 1; i <= 6; i++)
		tell(granted((struct grant){ .lease = i,
				 .license = 1 + i % 2,
				 .serial = 1,
				 .count = 1,
				 .feature = "",
				 .overage = i,
				 .overage_count = 1 },
			 false),
		    from + (int64_t)i * 6 * DAY);
	commit();
	ck_assert_int_eq(metering_evidence(metering, "lic-a", 0, NULL, from, to,
			     keep_evidence, &evidence),
	    0);
	/* Leases 2 and 4; the sixth is in December. */
	ck_assert_uint_eq(evidence.n, 2);
	ck_assert_uint_eq(evidence.rows[0], 4);
	ck_assert_uint_eq(evidence.numbers[0], 2);
	ck_assert_uint_eq(evidence.rows[1], 6);
	evidence.n = 0;
	ck_assert_int_eq(metering_evidence(metering, "lic-a", 9, NULL, from, to,
			     keep_evidence, &evidence),
	    0);
	ck_assert_uint_eq(evidence.n, 0);
}
END_TEST

/* --- hubs -------------------------------------------------------------------------- */

static struct row_shown_overage
shown(uint64_t row, int64_t time, uint64_t first, bool billed, bool again)
{
	struct row_shown_overage out = { .license = 1,
		.serial = 2,
		.row = row,
		.time = time,
		.first = first,
		.count = 2,
		.lease = 40 + row,
		.billed = billed,
		.again = again };

	text_copy(out.license_id, sizeof(out.license_id), "lic-a");
	text_copy(out.feature, sizeof(out.feature), "autosar");
	return out;
}

START_TEST(a_hub_counts_what_is_billed_when_it_was_granted)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	struct row_shown_overage items[] = {
		shown(10, to - HOUR, 5, true, false),
		shown(20, to - HOUR, 7, true, true), /* known already */
		shown(30, to - HOUR, 9, false, false), /* not issued to it */
		shown(40, to + HOUR, 11, true, false), /* in December */
		shown(50, from + DAY, 3, true, false), /* from a later file */
	};
	struct row row = { .kind = ROW_REPORT_SHOWN };
	struct evidence evidence = { 0 };

	row.u.report_shown.overage = (struct record_list){ items, 5 };
	begin();
	tell(row, to + 9 * DAY); /* when it came does not matter */
	commit();
	ask(question(METERING_PRICED, METERING_WHOLE, from, to));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_str_eq(all.rollups[0].line.license, "lic-a");
	ck_assert_str_eq(all.rollups[0].line.feature, "autosar");
	ck_assert_uint_eq(all.rollups[0].line.serial, 2);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 4);
	ck_assert_uint_eq(all.rollups[0].seats.overage_first, 3);
	ck_assert_uint_eq(all.rollups[0].seats.overage_last, 6);
	ask(question(METERING_PRICED, METERING_WHOLE, to, to + DAY));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.overage, 2);
	ck_assert_int_eq(metering_evidence(metering, "lic-a", 2, "autosar",
			     from, to, keep_evidence, &evidence),
	    0);
	ck_assert_uint_eq(evidence.n, 2);
	ck_assert_uint_eq(evidence.rows[0], 50);
	ck_assert_uint_eq(evidence.rows[1], 10);
}
END_TEST

/* As the site's report tells what is kept of its hours. */
static struct row
told(struct row_shown_seats *items, const struct metering_rollup *kept,
    uint32_t n, bool issued)
{
	struct row row = { .kind = ROW_REPORT_SEATS };

	for (uint32_t i = 0; i < n; i++) {
		const struct metering_seats *seats = &kept[i].seats;

		items[i] = (struct row_shown_seats){
			.serial = kept[i].line.serial,
			.start = kept[i].start,
			.checkouts = seats->checkouts,
			.seats = seats->seats,
			.borrows = seats->borrows,
			.peak = seats->peak,
			.seat_ms = seats->seat_ms,
			.borrow_ms = seats->borrow_ms,
			.denials = seats->denials,
			/* The same form. */
			.denied = { (void *)(uintptr_t)seats->denied,
			    seats->n_denied },
			.issued = issued,
		};
		text_copy(items[i].license_id, sizeof(items[i].license_id),
		    kept[i].line.license);
		text_copy(items[i].feature, sizeof(items[i].feature),
		    kept[i].line.feature);
	}
	row.u.report_seats.hours = (struct record_list){ items, n };
	return row;
}
_Static_assert(sizeof(struct row_shown_denial) ==
	sizeof(struct metering_denial),
    "denials of a report are those of an hour");

START_TEST(hours_of_a_report_count_once_and_say_the_same)
{
	int64_t from = at("2026-11-01 00:00"), to = at("2026-12-01 00:00");
	static struct metering_rollup kept[2000], month[8];
	static struct row_shown_seats items[2000];
	struct row_shown_overage overage =
	    shown(10, from + HOUR / 2, 5, true, false);
	struct row row = { .kind = ROW_REPORT_SHOWN };
	uint32_t n, n_month;

	begin();
	tell(installed(1, "lic-a", 1), from - 2 * DAY);
	tell(granted((struct grant){ .lease = 1,
			 .license = 1,
			 .serial = 1,
			 .count = 3,
			 .feature = "autosar" },
		 false),
	    from + HOUR / 2);
	tell(installed(1, "lic-a", 2), from + 2 * DAY + 99);
	tell(granted((struct grant){ .lease = 2,
			 .license = 1,
			 .serial = 2,
			 .count = 2,
			 .feature = "autosar" },
		 true),
	    from + 3 * DAY);
	tell(denied(1, "no_seats", 4, from + 3 * DAY), from + 3 * DAY + 9);
	tell(ended(1, false), from + 5 * DAY);
	tell(ended(2, true), from + 6 * DAY);
	commit();
	struct metering_question q =
	    question(METERING_PRICED, METERING_HOUR, from, to);

	ask(q);
	n = all.n;
	memcpy(kept, all.rollups, n * sizeof(kept[0]));
	q.step = METERING_MONTH;
	ask(q);
	n_month = all.n;
	memcpy(month, all.rollups, n_month * sizeof(month[0]));
	/* A denial is of the product, under the serial in force. */
	ck_assert_uint_eq(n_month, 3);
	ck_assert_str_eq(month[1].line.feature, "");
	ck_assert_uint_eq(month[1].seats.denials, 4);
	ck_assert_int_eq(metering_clear(metering), 0);
	/* First a report that knew less of an hour, then all of it, twice; and
	 * what was never issued to that site. */
	begin();
	struct metering_rollup less = kept[0];

	less.seats.checkouts = 99;
	tell(told(items, &less, 1, true), to);
	for (int twice = 0; twice < 2; twice++)
		tell(told(items, kept, n, true), to);
	less.line.serial = 77;
	tell(told(items, &less, 1, false), to);
	commit();
	ask(q);
	ck_assert_uint_eq(all.n, n_month);
	for (uint32_t k = 0; k < all.n; k++)
		ck_assert_mem_eq(&all.rollups[k], &month[k], sizeof(month[0]));
	/* Overage is counted by its own rows, before or after. */
	row.u.report_shown.overage = (struct record_list){ &overage, 1 };
	begin();
	tell(row, to);
	tell(told(items, kept, n, true), to);
	commit();
	ask(question(METERING_PRICED, METERING_WHOLE, from, to));
	uint64_t sum = 0;

	for (uint32_t k = 0; k < all.n; k++)
		sum += all.rollups[k].seats.overage;
	ck_assert_uint_eq(sum, 2);
}
END_TEST

/* --- a naive recount ------------------------------------------------------------------ */

#define STEPS 600
#define LEASES 400

/* A line as a person would count it: changes in their order. */
struct change {
	int64_t time;
	int32_t seats, borrowed;
	struct grant grant;
	bool checkout, is_borrow;
};
static struct change changes[STEPS];
static uint32_t n_changes;

static const char *const ids[] = { "", "lic-a", "lic-b" };
static const char *const features[] = { "", "autosar" };

static bool
is_of(const struct change *change, const struct metering_line *line)
{
	const struct grant *grant = &change->grant;

	if (line->scope == METERING_TENANT)
		return true;
	if (strcmp(line->license, ids[grant->license]) != 0)
		return false;
	if (line->scope == METERING_LICENSE)
		return true;
	if (strcmp(line->feature, grant->feature) != 0)
		return false;
	if (line->scope == METERING_PRICED)
		return line->serial == grant->serial;
	if (line->scope == METERING_USER)
		return line->subject[0] == grant->user;
	if (line->scope == METERING_HOST)
		return line->subject[0] == grant->host;
	return true;
}

static void
recount(struct metering_seats *out, const struct metering_line *line,
    int64_t from, int64_t to, int64_t now)
{
	uint32_t held = 0, borrowed = 0;
	int64_t since = 0;

	*out = (struct metering_seats){ 0 };
	for (uint32_t i = 0; i <= n_changes; i++) {
		const struct change *change = &changes[i];
		int64_t time = i < n_changes ? change->time : now;
		int64_t a = since > from ? since : from;
		int64_t b = time < to ? time : to;

		if (a < b && held > 0) {
			out->seat_ms += held * (uint64_t)(b - a);
			out->borrow_ms += borrowed * (uint64_t)(b - a);
			out->peak = held > out->peak ? held : out->peak;
		}
		since = time;
		if (i == n_changes || !is_of(change, line))
			continue;
		held = (uint32_t)((int32_t)held + change->seats);
		borrowed = (uint32_t)((int32_t)borrowed + change->borrowed);
		if (!change->checkout || time < from || time >= to)
			continue;
		out->checkouts++;
		out->seats += (uint32_t)change->seats;
		out->borrows += change->is_borrow;
		out->overage += change->grant.overage_count;
		out->peak = held > out->peak ? held : out->peak;
	}
}

static uint64_t seed;

static uint32_t
roll(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static uint32_t
compare_scope(enum metering_scope scope, enum metering_step step, int64_t from,
    int64_t to, int64_t now)
{
	struct metering_question q = question(scope, step, from, to);

	q.now = now;
	ask(q);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct metering_rollup *is = &all.rollups[i];
		struct metering_seats want;

		recount(&want, &is->line, is->start, is->end, now);
		ck_assert_uint_eq(is->seats.checkouts, want.checkouts);
		ck_assert_uint_eq(is->seats.seats, want.seats);
		ck_assert_uint_eq(is->seats.borrows, want.borrows);
		ck_assert_uint_eq(is->seats.seat_ms, want.seat_ms);
		ck_assert_uint_eq(is->seats.borrow_ms, want.borrow_ms);
		ck_assert_uint_eq(is->seats.peak, want.peak);
		ck_assert_uint_eq(is->seats.overage, want.overage);
	}
	return all.n;
}

/* Nothing is left out either: all spans together are the whole. */
static void
compare_sum(enum metering_scope scope, int64_t from, int64_t to, int64_t now)
{
	struct metering_line line = { .scope = METERING_TENANT };
	struct metering_question q = question(scope, METERING_HOUR, from, to);
	struct metering_seats want;
	uint64_t ms = 0, checkouts = 0, overage = 0;

	q.now = now;
	ask(q);
	for (uint32_t i = 0; i < all.n; i++) {
		ms += all.rollups[i].seats.seat_ms;
		checkouts += all.rollups[i].seats.checkouts;
		overage += all.rollups[i].seats.overage;
	}
	recount(&want, &line, from, to, now);
	ck_assert_uint_eq(ms, want.seat_ms);
	ck_assert_uint_eq(checkouts, want.checkouts);
	ck_assert_uint_eq(overage, want.overage);
}

struct lease {
	bool held, borrowed;
	uint32_t change;
};

/* One step of the journal; a row, and what a person writes down. */
static struct row
make_row(struct lease leases[LEASES], uint32_t step, int64_t time,
    uint64_t overage[3])
{
	uint32_t number = roll(LEASES);
	struct lease *lease = &leases[number];
	struct change *change = &changes[n_changes];

	if (lease->held) {
		*change = changes[lease->change];
		change->time = time;
		change->seats = -change->seats;
		change->borrowed = -change->borrowed;
		change->checkout = false;
		lease->held = false;
		n_changes++;
		return ended(number + 1, lease->borrowed);
	}
	struct grant grant = { .lease = number + 1,
		.license = 1 + roll(2),
		.serial = step < STEPS / 2 ? 1 + roll(1) : 1 + roll(2),
		.count = 1 + roll(3),
		.feature = features[roll(2)],
		.user = (uint8_t)(1 + roll(5)),
		.host = (uint8_t)(1 + roll(3)) };

	if (roll(3) == 0) {
		grant.overage_count = 1 + roll(grant.count);
		grant.overage = overage[grant.license] + 1;
		overage[grant.license] += grant.overage_count;
	}
	lease->held = true;
	lease->borrowed = roll(4) == 0;
	lease->change = n_changes;
	*change = (struct change){ .time = time,
		.seats = (int32_t)grant.count,
		.borrowed = lease->borrowed ? (int32_t)grant.count : 0,
		.grant = grant,
		.checkout = true,
		.is_borrow = lease->borrowed };
	n_changes++;
	return granted(grant, lease->borrowed);
}

static void
set_out(int64_t time)
{
	begin();
	for (uint64_t license = 1; license <= 2; license++)
		for (uint64_t serial = 1; serial <= 2; serial++)
			tell(installed(license, ids[license], serial), time);
	commit();
}

/* A page that is told again after a crash, a restart: nothing shows. */
START_TEST(rollups_equal_a_naive_recount)
{
	static const enum metering_scope scopes[] = { METERING_TENANT,
		METERING_LICENSE, METERING_FEATURE, METERING_PRICED,
		METERING_USER, METERING_HOST };
	static struct row rows[STEPS];
	static int64_t times[STEPS];
	struct lease leases[LEASES] = { { false } };
	uint64_t overage[3] = { 0 };
	int64_t from = at("2028-02-20 00:00"), time = from;
	uint32_t told = 0;

	seed = 77 + (uint64_t)_i;
	n_changes = 0;
	set_out(from);
	for (uint32_t i = 0; i < STEPS; i++) {
		time += roll(5) == 0 ? 0 : (int64_t)roll(2 * HOUR);
		times[i] = time;
		rows[i] = make_row(leases, i, time, overage);
	}
	while (told < STEPS) {
		uint32_t page = 1 + roll(60), row = (uint32_t)next_row;
		uint32_t batch = (uint32_t)next_batch;
		bool crash = roll(3) == 0;

		begin();
		for (uint32_t i = told; i < STEPS && i < told + page; i++)
			tell(rows[i], times[i]);
		if (crash) {
			metering_abort(txn);
			next_row = row;
			next_batch = batch;
		} else {
			commit();
			told = told + page < STEPS ? told + page : STEPS;
		}
		if (roll(2) == 0)
			reopen();
		struct metering_place place;

		ck_assert_int_eq(metering_place(&place, metering), 0);
		ck_assert_uint_eq(place.row, next_row - 1);
	}
	int64_t now = time + (int64_t)roll(3 * HOUR);
	int64_t to = now - now % DAY + DAY;

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		for (enum metering_step step = METERING_HOUR;
		     step <= METERING_WHOLE; step++)
			ck_assert_uint_gt(compare_scope(scopes[i], step, from,
					      to, now),
			    0);
		compare_sum(scopes[i], from, to, now);
	}
}
END_TEST

/* More lines than are kept at hand. */
START_TEST(hours_of_people_go_and_totals_stay)
{
	static const enum metering_scope totals[] = { METERING_TENANT,
		METERING_LICENSE, METERING_FEATURE, METERING_PRICED };
	int64_t t = at("2026-11-01 00:00"), to = t + 60 * DAY;
	uint64_t before[4];
	uint32_t rounds = 0;
	bool more = true;

	/* 600 hours of 40 users and hosts each: more than one page. */
	begin();
	tell(installed(1, "lic-a", 1), t);
	for (uint64_t i = 0; i < 600 * 40; i++) {
		tell(granted((struct grant){ .lease = i + 1,
				 .license = 1,
				 .serial = 1,
				 .count = 1,
				 .feature = "",
				 .user = (uint8_t)(1 + i % 40),
				 .host = (uint8_t)(1 + i % 40) },
			 false),
		    t + (int64_t)(i / 40) * HOUR);
		tell(ended(i + 1, false), t + (int64_t)(i / 40) * HOUR + 60000);
	}
	commit();
	for (size_t i = 0; i < 4; i++) {
		ask(question(totals[i], METERING_WHOLE, t, to));
		ck_assert_uint_eq(all.n, 1);
		before[i] = all.rollups[0].seats.seat_ms;
		ck_assert_uint_eq(all.rollups[0].seats.checkouts, 600 * 40);
	}
	for (; more; rounds++)
		ck_assert_int_eq(metering_forget_people(&more, metering,
				     t + 590 * HOUR),
		    0);
	ck_assert_uint_gt(rounds, 1);
	for (size_t i = 0; i < 4; i++) {
		ask(question(totals[i], METERING_WHOLE, t, to));
		ck_assert_uint_eq(all.n, 1);
		ck_assert_uint_eq(all.rollups[0].seats.checkouts, 600 * 40);
		ck_assert_uint_eq(all.rollups[0].seats.seat_ms, before[i]);
	}
	for (int scope = METERING_USER; scope <= METERING_HOST; scope++) {
		ask(question((enum metering_scope)scope, METERING_HOUR, t, to));
		ck_assert_uint_eq(all.n, 10 * 40);
		for (uint32_t i = 0; i < all.n; i++)
			ck_assert_int_ge(all.rollups[i].start, t + 590 * HOUR);
	}
	/* Nothing is left to do, and what comes is counted as ever. */
	ck_assert_int_eq(metering_forget_people(&more, metering,
			     t + 590 * HOUR),
	    0);
	ck_assert(!more);
	begin();
	tell(granted((struct grant){ .lease = 100000,
			 .license = 1,
			 .serial = 1,
			 .count = 1,
			 .feature = "",
			 .user = 1,
			 .host = 1 },
		 false),
	    t + 601 * HOUR);
	commit();
	ask(question(METERING_USER, METERING_WHOLE, t + 590 * HOUR, to));
	ck_assert_uint_eq(all.n, 40);
	ck_assert_uint_eq(all.rollups[0].seats.checkouts, 11);
}
END_TEST

START_TEST(many_lines_are_no_more_memory)
{
	int64_t t = at("2026-11-22 10:00");
	uint64_t checkouts = 0, ms = 0;

	begin();
	tell(installed(1, "lic-a", 1), t);
	for (uint32_t i = 0; i < 12000; i++) {
		struct row row = granted((struct grant){ .lease = i + 1,
					     .license = 1,
					     .serial = 1,
					     .count = 1,
					     .feature = "" },
		    false);

		row.u.lease_granted.user[1] = (uint8_t)(i >> 8);
		row.u.lease_granted.user[2] = (uint8_t)i;
		row.u.lease_granted.user[3] = 1;
		tell(row, t);
	}
	for (uint32_t i = 0; i < 12000; i++)
		tell(ended(i + 1, false), t + HOUR);
	commit();
	ask(question(METERING_USER, METERING_HOUR, t, t + DAY));
	ck_assert_uint_eq(all.n, 12000);
	for (uint32_t i = 0; i < all.n; i++) {
		checkouts += all.rollups[i].seats.checkouts;
		ms += all.rollups[i].seats.seat_ms;
	}
	ck_assert_uint_eq(checkouts, 12000);
	ck_assert_uint_eq(ms, 12000 * (uint64_t)HOUR);
	ask(question(METERING_TENANT, METERING_HOUR, t, t + DAY));
	ck_assert_uint_eq(all.n, 1);
	ck_assert_uint_eq(all.rollups[0].seats.peak, 12000);
}
END_TEST

/* --- its file ---------------------------------------------------------------------- */

START_TEST(a_damaged_file_is_made_anew)
{
	struct metering_place place;
	char name[96];

	begin();
	tell(installed(1, "lic-a", 1), at("2026-11-22 10:00"));
	commit();
	metering_close(metering);
	snprintf(name, sizeof(name), "%s/data.mdb", folder);

	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 4096; i++)
		fputc('x', file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 28, true), 0);
	ck_assert_int_eq(metering_place(&place, metering), 0);
	ck_assert_uint_eq(place.batch, 0);
	ck_assert_int_eq(place.time, INT64_MIN);
}
END_TEST

START_TEST(a_full_map_fails_the_page_and_no_more)
{
	int64_t t = at("2026-11-22 10:00");
	int err = 0;

	metering_close(metering);
	ck_assert_int_eq(metering_open(&metering, folder, 1 << 18, true), 0);
	ck_assert_int_eq(metering_begin(&txn, metering), 0);
	for (uint64_t i = 1; err == 0 && i < 100000; i++) {
		struct row row = granted((struct grant){ .lease = i,
					     .license = 1,
					     .serial = 1,
					     .count = 1,
					     .feature = "" },
		    false);

		row.number = i;
		err = metering_row(txn, &row, t);
	}
	ck_assert_int_eq(err, ERR_FULL);
	metering_abort(txn);
	ask(question(METERING_TENANT, METERING_HOUR, t, t + DAY));
	ck_assert_uint_eq(all.n, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *metered = suite_create("metering");
	TCase *one = tcase_create("facts"), *naive = tcase_create("recount");

	tcase_add_checked_fixture(one, setup, teardown);
	tcase_set_timeout(one, 120);
	tcase_add_test(one, a_lease_across_hours_counts_in_each);
	tcase_add_test(one, what_is_held_now_is_counted_up_to_now);
	tcase_add_test(one, a_renewal_in_mid_month_makes_two_serials);
	tcase_add_test(one, months_are_utc_and_a_leap_day_is_a_day);
	tcase_add_test(one, denials_are_told_by_code_in_their_hour);
	tcase_add_test(one, many_codes_end_in_other);
	tcase_add_test(one, a_borrow_given_up_counts_its_overage);
	tcase_add_test(one, a_clock_that_is_put_right_counts_no_hour_twice);
	tcase_add_test(one, counters_add_up_and_gauges_hold);
	tcase_add_test(one, a_gauge_goes_on_under_the_next_serial);
	tcase_add_test(one, overage_leads_to_its_rows);
	tcase_add_test(one, a_hub_counts_what_is_billed_when_it_was_granted);
	tcase_add_test(one, hours_of_a_report_count_once_and_say_the_same);
	tcase_add_test(one, hours_of_people_go_and_totals_stay);
	tcase_add_test(one, many_lines_are_no_more_memory);
	tcase_add_test(one, a_damaged_file_is_made_anew);
	tcase_add_test(one, a_full_map_fails_the_page_and_no_more);
	suite_add_tcase(metered, one);
	tcase_add_checked_fixture(naive, setup, teardown);
	tcase_set_timeout(naive, 300);
	tcase_add_loop_test(naive, rollups_equal_a_naive_recount, 0, 8);
	suite_add_tcase(metered, naive);
	return metered;
}
