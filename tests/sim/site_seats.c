/* Seats by key: taken at once or after a wait, renewed, given back, taken away,
 * run out; and who believes in them. See site.h. */
#include "tests/sim/site.h"

#define SPAN_MS ((int64_t)(SITE_TTL_S + SITE_GRACE_S) * 1000)
#define WAIT_S 20
/* A deadline is looked at once a second. */
#define LATE_MS 2500

static struct site_key *
key_of(struct site_sim *sim, const struct site_lease *lease)
{
	return &sim->keys[lease->key];
}

/* --- counting -------------------------------------------------------------- */

static uint32_t
count_believed(const struct site_sim *sim, uint32_t tenant)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sim->n_leases; i++)
		n += sim->leases[i].tenant == tenant &&
		    sim->leases[i].believed_until > site_now();
	return n;
}

/* At most; a slot that lingers is free a moment after its time. */
static uint32_t
count_taken(const struct site_sim *sim, uint32_t tenant)
{
	uint32_t n = sim->tenants[tenant].unsure;

	for (uint32_t i = 0; i < sim->n_leases; i++)
		n += sim->leases[i].tenant == tenant &&
		    (sim->leases[i].held ||
			sim->leases[i].taken_until + LATE_MS > site_now());
	return n;
}

static bool
waits_in(const struct site_sim *sim, uint32_t tenant)
{
	for (size_t i = 0; i < SITE_WAITS; i++)
		if (sim->waits[i].open &&
		    sim->keys[sim->waits[i].key].tenant == tenant)
			return true;
	return false;
}

bool
site_has_waits(const struct site_sim *sim)
{
	for (uint32_t i = 0; i < SITE_TENANTS; i++)
		if (waits_in(sim, i))
			return true;
	return false;
}

static void
over(struct site_lease *lease)
{
	lease->held = false;
	lease->taken_until = lease->believed_until = 0;
}

/* Its program was told nothing. */
static void
taken_away(struct site_lease *lease)
{
	lease->held = false;
}

/* --- the model's leases ---------------------------------------------------- */

static struct site_lease *
find(struct site_sim *sim, uint32_t tenant, uint64_t number)
{
	for (uint32_t i = 0; i < sim->n_leases; i++)
		if (sim->leases[i].tenant == tenant &&
		    sim->leases[i].number == number)
			return &sim->leases[i];
	return NULL;
}

/* Those that are over make room. */
static struct site_lease *
add(struct site_sim *sim, uint32_t key, uint32_t user, uint64_t number)
{
	uint32_t at = 0;

	while (at < sim->n_leases &&
	    (&sim->leases[at] == sim->spoken_of || sim->leases[at].held ||
		sim->leases[at].taken_until + LATE_MS > site_now()))
		at++;
	site_must(sim, at < SITE_LEASES);
	if (at == sim->n_leases)
		sim->n_leases++;
	struct site_lease *lease = &sim->leases[at];

	*lease = (struct site_lease){ .tenant = sim->keys[key].tenant,
		.key = key,
		.user = user,
		.number = number,
		.held = true };
	return lease;
}

static void
good_from_now(struct site_lease *lease)
{
	lease->deadline = site_now() + SPAN_MS + LEDGER_SKEW_MS;
	lease->taken_until = lease->deadline;
}

static void
granted(struct site_sim *sim, uint32_t key, uint32_t user,
    const struct seat_lease *reply)
{
	uint32_t tenant = sim->keys[key].tenant;

	site_must(sim, reply->status == SEAT_GRANTED);
	site_must(sim, find(sim, tenant, reply->lease) == NULL);
	site_must(sim,
	    count_believed(sim, tenant) < sim->tenants[tenant].seats);
	int64_t early = site_now() + SPAN_MS - reply->expires_at;

	site_must(sim, early >= 0 && early < LATE_MS);
	site_policy_granted(sim, tenant, user);
	struct site_lease *lease = add(sim, key, user, reply->lease);

	good_from_now(lease);
	lease->believed_until = reply->expires_at;
	sim->tally.grants++;
}

void
site_key_leases_end(struct site_sim *sim, uint32_t key)
{
	for (uint32_t i = 0; i < sim->n_leases; i++)
		if (sim->leases[i].key == key && sim->leases[i].held)
			taken_away(&sim->leases[i]);
}

void
site_seats_pass(struct site_sim *sim)
{
	for (uint32_t i = 0; i < sim->n_leases; i++) {
		struct site_lease *lease = &sim->leases[i];

		if (lease->held && lease->deadline <= site_now())
			over(lease);
		if (!lease->held && lease->taken_until + LATE_MS <= site_now())
			over(lease);
	}
}

