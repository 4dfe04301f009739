/*
 * Usage on its way from a site to a hub, over a line that loses, doubles,
 * delays, reorders, cuts and alters what it carries, while both ends crash and
 * the journals of both are put back to older copies. Whatever happens, once the line
 * holds for long enough every overage seat that was ever granted is billed once,
 * and nothing else is; so is every event of a metric that its journal holds, and
 * one that was lost with a journal is billed once when it was reported before,
 * and else never. Journals, reports and checks are the true ones
 * (shared/journal, shared/report); the hub keeps what a hub has to keep.
 *
 *   sync_sim [--seed N] [--runs N] [--seconds N]
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/report_world.h"

#include <getopt.h>
#include <inttypes.h>
#include <time.h>

#define WAY 4 /* messages under way, of each direction */
#define STEPS 140
#define LEASES 256
#define EVENTS 256
/* Events of one metric: each has a byte of its sum. */
#define TOGETHER 4

struct message {
	struct buf token, body;
	bool used;
};

struct receipt {
	struct report_mark mark;
	uint32_t generation; /* of the hub */
	bool used;
};

/* What a hub has, or had when it was copied. */
struct hub_books {
	struct report_hub hub;
	uint64_t sums[EVENTS / TOGETHER]; /* of each metric */
	uint64_t metrics_taken;
};

struct sim {
	struct report_world *world;
	uint64_t random;
	struct message reports[WAY];
	struct receipt receipts[WAY];
	bool cut; /* nothing gets through */
	struct report_mark known_at[MAKER_BATCHES]; /* the site's, by batch */
	uint32_t heard_at[MAKER_BATCHES];
	uint32_t heard; /* generation of the hub, as the site knows it */
	uint32_t generation; /* as it is */
	struct hub_books copy;
	bool copied;
	uint64_t overage_at[MAKER_BATCHES][WORLD_LICENSES];
	uint64_t overage[WORLD_LICENSES]; /* last number, at the site */
	/* Every overage seat ever granted, and its row as its device has it. */
	struct {
		uint64_t license;
		uint64_t device;
		struct buf bytes;
		struct row_origin origin;
		uint64_t batch; /* where it stands now */
	} leases[LEASES];
	uint64_t n_leases;
	uint64_t event_at[EVENTS]; /* its batch; 0: it was lost */
	uint64_t n_events;
	uint64_t sums[EVENTS / TOGETHER]; /* of each metric, at the hub */
	uint64_t metrics_taken;
	uint64_t hubs_put_back;
	uint64_t taken, refused[REPORT_ANSWERS];
};

static uint64_t
draw(struct sim *sim, uint64_t below)
{
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 7;
	sim->random ^= sim->random << 17;
	return sim->random % below;
}

/* --- the site ----------------------------------------------------------------- */

static void
commit(struct sim *sim, const struct row *row)
{
	struct report_world *world = sim->world;

	maker_add(world->maker, row);
	maker_commit(world->maker);
	sim->known_at[world->maker->n - 1] = world->acknowledged;
	sim->heard_at[world->maker->n - 1] = sim->heard;
	memcpy(sim->overage_at[world->maker->n - 1], sim->overage,
	    sizeof sim->overage);
}

static bool
has_room(const struct sim *sim, uint64_t batches)
{
	return sim->world->maker->n + batches < MAKER_BATCHES - 4;
}

static void
grant(struct sim *sim)
{
	struct maker *maker = sim->world->maker;
	uint64_t license = 1 + draw(sim, WORLD_LICENSES - 1);
	uint64_t lease = sim->n_leases + 1;

	if (!has_room(sim, 1) || lease > LEASES)
		return;
	if (license == 3 || draw(sim, 4) == 0) {
		/* Another vendor's, or no overage. */
		struct row row = world_grant(1000 + lease, license, 0);

		commit(sim, &row);
		return;
	}
	struct row row = world_grant(lease, license, ++sim->overage[license]);

	commit(sim, &row);
	sim->leases[sim->n_leases].license = license;
	sim->leases[sim->n_leases].device = row.u.lease_granted.device;
	sim->leases[sim->n_leases].batch = maker->n - 1;
	sim->leases[sim->n_leases].origin = (struct row_origin){
		.generation = maker->next.generation,
		.batch = maker->n - 1,
		.row_number = maker->next.first_row - 1,
	};
	row_write(&sim->leases[sim->n_leases].bytes, &row);
	sim->n_leases++;
}

