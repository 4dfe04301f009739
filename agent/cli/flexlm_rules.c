/* What each option becomes. See flexlm_inside.h. */
#include "agent/cli/flexlm_inside.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static bool
is_about(const struct policy_rule *rule, const struct flexlm_about *about)
{
	return strcmp(rule->product, about->product) == 0 &&
	    strcmp(rule->feature, about->feature) == 0;
}

static void
add_items(struct flexlm_work *w, struct record_list *to,
    const struct record_list *from, size_t size)
{
	for (uint32_t i = 0; i < from->count; i++) {
		void *item = flexlm_add(w, to, size);

		if (item != NULL)
			memcpy(item, (const char *)from->items + i * size,
			    size);
	}
}

/* Groups stand in a rule once. */
static void
add_groups(struct flexlm_work *w, struct policy_rule *to,
    const struct policy_rule *from)
{
	const struct policy_group_name *names = from->groups.items;

	for (uint32_t i = 0; i < from->groups.count; i++) {
		const struct policy_group_name *have = to->groups.items;
		uint32_t k = 0;

		while (k < to->groups.count &&
		    strcmp(have[k].group, names[i].group) != 0)
			k++;
		if (k < to->groups.count)
			continue;
		struct policy_group_name *name =
		    flexlm_add(w, &to->groups, sizeof *name);

		if (name != NULL)
			*name = names[i];
	}
}

static void
add_whom(struct flexlm_work *w, struct policy_rule *to,
    const struct policy_rule *from)
{
	add_groups(w, to, from);
	add_items(w, &to->users, &from->users, sizeof(struct policy_user));
	add_items(w, &to->hosts, &from->hosts, sizeof(struct policy_host));
	add_items(w, &to->addresses, &from->addresses,
	    sizeof(struct policy_address));
}

/* --- lists ------------------------------------------------------------------ */

static const struct list {
	uint32_t kind;
	bool none;
	const char *word;
} include = { POLICY_INCLUDE, false, "include" },
  exclude = { POLICY_EXCLUDE, false, "exclude" },
  no_borrow = { POLICY_BORROW, true, "no-borrow" };

/* All lines that say the same of the same thing are one rule. */
static void
add_to_list(struct flexlm_work *w, const struct list *list,
    const struct flexlm_about *about, const struct policy_rule *whom)
{
	struct policy_rule *rules = w->policy->rules.items, *rule = NULL;

	for (uint32_t i = 0; i < w->policy->rules.count && rule == NULL; i++)
		if (rules[i].kind == list->kind &&
		    rules[i].none == list->none && is_about(&rules[i], about))
			rule = &rules[i];
	if (rule == NULL)
		rule = flexlm_add_rule(w, list->kind, about, list->word);
	if (rule == NULL)
		return;
	rule->none = list->none;
	add_whom(w, rule, whom);
	if (w->remarks[w->at].rule[0] == '\0')
		text_copy(w->remarks[w->at].rule, sizeof w->remarks[w->at].rule,
		    rule->name);
}

/* Who is on no list of a feature that has one gets nothing: so the list is
 * there, if only nobody is on it. */
static void
keep_list(struct flexlm_work *w, struct policy_rule *whom)
{
	bool undefined = w->remarks[w->at].status == FLEXLM_WRONG &&
	    (w->line->type == FLEXLM_BY_GROUP ||
		w->line->type == FLEXLM_BY_HOST_GROUP);

	flexlm_add_nobody(w, whom, undefined ? w->line->name : NULL);
	flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
	    "%s: as it is an INCLUDE, only who else is included gets a seat",
	    undefined ? "it is an empty group here" : "nobody comes in by it");
}

void
flexlm_lists(struct flexlm_work *w)
{
	enum flexlm_option option = w->line->option;
	bool includes = option == FLEXLM_INCLUDE || option == FLEXLM_INCLUDEALL;
	const struct list *list = includes    ? &include
	    : option == FLEXLM_EXCLUDE_BORROW ? &no_borrow
					      : &exclude;
	struct policy_rule whom = { .kind = list->kind };

	if (option == FLEXLM_INCLUDE_BORROW) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "a policy can keep somebody from borrowing, not let only "
		    "some: whom it must not be may be named with "
		    "EXCLUDE_BORROW");
		return;
	}
	if (!flexlm_find_abouts(w))
		return;
	if (!flexlm_add_whom(w, &whom, false)) {
		if (!includes)
			return;
		keep_list(w, &whom);
	}
	for (uint32_t i = 0; i < w->n_abouts; i++)
		add_to_list(w, list, &w->abouts[i], &whom);
}

