/*
 * The front as the network meets it: bytes through real TLS into
 * libwebsockets, HTTP and WebSocket, our own reading of both, and out to a
 * ledger that says what the input wants. Whatever reaches the ledger is a whole
 * request of an operation. First byte: HTTP, WebSocket, or WebSocket frames
 * made of what follows; second: the size of writes; third: what the ledger
 * answers.
 */
#include "tests/fuzz/fuzz.h"

#include "appliance/front/inside.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/net/net_private.h"
#include "tests/unit/pki.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_MAX 400

struct stage {
	struct front front;
	struct front_options options;
	struct ipc *ledger; /* the other end */
	struct pki_ca ca;
	struct pki_leaf leaf;
	SSL_CTX *tls;
	uint8_t answers;
	struct ipc_message owed[64]; /* answered when the stranger has gone */
	size_t n_owed;
};

static struct stage *stage;

/* --- the ledger ------------------------------------------------------------ */

static void
check_record(const struct record *record, const uint8_t *data, size_t len,
    size_t *used)
{
	struct arena arena = { .max_bytes = (size_t)32 << 20 };
	void *value = calloc(1, record->size > 0 ? record->size : 1);

	fuzz_must(value != NULL);
	fuzz_must(record_read_msgpack(value, record, data, len, used, &arena,
		      NULL) == 0);
	free(value);
	arena_release(&arena);
}

static void
answer(const struct ipc_message *question)
{
	struct buf payload = { 0 };
	struct problem problem;
	struct ipc_message message = {
		.kind = WIRE_PROBLEM,
		.op = question->op,
		.conn = question->conn,
		.tag = question->tag,
	};

	problem_set(&problem, ERR_NO_SEATS, NULL, NULL);
	record_write_msgpack(&payload, &problem_record, &problem);
	buf_add_be32(&payload, (uint32_t)ERR_NO_SEATS);
	message.payload = payload.data;
	message.len = (uint32_t)payload.len;
	if (stage->answers == 2) {
		/* Rubbish: the front says that it cannot read it. */
		message.kind = WIRE_REPLY;
		message.len /= 2;
	}
	if (stage->answers == 3)
		message = (struct ipc_message){
			.kind = WIRE_CLOSE,
			.op = 1008,
			.conn = question->conn,
			.payload = (const uint8_t *)"go",
			.len = 2,
		};
	fuzz_must(ipc_send(stage->ledger, &message) == 0);
	buf_release(&payload);
}

static void
on_question(void *ctx, const struct ipc_message *message)
{
	const struct operation *op = operation_get(message->op);
	size_t used = 0;

	(void)ctx;
	if (message->kind == WIRE_CLOSED)
		return;
	if (message->kind == WIRE_OPENED) {
		check_record(&wire_peer_record, message->payload, message->len,
		    NULL);
		return;
	}
	fuzz_must(op != NULL);
	if (message->kind == WIRE_CALL) {
		fuzz_must(op->method != NULL);
		check_record(&wire_caller_record, message->payload,
		    message->len, &used);
	} else {
		fuzz_must(message->kind == WIRE_REQUEST && op->method == NULL);
	}
	check_record(op->request, message->payload + used, message->len - used,
	    NULL);
	if (stage->answers != 1)
		answer(message);
	else if (stage->n_owed < sizeof(stage->owed) / sizeof(stage->owed[0]))
		stage->owed[stage->n_owed++] = *message;
}

static void
on_gone(void *ctx)
{
	(void)ctx;
	fuzz_must(false); /* it hung up on the ledger */
}

/* --- the front ------------------------------------------------------------- */

