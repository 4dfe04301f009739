#include "appliance/ledger/tenant_restore.h"

#include "appliance/ledger/backup.h"
#include "appliance/ledger/events.h"
#include "appliance/ledger/tenant_use.h"
#include "appliance/setup/restore_beside.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* What is under way when it begins ends long before. */
#define WAIT_MS ((int64_t)20 * 1000)

/* Kept with the spool, so that its outcome is there for who asks later. */
struct tenant_restore {
	struct work work; /* first */
	struct process *process;
	struct tenant_entry *entry;
	struct tenant *tenant; /* NULL once it is closed */
	struct spool *spool;
	struct setup_beside beside;
	struct principal who;
	char reason[RESTORE_REASON_MAX + 1];
	enum restore_state state;
	int64_t since; /* boottime: RESTORE_CLOSING */
	uint64_t counter;
	int err;
	struct problem problem;
	struct restore_done reply;
};

static void
hand_to(struct worker *worker, struct tenant_restore *restoring,
    void (*run)(struct work *work), void (*done)(struct work *work))
{
	restoring->work.run = run;
	restoring->work.done = done;
	worker_put(worker, &restoring->work);
}

/* The last step, however it went. */
static void
come_to_an_end(struct tenant_restore *restoring)
{
	struct process *process = restoring->process;

	restoring->state = restoring->err == 0 ? RESTORE_DONE : RESTORE_FAILED;
	restoring->spool->busy--;
	restoring->spool->used_at = clock_boottime_ms();
	restoring->entry = NULL;
	restoring->tenant = NULL;
	process->putting_back = false;
	if (process->phase == PHASE_DRAINING)
		process_settle(process);
}

/* --- on the opener's thread ---------------------------------------------------- */

static int
mark_of(struct row_mark *mark, struct ledger *ledger)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, ledger);

	if (err != 0)
		return err;
	err = ledger_mark(mark, view);
	ledger_view_close(view);
	return err;
}

static void
fill_reply(struct restore_done *reply, const struct tenant_exchange *exchange)
{
	text_copy(reply->tenant, sizeof(reply->tenant), exchange->name);
	reply->batch = exchange->copied.batch;
	reply->time = exchange->copied.time;
	reply->lost_generation = exchange->lost.generation;
	reply->lost_batch = exchange->lost.batch;
	reply->lost_time = exchange->lost.time;
	reply->generation = exchange->now.generation;
	reply->erasedSubjects = exchange->carried.subjects;
	reply->erasedUsers = exchange->carried.erased_users;
	reply->removedUsers = exchange->carried.users;
	reply->revokedKeys = exchange->carried.keys;
	reply->revokedDevices = exchange->carried.devices;
	reply->revokedTokens = exchange->carried.joins;
}

/* As far as it came; else the next who opens it does that. An error behind the
 * exchange itself undoes nothing: the copy is in place then, and it is said. */
static int
settle(struct process *process, const struct tenant_exchange *exchange, int err)
{
	struct row_mark anchor;
	int rc = tenant_restore_settle(process, exchange->name);

	if (rc != 0)
		return err != 0 ? err : rc;
	setup_beside_clear(process->options->state, exchange->name);
	if (err == 0 || exchange->now.generation == 0)
		return err;
	rc = system_anchor_load(&anchor, process->system, exchange->name);
	return rc == 0 && memcmp(anchor.head, exchange->now.head, 32) == 0
	    ? 0
	    : err;
}

static int
exchange_stores(struct tenant_restore *restoring)
{
	struct tenant *tenant = restoring->tenant;
	struct process *process = restoring->process;
	struct tenant_exchange exchange = {
		.process = process,
		.name = restoring->entry->facts.name,
		.who = restoring->who,
		.reason = restoring->reason,
		.counter = restoring->counter,
	};
	uint8_t *key = sodium_malloc(SETUP_KEY_BYTES);
	int err = key == NULL ? ERR_NOMEM
			      : mark_of(&exchange.until_now, tenant->ledger);

	if (err == 0)
		memcpy(key, tenant->key, SETUP_KEY_BYTES);
	exchange.key = key;
	tenant_close(tenant);
	restoring->tenant = NULL;
	if (err == 0)
		err = tenant_exchange(&exchange);
	sodium_free(key);
	err = settle(process, &exchange, err);
	if (err == 0)
		fill_reply(&restoring->reply, &exchange);
	return err;
}

static void
run_exchange(struct work *work)
{
	struct tenant_restore *restoring = (struct tenant_restore *)work;

	restoring->err = exchange_stores(restoring);
	if (restoring->err == 0)
		spool_empty(restoring->spool);
}

