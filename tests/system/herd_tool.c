/*
 * A thousand agents in one process, each with a key, a TLS connection and a
 * lease of its own, that come back as the keeper does (agent/keeper/backoff.h)
 * when the site goes away.
 *
 *   herd_tool --port P --ca FILE --folder DIR --join TOKEN --product P
 *       [--agents N]
 *
 * Says {"event":"ready"} when all hold a lease. Whenever all had lost the site
 * and are back, it says how that was:
 *   {"event":"back","agents":1000,"kept":1000,"planned":141,"peak":150,
 *    "attempts":1020,"spread_ms":7960}
 * `planned`: the most attempts that were set for any one second, well or in
 * vain; `peak`: the most TLS handshakes that succeeded in one, which a machine
 * that stands still for a moment can only make more; `spread_ms`: between the
 * first of them and the last. Ends with its standard input.
 */
#include "agent/keeper/backoff.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/net/net.h"
#include "shared/proof/identity.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

#include <event2/event.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define AGENTS_MAX 4000
/* At the start all are made, a few at a time. */
#define WINDOW 32

enum step {
	STEP_AWAY,
	STEP_HELLO, /* to enroll */
	STEP_ENROLL,
	STEP_LOGIN, /* hello as a device */
	STEP_PROVE,
	STEP_CHECKOUT,
	STEP_LIST,
	STEP_READY,
};

struct herd;

struct member {
	struct herd *herd;
	enum step step;
	net_conn conn;
	uint8_t exporter[32];
	uint64_t device;
	uint64_t lease;
	uint64_t id;
	unsigned int failures;
	uint32_t spread_ms;
	bool back; /* in this round */
	bool kept;
	struct event *timer;
};

struct herd {
	struct event_base *base;
	struct net *net;
	struct event *input;
	uint16_t port;
	const char *ca_pem;
	const char *folder;
	const char *join;
	const char *product;
	struct member members[AGENTS_MAX];
	unsigned int n;
	unsigned int begun;
	unsigned int ready; /* hold a lease */
	unsigned int lost; /* in this round */
	unsigned int back;
	unsigned int kept;
	int64_t opened_ms[AGENTS_MAX]; /* handshakes of this round */
	unsigned int n_opened;
	int64_t planned_ms[4 * AGENTS_MAX]; /* attempts of this round */
	unsigned int n_planned;
};

static void connect_member(struct member *member);

static void
give_up(const char *words)
{
	fprintf(stderr, "herd_tool: %s\n", words);
	exit(1);
}

static void
ask(struct member *member, enum operation_id id, const void *request)
{
	const struct operation *op = operation_get(id);
	struct buf out = { 0 };

	rpc_write_request(&out, ++member->id, op->name, op->request, request);
	if (out.failed)
		give_up("no memory");
	/* A connection that has just gone is told by its close. */
	(void)net_send(member->herd->net, member->conn, out.data, out.len);
	buf_release(&out);
}

/* --- a round -------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

/* The most of these moments in any one second; sorts them. */
static unsigned int
peak_of(int64_t *ms, unsigned int n)
{
	unsigned int peak = 0, from = 0;

	qsort(ms, n, sizeof(ms[0]), compare);
	for (unsigned int i = 0; i < n; i++) {
		while (ms[i] - ms[from] >= 1000)
			from++;
		if (i - from + 1 > peak)
			peak = i - from + 1;
	}
	return peak;
}

static void
tell_round(struct herd *herd)
{
	unsigned int n = herd->n_opened;
	unsigned int peak = peak_of(herd->opened_ms, n);
	unsigned int planned = peak_of(herd->planned_ms, herd->n_planned);

	printf("{\"event\":\"back\",\"agents\":%u,\"kept\":%u,\"planned\":%u,"
	       "\"peak\":%u,\"attempts\":%u,\"spread_ms\":%lld}\n",
	    herd->back, herd->kept, planned, peak, herd->n_planned,
	    n == 0 ? 0LL
		   : (long long)(herd->opened_ms[n - 1] - herd->opened_ms[0]));
	fflush(stdout);
	herd->lost = herd->back = herd->kept = 0;
	herd->n_opened = herd->n_planned = 0;
	for (unsigned int i = 0; i < herd->n; i++)
		herd->members[i].back = herd->members[i].kept = false;
}

