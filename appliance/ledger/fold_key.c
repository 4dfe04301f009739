#include "appliance/ledger/fold_key.h"

#include "appliance/ledger/borrow.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

/* The device that a key is: what it shows of itself is the hash that it was
 * made with, and no token brought it in. */
static int
put_device(struct state *state, const struct row_key_created *r, int64_t time)
{
	struct state_device device = {
		.device = r->device,
		.class_ = PROOF_KEY,
		.state = DEVICE_APPROVED,
		.enrolled_at = time,
		.public_key_len = sizeof r->hash,
	};

	memcpy(device.name, r->name, sizeof device.name);
	memcpy(device.public_key, r->hash, sizeof r->hash);
	int err = state_device_put(state, &device);

	return err != 0
	    ? err
	    : state_device_key_put(state, r->device, r->hash, sizeof r->hash);
}

/* Whose secret it is: of a key that a key made, or turned, who answers for that
 * one. So it is never a key, and nobody gains rank by a row of keys. */
static int
find_holder(struct row_actor *out, const struct state *state,
    const struct row_actor *by)
{
	struct state_key key;

	*out = *by;
	if (by->kind != ACTOR_KEY)
		return 0;
	int err = state_key(&key, state, by->id);

	if (err == 0)
		*out = key.by;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
fold_key_created(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_key_created *r = &row->u.key_created;
	struct state_key key = {
		.device = r->device,
		.created_at = place->time,
		.expires_at = r->expires_at,
		.app_type = r->app_type,
	};

	if (r->device != state->counters.next_device)
		return fold_contradicted(row, "device numbers have a gap");
	state->counters.next_device++;
	memcpy(key.hash, r->hash, sizeof key.hash);
	memcpy(key.scopes, r->scopes, sizeof key.scopes);
	memcpy(key.document, r->document, sizeof key.document);
	memcpy(key.commitment, r->commitment, sizeof key.commitment);
	int err = find_holder(&key.by, state, &r->by);

	if (err == 0)
		err = put_device(state, r, place->time);
	if (err == 0)
		err = state_key_put(state, &key);
	return err == 0 ? state_key_hash_put(state, r->hash, r->device) : err;
}

static int
find_key(struct state_key *key, const struct state *state,
    const struct row *row, uint64_t device)
{
	int err = state_key(key, state, device);

	return err == ERR_NOT_FOUND_INTERNAL
	    ? fold_contradicted(row, "there is no such key")
	    : err;
}

int
fold_key_changed(struct state *state, const struct row *row)
{
	const struct row_key_changed *r = &row->u.key_changed;
	struct state_key key;
	int err = find_key(&key, state, row, r->device);

	if (err != 0)
		return err;
	memcpy(key.document, r->document, sizeof key.document);
	memcpy(key.commitment, r->commitment, sizeof key.commitment);
	return state_key_put(state, &key);
}

int
fold_key_rotated(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_key_rotated *r = &row->u.key_rotated;
	struct state_key key;
	int err = find_key(&key, state, row, r->device);

	if (err != 0)
		return err;
	/* Two secrets at most: one that was on its way out ends here. */
	if (!sodium_is_zero(key.previous, sizeof key.previous))
		err = state_key_hash_delete(state, key.previous);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL
		    ? fold_contradicted(row, "its old hash leads nowhere")
		    : err;
	memcpy(key.previous, key.hash, sizeof key.previous);
	memcpy(key.hash, r->hash, sizeof key.hash);
	key.previous_until = r->previous_until;
	key.rotated_at = place->time;
	key.expires_at = r->expires_at;
	err = find_holder(&key.by, state, &r->by);
	if (err == 0)
		err = state_key_put(state, &key);
	return err == 0 ? state_key_hash_put(state, r->hash, r->device) : err;
}
