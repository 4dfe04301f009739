/* When old batches are given up. See pruning.h. */
#include "appliance/ledger/inside.h"
#include "appliance/ledger/store.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/rpc/rpc.h"

#include <inttypes.h>
#include <string.h>

/* A turn of the sweep; one comes each second. */
#define TURN_MS 100
#define LOOK_EVERY_MS (INT64_C(3600) * 1000)
#define AGAIN_MS 30000
#define DAY_MS INT64_C(86400000)

/* What a call that prunes has besides. */
struct pruning {
	struct ledger_prune prune;
	struct journal_pruned reply;
};

/* --- giving up ------------------------------------------------------------------ */

static void
fill_reply(struct journal_pruned *reply, const struct ledger_plan *plan)
{
	*reply = (struct journal_pruned){
		.begins = plan->row.before,
		.first_row = plan->row.first_row,
		.given_up_to = plan->row.time,
		.batches = plan->batches,
		.size_bytes = plan->bytes,
		.kept = plan->kept,
	};
	memcpy(reply->head, plan->row.head, sizeof(reply->head));
}

static int
make_base(struct ledger_prune *prune, struct ledger_view *view)
{
	int err = ledger_base_make(&prune->base, &prune->checkpoint, view);

	prune->based = err == 0;
	prune->row.checkpoint = prune->base.batch;
	return err;
}

