/*
 * The context, libuv inside libevent, and connections by name.
 *
 * libwebsockets runs on a libuv loop; libevent watches that loop's descriptor
 * and its next timer. After whatever might have changed either, the pump runs
 * it: callbacks of libevent that call net_* need to know nothing of it.
 */
#include "shared/net/net_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/** Turns of the libuv loop in one pump, at most. */
#define PUMP_TURNS 16
/** Turns after which a destroyed context has let go of its handles. */
#define CLOSE_TURNS 20

/* libwebsockets has one logger for the process. What it says while it starts
 * is ours to know; afterwards it mostly speaks of what strangers sent. */
static void
log_loud(int level, const char *line)
{
	(void)level;
	log_error("net", "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static void
log_quiet(int level, const char *line)
{
	(void)level;
	log_debug("net", "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

void
net_log_loudly(void)
{
	lws_set_log_level(LLL_ERR, log_loud);
}

void
net_log_quietly(void)
{
	lws_set_log_level(LLL_ERR | LLL_WARN, log_quiet);
}

/* --- connections by name ------------------------------------------------- */

static int
slots_grow(struct net *net)
{
	uint32_t n = net->n_slots == 0 ? 64 : net->n_slots * 2;
	struct net_slot *slots =
	    reallocarray(net->slots, n, sizeof(net->slots[0]));

	if (slots == NULL)
		return ERR_NOMEM;
	for (uint32_t i = net->n_slots; i < n; i++)
		slots[i] = (struct net_slot){ .generation = 1,
			.next_free = i + 1 < n ? i + 2 : net->first_free };
	net->first_free = net->n_slots + 1;
	net->slots = slots;
	net->n_slots = n;
	return 0;
}

struct net_connection *
net_connection_new(struct net *net, enum net_kind kind)
{
	struct net_connection *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->peer = calloc(1, sizeof(*conn->peer));
	if (conn->peer == NULL ||
	    (net->first_free == 0 && slots_grow(net) != 0)) {
		free(conn->peer);
		free(conn);
		return NULL;
	}
	uint32_t index = net->first_free - 1;
	struct net_slot *slot = &net->slots[index];

	net->first_free = slot->next_free;
	slot->conn = conn;
	conn->name = (net_conn)slot->generation << 32 | index;
	conn->net = net;
	conn->kind = kind;
	net->n_connections++;
	if (kind != NET_CLIENT)
		net->n_accepted++;
	return conn;
}

struct net_connection *
net_connection_get(struct net *net, net_conn name)
{
	uint32_t index = (uint32_t)name;

	if (index >= net->n_slots ||
	    net->slots[index].generation != (uint32_t)(name >> 32))
		return NULL;
	return net->slots[index].conn;
}

struct net_connection *
net_connection_of(struct lws *wsi)
{
	struct net *net = lws_context_user(lws_get_context(wsi));
	net_conn name = (net_conn)(uintptr_t)lws_get_opaque_user_data(wsi);

	if (net == NULL || name == 0)
		return NULL;
	struct net_connection *conn = net_connection_get(net, name);

	/* An attempt that failed lives on a while beside the next one. */
	return conn != NULL && conn->wsi == wsi ? conn : NULL;
}

void
net_connection_remove(struct net_connection *conn)
{
	struct net *net = conn->net;
	uint32_t index = (uint32_t)conn->name;
	struct net_slot *slot = &net->slots[index];

	if (conn->wsi != NULL)
		lws_set_opaque_user_data(conn->wsi, NULL);
	slot->conn = NULL;
	if (++slot->generation == 0)
		slot->generation = 1;
	slot->next_free = net->first_free;
	net->first_free = index + 1;
	net->n_connections--;

	net_http_free(conn);
	net_target_free(conn);
	net_input_release(conn);
	net_output_release(conn);
	net_throttle_leave(conn);
	net_silence_leave(conn);
	net_ahead_leave(conn);
	net_http_leave(conn);
	net_address_leave(conn);
	free(conn->close_reason);
	free(conn->peer);
	bool accepted = conn->kind != NET_CLIENT;

	free(conn);
	if (accepted) {
		net->n_accepted--;
		net_accept_resume(net);
	}
}

size_t
net_connections(const struct net *net)
{
	return net->n_connections;
}

void
net_kill(struct net_connection *conn)
{
	conn->closing = true;
	if (conn->wsi == NULL)
		return;
	lws_set_timeout(conn->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT,
	    LWS_TO_KILL_ASYNC);
	net_schedule(conn->net, true);
}

/* --- libuv inside libevent ----------------------------------------------- */

void
net_pump(struct net *net)
{
	int wait_ms = 0;

	for (int i = 0; i < PUMP_TURNS; i++) {
		net->running = true;
		uv_run(&net->uv, UV_RUN_NOWAIT);
		bool more = net_ahead_serve(net);

		net_throttle_hold(net);
		net->running = false;
		more = net_http_push_late(net) || more;
		wait_ms = more ? 0 : uv_backend_timeout(&net->uv);
		if (wait_ms != 0)
			break;
	}
	if (wait_ms < 0) {
		event_del(net->uv_timer);
		return;
	}
	/* 0 is a timer too: event_active here would come before every other
	 * event of the loop, again and again. */
	const struct timeval wait = { .tv_sec = wait_ms / 1000,
		.tv_usec = wait_ms % 1000 * 1000 };

	if (event_add(net->uv_timer, &wait) != 0)
		log_error("net", "cannot set a timer");
}

static void
pump(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	net_pump(ctx);
}

void
net_schedule(struct net *net, bool timers)
{
	if (net->dying)
		return;
	/* libwebsockets looks at its timers after an event only: make one. */
	if (timers)
		lws_cancel_service(net->lws);
	if (!net->running)
		event_active(net->uv_event, EV_READ, 0);
}

/* --- the context --------------------------------------------------------- */

static void
limit_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur <= NET_DESCRIPTORS_MAX)
		return;
	limit.rlim_cur = NET_DESCRIPTORS_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("net", "cannot lower the limit of descriptors");
}

static int
context_open(struct net *net)
{
	void *loops[] = { &net->uv };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
		    LWS_SERVER_OPTION_LIBUV |
		    LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		    LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.foreign_loops = loops,
		.user = net,
		.gid = -1,
		.uid = -1,
		.timeout_secs = NET_STEP_S,
		.pt_serv_buf_size = NET_READ_BYTES,
	};

	if (uv_loop_init(&net->uv) != 0)
		return ERR_SYSTEM;
	net->lws = lws_create_context(&info);
	if (net->lws == NULL) {
		uv_loop_close(&net->uv);
		return ERR_SYSTEM;
	}
	return 0;
}

static void
close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
context_close(struct net *net)
{
	lws_context_destroy(net->lws);
	for (int i = 0; i < CLOSE_TURNS; i++)
		uv_run(&net->uv, UV_RUN_NOWAIT);
	lws_context_destroy(net->lws);
	if (uv_loop_close(&net->uv) == UV_EBUSY) {
		uv_walk(&net->uv, close_handle, NULL);
		uv_run(&net->uv, UV_RUN_NOWAIT);
		uv_loop_close(&net->uv);
	}
}

struct net *
net_new(struct event_base *base)
{
	struct net *net = calloc(1, sizeof(*net));

	if (net == NULL)
		return NULL;
	net->base = base;
	limit_descriptors();
	net_log_loudly();
	int err = context_open(net);

	net_log_quietly();
	if (err != 0) {
		log_error("net",
		    "libwebsockets does not start; is its plugin "
		    "for libuv installed?");
		free(net);
		return NULL;
	}
	net_ahead_open(net);
	TAILQ_INIT(&net->late);
	net->scratch = malloc(LWS_PRE + NET_MESSAGE_MAX);
	net->uv_event = event_new(base, uv_backend_fd(&net->uv),
	    EV_READ | EV_PERSIST, pump, net);
	net->uv_timer = evtimer_new(base, pump, net);
	if (net->scratch == NULL || net->uv_event == NULL ||
	    net->uv_timer == NULL || net_watch_open(net) != 0 ||
	    net_silence_open(net) != 0 || net_throttle_open(net) != 0 ||
	    event_add(net->uv_event, NULL) != 0) {
		log_error("net", "out of memory");
		net_free(net);
		return NULL;
	}
	net_schedule(net, false);
	return net;
}

void
net_free(struct net *net)
{
	if (net == NULL)
		return;
	net->dying = true;
	for (uint32_t i = 0; i < net->n_slots; i++) {
		struct net_connection *conn = net->slots[i].conn;

		if (conn != NULL && conn->http != NULL)
			net_http_free(conn);
	}
	if (net->uv_event != NULL)
		event_free(net->uv_event);
	if (net->uv_timer != NULL)
		event_free(net->uv_timer);
	if (net->watch != NULL)
		event_free(net->watch);
	if (net->silence != NULL)
		event_free(net->silence);
	if (net->look != NULL)
		event_free(net->look);
	context_close(net);
	for (uint32_t i = 0; i < net->n_slots; i++) {
		struct net_connection *conn = net->slots[i].conn;

		if (conn != NULL) {
			conn->wsi = NULL;
			net_connection_remove(conn);
		}
	}
	net_server_free(net);
	net_client_free(net);
	net_addresses_free(net);
	free(net->slots);
	free(net->scratch);
	free(net);
}
