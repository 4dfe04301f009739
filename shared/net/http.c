/*
 * HTTP/1.1: one request at a time on a connection, its body gathered whole
 * within bounds, its answer written as the socket takes it.
 *
 * libwebsockets spins on a connection that is readable while it waits for an
 * answer, and does not write to one whose reading is held back (README). So
 * reading is held back while an answer is owed, and writing happens past its
 * poll: at once, and again when libevent says that the socket takes more.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
net_http_free(struct net_connection *conn)
{
	struct net_http *http = conn->http;

	if (http == NULL)
		return;
	conn->http = NULL;
	net_input_count(conn, 0, http->body.size);
	net_output_count(conn, 0, http->reply_len);
	if (http->stalled != NULL)
		event_free(http->stalled);
	buf_release(&http->body);
	free(http->reply);
	free(http->path);
	free(http);
}

/* --- requests ------------------------------------------------------------ */

static void
deliver(struct net_connection *conn)
{
	struct net *net = conn->net;
	struct net_http *http = conn->http;
	struct net_request request = {
		.method = http->method,
		.path = http->path,
		.query = http->query,
		.host = http->host,
		.host_port = http->host_port,
		.authorization = http->authorization,
		.idempotency_key = http->idempotency_key,
		.content_type = http->content_type,
		.accept = http->accept,
		.cookie = http->cookie,
		.page = http->page,
		.claims = { http->claims[0], http->claims[1], http->claims[2],
		    http->claims[3], http->claims[4] },
		.body = http->body.data,
		.len = http->body.len,
		.peer = conn->peer,
		.refusal = http->refusal,
	};

	http->delivered = true;
	if (http->refusal == 0)
		lws_rx_flow_control(conn->wsi, 0);
	lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
	net_deadline_set(conn, NET_ANSWER_S);
	net->callbacks.http(net->ctx, conn->name, &request);
}

static bool
expects_continue(struct lws *wsi)
{
	char text[32];

	return net_http_header(text, sizeof(text), wsi,
		   WSI_TOKEN_HTTP_EXPECT) &&
	    strcasecmp(text, "100-continue") == 0;
}

static uint64_t
bytes_read(const struct net_connection *conn)
{
	SSL *ssl = lws_get_ssl(conn->wsi);

	return ssl != NULL ? BIO_number_read(SSL_get_rbio(ssl)) : 0;
}

bool
net_http_is_pipelined(const struct net_connection *conn)
{
	return conn->read_bytes == bytes_read(conn);
}

static int
began(struct net_connection *conn)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	unsigned char text[LWS_PRE + sizeof(go_on)];

	net_http_free(conn);
	net_throttle_charge(conn, NET_REQUEST_BYTES);
	/* After a refusal nothing more is believed: what is left of its body
	 * may look like a request. */
	if (conn->closing ||
	    (!conn->described && net_tls_describe(conn->peer, conn->wsi) != 0))
		return -1;
	/* The same for each request: TLS 1.3 knows no second handshake. */
	conn->described = true;
	conn->http = net_http_read(conn->wsi);
	if (conn->http == NULL) {
		log_error("net", "out of memory for a request");
		return -1;
	}
	if (conn->http->refusal == 0 && net_throttle_is_over(conn)) {
		conn->http->refusal = 429;
		conn->http->close_after = true;
	}
	bool has_body =
	    conn->http->refusal != 0 || conn->http->content_length != 0;

	/* libwebsockets would loop for ever over it (README), and nobody needs
	 * such a thing. */
	if (has_body && net_http_is_pipelined(conn))
		return -1;
	if (conn->http->refusal != 0 || !has_body) {
		deliver(conn);
		return 0;
	}
	if (expects_continue(conn->wsi)) {
		memcpy(text + LWS_PRE, go_on, sizeof(go_on) - 1);
		if (lws_write(conn->wsi, text + LWS_PRE, sizeof(go_on) - 1,
			LWS_WRITE_HTTP_HEADERS) < 0)
			return -1;
	}
	/* A byte now and then would hold a connection for ever. */
	net_deadline_set(conn, NET_BODY_S);
	return 0;
}

