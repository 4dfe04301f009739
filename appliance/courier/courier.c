#include "appliance/courier/courier.h"

#include "appliance/courier/txt.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "shared/ipc/ipc.h"

#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Logins, deliveries and reports have threads of their own: a receiver that
 * hangs does not keep anybody from logging in, nor a hub an alert from its
 * channel. */
#define LANES 3
#define LANE_THREADS 4
#define THREADS (LANES * LANE_THREADS)
/* Beyond a delivery's own time: looking a name up is not cut off by it. */
#define POST_SLACK_MS 5000
#define STATUS_CONFIG 2

struct job {
	struct job *next;
	uint64_t id;
	uint16_t op; /* enum courier_job */
	int64_t deadline; /* boottime */
	bool told; /* it was too late: somebody has an answer */
	union {
		struct {
			struct courier_bind bind; /* password: behind it */
			struct courier_bound bound;
			char password[USER_PASSWORD_MAX];
		};
		struct {
			union {
				struct courier_post post;
				struct courier_mail mail;
				struct courier_line line;
				struct courier_txt txt;
				struct courier_sync sync;
			};
			union {
				struct courier_posted posted;
				struct courier_synced synced;
			};
			struct buf file; /* of synced */
			uint8_t *bytes; /* they point into them */
			struct arena arena;
		};
	};
};

struct lane {
	struct job *first, **last; /* that wait */
};

struct courier;

struct porter {
	pthread_t thread;
	bool started;
	struct courier *courier;
	struct lane *lane;
	struct job *job; /* under the courier's lock */
	struct directory_line line;
};

/* The loop puts jobs in and takes results out; the rest is the threads'. */
struct courier {
	const struct courier_options *options;
	struct event_base *base;
	struct event *on_term, *on_control, *on_look, *on_done;
	struct ipc *ledger;
	int wake[2]; /* a byte when something is done */
	char *service_password; /* guarded; NULL: none */
	struct post post;
	pthread_mutex_t lock;
	pthread_cond_t more, runs;
	size_t n_running;
	struct lane lanes[LANES];
	struct job *done;
	size_t n_jobs;
	bool stopping;
	struct porter porters[THREADS];
	int status;
};

/* --- threads ------------------------------------------------------------- */

static void
job_free(struct job *job)
{
	if (job->op != COURIER_BIND) {
		arena_release(&job->arena);
		buf_release(&job->file);
		free(job->bytes);
	}
	sodium_memzero(job, sizeof(*job));
	free(job);
}

static struct job *
next_job(struct porter *porter)
{
	struct courier *courier = porter->courier;

	struct lane *lane = porter->lane;

	while (lane->first == NULL && !courier->stopping)
		pthread_cond_wait(&courier->more, &courier->lock);
	struct job *job = lane->first;

	if (job == NULL)
		return NULL;
	lane->first = job->next;
	if (lane->first == NULL)
		lane->last = &lane->first;
	porter->line.cut = false;
	porter->line.fd = -1;
	porter->job = job;
	return job;
}

static void
do_bind(struct porter *porter, struct job *job, bool in_time)
{
	const struct courier *courier = porter->courier;

	job->bound.outcome = COURIER_UNAVAILABLE;
	job->bound.role = USER_VIEWER;
	if (in_time)
		directory_ask(&job->bound, courier->options->directory,
		    courier->service_password, &job->bind, &porter->line);
}

static void
do_sync(struct porter *porter, struct job *job, bool in_time)
{
	job->synced = (struct courier_synced){ .outcome = COURIER_FAILED };
	if (in_time)
		post_report(&job->synced, &job->file, &porter->courier->post,
		    &job->sync);
	job->synced.file =
	    (struct record_span){ job->file.data, (uint32_t)job->file.len };
}

