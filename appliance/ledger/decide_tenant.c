/* Decide on the tenant itself, and on what it may have; see limits.h. */
#include "appliance/ledger/limits.h"

#include "appliance/ledger/ledger_key.h"
#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

/* Made by the process alone, of what the site's store has. */
const struct record ledger_tenant_change_record = {
	.name = "ledger_tenant_change",
	.version = 1,
	.size = sizeof(struct ledger_tenant_change),
};

int
decide_tenant(struct batch *batch, struct command *command)
{
	const struct ledger_tenant_change *request = command->request;
	uint8_t reason[SUBJECT_BYTES] = { 0 };
	struct state_tenant before;
	int err = state_tenant(&before, &batch->state);

	/* A crash came after the row, and before the site's store knew. */
	if (err != 0 || request->row.revision <= before.revision)
		return err;
	if (request->reason[0] != '\0')
		err = decide_subject(reason, batch, SUBJECT_REASON,
		    request->reason, command->entropy);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_TENANT_CHANGED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.tenant_changed = request->row;
	memcpy(row->u.tenant_changed.reason, reason, sizeof reason);
	return batch_emit(batch);
}

int
ledger_tenant_facts(struct ledger_tenant_facts *out, struct ledger_view *view)
{
	struct state_tenant tenant;
	int err = state_tenant(&tenant, &view->state);

	*out = (struct ledger_tenant_facts){
		.revision = tenant.revision,
		.suspended = tenant.suspended,
		.limits = tenant.limits,
	};
	return err;
}

/* --- counting -------------------------------------------------------------- */

static int
count_device(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct ledger_tally *tally = ctx;
	struct state_device device;
	int err = state_device_read(&device, key, value);

	if (err == 0 && device.state != DEVICE_REVOKED)
		tally->n[device.class_ == PROOF_KEY ? LIMIT_KEYS
						    : LIMIT_DEVICES]++;
	return err;
}

static int
count_user(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct ledger_tally *tally = ctx;
	struct state_user user;
	int err = state_user_read(&user, key, value);

	if (err == 0 && user.state != USER_REMOVED)
		tally->n[LIMIT_USERS]++;
	return err;
}

static int
count_all(struct ledger_tally *tally, const struct state *state)
{
	*tally = (struct ledger_tally){ .known = false };
	int err = store_each(&state->txn, STORE_DEVICES, NULL, 0, count_device,
	    tally);

	if (err == 0)
		err = store_each(&state->txn, STORE_USERS, NULL, 0, count_user,
		    tally);
	tally->known = err == 0;
	return err;
}

int
ledger_tenant_has(struct ledger_tenant_has *out, struct ledger_view *view)
{
	struct ledger_tally tally;
	int err = count_all(&tally, &view->state);

	*out = (struct ledger_tenant_has){
		.devices = tally.n[LIMIT_DEVICES],
		.keys = tally.n[LIMIT_KEYS],
		.users = tally.n[LIMIT_USERS],
	};
	return err;
}

uint64_t
ledger_tenant_made(const struct ledger_view *view)
{
	return view->state.counters.next_device;
}

/* Who goes is rare, and then all are counted anew. A device that enrolls again
 * has its number already. */
void
limits_note(struct batch *batch, const struct row *row)
{
	struct ledger_tally *tally = &batch->ledger->tally;

	if (row->kind == ROW_DEVICE_ENROLLED &&
	    row->u.device_enrolled.device == batch->state.counters.next_device)
		tally->n[LIMIT_DEVICES]++;
	else if (row->kind == ROW_KEY_CREATED)
		tally->n[LIMIT_KEYS]++;
	else if (row->kind == ROW_USER_CREATED)
		tally->n[LIMIT_USERS]++;
	else if (row->kind == ROW_DEVICE_REVOKED ||
	    (row->kind == ROW_USER_CHANGED &&
		row->u.user_changed.state == USER_REMOVED))
		tally->known = false;
}

int
decide_limit(struct batch *batch, struct command *command, enum limit limit)
{
	static const struct {
		const char *what, *field, *option, *hint;
	} limits[] = {
		[LIMIT_DEVICES] = { "devices", "devices", "--devices",
		    "leasehold device revoke" },
		[LIMIT_KEYS] = { "API keys", "keys", "--keys",
		    "leasehold key revoke" },
		[LIMIT_USERS] = { "users", "users", "--users",
		    "leasehold user remove" },
	};
	struct ledger_tally *tally = &batch->ledger->tally;
	struct state_tenant tenant;
	char hint[160];
	int err = state_tenant(&tenant, &batch->state);

	if (err != 0)
		return err;
	const uint32_t most[] = {
		[LIMIT_DEVICES] = tenant.limits.devices,
		[LIMIT_KEYS] = tenant.limits.keys,
		[LIMIT_USERS] = tenant.limits.users,
	};

	if (most[limit] == 0)
		return 0;
	if (!tally->known)
		err = count_all(tally, &batch->state);
	if (err != 0 || tally->n[limit] < most[limit])
		return err;
	snprintf(hint, sizeof hint,
	    "make room: %s; or ask who runs the site: leasehold tenant set %s "
	    "%s N",
	    limits[limit].hint, batch->ledger->tenant, limits[limit].option);
	return decide_refuse_field(command, limits[limit].field,
	    ERR_QUOTA_EXCEEDED, hint,
	    "this tenant may have %u %s, and has %llu", most[limit],
	    limits[limit].what, (unsigned long long)tally->n[limit]);
}
