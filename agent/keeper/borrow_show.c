/* What people are shown of borrows: the answers with one of them, and with all.
 */
#include "agent/keeper/borrow_job.h"

#include "shared/base/err.h"

#include <string.h>

static void
describe(struct local_borrow *out, struct keeper *keeper,
    const struct ticket *ticket)
{
	const struct book *book = &keeper->borrows.book;
	struct user *user = user_ref(keeper, ticket->uid);

	*out = (struct local_borrow){
		.lease = ticket->lease,
		.count = ticket->count,
		.used = tickets_used(keeper, ticket->lease),
		.type = ticket->type,
		.uid = ticket->uid,
		.state = book_is_over(ticket)           ? BORROW_UNPROVEN
		    : book_returns(book, ticket->lease) ? BORROW_RETURNING
							: BORROW_LENT,
		.taken_at = ticket->ticket.from,
		.until = ticket->ticket.until,
		.length_s = ticket->ticket.length_s,
		.epoch = ticket->ticket.epoch,
	};
	memcpy(out->product, ticket->product, sizeof(out->product));
	memcpy(out->version, ticket->version, sizeof(out->version));
	memcpy(out->feature, ticket->feature, sizeof(out->feature));
	if (user != NULL)
		memcpy(out->user, user->name, sizeof(out->user));
	user_unref(user);
}

/* The ticket that counts now; others of the same borrow are for later. */
static const struct ticket *
current(const struct keeper *keeper, uint64_t lease)
{
	const struct ticket *ticket = borrows_find(keeper, lease);

	return ticket != NULL ? ticket
			      : book_find_any(&keeper->borrows.book, lease);
}

void
job_answer_borrow(struct borrow_job *job, uint64_t lease)
{
	struct keeper *keeper = job->keeper;
	const struct ticket *ticket = current(keeper, lease);
	struct local_borrow reply;

	if (ticket == NULL) {
		job_refuse(job, ERR_GONE, NULL);
		return;
	}
	describe(&reply, keeper, ticket);
	application_answer(keeper, &job->asker, &local_borrow_record, &reply);
	job_end(job);
}

void
borrow_show(struct application *application, const struct asker *asker)
{
	struct keeper *keeper = application->keeper;
	const struct borrows *borrows = &keeper->borrows;
	struct local_borrow items[BORROW_DEVICE_MAX];
	struct local_borrows reply = { .items = { items, 0 } };
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &borrows->book.tickets, entry) {
		if (reply.items.count == BORROW_DEVICE_MAX ||
		    ticket != current(keeper, ticket->lease) ||
		    (ticket->uid != 0 &&
			!local_may_see(application, ticket->uid)))
			continue;
		describe(&items[reply.items.count++], keeper, ticket);
	}
	application_answer(keeper, asker, &local_borrows_record, &reply);
}
