/*
 * An application as a customer would write it, for the system tests and the
 * demo: it knows its vendor's key and leasehold.h, and nothing else of us.
 *
 *   app_tool --vendor-key K --product P --version V [--socket S] [--state DIR]
 *       [--feature F] [--user U] [--wait SECONDS] [--give-up SECONDS]
 *       [--count N] [--leases N] [--hold SECONDS] [--watch]
 *
 * Takes so many leases (1), each of so many seats (1), and gives up waiting
 * after so long. Prints a line of JSON per lease and per event:
 *   {"event":"waiting","place":3,"length":7}            when it changes
 *   {"lease":7,"type":"commit","count":1}
 *   {"event":"valid","lease":7,"valid":true,"left_ms":419000}   with --watch
 *   {"event":"lost","lease":7,"error":-27,"reason":"the lease has ended"}
 * Returns its seats and exits with 0 on SIGTERM or SIGINT, or after --hold.
 * Exit status: 3 when a seat was refused, 4 when it gave up, 1 for everything else; what was told
 * stands on standard error.
 */
#include "agent/lib/leasehold.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEASES_MAX 1000

struct app {
	struct lh_options options;
	const char *product;
	const char *version;
	const char *feature;
	const char *user;
	int wait_s;
	int give_up_s; /* 0: never */
	int count; /* seats of a lease */
	int leases;
	int hold_s; /* 0: until a signal */
	int watch;
	struct lh_client *client;
	struct lh_seat *seats[LEASES_MAX];
	time_t began; /* to wait */
	uint32_t place, length; /* as last said */
};

static int
usage(void)
{
	fprintf(stderr,
	    "usage: app_tool --vendor-key K --product P --version V\n"
	    "    [--socket S] [--state DIR] [--feature F] [--user U]\n"
	    "    [--wait SECONDS] [--give-up SECONDS] [--count N]\n"
	    "    [--leases N] [--hold SECONDS] [--watch]\n");
	return 1;
}

static int
number(int *out, const char *text, int max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < 0 || value > max)
		return -1;
	*out = (int)value;
	return 0;
}

static int
read_options(struct app *app, int argc, char **argv)
{
	static const struct option names[] = {
		{ "vendor-key", required_argument, NULL, 'k' },
		{ "socket", required_argument, NULL, 's' },
		{ "product", required_argument, NULL, 'p' },
		{ "version", required_argument, NULL, 'v' },
		{ "state", required_argument, NULL, 'd' },
		{ "feature", required_argument, NULL, 'f' },
		{ "user", required_argument, NULL, 'u' },
		{ "wait", required_argument, NULL, 'w' },
		{ "give-up", required_argument, NULL, 'g' },
		{ "count", required_argument, NULL, 'c' },
		{ "leases", required_argument, NULL, 'l' },
		{ "hold", required_argument, NULL, 'h' },
		{ "watch", no_argument, NULL, 'W' },
		{ "json", no_argument, NULL, 'j' }, /* always so */
		{ NULL, 0, NULL, 0 },
	};
	int letter, bad = 0;

	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (letter) {
		case 'k':
			app->options.vendor_key = optarg;
			break;
		case 's':
			app->options.socket_path = optarg;
			break;
		case 'p':
			app->product = optarg;
			break;
		case 'v':
			app->version = optarg;
			break;
		case 'd':
			app->options.state_folder = optarg;
			break;
		case 'f':
			app->feature = optarg;
			break;
		case 'u':
			app->user = optarg;
			break;
		case 'w':
			bad |= number(&app->wait_s, optarg, 86400);
			break;
		case 'c':
			bad |= number(&app->count, optarg, LEASES_MAX);
			break;
		case 'g':
			bad |= number(&app->give_up_s, optarg, 86400);
			break;
		case 'l':
			bad |= number(&app->leases, optarg, LEASES_MAX);
			break;
		case 'h':
			bad |= number(&app->hold_s, optarg, 86400);
			break;
		case 'W':
			app->watch = 1;
			break;
		case 'j':
			break;
		default:
			bad = 1;
		}
	}
	if (bad != 0 || optind != argc || app->options.vendor_key == NULL ||
	    app->product == NULL || app->version == NULL)
		return -1;
	return 0;
}

