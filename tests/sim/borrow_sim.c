/*
 * The simulator of borrows: devices that borrow, extend and give back, whose
 * messages get lost, whose machines and whose site die at any step, whose disks
 * are put back, and an attacker who keeps every ticket that was ever signed and
 * sets the clock as it suits him. What must hold after every step:
 *
 *   - never more seats are in use than there are: by leases, and by whoever
 *     could run on any ticket at all, as his TPM stands now;
 *   - a borrow that nobody gives back keeps a ticket for its device's counter,
 *     whatever crashed (unless its disk was put back);
 * and at the end, with no more faults, every seat comes back.
 *
 *	borrow_sim [--seed N] [--runs N] [--steps N]
 *
 * First one return and one take are gone through with a fault at their first
 * chance, then at their second, and so on until there is no more; then come the
 * random runs, each with the next seed. In every second of them the site's
 * journal is put back to older copies too, an admin acknowledges, and devices
 * show what they have of the lost branch (borrow_lost.h): then, of whoever is
 * through with that, no ticket that was ever signed can be used for a seat that
 * is not taken, and nobody lost what he could use before.
 */
#include "shared/base/log.h"
#include "tests/sim/borrow_lost.h"

#include <time.h>

void
sim_fail(const struct sim *sim, int line, const char *what)
{
	printf("not ok borrow_sim: seed %llu, step %llu, fault at %lld: %s "
	       "(line %d)\n",
	    (unsigned long long)sim->seed, (unsigned long long)sim->steps,
	    (long long)sim->fail_at, what, line);
	printf("repeat it: make sim SEED=%llu RUNS=1\n",
	    (unsigned long long)sim->seed);
	fflush(stdout);
	world_remove(sim->world.path);
	rmdir(sim->world.dir);
	exit(1);
}

/* xoroshiro128+ (Blackman and Vigna) */
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

/* --- the world ------------------------------------------------------------ */

static void
sim_begin(struct sim *sim, uint64_t seed)
{
	memset(sim, 0, sizeof *sim);
	sim->seed = seed;
	sim->prng[0] = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim->prng[1] = ~sim->prng[0] ^ seed << 32;
	for (int i = 0; i < 8; i++)
		sim_random(sim);
	sim->fail_at = -1;
	world_init(&sim->world, seed);
	struct license license =
	    borrow_license(&sim->world, PRODUCT, SEATS - 2, 2);

	license.contract.end_date += 3000;
	world_must(world_install(&sim->world, &license) == 0);
	for (size_t i = 0; i < DEVICES; i++) {
		char name[16];

		snprintf(name, sizeof name, "laptop-%zu", i);
		sim->devices[i].tpm = borrower_new(&sim->world, name);
	}
	sim->other = world_device(&sim->world, "crowd");
	ledger_close(sim->world.ledger);
	sim->world.options.fault = sim_fault;
	sim->world.options.fault_ctx = sim;
	world_open(&sim->world);
}

/* The journal is what it should be, and folds to the same state. */
static void
sim_end(struct sim *sim)
{
	world_check_folded(&sim->world);
	world_free(&sim->world);
}

/* --- what must hold ------------------------------------------------------- */

/* Could somebody with this device's TPM run on it, whatever clock he shows? */
static bool
is_usable(const struct device *device, const struct kept *kept)
{
	struct ticket_now now = { device->tpm.counter, device->tpm.clock_ms,
		device->tpm.resets, kept->ticket.from };
	int64_t left_ms;

	return ticket_left_ms(&left_ms, &kept->ticket, &now) == 0;
}

/* The seats that a device could use: of each borrow once. What an admin gave
 * up, and whose window is over, is his to answer for. */
static uint32_t
usable_seats(struct sim *sim, const struct device *device)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < device->n_ever; i++) {
		const struct kept *kept = &device->ever[i];
		bool first = true;

		if (!is_usable(device, kept))
			continue;
		for (uint32_t j = 0; j < i && first; j++)
			first = device->ever[j].lease != kept->lease ||
			    !is_usable(device, &device->ever[j]);
		if (!first)
			continue;
		struct lease_ref ref = { kept->lease };
		struct borrow_view view;
		struct problem problem;
		struct arena arena = { .chunks = NULL };
		struct ledger_view *v;

		world_must(ledger_view_open(&v, sim->world.ledger) == 0);
		int err = ledger_query(&view, v, OP_BORROW_SHOW, &ref,
		    sim->world.now, &arena, &problem);

		ledger_view_close(v);
		arena_release(&arena);
		/* Ended while it can be used: only an admin may, and then the
		 * seat stays taken to the end of its window. */
		if (err != 0) {
			sim_must(sim, err == ERR_GONE);
			sim_must(sim, sim->written_off > 0 || device->revoked);
			if (kept->ticket.until <= sim->world.now)
				continue;
		}
		sum += kept->count;
	}
	return sum;
}

