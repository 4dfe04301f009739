/* The supervisor with real processes: each test runs it in a child and speaks
 * to what it started over a pipe of reports. */
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/supervisor.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
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

static void
say(enum said said, int index)
{
	struct report report = { said, index, getpid() };

	if (write(world.reports[1], &report, sizeof(report)) !=
	    (ssize_t)sizeof(report))
		_exit(9);
}

static volatile sig_atomic_t got_hup;
static volatile sig_atomic_t got_term;

static void
on_signal(int signal_number)
{
	if (signal_number == SIGHUP)
		got_hup = 1;
	else
		got_term = 1;
}

/* Set up so that only ppoll is interrupted: no signal is lost. */
static void
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
static bool
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

static int
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

static int
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

static int
reload(void *ctx)
{
	(void)ctx;
	say(PARENT_RELOADED, 0);
	return world.refuse_reload ? ERR_BAD_REQUEST : 0;
}

static void
started(void *ctx)
{
	(void)ctx;
	say(STARTED, 0);
}

static int
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

static void
world_start(void)
{
	world.parent = fork();
	ck_assert_int_ge(world.parent, 0);
	if (world.parent == 0)
		_exit(supervisor_run(&supervisor));
}

static void
setup(void)
{
	log_open("check", LOG_ERROR + 1, 0);
	memset(&world, 0, sizeof(world));
	ck_assert_int_eq(pipe2(world.reports, O_CLOEXEC | O_NONBLOCK), 0);
}

static void
teardown(void)
{
	close(world.reports[0]);
	close(world.reports[1]);
}

/* The next report, or one with pid 0 when none comes within wait_ms. */
static struct report
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
static void
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

static void
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

