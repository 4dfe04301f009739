/* The workstation's commands that are one question and one answer. */
#include "agent/cli/cli.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

int
agent_enroll(struct cli *cli, int argc, char **argv)
{
	struct local_enroll request = { 0 };
	struct local_status reply;
	struct arena arena = { 0 };
	const char *token = NULL, *name = "";
	int status;

	if (cli_option(&token, &argc, argv, "--token") < 0 ||
	    cli_option(&name, &argc, argv, "--name") < 0)
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 1, 1,
	    "enroll URL --token TOKEN [--name NAME]");
	if (status != CLI_DONE)
		return status;
	if (token == NULL) {
		cli_say("enroll needs --token; an admin of the site makes one "
			"with: leasehold token create");
		return CLI_USAGE;
	}
	if (!text_copy(request.url, sizeof(request.url), argv[1]) ||
	    !text_copy(request.name, sizeof(request.name), name)) {
		cli_say("URL or --name is too long");
		return CLI_USAGE;
	}
	request.join = (struct record_span){ token, (uint32_t)strlen(token) };
	status = cli_ask(cli, LOCAL_ENROLL, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&local_status_record, &reply);
	else if (status == CLI_DONE)
		printf("Enrolled at %s as device-%llu (%s, class %s).\n",
		    reply.site, (unsigned long long)reply.device, reply.name,
		    proof_class_names[reply.class_]);
	arena_release(&arena);
	return status;
}

static void
print_leases(const struct local_leases *leases)
{
	static const char *const head[] = { "LEASE", "PRODUCT", "VERSION",
		"TYPE", "PROCESS", "COMMAND", "SIGNED FOR" };
	const struct local_lease *items = leases->items.items;
	struct table table = { 0 };

	table_head(&table, 7, head);
	for (uint32_t i = 0; i < leases->items.count; i++) {
		char left[32];

		cli_span(left, items[i].left_s);
		table_cell(&table, "lease-%llu",
		    (unsigned long long)items[i].lease);
		table_cell(&table, "%s", items[i].product);
		table_cell(&table, "%s", items[i].version);
		table_cell(&table, "%s", seat_type_names[items[i].type]);
		table_cell(&table, "%llu", (unsigned long long)items[i].pid);
		table_cell(&table, "%s", items[i].command);
		table_cell(&table, "%s", left);
	}
	table_print(&table);
}

static void
print_status(const struct local_status *reply)
{
	char since[32];

	printf("agent     %s\n", reply->software);
	if (reply->url[0] == '\0') {
		puts("site      not enrolled");
		puts("          ask the site's admin for a token, then: "
		     "leasehold enroll URL --token TOKEN");
		return;
	}
	cli_time(since, reply->since);
	printf("site      %s at %s, tenant %s\n", reply->site, reply->url,
	    reply->tenant);
	printf("device    device-%llu  %s, class %s\n",
	    (unsigned long long)reply->device, reply->name,
	    proof_class_names[reply->class_]);
	if (reply->connected)
		printf("state     connected since %s\n", since);
	else
		printf("state     not connected since %s: %s\n"
		       "          next attempt in %u s; leases are kept to the "
		       "end of what was signed\n",
		    since, reply->trouble, reply->retry_s);
	if (reply->connected && reply->trouble[0] != '\0')
		printf("warning   %s\n", reply->trouble);
	printf("leases    %u on this workstation\n", reply->leases);
}

int
agent_status(struct cli *cli, int argc, char **argv)
{
	struct empty nothing = { 0 };
	struct local_status reply;
	struct local_leases leases = { 0 };
	struct local_list from = { 0 };
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "status");

	if (status == CLI_DONE)
		status = cli_ask(cli, LOCAL_STATUS, &nothing, &reply, &arena);
	if (status == CLI_DONE && cli->json) {
		cli_print_json(&local_status_record, &reply);
		goto out;
	}
	if (status == CLI_DONE)
		print_status(&reply);
	while (status == CLI_DONE) {
		status = cli_ask(cli, LOCAL_LIST, &from, &leases, &arena);
		if (status == CLI_DONE && leases.items.count > 0)
			print_leases(&leases);
		if (status != CLI_DONE || leases.next == 0)
			break;
		status = cli_next_page(&from.after, leases.next);
	}
out:
	arena_release(&arena);
	return status;
}

int
agent_return(struct cli *cli, int argc, char **argv)
{
	struct local_return request = { 0 };
	struct local_returned reply;
	struct arena arena = { 0 };
	int status;

	request.all = cli_flag(&argc, argv, "--all");
	status = cli_arguments(argc, argv, request.all ? 0 : 1,
	    request.all ? 0 : 1, "return LEASE | --all");
	if (status != CLI_DONE)
		return status;
	if (!request.all) {
		const char *id = argv[1];

		if (strncmp(id, "lease-", 6) == 0)
			id += 6;
		if (!cli_number(&request.lease, id, "LEASE", 1,
			(1ULL << 53) - 1))
			return CLI_USAGE;
	}
	status = cli_ask(cli, LOCAL_RETURN, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&local_returned_record, &reply);
	else if (status == CLI_DONE)
		printf("%u %s returned.\n", reply.count,
		    reply.count == 1 ? "lease" : "leases");
	arena_release(&arena);
	return status;
}
