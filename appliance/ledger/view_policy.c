/* What is asked about policies. */
#include "appliance/ledger/view_query.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

static int
fill_summary(struct policy_summary *out, const struct state *state,
    const struct state_policy *policy, uint64_t newest)
{
	uint8_t key[8];
	struct record_span text;

	*out = (struct policy_summary){
		.version = policy->version,
		.at = policy->at,
		.by = policy->by,
		.rules = policy->rules,
		.groups = policy->groups,
		.members = policy->members,
		.in_force = policy->version == newest,
	};
	memcpy(out->commitment, policy->commitment, sizeof out->commitment);
	be64_write(key, policy->version);
	int err =
	    store_get(&text, &state->txn, STORE_POLICY_TEXTS, key, sizeof key);

	out->kept = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
fill_view(struct query *q, const struct state_policy *policy, uint64_t newest)
{
	const struct state *state = &q->view->state;
	struct policy_view *out = q->reply;
	int err = fill_summary(&out->summary, state, policy, newest);

	return err == 0 && out->summary.kept
	    ? policy_text_get(&out->policy, state, q->view->ledger->sealed,
		  policy->version, q->arena)
	    : err;
}

int
query_policy(struct query *q)
{
	struct state_policy newest;
	int err = state_policy_newest(&newest, &q->view->state);

	return err == 0 && newest.version > 0
	    ? fill_view(q, &newest, newest.version)
	    : err;
}

int
query_policy_version(struct query *q)
{
	const struct policy_version *request = q->request;
	const struct state *state = &q->view->state;
	struct state_policy newest, policy;
	int err = state_policy_newest(&newest, state);

	if (err == 0)
		err = state_policy(&policy, state, request->version);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no version %" PRIu64 " of the policy",
		    request->version);
	if (err == 0)
		err = fill_view(q, &policy, newest.version);
	if (err == 0 && !((struct policy_view *)q->reply)->summary.kept)
		return query_refuse(q->problem, ERR_GONE,
		    "what version %" PRIu64 " said is not kept any more",
		    request->version);
	return err;
}

int
query_policies(struct query *q)
{
	const struct policy_query *request = q->request;
	const struct state *state = &q->view->state;
	struct policy_page *out = q->reply;
	uint32_t limit = query_limit(request->limit), n = 0;
	struct policy_summary *items =
	    arena_alloc(q->arena, limit * sizeof *items);
	struct state_policy newest, policy;
	int err =
	    items == NULL ? ERR_NOMEM : state_policy_newest(&newest, state);

	if (err != 0)
		return err;
	uint64_t at = request->after != 0 && request->after <= newest.version
	    ? request->after - 1
	    : newest.version;

	for (; at > 0 && n < limit; at--) {
		err = state_policy(&policy, state, at);
		if (err == 0)
			err = fill_summary(&items[n++], state, &policy,
			    newest.version);
		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
	}
	out->items = (struct record_list){ items, n };
	out->next = at > 0 ? at + 1 : 0;
	return 0;
}

/* --- a dry run --------------------------------------------------------------- */

struct trial {
	struct policy *policy;
	struct policy_impact *out;
	struct policy_touched *items;
};

static void
add_touched(struct trial *trial, const struct policy_lease *lease,
    const struct policy_verdict *verdict)
{
	const struct policy_facts *facts = &lease->facts;

	if (trial->out->touched++ >= POLICY_TOUCHED_MAX)
		return;
	struct policy_touched *item = &trial->items[trial->out->items.count++];

	*item = (struct policy_touched){ .lease = lease->lease,
		.count = facts->count,
		.device = facts->device,
		.borrowed = lease->borrowed };
	text_copy(item->product, sizeof item->product, facts->product);
	text_copy(item->feature, sizeof item->feature, facts->feature);
	text_copy(item->user, sizeof item->user, facts->user);
	text_copy(item->host, sizeof item->host, facts->host);
	text_copy(item->code, sizeof item->code, err_code(verdict->err));
	text_copy(item->rule, sizeof item->rule, verdict->rule);
}

/* In the order of their grants: of those that are too many, the last ones. What
 * is reserved takes no seat from anybody. */
static int
try_lease(void *ctx, const struct policy_lease *lease)
{
	struct trial *trial = ctx;
	struct policy_verdict verdict;

	trial->out->leases++;
	policy_judge(&verdict, trial->policy, &lease->facts, UINT64_MAX, 0);
	if (verdict.err == 0)
		return policy_hold(trial->policy, lease->lease, &lease->facts);
	add_touched(trial, lease, &verdict);
	return 0;
}

int
ledger_policy_check(struct policy_impact *out, struct policy **policy,
    struct ledger_view *view, const struct policy_document *document,
    struct arena *arena, struct record_error *error)
{
	struct policy_document in_force = { .comment = "" };
	struct trial trial = { .out = out };
	struct state_policy newest;
	int err = state_policy_newest(&newest, &view->state);

	*out = (struct policy_impact){ .version = newest.version };
	if (err == 0 && document == NULL && newest.version > 0)
		err = policy_text_get(&in_force, &view->state,
		    view->ledger->sealed, newest.version, arena);
	if (document == NULL)
		document = &in_force;
	if (err == 0)
		err = policy_compile(&trial.policy, document, error);
	if (err != 0)
		return err;
	trial.items =
	    arena_alloc(arena, POLICY_TOUCHED_MAX * sizeof *trial.items);
	out->items.items = trial.items;
	out->rules = document->rules.count;
	out->groups = document->groups.count;
	out->members = policy_count_members(document);
	err = trial.items == NULL ? ERR_NOMEM
				  : policy_each_lease(view->ledger,
					&view->state, NULL, try_lease, &trial);
	if (err == 0)
		*policy = trial.policy;
	else
		policy_free(trial.policy);
	return err;
}
