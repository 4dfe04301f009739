/* Named metrics by the started unit, and shares of revenue; see billing.h. */
#include "appliance/billing/inside.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one serial has of a metric in one month. */
struct entry {
	char metric[64];
	struct billing_period span; /* of the month, what is in the period */
	const struct billing_version *version;
	struct metering_metric value;
};

struct entries {
	struct making *making;
	struct entry *items; /* grows in the arena */
	size_t n, room;
};

static const struct license_usage_price *
usage_price(const struct license *license, const char *metric)
{
	const struct license_usage_price *usage = license->billing.usage.items;
	enum license_model model = billing_model(license);

	if (model != LICENSE_PER_USE && model != LICENSE_HYBRID)
		return NULL;
	for (uint32_t i = 0; i < license->billing.usage.count; i++)
		if (strcmp(usage[i].metric, metric) == 0)
			return &usage[i];
	return NULL;
}

static bool
is_shared(const struct license *license, const char *metric)
{
	return billing_model(license) == LICENSE_REVENUE_SHARE &&
	    strcmp(license->billing.share_metric, metric) == 0;
}

static bool
is_priced(const struct license *license, const char *metric)
{
	return usage_price(license, metric) != NULL ||
	    is_shared(license, metric);
}

static bool
is_in_force(const struct entry *entry)
{
	struct billing_period force = billing_force(entry->version);
	struct billing_period both = billing_overlap(&force, &entry->span);

	return !billing_is_empty(&both);
}

/* --- gathering ---------------------------------------------------------------- */

static bool
any_prices(const struct billing_license *license, const char *metric)
{
	for (size_t i = 0; i < license->n_versions; i++)
		if (is_priced(license->versions[i].license, metric))
			return true;
	return false;
}

static int
grow(struct entries *entries)
{
	size_t room = entries->room == 0 ? 32 : 2 * entries->room;
	struct entry *items;

	if (entries->n < entries->room)
		return 0;
	if (room > BILLING_LINES_MAX)
		return billing_fail(entries->making, ERR_TOO_LARGE, "metrics",
		    "are more than %d in one statement", BILLING_LINES_MAX);
	items = arena_alloc(entries->making->arena, room * sizeof(*items));
	if (items == NULL)
		return ERR_NOMEM;
	if (entries->n > 0)
		memcpy(items, entries->items, entries->n * sizeof(*items));
	entries->items = items;
	entries->room = room;
	return 0;
}

static int
gather(void *ctx, const struct metering_rollup *rollup)
{
	struct entries *entries = ctx;
	struct making *making = entries->making;
	const char *metric = rollup->line.feature;

	if (!any_prices(making->license, metric))
		return 0;
	const struct billing_version *v =
	    billing_version_get(making->license, rollup->line.serial);

	if (v == NULL)
		return billing_fail(making, ERR_MISMATCH, "serial",
		    "\"%s\" of %s was used under serial %" PRIu64
		    ", whose terms are not here",
		    metric, making->license->versions[0].license->license_id,
		    rollup->line.serial);
	struct billing_period month =
	    billing_month_of((int32_t)(rollup->start / BILLING_DAY_MS));
	struct entry entry = {
		.span = billing_overlap(&month, &making->input->period),
		.version = v,
		.value = rollup->metric,
	};

	/* A value that only stands there from before is of no serial that is
	 * over. */
	if (billing_is_empty(&entry.span) ||
	    (entry.value.events == 0 && !is_in_force(&entry)))
		return 0;
	snprintf(entry.metric, sizeof(entry.metric), "%s", metric);
	int err = grow(entries);

	if (err == 0)
		entries->items[entries->n++] = entry;
	return err;
}

static int
by_month(const struct entry *a, const struct entry *b)
{
	int order = strcmp(a->metric, b->metric);

	return order != 0
	    ? order
	    : (a->span.first > b->span.first) - (a->span.first < b->span.first);
}

static int
by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = by_month(x, y);

	return order != 0
	    ? order
	    : (x->version->license->serial > y->version->license->serial) -
		(x->version->license->serial < y->version->license->serial);
}

/* --- lines -------------------------------------------------------------------- */

static int
too_large(struct making *making, const struct entry *entry)
{
	return billing_fail(making, ERR_TOO_LARGE, "amount",
	    "\"%s\" of %s is more than an amount can be", entry->metric,
	    entry->version->license->license_id);
}

static struct billing_line *
add_line(struct making *making, const struct entry *entry,
    enum billing_kind kind, uint64_t used, int *err)
{
	struct billing_line *line = billing_line_add(making, err);

	if (line == NULL)
		return NULL;
	line->kind = kind;
	line->serial = entry->version->license->serial;
	snprintf(line->metric, sizeof(line->metric), "%s", entry->metric);
	line->first = entry->span.first;
	line->last = entry->span.last;
	line->used = used;
	return line;
}

