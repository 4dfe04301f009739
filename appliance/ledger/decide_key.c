/* Decide on API keys: made, restricted, rotated, refused. Their revocation is
 * that of a device. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_key.h"
#include "appliance/ledger/limits.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)
#define HOUR_MS ((int64_t)60 * 60 * 1000)

/* Made by the process alone, which has checked the request that they are of. */
const struct record ledger_key_create_record = {
	.name = "ledger_key_create",
	.version = 1,
	.size = sizeof(struct ledger_key_create),
};
const struct record ledger_key_change_record = {
	.name = "ledger_key_change",
	.version = 1,
	.size = sizeof(struct ledger_key_change),
};
const struct record ledger_key_rotate_record = {
	.name = "ledger_key_rotate",
	.version = 1,
	.size = sizeof(struct ledger_key_rotate),
};
const struct record ledger_key_denied_record = {
	.name = "ledger_key_denied",
	.version = 1,
	.size = sizeof(struct ledger_key_denied),
};

_Static_assert(SUBJECT_ENTROPY + SEALED_ENTROPY <= LEDGER_ENTROPY,
    "a new key's name and document have random bytes of their own");
_Static_assert(3 * SUBJECT_ENTROPY <= LEDGER_ENTROPY,
    "a refusal's address, host and user have random bytes of their own");

static int64_t
end_of(const struct batch *batch, uint32_t days)
{
	return days == 0 ? 0 : batch->place.time + days * DAY_MS;
}

int
decide_key_create(struct batch *batch, struct command *command)
{
	const struct ledger_key_create *request = command->request;
	uint8_t name[SUBJECT_BYTES], id[SEALED_ID_BYTES], commitment[32];
	uint64_t number = batch->state.counters.next_device;
	int err = decide_limit(batch, command, LIMIT_KEYS);

	if (err != 0 || command->err != 0)
		return err;
	err = decide_subject(name, batch, SUBJECT_DEVICE, request->name,
	    command->entropy);
	if (err == 0)
		err = sealed_put(id, commitment, &batch->state,
		    batch->ledger->sealed, SEALED_KEY, request->document.data,
		    request->document.len, command->entropy + SUBJECT_ENTROPY);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_KEY_CREATED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_key_created *r = &row->u.key_created;

	r->device = number;
	memcpy(r->hash, request->hash, sizeof r->hash);
	memcpy(r->name, name, sizeof r->name);
	key_scopes_write(r->scopes, request->scopes);
	r->app_type = request->app_type;
	r->expires_at = end_of(batch, request->expires_in_days);
	memcpy(r->document, id, sizeof r->document);
	memcpy(r->commitment, commitment, sizeof r->commitment);
	r->by = decide_actor(&command->who);
	command->reply.key = (struct ledger_key_made){
		.device = number,
		.at = batch->place.time,
		.expires_at = r->expires_at,
	};
	return batch_emit(batch);
}

/* One that can still be changed; refuses it otherwise. */
static int
find_key(struct state_key *key, struct batch *batch, struct command *command,
    uint64_t number)
{
	struct state_device device;
	int err = state_key(key, &batch->state, number);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "key_id", ERR_NOT_FOUND,
		    "see what there is: leasehold key list",
		    "there is no key-%" PRIu64, number);
	if (err == 0)
		err = state_device(&device, &batch->state, number);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (device.state == DEVICE_REVOKED)
		return decide_refuse_field(command, "key_id", ERR_GONE,
		    "make a new one: leasehold key create",
		    "key-%" PRIu64 " was revoked", number);
	return 0;
}

int
decide_key_change(struct batch *batch, struct command *command)
{
	const struct ledger_key_change *request = command->request;
	uint8_t id[SEALED_ID_BYTES], commitment[32];
	struct state_key key;
	int err = find_key(&key, batch, command, request->device);

	if (err != 0 || command->err != 0)
		return err;
	if (memcmp(key.document, request->before, sizeof key.document) != 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "somebody else changed key-%" PRIu64
		    " at the same moment; look at it and try again",
		    request->device);
	err = sealed_put(id, commitment, &batch->state, batch->ledger->sealed,
	    SEALED_KEY, request->document.data, request->document.len,
	    command->entropy);
	if (err != 0)
		return err;
	/* An erased one is not there any more. */
	err = sealed_delete(&batch->state, key.document);
	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	struct row *row = batch_row(batch, ROW_KEY_CHANGED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.key_changed.device = request->device;
	memcpy(row->u.key_changed.document, id, sizeof id);
	memcpy(row->u.key_changed.commitment, commitment, sizeof commitment);
	row->u.key_changed.by = decide_actor(&command->who);
	command->reply.key = (struct ledger_key_made){
		.device = request->device,
		.at = batch->place.time,
		.expires_at = key.expires_at,
	};
	return batch_emit(batch);
}

int
decide_key_rotate(struct batch *batch, struct command *command)
{
	const struct ledger_key_rotate *request = command->request;
	struct state_key key;
	int err = find_key(&key, batch, command, request->device);

	if (err != 0 || command->err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_KEY_ROTATED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_key_rotated *r = &row->u.key_rotated;
	int64_t until = request->overlap_hours == 0
	    ? 0
	    : batch->place.time + request->overlap_hours * HOUR_MS;

	/* The old secret never outlives what it was given. */
	if (key.expires_at != 0 && until > key.expires_at)
		until = key.expires_at;
	r->device = request->device;
	memcpy(r->hash, request->hash, sizeof r->hash);
	r->previous_until = until;
	r->expires_at = request->expires_in_days != 0
	    ? end_of(batch, request->expires_in_days)
	    : key.expires_at;
	r->by = decide_actor(&command->who);
	command->reply.key = (struct ledger_key_made){
		.device = request->device,
		.at = batch->place.time,
		.expires_at = r->expires_at,
		.previous_until = until,
	};
	return batch_emit(batch);
}

int
decide_key_denied(struct batch *batch, struct command *command)
{
	const struct ledger_key_denied *request = command->request;
	uint8_t address[SUBJECT_BYTES], host[SUBJECT_BYTES],
	    user[SUBJECT_BYTES];
	int err = decide_subject(address, batch, SUBJECT_ADDRESS,
	    request->address, command->entropy);

	if (err == 0)
		err = decide_subject(host, batch, SUBJECT_HOST, request->host,
		    command->entropy + SUBJECT_ENTROPY);
	if (err == 0)
		err = decide_subject(user, batch, SUBJECT_USER, request->user,
		    command->entropy + 2 * (size_t)SUBJECT_ENTROPY);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_KEY_DENIED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_key_denied *r = &row->u.key_denied;

	r->denied = request->denied;
	memcpy(r->address, address, sizeof r->address);
	memcpy(r->host, host, sizeof r->host);
	memcpy(r->user, user, sizeof r->user);
	memcpy(r->fingerprint, request->fingerprint, sizeof r->fingerprint);
	return batch_emit(batch);
}
