#include "appliance/ledger/analytics.h"

#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_ITEMS 100
#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)

/* What an hour of the week, a license or all of them add up to. */
struct used {
	uint64_t checkouts, seats, seat_ms, denials;
	uint64_t overage; /* seats */
	uint32_t peak;
};

struct asking {
	const struct analytics_query *query;
	const struct billing_gathered *gathered;
	struct billing_period period;
	struct metering *metering;
	struct arena *arena;
	struct analytics *out;
	struct analytics_revenue *revenue; /* ANALYTICS_CURRENCIES_MAX */
	struct used hours[ANALYTICS_HOURS];
	struct used license; /* the one at hand */
	struct used all;
	struct analytics_denial denied[ANALYTICS_DENIALS_MAX];
	uint32_t n_denied;
};

/* --- hours ------------------------------------------------------------------- */

static struct used *
hour_of_week(struct asking *asking, int64_t time)
{
	int64_t days = time / DAY_MS, hour = time % DAY_MS / HOUR_MS;

	/* The first day of 1970 was a Thursday. */
	return &asking->hours[(days + 3) % 7 * 24 + hour];
}

static int
add_overage(void *ctx, const struct metering_overage *overage)
{
	hour_of_week(ctx, overage->time)->overage += overage->count;
	return 0;
}

static void
use(struct used *sum, const struct metering_seats *seats)
{
	sum->checkouts += seats->checkouts;
	sum->seats += seats->seats;
	sum->seat_ms += seats->seat_ms;
	sum->denials += seats->denials;
	sum->peak = seats->peak > sum->peak ? seats->peak : sum->peak;
}

/* Where there are more, the rest is of "other" (METERING_DENIALS_MAX). */
static void
deny(struct asking *asking, const char *code, uint64_t count)
{
	struct analytics_denial *denied = asking->denied;
	uint32_t at = 0, n = asking->n_denied;

	while (at < n && strcmp(denied[at].code, code) < 0)
		at++;
	if (at < n && strcmp(denied[at].code, code) == 0) {
		denied[at].count += count;
		return;
	}
	if (n >= ANALYTICS_DENIALS_MAX - 1 && strcmp(code, "other") != 0) {
		deny(asking, "other", count);
		return;
	}
	memmove(&denied[at + 1], &denied[at], (n - at) * sizeof(*denied));
	denied[at] = (struct analytics_denial){ .count = count };
	text_copy(denied[at].code, sizeof(denied[at].code), code);
	asking->n_denied++;
}

static int
add_hour(void *ctx, const struct metering_rollup *rollup)
{
	struct asking *asking = ctx;
	const struct metering_seats *seats = &rollup->seats;

	use(hour_of_week(asking, rollup->start), seats);
	use(&asking->license, seats);
	for (uint32_t i = 0; i < seats->n_denied; i++)
		if (seats->denied[i].count > 0)
			deny(asking, seats->denied[i].code,
			    seats->denied[i].count);
	return 0;
}

/* What sites report adds up beyond any figure only when they lie. */
static uint64_t
bounded(uint64_t n)
{
	return n < U53_MAX ? n : U53_MAX;
}

static uint32_t
percent(uint64_t overage, uint64_t seats)
{
	if (seats == 0 || overage >= seats)
		return seats == 0 ? 0 : 100;
	return overage > UINT64_MAX / 100 ? 99
					  : (uint32_t)(overage * 100 / seats);
}

