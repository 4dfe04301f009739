/*
 * HTTP: a request becomes the record of its operation and goes to the ledger
 * with the caller's credentials; what is wrong with it as a request is
 * answered here. Who may do it is not this file's business.
 */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Of 202: the next request hangs as well, so it may come soon. */
#define RETRY_AFTER "Retry-After: 1\r\n"

static void
refuse(struct front *front, net_conn conn, int status, int err,
    const char *words)
{
	struct problem problem;

	problem_set(&problem, err, NULL, "%s", words);
	answer_problem(front, conn, status, &problem, NULL);
}

/* --- what the front answers by itself ------------------------------------ */

static void
refuse_unread(struct front *front, net_conn conn, int status)
{
	if (status == 411)
		refuse(front, conn, 411, ERR_BAD_REQUEST,
		    "a body needs its Content-Length; chunks are not taken");
	else if (status == 413)
		refuse(front, conn, 413, ERR_TOO_LARGE,
		    "the body is larger than 1 MiB");
	else if (status == 429)
		refuse(front, conn, 429, ERR_RATE_LIMITED,
		    "too many requests came from this address");
	else if (status == 503)
		refuse(front, conn, 503, ERR_UNAVAILABLE,
		    "the site has too much to do right now");
	else
		refuse(front, conn, 400, ERR_BAD_REQUEST,
		    "the request's head is malformed");
}

static void
answer_ready(struct front *front, net_conn conn)
{
	struct health health = front->health;

	text_copy(health.status, sizeof(health.status), "ok");
	if (front->state == LEDGER_READY && !front->draining)
		answer_record(front, conn, 200, &health_record, &health, NULL);
	else if (front->state == LEDGER_STARTING)
		refuse(front, conn, 503, ERR_UNAVAILABLE,
		    "the site is starting");
	else if (front->state == LEDGER_ROLLED_BACK)
		refuse(front, conn, 503, ERR_UNAVAILABLE,
		    "the site's store was put back to an older copy: nothing "
		    "is granted until an admin acknowledges it");
	else if (front->state == LEDGER_UNAVAILABLE)
		refuse(front, conn, 503, ERR_UNAVAILABLE,
		    "the site cannot write its journal: its disk is full or "
		    "fails; reads go on");
	else
		refuse(front, conn, 503, ERR_UNAVAILABLE,
		    "the site is stopping");
}

/* Open operations take no parameters: nothing of a request is read, so what is
 * there is refused. True: it was answered. */
static bool
answer_here(struct front *front, net_conn conn, const struct operation *op,
    const struct net_request *request)
{
	struct health health = front->health;

	/* The program runs, whatever is not well. */
	text_copy(health.status, sizeof(health.status), "ok");
	if (op->id != OP_HEALTHZ && op->id != OP_READYZ && op->id != OP_OPENAPI)
		return false;
	if (request->query[0] != '\0')
		refuse(front, conn, 400, ERR_BAD_REQUEST,
		    "this operation takes no parameters");
	else if (op->id == OP_HEALTHZ)
		answer_record(front, conn, 200, &health_record, &health, NULL);
	else if (op->id == OP_READYZ)
		answer_ready(front, conn);
	else
		(void)net_reply(front->net, conn, 200, "application/json", NULL,
		    front->openapi.data, front->openapi.len);
	return true;
}

/* What the path takes. No page of another origin is told that it may. */
static void
answer_options(struct front *front, net_conn conn, const char *allow)
{
	char extra[128];

	snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
	(void)net_reply(front->net, conn, 200, NULL, extra, NULL, 0);
}

/* --- reading ------------------------------------------------------------- */

static bool
is_json(const char *content_type)
{
	static const char json[] = "application/json";
	size_t n = sizeof(json) - 1;

	return strncasecmp(content_type, json, n) == 0 &&
	    (content_type[n] == '\0' || content_type[n] == ';' ||
		content_type[n] == ' ');
}

static int
read_claims(struct wire_caller *caller, const struct net_request *request,
    struct problem *problem)
{
	const char *const *claims = request->claims;
	const char *print = claims[NET_CLAIM_FINGERPRINT];
	size_t n = 0;

