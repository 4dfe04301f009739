/* A site whose journal was put back, and whose admin acknowledged it, knows some
 * of its tickets no more: the device shows all that it has, once in a session,
 * before anything else is done about borrows. What the site takes up it signs
 * anew; what it does not take up yet is kept. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

/* Bytes of tickets in one lease.attach: in base64 they fit a message. */
#define SHOW_BYTES 24576
#define SHOW_MAX 64

static void show_next(struct borrow_job *job);

bool
job_is_to_show(const struct borrow_job *job)
{
	const struct keeper *keeper = job->keeper;
	const struct borrows *borrows = &keeper->borrows;

	return !borrows->shown && borrows->book.n > 0 &&
	    keeper->session.rollback[0] == '\0' &&
	    keeper->session.seen.seen_generation > 1;
}

static void
on_shown(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct borrow_job *job = ctx;
	struct borrows *borrows = &job->keeper->borrows;
	const struct attach_reply *said = reply;

	if (!job_has_answer(job, err, problem))
		return;
	const struct lease_refused *refused = said->refused.items;

	for (uint32_t i = 0; i < said->refused.count; i++) {
		int why = err_from_code(refused[i].code);

		/* It is over, there or by the counter. */
		if (why == ERR_GONE || why == ERR_NOT_FOUND)
			continue;
		if (!borrows->forgotten)
			log_warn("keeper",
			    "the site does not take up borrow-%llu (%s), which "
			    "it lent before its journal was put back; its "
			    "ticket is kept",
			    (unsigned long long)refused[i].lease,
			    refused[i].code);
		borrows->forgotten = true;
	}
	show_next(job);
}

/* The tickets behind the first job->n_shown of the book. */
static uint32_t
fill(struct attach_item items[SHOW_MAX], struct borrow_job *job)
{
	const struct ticket *ticket;
	uint32_t at = 0, n = 0;
	size_t bytes = 0;

	TAILQ_FOREACH(ticket, &job->keeper->borrows.book.tickets, entry) {
		size_t more =
		    ticket->row.len + ticket->path.len + ticket->header.len;

		if (at++ < job->n_shown)
			continue;
		if (n == SHOW_MAX || (n > 0 && bytes + more > SHOW_BYTES))
			break;
		bytes += more + 64;
		items[n++] = (struct attach_item){
			.lease = ticket->lease,
			.row_number = ticket->row_number,
			.row = { ticket->row.data, (uint32_t)ticket->row.len },
			.path = { ticket->path.data,
			    (uint32_t)ticket->path.len },
			.header = { ticket->header.data,
			    (uint32_t)ticket->header.len },
		};
	}
	job->n_shown += n;
	return n;
}

static void
show_next(struct borrow_job *job)
{
	struct attach_item items[SHOW_MAX];
	const struct attach request = { .leases = { items, fill(items, job) } };

	if (request.leases.count == 0) {
		job->keeper->borrows.shown = true;
		job->then(job);
		return;
	}
	if (!job_is_online(job) ||
	    calls_ask(job->keeper->calls, OP_LEASE_ATTACH, &request, on_shown,
		job) < 0)
		job_lost_site(job);
}

void
job_show(struct borrow_job *job, void (*then)(struct borrow_job *job))
{
	job->keeper->borrows.forgotten = false;
	job->n_shown = 0;
	job->then = then;
	show_next(job);
}
