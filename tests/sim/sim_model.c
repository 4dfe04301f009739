/* The model: arrays and counts. It foresees the outcome of every command, in
 * the order of the batch, and follows who believes in which seat. See sim.h. */
#include "tests/sim/sim.h"

/* A client may be told something, or the site may have died before it could
 * say it: then the model goes on and nobody hears. */
struct applying {
	struct sim *sim;
	struct sim_command *c;
	bool told;
	int64_t time; /* of the batch */
};

static void
expect(const struct applying *a, int err)
{
	const struct command *command = &a->c->command;

	if (!a->told || command->err == err)
		return;
	fprintf(stderr, "command of kind %d: got %s (%s), the model says %s\n",
	    (int)a->c->kind, err_name(command->err), command->problem.detail,
	    err_name(err));
	sim_fail(a->sim, __FILE__, __LINE__, "the outcome is as foreseen");
}

static struct sim_lease *
lease_get(struct sim *sim, uint64_t lease)
{
	return lease > 0 && lease <= sim->n_leases ? &sim->leases[lease] : NULL;
}

/* --- checkout ---------------------------------------------------------- */

static struct sim_license *
license_of(struct sim *sim, const char *product)
{
	for (uint32_t i = 0; i < sim->n_licenses; i++) {
		struct sim_license *license = &sim->licenses[i];

		if (license->number != 0 &&
		    strcmp(license->document.product.id, product) == 0)
			return license;
	}
	return NULL;
}

bool
sim_seats_at(struct license_seats *out, const struct license *terms,
    const char *feature, int64_t time)
{
	int64_t day = time / WORLD_DAY;
	bool over = day > terms->contract.end_date;

	if (!license_seats(out, terms, feature) ||
	    day < terms->contract.start_date)
		return false;
	if (terms->terms.enforce == LICENSE_ADVISORY) {
		if (out->total < LICENSE_ADVISORY_SEATS)
			out->total = LICENSE_ADVISORY_SEATS;
	} else if (over &&
	    (terms->terms.enforce == LICENSE_HARD ||
		day > terms->contract.end_date +
			(int64_t)terms->terms.grace_days)) {
		return false;
	}
	if (over)
		out->commit = 0;
	out->overage = out->total - out->commit;
	return true;
}

static int
refusal(struct applying *a, const struct sim_license *license)
{
	const struct checkout *body = &a->c->request.checkout;

	if (license == NULL)
		return ERR_NOT_ENTITLED;
	const struct license *terms = &license->document;
	struct license_seats seats;

	if (!sim_seats_at(&seats, terms, "", a->time))
		return ERR_LICENSE_EXPIRED;
	if (body->version[0] < '8') /* every range here is >=8.0.0 */
		return ERR_VERSION_NOT_COVERED;
	if (!sim_seats_at(&seats, terms, body->feature, a->time))
		return ERR_NOT_ENTITLED;
	return body->count > seats.total ? ERR_MAX_REACHED : 0;
}

static void
hear_grant(struct applying *a, uint64_t number)
{
	struct sim *sim = a->sim;
	struct sim_client *client = &sim->clients[a->c->client];

	if (!a->told)
		return;
	sim_must(sim, a->c->command.reply.checkout.lease == number);
	sim_check_grant(sim, a->c);
	/* An answer to a question it no longer asks is given back. */
	if (a->c->lost || client->silent_until > sim->now ||
	    client->state != SIM_ASKING ||
	    memcmp(client->body.request, a->c->request.checkout.request,
		REQUEST_BYTES) != 0)
		return;
	sim_believe(sim, client, number, client->sent_at);
}

/* The slots that a checkout must get, if any. */
static bool
find_seats(struct applying *a, struct sim_license *license,
    struct sim_lease *lease)
{
	const struct checkout *body = &a->c->request.checkout;
	struct sim_pool *pool = sim_pool_of(a->sim, license, body->feature);
	struct license_seats seats;

	sim_seats_at(&seats, &license->document, body->feature, a->time);
	lease->pool = (uint32_t)(pool - a->sim->pools);
	lease->count = body->count > 0 ? body->count : 1;
	return sim_slots_find(&lease->runs, &lease->n_runs,
	    &lease->overage_count, pool, &seats, lease->count,
	    a->c->command.reserved);
}

