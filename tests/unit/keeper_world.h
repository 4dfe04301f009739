/*
 * A keeper in a process of its own, with this test on both of its sides: as
 * the applications on its socket and as uplink and site on its channel. The
 * site signs real headers, beats and proofs, and does what it is told to.
 */
#ifndef TESTS_UNIT_KEEPER_WORLD_H
#define TESTS_UNIT_KEEPER_WORLD_H

#include "agent/keeper/files.h"
#include "agent/keeper/keeper.h"
#include "agent/uplink/wire.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/ipc/ipc.h"
#include "shared/proof/identity.h"
#include "shared/rpc/local.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"
#include "tests/unit/suite.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORLD_BATCHES 64
#define WORLD_PATIENCE_MS 8000
#define WORLD_SITE "site-test"

struct world {
	char folder[64];
	char socket[96];
	int listen_fd;
	pid_t keeper;
	int channel; /* to the keeper: we are the uplink */
	uint64_t attempt;
	bool connected;
	uint8_t site_public[32], site_secret[64];

	/* the site's journal: one row a batch */
	uint64_t batches;
	uint8_t heads[WORLD_BATCHES][32];
	uint8_t leaves[WORLD_BATCHES][32];
	struct journal_header header; /* newest */
	struct buf token;

	/* what the site does */
	int refuse_checkouts; /* so many times */
	bool faulty; /* because it cannot write */
	struct queue_place queue; /* with a place: for who may wait */
	bool place_for_all; /* also for who may not */
	bool no_evidence; /* grants that show nothing */
	bool silent; /* takes questions and says nothing */
	bool forge; /* signs with another key */
	bool wrong_license;
	uint64_t refuse_lease; /* attach and renew refuse it */
	const char *refuse_code; /* NULL: gone */
	uint64_t stray; /* lease.list shows it */
	bool offline; /* refuses connections */
	bool unreachable; /* lets attempts to connect hang */
	enum local_cause cause; /* of the end of a connection */
	int refuse_hello; /* with this error */
	int refuse_proof;
	int64_t clock_behind_ms; /* its clock, of ours */
	bool pending; /* the device waits for an admin */
	bool borrows; /* it has borrowed, or owes a proof */
	/* Of tests that know more operations; false: nor this one. */
	bool (*answer)(struct world *world, uint32_t op, uint64_t tag,
	    void *request);

	/* what the site was asked */
	unsigned int asked[OPERATION_COUNT];
	struct checkout last_checkout;
	uint8_t first_request[REQUEST_BYTES];
	struct lease_return last_return;
	uint8_t last_cancel[REQUEST_BYTES];
	uint64_t last_attached;
	struct hello last_hello;
	uint32_t last_renewed; /* leases in the round */
	int refused_proofs;
	uint8_t device_key[PROOF_KEY_MAX];
	uint32_t device_key_len;
	uint8_t nonce[32];
	char join[4096];

	/* application */
	int app;
	char in[3 * LOCAL_LINE_MAX];
	size_t in_len;
	uint64_t next_id;
};

/* --- the site's journal --------------------------------------------------- */

static inline void
world_commit(struct world *world, const uint8_t *row, size_t len)
{
	struct journal_header *header = &world->header;
	uint64_t n = world->batches;

	ck_assert_uint_lt(n, WORLD_BATCHES);
	*header = (struct journal_header){
		.site = WORLD_SITE,
		.tenant = "default",
		.batch = n,
		.first_row = n + 1,
		.rows = 1,
		.time = 1700000000000 + (int64_t)n,
	};
	journal_row_leaf(header->root, "default", n + 1, row, len);
	merkle_root(header->history, &merkle_blake2b, world->leaves[0], n);
	buf_clear(&world->token);
	uint8_t other_public[32], other[64];

	crypto_sign_keypair(other_public, other);
	ck_assert_int_eq(journal_header_sign(&world->token, world->heads[n],
			     header, world->forge ? other : world->site_secret),
	    0);
	journal_head_leaf(world->leaves[n], world->heads[n]);
	world->batches = n + 1;
}

static inline int
world_node(uint8_t out[32], void *ctx, unsigned int level, uint64_t index)
{
	const struct world *world = ctx;

	merkle_root(out, &merkle_blake2b, world->leaves[index << level],
	    (size_t)1 << level);
	return 0;
}