static int
parent_status(void)
{
	int status;

	ck_assert_int_eq(waitpid(world.parent, &status, 0), world.parent);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Orphans are reaped by init or a subreaper; give that a moment. */
static bool
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

static void
end_world(void)
{
	kill(world.parent, SIGTERM);
	ck_assert_int_eq(parent_status(), 0);
}

START_TEST(core_and_edges_start_and_speak)
{
	struct seen seen;

	world_start();
	see_running(&seen, true, 3, 5000);
	end_world();
	ck_assert(is_gone(seen.core));
	ck_assert(is_gone(seen.edges[0]));
	ck_assert(is_gone(seen.edges[1]));
}
END_TEST

START_TEST(started_is_told_once_after_the_sandbox)
{
	struct report r;

	world_start();
	see(SANDBOXED, 5000);
	see(STARTED, 5000);
	kill(world.parent, SIGTERM);
	for (r = hear(500); r.pid != 0; r = hear(500))
		ck_assert(r.said != STARTED && r.said != SANDBOXED);
	ck_assert_int_eq(parent_status(), 0);
}
END_TEST

START_TEST(a_killed_edge_is_replaced_at_once)
{
	struct seen seen;
	struct seen after;

	world_start();
	see_running(&seen, true, 3, 5000);
	after = seen;
	int64_t start = clock_boottime_ms();

	kill(seen.edges[1], SIGKILL);
	see_running(&after, false, 2, 5000);
	ck_assert_int_lt(clock_boottime_ms() - start, 500);
	ck_assert_int_eq(after.core, seen.core);
	ck_assert_int_eq(after.edges[0], seen.edges[0]);
	ck_assert_int_ne(after.edges[1], seen.edges[1]);
	end_world();
}
END_TEST

START_TEST(a_killed_core_takes_its_edges_and_all_come_back)
{
	struct seen seen;
	struct seen after;

	world_start();
	see_running(&seen, true, 3, 5000);
	int64_t start = clock_boottime_ms();

	kill(seen.core, SIGKILL);
	see_running(&after, true, 3, 5000);
	ck_assert_int_lt(clock_boottime_ms() - start, 500);
	ck_assert_int_ne(after.core, seen.core);
	ck_assert(is_gone(seen.edges[0]));
	ck_assert(is_gone(seen.edges[1]));
	end_world();
}
END_TEST

START_TEST(children_die_with_a_killed_parent)
{
	struct seen seen;
	int status;

	world_start();
	see_running(&seen, true, 3, 5000);
	kill(world.parent, SIGKILL);
	ck_assert_int_eq(waitpid(world.parent, &status, 0), world.parent);
	ck_assert(is_gone(seen.core));
	ck_assert(is_gone(seen.edges[0]));
	ck_assert(is_gone(seen.edges[1]));
}
END_TEST

START_TEST(a_failing_edge_is_tried_less_and_less)
{
	int tries = 0;
	int64_t end;

	world.edge_fails = true;
	world_start();
	see(EDGE_RUNS, 5000);
	/* 0, 0, 100, 300, 700, 1500 ms, twice */
	end = clock_boottime_ms() + 1000;
	while (clock_boottime_ms() < end) {
		struct report r = hear((int)(end - clock_boottime_ms()));

		if (r.pid != 0 && r.said == EDGE_RUNS)
			tries++;
		ck_assert(r.pid == 0 || r.said != STARTED);
	}
	ck_assert_int_ge(tries, 5);
	ck_assert_int_le(tries, 9);
	end_world();
}
END_TEST

START_TEST(a_configuration_error_is_not_retried)
{
	world.core_status = 2;
	world_start();
	ck_assert_int_eq(parent_status(), 2);
}
END_TEST

START_TEST(reload_reaches_parent_and_children)
{
	struct seen seen;

	world_start();
	see_running(&seen, true, 3, 5000);
	kill(world.parent, SIGHUP);
	see(PARENT_RELOADED, 2000);
	for (int i = 0; i < 1 + EDGES; i++)
		see(RELOADED, 2000);
	end_world();
}
END_TEST

START_TEST(a_reload_waits_for_a_child_that_starts)
{
	int reloaded = 0;
	struct report r;

	world.leaves_core_late = true;
	world_start();
	see(EDGE_RUNS, 2000);
	kill(world.parent, SIGHUP);
	see(PARENT_RELOADED, 2000);
	while ((r = hear(1000)).pid != 0)
		reloaded += r.said == RELOADED && r.index == -1;
	ck_assert_int_eq(reloaded, 1);
	end_world();
}
END_TEST

START_TEST(a_refused_reload_changes_nothing)
{
	struct seen seen;
	struct report r;

	world.refuse_reload = true;
	world_start();
	see_running(&seen, true, 3, 5000);
	kill(world.parent, SIGHUP);
	see(PARENT_RELOADED, 2000);
	while ((r = hear(300)).pid != 0)
		ck_assert(r.said != RELOADED);
	end_world();
}
END_TEST

START_TEST(edges_stop_before_the_core)
{
	struct seen seen;
	struct report r;
	int order[1 + EDGES];
	int n = 0;

	world_start();
	see_running(&seen, true, 3, 5000);
	kill(world.parent, SIGTERM);
	while (n < 1 + EDGES) {
		r = hear(2000);
		ck_assert_int_ne(r.pid, 0);
		if (r.said == STOPS)
			order[n++] = r.index;
	}
	ck_assert_int_ge(order[0], 0);
	ck_assert_int_ge(order[1], 0);
	ck_assert_int_eq(order[2], -1);
	ck_assert_int_eq(parent_status(), 0);
}
END_TEST

START_TEST(who_does_not_stop_is_killed)
{
	struct seen seen;

	world.deaf = true;
	world_start();
	see_running(&seen, true, 3, 5000);
	int64_t start = clock_boottime_ms();

	end_world();
	/* A second for the edges, one for the core. */
	ck_assert_int_ge(clock_boottime_ms() - start, 1900);
	ck_assert_int_lt(clock_boottime_ms() - start, 4000);
	ck_assert(is_gone(seen.core));
}
END_TEST

START_TEST(a_second_term_does_not_wait)
{
	struct seen seen;

	world.deaf = true;
	world_start();
	see_running(&seen, true, 3, 5000);
	int64_t start = clock_boottime_ms();

	kill(world.parent, SIGTERM);
	poll(NULL, 0, 100);
	kill(world.parent, SIGTERM);
	poll(NULL, 0, 200);
	kill(world.parent, SIGINT);
	ck_assert_int_eq(parent_status(), 0);
	ck_assert_int_lt(clock_boottime_ms() - start, 1000);
}
END_TEST

static int
notify_listen(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	text_copy(address.sun_path + 1, sizeof(address.sun_path) - 1, name);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un,
					     sun_path) +
				 1 + strlen(name))),
	    0);
	return fd;
}

static const char *
notified(int fd)
{
	static char text[256];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	text[0] = '\0';
	if (poll(&pfd, 1, 5000) > 0) {
		ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
	}
	return text;
}

