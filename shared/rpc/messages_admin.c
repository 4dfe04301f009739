/* Tables: what people and their programs ask over HTTPS. */
#include "shared/license/succession.h"
#include "shared/rpc/messages.h"

#include "shared/rpc/messages_alert.h"
#include "shared/rpc/tables.h"

static const struct record_field site_view_fields[] = {
	R_TEXT(site_view, site, 1, 63, 0, "The site's id."),
	R_TEXT(site_view, name, 0, 127, OPT, "Its name, for people."),
	R_TEXT(site_view, tenant, 1, 63, 0, "The tenant."),
	R_TEXT(site_view, software, 1, 31, 0, "Name and version."),
	R_FIXED(site_view, site_key, 0, "The site's public key (Ed25519)."),
	SUCCESSION_FIELD(site_view),
	R_U32(site_view, generation, 0, UINT32_MAX, 0,
	    "Opened anew after each acknowledged rollback."),
	R_U64(site_view, batch, 0, U53_MAX, 0, "The newest batch."),
	R_U64(site_view, rows, 0, U53_MAX, 0, "Rows in the journal."),
	R_TIME(site_view, time, 0, "The site's time."),
	R_U64(site_view, leases, 0, U53_MAX, 0, "Leases held now."),
	R_U64(site_view, devices, 0, U53_MAX, 0, "Devices enrolled."),
	R_U64(site_view, devices_pending, 0, U53_MAX, OPT,
	    "Devices that wait for an admin's approval."),
	R_U64(site_view, sessions, 0, U53_MAX, 0, "Agents connected."),
	R_U64(site_view, waiting, 0, U53_MAX, OPT,
	    "Checkouts that wait for seats."),
	R_U64(site_view, licenses, 0, U53_MAX, 0, "Licenses installed."),
	R_BOOL(site_view, clock_held, 0,
	    "The wall clock jumped and waits for an admin."),
	R_TIME(site_view, clock_wall, 0, "What the wall clock says."),
	R_ENUM(site_view, witness, witness_class_names, 0,
	    "Where the site's own counter is kept besides its store."),
	R_U64(site_view, ticks, 0, U53_MAX, 0, "The counter's value."),
	R_TIME(site_view, ticked_at, OPT,
	    "Its last tick since the daemon was started."),
	R_BOOL(site_view, rolled_back, OPT,
	    "Nothing is granted until an admin acknowledges."),
	R_TEXT(site_view, rollback, 0, 255, OPT, "What was found."),
	R_U64(site_view, alerts, 0, U53_MAX, OPT,
	    "Alerts that are open and that nobody has acknowledged."),
	R_LIST(site_view, worst, &alert_view_record, 0, SITE_WORST_MAX, OPT,
	    "The worst of them first, and of those the newest."),
};
RECORD_DEFINE(site_view, 1, "The site at a glance.");

static const struct record_field rollback_acknowledge_fields[] = {
	R_TEXT(rollback_acknowledge, reason, 1, 127, 0,
	    "What happened, for the audit."),
};
RECORD_DEFINE(rollback_acknowledge, 1,
    "The store was put back to an older copy, and the site is to go on.");

static const struct record_field rollback_acknowledged_fields[] = {
	R_U32(rollback_acknowledged, generation, 1, UINT32_MAX, 0,
	    "The journal's generation from now on."),
	R_U64(rollback_acknowledged, batch, 0, U53_MAX, 0, "Its first batch."),
	R_U64(rollback_acknowledged, counter, 0, U53_MAX, 0,
	    "Value of the site's own counter."),
};
RECORD_DEFINE(rollback_acknowledged, 1, "A generation of the journal begins.");

static const struct record_field site_request_reply_fields[] = {
	R_STRING(site_request_reply, request, 1, HEADER_MAX, 0,
	    "The activation request for the vendor, a signed document."),
};
RECORD_DEFINE(site_request_reply, 1, "What the vendor needs.");

static const struct record_field license_install_fields[] = {
	R_FIXED(license_install, vendor_key, 0,
	    "The vendor's root key; the first license of a vendor pins it."),
	R_STRING(license_install, issuer, 1, LICENSE_ISSUER_TOKEN_MAX, 0,
	    "The vendor's issuing key, a signed document."),
	R_STRING(license_install, license, 1, LICENSE_TOKEN_MAX, 0,
	    "The license, a signed document."),
};
RECORD_DEFINE(license_install, 1, "A license file as the vendor wrote it.");

