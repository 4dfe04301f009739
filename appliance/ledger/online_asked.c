/* How far each hub is told, and now, please: sync.status and sync.now. */
#include "appliance/ledger/online_private.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static void
show(struct sync_vendor_view *view, const struct tenant *tenant)
{
	const struct online_vendor *v = online_find(tenant, view->vendor);
	const char *own = tenant->process->options->sync.hub;

	if (view->hub[0] == '\0' && own != NULL)
		text_copy(view->hub, sizeof(view->hub), own);
	if (v == NULL)
		return;
	view->under_way = v->phase != ONLINE_IDLE || v->asked;
	view->failures = v->failures;
	view->tried_at = v->tried_at;
	view->synced_at = v->synced_at;
	text_copy(view->failed, sizeof(view->failed), v->failed);
	if (v->next_at != 0 && !view->under_way)
		view->next_try_at = process_now(tenant->process) +
		    (v->next_at - clock_boottime_ms());
}

static void
finish_status(struct call *call)
{
	struct sync_status *status = call->reply;
	struct sync_vendor_view *items = call->write.command.err == 0
	    ? arena_copy(&call->arena, status->items.items,
		  status->items.count * sizeof(*items))
	    : NULL;

	if (items != NULL) {
		for (uint32_t i = 0; i < status->items.count; i++)
			show(&items[i], call->tenant);
		status->items.items = items;
	}
	command_finish(call);
}

void
sync_status_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_status;
	call_query(call, query_run);
}

static void
refuse_now(struct call *call, const char *vendor)
{
	call->write.command.err = ERR_NOT_FOUND;
	problem_set(&call->write.command.problem, ERR_NOT_FOUND,
	    "set [sync] hub in leaseholdd.ini, or: leasehold sync export FILE",
	    vendor[0] != '\0' ? "no hub of vendor %s is known here"
			      : "no hub of any vendor is known here%s",
	    vendor);
}

static void
finish_now(struct call *call)
{
	const struct sync_now *asked = call->request;
	struct tenant *tenant = call->tenant;
	struct sync_started *started =
	    arena_alloc(&call->arena, sizeof(*started));

	if (call->write.command.err == 0 && started == NULL)
		call->write.command.err = ERR_NOMEM;
	if (call->write.command.err == 0) {
		online_learn(call);
		started->vendors = 0;
		for (struct online_vendor *v = tenant->online.first; v != NULL;
		     v = v->next) {
			if (v->hub[0] == '\0' ||
			    (asked->vendor[0] != '\0' &&
				strcmp(asked->vendor, v->vendor) != 0))
				continue;
			v->asked = v->asked || v->phase == ONLINE_IDLE;
			started->vendors++;
		}
		call->reply = started;
		if (started->vendors == 0)
			refuse_now(call, asked->vendor);
	}
	command_finish(call);
	if (online_may_go(tenant))
		online_begin_due(tenant);
}

void
sync_now_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_now;
	call_query(call, online_look);
}
