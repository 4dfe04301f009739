/*
 * Tenants open when something is asked of them and close when nothing goes on
 * there. Both happen on a thread of their own (LMDB maps and reads, the system
 * store syncs), one at a time; requests for a tenant that is not open yet are
 * parked meanwhile (tenant_park.c). What is written in which order, and what a
 * crash leaves, stands in guard.h.
 *
 * A tenant closes when it has had no session, lease, borrow, waiter, slot that
 * waits for its time, call or refusal to be told for a while, and a tick has
 * covered its journal: then it costs its entry and its files.
 */
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/online.h"

#include "appliance/ledger/alerts.h"
#include "appliance/ledger/deliver.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/tenant_delete.h"
#include "appliance/ledger/tenant_owed.h"
#include "appliance/ledger/tenant_restore.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>

/* One that failed to open is not tried with every request. */
#define REFUSED_MS ((int64_t)2000)
#define IDLE_MS ((int64_t)5 * 60 * 1000)

/* --- those that are open ---------------------------------------------------- */

int
tenant_join(struct process *process, struct tenant *tenant)
{
	struct tenant **tenants = reallocarray(process->tenants,
	    process->n_tenants + 1, sizeof(*tenants));

	if (tenants == NULL)
		return ERR_NOMEM;
	process->tenants = tenants;
	tenants[process->n_tenants++] = tenant;
	tenant->busy_at = clock_boottime_ms();
	return 0;
}

static void
leave(struct process *process, const struct tenant *tenant)
{
	size_t at = 0;

	while (process->tenants[at] != tenant)
		at++;
	process->tenants[at] = process->tenants[--process->n_tenants];
}

/* The one with the fewest; it stays there while it is open. */
void
tenant_pin(struct tenant *tenant)
{
	struct process *process = tenant->process;
	size_t load[PROCESS_WRITERS] = { 0 }, best = 0;

	for (size_t i = 0; i < process->n_tenants; i++)
		for (size_t w = 0; w < process->n_writers; w++)
			load[w] +=
			    process->tenants[i]->writer == process->writers[w];
	for (size_t w = 1; w < process->n_writers; w++)
		if (load[w] < load[best])
			best = w;
	tenant->writer = process->writers[best];
}

/* --- opening ---------------------------------------------------------------- */

struct moving {
	struct work work; /* first */
	struct process *process;
	struct tenant_entry *entry;
	struct tenant *tenant;
	struct guard_part part;
	struct guard guard;
	struct guard_report report;
	struct system_quiet quiet;
	bool was_quiet;
	struct tenant_sleep slept;
	uint64_t counter; /* of the site, as it began */
	int rc;
};

static struct moving *
begin_moving(struct process *process, struct tenant_entry *entry)
{
	struct moving *moving = calloc(1, sizeof(*moving));

	if (moving == NULL)
		return NULL;
	moving->process = process;
	moving->entry = entry;
	moving->counter = process->guard.report.counter;
	process->n_moving++;
	return moving;
}

