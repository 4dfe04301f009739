/* The admin's commands about join tokens: who may enroll, and how many. */
#include "agent/cli/cli.h"
#include "agent/cli/list.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static int
read_class(uint32_t *class_, const char *value)
{
	for (uint32_t i = 0; proof_class_names[i] != NULL; i++)
		if (strcmp(proof_class_names[i], value) == 0) {
			*class_ = i;
			return CLI_DONE;
		}
	const char *closest = text_closest(value, proof_class_names);

	cli_say("--class: '%s' is none of software, vtpm, tpm, assigned%s%s%s",
	    value, closest != NULL ? "; did you mean '" : "",
	    closest != NULL ? closest : "", closest != NULL ? "'?" : "");
	return CLI_USAGE;
}

/* --host again and again. */
static int
read_hosts(struct join_create *request, struct license_host_pattern *hosts,
    int *argc, char **argv)
{
	const char *value;
	uint32_t n = 0;
	int found;

	while ((found = cli_option(&value, argc, argv, "--host")) > 0) {
		if (n == JOIN_HOSTS_MAX) {
			cli_say("--host: more than %d patterns; make another "
				"token, or use * in them",
			    JOIN_HOSTS_MAX);
			return CLI_USAGE;
		}
		if (value[0] == '\0' ||
		    !text_copy(hosts[n].pattern, sizeof(hosts[n].pattern),
			value)) {
			cli_say("--host: '%s' is not a pattern of 1 to %zu "
				"bytes",
			    value, sizeof(hosts[n].pattern) - 1);
			return CLI_USAGE;
		}
		n++;
	}
	request->hosts = (struct record_list){ hosts, n };
	return found < 0 ? CLI_USAGE : CLI_DONE;
}

/* --fingerprint again and again: as `device key` and `device show` print it. */
static int
read_keys(struct join_create *request, struct row_key *keys, int *argc,
    char **argv)
{
	const char *value;
	uint32_t n = 0;
	size_t len;
	int found;

	while ((found = cli_option(&value, argc, argv, "--fingerprint")) > 0) {
		if (n == JOIN_KEYS_MAX) {
			cli_say("--fingerprint: more than %d keys; make "
				"another "
				"token",
			    JOIN_KEYS_MAX);
			return CLI_USAGE;
		}
		if (text_from_hex(keys[n].fingerprint,
			sizeof(keys[n].fingerprint), &len, value,
			strlen(value)) < 0 ||
		    len != sizeof(keys[n].fingerprint)) {
			cli_say("--fingerprint: '%s' is no fingerprint of 64 "
				"hex digits; see: leasehold device key FILE",
			    value);
			return CLI_USAGE;
		}
		n++;
	}
	if (found < 0)
		return CLI_USAGE;
	if ((request->class_ == PROOF_ASSIGNED) != (n > 0)) {
		cli_say("--class assigned and --fingerprint go together: the "
			"token names the keys that may use it");
		return CLI_USAGE;
	}
	request->keys = (struct record_list){ keys, n };
	if (request->uses == 0)
		request->uses = n > 0 ? n : 1;
	return CLI_DONE;
}

static int
read_options(struct join_create *request, struct license_host_pattern *hosts,
    struct row_key *keys, int *argc, char **argv)
{
	const char *value;
	uint64_t uses;
	int found = cli_option(&value, argc, argv, "--uses");

	if (found < 0 ||
	    (found > 0 && !cli_number(&uses, value, "--uses", 1, 100000)))
		return CLI_USAGE;
	if (found > 0)
		request->uses = (uint32_t)uses;
	found = cli_option(&value, argc, argv, "--for");
	if (found < 0 ||
	    (found > 0 && !cli_duration(&request->valid_s, value, "--for")))
		return CLI_USAGE;
	if (found > 0 && request->valid_s == 0) {
		cli_say("--for: a token that is good for no time lets nobody "
			"in");
		return CLI_USAGE;
	}
	if (found > 0 && request->valid_s > JOIN_VALID_MAX_S) {
		cli_say("--for: 365d at most");
		return CLI_USAGE;
	}
	found = cli_option(&value, argc, argv, "--class");
	if (found < 0 ||
	    (found > 0 && read_class(&request->class_, value) != CLI_DONE))
		return CLI_USAGE;
	request->approved = cli_flag(argc, argv, "--approve");
	if (read_keys(request, keys, argc, argv) != CLI_DONE)
		return CLI_USAGE;
	return read_hosts(request, hosts, argc, argv);
}

