/* Whom a line names: users, hosts, addresses, groups. See flexlm_inside.h. */
#include "agent/cli/flexlm_inside.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* In the place of a name that was erased; see appliance/ledger/policy.h. */
#define ERASED "(erased)"
/* Of looking for overlaps; then they are taken for granted. */
#define STEPS_MAX UINT64_C(20000000)

/* --- hosts ---------------------------------------------------------------- */

static bool
is_label(const char *text, size_t len)
{
	if (len == 0 || len > 63 || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

static bool
is_host(const char *text)
{
	if (strlen(text) > 127)
		return false;
	for (;;) {
		size_t len = strcspn(text, ".");

		if (!is_label(text, len))
			return false;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

static void
add_host(struct flexlm_work *w, struct record_list *hosts, const char *name,
    size_t len)
{
	struct policy_host *host = flexlm_add(w, hosts, sizeof *host);

	if (host != NULL)
		text_copy_n(host->host, sizeof host->host, name, len);
	w->hosts = true;
}

/* With FQDN_MATCHING lenient "a.b.c" is "a" and "a.b" as well, and "a" is every
 * "a.x", which has no equal. */
static void
add_hosts(struct flexlm_work *w, uint32_t at, struct record_list *hosts,
    const char *name)
{
	add_host(w, hosts, name, strlen(name));
	if (!w->lenient)
		return;
	const char *dot = strchr(name, '.');

	if (dot == NULL)
		flexlm_say(w, at, FLEXLM_DIFFERS,
		    "FQDN_MATCHING lenient means %s.ANY.DOMAIN as well, here "
		    "it "
		    "is %s alone: name the host with its domain",
		    name, name);
	for (; dot != NULL; dot = strchr(dot + 1, '.'))
		add_host(w, hosts, name, (size_t)(dot - name));
}

/* It is right in FlexNet, and too much for ranges. */
static const char too_open[] =
    "has more than one * before a number, which no few ranges of addresses say";

/* --- addresses ------------------------------------------------------------- */

static bool
is_address(const char *text)
{
	size_t dots = 0;

	if (strchr(text, ':') != NULL)
		return true;
	for (; *text != '\0'; text++) {
		dots += *text == '.' ? 1 : 0;
		if (strchr("0123456789.*", *text) == NULL)
			return false;
	}
	return dots == 3;
}

static void
add_range(struct flexlm_work *w, struct record_list *addresses, int family,
    const uint8_t *bytes, unsigned int bits)
{
	char text[INET6_ADDRSTRLEN];
	struct policy_address *range = flexlm_add(w, addresses, sizeof *range);

	if (range != NULL &&
	    inet_ntop(family, bytes, text, sizeof text) != NULL)
		snprintf(range->range, sizeof range->range, "%s/%u", text,
		    bits);
}

/* "10.4.*.*"; an octet of -1 is any. */
static bool
read_octets(int octets[4], const char *text)
{
	for (int i = 0; i < 4; i++) {
		size_t len = strcspn(text, ".");
		uint64_t value;

		if (len == 1 && text[0] == '*')
			octets[i] = -1;
		else if (text_to_u64(&value, text, len) && value <= 255)
			octets[i] = (int)value;
		else
			return false;
		if ((i < 3) != (text[len] == '.'))
			return false;
		text += len + 1;
	}
	return true;
}

static const char *
add_v4(struct flexlm_work *w, struct record_list *addresses, const char *text)
{
	int octets[4], last = 4, within = -1;
	uint8_t bytes[4];

	if (!read_octets(octets, text))
		return "is no address such as 10.4.7.2 or 10.4.*.*";
	while (last > 0 && octets[last - 1] < 0)
		last--;
	for (int i = 0; i < last; i++) {
		if (octets[i] >= 0)
			continue;
		if (within >= 0)
			return too_open;
		within = i;
	}
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(octets[i] < 0 ? 0 : octets[i]);
	for (int any = 0; any < (within < 0 ? 1 : 256); any++) {
		if (within >= 0)
			bytes[within] = (uint8_t)any;
		add_range(w, addresses, AF_INET, bytes, (unsigned int)last * 8);
	}
	return NULL;
}

/* "2001:db8:4:*:*:*:*:*", or one address. */
static const char *
add_v6(struct flexlm_work *w, struct record_list *addresses, const char *text)
{
	static const char why[] = "is no address such as 2001:db8::7 or "
				  "2001:db8:4:*:*:*:*:*";
	char plain[64];
	uint8_t bytes[16];
	unsigned int any = 0;

	if (!text_copy(plain, sizeof plain, text))
		return why;
	for (char *c = plain; *c != '\0'; c++) {
		if (*c == '*') {
			*c = '0';
			any++;
		} else if (any > 0 && *c != ':') {
			return why; /* only the end may be left open */
		}
	}
	/* :: stands for any number of groups: which are open is not said. */
	if (any > 7 || (any > 0 && strstr(plain, "::") != NULL) ||
	    inet_pton(AF_INET6, plain, bytes) != 1)
		return why;
	add_range(w, addresses, AF_INET6, bytes, 128 - any * 16);
	return NULL;
}

/* NULL, or why not. */
static const char *
add_address(struct flexlm_work *w, struct record_list *addresses,
    const char *text)
{
	return strchr(text, ':') != NULL ? add_v6(w, addresses, text)
					 : add_v4(w, addresses, text);
}

/* --- one member ------------------------------------------------------------ */

static const char *
add_user(struct flexlm_work *w, struct record_list *users, const char *name)
{
	if (name[0] == '\0')
		return "is empty";
	if (strcmp(name, ERASED) == 0)
		return "stands for a person who was erased";
	if (strlen(name) > 63)
		return "is longer than 63 bytes";
	struct policy_user *user = flexlm_add(w, users, sizeof *user);

	if (user != NULL)
		text_copy(user->user, sizeof user->user, name);
	return NULL;
}

static const char *
add_machine(struct flexlm_work *w, uint32_t at, struct record_list *hosts,
    struct record_list *addresses, const char *name)
{
	if (is_address(name))
		return add_address(w, addresses, name);
	if (!is_host(name))
		return "is no name of a host";
	add_hosts(w, at, hosts, name);
	return NULL;
}

/* --- groups ---------------------------------------------------------------- */

struct policy_group *
flexlm_find_group(struct flexlm_work *w, const char *name, bool of_hosts)
{
	struct policy_group *groups = w->policy->groups.items;

	for (uint32_t i = 0; i < w->policy->groups.count; i++)
		if (w->groups[i].of_hosts == of_hosts &&
		    !w->groups[i].made_up &&
		    strcmp(w->groups[i].name, name) == 0)
			return &groups[i];
	return NULL;
}

static bool
is_name_taken(const struct flexlm_work *w, const char *name)
{
	const struct policy_group *groups = w->policy->groups.items;

	for (uint32_t i = 0; i < w->policy->groups.count; i++)
		if (strcmp(groups[i].name, name) == 0)
			return true;
	return false;
}

/* A group of another kind may have the same name in the file, and not here. */
static struct policy_group *
add_group(struct flexlm_work *w, const char *name, bool of_hosts)
{
	uint32_t n = w->policy->groups.count;
	char unique[64];

	if (n == POLICY_GROUPS_MAX) {
		flexlm_add_note(w,
		    "There are more than %d groups, which is all that a policy "
		    "has.",
		    POLICY_GROUPS_MAX);
		w->err = ERR_TOO_LARGE;
		return NULL;
	}
	text_copy(unique, sizeof unique, name);
	for (unsigned int i = 2; is_name_taken(w, unique); i++)
		snprintf(unique, sizeof unique, "%.40s-%s-%u", name,
		    of_hosts ? "hosts" : "users", i);
	flexlm_mend(unique);
	struct policy_group *group =
	    flexlm_add(w, &w->policy->groups, sizeof *group);

	if (group == NULL)
		return NULL;
	text_copy(group->name, sizeof group->name, unique);
	w->groups[n] =
	    (struct flexlm_named){ .name = name, .of_hosts = of_hosts };
	return group;
}

static void
add_members(struct flexlm_work *w, struct policy_group *group)
{
	const struct flexlm_line *line = w->line;
	bool of_hosts = line->option == FLEXLM_HOST_GROUP;
	uint32_t missing = 0;

	for (uint32_t i = 0; i < line->n_members && w->err == 0; i++) {
		const char *name = line->members[i];
		const char *why = of_hosts
		    ? add_machine(w, w->at, &group->hosts, &group->addresses,
			  name)
		    : add_user(w, &group->users, name);

		if (name[0] == '#')
			flexlm_say(w, w->at, FLEXLM_DIFFERS,
			    "# begins a comment at the start of a line only: "
			    "%.40s and what follows it are members",
			    name);
		if (why != NULL && missing++ < 2)
			flexlm_say(w, w->at, FLEXLM_DIFFERS,
			    "is not in the group: %.70s %s", name, why);
	}
	if (missing > 2)
		flexlm_say(w, w->at, FLEXLM_DIFFERS, "and %u more",
		    missing - 2);
}

static void
make_group(struct flexlm_work *w)
{
	bool of_hosts = w->line->option == FLEXLM_HOST_GROUP;
	struct policy_group *group;

	if (strlen(w->line->name) > 63) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "a group's name here has 63 bytes at most");
		return;
	}
	group = flexlm_find_group(w, w->line->name, of_hosts);
	if (group == NULL)
		group = add_group(w, w->line->name, of_hosts);
	if (group == NULL)
		return;
	text_copy(w->remarks[w->at].rule, sizeof w->remarks[w->at].rule,
	    group->name);
	add_members(w, group);
}

void
flexlm_make_groups(struct flexlm_work *w)
{
	for (uint32_t i = 0; i < w->file->count && w->err == 0; i++) {
		w->line = &w->file->lines[i];
		w->at = i;
		if (w->line->error == NULL &&
		    (w->line->option == FLEXLM_GROUP ||
			w->line->option == FLEXLM_HOST_GROUP))
			make_group(w);
	}
}

static void
add_group_name(struct flexlm_work *w, struct policy_rule *rule,
    const char *name)
{
	const struct policy_group_name *names = rule->groups.items;

	for (uint32_t i = 0; i < rule->groups.count; i++)
		if (strcmp(names[i].group, name) == 0)
			return;
	struct policy_group_name *added =
	    flexlm_add(w, &rule->groups, sizeof *added);

	if (added != NULL)
		text_copy(added->group, sizeof added->group, name);
}

void
flexlm_add_nobody(struct flexlm_work *w, struct policy_rule *rule,
    const char *name)
{
	const struct policy_group *groups = w->policy->groups.items;
	struct policy_group *group;

	if (name != NULL && strlen(name) > 63)
		name = NULL;
	for (uint32_t i = 0; i < w->policy->groups.count; i++) {
		const struct flexlm_named *named = &w->groups[i];

		if (!named->made_up || (name == NULL) != (named->name == NULL))
			continue;
		if (name == NULL || strcmp(name, named->name) == 0) {
			add_group_name(w, rule, groups[i].name);
			return;
		}
	}
	group = add_group(w, name == NULL ? "nobody" : name, false);
	if (group == NULL)
		return;
	w->groups[w->policy->groups.count - 1] =
	    (struct flexlm_named){ .name = name, .made_up = true };
	add_group_name(w, rule, group->name);
}

/* --- whom ------------------------------------------------------------------ */

/* The group, if it can be named here; else false, said. */
static bool
add_named_group(struct flexlm_work *w, struct policy_rule *rule, bool counted)
{
	bool of_hosts = w->line->type == FLEXLM_BY_HOST_GROUP;
	struct policy_group *group =
	    flexlm_find_group(w, w->line->name, of_hosts);

	if (group == NULL) {
		flexlm_say(w, w->at, FLEXLM_WRONG,
		    "no %s line says who is in %.63s",
		    of_hosts ? "HOST_GROUP" : "GROUP", w->line->name);
		return false;
	}
	if (counted && group->addresses.count > 0) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "%s has addresses in it, and a lease does not keep the "
		    "address that it was asked from: it cannot be counted by "
		    "one",
		    group->name);
		return false;
	}
	add_group_name(w, rule, group->name);
	return true;
}

