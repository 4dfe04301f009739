/*
 * A load generator that speaks the real protocol: N agents, each a device of
 * its own with its own key, on N TLS connections, all in one process.
 *
 *   load_bench --port P --ca FILE --folder DIR --connections N [--join TOKEN]
 *     --seconds S    closed loop: each agent has one checkout under way
 *     --rate R       open loop of so many checkouts a second, all together
 *     --total N      stop after N answers
 *     --return       give each seat back before the next checkout
 *     --idle         log in, say "ready", stay until stdin ends
 *     --first        try until a seat is granted; prints when (CLOCK_BOOTTIME)
 *
 * DIR keeps keys and device numbers: agents that are known there log in, others
 * enroll with TOKEN first. Prints what meter.h says; latencies are those of
 * checkouts, in microseconds.
 */
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/proof/identity.h"
#include "shared/rpc/operations.h"
#include "shared/rpc/rpc.h"
#include "tests/bench/meter.h"
#include "tests/bench/socket.h"

#include <poll.h>
#include <sodium.h>
#include <sys/stat.h>

#define CONNECTIONS_MAX 20000
/* Logging in at once: a site that is asked by all at once would hang up on the
 * last ones. */
#define WINDOW 64
#define AGAIN_MS 2
#define EVENTS 256

enum step {
	STEP_HELLO,
	STEP_ENROLL,
	STEP_LOGIN,
	STEP_PROVE,
	STEP_FREE,
	STEP_CHECKOUT,
	STEP_RETURN,
};

struct load;

struct agent {
	struct socket socket; /* first: what the loop knows of it */
	struct load *load;
	struct agent *next_free;
	struct identity *identity;
	enum step step;
	uint64_t device;
	uint64_t id;
	int64_t meant_us; /* when its checkout was meant to be sent */
};

struct load {
	struct sockets sockets;
	struct agent *agents;
	struct agent *free; /* of an open loop: nothing under way */
	unsigned int n;
	unsigned int begun; /* connecting or beyond */
	unsigned int ready;
	unsigned int under_way;
	const char *join;
	const char *product;
	const char *folder;
	struct meter meter;
	bool give_back, idle, first;
	bool failed, over;
	bool again; /* the connection of --first is to be made again */
};

static void start_next(struct load *load);

static void
give_up(struct load *load, const char *words)
{
	fprintf(stderr, "load_bench: %s\n", words);
	load->failed = load->over = true;
}

static void
ask(struct agent *agent, enum operation_id op, const void *request)
{
	const struct operation *operation = operation_get(op);
	struct buf out = { 0 };

	rpc_write_request(&out, ++agent->id, operation->name,
	    operation->request, request);
	if (out.failed || socket_send(&agent->socket, out.data, out.len) != 0)
		give_up(agent->load, "cannot send");
	buf_release(&out);
}

/* --- who an agent is ------------------------------------------------------ */

static void
device_path(char path[512], const struct agent *agent, const char *name)
{
	snprintf(path, 512, "%s/%u%s", agent->load->folder,
	    (unsigned int)(agent - agent->load->agents), name);
}

static void
remember_device(const struct agent *agent)
{
	char path[512];

	device_path(path, agent, "/device");
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return;
	fprintf(file, "%llu\n", (unsigned long long)agent->device);
	fclose(file);
}

static void
recall_device(struct agent *agent)
{
	unsigned long long device;
	char path[512];

	device_path(path, agent, "/device");
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return;
	if (fscanf(file, "%llu", &device) == 1)
		agent->device = device;
	fclose(file);
}

