/* Borrows, borrowers and seats on loan as stored values; see borrow.h. */
#include "appliance/ledger/borrow.h"

#include "appliance/ledger/codec.h"

/* --- borrows -------------------------------------------------------------- */

/* By device first: what a device has stands side by side. */
#define BORROW_KEY_BYTES 16

static void
borrow_key(uint8_t key[BORROW_KEY_BYTES], uint64_t device, uint64_t lease)
{
	be64_write(key, device);
	be64_write(key + 8, lease);
}

static void
get_place(struct borrow_ticket_place *out, struct codec_reader *r)
{
	out->epoch = codec_get_u64(r);
	out->row_number = codec_get_u64(r);
	out->batch = codec_get_u64(r);
	out->index = codec_get_u32(r);
}

static void
put_place(struct codec_writer *w, const struct borrow_ticket_place *place)
{
	codec_put_u64(w, place->epoch);
	codec_put_u64(w, place->row_number);
	codec_put_u64(w, place->batch);
	codec_put_u32(w, place->index);
}

int
state_borrow_read(struct state_borrow *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	out->license = codec_get_u64(&r);
	get_place(&out->now, &r);
	get_place(&out->next, &r);
	out->until = (int64_t)codec_get_u64(&r);
	if (key->len != BORROW_KEY_BYTES || out->now.epoch == 0) {
		r.failed = true;
	} else {
		const uint8_t *k = key->data;

		out->device = be64_read(k);
		out->lease = be64_read(k + 8);
	}
	return codec_end(&r, "borrow");
}

int
state_borrow(struct state_borrow *out, const struct state *state,
    uint64_t device, uint64_t lease)
{
	uint8_t key[BORROW_KEY_BYTES];
	struct record_span value;

	borrow_key(key, device, lease);

	int err =
	    store_get(&value, &state->txn, STORE_BORROWS, key, sizeof key);

	if (err != 0)
		return err;
	return state_borrow_read(out, &(struct record_span){ key, sizeof key },
	    &value);
}

int
state_borrow_put(struct state *state, const struct state_borrow *borrow)
{
	uint8_t key[BORROW_KEY_BYTES];
	struct codec_writer w = { .len = 0 };

	borrow_key(key, borrow->device, borrow->lease);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, borrow->license);
	put_place(&w, &borrow->now);
	put_place(&w, &borrow->next);
	codec_put_u64(&w, (uint64_t)borrow->until);
	return store_put(&state->txn, STORE_BORROWS, key, sizeof key, w.data,
	    w.len);
}

int
state_borrow_delete(struct state *state, uint64_t device, uint64_t lease)
{
	uint8_t key[BORROW_KEY_BYTES];

	borrow_key(key, device, lease);
	return store_delete(&state->txn, STORE_BORROWS, key, sizeof key);
}

struct listing {
	struct state_borrow *out;
	uint32_t n;
	uint64_t device;
};

static int
list_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct listing *list = ctx;
	struct state_borrow borrow;
	int err = state_borrow_read(&borrow, key, value);

	if (err != 0)
		return err;
	if (borrow.device != list->device)
		return 1; /* and so are all behind it */
	if (list->n == BORROW_DEVICE_MAX) {
		log_error("state", "a device has too many borrows");
		return ERR_CORRUPT;
	}
	list->out[list->n++] = borrow;
	return 0;
}

int
state_borrows_of(struct state_borrow out[BORROW_DEVICE_MAX], uint32_t *n,
    const struct state *state, uint64_t device)
{
	struct listing list = { .out = out, .device = device };
	uint8_t key[BORROW_KEY_BYTES];

	borrow_key(key, device, 0);

	int err = store_each(&state->txn, STORE_BORROWS, key, sizeof key,
	    list_one, &list);

	*n = list.n;
	return err == 1 ? 0 : err;
}

/* --- borrowers ------------------------------------------------------------ */

int
state_borrower_read(struct state_borrower *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	out->proven = codec_get_u64(&r);
	out->clock_ms = codec_get_u64(&r);
	out->resets = codec_get_u64(&r);
	out->target = codec_get_u64(&r);
	out->owed = codec_get_u64(&r);
	out->borrows = codec_get_u32(&r);
	out->generation = codec_get_u32(&r);
	out->fence = codec_get_u64(&r);
	if (key->len != 8)
		r.failed = true;
	else
		out->device = be64_read(key->data);
	return codec_end(&r, "borrower");
}

int
state_borrower(struct state_borrower *out, const struct state *state,
    uint64_t device)
{
	uint8_t key[8];
	struct record_span value;

	be64_write(key, device);

	int err =
	    store_get(&value, &state->txn, STORE_BORROWERS, key, sizeof key);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		*out = (struct state_borrower){ .device = device };
		return 0;
	}
	if (err != 0)
		return err;
	return state_borrower_read(out,
	    &(struct record_span){ key, sizeof key }, &value);
}

int
state_borrower_put(struct state *state, const struct state_borrower *borrower)
{
	uint8_t key[8];
	struct codec_writer w = { .len = 0 };

	be64_write(key, borrower->device);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, borrower->proven);
	codec_put_u64(&w, borrower->clock_ms);
	codec_put_u64(&w, borrower->resets);
	codec_put_u64(&w, borrower->target);
	codec_put_u64(&w, borrower->owed);
	codec_put_u32(&w, borrower->borrows);
	codec_put_u32(&w, borrower->generation);
	codec_put_u64(&w, borrower->fence);
	return store_put(&state->txn, STORE_BORROWERS, key, sizeof key, w.data,
	    w.len);
}

/* --- seats on loan -------------------------------------------------------- */

#define LOAN_KEY_BYTES 12

static void
loan_key(uint8_t key[LOAN_KEY_BYTES], struct pool_id id)
{
	be64_write(key, id.license);
	be32_write(key + 8, id.pool);
}

int
state_on_loan(uint32_t *seats, const struct state *state, struct pool_id id)
{
	uint8_t key[LOAN_KEY_BYTES];
	struct record_span value;

	loan_key(key, id);

	int err =
	    store_get(&value, &state->txn, STORE_ON_LOAN, key, sizeof key);

	*seats = 0;
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	struct codec_reader r = codec_reader_of(&value);

	*seats = codec_get_u32(&r);
	return codec_end(&r, "count of seats on loan");
}

int
state_on_loan_put(struct state *state, struct pool_id id, uint32_t seats)
{
	uint8_t key[LOAN_KEY_BYTES];
	struct codec_writer w = { .len = 0 };

	loan_key(key, id);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, seats);
	return store_put(&state->txn, STORE_ON_LOAN, key, sizeof key, w.data,
	    w.len);
}
