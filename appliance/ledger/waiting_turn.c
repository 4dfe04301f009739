/* What brings a queue on: turns of its pools, deadlines, places. */
#include "appliance/ledger/by_key.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <string.h>

/* Offers, and waits that end, in one turn of the loop: the rest in the next,
 * so that agents are heard. */
#define TURN_MAX 512
/* Seats that came free without an event, like those of slots that lingered. */
#define LOOK_AGAIN_MS 5000
/* A tick so long after the last: the machine, or this process, stood still. */
#define STOOD_STILL_MS 3000
#define FAULT_AGAIN_MS 5000

/* --- notices ------------------------------------------------------------- */

static void
tell_waiting(struct tenant *tenant, const struct waiter *waiter, uint32_t place,
    const char *code)
{
	struct lease_waiting notice = {
		.queue = { .place = place,
		    .length = queue_pool_length(waiter->pool) },
	};

	memcpy(notice.request, waiter->request, sizeof(notice.request));
	text_copy(notice.code, sizeof(notice.code), code);
	session_notify(tenant, waiter->device->device, OP_LEASE_WAITING,
	    &notice);
}

static void
tell_place(void *ctx, const struct waiter *waiter)
{
	tell_waiting(ctx, waiter, waiter->told_place, "");
}

static void
offer(struct tenant *tenant, struct waiter *waiter)
{
	struct lease_offered notice = {
		.claim_s = (uint32_t)(tenant->queue.limits.claim_ms / 1000),
	};

	queue_offer(&tenant->queue, waiter, clock_boottime_ms());
	if (waiter->asker != NULL) {
		by_key_offered(waiter->asker, waiter);
		return;
	}
	memcpy(notice.request, waiter->request, sizeof(notice.request));
	session_notify(tenant, waiter->device->device, OP_LEASE_OFFERED,
	    &notice);
}

void
waiting_note_denial(struct tenant *tenant, const struct waiter *waiter, int err)
{
	const struct queue_pool *pool = waiter->pool;

	denials_add(&tenant->denials, waiter->device->device, pool->license,
	    pool->product, err_code(err), process_now(tenant->process));
}

void
waiting_end(struct tenant *tenant, struct waiter *waiter, int err, bool denied)
{
	struct by_key *asked = waiter->asker;

	if (asked != NULL) {
		/* Which notes the denial. */
		queue_leave(&tenant->queue, waiter);
		by_key_ended(asked, err);
		return;
	}
	tell_waiting(tenant, waiter, 0, err_code(err));
	if (denied)
		waiting_note_denial(tenant, waiter, err);
	queue_leave(&tenant->queue, waiter);
}

/* --- turns --------------------------------------------------------------- */

/* The license is gone or its contract over: nobody will get a seat of it. */
static int
find_seats(struct ledger_pool *seats, struct tenant *tenant,
    const struct queue_pool *pool, struct ledger_view *view)
{
	int64_t now = process_now(tenant->process);
	int rc = ledger_pool(seats, view, pool->product, pool->feature, now);

	if (rc == 0 &&
	    contracts_are_over(&tenant->contracts, seats->license, now))
		rc = ERR_LICENSE_EXPIRED;
	return rc;
}

/* The refusal that ends this wait, or 0. */
static int
refusal_of(const struct waiter *waiter, const struct ledger_pool *seats, int rc)
{
	if (rc != 0)
		return rc;
	return waiter->count > seats->max_once ? ERR_MAX_REACHED : 0;
}

void
waiting_facts(struct policy_facts *facts, const struct waiter *waiter)
{
	*facts = (struct policy_facts){ .user = waiter->user,
		.host = waiter->host,
		.device = waiter->device->device,
		.address = waiter->address,
		.product = waiter->pool->product,
		.version = waiter->version,
		.feature = waiter->pool->feature,
		.count = waiter->count };
}

/* What the site's policy says to one who waits. Behind somebody who waits for
 * seats that are for everybody, there are only those that are for him. */
static int
judge(struct tenant *tenant, const struct waiter *waiter,
    const struct ledger_pool *seats, bool behind)
{
	const struct queue_pool *pool = waiter->pool;
	struct policy_verdict verdict;
	struct policy_facts facts;

	waiting_facts(&facts, waiter);
	ledger_policy_judge(&verdict, tenant->ledger, &facts, seats->free,
	    pool->offered + pool->claiming);
	if (verdict.err == ERR_POLICY_MAX && waiter->count > verdict.seats)
		return ERR_MAX_REACHED;
	if (verdict.err == 0 && behind &&
	    ledger_policy_own(tenant->ledger, &facts) < waiter->count)
		return ERR_RESERVED;
	return verdict.err;
}

/* True: it is held up, and the next one's turn has come. */
static bool
hold_up(struct queue *queue, struct waiter *waiter, int refusal)
{
	if (refusal != ERR_POLICY_MAX && refusal != ERR_RESERVED)
		return false;
	waiter->refusal = refusal;
	queue_set_held(queue, waiter,
	    refusal == ERR_RESERVED ? WAITER_HELD_BACK : WAITER_HELD);
	return true;
}

