/*
 * A supervisor with real processes, run in a child of the test, and a pipe of
 * reports by which they all speak to the test. For the files that test the
 * supervisor; it must not know what they expect.
 */
#ifndef TESTS_UNIT_SUPERVISOR_WORLD_H
#define TESTS_UNIT_SUPERVISOR_WORLD_H

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/supervisor.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EDGES 2

/* What a process says to the test, one write each. */
enum said {
	CORE_RUNS,
	EDGE_RUNS,
	EDGE_LINKED, /* an edge's word came through the core */
	RELOADED, /* a child got SIGHUP */
	PARENT_RELOADED,
	STARTED,
	STOPS, /* a child got SIGTERM */
	SANDBOXED,
};
struct report {
	enum said said;
	int index; /* -1: core */
	pid_t pid;
};

struct world {
	int reports[2];
	pid_t parent;
	/* how children behave */
	int core_status; /* exit at once with it, when not 0 */
	bool edge_fails; /* exit at once with 1, not ready */
	bool deaf; /* ignore SIGTERM */
	bool refuse_reload;
	bool leaves_core_late; /* core says ready after 300 ms */
};
static struct world world;

static inline void
say(enum said said, int index)
{
	struct report report = { said, index, getpid() };

	if (write(world.reports[1], &report, sizeof(report)) !=
	    (ssize_t)sizeof(report))
		_exit(9);
}

static volatile sig_atomic_t got_hup;
static volatile sig_atomic_t got_term;

static inline void
on_signal(int signal_number)
{
	if (signal_number == SIGHUP)
		got_hup = 1;
	else
		got_term = 1;
}

/* Set up so that only ppoll is interrupted: no signal is lost. */
static inline void
block_signals(sigset_t *during)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGHUP);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_BLOCK, &both, during);
	sigaction(SIGHUP, &action, NULL);
	if (!world.deaf)
		sigaction(SIGTERM, &action, NULL);
	else
		signal(SIGTERM, SIG_IGN);
}

/* True when there is something to read; deals with the signals. */
static inline bool
child_wait(const struct pollfd *fds, nfds_t n, const sigset_t *during,
    int index)
{
	struct pollfd copy[8];

	memcpy(copy, fds, n * sizeof(*fds));
	int ready = ppoll(copy, n, NULL, during);

	if (got_hup) {
		got_hup = 0;
		say(RELOADED, index);
	}
	if (got_term) {
		say(STOPS, index);
		exit(0);
	}
	return ready > 0;
}

static inline int
core_main(void *ctx, const struct supervisor_child *child)
{
	struct pollfd fds[8];
	nfds_t n = 1;
	sigset_t during;

	(void)ctx;
	block_signals(&during);
	if (world.core_status != 0)
		return world.core_status;
	if (world.leaves_core_late)
		poll(NULL, 0, 300);
	fds[0] = (struct pollfd){ .fd = child->control, .events = POLLIN };
	say(CORE_RUNS, -1);
	if (supervisor_ready(child) != 0)
		return 1;
	for (;;) {
		int fd;
		int index;
		char c;

		if (!child_wait(fds, n, &during, -1))
			continue;
		int err = supervisor_receive_edge(&fd, &index, child->control);

		if (err == ERR_CLOSED)
			return 1;
		if (err == 0 && n < 8)
			fds[n++] =
			    (struct pollfd){ .fd = fd, .events = POLLIN };
		for (nfds_t i = 1; i < n;) {
			ssize_t got = recv(fds[i].fd, &c, 1, MSG_DONTWAIT);

			if (got == 1)
				say(EDGE_LINKED, c);
			if (got == 0) {
				close(fds[i].fd);
				fds[i] = fds[--n];
				continue;
			}
			i++;
		}
	}
}

static inline int
edge_main(void *ctx, const struct supervisor_child *child)
{
	char c = (char)child->edge_index;
	sigset_t during;

	(void)ctx;
	block_signals(&during);
	say(EDGE_RUNS, child->edge_index);
	if (world.edge_fails)
		return 1;
	if (write(child->edge_fd, &c, 1) != 1 || supervisor_ready(child) != 0)
		return 1;
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = child->edge_fd, .events = POLLIN },
		};

		if (child_wait(fds, 1, &during, child->edge_index))
			return 0; /* the core is gone */
	}
}

