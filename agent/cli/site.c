/*
 * The admin's commands about the site itself. What works on the site's own
 * folder (init, an offline request) is leaseholdd's business: it is started
 * with the same words, so that no store code is linked here.
 */
#include "agent/cli/cli.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Become leaseholdd: the one beside this program, else the one in PATH. */
static int
become_daemon(const struct cli *cli, const char *verb, int argc, char **argv)
{
	char self[4096];
	char path[4200];
	char **args = calloc((size_t)argc + 3, sizeof(char *));
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char verb_copy[16];
	char json[] = "--json";
	int n = 0;

	if (args == NULL) {
		cli_say("out of memory");
		return CLI_FAILED;
	}
	text_copy(verb_copy, sizeof(verb_copy), verb);
	args[n++] = path;
	args[n++] = verb_copy;
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	if (cli->json)
		args[n++] = json;
	if (len > 0) {
		self[len] = '\0';
		snprintf(path, sizeof(path), "%s/leaseholdd", dirname(self));
		execv(path, args);
	}
	snprintf(path, sizeof(path), "leaseholdd");
	execvp(path, args);
	cli_say("leaseholdd was not found (%s); site init and an offline site "
		"request run on the box where leaseholdd is installed",
	    strerror(errno));
	free(args);
	return CLI_FAILED;
}

/* The daemon's standard output into a file, which appears whole or not at all.
 */
static int
daemon_to_file(const char *out, const struct cli *cli, const char *verb,
    int argc, char **argv)
{
	struct buf text = { .max = (size_t)1 << 16 };
	uint8_t chunk[4096];
	int ends[2], state = 0, err = 0;
	ssize_t n = 0;
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) == 0) {
		pid = fork();
		if (pid == 0) {
			dup2(ends[1], STDOUT_FILENO);
			_exit(become_daemon(cli, verb, argc, argv));
		}
		close(ends[1]);
		while (pid > 0 && (n = read(ends[0], chunk, sizeof(chunk))) > 0)
			buf_add(&text, chunk, (size_t)n);
		close(ends[0]);
	}
	if (pid < 0 || waitpid(pid, &state, 0) != pid || n < 0 || text.failed) {
		cli_say("leaseholdd cannot be run: %s", strerror(errno));
		state = CLI_FAILED;
	} else {
		state = WIFEXITED(state) ? WEXITSTATUS(state) : CLI_FAILED;
	}
	if (state == CLI_DONE)
		err = file_write(out, text.data, text.len, 0644);
	if (err != 0)
		cli_say("%s cannot be written: %s", out, strerror(errno));
	buf_release(&text);
	return err != 0 ? CLI_FAILED : state;
}

int
site_init(struct cli *cli, int argc, char **argv)
{
	return become_daemon(cli, "init", argc, argv);
}

static int
write_or_print(const char *path, const char *text, size_t len)
{
	if (path == NULL) {
		printf("%.*s\n", (int)len, text);
		return CLI_DONE;
	}
	if (file_write(path, text, len, 0644) != 0) {
		cli_say("%s cannot be written: %s", path, strerror(errno));
		return CLI_FAILED;
	}
	return CLI_DONE;
}

int
site_request_file(struct cli *cli, int argc, char **argv)
{
	struct site_request_reply reply;
	struct arena arena = { 0 };
	struct empty request = { 0 };
	const char *out = NULL;
	int status;

	if (cli_option(&out, &argc, argv, "--out") < 0)
		return CLI_USAGE;
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--state", 7) == 0)
			return out == NULL
			    ? become_daemon(cli, "request", argc, argv)
			    : daemon_to_file(out, cli, "request", argc, argv);
	status = cli_arguments(argc, argv, 0, 0,
	    "site request [--out FILE] [--state DIR]");
	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_SITE_REQUEST, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&site_request_reply_record, &reply);
	else if (status == CLI_DONE)
		status =
		    write_or_print(out, reply.request.data, reply.request.len);
	if (status == CLI_DONE && out != NULL && !cli->json)
		printf("The activation request is in %s. Send it to your "
		       "vendor; what comes back is installed with\n"
		       "  leasehold license install FILE\n",
		    out);
	arena_release(&arena);
	return status;
}

int
site_show(struct cli *cli, int argc, char **argv)
{
	struct site_view site;
	struct arena arena = { 0 };
	struct empty request = { 0 };
	char time[32], key[TOKEN_PUBLIC_TEXT];
	int status = cli_arguments(argc, argv, 0, 0, "site show");

	if (status == CLI_DONE)
		status = cli_call(cli, OP_SITE_SHOW, &request, &site, &arena);
	if (status == CLI_DONE && cli->json) {
		cli_print_json(&site_view_record, &site);
	} else if (status == CLI_DONE) {
		cli_time(time, site.time);
		token_public_format(key, site.site_key);
		printf("site      %s  %s\n", site.site, site.name);
		printf("software  %s\n", site.software);
		printf("key       %s\n", key);
		printf("journal   batch %llu, %llu rows, generation %u, "
		       "tenant %s\n",
		    (unsigned long long)site.batch,
		    (unsigned long long)site.rows, site.generation,
		    site.tenant);
		printf("time      %s%s\n", time,
		    site.clock_held ? "  (held: the wall clock jumped)" : "");
		printf("licenses  %llu\n", (unsigned long long)site.licenses);
		printf("leases    %llu held, %llu waiting for a seat\n",
		    (unsigned long long)site.leases,
		    (unsigned long long)site.waiting);
		printf("devices   %llu enrolled, %llu connected\n",
		    (unsigned long long)site.devices,
		    (unsigned long long)site.sessions);
	}
	arena_release(&arena);
	return status;
}

