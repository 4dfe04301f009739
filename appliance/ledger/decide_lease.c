/* Decide on leases: checkout, return, release, expiry (DESIGN 11). */
#include "appliance/ledger/core.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"
#include "shared/base/version.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* A checkout on its way to its row. */
struct grant {
	const struct checkout *request;
	uint8_t digest[16];
	const struct state_license *license; /* `room` until it is found */
	struct state_license room;
	struct state_usage usage;
	uint32_t slot;
};

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
refuse_seats(struct command *command, const struct grant *grant)
{
	const struct license *terms = &grant->license->document;
	const struct license_entitlement *e = &terms->entitlement;
	int err = e->max_overage == 0 ? ERR_NO_SEATS : ERR_OVERAGE_EXHAUSTED;
	char hint[192], released[64] = "";

	snprintf(hint, sizeof hint,
	    "see who holds them: leasehold leases --product %s",
	    terms->product.id);
	if (grant->usage.lingering > 0)
		snprintf(released, sizeof released,
		    ", %u released but not yet free", grant->usage.lingering);
	if (e->max_overage == 0)
		return decide_refuse(command, err, hint,
		    e->total_licenses == 1 ? "the %u seat of %s is taken%s"
					   : "all %u seats of %s are taken%s",
		    e->total_licenses, terms->product.id, released);
	return decide_refuse(command, err, hint,
	    "all %u seats of %s are taken (%u commit, %u overage%s)",
	    e->total_licenses, terms->product.id, grant->usage.commit,
	    grant->usage.overage, released);
}

/* The lowest free slot says what it is: below commit_qty commit, else overage.
 * Both bounds hold at once also when a renewal changed the quantities while
 * leases were held. */
static int
choose_slot(struct grant *grant, struct batch *batch, struct command *command)
{
	const struct state_license *license = grant->license;
	const struct license_entitlement *e = &license->document.entitlement;
	uint64_t held;
	int err = state_usage(&grant->usage, &batch->state, license->license);

	if (err != 0)
		return err;
	held = (uint64_t)grant->usage.commit + grant->usage.overage +
	    grant->usage.lingering + command->reserved;
	if (held >= e->total_licenses)
		return refuse_seats(command, grant);
	err = slots_lowest_free(&grant->slot, &batch->state, license->license,
	    e->total_licenses);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return refuse_seats(command, grant);
	if (err != 0)
		return err;
	if (grant->slot >= e->commit_qty &&
	    grant->usage.overage >= e->max_overage)
		return refuse_seats(command, grant);
	return 0;
}

/* Is there a license, and does it grant this today? */
static int
find_license(struct grant *grant, struct batch *batch, struct command *command)
{
	const struct checkout *request = grant->request;
	struct record_error error = { .reason = "" };
	uint64_t number;
	int err = state_product(&number, &batch->state, request->product);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_NOT_ENTITLED,
		    "ask the site's admin; leasehold license list shows what "
		    "is installed",
		    "no license for %s is installed at this site",
		    request->product);
	if (err == 0)
		err = state_license(&grant->license, &batch->state, number,
		    &grant->room);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	const struct license *terms = &grant->license->document;

	command->license = number;
	if (license_check_dates(terms, batch->place.time, &error) != 0)
		return decide_refuse(command, ERR_LICENSE_EXPIRED,
		    "ask the vendor for a renewal, then: leasehold license "
		    "install FILE",
		    "license %s for %s: %s", terms->license_id,
		    request->product, error.reason);
	struct version version;
	char hint[192];

	snprintf(hint, sizeof hint, "the license covers versions %s",
	    terms->product.version);
	if (version_parse(&version, request->version) != 0)
		return decide_refuse(command, ERR_BAD_REQUEST, hint,
		    "%s is no version", request->version);
	if (!version_in_range(request->version, terms->product.version))
		return decide_refuse(command, ERR_VERSION_NOT_COVERED, hint,
		    "license %s does not cover %s %s", terms->license_id,
		    request->product, request->version);
	if (request->feature[0] != '\0')
		return decide_refuse(command, ERR_NOT_ENTITLED, "",
		    "license %s for %s has no feature %s", terms->license_id,
		    request->product, request->feature);
	return 0;
}

