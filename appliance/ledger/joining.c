/*
 * Enrolment, in the process around the ledger: whoever asks holds the key that
 * becomes the device's, and where that is in a TPM, it is in the TPM that was
 * shown. The latter takes two steps on one connection: device.enroll is
 * answered with a challenge, and the command goes to the core when
 * device.activate answers that. The join token itself is the core's to judge.
 */
#include "appliance/ledger/session.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Challenges without an answer: so many, and so long. A slow TPM takes a few
 * seconds. */
#define ENROLLING_MAX 256
#define ENROLLING_MS ((int64_t)60 * 1000)

/* Who was given a challenge. */
struct enrolling {
	struct enrolling *next, *before;
	struct process *process;
	struct session *session;
	int64_t until; /* boottime */
	uint8_t secret[PROOF_SECRET_BYTES];
	struct proof_endorsement endorsement;
	struct enroll enroll; /* its spans are in the arena */
	struct arena arena;
};

/* Between the loop and the thread that checks. */
struct joining {
	struct checking checking; /* first */
	const struct enroll *enroll;
	bool has_tpm;
	uint8_t secret[PROOF_SECRET_BYTES];
	struct proof_endorsement endorsement;
	struct proof_challenge challenge;
};

/* --- who was given a challenge -------------------------------------------- */

static void
enrolling_free(struct enrolling *enrolling)
{
	struct process *process = enrolling->process;

	*(enrolling->before != NULL ? &enrolling->before->next
				    : &process->first_enrolling) =
	    enrolling->next;
	*(enrolling->next != NULL ? &enrolling->next->before
				  : &process->last_enrolling) =
	    enrolling->before;
	process->n_enrolling--;
	enrolling->session->enrolling = NULL;
	sodium_memzero(enrolling->secret, sizeof(enrolling->secret));
	arena_release(&enrolling->arena);
	free(enrolling);
}

void
enrolling_forget(struct session *session)
{
	if (session->enrolling != NULL)
		enrolling_free(session->enrolling);
}

void
enrolling_expire(struct process *process)
{
	int64_t now = clock_boottime_ms();

	while (process->first_enrolling != NULL &&
	    process->first_enrolling->until <= now)
		enrolling_free(process->first_enrolling);
}

static int
copy_span(struct record_span *out, struct arena *arena,
    const struct record_span *span)
{
	out->data = arena_copy(arena, span->data, span->len);
	out->len = span->len;
	return out->data != NULL ? 0 : ERR_NOMEM;
}

/* All but the material, which the core does not look at. */
static int
copy_enroll(struct enroll *out, struct arena *arena,
    const struct enroll *enroll)
{
	*out = *enroll;
	out->material = (struct proof_material){ 0 };
	int rc = copy_span(&out->join, arena, &enroll->join);

	return rc != 0
	    ? rc
	    : copy_span(&out->public_key, arena, &enroll->public_key);
}

static int
enrolling_new(struct session *session, const struct joining *joining,
    struct problem *problem)
{
	struct process *process = session->front->process;

	enrolling_expire(process);
	enrolling_forget(session);
	if (process->n_enrolling >= ENROLLING_MAX) {
		problem_set(problem, ERR_UNAVAILABLE, NULL,
		    "too many devices enroll at this moment; try again in a "
		    "minute");
		return ERR_UNAVAILABLE;
	}
	struct enrolling *enrolling = calloc(1, sizeof(*enrolling));

	if (enrolling == NULL)
		return ERR_NOMEM;
	enrolling->process = process;
	enrolling->session = session;
	enrolling->until = clock_boottime_ms() + ENROLLING_MS;
	memcpy(enrolling->secret, joining->secret, sizeof(enrolling->secret));
	enrolling->endorsement = joining->endorsement;
	enrolling->before = process->last_enrolling;
	*(enrolling->before != NULL ? &enrolling->before->next
				    : &process->first_enrolling) = enrolling;
	process->last_enrolling = enrolling;
	process->n_enrolling++;
	session->enrolling = enrolling;
	int rc =
	    copy_enroll(&enrolling->enroll, &enrolling->arena, joining->enroll);

	if (rc != 0)
		enrolling_free(enrolling);
	return rc;
}

/* --- device.enroll -------------------------------------------------------- */

static const uint8_t *
site_public(const struct process *process)
{
	return process->secret + 32; /* libsodium keeps it behind the seed */
}

/* What a TPM's proofs cost is paid for those alone who have a token. */
static int
check_token(struct call *call, const struct enroll *enroll)
{
	struct record_error error = { .reason = "" };
	struct license_join token;
	int rc = license_document_read(&token, &license_join_record, TOKEN_JOIN,
	    enroll->join.data, enroll->join.len, site_public(call->process),
	    &call->arena, &error);

	if (rc == 0 || rc == ERR_NOMEM)
		return rc;
	problem_set(&call->write.command.problem, ERR_BAD_PROOF,
	    "ask an admin for a new token: leasehold join create",
	    "this is no enrolment token of this site");
	return ERR_BAD_PROOF;
}

