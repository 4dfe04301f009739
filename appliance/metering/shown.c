/* On a hub: what reports of sites showed, into lines. See metering.h. */
#include "appliance/metering/inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

/* --- overage that a hub was shown ------------------------------------------------ */

static int
count_shown(struct metering_txn *txn, const struct row_shown_overage *shown)
{
	struct metering_line line = { .scope = METERING_PRICED,
		.serial = shown->serial };
	struct hot *hot;

	text_copy(line.license, sizeof(line.license), shown->license_id);
	text_copy(line.feature, sizeof(line.feature), shown->feature);
	int err = hot_named(&hot, txn, &line);

	/* When it was granted there, not when it came here. */
	if (err == 0)
		err = hot_enter(txn, hot, hour_of(shown->time));
	if (err != 0)
		return err;
	hour_overage(&hot->hour.seats, shown->first, shown->count);
	hot->hour_dirty = true;
	return metering_put_overage(txn, hot->line, shown->row, shown->time,
	    shown->first, shown->count, shown->lease);
}

static int
show(struct metering_txn *txn, const struct row_report_shown *r)
{
	const struct row_shown_overage *shown = r->overage.items;
	int err = 0;

	for (uint32_t i = 0; i < r->overage.count && err == 0; i++)
		if (shown[i].billed && !shown[i].again)
			err = count_shown(txn, &shown[i]);
	return err;
}

/* --- metrics that a hub was shown -------------------------------------------------- */

static int
add_shown(struct metering_txn *txn, const struct row_shown_metric *shown)
{
	struct metering_line line = { .scope = METERING_METRIC,
		.serial = shown->serial };
	const uint32_t hour = hour_of(shown->start);
	const bool gauge = shown->kind == USAGE_GAUGE;
	struct hot *hot;

	if (shown->metric[0] == '\0')
		return metering_end_gauges(txn, shown->license_id, NULL,
		    shown->serial, hour, true);
	text_copy(line.license, sizeof(line.license), shown->license_id);
	text_copy(line.feature, sizeof(line.feature), shown->metric);
	int err = hot_named(&hot, txn, &line);

	if (err == 0)
		err = hot_enter(txn, hot, hour);
	if (err != 0)
		return err;
	struct metering_metric *metric = &hot->hour.metric;

	/* As if each event came by itself: see set_gauge(), count_amount(). */
	if (gauge && metric->events == 0 && hot->state.gauge &&
	    hot->state.value > metric->max)
		metric->max = hot->state.value;
	metric->kind = gauge ? METERING_GAUGE : METERING_COUNTER;
	metric->events = hour_sum(metric->events, shown->events);
	metric->sum = hour_sum(metric->sum, shown->sum);
	metric->max = shown->max > metric->max ? shown->max : metric->max;
	metric->last = shown->last;
	hot->hour_dirty = true;
	if (gauge) {
		hot->state.gauge = hot->state_dirty = true;
		hot->state.value = shown->last;
	}
	return 0;
}

static int
add_all_shown(struct metering_txn *txn, const struct row_report_metrics *r)
{
	const struct row_shown_metric *shown = r->metrics.items;
	int err = 0;

	for (uint32_t i = 0; i < r->metrics.count && err == 0; i++)
		if (shown[i].billed)
			err = add_shown(txn, &shown[i]);
	return err;
}

/* --- seats that a hub was shown ----------------------------------------------------- */

/* What is said of an hour takes the place of what was: the next report knows
 * more of it. Overage is counted by the rows that prove it. */
static int
set_shown(struct metering_txn *txn, const struct row_shown_seats *shown)
{
	const struct row_shown_denial *denied = shown->denied.items;
	struct metering_line line = { .scope = METERING_PRICED,
		.serial = shown->serial };
	struct hot *hot;

	text_copy(line.license, sizeof(line.license), shown->license_id);
	text_copy(line.feature, sizeof(line.feature), shown->feature);
	int err = hot_named(&hot, txn, &line);

	if (err == 0)
		err = hot_enter(txn, hot, hour_of(shown->start));
	if (err != 0)
		return err;
	struct metering_seats *seats = &hot->hour.seats;

	*seats = (struct metering_seats){
		.checkouts = shown->checkouts,
		.seats = shown->seats,
		.borrows = shown->borrows,
		.peak = shown->peak,
		.seat_ms = shown->seat_ms,
		.borrow_ms = shown->borrow_ms,
		.overage = seats->overage,
		.overage_first = seats->overage_first,
		.overage_last = seats->overage_last,
		.denials = shown->denials,
	};
	for (uint32_t i = 0; i < shown->denied.count; i++)
		hour_deny(seats, denied[i].code, denied[i].count);
	hot->hour_dirty = true;
	return 0;
}

static int
set_all_shown(struct metering_txn *txn, const struct row_report_seats *r)
{
	const struct row_shown_seats *shown = r->hours.items;
	int err = 0;

	for (uint32_t i = 0; i < r->hours.count && err == 0; i++)
		if (shown[i].issued)
			err = set_shown(txn, &shown[i]);
	return err;
}

int
metering_shown(struct metering_txn *txn, const struct row *row)
{
	if (row->kind == ROW_REPORT_SHOWN)
		return show(txn, &row->u.report_shown);
	if (row->kind == ROW_REPORT_METRICS)
		return add_all_shown(txn, &row->u.report_metrics);
	return set_all_shown(txn, &row->u.report_seats);
}
