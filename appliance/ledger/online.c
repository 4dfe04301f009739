#include "appliance/ledger/online_private.h"

#include "appliance/ledger/alerts.h"
#include "appliance/ledger/deliver.h"
#include "appliance/ledger/ledger_sync.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/sync_asked.h"
#include "appliance/ledger/tenant_use.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Between two looks at what is there. */
#define LOOK_MS ((int64_t)30 * 1000)
/** A courier's own time beyond that of a report. */
#define SLACK_MS 15000
/** A closed tenant is opened for its reports not more often than that. */
#define WAKE_MS ((int64_t)60 * 1000)

static const struct deliver_policy retry_default = {
	.first_ms = 30000,
	.most_ms = 3600000,
};

/* With the courier. It may outlive its tenant, which may close. */
struct sending {
	struct process *process;
	char tenant[64];
	char vendor[64];
	uint64_t serial;
};

void
online_start(struct process *process)
{
	outward_be_patient(process->people->outward, COURIER_SYNC,
	    process->options->sync.timeout_ms + SLACK_MS);
}

void
online_close(struct tenant *tenant)
{
	struct online_vendor *v;

	while ((v = tenant->online.first) != NULL) {
		tenant->online.first = v->next;
		free(v);
	}
	tenant->online = (struct tenant_online){ .first = NULL };
}

void
online_release(struct process *process)
{
	struct sending *sending;
	size_t at = 0;

	while ((sending = table_next(&process->reporting, &at)) != NULL)
		free(sending);
	table_release(&process->reporting);
}

bool
online_waits(const struct tenant *tenant)
{
	if (tenant->online.looking)
		return true;
	for (const struct online_vendor *v = tenant->online.first; v != NULL;
	     v = v->next)
		if (v->phase != ONLINE_IDLE || v->asked)
			return true;
	return false;
}

struct online_vendor *
online_find(const struct tenant *tenant, const char *vendor)
{
	struct online_vendor *v = tenant->online.first;

	while (v != NULL && strcmp(v->vendor, vendor) != 0)
		v = v->next;
	return v;
}

/* --- how a try ends ------------------------------------------------------------- */

/* Between nine tenths and all of it: sites do not come all at once. */
static int64_t
spread(int64_t ms)
{
	int64_t tenth = ms / 10 < UINT32_MAX ? ms / 10 : UINT32_MAX;

	return tenth > 0 ? ms - (int64_t)randombytes_uniform((uint32_t)tenth)
			 : ms;
}

static void
set_alert(struct tenant *tenant)
{
	struct alert_fact fact = {
		.subject = { .kind = ALERT_SYNC, .about = ALERT_OF_TENANT },
		.limit = ONLINE_ALERT_AFTER,
		.logged = true,
	};

	for (const struct online_vendor *v = tenant->online.first; v != NULL;
	     v = v->next)
		if (v->failures > fact.value)
			fact.value = v->failures;
	alert_set(tenant, &fact, fact.value >= ONLINE_ALERT_AFTER);
}

static void
end_try(struct online_vendor *v, const char *why)
{
	v->phase = ONLINE_IDLE;
	snprintf(v->failed, sizeof(v->failed), "%s", why);
	/* Cut within a character, it would be none. */
	for (size_t n = strlen(v->failed);
	     n > 0 && !text_is_utf8(v->failed, strlen(v->failed));)
		v->failed[--n] = '\0';
}

/* The hub asks for that: nothing is wrong, and nobody is told. */
static void
put_off(struct tenant *tenant, struct online_vendor *v, const char *why,
    uint32_t after_s)
{
	const int64_t wait = (int64_t)after_s * 1000;

	end_try(v, why);
	v->next_at = tenant->process->options->sync.interval_ms == 0
	    ? 0
	    : clock_boottime_ms() + wait +
		randombytes_uniform((uint32_t)wait / 16 + 1);
	log_info("sync", "tenant %s: the hub of %s asks to wait %u s: %s",
	    tenant->name, v->vendor, after_s, v->failed);
}

static void
fail(struct tenant *tenant, struct online_vendor *v, const char *why)
{
	const struct online_policy *policy = &tenant->process->options->sync;
	const struct deliver_policy *retry =
	    policy->retry.first_ms > 0 ? &policy->retry : &retry_default;

	end_try(v, why);
	if (v->failures < UINT32_MAX)
		v->failures++;
	/* What a person began is the person's to begin again. */
	v->next_at = policy->interval_ms == 0 ? 0
					      : clock_boottime_ms() +
		deliver_backoff_ms(retry, v->failures, randombytes_random());
	log_warn("sync", "tenant %s: no report reaches the hub of %s: %s",
	    tenant->name, v->vendor, v->failed);
	set_alert(tenant);
}