static void
is_back(struct member *member, bool kept)
{
	struct herd *herd = member->herd;

	member->step = STEP_READY;
	member->failures = 0;
	if (member->back)
		return;
	member->back = true;
	herd->back++;
	herd->kept += kept ? 1 : 0;
	if (herd->back == herd->n)
		tell_round(herd);
}

static void
is_ready(struct member *member)
{
	struct herd *herd = member->herd;

	member->step = STEP_READY;
	member->failures = 0;
	if (++herd->ready == herd->n) {
		printf("{\"event\":\"ready\"}\n");
		fflush(stdout);
	} else if (herd->begun < herd->n) {
		connect_member(&herd->members[herd->begun++]);
	}
}

/* --- logging in ----------------------------------------------------------- */

static struct identity *
open_identity(const struct member *member)
{
	struct identity *identity = NULL;
	char path[512];

	snprintf(path, sizeof(path), "%s/%u", member->herd->folder,
	    (unsigned int)(member - member->herd->members));
	if (identity_open(&identity, path, NULL) != 0)
		give_up("no identity");
	return identity;
}

static void
say_hello(struct member *member)
{
	struct hello hello = { .protocol = PROTOCOL_VERSION,
		.software = "herd_tool",
		.device = member->device };

	member->step = member->device == 0 ? STEP_HELLO : STEP_LOGIN;
	ask(member, OP_SESSION_HELLO, &hello);
}

static void
enroll(struct member *member, struct proof_subject *subject)
{
	const char *join = member->herd->join;
	struct identity *identity = open_identity(member);
	struct enroll request = { .class_ = PROOF_SOFTWARE };
	uint8_t key[PROOF_KEY_MAX];

	subject->purpose = PROOF_ENROLL;
	crypto_hash_sha256(subject->request_digest, (const unsigned char *)join,
	    strlen(join));
	proof_make(&request.proof, identity, subject);
	request.join = (struct record_span){ join, (uint32_t)strlen(join) };
	request.public_key.data = key;
	request.public_key.len = (uint32_t)identity_public(key, identity);
	snprintf(request.name, sizeof(request.name), "herd-%u",
	    (unsigned int)(member - member->herd->members));
	text_copy(request.host, sizeof(request.host), request.name);
	member->step = STEP_ENROLL;
	ask(member, OP_DEVICE_ENROLL, &request);
	identity_close(identity);
}

static void
took_hello(struct member *member, const struct hello_reply *reply)
{
	struct proof_subject subject = { .site = reply->site,
		.tenant = reply->tenant,
		.device = member->device };
	struct prove prove;

	memcpy(subject.nonce, reply->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, member->exporter, sizeof(subject.exporter));
	if (member->device == 0) {
		enroll(member, &subject);
		return;
	}
	struct identity *identity = open_identity(member);

	subject.purpose = PROOF_LOGIN;
	proof_make(&prove.proof, identity, &subject);
	identity_close(identity);
	member->step = STEP_PROVE;
	ask(member, OP_SESSION_PROVE, &prove);
}

static void
took_proof(struct member *member, const struct prove_reply *reply)
{
	struct checkout checkout = { .version = "8.1.0",
		.count = 1,
		.user = "herd",
		.host = "herd" };
	struct lease_query query = { .limit = 10 };

	member->spread_ms = reply->spread_ms;
	if (member->lease != 0) {
		member->step = STEP_LIST;
		ask(member, OP_LEASE_MINE, &query);
		return;
	}
	text_copy(checkout.product, sizeof(checkout.product),
	    member->herd->product);
	randombytes_buf(checkout.request, sizeof(checkout.request));
	randombytes_buf(checkout.nonce, sizeof(checkout.nonce));
	member->step = STEP_CHECKOUT;
	ask(member, OP_LEASE_CHECKOUT, &checkout);
}