/* The journal put back to its first `n` batches, then going on elsewhere. */
static inline void
world_roll_back(struct world *world, uint64_t n)
{
	world->batches = n;
	world_commit(world, (const uint8_t *)"other", 5);
}

/* --- the channel ---------------------------------------------------------- */

static inline void
world_tell(struct world *world, enum uplink_kind kind, uint32_t op,
    uint64_t tag, const void *payload, size_t len)
{
	struct buf out = { 0 };

	buf_add_be32(&out, (uint32_t)len);
	buf_add_be16(&out, (uint16_t)kind);
	buf_add_be16(&out, (uint16_t)op);
	buf_add_be64(&out, world->attempt);
	buf_add_be64(&out, tag);
	buf_add(&out, payload, len);
	ck_assert_int_eq(send(world->channel, out.data, out.len, MSG_NOSIGNAL),
	    (ssize_t)out.len);
	buf_release(&out);
}

static inline void
world_tell_record(struct world *world, enum uplink_kind kind, uint32_t op,
    uint64_t tag, const struct record *record, const void *value)
{
	struct record_error error = { 0 };
	struct buf out = { 0 };

	ck_assert_msg(record_check(record, value, &error) == 0, "%s: %s %s",
	    record->name, error.field, error.reason);
	record_write_msgpack(&out, record, value);
	world_tell(world, kind, op, tag, out.data, out.len);
	buf_release(&out);
}

static inline void
world_reply(struct world *world, uint32_t op, uint64_t tag, const void *reply)
{
	world_tell_record(world, UPLINK_REPLY, op, tag,
	    operation_get(op)->reply, reply);
}

static inline void
world_refuse(struct world *world, uint32_t op, uint64_t tag, int err)
{
	struct problem problem;
	struct buf out = { 0 };

	problem_set(&problem, err, "do this", NULL);
	if (err == ERR_BAD_REQUEST)
		text_copy(problem.field, sizeof(problem.field), "protocol");
	record_write_msgpack(&out, &problem_record, &problem);
	buf_add_be32(&out, (uint32_t)err);
	world_tell(world, UPLINK_PROBLEM, op, tag, out.data, out.len);
	buf_release(&out);
}

static inline void
world_disconnect(struct world *world)
{
	world->connected = false;
	world_tell(world, UPLINK_CLOSED, world->cause, 0, "the line is cut",
	    15);
}

/* The site ends it, as the uplink understands its code. */
static inline void
world_turn_away(struct world *world, enum local_cause cause, const char *words)
{
	world->connected = false;
	world_tell(world, UPLINK_CLOSED, (uint16_t)cause, 0, words,
	    strlen(words));
}

static inline void
world_notify(struct world *world, enum operation_id op, const void *notice)
{
	world_tell_record(world, UPLINK_NOTICE, op, 0,
	    operation_get(op)->request, notice);
}

/* To the question last asked. */
static inline void
world_place(struct world *world, uint32_t place, uint32_t length,
    const char *code)
{
	struct lease_waiting waiting = { .queue = { place, length, 0 } };

	memcpy(waiting.request, world->last_checkout.request, REQUEST_BYTES);
	text_copy(waiting.code, sizeof(waiting.code), code);
	world_notify(world, OP_LEASE_WAITING, &waiting);
}

static inline void
world_offer(struct world *world, const uint8_t request[REQUEST_BYTES])
{
	struct lease_offered offered = { .claim_s = 15 };

	memcpy(offered.request, request, REQUEST_BYTES);
	world_notify(world, OP_LEASE_OFFERED, &offered);
}

/* The answers are long: a file of their own. */
#include "tests/unit/keeper_site.h"

static inline void
world_receive(void *out, struct world *world, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n =
		    recv(world->channel, (char *)out + got, len - got, 0);

		ck_assert_msg(n > 0, "the keeper ended");
		got += (size_t)n;
	}
}

