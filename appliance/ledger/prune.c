#include "appliance/ledger/base.h"

#include "appliance/ledger/borrow.h"
#include "appliance/ledger/sync.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char anchor_key[] = JOURNAL_ANCHOR_KEY;

/* --- the anchor ---------------------------------------------------------------- */

int
anchor_get(struct journal_anchor *out, struct arena *arena,
    const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_META, anchor_key,
	    sizeof anchor_key);

	*out = (struct journal_anchor){ .before = 0 };
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	err = record_read_msgpack(out, &journal_anchor_record, value.data,
	    value.len, NULL, arena, NULL);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
anchor_put(struct state *state, const struct journal_anchor *anchor)
{
	struct buf value = { .len = 0 };

	record_write_msgpack(&value, &journal_anchor_record, anchor);
	int err = value.failed ? ERR_NOMEM
			       : store_put(&state->txn, STORE_META, anchor_key,
				     sizeof anchor_key, value.data, value.len);

	buf_release(&value);
	return err;
}

int
anchor_before(uint64_t *before, const struct state *state)
{
	struct arena arena = { .chunks = NULL };
	struct journal_anchor anchor;
	int err = anchor_get(&anchor, &arena, state);

	*before = anchor.before;
	arena_release(&arena);
	return err;
}

int
ledger_anchor(struct journal_anchor *out, struct ledger_view *view)
{
	struct arena arena = { .chunks = NULL };
	int err = anchor_get(out, &arena, &view->state);

	/* It has nothing but spans of what is stored. */
	arena_release(&arena);
	return err;
}

int
ledger_beginning(struct ledger_beginning *out, struct ledger_view *view)
{
	struct journal_anchor anchor;
	struct journal_header header;
	uint8_t head[32];
	int err = ledger_anchor(&anchor, view);

	*out = (struct ledger_beginning){ .row = 1 };
	if (err != 0 || anchor.before == 0)
		return err;
	err = journal_header_verify(&header, head, anchor.header.data,
	    anchor.header.len,
	    site_keys_of(&view->ledger->site_keys, anchor.header.data,
		anchor.header.len));
	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	out->batch = anchor.before;
	out->row = header.first_row + header.rows;
	out->time = header.time;
	memcpy(out->head, head, sizeof out->head);
	return 0;
}

/* --- what may go ------------------------------------------------------------------ */

struct asking {
	char product[64];
	char vendor[64];
	bool found;
	struct ledger_view *view;
	uint64_t limit; /* of what receipts cover */
	int err;
};

/* Up to where the journal is billed by that vendor; 0: nothing is. */
static int
covered_by(uint64_t *covered, struct ledger_view *view, const char *vendor)
{
	struct sync_state sync;
	int err = state_sync(&sync, &view->state, vendor);

	*covered = 0;
	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 && sync.mark.sequence == 0))
		return 0;
	struct journal_known known = { .batch = sync.mark.batch };

	memcpy(known.head, sync.mark.head, sizeof known.head);
	if (err == 0)
		err = history_holds(&view->state, &known);
	/* A receipt of a branch that is lost covers nothing here. */
	if (err == ERR_ROLLED_BACK)
		return 0;
	if (err == 0)
		*covered = sync.mark.batch + 1;
	return err;
}

static int
asks_for_reports(void *ctx, uint64_t number, const struct license *license)
{
	struct asking *asking = ctx;
	uint64_t covered;

	(void)number;
	if (!license->sync.reports)
		return 0;
	asking->err = covered_by(&covered, asking->view, license->vendor.id);
	if (asking->err != 0)
		return 1;
	if (covered < asking->limit)
		asking->limit = covered;
	if (covered > 0)
		return 0;
	asking->found = true;
	memcpy(asking->product, license->product.id, sizeof asking->product);
	memcpy(asking->vendor, license->vendor.id, sizeof asking->vendor);
	return 1;
}

int
journal_may_prune(uint64_t *limit, struct ledger_view *view,
    struct problem *problem)
{
	struct asking asking = { .view = view,
		.limit = view->state.counters.batches };
	int err = ledger_each_license(view, asks_for_reports, &asking);

