/* Sessions from their beginning to hello, and what is said to the live one of
 * a device; see session.h. */
#include "appliance/ledger/session.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Agents renew every 40 s and answer pings; a session that said something
 * within this long will most likely get a notice. */
#define REACHABLE_MS ((int64_t)60 * 1000)

#define CLOSE_POLICY 1008
#define CLOSE_CROWDED 1013 /* RFC 6455: try again later */

/* One to log in, one before and one after an enrolment, and some that went
 * wrong: a stranger may say it, and each is a walk through the store. */
#define SESSION_HELLOS_MAX 16

/* A client that saw a newer journal is told about once a minute at most: what
 * a stranger says in hello is a claim. */
#define ROLLED_BACK_TOLD_MS ((int64_t)60 * 1000)

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
	session->entry = tenant_by_host(process, peer->host);
	return session;
}

int
session_bind(struct tenant **out, struct session *session)
{
	struct process *process = session->front->process;

	if (session->tenant == NULL) {
		int rc =
		    tenant_use_entry(&session->tenant, process, session->entry);

		if (rc != 0)
			return rc;
		session->tenant->n_sessions++;
	}
	*out = session->tenant;
	return 0;
}

static void
unbind(struct session *session)
{
	struct table *live = &session->tenant->sessions;

	if (session->proved && table_get(live, session->device) == session) {
		login_note_seen(session);
		table_remove(live, session->device);
		waiting_device_left(session->tenant, session->device);
	}
	session->tenant->n_sessions--;
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	if (session->tenant != NULL)
		unbind(session);
	enrolling_forget(session);
	table_remove(&session->front->sessions, session->conn);
	session->front->process->n_sessions--;
	sodium_memzero(session->nonce, sizeof(session->nonce));
	free(session);
}

static struct session *
find_of(struct front *front, const struct tenant_entry *entry)
{
	struct session *session;
	size_t at = 0;

	while ((session = table_next(&front->sessions, &at)) != NULL)
		if (session->entry == entry)
			return session;
	return NULL;
}

static void
close_all(struct process *process, const struct tenant_entry *entry,
    uint16_t code, const char *reason)
{
	struct session *session;

	for (struct front *front = process->fronts; front != NULL;
	     front = front->next)
		while ((session = find_of(front, entry)) != NULL) {
			front_close(front, session->conn, code, reason);
			session_free(session);
		}
}

void
session_close_all(struct process *process, const struct tenant_entry *entry,
    const char *reason)
{
	close_all(process, entry, CLOSE_REVOKED, reason);
}

void
session_restart_all(struct process *process, const struct tenant_entry *entry,
    const char *reason)
{
	close_all(process, entry, CLOSE_RESTART, reason);
}

bool
session_is_proved(const struct session *session)
{
	return session->proved;
}

bool
session_is_pending(const struct session *session)
{
	return session->pending;
}

void
session_fill_who(struct principal *who, const struct session *session)
{
	*who = (struct principal){ .kind = ACTOR_DEVICE };
	who->id = session->proved ? session->device : 0;
	text_copy(who->address, sizeof(who->address), session->peer.address);
}

