/* What clients, admins and the process around the core do next. Messages get
 * lost here, workstations vanish, and the process keeps its deadlines. See
 * sim.h. */
#include "tests/sim/sim.h"

struct sim_command *
sim_add(struct sim *sim, enum sim_kind kind)
{
	static const struct {
		uint32_t op;
		uint32_t actor;
	} kinds[] = {
		[SIM_CHECKOUT] = { OP_LEASE_CHECKOUT, ACTOR_DEVICE },
		[SIM_RETURN] = { OP_LEASE_RETURN, ACTOR_DEVICE },
		[SIM_RELEASE] = { OP_LEASE_RELEASE, ACTOR_ADMIN },
		[SIM_EXPIRE] = { LEDGER_EXPIRE, ACTOR_SITE },
		[SIM_REVOKE] = { OP_DEVICE_REVOKE, ACTOR_ADMIN },
		[SIM_APPROVE] = { OP_DEVICE_APPROVE, ACTOR_ADMIN },
		[SIM_ENROLL] = { OP_DEVICE_ENROLL, ACTOR_DEVICE },
		[SIM_JOIN] = { OP_JOIN_CREATE, ACTOR_ADMIN },
		[SIM_JOIN_REVOKE] = { OP_JOIN_REVOKE, ACTOR_ADMIN },
		[SIM_INSTALL] = { OP_LICENSE_INSTALL, ACTOR_ADMIN },
		[SIM_DENIED] = { LEDGER_DENIED, ACTOR_SITE },
		[SIM_START] = { LEDGER_START, ACTOR_SITE },
		[SIM_CLOCK] = { LEDGER_CLOCK, ACTOR_ADMIN },
		[SIM_CHECKPOINT] = { LEDGER_CHECKPOINT, ACTOR_SITE },
	};
	struct sim_command *c = &sim->commands[sim->n_commands++];

	c->kind = kind;
	c->client = c->index = 0;
	c->bad_known = false;
	c->lost = sim_one_in(sim, sim->lose_in);
	c->command.op = kinds[kind].op;
	c->command.who.kind = kinds[kind].actor;
	c->command.who.id = kinds[kind].actor == ACTOR_ADMIN;
	c->command.request = &c->request;
	c->command.held_until = 0;
	c->command.reserved = 0;
	sim_bytes(sim, c->command.entropy, sizeof c->command.entropy);
	arena_clear(&c->command.arena);
	memset(&c->request, 0, sizeof c->request);
	return c;
}

/* --- clients ----------------------------------------------------------- */

/* Where the answer will be lost the model must know it alone: it does not know
 * what has been forgotten by now. */
static bool
is_uncertain(const struct sim *sim, const struct sim_client *client)
{
	const struct sim_lease *lease = &sim->leases[client->granted];

	return sim->fault != NULL && strcmp(sim->fault, "committed") == 0 &&
	    client->granted != 0 && !lease->held &&
	    (sim->ended - lease->ended_as + SIM_BATCH_MAX >= SIM_ENDED_MAX ||
		sim->n_leases - client->granted + SIM_BATCH_MAX >=
		    SIM_ENDED_MAX);
}

static void
send_checkout(struct sim *sim, struct sim_client *client)
{
	if (is_uncertain(sim, client))
		return;
	struct sim_command *c = sim_add(sim, SIM_CHECKOUT);
	const struct sim_device *device = &sim->devices[client->device];

	client->spoke_in = sim->tally.batches + 1;
	c->client = (uint32_t)(client - sim->clients);
	c->index = client->device;
	c->command.who.id = device->number;
	c->request.checkout = client->body;
	if (sim_one_in(sim, 10)) /* seats on offer to others */
		c->command.reserved = sim_below(sim, 10);
	if (sim_one_in(sim, 4000)) { /* another body under the same id */
		snprintf(c->request.checkout.user,
		    sizeof c->request.checkout.user, "mallory");
	}
	if (sim_one_in(sim, 4000)) { /* a journal that is not this one */
		c->bad_known = true;
		if (sim_one_in(sim, 2))
			c->request.checkout.known.batch += 1000000;
		c->request.checkout.known.head[7] ^= 1;
	}
}

