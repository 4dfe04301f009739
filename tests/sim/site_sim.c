/* Runs of the simulator of a site: what happens next, a crash in the middle of
 * it, and the journals at the end. See site.h.
 *
 *	site_sim [--seed N] [--runs N] [--seconds N] [--steps N]
 *
 * Without a seed one is taken from the clock and told. Each run has the next
 * seed; --steps is of one run. On failure: seed, step, exit status 1. */
#include "tests/sim/site.h"

#include "shared/journal/journal.h"

#include <sys/syscall.h>
#include <time.h>

void
site_fail(const struct site_sim *sim, const char *file, int line,
    const char *what)
{
	printf("not ok site_sim: seed %llu, step %llu: %s (%s:%d)\n",
	    (unsigned long long)sim->seed, (unsigned long long)sim->tally.steps,
	    what, file, line);
	printf("repeat it: make sim SEED=%llu RUNS=1; its site: %s\n",
	    (unsigned long long)sim->seed, sim->world.dir);
	fflush(stdout);
	if (sim->world.pid > 0)
		kill(sim->world.pid, SIGKILL);
	_exit(1);
}

uint32_t
site_below(struct site_sim *sim, uint32_t n)
{
	/* splitmix64 */
	uint64_t z = sim->prng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return n == 0 ? 0 : (uint32_t)((z >> 32) * n >> 32);
}

bool
site_one_in(struct site_sim *sim, uint32_t n)
{
	return site_below(sim, n) == 0;
}

/* --- what happens to tenants -------------------------------------------------- */

/* Commands of a tenant are done one after the other: when this is refused, what
 * was asked before it was answered. */
void
site_settle(struct site_sim *sim, uint32_t tenant)
{
	const struct lease_ref none = { 1000000 };

	for (int i = 0; i < 3; i++)
		(void)site_admin(sim, NULL, tenant, OP_LEASE_RELEASE, &none);
}

static void
suspend(struct site_sim *sim)
{
	struct site_tenant *tenant =
	    &sim->tenants[site_below(sim, SITE_TENANTS)];
	struct tenant_change ask = { .reason = "it did not pay" };
	struct tenant_changed reply;

	site_settle(sim, (uint32_t)(tenant - sim->tenants));
	memcpy(ask.tenantId, tenant->name, sizeof(ask.tenantId));
	snprintf(ask.status, sizeof(ask.status), "%s",
	    tenant->suspended ? "active" : "suspended");
	tenant->changing = true;
	site_must(sim, site_admin(sim, &reply, 0, OP_TENANT_CHANGE, &ask) == 0);
	tenant->changing = false;
	tenant->suspended = !tenant->suspended;
	sim->tally.suspensions++;
}

static void
look_at_tenant(struct site_sim *sim)
{
	const struct site_tenant *tenant =
	    &sim->tenants[site_below(sim, SITE_TENANTS)];
	struct tenant_ref ref = { "" };
	struct tenant_shown shown;

	memcpy(ref.tenantId, tenant->name, sizeof(ref.tenantId));
	site_must(sim, site_admin(sim, &shown, 0, OP_TENANT_SHOW, &ref) == 0);
	site_must(sim,
	    shown.tenant.status ==
		(tenant->suspended ? TENANT_SUSPENDED : TENANT_ACTIVE));
	sim->tally.closings += !shown.tenant.open;
}

/* --- time ---------------------------------------------------------------------- */

static void
look_at_waits(struct site_sim *sim)
{
	for (uint32_t i = 0; i < SITE_TENANTS && site_has_waits(sim); i++) {
		site_settle(sim, i);
		site_policy_check_waits(sim, i);
	}
}

static void
change_policy(struct site_sim *sim)
{
	if (site_one_in(sim, 3))
		site_step_let_in(sim);
	else
		site_step_policy(sim);
	look_at_waits(sim);
}

/* Mostly seconds; sometimes long enough for tenants to close, or for the secret
 * of before to end, or a key. */
