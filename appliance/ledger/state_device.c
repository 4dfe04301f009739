/* Devices and join tokens as stored values; see state.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/state.h"

#include <sodium.h>
#include <string.h>

static bool
read_key(uint64_t *number, const struct record_span *key)
{
	if (key->len != 8)
		return false;
	*number = be64_read(key->data);
	return true;
}

/* --- devices ------------------------------------------------------------- */

/* Its length, and as many bytes. */
static void
get_text(char *out, size_t size, struct codec_reader *r)
{
	uint8_t len = codec_get_u8(r);

	memset(out, 0, size);
	if (len >= size)
		r->failed = true;
	else
		codec_get_bytes(out, r, len);
}

static size_t
add_text(uint8_t *data, size_t at, const char *text)
{
	size_t len = strlen(text);

	data[at++] = (uint8_t)len;
	memcpy(data + at, text, len);
	return at + len;
}

int
state_device_read(struct state_device *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	out->class_ = codec_get_u32(&r);
	uint8_t state = codec_get_u8(&r);

	out->state = (enum device_state)state;
	out->enrolled_at = (int64_t)codec_get_u64(&r);
	out->decided_at = (int64_t)codec_get_u64(&r);
	codec_get_bytes(out->name, &r, sizeof out->name);
	codec_get_bytes(out->host, &r, sizeof out->host);
	codec_get_bytes(out->reason, &r, sizeof out->reason);
	out->join = codec_get_u64(&r);
	codec_get_bytes(out->ek_id, &r, sizeof out->ek_id);
	codec_get_bytes(out->certificate_id, &r, sizeof out->certificate_id);
	get_text(out->manufacturer, sizeof out->manufacturer, &r);
	get_text(out->issuer, sizeof out->issuer, &r);
	get_text(out->why, sizeof out->why, &r);
	out->public_key_len = codec_get_u32(&r);
	if (!read_key(&out->device, key) || state > DEVICE_REVOKED ||
	    out->public_key_len > sizeof out->public_key ||
	    out->public_key_len != r.left)
		r.failed = true;
	else if (!r.failed) {
		memcpy(out->public_key, r.data, out->public_key_len);
		r.left = 0;
	}
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

/* Larger than what fits the small writer: its texts and key by hand. */
int
state_device_put(struct state *state, const struct state_device *device)
{
	struct codec_writer w = { .len = 0 };
	uint8_t data[sizeof w.data + sizeof device->manufacturer +
	    sizeof device->issuer + sizeof device->why + 4 +
	    sizeof device->public_key];
	uint8_t key[8];
	size_t len;

	be64_write(key, device->device);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, device->class_);
	codec_put_u8(&w, (uint8_t)device->state);
	codec_put_u64(&w, (uint64_t)device->enrolled_at);
	codec_put_u64(&w, (uint64_t)device->decided_at);
	codec_put_bytes(&w, device->name, sizeof device->name);
	codec_put_bytes(&w, device->host, sizeof device->host);
	codec_put_bytes(&w, device->reason, sizeof device->reason);
	codec_put_u64(&w, device->join);
	codec_put_bytes(&w, device->ek_id, sizeof device->ek_id);
	codec_put_bytes(&w, device->certificate_id,
	    sizeof device->certificate_id);
	memcpy(data, w.data, w.len);
	len = add_text(data, w.len, device->manufacturer);
	len = add_text(data, len, device->issuer);
	len = add_text(data, len, device->why);
	be32_write(data + len, device->public_key_len);
	len += 4;
	memcpy(data + len, device->public_key, device->public_key_len);
	return store_put(&state->txn, STORE_DEVICES, key, sizeof key, data,
	    len + device->public_key_len);
}

static void
hash_public_key(uint8_t hash[32], const void *public_key, size_t len)
{
	crypto_generichash(hash, 32, public_key, len, NULL, 0);
}

/* In the same table; no public key is as long. */
static void
hash_tpm(uint8_t hash[32], enum state_tpm_id what, const uint8_t id[32])
{
	static const char *const words[] = { "leasehold.endorsement-key",
		"leasehold.ek-certificate" };

	crypto_generichash(hash, 32, id, 32, (const uint8_t *)words[what],
	    strlen(words[what]));
}

static int
put_key(struct state *state, const uint8_t hash[32], uint64_t device)
{
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, device);
	return store_put(&state->txn, STORE_DEVICE_KEYS, hash, 32, w.data,
	    w.len);
}