/* Others take every seat that is free: one that came free too early would be
 * used twice at once. */
static void
crowd(struct sim *sim)
{
	uint64_t lease;

	while (sim->n_held < 64 &&
	    (lease = world_lease(&sim->world, sim->other, PRODUCT)) != 0)
		sim->held[sim->n_held++] = lease;
}

static void
check(struct sim *sim)
{
	uint32_t used;

	crowd(sim);
	used = sim->n_held;
	for (size_t i = 0; i < DEVICES; i++) {
		struct device *device = &sim->devices[i];

		/* What was lost the site cannot count before it is shown; and
		 * whoever is through has nothing that is not counted. */
		if (sim->generation > 1 && !is_through(sim, device))
			continue;
		used += usable_seats(sim, device);
		if (sim->generation > 1)
			check_kept(sim, device);
	}
	if (used > SEATS && sim->generation <= 1)
		fprintf(stderr, "%u seats are in use, %u by others\n", used,
		    sim->n_held);
	sim_must(sim, used <= SEATS || sim->generation > 1);
	for (size_t i = 0; i < DEVICES; i++) {
		const struct device *device = &sim->devices[i];
		const struct disk *disk = &device->disk;

		/* On the way to a target that is more than one step ahead
		 * there are no tickets; the keeper goes on at once. */
		if (device->restored || device->revoked ||
		    (disk->target != 0 && device->tpm.counter < disk->target))
			continue;
		if (sim->generation > 1 && !is_through(sim, device))
			continue;
		for (uint32_t j = 0; j < disk->n; j++)
			if (!disk_returns(disk, disk->tickets[j].lease) &&
			    disk->tickets[j].ticket.until > sim->world.now &&
			    !disk->returning)
				sim_must(sim,
				    disk_has(disk, disk->tickets[j].lease,
					device->tpm.counter));
	}
	if (sim->steps % 64 == 0)
		world_check(&sim->world);
}

/* --- with a fault at each chance in turn ---------------------------------- */

/* A, B and C are lent; A comes back, then all. */
static void
play(struct sim *sim, bool offline)
{
	struct device *device = &sim->devices[0];
	int64_t fail_at = sim->fail_at;
	uint64_t leases[3] = { 0 };

	sim->fail_at = -1;
	for (int i = 0; i < 3; i++) {
		sim_must(sim, take(sim, device, 1, BORROW_DAY_S) == DONE);
		leases[i] = device->disk.tickets[device->disk.n - 1].lease;
		/* The crowd leaves room for one more. */
		if (sim->n_held > 0)
			sim_must(sim,
			    world_return(&sim->world, sim->other,
				sim->held[--sim->n_held]) == 0);
	}
	check(sim);
	sim->fail_at = fail_at;
	sim->chances = 0;
	if (!offline)
		(void)give_back(sim, device, leases[0]);
	else if (give_back_offline(sim, device) == DONE)
		(void)settle(sim, device);
	check(sim);
	/* It starts again, and nothing fails any more: what was begun is
	 * finished, what was not is not. It begins with the first write. */
	sim->fail_at = -1;
	bool begun = fail_at != 0;

	for (int i = 0; i < 3; i++) {
		sim_must(sim, settle(sim, device) == DONE);
		check(sim);
	}
	sim_must(sim, !device->disk.returning);
	for (int i = 0; i < 3; i++) {
		bool back = begun && (offline || i == 0);

		sim_must(sim,
		    disk_has(&device->disk, leases[i], device->tpm.counter) ==
			!back);
	}
	sim->fail_at = fail_at;
}

/* Returns how many chances there were. */
static int64_t
play_each(uint64_t seed, bool offline, int64_t *done)
{
	static struct sim sim;
	int64_t chances = 1;

	for (int64_t at = 0; at <= chances; at++) {
		sim_begin(&sim, seed);
		sim.fail_at = at;
		sim.chances = 0;
		/* Chances are counted where they are looked for. */
		play(&sim, offline);
		chances = sim.chances > chances ? sim.chances : chances;
		sim_end(&sim);
		(*done)++;
		if (at > 400)
			sim_fail(&sim, __LINE__, "the chances end somewhere");
	}
	return chances;
}

