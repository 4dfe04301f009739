/* Statements: every rule of billing.h by name, and the forms they are written
 * in. Whole random months against another calculation: test_billing.py. */
#include "appliance/billing/billing.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "tests/unit/billing_world.h"
#include "tests/unit/suite.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SERIALS 4

/* One license, its serials, and what was used. */
struct world {
	struct arena arena;
	struct license licenses[SERIALS];
	struct license_tax taxes[SERIALS][2];
	struct license_usage_price usage[SERIALS];
	struct license_feature features[1];
	struct billing_version versions[SERIALS];
	struct billing_license license;
	struct world_overage overage[8];
	struct world_usage used[8];
	struct world_facts facts;
	struct billing_credit credits[2];
	struct billing_input input;
	struct statement s;
	struct record_error error;
	struct buf out;
};

static int32_t
day(const char *text)
{
	int32_t out = 0;

	ck_assert_int_eq(clock_parse_date(&out, text, strlen(text)), 0);
	return out;
}

static struct license *
add_serial(struct world *w, const char *from, const char *to,
    const char *issued)
{
	size_t n = w->license.n_versions++;
	struct license *l = &w->licenses[n];

	ck_assert(n < SERIALS);
	if (n > 0)
		*l = w->licenses[n - 1];
	l->serial = n + 1;
	l->contract.start_date = day(from);
	l->contract.end_date = day(to);
	l->issued_at = day(issued) * WORLD_DAY_MS + 1;
	w->versions[n].license = l;
	w->license.versions = w->versions;
	return l;
}

static struct license *
world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	struct license *l =
	    add_serial(w, "2026-01-01", "2026-12-31", "2025-12-20");

	text_copy(l->license_id, 64, "lic-vector-mercedes-2026-001");
	text_copy(l->vendor.id, 64, "vector");
	text_copy(l->vendor.name, 128, "Vector Informatik GmbH");
	text_copy(l->tenant, 64, "mercedes");
	text_copy(l->product.id, 64, "davinci");
	text_copy(l->product.name, 128, "DaVinci Configurator SE");
	text_copy(l->customer.crm_account_id, 64, "ACC-98765");
	text_copy(l->customer.name, 128, "Mercedes-Benz AG");
	l->entitlement.pricing =
	    (struct license_pricing){ 500000, 50000, "EUR" };
	return l;
}

static void
world_close(struct world *w)
{
	arena_release(&w->arena);
	buf_release(&w->out);
}

static void
add_overage(struct world *w, uint64_t serial, const char *feature,
    const char *on, uint64_t first, uint64_t count)
{
	struct world_overage *o = &w->overage[w->facts.n_overage++];

	text_copy(o->license, 64, w->licenses[0].license_id);
	text_copy(o->feature, 64, feature);
	o->serial = serial;
	o->day = day(on);
	o->first = first;
	o->count = count;
	w->facts.overage = w->overage;
}

static void
add_usage(struct world *w, uint64_t serial, const char *metric, bool gauge,
    const char *on, uint64_t amount)
{
	struct world_usage *u = &w->used[w->facts.n_usage++];

	text_copy(u->license, 64, w->licenses[0].license_id);
	text_copy(u->metric, 64, metric);
	u->serial = serial;
	u->gauge = gauge;
	u->day = day(on);
	u->amount = amount;
	w->facts.usage = w->used;
}

static void
add_credit(struct world *w, int64_t amount)
{
	struct billing_credit *c = &w->credits[w->input.n_credits++];

	snprintf(c->id, sizeof(c->id), "CN-%zu", w->input.n_credits);
	text_copy(c->description, sizeof(c->description), "outage");
	c->amount = amount;
	memcpy(c->currency, "EUR", 4);
	w->input.credits = w->credits;
}

static void
set_tax(struct world *w, size_t serial, const char *name, uint32_t ppm)
{
	struct license_tax *tax = w->taxes[serial - 1];

	text_copy(tax[0].name, 64, name);
	tax[0].rate_ppm = ppm;
	w->licenses[serial - 1].billing.taxes = (struct record_list){ tax, 1 };
}

static void
set_price(struct world *w, size_t serial, const char *metric, uint64_t included,
    uint64_t unit, int64_t price)
{
	struct license_usage_price *u = &w->usage[serial - 1];

	text_copy(u->metric, 64, metric);
	u->included = included;
	u->unit = unit;
	u->price = price;
	w->licenses[serial - 1].billing.usage = (struct record_list){ u, 1 };
}