	if (!text_copy(caller->hostname, sizeof(caller->hostname),
		claims[NET_CLAIM_HOSTNAME]) ||
	    !text_copy(caller->lib_version, sizeof(caller->lib_version),
		claims[NET_CLAIM_LIBRARY]) ||
	    !text_copy(caller->vendor, sizeof(caller->vendor),
		claims[NET_CLAIM_VENDOR])) {
		problem_set(problem, ERR_BAD_REQUEST, NULL,
		    "X-Hostname is longer than 127 bytes, X-Vendor-ID than 63, "
		    "or X-Lib-Version than 31");
		return ERR_BAD_REQUEST;
	}
	if (print[0] == '\0' ||
	    (text_from_hex(caller->fingerprint, sizeof(caller->fingerprint), &n,
		 print, strlen(print)) == 0 &&
		n == sizeof(caller->fingerprint)))
		return 0;
	problem_set(problem, ERR_BAD_REQUEST, NULL,
	    "X-App-Fingerprint is a SHA-256: 64 hexadecimal digits");
	return ERR_BAD_REQUEST;
}

static int
read_caller(struct wire_caller *caller, const struct net_request *request,
    struct problem *problem)
{
	static const char scheme[] = "Bearer ";
	const char *credentials = request->authorization;
	struct record_error error = { 0 };

	memset(caller, 0, sizeof(*caller));
	if (strncasecmp(credentials, scheme, sizeof(scheme) - 1) == 0) {
		credentials += sizeof(scheme) - 1;
		credentials += strspn(credentials, " ");
		caller->key.data = credentials;
		caller->key.len = (uint32_t)strlen(credentials);
	} else if (credentials[0] != '\0') {
		problem_set(problem, ERR_UNAUTHENTICATED,
		    "send the key as \"Authorization: Bearer KEY\"",
		    "the Authorization header is not of the kind Bearer");
		return ERR_UNAUTHENTICATED;
	}
	caller->host_port = request->host_port;
	memcpy(caller->certificate, request->peer->client_sha256,
	    sizeof(caller->certificate));
	memcpy(caller->shown, request->peer->shown_sha256,
	    sizeof(caller->shown));
	int err = read_claims(caller, request, problem);

	if (err == 0 && credentials[0] == '\0')
		err = cookie_read(&caller->key, request, problem);
	if (err != 0)
		return err;
	if (!text_copy(caller->address, sizeof(caller->address),
		request->peer->address) ||
	    !text_copy(caller->client_cn, sizeof(caller->client_cn),
		text_is_printable(request->peer->client_cn,
		    strlen(request->peer->client_cn))
		    ? request->peer->client_cn
		    : "") ||
	    !text_copy(caller->host, sizeof(caller->host), request->host) ||
	    !text_copy(caller->idempotency_key, sizeof(caller->idempotency_key),
		request->idempotency_key) ||
	    record_check(&wire_caller_record, caller, &error) != 0) {
		problem_set(problem, ERR_BAD_REQUEST, NULL,
		    "Authorization, Host, Idempotency-Key, X-Hostname or "
		    "X-Lib-Version is too long or malformed");
		return ERR_BAD_REQUEST;
	}
	return 0;
}

/* Does an Accept header take this type (RFC 9110, section 12.5.1)? None takes
 * everything. */
static bool
accepts(const char *accept, const char *type)
{
	size_t len = strcspn(type, ";");
	size_t main_len = strcspn(type, "/") + 1;

	if (accept[0] == '\0')
		return true;
	for (const char *p = accept; *p != '\0'; p += *p == ',') {
		p += strspn(p, " \t");
		size_t n = strcspn(p, ",");
		size_t word = strcspn(p, "; \t,");
		const char *q = memmem(p, n, ";q=0", 4);
		bool never =
		    q != NULL && strspn(q + 4, ".0") == strcspn(q + 4, "; \t,");

		if (!never &&
		    ((word == 3 && memcmp(p, "*/*", 3) == 0) ||
			(word == len && strncasecmp(p, type, len) == 0) ||
			(word == main_len + 1 && p[main_len] == '*' &&
			    strncasecmp(p, type, main_len) == 0)))
			return true;
		p += n;
	}
	return false;
}

/* Would a success be of a kind that is asked for? */
static bool
is_acceptable(const struct operation *op, const char *accept)
{
	if (op->content_type == NULL)
		return accepts(accept, "application/json");
	if (op->content_type[0] != '\0')
		return accepts(accept, op->content_type);
	/* Which of them it is, its `format` says. */
	for (int i = BILLING_AS_JSON; i <= BILLING_AS_TEXT; i++)
		if (accepts(accept, billing_format_types[i]))
			return true;
	return false;
}