static void
end_moving(struct moving *moving)
{
	struct process *process = moving->process;

	process->n_moving--;
	free(moving);
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

static void
set_part(struct moving *moving)
{
	moving->part = (struct guard_part){
		.tenant = moving->tenant->name,
		.ledger = moving->tenant->ledger,
	};
	moving->guard = (struct guard){
		.system = moving->process->system,
		.witness = moving->process->guard.witness,
		.parts = &moving->part,
		.n_parts = 1,
	};
}

/* What happened to the site while it was closed. */
static int
find_slept(struct moving *moving)
{
	struct tenant_sleep *slept = &moving->slept;
	struct system_generation generation;
	int rc = system_generation_load(&generation, moving->process->system);

	slept->owes_clock = moving->quiet.owes_clock;
	slept->clock = moving->quiet.clock;
	if (rc == ERR_NOT_FOUND ||
	    (rc == 0 && generation.counter <= moving->quiet.tick))
		return 0;
	if (rc != 0)
		return rc;
	slept->owes_generation = true;
	slept->by = generation.by;
	slept->generation = (struct ledger_generation){
		.witness = generation.witness,
		.stored = generation.stored,
		.witnessed = generation.witnessed,
		.counter = generation.counter,
	};
	text_copy(slept->generation.reason, sizeof(slept->generation.reason),
	    generation.reason);
	return guard_lost(&slept->generation.lost, &moving->guard,
	    &moving->part);
}

static void
run_open(struct work *work)
{
	struct moving *moving = (struct moving *)work;
	int64_t time;

	moving->rc =
	    tenant_restore_settle(moving->process, moving->entry->facts.name);
	if (moving->rc != 0)
		return;
	moving->rc = tenant_open(&moving->tenant, moving->process,
	    moving->entry->facts.name, &time);
	if (moving->rc != 0)
		return;
	set_part(moving);
	moving->rc = guard_admit(&moving->report, &moving->quiet,
	    &moving->was_quiet, &moving->guard, moving->counter);
	if (moving->rc == 0 && moving->was_quiet && !moving->report.rolled_back)
		moving->rc = find_slept(moving);
}

static void
fail_to_open(struct moving *moving)
{
	struct tenant_entry *entry = moving->entry;

	log_error("ledger", "tenant %s cannot be opened: %s", entry->facts.name,
	    err_str(moving->rc));
	tenant_close(moving->tenant);
	entry->phase = TENANT_CLOSED;
	entry->refused_until = clock_boottime_ms() + REFUSED_MS;
	tenant_parked_refuse(moving->process, entry, ERR_UNAVAILABLE,
	    "the tenant's store cannot be opened right now; the site's log "
	    "says why");
}

static void
opened(struct work *work)
{
	struct moving *moving = (struct moving *)work;
	struct process *process = moving->process;
	struct tenant *tenant = moving->tenant;

	if (moving->rc == 0)
		moving->rc = tenant_join(process, tenant);
	if (moving->rc != 0) {
		fail_to_open(moving);
		end_moving(moving);
		return;
	}
	tenant->entry = moving->entry;
	tenant->slept = moving->slept;
	tenant_pin(tenant);
	ledger_freeze(tenant->ledger, process->guard.frozen);
	if (moving->report.rolled_back && !process->guard.frozen)
		rollback_freeze(process, moving->report.words);
	if (process->phase != PHASE_DRAINING)
		own_start(tenant);
	end_moving(moving);
}

void
tenant_started(struct tenant *tenant)
{
	struct tenant_entry *entry = tenant->entry;

	if (tenant_owed_delays(tenant))
		return;
	if (entry->phase == TENANT_OPENING)
		log_debug("ledger", "tenant %s is open", tenant->name);
	entry->phase = TENANT_OPEN;
	entry->open = tenant;
	tenant_parked_dispatch(tenant->process, entry);
}

void
tenant_cannot_start(struct tenant *tenant)
{
	struct tenant_entry *entry = tenant->entry;

	if (entry->open != NULL || entry->phase != TENANT_OPENING)
		return;
	entry->open = tenant;
	tenant_parked_dispatch(tenant->process, entry);
}

/* Those that guard all tenants at once do not see some come and go. */
static bool
may_move(const struct process *process)
{
	return process->phase == PHASE_READY && !process->guard.acknowledging &&
	    !process->clock_turning;
}

static void
begin_to_open(struct process *process, struct tenant_entry *entry)
{
	if (entry->phase != TENANT_CLOSED || !may_move(process) ||
	    entry->refused_until > clock_boottime_ms())
		return;
	struct moving *moving = begin_moving(process, entry);

	if (moving == NULL)
		return; /* the tick tries again, while somebody waits */
	entry->phase = TENANT_OPENING;
	moving->work.run = run_open;
	moving->work.done = opened;
	worker_put(process->opener, &moving->work);
}

int
tenant_use(struct tenant **out, struct process *process, const char *name)
{
	return tenant_use_entry(out, process,
	    tenants_find(&process->known, name));
}

int
tenant_use_entry(struct tenant **out, struct process *process,
    struct tenant_entry *entry)
{
	if (entry == NULL || entry->facts.status == TENANT_PROVISIONING ||
	    entry->facts.status == TENANT_DELETING)
		return ERR_NOT_FOUND;
	if (entry->open != NULL && !entry->taken) {
		*out = entry->open;
		entry->open->busy_at = clock_boottime_ms();
		return 0;
	}
	process->wanted = entry;
	begin_to_open(process, entry);
	return ERR_BUSY;
}

struct tenant *
process_tenant(const struct process *process, const char *name)
{
	const struct tenant_entry *entry = tenants_find(&process->known, name);

	return entry != NULL ? entry->open : NULL;
}

struct tenant_entry *
tenant_by_host(const struct process *process, const char *host)
{
	return tenants_by_host(&process->known, host);
}

struct tenant *
tenant_for(const struct request *request, const char *name)
{
	struct tenant *tenant = NULL;
	struct problem problem;
	int rc = tenant_use(&tenant, request->process, name);

	if (rc == 0)
		return tenant;
	if (rc == ERR_BUSY) {
		tenant_park(request->front, request->message,
		    request->session == NULL);
		return NULL;
	}
	problem_set(&problem, rc, "see: leasehold tenant list",
	    "the site has no tenant '%s'", name);
	request_refuse(request, rc, &problem);
	return NULL;
}

/* --- closing ---------------------------------------------------------------- */

static int
stop_at_first(void *ctx, const struct ledger_lease *lease)
{
	(void)lease;
	*(bool *)ctx = true;
	return 1;
}

/* Borrows have no deadline in memory, and slots that wait for their time keep
 * the clock steady. */
static bool
holds_something(const struct tenant *tenant)
{
	struct ledger_view *view;
	bool held = false;
	int64_t until = 0;

	if (ledger_view_open(&view, tenant->ledger) != 0)
		return true;
	int rc = ledger_each_lease(view, 0, stop_at_first, &held);

	if (rc >= 0 && !held)
		rc = ledger_linger_end(&until, view);
	ledger_view_close(view);
	return rc < 0 || held || until > process_now(tenant->process);
}

static bool
is_busy(const struct tenant *tenant)
{
	return !tenant->started || tenant->starting || tenant->fault != 0 ||
	    tenant->probe.running || tenant->checking || tenant->n_calls > 0 ||
	    tenant->audit.following.running ||
	    tenant->metering.following.running || tenant->pruning.due ||
	    tenant->n_sessions > 0 || tenant->sessions.count > 0 ||
	    tenant->liveness.leases.count > 0 ||
	    queue_count(&tenant->queue) > 0 || tenant->denials.count > 0 ||
	    tenant->acts.pending > 0 || events_count(tenant) > 0 ||
	    alerts_wait(tenant) || deliver_waits(tenant) ||
	    online_waits(tenant) || tenant->entry->phase != TENANT_OPEN;
}

static void
run_close(struct work *work)
{
	struct moving *moving = (struct moving *)work;

	set_part(moving);
	moving->rc = guard_dismiss(&moving->guard, moving->counter);
	tenant_close(moving->tenant);
	moving->tenant = NULL;
}

static void
closed(struct work *work)
{
	struct moving *moving = (struct moving *)work;
	struct process *process = moving->process;
	struct tenant_entry *entry = moving->entry;

	if (moving->rc != 0)
		log_warn("ledger",
		    "tenant %s is closed, and that could not be noted (%s): "
		    "the next start opens it",
		    entry->facts.name, err_str(moving->rc));
	else
		log_debug("ledger", "tenant %s is closed", entry->facts.name);
	entry->phase = TENANT_CLOSED;
	if (entry->first != NULL)
		begin_to_open(process, entry);
	end_moving(moving);
}

static void
begin_to_close(struct tenant *tenant)
{
	struct process *process = tenant->process;
	struct moving *moving = begin_moving(process, tenant->entry);

	if (moving == NULL)
		return;
	tenant->entry->phase = TENANT_CLOSING;
	tenant->entry->open = NULL;
	leave(process, tenant);
	moving->tenant = tenant;
	moving->work.run = run_close;
	moving->work.done = closed;
	worker_put(process->opener, &moving->work);
}

bool
tenant_is_still(const struct tenant *tenant)
{
	const struct process *process = tenant->process;
	const struct own_guard *own = &process->guard;

	return may_move(process) && !own->frozen && !own->ticking &&
	    own->n_proving == 0 && tenant->started && !tenant->starting &&
	    !tenant->probe.running && !tenant->checking &&
	    !tenant->audit.following.running &&
	    !tenant->metering.following.running && tenant->n_calls == 0 &&
	    tenant->n_sessions == 0 && tenant->entry->phase == TENANT_OPEN;
}

void
tenant_take(struct tenant *tenant)
{
	struct process *process = tenant->process;

	tenant->entry->phase = TENANT_CLOSING;
	tenant->entry->open = NULL;
	leave(process, tenant);
	process->n_moving++;
}

void
tenant_give_back(struct process *process, struct tenant_entry *entry)
{
	if (entry != NULL)
		entry->phase = TENANT_CLOSED;
	process->n_moving--;
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

static int64_t
idle_ms(const struct process *process)
{
	return process->options->tenant_idle_ms != 0
	    ? process->options->tenant_idle_ms
	    : IDLE_MS;
}

bool
tenant_close_idle(struct tenant *tenant)
{
	struct process *process = tenant->process;
	struct own_guard *own = &process->guard;
	int64_t now = clock_boottime_ms();

	if (!may_move(process) || own->frozen || own->ticking ||
	    own->n_proving > 0)
		return false;
	if (is_busy(tenant)) {
		tenant->busy_at = now;
		return false;
	}
	if (now - tenant->busy_at < idle_ms(process))
		return false;
	if (holds_something(tenant)) {
		tenant->busy_at = now;
		return false;
	}
	/* What it journaled is to be covered first. */
	if (tenant->news) {
		own->wanted = true;
		return false;
	}
	begin_to_close(tenant);
	return true;
}

void
tenant_watch(struct process *process)
{
	for (size_t i = 0; i < process->n_tenants;) {
		struct tenant *tenant = process->tenants[i];

		tenant_owed_watch(tenant);
		bool left = tenant->deleting != NULL
		    ? tenant_delete_step(tenant)
		    : tenant->restoring != NULL ? tenant_restore_step(tenant)
						: tenant_close_idle(tenant);

		if (!left)
			i++;
	}
	if (process->parked_bytes == 0 && process->n_moving == 0)
		return;
	for (struct tenant_entry *entry = process->known.first; entry != NULL;
	     entry = entry->following) {
		if (entry->first == NULL)
			continue;
		if (tenant_parked_too_long(entry))
			tenant_parked_refuse(process, entry, ERR_UNAVAILABLE,
			    "the tenant takes too long to open; try again");
		else if (entry->open != NULL && !entry->taken)
			tenant_parked_dispatch(process, entry);
		else
			begin_to_open(process, entry);
	}
}

void
tenant_refuse_all(struct process *process)
{
	for (size_t i = 0; i < process->n_tenants; i++) {
		if (process->tenants[i]->deleting != NULL)
			tenant_delete_refuse(process->tenants[i],
			    "the site is stopping; nothing was deleted");
		if (process->tenants[i]->restoring != NULL)
			tenant_restore_stop(process->tenants[i]);
	}
	for (struct tenant_entry *entry = process->known.first; entry != NULL;
	     entry = entry->following)
		tenant_parked_refuse(process, entry, ERR_UNAVAILABLE,
		    "the site is stopping; leases stay, try again soon");
}
