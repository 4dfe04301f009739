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
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What checkout and run have in common on the command line. */
static int
read_options(struct local_checkout *request, int *argc, char **argv)
{
	const char *version = "0", *user = "", *feature = "", *value;
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
	return ask_call(local, cli, LOCAL_CHECKOUT, request, reply, arena,
	    (int)(request->wait_s > 86400 ? 86400 : request->wait_s) * 1000 +
		60000);
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

	if (err == 0 && row.kind == ROW_LEASE_GRANTED) {
		const struct row_lease_granted *lease = &row.u.lease_granted;

		if (cli->json)
			printf("{\"lease\":%llu,\"type\":\"%s\",\"slot\":%u,"
			       "\"product\":\"%s\"}\n",
			    (unsigned long long)lease->lease,
			    seat_type_names[lease->type], lease->slot,
			    lease->product);
		else
			printf("lease-%llu: a seat of %s (%s, slot %u), %s\n",
			    (unsigned long long)lease->lease, lease->product,
			    seat_type_names[lease->type], lease->slot, until);
		fflush(stdout);
	} else {
		cli_say("the agent's answer holds no grant");
	}
	arena_release(&arena);
	return err == 0 ? CLI_DONE : CLI_FAILED;
}

struct watch {
	uint64_t lease;
	bool revoked;
};

static void
on_notice(void *ctx, enum local_id id, const void *params)
{
	struct watch *watch = ctx;
	const struct local_revoked *notice = params;

	if (id != LOCAL_REVOKED || notice->lease != watch->lease)
		return;
	watch->revoked = true;
	cli_say("lease-%llu has ended (%s): the seat is no longer held",
	    (unsigned long long)notice->lease, notice->code);
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

/* Stay until a signal, a revocation, or for as long as no agent answers the
 * lease goes on by itself. */
static int
stay(struct local *local, struct watch *watch, int signals)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = signals, .events = POLLIN };

		if (local_wait(local, signals, 1000) != 0) {
			/* The agent is being restarted: it finds the lease and
			 * this process again by itself. */
			if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
				return CLI_FAILED;
		}
		if (watch->revoked)
			return CLI_REFUSED;
		poll_fd.revents = 0;
		if (poll(&poll_fd, 1, 0) > 0)
			return CLI_DONE;
	}
}

int
agent_checkout(struct cli *cli, int argc, char **argv)
{
	struct local_checkout request = { 0 };
	struct local_checkout_reply reply;
	struct watch watch = { 0 };
	struct arena arena = { 0 };
	struct local *local;
	sigset_t before;
	int signals = -1;
	int status = read_options(&request, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "checkout PRODUCT [--version V] [--pid P] [--wait S] "
		    "[--user U]");
	if (status == CLI_DONE)
		status = ask_open(&local, cli);
	if (status != CLI_DONE)
		return status;
	local_on_notice(local, on_notice, &watch);
	status = take(&reply, local, cli, &request, argv[1], &arena);
	if (status != CLI_DONE)
		goto out;
	watch.lease = reply.lease;
	if (request.pid != 0) {
		char until[64];

		snprintf(until, sizeof(until), "held until process %llu ends",
		    (unsigned long long)request.pid);
		status = say_lease(cli, &reply, until);
		goto out;
	}
	signals = signals_open(&before);
	status =
	    say_lease(cli, &reply, "held until this program ends (Ctrl-C)");
	if (status == CLI_DONE && signals >= 0)
		status = stay(local, &watch, signals);
	if (status == CLI_DONE) {
		/* The agent sees the exit too; saying it is only quicker. */
		struct local_return back = { .lease = reply.lease };
		struct local_returned returned;

		(void)local_call(&returned, local, LOCAL_RETURN, &back, &arena,
		    5000, NULL);
	}
out:
	local_close(local);
	arena_release(&arena);
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
wait_child(pid_t pid, struct local *local, int signals)
{
	for (;;) {
		struct signalfd_siginfo info;
		struct pollfd poll_fd = { .fd = signals, .events = POLLIN };
		int state;

		if (waitpid(pid, &state, WNOHANG) == pid) {
			if (WIFSIGNALED(state))
				return 128 + WTERMSIG(state);
			return WEXITSTATUS(state);
		}
		if (local == NULL || local_wait(local, signals, 1000) != 0) {
			local = NULL;
			(void)poll(&poll_fd, 1, 1000);
		}
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
	struct local_checkout_reply reply;
	struct watch watch = { 0 };
	struct arena arena = { 0 };
	struct local *local = NULL;
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
		status = ask_open(&local, cli);
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
	local_on_notice(local, on_notice, &watch);
	status = take(&reply, local, cli, &request, argv[1], &arena);
	if (status == CLI_DONE) {
		watch.lease = reply.lease;
		if (write(go, "", 1) != 1)
			status = CLI_FAILED;
	}
	close(go);
	if (status != CLI_DONE)
		waitpid(pid, NULL, 0);
	else
		status = wait_child(pid, local, signals);
out:
	local_close(local);
	arena_release(&arena);
	if (signals >= 0)
		close(signals);
	return status;
}