uint64_t
session_counter(const struct session *session)
{
	return session->proved ? session->counter : 0;
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

static void
notify(const struct session *session, enum operation_id op,
    const struct buf *bytes)
{
	if (!bytes->failed)
		front_send(session->front,
		    &(struct ipc_message){
			.kind = WIRE_NOTICE,
			.op = (uint16_t)op,
			.conn = session->conn,
			.payload = bytes->data,
			.len = (uint32_t)bytes->len,
		    });
}

void
session_notify(const struct tenant *tenant, uint64_t device,
    enum operation_id op, const void *notice)
{
	const struct session *session = table_get(&tenant->sessions, device);
	struct buf bytes = { 0 };

	if (session == NULL)
		return;
	record_write_msgpack(&bytes, operation_get(op)->request, notice);
	notify(session, op, &bytes);
	buf_release(&bytes);
}

void
session_notify_all(const struct tenant *tenant, enum operation_id op,
    const void *notice)
{
	const struct session *session;
	struct buf bytes = { 0 };
	size_t at = 0;

	record_write_msgpack(&bytes, operation_get(op)->request, notice);
	while ((session = table_next(&tenant->sessions, &at)) != NULL)
		if (!session->pending)
			notify(session, op, &bytes);
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
session_approve(struct tenant *tenant, uint64_t device)
{
	struct session *session = table_get(&tenant->sessions, device);
	const struct empty nothing = { 0 };

	if (session == NULL || !session->pending)
		return;
	session->pending = false;
	session_notify(tenant, device, OP_DEVICE_APPROVED, &nothing);
}

void
session_close_device(struct tenant *tenant, uint64_t device, uint16_t code,
    const char *format, ...)
{
	struct session *session = table_get(&tenant->sessions, device);
	/* RFC 6455 section 5.5: 125 bytes with the code. */
	char reason[124];
	va_list arguments;

	if (session == NULL)
		return;
	va_start(arguments, format);
	int len = vsnprintf(reason, sizeof(reason), format, arguments);

	va_end(arguments);
	/* Cut at a whole character. */
	size_t end = strlen(reason);

	while (len > (int)end && !text_is_utf8(reason, end))
		reason[--end] = '\0';
	front_close(session->front, session->conn, code, reason);
	session_free(session);
}

void
session_close_revoked(struct tenant *tenant, uint64_t device)
{
	struct ledger_device known = { 0 };
	struct arena arena = { 0 };
	struct ledger_view *view;

	if (table_get(&tenant->sessions, device) == NULL)
		return;
	if (ledger_view_open(&view, tenant->ledger) == 0) {
		(void)ledger_device(&known, view, device, &arena);
		ledger_view_close(view);
	}
	arena_release(&arena);
	session_close_device(tenant, device, CLOSE_REVOKED, "%s%s",
	    known.reason[0] != '\0' ? "an admin revoked this device: "
				    : "an admin revoked this device",
	    known.reason);
}

void
session_fill_device(struct device_view *out, const struct tenant *tenant)
{
	const struct session *session =
	    table_get(&tenant->sessions, out->device);
	int64_t now = process_now(tenant->process);

	out->seen_at = login_seen_at(tenant, out->device);
	if (session == NULL)
		return;
	out->connected = true;
	out->connected_at = session->proved_at;
	out->seen_at = now - (clock_boottime_ms() - session->heard);
	text_copy(out->address, sizeof(out->address), session->peer.address);
	memcpy(out->software, session->software, sizeof(out->software));
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
	reply->succession = process->succession.steps;
	ledger_view_close(view);
	return rc;
}

/* What it says counts for nothing; what this site has signed does. */
static void
look_at_evidence(const struct request *request, const struct hello *hello)
{
	const struct tenant *tenant = request->tenant;
	struct row_mark mark;

	if (ledger_read_evidence(&mark, tenant->ledger, hello->evidence.data,
		hello->evidence.len) == 0)
		rollback_look(request->tenant, &mark,
		    request->session->peer.address, hello->device);
}

uint32_t
session_generation(const struct tenant *tenant)
{
	struct ledger_view *view;
	uint32_t generation = 0;

	if (ledger_view_open(&view, tenant->ledger) == 0) {
		generation = ledger_generation(view);
		ledger_view_close(view);
	}
	return generation;
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
	if (session->checking != 0) {
		problem_set(&problem, ERR_CONFLICT, NULL,
		    "a proof of this connection is being checked; wait for "
		    "the answer");
		request_refuse(request, ERR_CONFLICT, &problem);
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
	enrolling_forget(session);
	if (hello->evidence.len > 0)
		look_at_evidence(request, hello);
	session->generation = session_generation(request->tenant);
	int rc = fill_hello(&reply, request, hello, &problem);

	if (rc != 0) {
		request_refuse(request, rc, &problem);
		return;
	}
	randombytes_buf(session->nonce, sizeof(session->nonce));
	session->has_nonce = true;
	session->said_hello = true;
	session->device = hello->device;
	memcpy(session->software, hello->software, sizeof(session->software));
	memcpy(reply.nonce, session->nonce, sizeof(reply.nonce));
	memcpy(reply.site, request->process->site.site, sizeof(reply.site));
	memcpy(reply.name, request->process->site.name, sizeof(reply.name));
	memcpy(reply.tenant, request->tenant->name, sizeof(reply.tenant));
	reply.time = process_now(request->process);
	request_reply(request, &reply);
}
