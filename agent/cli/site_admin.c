/*
 * What an admin decides about the site as a whole: which time it is, and that
 * it goes on after its store was put back to an older copy.
 */
#include "agent/cli/cli.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --reason TEXT, which must be there. */
static int
take_reason(char out[128], int *argc, char **argv)
{
	const char *reason = "";

	if (cli_option(&reason, argc, argv, "--reason") < 0)
		return CLI_USAGE;
	if (reason[0] == '\0') {
		cli_say("--reason TEXT is missing: say for others why");
		return CLI_USAGE;
	}
	if (!text_copy(out, 128, reason)) {
		cli_say("--reason: longer than 127 bytes");
		return CLI_USAGE;
	}
	return CLI_DONE;
}

/* --- the clock ------------------------------------------------------------- */

/* "3 min ahead of", "17 s behind". */
static void
print_distance(const char *whose, int64_t ms)
{
	char span[32];

	if (ms < 1000 && ms > -1000) {
		printf("%s the same\n", whose);
		return;
	}
	cli_span(span, (ms < 0 ? -ms : ms) / 1000);
	printf("%s %s %s\n", whose, span,
	    ms < 0 ? "behind the site" : "ahead of the site");
}

static void
print_clock(const struct site_view *site)
{
	char time[32], wall[32];

	cli_time(time, site->time);
	printf("site      %s\n", time);
	print_distance("here     ", clock_wall_ms() - site->time);
	if (!site->clock_held) {
		puts("state     follows the clock of its box");
		return;
	}
	cli_time(wall, site->clock_wall);
	printf("its box   %s\n", wall);
	puts(
	    "state     held: the clock of the box jumped ahead by more than an "
	    "hour, and the\n          site goes on by its own until an admin "
	    "says which is right\n\n"
	    "If the box is right:   leasehold site clock confirm\n"
	    "If the site is right:  set the clock of the box; it goes on by "
	    "itself");
}

int
site_clock(struct cli *cli, int argc, char **argv)
{
	struct site_view site;
	struct arena arena = { 0 };
	struct empty request = { 0 };
	char time[CLOCK_TEXT_SIZE], wall[CLOCK_TEXT_SIZE];
	int status = cli_arguments(argc, argv, 0, 0, "site clock");

	if (status == CLI_DONE)
		status = cli_call(cli, OP_SITE_SHOW, &request, &site, &arena);
	if (status == CLI_DONE && cli->json) {
		clock_format(time, site.time);
		clock_format(wall, site.clock_wall);
		printf("{\"time\":\"%s\",\"held\":%s", time,
		    site.clock_held ? "true" : "false");
		if (site.clock_held)
			printf(",\"wall\":\"%s\"", wall);
		puts("}");
	} else if (status == CLI_DONE) {
		print_clock(&site);
	}
	arena_release(&arena);
	return status;
}

/* Its new time, once it was changed. */
static int
show_time(struct cli *cli, const char *done)
{
	struct site_view site;
	struct arena arena = { 0 };
	struct empty request = { 0 };
	char time[32];
	int status = cli_call(cli, OP_SITE_SHOW, &request, &site, &arena);

	if (status == CLI_DONE) {
		cli_time(time, site.time);
		printf("%s It is now %s.\n", done, time);
	}
	arena_release(&arena);
	return status;
}

int
site_clock_confirm(struct cli *cli, int argc, char **argv)
{
	struct empty request = { 0 }, reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "site clock confirm");

	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_CLOCK_CONFIRM, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		puts("{}");
	else if (status == CLI_DONE)
		status =
		    show_time(cli, "The site goes by the clock of its box.");
	arena_release(&arena);
	return status;
}

int
site_clock_correct(struct cli *cli, int argc, char **argv)
{
	static const char usage[] =
	    "site clock correct --time TIME --reason TEXT";
	struct clock_correct request = { 0 };
	struct empty reply;
	struct arena arena = { 0 };
	const char *time = NULL;

	if (cli_option(&time, &argc, argv, "--time") < 0)
		return CLI_USAGE;
	int status = take_reason(request.reason, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0, usage);
	if (status == CLI_DONE &&
	    (time == NULL ||
		clock_parse(&request.time, time, strlen(time)) != 0)) {
		cli_say("--time: a time is wanted, as 2026-11-22T08:00:00Z");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_CLOCK_CORRECT, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		puts("{}");
	else if (status == CLI_DONE)
		status = show_time(cli, "The site's time was put back.");
	arena_release(&arena);
	return status;
}

/* --- a store that was put back ---------------------------------------------- */

int
site_acknowledge_rollback(struct cli *cli, int argc, char **argv)
{
	struct rollback_acknowledge request = { 0 };
	struct rollback_acknowledged reply;
	struct arena arena = { 0 };
	int status = take_reason(request.reason, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "site acknowledge-rollback --reason TEXT");
	if (status == CLI_DONE)
		status = cli_call(cli, OP_ROLLBACK_ACKNOWLEDGE, &request,
		    &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&rollback_acknowledged_record, &reply);
	else if (status == CLI_DONE)
		printf("Generation %u of the journal begins with batch %llu, "
		       "tick %llu; seats are granted again.\n"
		       "Agents come again and bring the leases that the lost "
		       "branch granted. What else was\nlost: licenses "
		       "installed "
		       "since that copy are to be installed again, devices "
		       "enrolled\nsince then to enroll again. See: leasehold "
		       "audit verify\n",
		    reply.generation, (unsigned long long)reply.batch,
		    (unsigned long long)reply.counter);
	arena_release(&arena);
	return status;
}
