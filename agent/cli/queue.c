/* Who waits for a seat: the admin's view, from the site, and its way to take
 * somebody out. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"
#include "agent/cli/screen.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <stdio.h>

static const struct table_column columns[] = { { .name = "WAITER" },
	{ .name = "PLACE", .right = true }, { .name = "PRODUCT", .least = 16 },
	{ .name = "FEATURE", .least = 8, .spare = true },
	{ .name = "SEATS", .right = true }, { .name = "USER", .least = 8 },
	{ .name = "HOST", .least = 8 }, { .name = "DEVICE" },
	{ .name = "SINCE" }, { .name = "UNTIL" }, { .name = "STATE" } };
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* Words for what keeps it from its seat. */
static const char *
state_of(const struct waiter_view *waiter)
{
	if (waiter->offered)
		return "offered";
	return waiter->connected ? "waits" : "away";
}

static void
add_row(struct table *table, const void *item)
{
	const struct waiter_view *waiter = item;
	char since[32], until[32];

	cli_time(since, waiter->since);
	cli_time(until, waiter->until);
	table_cell(table, "waiter-%llu", (unsigned long long)waiter->waiter);
	table_cell(table, "%u", waiter->place);
	table_cell(table, "%s", waiter->product);
	table_cell(table, "%s", waiter->feature);
	table_cell(table, "%u", waiter->count);
	table_cell(table, "%s", waiter->user);
	table_cell(table, "%s", waiter->host);
	table_cell(table, "device-%llu", (unsigned long long)waiter->device);
	table_cell(table, "%s", since);
	table_cell(table, "%s", until);
	table_cell(table, "%s", state_of(waiter));
}

static int
list_pages(struct cli *cli, struct waiter_query *query)
{
	struct waiter_page page;
	struct table table = { 0 };
	const struct cli_list list = {
		.op = OP_QUEUE_LIST,
		.request = query,
		.after = &query->after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &waiter_view_record,
		.row = add_row,
		.none = "Nobody waits.",
	};

	table_begin(&table, N_COLUMNS, columns);
	return cli_list(cli, &list, &table);
}

int
queue_list(struct cli *cli, int argc, char **argv)
{
	struct waiter_query query = { .limit = LIST_LIMIT_MAX };
	const char *product = NULL;

	if (cli_option(&product, &argc, argv, "--product") < 0)
		return CLI_USAGE;
	if (product != NULL &&
	    !text_copy(query.product, sizeof(query.product), product)) {
		cli_say("--product: longer than 63 bytes");
		return CLI_USAGE;
	}
	int status =
	    cli_arguments(argc, argv, 0, 0, "queue list [--product PRODUCT]");

	return status == CLI_DONE ? list_pages(cli, &query) : status;
}

int
queue_remove(struct cli *cli, int argc, char **argv)
{
	struct waiter_number request, reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.waiter, argc, argv,
	    "queue remove WAITER", "waiter-");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_QUEUE_REMOVE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("waiter-%llu does not wait any more, and its "
		       "application is told.\n",
		    (unsigned long long)reply.waiter);
	arena_release(&arena);
	return status;
}
