/* Decide on leases: checkout, return, release, expiry (DESIGN 11). */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/grant.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* What a retry must repeat: everything but the id itself, what the application
 * happens to know by now, and how long it is still ready to wait. */
static int
checkout_digest(uint8_t digest[16], struct batch *batch,
    const struct checkout *request)
{
	struct checkout body = *request;
	uint8_t hash[32];

	memset(body.request, 0, sizeof body.request);
	memset(&body.known, 0, sizeof body.known);
	body.wait_s = 0;
	buf_clear(&batch->scratch);
	record_write_msgpack(&batch->scratch, &checkout_record, &body);
	if (batch->scratch.failed)
		return ERR_NOMEM;
	crypto_generichash(hash, sizeof hash, batch->scratch.data,
	    batch->scratch.len, NULL, 0);
	memcpy(digest, hash, 16);
	return 0;
}

static int
emit_grant(struct batch *batch, struct command *command,
    const struct grant *grant)
{
	struct grant_people people;
	int err = grant_find_people(&people, batch, command, grant);

	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_LEASE_GRANTED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_lease_granted *r = &row->u.lease_granted;

	grant_fill(r, batch, command, grant, &people);
	r->ttl_s = grant->license->document.terms.ttl_s;
	r->grace_s = grant->license->document.terms.grace_s;
	command->reply.checkout = (struct checkout_reply){ .lease = r->lease,
		.row_number = row->number };
	grant_fill_seats(&command->seats, grant);
	err = batch_granted(batch, command, batch->place.batch,
	    (uint32_t)batch->n_rows);
	uint64_t lease = r->lease;

	if (err == 0)
		err = batch_emit(batch);
	return err == 0 ? grant_count(batch, command, grant, lease) : err;
}

/* A request seen before: the same answer again, without a row. */
static int
answer_retry(struct batch *batch, struct command *command,
    const struct request *known, const uint8_t digest[16])
{
	struct state_lease lease;

	if (memcmp(known->digest, digest, sizeof known->digest) != 0)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "another checkout was made with this request id");
	if (known->ended)
		return decide_refuse(command, ERR_GONE, "",
		    "lease-%" PRIu64 " was granted for this request and has "
		    "ended",
		    known->lease);
	int err = state_lease(&lease, &batch->state, known->lease);
	uint64_t adopted;

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	/* Its grant stands in no journal; who has it has shown it. */
	if (lease.lease < batch->state.counters.next_lease &&
	    batch->state.counters.adopted > 0 &&
	    state_adopted(&adopted, &batch->state, lease.lease) == 0)
		return decide_refuse(command, ERR_GONE, "",
		    "lease-%" PRIu64 " was granted for this request before "
		    "the journal was put back, and goes on",
		    known->lease);
	command->reply.checkout =
	    (struct checkout_reply){ .lease = known->lease,
		    .row_number = lease.row_number };
	err = grant_find_seats(&command->seats, batch, command, &lease);
	if (err != 0)
		return err;
	return batch_granted(batch, command, lease.batch, lease.index);
}

/* It was good when it asked; since then it may have waited. */
static int
check_key_time(struct batch *batch, struct command *command, uint64_t number)
{
	struct state_key key;
	int err = state_key(&key, &batch->state, number);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return ERR_CORRUPT;
	if (err == 0 && key.expires_at != 0 &&
	    batch->place.time >= key.expires_at)
		return decide_refuse(command, ERR_UNAUTHENTICATED,
		    "ask the tenant's admin for a new one",
		    "key-%" PRIu64 " has expired", number);
	return err;
}

int
decide_device(struct batch *batch, struct command *command)
{
	struct state_device device;
	uint64_t number = command->who.id;
	int err = state_device(&device, &batch->state, number);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_UNKNOWN_DEVICE,
		    "enroll it: leasehold enroll URL --token TOKEN",
		    "the site does not know device-%" PRIu64, number);
	if (err == 0 && device.state == DEVICE_REVOKED)
		return decide_refuse(command, ERR_DEVICE_REVOKED, "",
		    "device-%" PRIu64 " was revoked by an admin", number);
	if (err == 0 && device.state == DEVICE_PENDING)
		return decide_refuse_pending(command, number);
	return err == 0 && device.class_ == PROOF_KEY
	    ? check_key_time(batch, command, number)
	    : err;
}

static int
check_known(struct batch *batch, struct command *command)
{
	const struct journal_known *known =
	    &((const struct checkout *)command->request)->known;

	if (history_is_unknown(known))
		return 0;
	int err = history_judge(&batch->state, known);

	/* It judges by itself what it is shown: a later generation. */
	if (err == ERR_GONE)
		return 0;
	if (err != ERR_ROLLED_BACK)
		return err;
	return decide_refuse(command, ERR_ROLLED_BACK,
	    "tell the site's admin: leasehold audit verify",
	    "you have seen batch %" PRIu64 " of this site's journal, and it "
	    "does not stand there now",
	    known->batch);
}

int
decide_checkout(struct batch *batch, struct command *command)
{
	struct grant grant = { .request = command->request };
	struct requests *requests = batch->ledger->requests;
	struct request known;
	int err = decide_device(batch, command);

	if (err == 0 && command->err == 0)
		err = decide_owes_nothing(batch, command);

	if (err != 0 || command->err != 0)
		return err;
	grant.count = grant.request->count > 0 ? grant.request->count : 1;
	err = check_known(batch, command);
	if (err != 0 || command->err != 0)
		return err;
	err = checkout_digest(grant.digest, batch, grant.request);
	if (err != 0)
		return err;
	if (requests_find(&known, requests, command->who.id,
		grant.request->request))
		return answer_retry(batch, command, &known, grant.digest);
	err = grant_find_license(&grant, batch, command);
	if (err == 0 && command->err == 0)
		err =
		    grant_check_class(batch, command, &grant.license->document);
	if (err != 0 || command->err != 0)
		return err;
	if (requests_device_count(requests, command->who.id) >=
	    LEDGER_DEVICE_LEASES_MAX)
		return decide_refuse(command, ERR_MAX_REACHED, "",
		    "device-%" PRIu64 " holds %d leases, the most one may",
		    command->who.id, LEDGER_DEVICE_LEASES_MAX);
	err = grant_choose_slots(&grant, batch, command);
	if (err != 0 || command->err != 0)
		return err;
	return emit_grant(batch, command, &grant);
}

