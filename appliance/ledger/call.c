/* A request, a call, and how each is answered; see inside.h. */
#include "appliance/ledger/metrics.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/usage.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OUT_KEEP ((size_t)1 << 20)

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- answers ------------------------------------------------------------- */

struct address {
	struct front *front;
	uint64_t conn, tag;
	uint16_t op;
};

/* What stands in the process's buffer; a large one is not kept. */
static void
send_out(const struct address *to, enum wire_kind kind)
{
	struct buf *out = &to->front->process->out;

	front_send(to->front,
	    &(struct ipc_message){
		.kind = (uint16_t)kind,
		.op = to->op,
		.conn = to->conn,
		.tag = to->tag,
		.payload = out->data,
		.len = (uint32_t)out->len,
	    });
	if (out->size > OUT_KEEP)
		buf_release(out);
}

static void
send_problem(const struct address *to, int err, const struct problem *problem)
{
	struct buf *out = &to->front->process->out;
	struct problem plain;

	metrics_count_refusal(to->front->process, err);

	if (problem == NULL || problem->code[0] == '\0') {
		problem_set(&plain, err, NULL, NULL);
		problem = &plain;
	}
	buf_clear(out);
	record_write_msgpack(out, &problem_record, problem);
	buf_add_be32(out, (uint32_t)err);
	if (out->failed) {
		log_error("ledger", "no memory for a refusal");
		buf_release(out);
		return;
	}
	send_out(to, WIRE_PROBLEM);
}

static void
send_reply(const struct address *to, const struct record *record,
    const void *reply)
{
	struct process *process = to->front->process;
	struct buf *out = &process->out;
	uint64_t began = now_ns();

	buf_clear(out);
	record_write_msgpack(out, record, reply);
	process->counts.write_ns += now_ns() - began;
	if (out->failed || out->len > IPC_PAYLOAD_MAX) {
		log_error("ledger", "an answer to %s is too large to send",
		    operation_get(to->op)->name);
		buf_release(out);
		send_problem(to, ERR_TOO_LARGE, NULL);
		return;
	}
	send_out(to, WIRE_REPLY);
}

/* A reply that is one already. */
static void
send_bytes(const struct address *to, const void *data, uint32_t len)
{
	struct buf *out = &to->front->process->out;

	buf_clear(out);
	buf_add(out, data, len);
	if (out->failed) {
		log_error("ledger", "no memory for an answer");
		buf_release(out);
		return;
	}
	send_out(to, WIRE_REPLY);
}

/* A full disk is worth saying what to do about. */
static const struct problem *
explain(struct problem *room, int err, const struct problem *problem)
{
	if (problem->code[0] != '\0' && err != ERR_FULL)
		return problem;
	if (err == ERR_FULL)
		problem_set(room, err,
		    "free some space on the site's disk; it goes on by itself",
		    "the site's disk or store is full: nothing new can be "
		    "journaled; what is held stays held");
	else
		problem_set(room, err, NULL, NULL);
	return room;
}

/* --- requests ------------------------------------------------------------ */

static struct address
address_of(const struct request *request)
{
	return (struct address){
		.front = request->front,
		.conn = request->conn,
		.tag = request->tag,
		.op = (uint16_t)request->op->id,
	};
}

static int
read_record(void *out, const struct request *request, const uint8_t *payload,
    struct arena *arena, struct problem *problem)
{
	struct record_error error = { 0 };
	uint64_t began = now_ns();
	int rc = record_read_msgpack(out, request->op->request, payload,
	    request->len, NULL, arena, &error);

	request->process->counts.read_ns += now_ns() - began;
	if (rc == 0)
		return 0;
	problem_set(problem, rc, NULL, "%s",
	    error.reason[0] != '\0' ? error.reason : err_str(rc));
	memcpy(problem->field, error.field, sizeof(problem->field));
	return rc;
}

void *
request_read(const struct request *request)
{
	struct arena *arena = &request->process->arena;
	struct problem problem = { 0 };
	size_t size = request->op->request->size;
	void *out = arena_alloc(arena, size > 0 ? size : 1);
	int rc = out == NULL
	    ? ERR_NOMEM
	    : read_record(out, request, request->payload, arena, &problem);

	if (rc == 0)
		return out;
	request_refuse(request, rc, &problem);
	return NULL;
}

/* Answered without a call. */
static void
note_act(const struct request *request, int err)
{
	struct row_actor by = { request->who.kind, request->who.id };

	if (!request->repeated)
		acts_note(request->tenant, request->op, &by,
		    request->who.address, NULL, err);
}

void
request_reply(const struct request *request, const void *reply)
{
	struct address to = address_of(request);

	send_reply(&to, request->op->reply, reply);
	note_act(request, 0);
}

