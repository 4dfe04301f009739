/* What a policy counts: who holds what. See policy.h. */
#include "appliance/ledger/policy_inside.h"

#include "shared/base/err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool
policy_counts(const struct policy *policy)
{
	return policy != NULL && policy->counts;
}

/* --- singles: what one user, host or device holds of maxima ---------------- */

static uint64_t
single_slot(const uint8_t key[POLICY_KEY_BYTES])
{
	uint64_t slot;

	memcpy(&slot, key, sizeof slot);
	return slot;
}

struct policy_single *
policy_single_find(const struct policy *policy,
    const uint8_t key[POLICY_KEY_BYTES])
{
	struct policy_single *single =
	    table_get(&policy->singles, single_slot(key));

	while (
	    single != NULL && memcmp(single->key, key, POLICY_KEY_BYTES) != 0)
		single = single->next;
	return single;
}

/* Of those of which `n` maxima count something; all of whom nobody said who
 * they are, are one. */
static struct policy_single *
single_open(struct policy *policy, const uint8_t key[POLICY_KEY_BYTES],
    uint32_t n)
{
	uint64_t slot = single_slot(key);
	struct policy_single *single = policy_single_find(policy, key);

	if (single == NULL) {
		single = calloc(1, sizeof *single + n * sizeof *single->held);
		if (single == NULL)
			return NULL;
		memcpy(single->key, key, POLICY_KEY_BYTES);
		single->next = table_get(&policy->singles, slot);
		if (table_put(&policy->singles, slot, single) != 0) {
			free(single);
			return NULL;
		}
	}
	single->holders++;
	return single;
}

/* One that holds nothing any more costs no memory. */
static void
single_close(struct policy *policy, struct policy_single *single)
{
	uint64_t slot = single_slot(single->key);
	struct policy_single *first;

	if (--single->holders > 0)
		return;
	first = table_get(&policy->singles, slot);
	if (first != single) {
		while (first->next != single)
			first = first->next;
		first->next = single->next;
	} else if (single->next == NULL) {
		table_remove(&policy->singles, slot);
	} else {
		/* Replacing does not fail. */
		(void)table_put(&policy->singles, slot, single->next);
	}
	free(single);
}

/* --- counting ------------------------------------------------------------- */

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

/* Rules about who asks and the product that hold seats against a number, and
 * those that bound a lease. */
#define COUNTED(policy)                              \
	(((policy)->of_kind[POLICY_MAX][w] |         \
	     (policy)->of_kind[POLICY_RESERVE][w]) & \
	    (policy)->about[w] & (policy)->asker.named[w])
#define BOUNDING(policy)                          \
	(((policy)->of_kind[POLICY_LINGER][w] |   \
	     (policy)->of_kind[POLICY_IDLE][w]) & \
	    (policy)->about[w] & (policy)->asker.named[w])

static uint64_t *
count_of(struct policy *policy, const struct policy_holder *holder,
    uint32_t rule)
{
	const struct policy_compiled *r = &policy->rules[rule];

	return r->each == POLICY_ALL
	    ? &policy->held[rule]
	    : &holder->singles[r->each - 1]->held[r->single];
}

/* What was counted for it so far is taken back. */
static void
forget(struct policy *policy, struct policy_holder *holder)
{
	for (uint32_t i = 0; i < holder->n; i++) {
		uint64_t *count = count_of(policy, holder, holder->rules[i]);

		assert(*count >= holder->seats);
		*count -= holder->seats;
	}
	for (uint32_t each = 0; each < POLICY_EACH_KINDS; each++)
		if (holder->singles[each] != NULL)
			single_close(policy, holder->singles[each]);
	free(holder);
}

static int
count_rule(struct policy *policy, struct policy_holder *holder, uint32_t rule)
{
	uint32_t each = policy->rules[rule].each;

	if (each != POLICY_ALL && holder->singles[each - 1] == NULL) {
		holder->singles[each - 1] = single_open(policy,
		    policy->asker.keys[each - 1], policy->each[each - 1]);
		if (holder->singles[each - 1] == NULL)
			return ERR_NOMEM;
	}
	*count_of(policy, holder, rule) += holder->seats;
	holder->rules[holder->n++] = (uint16_t)rule;
	return 0;
}

/* How long it may linger and lie idle; into *out. */
static void
find_bounds(struct policy_holder *out, const struct policy *policy,
    const struct policy_facts *facts)
{
	uint32_t i;

	POLICY_EACH_RULE(i, policy, BOUNDING(policy))
	{
		const struct policy_compiled *rule = &policy->rules[i];

		if (!policy_fits(rule, facts))
			continue;
		if (rule->kind == POLICY_LINGER)
			widen(&out->linger_s, rule->linger_s);
		else
			narrow(&out->idle_s, rule->idle_s);
		if (rule->silent)
			narrow(&out->silent_s, rule->idle_s);
	}
}

int
policy_hold(struct policy *policy, uint64_t lease,
    const struct policy_facts *facts)
{
	struct policy_holder bounds = { .seats = facts->count };
	struct policy_holder *holder;
	uint32_t i, n = 0;
	int err = 0;

	if (!policy_counts(policy))
		return 0;
	policy_ask(policy, facts);
	find_bounds(&bounds, policy, facts);
	for (uint32_t w = 0; w < policy->words; w++)
		n += (uint32_t)__builtin_popcountll(COUNTED(policy));
	if (n == 0 && bounds.linger_s == 0 && bounds.idle_s == 0)
		return 0;
	holder = malloc(sizeof *holder + n * sizeof *holder->rules);
	if (holder == NULL)
		return ERR_NOMEM;
	*holder = bounds;
	POLICY_EACH_RULE(i, policy, COUNTED(policy))
	if (err == 0 && policy_fits(&policy->rules[i], facts))
		err = count_rule(policy, holder, i);
	policy_end(policy, lease);
	if (err == 0)
		err = table_put(&policy->holders, lease, holder);
	if (err != 0)
		forget(policy, holder);
	return err;
}

void
policy_end(struct policy *policy, uint64_t lease)
{
	struct policy_holder *holder;

	if (policy == NULL)
		return;
	holder = table_remove(&policy->holders, lease);
	if (holder != NULL)
		forget(policy, holder);
}

uint32_t
policy_linger_s(const struct policy *policy, uint64_t lease)
{
	const struct policy_holder *holder =
	    policy == NULL ? NULL : table_get(&policy->holders, lease);

	return holder == NULL ? 0 : holder->linger_s;
}

uint32_t
policy_idle_s(const struct policy *policy, uint64_t lease, bool reports)
{
	const struct policy_holder *holder =
	    policy == NULL || policy->kinds[POLICY_IDLE] == 0
	    ? NULL
	    : table_get(&policy->holders, lease);

	if (holder == NULL)
		return 0;
	return reports ? holder->idle_s : holder->silent_s;
}
