/*
 * The CLI's way to the agent: opening, asking, and saying what went wrong. It
 * must not know what is asked.
 */
#ifndef AGENT_CLI_ASK_H
#define AGENT_CLI_ASK_H

#include "agent/cli/cli.h"
#include "agent/lib/local.h"

/** Returns an exit status; the problem has been said. */
int ask_open(struct local **local, struct cli *cli);
/** What local_call returned: says the problem, gives the exit status. */
int ask_answer(const struct cli *cli, int err, struct problem *problem);

#endif
