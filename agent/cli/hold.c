/*
 * checkout and run: a seat held for the life of a process. The agent renews it
 * and watches the process; should this program die, the seat still goes back
 * when the process it was taken for ends.
 */
#include "agent/cli/hold.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void
hold_ended(struct hold *hold, const char *code)
{
	hold->revoked = true;
	cli_say("lease-%llu has ended (%s): the seat is no longer held",
	    (unsigned long long)hold->lease.lease, code);
}

static void
on_notice(void *ctx, enum local_id id, const void *params)
{
	struct hold *hold = ctx;
	const struct local_revoked *notice = params;

	if (id != LOCAL_REVOKED)
		(void)turn_notice(&hold->turn, id, params);
	else if (notice->lease == hold->lease.lease)
		hold_ended(hold, notice->code);
}

void
hold_listen(struct hold *hold)
{
	local_on_notice(hold->local, on_notice, hold);
}

int
hold_signals(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
hold_open(struct hold *hold, struct cli *cli, sigset_t *before)
{
	hold->cli = cli;
	hold->pause_ms = HOLD_PAUSE_FIRST_MS;
	hold->signals = hold_signals(before);
	if (hold->signals < 0) {
		cli_say("cannot wait for signals: %s", strerror(errno));
		return CLI_FAILED;
	}
	int status = ask_open(&hold->local, cli);

	if (status == CLI_DONE)
		hold_listen(hold);
	else
		close(hold->signals);
	return status;
}

static void
hold_close(struct hold *hold)
{
	local_close(hold->local);
	hold->local = NULL;
	close(hold->signals);
	arena_release(&hold->arena);
}

/* This connection speaks for the lease from now on. */
static int
attach(struct hold *hold, struct problem *problem)
{
	const struct local_attach request = {
		.lease = hold->lease.lease,
		.row_number = hold->lease.row_number,
		.row = hold->lease.row,
		.path = hold->lease.path,
		.header = hold->lease.header,
		.count = hold->count,
	};

	hold_listen(hold);
	return local_call(NULL, hold->local, LOCAL_ATTACH, &request, NULL,
	    HOLD_ANSWER_MS, problem);
}

/* The agent is being restarted: it finds the lease and the process again by
 * itself, but whom to tell that the lease has ended it must be told. One
 * attempt after a pause, which signals end. */
static void
hold_reopen(struct hold *hold)
{
	struct pollfd poll_fd = { .fd = hold->signals, .events = POLLIN };
	struct problem problem = { 0 };

	local_close(hold->local);
	hold->local = NULL;
	if (poll(&poll_fd, 1, hold->pause_ms) != 0)
		return;
	hold->pause_ms = 2 * hold->pause_ms < HOLD_PAUSE_MAX_MS
	    ? 2 * hold->pause_ms
	    : HOLD_PAUSE_MAX_MS;
	if (local_open(&hold->local, hold->cli->socket, HOLD_ANSWER_MS, NULL) !=
	    0) {
		hold->local = NULL;
		return;
	}
	int err = attach(hold, &problem);

	if (err == 0) {
		hold->pause_ms = HOLD_PAUSE_FIRST_MS;
	} else if (err == ERR_GONE || err == ERR_NOT_FOUND) {
		/* A notice may have been quicker than the answer. */
		if (!hold->revoked)
			hold_ended(hold, problem.code);
	} else {
		local_close(hold->local);
		hold->local = NULL;
	}
}

/* Until something is to be looked at: a notice, a signal, an agent that is
 * back. A lease that has ended needs no agent. */
static void
hold_wait(struct hold *hold)
{
	struct pollfd poll_fd = { .fd = hold->signals, .events = POLLIN };

	if (hold->local != NULL &&
	    local_wait(hold->local, hold->signals, 1000) == 0)
		return;
	if (hold->revoked)
		(void)poll(&poll_fd, 1, 1000);
	else
		hold_reopen(hold);
}

/* Stay until a signal or a revocation. */
static int
stay(struct hold *hold)
{
	struct pollfd poll_fd = { .fd = hold->signals, .events = POLLIN };

	for (;;) {
		hold_wait(hold);
		if (hold->revoked)
			return CLI_REFUSED;
		if (poll(&poll_fd, 1, 0) > 0)
			return CLI_DONE;
	}
}

/* The agent sees the exit too; saying it is only quicker. */
static void
give_back(struct hold *hold)
{
	const struct local_return back = { .lease = hold->lease.lease,
		.count = hold->count };

	if (hold->local != NULL)
		(void)local_call(NULL, hold->local, LOCAL_RETURN, &back, NULL,
		    HOLD_ANSWER_MS, NULL);
}

int
agent_checkout(struct cli *cli, int argc, char **argv)
{
	struct local_checkout request = { 0 };
	struct hold hold = { 0 };
	char until[64] = "held until this program ends (Ctrl-C)";
	sigset_t before;

	if (cli_flag(&argc, argv, "--by-key"))
		return by_key_checkout(cli, argc, argv);
	int status = take_options(&request, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "checkout PRODUCT [--version V] [--feature F] [--count N] "
		    "[--wait TIME] [--pid P] [--user U]");
	if (status == CLI_DONE)
		status = hold_open(&hold, cli, &before);
	if (status != CLI_DONE)
		return status;
	status = take_seat(&hold, &request, argv[1]);
	if (status == CLI_DONE) {
		if (request.pid != 0)
			snprintf(until, sizeof(until),
			    "held until process %llu ends",
			    (unsigned long long)request.pid);
		status = take_say(&hold, until);
		if (status == CLI_DONE && request.pid == 0)
			status = stay(&hold);
		if (!hold.revoked && (status != CLI_DONE || request.pid == 0))
			give_back(&hold);
	}
	hold_close(&hold);
	return status;
}

/* The child waits for one byte, then becomes the command. */
static pid_t
start_child(int *go, const sigset_t *mask, char **command)
{
	int gate[2];
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		char byte;

		close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(CLI_FAILED);
		sigprocmask(SIG_SETMASK, mask, NULL);
		execvp(command[0], command);
		int failed = errno;

		cli_say("%s: %s", command[0], strerror(failed));
		_exit(failed == ENOENT ? 127 : 126);
	}
	close(gate[0]);
	if (pid < 0)
		close(gate[1]);
	else
		*go = gate[1];
	return pid;
}

