#include "appliance/ledger/by_key.h"

#include "appliance/ledger/waiting.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stddef.h>
#include <string.h>

/* --- what was asked ------------------------------------------------------ */

int
by_key_refuse_field(struct problem *problem, const char *field,
    const char *words)
{
	problem_set(problem, ERR_BAD_REQUEST, NULL, "%s", words);
	text_copy(problem->field, sizeof(problem->field), field);
	return ERR_BAD_REQUEST;
}

/* The same for the same Idempotency-Key; the core keeps those of one device
 * apart from another's. */
static void
request_id_of(uint8_t id[REQUEST_BYTES], const char *key)
{
	crypto_generichash(id, REQUEST_BYTES, (const uint8_t *)key, strlen(key),
	    NULL, 0);
}

static void
make_request_id(uint8_t id[REQUEST_BYTES], const struct request *request)
{
	const char *key = request->caller->idempotency_key;

	if (key[0] == '\0')
		entropy_take(id, request->process->entropy, REQUEST_BYTES);
	else
		request_id_of(id, key);
}

/* Who brings none of his own gets one that a retry has too. */
static void
make_nonce(uint8_t nonce[NONCE_BYTES], const struct seat_checkout *asked,
    const uint8_t id[REQUEST_BYTES])
{
	if (sodium_is_zero(asked->nonce, NONCE_BYTES))
		crypto_generichash(nonce, NONCE_BYTES, id, REQUEST_BYTES,
		    (const uint8_t *)"leasehold seat nonce", 20);
	else
		memcpy(nonce, asked->nonce, NONCE_BYTES);
}

/* In body and header alike, or in one of them. */
static int
read_claims(struct checkout *out, const struct seat_checkout *asked,
    const struct wire_caller *caller, struct problem *problem)
{
	const char *print = asked->app_fingerprint;
	size_t len = 0;

	if (asked->hostname[0] != '\0' && caller->hostname[0] != '\0' &&
	    strcmp(asked->hostname, caller->hostname) != 0)
		return by_key_refuse_field(problem, "hostname",
		    "hostname says another than X-Hostname");
	text_copy(out->host, sizeof(out->host),
	    asked->hostname[0] != '\0' ? asked->hostname : caller->hostname);
	memcpy(out->application, caller->fingerprint, sizeof(out->application));
	if (print[0] == '\0')
		return 0;
	if (text_from_hex(out->application, sizeof(out->application), &len,
		print, strlen(print)) != 0 ||
	    len != sizeof(out->application))
		return by_key_refuse_field(problem, "app_fingerprint",
		    "app_fingerprint is a SHA-256: 64 hexadecimal digits");
	if (!sodium_is_zero(caller->fingerprint, sizeof(caller->fingerprint)) &&
	    memcmp(out->application, caller->fingerprint,
		sizeof(caller->fingerprint)) != 0)
		return by_key_refuse_field(problem, "app_fingerprint",
		    "app_fingerprint says another than X-App-Fingerprint");
	return 0;
}

/* As an agent would ask. */
static int
translate(struct checkout *out, const struct request *request,
    const struct seat_checkout *asked, struct problem *problem)
{
	make_request_id(out->request, request);
	make_nonce(out->nonce, asked, out->request);
	memcpy(out->product, asked->product, sizeof(out->product));
	text_copy(out->version, sizeof(out->version),
	    asked->version[0] != '\0' ? asked->version : SEAT_VERSION_UNSAID);
	memcpy(out->feature, asked->feature, sizeof(out->feature));
	out->count = asked->count > 0 ? asked->count : 1;
	memcpy(out->user, asked->user, sizeof(out->user));
	out->wait_s = asked->wait_s;
	out->known = asked->known;
	return read_claims(out, asked, request->caller, problem);
}

static void
set_times(struct by_key *own, const struct seat_checkout *asked)
{
	int64_t now = clock_boottime_ms();
	uint32_t hold_s = asked->hold_s > 0 ? asked->hold_s : SEAT_HOLD_MAX_S;

	own->hold_until = now + (int64_t)hold_s * 1000;
	own->wait_until = now + (int64_t)asked->wait_s * 1000;
	/* Nobody could ask again. */
	if (!own->repeatable && own->wait_until > own->hold_until)
		own->wait_until = own->hold_until;
	if (own->hold_until > own->wait_until)
		own->hold_until = own->wait_until;
}

/* --- what is told -------------------------------------------------------- */

static uint32_t
renew_every(uint32_t ttl_s)
{
	return ttl_s >= 3 ? ttl_s / 3 : 1;
}

void
by_key_fill_times(int64_t *renew_by, int64_t *expires_at,
    struct process *process, const struct live_lease *live)
{
	int64_t left = live->deadline - LEDGER_SKEW_MS - clock_boottime_ms();

