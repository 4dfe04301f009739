/*
 * Decide on what follows when a store was put back to an older copy: ticks of
 * the site's counter, which show it, the generation that an admin's
 * acknowledgement begins, and leases and borrows of the abandoned branch, which
 * their devices bring back (DESIGN 9; what a ticket is worth then stands in
 * borrow.h).
 */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"

#include <string.h>

/* Slots above those of a license are as good as any other. */
#define SLOT_END (UINT32_MAX / 2)

int
decide_tick_at(struct batch *batch, struct command *command,
    const struct row_tick *request)
{
	if (request->counter == batch->state.counters.tick)
		return 0; /* it was interrupted behind this */
	if (request->counter < batch->state.counters.tick)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "the site's counter goes on only");
	struct row *row = batch_row(batch, ROW_TICK);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.tick = *request;
	return batch_emit(batch);
}

int
decide_tick(struct batch *batch, struct command *command)
{
	return decide_tick_at(batch, command, command->request);
}

/* --- a generation begins ----------------------------------------------------
 */

uint64_t
generation_skip(uint64_t next, uint64_t step, uint32_t generation)
{
	uint64_t whole = (next + step / 2 + step - 1) / step;

	return (whole < generation - 1 ? generation - 1 : whole) * step + 1;
}

int
decide_generation(struct batch *batch, struct command *command)
{
	const struct ledger_generation *request = command->request;
	const struct counters *counters = &batch->state.counters;
	uint8_t reason[SUBJECT_BYTES];

	/* A crash came before the rest was done. The same counter alone does not
	 * say so: a branch that was abandoned with the witness may have had it
	 * too. */
	if (counters->generation > 1 &&
	    counters->generation_tick == request->counter &&
	    counters->tick == request->counter &&
	    request->lost.generation < counters->generation)
		return 0;
	uint32_t next =
	    row_generation_next(counters->generation, &request->lost);

	if (next == 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "there is no generation after the last");
	int err = decide_subject(reason, batch, SUBJECT_REASON, request->reason,
	    command->entropy);

	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_GENERATION);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_generation *r = &row->u.generation;

	*r = (struct row_generation){
		.generation = next,
		.lost = request->lost,
		.witness = request->witness,
		.stored = request->stored,
		.witnessed = request->witnessed,
		.counter = request->counter,
		.next_lease = generation_skip(counters->next_lease,
		    LEDGER_SKIP_LEASES, next),
		.next_device = generation_skip(counters->next_device,
		    LEDGER_SKIP_DEVICES, next),
		.by = decide_actor(&command->who),
	};
	memcpy(r->reason, reason, sizeof r->reason);
	return batch_emit(batch);
}

/* --- adoption ---------------------------------------------------------------
 */

/* Until when somebody can believe in it without the site. */
static int64_t
end_of(const struct ledger_adopt_item *item, const struct counters *counters)
{
	const struct row_lease_granted *grant = &item->grant;

	if (item->borrowed)
		return item->ticket.until;
	return counters->generation_at +
	    ((int64_t)grant->ttl_s + (int64_t)grant->grace_s) * 1000 +
	    LEDGER_SKEW_MS;
}

/* It is held, under its number: is it this one? Else the number is another
 * lease's. */
static bool
is_held(const struct state_lease *held, const struct ledger_adopt_item *item)
{
	const struct row_lease_granted *grant = &item->grant;

	return memcmp(held->request, grant->request, sizeof held->request) ==
	    0 &&
	    held->device == grant->device &&
	    lease_is_borrow(held) == item->borrowed;
}

/* May it go on? 0, an ERR_* for the device in item->err, or a fault. */
static int
judge(struct ledger_adopt_item *item, struct batch *batch)
{
	const struct row_lease_granted *grant = &item->grant;
	const struct counters *counters = &batch->state.counters;
	struct state_lease held;
	uint64_t row_number;
	bool skipped = false;
	int err = state_lease(&held, &batch->state, grant->lease);

	/* It goes on already; or the number is another lease's. */
	if (err == 0) {
		if (!is_held(&held, item))
			item->err = ERR_GONE;
		return 0;
	}
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	err = state_is_skipped(&skipped, &batch->state, grant->lease);
	if (err != 0)
		return err;
	err = state_adopted(&row_number, &batch->state, grant->lease);
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	/* Granted and ended here, or adopted and ended; or nobody can hold it
	 * any more: nothing was signed for it since that generation began. */
	if (!skipped || err == 0 ||
	    item->origin.generation >= counters->generation ||
	    batch->place.time > end_of(item, counters))
		item->err = ERR_GONE;
	return 0;
}

