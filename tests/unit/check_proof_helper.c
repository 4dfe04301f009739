/* The helper thread: order, bounds, the end. */
#include "shared/base/err.h"
#include "shared/proof/helper.h"
#include "tests/unit/suite.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>

struct job {
	struct helper_job head;
	int number;
	pthread_t worked_in;
};

static struct helper *helper;
static int order[64], n_done, n_cancelled;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void
work(struct helper_job *head)
{
	struct job *job = (struct job *)head;

	pthread_mutex_lock(&gate); /* held by a test that wants it busy */
	pthread_mutex_unlock(&gate);
	job->worked_in = pthread_self();
}

static void
done(struct helper_job *head)
{
	struct job *job = (struct job *)head;

	order[n_done++] = job->number;
	n_cancelled += head->cancelled;
}

static struct job
make_job(int number)
{
	return (struct job){ .head = { .work = work, .done = done },
		.number = number };
}

static void
wait_for(int n)
{
	struct pollfd fd = { .fd = helper_fd(helper), .events = POLLIN };

	while (n_done < n) {
		ck_assert_int_eq(poll(&fd, 1, 10000), 1);
		helper_reap(helper);
	}
}

static void
setup(void)
{
	ck_assert_int_eq(helper_new(&helper, 8), 0);
}

static void
teardown(void)
{
	helper_free(helper);
}

START_TEST(jobs_come_back_in_order)
{
	struct job jobs[6];

	for (int i = 0; i < 6; i++) {
		jobs[i] = make_job(i);
		ck_assert_int_eq(helper_submit(helper, &jobs[i].head), 0);
	}
	wait_for(6);
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(order[i], i);
		ck_assert(!pthread_equal(jobs[i].worked_in, pthread_self()));
	}
	ck_assert_int_eq(n_cancelled, 0);
	/* The last may ring behind; nothing comes with it. */
	helper_reap(helper);
	ck_assert_int_eq(n_done, 6);
}
END_TEST

START_TEST(too_many_jobs_are_refused)
{
	struct job jobs[16];
	int taken = 0;

	pthread_mutex_lock(&gate);
	for (int i = 0; i < 16; i++) {
		jobs[i] = make_job(i);
		int err = helper_submit(helper, &jobs[i].head);

		ck_assert(err == 0 || err == ERR_BUSY);
		taken += err == 0;
	}
	/* Eight wait; one more where the thread has already taken the first. */
	ck_assert_int_ge(taken, 8);
	ck_assert_int_le(taken, 9);
	pthread_mutex_unlock(&gate);
	wait_for(taken);
	ck_assert_int_eq(n_done, taken);
}
END_TEST

START_TEST(end_gives_every_job_back)
{
	struct job jobs[8];

	pthread_mutex_lock(&gate);
	for (int i = 0; i < 8; i++) {
		jobs[i] = make_job(i);
		ck_assert_int_eq(helper_submit(helper, &jobs[i].head), 0);
	}
	pthread_mutex_unlock(&gate);
	helper_free(helper);
	helper = NULL;
	ck_assert_int_eq(n_done, 8);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(order[i], i);
}
END_TEST

static struct job follower;

static void
submit_another(struct helper_job *head)
{
	done(head);
	if (!head->cancelled)
		(void)helper_submit(helper, &follower.head);
}

START_TEST(done_may_submit)
{
	struct job first = make_job(1);

	first.head.done = submit_another;
	follower = make_job(2);
	ck_assert_int_eq(helper_submit(helper, &first.head), 0);
	wait_for(2);
	ck_assert_int_eq(order[0], 1);
	ck_assert_int_eq(order[1], 2);
	/* The same struct again. */
	ck_assert_int_eq(helper_submit(helper, &first.head), 0);
	wait_for(4);
}
END_TEST

START_TEST(worker_without_jobs_ends)
{
	helper_free(helper);
	helper = NULL;
	helper_free(NULL);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("proof_helper");
	TCase *tc = tcase_create("helper");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, jobs_come_back_in_order);
	tcase_add_test(tc, too_many_jobs_are_refused);
	tcase_add_test(tc, end_gives_every_job_back);
	tcase_add_test(tc, done_may_submit);
	tcase_add_test(tc, worker_without_jobs_ends);
	suite_add_tcase(s, tc);
	return s;
}
