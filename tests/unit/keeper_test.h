/*
 * What the tests of the keeper share: one world a test, and the questions that
 * most of them ask.
 */
#ifndef TESTS_UNIT_KEEPER_TEST_H
#define TESTS_UNIT_KEEPER_TEST_H

#include "tests/unit/keeper_world.h"

/* check runs each test in a process of its own, so these are one test's. */
static struct world world;
static struct arena arena;
static struct problem problem;

static inline void
setup(void)
{
	world_open(&world);
	world_enrolled(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	memset(&arena, 0, sizeof(arena));
}

static inline void
setup_fresh(void)
{
	world_open(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	memset(&arena, 0, sizeof(arena));
}

static inline void
teardown(void)
{
	arena_release(&arena);
	world_close(&world);
}

static inline struct local_checkout
question(void)
{
	struct local_checkout ask = { .product = "p", .version = "1.0" };

	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	randombytes_buf(ask.request, sizeof(ask.request));
	return ask;
}

static inline struct local_checkout_reply
take_seat(const struct local_checkout *ask)
{
	struct local_checkout_reply reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, ask, &arena,
			     &problem),
	    0);
	return reply;
}

static inline pid_t
start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	return pid;
}

static inline struct local_status
status(void)
{
	struct empty nothing = { 0 };
	struct local_status reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_STATUS, &nothing,
			     &arena, &problem),
	    0);
	return reply;
}

static inline uint32_t
count_leases(void)
{
	struct local_list all = { 0 };
	struct local_leases reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_LIST, &all, &arena,
			     &problem),
	    0);
	return reply.items.count;
}

/* A line that was cut a moment ago counts as such before the keeper knows. */
static inline void
wait_connected(void)
{
	for (int i = 0; i < 500 && !(world.connected && status().connected);
	     i++)
		world_serve_for(&world, 10);
	ck_assert(world.connected && status().connected);
}

#endif
