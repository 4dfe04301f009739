/* Core and edges under parents of their own, which meet at doors. */
#include "tests/unit/supervisor_world.h"

#include "shared/base/listen.h"

#include <sys/un.h>

static char folder[64];

static void
door_path(char *path, size_t size, int index)
{
	snprintf(path, size, "%s/%d", folder, index);
}

static int
edge_connect(void *ctx, int *fd, int index)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)ctx;
	door_path(address.sun_path, sizeof(address.sun_path), index);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(*fd, (const struct sockaddr *)&address, sizeof(address)) ==
	    0)
		return 0;
	close(*fd);
	return ERR_UNAVAILABLE;
}

/* In the core's parent. */
static int
run_core(uid_t uid)
{
	struct supervisor core = supervisor;
	struct supervisor_door doors[EDGES];
	char path[100], error[200];

	for (int i = 0; i < EDGES; i++) {
		doors[i] =
		    (struct supervisor_door){ .name = "edge", .uid = uid };
		door_path(path, sizeof(path), i);
		if (listen_local(&doors[i].listener, error, sizeof(error),
			path) != 0)
			return 8;
	}
	core.edges = 0;
	core.doors = doors;
	core.n_doors = EDGES;
	return supervisor_run(&core);
}

static pid_t
start_core(uid_t uid)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(run_core(uid));
	return pid;
}

static void
start_edges(void)
{
	struct supervisor edges = supervisor;

	edges.core_main = NULL;
	edges.core_name = NULL;
	edges.edge_connect = edge_connect;
	world.parent = fork();
	ck_assert_int_ge(world.parent, 0);
	if (world.parent == 0)
		_exit(supervisor_run(&edges));
}

static void
end_core(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
doors_setup(void)
{
	setup();
	snprintf(folder, sizeof(folder), "/tmp/check-doors-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
doors_teardown(void)
{
	char path[100];

	for (int i = 0; i < EDGES; i++) {
		door_path(path, sizeof(path), i);
		unlink(path);
	}
	rmdir(folder);
	teardown();
}

START_TEST(edges_wait_for_a_core_and_come_to_it)
{
	struct seen seen;

	start_edges();
	see(SANDBOXED, 40000);
	pid_t core = start_core(geteuid());

	see_running(&seen, true, (1U << EDGES) - 1, 40000);
	end_world();
	end_core(core);
}
END_TEST

START_TEST(edges_come_back_to_another_core)
{
	struct seen seen;
	pid_t core = start_core(geteuid());

	see(STARTED, 40000);
	start_edges();
	/* It is not alone with its edges: the core's own report is read. */
	see_running(&seen, false, (1U << EDGES) - 1, 40000);
	end_core(core);
	core = start_core(geteuid());
	see_running(&seen, true, (1U << EDGES) - 1, 40000);
	end_world();
	end_core(core);
}
END_TEST

START_TEST(a_door_is_for_one_user)
{
	pid_t core = start_core(geteuid() + 1);
	struct report r;

	see(STARTED, 40000);
	start_edges();
	/* They are started, hung up on, and started again. */
	for (int runs = 0; runs < 2 * EDGES + 1;) {
		r = hear(40000);
		ck_assert_int_ne(r.pid, 0);
		ck_assert_int_ne(r.said, EDGE_LINKED);
		if (r.said == EDGE_RUNS)
			runs++;
	}
	end_world();
	end_core(core);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("supervisor_doors");
	TCase *tcase = tcase_create("supervisor_doors");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, doors_setup, doors_teardown);
	tcase_add_test(tcase, edges_wait_for_a_core_and_come_to_it);
	tcase_add_test(tcase, edges_come_back_to_another_core);
	tcase_add_test(tcase, a_door_is_for_one_user);
	suite_add_tcase(s, tcase);
	return s;
}
