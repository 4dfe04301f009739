/* The batches that were given up, and the bases that none needs any more, some
 * at a time. See prune.h. */
#include "appliance/ledger/base.h"

#include "appliance/ledger/borrow.h"
#include "appliance/ledger/codec.h"
#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

static const char swept_key[] = "swept";
/* Pieces of a base in one transaction. */
#define SWEEP_PIECES 16
#define KEPT_FIRST 1024

int
swept_get(uint64_t *before, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_META, swept_key,
	    sizeof swept_key);

	*before = 0;
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	struct codec_reader r = codec_reader_of(&value);

	*before = codec_get_u64(&r);
	return codec_end(&r, "end of a sweep");
}

/* --- what is still needed -------------------------------------------------------- */

struct keeping {
	struct ledger_sweep *sweep;
	size_t size;
};

static int
keep(struct keeping *keeping, uint64_t batch)
{
	struct ledger_sweep *sweep = keeping->sweep;

	if (batch >= sweep->before ||
	    (sweep->n_kept > 0 && sweep->kept[sweep->n_kept - 1] == batch))
		return 0;
	if (sweep->n_kept == keeping->size) {
		size_t size =
		    keeping->size == 0 ? KEPT_FIRST : 2 * keeping->size;
		uint64_t *kept = realloc(sweep->kept, size * sizeof *kept);

		if (kept == NULL)
			return ERR_NOMEM;
		sweep->kept = kept;
		keeping->size = size;
	}
	sweep->kept[sweep->n_kept++] = batch;
	return 0;
}

static int
keep_lease(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct state_lease lease;
	int err = state_lease_read(&lease, key, value);

	return err == 0 ? keep(ctx, lease.batch) : err;
}

static int
keep_borrow(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct state_borrow borrow;
	int err = state_borrow_read(&borrow, key, value);

	if (err == 0)
		err = keep(ctx, borrow.now.batch);
	return err == 0 && borrow.next.epoch != 0 ? keep(ctx, borrow.next.batch)
						  : err;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return (x > y) - (x < y);
}

int
sweep_keep(struct ledger_sweep *sweep, const struct state *state)
{
	struct keeping keeping = { .sweep = sweep };
	int err = store_each(&state->txn, STORE_LEASES, NULL, 0, keep_lease,
	    &keeping);

	if (err == 0)
		err = store_each(&state->txn, STORE_BORROWS, NULL, 0,
		    keep_borrow, &keeping);
	if (err == 0 && sweep->n_kept > 0)
		qsort(sweep->kept, sweep->n_kept, sizeof *sweep->kept, compare);
	return err;
}

int
ledger_sweep_is_due(bool *due, struct ledger *ledger)
{
	struct ledger_view *view;
	uint64_t before = 0, swept = 0;
	int err = ledger_view_open(&view, ledger);

	if (err != 0)
		return err;
	err = anchor_before(&before, &view->state);
	if (err == 0)
		err = swept_get(&swept, &view->state);
	ledger_view_close(view);
	*due = err == 0 && swept < before;
	return err;
}

int
ledger_sweep_begin(struct ledger_sweep *sweep, struct ledger *ledger)
{
	struct ledger_view *view;
	uint64_t before = 0, swept = 0;
	int err = ledger_view_open(&view, ledger);

	*sweep = (struct ledger_sweep){ .before = 0 };
	if (err != 0)
		return err;
	err = anchor_before(&before, &view->state);
	if (err == 0)
		err = swept_get(&swept, &view->state);
	if (err == 0 && swept < before) {
		sweep->before = before;
		err = sweep_keep(sweep, &view->state);
	}
	ledger_view_close(view);
	return err;
}

void
ledger_sweep_end(struct ledger_sweep *sweep)
{
	free(sweep->kept);
	sweep->kept = NULL;
	sweep->n_kept = 0;
}

/* --- removing ---------------------------------------------------------------------- */

struct finding {
	struct ledger_sweep *sweep;
	uint64_t numbers[LEDGER_SWEEP_BATCHES];
	uint64_t bytes;
	size_t n;
};

