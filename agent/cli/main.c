/* leasehold: only wires. Global options, help, dispatch. */
#include "agent/cli/cli.h"
#include "agent/cli/visible.h"
#include "shared/base/text.h"

#include <curl/curl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char global_help[] =
    "\nEverywhere:\n"
    "  --json        answer in JSON\n"
    "  --server URL  the site (LICENSE_SERVER_URL)\n"
    "  --key KEY     an admin's API key (better: LICENSE_API_KEY, since "
    "others\n                see command lines)\n"
    "  --ca FILE     the site's CA (LICENSE_CA_FILE)\n"
    "  --socket PATH the agent's socket (LEASEHOLD_SOCKET)\n"
    "  --help        help on a command\n"
    "A file may say the same: ~/.config/leasehold/cli.ini, "
    "/etc/leasehold/cli.ini.\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 refused, 4 cannot be "
    "reached.\n";

static void
help_all(FILE *out)
{
	fputs("leasehold: hold seats of licensed software, and run the site "
	      "that hands them out.\n\n",
	    out);
	for (const struct command_spec *c = commands; c->words != NULL; c++)
		fprintf(out, "  leasehold %-18s %s\n", c->words, c->doc);
	fputs(global_help, out);
}

static void
help_one(const struct command_spec *command)
{
	printf("leasehold %s %s\n%s.\n", command->words, command->arguments,
	    command->doc);
	if (command->options != NULL)
		printf("\n%s", command->options);
	printf("\nExample:\n  %s\n", command->example);
	fputs(global_help, stdout);
}

/* How many words of argv name the command; 0: not this one. */
static int
words_match(const char *words, int argc, char **argv)
{
	int n = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		if (n >= argc || strlen(argv[n]) != len ||
		    memcmp(argv[n], words, len) != 0)
			return 0;
		n++;
		words += len + (words[len] == ' ');
	}
	return n;
}

static const struct command_spec *
find_command(int *n_words, int argc, char **argv)
{
	const struct command_spec *found = NULL;

	*n_words = 0;
	for (const struct command_spec *c = commands; c->words != NULL; c++) {
		int n = words_match(c->words, argc, argv);

		if (n > *n_words) {
			*n_words = n;
			found = c;
		}
	}
	return found;
}

static int
unknown(int argc, char **argv)
{
	char words[64][24];
	const char *firsts[64];
	size_t n = 0;
	const char *closest;

	/* `leasehold license` alone: show what there is of it. */
	for (const struct command_spec *c = commands; c->words != NULL; c++)
		if (strncmp(c->words, argv[0], strlen(argv[0])) == 0 &&
		    c->words[strlen(argv[0])] == ' ') {
			fprintf(stderr, "  leasehold %-18s %s\n", c->words,
			    c->doc);
			n++;
		}
	if (n > 0)
		return CLI_USAGE;
	for (const struct command_spec *c = commands;
	     c->words != NULL && n < 63; c++) {
		text_copy_n(words[n], sizeof(words[n]), c->words,
		    strcspn(c->words, " "));
		firsts[n] = words[n];
		n++;
	}
	firsts[n] = NULL;
	closest = text_closest(argv[0], firsts);
	(void)argc;
	cli_say("'%s' is no command%s%s%s; see leasehold --help", argv[0],
	    closest != NULL ? "; did you mean '" : "",
	    closest != NULL ? closest : "", closest != NULL ? "'" : "");
	return CLI_USAGE;
}

static int
global_options(struct cli *cli, int *argc, char **argv)
{
	const struct {
		const char *name;
		char *out;
		size_t size;
	} options[] = {
		{ "--server", cli->server, sizeof(cli->server) },
		{ "--key", cli->key, sizeof(cli->key) },
		{ "--ca", cli->ca_file, sizeof(cli->ca_file) },
		{ "--socket", cli->socket, sizeof(cli->socket) },
	};
	const char *value;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int found = cli_option(&value, argc, argv, options[i].name);

		if (found < 0)
			return CLI_USAGE;
		if (found > 0 &&
		    !text_copy(options[i].out, options[i].size, value)) {
			cli_say("%s: longer than %zu bytes", options[i].name,
			    options[i].size - 1);
			return CLI_USAGE;
		}
	}
	if (cli_flag(argc, argv, "--json"))
		cli->json = true;
	return CLI_DONE;
}

static int
dispatch(struct cli *cli, int argc, char **argv)
{
	const struct command_spec *command;
	bool help =
	    cli_flag(&argc, argv, "--help") || cli_flag(&argc, argv, "-h");
	int words;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("leasehold " LEASEHOLD_VERSION);
		return CLI_DONE;
	}
	if (argc < 2 || strcmp(argv[1], "help") == 0) {
		help_all(help || argc >= 2 ? stdout : stderr);
		return help || argc >= 2 ? CLI_DONE : CLI_USAGE;
	}
	command = find_command(&words, argc - 1, argv + 1);
	if (command == NULL)
		return unknown(argc - 1, argv + 1);
	if (help) {
		help_one(command);
		return CLI_DONE;
	}
	return command->run(cli, argc - words, argv + words);
}

int
main(int argc, char **argv)
{
	struct cli cli = { .json = false };
	int status;

	signal(SIGPIPE, SIG_IGN);
	visible_init();
	if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		cli_say("libsodium or libcurl does not start");
		return CLI_FAILED;
	}
	status = cli_configure(&cli);
	if (status == CLI_DONE)
		status = global_options(&cli, &argc, argv);
	/* With --json standard error holds one object or nothing. */
	if (status == CLI_DONE && cli.loose_file[0] != '\0' && !cli.json)
		cli_say("others can read the admin key in %s: chmod 600 %s",
		    cli.loose_file, cli.loose_file);
	if (status == CLI_DONE)
		status = dispatch(&cli, argc, argv);
	if (fflush(stdout) != 0 && status == CLI_DONE)
		status = CLI_FAILED;
	sodium_memzero(cli.key, sizeof(cli.key));
	curl_global_cleanup();
	return status;
}