int
token_create(struct cli *cli, int argc, char **argv)
{
	struct join_create request = { .uses = 1, .valid_s = 3600 };
	struct license_host_pattern host = { 0 };
	struct join_created reply;
	struct arena arena = { 0 };
	const char *value;
	uint64_t uses;
	int status, found;

	found = cli_option(&value, &argc, argv, "--uses");
	if (found < 0 ||
	    (found > 0 && !cli_number(&uses, value, "--uses", 1, 1000000)))
		return CLI_USAGE;
	if (found > 0)
		request.uses = (uint32_t)uses;
	found = cli_option(&value, &argc, argv, "--for");
	if (found < 0 ||
	    (found > 0 && !cli_duration(&request.valid_s, value, "--for")))
		return CLI_USAGE;
	found = cli_option(&value, &argc, argv, "--host");
	if (found < 0)
		return CLI_USAGE;
	if (found > 0) {
		if (!text_copy(host.pattern, sizeof(host.pattern), value)) {
			cli_say("--host: longer than %zu bytes",
			    sizeof(host.pattern) - 1);
			return CLI_USAGE;
		}
		request.hosts = (struct record_list){ &host, 1 };
	}
	status = cli_arguments(argc, argv, 0, 0,
	    "token create [--uses N] [--for TIME] [--host PATTERN]");
	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_JOIN_CREATE, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&join_created_record, &reply);
	else if (status == CLI_DONE)
		printf("%.*s\n", (int)reply.join.len,
		    (const char *)reply.join.data);
	arena_release(&arena);
	return status;
}

int
device_list(struct cli *cli, int argc, char **argv)
{
	static const char *const head[] = { "DEVICE", "NAME", "HOST", "CLASS",
		"STATE", "LEASES", "ENROLLED" };
	struct device_query request = { .limit = LIST_LIMIT_MAX };
	struct device_page page;
	struct arena arena = { 0 };
	struct table table = { 0 };
	int status = cli_arguments(argc, argv, 0, 0, "device list");

	if (!cli->json)
		table_head(&table, 7, head);
	while (status == CLI_DONE) {
		status = cli_call(cli, OP_DEVICE_LIST, &request, &page, &arena);
		if (status != CLI_DONE)
			break;
		if (cli->json)
			cli_print_json(&device_page_record, &page);
		for (uint32_t i = 0; i < page.items.count && !cli->json; i++) {
			const struct device_view *device =
			    &((const struct device_view *)page.items.items)[i];
			char time[32];

			cli_time(time, device->enrolled_at);
			table_cell(&table, "device-%llu",
			    (unsigned long long)device->device);
			table_cell(&table, "%s", device->name);
			table_cell(&table, "%s", device->host);
			table_cell(&table, "%s",
			    proof_class_names[device->class_]);
			table_cell(&table, "%s",
			    device->revoked         ? "revoked"
				: device->connected ? "connected"
						    : "away");
			table_cell(&table, "%llu",
			    (unsigned long long)device->leases);
			table_cell(&table, "%s", time);
		}
		if (page.next == 0)
			break;
		status = cli_next_page(&request.after, page.next);
		arena_clear(&arena);
	}
	if (status == CLI_DONE && !cli->json)
		table_print(&table);
	else
		buf_release(&table.cells);
	arena_release(&arena);
	return status;
}

/* "device-7" or "7". */
static bool
parse_id(uint64_t *id, const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(text, prefix, len) == 0)
		text += len;
	return cli_number(id, text, "id", 1, (1ULL << 53) - 1);
}

int
device_revoke(struct cli *cli, int argc, char **argv)
{
	struct device_number request, reply;
	struct arena arena = { 0 };
	int status = cli_arguments(argc, argv, 1, 1, "device revoke DEVICE");

	if (status == CLI_DONE &&
	    !parse_id(&request.device, argv[1], "device-"))
		status = CLI_USAGE;
	if (status == CLI_DONE)
		status =
		    cli_call(cli, OP_DEVICE_REVOKE, &request, &reply, &arena);
	if (status == CLI_DONE && cli->json)
		cli_print_json(&device_number_record, &reply);
	else if (status == CLI_DONE)
		printf("device-%llu is revoked; its leases have ended.\n",
		    (unsigned long long)reply.device);
	arena_release(&arena);
	return status;
}
