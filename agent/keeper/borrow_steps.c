/* The steps of a return, in the order of borrow.h: prepare, raise, prove. Each
 * goes on to the next one, whoever began. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>

/* A site that names another target each time is asked no more than that. */
#define ROUNDS_MAX 8

static void
ask_proof(struct borrow_job *job, proofs_done *done)
{
	const struct enrolment *site = &job->keeper->site;
	struct proof_subject subject;

	randombytes_buf(job->back.nonce, sizeof(job->back.nonce));
	ticket_return_subject(&subject, site->site, site->tenant, site->device,
	    job->back.nonce);
	int err = proofs_make(job->keeper->proofs, &subject, done, job);

	if (err < 0)
		job_refuse_proof(job, err);
}

/* Nothing of what was to come back is lent any more. */
static void
returned(struct borrow_job *job)
{
	if (job->kind == BORROW_JOB_RETURN)
		job_answer_return(job, true);
	else if (job->rounds++ < ROUNDS_MAX)
		job_settle_anew(job); /* is that all? */
	else
		job_end(job);
}

/* --- prepare -------------------------------------------------------------- */

/* What stays has a ticket for the target: only then may the counter go there.
 */
static void
on_replacements(struct borrow_job *job)
{
	struct book *book = job_book(job);
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (!book_returns(book, ticket->lease) &&
		    book_find(book, ticket->lease, job->target) == NULL)
			log_warn("keeper",
			    "the site takes borrow-%llu back too",
			    (unsigned long long)ticket->lease);
	book->target = job->target;
	if (job_write(job))
		job_raise(job);
}

static void
on_none_lent(struct borrow_job *job)
{
	book_finish(job_book(job), job->keeper->borrows.counter);
	if (job_write(job))
		returned(job);
}

/* Each step up to it is written into the TPM, which bears so many and no more.
 */
static bool
is_near(struct borrow_job *job, uint64_t target)
{
	uint64_t counter = job->keeper->borrows.counter;
	struct problem problem;

	if (target <= counter + BORROW_AHEAD_MAX)
		return true;
	problem_set(&problem, ERR_MISMATCH, "tell an admin of the site",
	    "the site asks this workstation to count from %llu to %llu, and no "
	    "return needs more than %d steps",
	    (unsigned long long)counter, (unsigned long long)target,
	    BORROW_AHEAD_MAX);
	job_refuse(job, ERR_MISMATCH, &problem);
	return false;
}

static void
on_prepared(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct borrow_prepared *prepared = reply;

	if (!job_has_answer(job, err, problem))
		return;
	if (!is_near(job, prepared->epoch))
		return;
	job->target = prepared->epoch;
	job_fetch(job, job->target == 0 ? on_none_lent : on_replacements);
}

static void
on_prepare_proof(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;
	struct lease_ref refs[BORROW_DEVICE_MAX];
	struct borrow_prepare request = { .leases = { refs, 0 } };
	const struct book *book = job_book(job);

	if (!job_has_proof(job, err, proof))
		return;
	request.all = book->all;
	for (uint32_t i = 0; i < book->n_leases; i++)
		refs[request.leases.count++].lease = book->leases[i];
	memcpy(request.nonce, job->back.nonce, sizeof(request.nonce));
	request.proof = *proof;
	if (!job_is_online(job) ||
	    calls_ask(job->keeper->calls, OP_BORROW_PREPARE, &request,
		on_prepared, job) < 0)
		job_lost_site(job);
}

void
job_prepare(struct borrow_job *job)
{
	ask_proof(job, on_prepare_proof);
}

/* --- raise ---------------------------------------------------------------- */

/* The counter stands here now. */
static void
on_counter(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;
	uint64_t target = job_book(job)->target;

	if (!job_has_proof(job, err, proof))
		return;
	if (proof->counter >= target) {
		job_prove(job);
		return;
	}
	err = proofs_raise(job->keeper->proofs, proof->counter + 1, on_counter,
	    job);
	if (err < 0)
		job_refuse_proof(job, err);
}

void
job_raise(struct borrow_job *job)
{
	job_ask_counter(job, on_counter);
}

/* --- prove ---------------------------------------------------------------- */

/* A target of which no answer ever came here left tickets that this proof did
 * not end. */
static bool
is_left(const struct book *book, const struct borrow_returned *said,
    uint64_t counter)
{
	const struct ticket *ticket;

	if (book->all)
		return said->left > 0;
	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (book_returns(book, ticket->lease) &&
		    ticket->ticket.epoch >= counter)
			return true;
	return false;
}

static void
on_returned(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct borrow_returned *said = reply;
	struct book *book = job_book(job);

	if (!job_has_answer(job, err, problem))
		return;
	if (said->ended > 0)
		log_info("keeper",
		    "the site has the proof that %u borrows came back",
		    said->ended);
	if (is_left(book, said, job->back.proof.counter) &&
	    job->rounds++ < ROUNDS_MAX) {
		book->target = 0;
		if (job_write(job))
			job_prepare(job);
		return;
	}
	book_finish(book, job->back.proof.counter);
	if (job_write(job))
		returned(job);
}

static void
on_return_proof(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;

	if (!job_has_proof(job, err, proof))
		return;
	job->back.proof = *proof;
	if (job->offline) {
		job->has_file = true;
		job_answer_return(job, false);
	} else if (!job_is_online(job) ||
	    calls_ask(job->keeper->calls, OP_BORROW_RETURN, &job->back,
		on_returned, job) < 0) {
		job_lost_site(job);
	}
}

void
job_prove(struct borrow_job *job)
{
	ask_proof(job, on_return_proof);
}

void
job_go_on(struct borrow_job *job)
{
	if (job_book(job)->target == 0)
		job_prepare(job);
	else
		job_raise(job);
}