static int
find_key(uint64_t *device, const struct state *state, const uint8_t hash[32])
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_DEVICE_KEYS, hash, 32);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	*device = codec_get_u64(&r);
	return codec_end(&r, "device key");
}

int
state_device_by_tpm(uint64_t *device, const struct state *state,
    enum state_tpm_id what, const uint8_t id[32])
{
	uint8_t hash[32];

	hash_tpm(hash, what, id);
	return find_key(device, state, hash);
}

int
state_device_tpm_delete(struct state *state, enum state_tpm_id what,
    const uint8_t id[32])
{
	uint8_t hash[32];

	hash_tpm(hash, what, id);
	return store_delete(&state->txn, STORE_DEVICE_KEYS, hash, sizeof hash);
}

int
state_device_tpm_put(struct state *state, uint64_t device,
    enum state_tpm_id what, const uint8_t id[32])
{
	uint8_t hash[32];

	hash_tpm(hash, what, id);
	return put_key(state, hash, device);
}

int
state_device_by_key(uint64_t *device, const struct state *state,
    const void *public_key, size_t len)
{
	uint8_t hash[32];

	hash_public_key(hash, public_key, len);
	return find_key(device, state, hash);
}

int
state_device_key_put(struct state *state, uint64_t device,
    const void *public_key, size_t len)
{
	uint8_t hash[32];

	hash_public_key(hash, public_key, len);
	return put_key(state, hash, device);
}

/* --- join tokens --------------------------------------------------------- */

/* Larger than what fits the small writer: by hand, in its order. */
#define JOIN_FIXED 67
_Static_assert(sizeof(((struct codec_writer *)0)->data) >= JOIN_FIXED,
    "the fixed part of a join token fits");

int
state_join_read(struct state_join *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	codec_get_bytes(out->id, &r, sizeof out->id);
	out->uses = codec_get_u32(&r);
	out->used = codec_get_u32(&r);
	out->class_ = codec_get_u32(&r);
	out->approved = codec_get_u8(&r) != 0;
	out->revoked = codec_get_u8(&r) != 0;
	out->created_at = (int64_t)codec_get_u64(&r);
	out->expires_at = (int64_t)codec_get_u64(&r);
	out->by.kind = codec_get_u32(&r);
	out->by.id = codec_get_u64(&r);
	out->n_hosts = codec_get_u32(&r);
	out->n_keys = codec_get_u32(&r);
	if (!read_key(&out->join, key) || out->n_hosts > JOIN_HOSTS_MAX ||
	    out->n_keys > JOIN_KEYS_MAX)
		r.failed = true;
	for (uint32_t i = 0; i < out->n_hosts && !r.failed; i++)
		codec_get_bytes(out->hosts[i], &r, SUBJECT_BYTES);
	for (uint32_t i = 0; i < out->n_keys && !r.failed; i++)
		codec_get_bytes(out->keys[i], &r, sizeof out->keys[i]);
	return codec_end(&r, "join token");
}

int
state_join(struct state_join *out, const struct state *state, uint64_t join)
{
	uint8_t key[8];
	struct record_span value;

	be64_write(key, join);

	int err = store_get(&value, &state->txn, STORE_JOINS, key, sizeof key);

	if (err != 0)
		return err;
	return state_join_read(out, &(struct record_span){ key, sizeof key },
	    &value);
}

int
state_join_put(struct state *state, const struct state_join *join)
{
	uint8_t data[JOIN_FIXED + sizeof join->hosts + sizeof join->keys];
	struct codec_writer w = { .len = 0 };
	size_t len = join->n_hosts * (size_t)SUBJECT_BYTES;
	size_t keys = join->n_keys * sizeof join->keys[0];
	uint8_t key[8];

	be64_write(key, join->join);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_bytes(&w, join->id, sizeof join->id);
	codec_put_u32(&w, join->uses);
	codec_put_u32(&w, join->used);
	codec_put_u32(&w, join->class_);
	codec_put_u8(&w, join->approved);
	codec_put_u8(&w, join->revoked);
	codec_put_u64(&w, (uint64_t)join->created_at);
	codec_put_u64(&w, (uint64_t)join->expires_at);
	codec_put_u32(&w, join->by.kind);
	codec_put_u64(&w, join->by.id);
	codec_put_u32(&w, join->n_hosts);
	codec_put_u32(&w, join->n_keys);
	memcpy(data, w.data, w.len);
	memcpy(data + w.len, join->hosts, len);
	memcpy(data + w.len + len, join->keys, keys);
	return store_put(&state->txn, STORE_JOINS, key, sizeof key, data,
	    w.len + len + keys);
}
