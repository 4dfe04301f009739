#include "appliance/ledger/fold.h"

#include "appliance/hub/hub.h"
#include "appliance/hub/measured.h"
#include "appliance/hub/reported.h"
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/credits.h"
#include "appliance/ledger/fold_alert.h"
#include "appliance/ledger/fold_key.h"
#include "appliance/ledger/limits.h"
#include "appliance/ledger/linger.h"
#include "appliance/ledger/maintenance_rows.h"
#include "appliance/ledger/metered.h"
#include "appliance/ledger/pools.h"
#include "appliance/ledger/sync.h"
#include "appliance/ledger/update.h"
#include "appliance/ledger/users.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

/* What the state says against a row: the journal or the store is damaged. */
int
fold_contradicted(const struct row *row, const char *why)
{
	log_error("fold", "row %llu (%s) contradicts the state: %s",
	    (unsigned long long)row->number, row_kind_name(row->kind), why);
	return ERR_CORRUPT;
}

/* "No such entry" is a contradiction here. */
static int
must_exist(int err, const struct row *row, const char *what)
{
	return err == ERR_NOT_FOUND_INTERNAL ? fold_contradicted(row, what)
					     : err;
}

/* How many pools the license has had so far. */
static int
pools_before(uint32_t *pools, struct state *state, const struct row *row)
{
	const struct state_license *before;
	struct arena arena = { .chunks = NULL };
	int err = must_exist(state_license(&before, state,
				 row->u.license_installed.license, &arena),
	    row, "there is no such license");

	if (err == 0)
		*pools = before->pools;
	arena_release(&arena);
	return err;
}

static int
fold_license_installed(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_license_installed *r = &row->u.license_installed;
	struct state_license license = { .license = r->license };
	struct state_document document = { r->license, r->issuer_token,
		r->license_token };
	char kid[TOKEN_KID_TEXT];
	int err = 0;

	if (r->license > state->counters.next_license)
		return fold_contradicted(row, "license numbers have a gap");
	if (r->license == state->counters.next_license)
		state->counters.next_license++;
	else
		err = pools_before(&license.pools, state, row);
	if (err != 0)
		return err;
	memcpy(license.digest, r->digest, sizeof license.digest);
	license.document = r->document;
	err = token_kid(kid, r->issuer_token.data, r->issuer_token.len);
	if (err != 0)
		return fold_contradicted(row, "its issuer is no token");
	err = pools_set(state, &license);
	if (err == 0)
		err = state_license_put(state, &license);
	if (err == 0)
		err = state_document_put(state, r->digest, &document);
	if (err == 0)
		err = state_product_put(state, r->document.product.id,
		    r->license);
	if (err == 0)
		err = state_vendor_put(state, r->document.vendor.id, kid);
	if (err == 0)
		err = fold_sync_begins(state, r->document.vendor.id, place);
	return err;
}

static int
fold_join_created(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_join_created *r = &row->u.join_created;
	const struct row_subject *hosts = r->hosts.items;
	const struct row_key *keys = r->keys.items;
	struct state_join join = { .join = r->join,
		.uses = r->uses,
		.class_ = r->class_,
		.approved = r->approved,
		.created_at = place->time,
		.expires_at = r->expires_at,
		.by = r->by,
		.n_hosts = r->hosts.count,
		.n_keys = r->keys.count };

	if (r->join != state->counters.next_join)
		return fold_contradicted(row, "token numbers have a gap");
	if (r->hosts.count > JOIN_HOSTS_MAX)
		return fold_contradicted(row, "it has too many patterns");
	if (r->keys.count > JOIN_KEYS_MAX)
		return fold_contradicted(row, "it has too many keys");
	state->counters.next_join++;
	memcpy(join.id, r->id, sizeof join.id);
	for (uint32_t i = 0; i < r->hosts.count; i++)
		memcpy(join.hosts[i], hosts[i].subject, SUBJECT_BYTES);
	for (uint32_t i = 0; i < r->keys.count; i++)
		memcpy(join.keys[i], keys[i].fingerprint, sizeof join.keys[i]);
	return state_join_put(state, &join);
}

static int
fold_join_revoked(struct state *state, const struct row *row)
{
	struct state_join join;
	int err = must_exist(state_join(&join, state, row->u.join_revoked.join),
	    row, "there is no such join token");

	if (err != 0)
		return err;
	join.revoked = true;
	return state_join_put(state, &join);
}

