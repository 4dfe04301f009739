/* Opening and closing a tenant of the process. */
#include "appliance/ledger/alerts.h"
#include "appliance/ledger/deliver.h"
#include "appliance/ledger/keys.h"
#include "appliance/ledger/online.h"
#include "appliance/ledger/store.h"
#include "appliance/ledger/tenant_owed.h"
#include "appliance/ledger/updating.h"
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
open_failed(const struct tenant *tenant, const char *path, int rc)
{
	if (rc == ERR_BUSY)
		log_error("ledger",
		    "another process has the store of tenant %s open: %s; stop "
		    "it first",
		    tenant->name, path);
	else
		log_error("ledger",
		    "cannot open the store of tenant %s: %s: %s", tenant->name,
		    path, err_str(rc));
	return rc;
}

static int
open_ledger(struct tenant *tenant)
{
	struct process *process = tenant->process;
	char path[SETUP_PATH_MAX], name[96];

	snprintf(name, sizeof(name), "tenants/%s/ledger", tenant->name);
	int rc = setup_path(path, process->options->state, name);

	if (rc != 0)
		return rc;
	const struct ledger_options options = {
		.path = path,
		.site = process->site.site,
		.tenant = tenant->name,
		.site_public = process->secret + 32,
		.site_keys = &process->site_keys,
		.site_secret = process->secret,
		.tenant_key = tenant->key,
		.ca_sha256 = process->ca_sha256,
		.map_bytes = process->options->map_bytes,
		.map_grows = process->options->map_grows,
		.hold_format = updating_holds_format(process),
	};

	rc = ledger_open(&tenant->ledger, &options);
	return rc == 0 ? 0 : open_failed(tenant, path, rc);
}

/* Where its time goes on, and from which batch checkpoints count. */
static int
read_newest(struct tenant *tenant, int64_t *time)
{
	struct arena arena = { 0 };
	struct journal_header header;
	struct record_span token;
	struct ledger_view *view;
	uint8_t head[32];
	int rc = ledger_view_open(&view, tenant->ledger);

	if (rc != 0)
		return rc;
	rc = ledger_newest(&header, head, &token, view, &arena);
	*time = ledger_time(view);
	if (rc == 0)
		rc = ledger_linger_end(&tenant->linger_until, view);
	ledger_view_close(view);
	arena_release(&arena);
	tenant->checkpoint_batch = header.batch;
	tenant->checkpoint_boottime = clock_boottime_ms();
	return rc;
}

static int
fill(struct tenant *tenant, int64_t *time)
{
	tenant->key = sodium_malloc(SETUP_KEY_BYTES);
	if (tenant->key == NULL)
		return ERR_NOMEM;
	int rc = setup_key(tenant->key, tenant->process->options->state,
	    tenant->name);

	if (rc == 0)
		rc = open_ledger(tenant);
	if (rc == 0)
		rc = read_newest(tenant, time);
	if (rc == 0)
		rc = own_load_leases(tenant);
	if (rc == 0)
		rc = keys_open(tenant);
	if (rc == 0)
		rc = tenant_owed_load(tenant);
	if (rc == 0)
		rc = alerts_open(tenant);
	if (rc == 0)
		rc = deliver_open(tenant);
	if (rc == 0)
		rc = pruning_open(tenant);
	return rc;
}

int
tenant_open(struct tenant **out, struct process *process, const char *name,
    int64_t *time)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));

	if (tenant == NULL)
		return ERR_NOMEM;
	tenant->process = process;
	text_copy(tenant->name, sizeof(tenant->name), name);
	waiting_init(tenant);
	int rc = fill(tenant, time);

	if (rc != 0) {
		tenant_close(tenant);
		return rc;
	}
	*out = tenant;
	return 0;
}

