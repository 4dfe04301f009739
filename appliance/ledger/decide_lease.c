/* Decide on leases: checkout, return, release, expiry (DESIGN 11). */
#include "appliance/ledger/core.h"
#include "appliance/ledger/pools.h"
#include "appliance/ledger/slots.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/version.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* A checkout on its way to its row. */
struct grant {
	const struct checkout *request;
	uint8_t digest[16];
	uint32_t count; /* seats wanted, at least 1 */
	const struct state_license *license;
	struct pool_id id; /* of the seats it draws from */
	struct state_pool pool;
	uint64_t overage_checkouts; /* of the license, so far */
	struct row_slots *slots; /* in the command's arena */
	uint32_t n_slots;
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

/* "davinci" or "autosar of davinci": what the seats are of. */
static void
name_pool(char out[160], const struct checkout *request)
{
	snprintf(out, 160, "%s%s%s", request->feature,
	    request->feature[0] != '\0' ? " of " : "", request->product);
}

static int
refuse_seats(struct command *command, const struct grant *grant)
{
	const struct license_seats *seats = &grant->pool.seats;
	int err = seats->overage == 0 ? ERR_NO_SEATS : ERR_OVERAGE_EXHAUSTED;
	uint32_t free = pool_free(&grant->pool);
	char hint[192], name[160], more[96] = "";

	/* What is on offer to others is not free. */
	free = free > command->reserved ? free - command->reserved : 0;
	name_pool(name, grant->request);
	snprintf(hint, sizeof hint,
	    "see who holds them: leasehold leases --product %s",
	    grant->request->product);
	if (grant->pool.lingering > 0)
		snprintf(more, sizeof more, ", %u released but not yet free",
		    grant->pool.lingering);
	if (free > 0)
		return decide_refuse(command, err, hint,
		    free == 1 ? "asked for %u seats of %s, %u is free%s"
			      : "asked for %u seats of %s, %u are free%s",
		    grant->count, name, free, more);
	/* A renewal made seats commit that are held as overage; the type of a
	 * lease never changes, and no more overage may be held than allowed. */
	if (pool_taken(&grant->pool) < seats->total &&
	    pool_free(&grant->pool) == 0)
		return decide_refuse(command, err, hint,
		    "the license has %u seats of %s now, and more of them come "
		    "free as overage leases of before its renewal end (%u "
		    "commit, %u overage%s)",
		    seats->total, name, grant->pool.commit, grant->pool.overage,
		    more);
	if (command->reserved > 0)
		return decide_refuse(command, err, hint,
		    "all %u seats of %s are taken, or on offer to who waited "
		    "longer%s",
		    seats->total, name, more);
	if (seats->overage == 0)
		return decide_refuse(command, err, hint,
		    seats->total == 1 ? "the %u seat of %s is taken%s"
				      : "all %u seats of %s are taken%s",
		    seats->total, name, more);
	return decide_refuse(command, err, hint,
	    "all %u seats of %s are taken (%u commit, %u overage%s)",
	    seats->total, name, grant->pool.commit, grant->pool.overage, more);
}

/* Nobody waits for what never comes. */
static int
refuse_count(struct command *command, const struct grant *grant)
{
	char name[160];

	name_pool(name, grant->request);
	return decide_refuse(command, ERR_MAX_REACHED, "",
	    "asked for %u seats of %s, and the license has %u in all",
	    grant->count, name, grant->pool.seats.total);
}

/* Those of the feature, or the product's own. */
static int
find_pool(struct grant *grant, struct batch *batch)
{
	const char *feature = grant->request->feature;
	struct pool_id *id = &grant->id, product = { grant->id.license, 0 };
	struct state_pool first;
	int err =
	    state_pool_find(&id->pool, &batch->state, id->license, feature);

	if (err == 0)
		err = state_pool(&grant->pool, &batch->state, *id);
	if (err == 0 && id->pool != 0)
		err = state_pool(&first, &batch->state, product);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	grant->overage_checkouts = id->pool != 0
	    ? first.overage_checkouts
	    : grant->pool.overage_checkouts;
	return 0;
}

/* All or none of them. The lowest free slots say what they are: below
 * commit_qty commit, else overage. */
static int
choose_slots(struct grant *grant, struct batch *batch, struct command *command)
{
	const struct state_pool *pool = &grant->pool;
	int err = find_pool(grant, batch);

	if (err != 0)
		return err;
	if (grant->count > pool->seats.total)
		return refuse_count(command, grant);
	if ((uint64_t)grant->count + command->reserved > pool_free(pool))
		return refuse_seats(command, grant);
	grant->slots =
	    arena_alloc(&command->arena, grant->count * sizeof *grant->slots);
	if (grant->slots == NULL)
		return ERR_NOMEM;
	err = slots_find(grant->slots, &grant->n_slots, &batch->state,
	    grant->id, grant->count, pool->seats.total);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	log_error("decide",
	    "license %" PRIu64 ", pool %u has fewer free slots than it counts",
	    grant->id.license, grant->id.pool);
	return ERR_CORRUPT;
}

static int
refuse_feature(struct command *command, const struct license *terms,
    const struct checkout *request)
{
	const struct license_feature *features = terms->features.items;
	char list[160] = "none";
	size_t len = 0;
	uint32_t i = 0;

	/* As many as fit, whole. */
	for (; i < terms->features.count; i++) {
		size_t add = strlen(features[i].id) + (i > 0 ? 2 : 0);

		if (len + add > sizeof list - 8)
			break;
		snprintf(list + len, sizeof list - len, "%s%s",
		    i > 0 ? ", " : "", features[i].id);
		len += add;
	}
	if (i < terms->features.count)
		snprintf(list + len, sizeof list - len, ", ...");
	char hint[192];

	snprintf(hint, sizeof hint, "its features: %s", list);
	return decide_refuse(command, ERR_NOT_ENTITLED, hint,
	    "license %s for %s has no feature %s", terms->license_id,
	    request->product, request->feature);
}

/* Does the license grant this today? */
static int
check_license(const struct grant *grant, struct batch *batch,
    struct command *command)
{
	const struct checkout *request = grant->request;
	const struct license *terms = &grant->license->document;
	struct record_error error = { .reason = "" };
	struct license_seats seats;

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
	if (!license_seats(&seats, terms, request->feature))
		return refuse_feature(command, terms, request);
	return 0;
}

static int
find_license(struct grant *grant, struct batch *batch, struct command *command)
{
	const struct checkout *request = grant->request;
	int err =
	    state_product(&grant->id.license, &batch->state, request->product);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse(command, ERR_NOT_ENTITLED,
		    "ask the site's admin; leasehold license list shows what "
		    "is installed",
		    "no license for %s is installed at this site",
		    request->product);
	if (err == 0)
		err = state_license(&grant->license, &batch->state,
		    grant->id.license, &command->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	command->license = grant->id.license;
	return check_license(grant, batch, command);
}

static void
fill_seats(struct row_lease_granted *r, const struct grant *grant)
{
	r->count = grant->count;
	r->slots = (struct record_list){ grant->slots, grant->n_slots };
	r->overage_count = grant->count -
	    row_slots_below(grant->slots, grant->n_slots,
		grant->pool.seats.commit);
	if (r->overage_count == 0) {
		r->type = SEAT_COMMIT;
		return;
	}
	r->type = SEAT_OVERAGE;
	r->overage = grant->overage_checkouts + 1;
}

static int
emit_grant(struct batch *batch, struct command *command,
    const struct grant *grant)
{
	const struct checkout *request = grant->request;
	const struct state_license *license = grant->license;
	const struct license *terms = &license->document;
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
	fill_seats(r, grant);
	memcpy(r->nonce, request->nonce, sizeof r->nonce);
	memcpy(r->request, request->request, sizeof r->request);
	memcpy(r->request_digest, grant->digest, sizeof r->request_digest);
	memcpy(r->product, terms->product.id, sizeof r->product);
	memcpy(r->version, request->version, sizeof r->version);
	memcpy(r->feature, request->feature, sizeof r->feature);
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
	return batch_granted(batch, command, lease.batch, lease.index);
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
	return err;
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
	err = find_license(&grant, batch, command);
	if (err != 0 || command->err != 0)
		return err;
	if (requests_device_count(requests, command->who.id) >=
	    LEDGER_DEVICE_LEASES_MAX)
		return decide_refuse(command, ERR_MAX_REACHED, "",
		    "device-%" PRIu64 " holds %d leases, the most one may",
		    command->who.id, LEDGER_DEVICE_LEASES_MAX);
	err = choose_slots(&grant, batch, command);
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
	    decide_held_until(command, batch, &lease));
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
