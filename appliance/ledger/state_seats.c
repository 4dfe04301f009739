/* Pools and leases: who may have how many seats, and who has which. See
 * state.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/state.h"

/* --- pools --------------------------------------------------------------- */

#define POOL_KEY_BYTES 12

static void
pool_key(uint8_t key[POOL_KEY_BYTES], struct pool_id id)
{
	be64_write(key, id.license);
	be32_write(key + 8, id.pool);
}

/* A name's key: the license, then the feature. */
struct name_key {
	uint8_t data[8 + 64];
	size_t len;
};

static struct name_key
name_key_of(uint64_t license, const char *feature)
{
	struct name_key key;
	size_t len = strnlen(feature, 63);

	be64_write(key.data, license);
	memcpy(key.data + 8, feature, len);
	key.len = 8 + len;
	return key;
}

int
state_pool_find(uint32_t *pool, const struct state *state, uint64_t license,
    const char *feature)
{
	struct name_key key = name_key_of(license, feature);
	struct record_span value;

	*pool = 0;
	if (feature[0] == '\0')
		return 0;
	int err =
	    store_get(&value, &state->txn, STORE_POOL_NAMES, key.data, key.len);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	*pool = codec_get_u32(&r);
	return codec_end(&r, "name of a pool");
}

int
state_pool_name_put(struct state *state, struct pool_id id, const char *feature)
{
	struct name_key key = name_key_of(id.license, feature);

	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, id.pool);
	return store_put(&state->txn, STORE_POOL_NAMES, key.data, key.len,
	    w.data, w.len);
}

int
state_pool(struct state_pool *out, const struct state *state, struct pool_id id)
{
	uint8_t key[POOL_KEY_BYTES];
	struct record_span value;

	pool_key(key, id);

	int err = store_get(&value, &state->txn, STORE_POOLS, key, sizeof key);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	out->seats.total = codec_get_u32(&r);
	out->seats.commit = codec_get_u32(&r);
	out->seats.overage = codec_get_u32(&r);
	out->seats_max = codec_get_u32(&r);
	out->commit = codec_get_u32(&r);
	out->overage = codec_get_u32(&r);
	out->lingering = codec_get_u32(&r);
	out->below = codec_get_u32(&r);
	out->overage_checkouts = codec_get_u64(&r);
	return codec_end(&r, "pool");
}

int
state_pool_put(struct state *state, struct pool_id id,
    const struct state_pool *pool)
{
	uint8_t key[POOL_KEY_BYTES];
	struct codec_writer w = { .len = 0 };

	pool_key(key, id);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, pool->seats.total);
	codec_put_u32(&w, pool->seats.commit);
	codec_put_u32(&w, pool->seats.overage);
	codec_put_u32(&w, pool->seats_max);
	codec_put_u32(&w, pool->commit);
	codec_put_u32(&w, pool->overage);
	codec_put_u32(&w, pool->lingering);
	codec_put_u32(&w, pool->below);
	codec_put_u64(&w, pool->overage_checkouts);
	return store_put(&state->txn, STORE_POOLS, key, sizeof key, w.data,
	    w.len);
}

/* --- leases -------------------------------------------------------------- */

int
state_lease_read(struct state_lease *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	out->license = codec_get_u64(&r);
	out->device = codec_get_u64(&r);
	out->overage = codec_get_u64(&r);
	out->pool = codec_get_u32(&r);
	out->count = codec_get_u32(&r);
	out->overage_count = codec_get_u32(&r);
	out->slots.first = codec_get_u32(&r);
	out->slots.count = codec_get_u32(&r);
	out->n_slots = codec_get_u32(&r);
	out->ttl_s = codec_get_u32(&r);
	out->grace_s = codec_get_u32(&r);
	out->row_number = codec_get_u64(&r);
	out->batch = codec_get_u64(&r);
	out->index = codec_get_u32(&r);
	out->granted_at = (int64_t)codec_get_u64(&r);
	codec_get_bytes(out->request, &r, sizeof out->request);
	codec_get_bytes(out->request_digest, &r, sizeof out->request_digest);
	if (key->len != 8 || out->count == 0 || out->count > LEASE_COUNT_MAX ||
	    out->n_slots == 0 || out->n_slots > out->count)
		r.failed = true;
	else
		out->lease = be64_read(key->data);
	return codec_end(&r, "lease");
}

