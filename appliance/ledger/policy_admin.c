/* Handlers of policies. */
#include "appliance/ledger/waiting.h"

#include "shared/base/err.h"

/* Who waits is looked at anew: others may be let in, or not any more. */
static void
finish_put(struct call *call)
{
	if (call->write.command.err == 0)
		waiting_anything_changed(call->tenant);
	command_finish(call);
}

void
policy_put_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = finish_put;
	call_commit(call);
}
