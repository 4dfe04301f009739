/* What is owed, and the rows of the journal that say why. The statement's
 * bytes are the site's; here they are only put where they were wanted. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"

#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool
take_text(char *out, size_t size, const char *text, const char *what)
{
	if (text == NULL || text_copy(out, size, text))
		return true;
	cli_say("%s: longer than %zu bytes", what, size - 1);
	return false;
}

/* --- statement ------------------------------------------------------------- */

static bool
take_format(uint32_t *format, const char *text)
{
	static const char *const names[] = { "json", "csv", "pdf", "text",
		"invoice", NULL };

	for (uint32_t i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], text) != 0)
			continue;
		*format = i;
		return true;
	}
	cli_say("--format: \"%s\" is none of text, json, csv, pdf, "
		"invoice",
	    text);
	return false;
}

static int
put_document(const struct record_span *data, uint32_t format, const char *path)
{
	if (path != NULL &&
	    file_write(path, data->data, data->len, 0644) != 0) {
		cli_say("%s cannot be written: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	if (path != NULL) {
		printf("The statement is in %s.\n", path);
		return CLI_DONE;
	}
	if (data->len > 0)
		fwrite(data->data, 1, data->len, stdout);
	if (format == BILLING_AS_JSON || format == BILLING_AS_INVOICE)
		putchar('\n');
	if (fflush(stdout) == 0)
		return CLI_DONE;
	cli_say("standard output cannot be written: %s", strerror(errno));
	return CLI_FAILED;
}

int
billing_statement(struct cli *cli, int argc, char **argv)
{
	static const char usage[] = "billing statement PERIOD [--license ID] "
				    "[--customer ID] [--vendor V] [--format F] "
				    "[--out FILE]";
	struct billing_statement_query query = { .format = BILLING_AS_TEXT };
	struct billing_document document;
	struct arena arena = { 0 };
	const char *license = NULL, *vendor = NULL, *format = NULL, *out = NULL;
	const char *customer = NULL;

	if (cli_option(&license, &argc, argv, "--license") < 0 ||
	    cli_option(&customer, &argc, argv, "--customer") < 0 ||
	    cli_option(&vendor, &argc, argv, "--vendor") < 0 ||
	    cli_option(&format, &argc, argv, "--format") < 0 ||
	    cli_option(&out, &argc, argv, "--out") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	if (cli->json)
		query.format = BILLING_AS_JSON;
	if (!take_text(query.period, sizeof(query.period), argv[1], "PERIOD") ||
	    !take_text(query.license, sizeof(query.license), license,
		"--license") ||
	    !take_text(query.customer_crm_id, sizeof(query.customer_crm_id),
		customer, "--customer") ||
	    !take_text(query.vendor, sizeof(query.vendor), vendor,
		"--vendor") ||
	    (format != NULL && !take_format(&query.format, format)))
		return CLI_USAGE;
	if (query.format == BILLING_AS_PDF && out == NULL &&
	    isatty(STDOUT_FILENO)) {
		cli_say("a PDF is not for a terminal: --out FILE");
		return CLI_USAGE;
	}
	status = cli_call(cli, OP_BILLING_STATEMENT, &query, &document, &arena);
	if (status == CLI_DONE)
		status = put_document(&document.data, query.format, out);
	arena_release(&arena);
	return status;
}

/* --- evidence --------------------------------------------------------------- */

static const struct table_column columns[] = { { .name = "OVERAGE",
						   .right = true },
	{ .name = "SEATS", .right = true }, { .name = "SERIAL", .right = true },
	{ .name = "FEATURE", .least = 8, .spare = true }, { .name = "TIME" },
	{ .name = "LEASE" }, { .name = "ROW", .right = true },
	{ .name = "BATCH", .right = true } };
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void
add_row(struct table *table, const void *item)
{
	const struct billing_evidence *e = item;
	char when[32];

	cli_time(when, e->time);
	table_cell(table, "%llu", (unsigned long long)e->overage);
	table_cell(table, "%u", e->count);
	table_cell(table, "%llu", (unsigned long long)e->serial);
	table_cell(table, "%s", e->feature);
	table_cell(table, "%s", when);
	table_cell(table, "lease-%llu", (unsigned long long)e->lease);
	table_cell(table, "%llu", (unsigned long long)e->row);
	if (e->batch != 0)
		table_cell(table, "%llu", (unsigned long long)e->batch);
	else
		table_cell(table, "%s", "-");
}

int
billing_evidence_list(struct cli *cli, int argc, char **argv)
{
	struct billing_evidence_query query = { .limit = BILLING_EVIDENCE_MAX };
	struct billing_evidence_page page;
	struct table table = { 0 };
	const struct cli_list list = {
		.op = OP_BILLING_EVIDENCE,
		.request = &query,
		.after = &query.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &billing_evidence_record,
		.row = add_row,
		.none = "No overage.",
	};
	const char *license = NULL, *serial = NULL, *feature = NULL;

	if (cli_option(&license, &argc, argv, "--license") < 0 ||
	    cli_option(&serial, &argc, argv, "--serial") < 0 ||
	    cli_option(&feature, &argc, argv, "--feature") < 0)
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 1, 1,
	    "billing evidence PERIOD --license ID [--serial N] [--feature F]");

	if (status != CLI_DONE)
		return status;
	if (license == NULL) {
		cli_say("which license? --license ID; leasehold license list "
			"shows them");
		return CLI_USAGE;
	}
	if (!take_text(query.period, sizeof(query.period), argv[1], "PERIOD") ||
	    !take_text(query.license, sizeof(query.license), license,
		"--license") ||
	    !take_text(query.feature, sizeof(query.feature), feature,
		"--feature") ||
	    (serial != NULL &&
		!cli_number(&query.serial, serial, "--serial", 1, U53_MAX)))
		return CLI_USAGE;
	table_begin(&table, N_COLUMNS, columns);
	return cli_list(cli, &list, &table);
}
