/*
 * A real ledger process for tests: a site made by setup_create, ledger_main in
 * a fork, and this process playing both the parent and a front. Header only.
 */
#ifndef TESTS_UNIT_PROCESS_WORLD_H
#define TESTS_UNIT_PROCESS_WORLD_H

#include "appliance/ledger/process.h"
#include "appliance/ledger/wire.h"
#include "appliance/setup/setup.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/ipc/ipc.h"
#include "shared/proof/identity.h"
#include "shared/rpc/operations.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)
#ifndef ANSWER_MS
#define ANSWER_MS 5000
#endif

struct process_world {
	char dir[64];
	char state[80];
	char key[96]; /* admin's */
	struct site_file site;
	struct ledger_process_options options;
	pid_t pid;
	int control; /* the parent's end */
	int front; /* the front's end of the ipc */
	uint64_t tag;
	struct arena arena;
	uint8_t payload[1 << 20]; /* of the last message */
	uint8_t vendor_public[32], vendor_secret[64];
	uint8_t issuer_public[32], issuer_secret[64];
	struct record_list features; /* of licenses installed next */
	struct record_list borrow_classes; /* the same */
	bool pending; /* devices that enroll next wait for an admin */
};

/* A message as it came; its payload is in the world until the next one. */
struct heard {
	uint16_t kind, op;
	uint64_t conn, tag;
	uint32_t len;
};

/* --- the process --------------------------------------------------------- */

/* There under AddressSanitizer only: a fork ends by _exit and would not be
 * checked. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static inline void
process_hand_front(struct process_world *world)
{
	int pair[2];
	uint8_t index = 0;
	struct iovec bytes = { &index, 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary = { 0 };
	struct msghdr message = { .msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = sizeof(ancillary.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
	ck_assert_int_eq(sendmsg(world->control, &message, 0), 1);
	close(pair[1]);
	world->front = pair[0];
}

static inline void
process_start(struct process_world *world)
{
	int control[2];
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
	world->pid = fork();
	if (world->pid == 0) {
		struct supervisor_child child = { .control = control[1],
			.edge_fd = -1 };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(control[0]);
		log_open("ledger", LOG_ERROR, 0);
		int status = ledger_main(&world->options, &child);

		if (__lsan_do_recoverable_leak_check != NULL &&
		    __lsan_do_recoverable_leak_check() != 0)
			status = 99;
		_exit(status);
	}
	close(control[1]);
	world->control = control[0];
	/* The byte of supervisor_ready, or the end of a start that failed. */
	if (recv(world->control, &byte, 1, 0) == 1)
		process_hand_front(world);
	else
		world->front = -1;
}

/* How it ended; sent `number` before, if that is not 0. */
static inline int
process_stop(struct process_world *world, int number)
{
	int status = 0;

	if (world->front >= 0)
		close(world->front);
	if (number != 0)
		kill(world->pid, number);
	ck_assert_int_eq(waitpid(world->pid, &status, 0), world->pid);
	close(world->control);
	world->pid = 0;
	return status;
}

static inline void
process_world_init(struct process_world *world)
{
	static const char *const hosts[] = { "localhost", "127.0.0.1", NULL };

	memset(world, 0, sizeof(*world));
	log_open("test", LOG_ERROR, 0);
	snprintf(world->dir, sizeof(world->dir), "/tmp/process-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world->dir));
	snprintf(world->state, sizeof(world->state), "%s/site", world->dir);
	const struct setup_options options = { .state = world->state,
		.name = "Test",
		.hosts = hosts };

	ck_assert_int_eq(setup_create(world->key, &options), 0);
	ck_assert_int_eq(setup_read(&world->site, world->state), 0);
	world->options = (struct ledger_process_options){
		.state = world->state,
		.map_bytes = (size_t)256 << 20,
		.connections_max = 100,
	};
	crypto_sign_keypair(world->vendor_public, world->vendor_secret);
	crypto_sign_keypair(world->issuer_public, world->issuer_secret);
	process_start(world);
	ck_assert_int_ge(world->front, 0);
}

static inline void
process_world_free(struct process_world *world)
{
	char command[128];

	if (world->pid != 0)
		process_stop(world, SIGKILL);
	arena_release(&world->arena);
	snprintf(command, sizeof(command), "rm -rf '%s'", world->dir);
	ck_assert_int_eq(system(command), 0);
}

/* --- the front ----------------------------------------------------------- */

static inline void
front_write(struct process_world *world, uint16_t kind, uint16_t op,
    uint64_t conn, uint64_t tag, const struct buf *payload)
{
	struct buf out = { 0 };

	buf_add_be32(&out, payload == NULL ? 0 : (uint32_t)payload->len);
	buf_add_be16(&out, kind);
	buf_add_be16(&out, op);
	buf_add_be64(&out, conn);
	buf_add_be64(&out, tag);
	if (payload != NULL)
		buf_add(&out, payload->data, payload->len);
	for (size_t at = 0; at < out.len;) {
		ssize_t n = send(world->front, out.data + at, out.len - at,
		    MSG_NOSIGNAL);

		ck_assert(n > 0 || (n < 0 && errno == EINTR));
		at += n > 0 ? (size_t)n : 0;
	}
	buf_release(&out);
}

static inline void
front_read(struct process_world *world, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(world->front, (uint8_t *)data + at, len - at,
		    MSG_WAITALL);

		ck_assert(n > 0 || (n < 0 && errno == EINTR));
		at += n > 0 ? (size_t)n : 0;
	}
}

