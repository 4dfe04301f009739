/* The fronts: one ipc each, with the sessions that came through it. */
#include "appliance/ledger/alerts.h"
#include "appliance/ledger/by_key.h"
#include "appliance/ledger/documents.h"
#include "appliance/ledger/events.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Once a front: a taken one could fill the disk with it. */
static void
tell_odd(struct front *front, const struct ipc_message *message)
{
	if (!front->odd_told)
		log_error("ledger",
		    "front %d sends what no front would: kind=%u op=%u len=%u",
		    front->index, message->kind, message->op, message->len);
	front->odd_told = true;
}

static void
read_opened(struct front *front, const struct ipc_message *message)
{
	struct arena *arena = &front->process->arena;
	struct wire_peer peer;

	int rc = record_read_msgpack(&peer, &wire_peer_record, message->payload,
	    message->len, NULL, arena, NULL);

	if (rc == 0)
		session_new(front, message->conn, &peer);
	else
		tell_odd(front, message);
	arena_clear(arena);
}

/* A front that does not take its answers is not listened to either, until it
 * does: the tick resumes it. */
static void
hold_back(struct front *front)
{
	if (front->paused || ipc_queued(front->ipc) <= FRONT_QUEUE_MAX)
		return;
	log_warn("ledger", "front %d is slow: not reading from it for now",
	    front->index);
	front->paused = true;
	ipc_pause(front->ipc);
}

static void
got_message(void *ctx, const struct ipc_message *message)
{
	struct front *front = ctx;

	switch (message->kind) {
	case WIRE_OPENED:
		read_opened(front, message);
		break;
	case WIRE_CLOSED:
		session_free(table_get(&front->sessions, message->conn));
		break;
	case WIRE_REQUEST:
		front->process->counts.requests++;
		dispatch_request(front, message);
		break;
	case WIRE_CALL:
		front->process->counts.requests++;
		dispatch_call(front, message);
		break;
	case WIRE_ABANDONED:
		if (message->op == OP_EVENTS)
			events_abandoned(front, message->conn, message->tag);
		else if (message->op == OP_BILLING_OVERAGE)
			documents_abandoned(front, message->conn, message->tag);
		else
			by_key_abandoned(front, message->conn, message->tag);
		break;
	case WIRE_MORE:
		if (message->op == OP_EVENTS)
			events_more(front, message->conn, message->tag);
		else
			documents_more(front, message->conn, message->tag);
		break;
	default:
		tell_odd(front, message);
	}
	hold_back(front);
}

static void
got_closed(void *ctx)
{
	struct front *front = ctx;

	log_info("ledger", "front %d is gone", front->index);
	front_free(front);
}

/* What is not well though the site works. */
static void
fill_health(struct health *health, struct process *process)
{
	struct site_view site = { 0 };

	memset(health, 0, sizeof(*health));
	rollback_fill_site(&site, process);
	text_copy(health->status, sizeof(health->status), "ok");
	text_copy(health->witness, sizeof(health->witness),
	    witness_class_names[site.witness]);
	pthread_mutex_lock(&process->clock.lock);
	bool held = process->clock.clock.held;

	pthread_mutex_unlock(&process->clock.lock);
	if (held)
		text_copy(health->detail, sizeof(health->detail),
		    "the wall clock jumped, and waits for an admin: leasehold "
		    "site show");
	else if (process->guard.failing)
		text_copy(health->detail, sizeof(health->detail),
		    "the site's own counter does not go on: what is answered "
		    "after a tick waits");
	for (size_t i = 0; i < process->n_tenants; i++)
		if (health->detail[0] == '\0' &&
		    alerts_fill(process->tenants[i]))
			snprintf(health->detail, sizeof(health->detail),
			    "a store or its disk fills up; see the log");
}

static void
tell_state(struct front *front)
{
	struct buf payload = { 0 };
	struct health health;
	static const uint16_t states[] = {
		[PHASE_STARTING] = 0,
		[PHASE_READY] = 1,
		[PHASE_DRAINING] = 2,
	};

	struct process *process = front->process;
	uint16_t state = states[process->phase];

	for (size_t i = 0; i < process->n_tenants; i++)
		if (state == 1 && process->tenants[i]->fault != 0)
			state = 3;
	if (state == 1 && process->guard.frozen)
		state = 4;
	fill_health(&health, process);
	if (front->told && front->state == state &&
	    memcmp(&front->health, &health, sizeof(health)) == 0)
		return;
	front->told = true;
	front->state = state;
	front->health = health;
	record_write_msgpack(&payload, &health_record, &health);
	front_send(front,
	    &(struct ipc_message){
		.kind = WIRE_STATE,
		.op = state,
		.payload = payload.data,
		.len = payload.failed ? 0 : (uint32_t)payload.len,
	    });
	buf_release(&payload);
}

int
front_add(struct process *process, int fd, int index)
{
	static const struct ipc_callbacks callbacks = {
		.message = got_message,
		.closed = got_closed,
	};
	struct front *front = calloc(1, sizeof(*front));

	if (front == NULL)
		return ERR_NOMEM;
	front->process = process;
	front->index = index;
	front->serial = ++process->next_serial;
	front->ipc = ipc_new(process->base, fd, &callbacks, front);
	if (front->ipc == NULL) {
		free(front);
		return ERR_NOMEM;
	}
	front->next = process->fronts;
	process->fronts = front;
	tell_state(front);
	return 0;
}

struct front *
front_by_serial(const struct process *process, uint64_t serial)
{
	struct front *front = process->fronts;

	while (front != NULL && front->serial != serial)
		front = front->next;
	return front;
}

void
front_free(struct front *front)
{
	struct front **link = &front->process->fronts;
	struct session *session;
	size_t at = 0;

	while (*link != front)
		link = &(*link)->next;
	*link = front->next;
	/* Freeing one takes it out of the table, so begin anew each time. */
	while ((session = table_next(&front->sessions, &at)) != NULL) {
		session_free(session);
		at = 0;
	}
	table_release(&front->sessions);
	events_close_front(front);
	documents_close_front(front);
	ipc_free(front->ipc);
	free(front);
}

void
front_tell_state(struct process *process)
{
	for (struct front *front = process->fronts; front != NULL;
	     front = front->next)
		tell_state(front);
}

void
front_resume(struct process *process)
{
	for (struct front *front = process->fronts; front != NULL;
	     front = front->next) {
		if (!front->paused ||
		    ipc_queued(front->ipc) > FRONT_QUEUE_MAX / 2)
			continue;
		front->paused = false;
		ipc_resume(front->ipc);
	}
}

void
front_send(struct front *front, const struct ipc_message *message)
{
	int rc = ipc_send(front->ipc, message);

	/* A closed one is told by its callback. */
	if (rc != 0 && rc != ERR_CLOSED)
		log_error("ledger", "cannot send to front %d: %s", front->index,
		    err_str(rc));
}

void
front_close(struct front *front, uint64_t conn, uint16_t code,
    const char *reason)
{
	front_send(front,
	    &(struct ipc_message){
		.kind = WIRE_CLOSE,
		.op = code,
		.conn = conn,
		.payload = (const uint8_t *)reason,
		.len = (uint32_t)strlen(reason),
	    });
}
