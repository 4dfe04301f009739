/*
 * Asking the agent for a seat to be held, and waiting in the queue for it: in
 * sight of whoever waits, until there is a seat, the time is over or a signal
 * comes. A restarted agent is asked again under the same request id, by which
 * the site keeps the place.
 */
#include "agent/cli/hold.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/rpc/rpc.h"

#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* What is asked for without --version: only licenses of all versions hold it. */
#define VERSION_UNSAID "0"
/* The agent may be waiting for the site; a person should not wait longer. */
#define ASK_MS 60000
/* The agent says when a wait is over; without its word it is so much later. */
#define OVER_MS 3000
/* The site keeps the place so long for an agent that is away. */
#define AWAY_MS 60000
/* The line of a terminal is written anew so often; to a file a place that
 * changed is one line in so many. */
#define SHOW_MS 1000
#define SHOW_FILE_MS 10000

/* One take_seat. */
struct taking {
	struct hold *hold;
	struct local_checkout *request;
	uint32_t wait_s;
	int64_t until_ms; /* CLOCK_BOOTTIME: the wait is over */
	bool terminal;
	bool shown; /* a line stands there, not ended */
	uint32_t place; /* as last shown */
	int64_t show_ms; /* again, or for the first time */
	int signal; /* came, or 0 */
};

/* --- the command line ----------------------------------------------------- */

static int
option_number(uint64_t *out, int *argc, char **argv, const char *name,
    uint64_t most)
{
	const char *text;
	int found = cli_option(&text, argc, argv, name);

	if (found <= 0)
		return found < 0 ? CLI_USAGE : CLI_DONE;
	return cli_number(out, text, name, 1, most) ? CLI_DONE : CLI_USAGE;
}

static int
option_wait(uint32_t *wait_s, int *argc, char **argv)
{
	const char *text;
	int found = cli_option(&text, argc, argv, "--wait");

	if (found <= 0)
		return found < 0 ? CLI_USAGE : CLI_DONE;
	if (!cli_duration(wait_s, text, "--wait"))
		return CLI_USAGE;
	if (*wait_s <= LEASE_WAIT_MAX_S)
		return CLI_DONE;
	cli_say("--wait: a day at most");
	return CLI_USAGE;
}

int
take_options(struct local_checkout *request, int *argc, char **argv)
{
	const char *version = VERSION_UNSAID, *user = "", *feature = "";
	uint64_t pid = 0, count = 1;

	if (cli_option(&version, argc, argv, "--version") < 0 ||
	    cli_option(&user, argc, argv, "--user") < 0 ||
	    cli_option(&feature, argc, argv, "--feature") < 0 ||
	    option_number(&pid, argc, argv, "--pid", 1 << 22) != CLI_DONE ||
	    option_number(&count, argc, argv, "--count", LEASE_COUNT_MAX) !=
		CLI_DONE ||
	    option_wait(&request->wait_s, argc, argv) != CLI_DONE)
		return CLI_USAGE;
	if (!text_copy(request->version, sizeof(request->version), version) ||
	    !text_copy(request->user, sizeof(request->user), user) ||
	    !text_copy(request->feature, sizeof(request->feature), feature)) {
		cli_say("--version holds 31 bytes, --user and --feature 63");
		return CLI_USAGE;
	}
	request->pid = pid;
	request->count = (uint32_t)count;
	request->hold = true;
	randombytes_buf(request->request, sizeof(request->request));
	return CLI_DONE;
}

/* --- what is shown -------------------------------------------------------- */

static int64_t
left_ms(int64_t until_ms)
{
	int64_t now_ms = clock_boottime_ms();

	return until_ms > now_ms ? until_ms - now_ms : 0;
}

static void
show(struct taking *taking)
{
	const struct turn *turn = &taking->hold->turn;
	char place[64] = "waiting: the site is being reached", left[32];

	if (taking->wait_s == 0 ||
	    (left_ms(taking->show_ms) > 0 &&
		(!taking->terminal || turn->place == taking->place)))
		return;
	if (turn->place > 0)
		snprintf(place, sizeof(place), "waiting: place %u of %u",
		    turn->place,
		    turn->length > turn->place ? turn->length : turn->place);
	if (taking->terminal) {
		cli_span(left, (left_ms(taking->until_ms) + 999) / 1000);
		fprintf(stderr, "\r\033[K%s, %s left", place, left);
		fflush(stderr);
		taking->show_ms = clock_boottime_ms() + SHOW_MS;
	} else if (!taking->shown || turn->place != taking->place) {
		cli_say("%s", place);
		taking->show_ms = clock_boottime_ms() + SHOW_FILE_MS;
	}
	taking->shown = true;
	taking->place = turn->place;
}

