/* Tables: borrows; see borrow.h. */
#include "shared/rpc/borrow.h"

#include "shared/base/err.h"
#include "shared/rpc/tables.h"

#include <sodium.h>
#include <string.h>

const char *const borrow_state_names[] = { "lent", "returning", "unproven",
	NULL };

static const struct record_field borrow_challenge_fields[] = {
	R_FIXED(borrow_challenge, nonce, 0, "To be proved over; once."),
};
RECORD_DEFINE(borrow_challenge, 1, "A nonce for one proof.");

static const struct record_field borrow_take_fields[] = {
	R_STRUCT(borrow_take, ask, &checkout_record, 0,
	    "Which seats; nonce is the challenge's."),
	R_U32(borrow_take, length_s, 1, LICENSE_BORROW_MAX_S, 0,
	    "For how long."),
	R_STRUCT(borrow_take, proof, &proof_record, 0, "Purpose borrow."),
};
RECORD_DEFINE(borrow_take, 1, "Seats to take along, please.");

static const struct record_field borrow_taken_fields[] = {
	R_U64(borrow_taken, lease, 1, U53_MAX, 0, "The borrow's number."),
	R_TIME(borrow_taken, until, 0, "When it is over."),
};
RECORD_DEFINE(borrow_taken, 1, "They are lent.");

static const struct record_field borrow_extend_fields[] = {
	R_U64(borrow_extend, lease, 1, U53_MAX, 0, "The borrow's number."),
	R_U32(borrow_extend, length_s, 1, LICENSE_BORROW_MAX_S, 0,
	    "For how long from now."),
	R_FIXED(borrow_extend, nonce, 0, "The challenge's."),
	R_STRUCT(borrow_extend, proof, &proof_record, 0, "Purpose borrow."),
};
RECORD_DEFINE(borrow_extend, 1, "For longer, please.");

static const struct record_field borrow_prepare_fields[] = {
	R_BOOL(borrow_prepare, all, OPT, "All of the device's."),
	R_LIST(borrow_prepare, leases, &lease_ref_record, 0, BORROW_DEVICE_MAX,
	    OPT, "Or these."),
	R_FIXED(borrow_prepare, nonce, 0, "The device's own."),
	R_STRUCT(borrow_prepare, proof, &proof_record, 0,
	    "Purpose return: the counter as it stands."),
};
RECORD_DEFINE(borrow_prepare, 1, "A return begins.");

static const struct record_field borrow_prepared_fields[] = {
	R_U64(borrow_prepared, epoch, 0, U53_MAX, OPT,
	    "What the counter is to be raised to; absent: none of them is lent "
	    "any more."),
};
RECORD_DEFINE(borrow_prepared, 1, "What the device does next.");

static const struct record_field borrow_return_fields[] = {
	R_FIXED(borrow_return, nonce, 0, "The device's own."),
	R_STRUCT(borrow_return, proof, &proof_record, 0,
	    "Purpose return: the counter as it stands."),
};
RECORD_DEFINE(borrow_return, 1, "What is below cannot be used any more.");

static const struct record_field borrow_returned_fields[] = {
	R_U64(borrow_returned, counter, 0, U53_MAX, 0,
	    "The highest that was ever proved."),
	R_U32(borrow_returned, ended, 0, BORROW_DEVICE_MAX, 0,
	    "Borrows that this proof ended."),
	R_U32(borrow_returned, left, 0, BORROW_DEVICE_MAX, 0,
	    "Borrows that the device still has."),
};
RECORD_DEFINE(borrow_returned, 1, "What a proof gave back.");

static const struct record_field borrow_file_fields[] = {
	R_TEXT(borrow_file, site, 1, 63, 0, "The site's id."),
	R_TEXT(borrow_file, tenant, 1, 63, 0, "The tenant."),
	R_U64(borrow_file, device, 1, U53_MAX, 0, "The device's number."),
	R_FIXED(borrow_file, nonce, 0, "The device's own."),
	R_STRUCT(borrow_file, proof, &proof_record, 0,
	    "Purpose return: the counter when it was made."),
	R_TIME(borrow_file, made_at, 0, "When it was made, by its clock."),
};
RECORD_DEFINE(borrow_file, 1,
    "A return made offline: whoever brings it, it proves itself.");

/* --- what a device has ---------------------------------------------------- */

static const struct record_field borrow_mine_fields[] = {
	R_CURSOR(borrow_mine, after, 'T', OPT,
	    "Cursor: the last ticket already seen."),
};
RECORD_DEFINE(borrow_mine, 1, "Which tickets.");

static const struct record_field borrow_evidence_fields[] = {
	R_U64(borrow_evidence, lease, 1, U53_MAX, 0, "The borrow's number."),
	R_U64(borrow_evidence, row_number, 1, U53_MAX, 0,
	    "Number of the ticket's row."),
	R_BLOB(borrow_evidence, row, 1, ROW_MAX, 0, "The row."),
	R_BLOB(borrow_evidence, path, 0, HASHES_MAX, OPT,
	    "Its path to the batch's root; 32 bytes a hash."),
	R_STRING(borrow_evidence, header, 1, HEADER_MAX, 0,
	    "The batch's header, a signed document."),
};
RECORD_DEFINE(borrow_evidence, 1, "A ticket, and that the site signed it.");

