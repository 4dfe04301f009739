/*
 * A load generator that speaks the real protocol: N agents, each a device of
 * its own with its own key, on N TLS connections, all in one process. Each has
 * one checkout under way at any time (closed loop) and never returns a seat, so
 * that every answer is one durable grant.
 *
 *   load_bench --port P --ca FILE --join TOKEN --product ID --folder DIR
 *              --connections N --seconds S
 *
 * Prints one JSON object: checkouts a second and latencies in microseconds.
 */
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/net/net.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"

#include <errno.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define CONNECTIONS_MAX 4096
#define SAMPLES_MAX ((size_t)4 << 20)

enum step { STEP_HELLO, STEP_ENROLL, STEP_LOGIN, STEP_PROVE, STEP_WORK };

struct load;

struct agent {
	struct load *load;
	struct identity *identity;
	net_conn conn;
	enum step step;
	uint8_t exporter[32];
	uint64_t device;
	uint64_t id;
	int64_t sent_us;
};

struct load {
	struct event_base *base;
	struct net *net;
	struct agent *agents;
	unsigned int n;
	unsigned int ready;
	const char *join;
	const char *product;
	int64_t start_us; /* 0: not yet */
	int64_t end_us;
	uint64_t done;
	uint64_t refused;
	uint32_t *samples;
	size_t n_samples;
	int seconds;
	bool failed;
};

static void
give_up(struct load *load, const char *words)
{
	fprintf(stderr, "load: %s\n", words);
	load->failed = true;
	event_base_loopbreak(load->base);
}

static void
ask(struct agent *agent, enum operation_id op, const void *request)
{
	const struct operation *operation = operation_get(op);
	struct buf out = { 0 };

	rpc_write_request(&out, ++agent->id, operation->name,
	    operation->request, request);
	agent->sent_us = clock_boottime_us();
	if (out.failed ||
	    net_send(agent->load->net, agent->conn, out.data, out.len) != 0)
		give_up(agent->load, "cannot send");
	buf_release(&out);
}

static void
say_hello(struct agent *agent)
{
	struct hello hello = { .protocol = PROTOCOL_VERSION,
		.software = "load_bench",
		.device = agent->device };

	agent->step = agent->device == 0 ? STEP_HELLO : STEP_LOGIN;
	ask(agent, OP_SESSION_HELLO, &hello);
}

static void
enroll_or_prove(struct agent *agent, const struct hello_reply *reply)
{
	struct proof_subject subject = { .site = reply->site,
		.tenant = reply->tenant,
		.device = agent->device };
	const char *join = agent->load->join;

	memcpy(subject.nonce, reply->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, agent->exporter, sizeof(subject.exporter));
	if (agent->device == 0) {
		struct enroll enroll = { .class_ = PROOF_SOFTWARE };
		uint8_t key[PROOF_KEY_MAX];

		subject.purpose = PROOF_ENROLL;
		crypto_hash_sha256(subject.request_digest,
		    (const unsigned char *)join, strlen(join));
		proof_make(&enroll.proof, agent->identity, &subject);
		enroll.join =
		    (struct record_span){ join, (uint32_t)strlen(join) };
		enroll.public_key.data = key;
		enroll.public_key.len =
		    (uint32_t)identity_public(key, agent->identity);
		snprintf(enroll.name, sizeof(enroll.name), "load-%u",
		    (unsigned int)(agent - agent->load->agents));
		text_copy(enroll.host, sizeof(enroll.host), "load");
		agent->step = STEP_ENROLL;
		ask(agent, OP_DEVICE_ENROLL, &enroll);
	} else {
		struct prove prove;

		subject.purpose = PROOF_LOGIN;
		proof_make(&prove.proof, agent->identity, &subject);
		agent->step = STEP_PROVE;
		ask(agent, OP_SESSION_PROVE, &prove);
	}
}

static void
check_out(struct agent *agent)
{
	struct checkout checkout = { .version = "8.1.0",
		.count = 1,
		.user = "load",
		.host = "load" };

	text_copy(checkout.product, sizeof(checkout.product),
	    agent->load->product);
	randombytes_buf(checkout.request, sizeof(checkout.request));
	randombytes_buf(checkout.nonce, sizeof(checkout.nonce));
	ask(agent, OP_LEASE_CHECKOUT, &checkout);
}

static void
begin_work(struct agent *agent)
{
	struct load *load = agent->load;

	agent->step = STEP_WORK;
	load->ready++;
	if (load->ready < load->n)
		return;
	load->start_us = clock_boottime_us();
	load->end_us = load->start_us + (int64_t)load->seconds * 1000000;
	for (unsigned int i = 0; i < load->n; i++)
		check_out(&load->agents[i]);
}

static void
count(struct agent *agent, bool granted)
{
	struct load *load = agent->load;
	int64_t now = clock_boottime_us();

	if (now > load->end_us) {
		event_base_loopbreak(load->base);
		return;
	}
	if (granted)
		load->done++;
	else
		load->refused++;
	if (load->n_samples < SAMPLES_MAX)
		load->samples[load->n_samples++] =
		    (uint32_t)(now - agent->sent_us);
	check_out(agent);
}