static int
full(const struct applying *a, const struct sim_license *license,
    const struct checkout *body)
{
	struct license_seats seats;

	sim_seats_at(&seats, &license->document, body->feature, a->time);
	return seats.overage == 0 ? ERR_NO_SEATS : ERR_OVERAGE_EXHAUSTED;
}

/* Is it one that a license enforced hard would not give? */
static bool
is_beyond(const struct applying *a, const struct license *terms,
    const struct sim_lease *lease)
{
	const struct row_slots *last = &lease->runs[lease->n_runs - 1];
	struct license_seats seats;

	license_seats(&seats, terms, a->c->request.checkout.feature);
	return a->time / WORLD_DAY > terms->contract.end_date ||
	    last->first + last->count > seats.total;
}

static void
grant(struct applying *a, struct sim_license *license,
    const struct sim_lease *found)
{
	struct sim *sim = a->sim;
	const struct license *terms = &license->document;
	struct sim_client *client = &sim->clients[a->c->client];
	uint64_t number = ++sim->n_leases;

	if (number >= sim->leases_size) {
		sim->leases_size = sim->leases_size * 2 + 1024;
		sim->leases = realloc(sim->leases,
		    sim->leases_size * sizeof *sim->leases);
		world_must(sim->leases != NULL);
	}
	struct sim_lease *lease = &sim->leases[number];

	*lease = *found;
	lease->client = a->c->client;
	lease->device = client->device;
	lease->span_s = terms->terms.ttl_s + terms->terms.grace_s;
	lease->held = true;
	lease->deadline =
	    sim->now + (int64_t)lease->span_s * 1000 + LEDGER_SKEW_MS;
	if (lease->overage_count > 0)
		lease->overage = license->overage_checkouts + 1;
	license->overage_checkouts += lease->overage_count;
	sim_lease_take(sim, number);
	sim->wrote = true;
	sim->totals.grants++;
	sim->totals.overage += lease->overage_count;
	sim->tally.grants++;
	sim->tally.of_features += sim->pools[lease->pool].feature[0] != '\0';
	sim->tally.of_many += lease->count > 1;
	sim->tally.beyond += is_beyond(a, terms, lease);
	if (memcmp(client->body.request, a->c->request.checkout.request,
		REQUEST_BYTES) == 0) {
		client->granted = number;
		memcpy(client->granted_user, a->c->request.checkout.user,
		    sizeof client->granted_user);
	}
	hear_grant(a, number);
}

/* A request that the ledger answered with a grant before. Returns true when
 * that settles it; false when it may have been forgotten and was granted. */
static bool
retry(struct applying *a, uint64_t granted)
{
	struct sim *sim = a->sim;
	const struct sim_client *client = &sim->clients[a->c->client];
	const struct sim_lease *lease = &sim->leases[granted];
	bool same =
	    strcmp(client->granted_user, a->c->request.checkout.user) == 0;

	sim->tally.retries++;
	if (lease->held) {
		expect(a, same ? 0 : ERR_CONFLICT);
		if (same)
			hear_grant(a, granted);
		return true;
	}
	/* Forgotten at the earliest when so many ended after it; a restart
	 * remembers by the order of grants. */
	bool may_forget = sim->ended - lease->ended_as >= SIM_ENDED_MAX ||
	    sim->n_leases - granted >= SIM_ENDED_MAX ||
	    granted <= sim->given_up;

	int remembered = same ? ERR_GONE : ERR_CONFLICT;

	if (may_forget && (!a->told || a->c->command.err != remembered))
		return false;
	expect(a, remembered);
	return true;
}

/* Somebody who was refused. */
static void
come_back_later(struct applying *a)
{
	struct sim *sim = a->sim;
	struct sim_client *client = &sim->clients[a->c->client];

	sim->tally.refusals++;
	if (!a->told || a->c->lost || client->state != SIM_ASKING ||
	    memcmp(client->body.request, a->c->request.checkout.request,
		REQUEST_BYTES) != 0)
		return;
	client->state = SIM_IDLE;
	client->silent_until = sim->now + sim_below(sim, 120000);
}

