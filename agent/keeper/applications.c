#include "agent/keeper/private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Answers that an application does not read. */
#define OUTPUT_MAX ((size_t)1 << 20)
#define ACCEPT_PAUSE_MS 100

/* --- connections ---------------------------------------------------------- */

static struct application_list *
bucket_of(struct keeper *keeper, uint64_t number)
{
	return &keeper->applications.buckets[number % APPLICATION_BUCKETS];
}

struct application *
application_find(struct keeper *keeper, uint64_t number)
{
	struct application *application;

	if (number == 0)
		return NULL;
	LIST_FOREACH(application, bucket_of(keeper, number), entry)
		if (application->number == number)
			return application;
	return NULL;
}

static void
application_free(struct application *application)
{
	struct keeper *keeper = application->keeper;
	uint64_t number = application->number;

	LIST_REMOVE(application, entry);
	keeper->applications.count--;
	application->user->connections--;
	application->user->calls -= application->calls;
	bufferevent_free(application->bev);
	process_unref(application->process);
	user_unref(application->user);
	free(application);
	checkouts_forget(keeper, number);
}

static void
send_line(struct application *application, struct buf *line)
{
	struct evbuffer *output = bufferevent_get_output(application->bev);

	if (application->closing)
		return;
	buf_add_byte(line, '\n');
	if (line->failed ||
	    evbuffer_get_length(output) + line->len > OUTPUT_MAX ||
	    bufferevent_write(application->bev, line->data, line->len) < 0) {
		log_warn("keeper", "process %d does not read its answers",
		    (int)application->process->pid);
		/* Freed from the loop: the caller still holds it. */
		application->closing = true;
		bufferevent_trigger_event(application->bev, BEV_EVENT_EOF,
		    BEV_TRIG_DEFER_CALLBACKS);
	}
}

static void
answered(struct application *application)
{
	application->calls--;
	application->user->calls--;
}

int
application_answer(struct keeper *keeper, const struct asker *asker,
    const struct record *record, const void *reply)
{
	struct application *application =
	    application_find(keeper, asker->application);
	struct buf line = { 0 };
	int err = 0;

	if (application == NULL)
		return 0;
	rpc_write_result(&line, asker->id, record, reply);
	if (line.len >= LOCAL_LINE_MAX) {
		struct problem problem;

		err = ERR_TOO_LARGE;
		buf_clear(&line);
		problem_set(&problem, err, NULL,
		    "the answer does not fit a line");
		rpc_write_error(&line, asker->id, err, &problem);
	}
	answered(application);
	send_line(application, &line);
	buf_release(&line);
	return err;
}

static void
send_error(struct application *application, uint64_t id, int err,
    const struct problem *problem)
{
	struct buf line = { 0 };

	rpc_write_error(&line, id, err, problem);
	send_line(application, &line);
	buf_release(&line);
}

void
application_refuse(struct keeper *keeper, const struct asker *asker, int err,
    const struct problem *problem)
{
	struct application *application =
	    application_find(keeper, asker->application);
	struct problem plain;

	if (application == NULL)
		return;
	if (problem == NULL) {
		problem_set(&plain, err, NULL, NULL);
		problem = &plain;
	}
	answered(application);
	send_error(application, asker->id, err, problem);
}

void
application_notify(struct keeper *keeper, uint64_t number, enum local_id id,
    const struct record *record, const void *notice)
{
	struct application *application = application_find(keeper, number);
	struct buf line = { 0 };

	if (application == NULL)
		return;
	rpc_write_request(&line, 0, local_get(id)->name, record, notice);
	send_line(application, &line);
	buf_release(&line);
}

/* --- lines ---------------------------------------------------------------- */

static void
refuse_line(struct application *application, uint64_t id, int code,
    const char *field, const char *words)
{
	struct problem problem;

	problem_set(&problem, ERR_BAD_REQUEST, NULL, "%s%s%s", field,
	    field[0] != '\0' ? " " : "", words);
	text_copy(problem.field, sizeof(problem.field), field);
	send_error(application, id, code, &problem);
}

/* Is he allowed to ask this, now? */
static int
check_rights(struct application *application, const struct local_operation *op,
    struct problem *problem)
{
	if (op->privileged && !application->privileged) {
		problem_set(problem, ERR_FORBIDDEN,
		    "sudo leasehold ..., or be a member of group leasehold",
		    "%s needs root or the group leasehold", op->name);
		return ERR_FORBIDDEN;
	}
	if (application->user->calls >= USER_CALLS_MAX) {
		problem_set(problem, ERR_RATE_LIMITED, NULL,
		    "%d questions of this user wait for answers",
		    USER_CALLS_MAX);
		return ERR_RATE_LIMITED;
	}
	return 0;
}

static void
take_line(struct application *application, const char *text, size_t len)
{
	struct arena arena = { .max_bytes = 4 * LOCAL_LINE_MAX };
	struct record_error error;
	struct rpc_envelope envelope;
	struct problem problem;
	int err = rpc_read(&envelope, text, len, &error);

	if (err < 0 || envelope.method == NULL || envelope.id == 0) {
		refuse_line(application, envelope.id, RPC_INVALID,
		    err < 0 ? error.field : "",
		    err < 0 ? error.reason : "is no request");
		return;
	}
	const struct local_operation *op =
	    local_by_name(envelope.method, envelope.method_len);

	if (op == NULL || op->id >= LOCAL_REVOKED) { /* notices */
		refuse_line(application, envelope.id, RPC_METHOD, "method",
		    "is unknown to this agent");
		return;
	}
	err = check_rights(application, op, &problem);
	if (err < 0) {
		send_error(application, envelope.id, err, &problem);
		return;
	}
	void *request = arena_alloc(&arena, op->request->size);

	err = request == NULL
	    ? ERR_NOMEM
	    : record_read_json(request, op->request,
		  envelope.params ? envelope.params : "{}",
		  envelope.params ? envelope.params_len : 2, &arena, &error);
	if (err == ERR_BAD_REQUEST) {
		refuse_line(application, envelope.id, RPC_PARAMS, error.field,
		    error.reason);
	} else if (err < 0) {
		problem_set(&problem, err, NULL, NULL);
		send_error(application, envelope.id, err, &problem);
	} else {
		application->calls++;
		application->user->calls++;
		local_dispatch(application, envelope.id, op, request);
	}
	arena_release(&arena);
}

