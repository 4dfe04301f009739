/*
 * The admin's side of borrowing: what is on loan at the site, returns that come
 * as files, and borrows that are given up.
 */
#include "agent/cli/borrow.h"
#include "agent/cli/csv.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file holds one proof. */

/* --- list ----------------------------------------------------------------- */

static const struct table_column columns[] = { { .name = "BORROW" },
	{ .name = "PRODUCT", .least = 16 },
	{ .name = "FEATURE", .least = 8, .spare = true }, { .name = "VERSION" },
	{ .name = "SEATS", .right = true }, { .name = "TYPE" },
	{ .name = "USER", .least = 8 }, { .name = "HOST", .least = 8 },
	{ .name = "DEVICE", .least = 12 }, { .name = "CLASS" },
	{ .name = "STATE" }, { .name = "TAKEN" }, { .name = "UNTIL" },
	{ .name = "LEFT", .right = true } };
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void
add_row(struct table *table, const struct borrow_view *borrow, int64_t now)
{
	char taken[32], until[32], left[32];

	cli_time(taken, borrow->taken_at);
	cli_time(until, borrow->until);
	borrow_left(left, borrow->until, now);
	table_cell(table, "borrow-%llu", (unsigned long long)borrow->lease);
	table_cell(table, "%s", borrow->product);
	table_cell(table, "%s", borrow->feature);
	table_cell(table, "%s", borrow->version);
	table_cell(table, "%u", borrow->count);
	table_cell(table, "%s", seat_type_names[borrow->type]);
	table_cell(table, "%s", borrow->user);
	table_cell(table, "%s", borrow->host);
	table_cell(table, "device-%llu %s", (unsigned long long)borrow->device,
	    borrow->device_name);
	table_cell(table, "%s", proof_class_names[borrow->class_]);
	table_cell(table, "%s", borrow_state_names[borrow->state]);
	table_cell(table, "%s", taken);
	table_cell(table, "%s", until);
	table_cell(table, "%s", left);
	if (borrow->state == BORROW_UNPROVEN)
		table_mark(table);
}

static void
add_csv(struct buf *out, const struct borrow_view *borrow)
{
	char taken[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];

	clock_format(taken, borrow->taken_at);
	clock_format(until, borrow->until);
	csv_number(out, borrow->lease, false);
	csv_text(out, borrow->product, false);
	csv_text(out, borrow->version, false);
	csv_text(out, borrow->feature, false);
	csv_number(out, borrow->count, false);
	csv_text(out, seat_type_names[borrow->type], false);
	csv_text(out, borrow_state_names[borrow->state], false);
	csv_number(out, borrow->license, false);
	csv_number(out, borrow->device, false);
	csv_text(out, borrow->device_name, false);
	csv_text(out, proof_class_names[borrow->class_], false);
	csv_text(out, borrow->user, false);
	csv_text(out, borrow->host, false);
	csv_text(out, taken, false);
	csv_text(out, until, false);
	csv_number(out, borrow->epoch, true);
}

/* How a page of them is shown. */
struct loans {
	struct cli *cli;
	bool csv;
	struct table table;
	struct json_items json;
	struct buf out; /* CSV */
	uint64_t total, unproven;
};

static void
add_page(struct loans *loans, const struct borrow_page *page)
{
	const struct borrow_view *items = page->items.items;
	int64_t now = clock_wall_ms();

	loans->total += page->items.count;
	if (loans->cli->json)
		cli_add_items(&loans->json, &borrow_view_record, &page->items);
	for (uint32_t i = 0; i < page->items.count; i++) {
		loans->unproven += items[i].state == BORROW_UNPROVEN;
		if (loans->csv)
			add_csv(&loans->out, &items[i]);
		else if (!loans->cli->json)
			add_row(&loans->table, &items[i], now);
	}
}

static int
end_loans(struct loans *loans, const struct borrow_query *query)
{
	if (loans->cli->json) {
		cli_end_items(&loans->json);
		return CLI_DONE;
	}
	if (loans->csv) {
		if (loans->out.failed) {
			cli_say("out of memory");
			return CLI_FAILED;
		}
		fwrite(loans->out.data, 1, loans->out.len, stdout);
		return CLI_DONE;
	}
	if (loans->total > 0)
		table_flush(&loans->table);
	else
		puts(query->product[0] != '\0' || query->device != 0
			? "Nothing that fits is on loan."
			: "Nothing is on loan.");
	fflush(stdout); /* in this order also where both go to one place */
	if (loans->unproven > 0)
		cli_say("%llu ran out without a proof of the return: the "
			"device gives it when it is connected; one that never "
			"will be is given up with: leasehold borrow write-off "
			"BORROW",
		    (unsigned long long)loans->unproven);
	return CLI_DONE;
}

