#include "agent/uplink/uplink.h"

#include "agent/uplink/cause.h"
#include "agent/uplink/wire.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "shared/ipc/ipc.h"
#include "shared/net/net.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define AGENT_PATH "/agent/v1"
#define AGENT_PROTOCOL "leasehold.v1"
#define CONNECT_TIMEOUT_S 10
/* Calls on their way at once; the keeper stays well below. */
#define CALLS_MAX 8192
#define CLOSE_NORMAL 1000
#define CLOSE_PROTOCOL 1002

/* A call that waits for its answer; id 0: free. */
struct uplink_call {
	uint64_t id;
	uint64_t tag;
	const struct operation *op;
};

struct uplink {
	struct event_base *base;
	struct ipc *keeper;
	struct net *net;
	struct event *terminate;
	struct event *parent; /* control: readable when the parent is gone */
	uint64_t attempt; /* of the connection that is open or begun */
	net_conn conn; /* 0: none */
	bool open;
	bool first_contact;
	char host[256];
	char *ca_pem; /* lives as long as the connection */
	uint8_t ca_sha256[32];
	uint64_t next_id;
	struct uplink_call *calls; /* CALLS_MAX, by id */
	struct arena arena; /* of one message */
	struct buf out;
};

static void
tell(struct uplink *uplink, enum uplink_kind kind, uint16_t op, uint64_t tag,
    const void *payload, size_t len)
{
	struct ipc_message message = {
		.kind = (uint16_t)kind,
		.op = op,
		.conn = uplink->attempt,
		.tag = tag,
		.payload = payload,
		.len = (uint32_t)len,
	};
	int err = ipc_send(uplink->keeper, &message);

	if (err < 0)
		log_error("uplink", "cannot tell the keeper: %s", err_str(err));
}

static void
tell_record(struct uplink *uplink, enum uplink_kind kind, uint16_t op,
    uint64_t tag, const struct record *record, const void *value)
{
	buf_clear(&uplink->out);
	record_write_msgpack(&uplink->out, record, value);
	if (uplink->out.failed) {
		log_error("uplink", "no memory for a %s", record->name);
		buf_release(&uplink->out);
		return;
	}
	tell(uplink, kind, op, tag, uplink->out.data, uplink->out.len);
}

static void
tell_problem(struct uplink *uplink, uint64_t tag, uint16_t op, int err,
    const struct problem *problem)
{
	buf_clear(&uplink->out);
	record_write_msgpack(&uplink->out, &problem_record, problem);
	buf_add_be32(&uplink->out, (uint32_t)err);
	if (uplink->out.failed) {
		log_error("uplink", "no memory for a problem");
		buf_release(&uplink->out);
		return;
	}
	tell(uplink, UPLINK_PROBLEM, op, tag, uplink->out.data,
	    uplink->out.len);
}

static void
forget_connection(struct uplink *uplink)
{
	uplink->conn = 0;
	uplink->open = false;
	memset(uplink->calls, 0, CALLS_MAX * sizeof(uplink->calls[0]));
}

/* The site broke the protocol: nothing that it says further can be trusted to
 * belong to anything. The close callback tells the keeper. */
static void
hang_up_on_site(struct uplink *uplink, const char *why)
{
	log_error("uplink", "the site broke the protocol: %s", why);
	net_close(uplink->net, uplink->conn, CLOSE_PROTOCOL, why);
}

/* --- from the site -------------------------------------------------------- */

static void
take_result(struct uplink *uplink, const struct uplink_call *call,
    const struct rpc_envelope *envelope)
{
	struct record_error error;
	const struct record *record = call->op->reply;
	void *reply = arena_alloc(&uplink->arena, record->size);
	int err = reply == NULL
	    ? ERR_NOMEM
	    : record_read_json(reply, record, envelope->result,
		  envelope->result_len, &uplink->arena, &error);

	if (err == ERR_BAD_REQUEST)
		log_error("uplink", "answer to %s: %s %s", call->op->name,
		    error.field, error.reason);
	if (err < 0) {
		hang_up_on_site(uplink, "an answer is malformed");
		return;
	}
	tell_record(uplink, UPLINK_REPLY, (uint16_t)call->op->id, call->tag,
	    record, reply);
}

