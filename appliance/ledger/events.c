#include "appliance/ledger/events.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

struct event_stream {
	uint64_t serial; /* never used again, so a late page hits nothing */
	struct tenant *tenant;
	struct front *front;
	uint64_t conn, tag;
	uint32_t kind; /* of the principal */
	uint64_t id;
	uint64_t login; /* session of a user; 0: none */
	struct event_place place;
	bool opened; /* its front has the first page */
	bool busy; /* a page is being read */
	bool wanted; /* its front waits for one */
	bool news; /* something was committed meanwhile */
};

/* What the reader thread gets and gives. */
struct event_job {
	uint64_t serial;
	bool open; /* find the place first */
	bool resume;
	struct event_place place;
	struct event_page page;
};

/* --- finding them --------------------------------------------------------- */

static struct event_stream *
find_stream(const struct front *front, uint64_t conn, uint64_t tag)
{
	struct event_stream *stream;
	size_t at = 0;

	while ((stream = table_next(&front->process->streams, &at)) != NULL)
		if (stream->front == front && stream->conn == conn &&
		    stream->tag == tag)
			return stream;
	return NULL;
}

size_t
events_count(const struct tenant *tenant)
{
	const struct event_stream *stream;
	size_t at = 0, n = 0;

	while ((stream = table_next(&tenant->process->streams, &at)) != NULL)
		n += stream->tenant == tenant;
	return n;
}

static void
free_stream(struct process *process, struct event_stream *stream)
{
	table_remove(&process->streams, stream->serial);
	free(stream);
}

/* --- reading -------------------------------------------------------------- */

static void
run_page(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct event_job *job = call->request;
	struct ledger_view *view;

	command->err = ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	if (job->open)
		command->err = ledger_events_begin(&job->place, view,
		    job->resume, &call->arena, &command->problem);
	if (command->err == 0)
		command->err =
		    ledger_events(&job->page, &job->place, view, &call->arena);
	ledger_view_close(view);
}

static void read_page(struct event_stream *stream, const struct event_job *job);

static void
send_page(const struct event_stream *stream, const struct event_page *page)
{
	struct buf *out = &stream->front->process->out;

	buf_clear(out);
	record_write_msgpack(out, &event_page_record, page);
	if (out->failed) {
		buf_release(out);
		return;
	}
	front_send(stream->front,
	    &(struct ipc_message){
		.kind = WIRE_REPLY,
		.op = OP_EVENTS,
		.conn = stream->conn,
		.tag = stream->tag,
		.payload = out->data,
		.len = (uint32_t)out->len,
	    });
}

static void
send_end(const struct event_stream *stream)
{
	front_send(stream->front,
	    &(struct ipc_message){ .kind = WIRE_END,
		.conn = stream->conn,
		.tag = stream->tag });
}

static void
refuse_stream(const struct event_stream *stream, int err,
    const struct problem *words)
{
	struct buf *out = &stream->front->process->out;
	struct problem problem = { .code = "" };

	if (words != NULL)
		problem = *words;
	if (problem.code[0] == '\0')
		problem_set(&problem, err, NULL, NULL);
	buf_clear(out);
	record_write_msgpack(out, &problem_record, &problem);
	buf_add_be32(out, (uint32_t)err);
	if (!out->failed)
		front_send(stream->front,
		    &(struct ipc_message){
			.kind = WIRE_PROBLEM,
			.op = OP_EVENTS,
			.conn = stream->conn,
			.tag = stream->tag,
			.payload = out->data,
			.len = (uint32_t)out->len,
		    });
}

static void
finish_page(struct call *call)
{
	struct process *process = call->process;
	struct event_job *job = call->request;
	struct event_stream *stream = table_get(&process->streams, job->serial);

	if (stream == NULL) {
		call_free(call);
		return;
	}
	stream->busy = false;
	if (call->write.command.err != 0) {
		if (stream->opened)
			send_end(stream);
		else
			refuse_stream(stream, call->write.command.err,
			    &call->write.command.problem);
		free_stream(process, stream);
		call_free(call);
		return;
	}
	stream->place = job->place;
	if (job->page.items.count > 0 || !stream->opened) {
		stream->opened = true;
		stream->wanted = false;
		send_page(stream, &job->page);
	} else if (stream->news) {
		read_page(stream,
		    &(struct event_job){ .place = stream->place });
	}
	call_free(call);
}

static void
read_page(struct event_stream *stream, const struct event_job *job)
{
	struct event_job copy = *job;

	copy.serial = stream->serial;
	stream->busy = true;
	stream->news = false;
	struct call *call =
	    call_new_own(stream->tenant, OP_EVENTS, &copy, sizeof(copy));

	if (call == NULL) {
		/* The next batch, or the next question, tries again. */
		stream->busy = false;
		return;
	}
	call->finish = finish_page;
	call_query(call, run_page);
}

/* --- what happens --------------------------------------------------------- */