static int
try_bill(struct world *w, const char *period)
{
	ck_assert_int_eq(billing_period_read(&w->input.period, period,
			     strlen(period)),
	    0);
	ck_assert_int_eq(billing_versions_arrange(w->versions,
			     w->license.n_versions, INT32_MAX),
	    0);
	w->input.licenses = &w->license;
	w->input.n_licenses = 1;
	w->input.source = world_source(&w->facts);
	return billing_make(&w->s, &w->input, &w->arena, &w->error);
}

static void
bill(struct world *w, const char *period)
{
	int err = try_bill(w, period);

	ck_assert_msg(err == 0, "%s: %s %s", err_name(err), w->error.field,
	    w->error.reason);
}

/* --- fees and overage ----------------------------------------------------------- */

START_TEST(forty_four_overage_checkouts_and_the_fee_are_27000_euros)
{
	struct world w;

	world_open(&w);
	for (uint32_t i = 0; i < 4; i++) {
		char on[16];

		snprintf(on, sizeof(on), "2026-11-%02u", 1 + i * 9);
		add_overage(&w, 1, "", on, 1 + 11 * i, 11);
	}
	bill(&w, "2026-11");
	ck_assert_int_eq(w.s.total, 2700000);
	ck_assert_uint_eq(w.s.n_lines, 2);
	ck_assert_int_eq(w.s.lines[0].amount, 500000);
	ck_assert_uint_eq(w.s.lines[1].quantity, 44);
	ck_assert_int_eq(w.s.lines[1].amount, 2200000);
	ck_assert_uint_eq(w.s.lines[1].overage_first, 1);
	ck_assert_uint_eq(w.s.lines[1].overage_last, 44);
	world_close(&w);
}
END_TEST

START_TEST(what_was_used_in_other_months_is_not_in_this_one)
{
	struct world w;

	world_open(&w);
	add_overage(&w, 1, "", "2026-10-31", 1, 3);
	add_overage(&w, 1, "", "2026-11-30", 4, 2);
	add_overage(&w, 1, "", "2026-12-01", 6, 5);
	bill(&w, "2026-11");
	ck_assert_uint_eq(w.s.sections[0].overage, 2);
	ck_assert_uint_eq(w.s.lines[1].overage_first, 4);
	world_close(&w);
}
END_TEST

/* A third of a fee of one cent more than three: cut anyhow, it adds up. */
START_TEST(a_month_cut_into_days_adds_up_to_its_fee)
{
	struct world w;
	int64_t sum = 0;

	world_open(&w)->entitlement.pricing.commit_fee_monthly = 100001;
	for (uint32_t i = 1; i <= 30; i++) {
		char period[24];

		snprintf(period, sizeof(period), "2026-11-%02u/2026-11-%02u", i,
		    i);
		bill(&w, period);
		sum += w.s.total;
	}
	ck_assert_int_eq(sum, 100001);
	world_close(&w);
}
END_TEST

START_TEST(the_leap_day_is_a_29th_of_its_february)
{
	struct world w;
	struct license *l = world_open(&w);

	l->contract.start_date = day("2028-02-29");
	l->contract.end_date = day("2028-12-31");
	l->entitlement.pricing.commit_fee_monthly = 2900;
	bill(&w, "2028-02");
	ck_assert_int_eq(w.s.total, 100);
	ck_assert_uint_eq(w.s.lines[0].days, 1);
	ck_assert_uint_eq(w.s.lines[0].of_days, 29);
	world_close(&w);
}
END_TEST

/* 29 March 2026 has 23 hours in Berlin, 25 October 25; a day is a day. */
START_TEST(a_change_of_daylight_saving_moves_nothing)
{
	static const struct {
		const char *text;
		int64_t days;
	} periods[] = { { "2026-03", 31 }, { "2026-10", 31 },
		{ "2026-03-28/2026-03-30", 3 }, { "2026-10-25/2026-10-25", 1 },
		{ "2026-03-01/2026-10-31", 245 } };
	struct world w;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		struct billing_period period;
		int64_t from, to;

		ck_assert_int_eq(billing_period_read(&period, periods[i].text,
				     strlen(periods[i].text)),
		    0);
		billing_period_ms(&from, &to, &period);
		ck_assert_int_eq(from % 86400000, 0);
		ck_assert_int_eq(to - from, periods[i].days * 86400000);
	}
	world_open(&w)->entitlement.pricing.commit_fee_monthly = 3100;
	add_overage(&w, 1, "", "2026-03-29", 1, 1);
	bill(&w, "2026-03-29/2026-03-29");
	ck_assert_int_eq(w.s.lines[0].amount, 100);
	ck_assert_int_eq(w.s.lines[1].amount, 50000);
	world_close(&w);
}
END_TEST