static const struct record_field license_number_fields[] = {
	R_U64(license_number, license, 1, U53_MAX, 0, "The license's number."),
};
RECORD_DEFINE(license_number, 1, "A license by number.");

static const struct record_field license_feature_view_fields[] = {
	R_TEXT(license_feature_view, id, 1, 63, 0, "The feature's id."),
	R_TEXT(license_feature_view, name, 0, 127, OPT, "For people."),
	R_U32(license_feature_view, total_licenses, 1, LICENSE_SEATS_MAX, 0,
	    "Seats in all."),
	R_U32(license_feature_view, commit_qty, 0, LICENSE_SEATS_MAX, 0,
	    "Seats covered by the fee."),
	R_U32(license_feature_view, max_overage, 0, LICENSE_SEATS_MAX, 0,
	    "Seats above them."),
	R_MONEY(license_feature_view, overage_per_use, currency, 0,
	    "Price of one seat of an overage checkout."),
	R_TEXT(license_feature_view, currency, 3, 3, 0, "ISO 4217 code."),
	R_U32(license_feature_view, used_commit, 0, UINT32_MAX, 0,
	    "Committed seats held now."),
	R_U32(license_feature_view, used_overage, 0, UINT32_MAX, 0,
	    "Overage seats held now."),
};
RECORD_DEFINE(license_feature_view, 1, "A feature's seats and their use.");

static const struct record_field license_view_fields[] = {
	R_U64(license_view, license, 1, U53_MAX, 0, "Its number here."),
	R_TEXT(license_view, license_id, 1, 63, 0, "The vendor's id."),
	R_U64(license_view, serial, 0, U53_MAX, 0,
	    "A higher one replaces a lower one."),
	R_STRUCT(license_view, vendor, &license_vendor_record, 0, "Vendor."),
	R_STRUCT(license_view, product, &license_product_record, 0, "Product."),
	R_STRUCT(license_view, entitlement, &license_entitlement_record, 0,
	    "Seats and prices."),
	R_LIST(license_view, features, &license_feature_view_record, 0,
	    LICENSE_FEATURES_MAX, OPT, "Features with seats of their own."),
	R_STRUCT(license_view, contract, &license_contract_record, 0,
	    "Its time."),
	R_STRUCT(license_view, terms, &license_bounds_record, 0,
	    "What bounds the site's policy."),
	R_TEXT(license_view, state, 1, 15, 0, "active, expired or not_yet."),
	R_TEXT(license_view, status, 0, 15, OPT,
	    "What its vendor says: active, suspended, cancelled; or expired."),
	R_U32(license_view, used_commit, 0, UINT32_MAX, 0,
	    "Committed seats held now."),
	R_U32(license_view, used_overage, 0, UINT32_MAX, 0,
	    "Overage seats held now."),
	R_U64(license_view, overage_checkouts, 0, U53_MAX, 0,
	    "Overage checkouts since installation, features included."),
	R_FIXED(license_view, digest, 0, "BLAKE2b-256 of the document."),
};
RECORD_DEFINE(license_view, 1, "An installed license and its use.");

