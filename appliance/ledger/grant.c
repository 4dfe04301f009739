#include "appliance/ledger/grant.h"

#include "appliance/ledger/metered.h"
#include "appliance/ledger/pools.h"
#include "appliance/ledger/slots.h"
#include "appliance/ledger/sync.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
	const struct license_seats *seats = &grant->seats;
	int err = seats->overage == 0 ? ERR_NO_SEATS : ERR_OVERAGE_EXHAUSTED;
	uint32_t free = pool_free(&grant->pool, seats);
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
	    pool_free(&grant->pool, seats) == 0)
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
	    grant->count, name, grant->seats.total);
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
	license_seats_at(&grant->seats, &grant->license->document,
	    &grant->pool.seats, batch->place.time);
	return 0;
}

int
grant_choose_slots(struct grant *grant, struct batch *batch,
    struct command *command)
{
	const struct license_seats *seats = &grant->seats;
	int err = find_pool(grant, batch);

	if (err != 0)
		return err;
	grant_judge(grant, batch, command);
	if (grant->verdict.err != 0 && grant->verdict.err != ERR_RESERVED)
		return grant_refuse_policy(command, grant);
	if (grant->count > seats->total)
		return refuse_count(command, grant);
	if ((uint64_t)grant->count + command->reserved >
	    pool_free(&grant->pool, seats))
		return refuse_seats(command, grant);
	if (grant->verdict.err != 0)
		return grant_refuse_policy(command, grant);
	grant->slots =
	    arena_alloc(&command->arena, grant->count * sizeof *grant->slots);
	if (grant->slots == NULL)
		return ERR_NOMEM;
	err = slots_find(grant->slots, &grant->n_slots, &batch->state,
	    grant->id, grant->count, seats->total);
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

/* A site that its vendor has not heard of for longer than the license allows
 * grants nothing: what is held goes on. */
static int
check_synced(const struct license *terms, struct batch *batch,
    struct command *command)
{
	int64_t stops;
	char day[CLOCK_TEXT_SIZE];
	int err = sync_stops_at(&stops, &batch->state, terms);

	if (err != 0 || batch->place.time < stops)
		return err;
	clock_format_date(day, (int32_t)(stops / INT64_C(86400000)));
	if (terms->sync.refresh_by != 0 && stops == terms->sync.refresh_by)
		return decide_refuse(command, ERR_LICENSE_SUSPENDED,
		    "leasehold sync import FILE, with a renewal of the vendor",
		    "license %s was to be renewed by %s", terms->license_id,
		    day);
	return decide_refuse(command, ERR_LICENSE_SUSPENDED,
	    "leasehold sync export FILE, and the receipt back: leasehold sync "
	    "import FILE",
	    "vendor %s has had no report since %" PRIu32 " days before %s: "
	    "license %s allows no more",
	    terms->vendor.id, terms->sync.max_unsynced_days, day,
	    terms->license_id);
}

/* Has its vendor suspended or cancelled it? What runs goes on to the end of its
 * own span. */
static int
check_status(const struct grant *grant, struct batch *batch,
    struct command *command)
{
	const struct license *terms = &grant->license->document;
	struct state_status status;
	int err = state_status(&status, &batch->state, grant->id.license);

	if (err != 0 || status.revision == 0)
		return err;
	switch ((enum license_status)state_status_at(&status, terms,
	    batch->place.time)) {
	case LICENSE_IS_SUSPENDED:
		return decide_refuse(command, ERR_LICENSE_SUSPENDED,
		    "ask the vendor",
		    "license %s for %s was suspended by its vendor",
		    terms->license_id, grant->request->product);
	case LICENSE_IS_CANCELLED:
		return decide_refuse(command, ERR_LICENSE_SUSPENDED,
		    "ask the vendor for a new one",
		    "license %s for %s was cancelled by its vendor",
		    terms->license_id, grant->request->product);
	case LICENSE_IS_ACTIVE:
	case LICENSE_IS_EXPIRED:
		break;
	}
	return 0;
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

	if (license_check_grants(terms, batch->place.time, &error) != 0)
		return decide_refuse(command, ERR_LICENSE_EXPIRED,
		    "ask the vendor for a renewal, then: leasehold license "
		    "install FILE",
		    "license %s for %s: %s", terms->license_id,
		    request->product, error.reason);
	/* Applications believe the key that the license names. */
	if (memcmp(terms->site_key, batch->ledger->site_public,
		sizeof terms->site_key) != 0)
		return decide_refuse(command, ERR_LICENSE_SUSPENDED,
		    "leasehold site request, to the vendor: leasehold hub "
		    "reissue; then: leasehold license install FILE",
		    "license %s is for the box that this site had before, "
		    "and its vendor has not issued it anew",
		    terms->license_id);
	int err = check_synced(terms, batch, command);

