/*
 * A store that was put back to an older copy: granting stops, everybody is told
 * what it means and what to type, and an admin's acknowledgement begins a new
 * generation of every journal. guard.h finds it out and says in which order
 * things are written.
 */
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

#define WHAT_TO_TYPE "leasehold site acknowledge-rollback --reason TEXT"

static void
freeze(struct process *process, bool frozen)
{
	process->guard.frozen = frozen;
	for (size_t i = 0; i < process->n_tenants; i++)
		ledger_freeze(process->tenants[i]->ledger, frozen);
	front_tell_state(process);
}

void
rollback_freeze(struct process *process, const char *words)
{
	struct guard_report *report = &process->guard.report;

	report->rolled_back = true;
	if (words != NULL)
		text_copy(report->words, sizeof(report->words), words);
	freeze(process, true);
	log_error("ledger",
	    "ALERT: rolled back: %s. What was granted, returned, enrolled and "
	    "installed since then is lost here; seats that run are renewed, "
	    "nothing new is granted. If the newest copy is still there, stop "
	    "the site, put that one in place and start it again. If not, an "
	    "admin lets it go on with: " WHAT_TO_TYPE,
	    report->words);
}

void
rollback_fill_site(struct site_view *site, struct process *process)
{
	const struct own_guard *own = &process->guard;

	site->succession = process->succession.steps;
	site->witness = witness_class_of(own->witness);
	site->ticks = own->report.counter;
	site->ticked_at = own->ticked_at;
	site->rolled_back = own->frozen;
	if (own->frozen)
		text_copy(site->rollback, sizeof(site->rollback),
		    own->report.words);
}

/* --- evidence ---------------------------------------------------------------- */

struct proving {
	struct work work;
	struct tenant *tenant;
	struct row_mark mark;
	struct guard_report report;
	bool tells; /* nothing else was found: its words are the finding */
	int rc;
};

static void
run_proof(struct work *work)
{
	struct proving *proving = (struct proving *)work;
	const struct tenant *tenant = proving->tenant;
	const struct guard_part part = { tenant->name, tenant->ledger };

	proving->rc = guard_evidence(&proving->report,
	    &tenant->process->guard.guard, &part, &proving->mark);
}

