#include "appliance/ledger/writer.h"

#include "appliance/ledger/contracts.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct work_list list; /* struct write */
	bool waiting;
	bool stopping;
	bool running; /* the thread has begun */
	struct outbox *outbox;
	struct shared_clock *clock;
	struct writer_callbacks callbacks;

	/* the thread's own */
	struct command *commands[WRITER_BATCH_MAX];
	struct batch_outcome *outcome; /* of the batch that commits */
};

/* Goes to the loop before the writes of its batch. */
struct batch_outcome {
	struct work work;
	struct writer *writer;
	struct write_outcome told;
	struct write_event *events; /* size of them; told.n are filled */
	size_t size;
	uint64_t clock_turn; /* asked for by a command of the batch, or 0 */
};

int64_t
shared_clock_now(struct shared_clock *clock)
{
	int64_t boottime = clock_boottime_ms();

	pthread_mutex_lock(&clock->lock);
	int64_t now = clock_time(&clock->clock, boottime);

	pthread_mutex_unlock(&clock->lock);
	return now;
}

void
shared_clock_steady(struct shared_clock *clock, int64_t until)
{
	pthread_mutex_lock(&clock->lock);
	clock_keep_steady(&clock->clock, until);
	pthread_mutex_unlock(&clock->lock);
}

/* --- what the rows say --------------------------------------------------- */

static void
add_event(struct batch_outcome *outcome, const struct write_event *event)
{
	if (outcome->told.n == outcome->size) {
		size_t size = outcome->size == 0 ? 64 : outcome->size * 2;
		struct write_event *events =
		    reallocarray(outcome->events, size, sizeof(*events));

		if (events == NULL) {
			outcome->told.lost = true;
			return;
		}
		outcome->events = events;
		outcome->size = size;
	}
	outcome->events[outcome->told.n++] = *event;
}

/* Time turns on the committing thread, between this batch and the next, or a
 * batch could still be made by the old time and hold the journal there. */
static void
turn_clock(struct writer *writer, const struct row_clock *row)
{
	struct shared_clock *clock = writer->clock;
	int64_t boottime = clock_boottime_ms();
	int64_t wall = clock_wall_ms();

	pthread_mutex_lock(&clock->lock);
	if (writer->outcome->clock_turn == clock->turns + 1) {
		clock->turns++;
		if (row->event == CLOCK_CONFIRMED)
			clock_confirm(&clock->clock, boottime, wall);
		else
			clock_put_back(&clock->clock, row->wall, boottime,
			    wall);
	}
	pthread_mutex_unlock(&clock->lock);
}

static bool
read_grant(struct write_event *event, const struct row *row)
{
	struct row_lease_granted granted;
	struct arena arena = { 0 };
	bool read = row_grant(&granted, row, &arena) == 0;

	if (read)
		*event = (struct write_event){
			.kind = WRITE_GRANTED,
			.lease = granted.lease,
			.device = granted.device,
			.license = granted.license,
			.ttl_s = granted.ttl_s,
			.grace_s = granted.grace_s,
			.user = be64_read(granted.user),
		};
	arena_release(&arena);
	return read;
}

static uint64_t
key_of(const struct row *row)
{
	if (row->kind == ROW_KEY_CREATED)
		return row->u.key_created.device;
	return row->kind == ROW_KEY_CHANGED ? row->u.key_changed.device
					    : row->u.key_rotated.device;
}

