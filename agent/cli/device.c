/* The admin's commands about devices: who is there, who may hold seats. */
#include "agent/cli/cli.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/token/token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* --- list ---------------------------------------------------------------- */

static int
read_filters(struct device_query *request, int *argc, char **argv)
{
	const char *value;
	int found = cli_option(&value, argc, argv, "--state");

	if (found < 0)
		return CLI_USAGE;
	for (uint32_t i = 0; found > 0 && device_state_names[i] != NULL; i++)
		if (strcmp(value, device_state_names[i]) == 0)
			request->state = i + 1;
	if (found > 0 && request->state == 0 && strcmp(value, "any") != 0) {
		cli_say("--state: '%s' is none of pending, approved, revoked, "
			"any",
		    value);
		return CLI_USAGE;
	}
	found = cli_option(&value, argc, argv, "--match");
	if (found < 0)
		return CLI_USAGE;
	if (found > 0 &&
	    !text_copy(request->match, sizeof(request->match), value)) {
		cli_say("--match: longer than %zu bytes",
		    sizeof(request->match) - 1);
		return CLI_USAGE;
	}
	return cli_arguments(*argc, argv, 0, 0,
	    "device list [--state STATE] [--match PATTERN]");
}

static void
add_row(struct table *table, const struct device_view *device)
{
	char enrolled[32], seen[32];

	cli_time(enrolled, device->enrolled_at);
	cli_time(seen, device->seen_at);
	table_cell(table, "device-%llu", (unsigned long long)device->device);
	table_cell(table, "%s", device->name);
	table_cell(table, "%s", device->host);
	table_cell(table, "%s", proof_class_names[device->class_]);
	table_cell(table, "%s", device_state_names[device->state]);
	table_cell(table, "%s", device->connected ? device->address : "-");
	table_cell(table, "%llu", (unsigned long long)device->leases);
	table_cell(table, "%s", enrolled);
	table_cell(table, "%s", seen[0] != '\0' ? seen : "-");
}

static void
end_list(struct table *table, const struct device_query *request,
    uint64_t total, uint64_t pending)
{
	if (total > 0)
		table_end(table);
	else if (request->state != 0 || request->match[0] != '\0')
		puts("No device is like that.");
	else
		puts("No device is enrolled. Make a token for the first: "
		     "leasehold join create");
	fflush(stdout); /* in this order also where both go to one place */
	if (pending > 0)
		cli_say("%llu %s for an admin: leasehold device approve N",
		    (unsigned long long)pending,
		    pending == 1 ? "waits" : "wait");
}

int
device_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "DEVICE", "NAME", "HOST", "CLASS",
		"STATE", "CONNECTED FROM", "LEASES", "ENROLLED", "LAST SEEN" };
	struct device_query request = { .limit = LIST_LIMIT_MAX };
	struct device_page page;
	struct arena arena = { 0 };
	struct table table = { 0 };
	struct json_items all = { 0 };
	uint64_t total = 0, pending = 0;
	int status = read_filters(&request, &argc, argv);

	if (!cli->json)
		table_head(&table, 9, head);
	while (status == CLI_DONE) {
		const struct device_view *items;

		status = cli_call(cli, OP_DEVICE_LIST, &request, &page, &arena);
		if (status != CLI_DONE)
			break;
		if (cli->json)
			cli_add_items(&all, &device_view_record, &page.items);
		items = page.items.items;
		total += page.items.count;
		for (uint32_t i = 0; i < page.items.count; i++) {
			pending += items[i].state == DEVICE_PENDING;
			if (!cli->json)
				add_row(&table, &items[i]);
		}
		if (!cli->json && total > 0)
			table_flush(&table);
		if (page.next == 0)
			break;
		status = cli_next_page(&request.after, page.next);
		arena_clear(&arena);
	}
	if (status == CLI_DONE && cli->json)
		cli_end_items(&all);
	else if (status == CLI_DONE)
		end_list(&table, &request, total, pending);
	table_end(&table);
	arena_release(&arena);
	return status;
}

/* --- show ---------------------------------------------------------------- */

static void
print_state(const struct device_view *device)
{
	char decided[32];

	cli_time(decided, device->decided_at);
	cli_show("state     %s", device_state_names[device->state]);
	if (decided[0] != '\0')
		cli_show(" since %s", decided);
	if (device->reason[0] != '\0')
		cli_show(": %s", device->reason);
	cli_show("\n");
	if (device->state == DEVICE_PENDING)
		cli_show("          it gets no seats until: leasehold device "
			 "approve %llu\n",
		    (unsigned long long)device->device);
}

static void
print_class(const struct device_view *device)
{
	char hex[PROOF_FINGERPRINT_SIZE];

	cli_show("class     %s", proof_class_names[device->class_]);
	if (device->tpm_reason[0] != '\0')
		cli_show(": %s", device->tpm_reason);
	cli_show("\n");
	if (device->tpm_maker[0] != '\0' || device->tpm_issuer[0] != '\0')
		cli_show("TPM       made by %s, certified by %s\n",
		    device->tpm_maker[0] != '\0' ? device->tpm_maker
						 : "nobody who says so",
		    device->tpm_issuer);
	text_to_hex(hex, device->fingerprint, sizeof(device->fingerprint));
	cli_show("key       %s\n", hex);
}

