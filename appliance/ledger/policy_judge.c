/* What a policy says to a question, and what it counts. See policy.h. */
#include "appliance/ledger/policy_inside.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Every rule about a product: of all products first. */
#define EACH_RULE(rule, runs)             \
	for (int run = 0; run < 2; run++) \
		for (rule = (runs)[run].rule; rule != (runs)[run].end; rule++)

bool
policy_counts(const struct policy *policy)
{
	return policy != NULL && policy->counts;
}

/* --- singles: what one user, host or device holds of a maximum ------------- */

/* All of whom nobody said who they are, are one. */
static void
single_key(uint8_t key[POLICY_KEY_BYTES], const struct policy *policy,
    const struct policy_compiled *rule, const struct policy_facts *facts)
{
	uint8_t name[POLICY_KEY_BYTES + sizeof rule->set];

	if (rule->each == POLICY_EACH_USER)
		policy_hash_user(name, policy, facts->user);
	else if (rule->each == POLICY_EACH_HOST)
		policy_hash_host(name, policy, facts->host, false);
	else
		policy_hash_device(name, policy, facts->device);
	memcpy(name + POLICY_KEY_BYTES, &rule->set, sizeof rule->set);
	policy_hash(key, policy, POLICY_NAME_USER, name, sizeof name);
}

static uint64_t
single_slot(const uint8_t key[POLICY_KEY_BYTES])
{
	uint64_t slot;

	memcpy(&slot, key, sizeof slot);
	return slot;
}

static struct policy_single *
single_find(const struct policy *policy, const uint8_t key[POLICY_KEY_BYTES])
{
	struct policy_single *single =
	    table_get(&policy->singles, single_slot(key));

	while (
	    single != NULL && memcmp(single->key, key, POLICY_KEY_BYTES) != 0)
		single = single->next;
	return single;
}

static struct policy_single *
single_open(struct policy *policy, const uint8_t key[POLICY_KEY_BYTES])
{
	uint64_t slot = single_slot(key);
	struct policy_single *single = single_find(policy, key);

	if (single != NULL)
		return single;
	single = calloc(1, sizeof *single);
	if (single == NULL)
		return NULL;
	memcpy(single->key, key, POLICY_KEY_BYTES);
	single->next = table_get(&policy->singles, slot);
	if (table_put(&policy->singles, slot, single) != 0) {
		free(single);
		return NULL;
	}
	return single;
}

/* One that holds nothing any more costs no memory. */
static void
single_close(struct policy *policy, struct policy_single *single)
{
	uint64_t slot = single_slot(single->key);
	struct policy_single *first = table_get(&policy->singles, slot);

	if (single->held > 0)
		return;
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
    const struct policy_run runs[2], const struct policy_facts *facts)
{
	const struct policy_compiled *rule, *include = NULL;
	bool included = false;

	if (policy->kinds[POLICY_INCLUDE] + policy->kinds[POLICY_EXCLUDE] == 0)
		return false;
	EACH_RULE(rule, runs)
	{
		if ((rule->kind != POLICY_INCLUDE &&
			rule->kind != POLICY_EXCLUDE) ||
		    !policy_fits(rule, facts))
			continue;
		bool named = policy_names(policy, rule);

		if (rule->kind == POLICY_EXCLUDE && named) {
			set_verdict(verdict, ERR_EXCLUDED, rule, 0);
			return true;
		}
		if (rule->kind == POLICY_INCLUDE) {
			included = included || named;
			include = include == NULL ? rule : include;
		}
	}
	if (include == NULL || included)
		return false;
	set_verdict(verdict, ERR_EXCLUDED, include, 0);
	return true;
}

static uint64_t
held_of(const struct policy *policy, const struct policy_compiled *rule,
    const struct policy_facts *facts)
{
	uint8_t key[POLICY_KEY_BYTES];

	if (rule->each == POLICY_ALL)
		return rule->held;
	single_key(key, policy, rule, facts);
	const struct policy_single *single = single_find(policy, key);

	return single == NULL ? 0 : single->held;
}

static bool
judge_max(struct policy_verdict *verdict, const struct policy *policy,
    const struct policy_run runs[2], const struct policy_facts *facts)
{
	const struct policy_compiled *rule;

	if (policy->kinds[POLICY_MAX] == 0)
		return false;
	EACH_RULE(rule, runs)
	{
		if (rule->kind != POLICY_MAX || !policy_fits(rule, facts) ||
		    !policy_names(policy, rule))
			continue;
		uint64_t held = held_of(policy, rule, facts);

		if (held + facts->count <= rule->seats)
			continue;
		set_verdict(verdict, ERR_POLICY_MAX, rule, held);
		return true;
	}
	return false;
}

