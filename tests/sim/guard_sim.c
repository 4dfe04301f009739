/*
 * The site's guard against rollbacks, with a crash at any step and stores that
 * are put back at random: two journals, the system store and the witness, real
 * ones, against a model that knows what was really done.
 *
 *	guard_sim [--seed N] [--runs N] [--seconds N]
 *
 * What must hold: a crash is never taken for a rollback, a rollback never for a
 * crash. In particular
 *   - without a copy put back, no start finds a rollback, wherever it stopped;
 *   - whatever lost something that a finished tick had covered is found, unless
 *     the witness was put back with it;
 *   - then what somebody saw of the lost branch shows it;
 *   - an acknowledgement that crashed is asked for again, or is done;
 *   - after one, nothing of the abandoned branch stops the site again;
 *   - the newest copies put in place again are no rollback.
 * Without a seed one is taken from the clock and told. Each run has the next
 * seed. On failure: seed, step, exit status 1.
 */
#include "appliance/ledger/guard.h"
#include "shared/base/log.h"
#include "tests/unit/ledger_world.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>

#define PARTS 2
#define SITE "site-test"
#define COPIES 4
#define STEPS_MAX 400
/* Of a run's files: two journals, the system store, the witness. */
enum { FILE_A, FILE_B, FILE_SYSTEM, FILE_WITNESS, FILES };

