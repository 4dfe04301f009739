/*
 * One thing that is done about borrows, and the steps that several have in
 * common: borrow.c runs jobs one after the other, borrow_take.c lends and
 * extends, borrow_return.c gives back and settles, borrow_fetch.c gets what the
 * site has for this device, borrow_lost.c shows what it has forgotten,
 * borrow_show.c answers. Only these six may include it.
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

/* --- borrow.c ------------------------------------------------------------- */

/** A job of nobody's until its asker is set; NULL: no memory. */
struct borrow_job *job_new(struct keeper *keeper, enum borrow_kind kind);
/** Whose it is, and who waits for its answer. */
void job_is_of(struct borrow_job *job, const struct application *application,
    const struct asker *asker);
/** May who asked return or extend it? Everybody's are the admin's. */
bool job_may_touch(const struct borrow_job *job, const struct ticket *ticket);
/** Run it when all before it is done. */
void job_put(struct borrow_job *job);
/** Of an application: its limits are looked at. False: refused. */
bool job_may_begin(struct application *application, const struct asker *asker);
/** It is over; the asker has been answered. Frees it and runs the next. */
void job_end(struct borrow_job *job);
/** The same with a refusal. */
void job_refuse(struct borrow_job *job, int err, const struct problem *problem);
/** He has no such borrow. */
void job_refuse_unknown(struct borrow_job *job, uint64_t lease);
/** The device's key does nothing now. */
void job_refuse_proof(struct borrow_job *job, int err);
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

/* --- borrow_return.c ------------------------------------------------------ */

void job_settle(struct borrow_job *job);
void job_return(struct borrow_job *job);
/** The answer to who gave back, however far it has come. */
void job_answer_return(struct borrow_job *job, bool proved);

#endif
