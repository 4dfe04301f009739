/*
 * A helper thread for slow calls (a TPM takes up to a second), so that a loop
 * never waits for one: jobs go in, run one after the other in the thread, and
 * come back on a descriptor that the loop watches. It must not know of event
 * loops, nor what the jobs do.
 */
#ifndef SHARED_PROOF_WORKER_H
#define SHARED_PROOF_WORKER_H

#include <stdbool.h>
#include <stddef.h>

/** Embedded at the head of the caller's own struct; zero-initialised. */
struct worker_job {
	/** In the thread. May not touch what the loop uses. */
	void (*work)(struct worker_job *job);
	/** In the loop's thread, by worker_reap() or worker_free(), once. The
	 * job is the caller's again, to be freed or reused. */
	void (*done)(struct worker_job *job);
	bool cancelled; /* for done(): work() was never called */
	struct worker_job *next; /* the worker's */
};

struct worker;

/** A thread with room for `most` jobs that wait. Start it before the sandbox
 * closes. Returns 0, ERR_NOMEM or ERR_SYSTEM, logged. */
int worker_new(struct worker **worker, size_t most);

/** Waits for the job that runs, cancels the rest; done() is called for each.
 * Takes NULL. */
void worker_free(struct worker *worker);

/** Readable when jobs have come back: then call worker_reap(). */
int worker_fd(const struct worker *worker);

/** Returns 0, or ERR_BUSY when too many wait, or the worker ends (done() is not
 * called). Never blocks. */
int worker_submit(struct worker *worker, struct worker_job *job);

/** Call done() of all jobs that have come back. */
void worker_reap(struct worker *worker);

#endif
