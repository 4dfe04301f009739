/* Jobs about borrows, one after the other: how one begins, waits, is refused and
 * ends; see borrow.h. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* As long as a checkout waits for a site that is away. */
#define PATIENCE_MS 5000
/* Of one user, waiting; a return of all is one. */
#define JOBS_USER_MAX 16

/* --- the queue ------------------------------------------------------------ */

static void run_next(struct keeper *keeper);

static void
on_patience(evutil_socket_t fd, short what, void *ctx)
{
	struct borrow_job *job = ctx;
	const struct session *session = &job->keeper->session;
	struct problem problem;

	(void)fd;
	(void)what;
	problem_set(&problem, ERR_UNAVAILABLE,
	    job->kind == BORROW_JOB_RETURN
		? "without the site: leasehold borrow return --all --offline "
		  "FILE"
		: "leasehold status",
	    "the site cannot be reached: %s",
	    session->trouble[0] != '\0' ? session->trouble : "not connected");
	job_refuse(job, ERR_UNAVAILABLE, &problem);
}

struct borrow_job *
job_new(struct keeper *keeper, enum borrow_kind kind)
{
	struct borrow_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->keeper = keeper;
	job->kind = kind;
	book_init(&job->incoming);
	job->timer = event_new(keeper->base, -1, 0, on_patience, job);
	if (job->timer == NULL) {
		free(job);
		return NULL;
	}
	return job;
}

static void
job_free(struct borrow_job *job)
{
	book_release(&job->incoming);
	event_free(job->timer);
	free(job);
}

void
jobs_close(struct borrows *borrows)
{
	struct borrow_job *job;

	borrows->closing = true;
	if (borrows->job != NULL)
		job_free(borrows->job);
	borrows->job = NULL;
	while ((job = TAILQ_FIRST(&borrows->waiting)) != NULL) {
		TAILQ_REMOVE(&borrows->waiting, job, entry);
		job_free(job);
	}
}

static void
run(struct borrow_job *job)
{
	job->keeper->borrows.job = job;
	switch (job->kind) {
	case BORROW_JOB_SETTLE:
		job_settle(job);
		return;
	case BORROW_JOB_TAKE:
		job_take(job);
		return;
	case BORROW_JOB_EXTEND:
		job_extend(job);
		return;
	case BORROW_JOB_RETURN:
		job_return(job);
		return;
	}
}

/* A site lends nothing to a device that owes it a return. */
static bool
settles_first(struct borrow_job *job)
{
	struct keeper *keeper = job->keeper;
	struct borrow_job *settle;

	if (job->settled || job->kind == BORROW_JOB_SETTLE ||
	    !session_is_up(keeper) || !book_is_due(&keeper->borrows.book))
		return false;
	job->settled = true;
	settle = job_new(keeper, BORROW_JOB_SETTLE);
	if (settle == NULL)
		return false;
	run(settle);
	return true;
}

static void
run_next(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;
	struct borrow_job *job = TAILQ_FIRST(&borrows->waiting);

	if (borrows->job != NULL || borrows->closing || job == NULL ||
	    settles_first(job))
		return;
	TAILQ_REMOVE(&borrows->waiting, job, entry);
	run(job);
}

void
job_put(struct borrow_job *job)
{
	struct borrows *borrows = &job->keeper->borrows;

	/* What is to be settled comes before anything new. */
	if (job->kind == BORROW_JOB_SETTLE)
		TAILQ_INSERT_HEAD(&borrows->waiting, job, entry);
	else
		TAILQ_INSERT_TAIL(&borrows->waiting, job, entry);
	run_next(job->keeper);
}

void
job_end(struct borrow_job *job)
{
	struct keeper *keeper = job->keeper;
	bool settled = job->kind == BORROW_JOB_SETTLE;

	keeper->borrows.job = NULL;
	job_free(job);
	/* The session is ready once what it began with is settled. */
	if (settled && keeper->borrows.holds_session) {
		keeper->borrows.holds_session = false;
		if (keeper->session.state == SESSION_RESUMING)
			session_ready(keeper);
	}
	run_next(keeper);
}

/* Tried again and again, and said when it is news. */
static void
not_settled(struct keeper *keeper, int err, const struct problem *problem)
{
	const char *words = problem != NULL ? problem->detail : err_str(err);
	char *last = keeper->borrows.trouble;

	if (strcmp(words, last) != 0)
		log_warn("keeper", "borrows are not settled: %s", words);
	text_copy(last, sizeof(keeper->borrows.trouble), words);
}

void
job_refuse(struct borrow_job *job, int err, const struct problem *problem)
{
	application_refuse(job->keeper, &job->asker, err, problem);
	if (job->kind == BORROW_JOB_SETTLE && err != ERR_CLOSED)
		not_settled(job->keeper, err, problem);
	job_end(job);
}

void
job_refuse_unknown(struct borrow_job *job, uint64_t lease)
{
	struct problem problem;

	if (lease == 0)
		problem_set(&problem, ERR_NOT_FOUND, NULL,
		    "nothing is borrowed on this workstation");
	else
		problem_set(&problem, ERR_GONE, "leasehold borrow list",
		    "borrow-%llu is not this user's, or not on this "
		    "workstation any more",
		    (unsigned long long)lease);
	job_refuse(job, lease == 0 ? ERR_NOT_FOUND : ERR_GONE, &problem);
}

void
job_refuse_proof(struct borrow_job *job, int err)
{
	struct problem problem;

	problem_set(&problem, ERR_UNAVAILABLE, "leasehold status",
	    "this workstation's key cannot prove anything now: %s",
	    err_str(err));
	job_refuse(job, ERR_UNAVAILABLE, &problem);
}