/* Standard output holds the token alone, so that it can go on from there. */
static void
say_created(const struct join_created *reply, const struct join_create *request)
{
	char until[32];

	cli_time(until, reply->expires_at);
	printf("%.*s\n", (int)reply->token.len,
	    (const char *)reply->token.data);
	cli_say("join-%llu is good for %u %s until %s; %s",
	    (unsigned long long)reply->join, request->uses,
	    request->uses == 1 ? "device" : "devices", until,
	    reply->approved
		? "who has it gets seats at once"
		: "who comes with it waits for: leasehold device approve N");
}

int
join_create(struct cli *cli, int argc, char **argv)
{
	struct license_host_pattern hosts[JOIN_HOSTS_MAX];
	struct row_key keys[JOIN_KEYS_MAX];
	struct join_create request = { .valid_s = 3600 };
	struct join_created reply;
	struct arena arena = { 0 };
	int status = read_options(&request, hosts, keys, &argc, argv);

	if (status == CLI_DONE)
		status = cli_arguments(argc, argv, 0, 0,
		    "join create [--uses N] [--for TIME] [--class CLASS] "
		    "[--fingerprint HEX]... [--host PATTERN]... [--approve]");
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_JOIN_CREATE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		say_created(&reply, &request);
	arena_release(&arena);
	return status;
}

static void
add_row(struct table *table, const void *item)
{
	const struct join_view *join = item;
	static const char *const states[] = { "open", "used up", "expired",
		"revoked" };
	const struct license_host_pattern *hosts = join->hosts.items;
	struct buf names = { .max = 256 };
	char made[32], ends[32];

	cli_time(made, join->created_at);
	cli_time(ends, join->expires_at);
	for (uint32_t i = 0; i < join->hosts.count; i++)
		buf_printf(&names, "%s%s", i > 0 ? " " : "", hosts[i].pattern);
	table_cell(table, "join-%llu", (unsigned long long)join->join);
	table_cell(table, "%s", states[join->state]);
	table_cell(table, "%u of %u", join->uses - join->used, join->uses);
	table_cell(table, "%s", proof_class_names[join->class_]);
	table_cell(table, "%s", join->approved ? "at once" : "pending");
	table_cell(table, "%s",
	    names.failed        ? "many: see --json"
		: names.len > 0 ? buf_text(&names)
				: "any");
	table_cell(table, "%s", ends);
	table_cell(table, "%s", made);
	table_cell(table, "%s-%llu", actor_kind_names[join->by.kind],
	    (unsigned long long)join->by.id);
	buf_release(&names);
}

int
join_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "TOKEN", "STATE", "LEFT", "CLASS",
		"DEVICES COME", "HOSTS", "ENDS", "MADE", "BY" };
	struct join_query request = { .limit = LIST_LIMIT_MAX };
	struct join_page page;
	struct table table = { 0 };

	request.all = cli_flag(&argc, argv, "--all");
	int status = cli_arguments(argc, argv, 0, 0, "join list [--all]");

	if (status != CLI_DONE)
		return status;
	const struct cli_list list = {
		.op = OP_JOIN_LIST,
		.request = &request,
		.after = &request.after,
		.page = &page,
		.items = &page.items,
		.next = &page.next,
		.record = &join_view_record,
		.row = add_row,
		.none = request.all ? "No token was ever made."
				    : "No token can be used now. Make one: "
				      "leasehold join create",
	};

	table_head(&table, 9, head);
	return cli_list(cli, &list, &table);
}

int
join_revoke(struct cli *cli, int argc, char **argv)
{
	struct join_number request, reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.join, argc, argv, "join revoke TOKEN",
	    "join-");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_JOIN_REVOKE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("join-%llu is revoked: nobody enrolls with it any more. "
		       "Devices that came with it stay; see them with: "
		       "leasehold device list\n",
		    (unsigned long long)reply.join);
	arena_release(&arena);
	return status;
}
