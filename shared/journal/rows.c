/* The kinds of rows, and the tables of most; see rows.h. Those of seats are in
 * rows_seat.c, those of people in rows_user.c, that of the tenant itself in
 * rows_tenant.c. */
#include "shared/journal/rows_private.h"

#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/journal/journal.h"

#include <assert.h>
#include <string.h>

const char *const subject_kind_names[] = { "user", "host", "device", "address",
	"pattern", "reason", NULL };
const char *const actor_kind_names[] = { "site", "device", "admin", "key",
	"user", NULL };
const char *const device_state_names[] = { "pending", "approved", "revoked",
	NULL };
const char *const witness_class_names[] = { "file", "tpm", NULL };
const char *const key_app_names[] = { "desktop", "ci_cd", "cloud_service",
	NULL };
const char *const clock_event_names[] = { "jump_seen", "confirmed", "corrected",
	NULL };

static const struct record_field row_genesis_fields[] = {
	R_TEXT(row_genesis, site, 1, 63, 0, "Id of the site."),
	R_TEXT(row_genesis, tenant, 1, 63, 0, "Whose journal it is."),
	R_FIXED(row_genesis, site_key, 0, "Key that signs its batches."),
	R_U32(row_genesis, format, 1, 1, 0, "Format of the rows: 1."),
};
RECORD_DEFINE(row_genesis, 1, "A journal begins.");

static const struct record_field row_started_fields[] = {
	R_TEXT(row_started, software, 1, 31, 0, "\"leaseholdd 0.1.0\"."),
	R_U32(row_started, generation, 0, UINT32_MAX, 0,
	    "How often the journal was adopted anew."),
	R_BOOL(row_started, clean, 0, "Was the last stop an orderly one?"),
};
RECORD_DEFINE(row_started, 1, "The daemon opened the journal.");

static const struct record_field row_subject_added_fields[] = {
	R_FIXED(row_subject_added, subject, 0, "Random id."),
	R_ENUM(row_subject_added, kind, subject_kind_names, 0, "What it is."),
	R_FIXED(row_subject_added, commitment, 0,
	    "BLAKE2b-256 of salt, kind and value."),
};
RECORD_DEFINE(row_subject_added, 1,
    "A person, host, device or address is first seen.");

static const struct record_field row_actor_fields[] = {
	R_ENUM(row_actor, kind, actor_kind_names, 0, "Who."),
	R_U64(row_actor, id, 0, U53_MAX, 0,
	    "Number of the device, site key or user; 0: the site."),
};
RECORD_DEFINE(row_actor, 1, "Who caused a row.");

static const struct record_field row_license_installed_fields[] = {
	R_U64(row_license_installed, license, 1, U53_MAX, 0,
	    "Its number in this journal."),
	R_FIXED(row_license_installed, digest, 0,
	    "BLAKE2b-256 of the license token."),
	R_STRUCT(row_license_installed, document, &license_record, 0,
	    "What the token says."),
	R_STRING(row_license_installed, issuer_token, 1,
	    LICENSE_ISSUER_TOKEN_MAX, 0, "Token of the issuing key."),
	R_STRING(row_license_installed, license_token, 1, LICENSE_TOKEN_MAX, 0,
	    "Token of the license."),
	R_STRUCT(row_license_installed, by, &row_actor_record, 0,
	    "Who installed it."),
};
RECORD_DEFINE(row_license_installed, 1, "A license was installed.");