void
tenant_close(struct tenant *tenant)
{
	struct device_memory *memory;
	size_t at = 0;

	if (tenant == NULL)
		return;
	keys_close(tenant);
	audit_end(tenant);
	pruning_end(tenant);
	metering_end(tenant);
	tenant_owed_release(tenant);
	alerts_close(tenant);
	deliver_close(tenant);
	online_close(tenant);
	ledger_close(tenant->ledger);
	liveness_release(&tenant->liveness);
	contracts_release(&tenant->contracts);
	denials_release(&tenant->denials);
	acts_release(&tenant->acts);
	queue_release(&tenant->queue);
	while ((memory = table_next(&tenant->devices, &at)) != NULL)
		free(memory);
	table_release(&tenant->devices);
	table_release(&tenant->sessions);
	sodium_free(tenant->key);
	free(tenant);
}

/* --- trouble ---------------------------------------------------------------- */

void
tenant_set_fault(struct tenant *tenant, int fault)
{
	if (fault != 0 && tenant->fault == 0)
		log_error("ledger",
		    "tenant %s: nothing can be journaled (%s); reads go on, "
		    "writes are refused until it works again",
		    tenant->name, err_str(fault));
	else if (fault == 0 && tenant->fault != 0)
		log_info("ledger", "tenant %s: the journal goes on",
		    tenant->name);
	bool changed = (fault != 0) != (tenant->fault != 0);

	if (fault != 0)
		tenant->faulted_at = clock_boottime_ms();

	tenant->fault = fault;
	if (changed)
		front_tell_state(tenant->process);
}

static void
run_probe(struct work *work)
{
	struct tenant_probe *probe = (struct tenant_probe *)work;

	probe->rc = ledger_probe(probe->tenant->ledger);
}

static void
probed(struct work *work)
{
	struct tenant_probe *probe = (struct tenant_probe *)work;
	struct tenant *tenant = probe->tenant;

	probe->running = false;
	tenant->process->probing = false;
	if (probe->rc != 0)
		return;
	tenant_set_fault(tenant, 0);
	if (tenant->process->phase != PHASE_DRAINING)
		own_start(tenant);
	/* They are mostly on one disk: so the others at once. */
	tenant_watch_faults(tenant->process);
}

static void
probe(struct tenant *tenant)
{
	struct tenant_probe *probe = &tenant->probe;

	probe->work.run = run_probe;
	probe->work.done = probed;
	probe->tenant = tenant;
	probe->running = true;
	tenant->process->probing = true;
	worker_put(tenant->process->helper, &probe->work);
}

void
tenant_watch_faults(struct process *process)
{
	const size_t n = process->n_tenants, from = process->next_probe;

	for (size_t i = 0; i < n; i++) {
		const struct tenant *tenant = process->tenants[i];

		if (!ledger_is_broken(tenant->ledger))
			continue;
		log_error("ledger",
		    "tenant %s: its store must be opened anew; restarting",
		    tenant->name);
		process_fail(process);
		return;
	}
	for (size_t i = 0; i < n && !process->probing; i++) {
		struct tenant *tenant = process->tenants[(from + i) % n];

		if (tenant->fault == 0)
			continue;
		process->next_probe = (from + i) % n + 1;
		probe(tenant);
	}
}

static double
per(uint64_t ns, uint64_t n)
{
	return n == 0 ? 0.0 : (double)ns / (double)n / 1000.0;
}

void
tenant_log_timing(const struct tenant *tenant)
{
	struct ledger_timing t;

	ledger_timing(&t, tenant->ledger);
	log_info("ledger",
	    "timing tenant=%s commits=%llu commands=%llu rows=%llu "
	    "commands_a_commit=%.1f us a command: decide=%.2f fold=%.2f "
	    "tree=%.2f sign=%.2f commit=%.2f",
	    tenant->name, (unsigned long long)t.commits,
	    (unsigned long long)t.commands, (unsigned long long)t.rows,
	    t.commits == 0 ? 0.0 : (double)t.commands / (double)t.commits,
	    per(t.decide_ns, t.commands), per(t.fold_ns, t.commands),
	    per(t.tree_ns, t.commands), per(t.sign_ns, t.commands),
	    per(t.commit_ns, t.commands));
}
