/* What is used now, of seats and named metrics, and limits that are nearly used
 * up: from the state, so that it is what the next decision will see. */
#include "appliance/ledger/ledger_alert.h"
#include "appliance/ledger/ledger_usage.h"
#include "appliance/ledger/metered.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Licenses, and alerts, of one answer. */
#define LICENSES_MAX 4096
#define ALERTS_PAGE 1000

struct metrics {
	struct arena *arena;
	const struct license *terms;
	struct usage_metric_view *items;
	uint32_t n, size;
};

static int
add_limits(struct usage_metric_view *view, const struct metrics *metrics,
    const struct state_metric *metric)
{
	const struct license_limit *limits = metrics->terms->limits.items;
	uint32_t count = metrics->terms->limits.count, n = 0;
	struct usage_limit_view *items =
	    arena_alloc(metrics->arena, (count + 1) * sizeof *items);

	if (items == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(limits[i].metric, metric->metric) != 0)
			continue;
		uint64_t used = metered_used(metric, limits[i].per);

		items[n++] = (struct usage_limit_view){ .per = limits[i].per,
			.amount = limits[i].amount,
			.soft = limits[i].soft,
			.used = used,
			.percent = metered_percent(used, limits[i].amount) };
	}
	view->limits = (struct record_list){ items, n };
	return 0;
}

static int
add_metric(void *ctx, const struct state_metric *metric)
{
	struct metrics *metrics = ctx;

	if (metrics->n == metrics->size)
		return ERR_TOO_LARGE;
	struct usage_metric_view *view = &metrics->items[metrics->n++];

	*view = (struct usage_metric_view){ .kind = metric->kind,
		.value = metric->value,
		.this_minute = metric->in_minute,
		.today = metric->in_day,
		.this_month = metric->in_month,
		.last_at = metric->at };
	text_copy(view->metric, sizeof view->metric, metric->metric);
	return add_limits(view, metrics, metric);
}

/* Metrics that have a limit and were never told of. */
static int
add_unused(struct metrics *metrics)
{
	const struct license_limit *limits = metrics->terms->limits.items;
	int err = 0;

	for (uint32_t i = 0; i < metrics->terms->limits.count && err == 0;
	     i++) {
		struct state_metric none = {
			.kind = limits[i].per == LICENSE_AT_ONCE ? USAGE_GAUGE
								 : USAGE_COUNTER
		};
		uint32_t at = 0;

		while (at < metrics->n &&
		    strcmp(metrics->items[at].metric, limits[i].metric) != 0)
			at++;
		text_copy(none.metric, sizeof none.metric, limits[i].metric);
		if (at == metrics->n)
			err = add_metric(metrics, &none);
	}
	return err;
}

static int
fill_license(struct usage_license_view *view, struct query *q,
    const struct state_license *license)
{
	const struct license *terms = &license->document;
	struct metrics metrics = { .arena = q->arena,
		.terms = terms,
		.size = METERED_METRICS_MAX + LICENSE_LIMITS_MAX };
	const struct pool_id id = { license->license, 0 };
	struct state_status status;
	struct state_pool pool;
	int err = state_pool(&pool, &q->view->state, id);

	if (err == 0)
		err = state_status(&status, &q->view->state, license->license);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*view = (struct usage_license_view){
		.status = state_status_at(&status, terms, q->now_ms),
		.tier = terms->tier,
		.used = pool.commit + pool.overage,
		.total = pool.seats.total,
		.overage_checkouts = pool.overage_checkouts,
	};
	text_copy(view->license_id, sizeof view->license_id, terms->license_id);
	text_copy(view->product, sizeof view->product, terms->product.id);
	metrics.items =
	    arena_alloc(q->arena, metrics.size * sizeof *metrics.items);
	if (metrics.items == NULL)
		return ERR_NOMEM;
	err = state_each_metric(&q->view->state, license->license, q->now_ms,
	    add_metric, &metrics);
	if (err == 0)
		err = add_unused(&metrics);
	view->metrics = (struct record_list){ metrics.items, metrics.n };
	return err;
}

