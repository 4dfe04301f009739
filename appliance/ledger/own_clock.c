/* The site clock and checkpoints: what the process finds by itself, and what
 * an admin asks for. */
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* The kept offset may be this much behind: after a restart the wall clock
 * makes up for it. */
#define CLOCK_SAVE_MS 1000

/* --- keeping the offset -------------------------------------------------- */

struct clock_save {
	struct work work;
	struct process *process;
	struct system_clock clock;
	int rc;
};

static void
run_save(struct work *work)
{
	struct clock_save *save = (struct clock_save *)work;

	save->rc = system_clock_save(save->process->system, &save->clock);
}

static void
saved(struct work *work)
{
	struct clock_save *save = (struct clock_save *)work;
	struct process *process = save->process;

	process->clock_saving = false;
	if (save->rc == 0)
		process->clock_saved = save->clock;
	free(save);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

static void
save_offset(struct process *process, int64_t offset)
{
	int64_t off = offset - process->clock_saved.offset_ms;

	if (process->clock_saving || process->clock_turning ||
	    (off <= CLOCK_SAVE_MS && off >= -CLOCK_SAVE_MS))
		return;
	struct clock_save *save = calloc(1, sizeof(*save));

	if (save == NULL)
		return; /* the next tick tries again */
	save->work.run = run_save;
	save->work.done = saved;
	save->process = process;
	save->clock = process->clock_saved;
	save->clock.offset_ms = offset;
	process->clock_saving = true;
	worker_put(process->helper, &save->work);
}

void
own_clock_row(struct process *process, const struct row_clock *row,
    const struct tenant *except, uint64_t turn)
{
	for (size_t i = 0; i < process->n_tenants; i++) {
		struct tenant *tenant = process->tenants[i];

		if (tenant == except || !tenant->started)
			continue;
		struct call *call =
		    call_new_own(tenant, LEDGER_CLOCK, row, sizeof(*row));

		if (call == NULL) {
			log_error("ledger", "no memory to journal the clock");
			continue;
		}
		call->write.command.who.kind = row->by.kind;
		call->write.command.who.id = row->by.id;
		call->write.clock_turn = turn;
		call->finish = call_free;
		call_commit(call);
	}
}

void
own_tell_held(struct process *process)
{
	struct row_clock row = {
		.event = CLOCK_JUMP_SEEN,
		.by = { .kind = ACTOR_SITE },
	};
	char held_text[CLOCK_TEXT_SIZE], wall_text[CLOCK_TEXT_SIZE];

	pthread_mutex_lock(&process->clock.lock);
	row.held = clock_time(&process->clock.clock, clock_boottime_ms());
	row.wall = process->clock.clock.held_wall;
	pthread_mutex_unlock(&process->clock.lock);
	process->clock_untold = false;
	clock_format(held_text, row.held);
	clock_format(wall_text, row.wall);
	log_error("ledger",
	    "ALERT: the wall clock jumped ahead to %s; the site goes on with "
	    "%s until an admin confirms (/api/v1/site/clock/confirm) or the "
	    "clock is set right",
	    wall_text, held_text);
	own_clock_row(process, &row, NULL, 0);
}

void
own_step_clock(struct process *process)
{
	int64_t boottime = clock_boottime_ms(), wall = clock_wall_ms();

	pthread_mutex_lock(&process->clock.lock);
	struct site_clock *clock = &process->clock.clock;
	enum clock_finding finding = clock_step(clock, boottime, wall);
	int64_t offset = clock->offset;

	pthread_mutex_unlock(&process->clock.lock);
	if (finding == CLOCK_HELD_NOW && process->guard.frozen)
		process->clock_untold = true; /* once it goes on */
	else if (finding == CLOCK_HELD_NOW)
		own_tell_held(process);
	save_offset(process, offset);
}

/* --- confirm and correct ------------------------------------------------- */

/* The call becomes a LEDGER_CLOCK; the other tenants' journals get the same
 * row. The writer turns the clock when the first of them is committed. */
static void
commit_clock(struct call *call, const struct row_clock *row)
{
	struct process *process = call->process;
	struct row_clock *copy = arena_copy(&call->arena, row, sizeof(*row));

	if (copy == NULL) {
		call->write.command.err = ERR_NOMEM;
		call->finish(call);
		return;
	}
	pthread_mutex_lock(&process->clock.lock);
	uint64_t turn = process->clock.turns + 1;

	pthread_mutex_unlock(&process->clock.lock);
	call->write.command.op = LEDGER_CLOCK;
	call->write.command.request = copy;
	call->write.clock_turn = turn;
	call_commit(call);
	own_clock_row(process, row, call->tenant, turn);
}

static struct row_actor
actor(const struct call *call)
{
	return (struct row_actor){
		.kind = call->write.command.who.kind,
		.id = call->write.command.who.id,
	};
}

static void
finish_clock(struct call *call)
{
	struct process *process = call->process;
	char text[CLOCK_TEXT_SIZE];

	process->clock_turning = false;
	/* The last tick's time is of before. */
	process->guard.wanted = !process->guard.frozen;
	clock_format(text, process_now(process));
	log_warn("ledger", "clock %s by admin key %llu: %s; it is now %s",
	    call->op->id == OP_CLOCK_CONFIRM ? "confirmed" : "corrected",
	    (unsigned long long)call->write.command.who.id,
	    err_str(call->write.command.err), text);
	call_answer(call);
}

void
clock_confirm_asked(const struct request *request)
{
	struct process *process = request->process;
	int64_t boottime = clock_boottime_ms();
	struct problem problem = { 0 };

	pthread_mutex_lock(&process->clock.lock);
	const struct site_clock *clock = &process->clock.clock;
	bool held = clock->held;
	bool steady = clock_is_steady(clock, boottime);
	int64_t until = clock->steady_until + clock->offset;
	struct row_clock row = {
		.event = CLOCK_CONFIRMED,
		.held = clock_time(clock, boottime),
		.wall = clock->held_wall,
	};

	pthread_mutex_unlock(&process->clock.lock);
	if (held && steady) {
		char text[CLOCK_TEXT_SIZE];

		clock_format(text, until);
		problem_set(&problem, ERR_CONFLICT, "confirm it then",
		    "a seat that was taken by force waits until %s of the "
		    "site's time for a holder who could not be told",
		    text);
		request_refuse(request, ERR_CONFLICT, &problem);
		return;
	}
	if (!held || process->clock_turning) {
		problem_set(&problem, ERR_CONFLICT, NULL,
		    held ? "another change of the clock is on its way"
			 : "the site's clock waits for nobody: no jump is "
			   "held");
		request_refuse(request, ERR_CONFLICT, &problem);
		return;
	}
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	row.by = actor(call);
	process->clock_turning = true;
	call->finish = finish_clock;
	commit_clock(call, &row);
}

/* Kept before it is journaled: should the power go between the two, the
 * journal's time rules and nothing has happened; the other way round the old
 * offset would come back. */
static void
run_keep(struct work *work)
{
	struct call *call = (struct call *)work;

	struct system_store *system = call->process->system;
	const struct clock_correct *correct = call->request;
	const struct row_clock row = {
		.event = CLOCK_CORRECTED,
		.held = process_now(call->process),
		.wall = correct->time,
		.by = actor(call),
	};
	int rc = system_clock_save(system, call->reply);

	/* Those that are closed get the row when they open. */
	if (rc == 0)
		rc = system_quiet_correct(system, &row);
	call->write.command.err = rc;
}

static void
kept(struct call *call)
{
	const struct clock_correct *correct = call->request;
	struct row_clock row = {
		.event = CLOCK_CORRECTED,
		.held = process_now(call->process),
		.wall = correct->time,
		.by = actor(call),
	};
	const struct system_clock *clock = call->reply;

	call->finish = finish_clock;
	call->reply = NULL; /* of the operation: empty */
	if (call->write.command.err != 0) {
		finish_clock(call);
		return;
	}
	call->process->clock_saved = *clock;
	log_warn("ledger", "the clock is to be put back; reason given: %s",
	    correct->reason);
	commit_clock(call, &row);
}

static int
check_correct(const struct process *process,
    const struct clock_correct *correct, int64_t now, struct problem *problem)
{
	if (process->clock_turning) {
		problem_set(problem, ERR_BUSY, NULL,
		    "another change of the clock is on its way");
		return ERR_BUSY;
	}
	if (correct->time <= now && correct->time >= process->site.created_at)
		return 0;
	problem_set(problem, ERR_BAD_REQUEST, NULL,
	    "time goes back only: not after the site's time and not before the "
	    "site was made");
	text_copy(problem->field, sizeof(problem->field), "time");
	return ERR_BAD_REQUEST;
}

void
clock_correct_asked(const struct request *request)
{
	struct process *process = request->process;
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct clock_correct *correct = call->request;
	struct command *command = &call->write.command;
	struct system_clock *clock = arena_alloc(&call->arena, sizeof(*clock));

	command->err = clock == NULL
	    ? ERR_NOMEM
	    : check_correct(process, correct, process_now(process),
		  &command->problem);
	if (command->err == 0 && process->n_moving > 0) {
		command->err = ERR_UNAVAILABLE;
		problem_set(&command->problem, ERR_UNAVAILABLE, NULL,
		    "tenants are being opened at this moment; try again");
	}
	if (command->err != 0) {
		call_answer(call);
		return;
	}
	*clock = process->clock_saved;
	clock->offset_ms = correct->time - clock_boottime_ms();
	call->reply = clock;
	process->clock_turning = true;
	call->finish = kept;
	call_help(call, run_keep);
}

/* --- checkpoints --------------------------------------------------------- */

static void
run_hash(struct work *work)
{
	struct call *call = (struct call *)work;
	struct row_checkpoint *row = arena_alloc(&call->arena, sizeof(*row));
	struct command *command = &call->write.command;
	struct journal_header after;
	struct ledger_view *view;

	command->err = row == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	command->err =
	    ledger_state_hash(row->state_hash, &after, row->head, view);
	row->batch = after.batch;
	ledger_view_close(view);
	command->request = row;
}

static void
finish_checkpoint(struct call *call)
{
	struct tenant *tenant = call->tenant;
	const struct command *command = &call->write.command;

	tenant->checking = false;
	if (command->err == 0) {
		const struct row_checkpoint *row = command->request;

		tenant->checkpoint_batch = row->batch;
		tenant->checkpoint_boottime = clock_boottime_ms();
		log_info("ledger", "checkpoint of tenant %s after batch %llu",
		    tenant->name, (unsigned long long)row->batch);
	}
	call_answer(call);
}

static void
hashed(struct call *call)
{
	call->finish = finish_checkpoint;
	if (call->write.command.err != 0) {
		finish_checkpoint(call);
		return;
	}
	call->write.command.op = LEDGER_CHECKPOINT;
	call_commit(call);
}

void
checkpoint_asked(const struct request *request)
{
	struct problem problem = { 0 };

	if (request->tenant->checking) {
		problem_set(&problem, ERR_BUSY, NULL,
		    "a checkpoint is being made already");
		request_refuse(request, ERR_BUSY, &problem);
		return;
	}
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	request->tenant->checking = true;
	call->finish = hashed;
	call_help(call, run_hash);
}

void
own_checkpoint(struct tenant *tenant)
{
	if (tenant->checking)
		return;
	struct call *call = call_new_own(tenant, LEDGER_CHECKPOINT, NULL, 0);

	if (call == NULL)
		return;
	tenant->checking = true;
	call->finish = hashed;
	call_help(call, run_hash);
}