static void
take_response(struct uplink *uplink, const struct rpc_envelope *envelope)
{
	struct uplink_call *slot = &uplink->calls[envelope->id % CALLS_MAX];
	struct uplink_call call = *slot;

	if (envelope->id == 0 || call.id != envelope->id) {
		hang_up_on_site(uplink, "an answer to no question");
		return;
	}
	slot->id = 0;
	if (envelope->result != NULL) {
		take_result(uplink, &call, envelope);
		return;
	}
	struct problem problem;
	int err =
	    rpc_read_error(&problem, envelope->error, envelope->error_len);

	tell_problem(uplink, call.tag, (uint16_t)call.op->id, err, &problem);
}

static void
take_notice(struct uplink *uplink, const struct rpc_envelope *envelope)
{
	const struct operation *op =
	    operation_by_name(envelope->method, envelope->method_len);
	struct record_error error;

	if (envelope->id != 0) {
		hang_up_on_site(uplink, "a site asks nothing");
		return;
	}
	if (op == NULL || op->kind != OPERATION_NOTICE) {
		/* A newer site may say more than this agent knows. */
		log_debug("uplink", "unknown notice \"%.*s\"",
		    (int)envelope->method_len, envelope->method);
		return;
	}
	void *notice = arena_alloc(&uplink->arena, op->request->size);
	const char *params = envelope->params != NULL ? envelope->params : "{}";
	size_t len = envelope->params != NULL ? envelope->params_len : 2;

	if (notice == NULL ||
	    record_read_json(notice, op->request, params, len, &uplink->arena,
		&error) < 0) {
		hang_up_on_site(uplink, "a notice is malformed");
		return;
	}
	tell_record(uplink, UPLINK_NOTICE, (uint16_t)op->id, 0, op->request,
	    notice);
}

static void
on_message(void *ctx, net_conn conn, const uint8_t *data, size_t len)
{
	struct uplink *uplink = ctx;
	struct rpc_envelope envelope;
	struct record_error error;

	if (conn != uplink->conn)
		return;
	if (rpc_read(&envelope, (const char *)data, len, &error) < 0) {
		log_error("uplink", "message of the site: %s %s", error.field,
		    error.reason);
		hang_up_on_site(uplink, "a message is malformed");
	} else if (envelope.method != NULL) {
		take_notice(uplink, &envelope);
	} else {
		take_response(uplink, &envelope);
	}
	arena_clear(&uplink->arena);
}

static void
on_open(void *ctx, net_conn conn, const struct net_peer *peer)
{
	struct uplink *uplink = ctx;
	struct uplink_peer said = { 0 };
	char pem[16384];

	if (conn != uplink->conn)
		return;
	uplink->open = true;
	memcpy(said.exporter, peer->exporter, sizeof(said.exporter));
	said.certificate_end = peer->certificate_end;
	if (uplink->first_contact) {
		size_t len = net_peer_ca(pem, sizeof(pem), uplink->net, conn);

		if (len == 0) {
			hang_up_on_site(uplink, "its CA is not in its chain");
			return;
		}
		said.ca_pem = (struct record_span){ pem, (uint32_t)len };
	}
	tell_record(uplink, UPLINK_OPENED, 0, 0, &uplink_peer_record, &said);
}

static void
on_close(void *ctx, net_conn conn, const char *reason)
{
	struct uplink *uplink = ctx;

	if (conn != uplink->conn)
		return; /* replaced by a later attempt */
	forget_connection(uplink);
	tell(uplink, UPLINK_CLOSED, (uint16_t)uplink_cause(uplink->net), 0,
	    reason, strlen(reason));
}

