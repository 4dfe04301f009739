/*
 * Borrows: leases that a device holds offline, and how their seats come back
 * (DESIGN 9). What a device proves is its counter, which never goes back, so
 * all of it rests on two rules:
 *
 *   - a ticket is good at exactly one value of the counter, its epoch;
 *   - a seat is freed by a proved value above every ticket of its borrow, and
 *     by nothing else but an admin's word (then it stays taken to the end of
 *     the ticket's window, or overage is taken in its place).
 *
 * The early return of some of a device's borrows, which must not end the
 * others, and which a crash may interrupt anywhere:
 *
 *   site     journals the target, an epoch above every ticket of those that
 *            come back, and a replacement at that epoch for each other borrow
 *   device   stores the replacements: now every borrow that stays has a ticket
 *            for both values of the counter
 *   device   raises its counter to the target: at once those that come back
 *            are over, and nobody can undo it
 *   device   proves the new value; however late, from wherever it is brought
 *   site     frees what is below
 *
 * Until that proof nothing is free; after it nothing of what is free can be
 * used. Each step may be said again: the same target, the same tickets.
 *
 * A borrow that ran out without a proof is unproven: its seat stays taken, and
 * the device gets nothing more (`owed` says the same of what was written off)
 * before it has proved an increment.
 *
 * A journal that was put back (guard.h) has forgotten tickets that it signed,
 * and a device may hold some that it does not show: what it proves does not say
 * any more that nothing below can be used. So with a generation every device
 * that had borrowed is fenced, by its first proof after it: no ticket of before
 * is for a value further than BORROW_AHEAD_MAX above the counter as it was then,
 * and what is proved above that fence closes them all, those that nobody showed
 * too. Until then no proof frees a seat of it, and nothing is lent to it; what
 * it keeps gets tickets above the fence, by the steps above (two times, for no
 * target is so far ahead). Proofs below what its session began with are
 * refused: an old one would make a low fence.
 *
 *   a ticket of a borrow that is not known here is adopted (ROW_LEASE_ADOPTED):
 *     its seats are taken until they are proved back, once for each number. One
 *     for a value below the counter is over: it was given back, here or there
 *   a ticket of a borrow that is known here and ends earlier, or was for a value
 *     that is over by now, takes the place of the one that is known
 *   what the lost branch journaled of a return counts for nothing: the counter
 *     that the device proves does
 *   a return as a file frees nothing of a device that is not fenced: it may be
 *     older than the tickets
 *   a device that never borrowed here, and hides what it borrowed there, keeps
 *     it to the end of its time, as it would by never coming back
 *
 * A borrow is a lease too: it has its number among them and its seats in a
 * pool; `state_lease.ttl_s` 0 tells it from one that lives by beats.
 */
#ifndef APPLIANCE_LEDGER_BORROW_H
#define APPLIANCE_LEDGER_BORROW_H

#include "appliance/ledger/fold.h"
#include "shared/rpc/borrow.h"

/** The highest value of a counter at which anything is lent. Key files count as
 * they like, and above a ticket's epoch there must be values to give it back
 * by, which rows can hold. */
#define BORROW_COUNTER_MAX (UINT64_C(1) << 52)

/** Where the row of a ticket stands. */
struct borrow_ticket_place {
	uint64_t epoch; /* 0: there is no such ticket */
	uint64_t row_number;
	uint64_t batch;
	uint32_t index;
};

struct state_borrow {
	uint64_t device;
	uint64_t lease;
	uint64_t license;
	struct borrow_ticket_place now; /* for the counter as it was proved */
	struct borrow_ticket_place next; /* for the target; epoch 0: none */
	int64_t until; /* the latest end of a window of its tickets */
};

/** What is known of a device that borrows, or did. */
struct state_borrower {
	uint64_t device;
	uint64_t proven; /* its counter, at the last proof */
	uint64_t clock_ms, resets; /* then */
	uint64_t target; /* a return was begun: see above; 0: none */
	/** What was given up without proof had tickets up to here: the counter
	 * is to be proved above it. 0: nothing is owed. */
	uint64_t owed;
	uint32_t borrows; /* it has now */
	uint32_t generation; /* of its last proof; 0: before its first */
	uint64_t fence; /* see above; 0: it is through */
};

/** Did the generation begin since it proved anything, so that a fence is due?
 */
static inline bool
borrower_is_unfenced(const struct state_borrower *borrower, uint32_t generation)
{
	return generation > 1 && borrower->generation < generation &&
	    (borrower->proven != 0 || borrower->borrows != 0);
}

/** What is proved frees nothing yet. */
static inline bool
borrower_is_held_up(const struct state_borrower *borrower, uint32_t generation)
{
	return borrower->fence != 0 ||
	    borrower_is_unfenced(borrower, generation);
}

static inline uint64_t
borrow_epoch(const struct state_borrow *borrow)
{
	return borrow->next.epoch != 0 ? borrow->next.epoch : borrow->now.epoch;
}

/** Is it on its way back: without a ticket for the target? */
static inline bool
borrow_is_returning(const struct state_borrow *borrow,
    const struct state_borrower *borrower)
{
	return borrower->target != 0 && borrow_epoch(borrow) < borrower->target;
}

static inline bool
lease_is_borrow(const struct state_lease *lease)
{
	return lease->ttl_s == 0;
}

/* --- state_borrow.c: tables ----------------------------------------------- */

int state_borrow(struct state_borrow *out, const struct state *state,
    uint64_t device, uint64_t lease);
int state_borrow_put(struct state *state, const struct state_borrow *borrow);
int state_borrow_delete(struct state *state, uint64_t device, uint64_t lease);
int state_borrow_read(struct state_borrow *out, const struct record_span *key,
    const struct record_span *value);

/** Those of a device, by number: at most BORROW_DEVICE_MAX, or ERR_CORRUPT. */
int state_borrows_of(struct state_borrow out[BORROW_DEVICE_MAX], uint32_t *n,
    const struct state *state, uint64_t device);

/** Zero but for the number when the device never borrowed: never
 * ERR_NOT_FOUND_INTERNAL. */
int state_borrower(struct state_borrower *out, const struct state *state,
    uint64_t device);
int state_borrower_put(struct state *state,
    const struct state_borrower *borrower);
int state_borrower_read(struct state_borrower *out,
    const struct record_span *key, const struct record_span *value);

/** Seats of a pool that are on loan; 0 when there were never any. */
int state_on_loan(uint32_t *seats, const struct state *state,
    struct pool_id id);
int state_on_loan_put(struct state *state, struct pool_id id, uint32_t seats);

/* --- fold_borrow.c -------------------------------------------------------- */

/** `lease` is what the grant says, its seats not taken yet. */
int fold_borrowed(struct state *state, const struct row *row,
    const struct state_lease *lease, const struct fold_place *place);
/** The same of a borrow that is adopted; its seats are taken by the caller. */
int fold_borrow_adopted(struct state *state, const struct row *row,
    const struct state_lease *lease, const struct fold_place *place);
int fold_borrow_reissued(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_borrow_returning(struct state *state, const struct row *row);
int fold_borrow_ended(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_device_proved(struct state *state, const struct row *row);

/** In fold.c: what the state says against a row. */
int fold_contradicted(const struct row *row, const char *why);

/* --- check_borrow.c ------------------------------------------------------- */

/** The invariants of the tables above; ERR_CORRUPT with words. */
int borrows_check(const struct state *state, char *error, size_t error_size);

#endif
