/*
 * Commands of the process itself, each carrying the fact it rests on: the
 * start, deadlines that passed, refusals of a minute, checkpoints; and what a
 * committed batch changes around the ledger.
 */
#include "appliance/ledger/alerts.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/keys.h"
#include "appliance/ledger/online.h"
#include "appliance/ledger/tenant_owed.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/usage.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* A deadline whose command came to nothing (a full disk) is tried again. */
#define EXPIRE_AGAIN_MS 5000
/* Deadlines in one turn: the rest in the next, so that agents are heard. */
#define EXPIRE_TURN_MAX 2048

/* --- the start ----------------------------------------------------------- */

/* One whose store takes nothing, for its disk is full, holds up no other; what
 * is read of it is read meanwhile. */
static bool
all_started(const struct process *process)
{
	for (size_t i = 0; i < process->n_tenants; i++)
		if (!process->tenants[i]->started &&
		    process->tenants[i]->fault == 0)
			return false;
	return true;
}

void
own_ready(struct process *process)
{
	if (process->phase != PHASE_STARTING || !all_started(process))
		return;
	process->phase = PHASE_READY;
	log_info("ledger", "ready: site=%s", process->site.site);
	front_tell_state(process);
	if (process->guard.frozen)
		return;
	if (process->clock_untold)
		own_tell_held(process);
	tick_begin(process);
}

static void
started(struct tenant *tenant)
{
	tenant_started(tenant);
	own_ready(tenant->process);
}

/* The next tick tries again. */
static void
not_started(struct tenant *tenant)
{
	if (tenant->fault != 0)
		tenant_cannot_start(tenant);
	own_ready(tenant->process);
}

static void
finish_start(struct call *call)
{
	struct tenant *tenant = call->tenant;

	tenant->starting = false;
	tenant->started = call->write.command.err == 0;
	call_free(call);
	if (tenant->started)
		started(tenant);
	else
		not_started(tenant);
}

/* What it slept through comes first. */
static void
finish_slept(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct tenant_sleep *slept = &tenant->slept;

	tenant->starting = false;
	if (call->write.command.err != 0)
		log_error("ledger",
		    "tenant %s: what it slept through cannot be journaled: %s",
		    tenant->name, err_str(call->write.command.err));
	else if (slept->owes_generation)
		slept->owes_generation = false;
	else if (slept->owes_clock)
		slept->owes_clock = false;
	else
		tenant_owed_next(tenant);
	bool done = call->write.command.err == 0;

	call_free(call);
	if (done)
		own_start(tenant);
	else
		not_started(tenant);
}

static struct call *
call_for_slept(struct tenant *tenant)
{
	struct tenant_sleep *slept = &tenant->slept;
	struct row_actor by =
	    slept->owes_generation ? slept->by : slept->clock.by;
	struct call *call;

	if (slept->owes_generation)
		call = call_new_own(tenant, LEDGER_GENERATION,
		    &slept->generation, sizeof(slept->generation));
	else if (slept->owes_clock)
		call = call_new_own(tenant, LEDGER_CLOCK, &slept->clock,
		    sizeof(slept->clock));
	else
		return tenant_owed_call(tenant);
	if (call == NULL)
		return NULL;
	call->write.command.who.kind = by.kind;
	call->write.command.who.id = by.id;
	return call;
}

void
own_start(struct tenant *tenant)
{
	struct ledger_start start = {
		.row.clean = ledger_was_clean(tenant->ledger),
		.tick = tick_next(tenant->process),
	};

	if (tenant->started || tenant->starting)
		return;
	/* Nothing is journaled before an admin has looked. */
	if (tenant->process->guard.frozen) {
		tenant->started = true;
		started(tenant);
		return;
	}
	text_copy(start.row.software, sizeof(start.row.software),
	    PROCESS_SOFTWARE);
	bool slept = tenant->slept.owes_generation ||
	    tenant->slept.owes_clock || tenant_owes(tenant);
	struct call *call = slept
	    ? call_for_slept(tenant)
	    : call_new_own(tenant, LEDGER_START, &start, sizeof(start));

	if (call == NULL)
		return; /* the next tick tries again */
	tenant->starting = true;
	call->finish = slept ? finish_slept : finish_start;
	call_commit(call);
}

