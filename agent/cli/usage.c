/* `usage`: what is used now, and what was used in a period. */
#include "agent/cli/cli.h"
#include "agent/cli/csv.h"
#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int
read_text(char *out, size_t size, const char *option, int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, option);

	if (found < 0)
		return CLI_USAGE;
	if (found > 0 && !text_copy(out, size, value)) {
		cli_say("%s: longer than %zu bytes", option, size - 1);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

static int
read_word(uint32_t *out, const char *option, const char *const *words,
    int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, option);

	if (found <= 0)
		return found < 0 ? CLI_USAGE : CLI_DONE;
	for (uint32_t i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], value) == 0) {
			*out = i;
			return CLI_DONE;
		}
	cli_say("%s: %s is none of those that the help names", option, value);
	return CLI_USAGE;
}

static int
write_csv(struct buf *buf)
{
	int status = CLI_DONE;

	if (buf->failed || fwrite(buf->data, 1, buf->len, stdout) != buf->len) {
		cli_say("the lines cannot be written");
		status = CLI_FAILED;
	}
	buf_release(buf);
	return status;
}

static void
csv_head(struct buf *buf, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		csv_text(buf, names[i], i + 1 == n);
}

static void
say_behind(uint64_t behind)
{
	if (behind > 0)
		cli_say("%" PRIu64 " rows of the journal are not counted yet: "
			"ask again in a moment",
		    behind);
}

/* --- now ---------------------------------------------------------------------- */

static const char *const per_words[] = { "a minute", "a day", "a month",
	"at once" };

static void
add_metric(struct table *table, const struct usage_license_view *license,
    const struct usage_metric_view *metric)
{
	const struct usage_limit_view *limits = metric->limits.items;
	uint32_t n = metric->limits.count;

	for (uint32_t i = 0; i < (n > 0 ? n : 1); i++) {
		table_cell(table, "%s", license->license_id);
		table_cell(table, "%s", metric->metric);
		table_cell(table, "%" PRIu64, metric->value);
		table_cell(table, "%" PRIu64, metric->today);
		table_cell(table, "%" PRIu64, metric->this_month);
		if (n == 0) {
			table_cell(table, "none");
			table_cell(table, "%s", "");
			continue;
		}
		table_cell(table, "%" PRIu64 " %s%s", limits[i].amount,
		    per_words[limits[i].per], limits[i].soft ? ", soft" : "");
		table_cell(table, "%u %%", limits[i].percent);
	}
}

static void
print_current(const struct usage_current *current)
{
	static const char *const head[] = { "LICENSE", "METRIC", "LAST",
		"TODAY", "MONTH", "LIMIT", "USED" };
	const struct usage_license_view *licenses = current->licenses.items;
	struct table table = { 0 };
	bool any = false;

	for (uint32_t i = 0; i < current->licenses.count; i++)
		cli_show("%s  %s  %s: %u of %u seats in use\n",
		    licenses[i].license_id, licenses[i].product,
		    license_status_names[licenses[i].status], licenses[i].used,
		    licenses[i].total);
	table_head(&table, 7, head);
	for (uint32_t i = 0; i < current->licenses.count; i++) {
		const struct usage_metric_view *metrics =
		    licenses[i].metrics.items;

		for (uint32_t k = 0; k < licenses[i].metrics.count; k++)
			add_metric(&table, &licenses[i], &metrics[k]);
		any |= licenses[i].metrics.count > 0;
	}
	if (any)
		table_flush(&table);
	table_end(&table);
}

int
usage_current_command(struct cli *cli, int argc, char **argv)
{
	struct empty request = { 0 };
	struct usage_current reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "usage current");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_USAGE_CURRENT, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		print_current(&reply);
	arena_release(&arena);
	return status;
}

/* --- a period ------------------------------------------------------------------- */

