/* One batch in the making: rows in, a signed and stored batch out. See
 * core.h. */
#include "appliance/ledger/limits.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t
core_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int
batch_begin(struct batch *batch, int64_t now_ms)
{
	struct ledger *ledger = batch->ledger;
	int err = ledger_fault(ledger, "begin");

	if (err == 0)
		err = state_begin(&batch->state, ledger->store, true,
		    ledger->cache);
	if (err != 0)
		return err;
	const struct counters *counters = &batch->state.counters;

	batch->place = (struct fold_place){
		.batch = counters->batches,
		.time = now_ms > counters->time ? now_ms : counters->time,
	};
	batch->n_rows = batch->n_grants = 0;
	batch->fold_ns = 0;
	batch->noted = batch->owed = false;
	batch->turned = false;
	batch->erased = NULL;
	buf_clear(&batch->bytes);
	memset(batch->proof_made, 0, sizeof batch->proof_made);
	batch->ruled = false;
	err = fold_batch(&batch->state, &batch->place);
	if (err == 0)
		err = policy_refresh(batch);
	if (err != 0)
		state_abort(&batch->state);
	return err;
}

static int
batch_grow(struct batch *batch)
{
	size_t size = batch->rows_size == 0 ? 8 : batch->rows_size * 2;
	struct row *rows = realloc(batch->rows, size * sizeof *rows);

	if (rows == NULL)
		return ERR_NOMEM;
	batch->rows = rows;
	struct journal_row_bytes *spans =
	    realloc(batch->spans, size * sizeof *spans);

	if (spans == NULL)
		return ERR_NOMEM;
	batch->spans = spans;
	size_t *starts = realloc(batch->starts, size * sizeof *starts);

	if (starts == NULL)
		return ERR_NOMEM;
	batch->starts = starts;
	batch->rows_size = size;
	return 0;
}

struct row *
batch_row(struct batch *batch, enum row_kind kind)
{
	if (batch->n_rows == batch->rows_size && batch_grow(batch) != 0)
		return NULL;
	struct row *row = &batch->rows[batch->n_rows];

	memset(row, 0, sizeof *row);
	row->number = batch->state.counters.next_row;
	row->kind = kind;
	return row;
}

/* Memory follows the fold, to be taken back if the batch fails. */
static int
batch_remember(struct batch *batch, const struct row *row)
{
	struct requests *requests = batch->ledger->requests;

	if (row->kind == ROW_LEASE_ENDED) {
		policy_ended(batch, row->u.lease_ended.lease);
		return requests_end(requests, row->u.lease_ended.lease);
	}
	if (row->kind == ROW_BORROW_ENDED) {
		policy_ended(batch, row->u.borrow_ended.lease);
		return requests_end(requests, row->u.borrow_ended.lease);
	}
	if (row->kind == ROW_LEASE_ADOPTED)
		batch->ledger->policy_stale = true;
	if (row->kind != ROW_LEASE_GRANTED && row->kind != ROW_LEASE_ADOPTED &&
	    row->kind != ROW_BORROWED)
		return 0;
	struct arena arena = { .chunks = NULL };
	struct row_lease_granted r;
	int err = row_grant(&r, row, &arena);
	struct request request = { .device = r.device, .lease = r.lease };

	arena_release(&arena);
	if (err != 0)
		return err;
	memcpy(request.request, r.request, sizeof request.request);
	memcpy(request.digest, r.request_digest, sizeof request.digest);
	return requests_grant(requests, &request);
}

int
batch_emit(struct batch *batch)
{
	uint64_t start = core_now_ns();
	const struct row *row = &batch->rows[batch->n_rows];
	int err = ledger_fault(batch->ledger, "fold");

	if (err != 0)
		return err;
	batch->starts[batch->n_rows] = batch->bytes.len;
	row_write(&batch->bytes, row);
	if (batch->bytes.failed)
		return ERR_NOMEM;
	batch->place.index = (uint32_t)batch->n_rows;
	limits_note(batch, row);
	err = fold_row(&batch->state, row, &batch->place);
	if (err == 0)
		err = batch_remember(batch, row);
	if (err == 0)
		batch->n_rows++;
	batch->fold_ns += core_now_ns() - start;
	return err;
}

int
batch_granted(struct batch *batch, struct command *command, uint64_t number,
    uint32_t index)
{
	if (batch->n_grants == batch->grants_size) {
		size_t size =
		    batch->grants_size == 0 ? 8 : batch->grants_size * 2;
		struct batch_grant *grants =
		    realloc(batch->grants, size * sizeof *grants);

		if (grants == NULL)
			return ERR_NOMEM;
		batch->grants = grants;
		batch->grants_size = size;
	}
	batch->grants[batch->n_grants++] =
	    (struct batch_grant){ command, number, index };
	return 0;
}

/* Leaves, levels, root. */
static int
batch_hash(struct batch *batch)
{
	uint64_t first = batch->state.counters.next_row - batch->n_rows;
	int err = tree_reserve(&batch->tree, batch->n_rows);

	if (err != 0)
		return err;
	for (size_t i = 0; i < batch->n_rows; i++) {
		size_t end = i + 1 < batch->n_rows ? batch->starts[i + 1]
						   : batch->bytes.len;
		const uint8_t *data = batch->bytes.data + batch->starts[i];
		size_t len = end - batch->starts[i];

		batch->spans[i].bytes =
		    (struct record_span){ data, (uint32_t)len };
		journal_row_leaf(batch->tree.hashes[i], batch->ledger->tenant,
		    first + i, data, len);
	}
	tree_build(batch->header.root, &batch->tree, batch->n_rows);
	return 0;
}