/* --- in the loop ---------------------------------------------------------------- */

static void
say_failed(struct tenant_restore *restoring)
{
	struct problem *problem = &restoring->problem;

	log_error("ledger", "tenant %s is not put back: %s",
	    restoring->spool->about, err_str(restoring->err));
	if (problem->code[0] != '\0')
		return;
	if (restoring->err == ERR_FULL)
		problem_set(problem, ERR_FULL,
		    "free some space on the site's disk, and try again",
		    "there is no room on the site's disk for this copy; "
		    "nothing was put back");
	else
		problem_set(problem, restoring->err, NULL,
		    "nothing was put back (%s); the site's log says why",
		    err_str(restoring->err));
}

static void
finish_exchange(struct work *work)
{
	struct tenant_restore *restoring = (struct tenant_restore *)work;
	struct process *process = restoring->process;
	struct tenant_entry *entry = restoring->entry;
	struct tenant *tenant;

	entry->taken = false;
	if (restoring->err == 0)
		log_warn("ledger",
		    "ALERT: admin key %llu put tenant %s back to batch %llu; "
		    "generation %u begins",
		    (unsigned long long)restoring->who.id, entry->facts.name,
		    (unsigned long long)restoring->reply.batch,
		    restoring->reply.generation);
	else
		say_failed(restoring);
	tenant_give_back(process, entry);
	/* Its leases have deadlines, and its agents are on their way. */
	tenant_use_entry(&tenant, process, entry);
	come_to_an_end(restoring);
}

static void
run_clear(struct work *work)
{
	const struct tenant_restore *restoring = (struct tenant_restore *)work;

	setup_beside_clear(restoring->process->options->state,
	    restoring->spool->about);
}

static void
cleared(struct work *work)
{
	struct tenant_restore *restoring = (struct tenant_restore *)work;

	say_failed(restoring);
	come_to_an_end(restoring);
}

/* The tenant goes on as it was. */
static void
refuse_made(struct tenant_restore *restoring, int err, const char *words)
{
	restoring->tenant->restoring = NULL;
	restoring->entry->taken = false;
	restoring->err = err;
	problem_set(&restoring->problem, err, NULL, "%s", words);
	hand_to(restoring->process->vault, restoring, run_clear, cleared);
}

void
tenant_restore_stop(struct tenant *tenant)
{
	struct tenant_restore *restoring = tenant->restoring;

	if (restoring->state == RESTORE_CLOSING)
		refuse_made(restoring, ERR_UNAVAILABLE,
		    "the site is stopping; nothing was put back");
}

bool
tenant_restore_step(struct tenant *tenant)
{
	struct tenant_restore *restoring = tenant->restoring;
	struct process *process = restoring->process;

	if (restoring->state != RESTORE_CLOSING)
		return false;
	tenant->entry->taken = true;
	session_restart_all(process, tenant->entry,
	    "the tenant is being put back to an older copy");
	events_close_tenant(tenant);
	if (!tenant_is_still(tenant)) {
		if (clock_boottime_ms() - restoring->since > WAIT_MS)
			refuse_made(restoring, ERR_BUSY,
			    "what is under way there did not end; nothing was "
			    "put back: try again");
		return false;
	}
	restoring->counter = process->guard.report.counter;
	restoring->state = RESTORE_EXCHANGING;
	tenant_take(tenant);
	hand_to(process->opener, restoring, run_exchange, finish_exchange);
	return true;
}

/* --- checking ------------------------------------------------------------------ */

static void
run_make(struct work *work)
{
	struct tenant_restore *restoring = (struct tenant_restore *)work;

	restoring->err = setup_beside_make(&restoring->beside);
}

static void
finish_make(struct work *work)
{
	struct tenant_restore *restoring = (struct tenant_restore *)work;
	const struct setup_beside *beside = &restoring->beside;
	int err = restoring->err;

	restoring->state = RESTORE_CLOSING;
	restoring->since = clock_boottime_ms();
	if (err == 0) {
		if (restoring->process->phase != PHASE_READY)
			tenant_restore_stop(restoring->tenant);
		return;
	}
	restoring->tenant->restoring = NULL;
	if (err != ERR_NOMEM && err != ERR_IO && err != ERR_FULL) {
		restoring->err = ERR_BAD_REQUEST;
		problem_set(&restoring->problem, ERR_BAD_REQUEST,
		    "take another backup; see: leasehold backup verify FILE",
		    "this copy cannot be put back: %s; nothing was changed",
		    beside->words[0] != '\0' ? beside->words
					     : "the site's log says why");
	}
	say_failed(restoring);
	come_to_an_end(restoring);
}

/* --- asked ---------------------------------------------------------------------- */

