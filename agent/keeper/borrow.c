/* What a device has borrowed, over the whole life of its keeper: the book, where
 * its counter stands, and when something of it is to be settled. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <event2/event.h>
#include <sys/time.h>

#define WATCH_S 30
/* What is to be settled keeps a session from being used. */
#define HOLD_MAX_MS 60000

/* --- the book ------------------------------------------------------------- */

static int
read_book(struct keeper *keeper)
{
	struct book *book = &keeper->borrows.book;

	book_release(book);
	book_init(book);
	int err = book_read(book, &keeper->files);

	if (err < 0) {
		book_release(book);
		book_init(book);
	}
	/* The site has it all, but for how far a return has come; that it
	 * knows too. */
	return err == ERR_CORRUPT ? 0 : err;
}

int
borrows_write(struct keeper *keeper)
{
	int err = book_write(&keeper->borrows.book, &keeper->files);

	/* What was not written down is not done. */
	if (err < 0)
		(void)read_book(keeper);
	return err;
}

/* --- the counter ---------------------------------------------------------- */

void
borrows_saw_counter(struct keeper *keeper, uint64_t counter)
{
	struct borrows *borrows = &keeper->borrows;
	bool moved = counter != borrows->counter;

	borrows->counter = counter;
	if (moved)
		tickets_watch(keeper);
}

static void
on_first_counter(void *ctx, int err, const struct proof *proof)
{
	struct keeper *keeper = ctx;

	if (err == ERR_CLOSED)
		return;
	keeper->borrows.asking = false;
	if (err != 0)
		return;
	borrows_saw_counter(keeper, proof->counter);
	checkouts_try_tickets(keeper);
}

/* Until it is known, any ticket may be the one that counts: a proof shows. */
static void
ask_counter(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;

	if (borrows->book.n == 0 || borrows->asking)
		return;
	borrows->asking =
	    proofs_counter(keeper->proofs, on_first_counter, keeper) == 0;
}

void
borrows_key_opened(struct keeper *keeper)
{
	ask_counter(keeper);
}

struct ticket *
borrows_find(const struct keeper *keeper, uint64_t lease)
{
	const struct borrows *borrows = &keeper->borrows;

	if (borrows->counter == 0)
		return book_find_any(&borrows->book, lease);
	return book_find(&borrows->book, lease, borrows->counter);
}

/* --- what ran out --------------------------------------------------------- */

void
borrows_settle(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;
	struct borrow_job *job;

	if (borrows->job != NULL || !session_is_up(keeper))
		return; /* the watch looks again */
	job = job_new(keeper, BORROW_JOB_SETTLE);
	if (job != NULL)
		job_put(job);
}

static void
on_watch(evutil_socket_t fd, short what, void *ctx)
{
	struct keeper *keeper = ctx;
	struct borrows *borrows = &keeper->borrows;

	(void)fd;
	(void)what;
	/* A key that answers no more keeps nobody from his lease. */
	if (borrows->holds_session &&
	    clock_boottime_ms() - borrows->holds_ms > HOLD_MAX_MS) {
		borrows->holds_session = false;
		session_ready(keeper);
	}
	tickets_watch(keeper);
	if (borrows->counter == 0)
		ask_counter(keeper);
	if (book_is_due(&borrows->book))
		borrows_settle(keeper);
}

/* --- opening -------------------------------------------------------------- */

int
borrows_open(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;
	struct timeval every = { .tv_sec = WATCH_S };

	TAILQ_INIT(&borrows->waiting);
	book_init(&borrows->book);
	tickets_open(keeper);
	borrows->watch =
	    event_new(keeper->base, -1, EV_PERSIST, on_watch, keeper);
	if (borrows->watch == NULL || event_add(borrows->watch, &every) < 0)
		return ERR_NOMEM;
	int err = read_book(keeper);

	if (borrows->book.n > 0)
		log_info("keeper", "%u tickets of borrowed seats are here",
		    borrows->book.n);
	ask_counter(keeper);
	return err == 0 ? tickets_load(keeper) : err;
}

void
borrows_close(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;

	if (borrows->watch == NULL)
		return;
	jobs_close(borrows);
	tickets_close(keeper);
	event_free(borrows->watch);
	borrows->watch = NULL;
	book_release(&borrows->book);
}

bool
borrows_are_held(const struct keeper *keeper)
{
	const struct borrows *borrows = &keeper->borrows;

	return borrows->book.n > 0 || borrows->book.returning;
}

void
borrows_forget(struct keeper *keeper)
{
	struct borrows *borrows = &keeper->borrows;

	book_release(&borrows->book);
	book_init(&borrows->book);
	borrows->counter = 0;
	book_remove(&keeper->files);
	tickets_watch(keeper);
}