	*limit = asking.limit;
	if (asking.err != 0)
		return asking.err;
	if (!asking.found)
		return err;
	*limit = 0;
	problem_set(problem, ERR_CONFLICT,
	    "what is not billed stays: a receipt of its vendor covers it",
	    "the license for %s asks for reports of its use to %s, and no "
	    "receipt covers what is in the journal: nothing of it may go",
	    asking.product, asking.vendor);
	return ERR_CONFLICT;
}

/* --- the plan --------------------------------------------------------------------- */

static int
read_header(struct journal_header *header, uint8_t head[32],
    struct record_span *token, const struct state *state, uint64_t number,
    const struct site_keys *keys, struct arena *arena)
{
	struct journal_batch batch;
	struct record_span blob;
	int err = state_batch(&blob, state, number);

	if (err == 0)
		err = view_batch(&batch, &blob, arena);
	if (err == 0)
		err = journal_header_verify(header, head, batch.header.data,
		    batch.header.len,
		    site_keys_of(keys, batch.header.data, batch.header.len));
	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	if (token != NULL)
		*token = batch.header;
	return 0;
}

static int
header_at(struct journal_header *header, uint8_t head[32],
    const struct ledger_view *view, uint64_t number)
{
	struct arena arena = { .chunks = NULL };
	int err = read_header(header, head, NULL, &view->state, number,
	    &view->ledger->site_keys, &arena);

	arena_release(&arena);
	return err;
}

/* The first batch, from `low` on, that is not before that time; times go back
 * only where a clock was corrected. */
static int
find_batch(uint64_t *out, const struct ledger_view *view, uint64_t low,
    uint64_t high, int64_t before_ms)
{
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct journal_header header;
		uint8_t head[32];
		int err = header_at(&header, head, view, middle);

		if (err != 0)
			return err;
		if (header.time < before_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return 0;
}

struct counting {
	struct ledger_plan *plan;
	const struct ledger_sweep *sweep;
	size_t at; /* in what is kept */
};

static int
count_batch(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct counting *counting = ctx;
	const struct ledger_sweep *sweep = counting->sweep;
	uint64_t number = key->len == 8 ? be64_read(key->data) : UINT64_MAX;

	if (number >= counting->plan->row.before)
		return 1;
	while (
	    counting->at < sweep->n_kept && sweep->kept[counting->at] < number)
		counting->at++;
	if (counting->at < sweep->n_kept &&
	    sweep->kept[counting->at] == number) {
		counting->plan->kept++;
		return 0;
	}
	counting->plan->batches++;
	counting->plan->bytes += value->len;
	return 0;
}

static int
count_batches(struct ledger_plan *plan, struct ledger_view *view)
{
	struct ledger_sweep sweep = { .before = plan->row.before };
	struct counting counting = { plan, &sweep, 0 };
	int err = sweep_keep(&sweep, &view->state);

	if (err == 0)
		err = store_each(&view->state.txn, STORE_BATCHES, NULL, 0,
		    count_batch, &counting);
	ledger_sweep_end(&sweep);
	return err == 1 ? 0 : err;
}

int
ledger_plan(struct ledger_plan *plan, struct ledger_view *view,
    int64_t before_ms, struct problem *problem)
{
	uint64_t newest = view->state.counters.batches - 1, limit = 0, now = 0;
	uint64_t before = 0;
	struct journal_header header;
	struct ledger_base base;

	*plan = (struct ledger_plan){ .batches = 0 };
	int err = anchor_before(&now, &view->state);

	if (err == 0)
		err = find_batch(&before, view, now, newest, before_ms);
	if (err != 0 || before <= now)
		return err;
	err = journal_may_prune(&limit, view, problem);
	if (err != 0)
		return err;
	if (before > limit)
		before = limit;
	if (before <= now)
		return 0;
	err = header_at(&header, plan->row.head, view, before - 1);
	if (err == 0)
		err = base_get(&base, &view->state);
	if (err != 0)
		return err;
	plan->row.before = before;
	plan->row.first_row = header.first_row + header.rows;
	plan->row.time = header.time;
	plan->needs_base = base.chunks == 0 || before > base.batch;
	plan->row.checkpoint = base.batch;
	return count_batches(plan, view);
}

/* --- deciding --------------------------------------------------------------------- */

#define P struct ledger_prune
static const struct record_field ledger_prune_fields[] = {
	{ .key = "row",
	    .doc = "What is journaled.",
	    .type = RECORD_STRUCT,
	    .offset = offsetof(P, row),
	    .size = sizeof(((P *)0)->row),
	    .of = &row_pruned_record },
};
#undef P
RECORD_DEFINE(ledger_prune, 1, "Give up old batches.");

/* What stands in place of the batches before. */
static int
put_anchor(struct batch *batch, const struct row_pruned *row,
    struct command *command)
{
	uint8_t frontier[64 * MERKLE_BYTES];
	struct arena arena = { .chunks = NULL };
	struct journal_anchor anchor = { .before = row->before };
	struct journal_header header;
	uint8_t head[32];
	size_t hashes = 0;
	int err = read_header(&header, head, &anchor.header, &batch->state,
	    row->before - 1, &batch->ledger->site_keys, &arena);

	if (err == 0)
		err = history_frontier(frontier, &hashes, &batch->state,
		    row->before);
	anchor.frontier =
	    (struct record_span){ frontier, (uint32_t)(hashes * MERKLE_BYTES) };
	if (err == 0 &&
	    (memcmp(head, row->head, sizeof head) != 0 ||
		header.first_row + header.rows != row->first_row ||
		header.time != row->time))
		err = decide_refuse(command, ERR_CONFLICT, "",
		    "the journal does not hold this head as batch %" PRIu64,
		    row->before - 1);
	else if (err == 0)
		err = anchor_put(&batch->state, &anchor);
	arena_release(&arena);
	return err;
}

static int
check_prune(struct batch *batch, struct command *command)
{
	const struct ledger_prune *request = command->request;
	const struct row_pruned *r = &request->row;
	struct ledger_view view = { .ledger = batch->ledger,
		.state = batch->state };
	struct ledger_base base;
	uint64_t now = 0, limit = 0;
	int err = anchor_before(&now, &batch->state);

	if (err == 0)
		err = base_get(&base, &batch->state);
	if (err != 0)
		return err;
	if (request->based)
		base = request->base;
	if (r->before <= now || r->before > base.batch ||
	    base.batch >= batch->place.batch || r->checkpoint != base.batch)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "batches before %" PRIu64 " were given up already, or what "
		    "is to stand in their place is not there",
		    r->before);
	err = base_is_whole(&batch->state, &base);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "the state after batch %" PRIu64 " is not written",
		    base.batch);
	if (err == 0)
		err = journal_may_prune(&limit, &view, &command->problem);
	if (err == ERR_CONFLICT) {
		command->err = err;
		return 0;
	}
	if (err == 0 && r->before > limit)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "batches from %" PRIu64 " on may not be given up yet",
		    limit);
	return err;
}

