#include "appliance/ledger/analytics.h"

#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_ITEMS 100
#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)

struct asking {
	const struct analytics_query *query;
	const struct billing_gathered *gathered;
	struct billing_period period;
	struct metering *metering;
	struct arena *arena;
	struct analytics *out;
	struct analytics_revenue *revenue; /* ANALYTICS_CURRENCIES_MAX */
	uint64_t hours[ANALYTICS_HOURS];
};

/* --- hours ------------------------------------------------------------------- */

static int
add_hour(void *ctx, const struct metering_overage *overage)
{
	struct asking *asking = ctx;
	int64_t days = overage->time / DAY_MS;
	int64_t hour = overage->time % DAY_MS / HOUR_MS;

	/* The first day of 1970 was a Thursday. */
	asking->hours[(days + 3) % 7 * 24 + hour] += overage->count;
	return 0;
}

static int
by_overage(const void *a, const void *b)
{
	const struct analytics_hour *x = a, *y = b;

	if (x->overage_checkouts != y->overage_checkouts)
		return x->overage_checkouts < y->overage_checkouts ? 1 : -1;
	return (int)(x->weekday * 24 + x->hour) -
	    (int)(y->weekday * 24 + y->hour);
}

static int
list_hours(struct asking *asking)
{
	struct analytics_hour *hours =
	    arena_alloc(asking->arena, ANALYTICS_HOURS * sizeof(*hours));
	uint32_t n = 0;

	if (hours == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < ANALYTICS_HOURS; i++)
		if (asking->hours[i] > 0)
			hours[n++] =
			    (struct analytics_hour){ .weekday = i / 24 + 1,
				    .hour = i % 24,
				    .overage_checkouts = asking->hours[i] };
	if (n > 1)
		qsort(hours, n, sizeof(*hours), by_overage);
	asking->out->hours = (struct record_list){ hours, n };
	return 0;
}

/* --- licenses ---------------------------------------------------------------- */

static const struct license *
newest(const struct asking *asking, const char *license_id)
{
	for (size_t i = 0; i < asking->gathered->n_licenses; i++) {
		const struct billing_license *l =
		    &asking->gathered->licenses[i];
		const struct license *last =
		    l->versions[l->n_versions - 1].license;

		if (strcmp(last->license_id, license_id) == 0)
			return last;
	}
	return NULL;
}

static int
add_revenue(struct asking *asking, const struct billing_overage *row)
{
	struct analytics_revenue *sum = asking->revenue;
	struct record_list *list = &asking->out->revenue;
	uint32_t i = 0;

	while (i < list->count && strcmp(sum[i].currency, row->currency) != 0)
		i++;
	if (i == ANALYTICS_CURRENCIES_MAX)
		return ERR_TOO_LARGE;
	if (i == list->count) {
		sum[i] = (struct analytics_revenue){ .overage_cost = 0 };
		memcpy(sum[i].currency, row->currency, sizeof(sum->currency));
		list->count++;
	}
	return __builtin_add_overflow(sum[i].overage_cost, row->cost,
		   &sum[i].overage_cost) ||
		__builtin_add_overflow(sum[i].commit_fee, row->commit_fee,
		    &sum[i].commit_fee) ||
		__builtin_add_overflow(sum[i].revenue, row->total,
		    &sum[i].revenue)
	    ? ERR_TOO_LARGE
	    : 0;
}

static int
add_license(struct asking *asking, const struct billing_overage *row)
{
	struct analytics *out = asking->out;

	out->licenses++;
	out->licenses_with_overage += row->checkouts > 0;
	out->overage_checkouts += row->checkouts;
	int err = add_revenue(asking, row);

	return err != 0 || row->checkouts == 0
	    ? err
	    : metering_evidence(asking->metering, row->license_id, 0, NULL,
		  asking->period.first * DAY_MS,
		  (asking->period.last + 1) * DAY_MS, add_hour, asking);
}

