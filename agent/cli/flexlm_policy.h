/*
 * What an options file of FlexNet says, as a policy of this site: which rules
 * say the same, and for every line what became of it. Nothing is left out or
 * bent in silence: a line that cannot be said here has its reason, and where
 * only some of it can, what is missing makes the policy stricter, never looser,
 * as far as that is possible. It must not know files, the command line or a
 * site; what the rules mean stands in appliance/ledger/POLICY.md.
 *
 * FlexNet's meaning is that of its License Administration Guide: INCLUDE and
 * INCLUDEALL lines make one list, only who is on it gets the feature, EXCLUDE
 * goes before it; MAX of a group bounds the group as a whole, and of MAX lines
 * the first that fits counts; RESERVE lines for the same ones add up; of
 * MAX_BORROW_HOURS and FQDN_MATCHING the last line counts.
 */
#ifndef AGENT_CLI_FLEXLM_POLICY_H
#define AGENT_CLI_FLEXLM_POLICY_H

#include "agent/cli/flexlm.h"
#include "shared/rpc/messages_policy.h"

/** What a feature of FlexNet is called here. */
struct flexlm_target {
	struct flexlm_feature from;
	char product[64];
	char feature[64]; /* "": the product itself */
};
#define FLEXLM_TARGETS_MAX 1000

struct flexlm_map {
	/** Of a name several: it is a package, and they are its parts. */
	const struct flexlm_target *targets;
	uint32_t n_targets;
	/** Features that are not among them belong to it; NULL: each is a
	 * product of its own, of the same name. */
	const char *product;
	/** What the options for all features are about; none: `product`, or all
	 * there are. */
	const char *const *all;
	uint32_t n_all;
};

/** "NAME=PRODUCT", "NAME=PRODUCT/FEATURE", "f:VERSION=2.0=PRODUCT". NULL, or
 * what is wrong with it. */
const char *flexlm_read_target(struct flexlm_target *out, const char *text,
    struct arena *arena);

/** What became of a line; the worst last. */
enum flexlm_status {
	FLEXLM_TAKEN, /* the policy says the same */
	FLEXLM_NOT_NEEDED, /* it bounds nothing here; nothing is lost */
	FLEXLM_VOID, /* FlexNet does not heed it either */
	FLEXLM_DIFFERS, /* the policy says something near; the reason says what
			   is not the same */
	FLEXLM_NO_EQUAL, /* nothing here says it */
	FLEXLM_WRONG, /* it was not understood */
};
extern const char *const flexlm_status_names[];

struct flexlm_remark {
	uint32_t line;
	uint32_t status; /* enum flexlm_status */
	char option[32];
	char text[160]; /* the line, or its beginning */
	char rule[64]; /* the first that came of it; of GROUP: the group */
	char reason[512]; /* "": there is nothing to say */
};
struct flexlm_note {
	char note[256];
};
struct flexlm_report {
	uint32_t taken, not_needed, without_effect, differs, no_equal, wrong;
	struct record_list lines; /* flexlm_remark, one a line */
	struct record_list notes; /* flexlm_note: of the file as a whole */
};
extern const struct record flexlm_remark_record, flexlm_note_record,
    flexlm_report_record;

/**
 * @param policy  Holds within its bounds; lists lie in the arena.
 * @retval ERR_TOO_LARGE  More groups, rules or members than a policy has; then
 *                        `report->notes` has one that says which.
 * @retval ERR_NOMEM
 */
int flexlm_translate(struct policy_document *policy,
    struct flexlm_report *report, const struct flexlm_file *file,
    const struct flexlm_map *map, struct arena *arena);

#endif