/* The next message, or false when none comes in time. */
static inline bool
front_hear(struct process_world *world, struct heard *heard, int wait_ms)
{
	struct pollfd fd = { .fd = world->front, .events = POLLIN };
	uint8_t header[IPC_HEADER_BYTES];

	int64_t end = clock_boottime_ms() + wait_ms;
	int n;

	/* A fuzzer's timer may come in between, here and below. */
	while ((n = poll(&fd, 1, wait_ms)) < 0 && errno == EINTR)
		wait_ms = end > clock_boottime_ms()
		    ? (int)(end - clock_boottime_ms())
		    : 0;
	if (n <= 0)
		return false;
	front_read(world, header, sizeof(header));
	heard->len = be32_read(header);
	heard->kind = be16_read(header + 4);
	heard->op = be16_read(header + 6);
	heard->conn = be64_read(header + 8);
	heard->tag = be64_read(header + 16);
	ck_assert_uint_le(heard->len, sizeof(world->payload));
	if (heard->len > 0)
		front_read(world, world->payload, heard->len);
	return true;
}

/* Wait for one kind on a connection; others are passed over. */
static inline bool
front_await(struct process_world *world, struct heard *heard, uint16_t kind,
    uint64_t conn, int wait_ms)
{
	int64_t end = clock_boottime_ms() + wait_ms;

	while (end > clock_boottime_ms())
		if (front_hear(world, heard,
			(int)(end - clock_boottime_ms())) &&
		    heard->kind == kind && heard->conn == conn)
			return true;
	return false;
}

/* 0 with the reply read into `reply`, or the ERR_* of a problem. */
static inline int
front_answer(struct process_world *world, void *reply, uint16_t op,
    uint64_t tag, struct problem *problem)
{
	const struct record *record = operation_get(op)->reply;
	struct heard heard;

	for (;;) {
		ck_assert_msg(front_hear(world, &heard, ANSWER_MS),
		    "no answer to %s", operation_get(op)->name);
		if (heard.tag == tag &&
		    (heard.kind == WIRE_REPLY || heard.kind == WIRE_PROBLEM))
			break;
	}
	ck_assert_uint_eq(heard.op, op);
	if (heard.kind == WIRE_PROBLEM) {
		struct problem room;

		if (problem == NULL)
			problem = &room;
		ck_assert_int_eq(record_read_msgpack(problem, &problem_record,
				     world->payload, heard.len - 4, NULL,
				     &world->arena, NULL),
		    0);
		return (int32_t)be32_read(world->payload + heard.len - 4);
	}
	if (reply == NULL)
		reply = arena_alloc(&world->arena, record->size + 1);
	ck_assert_ptr_nonnull(reply);
	ck_assert_int_eq(record_read_msgpack(reply, record, world->payload,
			     heard.len, NULL, &world->arena, NULL),
	    0);
	return 0;
}

/* An agent's request. */
static inline int
agent_ask(struct process_world *world, void *reply, uint64_t conn, uint16_t op,
    const void *request, struct problem *problem)
{
	struct buf payload = { 0 };
	uint64_t tag = ++world->tag;

	record_write_msgpack(&payload, operation_get(op)->request, request);
	front_write(world, WIRE_REQUEST, op, conn, tag, &payload);
	buf_release(&payload);
	return front_answer(world, reply, op, tag, problem);
}

/* An HTTP call with a key; its tag. */
static inline uint64_t
admin_call(struct process_world *world, const char *key, const char *address,
    uint16_t op, const void *request)
{
	struct wire_caller caller = {
		.key = { key, (uint32_t)strlen(key) },
	};
	struct buf payload = { 0 };
	uint64_t tag = ++world->tag;

	snprintf(caller.address, sizeof(caller.address), "%s", address);
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, operation_get(op)->request, request);
	front_write(world, WIRE_CALL, op, 7777, tag, &payload);
	buf_release(&payload);
	return tag;
}

