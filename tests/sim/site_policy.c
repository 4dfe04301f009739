/* Policies while leases move: what must not be granted, what must not be
 * refused, and who must not be left waiting. What the model does not know for
 * certain (a seat that may be free in a moment, one whose answer was lost) it
 * takes as what excuses the site. See site.h. */
#include "tests/sim/site.h"

#define LATE_MS 2500

static bool
has(uint32_t users, uint32_t user)
{
	return (users >> user & 1) != 0;
}

/* --- who holds what -------------------------------------------------------- */

struct holding {
	uint32_t all, by_user, by_group, by_reserve;
};

static void
count(struct holding *out, const struct site_policy *policy, uint32_t user,
    uint32_t by)
{
	out->all++;
	out->by_user += user == by;
	out->by_group += has(policy->group, user);
	out->by_reserve += has(policy->reserved_for, user);
}

/* Those that the ledger holds for certain. */
static struct holding
at_least(const struct site_sim *sim, uint32_t tenant,
    const struct site_policy *policy, uint32_t by)
{
	struct holding out = { 0 };

	for (uint32_t i = 0; i < sim->n_leases; i++) {
		const struct site_lease *lease = &sim->leases[i];

		if (lease->tenant == tenant && lease->held && !lease->unsure &&
		    lease != sim->spoken_of &&
		    lease->deadline > site_now() + LATE_MS)
			count(&out, policy, lease->user, by);
	}
	return out;
}

/* And those that it may hold, or whose seats it may keep. */
static struct holding
at_most(const struct site_sim *sim, uint32_t tenant,
    const struct site_policy *policy, uint32_t by)
{
	uint32_t unsure = sim->tenants[tenant].unsure;
	struct holding out = { unsure, unsure, unsure, unsure };

	for (uint32_t i = 0; i < sim->n_leases; i++) {
		const struct site_lease *lease = &sim->leases[i];

		if (lease->tenant == tenant &&
		    (lease->held || lease->taken_until + LATE_MS > site_now()))
			count(&out, policy, lease->user, by);
	}
	return out;
}

/* --- what it says ----------------------------------------------------------- */

static bool
is_excluded(const struct site_policy *policy, uint32_t user)
{
	return has(policy->excluded, user) ||
	    (policy->included != 0 && !has(policy->included, user));
}

static bool
is_over(const struct site_policy *policy, const struct holding *held,
    uint32_t user, uint32_t more)
{
	return (policy->each != 0 && held->by_user + more > policy->each) ||
	    (policy->of_group != 0 && has(policy->group, user) &&
		held->by_group + more > policy->of_group);
}

/* Are so many more for others than him? `members`: seats that those hold. */
static bool
is_reserved(const struct site_policy *policy, uint32_t user, uint32_t free,
    uint32_t members, uint32_t more)
{
	uint32_t kept =
	    policy->reserved > members ? policy->reserved - members : 0;

	return kept != 0 && !has(policy->reserved_for, user) &&
	    more + kept > free;
}

static uint32_t
free_of(const struct site_sim *sim, uint32_t tenant, uint32_t taken)
{
	uint32_t seats = sim->tenants[tenant].seats;

	return taken < seats ? seats - taken : 0;
}

/* Does this policy forbid it for certain? */
static bool
forbids(const struct site_sim *sim, uint32_t tenant,
    const struct site_policy *policy, uint32_t user)
{
	struct holding least = at_least(sim, tenant, policy, user);
	struct holding most = at_most(sim, tenant, policy, user);

	return is_excluded(policy, user) || is_over(policy, &least, user, 1) ||
	    is_reserved(policy, user, free_of(sim, tenant, least.all),
		most.by_reserve, 1);
}

/* A grant is of the policy in force, or of the one before while its change is
 * on its way. */
void
site_policy_granted(struct site_sim *sim, uint32_t tenant, uint32_t user)
{
	const struct site_tenant *t = &sim->tenants[tenant];

	site_must(sim,
	    !forbids(sim, tenant, &t->policy, user) ||
		(t->ruling && !forbids(sim, tenant, &t->before, user)));
}