static void
do_job(struct porter *porter, struct job *job)
{
	const struct courier *courier = porter->courier;
	const struct post *post = &courier->post;
	/* Else nobody waits for it any more. */
	bool in_time = clock_boottime_ms() < job->deadline;

	if (job->op == COURIER_BIND) {
		do_bind(porter, job, in_time);
		return;
	}
	if (job->op == COURIER_SYNC) {
		do_sync(porter, job, in_time);
		return;
	}
	job->posted = (struct courier_posted){ .outcome = COURIER_FAILED };
	if (!in_time)
		return;
	if (job->op == COURIER_POST)
		post_webhook(&job->posted, post, &job->post);
	else if (job->op == COURIER_MAIL)
		post_mail(&job->posted, post, &job->mail);
	else if (job->op == COURIER_TXT)
		txt_look_up(&job->posted, post->options->dns, &job->txt,
		    post->options->timeout_s * 1000);
	else
		post_line(&job->posted, post, &job->line);
}

static void *
porter_main(void *ctx)
{
	struct porter *porter = ctx;
	struct courier *courier = porter->courier;
	struct job *job;

	pthread_mutex_lock(&courier->lock);
	courier->n_running++;
	pthread_cond_signal(&courier->runs);
	while ((job = next_job(porter)) != NULL) {
		pthread_mutex_unlock(&courier->lock);
		do_job(porter, job);
		pthread_mutex_lock(&courier->lock);
		porter->job = NULL;
		job->next = courier->done;
		courier->done = job;
		/* A full pipe wakes the loop as well. */
		(void)!write(courier->wake[1], "", 1);
	}
	pthread_mutex_unlock(&courier->lock);
	return NULL;
}

/* --- results ------------------------------------------------------------- */

/* record NULL: there is no such job. */
static void
tell(struct courier *courier, uint64_t id, uint16_t op,
    const struct record *record, const void *result)
{
	struct buf payload = { 0 };

	if (record != NULL)
		record_write_msgpack(&payload, record, result);
	(void)ipc_send(courier->ledger,
	    &(struct ipc_message){
		.kind = COURIER_RESULT,
		.op = op,
		.tag = id,
		.payload = payload.data,
		.len = payload.failed ? 0 : (uint32_t)payload.len,
	    });
	buf_release(&payload);
}

static void
tell_job(struct courier *courier, const struct job *job)
{
	if (job->op == COURIER_BIND)
		tell(courier, job->id, job->op, &courier_bound_record,
		    &job->bound);
	else if (job->op == COURIER_SYNC)
		tell(courier, job->id, job->op, &courier_synced_record,
		    &job->synced);
	else
		tell(courier, job->id, job->op, &courier_posted_record,
		    &job->posted);
}

static void
tell_unavailable(struct courier *courier, uint64_t id, uint16_t op,
    const char *why)
{
	const struct courier_bound bound = {
		.outcome = COURIER_UNAVAILABLE,
		.role = USER_VIEWER,
	};
	struct courier_posted posted = { .outcome = COURIER_FAILED };
	struct courier_synced synced = { .outcome = COURIER_FAILED };

	text_copy(posted.error, sizeof(posted.error), why);
	text_copy(synced.error, sizeof(synced.error), why);
	if (op == COURIER_BIND)
		tell(courier, id, op, &courier_bound_record, &bound);
	else if (op == COURIER_SYNC)
		tell(courier, id, op, &courier_synced_record, &synced);
	else
		tell(courier, id, op, &courier_posted_record, &posted);
}

static void
got_done(evutil_socket_t fd, short what, void *ctx)
{
	struct courier *courier = ctx;
	char bytes[64];

	(void)what;
	(void)!read(fd, bytes, sizeof(bytes));
	pthread_mutex_lock(&courier->lock);
	struct job *job = courier->done;

	courier->done = NULL;
	pthread_mutex_unlock(&courier->lock);
	while (job != NULL) {
		struct job *next = job->next;

		if (!job->told)
			tell_job(courier, job);
		courier->n_jobs--;
		job_free(job);
		job = next;
	}
}

