/* Tables: what agents ask about leases. */
#include "shared/rpc/messages.h"

#include "shared/rpc/tables.h"

static const struct record_field checkout_fields[] = {
	R_FIXED(checkout, request, 0, "Random; the same in a retry."),
	R_TEXT(checkout, product, 1, 63, 0, "The product's id."),
	R_TEXT(checkout, version, 1, 31, 0, "Version that runs: \"8.1.0\"."),
	R_TEXT(checkout, feature, 0, 63, OPT, "Feature of the product."),
	R_U32(checkout, count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats, all or none; 0 is 1."),
	R_TEXT(checkout, user, 0, 63, OPT, "Who it is for; a claim."),
	R_TEXT(checkout, host, 0, 127, OPT, "Where it runs; a claim."),
	R_U32(checkout, wait_s, 0, LEASE_WAIT_MAX_S, OPT,
	    "Seconds to wait for a seat; 0 does not wait."),
	R_FIXED(checkout, nonce, 0, "The application's, random."),
	R_FIXED(checkout, application, OPT,
	    "SHA-256 of the executable; zero: unknown."),
	R_STRUCT(checkout, known, &journal_known_record, OPT,
	    "The last header that the application saw."),
};
RECORD_DEFINE(checkout, 1, "One seat, please.");

static const struct record_field queue_place_fields[] = {
	R_U32(queue_place, place, 0, UINT32_MAX, 0,
	    "1: next; 0: it does not wait."),
	R_U32(queue_place, length, 0, UINT32_MAX, 0, "Of the queue."),
	R_U32(queue_place, claim_s, 0, UINT32_MAX, OPT,
	    "Its turn: ask again within so many seconds."),
};
RECORD_DEFINE(queue_place, 1, "A place in the queue.");

static const struct record_field checkout_reply_fields[] = {
	R_U64(checkout_reply, lease, 0, U53_MAX, OPT,
	    "The lease; absent: it waits in the queue."),
	R_U64(checkout_reply, row_number, 0, U53_MAX, OPT,
	    "Number of the granting row."),
	R_BLOB(checkout_reply, row, 0, ROW_MAX, OPT, "The granting row."),
	R_BLOB(checkout_reply, path, 0, HASHES_MAX, OPT,
	    "Its path to the batch's root; 32 bytes a hash."),
	R_STRING(checkout_reply, header, 0, HEADER_MAX, OPT,
	    "The batch's header, a signed document."),
	R_BLOB(checkout_reply, inclusion, 0, HASHES_MAX, OPT,
	    "Path of the known head in the history."),
	R_BLOB(checkout_reply, consistency, 0, HASHES_MAX, OPT,
	    "Proof that the history continues the known one."),
	R_STRUCT(checkout_reply, queue, &queue_place_record, OPT,
	    "Its place, while it waits."),
};
RECORD_DEFINE(checkout_reply, 1,
    "A grant and its evidence, or a place in the queue.");

static const struct record_field lease_waiting_fields[] = {
	R_FIXED(lease_waiting, request, 0, "Of the checkout."),
	R_STRUCT(lease_waiting, queue, &queue_place_record, 0, "Its place."),
	R_TEXT(lease_waiting, code, 0, 31, OPT,
	    "Why it does not wait any more: \"no_seats\"."),
};
RECORD_DEFINE(lease_waiting, 1, "A place in the queue changed.");

static const struct record_field lease_offered_fields[] = {
	R_FIXED(lease_offered, request, 0, "Of the checkout."),
	R_U32(lease_offered, claim_s, 1, UINT32_MAX, 0,
	    "Seconds in which to ask again."),
};
RECORD_DEFINE(lease_offered, 1, "The seat is there: ask again.");

static const struct record_field lease_cancel_fields[] = {
	R_FIXED(lease_cancel, request, 0, "Of the checkout."),
};
RECORD_DEFINE(lease_cancel, 1, "Nobody waits for this any more.");

static const struct record_field waiter_view_fields[] = {
	R_U64(waiter_view, waiter, 1, U53_MAX, 0, "Its number."),
	R_TEXT(waiter_view, product, 1, 63, 0, "The product's id."),
	R_TEXT(waiter_view, feature, 0, 63, OPT, "Feature."),
	R_U32(waiter_view, count, 1, LEASE_COUNT_MAX, 0, "Seats wanted."),
	R_U32(waiter_view, place, 1, UINT32_MAX, 0, "1: next."),
	R_I64(waiter_view, priority, INT32_MIN, INT32_MAX, OPT,
	    "Higher goes first."),
	R_U64(waiter_view, device, 1, U53_MAX, 0, "The device's number."),
	R_TEXT(waiter_view, user, 0, 63, OPT, "Who it is for; a claim."),
	R_TEXT(waiter_view, host, 0, 127, OPT, "Where it runs; a claim."),
	R_TIME(waiter_view, since, 0, "Waits since."),
	R_TIME(waiter_view, until, 0, "Waits until."),
	R_BOOL(waiter_view, offered, 0, "Seats are set aside for it."),
	R_BOOL(waiter_view, connected, 0, "Its agent is."),
};
RECORD_DEFINE(waiter_view, 1, "Who waits.");

static const struct record_field waiter_query_fields[] = {
	R_TEXT(waiter_query, product, 0, 63, OPT, "For this product only."),
	R_CURSOR(waiter_query, after, 'W', OPT,
	    "Cursor: the last waiter already seen."),
	R_U32(waiter_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(waiter_query, 1, "Which waiters.");

static const struct record_field waiter_page_fields[] = {
	R_LIST(waiter_page, items, &waiter_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Waiters in the order of their numbers."),
	R_CURSOR(waiter_page, next, 'W', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(waiter_page, 1, "A page of waiters.");

static const struct record_field waiter_number_fields[] = {
	R_U64(waiter_number, waiter, 1, U53_MAX, 0, "The waiter's number."),
};
RECORD_DEFINE(waiter_number, 1, "A waiter by number.");

static const struct record_field renew_item_fields[] = {
	R_U64(renew_item, lease, 1, U53_MAX, 0, "The lease."),
	R_FIXED(renew_item, nonce, 0, "Fresh, random."),
	R_BOOL(renew_item, reports, OPT,
	    "The application says whether it is worked with."),
	R_BOOL(renew_item, active, OPT, "It was, since it renewed last."),
};
RECORD_DEFINE(renew_item, 1, "A lease to renew.");

static const struct record_field renew_fields[] = {
	R_LIST(renew, leases, &renew_item_record, 1, 4096, 0,
	    "In this order they stand in the beat."),
};
RECORD_DEFINE(renew, 1, "One renewal for many leases.");

static const struct record_field lease_refused_fields[] = {
	R_U64(lease_refused, lease, 1, U53_MAX, 0, "The lease."),
	R_TEXT(lease_refused, code, 1, 31, 0, "Why: \"gone\"."),
};
RECORD_DEFINE(lease_refused, 1, "A lease that is not held any more.");

static const struct record_field renew_reply_fields[] = {
	R_STRING(renew_reply, beat, 0, HEADER_MAX, OPT,
	    "The beat, a signed document; empty when all were refused."),
	R_LIST(renew_reply, refused, &lease_refused_record, 0, 4096, OPT,
	    "Leases that the beat does not cover."),
};
RECORD_DEFINE(renew_reply, 1, "One beat for all leases asked for.");

static const struct record_field lease_return_fields[] = {
	R_U64(lease_return, lease, 1, U53_MAX, 0, "The lease."),
	R_ENUM(lease_return, reason, lease_end_names, 0,
	    "Given back, or the process ended."),
	R_FIXED(lease_return, request, OPT,
	    "Id of the checkout that it was granted for."),
};
RECORD_DEFINE(lease_return, 1, "A seat goes back.");

static const struct record_field lease_ref_fields[] = {
	R_U64(lease_ref, lease, 1, U53_MAX, 0, "The lease's number."),
};
RECORD_DEFINE(lease_ref, 1, "A lease by number.");

static const struct record_field lease_ended_fields[] = {
	R_U64(lease_ended, lease, 1, U53_MAX, 0, "The lease."),
	R_ENUM(lease_ended, reason, lease_end_names, 0, "Why it ended."),
};
RECORD_DEFINE(lease_ended, 1, "A lease that ended.");

static const struct record_field attach_item_fields[] = {
	R_U64(attach_item, lease, 1, U53_MAX, 0, "The lease."),
	R_U64(attach_item, row_number, 1, U53_MAX, 0,
	    "Number of the granting row."),
	R_BLOB(attach_item, row, 1, ROW_MAX, 0, "The granting row."),
	R_BLOB(attach_item, path, 0, HASHES_MAX, OPT,
	    "Its path to the batch's root, where the site may not know it."),
	R_STRING(attach_item, header, 0, HEADER_MAX, OPT,
	    "The batch's header, likewise."),
};
RECORD_DEFINE(attach_item, 1, "A lease that this device still holds.");

static const struct record_field attach_fields[] = {
	R_LIST(attach, leases, &attach_item_record, 1, 4096, 0,
	    "Held since before this session."),
};
RECORD_DEFINE(attach, 1, "Leases go on in a new session.");

static const struct record_field attach_reply_fields[] = {
	R_LIST(attach_reply, refused, &lease_refused_record, 0, 4096, OPT,
	    "Those that have ended."),
};
RECORD_DEFINE(attach_reply, 1, "All others are attached.");

static const struct record_field license_ref_fields[] = {
	R_FIXED(license_ref, digest, 0, "Digest of the license."),
};
RECORD_DEFINE(license_ref, 1, "A license by its digest.");

static const struct record_field lease_view_fields[] = {
	R_U64(lease_view, lease, 1, U53_MAX, 0, "The lease's number."),
	R_TEXT(lease_view, product, 1, 63, 0, "The product's id."),
	R_TEXT(lease_view, version, 0, 31, 0, "Version that runs."),
	R_TEXT(lease_view, feature, 0, 63, OPT, "Feature."),
	R_U32(lease_view, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_ENUM(lease_view, type, seat_type_names, 0, "Commit or overage."),
	R_U32(lease_view, slot, 0, UINT32_MAX, 0, "Its first seat, from 0."),
	R_U64(lease_view, license, 1, U53_MAX, 0, "The license's number."),
	R_U64(lease_view, device, 1, U53_MAX, 0, "The device's number."),
	R_TEXT(lease_view, device_name, 0, 63, OPT, "The device's name."),
	R_TEXT(lease_view, user, 0, 63, OPT, "Who it is for; a claim."),
	R_TEXT(lease_view, host, 0, 127, OPT, "Where it runs; a claim."),
	R_TIME(lease_view, granted_at, 0, "When it was granted."),
	R_U32(lease_view, ttl_s, 0, UINT32_MAX, 0,
	    "Seconds that one beat is good for."),
	R_U32(lease_view, grace_s, 0, UINT32_MAX, 0, "Seconds beyond that."),
	R_U32(lease_view, left_s, 0, UINT32_MAX, OPT,
	    "Seconds until the seat is free, if its holder says nothing more."),
	R_BOOL(lease_view, connected, OPT, "Its agent is."),
	R_TIME(lease_view, until, OPT,
	    "It is borrowed until then; absent: it lives by beats."),
};
RECORD_DEFINE(lease_view, 1, "A lease, for people.");

static const struct record_field lease_query_fields[] = {
	R_TEXT(lease_query, product, 0, 63, OPT, "Of this product only."),
	R_TEXT(lease_query, feature, 0, 63, OPT, "Of this feature only."),
	R_TEXT(lease_query, user, 0, 63, OPT, "For this user only."),
	R_TEXT(lease_query, host, 0, 127, OPT, "On this host only."),
	R_U64(lease_query, device, 0, U53_MAX, OPT, "Of this device only."),
	R_CURSOR(lease_query, after, 'L', OPT,
	    "Cursor: the last lease already seen."),
	R_U32(lease_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(lease_query, 1, "Which leases.");

static const struct record_field lease_page_fields[] = {
	R_LIST(lease_page, items, &lease_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Leases in the order of their numbers."),
	R_CURSOR(lease_page, next, 'L', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(lease_page, 1, "A page of leases.");
