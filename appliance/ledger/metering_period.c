/* What was used in a period: the report and its lines. See metering_asked.h. */
#include "appliance/ledger/inside.h"
#include "appliance/ledger/ledger_usage.h"
#include "appliance/ledger/metering_asked.h"
#include "appliance/ledger/metering_feed.h"
#include "appliance/ledger/metering_groups.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define STATS_DEFAULT 100

/* --- the period --------------------------------------------------------------- */

struct period {
	int32_t first, last;
	int64_t from, to, now;
};

static int
refuse_period(struct command *command)
{
	problem_set(&command->problem, ERR_BAD_REQUEST, NULL,
	    "period is two days, like 2026-11-01,2026-11-30, at most %d of "
	    "them",
	    USAGE_DAYS_MAX);
	text_copy(command->problem.field, sizeof(command->problem.field),
	    "period");
	return ERR_BAD_REQUEST;
}

/* "2026-11-01,2026-11-30"; "": from the first of this month to today. */
static int
read_period(struct period *period, const char *text, struct call *call)
{
	const char *comma = strchr(text, ',');
	char month[CLOCK_TEXT_SIZE];

	period->now = process_now(call->process);
	period->last = (int32_t)(period->now / DAY_MS);
	clock_format_date(month, period->last);
	memcpy(month + 8, "01", 2);
	clock_parse_date(&period->first, month, strlen(month));
	if (text[0] != '\0' &&
	    (comma == NULL ||
		clock_parse_date(&period->first, text,
		    (size_t)(comma - text)) != 0 ||
		clock_parse_date(&period->last, comma + 1, strlen(comma + 1)) !=
		    0))
		return refuse_period(&call->write.command);
	if (period->first < 0 || period->last < period->first ||
	    period->last - period->first >= USAGE_DAYS_MAX)
		return refuse_period(&call->write.command);
	period->from = period->first * DAY_MS;
	period->to = ((int64_t)period->last + 1) * DAY_MS;
	return 0;
}

/* --- the report ----------------------------------------------------------------- */

struct reporting {
	struct metering *metering;
	const char *license; /* NULL: all */
	struct period period;
	struct usage_report *reply;
	struct usage_day *days; /* one for each */
	bool used[USAGE_DAYS_MAX];
	uint64_t errors, times, answers;
	uint64_t seat_ms;
};

static struct usage_day *
day_of(struct reporting *reporting, int64_t time)
{
	int32_t day = (int32_t)(time / DAY_MS) - reporting->period.first;

	reporting->used[day] = true;
	return &reporting->days[day];
}

static int
add_seats(void *ctx, const struct metering_rollup *rollup)
{
	struct reporting *reporting = ctx;
	struct usage_summary *summary = &reporting->reply->usageReport.summary;
	struct usage_day *day = day_of(reporting, rollup->start);

	day->checkouts += rollup->seats.checkouts;
	day->denials += rollup->seats.denials;
	day->overage += rollup->seats.overage;
	day->peakConcurrency = rollup->seats.peak;
	summary->checkouts += rollup->seats.checkouts;
	summary->denials += rollup->seats.denials;
	summary->overage += rollup->seats.overage;
	if (rollup->seats.peak > summary->peakConcurrency)
		summary->peakConcurrency = rollup->seats.peak;
	reporting->seat_ms += rollup->seats.seat_ms;
	return 0;
}

static uint64_t
bound(uint64_t value)
{
	return value > U53_MAX ? U53_MAX : value;
}

static uint64_t
sum(uint64_t a, uint64_t b)
{
	return bound(bound(a) + bound(b));
}

/* Metrics whose names mean something here. Of gauges of several licenses the
 * sum: users of one and of another. */
