/*
 * The tenant itself, within the core: its value in the state, what its row
 * does, and the limits on what it may have. A limit counts as a person would:
 *   devices  enrolled ones that are not revoked, those that wait for approval
 *            included; no API keys
 *   keys     those that are not revoked; expired ones too, for a rotation
 *            makes them good again
 *   users    accounts that are not removed, whoever knows their passwords
 * Who is above a limit that was lowered keeps what he has, and gets no more.
 */
#ifndef APPLIANCE_LEDGER_LIMITS_H
#define APPLIANCE_LEDGER_LIMITS_H

#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_tenant.h"

struct state_tenant {
	uint64_t revision; /* 0: nothing was ever said */
	uint64_t row_number;
	bool suspended;
	struct row_limits limits;
};
/** All zero where there is no row. */
int state_tenant(struct state_tenant *out, const struct state *state);
int fold_tenant_changed(struct state *state, const struct row *row);

extern const struct record ledger_tenant_change_record;
int decide_tenant(struct batch *batch, struct command *command);

enum limit { LIMIT_DEVICES, LIMIT_KEYS, LIMIT_USERS };
/** Before one more: refuses it at the limit. Returns 0 or a fault. Where there
 * is a limit, all are counted once, and from then on as rows come. */
int decide_limit(struct batch *batch, struct command *command,
    enum limit limit);
/** A row is about to be folded: count along. */
void limits_note(struct batch *batch, const struct row *row);

#endif