static void
turn_pool(struct tenant *tenant, struct queue_pool *pool,
    struct ledger_view *view, int *left)
{
	struct queue *queue = &tenant->queue;
	struct ledger_pool seats = { 0 };
	struct waiter *head;
	int rc = find_seats(&seats, tenant, pool, view);

	if (rc == 0)
		rc = queue_pool_set_license(queue, pool, seats.license);
	if (rc != 0 && rc != ERR_NOT_ENTITLED && rc != ERR_LICENSE_EXPIRED) {
		log_error("ledger", "cannot look for seats of %s: %s",
		    pool->product, err_str(rc));
		queue_pool_put_off(queue, pool,
		    clock_boottime_ms() + FAULT_AGAIN_MS);
		return;
	}
	queue_let_go(pool);
	while ((head = queue_head(pool)) != NULL) {
		int refusal = refusal_of(head, &seats, rc);

		if (refusal == 0)
			refusal =
			    judge(tenant, head, &seats, pool->n_held_back > 0);
		if (hold_up(queue, head, refusal))
			continue;

		if (refusal == 0 && queue_next(pool, seats.free) == NULL)
			return;
		if ((*left)-- == 0) {
			queue_pool_set_due(queue, pool);
			return;
		}
		/* The pool goes with its last waiter. */
		bool last = queue_pool_length(pool) == 1;

		if (refusal == 0)
			offer(tenant, head);
		else
			waiting_end(tenant, head, refusal, true);
		if (refusal != 0 && last)
			return;
	}
}

static void
turn_tenant(struct tenant *tenant)
{
	struct queue *queue = &tenant->queue;
	int64_t now = clock_boottime_ms();
	struct ledger_view *view;
	struct queue_pool *pool;
	int left = TURN_MAX;

	if (!tenant->started || tenant->fault != 0 ||
	    (pool = queue_take_due(queue, now)) == NULL)
		return;
	int rc = ledger_view_open(&view, tenant->ledger);

	if (rc != 0) {
		log_error("ledger", "cannot look for seats: %s", err_str(rc));
		queue_pool_put_off(queue, pool, now + FAULT_AGAIN_MS);
		return;
	}
	do
		turn_pool(tenant, pool, view, &left);
	while (left > 0 && (pool = queue_take_due(queue, now)) != NULL);
	ledger_view_close(view);
	if (left <= 0)
		waiting_wake(tenant);
}

void
waiting_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct process *process = ctx;

	(void)fd;
	(void)what;
	/* What is offered now could not be claimed. */
	if (process->phase == PHASE_DRAINING)
		return;
	for (size_t i = 0; i < process->n_tenants; i++)
		turn_tenant(process->tenants[i]);
}

void
waiting_wake(struct tenant *tenant)
{
	if (tenant->queue.first_due != NULL)
		event_active(tenant->process->turn, EV_TIMEOUT, 0);
}

void
waiting_seats_freed(struct tenant *tenant, uint64_t license)
{
	if (queue_count(&tenant->queue) == 0)
		return;
	queue_license_set_due(&tenant->queue, license);
	waiting_wake(tenant);
}

void
waiting_anything_changed(struct tenant *tenant)
{
	queue_all_set_due(&tenant->queue);
	waiting_wake(tenant);
}

/* --- time ---------------------------------------------------------------- */

static void
end_over(struct tenant *tenant, struct waiter *waiter, enum queue_over over)
{
	switch (over) {
	case QUEUE_WAIT_OVER:
	case QUEUE_ABSENT_OVER:
		waiting_end(tenant, waiter, waiter->refusal, true);
		return;
	case QUEUE_OFFER_OVER:
		/* The seat was there. */
		waiting_end(tenant, waiter, ERR_GONE, false);
		return;
	}
}

static void
end_overs(struct tenant *tenant, int64_t now)
{
	struct waiter *waiter;
	enum queue_over over;

	for (int i = 0; i < TURN_MAX &&
	     (waiter = queue_take_over(&over, &tenant->queue, now)) != NULL;
	     i++)
		end_over(tenant, waiter, over);
}

void
waiting_tick(struct tenant *tenant)
{
	struct queue *queue = &tenant->queue;
	int64_t now = clock_boottime_ms();
	bool stood_still = now - tenant->ticked_at > STOOD_STILL_MS;

	tenant->ticked_at = now;
	if (queue_count(queue) == 0)
		return;
	/* Claims that came in time may not have been read yet: first those. */
	if (!stood_still)
		end_overs(tenant, now);
	if (now - tenant->looked_at >= LOOK_AGAIN_MS) {
		tenant->looked_at = now;
		queue_all_set_due(queue);
	}
	/* First: who gets an offer need not be told its place. */
	turn_tenant(tenant);
	queue_tell_places(queue, tell_place, tenant);
}
