/*
 * The front's life: from what the parent handed over to a filtered process,
 * the two channels (network and ledger) joined, and an orderly end.
 */
#include "appliance/front/inside.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"

#include <event2/event.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STATUS_CONFIG 2

/* --- the end ------------------------------------------------------------- */

static void
set_farewell(struct front *front, int wait_ms)
{
	const struct timeval wait = { .tv_sec = wait_ms / 1000,
		.tv_usec = wait_ms % 1000 * 1000 };

	if (event_add(front->on_farewell, &wait) != 0)
		event_base_loopbreak(front->base);
}

/* Answers that will not come are told so, agents are sent away, and then all
 * waits for the connections to end, but not for long. */
void
front_leave(struct front *front, uint16_t code, const char *reason)
{
	struct buf list = { 0 };
	struct problem problem;
	size_t n;

	if (front->leaving)
		return;
	event_del(front->on_look);
	front->leaving = true;
	front->draining = true;
	net_stop_accepting(front->net);
	struct peer **peers = peer_list(&list, front, &n);

	problem_set(&problem, ERR_UNAVAILABLE,
	    "leases stay; try again in a moment", "%s", reason);
	for (size_t i = 0; i < n; i++) {
		if (peers[i]->is_call)
			call_refuse(front, peers[i], ERR_UNAVAILABLE, &problem);
		else
			net_close(front->net, peers[i]->conn, code, reason);
	}
	buf_release(&list);
	set_farewell(front, 20);
}

static void
drain(struct front *front)
{
	const struct operation *op = operation_get(OP_SERVER_DRAINING);
	struct buf list = { 0 };
	size_t n;

	log_info("front", "stopping: connections=%zu waiting=%zu",
	    net_connections(front->net), front->n_waiting);
	front->draining = true;
	net_stop_accepting(front->net);
	struct peer **peers = peer_list(&list, front, &n);
	size_t fronts =
	    front->options->fronts > 1 ? (size_t)front->options->fronts : 1;
	const struct draining notice = {
		.spread_ms = wire_spread_ms(n * fronts),
	};

	for (size_t i = 0; i < n; i++)
		if (!peers[i]->is_call)
			session_notice(front, peers[i]->conn, op, &notice);
	buf_release(&list);
	if (front->n_waiting == 0)
		front_leave(front, CLOSE_GOING_AWAY, "the site is stopping");
	else
		set_farewell(front, DRAIN_MS);
}

int64_t
front_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
on_look(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	session_look(ctx);
	call_look(ctx);
	stream_look(ctx);
}

static void
on_farewell(evutil_socket_t fd, short what, void *ctx)
{
	struct front *front = ctx;

	(void)fd;
	(void)what;
	if (!front->leaving) {
		front_leave(front, CLOSE_GOING_AWAY, "the site is stopping");
		front->leave_by_ms = front_now_ms() + FAREWELL_MS;
		return;
	}
	if (front->leave_by_ms == 0)
		front->leave_by_ms = front_now_ms() + FAREWELL_MS;
	/* HTTP connections kept alive have nothing to wait for. */
	if (front->n_peers == 0 || front_now_ms() >= front->leave_by_ms)
		event_base_loopbreak(front->base);
	else
		set_farewell(front, 20);
}

static void
ledger_closed(void *ctx)
{
	struct front *front = ctx;

	if (!front->draining)
		log_error("front", "the ledger is gone");
	front->status = front->draining ? 0 : 1;
	front->state = LEDGER_UNAVAILABLE;
	front->ledger_gone = true;
	front_leave(front, CLOSE_RESTART, "the site is restarting");
}

/* --- signals ------------------------------------------------------------- */

static void
on_term(evutil_socket_t signal, short what, void *ctx)
{
	struct front *front = ctx;

	(void)signal;
	(void)what;
	if (!front->draining)
		drain(front);
}

static void
on_hup(evutil_socket_t signal, short what, void *ctx)
{
	struct front *front = ctx;

	(void)signal;
	(void)what;
	/* The parent has read the files: a front cannot. */
	if (net_reload(front->net, front->options->cert_pem,
		front->options->key_pem) == 0)
		log_info("front", "new connections get the new certificate");
}

/* The parent says nothing; its end of the pair closes with it. */
static void
on_control(evutil_socket_t control, short what, void *ctx)
{
	struct front *front = ctx;
	char byte;

	(void)what;
	if (recv((int)control, &byte, 1, MSG_DONTWAIT) != 0)
		return;
	event_del(front->on_control);
	log_error("front", "the parent is gone");
	front->status = 1;
	front_leave(front, CLOSE_RESTART, "the site is restarting");
}

/* --- the beginning ------------------------------------------------------- */

