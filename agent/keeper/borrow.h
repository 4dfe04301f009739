/*
 * Borrowing on the device's side: one thing at a time is done with the book,
 * the counter and the site, whoever asked for it, in the order that makes a
 * return safe in every crash (DESIGN 9; the site's half is in
 * appliance/ledger/borrow.h):
 *
 *   1. that a return was begun is written down
 *   2. the site names the target, having journaled the replacements
 *   3. the replacements are fetched, checked and stored, and with them, in the
 *      same write, that the target may be raised to
 *   4. the counter is raised: what came back is over, here and now
 *   5. the raised counter is proved to the site, now or whenever it is reached
 *   6. the book forgets what is below
 *
 * After a crash, or when the site is reached again, a return goes on from where
 * the book says. A return without the site gives everything back, above every
 * ticket that the site can have made, and goes on at 5. What ran out, and what
 * the site says is owed, is given back without being asked.
 *
 * It must not know applications that use the seats (tickets.c), nor decide who
 * may borrow: that is the site's.
 *
 *   book.c           the file of it all
 *   borrow.c         the book, the counter, and what runs out
 *   borrow_job.c     one job after the other
 *   borrow_take.c    taking and extending
 *   borrow_return.c  giving back
 *   borrow_settle.c  the same, of what ran out or is owed
 *   borrow_steps.c   how both go: prepare, raise, prove
 *   borrow_fetch.c   what the site has for this device
 *   borrow_lost.c    what a site that was put back has forgotten
 *   borrow_show.c    what people are shown
 */
#ifndef AGENT_KEEPER_BORROW_H
#define AGENT_KEEPER_BORROW_H

#include "agent/keeper/book.h"
#include "agent/keeper/proofs.h"

struct event;
struct keeper;
struct application;
struct asker;
struct local_borrow_take;
struct local_borrow_extend;
struct local_borrow_return;

struct borrow_job;
TAILQ_HEAD(borrow_jobs, borrow_job);

struct borrows {
	struct book book;
	uint64_t counter; /* as last seen; 0: not yet */
	struct borrow_job *job; /* runs; NULL: none */
	struct borrow_jobs waiting; /* behind it */
	struct event *watch; /* what ran out */
	bool shown; /* in this session: borrow_lost.c */
	bool forgotten; /* the site does not take up all of it: that is kept */
	bool closing;
	bool asking; /* where the counter stands */
	bool holds_session; /* the session is ready when this is settled */
	int64_t holds_ms; /* boottime: since then */
	char trouble[256]; /* why nothing is settled, as last logged */
};

int borrows_open(struct keeper *keeper);
/** Proofs and calls have been answered, or never will be. */
void borrows_close(struct keeper *keeper);
/** The book to the disk, before anything rests on it. On an error it is as it
 * was on the disk again. */
int borrows_write(struct keeper *keeper);
/** A proof, or the device itself, said where the counter stands. */
void borrows_saw_counter(struct keeper *keeper, uint64_t counter);
/** The device's key can be asked from now on. */
void borrows_key_opened(struct keeper *keeper);
/** The ticket of a borrow that counts now; NULL: none. */
struct ticket *borrows_find(const struct keeper *keeper, uint64_t lease);
/** Something of it is to be told the site: soon. */
void borrows_settle(struct keeper *keeper);

/** The session is proved, and its site speaks of borrows (or the book does):
 * settle what is to be settled; session_ready() follows. */
void borrows_resume(struct keeper *keeper);
/** The site is reached: go on with what waits for that. */
void borrows_go_on(struct keeper *keeper);
/** Has the device anything that only this site can take back? */
bool borrows_are_held(const struct keeper *keeper);
/** It is another site's device from now on. */
void borrows_forget(struct keeper *keeper);

/* Questions of the local socket. */
void borrow_take_begin(struct application *application,
    const struct asker *asker, const struct local_borrow_take *request);
void borrow_extend_begin(struct application *application,
    const struct asker *asker, const struct local_borrow_extend *request);
void borrow_return_begin(struct application *application,
    const struct asker *asker, const struct local_borrow_return *request);
void borrow_show(struct application *application, const struct asker *asker);

#endif
