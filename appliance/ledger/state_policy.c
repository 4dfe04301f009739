/* Versions of the policy as stored values; see state.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/state.h"

#include <string.h>

static int
policy_read(struct state_policy *out, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);

	memset(out, 0, sizeof *out);
	out->at = (int64_t)codec_get_u64(&r);
	codec_get_bytes(out->commitment, &r, sizeof out->commitment);
	out->rules = codec_get_u32(&r);
	out->groups = codec_get_u32(&r);
	out->members = codec_get_u32(&r);
	out->by.kind = codec_get_u32(&r);
	out->by.id = codec_get_u64(&r);
	if (key->len == 8)
		out->version = be64_read(key->data);
	else
		r.failed = true;
	return codec_end(&r, "policy");
}

int
state_policy(struct state_policy *out, const struct state *state,
    uint64_t version)
{
	uint8_t key[8];
	struct record_span value;

	be64_write(key, version);
	int err =
	    store_get(&value, &state->txn, STORE_POLICIES, key, sizeof key);

	return err == 0
	    ? policy_read(out, &(struct record_span){ key, 8 }, &value)
	    : err;
}

int
state_policy_newest(struct state_policy *out, const struct state *state)
{
	struct record_span key, value;
	int err = store_last(&key, &value, &state->txn, STORE_POLICIES);

	memset(out, 0, sizeof *out);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	return err == 0 ? policy_read(out, &key, &value) : err;
}

int
state_policy_put(struct state *state, const struct state_policy *policy)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[8];

	be64_write(key, policy->version);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, (uint64_t)policy->at);
	codec_put_bytes(&w, policy->commitment, sizeof policy->commitment);
	codec_put_u32(&w, policy->rules);
	codec_put_u32(&w, policy->groups);
	codec_put_u32(&w, policy->members);
	codec_put_u32(&w, policy->by.kind);
	codec_put_u64(&w, policy->by.id);
	return store_put(&state->txn, STORE_POLICIES, key, sizeof key, w.data,
	    w.len);
}