static inline int
admin_ask(struct process_world *world, void *reply, const char *key,
    const char *address, uint16_t op, const void *request,
    struct problem *problem)
{
	uint64_t tag = admin_call(world, key, address, op, request);

	return front_answer(world, reply, op, tag, problem);
}

static inline int
admin_do(struct process_world *world, void *reply, uint16_t op,
    const void *request)
{
	return admin_ask(world, reply, world->key, "192.0.2.1", op, request,
	    NULL);
}

/* Admins are served once the start is journaled. */
static inline void
process_await_ready(struct process_world *world)
{
	const struct empty empty = { 0 };
	struct health health;

	for (int i = 0; i < 200; i++) {
		if (admin_ask(world, &health, "", "192.0.2.1", OP_READYZ,
			&empty, NULL) == 0)
			return;
		usleep(10000);
	}
	ck_abort_msg("the ledger does not get ready");
}

/* --- agents -------------------------------------------------------------- */

struct agent {
	struct identity *identity;
	uint64_t conn;
	uint64_t device;
	uint8_t exporter[32];
	uint8_t nonce[32]; /* of the last hello */
	struct hello_reply hello;
	bool pending; /* as the last proof was answered */
};

static inline void
agent_connect(struct process_world *world, struct agent *agent, uint64_t conn)
{
	struct wire_peer peer = { .address = "192.0.2.50" };
	struct buf payload = { 0 };

	agent->conn = conn;
	randombytes_buf(agent->exporter, sizeof(agent->exporter));
	memcpy(peer.exporter, agent->exporter, sizeof(peer.exporter));
	record_write_msgpack(&payload, &wire_peer_record, &peer);
	front_write(world, WIRE_OPENED, 0, conn, 0, &payload);
	buf_release(&payload);
}

static inline int
agent_hello(struct process_world *world, struct agent *agent,
    const struct journal_known *known, struct problem *problem)
{
	struct hello hello = { .protocol = PROTOCOL_VERSION,
		.software = "test",
		.device = agent->device };

	if (known != NULL)
		hello.known = *known;
	int rc = agent_ask(world, &agent->hello, agent->conn, OP_SESSION_HELLO,
	    &hello, problem);

	if (rc == 0)
		memcpy(agent->nonce, agent->hello.nonce, sizeof(agent->nonce));
	return rc;
}

static inline void
agent_proof(struct proof *proof, const struct process_world *world,
    struct agent *agent, enum proof_purpose purpose, const uint8_t *digest)
{
	struct proof_subject subject = { .purpose = purpose,
		.site = world->site.site,
		.tenant = "default",
		.device = agent->device };

	memcpy(subject.nonce, agent->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, agent->exporter, sizeof(subject.exporter));
	if (digest != NULL)
		memcpy(subject.request_digest, digest, 32);
	ck_assert_int_eq(proof_make(proof, agent->identity, &subject), 0);
}

static inline int
agent_prove(struct process_world *world, struct agent *agent,
    struct problem *problem)
{
	struct prove prove = { 0 };
	struct prove_reply reply;

	agent_proof(&prove.proof, world, agent, PROOF_LOGIN, NULL);
	int rc = agent_ask(world, &reply, agent->conn, OP_SESSION_PROVE, &prove,
	    problem);

	agent->pending = rc == 0 && reply.pending;
	return rc;
}

