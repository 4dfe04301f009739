/*
 * A hub's account around its ledger: the issuing key's random bytes are wiped
 * with the call that brought them, and contracts that go on by themselves, or
 * are over, are looked for, by the clock alone.
 */
#include "appliance/hub/expire.h"
#include "appliance/hub/register.h"
#include "appliance/hub/renew.h"
#include "appliance/ledger/inside.h"
#include "appliance/ledger/people.h"
#include "appliance/ledger/tenant_use.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* Between two looks at one account; a contract is looked at for a month. */
#define LOOK_MS ((int64_t)60 * 1000)
/** An account that nobody asks is opened for it so often. */
#define WAKE_MS ((int64_t)6 * 3600 * 1000)
#define DUE_ONCE 32

void
hub_key_make_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->wipe = call->write.command.entropy;
	call->wipe_len = sizeof(call->write.command.entropy);
	call->finish = command_finish;
	call_commit(call);
}

/* The front is believed about the certificate, as about an address. */
void
hub_report_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	struct hub_report_sent *sent = call->request;

	memcpy(sent->certificate, request->caller->shown,
	    sizeof(sent->certificate));
	if (sodium_is_zero(sent->certificate, sizeof(sent->certificate)))
		memcpy(sent->certificate, request->caller->certificate,
		    sizeof(sent->certificate));
	call->finish = command_finish_ticked;
	call_commit(call);
}

/* --- registrations --------------------------------------------------------------- */

static void
run_pending(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct ledger_view *view;

	command->err = ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	command->err = hub_pending(call->own, view, call->request,
	    process_now(call->process), &call->arena, &command->problem);
	ledger_view_close(view);
}

static void
refuse_record(struct call *call, int err, const char *words)
{
	const struct hub_pending *pending = call->own;
	struct command *command = &call->write.command;

	command->err = err;
	problem_set(&command->problem, err, "try again when it is there",
	    "the TXT record %s: %s", pending->name, words);
	command_finish(call);
}

/* The courier is believed about the DNS, as it would be about a mail: a taken
 * one can say that a domain is somebody's, and no more. */
static void
got_record(void *ctx, int err, const uint8_t *payload, size_t len)
{
	struct call *call = ctx;
	struct courier_posted posted;

	if (err == 0)
		err = courier_posted_read(&posted, payload, len);
	if (err != 0) {
		refuse_record(call, ERR_UNAVAILABLE, "nobody could look");
	} else if (posted.outcome == COURIER_DELIVERED) {
		call->finish = command_finish;
		call_commit(call);
	} else {
		refuse_record(call,
		    posted.status == 404 ? ERR_NOT_FOUND : ERR_UNAVAILABLE,
		    posted.error);
	}
}

static void
look(struct call *call)
{
	const struct hub_pending *pending = call->own;
	struct courier_txt job;
	struct buf payload = { 0 };

	text_copy(job.name, sizeof(job.name), pending->name);
	text_copy(job.text, sizeof(job.text), pending->text);
	record_write_msgpack(&payload, &courier_txt_record, &job);
	int err = payload.failed
	    ? ERR_NOMEM
	    : outward_send(call->process->people->outward, COURIER_TXT,
		  payload.data, payload.len, got_record, call);

	buf_release(&payload);
	if (err != 0)
		refuse_record(call, err, "nobody can look now");
}

static void
finish_pending(struct call *call)
{
	const struct hub_pending *pending = call->own;

	if (call->write.command.err != 0) {
		command_finish(call);
	} else if (pending->verified) {
		call->finish = command_finish;
		call_commit(call);
	} else {
		look(call);
	}
}

void
hub_verify_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->own = arena_alloc(&call->arena, sizeof(struct hub_pending));
	if (call->own == NULL) {
		call->write.command.err = ERR_NOMEM;
		command_finish(call);
		return;
	}
	memset(call->own, 0, sizeof(struct hub_pending));
	call->finish = finish_pending;
	call_query(call, run_pending);
}

/* --- renewals --------------------------------------------------------------------- */