static void
proved(struct work *work)
{
	struct proving *proving = (struct proving *)work;
	struct process *process = proving->tenant->process;
	struct own_guard *own = &process->guard;

	own->n_proving--;
	if (proving->rc < 0)
		log_error("ledger",
		    "what shows that the store was put back cannot be kept: "
		    "%s; a restart would forget it",
		    err_str(proving->rc));
	else if (proving->tells && own->frozen && !own->acknowledging &&
	    proving->report.words[0] != '\0')
		memcpy(own->report.words, proving->report.words,
		    sizeof(own->report.words));
	free(proving);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

void
rollback_look(struct tenant *tenant, const struct row_mark *mark,
    const char *address, uint64_t device)
{
	struct process *process = tenant->process;
	struct own_guard *own = &process->guard;
	const struct guard_part part = { tenant->name, tenant->ledger };

	/* An admin is about to abandon it; and the same again is no news. */
	if (own->acknowledging || process->phase != PHASE_READY ||
	    (own->frozen && mark->batch <= tenant->proved) ||
	    guard_is_proof(&part, mark) != 1)
		return;
	log_error("ledger",
	    "ALERT: device-%llu at %s holds batch %llu of tenant %s's journal, "
	    "signed by this site, and the journal does not",
	    (unsigned long long)device, address,
	    (unsigned long long)mark->batch, tenant->name);
	tenant->proved = mark->batch;
	bool tells = !own->frozen;

	if (tells)
		rollback_freeze(process,
		    "a device holds a batch that this site signed and that is "
		    "not in its journal");
	struct proving *proving = calloc(1, sizeof(*proving));

	if (proving == NULL)
		return; /* it comes again */
	proving->work.run = run_proof;
	proving->work.done = proved;
	proving->tenant = tenant;
	proving->tells = tells;
	proving->mark = *mark;
	own->n_proving++;
	worker_put(own->worker, &proving->work);
}

/* --- acknowledgement --------------------------------------------------------- */

/* What its call carries from step to step. */
struct acknowledging {
	struct guard_report report;
	struct guard guard; /* of who was open when it began: none comes or
			       goes before it has ended */
	struct ledger_generation *rows; /* one a tenant */
	struct rollback_acknowledged reply;
};

static void
end_acknowledging(struct call *call)
{
	struct process *process = call->process;

	struct acknowledging *way = call->own;

	if (way != NULL)
		guard_free_parts(&way->guard);
	process->guard.acknowledging = false;
	if (call->write.command.err != 0)
		log_error("ledger", "the rollback is not acknowledged: %s",
		    err_str(call->write.command.err));
	call_answer(call);
}

/* Every agent comes again, and brings what it holds. */
static void
close_sessions(struct tenant *tenant, uint32_t generation)
{
	size_t n = tenant->sessions.count, at = 0, used = 0;
	uint64_t *devices = calloc(n + 1, sizeof(*devices));
	struct session *session;

	while (devices != NULL && used < n &&
	    (session = table_next(&tenant->sessions, &at)) != NULL) {
		struct principal who;

		session_fill_who(&who, session);
		devices[used++] = who.id;
	}
	for (size_t i = 0; i < used; i++)
		session_close_device(tenant, devices[i], CLOSE_RESTART,
		    "the site's journal goes on in generation %u", generation);
	free(devices);
}

static void
read_place(struct rollback_acknowledged *reply, struct tenant *tenant)
{
	struct ledger_view *view;
	struct row_mark mark = { 0 };

	if (ledger_view_open(&view, tenant->ledger) == 0) {
		if (ledger_mark(&mark, view) == 0) {
			reply->generation = mark.generation;
			reply->batch = mark.batch;
		}
		ledger_view_close(view);
	}
}

static void
finish_settled(struct call *call)
{
	struct process *process = call->process;
	struct own_guard *own = &process->guard;
	struct acknowledging *way = call->own;

	if (call->write.command.err != 0) {
		end_acknowledging(call);
		return;
	}
	own->report = way->report;
	own->ticked = true;
	own->ticked_at = process_now(process);
	own->began = clock_boottime_ms();
	freeze(process, false);
	read_place(&way->reply, call->tenant);
	way->reply.counter = own->report.counter;
	call->reply = &way->reply;
	log_warn("ledger",
	    "admin key %llu acknowledged that the store was put back: "
	    "generation %u begins with batch %llu, tick %llu",
	    (unsigned long long)call->write.command.who.id,
	    way->reply.generation, (unsigned long long)way->reply.batch,
	    (unsigned long long)way->reply.counter);
	for (size_t i = 0; i < process->n_tenants; i++) {
		struct tenant *tenant = process->tenants[i];

		tenant->proved = 0;
		tenant->slept.owes_generation = false;
		tenant->started = false;
		own_start(tenant);
		close_sessions(tenant, way->reply.generation);
	}
	if (process->clock_untold)
		own_tell_held(process);
	end_acknowledging(call);
}

static void
run_settle(struct work *work)
{
	struct call *call = (struct call *)work;
	struct acknowledging *way = call->own;
	const struct rollback_acknowledge *request = call->request;
	struct system_generation settled = {
		.witness = witness_class_of(way->guard.witness),
		.stored = way->report.stored,
		.witnessed = way->report.witnessed,
		.by = { .kind = call->write.command.who.kind,
		    .id = call->write.command.who.id },
		.wall = clock_wall_ms(),
	};

	memcpy(settled.reason, request->reason, sizeof(settled.reason));
	call->write.command.err = guard_settle(&way->report, &way->guard,
	    &settled, process_now(call->process));
}

/* Every journal has its row, or one of them does not. */
static void
settle(struct call *call)
{
	call->write.command.err = call->process->guard.err;
	call->finish = finish_settled;
	if (call->write.command.err != 0)
		end_acknowledging(call);
	else
		call_guard(call, run_settle);
}

static void
finish_row(struct call *call)
{
	struct own_guard *own = &call->process->guard;
	struct call *asked = call->own;

	if (call->write.command.err != 0)
		own->err = call->write.command.err;
	bool last = --own->rows_left == 0;

	if (last)
		settle(asked);
	call_free(call);
}

static void
finish_prepared(struct call *call)
{
	struct process *process = call->process;
	struct own_guard *own = &process->guard;
	struct acknowledging *way = call->own;

	own->err = call->write.command.err;
	own->rows_left = 1;
	for (size_t i = 0; i < process->n_tenants && own->err == 0; i++) {
		struct call *row = call_new_own(process->tenants[i],
		    LEDGER_GENERATION, &way->rows[i], sizeof(way->rows[i]));

		if (row == NULL) {
			own->err = ERR_NOMEM;
			break;
		}
		row->write.command.who = call->write.command.who;
		row->own = call;
		row->finish = finish_row;
		own->rows_left++;
		call_commit(row);
	}
	if (--own->rows_left == 0)
		settle(call);
}

static void
run_prepare(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct rollback_acknowledge *request = call->request;
	struct acknowledging *way = call->own;
	const struct guard *guard = &way->guard;
	int err =
	    guard_prepare(&way->report, guard, process_now(call->process));

	for (size_t i = 0; i < guard->n_parts && err == 0; i++) {
		struct ledger_generation *row = &way->rows[i];

		*row = (struct ledger_generation){
			.witness = witness_class_of(guard->witness),
			.stored = way->report.stored,
			.witnessed = way->report.witnessed,
			.counter = way->report.counter + 1,
		};
		memcpy(row->reason, request->reason, sizeof(row->reason));
		err = guard_lost(&row->lost, guard, &guard->parts[i]);
	}
	call->write.command.err = err;
}

static bool
may_acknowledge(const struct request *request)
{
	const struct own_guard *own = &request->process->guard;
	struct problem problem = { 0 };

	if (own->frozen && request->process->n_moving > 0) {
		problem_set(&problem, ERR_UNAVAILABLE, NULL,
		    "tenants are being opened at this moment; try again");
		request_refuse(request, ERR_UNAVAILABLE, &problem);
		return false;
	}
	if (own->frozen && !own->acknowledging && !own->ticking)
		return true;
	problem_set(&problem, ERR_CONFLICT, NULL,
	    own->frozen ? "it is being acknowledged already"
			: "there is nothing to acknowledge: the site's store "
			  "is the newest, as far as it can tell");
	request_refuse(request, ERR_CONFLICT, &problem);
	return false;
}

void
rollback_acknowledge(const struct request *request)
{
	struct process *process = request->process;

	if (!may_acknowledge(request))
		return;
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct acknowledging *way = arena_alloc(&call->arena, sizeof(*way));

	process->guard.acknowledging = true;
	call->own = way;
	call->finish = finish_prepared;
	if (way != NULL)
		*way = (struct acknowledging){ .rows = NULL };
	if (way != NULL)
		way->rows = arena_alloc(&call->arena,
		    process->n_tenants * sizeof(*way->rows));
	if (way == NULL || way->rows == NULL ||
	    tick_guard(&way->guard, process) != 0) {
		call->write.command.err = ERR_NOMEM;
		end_acknowledging(call);
		return;
	}
	way->report = process->guard.report;
	call_guard(call, run_prepare);
}