static const struct record_field borrow_tickets_fields[] = {
	R_LIST(borrow_tickets, items, &borrow_evidence_record, 0,
	    2 * BORROW_DEVICE_MAX, 0, "Tickets."),
	R_CURSOR(borrow_tickets, next, 'T', OPT,
	    "Cursor for `after`; absent: that was all."),
	R_U64(borrow_tickets, target, 0, U53_MAX, OPT,
	    "What the counter is to be raised to; absent: nothing."),
	R_U64(borrow_tickets, owed, 0, U53_MAX, OPT,
	    "The counter is to be proved above this; absent: no need."),
};
RECORD_DEFINE(borrow_tickets, 1, "A page of tickets.");

/* --- people --------------------------------------------------------------- */

static const struct record_field borrow_view_fields[] = {
	R_U64(borrow_view, lease, 1, U53_MAX, 0, "The borrow's number."),
	R_TEXT(borrow_view, product, 1, 63, 0, "The product's id."),
	R_TEXT(borrow_view, version, 0, 31, 0, "Version that runs."),
	R_TEXT(borrow_view, feature, 0, 63, OPT, "Feature."),
	R_U32(borrow_view, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_ENUM(borrow_view, type, seat_type_names, 0, "Commit or overage."),
	R_ENUM(borrow_view, state, borrow_state_names, 0,
	    "Lent; on its way back; or over without a proof."),
	R_U64(borrow_view, license, 1, U53_MAX, 0, "The license's number."),
	R_U64(borrow_view, device, 1, U53_MAX, 0, "The device's number."),
	R_TEXT(borrow_view, device_name, 0, 63, OPT, "The device's name."),
	R_CLASS(borrow_view, 0, "Class of the device."),
	R_TEXT(borrow_view, user, 0, 63, OPT, "Who it is for; a claim."),
	R_TEXT(borrow_view, host, 0, 127, OPT, "Where it runs; a claim."),
	R_TIME(borrow_view, taken_at, 0, "When it was taken."),
	R_TIME(borrow_view, until, 0, "When it is over."),
	R_U64(borrow_view, epoch, 1, U53_MAX, 0,
	    "It is over once the device's counter is proved above this."),
};
RECORD_DEFINE(borrow_view, 1, "A borrow, for people.");

static const struct record_field borrow_query_fields[] = {
	R_TEXT(borrow_query, product, 0, 63, OPT, "Of this product only."),
	R_U64(borrow_query, device, 0, U53_MAX, OPT, "Of this device only."),
	R_CURSOR(borrow_query, after, 'B', OPT,
	    "Cursor: the last borrow already seen."),
	R_U32(borrow_query, limit, 0, LIST_LIMIT_MAX, OPT,
	    "Items at most; absent: 100."),
};
RECORD_DEFINE(borrow_query, 1, "Which borrows.");

static const struct record_field borrow_page_fields[] = {
	R_LIST(borrow_page, items, &borrow_view_record, 0, LIST_LIMIT_MAX, 0,
	    "Borrows in the order of their numbers."),
	R_CURSOR(borrow_page, next, 'B', OPT,
	    "Cursor for `after`; absent: that was all."),
};
RECORD_DEFINE(borrow_page, 1, "A page of borrows.");

static const struct record_field borrow_write_off_fields[] = {
	R_U64(borrow_write_off, lease, 1, U53_MAX, 0, "The borrow's number."),
	R_BOOL(borrow_write_off, overage, OPT,
	    "Free its seats now, and bill as many overage seats in their "
	    "place."),
};
RECORD_DEFINE(borrow_write_off, 1, "A borrow is given up.");

static const struct record_field borrow_written_off_fields[] = {
	R_U64(borrow_written_off, lease, 1, U53_MAX, 0, "The borrow's number."),
	R_TIME(borrow_written_off, until, OPT,
	    "Seats stay taken until then; absent: they are free."),
	R_U32(borrow_written_off, overage_count, 0, LEASE_COUNT_MAX, OPT,
	    "Seats that are billed."),
};
RECORD_DEFINE(borrow_written_off, 1, "What became of its seats.");

/* --- what is proved with a request ---------------------------------------- */

static int
digest_of(uint8_t digest[32], const struct record *record, const void *request)
{
	struct buf bytes = { 0 };

	record_write_msgpack(&bytes, record, request);
	if (!bytes.failed)
		crypto_hash_sha256(digest, bytes.data, bytes.len);
	int err = bytes.failed ? ERR_NOMEM : 0;

	buf_release(&bytes);
	return err;
}

int
borrow_take_digest(uint8_t digest[32], const struct borrow_take *request)
{
	struct borrow_take plain = *request;

	memset(&plain.proof, 0, sizeof(plain.proof));
	return digest_of(digest, &borrow_take_record, &plain);
}

int
borrow_extend_digest(uint8_t digest[32], const struct borrow_extend *request)
{
	struct borrow_extend plain = *request;

	memset(&plain.proof, 0, sizeof(plain.proof));
	return digest_of(digest, &borrow_extend_record, &plain);
}
