/* Tables: seats for programs without an agent. */
#include "shared/rpc/messages_key_lease.h"

#include "shared/base/text.h"
#include "shared/rpc/tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ID_PREFIX "lease-"

static const char *const seat_status_names[] = { "granted", "waiting", NULL };
static const char *const seat_kind_names[] = { "none", "commit", "overage",
	NULL };

static const struct record_field seat_checkout_fields[] = {
	R_TEXT(seat_checkout, product, 1, 63, 0, "The product's id."),
	R_TEXT(seat_checkout, version, 0, 31, OPT,
	    "Version that runs: \"8.1.0\"; absent: only a license of all "
	    "versions covers it."),
	R_TEXT(seat_checkout, feature, 0, 63, OPT,
	    "Feature of the product, which has its own seats."),
	R_U32(seat_checkout, count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats, all or none; absent: 1."),
	R_TEXT(seat_checkout, user, 0, 63, OPT, "Who it is for; a claim."),
	R_TEXT(seat_checkout, hostname, 0, 127, OPT,
	    "Where it runs; a claim. Absent: that of X-Hostname."),
	R_TEXT(seat_checkout, app_fingerprint, 0, 64, OPT,
	    "SHA-256 of the application, 64 hexadecimal digits. Absent: that "
	    "of X-App-Fingerprint."),
	R_U32(seat_checkout, wait_s, 0, LEASE_WAIT_MAX_S, OPT,
	    "Seconds to wait for a seat; absent: do not. Longer than one "
	    "request hangs it needs an Idempotency-Key."),
	R_U32(seat_checkout, hold_s, 0, SEAT_HOLD_MAX_S, OPT,
	    "Seconds that this request may hang meanwhile; absent: 25. Then "
	    "the answer is 202, and the same request again keeps the place."),
	R_FIXED(seat_checkout, nonce, OPT,
	    "Into the signed row, 32 random bytes: shows who verifies it that "
	    "it was made for this request. The same in a retry."),
	R_STRUCT(seat_checkout, known, &journal_known_record, OPT,
	    "The last header that the program saw: the evidence then shows "
	    "that the journal continues it."),
};
RECORD_DEFINE(seat_checkout, 1, "A seat for a program without an agent.");

static const struct record_field seat_pool_fields[] = {
	R_U32(seat_pool, total, 0, UINT32_MAX, 0,
	    "Seats of the product, or of the feature, overage included."),
	R_U32(seat_pool, commit, 0, UINT32_MAX, 0, "Of them committed."),
	R_U32(seat_pool, used, 0, UINT32_MAX, 0, "Seats that are taken."),
	R_U32(seat_pool, used_overage, 0, UINT32_MAX, 0, "Of them overage."),
	R_U32(seat_pool, free, 0, UINT32_MAX, 0, "Seats that may be had now."),
};
RECORD_DEFINE(seat_pool, 1, "How many seats there are, this lease included.");

static const struct record_field seat_evidence_fields[] = {
	R_FIXED(seat_evidence, nonce, 0, "That stands in the row."),
	R_FIXED(seat_evidence, license_digest, 0,
	    "Of the license: GET /api/v1/licenses/files/{digest}."),
	R_U64(seat_evidence, row_number, 0, U53_MAX, 0,
	    "Number of the granting row."),
	R_BLOB(seat_evidence, row, 0, ROW_MAX, 0, "The granting row."),
	R_BLOB(seat_evidence, path, 0, HASHES_MAX, OPT,
	    "Its path to the batch's root; 32 bytes a hash."),
	R_STRING(seat_evidence, header, 0, HEADER_MAX, 0,
	    "The batch's header, a signed document."),
	R_BLOB(seat_evidence, inclusion, 0, HASHES_MAX, OPT,
	    "Path of the known head in the history."),
	R_BLOB(seat_evidence, consistency, 0, HASHES_MAX, OPT,
	    "Proof that the history continues the known one."),
};
RECORD_DEFINE(seat_evidence, 1,
    "What whoever has the vendor's public key checks the lease by.");

static const struct record_field seat_lease_fields[] = {
	R_ENUM(seat_lease, status, seat_status_names, 0,
	    "Granted; or it waits (202): ask again with the same body and "
	    "Idempotency-Key."),
	R_TEXT(seat_lease, id, 0, SEAT_ID_SIZE - 1, OPT, "\"lease-1042\"."),
	R_U64(seat_lease, lease, 0, U53_MAX, OPT,
	    "Its number, as other operations call it."),
	R_ENUM(seat_lease, type, seat_kind_names, OPT,
	    "Commit, or overage, which is billed."),
	R_TEXT(seat_lease, product, 1, 63, 0, "The product's id."),
	R_TEXT(seat_lease, feature, 0, 63, OPT, "Feature."),
	R_U32(seat_lease, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_U32(seat_lease, ttl_s, 0, UINT32_MAX, OPT,
	    "Seconds that each renewal is good for."),
	R_U32(seat_lease, grace_s, 0, UINT32_MAX, OPT,
	    "Seconds beyond that, before the seat is given to others."),
	R_U32(seat_lease, renew_s, 0, UINT32_MAX, OPT,
	    "Renew every so many seconds."),
	R_TIME(seat_lease, renew_by, OPT,
	    "Renew before that: ttl_s from the grant, or from the last "
	    "renewal."),
	R_TIME(seat_lease, expires_at, OPT,
	    "Not renewed, it is over then, grace included."),
	R_U32(seat_lease, overage_count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats of it above the committed ones."),
	R_U64(seat_lease, overage, 0, U53_MAX, OPT,
	    "Billing number of the first of them."),
	R_MONEY(seat_lease, overage_cost, currency, OPT, "What they cost."),
	R_TEXT(seat_lease, currency, 0, 3, OPT, "ISO 4217."),
	R_STRUCT(seat_lease, seats, &seat_pool_record, OPT,
	    "How many there are now."),
	R_STRUCT(seat_lease, evidence, &seat_evidence_record, OPT,
	    "What the lease is checked by."),
	R_STRUCT(seat_lease, queue, &queue_place_record, OPT,
	    "Its place, while it waits."),
};
RECORD_DEFINE(seat_lease, 1, "A lease, or a place in the queue.");

static const struct record_field seat_cancel_fields[] = {
	R_TEXT(seat_cancel, idempotency_key, 1, 63, 0,
	    "The Idempotency-Key of the checkout that waits."),
};
RECORD_DEFINE(seat_cancel, 1, "A wait that is to end.");

static const struct record_field seat_cancelled_fields[] = {
	R_BOOL(seat_cancelled, waited, 0,
	    "It stood in the queue. False: it did not, or has its seat: give "
	    "that back."),
};
RECORD_DEFINE(seat_cancelled, 1, "A wait that has ended.");

static const struct record_field seat_id_fields[] = {
	R_TEXT(seat_id, id, 1, SEAT_ID_SIZE - 1, 0, "\"lease-1042\"."),
};
RECORD_DEFINE(seat_id, 1, "A lease by its id.");

/* The same in a list: ["lease-1042", ...]. */
static const struct record seat_bare_id_record = {
	.name = "seat_bare_id",
	.doc = "The id of a lease.",
	.version = 1,
	.size = sizeof(struct seat_id),
	.fields = seat_id_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field seat_renew_fields[] = {
	R_LIST(seat_renew, ids, &seat_bare_id_record, 1, SEAT_RENEW_MAX, 0,
	    "Leases to be renewed."),
	R_FIXED(seat_renew, nonce, OPT,
	    "32 random bytes: the renewal is signed over them."),
	R_BOOL(seat_renew, active, OPT,
	    "Somebody worked with them since they were renewed last: they are "
	    "not idle."),
};
RECORD_DEFINE(seat_renew, 1, "Leases of this key to be kept.");

static const struct record_field seat_renewed_item_fields[] = {
	R_TEXT(seat_renewed_item, id, 1, SEAT_ID_SIZE - 1, 0, "The lease."),
	R_U32(seat_renewed_item, ttl_s, 0, UINT32_MAX, 0,
	    "Seconds that this renewal is good for."),
	R_TIME(seat_renewed_item, renew_by, 0, "Renew again before that."),
	R_TIME(seat_renewed_item, expires_at, 0,
	    "Not renewed, it is over then."),
};
RECORD_DEFINE(seat_renewed_item, 1, "A lease that goes on.");

static const struct record_field seat_refused_item_fields[] = {
	R_TEXT(seat_refused_item, id, 1, SEAT_ID_SIZE - 1, 0, "The lease."),
	R_TEXT(seat_refused_item, code, 1, 31, 0,
	    "Why not: \"gone\", \"license_expired\"."),
};
RECORD_DEFINE(seat_refused_item, 1, "A lease that does not.");

static const struct record_field seat_renewed_fields[] = {
	R_LIST(seat_renewed, renewed, &seat_renewed_item_record, 0,
	    SEAT_RENEW_MAX, 0, "Those that go on."),
	R_LIST(seat_renewed, refused, &seat_refused_item_record, 0,
	    SEAT_RENEW_MAX, OPT, "Those that do not."),
	R_STRING(seat_renewed, beat, 0, HEADER_MAX, OPT,
	    "A signed document over the nonce and the leases that go on, in "
	    "their order."),
};
RECORD_DEFINE(seat_renewed, 1, "What was renewed.");

static const struct record_field seat_returned_fields[] = {
	R_TEXT(seat_returned, id, 1, SEAT_ID_SIZE - 1, 0, "The lease."),
	R_U64(seat_returned, lease, 1, U53_MAX, 0, "Its number."),
};
RECORD_DEFINE(seat_returned, 1, "A lease that was given back.");

bool
seat_id_read(uint64_t *lease, const char *id)
{
	if (strncmp(id, ID_PREFIX, sizeof(ID_PREFIX) - 1) == 0)
		id += sizeof(ID_PREFIX) - 1;
	return text_to_u64(lease, id, strlen(id)) && *lease >= 1 &&
	    *lease <= U53_MAX;
}

void
seat_id_write(char id[SEAT_ID_SIZE], uint64_t lease)
{
	snprintf(id, SEAT_ID_SIZE, ID_PREFIX "%" PRIu64, lease);
}

bool
seat_is_waiting(const void *reply)
{
	const struct seat_lease *lease = reply;

	return lease->status == SEAT_WAITING;
}
