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
		    cli_answer(cli, OP_SITE_REQUEST, &request, &reply, &arena);
	if (status == CLI_DONE && !cli->json)
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

/* The witness of a rollback, and how good it is. */
static void
print_counter(const struct site_view *site)
{
	char ticked[32];

	cli_time(ticked, site->ticked_at);
	cli_show("counter   tick %llu%s%s, %s\n",
	    (unsigned long long)site->ticks, ticked[0] != '\0' ? " of " : "",
	    ticked,
	    site->witness == WITNESS_TPM
		? "witnessed by the box's TPM"
		: "witnessed by a file (weaker than a TPM: a copy\n          "
		  "that brings the file back too is seen by agents only)");
}

static void
print_rollback(const struct site_view *site)
{
	if (site->rolled_back)
		cli_show("\nROLLED BACK: %s.\n"
			 "Seats that run are renewed; nothing is granted or "
			 "changed. If the newest copy of the\nsite's folder is "
			 "still there, stop the site, put that one in place "
			 "and start it again.\nIf not, let it go on with this "
			 "one:\n"
			 "  leasehold site acknowledge-rollback --reason "
			 "TEXT\n",
		    site->rollback);
}

/* The worst first, each with the command that answers it. */
static void
print_alerts(const struct site_view *site)
{
	const struct alert_view *worst = site->worst.items;

	if (site->alerts == 0) {
		cli_show("alerts    none is open\n");
		return;
	}
	cli_show("alerts    %llu %s open%s\n", (unsigned long long)site->alerts,
	    site->alerts == 1 ? "is" : "are",
	    site->alerts > site->worst.count
		? "; all of them: leasehold alerts list"
		: "");
	for (uint32_t i = 0; i < site->worst.count; i++) {
		cli_show("          %s: %s\n",
		    alert_severity_names[worst[i].severity], worst[i].text);
		if (worst[i].answer[0] != '\0')
			cli_show("            %s\n", worst[i].answer);
	}
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
		cli_show("site      %s  %s\n", site.site, site.name);
		cli_show("software  %s\n", site.software);
		cli_show("key       %s\n", key);
		cli_show("journal   batch %llu, %llu rows, generation %u, "
			 "tenant %s\n",
		    (unsigned long long)site.batch,
		    (unsigned long long)site.rows, site.generation,
		    site.tenant);
		print_counter(&site);
		cli_show("time      %s%s\n", time,
		    site.clock_held
			? "  (held: the clock of its box jumped; see: "
			  "leasehold site clock)"
			: "");
		cli_show("licenses  %llu\n", (unsigned long long)site.licenses);
		cli_show("leases    %llu held, %llu waiting for a seat\n",
		    (unsigned long long)site.leases,
		    (unsigned long long)site.waiting);
		cli_show("devices   %llu enrolled, %llu connected\n",
		    (unsigned long long)site.devices,
		    (unsigned long long)site.sessions);
		if (site.devices_pending > 0)
			cli_show("          %llu wait for approval: leasehold "
				 "device list --state pending\n",
			    (unsigned long long)site.devices_pending);
		print_alerts(&site);
		print_rollback(&site);
	}
	arena_release(&arena);
	return status;
}