#define must(sim, x)                                         \
	do {                                                 \
		if (!(x))                                    \
			fail((sim), __FILE__, __LINE__, #x); \
	} while (0)

struct sim {
	struct world world; /* keys only; its ledger is not used */
	char dir[64];
	uint64_t seed;
	uint64_t prng;
	uint64_t step;
	uint64_t checks[8];

	struct ledger_options options[PARTS];
	char paths[FILES][192];
	struct ledger *ledgers[PARTS];
	struct system_store *system;
	struct witness *witness;
	struct guard_part parts[PARTS];
	struct guard guard;
	struct guard_report report;
	uint8_t key[32];
	int64_t now;

	/* A crash at the n-th step that writes; 0: none. */
	uint32_t crash_at, crash_count;

	struct row_mark seen[PARTS]; /* the newest that a client has */
	struct row_mark abandoned[PARTS]; /* seen before an acknowledgement */
	bool put_back; /* something was, and was not acknowledged */
	bool lost_covered; /* a finished tick had covered some of it */
};

static void __attribute__((noreturn))
fail(const struct sim *sim, const char *file, int line, const char *what)
{
	printf("not ok guard: seed %llu, step %llu: %s (%s:%d): %s\n",
	    (unsigned long long)sim->seed, (unsigned long long)sim->step, what,
	    file, line, sim->report.words);
	fflush(stdout);
	exit(1);
}

static uint64_t
random_next(struct sim *sim)
{
	/* splitmix64 */
	uint64_t z = sim->prng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t
below(struct sim *sim, uint32_t n)
{
	return (uint32_t)((random_next(sim) >> 32) * n >> 32);
}

/* --- files ------------------------------------------------------------------- */

static void
copy_file(struct sim *sim, const char *from, const char *to)
{
	int in = open(from, O_RDONLY);
	struct stat st;

	unlink(to);
	if (in < 0)
		return; /* so it is not there in the copy either */
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(sim, out >= 0 && fstat(in, &st) == 0);
	for (off_t at = 0; at < st.st_size;)
		must(sim,
		    sendfile(out, in, &at, (size_t)(st.st_size - at)) > 0);
	close(in);
	close(out);
}

static void
copy_path(char out[160], const struct sim *sim, uint32_t copy, uint32_t file)
{
	snprintf(out, 160, "%s/copy-%u-%u", sim->dir, copy, file);
}

static void
save_copy(struct sim *sim, uint32_t copy)
{
	char to[160];

	for (uint32_t i = 0; i < FILES; i++) {
		copy_path(to, sim, copy, i);
		copy_file(sim, sim->paths[i], to);
	}
}

static void
load_copy(struct sim *sim, uint32_t copy, uint32_t file)
{
	char from[160];

	copy_path(from, sim, copy, file);
	copy_file(sim, from, sim->paths[file]);
}

/* --- the site ---------------------------------------------------------------- */

static int
fault(void *ctx, const char *step)
{
	struct sim *sim = ctx;

	(void)step;
	return sim->crash_at != 0 && ++sim->crash_count == sim->crash_at
	    ? ERR_IO
	    : 0;
}

/* Steps of a ledger's commit that a crash may hit count like the guard's. */
static int
ledger_step(void *ctx, const char *step)
{
	return strcmp(step, "commit") == 0 || strcmp(step, "committed") == 0
	    ? fault(ctx, step)
	    : 0;
}

static void
close_all(struct sim *sim)
{
	for (size_t i = 0; i < PARTS; i++) {
		ledger_close(sim->ledgers[i]);
		sim->ledgers[i] = NULL;
	}
	system_close(sim->system);
	witness_close(sim->witness);
	sim->system = NULL;
	sim->witness = NULL;
}

static void
open_all(struct sim *sim)
{
	char path[160];

	for (size_t i = 0; i < PARTS; i++) {
		must(sim, ledger_open(&sim->ledgers[i], &sim->options[i]) == 0);
		sim->parts[i] = (struct guard_part){ sim->options[i].tenant,
			sim->ledgers[i] };
	}
	snprintf(path, sizeof path, "%s/system", sim->dir);
	must(sim, system_open(&sim->system, path, sim->key) == 0);
	must(sim, witness_open_file(&sim->witness, sim->dir, SITE) == 0);
	sim->guard = (struct guard){ .system = sim->system,
		.witness = sim->witness,
		.parts = sim->parts,
		.n_parts = PARTS,
		.fault = fault,
		.fault_ctx = sim };
}

static struct row_mark
place_of(struct sim *sim, size_t part)
{
	struct ledger_view *view;
	struct row_mark mark;

	must(sim, ledger_view_open(&view, sim->ledgers[part]) == 0);
	must(sim, ledger_mark(&mark, view) == 0);
	ledger_view_close(view);
	return mark;
}

static int
commit(struct sim *sim, size_t part, uint32_t op, uint32_t actor,
    const void *request)
{
	struct command command = { .op = op,
		.who = { .kind = actor, .id = actor == ACTOR_ADMIN },
		.request = request };
	struct command *list[] = { &command };

	for (size_t i = 0; i < sizeof command.entropy; i += 8) {
		uint64_t value = random_next(sim);

		memcpy(command.entropy + i, &value, 8);
	}
	int err = ledger_commit(sim->ledgers[part], list, 1, sim->now, NULL);

	arena_release(&command.arena);
	return err != 0 ? err : command.err;
}

/* A fact, which somebody hears of. */
static int
write_fact(struct sim *sim, size_t part)
{
	struct row_denied row = { .device = 1,
		.product = "p",
		.code = "no_seats",
		.count = 1 + below(sim, 1000),
		.minute = sim->now };
	int err = commit(sim, part, LEDGER_DENIED, ACTOR_SITE, &row);

	if (err == 0 && below(sim, 2) == 0)
		sim->seen[part] = place_of(sim, part);
	return err;
}

static int
tick(struct sim *sim)
{
	struct row_tick row = { .counter = sim->report.counter + 1 };
	int err = 0;

	for (size_t i = 0; i < PARTS && err == 0; i++)
		if (below(sim, 4) != 0) /* else it has no news */
			err = commit(sim, i, LEDGER_TICK, ACTOR_SITE, &row);
	return err == 0
	    ? guard_tick(&sim->report.counter, &sim->guard, sim->now)
	    : err;
}

static int
acknowledge(struct sim *sim)
{
	struct ledger_generation request = { .reason = "put back" };
	int err = guard_prepare(&sim->report, &sim->guard, sim->now);

	for (size_t i = 0; i < PARTS && err == 0; i++) {
		request.stored = sim->report.stored;
		request.witnessed = sim->report.witnessed;
		request.counter = sim->report.counter + 1;
		err = guard_lost(&request.lost, &sim->guard, &sim->parts[i]);
		if (err == 0)
			err = commit(sim, i, LEDGER_GENERATION, ACTOR_ADMIN,
			    &request);
	}
	return err == 0
	    ? guard_settle(&sim->report, &sim->guard,
		  &(struct system_generation){ .witness = 0 }, sim->now)
	    : err;
}

/* --- what is true ------------------------------------------------------------ */

/* Has this place of this journal been lost? */
static bool
is_lost(struct sim *sim, size_t part, const struct row_mark *mark)
{
	struct ledger_view *view;

	if (mark->generation == 0)
		return false;
	must(sim, ledger_view_open(&view, sim->ledgers[part]) == 0);
	int err = ledger_holds(view, mark->batch, mark->head);

	ledger_view_close(view);
	must(sim, err == 0 || err == ERR_ROLLED_BACK);
	return err != 0;
}

/* Where everything stands, and what a finished tick has covered of it. */
struct standing {
	uint64_t witness; /* 0: none */
	uint64_t stored; /* of the system store */
	struct row_mark anchors[PARTS]; /* in it */
	struct row_mark places[PARTS];
};

static void
stand(struct standing *out, struct sim *sim)
{
	struct system_tick tick = { 0 };

	*out = (struct standing){ 0 };
	(void)witness_read(&out->witness, sim->witness);
	if (system_tick_load(&tick, sim->system) == 0)
		out->stored = tick.counter;
	for (size_t i = 0; i < PARTS; i++) {
		(void)system_anchor_load(&out->anchors[i], sim->system,
		    sim->options[i].tenant);
		out->places[i] = place_of(sim, i);
	}
}

/* Start until no crash comes; 0 finds out what the last one found. */
static void
start(struct sim *sim)
{
	int err;

	do {
		open_all(sim);
		sim->crash_at = below(sim, 5) == 0 ? 1 + below(sim, 4) : 0;
		sim->crash_count = 0;
		err = guard_begin(&sim->report, &sim->guard, sim->now);
		sim->crash_at = 0;
		must(sim, err == 0 || err == ERR_IO);
		if (err != 0)
			close_all(sim);
	} while (err != 0);
	sim->checks[0]++;
}

/* What clients have seen may be shown at any time. */
static bool
show_evidence(struct sim *sim)
{
	bool proved = false;

	for (size_t i = 0; i < PARTS; i++) {
		if (sim->seen[i].generation != 0) {
			int proof = guard_evidence(&sim->report, &sim->guard,
			    &sim->parts[i], &sim->seen[i]);

			must(sim, proof >= 0);
			proved = proved || proof == 1;
		}
		/* What was abandoned proves nothing, unless the very
		 * acknowledgement is lost. */
		if (sim->abandoned[i].generation != 0 &&
		    place_of(sim, i).generation > sim->abandoned[i].generation)
			must(sim,
			    guard_is_proof(&sim->parts[i],
				&sim->abandoned[i]) == 0);
	}
	return proved;
}

/* --- a run ------------------------------------------------------------------- */

static void
begin(struct sim *sim, uint64_t seed)
{
	const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	static const char *const tenants[] = { "default", "second" };
	char path[160];

	memset(sim, 0, sizeof *sim);
	sim->seed = sim->prng = seed;
	sim->now = WORLD_NOW;
	world_init(&sim->world, seed);
	snprintf(sim->dir, sizeof sim->dir, "%s/guard-XXXXXX", shm);
	must(sim, mkdtemp(sim->dir) != NULL);
	memset(sim->key, 7, sizeof sim->key);
	snprintf(path, sizeof path, "%s/system", sim->dir);
	must(sim, mkdir(path, 0700) == 0 && system_create(path) == 0);
	snprintf(sim->paths[FILE_SYSTEM], 192, "%s/data.mdb", path);
	snprintf(sim->paths[FILE_WITNESS], 192, "%s/" SITE, sim->dir);
	for (size_t i = 0; i < PARTS; i++) {
		struct ledger_options *options = &sim->options[i];
		char *folder = malloc(160);

		must(sim, folder != NULL);
		snprintf(folder, 160, "%s/%s", sim->dir, tenants[i]);
		*options = sim->world.options;
		options->path = folder;
		options->tenant = tenants[i];
		options->fault = ledger_step;
		options->fault_ctx = sim;
		must(sim, ledger_create(options, sim->now) == 0);
		snprintf(sim->paths[FILE_A + i], 192, "%s/data.mdb", folder);
	}
}

static void
end(struct sim *sim)
{
	char command[128];

	close_all(sim);
	world_free(&sim->world);
	for (size_t i = 0; i < PARTS; i++)
		free((void *)(uintptr_t)sim->options[i].path);
	snprintf(command, sizeof command, "rm -rf '%s'", sim->dir);
	must(sim, system(command) == 0);
}

/* The site works for a while; true when it crashed. */
static bool
work(struct sim *sim)
{
	uint32_t n = 1 + below(sim, 12);
	int err = 0;

	sim->crash_at = below(sim, 2) == 0 ? 1 + below(sim, 24) : 0;
	sim->crash_count = 0;
	for (uint32_t i = 0; i < n && err == 0; i++) {
		sim->now += 1000;
		if (below(sim, 3) == 0)
			err = tick(sim);
		else
			err = write_fact(sim, below(sim, PARTS));
	}
	sim->crash_at = 0;
	must(sim, err == 0 || err == ERR_IO);
	return err != 0;
}

/* Some of the files are put back to one copy. What must be found? */
static void
put_back(struct sim *sim, uint32_t copy, uint32_t which)
{
	struct standing before, after;

	open_all(sim);
	stand(&before, sim);
	close_all(sim);
	for (uint32_t i = 0; i < FILES; i++)
		if (which & 1u << i)
			load_copy(sim, copy, i);
	open_all(sim);
	stand(&after, sim);
	/* Covered: by what the witness says that is not older than before. */
	bool witness_kept = after.witness == before.witness;
	bool covered = false, any = false;

	if (witness_kept && after.stored < before.witness)
		covered = true;
	for (size_t i = 0; i < PARTS; i++) {
		any = any || is_lost(sim, i, &before.places[i]);
		if (after.stored == before.stored &&
		    is_lost(sim, i, &after.anchors[i]))
			covered = true;
	}
	close_all(sim);
	sim->put_back = sim->put_back || any || !witness_kept ||
	    after.stored != before.stored ||
	    memcmp(after.anchors, before.anchors, sizeof after.anchors) != 0;
	sim->lost_covered = sim->lost_covered || covered;
	sim->checks[1]++;
	sim->checks[2] += covered;
}

/* An admin acknowledges, with crashes on the way, until it is done. */
static void
go_on(struct sim *sim)
{
	uint32_t generation[PARTS];
	int err;

	for (size_t i = 0; i < PARTS; i++) {
		generation[i] = place_of(sim, i).generation;
		if (is_lost(sim, i, &sim->seen[i]))
			sim->abandoned[i] = sim->seen[i];
	}
	for (;;) {
		sim->crash_at = below(sim, 2) == 0 ? 1 + below(sim, 12) : 0;
		sim->crash_count = 0;
		err = acknowledge(sim);
		sim->crash_at = 0;
		must(sim, err == 0 || err == ERR_IO);
		if (err == 0)
			break;
		sim->checks[3]++;
		close_all(sim);
		start(sim);
		/* Not done by halves: what was lost of a journal is
		 * acknowledged in it, or asked for again. */
		if (!sim->report.rolled_back)
			break;
	}
	must(sim, !sim->report.rolled_back);
	for (size_t i = 0; i < PARTS; i++) {
		uint32_t now = place_of(sim, i).generation;

		must(sim, now >= generation[i]);
		if (is_lost(sim, i, &sim->seen[i])) {
			must(sim, now > generation[i]);
			sim->seen[i] = place_of(sim, i);
		}
	}
	sim->put_back = sim->lost_covered = false;
	sim->checks[4]++;
	must(sim, !show_evidence(sim));
}

/* What the start found, against what is true. */
static void
judge(struct sim *sim)
{
	bool lost = false;

	for (size_t i = 0; i < PARTS; i++) {
		/* A branch that was abandoned, and had been acknowledged more
		 * often, put back with its witness: nothing tells it from what
		 * an admin did. */
		if (place_of(sim, i).generation > sim->seen[i].generation)
			sim->seen[i] = place_of(sim, i);
		lost = lost || is_lost(sim, i, &sim->seen[i]);
	}
	if (!sim->put_back)
		must(sim, !sim->report.rolled_back);
	if (sim->lost_covered)
		must(sim, sim->report.rolled_back);
	if (!sim->report.rolled_back && lost) {
		/* The counter has not covered it; somebody's memory has. */
		must(sim, show_evidence(sim));
		must(sim, sim->report.rolled_back);
		sim->checks[5]++;
		/* And it is kept. */
		close_all(sim);
		start(sim);
		must(sim, sim->report.rolled_back);
	}
	if (sim->report.rolled_back)
		sim->checks[6]++;
	else
		sim->put_back = sim->lost_covered = false;
}

static void
run_step(struct sim *sim)
{
	static const uint32_t sets[] = { 1u << FILE_A, 1u << FILE_B,
		1u << FILE_SYSTEM, 1u << FILE_WITNESS, 3, 7, 15, 5 };
	if (work(sim)) {
		close_all(sim);
	} else if (below(sim, 3) == 0) { /* an orderly stop */
		must(sim, tick(sim) == 0);
		close_all(sim);
	} else {
		close_all(sim);
	}
	if (below(sim, 4) == 0)
		save_copy(sim, below(sim, COPIES - 1));
	save_copy(sim, COPIES - 1); /* the newest */
	if (below(sim, 5) == 0) {
		uint32_t copy = below(sim, COPIES - 1);
		char path[160];

		copy_path(path, sim, copy, FILE_A);
		if (access(path, F_OK) == 0)
			put_back(sim, copy,
			    sets[below(sim, sizeof sets / sizeof *sets)]);
		if (below(sim, 6) == 0) { /* somebody thought better of it */
			start(sim);
			close_all(sim);
			put_back(sim, COPIES - 1, 15);
			sim->put_back = sim->lost_covered = false;
			sim->checks[7]++;
		}
	}
	start(sim);
	judge(sim);
	if (sim->report.rolled_back)
		go_on(sim);
}

static void
run(uint64_t seed, uint64_t checks[8], double until, double (*seconds)(void))
{
	struct sim *sim = calloc(1, sizeof *sim);

	world_must(sim != NULL);
	begin(sim, seed);
	start(sim);
	must(sim, sim->report.first && !sim->report.rolled_back);
	for (sim->step = 0; sim->step < STEPS_MAX && seconds() < until;
	     sim->step++)
		run_step(sim);
	for (size_t i = 0; i < 8; i++)
		checks[i] += sim->checks[i];
	end(sim);
	free(sim);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	uint64_t seed = (uint64_t)time(NULL), runs = 20, checks[8] = { 0 };
	double until = 1e18;

	for (int i = 1; i + 1 < argc; i += 2) {
		unsigned long long value = strtoull(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--seed") == 0)
			seed = value;
		else if (strcmp(argv[i], "--runs") == 0)
			runs = value;
		else if (strcmp(argv[i], "--seconds") == 0)
			until = seconds() + (double)value;
		else
			return 2;
	}
	world_must(sodium_init() >= 0);
	log_open("guard_sim", LOG_ERROR + 1, 0);
	printf("# seed %llu\n", (unsigned long long)seed);
	for (uint64_t i = 0; i < runs && seconds() < until; i++)
		run(seed + i, checks, until, seconds);
	printf("ok guard: %llu starts, %llu copies put back (%llu of them "
	       "covered by a tick), %llu found by the site, %llu by what was "
	       "seen, %llu acknowledged with %llu crashes on the way, %llu "
	       "put right again\n",
	    (unsigned long long)checks[0], (unsigned long long)checks[1],
	    (unsigned long long)checks[2], (unsigned long long)checks[6],
	    (unsigned long long)checks[5], (unsigned long long)checks[4],
	    (unsigned long long)checks[3], (unsigned long long)checks[7]);
	return 0;
}
