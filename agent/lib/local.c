#include "agent/lib/local.h"

#include "agent/lib/stream.h"
#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Reading and writing are roles that one thread has at a time, taken and given
 * back under the lock; nobody holds the lock while it waits for the agent. */
struct local {
	struct stream stream; /* what is read: by the reader alone */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a role is free, an answer came, an end */
	bool reading;
	bool writing;
	bool parked; /* somebody is in local_wait without being the reader */
	int handoff_fd; /* eventfd: wakes him when the reader steps back */
	int err;
	char why[STREAM_WHY]; /* what ended it, for people */
	uint64_t next_id;
	struct local_waiter *waiters;
	void (*notice)(void *ctx, enum local_id id, const void *params);
	void *notice_ctx;
};

const char *
local_default_path(void)
{
	const char *path = secure_getenv("LEASEHOLD_SOCKET");

	return path != NULL && path[0] != '\0' ? path : LOCAL_SOCKET_DEFAULT;
}

static int
local_new(struct local **out)
{
	struct local *local = calloc(1, sizeof(*local));
	pthread_condattr_t attr;

	if (local == NULL)
		return ERR_NOMEM;
	local->stream.fd = -1;
	local->next_id = 1;
	local->handoff_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (local->handoff_fd < 0) {
		free(local);
		return ERR_SYSTEM;
	}
	/* Neither fails on Linux but for want of memory, which they need not.*/
	pthread_mutex_init(&local->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&local->changed, &attr);
	pthread_condattr_destroy(&attr);
	*out = local;
	return 0;
}

int
local_open(struct local **out, const char *path, int timeout_ms,
    struct problem *problem)
{
	struct local *local;
	int err = local_new(&local);

	if (path == NULL)
		path = local_default_path();
	if (err == 0) {
		err = stream_connect(&local->stream, path,
		    stream_deadline(timeout_ms));
		if (err != 0) {
			int saved = errno;

			local_close(local);
			errno = saved;
		}
	}
	if (err == 0)
		*out = local;
	else if (problem != NULL)
		problem_set(problem, err,
		    "is leasehold-agent running? leasehold status",
		    "no agent answers at %s: %s", path, strerror(errno));
	return err;
}

void
local_close(struct local *local)
{
	if (local == NULL)
		return;
	stream_close(&local->stream);
	close(local->handoff_fd);
	pthread_cond_destroy(&local->changed);
	pthread_mutex_destroy(&local->lock);
	free(local);
}

void
local_abandon(struct local *local)
{
	close(local->stream.fd);
	close(local->handoff_fd);
}

void
local_on_notice(struct local *local,
    void (*notice)(void *ctx, enum local_id id, const void *params), void *ctx)
{
	local->notice = notice;
	local->notice_ctx = ctx;
}

int
local_error(struct local *local)
{
	pthread_mutex_lock(&local->lock);
	int err = local->err;

	pthread_mutex_unlock(&local->lock);
	return err;
}

/* The first end is the true one. With the lock. */
static void
end(struct local *local, int err, const char *why)
{
	if (local->err != 0)
		return;
	local->err = err;
	snprintf(local->why, sizeof(local->why), "%s", why);
	pthread_cond_broadcast(&local->changed);
}

/* --- what the agent says ---------------------------------------------------
 */

static int
take_notice(struct local *local, const struct rpc_envelope *envelope,
    struct record_error *error)
{
	const struct local_operation *op =
	    local_by_name(envelope->method, envelope->method_len);
	union {
		struct local_revoked revoked;
		struct lease_waiting waiting;
		struct lease_offered offered;
	} params;
	struct arena arena = { .max_bytes = LOCAL_LINE_MAX };

	/* A newer agent may tell more than this library knows. */
	if (op == NULL ||
	    (op->id != LOCAL_REVOKED && op->id != LOCAL_WAITING &&
		op->id != LOCAL_OFFERED))
		return 0;
	if (envelope->params == NULL)
		return ERR_CORRUPT;
	int err = record_read_json(&params, op->request, envelope->params,
	    envelope->params_len, &arena, error);

	if (err == 0 && local->notice != NULL)
		local->notice(local->notice_ctx, op->id, &params);
	arena_release(&arena);
	return err == 0 ? 0 : ERR_CORRUPT;
}

static int
take_answer(struct local *local, const struct rpc_envelope *envelope)
{
	bool refused = envelope->result == NULL;
	int err = 0;

	pthread_mutex_lock(&local->lock);
	struct local_waiter **at = &local->waiters;

	while (*at != NULL && (*at)->id != envelope->id)
		at = &(*at)->next;
	struct local_waiter *waiter = *at;

	if (waiter != NULL) {
		*at = waiter->next;
		waiter->refused = refused;
		if (refused)
			buf_add(&waiter->answer, envelope->error,
			    envelope->error_len);
		else
			buf_add(&waiter->answer, envelope->result,
			    envelope->result_len);
		waiter->done = true;
		if (waiter->wake_fd >= 0)
			(void)eventfd_write(waiter->wake_fd, 1);
		pthread_cond_broadcast(&local->changed);
	} else if (envelope->id >= local->next_id) {
		err = ERR_CORRUPT; /* to a question never asked */
	} /* else its caller has stopped waiting */
	pthread_mutex_unlock(&local->lock);
	return err;
}