static void
print_device(const struct device_view *device)
{
	char enrolled[32], since[32], seen[32];

	cli_time(enrolled, device->enrolled_at);
	cli_time(since, device->connected_at);
	cli_time(seen, device->seen_at);
	cli_show("device    device-%llu  %s\n",
	    (unsigned long long)device->device, device->name);
	cli_show("host      %s, as it says\n",
	    device->host[0] != '\0' ? device->host : "unknown");
	print_class(device);
	print_state(device);
	if (device->join == 0)
		cli_show("made      %s as an API key\n", enrolled);
	else
		cli_show("enrolled  %s with join-%llu\n", enrolled,
		    (unsigned long long)device->join);
	if (device->connected)
		cli_show("session   from %s since %s, %s\n", device->address,
		    since, device->software);
	else if (seen[0] != '\0')
		cli_show("session   none; last seen %s\n", seen);
	else
		puts("session   none since the site was started");
	cli_show("leases    %llu held\n", (unsigned long long)device->leases);
}

int
device_show(struct cli *cli, int argc, char **argv)
{
	struct device_number request;
	struct device_view reply;
	struct arena arena = { 0 };
	int status = cli_only_id(&request.device, argc, argv,
	    "device show DEVICE", "device-");

	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_DEVICE_SHOW, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		print_device(&reply);
	arena_release(&arena);
	return status;
}

/* --- a key to hand over -------------------------------------------------- */

int
device_key(struct cli *cli, int argc, char **argv)
{
	int status = cli_arguments(argc, argv, 1, 1, "device key FILE");
	char hex[PROOF_FINGERPRINT_SIZE];

	(void)cli;
	if (status != CLI_DONE)
		return status;
	uint8_t *secret = sodium_malloc(TOKEN_SECRET_BYTES);

	if (secret == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	int err = token_key_read(secret, argv[1]);
	bool made = err == ERR_NOT_FOUND;

	if (made)
		err = token_key_create(secret, argv[1]);
	if (err == 0)
		proof_fingerprint(hex, secret + 32, PROOF_KEY_BYTES_SOFTWARE);
	sodium_free(secret);
	if (err < 0) {
		cli_say("%s: %s", argv[1],
		    err == ERR_FORBIDDEN ? "others can read it; want mode 0600"
					 : err_str(err));
		return CLI_FAILED;
	}
	printf("%s\n", hex);
	if (made)
		cli_say("made %s; whoever has it is the device. Let it in: "
			"leasehold join create --class assigned --fingerprint "
			"%s",
		    argv[1], hex);
	return CLI_DONE;
}

/* --- decisions ----------------------------------------------------------- */

/* Every one is tried; the first refusal is the exit status. */
int
device_approve(struct cli *cli, int argc, char **argv)
{
	struct arena arena = { 0 };
	int status =
	    cli_arguments(argc, argv, 1, 10000, "device approve DEVICE...");
	int first = CLI_DONE;

	for (int i = 1; i < argc && status == CLI_DONE; i++) {
		uint64_t number;

		if (!cli_id(&number, argv[i], "DEVICE", "device-"))
			status = CLI_USAGE; /* before any of them is let in */
	}
	for (int i = 1; i < argc && status == CLI_DONE; i++) {
		struct device_number request, reply;

		(void)cli_id(&request.device, argv[i], "DEVICE", "device-");
		int one =
		    cli_call(cli, OP_DEVICE_APPROVE, &request, &reply, &arena);

		if (one == CLI_DONE && cli->json)
			cli_print_json(&device_number_record, &reply);
		else if (one == CLI_DONE)
			printf("device-%llu is approved and may hold seats.\n",
			    (unsigned long long)reply.device);
		if (first == CLI_DONE)
			first = one;
		if (one == CLI_UNREACHABLE)
			break;
		arena_clear(&arena);
	}
	arena_release(&arena);
	return status != CLI_DONE ? status : first;
}

int
device_revoke(struct cli *cli, int argc, char **argv)
{
	struct device_revoke request = { 0 };
	struct device_number reply;
	struct arena arena = { 0 };
	const char *reason = "";
	int status;

	if (cli_option(&reason, &argc, argv, "--reason") < 0)
		return CLI_USAGE;
	status = cli_arguments(argc, argv, 1, 1,
	    "device revoke DEVICE [--reason TEXT]");
	if (status == CLI_DONE &&
	    !cli_id(&request.device, argv[1], "DEVICE", "device-"))
		status = CLI_USAGE;
	if (status == CLI_DONE &&
	    !text_copy(request.reason, sizeof(request.reason), reason)) {
		cli_say("--reason: longer than %zu bytes",
		    sizeof(request.reason) - 1);
		status = CLI_USAGE;
	}
	if (status == CLI_DONE)
		status =
		    cli_answer(cli, OP_DEVICE_REVOKE, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
		printf("device-%llu is revoked; its leases have ended.\n",
		    (unsigned long long)reply.device);
	arena_release(&arena);
	return status;
}