static void
succeed(struct tenant *tenant, struct online_vendor *v)
{
	const int64_t interval = tenant->process->options->sync.interval_ms;

	if (v->failures > 0)
		log_info("sync", "tenant %s: the hub of %s takes reports again",
		    tenant->name, v->vendor);
	v->phase = ONLINE_IDLE;
	v->failures = 0;
	v->failed[0] = '\0';
	v->synced_at = process_now(tenant->process);
	v->next_at = interval > 0 ? clock_boottime_ms() + spread(interval) : 0;
	set_alert(tenant);
}

/* A call of ours that came to nothing. */
static void
fail_call(struct tenant *tenant, struct online_vendor *v,
    const struct command *command)
{
	fail(tenant, v,
	    command->problem.detail[0] != '\0' ? command->problem.detail
					       : err_str(command->err));
}

/* --- one report -------------------------------------------------------------------- */

static void make_next(struct tenant *tenant, struct online_vendor *v,
    bool first);

/* The vendor that a call of ours is about. */
static struct online_vendor *
vendor_of(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct online_vendor *v = tenant->online.first;

	while (v != NULL && v->serial != *(uint64_t *)call->own)
		v = v->next;
	return v;
}

static void
judge_receipt(struct tenant *tenant, struct online_vendor *v,
    const struct sync_receipt_view *receipt)
{
	char why[192];
	const bool forth = receipt->acknowledged > v->taken;

	if (receipt->back) {
		log_warn("sync",
		    "%s: the hub of %s was put back to an older copy of its "
		    "store: what was used since report %llu is reported again",
		    tenant->name, v->vendor,
		    (unsigned long long)receipt->acknowledged);
		v->taken = receipt->acknowledged;
		make_next(tenant, v, false);
	} else if (receipt->answer != REPORT_TAKEN &&
	    receipt->answer != REPORT_REPLAYED) {
		snprintf(why, sizeof(why),
		    "report %llu was refused (%s): %.120s",
		    (unsigned long long)receipt->report,
		    report_answer_names[receipt->answer], receipt->reason);
		fail(tenant, v, why);
	} else if (!forth) {
		fail(tenant, v, "the hub answers what it said before");
	} else {
		v->taken = receipt->acknowledged;
		/* An answer was lost: what came since is to follow. */
		if (v->more || receipt->answer == REPORT_REPLAYED)
			make_next(tenant, v, false);
		else
			succeed(tenant, v);
	}
}

static void
taken(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct online_vendor *v = vendor_of(call);
	const struct command *command = &call->write.command;
	const struct sync_imported *imported = &command->reply.imported;

	if (v == NULL) {
		call_free(call);
		return;
	}
	if (command->err != 0)
		fail_call(tenant, v, command);
	else if (imported->receipts.count == 0)
		fail(tenant, v, "there is no receipt in what the hub answers");
	else
		judge_receipt(tenant, v, imported->receipts.items);
	call_free(call);
	alerts_license_changed(tenant);
}

/* As an admin's import of a file. */
static void
take(struct tenant *tenant, struct online_vendor *v,
    const struct record_span *file)
{
	struct call *call = call_new_own(tenant, OP_SYNC_IMPORT, NULL, 0);
	struct sync_file *asked =
	    call != NULL ? arena_alloc(&call->arena, sizeof(*asked)) : NULL;

	if (asked != NULL) {
		asked->file.data =
		    arena_copy(&call->arena, file->data, file->len);
		asked->file.len = file->len;
		call->own =
		    arena_copy(&call->arena, &v->serial, sizeof(v->serial));
	}
	if (asked == NULL || asked->file.data == NULL || call->own == NULL) {
		if (call != NULL)
			call_free(call);
		fail(tenant, v, err_str(ERR_NOMEM));
		return;
	}
	call->write.command.request = call->request = asked;
	call->finish = taken;
	v->phase = ONLINE_TAKING;
	call_commit(call);
}

