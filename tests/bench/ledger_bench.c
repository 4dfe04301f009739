/*
 * What a checkout costs the ledger's core alone: decide, fold, tree, signature,
 * replies and the store's own work, without disk, front or threads. The time is
 * the thread's own, and of many batches the lower quartile counts, so that it
 * can be compared on a machine that has other things to do.
 *
 *   ledger_bench [--leases N] [--batch B] [--devices D] [--seconds S]
 *                [--rules N --members M: under a policy of N rules of all
 *                kinds, about a group of M users of whom each holder is one]
 *                [--evict KIB: so much other memory is used between batches, as
 *                a front on the same core would]
 */
#include "tests/bench/meter.h"
#include "tests/unit/ledger_world.h"

#include <time.h>

#define BATCH_MAX 1024
#define ROUNDS_MAX 100000
#define PRODUCT "davinci-configurator-se"
#define SEATS 10000000

struct bench {
	struct world world;
	size_t batch, devices;
	uint8_t *other; /* memory that is not the ledger's */
	size_t other_bytes;
	struct command commands[BATCH_MAX];
	struct command *list[BATCH_MAX];
	struct checkout checkouts[BATCH_MAX];
	struct lease_return returns[BATCH_MAX];
	uint64_t leases[BATCH_MAX]; /* that the last batch was granted */
	uint64_t turn;
	uint64_t took_ns[2][ROUNDS_MAX]; /* of checkouts, of returns */
	size_t rounds;
};

static uint64_t
thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Commit what stands in the list; all of it must be granted. */
static uint64_t
commit(struct bench *bench)
{
	for (size_t i = 0; i < bench->other_bytes; i += 64)
		bench->other[i]++;
	uint64_t start = thread_ns();
	int rc = ledger_commit(bench->world.ledger, bench->list, bench->batch,
	    bench->world.now, NULL);
	uint64_t took = thread_ns() - start;

	world_must(rc == 0);
	for (size_t i = 0; i < bench->batch; i++) {
		if (bench->commands[i].err != 0)
			fprintf(stderr, "%s\n",
			    bench->commands[i].problem.detail);
		world_must(bench->commands[i].err == 0);
		if (bench->commands[i].op == OP_LEASE_CHECKOUT)
			bench->leases[i] =
			    bench->commands[i].reply.checkout.lease;
		arena_clear(&bench->commands[i].arena);
	}
	return took;
}

static void
set(struct bench *bench, size_t i, uint32_t op, const void *request)
{
	struct arena arena = bench->commands[i].arena;

	bench->commands[i] = world_command(&bench->world, op, ACTOR_DEVICE,
	    (bench->turn + i) % bench->devices + 1, request);
	bench->commands[i].arena = arena;
}

static uint64_t
check_out(struct bench *bench)
{
	for (size_t i = 0; i < bench->batch; i++) {
		char user[32];

		snprintf(user, sizeof(user), "user-%zu",
		    (bench->turn + i) % bench->devices);
		bench->checkouts[i] =
		    world_checkout_body(&bench->world, PRODUCT, user);
		set(bench, i, OP_LEASE_CHECKOUT, &bench->checkouts[i]);
	}
	return commit(bench);
}

static uint64_t
give_back(struct bench *bench)
{
	for (size_t i = 0; i < bench->batch; i++) {
		bench->returns[i] =
		    (struct lease_return){ .lease = bench->leases[i] };
		set(bench, i, OP_LEASE_RETURN, &bench->returns[i]);
	}
	uint64_t took = commit(bench);

	bench->turn += bench->batch;
	return took;
}

static void
fill(struct bench *bench, size_t leases)
{
	size_t batch = bench->batch;

	bench->batch = BATCH_MAX;
	for (size_t i = 0; i < leases; i += BATCH_MAX) {
		check_out(bench);
		bench->turn += BATCH_MAX;
	}
	bench->batch = batch;
}

/* Nobody is refused by any of them, and all are looked at: half of them say who
 * may, half count what is held, as a whole or by user. */
static void
fill_rule(struct policy_rule *rule, const struct record_list *named, size_t i)
{
	static const uint32_t kinds[] = { POLICY_INCLUDE, POLICY_EXCLUDE,
		POLICY_INCLUDE, POLICY_EXCLUDE, POLICY_MAX, POLICY_BORROW,
		POLICY_MAX, POLICY_RESERVE, POLICY_QUEUE, POLICY_EXCLUDE };
	uint32_t kind = kinds[i % 10];

	*rule = (struct policy_rule){ .kind = kind };
	snprintf(rule->name, sizeof(rule->name), "rule-%zu", i);
	snprintf(rule->product, sizeof(rule->product), "%s", PRODUCT);
	rule->groups = kind == POLICY_EXCLUDE ? named[1] : named[0];
	if (kind == POLICY_MAX)
		rule->each = i % 10 == 4 ? POLICY_EACH_USER : POLICY_ALL;
	if (kind == POLICY_MAX || kind == POLICY_BORROW)
		rule->seats = SEATS;
	rule->seats = kind == POLICY_RESERVE ? 1 : rule->seats;
	rule->length = kind == POLICY_QUEUE ? 100 : 0;
}

