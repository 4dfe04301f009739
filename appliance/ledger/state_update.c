/* The last update of the box, as a stored value and as its rows make it; see
 * update.h. */
#include "appliance/ledger/update.h"

#include "appliance/ledger/borrow.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

static const char update_key[] = "last";

static const struct record_field state_update_fields[] = {
	R_U64(state_update, update, 1, U53_MAX, 0, "Its number."),
	R_FIXED(state_update, digest, RECORD_OPTIONAL, "Of its file."),
	R_U64(state_update, bytes, 0, U53_MAX, RECORD_OPTIONAL, "Length."),
	R_BOOL(state_update, usb, RECORD_OPTIONAL, "On a stick."),
	R_TIME(state_update, requested_at, 0, "Asked for."),
	R_U32(state_update, phase, 0, UPDATE_FELL_BACK, 0, "How far."),
	R_TEXT(state_update, version, 0, ROW_UPDATE_VERSION_MAX,
	    RECORD_OPTIONAL, "Its version."),
	R_TEXT(state_update, slot, 0, 7, RECORD_OPTIONAL, "Its slot."),
	R_TEXT(state_update, reason, 0, ROW_UPDATE_REASON_MAX, RECORD_OPTIONAL,
	    "Why it came to nothing."),
	R_TIME(state_update, ended_at, RECORD_OPTIONAL, "When."),
};
RECORD_DEFINE(state_update, 1, "The last update of the box.");

int
state_update(struct state_update *out, const struct state *state)
{
	struct arena arena = { .chunks = NULL };
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_UPDATE, update_key,
	    sizeof(update_key) - 1);

	memset(out, 0, sizeof(*out));
	if (err != 0)
		return err;
	err = record_read_msgpack(out, &state_update_record, value.data,
	    value.len, NULL, &arena, NULL);
	arena_release(&arena);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

static int
update_put(struct state *state, const struct state_update *update)
{
	struct buf value = { .data = NULL };

	record_write_msgpack(&value, &state_update_record, update);
	int err = value.failed
	    ? ERR_NOMEM
	    : store_put(&state->txn, STORE_UPDATE, update_key,
		  sizeof(update_key) - 1, value.data, value.len);

	buf_release(&value);
	return err;
}

int
fold_update_requested(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_update_requested *r = &row->u.update_requested;
	struct state_update last;
	int err = state_update(&last, state);

	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (r->update != last.update + 1)
		return fold_contradicted(row, "update numbers have a gap");
	if (last.update != 0 && last.phase == UPDATE_REQUESTED)
		return fold_contradicted(row, "another one is under way");
	last = (struct state_update){
		.update = r->update,
		.bytes = r->bytes,
		.usb = r->usb,
		.requested_at = place->time,
		.phase = UPDATE_REQUESTED,
	};
	memcpy(last.digest, r->digest, sizeof(last.digest));
	return update_put(state, &last);
}

static uint32_t
phase_of(enum row_kind kind)
{
	if (kind == ROW_UPDATE_FINISHED)
		return UPDATE_DONE;
	return kind == ROW_UPDATE_FAILED ? UPDATE_FAILED : UPDATE_FELL_BACK;
}

int
fold_update_ended(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_update_ended *r = &row->u.update_ended;
	struct state_update last;
	int err = state_update(&last, state);

	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 &&
		(last.update != r->update || last.phase != UPDATE_REQUESTED)))
		return fold_contradicted(row, "no such update is under way");
	if (err != 0)
		return err;
	last.phase = phase_of(row->kind);
	last.ended_at = place->time;
	memcpy(last.digest, r->digest, sizeof(last.digest));
	text_copy(last.version, sizeof(last.version), r->version);
	text_copy(last.slot, sizeof(last.slot), r->slot);
	text_copy(last.reason, sizeof(last.reason), r->reason);
	return update_put(state, &last);
}

int
ledger_update(struct state_update *out, struct ledger_view *view)
{
	int err = state_update(out, &view->state);

	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}
