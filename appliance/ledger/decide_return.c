/* Decide on what comes back: borrow.prepare, borrow.return, returns that are
 * brought as a file, borrows that are given up. The order that makes a return
 * safe in every crash stands in borrow.h. */
#include "appliance/ledger/borrow_decide.h"
#include "appliance/ledger/pools.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"
#include "shared/journal/ticket.h"

#include <inttypes.h>
#include <string.h>

/* --- ends ----------------------------------------------------------------- */

static struct row *
end_row(struct batch *batch, const struct command *command,
    const struct state_borrow *borrow, uint32_t count, enum borrow_end reason)
{
	struct row *row = batch_row(batch, ROW_BORROW_ENDED);

	if (row == NULL)
		return NULL;
	row->u.borrow_ended = (struct row_borrow_ended){
		.lease = borrow->lease,
		.license = borrow->license,
		.device = borrow->device,
		.count = count,
		.reason = reason,
		.epoch = borrow_epoch(borrow),
		.by = decide_actor(&command->who),
	};
	return row;
}

static int
end_proved(struct batch *batch, const struct command *command,
    const struct state_borrow *borrow)
{
	struct state_lease lease;
	int err = state_lease(&lease, &batch->state, borrow->lease);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	return end_row(batch, command, borrow, lease.count,
		   borrow->until <= batch->place.time ? BORROW_RAN_OUT
						      : BORROW_RETURNED) != NULL
	    ? batch_emit(batch)
	    : ERR_NOMEM;
}

/* Nothing hangs on what it proves. */
static bool
is_idle(const struct proving *proving)
{
	return proving->n == 0 && proving->borrower.owed == 0 &&
	    proving->borrower.target == 0 && proving->borrower.fence == 0;
}

/* Journal the proof, and end what is below it. */
static int
settle(struct proving *proving, uint32_t *ended, struct batch *batch,
    const struct command *command)
{
	uint64_t counter = proving->row.proof.counter;
	uint32_t left = 0;
	int err = 0;

	*ended = 0;
	if (!borrower_is_unfenced(&proving->borrower,
		batch->state.counters.generation) &&
	    (counter <= proving->borrower.proven || is_idle(proving)))
		return 0;
	err = proving_emit(proving, batch);
	/* As the row left it: while it is fenced nothing ends. */
	if (err == 0)
		err = state_borrower(&proving->borrower, &batch->state,
		    proving->device);
	if (err != 0 || proving->borrower.fence != 0)
		return err;
	for (uint32_t i = 0; i < proving->n && err == 0; i++) {
		if (borrow_epoch(&proving->borrows[i]) < counter) {
			err = end_proved(batch, command, &proving->borrows[i]);
			(*ended)++;
		} else {
			proving->borrows[left++] = proving->borrows[i];
		}
	}
	proving->n = left;
	/* As the rows left it. */
	return err == 0
	    ? state_borrower(&proving->borrower, &batch->state, proving->device)
	    : err;
}

static int
begin_return(struct proving *proving, struct batch *batch,
    struct command *command, uint64_t device,
    const uint8_t nonce[PROOF_NONCE_BYTES], const struct proof *proof)
{
	struct proof_subject subject;

	ticket_return_subject(&subject, batch->ledger->site,
	    batch->ledger->tenant, device, nonce);
	return proving_begin(proving, batch, command, device, proof, &subject);
}

/* --- borrow.prepare ------------------------------------------------------- */

/* A device that has begun a return and waits for its target; those of its
 * borrows that are to come back are marked. */
struct preparing {
	struct proving proving;
	bool back[BORROW_DEVICE_MAX];
	uint64_t target;
};

static bool
is_named(const struct borrow_prepare *request, uint64_t lease)
{
	const struct lease_ref *leases = request->leases.items;

	for (uint32_t i = 0; i < request->leases.count; i++)
		if (leases[i].lease == lease)
			return true;
	return request->all;
}

/* What is to be proved above of what was given up, and of the fence; 0:
 * nothing. */
static uint64_t
owed_above(const struct state_borrower *borrower, uint64_t counter,
    uint32_t generation)
{
	uint64_t owed =
	    borrower->owed > borrower->fence ? borrower->owed : borrower->fence;

	if (borrower_is_unfenced(borrower, generation) &&
	    owed < counter + BORROW_AHEAD_MAX)
		owed = counter + BORROW_AHEAD_MAX;
	return owed >= counter ? owed : 0;
}

/* What is named, what was named before, what ran out, and what is over by the
 * counter and waits for the fence: no ticket is worth replacing whose time is
 * over. False: nothing that is named is lent. */
