#include "appliance/ledger/state.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static int
key_u64(uint64_t *out, const struct record_span *key)
{
	if (key->len != 8)
		return ERR_CORRUPT;
	*out = be64_read(key->data);
	return 0;
}

static int
put_by_u64(struct state *state, enum store_table table, uint64_t number,
    const struct codec_writer *w)
{
	uint8_t key[8];

	be64_write(key, number);
	return store_put(&state->txn, table, key, sizeof key, w->data, w->len);
}

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
			.next_device = 1 };
		return 0;
	}
	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	c->batches = codec_get_u64(&r);
	c->next_row = codec_get_u64(&r);
	c->next_lease = codec_get_u64(&r);
	c->next_license = codec_get_u64(&r);
	c->next_device = codec_get_u64(&r);
	c->time = (int64_t)codec_get_u64(&r);
	c->totals.grants = codec_get_u64(&r);
	c->totals.ends = codec_get_u64(&r);
	c->totals.overage = codec_get_u64(&r);
	c->lingering = codec_get_u64(&r);
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

/* --- devices ------------------------------------------------------------- */

int
state_device_read(struct state_device *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	out->class_ = codec_get_u32(&r);
	out->revoked = codec_get_u8(&r) != 0;
	out->enrolled_at = (int64_t)codec_get_u64(&r);
	codec_get_bytes(out->name, &r, sizeof out->name);
	codec_get_bytes(out->host, &r, sizeof out->host);
	codec_get_bytes(out->join, &r, sizeof out->join);
	out->public_key_len = codec_get_u32(&r);
	if (key_u64(&out->device, key) != 0 ||
	    out->public_key_len > sizeof out->public_key ||
	    out->public_key_len != r.left)
		r.failed = true;
	else if (!r.failed)
		memcpy(out->public_key, codec_get_some(&r, out->public_key_len),
		    out->public_key_len);
	return codec_end(&r, "device");
}

int
state_device(struct state_device *out, const struct state *state,
    uint64_t device)
{
	uint8_t key[8];
	struct record_span value;

	be64_write(key, device);

	int err =
	    store_get(&value, &state->txn, STORE_DEVICES, key, sizeof key);

	if (err != 0)
		return err;
	return state_device_read(out, &(struct record_span){ key, sizeof key },
	    &value);
}

int
state_device_put(struct state *state, const struct state_device *device)
{
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, device->class_);
	codec_put_u8(&w, device->revoked);
	codec_put_u64(&w, (uint64_t)device->enrolled_at);
	codec_put_bytes(&w, device->name, sizeof device->name);
	codec_put_bytes(&w, device->host, sizeof device->host);
	codec_put_bytes(&w, device->join, sizeof device->join);
	codec_put_u32(&w, device->public_key_len);
	codec_put_bytes(&w, device->public_key, device->public_key_len);
	return put_by_u64(state, STORE_DEVICES, device->device, &w);
}

static void
device_key_hash(uint8_t hash[32], const void *public_key, size_t len)
{
	crypto_generichash(hash, 32, public_key, len, NULL, 0);
}

int
state_device_by_key(uint64_t *device, const struct state *state,
    const void *public_key, size_t len)
{
	uint8_t hash[32];

	device_key_hash(hash, public_key, len);
	return get_number(device, state, STORE_DEVICE_KEYS, hash, sizeof hash);
}

int
state_device_key_put(struct state *state, uint64_t device,
    const void *public_key, size_t len)
{
	uint8_t hash[32];

	device_key_hash(hash, public_key, len);
	return put_number(state, STORE_DEVICE_KEYS, hash, sizeof hash, device);
}

/* --- joins --------------------------------------------------------------- */

int
state_join(struct state_join *out, const struct state *state,
    const uint8_t join[16])
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_JOINS, join, 16);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	memcpy(out->join, join, sizeof out->join);
	out->uses = codec_get_u32(&r);
	out->used = codec_get_u32(&r);
	out->class_ = codec_get_u32(&r);
	out->expires_at = (int64_t)codec_get_u64(&r);
	return codec_end(&r, "join");
}

int
state_join_put(struct state *state, const struct state_join *join)
{
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, join->uses);
	codec_put_u32(&w, join->used);
	codec_put_u32(&w, join->class_);
	codec_put_u64(&w, (uint64_t)join->expires_at);
	return store_put(&state->txn, STORE_JOINS, join->join,
	    sizeof join->join, w.data, w.len);
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
