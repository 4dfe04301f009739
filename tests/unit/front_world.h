/*
 * For the tests of the front: front_main in a process of its own, its filter
 * loaded, while the test plays the ledger on one side and agents and admins on
 * the other, all with blocking calls. Header only.
 */
#ifndef TESTS_UNIT_FRONT_WORLD_H
#define TESTS_UNIT_FRONT_WORLD_H

#include "appliance/front/front.h"
#include "appliance/ledger/wire.h"
#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/ipc/ipc.h"
#include "shared/net/net.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"
#include "tests/unit/pki.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRONT_PEM_MAX 8192

struct front_world {
	struct pki_ca ca;
	struct pki_leaf leaf;
	char *page; /* shared: certificate, then key */
	uint16_t port;
	int prove_ms;
	pid_t pid;
	int control;
	int ledger; /* the ledger's end */
	/* the last message that the ledger heard */
	struct ipc_message heard;
	uint8_t payload[1 << 20];
	struct arena arena;
};

/* --- the process --------------------------------------------------------- */

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static inline void
front_world_share(struct front_world *w, const struct pki_leaf *leaf)
{
	ck_assert_uint_lt(strlen(leaf->cert_pem), FRONT_PEM_MAX);
	memcpy(w->page, leaf->cert_pem, strlen(leaf->cert_pem) + 1);
	memcpy(w->page + FRONT_PEM_MAX, leaf->key_pem,
	    strlen(leaf->key_pem) + 1);
}

static inline int
front_world_listen(struct front_world *w)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	w->port = ntohs(address.sin_port);
	return fd;
}