/* Hello and prove on a new connection. */
static inline void
agent_login(struct process_world *world, struct agent *agent, uint64_t conn)
{
	agent_connect(world, agent, conn);
	ck_assert_int_eq(agent_hello(world, agent, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(world, agent, NULL), 0);
}

/* A new device with an identity of its own, logged in. */
static inline void
agent_enroll(struct process_world *world, struct agent *agent, const char *name,
    uint64_t conn)
{
	const struct join_create create = { .uses = 1,
		.valid_s = 600,
		.approved = !world->pending };
	struct join_created created;
	struct enroll_reply reply;
	uint8_t public_key[PROOF_KEY_MAX], digest[32];
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/%s", world->dir, name);
	ck_assert_int_eq(identity_open(&agent->identity, folder, NULL), 0);
	ck_assert_int_eq(admin_do(world, &created, OP_JOIN_CREATE, &create), 0);
	struct enroll enroll = { .class_ = PROOF_SOFTWARE };
	char *join = strndup(created.token.data, created.token.len);

	enroll.join = (struct record_span){ join, created.token.len };
	enroll.public_key.data = public_key;
	enroll.public_key.len =
	    (uint32_t)identity_public(public_key, agent->identity);
	snprintf(enroll.name, sizeof(enroll.name), "%s", name);
	snprintf(enroll.host, sizeof(enroll.host), "%s.example", name);
	agent->device = 0;
	agent_connect(world, agent, conn);
	ck_assert_int_eq(agent_hello(world, agent, NULL, NULL), 0);
	crypto_hash_sha256(digest, (const uint8_t *)join, enroll.join.len);
	agent_proof(&enroll.proof, world, agent, PROOF_ENROLL, digest);
	ck_assert_int_eq(agent_ask(world, &reply, conn, OP_DEVICE_ENROLL,
			     &enroll, NULL),
	    0);
	free(join);
	agent->device = reply.device;
	ck_assert_int_eq(agent_hello(world, agent, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(world, agent, NULL), 0);
	ck_assert(agent->pending == reply.pending);
}

static inline int
agent_checkout(struct process_world *world, struct checkout_reply *reply,
    const struct agent *agent, const char *product, struct problem *problem)
{
	struct checkout checkout = { .version = "8.1.0", .count = 1 };

	randombytes_buf(checkout.request, sizeof(checkout.request));
	randombytes_buf(checkout.nonce, sizeof(checkout.nonce));
	snprintf(checkout.product, sizeof(checkout.product), "%s", product);
	snprintf(checkout.user, sizeof(checkout.user), "alice");
	return agent_ask(world, reply, agent->conn, OP_LEASE_CHECKOUT,
	    &checkout, problem);
}

/* --- a vendor ------------------------------------------------------------ */

static inline void
install_serial(struct process_world *world, const char *product,
    uint64_t serial, uint32_t seats, uint32_t ttl_s, uint32_t grace_s,
    int32_t days_left)
{
	int64_t now = clock_wall_ms();
	struct site_view site;
	const struct empty empty = { 0 };
	struct license_view view;
	struct license_issuer issuer = { .not_before = now - 10 * DAY_MS,
		.not_after = now + 10 * DAY_MS };
	struct license license = { .serial = serial,
		.features = world->features,
		.entitlement = { .total_licenses = seats,
		    .commit_qty = seats,
		    .pricing = { 100, 100, "EUR" } },
		.contract = { .start_date = (int32_t)(now / DAY_MS - 9),
		    .end_date = (int32_t)(now / DAY_MS) + days_left },
		.terms = { .ttl_s = ttl_s,
		    .grace_s = grace_s,
		    .borrow_classes = world->borrow_classes },
		.issued_at = now };
	struct buf tokens[2] = { 0 };

	ck_assert_int_eq(admin_do(world, &site, OP_SITE_SHOW, &empty), 0);
	snprintf(issuer.vendor.id, sizeof(issuer.vendor.id), "vector");
	snprintf(issuer.vendor.name, sizeof(issuer.vendor.name), "Vector");
	memcpy(issuer.key, world->issuer_public, 32);
	license.vendor = issuer.vendor;
	snprintf(license.license_id, sizeof(license.license_id), "lic-%s",
	    product);
	snprintf(license.site, sizeof(license.site), "%s", site.site);
	snprintf(license.tenant, sizeof(license.tenant), "default");
	memcpy(license.site_key, site.site_key, 32);
	snprintf(license.product.id, sizeof(license.product.id), "%s", product);
	snprintf(license.product.name, sizeof(license.product.name), "%s",
	    product);
	snprintf(license.product.version, sizeof(license.product.version),
	    ">=8.0.0");
	ck_assert_int_eq(license_document_sign(&tokens[0],
			     &license_issuer_record, &issuer, TOKEN_ISSUER,
			     world->vendor_secret),
	    0);
	ck_assert_int_eq(license_document_sign(&tokens[1], &license_record,
			     &license, TOKEN_LICENSE, world->issuer_secret),
	    0);
	struct license_install install = {
		.issuer = { tokens[0].data, (uint32_t)tokens[0].len },
		.license = { tokens[1].data, (uint32_t)tokens[1].len },
	};

	memcpy(install.vendor_key,
	    world->vendor_secret + TOKEN_SECRET_BYTES - TOKEN_PUBLIC_BYTES,
	    sizeof(install.vendor_key));

	ck_assert_int_eq(admin_do(world, &view, OP_LICENSE_INSTALL, &install),
	    0);
	buf_release(&tokens[0]);
	buf_release(&tokens[1]);
}

static inline void
install_license(struct process_world *world, const char *product,
    uint32_t seats, uint32_t ttl_s, uint32_t grace_s)
{
	install_serial(world, product, 1, seats, ttl_s, grace_s, 30);
}

#endif
