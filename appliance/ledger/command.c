/* Operations that go through decide and fold. */
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"

/* A refusal of a device that proved itself is a fact (DESIGN 5). */
static void
note_denial(const struct call *call)
{
	const struct command *command = &call->write.command;
	const struct borrow_take *take = command->request;
	const struct checkout *checkout =
	    command->op == OP_BORROW_TAKE ? &take->ask : command->request;

	if ((command->op != OP_LEASE_CHECKOUT &&
		command->op != OP_BORROW_TAKE) ||
	    !denials_want(command->err))
		return;

	struct denial *denial = denials_add(&call->tenant->denials,
	    command->who.id, command->license, checkout->product,
	    err_code(command->err), process_now(call->process));

	/* Over HTTP it is a key. */
	if (call->op != NULL && call->op->method != NULL)
		denials_say_from(denial, command->who.address, checkout->host,
		    checkout->user, checkout->application);
}

void
command_finish(struct call *call)
{
	if (call->write.command.err != 0) {
		call->process->counts.refused++;
		note_denial(call);
	}
	call_answer(call);
}

void
command_plain(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = command_finish;
	call_commit(call);
}

void
command_finish_ticked(struct call *call)
{
	call->finish = command_finish;
	if (call->write.command.err == 0)
		tick_before(call);
	else
		command_finish(call);
}

void
command_ticked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	call->finish = command_finish_ticked;
	call_commit(call);
}

/* --- what ends a lease --------------------------------------------------- */

/* While the command is on its way no span is signed for the lease, or a client
 * would believe in a seat that is given to another. Committed, the lease is
 * gone from here before its answer goes out. */
static void
finish_end(struct call *call)
{
	struct live_lease *lease =
	    liveness_get(&call->tenant->liveness, call->lease);

	if (lease != NULL && lease->ending > 0)
		lease->ending--;
	if (lease != NULL)
		lease->told = false;
	command_finish(call);
}

void
command_return(struct call *call, uint64_t number)
{
	struct live_lease *lease =
	    liveness_get(&call->tenant->liveness, number);

	call->finish = command_finish;
	/* A device cannot hold up the leases of others. */
	if (lease != NULL && lease->device == call->write.command.who.id) {
		lease->ending++;
		call->lease = number;
		call->finish = finish_end;
	}
	call_commit(call);
}

static uint64_t
lease_to_end(const struct call *call)
{
	if (call->write.command.op == OP_LEASE_RETURN)
		return ((const struct lease_return *)call->request)->lease;
	return ((const struct lease_ref *)call->request)->lease;
}

/* Taken by force: its holder is told first and journaled then, or two would
 * believe in one seat for a moment. Where it cannot be told, the seat stays
 * taken until it does not believe in it any more; meanwhile the clock makes no
 * steps, for that moment is journaled in site time. A command that comes to
 * nothing costs the holder its lease all the same: nobody has it until its
 * deadline. */
static void
tell_or_hold(struct call *call, struct live_lease *lease, int err)
{
	struct command *command = &call->write.command;
	struct tenant *tenant = call->tenant;

	lease->ending++;
	if (session_is_reachable(tenant, lease->device)) {
		session_tell_revoked(tenant, lease->device, lease->lease,
		    err_code(err));
		lease->told = true;
		return;
	}
	shared_clock_steady(&call->process->clock, lease->deadline);
	int64_t left = lease->deadline - clock_boottime_ms();
	int64_t until = process_now(call->process) + (left > 0 ? left : 0);

	if (until > command->held_until)
		command->held_until = until;
}

/* Those that are granted before its turn comes are not among the known. */
static void
mark_unseen(struct call *call)
{
	call->write.command.unseen_from = call->tenant->liveness.newest + 1;
}

static void
take_lease(struct tenant *tenant, uint32_t op, uint64_t number,
    const struct principal *who, int err)
{
	const struct lease_ref ref = { .lease = number };
	struct call *call = call_new_own(tenant, op, &ref, sizeof(ref));
	struct live_lease *lease = liveness_get(&tenant->liveness, number);

	if (call == NULL)
		return;
	call->write.command.who = *who;
	call->finish = command_finish;
	mark_unseen(call);
	if (lease != NULL) {
		tell_or_hold(call, lease, err);
		call->lease = number;
		call->finish = finish_end;
	}
	call_commit(call);
}

void
command_take_lease(struct tenant *tenant, uint64_t number,
    const struct principal *who, int err)
{
	take_lease(tenant, OP_LEASE_RELEASE, number, who, err);
}

bool
command_take_idle(struct tenant *tenant, struct live_lease *lease,
    int64_t boottime)
{
	const struct principal site = { .kind = ACTOR_SITE };
	uint32_t idle_s =
	    ledger_policy_idle_s(tenant->ledger, lease->lease, lease->reports);

	if (idle_s == 0 || boottime - lease->active_at < idle_s * INT64_C(1000))
		return false;
	take_lease(tenant, LEDGER_IDLE, lease->lease, &site, ERR_IDLE);
	return lease->ending > 0;
}

void
command_end_lease(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	uint64_t number = lease_to_end(call);
	struct live_lease *lease =
	    liveness_get(&call->tenant->liveness, number);

	if (request->session != NULL) {
		command_return(call, number);
		return;
	}
	call->finish = command_finish;
	mark_unseen(call);
	if (lease != NULL) {
		tell_or_hold(call, lease, ERR_GONE);
		call->lease = number;
		call->finish = finish_end;
	}
	call_commit(call);
}

static void
finish_revoke(struct call *call)
{
	struct live_lease *lease =
	    liveness_of_device(&call->tenant->liveness, call->device);

	/* Refused, or it had none: those that are there go on. */
	for (; lease != NULL; lease = lease->next) {
		if (lease->ending > 0)
			lease->ending--;
		lease->told = false;
	}
	command_finish(call);
}

void
command_revoke_device(struct call *call, uint64_t device)
{
	struct live_lease *lease =
	    liveness_of_device(&call->tenant->liveness, device);

	call->device = device;

	mark_unseen(call);
	for (; lease != NULL; lease = lease->next)
		tell_or_hold(call, lease, ERR_DEVICE_REVOKED);
	call->finish = finish_revoke;
	call_commit(call);
}

void
command_revoke(const struct request *request)
{
	struct call *call = call_new(request);

	if (call != NULL)
		command_revoke_device(call,
		    ((const struct device_revoke *)call->request)->device);
}