static int
emit_grant(struct batch *batch, struct command *command,
    const struct grant *grant)
{
	const struct checkout *request = grant->request;
	const struct state_license *license = grant->license;
	const struct license *terms = &license->document;
	bool overage = grant->slot >= terms->entitlement.commit_qty;
	uint8_t user[SUBJECT_BYTES], host[SUBJECT_BYTES];
	int err = decide_subject(user, batch, SUBJECT_USER, request->user,
	    command->entropy);

	if (err == 0)
		err = decide_subject(host, batch, SUBJECT_HOST, request->host,
		    command->entropy + SUBJECT_ENTROPY);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_LEASE_GRANTED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_lease_granted *r = &row->u.lease_granted;

	r->lease = batch->state.counters.next_lease;
	r->license = license->license;
	memcpy(r->license_digest, license->digest, sizeof r->license_digest);
	r->device = command->who.id;
	r->slot = grant->slot;
	r->type = overage ? SEAT_OVERAGE : SEAT_COMMIT;
	r->overage = overage ? grant->usage.overage_checkouts + 1 : 0;
	r->count = 1;
	memcpy(r->nonce, request->nonce, sizeof r->nonce);
	memcpy(r->request, request->request, sizeof r->request);
	memcpy(r->request_digest, grant->digest, sizeof r->request_digest);
	memcpy(r->product, terms->product.id, sizeof r->product);
	memcpy(r->version, request->version, sizeof r->version);
	memcpy(r->user, user, sizeof r->user);
	memcpy(r->host, host, sizeof r->host);
	memcpy(r->application, request->application, sizeof r->application);
	r->ttl_s = terms->terms.ttl_s;
	r->grace_s = terms->terms.grace_s;
	command->reply.checkout = (struct checkout_reply){ .lease = r->lease,
		.row_number = row->number };
	err = batch_granted(batch, command, batch->place.batch,
	    (uint32_t)batch->n_rows);
	return err == 0 ? batch_emit(batch) : err;
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

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	command->reply.checkout =
	    (struct checkout_reply){ .lease = known->lease,
		    .row_number = lease.row_number };
	return batch_granted(batch, command, lease.batch, lease.index);
}

static int
check_device(struct batch *batch, struct command *command)
{
	struct state_device device;
	uint64_t number = command->who.id;
	int err = state_device(&device, &batch->state, number);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_UNKNOWN_DEVICE,
		    "enroll it: leasehold enroll URL --token TOKEN",
		    "the site does not know device-%" PRIu64, number);
	if (err == 0 && device.revoked)
		return decide_refuse(command, ERR_DEVICE_REVOKED, "",
		    "device-%" PRIu64 " was revoked by an admin", number);
	return err;
}

static int
check_known(struct batch *batch, struct command *command)
{
	const struct journal_known *known =
	    &((const struct checkout *)command->request)->known;

	if (history_is_unknown(known))
		return 0;
	int err = history_holds(&batch->state, known);

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
	int err = check_device(batch, command);

	grant.license = &grant.room;
	if (err != 0 || command->err != 0)
		return err;
	if (grant.request->count > 1)
		return decide_refuse(command, ERR_BAD_REQUEST, "",
		    "one checkout takes one seat; count must be 1");
	err = check_known(batch, command);
	if (err != 0 || command->err != 0)
		return err;
	err = checkout_digest(grant.digest, batch, grant.request);
	if (err != 0)
		return err;
	if (requests_find(&known, requests, command->who.id,
		grant.request->request))
		return answer_retry(batch, command, &known, grant.digest);
	err = find_license(&grant, batch, command);
	if (err != 0 || command->err != 0)
		return err;
	if (requests_device_count(requests, command->who.id) >=
	    LEDGER_DEVICE_LEASES_MAX)
		return decide_refuse(command, ERR_MAX_REACHED, "",
		    "device-%" PRIu64 " holds %d leases, the most one may",
		    command->who.id, LEDGER_DEVICE_LEASES_MAX);
	err = choose_slot(&grant, batch, command);
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
		.slot = lease->slot,
		.type = lease->type,
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
decide_held_until(const struct command *command,
    const struct state_lease *lease)
{
	int64_t until = lease->granted_at +
	    ((int64_t)lease->ttl_s + (int64_t)lease->grace_s) * 1000 +
	    LEDGER_SKEW_MS;

	if (command->unseen_from == 0 || lease->lease < command->unseen_from)
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
	return end_found(batch, command, &lease, request->reason, 0);
}

int
decide_release(struct batch *batch, struct command *command)
{
	const struct lease_ref *request = command->request;
	struct state_lease lease;
	int err = find_lease(&lease, batch, command, request->lease);

	if (err != 0 || command->err != 0)
		return err;
	return end_found(batch, command, &lease, LEASE_RELEASED,
	    decide_held_until(command, &lease));
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