/* --- max -------------------------------------------------------------------- */

static bool
names_all(struct flexlm_work *w, const struct flexlm_line *line)
{
	if (line->type == FLEXLM_BY_USER)
		return strcmp(line->name, "ALL_USERS") == 0;
	return line->type == FLEXLM_BY_GROUP &&
	    strcmp(line->name, "ALL_GROUPS") == 0 &&
	    flexlm_find_group(w, line->name, false) == NULL;
}

/* Of the lines that name somebody the first counts in FlexNet. False: an
 * earlier one does away with this. */
static bool
is_first(struct flexlm_work *w, const struct flexlm_about *about)
{
	const struct policy_rule *rules = w->policy->rules.items;
	bool all = names_all(w, w->line);

	for (uint32_t i = 0; i < w->policy->rules.count; i++) {
		const struct flexlm_line *line = w->made[i].line;

		if (rules[i].kind != POLICY_MAX || line == w->line ||
		    line->type != w->line->type || !is_about(&rules[i], about))
			continue;
		if (names_all(w, line)) {
			flexlm_say(w, w->at, FLEXLM_VOID,
			    "line %u names %s, and stands before it: FlexNet "
			    "lets that one count",
			    line->number, line->name);
			return false;
		}
		if (strcmp(line->name, w->line->name) == 0) {
			flexlm_say(w, w->at,
			    rules[i].seats == w->line->number_said
				? FLEXLM_TAKEN
				: FLEXLM_DIFFERS,
			    "line %u names the same: here the smaller number "
			    "counts",
			    line->number);
		} else if (all && line->type == FLEXLM_BY_USER &&
		    rules[i].seats > w->line->number_said) {
			flexlm_say(w, w->made[i].at, FLEXLM_DIFFERS,
			    "line %u bounds every user to %u, and all rules "
			    "hold here: none can leave out somebody, so he has "
			    "%u too",
			    w->line->number, (unsigned int)w->line->number_said,
			    (unsigned int)w->line->number_said);
		}
	}
	return true;
}

/* A line of its own names this group for the same. */
static bool
has_own(struct flexlm_work *w, const struct flexlm_about *about,
    const char *group)
{
	const struct policy_rule *rules = w->policy->rules.items;

	for (uint32_t i = 0; i < w->policy->rules.count; i++) {
		const struct policy_group_name *names = rules[i].groups.items;

		if (rules[i].kind == POLICY_MAX && w->made[i].line != w->line &&
		    rules[i].groups.count == 1 && is_about(&rules[i], about) &&
		    strcmp(names[0].group, group) == 0)
			return true;
	}
	return false;
}

static void
max_each_group(struct flexlm_work *w, const struct flexlm_about *about)
{
	for (uint32_t i = 0; i < w->policy->groups.count && w->err == 0; i++) {
		const struct policy_group *groups = w->policy->groups.items;
		struct policy_rule whom = { .kind = POLICY_MAX };
		struct policy_group_name *name;

		if (w->groups[i].of_hosts || w->groups[i].made_up ||
		    has_own(w, about, groups[i].name))
			continue;
		struct policy_rule *rule =
		    flexlm_add_rule(w, POLICY_MAX, about, "max");

		name = flexlm_add(w, &whom.groups, sizeof *name);
		if (rule == NULL || name == NULL)
			return;
		text_copy(name->group, sizeof name->group, groups[i].name);
		rule->seats = (uint32_t)w->line->number_said;
		rule->groups = whom.groups;
	}
}

/* They may hold none: they get none. */
static void
max_none(struct flexlm_work *w, const struct policy_rule *whom)
{
	if (names_all(w, w->line)) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "a bound here is 1 at least, and nobody can be excluded by "
		    "naming everybody");
		return;
	}
	flexlm_say(w, w->at, FLEXLM_TAKEN, "0 is an exclude here");
	for (uint32_t i = 0; i < w->n_abouts; i++)
		add_to_list(w, &exclude, &w->abouts[i], whom);
}

static void
max_about(struct flexlm_work *w, const struct flexlm_about *about,
    const struct policy_rule *whom)
{
	struct policy_rule *rule;

	if (!is_first(w, about))
		return;
	if (w->line->type == FLEXLM_BY_GROUP && names_all(w, w->line)) {
		max_each_group(w, about);
		return;
	}
	rule = flexlm_add_rule(w, POLICY_MAX, about, "max");
	if (rule == NULL)
		return;
	rule->seats = (uint32_t)w->line->number_said;
	if (names_all(w, w->line))
		rule->each = POLICY_EACH_USER;
	else
		add_whom(w, rule, whom);
}

