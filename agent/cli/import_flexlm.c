/* An options file of FlexNet Publisher as a policy: reads the files, says what
 * became of each line, writes the policy, and asks the site what it would do. */
#include "agent/cli/cli.h"
#include "agent/cli/flexlm_policy.h"
#include "agent/cli/products.h"
#include "agent/cli/visible.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "policy import-flexlm FILE [--feature NAME=PRODUCT[/FEATURE]]... "
    "[--features FILE] [--product PRODUCT] [--all PRODUCT,...] [--out FILE] "
    "[--check] [--strict]";

/* All of it, as --json has it. */
struct flexlm_import {
	struct policy_document policy;
	struct flexlm_report report;
	struct policy_impact impact; /* with --check */
};
static const struct record_field flexlm_import_fields[] = {
	R_STRUCT(flexlm_import, policy, &policy_document_record, 0,
	    "The policy."),
	R_STRUCT(flexlm_import, report, &flexlm_report_record, 0,
	    "What became of the file."),
	R_STRUCT(flexlm_import, impact, &policy_impact_record, RECORD_OPTIONAL,
	    "Whom it would touch."),
};
static RECORD_DEFINE(flexlm_import, 1, "An options file as a policy.");

struct importing {
	struct flexlm_import made;
	struct flexlm_target *targets;
	struct flexlm_map map;
	const char *out, *features;
	bool check, strict;
	struct arena arena;
};

/* --- what features are called here ------------------------------------------- */

static int
add_target(struct importing *im, const char *text, const char *where)
{
	struct flexlm_target *target = &im->targets[im->map.n_targets];
	const char *error;

	if (im->map.n_targets == FLEXLM_TARGETS_MAX) {
		cli_say("%s: there are more than %d features", where,
		    FLEXLM_TARGETS_MAX);
		return CLI_USAGE;
	}
	error = flexlm_read_target(target, text, &im->arena);
	if (error != NULL) {
		cli_say("%s: %s %s", where, text, error);
		return CLI_USAGE;
	}
	im->map.n_targets++;
	return CLI_DONE;
}

