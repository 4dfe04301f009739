/* Fees for time: the monthly commit fee, subscriptions by month and by year;
 * see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t
commit_fee(const struct license *license)
{
	enum license_model model = billing_model(license);

	return model == LICENSE_COMMIT_OVERAGE || model == LICENSE_HYBRID ||
		model == LICENSE_REVENUE_SHARE
	    ? license->entitlement.pricing.commit_fee_monthly
	    : 0;
}

static int64_t
subscription_fee(const struct license *license, enum license_cycle cycle)
{
	enum license_model model = billing_model(license);

	return (model == LICENSE_SUBSCRIPTION || model == LICENSE_HYBRID) &&
		license->contract.billing_cycle == cycle
	    ? license->billing.subscription_fee
	    : 0;
}

static int64_t
monthly_fee(const struct license *license, enum billing_kind kind)
{
	return kind == BILLING_COMMIT_FEE
	    ? commit_fee(license)
	    : subscription_fee(license, LICENSE_MONTHLY);
}

static void
describe(struct billing_line *line, const struct billing_period *month)
{
	const char *what =
	    line->kind == BILLING_COMMIT_FEE ? "Commit fee" : "Subscription";
	char name[BILLING_PERIOD_SIZE];

	billing_period_format(name, month);
	if (line->days == 0)
		snprintf(line->description, sizeof(line->description), "%s %s",
		    what, name);
	else
		snprintf(line->description, sizeof(line->description),
		    "%s %s, %u of %u days, serial %" PRIu64, what, name,
		    line->days, line->of_days, line->serial);
}

static int
add_fee(struct making *making, const struct billing_version *version,
    enum billing_kind kind, const struct billing_period *span,
    const struct billing_period *month, int64_t amount)
{
	int err;
	struct billing_line *line = billing_line_add(making, &err);

	if (line == NULL)
		return err;
	line->kind = kind;
	line->serial = version->license->serial;
	line->first = span->first;
	line->last = span->last;
	line->quantity = 1;
	line->unit_price = line->amount = amount;
	if (billing_days(span) != billing_days(month)) {
		line->days = billing_days(span);
		line->of_days = billing_days(month);
	}
	describe(line, month);
	return 0;
}

/* One month, of which `part` is in the period. Serials are in order of days. */
static int
add_month(struct making *making, enum billing_kind kind,
    const struct billing_period *month, const struct billing_period *part)
{
	const struct billing_license *license = making->license;
	billing_wide days = billing_days(month);
	billing_wide sum = 0; /* fee times days, since the month's first day */

	for (size_t i = 0; i < license->n_versions; i++) {
		const struct billing_version *v = &license->versions[i];
		struct billing_period force = billing_force(v);
		struct billing_period in = billing_overlap(&force, month);
		struct billing_period span = billing_overlap(&in, part);
		billing_wide fee = monthly_fee(v->license, kind);

		if (billing_is_empty(&in) || fee == 0)
			continue;
		if (!billing_is_empty(&span)) {
			billing_wide from = sum + fee * (span.first - in.first);
			billing_wide to = from + fee * billing_days(&span);
			int err = add_fee(making, v, kind, &span, month,
			    (int64_t)(billing_round(to, days) -
				billing_round(from, days)));

			if (err != 0)
				return err;
		}
		sum += fee * billing_days(&in);
	}
	return 0;
}

static int
add_cycle(struct making *making, const struct billing_version *version,
    int32_t due, int32_t next)
{
	const struct license *license = version->license;
	struct billing_period cycle = { due, next - 1 };
	struct billing_period paid = cycle;
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];
	int err;
	struct billing_line *line = billing_line_add(making, &err);

	if (line == NULL)
		return err;
	if (license->contract.end_date < paid.last)
		paid.last = license->contract.end_date;
	line->kind = BILLING_SUBSCRIPTION;
	line->serial = license->serial;
	line->first = paid.first;
	line->last = paid.last;
	line->quantity = 1;
	line->amount = (int64_t)
	    billing_round((billing_wide)license->billing.subscription_fee *
		    billing_days(&paid),
		billing_days(&cycle));
	line->unit_price = line->amount;
	clock_format_date(first, paid.first);
	clock_format_date(last, paid.last);
	int n = snprintf(line->description, sizeof(line->description),
	    "Subscription %.10s to %.10s", first, last);

	if (paid.last != cycle.last) {
		line->days = billing_days(&paid);
		line->of_days = billing_days(&cycle);
		snprintf(line->description + n,
		    sizeof(line->description) - (size_t)n, ", %u of %u days",
		    line->days, line->of_days);
	}
	return 0;
}

/* Due days of a serial: its contract's first day and the anniversaries. */
static int
add_annual(struct making *making, const struct billing_version *version)
{
	struct billing_period force = billing_force(version);
	struct billing_period span =
	    billing_overlap(&force, &making->input->period);
	int32_t start = version->license->contract.start_date;
	int32_t begun = billing_date_of(start).year;
	int err = 0;

	if (billing_is_empty(&span) ||
	    subscription_fee(version->license, LICENSE_ANNUAL) == 0)
		return 0;
	int32_t last = billing_date_of(span.last).year;

	for (int32_t year = billing_date_of(span.first).year;
	     year <= last && err == 0; year++) {
		int32_t due = billing_anniversary(start, year);

		if (year >= begun && due >= span.first && due <= span.last)
			err = add_cycle(making, version, due,
			    billing_anniversary(start, year + 1));
	}
	return err;
}

int
billing_add_fees(struct making *making)
{
	const struct billing_period *period = &making->input->period;
	const struct billing_license *license = making->license;
	int err = 0;

	for (int32_t day = period->first; day <= period->last && err == 0;) {
		struct billing_period month = billing_month_of(day);
		struct billing_period part = billing_overlap(&month, period);

		err = add_month(making, BILLING_COMMIT_FEE, &month, &part);
		if (err == 0)
			err = add_month(making, BILLING_SUBSCRIPTION, &month,
			    &part);
		day = month.last + 1;
	}
	for (size_t i = 0; i < license->n_versions && err == 0; i++)
		err = add_annual(making, &license->versions[i]);
	return err;
}