/* The device as the state has it, in the state that the row gives it. */
static int
put_device(struct state *state, struct state_device *device,
    enum device_state before, enum device_state after)
{
	if (before == DEVICE_PENDING)
		state->counters.pending--;
	if (after == DEVICE_PENDING)
		state->counters.pending++;
	device->state = after;
	return state_device_put(state, device);
}

static bool
is_zero(const uint8_t id[32])
{
	static const uint8_t zero[32];

	return memcmp(id, zero, sizeof zero) == 0;
}

/* A newer device with the same TPM takes the place of one that was revoked; one
 * that comes again with another certificate leaves the old one's. */
static int
put_tpm_id(struct state *state, uint64_t device, enum state_tpm_id what,
    const uint8_t before[32], const uint8_t now[32])
{
	uint64_t holder;
	int err = 0;

	if (!is_zero(before) && memcmp(before, now, 32) != 0) {
		err = state_device_by_tpm(&holder, state, what, before);
		if (err == 0 && holder == device)
			err = state_device_tpm_delete(state, what, before);
		if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0;
	}
	return err != 0 || is_zero(now)
	    ? err
	    : state_device_tpm_put(state, device, what, now);
}

static int
put_tpm(struct state *state, struct state_device *device,
    const struct state_device *before, const struct row_device_enrolled *r)
{
	memcpy(device->ek_id, r->ek_id, sizeof device->ek_id);
	memcpy(device->certificate_id, r->certificate_id,
	    sizeof device->certificate_id);
	memcpy(device->manufacturer, r->manufacturer,
	    sizeof device->manufacturer);
	memcpy(device->issuer, r->issuer, sizeof device->issuer);
	memcpy(device->why, r->reason, sizeof device->why);
	int err = put_tpm_id(state, device->device, STATE_TPM_EK, before->ek_id,
	    r->ek_id);

	return err != 0
	    ? err
	    : put_tpm_id(state, device->device, STATE_TPM_CERTIFICATE,
		  before->certificate_id, r->certificate_id);
}

static int
fold_device_enrolled(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_device_enrolled *r = &row->u.device_enrolled;
	struct state_device device = { .device = r->device,
		.class_ = r->class_,
		.enrolled_at = place->time,
		.join = r->join,
		.public_key_len = r->public_key.len };
	struct state_device before = { .device = 0 };
	/* Its place until it is counted; a new one was nowhere. */
	enum device_state was = DEVICE_APPROVED;
	struct state_join join;
	int err = 0;

	if (r->public_key.len > sizeof device.public_key)
		return fold_contradicted(row, "its key is too long");
	if (r->device > state->counters.next_device)
		return fold_contradicted(row, "device numbers have a gap");
	if (r->device == state->counters.next_device) {
		state->counters.next_device++;
	} else {
		err = must_exist(state_device(&before, state, r->device), row,
		    "there is no such device");
		if (err != 0)
			return err;
		was = before.state;
		device.decided_at = before.decided_at;
	}
	memcpy(device.name, r->name, sizeof device.name);
	memcpy(device.host, r->host, sizeof device.host);
	memcpy(device.public_key, r->public_key.data, r->public_key.len);
	err = must_exist(state_join(&join, state, r->join), row,
	    "there is no such join token");
	if (err != 0)
		return err;
	if (join.used >= join.uses)
		return fold_contradicted(row, "its token was used up");
	join.used++;
	err = state_join_put(state, &join);
	if (err == 0)
		err = put_tpm(state, &device, &before, r);
	if (err == 0)
		err = put_device(state, &device, was,
		    r->approved ? DEVICE_APPROVED : DEVICE_PENDING);
	if (err == 0)
		err = state_device_key_put(state, r->device, r->public_key.data,
		    r->public_key.len);
	return err;
}

static int
fold_device_approved(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	struct state_device device;
	int err = must_exist(state_device(&device, state,
				 row->u.device_approved.device),
	    row, "there is no such device");

	if (err != 0)
		return err;
	if (device.state != DEVICE_PENDING)
		return fold_contradicted(row, "it did not wait for it");
	device.decided_at = place->time;
	return put_device(state, &device, device.state, DEVICE_APPROVED);
}