/* Whoever waits gets an answer in time, whatever the other end does; and the
 * thread gets its own back. */
static void
got_look(evutil_socket_t fd, short what, void *ctx)
{
	struct courier *courier = ctx;
	int64_t now = clock_boottime_ms();
	uint64_t late[THREADS];
	uint16_t ops[THREADS];
	size_t n = 0;

	(void)fd;
	(void)what;
	pthread_mutex_lock(&courier->lock);
	for (size_t i = 0; i < THREADS; i++) {
		struct job *job = courier->porters[i].job;

		if (job == NULL || job->told || job->deadline > now)
			continue;
		job->told = true;
		late[n] = job->id;
		ops[n++] = job->op;
		if (job->op == COURIER_BIND)
			directory_cut(&courier->porters[i].line);
	}
	pthread_mutex_unlock(&courier->lock);
	for (size_t i = 0; i < n; i++) {
		if (ops[i] == COURIER_BIND)
			log_warn("courier",
			    "the directory does not answer in time");
		tell_unavailable(courier, late[i], ops[i], "it took too long");
	}
}

/* --- jobs ---------------------------------------------------------------- */

static void
put_job(struct courier *courier, struct job *job)
{
	const size_t which = job->op == COURIER_BIND ? 0
	    : job->op == COURIER_SYNC                ? 2
						     : 1;
	struct lane *lane = &courier->lanes[which];

	pthread_mutex_lock(&courier->lock);
	*lane->last = job;
	lane->last = &job->next;
	pthread_cond_broadcast(&courier->more);
	pthread_mutex_unlock(&courier->lock);
	courier->n_jobs++;
}

static int
take_bind(struct courier *courier, const struct ipc_message *message)
{
	struct job *job = calloc(1, sizeof(*job));
	struct arena arena = { 0 };

	if (job == NULL)
		return ERR_NOMEM;
	job->op = COURIER_BIND;
	int rc = record_read_msgpack(&job->bind, &courier_bind_record,
	    message->payload, message->len, NULL, &arena, NULL);

	if (rc == 0) {
		memcpy(job->password, job->bind.password.data,
		    job->bind.password.len);
		job->bind.password.data = job->password;
	}
	arena_release(&arena);
	if (rc != 0) {
		job_free(job);
		return rc;
	}
	job->id = message->tag;
	job->deadline =
	    clock_boottime_ms() + courier->options->directory->timeout_s * 1000;
	put_job(courier, job);
	return 0;
}

static const struct record *
delivery_record(uint16_t op)
{
	if (op == COURIER_POST)
		return &courier_post_record;
	if (op == COURIER_MAIL)
		return &courier_mail_record;
	if (op == COURIER_TXT)
		return &courier_txt_record;
	if (op == COURIER_SYNC)
		return &courier_sync_record;
	return op == COURIER_LINE ? &courier_line_record : NULL;
}

static int
take_delivery(struct courier *courier, const struct ipc_message *message)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return ERR_NOMEM;
	job->op = message->op;
	job->bytes = malloc(message->len + 1);
	if (job->bytes != NULL)
		memcpy(job->bytes, message->payload, message->len);
	int rc = job->bytes == NULL
	    ? ERR_NOMEM
	    : record_read_msgpack(&job->post, delivery_record(message->op),
		  job->bytes, message->len, NULL, &job->arena, NULL);

	if (rc != 0) {
		job_free(job);
		return rc;
	}
	job->id = message->tag;
	job->deadline = clock_boottime_ms() + POST_SLACK_MS +
	    1000 *
		(job->op == COURIER_SYNC
			? courier->options->post->sync_timeout_s
			: courier->options->post->timeout_s);
	put_job(courier, job);
	return 0;
}

