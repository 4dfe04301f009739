#include "appliance/ledger/sync_asked.h"

#include "appliance/ledger/inside.h"
#include "appliance/ledger/sync_hours.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/identity.h"

#include <inttypes.h>
#include <string.h>

/* A report in the making; in the call's arena. */
struct making {
	struct sync_ask ask; /* the command's request */
	struct report_proof proof;
	struct metering *metering; /* that counted all until now, or NULL */
	void (*done)(struct call *call); /* NULL: it is answered */
	bool previews;
	union {
		struct sync_previewed previewed;
		struct sync_exported exported;
	} u;
};

static int
refuse(struct call *call, int err, const char *vendor)
{
	struct problem *problem = &call->write.command.problem;

	if (err == ERR_NOT_FOUND) {
		problem_set(problem, err, "leasehold sync status",
		    "no license of vendor %s was ever installed here", vendor);
		text_copy(problem->field, sizeof(problem->field), "vendor");
	} else if (err == ERR_NOT_FOUND_INTERNAL) {
		err = ERR_NOT_FOUND;
		problem_set(problem, err, NULL,
		    "nothing is new since the last report to %s", vendor);
	} else if (err == ERR_GONE)
		problem_set(problem, err, NULL,
		    "the journal that %s has not seen was given up", vendor);
	else if (err == ERR_ROLLED_BACK)
		problem_set(problem, err, "leasehold site show",
		    "%s has taken a part of the journal that is not here",
		    vendor);
	else if (err == ERR_TOO_LARGE)
		problem_set(problem, err, NULL,
		    "one batch of the journal is too large for a report");
	return err;
}

static int
fill_reply(struct making *making, struct call *call, struct ledger_view *view,
    const struct report *report, const struct report_mark *next, bool more,
    const struct buf *token, const struct buf *body)
{
	struct sync_exported *out = &making->u.exported;
	struct buf file = { .data = NULL };
	struct record_span *span = &out->file;
	const struct buf *from = &file;
	int err = 0;

	if (making->previews) {
		making->u.previewed.report = *report;
		span = &making->u.previewed.body;
		from = body;
	} else {
		*out = (struct sync_exported){
			.report = report->sequence,
			.first_batch = report->first_batch,
			.last_batch = report->last_batch,
			.seats = report->seats,
			.next = *next,
			.more = more,
		};
		err = sync_seal(&file, view, making->ask.vendor, token, body);
	}
	/* What one message between our processes holds. */
	if (err == 0 && from->len > ((size_t)3 << 20))
		err = ERR_TOO_LARGE;
	if (err == 0) {
		span->len = (uint32_t)from->len;
		span->data = arena_copy(&call->arena, from->data, from->len);
		err = span->data != NULL ? 0 : ERR_NOMEM;
	}
	buf_release(&file);
	return err;
}

static void
run_report(struct work *work)
{
	struct call *call = (struct call *)work;
	struct making *making = call->own;
	const struct sync_export *asked = call->request;
	const struct report_mark *after =
	    making->previews ? NULL : &asked->after;
	struct buf token = { .data = NULL }, body = { .data = NULL };
	struct report report;
	struct report_mark next;
	struct ledger_view *view;
	bool more = false;
	struct measure measure;
	struct sync_metered metered;
	int err = ledger_view_open(&view, call->tenant->ledger);

	sync_hours_of(&metered, making->metering);
	measure_look(&measure, call->process->identity,
	    call->process->options->appliance);
	if (err == 0) {
		err = sync_build(&token, &body, &report, &next, &more, view,
		    making->ask.vendor, after, &making->proof, &measure,
		    making->metering != NULL ? &metered.base : NULL);
		if (err == 0)
			err = fill_reply(making, call, view, &report, &next,
			    more, &token, &body);
		ledger_view_close(view);
	}
	buf_release(&token);
	buf_release(&body);
	call->write.command.err =
	    err != 0 ? refuse(call, err, making->ask.vendor) : 0;
}