/* --- logging in ----------------------------------------------------------- */

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
enroll(struct agent *agent, struct proof_subject *subject)
{
	const char *join = agent->load->join;
	struct enroll enroll = { .class_ = PROOF_SOFTWARE };
	uint8_t key[PROOF_KEY_MAX];

	subject->purpose = PROOF_ENROLL;
	crypto_hash_sha256(subject->request_digest, (const unsigned char *)join,
	    strlen(join));
	proof_make(&enroll.proof, agent->identity, subject);
	enroll.join = (struct record_span){ join, (uint32_t)strlen(join) };
	enroll.public_key.data = key;
	enroll.public_key.len = (uint32_t)identity_public(key, agent->identity);
	snprintf(enroll.name, sizeof(enroll.name), "load-%u",
	    (unsigned int)(agent - agent->load->agents));
	text_copy(enroll.host, sizeof(enroll.host), "load");
	agent->step = STEP_ENROLL;
	ask(agent, OP_DEVICE_ENROLL, &enroll);
}

static void
enroll_or_prove(struct agent *agent, const struct hello_reply *reply)
{
	struct proof_subject subject = { .site = reply->site,
		.tenant = reply->tenant,
		.device = agent->device };
	struct prove prove;

	memcpy(subject.nonce, reply->nonce, sizeof(subject.nonce));
	if (socket_exporter(subject.exporter, &agent->socket) != 0)
		give_up(agent->load, "no TLS exporter");
	if (agent->device == 0) {
		enroll(agent, &subject);
		return;
	}
	subject.purpose = PROOF_LOGIN;
	proof_make(&prove.proof, agent->identity, &subject);
	agent->step = STEP_PROVE;
	ask(agent, OP_SESSION_PROVE, &prove);
}

/* --- the work ------------------------------------------------------------- */

static void
check_out(struct agent *agent, int64_t meant_us)
{
	struct checkout checkout = { .version = "8.1.0", .count = 1 };
	unsigned int number = (unsigned int)(agent - agent->load->agents);

	snprintf(checkout.user, sizeof(checkout.user), "user-%u", number);
	snprintf(checkout.host, sizeof(checkout.host), "ws-%u", number);
	text_copy(checkout.product, sizeof(checkout.product),
	    agent->load->product);
	randombytes_buf(checkout.request, sizeof(checkout.request));
	randombytes_buf(checkout.nonce, sizeof(checkout.nonce));
	agent->meant_us = meant_us;
	agent->step = STEP_CHECKOUT;
	agent->load->under_way++;
	ask(agent, OP_LEASE_CHECKOUT, &checkout);
}

static void
next_turn(struct agent *agent)
{
	struct load *load = agent->load;

	if (load->meter.rate > 0) {
		agent->step = STEP_FREE;
		agent->next_free = load->free;
		load->free = agent;
	} else {
		check_out(agent, clock_boottime_us());
	}
}

static void
send_due(struct load *load)
{
	int64_t now = clock_boottime_us(), meant;

	while (load->free != NULL && meter_due(&meant, &load->meter, now)) {
		struct agent *agent = load->free;

		load->free = agent->next_free;
		check_out(agent, meant);
	}
	if (load->under_way == 0 && meter_all_sent(&load->meter))
		load->over = true;
}

static void
begin_work(struct agent *agent)
{
	struct load *load = agent->load;

	/* Its key is an open file, and not needed any more. */
	if (!load->first) {
		identity_close(agent->identity);
		agent->identity = NULL;
	}
	load->ready++;
	agent->step = STEP_FREE;
	if (load->ready < load->n) {
		start_next(load);
		return;
	}
	if (load->idle) {
		printf("ready\n");
		fflush(stdout);
		return;
	}
	meter_start(&load->meter);
	for (unsigned int i = 0; i < load->n; i++)
		next_turn(&load->agents[i]);
}