/* The place is there: the wait begins. */
static void
show_first(struct taking *taking)
{
	if (!taking->shown)
		taking->show_ms = 0;
	show(taking);
}

static void
show_end(struct taking *taking)
{
	if (taking->terminal && taking->shown)
		fputs("\r\033[K", stderr);
	taking->shown = false;
}

/* ms for one sleep, at most until `until_ms`. */
static int
nap_ms(const struct taking *taking, int64_t until_ms)
{
	int64_t ms = left_ms(until_ms);

	if (taking->wait_s > 0 && ms > SHOW_MS)
		ms = SHOW_MS;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* --- signals -------------------------------------------------------------- */

/* Has one come that ends the wait? */
static bool
is_interrupted(struct taking *taking)
{
	struct signalfd_siginfo info;

	while (taking->signal == 0 &&
	    read(taking->hold->signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD) /* the agent sees that too */
			taking->signal = (int)info.ssi_signo;
	return taking->signal != 0;
}

/* --- one question --------------------------------------------------------- */

/* Leave the queue. A question that is open (NULL: none is) is not wanted any
 * more, and its answer may be a lease. */
static void
leave(struct taking *taking, struct local_waiter *question)
{
	struct hold *hold = taking->hold;
	struct local_checkout_reply reply;
	struct local_waiter waiter;
	struct lease_cancel cancel;

	memcpy(cancel.request, taking->request->request,
	    sizeof(cancel.request));
	if (local_begin(&waiter, hold->local, LOCAL_CANCEL, &cancel, -1,
		HOLD_ANSWER_MS, NULL) == 0)
		local_cancel(&waiter, hold->local);
	if (question == NULL)
		return;
	(void)local_pause(hold->local, question, NULL, -1, HOLD_ANSWER_MS);
	if (!local_done(hold->local, question)) {
		local_cancel(question, hold->local);
	} else if (local_end(&reply, question, hold->local, &hold->arena, 0,
		       NULL) == 0 &&
	    reply.lease != 0) {
		const struct local_return back = { .lease = reply.lease };

		(void)local_call(NULL, hold->local, LOCAL_RETURN, &back, NULL,
		    HOLD_ANSWER_MS, NULL);
	}
}

/* ERR_*; ERR_GONE after a signal. */
static int
ask(struct taking *taking, struct problem *problem)
{
	struct hold *hold = taking->hold;
	struct local_checkout *request = taking->request;
	int64_t over_ms = clock_boottime_ms() + ASK_MS;
	struct local_waiter waiter;

	if (over_ms < taking->until_ms + ASK_MS)
		over_ms = taking->until_ms + ASK_MS;
	request->wait_s = (uint32_t)((left_ms(taking->until_ms) + 999) / 1000);
	turn_ask(&hold->turn, request->request);
	int err = local_begin(&waiter, hold->local, LOCAL_CHECKOUT, request, -1,
	    HOLD_ANSWER_MS, problem);

	if (err != 0)
		return err;
	while (!local_done(hold->local, &waiter) &&
	    local_error(hold->local) == 0 && left_ms(over_ms) > 0) {
		(void)local_pause(hold->local, &waiter, NULL, hold->signals,
		    nap_ms(taking, over_ms));
		if (local_done(hold->local, &waiter))
			break;
		if (is_interrupted(taking)) {
			leave(taking, &waiter);
			return ERR_GONE;
		}
		show(taking);
	}
	return local_end(&hold->lease, &waiter, hold->local, &hold->arena, 0,
	    problem);
}

/* --- the queue ------------------------------------------------------------ */

/* 0: ask again. Else ERR_*: the wait is over, or the connection. */
static int
wait_turn(struct taking *taking, struct problem *problem)
{
	struct hold *hold = taking->hold;
	int64_t over_ms = taking->until_ms + OVER_MS;
	int err = 0;

	show_first(taking);
	while (!hold->turn.ours && (err = hold->turn.over) == 0) {
		atomic_store(&hold->turn.news, false);
		err = local_pause(hold->local, NULL, &hold->turn.news,
		    hold->signals, nap_ms(taking, over_ms));
		if (err != 0)
			return err;
		if (is_interrupted(taking)) {
			leave(taking, NULL);
			return ERR_GONE;
		}
		if (left_ms(over_ms) == 0 && hold->turn.over == 0) {
			leave(taking, NULL);
			hold->turn.over = ERR_NO_SEATS;
		}
		show(taking);
	}
	if (err == 0)
		return 0;
	turn_problem(problem, err, taking->request, taking->wait_s);
	if (problem->hint[0] == '\0')
		snprintf(problem->hint, sizeof(problem->hint),
		    "see who holds them: leasehold leases --product %s; who "
		    "waits: leasehold queue list",
		    taking->request->product);
	return err;
}

/* An answer: a grant, or what the queue then brings. ERR_BUSY: ask again. */
static int
take_answer(struct taking *taking, struct problem *problem)
{
	const struct local_checkout_reply *reply = &taking->hold->lease;
	int err = ERR_CORRUPT;

	if (reply->lease != 0)
		err = turn_is_grant(reply) ? 0 : ERR_CORRUPT;
	else if (taking->wait_s > 0)
		err = turn_answer(&taking->hold->turn, reply);
	if (err != 0)
		problem_set(problem, err, NULL,
		    "the agent's answer is neither a grant nor a place in the "
		    "queue");
	if (err != 0 || reply->lease != 0)
		return err;
	err = wait_turn(taking, problem);
	return err == 0 ? ERR_BUSY : err;
}

/* --- an agent that is restarted ------------------------------------------- */

/* It may be back within AWAY_MS. */
static int
reopen(struct taking *taking, struct problem *problem)
{
	struct hold *hold = taking->hold;
	struct pollfd poll_fd = { .fd = hold->signals, .events = POLLIN };
	int64_t back_ms = clock_boottime_ms() + AWAY_MS;
	int err = ERR_CLOSED;

	local_close(hold->local);
	hold->local = NULL;
	turn_lose(&hold->turn);
	while (err == ERR_CLOSED && left_ms(back_ms) > 0 &&
	    left_ms(taking->until_ms) > 0) {
		show(taking);
		(void)poll(&poll_fd, 1, HOLD_PAUSE_FIRST_MS);
		if (is_interrupted(taking))
			return ERR_GONE;
		err = local_open(&hold->local, hold->cli->socket,
		    HOLD_ANSWER_MS, problem);
	}
	if (err == 0)
		hold_listen(hold);
	else
		hold->local = NULL;
	return err;
}

static int
ask_until_answered(struct taking *taking, struct problem *problem)
{
	for (;;) {
		int64_t asked_ms = clock_boottime_ms();
		int err = ask(taking, problem);

		if (err == 0)
			err = take_answer(taking, problem);
		if (err == ERR_CLOSED && left_ms(taking->until_ms) > 0)
			err = reopen(taking, problem) == 0 ? ERR_BUSY : err;
		if (err != ERR_BUSY)
			return err;
		if (taking->signal != 0)
			return ERR_GONE;
		/* However often an agent says that it is our turn. */
		if (left_ms(asked_ms + HOLD_PAUSE_FIRST_MS) > 0)
			(void)poll(NULL, 0, HOLD_PAUSE_FIRST_MS);
	}
}

static bool
is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term != NULL &&
	    strcmp(term, "dumb") != 0;
}

int
take_seat(struct hold *hold, struct local_checkout *request,
    const char *product)
{
	int64_t now_ms = clock_boottime_ms();
	struct taking taking = {
		.hold = hold,
		.request = request,
		.wait_s = request->wait_s,
		.until_ms = now_ms + (int64_t)request->wait_s * 1000,
		.terminal = is_terminal(),
		.show_ms = now_ms + SHOW_MS,
	};
	struct problem problem = { 0 };

	hold->count = request->count > 0 ? request->count : 1;
	if (!text_copy(request->product, sizeof(request->product), product)) {
		cli_say("PRODUCT: longer than 63 bytes");
		return CLI_USAGE;
	}
	int err = ask_until_answered(&taking, &problem);

	show_end(&taking);
	if (taking.signal != 0 && err != 0)
		return 128 + taking.signal;
	if (err == ERR_VERSION_NOT_COVERED &&
	    strcmp(request->version, VERSION_UNSAID) == 0)
		text_copy(problem.hint, sizeof(problem.hint),
		    "say which version runs: --version V");
	int status = ask_answer(hold->cli, err, &problem);

	/* Taken out of the queue: a wait that ended without a seat. */
	return err == ERR_GONE ? CLI_REFUSED : status;
}
