/*
 * Decide on what follows when a store was put back to an older copy: ticks of
 * the site's counter, which show it, the generation that an admin's
 * acknowledgement begins, and leases of the abandoned branch, which their
 * devices bring back (DESIGN 9).
 */
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

/* The next whole one, at least half of one away: numbers that people can tell
 * from those of before. */
static uint64_t
skip(uint64_t next, uint64_t step)
{
	return (next + step / 2 + step - 1) / step * step + 1;
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
		.next_lease = skip(counters->next_lease, LEDGER_SKIP_LEASES),
		.next_device = skip(counters->next_device, LEDGER_SKIP_DEVICES),
		.by = decide_actor(&command->who),
	};
	memcpy(r->reason, reason, sizeof r->reason);
	return batch_emit(batch);
}

/* --- adoption ---------------------------------------------------------------
 */

/* May it go on? 0, an ERR_* for the device in item->err, or a fault. */
static int
judge(struct ledger_adopt_item *item, struct batch *batch)
{
	const struct row_lease_granted *grant = &item->grant;
	const struct counters *counters = &batch->state.counters;
	int64_t span =
	    ((int64_t)grant->ttl_s + (int64_t)grant->grace_s) * 1000 +
	    LEDGER_SKEW_MS;
	struct state_lease held;
	uint64_t row_number;
	bool skipped = false;
	int err = state_lease(&held, &batch->state, grant->lease);

	/* It goes on already; or the number is another lease's. */
	if (err == 0) {
		if (memcmp(held.request, grant->request, sizeof held.request) !=
			0 ||
		    held.device != grant->device)
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
	    batch->place.time > counters->generation_at + span)
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

static int
adopt(struct ledger_adopt_item *item, struct batch *batch,
    struct command *command)
{
	const struct requests *requests = batch->ledger->requests;
	struct state_lease held;
	uint64_t license = 0;
	int err = judge(item, batch);

	if (err != 0 || item->err != 0 ||
	    state_lease(&held, &batch->state, item->grant.lease) == 0)
		return err;
	if (requests_device_count(requests, command->who.id) >=
	    LEDGER_DEVICE_LEASES_MAX) {
		item->err = ERR_MAX_REACHED;
		return 0;
	}
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
