/* What the ledger says, handed to the connection that it is for. */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

int
front_tell(struct front *front, const struct ipc_message *message)
{
	if (ipc_queued(front->ledger) > LEDGER_QUEUE_MAX)
		return ERR_BUSY;
	return ipc_send(front->ledger, message);
}

/* Connections that an answer or notice is for, and its operation; NULL when
 * it has gone, or waits for another answer by now. */
static struct peer *
addressee(struct front *front, const struct ipc_message *message)
{
	struct peer *peer = peer_get(front, message->conn);

	if (peer == NULL || (peer->is_call && peer->tag != message->tag))
		return NULL;
	return peer;
}

/* Who asked hung up before the answer came: the rest of a long one would wait to
 * be asked for. */
static void
leave_document(struct front *front, const struct ipc_message *message)
{
	if (message->op != OP_BILLING_OVERAGE)
		return;
	(void)front_tell(front,
	    &(struct ipc_message){
		.kind = WIRE_ABANDONED,
		.op = message->op,
		.conn = message->conn,
		.tag = message->tag,
	    });
}

static void
got_reply(struct front *front, const struct ipc_message *message)
{
	const struct operation *op = operation_get(message->op);
	struct peer *peer = addressee(front, message);

	if (peer == NULL || op == NULL) {
		leave_document(front, message);
		return;
	}
	void *reply = arena_alloc(&front->arena,
	    op->reply->size > 0 ? op->reply->size : 1);
	struct problem problem;
	int err = ERR_NOMEM;

	if (reply != NULL)
		err = record_read_msgpack(reply, op->reply, message->payload,
		    message->len, NULL, &front->arena, NULL);
	peer_answered(front, peer);
	if (err != 0) {
		log_error("front", "an answer to %s cannot be read: %s",
		    op->name, err_str(err));
		problem_set(&problem, ERR_UNAVAILABLE, NULL, NULL);
		if (peer->is_call)
			call_refuse(front, peer, ERR_UNAVAILABLE, &problem);
		else
			session_refuse(front, peer, message->tag,
			    ERR_UNAVAILABLE, &problem);
	} else if (peer->is_call) {
		call_reply(front, peer, reply);
	} else {
		session_reply(front, peer, message->tag, op, reply);
	}
}

static void
got_problem(struct front *front, const struct ipc_message *message)
{
	struct peer *peer = addressee(front, message);
	struct problem problem;
	size_t used = 0;
	int err = ERR_UNAVAILABLE;

	if (peer == NULL)
		return;
	if (record_read_msgpack(&problem, &problem_record, message->payload,
		message->len, &used, &front->arena, NULL) == 0 &&
	    message->len - used == 4)
		err = (int)be32_read(message->payload + used);
	else
		problem_set(&problem, err, NULL, NULL);
	peer_answered(front, peer);
	if (peer->is_call)
		call_refuse(front, peer, err, &problem);
	else
		session_refuse(front, peer, message->tag, err, &problem);
}

/* For the answer that follows. */
static void
got_limits(struct front *front, const struct ipc_message *message)
{
	struct peer *peer = addressee(front, message);

	if (peer == NULL || !peer->is_call)
		return;
	if (record_read_msgpack(&peer->limits, &wire_limits_record,
		message->payload, message->len, NULL, &front->arena, NULL) != 0)
		memset(&peer->limits, 0, sizeof(peer->limits));
}

static void
got_notice(struct front *front, const struct ipc_message *message)
{
	const struct operation *op = operation_get(message->op);
	struct peer *peer = peer_get(front, message->conn);

	if (op == NULL || op->kind != OPERATION_NOTICE || peer == NULL ||
	    peer->is_call)
		return;
	void *notice = arena_alloc(&front->arena,
	    op->request->size > 0 ? op->request->size : 1);

	if (notice == NULL ||
	    record_read_msgpack(notice, op->request, message->payload,
		message->len, NULL, &front->arena, NULL) != 0) {
		log_error("front", "a notice %s cannot be read", op->name);
		return;
	}
	session_notice(front, message->conn, op, notice);
}

static void
got_close(struct front *front, const struct ipc_message *message)
{
	char reason[124];
	size_t len = message->len < sizeof(reason) - 1 ? message->len
						       : sizeof(reason) - 1;

	memcpy(reason, message->payload, len);
	reason[len] = '\0';
	net_close(front->net, message->conn, message->op, reason);
}

static void
got_end(struct front *front, const struct ipc_message *message)
{
	struct peer *peer = addressee(front, message);

	if (peer != NULL && peer->is_call && peer->streams)
		stream_end(front, peer);
}

void
ledger_message(void *ctx, const struct ipc_message *message)
{
	struct front *front = ctx;

	switch ((enum wire_kind)message->kind) {
	case WIRE_REPLY:
		got_reply(front, message);
		break;
	case WIRE_PROBLEM:
		got_problem(front, message);
		break;
	case WIRE_NOTICE:
		got_notice(front, message);
		break;
	case WIRE_LIMITS:
		got_limits(front, message);
		break;
	case WIRE_CLOSE:
		got_close(front, message);
		break;
	case WIRE_END:
		got_end(front, message);
		break;
	case WIRE_STATE:
		front->state = message->op <= LEDGER_ROLLED_BACK
		    ? (enum ledger_state)message->op
		    : LEDGER_UNAVAILABLE;
		if (message->len > 0 &&
		    record_read_msgpack(&front->health, &health_record,
			message->payload, message->len, NULL, &front->arena,
			NULL) != 0)
			log_error("front",
			    "what the ledger says of its "
			    "health cannot be read");
		break;
	case WIRE_OPENED:
	case WIRE_CLOSED:
	case WIRE_REQUEST:
	case WIRE_CALL:
	case WIRE_MORE:
	case WIRE_ABANDONED:
		log_error("front", "the ledger sent a message of kind %u",
		    message->kind);
		break;
	}
	arena_clear(&front->arena);
	if (front->draining && front->n_waiting == 0)
		front_leave(front, CLOSE_GOING_AWAY, "the site is stopping");
}
