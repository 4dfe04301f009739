/*
 * checkout and run without an agent: a seat that an API key holds, for
 * programs and containers. It is renewed from here as long as this program
 * lives and given back at its end; nobody else watches, so that a seat whose
 * program was killed comes back when its time is over.
 */
#include "agent/cli/hold.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* One question: none but a wait may take longer. */
#define ASK_S 10
/* The site was not reached: until the next attempt, at most. */
#define AGAIN_MS 5000
#define AGAIN_WAITING_MS 1000

struct by_key {
	struct cli *cli;
	struct seat_checkout request;
	struct seat_lease lease;
	struct problem problem; /* of the last question */
	struct arena arena;
	int signals; /* signalfd of those that end it */
	sigset_t before;
	int signal; /* that came while nothing ran, or 0 */
	int64_t renew_ms; /* CLOCK_BOOTTIME: the next renewal */
	int64_t end_ms; /* of what was promised, grace included */
	bool over; /* the lease has ended */
	bool troubled; /* said that the site is not reached */
	uint32_t place; /* in the queue, as last said */
};

/* --- the command line ----------------------------------------------------- */

static void
fill_user(char *user, size_t size)
{
	const struct passwd *entry = getpwuid(geteuid());

	if (user[0] != '\0')
		return;
	if (entry == NULL || !text_copy(user, size, entry->pw_name))
		snprintf(user, size, "uid-%u", (unsigned int)geteuid());
}

static int
read_options(struct by_key *held, int *argc, char **argv)
{
	struct local_checkout options = { 0 };
	struct seat_checkout *request = &held->request;
	struct cli *cli = held->cli;
	const char *print = "";
	char id[2 * REQUEST_BYTES + 1];
	int status = take_options(&options, argc, argv);

	if (status != CLI_DONE)
		return status;
	if (cli_option(&print, argc, argv, "--fingerprint") < 0)
		return CLI_USAGE;
	if (!text_copy(cli->fingerprint, sizeof(cli->fingerprint), print)) {
		cli_say("--fingerprint is a SHA-256: 64 hexadecimal digits");
		return CLI_USAGE;
	}
	if (options.pid != 0) {
		cli_say("--pid is for an agent, which sees other processes; "
			"with --by-key: leasehold run --by-key PRODUCT -- "
			"COMMAND...");
		return CLI_USAGE;
	}
	memcpy(request->version, options.version, sizeof(request->version));
	memcpy(request->feature, options.feature, sizeof(request->feature));
	memcpy(request->user, options.user, sizeof(request->user));
	request->count = options.count;
	request->wait_s = options.wait_s;
	fill_user(request->user, sizeof(request->user));
	if (gethostname(cli->hostname, sizeof(cli->hostname) - 1) != 0)
		cli->hostname[0] = '\0';
	/* A retry takes no second seat. */
	text_to_hex(id, options.request, REQUEST_BYTES);
	snprintf(cli->again, sizeof(cli->again), "cli-%s", id);
	return CLI_DONE;
}

/* --- one question --------------------------------------------------------- */

/* Something is to be looked at: whatever is asked can wait. */
static bool
is_signalled(void *ctx)
{
	const struct by_key *held = ctx;
	struct pollfd poll_fd = { .fd = held->signals, .events = POLLIN };

	return poll(&poll_fd, 1, 0) > 0;
}

/* Quiet: what is said of it is the caller's. */
static int
ask(struct by_key *held, enum operation_id op, const void *request, void *reply,
    uint32_t timeout_s)
{
	struct cli *cli = held->cli;

	memset(&held->problem, 0, sizeof(held->problem));
	cli->quiet = &held->problem;
	cli->timeout_s = timeout_s;
	int status = cli_call(cli, op, request, reply, &held->arena);

	cli->quiet = NULL;
	return status;
}

static bool
is_unreached(int status)
{
	return status == CLI_UNREACHABLE;
}

static int64_t
left_ms(int64_t until_ms)
{
	int64_t now_ms = clock_boottime_ms();

	return until_ms > now_ms ? until_ms - now_ms : 0;
}

static void
give_back(struct by_key *held)
{
	struct seat_id id;
	struct seat_returned reply;
	char left[32];

	if (held->over)
		return;
	memcpy(id.id, held->lease.id, sizeof(id.id));
	int status = ask(held, OP_SEAT_RETURN, &id, &reply, ASK_S);

	if (status == CLI_DONE || err_from_code(held->problem.code) == ERR_GONE)
		return;
	cli_span(left, left_ms(held->end_ms) / 1000);
	cli_say("%s could not be given back (%s); the seat comes back by "
		"itself in %s",
	    held->lease.id, held->problem.detail, left);
}

/* --- taking the seat ------------------------------------------------------ */

