/* What one batch holds: it stays small enough to be read by others, and the
 * writer lets nobody pay for that. */
#include "appliance/ledger/writer.h"
#include "shared/base/clock.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <event2/event.h>

#define PRODUCT "davinci"
#define TURNS (WRITER_BATCH_MAX / 2)

static struct world world;
static uint64_t device;
static uint64_t next_lease;
static struct checkout bodies[TURNS];
static struct lease_return returns[TURNS];

/* Free are the seats between those that are held: a lease of many has as many
 * runs as it can. */
static void
setup(void)
{
	static uint64_t held[2 * LEASE_COUNT_MAX];

	world_init(&world, 43);
	device = world_device(&world, "ws-1");
	struct license license =
	    world_license(&world, PRODUCT, 2 * LEASE_COUNT_MAX, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	for (int i = 0; i < 2 * LEASE_COUNT_MAX; i++)
		held[i] = world_lease(&world, device, PRODUCT);
	for (int i = 0; i < 2 * LEASE_COUNT_MAX; i += 2)
		ck_assert_int_eq(world_return(&world, device, held[i]), 0);
	next_lease = held[2 * LEASE_COUNT_MAX - 1] + 1;
}

static void
teardown(void)
{
	world_free(&world);
}

/* One device takes all that is free and gives it back, again and again, without
 * waiting for answers: what the lease will be called is known. */
static struct command
turn(int i)
{
	bool take = i % 2 == 0;

	if (take) {
		bodies[i / 2] = world_checkout_body(&world, PRODUCT, "alice");
		bodies[i / 2].count = LEASE_COUNT_MAX;
	} else {
		returns[i / 2] = (struct lease_return){
			.lease = next_lease + (uint64_t)i / 2,
		};
	}
	return world_command(&world, take ? OP_LEASE_CHECKOUT : OP_LEASE_RETURN,
	    ACTOR_DEVICE, device,
	    take ? (const void *)&bodies[i / 2] : &returns[i / 2]);
}

/* Every batch can be shown: to who verifies the journal. */
static void
expect_readable(void)
{
	struct arena arena = { .chunks = NULL };
	struct ledger_view *view;
	struct batch_query query = { .from = 0 };
	struct problem problem;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	do {
		struct batch_page page = { .next = 0 };

		query.limit = LIST_LIMIT_MAX;
		ck_assert_int_eq(ledger_query(&page, view, OP_JOURNAL_BATCHES,
				     &query, world.now, &arena, &problem),
		    0);
		ck_assert_int_eq(record_check(&batch_page_record, &page, NULL),
		    0);
		query.from = page.next;
		arena_clear(&arena);
	} while (query.from != 0);
	ledger_view_close(view);
	arena_release(&arena);
}

START_TEST(no_batch_grows_too_large_to_be_shown)
{
	static struct command commands[WRITER_BATCH_MAX];
	struct command *list[WRITER_BATCH_MAX];
	int done = 0;

	for (int i = 0; i < WRITER_BATCH_MAX; i++) {
		commands[i] = turn(i);
		list[i] = &commands[i];
	}
	ck_assert_int_eq(ledger_commit(world.ledger, list, WRITER_BATCH_MAX,
			     world.now, NULL),
	    0);
	while (done < WRITER_BATCH_MAX && commands[done].err == 0)
		done++;
	/* Once it is full nothing more comes in. */
	ck_assert_int_gt(done, 100);
	ck_assert_int_lt(done, WRITER_BATCH_MAX);
	for (int i = 0; i < WRITER_BATCH_MAX; i++) {
		ck_assert_int_eq(commands[i].err, i < done ? 0 : ERR_BUSY);
		arena_release(&commands[i].arena);
	}
	expect_readable();
	world_check(&world);
}
END_TEST

/* --- through the writer ---------------------------------------------------- */

static struct event_base *base;
static int answered, refused, batches;
static size_t rows;

static void
on_done(struct work *work)
{
	const struct write *write = (const struct write *)work;

	answered++;
	refused += write->command.err != 0;
	if (answered == WRITER_BATCH_MAX)
		event_base_loopbreak(base);
}

static void
on_batch(void *ctx, const struct write_outcome *outcome)
{
	(void)ctx;
	ck_assert_int_eq(outcome->rc, 0);
	batches++;
	rows += outcome->rows;
}

START_TEST(a_full_batch_is_followed_by_another_and_nobody_is_refused)
{
	static struct write writes[WRITER_BATCH_MAX];
	static struct shared_clock clock = { .lock =
						 PTHREAD_MUTEX_INITIALIZER };
	const struct writer_callbacks callbacks = { .batch = on_batch };

	base = event_base_new();
	clock_begin(&clock.clock, world.now, true,
	    world.now - clock_boottime_ms(), 0, 0, clock_boottime_ms(),
	    world.now);
	struct outbox *outbox = outbox_new(base);
	struct writer *writer = writer_new(outbox, &clock, &callbacks);

	for (int i = 0; i < WRITER_BATCH_MAX; i++)
		writes[i] = (struct write){
			.work.done = on_done,
			.tenant = &world,
			.ledger = world.ledger,
			.command = turn(i),
		};
	for (int i = 0; i < WRITER_BATCH_MAX; i++)
		writer_put(writer, &writes[i]);
	event_base_dispatch(base);
	writer_free(writer);
	outbox_free(outbox);
	event_base_free(base);
	ck_assert_int_eq(answered, WRITER_BATCH_MAX);
	ck_assert_int_eq(refused, 0);
	/* A row each, and the subjects' two were there before. */
	ck_assert_uint_eq(rows, WRITER_BATCH_MAX);
	for (int i = 0; i < WRITER_BATCH_MAX; i++)
		arena_release(&writes[i].command.arena);
	expect_readable();
	world_check(&world);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_batch");
	TCase *t = tcase_create("ledger_batch");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, no_batch_grows_too_large_to_be_shown);
	tcase_add_test(t,
	    a_full_batch_is_followed_by_another_and_nobody_is_refused);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}
