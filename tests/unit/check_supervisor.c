/* Births, deaths and restarts of a core and its edges. */
#include "tests/unit/supervisor_world.h"

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
	ck_assert_int_lt(clock_boottime_ms() - start, 1000);
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
	ck_assert_int_lt(clock_boottime_ms() - start, 1000);
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

START_TEST(seventeen_edges_are_the_most)
{
	struct supervisor many = supervisor;

	many.edges = 18;
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

Suite *
suite(void)
{
	Suite *s = suite_create("supervisor");
	TCase *tcase = tcase_create("supervisor");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, core_and_edges_start_and_speak);
	tcase_add_test(tcase, started_is_told_once_after_the_sandbox);
	tcase_add_test(tcase, a_killed_edge_is_replaced_at_once);
	tcase_add_test(tcase, a_killed_core_takes_its_edges_and_all_come_back);
	tcase_add_test(tcase, children_die_with_a_killed_parent);
	tcase_add_test(tcase, a_failing_edge_is_tried_less_and_less);
	tcase_add_test(tcase, a_configuration_error_is_not_retried);
	tcase_add_test(tcase, a_child_holds_only_its_own_descriptors);
	tcase_add_test(tcase, seventeen_edges_are_the_most);
	tcase_add_test(tcase,
	    an_empty_control_is_busy_and_a_closed_one_says_so);
	suite_add_tcase(s, tcase);
	return s;
}
