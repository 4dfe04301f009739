/* Rows into the projection. See metering_feed.h. */
#include "appliance/ledger/metering_feed.h"

#include "appliance/ledger/prune.h"
#include "appliance/ledger/told.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

/* Most rows are of no use to it, and reading them is what costs. */
static bool
is_counted(const struct record_span *row)
{
	static const uint16_t kinds[] = { ROW_LICENSE_INSTALLED,
		ROW_LEASE_GRANTED, ROW_LEASE_ENDED, ROW_LEASE_ADOPTED,
		ROW_BORROWED, ROW_BORROW_ENDED, ROW_DENIED, ROW_KEY_DENIED,
		ROW_USAGE_TRACKED, ROW_REPORT_SHOWN, ROW_REPORT_METRICS,
		ROW_REPORT_SEATS };

	if (row->len < 2)
		return true; /* damage is found by who reads it */
	uint16_t kind = be16_read(row->data);

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

static int
tell_batch(struct metering_txn *txn, struct told *told, uint64_t *last)
{
	const struct journal_row_bytes *rows = told->batch.rows.items;
	int err = 0;

	*last = told->header.first_row - 1;
	for (uint32_t i = 0; i < told->batch.rows.count && err == 0; i++) {
		struct row row;

		if (is_counted(&rows[i].bytes)) {
			err = row_read(&row, *last + 1, rows[i].bytes.data,
			    rows[i].bytes.len, &told->arena);
			if (err == 0)
				err =
				    metering_row(txn, &row, told->header.time);
		}
		*last += err == 0;
	}
	return err;
}

/* --- a journal that begins later ------------------------------------------------- */

/* The licenses that are installed, as if they were installed now: their rows
 * may be among those that were given up. */
static int
tell_licenses(struct metering_txn *txn, struct ledger_view *view, int64_t time)
{
	struct arena arena = { .chunks = NULL };
	int err = 0;

	for (uint64_t i = 1; i < view->state.counters.next_license && err == 0;
	     i++) {
		const struct state_license *license;
		struct row row = { .kind = ROW_LICENSE_INSTALLED };
		struct row_license_installed *r = &row.u.license_installed;

		err = state_license(&license, &view->state, i, &arena);
		if (err != 0)
			break;
		r->license = i;
		memcpy(r->digest, license->digest, sizeof r->digest);
		r->document = license->document;
		err = metering_row(txn, &row, time);
		arena_clear(&arena);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

static int
skip_gone(uint64_t *number, struct metering_txn *txn, struct ledger_view *view,
    const struct ledger_beginning *beginning)
{
	struct record_span blob;
	struct told told = { .head = { 0 } };
	int err = state_batch(&blob, &view->state, *number);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*number = beginning->batch;
	err = told_read(&told, view, beginning->batch);
	if (err == 0)
		err = tell_licenses(txn, view, told.header.time);
	if (err == 0)
		metering_batch(txn, beginning->batch - 1, beginning->head,
		    beginning->row - 1, told.header.time);
	arena_release(&told.arena);
	return err;
}

/* --- following --------------------------------------------------------------------- */

static int
tell_rows(struct metering_txn *txn, struct ledger_view *view, uint64_t from)
{
	struct told told = { .head = { 0 } };
	uint64_t end = view->state.counters.batches, rows = 0;
	struct ledger_beginning beginning;
	int err = ledger_beginning(&beginning, view);

	for (uint64_t i = from;
	     i < end && rows < METERING_FEED_ROWS && err == 0; i++) {
		uint64_t last;

		if (i < beginning.batch)
			err = skip_gone(&i, txn, view, &beginning);
		if (err == 0)
			err = told_read(&told, view, i);
		if (err == 0)
			err = tell_batch(txn, &told, &last);
		if (err == 0) {
			metering_batch(txn, i, told.head, last,
			    told.header.time);
			rows += told.batch.rows.count;
		}
	}
	arena_release(&told.arena);
	return err;
}

/* Is it made of this very journal? A copy that was put back is another one. */
static int
check_place(struct metering_place *place, struct metering *metering,
    struct ledger_view *view)
{
	int err = metering_place(place, metering);

	if (err == ERR_UNAVAILABLE) {
		err = metering_clear(metering);
		return err == 0 ? metering_place(place, metering) : err;
	}
	if (err != 0 || place->batch == 0)
		return err;
	err = ledger_holds(view, place->batch - 1, place->head);
	if (err != ERR_ROLLED_BACK)
		return err;
	log_warn("metering",
	    "tenant %s: the journal is another one than what its usage was "
	    "counted from; it is counted anew",
	    view->ledger->tenant);
	err = metering_clear(metering);
	return err == 0 ? metering_place(place, metering) : err;
}

int
metering_feed(bool *more, struct metering *metering, struct ledger_view *view)
{
	uint64_t end = view->state.counters.batches;
	struct metering_place place;
	struct metering_txn *txn;
	int err = check_place(&place, metering, view);

	*more = false;
	if (err != 0 || place.batch >= end)
		return err;
	err = metering_begin(&txn, metering);
	if (err != 0)
		return err;
	err = tell_rows(txn, view, place.batch);
	if (err != 0) {
		metering_abort(txn);
		return err;
	}
	err = metering_commit(txn);
	if (err == 0)
		err = metering_place(&place, metering);
	*more = err == 0 && place.batch < end;
	return err;
}

int
metering_behind(uint64_t *rows, struct metering *metering,
    const struct ledger_view *view)
{
	uint64_t all = view->state.counters.next_row - 1;
	struct metering_place place;
	int err = metering_place(&place, metering);

	*rows = err == 0 && all > place.row ? all - place.row : 0;
	return err;
}
