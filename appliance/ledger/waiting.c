/* Checkouts that wait: joining, claims, cancels. */
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Claims that came to nothing: what the view said and what the core said
 * differ for a moment, or nothing can be journaled. */
#define RACED_AGAIN_MS 1000
#define FAULT_AGAIN_MS 5000

void
waiting_init(struct tenant *tenant)
{
	const struct ledger_process_options *options = tenant->process->options;
	uint32_t claim_s =
	    options->claim_s != 0 ? options->claim_s : WAITING_CLAIM_S;
	uint32_t absent_s =
	    options->absent_s != 0 ? options->absent_s : WAITING_ABSENT_S;

	tenant->queue.limits = (struct queue_limits){
		.pool_max = WAITING_POOL_MAX,
		.device_max = WAITING_DEVICE_MAX,
		.total_max = WAITING_TOTAL_MAX,
		.claim_ms = (int64_t)claim_s * 1000,
		.absent_ms = (int64_t)absent_s * 1000,
	};
}

/* --- what was asked ------------------------------------------------------ */

/* The same question: all but its id, the nonce that each attempt has fresh,
 * what the application happens to know, and what is left of the wait. */
static int
question_digest(uint8_t digest[QUEUE_DIGEST_BYTES],
    const struct checkout *request)
{
	struct checkout body = *request;
	struct buf bytes = { 0 };

	memset(body.request, 0, sizeof(body.request));
	memset(body.nonce, 0, sizeof(body.nonce));
	memset(&body.known, 0, sizeof(body.known));
	body.wait_s = 0;
	if (body.count == 0)
		body.count = 1;
	record_write_msgpack(&bytes, &checkout_record, &body);
	int rc = bytes.failed ? ERR_NOMEM : 0;

	if (rc == 0)
		crypto_generichash(digest, QUEUE_DIGEST_BYTES, bytes.data,
		    bytes.len, NULL, 0);
	buf_release(&bytes);
	return rc;
}

static void
set_refusal(struct command *command, int err)
{
	command->err = err;
	memset(&command->problem, 0, sizeof(command->problem));
}

/* False when it is another question; the command says so then. */
static bool
is_same_question(struct command *command, const struct waiter *waiter)
{
	uint8_t digest[QUEUE_DIGEST_BYTES];
	int rc = question_digest(digest, command->request);

	if (rc == 0 && memcmp(digest, waiter->digest, QUEUE_DIGEST_BYTES) == 0)
		return true;
	set_refusal(command, rc != 0 ? rc : ERR_CONFLICT);
	if (rc == 0)
		problem_set(&command->problem, ERR_CONFLICT, NULL,
		    "another checkout waits with this request id");
	return false;
}

static void
set_place(struct command *command, struct waiter *waiter)
{
	set_refusal(command, 0);
	waiter->told_place = queue_place(waiter);
	command->reply.checkout = (struct checkout_reply){
		.queue = { .place = waiter->told_place,
		    .length = queue_pool_length(waiter->pool) },
	};
}

static bool
is_want_of_seats(int err)
{
	return err == ERR_NO_SEATS || err == ERR_OVERAGE_EXHAUSTED ||
	    err == ERR_POLICY_MAX || err == ERR_RESERVED;
}

/* Nothing is wrong with the question: another moment may do. */
static bool
is_of_the_moment(int err)
{
	return strcmp(err_code(err), err_code(ERR_UNAVAILABLE)) == 0;
}

/* --- on the way to the core ---------------------------------------------- */

/* The seats of all other offers are spoken for. A claim on its way ahead of
 * this one has taken its seats, or lost them, before this one is decided. */
static void
claim(struct call *call, struct waiter *waiter)
{
	uint64_t others = waiter->pool->offered;

	if (waiter->state == WAITER_OFFERED) {
		queue_claim(&call->tenant->queue, waiter);
		call->waiter = waiter->number;
		others = waiter->pool->offered;
	}
	call->write.command.reserved =
	    others < UINT32_MAX ? (uint32_t)others : UINT32_MAX;
}

static bool
is_somebody_ahead(const struct queue_pool *pool)
{
	return queue_pool_ahead(pool) > 0 || pool->n_held_back > 0;
}

static void
fill_facts(struct policy_facts *facts, const struct command *command)
{
	const struct checkout *request = command->request;

	*facts = (struct policy_facts){ .user = request->user,
		.host = request->host,
		.device = command->who.id,
		.address = command->who.address,
		.product = request->product,
		.version = request->version,
		.feature = request->feature,
		.count = request->count == 0 ? 1 : request->count };
}

/* What is reserved for somebody nobody else waits for. */
static bool
has_own_seats(const struct call *call, const struct checkout *request)
{
	struct policy_facts facts;

	(void)request;
	fill_facts(&facts, &call->write.command);
	return ledger_policy_own(call->tenant->ledger, &facts) >= facts.count;
}

