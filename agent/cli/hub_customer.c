/* The vendor's commands about customers. */
#include "agent/cli/hub.h"
#include "agent/cli/list.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static void
show(const struct customer_view *customer)
{
	char since[32];

	cli_time(since, customer->registered_at);
	cli_show("customer  %s  %s (%s), %s\n", customer->crm_account_id,
	    customer->name, customer->platform_customer_id,
	    customer_status_names[customer->status]);
	if (customer->tenant_id[0] != '\0')
		cli_show("tenant    %s\n", customer->tenant_id);
	if (customer->domain[0] != '\0')
		cli_show("domain    %s\n", customer->domain);
	if (customer->plan != CUSTOMER_NO_PLAN)
		cli_show("plan      %s\n", customer_plan_names[customer->plan]);
	if (customer->country[0] != '\0' || customer->region[0] != '\0')
		cli_show("where     %s %s\n", customer->country,
		    customer->region);
	if (customer->contact_email[0] != '\0' ||
	    customer->contact_name[0] != '\0')
		cli_show("contact   %s %s\n", customer->contact_name,
		    customer->contact_email);
	if (customer->tenant_url[0] != '\0')
		cli_show("address   %s\n", customer->tenant_url);
	cli_show("licenses  %llu\n", (unsigned long long)customer->licenses);
	cli_show("since     %s\n", since);
}

static int
ask(struct cli *cli, enum operation_id op, const void *request)
{
	struct customer_view reply;
	struct arena arena = { 0 };
	int status = cli_answer(cli, op, request, &reply, &arena);

	if (status == CLI_DONE && !cli->json)
		show(&reply);
	arena_release(&arena);
	return status;
}

int
hub_customer_add(struct cli *cli, int argc, char **argv)
{
	struct customer_add r = { .plan = CUSTOMER_NO_PLAN };
	int status = hub_text(r.name, sizeof r.name, &argc, argv, "--name");

	if (status == CLI_DONE)
		status = hub_text(r.tenant_id, sizeof r.tenant_id, &argc, argv,
		    "--tenant");
	if (status == CLI_DONE)
		status = hub_text(r.country, sizeof r.country, &argc, argv,
		    "--country");
	if (status == CLI_DONE)
		status = hub_text(r.region, sizeof r.region, &argc, argv,
		    "--region");
	if (status == CLI_DONE)
		status = hub_text(r.contact_email, sizeof r.contact_email,
		    &argc, argv, "--email");
	if (status == CLI_DONE)
		status = hub_text(r.contact_name, sizeof r.contact_name, &argc,
		    argv, "--contact");
	if (status == CLI_DONE)
		status = hub_text(r.tenant_url, sizeof r.tenant_url, &argc,
		    argv, "--url");
	if (status == CLI_DONE)
		status = hub_one_of(&r.plan, &argc, argv, "--plan",
		    customer_plan_names);
	if (status == CLI_DONE)
		status = hub_only(r.crm_account_id, sizeof r.crm_account_id,
		    argc, argv, "hub customer add ID --name NAME");
	if (status == CLI_DONE && r.name[0] == '\0') {
		cli_say("what is it called: --name NAME");
		status = CLI_USAGE;
	}
	return status == CLI_DONE ? ask(cli, OP_CUSTOMER_ADD, &r) : status;
}

int
hub_customer_show(struct cli *cli, int argc, char **argv)
{
	struct hub_crm request;
	int status = hub_only(request.crm_account_id,
	    sizeof request.crm_account_id, argc, argv, "hub customer show ID");

	return status == CLI_DONE ? ask(cli, OP_CUSTOMER_SHOW, &request)
				  : status;
}

/* --- set --------------------------------------------------------------------------- */

/* What is not said stays. */
static int
read_now(struct customer_put *r, struct cli *cli)
{
	struct hub_crm request;
	struct customer_view now;
	struct arena arena = { 0 };

	memcpy(request.crm_account_id, r->crm_account_id,
	    sizeof request.crm_account_id);
	int status = cli_call(cli, OP_CUSTOMER_SHOW, &request, &now, &arena);

	arena_release(&arena);
	if (status != CLI_DONE)
		return status;
	memcpy(r->name, now.name, sizeof r->name);
	memcpy(r->tenant_id, now.tenant_id, sizeof r->tenant_id);
	memcpy(r->country, now.country, sizeof r->country);
	memcpy(r->region, now.region, sizeof r->region);
	memcpy(r->contact_email, now.contact_email, sizeof r->contact_email);
	memcpy(r->contact_name, now.contact_name, sizeof r->contact_name);
	memcpy(r->tenant_url, now.tenant_url, sizeof r->tenant_url);
	r->plan = now.plan;
	r->suspended = now.status == CUSTOMER_SUSPENDED;
	return CLI_DONE;
}