void
flexlm_max(struct flexlm_work *w)
{
	struct policy_rule whom = { .kind = POLICY_MAX };

	if (!flexlm_find_abouts(w))
		return;
	if (!names_all(w, w->line) && !flexlm_add_whom(w, &whom, true))
		return;
	if (w->line->number_said == 0) {
		max_none(w, &whom);
		return;
	}
	if (w->line->number_said > LICENSE_SEATS_MAX) {
		flexlm_say(w, w->at, FLEXLM_NOT_NEEDED,
		    "no license here has so many seats");
		return;
	}
	for (uint32_t i = 0; i < w->n_abouts; i++)
		max_about(w, &w->abouts[i], &whom);
}

/* --- reserve ---------------------------------------------------------------- */

static bool
names_same(const struct flexlm_line *a, const struct flexlm_line *b)
{
	return a->type == b->type && strcmp(a->name, b->name) == 0;
}

/* Reservations for the same ones add up. */
static bool
add_to_reservation(struct flexlm_work *w, const struct flexlm_about *about)
{
	struct policy_rule *rules = w->policy->rules.items;

	for (uint32_t i = 0; i < w->policy->rules.count; i++) {
		if (rules[i].kind != POLICY_RESERVE ||
		    !is_about(&rules[i], about) ||
		    !names_same(w->made[i].line, w->line))
			continue;
		uint64_t seats = rules[i].seats + w->line->number_said;

		if (seats > LICENSE_SEATS_MAX) {
			flexlm_say(w, w->at, FLEXLM_WRONG,
			    "no license here has so many seats");
			return true;
		}
		rules[i].seats = (uint32_t)seats;
		flexlm_say(w, w->at, FLEXLM_TAKEN,
		    "it adds to line %u: %u in all", w->made[i].line->number,
		    rules[i].seats);
		if (w->remarks[w->at].rule[0] == '\0')
			text_copy(w->remarks[w->at].rule,
			    sizeof w->remarks[w->at].rule, rules[i].name);
		return true;
	}
	return false;
}

static void
reserve_about(struct flexlm_work *w, const struct flexlm_about *about,
    const struct policy_rule *whom)
{
	struct policy_rule *rule, *rules;
	uint32_t n = w->policy->rules.count;

	if (add_to_reservation(w, about))
		return;
	rule = flexlm_add_rule(w, POLICY_RESERVE, about, "reserve");
	if (rule == NULL)
		return;
	rule->seats = (uint32_t)w->line->number_said;
	add_whom(w, rule, whom);
	rules = w->policy->rules.items;
	for (uint32_t i = 0; i < n && w->err == 0; i++) {
		if (rules[i].kind != POLICY_RESERVE ||
		    !is_about(&rules[i], about) ||
		    !flexlm_overlap(w, &rules[i], rule))
			continue;
		flexlm_say(w, w->at, FLEXLM_DIFFERS,
		    "whom line %u names as well fills both reservations with "
		    "one seat here, and one of them in FlexNet",
		    w->made[i].line->number);
		break;
	}
}

void
flexlm_reserve(struct flexlm_work *w)
{
	struct policy_rule whom = { .kind = POLICY_RESERVE };

	if (w->line->number_said == 0 ||
	    w->line->number_said > LICENSE_SEATS_MAX) {
		flexlm_say(w, w->at, FLEXLM_WRONG,
		    w->line->number_said == 0
			? "it reserves nothing"
			: "no license here has so many seats");
		return;
	}
	if (!flexlm_find_abouts(w) || !flexlm_add_whom(w, &whom, true))
		return;
	for (uint32_t i = 0; i < w->n_abouts; i++)
		reserve_about(w, &w->abouts[i], &whom);
}

/* --- bounds for everybody ------------------------------------------------------ */

