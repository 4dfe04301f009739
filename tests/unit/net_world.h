/*
 * For the tests of shared/net: a server, a client and a stranger who speaks
 * TLS by hand, in one process on one loop and loopback. Header only.
 */
#ifndef TESTS_UNIT_NET_WORLD_H
#define TESTS_UNIT_NET_WORLD_H

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/net/net.h"
#include "tests/unit/pki.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server saw. */
struct net_seen {
	int opened, closed, messages, requests, aborts;
	net_conn conn; /* the last */
	struct net_peer peer;
	struct buf message; /* the last */
	char method[8], path[256], query[512], host[128], key[128];
	char authorization[256], content_type[64];
	struct buf body;
	int refusal;
};

/* What the client saw. */
struct net_felt {
	int opened, closed, messages;
	net_conn conn;
	struct net_peer peer;
	struct buf message;
	char reason[384];
};

struct net_world {
	struct event_base *base;
	struct net *server;
	struct net *client;
	uint16_t port;
	struct pki_ca ca;
	struct pki_leaf leaf;
	struct net_seen seen;
	struct net_felt felt;
	bool echo; /* the server sends every message back */
	bool hold; /* the server does not answer HTTP by itself */
	size_t reply_bytes; /* instead of the request's body */
	void (*answered)(void); /* within the callback that answered */
};

