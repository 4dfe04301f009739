/* API keys as stored values; see state.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/state.h"

#include <string.h>

/* Without the names of scopes: length and text follow. */
#define KEY_FIXED (1 + 32 + 32 + 4 * 8 + 4 + 16 + 32 + 4 + 8)
_Static_assert(sizeof(((struct codec_writer *)0)->data) >= KEY_FIXED,
    "the fixed part of a key fits");

int
state_key_read(struct state_key *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	memset(out, 0, sizeof *out);
	codec_get_bytes(out->hash, &r, sizeof out->hash);
	codec_get_bytes(out->previous, &r, sizeof out->previous);
	out->previous_until = (int64_t)codec_get_u64(&r);
	out->created_at = (int64_t)codec_get_u64(&r);
	out->rotated_at = (int64_t)codec_get_u64(&r);
	out->expires_at = (int64_t)codec_get_u64(&r);
	out->app_type = codec_get_u32(&r);
	codec_get_bytes(out->document, &r, sizeof out->document);
	codec_get_bytes(out->commitment, &r, sizeof out->commitment);
	out->by.kind = codec_get_u32(&r);
	out->by.id = codec_get_u64(&r);
	if (key->len != 8 || r.left >= sizeof out->scopes)
		r.failed = true;
	else
		out->device = be64_read(key->data);
	if (!r.failed && r.left > 0)
		codec_get_bytes(out->scopes, &r, r.left);
	return codec_end(&r, "key");
}

int
state_key(struct state_key *out, const struct state *state, uint64_t device)
{
	uint8_t key[8];
	struct record_span value;

	be64_write(key, device);

	int err = store_get(&value, &state->txn, STORE_KEYS, key, sizeof key);

	if (err != 0)
		return err;
	return state_key_read(out, &(struct record_span){ key, sizeof key },
	    &value);
}

int
state_key_put(struct state *state, const struct state_key *in)
{
	struct codec_writer w = { .len = 0 };
	uint8_t data[KEY_FIXED + sizeof in->scopes];
	size_t len = strlen(in->scopes);
	uint8_t key[8];

	be64_write(key, in->device);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_bytes(&w, in->hash, sizeof in->hash);
	codec_put_bytes(&w, in->previous, sizeof in->previous);
	codec_put_u64(&w, (uint64_t)in->previous_until);
	codec_put_u64(&w, (uint64_t)in->created_at);
	codec_put_u64(&w, (uint64_t)in->rotated_at);
	codec_put_u64(&w, (uint64_t)in->expires_at);
	codec_put_u32(&w, in->app_type);
	codec_put_bytes(&w, in->document, sizeof in->document);
	codec_put_bytes(&w, in->commitment, sizeof in->commitment);
	codec_put_u32(&w, in->by.kind);
	codec_put_u64(&w, in->by.id);
	memcpy(data, w.data, w.len);
	memcpy(data + w.len, in->scopes, len);
	return store_put(&state->txn, STORE_KEYS, key, sizeof key, data,
	    w.len + len);
}

int
state_key_by_hash(uint64_t *device, const struct state *state,
    const uint8_t hash[32])
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_KEY_HASHES, hash, 32);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	*device = codec_get_u64(&r);
	return codec_end(&r, "key hash");
}

int
state_key_hash_put(struct state *state, const uint8_t hash[32], uint64_t device)
{
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, device);
	return store_put(&state->txn, STORE_KEY_HASHES, hash, 32, w.data,
	    w.len);
}

int
state_key_hash_delete(struct state *state, const uint8_t hash[32])
{
	return store_delete(&state->txn, STORE_KEY_HASHES, hash, 32);
}
