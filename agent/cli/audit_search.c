/* Who did what: searching the site's audit, and having it made anew. */
#include "agent/cli/audit_query.h"
#include "agent/cli/screen.h"
#include "agent/cli/table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- search --------------------------------------------------------------- */

static const struct table_column columns[] = { { .name = "TIME" },
	{ .name = "EVENT" }, { .name = "RESULT" },
	{ .name = "TIMES", .right = true, .spare = true }, { .name = "BY" },
	{ .name = "USER", .least = 8, .spare = true },
	{ .name = "HOST", .least = 8, .spare = true },
	{ .name = "ADDRESS", .spare = true },
	{ .name = "PRODUCT", .least = 12, .spare = true },
	{ .name = "LEASE", .spare = true }, { .name = "OF", .spare = true },
	{ .name = "REASON", .least = 12, .spare = true } };
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct shown {
	struct cli *cli;
	struct table table;
	struct json_items all;
	uint64_t n;
};

static void
add_number(struct table *table, const char *prefix, uint64_t number)
{
	if (number == 0)
		table_cell(table, "%s", "");
	else
		table_cell(table, "%s%llu", prefix, (unsigned long long)number);
}

static int
show_item(void *ctx, const struct audit_item *item)
{
	struct shown *shown = ctx;
	struct table *table = &shown->table;
	const char *of =
	    item->api_key_id[0] != '\0' ? item->api_key_id : item->device_id;
	char when[32];

	shown->n++;
	if (shown->cli->json) {
		struct record_list one = { (void *)(uintptr_t)item, 1 };

		cli_add_items(&shown->all, &audit_item_record, &one);
		return CLI_DONE;
	}
	cli_time(when, item->timestamp);
	table_cell(table, "%s", when);
	table_cell(table, "%s", item->event);
	table_cell(table, "%s", item->result);
	add_number(table, "", item->count);
	table_cell(table, "%s", item->actor);
	table_cell(table, "%s", item->user);
	table_cell(table, "%s", item->hostname);
	table_cell(table, "%s", item->ip_address);
	table_cell(table, "%s", item->product);
	add_number(table, "lease-", item->lease);
	table_cell(table, "%s", strcmp(of, item->actor) == 0 ? "" : of);
	table_cell(table, "%s", item->reason);
	/* Long lists are printed as they come. */
	if (shown->n % AUDIT_PAGE_MAX == 0)
		table_flush(table);
	return CLI_DONE;
}

int
audit_search_command(struct cli *cli, int argc, char **argv)
{
	struct shown shown = { .cli = cli };
	struct audit_query query;
	const char *value;
	uint64_t most = 100;
	bool cut = false;
	int status = audit_query_read(&query, &argc, argv);

	query.oldest_first = cli_flag(&argc, argv, "--oldest-first");
	if (cli_flag(&argc, argv, "--all"))
		most = 0;
	int found =
	    status == CLI_DONE ? cli_option(&value, &argc, argv, "-n") : 0;

	if (found < 0 ||
	    (found > 0 && !cli_number(&most, value, "-n", 1, 100000000)))
		status = CLI_USAGE;
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "audit search [--user U] [--result R] [--from TIME] ...");
	if (status != CLI_DONE)
		return status;
	if (most != 0 && most < AUDIT_PAGE_MAX)
		query.limit = (uint32_t)most + 1;
	table_begin(&shown.table, N_COLUMNS, columns);
	status = audit_query_each(&cut, cli, &query, most, show_item, &shown);
	if (cli->json && status == CLI_DONE)
		cli_end_items(&shown.all);
	else if (!cli->json && shown.n > 0)
		table_flush(&shown.table);
	else if (status == CLI_DONE)
		puts("Nothing fits.");
	if (cut && !cli->json)
		cli_say("there are more: -n N or --all shows them");
	table_end(&shown.table);
	return status;
}

/* --- the projection --------------------------------------------------------- */

static void
print_state(const struct cli *cli, const struct audit_state *state)
{
	if (cli->json) {
		cli_print_json(&audit_state_record, state);
		return;
	}
	printf("%llu entries of %llu rows, %.1f MiB",
	    (unsigned long long)state->entries, (unsigned long long)state->rows,
	    (double)state->size_bytes / (1 << 20));
	if (state->behind > 0)
		printf("; %llu rows are not searched yet",
		    (unsigned long long)state->behind);
	puts(".");
	if (state->keep_days > 0)
		printf("Entries are kept for %u days; the journal keeps all.\n",
		    state->keep_days);
	if (state->given_up_to > 0)
		printf("Given up: those up to row %llu.\n",
		    (unsigned long long)state->given_up_to);
}

int
audit_state_command(struct cli *cli, int argc, char **argv)
{
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	struct audit_state state;
	int status = cli_arguments(argc, argv, 0, 0, "audit state");

	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_AUDIT_STATE, &nothing, &state, &arena);
	if (status == CLI_DONE)
		print_state(cli, &state);
	arena_release(&arena);
	return status;
}

#define BAR 40

/* On a terminal it stays on its line; in a log each tenth is one. */
static void
show_progress(const struct audit_state *state, unsigned int *told)
{
	uint64_t done = state->rows - state->behind;
	unsigned int percent =
	    state->rows == 0 ? 100 : (unsigned int)(done * 100 / state->rows);
	char bar[BAR + 1];

	if (!isatty(STDERR_FILENO)) {
		if (percent / 10 > *told / 10)
			fprintf(stderr, "%u %%\n", percent);
		*told = percent;
		return;
	}
	for (unsigned int i = 0; i < BAR; i++)
		bar[i] = i < percent * BAR / 100 ? '#' : '.';
	bar[BAR] = '\0';
	fprintf(stderr, "\r[%s] %3u %%  %llu of %llu rows", bar, percent,
	    (unsigned long long)done, (unsigned long long)state->rows);
}

int
audit_rebuild_command(struct cli *cli, int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = 200000000 };
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	struct audit_state state = { 0 };
	unsigned int told = 0;
	int status = cli_arguments(argc, argv, 0, 0, "audit rebuild");

	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_AUDIT_REBUILD, &nothing, &state, &arena);
	/* What comes meanwhile is not waited for. */
	uint64_t rows = state.rows;

	while (status == CLI_DONE) {
		uint64_t done = state.rows - state.behind;

		state.behind = done < rows ? rows - done : 0;
		state.rows = rows;
		show_progress(&state, &told);
		if (state.behind == 0)
			break;
		nanosleep(&pause, NULL);
		status =
		    cli_call(cli, OP_AUDIT_STATE, &nothing, &state, &arena);
	}
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (status == CLI_DONE)
		print_state(cli, &state);
	arena_release(&arena);
	return status;
}