static int
add_metric(void *ctx, const struct metering_rollup *rollup)
{
	struct reporting *reporting = ctx;
	const struct metering_metric *metric = &rollup->metric;
	const char *name = rollup->line.feature;
	struct usage_day *day = day_of(reporting, rollup->start);

	if (strcmp(name, "api_calls") == 0) {
		struct usage_summary *summary =
		    &reporting->reply->usageReport.summary;

		day->apiCalls = sum(day->apiCalls, metric->sum);
		summary->totalApiCalls =
		    sum(summary->totalApiCalls, metric->sum);
	} else if (strcmp(name, "api_errors") == 0) {
		reporting->errors = sum(reporting->errors, metric->sum);
	} else if (strcmp(name, "response_time_ms") == 0) {
		reporting->times = sum(reporting->times, metric->sum);
		reporting->answers += metric->events;
	} else if (strcmp(name, "users") == 0) {
		day->users = sum(day->users, metric->max);
	} else if (strcmp(name, "storage_mb") == 0) {
		day->storageUsed = sum(day->storageUsed, metric->max);
	} else if (strcmp(name, "bandwidth_gb") == 0) {
		day->bandwidthUsed = sum(day->bandwidthUsed, metric->sum);
	}
	return 0;
}

static void
finish_summary(struct reporting *reporting)
{
	struct usage_report_body *body = &reporting->reply->usageReport;
	struct usage_summary *summary = &body->summary;
	int32_t days = reporting->period.last - reporting->period.first + 1;
	char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];
	uint64_t calls = summary->totalApiCalls;
	uint32_t n = 0;

	clock_format_date(first, reporting->period.first);
	clock_format_date(last, reporting->period.last);
	snprintf(body->period, sizeof(body->period), "%.10s,%.10s", first,
	    last);
	snprintf(summary->averageResponseTime,
	    sizeof(summary->averageResponseTime), "%.3f",
	    reporting->answers == 0
		? 0.0
		: (double)reporting->times / (double)reporting->answers);
	snprintf(summary->errorRate, sizeof(summary->errorRate), "%.4f",
	    calls == 0 ? 0.0 : (double)reporting->errors / (double)calls);
	summary->seatHours = reporting->seat_ms / (uint64_t)METERING_HOUR_MS;
	for (int32_t i = 0; i < days; i++) {
		if (!reporting->used[i])
			continue;
		reporting->days[n] = reporting->days[i];
		reporting->days[n++].date = reporting->period.first + i;
	}
	body->dailyBreakdown = (struct record_list){ reporting->days, n };
	reporting->reply->success = true;
}

static int
report(struct reporting *reporting)
{
	struct metering_question question = {
		.scope = reporting->license == NULL ? METERING_TENANT
						    : METERING_LICENSE,
		.license = reporting->license,
		.from = reporting->period.from,
		.to = reporting->period.to,
		.step = METERING_DAY,
		.now = reporting->period.now,
	};
	int err =
	    metering_read(reporting->metering, &question, add_seats, reporting);

	question.scope = METERING_METRIC;
	if (err == 0)
		err = metering_read(reporting->metering, &question, add_metric,
		    reporting);
	if (err == 0)
		finish_summary(reporting);
	return err;
}

/* What was journaled before the question is in the answer; what cannot be
 * written says how far it is. */
static int
prepare(uint64_t *behind, struct tenant *tenant)
{
	struct ledger_view *view;
	bool more;
	int err = metering_catch_up(&more, tenant);

	if (tenant->metering.metering == NULL || err == ERR_NOMEM)
		return err != 0 ? err : ERR_UNAVAILABLE;
	err = ledger_view_open(&view, tenant->ledger);
	if (err != 0)
		return err;
	err = metering_behind(behind, tenant->metering.metering, view);
	ledger_view_close(view);
	return err;
}