/* Seats kept for others; `most`: the reservation that keeps most of them. */
static uint64_t
reserved_for_others(const struct policy_compiled **most,
    const struct policy *policy, const struct policy_run runs[2],
    const struct policy_facts *facts)
{
	const struct policy_compiled *rule;
	uint64_t all = 0, largest = 0;

	*most = NULL;
	if (policy->kinds[POLICY_RESERVE] == 0)
		return 0;
	EACH_RULE(rule, runs)
	{
		if (rule->kind != POLICY_RESERVE || rule->held >= rule->seats ||
		    !policy_fits(rule, facts) || policy_names(policy, rule))
			continue;
		uint64_t unfilled = rule->seats - rule->held;

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
	struct policy_run runs[2];

	if (policy == NULL || policy->kinds[POLICY_RESERVE] == 0)
		return 0;
	policy_find_sets(policy, facts);
	policy_runs(runs, policy, facts->product);
	return reserved_for_others(&most, policy, runs, facts);
}

uint64_t
policy_own(struct policy *policy, const struct policy_facts *facts)
{
	const struct policy_compiled *rule;
	struct policy_run runs[2];
	uint64_t own = 0;

	if (policy == NULL || policy->kinds[POLICY_RESERVE] == 0)
		return 0;
	policy_find_sets(policy, facts);
	policy_runs(runs, policy, facts->product);
	EACH_RULE(rule, runs)
	if (rule->kind == POLICY_RESERVE && rule->held < rule->seats &&
	    policy_fits(rule, facts) && policy_names(policy, rule))
		own += rule->seats - rule->held;
	return own;
}

void
policy_judge(struct policy_verdict *verdict, struct policy *policy,
    const struct policy_facts *facts, uint64_t free, uint64_t offered)
{
	const struct policy_compiled *most;
	struct policy_run runs[2];

	*verdict = (struct policy_verdict){ .err = 0 };
	if (policy == NULL || policy->n_rules == 0)
		return;
	policy_find_sets(policy, facts);
	policy_runs(runs, policy, facts->product);
	if (judge_lists(verdict, policy, runs, facts) ||
	    judge_max(verdict, policy, runs, facts))
		return;
	uint64_t others = reserved_for_others(&most, policy, runs, facts);

	if (others > 0 && facts->count + offered + others > free)
		set_verdict(verdict, ERR_RESERVED, most,
		    others < free ? others : free);
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

static bool
is_counted(const struct policy *policy, const struct policy_compiled *rule,
    const struct policy_facts *facts)
{
	return (rule->kind == POLICY_MAX || rule->kind == POLICY_RESERVE ||
		   rule->kind == POLICY_LINGER || rule->kind == POLICY_IDLE) &&
	    policy_fits(rule, facts) && policy_names(policy, rule);
}

/* What was counted for it so far is taken back. */
static void
forget(struct policy *policy, struct policy_holder *holder)
{
	for (uint32_t i = 0; i < holder->n; i++) {
		struct policy_holding *holding = &holder->holdings[i];

		if (holding->single == NULL) {
			assert(holding->rule->held >= holder->seats);
			holding->rule->held -= holder->seats;
			continue;
		}
		assert(holding->single->held >= holder->seats);
		holding->single->held -= holder->seats;
		single_close(policy, holding->single);
	}
	free(holder);
}

static int
count_rule(struct policy *policy, struct policy_holder *holder,
    struct policy_compiled *rule, const struct policy_facts *facts)
{
	struct policy_holding *holding = &holder->holdings[holder->n];
	uint8_t key[POLICY_KEY_BYTES];

	*holding = (struct policy_holding){ .rule = rule };
	if (rule->kind == POLICY_MAX && rule->each != POLICY_ALL) {
		single_key(key, policy, rule, facts);
		holding->single = single_open(policy, key);
		if (holding->single == NULL)
			return ERR_NOMEM;
		holding->single->held += holder->seats;
	} else {
		rule->held += holder->seats;
	}
	holder->n++;
	return 0;
}

int
policy_hold(struct policy *policy, uint64_t lease,
    const struct policy_facts *facts)
{
	struct policy_compiled *rule;
	struct policy_run runs[2];
	struct policy_holder *holder;
	struct policy_holder bounds = { .seats = facts->count };
	int err = 0;

	if (!policy_counts(policy))
		return 0;
	policy_find_sets(policy, facts);
	policy_runs(runs, policy, facts->product);
	EACH_RULE(rule, runs)
	{
		if (!is_counted(policy, rule, facts))
			continue;
		if (rule->kind == POLICY_LINGER) {
			widen(&bounds.linger_s, rule->linger_s);
		} else if (rule->kind == POLICY_IDLE) {
			narrow(&bounds.idle_s, rule->idle_s);
			if (rule->silent)
				narrow(&bounds.silent_s, rule->idle_s);
		} else {
			bounds.n++;
		}
	}
	if (bounds.n == 0 && bounds.linger_s == 0 && bounds.idle_s == 0)
		return 0;
	holder =
	    calloc(1, sizeof *holder + bounds.n * sizeof *holder->holdings);
	if (holder == NULL)
		return ERR_NOMEM;
	*holder = bounds;
	holder->n = 0;
	EACH_RULE(rule, runs)
	if (err == 0 &&
	    (rule->kind == POLICY_MAX || rule->kind == POLICY_RESERVE) &&
	    is_counted(policy, rule, facts))
		err = count_rule(policy, holder, rule, facts);
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

/* --- borrowing and waiting ------------------------------------------------- */

void
policy_of_borrow(struct policy_borrow *out, struct policy *policy,
    const struct policy_facts *facts)
{
	const struct policy_compiled *rule;
	struct policy_run runs[2];

	*out = (struct policy_borrow){ .none = false };
	if (policy == NULL || policy->kinds[POLICY_BORROW] == 0)
		return;
	policy_find_sets(policy, facts);
	policy_runs(runs, policy, facts->product);
	EACH_RULE(rule, runs)
	{
		if (rule->kind != POLICY_BORROW || !policy_fits(rule, facts) ||
		    !policy_names(policy, rule))
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
	const struct policy_compiled *rule;
	struct policy_run runs[2];

	*out = (struct policy_queue){ .none = false };
	if (policy == NULL || policy->kinds[POLICY_QUEUE] == 0)
		return;
	policy_find_sets(policy, facts);
	policy_runs(runs, policy, facts->product);
	EACH_RULE(rule, runs)
	{
		if (rule->kind != POLICY_QUEUE || !policy_fits(rule, facts) ||
		    !policy_names(policy, rule))
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