/* Not on the second, for who comes first there is nobody's business. */
bool
site_seats_are_near(const struct site_sim *sim, int64_t now)
{
	for (uint32_t i = 0; i < sim->n_leases; i++)
		if (sim->leases[i].held &&
		    sim->leases[i].deadline > now - LATE_MS &&
		    sim->leases[i].deadline <= now + LATE_MS)
			return true;
	return false;
}

/* --- taking ---------------------------------------------------------------- */

static struct seat_checkout
one_seat(uint32_t user, uint32_t wait_s)
{
	struct seat_checkout ask = { .product = SITE_PRODUCT,
		.version = "8.1.0",
		.wait_s = wait_s };

	snprintf(ask.user, sizeof(ask.user), "%s", site_user_name(user));
	return ask;
}

/* Too often is no wonder after so many; then it waits. */
bool
site_key_was_too_fast(struct site_sim *sim, struct site_key *key, int err)
{
	if (err != ERR_RATE_LIMITED)
		return false;
	site_must(sim, key->asked >= KEY_CHECKOUTS_DEFAULT);
	return true;
}

static void
checkout(struct site_sim *sim)
{
	struct site_key *key = site_key_any(sim);
	uint32_t index = (uint32_t)(key - sim->keys), tenant = key->tenant;
	bool before = key->before[0] != '\0' && site_one_in(sim, 4);
	bool inside = !site_one_in(sim, 4);
	uint32_t user = site_below(sim, SITE_PEOPLE);
	const struct seat_checkout ask = one_seat(user, 0);
	struct seat_lease reply;
	bool may = site_key_may(sim, key, before, inside);
	int err =
	    site_ask(sim, &reply, tenant, before ? key->before : key->text,
		inside ? "10.7.3.4" : "192.0.2.9", OP_SEAT_CHECKOUT, &ask);

	key->asked++;
	if (site_key_was_too_fast(sim, key, err))
		return;
	if (!may) {
		site_must(sim,
		    err == ERR_UNAUTHENTICATED || err == ERR_IP_NOT_ALLOWED ||
			err == ERR_TENANT_SUSPENDED);
		sim->tally.refused_keys++;
	} else if (err == 0) {
		granted(sim, index, user, &reply);
	} else if (!site_policy_refused(sim, tenant, user, err, false)) {
		site_must(sim, err == ERR_NO_SEATS);
		site_must(sim,
		    waits_in(sim, tenant) ||
			count_taken(sim, tenant) >= sim->tenants[tenant].seats);
		sim->tally.refused_seats++;
	}
}

/* --- waiting --------------------------------------------------------------- */

void
site_begin_wait(struct site_sim *sim, struct site_key *key, uint32_t user)
{
	const struct seat_checkout ask = one_seat(user, WAIT_S);
	struct site_wait *wait = sim->waits;

	while (wait < sim->waits + SITE_WAITS && wait->open)
		wait++;
	if (wait == sim->waits + SITE_WAITS ||
	    !site_key_may(sim, key, false, true))
		return;
	*wait = (struct site_wait){ .open = true,
		.key = (uint32_t)(key - sim->keys),
		.user = user,
		.until = site_now() + WAIT_S * 1000 };
	key->asked++;
	wait->tag = site_send(sim, key->tenant, key->text, "10.7.3.4", NULL,
	    OP_SEAT_CHECKOUT, &ask);
}

static void
begin_wait(struct site_sim *sim)
{
	struct site_key *key = site_key_any(sim);

	site_begin_wait(sim, key, site_below(sim, SITE_PEOPLE));
}

/* Refused because its key or its tenant ended: it may have had its seat by then,
 * which is taken until nobody can believe in it. */
static void
maybe_taken(struct site_sim *sim, const struct site_wait *wait)
{
	struct site_lease *lease = add(sim, wait->key, wait->user, 0);

	good_from_now(lease);
	taken_away(lease);
}

