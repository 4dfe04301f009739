#include "agent/cli/products.h"

#include "agent/cli/visible.h"
#include "shared/base/err.h"
#include "shared/record/json.h"

#include <stddef.h>
#include <string.h>

static const struct record_field product_use_fields[] = {
	R_TEXT(product_use, product, 1, 63, 0, "The product's id."),
	R_TEXT(product_use, feature, 0, 63, RECORD_OPTIONAL,
	    "Absent: the product's own seats."),
	R_U64(product_use, license, 1, UINT64_MAX, 0, "The license's number."),
	R_U32(product_use, used_commit, 0, UINT32_MAX, 0, "In use."),
	R_U32(product_use, commit, 0, UINT32_MAX, 0, "Of so many."),
	R_U32(product_use, used_overage, 0, UINT32_MAX, 0, "In use above."),
	R_U32(product_use, overage, 0, UINT32_MAX, 0, "Of so many."),
	R_U32(product_use, waiting, 0, UINT32_MAX, 0, "Who waits."),
	R_TEXT(product_use, state, 0, 15, 0, "Of the license."),
};
static RECORD_DEFINE(product_use, 1, "Seats of a product and their use.");

static struct product_use *
use_at(const struct buf *uses, size_t n)
{
	return (struct product_use *)(void *)(uses->data +
	    n * sizeof(struct product_use));
}

static size_t
count_of(const struct buf *uses)
{
	return uses->len / sizeof(struct product_use);
}

static void
add_license(struct products *products, const struct license_view *license)
{
	struct product_use use = { .license = license->license,
		.used_commit = license->used_commit,
		.commit = license->entitlement.commit_qty,
		.used_overage = license->used_overage,
		.overage = license->entitlement.max_overage };
	const struct license_feature_view *features = license->features.items;

	memcpy(use.product, license->product.id, sizeof(use.product));
	memcpy(use.state, license->state, sizeof(use.state));
	buf_add(&products->uses, &use, sizeof(use));
	for (uint32_t i = 0; i < license->features.count; i++) {
		memcpy(use.feature, features[i].id, sizeof(use.feature));
		use.used_commit = features[i].used_commit;
		use.commit = features[i].commit_qty;
		use.used_overage = features[i].used_overage;
		use.overage = features[i].max_overage;
		buf_add(&products->uses, &use, sizeof(use));
	}
}

static int
read_licenses(struct products *products, struct cli *cli, struct arena *arena)
{
	struct license_query query = { .limit = LIST_LIMIT_MAX };
	int status;

	do {
		struct license_page page;

		arena_clear(arena);
		status = cli_call(cli, OP_LICENSE_LIST, &query, &page, arena);
		if (status != CLI_DONE)
			break;
		const struct license_view *items = page.items.items;

		for (uint32_t i = 0; i < page.items.count; i++)
			add_license(products, &items[i]);
		if (page.next == 0)
			break;
		status = cli_next_page(&query.after, page.next);
	} while (status == CLI_DONE);
	return status;
}

static void
count_waiter(struct products *products, const struct waiter_view *waiter)
{
	for (size_t i = 0; i < count_of(&products->uses); i++) {
		struct product_use *use = use_at(&products->uses, i);

		if (strcmp(use->product, waiter->product) == 0 &&
		    strcmp(use->feature, waiter->feature) == 0)
			use->waiting++;
	}
}

static int
read_queue(struct products *products, struct cli *cli, struct arena *arena)
{
	struct waiter_query query = { .limit = LIST_LIMIT_MAX };
	int status;

	do {
		struct waiter_page page;

		arena_clear(arena);
		status = cli_call(cli, OP_QUEUE_LIST, &query, &page, arena);
		if (status != CLI_DONE)
			break;
		const struct waiter_view *items = page.items.items;

		for (uint32_t i = 0; i < page.items.count; i++)
			count_waiter(products, &items[i]);
		if (page.next == 0)
			break;
		status = cli_next_page(&query.after, page.next);
	} while (status == CLI_DONE);
	return status;
}

