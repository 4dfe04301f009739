/*
 * An agent's WebSocket: JSON-RPC messages become records for the ledger, and
 * its answers and notices become messages. What is wrong with a message as a
 * message is answered here; what an agent may do, the ledger says.
 */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/record/json.h"

#include <string.h>

/* --- out ----------------------------------------------------------------- */

static void
send_text(struct front *front, net_conn conn)
{
	struct buf *text = &front->text;
	int err = text->failed
	    ? ERR_NOMEM
	    : net_send(front->net, conn, text->data, text->len);

	if (err == ERR_NOMEM)
		buf_release(text);
	/* Closed and slow ones end by themselves. */
	if (err == ERR_NOMEM || err == ERR_TOO_LARGE) {
		log_error("front", "a message cannot be sent: %s bytes=%zu",
		    err_str(err), text->len);
		net_close(front->net, conn, CLOSE_TRY_LATER,
		    "the answer is too large for one message");
	}
}

static void
send_error(struct front *front, net_conn conn, uint64_t id, int code,
    const struct problem *problem)
{
	buf_clear(&front->text);
	rpc_write_error(&front->text, id, code, problem);
	send_text(front, conn);
}

void
session_reply(struct front *front, struct peer *peer, uint64_t tag,
    const struct operation *op, const void *reply)
{
	struct problem problem;

	if (op->id == OP_SESSION_PROVE) {
		peer->proved = true;
		net_trust(front->net, peer->conn);
	}
	buf_clear(&front->text);
	rpc_write_result(&front->text, tag, op->reply, reply);
	if (!front->text.failed && front->text.len > NET_MESSAGE_MAX) {
		problem_set(&problem, ERR_TOO_LARGE, "ask for less at once",
		    "the answer is larger than one message may be");
		send_error(front, peer->conn, tag, ERR_TOO_LARGE, &problem);
		return;
	}
	send_text(front, peer->conn);
}

void
session_refuse(struct front *front, struct peer *peer, uint64_t tag, int err,
    const struct problem *problem)
{
	send_error(front, peer->conn, tag, err, problem);
}

void
session_notice(struct front *front, net_conn conn, const struct operation *op,
    const void *notice)
{
	buf_clear(&front->text);
	rpc_write_request(&front->text, 0, op->name, op->request, notice);
	send_text(front, conn);
}

/* --- in ------------------------------------------------------------------ */

/* It was no request. Who goes on like that is no agent. */
static void
complain(struct front *front, struct peer *peer, uint64_t id, int code,
    const struct problem *problem)
{
	if (++peer->faults > SESSION_FAULTS_MAX) {
		net_close(front->net, peer->conn, CLOSE_POLICY,
		    "too many messages that are no requests");
		return;
	}
	send_error(front, peer->conn, id, code, problem);
}

static void
complain_of(struct front *front, struct peer *peer, uint64_t id, int code,
    const struct record_error *error)
{
	struct problem problem;

	problem_set(&problem, ERR_BAD_REQUEST, NULL, "%s%s%s",
	    error->field[0] != '\0' ? error->field : "the message",
	    error->reason[0] != '\0' ? " " : "", error->reason);
	text_copy(problem.field, sizeof(problem.field), error->field);
	complain(front, peer, id, code, &problem);
}

/* The envelope as a request of an operation that agents have. */
static const struct operation *
read_envelope(struct rpc_envelope *envelope, struct front *front,
    struct peer *peer, const char *text, size_t len)
{
	struct record_error error = { 0 };

	if (rpc_read(envelope, text, len, &error) != 0) {
		bool parses = json_check(text, len, RECORD_DEPTH_MAX + 1) == 0;

		complain_of(front, peer, envelope->id,
		    parses ? RPC_INVALID : RPC_PARSE, &error);
		return NULL;
	}
	if (envelope->method == NULL || envelope->id == 0) {
		text_copy(error.reason, sizeof(error.reason),
		    "is not a request with an id");
		complain_of(front, peer, envelope->id, RPC_INVALID, &error);
		return NULL;
	}
	const struct operation *op =
	    operation_by_name(envelope->method, envelope->method_len);

	if (op == NULL || op->kind == OPERATION_NOTICE) {
		text_copy(error.field, sizeof(error.field), "method");
		text_copy(error.reason, sizeof(error.reason),
		    "is not one of this site's");
		complain_of(front, peer, envelope->id, RPC_METHOD, &error);
		return NULL;
	}
	return op;
}