static bool
add_single(struct flexlm_work *w, struct policy_rule *rule, bool counted)
{
	const char *name = w->line->name;
	bool by_address =
	    w->line->type == FLEXLM_BY_INTERNET || is_address(name);
	const char *why;

	if (w->line->type == FLEXLM_BY_USER) {
		why = add_user(w, &rule->users, name);
		if (why == NULL && w->ignore_case &&
		    strpbrk(name,
			"abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL)
			flexlm_say(w, w->at, FLEXLM_DIFFERS,
			    "GROUPCASEINSENSITIVE is about users in groups "
			    "alone; here case counts for all users or for "
			    "none, and this one is meant in either case too");
	} else if (counted && by_address) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "a lease does not keep the address that it was asked from: "
		    "it cannot be counted by one");
		return false;
	} else {
		why = by_address ? add_address(w, &rule->addresses, name)
				 : add_machine(w, w->at, &rule->hosts,
				       &rule->addresses, name);
	}
	if (why != NULL)
		flexlm_say(w, w->at,
		    w->line->type == FLEXLM_BY_INTERNET && why != too_open
			? FLEXLM_WRONG
			: FLEXLM_NO_EQUAL,
		    "%.70s %s", name, why);
	return why == NULL;
}

bool
flexlm_add_whom(struct flexlm_work *w, struct policy_rule *rule, bool counted)
{
	switch (w->line->type) {
	case FLEXLM_BY_USER:
	case FLEXLM_BY_HOST:
	case FLEXLM_BY_INTERNET:
		return add_single(w, rule, counted);
	case FLEXLM_BY_GROUP:
	case FLEXLM_BY_HOST_GROUP:
		return add_named_group(w, rule, counted);
	case FLEXLM_BY_DISPLAY:
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "no display is known here: a seat knows its user, host, "
		    "device and address");
		return false;
	case FLEXLM_BY_PROJECT:
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "no project (LM_PROJECT) is known here: a seat knows its "
		    "user, host, device and address");
		return false;
	case FLEXLM_NOBODY:
		break;
	}
	return false;
}