/* Hand signals on to the command until it ends; its exit status. */
static int
wait_child(pid_t pid, struct hold *hold)
{
	for (;;) {
		struct signalfd_siginfo info;
		int state;

		if (waitpid(pid, &state, WNOHANG) == pid) {
			if (WIFSIGNALED(state))
				return 128 + WTERMSIG(state);
			return WEXITSTATUS(state);
		}
		hold_wait(hold);
		while (read(hold->signals, &info, sizeof(info)) == sizeof(info))
			if (info.ssi_signo != SIGCHLD &&
			    info.ssi_code <= 0) /* sent, not typed: the
						   terminal told the child */
				kill(pid, (int)info.ssi_signo);
	}
}

int
agent_run(struct cli *cli, int argc, char **argv)
{
	struct local_checkout request = { 0 };
	struct hold hold = { 0 };
	sigset_t before;
	int status, dash = 1, go = -1;
	pid_t pid;

	if (cli_flag(&argc, argv, "--by-key"))
		return by_key_run(cli, argc, argv);
	status = take_options(&request, &argc, argv);
	while (dash < argc && strcmp(argv[dash], "--") != 0)
		dash++;
	if (status == CLI_DONE)
		status = cli_arguments(dash, argv, 1, 1,
		    "run PRODUCT [--version V] [--feature F] [--count N] "
		    "[--wait TIME] -- COMMAND...");
	if (status == CLI_DONE && dash + 1 >= argc) {
		cli_say("run needs a command: leasehold run PRODUCT -- "
			"COMMAND...");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = hold_open(&hold, cli, &before);
	if (status != CLI_DONE)
		return status;
	pid = start_child(&go, &before, argv + dash + 1);
	if (pid < 0) {
		cli_say("cannot start a process: %s", strerror(errno));
		status = CLI_FAILED;
		goto out;
	}
	request.pid = (uint64_t)pid;
	status = take_seat(&hold, &request, argv[1]);
	if (status == CLI_DONE && write(go, "", 1) != 1)
		status = CLI_FAILED;
	close(go);
	if (status != CLI_DONE)
		waitpid(pid, NULL, 0);
	else
		status = wait_child(pid, &hold);
out:
	hold_close(&hold);
	return status;
}