static bool
is_interrupted(struct by_key *held)
{
	struct signalfd_siginfo info;

	while (held->signal == 0 &&
	    read(held->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			held->signal = (int)info.ssi_signo;
	return held->signal != 0;
}

/* A granted lease, as promised from the moment of the question. */
static void
note_lease(struct by_key *held, int64_t asked_ms, uint32_t ttl_s)
{
	uint32_t every_s = ttl_s >= 3 ? ttl_s / 3 : 1;

	held->renew_ms = asked_ms + (int64_t)every_s * 1000;
	held->end_ms = asked_ms + ((int64_t)ttl_s + held->lease.grace_s) * 1000;
}

static void
say_place(struct by_key *held)
{
	const struct queue_place *queue = &held->lease.queue;

	if (queue->place == held->place)
		return;
	held->place = queue->place;
	cli_say("waiting: place %u of %u", queue->place,
	    queue->length > queue->place ? queue->length : queue->place);
}

/* Asked once more at once: the answer may be what was lost, and with the same
 * Idempotency-Key it is the same seat. */
static int
take_once(struct by_key *held, bool waiting)
{
	uint32_t timeout_s = waiting ? SEAT_HOLD_MAX_S + ASK_S : ASK_S;
	int64_t asked_ms = clock_boottime_ms();
	int status = ask(held, OP_SEAT_CHECKOUT, &held->request, &held->lease,
	    timeout_s);

	if (is_unreached(status) && !is_signalled(held)) {
		asked_ms = clock_boottime_ms();
		status = ask(held, OP_SEAT_CHECKOUT, &held->request,
		    &held->lease, timeout_s);
	}
	if (status == CLI_DONE && !seat_is_waiting(&held->lease))
		note_lease(held, asked_ms, held->lease.ttl_s);
	return status;
}

/* So that nobody behind it waits for who does not want the seat any more. */
static void
leave_queue(struct by_key *held)
{
	struct seat_cancel cancel;
	struct seat_cancelled reply;

	if (held->request.wait_s == 0)
		return;
	text_copy(cancel.idempotency_key, sizeof(cancel.idempotency_key),
	    held->cli->again);
	/* Unheard, its place ends by itself a little later. */
	(void)ask(held, OP_SEAT_CANCEL, &cancel, &reply, ASK_S);
}

static void
nap(const struct by_key *held, int ms)
{
	struct pollfd poll_fd = { .fd = held->signals, .events = POLLIN };

	(void)poll(&poll_fd, 1, ms);
}

static int
take(struct by_key *held, const char *product)
{
	struct seat_checkout *request = &held->request;
	int64_t until_ms =
	    clock_boottime_ms() + (int64_t)request->wait_s * 1000;
	bool waits = request->wait_s > 0;
	int status;

	if (!text_copy(request->product, sizeof(request->product), product)) {
		cli_say("PRODUCT: longer than 63 bytes");
		return CLI_USAGE;
	}
	held->cli->cancelled = is_signalled;
	held->cli->cancelled_ctx = held;
	for (;;) {
		request->wait_s = (uint32_t)((left_ms(until_ms) + 999) / 1000);
		status = take_once(held, waits);
		if (is_interrupted(held) ||
		    (status == CLI_DONE && !seat_is_waiting(&held->lease)))
			break;
		if (status == CLI_DONE) {
			say_place(held);
			arena_clear(&held->arena);
		} else if (!is_unreached(status) || left_ms(until_ms) == 0) {
			break;
		} else {
			nap(held, AGAIN_WAITING_MS);
		}
	}
	held->cli->cancelled = NULL;
	bool granted = status == CLI_DONE && !seat_is_waiting(&held->lease);

	if (held->signal != 0) {
		if (granted)
			give_back(held);
		else
			leave_queue(held);
		return 128 + held->signal;
	}
	if (granted)
		return CLI_DONE;
	cli_problem(held->cli, &held->problem);
	return status;
}

/* --- keeping it ----------------------------------------------------------- */

static void
end_lease(struct by_key *held, const char *why)
{
	held->over = true;
	cli_say("%s has ended (%s): the seat is no longer held", held->lease.id,
	    why);
}

/* It may be reached again before what it promised is over. */
static void
bear_trouble(struct by_key *held)
{
	int64_t every_ms = (int64_t)held->lease.renew_s * 1000;
	int64_t again_ms = every_ms < AGAIN_MS ? every_ms : AGAIN_MS;
	char left[32];

	if (left_ms(held->end_ms) == 0) {
		end_lease(held, "the site could not be reached");
		return;
	}
	held->renew_ms = clock_boottime_ms() + again_ms;
	if (held->troubled)
		return;
	held->troubled = true;
	cli_span(left, left_ms(held->end_ms) / 1000);
	cli_say("%s cannot be renewed now (%s); it is held for %s more",
	    held->lease.id, held->problem.detail, left);
}

static void
renew(struct by_key *held)
{
	struct seat_id id;
	const struct seat_renew request = { .ids = { &id, 1 } };
	struct seat_renewed reply;
	int64_t asked_ms = clock_boottime_ms();

	memcpy(id.id, held->lease.id, sizeof(id.id));
	held->cli->cancelled = is_signalled;
	held->cli->cancelled_ctx = held;
	int status = ask(held, OP_SEAT_RENEW, &request, &reply, ASK_S);

	held->cli->cancelled = NULL;
	if (status == CLI_DONE) {
		if (held->troubled)
			cli_say("%s is renewed again", held->lease.id);
		held->troubled = false;
		note_lease(held, asked_ms, held->lease.ttl_s);
	} else if (is_signalled(held)) {
		held->renew_ms = clock_boottime_ms(); /* that first */
	} else if (is_unreached(status) ||
	    err_from_code(held->problem.code) == ERR_RATE_LIMITED) {
		bear_trouble(held);
	} else {
		end_lease(held, held->problem.code);
	}
}

/* Until a signal, or some moment: renewals go on meanwhile. */
static void
keep(struct by_key *held)
{
	struct pollfd poll_fd = { .fd = held->signals, .events = POLLIN };
	int64_t ms = held->over ? 1000 : left_ms(held->renew_ms);

	if (poll(&poll_fd, 1, ms < 1000 ? (int)ms : 1000) == 0 && !held->over &&
	    left_ms(held->renew_ms) == 0)
		renew(held);
}

/* --- the commands --------------------------------------------------------- */

static int
begin(struct by_key *held, struct cli *cli)
{
	held->cli = cli;
	held->signals = hold_signals(&held->before);
	if (held->signals >= 0)
		return CLI_DONE;
	cli_say("cannot wait for signals: %s", strerror(errno));
	return CLI_FAILED;
}

static void
finish(struct by_key *held)
{
	close(held->signals);
	arena_release(&held->arena);
}

static void
say_lease(const struct by_key *held)
{
	const struct seat_lease *lease = &held->lease;
	const char *slash = lease->feature[0] != '\0' ? "/" : "";

	if (held->cli->json)
		cli_print_json(&seat_lease_record, lease);
	else
		printf("%s: %u %s of %s%s%s (%s), held until this program ends "
		       "(Ctrl-C)\n",
		    lease->id, lease->count,
		    lease->count == 1 ? "seat" : "seats", lease->product, slash,
		    lease->feature,
		    lease->type == SEAT_KIND_OVERAGE ? "overage" : "commit");
	fflush(stdout);
}

int
by_key_checkout(struct cli *cli, int argc, char **argv)
{
	struct by_key held = { 0 };
	int status = begin(&held, cli);

	if (status != CLI_DONE)
		return status;
	status = read_options(&held, &argc, argv);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "checkout --by-key PRODUCT [--version V] [--feature F] "
		    "[--count N] [--wait TIME] [--user U] [--fingerprint HEX]");
	if (status == CLI_DONE)
		status = take(&held, argv[1]);
	if (status == CLI_DONE) {
		say_lease(&held);
		while (!held.over && !is_interrupted(&held))
			keep(&held);
		status = held.over ? CLI_REFUSED : CLI_DONE;
		give_back(&held);
	}
	finish(&held);
	return status;
}

static pid_t
start_child(const struct by_key *held, char **command)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	close(held->signals);
	sigprocmask(SIG_SETMASK, &held->before, NULL);
	execvp(command[0], command);
	int failed = errno;

	cli_say("%s: %s", command[0], strerror(failed));
	_exit(failed == ENOENT ? 127 : 126);
}

