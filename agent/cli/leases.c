/*
 * Who holds what: the admin's view, from the site. Product by product how many
 * seats are in use and who waits, then the leases: page by page as they come,
 * or sorted, which needs all of them here.
 */
#include "agent/cli/csv.h"
#include "agent/cli/lease_sort.h"
#include "agent/cli/products.h"
#include "agent/cli/screen.h"
#include "agent/cli/visible.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	struct cli *cli;
	struct lease_query query;
	enum lease_order order;
	bool reverse;
	bool csv;
	bool watched;
	struct products products;
	/* of the frame before, sorted: what is new is shown so */
	struct buf seen; /* uint64_t */
	bool seen_any;
	/* one frame */
	struct frame *frame;
	struct table table;
	struct buf shown; /* uint64_t */
	uint64_t count;
};

/* --- rows ----------------------------------------------------------------- */

static const struct table_column columns[] = { { .name = "LEASE" },
	{ .name = "PRODUCT", .least = 16 }, { .name = "FEATURE", .least = 8 },
	{ .name = "VERSION", .least = 7 }, { .name = "SEATS", .right = true },
	{ .name = "TYPE" }, { .name = "USER", .least = 8 },
	{ .name = "HOST", .least = 8 }, { .name = "DEVICE", .least = 12 },
	{ .name = "SINCE" }, { .name = "LEFT", .right = true },
	{ .name = "AGENT" } };
#define COLUMN_FEATURE 2
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t left, right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return left < right ? -1 : left > right;
}

static bool
is_new(const struct listing *listing, uint64_t lease)
{
	return listing->seen_any &&
	    (listing->seen.len == 0 ||
		bsearch(&lease, listing->seen.data,
		    listing->seen.len / sizeof(lease), sizeof(lease),
		    compare_numbers) == NULL);
}

static void
add_row(struct listing *listing, const struct lease_view *lease)
{
	struct table *table = &listing->table;
	char since[32], left[32];

	cli_time(since, lease->granted_at);
	cli_span(left, lease->left_s);
	table_cell(table, "%s-%llu", lease->until != 0 ? "borrow" : "lease",
	    (unsigned long long)lease->lease);
	table_cell(table, "%s", lease->product);
	table_cell(table, "%s", lease->feature);
	table_cell(table, "%s", lease->version);
	table_cell(table, "%u", lease->count);
	table_cell(table, "%s", seat_type_names[lease->type]);
	table_cell(table, "%s", lease->user);
	table_cell(table, "%s", lease->host);
	table_cell(table, "device-%llu %s", (unsigned long long)lease->device,
	    lease->device_name);
	table_cell(table, "%s", since);
	table_cell(table, "%s", left);
	table_cell(table, "%s", lease->connected ? "connected" : "away");
	if (is_new(listing, lease->lease))
		table_mark(table);
	if (listing->watched)
		buf_add(&listing->shown, &lease->lease, sizeof(lease->lease));
}

static void
add_csv(struct buf *out, const struct lease_view *lease)
{
	char since[CLOCK_TEXT_SIZE];

	clock_format(since, lease->granted_at);
	csv_number(out, lease->lease, false);
	csv_text(out, lease->product, false);
	csv_text(out, lease->feature, false);
	csv_text(out, lease->version, false);
	csv_number(out, lease->count, false);
	csv_text(out, seat_type_names[lease->type], false);
	csv_number(out, lease->slot, false);
	csv_number(out, lease->license, false);
	csv_text(out, lease->user, false);
	csv_text(out, lease->host, false);
	csv_number(out, lease->device, false);
	csv_text(out, lease->device_name, false);
	csv_text(out, since, false);
	csv_number(out, lease->left_s, false);
	csv_text(out, lease->connected ? "yes" : "no", true);
}

static void
add_lease(struct listing *listing, const struct lease_view *lease)
{
	struct buf *out = &listing->frame->out;

	if (listing->cli->json) {
		buf_add_str(out, listing->count > 0 ? ",\n  " : "\n  ");
		record_write_json(out, &lease_view_record, lease);
	} else if (listing->csv) {
		add_csv(out, lease);
	} else {
		add_row(listing, lease);
	}
	listing->count++;
}

