#include "agent/keeper/calls.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/ipc/ipc.h"
#include "shared/rpc/rpc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* On their way at once: a site hangs up on who asks too much at a time. The
 * others wait here for their turn. */
#define CALLS_FLYING 64
#define CALLS_MAX 8192
/* A reply with its lists, decoded. */
#define REPLY_BYTES_MAX ((size_t)4 << 20)

struct call {
	TAILQ_ENTRY(call) entry;
	uint64_t tag;
	enum operation_id op;
	calls_done *done;
	void *ctx;
	int64_t flown_ms; /* when it left */
	struct buf request; /* until then */
};
TAILQ_HEAD(call_list, call);

struct calls {
	struct event_base *base;
	const struct calls_callbacks *callbacks;
	void *ctx;
	struct ipc *uplink;
	uint64_t attempt;
	bool connecting; /* or open: a CLOSED will come */
	uint64_t next_tag;
	struct call_list flying; /* oldest first: answers come about so */
	unsigned int n_flying;
	struct call_list queued;
	unsigned int n_queued;
	struct arena arena;
	struct buf out;
};

int
calls_new(struct calls **out, struct event_base *base,
    const struct calls_callbacks *callbacks, void *ctx)
{
	struct calls *calls = calloc(1, sizeof(*calls));

	if (calls == NULL)
		return ERR_NOMEM;
	calls->base = base;
	calls->callbacks = callbacks;
	calls->ctx = ctx;
	calls->next_tag = 1;
	calls->arena.max_bytes = REPLY_BYTES_MAX;
	TAILQ_INIT(&calls->flying);
	TAILQ_INIT(&calls->queued);
	*out = calls;
	return 0;
}

static void
call_free(struct call *call)
{
	buf_release(&call->request);
	free(call);
}

void
calls_free(struct calls *calls)
{
	struct call *call;

	if (calls == NULL)
		return;
	TAILQ_CONCAT(&calls->flying, &calls->queued, entry);
	while ((call = TAILQ_FIRST(&calls->flying)) != NULL) {
		TAILQ_REMOVE(&calls->flying, call, entry);
		call_free(call);
	}
	ipc_free(calls->uplink);
	arena_release(&calls->arena);
	buf_release(&calls->out);
	free(calls);
}

bool
calls_have_uplink(const struct calls *calls)
{
	return calls->uplink != NULL;
}

/* Everybody who waits hears that there is no answer; what they ask in turn is
 * refused, because nothing is connected. */
static void
connection_ended(struct calls *calls, enum local_cause cause,
    const char *reason)
{
	struct call_list ended = TAILQ_HEAD_INITIALIZER(ended);
	struct problem problem;
	struct call *call;

	if (!calls->connecting)
		return;
	calls->connecting = false;
	problem_set(&problem, ERR_CLOSED, NULL, "%s", reason);
	TAILQ_CONCAT(&ended, &calls->flying, entry);
	TAILQ_CONCAT(&ended, &calls->queued, entry);
	calls->n_flying = calls->n_queued = 0;
	while ((call = TAILQ_FIRST(&ended)) != NULL) {
		TAILQ_REMOVE(&ended, call, entry);
		call->done(call->ctx, ERR_CLOSED, NULL, &problem);
		call_free(call);
	}
	calls->callbacks->closed(calls->ctx, cause, reason);
}

/* --- to the uplink -------------------------------------------------------- */

static int
tell(struct calls *calls, enum uplink_kind kind, enum operation_id op,
    uint64_t tag, const struct buf *payload)
{
	struct ipc_message message = {
		.kind = (uint16_t)kind,
		.op = (uint16_t)op,
		.conn = calls->attempt,
		.tag = tag,
	};

	if (calls->uplink == NULL)
		return ERR_CLOSED;
	if (payload != NULL) {
		message.payload = payload->data;
		message.len = (uint32_t)payload->len;
	}
	return ipc_send(calls->uplink, &message);
}