/* Its form, before anything of it is read. True: it was refused. */
static bool
refuse_form(struct front *front, net_conn conn, const struct operation *op,
    const struct net_request *request)
{
	bool has_body = operation_has_body(op);

	if (!is_acceptable(op, request->accept))
		refuse(front, conn, 406, ERR_BAD_REQUEST,
		    "the answer would be of a kind that Accept does not name");
	else if (request->len > 0 && !has_body)
		refuse(front, conn, 400, ERR_BAD_REQUEST,
		    "this operation takes no body");
	else if (request->query[0] != '\0' && has_body)
		refuse(front, conn, 400, ERR_BAD_REQUEST,
		    "this operation takes its parameters from the body, not "
		    "from a query");
	else if (request->len > 0 && !is_json(request->content_type))
		refuse(front, conn, 415, ERR_BAD_REQUEST,
		    "the body must be sent as Content-Type application/json");
	else
		return false;
	return true;
}

static int
read_request(void **out, struct front *front, const struct operation *op,
    const struct operation_parameter *parameters, size_t n_parameters,
    const struct net_request *request, struct problem *problem)
{
	struct record_error error = { 0 };
	int err = query_to_json(&front->text, op->request, parameters,
	    n_parameters, request->query, request->body, request->len, problem);

	if (err != 0)
		return err;
	*out = arena_alloc(&front->arena,
	    op->request->size > 0 ? op->request->size : 1);
	if (*out == NULL)
		return ERR_NOMEM;
	err =
	    record_read_json(*out, op->request, (const char *)front->text.data,
		front->text.len, &front->arena, &error);
	if (err == 0)
		return 0;
	problem_set(problem, err, NULL, "%s%s%s",
	    error.field[0] != '\0' ? error.field : "the request",
	    error.reason[0] != '\0' ? " " : "", error.reason);
	text_copy(problem->field, sizeof(problem->field), error.field);
	return err;
}

/* --- handing on ---------------------------------------------------------- */

static int
hand_on(struct front *front, net_conn conn, const struct operation *op,
    const struct wire_caller *caller, const void *request)
{
	struct peer *peer = peer_new(front, conn, true);
	struct buf *payload = &front->payload;

	if (peer == NULL)
		return ERR_NOMEM;
	buf_clear(payload);
	record_write_msgpack(payload, &wire_caller_record, caller);
	record_write_msgpack(payload, op->request, request);
	peer->op = op;
	peer->tag = ++front->next_tag;
	peer->waiting = 1;
	front->n_waiting++;
	int err = payload->failed ? ERR_NOMEM
				  : front_tell(front,
					&(struct ipc_message){
					    .kind = WIRE_CALL,
					    .op = (uint16_t)op->id,
					    .conn = conn,
					    .tag = peer->tag,
					    .payload = payload->data,
					    .len = (uint32_t)payload->len,
					});

	/* It held a key. */
	if (payload->data != NULL)
		sodium_memzero(payload->data, payload->len);
	if (err != 0)
		peer_free(front, peer);
	return err;
}

static void
serve(struct front *front, net_conn conn, const struct operation *op,
    const struct operation_parameter *parameters, size_t n_parameters,
    const struct net_request *request)
{
	struct wire_caller caller;
	struct problem problem = { 0 };
	void *record = NULL;
	int err = 0;

	if (front->draining)
		err = ERR_UNAVAILABLE;
	if (err == 0)
		err = read_caller(&caller, request, &problem);
	if (err == 0)
		err = read_request(&record, front, op, parameters, n_parameters,
		    request, &problem);
	if (err == 0 && op->id == OP_EVENTS)
		err = stream_resume(record,
		    request->claims[NET_CLAIM_LAST_EVENT], &problem);
	if (err == 0)
		err = hand_on(front, conn, op, &caller, record);
	arena_clear(&front->arena);
	if (err == 0)
		return;
	if (problem.code[0] == '\0')
		problem_set(&problem, err, NULL, NULL);
	answer_problem(front, conn, err_http_status(err), &problem, NULL);
}