static struct restore_failure
failure_of(const struct problem *problem)
{
	struct restore_failure failure = { 0 };

	text_copy(failure.code, sizeof(failure.code), problem->code);
	text_copy(failure.detail, sizeof(failure.detail), problem->detail);
	text_copy(failure.hint, sizeof(failure.hint), problem->hint);
	return failure;
}

static void
tell(const struct request *request, const struct spool *spool)
{
	const struct tenant_restore *restoring = spool->kept;
	struct restore_view view = {
		.part = spool->number,
		.state = RESTORE_RECEIVING,
		.offset = spool->bytes,
		.bytes = spool->expected,
	};

	text_copy(view.tenant, sizeof(view.tenant), spool->about);
	if (restoring != NULL) {
		view.state = restoring->state;
		if (view.state == RESTORE_DONE)
			view.done = restoring->reply;
		if (view.state == RESTORE_FAILED)
			view.failure = failure_of(&restoring->problem);
	}
	request_reply(request, &view);
}

static bool
refuse(const struct request *request, int err, const char *hint,
    const char *words)
{
	struct problem problem;

	problem_set(&problem, err, hint, "%s", words);
	request_refuse(request, err, &problem);
	return false;
}

static bool
is_whole(const struct request *request, const struct spool *spool)
{
	struct problem problem;

	if (spool->busy > 0)
		return refuse(request, ERR_BUSY, "try again soon",
		    "a piece of it is being written");
	if (spool->bytes == spool->expected)
		return true;
	problem_set(&problem, ERR_CONFLICT, "go on sending it",
	    "%llu of %llu bytes are there", (unsigned long long)spool->bytes,
	    (unsigned long long)spool->expected);
	request_refuse(request, ERR_CONFLICT, &problem);
	return false;
}

static bool
is_free(const struct request *request, const struct tenant *tenant)
{
	const struct process *process = request->process;

	if (process->guard.frozen)
		return refuse(request, ERR_ROLLED_BACK,
		    "see: leasehold site show; then: leasehold site "
		    "acknowledge-rollback --reason TEXT",
		    "the site's store itself was put back to an older copy; an "
		    "admin acknowledges that first");
	if (process->putting_back || tenant->restoring != NULL)
		return refuse(request, ERR_BUSY, "try again soon",
		    "a tenant is being put back already");
	if (tenant->deleting != NULL)
		return refuse(request, ERR_CONFLICT, NULL,
		    "the tenant is being deleted");
	return true;
}

static void
begin(const struct request *request, struct spool *spool, struct tenant *tenant,
    const char *reason)
{
	struct process *process = request->process;
	struct tenant_restore *restoring = spool->kept;

	if (restoring == NULL)
		restoring = spool->kept = malloc(sizeof(*restoring));
	if (restoring == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	*restoring = (struct tenant_restore){
		.process = process,
		.entry = tenant->entry,
		.tenant = tenant,
		.spool = spool,
		.who = request->who,
		.state = RESTORE_CHECKING,
		.beside = {
			.state = process->options->state,
			.site = process->site.site,
			.secret = process->secret,
			.keys = &process->site_keys,
			.tenant = spool->about,
			.fd = spool->fd,
			.bytes = spool->bytes,
		},
	};
	text_copy(restoring->reason, sizeof(restoring->reason), reason);
	spool->busy++;
	process->putting_back = true;
	tenant->restoring = restoring;
	tell(request, spool);
	hand_to(process->vault, restoring, run_make, finish_make);
}

void
tenant_restore_asked(const struct request *request)
{
	const struct restore_finish *asked = request_read(request);
	struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, SPOOL_RESTORE);

	if (spool == NULL)
		return;
	const struct tenant_restore *restoring = spool->kept;

	/* Asked again: what goes on goes on, and what was done is done. */
	if (restoring != NULL && restoring->state != RESTORE_FAILED) {
		tell(request, spool);
		return;
	}
	if (!is_whole(request, spool))
		return;
	struct tenant *tenant = tenant_for(request, spool->about);

	if (tenant != NULL && is_free(request, tenant))
		begin(request, spool, tenant, asked->reason);
}

void
tenant_restore_looked(const struct request *request)
{
	const struct backup_ref *asked = request_read(request);
	const struct spool *spool = asked == NULL
	    ? NULL
	    : spool_asked(request, asked->part, SPOOL_RESTORE);

	if (spool != NULL)
		tell(request, spool);
}

bool
tenant_restore_is_over(const struct spool *spool)
{
	const struct tenant_restore *restoring = spool->kept;

	return restoring != NULL && restoring->state == RESTORE_DONE;
}
