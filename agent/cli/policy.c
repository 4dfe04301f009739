/* The admin's commands about the tenant's policy. */
#include "agent/cli/cli.h"
#include "agent/cli/table.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- show ----------------------------------------------------------------- */

static void
show_summary(const struct policy_summary *summary)
{
	char at[32];

	cli_time(at, summary->at);
	cli_show("version   %" PRIu64 "%s, since %s\n", summary->version,
	    summary->in_force ? " (in force)" : "", at);
	cli_show("set by    %s %" PRIu64 "\n",
	    actor_kind_names[summary->by.kind], summary->by.id);
	cli_show("has       %u rules, %u groups, %u members\n", summary->rules,
	    summary->groups, summary->members);
}

/* Whom it names, in a few words. */
static void
write_whom(char out[160], const struct policy_rule *rule)
{
	const struct policy_group_name *groups = rule->groups.items;
	uint32_t single = rule->users.count + rule->hosts.count +
	    rule->devices.count + rule->addresses.count;
	size_t len = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < rule->groups.count && len < 90; i++)
		len += (size_t)snprintf(out + len, 160 - len, "%s%.40s",
		    i > 0 ? ", " : "", groups[i].group);
	if (single > 0)
		snprintf(out + len, 160 - len, "%s%u named",
		    len > 0 ? ", " : "", single);
	else if (rule->groups.count == 0)
		snprintf(out, 160, "everybody");
}

static void
add_bound(char out[160], const char *name, uint32_t value)
{
	size_t len = strlen(out);

	if (value != 0)
		snprintf(out + len, 160 - len, "%s%s %u", len > 0 ? ", " : "",
		    name, value);
}

static void
write_bounds(char out[160], const struct policy_rule *rule)
{
	out[0] = '\0';
	if (rule->none)
		snprintf(out, 160, "none");
	add_bound(out, "seats", rule->seats);
	add_bound(out, "linger_s", rule->linger_s);
	add_bound(out, "idle_s", rule->idle_s);
	if (rule->silent)
		strncat(out, ", silent too", 160 - strlen(out) - 1);
	add_bound(out, "longest_s", rule->longest_s);
	add_bound(out, "keep", rule->keep);
	add_bound(out, "length", rule->length);
	add_bound(out, "wait_s", rule->wait_s);
	add_bound(out, "priority", rule->priority);
	if (rule->each != POLICY_ALL) {
		size_t len = strlen(out);

		snprintf(out + len, 160 - len, " each %s",
		    policy_each_names[rule->each]);
	}
}

static void
show_rules(const struct policy_document *policy)
{
	static const struct table_column columns[] = {
		{ .name = "RULE" },
		{ .name = "KIND" },
		{ .name = "PRODUCT" },
		{ .name = "FEATURE", .spare = true },
		{ .name = "VERSIONS", .spare = true },
		{ .name = "WHOM" },
		{ .name = "BOUNDS" },
	};
	const struct policy_rule *rules = policy->rules.items;
	struct table table = { 0 };
	char text[160];

	table_begin(&table, sizeof(columns) / sizeof(columns[0]), columns);
	for (uint32_t i = 0; i < policy->rules.count; i++) {
		const struct policy_rule *rule = &rules[i];

		table_cell(&table, "%s", rule->name);
		table_cell(&table, "%s", policy_kind_names[rule->kind]);
		table_cell(&table, "%s",
		    rule->product[0] != '\0' ? rule->product : "all");
		table_cell(&table, "%s", rule->feature);
		table_cell(&table, "%s", rule->version);
		write_whom(text, rule);
		table_cell(&table, "%s", text);
		write_bounds(text, rule);
		table_cell(&table, "%s", text);
	}
	table_flush(&table);
	table_end(&table);
}

/* The version that --version names, or the one in force. */
static int
ask_version(struct cli *cli, struct policy_view *reply, int argc, char **argv,
    const char *usage, struct arena *arena)
{
	struct policy_version request = { .version = 0 };
	const char *text = NULL;
	int found = cli_option(&text, &argc, argv, "--version");

	if (found < 0 ||
	    (found > 0 &&
		!cli_number(&request.version, text, "--version", 1,
		    (UINT64_C(1) << 53) - 1)))
		return CLI_USAGE;
	int status = cli_arguments(argc, argv, 0, 0, usage);

	if (status != CLI_DONE)
		return status;
	return cli_call(cli, found > 0 ? OP_POLICY_VERSION : OP_POLICY_SHOW,
	    &request, reply, arena);
}

static void
show_reports(const struct record_list *list)
{
	const struct policy_report *reports = list->items;

	for (uint32_t i = 0; i < list->count; i++)
		cli_show("reports   to %s tell of people: %s\n",
		    reports[i].vendor[0] != '\0' ? reports[i].vendor
						 : "all other vendors",
		    report_people_names[reports[i].people]);
}

