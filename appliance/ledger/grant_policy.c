/* What the tenant's policy says to a grant; see grant.h. */
#include "appliance/ledger/grant.h"

#include "appliance/ledger/pools.h"
#include "shared/base/err.h"

#include <stdio.h>

void
grant_facts(struct policy_facts *out, const struct grant *grant,
    const struct command *command)
{
	const struct checkout *request = grant->request;

	*out = (struct policy_facts){ .user = request->user,
		.host = request->host,
		.device = command->who.id,
		.address = command->who.address,
		.product = request->product,
		.version = request->version,
		.feature = request->feature,
		.count = grant->count };
}

void
grant_judge(struct grant *grant, struct batch *batch,
    const struct command *command)
{
	struct ledger *ledger = batch->ledger;
	struct policy_facts facts;

	grant->verdict.err = 0;
	if (ledger->policy == NULL)
		return;
	grant_facts(&facts, grant, command);
	pthread_mutex_lock(&ledger->policy_lock);
	policy_judge(&grant->verdict, ledger->policy, &facts,
	    pool_free(&grant->pool, &grant->seats), command->reserved);
	pthread_mutex_unlock(&ledger->policy_lock);
}

int
grant_refuse_policy(struct command *command, const struct grant *grant)
{
	const struct policy_verdict *verdict = &grant->verdict;
	const char *product = grant->request->product;
	char hint[192];

	snprintf(hint, sizeof hint,
	    "the rule is %s; ask the site's admin: leasehold policy show",
	    verdict->rule);
	if (verdict->err == ERR_EXCLUDED)
		return decide_refuse(command, ERR_EXCLUDED, hint,
		    "this site's policy gives you no seat of %s", product);
	if (verdict->err == ERR_RESERVED)
		return decide_refuse(command, ERR_RESERVED, hint,
		    "asked for %u seats of %s, and %u of the %u that are free "
		    "are reserved for others",
		    grant->count, product, verdict->held,
		    pool_free(&grant->pool, &grant->seats));
	/* Nobody waits for what never comes. */
	return decide_refuse(command,
	    grant->count > verdict->seats ? ERR_MAX_REACHED : ERR_POLICY_MAX,
	    hint,
	    "asked for %u seats of %s; this site's policy allows %u at once, "
	    "and %u are held",
	    grant->count, product, verdict->seats, verdict->held);
}

int
grant_count(struct batch *batch, const struct command *command,
    const struct grant *grant, uint64_t lease)
{
	struct policy_facts facts;

	if (!policy_counts(batch->ledger->policy))
		return 0;
	grant_facts(&facts, grant, command);
	return policy_granted(batch, lease, &facts);
}

static void
narrow(uint32_t *bound, uint32_t by)
{
	if (by != 0 && (*bound == 0 || by < *bound))
		*bound = by;
}

int
grant_narrow_borrow(struct batch *batch, struct command *command,
    const struct grant *grant)
{
	struct ledger *ledger = batch->ledger;
	struct ledger_borrow_policy *bounds = &command->borrow;
	struct policy_borrow policy;
	struct policy_facts facts;
	char hint[128];

	if (ledger->policy == NULL)
		return 0;
	grant_facts(&facts, grant, command);
	pthread_mutex_lock(&ledger->policy_lock);
	policy_of_borrow(&policy, ledger->policy, &facts);
	pthread_mutex_unlock(&ledger->policy_lock);
	narrow(&bounds->max_s, policy.longest_s);
	narrow(&bounds->seats, policy.seats);
	if (policy.keep > bounds->keep)
		bounds->keep = policy.keep;
	if (!policy.none)
		return 0;
	snprintf(hint, sizeof hint,
	    "the rule is %s; ask the site's admin: leasehold policy show",
	    policy.rule);
	return decide_refuse(command, ERR_BORROW_LIMIT, hint,
	    "this site's policy lends you no seat of %s", facts.product);
}
