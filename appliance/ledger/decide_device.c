/* Decide on devices: join tokens, enrolment, revocation (DESIGN 9). */
#include "appliance/ledger/core.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

/* --- join.create ------------------------------------------------------- */

static int
sign_join(struct command *command, const struct batch *batch,
    const struct license_join *join)
{
	struct buf token = { .len = 0 };
	int err = license_document_sign(&token, &license_join_record, join,
	    TOKEN_JOIN, batch->ledger->site_secret);
	void *copy = NULL;

	if (err == 0)
		copy = arena_copy(&command->arena, token.data, token.len);
	if (err == 0 && copy == NULL)
		err = ERR_NOMEM;
	if (err == 0)
		command->reply.join = (struct join_created){
			.join = { copy, (uint32_t)token.len },
			.expires_at = join->expires_at,
		};
	buf_release(&token);
	return err;
}

int
decide_join(struct batch *batch, struct command *command)
{
	const struct join_create *request = command->request;
	const struct ledger *ledger = batch->ledger;
	struct license_join join = {
		.uses = request->uses != 0 ? request->uses : 1,
		.class_ = request->class_,
		.hosts = request->hosts,
	};
	uint32_t valid_s = request->valid_s != 0 ? request->valid_s : 3600;

	join.expires_at = batch->place.time + (int64_t)valid_s * 1000;
	memcpy(join.site, ledger->site, sizeof join.site);
	memcpy(join.tenant, ledger->tenant, sizeof join.tenant);
	memcpy(join.join, command->entropy, sizeof join.join);
	memcpy(join.ca_sha256, ledger->ca_sha256, sizeof join.ca_sha256);

	int err = sign_join(command, batch, &join);

	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_JOIN_CREATED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_join_created *r = &row->u.join_created;

	memcpy(r->join, join.join, sizeof r->join);
	r->uses = join.uses;
	r->expires_at = join.expires_at;
	r->class_ = join.class_;
	r->by = decide_actor(&command->who);
	return batch_emit(batch);
}

/* --- device.enroll ----------------------------------------------------- */

static const char ask_admin[] =
    "ask an admin for a new token: leasehold join create";

static bool
host_matches(const struct license_join *join, const char *host)
{
	const struct license_host_pattern *patterns = join->hosts.items;

	for (uint32_t i = 0; i < join->hosts.count; i++) {
		if (fnmatch(patterns[i].pattern, host, FNM_CASEFOLD) == 0)
			return true;
	}
	return join->hosts.count == 0;
}

/* What the token alone says about it. */
static int
check_token(struct batch *batch, struct command *command,
    const struct license_join *join)
{
	const struct enroll *request = command->request;
	const struct ledger *ledger = batch->ledger;

	if (strcmp(join->site, ledger->site) != 0 ||
	    strcmp(join->tenant, ledger->tenant) != 0)
		return decide_refuse(command, ERR_FORBIDDEN, ask_admin,
		    "the token is for site %s, tenant %s", join->site,
		    join->tenant);
	if (batch->place.time >= join->expires_at) {
		char text[CLOCK_TEXT_SIZE];

		clock_format(text, join->expires_at);
		return decide_refuse(command, ERR_GONE, ask_admin,
		    "the token was good until %s", text);
	}
	if (request->class_ != join->class_)
		return decide_refuse(command, ERR_CLASS_NOT_ALLOWED, "",
		    "the token is for devices of class %s, this one is %s",
		    proof_class_names[join->class_],
		    proof_class_names[request->class_]);
	if (!host_matches(join, request->host))
		return decide_refuse(command, ERR_HOSTNAME_NOT_ALLOWED, "",
		    "the token does not allow host \"%s\"", request->host);
	return 0;
}

/* The same key keeps its number and its class. `again` is set when the very
 * same token brought it in before: a retry, which uses nothing up. */
static int
check_same_key(uint64_t *number, bool *again, struct batch *batch,
    struct command *command, const struct license_join *join)
{
	const struct enroll *request = command->request;
	struct state_device device;
	int err = state_device_by_key(number, &batch->state,
	    request->public_key.data, request->public_key.len);

	*again = false;
	if (err == ERR_NOT_FOUND_INTERNAL) {
		*number = batch->state.counters.next_device;
		return 0;
	}
	if (err == 0)
		err = state_device(&device, &batch->state, *number);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (device.revoked)
		return decide_refuse(command, ERR_DEVICE_REVOKED,
		    "give the device a new key, then enroll it again",
		    "device-%" PRIu64 " has this key and was revoked", *number);
	if (device.class_ != request->class_)
		return decide_refuse(command, ERR_CLASS_NOT_ALLOWED, "",
		    "device-%" PRIu64 " has this key and is of class %s",
		    *number, proof_class_names[device.class_]);
	*again = memcmp(device.join, join->join, sizeof device.join) == 0;
	return 0;
}

