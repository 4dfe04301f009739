#include "appliance/ledger/process.h"
#include "appliance/ledger/alerts.h"
#include "appliance/ledger/box_page.h"
#include "appliance/ledger/deliver.h"
#include "appliance/ledger/documents.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/online.h"

#include "appliance/ledger/by_key.h"
#include "appliance/ledger/keys.h"
#include "appliance/ledger/maintaining.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/ledger/updating.h"
#include "appliance/ledger/usage.h"
#include "appliance/ledger/waiting.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/sandbox.h"
#include "shared/base/text.h"

#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_SITE 2 /* the supervisor does not try that again */

#define CHECKPOINT_EVERY_MS ((int64_t)24 * 60 * 60 * 1000)
/** Batches since the last one that make a clean stop worth a checkpoint. */
#define CHECKPOINT_BATCHES 1000

int64_t
process_now(struct process *process)
{
	return shared_clock_now(&process->clock);
}

static void
log_timing(const struct process *process)
{
	const struct process_counts *c = &process->counts;
	double n = c->requests == 0 ? 1.0 : (double)c->requests;

	log_info("ledger",
	    "timing requests=%llu us a request: read=%.2f write=%.2f; "
	    "unauthenticated=%llu rate_limited=%llu refused=%llu "
	    "rolled_back=%llu sessions=%zu",
	    (unsigned long long)c->requests, (double)c->read_ns / n / 1000.0,
	    (double)c->write_ns / n / 1000.0,
	    (unsigned long long)c->unauthenticated,
	    (unsigned long long)c->rate_limited, (unsigned long long)c->refused,
	    (unsigned long long)c->rolled_back, process->n_sessions);
	for (size_t i = 0; i < process->n_tenants; i++)
		tenant_log_timing(process->tenants[i]);
}

/* --- stopping ------------------------------------------------------------ */

static uint64_t
batches_since_checkpoint(const struct tenant *tenant)
{
	struct arena arena = { 0 };
	struct journal_header header;
	struct record_span token;
	struct ledger_view *view;
	uint8_t head[32];

	if (ledger_view_open(&view, tenant->ledger) != 0)
		return 0;
	int rc = ledger_newest(&header, head, &token, view, &arena);

	ledger_view_close(view);
	arena_release(&arena);
	return rc == 0 ? header.batch - tenant->checkpoint_batch : 0;
}

/* What is left to journal: refusals counted so far, a checkpoint if one is due.
 * Each makes calls, and the last of those comes back here. */
static bool
last_words(struct process *process, struct tenant *tenant)
{
	if (!tenant->started || tenant->fault != 0 || tenant->drained ||
	    process->guard.frozen)
		return false;
	if (tenant->denials.count > 0) {
		own_flush_denials(tenant, true);
		return process->n_calls > 0;
	}
	if (alerts_flush(tenant))
		return true;
	if (tenant->acts.pending > 0) {
		acts_flush(tenant, true);
		return process->n_calls > 0;
	}
	tenant->drained = true;
	if (batches_since_checkpoint(tenant) > CHECKPOINT_BATCHES)
		own_checkpoint(tenant);
	return process->n_calls > 0;
}

void
process_settle(struct process *process)
{
	if (process->n_calls > 0 || process->clock_saving ||
	    process->guard.ticking || process->n_moving > 0 ||
	    process->usage_saving != NULL || process->putting_back ||
	    process->guard.n_proving > 0 || process->people->saving)
		return;
	for (size_t i = 0; i < process->n_tenants; i++)
		if (last_words(process, process->tenants[i]))
			return;
	if (tick_is_due_at_stop(process))
		return;
	event_base_loopbreak(process->base);
}

static void
begin_drain(struct process *process)
{
	if (process->phase == PHASE_DRAINING)
		return;
	log_info("ledger", "stopping: %zu calls under way", process->n_calls);
	process->phase = PHASE_DRAINING;
	front_tell_state(process);
	by_key_drain(process);
	tenant_refuse_all(process);
	process_settle(process);
}

void
process_fail(struct process *process)
{
	process->status = 1;
	event_base_loopbreak(process->base);
}

/* --- events -------------------------------------------------------------- */

static void
got_signal(evutil_socket_t number, short what, void *ctx)
{
	struct process *process = ctx;

	(void)what;
	if (number == SIGTERM)
		begin_drain(process);
	else if (number == SIGUSR1)
		log_timing(process);
	/* SIGINT comes from a terminal to all at once; the parent sorts it out.
	 * SIGHUP: nothing here is read anew. */
}

