/* Giving back what somebody asks to: with the site in the order of borrow.h, or
 * without it, all at once. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <string.h>

/* --- the answer -------------------------------------------------------------- */

void
job_answer_return(struct borrow_job *job, bool proved)
{
	struct keeper *keeper = job->keeper;
	struct local_borrow_returned reply = { .count = job->count,
		.proved = proved };
	struct borrow_job *settle;

	if (job->has_file) {
		memcpy(reply.file.site, keeper->site.site,
		    sizeof(reply.file.site));
		memcpy(reply.file.tenant, keeper->site.tenant,
		    sizeof(reply.file.tenant));
		reply.file.device = keeper->site.device;
		memcpy(reply.file.nonce, job->back.nonce,
		    sizeof(reply.file.nonce));
		reply.file.proof = job->back.proof;
		reply.file.made_at = clock_wall_ms();
		/* The site is there after all. */
		settle = session_is_up(keeper)
		    ? job_new(keeper, BORROW_JOB_SETTLE)
		    : NULL;
		if (settle != NULL)
			job_put(settle);
	}
	application_answer(keeper, &job->asker, &local_borrow_returned_record,
	    &reply);
	job_end(job);
}

/* --- without the site ----------------------------------------------------- */

/* Above every ticket that the site can have made: where a return was begun and
 * no answer came, it may have made some, for targets that were never heard. */
static void
on_offline_counter(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;
	struct book *book = job_book(job);

	if (!job_has_proof(job, err, proof))
		return;
	bool done = book->returning && book->all && book->target != 0 &&
	    proof->counter >= book->target;
	uint64_t target = proof->counter + 1;

	if (done && book_highest(book) < proof->counter) {
		job_prove(job); /* another copy of the file */
		return;
	}
	if (book->returning && book->target == 0)
		target += BORROW_AHEAD_MAX;
	if (book_highest(book) >= target)
		target = book_highest(book) + 1;
	book->returning = book->all = true;
	book->n_leases = 0;
	book->target = target;
	if (job_write(job))
		job_raise(job);
}

static bool
is_first_of(const struct book *book, const struct ticket *ticket)
{
	return book_find_any(book, ticket->lease) == ticket;
}

static void
begin_offline(struct borrow_job *job)
{
	const struct book *book = job_book(job);
	const struct ticket *ticket;
	struct problem problem;
	bool others = false, foreign = false;

	TAILQ_FOREACH(ticket, &book->tickets, entry) {
		if (!is_first_of(book, ticket))
			continue;
		job->count++;
		others = others || ticket->lease != job->lease;
		foreign = foreign || !job_may_touch(job, ticket);
	}
	if (job->count == 0 && !book->returning) {
		job_refuse_unknown(job, job->lease);
	} else if (foreign && !job->privileged) {
		problem_set(&problem, ERR_FORBIDDEN,
		    "as root: leasehold borrow return --all --offline FILE",
		    "without the site all borrows of this workstation go back "
		    "at once, and not all of them are yours");
		job_refuse(job, ERR_FORBIDDEN, &problem);
	} else if (others && !job->all) {
		problem_set(&problem, ERR_CONFLICT,
		    "leasehold borrow return --all --offline FILE",
		    "without the site all %u borrows of this workstation go "
		    "back at once, not one of them",
		    job->count);
		job_refuse(job, ERR_CONFLICT, &problem);
	} else {
		job_ask_counter(job, on_offline_counter);
	}
}

/* --- with the site -------------------------------------------------------- */

static void
name_chosen(struct borrow_job *job)
{
	struct book *book = job_book(job);
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (is_first_of(book, ticket) && job_may_touch(job, ticket) &&
		    (job->all || ticket->lease == job->lease) &&
		    book_give_back(book, ticket->lease))
			job->count++;
}

void
job_return(struct borrow_job *job)
{
	if (job->offline) {
		begin_offline(job);
		return;
	}
	if (!job_is_online(job)) {
		job_wait(job);
		return;
	}
	if (job_refuse_put_back(job))
		return;
	name_chosen(job);
	if (job->count == 0 && !job->all)
		job_refuse_unknown(job, job->lease);
	else if (job->count == 0 && !job_book(job)->returning)
		job_answer_return(job, true);
	else if (job_write(job))
		job_go_on(job);
}

void
borrow_return_begin(struct application *application, const struct asker *asker,
    const struct local_borrow_return *request)
{
	struct problem problem;
	struct borrow_job *job;

	if (request->all == (request->lease != 0)) {
		problem_set(&problem, ERR_BAD_REQUEST, NULL,
		    "name one borrow, or all");
		application_refuse(application->keeper, asker, ERR_BAD_REQUEST,
		    &problem);
		return;
	}
	job = job_begin(application, asker, BORROW_JOB_RETURN);
	if (job == NULL)
		return;
	job->lease = request->lease;
	job->all = request->all;
	job->offline = request->offline;
	job_put(job);
}
