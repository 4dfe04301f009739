/* The tenant itself as its journal has it: one value beside the counters, and
 * what follows from its row. See limits.h. */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/codec.h"
#include "appliance/ledger/limits.h"

#include "shared/base/err.h"

static const uint8_t tenant_key[1] = { 1 };

int
state_tenant(struct state_tenant *out, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_COUNTERS, tenant_key,
	    sizeof tenant_key);

	*out = (struct state_tenant){ .revision = 0 };
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	out->revision = codec_get_u64(&r);
	out->row_number = codec_get_u64(&r);
	out->suspended = codec_get_u8(&r) != 0;
	out->limits.calls_per_day = codec_get_u64(&r);
	out->limits.storage_mb = codec_get_u64(&r);
	out->limits.bandwidth_gb = codec_get_u64(&r);
	out->limits.users = codec_get_u32(&r);
	out->limits.devices = codec_get_u32(&r);
	out->limits.keys = codec_get_u32(&r);
	return codec_end(&r, "tenant");
}

int
fold_tenant_changed(struct state *state, const struct row *row)
{
	const struct row_tenant_changed *r = &row->u.tenant_changed;
	struct codec_writer w = { .len = 0 };
	struct state_tenant before;
	int err = state_tenant(&before, state);

	if (err != 0)
		return err;
	if (r->revision <= before.revision)
		return fold_contradicted(row, "a later one came before it");
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, r->revision);
	codec_put_u64(&w, row->number);
	codec_put_u8(&w, r->suspended);
	codec_put_u64(&w, r->limits.calls_per_day);
	codec_put_u64(&w, r->limits.storage_mb);
	codec_put_u64(&w, r->limits.bandwidth_gb);
	codec_put_u32(&w, r->limits.users);
	codec_put_u32(&w, r->limits.devices);
	codec_put_u32(&w, r->limits.keys);
	return store_put(&state->txn, STORE_COUNTERS, tenant_key,
	    sizeof tenant_key, w.data, w.len);
}