static int
make_challenge(struct call *call, struct joining *joining)
{
	const struct enroll *enroll = joining->enroll;
	const struct record_span *key = &enroll->public_key;
	const struct proof_trust *trust = call->process->options->trust;

	if (trust == NULL)
		return ERR_CLASS_NOT_ALLOWED;
	int rc = proof_material_judge(&joining->endorsement, trust,
	    &enroll->material, key->data, key->len, process_now(call->process));

	if (rc != 0)
		return rc;
	randombytes_buf(joining->secret, sizeof(joining->secret));
	return proof_challenge_make(&joining->challenge, &call->arena,
	    joining->secret, &enroll->material, key->data, key->len);
}

/* On the thread that checks. */
static void
run_enroll(struct work *work)
{
	struct call *call = (struct call *)work;
	struct joining *joining = call->own;
	const struct enroll *enroll = joining->enroll;
	int rc = joining->has_tpm ? check_token(call, enroll) : 0;

	if (rc == 0 &&
	    (!proof_class_fits(enroll->proof.class_, enroll->class_) ||
		proof_verify(&enroll->proof, &joining->checking.subject,
		    enroll->public_key.data, enroll->public_key.len) != 0))
		rc = ERR_BAD_PROOF;
	if (rc == 0 && joining->has_tpm)
		rc = make_challenge(call, joining);
	call->write.command.err = rc;
}

static int
give_challenge(struct call *call, struct session *session,
    const struct joining *joining)
{
	const struct process *process = call->process;
	struct enroll_reply *reply = arena_alloc(&call->arena, sizeof(*reply));

	if (reply == NULL)
		return ERR_NOMEM;
	*reply = (struct enroll_reply){
		.class_ = joining->endorsement.class_,
		.challenge = joining->challenge,
	};
	memcpy(reply->site, process->site.site, sizeof(reply->site));
	memcpy(reply->tenant, call->tenant->name, sizeof(reply->tenant));
	memcpy(reply->site_key, site_public(process), sizeof(reply->site_key));
	call->reply = reply;
	return enrolling_new(session, joining, &call->write.command.problem);
}

static void
commit(struct call *call)
{
	call->write.command.devices = call->process->options->devices;
	call->finish = command_finish;
	call_commit(call);
}

static void
finish_check(struct call *call)
{
	struct joining *joining = call->own;
	struct command *command = &call->write.command;
	struct session *session = session_checked(call, &joining->checking);

	if (session != NULL && command->err == 0 && joining->has_tpm)
		command->err = give_challenge(call, session, joining);
	sodium_memzero(joining->secret, sizeof(joining->secret));
	if (session == NULL) /* it closed meanwhile */
		call_free(call);
	else if (command->err != 0 || joining->has_tpm)
		command_finish(call);
	else
		commit(call);
}

void
session_enroll(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct command *command = &call->write.command;
	const struct enroll *enroll = call->request;
	struct joining *joining = arena_alloc(&call->arena, sizeof(*joining));

	if (joining == NULL) {
		command->err = ERR_NOMEM;
		command_finish(call);
		return;
	}
	*joining = (struct joining){
		.checking.subject = { .purpose = PROOF_ENROLL },
		.enroll = enroll,
		.has_tpm =
		    enroll->class_ == PROOF_TPM || enroll->class_ == PROOF_VTPM,
	};
	command->err =
	    session_take_nonce(&joining->checking, request, &command->problem);
	if (command->err != 0) {
		command_finish(call);
		return;
	}
	crypto_hash_sha256(joining->checking.subject.request_digest,
	    enroll->join.data, enroll->join.len);
	call->own = joining;
	call->finish = finish_check;
	call_check(call, run_enroll);
}

/* --- device.activate ------------------------------------------------------ */

/* The challenge is used up, whatever was answered. */
static int
take_answer(struct call *call, struct session *session)
{
	const struct enroll_activate *activate = call->request;
	struct command *command = &call->write.command;
	struct enrolling *enrolling = session->enrolling;
	struct proof_endorsement *endorsement =
	    arena_alloc(&call->arena, sizeof(*endorsement));
	struct enroll *enroll = arena_alloc(&call->arena, sizeof(*enroll));
	int rc;

	if (enrolling == NULL || enrolling->until <= clock_boottime_ms()) {
		problem_set(&command->problem, ERR_GONE, NULL,
		    "there is no challenge of this connection, or its answer "
		    "comes too late: enroll again");
		return ERR_GONE;
	}
	if (endorsement == NULL || enroll == NULL)
		return ERR_NOMEM;
	if (sodium_memcmp(activate->secret, enrolling->secret,
		sizeof(enrolling->secret)) != 0) {
		problem_set(&command->problem, ERR_BAD_PROOF, NULL,
		    "the key is not in the TPM that was shown");
		return ERR_BAD_PROOF;
	}
	*endorsement = enrolling->endorsement;
	rc = copy_enroll(enroll, &call->arena, &enrolling->enroll);
	command->op = OP_DEVICE_ENROLL;
	command->request = enroll;
	command->endorsement = endorsement;
	return rc;
}

void
session_activate(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct command *command = &call->write.command;

	command->err = take_answer(call, request->session);
	enrolling_forget(request->session);
	if (command->err != 0)
		command_finish(call);
	else
		commit(call);
}

/* --- join.create ---------------------------------------------------------- */

void
join_create_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call != NULL)
		commit(call);
}