/* One message of the keeper. */
static inline void
world_serve(struct world *world)
{
	uint8_t header[IPC_HEADER_BYTES];
	struct arena arena = { 0 };

	world_receive(header, world, sizeof(header));
	uint32_t len = be32_read(header);
	uint16_t kind = be16_read(header + 4), op = be16_read(header + 6);
	uint64_t tag = be64_read(header + 16);
	uint8_t *payload = malloc(len + 1);

	world_receive(payload, world, len);
	if (kind == UPLINK_CONNECT) {
		struct uplink_peer peer = { .ca_pem = { "PEM", 3 } };

		world->attempt = be64_read(header + 8);
		memset(peer.exporter, 9, 32);
		world->connected = !world->offline && !world->unreachable;
		if (world->unreachable)
			; /* and says nothing */
		else if (world->offline)
			world_tell(world, UPLINK_CLOSED, world->cause, 0,
			    "refused", 7);
		else
			world_tell_record(world, UPLINK_OPENED, 0, 0,
			    &uplink_peer_record, &peer);
	} else if (kind == UPLINK_HANGUP) {
		world_disconnect(world);
	} else {
		const struct record *record = operation_get(op)->request;
		void *request = arena_alloc(&arena, record->size);

		ck_assert_int_eq(kind, UPLINK_CALL);
		ck_assert_int_eq(record_read_msgpack(request, record, payload,
				     len, NULL, &arena, NULL),
		    0);
		world_answer(world, op, tag, request);
	}
	free(payload);
	arena_release(&arena);
}

/* Serve the site until something was asked often enough. */
static inline void
world_serve_until(struct world *world, uint32_t op, unsigned int times)
{
	while (world->asked[op] < times) {
		struct pollfd poll_fd = { world->channel, POLLIN, 0 };

		ck_assert_msg(poll(&poll_fd, 1, WORLD_PATIENCE_MS) == 1,
		    "%s was not asked %u times", operation_get(op)->name,
		    times);
		world_serve(world);
	}
}

/* Nothing more is asked for so long. */
static inline void
world_serve_for(struct world *world, int ms)
{
	struct pollfd poll_fd = { world->channel, POLLIN, 0 };

	while (poll(&poll_fd, 1, ms) == 1)
		world_serve(world);
}

/* --- the application ------------------------------------------------------ */

static inline void
world_connect_app(struct world *world)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, world->socket);
	if (world->app >= 0)
		close(world->app);
	world->in_len = 0;
	world->app = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(world->app, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
}

static inline uint64_t
world_ask(struct world *world, enum local_id op, const void *request)
{
	struct buf line = { 0 };
	uint64_t id = world->next_id++;

	rpc_write_request(&line, id, local_get(op)->name,
	    local_get(op)->request, request);
	buf_add_byte(&line, '\n');
	ck_assert_int_eq(send(world->app, line.data, line.len, MSG_NOSIGNAL),
	    (ssize_t)line.len);
	buf_release(&line);
	return id;
}

/* The next line for the application, while the site is served. Taken apart;
 * valid until the next call. */
static inline void
world_line(struct rpc_envelope *envelope, struct world *world)
{
	static char line[LOCAL_LINE_MAX + 1];
	char *end;

	while ((end = memchr(world->in, '\n', world->in_len)) == NULL) {
		struct pollfd fds[2] = { { world->app, POLLIN, 0 },
			{ world->channel, POLLIN, 0 } };

		ck_assert_msg(poll(fds, 2, WORLD_PATIENCE_MS) > 0,
		    "no answer for the application");
		if (fds[1].revents != 0)
			world_serve(world);
		if (fds[0].revents == 0)
			continue;
		ssize_t n = recv(world->app, world->in + world->in_len,
		    sizeof(world->in) - world->in_len, 0);

		ck_assert_msg(n > 0, "the keeper hung up");
		world->in_len += (size_t)n;
	}
	size_t len = (size_t)(end - world->in);

	ck_assert_uint_le(len, LOCAL_LINE_MAX);
	memcpy(line, world->in, len);
	world->in_len -= len + 1;
	memmove(world->in, end + 1, world->in_len);
	ck_assert_int_eq(rpc_read(envelope, line, len, NULL), 0);
}

/* The answer to the question last asked: 0 and the reply, or an ERR_*. */
static inline int
world_take(void *reply, struct world *world, enum local_id op,
    struct arena *arena, struct problem *problem)
{
	struct rpc_envelope envelope;

