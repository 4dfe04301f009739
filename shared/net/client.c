/*
 * The client: one WebSocket to one host. Names are looked up here, blocking
 * (Debian's libwebsockets has no other way either), and its addresses are
 * tried one after the other, because libwebsockets loses a handle whenever it
 * does that itself (README). Whatever fails, `close` is called once.
 */
#include "shared/net/net_private.h"
#include "shared/net/trouble.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* Silence is watched by ourselves (silence.c). */
static const lws_retry_bo_t no_liveness;

void
net_target_free(struct net_connection *conn)
{
	struct net_target *target = conn->target;

	if (target == NULL)
		return;
	conn->target = NULL;
	if (target->addresses != NULL)
		freeaddrinfo(target->addresses);
	if (target->deadline != NULL)
		event_free(target->deadline);
	if (target->step != NULL)
		event_free(target->step);
	X509_free(target->ca);
	free(target);
}

/* The connection is over, or never came about: tell it, once. */
static void
finish(struct net_connection *conn, const char *reason)
{
	struct net_client_callbacks callbacks = conn->target->callbacks;
	void *ctx = conn->target->ctx;
	net_conn name = conn->name;
	struct net *net = conn->net;
	char words[sizeof(conn->target->reason)];

	text_copy(words, sizeof(words),
	    conn->target->reason[0] != '\0' ? conn->target->reason : reason);
	net->trouble = conn->target->trouble;
	net->trouble_code = conn->target->trouble_code;
	net_connection_remove(conn);
	callbacks.close(ctx, name, words);
}

/* --- connecting ---------------------------------------------------------- */

static int
connect_to(struct net_connection *conn, const struct addrinfo *address)
{
	struct net_target *target = conn->target;
	struct net *net = conn->net;
	char numeric[64];
	char host[sizeof(target->host) + 16];
	bool v6 = strchr(target->host, ':') != NULL;

	if (getnameinfo(address->ai_addr, address->ai_addrlen, numeric,
		sizeof(numeric), NULL, 0, NI_NUMERICHOST) != 0)
		return ERR_SYSTEM;
	snprintf(host, sizeof(host), v6 ? "[%s]:%u" : "%s:%u", target->host,
	    target->port);
	text_copy(conn->peer->address, sizeof(conn->peer->address), numeric);
	conn->peer->port = target->port;
	struct lws_client_connect_info info = {
		.context = net->lws,
		.vhost = net->client,
		.address = numeric,
		.port = target->port,
		.ssl_connection =
		    LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.path = target->path,
		.host = host,
		.protocol = target->protocol,
		.local_protocol_name = "client",
		.alpn = "http/1.1",
		.opaque_user_data = (void *)(uintptr_t)conn->name,
		.retry_and_idle_policy = &no_liveness,
	};

	conn->wsi = lws_client_connect_via_info(&info);
	net_schedule(net, true);
	return conn->wsi != NULL ? 0 : ERR_CLOSED;
}

static void
try_next(struct net_connection *conn)
{
	struct net_target *target = conn->target;

	while (target->next_address != NULL) {
		const struct addrinfo *address = target->next_address;

		target->next_address = address->ai_next;
		if (connect_to(conn, address) == 0)
			return;
		if (target->next_address == NULL)
			net_trouble_at_once(conn, address);
	}
	finish(conn, "cannot connect");
}

/* RFC 6761, section 6.3: whatever is under localhost is this machine, and no
 * name server is asked. */
static const char *
name_to_ask(const char *host)
{
	static const char suffix[] = ".localhost";
	const size_t suffix_len = sizeof(suffix) - 1;
	size_t len = strlen(host);

	return len > suffix_len &&
		strcasecmp(host + len - suffix_len, suffix) == 0
	    ? suffix + 1
	    : host;
}

static int
look_up(struct net_connection *conn)
{
	struct net_target *target = conn->target;
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int failed = getaddrinfo(name_to_ask(target->host), NULL, &hints,
	    &target->addresses);

	if (failed != 0) {
		target->trouble = NET_TROUBLE_NAME;
		snprintf(target->reason, sizeof(target->reason),
		    "cannot find %s: %s", target->host, gai_strerror(failed));
		target->addresses = NULL;
		return ERR_NOT_FOUND;
	}
	target->next_address = target->addresses;
	return 0;
}

