/*
 * What the users of each group had, from the lines of users: rows name no group,
 * so it is who is in it by the policy in force when it is asked. Somebody who is
 * in two groups counts in both. How many seats a group held at once cannot be
 * known from hours of single users, and refusals name no user in the rollups:
 * both are left out. It must not know requests.
 */
#ifndef APPLIANCE_LEDGER_METERING_GROUPS_H
#define APPLIANCE_LEDGER_METERING_GROUPS_H

#include "appliance/metering/metering.h"
#include "shared/rpc/messages_usage.h"

struct ledger_view;

/** Groups times days, or months, of one question. */
#define METERING_GROUP_CELLS_MAX 65536

struct metering_groups_question {
	struct metering_question lines; /* scope USER; step not HOUR */
	uint64_t after; /* lines of earlier pages */
	uint32_t limit;
};
/** A page, by license, feature, group and time; `items` has room for `limit`.
 * ERR_TOO_LARGE: more than METERING_GROUP_CELLS_MAX. */
int metering_list_groups(struct usage_page *reply, struct usage_line *items,
    const struct metering_groups_question *question, struct metering *metering,
    struct ledger_view *view, struct arena *arena);

#endif