static bool
is_too_much(const struct request *request, struct problem *problem)
{
	const struct event_stream *stream;
	size_t at = 0, tenant = 0, own = 0;

	while ((stream = table_next(&request->process->streams, &at)) != NULL) {
		tenant += stream->tenant == request->tenant;
		own += stream->tenant == request->tenant &&
		    stream->kind == request->who.kind &&
		    stream->id == request->who.id;
	}
	if (request->process->streams.count < EVENTS_STREAMS_MAX &&
	    tenant < EVENTS_TENANT_MAX && own < EVENTS_PRINCIPAL_MAX)
		return false;
	problem_set(problem, ERR_RATE_LIMITED, "end one that is not read",
	    "too many streams of events are open at once: %d of one "
	    "credential, %d of one tenant",
	    EVENTS_PRINCIPAL_MAX, EVENTS_TENANT_MAX);
	return true;
}

void
events_open(const struct request *request)
{
	const struct event_query *query = request_read(request);
	struct process *process = request->process;
	struct problem problem;

	if (query == NULL)
		return;
	if (is_too_much(request, &problem)) {
		request_refuse(request, ERR_RATE_LIMITED, &problem);
		return;
	}
	struct event_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	*stream = (struct event_stream){
		.serial = ++process->next_stream,
		.tenant = request->tenant,
		.front = request->front,
		.conn = request->conn,
		.tag = request->tag,
		.kind = request->who.kind,
		.id = request->who.id,
		.login = request->login,
	};
	if (table_put(&process->streams, stream->serial, stream) != 0) {
		free(stream);
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	read_page(stream,
	    &(struct event_job){ .open = true,
		.resume = query->resume,
		.place.row = query->after });
	if (stream->busy)
		return;
	free_stream(process, stream);
	request_refuse(request, ERR_NOMEM, NULL);
}

void
events_more(const struct front *front, uint64_t conn, uint64_t tag)
{
	struct event_stream *stream = find_stream(front, conn, tag);

	if (stream == NULL)
		return;
	stream->wanted = true;
	if (!stream->busy)
		read_page(stream,
		    &(struct event_job){ .place = stream->place });
}

void
events_abandoned(const struct front *front, uint64_t conn, uint64_t tag)
{
	struct event_stream *stream = find_stream(front, conn, tag);

	if (stream != NULL)
		free_stream(front->process, stream);
}

void
events_news(struct tenant *tenant)
{
	struct event_stream *stream;
	size_t at = 0;

	if (tenant->process->streams.count == 0)
		return;
	while ((stream = table_next(&tenant->process->streams, &at)) != NULL) {
		if (stream->tenant != tenant)
			continue;
		if (stream->wanted && !stream->busy)
			read_page(stream,
			    &(struct event_job){ .place = stream->place });
		else
			stream->news = true;
	}
}

/* --- ends ----------------------------------------------------------------- */

/* NULL and 0: whichever. */
struct ending {
	const struct tenant *tenant;
	const struct front *front;
	const struct principal *who;
	uint64_t login;
	int err; /* for who has not heard anything yet */
};

static bool
is_ending(const struct event_stream *stream, const struct ending *what)
{
	return (what->tenant == NULL || stream->tenant == what->tenant) &&
	    (what->front == NULL || stream->front == what->front) &&
	    (what->who == NULL ||
		(stream->kind == what->who->kind &&
		    stream->id == what->who->id)) &&
	    (what->login == 0 || stream->login == what->login);
}

/* Freeing one changes the table: begin anew each time. */
static void
close_streams(struct process *process, const struct ending *what)
{
	struct event_stream *stream;
	size_t at = 0;

	while ((stream = table_next(&process->streams, &at)) != NULL) {
		if (!is_ending(stream, what))
			continue;
		if (what->front == NULL && stream->opened)
			send_end(stream);
		else if (what->front == NULL)
			refuse_stream(stream, what->err, NULL);
		free_stream(process, stream);
		at = 0;
	}
}

void
events_close_principal(struct tenant *tenant, uint32_t kind, uint64_t id)
{
	const struct principal who = { .kind = kind, .id = id };

	close_streams(tenant->process,
	    &(struct ending){ .tenant = tenant,
		.who = &who,
		.err = ERR_UNAUTHENTICATED });
}

void
events_close_login(struct process *process, uint64_t login)
{
	if (login != 0 && process->streams.count > 0)
		close_streams(process,
		    &(struct ending){ .login = login,
			.err = ERR_UNAUTHENTICATED });
}

void
events_close_tenant(struct tenant *tenant)
{
	close_streams(tenant->process,
	    &(struct ending){ .tenant = tenant, .err = ERR_UNAVAILABLE });
}

void
events_close_front(const struct front *front)
{
	close_streams(front->process, &(struct ending){ .front = front });
}

void
events_release(struct process *process)
{
	struct event_stream *stream;
	size_t at = 0;

	while ((stream = table_next(&process->streams, &at)) != NULL)
		free(stream);
	table_release(&process->streams);
}
