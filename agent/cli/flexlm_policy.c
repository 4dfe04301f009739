/* From an options file to a policy: the frame. See flexlm_policy.h. */
#include "agent/cli/flexlm_inside.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- what a feature is here ------------------------------------------------- */

const char *
flexlm_read_target(struct flexlm_target *out, const char *text,
    struct arena *arena)
{
	const char *equal = strrchr(text, '=');
	const char *slash;

	*out = (struct flexlm_target){ .product = "" };
	if (equal == NULL || equal == text)
		return "is not NAME=PRODUCT or NAME=PRODUCT/FEATURE";
	char *name = arena_copy(arena, text, (size_t)(equal - text));

	if (name == NULL)
		return "is too much for the memory allowed";
	const char *error = flexlm_read_feature(&out->from, name, arena);

	if (error != NULL)
		return error;
	slash = strchr(equal + 1, '/');
	if (slash == NULL)
		slash = equal + strlen(equal);
	if (slash == equal + 1 ||
	    !text_copy_n(out->product, sizeof out->product, equal + 1,
		(size_t)(slash - equal - 1)))
		return "has no product of 1 to 63 bytes behind the =";
	if (*slash != '\0' &&
	    (slash[1] == '\0' ||
		!text_copy(out->feature, sizeof out->feature, slash + 1)))
		return "has no feature of 1 to 63 bytes behind the /";
	return text_is_printable(text, strlen(text))
	    ? NULL
	    : "has bytes that are no UTF-8 text";
}

static bool
fits(const struct flexlm_feature *line, const struct flexlm_feature *from)
{
	if (strcasecmp(line->name, from->name) != 0)
		return false;
	/* Without a pool all of them are meant. */
	return line->key == NULL ||
	    (from->key != NULL && strcasecmp(line->key, from->key) == 0 &&
		strcmp(line->value, from->value) == 0);
}

static void
add_about(struct flexlm_work *w, const char *product, const char *feature)
{
	for (uint32_t i = 0; i < w->n_abouts; i++)
		if (strcmp(w->abouts[i].product, product) == 0 &&
		    strcmp(w->abouts[i].feature, feature) == 0)
			return;
	if (w->n_abouts == FLEXLM_PARTS_MAX) {
		flexlm_say(w, w->at, FLEXLM_DIFFERS,
		    "only the first %d parts of the package are meant",
		    FLEXLM_PARTS_MAX);
		return;
	}
	w->abouts[w->n_abouts++] =
	    (struct flexlm_about){ .product = product, .feature = feature };
}

static void
find_all(struct flexlm_work *w)
{
	for (uint32_t i = 0; i < w->map->n_all; i++)
		add_about(w, w->map->all[i], "");
	if (w->n_abouts == 0 && w->map->product != NULL)
		add_about(w, w->map->product, "");
	if (w->n_abouts > 0)
		return;
	add_about(w, "", "");
	flexlm_say(w, w->at, FLEXLM_DIFFERS,
	    "in FlexNet it is about the features of one vendor daemon, here "
	    "about every product: name that vendor's with --all PRODUCT,...");
}

/* A name that nothing was said of. */
static bool
assume(struct flexlm_work *w)
{
	const char *name = w->line->feature.name;

	if (strlen(name) > 63) {
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "its feature's name is longer than 63 bytes: say which "
		    "product it is with --feature NAME=PRODUCT");
		return false;
	}
	if (w->map->product != NULL)
		add_about(w, w->map->product, name);
	else
		add_about(w, name, "");
	return true;
}

