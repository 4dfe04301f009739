/* Rows into the projection. See auditing.h; questions are in auditing_ask.c. */
#include "appliance/ledger/auditing.h"

#include "appliance/ledger/prune.h"
#include "appliance/ledger/told.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

static int
tell_batch(struct audit_txn *txn, struct told *told, uint64_t *last)
{
	const struct journal_row_bytes *rows = told->batch.rows.items;
	int err = 0;

	*last = told->header.first_row - 1;
	for (uint32_t i = 0; i < told->batch.rows.count && err == 0; i++) {
		struct row row;

		err = row_read(&row, *last + 1, rows[i].bytes.data,
		    rows[i].bytes.len, &told->arena);
		if (err == 0)
			err = audit_row(txn, &row, told->header.time);
		*last += err == 0;
	}
	return err;
}

/* What was given up before it was told is not there any more. */
static int
skip_gone(uint64_t *number, struct audit_txn *txn,
    const struct ledger_view *view, const struct ledger_beginning *beginning)
{
	struct record_span blob;
	int err = state_batch(&blob, &view->state, *number);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*number = beginning->batch;
	audit_skip(txn, beginning->batch - 1, beginning->head,
	    beginning->row - 1);
	return 0;
}

static int
tell_rows(struct audit_txn *txn, struct ledger_view *view, uint64_t from)
{
	struct told told = { .batch = { .header = { 0 } } };
	uint64_t end = view->state.counters.batches, rows = 0;
	struct ledger_beginning beginning;
	int err = ledger_beginning(&beginning, view);

	for (uint64_t i = from; i < end && rows < AUDITING_ROWS && err == 0;
	     i++) {
		uint64_t last;

		if (i < beginning.batch)
			err = skip_gone(&i, txn, view, &beginning);
		if (err == 0)
			err = told_read(&told, view, i);
		if (err == 0)
			err = tell_batch(txn, &told, &last);
		if (err == 0) {
			audit_batch(txn, i, told.head, last);
			rows += told.batch.rows.count;
		}
	}
	arena_release(&told.arena);
	return err;
}

/* Is it made of this very journal? A copy that was put back is another one. */
static int
check_place(struct audit_place *place, struct audit *audit,
    struct ledger_view *view)
{
	int err = audit_place(place, audit);

	if (err != 0 || place->batch == 0)
		return err;
	err = ledger_holds(view, place->batch - 1, place->head);
	if (err != ERR_ROLLED_BACK)
		return err;
	log_warn("audit",
	    "tenant %s: the journal is another one than what the audit "
	    "projection was made from; it is made anew",
	    view->ledger->tenant);
	err = audit_clear(audit);
	return err == 0 ? audit_place(place, audit) : err;
}

int
auditing_follow(bool *more, struct audit *audit, struct ledger_view *view,
    int64_t keep_from)
{
	struct audit_place place;
	struct audit_txn *txn;
	uint64_t given_up = 0;
	int err = check_place(&place, audit, view);

	*more = false;
	if (err == 0)
		err = audit_begin(&txn, audit);
	if (err != 0)
		return err;
	err = tell_rows(txn, view, place.batch);
	if (err == 0 && keep_from != INT64_MIN)
		err = audit_prune(&given_up, txn, keep_from, AUDITING_PRUNE);
	if (err != 0) {
		audit_abort(txn);
		return err;
	}
	err = audit_commit(txn);
	if (err == 0)
		err = audit_place(&place, audit);
	*more = place.batch < view->state.counters.batches ||
	    given_up == AUDITING_PRUNE;
	return err;
}

int
auditing_state(struct audit_state *reply, struct audit *audit,
    struct ledger_view *view, uint32_t keep_days)
{
	uint64_t rows = view->state.counters.next_row - 1;
	struct audit_place place;
	int err = audit_place(&place, audit);

	*reply = (struct audit_state){
		.rows = rows,
		.behind = rows > place.row ? rows - place.row : 0,
		.entries = place.entries,
		.size_bytes = audit_bytes(audit),
		.given_up_to = place.pruned,
		.keep_days = keep_days,
	};
	return err;
}
