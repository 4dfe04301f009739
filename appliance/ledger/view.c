/* Views: snapshots for readers, and the values they are asked for. See
 * ledger.h. */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/core.h"
#include "appliance/ledger/linger.h"
#include "appliance/ledger/pools.h"
#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

int
ledger_view_open(struct ledger_view **out, struct ledger *ledger)
{
	struct ledger_view *view = calloc(1, sizeof *view);

	if (view == NULL)
		return ERR_NOMEM;
	view->ledger = ledger;
	int err = state_begin(&view->state, ledger->store, false, NULL);

	if (err != 0) {
		free(view);
		return err;
	}
	*out = view;
	return 0;
}

void
ledger_view_close(struct ledger_view *view)
{
	if (view == NULL)
		return;
	state_abort(&view->state);
	free(view);
}

static int
copy_span(struct record_span *out, const struct record_span *from,
    struct arena *arena)
{
	out->data = arena_copy(arena, from->data, from->len);
	out->len = from->len;
	return out->data != NULL ? 0 : ERR_NOMEM;
}

int
ledger_newest(struct journal_header *header, uint8_t head[32],
    struct record_span *token, struct ledger_view *view, struct arena *arena)
{
	struct state_newest newest;
	int err = state_newest(&newest, &view->state);

	if (err == 0)
		err = record_read_msgpack(header, &journal_header_record,
		    newest.header.data, newest.header.len, NULL, arena, NULL);
	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_CORRUPT;
	memcpy(head, newest.head, sizeof newest.head);
	return copy_span(token, &newest.token, arena);
}

static int
copy_hashes(struct record_span *out, const uint8_t (*hashes)[MERKLE_BYTES],
    size_t n, struct arena *arena)
{
	struct record_span from = { hashes, (uint32_t)(n * MERKLE_BYTES) };

	return n == 0 ? 0 : copy_span(out, &from, arena);
}

int
ledger_continue(struct record_span *inclusion, struct record_span *consistency,
    struct ledger_view *view, const struct journal_known *known,
    struct arena *arena)
{
	struct history_proof proof;

	*inclusion = *consistency = (struct record_span){ NULL, 0 };
	if (history_is_unknown(known))
		return 0;
	int err = history_judge(&view->state, known);

	/* Of a branch that was abandoned: nothing is to be proved. */
	if (err == ERR_GONE)
		return 0;
	if (err == 0)
		err = history_prove(&proof, &view->state, known->batch,
		    view->state.counters.batches - 1);
	if (err == 0)
		err = copy_hashes(inclusion, proof.inclusion,
		    proof.inclusion_len, arena);
	if (err == 0)
		err = copy_hashes(consistency, proof.consistency,
		    proof.consistency_len, arena);
	return err;
}

/* An erased subject has no name any more, but it was somebody: not "". */
int
view_subject(char *out, size_t size, struct ledger_view *view,
    const uint8_t id[SUBJECT_BYTES])
{
	struct subject subject;
	int err = subject_get(&subject, &view->state, view->ledger->keys, id);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		memcpy(subject.value, SUBJECT_ERASED, sizeof SUBJECT_ERASED);
		err = 0;
	}
	if (err != 0)
		return err;
	size_t len = strlen(subject.value);

	if (len >= size)
		return ERR_CORRUPT;
	memcpy(out, subject.value, len + 1);
	return 0;
}

int
ledger_device(struct ledger_device *out, struct ledger_view *view,
    uint64_t device, struct arena *arena)
{
	struct state_device state;
	int err = state_device(&state, &view->state, device);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_UNKNOWN_DEVICE;
	if (err != 0)
		return err;
	struct record_span key = { state.public_key, state.public_key_len };

	*out = (struct ledger_device){ .device = device,
		.class_ = state.class_,
		.state = state.state };
	struct state_borrower borrower;

	err = state_borrower(&borrower, &view->state, device);
	out->borrows = err == 0 &&
	    (borrower.borrows > 0 || borrower.owed != 0 ||
		borrower.target != 0 ||
		borrower_is_held_up(&borrower,
		    view->state.counters.generation));
	if (err == 0)
		err = copy_span(&out->public_key, &key, arena);
	if (err == 0)
		err =
		    view_subject(out->name, sizeof out->name, view, state.name);
	if (err == 0)
		err = view_subject(out->reason, sizeof out->reason, view,
		    state.reason);
	if (err != 0)
		return err;
	return state.state == DEVICE_REVOKED ? ERR_DEVICE_REVOKED : 0;
}

/* --- rows -------------------------------------------------------------- */

int
view_batch(struct journal_batch *out, const struct record_span *blob,
    struct arena *arena)
{
	int err = record_read_msgpack(out, &journal_batch_record, blob->data,
	    blob->len, NULL, arena, NULL);

	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
view_row(struct record_span *bytes, const struct state *state, uint64_t batch,
    uint32_t index, struct arena *arena)
{
	struct journal_batch stored;
	struct record_span blob;
	int err = state_batch(&blob, state, batch);

	if (err == 0)
		err = view_batch(&stored, &blob, arena);
	if (err != 0)
		return err;
	if (index >= stored.rows.count)
		return ERR_CORRUPT;
	*bytes = ((struct journal_row_bytes *)stored.rows.items)[index].bytes;
	return 0;
}

static struct ledger_lease
lease_of(const struct state_lease *state)
{
	return (struct ledger_lease){ .lease = state->lease,
		.device = state->device,
		.license = state->license,
		.row_number = state->row_number,
		.ttl_s = state->ttl_s,
		.grace_s = state->grace_s };
}

/* Of an adopted lease: the row that its holder has. */
static int
first_row(struct ledger_lease *out, struct record_span *bytes,
    struct arena *arena)
{
	struct row row;
	int err =
	    row_read(&row, out->row_number, bytes->data, bytes->len, arena);

