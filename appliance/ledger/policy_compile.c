/* A document, checked and compiled. See policy.h and POLICY.md. */
#include "appliance/ledger/policy_inside.h"

#include "appliance/ledger/restrict.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/version.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96

/* What is being compiled. */
struct compiling {
	struct policy *policy;
	const struct policy_document *document;
	struct record_error *error;
	const struct policy_group **groups; /* by name */
	uint32_t members_size;
	char where[64]; /* "rules[3]" */
};

static int fail(const struct compiling *c, const char *field,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

static int
fail(const struct compiling *c, const char *field, const char *format, ...)
{
	struct record_error *error = c->error;
	va_list args;

	va_start(args, format);
	snprintf(error->field, sizeof error->field, "%s.%s", c->where, field);
	vsnprintf(error->reason, sizeof error->reason, format, args);
	va_end(args);
	return ERR_BAD_REQUEST;
}

static int
fail_item(const struct compiling *c, const char *list, uint32_t i,
    const char *reason)
{
	char field[48];

	snprintf(field, sizeof field, "%s[%u]", list, i);
	return fail(c, field, "%s", reason);
}

/* --- members -------------------------------------------------------------- */

uint32_t
policy_count_members(const struct policy_document *document)
{
	const struct policy_group *groups = document->groups.items;
	const struct policy_rule *rules = document->rules.items;
	uint64_t n = 0;

	for (uint32_t i = 0; i < document->groups.count; i++)
		n += (uint64_t)groups[i].users.count + groups[i].hosts.count +
		    groups[i].devices.count + groups[i].addresses.count;
	for (uint32_t i = 0; i < document->rules.count; i++)
		n += (uint64_t)rules[i].users.count + rules[i].hosts.count +
		    rules[i].devices.count + rules[i].addresses.count;
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static struct policy_member *
add_member(struct compiling *c, uint32_t set)
{
	struct policy_member *member =
	    &c->policy->members[c->policy->n_members++];

	member->set = set;
	return member;
}

static int
add_hosts(struct compiling *c, uint32_t set, const struct record_list *list)
{
	const struct policy_host *hosts = list->items;
	char host[128];

	for (uint32_t i = 0; i < list->count; i++) {
		if (strcmp(hosts[i].host, POLICY_ERASED) == 0)
			continue;
		if (!restrict_read_host(host, hosts[i].host))
			return fail_item(c, "hosts", i,
			    "is no host name, nor *. and one");
		bool below = host[0] == '*';

		policy_hash_host(add_member(c, set)->key, c->policy,
		    below ? host + 2 : host, below);
	}
	return 0;
}

/* "device-17", "key-3"; 0: it is neither. */
static uint64_t
read_device(const char *text)
{
	const char *dash = strchr(text, '-');
	uint64_t number;

	if (dash == NULL ||
	    (strncmp(text, "device-", 7) != 0 && strncmp(text, "key-", 4) != 0))
		return 0;
	return text_to_u64(&number, dash + 1, strlen(dash + 1)) ? number : 0;
}

static int
add_devices(struct compiling *c, uint32_t set, const struct record_list *list)
{
	const struct policy_device *devices = list->items;

	for (uint32_t i = 0; i < list->count; i++) {
		uint64_t number = read_device(devices[i].device);

		if (number == 0)
			return fail_item(c, "devices", i,
			    "is no number such as device-17 or key-3");
		policy_hash_device(add_member(c, set)->key, c->policy, number);
	}
	return 0;
}

static int
add_addresses(struct compiling *c, uint32_t set, const struct record_list *list)
{
	const struct policy_address *addresses = list->items;
	struct restrict_range range;
	const char *reason;

	for (uint32_t i = 0; i < list->count; i++) {
		if (!restrict_read_range(&range, addresses[i].range, &reason))
			return fail_item(c, "addresses", i, reason);
		bool v4 =
		    range.bits >= MAPPED_BITS && policy_is_v4(range.address);

		c->policy->lengths[v4 ? 0 : 1][range.bits] = true;
		c->policy->has_addresses = true;
		policy_hash_range(add_member(c, set)->key, c->policy,
		    range.address, range.bits, v4);
	}
	return 0;
}

static int
add_members(struct compiling *c, uint32_t set, const struct record_list *users,
    const struct record_list *hosts, const struct record_list *devices,
    const struct record_list *addresses)
{
	const struct policy_user *user = users->items;

	for (uint32_t i = 0; i < users->count; i++) {
		/* Whoever he was, he is nobody now. */
		if (strcmp(user[i].user, POLICY_ERASED) == 0)
			continue;
		policy_hash_user(add_member(c, set)->key, c->policy,
		    user[i].user);
	}
	int err = add_hosts(c, set, hosts);

	if (err == 0)
		err = add_devices(c, set, devices);
	return err == 0 ? add_addresses(c, set, addresses) : err;
}

static int
compare_members(const void *a, const void *b)
{
	const struct policy_member *x = a, *y = b;
	int order = memcmp(x->key, y->key, sizeof x->key);

	return order != 0 ? order : (x->set > y->set) - (x->set < y->set);
}

/* The table is half empty at least, so that a search ends soon. */
static int
index_members(struct policy *policy)
{
	uint32_t size = 16;

	while (size < policy->n_members * 2)
		size *= 2;
	policy->index = calloc(size, sizeof *policy->index);
	if (policy->index == NULL)
		return ERR_NOMEM;
	policy->index_mask = size - 1;
	if (policy->n_members > 0)
		qsort(policy->members, policy->n_members,
		    sizeof *policy->members, compare_members);
	for (uint32_t i = 0; i < policy->n_members; i++) {
		const uint8_t *key = policy->members[i].key;
		uint32_t at;

		if (i > 0 &&
		    memcmp(key, policy->members[i - 1].key, POLICY_KEY_BYTES) ==
			0)
			continue;
		memcpy(&at, key, sizeof at);
		while (policy->index[at & policy->index_mask] != 0)
			at++;
		policy->index[at & policy->index_mask] = i + 1;
	}
	return 0;
}

/* --- groups --------------------------------------------------------------- */

static int
compare_groups(const void *a, const void *b)
{
	const struct policy_group *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int
find_group(const void *name, const void *group)
{
	const struct policy_group *const *at = group;

	return strcmp(name, (*at)->name);
}

static void
set_where(struct compiling *c, const char *list, uint32_t i)
{
	snprintf(c->where, sizeof c->where, "%s[%u]", list, i);
}

static int
compile_groups(struct compiling *c)
{
	const struct record_list *list = &c->document->groups;
	const struct policy_group *groups = list->items;
	int err = 0;

	for (uint32_t i = 0; i < list->count && err == 0; i++) {
		set_where(c, "groups", i);
		c->groups[i] = &groups[i];
		err = add_members(c, i, &groups[i].users, &groups[i].hosts,
		    &groups[i].devices, &groups[i].addresses);
	}
	if (err != 0 || list->count == 0)
		return err;
	qsort(c->groups, list->count, sizeof *c->groups, compare_groups);
	for (uint32_t i = 1; i < list->count; i++) {
		if (strcmp(c->groups[i]->name, c->groups[i - 1]->name) != 0)
			continue;
		set_where(c, "groups", (uint32_t)(c->groups[i] - groups));
		return fail(c, "name", "there is another group of this name");
	}
	return 0;
}

/* --- rules ---------------------------------------------------------------- */

enum {
	TAKES_SEATS = 1,
	TAKES_EACH = 2,
	TAKES_LINGER = 4,
	TAKES_NONE = 8,
	TAKES_LONGEST = 16,
	TAKES_KEEP = 32,
	TAKES_LENGTH = 64,
	TAKES_WAIT = 128,
	TAKES_PRIORITY = 256,
	TAKES_IDLE = 512,
	TAKES_SILENT = 1024,
};
#define TAKES 11
static const char *const taken_names[] = { "seats", "each", "linger_s", "none",
	"longest_s", "keep", "length", "wait_s", "priority", "idle_s",
	"silent" };

/* What a kind may say, and what it must; 0: nothing more. `any`: one of what it
 * may say. */
static const struct kind {
	unsigned int may, must;
	bool any, whom, counts;
} kinds[POLICY_KINDS] = {
	[POLICY_INCLUDE] = { 0, 0, false, true, false },
	[POLICY_EXCLUDE] = { 0, 0, false, true, false },
	[POLICY_MAX] = { TAKES_SEATS | TAKES_EACH, TAKES_SEATS, false, false,
	    true },
	[POLICY_RESERVE] = { TAKES_SEATS, TAKES_SEATS, false, true, true },
	[POLICY_LINGER] = { TAKES_LINGER, TAKES_LINGER, false, false, true },
	[POLICY_BORROW] = { TAKES_NONE | TAKES_LONGEST | TAKES_SEATS |
		TAKES_KEEP,
	    0, true, false, false },
	[POLICY_QUEUE] = { TAKES_NONE | TAKES_LENGTH | TAKES_WAIT |
		TAKES_PRIORITY,
	    0, true, false, false },
	[POLICY_IDLE] = { TAKES_IDLE | TAKES_SILENT, TAKES_IDLE, false, false,
	    true },
};

static unsigned int
said(const struct policy_rule *r)
{
	return (r->seats != 0 ? TAKES_SEATS : 0u) |
	    (r->each != POLICY_ALL ? TAKES_EACH : 0u) |
	    (r->linger_s != 0 ? TAKES_LINGER : 0u) |
	    (r->none ? TAKES_NONE : 0u) |
	    (r->longest_s != 0 ? TAKES_LONGEST : 0u) |
	    (r->keep != 0 ? TAKES_KEEP : 0u) |
	    (r->length != 0 ? TAKES_LENGTH : 0u) |
	    (r->wait_s != 0 ? TAKES_WAIT : 0u) |
	    (r->priority != 0 ? TAKES_PRIORITY : 0u) |
	    (r->idle_s != 0 ? TAKES_IDLE : 0u) |
	    (r->silent ? TAKES_SILENT : 0u);
}

static int
fail_taken(const struct compiling *c, unsigned int fields, const char *format,
    uint32_t kind)
{
	for (unsigned int i = 0; i < TAKES; i++)
		if ((fields & 1u << i) != 0) {
			char reason[128];

			snprintf(reason, sizeof reason, "%s %s", format,
			    policy_kind_names[kind]);
			return fail(c, taken_names[i], "%s", reason);
		}
	return 0;
}

static bool
names_anybody(const struct policy_rule *r)
{
	return r->groups.count == 0 && r->users.count == 0 &&
	    r->hosts.count == 0 && r->devices.count == 0 &&
	    r->addresses.count == 0;
}

static int
check_says(const struct compiling *c, const struct policy_rule *r)
{
	const struct kind *kind = &kinds[r->kind];
	unsigned int says = said(r);

	if ((says & ~kind->may) != 0)
		return fail_taken(c, says & ~kind->may,
		    "does not belong to a rule of kind", r->kind);
	if ((kind->must & ~says) != 0)
		return fail_taken(c, kind->must & ~says,
		    "must be given, and not 0, in a rule of kind", r->kind);
	if (kind->any && says == 0)
		return fail(c, "kind", "says nothing: a rule of kind %s has %s",
		    policy_kind_names[r->kind],
		    r->kind == POLICY_BORROW
			? "longest_s, seats, keep or none"
			: "length, wait_s, priority or none");
	if (r->none && says != TAKES_NONE)
		return fail(c, "none", "excludes every other bound");
	return 0;
}

static int
check_about(const struct compiling *c, const struct policy_rule *r)
{
	if (kinds[r->kind].whom && names_anybody(r))
		return fail(c, "groups",
		    "a rule of kind %s names somebody: groups, users, hosts, "
		    "devices or addresses",
		    policy_kind_names[r->kind]);
	if (r->version[0] != '\0' && !version_range_is_valid(r->version))
		return fail(c, "version",
		    "is no range of versions such as >=8.0.0 <9.0.0");
	if (r->feature[0] != '\0' && r->product[0] == '\0')
		return fail(c, "feature", "needs the product that it is of");
	if (r->kind != POLICY_RESERVE)
		return 0;
	if (r->product[0] == '\0')
		return fail(c, "product",
		    "must be given: seats are reserved of one product");
	if (r->version[0] != '\0')
		return fail(c, "version",
		    "does not belong to a rule of kind reserve: seats have no "
		    "version");
	return 0;
}

/* Leases do not say from where. */
static int
check_counted(const struct compiling *c, const struct policy_rule *r)
{
	const struct policy_group_name *names = r->groups.items;
	uint32_t n = c->document->groups.count;

	if (!kinds[r->kind].counts)
		return 0;
	if (r->addresses.count > 0)
		return fail(c, "addresses",
		    "leases do not keep an address, so that a rule of kind %s "
		    "cannot count by it",
		    policy_kind_names[r->kind]);
	for (uint32_t i = 0; i < r->groups.count; i++) {
		const struct policy_group *const *group = n == 0
		    ? NULL
		    : bsearch(names[i].group, c->groups, n, sizeof *c->groups,
			  find_group);

		if (group != NULL && (*group)->addresses.count > 0)
			return fail_item(c, "groups", i,
			    "has addresses, which leases do not keep: they "
			    "cannot be counted by it");
	}
	return 0;
}

static int
compile_groups_of(struct compiling *c, struct policy_compiled *rule,
    const struct policy_rule *r)
{
	const struct policy_group *first = c->document->groups.items;
	const struct policy_group_name *names = r->groups.items;
	uint32_t n = c->document->groups.count;

	if (r->groups.count == 0)
		return 0;
	uint32_t *sets =
	    arena_alloc(&c->policy->arena, r->groups.count * sizeof *sets);

	if (sets == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < r->groups.count; i++) {
		const struct policy_group *const *group = n == 0
		    ? NULL
		    : bsearch(names[i].group, c->groups, n, sizeof *c->groups,
			  find_group);

		if (group == NULL)
			return fail_item(c, "groups", i,
			    "is no group of this policy");
		sets[i] = (uint32_t)(*group - first);
	}
	rule->groups = sets;
	rule->n_groups = r->groups.count;
	return 0;
}

static const char *
keep_text(struct policy *policy, const char *text)
{
	return arena_copy(&policy->arena, text, strlen(text) + 1);
}

static int
compile_rule(struct compiling *c, uint32_t i, const struct policy_rule *r)
{
	struct policy *policy = c->policy;
	struct policy_compiled *rule = &policy->rules[i];

	*rule = (struct policy_compiled){
		.name = keep_text(policy, r->name),
		.product = keep_text(policy, r->product),
		.version = keep_text(policy, r->version),
		.feature = keep_text(policy, r->feature),
		.kind = r->kind,
		.each = r->each,
		.set = c->document->groups.count + i,
		.anybody = names_anybody(r),
		.seats = r->seats,
		.linger_s = r->linger_s,
		.longest_s = r->longest_s,
		.keep = r->keep,
		.length = r->length,
		.wait_s = r->wait_s,
		.priority = r->priority,
		.idle_s = r->idle_s,
		.none = r->none,
		.silent = r->silent,
	};
	if (rule->name == NULL || rule->product == NULL ||
	    rule->version == NULL || rule->feature == NULL)
		return ERR_NOMEM;
	policy->kinds[r->kind]++;
	policy->counts = policy->counts || kinds[r->kind].counts;
	int err = check_says(c, r);

	if (err == 0)
		err = check_about(c, r);
	if (err == 0)
		err = compile_groups_of(c, rule, r);
	if (err == 0)
		err = check_counted(c, r);
	return err == 0 ? add_members(c, rule->set, &r->users, &r->hosts,
			      &r->devices, &r->addresses)
			: err;
}

static int
compare_rules(const void *a, const void *b)
{
	const struct policy_compiled *x = a, *y = b;
	int order = strcmp(x->product, y->product);

	return order != 0 ? order : (x->set > y->set) - (x->set < y->set);
}

/* In the order that they have now. */
static void
index_rule(struct policy *policy, uint32_t i)
{
	struct policy_compiled *rule = &policy->rules[i];
	uint64_t bit = UINT64_C(1) << i % 64;
	uint32_t w = i / 64;

	rule->plain = rule->feature[0] == '\0' && rule->version[0] == '\0' &&
	    rule->kind != POLICY_RESERVE;
	if (rule->kind == POLICY_MAX && rule->each != POLICY_ALL)
		rule->single = policy->each[rule->each - 1]++;
	policy->of_kind[rule->kind][w] |= bit;
	if (rule->anybody)
		policy->of_anybody[w] |= bit;
	policy->of_set[(size_t)rule->set * policy->words + w] |= bit;
	for (uint32_t g = 0; g < rule->n_groups; g++)
		policy->of_set[(size_t)rule->groups[g] * policy->words + w] |=
		    bit;
}

static int
index_rules(struct compiling *c)
{
	struct policy *policy = c->policy;
	uint32_t sets = c->document->groups.count + policy->n_rules;

	policy->words = (policy->n_rules + 63) / 64;
	policy->of_set =
	    calloc((size_t)sets * policy->words + 1, sizeof *policy->of_set);
	policy->held =
	    calloc(policy->n_rules + (size_t)1, sizeof *policy->held);
	if (policy->of_set == NULL || policy->held == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < policy->n_rules; i++)
		index_rule(policy, i);
	policy->of_all = policy_find_behind(policy, "");
	return 0;
}

static int
compare_names(const void *a, const void *b)
{
	const struct policy_compiled *const *x = a, *const *y = b;
	int order = strcmp((*x)->name, (*y)->name);

	return order != 0 ? order
			  : ((*x)->set > (*y)->set) - ((*x)->set < (*y)->set);
}

static int
check_names(struct compiling *c)
{
	struct policy *policy = c->policy;
	const struct policy_compiled **byname =
	    arena_alloc(&policy->arena, policy->n_rules * sizeof *byname);

	if (byname == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < policy->n_rules; i++)
		byname[i] = &policy->rules[i];
	qsort(byname, policy->n_rules, sizeof *byname, compare_names);
	for (uint32_t i = 1; i < policy->n_rules; i++) {
		if (strcmp(byname[i]->name, byname[i - 1]->name) != 0)
			continue;
		set_where(c, "rules",
		    byname[i]->set - c->document->groups.count);
		return fail(c, "name", "there is another rule of this name");
	}
	return 0;
}

static int
compile_rules(struct compiling *c)
{
	const struct record_list *list = &c->document->rules;
	const struct policy_rule *rules = list->items;
	struct policy *policy = c->policy;

	if (list->count == 0)
		return 0;
	policy->rules =
	    arena_alloc(&policy->arena, list->count * sizeof *policy->rules);
	if (policy->rules == NULL)
		return ERR_NOMEM;
	int err = 0;

	for (uint32_t i = 0; i < list->count && err == 0; i++) {
		set_where(c, "rules", i);
		err = compile_rule(c, i, &rules[i]);
	}
	policy->n_rules = list->count;
	if (err == 0)
		err = check_names(c);
	if (err == 0)
		qsort(policy->rules, policy->n_rules, sizeof *policy->rules,
		    compare_rules);
	return err;
}

/* --- reports -------------------------------------------------------------- */

static int
check_reports(struct compiling *c)
{
	const struct record_list *list = &c->document->reports;
	const struct policy_report *reports = list->items;

	for (uint32_t i = 1; i < list->count; i++)
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(reports[i].vendor, reports[j].vendor) != 0)
				continue;
			set_where(c, "reports", i);
			return fail(c, "vendor",
			    "there is another entry of this vendor");
		}
	return 0;
}

/* --- all of it ------------------------------------------------------------ */

static int
compile(struct compiling *c)
{
	struct policy *policy = c->policy;
	uint32_t n = policy_count_members(c->document);

	if (n > POLICY_MEMBERS_MAX) {
		snprintf(c->error->field, sizeof c->error->field, "groups");
		snprintf(c->error->reason, sizeof c->error->reason,
		    "there are %u members in all; at most %d are allowed", n,
		    POLICY_MEMBERS_MAX);
		return ERR_BAD_REQUEST;
	}
	policy->ignore_case = c->document->ignore_case;
	policy->members = calloc(n > 0 ? n : 1, sizeof *policy->members);
	c->groups =
	    calloc(c->document->groups.count + (size_t)1, sizeof *c->groups);
	int err = policy->members == NULL || c->groups == NULL
	    ? ERR_NOMEM
	    : compile_groups(c);

	if (err == 0)
		err = compile_rules(c);
	if (err == 0)
		err = check_reports(c);
	if (err == 0)
		err = index_rules(c);
	if (err == 0)
		err = index_members(policy);
	free(c->groups);
	return err;
}

int
policy_compile(struct policy **out, const struct policy_document *document,
    struct record_error *error)
{
	struct record_error ignored;
	struct compiling c = { .document = document,
		.error = error != NULL ? error : &ignored };
	int err = record_check(&policy_document_record, document, c.error);

	if (err != 0)
		return err;
	c.policy = calloc(1, sizeof *c.policy);
	if (c.policy == NULL)
		return ERR_NOMEM;
	randombytes_buf(c.policy->secret, sizeof c.policy->secret);
	err = compile(&c);
	if (err != 0) {
		policy_free(c.policy);
		return err;
	}
	*out = c.policy;
	return 0;
}

static void
free_singles(struct policy *policy)
{
	struct policy_single *single, *next;

	for (size_t at = 0;
	     (single = table_next(&policy->singles, &at)) != NULL;)
		for (; single != NULL; single = next) {
			next = single->next;
			free(single);
		}
	table_release(&policy->singles);
}

void
policy_free(struct policy *policy)
{
	struct policy_holder *holder;

	if (policy == NULL)
		return;
	for (size_t at = 0;
	     (holder = table_next(&policy->holders, &at)) != NULL;)
		free(holder);
	table_release(&policy->holders);
	free_singles(policy);
	arena_release(&policy->arena);
	free(policy->members);
	free(policy->index);
	free(policy->of_set);
	free(policy->held);
	sodium_memzero(policy->secret, sizeof policy->secret);
	free(policy);
}
