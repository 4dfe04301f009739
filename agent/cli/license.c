/* The admin's commands about licenses. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
show_classes(const struct license_view *license)
{
	const struct record_list *list = &license->terms.classes;
	const struct license_class *classes = list->items;

	if (list->count == 0)
		return;
	cli_show("devices   of class");
	for (uint32_t n = 0; n < list->count; n++)
		cli_show(" %s", proof_class_names[classes[n].class_]);
	cli_show(" only\n");
}

static void
show_features(const struct license_view *license)
{
	const struct license_feature_view *features = license->features.items;
	char price[32];

	for (uint32_t i = 0; i < license->features.count; i++) {
		const struct license_feature_view *f = &features[i];

		money_format(price, f->overage_per_use, f->currency);
		printf("feature   %s%s%s: %u commit (%u in use), %u overage "
		       "(%u in use) at %s %s each\n",
		    f->id, f->name[0] != '\0' ? "  " : "", f->name,
		    f->commit_qty, f->used_commit, f->max_overage,
		    f->used_overage, price, f->currency);
	}
}

/* What it grants beyond its seats and its contract. */
static void
show_enforce(const struct license_view *license)
{
	const struct license_bounds *terms = &license->terms;

	switch ((enum license_enforce)terms->enforce) {
	case LICENSE_HARD:
		return;
	case LICENSE_GRACE:
		cli_show("beyond    %u %s after the contract its seats are "
			 "granted as overage\n",
		    terms->grace_days, terms->grace_days == 1 ? "day" : "days");
		return;
	case LICENSE_ADVISORY:
		cli_show("beyond    seats above these, and all after the "
			 "contract, are granted as overage\n");
		return;
	}
}

/* Is there more to say than its contract does? */
static bool
vendor_says(const struct license_view *license)
{
	return strcmp(license->status, "suspended") == 0 ||
	    strcmp(license->status, "cancelled") == 0;
}

static void
show(const struct license_view *license)
{
	const struct license_entitlement *seats = &license->entitlement;
	char start[CLOCK_TEXT_SIZE], end[CLOCK_TEXT_SIZE];
	char fee[32], price[32];

	clock_format_date(start, license->contract.start_date);
	clock_format_date(end, license->contract.end_date);
	money_format(fee, seats->pricing.commit_fee_monthly,
	    seats->pricing.currency);
	money_format(price, seats->pricing.overage_per_use,
	    seats->pricing.currency);
	cli_show("license   license-%llu  %s, serial %llu, %s\n",
	    (unsigned long long)license->license, license->license_id,
	    (unsigned long long)license->serial,
	    vendor_says(license) ? license->status : license->state);
	cli_show("vendor    %s (%s)\n", license->vendor.name,
	    license->vendor.id);
	cli_show("product   %s  %s, versions %s\n", license->product.id,
	    license->product.name, license->product.version);
	cli_show("seats     %u commit (%u in use), %u overage (%u in use)\n",
	    seats->commit_qty, license->used_commit, seats->max_overage,
	    license->used_overage);
	cli_show("price     %s %s a month, %s %s an overage checkout (%llu so "
		 "far%s)\n",
	    fee, seats->pricing.currency, price, seats->pricing.currency,
	    (unsigned long long)license->overage_checkouts,
	    license->features.count > 0 ? ", features included" : "");
	show_features(license);
	cli_show("contract  %s to %s%s\n", start, end,
	    license->contract.auto_renew ? ", renews itself" : "");
	show_enforce(license);
	cli_show("lease     lives %u s without a beat, %u s of grace\n",
	    license->terms.ttl_s, license->terms.grace_s);
	show_classes(license);
}

/* A license, or what its vendor says of one: each has a key of its own. */
static bool
is_change(const char *path)
{
	char text[65536];
	FILE *file = fopen(path, "r");
	size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);

	if (file != NULL)
		fclose(file);
	text[len] = '\0';
	return strstr(text, "\"change\"") != NULL;
}