static int
fold_device_revoked(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	struct state_device device;
	int err = must_exist(state_device(&device, state,
				 row->u.device_revoked.device),
	    row, "there is no such device");

	if (err != 0)
		return err;
	device.decided_at = place->time;
	memcpy(device.reason, row->u.device_revoked.reason,
	    sizeof device.reason);
	return put_device(state, &device, device.state, DEVICE_REVOKED);
}

/* What a grant leaves in the state, and where its seats are. */
static int
find_seats(struct state_lease *out, const struct state *state,
    const struct row *row, const struct row_lease_granted *r,
    const struct fold_place *place)
{
	struct state_lease lease = {
		.lease = r->lease,
		.license = r->license,
		.device = r->device,
		.overage = r->overage,
		.count = r->count,
		.overage_count = r->overage_count,
		.n_slots = r->slots.count,
		.ttl_s = r->ttl_s,
		.grace_s = r->grace_s,
		.row_number = row->number,
		.batch = place->batch,
		.index = place->index,
		.granted_at = place->time,
	};

	if (!row_slots_are_sound(r))
		return fold_contradicted(row, "its slots do not add up");
	memcpy(lease.request, r->request, sizeof lease.request);
	memcpy(lease.request_digest, r->request_digest,
	    sizeof lease.request_digest);
	*out = lease;
	return must_exist(state_pool_find(&out->pool, state, r->license,
			      r->feature),
	    row, "the license never had this feature");
}

/* Of a lease, or of one that is borrowed. */
static int
fold_lease_granted(struct state *state, const struct row *row,
    const struct row_lease_granted *r, const struct fold_place *place)
{
	struct state_lease lease;

	if (r->lease != state->counters.next_lease)
		return fold_contradicted(row, "lease numbers have a gap");
	int err = find_seats(&lease, state, row, r, place);

	if (err == 0 && row->kind == ROW_BORROWED) {
		lease.ttl_s = 0; /* it lives by its ticket */
		lease.slots = *(const struct row_slots *)r->slots.items;
		err = fold_borrowed(state, row, &lease, place);
	} else if (err == 0) {
		err = pool_take(state, &lease, r->slots.items);
		if (err == 0)
			err = state_lease_append(state, &lease, r->slots.items);
	}
	state->counters.next_lease++;
	state->counters.totals.grants++;
	state->counters.totals.overage += r->overage_count;
	return err;
}

static int
fold_lease_adopted(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_lease_adopted *r = &row->u.lease_adopted;
	struct row_lease_granted grant;
	struct state_lease lease;
	struct arena arena = { .chunks = NULL };
	uint64_t before;
	bool skipped = false;
	int err = state_is_skipped(&skipped, state, r->lease);

	if (err == 0 && !skipped)
		return fold_contradicted(row, "its number is of this journal");
	if (err == 0 && state_adopted(&before, state, r->lease) == 0)
		return fold_contradicted(row, "it was adopted before");
	if (err == 0)
		err = row_grant(&grant, row, &arena);
	if (err == 0)
		err = find_seats(&lease, state, row, &grant, place);
	bool borrowed = row_adopts_borrow(r);

	if (err == 0 && borrowed)
		lease.ttl_s = 0; /* it lives by its ticket */
	if (err == 0)
		err = pool_adopt(state, &lease, grant.slots.items);
	if (err == 0 && borrowed)
		err = fold_borrow_adopted(state, row, &lease, place);
	if (err == 0)
		err = state_lease_insert(state, &lease, grant.slots.items);
	if (err == 0)
		err = state_adopted_put(state, r->lease, row->number);
	arena_release(&arena);
	state->counters.adopted++;
	state->counters.totals.grants++;
	state->counters.totals.overage += r->overage_count;
	return err;
}

static int
fold_generation(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_generation *r = &row->u.generation;
	struct counters *c = &state->counters;
	uint64_t first = c->next_lease;

	if (r->generation == 0 ||
	    r->generation != row_generation_next(c->generation, &r->lost))
		return fold_contradicted(row, "generations have a gap");
	if (r->next_lease < c->next_lease || r->next_device < c->next_device)
		return fold_contradicted(row, "numbers go back");
	c->generation = r->generation;
	c->generation_at = place->time;
	c->generation_tick = c->tick = r->counter;
	c->leases_skipped += r->next_lease - c->next_lease;
	c->devices_skipped += r->next_device - c->next_device;
	c->next_lease = r->next_lease;
	c->next_device = r->next_device;
	return first < r->next_lease
	    ? state_skip_put(state, first, r->next_lease)
	    : 0;
}