struct due {
	uint64_t orders[DUE_ONCE]; /* that renew */
	uint32_t n;
	uint64_t over[DUE_ONCE]; /* whose contract is over */
	uint32_t n_over;
};

static void
run_look(struct work *work)
{
	struct call *call = (struct call *)work;
	struct due *due = call->own;
	struct ledger_view *view;
	int err = ledger_view_open(&view, call->tenant->ledger);

	if (err == 0) {
		err = hub_due(due->orders, &due->n, DUE_ONCE, view,
		    process_now(call->process));
		if (err == 0)
			err = hub_over(due->over, &due->n_over, DUE_ONCE, view,
			    process_now(call->process));
		ledger_view_close(view);
	}
	call->write.command.err = err;
}

/* Refused when the issuing key is over: the admin finds the words in the log,
 * and the license among those that expire. */
static void
finish_renewal(struct call *call)
{
	const struct command *command = &call->write.command;
	const struct hub_auto_renew *renewed = call->request;

	if (command->err != 0)
		log_warn("hub",
		    "account %s: order %" PRIu64 " does not renew: %s",
		    call->tenant->name, renewed->order,
		    command->problem.detail[0] != '\0' ? command->problem.detail
						       : err_str(command->err));
	call_free(call);
}

static void
renew(struct tenant *tenant, uint64_t order)
{
	const struct hub_auto_renew asked = { .order = order };
	struct call *call =
	    call_new_own(tenant, LEDGER_HUB_RENEW, &asked, sizeof(asked));

	if (call == NULL)
		return;
	call->finish = finish_renewal;
	call_commit(call);
}

static void
finish_expiry(struct call *call)
{
	const struct hub_expire *expired = call->request;

	if (call->write.command.err != 0)
		log_warn("hub",
		    "account %s: that order %" PRIu64
		    " is over cannot be noted: %s",
		    call->tenant->name, expired->order,
		    err_str(call->write.command.err));
	call_free(call);
}

static void
expire(struct tenant *tenant, uint64_t order)
{
	const struct hub_expire asked = { .order = order };
	struct call *call =
	    call_new_own(tenant, LEDGER_HUB_EXPIRE, &asked, sizeof(asked));

	if (call == NULL)
		return;
	call->finish = finish_expiry;
	call_commit(call);
}

static void
finish_look(struct call *call)
{
	const struct due *due = call->own;

	if (call->write.command.err == 0)
		for (uint32_t i = 0; i < due->n; i++)
			renew(call->tenant, due->orders[i]);
	if (call->write.command.err == 0)
		for (uint32_t i = 0; i < due->n_over; i++)
			expire(call->tenant, due->over[i]);
	call_free(call);
}

void
hub_tick(struct tenant *tenant)
{
	int64_t now = clock_boottime_ms();
	struct call *call;
	struct due *due;

	if (!tenant->process->options->hub || tenant->fault != 0 ||
	    (tenant->hub_looked != 0 && now - tenant->hub_looked < LOOK_MS))
		return;
	tenant->hub_looked = now;
	tenant->entry->hub_woken = now;
	if ((call = call_new_own(tenant, OP_NONE, NULL, 0)) == NULL)
		return;
	due = arena_alloc(&call->arena, sizeof(*due));
	if (due == NULL) {
		call_free(call);
		return;
	}
	*due = (struct due){ .n = 0 };
	call->own = due;
	call->finish = finish_look;
	call_query(call, run_look);
}

/* One a second: who opens looks. */
void
hub_watch(struct process *process)
{
	struct tenant_entry *entry = process->known.first;
	int64_t now = clock_boottime_ms();
	struct tenant *tenant;

	if (!process->options->hub || process->phase != PHASE_READY)
		return;
	while (entry != NULL &&
	    (entry->phase != TENANT_CLOSED ||
		(entry->hub_woken != 0 && now - entry->hub_woken < WAKE_MS)))
		entry = entry->following;
	if (entry == NULL)
		return;
	entry->hub_woken = now;
	(void)tenant_use_entry(&tenant, process, entry);
}
