/* Questions to the agent on its Unix socket. */
#include "agent/cli/ask.h"
#include "shared/base/err.h"
#include "shared/rpc/rpc.h"

#include <stdio.h>
#include <string.h>

/** The agent may be waiting for the site; a person should not wait longer. */
#define ASK_MS 60000

int
ask_open(struct local **local, struct cli *cli)
{
	struct problem problem = { 0 };
	int err = local_open(local, cli->socket, 5000, &problem);

	if (err == 0)
		return CLI_DONE;
	problem_set(&problem, ERR_UNAVAILABLE,
	    "start it, as root: leasehold-agent; an agent on another socket: "
	    "--socket PATH or LEASEHOLD_SOCKET",
	    "no agent answers on %s", cli->socket);
	cli_problem(cli, &problem);
	return CLI_UNREACHABLE;
}

int
ask_answer(const struct cli *cli, int err, struct problem *problem)
{
	if (err == 0)
		return CLI_DONE;
	if (err == ERR_CLOSED)
		problem_set(problem, ERR_UNAVAILABLE,
		    "try again: leasehold status",
		    "the agent hung up before it answered");
	cli_problem(cli, problem);
	return cli_status(err);
}

int
cli_ask(struct cli *cli, enum local_id op, const void *request, void *reply,
    struct arena *arena)
{
	struct problem problem = { 0 };
	struct local *local;
	int status = ask_open(&local, cli);

	if (status != CLI_DONE)
		return status;
	status = ask_answer(cli,
	    local_call(reply, local, op, request, arena, ASK_MS, &problem),
	    &problem);
	local_close(local);
	return status;
}
