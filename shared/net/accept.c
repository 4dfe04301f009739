/*
 * Accepting, with libevent on a descriptor that others may share. What may
 * come in is handed to libwebsockets; what is too much from one address is
 * closed unread.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Out of descriptors: so many strangers make room. */
#define EVICT_ON_FAILURE 16
/* A newcomer's handshake takes the time of many messages, and a thousand that
 * come in one moment would have it all. So they are taken one by one, the others
 * wait in the kernel meanwhile: at once while nobody is in who says something,
 * else each after so long. */
#define NEXT_AFTER_US 2000
#define SOMETHING_MS 100

static void
describe_address(struct net_peer *peer, const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		evutil_inet_ntop(AF_INET, &in->sin_addr, peer->address,
		    sizeof(peer->address));
		peer->port = ntohs(in->sin_port);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			evutil_inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12],
			    peer->address, sizeof(peer->address));
		else
			evutil_inet_ntop(AF_INET6, &in6->sin6_addr,
			    peer->address, sizeof(peer->address));
		peer->port = ntohs(in6->sin6_port);
	}
}

int
net_adopt(struct net *net, int fd, const struct sockaddr *from,
    struct net_address *address)
{
	struct net_connection *conn = net_connection_new(net, NET_HTTP);

	if (conn == NULL) {
		log_error("net", "out of memory for a connection");
		net_address_put(net, address);
		close(fd);
		return ERR_NOMEM;
	}
	describe_address(conn->peer, from);
	if (address != NULL)
		net_address_join(conn, address);
	lws_adopt_desc_t description = {
		.vh = net->server,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
		.fd.sockfd = fd,
		.opaque = (void *)(uintptr_t)conn->name,
	};

	conn->wsi = lws_adopt_descriptor_vhost_via_info(&description);
	net_schedule(net, true);
	if (conn->wsi == NULL) {
		/* The descriptor is closed, or will be by the pump. */
		net_connection_remove(conn);
		return ERR_SYSTEM;
	}
	if (address != NULL) {
		net_throttle_join(conn);
		net_make_room(net, conn);
	}
	return 0;
}

static bool
is_full(const struct net *net)
{
	return net->n_accepted >= (size_t)net->options.connections_max;
}

static void
set_options(int fd)
{
	const int on = 1, bytes = NET_SOCKET_BYTES;

	/* Else the kernel grows them to megabytes for who does not read, or is
	 * not read from. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
		log_debug("net", "no socket options: errno=%d", errno);
}

static void
turn_away(struct net *net, int fd, const struct sockaddr *from,
    struct net_address *address)
{
	const struct linger reset = { .l_onoff = 1 };
	struct net_peer peer = { 0 };

	describe_address(&peer, from);
	log_warn("net",
	    "turned away, too many connections from one address: address=%s "
	    "open=%u strangers=%u; see [limits] address_connections and "
	    "address_rate",
	    peer.address, address != NULL ? address->n : 0,
	    address != NULL ? address->n_strangers : 0);
	net_address_put(net, address);
	/* Nothing of it stays in the kernel either. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* The listener stops, and goes on with the timer. */
static void
wait_for_next(struct net *net)
{
	bool busy = net_now_ms() - net->trusted_ms < SOMETHING_MS;
	/* 0 is a timer too: the other events of this turn come first. */
	const struct timeval wait = { .tv_usec = busy ? NEXT_AFTER_US : 0 };

	if (evtimer_add(net->listener_next, &wait) != 0) {
		log_error("net", "cannot set a timer");
		return;
	}
	evconnlistener_disable(net->listener);
}

static void
accepted(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *from, int from_len, void *ctx)
{
	struct net *net = ctx;
	struct net_address *address = net_address_get(net, from);

	(void)from_len;
	if (address == NULL || !net_address_admits(net, address)) {
		turn_away(net, fd, from, address);
		return;
	}
	set_options(fd);
	net_adopt(net, fd, from, address);
	if (is_full(net)) {
		log_warn("net", "no more connections are taken: open=%zu",
		    net->n_accepted);
		evconnlistener_disable(listener);
		return;
	}
	wait_for_next(net);
}

void
net_accept_resume(struct net *net)
{
	if (net->listener == NULL || net->stopped || net->dying ||
	    is_full(net) || event_pending(net->listener_next, EV_TIMEOUT, NULL))
		return;
	evconnlistener_enable(net->listener);
}

static void
retry_accepting(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	net_accept_resume(ctx);
}

/* Out of descriptors, most likely: the listener would fail again at once. */
static void
accept_failed(struct evconnlistener *listener, void *ctx)
{
	struct net *net = ctx;
	const struct timeval wait = { .tv_sec = 1 };

	log_error("net", "cannot accept: %s", strerror(errno));
	net_evict_oldest(net, EVICT_ON_FAILURE);
	evconnlistener_disable(listener);
	evtimer_add(net->listener_retry, &wait);
}

int
net_accept(struct net *net, int listen_fd)
{
	net->listener_retry = evtimer_new(net->base, retry_accepting, net);
	net->listener_next = evtimer_new(net->base, retry_accepting, net);
	if (net->listener_retry == NULL || net->listener_next == NULL)
		return ERR_NOMEM;
	if (evutil_make_socket_nonblocking(listen_fd) != 0)
		return ERR_SYSTEM;
	net->listener = evconnlistener_new(net->base, accepted, net,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, listen_fd);
	if (net->listener == NULL)
		return ERR_SYSTEM;
	evconnlistener_set_error_cb(net->listener, accept_failed);
	return 0;
}
