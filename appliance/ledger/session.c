/*
 * Agents' sessions: one for each WebSocket, and one live session for each
 * device: a newer one closes the older. hello shows the journal and gives a
 * nonce, prove answers it with the device's key over this TLS connection,
 * enroll makes a device. Proofs of class software are checked in the loop: 50
 * us each.
 */
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Agents renew every 40 s and answer pings; a session that said something
 * within this long will most likely get a notice. */
#define REACHABLE_MS ((int64_t)60 * 1000)

#define CLOSE_REPLACED 4001
#define CLOSE_POLICY 1008
#define CLOSE_CROWDED 1013 /* RFC 6455: try again later */

/* One to log in, one before and one after an enrolment, and some that went
 * wrong: a stranger may say it, and each is a walk through the store. */
#define SESSION_HELLOS_MAX 16

/* A client that saw a newer journal is told about once a minute at most: what
 * a stranger says in hello is a claim. */
#define ROLLED_BACK_TOLD_MS ((int64_t)60 * 1000)

struct session {
	struct front *front;
	struct tenant *tenant;
	uint64_t conn;
	struct wire_peer peer;
	uint32_t hellos;
	bool said_hello;
	bool has_nonce; /* good for one proof */
	bool proved;
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint64_t device; /* as in hello; who it is once proved */
	uint32_t n_calls;
	int64_t heard; /* boottime of its last request */
};

struct session *
session_new(struct front *front, uint64_t conn, const struct wire_peer *peer)
{
	struct process *process = front->process;

	session_free(table_get(&front->sessions, conn));
	struct session *session =
	    process->n_sessions < process->options->connections_max
	    ? calloc(1, sizeof(*session))
	    : NULL;

	if (session == NULL ||
	    table_put(&front->sessions, conn, session) != 0) {
		free(session);
		front_close(front, conn, CLOSE_CROWDED,
		    "the site has as many connections as it can hold");
		return NULL;
	}
	process->n_sessions++;
	session->front = front;
	session->conn = conn;
	session->peer = *peer;
	/* Agents belong to the only tenant until host names choose one. */
	session->tenant = process_tenant(process, SETUP_TENANT);
	return session;
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	struct table *live = &session->tenant->sessions;

	if (session->proved && table_get(live, session->device) == session) {
		table_remove(live, session->device);
		waiting_device_left(session->tenant, session->device);
	}
	table_remove(&session->front->sessions, session->conn);
	session->front->process->n_sessions--;
	sodium_memzero(session->nonce, sizeof(session->nonce));
	free(session);
}

bool
session_is_proved(const struct session *session)
{
	return session->proved;
}

struct tenant *
session_tenant(const struct session *session)
{
	return session->tenant;
}

void
session_fill_who(struct principal *who, const struct session *session)
{
	*who = (struct principal){ .kind = ACTOR_DEVICE };
	who->id = session->proved ? session->device : 0;
	text_copy(who->address, sizeof(who->address), session->peer.address);
}

void
session_heard(struct session *session)
{
	session->heard = clock_boottime_ms();
}

bool
session_is_reachable(const struct tenant *tenant, uint64_t device)
{
	const struct session *session = table_get(&tenant->sessions, device);

	return session != NULL &&
	    clock_boottime_ms() - session->heard <= REACHABLE_MS;
}

bool
session_begin_call(struct session *session)
{
	if (session->n_calls >= SESSION_CALLS_MAX)
		return false;
	session->n_calls++;
	return true;
}

void
session_end_call(struct session *session)
{
	/* A taken front may name a new connection like one that has calls. */
	if (session->n_calls > 0)
		session->n_calls--;
}

/* --- to the live session of a device ------------------------------------- */

void
session_notify(const struct tenant *tenant, uint64_t device,
    enum operation_id op, const void *notice)
{
	const struct session *session = table_get(&tenant->sessions, device);
	struct buf bytes = { 0 };

	if (session == NULL)
		return;
	record_write_msgpack(&bytes, operation_get(op)->request, notice);
	if (!bytes.failed)
		front_send(session->front,
		    &(struct ipc_message){
			.kind = WIRE_NOTICE,
			.op = (uint16_t)op,
			.conn = session->conn,
			.payload = bytes.data,
			.len = (uint32_t)bytes.len,
		    });
	buf_release(&bytes);
}

void
session_tell_revoked(struct tenant *tenant, uint64_t device, uint64_t lease,
    const char *code)
{
	struct lease_refused notice = { .lease = lease };

	text_copy(notice.code, sizeof(notice.code), code);
	session_notify(tenant, device, OP_LEASE_REVOKED, &notice);
}

void
session_close_device(struct tenant *tenant, uint64_t device, uint16_t code,
    const char *reason)
{
	struct session *session = table_get(&tenant->sessions, device);

	if (session == NULL)
		return;
	front_close(session->front, session->conn, code, reason);
	session_free(session);
}

/* --- hello --------------------------------------------------------------- */

static void
tell_rolled_back(struct process *process, const struct session *session,
    const struct hello *hello, uint64_t batch)
{
	struct process_counts *counts = &process->counts;
	int64_t boottime = clock_boottime_ms();

	counts->rolled_back++;
	if (counts->rolled_back > 1 &&
	    boottime - counts->rolled_back_told < ROLLED_BACK_TOLD_MS)
		return;
	counts->rolled_back_told = boottime;
	log_error("ledger",
	    "ALERT: an agent has seen a journal that this is not a "
	    "continuation of: either the site's store was put back to an "
	    "older copy, or the agent is wrong; address=%s device=%llu "
	    "its_batch=%llu our_batch=%llu times=%llu",
	    session->peer.address, (unsigned long long)hello->device,
	    (unsigned long long)hello->known.batch, (unsigned long long)batch,
	    (unsigned long long)counts->rolled_back);
}

