#include "appliance/ledger/tenant_owed.h"

#include "appliance/ledger/ledger_tenant.h"
#include "appliance/ledger/tenant_use.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct row_limits
row_limits_of(const struct tenant_limits *limits)
{
	return (struct row_limits){
		.calls_per_day = limits->apiCallsPerDay,
		.storage_mb = limits->storage,
		.bandwidth_gb = limits->bandwidth,
		.users = limits->users,
		.devices = limits->devices,
		.keys = limits->keys,
	};
}

void
tenant_owed_make(struct system_owed *owed, const struct system_tenant *facts,
    int64_t now, const struct principal *by)
{
	*owed = (struct system_owed){
		.revision = facts->revision,
		.at = now,
		.status = facts->status,
		.limits = facts->limits,
		.by = { by->kind, by->id },
	};
	memcpy(owed->reason, facts->reason, sizeof(owed->reason));
}

/* --- what is owed ------------------------------------------------------------ */

/* Filled on any thread, for one tenant. */
struct finding {
	struct tenant_owed owed;
	struct ledger_tenant_facts journal;
	uint64_t revision; /* with these rows the journal knows it, or more */
};

static int
add(struct tenant_owed *owed, const struct system_owed *one)
{
	struct system_owed *items =
	    reallocarray(owed->items, owed->n + 1, sizeof(*items));

	if (items == NULL)
		return ERR_NOMEM;
	owed->items = items;
	items[owed->n++] = *one;
	return 0;
}

static int
add_one(void *ctx, const struct system_owed *one)
{
	return add(ctx, one);
}

static bool
says_otherwise(const struct ledger_tenant_facts *journal,
    const struct system_tenant *facts)
{
	struct row_limits limits = row_limits_of(&facts->limits);

	return journal->suspended != (facts->status == TENANT_SUSPENDED) ||
	    journal->limits.calls_per_day != limits.calls_per_day ||
	    journal->limits.storage_mb != limits.storage_mb ||
	    journal->limits.bandwidth_gb != limits.bandwidth_gb ||
	    journal->limits.users != limits.users ||
	    journal->limits.devices != limits.devices ||
	    journal->limits.keys != limits.keys;
}

/* Is it so, with all that is owed, as the site's store has it? */
static int
add_rest(struct finding *finding, struct process *process, const char *name)
{
	struct tenant_owed *owed = &finding->owed;
	struct ledger_tenant_facts last = finding->journal;
	struct system_tenant facts;
	struct system_owed rest;
	int rc = system_tenant_load(&facts, process->system, name);

	if (rc != 0)
		return rc;
	finding->revision = facts.revision;
	if (facts.status != TENANT_ACTIVE && facts.status != TENANT_SUSPENDED)
		return 0;
	if (owed->n > 0) {
		const struct system_owed *newest = &owed->items[owed->n - 1];

		last.revision = newest->revision;
		last.suspended = newest->status == TENANT_SUSPENDED;
		last.limits = row_limits_of(&newest->limits);
	}
	if (!says_otherwise(&last, &facts))
		return 0;
	if (facts.revision <= last.revision)
		facts.revision = last.revision + 1;
	tenant_owed_make(&rest, &facts, 0,
	    &(struct principal){ .kind = ACTOR_SITE });
	return add(owed, &rest);
}

static int
find(struct finding *finding, struct tenant *tenant)
{
	struct process *process = tenant->process;
	struct ledger_view *view;
	int rc = ledger_view_open(&view, tenant->ledger);

	if (rc != 0)
		return rc;
	rc = ledger_tenant_facts(&finding->journal, view);
	ledger_view_close(view);
	if (rc == 0)
		rc = system_each_owed(process->system, tenant->name,
		    finding->journal.revision, add_one, &finding->owed);
	if (rc == 0)
		rc = add_rest(finding, process, tenant->name);
	if (rc != 0) {
		free(finding->owed.items);
		finding->owed = (struct tenant_owed){ .n = 0 };
	}
	return rc;
}

/* --- as it opens --------------------------------------------------------------- */

int
tenant_owed_load(struct tenant *tenant)
{
	struct finding finding = { .owed.n = 0 };
	int rc = find(&finding, tenant);

	if (rc != 0)
		return rc;
	tenant->revision = finding.journal.revision;
	if (finding.owed.n == 0) {
		if (tenant->revision < finding.revision)
			tenant->revision = finding.revision;
		return 0;
	}
	tenant->owed = malloc(sizeof(*tenant->owed));
	if (tenant->owed == NULL) {
		free(finding.owed.items);
		return ERR_NOMEM;
	}
	*tenant->owed = finding.owed;
	return 0;
}

void
tenant_owed_release(struct tenant *tenant)
{
	if (tenant->owed == NULL)
		return;
	free(tenant->owed->items);
	free(tenant->owed);
	tenant->owed = NULL;
}

/* What nobody did just now has no time of its own. */
static void
fill(struct ledger_tenant_change *out, struct tenant *tenant,
    const struct system_owed *owed)
{
	*out = (struct ledger_tenant_change){
		.row = { .revision = owed->revision,
		    .at =
			owed->at != 0 ? owed->at : process_now(tenant->process),
		    .suspended = owed->status == TENANT_SUSPENDED,
		    .limits = row_limits_of(&owed->limits),
		    .by = owed->by },
	};
	memcpy(out->reason, owed->reason, sizeof(out->reason));
}

