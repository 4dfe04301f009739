/* Where the site stands with its vendors, as stored values; see sync.h. */
#include "appliance/ledger/sync.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

static const struct record_field sync_state_fields[] = {
	R_TEXT(sync_state, vendor, 1, 63, 0, "The vendor."),
	R_STRUCT(sync_state, mark, &report_mark_record, 0, "What was taken."),
	R_TIME(sync_state, since, 0, "Its first license was installed."),
	R_TIME(sync_state, receipt_at, 0, "The last receipt came."),
	R_U64(sync_state, made, 0, U53_MAX, 0,
	    "First report of the last export."),
	R_TIME(sync_state, made_at, 0, "When."),
	R_U64(sync_state, answered, 0, U53_MAX, 0, "The last one answered."),
	R_U32(sync_state, answer, 0, UINT32_MAX, 0, "How."),
	R_TIME(sync_state, answered_at, 0, "When."),
	R_TEXT(sync_state, reason, 0, 191, RECORD_OPTIONAL, "Why."),
	R_U64(sync_state, lost_from, 0, U53_MAX, RECORD_OPTIONAL,
	    "First batch that was taken and is not of this journal."),
	R_U64(sync_state, lost_to, 0, U53_MAX, RECORD_OPTIONAL, "Last one."),
	R_U32(sync_state, lost_generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Generation of that."),
	R_U64(sync_state, lost_overage, 0, U53_MAX, RECORD_OPTIONAL,
	    "Overage seats in them."),
	R_TIME(sync_state, lost_at, RECORD_OPTIONAL, "Known since."),
	R_U32(sync_state, hub_generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Generation of the hub's journal."),
	R_TIME(sync_state, again_at, RECORD_OPTIONAL,
	    "When that was found to be put back."),
};
RECORD_DEFINE(sync_state, 1, "The site and a vendor.");

static int
sync_read(struct sync_state *out, const struct record_span *value)
{
	struct arena arena = { .chunks = NULL };
	int err = record_read_msgpack(out, &sync_state_record, value->data,
	    value->len, NULL, &arena, NULL);

	arena_release(&arena);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
state_sync(struct sync_state *out, const struct state *state,
    const char *vendor)
{
	struct record_span value;
	int err =
	    store_get(&value, &state->txn, STORE_SYNC, vendor, strlen(vendor));

	return err == 0 ? sync_read(out, &value) : err;
}

struct each_sync {
	int (*each)(void *ctx, const struct sync_state *sync);
	void *ctx;
};

static int
each_value(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct each_sync *each = ctx;
	struct sync_state sync;
	int err = sync_read(&sync, value);

	(void)key;
	return err == 0 ? each->each(each->ctx, &sync) : err;
}

int
state_each_sync(const struct state *state,
    int (*each)(void *ctx, const struct sync_state *sync), void *ctx)
{
	struct each_sync all = { each, ctx };

	return store_each(&state->txn, STORE_SYNC, NULL, 0, each_value, &all);
}

static int
sync_put(struct state *state, const struct sync_state *sync)
{
	struct buf value = { .data = NULL };

	record_write_msgpack(&value, &sync_state_record, sync);
	int err = value.failed
	    ? ERR_NOMEM
	    : store_put(&state->txn, STORE_SYNC, sync->vendor,
		  strlen(sync->vendor), value.data, value.len);

	buf_release(&value);
	return err;
}

/* --- rows --------------------------------------------------------------------- */

int
fold_sync_begins(struct state *state, const char *vendor,
    const struct fold_place *place)
{
	struct sync_state sync = { .since = place->time };
	int err = state_sync(&sync, state, vendor);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	sync = (struct sync_state){ .since = place->time };
	text_copy(sync.vendor, sizeof sync.vendor, vendor);
	return sync_put(state, &sync);
}

int
fold_report_made(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_report_made *r = &row->u.report_made;
	struct sync_state sync;
	int err = state_sync(&sync, state, r->vendor);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	sync.made = r->sequence;
	sync.made_at = place->time;
	return sync_put(state, &sync);
}

int
fold_receipt_taken(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_receipt_taken *r = &row->u.receipt_taken;
	struct sync_state sync;
	int err = state_sync(&sync, state, r->vendor);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	const bool back = r->generation > sync.hub_generation;

	if (back || r->taken.sequence > sync.mark.sequence) {
		if (r->taken.sequence > sync.mark.sequence)
			sync.receipt_at = place->time;
		else if (r->taken.sequence < sync.mark.sequence)
			sync.again_at = place->time;
		sync.mark = (struct report_mark){
			.sequence = r->taken.sequence,
			.batch = r->taken.batch,
			.generation = r->taken.generation,
			.time = r->taken.time,
			.overage = r->taken.overage,
		};
		memcpy(sync.mark.head, r->taken.head, 32);
		memcpy(sync.mark.history, r->taken.history, 32);
	}
	sync.hub_generation = r->generation;
	if (r->lost_from != 0) {
		sync.lost_from = r->lost_from;
		sync.lost_to = r->taken.batch;
		sync.lost_generation = r->taken.generation;
		sync.lost_overage = r->lost_overage;
		sync.lost_at = place->time;
	}
	sync.answered = r->report;
	sync.answer = r->answer;
	sync.answered_at = r->at;
	text_copy(sync.reason, sizeof sync.reason, r->reason);
	return sync_put(state, &sync);
}

/* --- what follows for grants ------------------------------------------------------ */

int
sync_stops_at(int64_t *at, const struct state *state,
    const struct license *license)
{
	const struct license_sync *terms = &license->sync;
	struct sync_state sync;

	*at = terms->refresh_by != 0 ? terms->refresh_by : INT64_MAX;
	if (terms->max_unsynced_days == 0)
		return 0;
	int err = state_sync(&sync, state, license->vendor.id);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	int64_t from = sync.receipt_at != 0 ? sync.receipt_at : sync.since;
	int64_t stop = from + (int64_t)terms->max_unsynced_days * DAY_MS;

	if (stop < *at)
		*at = stop;
	return 0;
}