static int
body(struct net_connection *conn, const void *data, size_t len)
{
	struct net_http *http = conn->http;

	if (http == NULL || http->delivered || len == 0)
		return 0;
	size_t before = http->body.size;

	if (http->body.len + len > http->content_length)
		return -1;
	if (!net_input_fits(conn, len)) {
		http->refusal = 503;
		http->close_after = true;
		deliver(conn);
		return 0;
	}
	http->body.max = NET_BODY_MAX + 1;
	buf_add(&http->body, data, len);
	net_input_count(conn, http->body.size, before);
	return http->body.failed ? -1 : 0;
}

static int
body_ended(struct net_connection *conn)
{
	struct net_http *http = conn->http;

	if (http == NULL || http->delivered)
		return 0;
	if (http->body.len != http->content_length)
		return -1;
	deliver(conn);
	return 0;
}

/* For the rest of a refused body. */
static bool
time_is_up(const struct net_connection *conn)
{
	return conn->closing;
}

/* --- answers ------------------------------------------------------------- */

static void writable_again(evutil_socket_t fd, short what, void *ctx);

/* Hold reading back, so that libwebsockets leaves the socket alone, until
 * libevent says that it takes more. */
static int
wait_until_writable(struct net_connection *conn)
{
	struct net_http *http = conn->http;

	if (http->stalled == NULL)
		http->stalled =
		    event_new(conn->net->base, lws_get_socket_fd(conn->wsi),
			EV_WRITE, writable_again, conn);
	if (http->stalled == NULL || event_add(http->stalled, NULL) != 0)
		return ERR_NOMEM;
	lws_rx_flow_control(conn->wsi, 0);
	return 0;
}

static bool
is_written(const struct net_connection *conn)
{
	return conn->http->reply_at == conn->http->reply_len &&
	    !lws_partial_buffered(conn->wsi);
}

/* Write what the socket takes. Returns -1 when the connection is broken. */
static int
push(struct net_connection *conn)
{
	struct net_http *http = conn->http;

	while (http->reply_at < http->reply_len &&
	    !lws_partial_buffered(conn->wsi)) {
		size_t n = http->reply_len - http->reply_at;

		if (n > NET_MESSAGE_MAX)
			n = NET_MESSAGE_MAX;
		if (lws_write(conn->wsi, http->reply + LWS_PRE + http->reply_at,
			n, LWS_WRITE_HTTP) < 0)
			return -1;
		http->reply_at += n;
	}
	if (lws_partial_buffered(conn->wsi))
		return wait_until_writable(conn) == 0 ? 0 : -1;
	return 0;
}

/* All is out: go on with the next request. Returns -1 when there is none. */
static int
complete(struct net_connection *conn)
{
	struct net_http *http = conn->http;
	bool refused = http->refusal != 0;
	bool ends = http->close_after;

	net_http_free(conn);
	if (refused) {
		conn->closing = true;
		/* An end at once would be a reset, and the answer lost: read
		 * on for a while and throw it away. */
		lws_set_timer_usecs(conn->wsi,
		    NET_LINGER_MS * (lws_usec_t)LWS_US_PER_MS);
	}
	int ended = lws_http_transaction_completed(conn->wsi);

	conn->read_bytes = bytes_read(conn);
	/* Its timers are one sorted list (README): the time until the next
	 * request is counted by ourselves. */
	if (ended == 0 && !refused) {
		lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
		net_deadline_set(conn, NET_KEEPALIVE_S);
	}
	return ended != 0 || (ends && !refused) ? -1 : 0;
}

/* What the socket takes; and once all is out, the next request. Not within a
 * callback of libwebsockets. */
static int
push_and_complete(struct net_connection *conn)
{
	if (push(conn) != 0)
		return -1;
	if (!is_written(conn))
		return 0;
	if (conn->http->streams) {
		net_stream_idle(conn);
		return 0;
	}
	if (complete(conn) != 0)
		return -1;
	lws_rx_flow_control(conn->wsi, 1);
	return 0;
}

/* The next request may be there at once, and libwebsockets reads before it
 * tells that it may write: so it must not read before the last one is complete,
 * or the next is taken for a pipelined one. Within one of its callbacks none can
 * be completed: what is answered there is written after its turn. */
