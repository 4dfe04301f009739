/*
 * How fast one may talk. TLS, frames and pings cost time for each byte, and
 * libwebsockets serves whoever is readable: a few who send without end would
 * have it all. So bytes are counted where TLS reads them, against a bucket of
 * the connection when it is trusted, and of its address before that. A
 * WebSocket that is over is not read from until its bucket has drained, in
 * turn. HTTP is refused instead: with pipelined requests in hand libwebsockets
 * would spin on a connection that is held back.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>

/* A burst that nobody waits for, then so much a second. The strangers of one
 * address share theirs: a login is 3 KB. */
#define BURST_BYTES ((int64_t)4 << 20)
#define TRUSTED_RATE ((int64_t)2 << 20)
#define STRANGER_RATE ((int64_t)1 << 20)
/* What a turn is reckoned to cost before it is known. */
#define TURN_BYTES INT64_C(4096)
#define LOOK_MS 20

/* A reason of our own beside that of http.c. */
#define HOLD ((int)LWS_RXFLOW_REASON_APPLIES_DISABLE | 1 << 1)
#define LET_GO ((int)LWS_RXFLOW_REASON_APPLIES_ENABLE | 1 << 1)
#define NOW ((int)LWS_RXFLOW_REASON_FLAG_PROCESS_NOW)

static int64_t *
bucket_of(struct net_connection *conn, int64_t *rate)
{
	if (conn->address == NULL)
		return NULL;
	*rate = conn->stranger ? STRANGER_RATE : TRUSTED_RATE;
	return conn->stranger ? &conn->address->read_due_us
			      : &conn->read_due_us;
}

/* GCRA: *due_us is when the bucket is empty again. Is it over? */
static bool
pour(int64_t *due_us, int64_t bytes, int64_t rate)
{
	int64_t now_us = net_now_ms() * 1000;

	if (*due_us < now_us)
		*due_us = now_us;
	*due_us += bytes * 1000000 / rate;
	return *due_us - now_us > BURST_BYTES * 1000000 / rate;
}

void
net_throttle_charge(struct net_connection *conn, size_t bytes)
{
	int64_t rate = 0, *due_us = bucket_of(conn, &rate);

	if (due_us != NULL && !conn->stranger)
		conn->net->trusted_ms = net_now_ms();
	if (bytes <= conn->prepaid) {
		conn->prepaid -= (uint32_t)bytes;
		return;
	}
	bytes -= conn->prepaid;
	conn->prepaid = 0;
	if (due_us == NULL || !pour(due_us, (int64_t)bytes, rate) ||
	    conn->throttled || conn->kind != NET_SOCKET)
		return;
	/* In the midst of reading: it is held back after the pump. */
	conn->throttled = true;
	TAILQ_INSERT_TAIL(&conn->net->to_hold, conn, by_turn);
}

bool
net_throttle_is_over(struct net_connection *conn)
{
	int64_t rate = 1, *due_us = bucket_of(conn, &rate);

	return due_us != NULL && pour(due_us, 0, rate);
}

static long
on_bio(BIO *bio, int what, const char *data, size_t len, int i, long l, int rc,
    size_t *done)
{
	struct net_connection *conn = (void *)BIO_get_callback_arg(bio);

	(void)data;
	(void)len;
	(void)i;
	(void)l;
	if (what != (BIO_CB_READ | BIO_CB_RETURN) || conn == NULL)
		return rc;
	net_ahead_read(conn, rc > 0);
	if (rc > 0 && done != NULL)
		net_throttle_charge(conn, *done);
	return rc;
}

/* What TLS reads from; NULL when that is gone already. */
static BIO *
bio_of(const struct net_connection *conn)
{
	SSL *ssl = conn->wsi != NULL ? lws_get_ssl(conn->wsi) : NULL;

	return ssl != NULL ? SSL_get_rbio(ssl) : NULL;
}

void
net_throttle_join(struct net_connection *conn)
{
	BIO *bio = bio_of(conn);

	if (bio == NULL)
		return;
	BIO_set_callback_ex(bio, on_bio);
	BIO_set_callback_arg(bio, (char *)conn);
}

void
net_throttle_leave(struct net_connection *conn)
{
	struct net *net = conn->net;

	/* The wsi may live on for a while. */
	BIO *bio = bio_of(conn);

	if (bio != NULL)
		BIO_set_callback_arg(bio, NULL);
	if (!conn->throttled)
		return;
	if (conn->held)
		TAILQ_REMOVE(&net->held, conn, by_turn);
	else
		TAILQ_REMOVE(&net->to_hold, conn, by_turn);
	conn->throttled = conn->held = false;
}

static void
look_soon(struct net *net)
{
	const struct timeval wait = { .tv_usec = LOOK_MS * 1000 };

	if (event_pending(net->look, EV_TIMEOUT, NULL))
		return;
	if (event_add(net->look, &wait) != 0)
		log_error("net", "cannot set a timer");
}

void
net_throttle_hold(struct net *net)
{
	struct net_connection *conn;

	while ((conn = TAILQ_FIRST(&net->to_hold)) != NULL) {
		TAILQ_REMOVE(&net->to_hold, conn, by_turn);
		TAILQ_INSERT_TAIL(&net->held, conn, by_turn);
		conn->held = true;
		lws_rx_flow_control(conn->wsi, HOLD | NOW);
		look_soon(net);
	}
}

/* Whose bucket has room gets a turn, paid for in advance, so that all of an
 * address do not come at once. */
static void
look(evutil_socket_t fd, short what, void *ctx)
{
	struct net *net = ctx;
	struct net_connection *conn, *next;

	(void)fd;
	(void)what;
	for (conn = TAILQ_FIRST(&net->held); conn != NULL; conn = next) {
		int64_t rate = 1, *due_us = bucket_of(conn, &rate);

		next = TAILQ_NEXT(conn, by_turn);
		if (due_us != NULL && pour(due_us, TURN_BYTES, rate)) {
			*due_us -= TURN_BYTES * 1000000 / rate;
			continue;
		}
		TAILQ_REMOVE(&net->held, conn, by_turn);
		conn->throttled = conn->held = false;
		conn->prepaid = TURN_BYTES;
		lws_rx_flow_control(conn->wsi, LET_GO | NOW);
	}
	net_schedule(net, true);
	if (!TAILQ_EMPTY(&net->held))
		look_soon(net);
}

int
net_throttle_open(struct net *net)
{
	TAILQ_INIT(&net->to_hold);
	TAILQ_INIT(&net->held);
	net->look = evtimer_new(net->base, look, net);
	return net->look != NULL ? 0 : ERR_NOMEM;
}