static int
fill_hello(struct hello_reply *reply, const struct request *request,
    const struct hello *hello, struct problem *problem)
{
	struct process *process = request->process;
	struct journal_header header;
	struct ledger_view *view;
	uint8_t head[32];
	int rc = ledger_view_open(&view, request->tenant->ledger);

	if (rc != 0)
		return rc;
	rc =
	    ledger_newest(&header, head, &reply->header, view, &process->arena);
	if (rc == 0)
		rc = ledger_continue(&reply->inclusion, &reply->consistency,
		    view, &hello->known, &process->arena);
	if (rc == ERR_ROLLED_BACK) {
		tell_rolled_back(process, request->session, hello,
		    header.batch);
		problem_set(problem, rc,
		    "tell the site's admin; nothing is granted to you until "
		    "the journal is in order again",
		    "you have seen batch %llu of this site's journal, and the "
		    "journal here (at batch %llu) does not continue it: it was "
		    "put back to an older copy, or forked",
		    (unsigned long long)hello->known.batch,
		    (unsigned long long)header.batch);
	}
	ledger_view_close(view);
	return rc;
}

void
session_hello(const struct request *request)
{
	struct session *session = request->session;
	const struct hello *hello = request_read(request);
	struct hello_reply reply = { 0 };
	struct problem problem = { 0 };

	if (hello == NULL)
		return;
	if (++session->hellos > SESSION_HELLOS_MAX) {
		request_refuse(request, ERR_RATE_LIMITED, NULL);
		front_close(session->front, session->conn, CLOSE_POLICY,
		    "too many hellos");
		session_free(session);
		return;
	}
	if (session->proved) {
		problem_set(&problem, ERR_CONFLICT, NULL,
		    "this connection has proved its device already; open "
		    "another one");
		request_refuse(request, ERR_CONFLICT, &problem);
		return;
	}
	if (hello->protocol != PROTOCOL_VERSION) {
		problem_set(&problem, ERR_BAD_REQUEST,
		    "install a release of the agent that fits the site",
		    "the agent speaks protocol %u and this site speaks %d",
		    hello->protocol, PROTOCOL_VERSION);
		text_copy(problem.field, sizeof(problem.field), "protocol");
		request_refuse(request, ERR_BAD_REQUEST, &problem);
		return;
	}
	session->said_hello = false;
	session->has_nonce = false;
	int rc = fill_hello(&reply, request, hello, &problem);

	if (rc != 0) {
		request_refuse(request, rc, &problem);
		return;
	}
	randombytes_buf(session->nonce, sizeof(session->nonce));
	session->has_nonce = true;
	session->said_hello = true;
	session->device = hello->device;
	memcpy(reply.nonce, session->nonce, sizeof(reply.nonce));
	memcpy(reply.site, request->process->site.site, sizeof(reply.site));
	memcpy(reply.name, request->process->site.name, sizeof(reply.name));
	memcpy(reply.tenant, request->tenant->name, sizeof(reply.tenant));
	reply.time = process_now(request->process);
	request_reply(request, &reply);
}

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

/* A device's counter rises with every proof, so a copied key that is used
 * beside the original stumbles over its older numbers. */
static int
take_counter(struct tenant *tenant, uint64_t device, uint64_t counter,
    struct problem *problem)
{
	struct device_memory *memory = table_get(&tenant->devices, device);

	if (memory == NULL) {
		memory = calloc(1, sizeof(*memory));
		if (memory == NULL ||
		    table_put(&tenant->devices, device, memory) != 0) {
			free(memory);
			return ERR_NOMEM;
		}
	} else if (counter <= memory->counter) {
		problem_set(problem, ERR_BAD_PROOF,
		    "if the agent's key was copied to another machine, revoke "
		    "the device and enroll each anew",
		    "the proof's counter %llu is not above the last one seen "
		    "(%llu): an old proof, or a second copy of the key",
		    (unsigned long long)counter,
		    (unsigned long long)memory->counter);
		return ERR_BAD_PROOF;
	}
	memory->counter = counter;
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
			    "the site knows no device %llu",
			    (unsigned long long)subject.device);
		return rc;
	}
	if (proof->class_ != device.class_ ||
	    proof_verify(proof, &subject, device.public_key.data,
		device.public_key.len) != 0)
		return ERR_BAD_PROOF;
	if (device.revoked) {
		problem_set(problem, ERR_DEVICE_REVOKED,
		    "to come back it needs a new key and a token of the site's "
		    "admin; leasehold status says how",
		    "device %llu was revoked by an admin",
		    (unsigned long long)subject.device);
		return ERR_DEVICE_REVOKED;
	}
	reply->device = device.device;
	memcpy(reply->name, device.name, sizeof(reply->name));
	return take_counter(request->tenant, subject.device, proof->counter,
	    problem);
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
		    CLOSE_REPLACED, "a newer session of this device began");
		rc = table_put(&request->tenant->sessions, session->device,
		    session);
	}
	if (rc != 0) {
		request_refuse(request, rc, &problem);
		return;
	}
	session->proved = true;
	waiting_device_came(request->tenant, session->device);
	reply.renew_s = renew_interval_s(request->tenant, session->device);
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
