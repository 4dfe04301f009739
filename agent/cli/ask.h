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
int ask_call(struct local *local, struct cli *cli, enum local_id op,
    const void *request, void *reply, struct arena *arena, int timeout_ms);

#endif
