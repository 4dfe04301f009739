/* What the files of flexlm_policy.h share; nothing else includes it. */
#ifndef AGENT_CLI_FLEXLM_INSIDE_H
#define AGENT_CLI_FLEXLM_INSIDE_H

#include "agent/cli/flexlm_policy.h"

/** Parts of one package. */
#define FLEXLM_PARTS_MAX 256

/** What a line is about here. */
struct flexlm_about {
	const char *product; /* "": all */
	const char *feature; /* "": all of it */
};

/** A rule, and where it is from. */
struct flexlm_made {
	const struct flexlm_line *line; /* the first */
	uint32_t at; /* its remark */
	enum flexlm_option option;
};

struct flexlm_work {
	struct arena *arena;
	const struct flexlm_map *map;
	const struct flexlm_file *file;
	struct policy_document *policy;
	struct flexlm_report *report;
	struct flexlm_remark *remarks; /* one a line */
	struct flexlm_made made[POLICY_RULES_MAX]; /* one a rule */
	struct flexlm_named {
		const char *name; /* in the file; NULL: flexlm_add_nobody() */
		bool of_hosts;
		bool made_up; /* no line says who is in it: nobody */
	} groups[POLICY_GROUPS_MAX]; /* one a group */
	struct flexlm_about abouts[FLEXLM_PARTS_MAX]; /* of the line in work */
	uint32_t n_abouts;
	const struct flexlm_line *line; /* the one in work */
	uint32_t at; /* its place */
	bool lenient; /* FQDN_MATCHING */
	bool ignore_case; /* GROUPCASEINSENSITIVE, and there is a GROUP */
	bool hosts; /* some are named */
	uint64_t steps; /* spent on looking for overlaps */
	uint32_t names; /* rules so far of the line in work */
	int err; /* the first; then nothing more is made */
};

/** As it is before anything is said of the line. */
void flexlm_start_remark(struct flexlm_remark *remark,
    const struct flexlm_line *line);
/** It is at least that, and why; NULL: there is nothing to say. */
void flexlm_say(struct flexlm_work *w, uint32_t at, enum flexlm_status status,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
void flexlm_add_note(struct flexlm_work *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** One more item, zeroed; NULL: w->err says why. */
void *flexlm_add(struct flexlm_work *w, struct record_list *list, size_t size);

/** What the line's feature is here, into w->abouts; of ALL options too. False:
 * said. */
bool flexlm_find_abouts(struct flexlm_work *w);
/** Put another byte where text is no UTF-8, as where it was cut. */
void flexlm_mend(char *text);

/** Groups of the file, one for each name, before any rule. */
void flexlm_make_groups(struct flexlm_work *w);
/** A group of the policy that came of this one; NULL: none did. */
struct policy_group *flexlm_find_group(struct flexlm_work *w, const char *name,
    bool of_hosts);

/** Add whom the line names to a rule. `counted`: by what leases keep. False:
 * they have no equal, which is said, and nobody was added. */
bool flexlm_add_whom(struct flexlm_work *w, struct policy_rule *rule,
    bool counted);
/** Nobody, by a group without members: of this name, or (NULL) any. */
void flexlm_add_nobody(struct flexlm_work *w, struct policy_rule *rule,
    const char *group);

/** A new rule about this, or NULL: w->err. */
struct policy_rule *flexlm_add_rule(struct flexlm_work *w, uint32_t kind,
    const struct flexlm_about *about, const char *word);

/** By theme: what an option becomes. */
void flexlm_lists(struct flexlm_work *w); /* INCLUDE, EXCLUDE, and ALL */
void flexlm_max(struct flexlm_work *w);
void flexlm_reserve(struct flexlm_work *w);
void flexlm_bounds(struct flexlm_work *w); /* what has no type */
/** After all lines: TIMEOUT beside TIMEOUTALL. */
void flexlm_compare_idle(struct flexlm_work *w);

/** Do both rules name somebody in common, or might they? */
bool flexlm_overlap(struct flexlm_work *w, const struct policy_rule *a,
    const struct policy_rule *b);

#endif
