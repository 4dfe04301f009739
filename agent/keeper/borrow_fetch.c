/* What the site has for this device: tickets, page by page, each checked
 * against the site's key, and the licenses that they were made under, so that
 * an application can be shown all of it without the site. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>

static void next_page(struct borrow_job *job);
static void next_license(struct borrow_job *job);

void
job_lost_site(struct borrow_job *job)
{
	switch (job->kind) {
	case BORROW_JOB_SETTLE:
		job_end(job); /* the next session begins with it anew */
		return;
	case BORROW_JOB_TAKE:
	case BORROW_JOB_EXTEND:
		job_wait(job);
		return;
	case BORROW_JOB_RETURN:
		job_answer_return(job, false);
		return;
	}
}

/* --- into the book -------------------------------------------------------- */

/* Whose a borrow is, the site does not know: only that it is this device's. */
static uint32_t
owner_of(const struct borrow_job *job, uint64_t lease)
{
	const struct ticket *known =
	    book_find_any(&job->keeper->borrows.book, lease);

	return known != NULL ? known->uid : 0;
}

/* One that was asked for here, perhaps before a crash; or that was seen to be
 * over. */
static void
know_more(struct borrow_job *job)
{
	const struct book *book = &job->keeper->borrows.book;
	struct ticket *ticket = TAILQ_LAST(&job->incoming.tickets, ticket_list);
	const struct ticket *known;

	if (!sodium_is_zero(book->taking, sizeof(book->taking)) &&
	    memcmp(ticket->request, book->taking, sizeof(book->taking)) == 0)
		ticket->uid = book->taker;
	TAILQ_FOREACH(known, &book->tickets, entry)
		if (known->row_number == ticket->row_number)
			ticket->over = known->over;
}

/* A site whose journal was put back does not know what it lent: its device
 * keeps it, to show it. */
static int
keep_forgotten(struct borrow_job *job)
{
	const struct keeper *keeper = job->keeper;
	const struct ticket *ticket;
	int err = 0;

	if (keeper->session.rollback[0] == '\0' && !keeper->borrows.forgotten)
		return 0;
	TAILQ_FOREACH(ticket, &keeper->borrows.book.tickets, entry) {
		const struct borrow_evidence evidence = {
			.lease = ticket->lease,
			.row_number = ticket->row_number,
			.row = { ticket->row.data, (uint32_t)ticket->row.len },
			.path = { ticket->path.data,
			    (uint32_t)ticket->path.len },
			.header = { ticket->header.data,
			    (uint32_t)ticket->header.len },
		};

		if (err == 0 &&
		    book_find(&job->incoming, ticket->lease,
			ticket->ticket.epoch) == NULL)
			err = book_add(&job->incoming, &evidence, ticket->uid);
	}
	return err;
}

/* Its journal was put back and goes on from there, or an admin gave it up: what
 * the site does not hold as lent here, others may have. */
static void
tell_forgotten(const struct borrow_job *job)
{
	const struct book *book = &job->keeper->borrows.book;
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &book->tickets, entry)
		if (ticket == book_find_any(book, ticket->lease) &&
		    !book_returns(book, ticket->lease) &&
		    book_find_any(&job->incoming, ticket->lease) == NULL)
			log_warn("keeper",
			    "the site does not know of borrow-%llu any more: "
			    "it ends here",
			    (unsigned long long)ticket->lease);
}

static void
take_incoming(struct borrow_job *job)
{
	int err = keep_forgotten(job);

	if (err < 0) {
		job_refuse(job, err, NULL);
		return;
	}
	tell_forgotten(job);
	book_replace(&job->keeper->borrows.book, &job->incoming);
	job->then(job);
}

/* --- licenses ------------------------------------------------------------- */

static bool
is_kept(const struct keeper *keeper, const struct ticket *ticket)
{
	const struct ticket *known;

	TAILQ_FOREACH(known, &keeper->borrows.book.tickets, entry)
		if (memcmp(known->license, ticket->license,
			sizeof(known->license)) == 0)
			return true;
	return false;
}