/* --- ends -------------------------------------------------------------- */

int
decide_end(struct batch *batch, const struct state_lease *lease,
    enum lease_end reason, int64_t deadline, const struct principal *who)
{
	struct row *row = batch_row(batch, ROW_LEASE_ENDED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.lease_ended = (struct row_lease_ended){
		.lease = lease->lease,
		.license = lease->license,
		.count = lease->count,
		.reason = reason,
		.deadline = deadline > 0 ? deadline : 0,
		.by = decide_actor(who),
	};
	return batch_emit(batch);
}

/* A lease that is held, or a refusal that says why not. */
static int
find_lease(struct state_lease *lease, struct batch *batch,
    struct command *command, uint64_t number)
{
	int err = state_lease(lease, &batch->state, number);

	if (err == 0 && lease_is_borrow(lease))
		return decide_refuse(command, ERR_CONFLICT,
		    "leasehold borrow list shows it; leasehold borrow "
		    "write-off "
		    "gives it up",
		    "lease-%" PRIu64 " is borrowed: it comes back when its "
		    "device proves so",
		    number);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (number == 0 || number >= batch->state.counters.next_lease)
		return decide_refuse(command, ERR_NOT_FOUND, "",
		    "there is no lease-%" PRIu64, number);
	return decide_refuse(command, ERR_GONE, "",
	    "lease-%" PRIu64 " has ended", number);
}

static int
end_found(struct batch *batch, struct command *command,
    const struct state_lease *lease, enum lease_end reason, int64_t deadline)
{
	command->reply.ended =
	    (struct lease_ended){ .lease = lease->lease, .reason = reason };
	return decide_end(batch, lease, reason, deadline, &command->who);
}

/* The holder of a lease that was granted while the command waited was told
 * about it by nobody. */
int64_t
decide_held_until(const struct command *command, struct batch *batch,
    const struct state_lease *lease)
{
	/* Those come with numbers of before. */
	uint64_t row_number;
	bool adopted = batch->state.counters.adopted > 0 &&
	    state_adopted(&row_number, &batch->state, lease->lease) == 0;

	int64_t until = lease->granted_at +
	    ((int64_t)lease->ttl_s + (int64_t)lease->grace_s) * 1000 +
	    LEDGER_SKEW_MS;

	if (command->unseen_from == 0 ||
	    (lease->lease < command->unseen_from && !adopted))
		return command->held_until;
	return until > command->held_until ? until : command->held_until;
}

int
decide_return(struct batch *batch, struct command *command)
{
	const struct lease_return *request = command->request;
	struct state_lease lease;

	if (request->reason != LEASE_RETURNED &&
	    request->reason != LEASE_EXITED)
		return decide_refuse(command, ERR_BAD_REQUEST, "",
		    "a lease is given back as returned or exited");
	int err = find_lease(&lease, batch, command, request->lease);

	if (err != 0 || command->err != 0)
		return err;
	/* Somebody else's is as unknown as none: nothing is told about it. */
	if (lease.device != command->who.id)
		return decide_refuse(command, ERR_NOT_FOUND, "",
		    "device-%" PRIu64 " holds no lease-%" PRIu64,
		    command->who.id, request->lease);
	/* The number was given again after the journal was put back. */
	if (!sodium_is_zero(request->request, sizeof request->request) &&
	    memcmp(request->request, lease.request, sizeof lease.request) != 0)
		return decide_refuse(command, ERR_GONE, "",
		    "lease-%" PRIu64 " is another one than that which was "
		    "granted for this request",
		    request->lease);
	/* Seats of some stay taken for a while: a fact of this row. */
	uint32_t linger_s = policy_linger_s(batch->ledger->policy, lease.lease);

	return end_found(batch, command, &lease, request->reason,
	    linger_s == 0 ? 0 : batch->place.time + linger_s * INT64_C(1000));
}

/* By somebody who is not its holder. */
static int
take_back(struct batch *batch, struct command *command, enum lease_end reason)
{
	const struct lease_ref *request = command->request;
	struct state_lease lease;
	int err = find_lease(&lease, batch, command, request->lease);

	if (err != 0 || command->err != 0)
		return err;
	return end_found(batch, command, &lease, reason,
	    decide_held_until(command, batch, &lease));
}

int
decide_release(struct batch *batch, struct command *command)
{
	return take_back(batch, command, LEASE_RELEASED);
}

int
decide_idle(struct batch *batch, struct command *command)
{
	return take_back(batch, command, LEASE_IDLE);
}

int
decide_expire(struct batch *batch, struct command *command)
{
	const struct ledger_expire *request = command->request;
	struct state_lease lease;

	if (request->deadline > batch->place.time)
		return decide_refuse(command, ERR_CONFLICT, "",
		    "the deadline of lease-%" PRIu64 " has not passed",
		    request->lease);
	int err = find_lease(&lease, batch, command, request->lease);

	if (err != 0 || command->err != 0)
		return err;
	return end_found(batch, command, &lease, LEASE_EXPIRED,
	    request->deadline);
}