static void
fill_line(struct analytics_line *line, const struct asking *asking,
    const struct billing_overage *row)
{
	const struct license *license = newest(asking, row->license_id);

	*line = (struct analytics_line){
		.commit_seats =
		    license != NULL ? license->entitlement.commit_qty : 0,
		.overage_checkouts = row->checkouts,
		.overage_cost = row->cost,
		.commit_fee = row->commit_fee,
		.revenue = row->total,
	};
	if (line->commit_seats > 0)
		line->overage_per_100_seats =
		    row->checkouts * 100 / line->commit_seats;
	text_copy(line->crm_account_id, sizeof(line->crm_account_id),
	    row->customer.crm_account_id);
	text_copy(line->customer_name, sizeof(line->customer_name),
	    row->customer.name);
	text_copy(line->product_id, sizeof(line->product_id), row->product.id);
	text_copy(line->product_name, sizeof(line->product_name),
	    row->product.name);
	text_copy(line->license_id, sizeof(line->license_id), row->license_id);
	memcpy(line->currency, row->currency, sizeof(line->currency));
}

/* Rows are in order of customers. */
static int
go_over(struct asking *asking, const struct billing_overage *rows, size_t n)
{
	const struct analytics_query *query = asking->query;
	uint32_t limit = query->limit != 0 ? query->limit : DEFAULT_ITEMS;
	struct analytics *out = asking->out;
	struct analytics_line *lines =
	    arena_alloc(asking->arena, limit * sizeof(*lines));
	const char *customer = NULL;
	uint64_t place = 0;
	uint32_t shown = 0;

	if (lines == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct billing_overage *row = &rows[i];
		int err;

		if (query->product_id[0] != '\0' &&
		    strcmp(query->product_id, row->product.id) != 0)
			continue;
		err = add_license(asking, row);
		if (err != 0)
			return err;
		out->customers += customer == NULL ||
		    strcmp(customer, row->customer.crm_account_id) != 0;
		customer = row->customer.crm_account_id;
		if (place++ < query->after)
			continue;
		if (shown < limit)
			fill_line(&lines[shown++], asking, row);
		else
			out->next = query->after + limit;
	}
	out->items = (struct record_list){ lines, shown };
	return list_hours(asking);
}

int
analytics_answer(struct analytics *reply, const struct analytics_query *query,
    struct ledger_view *view, struct metering *metering, struct arena *arena,
    struct problem *problem)
{
	const struct billing_whose whose = { "", "", query->customer_crm_id,
		true, 0 };
	struct billing_gathered gathered;
	struct billing_overage *rows;
	struct asking asking = { .query = query,
		.gathered = &gathered,
		.metering = metering,
		.arena = arena,
		.out = reply };
	size_t n;

	*reply = (struct analytics){ .licenses = 0 };
	if (billing_period_read(&asking.period, query->period,
		strlen(query->period)) != 0)
		return query_refuse(problem, ERR_BAD_REQUEST,
		    "period must be a month, 2026-11, or days, "
		    "2026-11-03/2026-11-20, at most %d of them",
		    BILLING_DAYS_MAX);
	asking.revenue = arena_alloc(arena,
	    ANALYTICS_CURRENCIES_MAX * sizeof(*asking.revenue));
	if (asking.revenue == NULL)
		return ERR_NOMEM;
	reply->revenue.items = asking.revenue;
	int err = billing_gather(&gathered, view, &whose, arena, problem);

	if (err == 0)
		err = billing_answer_rows(&rows, &n, &gathered, &asking.period,
		    query->customer_crm_id, metering, arena, problem);
	if (err == 0 && n == 0 && query->customer_crm_id[0] != '\0')
		return query_refuse(problem, ERR_NOT_FOUND,
		    "there is no license of customer %s",
		    query->customer_crm_id);
	if (err == 0)
		err = go_over(&asking, rows, n);
	if (err == ERR_TOO_LARGE && problem->code[0] == '\0')
		err = query_refuse(problem, err,
		    "the sums do not fit: ask for a shorter period, or "
		    "customer by customer");
	return err;
}