/* One line, as the reader and without the lock. */
static int
take_line(struct local *local, const char *line, size_t len,
    char why[static STREAM_WHY])
{
	struct rpc_envelope envelope;
	struct record_error error = { .field = "" };
	int err = ERR_CORRUPT;

	if (rpc_read(&envelope, line, len, &error) != 0)
		snprintf(why, STREAM_WHY,
		    "the agent's answer is no JSON-RPC: %s", error.reason);
	else if (envelope.method != NULL && envelope.id == 0)
		err = take_notice(local, &envelope, &error);
	else if (envelope.id != 0 &&
	    (envelope.result != NULL || envelope.error != NULL))
		err = take_answer(local, &envelope);
	if (err != 0 && why[0] == '\0')
		snprintf(why, STREAM_WHY,
		    "the agent said something impossible");
	return err;
}

/*
 * Wait once for bytes and hand out the lines they complete. The caller has the
 * reader's role. Returns 0, ERR_TIMEOUT, or what ended the connection.
 */
static int
read_some(struct local *local, int wake_fd, int64_t deadline)
{
	char why[STREAM_WHY] = "";
	int err = stream_read(&local->stream, wake_fd, deadline, why);
	const char *line;
	size_t len;

	if (err == ERR_TIMEOUT || err == ERR_BUSY)
		return err;
	while (err == 0 &&
	    (err = stream_line(&line, &len, &local->stream, why)) == 0) {
		if (line == NULL)
			return 0;
		err = take_line(local, line, len, why);
	}
	pthread_mutex_lock(&local->lock);
	end(local, err, why);
	pthread_mutex_unlock(&local->lock);
	return err;
}

/* Read as the reader until something happened. With the lock, which is let go
 * meanwhile. */
static int
be_reader(struct local *local, int wake_fd, int64_t deadline)
{
	local->reading = true;
	pthread_mutex_unlock(&local->lock);
	int err = read_some(local, wake_fd, deadline);

	pthread_mutex_lock(&local->lock);
	local->reading = false;
	if (local->parked)
		(void)eventfd_write(local->handoff_fd, 1);
	pthread_cond_broadcast(&local->changed);
	return err;
}

/* With the lock. Returns 0 or ERR_TIMEOUT. */
static int
wait_change(struct local *local, int64_t deadline)
{
	struct timespec until;

	if (deadline < 0) {
		pthread_cond_wait(&local->changed, &local->lock);
		return 0;
	}
	stream_timespec(&until, deadline);
	return pthread_cond_timedwait(&local->changed, &local->lock, &until) ==
		ETIMEDOUT
	    ? ERR_TIMEOUT
	    : 0;
}

/* --- calls -----------------------------------------------------------------
 */

static int
send_line(struct local *local, const struct buf *line, int64_t deadline)
{
	char why[STREAM_WHY] = "";
	int err = 0;

	while (local->err == 0 && local->writing && err == 0)
		err = wait_change(local, deadline);
	if (local->err != 0)
		return local->err;
	if (err != 0)
		return err;
	local->writing = true;
	pthread_mutex_unlock(&local->lock);
	err =
	    stream_write(&local->stream, line->data, line->len, deadline, why);
	pthread_mutex_lock(&local->lock);
	local->writing = false;
	pthread_cond_broadcast(&local->changed);
	/* A line begun and not ended leaves nothing to go on with. */
	if (err != 0)
		end(local, err, why);
	return err;
}

static void
forget_waiter(struct local *local, const struct local_waiter *waiter)
{
	for (struct local_waiter **at = &local->waiters; *at != NULL;
	     at = &(*at)->next) {
		if (*at == waiter) {
			*at = waiter->next;
			return;
		}
	}
}

static int
tell(struct local *local, int err, struct problem *problem)
{
	if (err == 0 || problem == NULL)
		return err;
	if (err == local->err)
		problem_set(problem, err, NULL, "%s", local->why);
	else
		problem_set(problem, err, NULL, NULL);
	return err;
}

int
local_begin(struct local_waiter *waiter, struct local *local, enum local_id op,
    const void *request, int wake_fd, int timeout_ms, struct problem *problem)
{
	const struct local_operation *operation = local_get((uint32_t)op);
	static const struct empty nothing = { 0 };
	struct buf line = { .max = 2 * LOCAL_LINE_MAX };

	*waiter = (struct local_waiter){ .op = op, .wake_fd = wake_fd };
	pthread_mutex_lock(&local->lock);
	waiter->id = local->next_id++;
	waiter->next = local->waiters;
	local->waiters = waiter;
	rpc_write_request(&line, waiter->id, operation->name,
	    operation->request, request == NULL ? &nothing : request);
	int err = line.failed           ? ERR_NOMEM
	    : line.len > LOCAL_LINE_MAX ? ERR_TOO_LARGE
					: 0;

	buf_add_byte(&line, '\n');
	if (err == 0)
		err = send_line(local, &line, stream_deadline(timeout_ms));
	if (err != 0) {
		/* An agent may have answered half a question. */
		forget_waiter(local, waiter);
		buf_release(&waiter->answer);
		tell(local, err, problem);
	}
	pthread_mutex_unlock(&local->lock);
	buf_release(&line);
	return err;
}

