/* The simulator's run: batch after batch, with faults at any step. See sim.h.
 *
 *	ledger_sim [--seed N] [--runs N] [--seconds N] [--commands N]
 *
 * Without a seed one is taken from the clock and told. Each run has the next
 * seed; --commands is of one run. On failure: seed, step, exit status 1. */
#include "shared/base/log.h"
#include "tests/sim/sim.h"

#include <time.h>

void
sim_fail(const struct sim *sim, const char *file, int line, const char *what)
{
	printf("not ok sim: seed %llu, batch %llu, command %llu: %s (%s:%d)\n",
	    (unsigned long long)sim->seed,
	    (unsigned long long)sim->tally.batches,
	    (unsigned long long)sim->tally.commands, what, file, line);
	printf("repeat it: make sim SEED=%llu RUNS=1\n",
	    (unsigned long long)sim->seed);
	fflush(stdout);
	world_remove(sim->world.path);
	rmdir(sim->world.dir);
	exit(1);
}

/* What goes wrong in this batch, if anything. */
static void
choose_fault(struct sim *sim)
{
	static const char *const steps[] = { "begin", "decide", "fold",
		"append", "commit", "committed" };

	sim->fault = NULL;
	sim->fault_after = 0;
	if (sim_one_in(sim, sim->crash_in)) {
		sim->fault = steps[sim_below(sim, 6)];
		sim->fault_err = ERR_IO;
	} else if (sim_one_in(sim, sim->full_in)) {
		sim->fault = steps[sim_below(sim, 5)];
		sim->fault_err = ERR_FULL;
	}
	if (sim->fault != NULL &&
	    (sim->fault == steps[1] || sim->fault == steps[2]))
		sim->fault_after = sim_below(sim, sim->batch_mean + 1);
}

/* Nothing has happened: what was granted before is still there, and what was
 * asked was refused with the fault. */
static void
check_fault(struct sim *sim, int err)
{
	for (uint32_t i = 0; i < sim->n_commands; i++)
		sim_must(sim, sim->commands[i].command.err == err);
	sim_check_batch(sim);
}

/* There is no room: reads go on. Then somebody makes room. */
static void
make_room(struct sim *sim)
{
	sim->tally.full++;
	sim_check_all(sim);
	sim->world.options.map_bytes *= 4;
	sim_reopen(sim);
	sim_check_all(sim);
}