static void
got_message(void *ctx, const struct ipc_message *message)
{
	struct courier *courier = ctx;
	int rc = ERR_BUSY;

	if (message->kind != COURIER_JOB) {
		log_error("courier", "the ledger sent a message of kind %u",
		    message->kind);
		return;
	}
	if (message->op != COURIER_BIND &&
	    delivery_record(message->op) == NULL) {
		tell(courier, message->tag, message->op, NULL, NULL);
		return;
	}
	if (courier->n_jobs < COURIER_JOBS_MAX)
		rc = message->op == COURIER_BIND
		    ? take_bind(courier, message)
		    : take_delivery(courier, message);
	if (rc != 0)
		tell_unavailable(courier, message->tag, message->op,
		    "the courier has too much to do");
}

static void
got_closed(void *ctx)
{
	struct courier *courier = ctx;

	log_info("courier", "the ledger is gone");
	event_base_loopbreak(courier->base);
}

static void
got_term(evutil_socket_t number, short what, void *ctx)
{
	struct courier *courier = ctx;

	(void)number;
	(void)what;
	event_base_loopbreak(courier->base);
}

static void
got_control(evutil_socket_t fd, short what, void *ctx)
{
	char byte;

	(void)what;
	if (read(fd, &byte, 1) > 0)
		return;
	got_closed(ctx);
}

/* --- its life ------------------------------------------------------------ */

/* One line, into guarded memory; who may read the file is for the admin to
 * say. Nothing where no file is named. */
static int
read_password(char **out, const char *path, const char *key)
{
	uint8_t *data = NULL;
	size_t len;

	if (path[0] == '\0')
		return 0;
	int rc = file_read(&data, &len, path, USER_PASSWORD_MAX + 1);

	if (rc != 0) {
		log_error("courier", "%s: %s cannot be read", key, path);
		return ERR_BAD_REQUEST;
	}
	while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r'))
		len--;
	*out = sodium_malloc(USER_PASSWORD_MAX + 2);
	if (*out != NULL) {
		memcpy(*out, data, len);
		(*out)[len] = '\0';
	}
	sodium_memzero(data, len);
	free(data);
	if (*out == NULL)
		return ERR_NOMEM;
	if (len > 0)
		return 0;
	log_error("courier", "%s: %s is empty", key, path);
	return ERR_BAD_REQUEST;
}

static int
read_passwords(struct courier *courier)
{
	int rc = read_password(&courier->service_password,
	    courier->options->directory->service_password_file,
	    "[ldap] service_password_file");

	return rc != 0 ? rc
		       : read_password(&courier->post.mail_password,
			     courier->options->post->mail_password_file,
			     "[mail] password_file");
}

static int
open_events(struct courier *courier, const struct supervisor_child *child)
{
	static const struct timeval often = { .tv_usec = 100000 };
	static const struct ipc_callbacks callbacks = {
		.message = got_message,
		.closed = got_closed,
	};

	courier->base = event_base_new();
	if (courier->base == NULL || pipe(courier->wake) != 0 ||
	    evutil_make_socket_nonblocking(courier->wake[0]) != 0 ||
	    evutil_make_socket_nonblocking(courier->wake[1]) != 0)
		return ERR_SYSTEM;
	courier->on_term =
	    evsignal_new(courier->base, SIGTERM, got_term, courier);
	courier->on_control = event_new(courier->base, child->control,
	    EV_READ | EV_PERSIST, got_control, courier);
	courier->on_look =
	    event_new(courier->base, -1, EV_PERSIST, got_look, courier);
	courier->on_done = event_new(courier->base, courier->wake[0],
	    EV_READ | EV_PERSIST, got_done, courier);
	courier->ledger =
	    ipc_new(courier->base, child->edge_fd, &callbacks, courier);
	if (courier->on_term == NULL || courier->on_control == NULL ||
	    courier->on_look == NULL || courier->on_done == NULL ||
	    courier->ledger == NULL || event_add(courier->on_term, NULL) != 0 ||
	    event_add(courier->on_control, NULL) != 0 ||
	    event_add(courier->on_look, &often) != 0 ||
	    event_add(courier->on_done, NULL) != 0)
		return ERR_NOMEM;
	return 0;
}

