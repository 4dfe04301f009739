/*
 * What the process around asks of the core about usage: limits of metrics and
 * what vendors say of licenses, as they are now, and the names behind ids. It
 * must not know how they are stored.
 */
#ifndef APPLIANCE_LEDGER_LEDGER_USAGE_H
#define APPLIANCE_LEDGER_LEDGER_USAGE_H

#include "appliance/ledger/ledger.h"

struct ledger_limit {
	uint64_t license;
	uint32_t place; /* in the license, from 0 */
	uint64_t used, amount;
	uint32_t percent;
};
/** Of every license, its limits and its status (enum license_status). */
int ledger_each_limit(struct ledger_view *view, int64_t now_ms,
    int (*limit)(void *ctx, const struct ledger_limit *limit),
    int (*status)(void *ctx, uint64_t license, uint32_t status), void *ctx);

/** The value behind a subject's id, or that it was erased. */
int ledger_subject_name(char *out, size_t size, struct ledger_view *view,
    const uint8_t id[SUBJECT_BYTES]);

/** Groups of the policy in force, whose users are told by name. */
struct ledger_groups;
/** Made anew for each question, of what the view sees. No policy, or one whose
 * text is gone, has none. */
int ledger_groups_open(struct ledger_groups **groups, struct ledger_view *view,
    struct arena *arena);
void ledger_groups_close(struct ledger_groups *groups);
uint32_t ledger_groups_count(const struct ledger_groups *groups);
const char *ledger_groups_name(const struct ledger_groups *groups, uint32_t at);
/** Their places, of those that the user is in. `in`: POLICY_GROUPS_MAX. */
uint32_t ledger_groups_of(uint32_t *in, const struct ledger_groups *groups,
    const char *user);

#endif