static int
fold_tick(struct state *state, const struct row *row)
{
	if (row->u.tick.counter <= state->counters.tick)
		return fold_contradicted(row, "the site's counter goes back");
	state->counters.tick = row->u.tick.counter;
	return 0;
}

static int
fold_lease_ended(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_lease_ended *r = &row->u.lease_ended;
	struct state_lease lease;
	int err = must_exist(state_lease(&lease, state, r->lease), row,
	    "there is no such lease");

	if (err != 0)
		return err;
	if (r->license != lease.license || r->count != lease.count)
		return fold_contradicted(row, "the lease is of other seats");
	if (lease_is_borrow(&lease))
		return fold_contradicted(row, "it is borrowed");
	state->counters.totals.ends++;
	err = pool_give(state, &lease,
	    r->deadline > place->time ? r->deadline : 0);
	return err == 0 ? state_lease_delete(state, &lease) : err;
}

static int
fold_erasure(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_erasure *r = &row->u.erasure;
	uint64_t next;
	int err = state_erasure_next(&next, state);

	if (err != 0)
		return err;
	if (r->erasure != next)
		return fold_contradicted(row, "erasures have a gap");
	struct state_erasure erasure = { .erasure = r->erasure,
		.row_number = row->number,
		.batch = place->batch,
		.at = place->time,
		.subjects = r->subjects.count,
		.users = r->users.count,
		.by = r->by };

	memcpy(erasure.document, r->document, sizeof erasure.document);
	return state_erasure_put(state, &erasure);
}

static int
fold_policy_set(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_policy_set *r = &row->u.policy_set;
	struct state_policy policy;
	int err = state_policy_newest(&policy, state);

	if (err != 0)
		return err;
	if (r->version != policy.version + 1)
		return fold_contradicted(row, "policies have a gap");
	policy = (struct state_policy){ .version = r->version,
		.at = place->time,
		.rules = r->rules,
		.groups = r->groups,
		.members = r->members,
		.by = r->by };
	memcpy(policy.commitment, r->commitment, sizeof policy.commitment);
	return state_policy_put(state, &policy);
}

int
fold_batch(struct state *state, const struct fold_place *place)
{
	state->counters.time = place->time;
	return linger_end(state, place->time);
}