bool
flexlm_find_abouts(struct flexlm_work *w)
{
	const struct flexlm_feature *feature = &w->line->feature;
	const struct flexlm_target *targets = w->map->targets;

	w->n_abouts = 0;
	if (feature->name == NULL) {
		find_all(w);
		return true;
	}
	for (uint32_t i = 0; i < w->map->n_targets; i++)
		if (fits(feature, &targets[i].from))
			add_about(w, targets[i].product, targets[i].feature);
	if (w->n_abouts > 0)
		return true;
	if (feature->key == NULL)
		return assume(w);
	flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
	    "it is about one pool of the feature, and seats of a product have "
	    "no pools here; if one product or feature is that pool, say so: "
	    "--feature '%.40s:%s%s%.40s=PRODUCT'",
	    feature->name, feature->key, feature->value[0] != '\0' ? "=" : "",
	    feature->value);
	return false;
}

struct policy_rule *
flexlm_add_rule(struct flexlm_work *w, uint32_t kind,
    const struct flexlm_about *about, const char *word)
{
	uint32_t n = w->policy->rules.count;
	char what[40];

	if (w->err == 0 && n == POLICY_RULES_MAX) {
		flexlm_add_note(w,
		    "Line %u makes more than %d rules, which is all that a "
		    "policy has.",
		    w->line->number, POLICY_RULES_MAX);
		w->err = ERR_TOO_LARGE;
	}
	struct policy_rule *rule =
	    flexlm_add(w, &w->policy->rules, sizeof *rule);

	if (rule == NULL)
		return NULL;
	w->made[n] = (struct flexlm_made){ .line = w->line,
		.at = w->at,
		.option = w->line->option };
	rule->kind = kind;
	text_copy(rule->product, sizeof rule->product, about->product);
	text_copy(rule->feature, sizeof rule->feature, about->feature);
	snprintf(what, sizeof what, "%s",
	    about->feature[0] != '\0'       ? about->feature
		: about->product[0] != '\0' ? about->product
					    : "all");
	flexlm_mend(what);
	snprintf(rule->name, sizeof rule->name, "%s-%s-%u", word, what,
	    w->line->number);
	if (w->names++ > 0) {
		size_t len = strlen(rule->name);

		snprintf(rule->name + len, sizeof rule->name - len, ".%u",
		    w->names);
	}
	if (w->remarks[w->at].rule[0] == '\0')
		text_copy(w->remarks[w->at].rule, sizeof w->remarks[w->at].rule,
		    rule->name);
	return rule;
}

/* --- what the file sets for itself ------------------------------------------- */

static bool
has_group(const struct flexlm_file *file)
{
	for (uint32_t i = 0; i < file->count; i++)
		if (file->lines[i].option == FLEXLM_GROUP &&
		    file->lines[i].error == NULL)
			return true;
	return false;
}

/* Of several the last counts. */
static void
set_switch(struct flexlm_work *w, enum flexlm_option option, const char *on,
    const char *off, bool *value)
{
	const struct flexlm_line *lines = w->file->lines;
	uint32_t last = UINT32_MAX;

	for (uint32_t i = 0; i < w->file->count; i++) {
		if (lines[i].option != option || lines[i].error != NULL)
			continue;
		bool is_on = strcasecmp(lines[i].name, on) == 0;

		if (!is_on && strcasecmp(lines[i].name, off) != 0) {
			flexlm_say(w, i, FLEXLM_WRONG, "is %s or %s", on, off);
			continue;
		}
		if (last != UINT32_MAX)
			flexlm_say(w, last, FLEXLM_VOID,
			    "the last such line counts: line %u",
			    lines[i].number);
		last = i;
		*value = is_on;
	}
}

static void
set_switches(struct flexlm_work *w)
{
	set_switch(w, FLEXLM_FQDN_MATCHING, "lenient", "exact", &w->lenient);
	set_switch(w, FLEXLM_GROUPCASEINSENSITIVE, "ON", "OFF",
	    &w->ignore_case);
	w->ignore_case = w->ignore_case && has_group(w->file);
	w->policy->ignore_case = w->ignore_case;
}

/* --- a line ----------------------------------------------------------------- */

