/* The vendor's commands about licenses of customers. */
#include "agent/cli/hub.h"
#include "agent/cli/list.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
show(const struct hub_license_view *license)
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
	cli_show("license   %s, %s", license->license_id,
	    hub_status_names[license->status]);
	if (license->serial > 0)
		cli_show(", serial %llu", (unsigned long long)license->serial);
	cli_show("\ncustomer  %s  %s\n", license->crm_account_id,
	    license->customer_name);
	cli_show("product   %s  %s, versions %s\n", license->product.id,
	    license->product.name, license->product.version);
	cli_show("seats     %u commit, %u overage\n", seats->commit_qty,
	    seats->max_overage);
	cli_show("price     %s %s a month, %s %s an overage checkout\n", fee,
	    seats->pricing.currency, price, seats->pricing.currency);
	cli_show("contract  %s to %s%s\n", start, end,
	    license->contract.auto_renew ? ", renews itself" : "");
	if (license->site[0] != '\0')
		cli_show("site      %s, tenant %s\n", license->site,
		    license->tenant);
	if (license->crm_opportunity_id[0] != '\0')
		cli_show("deal      %s\n", license->crm_opportunity_id);
}

static int
ask(struct cli *cli, enum operation_id op, const void *request)
{
	struct hub_license_view reply;
	struct arena arena = { 0 };
	int status = cli_answer(cli, op, request, &reply, &arena);

	if (status == CLI_DONE && !cli->json)
		show(&reply);
	arena_release(&arena);
	return status;
}

/* --- order, issue ------------------------------------------------------------------- */

int
hub_license_generate(struct cli *cli, int argc, char **argv)
{
	struct hub_generate request;
	struct hub_generated reply;
	struct arena arena = { 0 };
	int status =
	    cli_arguments(argc, argv, 1, 1, "hub license generate FILE");

	if (status == CLI_DONE)
		status = cli_read_record(&request, &hub_generate_record,
		    argv[1], "order", NULL, &arena);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_HUB_GENERATE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		cli_show("license   %s, %s\n", reply.license_id,
		    hub_status_names[reply.status]);
		if (reply.status == HUB_STATUS_AWAITING_SITE)
			cli_say("it waits for the customer's site: leasehold "
				"hub site add REQUEST --customer %s",
			    request.customer.crm_account_id);
		else if (reply.status == HUB_STATUS_PROVISIONED)
			cli_say("fetch it: leasehold hub license package %s "
				"FILE",
			    reply.license_id);
	}
	arena_release(&arena);
	return status;
}

static void
show_provisioned(const struct hub_provision *request,
    const struct hub_provisioned *reply)
{
	cli_show("license   %s, %s\n", request->license_id,
	    hub_status_names[reply->status]);
	if (reply->tenant_url[0] != '\0')
		cli_show("address   %s\n", reply->tenant_url);
	if (request->notification.email[0] == '\0')
		return;
	if (reply->customer_notified)
		cli_show("told      %s\n", request->notification.email);
	else
		cli_say("nobody was told: no mail went out. When [mail] of the "
			"hub works, say it again: leasehold hub license "
			"provision %s --notify %s",
		    request->license_id, request->notification.email);
}