/* A line goes out whole and at once, whichever thread says it. */
static void
say(const char *line)
{
	flockfile(stdout);
	fputs(line, stdout);
	fflush(stdout);
	funlockfile(stdout);
}

static void
on_lost(void *ctx, struct lh_seat *seat, int error)
{
	char line[256];

	(void)ctx;
	snprintf(line, sizeof(line),
	    "{\"event\":\"lost\",\"lease\":%llu,\"error\":%d,"
	    "\"reason\":\"%s\"}\n",
	    (unsigned long long)lh_seat_id(seat), error, lh_strerror(error));
	say(line);
	fprintf(stderr, "app_tool: seat lost: %s\n  %s\n", lh_strerror(error),
	    lh_detail());
}

static int
refused(int error)
{
	fprintf(stderr, "app_tool: %s\n  %s\n", lh_strerror(error),
	    lh_detail());
	if (error == LH_E_CANCELLED)
		return 4;
	return error <= LH_E_NO_SEATS && error > LH_E_BAD_SIGNATURE ? 3 : 1;
}

static time_t
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int
on_waiting(void *ctx, uint32_t place, uint32_t length)
{
	struct app *app = ctx;
	char line[96];

	if (place != app->place || length != app->length) {
		snprintf(line, sizeof(line),
		    "{\"event\":\"waiting\",\"place\":%u,\"length\":%u}\n",
		    place, length);
		say(line);
	}
	app->place = place;
	app->length = length;
	return app->give_up_s != 0 && now_s() - app->began >= app->give_up_s;
}

static int
take_seats(struct app *app)
{
	const struct lh_request request = {
		.size = sizeof(request),
		.product = app->product,
		.version = app->version,
		.feature = app->feature,
		.user = app->user,
		.count = (uint32_t)app->count,
		.wait_s = app->wait_s,
		.waiting = on_waiting,
		.ctx = app,
	};
	char line[256];

	app->began = now_s();
	for (int i = 0; i < app->leases; i++) {
		int error =
		    lh_checkout_with(&app->seats[i], app->client, &request);

		if (error != LH_OK)
			return refused(error);
		snprintf(line, sizeof(line),
		    "{\"lease\":%llu,\"type\":\"%s\",\"count\":%u,"
		    "\"borrowed\":%s,\"until_ms\":%lld,\"left_ms\":%lld}\n",
		    (unsigned long long)lh_seat_id(app->seats[i]),
		    lh_seat_type(app->seats[i]) == LH_SEAT_COMMIT ? "commit"
								  : "overage",
		    lh_seat_count(app->seats[i]),
		    lh_seat_is_borrowed(app->seats[i]) ? "true" : "false",
		    (long long)lh_seat_until_ms(app->seats[i]),
		    (long long)lh_seat_left_ms(app->seats[i]));
		say(line);
	}
	return 0;
}

static void
show_seats(const struct app *app)
{
	char line[256];

	for (int i = 0; i < app->leases; i++) {
		const struct lh_seat *seat = app->seats[i];

		snprintf(line, sizeof(line),
		    "{\"event\":\"valid\",\"lease\":%llu,\"valid\":%s,"
		    "\"left_ms\":%lld,\"until_ms\":%lld}\n",
		    (unsigned long long)lh_seat_id(seat),
		    lh_seat_valid(seat) ? "true" : "false",
		    (long long)lh_seat_left_ms(seat),
		    (long long)lh_seat_until_ms(seat));
		say(line);
	}
}

/* Work, until somebody says that it is enough. */
static void
work(const struct app *app, const sigset_t *ends)
{
	const struct timespec second = { .tv_sec = 1 };
	int worked_s = 0;

	while (app->hold_s == 0 || worked_s < app->hold_s) {
		if (app->watch)
			show_seats(app);
		if (sigtimedwait(ends, NULL, &second) > 0)
			return;
		worked_s++;
	}
}

int
main(int argc, char **argv)
{
	static struct app app = { .options = { .size = sizeof(app.options),
				      .lost = on_lost },
		.count = 1,
		.leases = 1 };
	sigset_t ends;

	if (read_options(&app, argc, argv) != 0)
		return usage();
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	int error = lh_client_new(&app.client, &app.options);

	if (error != LH_OK)
		return refused(error);
	int status = take_seats(&app);

	if (status == 0)
		work(&app, &ends);
	lh_client_free(app.client);
	return status;
}