static void
on_message(void *ctx, net_conn conn, const uint8_t *data, size_t len)
{
	struct agent *agent = ctx;
	struct rpc_envelope envelope;
	struct record_error error;
	struct arena arena = { 0 };
	int err = rpc_read(&envelope, (const char *)data, len, &error);

	(void)conn;
	if (err == 0 && envelope.id == 0)
		return;
	if (agent->step == STEP_WORK) {
		count(agent, err == 0 && envelope.result != NULL);
		return;
	}
	if (err != 0 || envelope.result == NULL) {
		fprintf(stderr, "%.*s\n", (int)len, (const char *)data);
		give_up(agent->load, "refused while logging in");
		return;
	}
	if (agent->step == STEP_HELLO || agent->step == STEP_LOGIN) {
		struct hello_reply reply;

		err = record_read_json(&reply, &hello_reply_record,
		    envelope.result, envelope.result_len, &arena, &error);
		if (err == 0)
			enroll_or_prove(agent, &reply);
	} else if (agent->step == STEP_ENROLL) {
		struct enroll_reply reply;

		err = record_read_json(&reply, &enroll_reply_record,
		    envelope.result, envelope.result_len, &arena, &error);
		agent->device = reply.device;
		if (err == 0)
			say_hello(agent);
	} else {
		begin_work(agent);
	}
	if (err != 0)
		give_up(agent->load, "an answer is not understood");
	arena_release(&arena);
}

static void
on_open(void *ctx, net_conn conn, const struct net_peer *peer)
{
	struct agent *agent = ctx;

	agent->conn = conn;
	memcpy(agent->exporter, peer->exporter, sizeof(agent->exporter));
	say_hello(agent);
}

static void
on_close(void *ctx, net_conn conn, const char *reason)
{
	struct agent *agent = ctx;

	(void)conn;
	give_up(agent->load, reason);
}

static const struct net_client_callbacks callbacks = { on_open, on_message,
	on_close };

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
print_result(struct load *load)
{
	double seconds = load->seconds;
	size_t n = load->n_samples;

	qsort(load->samples, n, sizeof(load->samples[0]), by_value);
	printf("{\"connections\":%u,\"seconds\":%.1f,\"checkouts\":%llu,"
	       "\"refused\":%llu,\"per_second\":%.0f,\"p50_us\":%u,"
	       "\"p99_us\":%u,\"max_us\":%u}\n",
	    load->n, seconds, (unsigned long long)load->done,
	    (unsigned long long)load->refused, (double)load->done / seconds,
	    n > 0 ? load->samples[n / 2] : 0,
	    n > 0 ? load->samples[n - 1 - n / 100] : 0,
	    n > 0 ? load->samples[n - 1] : 0);
}

static const char *
option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	fprintf(stderr, "load: %s is missing\n", name);
	exit(2);
}

static void
start_agents(struct load *load, const char *folder,
    const struct net_client_options *options)
{
	for (unsigned int i = 0; i < load->n && !load->failed; i++) {
		struct agent *agent = &load->agents[i];
		char path[512];

		agent->load = load;
		snprintf(path, sizeof(path), "%s/%u", folder, i);
		if (identity_open(&agent->identity, path, NULL) != 0 ||
		    net_connect(&agent->conn, load->net, options, &callbacks,
			agent) != 0)
			give_up(load, "cannot start an agent");
	}
}

int
main(int argc, char **argv)
{
	struct load load = { 0 };
	struct net_client_options options = { .host = "127.0.0.1",
		.path = "/agent/v1",
		.protocol = "leasehold.v1",
		.connect_timeout_s = 30 };
	struct rlimit files = { 65536, 65536 };
	const char *folder = option(argc, argv, "--folder");
	uint8_t *ca;
	size_t ca_len;

	log_open("load", LOG_WARN, 0);
	load.n = (unsigned int)strtoul(option(argc, argv, "--connections"),
	    NULL, 10);
	load.seconds = (int)strtol(option(argc, argv, "--seconds"), NULL, 10);
	load.join = option(argc, argv, "--join");
	load.product = option(argc, argv, "--product");
	options.port =
	    (uint16_t)strtoul(option(argc, argv, "--port"), NULL, 10);
	setrlimit(RLIMIT_NOFILE, &files);
	if (load.n < 1 || load.n > CONNECTIONS_MAX || load.seconds < 1 ||
	    sodium_init() < 0 ||
	    file_read(&ca, &ca_len, option(argc, argv, "--ca"), 65536) != 0)
		return 2;
	options.ca_pem = (const char *)ca;
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return 1;
	load.base = event_base_new();
	load.net = net_new(load.base);
	load.agents = calloc(load.n, sizeof(*load.agents));
	load.samples = calloc(SAMPLES_MAX, sizeof(*load.samples));
	if (load.base == NULL || load.net == NULL || load.agents == NULL ||
	    load.samples == NULL)
		return 1;
	start_agents(&load, folder, &options);
	if (!load.failed)
		event_base_dispatch(load.base);
	if (!load.failed)
		print_result(&load);
	net_free(load.net);
	for (unsigned int i = 0; i < load.n; i++)
		identity_close(load.agents[i].identity);
	event_base_free(load.base);
	free(load.agents);
	free(load.samples);
	free(ca);
	return load.failed ? 1 : 0;
}
