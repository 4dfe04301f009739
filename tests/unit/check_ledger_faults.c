/* Faults at each step of a commit, no room, restarts. */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PRODUCT "davinci-configurator-se"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 4);
	struct license license = world_license(&world, PRODUCT, 50, 50);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check(&world);
	world_free(&world);
}

/* --- faults ------------------------------------------------------------ */

START_TEST(a_fault_at_any_step_leaves_nothing_and_everything_usable)
{
	static const char *const steps[] = { "begin", "decide", "fold",
		"append", "commit" };
	uint8_t before[32], after[32];

	world_state_hash(before, &world);
	for (int i = 0; i < 5; i++) {
		struct checkout body =
		    world_checkout_body(&world, PRODUCT, "alice");
		struct command command;

		world.fault_step = steps[i];
		world.fault_err = i % 2 == 0 ? ERR_FULL : ERR_IO;
		ck_assert_int_eq(world_checkout(&world, &command, device,
				     &body),
		    i % 2 == 0 ? ERR_FULL : ERR_IO);
		ck_assert_str_eq(command.problem.code, "unavailable");
		arena_release(&command.arena);
		world_state_hash(after, &world);
		ck_assert_mem_eq(before, after, 32);
	}
	/* And no memory of it: the first slot, the first number. */
	ck_assert_uint_eq(world_lease(&world, device, PRODUCT), 1);
}
END_TEST

/* Whose lease it is, as people are shown it. */
static void
user_of(char user[64], uint64_t lease)
{
	struct lease_ref request = { .lease = lease };
	struct lease_view reply;
	struct ledger_view *view;
	struct problem problem;
	struct arena arena = { 0 };

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	ck_assert_int_eq(ledger_query(&reply, view, OP_LEASE_SHOW, &request,
			     world.now, &arena, &problem),
	    0);
	memcpy(user, reply.user, sizeof(reply.user));
	ledger_view_close(view);
	arena_release(&arena);
}

START_TEST(a_name_first_seen_in_a_batch_that_failed_is_introduced_again)
{
	static const char *const steps[] = { "append", "commit" };
	char user[64];

	for (int i = 0; i < 2; i++) {
		char name[32];

		snprintf(name, sizeof(name), "user-%d", i);
		struct checkout bodies[2] = {
			world_checkout_body(&world, PRODUCT, name),
			world_checkout_body(&world, PRODUCT, name),
		};
		struct command commands[2] = {
			world_command(&world, OP_LEASE_CHECKOUT, ACTOR_DEVICE,
			    device, &bodies[0]),
			world_command(&world, OP_LEASE_CHECKOUT, ACTOR_DEVICE,
			    device, &bodies[1]),
		};
		struct command *list[2] = { &commands[0], &commands[1] };

		/* The second of them meets the name that the first added. */
		world.fault_step = steps[i];
		world.fault_err = ERR_IO;
		ck_assert_int_eq(ledger_commit(world.ledger, list, 2, world.now,
				     NULL),
		    ERR_IO);
		arena_release(&commands[0].arena);
		arena_release(&commands[1].arena);
		ck_assert_int_eq(world_checkout(&world, &commands[0], device,
				     &bodies[0]),
		    0);
		user_of(user, commands[0].reply.checkout.lease);
		ck_assert_str_eq(user, name);
		arena_release(&commands[0].arena);
	}
}
END_TEST

START_TEST(a_crash_after_the_commit_loses_only_the_answer)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	world.fault_step = "committed";
	world.fault_err = ERR_IO;
	ck_assert_int_eq(world_checkout(&world, &command, device, &body),
	    ERR_IO);
	arena_release(&command.arena);
	world_reopen(&world);
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	ck_assert_uint_eq(command.reply.checkout.lease, 1);
	arena_release(&command.arena);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 1);
}
END_TEST

START_TEST(a_full_map_refuses_writes_and_serves_reads)
{
	int err = 0, n = 0;

	ledger_close(world.ledger);
	world.options.map_bytes = 1 << 20;
	world_open(&world);
	for (; n < 5000 && err == 0; n++) {
		struct ledger_start started = { .row.software = "test" };
		struct command command = world_command(&world, LEDGER_START,
		    ACTOR_SITE, 0, &started);

		err = world_do(&world, &command);
		arena_release(&command.arena);
	}
	ck_assert_int_eq(err, ERR_FULL);
	world_check(&world);
	ledger_close(world.ledger);
	world.options.map_bytes = 16 << 20;
	world_open(&world);
	ck_assert_uint_eq(world_lease(&world, device, PRODUCT), 1);
}
END_TEST