static int
emit_checkpoint(struct batch *batch, const struct row_checkpoint *checkpoint)
{
	struct row *row = batch_row(batch, ROW_CHECKPOINT);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.checkpoint = *checkpoint;
	return batch_emit(batch);
}

int
decide_prune(struct batch *batch, struct command *command)
{
	const struct ledger_prune *request = command->request;
	struct journal_known known = { .batch = request->checkpoint.batch };
	int err = check_prune(batch, command);

	memcpy(known.head, request->checkpoint.head, sizeof known.head);
	if (err == 0 && command->err == 0 && request->based)
		err = history_holds(&batch->state, &known);
	if (err == ERR_ROLLED_BACK ||
	    (request->based && known.batch != request->base.batch))
		return decide_refuse(command, ERR_CONFLICT, "",
		    "the journal does not hold this head as batch %" PRIu64,
		    known.batch);
	if (err == 0 && command->err == 0)
		err = put_anchor(batch, &request->row, command);
	if (err != 0 || command->err != 0)
		return err;
	if (request->based) {
		err = base_put(&batch->state, &request->base);
		if (err == 0)
			err = emit_checkpoint(batch, &request->checkpoint);
	}
	struct row *row = err == 0 ? batch_row(batch, ROW_PRUNED) : NULL;

	if (row == NULL)
		return err == 0 ? ERR_NOMEM : err;
	row->u.pruned = request->row;
	row->u.pruned.by = decide_actor(&command->who);
	command->reply.pruned = row->u.pruned;
	return batch_emit(batch);
}