static int
check_uses(struct batch *batch, struct command *command,
    const struct license_join *join)
{
	struct state_join state;
	int err = state_join(&state, &batch->state, join->join);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_NOT_FOUND, ask_admin,
		    "the token stands in no journal of this site");
	if (err == 0 && state.used >= state.uses)
		return decide_refuse(command, ERR_GONE, ask_admin,
		    "the token was good for %u and is used up", state.uses);
	return err;
}

static int
emit_enrolled(struct batch *batch, struct command *command, uint64_t number,
    const struct license_join *join)
{
	const struct enroll *request = command->request;
	uint8_t name[SUBJECT_BYTES], host[SUBJECT_BYTES];
	int err = decide_subject(name, batch, SUBJECT_DEVICE, request->name,
	    command->entropy);

	if (err == 0)
		err = decide_subject(host, batch, SUBJECT_HOST, request->host,
		    command->entropy + SUBJECT_ENTROPY);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_DEVICE_ENROLLED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_device_enrolled *r = &row->u.device_enrolled;

	r->device = number;
	r->class_ = request->class_;
	r->public_key = request->public_key;
	memcpy(r->name, name, sizeof r->name);
	memcpy(r->host, host, sizeof r->host);
	memcpy(r->join, join->join, sizeof r->join);
	return batch_emit(batch);
}

static void
fill_enrolled(struct enroll_reply *reply, const struct ledger *ledger,
    uint64_t device)
{
	*reply = (struct enroll_reply){ .device = device };
	memcpy(reply->site, ledger->site, sizeof reply->site);
	memcpy(reply->tenant, ledger->tenant, sizeof reply->tenant);
	memcpy(reply->site_key, ledger->site_public, sizeof reply->site_key);
}

int
decide_enroll(struct batch *batch, struct command *command)
{
	const struct enroll *request = command->request;
	struct record_error error = { .reason = "" };
	struct license_join join;
	uint64_t number = 0;
	bool again = false;
	int err = license_document_read(&join, &license_join_record, TOKEN_JOIN,
	    request->join.data, request->join.len, batch->ledger->site_public,
	    &command->arena, &error);

	if (err == ERR_NOMEM)
		return err;
	if (err != 0)
		return decide_refuse(command, ERR_BAD_PROOF, ask_admin,
		    "this is no enrolment token of this site");
	err = check_token(batch, command, &join);
	if (err == 0 && command->err == 0)
		err = check_same_key(&number, &again, batch, command, &join);
	if (err != 0 || command->err != 0)
		return err;
	fill_enrolled(&command->reply.enroll, batch->ledger, number);
	if (again)
		return 0;
	err = check_uses(batch, command, &join);
	if (err != 0 || command->err != 0)
		return err;
	return emit_enrolled(batch, command, number, &join);
}

/* --- device.revoke ----------------------------------------------------- */

static int
end_leases(struct batch *batch, struct command *command, uint64_t device)
{
	struct requests *requests = batch->ledger->requests;
	size_t n = requests_device_count(requests, device);
	uint64_t *leases =
	    arena_alloc(&command->arena, (n + 1) * sizeof *leases);
	int err = 0;

	if (leases == NULL)
		return ERR_NOMEM;
	n = requests_device(leases, n, requests, device, 0);
	for (size_t i = 0; i < n && err == 0; i++) {
		struct state_lease lease;

		err = state_lease(&lease, &batch->state, leases[i]);
		if (err == 0)
			err = decide_end(batch, &lease, LEASE_REVOKED,
			    decide_held_until(command, &lease), &command->who);
	}
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
decide_revoke(struct batch *batch, struct command *command)
{
	const struct device_number *request = command->request;
	struct state_device device;
	int err = state_device(&device, &batch->state, request->device);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_NOT_FOUND, "",
		    "there is no device-%" PRIu64, request->device);
	if (err != 0)
		return err;
	command->reply.device = *request;
	if (device.revoked)
		return 0; /* it is as asked for */
	struct row *row = batch_row(batch, ROW_DEVICE_REVOKED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.device_revoked.device = request->device;
	row->u.device_revoked.by = decide_actor(&command->who);
	err = batch_emit(batch);
	return err == 0 ? end_leases(batch, command, request->device) : err;
}
