/*
 * The server: speaks WebSocket with those that ask for it properly. What is
 * refused is told why before the connection ends. Accepting is accept.c's.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/listener.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Silence is watched by ourselves (silence.c). */
static const lws_retry_bo_t no_liveness;

/* --- the upgrade --------------------------------------------------------- */

/* Is `wanted` among the comma-separated words of a header? */
static bool
has_word(const char *list, const char *wanted)
{
	size_t len = strlen(wanted);

	for (const char *p = list; *p != '\0';) {
		p += strspn(p, ", \t");
		size_t n = strcspn(p, ", \t");

		if (n == len && strncmp(p, wanted, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* Why an upgrade is refused: the status line's rest, or NULL. */
static const char *
refuse_upgrade(const struct net *net, struct lws *wsi)
{
	char text[256];

	/* Do not trust the callback's pointer: after an unknown Upgrade on a
	 * connection kept alive it points into freed memory (README). */
	if (!net_http_header(text, sizeof(text), wsi, WSI_TOKEN_UPGRADE) ||
	    strcasecmp(text, "websocket") != 0)
		return "400 Bad Request";
	if (!net_http_header(text, sizeof(text), wsi, WSI_TOKEN_GET_URI) ||
	    strcmp(text, net->options.ws_path) != 0)
		return "404 Not Found";
	/* A page in somebody's browser must not reach it (DESIGN 10). */
	if (net_http_has_header(wsi, WSI_TOKEN_ORIGIN))
		return "403 Forbidden";
	if (!net_http_header(text, sizeof(text), wsi, WSI_TOKEN_PROTOCOL) ||
	    !has_word(text, net->options.ws_protocol))
		return "400 Bad Request";
	if (!net_http_header(text, sizeof(text), wsi, WSI_TOKEN_VERSION) ||
	    strcmp(text, "13") != 0)
		return "426 Upgrade Required\r\nSec-WebSocket-Version: 13";
	if (lws_hdr_total_length(wsi, WSI_TOKEN_KEY) != 24)
		return "400 Bad Request";
	return NULL;
}

static int
confirm_upgrade(struct net_connection *conn)
{
	char answer[192];
	SSL *ssl = lws_get_ssl(conn->wsi);

	if (conn->closing || net_http_is_pipelined(conn))
		return -1;
	const char *status = refuse_upgrade(conn->net, conn->wsi);

	if (status == NULL && net_tls_describe(conn->peer, conn->wsi) == 0) {
		net_http_header(conn->peer->host, sizeof(conn->peer->host),
		    conn->wsi, WSI_TOKEN_HOST);
		(void)net_http_cut_port(conn->peer->host);
		conn->may_upgrade = true;
		return 0;
	}
	if (status == NULL)
		status = "403 Forbidden";
	log_debug("net", "upgrade refused: address=%s status=%.3s",
	    conn->peer->address, status);
	int len = snprintf(answer, sizeof(answer),
	    "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	    status);

	/* Past libwebsockets: a reply of its own here ends in a use after
	 * free (README). Nothing else was written on this connection. */
	if (ssl != NULL && SSL_is_init_finished(ssl) &&
	    !lws_partial_buffered(conn->wsi))
		SSL_write(ssl, answer, len);
	return -1;
}

/* --- WebSocket ----------------------------------------------------------- */

static int
end_with(struct net_connection *conn, int code)
{
	conn->closing = true;
	lws_close_reason(conn->wsi, (enum lws_close_status)code, NULL, 0);
	return -1;
}

static int
received(struct net_connection *conn, const uint8_t *piece, size_t len)
{
	struct net *net = conn->net;
	const uint8_t *data;
	size_t data_len = 0;

	if (!conn->open || conn->closing)
		return 0;
	int code = net_input(&data, &data_len, conn, piece, len,
	    lws_frame_is_binary(conn->wsi) != 0);

	if (code != 0) {
		log_info("net", "ended for a bad message: address=%s code=%d",
		    conn->peer->address, code);
		return end_with(conn, code);
	}
	if (data != NULL) {
		if (conn->stranger)
			net_throttle_charge(conn, NET_REQUEST_BYTES);
		net->callbacks.ws_message(net->ctx, conn->name, data, data_len);
		net_input_release(conn);
	}
	return 0;
}

static void
closed(struct net_connection *conn)
{
	struct net *net = conn->net;
	net_conn name = conn->name;
	bool told = conn->open && conn->kind == NET_SOCKET;
	bool owed = conn->http != NULL && conn->http->delivered &&
	    (!conn->http->answered || conn->http->streams);

	net_connection_remove(conn);
	if (told)
		net->callbacks.ws_close(net->ctx, name);
	if (owed)
		net->callbacks.http_abort(net->ctx, name);
}

static int
socket_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct net *net = lws_context_user(lws_get_context(wsi));

	(void)user;
	if (net == NULL || net->dying)
		return 0;
	struct net_connection *conn = net_connection_of(wsi);

	if (conn == NULL)
		return 0;
	switch ((int)reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return conn->may_upgrade ? 0 : -1;
	case LWS_CALLBACK_ESTABLISHED:
		net_http_free(conn);
		conn->kind = NET_SOCKET;
		conn->open = true;
		net_silence_join(conn);
		net_ahead_begin(conn);
		net->callbacks.ws_open(net->ctx, conn->name, conn->peer);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		net_silence_heard(conn);
		return received(conn, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
		net_silence_heard(conn);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return net_flush(conn);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		conn->closing = true;
		return 0;
	case LWS_CALLBACK_CLOSED:
		closed(conn);
		return 0;
	}
	return 0;
}

/* protocols[0]: what is not a WebSocket (yet), and the vhost's own events. */
static int
first_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct net *net = lws_context_user(lws_get_context(wsi));

	if (net == NULL || net->dying)
		return 0;
	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
		net->server_tls = user;
		net->tls_error = net_tls_server(user, net->cert_pem,
		    net->key_pem, net->client_ca_pem, net->client_any);
		return net->tls_error;
	}
	if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION)
		return -1; /* an upgrade that names protocols[0] */
	if (reason == LWS_CALLBACK_RAW_ADOPT || reason == LWS_CALLBACK_RAW_RX)
		return -1; /* what libwebsockets makes of CONNECT */
	if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE) {
		struct net_connection *conn = net_connection_of(wsi);

		return conn != NULL ? confirm_upgrade(conn) : -1;
	}
	if (reason == LWS_CALLBACK_CLOSED_HTTP ||
	    reason == LWS_CALLBACK_WSI_DESTROY) {
		struct net_connection *conn = net_connection_of(wsi);

		if (conn != NULL)
			closed(conn);
		return 0;
	}
	return net_http_callback(wsi, reason, user, in, len);
}

/* --- starting and stopping ----------------------------------------------- */

static int
open_vhost(struct net *net)
{
	net->server_protocols[0] = (struct lws_protocols){ .name = "http",
		.callback = first_callback,
		.tx_packet_size = NET_MESSAGE_MAX + 16 };
	net->server_protocols[1] =
	    (struct lws_protocols){ .name = net->options.ws_protocol,
		    .callback = socket_callback,
		    .rx_buffer_size = 4096,
		    .tx_packet_size = NET_MESSAGE_MAX + 16 };
	struct lws_context_creation_info info = {
		/* -1 would serve plaintext (README). */
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = "server",
		.protocols = net->server_protocols,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		    LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX |
		    LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.provided_client_ssl_ctx = net->client_tls,
		.alpn = "http/1.1",
		.keepalive_timeout = NET_KEEPALIVE_S,
		.retry_and_idle_policy = &no_liveness,
		.timeout_secs = NET_STEP_S,
	};

	net->tls_error = 0;
	net_log_loudly();
	net->server = lws_create_vhost(net->lws, &info);
	net_log_quietly();
	if (net->server != NULL)
		return 0;
	return net->tls_error != 0 ? net->tls_error : ERR_SYSTEM;
}

/* Plain bytes must meet TLS: an alert or silence, never an answer. */
static int
self_test(struct net *net)
{
	static const char plain[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	unsigned char answer[64];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) != 0)
		return ERR_SYSTEM;
	ssize_t n = -1;

	if (net_adopt(net, pair[0], &nobody, NULL) == 0 &&
	    write(pair[1], plain, sizeof(plain) - 1) ==
		(ssize_t)sizeof(plain) - 1) {
		struct pollfd wait = { .fd = pair[1], .events = POLLIN };

		for (int i = 0; i < 100 && n < 0; i++) {
			net->running = true;
			uv_run(&net->uv, UV_RUN_NOWAIT);
			net->running = false;
			if (poll(&wait, 1, 10) > 0)
				n = read(pair[1], answer, sizeof(answer));
		}
	}
	close(pair[1]);
	/* 21: a TLS record that is an alert (RFC 8446, section 5.1). */
	if (n == 0 || (n > 0 && answer[0] == 21))
		return 0;
	log_error("net", "the TLS listener does not speak TLS: bytes=%zd", n);
	return ERR_SYSTEM;
}