static void
translate_line(struct flexlm_work *w)
{
	static const char none[] =
	    "the journal keeps every checkout, return and refusal, and "
	    "`leasehold audit` reads it";

	switch (w->line->option) {
	case FLEXLM_INCLUDE:
	case FLEXLM_INCLUDEALL:
	case FLEXLM_EXCLUDE:
	case FLEXLM_EXCLUDEALL:
	case FLEXLM_INCLUDE_BORROW:
	case FLEXLM_EXCLUDE_BORROW:
		flexlm_lists(w);
		return;
	case FLEXLM_MAX:
		flexlm_max(w);
		return;
	case FLEXLM_RESERVE:
		flexlm_reserve(w);
		return;
	case FLEXLM_TIMEOUT:
	case FLEXLM_TIMEOUTALL:
	case FLEXLM_LINGER:
	case FLEXLM_MAX_BORROW_HOURS:
	case FLEXLM_BORROW_LOWWATER:
	case FLEXLM_MAX_OVERDRAFT:
		flexlm_bounds(w);
		return;
	case FLEXLM_ENTITLEMENT:
		flexlm_say(w, w->at, FLEXLM_NO_EQUAL,
		    "there is no trusted storage and no activation from it "
		    "here");
		return;
	case FLEXLM_DEBUGLOG:
	case FLEXLM_REPORTLOG:
		flexlm_say(w, w->at, FLEXLM_NOT_NEEDED, "%s", none);
		return;
	case FLEXLM_NOLOG:
		flexlm_say(w, w->at, FLEXLM_NOT_NEEDED,
		    "there is no debug log to keep small: %s", none);
		return;
	case FLEXLM_DAEMON:
		flexlm_say(w, w->at, FLEXLM_NOT_NEEDED,
		    "it is about the vendor daemon, and there is none here");
		return;
	case FLEXLM_GROUP:
	case FLEXLM_HOST_GROUP:
	case FLEXLM_GROUPCASEINSENSITIVE:
	case FLEXLM_FQDN_MATCHING:
	case FLEXLM_UNKNOWN:
		return;
	}
}

static void
translate_lines(struct flexlm_work *w)
{
	for (uint32_t i = 0; i < w->file->count && w->err == 0; i++) {
		w->line = &w->file->lines[i];
		w->at = i;
		w->names = 0;
		if (w->line->error != NULL) {
			flexlm_say(w, i, FLEXLM_WRONG, "%s", w->line->error);
			continue;
		}
		if (w->line->bytes > FLEXLM_LINE_BYTES)
			flexlm_say(w, i, FLEXLM_DIFFERS,
			    "it has %u bytes: FlexNet reads %d of them, here "
			    "all are meant",
			    w->line->bytes, FLEXLM_LINE_BYTES);
		translate_line(w);
	}
}

/* --- the file as a whole ------------------------------------------------------ */

/* Is the line in work about it? */
static bool
is_meant(const struct flexlm_work *w, const char *product, const char *feature)
{
	for (uint32_t i = 0; i < w->n_abouts; i++)
		if (strcmp(w->abouts[i].product, product) == 0 &&
		    strcmp(w->abouts[i].feature, feature) == 0)
			return true;
	return false;
}

/* A rule about a product is about its features too; FlexNet knows no such
 * thing. */
static void
find_within(struct flexlm_work *w)
{
	const struct policy_rule *rules = w->policy->rules.items;

	for (uint32_t k = 0; k < w->policy->rules.count; k++) {
		/* What counts would count them twice. */
		if (rules[k].feature[0] == '\0' ||
		    !is_meant(w, rules[k].product, "") ||
		    (w->line->option != FLEXLM_MAX &&
			is_meant(w, rules[k].product, rules[k].feature)))
			continue;
		flexlm_say(w, w->at, FLEXLM_DIFFERS,
		    "a rule about %s is about its feature %s too, that of line "
		    "%u",
		    rules[k].product, rules[k].feature,
		    w->made[k].line->number);
		return;
	}
}

/* Reservations are of a product's own seats alone; options for all features are
 * about all of it. */