	world_line(&envelope, world);
	ck_assert_uint_eq(envelope.id, world->next_id - 1);
	if (envelope.error != NULL)
		return rpc_read_error(problem, envelope.error,
		    envelope.error_len);
	ck_assert_int_eq(record_read_json(reply, local_get(op)->reply,
			     envelope.result, envelope.result_len, arena, NULL),
	    0);
	return 0;
}

/* A notice to the application, and nothing else. */
static inline void
world_notice(void *notice, struct world *world, enum local_id id)
{
	struct rpc_envelope envelope;

	world_line(&envelope, world);
	ck_assert_uint_eq(envelope.id, 0);
	ck_assert_ptr_nonnull(envelope.method);
	ck_assert_ptr_eq(local_by_name(envelope.method, envelope.method_len),
	    local_get(id));
	ck_assert_int_eq(record_read_json(notice, local_get(id)->request,
			     envelope.params, envelope.params_len, NULL, NULL),
	    0);
}

static inline int
world_call(void *reply, struct world *world, enum local_id op,
    const void *request, struct arena *arena, struct problem *problem)
{
	world_ask(world, op, request);
	return world_take(reply, world, op, arena, problem);
}

/* --- the keeper ----------------------------------------------------------- */

static inline void
world_on_terminate(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(ctx);
}

static inline void
world_run_keeper(const struct world *world, int channel)
{
	struct keeper_options options = { .state = world->folder,
		.listen_fd = world->listen_fd,
		.admin_gid = (gid_t)-1 };
	struct event_base *base = event_base_new();
	struct keeper *keeper;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	if (base == NULL || keeper_new(&keeper, base, &options) != 0 ||
	    keeper_add_uplink(keeper, channel) != 0)
		_exit(1);
	struct event *terminate =
	    evsignal_new(base, SIGTERM, world_on_terminate, base);

	event_add(terminate, NULL);
	event_base_dispatch(base);
	event_free(terminate);
	keeper_free(keeper);
	event_base_free(base);
	exit(0); /* a sanitizer looks for leaks now */
}

static inline void
world_start_keeper(struct world *world)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	world->keeper = fork();
	if (world->keeper == 0) {
		close(pair[0]);
		world_run_keeper(world, pair[1]);
	}
	close(pair[1]);
	world->channel = pair[0];
}

static inline void
world_kill_keeper(struct world *world)
{
	kill(world->keeper, SIGKILL);
	waitpid(world->keeper, NULL, 0);
	close(world->channel);
	world->connected = false;
}

/* As if it had been enrolled before. */
static inline void
world_enrolled(struct world *world)
{
	struct enrolment site = { .url = "https://site:7443",
		.host = "site",
		.port = 7443,
		.site = WORLD_SITE,
		.tenant = "default",
		.device = 3,
		.name = "ws" };
	struct identity *identity;
	struct files files;
	char path[128];

	memcpy(site.site_key, world->site_public, 32);
	ck_assert_int_eq(files_open(&files, world->folder), 0);
	ck_assert_int_eq(files_write_enrolment(&files, &site, "PEM"), 0);
	snprintf(path, sizeof(path), "%s/identity", world->folder);
	ck_assert_int_eq(identity_open(&identity, path, NULL), 0);
	world->device_key_len =
	    (uint32_t)identity_public(world->device_key, identity);
	identity_close(identity);
}

static inline void
world_open(struct world *world)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(world, 0, sizeof(*world));
	world->app = -1;
	world->next_id = 1;
	strcpy(world->folder, "/tmp/check_keeper.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world->folder));
	snprintf(world->socket, sizeof(world->socket), "%s/a.sock",
	    world->folder);
	strcpy(address.sun_path, world->socket);
	world->listen_fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(world->listen_fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_eq(listen(world->listen_fd, 16), 0);
	crypto_sign_keypair(world->site_public, world->site_secret);
	world_commit(world, (const uint8_t *)"genesis", 7);
}

static inline void
world_close(struct world *world)
{
	int state = -1;

	kill(world->keeper, SIGTERM);
	waitpid(world->keeper, &state, 0);
	ck_assert_msg(state == 0, "the keeper's status is %d", state);
	close(world->channel);
	if (world->app >= 0)
		close(world->app);
	close(world->listen_fd);
	buf_release(&world->token);
	test_remove(world->folder);
}

#endif