/* It does not know what this device holds above the
 * counter that it knows, and a proof would end it. First its admin looks; the
 * session after that begins by showing what is held. */
bool
job_refuse_put_back(struct borrow_job *job)
{
	struct problem problem;

	if (job->keeper->session.rollback[0] == '\0')
		return false;
	problem_set(&problem, ERR_ROLLED_BACK,
	    "tell the site's admin: leasehold site show",
	    "the site's journal was put back; nothing that is borrowed is "
	    "proved to it until an admin acknowledges that");
	job_refuse(job, ERR_ROLLED_BACK, &problem);
	return true;
}

bool
job_has_answer(struct borrow_job *job, int err, const struct problem *problem)
{
	if (err == ERR_CLOSED)
		job_lost_site(job);
	else if (err != 0)
		job_refuse(job, err, problem);
	return err == 0;
}

bool
job_has_proof(struct borrow_job *job, int err, const struct proof *proof)
{
	if (err == ERR_CLOSED)
		return false; /* the end: borrows_close frees it */
	if (err != 0) {
		job_refuse_proof(job, err);
		return false;
	}
	/* What is below it is over from now on, whatever comes. */
	borrows_saw_counter(job->keeper, proof->counter);
	return true;
}

void
job_ask_counter(struct borrow_job *job, proofs_done *done)
{
	int err = proofs_counter(job->keeper->proofs, done, job);

	if (err < 0)
		job_refuse_proof(job, err);
}

bool
job_is_online(const struct borrow_job *job)
{
	enum session_state state = job->keeper->session.state;

	/* What settles is what the session waits for. */
	return state == SESSION_UP ||
	    (state == SESSION_RESUMING && job->kind == BORROW_JOB_SETTLE);
}

bool
job_write(struct borrow_job *job)
{
	int err = borrows_write(job->keeper);

	if (err < 0)
		job_refuse(job, err, NULL);
	return err == 0;
}

void
job_wait(struct borrow_job *job)
{
	struct keeper *keeper = job->keeper;
	int64_t now_ms = clock_boottime_ms();
	int64_t left_ms;

	if (job->patience_ms == 0)
		job->patience_ms = now_ms + PATIENCE_MS;
	left_ms = job->patience_ms - now_ms;
	if (left_ms <= 0 || keeper->session.refused != 0) {
		on_patience(-1, 0, job);
		return;
	}
	struct timeval wait = {
		.tv_sec = left_ms / 1000,
		.tv_usec = (left_ms % 1000) * 1000,
	};

	if (event_add(job->timer, &wait) < 0)
		log_error("keeper", "no memory for a timer");
	session_hurry(keeper);
}

/* --- beginning ------------------------------------------------------------ */

bool
job_may_touch(const struct borrow_job *job, const struct ticket *ticket)
{
	return job->uid == 0 || job->uid == ticket->uid ||
	    (ticket->uid == 0 && job->privileged);
}

/* False: refused. */
static bool
may_begin(struct application *application, const struct asker *asker)
{
	struct keeper *keeper = application->keeper;
	const struct borrow_job *job;
	struct problem problem;
	unsigned int n = 0;

	TAILQ_FOREACH(job, &keeper->borrows.waiting, entry)
		n += job->uid == application->user->uid &&
		    job->asker.application != 0;
	if (!keeper->enrolled) {
		problem_set(&problem, ERR_UNAVAILABLE,
		    "leasehold enroll URL --token TOKEN",
		    "this agent is not enrolled at a site");
		application_refuse(keeper, asker, ERR_UNAVAILABLE, &problem);
		return false;
	}
	if (n >= JOBS_USER_MAX) {
		problem_set(&problem, ERR_RATE_LIMITED, NULL,
		    "%u questions of this user about borrows wait already", n);
		application_refuse(keeper, asker, ERR_RATE_LIMITED, &problem);
		return false;
	}
	return true;
}

struct borrow_job *
job_begin(struct application *application, const struct asker *asker,
    enum borrow_kind kind)
{
	struct borrow_job *job;

	if (!may_begin(application, asker))
		return NULL;
	job = job_new(application->keeper, kind);
	if (job == NULL) {
		application_refuse(application->keeper, asker, ERR_NOMEM, NULL);
		return NULL;
	}
	job->asker = *asker;
	job->uid = application->user->uid;
	job->privileged = application->privileged;
	return job;
}

/* --- a session comes up --------------------------------------------------- */

void
borrows_resume(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;
	struct borrow_job *job = borrows->job;

	borrows->shown = false;
	/* One that waited for a session has it. */
	if (job != NULL && job->kind != BORROW_JOB_SETTLE &&
	    event_pending(job->timer, EV_TIMEOUT, NULL)) {
		event_del(job->timer);
		borrows->job = NULL;
		TAILQ_INSERT_HEAD(&borrows->waiting, job, entry);
	}
	job = job_new(keeper, BORROW_JOB_SETTLE);
	if (job == NULL) {
		log_error("keeper", "no memory to settle borrows");
		session_ready(keeper);
		return;
	}
	borrows->holds_session = true;
	borrows->holds_ms = clock_boottime_ms();
	job_put(job);
}

void
borrows_go_on(struct keeper *keeper)
{
	struct borrow_job *job = keeper->borrows.job;

	if (job != NULL && event_pending(job->timer, EV_TIMEOUT, NULL)) {
		event_del(job->timer);
		run(job);
	}
}