static int
open_events(struct front *front, const struct supervisor_child *child)
{
	const struct timeval second = { .tv_sec = 1 };

	front->base = event_base_new();
	if (front->base == NULL)
		return ERR_NOMEM;
	front->on_term = evsignal_new(front->base, SIGTERM, on_term, front);
	front->on_hup = evsignal_new(front->base, SIGHUP, on_hup, front);
	front->on_control = event_new(front->base, child->control,
	    EV_READ | EV_PERSIST, on_control, front);
	front->on_farewell = evtimer_new(front->base, on_farewell, front);
	front->on_look = event_new(front->base, -1, EV_PERSIST, on_look, front);
	if (front->on_term == NULL || front->on_hup == NULL ||
	    front->on_control == NULL || front->on_farewell == NULL ||
	    front->on_look == NULL || event_add(front->on_term, NULL) != 0 ||
	    event_add(front->on_hup, NULL) != 0 ||
	    event_add(front->on_control, NULL) != 0 ||
	    event_add(front->on_look, &second) != 0)
		return ERR_NOMEM;
	return 0;
}

static int
open_ledger(struct front *front, const struct supervisor_child *child)
{
	static const struct ipc_callbacks callbacks = {
		.message = ledger_message,
		.closed = ledger_closed,
	};

	front->ledger = ipc_new(front->base, child->edge_fd, &callbacks, front);
	return front->ledger != NULL ? 0 : ERR_NOMEM;
}

static int
open_network(struct front *front)
{
	static const struct net_server_callbacks callbacks = {
		.ws_open = session_opened,
		.ws_message = session_message,
		.ws_close = session_closed,
		.http = call_request,
		.http_abort = call_aborted,
		.http_sent = stream_sent,
	};
	const struct net_server_options options = {
		.client_ca_pem = front->options->client_ca_pem,
		.client_any = front->options->client_any,
		.cert_pem = front->options->cert_pem,
		.key_pem = front->options->key_pem,
		.ws_path = "/agent/v1",
		.ws_protocol = "leasehold.v1",
		.server_name = "leasehold",
		.connections_max = front->options->connections_max,
		.address_connections_max =
		    front->options->address_connections_max,
		.address_strangers_max = front->options->address_strangers_max,
		.address_rate = front->options->address_rate,
	};
	/* Taken, as net_serve takes it: the parent keeps its own. */
	int listen_fd = front->options->listen_fd;

	front->net = net_new(front->base);
	if (front->net == NULL)
		return ERR_SYSTEM;
	return net_serve(front->net, listen_fd, &options, &callbacks, front);
}

static int
close_in(const struct front *front)
{
	const struct front_options *options = front->options;

	if (options->drop &&
	    (sandbox_empty_root(options->empty_root) != 0 ||
		sandbox_drop_user(options->uid, options->gid, 0) != 0))
		return ERR_SYSTEM;
	return sandbox_no_new_privileges();
}

static int
start(struct front *front, const struct supervisor_child *child)
{
	int err = open_events(front, child);

	operations_write_openapi(&front->openapi, LEASEHOLD_VERSION);
	if (front->openapi.failed)
		err = ERR_NOMEM;
	if (err == 0)
		err = open_ledger(front, child);
	else
		close(child->edge_fd);
	if (err == 0)
		err = open_network(front);
	if (err == 0)
		err = close_in(front);
	if (err == 0)
		err = supervisor_ready(child);
	/* Nothing has been read from the network so far. */
	if (err == 0)
		err = sandbox_enter(SANDBOX_FRONT);
	return err;
}

static void
stop(struct front *front)
{
	if (front->ledger != NULL && !front->ledger_gone)
		ipc_flush(front->ledger, 100);
	net_free(front->net);
	ipc_free(front->ledger);
	peer_free_all(front);
	struct event **events[] = { &front->on_term, &front->on_hup,
		&front->on_control, &front->on_farewell, &front->on_look };

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (*events[i] != NULL)
			event_free(*events[i]);
	if (front->base != NULL)
		event_base_free(front->base);
	buf_release(&front->openapi);
	buf_release(&front->text);
	buf_release(&front->payload);
	arena_release(&front->arena);
}

int
front_main(void *ctx, const struct supervisor_child *child)
{
	struct front front = { .options = ctx };

	front.arena.max_bytes = REQUEST_ARENA_MAX;
	int err = start(&front, child);

	if (err == 0)
		event_base_dispatch(front.base);
	else
		log_error("front", "cannot start: %s", err_str(err));
	stop(&front);
	if (err == ERR_BAD_REQUEST)
		return STATUS_CONFIG;
	return err != 0 ? 1 : front.status;
}