/* Mostly one, sometimes a few, seldom a heap. */
static uint32_t
wanted_seats(struct sim *sim)
{
	if (!sim->many || !sim_one_in(sim, 4))
		return sim_below(sim, 2);
	return sim_below(sim,
	    sim_one_in(sim, 50) && !sim->advisory ? LEASE_COUNT_MAX + 1 : 9);
}

/* A new wish. Now and then for what is not to be had. */
static void
ask(struct sim *sim, struct sim_client *client)
{
	struct checkout *body = &client->body;
	uint32_t license = sim_below(sim, sim->n_licenses);

	/* The model follows one request of a client at a time. */
	if (client->spoke_in == sim->tally.batches + 1)
		return;
	while (sim->devices[client->device].revoked)
		client->device = sim_below(sim, sim->n_devices);
	memset(body, 0, sizeof *body);
	sim_bytes(sim, body->request, sizeof body->request);
	sim_bytes(sim, body->nonce, sizeof body->nonce);
	body->count = wanted_seats(sim);
	snprintf(body->product, sizeof body->product, "product-%u",
	    sim_one_in(sim, 500) ? 99 : license);
	snprintf(body->version, sizeof body->version, "%s",
	    sim_one_in(sim, 500) ? "7.1" : "8.2.1");
	if (sim->features && sim_one_in(sim, 2))
		snprintf(body->feature, sizeof body->feature, "f%u",
		    sim_below(sim, SIM_FEATURES + sim_one_in(sim, 200)));
	snprintf(body->user, sizeof body->user, "user-%u",
	    sim_below(sim, 1000));
	snprintf(body->host, sizeof body->host, "ws-%u", client->device);
	if (sim_one_in(sim, 2))
		body->known = sim->newest;
	client->granted = 0;
	client->lease = 0;
	client->believes_until = 0;
	client->sent_at = sim->now;
	client->state = SIM_ASKING;
	/* Lost on its way to the site: it will be sent again. */
	if (!sim_one_in(sim, sim->lose_in))
		send_checkout(sim, client);
	/* The network delivers twice. */
	if (sim_one_in(sim, 200) && sim->n_commands < SIM_BATCH_MAX)
		send_checkout(sim, client);
}

static void
give(struct sim *sim, struct sim_client *client)
{
	sim_stop_believing(sim, client);
	client->state = SIM_GIVING;
	if (sim_one_in(sim, sim->lose_in))
		return;
	struct sim_command *c = sim_add(sim, SIM_RETURN);
	const struct sim_lease *lease = &sim->leases[client->lease];

	c->client = (uint32_t)(client - sim->clients);
	c->index = lease->device;
	c->request.give.lease = client->lease;
	c->request.give.reason =
	    sim_one_in(sim, 3) ? LEASE_EXITED : LEASE_RETURNED;
	if (sim_one_in(sim, 300)) /* by somebody else */
		c->index = sim_below(sim, sim->n_devices);
	if (sim_one_in(sim, 300)) /* of what never was */
		c->request.give.lease = sim->n_leases + 5000;
	c->command.who.id = sim->devices[c->index].number;
}

/* Soft: a beat. The process moves the deadline when it answers, whether the
 * answer arrives or not. */
static void
renew(struct sim *sim, struct sim_client *client)
{
	struct sim_lease *lease = &sim->leases[client->lease];
	int64_t span = (int64_t)lease->span_s * 1000;

	if (sim_one_in(sim, sim->lose_in) ||
	    lease->ending_in == sim->tally.batches + 1)
		return;
	if (!lease->held) {
		sim_stop_believing(sim, client);
		client->state = SIM_IDLE;
		return;
	}
	lease->deadline = sim->now + span + LEDGER_SKEW_MS;
	if (sim_one_in(sim, sim->lose_in))
		return;
	sim_believe(sim, client, client->lease, sim->now);
}

