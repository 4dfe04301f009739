/* From a request to a statement and back. See billing_asked.h. */
#include "appliance/ledger/billing_asked.h"

#include "appliance/hub/credit.h"
#include "appliance/hub/invoice.h"
#include "appliance/ledger/analytics.h"
#include "appliance/ledger/billing_overage.h"
#include "appliance/ledger/deliver.h"
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"

#include <string.h>

int
billing_open_view(struct ledger_view **view, struct tenant *tenant,
    struct problem *problem)
{
	bool more = false;
	int err = metering_catch_up(&more, tenant);

	if (err == 0 && more) {
		problem_set(problem, ERR_UNAVAILABLE, "ask again in a while",
		    "what was used is still being counted");
		return ERR_UNAVAILABLE;
	}
	return err == 0 ? ledger_view_open(view, tenant->ledger) : err;
}

/* What may be long, and whose bytes are not in the answer's memory. */
struct long_answer {
	char folder[SETUP_PATH_MAX];
	struct document document;
};

static int
run_overage(struct call *call, struct ledger_view *view,
    struct problem *problem)
{
	const struct billing_overage_query *query = call->request;
	struct billing_document *reply = call->reply;
	struct long_answer *answer = call->own;

	reply->format = query->format;
	return billing_overage(&answer->document, view,
	    call->tenant->metering.metering, query, answer->folder, problem);
}

static int
run(struct call *call, struct problem *problem)
{
	struct tenant *tenant = call->tenant;
	struct ledger_view *view;

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	if (call->reply == NULL)
		return ERR_NOMEM;
	int err = billing_open_view(&view, tenant, problem);

	if (err != 0)
		return err;
	if (call->op->id == OP_BILLING_OVERAGE)
		err = run_overage(call, view, problem);
	else if (call->op->id == OP_HUB_ANALYTICS)
		err = analytics_answer(call->reply, call->request, view,
		    tenant->metering.metering, &call->arena, problem);
	else
		err = billing_answer(call->reply, call->op->id, call->request,
		    view, tenant->metering.metering, &call->arena, problem);
	ledger_view_close(view);
	return err;
}

static void
run_billing(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;

	command->err = run(call, &command->problem);
}

static void
finish_billing(struct call *call)
{
	if (call->write.command.err != 0)
		call->process->counts.refused++;
	if (call->write.command.err == 0 && call->own != NULL)
		documents_answer(call,
		    &((struct long_answer *)call->own)->document);
	else
		call_answer(call);
}

static bool
make_room(struct call *call)
{
	struct long_answer *answer = arena_alloc(&call->arena, sizeof(*answer));
	int err = answer == NULL ? ERR_NOMEM
				 : setup_path(answer->folder,
				       call->process->options->state, "system");

	call->own = answer;
	if (err == 0 && !documents_fit(call->process)) {
		documents_refuse(call);
		err = ERR_UNAVAILABLE;
	}
	call->write.command.err = err;
	return err == 0;
}

void
billing_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_billing;
	if (call->op->id == OP_BILLING_OVERAGE && !make_room(call)) {
		finish_billing(call);
		return;
	}
	call_audit(call, run_billing);
}

/* --- credit notes ------------------------------------------------------------- */

static void
run_owed(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct ledger_view *view;

	command->err =
	    billing_open_view(&view, call->tenant, &command->problem);
	if (command->err != 0)
		return;
	command->err = billing_owed(call->own, view,
	    call->tenant->metering.metering, &call->arena, &command->problem);
	ledger_view_close(view);
}

static void
finish_owed(struct call *call)
{
	struct command *command = &call->write.command;

	call->finish = command_finish;
	if (command->err != 0) {
		command_finish(call);
		return;
	}
	command->op = LEDGER_HUB_CREDIT;
	command->request = call->own;
	call_commit(call);
}

void
credit_asked(const struct request *request)
{
	struct call *call = call_new(request);
	struct hub_credit *credit;

	if (call == NULL)
		return;
	call->own = credit = arena_alloc(&call->arena, sizeof(*credit));
	if (credit == NULL) {
		call->write.command.err = ERR_NOMEM;
		command_finish(call);
		return;
	}
	memset(credit, 0, sizeof(*credit));
	credit->asked = *(const struct billing_credit_add *)call->request;
	call->finish = finish_owed;
	call_audit(call, run_owed);
}

/* --- invoices ------------------------------------------------------------------ */

/* Before what was used is counted: what comes from then on is seen to be missing
 * when the invoice is decided on. */
static int
look_at_known(struct hub_invoice_add *invoice, const struct tenant *tenant)
{
	struct ledger_view *view;
	int err = ledger_view_open(&view, tenant->ledger);

	if (err != 0)
		return err;
	err = billing_invoice_known(invoice, view);
	ledger_view_close(view);
	return err;
}

static void
run_invoice(struct work *work)
{
	struct call *call = (struct call *)work;
	struct command *command = &call->write.command;
	struct ledger_view *view;

	command->err = look_at_known(call->own, call->tenant);
	if (command->err == 0)
		command->err =
		    billing_open_view(&view, call->tenant, &command->problem);
	if (command->err != 0)
		return;
	command->err = billing_invoice(call->own, view,
	    call->tenant->metering.metering, &call->arena, &command->problem);
	ledger_view_close(view);
}

static void
finish_sent(struct call *call)
{
	struct tenant *tenant = call->tenant;
	bool good = call->write.command.err == 0;

	command_finish(call);
	if (good)
		deliver_wake(tenant);
}

static void
finish_invoice(struct call *call)
{
	struct command *command = &call->write.command;

	call->finish = finish_sent;
	if (command->err != 0) {
		command_finish(call);
		return;
	}
	command->op = LEDGER_HUB_INVOICE;
	command->request = call->own;
	call_commit(call);
}

void
invoice_asked(const struct request *request)
{
	struct call *call = call_new(request);
	struct hub_invoice_add *invoice;

	if (call == NULL)
		return;
	call->own = invoice = arena_alloc(&call->arena, sizeof(*invoice));
	if (invoice == NULL) {
		call->write.command.err = ERR_NOMEM;
		command_finish(call);
		return;
	}
	memset(invoice, 0, sizeof(*invoice));
	invoice->asked = *(const struct billing_invoice_add *)call->request;
	call->finish = finish_invoice;
	call_audit(call, run_invoice);
}
