/*
 * checkout and run: a seat held for the life of a process. The agent renews it
 * and watches the process; should this program die, the seat still goes back
 * when the process it was taken for ends.
 */
#include "agent/cli/ask.h"
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

/* An agent that was restarted: how long its answer may take, and the pauses
 * between looking for it. */
#define ATTACH_MS 5000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000
/* What is asked for without --version: only licenses of all versions hold it. */
#define VERSION_UNSAID "0"

/* What checkout and run have in common on the command line. */
static int
read_options(struct local_checkout *request, int *argc, char **argv)
{
	const char *version = VERSION_UNSAID, *user = "", *feature = "", *value;
	uint64_t pid;
	int found;

	if (cli_option(&version, argc, argv, "--version") < 0 ||
	    cli_option(&user, argc, argv, "--user") < 0 ||
	    cli_option(&feature, argc, argv, "--feature") < 0)
		return CLI_USAGE;
	found = cli_option(&value, argc, argv, "--wait");
	if (found < 0 ||
	    (found > 0 && !cli_duration(&request->wait_s, value, "--wait")))
		return CLI_USAGE;
	found = cli_option(&value, argc, argv, "--pid");
	if (found < 0 ||
	    (found > 0 && !cli_number(&pid, value, "--pid", 1, 1 << 22)))
		return CLI_USAGE;
	if (found > 0)
		request->pid = pid;
	if (!text_copy(request->version, sizeof(request->version), version) ||
	    !text_copy(request->user, sizeof(request->user), user) ||
	    !text_copy(request->feature, sizeof(request->feature), feature)) {
		cli_say("--version holds 31 bytes, --user and --feature 63");
		return CLI_USAGE;
	}
	request->count = 1;
	request->hold = true;
	randombytes_buf(request->request, sizeof(request->request));
	return CLI_DONE;
}

static int
take(struct local_checkout_reply *reply, struct local *local, struct cli *cli,
    struct local_checkout *request, const char *product, struct arena *arena)
{
	if (!text_copy(request->product, sizeof(request->product), product)) {
		cli_say("PRODUCT: longer than 63 bytes");
		return CLI_USAGE;
	}
	struct problem problem = { 0 };
	int wait_s = (int)(request->wait_s > 86400 ? 86400 : request->wait_s);
	int err = local_call(reply, local, LOCAL_CHECKOUT, request, arena,
	    wait_s * 1000 + 60000, &problem);

	if (err == ERR_VERSION_NOT_COVERED &&
	    strcmp(request->version, VERSION_UNSAID) == 0)
		text_copy(problem.hint, sizeof(problem.hint),
		    "say which version runs: --version V");
	return ask_answer(cli, err, &problem);
}

/* The facts of the grant, out of its row. */
static int
say_lease(struct cli *cli, const struct local_checkout_reply *reply,
    const char *until)
{
	struct arena arena = { 0 };
	struct row row;
	int err = row_read(&row, reply->row_number, reply->row.data,
	    reply->row.len, &arena);

	bool granted = err == 0 && row.kind == ROW_LEASE_GRANTED;

	if (granted) {
		const struct row_lease_granted *lease = &row.u.lease_granted;

		if (cli->json)
			printf("{\"lease\":%llu,\"type\":\"%s\",\"slot\":%u,"
			       "\"product\":\"%s\"}\n",
			    (unsigned long long)lease->lease,
			    seat_type_names[lease->type], row_slot_first(lease),
			    lease->product);
		else
			printf("lease-%llu: a seat of %s (%s, slot %u), %s\n",
			    (unsigned long long)lease->lease, lease->product,
			    seat_type_names[lease->type], row_slot_first(lease),
			    until);
		fflush(stdout);
	} else {
		cli_say("the agent's answer holds no grant");
	}
	arena_release(&arena);
	return granted ? CLI_DONE : CLI_FAILED;
}

/* A seat that is held: the connection that speaks for it, NULL while no agent
 * answers, and its evidence, with which another connection can. */
struct hold {
	struct cli *cli;
	struct local *local;
	struct local_checkout_reply lease; /* spans in the arena */
	struct arena arena;
	int pause_ms; /* before the next attempt */
	bool revoked;
};

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

	if (id == LOCAL_REVOKED && notice->lease == hold->lease.lease)
		hold_ended(hold, notice->code);
}

static int
hold_open(struct hold *hold, struct cli *cli)
{
	hold->cli = cli;
	hold->pause_ms = PAUSE_FIRST_MS;
	int status = ask_open(&hold->local, cli);

	if (status == CLI_DONE)
		local_on_notice(hold->local, on_notice, hold);
	return status;
}

static void
hold_close(struct hold *hold)
{
	local_close(hold->local);
	hold->local = NULL;
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
	};

	local_on_notice(hold->local, on_notice, hold);
	return local_call(NULL, hold->local, LOCAL_ATTACH, &request, NULL,
	    ATTACH_MS, problem);
}

