/*
 * Handlers of policies. A trial reads all leases, on the helper's thread; who
 * waits is looked at in the loop. What is revoked is looked for in the same way
 * once its grace is over, page by page until nothing is left of it; another
 * version, or a restart, ends that.
 */
#include "appliance/ledger/waiting.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Between two pages: what the first ended is committed by then. */
#define ROUND_MS 2000
#define ROUNDS_MAX 1000

/* Who waits is looked at anew: others may be let in, or not any more. Agents
 * hear of it once; who is not connected asks anew anyway when he is. */
static void
finish_put(struct call *call)
{
	const struct command *command = &call->write.command;

	if (command->err == 0) {
		const struct policy_changed notice = {
			.version = command->reply.policy.version,
		};

		session_notify_all(call->tenant, OP_POLICY_CHANGED, &notice);
		waiting_anything_changed(call->tenant);
	}
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

/* --- a trial ------------------------------------------------------------------ */

struct trial {
	const struct policy_document *document; /* NULL: the one in force */
	struct policy *policy;
	struct policy_impact impact;
};

static int
run_trial(struct trial *trial, struct call *call)
{
	struct problem *problem = &call->write.command.problem;
	struct record_error error = { .reason = "" };
	struct ledger_view *view;
	int err = ledger_view_open(&view, call->tenant->ledger);

	if (err != 0)
		return err;
	err = ledger_policy_check(&trial->impact, &trial->policy, view,
	    trial->document, &call->arena, &error);
	ledger_view_close(view);
	if (err != ERR_BAD_REQUEST)
		return err;
	problem_set(problem, err, NULL, "%s", error.reason);
	snprintf(problem->field, sizeof(problem->field), "policy%s%.80s",
	    error.field[0] != '\0' ? "." : "", error.field);
	return err;
}

static void
run_check(struct work *work)
{
	struct call *call = (struct call *)work;

	call->write.command.err = run_trial(call->own, call);
}

static void
add_waiting(struct policy_impact *impact, const struct waiter *waiter,
    const struct policy_verdict *verdict)
{
	struct policy_waiting *items = impact->waiters.items;

	if (impact->waiting_touched++ >= POLICY_TOUCHED_MAX)
		return;
	struct policy_waiting *item = &items[impact->waiters.count++];

	*item = (struct policy_waiting){ .waiter = waiter->number };
	text_copy(item->product, sizeof(item->product), waiter->pool->product);
	text_copy(item->feature, sizeof(item->feature), waiter->pool->feature);
	text_copy(item->user, sizeof(item->user), waiter->user);
	text_copy(item->code, sizeof(item->code), err_code(verdict->err));
	text_copy(item->rule, sizeof(item->rule), verdict->rule);
}

static int
try_waiting(struct trial *trial, struct call *call)
{
	const struct queue *queue = &call->tenant->queue;
	struct policy_impact *impact = &trial->impact;
	struct waiter *waiter = queue_after(queue, 0);

	impact->waiting = queue_count(queue);
	impact->waiters.items = arena_alloc(&call->arena,
	    POLICY_TOUCHED_MAX * sizeof(struct policy_waiting));
	if (impact->waiters.items == NULL)
		return ERR_NOMEM;
	for (; waiter != NULL; waiter = queue_after(queue, waiter->number)) {
		struct policy_verdict verdict;
		struct policy_facts facts;

		waiting_facts(&facts, waiter);
		policy_judge(&verdict, trial->policy, &facts, UINT64_MAX, 0);
		if (verdict.err != 0)
			add_waiting(impact, waiter, &verdict);
	}
	return 0;
}

static void
finish_check(struct call *call)
{
	struct command *command = &call->write.command;
	struct trial *trial = call->own;

	if (command->err == 0)
		command->err = try_waiting(trial, call);
	policy_free(trial->policy);
	if (command->err == 0)
		call->reply = &trial->impact;
	else
		call->process->counts.refused++;
	call_answer(call);
}

void
policy_check_asked(const struct request *request)
{
	struct call *call = call_new(request);

	if (call == NULL)
		return;
	const struct policy_check *asked = call->request;
	struct trial *trial = arena_alloc(&call->arena, sizeof(*trial));

	if (trial == NULL) {
		call->write.command.err = ERR_NOMEM;
		call_answer(call);
		return;
	}
	*trial = (struct trial){
		.document = asked->in_force ? NULL : &asked->policy,
	};
	call->own = trial;
	call->finish = finish_check;
	call_help(call, run_check);
}

/* --- to revoke ----------------------------------------------------------------- */

void
policy_revoke_asked(const struct request *request)
{
	struct tenant *tenant = request->tenant;
	struct tenant_revoking *revoking = &tenant->revoking;
	const struct policy_revoke *asked = request_read(request);
	struct policy_revoking reply;
	struct problem problem;
	uint64_t version;

	if (asked == NULL)
		return;
	int err = ledger_policy_version(&version, tenant->ledger);

	if (err != 0) {
		request_refuse(request, err, NULL);
		return;
	}
	if (version != asked->version) {
		problem_set(&problem, ERR_CONFLICT,
		    "look at it first: leasehold policy check --in-force",
		    "version %" PRIu64 " of the policy is in force, not "
		    "%" PRIu64,
		    version, asked->version);
		text_copy(problem.field, sizeof(problem.field), "version");
		request_refuse(request, ERR_CONFLICT, &problem);
		return;
	}
	int64_t now = clock_boottime_ms();
	int64_t at = now + asked->grace_s * INT64_C(1000);

	/* Who asks again, for want of an answer, puts nothing off. */
	if (revoking->version == asked->version && revoking->at < at)
		at = revoking->at;
	*revoking = (struct tenant_revoking){
		.version = asked->version,
		.at = at,
		.who = request->who,
		.looking = revoking->looking,
	};
	reply = (struct policy_revoking){
		.version = asked->version,
		.at = process_now(tenant->process) + at - now,
	};
	log_info("ledger",
	    "tenant %s: leases that version %" PRIu64 " of the policy would "
	    "refuse end in %u s",
	    tenant->name, asked->version, asked->grace_s);
	request_reply(request, &reply);
}

/* Each is told why. False: there was none to take. */
static bool
take_touched(struct tenant *tenant, const struct policy_impact *impact)
{
	const struct policy_touched *items = impact->items.items;
	bool some = false;

	for (uint32_t i = 0; i < impact->items.count; i++) {
		if (items[i].borrowed)
			continue;
		command_take_lease(tenant, items[i].lease,
		    &tenant->revoking.who, err_from_code(items[i].code));
		some = true;
	}
	return some;
}

static void
finish_look(struct call *call)
{
	struct tenant *tenant = call->tenant;
	struct tenant_revoking *revoking = &tenant->revoking;
	struct trial *trial = call->own;
	int err = call->write.command.err;

	revoking->looking = false;
	if (err != 0)
		log_error("ledger",
		    "tenant %s: cannot look for leases to revoke: %s",
		    tenant->name, err_str(err));
	/* Another version came meanwhile: nobody was told of that one. */
	if (err == 0 && revoking->version != 0 &&
	    (trial->impact.version != revoking->version ||
		!take_touched(tenant, &trial->impact) ||
		++revoking->rounds >= ROUNDS_MAX))
		revoking->version = 0;
	revoking->at = clock_boottime_ms() + ROUND_MS;
	policy_free(trial->policy);
	call_answer(call);
}

void
policy_tick(struct tenant *tenant)
{
	struct tenant_revoking *revoking = &tenant->revoking;
	struct call *call;
	struct trial *trial;

	if (revoking->version == 0 || revoking->looking ||
	    clock_boottime_ms() < revoking->at ||
	    (call = call_new_own(tenant, OP_NONE, NULL, 0)) == NULL)
		return;
	trial = arena_alloc(&call->arena, sizeof(*trial));
	if (trial == NULL) {
		call_free(call);
		return;
	}
	*trial = (struct trial){ .document = NULL };
	revoking->looking = true;
	call->own = trial;
	call->finish = finish_look;
	call_help(call, run_check);
}