static void
print_report(const struct usage_report_body *report)
{
	static const char *const head[] = { "DAY", "CHECKOUTS", "PEAK",
		"DENIED", "OVERAGE", "CALLS", "USERS", "STORAGE" };
	const struct usage_day *days = report->dailyBreakdown.items;
	const struct usage_summary *summary = &report->summary;
	struct table table = { 0 };

	printf("%s: %" PRIu64 " checkouts, at most %u seats at once, %" PRIu64
	       " seat hours, %" PRIu64 " denied, %" PRIu64 " overage\n"
	       "%" PRIu64 " calls, %s ms each on average, errors %s\n",
	    report->period, summary->checkouts, summary->peakConcurrency,
	    summary->seatHours, summary->denials, summary->overage,
	    summary->totalApiCalls, summary->averageResponseTime,
	    summary->errorRate);
	table_head(&table, 8, head);
	for (uint32_t i = 0; i < report->dailyBreakdown.count; i++) {
		const struct usage_day *day = &days[i];
		char date[CLOCK_TEXT_SIZE];

		clock_format_date(date, day->date);
		table_cell(&table, "%s", date);
		table_cell(&table, "%" PRIu64, day->checkouts);
		table_cell(&table, "%u", day->peakConcurrency);
		table_cell(&table, "%" PRIu64, day->denials);
		table_cell(&table, "%" PRIu64, day->overage);
		table_cell(&table, "%" PRIu64, day->apiCalls);
		table_cell(&table, "%" PRIu64, day->users);
		table_cell(&table, "%" PRIu64, day->storageUsed);
	}
	if (report->dailyBreakdown.count > 0)
		table_flush(&table);
	table_end(&table);
}

static int
report_csv(const struct usage_report_body *report)
{
	static const char *const head[] = { "date", "checkouts",
		"peak_concurrency", "denials", "overage", "api_calls", "users",
		"storage_mb", "bandwidth_gb" };
	const struct usage_day *days = report->dailyBreakdown.items;
	struct buf buf = { 0 };

	csv_head(&buf, head, sizeof(head) / sizeof(head[0]));
	for (uint32_t i = 0; i < report->dailyBreakdown.count; i++) {
		const struct usage_day *day = &days[i];
		char date[CLOCK_TEXT_SIZE];

		clock_format_date(date, day->date);
		csv_text(&buf, date, false);
		csv_number(&buf, day->checkouts, false);
		csv_number(&buf, day->peakConcurrency, false);
		csv_number(&buf, day->denials, false);
		csv_number(&buf, day->overage, false);
		csv_number(&buf, day->apiCalls, false);
		csv_number(&buf, day->users, false);
		csv_number(&buf, day->storageUsed, false);
		csv_number(&buf, day->bandwidthUsed, true);
	}
	return write_csv(&buf);
}

int
usage_report_command(struct cli *cli, int argc, char **argv)
{
	struct usage_query request = { .period = "" };
	struct usage_report reply;
	struct arena arena = { 0 };
	bool csv = cli_flag(&argc, argv, "--csv");
	int status = read_text(request.period, sizeof(request.period),
	    "--period", &argc, argv);

	if (status == CLI_DONE)
		status = read_text(request.license_id,
		    sizeof(request.license_id), "--license", &argc, argv);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "usage report [--period FIRST,LAST]");
	if (status == CLI_DONE)
		status = csv
		    ? cli_call(cli, OP_USAGE_REPORT, &request, &reply, &arena)
		    : cli_answer(cli, OP_USAGE_REPORT, &request, &reply,
			  &arena);
	if (status == CLI_DONE && csv)
		status = report_csv(&reply.usageReport);
	else if (status == CLI_DONE && !cli->json)
		print_report(&reply.usageReport);
	if (status == CLI_DONE)
		say_behind(reply.behind);
	arena_release(&arena);
	return status;
}

/* --- lines ------------------------------------------------------------------------ */

static const char *
whose(const struct usage_line *line)
{
	if (line->metric[0] != '\0')
		return line->metric;
	if (line->group[0] != '\0')
		return line->group;
	if (line->user[0] != '\0')
		return line->user;
	return line->hostname;
}

static void
add_line(struct table *table, const struct usage_line *line)
{
	char from[CLOCK_TEXT_SIZE];

	clock_format(from, line->from);
	table_cell(table, "%.16s", from);
	table_cell(table, "%s", line->license_id);
	table_cell(table, "%s", line->feature);
	table_cell(table, "%s", whose(line));
	table_cell(table, "%" PRIu64, line->checkouts);
	/* Not known of a group. */
	if (line->group[0] != '\0')
		table_cell(table, "-");
	else
		table_cell(table, "%u", line->peak);
	table_cell(table, "%.2f", (double)line->seat_seconds / 3600.0);
	if (line->group[0] != '\0')
		table_cell(table, "-");
	else
		table_cell(table, "%" PRIu64, line->denials);
	if (line->overage_first != 0)
		table_cell(table, "%" PRIu64 " (%" PRIu64 "-%" PRIu64 ")",
		    line->overage, line->overage_first, line->overage_last);
	else
		table_cell(table, "%" PRIu64, line->overage);
	table_cell(table, "%" PRIu64, line->sum);
	table_cell(table, "%" PRIu64, line->max);
}

