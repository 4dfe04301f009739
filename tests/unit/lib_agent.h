/*
 * An agent and its site in a thread of the test: the real protocol on a real
 * socket, answers from a true chain, and every vice that a test asks for.
 */
#ifndef TESTS_UNIT_LIB_AGENT_H
#define TESTS_UNIT_LIB_AGENT_H

#include "shared/rpc/local.h"
#include "shared/rpc/rpc.h"
#include "tests/unit/lib_chain.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define AGENT_CONNECTIONS 8

enum agent_vice {
	VICE_NONE,
	VICE_SILENT, /* does it, but says nothing */
	VICE_HANGS_UP, /* does it, then closes the connection */
	VICE_GARBAGE, /* answers with what is no JSON */
	VICE_WRONG_RECORD, /* JSON-RPC, but not the record of the reply */
	VICE_OVERSIZED, /* a line above the limit */
	VICE_OTHER_ID, /* answers a question that nobody asked */
	VICE_REFUSES, /* with agent->refusal */
	VICE_FORGES, /* signs with another key */
	VICE_OTHER_NONCE, /* true, but for somebody else's nonce */
	VICE_OLD_BATCH, /* a beat from before the last batch */
	VICE_NO_ROW, /* a grant that shows nothing */
	VICE_NO_PLACE, /* neither a grant nor a place */
	VICE_PLACE, /* a place for everybody */
};

struct agent {
	char folder[64];
	char path[96];
	struct chain chain;
	pthread_mutex_t lock; /* guards all below and the chain */
	enum agent_vice checkout, renew, attach, status;
	int refusal; /* ERR_* */
	int delay_ms; /* before each answer */
	char status_site[64]; /* "": the true one */
	/* With a place, who may wait gets that instead of a seat. */
	struct queue_place queue;
	struct local_checkout last_ask;
	uint8_t last_request[REQUEST_BYTES];
	/* The first answer that was lost, for its retry, as the site keeps
	 * it: JSON of the reply. */
	uint8_t lost_request[REQUEST_BYTES];
	struct buf lost;
	struct journal_known last_known;
	char last_user[64];
	uint64_t last_lease;
	uint8_t last_cancel[REQUEST_BYTES];
	unsigned int checkouts, grants, renewals, attaches, returns, statuses;
	unsigned int cancels;
	unsigned int connections;
	struct local_return last_return;
	uint32_t last_attach_count;
	/** Another test's way to answer: true when it did. With the lock. */
	bool (*instead)(int fd, uint64_t id, enum local_id op,
	    const void *request);
	/* the thread's */
	pthread_t thread;
	int listener, stop_fd;
	struct {
		int fd;
		char line[LOCAL_LINE_MAX + 1];
		size_t len;
	} open[AGENT_CONNECTIONS];
};