static void
came_back(void *ctx, int err, const uint8_t *payload, size_t len)
{
	struct sending *sending = ctx;
	struct process *process = sending->process;
	struct tenant *tenant = process_tenant(process, sending->tenant);
	struct online_vendor *v =
	    tenant != NULL ? online_find(tenant, sending->vendor) : NULL;
	struct courier_synced synced;
	struct arena arena = { .chunks = NULL };

	if (v != NULL &&
	    (v->serial != sending->serial || v->phase != ONLINE_SENDING))
		v = NULL;
	table_remove(&process->reporting, sending->serial);
	free(sending);
	if (v == NULL)
		return;
	if (err == 0)
		err = courier_synced_read(&synced, payload, len, &arena);
	if (err != 0)
		fail(tenant, v, "the courier is gone, or does not answer");
	else if (synced.outcome != COURIER_DELIVERED &&
	    synced.retry_after_s > 0)
		put_off(tenant, v, synced.error, synced.retry_after_s);
	else if (synced.outcome != COURIER_DELIVERED)
		fail(tenant, v, synced.error);
	else if (process->phase != PHASE_READY)
		v->phase = ONLINE_IDLE; /* the next start asks again */
	else
		take(tenant, v, &synced.file);
	arena_release(&arena);
}

static int
write_job(struct buf *payload, const struct tenant *tenant,
    const struct online_vendor *v, const struct record_span *file)
{
	const struct process *process = tenant->process;
	struct report_line line = { .at = process_now(tenant->process) };
	struct buf token = { .data = NULL };
	struct courier_sync job = { .anywhere = v->anywhere, .file = *file };

	if (!outward_certificate(process->people->outward, line.certificate))
		return ERR_UNAVAILABLE;
	text_copy(line.site, sizeof(line.site), process->site.site);
	text_copy(line.tenant, sizeof(line.tenant), tenant->name);
	text_copy(line.vendor, sizeof(line.vendor), v->vendor);
	text_copy(job.url, sizeof(job.url), v->hub);
	text_copy(job.vendor, sizeof(job.vendor), v->vendor);
	int err = report_line_sign(&token, &line, process->secret);

	job.line = (struct record_span){ token.data, (uint32_t)token.len };
	if (err == 0)
		record_write_msgpack(payload, &courier_sync_record, &job);
	if (err == 0 && payload->failed)
		err = ERR_NOMEM;
	buf_release(&token);
	return err;
}

static int
send_report(struct tenant *tenant, struct online_vendor *v,
    const struct record_span *file)
{
	struct process *process = tenant->process;
	struct sending *sending = calloc(1, sizeof(*sending));
	struct buf payload = { .data = NULL };

	if (sending == NULL)
		return ERR_NOMEM;
	*sending = (struct sending){ .process = process, .serial = v->serial };
	text_copy(sending->tenant, sizeof(sending->tenant), tenant->name);
	text_copy(sending->vendor, sizeof(sending->vendor), v->vendor);
	int err = table_put(&process->reporting, sending->serial, sending);

	if (err == 0)
		err = write_job(&payload, tenant, v, file);
	if (err == 0)
		err = outward_send(process->people->outward, COURIER_SYNC,
		    payload.data, payload.len, came_back, sending);
	if (err != 0) {
		table_remove(&process->reporting, sending->serial);
		free(sending);
	}
	buf_release(&payload);
	return err;
}

static void
made(struct call *call)
{
	struct tenant *tenant = call->tenant;
	const struct sync_export *asked = call->request;
	struct online_vendor *v = online_find(tenant, asked->vendor);
	const struct command *command = &call->write.command;

	if (v != NULL && v->phase == ONLINE_MAKING) {
		const struct sync_exported *exported = sync_made(call);
		int err = command->err;

		v->phase = ONLINE_SENDING;
		if (err != 0) {
			/* A receipt to all that there was. */
			if (err == ERR_NOT_FOUND && v->taken > 0)
				succeed(tenant, v);
			else
				fail_call(tenant, v, command);
		} else {
			v->more = exported->more;
			v->taken = exported->report - 1;
			err = send_report(tenant, v, &exported->file);
			if (err != 0)
				fail(tenant, v,
				    err == ERR_UNAVAILABLE
					? "the courier is not there yet"
					: err_str(err));
		}
	}
	call_free(call);
}

static void
make_next(struct tenant *tenant, struct online_vendor *v, bool first)
{
	v->serial = ++tenant->process->next_reporting;
	v->phase = ONLINE_MAKING;
	if (!sync_make(tenant, v->vendor, first, made))
		fail(tenant, v, err_str(ERR_NOMEM));
}

/* --- who is due -------------------------------------------------------------------- */

bool
online_may_go(const struct tenant *tenant)
{
	const struct process *process = tenant->process;

	return !process->options->hub && tenant->started &&
	    tenant->fault == 0 && !process->guard.frozen &&
	    process->phase == PHASE_READY &&
	    tenant->entry->phase == TENANT_OPEN;
}

