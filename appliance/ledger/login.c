/* Proofs of devices, on login and on enrolment; see session.h. Those of class
 * software are checked in the loop: 50 us each. */
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

/* --- proofs --------------------------------------------------------------- */
/* --- proofs -------------------------------------------------------------- */

/* The nonce is used up, whatever comes of it. */
static int
take_nonce(struct proof_subject *subject, const struct request *request,
    struct problem *problem)
{
	struct session *session = request->session;

	if (!session->said_hello || !session->has_nonce) {
		problem_set(problem, ERR_UNAUTHENTICATED, NULL,
		    "say session.hello first: each proof needs a nonce of its "
		    "own");
		return ERR_UNAUTHENTICATED;
	}
	subject->site = request->process->site.site;
	subject->tenant = request->tenant->name;
	memcpy(subject->nonce, session->nonce, sizeof(subject->nonce));
	memcpy(subject->exporter, session->peer.exporter,
	    sizeof(subject->exporter));
	session->has_nonce = false;
	sodium_memzero(session->nonce, sizeof(session->nonce));
	return 0;
}

static int
check_login(struct prove_reply *reply, const struct request *request,
    const struct proof *proof, struct problem *problem)
{
	struct proof_subject subject = { .purpose = PROOF_LOGIN };
	struct ledger_device device = { 0 };
	struct ledger_view *view;
	int rc = take_nonce(&subject, request, problem);

	if (rc != 0)
		return rc;
	subject.device = request->session->device;
	if ((rc = ledger_view_open(&view, request->tenant->ledger)) != 0)
		return rc;
	rc = ledger_device(&device, view, subject.device,
	    &request->process->arena);
	ledger_view_close(view);
	if (rc != 0 && rc != ERR_DEVICE_REVOKED) {
		if (rc == ERR_UNKNOWN_DEVICE)
			problem_set(problem, rc,
			    "enroll it: leasehold enroll URL --token TOKEN",
			    "the site knows no device-%llu",
			    (unsigned long long)subject.device);
		return rc;
	}
	if (!proof_class_fits(proof->class_, device.class_) ||
	    proof_verify(proof, &subject, device.public_key.data,
		device.public_key.len) != 0)
		return ERR_BAD_PROOF;
	if (device.state == DEVICE_REVOKED) {
		problem_set(problem, ERR_DEVICE_REVOKED,
		    "ask the site's admin for a token, then: leasehold enroll "
		    "URL --token TOKEN --new-key",
		    "an admin revoked device-%llu%s%s",
		    (unsigned long long)subject.device,
		    device.reason[0] != '\0' ? ": " : "", device.reason);
		return ERR_DEVICE_REVOKED;
	}
	struct device_memory *memory =
	    memory_get(request->tenant, subject.device);

	if (memory == NULL)
		return ERR_NOMEM;
	reply->device = device.device;
	reply->pending = device.state == DEVICE_PENDING;
	reply->borrows = device.borrows;
	reply->class_ = device.class_;
	memcpy(reply->name, device.name, sizeof(reply->name));
	rc = take_sequence(memory, proof, problem);
	return rc != 0 ? rc : take_turn(memory, subject.device, problem);
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
spread_ms(const struct request *request)
{
	struct ledger_view *view;
	size_t agents = request->process->n_sessions;

	if (ledger_view_open(&view, request->tenant->ledger) != 0)
		return wire_spread_ms(agents);
	uint64_t devices = ledger_devices(view);

	ledger_view_close(view);
	return wire_spread_ms(devices > agents ? devices : agents);
}

void
session_prove(const struct request *request)
{
	struct session *session = request->session;
	const struct prove *prove = request_read(request);
	struct prove_reply reply = { 0 };
	struct problem problem = { 0 };

	if (prove == NULL)
		return;
	int rc = check_login(&reply, request, &prove->proof, &problem);

	if (rc == 0) {
		session_close_device(request->tenant, session->device,
		    CLOSE_REPLACED, "this device connected from elsewhere (%s)",
		    session->peer.address);
		rc = table_put(&request->tenant->sessions, session->device,
		    session);
	}
	if (rc != 0) {
		request_refuse(request, rc, &problem);
		return;
	}
	session->proved = true;
	session->counter = prove->proof.counter;
	session->pending = reply.pending;
	session->proved_at = process_now(request->process);
	waiting_device_came(request->tenant, session->device);
	reply.renew_s = renew_interval_s(request->tenant, session->device);
	reply.spread_ms = spread_ms(request);
	request_reply(request, &reply);
}

/* --- enrolment ----------------------------------------------------------- */

/* The join token itself is the core's to judge; here: whoever asks holds the
 * key that becomes the device's. */
void
session_enroll(const struct request *request)
{
	const struct enroll *enroll = request_read(request);
	struct proof_subject subject = { .purpose = PROOF_ENROLL };
	struct problem problem = { 0 };

	if (enroll == NULL)
		return;
	int rc = take_nonce(&subject, request, &problem);

	if (rc == 0) {
		crypto_hash_sha256(subject.request_digest, enroll->join.data,
		    enroll->join.len);
		if (enroll->proof.class_ != enroll->class_ ||
		    proof_verify(&enroll->proof, &subject,
			enroll->public_key.data, enroll->public_key.len) != 0)
			rc = ERR_BAD_PROOF;
	}
	if (rc != 0) {
		request_refuse(request, rc, &problem);
		return;
	}
	struct call *call = call_new(request);

	if (call != NULL)
		call_commit(call);
}