static const struct net_client_callbacks site_callbacks = {
	.open = on_open,
	.message = on_message,
	.close = on_close,
};

/* --- from the keeper ------------------------------------------------------ */

static int
read_payload(void **out, struct uplink *uplink, const struct record *record,
    const struct ipc_message *message)
{
	struct record_error error;
	int err = ERR_NOMEM;

	*out = arena_alloc(&uplink->arena, record->size);
	if (*out != NULL)
		err = record_read_msgpack(*out, record, message->payload,
		    message->len, NULL, &uplink->arena, &error);
	if (err == ERR_BAD_REQUEST)
		log_error("uplink", "the keeper's %s: %s %s", record->name,
		    error.field, error.reason);
	return err;
}

static void
do_connect(struct uplink *uplink, const struct ipc_message *message)
{
	struct uplink_target *target;
	struct net_client_options options = {
		.path = AGENT_PATH,
		.protocol = AGENT_PROTOCOL,
		.connect_timeout_s = CONNECT_TIMEOUT_S,
	};
	void *payload;
	net_conn old = uplink->conn;

	forget_connection(uplink);
	uplink->attempt = message->conn;
	if (old != 0)
		net_close(uplink->net, old, CLOSE_NORMAL, "");
	int err =
	    read_payload(&payload, uplink, &uplink_target_record, message);

	if (err < 0)
		goto failed;
	target = payload;
	memcpy(uplink->host, target->host, sizeof(uplink->host));
	memcpy(uplink->ca_sha256, target->ca_sha256, sizeof(uplink->ca_sha256));
	free(uplink->ca_pem);
	uplink->ca_pem = NULL;
	uplink->first_contact = target->ca_pem.len == 0;
	if (!uplink->first_contact) {
		uplink->ca_pem =
		    strndup(target->ca_pem.data, target->ca_pem.len);
		err = ERR_NOMEM;
		if (uplink->ca_pem == NULL)
			goto failed;
	}
	options.host = uplink->host;
	options.port = (uint16_t)target->port;
	options.ca_pem = uplink->ca_pem;
	options.ca_sha256 = uplink->first_contact ? uplink->ca_sha256 : NULL;
	err = net_connect(&uplink->conn, uplink->net, &options, &site_callbacks,
	    uplink);
	if (err == 0)
		return;
failed:
	tell(uplink, UPLINK_CLOSED, CAUSE_OTHER, 0, err_str(err),
	    strlen(err_str(err)));
}

static int
send_call(struct uplink *uplink, const struct operation *op,
    const struct ipc_message *message)
{
	void *request;
	uint64_t id = uplink->next_id;
	struct uplink_call *slot = &uplink->calls[id % CALLS_MAX];

	if (!uplink->open || message->conn != uplink->attempt)
		return ERR_CLOSED;
	if (slot->id != 0)
		return ERR_BUSY;
	int err = read_payload(&request, uplink, op->request, message);

	if (err < 0)
		return err;
	buf_clear(&uplink->out);
	rpc_write_request(&uplink->out, id, op->name, op->request, request);
	if (uplink->out.failed) {
		buf_release(&uplink->out);
		return ERR_NOMEM;
	}
	if (uplink->out.len > NET_MESSAGE_MAX)
		return ERR_TOO_LARGE;
	err = net_send(uplink->net, uplink->conn, uplink->out.data,
	    uplink->out.len);
	if (err < 0)
		return err;
	*slot = (struct uplink_call){ id, message->tag, op };
	uplink->next_id++;
	return 0;
}

static void
do_call(struct uplink *uplink, const struct ipc_message *message)
{
	const struct operation *op = operation_get(message->op);
	struct problem problem;
	int err = op == NULL || op->method != NULL
	    ? ERR_BAD_REQUEST
	    : send_call(uplink, op, message);

	if (err == 0)
		return;
	problem_set(&problem, err, NULL, NULL);
	tell_problem(uplink, message->tag, message->op, err, &problem);
}

