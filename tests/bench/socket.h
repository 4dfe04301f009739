/*
 * A WebSocket client over TLS 1.3 that costs little: one read and one write a
 * message, no timers, nothing that grows with the number of connections. The
 * load generator must not be what is measured. It knows just enough of RFC 6455
 * to speak with our own front, checks the site's certificate, and must not know
 * what the messages mean.
 */
#ifndef TESTS_BENCH_SOCKET_H
#define TESTS_BENCH_SOCKET_H

#include "shared/base/buf.h"
#include "shared/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_IN ((size_t)32 << 10)
#define SOCKET_OUT 4096

enum socket_state {
	SOCKET_CLOSED,
	SOCKET_CONNECTING,
	SOCKET_SHAKING, /* TLS */
	SOCKET_UPGRADING,
	SOCKET_OPEN,
};

struct socket {
	int fd;
	SSL *ssl;
	enum socket_state state;
	struct buf in; /* a message that is not whole yet */
};

/* Shared by all of a process. */
struct sockets {
	SSL_CTX *tls;
	int epoll;
	struct sockaddr_in to;
	uint8_t in[SOCKET_IN];
};

static inline int
sockets_init(struct sockets *sockets, const char *ca_file, uint16_t port)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	sockets->to = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
	sockets->tls = tls;
	if (tls == NULL || sockets->epoll < 0 ||
	    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_load_verify_file(tls, ca_file) != 1)
		return -1;
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	/* A record's head and body with one read. */
	SSL_CTX_set_read_ahead(tls, 1);
	return 0;
}

static inline void
socket_close(struct socket *socket)
{
	if (socket->state == SOCKET_CLOSED)
		return;
	SSL_free(socket->ssl);
	close(socket->fd);
	buf_release(&socket->in);
	socket->state = SOCKET_CLOSED;
}

/* From an address of its own in 127/8 for each number: workstations do not
 * share one, and a site bounds what comes from one. */
static inline int
socket_bind(const struct socket *it, unsigned int number)
{
	const struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f010001 + number) };

	return bind(it->fd, (const struct sockaddr *)&from, sizeof(from));
}

static inline int
socket_connect(struct socket *it, struct sockets *sockets, unsigned int number)
{
	struct epoll_event event = { .events = EPOLLOUT, .data.ptr = it };
	const int one = 1;

	it->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (it->fd < 0)
		return -1;
	it->ssl = SSL_new(sockets->tls);
	it->state = SOCKET_CONNECTING;
	if (it->ssl == NULL || SSL_set_fd(it->ssl, it->fd) != 1 ||
	    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(it->ssl),
		"127.0.0.1") != 1)
		return -1;
	SSL_set_connect_state(it->ssl);
	setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (socket_bind(it, number) != 0)
		return -1;
	if (connect(it->fd, (const struct sockaddr *)&sockets->to,
		sizeof(sockets->to)) != 0 &&
	    errno != EINPROGRESS)
		return -1;
	return epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, it->fd, &event);
}

/* What is sent is small and answered before more is: it fits the socket. */
static inline int
socket_write(struct socket *socket, const void *data, size_t len)
{
	return SSL_write(socket->ssl, data, (int)len) == (int)len ? 0 : -1;
}

/* Masked, as clients must, by a key of zeros: the bytes stay as they are. */
static inline int
socket_send_frame(struct socket *socket, uint8_t opcode, const void *data,
    size_t len)
{
	uint8_t frame[SOCKET_OUT];
	size_t head = len < 126 ? 6 : 8;

	if (len > sizeof(frame) - head)
		return -1;
	memset(frame, 0, head);
	frame[0] = (uint8_t)(0x80 | opcode);
	if (len < 126) {
		frame[1] = (uint8_t)(0x80 | len);
	} else {
		frame[1] = 0x80 | 126;
		frame[2] = (uint8_t)(len >> 8);
		frame[3] = (uint8_t)len;
	}
	memcpy(frame + head, data, len);
	return socket_write(socket, frame, head + len);
}

static inline int
socket_send(struct socket *socket, const void *data, size_t len)
{
	return socket_send_frame(socket, 1, data, len);
}

