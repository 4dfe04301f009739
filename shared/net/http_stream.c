/*
 * Answers that have no end yet: chunks of HTTP/1.1 on the way that http.c has
 * for whole answers. While there is nothing to write, reading stays held back
 * and it ends after NET_ANSWER_S: who gives the chunks says something sooner.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

static void
forget_written(struct net_connection *conn)
{
	struct net_http *http = conn->http;

	net_output_count(conn, 0, http->reply_len);
	free(http->reply);
	http->reply = NULL;
	http->reply_len = http->reply_at = 0;
}

void
net_stream_idle(struct net_connection *conn)
{
	struct net *net = conn->net;
	bool news = conn->http->reply_len > 0;

	forget_written(conn);
	/* Bytes of an eager client would spin the loop (README). */
	lws_rx_flow_control(conn->wsi, 0);
	net_deadline_set(conn, NET_ANSWER_S);
	if (news && net->callbacks.http_sent != NULL)
		net->callbacks.http_sent(net->ctx, conn->name);
}

static int
add_bytes(struct net_connection *conn, const void *data, size_t len)
{
	struct net_http *http = conn->http;

	if (http->reply_len - http->reply_at + len > NET_QUEUE_MAX ||
	    http->reply_len + len > 2 * NET_QUEUE_MAX ||
	    !net_output_fits(conn, len))
		return ERR_FULL;
	unsigned char *reply =
	    realloc(http->reply, LWS_PRE + http->reply_len + len);

	if (reply == NULL)
		return ERR_FULL;
	memcpy(reply + LWS_PRE + http->reply_len, data, len);
	http->reply = reply;
	http->reply_len += len;
	net_output_count(conn, len, 0);
	return 0;
}

/* What was added, or the end of the connection. */
static int
send_on(struct net_connection *conn, int err)
{
	struct net *net = conn->net;

	if (err != 0) {
		log_info("net",
		    "ended a stream that is read too slowly: "
		    "address=%s",
		    conn->peer->address);
		net_kill(conn);
		return err;
	}
	/* Only what waits for the first time: who reads nothing is not kept by
	 * signs of life. */
	if (conn->http->reply_at == 0)
		net_deadline_set(conn, NET_STALL_MS / 1000);
	if (net_http_push(conn) != 0)
		net_kill(conn);
	net_schedule(net, false);
	return 0;
}

static struct net_connection *
find_stream(struct net *net, net_conn name)
{
	struct net_connection *conn = net_connection_get(net, name);

	return conn != NULL && conn->http != NULL && conn->http->streams &&
		!conn->closing
	    ? conn
	    : NULL;
}

int
net_reply_begin(struct net *net, net_conn name, int status,
    const char *content_type, const char *extra_headers)
{
	struct net_connection *conn = net_connection_get(net, name);
	struct net_http *http = conn != NULL ? conn->http : NULL;
	struct buf head = { 0 };

	if (http == NULL || !http->delivered || http->answered || conn->closing)
		return ERR_CLOSED;
	/* What was asked for is the head alone. */
	if (http->head)
		return net_reply(net, name, status, content_type, extra_headers,
		    NULL, 0);
	http->answered = true;
	http->streams = true;
	if (http->old)
		http->close_after = true;
	net_http_write_head(&head, net, http, status, content_type,
	    extra_headers, NET_HTTP_STREAM);
	int err = head.failed ? ERR_FULL : add_bytes(conn, head.data, head.len);

	buf_release(&head);
	return send_on(conn, err);
}

int
net_reply_chunk(struct net *net, net_conn name, const void *data, size_t len)
{
	struct net_connection *conn = find_stream(net, name);
	char size[24];
	int err = 0;

	if (conn == NULL)
		return ERR_CLOSED;
	if (len == 0)
		return 0; /* it would be the end */
	snprintf(size, sizeof(size), "%zx\r\n", len);
	if (!conn->http->old)
		err = add_bytes(conn, size, strlen(size));
	if (err == 0)
		err = add_bytes(conn, data, len);
	if (err == 0 && !conn->http->old)
		err = add_bytes(conn, "\r\n", 2);
	return send_on(conn, err);
}

int
net_reply_end(struct net *net, net_conn name)
{
	struct net_connection *conn = find_stream(net, name);
	int err = 0;

	if (conn == NULL)
		return ERR_CLOSED;
	if (!conn->http->old)
		err = add_bytes(conn, "0\r\n\r\n", 5);
	conn->http->streams = err != 0;
	return send_on(conn, err);
}

void
net_reply_cut(struct net *net, net_conn name)
{
	struct net_connection *conn = find_stream(net, name);

	if (conn == NULL)
		return;
	net_kill(conn);
	net_schedule(net, false);
}