int
policy_show(struct cli *cli, int argc, char **argv)
{
	struct policy_view reply;
	struct arena arena = { 0 };
	int status = ask_version(cli, &reply, argc, argv,
	    "policy show [--version N]", &arena);

	if (status == CLI_DONE && cli->json) {
		cli_print_json(&policy_view_record, &reply);
	} else if (status == CLI_DONE && reply.summary.version == 0) {
		puts("There is no policy: licenses alone decide. Write one, "
		     "and bring it into force with\n  leasehold policy apply "
		     "FILE");
	} else if (status == CLI_DONE) {
		show_summary(&reply.summary);
		if (reply.policy.comment[0] != '\0')
			cli_show("comment   %s\n", reply.policy.comment);
		if (reply.policy.rules.count > 0)
			show_rules(&reply.policy);
		show_reports(&reply.policy.reports);
	}
	arena_release(&arena);
	return status;
}

/* The document alone, as `policy apply` takes it. */
int
policy_export(struct cli *cli, int argc, char **argv)
{
	struct policy_view reply;
	struct arena arena = { 0 };
	int status = ask_version(cli, &reply, argc, argv,
	    "policy export [--version N]", &arena);

	if (status == CLI_DONE)
		cli_print_json(&policy_document_record, &reply.policy);
	arena_release(&arena);
	return status;
}

static int
read_policy(struct policy_document *policy, const char *path,
    struct arena *arena)
{
	return cli_read_record(policy, &policy_document_record, path, "policy",
	    NULL, arena);
}

/* --- check ---------------------------------------------------------------- */

static void
show_touched(const struct policy_impact *impact)
{
	static const struct table_column columns[] = {
		{ .name = "LEASE" },
		{ .name = "PRODUCT" },
		{ .name = "FEATURE", .spare = true },
		{ .name = "SEATS", .right = true },
		{ .name = "USER" },
		{ .name = "HOST" },
		{ .name = "WHY" },
		{ .name = "RULE" },
	};
	const struct policy_touched *items = impact->items.items;
	struct table table = { 0 };

	table_begin(&table, sizeof(columns) / sizeof(columns[0]), columns);
	for (uint32_t i = 0; i < impact->items.count; i++) {
		table_cell(&table, "lease-%" PRIu64 "%s", items[i].lease,
		    items[i].borrowed ? " (on loan)" : "");
		table_cell(&table, "%s", items[i].product);
		table_cell(&table, "%s", items[i].feature);
		table_cell(&table, "%u", items[i].count);
		table_cell(&table, "%s", items[i].user);
		table_cell(&table, "%s", items[i].host);
		table_cell(&table, "%s", items[i].code);
		table_cell(&table, "%s", items[i].rule);
	}
	table_flush(&table);
	table_end(&table);
}

void
policy_show_impact(const struct policy_impact *impact)
{
	const struct policy_waiting *waiters = impact->waiters.items;

	cli_show("policy    %u rules, %u groups, %u members\n", impact->rules,
	    impact->groups, impact->members);
	cli_show("leases    %" PRIu64 " of %" PRIu64
		 " it would refuse today; they go on\n",
	    impact->touched, impact->leases);
	if (impact->items.count > 0)
		show_touched(impact);
	cli_show("waiting   %u of %u it would send away or hold up\n",
	    impact->waiting_touched, impact->waiting);
	for (uint32_t i = 0; i < impact->waiters.count; i++)
		cli_show("          waiter-%" PRIu64 "  %s  %s  %s (%s)\n",
		    waiters[i].waiter, waiters[i].product, waiters[i].user,
		    waiters[i].code, waiters[i].rule);
}

int
policy_check(struct cli *cli, int argc, char **argv)
{
	struct policy_check request = { .in_force = false };
	struct policy_impact reply;
	struct arena arena = { 0 };

	request.in_force = cli_flag(&argc, argv, "--in-force");
	int files = request.in_force ? 0 : 1;
	int status = cli_arguments(argc, argv, files, files,
	    "policy check FILE | --in-force");

	if (status == CLI_DONE && !request.in_force)
		status = read_policy(&request.policy, argv[1], &arena);
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_POLICY_CHECK, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		policy_show_impact(&reply);
	arena_release(&arena);
	return status;
}

/* --- apply ---------------------------------------------------------------- */

struct applying {
	struct policy_put request;
	bool revoke;
	uint32_t grace_s;
};