static void
step(evutil_socket_t fd, short what, void *ctx)
{
	struct net_connection *conn = ctx;
	struct net_target *target = conn->target;
	const struct timeval wait = { .tv_sec = target->connect_timeout_s };

	(void)fd;
	(void)what;
	if (conn->closing) {
		finish(conn, "closed");
		return;
	}
	if (target->addresses == NULL) {
		if (look_up(conn) != 0 ||
		    event_add(target->deadline, &wait) != 0) {
			finish(conn, "cannot connect");
			return;
		}
	}
	try_next(conn);
}

static void
too_late(evutil_socket_t fd, short what, void *ctx)
{
	struct net_connection *conn = ctx;

	(void)fd;
	(void)what;
	conn->target->trouble = NET_TROUBLE_SILENT;
	net_client_abort(conn, "no answer in time");
}

void
net_client_abort(struct net_connection *conn, const char *reason)
{
	struct net_target *target = conn->target;

	conn->closing = true;
	if (target->reason[0] == '\0' && reason != NULL)
		text_copy_n(target->reason, sizeof(target->reason), reason,
		    strnlen(reason, sizeof(target->reason) - 1));
	if (conn->wsi != NULL)
		net_kill(conn);
	else
		event_active(target->step, EV_TIMEOUT, 0);
}

/* --- libwebsockets' events ----------------------------------------------- */

/* This attempt is over; there may be another address. */
static void
attempt_failed(struct net_connection *conn, const char *words)
{
	struct net_target *target = conn->target;
	int number = net_trouble_number(conn->wsi);

	lws_set_opaque_user_data(conn->wsi, NULL);
	conn->wsi = NULL;
	/* "HS:" is libwebsockets' mark for an answer that is no upgrade. */
	bool answered = strncmp(words, "HS:", 3) == 0;

	if (!conn->closing && !target->refused && !answered &&
	    target->next_address != NULL) {
		event_active(target->step, EV_TIMEOUT, 0);
		return;
	}
	net_trouble_explain(conn, number, answered, words);
	finish(conn, "cannot connect");
}

static int
established(struct net_connection *conn)
{
	struct net_target *target = conn->target;

	if (conn->closing || net_tls_describe(conn->peer, conn->wsi) != 0)
		return -1;
	event_del(target->deadline);
	freeaddrinfo(target->addresses);
	target->addresses = target->next_address = NULL;
	conn->open = true;
	net_silence_join(conn);
	target->callbacks.open(target->ctx, conn->name, conn->peer);
	return 0;
}

static int
received(struct net_connection *conn, const uint8_t *piece, size_t len)
{
	const uint8_t *data;
	size_t data_len = 0;

	if (!conn->open || conn->closing)
		return 0;
	int code = net_input(&data, &data_len, conn, piece, len,
	    lws_frame_is_binary(conn->wsi) != 0);

	if (code != 0) {
		conn->closing = true;
		snprintf(conn->target->reason, sizeof(conn->target->reason),
		    "the site sent a message that is not allowed (%d)", code);
		lws_close_reason(conn->wsi, (enum lws_close_status)code, NULL,
		    0);
		return -1;
	}
	if (data != NULL) {
		conn->target->callbacks.message(conn->target->ctx, conn->name,
		    data, data_len);
		net_input_release(conn);
	}
	return 0;
}

static void
closed_by_peer(struct net_connection *conn, const uint8_t *payload, size_t len)
{
	struct net_target *target = conn->target;
	/* libwebsockets turns 1012 and 1013 into 1002 (README): the words say
	 * more. */
	unsigned int code = len >= 2 ? be16_read(payload) : 1005;
	const char *words = len > 2 ? (const char *)payload + 2 : "";
	size_t n = len > 2 ? len - 2 : 0;

	conn->closing = true;
	target->trouble = NET_TROUBLE_CLOSED;
	target->trouble_code = code;
	if (!text_is_printable(words, n))
		n = 0;
	if (n > 0)
		snprintf(target->reason, sizeof(target->reason),
		    "the site closed the connection: %.*s", (int)n, words);
	else
		snprintf(target->reason, sizeof(target->reason),
		    "the site closed the connection (%u)", code);
}

