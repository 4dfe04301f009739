/*
 * Time that runs out, for connections by the thousand: an HTTP connection has a
 * deadline; a WebSocket, who has not been heard for a while is asked for a sign of life (a ping), and
 * hung up on when none comes. libwebsockets would do it, but keeps its timers
 * in one sorted list that every change walks through: at 10,000 connections
 * that was a third of the server's time. Here a message only notes when it came,
 * and a wheel of seconds says whom to look at.
 */
#include "shared/net/net_private.h"

#include "shared/base/log.h"

#include <event2/event.h>

/* After so much silence a ping, after as much again the end. */
#define SILENCE_MS 30000

static void
arm(struct net *net)
{
	int64_t now_s = net_now_ms() / 1000;
	int ahead = 0;

	while (ahead < NET_SECONDS &&
	    TAILQ_EMPTY(&net->seconds[(now_s + ahead) % NET_SECONDS]))
		ahead++;
	if (ahead == NET_SECONDS || net->dying)
		return;
	const struct timeval wait = { .tv_sec = ahead > 0 ? ahead : 1 };

	if (event_add(net->silence, &wait) != 0)
		log_error("net", "cannot set a timer");
}

/* `at_ms` is at most NET_SILENCE_MAX_MS away. */
static void
look_at(struct net_connection *conn, int64_t at_ms)
{
	struct net *net = conn->net;

	/* The second after it: then it is over. */
	conn->second = (unsigned int)((at_ms / 1000 + 1) % NET_SECONDS);
	TAILQ_INSERT_TAIL(&net->seconds[conn->second], conn, by_silence);
	conn->watched = true;
}

static void
forget(struct net_connection *conn)
{
	TAILQ_REMOVE(&conn->net->seconds[conn->second], conn, by_silence);
	conn->watched = false;
}

/* What waits to go out says as much as a ping, and is watched by itself. */
static void
ping(struct net_connection *conn)
{
	unsigned char bytes[LWS_PRE + 1];

	if (conn->first != NULL || lws_partial_buffered(conn->wsi))
		return;
	/* libwebsockets says nothing of an empty pong. */
	bytes[LWS_PRE] = '?';
	if (lws_write(conn->wsi, bytes + LWS_PRE, 1, LWS_WRITE_PING) < 0) {
		net_kill(conn);
		return;
	}
	if (lws_partial_buffered(conn->wsi)) {
		lws_callback_on_writable(conn->wsi);
		net_schedule(conn->net, false);
	}
}

/* The shortest time that is given: a deadline that is moved is looked at in
 * time, wherever it was before, and to move it costs nothing. */
static int64_t
sooner(int64_t at_ms, int64_t now_ms)
{
	const int64_t most_ms = now_ms + NET_KEEPALIVE_S * 1000;

	return at_ms < most_ms ? at_ms : most_ms;
}

/* A head that has begun is libwebsockets' to wait for, for so long. */
static void
look_at_http(struct net_connection *conn, int64_t now_ms)
{
	if (now_ms < conn->deadline_ms)
		look_at(conn, sooner(conn->deadline_ms, now_ms));
	else if (conn->http == NULL && !net_http_is_pipelined(conn))
		look_at(conn, now_ms + NET_STEP_S * 1000);
	else
		net_kill(conn);
}

static void
look(struct net_connection *conn, int64_t now_ms)
{
	int64_t silence_ms = conn->net->silence_ms;

	if (conn->closing)
		return;
	if (conn->kind == NET_HTTP) {
		look_at_http(conn, now_ms);
		return;
	}
	if (conn->heard_ms >= conn->asked_ms)
		conn->asked_ms = 0;
	if (now_ms - conn->heard_ms < silence_ms) {
		look_at(conn, conn->heard_ms + silence_ms);
	} else if (conn->asked_ms == 0) {
		conn->asked_ms = now_ms;
		look_at(conn, now_ms + silence_ms);
		ping(conn);
	} else {
		log_info("net", "hung up, not heard for too long: address=%s",
		    conn->peer->address);
		net_kill(conn);
	}
}

static void
listened(evutil_socket_t fd, short what, void *ctx)
{
	struct net *net = ctx;
	int64_t now_ms = net_now_ms(), now_s = now_ms / 1000;

	(void)fd;
	(void)what;
	/* After a long halt each second is looked at once all the same. */
	if (now_s - net->listened_s > NET_SECONDS)
		net->listened_s = now_s - NET_SECONDS;
	while (net->listened_s < now_s) {
		int64_t second = ++net->listened_s;
		TAILQ_HEAD(, net_connection) due = TAILQ_HEAD_INITIALIZER(due);
		struct net_connection *conn;

		TAILQ_CONCAT(&due, &net->seconds[second % NET_SECONDS],
		    by_silence);
		while ((conn = TAILQ_FIRST(&due)) != NULL) {
			TAILQ_REMOVE(&due, conn, by_silence);
			conn->watched = false;
			look(conn, now_ms);
		}
	}
	arm(net);
}

int
net_silence_open(struct net *net)
{
	for (int i = 0; i < NET_SECONDS; i++)
		TAILQ_INIT(&net->seconds[i]);
	net->silence_ms = SILENCE_MS;
	net->listened_s = net_now_ms() / 1000;
	net->silence = evtimer_new(net->base, listened, net);
	return net->silence != NULL ? 0 : -1;
}

void
net_silence_set(struct net *net, int ms)
{
	net->silence_ms = ms <= 0     ? SILENCE_MS
	    : ms > NET_SILENCE_MAX_MS ? NET_SILENCE_MAX_MS
				      : ms;
}

void
net_deadline_set(struct net_connection *conn, int seconds)
{
	struct net *net = conn->net;
	int64_t now_ms = net_now_ms();

	conn->deadline_ms = now_ms + (int64_t)seconds * 1000;
	if (conn->watched)
		return;
	look_at(conn, sooner(conn->deadline_ms, now_ms));
	if (!event_pending(net->silence, EV_TIMEOUT, NULL))
		arm(net);
}

void
net_silence_join(struct net_connection *conn)
{
	struct net *net = conn->net;

	conn->heard_ms = net_now_ms();
	if (conn->watched)
		return;
	look_at(conn, conn->heard_ms + net->silence_ms);
	if (!event_pending(net->silence, EV_TIMEOUT, NULL))
		arm(net);
}

void
net_silence_heard(struct net_connection *conn)
{
	conn->heard_ms = net_now_ms();
}

void
net_silence_leave(struct net_connection *conn)
{
	if (conn->watched)
		forget(conn);
}
