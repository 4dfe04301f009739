/*
 * A hub's account around its ledger: the issuing key's random bytes are wiped
 * with the call that brought them, and contracts that go on by themselves are
 * looked for, by the clock alone.
 */
#include "appliance/hub/renew.h"
#include "appliance/ledger/inside.h"
#include "appliance/ledger/tenant_use.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <inttypes.h>

/* Between two looks at one account; a contract is looked at for a month. */
#define LOOK_MS ((int64_t)60 * 1000)
/** An account that nobody asks is opened for it so often. */
#define WAKE_MS ((int64_t)6 * 3600 * 1000)
#define DUE_ONCE 32

void
hub_key_make_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->wipe = call->write.command.entropy;
	call->wipe_len = sizeof(call->write.command.entropy);
	call->finish = command_finish;
	call_commit(call);
}

/* --- renewals --------------------------------------------------------------------- */

struct due {
	uint64_t orders[DUE_ONCE];
	uint32_t n;
};

static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct due *due = call->own;
	struct ledger_view *view;
	int err = ledger_view_open(&view, call->tenant->ledger);

	if (err == 0) {
		err = hub_due(due->orders, &due->n, DUE_ONCE, view,
		    process_now(call->process));
		ledger_view_close(view);
	}
	call->write.command.err = err;
}

/* Refused when the issuing key is over: the admin finds the words in the log,
 * and the license among those that expire. */
static void
finish_renewal(struct call *call)
{
	const struct command *command = &call->write.command;
	const struct hub_auto_renew *renewed = call->request;

	if (command->err != 0)
		log_warn("hub",
		    "account %s: order %" PRIu64 " does not renew: %s",
		    call->tenant->name, renewed->order,
		    command->problem.detail[0] != '\0' ? command->problem.detail
						       : err_str(command->err));
	call_free(call);
}

static void
renew(struct tenant *tenant, uint64_t order)
{
	const struct hub_auto_renew asked = { .order = order };
	struct call *call =
	    call_new_own(tenant, LEDGER_HUB_RENEW, &asked, sizeof(asked));

	if (call == NULL)
		return;
	call->finish = finish_renewal;
	call_commit(call);
}

static void
finish_look(struct call *call)
{
	const struct due *due = call->own;

	if (call->write.command.err == 0)
		for (uint32_t i = 0; i < due->n; i++)
			renew(call->tenant, due->orders[i]);
	call_free(call);
}

void
hub_tick(struct tenant *tenant)
{
	int64_t now = clock_boottime_ms();
	struct call *call;
	struct due *due;

	if (!tenant->process->options->hub || tenant->fault != 0 ||
	    (tenant->hub_looked != 0 && now - tenant->hub_looked < LOOK_MS))
		return;
	tenant->hub_looked = now;
	tenant->entry->hub_woken = now;
	if ((call = call_new_own(tenant, OP_NONE, NULL, 0)) == NULL)
		return;
	due = arena_alloc(&call->arena, sizeof(*due));
	if (due == NULL) {
		call_free(call);
		return;
	}
	due->n = 0;
	call->own = due;
	call->finish = finish_look;
	call_query(call, run_look);
}

/* One a second: who opens looks. */
void
hub_watch(struct process *process)
{
	struct tenant_entry *entry = process->known.first;
	int64_t now = clock_boottime_ms();
	struct tenant *tenant;

	if (!process->options->hub || process->phase != PHASE_READY)
		return;
	while (entry != NULL &&
	    (entry->phase != TENANT_CLOSED ||
		(entry->hub_woken != 0 && now - entry->hub_woken < WAKE_MS)))
		entry = entry->following;
	if (entry == NULL)
		return;
	entry->hub_woken = now;
	(void)tenant_use_entry(&tenant, process, entry);
}