START_TEST(a_renewal_in_mid_month_splits_fee_and_price)
{
	struct world w;

	world_open(&w);
	struct license *second =
	    add_serial(&w, "2026-01-01", "2027-12-31", "2026-11-16");

	second->entitlement.pricing.commit_fee_monthly = 600000;
	second->entitlement.pricing.overage_per_use = 60000;
	add_overage(&w, 1, "", "2026-11-02", 1, 2);
	/* The site had it a day later: the row says under what it was sold. */
	add_overage(&w, 1, "", "2026-11-16", 3, 1);
	add_overage(&w, 2, "", "2026-11-17", 4, 1);
	bill(&w, "2026-11");
	ck_assert_uint_eq(w.s.n_lines, 4);
	ck_assert_int_eq(w.s.lines[0].amount, 250000);
	ck_assert_uint_eq(w.s.lines[0].days, 15);
	ck_assert_int_eq(w.s.lines[1].amount, 300000);
	ck_assert_int_eq(w.s.lines[2].amount, 150000);
	ck_assert_int_eq(w.s.lines[3].amount, 60000);
	ck_assert_int_eq(w.s.total, 760000);
	world_close(&w);
}
END_TEST

START_TEST(a_renewal_at_the_same_fee_costs_the_same)
{
	struct world w;

	world_open(&w);
	add_serial(&w, "2026-01-01", "2027-12-31", "2026-12-14");
	bill(&w, "2026-12");
	ck_assert_uint_eq(w.s.n_lines, 2);
	ck_assert_int_eq(w.s.total, 500000);
	world_close(&w);
}
END_TEST

START_TEST(days_before_and_behind_the_contract_cost_nothing)
{
	struct world w;
	struct license *l = world_open(&w);

	l->contract.start_date = day("2026-11-11");
	l->contract.end_date = day("2026-11-20");
	l->entitlement.pricing.commit_fee_monthly = 3000;
	bill(&w, "2026-11");
	ck_assert_int_eq(w.s.total, 1000);
	bill(&w, "2026-12");
	ck_assert_int_eq(w.s.total, 0);
	ck_assert_uint_eq(w.s.n_sections, 0);
	ck_assert_str_eq(w.s.currency, "EUR");
	world_close(&w);
}
END_TEST

START_TEST(a_cancelled_license_costs_to_its_last_day)
{
	struct world w;

	world_open(&w)->entitlement.pricing.commit_fee_monthly = 3000;
	bill(&w, "2026-11");
	ck_assert_int_eq(billing_versions_arrange(w.versions, 1,
			     day("2026-11-10")),
	    0);
	ck_assert_int_eq(billing_make(&w.s, &w.input, &w.arena, &w.error), 0);
	ck_assert_int_eq(w.s.total, 1000);
	world_close(&w);
}
END_TEST

START_TEST(a_feature_has_a_price_of_its_own)
{
	struct world w;
	struct license *l = world_open(&w);

	text_copy(w.features[0].id, 64, "autosar");
	text_copy(w.features[0].name, 128, "AUTOSAR Classic");
	w.features[0].overage_per_use = 12345;
	l->features = (struct record_list){ w.features, 1 };
	add_overage(&w, 1, "autosar", "2026-11-02", 1, 2);
	bill(&w, "2026-11");
	ck_assert_int_eq(w.s.lines[1].amount, 24690);
	ck_assert_str_eq(w.s.lines[1].description,
	    "Overage checkouts of AUTOSAR Classic, serial 1, numbers 1 to 2");
	world_close(&w);
}
END_TEST

START_TEST(usage_without_terms_makes_no_statement)
{
	struct world w;

	world_open(&w);
	add_overage(&w, 2, "", "2026-11-02", 1, 2);
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_MISMATCH);
	ck_assert_str_eq(w.error.field, "serial");
	w.overage[0].serial = 1;
	text_copy(w.overage[0].feature, 64, "unheard");
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_MISMATCH);
	ck_assert_str_eq(w.error.field, "feature");
	world_close(&w);
}
END_TEST

