/*
 * One read for a message. TLS reads a record's head and then its body, two
 * system calls where one would do. With OpenSSL's read-ahead it takes all that
 * is there; but then whole records may wait in its hands, and libwebsockets
 * does not ask for them (README). So whoever TLS has read for is looked after
 * when libwebsockets has had its turn.
 */
#include "shared/net/net_private.h"

#include <poll.h>

/* Records of one connection in one go, so that others have their turn. */
#define RECORDS_MAX 64

void
net_ahead_open(struct net *net)
{
	TAILQ_INIT(&net->ahead);
}

void
net_ahead_begin(struct net_connection *conn)
{
	SSL *ssl = lws_get_ssl(conn->wsi);

	if (ssl != NULL)
		SSL_set_read_ahead(ssl, 1);
}

void
net_ahead_read(struct net_connection *conn, bool got)
{
	conn->read_tried = true;
	if (!got || conn->ahead || conn->kind != NET_SOCKET)
		return;
	conn->ahead = true;
	TAILQ_INSERT_TAIL(&conn->net->ahead, conn, by_reading);
	conn->net->n_ahead++;
}

void
net_ahead_leave(struct net_connection *conn)
{
	if (!conn->ahead)
		return;
	conn->ahead = false;
	TAILQ_REMOVE(&conn->net->ahead, conn, by_reading);
	conn->net->n_ahead--;
}

/* A record after the other, until TLS would read again: then what it holds is
 * not whole, and the rest comes with an event. False: there may be more. */
static bool
serve(struct net *net, struct net_connection *conn)
{
	net_conn name = conn->name;

	for (int i = 0; i < RECORDS_MAX; i++) {
		SSL *ssl = conn->wsi != NULL ? lws_get_ssl(conn->wsi) : NULL;
		struct lws_pollfd readable = { .events = POLLIN,
			.revents = POLLIN };

		if (ssl == NULL || SSL_has_pending(ssl) == 0)
			return true;
		if (conn->throttled)
			return false;
		readable.fd = lws_get_socket_fd(conn->wsi);
		conn->read_tried = false;
		lws_service_fd(net->lws, &readable);
		if (net_connection_get(net, name) == NULL || conn->read_tried)
			return true;
	}
	return false;
}

bool
net_ahead_serve(struct net *net)
{
	bool more = false;

	for (size_t n = net->n_ahead; n > 0 && net->n_ahead > 0; n--) {
		struct net_connection *conn = TAILQ_FIRST(&net->ahead);
		net_conn name = conn->name;

		net_ahead_leave(conn);
		if (serve(net, conn))
			continue;
		conn = net_connection_get(net, name);
		if (conn == NULL)
			continue;
		more = more || !conn->throttled;
		net_ahead_read(conn, true);
	}
	return more;
}