void
request_reply_bytes(const struct request *request,
    const struct record_span *reply)
{
	struct address to = address_of(request);

	send_bytes(&to, reply->data, reply->len);
}

void
request_refuse(const struct request *request, int err,
    const struct problem *problem)
{
	struct address to = address_of(request);

	if (request->tenant != NULL && usage_counts(request->op))
		usage_error(request->tenant);
	if (err == ERR_RATE_LIMITED)
		request->process->counts.rate_limited++;
	else if (err != ERR_UNAUTHENTICATED)
		request->process->counts.refused++;
	send_problem(&to, err, problem);
	note_act(request, err);
}

void
request_tell_limits(const struct request *request,
    const struct wire_limits *limits)
{
	struct address to = address_of(request);
	struct buf *out = &request->process->out;

	buf_clear(out);
	record_write_msgpack(out, &wire_limits_record, limits);
	if (!out->failed)
		send_out(&to, WIRE_LIMITS);
}

/* --- calls --------------------------------------------------------------- */

static int
admit(const struct request *request, struct problem *problem)
{
	const struct process *process = request->process;

	if (process->phase == PHASE_DRAINING) {
		problem_set(problem, ERR_UNAVAILABLE, NULL,
		    "the site is stopping; leases stay, try again soon");
		return ERR_UNAVAILABLE;
	}
	if (process->n_calls >= PROCESS_CALLS_MAX ||
	    process->call_bytes + request->len > PROCESS_CALL_BYTES_MAX) {
		problem_set(problem, ERR_UNAVAILABLE, NULL,
		    "the site has too much to do right now; try again soon");
		return ERR_UNAVAILABLE;
	}
	if (request->session != NULL && !session_begin_call(request->session)) {
		problem_set(problem, ERR_RATE_LIMITED, NULL,
		    "more than %d requests of one connection at once",
		    SESSION_CALLS_MAX);
		return ERR_RATE_LIMITED;
	}
	return 0;
}

/* One that was used before, as if it were new: all but its arenas' memory and
 * the room for an outcome, which says nothing while `code` is empty. */
static struct call *
call_reuse(struct process *process, size_t reply_size)
{
	struct call *call = process->kept;
	struct command *command = &call->write.command;
	struct arena request = call->arena, outcome = command->arena;

	process->kept = call->next;
	process->n_kept--;
	memset(call, 0, offsetof(struct call, write.command.problem));
	command->problem.code[0] = '\0';
	memset(&command->reply, 0, reply_size);
	memset(&call->write.clock_turn, 0,
	    sizeof(*call) - offsetof(struct call, write.clock_turn));
	call->arena = request;
	command->arena = outcome;
	return call;
}

static struct call *
call_alloc(struct tenant *tenant, size_t reply_size)
{
	struct process *process = tenant->process;
	const size_t most = sizeof(process->kept->write.command.reply);
	struct call *call = process->kept != NULL
	    ? call_reuse(process, reply_size < most ? reply_size : most)
	    : calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->process = process;
	call->tenant = tenant;
	call->write.tenant = tenant;
	call->write.ledger = tenant->ledger;
	tenant->n_calls++;
	process->n_calls++;
	return call;
}

/* The payload is copied, for the spans of the record point into it. */
static int
fill_call(struct call *call, const struct request *request,
    struct problem *problem)
{
	size_t size = request->op->request->size;
	uint8_t *payload =
	    arena_copy(&call->arena, request->payload, request->len);

	call->request = arena_alloc(&call->arena, size > 0 ? size : 1);
	if (payload == NULL || call->request == NULL)
		return ERR_NOMEM;
	return read_record(call->request, request, payload, &call->arena,
	    problem);
}

struct call *
call_new(const struct request *request)
{
	struct problem problem = { 0 };
	int rc = admit(request, &problem);

	if (rc != 0) {
		request_refuse(request, rc, &problem);
		return NULL;
	}
	struct call *call =
	    call_alloc(request->tenant, request->op->reply->size);

	if (call == NULL) {
		if (request->session != NULL)
			session_end_call(request->session);
		request_refuse(request, ERR_NOMEM, NULL);
		return NULL;
	}
	call->op = request->op;
	call->front = request->front->serial;
	call->conn = request->conn;
	call->tag = request->tag;
	call->bytes = request->len;
	call->began = usage_clock_ns();
	call->process->call_bytes += call->bytes;
	call->write.command.op = request->op->id;
	call->write.command.who = request->who;
	if ((rc = again_begin(call, request)) != 0) {
		request_refuse(request, rc, NULL);
		call_free(call);
		return NULL;
	}
	if ((rc = fill_call(call, request, &problem)) != 0) {
		request_refuse(request, rc, &problem);
		call_free(call);
		return NULL;
	}
	call->write.command.request = call->request;
	if (acts_want_done(call->op) && call->op->kind == OPERATION_COMMAND) {
		struct row_act *act = arena_alloc(&call->arena, sizeof(*act));

		if (act != NULL)
			acts_fill(act, call->op, call->request);
		call->write.command.act = act;
	}
	return call;
}