void
site_wait_answered(struct site_sim *sim, struct site_wait *wait,
    const struct heard *heard)
{
	struct process_world *world = &sim->world;
	struct site_key *key = &sim->keys[wait->key];
	struct seat_lease reply;

	wait->open = false;
	if (heard->kind == WIRE_PROBLEM) {
		int err = (int32_t)be32_read(world->payload + heard->len - 4);

		if (site_key_was_too_fast(sim, key, err))
			return;
		if (key->ending || sim->tenants[key->tenant].changing ||
		    !site_key_may(sim, key, false, true)) {
			maybe_taken(sim, wait);
			return;
		}
		if (!site_policy_refused(sim, key->tenant, wait->user, err,
			true))
			site_must(sim,
			    err == ERR_NO_SEATS || err == ERR_UNAVAILABLE);
		return;
	}
	site_must(sim,
	    record_read_msgpack(&reply, &seat_lease_record, world->payload,
		heard->len, NULL, &world->arena, NULL) == 0);
	/* It may hang no longer than its key may ask. */
	site_must(sim, !key->revoked);
	site_must(sim, key->expires_at == 0 || key->expires_at > site_now());
	site_must(sim, !sim->tenants[key->tenant].suspended);
	granted(sim, wait->key, wait->user, &reply);
	sim->tally.waited++;
}

/* --- what becomes of it ----------------------------------------------------- */

static struct site_lease *
any_lease(struct site_sim *sim)
{
	return sim->n_leases == 0
	    ? NULL
	    : &sim->leases[site_below(sim, sim->n_leases)];
}

static void
renew(struct site_sim *sim, struct site_lease *lease)
{
	struct site_key *key = key_of(sim, lease);
	struct seat_id id = { "" };
	const struct seat_renew ask = { .ids = { &id, 1 } };
	struct seat_renewed reply;

	seat_id_write(id.id, lease->number);
	int err = site_ask(sim, &reply, key->tenant, key->text, "10.7.3.4",
	    OP_SEAT_RENEW, &ask);

	key->asked++;
	if (site_key_was_too_fast(sim, key, err))
		return;
	if (!site_key_may(sim, key, false, true) || !lease->held) {
		site_must(sim, err != 0);
		return;
	}
	site_must(sim, err == 0 && reply.renewed.count == 1);
	const struct seat_renewed_item *item = reply.renewed.items;

	good_from_now(lease);
	lease->believed_until = item->expires_at;
	sim->tally.renewals++;
}

static void
give_back(struct site_sim *sim, struct site_lease *lease)
{
	struct site_key *key = key_of(sim, lease);
	bool suspended = sim->tenants[key->tenant].suspended;
	struct seat_returned reply;
	struct seat_id id = { "" };

	/* Giving back is always allowed to a key that is good. */
	sim->tenants[key->tenant].suspended = false;
	bool may = site_key_may(sim, key, false, true);

	sim->tenants[key->tenant].suspended = suspended;
	seat_id_write(id.id, lease->number);
	/* From now on nobody runs on it. */
	if (may)
		lease->believed_until = 0;
	int err = site_ask(sim, &reply, key->tenant, key->text, "10.7.3.4",
	    OP_SEAT_RETURN, &id);

	key->asked++;
	if (site_key_was_too_fast(sim, key, err))
		return;
	site_must(sim, (err == 0) == (may && lease->held));
	if (err == 0)
		over(lease);
}

static void
take_away(struct site_sim *sim, struct site_lease *lease)
{
	const struct lease_ref ref = { lease->number };
	struct lease_ended reply;
	int err =
	    site_admin(sim, &reply, lease->tenant, OP_LEASE_RELEASE, &ref);

	if (sim->tenants[lease->tenant].suspended) {
		site_must(sim, err == ERR_TENANT_SUSPENDED);
		return;
	}
	site_must(sim, (err == 0) == lease->held);
	if (err == 0)
		taken_away(lease);
}

void
site_step_seat(struct site_sim *sim)
{
	struct site_lease *lease = any_lease(sim);
	uint32_t what = site_below(sim, 10);

	if (sim->n_keys == 0)
		return;
	/* Who waits may be granted one meanwhile: not in this one's place. */
	sim->spoken_of = lease;
	if (what < 4 || lease == NULL)
		checkout(sim);
	else if (what < 6)
		renew(sim, lease);
	else if (what < 8)
		give_back(sim, lease);
	else if (what < 9)
		begin_wait(sim);
	else if (site_one_in(sim, 3))
		take_away(sim, lease);
	sim->spoken_of = NULL;
}

