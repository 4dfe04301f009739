/* Credit notes, on a vendor's hub. */
#include "agent/cli/hub.h"

#include "agent/cli/list.h"
#include "agent/cli/table.h"

#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool
take_text(char *out, size_t size, const char *text, const char *what)
{
	if (text == NULL || text_copy(out, size, text))
		return true;
	cli_say("%s: longer than %zu bytes", what, size - 1);
	return false;
}

/* The month that runs here; the hub knows better, and refuses one that is over. */
static void
default_period(char out[24])
{
	const time_t now = time(NULL);
	struct tm day;

	if (gmtime_r(&now, &day) != NULL)
		strftime(out, 24, "%Y-%m", &day);
}

static bool
take_reason(uint32_t *reason, const char *text)
{
	for (uint32_t i = 0; i < CREDIT_REASONS; i++) {
		if (strcmp(credit_reason_names[i], text) != 0)
			continue;
		*reason = i;
		return true;
	}
	cli_say("--reason: \"%s\" is none of outage, defect, billing_error, "
		"unused, goodwill, contract, other",
	    text);
	return false;
}

/* By the reader of requests, which knows how many digits a currency has. */
static bool
take_amount(struct billing_credit_add *request, const char *amount)
{
	struct sync_credit_view read;
	struct record_error error = { .reason = "" };
	struct arena arena = { 0 };
	struct buf json = { 0 };
	const bool plain =
	    amount[0] != '\0' && amount[strspn(amount, "0123456789.")] == '\0';
	int err = -1;

	if (plain) {
		buf_printf(&json,
		    "{\"vendor\":\"v\",\"credit_id\":\"c\",\"news\":true,"
		    "\"currency\":\"%s\",\"amount\":%s}",
		    request->currency, amount);
		err = record_read_json(&read, &sync_credit_view_record,
		    buf_text(&json), json.len, &arena, &error);
	}
	if (err == 0)
		request->amount = read.amount;
	else
		cli_say("--amount: \"%s\" is no amount of %s: 120.50%s%s",
		    amount, request->currency,
		    error.reason[0] != '\0' ? "; " : "", error.reason);
	buf_release(&json);
	arena_release(&arena);
	return err == 0;
}

struct options {
	const char *customer, *license, *period, *amount, *currency, *reason,
	    *evidence;
};

static bool
read_options(struct options *o, int *argc, char **argv)
{
	return cli_option(&o->customer, argc, argv, "--customer") >= 0 &&
	    cli_option(&o->license, argc, argv, "--license") >= 0 &&
	    cli_option(&o->period, argc, argv, "--period") >= 0 &&
	    cli_option(&o->amount, argc, argv, "--amount") >= 0 &&
	    cli_option(&o->currency, argc, argv, "--currency") >= 0 &&
	    cli_option(&o->reason, argc, argv, "--reason") >= 0 &&
	    cli_option(&o->evidence, argc, argv, "--evidence") >= 0;
}

static bool
take_options(struct billing_credit_add *request, const struct options *o)
{
	const char *currency = o->currency != NULL ? o->currency : "EUR";

	if (strlen(currency) != 3 ||
	    strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3) {
		cli_say("--currency: \"%s\" is no currency: EUR", currency);
		return false;
	}
	memcpy(request->currency, currency, 4);
	if (o->period == NULL)
		default_period(request->period);
	return take_text(request->customer_crm_id,
		   sizeof request->customer_crm_id, o->customer,
		   "--customer") &&
	    take_text(request->license, sizeof request->license, o->license,
		"--license") &&
	    take_text(request->period, sizeof request->period, o->period,
		"--period") &&
	    take_text(request->evidence, sizeof request->evidence, o->evidence,
		"--evidence") &&
	    (o->reason == NULL || take_reason(&request->reason, o->reason)) &&
	    take_amount(request, o->amount);
}

int
hub_credit_add(struct cli *cli, int argc, char **argv)
{
	static const char usage[] =
	    "hub credit add CREDIT --customer ID --amount A [--license ID] "
	    "[--period M] [--currency C] [--reason R] [--evidence N]";
	struct billing_credit_add request = { .credit_id = "" };
	struct billing_credit_view reply;
	struct options options = { NULL };
	struct arena arena = { 0 };

	if (!read_options(&options, &argc, argv))
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	if (options.customer == NULL || options.amount == NULL) {
		cli_say("whom, and how much? --customer ID --amount A");
		return CLI_USAGE;
	}
	if (!take_text(request.credit_id, sizeof request.credit_id, argv[1],
		"CREDIT") ||
	    !take_options(&request, &options))
		return CLI_USAGE;
	status =
	    cli_answer(cli, OP_BILLING_CREDIT_ADD, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		char amount[32];

		money_format(amount, reply.amount, reply.currency);
		cli_show("credit    %s, %s %s, in the statement of %s\n"
			 "told to   %s, with its next receipt\n",
		    reply.credit_id, amount, reply.currency, reply.period,
		    reply.site);
	}
	arena_release(&arena);
	return status;
}

static void
add_credit(struct table *table, const void *item)
{
	const struct billing_credit_view *credit = item;
	char amount[32], at[32];

	money_format(amount, credit->amount, credit->currency);
	cli_time(at, credit->at);
	table_cell(table, "%s", credit->credit_id);
	table_cell(table, "%s", credit->period);
	table_cell(table, "%s %s", amount, credit->currency);
	table_cell(table, "%s", credit_reason_names[credit->reason]);
	table_cell(table, "%s", credit->evidence);
	table_cell(table, "%s", credit->license);
	table_cell(table, "%s", at);
}

int
hub_credit_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "CREDIT", "PERIOD", "AMOUNT",
		"REASON", "EVIDENCE", "LICENSE", "GIVEN" };
	struct billing_credit_query query = { .limit = 100 };
	struct billing_credit_page page;
	struct table table = { 0 };
	const char *customer = NULL;
	const struct cli_list list = {
		.op = OP_BILLING_CREDIT_LIST,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &billing_credit_view_record,
		.row = add_credit,
		.none = "No credit was given to this customer.",
	};

	if (cli_option(&customer, &argc, argv, "--customer") < 0)
		return CLI_USAGE;
	int status =
	    cli_arguments(argc, argv, 0, 0, "hub credit list --customer ID");

	if (status != CLI_DONE)
		return status;
	if (customer == NULL) {
		cli_say("whose? --customer ID; leasehold hub customer list");
		return CLI_USAGE;
	}
	if (!take_text(query.customer_crm_id, sizeof query.customer_crm_id,
		customer, "--customer"))
		return CLI_USAGE;
	table_head(&table, 7, head);
	return cli_list(cli, &list, &table);
}