START_TEST(the_service_manager_is_told)
{
	char name[64];
	char value[80];

	snprintf(name, sizeof(name), "check-supervisor-%d", (int)getpid());
	snprintf(value, sizeof(value), "@%s", name);
	int fd = notify_listen(name);

	setenv("NOTIFY_SOCKET", value, 1);
	world_start();
	ck_assert_str_eq(notified(fd), "READY=1");
	kill(world.parent, SIGHUP);
	ck_assert(
	    strncmp(notified(fd), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
	ck_assert_str_eq(notified(fd), "READY=1");
	kill(world.parent, SIGTERM);
	ck_assert_str_eq(notified(fd), "STOPPING=1");
	ck_assert_int_eq(parent_status(), 0);
	close(fd);
}
END_TEST

/* Every descriptor a child has beyond the standard ones. */
static int
leaks_main(void *ctx, const struct supervisor_child *child)
{
	for (int fd = 3; fd < 256; fd++) {
		if (fcntl(fd, F_GETFD) < 0 || fd == child->control ||
		    fd == child->edge_fd || fd == world.reports[0] ||
		    fd == world.reports[1])
			continue;
		/* Not ours and from before the supervisor: check's own. */
		if (((bool *)ctx)[fd])
			continue;
		return 2;
	}
	if (!(fcntl(child->control, F_GETFD) & FD_CLOEXEC))
		return 2;
	supervisor_ready(child);
	for (;;)
		pause();
}

START_TEST(a_child_holds_only_its_own_descriptors)
{
	bool before[256];
	struct supervisor leaks = supervisor;

	for (int fd = 0; fd < 256; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	leaks.ctx = before;
	leaks.edges = 4;
	leaks.core_main = leaks_main;
	leaks.edge_main = leaks_main;
	world.parent = fork();
	ck_assert_int_ge(world.parent, 0);
	if (world.parent == 0)
		_exit(supervisor_run(&leaks));
	see(STARTED, 5000);
	end_world();
}
END_TEST

START_TEST(sixteen_edges_are_the_most)
{
	struct supervisor many = supervisor;

	many.edges = 17;
	ck_assert_int_eq(supervisor_run(&many), 2);
	many.edges = 0;
	ck_assert_int_eq(supervisor_run(&many), 2);
}
END_TEST

START_TEST(an_empty_control_is_busy_and_a_closed_one_says_so)
{
	int pair[2];
	int fd;
	int index;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     pair),
	    0);
	ck_assert_int_eq(supervisor_receive_edge(&fd, &index, pair[0]),
	    ERR_BUSY);
	close(pair[1]);
	ck_assert_int_eq(supervisor_receive_edge(&fd, &index, pair[0]),
	    ERR_CLOSED);
	struct supervisor_child child = { pair[0], -1, -1 };

	ck_assert_int_eq(supervisor_ready(&child), ERR_CLOSED);
	close(pair[0]);
}
END_TEST

static void
add_life(TCase *tcase)
{
	tcase_add_test(tcase, core_and_edges_start_and_speak);
	tcase_add_test(tcase, started_is_told_once_after_the_sandbox);
	tcase_add_test(tcase, a_killed_edge_is_replaced_at_once);
	tcase_add_test(tcase, a_killed_core_takes_its_edges_and_all_come_back);
	tcase_add_test(tcase, children_die_with_a_killed_parent);
	tcase_add_test(tcase, a_failing_edge_is_tried_less_and_less);
	tcase_add_test(tcase, a_configuration_error_is_not_retried);
	tcase_add_test(tcase, a_child_holds_only_its_own_descriptors);
	tcase_add_test(tcase, sixteen_edges_are_the_most);
	tcase_add_test(tcase,
	    an_empty_control_is_busy_and_a_closed_one_says_so);
}

Suite *
suite(void)
{
	Suite *s = suite_create("supervisor");
	TCase *tcase = tcase_create("supervisor");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_life(tcase);
	tcase_add_test(tcase, reload_reaches_parent_and_children);
	tcase_add_test(tcase, a_reload_waits_for_a_child_that_starts);
	tcase_add_test(tcase, a_refused_reload_changes_nothing);
	tcase_add_test(tcase, edges_stop_before_the_core);
	tcase_add_test(tcase, who_does_not_stop_is_killed);
	tcase_add_test(tcase, a_second_term_does_not_wait);
	tcase_add_test(tcase, the_service_manager_is_told);
	suite_add_tcase(s, tcase);
	return s;
}