/* The agent is being restarted: it finds the lease and the process again by
 * itself, but whom to tell that the lease has ended it must be told. One
 * attempt after a pause, which signals end. */
static void
hold_reopen(struct hold *hold, int signals)
{
	struct pollfd poll_fd = { .fd = signals, .events = POLLIN };
	struct problem problem = { 0 };

	local_close(hold->local);
	hold->local = NULL;
	if (poll(&poll_fd, 1, hold->pause_ms) != 0)
		return;
	hold->pause_ms = 2 * hold->pause_ms < PAUSE_MAX_MS ? 2 * hold->pause_ms
							   : PAUSE_MAX_MS;
	if (local_open(&hold->local, hold->cli->socket, ATTACH_MS, NULL) != 0) {
		hold->local = NULL;
		return;
	}
	int err = attach(hold, &problem);

	if (err == 0) {
		hold->pause_ms = PAUSE_FIRST_MS;
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
hold_wait(struct hold *hold, int signals)
{
	struct pollfd poll_fd = { .fd = signals, .events = POLLIN };

	if (hold->local != NULL && local_wait(hold->local, signals, 1000) == 0)
		return;
	if (hold->revoked)
		(void)poll(&poll_fd, 1, 1000);
	else
		hold_reopen(hold, signals);
}

/* Signals that should end the program, as a descriptor. */
static int
signals_open(sigset_t *before)
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

/* Stay until a signal or a revocation. */
static int
stay(struct hold *hold, int signals)
{
	struct pollfd poll_fd = { .fd = signals, .events = POLLIN };

	for (;;) {
		hold_wait(hold, signals);
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
	const struct local_return back = { .lease = hold->lease.lease };

	if (hold->local != NULL)
		(void)local_call(NULL, hold->local, LOCAL_RETURN, &back, NULL,
		    ATTACH_MS, NULL);
}

int
agent_checkout(struct cli *cli, int argc, char **argv)
{
	struct local_checkout request = { 0 };
	struct hold hold = { 0 };
	char until[64] = "held until this program ends (Ctrl-C)";
	sigset_t before;
	int signals = -1;
	int status = read_options(&request, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "checkout PRODUCT [--version V] [--pid P] [--wait S] "
		    "[--user U]");
	if (status == CLI_DONE)
		status = hold_open(&hold, cli);
	if (status != CLI_DONE)
		return status;
	status =
	    take(&hold.lease, hold.local, cli, &request, argv[1], &hold.arena);
	if (status != CLI_DONE)
		goto out;
	if (request.pid != 0)
		snprintf(until, sizeof(until), "held until process %llu ends",
		    (unsigned long long)request.pid);
	else
		signals = signals_open(&before);
	status = say_lease(cli, &hold.lease, until);
	if (status == CLI_DONE && request.pid != 0)
		goto out;
	if (status == CLI_DONE && signals < 0) {
		cli_say("cannot wait for signals: %s", strerror(errno));
		status = CLI_FAILED;
	}
	if (status == CLI_DONE)
		status = stay(&hold, signals);
	if (!hold.revoked)
		give_back(&hold);
out:
	hold_close(&hold);
	if (signals >= 0)
		close(signals);
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
wait_child(pid_t pid, struct hold *hold, int signals)
{
	for (;;) {
		struct signalfd_siginfo info;
		int state;

		if (waitpid(pid, &state, WNOHANG) == pid) {
			if (WIFSIGNALED(state))
				return 128 + WTERMSIG(state);
			return WEXITSTATUS(state);
		}
		hold_wait(hold, signals);
		while (read(signals, &info, sizeof(info)) == sizeof(info))
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
	int signals, status, dash = 1, go = -1;
	pid_t pid;

	status = read_options(&request, &argc, argv);
	while (dash < argc && strcmp(argv[dash], "--") != 0)
		dash++;
	if (status == CLI_DONE)
		status = cli_arguments(dash, argv, 1, 1,
		    "run PRODUCT [--version V] [--wait S] -- COMMAND...");
	if (status == CLI_DONE && dash + 1 >= argc) {
		cli_say("run needs a command: leasehold run PRODUCT -- "
			"COMMAND...");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = hold_open(&hold, cli);
	if (status != CLI_DONE)
		return status;
	signals = signals_open(&before);
	pid = signals < 0 ? -1 : start_child(&go, &before, argv + dash + 1);
	if (pid < 0) {
		cli_say("cannot start a process: %s", strerror(errno));
		status = CLI_FAILED;
		goto out;
	}
	request.pid = (uint64_t)pid;
	status =
	    take(&hold.lease, hold.local, cli, &request, argv[1], &hold.arena);
	if (status == CLI_DONE && write(go, "", 1) != 1)
		status = CLI_FAILED;
	close(go);
	if (status != CLI_DONE)
		waitpid(pid, NULL, 0);
	else
		status = wait_child(pid, &hold, signals);
out:
	hold_close(&hold);
	if (signals >= 0)
		close(signals);
	return status;
}