static int
add_usage(struct making *making, const struct entry *entry, uint64_t used,
    uint64_t before)
{
	const struct license_usage_price *price =
	    usage_price(entry->version->license, entry->metric);
	uint64_t left = price->included > before ? price->included - before : 0;
	uint64_t included = used < left ? used : left;
	uint64_t above = used - included;
	char name[BILLING_PERIOD_SIZE];
	int err;
	struct billing_line *line =
	    add_line(making, entry, BILLING_USAGE, used, &err);

	if (line == NULL)
		return err;
	line->included = included;
	line->quantity = above / price->unit + (above % price->unit != 0);
	line->unit_price = price->price;
	billing_period_format(name, &entry->span);
	snprintf(line->description, sizeof(line->description),
	    "%s %s: %" PRIu64 " used, %" PRIu64
	    " included, per started %" PRIu64 ", serial %" PRIu64,
	    entry->metric, name, used, included, price->unit, line->serial);
	if (billing_narrow(&line->amount,
		(billing_wide)line->quantity * line->unit_price) != 0)
		return too_large(making, entry);
	return 0;
}

static int
add_share(struct making *making, const struct entry *entry, uint64_t used)
{
	const struct license *license = entry->version->license;
	char name[BILLING_PERIOD_SIZE], percent[16];
	char money[BILLING_MONEY_SIZE];
	int err;
	struct billing_line *line =
	    add_line(making, entry, BILLING_SHARE, used, &err);

	if (line == NULL)
		return err;
	line->quantity = 1;
	line->share_ppm = license->billing.share_ppm;
	if (used > U53_MAX ||
	    billing_narrow(&line->amount,
		billing_round((billing_wide)used * line->share_ppm,
		    LICENSE_PPM)) != 0)
		return too_large(making, entry);
	line->unit_price = line->amount;
	billing_period_format(name, &entry->span);
	billing_percent(percent, line->share_ppm);
	money_format(money, (int64_t)used,
	    license->entitlement.pricing.currency);
	snprintf(line->description, sizeof(line->description),
	    "%s %% of %s %s, %s, serial %" PRIu64, percent, entry->metric,
	    money, name, line->serial);
	return 0;
}

static int
add_entry(struct making *making, const struct entry *entry, uint64_t used,
    uint64_t before)
{
	const struct license *license = entry->version->license;

	if (used == 0)
		return 0;
	if (usage_price(license, entry->metric) != NULL)
		return add_usage(making, entry, used, before);
	if (is_shared(license, entry->metric))
		return add_share(making, entry, used);
	return 0;
}

/* All serials of a metric in a month, in order. */
static int
add_counter(struct making *making, const struct entry *entries, size_t n)
{
	uint64_t before = 0;
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		uint64_t used = entries[i].value.sum;

		/* It stays there when it is full (metering.h). */
		if (used == UINT64_MAX)
			return too_large(making, &entries[i]);
		err = add_entry(making, &entries[i], used, before);
		before =
		    used > UINT64_MAX - before ? UINT64_MAX : before + used;
	}
	return err;
}

/* The highest serial in force in the span that prices it, reported or not. */
static const struct billing_version *
pricing_version(const struct making *making, const struct entry *entries,
    size_t n)
{
	const struct billing_license *license = making->license;

	for (size_t i = license->n_versions; i > 0; i--) {
		struct entry in = entries[0];

		in.version = &license->versions[i - 1];
		if (is_in_force(&in) &&
		    is_priced(in.version->license, in.metric))
			return in.version;
	}
	for (size_t i = n; i > 0; i--)
		if (is_priced(entries[i - 1].version->license,
			entries[0].metric))
			return entries[i - 1].version;
	return NULL;
}

static int
add_gauge(struct making *making, const struct entry *entries, size_t n)
{
	struct entry entry = entries[0];
	uint64_t highest = 0;

	for (size_t i = 0; i < n; i++)
		if (entries[i].value.max > highest)
			highest = entries[i].value.max;
	entry.version = pricing_version(making, entries, n);
	return entry.version == NULL ? 0
				     : add_entry(making, &entry, highest, 0);
}

int
billing_add_metrics(struct making *making)
{
	const struct billing_input *input = making->input;
	struct entries entries = { .making = making };
	struct metering_question question = {
		.scope = METERING_METRIC,
		.license = making->license->versions[0].license->license_id,
		.step = METERING_MONTH,
		.now = INT64_MIN,
	};

	billing_period_ms(&question.from, &question.to, &input->period);
	int err =
	    input->source.read(input->source.ctx, &question, gather, &entries);

	if (err != 0 || entries.n == 0)
		return err;
	qsort(entries.items, entries.n, sizeof(*entries.items), by_name);
	for (size_t at = 0, end; at < entries.n && err == 0; at = end) {
		const struct entry *first = &entries.items[at];

		for (end = at + 1; end < entries.n; end++)
			if (by_month(first, &entries.items[end]) != 0)
				break;
		err = entries.items[end - 1].value.kind == METERING_GAUGE
		    ? add_gauge(making, first, end - at)
		    : add_counter(making, first, end - at);
	}
	return err;
}