static void
answered(struct agent *agent, const struct rpc_envelope *envelope,
    const struct checkout_reply *reply)
{
	struct load *load = agent->load;
	bool granted = envelope->result != NULL;

	if (agent->step == STEP_RETURN) {
		next_turn(agent);
		return;
	}
	load->under_way--;
	if (!granted && load->meter.refused == 0)
		fprintf(stderr, "load_bench: refused: %.*s\n",
		    (int)envelope->error_len, envelope->error);
	if (load->first && granted) {
		printf("{\"granted_us\":%lld}\n",
		    (long long)clock_boottime_us());
		load->over = true;
		return;
	}
	if (!meter_count(&load->meter, agent->meant_us, granted) &&
	    load->meter.rate <= 0) {
		load->over = true;
		return;
	}
	if (granted && load->give_back) {
		struct lease_return end = { .lease = reply->lease,
			.reason = LEASE_RETURNED };

		agent->step = STEP_RETURN;
		ask(agent, OP_LEASE_RETURN, &end);
	} else {
		next_turn(agent);
	}
}

static int
worked(struct agent *agent, const struct rpc_envelope *envelope,
    struct arena *arena)
{
	struct checkout_reply reply = { 0 };
	struct record_error error;
	int err = 0;

	/* Only who gives back must know the lease: the generator's time is
	 * short. */
	if (agent->step == STEP_CHECKOUT && envelope->result != NULL &&
	    agent->load->give_back)
		err = record_read_json(&reply, &checkout_reply_record,
		    envelope->result, envelope->result_len, arena, &error);
	if (err == 0)
		answered(agent, envelope, &reply);
	return err;
}

static int
logged_in(struct agent *agent, const struct rpc_envelope *envelope,
    struct arena *arena)
{
	struct record_error error;
	struct hello_reply hello;
	struct enroll_reply enrolled;
	int err = 0;

	if (agent->step == STEP_HELLO || agent->step == STEP_LOGIN) {
		err = record_read_json(&hello, &hello_reply_record,
		    envelope->result, envelope->result_len, arena, &error);
		if (err == 0)
			enroll_or_prove(agent, &hello);
	} else if (agent->step == STEP_ENROLL) {
		err = record_read_json(&enrolled, &enroll_reply_record,
		    envelope->result, envelope->result_len, arena, &error);
		if (err != 0)
			return err;
		agent->device = enrolled.device;
		remember_device(agent);
		say_hello(agent);
	} else {
		begin_work(agent);
	}
	return err;
}

static void
on_message(struct socket *socket, const char *text, size_t len)
{
	struct agent *agent = (struct agent *)socket;
	struct load *load = agent->load;
	struct rpc_envelope envelope;
	struct record_error error;
	struct arena arena = { 0 };

	if (text == NULL) {
		say_hello(agent);
		return;
	}
	int err = rpc_read(&envelope, text, len, &error);

	if (err == 0 && envelope.id == 0)
		return;
	if (err == 0 && agent->step > STEP_FREE) {
		err = worked(agent, &envelope, &arena);
	} else if (err == 0 && envelope.result != NULL) {
		err = logged_in(agent, &envelope, &arena);
	} else if (load->first) {
		socket_close(socket);
		load->again = true;
	} else {
		fprintf(stderr, "%.*s\n", (int)len, text);
		give_up(load, "refused while logging in");
	}
	if (err != 0)
		give_up(load, "an answer is not understood");
	arena_release(&arena);
}

static void
hung_up(struct agent *agent)
{
	socket_close(&agent->socket);
	if (agent->load->first)
		agent->load->again = true;
	else
		give_up(agent->load, "a connection ended");
}

static void
connect_agent(struct agent *agent)
{
	if (socket_connect(&agent->socket, &agent->load->sockets,
		(unsigned int)(agent - agent->load->agents)) != 0)
		hung_up(agent);
}

static void
start_next(struct load *load)
{
	while (!load->failed && load->begun < load->n &&
	    load->begun < load->ready + WINDOW) {
		struct agent *agent = &load->agents[load->begun++];
		char path[512];

		agent->load = load;
		device_path(path, agent, "");
		if (identity_open(&agent->identity, path, NULL) != 0) {
			give_up(load, "cannot make a key");
			return;
		}
		recall_device(agent);
		if (agent->device == 0 && load->join[0] == '\0')
			give_up(load, "a new device needs --join");
		else
			connect_agent(agent);
	}
}