static void
find_all_within(struct flexlm_work *w)
{
	for (uint32_t i = 0; i < w->file->count; i++) {
		w->line = &w->file->lines[i];
		w->at = i;
		if (w->line->error == NULL && w->line->feature.name != NULL &&
		    w->line->option != FLEXLM_RESERVE &&
		    w->remarks[i].rule[0] != '\0' && flexlm_find_abouts(w))
			find_within(w);
	}
}

static uint64_t
count_members(const struct policy_document *policy)
{
	const struct policy_group *groups = policy->groups.items;
	const struct policy_rule *rules = policy->rules.items;
	uint64_t n = 0;

	for (uint32_t i = 0; i < policy->groups.count; i++)
		n += (uint64_t)groups[i].users.count + groups[i].hosts.count +
		    groups[i].addresses.count;
	for (uint32_t i = 0; i < policy->rules.count; i++)
		n += (uint64_t)rules[i].users.count + rules[i].hosts.count +
		    rules[i].addresses.count;
	return n;
}

static bool
has_kind(const struct policy_document *policy, uint32_t kind)
{
	const struct policy_rule *rules = policy->rules.items;

	for (uint32_t i = 0; i < policy->rules.count; i++)
		if (rules[i].kind == kind)
			return true;
	return false;
}

static void
sum_up(struct flexlm_work *w)
{
	struct flexlm_report *report = w->report;
	uint32_t *const sums[] = { &report->taken, &report->not_needed,
		&report->without_effect, &report->differs, &report->no_equal,
		&report->wrong };

	for (uint32_t i = 0; i < report->lines.count; i++)
		(*sums[w->remarks[i].status])++;
	if (has_kind(w->policy, POLICY_IDLE))
		flexlm_add_note(w,
		    "Idle are, as in FlexNet, only applications that say "
		    "whether they are worked with (lh_seat_active).");
	if (w->hosts)
		flexlm_add_note(w,
		    "Names of hosts are compared without regard to case here, "
		    "in FlexNet with it.");
	if (w->map->product == NULL && w->map->n_targets == 0 &&
	    w->policy->rules.count > 0)
		flexlm_add_note(w,
		    "Each feature is taken for a product of the same name. "
		    "Where it is not: --feature NAME=PRODUCT[/FEATURE], or "
		    "--product PRODUCT for all that are its features.");
}

static int
translate(struct flexlm_work *w)
{
	struct flexlm_report *report = w->report;

	w->remarks = arena_alloc(w->arena, w->file->count * sizeof *w->remarks);
	if (w->remarks == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < w->file->count; i++)
		flexlm_start_remark(&w->remarks[i], &w->file->lines[i]);
	report->lines = (struct record_list){ w->remarks, w->file->count };
	set_switches(w);
	flexlm_make_groups(w);
	translate_lines(w);
	if (w->err == 0)
		flexlm_compare_idle(w);
	if (w->err == 0)
		find_all_within(w);
	if (w->err == 0 && count_members(w->policy) > POLICY_MEMBERS_MAX) {
		flexlm_add_note(w,
		    "There are more than %d users, hosts and addresses, which "
		    "is all that a policy has.",
		    POLICY_MEMBERS_MAX);
		w->err = ERR_TOO_LARGE;
	}
	int err = w->err;

	sum_up(w);
	return err;
}

int
flexlm_translate(struct policy_document *policy, struct flexlm_report *report,
    const struct flexlm_file *file, const struct flexlm_map *map,
    struct arena *arena)
{
	struct flexlm_work *w = calloc(1, sizeof *w);

	memset(policy, 0, sizeof *policy);
	memset(report, 0, sizeof *report);
	if (w == NULL)
		return ERR_NOMEM;
	w->arena = arena;
	w->map = map;
	w->file = file;
	w->policy = policy;
	w->report = report;
	int err = translate(w);

	free(w);
	return err;
}