	*expires_at = process_now(process) + left;
	*renew_by = *expires_at - (int64_t)live->grace_s * 1000;
}

static void
fill_evidence(struct seat_evidence *out, const struct checkout_reply *reply,
    const struct row_lease_granted *grant)
{
	memcpy(out->nonce, grant->nonce, sizeof(out->nonce));
	memcpy(out->license_digest, grant->license_digest,
	    sizeof(out->license_digest));
	out->row_number = reply->row_number;
	out->row = reply->row;
	out->path = reply->path;
	out->header = reply->header;
	out->inclusion = reply->inclusion;
	out->consistency = reply->consistency;
}

static void
fill_price(struct seat_lease *out, const struct row_lease_granted *grant,
    const struct ledger_seats *seats)
{
	if (grant->overage_count == 0)
		return;
	out->overage = grant->overage;
	out->overage_count = grant->overage_count;
	if (seats->overage_per_use >
	    (INT64_C(1) << 53) / (int64_t)LEASE_COUNT_MAX)
		return;
	out->overage_cost = seats->overage_per_use * grant->overage_count;
	memcpy(out->currency, seats->currency, sizeof(out->currency));
}

static void
fill_lease(struct seat_lease *out, const struct call *call,
    const struct row_lease_granted *grant, const struct live_lease *live)
{
	const struct ledger_seats *seats = &call->write.command.seats;

	out->status = SEAT_GRANTED;
	seat_id_write(out->id, grant->lease);
	out->lease = grant->lease;
	out->type =
	    grant->type == SEAT_OVERAGE ? SEAT_KIND_OVERAGE : SEAT_KIND_COMMIT;
	memcpy(out->product, grant->product, sizeof(out->product));
	memcpy(out->feature, grant->feature, sizeof(out->feature));
	out->count = grant->count;
	out->ttl_s = grant->ttl_s;
	out->grace_s = grant->grace_s;
	out->renew_s = renew_every(grant->ttl_s);
	by_key_fill_times(&out->renew_by, &out->expires_at, call->process,
	    live);
	fill_price(out, grant, seats);
	out->seats = (struct seat_pool){ .total = seats->total,
		.commit = seats->commit,
		.used = seats->used,
		.used_overage = seats->used_overage,
		.free = seats->free };
	fill_evidence(&out->evidence, &call->write.command.reply.checkout,
	    grant);
}

static void
set_refusal(struct call *call, int err)
{
	call->write.command.err = err;
	memset(&call->write.command.problem, 0,
	    sizeof(call->write.command.problem));
}

/* The row says what was granted, also to a retry. */
static void
answer_lease(struct call *call)
{
	const struct checkout_reply *granted =
	    &call->write.command.reply.checkout;
	const struct live_lease *live =
	    liveness_get(&call->tenant->liveness, granted->lease);
	struct row *row = arena_alloc(&call->arena, sizeof(*row));
	struct seat_lease *reply = arena_alloc(&call->arena, sizeof(*reply));
	int rc = row == NULL || reply == NULL ? ERR_NOMEM : 0;

	if (rc == 0)
		rc = row_read(row, granted->row_number, granted->row.data,
		    granted->row.len, &call->arena);
	if (rc == 0 && row->kind != ROW_LEASE_GRANTED)
		rc = ERR_CORRUPT;
	/* It ended while the answer was on its way. */
	if (rc == 0 && live == NULL)
		rc = ERR_GONE;
	if (rc == 0) {
		fill_lease(reply, call, &row->u.lease_granted, live);
		call->reply = reply;
	} else {
		set_refusal(call, rc);
	}
	command_finish(call);
}

static void
answer_place(struct call *call, const struct queue_place *place)
{
	const struct checkout *request = call->write.command.request;
	struct seat_lease *reply = arena_alloc(&call->arena, sizeof(*reply));

	if (reply != NULL) {
		reply->status = SEAT_WAITING;
		memcpy(reply->product, request->product,
		    sizeof(reply->product));
		memcpy(reply->feature, request->feature,
		    sizeof(reply->feature));
		reply->count = request->count;
		reply->queue = *place;
		set_refusal(call, 0);
		call->reply = reply;
	} else {
		set_refusal(call, ERR_NOMEM);
	}
	command_finish(call);
}

/* Seats come back at any moment: who asks all the time gets none sooner. */
#define SEATS_AGAIN_S 10
#define QUEUE_AGAIN_S 60

static void
refuse(struct call *call)
{
	struct command *command = &call->write.command;

	if (command->err == ERR_NO_SEATS ||
	    command->err == ERR_OVERAGE_EXHAUSTED ||
	    command->err == ERR_POLICY_MAX || command->err == ERR_RESERVED)
		command->problem.retry_after_s = SEATS_AGAIN_S;
	else if (command->err == ERR_QUEUE_FULL)
		command->problem.retry_after_s = QUEUE_AGAIN_S;
	command_finish(call);
}