static const char *const csv_names[] = { "from", "to", "license_id", "serial",
	"feature", "metric", "user", "hostname", "group", "checkouts", "seats",
	"borrows", "peak", "seat_seconds", "borrow_seconds", "overage",
	"overage_first", "overage_last", "denials", "events", "sum", "max",
	"last" };
#define CSV_COLUMNS (sizeof(csv_names) / sizeof(csv_names[0]))

static void
csv_line(struct buf *buf, const struct usage_line *line)
{
	const uint64_t numbers[] = { line->checkouts, line->seats,
		line->borrows, line->peak, line->seat_seconds,
		line->borrow_seconds, line->overage, line->overage_first,
		line->overage_last, line->denials, line->events, line->sum,
		line->max, line->last };
	const size_t n = sizeof(numbers) / sizeof(numbers[0]);
	char time[CLOCK_TEXT_SIZE];

	clock_format(time, line->from);
	csv_text(buf, time, false);
	clock_format(time, line->to);
	csv_text(buf, time, false);
	csv_text(buf, line->license_id, false);
	csv_number(buf, line->serial, false);
	csv_text(buf, line->feature, false);
	csv_text(buf, line->metric, false);
	csv_text(buf, line->user, false);
	csv_text(buf, line->hostname, false);
	csv_text(buf, line->group, false);
	for (size_t i = 0; i < n; i++)
		csv_number(buf, numbers[i], i + 1 == n);
}

/* A page at a time, whichever form. */
static int
each_page(struct cli *cli, struct usage_stats_query *query, bool csv)
{
	static const char *const head[] = { "FROM", "LICENSE", "FEATURE",
		"WHOSE", "CHECKOUTS", "PEAK", "SEAT-H", "DENIED", "OVERAGE",
		"SUM", "MAX" };
	struct table table = { 0 };
	struct buf buf = { 0 };
	int status = CLI_DONE;
	uint64_t behind = 0, n = 0;

	table_head(&table, 11, head);
	if (csv)
		csv_head(&buf, csv_names, CSV_COLUMNS);
	do {
		struct arena arena = { 0 };
		struct usage_page page;

		status = cli_call(cli, OP_USAGE_STATS, query, &page, &arena);
		const struct usage_line *items =
		    status == CLI_DONE ? page.items.items : NULL;

		for (uint32_t i = 0; items != NULL && i < page.items.count;
		     i++, n++)
			if (csv)
				csv_line(&buf, &items[i]);
			else
				add_line(&table, &items[i]);
		query->after = status == CLI_DONE && page.next > query->after
		    ? page.next
		    : 0;
		behind = status == CLI_DONE ? page.behind : 0;
		arena_release(&arena);
		if (csv && status == CLI_DONE)
			status = write_csv(&buf);
	} while (status == CLI_DONE && query->after != 0);
	buf_release(&buf);
	if (status == CLI_DONE && !csv && n > 0)
		table_flush(&table);
	else if (status == CLI_DONE && !csv)
		cli_show("nothing was used then\n");
	table_end(&table);
	if (status == CLI_DONE)
		say_behind(behind);
	return status;
}

int
usage_stats_command(struct cli *cli, int argc, char **argv)
{
	struct usage_stats_query request = { .limit = USAGE_PAGE_MAX };
	struct usage_page reply;
	struct arena arena = { 0 };
	bool csv = cli_flag(&argc, argv, "--csv");
	int status = read_text(request.period, sizeof(request.period),
	    "--period", &argc, argv);

	if (status == CLI_DONE)
		status = read_text(request.license_id,
		    sizeof(request.license_id), "--license", &argc, argv);
	if (status == CLI_DONE)
		status =
		    read_word(&request.by, "--by", usage_by_names, &argc, argv);
	if (status == CLI_DONE)
		status = read_word(&request.step, "--step", usage_step_names,
		    &argc, argv);
	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "usage stats [--by WHAT] [--step STEP]");
	if (status != CLI_DONE)
		return status;
	if (!cli->json || csv)
		return each_page(cli, &request, csv);
	status = cli_answer(cli, OP_USAGE_STATS, &request, &reply, &arena);
	arena_release(&arena);
	return status;
}
