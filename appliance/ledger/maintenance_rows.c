#include "appliance/ledger/maintenance_rows.h"

#include "appliance/ledger/borrow.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static const char maintenance_key[] = "last";

static const struct record_field state_maintenance_fields[] = {
	R_U64(state_maintenance, event, 1, U53_MAX, 0, "The last one."),
	R_BOOL(state_maintenance, open, 0, "It has not ended."),
};
RECORD_DEFINE(state_maintenance, 1, "What of the box's events is journaled.");

/* Nothing: none is. */
static int
state_maintenance(struct state_maintenance *out, const struct state *state)
{
	struct arena arena = { .chunks = NULL };
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_MAINTENANCE,
	    maintenance_key, sizeof(maintenance_key) - 1);

	memset(out, 0, sizeof(*out));
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	err = record_read_msgpack(out, &state_maintenance_record, value.data,
	    value.len, NULL, &arena, NULL);
	arena_release(&arena);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
fold_maintenance(struct state *state, const struct row *row)
{
	struct state_maintenance last;
	struct buf value = { .data = NULL };
	int err = state_maintenance(&last, state);

	if (err != 0)
		return err;
	if (row->u.maintenance.event <= last.event)
		return fold_contradicted(row, "the box's events go back");
	last.event = row->u.maintenance.event;
	if (row->kind != ROW_MAINTENANCE_REFUSED)
		last.open = row->kind == ROW_MAINTENANCE_OPENED;
	record_write_msgpack(&value, &state_maintenance_record, &last);
	err = value.failed
	    ? ERR_NOMEM
	    : store_put(&state->txn, STORE_MAINTENANCE, maintenance_key,
		  sizeof(maintenance_key) - 1, value.data, value.len);
	buf_release(&value);
	return err;
}

static enum row_kind
kind_of(enum maintenance_step step)
{
	switch (step) {
	case MAINTENANCE_OPENED:
		return ROW_MAINTENANCE_OPENED;
	case MAINTENANCE_ENDED:
		return ROW_MAINTENANCE_ENDED;
	case MAINTENANCE_REFUSED:
		break;
	}
	return ROW_MAINTENANCE_REFUSED;
}

int
decide_maintenance(struct batch *batch, struct command *command)
{
	const struct maintenance_event *event = command->request;
	uint8_t reason[SUBJECT_BYTES] = { 0 };
	struct state_maintenance last;
	int err = state_maintenance(&last, &batch->state);

	if (err != 0 || event->event <= last.event)
		return err;
	if (event->reason[0] != '\0')
		err = decide_subject(reason, batch, SUBJECT_REASON,
		    event->reason, command->entropy);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, kind_of(event->step));

	if (row == NULL)
		return ERR_NOMEM;
	struct row_maintenance *r = &row->u.maintenance;

	r->event = event->event;
	memcpy(r->token, event->id, sizeof(r->token));
	text_copy(r->owner, sizeof(r->owner), event->owner);
	r->minutes = event->minutes;
	memcpy(r->reason, reason, sizeof(r->reason));
	r->at = event->at;
	r->until = event->until;
	return batch_emit(batch);
}

int
ledger_maintenance(struct state_maintenance *out, struct ledger_view *view)
{
	return state_maintenance(out, &view->state);
}
