/* Giving back, and settling what the site says is owed: the order of borrow.h,
 * from wherever the book says that it stands. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>

/* A site that names another target each time is asked no more than that. */
#define ROUNDS_MAX 8

static void step_prepare(struct borrow_job *job);
static void step_raise(struct borrow_job *job);
static void step_prove(struct borrow_job *job);

static struct book *
book_of(struct borrow_job *job)
{
	return &job->keeper->borrows.book;
}

static bool
write_or_refuse(struct borrow_job *job)
{
	int err = borrows_write(job->keeper);

	if (err < 0)
		job_refuse(job, err, NULL);
	return err == 0;
}

static int
ask_proof(struct borrow_job *job, proofs_done *done)
{
	const struct enrolment *site = &job->keeper->site;
	struct proof_subject subject;

	randombytes_buf(job->back.nonce, sizeof(job->back.nonce));
	ticket_return_subject(&subject, site->site, site->tenant, site->device,
	    job->back.nonce);
	return proofs_make(job->keeper->proofs, &subject, done, job);
}

static void
go_on(struct borrow_job *job)
{
	if (book_of(job)->target == 0)
		step_prepare(job);
	else
		step_raise(job);
}

/* --- the end -------------------------------------------------------------- */

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

/* --- what is to be settled ------------------------------------------------ */

/* What ran out comes back by itself. */
static bool
name_ran_out(struct book *book)
{
	int64_t now = clock_wall_ms();
	const struct ticket *ticket;
	bool any = false;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (ticket->over || ticket->ticket.until <= now)
			any = book_give_back(book, ticket->lease) || any;
	return any;
}

static bool
any_below(const struct book *book, uint64_t counter)
{
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (ticket->ticket.epoch < counter)
			return true;
	return false;
}

/* The book says what the site has for this device. */
static void
on_settle_fetched(struct borrow_job *job)
{
	struct book *book = book_of(job);
	uint64_t counter = job->keeper->borrows.counter;

	sodium_memzero(book->taking, sizeof(book->taking));
	if (name_ran_out(book) || job->site_target > counter ||
	    (job->owed != 0 && counter <= job->owed)) {
		book->returning = true;
		book->target = 0;
		if (write_or_refuse(job))
			step_prepare(job);
		return;
	}
	if (!write_or_refuse(job))
		return;
	tickets_watch(job->keeper);
	job->keeper->borrows.trouble[0] = '\0';
	if (any_below(book, counter))
		step_prove(job);
	else
		job_end(job);
}

/* A journal that was put back does not know what this device holds above the
 * counter that it knows, and a proof would end it. First its admin looks; the
 * session after that begins by showing what is held. */
static bool
refuse_put_back(struct borrow_job *job)
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

static void
on_settle_shown(struct borrow_job *job)
{
	if (refuse_put_back(job))
		return;
	if (book_of(job)->returning)
		go_on(job);
	else
		job_fetch(job, on_settle_fetched);
}

static void
on_settle_counter(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;

	if (err == ERR_CLOSED)
		return; /* the end: borrows_close frees it */
	if (err != 0) {
		job_refuse_proof(job, err);
		return;
	}
	borrows_saw_counter(job->keeper, proof->counter);
	if (job_is_to_show(job))
		job_show(job, on_settle_shown);
	else
		on_settle_shown(job);
}

void
job_settle(struct borrow_job *job)
{
	int err = proofs_counter(job->keeper->proofs, on_settle_counter, job);

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
		job_fetch(job, on_settle_fetched); /* is that all? */
	else
		job_end(job);
}

/* --- prepare -------------------------------------------------------------- */

/* What stays has a ticket for the target: only then may the counter go there.
 */
static void
on_replacements(struct borrow_job *job)
{
	struct book *book = book_of(job);
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (!book_returns(book, ticket->lease) &&
		    book_find(book, ticket->lease, job->target) == NULL)
			log_warn("keeper",
			    "the site takes borrow-%llu back too",
			    (unsigned long long)ticket->lease);
	book->target = job->target;
	if (write_or_refuse(job))
		step_raise(job);
}

static void
on_none_lent(struct borrow_job *job)
{
	book_finish(book_of(job), job->keeper->borrows.counter);
	if (write_or_refuse(job))
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

	if (err == ERR_CLOSED) {
		job_lost_site(job);
		return;
	}
	if (err != 0) {
		job_refuse(job, err, problem);
		return;
	}
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
	const struct book *book = book_of(job);

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		job_refuse_proof(job, err);
		return;
	}
	borrows_saw_counter(job->keeper, proof->counter);
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

static void
step_prepare(struct borrow_job *job)
{
	int err = ask_proof(job, on_prepare_proof);

	if (err < 0)
		job_refuse_proof(job, err);
}

