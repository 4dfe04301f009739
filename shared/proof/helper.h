/*
 * A helper thread for slow calls (a TPM takes up to a second), so that a loop
 * never waits for one: jobs go in, run one after the other in the thread, and
 * come back on a descriptor that the loop watches. It must not know of event
 * loops, nor what the jobs do.
 */
#ifndef SHARED_PROOF_HELPER_H
#define SHARED_PROOF_HELPER_H

#include <stdbool.h>
#include <stddef.h>

/** Embedded at the head of the caller's own struct; zero-initialised. */
struct helper_job {
	/** In the thread. May not touch what the loop uses. */
	void (*work)(struct helper_job *job);
	/** In the loop's thread, by helper_reap() or helper_free(), once. The
	 * job is the caller's again, to be freed or reused. */
	void (*done)(struct helper_job *job);
	bool cancelled; /* for done(): work() was never called */
	struct helper_job *next; /* the helper's */
};

struct helper;

/** A thread with room for `most` jobs that wait. Start it before the sandbox
 * closes. Returns 0, ERR_NOMEM or ERR_SYSTEM, logged. */
int helper_new(struct helper **helper, size_t most);

/** Waits for the job that runs, cancels the rest; done() is called for each.
 * Takes NULL. */
void helper_free(struct helper *helper);

/** Readable when jobs have come back: then call helper_reap(). */
int helper_fd(const struct helper *helper);

/** Returns 0, or ERR_BUSY when too many wait, or the helper ends (done() is not
 * called). Never blocks. */
int helper_submit(struct helper *helper, struct helper_job *job);

/** Call done() of all jobs that have come back. */
void helper_reap(struct helper *helper);

#endif
