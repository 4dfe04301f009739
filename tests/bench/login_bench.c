/*
 * Logins: N devices, each with its own key, that connect, shake hands, log in
 * and hang up again, all in one process.
 *
 *   login_bench --port P --ca FILE --folder DIR --connections N [--join TOKEN]
 *     --at-once N    so many are on their way in at any time; each hangs up
 *                    when it is in, and the next one comes
 *     --waves        all come in one moment, and hang up when the last is in;
 *                    then the next wave
 *     --seconds S    to count
 *     --until-eof    or until stdin ends, and with --waves the wave under way
 *     --vtpm         devices have a TPM, as a program, not a key file
 *
 * DIR keeps keys and device numbers as load_bench does: who is not known there
 * enrolls first. Prints what meter.h says; latencies are those of a login from
 * connect() to the site's yes, in microseconds.
 */
#include "shared/base/log.h"
#include "tests/bench/entry.h"
#include "tests/bench/meter.h"

#include <sodium.h>
#include <sys/stat.h>

#define DEVICES_MAX 20000
#define ENROLL_AT_ONCE 64
#define EVENTS 256

struct load;

struct agent {
	struct entry entry; /* first: what the loop knows of it */
	struct load *load;
	struct device device;
	int64_t began_us;
};

struct load {
	struct sockets sockets;
	struct agent *agents;
	struct agent **waiting; /* a ring: who comes next */
	size_t first, n_waiting;
	unsigned int n;
	unsigned int at_once;
	unsigned int under_way, inside;
	const char *join, *folder;
	uint32_t class_;
	struct meter meter;
	bool waves, until_eof;
	bool measuring; /* all are enrolled */
	bool ending; /* this wave is the last */
	bool failed, over;
};

static void
give_up(struct load *load, const char *words)
{
	fprintf(stderr, "login_bench: %s\n", words);
	load->failed = load->over = true;
}

/* --- who comes ------------------------------------------------------------- */

static void
wait_again(struct agent *agent)
{
	struct load *load = agent->load;

	load->waiting[(load->first + load->n_waiting++) % load->n] = agent;
}

static void
come(struct load *load)
{
	/* Everybody comes once before, so that those who are new enroll. */
	unsigned int most = load->measuring ? load->at_once : ENROLL_AT_ONCE;

	while (!load->over && load->n_waiting > 0 && load->under_way < most) {
		struct agent *agent = load->waiting[load->first];

		load->first = (load->first + 1) % load->n;
		load->n_waiting--;
		load->under_way++;
		agent->began_us = clock_boottime_us();
		agent->entry.step = ENTRY_OUTSIDE;
		if (socket_connect(&agent->entry.socket, &load->sockets,
			agent->entry.number) != 0)
			give_up(load, "cannot connect");
	}
}

static void
begin_measuring(struct load *load)
{
	load->measuring = true;
	if (load->at_once > load->n || load->waves)
		load->at_once = load->n;
	meter_start(&load->meter);
	if (load->until_eof)
		load->meter.end_us = INT64_MAX;
}

/* Of a wave the last one is in, or it is one by one. */
static void
leave(struct agent *agent)
{
	struct load *load = agent->load;

	if (!load->waves) {
		socket_close(&agent->entry.socket);
		wait_again(agent);
		return;
	}
	if (load->inside < load->n)
		return;
	load->over = load->ending;
	for (unsigned int i = 0; i < load->n; i++) {
		socket_close(&load->agents[i].entry.socket);
		wait_again(&load->agents[i]);
	}
	load->inside = 0;
}

static void
came_in(struct agent *agent)
{
	struct load *load = agent->load;

	load->under_way--;
	load->inside++;
	if (load->measuring) {
		if (!meter_count(&load->meter, agent->began_us, true)) {
			load->over = true;
			return;
		}
		leave(agent);
	} else {
		socket_close(&agent->entry.socket);
		if (load->inside == load->n) {
			for (unsigned int i = 0; i < load->n; i++)
				wait_again(&load->agents[i]);
			load->inside = 0;
			begin_measuring(load);
		}
	}
}

/* --- the loop -------------------------------------------------------------- */