int
net_http_push(struct net_connection *conn)
{
	struct net *net = conn->net;

	if (!net->running)
		return push_and_complete(conn);
	if (!conn->late) {
		conn->late = true;
		TAILQ_INSERT_TAIL(&net->late, conn, by_answer);
	}
	return 0;
}

void
net_http_leave(struct net_connection *conn)
{
	if (!conn->late)
		return;
	conn->late = false;
	TAILQ_REMOVE(&conn->net->late, conn, by_answer);
}

bool
net_http_push_late(struct net *net)
{
	bool any = false;

	for (struct net_connection *conn = TAILQ_FIRST(&net->late);
	     conn != NULL; conn = TAILQ_FIRST(&net->late)) {
		net_http_leave(conn);
		any = true;
		if (conn->http != NULL && conn->http->answered &&
		    !conn->closing && push_and_complete(conn) != 0)
			net_kill(conn);
	}
	return any;
}

static void
writable_again(evutil_socket_t fd, short what, void *ctx)
{
	struct net_connection *conn = ctx;
	struct net *net = conn->net;
	net_conn name = conn->name;

	(void)fd;
	(void)what;
	/* libwebsockets has a rest of its own to write first; then it says
	 * HTTP_WRITEABLE, and we go on. Nothing of it may be in hand after. */
	lws_rx_flow_control(conn->wsi, 1);
	lws_callback_on_writable(conn->wsi);
	net_pump(net);
	conn = net_connection_get(net, name);
	if (conn != NULL && conn->http != NULL && conn->http->answered &&
	    !is_written(conn) && wait_until_writable(conn) != 0)
		net_kill(conn);
}

/* HTTP_WRITEABLE: go on with the answer, or with the next request. */
static int
writable(struct net_connection *conn)
{
	struct net_http *http = conn->http;

	if (http == NULL || !http->answered || conn->late)
		return 0;
	if (!is_written(conn) && push(conn) != 0)
		return -1;
	if (!is_written(conn))
		return 0;
	if (!http->streams)
		return complete(conn);
	net_stream_idle(conn);
	return 0;
}

int
net_reply(struct net *net, net_conn name, int status, const char *content_type,
    const char *extra_headers, const void *data, size_t len)
{
	struct net_connection *conn = net_connection_get(net, name);
	struct net_http *http = conn != NULL ? conn->http : NULL;
	struct buf head = { 0 };

	if (http == NULL || !http->delivered || http->answered || conn->closing)
		return ERR_CLOSED;
	http->answered = true;
	net_http_write_head(&head, net, http, status, content_type,
	    extra_headers, len);
	size_t body_len = http->head || status == 204 ? 0 : len;
	bool fits = !head.failed && net_output_fits(conn, head.len + body_len);

	if (fits)
		http->reply = malloc(LWS_PRE + head.len + body_len);
	if (http->reply == NULL) {
		log_error("net", "no memory for an answer: bytes=%zu", len);
		buf_release(&head);
		net_kill(conn);
		return ERR_FULL;
	}
	http->reply_len = head.len + body_len;
	memcpy(http->reply + LWS_PRE, head.data, head.len);
	if (body_len > 0)
		memcpy(http->reply + LWS_PRE + head.len, data, body_len);
	buf_release(&head);
	net_output_count(conn, http->reply_len, 0);
	net_deadline_set(conn, NET_ANSWER_S);
	if (net_http_push(conn) != 0)
		net_kill(conn);
	net_schedule(net, false);
	return 0;
}

bool
net_is_gone(struct net *net, net_conn name)
{
	struct net_connection *conn = net_connection_get(net, name);
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (conn == NULL || conn->wsi == NULL)
		return true;
	return getsockopt(lws_get_socket_fd(conn->wsi), IPPROTO_TCP, TCP_INFO,
		   &info, &size) == 0 &&
	    (info.tcpi_state == TCP_CLOSE_WAIT || info.tcpi_state == TCP_CLOSE);
}

int
net_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct net_connection *conn = net_connection_of(wsi);

	(void)user;
	if (conn == NULL)
		return 0;
	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		return began(conn);
	case LWS_CALLBACK_HTTP_BODY:
		return body(conn, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return body_ended(conn);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return writable(conn);
	case LWS_CALLBACK_TIMER:
		return time_is_up(conn) ? -1 : 0;
	}
	return 0;
}