/* A file system of a few MB that only this process sees. */
static bool
mount_small(const char *path)
{
	return mkdir(path, 0700) == 0 && unshare(CLONE_NEWNS) == 0 &&
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("tmpfs", path, "tmpfs", 0, "size=6m") == 0;
}

static int
start_until_it_fails(void)
{
	int err = 0;

	for (int n = 0; n < 30000 && err == 0; n++) {
		struct ledger_start started = { .row.software = "test" };
		struct command command = world_command(&world, LEDGER_START,
		    ACTOR_SITE, 0, &started);

		err = world_do(&world, &command);
		arena_release(&command.arena);
	}
	return err;
}

START_TEST(a_full_disk_refuses_writes_until_there_is_room)
{
	char mount_path[96], path[128];
	struct ledger *before = world.ledger;
	struct ledger_options options = world.options;

	snprintf(mount_path, sizeof mount_path, "%s/small", world.dir);
	if (!mount_small(mount_path)) {
		test_skip("ledger_faults:a_full_disk_refuses_writes_until_"
			  "there_is_room",
		    "it cannot mount a file system");
		rmdir(mount_path);
		return;
	}
	snprintf(path, sizeof path, "%s/store", mount_path);
	world.options.path = path;
	world.options.volatile_ = false;
	ck_assert_int_eq(ledger_create(&world.options, world.now), 0);
	world_open(&world);
	ck_assert_int_eq(start_until_it_fails(), ERR_FULL);
	ck_assert_int_eq(start_until_it_fails(), ERR_FULL);
	world_check(&world);
	ck_assert_int_eq(mount(NULL, mount_path, NULL, MS_REMOUNT, "size=9m"),
	    0);
	struct license license = world_license(&world, PRODUCT, 1, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	world_check(&world);
	world_reopen(&world);
	world_check(&world);
	ledger_close(world.ledger);
	world_remove(path);
	umount(mount_path);
	rmdir(mount_path);
	world.options = options;
	world.ledger = before;
}
END_TEST

/* --- restarts ---------------------------------------------------------- */

START_TEST(a_second_process_is_told_that_it_is_busy)
{
	struct ledger *second = NULL;

	ck_assert_int_eq(ledger_open(&second, &world.options), ERR_BUSY);
	ck_assert_ptr_null(second);
}
END_TEST

START_TEST(a_journal_is_created_once)
{
	ledger_close(world.ledger);
	ck_assert_int_eq(ledger_create(&world.options, world.now),
	    ERR_CONFLICT);
	world_open(&world);
}
END_TEST

START_TEST(a_journal_of_another_site_or_key_is_not_opened)
{
	struct ledger_options options = world.options;
	uint8_t public_key[32], secret[64];
	struct ledger *other = NULL;

	ledger_close(world.ledger);
	options.site = "site-other";
	ck_assert_int_eq(ledger_open(&other, &options), ERR_MISMATCH);
	options = world.options;
	options.tenant = "other";
	ck_assert_int_eq(ledger_open(&other, &options), ERR_MISMATCH);
	options = world.options;
	world_keypair(&world, public_key, secret);
	options.site_public = public_key;
	ck_assert_int_ne(ledger_open(&other, &options), 0);
	world_open(&world);
}
END_TEST

START_TEST(a_clean_stop_is_remembered_until_something_is_written)
{
	ck_assert(!ledger_was_clean(world.ledger));
	ck_assert_int_eq(ledger_stop_clean(world.ledger), 0);
	world_reopen(&world);
	ck_assert(ledger_was_clean(world.ledger));
	world_lease(&world, device, PRODUCT);
	ck_assert(ledger_was_clean(world.ledger));
	world_reopen(&world);
	ck_assert(!ledger_was_clean(world.ledger));
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_faults");
	TCase *t = tcase_create("ledger_faults");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t,
	    a_fault_at_any_step_leaves_nothing_and_everything_usable);
	tcase_add_test(t,
	    a_name_first_seen_in_a_batch_that_failed_is_introduced_again);
	tcase_add_test(t, a_crash_after_the_commit_loses_only_the_answer);
	tcase_add_test(t, a_full_map_refuses_writes_and_serves_reads);
	tcase_add_test(t, a_full_disk_refuses_writes_until_there_is_room);
	tcase_add_test(t, a_second_process_is_told_that_it_is_busy);
	tcase_add_test(t, a_journal_is_created_once);
	tcase_add_test(t, a_journal_of_another_site_or_key_is_not_opened);
	tcase_add_test(t,
	    a_clean_stop_is_remembered_until_something_is_written);
	suite_add_tcase(s, t);
	return s;
}
