/* Old batches are given up at any moment, with faults on the way, while leases
 * are held. What is left is verified and folded then and there. */
#include "tests/sim/sim.h"
#include "tests/unit/prune_world.h"

static void
fold(struct sim *sim)
{
	struct ledger_options to = sim->world.options;
	struct ledger_view *view;
	char path[160];

	snprintf(path, sizeof path, "%s/pruned", sim->world.dir);
	to.path = path;
	to.map_bytes = (size_t)4 << 30;
	sim_must(sim, ledger_view_open(&view, sim->world.ledger) == 0);
	sim_must(sim, ledger_refold(view, &to) == 0);
	ledger_view_close(view);
	world_remove(path);
}

static void
make_room(struct sim *sim)
{
	sim->tally.full++;
	sim->world.options.map_bytes *= 4;
	sim_reopen(sim);
}

static void
note_given_up(struct sim *sim)
{
	struct journal_anchor anchor;
	struct journal_header header;
	struct ledger_view *view;
	uint8_t head[32];

	sim_must(sim, ledger_view_open(&view, sim->world.ledger) == 0);
	sim_must(sim, ledger_anchor(&anchor, view) == 0);
	if (anchor.before != 0) {
		sim_must(sim,
		    journal_header_verify(&header, head, anchor.header.data,
			anchor.header.len, sim->world.site_public) == 0);
		sim->given_up = header.totals.grants;
	}
	ledger_view_close(view);
}

/* The row, at the time of the last batch, so that no clock moves. */
static int
give_up(struct sim *sim, const struct ledger_prune *request)
{
	struct command command =
	    world_command(&sim->world, LEDGER_PRUNE, ACTOR_ADMIN, 1, request);
	struct command *list = &command;
	const char *planned = NULL;

	if (sim_one_in(sim, 4))
		planned = sim_one_in(sim, 2) ? "append" : "committed";
	sim->fault = planned;
	sim->fault_after = 0;
	sim->fault_err = ERR_IO;
	int err = ledger_commit(sim->world.ledger, &list, 1, sim->last, NULL);
	bool hit = planned != NULL && sim->fault == NULL;

	sim->fault = NULL;
	sim->tally.batches++;
	if (err == ERR_FULL && sim->small_map) {
		make_room(sim);
	} else if (!hit) {
		sim_must(sim, err == 0 && command.err == 0);
		sim->stopped = false;
	} else {
		sim_must(sim, err == ERR_IO);
		if (strcmp(planned, "committed") == 0)
			sim->stopped = false;
		sim->tally.crashes++;
		sim_reopen(sim);
	}
	arena_release(&command.arena);
	return err;
}

static void
sweep(struct sim *sim)
{
	size_t steps = sim_one_in(sim, 3) ? sim_below(sim, 4) : SIZE_MAX;

	if (sim_one_in(sim, 8)) {
		sim->fault = "sweep";
		sim->fault_after = sim_below(sim, 3);
		sim->fault_err = ERR_IO;
	}
	int err = world_sweep(&sim->world, steps);
	bool hit = err == ERR_IO;

	sim->fault = NULL;
	if (err == ERR_FULL && sim->small_map) {
		make_room(sim);
	} else {
		sim_must(sim, err == 0 || hit);
		if (hit)
			sim_reopen(sim);
	}
}

void
sim_prune(struct sim *sim)
{
	struct ledger_prune request = { .based = false };
	struct ledger_plan plan;
	struct problem problem = { .code = "" };
	struct ledger_view *view;
	int64_t before = sim->last - sim_below(sim, 600000);
	int err = 0;

	sim->fault = NULL;
	sim_must(sim, world_plan(&sim->world, &plan, before, &problem) == 0);
	if (plan.row.before == 0)
		return;
	request.row = plan.row;
	if (plan.needs_base) {
		request.based = true;
		sim_must(sim, ledger_view_open(&view, sim->world.ledger) == 0);
		err =
		    ledger_base_make(&request.base, &request.checkpoint, view);
		ledger_view_close(view);
		request.row.checkpoint = request.base.batch;
	}
	if (err == ERR_FULL && sim->small_map) {
		make_room(sim);
		return;
	}
	sim_must(sim, err == 0);
	err = give_up(sim, &request);
	note_given_up(sim);
	if (err == 0) {
		sim->tally.pruned++;
		sweep(sim);
	}
	sim_check_batch(sim);
	if (sim_one_in(sim, 8))
		fold(sim);
}