/* --- at random ------------------------------------------------------------ */

static uint64_t
some_lease(struct sim *sim, const struct device *device)
{
	if (device->disk.n == 0)
		return 0;
	return device->disk.tickets[sim_below(sim, device->disk.n)].lease;
}

static void
pass_time(struct sim *sim)
{
	int64_t ms = sim_below(sim, 7200) * INT64_C(1000);

	if (sim_below(sim, 40) == 0)
		ms += sim_below(sim, 3 * BORROW_DAY_S) * INT64_C(1000);
	sim->world.now += ms;
	for (size_t i = 0; i < DEVICES; i++) {
		struct borrower *tpm = &sim->devices[i].tpm;

		/* Some are switched off meanwhile, and some lose power. */
		if (sim_below(sim, 3) != 0)
			tpm->clock_ms += (uint64_t)ms;
		if (sim_below(sim, 30) != 0)
			continue;
		tpm->resets++;
		uint64_t back = sim_below(sim, (uint32_t)TICKET_RESET_MS);

		tpm->clock_ms -= back < tpm->clock_ms ? back : 0;
	}
}

static void
admin(struct sim *sim)
{
	struct device *device = &sim->devices[sim_below(sim, DEVICES)];
	struct command command;

	if (sim_below(sim, 8) == 0 && sim->steps > 200 &&
	    device != &sim->devices[0]) {
		struct device_revoke revoke = { .device = device->tpm.device };

		(void)call(sim, &command, OP_DEVICE_REVOKE, ACTOR_ADMIN, 7,
		    &revoke);
		return;
	}
	struct borrow_write_off request = { some_lease(sim, device),
		sim_below(sim, 2) == 0 };

	if (request.lease != 0 &&
	    call(sim, &command, OP_BORROW_WRITE_OFF, ACTOR_ADMIN, 7,
		&request) != REFUSED)
		sim->written_off++;
}

/* What was ever signed for it, by an attacker, in any order. */
static void
show_any(struct sim *sim, struct device *device)
{
	struct kept some[4];
	uint32_t n = 0;

	while (n < 4 && device->n_ever > 0)
		some[n++] = device->ever[sim_below(sim, device->n_ever)];
	(void)show(sim, device, some, n);
}

static void
act(struct sim *sim, struct device *device)
{
	if (device->owes_show ||
	    (sim->generation > 1 && sim_below(sim, 20) == 0)) {
		/* A session begins. */
		if (sim_below(sim, 4) == 0)
			show_any(sim, device);
		else
			(void)settle(sim, device);
		return;
	}
	switch (sim_below(sim, 12)) {
	case 0:
	case 1:
	case 2:
		/* Somebody goes home. */
		for (int n = 0; n < 2 && sim->n_held > 0; n++)
			sim_must(sim,
			    world_return(&sim->world, sim->other,
				sim->held[--sim->n_held]) == 0);
		(void)take(sim, device, 1 + sim_below(sim, 2),
		    60 + sim_below(sim, 2 * BORROW_DAY_S));
		return;
	case 3:
		(void)extend(sim, device, some_lease(sim, device),
		    60 + sim_below(sim, BORROW_DAY_S));
		return;
	case 4:
	case 5: {
		uint64_t lease = some_lease(sim, device);

		device->n_must = 0;
		/* What is given back is over. */
		if (give_back(sim, device, lease) == DONE)
			for (uint32_t i = 0; i < device->disk.n; i++)
				sim_must(sim,
				    device->disk.tickets[i].lease != lease);
		return;
	}
	case 6:
		if (sim_below(sim, 4) == 0)
			(void)give_back_offline(sim, device);
		device->n_must = 0;
		return;
	case 7:
		if (device->has_file && sim_below(sim, 2) == 0) {
			struct command command;

			(void)call(sim, &command, OP_BORROW_DELIVER,
			    ACTOR_ADMIN, 7, &device->file);
		}
		return;
	case 8:
		device->old = device->disk;
		return;
	case 9:
		if (sim_below(sim, 10) == 0) {
			device->disk = device->old;
			device->restored = true;
			sim->restores++;
		}
		return;
	default:
		/* What the site says is stored, but for a half done return. */
		if (settle(sim, device) == DONE && !device->disk.returning)
			device->restored = false;
		return;
	}
}

