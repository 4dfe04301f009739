/*
 * A borrow ticket: what is left of it, given what a device proves of itself now
 * (DESIGN 9). A ticket is no document of its own: it is a row (ROW_BORROWED or
 * ROW_BORROW_REISSUED), its path and the header of its batch. It is good while
 * the device proves exactly the ticket's epoch as its counter, and has used no
 * more than its length in powered-on time.
 *
 * Time used is counted so that nobody gains by losing power: what the device's
 * clock went forward, and for every reset since (which may have put the clock
 * back to where it was last saved) one whole saving interval. So a clock that
 * stands behind where it began by more than its resets explain went back, which
 * ends the ticket; so do fewer resets. A clock that is called unsafe has lost no
 * more than that either, and is charged, not refused. The wall clock's window
 * only deters: whoever sets the clock back gains no powered-on time.
 *
 * Pure; library, agent and site use the same. It must not know who asks, nor
 * whether row and proof are true: journal.h and proof.h say that first.
 */
#ifndef SHARED_JOURNAL_TICKET_H
#define SHARED_JOURNAL_TICKET_H

#include "shared/journal/rows.h"

/** How far a TPM's clock may fall back at a reset that was not an orderly one:
 * the longest interval at which it is saved (TPM 2.0 part 1, 36.3.2). */
#define TICKET_RESET_MS (UINT64_C(1) << 22)

/** How far a wall clock may be behind the site's when a ticket is new. */
#define TICKET_SLACK_MS INT64_C(3600000)

/** What a device proved, or says, of itself. */
struct ticket_now {
	uint64_t counter;
	uint64_t clock_ms;
	uint64_t resets;
	int64_t wall_ms; /* of this machine; proved by nobody */
};

/**
 * ms of powered-on time since the ticket began.
 * @retval ERR_CLOCK_TAMPERED  The device's clock or its resets went back.
 */
int ticket_used_ms(uint64_t *used_ms, const struct row_ticket *ticket,
    uint64_t clock_ms, uint64_t resets);

/**
 * ms of powered-on time that are left: more than 0.
 * @retval ERR_GONE            The counter is another than the ticket's: it was
 *                             given back, or is not good yet.
 * @retval ERR_CLOCK_TAMPERED  As above, or the wall clock stands before the
 *                             ticket was made.
 * @retval ERR_EXPIRED         Its time is used up, or its window over.
 */
int ticket_left_ms(int64_t *left_ms, const struct row_ticket *ticket,
    const struct ticket_now *now);

/** Words for a refusal of ticket_left_ms, for people. */
void ticket_explain(char *out, size_t size, int err,
    const struct row_ticket *ticket, const struct ticket_now *now);

/** Do the parts of such a row agree among themselves? */
bool ticket_is_sound(const struct row_borrowed *row);

/** Are its seats such as this license grants at `now`, when the ticket is
 * written, or granted while its contract ran? One that is written again keeps
 * its seats, and what they were lent as. */
bool ticket_seats_are(const struct row_lease_granted *grant,
    const struct license *license, int64_t now);

/** What a proof for an application is over: its own nonce, and this row. */
void ticket_subject(struct proof_subject *subject, const char *site,
    const char *tenant, uint64_t device, const uint8_t nonce[PROOF_NONCE_BYTES],
    const void *row, size_t row_len);

/** What a proof of a return is over: a nonce of the device's own choice. It
 * needs none of the site's, for a counter never goes back: whoever shows such a
 * proof, and however late, shows that every ticket below it is over. */
void ticket_return_subject(struct proof_subject *subject, const char *site,
    const char *tenant, uint64_t device,
    const uint8_t nonce[PROOF_NONCE_BYTES]);

#endif
