/* From a request to a statement and back. See billing_asked.h. */
#include "appliance/ledger/billing_asked.h"

#include "appliance/ledger/billing_answer.h"
#include "appliance/ledger/inside.h"

#include "shared/base/err.h"

static int
run(struct call *call, struct problem *problem)
{
	struct tenant *tenant = call->tenant;
	struct ledger_view *view;
	bool more = false;

	call->reply = arena_alloc(&call->arena, call->op->reply->size);
	if (call->reply == NULL)
		return ERR_NOMEM;
	int err = metering_catch_up(&more, tenant);

	/* A bill is whole or there is none. */
	if (err == 0 && more) {
		problem_set(problem, ERR_UNAVAILABLE, "ask again in a while",
		    "what was used is still being counted");
		return ERR_UNAVAILABLE;
	}
	if (err == 0)
		err = ledger_view_open(&view, tenant->ledger);
	if (err != 0)
		return err;
	err = billing_answer(call->reply, call->op->id, call->request, view,
	    tenant->metering.metering, &call->arena, problem);
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
	call_answer(call);
}

void
billing_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_billing;
	call_audit(call, run_billing);
}