static void
took_list(struct member *member, const struct lease_page *page)
{
	const struct lease_view *views = page->items.items;
	bool kept = false;

	for (uint32_t i = 0; i < page->items.count; i++)
		kept |= views[i].lease == member->lease;
	is_back(member, kept);
}

static void
took_reply(struct member *member, const void *reply)
{
	switch (member->step) {
	case STEP_HELLO:
	case STEP_LOGIN:
		took_hello(member, reply);
		break;
	case STEP_ENROLL:
		member->device = ((const struct enroll_reply *)reply)->device;
		say_hello(member);
		break;
	case STEP_PROVE:
		took_proof(member, reply);
		break;
	case STEP_CHECKOUT:
		member->lease = ((const struct checkout_reply *)reply)->lease;
		is_ready(member);
		break;
	case STEP_LIST:
		took_list(member, reply);
		break;
	case STEP_AWAY:
	case STEP_READY:
		break;
	}
}

/* --- the connection ------------------------------------------------------- */

static enum operation_id
asked(const struct member *member)
{
	static const enum operation_id ids[] = {
		[STEP_HELLO] = OP_SESSION_HELLO,
		[STEP_LOGIN] = OP_SESSION_HELLO,
		[STEP_ENROLL] = OP_DEVICE_ENROLL,
		[STEP_PROVE] = OP_SESSION_PROVE,
		[STEP_CHECKOUT] = OP_LEASE_CHECKOUT,
		[STEP_LIST] = OP_LEASE_MINE,
		[STEP_READY] = OP_NONE,
	};

	return ids[member->step];
}

static void
took_notice(struct member *member, const struct rpc_envelope *envelope,
    struct arena *arena)
{
	const struct operation *op =
	    operation_by_name(envelope->method, envelope->method_len);
	struct draining notice;

	if (op != NULL && op->id == OP_SERVER_DRAINING &&
	    record_read_json(&notice, op->request, envelope->params,
		envelope->params_len, arena, NULL) == 0)
		member->spread_ms = notice.spread_ms;
}

static void
on_message(void *ctx, net_conn conn, const uint8_t *data, size_t len)
{
	struct member *member = ctx;
	struct arena arena = { .max_bytes = (size_t)1 << 20 };
	struct rpc_envelope envelope;
	const struct operation *op = operation_get(asked(member));

	if (conn != member->conn ||
	    rpc_read(&envelope, (const char *)data, len, NULL) != 0)
		give_up("the site said what is no message");
	if (envelope.method != NULL) {
		took_notice(member, &envelope, &arena);
	} else if (envelope.result != NULL && op != NULL) {
		void *reply = arena_alloc(&arena, op->reply->size);

		if (reply == NULL ||
		    record_read_json(reply, op->reply, envelope.result,
			envelope.result_len, &arena, NULL) != 0)
			give_up("an answer that cannot be read");
		took_reply(member, reply);
	} else if (member->herd->ready < member->herd->n) {
		fprintf(stderr, "herd_tool: %.*s\n", (int)envelope.error_len,
		    envelope.error);
		give_up("refused");
	}
	arena_release(&arena);
}

static void
on_open(void *ctx, net_conn conn, const struct net_peer *peer)
{
	struct member *member = ctx;
	struct herd *herd = member->herd;

	(void)conn;
	memcpy(member->exporter, peer->exporter, sizeof(member->exporter));
	if (herd->lost > 0 && herd->n_opened < AGENTS_MAX)
		herd->opened_ms[herd->n_opened++] = clock_boottime_ms();
	say_hello(member);
}