/* The license that it was granted under, by the number that it has now. */
static int
find_license(uint64_t *license, struct ledger_adopt_item *item,
    struct batch *batch)
{
	const struct row_lease_granted *grant = &item->grant;
	struct state_document document;
	uint32_t pool;
	int err =
	    state_document(&document, &batch->state, grant->license_digest);

	if (err == 0) {
		*license = document.license;
		err = state_pool_find(&pool, &batch->state, *license,
		    grant->feature);
	}
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	/* It was installed since; it may be again. */
	item->err = ERR_NOT_ENTITLED;
	return 0;
}

static int
emit_adopted(struct batch *batch, struct command *command,
    const struct ledger_adopt_item *item, uint64_t license)
{
	const struct row_lease_granted *grant = &item->grant;
	struct pool_id id = { license, 0 };
	struct state_pool first;
	uint32_t n_slots;
	struct row_slots *slots =
	    arena_alloc(&command->arena, grant->count * sizeof *slots);
	int err =
	    slots == NULL ? ERR_NOMEM : state_pool(&first, &batch->state, id);

	if (err == 0)
		err = state_pool_find(&id.pool, &batch->state, license,
		    grant->feature);
	if (err == 0)
		err = slots_find(slots, &n_slots, &batch->state, id,
		    grant->count, SLOT_END);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct row *row = batch_row(batch, ROW_LEASE_ADOPTED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.lease_adopted = (struct row_lease_adopted){
		.lease = grant->lease,
		.license = license,
		.device = grant->device,
		.count = grant->count,
		.slots = { slots, n_slots },
		.type = grant->type,
		.overage =
		    grant->overage_count > 0 ? first.overage_checkouts + 1 : 0,
		.overage_count = grant->overage_count,
		.origin = item->origin,
		.row = item->row,
	};
	return batch_emit(batch);
}

/* --- tickets -------------------------------------------------------------- */

/* The same ticket, as a row of this journal: it is shown to the device, and
 * extended and replaced, as all others. */
static int
emit_ticket(struct batch *batch, const struct ledger_adopt_item *item,
    const struct row_lease_granted *grant)
{
	struct row *row = batch_row(batch, ROW_BORROW_REISSUED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.borrowed = (struct row_borrowed){ *grant, item->ticket };
	row->u.borrowed.ticket.why = TICKET_ADOPTED;
	return batch_emit(batch);
}

/* What it says of seats now: those of the row that adopted it, or that lent it
 * here. */
static int
grant_of(struct row_lease_granted *grant, struct batch *batch,
    struct command *command, const struct state_lease *lease)
{
	struct record_span bytes;
	struct row row;

	/* Another of its tickets came before, in this very batch. */
	if (lease->batch == batch->place.batch)
		return row_grant(grant, &batch->rows[lease->index],
		    &command->arena);
	int err = view_row(&bytes, &batch->state, lease->batch, lease->index,
	    &command->arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	const uint8_t *copy =
	    arena_copy(&command->arena, bytes.data, bytes.len);

	if (copy == NULL)
		return ERR_NOMEM;
	err =
	    row_read(&row, lease->row_number, copy, bytes.len, &command->arena);
	return err == 0 ? row_grant(grant, &row, &command->arena) : err;
}

/* Its counter stands here at least. */
static uint64_t
counter_of(const struct state_borrower *borrower, const struct command *command)
{
	return command->counter > borrower->proven ? command->counter
						   : borrower->proven;
}

/* Is it worth more than the one that is known? One for the counter as it is
 * comes before any for later. */
static bool
is_better(const struct row_ticket *ticket, const struct state_borrow *borrow,
    uint64_t counter)
{
	if (ticket->epoch == borrow->now.epoch)
		return ticket->until > borrow->until;
	return borrow->now.epoch < counter || ticket->epoch == counter;
}

/* A ticket of a borrow that is known here. */
static int
adopt_ticket(struct ledger_adopt_item *item, struct batch *batch,
    struct command *command, const struct state_lease *held, uint64_t counter)
{
	const struct row_ticket *ticket = &item->ticket;
	struct row_lease_granted grant;
	struct state_borrow borrow;
	int err =
	    state_borrow(&borrow, &batch->state, held->device, held->lease);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (item->origin.generation >= batch->state.counters.generation ||
	    !is_better(ticket, &borrow, counter))
		return 0;
	err = grant_of(&grant, batch, command, held);
	if (err != 0)
		return err;
	if (grant.count != item->grant.count ||
	    grant.overage_count != item->grant.overage_count) {
		item->err = ERR_GONE;
		return 0;
	}
	/* See adopt_borrow. */
	if (memcmp(grant.license_digest, item->grant.license_digest,
		sizeof grant.license_digest) == 0)
		grant.slots = item->grant.slots;
	return emit_ticket(batch, item, &grant);
}

/* It is known already, or adopted by now; then the ticket follows. */
static int
adopt_borrow(struct ledger_adopt_item *item, struct batch *batch,
    struct command *command)
{
	struct state_borrower borrower;
	struct state_lease held;
	int err = state_borrower(&borrower, &batch->state, command->who.id);
	uint64_t counter = counter_of(&borrower, command);
	bool known = err == 0 &&
	    state_lease(&held, &batch->state, item->grant.lease) == 0;
	uint64_t license = 0;

	if (err != 0)
		return err;
	/* Given back, whoever journaled it. */
	if (item->ticket.epoch < counter) {
		item->err = ERR_GONE;
		return 0;
	}
	if (known)
		return adopt_ticket(item, batch, command, &held, counter);
	if (borrower.borrows == BORROW_DEVICE_MAX) {
		item->err = ERR_MAX_REACHED;
		return 0;
	}
	err = find_license(&license, item, batch);
	if (err != 0 || item->err != 0)
		return err;
	err = emit_adopted(batch, command, item, license);
	if (err == 0)
		err = state_lease(&held, &batch->state, item->grant.lease);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct row_lease_granted grant = item->grant;

	/* In this journal's numbers, as the row before says it; but with the
	 * slots of the grant: by those an application tells what its license
	 * calls overage, and the lowest free ones may be called otherwise. */
	const struct row_lease_adopted *row =
	    &batch->rows[batch->n_rows - 1].u.lease_adopted;

	grant.license = row->license;
	grant.overage = row->overage;
	return emit_ticket(batch, item, &grant);
}

/* --- one of them ---------------------------------------------------------- */

static int
adopt(struct ledger_adopt_item *item, struct batch *batch,
    struct command *command)
{
	const struct requests *requests = batch->ledger->requests;
	struct state_lease held;
	uint64_t license = 0;
	int err = judge(item, batch);

	bool known = state_lease(&held, &batch->state, item->grant.lease) == 0;

	if (err != 0 || item->err != 0 || (known && !item->borrowed))
		return err;
	if (!known &&
	    requests_device_count(requests, command->who.id) >=
		LEDGER_DEVICE_LEASES_MAX) {
		item->err = ERR_MAX_REACHED;
		return 0;
	}
	if (item->borrowed)
		return adopt_borrow(item, batch, command);
	err = find_license(&license, item, batch);
	if (err != 0 || item->err != 0)
		return err;
	return emit_adopted(batch, command, item, license);
}

int
decide_adopt(struct batch *batch, struct command *command)
{
	const struct ledger_adopt *request = command->request;
	int err = decide_device(batch, command);

	for (uint32_t i = 0;
	     i < request->count && err == 0 && command->err == 0; i++) {
		request->items[i].err = 0;
		err = adopt(&request->items[i], batch, command);
	}
	return err;
}