static const struct record_field row_subject_fields[] = {
	R_FIXED(row_subject, subject, 0, "Subject id."),
};
const struct record row_subject_record = {
	.name = "row_subject",
	.doc = "Who or what stands behind it.",
	.version = 1,
	.size = sizeof(struct row_subject),
	.fields = row_subject_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field row_key_fields[] = {
	R_FIXED(row_key, fingerprint, 0, "SHA-256 of the key."),
};
const struct record row_key_record = {
	.name = "row_key",
	.doc = "The fingerprint of a device's key.",
	.version = 1,
	.size = sizeof(struct row_key),
	.fields = row_key_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field row_join_created_fields[] = {
	R_U64(row_join_created, join, 1, U53_MAX, 0, "Number of the token."),
	R_FIXED(row_join_created, id, 0, "Random; stands in the token too."),
	R_U32(row_join_created, uses, 1, 1000000, 0,
	    "Devices that may use it."),
	R_TIME(row_join_created, expires_at, 0, "When it ends."),
	R_CLASS(row_join_created, "Class of device that may use it."),
	R_BOOL(row_join_created, approved, 0,
	    "Devices that come with it are approved at once."),
	R_LIST(row_join_created, hosts, &row_subject_record, 0, JOIN_HOSTS_MAX,
	    RECORD_OPTIONAL, "Host names that may use it; none: any."),
	R_STRUCT(row_join_created, by, &row_actor_record, 0, "Who made it."),
	R_LIST(row_join_created, keys, &row_key_record, 0, JOIN_KEYS_MAX,
	    RECORD_OPTIONAL,
	    "Fingerprints of the keys that may use it; none: any."),
};
RECORD_DEFINE(row_join_created, 1, "An enrolment token was made.");

static const struct record_field row_join_revoked_fields[] = {
	R_U64(row_join_revoked, join, 1, U53_MAX, 0, "Number of the token."),
	R_STRUCT(row_join_revoked, by, &row_actor_record, 0, "Who did."),
};
RECORD_DEFINE(row_join_revoked, 1, "Nobody joins with a token any more.");

static const struct record_field row_device_enrolled_fields[] = {
	R_U64(row_device_enrolled, device, 1, U53_MAX, 0, "Its number."),
	R_CLASS(row_device_enrolled, "How its identity is kept."),
	R_BLOB(row_device_enrolled, public_key, 1, PROOF_KEY_MAX, 0,
	    "Key that its proofs are signed with."),
	R_FIXED(row_device_enrolled, name, 0, "Subject id of its name."),
	R_FIXED(row_device_enrolled, host, 0, "Subject id of its host."),
	R_U64(row_device_enrolled, join, 1, U53_MAX, 0, "Token it came with."),
	R_BOOL(row_device_enrolled, approved, 0,
	    "It may hold seats; else it waits for an admin."),
	R_FIXED(row_device_enrolled, ek_id, RECORD_OPTIONAL,
	    "Of its TPM's endorsement key."),
	R_FIXED(row_device_enrolled, certificate_id, RECORD_OPTIONAL,
	    "Of that key's certificate, by issuer and number."),
	R_TEXT(row_device_enrolled, manufacturer, 0, 15, RECORD_OPTIONAL,
	    "Maker of the TPM, as certified."),
	R_TEXT(row_device_enrolled, issuer, 0, 127, RECORD_OPTIONAL,
	    "Who certified it."),
	R_TEXT(row_device_enrolled, reason, 0, 159, RECORD_OPTIONAL,
	    "Why it counts as virtual."),
};
RECORD_DEFINE(row_device_enrolled, 1, "A device has joined.");

static const struct record_field row_device_approved_fields[] = {
	R_U64(row_device_approved, device, 1, U53_MAX, 0, "Its number."),
	R_STRUCT(row_device_approved, by, &row_actor_record, 0,
	    "Who approved it."),
};
RECORD_DEFINE(row_device_approved, 1, "A device was let in.");

static const struct record_field row_device_revoked_fields[] = {
	R_U64(row_device_revoked, device, 1, U53_MAX, 0, "Its number."),
	R_FIXED(row_device_revoked, reason, 0,
	    "Subject id of the admin's words; zero: none."),
	R_STRUCT(row_device_revoked, by, &row_actor_record, 0,
	    "Who revoked it."),
};
RECORD_DEFINE(row_device_revoked, 1, "A device was shut out.");

/* --- the rest ------------------------------------------------------------- */

static const struct record_field row_denied_fields[] = {
	R_U64(row_denied, device, 1, U53_MAX, 0, "Device that asked."),
	R_U64(row_denied, license, 0, U53_MAX, 0,
	    "License that refused; 0: none fits."),
	R_TEXT(row_denied, product, 0, 63, RECORD_OPTIONAL,
	    "Product that was asked for."),
	R_TEXT(row_denied, code, 1, 31, 0, "Why: \"no_seats\"."),
	R_U64(row_denied, count, 1, U53_MAX, 0, "How often in that minute."),
	R_TIME(row_denied, minute, 0, "Start of the minute."),
};
RECORD_DEFINE(row_denied, 1,
    "Refusals of one device, product and code within a minute.");

static const struct record_field row_checkpoint_fields[] = {
	R_U64(row_checkpoint, batch, 0, U53_MAX, 0, "A batch before this one."),
	R_FIXED(row_checkpoint, head, 0, "Its head."),
	R_FIXED(row_checkpoint, state_hash, 0,
	    "BLAKE2b-256 of the logical dump of the state after it."),
};
RECORD_DEFINE(row_checkpoint, 1, "What the state was after a batch.");

static const struct record_field row_clock_fields[] = {
	R_ENUM(row_clock, event, clock_event_names, 0, "What happened."),
	R_TIME(row_clock, held, 0, "What the site went on with."),
	R_TIME(row_clock, wall, 0, "What the wall clock said."),
	R_STRUCT(row_clock, by, &row_actor_record, 0, "Who decided."),
};
RECORD_DEFINE(row_clock, 1, "The clock jumped, and what became of it.");

static const struct record_field row_tick_fields[] = {
	R_U64(row_tick, counter, 1, U53_MAX, 0, "Value that it reaches."),
	R_ENUM(row_tick, witness, witness_class_names, 0,
	    "Where it is kept besides."),
};
RECORD_DEFINE(row_tick, 1, "The site's own counter goes on.");

static const struct record_field row_mark_fields[] = {
	R_U32(row_mark, generation, 0, UINT32_MAX, 0,
	    "Its generation; 0: no place."),
	R_U64(row_mark, batch, 0, U53_MAX, 0, "Number of the batch."),
	R_FIXED(row_mark, head, 0, "Its head."),
	R_TIME(row_mark, time, 0, "Its time."),
	R_U64(row_mark, grants, 0, U53_MAX, 0, "Leases granted until then."),
	R_U64(row_mark, ends, 0, U53_MAX, 0, "Leases ended until then."),
	R_U64(row_mark, overage, 0, U53_MAX, 0,
	    "Overage seats granted until then."),
};
RECORD_DEFINE(row_mark, 1, "A place in a journal.");

static const struct record_field row_generation_fields[] = {
	R_U32(row_generation, generation, 2, UINT32_MAX, 0,
	    "That begins with this batch."),
	R_STRUCT(row_generation, lost, &row_mark_record, 0,
	    "The furthest that is known of what was lost."),
	R_ENUM(row_generation, witness, witness_class_names, 0,
	    "Where the site's counter is kept besides the store."),
	R_U64(row_generation, stored, 0, U53_MAX, 0,
	    "Its value in the store, as it was found."),
	R_U64(row_generation, witnessed, 0, U53_MAX, 0,
	    "Its value there; 0: it was lost."),
	R_U64(row_generation, counter, 1, U53_MAX, 0, "Its value from now on."),
	R_U64(row_generation, next_lease, 1, U53_MAX, 0,
	    "Numbers of leases go on from here."),
	R_U64(row_generation, next_device, 1, U53_MAX, 0,
	    "Numbers of devices go on from here."),
	R_FIXED(row_generation, reason, 0, "Subject id of the admin's words."),
	R_STRUCT(row_generation, by, &row_actor_record, 0,
	    "Who acknowledged it."),
};
RECORD_DEFINE(row_generation, 1,
    "The store was put back to an older copy, and an admin acknowledged it.");

/* --- API keys ------------------------------------------------------------- */

static const struct record_field row_key_created_fields[] = {
	R_U64(row_key_created, device, 1, U53_MAX, 0, "Its number."),
	R_FIXED(row_key_created, hash, 0, "Keyed BLAKE2b-256 of the key."),
	R_FIXED(row_key_created, name, 0, "Subject id of its name."),
	R_TEXT(row_key_created, scopes, 0, 255, 0, "What it may do."),
	R_ENUM(row_key_created, app_type, key_app_names, 0,
	    "What kind of program uses it."),
	R_TIME(row_key_created, expires_at, RECORD_OPTIONAL,
	    "When it ends; absent: never."),
	R_FIXED(row_key_created, document, 0, "Id of its document."),
	R_FIXED(row_key_created, commitment, 0,
	    "BLAKE2b-256 of salt, kind and document."),
	R_STRUCT(row_key_created, by, &row_actor_record, 0, "Who made it."),
};
RECORD_DEFINE(row_key_created, 1, "An API key was made.");

static const struct record_field row_key_changed_fields[] = {
	R_U64(row_key_changed, device, 1, U53_MAX, 0, "Its number."),
	R_FIXED(row_key_changed, document, 0, "Id of its new document."),
	R_FIXED(row_key_changed, commitment, 0,
	    "BLAKE2b-256 of salt, kind and document."),
	R_STRUCT(row_key_changed, by, &row_actor_record, 0, "Who did."),
};
RECORD_DEFINE(row_key_changed, 1, "An API key's document was replaced.");

static const struct record_field row_key_rotated_fields[] = {
	R_U64(row_key_rotated, device, 1, U53_MAX, 0, "Its number."),
	R_FIXED(row_key_rotated, hash, 0, "Keyed BLAKE2b-256 of the new key."),
	R_TIME(row_key_rotated, previous_until, RECORD_OPTIONAL,
	    "Until when the old one is good too; absent: it ended at once."),
	R_TIME(row_key_rotated, expires_at, RECORD_OPTIONAL,
	    "When it ends; absent: never."),
	R_STRUCT(row_key_rotated, by, &row_actor_record, 0, "Who did."),
};
RECORD_DEFINE(row_key_rotated, 1, "An API key has a new secret.");

static const struct record_field row_key_denied_fields[] = {
	R_STRUCT(row_key_denied, denied, &row_denied_record, 0,
	    "What was refused, and how often."),
	R_FIXED(row_key_denied, address, RECORD_OPTIONAL,
	    "Subject id of the address of the first."),
	R_FIXED(row_key_denied, host, RECORD_OPTIONAL,
	    "Subject id of the host that it named."),
	R_FIXED(row_key_denied, user, RECORD_OPTIONAL,
	    "Subject id of the user that it named."),
	R_FIXED(row_key_denied, fingerprint, RECORD_OPTIONAL,
	    "Fingerprint of its application, as it said."),
};
RECORD_DEFINE(row_key_denied, 1, "An API key was refused.");

static const struct record_field row_policy_set_fields[] = {
	R_U64(row_policy_set, version, 1, U53_MAX, 0, "Which one it is."),
	R_FIXED(row_policy_set, commitment, 0,
	    "BLAKE2b-256 of a salt and the document."),
	R_U32(row_policy_set, rules, 0, UINT32_MAX, 0, "So many rules."),
	R_U32(row_policy_set, groups, 0, UINT32_MAX, 0, "So many groups."),
	R_U32(row_policy_set, members, 0, UINT32_MAX, 0,
	    "So many users, hosts, devices and ranges."),
	R_STRUCT(row_policy_set, by, &row_actor_record, 0, "Who set it."),
};
RECORD_DEFINE(row_policy_set, 1, "A policy came into force.");

/* --- kinds ---------------------------------------------------------------- */

static const struct {
	const struct record *record;
	const char *name;
} kinds[] = {
	[ROW_GENESIS] = { &row_genesis_record, "genesis" },
	[ROW_STARTED] = { &row_started_record, "started" },
	[ROW_SUBJECT_ADDED] = { &row_subject_added_record, "subject.added" },
	[ROW_LICENSE_INSTALLED] = { &row_license_installed_record,
	    "license.installed" },
	[ROW_JOIN_CREATED] = { &row_join_created_record, "join.created" },
	[ROW_DEVICE_ENROLLED] = { &row_device_enrolled_record,
	    "device.enrolled" },
	[ROW_DEVICE_REVOKED] = { &row_device_revoked_record, "device.revoked" },
	[ROW_LEASE_GRANTED] = { &row_lease_granted_record, "lease.granted" },
	[ROW_LEASE_ENDED] = { &row_lease_ended_record, "lease.ended" },
	[ROW_DENIED] = { &row_denied_record, "denied" },
	[ROW_CHECKPOINT] = { &row_checkpoint_record, "checkpoint" },
	[ROW_CLOCK] = { &row_clock_record, "clock" },
	[ROW_DEVICE_APPROVED] = { &row_device_approved_record,
	    "device.approved" },
	[ROW_JOIN_REVOKED] = { &row_join_revoked_record, "join.revoked" },
	[ROW_TICK] = { &row_tick_record, "tick" },
	[ROW_GENERATION] = { &row_generation_record, "generation" },
	[ROW_LEASE_ADOPTED] = { &row_lease_adopted_record, "lease.adopted" },
	[ROW_BORROWED] = { &row_borrowed_record, "borrowed" },
	[ROW_BORROW_REISSUED] = { &row_borrowed_record, "borrow.reissued" },
	[ROW_BORROW_RETURNING] = { &row_borrow_returning_record,
	    "borrow.returning" },
	[ROW_BORROW_ENDED] = { &row_borrow_ended_record, "borrow.ended" },
	[ROW_DEVICE_PROVED] = { &row_device_proved_record, "device.proved" },
	[ROW_USER_CREATED] = { &row_user_created_record, "user.created" },
	[ROW_USER_CHANGED] = { &row_user_changed_record, "user.changed" },
	[ROW_USER_LOGIN] = { &row_user_login_record, "user.login" },
	[ROW_USER_DENIED] = { &row_user_denied_record, "user.denied" },
	[ROW_ERASURE] = { &row_erasure_record, "erasure" },
	[ROW_KEY_CREATED] = { &row_key_created_record, "key.created" },
	[ROW_KEY_CHANGED] = { &row_key_changed_record, "key.changed" },
	[ROW_KEY_ROTATED] = { &row_key_rotated_record, "key.rotated" },
	[ROW_KEY_DENIED] = { &row_key_denied_record, "key.denied" },
	[ROW_TENANT_CHANGED] = { &row_tenant_changed_record, "tenant.changed" },
	[ROW_ALERT_OPENED] = { &row_alert_opened_record, "alert.opened" },
	[ROW_ALERT_AGAIN] = { &row_alert_again_record, "alert.again" },
	[ROW_ALERT_ACKNOWLEDGED] = { &row_alert_acknowledged_record,
	    "alert.acknowledged" },
	[ROW_ALERT_CLOSED] = { &row_alert_closed_record, "alert.closed" },
	[ROW_CHANNEL_ADDED] = { &row_channel_added_record, "channel.added" },
	[ROW_CHANNEL_REMOVED] = { &row_channel_removed_record,
	    "channel.removed" },
	[ROW_DELIVERY] = { &row_delivery_record, "delivery" },
	[ROW_POLICY_SET] = { &row_policy_set_record, "policy.set" },
	[ROW_ACT] = { &row_act_record, "act" },
	[ROW_PRUNED] = { &row_pruned_record, "pruned" },
	[ROW_USAGE_TRACKED] = { &row_usage_tracked_record, "usage.tracked" },
	[ROW_LICENSE_CHANGED] = { &row_license_changed_record,
	    "license.changed" },
	[ROW_REPORT_MADE] = { &row_report_made_record, "report.made" },
	[ROW_RECEIPT_TAKEN] = { &row_receipt_taken_record, "receipt.taken" },
	[ROW_REPORT_SHOWN] = { &row_report_shown_record, "report.shown" },
	[ROW_REPORT_METRICS] = { &row_report_metrics_record, "report.metrics" },
	[ROW_REPORT_SEATS] = { &row_report_seats_record, "report.seats" },
	[ROW_REPORT_REFUSED] = { &row_report_refused_record, "report.refused" },
	[ROW_ACCOUNT_KEY] = { &row_account_key_record, "account.key" },
	[ROW_ACCOUNT_ISSUER] = { &row_account_issuer_record, "account.issuer" },
	[ROW_CUSTOMER_ADDED] = { &row_customer_record, "customer.added" },
	[ROW_CUSTOMER_CHANGED] = { &row_customer_record, "customer.changed" },
	[ROW_LICENSE_ORDERED] = { &row_license_ordered_record,
	    "license.ordered" },
	[ROW_SITE_BOUND] = { &row_site_bound_record, "site.bound" },
	[ROW_LICENSE_ISSUED] = { &row_license_issued_record, "license.issued" },
	[ROW_LICENSE_REVISED] = { &row_license_revised_record,
	    "license.revised" },
	[ROW_LICENSE_RELEASED] = { &row_license_released_record,
	    "license.released" },
	[ROW_REPORT_TAKEN] = { &row_report_taken_record, "report.taken" },
	[ROW_UPDATE_REQUESTED] = { &row_update_requested_record,
	    "update.requested" },
	[ROW_UPDATE_FINISHED] = { &row_update_ended_record, "update.finished" },
	[ROW_UPDATE_FAILED] = { &row_update_ended_record, "update.failed" },
	[ROW_UPDATE_FELL_BACK] = { &row_update_ended_record,
	    "update.fell_back" },
	[ROW_IMAGE_ADDED] = { &row_image_added_record, "image.added" },
	[ROW_IMAGE_REMOVED] = { &row_image_removed_record, "image.removed" },
	[ROW_SITE_MEASURED] = { &row_site_measured_record, "site.measured" },
	[ROW_SITE_ROLLED_BACK] = { &row_site_rolled_back_record,
	    "site.rolled_back" },
	[ROW_MAINTENANCE_OPENED] = { &row_maintenance_record,
	    "maintenance.opened" },
	[ROW_MAINTENANCE_REFUSED] = { &row_maintenance_record,
	    "maintenance.refused" },
	[ROW_MAINTENANCE_ENDED] = { &row_maintenance_record,
	    "maintenance.ended" },
	[ROW_CREDIT_ADDED] = { &row_credit_record, "credit.added" },
	[ROW_CREDIT_TAKEN] = { &row_credit_record, "credit.taken" },
	[ROW_INVOICE_MADE] = { &row_invoice_record, "invoice.made" },
	[ROW_INVOICE_AGAIN] = { &row_invoice_again_record, "invoice.again" },
	[ROW_SITE_REISSUED] = { &row_site_reissued_record, "site.reissued" },
	[ROW_LICENSE_EXPIRED] = { &row_license_expired_record,
	    "license.expired" },
	[ROW_LICENSE_FOUND] = { &row_license_issued_record, "license.found" },
};

const struct record *
row_record(uint32_t kind)
{
	if (kind >= sizeof(kinds) / sizeof(kinds[0]))
		return NULL;
	return kinds[kind].record;
}

const char *
row_kind_name(uint32_t kind)
{
	return row_record(kind) != NULL ? kinds[kind].name : "unknown";
}

void
row_write(struct buf *out, const struct row *row)
{
	const struct record *record = row_record(row->kind);
	struct record_error why = { "", "" };

	assert(record != NULL);
	/* What could not be read again must not be written: better one batch
	 * that fails than a journal that ends there. */
	if (record_check(record, &row->u, &why) != 0) {
		log_error("journal", "row %s: %s %s: not written",
		    row_kind_name(row->kind), why.field, why.reason);
		out->failed = true;
		return;
	}
	const size_t before = out->len;

	buf_add_be16(out, (uint16_t)row->kind);
	record_write_msgpack(out, record, &row->u);
	if (!out->failed && out->len - before > JOURNAL_ROW_BYTES_MAX) {
		log_error("journal",
		    "row %s of %zu bytes is too long: not written",
		    row_kind_name(row->kind), out->len - before);
		out->failed = true;
	}
}

int
row_read(struct row *row, uint64_t number, const uint8_t *data, size_t len,
    struct arena *arena)
{
	memset(row, 0, sizeof(*row));
	if (len < 2 || len > JOURNAL_ROW_BYTES_MAX)
		return ERR_CORRUPT;
	uint32_t kind = be16_read(data);
	const struct record *record = row_record(kind);

	if (record == NULL)
		return ERR_UNKNOWN_ROW;
	row->number = number;
	row->kind = (enum row_kind)kind;
	int err = record_read_msgpack(&row->u, record, data + 2, len - 2, NULL,
	    arena, NULL);

	return err == ERR_BAD_REQUEST ? ERR_CORRUPT : err;
}

bool
row_adopts_borrow(const struct row_lease_adopted *adopted)
{
	return adopted->row.len >= 2 &&
	    be16_read(adopted->row.data) != ROW_LEASE_GRANTED;
}

int
row_grant(struct row_lease_granted *grant, const struct row *row,
    struct arena *arena)
{
	const struct row_lease_adopted *adopted = &row->u.lease_adopted;
	struct row before;

	if (row->kind == ROW_LEASE_GRANTED) {
		*grant = row->u.lease_granted;
		return 0;
	}
	if (row->kind == ROW_BORROWED || row->kind == ROW_BORROW_REISSUED) {
		*grant = row->u.borrowed.grant;
		return 0;
	}
	if (row->kind != ROW_LEASE_ADOPTED)
		return ERR_MISMATCH;
	int err = row_read(&before, adopted->origin.row_number,
	    adopted->row.data, adopted->row.len, arena);

	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	bool borrowed =
	    before.kind == ROW_BORROWED || before.kind == ROW_BORROW_REISSUED;

	*grant = borrowed ? before.u.borrowed.grant : before.u.lease_granted;
	if ((before.kind != ROW_LEASE_GRANTED && !borrowed) ||
	    grant->lease != adopted->lease ||
	    grant->device != adopted->device ||
	    grant->count != adopted->count || grant->type != adopted->type ||
	    grant->overage_count != adopted->overage_count)
		return ERR_CORRUPT;
	grant->license = adopted->license;
	grant->slots = adopted->slots;
	grant->overage = adopted->overage;
	return 0;
}
