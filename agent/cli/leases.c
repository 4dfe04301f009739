/* Who holds what: the admin's view, from the site. */
#include "agent/cli/cli.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static void
add_row(struct table *table, const struct lease_view *lease)
{
	char since[32];

	cli_time(since, lease->granted_at);
	table_cell(table, "lease-%llu", (unsigned long long)lease->lease);
	table_cell(table, "%s", lease->product);
	table_cell(table, "%s", lease->version);
	table_cell(table, "%s", seat_type_names[lease->type]);
	table_cell(table, "%u", lease->slot);
	table_cell(table, "%s", lease->user);
	table_cell(table, "%s", lease->host);
	table_cell(table, "device-%llu %s", (unsigned long long)lease->device,
	    lease->device_name);
	table_cell(table, "%s", since);
}

int
leases_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "LEASE", "PRODUCT", "VERSION",
		"TYPE", "SLOT", "USER", "HOST", "DEVICE", "SINCE" };
	struct lease_query request = { .limit = LIST_LIMIT_MAX };
	struct lease_page page;
	struct arena arena = { 0 };
	struct table table = { 0 };
	const char *product = NULL;
	uint64_t total = 0;
	int status;

	if (cli_option(&product, &argc, argv, "--product") < 0)
		return CLI_USAGE;
	if (product != NULL &&
	    !text_copy(request.product, sizeof(request.product), product)) {
		cli_say("--product: longer than 63 bytes");
		return CLI_USAGE;
	}
	status = cli_arguments(argc, argv, 0, 0, "leases [--product PRODUCT]");
	if (!cli->json)
		table_head(&table, 9, head);
	while (status == CLI_DONE) {
		const struct lease_view *items;

		status = cli_call(cli, OP_LEASE_LIST, &request, &page, &arena);
		if (status != CLI_DONE)
			break;
		if (cli->json)
			cli_print_json(&lease_page_record, &page);
		items = page.items.items;
		total += page.items.count;
		for (uint32_t i = 0; i < page.items.count && !cli->json; i++)
			add_row(&table, &items[i]);
		if (page.next == 0)
			break;
		status = cli_next_page(&request.after, page.next);
		arena_clear(&arena);
	}
	if (status == CLI_DONE && !cli->json && total > 0)
		table_print(&table);
	else
		buf_release(&table.cells);
	if (status == CLI_DONE && !cli->json && total == 0)
		puts("No seat is held.");
	arena_release(&arena);
	return status;
}

int
leases_release(struct cli *cli, int argc, char **argv)
{
	struct lease_ref request;
	struct lease_ended reply;
	struct arena arena = { 0 };
	const char *id;
	int status = cli_arguments(argc, argv, 1, 1, "leases release LEASE");

	if (status != CLI_DONE)
		return status;
	id = strncmp(argv[1], "lease-", 6) == 0 ? argv[1] + 6 : argv[1];
	if (!cli_number(&request.lease, id, "LEASE", 1, (1ULL << 53) - 1))
		return CLI_USAGE;
	status = cli_call(cli, OP_LEASE_RELEASE, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&lease_ended_record, &reply);
	else if (status == CLI_DONE)
		printf("lease-%llu is released and its workstation told. The "
		       "seat is free when the span last signed for it is "
		       "over: until then an application that was not reached "
		       "may still run on it.\n",
		    (unsigned long long)reply.lease);
	arena_release(&arena);
	return status;
}
