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
	request.new_key = cli_flag(&argc, argv, "--new-key");
	status = cli_arguments(argc, argv, 1, 1,
	    "enroll URL --token TOKEN [--name NAME] [--new-key]");
	if (status != CLI_DONE)
		return status;
	if (token == NULL) {
		cli_say("enroll needs --token; an admin of the site makes one "
			"with: leasehold join create");
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
	if (status == CLI_DONE && !cli->json && reply.pending)
		printf("It gets no seats before an admin lets it in; %s\n",
		    reply.hint);
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
		if (!cli_id(&request.lease, argv[1], "LEASE", "lease-"))
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