static void
got_edge(evutil_socket_t control, short what, void *ctx)
{
	struct process *process = ctx;
	int fd, index, rc;

	(void)what;
	while ((rc = supervisor_receive_edge(&fd, &index, (int)control)) == 0) {
		if (people_edge(process, fd, index))
			continue;
		if (front_add(process, fd, index) != 0)
			log_error("ledger", "no memory for front %d", index);
	}
	if (rc == ERR_BUSY)
		return;
	log_error("ledger", "the parent process is gone");
	process_fail(process);
}

static void
tick_tenant(struct tenant *tenant)
{
	int64_t boottime = clock_boottime_ms();

	if (!tenant->started) {
		/* With a fault: once a probe says that it works again. */
		if (tenant->fault == 0)
			own_start(tenant);
		return;
	}
	alerts_tick(tenant);
	if (tenant->process->guard.frozen)
		return;
	own_expire_due(tenant);
	own_flush_denials(tenant, false);
	acts_flush(tenant, false);
	audit_tick(tenant);
	pruning_tick(tenant);
	metering_tick(tenant);
	keys_tick(tenant);
	deliver_tick(tenant);
	waiting_tick(tenant);
	policy_tick(tenant);
	hub_tick(tenant);
	invoicing_tick(tenant);
	updating_tick(tenant);
	maintaining_tick(tenant);
	online_tick(tenant);
	if (boottime - tenant->checkpoint_boottime < CHECKPOINT_EVERY_MS)
		return;
	if (batches_since_checkpoint(tenant) > 0)
		own_checkpoint(tenant);
	else
		tenant->checkpoint_boottime = boottime;
}

static void
got_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct process *process = ctx;

	(void)fd;
	(void)what;
	front_resume(process);
	front_tell_state(process);
	if (process->phase == PHASE_DRAINING)
		return;
	own_step_clock(process);
	tenant_watch_faults(process);
	for (size_t i = 0; i < process->n_tenants; i++)
		tick_tenant(process->tenants[i]);
	by_key_tick(process);
	tenant_watch(process);
	hub_watch(process);
	online_watch(process);
	usage_watch(process);
	enrolling_expire(process);
	spools_expire(&process->spools, clock_boottime_ms());
	people_tick(process->people);
	box_page_tick(process);
	tick_watch(process);
}

static int
add_events(struct process *process)
{
	static const int signals[PROCESS_SIGNALS] = { SIGTERM, SIGINT, SIGHUP,
		SIGUSR1 };
	static const struct timeval second = { .tv_sec = 1 };

	for (size_t i = 0; i < PROCESS_SIGNALS; i++) {
		process->signals[i] = evsignal_new(process->base, signals[i],
		    got_signal, process);
		if (process->signals[i] == NULL ||
		    event_add(process->signals[i], NULL) != 0)
			return ERR_NOMEM;
	}
	process->control = event_new(process->base, process->child->control,
	    EV_READ | EV_PERSIST, got_edge, process);
	process->tick =
	    event_new(process->base, -1, EV_PERSIST, got_tick, process);
	process->turn = event_new(process->base, -1, 0, waiting_turn, process);
	if (process->control == NULL || process->tick == NULL ||
	    process->turn == NULL || event_add(process->control, NULL) != 0 ||
	    event_add(process->tick, &second) != 0)
		return ERR_NOMEM;
	return 0;
}

/* --- starting ------------------------------------------------------------ */

static int
open_site(struct process *process)
{
	const char *state = process->options->state;
	uint8_t *key = sodium_malloc(SYSTEM_HASH_KEY_BYTES);
	char path[SETUP_PATH_MAX];

	process->secret = sodium_malloc(TOKEN_SECRET_BYTES);
	int rc = key == NULL || process->secret == NULL ? ERR_NOMEM : 0;

	if (rc == 0)
		rc = setup_read(&process->site, state);
	if (rc == 0)
		rc = site_tpm_open(process);
	if (rc == 0)
		rc = site_tpm_read_key(process);
	if (rc == 0)
		rc = setup_succession(&process->site_keys, &process->succession,
		    &process->succession_arena, state, process->site.site,
		    process->secret + 32);
	if (rc == 0)
		rc = setup_ca_digest(process->ca_sha256, state);
	if (rc == 0)
		rc = setup_key(key, state, "system");
	if (rc == 0)
		rc = setup_path(path, state, "system");
	if (rc == 0)
		rc = system_open(&process->system, path, key);
	sodium_free(key);
	return rc;
}

