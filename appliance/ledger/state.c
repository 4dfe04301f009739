#include "appliance/ledger/state.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdlib.h>
#include <string.h>

/* A value that is one number. */
static int
get_number(uint64_t *out, const struct state *state, enum store_table table,
    const void *key, size_t key_len)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, table, key, key_len);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	*out = codec_get_u64(&r);
	return codec_end(&r, store_table_name(table));
}

static int
put_number(struct state *state, enum store_table table, const void *key,
    size_t key_len, uint64_t number)
{
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, number);
	return store_put(&state->txn, table, key, key_len, w.data, w.len);
}

/* --- transaction and counters -------------------------------------------- */

static const uint8_t counters_key[1] = { 0 };

static int
counters_read(struct counters *c, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_COUNTERS, counters_key,
	    sizeof counters_key);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		*c = (struct counters){ .next_row = 1,
			.next_lease = 1,
			.next_license = 1,
			.next_device = 1,
			.next_join = 1,
			.generation = 1 };
		return 0;
	}
	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	*c = (struct counters){ .batches = codec_get_u64(&r) };
	c->next_row = codec_get_u64(&r);
	c->next_lease = codec_get_u64(&r);
	c->next_license = codec_get_u64(&r);
	c->next_device = codec_get_u64(&r);
	c->time = (int64_t)codec_get_u64(&r);
	c->totals.grants = codec_get_u64(&r);
	c->totals.ends = codec_get_u64(&r);
	c->totals.overage = codec_get_u64(&r);
	c->lingering = codec_get_u64(&r);
	c->next_join = codec_get_u64(&r);
	c->pending = codec_get_u64(&r);
	/* Before there were generations these were all. */
	if (r.left == 0 && !r.failed) {
		c->generation = 1;
		return 0;
	}
	c->generation = codec_get_u32(&r);
	c->generation_at = (int64_t)codec_get_u64(&r);
	c->generation_tick = codec_get_u64(&r);
	c->tick = codec_get_u64(&r);
	c->leases_skipped = codec_get_u64(&r);
	c->devices_skipped = codec_get_u64(&r);
	c->adopted = codec_get_u64(&r);
	return codec_end(&r, "set of counters");
}

static int
counters_write(struct state *state)
{
	const struct counters *c = &state->counters;
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, c->batches);
	codec_put_u64(&w, c->next_row);
	codec_put_u64(&w, c->next_lease);
	codec_put_u64(&w, c->next_license);
	codec_put_u64(&w, c->next_device);
	codec_put_u64(&w, (uint64_t)c->time);
	codec_put_u64(&w, c->totals.grants);
	codec_put_u64(&w, c->totals.ends);
	codec_put_u64(&w, c->totals.overage);
	codec_put_u64(&w, c->lingering);
	codec_put_u64(&w, c->next_join);
	codec_put_u64(&w, c->pending);
	codec_put_u32(&w, c->generation);
	codec_put_u64(&w, (uint64_t)c->generation_at);
	codec_put_u64(&w, c->generation_tick);
	codec_put_u64(&w, c->tick);
	codec_put_u64(&w, c->leases_skipped);
	codec_put_u64(&w, c->devices_skipped);
	codec_put_u64(&w, c->adopted);
	return store_put(&state->txn, STORE_COUNTERS, counters_key,
	    sizeof counters_key, w.data, w.len);
}

int
state_begin(struct state *state, struct store *store, bool write,
    struct license_cache *cache)
{
	state->cache = cache;

	int err = store_begin(&state->txn, store, write);

	if (err != 0)
		return err;
	err = counters_read(&state->counters, state);
	if (err == 0 && !write && state->counters.batches == 0)
		err = ERR_NOT_FOUND;
	if (err != 0)
		store_abort(&state->txn);
	return err;
}

int
state_commit(struct state *state)
{
	int err = counters_write(state);

	if (err != 0) {
		state_abort(state);
		return err;
	}
	err = store_commit(&state->txn);
	license_cache_end(state->cache, err == 0);
	return err;
}

void
state_abort(struct state *state)
{
	store_abort(&state->txn);
	license_cache_end(state->cache, false);
}

/* --- products ------------------------------------------------------------ */

int
state_product(uint64_t *license, const struct state *state, const char *product)
{
	if (product[0] == '\0')
		return ERR_NOT_FOUND_INTERNAL;
	return get_number(license, state, STORE_PRODUCTS, product,
	    strlen(product));
}

int
state_product_put(struct state *state, const char *product, uint64_t license)
{
	return put_number(state, STORE_PRODUCTS, product, strlen(product),
	    license);
}

/* --- numbers that were passed over, and some of them adopted --------------- */

int
state_skip_put(struct state *state, uint64_t first, uint64_t end)
{
	uint8_t key[8];

	be64_write(key, first);
	return put_number(state, STORE_SKIPPED, key, sizeof key, end);
}

struct skip_search {
	uint64_t lease;
	bool found;
};

static int
skip_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct skip_search *search = ctx;
	struct codec_reader r = codec_reader_of(value);
	uint64_t end = codec_get_u64(&r);

	if (key->len != 8)
		return ERR_CORRUPT;
	if (search->lease >= be64_read(key->data) && search->lease < end)
		search->found = true;
	return codec_end(&r, "range of numbers");
}

int
state_is_skipped(bool *skipped, const struct state *state, uint64_t lease)
{
	struct skip_search search = { .lease = lease };
	/* As many as there were generations. */
	int err =
	    store_each(&state->txn, STORE_SKIPPED, NULL, 0, skip_one, &search);

	*skipped = search.found;
	return err;
}

int
state_adopted(uint64_t *row_number, const struct state *state, uint64_t lease)
{
	uint8_t key[8];

	be64_write(key, lease);
	return get_number(row_number, state, STORE_ADOPTED, key, sizeof key);
}

int
state_adopted_put(struct state *state, uint64_t lease, uint64_t row_number)
{
	uint8_t key[8];

	be64_write(key, lease);
	return put_number(state, STORE_ADOPTED, key, sizeof key, row_number);
}