static void
on_readable(struct bufferevent *bev, void *ctx)
{
	struct application *application = ctx;
	struct evbuffer *input = bufferevent_get_input(bev);
	size_t len;
	char *line;

	while (!application->closing &&
	    (line = evbuffer_readln(input, &len, EVBUFFER_EOL_LF)) != NULL) {
		if (len <= LOCAL_LINE_MAX)
			take_line(application, line, len);
		free(line);
		if (len > LOCAL_LINE_MAX)
			goto too_long;
	}
	if (evbuffer_get_length(input) <= LOCAL_LINE_MAX)
		return;
too_long:
	refuse_line(application, 0, RPC_PARSE, "", "a line is too long");
	application->closing = true;
	bufferevent_disable(bev, EV_READ);
}

/* The last answer of a connection that is to be closed has left. */
static void
on_written(struct bufferevent *bev, void *ctx)
{
	struct application *application = ctx;

	(void)bev;
	if (application->closing)
		application_free(application);
}

static void
on_event(struct bufferevent *bev, short what, void *ctx)
{
	(void)bev;
	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0)
		application_free(ctx);
}

/* --- accepting ------------------------------------------------------------ */

/* A last word to somebody who gets no connection; best effort. */
static void
send_away(int fd, int err)
{
	struct buf line = { 0 };
	struct problem problem;

	problem_set(&problem, err, NULL, NULL);
	rpc_write_error(&line, 0, err, &problem);
	buf_add_byte(&line, '\n');
	if (!line.failed)
		(void)!send(fd, line.data, line.len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	buf_release(&line);
	close(fd);
}

static int
open_application(struct keeper *keeper, int fd)
{
	struct application *application = calloc(1, sizeof(*application));
	int err = ERR_NOMEM;

	if (application == NULL)
		return err;
	application->keeper = keeper;
	err = application_identify(application, fd);
	if (err == 0) {
		err = ERR_NOMEM;
		application->bev = bufferevent_socket_new(keeper->base, fd,
		    BEV_OPT_CLOSE_ON_FREE);
	}
	if (application->bev == NULL) {
		process_unref(application->process);
		user_unref(application->user);
		free(application);
		return err;
	}
	application->number = keeper->applications.next_number++;
	application->user->connections++;
	keeper->applications.count++;
	LIST_INSERT_HEAD(bucket_of(keeper, application->number), application,
	    entry);
	bufferevent_setcb(application->bev, on_readable, on_written, on_event,
	    application);
	bufferevent_enable(application->bev, EV_READ | EV_WRITE);
	return 0;
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *address, int len, void *ctx)
{
	struct keeper *keeper = ctx;
	int err = ERR_RATE_LIMITED;

	(void)listener;
	(void)address;
	(void)len;
	if (keeper->applications.count < CONNECTIONS_MAX)
		err = open_application(keeper, fd);
	if (err < 0)
		send_away(fd, err);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;

	(void)fd;
	(void)what;
	evconnlistener_enable(keeper->applications.listener);
}

/* Out of descriptors: without a pause the loop would spin. Those who hold
 * seats are heard meanwhile. */
static void
on_accept_error(struct evconnlistener *listener, void *ctx)
{
	struct keeper *keeper = ctx;
	const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_MS * 1000 };

	log_error("keeper", "accept: %s (%u connections)", strerror(errno),
	    keeper->applications.count);
	if (event_add(keeper->applications.accept_again, &pause) == 0)
		evconnlistener_disable(listener);
}

int
applications_open(struct keeper *keeper, int listen_fd)
{
	struct applications *applications = &keeper->applications;

	for (size_t i = 0; i < APPLICATION_BUCKETS; i++)
		LIST_INIT(&applications->buckets[i]);
	LIST_INIT(&applications->users);
	applications->next_number = 1;
	applications->accept_again =
	    evtimer_new(keeper->base, on_accept_again, keeper);
	if (applications->accept_again == NULL)
		return ERR_NOMEM;
	applications->listener = evconnlistener_new(keeper->base, on_accept,
	    keeper, LEV_OPT_CLOSE_ON_EXEC, 0, listen_fd);
	if (applications->listener == NULL)
		return ERR_SYSTEM;
	evconnlistener_set_error_cb(applications->listener, on_accept_error);
	return 0;
}

void
applications_close(struct keeper *keeper)
{
	struct applications *applications = &keeper->applications;
	struct application *application;

	if (applications->accept_again != NULL)
		event_free(applications->accept_again);
	applications->accept_again = NULL;
	if (applications->listener == NULL)
		return;
	evconnlistener_free(applications->listener);
	applications->listener = NULL;
	for (size_t i = 0; i < APPLICATION_BUCKETS; i++)
		while ((application = LIST_FIRST(&applications->buckets[i])) !=
		    NULL)
			application_free(application);
}
