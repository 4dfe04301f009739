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

/* One turn of the thread for one tenant, so that all get theirs. */
#define TURN_MS 200
/* What somebody waits for may take so long more; then he gets what is there. */
#define CATCH_UP_MS 2000
/* A disk that is full is full for a while. */
#define AGAIN_MS 30000
/* Windows end without an event. */
#define LIMITS_EVERY_MS 10000

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

/* Pages of a view each: a snapshot stays short. */
static int
follow(bool *more, struct tenant *tenant, int64_t turn_ms)
{
	int64_t end = clock_boottime_ms() + turn_ms;
	int err = open_projection(tenant);

	*more = err == 0;
	while (err == 0 && *more && clock_boottime_ms() < end) {
		struct ledger_view *view;

		err = ledger_view_open(&view, tenant->ledger);
		if (err != 0)
			break;
		err = metering_feed(more, tenant->metering.metering, view);
		ledger_view_close(view);
	}
	return err;
}

int
metering_catch_up(bool *more, struct tenant *tenant)
{
	return follow(more, tenant, CATCH_UP_MS);
}

static void
run_follow(struct work *work)
{
	struct tenant_metering *metering = (struct tenant_metering *)work;

	metering->rc = follow(&metering->more, metering->tenant, TURN_MS);
}

/* --- in the loop -------------------------------------------------------------- */

static void
begin(struct tenant *tenant)
{
	struct tenant_metering *metering = &tenant->metering;

	metering->running = true;
	metering->due = false;
	worker_put(tenant->process->auditor, &metering->work);
}

static void
followed(struct work *work)
{
	struct tenant_metering *metering = (struct tenant_metering *)work;
	struct tenant *tenant = metering->tenant;
	const bool faulty = metering->rc != 0;

	metering->running = false;
	if (faulty && !metering->faulty)
		log_error("metering",
		    "tenant %s: what is used is journaled, but not counted: "
		    "the projection cannot be written (%s); it is tried again",
		    tenant->name, err_str(metering->rc));
	else if (!faulty && metering->faulty)
		log_info("metering", "tenant %s: what is used is counted again",
		    tenant->name);
	metering->faulty = faulty;
	metering->due |= faulty || metering->more;
	metering->again_at = faulty ? clock_boottime_ms() + AGAIN_MS : 0;
	if (metering->more && !faulty &&
	    tenant->process->phase != PHASE_DRAINING)
		begin(tenant);
}

void
metering_is_due(struct tenant *tenant)
{
	tenant->metering.due = true;
}

void
metering_tick(struct tenant *tenant)
{
	struct tenant_metering *metering = &tenant->metering;
	int64_t now = clock_boottime_ms();

	metering->tenant = tenant;
	metering->work.run = run_follow;
	metering->work.done = followed;
	if (metering->due && !metering->running && now >= metering->again_at)
		begin(tenant);
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
			    ALERT_USAGE_STAGE(limit->place, stages[i]) },
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