static int
install_change(struct license_view *reply, struct cli *cli, const char *path,
    struct arena *arena)
{
	struct license_change_file file;
	int status = cli_read_record(&file, &license_change_file_record, path,
	    "license change",
	    "it is what the vendor sent about a license that is installed",
	    arena);

	return status == CLI_DONE
	    ? cli_answer(cli, OP_LICENSE_CHANGE, &file, reply, arena)
	    : status;
}

static int
install_license(struct license_view *reply, struct cli *cli, const char *path,
    struct arena *arena)
{
	struct license_install request;
	struct license_file file;
	int status =
	    cli_read_record(&file, &license_file_record, path, "license file",
		"it is what the vendor sent, made with leasehold-vendor issue",
		arena);

	if (status != CLI_DONE)
		return status;
	memcpy(request.vendor_key, file.vendor_key, sizeof(file.vendor_key));
	request.issuer = file.issuer;
	request.license = file.license;
	return cli_answer(cli, OP_LICENSE_INSTALL, &request, reply, arena);
}

int
license_install_file(struct cli *cli, int argc, char **argv)
{
	struct license_view reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 1, 1, "license install FILE");

	if (status == CLI_DONE)
		status = is_change(argv[1])
		    ? install_change(&reply, cli, argv[1], &arena)
		    : install_license(&reply, cli, argv[1], &arena);
	if (status == CLI_DONE && !cli->json)
		show(&reply);
	arena_release(&arena);
	return status;
}

/* A row for the product's own seats, and one for those of each feature. */
static void
add_row(struct table *table, const struct license_view *license,
    const struct license_feature_view *feature)
{
	const struct license_entitlement *seats = &license->entitlement;
	char end[CLOCK_TEXT_SIZE];

	clock_format_date(end, license->contract.end_date);
	table_cell(table, "license-%llu", (unsigned long long)license->license);
	table_cell(table, "%s", license->product.id);
	table_cell(table, "%s", feature != NULL ? feature->id : "");
	table_cell(table, "%s", license->product.version);
	if (feature != NULL) {
		table_cell(table, "%u/%u", feature->used_commit,
		    feature->commit_qty);
		table_cell(table, "%u/%u", feature->used_overage,
		    feature->max_overage);
	} else {
		table_cell(table, "%u/%u", license->used_commit,
		    seats->commit_qty);
		table_cell(table, "%u/%u", license->used_overage,
		    seats->max_overage);
	}
	table_cell(table, "%s",
	    vendor_says(license) ? license->status : license->state);
	table_cell(table, "%s", end);
	table_cell(table, "%s", license->license_id);
}

static void
add_license(struct table *table, const void *item)
{
	const struct license_view *license = item;
	const struct license_feature_view *features = license->features.items;

	add_row(table, license, NULL);
	for (uint32_t i = 0; i < license->features.count; i++)
		add_row(table, license, &features[i]);
}

int
license_list(struct cli *cli, int argc, char **argv)
{
	static const struct table_column columns[] = {
		{ .name = "LICENSE" },
		{ .name = "PRODUCT" },
		{ .name = "FEATURE", .spare = true },
		{ .name = "VERSIONS" },
		{ .name = "COMMIT", .right = true },
		{ .name = "OVERAGE", .right = true },
		{ .name = "STATE" },
		{ .name = "ENDS" },
		{ .name = "ID" },
	};
	struct license_query request = { .limit = LIST_LIMIT_MAX };
	struct license_page page;
	struct table table = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "license list");

	if (status != CLI_DONE)
		return status;
	const struct cli_list list = {
		.op = OP_LICENSE_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &license_view_record,
		.row = add_license,
		.none =
		    "No license is installed. Make a request for your vendor "
		    "with\n  leasehold site request --out request.txt",
	};

	table_begin(&table, sizeof(columns) / sizeof(columns[0]), columns);
	return cli_list(cli, &list, &table);
}

int
license_show(struct cli *cli, int argc, char **argv)
{
	struct license_number request;
	struct license_view reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.license, argc, argv,
	    "license show LICENSE", "license-");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_LICENSE_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		show(&reply);
	arena_release(&arena);
	return status;
}
