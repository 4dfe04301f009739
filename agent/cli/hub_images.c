/* Released images of the appliance, on a vendor's hub. */
#include "agent/cli/hub.h"

#include "agent/cli/list.h"
#include "agent/cli/table.h"
#include "shared/rpc/messages_measured.h"

#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

int
hub_image_add(struct cli *cli, int argc, char **argv)
{
	struct hub_image request, reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 1, 1, "hub images add FILE");

	if (status == CLI_DONE)
		status = cli_read_record(&request, &hub_image_record, argv[1],
		    "image-measurements.json", NULL, &arena);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_HUB_IMAGE_ADD, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		cli_show("image     %s, %u values\n", reply.version,
		    reply.pcrs.count);
	arena_release(&arena);
	return status;
}

int
hub_image_remove(struct cli *cli, int argc, char **argv)
{
	struct hub_image_ref request = { .version = "" };
	struct hub_image_ref reply;
	struct arena arena = { 0 };
	int status =
	    cli_arguments(argc, argv, 1, 1, "hub images remove VERSION");

	if (status == CLI_DONE &&
	    !text_copy(request.version, sizeof request.version, argv[1])) {
		cli_say("a version has at most 63 characters");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = cli_answer(cli, OP_HUB_IMAGE_REMOVE, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json)
		cli_say("sites that run %s are judged anew with their next "
			"reports",
		    request.version);
	arena_release(&arena);
	return status;
}

static void
add_image(struct table *table, const void *item)
{
	const struct hub_image *image = item;
	const struct hub_image_pcr *pcrs = image->pcrs.items;
	uint32_t named = 0;
	char added[32], list[64] = "";
	size_t at = 0;

	cli_time(added, image->added_at);
	for (uint32_t i = 0; i < image->pcrs.count; i++) {
		if ((named >> pcrs[i].pcr & 1) != 0)
			continue;
		named |= UINT32_C(1) << pcrs[i].pcr;
		at += (size_t)snprintf(list + at, sizeof list - at, "%s%u",
		    at > 0 ? " " : "", pcrs[i].pcr);
	}
	table_cell(table, "%s", image->version);
	table_cell(table, "%s", image->build_id);
	table_cell(table, "%s", list);
	table_cell(table, "%s", added);
}

int
hub_image_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "VERSION", "BUILD", "PCRS",
		"SINCE" };
	struct hub_image_query query = { .limit = 100 };
	struct hub_image_page page;
	struct table table = { 0 };
	const struct cli_list list = {
		.op = OP_HUB_IMAGE_LIST,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &hub_image_record,
		.row = add_image,
		.none = "No released image is known. Add what make image "
			"wrote: leasehold hub images add "
			"image-measurements.json",
	};
	int status = cli_arguments(argc, argv, 0, 0, "hub images list");

	if (status != CLI_DONE)
		return status;
	table_head(&table, 4, head);
	return cli_list(cli, &list, &table);
}