static void
track(struct sim *sim)
{
	struct row row = { .kind = ROW_USAGE_TRACKED };
	struct row_usage_tracked *r = &row.u.usage_tracked;
	uint64_t n = sim->n_events;

	if (!has_room(sim, 1) || n == EVENTS)
		return;
	/* A metric is of one license, but for those of another vendor. */
	r->license = 1 + n / TOGETHER % 2;
	r->amount = UINT64_C(1) << (8 * (n % TOGETHER));
	r->kind = USAGE_COUNTER;
	r->at = MAKER_TIME;
	snprintf(r->metric, sizeof r->metric, "%u",
	    (unsigned int)(n / TOGETHER));
	if (draw(sim, 5) == 0) {
		r->license = 3;
		commit(sim, &row);
		return;
	}
	commit(sim, &row);
	sim->event_at[n] = sim->world->maker->n - 1;
	sim->n_events++;
}

/* Its device presents the row that was lost. */
static void
adopt(struct sim *sim, uint64_t i)
{
	static struct row_slots slot = { 0, 1 };
	struct row row = { .kind = ROW_LEASE_ADOPTED };
	struct row_lease_adopted *r = &row.u.lease_adopted;

	r->lease = i + 1;
	r->license = sim->leases[i].license;
	r->device = sim->leases[i].device;
	r->count = 1;
	r->slots = (struct record_list){ &slot, 1 };
	r->type = SEAT_OVERAGE;
	r->overage = ++sim->overage[r->license];
	r->overage_count = 1;
	r->origin = sim->leases[i].origin;
	r->row = (struct record_span){ sim->leases[i].bytes.data,
		(uint32_t)sim->leases[i].bytes.len };
	commit(sim, &row);
	sim->leases[i].batch = sim->world->maker->n - 1;
}

/* The store is put back, an admin acknowledges it, and every device that lost
 * its lease presents it. */
static void
put_back(struct sim *sim)
{
	struct maker *maker = sim->world->maker;
	uint64_t to, lost = 0;

	if (maker->n < 4)
		return;
	to = 2 + draw(sim, maker->n - 3);
	for (uint64_t i = 0; i < sim->n_leases; i++)
		lost += sim->leases[i].batch >= to;
	if (to + lost + 1 > MAKER_BATCHES - 6)
		return;
	struct row row = { .kind = ROW_GENERATION };
	uint32_t generation = maker->next.generation + 1;

	row.u.generation.generation = generation;
	row.u.generation.lost.generation = generation - 1;
	row.u.generation.lost.batch = maker->n - 1;
	row.u.generation.counter = row.u.generation.next_lease =
	    row.u.generation.next_device = 1000;
	for (uint64_t i = to; i < maker->n; i++)
		buf_clear(&maker->blobs[i]);
	int64_t time = maker->next.time;

	maker->next = maker->headers[to];
	maker->next.totals = maker->headers[to - 1].totals;
	maker->next.time = time;
	maker->next.generation = generation;
	maker->n = to;
	sim->world->acknowledged = sim->known_at[to - 1];
	sim->heard = sim->heard_at[to - 1];
	memcpy(sim->overage, sim->overage_at[to - 1], sizeof sim->overage);
	for (uint64_t i = 0; i < sim->n_events; i++)
		if (sim->event_at[i] >= to)
			sim->event_at[i] = 0;
	commit(sim, &row);
	for (uint64_t i = 0; i < sim->n_leases; i++)
		if (sim->leases[i].batch >= to)
			adopt(sim, i);
}

/* Where the next report begins; see struct report_asked. */
static void
find_begin(struct sim *sim)
{
	struct report_world *world = sim->world;
	const struct report_mark *mark = &world->acknowledged;
	const struct maker *maker = world->maker;

	world->restart = 0;
	if (mark->sequence == 0 ||
	    (mark->batch < maker->n &&
		memcmp(maker->heads[mark->batch], mark->head, 32) == 0))
		return;
	while (maker->headers[world->restart].generation <= mark->generation)
		world->restart++;
	fuzz_must(world->restart < maker->n);
}