static int
list_loans(struct cli *cli, struct borrow_query *query, bool csv)
{
	struct loans loans = { .cli = cli, .csv = csv };
	struct arena arena = { 0 };
	int status;

	table_begin(&loans.table, N_COLUMNS, columns);
	if (csv)
		buf_add_str(&loans.out, BORROW_CSV_SITE);
	do {
		struct borrow_page page;

		arena_clear(&arena);
		status = cli_call(cli, OP_BORROW_LIST, query, &page, &arena);
		if (status != CLI_DONE)
			break;
		add_page(&loans, &page);
		if (page.next == 0)
			break;
		status = cli_next_page(&query->after, page.next);
	} while (status == CLI_DONE);
	if (status == CLI_DONE)
		status = end_loans(&loans, query);
	table_end(&loans.table);
	buf_release(&loans.out);
	arena_release(&arena);
	return status;
}

int
borrow_list_site(struct cli *cli, int argc, char **argv, bool csv)
{
	struct borrow_query query = { .limit = LIST_LIMIT_MAX };
	const char *product = "", *device = NULL;

	if (cli_option(&product, &argc, argv, "--product") < 0 ||
	    cli_option(&device, &argc, argv, "--device") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 0, 0,
	    "borrow list --site [--product P] [--device D] [--csv]");

	if (status != CLI_DONE)
		return status;
	if (!text_copy(query.product, sizeof(query.product), product)) {
		cli_say("--product: longer than 63 bytes");
		return CLI_USAGE;
	}
	if (device != NULL &&
	    !cli_id(&query.device, device, "--device", "device-"))
		return CLI_USAGE;
	return list_loans(cli, &query, csv);
}

/* --- deliver -------------------------------------------------------------- */

int
borrow_deliver(struct cli *cli, int argc, char **argv)
{
	struct borrow_returned reply;
	struct arena arena = { 0 };
	struct borrow_file file;
	int status = cli_arguments(argc, argv, 1, 1, "borrow deliver FILE");

	if (status == CLI_DONE)
		status = cli_read_record(&file, &borrow_file_record, argv[1],
		    "return of borrowed seats",
		    "a workstation writes one with: leasehold borrow return "
		    "--all --offline FILE",
		    &arena);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_BORROW_DELIVER, &file, &reply, &arena);
	if (status == CLI_DONE && !cli->json && reply.ended > 0)
		printf("It is proved: %u %s of device-%llu ended, and the "
		       "seats are free.\n",
		    reply.ended, reply.ended == 1 ? "borrow" : "borrows",
		    (unsigned long long)file.device);
	else if (status == CLI_DONE && !cli->json)
		printf("It is proved, and was known: no borrow of device-%llu "
		       "ended by it.\n",
		    (unsigned long long)file.device);
	if (status == CLI_DONE && !cli->json && reply.left > 0)
		printf("The device still has %u, taken later: leasehold borrow "
		       "list --site --device %llu\n",
		    reply.left, (unsigned long long)file.device);
	arena_release(&arena);
	return status;
}

/* --- write off ------------------------------------------------------------ */

int
borrow_write_off(struct cli *cli, int argc, char **argv)
{
	struct borrow_write_off request = { 0 };
	struct borrow_written_off reply;
	struct arena arena = { 0 };
	char until[32];

	request.overage = cli_flag(&argc, argv, "--overage");
	int status = cli_arguments(argc, argv, 1, 1,
	    "borrow write-off BORROW [--overage]");

	if (status == CLI_DONE && !borrow_id(&request.lease, argv[1]))
		status = CLI_USAGE;
	if (status == CLI_DONE)
		status = cli_answer(cli, OP_BORROW_WRITE_OFF, &request, &reply,
		    &arena);
	if (status == CLI_DONE && !cli->json) {
		cli_time(until, reply.until);
		printf("borrow-%llu is given up",
		    (unsigned long long)reply.lease);
		if (reply.overage_count > 0)
			printf(": its seats are free, and %u overage %s billed "
			       "in their place, taken until %s.\n",
			    reply.overage_count,
			    reply.overage_count == 1 ? "seat is" : "seats are",
			    until);
		else if (reply.until != 0)
			printf(": its seats stay taken until %s, when nobody "
			       "can use it any more.\n",
			    until);
		else
			puts(", and its seats are free.");
		puts("Its device gets nothing more before it proves the "
		     "return.");
	}
	arena_release(&arena);
	return status;
}