/* What ran out is listed until its end is committed, by a thread of its own. */
static void
list(struct lease_page *page, struct site_sim *sim, uint32_t tenant)
{
	struct lease_query query = { .limit = 200 };
	bool behind = true;

	for (int i = 0; behind; i++) {
		site_must(sim, i < 6000);
		if (i > 0)
			usleep(10000);
		site_must(sim,
		    site_admin(sim, page, tenant, OP_LEASE_LIST, &query) == 0);
		site_must(sim, page->next == 0);
		const struct lease_view *items = page->items.items;

		uint32_t unknown = 0;

		behind = false;
		for (uint32_t n = 0; n < page->items.count; n++) {
			const struct site_lease *lease =
			    find(sim, tenant, items[n].lease);

			unknown += lease == NULL;
			behind = behind || (lease != NULL && !lease->held);
		}
		/* One that ran out may be forgotten here already. */
		behind = behind || unknown > sim->tenants[tenant].unsure;
	}
}

/* --- a crash ---------------------------------------------------------------- */

/* Some things that nobody will hear of. */
void
site_seats_in_flight(struct site_sim *sim)
{
	struct lease_page page;

	/* What ran out and was not committed would begin anew. */
	for (uint32_t i = 0; i < SITE_TENANTS; i++)
		list(&page, sim, i);
	for (uint32_t n = site_below(sim, 4); n > 0; n--) {
		struct site_lease *lease = any_lease(sim);
		struct site_key *key = site_key_any(sim);
		const struct seat_checkout ask =
		    one_seat(site_below(sim, SITE_PEOPLE), 0);
		struct seat_id id = { "" };

		if (site_one_in(sim, 2) &&
		    site_key_may(sim, key, false, true)) {
			sim->tenants[key->tenant].unsure++;
			site_send(sim, key->tenant, key->text, "10.7.3.4", NULL,
			    OP_SEAT_CHECKOUT, &ask);
		} else if (lease != NULL && lease->held &&
		    !key_of(sim, lease)->revoked) {
			lease->unsure = true;
			lease->believed_until = 0;
			seat_id_write(id.id, lease->number);
			site_send(sim, lease->tenant, key_of(sim, lease)->text,
			    "10.7.3.4", NULL, OP_SEAT_RETURN, &id);
		}
	}
}

/* Who hung does not know whether he has a seat. */
void
site_seats_lost(struct site_sim *sim)
{
	for (size_t i = 0; i < SITE_WAITS; i++) {
		if (sim->waits[i].open)
			sim->tenants[sim->keys[sim->waits[i].key].tenant]
			    .unsure++;
		sim->waits[i].open = false;
	}
}

void
site_seats_again(struct site_sim *sim)
{
	for (uint32_t i = 0; i < sim->n_leases; i++)
		if (sim->leases[i].held)
			good_from_now(&sim->leases[i]);
}

static uint32_t
key_by_number(struct site_sim *sim, uint32_t tenant, uint64_t number)
{
	uint32_t i = 0;

	while (i < sim->n_keys &&
	    (sim->keys[i].tenant != tenant || sim->keys[i].number != number))
		i++;
	site_must(sim, i < sim->n_keys);
	return i;
}

/* One that was granted and not heard of. */
static void
take_over(struct site_sim *sim, uint32_t tenant, const struct lease_view *view)
{
	uint32_t key = key_by_number(sim, tenant, view->device);
	uint32_t user = site_user_number(view->user);

	site_must(sim, sim->tenants[tenant].unsure > 0);
	sim->tenants[tenant].unsure--;
	site_must(sim, !sim->keys[key].revoked);
	site_must(sim, user < SITE_PEOPLE);
	good_from_now(add(sim, key, user, view->lease));
}

void
site_check_leases(struct site_sim *sim, uint32_t tenant)
{
	struct lease_page page;
	uint32_t held = 0, found = 0;

	if (waits_in(sim, tenant))
		return; /* one may be on its way */
	list(&page, sim, tenant);
	const struct lease_view *items = page.items.items;

	for (uint32_t i = 0; i < page.items.count; i++)
		if (find(sim, tenant, items[i].lease) == NULL)
			take_over(sim, tenant, &items[i]);
	sim->tenants[tenant].unsure = 0;
	for (uint32_t i = 0; i < page.items.count; i++) {
		struct site_lease *lease = find(sim, tenant, items[i].lease);

		site_must(sim, lease->held);
		lease->unsure = false;
		found++;
	}
	for (uint32_t i = 0; i < sim->n_leases; i++) {
		struct site_lease *lease = &sim->leases[i];

		if (lease->tenant == tenant && lease->unsure)
			over(lease);
		lease->unsure = lease->unsure && lease->tenant != tenant;
		held += lease->tenant == tenant && lease->held;
	}
	site_must(sim, found == held);
	site_must(sim, held <= sim->tenants[tenant].seats);
}