void
call_request(void *ctx, net_conn conn, const struct net_request *request)
{
	struct operation_parameter parameters[OPERATION_PARAMETERS_MAX];
	struct front *front = ctx;
	size_t n_parameters = 0;
	struct problem problem;
	char allow[64] = "";
	int status = 404;

	if (request->refusal != 0) {
		refuse_unread(front, conn, request->refusal);
		return;
	}
	/* RFC 9110: whatever has GET has HEAD; shared/net drops the body. */
	const char *method =
	    strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
	const struct operation *op =
	    operation_by_route(parameters, &n_parameters, &status, allow,
		sizeof(allow), method, request->path);

	if (op == NULL && status == 405 &&
	    strcmp(request->method, "OPTIONS") == 0) {
		answer_options(front, conn, allow);
		return;
	}
	if (op == NULL) {
		problem_set(&problem,
		    status == 404 ? ERR_NOT_FOUND : ERR_BAD_REQUEST,
		    "GET /api/v1/openapi.json lists what there is",
		    status == 404 ? "there is nothing at this path"
				  : "this path does not take that method");
		answer_problem(front, conn, status, &problem, allow);
		return;
	}
	if (refuse_form(front, conn, op, request))
		return;
	/* Its answer would not end. */
	if (op->id == OP_EVENTS && strcmp(request->method, "HEAD") == 0) {
		(void)net_reply(front->net, conn, 200, op->content_type, NULL,
		    NULL, 0);
		return;
	}
	if (!answer_here(front, conn, op, request))
		serve(front, conn, op, parameters, n_parameters, request);
}

/* What the ledger was told to do is done; but nobody waits any more. */
void
call_abandon(struct front *front, struct peer *peer)
{
	if (peer->op->is_waiting != NULL || peer->op->id == OP_EVENTS ||
	    peer->streams)
		(void)front_tell(front,
		    &(struct ipc_message){
			.kind = WIRE_ABANDONED,
			.op = (uint16_t)peer->op->id,
			.conn = peer->conn,
			.tag = peer->tag,
		    });
	peer_free(front, peer);
}

void
call_look(struct front *front)
{
	for (size_t i = 0; i < front->peers_size; i++) {
		struct peer *peer = front->peers[i];

		if (peer == NULL || !peer->is_call ||
		    peer->op->is_waiting == NULL ||
		    !net_is_gone(front->net, peer->conn))
			continue;
		net_conn conn = peer->conn;

		call_abandon(front, peer);
		refuse(front, conn, 503, ERR_CLOSED, "you hung up");
	}
}

void
call_aborted(void *ctx, net_conn conn)
{
	struct front *front = ctx;
	struct peer *peer = peer_get(front, conn);

	if (peer != NULL && peer->is_call)
		call_abandon(front, peer);
}

/* A page's token is for its cookie only. */
static void
reply_session(struct front *front, net_conn conn, const struct operation *op,
    const void *reply)
{
	struct session_created created;
	char header[COOKIE_HEADER];

	if (op->id == OP_SESSION_END) {
		cookie_clear(header, sizeof(header));
		answer_record(front, conn, op->status, op->reply, reply,
		    header);
		return;
	}
	memcpy(&created, reply, sizeof(created));
	if (!created.session.cookie) {
		answer_record(front, conn, op->status, op->reply, reply, NULL);
		return;
	}
	cookie_set(header, sizeof(header), &created.token);
	created.token = (struct record_span){ NULL, 0 };
	answer_record(front, conn, op->status, op->reply, &created, header);
	sodium_memzero(header, sizeof(header));
}

void
call_reply(struct front *front, struct peer *peer, const void *reply)
{
	net_conn conn = peer->conn;
	const struct operation *op = peer->op;

	if (op->id == OP_EVENTS) {
		stream_reply(front, peer, reply);
		return;
	}
	if (op->reply == &billing_document_record &&
	    document_is_long(peer, reply)) {
		document_piece(front, peer, reply);
		return;
	}
	/* The ledger knew its key. */
	if (op->scope != SCOPE_OPEN)
		net_trust(front->net, conn);
	front->limits = peer->limits;
	peer_free(front, peer);
	if (op->id == OP_METRICS) {
		const struct metrics_text *text = reply;

		(void)net_reply(front->net, conn, 200, op->content_type, NULL,
		    text->text.data, text->text.len);
		return;
	}
	if (op->reply == &billing_document_record)
		document_reply(front, conn, reply);
	else if (op->id == OP_SESSION_CREATE || op->id == OP_SESSION_END)
		reply_session(front, conn, op, reply);
	else if (op->is_waiting != NULL && op->is_waiting(reply))
		answer_record(front, conn, 202, op->reply, reply, RETRY_AFTER);
	else
		answer_record(front, conn, op->status, op->reply, reply, NULL);
}

void
call_refuse(struct front *front, struct peer *peer, int err,
    const struct problem *problem)
{
	net_conn conn = peer->conn;

	if (peer->streams) {
		stream_end(front, peer);
		return;
	}
	front->limits = peer->limits;
	peer_free(front, peer);
	answer_problem(front, conn, err_http_status(err), problem, NULL);
}