static int
batch_sign(struct batch *batch)
{
	const struct ledger *ledger = batch->ledger;
	const struct counters *counters = &batch->state.counters;
	struct journal_header *header = &batch->header;

	memcpy(header->site, ledger->site, sizeof header->site);
	memcpy(header->tenant, ledger->tenant, sizeof header->tenant);
	header->generation = counters->generation;
	header->batch = batch->place.batch;
	header->first_row = counters->next_row - batch->n_rows;
	header->rows = (uint32_t)batch->n_rows;
	header->time = batch->place.time;
	header->totals = counters->totals;
	int err = history_root(header->history, &batch->state, header->batch);

	if (err != 0)
		return err;
	buf_clear(&batch->token);
	return journal_header_sign(&batch->token, batch->head, header,
	    ledger->site_secret);
}

int
batch_store(struct state *state, const struct journal_header *header,
    const uint8_t head[32], const struct record_span *token, const void *blob,
    size_t len, struct buf *scratch)
{
	struct state_newest newest = { .token = *token };
	int err = state_batch_append(state, header->batch, blob, len);

	if (err == 0)
		err = history_append(state, header->batch, head);
	if (err != 0)
		return err;
	memcpy(newest.head, head, sizeof newest.head);
	buf_clear(scratch);
	record_write_msgpack(scratch, &journal_header_record, header);
	if (scratch->failed)
		return ERR_NOMEM;
	newest.header =
	    (struct record_span){ scratch->data, (uint32_t)scratch->len };
	state->counters.batches = header->batch + 1;
	return state_newest_put(state, &newest);
}

static int
batch_append(struct batch *batch)
{
	struct record_span token = { batch->token.data,
		(uint32_t)batch->token.len };
	struct journal_batch parts = { .header = token,
		.rows = { batch->spans, (uint32_t)batch->n_rows } };

	buf_clear(&batch->blob);
	record_write_msgpack(&batch->blob, &journal_batch_record, &parts);
	if (batch->blob.failed)
		return ERR_NOMEM;
	return batch_store(&batch->state, &batch->header, batch->head, &token,
	    batch->blob.data, batch->blob.len, &batch->scratch);
}

int
batch_seal(struct batch *batch)
{
	struct ledger_timing *timing = &batch->ledger->timing;
	uint64_t start = core_now_ns();
	int err = batch_hash(batch);
	uint64_t hashed = core_now_ns();

	timing->tree_ns += hashed - start;
	if (err == 0)
		err = batch_sign(batch);
	uint64_t signed_ = core_now_ns();

	timing->sign_ns += signed_ - hashed;
	if (err == 0)
		err = ledger_fault(batch->ledger, "append");
	if (err == 0)
		err = batch_append(batch);
	/* The note says that nothing came after an orderly stop. */
	if (err == 0 && batch->ledger->clean_noted)
		err = state_clean_put(&batch->state, false);
	timing->commit_ns += core_now_ns() - signed_;
	return err;
}

/* Memory forgets what the store does. */
static void
give_up(struct batch *batch)
{
	requests_undo(batch->ledger->requests);
	policy_undo(batch);
	if (batch->turned)
		reseal_back(batch);
	if (batch->n_rows == 0)
		return;
	subject_cache_forget(batch->ledger->subjects);
	batch->ledger->tally.known = false;
}

int
batch_commit(struct batch *batch)
{
	struct ledger *ledger = batch->ledger;
	uint64_t start = core_now_ns();
	int err = ledger_fault(ledger, "commit");

	if (err != 0) {
		batch_abort(batch);
		return err;
	}
	err = state_commit(&batch->state);
	if (err != 0) {
		give_up(batch);
		return err;
	}
	ledger->clean_noted = false;
	if (batch->owed)
		atomic_store(&ledger->owed, true);
	ledger->timing.commit_ns += core_now_ns() - start;
	ledger->timing.commits++;
	ledger->timing.rows += batch->n_rows;
	err = ledger_fault(ledger, "committed");
	if (err != 0)
		return err;
	requests_keep(ledger->requests);
	policy_keep(ledger);
	if (batch->turned)
		ledger->person_generation++;
	if (batch->turned || atomic_load(&ledger->wipe_due))
		err = reseal_settle(ledger);
	if (batch->erased != NULL)
		batch->erased->reply.person_erased.wiped = err == 0;
	return 0;
}

void
batch_abort(struct batch *batch)
{
	state_abort(&batch->state);
	give_up(batch);
}

void
batch_release(struct batch *batch)
{
	policy_free(batch->policy_before);
	free(batch->rows);
	free(batch->spans);
	free(batch->starts);
	free(batch->grants);
	for (size_t i = 0; i < BATCH_PROOFS; i++)
		free(batch->proofs[i]);
	buf_release(&batch->bytes);
	tree_release(&batch->tree);
	buf_release(&batch->token);
	buf_release(&batch->blob);
	buf_release(&batch->scratch);
}