static void
apply_checkout(struct applying *a)
{
	struct sim *sim = a->sim;
	const struct checkout *body = &a->c->request.checkout;
	struct sim_client *client = &sim->clients[a->c->client];
	const struct sim_device *device = &sim->devices[a->c->index];

	if (device->revoked) {
		expect(a, ERR_DEVICE_REVOKED);
		return;
	}
	if (device->pending) {
		expect(a, ERR_FORBIDDEN);
		come_back_later(a);
		return;
	}
	if (a->c->bad_known) {
		expect(a, ERR_ROLLED_BACK);
		return;
	}
	if (client->granted != 0 &&
	    memcmp(client->body.request, body->request, REQUEST_BYTES) == 0 &&
	    retry(a, client->granted))
		return;
	struct sim_license *license = license_of(sim, body->product);
	struct sim_lease lease = { .count = 0 };
	int err = refusal(a, license);

	if (err == 0 && !find_seats(a, license, &lease))
		err = full(a, license, body);
	expect(a, err);
	if (err == 0) {
		grant(a, license, &lease);
		return;
	}
	come_back_later(a);
}

/* --- ends -------------------------------------------------------------- */

static void
apply_return(struct applying *a)
{
	struct sim *sim = a->sim;
	struct sim_client *client = &sim->clients[a->c->client];
	uint64_t number = a->c->request.give.lease;
	const struct sim_lease *lease = lease_get(sim, number);
	int err = 0;

	if (lease == NULL)
		err = ERR_NOT_FOUND;
	else if (!lease->held)
		err = ERR_GONE;
	else if (lease->device != a->c->index)
		err = ERR_NOT_FOUND;
	expect(a, err);
	if (err == 0)
		sim_lease_end(sim, number, 0, a->time);
	/* Any answer ends the giving. */
	if (a->told && !a->c->lost && client->state == SIM_GIVING &&
	    client->lease == number)
		client->state = SIM_IDLE;
}

static void
apply_release(struct applying *a)
{
	uint64_t number = a->c->request.ref.lease;
	const struct sim_lease *lease = lease_get(a->sim, number);
	int err = lease == NULL ? ERR_NOT_FOUND : lease->held ? 0 : ERR_GONE;

	expect(a, err);
	if (err == 0)
		sim_lease_end(a->sim, number, a->c->command.held_until,
		    a->time);
}

static void
apply_expire(struct applying *a)
{
	uint64_t number = a->c->request.expire.lease;
	const struct sim_lease *lease = lease_get(a->sim, number);
	int err = 0;

	if (a->c->request.expire.deadline > a->time)
		err = ERR_CONFLICT;
	else if (lease == NULL)
		err = ERR_NOT_FOUND;
	else if (!lease->held)
		err = ERR_GONE;
	expect(a, err);
	if (err != 0)
		return;
	a->sim->tally.expiries++;
	sim_lease_end(a->sim, number, 0, a->time);
}

static void
apply_revoke(struct applying *a)
{
	struct sim *sim = a->sim;
	struct sim_device *device = &sim->devices[a->c->index];

	expect(a, 0);
	if (device->revoked)
		return;
	device->revoked = true;
	device->pending = false;
	sim->wrote = true;
	for (uint32_t i = 0; i < sim->n_slots; i++) {
		uint64_t number = sim->slots[i].lease;

		if (number != 0 && sim->leases[number].device == a->c->index)
			sim_lease_end(sim, number, a->c->command.held_until,
			    a->time);
	}
}

/* --- devices and licenses ---------------------------------------------- */

/* The device that has this key, or n_devices. */
static uint32_t
device_by_key(const struct sim *sim, const uint8_t key[32])
{
	uint32_t i = 0;

	while (i < sim->n_devices && memcmp(sim->devices[i].key, key, 32) != 0)
		i++;
	return i;
}

static void
apply_approve(struct applying *a)
{
	struct sim_device *device = &a->sim->devices[a->c->index];

	expect(a, device->revoked ? ERR_DEVICE_REVOKED : 0);
	a->sim->wrote |= device->pending;
	device->pending = false;
}

static void
apply_enroll(struct applying *a)
{
	struct sim *sim = a->sim;
	struct sim_join *join = &sim->joins[a->c->index];
	uint32_t i = device_by_key(sim, a->c->key);
	struct sim_device *device = &sim->devices[i];
	bool known = i < sim->n_devices;
	int err = 0;

	if (a->time >= join->expires_at)
		err = ERR_GONE;
	else if (known && device->revoked)
		err = ERR_DEVICE_REVOKED;
	else if (known && device->join_serial == join->serial)
		err = 0; /* once more, and nothing is used up */
	else if (join->revoked || join->used >= join->uses)
		err = ERR_GONE;
	else
		sim->wrote = true;
	expect(a, err);
	if (err != 0)
		return;
	join->used += !known || device->join_serial != join->serial;
	if (!known) {
		*device =
		    (struct sim_device){ .number = i + 1, .pending = true };
		memcpy(device->key, a->c->key, sizeof device->key);
		sim->n_devices++;
	}
	if (device->join_serial != join->serial && join->approved)
		device->pending = false;
	device->join_serial = join->serial;
	if (!a->told)
		return;
	const struct enroll_reply *reply = &a->c->command.reply.enroll;

	sim_must(sim, reply->device == device->number);
	sim_must(sim, reply->pending == device->pending);
}

