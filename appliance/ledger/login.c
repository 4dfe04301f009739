/* Proofs of devices on login; see session.h. They are checked on a thread of
 * their own, 50 us of class software and 200 us of a TPM each, and what comes of
 * it is decided in the loop. */
#include "appliance/ledger/session.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Logins of one device: so many at once, and one in that time from then on.
 * Two agents with copies of one key throw each other out without end. */
#define LOGINS_AT_ONCE 20
#define LOGIN_EVERY_MS ((int64_t)3000)

/* --- what is remembered of devices --------------------------------------- */

static struct device_memory *
memory_get(struct tenant *tenant, uint64_t device)
{
	struct device_memory *memory = table_get(&tenant->devices, device);

	if (memory != NULL)
		return memory;
	memory = calloc(1, sizeof(*memory));
	if (memory == NULL ||
	    table_put(&tenant->devices, device, memory) != 0) {
		free(memory);
		return NULL;
	}
	return memory;
}

void
login_note_seen(const struct session *session)
{
	struct tenant *tenant = session->tenant;
	struct device_memory *memory =
	    table_get(&tenant->devices, session->device);

	if (memory != NULL)
		memory->seen_at = process_now(tenant->process) -
		    (clock_boottime_ms() - session->heard);
}

int64_t
login_seen_at(const struct tenant *tenant, uint64_t device)
{
	const struct device_memory *memory =
	    table_get(&tenant->devices, device);

	return memory != NULL ? memory->seen_at : 0;
}

/* Key files number their proofs, so a copied key that is used beside the
 * original stumbles over its older numbers. A TPM's key has no copies. */
static int
take_sequence(struct device_memory *memory, const struct proof *proof,
    struct problem *problem)
{
	if (proof->class_ == PROOF_TPM)
		return 0;
	if (proof->sequence > memory->sequence) {
		memory->sequence = proof->sequence;
		return 0;
	}
	problem_set(problem, ERR_BAD_PROOF,
	    "if the agent's key was copied to another machine, revoke the "
	    "device and enroll each anew",
	    "the proof's number %llu is not above the last one seen (%llu): "
	    "an old proof, or a second copy of the key",
	    (unsigned long long)proof->sequence,
	    (unsigned long long)memory->sequence);
	return ERR_BAD_PROOF;
}

static int
take_turn(struct device_memory *memory, uint64_t device,
    struct problem *problem)
{
	int64_t now = clock_boottime_ms();
	int64_t from = memory->login_from > now ? memory->login_from : now;

	if (from - now <= (LOGINS_AT_ONCE - 1) * LOGIN_EVERY_MS) {
		memory->login_from = from + LOGIN_EVERY_MS;
		return 0;
	}
	problem_set(problem, ERR_RATE_LIMITED,
	    "if two machines have copies of one key, enroll each by itself",
	    "device-%llu logs in more often than every %d s; its last session "
	    "stays",
	    (unsigned long long)device, (int)(LOGIN_EVERY_MS / 1000));
	return ERR_RATE_LIMITED;
}

/* --- proofs -------------------------------------------------------------- */

/* Between the loop and the thread that checks. */
struct login {
	struct checking checking; /* first */
	const struct proof *proof;
};

int
session_take_nonce(struct checking *checking, const struct request *request,
    struct problem *problem)
{
	struct process *process = request->process;
	struct session *session = request->session;
	struct proof_subject *subject = &checking->subject;

	/* Its nonces are for borrowing. */
	if (session->proved) {
		problem_set(problem, ERR_CONFLICT, NULL,
		    "this connection has proved its device already; open "
		    "another one");
		return ERR_CONFLICT;
	}
	if (!session->said_hello || !session->has_nonce) {
		problem_set(problem, ERR_UNAUTHENTICATED, NULL,
		    "say session.hello first: each proof needs a nonce of its "
		    "own");
		return ERR_UNAUTHENTICATED;
	}
	subject->site = process->site.site;
	subject->tenant = request->tenant->name;
	memcpy(subject->nonce, session->nonce, sizeof(subject->nonce));
	memcpy(subject->exporter, session->peer.exporter,
	    sizeof(subject->exporter));
	session->has_nonce = false;
	sodium_memzero(session->nonce, sizeof(session->nonce));
	checking->number = session->checking = ++process->next_checking;
	return 0;
}

struct session *
session_checked(const struct call *call, const struct checking *checking)
{
	struct front *front = front_by_serial(call->process, call->front);
	struct session *session =
	    front != NULL ? table_get(&front->sessions, call->conn) : NULL;

	if (session == NULL || session->checking != checking->number)
		return NULL;
	session->checking = 0;
	return session;
}

static int
find_device(struct ledger_device *device, struct call *call, uint64_t number)
{
	struct ledger_view *view;
	int rc = ledger_view_open(&view, call->tenant->ledger);

	if (rc != 0)
		return rc;
	rc = ledger_device(device, view, number, &call->arena);
	ledger_view_close(view);
	if (rc == ERR_UNKNOWN_DEVICE)
		problem_set(&call->write.command.problem, rc,
		    "enroll it: leasehold enroll URL --token TOKEN",
		    "the site knows no device-%llu",
		    (unsigned long long)number);
	return rc == ERR_DEVICE_REVOKED ? 0 : rc;
}

/* On the thread that checks. */
static void
run_login(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct login *login = call->own;
	const struct proof_subject *subject = &login->checking.subject;
	struct ledger_device device = { 0 };
	int rc = find_device(&device, call, subject->device);

	if (rc == 0 &&
	    (!proof_class_fits(login->proof->class_, device.class_) ||
		proof_verify(login->proof, subject, device.public_key.data,
		    device.public_key.len) != 0))
		rc = ERR_BAD_PROOF;
	call->write.command.err = rc;
}