/* A site that is not there yet is asked until it is. */
static void
connect_again(struct load *load)
{
	poll(NULL, 0, AGAIN_MS);
	load->again = false;
	load->ready = 0;
	connect_agent(load->agents);
}

static void
ready(struct load *load, struct agent *agent)
{
	if (agent->socket.state != SOCKET_CLOSED &&
	    socket_ready(&agent->socket, &load->sockets, on_message) != 0)
		hung_up(agent);
}

/* Of an idle load, the loop's only event without an agent. */
static void
read_input(struct load *load)
{
	char bytes[64];

	if (read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0)
		load->over = true;
}

/* An open loop looks at the clock all the time: it has a core of its own. */
static void
run(struct load *load)
{
	struct epoll_event events[EVENTS];

	while (!load->over) {
		bool spin = load->meter.rate > 0 && load->meter.start_us != 0;
		int n = epoll_wait(load->sockets.epoll, events, EVENTS,
		    spin ? 0 : -1);

		for (int i = 0; i < n && !load->over; i++) {
			if (events[i].data.ptr == NULL)
				read_input(load);
			else
				ready(load, events[i].data.ptr);
		}
		if (spin && !load->over)
			send_due(load);
		if (load->again)
			connect_again(load);
	}
}

static void
read_options(struct load *load, int argc, char **argv)
{
	load->n = (unsigned int)option_number(argc, argv, "--connections", 1);
	load->join = option_text(argc, argv, "--join", "");
	load->product = option_text(argc, argv, "--product", "-");
	load->folder = option_text(argc, argv, "--folder", NULL);
	load->give_back = option_flag(argc, argv, "--return");
	load->idle = option_flag(argc, argv, "--idle");
	load->first = option_flag(argc, argv, "--first");
	load->meter.seconds = option_number(argc, argv, "--seconds", 0);
	load->meter.warm_up_s = option_number(argc, argv, "--warm-up", 0);
	load->meter.rate = option_number(argc, argv, "--rate", 0);
	load->meter.total = (uint64_t)option_number(argc, argv, "--total", 0);
}

static int
set_up(struct load *load)
{
	const rlim_t wanted = load->n + 2 * WINDOW + 100;
	const struct rlimit files = { wanted, wanted };
	struct epoll_event input = { .events = EPOLLIN };

	if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
		fprintf(stderr, "load_bench: %u descriptors: %s\n", load->n,
		    strerror(errno));
		return -1;
	}
	if (mkdir(load->folder, 0700) != 0 && errno != EEXIST)
		return -1;
	load->agents = calloc(load->n, sizeof(*load->agents));
	if (load->agents == NULL ||
	    (load->idle &&
		epoll_ctl(load->sockets.epoll, EPOLL_CTL_ADD, STDIN_FILENO,
		    &input) != 0))
		return -1;
	return meter_init(&load->meter);
}

int
main(int argc, char **argv)
{
	static struct load load;

	log_open("load", LOG_WARN, 0);
	read_options(&load, argc, argv);
	if (load.n < 1 || load.n > CONNECTIONS_MAX || sodium_init() < 0)
		return 2;
	if (sockets_init(&load.sockets, option_text(argc, argv, "--ca", NULL),
		(uint16_t)option_number(argc, argv, "--port", 0)) != 0 ||
	    set_up(&load) != 0) {
		fprintf(stderr, "load_bench: cannot begin\n");
		return 1;
	}
	start_next(&load);
	run(&load);
	if (!load.failed && !load.idle && !load.first)
		meter_print(&load.meter, load.n);
	for (unsigned int i = 0; i < load.n; i++) {
		socket_close(&load.agents[i].socket);
		identity_close(load.agents[i].identity);
	}
	SSL_CTX_free(load.sockets.tls);
	free(load.meter.samples);
	free(load.agents);
	return load.failed ? 1 : 0;
}