static int
copy_options(struct net *net, const struct net_server_options *options)
{
	net->options = (struct net_server_options){
		.ws_path = strdup(options->ws_path),
		.ws_protocol = strdup(options->ws_protocol),
		.server_name = strdup(options->server_name),
		.connections_max = options->connections_max,
		.address_connections_max = options->address_connections_max,
		.address_strangers_max = options->address_strangers_max,
		.address_rate = options->address_rate,
		.stall_ms = options->stall_ms,
	};
	net_silence_set(net, options->silence_ms);
	if (net->options.address_connections_max <= 0)
		net->options.address_connections_max = options->connections_max;
	if (net->options.address_strangers_max <= 0)
		net->options.address_strangers_max = options->connections_max;
	if (net->options.ws_path == NULL || net->options.ws_protocol == NULL ||
	    net->options.server_name == NULL)
		return ERR_NOMEM;
	return 0;
}

static int
serve(struct net *net, int listen_fd, const struct net_server_options *options)
{
	int err = copy_options(net, options);

	if (err != 0)
		return err;
	if (net->client_tls == NULL)
		net->client_tls = net_tls_client(net);
	if (net->client_tls == NULL)
		return ERR_NOMEM;
	net->cert_pem = options->cert_pem;
	net->key_pem = options->key_pem;
	net->client_ca_pem = options->client_ca_pem;
	net->client_any = options->client_any;
	err = open_vhost(net);
	net->cert_pem = net->key_pem = net->client_ca_pem = NULL;
	if (err == 0)
		err = self_test(net);
	if (err != 0)
		return err;
	return net_accept(net, listen_fd);
}

