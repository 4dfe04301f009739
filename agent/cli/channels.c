/* The admin's commands about where alerts go, and about what is on its way. */
#include "agent/cli/cli.h"
#include "agent/cli/table.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* --- add ---------------------------------------------------------------------- */

static int
read_least(uint32_t *out, int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, "--least");

	if (found <= 0)
		return found < 0 ? CLI_USAGE : CLI_DONE;
	for (uint32_t i = 0; alert_severity_names[i] != NULL; i++)
		if (strcmp(alert_severity_names[i], value) == 0) {
			*out = i;
			return CLI_DONE;
		}
	cli_say("--least: '%s' is not info, warning or critical", value);
	return CLI_USAGE;
}

static int
read_takes(uint32_t *out, int *argc, char **argv)
{
	const char *value = NULL;

	if (cli_option(&value, argc, argv, "--takes") < 0)
		return CLI_USAGE;
	if (value == NULL)
		return CLI_DONE;
	for (uint32_t i = 0; channel_takes_names[i] != NULL; i++)
		if (strcmp(value, channel_takes_names[i]) == 0) {
			*out = i;
			return CLI_DONE;
		}
	cli_say("--takes: '%s' is not alerts, invoices or crm", value);
	return CLI_USAGE;
}

/* "https://...", "syslog", or addresses of mail. */
static int
read_where(struct channel_add *request, struct channel_address *to, int argc,
    char **argv)
{
	if (argc == 3 && strcmp(argv[2], "syslog") == 0) {
		request->kind = CHANNEL_SYSLOG;
		return CLI_DONE;
	}
	if (argc == 3 && strstr(argv[2], "://") != NULL) {
		request->kind = CHANNEL_WEBHOOK;
		if (text_copy(request->url, sizeof request->url, argv[2]))
			return CLI_DONE;
		cli_say("the address is longer than %zu bytes",
		    sizeof request->url - 1);
		return CLI_USAGE;
	}
	request->kind = CHANNEL_MAIL;
	for (int i = 2; i < argc; i++)
		if (!text_copy(to[i - 2].address, sizeof to->address,
			argv[i])) {
			cli_say("an address is longer than %zu bytes",
			    sizeof to->address - 1);
			return CLI_USAGE;
		}
	request->to = (struct record_list){ to, (uint32_t)(argc - 2) };
	return CLI_DONE;
}

static void
say_added(const struct channel_added *added, uint32_t takes)
{
	if (added->secret[0] != '\0')
		printf("%s\n", added->secret);
	cli_say("channel-%llu: %s go%s there%s. Try it: leasehold alerts "
		"channel test channel-%llu",
	    (unsigned long long)added->channel,
	    takes == CHANNEL_CRM ? "what a CRM wants to know"
				 : channel_takes_names[takes],
	    takes == CHANNEL_CRM ? "es" : "",
	    added->secret[0] != '\0'
		? "; this is the only time that the secret of its signatures "
		  "is shown"
		: "",
	    (unsigned long long)added->channel);
}

int
channel_add(struct cli *cli, int argc, char **argv)
{
	struct channel_address to[CHANNEL_TO_MAX];
	struct channel_add request = { .least = ALERT_INFO };
	struct channel_added reply;
	struct arena arena = { 0 };
	int status = read_least(&request.least, &argc, argv);

	if (status == CLI_DONE)
		status = read_takes(&request.takes, &argc, argv);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 2, 1 + CHANNEL_TO_MAX,
		    "alerts channel add NAME URL | MAIL... | syslog");
	if (status == CLI_DONE)
		status = read_where(&request, to, argc, argv);
	if (status == CLI_DONE &&
	    !text_copy(request.name, sizeof request.name, argv[1])) {
		cli_say("the name is longer than %zu bytes",
		    sizeof request.name - 1);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_CHANNEL_ADD, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		say_added(&reply, request.takes);
	if (status == CLI_DONE)
		sodium_memzero(&reply, sizeof reply);
	arena_release(&arena);
	return status;
}

/* --- list, remove, test -------------------------------------------------------- */

static void
add_channel(struct table *table, const struct channel_view *channel)
{
	const struct channel_address *to = channel->to.items;
	struct buf where = { .max = 8192 };

	for (uint32_t i = 0; i < channel->to.count; i++)
		buf_printf(&where, "%s%s", i > 0 ? " " : "", to[i].address);
	if (channel->kind == CHANNEL_WEBHOOK)
		buf_add_str(&where, channel->url);
	table_cell(table, "channel-%llu", (unsigned long long)channel->channel);
	table_cell(table, "%s", channel_kind_names[channel->kind]);
	table_cell(table, "%s", channel->name);
	table_cell(table, "%s",
	    channel->takes == CHANNEL_ALERTS
		? alert_severity_names[channel->least]
		: channel_takes_names[channel->takes]);
	table_cell(table, "%s", where.len > 0 ? buf_text(&where) : "");
	buf_release(&where);
}

