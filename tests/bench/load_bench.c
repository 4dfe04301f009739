/*
 * A load generator that speaks the real protocol: N agents, each a device of
 * its own with its own key, on N TLS connections, all in one process.
 *
 *   load_bench --port P --ca FILE --folder DIR --connections N [--join TOKEN]
 *     --seconds S    closed loop: each agent has one checkout under way
 *     --rate R       open loop of so many checkouts a second, all together
 *     --total N      stop after N answers
 *     --return       give each seat back before the next checkout
 *     --borrow       borrow.take in place of a checkout, and give it back by
 *                    proof; an answer counts when it is given back
 *     --idle         log in, say "ready", stay until stdin ends
 *     --first        try until a seat is granted; prints when (CLOCK_BOOTTIME)
 *     --share-core   of an open loop: leave the core to others while it waits
 *     --vtpm         devices have a TPM, as a program, not a key file
 *
 * DIR keeps keys and device numbers: agents that are known there log in, others
 * enroll with TOKEN first. Prints what meter.h says; latencies are those of
 * checkouts, in microseconds; of borrows from its challenge to its end.
 */
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"
#include "tests/bench/lend.h"
#include "tests/bench/meter.h"

#include <poll.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define CONNECTIONS_MAX 20000
/* Logging in at once: a site that is asked by all at once would hang up on the
 * last ones. */
#define WINDOW 64
#define AGAIN_MS 2
#define EVENTS 256

enum step {
	STEP_FREE,
	STEP_CHECKOUT,
	STEP_RETURN,
	STEP_BORROW, /* and give it back */
};

struct load;

struct agent {
	struct entry entry; /* first: what the loop knows of it */
	struct load *load;
	struct agent *next_free;
	struct device device;
	enum step step;
	struct lend lend;
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
	uint32_t class_; /* of its devices */
	const char *join;
	const char *product;
	const char *folder;
	struct meter meter;
	bool give_back, borrow, idle, first, share_core;
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
	if (entry_ask(&agent->entry, op, request) != 0)
		give_up(agent->load, "cannot send");
}

/* --- the work ------------------------------------------------------------- */

static void
check_out(struct agent *agent, int64_t meant_us)
{
	struct checkout checkout = { .version = "8.1.0", .count = 1 };
	unsigned int number = agent->entry.number;

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
borrow(struct agent *agent)
{
	agent->lend = (struct lend){ .entry = &agent->entry,
		.product = agent->load->product };
	agent->meant_us = clock_boottime_us();
	agent->step = STEP_BORROW;
	if (lend_begin(&agent->lend) != 0)
		give_up(agent->load, "cannot send");
}

static void
next_turn(struct agent *agent)
{
	struct load *load = agent->load;

	if (load->meter.rate > 0) {
		agent->step = STEP_FREE;
		agent->next_free = load->free;
		load->free = agent;
	} else if (load->borrow) {
		borrow(agent);
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

static void
lent(struct agent *agent, const char *text, size_t len)
{
	struct load *load = agent->load;
	int rc = lend_heard(&agent->lend, text, len);

	if (rc < 0)
		give_up(load, "a borrow fails");
	else if (rc > 0 && !meter_count(&load->meter, agent->meant_us, true))
		load->over = true;
	else if (rc > 0)
		next_turn(agent);
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

static void
enter(struct agent *agent, const char *text, size_t len)
{
	struct load *load = agent->load;
	int rc = text == NULL ? entry_begin(&agent->entry)
			      : entry_heard(&agent->entry, text, len);

	if (rc > 0) {
		begin_work(agent);
	} else if (rc < 0 && load->first) {
		socket_close(&agent->entry.socket);
		load->again = true;
	} else if (rc < 0) {
		give_up(load, "an agent does not come in");
	}
}

static void
on_message(struct socket *socket, const char *text, size_t len)
{
	struct agent *agent = (struct agent *)socket;
	struct rpc_envelope envelope;
	struct record_error error;
	struct arena arena = { 0 };

	if (text == NULL || agent->entry.step != ENTRY_INSIDE) {
		enter(agent, text, len);
		return;
	}
	if (agent->step == STEP_BORROW) {
		lent(agent, text, len);
		return;
	}
	int err = rpc_read(&envelope, text, len, &error);

	if (err == 0 && envelope.id == 0)
		return;
	if (err == 0)
		err = worked(agent, &envelope, &arena);
	if (err != 0)
		give_up(agent->load, "an answer is not understood");
	arena_release(&arena);
}

static void
hung_up(struct agent *agent)
{
	socket_close(&agent->entry.socket);
	if (agent->load->first)
		agent->load->again = true;
	else
		give_up(agent->load, "a connection ended");
}

static void
connect_agent(struct agent *agent)
{
	agent->entry.step = ENTRY_OUTSIDE;
	if (socket_connect(&agent->entry.socket, &agent->load->sockets,
		agent->entry.number) != 0)
		hung_up(agent);
}

static void
start_next(struct load *load)
{
	while (!load->failed && load->begun < load->n &&
	    load->begun < load->ready + WINDOW) {
		struct agent *agent = &load->agents[load->begun];

		agent->load = load;
		agent->entry.device = &agent->device;
		agent->entry.join = load->join;
		agent->entry.folder = load->folder;
		agent->entry.number = load->begun++;
		if (device_open(&agent->device, load->folder,
			agent->entry.number, load->class_) != 0) {
			give_up(load, "cannot make a key");
			return;
		}
		if (agent->device.number == 0 && load->join[0] == '\0')
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
	if (agent->entry.socket.state != SOCKET_CLOSED &&
	    socket_ready(&agent->entry.socket, &load->sockets, on_message) != 0)
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

/* An open loop looks at the clock all the time when it has a core of its own,
 * else it sleeps until the next checkout is due. */
static int
wait_for_events(struct load *load, struct epoll_event events[EVENTS],
    bool timed)
{
	struct timespec left = { 0 };

	if (!timed)
		return epoll_wait(load->sockets.epoll, events, EVENTS, -1);
	if (load->share_core && load->free != NULL) {
		int64_t us = (int64_t)load->meter.next_us - clock_boottime_us();

		if (us > 0)
			left = (struct timespec){ us / 1000000,
				us % 1000000 * 1000 };
	} else if (load->share_core) {
		left.tv_sec = 1;
	}
	return epoll_pwait2(load->sockets.epoll, events, EVENTS, &left, NULL);
}

static void
run(struct load *load)
{
	struct epoll_event events[EVENTS];

	while (!load->over) {
		bool timed = load->meter.rate > 0 && load->meter.start_us != 0;
		int n = wait_for_events(load, events, timed);

		for (int i = 0; i < n && !load->over; i++) {
			if (events[i].data.ptr == NULL)
				read_input(load);
			else
				ready(load, events[i].data.ptr);
		}
		if (timed && !load->over)
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
	load->borrow = option_flag(argc, argv, "--borrow");
	load->share_core = option_flag(argc, argv, "--share-core");
	load->class_ =
	    option_flag(argc, argv, "--vtpm") ? PROOF_VTPM : PROOF_SOFTWARE;
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
	struct epoll_event input = { .events = EPOLLIN };

	if (entry_allow_files(load->n + 100) != 0)
		return -1;
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
	prctl(PR_SET_TIMERSLACK, 1UL);
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
		socket_close(&load.agents[i].entry.socket);
		device_close(&load.agents[i].device);
	}
	SSL_CTX_free(load.sockets.tls);
	free(load.meter.samples);
	free(load.agents);
	return load.failed ? 1 : 0;
}
