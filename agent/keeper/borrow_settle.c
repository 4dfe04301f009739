/* Settling what ran out, and what the site says is owed: a return that nobody
 * asked for, from wherever the book says that it stands. */
#include "agent/keeper/borrow_job.h"

#include <sodium.h>

/* What ran out comes back by itself. */
static bool
name_ran_out(struct book *book)
{
	const struct ticket *ticket;
	bool any = false;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (book_is_over(ticket))
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
on_fetched(struct borrow_job *job)
{
	struct book *book = job_book(job);
	uint64_t counter = job->keeper->borrows.counter;

	sodium_memzero(book->taking, sizeof(book->taking));
	if (name_ran_out(book) || job->site_target > counter ||
	    (job->owed != 0 && counter <= job->owed)) {
		book->returning = true;
		book->target = 0;
		if (job_write(job))
			job_prepare(job);
		return;
	}
	if (!job_write(job))
		return;
	tickets_watch(job->keeper);
	job->keeper->borrows.trouble[0] = '\0';
	if (any_below(book, counter))
		job_prove(job);
	else
		job_end(job);
}

void
job_settle_anew(struct borrow_job *job)
{
	job_fetch(job, on_fetched);
}

static void
on_shown(struct borrow_job *job)
{
	if (job_refuse_put_back(job))
		return;
	if (job_book(job)->returning)
		job_go_on(job);
	else
		job_settle_anew(job);
}

static void
on_counter(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;

	if (!job_has_proof(job, err, proof))
		return;
	if (job_is_to_show(job))
		job_show(job, on_shown);
	else
		on_shown(job);
}

void
job_settle(struct borrow_job *job)
{
	job_ask_counter(job, on_counter);
}