/* --- hanging ------------------------------------------------------------- */

static void
hang(struct by_key *own, struct waiter *waiter)
{
	struct process *process = own->call->process;

	own->waiter = waiter->number;
	own->next = process->hanging;
	own->link = &process->hanging;
	if (own->next != NULL)
		own->next->link = &own->next;
	process->hanging = own;
	waiter->asker = own;
}

/* The waiter, if it is still there. */
static struct waiter *
unhang(struct by_key *own)
{
	struct waiter *waiter =
	    queue_get(&own->call->tenant->queue, own->waiter);

	*own->link = own->next;
	if (own->next != NULL)
		own->next->link = own->link;
	own->link = NULL;
	if (waiter != NULL && waiter->asker == own)
		waiter->asker = NULL;
	return waiter;
}

static struct queue_place
place_of(const struct waiter *waiter)
{
	if (waiter == NULL)
		return (struct queue_place){ 0 };
	return (struct queue_place){ .place = queue_place(waiter),
		.length = queue_pool_length(waiter->pool) };
}

/* Hung for long enough: it may ask again, and keeps its place for so long. */
static void
tell_place(struct by_key *own)
{
	struct waiter *waiter = unhang(own);
	const struct queue_place place = place_of(waiter);

	answer_place(own->call, &place);
}

static void
wait_on(struct call *call)
{
	const struct checkout *request = call->write.command.request;
	struct queue *queue = &call->tenant->queue;
	struct by_key *own = call->own;
	int64_t now = clock_boottime_ms();
	struct waiter *waiter =
	    queue_find(queue, call->write.command.who.id, request->request);

	if (waiter == NULL) {
		/* It left in between. */
		set_refusal(call, ERR_UNAVAILABLE);
		command_finish(call);
		return;
	}
	/* The same question on another connection takes over. */
	if (waiter->asker != NULL)
		tell_place(waiter->asker);
	int64_t keep = own->hold_until + SEAT_AGAIN_S * 1000;

	queue_set_until(queue, waiter,
	    own->wait_until < keep ? own->wait_until : keep);
	if (call->process->phase == PHASE_DRAINING) {
		set_refusal(call, ERR_UNAVAILABLE);
		command_finish(call);
	} else if (now >= own->hold_until && own->repeatable) {
		const struct queue_place place = place_of(waiter);

		answer_place(call, &place);
	} else {
		hang(own, waiter);
	}
}

void
by_key_offered(struct by_key *own, struct waiter *waiter)
{
	struct call *call = own->call;

	unhang(own);
	waiting_claim(call, waiter);
}

void
by_key_ended(struct by_key *own, int err)
{
	struct call *call = own->call;
	const struct checkout *request = call->write.command.request;

	unhang(own);
	set_refusal(call, err);
	if (err == ERR_NO_SEATS || err == ERR_OVERAGE_EXHAUSTED ||
	    err == ERR_POLICY_MAX || err == ERR_RESERVED)
		problem_set(&call->write.command.problem, err,
		    "wait longer (wait_s), or ask the site's admin who holds "
		    "them",
		    "no seat of %s came free in time", request->product);
	else if (err == ERR_TENANT_SUSPENDED)
		problem_set(&call->write.command.problem, err,
		    "ask who runs the site; looking is still allowed",
		    "the tenant %s is suspended", call->tenant->name);
	else if (err == ERR_GONE)
		problem_set(&call->write.command.problem, err, NULL,
		    "the wait for %s was ended: by an admin, or by who waited",
		    request->product);
	refuse(call);
}

void
by_key_abandoned(struct front *front, uint64_t conn, uint64_t tag)
{
	struct process *process = front->process;
	struct by_key *own = process->hanging;

	while (own != NULL &&
	    (own->call->front != front->serial || own->call->conn != conn ||
		own->call->tag != tag))
		own = own->next;
	if (own == NULL)
		return;
	struct call *call = own->call;
	struct queue *queue = &call->tenant->queue;
	struct waiter *waiter = unhang(own);
	int64_t until =
	    clock_boottime_ms() + (own->repeatable ? SEAT_AGAIN_S * 1000 : 0);

	if (waiter != NULL && until < waiter->until)
		queue_set_until(queue, waiter, until);
	call_free(call);
}

void
by_key_tick(struct process *process)
{
	int64_t now = clock_boottime_ms();
	struct by_key *next;

	for (struct by_key *own = process->hanging; own != NULL; own = next) {
		next = own->next;
		if (own->hold_until > now)
			continue;
		if (queue_get(&own->call->tenant->queue, own->waiter) == NULL)
			by_key_ended(own, ERR_UNAVAILABLE);
		else if (own->wait_until > own->hold_until)
			tell_place(own);
		/* Else the wait is over too, and its waiter says so. */
	}
}

