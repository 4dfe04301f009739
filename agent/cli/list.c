/* Lists of the site; see list.h. */
#include "agent/cli/list.h"

#include <stdio.h>

static void
add_page(struct table *table, const struct cli_list *list)
{
	const uint8_t *items = list->items->items;

	for (uint32_t i = 0; i < list->items->count; i++)
		list->row(table, items + i * list->record->size);
}

int
cli_list(struct cli *cli, const struct cli_list *list, struct table *table)
{
	struct arena arena = { 0 };
	struct json_items all = { 0 };
	uint64_t total = 0;
	int status;

	do {
		arena_clear(&arena);
		status =
		    cli_call(cli, list->op, list->request, list->page, &arena);
		if (status != CLI_DONE)
			break;
		total += list->items->count;
		if (cli->json)
			cli_add_items(&all, list->record, list->items);
		else
			add_page(table, list);
		if (*list->next == 0)
			break;
		status = cli_next_page(list->after, *list->next);
	} while (status == CLI_DONE);
	if (status == CLI_DONE && cli->json)
		cli_end_items(&all);
	else if (status == CLI_DONE && total == 0 && list->none != NULL)
		puts(list->none);
	else if (status == CLI_DONE)
		table_flush(table);
	table_end(table);
	arena_release(&arena);
	return status;
}