int
query_usage(struct query *q)
{
	struct usage_current *out = q->reply;
	uint64_t end = q->view->state.counters.next_license;
	uint64_t n = end - 1 > LICENSES_MAX ? LICENSES_MAX : end - 1;
	struct usage_license_view *items =
	    arena_alloc(q->arena, (n + 1) * sizeof *items);
	int err = items == NULL ? ERR_NOMEM : 0;

	for (uint64_t i = 0; i < n && err == 0; i++) {
		const struct state_license *license;

		err = state_license(&license, &q->view->state, i + 1, q->arena);
		if (err == 0)
			err = fill_license(&items[i], q, license);
	}
	*out = (struct usage_current){ .at = q->now_ms,
		.licenses = { items, (uint32_t)n } };
	return err;
}

/* --- alerts ------------------------------------------------------------------- */

struct alerts_of_usage {
	struct query *q;
	struct alert_view *items;
	uint32_t n;
};

static int
add_alert(void *ctx, const struct state_alert *alert)
{
	struct alerts_of_usage *found = ctx;

	if ((alert->subject.kind != ALERT_USAGE_LIMIT &&
		alert->subject.kind != ALERT_LICENSE_STATUS) ||
	    found->n == ALERTS_PAGE)
		return 0;
	return ledger_alert_view(&found->items[found->n++], found->q->view,
	    alert);
}

int
query_usage_alerts(struct query *q)
{
	struct alert_page *out = q->reply;
	struct alerts_of_usage found = { .q = q };

	found.items = arena_alloc(q->arena, ALERTS_PAGE * sizeof *found.items);
	if (found.items == NULL)
		return ERR_NOMEM;
	int err = ledger_each_alert(q->view, add_alert, &found);

	*out = (struct alert_page){ .items = { found.items, found.n } };
	return err;
}

/* --- for the process around ------------------------------------------------------ */

static int
tell_limits(struct ledger_view *view, const struct state_license *license,
    int64_t now_ms, int (*each)(void *ctx, const struct ledger_limit *limit),
    void *ctx)
{
	const struct license_limit *limits = license->document.limits.items;
	uint32_t n = license->document.limits.count;
	int err = 0;

	for (uint32_t i = 0; i < n && err == 0; i++) {
		struct state_metric metric = { .events = 0 };
		struct ledger_limit limit = { .license = license->license,
			.place = i,
			.amount = limits[i].amount };

		err = state_metric(&metric, &view->state, license->license,
		    limits[i].metric, now_ms);
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
		limit.used = metered_used(&metric, limits[i].per);
		limit.percent = metered_percent(limit.used, limit.amount);
		if (err == 0)
			err = each(ctx, &limit);
	}
	return err;
}

int
ledger_each_limit(struct ledger_view *view, int64_t now_ms,
    int (*limit)(void *ctx, const struct ledger_limit *limit),
    int (*status)(void *ctx, uint64_t license, uint32_t status), void *ctx)
{
	struct arena arena = { .chunks = NULL };
	int err = 0;

	for (uint64_t i = 1; i < view->state.counters.next_license && err == 0;
	     i++) {
		const struct state_license *license;
		struct state_status is;

		arena_clear(&arena);
		err = state_license(&license, &view->state, i, &arena);
		if (err == 0)
			err = tell_limits(view, license, now_ms, limit, ctx);
		if (err == 0)
			err = state_status(&is, &view->state, i);
		if (err == 0)
			err = status(ctx, i,
			    state_status_at(&is, &license->document, now_ms));
	}
	arena_release(&arena);
	return err;
}

int
ledger_subject_name(char *out, size_t size, struct ledger_view *view,
    const uint8_t id[SUBJECT_BYTES])
{
	return view_subject(out, size, view, id);
}