void
by_key_drain(struct process *process)
{
	struct by_key *next;

	for (struct by_key *own = process->hanging; own != NULL; own = next) {
		struct call *call = own->call;

		next = own->next;
		unhang(own);
		set_refusal(call, ERR_UNAVAILABLE);
		command_finish(call);
	}
}

void
by_key_suspend(struct tenant *tenant)
{
	struct by_key *next;

	for (struct by_key *own = tenant->process->hanging; own != NULL;
	     own = next) {
		struct waiter *waiter = queue_get(&tenant->queue, own->waiter);

		next = own->next;
		if (own->call->tenant != tenant)
			continue;
		if (waiter != NULL)
			queue_leave(&tenant->queue, waiter);
		by_key_ended(own, ERR_TENANT_SUSPENDED);
	}
}

/* --- handlers ------------------------------------------------------------ */

bool
by_key_is_one(const struct request *request)
{
	struct problem problem;

	if (request->who.kind == ACTOR_DEVICE || request->who.kind == ACTOR_KEY)
		return true;
	problem_set(&problem, ERR_FORBIDDEN,
	    "make a key: leasehold key create --scope license:checkout",
	    "seats are held by an API key with the scope license:checkout");
	request_refuse(request, ERR_FORBIDDEN, &problem);
	return false;
}

static void
answer_checkout(struct call *call)
{
	const struct command *command = &call->write.command;

	if (command->err != 0)
		refuse(call);
	else if (command->reply.checkout.lease == 0)
		wait_on(call);
	else
		answer_lease(call);
}

void
by_key_checkout(const struct request *request)
{
	struct call *call = by_key_is_one(request) ? call_new(request) : NULL;

	if (call == NULL)
		return;
	struct command *command = &call->write.command;
	const struct seat_checkout *asked = call->request;
	struct checkout *ask = arena_alloc(&call->arena, sizeof(*ask));
	struct by_key *own = arena_alloc(&call->arena, sizeof(*own));
	int rc = ask == NULL || own == NULL
	    ? ERR_NOMEM
	    : translate(ask, request, asked, &command->problem);

	if (rc != 0) {
		command->op = OP_NONE; /* nothing that is a denial */
		command->err = rc;
		command_finish(call);
		return;
	}
	own->call = call;
	own->repeatable = request->caller->idempotency_key[0] != '\0';
	set_times(own, asked);
	call->own = own;
	call->answer = answer_checkout;
	command->op = OP_LEASE_CHECKOUT;
	command->who.kind = ACTOR_DEVICE;
	command->request = ask;
	acts_note_from(call->tenant, command->who.id, command->who.address);
	waiting_begin(call);
}

void
by_key_return(const struct request *request)
{
	struct call *call = by_key_is_one(request) ? call_new(request) : NULL;

	if (call == NULL)
		return;
	struct command *command = &call->write.command;
	const struct seat_id *asked = call->request;
	struct lease_return *back = arena_alloc(&call->arena, sizeof(*back));
	struct seat_returned *reply = arena_alloc(&call->arena, sizeof(*reply));
	int rc = back == NULL || reply == NULL ? ERR_NOMEM : 0;

	if (rc == 0 && !seat_id_read(&back->lease, asked->id))
		rc = by_key_refuse_field(&command->problem, "id",
		    "id is no lease: \"lease-1042\"");
	if (rc != 0) {
		command->err = rc;
		command_finish(call);
		return;
	}
	back->reason = LEASE_RETURNED;
	seat_id_write(reply->id, back->lease);
	reply->lease = back->lease;
	call->reply = reply;
	command->op = OP_LEASE_RETURN;
	command->who.kind = ACTOR_DEVICE;
	command->request = back;
	command_return(call, back->lease);
}

/* Who hangs is answered too. A claim on its way will have its seat, and the
 * checkout's answer says so. */
void
by_key_cancel(const struct request *request)
{
	const struct seat_cancel *asked =
	    by_key_is_one(request) ? request_read(request) : NULL;
	struct tenant *tenant = request->tenant;
	uint8_t id[REQUEST_BYTES];

	if (asked == NULL)
		return;
	request_id_of(id, asked->idempotency_key);
	struct waiter *waiter = queue_find(&tenant->queue, request->who.id, id);
	const bool waits = waiter != NULL && waiter->state != WAITER_CLAIMING;

	if (waits) {
		if (waiter->state == WAITER_WAITING)
			waiting_note_denial(tenant, waiter, waiter->refusal);
		waiting_end(tenant, waiter, ERR_GONE, false);
		waiting_wake(tenant);
	}
	request_reply(request, &(struct seat_cancelled){ .waited = waits });
}