static bool
may_say(const struct site_sim *sim, uint32_t tenant,
    const struct site_policy *policy, uint32_t user, int err)
{
	struct holding least = at_least(sim, tenant, policy, user);
	struct holding most = at_most(sim, tenant, policy, user);

	if (err == ERR_EXCLUDED)
		return is_excluded(policy, user);
	if (err == ERR_POLICY_MAX)
		return is_over(policy, &most, user, 1);
	/* What is on offer to who waits is not counted here. */
	return err == ERR_RESERVED &&
	    (site_has_waits(sim) ||
		is_reserved(policy, user, free_of(sim, tenant, most.all),
		    least.by_reserve, 1));
}

/* True: it is a refusal of the policy's, and has its reason. Who waited in vain
 * is told what held him up last, which may be over by then. */
bool
site_policy_refused(struct site_sim *sim, uint32_t tenant, uint32_t user,
    int err, bool waited)
{
	const struct site_tenant *t = &sim->tenants[tenant];

	if (err != ERR_EXCLUDED && err != ERR_POLICY_MAX && err != ERR_RESERVED)
		return false;
	site_must(sim,
	    (waited && err != ERR_EXCLUDED) ||
		may_say(sim, tenant, &t->policy, user, err) ||
		(t->ruling && may_say(sim, tenant, &t->before, user, err)));
	sim->tally.refused_policy++;
	return true;
}

/* After all that was asked before has been done, nobody waits for what there is
 * for each of those who wait. */
void
site_policy_check_waits(struct site_sim *sim, uint32_t tenant)
{
	const struct site_policy *policy = &sim->tenants[tenant].policy;
	uint32_t n = 0;

	for (size_t i = 0; i < SITE_WAITS; i++)
		n += sim->waits[i].open &&
		    sim->keys[sim->waits[i].key].tenant == tenant;
	if (n == 0 || sim->tenants[tenant].suspended)
		return;
	for (size_t i = 0; i < SITE_WAITS; i++) {
		const struct site_wait *wait = &sim->waits[i];

		if (!wait->open || sim->keys[wait->key].tenant != tenant ||
		    wait->until <= site_now() + LATE_MS ||
		    !site_key_may(sim, &sim->keys[wait->key], false, true))
			continue;
		struct holding least =
		    at_least(sim, tenant, policy, wait->user);
		struct holding most = at_most(sim, tenant, policy, wait->user);
		uint32_t free = free_of(sim, tenant, most.all);

		site_must(sim,
		    free < n || is_excluded(policy, wait->user) ||
			is_over(policy, &most, wait->user, n) ||
			is_reserved(policy, wait->user, free, least.by_reserve,
			    n));
		sim->tally.looked++;
	}
}

/* --- a change --------------------------------------------------------------- */

static const char *
name_of(uint32_t user)
{
	static const char *const names[SITE_PEOPLE] = { "ann", "bob", "carl",
		"dora", "eve", "frank" };

	return names[user];
}

const char *
site_user_name(uint32_t user)
{
	return name_of(user);
}

uint32_t
site_user_number(const char *name)
{
	uint32_t user = 0;

	while (user < SITE_PEOPLE && strcmp(name_of(user), name) != 0)
		user++;
	return user;
}

static uint32_t
some(struct site_sim *sim)
{
	return 1 + site_below(sim, (1u << SITE_PEOPLE) - 1);
}

static struct site_policy
choose(struct site_sim *sim, uint32_t seats)
{
	struct site_policy policy = { 0 };

	if (site_one_in(sim, 3))
		policy.excluded = 1u << site_below(sim, SITE_PEOPLE);
	if (site_one_in(sim, 4))
		policy.included = some(sim);
	if (site_one_in(sim, 2))
		policy.each = 1 + site_below(sim, 3);
	if (site_one_in(sim, 3)) {
		policy.of_group = 1 + site_below(sim, seats);
		policy.group = some(sim);
	}
	if (site_one_in(sim, 2)) {
		policy.reserved = 1 + site_below(sim, seats);
		policy.reserved_for = some(sim);
	}
	return policy;
}