	if (err != 0 || command->err != 0)
		return err;
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

int
grant_find_license(struct grant *grant, struct batch *batch,
    struct command *command)
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
	err = check_status(grant, batch, command);
	return err == 0 && command->err == 0
	    ? check_license(grant, batch, command)
	    : err;
}

int
grant_check_class(struct batch *batch, struct command *command,
    const struct license *license)
{
	struct state_device device;
	char hint[160];
	size_t len;

	if (license->terms.classes.count == 0)
		return 0;
	int err = state_device(&device, &batch->state, command->who.id);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (license_accepts(&license->terms, device.class_))
		return 0;
	const bool key = device.class_ == PROOF_KEY;

	len = (size_t)snprintf(hint, sizeof hint, "%s",
	    key ? "run an agent beside the program, on a device of class"
		: "enroll this workstation as one of class");
	for (uint32_t i = 0; i <= PROOF_KEY && len < sizeof hint - 16; i++)
		if (license_accepts(&license->terms, i))
			len += (size_t)snprintf(hint + len, sizeof hint - len,
			    " %s", proof_class_names[i]);
	if (key)
		return decide_refuse(command, ERR_CLASS_NOT_ALLOWED, hint,
		    "license %s for %s gives API keys no seats",
		    license->license_id, license->product.id);
	return decide_refuse(command, ERR_CLASS_NOT_ALLOWED, hint,
	    "license %s for %s takes no devices of class %s",
	    license->license_id, license->product.id,
	    proof_class_names[device.class_]);
}

static void
fill_seats(struct row_lease_granted *r, const struct grant *grant)
{
	r->count = grant->count;
	r->slots = (struct record_list){ grant->slots, grant->n_slots };
	r->overage_count = grant->count -
	    row_slots_below(grant->slots, grant->n_slots, grant->seats.commit);
	if (r->overage_count == 0) {
		r->type = SEAT_COMMIT;
		return;
	}
	r->type = SEAT_OVERAGE;
	r->overage = grant->overage_checkouts + 1;
}

/* Of the feature, or of the product itself. */
static void
fill_price(struct ledger_seats *out, const struct license *license,
    const char *feature)
{
	const struct license_pricing *pricing = &license->entitlement.pricing;
	const struct license_feature *features = license->features.items;

	out->overage_per_use = pricing->overage_per_use;
	for (uint32_t i = 0; feature[0] != '\0' && i < license->features.count;
	     i++)
		if (strcmp(features[i].id, feature) == 0)
			out->overage_per_use = features[i].overage_per_use;
	memcpy(out->currency, pricing->currency, sizeof(out->currency));
}

static void
fill_pool(struct ledger_seats *out, const struct state_pool *pool,
    const struct license_seats *seats)
{
	uint64_t used = pool_taken(pool);

	out->total = pool->seats.total;
	out->commit = pool->seats.commit;
	out->used = used < UINT32_MAX ? (uint32_t)used : UINT32_MAX;
	out->used_overage = pool->overage;
	out->free = pool_free(pool, seats);
}

void
grant_fill_seats(struct ledger_seats *out, const struct grant *grant)
{
	fill_pool(out, &grant->pool, &grant->seats);
	fill_price(out, &grant->license->document, grant->request->feature);
	out->used += grant->count;
	out->used_overage += grant->count -
	    row_slots_below(grant->slots, grant->n_slots, grant->seats.commit);
	out->free -= grant->count < out->free ? grant->count : out->free;
}

int
grant_find_seats(struct ledger_seats *out, struct batch *batch,
    struct command *command, const struct state_lease *lease)
{
	const struct checkout *request = command->request;
	const struct state_license *license;
	struct license_seats seats;
	struct state_pool pool;
	int err = state_pool(&pool, &batch->state,
	    (struct pool_id){ lease->license, lease->pool });

	if (err == 0)
		err = state_license(&license, &batch->state, lease->license,
		    &command->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	license_seats_at(&seats, &license->document, &pool.seats,
	    batch->place.time);
	fill_pool(out, &pool, &seats);
	fill_price(out, &license->document, request->feature);
	return 0;
}

int
grant_find_people(struct grant_people *out, struct batch *batch,
    struct command *command, const struct grant *grant)
{
	const struct checkout *request = grant->request;
	int err = decide_subject(out->user, batch, SUBJECT_USER, request->user,
	    command->entropy);

	if (err == 0)
		err = decide_subject(out->host, batch, SUBJECT_HOST,
		    request->host, command->entropy + SUBJECT_ENTROPY);
	return err;
}

void
grant_fill(struct row_lease_granted *r, const struct batch *batch,
    const struct command *command, const struct grant *grant,
    const struct grant_people *people)
{
	const struct checkout *request = grant->request;
	const struct state_license *license = grant->license;

	r->lease = batch->state.counters.next_lease;
	r->license = license->license;
	memcpy(r->license_digest, license->digest, sizeof r->license_digest);
	r->device = command->who.id;
	fill_seats(r, grant);
	memcpy(r->nonce, request->nonce, sizeof r->nonce);
	memcpy(r->request, request->request, sizeof r->request);
	memcpy(r->request_digest, grant->digest, sizeof r->request_digest);
	memcpy(r->product, license->document.product.id, sizeof r->product);
	memcpy(r->version, request->version, sizeof r->version);
	memcpy(r->feature, request->feature, sizeof r->feature);
	memcpy(r->user, people->user, sizeof r->user);
	memcpy(r->host, people->host, sizeof r->host);
	memcpy(r->application, request->application, sizeof r->application);
}