static void
saw_row(void *ctx, const struct row *row, int64_t time)
{
	struct writer *writer = ctx;
	struct write_event event = { 0 };

	writer->outcome->told.rows++;
	writer->outcome->told.facts += row->kind != ROW_TICK;
	if (row->kind == ROW_LEASE_GRANTED ||
	    (row->kind == ROW_LEASE_ADOPTED &&
		!row_adopts_borrow(&row->u.lease_adopted))) {
		if (!read_grant(&event, row)) {
			writer->outcome->told.lost = true;
			return;
		}
	} else if (row->kind == ROW_LEASE_ENDED) {
		event.kind = WRITE_ENDED;
		event.lease = row->u.lease_ended.lease;
		event.license = row->u.lease_ended.license;
		event.reason = row->u.lease_ended.reason;
		if (row->u.lease_ended.deadline > time)
			shared_clock_steady(writer->clock,
			    clock_boottime_ms() + row->u.lease_ended.deadline -
				time);
	} else if (row->kind == ROW_BORROW_ENDED) {
		event.kind = WRITE_ENDED;
		event.lease = row->u.borrow_ended.lease;
		event.license = row->u.borrow_ended.license;
		event.reason = LEASE_RETURNED;
	} else if (row->kind == ROW_DEVICE_REVOKED) {
		event.kind = WRITE_REVOKED;
		event.device = row->u.device_revoked.device;
	} else if (row->kind == ROW_DEVICE_APPROVED) {
		event.kind = WRITE_APPROVED;
		event.device = row->u.device_approved.device;
	} else if (row->kind == ROW_DEVICE_ENROLLED &&
	    row->u.device_enrolled.approved) {
		event.kind = WRITE_APPROVED;
		event.device = row->u.device_enrolled.device;
	} else if (row->kind == ROW_KEY_CREATED ||
	    row->kind == ROW_KEY_CHANGED || row->kind == ROW_KEY_ROTATED) {
		event.kind = WRITE_KEY;
		event.device = key_of(row);
	} else if (row->kind == ROW_LICENSE_INSTALLED) {
		const struct row_license_installed *installed =
		    &row->u.license_installed;

		event.kind = WRITE_LICENSED;
		event.license = installed->license;
		event.contract_end = contracts_end(&installed->document);
	} else if (row->kind == ROW_ACCOUNT_ISSUER) {
		event.kind = WRITE_ISSUER;
	} else {
		if (row->kind == ROW_CLOCK &&
		    row->u.clock.event != CLOCK_JUMP_SEEN)
			turn_clock(writer, &row->u.clock);
		return;
	}
	add_event(writer->outcome, &event);
}

/* --- a batch ------------------------------------------------------------- */

static void
batch_done(struct work *work)
{
	struct batch_outcome *outcome = (struct batch_outcome *)work;
	const struct writer_callbacks *callbacks = &outcome->writer->callbacks;

	outcome->told.events = outcome->events;
	callbacks->batch(callbacks->ctx, &outcome->told);
	free(outcome->events);
	free(outcome);
}

static void
forget_outcome(struct command *command)
{
	arena_clear(&command->arena);
	command->err = 0;
	memset(&command->problem, 0, sizeof(command->problem));
	memset(&command->reply, 0, sizeof(command->reply));
}

/* All of writer->commands, up to n. */
static void
commit_once(struct writer *writer, struct ledger *ledger, size_t n)
{
	const struct ledger_observer observer = { writer, saw_row };
	int rc = ledger_commit(ledger, writer->commands, n,
	    shared_clock_now(writer->clock), &observer);

	/* The map was full, and is larger now. */
	if (rc == ERR_FULL && ledger_grow(ledger) == 0) {
		for (size_t i = 0; i < n; i++)
			forget_outcome(writer->commands[i]);
		rc = ledger_commit(ledger, writer->commands, n,
		    shared_clock_now(writer->clock), &observer);
	}
	writer->outcome->told.rc = rc;
	if (rc == 0 || n == 1 || rc == ERR_FULL || rc == ERR_IO)
		return;
	/* One command may be what the batch failed on, and would fail all
	 * others with it for ever: try each by itself. */
	log_warn("ledger", "a batch of %zu failed (%s); trying one by one", n,
	    err_name(rc));
	for (size_t i = 0; i < n; i++) {
		forget_outcome(writer->commands[i]);
		rc = ledger_commit(ledger, &writer->commands[i], 1,
		    shared_clock_now(writer->clock), &observer);
		if (rc == 0)
			writer->outcome->told.rc = 0;
	}
}

/* Those that found no room in the batch any more, in order, ready to be tried
 * again. None when it had no room for any: that would go on for ever. */
static size_t
keep_crowded_out(struct writer *writer, size_t n)
{
	struct command **commands = writer->commands;
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		left += commands[i]->err == ERR_BUSY;
	if (left == n)
		return 0;
	left = 0;
	for (size_t i = 0; i < n; i++)
		if (commands[i]->err == ERR_BUSY)
			commands[left++] = commands[i];
	for (size_t i = 0; i < left; i++)
		forget_outcome(commands[i]);
	return left;
}

