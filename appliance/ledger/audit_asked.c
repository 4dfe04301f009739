/* Following journals, and what is asked of them. See audit_asked.h. */
#include "appliance/ledger/audit_asked.h"

#include "appliance/ledger/auditing.h"
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define PRUNE_EVERY_MS (INT64_C(3600) * 1000)

/* --- on the auditor's thread ------------------------------------------------ */

static int
open_projection(struct tenant *tenant)
{
	const struct ledger_process_options *options = tenant->process->options;
	char path[SETUP_PATH_MAX], name[96];

	if (tenant->audit.audit != NULL)
		return 0;
	snprintf(name, sizeof(name), "tenants/%s/audit", tenant->name);
	int err = setup_path(path, options->state, name);

	return err == 0 ? audit_open(&tenant->audit.audit, path, 0, false)
			: err;
}

static int64_t
keep_from(const struct tenant *tenant)
{
	int64_t days = tenant->process->options->audit_keep_days;

	return days == 0 ? INT64_MIN
			 : process_now(tenant->process) - days * DAY_MS;
}

static int
feed(bool *more, struct tenant *tenant, struct ledger_view *view)
{
	return auditing_follow(more, tenant->audit.audit, view,
	    keep_from(tenant));
}

static const struct following_kind kind = {
	.part = "audit",
	.lost = "what happens is journaled, but searches do not find it",
	.again = "searches find everything",
	.open = open_projection,
	.feed = feed,
};

int
audit_catch_up(bool *more, struct tenant *tenant)
{
	return following_catch_up(more, &kind, tenant);
}

/* --- in the loop -------------------------------------------------------------- */

void
audit_is_due(struct tenant *tenant)
{
	tenant->audit.following.due = true;
}

void
audit_tick(struct tenant *tenant)
{
	struct tenant_audit *audit = &tenant->audit;
	int64_t now = clock_boottime_ms();

	if (tenant->process->options->audit_keep_days != 0 &&
	    now - audit->pruned_at >= PRUNE_EVERY_MS) {
		audit->pruned_at = now;
		audit_is_due(tenant);
	}
	following_tick(&audit->following, &kind, tenant);
}

void
audit_end(struct tenant *tenant)
{
	audit_close(tenant->audit.audit);
	tenant->audit.audit = NULL;
}

/* --- what is asked -------------------------------------------------------------- */

static void
run_search(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct tenant *tenant = call->tenant;
	struct ledger_view *view;
	bool more;

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	if (call->reply == NULL) {
		command->err = ERR_NOMEM;
		return;
	}
	/* What was journaled before the question is found by it. One that
	 * cannot be written says how far it is. */
	command->err = open_projection(tenant);
	if (command->err == 0 && audit_catch_up(&more, tenant) == ERR_NOMEM)
		command->err = ERR_NOMEM;
	if (command->err == 0)
		command->err = ledger_view_open(&view, tenant->ledger);
	if (command->err != 0)
		return;
	command->err = auditing_search(call->reply, tenant->audit.audit, view,
	    call->request, &call->arena, &command->problem);
	ledger_view_close(view);
}

static int
tell_state(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct ledger_view *view;
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = auditing_state(call->reply, tenant->audit.audit, view,
	    (uint32_t)tenant->process->options->audit_keep_days);
	ledger_view_close(view);
	return err;
}

static void
run_state(struct work *work)
{
	struct call *call = (struct call *)work;
	int err = open_projection(call->tenant);

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	if (err == 0 && call->reply == NULL)
		err = ERR_NOMEM;
	if (err == 0 && call->op->id == OP_AUDIT_REBUILD)
		err = audit_clear(call->tenant->audit.audit);
	call->write.command.err = err == 0 ? tell_state(call) : err;
}

static void
finish_asked(struct call *call)
{
	if (call->write.command.err != 0)
		call->process->counts.refused++;
	audit_is_due(call->tenant);
	call_answer(call);
}

static void
ask(const struct request *request, void (*run)(struct work *work))
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_asked;
	call_audit(call, run);
}

void
audit_search_asked(const struct request *request)
{
	ask(request, run_search);
}

void
audit_state_asked(const struct request *request)
{
	ask(request, run_state);
}

void
audit_rebuild_asked(const struct request *request)
{
	ask(request, run_state);
}
