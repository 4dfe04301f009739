/*
 * Ticks of the site's own counter: when one is due, and its way through the
 * threads: a row in every journal that has news, by its writer; then the system
 * store and the witness, by the guard's thread (guard.h says in which order and
 * why). Nothing is counted while the site is rolled back: that would wipe out
 * what shows it.
 */
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* At most one in so long, where replies ask for it, if nothing else was said;
 * else, with commits, this is the window of the counter alone. */
#define TICK_ASKED_MS ((int64_t)30 * 1000)
#define TICK_EVERY_MS ((int64_t)10 * 60 * 1000)
/* One that came to nothing. */
#define TICK_AGAIN_MS ((int64_t)2 * 1000)

/* --- the start --------------------------------------------------------------- */

static int
open_file(struct witness **witness, struct process *process)
{
	const struct ledger_process_options *options = process->options;
	char folder[SETUP_PATH_MAX];
	int rc = setup_witness_path(folder, options->state, options->witness);

	/* The parent has made it, where that takes more rights. */
	if (rc == 0)
		rc = setup_witness_folder(folder, (uid_t)-1, (gid_t)-1);
	return rc != 0 ? rc
		       : witness_open_file(witness, folder, process->site.site);
}

/* Where the box has a TPM it is the witness, and `before` the file that was it
 * until now, if it was. */
static int
open_witness(struct witness **before, struct process *process)
{
	struct own_guard *own = &process->guard;
	struct system_tick tick = { .counter = 0 };
	int rc;

	*before = NULL;
	if (process->identity == NULL)
		return open_file(&own->witness, process);
	rc = system_tick_load(&tick, process->system);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	rc = witness_open_tpm(&own->witness, process->identity,
	    process->site.site, tick.base);
	if (rc == 0)
		rc = open_file(before, process);
	if (rc != 0)
		return rc;
	if (tick.counter > 0 && tick.witness == WITNESS_FILE)
		return 0;
	/* It counts no more: left there, it could be believed again with a
	 * store of before. */
	rc = witness_retire(*before);
	witness_close(*before);
	*before = NULL;
	return rc;
}

/* A file was the witness, and now there is a TPM. What the file shows is looked
 * at first: nothing is lost on the way. */
static int
begin_by_file(struct process *process, struct guard *guard,
    struct witness *file)
{
	struct own_guard *own = &process->guard;
	struct witness *tpm = own->witness;
	int64_t now = process_now(process);

	guard->witness = file;
	int rc = guard_begin(&own->report, guard, now);

	if (rc == 0 && !own->report.rolled_back)
		rc = guard_move(&own->report, guard, tpm, now);
	if (rc == 0 && !own->report.rolled_back)
		log_info("ledger",
		    "the site's counter moved from %s to the box's TPM, at "
		    "tick %llu",
		    witness_name(file),
		    (unsigned long long)own->report.counter);
	/* Also where an admin is to acknowledge: that is counted in the TPM. */
	return rc;
}