static int
by_use(const void *a, const void *b)
{
	const struct analytics_hour *x = a, *y = b;

	if (x->seat_seconds != y->seat_seconds)
		return x->seat_seconds < y->seat_seconds ? 1 : -1;
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
	for (uint32_t i = 0; i < ANALYTICS_HOURS; i++) {
		const struct used *used = &asking->hours[i];

		if ((used->checkouts | used->seat_ms | used->overage) == 0)
			continue;
		hours[n++] = (struct analytics_hour){ .weekday = i / 24 + 1,
			.hour = i % 24,
			.checkouts = bounded(used->checkouts),
			.seat_seconds = bounded(used->seat_ms / 1000),
			.overage_checkouts = used->overage };
	}
	if (n > 1)
		qsort(hours, n, sizeof(*hours), by_use);
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
	const struct metering_question question = {
		.scope = METERING_PRICED,
		.license = row->license_id,
		.from = asking->period.first * DAY_MS,
		.to = (asking->period.last + 1) * DAY_MS,
		.step = METERING_HOUR,
		.now = INT64_MIN,
	};
	int err = add_revenue(asking, row);

	if (err == 0 && row->checkouts > 0)
		err = metering_evidence(asking->metering, row->license_id, 0,
		    NULL, question.from, question.to, add_overage, asking);
	asking->license = (struct used){ .overage = row->checkouts };
	if (err == 0)
		err = metering_read(asking->metering, &question, add_hour,
		    asking);
	struct used *all = &asking->all;

	all->checkouts += asking->license.checkouts;
	all->seats += asking->license.seats;
	all->seat_ms += asking->license.seat_ms;
	all->denials += asking->license.denials;
	all->overage += row->checkouts;
	return err;
}

static void
fill_sums(struct asking *asking)
{
	const struct used *all = &asking->all;
	struct analytics *out = asking->out;

	out->checkouts = bounded(all->checkouts);
	out->seat_seconds = bounded(all->seat_ms / 1000);
	out->denials = bounded(all->denials);
	out->overage_percent = percent(all->overage, all->seats);
	for (uint32_t i = 0; i < asking->n_denied; i++)
		asking->denied[i].count = bounded(asking->denied[i].count);
	out->denied = (struct record_list){ asking->denied, asking->n_denied };
}

static void
fill_line(struct analytics_line *line, const struct asking *asking,
    const struct billing_overage *row)
{
	const struct license *license = newest(asking, row->license_id);
	const struct used *used = &asking->license;

	*line = (struct analytics_line){
		.commit_seats =
		    license != NULL ? license->entitlement.commit_qty : 0,
		.checkouts = bounded(used->checkouts),
		.seat_seconds = bounded(used->seat_ms / 1000),
		.peak_seats = used->peak,
		.denials = bounded(used->denials),
		.overage_checkouts = row->checkouts,
		.overage_percent = percent(row->checkouts, used->seats),
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
	fill_sums(asking);
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
	struct asking *asking = arena_alloc(arena, sizeof(*asking));
	size_t n;

	if (asking == NULL)
		return ERR_NOMEM;
	/* In the arena: the answer's lists are in it. */
	*asking = (struct asking){ .query = query,
		.gathered = &gathered,
		.metering = metering,
		.arena = arena,
		.out = reply };

	*reply = (struct analytics){ .licenses = 0 };
	if (billing_period_read(&asking->period, query->period,
		strlen(query->period)) != 0)
		return query_refuse(problem, ERR_BAD_REQUEST,
		    "period must be a month, 2026-11, or days, "
		    "2026-11-03/2026-11-20, at most %d of them",
		    BILLING_DAYS_MAX);
	asking->revenue = arena_alloc(arena,
	    ANALYTICS_CURRENCIES_MAX * sizeof(*asking->revenue));
	if (asking->revenue == NULL)
		return ERR_NOMEM;
	reply->revenue.items = asking->revenue;
	int err = billing_gather(&gathered, view, &whose, arena, problem);

	if (err == 0)
		err = billing_answer_rows(&rows, &n, &gathered, &asking->period,
		    query->customer_crm_id, metering, arena, problem);
	if (err == 0 && n == 0 && query->customer_crm_id[0] != '\0')
		return query_refuse(problem, ERR_NOT_FOUND,
		    "there is no license of customer %s",
		    query->customer_crm_id);
	if (err == 0)
		err = go_over(asking, rows, n);
	if (err == ERR_TOO_LARGE && problem->code[0] == '\0')
		err = query_refuse(problem, err,
		    "the sums do not fit: ask for a shorter period, or "
		    "customer by customer");
	return err;
}