/* --- currencies and bounds --------------------------------------------------------- */

START_TEST(amounts_are_written_by_their_currency)
{
	static const struct {
		const char *currency, *fee, *total;
	} cases[] = {
		{ "JPY", "\"commit_fee\":500000,", "\"total\":600000}" },
		{ "BHD", "\"commit_fee\":500.000,", "\"total\":600.000}" },
		{ "EUR", "\"commit_fee\":5000.00,", "\"total\":6000.00}" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct license *l = world_open(&w);

		memcpy(l->entitlement.pricing.currency, cases[i].currency, 4);
		add_overage(&w, 1, "", "2026-11-02", 1, 2);
		bill(&w, "2026-11");
		billing_write_json(&w.out, &w.s);
		ck_assert_ptr_nonnull(strstr(buf_text(&w.out), cases[i].fee));
		ck_assert_ptr_nonnull(strstr(buf_text(&w.out), cases[i].total));
		world_close(&w);
	}
}
END_TEST

START_TEST(a_currency_that_nobody_uses_is_refused)
{
	struct world w;

	memcpy(world_open(&w)->entitlement.pricing.currency, "XYZ", 4);
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_BAD_REQUEST);
	ck_assert_str_eq(w.error.field, "currency");
	world_close(&w);
}
END_TEST

START_TEST(two_currencies_are_not_added)
{
	struct world w;

	world_open(&w);
	memcpy(add_serial(&w, "2026-01-01", "2027-12-31", "2026-11-16")
		   ->entitlement.pricing.currency,
	    "USD", 4);
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_BAD_REQUEST);
	ck_assert_str_eq(w.error.field, "currency");
	bill(&w, "2026-11-01/2026-11-15");
	ck_assert_str_eq(w.s.currency, "EUR");
	bill(&w, "2026-11-16/2026-11-30");
	ck_assert_str_eq(w.s.currency, "USD");
	world_close(&w);
}
END_TEST

START_TEST(an_amount_that_does_not_fit_is_refused)
{
	struct world w;
	struct license *l = world_open(&w);

	l->entitlement.pricing.overage_per_use = (int64_t)U53_MAX;
	add_overage(&w, 1, "", "2026-11-02", 1, 1);
	/* The price alone fits, and not with the fee. */
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_TOO_LARGE);
	l->entitlement.pricing.commit_fee_monthly = 0;
	bill(&w, "2026-11");
	ck_assert_int_eq(w.s.total, (int64_t)U53_MAX);
	set_tax(&w, 1, "VAT", 1);
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_TOO_LARGE);
	w.overage[0].count = U53_MAX;
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_TOO_LARGE);
	ck_assert_uint_eq(w.s.n_lines, 0);
	world_close(&w);
}
END_TEST

START_TEST(periods_are_months_or_days)
{
	static const char *const bad[] = { "", "2026", "2026-13", "2026-1",
		"2026-11-01", "2026-11-02/2026-11-01", "2026-02-30/2026-03-01",
		"2025-01-01/2026-01-02", "2026-11-01 2026-11-02", "1969-12" };
	static const char *const good[] = { "2026-11", "2028-02",
		"2026-11-01/2026-11-01", "2025-01-01/2026-01-01" };
	struct billing_period period;
	char text[BILLING_PERIOD_SIZE];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(billing_period_read(&period, bad[i],
				  strlen(bad[i])) == ERR_BAD_REQUEST,
		    "%s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(billing_period_read(&period, good[i],
				     strlen(good[i])),
		    0);
		billing_period_format(text, &period);
		ck_assert_str_eq(text, good[i]);
	}
	ck_assert_int_eq(billing_period_read(&period, "2026-11-01/2026-11-30",
			     21),
	    0);
	billing_period_format(text, &period);
	ck_assert_str_eq(text, "2026-11");
}
END_TEST

/* --- subscriptions, metrics, shares -------------------------------------------------- */

