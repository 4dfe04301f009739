#include "agent/keeper/proofs.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/worker.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

enum kind { KIND_MAKE, KIND_COUNTER, KIND_RAISE };

struct proofs {
	struct worker *worker;
	struct event *back;
	pthread_mutex_t lock; /* held while the identity is used or changed */
	struct identity *identity;
};

struct job {
	struct worker_job job; /* first */
	struct proofs *proofs;
	enum kind kind;
	struct proof_subject subject; /* its strings are these */
	char site[64], tenant[64];
	uint64_t to;
	proofs_done *done;
	void *ctx;
	int err;
	struct proof proof;
};

/* In the thread. */
static void
work(struct worker_job *worker_job)
{
	struct job *job = (struct job *)worker_job;
	struct proofs *proofs = job->proofs;

	pthread_mutex_lock(&proofs->lock);
	switch (job->kind) {
	case KIND_MAKE:
		job->err =
		    proof_make(&job->proof, proofs->identity, &job->subject);
		break;
	case KIND_RAISE:
		job->err = identity_counter_raise(proofs->identity, job->to);
		if (job->err != 0)
			break;
		job->proof.counter = job->to;
		break;
	case KIND_COUNTER:
		job->err = identity_counter_read(&job->proof.counter,
		    proofs->identity);
		break;
	}
	pthread_mutex_unlock(&proofs->lock);
}

static void
done(struct worker_job *worker_job)
{
	struct job *job = (struct job *)worker_job;

	job->done(job->ctx, worker_job->cancelled ? ERR_CLOSED : job->err,
	    &job->proof);
	free(job);
}

static int
submit(struct proofs *proofs, const struct job *plan)
{
	struct job *job = malloc(sizeof(*job));

	if (job == NULL)
		return ERR_NOMEM;
	*job = *plan;
	job->proofs = proofs;
	job->job.work = work;
	job->job.done = done;
	if (plan->kind == KIND_MAKE) {
		text_copy(job->site, sizeof(job->site), plan->subject.site);
		text_copy(job->tenant, sizeof(job->tenant),
		    plan->subject.tenant);
		job->subject.site = job->site;
		job->subject.tenant = job->tenant;
	}
	int err = worker_submit(proofs->worker, &job->job);

	if (err < 0)
		free(job);
	return err;
}

int
proofs_make(struct proofs *proofs, const struct proof_subject *subject,
    proofs_done *done_, void *ctx)
{
	return submit(proofs,
	    &(struct job){
		.kind = KIND_MAKE,
		.subject = *subject,
		.done = done_,
		.ctx = ctx,
	    });
}

int
proofs_counter(struct proofs *proofs, proofs_done *done_, void *ctx)
{
	return submit(proofs,
	    &(struct job){ .kind = KIND_COUNTER, .done = done_, .ctx = ctx });
}

int
proofs_raise(struct proofs *proofs, uint64_t to, proofs_done *done_, void *ctx)
{
	return submit(proofs,
	    &(struct job){
		.kind = KIND_RAISE,
		.to = to,
		.done = done_,
		.ctx = ctx,
	    });
}

static void
on_back(evutil_socket_t fd, short what, void *ctx)
{
	struct proofs *proofs = ctx;

	(void)fd;
	(void)what;
	worker_reap(proofs->worker);
}

int
proofs_new(struct proofs **out, struct event_base *base,
    struct identity *identity)
{
	struct proofs *proofs = calloc(1, sizeof(*proofs));

	if (proofs == NULL)
		return ERR_NOMEM;
	proofs->identity = identity;
	pthread_mutex_init(&proofs->lock, NULL);
	int err = worker_new(&proofs->worker, PROOFS_MAX);

	if (err == 0) {
		proofs->back = event_new(base, worker_fd(proofs->worker),
		    EV_READ | EV_PERSIST, on_back, proofs);
		if (proofs->back == NULL || event_add(proofs->back, NULL) < 0)
			err = ERR_NOMEM;
	}
	if (err < 0) {
		proofs_free(proofs);
		return err;
	}
	*out = proofs;
	return 0;
}

void
proofs_free(struct proofs *proofs)
{
	if (proofs == NULL)
		return;
	if (proofs->back != NULL)
		event_free(proofs->back);
	worker_free(proofs->worker);
	pthread_mutex_destroy(&proofs->lock);
	free(proofs);
}

void
proofs_use(struct proofs *proofs, struct identity *identity)
{
	pthread_mutex_lock(&proofs->lock);
	proofs->identity = identity;
	pthread_mutex_unlock(&proofs->lock);
}