static void
stand_behind(struct call *call, const struct checkout *request)
{
	const struct queue_pool *pool = queue_pool_find(&call->tenant->queue,
	    request->product, request->feature);

	if (pool == NULL)
		return;
	call->behind = is_somebody_ahead(pool) && !has_own_seats(call, request);
	call->write.command.reserved =
	    call->behind || pool->offered > UINT32_MAX
	    ? UINT32_MAX
	    : (uint32_t)pool->offered;
}

uint32_t
waiting_reserved(const struct tenant *tenant, const char *product,
    const char *feature)
{
	const struct queue_pool *pool =
	    queue_pool_find(&tenant->queue, product, feature);

	if (pool == NULL)
		return 0;
	return is_somebody_ahead(pool) || pool->offered > UINT32_MAX
	    ? UINT32_MAX
	    : (uint32_t)pool->offered;
}

/* Somebody waits: is it this one, or does it stand behind? False when the
 * command is answered already. */
static bool
find_turn(struct call *call)
{
	struct command *command = &call->write.command;
	const struct checkout *request = command->request;
	struct waiter *waiter =
	    queue_find(&call->tenant->queue, command->who.id, request->request);

	if (waiter == NULL) {
		stand_behind(call, request);
		return true;
	}
	if (!is_same_question(command, waiter))
		return false;
	if (waiter->state == WAITER_WAITING) {
		set_place(command, waiter);
		return false;
	}
	/* Its turn, or the retry of a claim that is on its way. */
	claim(call, waiter);
	return true;
}

static void finish_checkout(struct call *call);

void
waiting_checkout(const struct request *request)
{
	struct call *call = call_new(request);

	if (call != NULL)
		waiting_begin(call);
}

static void
answer(struct call *call)
{
	if (call->answer != NULL)
		call->answer(call);
	else
		command_finish(call);
}

void
waiting_begin(struct call *call)
{
	call->finish = finish_checkout;
	if (queue_count(&call->tenant->queue) == 0 || find_turn(call))
		call_commit(call);
	else
		answer(call);
}

void
waiting_claim(struct call *call, struct waiter *waiter)
{
	call->behind = false;
	claim(call, waiter);
	call_commit(call);
}

/* --- and back ------------------------------------------------------------ */

/* The core decided on the question of somebody who waits, mostly its claim. */
static void
finish_waiter(struct call *call, struct waiter *waiter)
{
	struct queue *queue = &call->tenant->queue;
	struct command *command = &call->write.command;
	struct queue_pool *pool = waiter->pool;
	bool claimed = call->waiter == waiter->number;
	int64_t now = clock_boottime_ms();

	if (command->err == 0) {
		queue_leave(queue, waiter);
	} else if (is_want_of_seats(command->err)) {
		if (claimed) {
			queue_unclaim(queue, waiter);
			queue_pool_put_off(queue, pool, now + RACED_AGAIN_MS);
		}
		if (is_same_question(command, waiter))
			set_place(command, waiter);
	} else if (claimed && is_of_the_moment(command->err)) {
		queue_unclaim(queue, waiter);
		queue_pool_put_off(queue, pool, now + FAULT_AGAIN_MS);
	} else if (claimed) {
		queue_leave(queue, waiter);
	}
}

static void
refuse_full(struct command *command, const struct checkout *request)
{
	set_refusal(command, ERR_QUEUE_FULL);
	problem_set(&command->problem, ERR_QUEUE_FULL,
	    "try again later, or see who waits: leasehold queue list",
	    "every seat of %s is taken, and no more may wait for one: %d in "
	    "one queue, %d of one device, %d in all",
	    request->product, WAITING_POOL_MAX, WAITING_DEVICE_MAX,
	    WAITING_TOTAL_MAX);
}

static int64_t
wait_ms(const struct checkout *request, const struct policy_queue *bounds)
{
	uint32_t wait_s = request->wait_s;

	if (bounds->wait_s != 0 && bounds->wait_s < wait_s)
		wait_s = bounds->wait_s;
	return (int64_t)wait_s * 1000;
}

/* The policy lets so many wait, or nobody. False: it has nothing against it. */
static bool
refuse_bounds(struct call *call, const struct policy_queue *bounds)
{
	struct command *command = &call->write.command;
	const struct checkout *request = command->request;
	const struct queue_pool *pool = queue_pool_find(&call->tenant->queue,
	    request->product, request->feature);
	uint32_t length = pool == NULL ? 0 : queue_pool_length(pool);
	char hint[128];

	if (!bounds->none && (bounds->length == 0 || length < bounds->length))
		return false;
	snprintf(hint, sizeof(hint),
	    "the rule is %s; ask the site's admin: leasehold policy show",
	    bounds->rule);
	set_refusal(command, ERR_QUEUE_FULL);
	if (bounds->none)
		problem_set(&command->problem, ERR_QUEUE_FULL, hint,
		    "no seat of %s is to be had now, and this site's policy "
		    "lets you wait for none",
		    request->product);
	else
		problem_set(&command->problem, ERR_QUEUE_FULL, hint,
		    "%u wait for %s, the most that this site's policy lets "
		    "wait",
		    length, request->product);
	return true;
}