static void
finish_report(struct call *call)
{
	struct making *making = call->own;

	if (making->done != NULL) {
		making->done(call);
		return;
	}
	if (call->write.command.err == 0)
		call->reply = &making->u;
	else
		call->process->counts.refused++;
	call_answer(call);
}

/* --- first, all is counted ---------------------------------------------------- */

/* On the auditor's thread. A projection that cannot be written holds up no
 * report: what is billed is shown by rows. */
static void
run_counted(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct making *making = call->own;
	bool more = false;
	int err = metering_catch_up(&more, call->tenant);

	if (err == 0)
		making->metering = call->tenant->metering.metering;
	command->err = err == 0 && more ? ERR_UNAVAILABLE : 0;
	if (command->err != 0)
		problem_set(&command->problem, command->err,
		    "ask again in a while",
		    "what was used is still being counted");
}

static void
finish_counted(struct call *call)
{
	call->finish = finish_report;
	if (call->write.command.err != 0)
		finish_report(call);
	else
		call_vault(call, run_report);
}

static void
count(struct call *call)
{
	call->finish = finish_counted;
	call_audit(call, run_counted);
}

/* --- who asks ------------------------------------------------------------------ */

static struct making *
making_begin(struct call *call, const char *vendor, bool previews)
{
	struct process *process = call->process;
	struct making *making = arena_alloc(&call->arena, sizeof(*making));

	if (making == NULL)
		return NULL;
	memset(making, 0, sizeof(*making));
	text_copy(making->ask.vendor, sizeof(making->ask.vendor), vendor);
	making->previews = previews;
	making->proof.clock = process_now(process);
	making->proof.witness =
	    process->identity != NULL ? WITNESS_TPM : WITNESS_FILE;
	pthread_mutex_lock(&process->clock.lock);
	making->proof.clock_doubted = process->clock.clock.held;
	pthread_mutex_unlock(&process->clock.lock);
	call->own = making;
	return making;
}

static struct making *
making_new(struct call *call, const char *vendor, bool previews)
{
	struct making *making = making_begin(call, vendor, previews);

	if (making == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
	}
	return making;
}

void
sync_preview_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct sync_ask *asked = call->request;

	if (making_new(call, asked->vendor, true) == NULL)
		return;
	count(call);
}

/* The row is committed: the report has it, and so has something to say. */
static void
finish_made(struct call *call)
{
	const struct making *making = call->own;

	if (call->write.command.err != 0) {
		if (making->done != NULL)
			making->done(call);
		else
			command_finish(call);
		return;
	}
	count(call);
}

static void
make(struct call *call, struct making *making, bool first)
{
	if (!first) {
		count(call);
		return;
	}
	call->write.command.op = LEDGER_SYNC_MADE;
	call->write.command.request = &making->ask;
	call->finish = finish_made;
	call_commit(call);
}

void
sync_export_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct sync_export *asked = call->request;
	struct making *making = making_new(call, asked->vendor, false);

	if (making == NULL)
		return;
	/* Of several files in a row only the first says that. */
	make(call, making, asked->after.sequence == 0);
}

bool
sync_make(struct tenant *tenant, const char *vendor, bool first,
    void (*done)(struct call *call))
{
	struct sync_export asked = { .vendor = "" };

	text_copy(asked.vendor, sizeof(asked.vendor), vendor);
	struct call *call =
	    call_new_own(tenant, OP_SYNC_EXPORT, &asked, sizeof(asked));
	struct making *making =
	    call != NULL ? making_begin(call, vendor, false) : NULL;

	if (making == NULL) {
		if (call != NULL)
			call_free(call);
		return false;
	}
	making->done = done;
	make(call, making, first);
	return true;
}

const struct sync_exported *
sync_made(const struct call *call)
{
	const struct making *making = call->own;

	return &making->u.exported;
}