static void
run_batch(struct sim *sim)
{
	struct command *list[SIM_BATCH_MAX];
	int64_t now, time;

	choose_fault(sim);
	sim_choose(sim);
	const char *planned = sim->fault;
	int planned_err = sim->fault_err;

	now = sim->now + sim->ahead;
	if (sim_one_in(sim, 20)) /* a clock that went back */
		now -= sim_below(sim, 100000);
	time = now > sim->last ? now : sim->last;
	for (uint32_t i = 0; i < sim->n_commands; i++)
		list[i] = &sim->commands[i].command;
	int err =
	    ledger_commit(sim->world.ledger, list, sim->n_commands, now, NULL);
	bool hit = planned != NULL && sim->fault == NULL;

	sim->fault = NULL;
	sim->tally.batches++;
	sim->tally.commands += sim->n_commands;
	if (hit && strcmp(planned, "committed") == 0) {
		sim_must(sim, err == planned_err);
		sim->tally.lost_commits++;
		sim_apply(sim, false, time);
		sim_reopen(sim);
	} else if (hit) {
		sim_must(sim, err == planned_err);
		check_fault(sim, err);
		sim->tally.crashes += planned_err == ERR_IO;
		sim->tally.full += planned_err == ERR_FULL;
		if (planned_err == ERR_IO)
			sim_reopen(sim);
	} else if (err == ERR_FULL && sim->small_map) {
		check_fault(sim, err);
		make_room(sim);
	} else {
		sim_must(sim, err == 0);
		sim_apply(sim, true, time);
	}
	if (sim_one_in(sim, 1000) && !sim->small_map) { /* an orderly stop */
		sim_must(sim, ledger_stop_clean(sim->world.ledger) == 0);
		sim->stopped = true;
		sim_reopen(sim);
	}
	sim_check_batch(sim);
	if (sim_one_in(sim, 400))
		sim_prune(sim);
	if (sim->tally.batches % 512 == 0)
		sim_check_all(sim);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
add_tally(struct sim_tally *sum, const struct sim_tally *one)
{
	sum->commands += one->commands;
	sum->batches += one->batches;
	sum->grants += one->grants;
	sum->of_features += one->of_features;
	sum->of_many += one->of_many;
	sum->beyond += one->beyond;
	sum->refusals += one->refusals;
	sum->retries += one->retries;
	sum->expiries += one->expiries;
	sum->crashes += one->crashes;
	sum->lost_commits += one->lost_commits;
	sum->full += one->full;
	sum->reopens += one->reopens;
	sum->checks += one->checks;
	sum->verified += one->verified;
	sum->pruned += one->pruned;
}

static void
run(struct sim_tally *sum, const struct sim_options *options, double end)
{
	struct sim *sim = calloc(1, sizeof *sim);

	world_must(sim != NULL);
	sim_begin(sim, options);
	while (sim->tally.commands < options->commands && seconds() < end)
		run_batch(sim);
	sim_check_end(sim);
	add_tally(sum, &sim->tally);
	sim_end(sim);
	free(sim);
}

static void
tell(const struct sim_tally *t, uint64_t seed, uint64_t runs, double took)
{
#define N(x) ((unsigned long long)(x))
	printf("ok sim: %llu commands in %llu batches and %llu runs from seed "
	       "%llu, %.1f s, %.0f a second\n",
	    N(t->commands), N(t->batches), N(runs), N(seed), took,
	    (double)t->commands / took);
	printf("ok sim: %llu grants (%llu of features, %llu of several seats, "
	       "%llu beyond seats or contract), %llu refusals, %llu retries, "
	       "%llu expiries, %llu grants "
	       "verified: each as the model foresees\n",
	    N(t->grants), N(t->of_features), N(t->of_many), N(t->beyond),
	    N(t->refusals), N(t->retries), N(t->expiries), N(t->verified));
	printf("ok sim: %llu commits dropped, %llu lost after the commit, "
	       "%llu times no room, %llu restarts: nothing lost or doubled\n",
	    N(t->crashes), N(t->lost_commits), N(t->full), N(t->reopens));
	printf("ok sim: %llu whole checks, %llu journals verified and folded "
	       "to the same state, pruned %llu times\n",
	    N(t->checks), N(runs), N(t->pruned));
#undef N
}

int
main(int argc, char **argv)
{
	struct sim_options options = { .commands = 250000,
		.seed = (uint64_t)time(NULL) };
	struct sim_tally sum = { .commands = 0 };
	uint64_t runs = UINT64_MAX, done = 0;
	double limit = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		uint64_t value = strtoull(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--seed") == 0)
			options.seed = value;
		else if (strcmp(argv[i], "--runs") == 0)
			runs = value;
		else if (strcmp(argv[i], "--seconds") == 0)
			limit = (double)value;
		else if (strcmp(argv[i], "--commands") == 0)
			options.commands = value;
		else
			return 2;
	}
	if (runs == UINT64_MAX && limit == 0)
		runs = 10;
	if (sodium_init() < 0)
		return 1;
	/* Commits without room are part of the play. */
	log_open("sim", LOG_ERROR, 0);

	uint64_t first = options.seed;
	double start = seconds(), end = limit > 0 ? start + limit : 1e18;

	while (done < runs && (done == 0 || seconds() < end)) {
		run(&sum, &options, end);
		options.seed++;
		done++;
	}
	tell(&sum, first, done, seconds() - start);
	return 0;
}