static void
open_front(struct front *front)
{
	static const struct ipc_callbacks of_front = {
		.message = ledger_message,
	}, of_ledger = { .message = on_question, .closed = on_gone };
	static const struct net_server_callbacks callbacks = {
		.ws_open = session_opened,
		.ws_message = session_message,
		.ws_close = session_closed,
		.http = call_request,
		.http_abort = call_aborted,
	};
	const struct net_server_options options = {
		.cert_pem = stage->leaf.cert_pem,
		.key_pem = stage->leaf.key_pem,
		.ws_path = "/agent/v1",
		.ws_protocol = "leasehold.v1",
		.server_name = "leasehold",
		.connections_max = 100,
	};
	int pair[2];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	fuzz_must(listener >= 0 && listen(listener, 1) == 0);
	front->options = &stage->options;
	front->arena.max_bytes = REQUEST_ARENA_MAX;
	front->state = LEDGER_READY;
	front->base = event_base_new();
	fuzz_must(front->base != NULL &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	front->ledger = ipc_new(front->base, pair[0], &of_front, front);
	stage->ledger = ipc_new(front->base, pair[1], &of_ledger, NULL);
	operations_write_openapi(&front->openapi, "0");
	front->net = net_new(front->base);
	fuzz_must(front->ledger != NULL && stage->ledger != NULL &&
	    front->net != NULL);
	fuzz_must(
	    net_serve(front->net, listener, &options, &callbacks, front) == 0);
}

static void
open_stage(void)
{
	stage = calloc(1, sizeof(*stage));
	fuzz_must(stage != NULL);
	log_open("fuzz", LOG_ERROR + 1, 0);
	stage->ca = pki_ca_new("Fuzz CA");
	stage->leaf = pki_leaf_new(&stage->ca, "site", "DNS:localhost",
	    "serverAuth", -60, 3600 * 24);
	stage->tls = SSL_CTX_new(TLS_client_method());
	fuzz_must(stage->tls != NULL);
	open_front(&stage->front);
}

static void
turn(void)
{
	event_base_loop(stage->front.base, EVLOOP_NONBLOCK);
}

/* --- the stranger ---------------------------------------------------------- */

struct stranger {
	SSL *ssl;
	int fd;
	struct buf got;
	bool ended;
};

static void
read_on(struct stranger *s)
{
	char bytes[16384];
	int n;

	while ((n = SSL_read(s->ssl, bytes, sizeof(bytes))) > 0)
		if (s->got.len < ((size_t)1 << 20))
			buf_add(&s->got, bytes, (size_t)n);
	int why = SSL_get_error(s->ssl, n);

	s->ended |= why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
}

static void
greet(struct stranger *s)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int pair[2];

	memset(s, 0, sizeof(*s));
	fuzz_must(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	fuzz_must(net_adopt(stage->front.net, pair[0], &nobody, NULL) == 0);
	s->fd = pair[1];
	s->ssl = SSL_new(stage->tls);
	fuzz_must(s->ssl != NULL && SSL_set_fd(s->ssl, s->fd) == 1);
	SSL_set_connect_state(s->ssl);
	for (int i = 0; i < TURNS_MAX && SSL_do_handshake(s->ssl) != 1; i++)
		turn();
	fuzz_must(SSL_is_init_finished(s->ssl));
}

static void
say(struct stranger *s, const void *data, size_t len)
{
	for (int i = 0; len > 0 && !s->ended && i < TURNS_MAX; i++) {
		int n = SSL_write(s->ssl, data, (int)len);

		if (n > 0) {
			data = (const char *)data + n;
			len -= (size_t)n;
		} else if (SSL_get_error(s->ssl, n) != SSL_ERROR_WANT_WRITE) {
			s->ended = true;
		}
		turn();
		read_on(s);
	}
}

static void
say_in_pieces(struct stranger *s, const uint8_t *data, size_t size, size_t step)
{
	for (size_t at = 0; at < size && !s->ended; at += step)
		say(s, data + at, size - at < step ? size - at : step);
}

static void
upgrade(struct stranger *s)
{
	static const char request[] =
	    "GET /agent/v1 HTTP/1.1\r\nHost: localhost\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: leasehold.v1\r\n\r\n";

	say(s, request, sizeof(request) - 1);
	for (int i = 0; i < TURNS_MAX && s->got.len == 0 && !s->ended; i++) {
		turn();
		read_on(s);
	}
	fuzz_must(
	    s->got.len > 12 && memcmp(s->got.data, "HTTP/1.1 101", 12) == 0);
}

/* Well-formed frames, so that the input is about what stands in them: a line
 * is a message, its length's last bit says whether in two pieces. */
static void
say_frames(struct stranger *s, struct fuzz_input *input)
{
	while (input->size > 0 && !s->ended) {
		const uint8_t *line = input->data;
		const uint8_t *end = memchr(line, '\n', input->size);
		size_t len = end != NULL ? (size_t)(end - line) : input->size;
		size_t first = len % 2 != 0 ? len / 2 : len;
		struct buf frames = { 0 };

		input->data += len + (end != NULL ? 1 : 0);
		input->size -= len + (end != NULL ? 1 : 0);
		for (size_t at = 0, n = first;; at = first, n = len - first) {
			bool last = at + n == len;

			buf_add_byte(&frames,
			    (uint8_t)((last ? 0x80 : 0) | (at == 0 ? 1 : 0)));
			buf_add_byte(&frames, 0x80 | 126);
			buf_add_be16(&frames, (uint16_t)n);
			buf_add_be32(&frames, 0);
			buf_add(&frames, line + at, n);
			if (last)
				break;
		}
		say(s, frames.data, frames.len);
		buf_release(&frames);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	uint8_t way = fuzz_byte(&input);
	size_t step = 1 + (size_t)fuzz_byte(&input) * 64;
	struct stranger s;

	if (stage == NULL)
		open_stage();
	stage->answers = fuzz_byte(&input) % 5;
	greet(&s);
	if (way % 3 == 0)
		say_in_pieces(&s, input.data, input.size, step);
	if (way % 3 != 0)
		upgrade(&s);
	if (way % 3 == 1)
		say_in_pieces(&s, input.data, input.size, step);
	if (way % 3 == 2)
		say_frames(&s, &input);
	for (int i = 0; i < 4; i++) {
		turn();
		read_on(&s);
	}
	SSL_free(s.ssl);
	close(s.fd);
	buf_release(&s.got);
	turn();
	while (stage->n_owed > 0)
		answer(&stage->owed[--stage->n_owed]);
	for (int i = 0; i < TURNS_MAX && net_connections(stage->front.net) > 0;
	     i++) {
		struct timespec moment = { .tv_nsec = 100000 };

		turn();
		if (i > 20)
			nanosleep(&moment, NULL);
	}
	/* Nothing of it is left. */
	fuzz_must(net_connections(stage->front.net) == 0);
	turn();
	fuzz_must(stage->front.n_peers == 0 && stage->front.n_waiting == 0);
	fuzz_must(stage->front.net->input_bytes == 0 &&
	    stage->front.net->output_bytes == 0 &&
	    stage->front.net->n_writing == 0);
	return 0;
}