static void
run_report(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct usage_query *query = call->request;
	struct reporting *reporting =
	    arena_alloc(&call->arena, sizeof(*reporting));
	struct usage_report *reply = arena_alloc(&call->arena, sizeof(*reply));
	int err = reporting == NULL || reply == NULL ? ERR_NOMEM : 0;

	if (err == 0) {
		memset(reporting, 0, sizeof(*reporting));
		memset(reply, 0, sizeof(*reply));
		err = read_period(&reporting->period, query->period, call);
	}
	if (err == 0) {
		size_t days =
		    (size_t)(reporting->period.last - reporting->period.first) +
		    1;

		reporting->days =
		    arena_alloc(&call->arena, days * sizeof(*reporting->days));
		err = reporting->days == NULL ? ERR_NOMEM : 0;
		if (err == 0)
			memset(reporting->days, 0,
			    days * sizeof(*reporting->days));
	}
	if (err == 0)
		err = prepare(&reply->behind, call->tenant);
	if (err == 0) {
		reporting->metering = call->tenant->metering.metering;
		reporting->license =
		    query->license_id[0] == '\0' ? NULL : query->license_id;
		reporting->reply = reply;
		err = report(reporting);
	}
	call->reply = reply;
	call->write.command.err = err;
}

/* --- lines -------------------------------------------------------------------------- */

struct listing {
	struct ledger_view *view;
	struct arena *arena;
	const struct usage_stats_query *query;
	struct usage_line *items;
	uint64_t seen;
	uint32_t limit, n;
	bool more;
};

static int
add_denied(struct usage_line *line, const struct metering_seats *seats,
    struct arena *arena)
{
	struct usage_denied *denied;

	if (seats->n_denied == 0)
		return 0;
	denied = arena_alloc(arena, seats->n_denied * sizeof(*denied));
	if (denied == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < seats->n_denied; i++) {
		denied[i] =
		    (struct usage_denied){ .count = seats->denied[i].count };
		text_copy(denied[i].code, sizeof(denied[i].code),
		    seats->denied[i].code);
	}
	line->denied = (struct record_list){ denied, seats->n_denied };
	return 0;
}

static void
fill_numbers(struct usage_line *line, const struct metering_rollup *rollup)
{
	const struct metering_seats *seats = &rollup->seats;
	const struct metering_metric *metric = &rollup->metric;

	line->from = rollup->start;
	line->to = rollup->end;
	line->serial = rollup->line.serial;
	line->checkouts = seats->checkouts;
	line->seats = seats->seats;
	line->borrows = seats->borrows;
	line->peak = seats->peak;
	line->seat_seconds = bound(seats->seat_ms / 1000);
	line->borrow_seconds = bound(seats->borrow_ms / 1000);
	line->overage = seats->overage;
	line->overage_first = seats->overage_first;
	line->overage_last = seats->overage_last;
	line->denials = bound(seats->denials);
	line->events = metric->events;
	line->sum = bound(metric->sum);
	line->max = bound(metric->max);
	line->last = bound(metric->last);
}

#define PAGE_FULL 1

static int
add_line(void *ctx, const struct metering_rollup *rollup)
{
	struct listing *listing = ctx;
	struct usage_line *line = &listing->items[listing->n];
	int err = 0;

	if (listing->seen++ < listing->query->after)
		return 0;
	if (listing->n == listing->limit) {
		listing->more = true;
		return PAGE_FULL;
	}
	*line = (struct usage_line){ .from = rollup->start };
	text_copy(line->license_id, sizeof(line->license_id),
	    rollup->line.license);
	if (rollup->line.scope == METERING_METRIC)
		text_copy(line->metric, sizeof(line->metric),
		    rollup->line.feature);
	else
		text_copy(line->feature, sizeof(line->feature),
		    rollup->line.feature);
	fill_numbers(line, rollup);
	if (rollup->line.scope == METERING_USER)
		err = ledger_subject_name(line->user, sizeof(line->user),
		    listing->view, rollup->line.subject);
	else if (rollup->line.scope == METERING_HOST)
		err =
		    ledger_subject_name(line->hostname, sizeof(line->hostname),
			listing->view, rollup->line.subject);
	if (err == 0)
		err = add_denied(line, &rollup->seats, listing->arena);
	listing->n += err == 0;
	return err;
}