int
net_serve(struct net *net, int listen_fd,
    const struct net_server_options *options,
    const struct net_server_callbacks *callbacks, void *ctx)
{
	int err = ERR_CONFLICT; /* one server a context */

	if (net->server == NULL) {
		net->callbacks = *callbacks;
		net->ctx = ctx;
		err = serve(net, listen_fd, options);
	}
	if (err != 0) {
		log_error("net", "cannot serve: %s", err_str(err));
		if (net->listener == NULL)
			close(listen_fd);
		return err;
	}
	net_schedule(net, false);
	return 0;
}

int
net_reload(struct net *net, const char *cert_pem, const char *key_pem)
{
	if (net->server_tls == NULL)
		return ERR_NOT_FOUND;
	return net_tls_use(net->server_tls, cert_pem, key_pem);
}

void
net_stop_accepting(struct net *net)
{
	net->stopped = true;
	if (net->listener != NULL)
		evconnlistener_free(net->listener);
	net->listener = NULL;
}

void
net_server_free(struct net *net)
{
	if (net->listener != NULL)
		evconnlistener_free(net->listener);
	if (net->listener_retry != NULL)
		event_free(net->listener_retry);
	if (net->listener_next != NULL)
		event_free(net->listener_next);
	free((char *)(uintptr_t)net->options.ws_path);
	free((char *)(uintptr_t)net->options.ws_protocol);
	free((char *)(uintptr_t)net->options.server_name);
}
