/*
 * What checkout and run share: a seat that is asked for, waited for and held
 * over one connection to the agent at a time. Only hold.c, take.c, grant.c and
 * by_key.c
 * may include it.
 */
#ifndef AGENT_CLI_HOLD_H
#define AGENT_CLI_HOLD_H

#include "agent/cli/ask.h"
#include "agent/lib/turn.h"

#include <signal.h>

/* An agent that was restarted: how long its answer may take, and the pauses
 * between looking for it. */
#define HOLD_ANSWER_MS 5000
#define HOLD_PAUSE_FIRST_MS 100
#define HOLD_PAUSE_MAX_MS 5000

/* A seat that is held: the connection that speaks for it, NULL while no agent
 * answers, and its evidence, with which another connection can. */
struct hold {
	struct cli *cli;
	struct local *local;
	int signals; /* signalfd of those that end it */
	struct turn turn; /* before it is held */
	struct local_checkout_reply lease; /* spans in the arena */
	struct arena arena;
	uint32_t count; /* seats that were asked for */
	int pause_ms; /* before the next attempt */
	bool revoked;
};

/* --- hold.c --------------------------------------------------------------- */

/** Signals that should end the program, blocked, as a descriptor; those that
 * were blocked before. -1: errno says why. */
int hold_signals(sigset_t *before);
/** Notices of this connection are the hold's. */
void hold_listen(struct hold *hold);

/* --- take.c --------------------------------------------------------------- */

/** The options of checkout and run. */
int take_options(struct local_checkout *request, int *argc, char **argv);

/** Ask for the seat, and wait for it as long as the request says, showing that
 * on standard error. On CLI_DONE the hold has it. A signal ends the wait: the
 * queue is left and the status is 128 and its number. */
int take_seat(struct hold *hold, struct local_checkout *request,
    const char *product);

/* --- grant.c -------------------------------------------------------------- */

/** The facts of the grant, out of its row. */
int take_say(const struct hold *hold, const char *until);

#endif
