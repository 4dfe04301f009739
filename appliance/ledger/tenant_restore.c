#include "appliance/ledger/tenant_restore.h"

#include "appliance/ledger/backup.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/setup/restore_beside.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

/* What is under way when it begins ends long before. */
#define WAIT_MS ((int64_t)20 * 1000)

struct restoring_call {
	struct process *process;
	struct tenant_entry *entry;
	struct tenant *tenant; /* NULL once it is closed */
	struct spool *spool;
	struct setup_beside beside;
	bool made; /* the copy is checked, and the tenant is to be taken */
	int64_t since; /* boottime: made */
	uint64_t counter;
	struct restore_done reply;
};

/* --- on the opener's thread ---------------------------------------------------- */

static int
mark_of(struct row_mark *mark, struct ledger *ledger)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, ledger);

	if (err != 0)
		return err;
	err = ledger_mark(mark, view);
	ledger_view_close(view);
	return err;
}

static int
run_restore(struct restoring_call *restoring, struct call *call)
{
	const struct restore_finish *asked = call->request;
	struct restore_done *reply = &restoring->reply;
	struct tenant *tenant = restoring->tenant;
	struct process *process = restoring->process;
	struct tenant_exchange exchange = {
		.process = process,
		.name = restoring->entry->facts.name,
		.who = call->write.command.who,
		.reason = asked->reason,
		.counter = restoring->counter,
	};
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES);
	int err = key == NULL ? ERR_NOMEM
			      : mark_of(&exchange.until_now, tenant->ledger);

	if (err == 0)
		memcpy(key, tenant->key, SETUP_KEY_BYTES);
	exchange.key = key;
	tenant_close(tenant);
	restoring->tenant = NULL;
	if (err == 0)
		err = tenant_exchange(&exchange);
	sodium_free(key);
	/* As far as it came; else the next who opens it does that. */
	int settled = tenant_restore_settle(process, exchange.name);

	if (settled == 0)
		setup_beside_clear(process->options->state, exchange.name);
	if (err != 0 || settled != 0)
		return err != 0 ? err : settled;
	text_copy(reply->tenant, sizeof(reply->tenant), exchange.name);
	reply->batch = exchange.copied.batch;
	reply->time = exchange.copied.time;
	reply->lost_generation = exchange.lost.generation;
	reply->lost_batch = exchange.lost.batch;
	reply->lost_time = exchange.lost.time;
	reply->generation = exchange.now.generation;
	return 0;
}

static void
run_exchange(struct work *work)
{
	struct call *call = (struct call *)work;

	call->write.command.err = run_restore(call->own, call);
}

/* --- in the loop ---------------------------------------------------------------- */

static void
finish_exchange(struct call *call)
{
	struct restoring_call *restoring = call->own;
	struct process *process = restoring->process;
	struct tenant_entry *entry = restoring->entry;
	struct command *command = &call->write.command;
	struct tenant *tenant;

	restoring->spool->busy--;
	entry->taken = false;
	if (command->err == 0) {
		log_warn("ledger",
		    "ALERT: admin key %llu put tenant %s back to batch %llu; "
		    "generation %u begins",
		    (unsigned long long)command->who.id, entry->facts.name,
		    (unsigned long long)restoring->reply.batch,
		    restoring->reply.generation);
		call->reply = &restoring->reply;
		spools_remove(&process->spools, restoring->spool);
	} else {
		log_error("ledger", "tenant %s is not put back: %s",
		    entry->facts.name, err_str(command->err));
	}
	tenant_give_back(process, entry);
	/* Its leases have deadlines, and its agents are on their way. */
	tenant_use_entry(&tenant, process, entry);
	call_answer(call);
}

static void
run_clear(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct restoring_call *restoring = call->own;

	setup_beside_clear(restoring->process->options->state,
	    restoring->entry->facts.name);
}

/* The tenant goes on as it was. */
static void
refuse_call(struct tenant *tenant, int err, const char *words)
{
	struct call *call = tenant->restoring;
	struct restoring_call *restoring = call->own;
	struct command *command = &call->write.command;

	tenant->restoring = NULL;
	tenant->entry->taken = false;
	restoring->spool->busy--;
	command->err = err;
	problem_set(&command->problem, err, NULL, "%s", words);
	call->finish = call_answer;
	call_vault(call, run_clear);
}

void
tenant_restore_stop(struct tenant *tenant)
{
	const struct restoring_call *restoring = tenant->restoring->own;

	if (restoring->made)
		refuse_call(tenant, ERR_UNAVAILABLE,
		    "the site is stopping; nothing was put back");
}

