/*
 * Is it true? The whole chain of a lease as pure functions: vendor root ->
 * issuer -> license -> site key -> batch header -> row -> what was asked; that
 * a header continues the one kept; that a beat renews this lease. It believes
 * only the root it is given. It must not know sockets, files, clocks or
 * threads: the contract is checked at the header's own time, and then at each
 * beat's.
 *
 * A beat proves less than a grant. It names a batch and its head, signed, but
 * brings no proof that this batch continues the one kept: a beat is only held
 * against what it contradicts outright: an older batch, another head of the
 * same batch, an older generation. A site that was put back and has since grown
 * past the newest batch seen is found out by the next grant, whose header comes
 * with proofs, not by its beats.
 *
 * A borrowed seat has a ticket in the place of grant and beats: a row that stands
 * in the journal too, of which the device that borrowed it proves, over the
 * application's own nonce, that it has it still (DESIGN 9). No site was asked,
 * so nothing is said of how its journal goes on.
 *
 * Functions return LH_OK or LH_E_*, and with it words in `why`.
 */
#ifndef AGENT_LIB_VERIFY_H
#define AGENT_LIB_VERIFY_H

#include "shared/rpc/local.h"

#define VERIFY_WHY 256

/** What the application asked; strings as in struct local_checkout. */
struct verify_question {
	uint8_t root[32]; /* the vendor's */
	char product[64];
	char version[32];
	char feature[64]; /* "": none */
	uint32_t count;
	uint8_t nonce[NONCE_BYTES];
};

/** What a verified answer says. */
struct verify_lease {
	uint64_t lease;
	uint32_t type; /* enum seat_type */
	uint32_t slot; /* the first */
	uint32_t count;
	uint32_t ttl_s;
	uint32_t grace_s;
	uint8_t site_key[32];
	/* What a beat may not outlive. */
	char license_id[64];
	struct license_contract contract;
	uint32_t enforce; /* enum license_enforce */
	uint32_t grace_days;
	struct journal_header header;
	uint8_t head[32];
};

/**
 * Everything but what was known before.
 * @retval LH_E_BAD_SIGNATURE  No chain from the vendor's root to the header.
 * @retval LH_E_NOT_IN_JOURNAL The row does not stand in that batch.
 * @retval LH_E_MISMATCH       True, but not the answer to this question, or
 *                             not what the license allows.
 * @retval LH_E_VERSION        The license does not cover the version.
 * @retval LH_E_EXPIRED        The contract was not running at that time.
 * @retval LH_E_PROTOCOL       Signed, and yet not what such a document says.
 * @retval LH_E_MEMORY
 */
int verify_grant(struct verify_lease *lease,
    const struct local_checkout_reply *reply,
    const struct verify_question *question, char why[static VERIFY_WHY]);

/** Of a verified ticket, beyond the lease that it is. */
struct verify_borrow {
	uint64_t device;
	int64_t until; /* end of its window by the wall clock, ms */
	int64_t left_ms; /* of both its times, from the proof on; above 0 */
	uint64_t clock_ms; /* as the device proved them */
	uint64_t resets;
};

/** Is the answer a ticket, or a grant? What it says of itself is proved by the
 * one verifier or by none. */
bool verify_is_ticket(const struct local_checkout_reply *reply);

/**
 * A ticket whole: vendor root -> issuer -> license -> site key -> header -> row
 * -> what the vendor lets the site lend, and the proof of the device in it over
 * question->nonce and that row. lease->count is question->count, of as many
 * seats or more that are borrowed.
 *
 * @param[in] wall_ms  This machine's clock now.
 * @retval LH_E_BAD_PROOF  The device did not say so, or of another nonce or
 *                         row, or for another purpose.
 * @retval LH_E_GONE       It proves that the borrow is over: given back, or its
 *                         time used up.
 * @retval LH_E_CLOCK      It proves a clock that went back, or this machine's
 *                         stands before the borrow.
 * The others as verify_grant().
 */
int verify_ticket(struct verify_lease *lease, struct verify_borrow *borrow,
    const struct local_checkout_reply *reply,
    const struct verify_question *question, int64_t wall_ms,
    char why[static VERIFY_WHY]);

/** Is it the same borrow as before, of a device whose clock went on?
 * LH_E_MISMATCH, LH_E_CLOCK. */
int verify_ticket_goes_on(const struct verify_lease *lease,
    const struct verify_borrow *borrow, const struct verify_lease *before,
    const struct verify_borrow *was, char why[static VERIFY_WHY]);

/** ms that an application may go on from when it sent the nonce: one interval
 * between proofs at most, and no more than is left. */
int64_t verify_ticket_span_ms(const struct verify_lease *lease,
    const struct verify_borrow *borrow);

/** What to keep of a verified header. */
void verify_keep(struct journal_known *known, const struct verify_lease *lease);

/** Has anything been kept? */
bool verify_knows(const struct journal_known *known);

/** Does the header of a verified lease continue what was known when the
 * question was sent? Nothing known: yes. LH_E_FORK. */
int verify_continues(const struct verify_lease *lease,
    const struct local_checkout_reply *reply, const struct journal_known *known,
    char why[static VERIFY_WHY]);

/**
 * Read a beat of the lease's site and check its signature, that its batch is
 * not behind `known` nor the lease's own, nor another one of the same number,
 * and that its generation is not older than theirs (LH_E_FORK). In a later
 * generation batches of an earlier one are not compared: some are lost, and the
 * journal says so.
 */
int verify_beat_token(struct journal_beat *beat,
    const struct verify_lease *lease, const struct local_renew_reply *reply,
    const struct journal_known *known, char why[static VERIFY_WHY]);

/** Does the verified beat renew this lease, answering this nonce?
 * LH_E_NOT_IN_JOURNAL. */
int verify_beat(const struct journal_beat *beat,
    const struct verify_lease *lease, const struct local_renew_reply *reply,
    const uint8_t nonce[NONCE_BYTES], char why[static VERIFY_WHY]);

/**
 * Was the contract still running when the beat was signed? LH_E_EXPIRED. Then
 * it renews nothing, and the seat ends with the span signed before it. A
 * license that is only advisory outlives its contract; one that grants a grace
 * of days does not here, because it does not sign how many.
 */
int verify_beat_contract(const struct journal_beat *beat,
    const struct verify_lease *lease, char why[static VERIFY_WHY]);

#endif