static int
read_options(struct applying *applying, int *argc, char **argv)
{
	const char *follows = NULL, *grace = NULL;
	int found = cli_option(&follows, argc, argv, "--follows");
	int graced = cli_option(&grace, argc, argv, "--grace");

	applying->revoke = cli_flag(argc, argv, "--revoke");
	if (found < 0 || graced < 0)
		return CLI_USAGE;
	if (found > 0 &&
	    !cli_number(&applying->request.follows, follows, "--follows", 1,
		(UINT64_C(1) << 53) - 1))
		return CLI_USAGE;
	if (graced > 0 && !cli_duration(&applying->grace_s, grace, "--grace"))
		return CLI_USAGE;
	if (applying->revoke != (graced > 0)) {
		cli_say("--revoke ends leases, and needs the --grace after "
			"which it does: --revoke --grace 10m");
		return CLI_USAGE;
	}
	return CLI_DONE;
}

/* What it would refuse is looked at before anything ends. */
static int
revoke(struct cli *cli, const struct policy_summary *applied, uint32_t grace_s)
{
	const struct policy_check check = { .in_force = true };
	const struct policy_revoke request = { .version = applied->version,
		.grace_s = grace_s };
	struct policy_revoking reply;
	struct policy_impact impact;
	struct arena arena = { 0 };
	char at[32];
	int status = cli_call(cli, OP_POLICY_CHECK, &check, &impact, &arena);

	if (status == CLI_DONE && !cli->json)
		policy_show_impact(&impact);
	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_POLICY_REVOKE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		cli_time(at, reply.at);
		cli_show("They end at %s, but for those on loan; until then, "
			 "another policy calls it off.\n",
		    at);
	}
	arena_release(&arena);
	return status;
}

int
policy_apply(struct cli *cli, int argc, char **argv)
{
	struct applying applying = { .revoke = false };
	struct policy_summary reply;
	struct arena arena = { 0 };
	int status = read_options(&applying, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 1, 1,
		    "policy apply FILE [--follows N] [--revoke --grace TIME]");
	if (status == CLI_DONE)
		status = read_policy(&applying.request.policy, argv[1], &arena);
	if (status == CLI_DONE)
		status = cli_answer(cli, OP_POLICY_PUT, &applying.request,
		    &reply, &arena);
	if (status == CLI_DONE && !cli->json) {
		show_summary(&reply);
		if (!applying.revoke)
			puts("Who has a seat keeps it until he gives it back.");
	}
	if (status == CLI_DONE && applying.revoke)
		status = revoke(cli, &reply, applying.grace_s);
	arena_release(&arena);
	return status;
}

/* --- history -------------------------------------------------------------- */

static void
add_version(struct table *table, const struct policy_summary *summary)
{
	char at[32];

	cli_time(at, summary->at);
	table_cell(table, "%" PRIu64, summary->version);
	table_cell(table, "%s", at);
	table_cell(table, "%s %" PRIu64, actor_kind_names[summary->by.kind],
	    summary->by.id);
	table_cell(table, "%u", summary->rules);
	table_cell(table, "%u", summary->groups);
	table_cell(table, "%u", summary->members);
	table_cell(table, "%s",
	    summary->in_force   ? "in force"
		: summary->kept ? "kept"
				: "not kept");
}

int
policy_history(struct cli *cli, int argc, char **argv)
{
	static const struct table_column columns[] = {
		{ .name = "VERSION", .right = true },
		{ .name = "SINCE" },
		{ .name = "SET BY" },
		{ .name = "RULES", .right = true },
		{ .name = "GROUPS", .right = true },
		{ .name = "MEMBERS", .right = true },
		{ .name = "DOCUMENT" },
	};
	struct policy_query request = { .limit = LIST_LIMIT_MAX };
	struct policy_page page = { .next = 1 };
	struct arena arena = { 0 };
	struct table table = { 0 };
	struct json_items all = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "policy history");

	table_begin(&table, sizeof(columns) / sizeof(columns[0]), columns);
	while (status == CLI_DONE && page.next != 0) {
		status = cli_call(cli, OP_POLICY_LIST, &request, &page, &arena);
		if (status != CLI_DONE)
			break;
		const struct policy_summary *items = page.items.items;

		/* It goes back: a cursor that does not would never end. */
		if (page.next != 0 && request.after != 0 &&
		    page.next >= request.after) {
			cli_say("the site's answer names a page that was "
				"there before");
			status = CLI_FAILED;
		}
		if (cli->json)
			cli_add_items(&all, &policy_summary_record,
			    &page.items);
		for (uint32_t i = 0; !cli->json && i < page.items.count; i++)
			add_version(&table, &items[i]);
		request.after = page.next;
		arena_clear(&arena);
	}
	if (status == CLI_DONE && cli->json)
		cli_end_items(&all);
	else if (status == CLI_DONE)
		table_flush(&table);
	table_end(&table);
	arena_release(&arena);
	return status;
}
