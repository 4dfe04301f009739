/* What is asked about policies. */
#include "appliance/ledger/view_query.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"

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