int
hub_license_provision(struct cli *cli, int argc, char **argv)
{
	struct hub_provision request = { .site = "" };
	struct hub_provisioned reply;
	struct arena arena = { 0 };
	int status =
	    hub_text(request.site, sizeof request.site, &argc, argv, "--site");

	if (status == CLI_DONE)
		status = hub_text(request.notification.email,
		    sizeof request.notification.email, &argc, argv, "--notify");
	if (status == CLI_DONE)
		status = hub_text(request.notification.message,
		    sizeof request.notification.message, &argc, argv,
		    "--message");
	if (status == CLI_DONE)
		status = hub_only(request.license_id, sizeof request.license_id,
		    argc, argv, "hub license provision LICENSE");
	if (status == CLI_DONE && request.notification.message[0] != '\0' &&
	    request.notification.email[0] == '\0') {
		cli_say("whom shall it say that to: --notify ADDRESS");
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_HUB_PROVISION, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		show_provisioned(&request, &reply);
	arena_release(&arena);
	return status;
}

int
hub_license_package(struct cli *cli, int argc, char **argv)
{
	struct hub_license_ref request;
	struct license_file file;
	struct arena arena = { 0 };
	struct buf out = { 0 };
	int status =
	    cli_arguments(argc, argv, 2, 2, "hub license package LICENSE FILE");

	if (status == CLI_DONE &&
	    !text_copy(request.license_id, sizeof request.license_id,
		argv[1])) {
		cli_say("'%.20s...' is no license", argv[1]);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status = cli_call(cli, OP_HUB_PACKAGE, &request, &file, &arena);
	if (status == CLI_DONE) {
		record_write_json_pretty(&out, &license_file_record, &file);
		buf_add_byte(&out, '\n');
		if (out.failed ||
		    file_write(argv[2], out.data, out.len, 0644) != 0) {
			cli_say("%s cannot be written: %s", argv[2],
			    strerror(errno));
			status = CLI_FAILED;
		}
	}
	if (status == CLI_DONE)
		cli_say("%s: on the site: leasehold license install %s",
		    argv[2], argv[2]);
	buf_release(&out);
	arena_release(&arena);
	return status;
}

/* --- what becomes of it -------------------------------------------------------------- */

int
hub_license_show(struct cli *cli, int argc, char **argv)
{
	struct hub_license_ref request;
	int status = hub_only(request.license_id, sizeof request.license_id,
	    argc, argv, "hub license show LICENSE");

	return status == CLI_DONE ? ask(cli, OP_HUB_LICENSE_SHOW, &request)
				  : status;
}

int
hub_license_renew(struct cli *cli, int argc, char **argv)
{
	struct hub_license_renew request = { .end_date = 0 };
	const char *until = NULL;

	if (cli_option(&until, &argc, argv, "--until") < 0)
		return CLI_USAGE;
	if (until == NULL) {
		cli_say("until when: --until 2027-12-31");
		return CLI_USAGE;
	}
	if (!hub_date(&request.end_date, until, "--until"))
		return CLI_USAGE;
	int status = hub_only(request.license_id, sizeof request.license_id,
	    argc, argv, "hub license renew LICENSE --until DAY");

	return status == CLI_DONE ? ask(cli, OP_HUB_LICENSE_RENEW, &request)
				  : status;
}

static int
change(struct cli *cli, int argc, char **argv, enum operation_id op,
    const char *usage)
{
	struct hub_license_change request = { .reason = "" };
	int status = hub_text(request.reason, sizeof request.reason, &argc,
	    argv, "--reason");

	if (status == CLI_DONE)
		status = hub_only(request.license_id, sizeof request.license_id,
		    argc, argv, usage);
	return status == CLI_DONE ? ask(cli, op, &request) : status;
}

int
hub_license_suspend(struct cli *cli, int argc, char **argv)
{
	return change(cli, argc, argv, OP_HUB_LICENSE_SUSPEND,
	    "hub license suspend LICENSE");
}

int
hub_license_resume(struct cli *cli, int argc, char **argv)
{
	return change(cli, argc, argv, OP_HUB_LICENSE_RESUME,
	    "hub license resume LICENSE");
}

int
hub_license_cancel(struct cli *cli, int argc, char **argv)
{
	return change(cli, argc, argv, OP_HUB_LICENSE_CANCEL,
	    "hub license cancel LICENSE");
}

/* --- list ------------------------------------------------------------------------------ */

static void
add_row(struct table *table, const void *item)
{
	const struct hub_license_view *license = item;
	char end[CLOCK_TEXT_SIZE];

	clock_format_date(end, license->contract.end_date);
	table_cell(table, "%s", license->license_id);
	table_cell(table, "%s", license->crm_account_id);
	table_cell(table, "%s", license->product.id);
	table_cell(table, "%u + %u", license->entitlement.commit_qty,
	    license->entitlement.max_overage);
	table_cell(table, "%s", hub_status_names[license->status]);
	table_cell(table, "%s", end);
	table_cell(table, "%s", license->site);
}

int
hub_license_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "LICENSE", "CUSTOMER", "PRODUCT",
		"SEATS", "STATUS", "UNTIL", "SITE" };
	struct hub_license_query query = { .limit = 100 };
	struct hub_license_page page;
	struct table table = { 0 };
	const char *days = NULL;
	uint64_t number = 0;
	const struct cli_list list = {
		.op = OP_HUB_LICENSE_LIST,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &hub_license_view_record,
		.row = add_row,
		.none = "There are no such licenses.",
	};
	int status = hub_text(query.crm_account_id, sizeof query.crm_account_id,
	    &argc, argv, "--customer");

	if (status == CLI_DONE)
		status = hub_one_of(&query.status, &argc, argv, "--status",
		    hub_status_names);
	if (status == CLI_DONE &&
	    (cli_option(&days, &argc, argv, "--expiring") < 0 ||
		(days != NULL &&
		    !cli_number(&number, days, "--expiring", 1, 3650))))
		status = CLI_USAGE;
	query.expiring_days = (uint32_t)number;
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0, "hub license list");
	if (status != CLI_DONE)
		return status;
	table_head(&table, 7, head);
	return cli_list(cli, &list, &table);
}