static bool
choose_back(struct preparing *p, const struct borrow_prepare *request,
    const struct batch *batch)
{
	const struct state_borrower *borrower = &p->proving.borrower;
	uint64_t counter = p->proving.row.proof.counter;
	uint64_t most = counter + BORROW_AHEAD_MAX;
	uint64_t owed =
	    owed_above(borrower, counter, batch->state.counters.generation);
	bool any = owed != 0;

	/* What is owed further up takes another round. */
	p->target = counter + 1;
	if (p->target <= owed)
		p->target = owed < most ? owed + 1 : most;
	if (p->target < borrower->target)
		p->target = borrower->target;
	for (uint32_t i = 0; i < p->proving.n; i++) {
		const struct state_borrow *borrow = &p->proving.borrows[i];
		bool named = is_named(request, borrow->lease) ||
		    borrow->until <= batch->place.time;

		p->back[i] = named || borrow_is_returning(borrow, borrower) ||
		    borrow_epoch(borrow) < counter;
		any = any || p->back[i];
		/* Above its last ticket, which may be for a target of before;
		 * where that is as far as the counter may go, it comes back
		 * in the next round. */
		if (named && borrow_epoch(borrow) >= p->target &&
		    borrow_epoch(borrow) < most)
			p->target = borrow_epoch(borrow) + 1;
	}
	return any;
}

static int
emit_replacement(struct batch *batch, struct command *command,
    const struct state_borrow *borrow, uint64_t target)
{
	struct row old;
	int err = borrow_row_read(&old, batch, command, &borrow->now);

	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_BORROW_REISSUED);

	if (row == NULL)
		return ERR_NOMEM;
	/* The same time, from the same beginning. */
	row->u.borrowed = old.u.borrowed;
	row->u.borrowed.ticket.why = TICKET_REPLACED;
	row->u.borrowed.ticket.epoch = target;
	return batch_emit(batch);
}

static int
emit_prepared(struct preparing *p, struct batch *batch, struct command *command)
{
	struct proving *proving = &p->proving;
	int err = 0;

	if (p->target != proving->borrower.target) {
		struct row *row = batch_row(batch, ROW_BORROW_RETURNING);

		if (row == NULL)
			return ERR_NOMEM;
		row->u.borrow_returning =
		    (struct row_borrow_returning){ proving->device, p->target };
		err = batch_emit(batch);
	}
	for (uint32_t i = 0; i < proving->n && err == 0; i++)
		if (!p->back[i] &&
		    borrow_epoch(&proving->borrows[i]) < p->target)
			err = emit_replacement(batch, command,
			    &proving->borrows[i], p->target);
	return err;
}

/* May its counter go there? */
static void
check_target(const struct preparing *p, struct command *command)
{
	uint64_t counter = p->proving.row.proof.counter;

	if (p->target - counter > BORROW_AHEAD_MAX)
		(void)decide_refuse(command, ERR_CONFLICT,
		    "raise the counter and prove it: borrow.return",
		    "device-%" PRIu64 " has begun %d returns and finished none",
		    command->who.id, BORROW_AHEAD_MAX);
	/* Only a key file gets there; no row holds more. */
	else if (p->target > 2 * BORROW_COUNTER_MAX - 1)
		(void)decide_refuse(command, ERR_BORROW_LIMIT,
		    "an admin gives its borrows up: leasehold borrow write-off",
		    "the counter of device-%" PRIu64 " is used up",
		    command->who.id);
}

int
decide_borrow_prepare(struct batch *batch, struct command *command)
{
	const struct borrow_prepare *request = command->request;
	struct preparing p = { .target = 0 };
	uint32_t ended;
	int err = decide_device(batch, command);

	if (err == 0 && command->err == 0)
		err = begin_return(&p.proving, batch, command, command->who.id,
		    request->nonce, &request->proof);
	if (err != 0 || command->err != 0)
		return err;
	bool any = choose_back(&p, request, batch);

	if (any)
		check_target(&p, command);
	if (command->err != 0)
		return 0;
	/* What this proof ends is not lent any more. */
	err = settle(&p.proving, &ended, batch, command);
	if (err != 0)
		return err;
	any = choose_back(&p, request, batch);
	command->reply.borrow_prepared.epoch = any ? p.target : 0;
	return any ? emit_prepared(&p, batch, command) : 0;
}

/* --- borrow.return -------------------------------------------------------- */

static int
take_return(struct batch *batch, struct command *command,
    struct proving *proving)
{
	struct borrow_returned *reply = &command->reply.borrow_returned;
	int err = settle(proving, &reply->ended, batch, command);

	reply->counter = proving->borrower.proven;
	reply->left = proving->n;
	return err;
}

int
decide_borrow_return(struct batch *batch, struct command *command)
{
	const struct borrow_return *request = command->request;
	struct proving proving;
	int err = decide_device(batch, command);

	if (err == 0 && command->err == 0)
		err = begin_return(&proving, batch, command, command->who.id,
		    request->nonce, &request->proof);
	if (err != 0 || command->err != 0)
		return err;
	return take_return(batch, command, &proving);
}

/* A file may come late, and twice: what it proves was so, and is no less so
 * now. The device may be revoked, and need not know of it. */