static void
on_close(void *ctx, net_conn conn, const char *reason)
{
	struct member *member = ctx;
	struct backoff backoff = {
		.failures = member->failures++,
		.spread_ms = member->spread_ms,
		.bound_ms = 40000,
	};

	(void)conn;
	if (member->lease == 0) {
		fprintf(stderr, "herd_tool: %s\n", reason);
		give_up("lost the site before the start");
	}
	if (member->step == STEP_READY)
		member->herd->lost++;
	member->step = STEP_AWAY;
	member->conn = 0;
	uint32_t ms = backoff_ms(&backoff, randombytes_random());
	struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };
	struct herd *herd = member->herd;

	if (herd->n_planned < 4 * AGENTS_MAX)
		herd->planned_ms[herd->n_planned++] = clock_boottime_ms() + ms;
	event_add(member->timer, &wait);
}

static void
connect_member(struct member *member)
{
	static const struct net_client_callbacks callbacks = {
		.open = on_open,
		.message = on_message,
		.close = on_close,
	};
	const struct net_client_options options = {
		.host = "127.0.0.1",
		.port = member->herd->port,
		.path = "/agent/v1",
		.protocol = "leasehold.v1",
		.ca_pem = member->herd->ca_pem,
		.connect_timeout_s = 10,
	};

	if (net_connect(&member->conn, member->herd->net, &options, &callbacks,
		member) != 0)
		give_up("cannot connect");
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	connect_member(ctx);
}

/* --- the process ---------------------------------------------------------- */

static void
on_input(evutil_socket_t fd, short what, void *ctx)
{
	struct herd *herd = ctx;
	char bytes[64];

	(void)what;
	if (read((int)fd, bytes, sizeof(bytes)) <= 0)
		event_base_loopbreak(herd->base);
}

static int
read_options(struct herd *herd, int argc, char **argv)
{
	static const struct option names[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "ca", required_argument, NULL, 'c' },
		{ "folder", required_argument, NULL, 'f' },
		{ "join", required_argument, NULL, 'j' },
		{ "product", required_argument, NULL, 'P' },
		{ "agents", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	uint8_t *pem = NULL;
	size_t len = 0;
	int letter;

	herd->n = 1000;
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (letter == 'p')
			herd->port = (uint16_t)atoi(optarg);
		else if (letter == 'c' &&
		    file_read(&pem, &len, optarg, 65536) == 0)
			herd->ca_pem = strndup((char *)pem, len);
		else if (letter == 'f')
			herd->folder = optarg;
		else if (letter == 'j')
			herd->join = optarg;
		else if (letter == 'P')
			herd->product = optarg;
		else if (letter == 'n')
			herd->n = (unsigned int)atoi(optarg);
		else
			return -1;
	}
	free(pem);
	return herd->port == 0 || herd->ca_pem == NULL ||
		herd->folder == NULL || herd->join == NULL ||
		herd->product == NULL || herd->n < 1 || herd->n > AGENTS_MAX
	    ? -1
	    : 0;
}

int
main(int argc, char **argv)
{
	static struct herd herd;
	const struct rlimit files = { 8192, 8192 };

	if (read_options(&herd, argc, argv) != 0) {
		fprintf(stderr, "herd_tool: wrong arguments\n");
		return 2;
	}
	log_open("herd", LOG_ERROR, 0);
	if (sodium_init() < 0 || setrlimit(RLIMIT_NOFILE, &files) != 0)
		return 1;
	herd.base = event_base_new();
	herd.net = herd.base != NULL ? net_new(herd.base) : NULL;
	if (herd.net == NULL)
		return 1;
	herd.input = event_new(herd.base, STDIN_FILENO, EV_READ | EV_PERSIST,
	    on_input, &herd);
	event_add(herd.input, NULL);
	for (unsigned int i = 0; i < herd.n; i++) {
		herd.members[i].herd = &herd;
		herd.members[i].timer =
		    evtimer_new(herd.base, on_timer, &herd.members[i]);
	}
	while (herd.begun < herd.n && herd.begun < WINDOW)
		connect_member(&herd.members[herd.begun++]);
	event_base_dispatch(herd.base);
	return 0;
}