static void
send_report(struct sim *sim)
{
	struct report_world *world = sim->world;
	struct message *message = &sim->reports[draw(sim, WAY)];

	find_begin(sim);
	world->body_goal = draw(sim, 2) == 0 ? 0 : 6000;
	int err = world_report_as(world, "vector");

	if (err == ERR_NOT_FOUND_INTERNAL)
		return;
	fuzz_must(err == 0);
	/* Whatever was in this place is lost. */
	buf_clear(&message->token);
	buf_clear(&message->body);
	buf_add(&message->token, world->token.data, world->token.len);
	buf_add(&message->body, world->body.data, world->body.len);
	message->used = true;
}

/* A mark goes forth, or back with a later generation of the hub. */
static void
take_receipt(struct sim *sim, const struct receipt *receipt)
{
	struct report_mark *mark = &sim->world->acknowledged;

	if (receipt->generation < sim->heard ||
	    (receipt->generation == sim->heard &&
		receipt->mark.sequence <= mark->sequence))
		return;
	*mark = receipt->mark;
	sim->heard = receipt->generation;
}

/* --- the hub -------------------------------------------------------------------- */

/* What a report that was taken tells of metrics adds to what is there. */
static void
count_metrics(struct sim *sim)
{
	const struct report_finding *found = &sim->world->finding;

	for (uint32_t i = 0; i < found->n_hours; i++) {
		const struct report_hour *hour = &found->hours[i];
		uint64_t metric = strtoull(hour->feature, NULL, 10);

		fuzz_must(hour->metric && metric < EVENTS / TOGETHER);
		fuzz_must(hour->license[4] == (char)('1' + metric % 2));
		sim->sums[metric] += hour->sum;
		sim->metrics_taken += hour->events;
	}
}

static struct receipt
answer_of(const struct sim *sim)
{
	return (struct receipt){ sim->world->hub.mark, sim->generation, true };
}

static void
deliver(struct sim *sim, uint64_t at, bool alter)
{
	struct report_world *world = sim->world;
	struct message *message = &sim->reports[at];
	enum report_answer answer;

	if (!message->used)
		return;
	if (alter) {
		size_t place = draw(sim, message->body.len);
		size_t len = draw(sim, 2) == 0 ? message->body.len : place;

		message->body.data[place] ^= 1;
		answer = hub_take(world, message->token.data,
		    message->token.len, message->body.data, len);
		fuzz_must(answer != REPORT_TAKEN);
		message->body.data[place] ^= 1;
	} else
		answer =
		    hub_take_report_of(world, &message->token, &message->body);
	sim->taken += answer == REPORT_TAKEN;
	if (answer == REPORT_TAKEN)
		count_metrics(sim);
	sim->refused[answer]++;
	/* An honest site is never called a liar. */
	fuzz_must(alter || answer == REPORT_TAKEN ||
	    answer == REPORT_REPLAYED || answer == REPORT_GAP ||
	    answer == REPORT_FORK);
	/* It may crash before its answer is on the way. */
	if (draw(sim, 8) == 0)
		return;
	uint64_t to = draw(sim, WAY);

	sim->receipts[to] = answer_of(sim);
}

/* Its store is copied, and put back to that copy later. */
static void
copy_hub(struct sim *sim)
{
	sim->copy.hub = sim->world->hub;
	memcpy(sim->copy.sums, sim->sums, sizeof sim->sums);
	sim->copy.metrics_taken = sim->metrics_taken;
	sim->copied = true;
}

static void
put_hub_back(struct sim *sim)
{
	if (!sim->copied)
		return;
	sim->world->hub = sim->copy.hub;
	memcpy(sim->sums, sim->copy.sums, sizeof sim->sums);
	sim->metrics_taken = sim->copy.metrics_taken;
	sim->generation++;
	sim->hubs_put_back++;
}

/* --- a history -------------------------------------------------------------------- */

static void
step(struct sim *sim)
{
	uint64_t at = draw(sim, WAY);

	switch (draw(sim, 21)) {
	case 0 ... 4:
		grant(sim);
		break;
	case 5 ... 7:
		send_report(sim);
		break;
	case 8 ... 10:
		if (!sim->cut)
			deliver(sim, at, false); /* and again, perhaps */
		break;
	case 11:
		if (!sim->cut)
			deliver(sim, at, true);
		break;
	case 12:
		sim->reports[at].used = false;
		sim->receipts[draw(sim, WAY)].used = false;
		break;
	case 13:
		if (!sim->cut && sim->receipts[at].used)
			take_receipt(sim, &sim->receipts[at]);
		break;
	case 14:
		sim->cut = draw(sim, 3) == 0;
		break;
	case 15:
		if (draw(sim, 3) == 0)
			put_back(sim);
		break;
	case 16:
		if (draw(sim, 2) == 0)
			copy_hub(sim);
		break;
	case 17:
		if (draw(sim, 4) == 0)
			put_hub_back(sim);
		break;
	default:
		track(sim);
	}
}