int
decide_borrow_deliver(struct batch *batch, struct command *command)
{
	const struct borrow_file *request = command->request;
	struct borrow_returned *reply = &command->reply.borrow_returned;
	struct state_borrower borrower;
	struct proving proving;
	int err = state_borrower(&borrower, &batch->state, request->device);

	if (err != 0)
		return err;
	if (request->proof.counter <= borrower.proven) {
		*reply = (struct borrow_returned){ .counter = borrower.proven,
			.left = borrower.borrows };
		return 0;
	}
	if (borrower_is_unfenced(&borrower, batch->state.counters.generation))
		return decide_refuse(command, ERR_CONFLICT,
		    "let device's agent connect once, or give its borrows up: "
		    "leasehold borrow write-off",
		    "the site's journal was put back since device-%" PRIu64
		    " borrowed, and a file does not show whether it is newer "
		    "than all of its tickets",
		    request->device);
	err = begin_return(&proving, batch, command, request->device,
	    request->nonce, &request->proof);
	if (err != 0 || command->err != 0)
		return err;
	return take_return(batch, command, &proving);
}

/* --- given up ------------------------------------------------------------- */

int
decide_give_up(struct batch *batch, struct command *command,
    const struct state_lease *lease, enum borrow_end reason)
{
	struct state_borrow borrow;
	int err =
	    state_borrow(&borrow, &batch->state, lease->device, lease->lease);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct row *row =
	    end_row(batch, command, &borrow, lease->count, reason);

	if (row == NULL)
		return ERR_NOMEM;
	if (borrow.until > batch->place.time)
		row->u.borrow_ended.until = borrow.until;
	return batch_emit(batch);
}

/* Overage seats for the rest of its window, in place of its own. */
static int
give_up_as_overage(struct batch *batch, struct command *command,
    const struct state_lease *lease, const struct state_borrow *borrow)
{
	struct pool_id id = { lease->license, lease->pool };
	struct state_pool pool, first;
	const struct state_license *license;
	struct license_seats seats;
	struct row_slots *slots =
	    arena_alloc(&command->arena, lease->count * sizeof *slots);
	uint32_t n, commit = lease->count - lease->overage_count;
	int err = state_pool(&pool, &batch->state, id);

	if (err == 0)
		err = state_pool(&first, &batch->state,
		    (struct pool_id){ id.license, 0 });
	if (err == 0)
		err = state_license(&license, &batch->state, id.license,
		    &command->arena);
	if (slots == NULL || err != 0)
		return slots == NULL ? ERR_NOMEM : err;
	license_seats_at(&seats, &license->document, &pool.seats,
	    batch->place.time);
	if (pool.below < seats.commit)
		return decide_refuse(command, ERR_CONFLICT,
		    "write it off without --overage",
		    "%u committed seats are free: nothing is won by billing "
		    "one as overage",
		    seats.commit - pool.below);
	if (pool_free(&pool, &seats) < lease->count)
		return decide_refuse(command, ERR_OVERAGE_EXHAUSTED,
		    "write it off without --overage: its seats are free at the "
		    "end of its window",
		    "%u overage seats are free, and borrow-%" PRIu64 " has %u "
		    "seats",
		    pool_free(&pool, &seats), lease->lease, lease->count);
	err =
	    slots_find(slots, &n, &batch->state, id, lease->count, seats.total);
	struct row *row = err == 0
	    ? end_row(batch, command, borrow, lease->count, BORROW_WRITTEN_OFF)
	    : NULL;

	if (row == NULL)
		return err == 0 || err == ERR_NOT_FOUND_INTERNAL ? ERR_NOMEM
								 : err;
	struct row_borrow_ended *r = &row->u.borrow_ended;

	r->until = borrow->until;
	r->slots = (struct record_list){ slots, n };
	r->overage_count = commit;
	r->overage = commit > 0 ? first.overage_checkouts + 1 : 0;
	command->reply.borrow_written_off =
	    (struct borrow_written_off){ lease->lease, r->until, commit };
	return batch_emit(batch);
}

int
decide_borrow_write_off(struct batch *batch, struct command *command)
{
	const struct borrow_write_off *request = command->request;
	struct state_borrow borrow;
	struct state_lease lease;
	int err = state_lease(&lease, &batch->state, request->lease);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		bool was = request->lease < batch->state.counters.next_lease;

		return decide_refuse(command, was ? ERR_GONE : ERR_NOT_FOUND,
		    "see what there is: leasehold borrow list",
		    was ? "borrow-%" PRIu64 " has ended"
			: "there is no borrow-%" PRIu64,
		    request->lease);
	}
	if (err != 0)
		return err;
	if (!lease_is_borrow(&lease))
		return decide_refuse(command, ERR_CONFLICT,
		    "leasehold leases release takes it",
		    "lease-%" PRIu64 " is not borrowed", request->lease);
	err = state_borrow(&borrow, &batch->state, lease.device, lease.lease);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (request->overage && borrow.until > batch->place.time)
		return give_up_as_overage(batch, command, &lease, &borrow);
	command->reply.borrow_written_off = (struct borrow_written_off){
		.lease = lease.lease,
		.until = borrow.until > batch->place.time ? borrow.until : 0,
	};
	return decide_give_up(batch, command, &lease, BORROW_WRITTEN_OFF);
}
