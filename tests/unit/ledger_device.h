/*
 * What the tests of join tokens and devices share: a site with a product of
 * three seats, a token, and commands in one line. Header only.
 */
#ifndef TESTS_UNIT_LEDGER_DEVICE_H
#define TESTS_UNIT_LEDGER_DEVICE_H

#include "tests/unit/ledger_world.h"

#include <check.h>

#define PRODUCT "davinci-configurator-se"

/* check runs each test in a process of its own, so these are one test's. */
static struct world world;
static struct buf token;
static uint8_t key[32] = { 42 };

static inline void
setup(void)
{
	world_init(&world, 3);
	struct license license = world_license(&world, PRODUCT, 3, 0);

	ck_assert_int_eq(world_install(&world, &license), 0);
	ck_assert_int_eq(world_join(&world, &token, 1, 3600), 0);
}

static inline void
teardown(void)
{
	buf_release(&token);
	world_check(&world);
	world_free(&world);
}

static inline int
enroll(const uint8_t public_key[32], uint64_t *device)
{
	struct command command;
	int err = world_enroll_as(&world, &command, &token, "ws-1", "ws-1",
	    public_key, PROOF_SOFTWARE);

	*device = err == 0 ? command.reply.enroll.device : 0;
	return err;
}

/* A token as asked for; its number. */
static inline uint64_t
make_join(const struct join_create *create)
{
	struct command command =
	    world_command(&world, OP_JOIN_CREATE, ACTOR_ADMIN, 7, create);

	ck_assert_int_eq(world_do(&world, &command), 0);
	buf_clear(&token);
	buf_add(&token, command.reply.join.token.data,
	    command.reply.join.token.len);
	uint64_t number = command.reply.join.join;

	arena_release(&command.arena);
	return number;
}

static inline int
admin_does(uint32_t op, const void *request, struct problem *problem)
{
	struct command command =
	    world_command(&world, op, ACTOR_ADMIN, 1, request);
	int err = world_do(&world, &command);

	if (problem != NULL)
		*problem = command.problem;
	arena_release(&command.arena);
	return err;
}

static inline int
ask(void *reply, uint32_t op, const void *request, struct arena *arena)
{
	struct ledger_view *view;
	struct problem problem;

	ck_assert_int_eq(ledger_view_open(&view, world.ledger), 0);
	int err =
	    ledger_query(reply, view, op, request, world.now, arena, &problem);

	ledger_view_close(view);
	return err;
}

#endif
