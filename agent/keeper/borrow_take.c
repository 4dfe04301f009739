/* Taking and extending: a nonce of the site's, a proof over it, the question,
 * and the ticket that comes of it. Said again, after a connection that broke,
 * the same request gets the same borrow. */
#include "agent/keeper/borrow_job.h"

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>

/* --- what came of it ------------------------------------------------------ */

static void
on_fetched(struct borrow_job *job)
{
	struct book *book = job_book(job);

	sodium_memzero(book->taking, sizeof(book->taking));
	/* Without it, it is lent all the same: the next session finds it. */
	if (!job_write(job))
		return;
	tickets_watch(job->keeper);
	job_answer_borrow(job, job->lease);
}

static void
on_lent(void *ctx, int err, const void *reply, const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct borrow_taken *taken = reply;

	if (!job_has_answer(job, err, problem))
		return;
	job->lease = taken->lease;
	log_info("keeper", "borrow-%llu is lent to this workstation",
	    (unsigned long long)taken->lease);
	job_fetch(job, on_fetched);
}

/* --- the proof ------------------------------------------------------------ */

static bool
is_of_session(const struct borrow_job *job)
{
	return job_is_online(job) &&
	    memcmp(job->exporter, job->keeper->session.exporter,
		sizeof(job->exporter)) == 0;
}

static void
on_proof(void *ctx, int err, const struct proof *proof)
{
	struct borrow_job *job = ctx;
	bool extends;

	if (!job_has_proof(job, err, proof))
		return;
	if (!is_of_session(job)) {
		job_lost_site(job);
		return;
	}
	extends = job->kind == BORROW_JOB_EXTEND;
	job->take.proof = job->extend.proof = *proof;
	if (calls_ask(job->keeper->calls,
		extends ? OP_BORROW_EXTEND : OP_BORROW_TAKE,
		extends ? (const void *)&job->extend : &job->take, on_lent,
		job) < 0)
		job_lost_site(job);
}

static void
on_challenge(void *ctx, int err, const void *reply,
    const struct problem *problem)
{
	struct borrow_job *job = ctx;
	const struct borrow_challenge *challenge = reply;
	struct proof_subject subject = {
		.purpose = PROOF_BORROW,
		.site = job->keeper->site.site,
		.tenant = job->keeper->site.tenant,
		.device = job->keeper->site.device,
	};

	if (!job_has_answer(job, err, problem))
		return;
	memcpy(job->exporter, job->keeper->session.exporter,
	    sizeof(job->exporter));
	memcpy(job->take.ask.nonce, challenge->nonce,
	    sizeof(job->take.ask.nonce));
	memcpy(job->extend.nonce, challenge->nonce, sizeof(job->extend.nonce));
	memcpy(subject.nonce, challenge->nonce, sizeof(subject.nonce));
	memcpy(subject.exporter, job->exporter, sizeof(subject.exporter));
	err = job->kind == BORROW_JOB_EXTEND
	    ? borrow_extend_digest(subject.request_digest, &job->extend)
	    : borrow_take_digest(subject.request_digest, &job->take);
	if (err == 0)
		err = proofs_make(job->keeper->proofs, &subject, on_proof, job);
	if (err < 0)
		job_refuse_proof(job, err);
}

static void
ask_challenge(struct borrow_job *job)
{
	static const struct empty nothing = { 0 };

	if (calls_ask(job->keeper->calls, OP_BORROW_CHALLENGE, &nothing,
		on_challenge, job) < 0)
		job_lost_site(job);
}

/* --- the jobs ------------------------------------------------------------- */

void
job_take(struct borrow_job *job)
{
	struct book *book = job_book(job);

	if (!job_is_online(job)) {
		job_wait(job);
		return;
	}
	/* Whose it is, before anything can come of it. */
	memcpy(book->taking, job->take.ask.request, sizeof(book->taking));
	book->taker = job->uid;
	if (job_write(job))
		ask_challenge(job);
}

void
job_extend(struct borrow_job *job)
{
	const struct ticket *ticket =
	    book_find_any(job_book(job), job->extend.lease);

	if (ticket == NULL || !job_may_touch(job, ticket))
		job_refuse_unknown(job, job->extend.lease);
	else if (!job_is_online(job))
		job_wait(job);
	else
		ask_challenge(job);
}

/* --- questions of the local socket ---------------------------------------- */

/* The site answers the same request with the same borrow, and knows no users:
 * the number of one's must be no other's, though he may have read it in a row
 * that both use. */
static void
scope_request(uint8_t out[REQUEST_BYTES], uint32_t uid,
    const uint8_t request[REQUEST_BYTES])
{
	uint8_t both[4 + REQUEST_BYTES];

	be32_write(both, uid);
	memcpy(both + 4, request, REQUEST_BYTES);
	crypto_generichash(out, REQUEST_BYTES, both, sizeof(both), NULL, 0);
}

void
borrow_take_begin(struct application *application, const struct asker *asker,
    const struct local_borrow_take *request)
{
	struct borrow_job *job = job_begin(application, asker, BORROW_JOB_TAKE);
	struct checkout *ask;

	if (job == NULL)
		return;
	ask = &job->take.ask;
	job->take.length_s = request->length_s;
	scope_request(ask->request, job->uid, request->request);
	memcpy(ask->product, request->product, sizeof(ask->product));
	memcpy(ask->version, request->version, sizeof(ask->version));
	memcpy(ask->feature, request->feature, sizeof(ask->feature));
	memcpy(ask->host, job->keeper->host, sizeof(ask->host));
	memcpy(ask->user,
	    request->user[0] != '\0' ? request->user : application->user->name,
	    sizeof(ask->user));
	ask->count = request->count == 0 ? 1 : request->count;
	job_put(job);
}

void
borrow_extend_begin(struct application *application, const struct asker *asker,
    const struct local_borrow_extend *request)
{
	struct borrow_job *job =
	    job_begin(application, asker, BORROW_JOB_EXTEND);

	if (job == NULL)
		return;
	job->extend.lease = request->lease;
	job->extend.length_s = request->length_s;
	job_put(job);
}