/* As many as may be on their way. */
static void
let_fly(struct calls *calls)
{
	struct call *call;

	while (calls->n_flying < CALLS_FLYING &&
	    (call = TAILQ_FIRST(&calls->queued)) != NULL) {
		if (tell(calls, UPLINK_CALL, call->op, call->tag,
			&call->request) < 0) {
			/* Full or gone: what ends it ends the calls too. */
			log_error("keeper", "the uplink takes no calls");
			return;
		}
		buf_release(&call->request);
		call->flown_ms = clock_boottime_ms();
		TAILQ_REMOVE(&calls->queued, call, entry);
		calls->n_queued--;
		TAILQ_INSERT_TAIL(&calls->flying, call, entry);
		calls->n_flying++;
	}
}

/* --- from the uplink ------------------------------------------------------ */

static struct call *
take_call(struct calls *calls, const struct ipc_message *message)
{
	struct call *call;

	TAILQ_FOREACH(call, &calls->flying, entry)
		if (call->tag == message->tag) {
			TAILQ_REMOVE(&calls->flying, call, entry);
			calls->n_flying--;
			return call;
		}
	return NULL;
}

static void
take_reply(struct calls *calls, const struct ipc_message *message)
{
	struct call *call = take_call(calls, message);
	struct record_error error;

	if (call == NULL)
		return;
	const struct record *record = operation_get(call->op)->reply;
	void *reply = arena_alloc(&calls->arena, record->size);
	int err = ERR_NOMEM;

	if (reply != NULL)
		err = record_read_msgpack(reply, record, message->payload,
		    message->len, NULL, &calls->arena, &error);
	if (err == 0) {
		calls->callbacks->answered(calls->ctx, call->op, 0, NULL);
		call->done(call->ctx, 0, reply, NULL);
	} else {
		struct problem problem;

		log_error("keeper", "the uplink's answer to %s: %s",
		    operation_get(call->op)->name, err_str(err));
		problem_set(&problem, ERR_CORRUPT, NULL, NULL);
		call->done(call->ctx, ERR_CORRUPT, NULL, &problem);
	}
	call_free(call);
}

static void
take_problem(struct calls *calls, const struct ipc_message *message)
{
	struct call *call = take_call(calls, message);
	struct problem problem;
	size_t used;
	int err;

	if (call == NULL)
		return;
	err = record_read_msgpack(&problem, &problem_record, message->payload,
	    message->len, &used, &calls->arena, NULL);
	if (err == 0 && message->len - used == 4)
		err = (int32_t)be32_read(message->payload + used);
	else
		err = ERR_CORRUPT;
	if (err >= 0)
		err = ERR_CORRUPT; /* a refusal must be one */
	if (err == ERR_CORRUPT)
		problem_set(&problem, err, NULL, NULL);
	calls->callbacks->answered(calls->ctx, call->op, err, &problem);
	call->done(call->ctx, err, NULL, &problem);
	call_free(call);
}

static void
take_opened(struct calls *calls, const struct ipc_message *message)
{
	struct uplink_peer peer;

	if (record_read_msgpack(&peer, &uplink_peer_record, message->payload,
		message->len, NULL, &calls->arena, NULL) < 0) {
		log_error("keeper",
		    "the uplink's word of the connection is "
		    "malformed");
		calls_hang_up(calls);
		return;
	}
	calls->callbacks->opened(calls->ctx, &peer);
}

static void
take_notice(struct calls *calls, const struct ipc_message *message)
{
	const struct operation *op = operation_get(message->op);

	if (op == NULL || op->kind != OPERATION_NOTICE)
		return;
	void *notice = arena_alloc(&calls->arena, op->request->size);

	if (notice == NULL ||
	    record_read_msgpack(notice, op->request, message->payload,
		message->len, NULL, &calls->arena, NULL) < 0) {
		log_error("keeper", "the uplink's notice %s is malformed",
		    op->name);
		return;
	}
	calls->callbacks->notice(calls->ctx, op->id, notice);
}

