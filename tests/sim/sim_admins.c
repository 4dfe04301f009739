/* What admins do now and then, and what nobody does often. See sim.h. */
#include "tests/sim/sim.h"

static uint64_t
any_lease(struct sim *sim)
{
	const struct sim_pool *pool = &sim->pools[sim_below(sim, sim->n_pools)];
	uint64_t held = pool->slots[sim_below(sim, pool->size / 4)].lease;

	/* Mostly one that has ended; or never was. */
	return held != 0 ? held
			 : 1 + sim_below(sim, 10 + (uint32_t)sim->n_leases);
}

/* Until when the holder may go on believing; told first, it stops at once. The
 * journal's clock may be stepped forward meanwhile. */
static int64_t
held_until(struct sim *sim, uint64_t number)
{
	struct sim_lease *lease = &sim->leases[number];
	struct sim_client *client = &sim->clients[lease->client];

	lease->ending_in = sim->tally.batches + 1;
	if (client->lease == number && client->state == SIM_HOLDING &&
	    sim_is_reachable(sim, client) && !sim_one_in(sim, 4)) {
		sim_stop_believing(sim, client);
		client->state = SIM_IDLE;
		client->granted = 0;
		return 0;
	}
	return sim->ahead + lease->deadline + SIM_STEP_MAX;
}

static void
release(struct sim *sim)
{
	uint64_t number = any_lease(sim);
	bool held =
	    number > 0 && number <= sim->n_leases && sim->leases[number].held;
	int64_t until = held ? held_until(sim, number) : 0;
	struct sim_command *c = sim_add(sim, SIM_RELEASE);

	c->request.ref.lease = number;
	c->command.held_until = until;
}

static void
revoke_device(struct sim *sim)
{
	uint32_t index = sim_below(sim, sim->n_devices);
	uint32_t left = 0;

	for (uint32_t i = 0; i < sim->n_devices; i++)
		left += !sim->devices[i].revoked;
	if (left < 10)
		return;
	struct sim_command *c = sim_add(sim, SIM_REVOKE);
	int64_t last = 0;

	c->index = index;
	c->request.revoke.device = sim->devices[index].number;
	if (sim_one_in(sim, 2))
		snprintf(c->request.revoke.reason,
		    sizeof c->request.revoke.reason, "reason %u",
		    sim_below(sim, 5));
	for (uint32_t i = 0; i < sim->n_slots; i++) {
		uint64_t number = sim->slots[i].lease;

		if (number == 0 || sim->leases[number].device != index)
			continue;
		sim->leases[number].ending_in = sim->tally.batches + 1;
		if (sim->leases[number].deadline > last)
			last = sim->leases[number].deadline;
	}
	if (last != 0)
		c->command.held_until = sim->ahead + last + SIM_STEP_MAX;
}

/* Mostly one that waits; whoever it is, the model knows what comes of it. */
static void
approve_device(struct sim *sim)
{
	uint32_t index = sim_below(sim, sim->n_devices);

	for (uint32_t i = 0; i < 20 && !sim->devices[index].pending; i++)
		index = sim_below(sim, sim->n_devices);
	struct sim_command *c = sim_add(sim, SIM_APPROVE);

	c->index = index;
	c->request.device.device = sim->devices[index].number;
}

static void
revoke_join(struct sim *sim)
{
	uint32_t index = sim_below(sim, SIM_JOINS);

	if (sim->joins[index].token.len == 0)
		return;
	struct sim_command *c = sim_add(sim, SIM_JOIN_REVOKE);

	c->index = index;
	c->request.join_number.join = sim->joins[index].number;
}

static void
enroll(struct sim *sim)
{
	uint32_t index = sim_below(sim, SIM_JOINS);
	struct sim_join *join = &sim->joins[index];

	if (join->token.len == 0 || sim->n_devices + 8 >= sim->devices_max)
		return;
	struct sim_command *c = sim_add(sim, SIM_ENROLL);
	struct enroll *request = &c->request.enroll;

	c->index = index;
	c->command.who.id = 0;
	if (sim_one_in(sim, 3)) /* one that is in already */
		memcpy(c->key, sim->devices[sim_below(sim, sim->n_devices)].key,
		    32);
	else
		sim_bytes(sim, c->key, 32);
	request->join =
	    (struct record_span){ join->token.data, (uint32_t)join->token.len };
	request->public_key = (struct record_span){ c->key, 32 };
	request->proof.counter = 1;
	snprintf(request->name, sizeof request->name, "device-%u",
	    sim->n_devices);
	snprintf(request->host, sizeof request->host, "ws-%u", sim->n_devices);
}

/* Each may be there or not, in any order, with any number of seats. */
void
sim_choose_features(struct sim *sim, struct license *document,
    struct license_feature features[SIM_FEATURES])
{
	uint32_t first = sim_below(sim, SIM_FEATURES), n = 0;