static inline int
socket_exporter(uint8_t out[NET_EXPORTER_BYTES], struct socket *socket)
{
	const char *label = NET_EXPORTER_LABEL;

	return SSL_export_keying_material(socket->ssl, out, NET_EXPORTER_BYTES,
		   label, strlen(label), NULL, 0, 0) == 1
	    ? 0
	    : -1;
}

/* --- what comes in ---------------------------------------------------------- */

static inline int
socket_upgrade(struct socket *socket)
{
	static const char request[] = "GET /agent/v1 HTTP/1.1\r\n"
				      "Host: 127.0.0.1\r\n"
				      "Connection: Upgrade\r\n"
				      "Upgrade: websocket\r\n"
				      "Sec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Protocol: leasehold.v1\r\n"
				      "Sec-WebSocket-Key: "
				      "AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

	socket->state = SOCKET_UPGRADING;
	return socket_write(socket, request, sizeof(request) - 1);
}

static inline int
socket_shake(struct socket *socket, struct sockets *sockets)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = socket };
	int rc = SSL_do_handshake(socket->ssl);

	if (socket->state == SOCKET_CONNECTING) {
		socket->state = SOCKET_SHAKING;
		epoll_ctl(sockets->epoll, EPOLL_CTL_MOD, socket->fd, &event);
	}
	if (rc == 1)
		return socket_upgrade(socket);
	return SSL_get_error(socket->ssl, rc) == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* The frame at `data`: its payload, and how many bytes it takes; 0: it is not
 * whole. The front sends whole, unmasked frames below 64 KiB. */
static inline size_t
socket_frame(const uint8_t **payload, size_t *len, const uint8_t *data,
    size_t size)
{
	size_t head = 2;

	if (size < 2)
		return 0;
	*len = data[1] & 0x7f;
	if (*len == 126) {
		head = 4;
		if (size < 4)
			return 0;
		*len = (size_t)data[2] << 8 | data[3];
	}
	*payload = data + head;
	return size < head + *len ? 0 : head + *len;
}

/* Whole frames out of `data`; returns the bytes taken, or -1. */
static inline ssize_t
socket_take(struct socket *socket, const uint8_t *data, size_t size,
    void (*message)(struct socket *socket, const char *text, size_t len))
{
	size_t at = 0;

	if (socket->state == SOCKET_UPGRADING) {
		const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);

		if (end == NULL)
			return 0;
		if (size < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0)
			return -1;
		at = (size_t)(end - data) + 4;
		socket->state = SOCKET_OPEN;
		message(socket, NULL, 0);
	}
	while (socket->state == SOCKET_OPEN) {
		const uint8_t *payload;
		size_t len;
		size_t used =
		    socket_frame(&payload, &len, data + at, size - at);

		if (used == 0)
			break;
		uint8_t opcode = data[at] & 15;

		if (opcode == 1)
			message(socket, (const char *)payload, len);
		else if (opcode == 9)
			socket_send_frame(socket, 10, payload, len);
		else
			return -1;
		at += used;
	}
	return (ssize_t)at;
}

/**
 * The socket is ready for something. `message` is called with NULL when it is
 * open, then for every text message; it may close the socket.
 *
 * Returns 0, or -1 when the connection is over.
 */
static inline int
socket_ready(struct socket *socket, struct sockets *sockets,
    void (*message)(struct socket *socket, const char *text, size_t len))
{
	if (socket->state < SOCKET_UPGRADING)
		return socket_shake(socket, sockets);
	do {
		struct buf *in = &socket->in;
		int got = SSL_read(socket->ssl, sockets->in,
		    (int)sizeof(sockets->in));

		if (got <= 0)
			return SSL_get_error(socket->ssl, got) ==
				SSL_ERROR_WANT_READ
			    ? 0
			    : -1;
		const uint8_t *data = sockets->in;
		size_t size = (size_t)got;

		if (in->len > 0) {
			buf_add(in, data, size);
			data = in->data;
			size = in->len;
		}
		ssize_t used = socket_take(socket, data, size, message);

		if (used < 0)
			return -1;
		if (socket->state == SOCKET_CLOSED)
			return 0;
		if (in->len > 0) {
			memmove(in->data, in->data + used, size - (size_t)used);
			in->len = size - (size_t)used;
		} else if ((size_t)used < size) {
			buf_add(in, data + used, size - (size_t)used);
		}
	} while (SSL_has_pending(socket->ssl));
	return 0;
}

#endif