static inline int
net_listen(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* --- the server's callbacks ---------------------------------------------- */

static inline void
on_ws_open(void *ctx, net_conn conn, const struct net_peer *peer)
{
	struct net_world *w = ctx;

	w->seen.opened++;
	w->seen.conn = conn;
	w->seen.peer = *peer;
}

static inline void
on_ws_message(void *ctx, net_conn conn, const uint8_t *data, size_t len)
{
	struct net_world *w = ctx;

	w->seen.messages++;
	buf_clear(&w->seen.message);
	buf_add(&w->seen.message, data, len);
	if (w->echo)
		ck_assert_int_eq(net_send(w->server, conn, data, len), 0);
}

static inline void
on_ws_close(void *ctx, net_conn conn)
{
	struct net_world *w = ctx;

	(void)conn;
	w->seen.closed++;
}

static inline void
net_note(char *out, size_t size, const char *text)
{
	ck_assert_uint_lt(strlen(text), size);
	memcpy(out, text, strlen(text) + 1);
}

static inline void
on_http(void *ctx, net_conn conn, const struct net_request *request)
{
	struct net_world *w = ctx;
	struct net_seen *seen = &w->seen;

	seen->requests++;
	seen->conn = conn;
	seen->peer = *request->peer;
	seen->refusal = request->refusal;
	net_note(seen->method, sizeof(seen->method), request->method);
	net_note(seen->path, sizeof(seen->path), request->path);
	net_note(seen->query, sizeof(seen->query), request->query);
	net_note(seen->host, sizeof(seen->host), request->host);
	net_note(seen->key, sizeof(seen->key), request->idempotency_key);
	net_note(seen->authorization, sizeof(seen->authorization),
	    request->authorization);
	net_note(seen->content_type, sizeof(seen->content_type),
	    request->content_type);
	buf_clear(&seen->body);
	buf_add(&seen->body, request->body, request->len);
	if (w->hold && request->refusal == 0)
		return;
	if (w->reply_bytes > 0) {
		char *bytes = malloc(w->reply_bytes);

		memset(bytes, 'x', w->reply_bytes);
		net_reply(w->server, conn, 200, "text/plain", NULL, bytes,
		    w->reply_bytes);
		free(bytes);
		return;
	}
	int status = request->refusal != 0 ? request->refusal : 200;

	ck_assert_int_eq(net_reply(w->server, conn, status, "text/plain",
			     "X-Test: yes\r\n", request->body, request->len),
	    0);
	if (w->answered != NULL)
		w->answered();
}

static inline void
on_http_abort(void *ctx, net_conn conn)
{
	struct net_world *w = ctx;

	(void)conn;
	w->seen.aborts++;
}

static const struct net_server_callbacks net_world_server = { on_ws_open,
	on_ws_message, on_ws_close, on_http, on_http_abort, NULL };

/* --- the client's callbacks ---------------------------------------------- */

static inline void
on_open(void *ctx, net_conn conn, const struct net_peer *peer)
{
	struct net_world *w = ctx;

	w->felt.opened++;
	w->felt.conn = conn;
	w->felt.peer = *peer;
}

static inline void
on_message(void *ctx, net_conn conn, const uint8_t *data, size_t len)
{
	struct net_world *w = ctx;

	(void)conn;
	w->felt.messages++;
	buf_clear(&w->felt.message);
	buf_add(&w->felt.message, data, len);
}

static inline void
on_close(void *ctx, net_conn conn, const char *reason)
{
	struct net_world *w = ctx;

	(void)conn;
	w->felt.closed++;
	snprintf(w->felt.reason, sizeof(w->felt.reason), "%s", reason);
}

static const struct net_client_callbacks net_world_client = { on_open,
	on_message, on_close };

/* --- the world ----------------------------------------------------------- */

static inline struct net_server_options
net_world_options(const struct net_world *w)
{
	return (struct net_server_options){
		.cert_pem = w->leaf.cert_pem,
		.key_pem = w->leaf.key_pem,
		.ws_path = "/agent/v1",
		.ws_protocol = "leasehold.v1",
		.server_name = "leasehold",
		.connections_max = 50,
	};
}

static inline void
net_world_open_with(struct net_world *w, struct pki_leaf leaf,
    const char *client_ca_pem, int connections_max)
{
	w->leaf = leaf;
	w->base = event_base_new();
	w->server = net_new(w->base);
	w->client = net_new(w->base);
	ck_assert_ptr_nonnull(w->server);
	ck_assert_ptr_nonnull(w->client);
	struct net_server_options options = net_world_options(w);

	options.client_ca_pem = client_ca_pem;
	if (connections_max > 0)
		options.connections_max = connections_max;
	ck_assert_int_eq(net_serve(w->server, net_listen(&w->port), &options,
			     &net_world_server, w),
	    0);
}

static inline void
net_world_open(struct net_world *w)
{
	memset(w, 0, sizeof(*w));
	log_open("test", LOG_WARN, 0);
	w->ca = pki_ca_new("Test CA");
	net_world_open_with(w,
	    pki_leaf_new(&w->ca, "site", "DNS:localhost,IP:127.0.0.1",
		"serverAuth", -60, 3600),
	    NULL, 0);
}

static inline void
net_world_close(struct net_world *w)
{
	net_free(w->client);
	net_free(w->server);
	event_base_free(w->base);
	pki_leaf_release(&w->leaf);
	pki_ca_release(&w->ca);
	buf_release(&w->seen.message);
	buf_release(&w->seen.body);
	buf_release(&w->felt.message);
}

/* Turn the loop until the condition holds, or so many milliseconds. */
#define NET_UNTIL(w, condition, limit_ms)                              \
	do {                                                           \
		int64_t until_ms = clock_boottime_ms() + (limit_ms);   \
		while (!(condition) && clock_boottime_ms() < until_ms) \
			net_world_turn(w);                             \
	} while (0)
#define NET_WAIT(w, condition)                                                 \
	do {                                                                   \
		NET_UNTIL(w, condition, 8000);                                 \
		ck_assert_msg(condition, "waited in vain for %s", #condition); \
	} while (0)

static inline void
net_world_turn(struct net_world *w)
{
	const struct timeval turn = { .tv_usec = 2000 };

	event_base_loopexit(w->base, &turn);
	event_base_loop(w->base, EVLOOP_ONCE);
}

static inline net_conn
net_world_connect(struct net_world *w, const char *host, const char *ca_pem,
    const uint8_t *ca_sha256)
{
	const struct net_client_options options = {
		.host = host,
		.port = w->port,
		.path = "/agent/v1",
		.protocol = "leasehold.v1",
		.ca_pem = ca_pem,
		.ca_sha256 = ca_sha256,
		.connect_timeout_s = 5,
	};
	net_conn conn = 0;

	ck_assert_int_eq(net_connect(&conn, w->client, &options,
			     &net_world_client, w),
	    0);
	ck_assert_uint_ne(conn, 0);
	return conn;
}

static inline net_conn
net_world_join(struct net_world *w)
{
	net_conn conn = net_world_connect(w, "localhost", w->ca.pem, NULL);

	NET_WAIT(w, w->felt.opened > 0 && w->seen.opened > 0);
	return conn;
}

/* --- a stranger who writes bytes into TLS -------------------------------- */

struct net_stranger {
	SSL_CTX *tls;
	SSL *ssl;
	int fd;
	struct buf got;
	bool ended;
};

static inline int
net_dial(uint16_t port, int receive_bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	if (receive_bytes > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
		    sizeof(receive_bytes));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline void
net_stranger_open(struct net_stranger *s, struct net_world *w, int version,
    int receive_bytes)
{
	memset(s, 0, sizeof(*s));
	s->fd = net_dial(w->port, receive_bytes);
	s->tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(s->tls, version);
	s->ssl = SSL_new(s->tls);
	SSL_set_fd(s->ssl, s->fd);
	SSL_set_connect_state(s->ssl);
}

/* Ends when it is done; returns whether the handshake succeeded. */
static inline bool
net_stranger_greet(struct net_stranger *s, struct net_world *w)
{
	for (int i = 0; i < 2000; i++) {
		int n = SSL_do_handshake(s->ssl);

		if (n == 1)
			return true;
		int why = SSL_get_error(s->ssl, n);

		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return false;
		net_world_turn(w);
	}
	return false;
}

static inline void
net_stranger_join(struct net_stranger *s, struct net_world *w)
{
	net_stranger_open(s, w, TLS1_3_VERSION, 0);
	ck_assert(net_stranger_greet(s, w));
}

static inline void
net_stranger_read(struct net_stranger *s)
{
	char bytes[4096];
	int n;

	while ((n = SSL_read(s->ssl, bytes, sizeof(bytes))) > 0)
		buf_add(&s->got, bytes, (size_t)n);
	int why = SSL_get_error(s->ssl, n);

	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		s->ended = true;
}

/* All of it, or until the other side has hung up. */
static inline void
net_stranger_write(struct net_stranger *s, struct net_world *w,
    const void *data, size_t len)
{
	size_t at = 0;

	for (int i = 0; at < len && i < 5000; i++) {
		size_t step = len - at < 16384 ? len - at : 16384;
		int n = SSL_write(s->ssl, (const char *)data + at, (int)step);

		if (n > 0) {
			at += (size_t)n;
		} else {
			int why = SSL_get_error(s->ssl, n);

			if (why != SSL_ERROR_WANT_READ &&
			    why != SSL_ERROR_WANT_WRITE)
				return;
		}
		net_world_turn(w);
	}
}

static inline void
net_stranger_say(struct net_stranger *s, struct net_world *w, const char *text)
{
	net_stranger_write(s, w, text, strlen(text));
}

static inline bool
net_stranger_has(struct net_stranger *s, const char *text)
{
	net_stranger_read(s);
	return strstr(buf_text(&s->got), text) != NULL;
}

static inline void
net_stranger_leave(struct net_stranger *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->tls);
	close(s->fd);
	buf_release(&s->got);
}

#define NET_UPGRADE                                       \
	"GET /agent/v1 HTTP/1.1\r\nHost: localhost\r\n"   \
	"Upgrade: websocket\r\nConnection: Upgrade\r\n"   \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Version: 13\r\n"
#define NET_PROTOCOL "Sec-WebSocket-Protocol: leasehold.v1\r\n"

#endif