/* What is ready goes out, unless the whole frame is kept. */
static int
pass_on(struct listing *listing)
{
	struct buf *out = &listing->frame->out;
	bool good = true;

	if (!listing->cli->json && !listing->csv && listing->table.n_cells > 0)
		good =
		    table_render(out, &listing->table, listing->frame->columns);
	if (!good || out->failed) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	if (listing->watched)
		return CLI_DONE;
	fwrite(out->data, 1, out->len, stdout);
	buf_clear(out);
	return ferror(stdout) ? CLI_FAILED : CLI_DONE;
}

/* --- the site's pages ----------------------------------------------------- */

static int
each_page(struct listing *listing,
    int (*take)(struct listing *listing, const struct lease_page *page,
	void *ctx),
    void *ctx)
{
	struct lease_query request = listing->query;
	struct arena arena = { 0 };
	int status;

	do {
		struct lease_page page;

		arena_clear(&arena);
		status = cli_call(listing->cli, OP_LEASE_LIST, &request, &page,
		    &arena);
		if (status == CLI_DONE)
			status = take(listing, &page, ctx);
		if (status != CLI_DONE || page.next == 0)
			break;
		if (listing->frame->rows != 0 && listing->order == 0 &&
		    listing->count >= listing->frame->rows)
			break; /* the screen is full */
		status = cli_next_page(&request.after, page.next);
	} while (status == CLI_DONE);
	arena_release(&arena);
	return status;
}

static int
take_plain(struct listing *listing, const struct lease_page *page, void *ctx)
{
	const struct lease_view *items = page->items.items;

	(void)ctx;
	for (uint32_t i = 0; i < page->items.count; i++)
		add_lease(listing, &items[i]);
	return pass_on(listing);
}

static int
take_to_sort(struct listing *listing, const struct lease_page *page, void *ctx)
{
	const struct lease_view *items = page->items.items;

	(void)listing;
	for (uint32_t i = 0; i < page->items.count; i++)
		if (lease_sort_add(ctx, &items[i]) != 0) {
			cli_say("too many leases to sort in memory: name "
				"--product, --user or --host, or leave out "
				"--sort");
			return CLI_FAILED;
		}
	return CLI_DONE;
}

static int
list_sorted(struct listing *listing)
{
	struct lease_sort *sort = lease_sort_new();
	struct lease_view lease;
	int status;

	if (sort == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	status = each_page(listing, take_to_sort, sort);
	if (status == CLI_DONE)
		lease_sort_run(sort, listing->order, listing->reverse);
	for (uint32_t i = 0; status == CLI_DONE && i < lease_sort_count(sort);
	     i++) {
		if (listing->frame->rows != 0 &&
		    listing->count >= listing->frame->rows)
			break;
		lease_sort_get(&lease, sort, i);
		add_lease(listing, &lease);
		if (listing->count % LIST_LIMIT_MAX == 0)
			status = pass_on(listing);
	}
	lease_sort_free(sort);
	return status;
}

/* --- one listing ---------------------------------------------------------- */

/* Before the leases: how the products are used. */
static int
begin(struct listing *listing)
{
	struct buf *out = &listing->frame->out;
	int status;

	if (listing->csv) {
		buf_add_str(out,
		    "lease,product,feature,version,seats,type,slot,license,"
		    "user,host,device,device_name,since,left_s,connected\r\n");
		return CLI_DONE;
	}
	status = products_read(&listing->products, listing->cli);
	if (status != CLI_DONE)
		return status;
	table_begin(&listing->table, N_COLUMNS, columns);
	/* The first page may be too early to tell. */
	listing->table.columns[COLUMN_FEATURE].spare =
	    !products_have_features(&listing->products);
	listing->table.clip = listing->frame->rows != 0;
	if (listing->cli->json) {
		products_json(out, &listing->products);
	} else {
		products_show(out, &listing->products, listing->query.product,
		    listing->frame);
		buf_add_byte(out, '\n');
	}
	return CLI_DONE;
}

/* What was shown is what the next frame is compared with. */
static void
remember(struct listing *listing)
{
	struct buf empty = listing->seen;

	if (listing->shown.len > 0)
		qsort(listing->shown.data,
		    listing->shown.len / sizeof(uint64_t), sizeof(uint64_t),
		    compare_numbers);
	listing->seen = listing->shown;
	listing->shown = empty;
	listing->seen_any = !listing->seen.failed;
	buf_clear(&listing->shown);
}

static int
draw_leases(void *ctx, struct frame *frame)
{
	struct listing *listing = ctx;
	bool filtered = listing->query.product[0] != '\0' ||
	    listing->query.feature[0] != '\0' ||
	    listing->query.user[0] != '\0' || listing->query.host[0] != '\0' ||
	    listing->query.device != 0;
	int status;

	listing->frame = frame;
	listing->count = 0;
	status = begin(listing);
	if (status == CLI_DONE)
		status = listing->order == ORDER_NUMBER && !listing->reverse
		    ? each_page(listing, take_plain, NULL)
		    : list_sorted(listing);
	if (status == CLI_DONE && listing->cli->json)
		buf_add_str(&frame->out,
		    listing->count > 0 ? "\n]}\n" : "]}\n");
	else if (status == CLI_DONE && !listing->csv && listing->count == 0)
		buf_add_str(&frame->out,
		    filtered ? "No seat that fits is held.\n"
			     : "No seat is held.\n");
	if (status == CLI_DONE)
		status = pass_on(listing);
	if (listing->watched)
		remember(listing);
	table_end(&listing->table);
	return status;
}

/* --- the command line ----------------------------------------------------- */

static const char usage[] =
    "leases [--product P] [--feature F] [--user U] [--host H] [--device D] "
    "[--sort KEY] [--reverse] [--csv] [--watch [SECONDS]]";

static int
read_filters(struct lease_query *query, int *argc, char **argv)
{
	const struct {
		const char *name;
		char *out;
		size_t size;
	} filters[] = {
		{ "--product", query->product, sizeof(query->product) },
		{ "--feature", query->feature, sizeof(query->feature) },
		{ "--user", query->user, sizeof(query->user) },
		{ "--host", query->host, sizeof(query->host) },
	};
	const char *value;
	int found;

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		found = cli_option(&value, argc, argv, filters[i].name);
		if (found < 0)
			return CLI_USAGE;
		if (found > 0 &&
		    !text_copy(filters[i].out, filters[i].size, value)) {
			cli_say("%s: longer than %zu bytes", filters[i].name,
			    filters[i].size - 1);
			return CLI_USAGE;
		}
	}
	found = cli_option(&value, argc, argv, "--device");
	if (found < 0 ||
	    (found > 0 &&
		!cli_id(&query->device, value, "--device", "device-")))
		return CLI_USAGE;
	return CLI_DONE;
}