	for (uint32_t i = 0; i < SIM_FEATURES && sim->features; i++) {
		struct license_feature *f = &features[n];

		if (sim_one_in(sim, 3))
			continue;
		memset(f, 0, sizeof *f);
		snprintf(f->id, sizeof f->id, "f%u",
		    (first + i) % SIM_FEATURES);
		f->commit_qty = sim_below(sim,
		    sim_one_in(sim, 3) ? 4 : SIM_FEATURE_SLOTS_MAX / 2);
		f->max_overage = sim_one_in(sim, 3)
		    ? 0
		    : sim_below(sim,
			  sim_one_in(sim, 3) ? 4 : SIM_FEATURE_SLOTS_MAX / 2);
		if (f->commit_qty + f->max_overage == 0)
			f->commit_qty = 1;
		f->total_licenses = f->commit_qty + f->max_overage;
		f->overage_per_use = 12050;
		memcpy(f->currency, "EUR", 4);
		n++;
	}
	document->features = (struct record_list){ features, n };
}

static void
install(struct sim *sim)
{
	uint32_t index = sim_below(sim, sim->n_licenses);
	struct sim_command *c = sim_add(sim, SIM_INSTALL);
	struct license_entitlement *e;

	c->index = index;
	c->document = sim->licenses[index].document;
	c->document.serial += sim_below(sim, 4);
	if (sim_one_in(sim, 2))
		c->document.contract.end_date = WORLD_TODAY + 400;
	sim_choose_enforce(sim, &c->document);
	memcpy(c->features, sim->licenses[index].features, sizeof c->features);
	c->document.features.items = c->features;
	if (sim_one_in(sim, 2))
		sim_choose_features(sim, &c->document, c->features);
	e = &c->document.entitlement;
	e->commit_qty = sim_below(sim, e->commit_qty * 2 + 4);
	e->max_overage =
	    sim_one_in(sim, 3) ? 0 : sim_below(sim, e->max_overage * 2 + 4);
	if (e->commit_qty > SIM_SLOTS_MAX / 2)
		e->commit_qty = SIM_SLOTS_MAX / 2;
	if (e->max_overage > SIM_SLOTS_MAX / 2)
		e->max_overage = SIM_SLOTS_MAX / 2;
	if (e->commit_qty + e->max_overage == 0)
		e->commit_qty = 1;
	e->total_licenses = e->commit_qty + e->max_overage;
	c->document.terms.ttl_s = 20 + sim_below(sim, 200);
	c->document.terms.grace_s = sim_below(sim, 400);
	sim_sign_license(sim, c);
}

static void
correct_clock(struct sim *sim)
{
	struct sim_command *c = sim_add(sim, SIM_CLOCK);
	int64_t now = sim_ledger_now(sim);

	c->request.clock = (struct row_clock){ .event = CLOCK_CORRECTED,
		.held = now,
		.wall = now - sim_below(sim, 600000),
		.by = { ACTOR_ADMIN, 1 } };
}

void
sim_choose_rare(struct sim *sim)
{
	struct sim_command *c;

	if (sim_one_in(sim, 40))
		release(sim);
	if (sim_one_in(sim, 1500))
		revoke_device(sim);
	if (sim_one_in(sim, 60))
		approve_device(sim);
	if (sim_one_in(sim, 400))
		revoke_join(sim);
	if (sim_one_in(sim, 100))
		enroll(sim);
	if (sim_one_in(sim, 100)) {
		uint32_t index = sim_below(sim, SIM_JOINS);

		/* Only one that no command of this batch speaks of. */
		for (uint32_t i = 0; i < sim->n_commands; i++)
			if (sim->commands[i].kind == SIM_ENROLL ||
			    sim->commands[i].kind == SIM_JOIN_REVOKE)
				return;
		c = sim_add(sim, SIM_JOIN);
		c->index = index;
		c->request.join.uses = 1 + sim_below(sim, 5);
		c->request.join.valid_s = 60 + sim_below(sim, 3600);
		c->request.join.approved = sim_one_in(sim, 2);
		c->lost = false;
	}
	if (sim_one_in(sim, 100))
		install(sim);
	if (sim_one_in(sim, 30)) {
		c = sim_add(sim, SIM_DENIED);
		c->request.denied = (struct row_denied){ .device = 1,
			.product = "product-0",
			.code = "no_seats",
			.count = 1 + sim_below(sim, 100),
			.minute = sim_ledger_now(sim) };
	}
	if (sim->started) {
		sim->started = false;
		c = sim_add(sim, SIM_START);
		c->request.started =
		    (struct ledger_start){ .row.software = "sim" };
	}
	if (sim_one_in(sim, 200)) {
		c = sim_add(sim, SIM_CHECKPOINT);
		c->request.checkpoint.batch = sim->newest.batch;
		memcpy(c->request.checkpoint.head, sim->newest.head, 32);
	}
}

/* Behind everything else: what comes next is earlier. */
void
sim_choose_last(struct sim *sim)
{
	if (sim_one_in(sim, 3000))
		correct_clock(sim);
}