static int
prepare(struct pruning *pruning, struct call *call)
{
	const struct journal_prune *request = call->request;
	struct ledger_plan plan;
	struct ledger_view *view;
	int64_t latest = process_now(call->process) - PRUNING_AGE_MS;
	int err = ledger_view_open(&view, call->tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_plan(&plan, view,
	    request->before < latest ? request->before : latest,
	    &call->write.command.problem);
	if (err == 0) {
		fill_reply(&pruning->reply, &plan);
		pruning->prune.row = plan.row;
	}
	if (err == 0 && plan.row.before != 0 && plan.needs_base &&
	    !request->dry_run)
		err = make_base(&pruning->prune, view);
	ledger_view_close(view);
	return err;
}

static void
run_prepare(struct work *work)
{
	struct call *call = (struct call *)work;
	struct pruning *pruning = arena_alloc(&call->arena, sizeof(*pruning));

	call->own = pruning;
	if (pruning != NULL)
		memset(pruning, 0, sizeof(*pruning));
	call->write.command.err =
	    pruning != NULL ? prepare(pruning, call) : ERR_NOMEM;
	call->reply = pruning != NULL ? &pruning->reply : NULL;
}

static void
finish_prune(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct pruning *pruning = call->own;
	const int err = call->write.command.err;

	tenant->pruning.busy = false;
	if (err == 0 && pruning->reply.done) {
		tenant->pruning.due = true;
		log_info("ledger",
		    "tenant %s: %" PRIu64 " batches before batch %" PRIu64
		    " are given up",
		    tenant->name, pruning->reply.batches,
		    pruning->reply.begins);
	} else if (err != 0 && call->op == NULL && err != ERR_CONFLICT) {
		log_warn("ledger",
		    "tenant %s: old batches could not be given up: %s; it is "
		    "tried again",
		    tenant->name, err_str(err));
	}
	if (err != 0 && call->op != NULL)
		call->process->counts.refused++;
	call_answer(call);
}

static void
prepared(struct call *call)
{
	struct pruning *pruning = call->own;
	const struct journal_prune *request = call->request;

	call->finish = finish_prune;
	if (call->write.command.err != 0 || request->dry_run ||
	    pruning->prune.row.before == 0) {
		finish_prune(call);
		return;
	}
	pruning->reply.done = true;
	call->write.command.op = LEDGER_PRUNE;
	call->write.command.request = &pruning->prune;
	call->write.command.said = &pruning->reply;
	call_commit(call);
}

/* What projections have not read yet they would never read: they come first. */
static void
run_follow(struct work *work)
{
	struct call *call = (struct call *)work;
	bool audit, metering = false;
	int err = audit_catch_up(&audit, call->tenant);

	if (err == 0)
		err = metering_catch_up(&metering, call->tenant);
	if (err == 0 && (audit || metering)) {
		err = ERR_UNAVAILABLE;
		problem_set(&call->write.command.problem, err,
		    "wait for it: leasehold audit state",
		    "the audit and the metering still read the journal; "
		    "nothing was given up");
	}
	call->write.command.err = err;
}

static void
followed(struct call *call)
{
	if (call->write.command.err != 0) {
		finish_prune(call);
		return;
	}
	call->finish = prepared;
	call_vault(call, run_prepare);
}

void
journal_prune_asked(const struct request *request)
{
	struct problem problem = { 0 };

	if (request->tenant->pruning.busy) {
		problem_set(&problem, ERR_BUSY, NULL,
		    "old batches are being removed at this moment");
		request_refuse(request, ERR_BUSY, &problem);
		return;
	}
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	request->tenant->pruning.busy = true;
	call->finish = followed;
	call_audit(call, run_follow);
}

static void
prune_by_itself(struct tenant *tenant, int64_t days)
{
	const struct journal_prune request = {
		.before = process_now(tenant->process) - days * DAY_MS,
	};
	struct call *call =
	    call_new_own(tenant, LEDGER_PRUNE, &request, sizeof(request));

	if (call == NULL)
		return;
	tenant->pruning.busy = true;
	call->finish = followed;
	call_audit(call, run_follow);
}

/* --- removing --------------------------------------------------------------------- */

static int
sweep(struct tenant_pruning *pruning, struct ledger *ledger)
{
	int64_t end = clock_boottime_ms() + TURN_MS;
	int err = 0;

	pruning->more = true;
	if (!pruning->begun) {
		ledger_sweep_end(&pruning->sweep);
		err = ledger_sweep_begin(&pruning->sweep, ledger);
	}
	while (err == 0 && pruning->more && clock_boottime_ms() < end)
		err =
		    ledger_sweep_step(&pruning->more, &pruning->sweep, ledger);
	pruning->begun = err == 0 && pruning->more;
	return err;
}

static void
run_sweep(struct work *work)
{
	struct call *call = (struct call *)work;

	call->write.command.err =
	    sweep(&call->tenant->pruning, call->tenant->ledger);
}

static void
swept(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct tenant_pruning *pruning = &tenant->pruning;

	pruning->busy = false;
	if (call->write.command.err != 0) {
		log_warn("ledger",
		    "tenant %s: what was given up is not removed: %s; it is "
		    "tried again",
		    tenant->name, err_str(call->write.command.err));
		pruning->again_at = clock_boottime_ms() + AGAIN_MS;
	} else if (!pruning->more) {
		pruning->due = false;
		log_info("ledger",
		    "tenant %s: %" PRIu64 " old batches are removed, %" PRIu64
		    " bytes",
		    tenant->name, pruning->sweep.removed, pruning->sweep.bytes);
		ledger_sweep_end(&pruning->sweep);
	}
	call_free(call);
}

static void
begin_sweep(struct tenant *tenant)
{
	struct call *call = call_new_own(tenant, LEDGER_PRUNE, NULL, 0);

	if (call == NULL)
		return;
	tenant->pruning.busy = true;
	call->finish = swept;
	call_vault(call, run_sweep);
}

int
pruning_open(struct tenant *tenant)
{
	tenant->pruning.looked_at = clock_boottime_ms() - LOOK_EVERY_MS;
	return ledger_sweep_is_due(&tenant->pruning.due, tenant->ledger);
}

void
pruning_tick(struct tenant *tenant)
{
	struct tenant_pruning *pruning = &tenant->pruning;
	int64_t days = tenant->process->options->journal_keep_days;
	int64_t now = clock_boottime_ms();

	if (pruning->busy || now < pruning->again_at)
		return;
	if (pruning->due) {
		begin_sweep(tenant);
		return;
	}
	if (days == 0 || now - pruning->looked_at < LOOK_EVERY_MS)
		return;
	pruning->looked_at = now;
	prune_by_itself(tenant, days);
}

void
pruning_end(struct tenant *tenant)
{
	ledger_sweep_end(&tenant->pruning.sweep);
}

/* --- showing ------------------------------------------------------------------------ */

static int
copy(struct record_span *span, struct arena *arena)
{
	const void *data = arena_copy(arena, span->data, span->len);

	if (span->len > 0 && data == NULL)
		return ERR_NOMEM;
	span->data = data;
	return 0;
}

static int
show(struct journal_view *out, struct ledger_view *view, struct arena *arena)
{
	struct ledger_beginning beginning;
	struct journal_anchor anchor;
	struct ledger_base base;
	struct journal_header newest;
	struct record_span token;
	uint8_t head[32];
	int err = ledger_newest(&newest, head, &token, view, arena);

	if (err == 0)
		err = ledger_beginning(&beginning, view);
	if (err == 0)
		err = ledger_anchor(&anchor, view);
	if (err == 0)
		err = ledger_base(&base, view);
	if (err != 0)
		return err;
	*out = (struct journal_view){
		.batches = newest.batch + 1,
		.rows = newest.first_row + newest.rows - 1,
	};
	if (beginning.batch == 0)
		return 0;
	out->begins = beginning.batch;
	out->first_row = beginning.row;
	out->given_up_to = beginning.time;
	memcpy(out->head, beginning.head, sizeof(out->head));
	out->checkpoint = base.batch;
	memcpy(out->state_hash, base.hash, sizeof(out->state_hash));
	out->header = anchor.header;
	out->frontier = anchor.frontier;
	err = copy(&out->header, arena);
	return err == 0 ? copy(&out->frontier, arena) : err;
}

static void
run_show(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct ledger_view *view;
	struct store_room room;

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	command->err = call->reply == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, call->tenant->ledger);
	if (command->err != 0)
		return;
	command->err = show(call->reply, view, &call->arena);
	ledger_view_close(view);
	ledger_room(&room, call->tenant->ledger);
	((struct journal_view *)call->reply)->used_bytes = room.used_bytes;
}

static void
shown(struct call *call)
{
	struct journal_view *reply = call->reply;

	if (call->write.command.err == 0) {
		reply->sweeping = call->tenant->pruning.due;
		reply->keep_days =
		    (uint32_t)call->process->options->journal_keep_days;
	}
	call_answer(call);
}

void
journal_show_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = shown;
	call_query(call, run_show);
}