START_TEST(an_annual_fee_is_due_on_the_anniversary)
{
	static const struct {
		const char *period;
		int64_t total;
	} cases[] = {
		{ "2028-02", 120000 }, /* 29 February, the contract's first */
		{ "2028-03", 0 },
		{ "2029-02-28/2029-02-28", 120000 },
		{ "2029-03", 0 },
		{ "2032-02-28/2032-02-28", 0 },
		{ "2032-02-29/2032-02-29", 120000 },
		/* 28 February to 14 March 2033: 15 of 365 days. */
		{ "2033-02", 4932 },
		{ "2034-02", 0 },
	};
	struct world w;
	struct license *l = world_open(&w);

	l->billing.model = LICENSE_SUBSCRIPTION;
	l->billing.subscription_fee = 120000;
	l->contract.billing_cycle = LICENSE_ANNUAL;
	l->contract.start_date = day("2028-02-29");
	l->contract.end_date = day("2033-03-14");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bill(&w, cases[i].period);
		ck_assert_msg(w.s.total == cases[i].total, "%s: %lld",
		    cases[i].period, (long long)w.s.total);
	}
	world_close(&w);
}
END_TEST

START_TEST(a_subscription_charges_nothing_else)
{
	struct world w;
	struct license *l = world_open(&w);

	l->billing.model = LICENSE_SUBSCRIPTION;
	l->billing.subscription_fee = 9900;
	add_overage(&w, 1, "", "2026-11-02", 1, 2);
	bill(&w, "2026-11");
	ck_assert_int_eq(w.s.total, 9900);
	ck_assert_uint_eq(w.s.sections[0].overage, 2);
	ck_assert_int_eq(w.s.sections[0].overage_cost, 0);
	world_close(&w);
}
END_TEST

