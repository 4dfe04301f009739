/* Following journals for the metering projection, and events of metrics. See
 * metering_asked.h; what is asked of a period is in metering_period.c. */
#include "appliance/ledger/metering_asked.h"

#include "appliance/ledger/alerts.h"
#include "appliance/ledger/inside.h"
#include "appliance/ledger/ledger_usage.h"
#include "appliance/ledger/metering_feed.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdio.h>
#include <string.h>

/* Windows end without an event. */
#define LIMITS_EVERY_MS 10000
#define DAY_MS INT64_C(86400000)

/* --- on the auditor's thread ------------------------------------------------ */

static int
open_projection(struct tenant *tenant)
{
	const struct ledger_process_options *options = tenant->process->options;
	char path[SETUP_PATH_MAX], name[96];

	if (tenant->metering.metering != NULL)
		return 0;
	snprintf(name, sizeof(name), "tenants/%s/metering", tenant->name);
	int err = setup_path(path, options->state, name);

	return err == 0
	    ? metering_open(&tenant->metering.metering, path, 0, false)
	    : err;
}

/* Hours of single users and hosts, as long as the configuration says. */
static int
forget(bool *more, struct tenant *tenant)
{
	struct tenant_metering *metering = &tenant->metering;
	int64_t days = tenant->process->options->metering_person_days;
	int64_t before = process_now(tenant->process) - days * DAY_MS;

	before -= before % METERING_HOUR_MS;
	if (days == 0 || before <= metering->forgot)
		return 0;
	int err = metering_forget_people(more, metering->metering, before);

	if (err == 0 && !*more)
		metering->forgot = before;
	return err;
}

static int
feed(bool *more, struct tenant *tenant, struct ledger_view *view)
{
	int err = metering_feed(more, tenant->metering.metering, view);

	return err == 0 && !*more ? forget(more, tenant) : err;
}

static const struct following_kind kind = {
	.part = "metering",
	.lost = "what is used is journaled, but not counted",
	.again = "what is used is counted",
	.open = open_projection,
	.feed = feed,
};

int
metering_catch_up(bool *more, struct tenant *tenant)
{
	return following_catch_up(more, &kind, tenant);
}

/* --- in the loop -------------------------------------------------------------- */

void
metering_is_due(struct tenant *tenant)
{
	tenant->metering.following.due = true;
}

void
metering_tick(struct tenant *tenant)
{
	struct tenant_metering *metering = &tenant->metering;
	int64_t now = clock_boottime_ms();

	if (tenant->process->options->metering_person_days != 0 &&
	    (metering->forget_looked == 0 ||
		now - metering->forget_looked >= METERING_HOUR_MS)) {
		metering->forget_looked = now;
		metering_is_due(tenant);
	}
	following_tick(&metering->following, &kind, tenant);
}

void
metering_end(struct tenant *tenant)
{
	metering_close(tenant->metering.metering);
	tenant->metering.metering = NULL;
}

/* --- limits that are nearly used up ------------------------------------------------ */

/* The stage names the limit by its place in the license, and how far it is. */
static int
watch_limit(void *ctx, const struct ledger_limit *limit)
{
	static const uint32_t stages[] = { 80, 100 };
	struct tenant *tenant = ctx;

	for (size_t i = 0; i < 2; i++) {
		const struct alert_fact fact = {
			.subject = { ALERT_USAGE_LIMIT, ALERT_OF_LICENSE,
			    limit->license,
			    ALERT_LIMIT_STAGE(limit->place, stages[i]) },
			.value = limit->used,
			.limit = limit->amount,
		};

		alert_set(tenant, &fact,
		    alert_crosses(alert_is_on(tenant, &fact.subject),
			limit->percent, stages[i], stages[i] - 5));
	}
	return 0;
}

static int
watch_status(void *ctx, uint64_t license, uint32_t status)
{
	struct tenant *tenant = ctx;
	struct alert_fact fact = {
		.subject = { ALERT_LICENSE_STATUS, ALERT_OF_LICENSE, license,
		    LICENSE_IS_SUSPENDED },
	};

	alert_set(tenant, &fact, status == LICENSE_IS_SUSPENDED);
	fact.subject.stage = LICENSE_IS_CANCELLED;
	alert_set(tenant, &fact, status == LICENSE_IS_CANCELLED);
	return 0;
}

void
metering_watch(struct tenant *tenant)
{
	struct tenant_metering *metering = &tenant->metering;
	int64_t now = clock_boottime_ms();
	struct ledger_view *view;

	if (!metering->limits_due &&
	    now - metering->limits_looked < LIMITS_EVERY_MS)
		return;
	metering->limits_due = false;
	metering->limits_looked = now;
	if (ledger_view_open(&view, tenant->ledger) != 0)
		return;
	ledger_each_limit(view, process_now(tenant->process), watch_limit,
	    watch_status, tenant);
	ledger_view_close(view);
}

/* --- events ------------------------------------------------------------------------ */

/* A refusal is a fact (DESIGN 5), also of one among many. */
static void
note_refused(struct call *call)
{
	const struct command *command = &call->write.command;
	const struct usage_track *asked = call->request;
	const struct usage_event *events = asked->events.items;
	const struct usage_result *results =
	    command->reply.usage_tracked.results.items;
	bool alone = command->err != 0;
	uint32_t n = alone ? 1 : command->reply.usage_tracked.results.count;

	if (command->who.kind != ACTOR_DEVICE && command->who.kind != ACTOR_KEY)
		return;
	static const uint8_t no_print[32];

	for (uint32_t i = 0; i < n; i++) {
		const char *code =
		    alone ? err_code(command->err) : results[i].code;
		uint64_t license =
		    alone ? command->license : results[i].license;

		if (strcmp(code, err_code(ERR_QUOTA_EXCEEDED)) != 0 &&
		    strcmp(code, err_code(ERR_LICENSE_SUSPENDED)) != 0)
			continue;
		struct denial *denial = denials_add(&call->tenant->denials,
		    command->who.id, license, events[i].product, code,
		    process_now(call->process));

		if (command->who.kind == ACTOR_KEY)
			denials_say_from(denial, command->who.address, "",
			    events[i].user, no_print);
	}
}

static void
finish_track(struct call *call)
{
	call->tenant->metering.limits_due = true;
	if (call->write.command.err != 0)
		call->process->counts.refused++;
	note_refused(call);
	call_answer(call);
}

void
usage_track_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_track;
	call_commit(call);
}