static int
load_lease(void *ctx, const struct ledger_lease *lease)
{
	struct tenant *tenant = ctx;

	/* A borrow has no deadline here: its ticket says when it is over, and
	 * its device when it came back. */
	if (lease->ttl_s == 0)
		return 0;
	return liveness_add(&tenant->liveness, lease->lease, lease->device,
	    lease->license, lease->ttl_s, lease->grace_s, clock_boottime_ms());
}

static int
load_license(void *ctx, uint64_t number, const struct license *license)
{
	struct tenant *tenant = ctx;

	return contracts_set(&tenant->contracts, number,
	    contracts_end(license));
}

int
own_load_leases(struct tenant *tenant)
{
	struct ledger_view *view;
	int rc = ledger_view_open(&view, tenant->ledger);

	if (rc != 0)
		return rc;
	liveness_release(&tenant->liveness);
	rc = ledger_each_lease(view, 0, load_lease, tenant);
	if (rc == 0)
		rc = ledger_each_license(view, load_license, tenant);
	ledger_view_close(view);
	return rc;
}

/* --- deadlines ----------------------------------------------------------- */

static void
finish_expire(struct call *call)
{
	struct live_lease *lease =
	    liveness_get(&call->tenant->liveness, call->lease);
	int err = call->write.command.err;

	if (lease != NULL && lease->ending > 0)
		lease->ending--;
	if (err == ERR_GONE || err == ERR_NOT_FOUND)
		liveness_remove(&call->tenant->liveness, call->lease);
	call_free(call);
}

static bool
expire(struct tenant *tenant, struct live_lease *lease, int64_t boottime)
{
	/* The deadline as the journal's time has it. */
	const struct ledger_expire request = {
		.lease = lease->lease,
		.deadline =
		    process_now(tenant->process) - (boottime - lease->deadline),
	};
	struct call *call =
	    call_new_own(tenant, LEDGER_EXPIRE, &request, sizeof(request));

	if (call == NULL)
		return false;
	lease->ending++;
	call->lease = lease->lease;
	call->finish = finish_expire;
	call_commit(call);
	return true;
}

void
own_expire_due(struct tenant *tenant)
{
	int64_t boottime = clock_boottime_ms();

	for (int i = 0; i < EXPIRE_TURN_MAX; i++) {
		struct live_lease *lease =
		    liveness_due(&tenant->liveness, boottime, EXPIRE_AGAIN_MS);

		if (lease == NULL || !expire(tenant, lease, boottime))
			return;
	}
}

/* --- refusals ------------------------------------------------------------ */

static struct call *
call_of_denial(struct tenant *tenant, const struct denial *denial)
{
	struct ledger_key_denied denied = { .denied = denial->row };

	if (!denial->of_key)
		return call_new_own(tenant, LEDGER_DENIED, &denial->row,
		    sizeof(denial->row));
	memcpy(denied.address, denial->address, sizeof(denied.address));
	memcpy(denied.host, denial->host, sizeof(denied.host));
	memcpy(denied.user, denial->user, sizeof(denied.user));
	memcpy(denied.fingerprint, denial->fingerprint,
	    sizeof(denied.fingerprint));
	return call_new_own(tenant, LEDGER_KEY_DENIED, &denied, sizeof(denied));
}

void
own_flush_denials(struct tenant *tenant, bool now)
{
	int64_t time = process_now(tenant->process);
	int64_t minute = now ? INT64_MAX : time - time % 60000;
	struct denial *denial;

	/* Nothing can be journaled: keep counting until it can. */
	if (tenant->fault != 0 || tenant->process->guard.frozen)
		return;
	for (int i = 0; i < DENIALS_FLUSH &&
	     (denial = denials_take(&tenant->denials, minute)) != NULL;
	     i++) {
		struct call *call = call_of_denial(tenant, denial);

		free(denial);
		if (call == NULL)
			return;
		call->finish = call_free;
		call_commit(call);
	}
	if (tenant->denials.lost > 0) {
		log_warn("ledger", "refusals that got no row: %llu",
		    (unsigned long long)tenant->denials.lost);
		tenant->denials.lost = 0;
	}
}