/* --- overlaps --------------------------------------------------------------- */

static bool
share_user(struct flexlm_work *w, const struct record_list *a,
    const struct record_list *b)
{
	const struct policy_user *x = a->items, *y = b->items;

	w->steps += (uint64_t)a->count * b->count;
	if (w->steps > STEPS_MAX)
		return a->count > 0 && b->count > 0;
	for (uint32_t i = 0; i < a->count; i++)
		for (uint32_t k = 0; k < b->count; k++)
			if (strcmp(x[i].user, y[k].user) == 0)
				return true;
	return false;
}

static bool
share_host(struct flexlm_work *w, const struct record_list *a,
    const struct record_list *b)
{
	const struct policy_host *x = a->items, *y = b->items;

	w->steps += (uint64_t)a->count * b->count;
	if (w->steps > STEPS_MAX)
		return a->count > 0 && b->count > 0;
	for (uint32_t i = 0; i < a->count; i++)
		for (uint32_t k = 0; k < b->count; k++)
			if (strcmp(x[i].host, y[k].host) == 0)
				return true;
	return false;
}

/* A rule for a reservation has one user, one host or one group, and a host may
 * stand there with its domain and without. */
static void
members_of(struct record_list out[2], struct flexlm_work *w,
    const struct policy_rule *rule)
{
	const struct policy_group_name *names = rule->groups.items;
	const struct policy_group *groups = w->policy->groups.items;

	out[0] = rule->users;
	out[1] = rule->hosts;
	for (uint32_t i = 0;
	     rule->groups.count > 0 && i < w->policy->groups.count; i++)
		if (strcmp(groups[i].name, names[0].group) == 0) {
			out[0] = groups[i].users;
			out[1] = groups[i].hosts;
		}
}

bool
flexlm_overlap(struct flexlm_work *w, const struct policy_rule *a,
    const struct policy_rule *b)
{
	struct record_list x[2], y[2];

	members_of(x, w, a);
	members_of(y, w, b);
	/* A user may sit at any host. */
	return (x[0].count > 0 && y[1].count > 0) ||
	    (x[1].count > 0 && y[0].count > 0) || share_user(w, &x[0], &y[0]) ||
	    share_host(w, &x[1], &y[1]);
}
