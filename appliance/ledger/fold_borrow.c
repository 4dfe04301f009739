/* What follows from the rows about borrows; see borrow.h. A seat that comes
 * back without the proof that frees it contradicts the state: the rule is in
 * the fold, and no decision can get around it. */
#include "appliance/ledger/borrow.h"

#include "appliance/ledger/linger.h"
#include "appliance/ledger/pools.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"
#include "shared/journal/ticket.h"

#include <string.h>

static int
must_exist(int err, const struct row *row, const char *what)
{
	return err == ERR_NOT_FOUND_INTERNAL ? fold_contradicted(row, what)
					     : err;
}

static int
add_on_loan(struct state *state, const struct row *row, struct pool_id id,
    int64_t seats)
{
	uint32_t before;
	int err = state_on_loan(&before, state, id);

	if (err != 0)
		return err;
	if (seats < 0 && before < -seats)
		return fold_contradicted(row, "so many seats are not on loan");
	return state_on_loan_put(state, id, (uint32_t)(before + seats));
}

static struct borrow_ticket_place
place_of(const struct row *row, const struct fold_place *place)
{
	return (struct borrow_ticket_place){
		.epoch = row->u.borrowed.ticket.epoch,
		.row_number = row->number,
		.batch = place->batch,
		.index = place->index,
	};
}

/* --- taking --------------------------------------------------------------- */

int
fold_borrowed(struct state *state, const struct row *row,
    const struct state_lease *lease, const struct fold_place *place)
{
	const struct row_borrowed *r = &row->u.borrowed;
	struct pool_id id = { lease->license, lease->pool };
	struct state_borrow borrow = {
		.device = lease->device,
		.lease = lease->lease,
		.license = lease->license,
		.now = place_of(row, place),
		.until = r->ticket.until,
	};
	struct state_borrower borrower;
	int err = state_borrower(&borrower, state, lease->device);

	if (err != 0)
		return err;
	if (!ticket_is_sound(r) || r->ticket.why != TICKET_TAKEN)
		return fold_contradicted(row, "its ticket does not add up");
	if (r->ticket.epoch != borrower.proven)
		return fold_contradicted(row,
		    "the device proved another value of its counter");
	if (borrower.borrows == BORROW_DEVICE_MAX)
		return fold_contradicted(row, "the device has too many");
	borrower.borrows++;
	err = pool_take(state, lease, r->grant.slots.items);
	if (err == 0)
		err = state_lease_append(state, lease, r->grant.slots.items);
	if (err == 0)
		err = state_borrow_put(state, &borrow);
	if (err == 0)
		err = state_borrower_put(state, &borrower);
	return err == 0 ? add_on_loan(state, row, id, lease->count) : err;
}

/* What other tickets the lost branch made is not known: its device is fenced
 * anew (borrow.h). */
int
fold_borrow_adopted(struct state *state, const struct row *row,
    const struct state_lease *lease, const struct fold_place *place)
{
	const struct row_lease_adopted *r = &row->u.lease_adopted;
	struct pool_id id = { lease->license, lease->pool };
	struct arena arena = { .chunks = NULL };
	struct state_borrower borrower;
	struct row before;
	int err = row_read(&before, r->origin.row_number, r->row.data,
	    r->row.len, &arena);

	if (err == 0)
		err = state_borrower(&borrower, state, lease->device);
	if (err != 0) {
		arena_release(&arena);
		return err;
	}
	struct state_borrow borrow = {
		.device = lease->device,
		.lease = lease->lease,
		.license = lease->license,
		.now = { before.u.borrowed.ticket.epoch, row->number,
		    place->batch, place->index },
		.until = before.u.borrowed.ticket.until,
	};
	bool sound = ticket_is_sound(&before.u.borrowed);

	arena_release(&arena);
	if (!sound)
		return fold_contradicted(row, "its ticket does not add up");
	if (borrow.now.epoch < borrower.proven)
		return fold_contradicted(row, "it was proved to be over");
	if (borrower.borrows == BORROW_DEVICE_MAX)
		return fold_contradicted(row, "the device has too many");
	borrower.borrows++;
	borrower.generation = 0;
	err = state_borrow_put(state, &borrow);
	if (err == 0)
		err = state_borrower_put(state, &borrower);
	return err == 0 ? add_on_loan(state, row, id, lease->count) : err;
}

/* --- further tickets ------------------------------------------------------ */

int
fold_borrow_reissued(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_borrowed *r = &row->u.borrowed;
	struct borrow_ticket_place ticket = place_of(row, place);
	struct state_borrower borrower;
	struct state_borrow borrow;
	struct state_lease lease;
	int err = must_exist(state_borrow(&borrow, state, r->grant.device,
				 r->grant.lease),
	    row, "the device has no such borrow");

	if (err == 0)
		err = must_exist(state_lease(&lease, state, r->grant.lease),
		    row, "there is no such lease");
	if (err == 0)
		err = state_borrower(&borrower, state, r->grant.device);
	if (err != 0)
		return err;
	if (!ticket_is_sound(r) || r->grant.license != lease.license ||
	    r->grant.count != lease.count ||
	    r->grant.overage_count != lease.overage_count)
		return fold_contradicted(row, "it is of other seats");
	if (r->ticket.why == TICKET_REPLACED) {
		if (ticket.epoch != borrower.target ||
		    ticket.epoch <= borrow_epoch(&borrow))
			return fold_contradicted(row,
			    "no return to its epoch was begun");
		borrow.next = ticket;
	} else if (r->ticket.why == TICKET_ADOPTED) {
		if (ticket.epoch < borrower.proven)
			return fold_contradicted(row,
			    "it was proved to be over");
		borrow.now = ticket;
		if (borrow.next.epoch <= ticket.epoch)
			borrow.next = (struct borrow_ticket_place){ 0 };
	} else {
		if (r->ticket.why != TICKET_EXTENDED ||
		    borrow.next.epoch != 0 || ticket.epoch != borrower.proven ||
		    ticket.epoch != borrow.now.epoch)
			return fold_contradicted(row, "it is of another epoch");
		borrow.now = ticket;
	}
	if (borrow.until < r->ticket.until)
		borrow.until = r->ticket.until;
	return state_borrow_put(state, &borrow);
}