/* --- what a batch changed ------------------------------------------------ */

static const char *
end_code(uint32_t reason)
{
	if (reason == LEASE_IDLE)
		return err_code(ERR_IDLE);
	return err_code(
	    reason == LEASE_REVOKED ? ERR_DEVICE_REVOKED : ERR_GONE);
}

static void
apply_ended(struct tenant *tenant, const struct write_event *event)
{
	const struct live_lease *lease =
	    liveness_get(&tenant->liveness, event->lease);

	waiting_seats_freed(tenant, event->license);
	if (lease == NULL)
		return;
	uint64_t device = lease->device;
	bool told = lease->told;

	liveness_remove(&tenant->liveness, event->lease);
	if (!told && event->reason != LEASE_RETURNED &&
	    event->reason != LEASE_EXITED)
		session_tell_revoked(tenant, device, event->lease,
		    end_code(event->reason));
}

static int
apply_granted(struct tenant *tenant, const struct write_event *event,
    int64_t boottime)
{
	int rc = liveness_add(&tenant->liveness, event->lease, event->device,
	    event->license, event->ttl_s, event->grace_s, boottime);

	usage_seat(tenant, event->user);
	return rc;
}

static int
apply_licensed(struct tenant *tenant, const struct write_event *event)
{
	waiting_anything_changed(tenant);
	alerts_license_changed(tenant);
	online_wake(tenant);
	return contracts_set(&tenant->contracts, event->license,
	    event->contract_end);
}

static void
apply_events(struct tenant *tenant, const struct write_outcome *outcome)
{
	int64_t boottime = clock_boottime_ms();
	bool lost = outcome->lost;

	for (size_t i = 0; i < outcome->n; i++) {
		const struct write_event *event = &outcome->events[i];

		if (event->kind == WRITE_GRANTED)
			lost |= apply_granted(tenant, event, boottime) != 0;
		else if (event->kind == WRITE_ENDED)
			apply_ended(tenant, event);
		else if (event->kind == WRITE_LICENSED)
			lost |= apply_licensed(tenant, event) != 0;
		else if (event->kind == WRITE_ISSUER)
			alerts_license_changed(tenant);
		else if (event->kind == WRITE_KEY ||
		    event->kind == WRITE_REVOKED)
			keys_changed(tenant, event->device);
	}
	/* After the notices about its leases. */
	for (size_t i = 0; i < outcome->n; i++)
		if (outcome->events[i].kind == WRITE_REVOKED) {
			waiting_device_revoked(tenant,
			    outcome->events[i].device);
			alerts_key_ended(tenant, outcome->events[i].device);
			session_close_revoked(tenant,
			    outcome->events[i].device);
			/* A key is a device. */
			events_close_principal(tenant, ACTOR_KEY,
			    outcome->events[i].device);
		} else if (outcome->events[i].kind == WRITE_APPROVED) {
			session_approve(tenant, outcome->events[i].device);
		}
	if (!lost)
		return;
	int rc = own_load_leases(tenant);

	keys_forget(tenant);
	waiting_anything_changed(tenant);
	log_error("ledger", "no memory for deadlines; reading all leases: %s",
	    err_str(rc));
}

void
own_batch(void *ctx, const struct write_outcome *outcome)
{
	struct tenant *tenant = outcome->tenant;

	(void)ctx;
	tenant->news |= outcome->facts > 0;
	/* A batch of refusals alone writes nothing and proves nothing. */
	if (outcome->rc != 0 || outcome->rows > 0)
		tenant_set_fault(tenant, outcome->rc);
	apply_events(tenant, outcome);
	if (outcome->facts > 0) {
		events_news(tenant);
		audit_is_due(tenant);
		metering_is_due(tenant);
	}
}
