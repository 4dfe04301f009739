/* Tables of the rows about seats: leases, borrows and their tickets; and how the
 * slots of one add up. See rows.h. */
#include "shared/journal/rows_private.h"

const char *const seat_type_names[] = { "commit", "overage", NULL };
const char *const lease_end_names[] = { "returned", "exited", "expired",
	"released", "revoked", "idle", NULL };

static const struct record_field row_slots_fields[] = {
	R_U32(row_slots, first, 0, UINT32_MAX, 0, "The first, from 0."),
	R_U32(row_slots, count, 1, LEASE_COUNT_MAX, 0, "How many."),
};
RECORD_DEFINE(row_slots, 1, "Slots side by side.");

static const struct record_field row_lease_granted_fields[] = {
	R_U64(row_lease_granted, lease, 1, U53_MAX, 0, "Number of the lease."),
	R_U64(row_lease_granted, license, 1, U53_MAX, 0,
	    "Number of the license."),
	R_FIXED(row_lease_granted, license_digest, 0,
	    "BLAKE2b-256 of the license token."),
	R_U64(row_lease_granted, device, 1, U53_MAX, 0,
	    "Device that holds it."),
	R_U32(row_lease_granted, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_LIST(row_lease_granted, slots, &row_slots_record, 1, LEASE_COUNT_MAX,
	    0, "Which: slots of commit_qty and above are overage."),
	R_ENUM(row_lease_granted, type, seat_type_names, 0,
	    "Overage when one of its seats is; never changes."),
	R_U64(row_lease_granted, overage, 0, U53_MAX, 0,
	    "Number of its first overage seat in this license, from 1 without "
	    "gaps; 0: committed."),
	R_U32(row_lease_granted, overage_count, 0, LEASE_COUNT_MAX, 0,
	    "Overage seats; as many numbers are used."),
	R_FIXED(row_lease_granted, nonce, 0, "The application's nonce."),
	R_FIXED(row_lease_granted, request, 0, "Id of the request."),
	R_FIXED(row_lease_granted, request_digest, 0, "Digest of the request."),
	R_TEXT(row_lease_granted, product, 1, 63, 0, "Id of the product."),
	R_TEXT(row_lease_granted, version, 1, 31, 0, "Version that runs."),
	R_TEXT(row_lease_granted, feature, 0, 63, RECORD_OPTIONAL,
	    "Feature of the product."),
	R_FIXED(row_lease_granted, user, 0, "Subject id of the user."),
	R_FIXED(row_lease_granted, host, 0, "Subject id of the host."),
	R_FIXED(row_lease_granted, application, 0,
	    "SHA-256 of the executable; zero: unknown."),
	R_U32(row_lease_granted, ttl_s, 1, 86400, 0,
	    "Seconds that it holds without a beat."),
	R_U32(row_lease_granted, grace_s, 0, 604800, 0,
	    "Seconds of grace after that."),
};
RECORD_DEFINE(row_lease_granted, 1, "Seats were given.");

static const struct record_field row_lease_ended_fields[] = {
	R_U64(row_lease_ended, lease, 1, U53_MAX, 0, "Number of the lease."),
	R_U64(row_lease_ended, license, 1, U53_MAX, 0,
	    "Number of the license."),
	R_U32(row_lease_ended, count, 1, LEASE_COUNT_MAX, 0,
	    "Seats that are free, those of its grant."),
	R_ENUM(row_lease_ended, reason, lease_end_names, 0, "Why."),
	R_TIME(row_lease_ended, deadline, RECORD_OPTIONAL,
	    "When the last signed span, grace and skew were over; expired "
	    "leases only."),
	R_STRUCT(row_lease_ended, by, &row_actor_record, 0, "Who ended it."),
};
RECORD_DEFINE(row_lease_ended, 1, "Seats came back.");

static const struct record_field row_origin_fields[] = {
	R_U32(row_origin, generation, 0, UINT32_MAX, 0, "Of the journal."),
	R_U64(row_origin, batch, 0, U53_MAX, 0, "Number of the batch."),
	R_FIXED(row_origin, head, 0, "Its head."),
	R_U64(row_origin, row_number, 1, U53_MAX, 0, "Number of the row."),
};
RECORD_DEFINE(row_origin, 1, "Where a row of a lost branch stood.");

static const struct record_field row_lease_adopted_fields[] = {
	R_U64(row_lease_adopted, lease, 1, U53_MAX, 0, "Number of the lease."),
	R_U64(row_lease_adopted, license, 1, U53_MAX, 0,
	    "Number of the license, in this journal."),
	R_U64(row_lease_adopted, device, 1, U53_MAX, 0,
	    "Device that holds it."),
	R_U32(row_lease_adopted, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_LIST(row_lease_adopted, slots, &row_slots_record, 1, LEASE_COUNT_MAX,
	    0, "Which they are now."),
	R_ENUM(row_lease_adopted, type, seat_type_names, 0,
	    "As it was granted."),
	R_U64(row_lease_adopted, overage, 0, U53_MAX, 0,
	    "Number of its first overage seat; 0: there is none."),
	R_U32(row_lease_adopted, overage_count, 0, LEASE_COUNT_MAX, 0,
	    "Overage seats, as they were granted."),
	R_STRUCT(row_lease_adopted, origin, &row_origin_record, 0,
	    "Where it was granted."),
	R_BLOB(row_lease_adopted, row, 3, LEASE_ROW_MAX, 0,
	    "The granting row."),
};
RECORD_DEFINE(row_lease_adopted, 1,
    "A lease of an abandoned branch goes on; no checkout.");

/* --- borrows -------------------------------------------------------------- */

const char *const ticket_why_names[] = { "taken", "extended", "replaced",
	"adopted", NULL };
const char *const borrow_end_names[] = { "returned", "ran_out", "written_off",
	"revoked", NULL };

static const struct record_field row_ticket_fields[] = {
	R_ENUM(row_ticket, why, ticket_why_names, 0, "Why it was made."),
	R_U64(row_ticket, epoch, 1, U53_MAX, 0,
	    "What the device's counter says while it is good."),
	R_CLASS(row_ticket, "Class of the device."),
	R_BLOB(row_ticket, public_key, 1, PROOF_KEY_MAX, 0,
	    "Key of the device: applications check its proofs with it."),
	R_U32(row_ticket, length_s, 1, LICENSE_BORROW_MAX_S, 0,
	    "Seconds of powered-on time that it is good for."),
	R_U64(row_ticket, clock_ms, 0, U53_MAX, 0,
	    "The device's clock when that time began."),
	R_U64(row_ticket, resets, 0, U53_MAX, 0,
	    "How often that clock may have lost time until then."),
	R_TIME(row_ticket, from, 0, "Wall clock when it was made."),
	R_TIME(row_ticket, until, 0, "Wall clock when it is over."),
};
RECORD_DEFINE(row_ticket, 1, "What makes a grant good without the site.");

static const struct record_field row_borrowed_fields[] = {
	R_STRUCT(row_borrowed, grant, &row_lease_granted_record, 0,
	    "The seats."),
	R_STRUCT(row_borrowed, ticket, &row_ticket_record, 0, "The ticket."),
};
RECORD_DEFINE(row_borrowed, 1, "Seats were lent, or lent anew.");

static const struct record_field row_borrow_returning_fields[] = {
	R_U64(row_borrow_returning, device, 1, U53_MAX, 0, "Which device."),
	R_U64(row_borrow_returning, epoch, 1, U53_MAX, 0,
	    "What its counter is about to be raised to."),
};
RECORD_DEFINE(row_borrow_returning, 1, "A device began to return borrows.");

static const struct record_field row_borrow_ended_fields[] = {
	R_U64(row_borrow_ended, lease, 1, U53_MAX, 0, "Number of the borrow."),
	R_U64(row_borrow_ended, license, 1, U53_MAX, 0,
	    "Number of the license."),
	R_U64(row_borrow_ended, device, 1, U53_MAX, 0, "Which device had it."),
	R_U32(row_borrow_ended, count, 1, LEASE_COUNT_MAX, 0,
	    "Seats, those of its grant."),
	R_ENUM(row_borrow_ended, reason, borrow_end_names, 0, "Why."),
	R_U64(row_borrow_ended, epoch, 1, U53_MAX, 0,
	    "The highest epoch of its tickets."),
	R_TIME(row_borrow_ended, until, RECORD_OPTIONAL,
	    "Until when seats stay taken for what was not proved."),
	R_LIST(row_borrow_ended, slots, &row_slots_record, 0, LEASE_COUNT_MAX,
	    RECORD_OPTIONAL,
	    "Overage seats that stay taken in place of its own."),
	R_U64(row_borrow_ended, overage, 0, U53_MAX, RECORD_OPTIONAL,
	    "Number of the first of them that is billed."),
	R_U32(row_borrow_ended, overage_count, 0, LEASE_COUNT_MAX,
	    RECORD_OPTIONAL, "How many of them are billed."),
	R_STRUCT(row_borrow_ended, by, &row_actor_record, 0, "Who ended it."),
};
RECORD_DEFINE(row_borrow_ended, 1, "Lent seats came back, or were given up.");

static const struct record_field row_device_proved_fields[] = {
	R_U64(row_device_proved, device, 1, U53_MAX, 0, "Which device."),
	R_ENUM(row_device_proved, purpose, proof_purpose_names, 0, "What for."),
	R_FIXED(row_device_proved, nonce, 0, "What it is over."),
	R_FIXED(row_device_proved, exporter, 0, "And this; zero: none."),
	R_FIXED(row_device_proved, request_digest, 0,
	    "And this; zero: nothing was asked with it."),
	R_STRUCT(row_device_proved, proof, &proof_record, 0, "The proof."),
};
RECORD_DEFINE(row_device_proved, 1,
    "A device proved its counter and its clock.");

/* --- slots ---------------------------------------------------------------- */

static bool
slots_add_up(const struct record_list *list, uint32_t count)
{
	const struct row_slots *slots = list->items;
	uint64_t sum = 0, end = 0; /* of the run before */

	for (uint32_t i = 0; i < list->count; i++) {
		/* Runs that touch would be one. */
		if (slots[i].count == 0 || (i > 0 && slots[i].first <= end))
			return false;
		end = (uint64_t)slots[i].first + slots[i].count;
		sum += slots[i].count;
	}
	return sum != 0 && sum == count;
}

bool
row_slots_are_sound(const struct row_lease_granted *grant)
{
	return slots_add_up(&grant->slots, grant->count) &&
	    grant->overage_count <= grant->count &&
	    (grant->type == SEAT_OVERAGE) == (grant->overage_count != 0) &&
	    (grant->overage != 0) == (grant->overage_count != 0);
}

bool
row_seats_are(const struct row_lease_granted *grant, uint32_t total,
    uint32_t commit)
{
	const struct row_slots *slots = grant->slots.items;
	uint32_t n = grant->slots.count;

	return row_slots_below(slots, n, total) == grant->count &&
	    row_slots_below(slots, n, commit) ==
	    grant->count - grant->overage_count;
}

bool
row_borrow_end_is_sound(const struct row_borrow_ended *end)
{
	if (row_borrow_end_is_proved(end) && end->until != 0)
		return false;
	if (end->slots.count == 0)
		return end->overage == 0 && end->overage_count == 0;
	return end->until != 0 && slots_add_up(&end->slots, end->count) &&
	    end->overage_count <= end->count &&
	    (end->overage != 0) == (end->overage_count != 0);
}

uint32_t
row_slot_first(const struct row_lease_granted *grant)
{
	return ((const struct row_slots *)grant->slots.items)[0].first;
}

uint32_t
row_slots_below(const struct row_slots *slots, uint32_t n, uint32_t end)
{
	uint32_t below = 0;

	for (uint32_t i = 0; i < n && slots[i].first < end; i++)
		below += slots[i].count < end - slots[i].first
		    ? slots[i].count
		    : end - slots[i].first;
	return below;
}