int
fold_row(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	if (row->number != state->counters.next_row)
		return fold_contradicted(row, "row numbers have a gap");
	state->counters.next_row++;
	switch (row->kind) {
	case ROW_GENESIS:
		return row->number == 1
		    ? 0
		    : fold_contradicted(row, "it is not first");
	case ROW_STARTED:
	case ROW_SUBJECT_ADDED:
	case ROW_DENIED:
	case ROW_USER_DENIED:
	case ROW_KEY_DENIED:
	case ROW_DELIVERY:
	case ROW_ACT:
	case ROW_CHECKPOINT:
	case ROW_PRUNED:
		return 0; /* facts that no decision reads */
	case ROW_LICENSE_INSTALLED:
		return fold_license_installed(state, row, place);
	case ROW_JOIN_CREATED:
		return fold_join_created(state, row, place);
	case ROW_JOIN_REVOKED:
		return fold_join_revoked(state, row);
	case ROW_DEVICE_ENROLLED:
		return fold_device_enrolled(state, row, place);
	case ROW_DEVICE_REVOKED:
		return fold_device_revoked(state, row, place);
	case ROW_DEVICE_APPROVED:
		return fold_device_approved(state, row, place);
	case ROW_LEASE_GRANTED:
		return fold_lease_granted(state, row, &row->u.lease_granted,
		    place);
	case ROW_LEASE_ENDED:
		return fold_lease_ended(state, row, place);
	case ROW_TICK:
		return fold_tick(state, row);
	case ROW_GENERATION:
		return fold_generation(state, row, place);
	case ROW_LEASE_ADOPTED:
		return fold_lease_adopted(state, row, place);
	case ROW_BORROWED:
		return fold_lease_granted(state, row, &row->u.borrowed.grant,
		    place);
	case ROW_BORROW_REISSUED:
		return fold_borrow_reissued(state, row, place);
	case ROW_BORROW_RETURNING:
		return fold_borrow_returning(state, row);
	case ROW_BORROW_ENDED:
		return fold_borrow_ended(state, row, place);
	case ROW_DEVICE_PROVED:
		return fold_device_proved(state, row);
	case ROW_USER_CREATED:
		return fold_user_created(state, row, place);
	case ROW_USER_CHANGED:
		return fold_user_changed(state, row, place);
	case ROW_USER_LOGIN:
		return fold_user_login(state, row, place);
	case ROW_ERASURE:
		return fold_erasure(state, row, place);
	case ROW_KEY_CREATED:
		return fold_key_created(state, row, place);
	case ROW_KEY_CHANGED:
		return fold_key_changed(state, row);
	case ROW_KEY_ROTATED:
		return fold_key_rotated(state, row, place);
	case ROW_TENANT_CHANGED:
		return fold_tenant_changed(state, row);
	case ROW_ALERT_OPENED:
		return fold_alert_opened(state, row, place);
	case ROW_ALERT_AGAIN:
		return fold_alert_again(state, row);
	case ROW_ALERT_ACKNOWLEDGED:
		return fold_alert_acknowledged(state, row, place);
	case ROW_ALERT_CLOSED:
		return fold_alert_closed(state, row, place);
	case ROW_CHANNEL_ADDED:
		return fold_channel_added(state, row, place);
	case ROW_CHANNEL_REMOVED:
		return fold_channel_removed(state, row);
	case ROW_POLICY_SET:
		return fold_policy_set(state, row, place);
	case ROW_USAGE_TRACKED:
		return fold_usage_tracked(state, row, place);
	case ROW_LICENSE_CHANGED:
		return fold_license_changed(state, row, place);
	case ROW_ACCOUNT_KEY:
	case ROW_ACCOUNT_ISSUER:
	case ROW_CUSTOMER_ADDED:
	case ROW_CUSTOMER_CHANGED:
	case ROW_LICENSE_ORDERED:
	case ROW_SITE_BOUND:
	case ROW_SITE_REISSUED:
	case ROW_LICENSE_RELEASED:
	case ROW_LICENSE_ISSUED:
	case ROW_LICENSE_FOUND:
	case ROW_LICENSE_REVISED:
	case ROW_LICENSE_EXPIRED:
	case ROW_REPORT_TAKEN:
	case ROW_CREDIT_ADDED:
	case ROW_INVOICE_MADE:
	case ROW_INVOICE_AGAIN:
		return fold_hub(state, row, place);
	case ROW_IMAGE_ADDED:
	case ROW_IMAGE_REMOVED:
	case ROW_SITE_MEASURED:
		return fold_hub_measured(state, row, place);
	case ROW_UPDATE_REQUESTED:
		return fold_update_requested(state, row, place);
	case ROW_UPDATE_FINISHED:
	case ROW_UPDATE_FAILED:
	case ROW_UPDATE_FELL_BACK:
		return fold_update_ended(state, row, place);
	case ROW_SITE_ROLLED_BACK:
		return fold_site_rolled_back(state, row, place);
	case ROW_MAINTENANCE_OPENED:
	case ROW_MAINTENANCE_REFUSED:
	case ROW_MAINTENANCE_ENDED:
		return fold_maintenance(state, row);
	case ROW_CREDIT_TAKEN:
		return fold_credit_taken(state, row);
	case ROW_REPORT_MADE:
		return fold_report_made(state, row, place);
	case ROW_RECEIPT_TAKEN:
		return fold_receipt_taken(state, row, place);
	case ROW_REPORT_SHOWN:
		return fold_report_shown(state, row, place);
	case ROW_REPORT_METRICS:
		return fold_report_metrics(state, row);
	case ROW_REPORT_SEATS:
		return 0; /* metering alone counts them */
	case ROW_REPORT_REFUSED:
		return fold_report_refused(state, row, place);
	case ROW_CLOCK:
		/* The batch after this one may be earlier than this one. */
		if (row->u.clock.event == CLOCK_CORRECTED)
			state->counters.time = row->u.clock.wall;
		return 0;
	}
	return ERR_UNKNOWN_ROW;
}