int
hub_customer_set(struct cli *cli, int argc, char **argv)
{
	struct customer_put r = { .plan = CUSTOMER_NO_PLAN };
	const bool suspend = cli_flag(&argc, argv, "--suspend");
	const bool resume = cli_flag(&argc, argv, "--resume");
	int status = CLI_DONE;

	if (suspend && resume) {
		cli_say("--suspend and --resume: one of them");
		return CLI_USAGE;
	}
	/* Its id is the one word that is no option. */
	if (argc > 1 && argv[1][0] != '-' &&
	    text_copy(r.crm_account_id, sizeof r.crm_account_id, argv[1]))
		status = read_now(&r, cli);
	if (status == CLI_DONE)
		status = hub_text(r.name, sizeof r.name, &argc, argv, "--name");
	if (status == CLI_DONE)
		status = hub_text(r.tenant_id, sizeof r.tenant_id, &argc, argv,
		    "--tenant");
	if (status == CLI_DONE)
		status = hub_text(r.contact_email, sizeof r.contact_email,
		    &argc, argv, "--email");
	if (status == CLI_DONE)
		status = hub_text(r.contact_name, sizeof r.contact_name, &argc,
		    argv, "--contact");
	if (status == CLI_DONE)
		status = hub_text(r.tenant_url, sizeof r.tenant_url, &argc,
		    argv, "--url");
	if (status == CLI_DONE)
		status = hub_one_of(&r.plan, &argc, argv, "--plan",
		    customer_plan_names);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1, "hub customer set ID");
	if (status != CLI_DONE)
		return status;
	r.suspended = suspend || (r.suspended && !resume);
	return ask(cli, OP_CUSTOMER_SET, &r);
}

/* --- list and search -------------------------------------------------------------- */

static void
add_row(struct table *table, const void *item)
{
	const struct customer_view *customer = item;

	table_cell(table, "%s", customer->crm_account_id);
	table_cell(table, "%s", customer->name);
	table_cell(table, "%s", customer->tenant_id);
	table_cell(table, "%s", customer_status_names[customer->status]);
	table_cell(table, "%s", customer_plan_names[customer->plan]);
	table_cell(table, "%llu", (unsigned long long)customer->licenses);
}

int
hub_customer_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "CUSTOMER", "NAME", "TENANT",
		"STATUS", "PLAN", "LICENSES" };
	struct customer_query query = { .limit = 100 };
	struct customer_page page;
	struct table table = { 0 };
	const struct cli_list list = {
		.op = OP_CUSTOMER_LIST,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &customer_view_record,
		.row = add_row,
		.none = "There are no customers yet. Add one: leasehold hub "
			"customer add ID --name NAME",
	};
	int status = cli_arguments(argc, argv, 0, 0, "hub customer list");

	if (status != CLI_DONE)
		return status;
	table_head(&table, 6, head);
	return cli_list(cli, &list, &table);
}

static void
show_brief(const struct customer_brief *customer)
{
	cli_show("%s  %s (%s)%s%s%s%s, %s\n", customer->crm_account_id,
	    customer->company_name, customer->platform_customer_id,
	    customer->tenant_id[0] != '\0' ? ", tenant " : "",
	    customer->tenant_id, customer->tenant_url[0] != '\0' ? " at " : "",
	    customer->tenant_url, customer_status_names[customer->status]);
}

int
hub_customer_find(struct cli *cli, int argc, char **argv)
{
	struct customer_search r = { .name = "" };
	struct customer_found reply;
	struct arena arena = { 0 };
	int status = hub_text(r.crm_account_id, sizeof r.crm_account_id, &argc,
	    argv, "--crm");

	if (status == CLI_DONE)
		status = hub_text(r.tenant_id, sizeof r.tenant_id, &argc, argv,
		    "--tenant");
	if (status == CLI_DONE)
		status =
		    cli_arguments(argc, argv, 0, 1, "hub customer find [NAME]");
	if (status == CLI_DONE && argc == 2 &&
	    !text_copy(r.name, sizeof r.name, argv[1]))
		status = CLI_USAGE;
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_CUSTOMER_SEARCH, &r, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		const struct customer_brief *others = reply.others.items;

		if (reply.found)
			show_brief(&reply.customer);
		else
			puts("Nobody was found.");
		for (uint32_t i = 0; i < reply.others.count; i++)
			show_brief(&others[i]);
	}
	arena_release(&arena);
	return status;
}