static void
commit_commands(struct writer *writer, struct ledger *ledger, size_t n)
{
	while (n > 0) {
		commit_once(writer, ledger, n);
		n = writer->outcome->told.rc == 0 ? keep_crowded_out(writer, n)
						  : 0;
	}
}

static void
fail_all(struct work_list *list, int rc)
{
	for (struct work *work = list->first; work != NULL; work = work->next)
		((struct write *)work)->command.err = rc;
}

/* All of `list` is of one tenant. */
static void
commit_batch(struct writer *writer, struct work_list *list)
{
	struct write *first = (struct write *)list->first;
	struct batch_outcome *outcome;
	struct work_list done = { 0 };
	size_t n = 0;

	if (first == NULL)
		return;
	outcome = calloc(1, sizeof(*outcome));
	if (outcome == NULL) {
		fail_all(list, ERR_NOMEM);
		outbox_put(writer->outbox, list);
		return;
	}
	outcome->work.done = batch_done;
	outcome->writer = writer;
	outcome->told.tenant = first->tenant;
	writer->outcome = outcome;
	for (struct work *work = list->first; work != NULL; work = work->next) {
		struct write *write = (struct write *)work;

		writer->commands[n++] = &write->command;
		if (write->clock_turn != 0)
			outcome->clock_turn = write->clock_turn;
	}
	commit_commands(writer, first->ledger, n);
	writer->outcome = NULL;
	work_list_add(&done, &outcome->work);
	work_list_join(&done, list);
	outbox_put(writer->outbox, &done);
}

/* Split what waits by tenant; order within a tenant stays. */
static void
commit_all(struct writer *writer, struct work_list *list)
{
	while (list->first != NULL) {
		void *tenant = ((struct write *)list->first)->tenant;
		struct work_list batch = { 0 }, rest = { 0 };
		struct work *work;

		while ((work = work_list_take(list)) != NULL) {
			bool ours = ((struct write *)work)->tenant == tenant;

			work_list_add(ours ? &batch : &rest, work);
		}
		commit_batch(writer, &batch);
		*list = rest;
	}
}

static void
take_waiting(struct writer *writer, struct work_list *list)
{
	if (writer->list.count <= WRITER_BATCH_MAX) {
		work_list_join(list, &writer->list);
		return;
	}
	for (size_t i = 0; i < WRITER_BATCH_MAX; i++)
		work_list_add(list, work_list_take(&writer->list));
}

static void *
writer_main(void *ctx)
{
	struct writer *writer = ctx;

	pthread_mutex_lock(&writer->lock);
	writer->running = true;
	pthread_cond_signal(&writer->wake);
	for (;;) {
		struct work_list list = { 0 };

		take_waiting(writer, &list);
		if (list.first == NULL) {
			if (writer->stopping)
				break;
			writer->waiting = true;
			pthread_cond_wait(&writer->wake, &writer->lock);
			writer->waiting = false;
			continue;
		}
		pthread_mutex_unlock(&writer->lock);
		commit_all(writer, &list);
		pthread_mutex_lock(&writer->lock);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

struct writer *
writer_new(struct outbox *outbox, struct shared_clock *clock,
    const struct writer_callbacks *callbacks)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	sigset_t all, before;

	if (writer == NULL)
		return NULL;
	writer->outbox = outbox;
	writer->clock = clock;
	writer->callbacks = *callbacks;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&writer->thread, NULL, writer_main, writer);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		log_error("ledger", "cannot start a writer thread: %s",
		    strerror(rc));
		pthread_cond_destroy(&writer->wake);
		pthread_mutex_destroy(&writer->lock);
		free(writer);
		return NULL;
	}
	/* A seccomp filter may follow: only once the thread has set itself up.
	 */
	pthread_mutex_lock(&writer->lock);
	while (!writer->running)
		pthread_cond_wait(&writer->wake, &writer->lock);
	pthread_mutex_unlock(&writer->lock);
	pthread_setname_np(writer->thread, "writer");
	return writer;
}

void
writer_put(struct writer *writer, struct write *write)
{
	pthread_mutex_lock(&writer->lock);
	work_list_add(&writer->list, &write->work);
	if (writer->waiting)
		pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
}

void
writer_free(struct writer *writer)
{
	if (writer == NULL)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stopping = true;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_cond_destroy(&writer->wake);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}