int
channel_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "CHANNEL", "KIND", "NAME", "FROM",
		"WHERE" };
	const struct empty request = { 0 };
	struct channel_page page;
	struct arena arena = { 0 };
	struct table table = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "alerts channel list");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_CHANNEL_LIST, &request, &page, &arena);
	if (status == CLI_DONE && !cli->json && page.items.count == 0)
		puts("Alerts go nowhere yet. Add a channel: leasehold alerts "
		     "channel add NAME URL");
	if (status == CLI_DONE && !cli->json && page.items.count > 0) {
		const struct channel_view *items = page.items.items;

		table_head(&table, 5, head);
		for (uint32_t i = 0; i < page.items.count; i++)
			add_channel(&table, &items[i]);
		table_flush(&table);
		table_end(&table);
	}
	arena_release(&arena);
	return status;
}

static int
do_channel(struct cli *cli, int argc, char **argv, enum operation_id op,
    const char *usage, const char *words)
{
	struct channel_number request, reply;
	struct arena arena = { 0 };
	int status =
	    cli_only_id(&request.channel, argc, argv, usage, "channel-");

	if (status == CLI_DONE)
		status = cli_answer(cli, op, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("channel-%llu %s\n", (unsigned long long)reply.channel,
		    words);
	arena_release(&arena);
	return status;
}

int
channel_remove(struct cli *cli, int argc, char **argv)
{
	return do_channel(cli, argc, argv, OP_CHANNEL_REMOVE,
	    "alerts channel remove CHANNEL",
	    "is removed; what was on its way there is dropped.");
}

int
channel_test(struct cli *cli, int argc, char **argv)
{
	return do_channel(cli, argc, argv, OP_CHANNEL_TEST,
	    "alerts channel test CHANNEL",
	    "gets a test; what becomes of it: leasehold outbox list");
}

/* --- the outbox ---------------------------------------------------------------- */

static void
add_delivery(struct table *table, const struct delivery_view *delivery)
{
	char due[32];

	cli_time(due, delivery->due_at);
	table_cell(table, "%s", delivery->delivery);
	if (delivery->alert != 0)
		table_cell(table, "alert-%llu",
		    (unsigned long long)delivery->alert);
	else if (delivery->customer != 0)
		table_cell(table, "CUST-%05llu",
		    (unsigned long long)delivery->customer);
	else
		table_cell(table, "invoice %llu",
		    (unsigned long long)delivery->invoice);
	table_cell(table, "channel-%llu",
	    (unsigned long long)delivery->channel);
	table_cell(table, "%s",
	    delivery->news[0] != '\0' ? delivery->news
				      : alert_event_names[delivery->event]);
	table_cell(table, "%s", delivery_state_names[delivery->state]);
	table_cell(table, "%u", delivery->attempts);
	table_cell(table, "%s", due);
	table_cell(table, "%s", delivery->error);
	if (delivery->state == DELIVERY_IS_DEAD)
		table_mark(table);
}

int
outbox_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "DELIVERY", "OF", "CHANNEL",
		"EVENT", "STATE", "TRIES", "NEXT", "LAST ERROR" };
	struct delivery_query request = { .dead = false };
	struct delivery_page page;
	struct arena arena = { 0 };
	struct table table = { 0 };

	request.dead = cli_flag(&argc, argv, "--dead");
	int status = cli_arguments(argc, argv, 0, 0, "outbox list [--dead]");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_OUTBOX_LIST, &request, &page, &arena);
	if (status == CLI_DONE && !cli->json && page.items.count == 0)
		puts("Nothing is on its way.");
	if (status == CLI_DONE && !cli->json && page.items.count > 0) {
		const struct delivery_view *items = page.items.items;

		table_head(&table, 8, head);
		for (uint32_t i = 0; i < page.items.count; i++)
			add_delivery(&table, &items[i]);
		table_flush(&table);
		table_end(&table);
		printf("%llu wait, %llu are given up.\n",
		    (unsigned long long)page.waiting,
		    (unsigned long long)page.dead);
	}
	arena_release(&arena);
	return status;
}

static int
do_delivery(struct cli *cli, int argc, char **argv, enum operation_id op,
    const char *usage, const char *words)
{
	struct delivery_ref request, reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	if (strlen(argv[1]) != 32 ||
	    !text_copy(request.delivery, sizeof request.delivery, argv[1])) {
		cli_say("'%s' is no id of a delivery: 32 digits, as in "
			"leasehold outbox list",
		    argv[1]);
		return CLI_USAGE;
	}
	status = cli_answer(cli, op, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("%s %s\n", reply.delivery, words);
	arena_release(&arena);
	return status;
}

int
outbox_retry(struct cli *cli, int argc, char **argv)
{
	return do_delivery(cli, argc, argv, OP_OUTBOX_RETRY,
	    "outbox retry DELIVERY", "is tried again now.");
}

int
outbox_drop(struct cli *cli, int argc, char **argv)
{
	return do_delivery(cli, argc, argv, OP_OUTBOX_DROP,
	    "outbox drop DELIVERY", "is given up.");
}