static inline void
agent_send(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static inline void
agent_answer(int fd, uint64_t id, const struct record *record,
    const void *reply)
{
	struct buf out = { 0 };

	rpc_write_result(&out, id, record, reply);
	buf_add_byte(&out, '\n');
	agent_send(fd, out.data, out.len);
	buf_release(&out);
}

static inline void
agent_refuse(int fd, uint64_t id, int err)
{
	struct buf out = { 0 };
	struct problem problem;

	problem_set(&problem, err, "do this", "what happened");
	rpc_write_error(&out, id, err, &problem);
	buf_add_byte(&out, '\n');
	agent_send(fd, out.data, out.len);
	buf_release(&out);
}

/* Vices that need no answer of one's own. True: it has been done. */
static inline bool
agent_misbehaves(struct agent *agent, int fd, uint64_t id, enum agent_vice vice)
{
	static char line[2 * LOCAL_LINE_MAX];
	int n;

	switch (vice) {
	case VICE_SILENT:
		return true;
	case VICE_HANGS_UP:
		shutdown(fd, SHUT_RDWR);
		return true;
	case VICE_GARBAGE:
		agent_send(fd, "\x01{]\n", 4);
		return true;
	case VICE_WRONG_RECORD:
		n = snprintf(line, sizeof(line),
		    "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":"
		    "{\"lease\":\"x\"}}\n",
		    (unsigned long long)id);
		agent_send(fd, line, (size_t)n);
		return true;
	case VICE_OVERSIZED:
		memset(line, 'x', sizeof(line));
		agent_send(fd, line, sizeof(line));
		return true;
	case VICE_OTHER_ID:
		agent_refuse(fd, id + 1000, ERR_GONE);
		return true;
	case VICE_REFUSES:
		agent_refuse(fd, id, agent->refusal);
		return true;
	case VICE_NONE:
	case VICE_FORGES:
	case VICE_OTHER_NONCE:
	case VICE_OLD_BATCH:
	case VICE_NO_ROW:
	case VICE_NO_PLACE:
	case VICE_PLACE:
		break;
	}
	return false;
}

/* The same grant again, however far the journal has gone since. */
static inline void
agent_repeat(struct agent *agent, int fd, uint64_t id)
{
	struct buf out = { 0 };

	buf_printf(&out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":",
	    (unsigned long long)id);
	buf_add(&out, agent->lost.data, agent->lost.len);
	buf_add_str(&out, "}\n");
	agent_send(fd, out.data, out.len);
	buf_release(&out);
}

static inline void
agent_checkout(struct agent *agent, int fd, uint64_t id,
    const struct local_checkout *request)
{
	struct chain *chain = &agent->chain;
	struct chain_keys mine = chain->site_key;
	struct local_checkout_reply reply;
	enum agent_vice vice = agent->checkout;

	agent->checkouts++;
	agent->last_ask = *request;
	agent->last_known = request->known;
	memcpy(agent->last_user, request->user, sizeof(request->user));
	if (vice == VICE_REFUSES) {
		agent_refuse(fd, id, agent->refusal);
		return;
	}
	if (vice == VICE_NO_PLACE || vice == VICE_PLACE ||
	    (vice == VICE_NONE && agent->queue.place > 0 &&
		request->wait_s > 0)) {
		reply = (struct local_checkout_reply){ .device = CHAIN_DEVICE };
		if (vice != VICE_NO_PLACE)
			reply.queue = agent->queue;
		agent_answer(fd, id, &local_checkout_reply_record, &reply);
		return;
	}
	/* A retry gets what the first try got. */
	if (vice == VICE_NONE && agent->lost.len > 0 &&
	    memcmp(request->request, agent->lost_request, REQUEST_BYTES) == 0) {
		agent_repeat(agent, fd, id);
		return;
	}
	if (memcmp(request->request, agent->last_request, REQUEST_BYTES) != 0) {
		if (vice == VICE_FORGES)
			chain_new_keys(&chain->site_key);
		chain_prepare(chain, request, agent->grants % 5);
		if (vice == VICE_OTHER_NONCE)
			chain->row.u.lease_granted.nonce[0] ^= 1;
		chain_commit(chain);
		chain->site_key = mine;
		agent->grants++;
		memcpy(agent->last_request, request->request, REQUEST_BYTES);
		agent->last_lease = chain->row.u.lease_granted.lease;
	}
	chain_reply(&reply, chain, &request->known);
	if (agent_misbehaves(agent, fd, id, vice)) {
		if (agent->lost.len == 0) {
			memcpy(agent->lost_request, request->request,
			    REQUEST_BYTES);
			record_write_json(&agent->lost,
			    &local_checkout_reply_record, &reply);
		}
		return;
	}
	if (vice == VICE_NO_ROW)
		reply.row.len = 0;
	agent_answer(fd, id, &local_checkout_reply_record, &reply);
}

static inline void
agent_renew(struct agent *agent, int fd, uint64_t id,
    const struct local_renew *request)
{
	struct chain *chain = &agent->chain;
	struct chain_keys mine = chain->site_key;
	struct journal_header header = chain->header;
	struct buf token = { 0 };
	uint64_t leases[3] = { 1001, 1002, request->lease };
	uint8_t nonces[3][32], path[8][32];
	size_t hashes;

	agent->renewals++;
	if (agent_misbehaves(agent, fd, id, agent->renew))
		return;
	randombytes_buf(nonces, sizeof(nonces));
	if (agent->renew != VICE_OTHER_NONCE)
		memcpy(nonces[2], request->nonce, 32);
	if (agent->renew == VICE_FORGES)
		chain_new_keys(&chain->site_key);
	if (agent->renew == VICE_OLD_BATCH)
		chain->header.batch--;
	chain_beat(&token, path, &hashes, chain, leases, nonces,
	    chain->license.terms.ttl_s, 3, 2);
	chain->site_key = mine;
	chain->header = header;
	struct local_renew_reply reply = {
		.beat = { token.data, (uint32_t)token.len },
		.index = 2,
		.path = { path, (uint32_t)hashes * 32 },
	};

	agent_answer(fd, id, &local_renew_reply_record, &reply);
	buf_release(&token);
}

static inline void
agent_status(struct agent *agent, int fd, uint64_t id)
{
	struct local_status status = { .software = "agent",
		.device = CHAIN_DEVICE,
		.connected = true };

	agent->statuses++;
	if (agent_misbehaves(agent, fd, id, agent->status))
		return;
	text_copy(status.site, sizeof(status.site),
	    agent->status_site[0] != '\0' ? agent->status_site
					  : agent->chain.license.site);
	text_copy(status.tenant, sizeof(status.tenant),
	    agent->chain.license.tenant);
	agent_answer(fd, id, &local_status_record, &status);
}

static inline void
agent_line(struct agent *agent, int fd, const char *line, size_t len)
{
	struct arena arena = { 0 };
	struct rpc_envelope envelope;
	struct record_error error;
	union {
		struct local_checkout checkout;
		struct local_renew renew;
		struct local_return lease_return;
		struct local_attach attach;
		struct lease_cancel cancel;
		struct local_borrow_take borrow_take;
		struct local_borrow_extend borrow_extend;
		struct local_borrow_return borrow_return;
		struct empty empty;
	} u;

	ck_assert_int_eq(rpc_read(&envelope, line, len, &error), 0);
	const struct local_operation *op =
	    local_by_name(envelope.method, envelope.method_len);

	ck_assert_ptr_nonnull(op);
	ck_assert_int_eq(record_read_json(&u, op->request, envelope.params,
			     envelope.params_len, &arena, &error),
	    0);
	pthread_mutex_lock(&agent->lock);
	int delay_ms = agent->delay_ms;

	pthread_mutex_unlock(&agent->lock);
	if (delay_ms > 0)
		usleep((useconds_t)delay_ms * 1000);
	pthread_mutex_lock(&agent->lock);
	if (op->id == LOCAL_RETURN)
		agent->last_return = u.lease_return;
	if (op->id == LOCAL_ATTACH)
		agent->last_attach_count = u.attach.count;
	if (agent->instead != NULL &&
	    agent->instead(fd, envelope.id, op->id, &u))
		; /* done */
	else if (op->id == LOCAL_CHECKOUT)
		agent_checkout(agent, fd, envelope.id, &u.checkout);
	else if (op->id == LOCAL_RENEW)
		agent_renew(agent, fd, envelope.id, &u.renew);
	else if (op->id == LOCAL_STATUS)
		agent_status(agent, fd, envelope.id);
	else if (op->id == LOCAL_ATTACH) {
		agent->attaches++;
		if (!agent_misbehaves(agent, fd, envelope.id, agent->attach)) {
			/* The whole evidence, as it was given out. */
			ck_assert_uint_gt(u.attach.row.len, 0);
			ck_assert_uint_gt(u.attach.header.len, 0);
			agent_answer(fd, envelope.id, &empty_record, &u);
		}
	} else if (op->id == LOCAL_CANCEL) {
		agent->cancels++;
		memcpy(agent->last_cancel, u.cancel.request, REQUEST_BYTES);
		agent_answer(fd, envelope.id, &empty_record, &u);
	} else if (op->id == LOCAL_RETURN) {
		struct local_returned returned = { .count = 1 };

		agent->returns++;
		agent->last_lease = u.lease_return.lease;
		agent_answer(fd, envelope.id, &local_returned_record,
		    &returned);
	}
	pthread_mutex_unlock(&agent->lock);
	arena_release(&arena);
}

static inline void
agent_read(struct agent *agent, int i)
{
	char *line = agent->open[i].line, *end;
	size_t *len = &agent->open[i].len;
	ssize_t n = recv(agent->open[i].fd, line + *len,
	    sizeof(agent->open[i].line) - *len, 0);

	if (n <= 0) {
		pthread_mutex_lock(&agent->lock);
		close(agent->open[i].fd);
		agent->open[i].fd = -1;
		pthread_mutex_unlock(&agent->lock);
		return;
	}
	*len += (size_t)n;
	while ((end = memchr(line, '\n', *len)) != NULL) {
		agent_line(agent, agent->open[i].fd, line,
		    (size_t)(end - line));
		*len -= (size_t)(end + 1 - line);
		memmove(line, end + 1, *len);
	}
}

static inline void
agent_accept(struct agent *agent)
{
	int fd = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	pthread_mutex_lock(&agent->lock);
	agent->connections++;
	for (int i = 0; i < AGENT_CONNECTIONS; i++) {
		if (agent->open[i].fd >= 0)
			continue;
		agent->open[i].fd = fd;
		agent->open[i].len = 0;
		fd = -1;
		break;
	}
	pthread_mutex_unlock(&agent->lock);
	ck_assert_int_eq(fd, -1);
}

static inline void *
agent_main(void *arg)
{
	struct agent *agent = arg;

	for (;;) {
		struct pollfd fds[AGENT_CONNECTIONS + 2];

		for (int i = 0; i < AGENT_CONNECTIONS; i++)
			fds[i] =
			    (struct pollfd){ agent->open[i].fd, POLLIN, 0 };
		fds[AGENT_CONNECTIONS] =
		    (struct pollfd){ agent->listener, POLLIN, 0 };
		fds[AGENT_CONNECTIONS + 1] =
		    (struct pollfd){ agent->stop_fd, POLLIN, 0 };
		poll(fds, AGENT_CONNECTIONS + 2, -1);
		if (fds[AGENT_CONNECTIONS + 1].revents != 0)
			return NULL;
		for (int i = 0; i < AGENT_CONNECTIONS; i++)
			if (fds[i].revents != 0)
				agent_read(agent, i);
		if (fds[AGENT_CONNECTIONS].revents != 0)
			agent_accept(agent);
	}
}

/* Listen and serve. */
static inline void
agent_start(struct agent *agent)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	text_copy(address.sun_path, sizeof(address.sun_path), agent->path);
	unlink(agent->path);
	agent->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(agent->listener, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	ck_assert_int_eq(listen(agent->listener, 16), 0);
	agent->stop_fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(pthread_create(&agent->thread, NULL, agent_main,
			     agent),
	    0);
}

/* Gone, with all its connections. */
static inline void
agent_stop(struct agent *agent)
{
	eventfd_write(agent->stop_fd, 1);
	pthread_join(agent->thread, NULL);
	close(agent->stop_fd);
	close(agent->listener);
	unlink(agent->path);
	for (int i = 0; i < AGENT_CONNECTIONS; i++) {
		if (agent->open[i].fd >= 0)
			close(agent->open[i].fd);
		agent->open[i].fd = -1;
	}
}

static inline void
agent_open(struct agent *agent)
{
	memset(agent, 0, sizeof(*agent));
	pthread_mutex_init(&agent->lock, NULL);
	text_copy(agent->folder, sizeof(agent->folder),
	    "/tmp/check-agent-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(agent->folder));
	snprintf(agent->path, sizeof(agent->path), "%s/agent.sock",
	    agent->folder);
	for (int i = 0; i < AGENT_CONNECTIONS; i++)
		agent->open[i].fd = -1;
	chain_open(&agent->chain);
	agent_start(agent);
}

static inline void
agent_close(struct agent *agent)
{
	char command[128];

	agent_stop(agent);
	chain_close(&agent->chain);
	buf_release(&agent->lost);
	snprintf(command, sizeof(command), "rm -rf '%s'", agent->folder);
	ck_assert_int_eq(system(command), 0);
}

/* Short spans, so that tests see their end. */
static inline void
agent_terms(struct agent *agent, uint32_t ttl_s, uint32_t grace_s)
{
	agent->chain.license.terms.ttl_s = ttl_s;
	agent->chain.license.terms.grace_s = grace_s;
	chain_sign(&agent->chain);
}

/* A notice to everybody who is connected. */
static inline void
agent_notify(struct agent *agent, enum local_id id, const void *notice)
{
	struct buf out = { 0 };

	rpc_write_request(&out, 0, local_get(id)->name, local_get(id)->request,
	    notice);
	buf_add_byte(&out, '\n');
	pthread_mutex_lock(&agent->lock);
	for (int i = 0; i < AGENT_CONNECTIONS; i++)
		if (agent->open[i].fd >= 0)
			agent_send(agent->open[i].fd, out.data, out.len);
	pthread_mutex_unlock(&agent->lock);
	buf_release(&out);
}

static inline void
agent_revoke(struct agent *agent, uint64_t lease)
{
	struct local_revoked revoked = { .lease = lease, .code = "gone" };

	agent_notify(agent, LOCAL_REVOKED, &revoked);
}

/* To the one who asked last: its place, or with place 0 why it is out. */
static inline void
agent_place(struct agent *agent, uint32_t place, uint32_t length,
    const char *code)
{
	struct lease_waiting waiting = { .queue = { place, length, 0 } };

	pthread_mutex_lock(&agent->lock);
	memcpy(waiting.request, agent->last_ask.request, REQUEST_BYTES);
	agent->queue = waiting.queue;
	pthread_mutex_unlock(&agent->lock);
	text_copy(waiting.code, sizeof(waiting.code), code);
	agent_notify(agent, LOCAL_WAITING, &waiting);
}

/* It is the turn of the one who asked last: the next question is granted. */
static inline void
agent_offer(struct agent *agent)
{
	struct lease_offered offered = { .claim_s = 10 };

	pthread_mutex_lock(&agent->lock);
	memcpy(offered.request, agent->last_ask.request, REQUEST_BYTES);
	agent->queue.place = 0;
	pthread_mutex_unlock(&agent->lock);
	agent_notify(agent, LOCAL_OFFERED, &offered);
}

/* Read a counter, or set a vice, while the thread runs. */
#define AGENT_GET(agent, member)                                    \
	({                                                          \
		pthread_mutex_lock(&(agent)->lock);                 \
		__typeof__((agent)->member) got_ = (agent)->member; \
		pthread_mutex_unlock(&(agent)->lock);               \
		got_;                                               \
	})
#define AGENT_SET(agent, member, value)               \
	do {                                          \
		pthread_mutex_lock(&(agent)->lock);   \
		(agent)->member = (value);            \
		pthread_mutex_unlock(&(agent)->lock); \
	} while (0)

/* Wait until it is so; a test fails when it is not within the time. */
#define WAIT_UNTIL(condition, ms)                                           \
	do {                                                                \
		int64_t until_ = clock_boottime_ms() + (ms);                \
		while (!(condition)) {                                      \
			ck_assert_msg(clock_boottime_ms() < until_,         \
			    "not within %d ms: %s", (int)(ms), #condition); \
			usleep(2000);                                       \
		}                                                           \
	} while (0)

#endif