int
fold_borrow_returning(struct state *state, const struct row *row)
{
	const struct row_borrow_returning *r = &row->u.borrow_returning;
	struct state_borrower borrower;
	int err = state_borrower(&borrower, state, r->device);

	if (err != 0)
		return err;
	if (r->epoch <= borrower.proven || r->epoch <= borrower.target)
		return fold_contradicted(row, "its epoch is not a new one");
	borrower.target = r->epoch;
	return state_borrower_put(state, &borrower);
}

/* --- proofs --------------------------------------------------------------- */

/* From now on the replacements are the tickets. */
static int
promote(struct state *state, uint64_t device, uint64_t counter)
{
	struct state_borrow borrows[BORROW_DEVICE_MAX];
	uint32_t n;
	int err = state_borrows_of(borrows, &n, state, device);

	for (uint32_t i = 0; i < n && err == 0; i++) {
		struct state_borrow *borrow = &borrows[i];

		if (borrow->next.epoch == 0 || borrow->next.epoch > counter)
			continue;
		borrow->now = borrow->next;
		borrow->next = (struct borrow_ticket_place){ 0 };
		err = state_borrow_put(state, borrow);
	}
	return err;
}

int
fold_device_proved(struct state *state, const struct row *row)
{
	const struct row_device_proved *r = &row->u.device_proved;
	struct state_borrower borrower;
	uint64_t counter = r->proof.counter;
	int err = state_borrower(&borrower, state, r->device);

	if (err != 0)
		return err;
	if (counter < borrower.proven)
		return fold_contradicted(row, "the device's counter goes back");
	bool raised = counter > borrower.proven;
	uint32_t generation = state->counters.generation;

	/* The first proof of a generation is where the fence is measured from.
	 */
	if (borrower_is_unfenced(&borrower, generation))
		borrower.fence = counter + BORROW_AHEAD_MAX;
	else if (borrower.fence < counter)
		borrower.fence = 0;
	borrower.generation = generation;

	borrower.proven = counter;
	borrower.clock_ms = r->proof.clock_ms;
	borrower.resets = r->proof.resets;
	if (borrower.target <= counter)
		borrower.target = 0;
	if (borrower.owed < counter)
		borrower.owed = 0;
	err = state_borrower_put(state, &borrower);
	if (err == 0 && raised && borrower.borrows > 0)
		err = promote(state, r->device, counter);
	return err;
}

/* --- ends ----------------------------------------------------------------- */

/* Seats stay taken for what was not proved: its own, or others in their place.
 */
static int
give_back(struct state *state, const struct row *row,
    const struct state_lease *lease, const struct fold_place *place)
{
	const struct row_borrow_ended *r = &row->u.borrow_ended;
	const struct row_slots *slots = r->slots.items;
	struct pool_id id = { lease->license, lease->pool };

	if (r->slots.count == 0)
		return pool_give(state, lease,
		    r->until > place->time ? r->until : 0);
	if (r->until <= place->time)
		return fold_contradicted(row, "its window is over");
	int err = pool_linger(state, id,
	    &(struct pool_lingering){ slots, r->slots.count, r->until,
		r->overage, r->overage_count });

	return err == 0 ? pool_give(state, lease, 0) : err;
}

int
fold_borrow_ended(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_borrow_ended *r = &row->u.borrow_ended;
	struct state_borrower borrower;
	struct state_borrow borrow;
	struct state_lease lease;
	int err = must_exist(state_borrow(&borrow, state, r->device, r->lease),
	    row, "the device has no such borrow");

	if (err == 0)
		err = must_exist(state_lease(&lease, state, r->lease), row,
		    "there is no such lease");
	if (err == 0)
		err = state_borrower(&borrower, state, r->device);
	if (err != 0)
		return err;
	if (r->license != lease.license || r->count != lease.count ||
	    r->epoch != borrow_epoch(&borrow))
		return fold_contradicted(row, "it is of another borrow");
	if (!row_borrow_end_is_sound(r))
		return fold_contradicted(row, "its slots do not add up");
	if (row_borrow_end_is_proved(r) &&
	    (borrower.proven <= r->epoch ||
		borrower_is_held_up(&borrower, state->counters.generation)))
		return fold_contradicted(row, "its return was not proved");
	if (!row_borrow_end_is_proved(r) && borrower.owed < r->epoch &&
	    borrower.proven <= r->epoch)
		borrower.owed = r->epoch;
	borrower.borrows--;
	state->counters.totals.ends++;
	state->counters.totals.overage += r->overage_count;
	err = give_back(state, row, &lease, place);
	if (err == 0)
		err = state_lease_delete(state, &lease);
	if (err == 0)
		err = state_borrow_delete(state, r->device, r->lease);
	if (err == 0)
		err = state_borrower_put(state, &borrower);
	return err == 0 ? add_on_loan(state, row,
			      (struct pool_id){ lease.license, lease.pool },
			      -(int64_t)lease.count)
			: err;
}