static inline int
reload(void *ctx)
{
	(void)ctx;
	say(PARENT_RELOADED, 0);
	return world.refuse_reload ? ERR_BAD_REQUEST : 0;
}

static inline void
started(void *ctx)
{
	(void)ctx;
	say(STARTED, 0);
}

static inline int
enter_sandbox(void *ctx)
{
	(void)ctx;
	say(SANDBOXED, 0);
	return 0;
}

static const struct supervisor supervisor = {
	.name = "checkd",
	.core_name = "core",
	.edge_name = "edge",
	.edges = EDGES,
	.core_main = core_main,
	.edge_main = edge_main,
	.reload = reload,
	.started = started,
	.enter_sandbox = enter_sandbox,
	.drain_s = 1,
};

static inline void
world_start(void)
{
	world.parent = fork();
	ck_assert_int_ge(world.parent, 0);
	if (world.parent == 0)
		_exit(supervisor_run(&supervisor));
}

static inline void
setup(void)
{
	log_open("check", LOG_ERROR + 1, 0);
	memset(&world, 0, sizeof(world));
	ck_assert_int_eq(pipe2(world.reports, O_CLOEXEC | O_NONBLOCK), 0);
}

static inline void
teardown(void)
{
	close(world.reports[0]);
	close(world.reports[1]);
}

/* The next report, or one with pid 0 when none comes within wait_ms. */
static inline struct report
hear(int wait_ms)
{
	struct report report = { 0 };
	struct pollfd fd = { .fd = world.reports[0], .events = POLLIN };

	if (poll(&fd, 1, wait_ms) > 0)
		ck_assert_int_eq(read(fd.fd, &report, sizeof(report)),
		    sizeof(report));
	return report;
}

struct seen {
	pid_t core;
	pid_t edges[EDGES];
};

/* Reads on until core (if wanted) and every edge in the mask ran and is
 * linked to the core. */
static inline void
see_running(struct seen *seen, bool core, unsigned edges, int wait_ms)
{
	unsigned linked = 0;
	unsigned run = 0;
	int64_t end = clock_boottime_ms() + wait_ms;

	while (core || run != edges || linked != edges) {
		int64_t left = end - clock_boottime_ms();
		struct report r = hear(left > 0 ? (int)left : 0);

		ck_assert_msg(r.pid != 0, "core %d run %u linked %u", core, run,
		    linked);
		if (r.said == CORE_RUNS) {
			seen->core = r.pid;
			core = false;
		}
		if (r.said == EDGE_RUNS) {
			seen->edges[r.index] = r.pid;
			run |= 1U << r.index;
		}
		if (r.said == EDGE_LINKED)
			linked |= 1U << r.index;
	}
}

static inline void
see(enum said said, int wait_ms)
{
	int64_t end = clock_boottime_ms() + wait_ms;

	for (;;) {
		int64_t left = end - clock_boottime_ms();
		struct report r = hear(left > 0 ? (int)left : 0);

		ck_assert_msg(r.pid != 0, "never heard %d", (int)said);
		if (r.said == said)
			return;
	}
}

static inline int
parent_status(void)
{
	int status;

	ck_assert_int_eq(waitpid(world.parent, &status, 0), world.parent);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Orphans are reaped by init or a subreaper; give that a moment. */
static inline bool
is_gone(pid_t pid)
{
	for (int i = 0; i < 200; i++) {
		char path[64];
		uint8_t *stat;
		size_t len;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		if (file_read(&stat, &len, path, 4096) != 0)
			return true;
		bool zombie = strstr((char *)stat, ") Z ") != NULL;

		free(stat);
		if (zombie)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

static inline void
end_world(void)
{
	kill(world.parent, SIGTERM);
	ck_assert_int_eq(parent_status(), 0);
}

#endif