/* Hand signals on to the command until it ends; its exit status. */
static int
wait_child(struct by_key *held, pid_t pid)
{
	for (;;) {
		struct signalfd_siginfo info;
		int state;

		if (waitpid(pid, &state, WNOHANG) == pid) {
			if (WIFSIGNALED(state))
				return 128 + WTERMSIG(state);
			return WEXITSTATUS(state);
		}
		keep(held);
		while (read(held->signals, &info, sizeof(info)) == sizeof(info))
			if (info.ssi_signo != SIGCHLD &&
			    info.ssi_code <= 0) /* sent, not typed: the
						   terminal told the child */
				kill(pid, (int)info.ssi_signo);
	}
}

static int
run(struct by_key *held, char **command)
{
	pid_t pid = start_child(held, command);
	int status = CLI_FAILED;

	if (pid < 0)
		cli_say("cannot start a process: %s", strerror(errno));
	else
		status = wait_child(held, pid);
	give_back(held);
	return status;
}

int
by_key_run(struct cli *cli, int argc, char **argv)
{
	struct by_key held = { 0 };
	int status = begin(&held, cli), dash = 1;

	if (status != CLI_DONE)
		return status;
	status = read_options(&held, &argc, argv);
	while (dash < argc && strcmp(argv[dash], "--") != 0)
		dash++;
	if (status == CLI_DONE)
		status = cli_arguments(dash, argv, 1, 1,
		    "run --by-key PRODUCT [--version V] [--feature F] "
		    "[--count N] [--wait TIME] [--fingerprint HEX] -- "
		    "COMMAND...");
	if (status == CLI_DONE && dash + 1 >= argc) {
		cli_say("run needs a command: leasehold run --by-key PRODUCT "
			"-- COMMAND...");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = take(&held, argv[1]);
	if (status == CLI_DONE)
		status = run(&held, argv + dash + 1);
	finish(&held);
	return status;
}
