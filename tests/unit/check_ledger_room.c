/* Room: a map that grows, a store that says whether it can be written, and one
 * that must be opened anew. */
#include "appliance/ledger/store.h"
#include "shared/base/clock.h"
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <pthread.h>

#define PRODUCT "davinci-configurator-se"

static struct world world;

static void
setup(void)
{
	world_init(&world, 9);
	ledger_close(world.ledger);
	world.options.map_bytes = 1 << 20;
	world.options.map_grows = true;
	world.options.volatile_ = false;
	world_open(&world);
}

static void
teardown(void)
{
	if (world.ledger != NULL)
		world_check(&world);
	world_free(&world);
}

static int
start_once(void)
{
	struct ledger_start started = { .row.software = "test" };
	struct command command =
	    world_command(&world, LEDGER_START, ACTOR_SITE, 0, &started);
	int err = world_do(&world, &command);

	arena_release(&command.arena);
	return err;
}

static void
start_until_full(void)
{
	int err = 0;

	for (int n = 0; n < 5000 && err == 0; n++)
		err = start_once();
	ck_assert_int_eq(err, ERR_FULL);
}

START_TEST(a_full_map_grows_and_the_journal_goes_on)
{
	struct store_room before, after;
	uint64_t device = world_device(&world, "ws-1");
	struct license license = world_license(&world, PRODUCT, 5, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	start_until_full();
	ledger_room(&before, world.ledger);
	ck_assert_uint_eq(before.map_bytes, 1 << 20);
	ck_assert_int_eq(ledger_grow(world.ledger), 0);
	ledger_room(&after, world.ledger);
	ck_assert_uint_gt(after.map_bytes, before.map_bytes);
	for (int n = 0; n < 500; n++)
		ck_assert_int_eq(start_once(), 0);
	ck_assert_uint_eq(world_lease(&world, device, PRODUCT), 1);
	world_check(&world);
	/* The file knows its size: the option is smaller than that. */
	world_reopen(&world);
	ck_assert_int_eq(start_once(), 0);
}
END_TEST

START_TEST(a_map_with_room_does_not_grow)
{
	struct store_room room;

	ledger_close(world.ledger);
	world.options.map_bytes = (size_t)1 << 30;
	world_open(&world);
	ck_assert_int_eq(ledger_grow(world.ledger), ERR_FULL);
	ledger_room(&room, world.ledger);
	ck_assert_uint_eq(room.map_bytes, (size_t)1 << 30);
}
END_TEST

START_TEST(a_map_does_not_grow_under_a_reader)
{
	struct ledger_view *view;
	int64_t start = clock_boottime_ms();

	start_until_full();
	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_grow(world.ledger), ERR_BUSY);
	ck_assert_int_lt(clock_boottime_ms() - start, 20000);
	/* The reader still sees all. */
	char error[256];

	ck_assert_int_eq(ledger_check(view, error, sizeof(error)), 0);
	ledger_view_close(view);
	ck_assert_int_eq(ledger_grow(world.ledger), 0);
	ck_assert_int_eq(start_once(), 0);
}
END_TEST

struct readers {
	pthread_t threads[3];
	_Atomic bool stop;
	_Atomic int views, failed;
};

static void *
read_on(void *ctx)
{
	struct readers *readers = ctx;
	char error[256];

	while (!readers->stop) {
		struct ledger_view *view;

		if (ledger_view_open(&view, world.ledger) != 0 ||
		    ledger_check(view, error, sizeof(error)) != 0)
			readers->failed++;
		else
			readers->views++;
		ledger_view_close(view);
	}
	return NULL;
}

START_TEST(a_map_grows_between_readers_of_other_threads)
{
	struct readers readers = { .stop = false };
	int grown = 0;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&readers.threads[i], NULL,
				     read_on, &readers),
		    0);
	for (int n = 0; n < 3000 && grown < 1; n++)
		if (start_once() == ERR_FULL && ledger_grow(world.ledger) == 0)
			grown++;
	for (int n = 0; n < 20; n++)
		ck_assert_int_eq(start_once(), 0);
	readers.stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(readers.threads[i], NULL);
	ck_assert_int_eq(grown, 1);
	ck_assert_int_gt(readers.views, 0);
	ck_assert_int_eq(readers.failed, 0);
}
END_TEST

START_TEST(a_probe_says_whether_it_can_be_written)
{
	uint8_t before[32], after[32];

	world_state_hash(before, &world);
	ck_assert_int_eq(ledger_probe(world.ledger), 0);
	ck_assert_int_eq(ledger_probe(world.ledger), 0);
	world_state_hash(after, &world);
	ck_assert_mem_eq(before, after, 32);
	world.options.map_grows = false;
	world_reopen(&world);
	start_until_full();
	for (int i = 0; i < 20; i++)
		(void)start_once();
	ck_assert_int_eq(ledger_probe(world.ledger), ERR_FULL);
	ck_assert(!ledger_is_broken(world.ledger));
}
END_TEST

/* The descriptor that LMDB writes its meta pages through. */
static int
find_meta_fd(void)
{
	char name[64], target[256];

	for (int fd = 3; fd < 200; fd++) {
		int flags = fcntl(fd, F_GETFL);

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(name, target, sizeof(target) - 1);

		if (flags < 0 || (flags & O_DSYNC) == 0 || n < 8)
			continue;
		target[n] = '\0';
		if (strstr(target, "data.mdb") != NULL)
			return fd;
	}
	return -1;
}

START_TEST(a_store_whose_last_page_failed_is_opened_anew)
{
	uint8_t before[32], after[32];
	int fd = find_meta_fd();

	ck_assert_int_ge(fd, 0);
	world_state_hash(before, &world);
	int null = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(null, 0);
	ck_assert_int_eq(dup3(null, fd, O_CLOEXEC), fd);
	close(null);
	ck_assert_int_ne(start_once(), 0);
	ck_assert_int_eq(start_once(), ERR_IO);
	ck_assert(ledger_is_broken(world.ledger));
	ck_assert_int_eq(ledger_probe(world.ledger), ERR_IO);
	ck_assert_int_eq(ledger_grow(world.ledger), ERR_FULL);
	world_reopen(&world);
	ck_assert(!ledger_is_broken(world.ledger));
	world_state_hash(after, &world);
	ck_assert_mem_eq(before, after, 32);
	ck_assert_int_eq(start_once(), 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_room");
	TCase *t = tcase_create("ledger_room");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_full_map_grows_and_the_journal_goes_on);
	tcase_add_test(t, a_map_with_room_does_not_grow);
	tcase_add_test(t, a_map_does_not_grow_under_a_reader);
	tcase_add_test(t, a_map_grows_between_readers_of_other_threads);
	tcase_add_test(t, a_probe_says_whether_it_can_be_written);
	tcase_add_test(t, a_store_whose_last_page_failed_is_opened_anew);
	suite_add_tcase(s, t);
	return s;
}