/* A line each; # begins a comment. */
static int
read_features(struct importing *im)
{
	char *text, *rest, *line;
	uint8_t *data;
	size_t len;
	int err = file_read(&data, &len, im->features, (size_t)1 << 20);
	int status = CLI_DONE;

	if (err != 0) {
		cli_say("%s cannot be read: %s", im->features,
		    err == ERR_TOO_LARGE ? "it is larger than 1 MiB"
					 : strerror(errno));
		return CLI_FAILED;
	}
	text = (char *)data;
	for (line = strtok_r(text, "\r\n", &rest);
	     line != NULL && status == CLI_DONE;
	     line = strtok_r(NULL, "\r\n", &rest)) {
		size_t end;

		line += strspn(line, " \t");
		end = strlen(line);
		while (
		    end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
			line[--end] = '\0';
		if (line[0] != '\0' && line[0] != '#')
			status = add_target(im, line, im->features);
	}
	free(data);
	return status;
}

static int
read_all(struct importing *im, const char *text)
{
	const char **all;
	char *copy, *rest, *name;
	size_t most = strlen(text) / 2 + 1;

	copy = arena_copy(&im->arena, text, strlen(text));
	all = arena_alloc(&im->arena, most * sizeof *all);
	if (copy == NULL || all == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	for (name = strtok_r(copy, ",", &rest); name != NULL;
	     name = strtok_r(NULL, ",", &rest))
		all[im->map.n_all++] = name;
	im->map.all = all;
	for (uint32_t i = 0; i < im->map.n_all; i++)
		if (strlen(all[i]) > 63 ||
		    !text_is_printable(all[i], strlen(all[i])))
			im->map.n_all = 0;
	if (im->map.n_all > 0)
		return CLI_DONE;
	cli_say("--all takes products: --all PRODUCT,PRODUCT");
	return CLI_USAGE;
}

static int
read_options(struct importing *im, int *argc, char **argv)
{
	const char *text, *all = NULL;
	int found, status = CLI_DONE;

	while ((found = cli_option(&text, argc, argv, "--feature")) > 0 &&
	    status == CLI_DONE)
		status = add_target(im, text, "--feature");
	if (status != CLI_DONE)
		return status;
	if (found < 0 ||
	    cli_option(&im->features, argc, argv, "--features") < 0 ||
	    cli_option(&im->map.product, argc, argv, "--product") < 0 ||
	    cli_option(&all, argc, argv, "--all") < 0 ||
	    cli_option(&im->out, argc, argv, "--out") < 0)
		return CLI_USAGE;
	im->check = cli_flag(argc, argv, "--check");
	im->strict = cli_flag(argc, argv, "--strict");
	if (im->map.product != NULL &&
	    (im->map.product[0] == '\0' || strlen(im->map.product) > 63 ||
		!text_is_printable(im->map.product, strlen(im->map.product)))) {
		cli_say("--product takes a product of 1 to 63 bytes");
		return CLI_USAGE;
	}
	status = cli_arguments(*argc, argv, 1, 1, usage);
	if (status == CLI_DONE && all != NULL)
		status = read_all(im, all);
	if (status == CLI_DONE && im->features != NULL)
		status = read_features(im);
	im->map.targets = im->targets;
	return status;
}

/* --- the report ---------------------------------------------------------------- */

static void
show_lines(struct buf *text, const struct flexlm_report *report)
{
	const struct flexlm_remark *lines = report->lines.items;

	for (uint32_t i = 0; i < report->lines.count; i++) {
		const struct flexlm_remark *line = &lines[i];

		buf_printf(text, "%5u  %-10s  %s", line->line,
		    flexlm_status_names[line->status],
		    line->text[0] != '\0' ? line->text : "(no text)");
		if (line->rule[0] != '\0')
			buf_printf(text, "  -> %s", line->rule);
		buf_add_str(text, "\n");
		if (line->reason[0] != '\0')
			buf_printf(text, "%19s%s\n", "", line->reason);
	}
}

static void
show_report(const struct flexlm_report *report)
{
	const struct flexlm_note *notes = report->notes.items;
	struct buf text = { 0 }, safe = { 0 };

	show_lines(&text, report);
	buf_printf(&text,
	    "%u lines: %u taken, %u not needed, %u without effect, %u differ, "
	    "%u have no equal, %u wrong\n",
	    report->lines.count, report->taken, report->not_needed,
	    report->without_effect, report->differs, report->no_equal,
	    report->wrong);
	for (uint32_t i = 0; i < report->notes.count; i++)
		buf_printf(&text, "note: %s\n", notes[i].note);
	visible_add_lines(&safe, buf_text(&text));
	fputs(buf_text(&safe), stderr);
	buf_release(&text);
	buf_release(&safe);
}

static bool
is_exact(const struct flexlm_report *report)
{
	return report->differs + report->no_equal + report->wrong == 0;
}

/* --- the file ------------------------------------------------------------------- */

static int
read_file(struct importing *im, const char *path)
{
	struct flexlm_file file;
	uint8_t *data;
	size_t len;
	int err = file_read(&data, &len, path, FLEXLM_BYTES_MAX);

	if (err != 0) {
		cli_say("%s cannot be read: %s", path,
		    err == ERR_TOO_LARGE ? "it is larger than 4 MiB"
					 : strerror(errno));
		return CLI_FAILED;
	}
	err = flexlm_read(&file, (const char *)data, len, &im->arena);
	free(data);
	if (err == 0)
		err = flexlm_translate(&im->made.policy, &im->made.report,
		    &file, &im->map, &im->arena);
	if (err == 0)
		return CLI_DONE;
	if (im->made.report.notes.count > 0)
		show_report(&im->made.report);
	cli_say("%s is too much for one policy: %s", path, err_str(err));
	return CLI_FAILED;
}

static int
write_policy(const struct importing *im)
{
	struct buf text = { 0 };
	int status = CLI_DONE;

	record_write_json_pretty(&text, &policy_document_record,
	    &im->made.policy);
	buf_add_byte(&text, '\n');
	/* Names of people stand in it. */
	if (text.failed ||
	    file_write(im->out, text.data, text.len, 0600) != 0) {
		cli_say("%s cannot be written: %s", im->out,
		    text.failed ? "out of memory" : strerror(errno));
		status = CLI_FAILED;
	}
	buf_release(&text);
	return status;
}

/* --- the site -------------------------------------------------------------------- */

static bool
is_licensed(const struct products *products, const struct policy_rule *rule)
{
	const struct product_use *uses = (const void *)products->uses.data;
	size_t n = products->uses.len / sizeof *uses;

	for (size_t i = 0; i < n; i++)
		if (strcmp(uses[i].product, rule->product) == 0 &&
		    (rule->feature[0] == '\0' ||
			strcmp(uses[i].feature, rule->feature) == 0))
			return true;
	return false;
}

/* A rule about what nobody has a license of bounds nothing. */
static int
name_unknown(struct cli *cli, const struct importing *im)
{
	const struct policy_rule *rules = im->made.policy.rules.items;
	struct products products = { .leases = 0 };
	int status = products_read(&products, cli);

	for (uint32_t i = 0;
	     status == CLI_DONE && i < im->made.policy.rules.count; i++) {
		uint32_t k = 0;

		while (k < i &&
		    (strcmp(rules[k].product, rules[i].product) != 0 ||
			strcmp(rules[k].feature, rules[i].feature) != 0))
			k++;
		if (k < i || rules[i].product[0] == '\0' ||
		    is_licensed(&products, &rules[i]))
			continue;
		cli_say("no license here has %s%s%s, which rule %s is about; "
			"the products are in: leasehold license list",
		    rules[i].product, rules[i].feature[0] != '\0' ? "/" : "",
		    rules[i].feature, rules[i].name);
	}
	products_release(&products);
	return status;
}

static int
ask_site(struct cli *cli, struct importing *im)
{
	struct policy_check request = { .policy = im->made.policy };
	int status = cli_call(cli, OP_POLICY_CHECK, &request, &im->made.impact,
	    &im->arena);

	if (status == CLI_DONE)
		status = name_unknown(cli, im);
	if (status == CLI_DONE && !cli->json)
		policy_show_impact(&im->made.impact);
	return status;
}

/* --- the command ------------------------------------------------------------------ */

static int
import_file(struct cli *cli, struct importing *im, const char *path)
{
	int status = read_file(im, path);

	if (status != CLI_DONE)
		return status;
	if (!cli->json)
		show_report(&im->made.report);
	if (im->strict && !is_exact(&im->made.report)) {
		cli_say("%s is not taken over exactly, and --strict asks for "
			"it: nothing is written",
		    path);
		return CLI_FAILED;
	}
	if (im->check)
		status = ask_site(cli, im);
	if (status == CLI_DONE && im->out != NULL)
		status = write_policy(im);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&flexlm_import_record, &im->made);
	else if (status == CLI_DONE && im->out == NULL && !im->check)
		cli_print_json(&policy_document_record, &im->made.policy);
	else if (status == CLI_DONE && im->out != NULL)
		cli_show("Written to %s. See whom it would touch, then bring "
			 "it into force, with\n  leasehold policy check %s\n  "
			 "leasehold policy apply %s\n",
		    im->out, im->out, im->out);
	return status;
}

int
policy_import_flexlm(struct cli *cli, int argc, char **argv)
{
	struct importing im = { .out = NULL };
	int status = CLI_FAILED;

	im.targets = calloc(FLEXLM_TARGETS_MAX, sizeof *im.targets);
	if (im.targets == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	status = read_options(&im, &argc, argv);
	if (status == CLI_DONE)
		status = import_file(cli, &im, argv[1]);
	free(im.targets);
	arena_release(&im.arena);
	return status;
}
