/* Who a process becomes, and what its threads and children may then do. */
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 64001

static char folder[64];

static void
setup(void)
{
	text_copy(folder, sizeof(folder), "/tmp/check_users.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	log_open("check", LOG_ERROR + 1, 0);
}

static void
teardown(void)
{
	ck_assert_int_eq(chdir(folder), 0);
	(void)!rmdir("thing");
	ck_assert_int_eq(rmdir(folder), 0);
}

/* --- threads and children ---------------------------------------------------
 */

static pthread_barrier_t barrier;

static void *
thread_main(void *ctx)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	/* A second arena: malloc counts the cores. */
	void *memory = malloc(300000);

	if (memory == NULL)
		_exit(70);
	free(memory);
	if (ctx != NULL)
		(void)syscall(SYS_unshare, 0);
	return NULL;
}

static int
enter_with_thread(void *ctx)
{
	pthread_t thread;

	if (pthread_barrier_init(&barrier, NULL, 2) != 0 ||
	    pthread_create(&thread, NULL, thread_main, ctx) != 0)
		return 71;
	pthread_barrier_wait(&barrier);
	if (sandbox_no_new_privileges() != 0 ||
	    sandbox_enter(SANDBOX_LEDGER) != 0)
		return 72;
	pthread_barrier_wait(&barrier);
	return pthread_join(thread, NULL) == 0 ? 0 : 73;
}

static int
in_child(int (*run)(void *ctx), void *ctx)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run(ctx));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

START_TEST(threads_work_and_are_bound_too)
{
	ck_assert_int_eq(in_child(enter_with_thread, NULL), 0);
#ifndef SANDBOX_LOG
	int status = in_child(enter_with_thread, "");

	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGSYS);
#endif
}
END_TEST

static int
restarted_ledger(void *ctx)
{
	if (geteuid() == 0 && sandbox_drop_user(NOBODY, NOBODY, 0) != 0)
		return 80;
	return enter_with_thread(ctx);
}

static int
parent_inside(void *ctx)
{
	if (sandbox_no_new_privileges() != 0 ||
	    sandbox_enter(SANDBOX_PARENT) != 0)
		return 83;
	int status = in_child(restarted_ledger, ctx);

	if (status < 0)
		return 81;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 82;
}

START_TEST(a_parent_inside_still_makes_children)
{
	ck_assert_int_eq(in_child(parent_inside, NULL), 0);
}
END_TEST

/* --- users ------------------------------------------------------------------
 */

static int
become_nobody(void *ctx)
{
	const unsigned long long keep = 1ULL << CAP_SYS_PTRACE;
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	gid_t groups[8];
	int signal_number = 0;

	(void)ctx;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (sandbox_drop_user(NOBODY, NOBODY + 1, keep) != 0)
		return 1;
	if (getuid() != NOBODY || geteuid() != NOBODY ||
	    getegid() != NOBODY + 1 || getgroups(8, groups) != 0)
		return 2;
	if (setuid(0) == 0 || setgid(0) == 0)
		return 3;
	if (capget(&header, data) != 0 || data[0].permitted != keep ||
	    data[0].effective != keep || data[1].permitted != 0 ||
	    data[0].inheritable != 0)
		return 4;
	if (prctl(PR_GET_PDEATHSIG, &signal_number) != 0 ||
	    signal_number != SIGTERM)
		return 5;
	if (prctl(PR_CAPBSET_READ, CAP_SETUID) != 0)
		return 6;
	return open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0 ? 7 : 0;
}

START_TEST(another_user_for_good)
{
	if (geteuid() != 0) {
		test_skip("users:another_user_for_good", "not root");
		return;
	}
	ck_assert_int_eq(in_child(become_nobody, NULL), 0);
}
END_TEST

/* The parent of a daemon: root with just enough to make its children. */
static int
shrink_root(void *ctx)
{
	const unsigned long long keep = 1ULL << CAP_SETUID |
	    1ULL << CAP_SETGID | 1ULL << CAP_SYS_CHROOT | 1ULL << CAP_KILL;

	if (sandbox_drop_user(0, 0, keep) != 0)
		return 90;
	if (sandbox_no_new_privileges() != 0 ||
	    sandbox_enter(SANDBOX_PARENT) != 0)
		return 91;
	if (geteuid() != 0)
		return 92;
	int status = in_child(restarted_ledger, ctx);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 93;
}

START_TEST(a_small_root_still_makes_children_of_other_users)
{
	if (geteuid() != 0) {
		test_skip("users:a_small_root", "not root");
		return;
	}
	ck_assert_int_eq(in_child(shrink_root, NULL), 0);
}
END_TEST

static int
enter_root(void *ctx)
{
	if (sandbox_empty_root(ctx) != 0)
		return 1;
	return access("/etc", F_OK) == 0 ? 2 : 0;
}

START_TEST(an_empty_root_is_empty)
{
	if (geteuid() != 0) {
		test_skip("users:an_empty_root_is_empty", "not root");
		return;
	}
	ck_assert_int_eq(in_child(enter_root, folder), 0);
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(mkdir("thing", 0700), 0);
	ck_assert_int_eq(in_child(enter_root, folder), 1 << 8);
	ck_assert_int_eq(in_child(enter_root, "/tmp/is/not/there"), 1 << 8);
}
END_TEST

START_TEST(users_are_names_or_numbers)
{
	uid_t uid;
	gid_t gid;

	ck_assert_int_eq(sandbox_user_parse(&uid, &gid, "root"), 0);
	ck_assert_uint_eq(uid, 0);
	ck_assert_int_eq(sandbox_user_parse(&uid, &gid, "64001"), 0);
	ck_assert_uint_eq(uid, 64001);
	ck_assert_uint_eq(gid, 64001);
	ck_assert_int_eq(sandbox_user_parse(&uid, &gid, "daemon"), 0);
	ck_assert_uint_ne(uid, 0);
	static const char *const bad[] = { "", "no-such-user-here", "-1",
		"4294967295", "99999999999999999999", "64001x" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(sandbox_user_parse(&uid, &gid, bad[i]),
		    ERR_NOT_FOUND);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("users");
	TCase *tcase = tcase_create("users");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, threads_work_and_are_bound_too);
	tcase_add_test(tcase, a_parent_inside_still_makes_children);
	tcase_add_test(tcase, another_user_for_good);
	tcase_add_test(tcase, a_small_root_still_makes_children_of_other_users);
	tcase_add_test(tcase, an_empty_root_is_empty);
	tcase_add_test(tcase, users_are_names_or_numbers);
	suite_add_tcase(s, tcase);
	return s;
}
