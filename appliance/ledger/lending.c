/*
 * Borrows, in the process around the ledger: proofs are checked here, on a
 * thread that reads, and what they are over is found here, never taken from who
 * asks: the nonce that this session was given, the exporter of its TLS
 * connection, the request itself. The core then decides on what is proved.
 */
#include "appliance/ledger/session.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/err.h"
#include "shared/journal/ticket.h"

#include <sodium.h>
#include <string.h>

/* What a proof that waits to be checked is over. */
struct lending {
	const struct proof *proof;
	struct proof_subject subject;
};

/* --- the nonce ------------------------------------------------------------ */

void
lending_challenge(const struct request *request)
{
	struct session *session = request->session;
	struct borrow_challenge reply;

	randombytes_buf(session->nonce, sizeof(session->nonce));
	session->has_nonce = true;
	memcpy(reply.nonce, session->nonce, sizeof(reply.nonce));
	request_reply(request, &reply);
}

/* It is used up, whatever comes of it. */
static bool
take_challenge(struct session *session, const uint8_t nonce[PROOF_NONCE_BYTES])
{
	bool same = session->has_nonce &&
	    sodium_memcmp(session->nonce, nonce, sizeof(session->nonce)) == 0;

	session->has_nonce = false;
	sodium_memzero(session->nonce, sizeof(session->nonce));
	return same;
}

/* --- what a proof is over ------------------------------------------------- */

static int
bind_to_session(struct lending *lending, struct call *call,
    struct session *session, const uint8_t nonce[PROOF_NONCE_BYTES],
    struct problem *problem)
{
	struct proof_subject *subject = &lending->subject;

	if (session == NULL || !take_challenge(session, nonce)) {
		problem_set(problem, ERR_BAD_PROOF, NULL,
		    "the proof is not over the nonce of this session: each "
		    "needs one of its own (borrow.challenge)");
		return ERR_BAD_PROOF;
	}
	subject->purpose = PROOF_BORROW;
	memcpy(subject->nonce, nonce, sizeof(subject->nonce));
	memcpy(subject->exporter, session->peer.exporter,
	    sizeof(subject->exporter));
	memcpy(call->write.command.exporter, subject->exporter,
	    sizeof(subject->exporter));
	return 0;
}

/* Of a file: is it for this site at all? */
static int
check_file(const struct borrow_file *file, const struct call *call,
    struct problem *problem)
{
	const char *site = call->process->site.site;

	if (strcmp(file->site, site) == 0 &&
	    strcmp(file->tenant, call->tenant->name) == 0)
		return 0;
	problem_set(problem, ERR_BAD_REQUEST, NULL,
	    "this return is for tenant %s of site %s, and this is tenant %s of "
	    "site %s",
	    file->tenant, file->site, call->tenant->name, site);
	return ERR_BAD_REQUEST;
}

static void
bind_return(struct lending *lending, const struct call *call, uint64_t device,
    const uint8_t nonce[PROOF_NONCE_BYTES])
{
	ticket_return_subject(&lending->subject, call->process->site.site,
	    call->tenant->name, device, nonce);
}

static int
bind_proof(struct lending *lending, struct call *call,
    const struct request *request, struct problem *problem)
{
	const struct borrow_take *take = call->request;
	const struct borrow_extend *extend = call->request;
	const struct borrow_prepare *prepare = call->request;
	const struct borrow_return *back = call->request;
	const struct borrow_file *file = call->request;
	uint8_t *digest = lending->subject.request_digest;
	int rc = 0;

	lending->subject.site = request->process->site.site;
	lending->subject.tenant = request->tenant->name;
	lending->subject.device = request->who.id;
	if (request->op->id == OP_BORROW_TAKE) {
		lending->proof = &take->proof;
		rc = bind_to_session(lending, call, request->session,
		    take->ask.nonce, problem);
		if (rc == 0)
			rc = borrow_take_digest(digest, take);
	} else if (request->op->id == OP_BORROW_EXTEND) {
		lending->proof = &extend->proof;
		rc = bind_to_session(lending, call, request->session,
		    extend->nonce, problem);
		if (rc == 0)
			rc = borrow_extend_digest(digest, extend);
	} else if (request->op->id == OP_BORROW_PREPARE) {
		lending->proof = &prepare->proof;
		bind_return(lending, call, request->who.id, prepare->nonce);
	} else if (request->op->id == OP_BORROW_RETURN) {
		lending->proof = &back->proof;
		bind_return(lending, call, request->who.id, back->nonce);
	} else {
		lending->proof = &file->proof;
		rc = check_file(file, call, problem);
		bind_return(lending, call, file->device, file->nonce);
	}
	return rc;
}

/* --- the proof ------------------------------------------------------------ */

/* A file of a device that was revoked since is as true as before. */
static int
verify(const struct lending *lending, struct call *call)
{
	struct ledger_device device = { 0 };
	struct ledger_view *view;
	int rc = ledger_view_open(&view, call->tenant->ledger);

	if (rc != 0)
		return rc;
	rc =
	    ledger_device(&device, view, lending->subject.device, &call->arena);
	ledger_view_close(view);
	if (rc != 0 && rc != ERR_DEVICE_REVOKED)
		return rc;
	if (!proof_class_fits(lending->proof->class_, device.class_) ||
	    proof_verify(lending->proof, &lending->subject,
		device.public_key.data, device.public_key.len) != 0)
		return ERR_BAD_PROOF;
	return 0;
}

/* On the reader's thread. */
static void
run_verify(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct lending *lending = call->reply;

	call->write.command.err = verify(lending, call);
}

static void
verified(struct call *call)
{
	struct command *command = &call->write.command;

	call->reply = NULL;
	/* A store of before this is told from the newest by its counter. */
	call->finish = command_finish_ticked;
	/* An agent knows what it signed; who brings a file does not. */
	if (command->err == ERR_BAD_PROOF && command->op == OP_BORROW_DELIVER)
		problem_set(&command->problem, ERR_BAD_PROOF,
		    "have it written anew: leasehold borrow return --all "
		    "--offline FILE",
		    "the proof in the file does not hold: it was changed, or "
		    "another device made it");
	if (command->err != 0)
		command_finish(call);
	else
		call_commit(call);
}

/* Nobody borrows what others wait for. */
static void
stand_behind(struct call *call)
{
	const struct borrow_take *take = call->request;

	call->write.command.reserved = waiting_reserved(call->tenant,
	    take->ask.product, take->ask.feature);
}

void
lending_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct command *command = &call->write.command;
	struct lending *lending = arena_alloc(&call->arena, sizeof(*lending));

	if (lending == NULL) {
		command->err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	*lending = (struct lending){ .proof = NULL };
	command->borrow = call->process->options->borrow;
	if (request->session != NULL)
		command->counter = session_counter(request->session);
	if (request->op->id == OP_BORROW_TAKE)
		stand_behind(call);
	command->err = bind_proof(lending, call, request, &command->problem);
	if (command->err != 0) {
		command_finish(call);
		return;
	}
	/* Until the command's own. */
	call->reply = lending;
	call->finish = verified;
	call_query(call, run_verify);
}

/* --- a device's own ------------------------------------------------------- */

static void
run_tickets(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct borrow_tickets *page = arena_alloc(&call->arena, sizeof(*page));
	struct ledger_view *view;

	command->err = page == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	call->reply = page;
	command->err = ledger_tickets(page, view, command->who.id,
	    call->request, &call->arena);
	ledger_view_close(view);
}

void
lending_tickets(const struct request *request)
{
	struct call *call = call_new(request);

	if (call != NULL)
		call_query(call, run_tickets);
}