/* The next one that is not surely on the disk; NULL: all are. */
static const struct ticket *
wants_license(struct borrow_job *job)
{
	const struct keeper *keeper = job->keeper;
	const struct ticket *ticket;

	TAILQ_FOREACH(ticket, &job->incoming.tickets, entry) {
		if (memcmp(ticket->license, job->kept, sizeof(job->kept)) == 0)
			continue;
		if (!is_kept(keeper, ticket))
			return ticket;
	}
	return NULL;
}

static void
on_license(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct license_file *license = reply;
	uint8_t digest[DIGEST_BYTES];

	if (err == ERR_CLOSED) {
		job_lost_site(job);
		return;
	}
	if (err == 0) {
		license_digest(digest, license->license.data,
		    license->license.len);
		if (memcmp(digest, job->wanted, sizeof(digest)) != 0)
			err = ERR_MISMATCH;
	}
	if (err == 0)
		err = files_keep_license(&job->keeper->files, digest, license);
	if (err != 0) {
		job_refuse(job, err, problem);
		return;
	}
	memcpy(job->kept, digest, sizeof(job->kept));
	next_license(job);
}

static void
next_license(struct borrow_job *job)
{
	const struct ticket *ticket = wants_license(job);
	struct license_ref ref;

	if (ticket == NULL) {
		take_incoming(job);
		return;
	}
	memcpy(job->wanted, ticket->license, sizeof(job->wanted));
	memcpy(ref.digest, ticket->license, sizeof(ref.digest));
	if (calls_ask(job->keeper->calls, OP_LICENSE_GET, &ref, on_license,
		job) < 0)
		job_lost_site(job);
}

/* --- tickets -------------------------------------------------------------- */

/* Signed by this site, of this device, and for a value that its counter may
 * reach. */
static int
check(const struct borrow_evidence *evidence, struct keeper *keeper)
{
	const struct checkout_reply reply = {
		.lease = evidence->lease,
		.row_number = evidence->row_number,
		.row = evidence->row,
		.path = evidence->path,
		.header = evidence->header,
	};
	struct arena arena = { .max_bytes = 1 << 20 };
	struct row_lease_granted grant;
	struct journal_header header;
	uint8_t head[32];
	struct row row;
	int err =
	    session_check_row(&header, head, &row, &arena, keeper, &reply);

	if (err == 0)
		err = row_grant(&grant, &row, &arena);
	if (err == 0 &&
	    ((row.kind != ROW_BORROWED && row.kind != ROW_BORROW_REISSUED) ||
		grant.lease != evidence->lease ||
		grant.device != keeper->site.device ||
		row.u.borrowed.ticket.epoch >
		    keeper->borrows.counter + BORROW_AHEAD_MAX))
		err = ERR_MISMATCH;
	if (err == 0)
		session_saw(keeper, header.generation, header.batch, head,
		    &reply.header);
	arena_release(&arena);
	return err;
}

static void
on_page(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct borrow_tickets *page = reply;

	if (!job_has_answer(job, err, problem))
		return;
	const struct borrow_evidence *items = page->items.items;

	for (uint32_t i = 0; i < page->items.count && err == 0; i++) {
		err = check(&items[i], job->keeper);
		if (err == 0)
			err = book_add(&job->incoming, &items[i],
			    owner_of(job, items[i].lease));
		if (err == 0)
			know_more(job);
		if (err < 0)
			log_error("keeper",
			    "the site's ticket of borrow-%llu is no proof: %s",
			    (unsigned long long)items[i].lease, err_str(err));
	}
	job->site_target = page->target;
	job->owed = page->owed;
	/* Pages that never end would keep all else from being done. */
	if (err == 0 && page->next != 0 && page->next <= job->after)
		err = ERR_MISMATCH;
	job->after = page->next;
	if (err < 0)
		job_refuse(job, err, NULL);
	else if (page->next != 0)
		next_page(job);
	else
		next_license(job);
}

static void
next_page(struct borrow_job *job)
{
	const struct borrow_mine query = { .after = job->after };

	if (calls_ask(job->keeper->calls, OP_BORROW_MINE, &query, on_page,
		job) < 0)
		job_lost_site(job);
}

void
job_fetch(struct borrow_job *job, void (*then)(struct borrow_job *job))
{
	book_release(&job->incoming);
	book_init(&job->incoming);
	job->after = 0;
	job->then = then;
	next_page(job);
}