bool
local_done(struct local *local, const struct local_waiter *waiter)
{
	pthread_mutex_lock(&local->lock);
	bool done = waiter->done;

	pthread_mutex_unlock(&local->lock);
	return done;
}

int
local_pause(struct local *local, const struct local_waiter *waiter,
    const _Atomic bool *news, int wake_fd, int timeout_ms)
{
	int64_t deadline = stream_deadline(timeout_ms);
	int err = 0;

	pthread_mutex_lock(&local->lock);
	while (err == 0 && local->err == 0 &&
	    !(waiter != NULL && waiter->done) &&
	    !(news != NULL && atomic_load(news))) {
		if (local->reading)
			err = wait_change(local, deadline);
		else
			err = be_reader(local, wake_fd, deadline);
		if (stream_left(deadline) == 0)
			break;
	}
	err = local->err;
	pthread_mutex_unlock(&local->lock);
	return err;
}

void
local_cancel(struct local_waiter *waiter, struct local *local)
{
	pthread_mutex_lock(&local->lock);
	forget_waiter(local, waiter);
	pthread_mutex_unlock(&local->lock);
	buf_release(&waiter->answer);
}

static int
read_answer(void *reply, struct local_waiter *waiter, struct arena *arena,
    struct problem *problem)
{
	const struct local_operation *op = local_get((uint32_t)waiter->op);
	const char *text = (const char *)waiter->answer.data;
	struct record_error error;
	struct problem told;

	if (waiter->answer.failed) {
		if (problem != NULL)
			problem_set(problem, ERR_NOMEM, NULL, NULL);
		return ERR_NOMEM;
	}
	if (waiter->refused) {
		struct problem *out = problem == NULL ? &told : problem;
		int refusal = rpc_read_error(out, text, waiter->answer.len);

		/* Whatever it calls itself, a refusal is no success: `reply`
		 * has not been filled. */
		return refusal < 0 ? refusal : ERR_UNAVAILABLE;
	}
	if (reply == NULL)
		return 0;
	int err = record_read_json(reply, op->reply, text, waiter->answer.len,
	    arena, &error);

	if (err == 0)
		return 0;
	err = err == ERR_NOMEM ? ERR_NOMEM : ERR_CORRUPT;
	if (problem != NULL)
		problem_set(problem, err, NULL,
		    "the agent's answer to %s is wrong: %s %s", op->name,
		    error.field, error.reason);
	return err;
}

int
local_end(void *reply, struct local_waiter *waiter, struct local *local,
    struct arena *arena, int timeout_ms, struct problem *problem)
{
	int64_t deadline = stream_deadline(timeout_ms);
	int err = 0;

	pthread_mutex_lock(&local->lock);
	while (!waiter->done && local->err == 0 && err != ERR_TIMEOUT) {
		if (local->reading)
			err = wait_change(local, deadline);
		else
			err = be_reader(local, -1, deadline);
		/* However much there is to read that is not for us. */
		if (stream_left(deadline) == 0)
			err = ERR_TIMEOUT;
	}
	if (!waiter->done) {
		forget_waiter(local, waiter);
		err = tell(local, local->err != 0 ? local->err : ERR_TIMEOUT,
		    problem);
	} else {
		err = 0;
	}
	pthread_mutex_unlock(&local->lock);
	if (err == 0)
		err = read_answer(reply, waiter, arena, problem);
	buf_release(&waiter->answer);
	return err;
}

int
local_call(void *reply, struct local *local, enum local_id op,
    const void *request, struct arena *arena, int timeout_ms,
    struct problem *problem)
{
	int64_t deadline = stream_deadline(timeout_ms);
	struct local_waiter waiter;
	int err =
	    local_begin(&waiter, local, op, request, -1, timeout_ms, problem);

	if (err != 0)
		return err;
	return local_end(reply, &waiter, local, arena, stream_left(deadline),
	    problem);
}

int
local_wait(struct local *local, int wake_fd, int timeout_ms)
{
	int64_t deadline = stream_deadline(timeout_ms);
	int err = 0;

	pthread_mutex_lock(&local->lock);
	while (err == 0 && local->err == 0) {
		if (!local->reading) {
			err = be_reader(local, wake_fd, deadline);
			if (stream_left(deadline) == 0)
				break;
			continue;
		}
		/* Somebody else reads; both the end of that and `wake_fd`
		 * count, and only poll sees both. */
		local->parked = true;
		pthread_mutex_unlock(&local->lock);
		err = stream_poll(wake_fd, local->handoff_fd, deadline);
		pthread_mutex_lock(&local->lock);
		local->parked = false;
	}
	err = local->err;
	pthread_mutex_unlock(&local->lock);
	return err;
}