static size_t
under_way(const struct process *process)
{
	size_t n = 0;

	for (size_t i = 0; i < process->n_tenants; i++)
		for (const struct online_vendor *v =
			 process->tenants[i]->online.first;
		     v != NULL; v = v->next)
			n += v->phase != ONLINE_IDLE;
	return n;
}

void
online_begin_due(struct tenant *tenant)
{
	int64_t now = clock_boottime_ms();

	for (struct online_vendor *v = tenant->online.first; v != NULL;
	     v = v->next) {
		bool due = v->asked || (v->next_at != 0 && v->next_at <= now);

		if (!due || v->phase != ONLINE_IDLE || v->hub[0] == '\0')
			continue;
		if (under_way(tenant->process) >= ONLINE_MAX)
			return; /* with a later tick */
		v->asked = false;
		v->next_at = 0;
		v->tried_at = process_now(tenant->process);
		make_next(tenant, v, true);
	}
}

/* From the time of the last receipt, which the journal knows. */
static int64_t
first_time(const struct tenant *tenant, const struct sync_vendor_view *view)
{
	const int64_t interval = tenant->process->options->sync.interval_ms;
	int64_t left = 0, now = clock_boottime_ms();

	if (interval == 0)
		return 0;
	if (view->receipt_at != 0)
		left = view->receipt_at + spread(interval) -
		    process_now(tenant->process);
	return now + (left > 0 && left < interval ? left : 1);
}

static void
learn(struct tenant *tenant, const struct sync_vendor_view *view)
{
	const char *own = tenant->process->options->sync.hub;
	struct online_vendor *v = online_find(tenant, view->vendor);

	if (v == NULL) {
		v = calloc(1, sizeof(*v));
		if (v == NULL)
			return; /* with the next look */
		text_copy(v->vendor, sizeof(v->vendor), view->vendor);
		v->next_at = first_time(tenant, view);
		v->next = tenant->online.first;
		tenant->online.first = v;
	}
	v->anywhere = view->hub[0] == '\0';
	if (!v->anywhere)
		text_copy(v->hub, sizeof(v->hub), view->hub);
	else
		text_copy(v->hub, sizeof(v->hub), own != NULL ? own : "");
}

/* The vendors of a tenant, on the reader's thread. */
void
online_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	const struct empty nothing = { 0 };
	struct sync_status *status = arena_alloc(&call->arena, sizeof(*status));
	struct ledger_view *view;

	command->err = status == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	memset(status, 0, sizeof(*status));
	call->own = status;
	command->err = ledger_query(status, view, OP_SYNC_STATUS, &nothing,
	    process_now(call->process), &call->arena, &command->problem);
	ledger_view_close(view);
}

void
online_learn(struct call *call)
{
	const struct sync_status *status = call->own;
	const struct sync_vendor_view *items = status->items.items;

	for (uint32_t i = 0; i < status->items.count; i++)
		learn(call->tenant, &items[i]);
}

static void
looked(struct call *call)
{
	struct tenant *tenant = call->tenant;

	tenant->online.looking = false;
	if (call->write.command.err == 0)
		online_learn(call);
	call_free(call);
	if (online_may_go(tenant))
		online_begin_due(tenant);
}

void
online_wake(struct tenant *tenant)
{
	tenant->online.looked = 0;
}

void
online_tick(struct tenant *tenant)
{
	const int64_t interval = tenant->process->options->sync.interval_ms;
	int64_t now = clock_boottime_ms();
	struct call *call;

	if (!online_may_go(tenant))
		return;
	online_begin_due(tenant);
	if (interval == 0 || tenant->online.looking ||
	    (tenant->online.looked != 0 &&
		now - tenant->online.looked <
		    (interval < LOOK_MS ? interval : LOOK_MS)))
		return;
	if ((call = call_new_own(tenant, OP_NONE, NULL, 0)) == NULL)
		return;
	tenant->online.looked = now;
	tenant->entry->online_woken = now;
	tenant->online.looking = true;
	call->finish = looked;
	call_query(call, online_look);
}

void
online_watch(struct process *process)
{
	const int64_t interval = process->options->sync.interval_ms;
	int64_t now = clock_boottime_ms();
	struct tenant_entry *entry = process->known.first;
	struct tenant *tenant;

	if (process->options->hub || interval == 0 ||
	    process->phase != PHASE_READY)
		return;
	while (entry != NULL &&
	    (entry->phase != TENANT_CLOSED ||
		(entry->online_woken != 0 &&
		    now - entry->online_woken <
			(interval > WAKE_MS ? interval : WAKE_MS))))
		entry = entry->following;
	if (entry == NULL)
		return;
	entry->online_woken = now;
	(void)tenant_use_entry(&tenant, process, entry);
}
