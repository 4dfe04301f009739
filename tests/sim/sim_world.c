/* A run's beginning and end: how this world is, and its restarts. See sim.h. */
#include "tests/sim/sim.h"

/* --- randomness: xoroshiro128+ (Blackman and Vigna) -------------------- */

uint64_t
sim_random(struct sim *sim)
{
	uint64_t a = sim->prng[0], b = sim->prng[1], out = a + b;

	b ^= a;
	sim->prng[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
	sim->prng[1] = b << 37 | b >> 27;
	return out;
}

uint32_t
sim_below(struct sim *sim, uint32_t n)
{
	return n == 0 ? 0 : (uint32_t)((sim_random(sim) >> 32) * n >> 32);
}

bool
sim_one_in(struct sim *sim, uint32_t n)
{
	return n != 0 && sim_below(sim, n) == 0;
}

void
sim_bytes(struct sim *sim, void *out, size_t len)
{
	uint8_t *at = out;

	for (; len >= 8; at += 8, len -= 8) {
		uint64_t value = sim_random(sim);

		memcpy(at, &value, 8);
	}
	for (; len > 0; at++, len--)
		*at = (uint8_t)(sim_random(sim) >> 56);
}

static void
seed_prng(struct sim *sim, uint64_t seed)
{
	/* splitmix64 */
	for (int i = 0; i < 2; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		sim->prng[i] = z ^ z >> 31;
	}
}

int64_t
sim_ledger_now(const struct sim *sim)
{
	int64_t now = sim->now + sim->ahead;

	return now > sim->last ? now : sim->last;
}

/* --- the world --------------------------------------------------------- */

static void
choose_shape(struct sim *sim)
{
	static const uint32_t clients[] = { 200, 1000, 2000, 5000 };
	static const uint32_t means[] = { 2, 16, 64, 100 };

	sim->n_clients = clients[sim_below(sim, 4)];
	sim->devices_max = 600;
	sim->n_licenses = 1 + sim_below(sim, SIM_LICENSES_MAX);
	sim->batch_mean = means[1 + sim_below(sim, 3)];
	if (sim_one_in(sim, 8))
		sim->batch_mean = means[0];
	/* A client's turn comes about every ten seconds, whatever the rest. */
	sim->step_ms = 10000 * sim->batch_mean / sim->n_clients + 1;
	sim->crash_in = 100 + sim_below(sim, 300);
	sim->full_in = 200 + sim_below(sim, 300);
	sim->lose_in = 3 + sim_below(sim, 60);
	sim->silent_in = 2 + sim_below(sim, 10);
	sim->small_map = sim_one_in(sim, 3);
	sim->features = !sim_one_in(sim, 4);
	sim->many = !sim_one_in(sim, 4);
	/* The model has a place for each seat. */
	sim->advisory = sim_one_in(sim, 3);
	if (sim->advisory && sim->n_clients > 1000)
		sim->n_clients = 1000;
}

void
sim_choose_enforce(struct sim *sim, struct license *terms)
{
	uint32_t mode = sim_below(sim, sim->advisory ? 4 : 3);

	terms->terms.enforce = LICENSE_HARD;
	terms->terms.grace_days = 0;
	if (mode == 3) {
		terms->terms.enforce = LICENSE_ADVISORY;
	} else if (mode == 2) {
		terms->terms.enforce = LICENSE_GRACE;
		terms->terms.grace_days = 1 + sim_below(sim, 2);
	}
	if (mode >= 2 && sim_one_in(sim, 3))
		terms->contract.end_date =
		    WORLD_TODAY - (int32_t)sim_below(sim, 2);
}

static struct license
first_license(struct sim *sim, uint32_t index)
{
	char product[32];
	uint32_t seats = 2 * sim->n_clients / sim->n_licenses;
	uint32_t commit, overage;

	/* From scarce to enough for all. */
	if (sim_one_in(sim, 3))
		seats = seats / 20 + 2;
	if (seats > SIM_SLOTS_MAX / 2)
		seats = SIM_SLOTS_MAX / 2;
	commit = sim_below(sim, seats + 1);
	overage = sim_one_in(sim, 3) ? 0 : sim_below(sim, seats + 1);
	if (commit + overage == 0)
		commit = 1;
	snprintf(product, sizeof product, "product-%u", index);
	struct license license =
	    world_license(&sim->world, product, commit, overage);

	license.terms.ttl_s = 20 + sim_below(sim, 300);
	license.terms.grace_s = sim_below(sim, 600);
	/* Some contracts end while the run goes on. */
	if (sim_one_in(sim, 8))
		license.contract.end_date = WORLD_TODAY;
	sim_choose_enforce(sim, &license);
	return license;
}

void
sim_sign_license(struct sim *sim, struct sim_command *command)
{
	struct license_install *install = &command->request.install;
	const struct buf *issuer = &sim->world.vendor.issuer;

	memcpy(install->vendor_key, sim->world.vendor.root_public,
	    sizeof install->vendor_key);
	buf_clear(&command->token);
	world_must(license_document_sign(&command->token, &license_record,
		       &command->document, TOKEN_LICENSE,
		       sim->world.vendor.key_secret) == 0);
	install->issuer =
	    (struct record_span){ issuer->data, (uint32_t)issuer->len };
	install->license = (struct record_span){ command->token.data,
		(uint32_t)command->token.len };
}

static void
begin_devices(struct sim *sim)
{
	uint32_t n = 20 + sim_below(sim, 100);
	struct buf token = { .len = 0 };

	world_must(world_join(&sim->world, &token, n, 3600) == 0);
	for (uint32_t i = 0; i < n; i++) {
		struct sim_device *device = &sim->devices[i];
		struct command command;
		char name[32];

		snprintf(name, sizeof name, "ws-%u", i);
		sim_bytes(sim, device->key, sizeof device->key);
		world_must(world_enroll_as(&sim->world, &command, &token, name,
			       name, device->key, PROOF_SOFTWARE) == 0);
		device->number = command.reply.enroll.device;
	}
	sim->n_devices = n;
	buf_release(&token);
}

static int
fault(void *ctx, const char *step)
{
	struct sim *sim = ctx;

	if (sim->fault == NULL || strcmp(step, sim->fault) != 0 ||
	    sim->fault_after-- > 0)
		return 0;
	sim->fault = NULL;
	return sim->fault_err;
}

void
sim_begin(struct sim *sim, const struct sim_options *options)
{
	memset(sim, 0, sizeof *sim);
	sim->seed = options->seed;
	seed_prng(sim, options->seed);
	choose_shape(sim);
	world_init(&sim->world, options->seed);
	ledger_close(sim->world.ledger);
	sim->world.options.fault = fault;
	sim->world.options.fault_ctx = sim;
	sim->world.options.ended_max = SIM_ENDED_MAX;
	sim->world.options.map_bytes =
	    sim->small_map ? (size_t)4 << 20 : (size_t)4 << 30;
	world_open(&sim->world);
	sim->clients = calloc(sim->n_clients, sizeof *sim->clients);
	sim->devices = calloc(sim->devices_max, sizeof *sim->devices);
	sim->licenses = calloc(SIM_LICENSES_MAX, sizeof *sim->licenses);
	sim->leases_size = 1024;
	sim->leases = calloc(sim->leases_size, sizeof *sim->leases);
	world_must(sim->clients != NULL && sim->devices != NULL &&
	    sim->licenses != NULL && sim->leases != NULL);
	sim_pools_begin(sim);
	sim->ahead = WORLD_NOW; /* true time begins at 0 */
	sim->last = WORLD_NOW;
	for (uint32_t i = 0; i < sim->n_licenses; i++) {
		struct sim_license *license = &sim->licenses[i];

		license->document = first_license(sim, i);
		sim_choose_features(sim, &license->document, license->features);
		license->number = i + 1;
		world_must(world_install(&sim->world, &license->document) == 0);
		uint32_t span = license->document.terms.ttl_s +
		    license->document.terms.grace_s;

		if (span > sim->longest_s)
			sim->longest_s = span;
	}
	begin_devices(sim);
	for (uint32_t i = 0; i < sim->n_clients; i++)
		sim->clients[i].device = sim_below(sim, sim->n_devices);
	sim_check_batch(sim);
}

/* A process that comes back knows no deadlines: every one is now and the
 * longest span that could have been signed. */
void
sim_reopen(struct sim *sim)
{
	ledger_close(sim->world.ledger);
	sim->world.ledger = NULL;
	sim->tally.reopens++;
	sim_must(sim,
	    ledger_open(&sim->world.ledger, &sim->world.options) == 0);
	sim_must(sim, ledger_was_clean(sim->world.ledger) == sim->stopped);
	sim->started = true;
	for (uint32_t i = 0; i < sim->n_slots; i++) {
		uint64_t number = sim->slots[i].lease;

		if (number != 0)
			sim->leases[number].deadline = sim->now +
			    (int64_t)sim->longest_s * 1000 + LEDGER_SKEW_MS;
	}
}

void
sim_end(struct sim *sim)
{
	for (size_t i = 0; i < SIM_BATCH_MAX; i++) {
		arena_release(&sim->commands[i].command.arena);
		buf_release(&sim->commands[i].token);
	}
	for (size_t i = 0; i < SIM_JOINS; i++)
		buf_release(&sim->joins[i].token);
	world_free(&sim->world);
	sim_pools_end(sim);
	free(sim->clients);
	free(sim->devices);
	free(sim->licenses);
	free(sim->leases);
}