static void
apply_join(struct applying *a)
{
	struct sim *sim = a->sim;
	struct sim_join *join = &sim->joins[a->c->index];
	const struct join_create *request = &a->c->request.join;

	expect(a, 0);
	sim->wrote = true;
	if (!a->told)
		return; /* made, and nobody will ever have it */
	buf_clear(&join->token);
	buf_add(&join->token, a->c->command.reply.join.token.data,
	    a->c->command.reply.join.token.len);
	join->serial = ++sim->join_serial;
	join->number = a->c->command.reply.join.join;
	join->approved = request->approved;
	join->revoked = false;
	join->uses = request->uses;
	join->used = 0;
	join->expires_at = a->time + (int64_t)request->valid_s * 1000;
	sim_must(sim, a->c->command.reply.join.expires_at == join->expires_at);
}

static void
apply_join_revoke(struct applying *a)
{
	struct sim_join *join = &a->sim->joins[a->c->index];

	expect(a, 0);
	a->sim->wrote |= !join->revoked;
	join->revoked = true;
}

static void
apply_install(struct applying *a)
{
	struct sim *sim = a->sim;
	struct sim_license *license = &sim->licenses[a->c->index];
	const struct license *new = &a->c->document;
	int64_t day = a->time / WORLD_DAY;
	struct license_seats seats;
	int err = 0;

	if (day > new->contract.end_date &&
	    (!sim_seats_at(&seats, new, "", a->time)))
		err = ERR_LICENSE_EXPIRED;
	else if (license->number != 0 &&
	    new->serial <= license->document.serial)
		err = ERR_CONFLICT;
	expect(a, err);
	if (err != 0)
		return;
	if (license->number == 0)
		license->number = a->c->index + 1;
	license->document = *new;
	memcpy(license->features, a->c->features, sizeof license->features);
	license->document.features.items = license->features;
	sim->wrote = true;
	if (new->terms.ttl_s + new->terms.grace_s > sim->longest_s)
		sim->longest_s = new->terms.ttl_s + new->terms.grace_s;
}

static void
apply_one(struct applying *a)
{
	switch (a->c->kind) {
	case SIM_CHECKOUT:
		apply_checkout(a);
		return;
	case SIM_RETURN:
		apply_return(a);
		return;
	case SIM_RELEASE:
		apply_release(a);
		return;
	case SIM_EXPIRE:
		apply_expire(a);
		return;
	case SIM_REVOKE:
		apply_revoke(a);
		return;
	case SIM_APPROVE:
		apply_approve(a);
		return;
	case SIM_JOIN_REVOKE:
		apply_join_revoke(a);
		return;
	case SIM_ENROLL:
		apply_enroll(a);
		return;
	case SIM_JOIN:
		apply_join(a);
		return;
	case SIM_INSTALL:
		apply_install(a);
		return;
	case SIM_CLOCK:
		expect(a, 0);
		a->sim->wrote = true;
		a->sim->last = a->c->request.clock.wall;
		a->sim->ahead = a->sim->last - a->sim->now;
		return;
	case SIM_DENIED:
	case SIM_START:
	case SIM_CHECKPOINT:
		expect(a, 0);
		a->sim->wrote = true;
		return;
	}
}

void
sim_apply(struct sim *sim, bool told, int64_t time)
{
	int64_t before = sim->last;

	sim->last = time;
	sim->wrote = false;
	sim_end_lingering(sim, time);
	for (uint32_t i = 0; i < sim->n_commands; i++) {
		struct applying a = { sim, &sim->commands[i], told, time };

		apply_one(&a);
	}
	if (sim->wrote) {
		sim->stopped = false;
	} else {
		sim->last = before;
		sim_undo_lingering(sim);
	}
}