int
tick_guard(struct guard *guard, const struct process *process)
{
	size_t n = process->n_tenants;
	struct guard_part *parts = calloc(n + 1, sizeof(*parts));

	if (parts == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		parts[i] = (struct guard_part){
			.tenant = process->tenants[i]->name,
			.ledger = process->tenants[i]->ledger,
		};
	*guard = (struct guard){
		.system = process->system,
		.witness = process->guard.witness,
		.parts = parts,
		.n_parts = n,
	};
	return 0;
}

int
tick_open(struct process *process)
{
	struct own_guard *own = &process->guard;
	struct witness *before = NULL;
	struct guard guard = { .parts = NULL };
	int rc = open_witness(&before, process);

	own->guard.system = process->system;
	own->guard.witness = own->witness;
	if (rc == 0)
		rc = tick_guard(&guard, process);
	if (rc == 0)
		rc = before != NULL
		    ? begin_by_file(process, &guard, before)
		    : guard_begin(&own->report, &guard, process_now(process));
	guard_free_parts(&guard);
	witness_close(before);
	if (rc != 0) {
		log_error("ledger",
		    "whether this store is the newest cannot be found out: %s",
		    err_str(rc));
		return rc == ERR_FULL ? ERR_IO : rc;
	}
	if (own->report.first)
		log_info("ledger", "the site's counter begins in %s",
		    witness_name(own->witness));
	if (own->report.interrupted)
		log_info("ledger", "tick %llu was interrupted, and is done now",
		    (unsigned long long)own->report.counter);
	if (own->report.rolled_back)
		rollback_freeze(process, NULL);
	return 0;
}

int
tick_start(struct process *process)
{
	process->guard.worker = worker_new("guard", process->outbox);
	return process->guard.worker != NULL ? 0 : ERR_SYSTEM;
}

void
tick_close(struct process *process)
{
	witness_close(process->guard.witness);
}

/* --- one tick ---------------------------------------------------------------- */

struct tick {
	struct work work;
	struct process *process;
	struct guard guard; /* of who was open when it began */
	uint64_t counter;
	int rc;
};

/* What the counter does not cover is not said to be done. */
static void
refuse_uncounted(struct call *call)
{
	struct command *command = &call->write.command;

	command->err = ERR_UNAVAILABLE;
	problem_set(&command->problem, ERR_UNAVAILABLE,
	    "ask again: it is journaled, and answered once the counter goes on",
	    "the site's counter in %s does not go on",
	    witness_name(call->process->guard.witness));
	call->finish(call);
}

static void
release_waiting(struct process *process, int rc)
{
	struct call *call = process->guard.first;

	process->guard.first = process->guard.last = NULL;
	while (call != NULL) {
		struct call *next = call->next;

		if (rc == 0 || process->guard.frozen)
			call->finish(call);
		else
			refuse_uncounted(call);
		call = next;
	}
}

static void
end_tick(struct process *process, int rc)
{
	struct own_guard *own = &process->guard;

	own->ticking = false;
	own->failing = rc != 0;
	if (rc == ERR_ROLLED_BACK && own->frozen) {
		/* What was found meanwhile stopped its rows, and is told. */
	} else if (rc == ERR_ROLLED_BACK) {
		rollback_freeze(process,
		    "the witness of the site's counter is not where it was "
		    "left: it was put back, or another site counts with it");
	} else if (rc != 0) {
		log_error("ledger",
		    "the site's counter cannot go on (%s); it is tried again",
		    err_str(rc));
		own->wanted = true;
		for (size_t i = 0; i < process->n_tenants; i++)
			process->tenants[i]->news = true;
	} else {
		own->ticked = true;
		own->ticked_at = process_now(process);
	}
	release_waiting(process, rc);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

static void
run_tick(struct work *work)
{
	struct tick *tick = (struct tick *)work;
	struct process *process = tick->process;

	tick->rc =
	    guard_tick(&tick->counter, &tick->guard, process_now(process));
}

static void
ticked(struct work *work)
{
	struct tick *tick = (struct tick *)work;
	struct process *process = tick->process;
	int rc = tick->rc;

	process->guard.report.counter = tick->counter;
	guard_free_parts(&tick->guard);
	free(tick);
	end_tick(process, rc);
}

/* Every journal has its row. */
static void
count(struct process *process)
{
	struct tick *tick =
	    process->guard.err == 0 ? calloc(1, sizeof(*tick)) : NULL;

	if (tick != NULL && tick_guard(&tick->guard, process) != 0) {
		free(tick);
		tick = NULL;
	}
	if (tick == NULL) {
		end_tick(process,
		    process->guard.err != 0 ? process->guard.err : ERR_NOMEM);
		return;
	}
	tick->work.run = run_tick;
	tick->work.done = ticked;
	tick->process = process;
	tick->counter = process->guard.report.counter;
	worker_put(process->guard.worker, &tick->work);
}

static void
row_done(struct call *call)
{
	struct process *process = call->process;
	struct own_guard *own = &process->guard;

	if (call->write.command.err != 0)
		own->err = call->write.command.err;
	bool last = --own->rows_left == 0;

	/* Counted before the call is gone, or a stop would not wait. */
	if (last)
		count(process);
	call_free(call);
}

struct row_tick
tick_next(const struct process *process)
{
	return (struct row_tick){
		.counter = process->guard.report.counter + 1,
		.witness = witness_class_of(process->guard.witness),
	};
}

void
tick_begin(struct process *process)
{
	struct own_guard *own = &process->guard;
	const struct row_tick row = tick_next(process);

	if (own->ticking || own->frozen)
		return;
	own->ticking = true;
	own->wanted = false;
	own->err = 0;
	own->began = clock_boottime_ms();
	own->rows_left = 1;
	for (size_t i = 0; i < process->n_tenants; i++) {
		struct tenant *tenant = process->tenants[i];

		if (!tenant->news || !tenant->started)
			continue;
		struct call *call =
		    call_new_own(tenant, LEDGER_TICK, &row, sizeof(row));

		if (call == NULL) {
			own->err = ERR_NOMEM;
			break;
		}
		tenant->news = false;
		own->rows_left++;
		call->finish = row_done;
		call_commit(call);
	}
	if (--own->rows_left == 0)
		count(process);
}

/* --- when -------------------------------------------------------------------- */

static bool
may_be_asked(const struct process *process)
{
	int64_t every = process->options->tick_asked_ms;

	if (process->guard.failing && (every == 0 || every > TICK_AGAIN_MS))
		every = TICK_AGAIN_MS;
	return clock_boottime_ms() - process->guard.began >=
	    (every != 0 ? every : TICK_ASKED_MS);
}

static bool
has_news(const struct process *process)
{
	for (size_t i = 0; i < process->n_tenants; i++)
		if (process->tenants[i]->news)
			return true;
	return false;
}

void
tick_watch(struct process *process)
{
	struct own_guard *own = &process->guard;
	int64_t since = clock_boottime_ms() - own->began;

	if (process->phase != PHASE_READY)
		return;
	if ((own->wanted && may_be_asked(process)) ||
	    (since >= TICK_EVERY_MS && has_news(process)))
		tick_begin(process);
}

void
tick_before(struct call *call)
{
	struct process *process = call->process;
	struct own_guard *own = &process->guard;

	if (own->frozen ||
	    (!own->ticking && own->ticked && !own->failing &&
		!may_be_asked(process))) {
		own->wanted = !own->frozen;
		call->finish(call);
		return;
	}
	/* Those that come while it fails do not try it each for itself. */
	if (own->failing && !own->ticking && !may_be_asked(process)) {
		own->wanted = true;
		refuse_uncounted(call);
		return;
	}
	call->next = NULL;
	if (own->last != NULL)
		own->last->next = call;
	else
		own->first = call;
	own->last = call;
	/* What the one under way has not seen is covered by the next. */
	if (own->ticking)
		own->wanted = true;
	else
		tick_begin(process);
}

bool
tick_is_due_at_stop(struct process *process)
{
	struct own_guard *own = &process->guard;

	if (own->ticking)
		return true;
	if (own->finally || own->frozen || !has_news(process))
		return false;
	own->finally = true;
	tick_begin(process);
	return own->ticking;
}