static void
take_closed(struct calls *calls, const struct ipc_message *message)
{
	char reason[192];

	if (message->len == 0 ||
	    !text_copy_n(reason, sizeof(reason), (const char *)message->payload,
		message->len) ||
	    !text_is_printable(reason, message->len))
		text_copy(reason, sizeof(reason), "the connection ended");
	connection_ended(calls,
	    message->op > CAUSE_NONE && message->op <= CAUSE_ROLLED_BACK
		? (enum local_cause)message->op
		: CAUSE_OTHER,
	    reason);
}

static void
on_message(void *ctx, const struct ipc_message *message)
{
	struct calls *calls = ctx;

	/* Of an earlier connection: whoever asked has been told already. */
	if (message->conn != calls->attempt || !calls->connecting)
		return;
	switch (message->kind) {
	case UPLINK_OPENED:
		take_opened(calls, message);
		break;
	case UPLINK_CLOSED:
		take_closed(calls, message);
		break;
	case UPLINK_REPLY:
		take_reply(calls, message);
		break;
	case UPLINK_PROBLEM:
		take_problem(calls, message);
		break;
	case UPLINK_NOTICE:
		take_notice(calls, message);
		break;
	default:
		log_error("keeper", "the uplink said kind %u", message->kind);
	}
	arena_clear(&calls->arena);
	let_fly(calls);
}

static void
on_closed(void *ctx)
{
	struct calls *calls = ctx;

	log_warn("keeper", "the uplink ended");
	ipc_free(calls->uplink);
	calls->uplink = NULL;
	connection_ended(calls, CAUSE_UPLINK, "the agent's uplink ended");
}

/* --- for the other parts -------------------------------------------------- */

int
calls_take_uplink(struct calls *calls, int fd)
{
	static const struct ipc_callbacks callbacks = {
		.message = on_message,
		.closed = on_closed,
	};

	ipc_free(calls->uplink);
	calls->uplink = NULL;
	connection_ended(calls, CAUSE_UPLINK,
	    "the agent's uplink was replaced");
	calls->uplink = ipc_new(calls->base, fd, &callbacks, calls);
	if (calls->uplink == NULL)
		return ERR_NOMEM;
	calls->callbacks->ready(calls->ctx);
	return 0;
}

int
calls_connect(struct calls *calls, const struct uplink_target *target)
{
	connection_ended(calls, CAUSE_OTHER, "replaced by a new connection");
	calls->attempt++;
	buf_clear(&calls->out);
	record_write_msgpack(&calls->out, &uplink_target_record, target);
	int err = calls->out.failed
	    ? ERR_NOMEM
	    : tell(calls, UPLINK_CONNECT, OP_NONE, 0, &calls->out);

	calls->connecting = err == 0;
	return err;
}

void
calls_hang_up(struct calls *calls)
{
	if (calls->connecting)
		tell(calls, UPLINK_HANGUP, OP_NONE, 0, NULL);
}

int
calls_ask(struct calls *calls, enum operation_id op, const void *request,
    calls_done *done, void *ctx)
{
	if (!calls->connecting)
		return ERR_CLOSED;
	if (calls->n_queued >= CALLS_MAX)
		return ERR_BUSY;
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return ERR_NOMEM;
	call->tag = calls->next_tag++;
	call->op = op;
	call->done = done;
	call->ctx = ctx;
	record_write_msgpack(&call->request, operation_get(op)->request,
	    request);
	if (call->request.failed) {
		call_free(call);
		return ERR_NOMEM;
	}
	TAILQ_INSERT_TAIL(&calls->queued, call, entry);
	calls->n_queued++;
	let_fly(calls);
	return 0;
}

int64_t
calls_oldest_ms(const struct calls *calls)
{
	const struct call *call = TAILQ_FIRST(&calls->flying);

	return call == NULL ? 0 : clock_boottime_ms() - call->flown_ms;
}

void
calls_flush(struct calls *calls, int wait_ms)
{
	if (calls->uplink != NULL)
		ipc_flush(calls->uplink, wait_ms);
}
