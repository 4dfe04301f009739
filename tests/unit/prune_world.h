/*
 * Pruning a world's journal as the process does it: plan, base, batch, sweep.
 */
#ifndef TESTS_UNIT_PRUNE_WORLD_H
#define TESTS_UNIT_PRUNE_WORLD_H

#include "appliance/ledger/prune.h"
#include "tests/unit/ledger_world.h"

static inline int
world_plan(struct world *world, struct ledger_plan *plan, int64_t before_ms,
    struct problem *problem)
{
	struct ledger_view *view;

	world_must(ledger_view_open(&view, world->ledger) == 0);
	int err = ledger_plan(plan, view, before_ms, problem);

	ledger_view_close(view);
	return err;
}

/* The row, and all that comes before it. */
static inline int
world_give_up(struct world *world, const struct ledger_plan *plan)
{
	struct ledger_prune request = { .row = plan->row };
	struct ledger_view *view;
	int err = 0;

	if (plan->needs_base) {
		request.based = true;
		world_must(ledger_view_open(&view, world->ledger) == 0);
		err =
		    ledger_base_make(&request.base, &request.checkpoint, view);
		ledger_view_close(view);
		request.row.checkpoint = request.base.batch;
	}
	if (err != 0)
		return err;
	struct command command =
	    world_command(world, LEDGER_PRUNE, ACTOR_ADMIN, 1, &request);

	err = world_do(world, &command);
	arena_release(&command.arena);
	return err;
}

/* So many transactions of it; SIZE_MAX: to the end. */
static inline int
world_sweep(struct world *world, size_t steps)
{
	struct ledger_sweep sweep;
	bool more = true;
	int err = ledger_sweep_begin(&sweep, world->ledger);

	while (err == 0 && more && steps-- > 0)
		err = ledger_sweep_step(&more, &sweep, world->ledger);
	ledger_sweep_end(&sweep);
	return err;
}

/* All of it; how many batches went. */
static inline uint64_t
world_prune(struct world *world, int64_t before_ms)
{
	struct ledger_plan plan;
	struct problem problem = { .code = "" };

	world_must(world_plan(world, &plan, before_ms, &problem) == 0);
	if (plan.row.before == 0)
		return 0;
	world_must(world_give_up(world, &plan) == 0);
	world_must(world_sweep(world, SIZE_MAX) == 0);
	return plan.batches;
}

#endif