struct writing {
	struct policy_rule rules[5];
	struct policy_user users[5][SITE_PEOPLE];
	uint32_t n;
};

/* Another rule, about these; 0: about everybody. */
static struct policy_rule *
add(struct writing *w, enum policy_kind kind, uint32_t about)
{
	struct policy_rule *rule = &w->rules[w->n];
	struct policy_user *users = w->users[w->n++];
	uint32_t n = 0;

	*rule = (struct policy_rule){ .kind = kind };
	snprintf(rule->name, sizeof(rule->name), "rule-%u", w->n);
	for (uint32_t i = 0; i < SITE_PEOPLE; i++)
		if (has(about, i))
			snprintf(users[n++].user, sizeof(users->user), "%s",
			    name_of(i));
	rule->users = (struct record_list){ users, n };
	return rule;
}

static void
write_policy(struct writing *w, const struct site_policy *policy)
{
	struct policy_rule *rule;

	if (policy->excluded != 0)
		add(w, POLICY_EXCLUDE, policy->excluded);
	if (policy->included != 0)
		add(w, POLICY_INCLUDE, policy->included);
	if (policy->each != 0) {
		rule = add(w, POLICY_MAX, 0);
		rule->each = POLICY_EACH_USER;
		rule->seats = policy->each;
	}
	if (policy->of_group != 0)
		add(w, POLICY_MAX, policy->group)->seats = policy->of_group;
	if (policy->reserved != 0) {
		rule = add(w, POLICY_RESERVE, policy->reserved_for);
		rule->seats = policy->reserved;
		snprintf(rule->product, sizeof(rule->product), SITE_PRODUCT);
	}
}

static void
put_policy(struct site_sim *sim, uint32_t index, struct site_policy next)
{
	struct site_tenant *tenant = &sim->tenants[index];
	struct writing w = { .n = 0 };
	struct policy_put put = { 0 };
	struct policy_summary reply;

	write_policy(&w, &next);
	put.policy.rules = (struct record_list){ w.rules, w.n };
	tenant->before = tenant->policy;
	if (!tenant->suspended) {
		tenant->policy = next;
		tenant->ruling = true;
	}
	int err = site_admin(sim, &reply, index, OP_POLICY_PUT, &put);

	tenant->ruling = false;
	site_must(sim, err == (tenant->suspended ? ERR_TENANT_SUSPENDED : 0));
	sim->tally.policies += err == 0;
}

void
site_step_policy(struct site_sim *sim)
{
	uint32_t index = site_below(sim, SITE_TENANTS);
	struct site_policy next = { 0 };

	/* Sometimes none. */
	if (!site_one_in(sim, 4))
		next = choose(sim, sim->tenants[index].seats);
	put_policy(sim, index, next);
}

/* By chance this is so rare that the look at who waits would find nothing: one
 * waits for a seat that is there for others alone, and then for all. */
void
site_step_let_in(struct site_sim *sim)
{
	struct site_key *key = site_key_any(sim);
	uint32_t user = site_below(sim, SITE_PEOPLE);
	const struct site_policy none = { 0 };
	struct site_policy others = {
		.reserved_for = ((1u << SITE_PEOPLE) - 1) & ~(1u << user)
	};
	const struct site_tenant *tenant = &sim->tenants[key->tenant];

	if (sim->n_keys == 0 || tenant->suspended || site_has_waits(sim) ||
	    !site_key_may(sim, key, false, true) ||
	    free_of(sim, key->tenant,
		at_most(sim, key->tenant, &none, user).all) == 0)
		return;
	/* With those that they hold. */
	others.reserved = tenant->seats;
	put_policy(sim, key->tenant, others);
	if (!forbids(sim, key->tenant, &others, user))
		return;
	site_begin_wait(sim, key, user);
	site_settle(sim, key->tenant);
	put_policy(sim, key->tenant, none);
}