START_TEST(started_units_above_what_is_included_are_charged)
{
	static const struct {
		uint64_t used, units;
	} cases[] = { { 999, 0 }, { 10000, 0 }, { 10001, 1 }, { 11000, 1 },
		{ 11001, 2 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;

		world_open(&w)->billing.model = LICENSE_PER_USE;
		set_price(&w, 1, "api_calls", 10000, 1000, 125);
		add_usage(&w, 1, "api_calls", false, "2026-11-02",
		    cases[i].used);
		add_usage(&w, 1, "unpriced", false, "2026-11-02", 5);
		bill(&w, "2026-11");
		ck_assert_uint_eq(w.s.n_lines, 1);
		ck_assert_uint_eq(w.s.lines[0].quantity, cases[i].units);
		ck_assert_int_eq(w.s.total, 125 * (int64_t)cases[i].units);
		world_close(&w);
	}
}
END_TEST

START_TEST(what_is_included_is_given_once_a_month_and_not_once_a_serial)
{
	struct world w;

	world_open(&w)->billing.model = LICENSE_PER_USE;
	set_price(&w, 1, "api_calls", 100, 10, 5);
	add_serial(&w, "2026-01-01", "2027-12-31", "2026-11-16");
	set_price(&w, 2, "api_calls", 120, 10, 7);
	add_usage(&w, 1, "api_calls", false, "2026-11-02", 110);
	add_usage(&w, 2, "api_calls", false, "2026-11-20", 31);
	bill(&w, "2026-11");
	/* 10 above 100; then 10 left of 120, 21 above: 3 started tens. */
	ck_assert_int_eq(w.s.lines[0].amount, 5);
	ck_assert_int_eq(w.s.lines[1].amount, 21);
	world_close(&w);
}
END_TEST

START_TEST(a_gauge_counts_its_highest_value_once_a_month)
{
	struct world w;

	world_open(&w)->billing.model = LICENSE_PER_USE;
	set_price(&w, 1, "storage_gb", 10, 1, 3);
	add_serial(&w, "2026-01-01", "2027-12-31", "2026-11-16");
	add_usage(&w, 1, "storage_gb", true, "2026-10-02", 60);
	add_usage(&w, 2, "storage_gb", true, "2026-11-20", 50);
	bill(&w, "2026-11");
	ck_assert_uint_eq(w.s.n_lines, 1);
	ck_assert_uint_eq(w.s.lines[0].serial, 2);
	ck_assert_int_eq(w.s.total, 150);
	/* Serial 1 is over: what it was left at is nobody's. */
	bill(&w, "2026-12");
	ck_assert_int_eq(w.s.total, 120);
	world_close(&w);
}
END_TEST

START_TEST(a_share_of_revenue_rounds_half_to_even)
{
	static const struct {
		uint64_t revenue;
		int64_t amount;
	} cases[] = { { 100000, 2500 }, { 20, 0 }, { 60, 2 }, { 61, 2 },
		{ 100, 2 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		struct license *l = world_open(&w);

		l->billing.model = LICENSE_REVENUE_SHARE;
		l->billing.share_ppm = 25000;
		text_copy(l->billing.share_metric, 64, "revenue");
		add_usage(&w, 1, "revenue", false, "2026-11-02",
		    cases[i].revenue);
		bill(&w, "2026-11");
		ck_assert_int_eq(w.s.lines[1].amount, cases[i].amount);
		ck_assert_int_eq(w.s.total, 500000 + cases[i].amount);
		world_close(&w);
	}
}
END_TEST

START_TEST(a_metric_that_ran_over_is_refused)
{
	struct world w;

	world_open(&w)->billing.model = LICENSE_PER_USE;
	set_price(&w, 1, "api_calls", 0, 1, 0);
	add_usage(&w, 1, "api_calls", false, "2026-11-02", UINT64_MAX);
	ck_assert_int_eq(try_bill(&w, "2026-11"), ERR_TOO_LARGE);
	world_close(&w);
}
END_TEST

/* --- credits and taxes ------------------------------------------------------------------ */

START_TEST(credits_above_the_sum_leave_the_rest)
{
	struct world w;

	world_open(&w);
	set_tax(&w, 1, "VAT 19 %", 190000);
	add_credit(&w, 400000);
	add_credit(&w, 300000);
	bill(&w, "2026-11");
	ck_assert_int_eq(w.s.credits[0].applied, 400000);
	ck_assert_int_eq(w.s.credits[1].applied, 100000);
	ck_assert_int_eq(w.s.credit_left, 200000);
	ck_assert_int_eq(w.s.net, 0);
	ck_assert_int_eq(w.s.tax, 0);
	ck_assert_int_eq(w.s.total, 0);
	world_close(&w);
}
END_TEST

START_TEST(a_tax_is_on_the_sum_and_not_on_each_line)
{
	struct world w;
	struct license *l = world_open(&w);

	/* 19 % of 0.13 twice would be 0.02 + 0.02; of 0.26 it is 0.05. */
	l->entitlement.pricing.commit_fee_monthly = 13;
	l->entitlement.pricing.overage_per_use = 13;
	set_tax(&w, 1, "VAT 19 %", 190000);
	add_overage(&w, 1, "", "2026-11-02", 1, 1);
	bill(&w, "2026-11");
	ck_assert_uint_eq(w.s.n_taxes, 1);
	ck_assert_int_eq(w.s.tax, 5);
	world_close(&w);
}
END_TEST

START_TEST(a_rate_that_changes_with_a_renewal_taxes_each_part)
{
	struct world w;

	world_open(&w);
	set_tax(&w, 1, "VAT 19 %", 190000);
	add_serial(&w, "2026-01-01", "2027-12-31", "2026-11-16");
	set_tax(&w, 2, "VAT 16 %", 160000);
	add_credit(&w, 100000);
	bill(&w, "2026-11");
	ck_assert_uint_eq(w.s.n_taxes, 2);
	ck_assert_int_eq(w.s.taxes[0].base, 200000);
	ck_assert_int_eq(w.s.taxes[1].base, 200000);
	ck_assert_int_eq(w.s.tax, 38000 + 32000);
	world_close(&w);
}
END_TEST

/* --- forms ---------------------------------------------------------------------------------- */

static void
check_csv(const char *name, const char *cell)
{
	struct world w;
	struct billing_overage rows[1];
	char wanted[512];

	text_copy(world_open(&w)->customer.name, 128, name);
	for (uint32_t i = 0; i < 1; i++)
		add_overage(&w, 1, "", "2026-11-02", 1, 44);
	bill(&w, "2026-11");
	ck_assert_uint_eq(billing_overage_rows(rows, 1, &w.s), 1);
	billing_write_csv(&w.out, rows, 1);
	snprintf(wanted, sizeof(wanted),
	    "CRM_Account_ID,Customer_Name,Product,Total_Overage_Checkouts,"
	    "Total_Cost,Currency,Billing_Period\r\n"
	    "ACC-98765,%s,DaVinci Configurator SE,44,22000.00,EUR,2026-11\r\n",
	    cell);
	ck_assert_str_eq(buf_text(&w.out), wanted);
	world_close(&w);
}

START_TEST(csv_has_the_columns_and_the_quotes)
{
	check_csv("Mercedes-Benz AG", "Mercedes-Benz AG");
	check_csv("A, B", "\"A, B\"");
	check_csv("the \"B\"", "\"the \"\"B\"\"\"");
	check_csv("two\nlines", "\"two\nlines\"");
	check_csv("two\r\nlines", "\"two\r\nlines\"");
	check_csv(" spaced", "\" spaced\"");
	check_csv("\xc3\x84\xc3\xb6 \xe6\xbc\xa2",
	    "\xc3\x84\xc3\xb6 \xe6\xbc\xa2");
}
END_TEST

START_TEST(csv_is_no_formula)
{
	check_csv("=1+1", "\"'=1+1\"");
	check_csv("+1", "\"'+1\"");
	check_csv("-1", "\"'-1\"");
	check_csv("@SUM(A1)", "\"'@SUM(A1)\"");
	check_csv("\t=1", "\"'\t=1\"");
	check_csv("\r=1", "\"'\r=1\"");
	check_csv("=cmd|'/C calc'!A0,\"x\"",
	    "\"'=cmd|'/C calc'!A0,\"\"x\"\"\"");
	check_csv("\xef\xbc\x9d"
		  "1",
	    "\"'\xef\xbc\x9d"
	    "1\"");
	check_csv("a=1", "a=1");
}
END_TEST

START_TEST(the_overage_export_has_the_fields_that_were_asked_for)
{
	struct world w;
	struct billing_overage rows[1];

	world_open(&w);
	add_overage(&w, 1, "", "2026-11-02", 1, 44);
	bill(&w, "2026-11");
	billing_overage_rows(rows, 1, &w.s);
	ck_assert_int_eq(billing_write_overage(&w.out, BILLING_EXPORT_JSON,
			     &w.s.vendor, &w.s.period, rows, 1, NULL),
	    0);
	ck_assert_str_eq(buf_text(&w.out),
	    "{\"vendor_id\":\"vector\",\"period\":{\"start\":\"2026-11-01\","
	    "\"end\":\"2026-11-30\"},\"total_overage_revenue\":22000.00,"
	    "\"currency\":\"EUR\",\"customers\":[{\"crm_account_id\":"
	    "\"ACC-98765\",\"tenant_id\":\"mercedes\",\"customer_name\":"
	    "\"Mercedes-Benz AG\",\"products\":[{\"product_id\":\"davinci\","
	    "\"product_name\":\"DaVinci Configurator SE\",\"license_id\":"
	    "\"lic-vector-mercedes-2026-001\",\"overage_checkouts\":44,"
	    "\"overage_cost\":22000.00,\"commit_fee\":5000.00,"
	    "\"total_billable\":27000.00}]}]}");
	world_close(&w);
}
END_TEST

START_TEST(an_invoice_has_the_fields_that_were_asked_for)
{
	struct world w;

	world_open(&w);
	add_overage(&w, 1, "", "2026-11-02", 1, 44);
	bill(&w, "2026-11");
	billing_write_invoice(&w.out, &w.s);
	ck_assert_str_eq(buf_text(&w.out),
	    "{\"source\":\"leasehold\",\"period\":\"2026-11\","
	    "\"crm_account_id\":\"ACC-98765\",\"line_items\":["
	    "{\"description\":\"DaVinci Configurator SE: Commit fee 2026-11\","
	    "\"amount\":5000.00,\"unit_price\":5000.00,\"quantity\":1},"
	    "{\"description\":\"DaVinci Configurator SE: Overage checkouts, "
	    "serial 1, numbers 1 to 44\",\"amount\":22000.00,"
	    "\"unit_price\":500.00,\"quantity\":44}],\"total\":27000.00,"
	    "\"currency\":\"EUR\"}");
	world_close(&w);
}
END_TEST

START_TEST(nothing_that_a_terminal_obeys_is_printed)
{
	struct world w;

	text_copy(world_open(&w)->customer.name, 128,
	    "A\x1b[31mB\xc2\x9b"
	    "C\xff"
	    "D");
	bill(&w, "2026-11");
	billing_write_text(&w.out, &w.s);
	ck_assert_ptr_nonnull(strstr(buf_text(&w.out), "A?[31mB?C?D"));
	ck_assert_ptr_nonnull(strstr(buf_text(&w.out), "5000.00"));
	world_close(&w);
}
END_TEST

START_TEST(the_same_statement_is_the_same_pdf)
{
	struct world w;
	struct buf again = { 0 };

	text_copy(world_open(&w)->customer.name, 128,
	    "\xc3\x84 \xe6\xbc\xa2 \xf0\x9d\x84\x9e \x1b \xff =1+1");
	add_overage(&w, 1, "", "2026-11-02", 1, 44);
	bill(&w, "2026-11");
	ck_assert_int_eq(billing_write_pdf(&w.out, &w.s, NULL), 0);
	ck_assert_int_eq(billing_write_pdf(&again, &w.s, NULL), 0);
	ck_assert_uint_eq(w.out.len, again.len);
	ck_assert_mem_eq(w.out.data, again.data, again.len);
	ck_assert_mem_eq(w.out.data, "%PDF-", 5);
	buf_release(&again);
	world_close(&w);
}
END_TEST

START_TEST(without_its_font_there_is_no_pdf)
{
	struct billing_fonts fonts = { "/nowhere.ttf", NULL };
	struct world w;

	world_open(&w);
	bill(&w, "2026-11");
	ck_assert_int_eq(billing_write_pdf(&w.out, &w.s, &fonts),
	    ERR_NOT_FOUND);
	ck_assert_uint_eq(w.out.len, 0);
	world_close(&w);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("billing");
	TCase *tc = tcase_create("statements");
	TCase *forms = tcase_create("forms");

	tcase_add_test(tc,
	    forty_four_overage_checkouts_and_the_fee_are_27000_euros);
	tcase_add_test(tc, what_was_used_in_other_months_is_not_in_this_one);
	tcase_add_test(tc, a_month_cut_into_days_adds_up_to_its_fee);
	tcase_add_test(tc, the_leap_day_is_a_29th_of_its_february);
	tcase_add_test(tc, a_change_of_daylight_saving_moves_nothing);
	tcase_add_test(tc, a_renewal_in_mid_month_splits_fee_and_price);
	tcase_add_test(tc, a_renewal_at_the_same_fee_costs_the_same);
	tcase_add_test(tc, days_before_and_behind_the_contract_cost_nothing);
	tcase_add_test(tc, a_cancelled_license_costs_to_its_last_day);
	tcase_add_test(tc, a_feature_has_a_price_of_its_own);
	tcase_add_test(tc, usage_without_terms_makes_no_statement);
	tcase_add_test(tc, amounts_are_written_by_their_currency);
	tcase_add_test(tc, a_currency_that_nobody_uses_is_refused);
	tcase_add_test(tc, two_currencies_are_not_added);
	tcase_add_test(tc, an_amount_that_does_not_fit_is_refused);
	tcase_add_test(tc, periods_are_months_or_days);
	tcase_add_test(tc, an_annual_fee_is_due_on_the_anniversary);
	tcase_add_test(tc, a_subscription_charges_nothing_else);
	tcase_add_test(tc, started_units_above_what_is_included_are_charged);
	tcase_add_test(tc,
	    what_is_included_is_given_once_a_month_and_not_once_a_serial);
	tcase_add_test(tc, a_gauge_counts_its_highest_value_once_a_month);
	tcase_add_test(tc, a_share_of_revenue_rounds_half_to_even);
	tcase_add_test(tc, a_metric_that_ran_over_is_refused);
	tcase_add_test(tc, credits_above_the_sum_leave_the_rest);
	tcase_add_test(tc, a_tax_is_on_the_sum_and_not_on_each_line);
	tcase_add_test(tc, a_rate_that_changes_with_a_renewal_taxes_each_part);
	suite_add_tcase(s, tc);
	tcase_add_test(forms, csv_has_the_columns_and_the_quotes);
	tcase_add_test(forms, csv_is_no_formula);
	tcase_add_test(forms,
	    the_overage_export_has_the_fields_that_were_asked_for);
	tcase_add_test(forms, an_invoice_has_the_fields_that_were_asked_for);
	tcase_add_test(forms, nothing_that_a_terminal_obeys_is_printed);
	tcase_add_test(forms, the_same_statement_is_the_same_pdf);
	tcase_add_test(forms, without_its_font_there_is_no_pdf);
	suite_add_tcase(s, forms);
	return s;
}
