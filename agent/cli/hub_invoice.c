/* Invoices, on a vendor's hub. */
#include "agent/cli/hub.h"

#include "agent/cli/list.h"
#include "agent/cli/table.h"

#include "shared/base/text.h"

#include <string.h>

static const char *const states[] = { "kept", "waiting", "sent" };

static bool
take_text(char *out, size_t size, const char *text, const char *what)
{
	if (text_copy(out, size, text))
		return true;
	cli_say("%s: longer than %zu bytes", what, size - 1);
	return false;
}

static void
say_made(const struct billing_invoice_view *invoice)
{
	char amount[32];

	money_format(amount, invoice->total, invoice->currency);
	cli_show("invoice   %llu, %s %s, of %s for %s\n",
	    (unsigned long long)invoice->invoice, amount, invoice->currency,
	    invoice->period, invoice->customer_crm_id);
	if (invoice->state == INVOICE_KEPT)
		cli_say("No channel takes invoices, so it is only kept. Add "
			"one, then send it:\n  leasehold alerts channel add "
			"NAME https://... --takes invoices\n  leasehold hub "
			"invoice make %s %s --again",
		    invoice->customer_crm_id, invoice->period);
	else
		cli_show("state     %s: leasehold hub invoice list\n",
		    states[invoice->state]);
}

int
hub_invoice_make(struct cli *cli, int argc, char **argv)
{
	static const char usage[] =
	    "hub invoice make CUSTOMER MONTH [--again] [--incomplete]";
	struct billing_invoice_add request = { .customer_crm_id = "" };
	struct billing_invoice_view reply;
	struct arena arena = { 0 };

	request.again = cli_flag(&argc, argv, "--again");
	request.incomplete = cli_flag(&argc, argv, "--incomplete");
	int status = cli_arguments(argc, argv, 2, 2, usage);

	if (status != CLI_DONE)
		return status;
	if (!take_text(request.customer_crm_id, sizeof request.customer_crm_id,
		argv[1], "CUSTOMER") ||
	    !take_text(request.period, sizeof request.period, argv[2], "MONTH"))
		return CLI_USAGE;
	status =
	    cli_answer(cli, OP_BILLING_INVOICE_ADD, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		say_made(&reply);
	arena_release(&arena);
	return status;
}

static void
add_invoice(struct table *table, const void *item)
{
	const struct billing_invoice_view *invoice = item;
	char amount[32], due[32] = "";

	money_format(amount, invoice->total, invoice->currency);
	if (invoice->due_at != 0)
		cli_time(due, invoice->due_at);
	table_cell(table, "%llu", (unsigned long long)invoice->invoice);
	table_cell(table, "%s", invoice->customer_crm_id);
	table_cell(table, "%s", invoice->period);
	table_cell(table, "%s %s", amount, invoice->currency);
	table_cell(table, "%s", states[invoice->state]);
	table_cell(table, "%u", invoice->attempts);
	table_cell(table, "%s", due);
	table_cell(table, "%s", invoice->error);
}

int
hub_invoice_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "INVOICE", "CUSTOMER", "PERIOD",
		"TOTAL", "STATE", "TRIES", "NEXT", "ERROR" };
	struct billing_invoice_query query = { .limit = 100 };
	struct billing_invoice_page page;
	struct table table = { 0 };
	const char *customer = NULL;
	const struct cli_list list = {
		.op = OP_BILLING_INVOICE_LIST,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &billing_invoice_view_record,
		.row = add_invoice,
		.none = "No invoice was made yet.",
	};

	if (cli_option(&customer, &argc, argv, "--customer") < 0)
		return CLI_USAGE;
	int status =
	    cli_arguments(argc, argv, 0, 0, "hub invoice list [--customer ID]");

	if (status != CLI_DONE)
		return status;
	if (customer != NULL &&
	    !take_text(query.customer_crm_id, sizeof query.customer_crm_id,
		customer, "--customer"))
		return CLI_USAGE;
	table_head(&table, 8, head);
	return cli_list(cli, &list, &table);
}