static void
read_boot_id(char out[64])
{
	uint8_t *data = NULL;
	size_t len;

	out[0] = '\0';
	if (file_read(&data, &len, "/proc/sys/kernel/random/boot_id", 128) != 0)
		return;
	while (len > 0 && data[len - 1] == '\n')
		len--;
	text_copy_n(out, 64, (const char *)data, len);
	free(data);
}

static void
log_clock(enum clock_start start, int64_t last, int64_t wall)
{
	char last_text[CLOCK_TEXT_SIZE], wall_text[CLOCK_TEXT_SIZE];

	clock_format(last_text, last);
	clock_format(wall_text, wall);
	switch (start) {
	case CLOCK_START_FINE:
		break;
	case CLOCK_START_BEHIND:
		log_error("ledger",
		    "ALERT: the wall clock says %s, but the journal was "
		    "written until %s; the site goes on from there: set the "
		    "clock right",
		    wall_text, last_text);
		break;
	case CLOCK_START_AHEAD:
		log_warn("ledger",
		    "the journal was last written at %s and it is now %s by "
		    "the wall clock, which is believed after a restart of the "
		    "machine",
		    last_text, wall_text);
		break;
	case CLOCK_START_HELD:
		/* Alerted when it is journaled. */
		log_warn("ledger",
		    "the wall clock was set ahead while the site was stopped, "
		    "or the machine was off for so long");
		break;
	}
}

static int
start_clock(struct process *process, int64_t last, int64_t linger)
{
	int64_t boottime = clock_boottime_ms(), wall = clock_wall_ms();
	struct system_clock *saved = &process->clock_saved;
	struct site_clock *clock = &process->clock.clock;
	char boot[64];
	int rc = system_clock_load(saved, process->system);

	if (rc == ERR_NOT_FOUND)
		*saved = (struct system_clock){ 0 };
	else if (rc != 0)
		return rc;
	read_boot_id(boot);
	bool same_boot = boot[0] != '\0' && strcmp(boot, saved->boot) == 0;

	pthread_mutex_init(&process->clock.lock, NULL);
	enum clock_start start = clock_begin(clock, last, same_boot,
	    saved->offset_ms, linger, site_tpm_time(process), boottime, wall);

	process->clock_untold = start == CLOCK_START_HELD;
	log_clock(start, last, wall);
	memcpy(saved->boot, boot, sizeof(saved->boot));
	saved->offset_ms = clock->offset;
	/* A full disk must not keep the site from reading. */
	rc = system_clock_save(process->system, saved);
	return rc == ERR_FULL ? 0 : rc;
}

static int
start_threads(struct process *process)
{
	const struct writer_callbacks callbacks = {
		.ctx = process,
		.batch = own_batch,
	};

	process->outbox = outbox_new(process->base);
	if (process->outbox == NULL)
		return ERR_NOMEM;
	/* All now: a seccomp filter allows no more threads later. */
	while (process->n_writers < PROCESS_WRITERS) {
		struct writer *writer =
		    writer_new(process->outbox, &process->clock, &callbacks);

		if (writer == NULL)
			return ERR_SYSTEM;
		process->writers[process->n_writers++] = writer;
	}
	for (size_t i = 0; i < process->n_tenants; i++)
		tenant_pin(process->tenants[i]);
	process->reader = worker_new("reader", process->outbox);
	process->helper = worker_new("helper", process->outbox);
	process->checker = worker_new("checker", process->outbox);
	process->vault = worker_new("vault", process->outbox);
	process->opener = worker_new("opener", process->outbox);
	process->auditor = worker_new("auditor", process->outbox);
	if (process->reader == NULL || process->helper == NULL ||
	    process->checker == NULL || process->vault == NULL ||
	    process->opener == NULL || process->auditor == NULL)
		return ERR_SYSTEM;
	int rc = people_open(process);

	return rc == 0 ? tick_start(process) : rc;
}

static int
open_store(struct process *process)
{
	struct tenant_times times = { .latest = 0 };
	int rc = open_site(process);

	if (rc == 0)
		rc = tenant_load_all(&times, process);
	if (rc == 0)
		rc = start_clock(process, times.latest, times.linger);
	if (rc == 0)
		rc = usage_load(process);
	if (rc == 0)
		rc = tick_open(process);
	return rc;
}

