#include "agent/keeper/proofs.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/helper.h"

#include <event2/event.h>
#include <stdlib.h>

/* For those that are not counted. */
#define SPARE 64

enum kind { KIND_MAKE, KIND_COUNTER, KIND_RAISE, KIND_RUN };

struct proofs {
	struct helper *helper;
	struct event *back;
	struct identity *identity; /* the thread's; after it, proofs_free's */
	size_t waiting; /* the loop's count */
};

struct job {
	struct helper_job job; /* first */
	struct proofs *proofs;
	enum kind kind;
	struct proof_subject subject; /* its strings are these */
	char site[64], tenant[64];
	uint64_t to;
	proofs_done *done;
	proofs_work *work;
	proofs_ran *ran;
	void *ctx;
	int err;
	struct proof proof;
};

static int
work_on(struct job *job, struct identity *identity)
{
	uint64_t *counter = &job->proof.counter;

	if (identity == NULL)
		return ERR_UNAVAILABLE;
	if (job->kind == KIND_MAKE)
		return proof_make(&job->proof, identity, &job->subject);
	if (job->kind == KIND_COUNTER)
		return identity_counter_read(counter, identity);
	*counter = job->to;
	return identity_counter_raise(identity, job->to);
}

/* In the thread. */
static void
work(struct helper_job *helper_job)
{
	struct job *job = (struct job *)helper_job;
	struct proofs *proofs = job->proofs;

	job->err = job->kind == KIND_RUN
	    ? job->work(job->ctx, &proofs->identity)
	    : work_on(job, proofs->identity);
}

static void
done(struct helper_job *helper_job)
{
	struct job *job = (struct job *)helper_job;
	int err = helper_job->cancelled ? ERR_CLOSED : job->err;

	if (job->kind == KIND_RUN) {
		job->ran(job->ctx, err);
	} else {
		job->proofs->waiting--;
		job->done(job->ctx, err, &job->proof);
	}
	free(job);
}

static int
submit(struct proofs *proofs, const struct job *plan)
{
	bool counted = plan->kind != KIND_RUN;

	if (counted && proofs->waiting >= PROOFS_MAX)
		return ERR_BUSY;
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
	int err = helper_submit(proofs->helper, &job->job);

	if (err < 0)
		free(job);
	else if (counted)
		proofs->waiting++;
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

int
proofs_run(struct proofs *proofs, proofs_work *work_, proofs_ran *ran,
    void *ctx)
{
	return submit(proofs,
	    &(struct job){
		.kind = KIND_RUN,
		.work = work_,
		.ran = ran,
		.ctx = ctx,
	    });
}

static void
on_back(evutil_socket_t fd, short what, void *ctx)
{
	struct proofs *proofs = ctx;

	(void)fd;
	(void)what;
	helper_reap(proofs->helper);
}

int
proofs_new(struct proofs **out, struct event_base *base,
    struct identity *identity)
{
	struct proofs *proofs = calloc(1, sizeof(*proofs));

	if (proofs == NULL) {
		identity_close(identity);
		return ERR_NOMEM;
	}
	proofs->identity = identity;
	int err = helper_new(&proofs->helper, PROOFS_MAX + SPARE);

	if (err == 0) {
		proofs->back = event_new(base, helper_fd(proofs->helper),
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
	helper_free(proofs->helper);
	identity_close(proofs->identity);
	free(proofs);
}