/* Nothing fails any more: whoever can gives everything back. */
static void
bring_home(struct sim *sim)
{
	struct ledger_view *view;
	struct ledger_pool pool;

	sim->fail_in = 0;
	for (size_t i = 0; i < DEVICES; i++) {
		struct device *device = &sim->devices[i];

		if (device->revoked)
			continue;
		for (int n = 0; n < 8; n++)
			sim_must(sim, settle(sim, device) == DONE);
		device->n_must = 0;
		sim_must(sim, give_back(sim, device, 0) == DONE);
		sim_must(sim, settle(sim, device) == DONE);
		sim_must(sim, device->disk.n == 0);
		sim_must(sim, !device->disk.returning);
		/* It may borrow again. */
		device->asked = false;
	}
	check(sim);
	sim->world.now += 100 * WORLD_DAY;
	while (sim->n_held > 0)
		sim_must(sim,
		    world_return(&sim->world, sim->other,
			sim->held[--sim->n_held]) == 0);
	world_must(ledger_view_open(&view, sim->world.ledger) == 0);
	world_must(ledger_pool(&pool, view, PRODUCT, "", sim->world.now) == 0);
	ledger_view_close(view);
	sim_must(sim, pool.free == SEATS);
}

/* Each has borrowed before the first copy: the site knows it as one that does.
 */
static void
borrow_once(struct sim *sim)
{
	for (size_t i = 0; i < DEVICES; i++) {
		sim_must(sim, take(sim, &sim->devices[i], 1, 3600) == DONE);
		sim_must(sim, give_back(sim, &sim->devices[i], 0) == DONE);
	}
}

/* `lost`: the site's journal is put back now and then. */
static void
run(struct sim *sim, uint64_t seed, uint64_t steps, bool lost)
{
	sim_begin(sim, seed);
	if (lost) {
		sim->generation = 1;
		borrow_once(sim);
		take_copy(sim);
	}
	sim->fail_in = 10 + sim_below(sim, 200);
	bool admins = sim_below(sim, 2) == 0;

	while (sim->steps < steps) {
		struct device *device = &sim->devices[sim_below(sim, DEVICES)];

		sim->steps++;
		pass_time(sim);
		if (admins && sim_below(sim, 25) == 0)
			admin(sim);
		if (lost && sim_below(sim, 60) == 0)
			put_back(sim);
		else if (lost && sim_below(sim, 60) == 0)
			take_copy(sim);
		if (device->n_ever < TICKETS_MAX - 256)
			act(sim, device);
		check(sim);
	}
	bring_home(sim);
	sim_end(sim);
}

int
main(int argc, char **argv)
{
	static struct sim sim;
	uint64_t seed = (uint64_t)time(NULL), runs = 6, steps = 1500;
	uint64_t put_backs = 0, adopted = 0;
	uint64_t takes = 0, ends = 0, crashes = 0, lost = 0, restores = 0;
	int64_t done = 0, chances;

	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--seed") == 0)
			seed = value;
		else if (strcmp(argv[i], "--runs") == 0)
			runs = value;
		else if (strcmp(argv[i], "--steps") == 0)
			steps = value;
		else
			return 2;
	}
	if (sodium_init() < 0)
		return 1;
	log_open("borrow_sim", LOG_ERROR, 0);
	chances = play_each(1, false, &done) + play_each(2, true, &done);
	printf("ok borrow_sim: a fault at each of %lld chances of an early "
	       "return and of one offline\n",
	    (long long)chances);
	for (uint64_t i = 0; i < runs; i++) {
		/* Of the seed alone, so that a seed repeats its run. */
		run(&sim, seed + i, steps, (seed + i) % 2 == 0);
		put_backs += sim.put_backs;
		adopted += sim.adopted;
		takes += sim.takes;
		ends += sim.ends;
		crashes += sim.crashes;
		lost += sim.lost;
		restores += sim.restores;
	}
	printf("ok borrow_sim: %llu borrows, %llu ends, %llu deaths of the "
	       "site, %llu messages lost, %llu disks put back, "
	       "%llu journals with %llu tickets adopted, from seed %llu: no "
	       "seat used twice, none lost\n",
	    (unsigned long long)takes, (unsigned long long)ends,
	    (unsigned long long)crashes, (unsigned long long)lost,
	    (unsigned long long)restores, (unsigned long long)put_backs,
	    (unsigned long long)adopted, (unsigned long long)seed);
	return 0;
}