int
state_lease(struct state_lease *out, const struct state *state, uint64_t lease)
{
	uint8_t key[8];
	struct record_span value;

	be64_write(key, lease);

	int err = store_get(&value, &state->txn, STORE_LEASES, key, sizeof key);

	if (err != 0)
		return err;
	return state_lease_read(out, &(struct record_span){ key, sizeof key },
	    &value);
}

/* store_append or store_put */
typedef int (*put_fn)(const struct store_txn *txn, enum store_table table,
    const void *key, size_t key_len, const void *data, size_t len);

/* More than one run is rare, and stands in a table of its own: the common
 * lease stays short. */
static int
slots_write(struct state *state, put_fn put, const uint8_t key[8],
    const struct row_slots *slots, uint32_t n)
{
	struct buf value = { .len = 0 };

	buf_add_byte(&value, CODEC_FORMAT);
	for (uint32_t i = 0; i < n; i++) {
		buf_add_be32(&value, slots[i].first);
		buf_add_be32(&value, slots[i].count);
	}
	int err = value.failed ? ERR_NOMEM
			       : put(&state->txn, STORE_LEASE_SLOTS, key, 8,
				     value.data, value.len);

	buf_release(&value);
	return err;
}

int
state_lease_slots(struct row_slots *out, const struct state *state,
    const struct state_lease *lease)
{
	struct record_span value;
	uint8_t key[8];

	if (lease->n_slots == 1) {
		*out = lease->slots;
		return 0;
	}
	be64_write(key, lease->lease);

	int err =
	    store_get(&value, &state->txn, STORE_LEASE_SLOTS, key, sizeof key);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	struct codec_reader r = codec_reader_of(&value);

	for (uint32_t i = 0; i < lease->n_slots; i++) {
		out[i].first = codec_get_u32(&r);
		out[i].count = codec_get_u32(&r);
	}
	return codec_end(&r, "list of slots");
}

static int
lease_write(struct state *state, put_fn put, const struct state_lease *lease,
    const struct row_slots *slots)
{
	uint8_t key[8];
	struct codec_writer w = { .len = 0 };

	be64_write(key, lease->lease);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, lease->license);
	codec_put_u64(&w, lease->device);
	codec_put_u64(&w, lease->overage);
	codec_put_u32(&w, lease->pool);
	codec_put_u32(&w, lease->count);
	codec_put_u32(&w, lease->overage_count);
	codec_put_u32(&w, slots[0].first);
	codec_put_u32(&w, slots[0].count);
	codec_put_u32(&w, lease->n_slots);
	codec_put_u32(&w, lease->ttl_s);
	codec_put_u32(&w, lease->grace_s);
	codec_put_u64(&w, lease->row_number);
	codec_put_u64(&w, lease->batch);
	codec_put_u32(&w, lease->index);
	codec_put_u64(&w, (uint64_t)lease->granted_at);
	codec_put_bytes(&w, lease->request, sizeof lease->request);
	codec_put_bytes(&w, lease->request_digest,
	    sizeof lease->request_digest);
	int err =
	    put(&state->txn, STORE_LEASES, key, sizeof key, w.data, w.len);

	if (err == 0 && lease->n_slots > 1)
		err = slots_write(state, put, key, slots, lease->n_slots);
	return err;
}

int
state_lease_append(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots)
{
	return lease_write(state, store_append, lease, slots);
}

int
state_lease_insert(struct state *state, const struct state_lease *lease,
    const struct row_slots *slots)
{
	return lease_write(state, store_put, lease, slots);
}

int
state_lease_delete(struct state *state, const struct state_lease *lease)
{
	uint8_t key[8];

	be64_write(key, lease->lease);
	int err = store_delete(&state->txn, STORE_LEASES, key, sizeof key);

	if (err == 0 && lease->n_slots > 1)
		err = store_delete(&state->txn, STORE_LEASE_SLOTS, key,
		    sizeof key);
	return err;
}