static int
read_order(struct listing *listing, int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, "--sort");

	listing->reverse = cli_flag(argc, argv, "--reverse");
	listing->csv = cli_flag(argc, argv, "--csv");
	if (found < 0)
		return CLI_USAGE;
	if (listing->csv && listing->cli->json) {
		cli_say("--csv and --json: name one of them");
		return CLI_USAGE;
	}
	if (found == 0)
		return CLI_DONE;
	for (uint32_t i = 0; lease_order_names[i] != NULL; i++)
		if (strcmp(lease_order_names[i], value) == 0) {
			listing->order = (enum lease_order)i;
			return CLI_DONE;
		}
	cli_say("--sort: '%s' is none of since, user, host, product, left",
	    value);
	return CLI_USAGE;
}

int
leases_list(struct cli *cli, int argc, char **argv)
{
	struct listing listing = { .cli = cli,
		.query = { .limit = LIST_LIMIT_MAX } };
	struct frame frame = { .columns = screen_columns() };
	uint64_t seconds;
	int watch = screen_watch_option(&seconds, &argc, argv);
	int status = watch < 0 ? CLI_USAGE : CLI_DONE;

	if (status == CLI_DONE)
		status = read_filters(&listing.query, &argc, argv);
	if (status == CLI_DONE)
		status = read_order(&listing, &argc, argv);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0, usage);
	listing.watched = watch > 0;
	if (status == CLI_DONE && watch > 0)
		status = screen_watch(cli, seconds, draw_leases, &listing);
	else if (status == CLI_DONE)
		status = draw_leases(&listing, &frame);
	buf_release(&frame.out);
	buf_release(&listing.seen);
	buf_release(&listing.shown);
	products_release(&listing.products);
	return status;
}

int
leases_release(struct cli *cli, int argc, char **argv)
{
	struct lease_ref request;
	struct lease_ended reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.lease, argc, argv,
	    "leases release LEASE", "lease-");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_LEASE_RELEASE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("lease-%llu is released and its workstation told. The "
		       "seat is free when the span last signed for it is "
		       "over: until then an application that was not reached "
		       "may still run on it.\n",
		    (unsigned long long)reply.lease);
	arena_release(&arena);
	return status;
}