static bool
is_kept(const struct ledger_sweep *sweep, uint64_t number)
{
	return sweep->n_kept > 0 &&
	    bsearch(&number, sweep->kept, sweep->n_kept, sizeof *sweep->kept,
		compare) != NULL;
}

/* 1: there is more. */
static int
find_batch(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct finding *finding = ctx;
	uint64_t number = key->len == 8 ? be64_read(key->data) : UINT64_MAX;

	if (number >= finding->sweep->before) {
		finding->sweep->batches_done = true;
		return 1;
	}
	if (finding->n == LEDGER_SWEEP_BATCHES)
		return 1;
	finding->sweep->at = number + 1;
	if (is_kept(finding->sweep, number))
		return 0;
	finding->numbers[finding->n++] = number;
	finding->bytes += value->len;
	return 0;
}

static int
remove_batches(const struct store_txn *txn, struct finding *finding)
{
	uint8_t key[8];
	int err;

	be64_write(key, finding->sweep->at);
	err = store_each(txn, STORE_BATCHES, key, sizeof key, find_batch,
	    finding);
	if (err == 1)
		err = 0;
	for (size_t i = 0; i < finding->n && err == 0; i++) {
		be64_write(key, finding->numbers[i]);
		err = store_delete(txn, STORE_BATCHES, key, sizeof key);
	}
	return err;
}

static int
step_batches(struct ledger_sweep *sweep, struct ledger *ledger)
{
	struct finding finding = { .sweep = sweep };
	const uint64_t at = sweep->at;
	struct store_txn txn;
	int err = ledger_fault(ledger, "sweep");

	if (err == 0)
		err = store_begin(&txn, ledger->store, true);
	if (err != 0)
		return err;
	err = remove_batches(&txn, &finding);
	if (err != 0 || finding.n == 0)
		store_abort(&txn);
	else
		err = store_commit(&txn);
	if (err != 0) {
		sweep->at = at;
		sweep->batches_done = false;
		return err;
	}
	sweep->removed += finding.n;
	sweep->bytes += finding.bytes;
	return 0;
}

/* Nothing is left of what that sweep was to remove. */
static int
note_swept(const struct ledger_sweep *sweep, struct ledger *ledger)
{
	struct codec_writer w = { .len = 0 };
	struct store_txn txn;
	int err = store_begin(&txn, ledger->store, true);

	if (err != 0)
		return err;
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, sweep->before);
	err = store_put(&txn, STORE_META, swept_key, sizeof swept_key, w.data,
	    w.len);
	if (err == 0)
		return store_commit(&txn);
	store_abort(&txn);
	return err;
}

static int
step_bases(bool *more, struct ledger *ledger)
{
	struct ledger_view *view;
	struct ledger_base base;
	int err = ledger_view_open(&view, ledger);

	if (err != 0)
		return err;
	err = base_get(&base, &view->state);
	ledger_view_close(view);
	return err == 0
	    ? base_remove(more, ledger->store, base.batch, false, SWEEP_PIECES)
	    : err;
}

/* More may have been given up while it ran. */
static int
begin_again(bool *more, struct ledger_sweep *sweep, struct ledger *ledger)
{
	const uint64_t removed = sweep->removed, bytes = sweep->bytes;
	int err = ledger_sweep_is_due(more, ledger);

	if (err != 0 || !*more)
		return err;
	ledger_sweep_end(sweep);
	err = ledger_sweep_begin(sweep, ledger);
	sweep->removed = removed;
	sweep->bytes = bytes;
	return err;
}

int
ledger_sweep_step(bool *more, struct ledger_sweep *sweep, struct ledger *ledger)
{
	int err;

	*more = sweep->before != 0;
	if (sweep->before == 0)
		return 0;
	if (!sweep->batches_done)
		return step_batches(sweep, ledger);
	if (!sweep->bases_done) {
		err = step_bases(more, ledger);
		sweep->bases_done = err == 0 && !*more;
		*more = true;
		return err;
	}
	err = store_trim(more, &sweep->trim, ledger->store);
	if (err != 0 || *more)
		return err;
	err = note_swept(sweep, ledger);
	return err == 0 ? begin_again(more, sweep, ledger) : err;
}