	if (err != 0)
		return err;
	out->row_number = row.u.lease_adopted.origin.row_number;
	*bytes = row.u.lease_adopted.row;
	return 0;
}

int
ledger_lease(struct ledger_lease *out, struct ledger_view *view, uint64_t lease,
    struct arena *arena)
{
	struct state_lease state;
	struct record_span bytes;
	int err = state_lease(&state, &view->state, lease);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_GONE;
	if (err != 0)
		return err;
	*out = lease_of(&state);
	if (arena == NULL)
		return 0;
	err = view_row(&bytes, &view->state, state.batch, state.index, arena);
	if (err == 0 && bytes.len >= 2 &&
	    be16_read(bytes.data) == ROW_LEASE_ADOPTED)
		err = first_row(out, &bytes, arena);
	return err == 0 ? copy_span(&out->row, &bytes, arena) : err;
}

struct each_lease {
	int (*each)(void *ctx, const struct ledger_lease *lease);
	void *ctx;
};

static int
each_lease_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct each_lease *walk = ctx;
	struct state_lease state;
	int err = state_lease_read(&state, key, value);

	if (err != 0)
		return err;
	struct ledger_lease lease = lease_of(&state);

	return walk->each(walk->ctx, &lease);
}

int
ledger_each_lease(struct ledger_view *view, uint64_t after,
    int (*each)(void *ctx, const struct ledger_lease *lease), void *ctx)
{
	struct each_lease walk = { each, ctx };
	uint8_t key[8];

	be64_write(key, after + 1);
	return store_each(&view->state.txn, STORE_LEASES, key, sizeof key,
	    each_lease_one, &walk);
}

struct each_license {
	int (*each)(void *ctx, uint64_t number, const struct license *license);
	void *ctx;
};

static int
each_license_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct each_license *walk = ctx;
	struct state_license license;
	struct arena arena = { .chunks = NULL };
	int err = state_license_read(&license, key, value, &arena);

	if (err == 0)
		err = walk->each(walk->ctx, license.license, &license.document);
	arena_release(&arena);
	return err;
}

int
ledger_each_license(struct ledger_view *view,
    int (*each)(void *ctx, uint64_t number, const struct license *license),
    void *ctx)
{
	struct each_license walk = { each, ctx };

	return store_each(&view->state.txn, STORE_LICENSES, NULL, 0,
	    each_license_one, &walk);
}

static int
seats_at(struct license_seats *out, struct ledger_view *view, uint64_t number,
    const struct license_seats *seats, int64_t now_ms)
{
	struct arena arena = { .chunks = NULL };
	const struct state_license *license;
	int err = state_license(&license, &view->state, number, &arena);

	if (err == 0)
		license_seats_at(out, &license->document, seats, now_ms);
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
ledger_pool(struct ledger_pool *out, struct ledger_view *view,
    const char *product, const char *feature, int64_t now_ms)
{
	struct pool_id id;
	struct state_pool pool;
	uint32_t over = 0, below = 0;
	int err = state_product(&id.license, &view->state, product);

	if (err == 0)
		err = state_pool_find(&id.pool, &view->state, id.license,
		    feature);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_NOT_ENTITLED;
	if (err == 0)
		err = state_pool(&pool, &view->state, id);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	/* A feature that a renewal left out. */
	if (pool.seats.total == 0)
		return ERR_NOT_ENTITLED;
	if (pool.lingering > 0)
		err = linger_over(&over, &below, &view->state, id,
		    pool.seats.commit, now_ms);
	if (err != 0)
		return err;
	pool.lingering -= over;
	pool.below -= below;
	struct license_seats seats;

	err = seats_at(&seats, view, id.license, &pool.seats, now_ms);
	if (err != 0)
		return err;
	uint64_t taken = pool_taken(&pool);

	*out = (struct ledger_pool){ .license = id.license,
		.total = pool.seats.total,
		.taken = taken < UINT32_MAX ? (uint32_t)taken : UINT32_MAX,
		.lingering = pool.lingering,
		.free = pool_free(&pool, &seats),
		.max_once = seats.total };
	if (out->max_once > LEASE_COUNT_MAX)
		out->max_once = LEASE_COUNT_MAX;
	return 0;
}

int
ledger_linger_end(int64_t *until, struct ledger_view *view)
{
	return linger_last(until, &view->state);
}

uint64_t
ledger_devices(const struct ledger_view *view)
{
	return view->state.counters.next_device - 1 -
	    view->state.counters.devices_skipped;
}

int64_t
ledger_time(const struct ledger_view *view)
{
	return view->state.counters.time;
}

uint32_t
ledger_generation(const struct ledger_view *view)
{
	return view->state.counters.generation;
}

int64_t
ledger_generation_at(const struct ledger_view *view)
{
	return view->state.counters.generation_at;
}

uint64_t
ledger_tick(const struct ledger_view *view)
{
	return view->state.counters.tick;
}

int
ledger_holds(struct ledger_view *view, uint64_t batch, const uint8_t head[32])
{
	struct journal_known known = { .batch = batch };

	memcpy(known.head, head, sizeof known.head);
	return history_holds(&view->state, &known);
}

int
ledger_mark(struct row_mark *mark, struct ledger_view *view)
{
	struct journal_header header;
	struct record_span token;
	struct arena arena = { .chunks = NULL };
	int err = ledger_newest(&header, mark->head, &token, view, &arena);

	arena_release(&arena);
	if (err != 0)
		return err;
	mark->generation = header.generation;
	mark->batch = header.batch;
	mark->time = header.time;
	mark->grants = header.totals.grants;
	mark->ends = header.totals.ends;
	mark->overage = header.totals.overage;
	return 0;
}