static void
step_holding(struct sim *sim, struct sim_client *client)
{
	if (client->believes_until <= sim->now) {
		give(sim, client); /* too late for it: the keeper tidies up */
		return;
	}
	switch (sim_below(sim, 8)) {
	case 0:
	case 1:
		give(sim, client);
		return;
	case 2: /* the application asks again: a late retry */
		if (sim_one_in(sim, 4))
			send_checkout(sim, client);
		return;
	case 3:
		if (!sim_one_in(sim, sim->silent_in))
			return;
		/* Cut off: it goes on believing. Or gone for good. */
		client->silent_until = sim->now +
		    (int64_t)sim_below(sim, 2 * sim->longest_s + 60) * 1000;
		if (sim_one_in(sim, 3)) {
			sim_stop_believing(sim, client);
			client->state = SIM_IDLE;
		}
		return;
	default:
		renew(sim, client);
		return;
	}
}

static void
step_client(struct sim *sim, struct sim_client *client)
{
	if (!sim_is_reachable(sim, client))
		return;
	switch (client->state) {
	case SIM_IDLE:
		/* A retry of what is over, from a confused keeper. */
		if (client->granted != 0 && sim_one_in(sim, 100) &&
		    !sim->devices[client->device].revoked)
			send_checkout(sim, client);
		else
			ask(sim, client);
		return;
	case SIM_ASKING:
		if (sim->devices[client->device].revoked || sim_one_in(sim, 50))
			client->state = SIM_IDLE; /* it gives up */
		else
			send_checkout(sim, client);
		return;
	case SIM_HOLDING:
		step_holding(sim, client);
		return;
	case SIM_GIVING:
		give(sim, client);
		return;
	}
}

/* --- the process: deadlines -------------------------------------------- */

static void
expire_due(struct sim *sim)
{
	for (uint32_t i = 0; i < 1024 && sim->n_commands < 64; i++) {
		uint64_t number = sim->slots[sim->scan].lease;

		sim->scan = (sim->scan + 1) % sim->n_slots;
		/* One of many slots is enough. */
		if (number == 0 || sim->leases[number].deadline > sim->now ||
		    sim->leases[number].ending_in == sim->tally.batches + 1)
			continue;
		struct sim_command *c = sim_add(sim, SIM_EXPIRE);

		sim->leases[number].ending_in = sim->tally.batches + 1;
		c->request.expire.lease = number;
		c->request.expire.deadline = sim_ledger_now(sim);
	}
}

/* --- the batch --------------------------------------------------------- */

/* Time goes on; now and then the wall clock is stepped: forward it is adopted,
 * backward it is not. */
static void
pass_time(struct sim *sim)
{
	sim->now += sim_below(sim, 2 * sim->step_ms);
	if (sim_one_in(sim, 300)) /* nobody came for a while */
		sim->now += sim_below(sim, 120000);
	int64_t quiet =
	    SIM_STEP_MAX + 2 * (int64_t)sim->longest_s * 1000 + LEDGER_SKEW_MS;

	if (sim->now - sim->stepped_at > quiet && sim_one_in(sim, 50)) {
		sim->stepped_at = sim->now;
		sim->ahead += sim_below(sim, (uint32_t)SIM_STEP_MAX);
	}
}

void
sim_choose(struct sim *sim)
{
	uint32_t n = 1 + sim_below(sim, 2 * sim->batch_mean);

	if (n > SIM_BATCH_MAX - 16)
		n = SIM_BATCH_MAX - 16;
	sim->n_commands = 0;
	pass_time(sim);
	expire_due(sim);
	sim_choose_rare(sim);
	for (uint32_t i = 0; i < 4 * n && sim->n_commands < n; i++)
		step_client(sim, &sim->clients[sim_below(sim, sim->n_clients)]);
	sim_choose_last(sim);
}
