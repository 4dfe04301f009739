/*
 * Who is connected from where, so that no address takes what is meant for all.
 *
 * A connection is a stranger until the user says that it is trusted. Strangers
 * make room, oldest first, for whoever comes after them; trusted connections
 * never do. An IPv6 host commonly owns a /64, so that counts as one address.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* New connections of one address that come at once: so many seconds' worth. */
#define BURST_S 5
/* Places that only connections still to prove themselves pass through: below
 * it strangers begin to make room, so that the listener need not stop. */
#define RESERVE_MAX 64

int64_t
net_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
compare(const void *a, const void *b)
{
	const struct net_address *left = a, *right = b;

	return memcmp(left->key, right->key, sizeof(left->key));
}

static void
make_key(uint8_t key[16], const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	memset(key, 0, 16);
	if (address->sa_family == AF_INET) {
		key[10] = key[11] = 0xff;
		memcpy(key + 12, &in->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		bool v4 = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

		memcpy(key, &in6->sin6_addr, v4 ? 16 : 8);
	}
}

struct net_address *
net_address_get(struct net *net, const struct sockaddr *from)
{
	struct net_address *address = calloc(1, sizeof(*address));

	if (address == NULL)
		return NULL;
	make_key(address->key, from);
	struct net_address **found = tsearch(address, &net->addresses, compare);

	if (found == NULL || *found != address)
		free(address);
	if (found == NULL)
		return NULL;
	address = *found;
	if (address->resting)
		TAILQ_REMOVE(&net->resting, address, rest);
	else if (address->refs == 0)
		TAILQ_INIT(&address->strangers);
	address->resting = false;
	address->refs++;
	return address;
}

/* Until when its buckets say something of it. */
static bool
is_remembered(const struct net_address *address, int64_t now_ms)
{
	return address->due_us > now_ms * 1000 ||
	    address->read_due_us > now_ms * 1000;
}

void
net_address_put(struct net *net, struct net_address *address)
{
	if (address == NULL || --address->refs > 0)
		return;
	if (is_remembered(address, net_now_ms()) && !net->dying) {
		address->resting = true;
		TAILQ_INSERT_TAIL(&net->resting, address, rest);
		net_watch(net);
		return;
	}
	tdelete(address, &net->addresses, compare);
	free(address);
}

static void
wake_resting(struct net *net, int64_t now_ms)
{
	struct net_address *address = TAILQ_FIRST(&net->resting);

	/* Not in order: a later one may be due before. It waits a while. */
	while (address != NULL && !is_remembered(address, now_ms)) {
		TAILQ_REMOVE(&net->resting, address, rest);
		tdelete(address, &net->addresses, compare);
		free(address);
		address = TAILQ_FIRST(&net->resting);
	}
}

void
net_addresses_free(struct net *net)
{
	tdestroy(net->addresses, free);
	net->addresses = NULL;
	TAILQ_INIT(&net->resting);
}

/* --- strangers ----------------------------------------------------------- */

static void
forget_stranger(struct net_connection *conn)
{
	struct net *net = conn->net;
	struct net_address *address = conn->address;

	if (!conn->stranger)
		return;
	conn->stranger = false;
	TAILQ_REMOVE(&net->strangers, conn, by_age);
	TAILQ_REMOVE(&address->strangers, conn, by_address);
	net->n_strangers--;
	if (--address->n_strangers == 0)
		net->n_strange_addresses--;
}

void
net_address_join(struct net_connection *conn, struct net_address *address)
{
	struct net *net = conn->net;

	conn->address = address;
	conn->counted = true;
	conn->stranger = true;
	address->n++;
	TAILQ_INSERT_TAIL(&net->strangers, conn, by_age);
	TAILQ_INSERT_TAIL(&address->strangers, conn, by_address);
	net->n_strangers++;
	if (address->n_strangers++ == 0)
		net->n_strange_addresses++;
}

/* It counts no longer; its bytes do until it is gone. */
static void
leave(struct net_connection *conn)
{
	forget_stranger(conn);
	if (conn->counted)
		conn->address->n--;
	conn->counted = false;
}

void
net_address_leave(struct net_connection *conn)
{
	struct net_address *address = conn->address;

	if (address == NULL)
		return;
	leave(conn);
	conn->address = NULL;
	net_address_put(conn->net, address);
}

void
net_trust(struct net *net, net_conn name)
{
	struct net_connection *conn = net_connection_get(net, name);

	if (conn != NULL)
		forget_stranger(conn);
}

static void
evict(struct net_connection *conn)
{
	log_info("net", "ended a stranger to make room: address=%s open=%zu",
	    conn->peer->address, conn->net->n_accepted);
	leave(conn);
	net_kill(conn);
}

/* An address that has more than its share pays for itself. */
static struct net_connection *
pick_victim(const struct net *net, const struct net_address *address)
{
	if (address->n_strangers * net->n_strange_addresses > net->n_strangers)
		return TAILQ_FIRST(&address->strangers);
	return TAILQ_FIRST(&net->strangers);
}

/* --- accepting ----------------------------------------------------------- */

/* GCRA: due_us says when the bucket of a burst is full again. */
static bool
comes_too_fast(struct net_address *address,
    const struct net_server_options *options)
{
	int64_t rate = options->address_rate;

	if (rate <= 0)
		return false;
	int64_t now_us = net_now_ms() * 1000, cost_us = 1000000 / rate;
	int64_t due_us = address->due_us > now_us ? address->due_us : now_us;

	if (due_us - now_us > BURST_S * 1000000)
		return true;
	address->due_us = due_us + cost_us;
	return false;
}

bool
net_address_admits(struct net *net, struct net_address *address)
{
	const struct net_server_options *options = &net->options;
	uint32_t most = (uint32_t)options->address_connections_max;
	uint32_t most_strangers = (uint32_t)options->address_strangers_max;

	if (comes_too_fast(address, options))
		return false;
	if (address->n_strangers > 0 &&
	    (address->n_strangers >= most_strangers || address->n >= most))
		evict(TAILQ_FIRST(&address->strangers));
	return address->n < most;
}

void
net_make_room(struct net *net, const struct net_connection *newcomer)
{
	size_t most = (size_t)net->options.connections_max;
	size_t reserve = most / 8 < RESERVE_MAX ? most / 8 : RESERVE_MAX;
	struct net_connection *victim = pick_victim(net, newcomer->address);

	/* Half of all places at most are for those who say nothing. */
	if (victim != newcomer &&
	    (net->n_accepted + reserve > most || net->n_strangers > most / 2))
		evict(victim);
}

void
net_evict_oldest(struct net *net, int n)
{
	while (n-- > 0 && !TAILQ_EMPTY(&net->strangers))
		evict(TAILQ_FIRST(&net->strangers));
}

/* --- bytes in memory ----------------------------------------------------- */

bool
net_input_fits(const struct net_connection *conn, size_t more)
{
	return conn->net->input_bytes + more <= NET_INPUT_TOTAL_MAX &&
	    (conn->address == NULL ||
		conn->address->input_bytes + more <= NET_INPUT_ADDRESS_MAX);
}

void
net_input_count(struct net_connection *conn, size_t more, size_t less)
{
	conn->net->input_bytes += more - less;
	if (conn->address != NULL)
		conn->address->input_bytes += more - less;
}

bool
net_output_fits(const struct net_connection *conn, size_t more)
{
	return conn->net->output_bytes + more <= NET_OUTPUT_TOTAL_MAX &&
	    (conn->address == NULL ||
		conn->address->output_bytes + more <= NET_OUTPUT_ADDRESS_MAX);
}

void
net_output_count(struct net_connection *conn, size_t more, size_t less)
{
	conn->net->output_bytes += more - less;
	if (conn->address != NULL)
		conn->address->output_bytes += more - less;
}

void
net_writing(struct net_connection *conn, bool waits)
{
	struct net *net = conn->net;

	if (waits && conn->writing_since_ms == 0)
		net->n_writing++;
	else if (!waits && conn->writing_since_ms != 0)
		net->n_writing--;
	conn->writing_since_ms = waits ? net_now_ms() : 0;
	if (waits)
		net_watch(net);
}

/* --- watching, once a second while there is something to watch ------------ */

static void
drop_stalled(struct net *net, int64_t now_ms)
{
	int64_t most_ms =
	    net->options.stall_ms > 0 ? net->options.stall_ms : NET_STALL_MS;

	for (uint32_t i = 0; i < net->n_slots; i++) {
		struct net_connection *conn = net->slots[i].conn;

		if (conn == NULL || conn->writing_since_ms == 0 ||
		    conn->closing || now_ms - conn->writing_since_ms < most_ms)
			continue;
		log_info("net",
		    "dropped a reader that stands still: address=%s queued=%zu",
		    conn->peer->address, conn->queued_bytes);
		net_output_release(conn);
		net_kill(conn);
	}
}

static void
watch(evutil_socket_t fd, short what, void *ctx)
{
	struct net *net = ctx;
	int64_t now_ms = net_now_ms();

	(void)fd;
	(void)what;
	wake_resting(net, now_ms);
	if (net->n_writing > 0)
		drop_stalled(net, now_ms);
	if (net->n_writing > 0 || !TAILQ_EMPTY(&net->resting))
		net_watch(net);
}

void
net_watch(struct net *net)
{
	const struct timeval second = { .tv_sec = 1 };

	if (net->dying || event_pending(net->watch, EV_TIMEOUT, NULL))
		return;
	if (event_add(net->watch, &second) != 0)
		log_error("net", "cannot set a timer");
}

int
net_watch_open(struct net *net)
{
	TAILQ_INIT(&net->strangers);
	TAILQ_INIT(&net->resting);
	net->watch = evtimer_new(net->base, watch, net);
	return net->watch != NULL ? 0 : ERR_NOMEM;
}