static void
set_policy(struct bench *bench, size_t rules, size_t members)
{
	struct policy_user *users = calloc(members + 1, sizeof(*users));
	struct policy_rule *rule = calloc(rules + 1, sizeof(*rule));
	struct policy_user stranger = { "nobody" };
	struct policy_group groups[2] = {
		{ .name = "holders", .users = { users, (uint32_t)members } },
		{ .name = "strangers", .users = { &stranger, 1 } },
	};
	struct policy_group_name names[2] = { { "holders" }, { "strangers" } };
	struct record_list named[2] = { { &names[0], 1 }, { &names[1], 1 } };
	struct policy_put put = { .policy.groups = { groups, 2 },
		.policy.rules = { rule, (uint32_t)rules } };

	world_must(users != NULL && rule != NULL);
	for (size_t i = 0; i < members; i++)
		snprintf(users[i].user, sizeof(users[i].user), "user-%zu", i);
	for (size_t i = 0; i < rules; i++)
		fill_rule(&rule[i], named, i);
	struct command command =
	    world_command(&bench->world, OP_POLICY_PUT, ACTOR_ADMIN, 1, &put);

	world_must(world_do(&bench->world, &command) == 0);
	arena_release(&command.arena);
	free(users);
	free(rule);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double
quartile_us(struct bench *bench, int kind)
{
	uint64_t *took = bench->took_ns[kind];

	qsort(took, bench->rounds, sizeof(*took), by_value);
	return (double)took[bench->rounds / 4] / (double)bench->batch / 1e3;
}

static void
print(struct bench *bench, const struct ledger_timing *before)
{
	struct ledger_timing t;

	ledger_timing(&t, bench->world.ledger);
	double n = (double)(t.commands - before->commands) * 1e3;

	printf("{\"batch\":%zu,\"rounds\":%zu,\"checkout_us\":%.3f,"
	       "\"return_us\":%.3f,\"decide\":%.2f,\"fold\":%.2f,"
	       "\"tree\":%.2f,\"sign\":%.2f,\"commit\":%.2f}\n",
	    bench->batch, bench->rounds, quartile_us(bench, 0),
	    quartile_us(bench, 1),
	    (double)(t.decide_ns - before->decide_ns) / n,
	    (double)(t.fold_ns - before->fold_ns) / n,
	    (double)(t.tree_ns - before->tree_ns) / n,
	    (double)(t.sign_ns - before->sign_ns) / n,
	    (double)(t.commit_ns - before->commit_ns) / n);
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	struct world *world = &bench.world;
	struct license license;
	struct ledger_timing before;
	size_t leases = (size_t)option_number(argc, argv, "--leases", 1000);
	double seconds = option_number(argc, argv, "--seconds", 2);

	bench.batch = (size_t)option_number(argc, argv, "--batch", 128);
	bench.devices = (size_t)option_number(argc, argv, "--devices", 512);
	bench.other_bytes = (size_t)option_number(argc, argv, "--evict", 0)
	    << 10;
	bench.other = calloc(1, bench.other_bytes + 1);
	world_must(bench.other != NULL);
	if (bench.batch < 1 || bench.batch > BATCH_MAX || bench.devices < 1 ||
	    sodium_init() < 0)
		return 2;
	for (size_t i = 0; i < BATCH_MAX; i++)
		bench.list[i] = &bench.commands[i];
	world_init(world, 1);
	world->options.map_bytes = (size_t)16 << 30;
	world_reopen(world);
	license = world_license(world, PRODUCT, SEATS, 0);
	world_must(world_install(world, &license) == 0);
	for (size_t i = 0; i < bench.devices; i++)
		world_must(world_device(world, "load") == i + 1);
	if (option_number(argc, argv, "--rules", 0) > 0)
		set_policy(&bench,
		    (size_t)option_number(argc, argv, "--rules", 0),
		    (size_t)option_number(argc, argv, "--members", 0));
	fill(&bench, leases);
	ledger_timing(&before, world->ledger);
	int64_t end = clock_boottime_us() + (int64_t)(seconds * 1e6);

	while (clock_boottime_us() < end && bench.rounds < ROUNDS_MAX) {
		bench.took_ns[0][bench.rounds] = check_out(&bench);
		bench.took_ns[1][bench.rounds++] = give_back(&bench);
	}
	print(&bench, &before);
	for (size_t i = 0; i < BATCH_MAX; i++)
		arena_release(&bench.commands[i].arena);
	world_free(world);
	free(bench.other);
	return 0;
}