static void
join(struct call *call)
{
	struct command *command = &call->write.command;
	const struct checkout *request = command->request;
	struct tenant *tenant = call->tenant;
	uint8_t digest[QUEUE_DIGEST_BYTES];
	struct waiter *waiter;
	int rc = question_digest(digest, request);
	struct policy_queue bounds;
	struct policy_facts facts;

	fill_facts(&facts, command);
	ledger_policy_queue(&bounds, tenant->ledger, &facts);
	if (refuse_bounds(call, &bounds))
		return;
	const struct queue_ask ask = {
		.device = command->who.id,
		.request = request->request,
		.digest = digest,
		.product = request->product,
		.feature = request->feature,
		.user = request->user,
		.host = request->host,
		.version = request->version,
		.address = command->who.address,
		.priority = (int32_t)bounds.priority,
		.license = command->license,
		.count = request->count == 0 ? 1 : request->count,
		.refusal = command->err,
		.wait_ms = wait_ms(request, &bounds),
		/* A checkout by key is there as long as it asks again. */
		.present = call->answer != NULL ||
		    table_get(&tenant->sessions, command->who.id) != NULL,
	};

	if (rc == 0)
		rc = queue_join(&waiter, &tenant->queue, &ask,
		    clock_boottime_ms());
	/* Until its first turn, nobody else stands behind it. */
	if (rc == 0 && command->err == ERR_POLICY_MAX)
		queue_set_held(&tenant->queue, waiter, WAITER_HELD);
	else if (rc == 0 && command->err == ERR_RESERVED)
		queue_set_held(&tenant->queue, waiter, WAITER_HELD_BACK);
	if (rc == 0)
		set_place(command, waiter);
	else if (rc == ERR_QUEUE_FULL)
		refuse_full(command, request);
	else
		set_refusal(command, rc);
}

/* Seats may be free; they are not for those who come last. */
static void
refuse_behind(struct call *call)
{
	struct command *command = &call->write.command;
	const struct checkout *request = command->request;
	const struct queue_pool *pool = queue_pool_find(&call->tenant->queue,
	    request->product, request->feature);
	uint32_t ahead = pool == NULL ? 0 : queue_pool_ahead(pool);

	if (ahead == 0)
		return;
	set_refusal(command, ERR_NO_SEATS);
	problem_set(&command->problem, ERR_NO_SEATS,
	    "wait for your turn: --wait 15m",
	    ahead == 1 ? "%u is waiting for %s before you"
		       : "%u are waiting for %s before you",
	    ahead, request->product);
}

static void
finish_checkout(struct call *call)
{
	struct command *command = &call->write.command;
	const struct checkout *request = command->request;
	struct queue *queue = &call->tenant->queue;
	struct waiter *waiter = queue_count(queue) == 0
	    ? NULL
	    : queue_find(queue, command->who.id, request->request);

	/* One that left while its claim was on its way does not come back. */
	if (waiter != NULL)
		finish_waiter(call, waiter);
	else if (is_want_of_seats(command->err) && call->waiter == 0) {
		if (request->wait_s > 0)
			join(call);
		else if (call->behind)
			refuse_behind(call);
	}
	waiting_wake(call->tenant);
	answer(call);
}

/* --- leaving ------------------------------------------------------------- */

void
waiting_cancel(const struct request *request)
{
	struct tenant *tenant = request->tenant;
	const struct lease_cancel *cancel = request_read(request);
	const struct empty done = { 0 };

	if (cancel == NULL)
		return;
	struct waiter *waiter =
	    queue_find(&tenant->queue, request->who.id, cancel->request);

	/* Nobody is there to be told; a wait in vain is counted. */
	if (waiter != NULL) {
		if (waiter->state == WAITER_WAITING)
			waiting_note_denial(tenant, waiter, waiter->refusal);
		queue_leave(&tenant->queue, waiter);
		waiting_wake(tenant);
	}
	request_reply(request, &done);
}

void
waiting_device_left(struct tenant *tenant, uint64_t device)
{
	if (queue_count(&tenant->queue) == 0)
		return;
	queue_set_absent(&tenant->queue, device, clock_boottime_ms());
	waiting_wake(tenant);
}

void
waiting_device_came(struct tenant *tenant, uint64_t device)
{
	if (queue_count(&tenant->queue) == 0)
		return;
	queue_set_present(&tenant->queue, device);
	waiting_wake(tenant);
}

void
waiting_device_revoked(struct tenant *tenant, uint64_t device)
{
	struct waiter *waiter;

	while ((waiter = queue_of_device(&tenant->queue, device)) != NULL)
		waiting_end(tenant, waiter, ERR_DEVICE_REVOKED, false);
	waiting_wake(tenant);
}
