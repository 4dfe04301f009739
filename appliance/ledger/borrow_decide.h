/*
 * What decides on borrows shares: decide_borrow.c lends, decide_return.c takes
 * back, borrow_bounds.c says what a proof tells of its device, what the device
 * owes, and what license and site lend. Only these three may include it.
 */
#ifndef APPLIANCE_LEDGER_BORROW_DECIDE_H
#define APPLIANCE_LEDGER_BORROW_DECIDE_H

#include "appliance/ledger/borrow.h"
#include "appliance/ledger/grant.h"
#include "shared/journal/ticket.h"

/** A device, what it proves now, and what it has. */
struct proving {
	uint64_t device;
	struct row_device_proved row; /* as it will stand in the journal */
	struct state_borrower borrower;
	struct state_borrow borrows[BORROW_DEVICE_MAX];
	uint32_t n;
};

/** What the state knows, and a refusal when the counter went back. A proof is
 * that of the process around: verified. */
int proving_begin(struct proving *proving, struct batch *batch,
    struct command *command, uint64_t device, const struct proof *proof,
    const struct proof_subject *subject);

/* Each returns 0, also when it refused, or a fault. */

/** Time that a ticket counts begins at the clock that is proved: has it gone
 * back since it was proved last? */
int proving_check_clock(const struct proving *proving, struct command *command);
/** A device that borrows is through with what it gave back: nothing is below
 * its counter, no return is half done, and it owes no proof. */
int proving_check_settled(const struct proving *proving, struct batch *batch,
    struct command *command);

/** Its class, and the key that stands in its tickets. */
int borrow_check_class(uint32_t *class_, struct record_span *key,
    struct batch *batch, struct command *command, const struct license *terms);
int borrow_check_length(struct batch *batch, struct command *command,
    const struct license *terms, uint32_t length_s);
/** So many more seats of its pool on loan? */
int borrow_check_loan(struct batch *batch, struct command *command,
    const struct grant *grant);

/** The row of a ticket, whole; copied, for what is written next may move the
 * store's pages. */
int borrow_row_read(struct row *out, struct batch *batch,
    struct command *command, const struct borrow_ticket_place *place);

/** The row, when it says anything new. */
int proving_emit(struct proving *proving, struct batch *batch);

#endif