struct call *
call_new_own(struct tenant *tenant, uint32_t op, const void *request,
    size_t size)
{
	struct call *call = call_alloc(tenant, SIZE_MAX);

	if (call == NULL)
		return NULL;
	call->write.command.op = op;
	call->write.command.who.kind = ACTOR_SITE;
	if (size > 0) {
		call->request = arena_copy(&call->arena, request, size);
		if (call->request == NULL) {
			call_free(call);
			return NULL;
		}
		call->write.command.request = call->request;
	}
	return call;
}

/* The session may have gone meanwhile; its name is never used again. */
static struct front *
end_session_call(struct call *call)
{
	if (call->front == 0)
		return NULL;
	struct front *front = front_by_serial(call->process, call->front);

	if (front != NULL && call->op->method == NULL) {
		struct session *session =
		    table_get(&front->sessions, call->conn);

		if (session != NULL)
			session_end_call(session);
	}
	call->front = 0;
	return front;
}

static void
destroy(struct call *call)
{
	arena_release(&call->write.command.arena);
	arena_release(&call->arena);
	free(call);
}

/* Only what is small is kept: of a checkout, not of a long list. */
static void
keep_or_free(struct call *call)
{
	struct arena *request = &call->arena;
	struct arena *outcome = &call->write.command.arena;
	struct process *process = call->process;

	if (process->n_kept >= CALLS_KEPT ||
	    request->used_bytes > CALL_ARENA_KEPT ||
	    outcome->used_bytes > CALL_ARENA_KEPT) {
		destroy(call);
		return;
	}
	arena_clear(request);
	arena_clear(outcome);
	call->next = process->kept;
	process->kept = call;
	process->n_kept++;
}

void
call_free(struct call *call)
{
	if (call == NULL)
		return;
	struct process *process = call->process;

	end_session_call(call);
	again_end(call);
	call->tenant->n_calls--;
	process->n_calls--;
	process->call_bytes -= call->bytes;
	if (call->wipe != NULL)
		sodium_memzero(call->wipe, call->wipe_len);
	keep_or_free(call);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

void
calls_release(struct process *process)
{
	while (process->kept != NULL) {
		struct call *call = process->kept;

		process->kept = call->next;
		destroy(call);
	}
}

void
call_answer(struct call *call)
{
	const struct command *command = &call->write.command;

	if (again_keep(call))
		return;
	acts_note_call(call);
	struct front *front = end_session_call(call);
	struct problem room;

	if (call->began != 0)
		usage_took(call->tenant, usage_clock_ns() - call->began);
	if (call->began != 0 && command->err != 0 && usage_counts(call->op))
		usage_error(call->tenant);
	if (front != NULL) {
		struct address to = { front, call->conn, call->tag,
			(uint16_t)call->op->id };

		if (command->err == 0 && call->kept.len > 0)
			send_bytes(&to, call->kept.data, call->kept.len);
		else if (command->err == 0)
			send_reply(&to, call->op->reply,
			    call->reply != NULL         ? call->reply
				: command->said != NULL ? command->said
							: &command->reply);
		else
			send_problem(&to, command->err,
			    explain(&room, command->err, &command->problem));
	}
	struct buf *out = &call->process->out;

	if (call->wipe != NULL && out->data != NULL)
		sodium_memzero(out->data, out->size);
	call_free(call);
}

static void
call_done(struct work *work)
{
	struct call *call = (struct call *)work;

	if (call->finish != NULL)
		call->finish(call);
	else
		call_answer(call);
}

void
call_commit(struct call *call)
{
	call->write.work.run = NULL;
	call->write.work.done = call_done;
	entropy_take(call->write.command.entropy, call->process->entropy,
	    LEDGER_ENTROPY);
	writer_put(call->tenant->writer, &call->write);
}

void
call_query(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->reader, &call->write.work);
}

void
call_guard(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->guard.worker, &call->write.work);
}

void
call_check(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->checker, &call->write.work);
}

void
call_hash(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->people->hasher, &call->write.work);
}

void
call_help(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->helper, &call->write.work);
}

void
call_vault(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->vault, &call->write.work);
}

void
call_audit(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->auditor, &call->write.work);
}

void
call_open(struct call *call, void (*run)(struct work *work))
{
	call->write.work.run = run;
	call->write.work.done = call_done;
	worker_put(call->process->opener, &call->write.work);
}
