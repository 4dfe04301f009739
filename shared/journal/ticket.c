#include "shared/journal/ticket.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

int
ticket_used_ms(uint64_t *used_ms, const struct row_ticket *ticket,
    uint64_t clock_ms, uint64_t resets)
{
	if (resets < ticket->resets)
		return ERR_CLOCK_TAMPERED;
	uint64_t lost = resets - ticket->resets;

	/* More resets than any ticket lasts: nothing is left of it. */
	lost = lost > UINT64_MAX / 4 / TICKET_RESET_MS ? UINT64_MAX / 4
						       : lost * TICKET_RESET_MS;
	if (clock_ms > UINT64_MAX / 4 || clock_ms + lost < ticket->clock_ms)
		return ERR_CLOCK_TAMPERED;
	*used_ms = clock_ms + lost - ticket->clock_ms;
	return 0;
}

int
ticket_left_ms(int64_t *left_ms, const struct row_ticket *ticket,
    const struct ticket_now *now)
{
	uint64_t length_ms = (uint64_t)ticket->length_s * 1000;
	uint64_t used_ms;

	if (now->counter != ticket->epoch)
		return ERR_GONE;
	int err = ticket_used_ms(&used_ms, ticket, now->clock_ms, now->resets);

	if (err != 0)
		return err;
	if (used_ms >= length_ms || now->wall_ms >= ticket->until)
		return ERR_EXPIRED;
	if (now->wall_ms < ticket->from - TICKET_SLACK_MS)
		return ERR_CLOCK_TAMPERED;
	*left_ms = (int64_t)(length_ms - used_ms);
	return 0;
}

void
ticket_explain(char *out, size_t size, int err, const struct row_ticket *ticket,
    const struct ticket_now *now)
{
	if (err == ERR_GONE)
		snprintf(out, size,
		    "the device's counter stands at %" PRIu64
		    ", and the ticket is for %" PRIu64 ": it was given back",
		    now->counter, ticket->epoch);
	else if (err == ERR_EXPIRED)
		snprintf(out, size,
		    "the %" PRIu32 " s that the seat was borrowed for are over",
		    ticket->length_s);
	else if (now->resets < ticket->resets)
		snprintf(out, size,
		    "the device counts %" PRIu64 " resets, and had %" PRIu64
		    " when the seat was borrowed: it was cleared",
		    now->resets, ticket->resets);
	else if (now->wall_ms < ticket->from - TICKET_SLACK_MS)
		snprintf(out, size,
		    "this machine's clock stands before the time at which the "
		    "seat was borrowed");
	else
		snprintf(out, size,
		    "the device's own clock went back since the seat was "
		    "borrowed");
}

bool
ticket_is_sound(const struct row_borrowed *row)
{
	const struct row_ticket *ticket = &row->ticket;

	return row_slots_are_sound(&row->grant) && row->grant.grace_s == 0 &&
	    row->grant.ttl_s <= BORROW_PROVE_MAX_S &&
	    ticket->until == ticket->from + (int64_t)ticket->length_s * 1000;
}

bool
ticket_seats_are(const struct row_lease_granted *grant,
    const struct license *license, int64_t now)
{
	const int64_t start = license->contract.start_date * INT64_C(86400000);
	struct license_seats seats, then;

	if (!license_seats(&seats, license, grant->feature))
		return false;
	license_seats_at(&then, license, &seats, now);
	if (row_seats_are(grant, then.total, then.commit))
		return true;
	license_seats_at(&then, license, &seats, start);
	return row_seats_are(grant, then.total, then.commit);
}

/* --- what proofs are over ------------------------------------------------- */

void
ticket_subject(struct proof_subject *subject, const char *site,
    const char *tenant, uint64_t device, const uint8_t nonce[PROOF_NONCE_BYTES],
    const void *row, size_t row_len)
{
	*subject = (struct proof_subject){
		.purpose = PROOF_BORROW,
		.site = site,
		.tenant = tenant,
		.device = device,
	};
	memcpy(subject->nonce, nonce, sizeof(subject->nonce));
	crypto_hash_sha256(subject->request_digest, row, row_len);
}

void
ticket_return_subject(struct proof_subject *subject, const char *site,
    const char *tenant, uint64_t device, const uint8_t nonce[PROOF_NONCE_BYTES])
{
	*subject = (struct proof_subject){
		.purpose = PROOF_RETURN,
		.site = site,
		.tenant = tenant,
		.device = device,
	};
	memcpy(subject->nonce, nonce, sizeof(subject->nonce));
}