bool
tenant_restore_step(struct tenant *tenant)
{
	struct call *call = tenant->restoring;
	struct restoring_call *restoring = call->own;
	struct process *process = restoring->process;

	if (!restoring->made)
		return false;
	tenant->entry->taken = true;
	session_restart_all(process, tenant->entry,
	    "the tenant is being put back to an older copy");
	events_close_tenant(tenant);
	if (!tenant_is_still(tenant)) {
		if (clock_boottime_ms() - restoring->since > WAIT_MS)
			refuse_call(tenant, ERR_BUSY,
			    "what is under way there did not end; nothing was "
			    "put back: try again");
		return false;
	}
	restoring->counter = process->guard.report.counter;
	tenant_take(tenant);
	call->finish = finish_exchange;
	call_open(call, run_exchange);
	return true;
}

/* --- checking ------------------------------------------------------------------ */

static void
run_make(struct work *work)
{
	struct call *call = (struct call *)work;
	struct restoring_call *restoring = call->own;

	call->write.command.err = setup_beside_make(&restoring->beside);
}

static void
finish_make(struct call *call)
{
	struct restoring_call *restoring = call->own;
	const struct setup_beside *beside = &restoring->beside;
	struct command *command = &call->write.command;
	struct tenant *tenant = restoring->tenant;

	if (command->err == 0 && call->process->phase != PHASE_READY) {
		refuse_call(tenant, ERR_UNAVAILABLE,
		    "the site is stopping; nothing was put back");
		return;
	}
	if (command->err == 0) {
		restoring->made = true;
		restoring->since = clock_boottime_ms();
		return;
	}
	tenant->restoring = NULL;
	restoring->spool->busy--;
	if (command->err == ERR_FULL) {
		problem_set(&command->problem, ERR_FULL,
		    "free some space on the site's disk, and try again",
		    "there is no room on the site's disk for this copy; "
		    "nothing was put back");
	} else if (command->err != ERR_NOMEM && command->err != ERR_IO) {
		command->err = ERR_BAD_REQUEST;
		problem_set(&command->problem, ERR_BAD_REQUEST,
		    "take another backup; see: leasehold backup verify FILE",
		    "this copy cannot be put back: %s; nothing was changed",
		    beside->words[0] != '\0' ? beside->words
					     : "the site's log says why");
	}
	call_answer(call);
}

static bool
refuse(const struct request *request, int err, const char *words)
{
	struct problem problem;

	problem_set(&problem, err, NULL, "%s", words);
	request_refuse(request, err, &problem);
	return false;
}

static bool
is_whole(const struct request *request, const struct spool *spool)
{
	struct problem problem;

	if (spool->busy > 0)
		return refuse(request, ERR_BUSY,
		    "a piece of it is being written, or it is being put back "
		    "already");
	if (spool->bytes == spool->expected)
		return true;
	problem_set(&problem, ERR_CONFLICT, "go on sending it",
	    "%llu of %llu bytes are there", (unsigned long long)spool->bytes,
	    (unsigned long long)spool->expected);
	request_refuse(request, ERR_CONFLICT, &problem);
	return false;
}

static bool
is_free(const struct request *request, const struct tenant *tenant)
{
	if (tenant->restoring != NULL)
		return refuse(request, ERR_CONFLICT,
		    "the tenant is being put back already");
	if (tenant->deleting != NULL)
		return refuse(request, ERR_CONFLICT,
		    "the tenant is being deleted");
	return true;
}

void
tenant_restore_asked(const struct request *request)
{
	const struct restore_finish *asked = request_read(request);
	struct process *process = request->process;
	struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, SPOOL_RESTORE);

	if (spool == NULL || !is_whole(request, spool))
		return;
	struct tenant *tenant = tenant_for(request, spool->about);

	if (tenant == NULL || !is_free(request, tenant))
		return;
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct restoring_call *restoring =
	    arena_alloc(&call->arena, sizeof(*restoring));

	if (restoring == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	*restoring = (struct restoring_call){
		.process = process,
		.entry = tenant->entry,
		.tenant = tenant,
		.spool = spool,
		.beside = {
			.state = process->options->state,
			.site = process->site.site,
			.secret = process->secret,
			.tenant = tenant->entry->facts.name,
			.fd = spool->fd,
			.bytes = spool->bytes,
		},
	};
	spool->busy++;
	tenant->restoring = call;
	call->own = restoring;
	call->finish = finish_make;
	call_vault(call, run_make);
}