static void
pass(struct site_sim *sim)
{
	static const uint32_t most_s[] = { 5, 5, 30, 30, 100, 1000, 5000,
		40000 };
	int64_t ms =
	    1100 + 1000 * (int64_t)site_below(sim, most_s[site_below(sim, 8)]);

	look_at_waits(sim);
	while (site_seats_are_near(sim, site_now() + ms))
		ms += 1000;
	site_pass(sim, ms);
}

/* --- a run ---------------------------------------------------------------------- */

static void
sleep_a_little(struct site_sim *sim)
{
	usleep(site_below(sim, 4000));
}

static void
step(struct site_sim *sim)
{
	uint32_t what = site_below(sim, 1000);

	sim->tally.steps++;
	/* Who waits is not left alone for long, or nothing happens to him. */
	if (what < 450 || (what < 550 && site_has_waits(sim)))
		site_step_seat(sim);
	else if (what < 600)
		site_step_key(sim);
	else if (what < 700)
		site_step_people(sim);
	else if (what < 850)
		pass(sim);
	else if (what < 865)
		suspend(sim);
	else if (what < 905)
		change_policy(sim);
	else if (what < 925)
		look_at_tenant(sim);
	else if (what < 980)
		site_check_leases(sim, site_below(sim, SITE_TENANTS));
	else if (what < 990)
		site_stop(sim);
	else {
		site_seats_in_flight(sim);
		sleep_a_little(sim);
		site_kill(sim);
	}
}

/* --- the end --------------------------------------------------------------------- */

struct auditing {
	struct site_sim *sim;
	struct ledger_view *view;
	const uint8_t *site_public;
	int64_t now;
};

static void
check_journal(const struct auditing *a)
{
	struct journal_walk *walk = calloc(1, sizeof(*walk));
	struct batch_query query = { .from = 0 };
	struct arena arena = { 0 };
	char error[256] = "";

	site_must(a->sim, walk != NULL);
	journal_walk_init(walk, a->site_public);
	do {
		struct batch_page page;
		struct problem problem;

		arena_clear(&arena);
		site_must(a->sim,
		    ledger_query(&page, a->view, OP_JOURNAL_BATCHES, &query,
			a->now, &arena, &problem) == 0);
		const struct batch_item *items = page.items.items;

		for (uint32_t i = 0; i < page.items.count; i++)
			if (journal_walk_batch(walk, items[i].blob.data,
				items[i].blob.len, NULL, NULL, error,
				sizeof(error)) != 0)
				site_fail(a->sim, __FILE__, __LINE__, error);
		query.from = page.next;
	} while (query.from != 0);
	arena_release(&arena);
	free(walk);
}

/* Its store, whole: what the process does on a start, and what an auditor does
 * with the journal. */
static void
check_tenant(struct site_sim *sim, const struct site_tenant *tenant,
    const uint8_t *secret)
{
	char path[256], folded[256], error[256];
	uint8_t key[SETUP_KEY_BYTES], ca[32];
	struct ledger *ledger;
	struct ledger_options options = { .path = path,
		.site = sim->world.site.site,
		.tenant = tenant->name,
		.site_public = secret + 32,
		.site_secret = secret,
		.tenant_key = key,
		.ca_sha256 = ca,
		.map_bytes = sim->world.options.map_bytes };
	struct auditing a = { .sim = sim,
		.site_public = secret + 32,
		.now = site_now() };

	snprintf(path, sizeof(path), "%s/tenants/%s/ledger", sim->world.state,
	    tenant->name);
	site_must(sim,
	    setup_key(key, sim->world.state, tenant->name) == 0 &&
		setup_ca_digest(ca, sim->world.state) == 0);
	site_must(sim, ledger_open(&ledger, &options) == 0);
	site_must(sim, ledger_view_open(&a.view, ledger) == 0);
	if (ledger_check(a.view, error, sizeof(error)) != 0)
		site_fail(sim, __FILE__, __LINE__, error);
	check_journal(&a);
	snprintf(folded, sizeof(folded), "%s/folded-%s", sim->world.dir,
	    tenant->name);
	options.path = folded;
	site_must(sim, ledger_refold(a.view, &options) == 0);
	ledger_view_close(a.view);
	ledger_close(ledger);
	sim->tally.journals++;
}