static int
refuse_revoked(const struct ledger_device *device, struct problem *problem)
{
	problem_set(problem, ERR_DEVICE_REVOKED,
	    "ask the site's admin for a token, then: leasehold enroll "
	    "URL --token TOKEN --new-key",
	    "an admin revoked device-%llu%s%s",
	    (unsigned long long)device->device,
	    device->reason[0] != '\0' ? ": " : "", device->reason);
	return ERR_DEVICE_REVOKED;
}

static int
refuse_class(const struct ledger_device *device, struct problem *problem)
{
	problem_set(problem, ERR_CLASS_NOT_ALLOWED,
	    "tell the site's admin: [devices] classes in leaseholdd.ini says "
	    "which are let in",
	    "this site lets in no devices of class %s any more, and "
	    "device-%llu is one",
	    proof_class_names[device->class_],
	    (unsigned long long)device->device);
	return ERR_CLASS_NOT_ALLOWED;
}

/* The proof holds. The device is looked at again, for an admin may have shut it
 * out since the thread did. */
static int
let_in(struct prove_reply *reply, struct call *call,
    const struct session *session)
{
	const struct login *login = call->own;
	struct problem *problem = &call->write.command.problem;
	uint32_t classes = call->process->options->devices.classes;
	struct ledger_device device = { 0 };
	int rc = find_device(&device, call, session->device);

	if (rc != 0)
		return rc;
	if (device.state == DEVICE_REVOKED)
		return refuse_revoked(&device, problem);
	/* It was told of a branch that is abandoned by now: sessions that were
	 * proved before are closed, for they bring what they hold at the next
	 * hello only. */
	if (session->generation != session_generation(call->tenant)) {
		problem_set(problem, ERR_UNAVAILABLE, "come again at once",
		    "the site's journal went on in another generation while "
		    "the device logged in");
		return ERR_UNAVAILABLE;
	}
	if (classes != 0 && (classes >> device.class_ & 1) == 0)
		return refuse_class(&device, problem);
	struct device_memory *memory =
	    memory_get(call->tenant, session->device);

	if (memory == NULL)
		return ERR_NOMEM;
	reply->device = device.device;
	reply->pending = device.state == DEVICE_PENDING;
	reply->borrows = device.borrows;
	reply->class_ = device.class_;
	memcpy(reply->name, device.name, sizeof(reply->name));
	rc = take_sequence(memory, login->proof, problem);
	return rc != 0 ? rc : take_turn(memory, session->device, problem);
}

/* A third of the shortest span among its leases, so that one lost round does
 * not cost a seat. */
static uint32_t
renew_interval_s(const struct tenant *tenant, uint64_t device)
{
	const struct live_lease *lease =
	    liveness_of_device(&tenant->liveness, device);
	uint32_t ttl_s = LICENSE_TTL_DEFAULT_S;

	for (; lease != NULL; lease = lease->next)
		if (lease->ttl_s < ttl_s)
			ttl_s = lease->ttl_s;
	return ttl_s < 3 ? 1 : ttl_s / 3;
}

/* All devices that there are may come at once after a restart; how many of
 * them are there is only known later. */
static uint32_t
spread_ms(const struct call *call)
{
	struct ledger_view *view;
	size_t agents = call->process->n_sessions;

	if (ledger_view_open(&view, call->tenant->ledger) != 0)
		return wire_spread_ms(agents);
	uint64_t devices = ledger_devices(view);

	ledger_view_close(view);
	return wire_spread_ms(devices > agents ? devices : agents);
}

static void
begin_session(struct prove_reply *reply, struct call *call,
    struct session *session)
{
	const struct login *login = call->own;
	struct tenant *tenant = call->tenant;

	session->proved = true;
	session->counter = login->proof->counter;
	session->pending = reply->pending;
	session->proved_at = process_now(call->process);
	waiting_device_came(tenant, session->device);
	reply->renew_s = renew_interval_s(tenant, session->device);
	reply->spread_ms = spread_ms(call);
	call->reply = reply;
}

static void
finish_login(struct call *call)
{
	const struct login *login = call->own;
	struct command *command = &call->write.command;
	struct session *session = session_checked(call, &login->checking);
	struct prove_reply *reply = arena_alloc(&call->arena, sizeof(*reply));

	if (session == NULL) { /* it closed meanwhile */
		call_free(call);
		return;
	}
	if (command->err == 0 && reply == NULL)
		command->err = ERR_NOMEM;
	if (command->err == 0) {
		*reply = (struct prove_reply){ 0 };
		command->err = let_in(reply, call, session);
	}
	if (command->err == 0) {
		session_close_device(call->tenant, session->device,
		    CLOSE_REPLACED, "this device connected from elsewhere (%s)",
		    session->peer.address);
		command->err = table_put(&call->tenant->sessions,
		    session->device, session);
	}
	if (command->err == 0) {
		begin_session(reply, call, session);
		acts_note_from(call->tenant, session->device,
		    session->peer.address);
	}
	command_finish(call);
}

void
session_prove(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct command *command = &call->write.command;
	struct login *login = arena_alloc(&call->arena, sizeof(*login));

	if (login == NULL) {
		command->err = ERR_NOMEM;
		command_finish(call);
		return;
	}
	*login = (struct login){
		.checking.subject = { .purpose = PROOF_LOGIN },
		.proof = &((const struct prove *)call->request)->proof,
	};
	command->err =
	    session_take_nonce(&login->checking, request, &command->problem);
	if (command->err != 0) {
		command_finish(call);
		return;
	}
	login->checking.subject.device = request->session->device;
	call->own = login;
	call->finish = finish_login;
	call_check(call, run_login);
}