/* Until all of them run: the filter has no calls of a thread's first steps. */
static int
start_porters(struct courier *courier)
{
	sigset_t all, before;
	size_t n = 0;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < THREADS && rc == 0; i++) {
		struct porter *porter = &courier->porters[i];

		porter->courier = courier;
		porter->lane = &courier->lanes[i / LANE_THREADS];
		porter->line.fd = -1;
		pthread_mutex_init(&porter->line.lock, NULL);
		rc = pthread_create(&porter->thread, NULL, porter_main, porter);
		porter->started = rc == 0;
		n += porter->started ? 1 : 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_mutex_lock(&courier->lock);
	while (courier->n_running < n)
		pthread_cond_wait(&courier->runs, &courier->lock);
	pthread_mutex_unlock(&courier->lock);
	return rc == 0 ? 0 : ERR_SYSTEM;
}

static int
start(struct courier *courier, const struct supervisor_child *child)
{
	const struct courier_options *options = courier->options;
	int rc = open_events(courier, child);

	if (rc == 0 && options->directory->url[0] != '\0')
		rc = directory_open(options->directory);
	if (rc == 0)
		rc = post_open(&courier->post, options->post);
	if (rc == 0)
		rc = read_passwords(courier);
	if (rc == 0)
		rc = start_porters(courier);
	if (rc == 0 && options->drop)
		rc = sandbox_drop_user(options->uid, options->gid, 0);
	if (rc == 0)
		rc = sandbox_no_new_privileges();
	if (rc == 0)
		rc = sandbox_enter(SANDBOX_COURIER);
	if (rc == 0)
		rc = ipc_send(courier->ledger,
		    &(struct ipc_message){
			.kind = COURIER_CERTIFICATE,
			.payload = courier->post.own.sha256,
			.len = sizeof(courier->post.own.sha256),
		    });
	return rc == 0 ? supervisor_ready(child) : rc;
}

/* Threads that are in the middle of something end with the process. */
static bool
stop_porters(struct courier *courier)
{
	bool idle = true;

	pthread_mutex_lock(&courier->lock);
	courier->stopping = true;
	for (size_t i = 0; i < THREADS; i++)
		idle = idle && courier->porters[i].job == NULL;
	for (size_t i = 0; i < LANES; i++)
		idle = idle && courier->lanes[i].first == NULL;
	pthread_cond_broadcast(&courier->more);
	pthread_mutex_unlock(&courier->lock);
	for (size_t i = 0; i < THREADS && idle; i++)
		if (courier->porters[i].started)
			pthread_join(courier->porters[i].thread, NULL);
	return idle;
}

static void
release(struct courier *courier)
{
	struct event *events[] = { courier->on_term, courier->on_control,
		courier->on_look, courier->on_done };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	ipc_free(courier->ledger);
	if (courier->base != NULL)
		event_base_free(courier->base);
	sodium_free(courier->service_password);
	post_close(&courier->post);
}

int
courier_main(void *ctx, const struct supervisor_child *child)
{
	struct courier courier = { .options = ctx, .wake = { -1, -1 } };

	pthread_mutex_init(&courier.lock, NULL);
	pthread_cond_init(&courier.more, NULL);
	pthread_cond_init(&courier.runs, NULL);
	for (size_t i = 0; i < LANES; i++)
		courier.lanes[i].last = &courier.lanes[i].first;
	int rc = start(&courier, child);

	if (rc == 0)
		event_base_dispatch(courier.base);
	else
		log_error("courier", "cannot start: %s", err_str(rc));
	if (!stop_porters(&courier))
		_exit(rc == 0 ? 0 : 1);
	release(&courier);
	return rc == 0 ? 0 : rc == ERR_BAD_REQUEST ? STATUS_CONFIG : 1;
}