static int
write_request(struct buf *payload, struct front *front, struct peer *peer,
    const struct operation *op, const struct rpc_envelope *envelope)
{
	struct record_error error = { 0 };
	const char *params = envelope->params;
	size_t len = envelope->params_len;
	void *request = arena_alloc(&front->arena,
	    op->request->size > 0 ? op->request->size : 1);

	if (params == NULL) {
		params = "{}";
		len = 2;
	}
	buf_clear(payload);
	if (request == NULL ||
	    record_read_json(request, op->request, params, len, &front->arena,
		&error) != 0) {
		complain_of(front, peer, envelope->id, RPC_PARAMS, &error);
		return ERR_BAD_REQUEST;
	}
	record_write_msgpack(payload, op->request, request);
	return 0;
}

static int
hand_on(struct front *front, struct peer *peer, const struct operation *op,
    uint64_t id)
{
	const struct buf *payload = &front->payload;

	if (front->draining)
		return ERR_UNAVAILABLE;
	if (payload->failed)
		return ERR_NOMEM;
	return front_tell(front,
	    &(struct ipc_message){
		.kind = WIRE_REQUEST,
		.op = (uint16_t)op->id,
		.conn = peer->conn,
		.tag = id,
		.payload = payload->data,
		.len = (uint32_t)payload->len,
	    });
}

void
session_message(void *ctx, net_conn conn, const uint8_t *data, size_t len)
{
	struct front *front = ctx;
	struct peer *peer = peer_get(front, conn);
	struct rpc_envelope envelope;
	struct problem problem;

	if (peer == NULL)
		return;
	const struct operation *op =
	    read_envelope(&envelope, front, peer, (const char *)data, len);

	if (op == NULL)
		return;
	if (peer->waiting >= SESSION_CALLS_MAX) {
		log_info("front", "closed an agent with too many requests");
		net_close(front->net, conn, CLOSE_TRY_LATER,
		    "too many requests at once");
		return;
	}
	int err = write_request(&front->payload, front, peer, op, &envelope);

	arena_clear(&front->arena);
	if (err != 0)
		return;
	err = hand_on(front, peer, op, envelope.id);
	if (err != 0) {
		problem_set(&problem, err, NULL, NULL);
		send_error(front, conn, envelope.id, err, &problem);
		return;
	}
	peer->waiting++;
	front->n_waiting++;
}

/* --- coming and going ---------------------------------------------------- */

void
session_look(struct front *front)
{
	int limit_ms =
	    front->options->prove_ms > 0 ? front->options->prove_ms : PROVE_MS;
	int64_t now_ms = front_now_ms();
	struct buf list = { 0 };
	size_t n;
	struct peer **peers = peer_list(&list, front, &n);

	for (size_t i = 0; i < n; i++)
		if (!peers[i]->is_call && !peers[i]->proved &&
		    now_ms - peers[i]->opened_ms > limit_ms)
			net_close(front->net, peers[i]->conn, CLOSE_POLICY,
			    "say which device you are sooner");
	buf_release(&list);
}

void
session_opened(void *ctx, net_conn conn, const struct net_peer *net_peer)
{
	struct front *front = ctx;
	struct buf *payload = &front->payload;
	struct wire_peer wire = { 0 };
	struct peer *peer = peer_new(front, conn, false);

	if (peer != NULL)
		peer->opened_ms = front_now_ms();
	text_copy(wire.address, sizeof(wire.address), net_peer->address);
	text_copy(wire.client_cn, sizeof(wire.client_cn), net_peer->client_cn);
	text_copy(wire.host, sizeof(wire.host), net_peer->host);
	memcpy(wire.exporter, net_peer->exporter, sizeof(wire.exporter));
	buf_clear(payload);
	record_write_msgpack(payload, &wire_peer_record, &wire);
	if (peer == NULL || payload->failed || front->draining ||
	    record_check(&wire_peer_record, &wire, NULL) != 0 ||
	    front_tell(front,
		&(struct ipc_message){
		    .kind = WIRE_OPENED,
		    .conn = conn,
		    .payload = payload->data,
		    .len = (uint32_t)payload->len,
		}) != 0) {
		if (peer != NULL)
			peer_free(front, peer);
		net_close(front->net, conn, CLOSE_TRY_LATER,
		    "the site cannot take more agents right now");
	}
}

void
session_closed(void *ctx, net_conn conn)
{
	struct front *front = ctx;
	struct peer *peer = peer_get(front, conn);

	if (peer == NULL)
		return; /* it was never told of */
	peer_free(front, peer);
	/* This must reach the ledger, whatever waits before it. */
	(void)ipc_send(front->ledger,
	    &(struct ipc_message){ .kind = WIRE_CLOSED, .conn = conn });
}