static void
on_keeper_message(void *ctx, const struct ipc_message *message)
{
	struct uplink *uplink = ctx;

	switch (message->kind) {
	case UPLINK_CONNECT:
		do_connect(uplink, message);
		break;
	case UPLINK_CALL:
		do_call(uplink, message);
		break;
	case UPLINK_HANGUP:
		if (uplink->conn != 0 && message->conn == uplink->attempt)
			net_close(uplink->net, uplink->conn, CLOSE_NORMAL, "");
		break;
	default:
		log_error("uplink", "the keeper said kind %u", message->kind);
	}
	arena_clear(&uplink->arena);
}

static void
on_keeper_closed(void *ctx)
{
	struct uplink *uplink = ctx;

	event_base_loopbreak(uplink->base);
}

/* --- the process ---------------------------------------------------------- */

static void
on_terminate(evutil_socket_t fd, short what, void *ctx)
{
	struct uplink *uplink = ctx;

	(void)fd;
	(void)what;
	if (uplink->conn != 0)
		net_close(uplink->net, uplink->conn, CLOSE_NORMAL, "");
	event_base_loopbreak(uplink->base);
}

static int
open_parts(struct uplink *uplink, const struct supervisor_child *child)
{
	static const struct ipc_callbacks callbacks = {
		.message = on_keeper_message,
		.closed = on_keeper_closed,
	};

	uplink->base = event_base_new();
	uplink->calls = calloc(CALLS_MAX, sizeof(uplink->calls[0]));
	if (uplink->base == NULL || uplink->calls == NULL)
		return ERR_NOMEM;
	uplink->keeper =
	    ipc_new(uplink->base, child->edge_fd, &callbacks, uplink);
	uplink->net = net_new(uplink->base);
	if (uplink->keeper == NULL || uplink->net == NULL)
		return ERR_NOMEM;
	uplink->terminate =
	    evsignal_new(uplink->base, SIGTERM, on_terminate, uplink);
	/* Nothing is ever sent to an edge here: readable is the end. */
	uplink->parent = event_new(uplink->base, child->control, EV_READ,
	    on_terminate, uplink);
	if (uplink->terminate == NULL || uplink->parent == NULL ||
	    event_add(uplink->terminate, NULL) < 0 ||
	    event_add(uplink->parent, NULL) < 0)
		return ERR_NOMEM;
	return 0;
}

static void
close_parts(struct uplink *uplink)
{
	if (uplink->parent != NULL)
		event_free(uplink->parent);
	if (uplink->terminate != NULL)
		event_free(uplink->terminate);
	net_free(uplink->net);
	ipc_free(uplink->keeper);
	if (uplink->base != NULL)
		event_base_free(uplink->base);
	free(uplink->calls);
	free(uplink->ca_pem);
	buf_release(&uplink->out);
	arena_release(&uplink->arena);
}

static int
enter_sandbox(const struct uplink_options *options)
{
	int err = 0;

	if (options->drop)
		err = sandbox_drop_user(options->uid, options->gid, 0);
	if (err == 0)
		err = sandbox_no_new_privileges();
	if (err == 0)
		err = sandbox_enter(SANDBOX_UPLINK);
	return err;
}

int
uplink_main(const struct uplink_options *options,
    const struct supervisor_child *child)
{
	struct uplink uplink = { .next_id = 1 };

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	int err = open_parts(&uplink, child);

	if (err == 0)
		err = enter_sandbox(options);
	if (err == 0)
		err = supervisor_ready(child);
	if (err == 0 && event_base_dispatch(uplink.base) < 0)
		err = ERR_SYSTEM;
	if (err < 0)
		log_error("uplink", "ends: %s", err_str(err));
	close_parts(&uplink);
	return err == 0 ? 0 : 1;
}
