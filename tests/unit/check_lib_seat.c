/* What a seat is to the threads and children of its process. */
#include "tests/unit/lib_client.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

START_TEST(seat_is_not_the_childs)
{
	struct lh_seat *seat, *other = NULL;
	int status;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	pid_t child = fork();

	if (child == 0) {
		int wrong = 0;

		wrong |= lh_seat_valid(seat) != 0;
		wrong |= lh_seat_left_ms(seat) != 0;
		wrong |= lh_checkout(&other, client, "tool", "8", NULL, NULL,
			     0) != LH_E_ARGUMENT;
		wrong |= lh_beat(client, 100) != LH_E_ARGUMENT;
		lh_return(seat);
		lh_client_free(client);
		_exit(wrong);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	/* Nothing came back in its name. */
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 0);
	lh_return(seat);
	ck_assert_uint_eq(AGENT_GET(&agent, last_lease), 1);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* Their allocators have locks that other threads may have held. */
#define CAN_LIVE_AFTER_FORK 0
#else
#define CAN_LIVE_AFTER_FORK 1
#endif

START_TEST(child_may_make_a_client_of_its_own)
{
	struct lh_seat *seat, *other = NULL;
	int status;

	if (!CAN_LIVE_AFTER_FORK) {
		test_skip("child_may_make_a_client_of_its_own",
		    "sanitizers allow no life after a fork of threads");
		return;
	}
	ck_assert_int_eq(checkout(&seat), LH_OK);
	pid_t child = fork();

	if (child == 0) {
		int wrong = 0;

		lh_client_free(client);
		new_client();
		wrong |= checkout(&other) != LH_OK;
		wrong |= lh_seat_valid(other) != 1;
		lh_client_free(client);
		_exit(wrong);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(lh_seat_valid(seat), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, returns), 1);
	ck_assert_uint_eq(AGENT_GET(&agent, last_lease), 2);
}
END_TEST

START_TEST(seat_is_not_the_grandchilds_either)
{
	struct lh_seat *seat;
	int status;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	pid_t child = fork();

	if (child == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0)
			_exit(lh_seat_valid(seat));
		if (waitpid(grandchild, &status, 0) != grandchild)
			_exit(2);
		_exit(status != 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* --- no system call --------------------------------------------------------
 */

/* Syscall user dispatch (prctl(2), Linux 5.11): while this byte says so, the
 * kernel answers each system call of this thread with SIGSYS. */
static volatile char dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
static volatile sig_atomic_t system_calls;

static void
on_system_call(int number)
{
	(void)number;
	dispatch = SYSCALL_DISPATCH_FILTER_ALLOW; /* returning is one too */
	system_calls = system_calls + 1;
}

START_TEST(valid_makes_no_system_call)
{
	struct sigaction action = { .sa_handler = on_system_call };
	struct timespec now;
	struct lh_seat *seat;
	int valid = 0;

	ck_assert_int_eq(checkout(&seat), LH_OK);
	sigaction(SIGSYS, &action, NULL);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0,
		&dispatch) != 0) {
		test_skip("valid_makes_no_system_call",
		    "this kernel cannot tell (syscall user dispatch)");
		return;
	}
	dispatch = SYSCALL_DISPATCH_FILTER_BLOCK;
	clock_gettime(CLOCK_BOOTTIME, &now);
	dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
	if (system_calls != 0) {
		test_skip("valid_makes_no_system_call",
		    "no CLOCK_BOOTTIME in this machine's vDSO");
		return;
	}
	dispatch = SYSCALL_DISPATCH_FILTER_BLOCK;
	for (int i = 0; i < 1000; i++)
		valid += lh_seat_valid(seat);
	dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
	ck_assert_int_eq(system_calls, 0);
	ck_assert_int_eq(valid, 1000);
	/* And the means of telling does tell. */
	dispatch = SYSCALL_DISPATCH_FILTER_BLOCK;
	(void)syscall(SYS_getpid);
	dispatch = SYSCALL_DISPATCH_FILTER_ALLOW;
	ck_assert_int_eq(system_calls, 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib seat");
	TCase *tc = tcase_create("lib seat");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, seat_is_not_the_childs);
	tcase_add_test(tc, child_may_make_a_client_of_its_own);
	tcase_add_test(tc, seat_is_not_the_grandchilds_either);
	tcase_add_test(tc, valid_makes_no_system_call);
	suite_add_tcase(s, tc);
	return s;
}
