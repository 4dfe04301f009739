/* Operations that only read: on the reader thread, in a view of their own;
 * what the process knows and the store does not is added in the loop. */
#include "appliance/ledger/alert_words.h"
#include "appliance/ledger/alerts.h"
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

void
query_run(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct ledger_view *view;

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	command->err = call->reply == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	command->err =
	    ledger_query(call->reply, view, call->op->id, call->request,
		process_now(call->process), &call->arena, &command->problem);
	ledger_view_close(view);
}

/* Those too that cannot be journaled now: of a store that was put back, of a
 * full disk. */
static void
add_alerts(struct site_view *site, struct call *call)
{
	struct alert_page page = { .items = site->worst };
	uint32_t n = site->worst.count;

	alerts_add_waiting(&page, call->tenant, &call->arena);
	if (page.items.count == n)
		return;
	struct alert_view *items = page.items.items;

	site->alerts += page.items.count - n;
	for (uint32_t i = n; i < page.items.count; i++)
		for (uint32_t k = i; k > 0 &&
		     alert_is_worse(items[k].severity, items[k].last_at,
			 items[k - 1].severity, items[k - 1].last_at);
		     k--) {
			struct alert_view other = items[k];

			items[k] = items[k - 1];
			items[k - 1] = other;
		}
	if (page.items.count > SITE_WORST_MAX)
		page.items.count = SITE_WORST_MAX;
	site->worst = page.items;
}

static void
add_site(struct site_view *site, struct call *call)
{
	struct process *process = call->process;

	memcpy(site->name, process->site.name, sizeof(site->name));
	text_copy(site->software, sizeof(site->software), PROCESS_SOFTWARE);
	site->sessions = call->tenant->sessions.count;
	site->waiting = queue_count(&call->tenant->queue);
	pthread_mutex_lock(&process->clock.lock);
	site->clock_held = process->clock.clock.held;
	site->clock_wall = process->clock.clock.held_wall;
	pthread_mutex_unlock(&process->clock.lock);
	rollback_fill_site(site, process);
	add_alerts(site, call);
}

static void
add_lease(struct lease_view *lease, const struct call *call)
{
	const struct live_lease *live =
	    liveness_get(&call->tenant->liveness, lease->lease);
	int64_t left_ms = 0;

	if (lease->until != 0)
		left_ms = lease->until - process_now(call->process);
	else if (live != NULL)
		left_ms = live->deadline - clock_boottime_ms();

	lease->left_s = left_ms > 0 ? (uint32_t)(left_ms / 1000) : 0;
	lease->connected =
	    table_get(&call->tenant->sessions, lease->device) != NULL;
}

static void
finish_query(struct call *call)
{
	if (call->write.command.err != 0) {
		call->process->counts.refused++;
	} else if (call->op->id == OP_SITE_SHOW) {
		add_site(call->reply, call);
	} else if (call->op->id == OP_ALERT_LIST) {
		alerts_add_waiting(call->reply, call->tenant, &call->arena);
	} else if (call->op->id == OP_DEVICE_SHOW) {
		session_fill_device(call->reply, call->tenant);
	} else if (call->op->id == OP_DEVICE_LIST) {
		struct device_page *page = call->reply;
		struct device_view *items = page->items.items;

		for (uint32_t i = 0; i < page->items.count; i++)
			session_fill_device(&items[i], call->tenant);
	} else if (call->op->id == OP_LEASE_SHOW) {
		add_lease(call->reply, call);
	} else if (call->op->id == OP_LEASE_LIST) {
		struct lease_page *page = call->reply;
		struct lease_view *items = page->items.items;

		for (uint32_t i = 0; i < page->items.count; i++)
			add_lease(&items[i], call);
	}
	call_answer(call);
}

void
query_plain(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_query;
	call_query(call, query_run);
}