/* The line holds: what is new arrives, and the answers come back. */
static void
settle(struct sim *sim)
{
	for (int i = 0; i < 200; i++) {
		find_begin(sim);
		sim->world->body_goal = 6000;
		int err = world_report_as(sim->world, "vector");

		if (err == ERR_NOT_FOUND_INTERNAL)
			return;
		fuzz_must(err == 0);
		enum report_answer answer = hub_take_report(sim->world);

		if (answer == REPORT_TAKEN)
			count_metrics(sim);
		if (answer > REPORT_FORK)
			fprintf(stderr, "%s: %s\n", report_answer_names[answer],
			    sim->world->finding.reason);
		fuzz_must(answer != REPORT_HOLE && answer != REPORT_ALTERED &&
		    answer != REPORT_FORGED && answer != REPORT_MALFORMED);
		const struct receipt receipt = answer_of(sim);

		take_receipt(sim, &receipt);
	}
	fuzz_must(!"it settles");
}

/* Each event is a byte of its metric's sum: no byte is above 1. */
static void
check_metrics(const struct sim *sim, uint64_t seed)
{
	for (uint64_t n = 0; n < EVENTS; n++) {
		uint64_t billed =
		    sim->sums[n / TOGETHER] >> (8 * (n % TOGETHER)) & 0xff;
		bool held = n < sim->n_events && sim->event_at[n] != 0;

		if (billed == 1 ? n < sim->n_events : billed == 0 && !held)
			continue;
		fprintf(stderr,
		    "seed %" PRIu64 ": event %" PRIu64 " is billed %" PRIu64
		    " times\n",
		    seed, n, billed);
		abort();
	}
}

static void
run(uint64_t seed, uint64_t *leases, uint64_t *taken, uint64_t *refused,
    uint64_t *events, uint64_t *hubs)
{
	static struct sim sim;

	memset(&sim, 0, sizeof sim);
	sim.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	sim.world = report_world_new((uint8_t)(1 + seed % 200));
	for (int i = 0; i < STEPS; i++)
		step(&sim);
	settle(&sim);
	if (sim.world->hub.seats != sim.n_leases) {
		fprintf(stderr,
		    "seed %" PRIu64 ": %" PRIu64 " overage seats were granted, "
		    "%" PRIu64 " are billed\n",
		    seed, sim.n_leases, sim.world->hub.seats);
		abort();
	}
	check_metrics(&sim, seed);
	*leases += sim.n_leases;
	*events += sim.metrics_taken;
	*taken += sim.taken;
	*hubs += sim.hubs_put_back;
	for (int i = 1; i < REPORT_ANSWERS; i++)
		*refused += sim.refused[i];
	for (uint64_t i = 0; i < LEASES; i++)
		buf_release(&sim.leases[i].bytes);
	for (uint64_t i = 0; i < WAY; i++) {
		buf_release(&sim.reports[i].token);
		buf_release(&sim.reports[i].body);
	}
	report_world_release(sim.world);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t seed = 1, runs = 300, done = 0;
	uint64_t leases = 0, taken = 0, refused = 0, events = 0, hubs = 0;
	time_t end = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (c == 'r')
			runs = strtoull(optarg, NULL, 10);
		else if (c == 't')
			end = time(NULL) + strtol(optarg, NULL, 10);
		else
			return 2;
	}
	if (sodium_init() < 0)
		return 1;
	for (; end != 0 ? time(NULL) < end : done < runs; done++)
		run(seed + done, &leases, &taken, &refused, &events, &hubs);
	printf("sync_sim: %" PRIu64 " histories from seed %" PRIu64 ": %" PRIu64
	       " overage seats and %" PRIu64
	       " events of metrics, each billed once; %" PRIu64
	       " reports taken, %" PRIu64 " refused by name, %" PRIu64
	       " times a hub was put back\n",
	    done, seed, leases, events, taken, refused, hubs);
	return 0;
}
