/* The admin's commands about alerts: what is open, and that it was seen. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"
#include "shared/base/err.h"

#include <stdio.h>
#include <string.h>

static void
add_row(struct table *table, const void *item)
{
	const struct alert_view *alert = item;
	char when[32];

	cli_time(when, alert->last_at);
	if (alert->alert != 0)
		table_cell(table, "alert-%llu",
		    (unsigned long long)alert->alert);
	else
		table_cell(table, "(waits)");
	table_cell(table, "%s", alert_severity_names[alert->severity]);
	table_cell(table, "%s", alert_state_names[alert->state]);
	table_cell(table, "%s", alert_kind_names[alert->kind]);
	table_cell(table, "%llu", (unsigned long long)alert->count);
	table_cell(table, "%s", when);
	table_cell(table, "%s", alert->text);
	table_cell(table, "%s", alert->answer);
	if (alert->severity == ALERT_CRITICAL && alert->state == ALERT_OPEN)
		table_mark(table);
}

int
alerts_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "ALERT", "SEVERITY", "STATE",
		"KIND", "TIMES", "LAST", "WHAT", "ANSWER" };
	struct alert_query request = { .limit = LIST_LIMIT_MAX };
	struct alert_page page;
	struct table table = { 0 };

	request.all = cli_flag(&argc, argv, "--all");
	int status = cli_arguments(argc, argv, 0, 0, "alerts list [--all]");

	if (status != CLI_DONE)
		return status;
	const struct cli_list list = {
		.op = OP_ALERT_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &alert_view_record,
		.row = add_row,
		.none = request.all ? "There never was an alert."
				    : "No alert is open.",
	};

	table_head(&table, 8, head);
	return cli_list(cli, &list, &table);
}

int
alerts_ack(struct cli *cli, int argc, char **argv)
{
	struct alert_number request, reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.alert, argc, argv, "alerts ack ALERT",
	    "alert-");

	if (status == CLI_DONE)
		status = cli_answer(cli, OP_ALERT_ACKNOWLEDGE, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		printf("alert-%llu is acknowledged; it closes when what it is "
		       "about is over.\n",
		    (unsigned long long)reply.alert);
	arena_release(&arena);
	return status;
}