static inline void
front_world_open(struct front_world *w)
{
	int control[2], stream[2];
	char byte;

	w->ca = pki_ca_new("Test CA");
	w->leaf = pki_leaf_new(&w->ca, "site", "DNS:localhost,IP:127.0.0.1",
	    "serverAuth", -60, 3600);
	w->page = mmap(NULL, 2 * FRONT_PEM_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(w->page, MAP_FAILED);
	front_world_share(w, &w->leaf);
	int listen_fd = front_world_listen(w);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
	w->pid = fork();
	if (w->pid == 0) {
		struct supervisor_child child = { control[1], stream[1], 0 };
		struct front_options options = {
			.listen_fd = listen_fd,
			.cert_pem = w->page,
			.key_pem = w->page + FRONT_PEM_MAX,
			.connections_max = 50,
			.prove_ms = w->prove_ms,
		};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGHUP, SIG_IGN);
		close(control[0]);
		close(stream[0]);
		log_open("front", LOG_ERROR, 0);
		int status = front_main(&options, &child);

		if (__lsan_do_recoverable_leak_check != NULL &&
		    __lsan_do_recoverable_leak_check() != 0)
			status = 99;
		_exit(status);
	}
	close(listen_fd);
	close(control[1]);
	close(stream[1]);
	w->control = control[0];
	w->ledger = stream[0];
	struct timeval wait = { .tv_sec = 8 };

	setsockopt(w->ledger, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	ck_assert_int_eq(recv(w->control, &byte, 1, 0), 1);
}

/* The exit status, or -1 for a death by signal. */
static inline int
front_world_wait(struct front_world *w)
{
	int status = 0;

	ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
	w->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void
front_world_close(struct front_world *w)
{
	if (w->pid > 0) {
		kill(w->pid, SIGTERM);
		ck_assert_int_eq(front_world_wait(w), 0);
	}
	if (w->ledger >= 0)
		close(w->ledger);
	close(w->control);
	munmap(w->page, 2 * FRONT_PEM_MAX);
	arena_release(&w->arena);
	pki_leaf_release(&w->leaf);
	pki_ca_release(&w->ca);
}

/* --- the ledger ---------------------------------------------------------- */

static inline void
front_world_read(struct front_world *w, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(w->ledger, (uint8_t *)data + at, len - at, 0);

		ck_assert_msg(n > 0, "the ledger hears nothing");
		at += (size_t)n;
	}
}

static inline void
ledger_hears(struct front_world *w, enum wire_kind kind)
{
	uint8_t head[IPC_HEADER_BYTES];

	front_world_read(w, head, sizeof(head));
	w->heard = (struct ipc_message){
		.len = be32_read(head),
		.kind = be16_read(head + 4),
		.op = be16_read(head + 6),
		.conn = be64_read(head + 8),
		.tag = be64_read(head + 16),
		.payload = w->payload,
	};
	ck_assert_uint_lt(w->heard.len, sizeof(w->payload));
	front_world_read(w, w->payload, w->heard.len);
	ck_assert_int_eq(w->heard.kind, kind);
}

/* Is there nothing for it to hear? */
static inline bool
ledger_hears_nothing(struct front_world *w)
{
	uint8_t byte;

	usleep(50000);
	return recv(w->ledger, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

static inline void
ledger_sends(struct front_world *w, const struct ipc_message *message)
{
	uint8_t head[IPC_HEADER_BYTES];

	be32_write(head, message->len);
	be16_write(head + 4, message->kind);
	be16_write(head + 6, message->op);
	be64_write(head + 8, message->conn);
	be64_write(head + 16, message->tag);
	ck_assert_int_eq(send(w->ledger, head, sizeof(head), 0),
	    (ssize_t)sizeof(head));
	if (message->len > 0)
		ck_assert_int_eq(send(w->ledger, message->payload, message->len,
				     0),
		    (ssize_t)message->len);
}

static inline void
ledger_says(struct front_world *w, uint16_t state)
{
	ledger_sends(w,
	    &(struct ipc_message){ .kind = WIRE_STATE, .op = state });
}

/* Answers what it heard last. */
static inline void
ledger_replies(struct front_world *w, const struct record *record,
    const void *value)
{
	struct buf out = { 0 };

	record_write_msgpack(&out, record, value);
	ledger_sends(w,
	    &(struct ipc_message){ .kind = WIRE_REPLY,
		.op = w->heard.op,
		.conn = w->heard.conn,
		.tag = w->heard.tag,
		.payload = out.data,
		.len = (uint32_t)out.len });
	buf_release(&out);
}

static inline void
ledger_refuses(struct front_world *w, int err, const char *hint)
{
	struct problem problem;
	struct buf out = { 0 };

	problem_set(&problem, err, hint, NULL);
	record_write_msgpack(&out, &problem_record, &problem);
	buf_add_be32(&out, (uint32_t)err);
	ledger_sends(w,
	    &(struct ipc_message){ .kind = WIRE_PROBLEM,
		.op = w->heard.op,
		.conn = w->heard.conn,
		.tag = w->heard.tag,
		.payload = out.data,
		.len = (uint32_t)out.len });
	buf_release(&out);
}

/* The caller and the request of a WIRE_CALL. */
static inline void
ledger_reads_call(struct front_world *w, struct wire_caller *caller,
    const struct record *record, void *request)
{
	size_t used = 0;

	ck_assert_int_eq(record_read_msgpack(caller, &wire_caller_record,
			     w->payload, w->heard.len, &used, &w->arena, NULL),
	    0);
	ck_assert_int_eq(record_read_msgpack(request, record, w->payload + used,
			     w->heard.len - used, NULL, &w->arena, NULL),
	    0);
}

/* --- who comes from outside ---------------------------------------------- */

struct visitor {
	SSL_CTX *tls;
	SSL *ssl;
	int fd;
	char text[1 << 20]; /* the last answer or message */
	size_t len;
	uint8_t opcode;
};

static inline void
visitor_open(struct visitor *v, struct front_world *w)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(w->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval wait = { .tv_sec = 8 };

	v->fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(v->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	ck_assert_int_eq(connect(v->fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	v->tls = SSL_CTX_new(TLS_client_method());
	v->ssl = SSL_new(v->tls);
	SSL_set_fd(v->ssl, v->fd);
	ck_assert_int_eq(SSL_connect(v->ssl), 1);
	v->len = 0;
}

static inline void
visitor_leave(struct visitor *v)
{
	SSL_free(v->ssl);
	SSL_CTX_free(v->tls);
	close(v->fd);
}

static inline void
visitor_writes(struct visitor *v, const void *data, size_t len)
{
	ck_assert_int_eq(SSL_write(v->ssl, data, (int)len), (int)len);
}

/* One answer, head and body; its status. 0: the connection ended. */
static inline int
visitor_hears(struct visitor *v)
{
	size_t head = 0, want = 0;

	v->len = 0;
	for (;;) {
		int n = SSL_read(v->ssl, v->text + v->len,
		    (int)(sizeof(v->text) - 1 - v->len));

		if (n <= 0)
			return 0;
		v->len += (size_t)n;
		v->text[v->len] = '\0';
		const char *end = strstr(v->text, "\r\n\r\n");
		const char *length = strstr(v->text, "Content-Length: ");

		if (end != NULL && head == 0 && length != NULL) {
			head = (size_t)(end + 4 - v->text);
			want = strtoul(length + 16, NULL, 10);
		}
		if (head > 0 && v->len >= head + want)
			return (int)strtol(v->text + 9, NULL, 10);
	}
}

static inline bool
visitor_got(const struct visitor *v, const char *words)
{
	return strstr(v->text, words) != NULL;
}

static inline void
visitor_asks(struct visitor *v, const char *method, const char *path,
    const char *headers, const char *body)
{
	char request[4096];
	int n;

	if (body == NULL)
		n = snprintf(request, sizeof(request),
		    "%s %s HTTP/1.1\r\nHost: localhost:7443\r\n%s\r\n", method,
		    path, headers);
	else
		n = snprintf(request, sizeof(request),
		    "%s %s HTTP/1.1\r\nHost: localhost:7443\r\n"
		    "Content-Length: %zu\r\n%s\r\n%s",
		    method, path, strlen(body), headers, body);
	visitor_writes(v, request, (size_t)n);
}

/* --- as an agent --------------------------------------------------------- */

static inline void
agent_opens(struct visitor *v, struct front_world *w)
{
	static const char upgrade[] =
	    "GET /agent/v1 HTTP/1.1\r\nHost: localhost\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: leasehold.v1\r\n\r\n";

	visitor_open(v, w);
	visitor_writes(v, upgrade, sizeof(upgrade) - 1);
	for (;;) {
		int n = SSL_read(v->ssl, v->text + v->len, 1);

		ck_assert_int_eq(n, 1);
		v->text[++v->len] = '\0';
		if (v->len > 4 && strcmp(v->text + v->len - 4, "\r\n\r\n") == 0)
			break;
	}
	ck_assert(visitor_got(v, "HTTP/1.1 101"));
	ledger_hears(w, WIRE_OPENED);
}

static inline void
agent_says(struct visitor *v, const char *text)
{
	struct buf frame = { 0 };
	size_t len = strlen(text);

	buf_add_byte(&frame, 0x81);
	if (len < 126) {
		buf_add_byte(&frame, (uint8_t)(0x80 | len));
	} else {
		buf_add_byte(&frame, 0x80 | 126);
		buf_add_be16(&frame, (uint16_t)len);
	}
	buf_add_be32(&frame, 0); /* a mask that changes nothing */
	buf_add(&frame, text, len);
	visitor_writes(v, frame.data, frame.len);
	buf_release(&frame);
}

static inline bool
agent_reads(struct visitor *v, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		int n = SSL_read(v->ssl, (char *)data + at, (int)(len - at));

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

/* The next message; false when the connection ended. */
static inline bool
agent_hears(struct visitor *v)
{
	uint8_t head[4];

	if (!agent_reads(v, head, 2))
		return false;
	v->opcode = head[0] & 15;
	v->len = head[1];
	if (v->len == 126) {
		ck_assert(agent_reads(v, head + 2, 2));
		v->len = be16_read(head + 2);
	}
	ck_assert_uint_lt(v->len, 65536);
	ck_assert(agent_reads(v, v->text, v->len));
	v->text[v->len] = '\0';
	return true;
}

/* The code of the close frame that ends it, or 0. */
static inline unsigned int
agent_is_sent_away(struct visitor *v)
{
	while (agent_hears(v))
		if (v->opcode == 8 && v->len >= 2)
			return be16_read((uint8_t *)v->text);
	return 0;
}

#endif