static int
start(struct process *process)
{
	const struct ledger_process_options *options = process->options;
	gid_t group;
	size_t groups = site_tpm_group(&group, process);

	if (options->drop &&
	    sandbox_drop_user_keep(options->uid, options->gid, 0, &group,
		groups) != 0)
		return ERR_SYSTEM;
	if (sandbox_no_new_privileges() != 0)
		return ERR_SYSTEM;
	int rc = open_store(process);

	if (rc != 0)
		return rc;
	process->base = event_base_new();
	process->entropy = entropy_new();
	if (process->base == NULL || process->entropy == NULL)
		return ERR_NOMEM;
	auth_init(&process->auth);
	if ((rc = start_threads(process)) != 0 ||
	    (rc = add_events(process)) != 0 ||
	    (rc = sandbox_enter(
		 (enum sandbox_profile)site_tpm_profile(process))) != 0)
		return rc;
	for (size_t i = 0; i < process->n_tenants; i++)
		own_start(process->tenants[i]);
	own_ready(process); /* all of them may be quiet */
	return supervisor_ready(process->child);
}

/* --- the end ------------------------------------------------------------- */

static void
stop_threads(struct process *process)
{
	for (size_t i = 0; i < process->n_writers; i++)
		writer_free(process->writers[i]);
	worker_free(process->opener);
	worker_free(process->auditor);
	worker_free(process->reader);
	worker_free(process->checker);
	worker_free(process->helper);
	people_stop(process->people); /* writes what the helper wrote anew */
	worker_free(process->vault);
	worker_free(process->guard.worker);
}

static void
note_clean_stop(struct process *process)
{
	for (size_t i = 0; i < process->n_tenants; i++) {
		struct tenant *tenant = process->tenants[i];
		int rc =
		    tenant->started ? ledger_stop_clean(tenant->ledger) : 0;

		if (rc != 0)
			log_error("ledger",
			    "tenant %s: the stop cannot be noted as clean: %s",
			    tenant->name, err_str(rc));
	}
}

static void
release(struct process *process)
{
	box_page_stop(process);
	while (process->fronts != NULL) {
		/* What was committed is still told. */
		ipc_flush(process->fronts->ipc, 200);
		front_free(process->fronts);
	}
	for (size_t i = 0; i < PROCESS_SIGNALS; i++)
		if (process->signals[i] != NULL)
			event_free(process->signals[i]);
	if (process->control != NULL)
		event_free(process->control);
	if (process->tick != NULL)
		event_free(process->tick);
	if (process->turn != NULL)
		event_free(process->turn);
	outbox_free(process->outbox);
	tick_close(process);
	for (size_t i = 0; i < process->n_tenants; i++)
		tenant_close(process->tenants[i]);
	free(process->tenants);
	tenant_parked_release(process);
	tenants_release(&process->known);
	system_close(process->system);
	spools_release(&process->spools);
	identity_close(process->identity);
	entropy_free(process->entropy);
	table_release(&process->again);
	events_release(process);
	documents_release(process);
	deliver_release(process);
	online_release(process);
	sodium_free(process->secret);
	people_close(process->people);
	calls_release(process);
	arena_release(&process->arena);
	buf_release(&process->out);
	if (process->base != NULL)
		event_base_free(process->base);
	free(process);
}

int
ledger_main(void *ctx, const struct supervisor_child *child)
{
	struct process *process = calloc(1, sizeof(*process));

	if (process == NULL)
		return 1;
	process->options = ctx;
	process->child = child;
	int rc = start(process);

	if (rc == 0)
		event_base_dispatch(process->base);
	stop_threads(process);
	int status = process->status;

	if (rc != 0) {
		/* Each cause was logged where it was seen. A site that is not
		 * there or damaged will not be mended by another try. */
		status = rc == ERR_NOMEM || rc == ERR_SYSTEM || rc == ERR_IO ||
			rc == ERR_BUSY || rc == ERR_UNAVAILABLE
		    ? 1
		    : STATUS_SITE;
	} else if (status == 0) {
		usage_save_all(process);
		note_clean_stop(process);
		log_timing(process);
		log_info("ledger", "stopped");
	}
	release(process);
	return status;
}
