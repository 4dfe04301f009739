/*
 * The tenants of a site as it starts: those that a crash left half made are
 * cleared away, those that are noted as quiet stay closed, all others open, for
 * they have leases whose deadlines count, or were not closed in order.
 */
#include "appliance/ledger/tenant_delete.h"
#include "appliance/ledger/tenant_restore.h"
#include "appliance/ledger/tenant_use.h"

#include "appliance/setup/tenant.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

struct loading {
	struct process *process;
	struct system_tenant *found;
	size_t n;
};

static int
note_tenant(void *ctx, const struct system_tenant *tenant)
{
	struct loading *loading = ctx;
	struct system_tenant *found =
	    reallocarray(loading->found, loading->n + 1, sizeof(*found));

	if (found == NULL)
		return ERR_NOMEM;
	loading->found = found;
	found[loading->n++] = *tenant;
	return 0;
}

static int
note_host(void *ctx, const char *host, const char *tenant)
{
	struct process *process = ctx;
	struct tenant_entry *entry = tenants_find(&process->known, tenant);

	return entry != NULL ? tenants_set_host(&process->known, entry, host)
			     : 0;
}

static int
note_site_host(void *ctx, const char *host)
{
	struct process *process = ctx;

	return tenants_add_site_host(&process->known, host);
}

/* Nobody was told that it is there. */
static int
clear_half_made(struct process *process, const char *name)
{
	log_warn("ledger",
	    "tenant %s was not made to its end, and is cleared away", name);
	int rc = setup_tenant_remove(process->options->state, name);

	return rc == 0 ? system_tenant_delete(process->system, name) : rc;
}

static int
open_now(struct process *process, struct tenant_entry *entry,
    struct tenant_times *times)
{
	struct tenant *tenant;
	int64_t time = 0;
	int rc = tenant_open(&tenant, process, entry->facts.name, &time);

	if (rc != 0)
		return rc;
	rc = tenant_join(process, tenant);
	if (rc != 0) {
		tenant_close(tenant);
		return rc;
	}
	tenant->entry = entry;
	entry->open = tenant;
	entry->phase = TENANT_OPENING;
	if (tenant->linger_until > times->linger)
		times->linger = tenant->linger_until;
	if (time > times->latest)
		times->latest = time;
	return 0;
}

static int
load_one(struct process *process, const struct system_tenant *found,
    struct tenant_times *times)
{
	struct tenant_entry *entry;
	struct system_quiet quiet;

	if (found->status == TENANT_PROVISIONING)
		return clear_half_made(process, found->name);
	if (found->status == TENANT_DELETING)
		return tenant_delete_end(process, found->name);
	int rc = tenant_restore_clear(process, found->name);

	if (rc == 0)
		rc = tenants_add(&entry, &process->known, found);
	if (rc != 0)
		return rc;
	rc = system_quiet_load(&quiet, process->system, found->name);
	if (rc == ERR_NOT_FOUND)
		return open_now(process, entry, times);
	if (rc == 0 && quiet.time > times->latest)
		times->latest = quiet.time;
	return rc;
}

int
tenant_load_all(struct tenant_times *times, struct process *process)
{
	struct loading loading = { .process = process };
	int rc = system_each_tenant(process->system, note_tenant, &loading);

	for (size_t i = 0; i < loading.n && rc == 0; i++)
		rc = load_one(process, &loading.found[i], times);
	free(loading.found);
	if (rc == 0)
		rc = system_each_host(process->system, note_host, process);
	if (rc == 0)
		rc = setup_each_host(process->options->state, note_site_host,
		    process);
	if (rc == 0 && tenants_find(&process->known, SETUP_TENANT) == NULL) {
		log_error("ledger", "the site has no tenant " SETUP_TENANT);
		rc = ERR_CORRUPT;
	}
	return rc;
}
