/* Who is in which group, as the policy in force says now: rows name no group. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_usage.h"
#include "appliance/ledger/policy.h"
#include "appliance/ledger/subjects.h"

#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

struct ledger_groups {
	struct policy_document document; /* in the caller's arena */
	struct policy *policy; /* NULL: there is none */
};

/* ERR_NOT_FOUND_INTERNAL: none is in force, or its text was erased. */
static int
read_document(struct policy_document *document, struct ledger_view *view,
    struct arena *arena)
{
	struct state_policy newest;
	int err = state_policy_newest(&newest, &view->state);

	if (err == 0 && newest.version == 0)
		return ERR_NOT_FOUND_INTERNAL;
	return err == 0 ? policy_text_get(document, &view->state,
			      view->ledger->sealed, newest.version, arena)
			: err;
}

int
ledger_groups_open(struct ledger_groups **groups, struct ledger_view *view,
    struct arena *arena)
{
	struct ledger_groups *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return ERR_NOMEM;
	int err = read_document(&made->document, view, arena);

	if (err == 0)
		err = policy_compile(&made->policy, &made->document, NULL);
	else if (err == ERR_NOT_FOUND_INTERNAL || err == ERR_NOT_FOUND) {
		memset(&made->document, 0, sizeof(made->document));
		err = 0;
	}
	if (err != 0) {
		free(made);
		return err;
	}
	*groups = made;
	return 0;
}

void
ledger_groups_close(struct ledger_groups *groups)
{
	if (groups == NULL)
		return;
	policy_free(groups->policy);
	free(groups);
}

uint32_t
ledger_groups_count(const struct ledger_groups *groups)
{
	return groups->document.groups.count;
}

const char *
ledger_groups_name(const struct ledger_groups *groups, uint32_t at)
{
	const struct policy_group *items = groups->document.groups.items;

	return items[at].name;
}

uint32_t
ledger_groups_of(uint32_t *in, const struct ledger_groups *groups,
    const char *user)
{
	/* Whose name is gone is in no group. */
	return groups->policy == NULL || strcmp(user, SUBJECT_ERASED) == 0
	    ? 0
	    : policy_user_groups(in, groups->policy, &groups->document, user);
}