struct call *
tenant_owed_call(struct tenant *tenant)
{
	const struct system_owed *owed = &tenant->owed->items[tenant->owed->at];
	struct ledger_tenant_change request;

	fill(&request, tenant, owed);
	struct call *call =
	    call_new_own(tenant, LEDGER_TENANT, &request, sizeof(request));

	if (call == NULL)
		return NULL;
	call->write.command.who.kind = owed->by.kind;
	call->write.command.who.id = owed->by.id;
	return call;
}

static void
note_revision(struct tenant *tenant, uint64_t revision)
{
	if (revision > tenant->revision)
		tenant->revision = revision;
	/* The next change comes behind what the journal says. */
	if (tenant->entry != NULL &&
	    tenant->entry->facts.revision < tenant->revision)
		tenant->entry->facts.revision = tenant->revision;
}

void
tenant_owed_next(struct tenant *tenant)
{
	note_revision(tenant, tenant->owed->items[tenant->owed->at].revision);
	tenant->owed->at++;
}

/* --- of an open one -------------------------------------------------------------- */

struct settling {
	struct finding finding;
	struct ledger_tenant_change request;
	struct call *waiting;
};

/* It holds already, but for limits, and is not forgotten. */
static void
say_late(struct call *waiting)
{
	struct tenant_changed *reply = waiting->reply;
	size_t len = strlen(reply->message);

	snprintf(reply->message + len, sizeof(reply->message) - len,
	    "; its journal, and so its limits, as soon as that can be written");
}

static void
end(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct settling *settling = call->own;
	struct call *waiting = settling->waiting;

	if (call->write.command.err != 0)
		log_error("ledger",
		    "tenant %s: what the site's admin changed is not in its "
		    "journal yet: %s",
		    tenant->name, err_str(call->write.command.err));
	bool late = call->write.command.err != 0;

	tenant->settling--;
	if (tenant->entry->phase == TENANT_OPENING && tenant->started)
		tenant_started(tenant);
	free(settling->finding.owed.items);
	call_free(call);
	if (waiting != NULL && late)
		say_late(waiting);
	if (waiting != NULL)
		call_answer(waiting);
}

static void
run_forget(struct work *work)
{
	struct call *call = (struct call *)work;
	const struct settling *settling = call->own;

	call->write.command.err = system_owed_done(call->process->system,
	    call->tenant->name, settling->finding.revision);
}

static void
step(struct call *call)
{
	struct settling *settling = call->own;
	struct tenant_owed *owed = &settling->finding.owed;
	struct command *command = &call->write.command;

	if (command->err == 0 && owed->at > 0)
		note_revision(call->tenant, owed->items[owed->at - 1].revision);
	if (command->err != 0) {
		end(call);
		return;
	}
	if (owed->at == owed->n) {
		note_revision(call->tenant, settling->finding.revision);
		call->finish = end;
		call_help(call, run_forget);
		return;
	}
	fill(&settling->request, call->tenant, &owed->items[owed->at]);
	command->op = LEDGER_TENANT;
	command->who = (struct principal){
		.kind = owed->items[owed->at].by.kind,
		.id = owed->items[owed->at].by.id,
	};
	command->request = &settling->request;
	owed->at++;
	call_commit(call);
}

static void
run_find(struct work *work)
{
	struct call *call = (struct call *)work;
	struct settling *settling = call->own;

	call->write.command.err = find(&settling->finding, call->tenant);
}

bool
tenant_owed_settle(struct tenant *tenant, struct call *waiting)
{
	struct call *call = call_new_own(tenant, LEDGER_TENANT, NULL, 0);
	struct settling *settling =
	    call != NULL ? arena_alloc(&call->arena, sizeof(*settling)) : NULL;

	if (settling == NULL) {
		call_free(call);
		if (waiting != NULL) {
			say_late(waiting);
			call_answer(waiting);
		}
		return false; /* tenant_owed_watch tries again */
	}
	*settling = (struct settling){ .waiting = waiting };
	call->own = settling;
	call->finish = step;
	tenant->settling++;
	call_help(call, run_find);
	return true;
}

bool
tenant_owed_delays(struct tenant *tenant)
{
	bool owed = tenant->owed != NULL ||
	    tenant->revision < tenant->entry->facts.revision;

	if (tenant->caught_up || !owed || tenant->process->guard.frozen)
		return false;
	tenant->caught_up = true;
	tenant_owed_release(tenant);
	return tenant_owed_settle(tenant, NULL);
}

void
tenant_owed_watch(struct tenant *tenant)
{
	if (tenant->entry->phase == TENANT_OPEN && tenant->started &&
	    tenant->settling == 0 && tenant->fault == 0 &&
	    !tenant->process->guard.frozen && tenant->deleting == NULL &&
	    tenant->restoring == NULL &&
	    tenant->process->phase == PHASE_READY &&
	    tenant->revision < tenant->entry->facts.revision)
		tenant_owed_settle(tenant, NULL);
}
