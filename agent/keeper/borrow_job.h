/*
 * One thing that is done about borrows, and the steps that several have in
 * common: borrow_job.c runs jobs one after the other, borrow_take.c lends and
 * extends, borrow_return.c gives back, borrow_settle.c what nobody asked for,
 * both by borrow_steps.c; borrow_fetch.c gets what the site has for this
 * device, borrow_lost.c shows what it has forgotten, borrow_show.c answers.
 * Only these and borrow.c may include it.
 */
#ifndef AGENT_KEEPER_BORROW_JOB_H
#define AGENT_KEEPER_BORROW_JOB_H

#include "agent/keeper/private.h"

enum borrow_kind {
	BORROW_JOB_SETTLE,
	BORROW_JOB_TAKE,
	BORROW_JOB_EXTEND,
	BORROW_JOB_RETURN,
};

struct borrow_job {
	TAILQ_ENTRY(borrow_job) entry;
	struct keeper *keeper;
	enum borrow_kind kind;
	struct asker asker; /* application 0: nobody waits */
	uint32_t uid; /* who asked */
	bool privileged; /* may do so for everybody */
	bool settled; /* what was due was settled before it */
	int64_t patience_ms; /* the site may be away until then */
	struct event *timer;

	struct borrow_take take;
	struct borrow_extend extend;
	uint8_t exporter[32]; /* that a proof was made for */
	uint64_t lease; /* taken or given back */

	bool all; /* of the asker's */
	bool offline;
	uint32_t count; /* borrows that go back */
	uint64_t target; /* as the site said */
	struct borrow_return back; /* the last proof of a return */
	bool has_file; /* it is for a file */
	uint32_t rounds; /* of returns that were settled in it */

	/* borrow_fetch.c */
	struct book incoming;
	uint64_t after;
	uint64_t site_target, owed;
	uint8_t wanted[DIGEST_BYTES]; /* the license that was asked for */
	uint8_t kept[DIGEST_BYTES]; /* the last one that was stored */
	void (*then)(struct borrow_job *job);

	uint32_t n_shown; /* tickets; borrow_lost.c */
};

static inline struct book *
job_book(struct borrow_job *job)
{
	return &job->keeper->borrows.book;
}

/* --- borrow_job.c --------------------------------------------------------- */

/** A job of nobody's; NULL: no memory. */
struct borrow_job *job_new(struct keeper *keeper, enum borrow_kind kind);
/** One of an application's, which waits for its answer. NULL: refused, by its
 * limits or for want of memory. */
struct borrow_job *job_begin(struct application *application,
    const struct asker *asker, enum borrow_kind kind);
/** Run it when all before it is done. */
void job_put(struct borrow_job *job);
/** All that runs and waits, unanswered. */
void jobs_close(struct borrows *borrows);
/** May who asked return or extend it? Everybody's are the admin's. */
bool job_may_touch(const struct borrow_job *job, const struct ticket *ticket);
/** It is over; the asker has been answered. Frees it and runs the next. */
void job_end(struct borrow_job *job);
/** The same with a refusal. */
void job_refuse(struct borrow_job *job, int err, const struct problem *problem);
/** He has no such borrow. */
void job_refuse_unknown(struct borrow_job *job, uint64_t lease);
/** The device's key does nothing now. */
void job_refuse_proof(struct borrow_job *job, int err);
/** The site's journal was put back, and no admin has acknowledged it. False:
 * it was not, and the job goes on. */
bool job_refuse_put_back(struct borrow_job *job);
/** The book to the disk. False: it was refused. */
bool job_write(struct borrow_job *job);
/** Did the site answer? False: it refused or went away, and the job is over or
 * waits. */
bool job_has_answer(struct borrow_job *job, int err,
    const struct problem *problem);
/** Ask the device where its counter stands, or refuse. */
void job_ask_counter(struct borrow_job *job, proofs_done *done);
/** Has the device proved, or told its counter, which is known from here on?
 * False: the job is over. */
bool job_has_proof(struct borrow_job *job, int err, const struct proof *proof);
/** The site is not reached: it waits for that, as long as it is patient, and
 * then begins anew. */
void job_wait(struct borrow_job *job);
/** Can the site be asked in this session? */
bool job_is_online(const struct borrow_job *job);

/* --- borrow_show.c -------------------------------------------------------- */

/** Answer with a borrow, and end. */
void job_answer_borrow(struct borrow_job *job, uint64_t lease);

/* --- borrow_fetch.c ------------------------------------------------------- */

/** Ask for all tickets and their licenses; then `then`, with them in the book
 * (not written), or what comes of a site that went away. */
void job_fetch(struct borrow_job *job, void (*then)(struct borrow_job *job));
/** The site went away while it was asked. */
void job_lost_site(struct borrow_job *job);

/* --- borrow_lost.c -------------------------------------------------------- */

/** Has the site's journal been put back, so that its tickets are to be shown to
 * it in this session, before anything else? */
bool job_is_to_show(const struct borrow_job *job);
/** Show them; then `then`, or what comes of a site that went away. */
void job_show(struct borrow_job *job, void (*then)(struct borrow_job *job));

/* --- borrow_take.c -------------------------------------------------------- */

void job_take(struct borrow_job *job);
void job_extend(struct borrow_job *job);

/* --- borrow_steps.c ------------------------------------------------------- */

/** A return goes on from where the book says that it stands. */
void job_go_on(struct borrow_job *job);
/** Its steps, each with all that come after it. */
void job_prepare(struct borrow_job *job);
void job_raise(struct borrow_job *job);
void job_prove(struct borrow_job *job);

/* --- borrow_settle.c ------------------------------------------------------ */

void job_settle(struct borrow_job *job);
/** One return of it is over: is there more? */
void job_settle_anew(struct borrow_job *job);

/* --- borrow_return.c ------------------------------------------------------ */

void job_return(struct borrow_job *job);
/** The answer to who gave back, however far it has come. */
void job_answer_return(struct borrow_job *job, bool proved);

#endif
