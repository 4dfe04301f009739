/* Usage across a vendor's customers. */
#include "agent/cli/hub.h"
#include "agent/cli/table.h"
#include "shared/base/text.h"
#include "shared/rpc/messages_analytics.h"

#include <string.h>

#define BUSIEST 5 /* hours that a person is told of */

static const char *const weekdays[] = { "Monday", "Tuesday", "Wednesday",
	"Thursday", "Friday", "Saturday", "Sunday" };

static void
show_sums(const struct analytics *a)
{
	const struct analytics_revenue *revenue = a->revenue.items;
	const struct analytics_hour *hour = a->hours.items;
	char overage[32], fee[32], total[32];

	cli_show("licenses  %llu of %llu customers, %llu of them used beyond "
		 "their seats\n",
	    (unsigned long long)a->licenses, (unsigned long long)a->customers,
	    (unsigned long long)a->licenses_with_overage);
	if (a->checkouts > 0 || a->denials > 0)
		cli_show("used      %llu checkouts, %.1f seat hours, %llu "
			 "refused\n",
		    (unsigned long long)a->checkouts,
		    (double)a->seat_seconds / 3600,
		    (unsigned long long)a->denials);
	cli_show("overage   %llu checkouts",
	    (unsigned long long)a->overage_checkouts);
	if (a->checkouts > 0)
		cli_show(", %u %% of all seats given out", a->overage_percent);
	cli_show("\n");
	for (uint32_t i = 0; i < a->revenue.count; i++) {
		const char *currency = revenue[i].currency;

		money_format(overage, revenue[i].overage_cost, currency);
		money_format(fee, revenue[i].commit_fee, currency);
		money_format(total, revenue[i].revenue, currency);
		cli_show("revenue   %s %s: %s of fees, %s of overage\n", total,
		    currency, fee, overage);
	}
	for (uint32_t i = 0; i < a->hours.count && i < BUSIEST; i++)
		cli_show("%s%s %02u:00 UTC: %.1f seat hours, %llu checkouts, "
			 "%llu overage\n",
		    i == 0 ? "busiest   " : "          ",
		    weekdays[hour[i].weekday - 1], hour[i].hour,
		    (double)hour[i].seat_seconds / 3600,
		    (unsigned long long)hour[i].checkouts,
		    (unsigned long long)hour[i].overage_checkouts);
}

static void
add_rows(struct table *table, const struct analytics *a)
{
	const struct analytics_line *line = a->items.items;
	char revenue[32];

	for (uint32_t i = 0; i < a->items.count; i++, line++) {
		money_format(revenue, line->revenue, line->currency);
		table_cell(table, "%s", line->crm_account_id);
		table_cell(table, "%s", line->product_id);
		table_cell(table, "%s", line->license_id);
		table_cell(table, "%u", line->commit_seats);
		table_cell(table, "%u", line->peak_seats);
		table_cell(table, "%llu", (unsigned long long)line->checkouts);
		table_cell(table, "%llu", (unsigned long long)line->denials);
		table_cell(table, "%llu",
		    (unsigned long long)line->overage_checkouts);
		table_cell(table, "%s %s", revenue, line->currency);
	}
}

/* The first page has the sums; the lines of all are one table. */
static int
show(struct cli *cli, struct analytics_query *query)
{
	static const char *const head[] = { "CUSTOMER", "PRODUCT", "LICENSE",
		"SEATS", "PEAK", "CHECKOUTS", "REFUSED", "OVERAGE", "REVENUE" };
	struct analytics reply = { .next = 0 };
	struct arena arena = { 0 };
	struct table table = { 0 };
	int status;

	table_head(&table, 9, head);
	do {
		bool first = query->after == 0;

		arena_clear(&arena);
		status =
		    cli_answer(cli, OP_HUB_ANALYTICS, query, &reply, &arena);
		if (status != CLI_DONE || cli->json)
			break;
		if (first)
			show_sums(&reply);
		add_rows(&table, &reply);
		query->after = reply.next;
	} while (reply.next != 0);
	if (status == CLI_DONE && !cli->json)
		table_print(&table);
	table_end(&table);
	arena_release(&arena);
	return status;
}

int
hub_analytics_show(struct cli *cli, int argc, char **argv)
{
	struct analytics_query query = { .limit = ANALYTICS_ITEMS_MAX };
	int status = hub_text(query.customer_crm_id,
	    sizeof(query.customer_crm_id), &argc, argv, "--customer");

	if (status == CLI_DONE)
		status = hub_text(query.product_id, sizeof(query.product_id),
		    &argc, argv, "--product");
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "hub analytics PERIOD [--customer ID] [--product ID]");
	if (status != CLI_DONE)
		return status;
	if (strlen(argv[1]) >= sizeof(query.period)) {
		cli_say("PERIOD is a month, 2026-11, or days, "
			"2026-11-03/2026-11-20");
		return CLI_USAGE;
	}
	text_copy(query.period, sizeof(query.period), argv[1]);
	return show(cli, &query);
}