static int
client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
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
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: {
		char words[128] = "no reason given";

		if (in != NULL && len > 0)
			text_copy_n(words, sizeof(words), in,
			    strnlen(in, len < 127 ? len : 127));
		attempt_failed(conn, words);
		return 0;
	}
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		return established(conn);
	case LWS_CALLBACK_CLIENT_RECEIVE:
		net_silence_heard(conn);
		return received(conn, in, len);
	case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
		net_silence_heard(conn);
		return 0;
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return conn->open ? net_flush(conn) : 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		closed_by_peer(conn, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_WSI_DESTROY:
		if (conn->target->trouble == NET_TROUBLE_OTHER &&
		    conn->target->reason[0] == '\0')
			conn->target->trouble = NET_TROUBLE_LOST;
		finish(conn, "the connection was lost");
		return 0;
	}
	return 0;
}

/* --- net_connect --------------------------------------------------------- */

static int
open_vhost(struct net *net)
{
	if (net->client != NULL)
		return 0;
	if (net->client_tls == NULL)
		net->client_tls = net_tls_client(net);
	if (net->client_tls == NULL)
		return ERR_NOMEM;
	net->client_protocols[0] = (struct lws_protocols){ .name = "client",
		.callback = client_callback,
		.rx_buffer_size = 4096,
		.tx_packet_size = NET_MESSAGE_MAX + 16 };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.vhost_name = "client",
		.protocols = net->client_protocols,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		    LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.provided_client_ssl_ctx = net->client_tls,
		.retry_and_idle_policy = &no_liveness,
		.timeout_secs = NET_STEP_S,
	};

	net_log_loudly();
	net->client = lws_create_vhost(net->lws, &info);
	net_log_quietly();
	return net->client != NULL ? 0 : ERR_SYSTEM;
}

static struct net_target *
target_new(const struct net_client_options *options)
{
	struct net_target *target = calloc(1, sizeof(*target));

	if (target == NULL)
		return NULL;
	bool good =
	    text_copy(target->host, sizeof(target->host), options->host) &&
	    text_copy(target->path, sizeof(target->path), options->path) &&
	    text_copy(target->protocol, sizeof(target->protocol),
		options->protocol) &&
	    target->host[0] != '\0' && options->port != 0;

	target->port = options->port;
	target->connect_timeout_s = options->connect_timeout_s;
	if (options->ca_pem != NULL) {
		target->ca = net_tls_read_certificate(options->ca_pem);
		good = good && target->ca != NULL;
	} else if (options->ca_sha256 != NULL) {
		memcpy(target->ca_sha256, options->ca_sha256,
		    sizeof(target->ca_sha256));
		target->pinned = true;
	} else {
		good = false;
	}
	if (good)
		return target;
	X509_free(target->ca);
	free(target);
	return NULL;
}

int
net_connect(net_conn *name, struct net *net,
    const struct net_client_options *options,
    const struct net_client_callbacks *callbacks, void *ctx)
{
	int err = open_vhost(net);

	*name = 0;
	if (err != 0) {
		log_error("net", "cannot connect: %s", err_str(err));
		return err;
	}
	struct net_target *target = target_new(options);

	if (target == NULL)
		return ERR_BAD_REQUEST;
	if (options->silence_ms > 0)
		net_silence_set(net, options->silence_ms);
	struct net_connection *conn = net_connection_new(net, NET_CLIENT);

	if (conn == NULL) {
		X509_free(target->ca);
		free(target);
		return ERR_NOMEM;
	}
	conn->target = target;
	target->callbacks = *callbacks;
	target->ctx = ctx;
	target->deadline = evtimer_new(net->base, too_late, conn);
	target->step = evtimer_new(net->base, step, conn);
	if (target->deadline == NULL || target->step == NULL) {
		net_connection_remove(conn);
		return ERR_NOMEM;
	}
	event_active(target->step, EV_TIMEOUT, 0);
	*name = conn->name;
	return 0;
}

void
net_client_free(struct net *net)
{
	SSL_CTX_free(net->client_tls);
}