/* --- raise ---------------------------------------------------------------- */

/* The counter stands here now. */
static void
on_counter(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;
	uint64_t target = book_of(job)->target;

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		job_refuse_proof(job, err);
		return;
	}
	/* What is below it is over from now on, whatever comes. */
	borrows_saw_counter(job->keeper, proof->counter);
	if (proof->counter >= target) {
		step_prove(job);
		return;
	}
	err = proofs_raise(job->keeper->proofs, proof->counter + 1, on_counter,
	    job);
	if (err < 0)
		job_refuse_proof(job, err);
}

static void
step_raise(struct borrow_job *job)
{
	int err = proofs_counter(job->keeper->proofs, on_counter, job);

	if (err < 0)
		job_refuse_proof(job, err);
}

/* --- prove ---------------------------------------------------------------- */

static void
on_returned(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct borrow_returned *said = reply;
	struct book *book = book_of(job);

	if (err == ERR_CLOSED) {
		job_lost_site(job);
		return;
	}
	if (err != 0) {
		job_refuse(job, err, problem);
		return;
	}
	if (said->ended > 0)
		log_info("keeper",
		    "the site has the proof that %u borrows came back",
		    said->ended);
	/* A target of which no answer ever came here left tickets above. */
	if (book->all && said->left > 0 && job->rounds++ < ROUNDS_MAX) {
		book->target = 0;
		if (write_or_refuse(job))
			step_prepare(job);
		return;
	}
	book_finish(book, job->back.proof.counter);
	if (write_or_refuse(job))
		returned(job);
}

static void
on_return_proof(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		job_refuse_proof(job, err);
		return;
	}
	borrows_saw_counter(job->keeper, proof->counter);
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

static void
step_prove(struct borrow_job *job)
{
	int err = ask_proof(job, on_return_proof);

	if (err < 0)
		job_refuse_proof(job, err);
}

/* --- without the site ----------------------------------------------------- */

/* Above every ticket that the site can have made: where a return was begun and
 * no answer came, it may have made some, for targets that were never heard. */
static void
on_offline_counter(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;
	struct book *book = book_of(job);

	if (err == ERR_CLOSED)
		return;
	if (err != 0) {
		job_refuse_proof(job, err);
		return;
	}
	bool done = book->returning && book->all && book->target != 0 &&
	    proof->counter >= book->target;
	uint64_t target = proof->counter + 1;

	borrows_saw_counter(job->keeper, proof->counter);
	if (done && book_highest(book) < proof->counter) {
		step_prove(job); /* another copy of the file */
		return;
	}
	if (book->returning && book->target == 0)
		target += BORROW_AHEAD_MAX;
	if (book_highest(book) >= target)
		target = book_highest(book) + 1;
	book->returning = book->all = true;
	book->n_leases = 0;
	book->target = target;
	if (write_or_refuse(job))
		step_raise(job);
}

static bool
is_first_of(const struct book *book, const struct ticket *ticket)
{
	return book_find_any(book, ticket->lease) == ticket;
}

static void
begin_offline(struct borrow_job *job)
{
	const struct book *book = book_of(job);
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
		int err = proofs_counter(job->keeper->proofs,
		    on_offline_counter, job);

		if (err < 0)
			job_refuse_proof(job, err);
	}
}

/* --- with the site -------------------------------------------------------- */

static void
name_chosen(struct borrow_job *job)
{
	struct book *book = book_of(job);
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
	if (refuse_put_back(job))
		return;
	name_chosen(job);
	if (job->count == 0 && !job->all)
		job_refuse_unknown(job, job->lease);
	else if (job->count == 0 && !book_of(job)->returning)
		job_answer_return(job, true);
	else if (write_or_refuse(job))
		go_on(job);
}

void
borrow_return_begin(struct application *application, const struct asker *asker,
    const struct local_borrow_return *request)
{
	struct keeper *keeper = application->keeper;
	struct problem problem;
	struct borrow_job *job;

	if (request->all == (request->lease != 0)) {
		problem_set(&problem, ERR_BAD_REQUEST, NULL,
		    "name one borrow, or all");
		application_refuse(keeper, asker, ERR_BAD_REQUEST, &problem);
		return;
	}
	if (!job_may_begin(application, asker))
		return;
	job = job_new(keeper, BORROW_JOB_RETURN);
	if (job == NULL) {
		application_refuse(keeper, asker, ERR_NOMEM, NULL);
		return;
	}
	job_is_of(job, application, asker);
	job->lease = request->lease;
	job->all = request->all;
	job->offline = request->offline;
	job_put(job);
}