static const struct record_field license_query_fields[] = {
	R_CURSOR(license_query, after, 'C', OPT,
	    "Cursor: the last license already seen."),
	R_U32(license_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(license_query, 1, "Which licenses.");

static const struct record_field license_page_fields[] = {
	R_LIST(license_page, items, &license_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Licenses in the order of their numbers."),
	R_CURSOR(license_page, next, 'C', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(license_page, 1, "Installed licenses.");

static const struct record_field join_create_fields[] = {
	R_U32(join_create, uses, 1, 100000, OPT,
	    "Devices that may enroll with it; absent: 1."),
	R_U32(join_create, valid_s, 1, JOIN_VALID_MAX_S, OPT,
	    "Seconds it is good for; absent: one hour."),
	R_CLASS(join_create, OPT,
	    "Least class of the devices (software, vtpm, tpm), or assigned; "
	    "absent: software."),
	R_LIST(join_create, hosts, &license_host_pattern_record, 0,
	    JOIN_HOSTS_MAX, OPT, "Host names that may use it; absent: any."),
	R_BOOL(join_create, approved, OPT,
	    "Devices that come with it need no admin's approval."),
	R_LIST(join_create, keys, &row_key_record, 0, JOIN_KEYS_MAX, OPT,
	    "Of class assigned: SHA-256 of the keys that may use it."),
};
RECORD_DEFINE(join_create, 1, "A new enrolment token.");

static const struct record_field join_created_fields[] = {
	R_U64(join_created, join, 1, U53_MAX, 0, "Its number."),
	R_STRING(join_created, token, 1, HEADER_MAX, RECORD_SECRET,
	    "The enrolment token, a signed document."),
	R_TIME(join_created, expires_at, 0, "When it ends."),
	R_BOOL(join_created, approved, OPT,
	    "Devices that come with it need no admin's approval."),
};
RECORD_DEFINE(join_created, 1, "An enrolment token.");

static const struct record_field join_number_fields[] = {
	R_U64(join_number, join, 1, U53_MAX, 0, "The token's number."),
};
RECORD_DEFINE(join_number, 1, "An enrolment token by number.");

static const char *const join_state_names[] = { "open", "used", "expired",
	"revoked", NULL };

static const struct record_field join_view_fields[] = {
	R_U64(join_view, join, 1, U53_MAX, 0, "The token's number."),
	R_ENUM(join_view, state, join_state_names, 0,
	    "Can devices still enroll with it?"),
	R_U32(join_view, uses, 1, UINT32_MAX, 0, "Devices that may use it."),
	R_U32(join_view, used, 0, UINT32_MAX, 0, "Devices that did."),
	R_CLASS(join_view, 0, "Least class of the devices, or assigned."),
	R_BOOL(join_view, approved, 0,
	    "Devices that come with it need no admin's approval."),
	R_LIST(join_view, hosts, &license_host_pattern_record, 0,
	    JOIN_HOSTS_MAX, OPT, "Host names that may use it; absent: any."),
	R_TIME(join_view, created_at, 0, "When it was made."),
	R_TIME(join_view, expires_at, 0, "When it ends."),
	R_STRUCT(join_view, by, &row_actor_record, 0, "Who made it."),
	R_LIST(join_view, keys, &row_key_record, 0, JOIN_KEYS_MAX, OPT,
	    "Of class assigned: SHA-256 of the keys that may use it."),
};
RECORD_DEFINE(join_view, 1, "An enrolment token, for people.");

static const struct record_field join_query_fields[] = {
	R_CURSOR(join_query, after, 'J', OPT,
	    "Cursor: the last token already seen."),
	R_U32(join_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
	R_BOOL(join_query, all, OPT, "Those too that nobody can use any more."),
};
RECORD_DEFINE(join_query, 1, "Which enrolment tokens.");

static const struct record_field join_page_fields[] = {
	R_LIST(join_page, items, &join_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Tokens in the order of their numbers; maybe fewer than asked "
	    "for."),
	R_CURSOR(join_page, next, 'J', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(join_page, 1, "A page of enrolment tokens.");

static const struct record_field device_number_fields[] = {
	R_U64(device_number, device, 1, U53_MAX, 0, "The device's number."),
};
RECORD_DEFINE(device_number, 1, "A device by number.");

static const struct record_field device_view_fields[] = {
	R_U64(device_view, device, 1, U53_MAX, 0, "The device's number."),
	R_TEXT(device_view, name, 0, 63, OPT, "Its name."),
	R_TEXT(device_view, host, 0, 127, OPT, "Its host name; a claim."),
	R_CLASS(device_view, 0, "What keeps its key."),
	R_ENUM(device_view, state, device_state_names, 0, "May it hold seats?"),
	R_TEXT(device_view, reason, 0, 127, OPT, "Why it was revoked."),
	R_U64(device_view, join, 0, U53_MAX, OPT,
	    "Number of the token it came with; absent: it is an API key."),
	R_TIME(device_view, enrolled_at, 0, "Since when."),
	R_TIME(device_view, decided_at, OPT,
	    "When an admin approved or revoked it."),
	R_BOOL(device_view, connected, 0, "Its agent is connected."),
	R_TEXT(device_view, address, 0, 63, OPT, "Where it is connected from."),
	R_TEXT(device_view, software, 0, 31, OPT,
	    "Name and version of its agent; a claim."),
	R_TIME(device_view, connected_at, OPT, "Connected since."),
	R_TIME(device_view, seen_at, OPT,
	    "When it last said something; absent: not since the site was "
	    "started."),
	R_U64(device_view, leases, 0, U53_MAX, 0, "Leases it holds."),
	R_FIXED(device_view, fingerprint, OPT, "SHA-256 of its key."),
	R_TEXT(device_view, tpm_maker, 0, 15, OPT,
	    "Maker of its TPM, as certified."),
	R_TEXT(device_view, tpm_issuer, 0, 127, OPT, "Who certified its TPM."),
	R_TEXT(device_view, tpm_reason, 0, 159, OPT,
	    "Why its TPM counts as virtual."),
};
RECORD_DEFINE(device_view, 1, "A device, for people.");

static const char *const device_filter_names[] = { "any", "pending", "approved",
	"revoked", NULL };

static const struct record_field device_query_fields[] = {
	R_CURSOR(device_query, after, 'D', OPT,
	    "Cursor: the last device already seen."),
	R_U32(device_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
	R_ENUM(device_query, state, device_filter_names, OPT,
	    "Only those of one state; absent: any."),
	R_TEXT(device_query, match, 0, 127, OPT,
	    "Only those of this name or host; * stands for any characters."),
};
RECORD_DEFINE(device_query, 1, "Which devices.");

static const struct record_field device_page_fields[] = {
	R_LIST(device_page, items, &device_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Devices in the order of their numbers; maybe fewer than asked "
	    "for."),
	R_CURSOR(device_page, next, 'D', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(device_page, 1, "A page of devices.");

static const struct record_field device_revoke_fields[] = {
	R_U64(device_revoke, device, 1, U53_MAX, 0, "The device's number."),
	R_TEXT(device_revoke, reason, 0, 127, OPT,
	    "Why; the device is told, and it stands in the journal."),
};
RECORD_DEFINE(device_revoke, 1, "Shut a device out.");

static const struct record_field batch_query_fields[] = {
	R_U64(batch_query, from, 0, U53_MAX, OPT, "First batch wanted."),
	R_U32(batch_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Batches at most; absent: 100."),
};
RECORD_DEFINE(batch_query, 1, "Which batches of the journal.");

static const struct record_field batch_item_fields[] = {
	R_U64(batch_item, batch, 0, U53_MAX, 0, "The batch's number."),
	R_BLOB(batch_item, blob, 1, BLOB_MAX, 0,
	    "Header and rows as they are stored (MessagePack)."),
};
RECORD_DEFINE(batch_item, 1, "A batch of the journal.");

static const struct record_field batch_page_fields[] = {
	R_LIST(batch_page, items, &batch_item_record, 0, LIST_LIMIT_MAX, 0,
	    "Batches in order; about 512 KiB at most."),
	R_U64(batch_page, next, 0, U53_MAX, OPT,
	    "For `from`; absent: that was all."),
};
RECORD_DEFINE(batch_page, 1, "A stretch of the journal.");

static const struct record_field checkpoint_reply_fields[] = {
	R_U64(checkpoint_reply, batch, 0, U53_MAX, 0,
	    "The batch that the checkpoint stands after."),
	R_FIXED(checkpoint_reply, head, 0, "That batch's head."),
	R_FIXED(checkpoint_reply, state_hash, 0,
	    "BLAKE2b-256 of the logical dump of the state."),
};
RECORD_DEFINE(checkpoint_reply, 1, "A checkpoint of the journal.");

static const struct record_field clock_correct_fields[] = {
	R_TIME(clock_correct, time, 0,
	    "The right time; not after what the site went on with."),
	R_TEXT(clock_correct, reason, 1, 127, 0, "Why, for the audit."),
};
RECORD_DEFINE(clock_correct, 1, "A confirmed mistake of the clock is undone.");

static const struct record_field subject_ref_fields[] = {
	R_FIXED(subject_ref, subject, 0, "The subject's id."),
};
RECORD_DEFINE(subject_ref, 1, "A subject by its id.");

static const struct record_field subject_view_fields[] = {
	R_FIXED(subject_view, subject, 0, "The subject's id."),
	R_ENUM(subject_view, kind, subject_kind_names, 0, "What it is."),
	R_TEXT(subject_view, value, 0, 127, 0, "Its name or address."),
};
RECORD_DEFINE(subject_view, 1, "Who or what a subject id stands for.");

static const struct record_field health_fields[] = {
	R_TEXT(health, status, 1, 15, 0, "ok, draining or unavailable."),
	R_TEXT(health, witness, 0, 15, OPT,
	    "Where the site's own counter is kept: file or tpm."),
	R_TEXT(health, detail, 0, 255, OPT, "What an admin should look at."),
};
RECORD_DEFINE(health, 1, "Is it well?");