static int
list_groups(struct usage_page *reply, struct call *call,
    struct listing *listing, const struct metering_question *lines)
{
	const struct metering_groups_question question = { *lines,
		listing->query->after, listing->limit };
	struct command *command = &call->write.command;
	int err = ERR_TOO_LARGE;

	if (lines->step != METERING_HOUR)
		err = metering_list_groups(reply, listing->items, &question,
		    call->tenant->metering.metering, listing->view,
		    &call->arena);
	if (err != ERR_TOO_LARGE)
		return err;
	problem_set(&command->problem, ERR_BAD_REQUEST, NULL,
	    "groups are not told by the hour, and of %d days and groups at "
	    "most: ask for fewer days, or by month",
	    METERING_GROUP_CELLS_MAX);
	text_copy(command->problem.field, sizeof(command->problem.field),
	    "step");
	return ERR_BAD_REQUEST;
}

static int
list(struct usage_page *reply, struct call *call, const struct period *period)
{
	static const enum metering_scope scopes[] = {
		[USAGE_BY_FEATURE] = METERING_FEATURE,
		[USAGE_BY_LICENSE] = METERING_LICENSE,
		[USAGE_BY_SERIAL] = METERING_PRICED,
		[USAGE_BY_USER] = METERING_USER,
		[USAGE_BY_HOST] = METERING_HOST,
		[USAGE_BY_METRIC] = METERING_METRIC,
		[USAGE_BY_GROUP] = METERING_USER,
	};
	static const enum metering_step steps[] = {
		[USAGE_WHOLE] = METERING_WHOLE,
		[USAGE_HOUR] = METERING_HOUR,
		[USAGE_DAY] = METERING_DAY,
		[USAGE_MONTH] = METERING_MONTH,
	};
	const struct usage_stats_query *query = call->request;
	struct listing listing = { .arena = &call->arena,
		.query = query,
		.limit = query->limit != 0 ? query->limit : STATS_DEFAULT };
	const struct metering_question question = {
		.scope = scopes[query->by],
		.license =
		    query->license_id[0] == '\0' ? NULL : query->license_id,
		.from = period->from,
		.to = period->to,
		.step = steps[query->step],
		.now = period->now,
	};

	listing.items =
	    arena_alloc(&call->arena, listing.limit * sizeof(*listing.items));
	if (listing.items == NULL)
		return ERR_NOMEM;
	int err = ledger_view_open(&listing.view, call->tenant->ledger);

	if (err != 0)
		return err;
	if (query->by == USAGE_BY_GROUP) {
		err = list_groups(reply, call, &listing, &question);
		ledger_view_close(listing.view);
		return err;
	}
	err = metering_read(call->tenant->metering.metering, &question,
	    add_line, &listing);
	ledger_view_close(listing.view);
	reply->items = (struct record_list){ listing.items, listing.n };
	reply->next = listing.more ? query->after + listing.n : 0;
	return err == PAGE_FULL ? 0 : err;
}

static void
run_stats(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct usage_stats_query *query = call->request;
	struct usage_page *reply = arena_alloc(&call->arena, sizeof(*reply));
	struct period period;
	int err = reply == NULL ? ERR_NOMEM : 0;

	if (err == 0) {
		*reply = (struct usage_page){ .next = 0 };
		err = read_period(&period, query->period, call);
	}
	if (err == 0)
		err = prepare(&reply->behind, call->tenant);
	if (err == 0)
		err = list(reply, call, &period);
	call->reply = reply;
	call->write.command.err = err;
}

static void
finish_period(struct call *call)
{
	if (call->write.command.err != 0)
		call->process->counts.refused++;
	metering_is_due(call->tenant);
	call_answer(call);
}

static void
ask(const struct request *request, void (*run)(struct work *work))
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_period;
	call_audit(call, run);
}

void
usage_report_asked(const struct request *request)
{
	ask(request, run_report);
}

void
usage_stats_asked(const struct request *request)
{
	ask(request, run_stats);
}