static void
on_message(struct socket *socket, const char *text, size_t len)
{
	struct agent *agent = (struct agent *)socket;
	int rc = 0;

	if (text == NULL)
		rc = entry_begin(&agent->entry);
	else if (agent->entry.step != ENTRY_INSIDE)
		rc = entry_heard(&agent->entry, text, len);
	if (rc < 0)
		give_up(agent->load, "an agent does not come in");
	else if (rc > 0)
		came_in(agent);
}

static void
read_input(struct load *load)
{
	char bytes[64];

	if (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
		return;
	epoll_ctl(load->sockets.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	load->ending = true;
	load->over = !load->waves;
}

static void
ready(struct load *load, struct agent *agent)
{
	if (agent == NULL)
		read_input(load);
	else if (agent->entry.socket.state != SOCKET_CLOSED &&
	    socket_ready(&agent->entry.socket, &load->sockets, on_message) != 0)
		give_up(load, "a connection ended");
}

static void
run(struct load *load)
{
	struct epoll_event events[EVENTS];

	while (!load->over) {
		int n = epoll_wait(load->sockets.epoll, events, EVENTS, -1);

		for (int i = 0; i < n && !load->over; i++)
			ready(load, events[i].data.ptr);
		/* Not amid events of connections that were closed. */
		come(load);
	}
}

/* --- the beginning --------------------------------------------------------- */

static int
open_agents(struct load *load)
{
	for (unsigned int i = 0; i < load->n; i++) {
		struct agent *agent = &load->agents[i];

		agent->load = load;
		agent->entry.device = &agent->device;
		agent->entry.join = load->join;
		agent->entry.folder = load->folder;
		agent->entry.number = i;
		if (device_open(&agent->device, load->folder, i,
			load->class_) != 0)
			return -1;
		if (agent->device.number == 0 && load->join[0] == '\0') {
			fprintf(stderr, "a new device needs --join\n");
			return -1;
		}
		wait_again(agent);
	}
	return 0;
}

static int
set_up(struct load *load)
{
	struct epoll_event input = { .events = EPOLLIN };

	if (entry_allow_files(load->n + 100) != 0 ||
	    (mkdir(load->folder, 0700) != 0 && errno != EEXIST))
		return -1;
	load->agents = calloc(load->n, sizeof(*load->agents));
	load->waiting = calloc(load->n, sizeof(struct agent *));
	if (load->agents == NULL || load->waiting == NULL ||
	    open_agents(load) != 0 ||
	    (load->until_eof &&
		epoll_ctl(load->sockets.epoll, EPOLL_CTL_ADD, STDIN_FILENO,
		    &input) != 0))
		return -1;
	return meter_init(&load->meter);
}

static void
read_options(struct load *load, int argc, char **argv)
{
	load->n = (unsigned int)option_number(argc, argv, "--connections", 1);
	load->at_once =
	    (unsigned int)option_number(argc, argv, "--at-once", 64);
	load->join = option_text(argc, argv, "--join", "");
	load->folder = option_text(argc, argv, "--folder", NULL);
	load->waves = option_flag(argc, argv, "--waves");
	load->until_eof = option_flag(argc, argv, "--until-eof");
	load->class_ =
	    option_flag(argc, argv, "--vtpm") ? PROOF_VTPM : PROOF_SOFTWARE;
	load->meter.seconds = option_number(argc, argv, "--seconds", 0);
	load->meter.warm_up_s = option_number(argc, argv, "--warm-up", 0);
}

int
main(int argc, char **argv)
{
	static struct load load;

	log_open("login", LOG_WARN, 0);
	read_options(&load, argc, argv);
	if (load.n < 1 || load.n > DEVICES_MAX || load.at_once < 1 ||
	    sodium_init() < 0)
		return 2;
	if (sockets_init(&load.sockets, option_text(argc, argv, "--ca", NULL),
		(uint16_t)option_number(argc, argv, "--port", 0)) != 0 ||
	    set_up(&load) != 0) {
		fprintf(stderr, "login_bench: cannot begin\n");
		return 1;
	}
	come(&load);
	run(&load);
	if (!load.failed)
		meter_print(&load.meter, load.n);
	for (unsigned int i = 0; i < load.n; i++) {
		socket_close(&load.agents[i].entry.socket);
		device_close(&load.agents[i].device);
	}
	SSL_CTX_free(load.sockets.tls);
	free(load.meter.samples);
	free(load.waiting);
	free(load.agents);
	return load.failed ? 1 : 0;
}
