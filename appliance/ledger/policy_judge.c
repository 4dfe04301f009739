/* What a policy says to a question. See policy.h. */
#include "appliance/ledger/policy_inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Rules of a kind about the product, those that are about who asks, and those
 * that are not. */
#define KIND(policy, kind) ((policy)->of_kind[kind][w] & (policy)->about[w])
#define NAMED(policy, kind) (KIND(policy, kind) & (policy)->asker.named[w])
#define OTHERS(policy, kind) (KIND(policy, kind) & ~(policy)->asker.named[w])

/* --- judging -------------------------------------------------------------- */

static void
set_verdict(struct policy_verdict *verdict, int err,
    const struct policy_compiled *rule, uint64_t held)
{
	verdict->err = err;
	text_copy(verdict->rule, sizeof verdict->rule, rule->name);
	verdict->seats = rule->seats;
	verdict->held = held < UINT32_MAX ? (uint32_t)held : UINT32_MAX;
}

/* Who may at all. True when the verdict is made. */
static bool
judge_lists(struct policy_verdict *verdict, const struct policy *policy,
    const struct policy_facts *facts)
{
	const struct policy_compiled *rules = policy->rules;
	uint32_t i;

	POLICY_EACH_RULE(i, policy, NAMED(policy, POLICY_EXCLUDE))
	if (policy_fits(&rules[i], facts)) {
		set_verdict(verdict, ERR_EXCLUDED, &rules[i], 0);
		return true;
	}
	POLICY_EACH_RULE(i, policy, NAMED(policy, POLICY_INCLUDE))
	if (policy_fits(&rules[i], facts))
		return false;
	POLICY_EACH_RULE(i, policy, OTHERS(policy, POLICY_INCLUDE))
	if (policy_fits(&rules[i], facts)) {
		set_verdict(verdict, ERR_EXCLUDED, &rules[i], 0);
		return true;
	}
	return false;
}

static bool
judge_max(struct policy_verdict *verdict, const struct policy *policy,
    const struct policy_facts *facts)
{
	const struct policy_single *singles[POLICY_EACH_KINDS];
	uint32_t i;

	if (policy->kinds[POLICY_MAX] == 0)
		return false;
	for (uint32_t each = 0; each < POLICY_EACH_KINDS; each++)
		singles[each] = policy->each[each] == 0
		    ? NULL
		    : policy_single_find(policy, policy->asker.keys[each]);
	POLICY_EACH_RULE(i, policy, NAMED(policy, POLICY_MAX))
	{
		const struct policy_compiled *rule = &policy->rules[i];
		uint64_t held = policy->held[i];

		if (rule->each != POLICY_ALL) {
			const struct policy_single *one =
			    singles[rule->each - 1];

			held = one == NULL ? 0 : one->held[rule->single];
		}
		if (held + facts->count <= rule->seats ||
		    !policy_fits(rule, facts))
			continue;
		set_verdict(verdict, ERR_POLICY_MAX, rule, held);
		return true;
	}
	return false;
}

/* Seats kept for others; `most`: the reservation that keeps most of them. */
static uint64_t
reserved_for_others(const struct policy_compiled **most,
    const struct policy *policy, const struct policy_facts *facts)
{
	uint64_t all = 0, largest = 0;
	uint32_t i;

	*most = NULL;
	POLICY_EACH_RULE(i, policy, OTHERS(policy, POLICY_RESERVE))
	{
		const struct policy_compiled *rule = &policy->rules[i];

		if (policy->held[i] >= rule->seats || !policy_fits(rule, facts))
			continue;
		uint64_t unfilled = rule->seats - policy->held[i];

		all += unfilled;
		if (unfilled > largest) {
			largest = unfilled;
			*most = rule;
		}
	}
	return all;
}

uint64_t
policy_reserved(struct policy *policy, const struct policy_facts *facts)
{
	const struct policy_compiled *most;

	if (policy == NULL || policy->kinds[POLICY_RESERVE] == 0)
		return 0;
	policy_ask(policy, facts);
	return reserved_for_others(&most, policy, facts);
}

uint64_t
policy_own(struct policy *policy, const struct policy_facts *facts)
{
	uint64_t own = 0;
	uint32_t i;

	if (policy == NULL || policy->kinds[POLICY_RESERVE] == 0)
		return 0;
	policy_ask(policy, facts);
	POLICY_EACH_RULE(i, policy, NAMED(policy, POLICY_RESERVE))
	if (policy->held[i] < policy->rules[i].seats &&
	    policy_fits(&policy->rules[i], facts))
		own += policy->rules[i].seats - policy->held[i];
	return own;
}

void
policy_judge(struct policy_verdict *verdict, struct policy *policy,
    const struct policy_facts *facts, uint64_t free, uint64_t offered)
{
	const struct policy_compiled *most;

	*verdict = (struct policy_verdict){ .err = 0 };
	if (policy == NULL || policy->n_rules == 0)
		return;
	policy_ask(policy, facts);
	if (judge_lists(verdict, policy, facts) ||
	    judge_max(verdict, policy, facts))
		return;
	uint64_t others = reserved_for_others(&most, policy, facts);

	if (others > 0 && facts->count + offered + others > free)
		set_verdict(verdict, ERR_RESERVED, most,
		    others < free ? others : free);
}

/* --- borrowing and waiting ------------------------------------------------- */

static void
narrow(uint32_t *bound, uint32_t by)
{
	if (by != 0 && (*bound == 0 || by < *bound))
		*bound = by;
}

static void
widen(uint32_t *bound, uint32_t by)
{
	if (by > *bound)
		*bound = by;
}

void
policy_of_borrow(struct policy_borrow *out, struct policy *policy,
    const struct policy_facts *facts)
{
	uint32_t i;

	*out = (struct policy_borrow){ .none = false };
	if (policy == NULL || policy->kinds[POLICY_BORROW] == 0)
		return;
	policy_ask(policy, facts);
	POLICY_EACH_RULE(i, policy, NAMED(policy, POLICY_BORROW))
	{
		const struct policy_compiled *rule = &policy->rules[i];

		if (!policy_fits(rule, facts))
			continue;
		narrow(&out->longest_s, rule->longest_s);
		narrow(&out->seats, rule->seats);
		widen(&out->keep, rule->keep);
		if (rule->none && !out->none)
			text_copy(out->rule, sizeof out->rule, rule->name);
		out->none = out->none || rule->none;
	}
}

void
policy_of_queue(struct policy_queue *out, struct policy *policy,
    const struct policy_facts *facts)
{
	uint32_t i;

	*out = (struct policy_queue){ .none = false };
	if (policy == NULL || policy->kinds[POLICY_QUEUE] == 0)
		return;
	policy_ask(policy, facts);
	POLICY_EACH_RULE(i, policy, NAMED(policy, POLICY_QUEUE))
	{
		const struct policy_compiled *rule = &policy->rules[i];

		if (!policy_fits(rule, facts))
			continue;
		uint32_t before = out->length;

		narrow(&out->length, rule->length);
		narrow(&out->wait_s, rule->wait_s);
		widen(&out->priority, rule->priority);
		if ((rule->none && !out->none) ||
		    (!out->none && out->length != before))
			text_copy(out->rule, sizeof out->rule, rule->name);
		out->none = out->none || rule->none;
	}
}