int
products_read(struct products *products, struct cli *cli)
{
	struct arena arena = { 0 };
	struct empty nothing = { 0 };
	struct site_view site;
	struct buf before = products->before;
	int status = cli_call(cli, OP_SITE_SHOW, &nothing, &site, &arena);

	products->before = products->uses;
	products->uses = before;
	buf_clear(&products->uses);
	if (status == CLI_DONE) {
		memcpy(products->site, site.site, sizeof(products->site));
		memcpy(products->name, site.name, sizeof(products->name));
		products->leases = site.leases;
		products->devices = site.devices;
		products->sessions = site.sessions;
		products->alerts = site.alerts;
		products->severity = site.worst.count > 0
		    ? ((const struct alert_view *)site.worst.items)->severity
		    : ALERT_INFO;
		status = read_licenses(products, cli, &arena);
	}
	if (status == CLI_DONE)
		status = read_queue(products, cli, &arena);
	if (status == CLI_DONE && products->uses.failed) {
		cli_say("out of memory");
		status = CLI_FAILED;
	}
	arena_release(&arena);
	return status;
}

/* Were its numbers others in the last frame? */
static bool
changed(const struct products *products, size_t n)
{
	return n < count_of(&products->before) &&
	    memcmp(use_at(&products->uses, n), use_at(&products->before, n),
		offsetof(struct product_use, state)) != 0;
}

static void
add_use(struct table *table, const struct product_use *use)
{
	table_cell(table, "%s", use->product);
	table_cell(table, "%s", use->feature);
	table_cell(table, "%u of %u", use->used_commit + use->used_overage,
	    use->commit + use->overage);
	table_cell(table, "%u of %u", use->used_commit, use->commit);
	table_cell(table, "%u of %u", use->used_overage, use->overage);
	table_cell(table, "%u", use->waiting);
	table_cell(table, "%s", use->state);
}

void
products_show(struct buf *out, const struct products *products,
    const char *product, const struct frame *frame)
{
	static const struct table_column columns[] = { { .name = "PRODUCT",
							   .least = 16 },
		{ .name = "FEATURE", .least = 8, .spare = true },
		{ .name = "IN USE", .right = true },
		{ .name = "COMMIT", .right = true },
		{ .name = "OVERAGE", .right = true },
		{ .name = "WAITING", .right = true }, { .name = "LICENSE" } };
	struct table table = { .clip = frame->rows != 0 };
	struct buf line = { 0 };

	buf_printf(&line,
	    "site %s (%s): %llu leases, %llu of %llu devices connected\n",
	    products->name, products->site,
	    (unsigned long long)products->leases,
	    (unsigned long long)products->sessions,
	    (unsigned long long)products->devices);
	if (products->alerts > 0)
		buf_printf(&line,
		    "%llu alert%s open, the worst is %s: leasehold site show\n",
		    (unsigned long long)products->alerts,
		    products->alerts == 1 ? " is" : "s are",
		    alert_severity_names[products->severity]);
	visible_add_lines(out, buf_text(&line));
	buf_release(&line);
	table_begin(&table, 7, columns);
	for (size_t i = 0; i < count_of(&products->uses); i++) {
		const struct product_use *use = use_at(&products->uses, i);

		if (product[0] != '\0' && strcmp(product, use->product) != 0)
			continue;
		add_use(&table, use);
		if (changed(products, i))
			table_mark(&table);
	}
	if (table.n_cells > 0 && !table_render(out, &table, frame->columns))
		out->failed = true;
	table_end(&table);
}

void
products_json(struct buf *out, const struct products *products)
{
	buf_add_str(out, "{\"site\":");
	json_add_string(out, products->site, strlen(products->site));
	buf_add_str(out, ",\"name\":");
	json_add_string(out, products->name, strlen(products->name));
	buf_printf(out, ",\"leases\":%llu,\"products\":[",
	    (unsigned long long)products->leases);
	for (size_t i = 0; i < count_of(&products->uses); i++) {
		buf_add_str(out, i > 0 ? ",\n  " : "\n  ");
		record_write_json(out, &product_use_record,
		    use_at(&products->uses, i));
	}
	buf_add_str(out, "\n],\"items\":[");
}

bool
products_have_features(const struct products *products)
{
	for (size_t i = 0; i < count_of(&products->uses); i++)
		if (use_at(&products->uses, i)->feature[0] != '\0')
			return true;
	return false;
}

void
products_release(struct products *products)
{
	buf_release(&products->uses);
	buf_release(&products->before);
}