/* What a rule says here that an option says with one number. */
static const struct bound {
	enum flexlm_option option;
	uint32_t kind;
	const char *word;
	size_t offset; /* of the field in a rule */
	uint64_t unit, most;
	bool last; /* of several the last counts, as in FlexNet */
	bool least; /* of several the smallest counts here, not the largest */
	const char *above; /* why more is not taken */
} bounds[] = {
	{ FLEXLM_TIMEOUT, POLICY_IDLE, "idle",
	    offsetof(struct policy_rule, idle_s), 1, POLICY_IDLE_MAX_S, false,
	    true, "an idle time here is 2592000 s at most" },
	{ FLEXLM_TIMEOUTALL, POLICY_IDLE, "idle",
	    offsetof(struct policy_rule, idle_s), 1, POLICY_IDLE_MAX_S, false,
	    true, "an idle time here is 2592000 s at most" },
	{ FLEXLM_LINGER, POLICY_LINGER, "linger",
	    offsetof(struct policy_rule, linger_s), 1, POLICY_LINGER_MAX_S,
	    false, false, "a seat lingers here for 86400 s at most" },
	{ FLEXLM_MAX_BORROW_HOURS, POLICY_BORROW, "borrow",
	    offsetof(struct policy_rule, longest_s), 3600, LICENSE_BORROW_MAX_S,
	    true, false, NULL },
	{ FLEXLM_BORROW_LOWWATER, POLICY_BORROW, "keep",
	    offsetof(struct policy_rule, keep), 1, LICENSE_SEATS_MAX, false,
	    false, NULL },
};

static uint32_t *
field_of(struct policy_rule *rule, const struct bound *bound)
{
	return (uint32_t *)(void *)((char *)rule + bound->offset);
}

/* Something was said of it before. False: nothing was. */
static bool
is_said_again(struct flexlm_work *w, const struct bound *bound,
    const struct flexlm_about *about, uint32_t value)
{
	struct policy_rule *rules = w->policy->rules.items;

	for (uint32_t i = 0; i < w->policy->rules.count; i++) {
		if (w->made[i].option != bound->option ||
		    !is_about(&rules[i], about))
			continue;
		uint32_t *field = field_of(&rules[i], bound);

		if (bound->last) {
			flexlm_say(w, w->made[i].at, FLEXLM_VOID,
			    "the last such line counts: line %u",
			    w->line->number);
			w->made[i].at = w->at;
		} else if (*field != value) {
			flexlm_say(w, w->at, FLEXLM_DIFFERS,
			    "line %u says another number: here the %s one "
			    "holds",
			    w->made[i].line->number,
			    bound->least ? "smaller" : "larger");
		}
		if (bound->last || (value < *field) == bound->least)
			*field = value;
		if (w->remarks[w->at].rule[0] == '\0')
			text_copy(w->remarks[w->at].rule,
			    sizeof w->remarks[w->at].rule, rules[i].name);
		return true;
	}
	return false;
}

static void
set_bound(struct flexlm_work *w, const struct bound *bound)
{
	uint64_t most = bound->most / bound->unit;

	if (w->line->number_said == 0) {
		flexlm_say(w, w->at,
		    bound->last ? FLEXLM_WRONG : FLEXLM_NOT_NEEDED,
		    bound->last ? "it must be 1 at least"
				: "0 is as without it");
		return;
	}
	if (w->line->number_said > most && bound->above != NULL) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL, "%s", bound->above);
		return;
	}
	if (w->line->number_said > most)
		flexlm_say(w, w->at, FLEXLM_TAKEN,
		    "no license here allows so much");
	uint32_t value =
	    (uint32_t)((w->line->number_said < most ? w->line->number_said
						    : most) *
		bound->unit);

	if (!flexlm_find_abouts(w))
		return;
	for (uint32_t i = 0; i < w->n_abouts; i++) {
		if (is_said_again(w, bound, &w->abouts[i], value))
			continue;
		struct policy_rule *rule =
		    flexlm_add_rule(w, bound->kind, &w->abouts[i], bound->word);

		if (rule != NULL)
			*field_of(rule, bound) = value;
	}
}

void
flexlm_bounds(struct flexlm_work *w)
{
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
		if (bounds[i].option == w->line->option) {
			set_bound(w, &bounds[i]);
			return;
		}
	if (w->line->option == FLEXLM_MAX_OVERDRAFT)
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "overage is bounded by the license (max_overage) alone");
}

/* A time for one feature that is longer than that for all has no effect here.
 */
void
flexlm_compare_idle(struct flexlm_work *w)
{
	const struct policy_rule *rules = w->policy->rules.items;

	for (uint32_t i = 0; i < w->policy->rules.count; i++)
		for (uint32_t k = 0; w->made[i].option == FLEXLM_TIMEOUT &&
		     k < w->policy->rules.count;
		     k++) {
			if (w->made[k].option != FLEXLM_TIMEOUTALL ||
			    rules[k].idle_s >= rules[i].idle_s ||
			    (rules[k].product[0] != '\0' &&
				strcmp(rules[k].product, rules[i].product) !=
				    0))
				continue;
			flexlm_say(w, w->made[i].at, FLEXLM_DIFFERS,
			    "line %u says %u s for all features, and the "
			    "smallest time holds here",
			    w->made[k].line->number, rules[k].idle_s);
			break;
		}
}