void
site_end(struct site_sim *sim)
{
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);
	int status;

	site_stop(sim);
	status = process_stop(&sim->world, SIGTERM);
	site_must(sim, WIFEXITED(status) && WEXITSTATUS(status) == 0);
	site_must(sim,
	    secret != NULL && setup_site_key(secret, sim->world.state) == 0);
	for (uint32_t i = 0; i < SITE_TENANTS; i++)
		check_tenant(sim, &sim->tenants[i], secret);
	sodium_free(secret);
	process_world_free(&sim->world);
}

static void
add_tally(struct site_tally *sum, const struct site_tally *one)
{
	/* It is made of counters alone. */
	uint64_t *to = (uint64_t *)(void *)sum;
	const uint64_t *from = (const uint64_t *)(const void *)one;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static void
tell(const struct site_tally *t, uint64_t seed, uint64_t runs)
{
#define N(x) ((unsigned long long)(x))
	printf("ok site_sim: %llu steps in %llu runs from seed %llu\n",
	    N(t->steps), N(runs), N(seed));
	printf("ok site_sim: %llu seats taken by key, %llu of them after a "
	       "wait, %llu renewals, %llu times none left: never more than "
	       "were sold\n",
	    N(t->grants), N(t->waited), N(t->renewals), N(t->refused_seats));
	printf("ok site_sim: %llu policies came into force, %llu refusals by "
	       "them, %llu times who waited was looked at: no grant that they "
	       "forbid, no refusal and no wait that they do not\n",
	    N(t->policies), N(t->refused_policy), N(t->looked));
	printf("ok site_sim: %llu keys made, %llu rotated, %llu revoked, %llu "
	       "seats refused to keys that may not\n",
	    N(t->keys), N(t->rotations), N(t->revocations), N(t->refused_keys));
	printf("ok site_sim: %llu logins, %llu refused, %llu suspensions and "
	       "their ends\n",
	    N(t->logins), N(t->refused_logins), N(t->suspensions));
	printf("ok site_sim: %llu stops and %llu kills, %llu times a tenant "
	       "was seen closed, %llu journals verified and folded to the "
	       "same state\n",
	    N(t->stops), N(t->kills), N(t->closings), N(t->journals));
#undef N
}

/* The clock of the simulator stands still. */
static double
seconds(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const struct site_sim *running;

void
site_broke(const char *file, int line, const char *what)
{
	site_fail(running, file, line, what);
}

int
main(int argc, char **argv)
{
	static struct site_sim sim;
	struct site_tally sum = { 0 };
	struct timespec t;
	uint64_t runs = UINT64_MAX, steps = 1500, done = 0;
	double limit = 0, end;

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
	uint64_t seed = (uint64_t)t.tv_sec;

	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--seed") == 0)
			seed = value;
		else if (strcmp(argv[i], "--runs") == 0)
			runs = value;
		else if (strcmp(argv[i], "--seconds") == 0)
			limit = (double)value;
		else if (strcmp(argv[i], "--steps") == 0)
			steps = value;
		else
			return 2;
	}
	if (runs == UINT64_MAX && limit == 0)
		runs = 3;
	if (sodium_init() < 0)
		return 1;
	end = limit > 0 ? seconds() + limit : 1e18;
	site_clock_init();
	running = &sim;
	while (done < runs && (done == 0 || seconds() < end)) {
		memset(&sim, 0, sizeof(sim));
		site_begin(&sim, seed + done);
		while (sim.tally.steps < steps &&
		    (sim.tally.steps == 0 || seconds() < end))
			step(&sim);
		site_end(&sim);
		add_tally(&sum, &sim.tally);
		done++;
	}
	tell(&sum, seed, done);
	return 0;
}
