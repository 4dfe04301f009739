/* What the supervisor is told and tells: reload, stop, the service manager. */
#include "shared/base/notify.h"
#include "tests/unit/supervisor_world.h"

#include <stddef.h>
#include <sys/un.h>

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

START_TEST(the_watchdog_hears_that_the_parent_turns)
{
	char name[64];
	char value[80];

	snprintf(name, sizeof(name), "check-supervisor-%d", (int)getpid());
	snprintf(value, sizeof(value), "@%s", name);
	int fd = notify_listen(name);

	setenv("NOTIFY_SOCKET", value, 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	world_start();
	int beats = 0;

	/* READY=1 comes between them. */
	for (int i = 0; i < 8 && beats < 3; i++)
		beats += strcmp(notified(fd), "WATCHDOG=1") == 0;
	ck_assert_int_eq(beats, 3);
	kill(world.parent, SIGTERM);
	ck_assert_int_eq(parent_status(), 0);
	close(fd);
}
END_TEST

START_TEST(a_watchdog_of_another_process_hears_nothing)
{
	char other[24];

	setenv("WATCHDOG_USEC", "100000", 1);
	ck_assert_int_eq(notify_watchdog_ms(), 50);
	snprintf(other, sizeof(other), "%d", (int)getppid());
	setenv("WATCHDOG_PID", other, 1);
	ck_assert_int_eq(notify_watchdog_ms(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	ck_assert_int_eq(notify_watchdog_ms(), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("supervisor_stop");
	TCase *tcase = tcase_create("supervisor_stop");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reload_reaches_parent_and_children);
	tcase_add_test(tcase, a_reload_waits_for_a_child_that_starts);
	tcase_add_test(tcase, a_refused_reload_changes_nothing);
	tcase_add_test(tcase, edges_stop_before_the_core);
	tcase_add_test(tcase, who_does_not_stop_is_killed);
	tcase_add_test(tcase, a_second_term_does_not_wait);
	tcase_add_test(tcase, the_service_manager_is_told);
	tcase_add_test(tcase, the_watchdog_hears_that_the_parent_turns);
	tcase_add_test(tcase, a_watchdog_of_another_process_hears_nothing);
	suite_add_tcase(s, tcase);
	return s;
}
