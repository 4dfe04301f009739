/* leasehold: only wires. Global options, help, dispatch. */
#include "agent/cli/cli.h"
#include "agent/cli/secret.h"
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
    "/etc/leasehold/cli.ini,\nor the one that LEASEHOLD_CONFIG names. What "
    "follows -- is no option.\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 refused, 4 cannot be "
    "reached.\n";

static void
help_all(FILE *out)
{
	fputs("leasehold: hold seats of licensed software, and run the site "
	      "that hands them out.\n\n",
	    out);
	for (const struct command_spec *c = commands; c->words != NULL; c++)
		fprintf(out, "  leasehold %-18s  %s\n", c->words, c->doc);
	fputs(global_help, out);
}

static void
help_one(const struct command_spec *command)
{
	printf("leasehold %s%s%s%s\n%s.\n", command->words,
	    command->options != NULL ? " [OPTION]..." : "",
	    command->arguments[0] != '\0' ? " " : "", command->arguments,
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

/* The n-th of the words of a command; its length, 0: it has fewer. */
static size_t
nth_word(const char **word, const char *words, int n)
{
	while (n-- > 0) {
		words += strcspn(words, " ");
		words += *words == ' ';
	}
	*word = words;
	return strcspn(words, " ");
}

/* The word that was meant as the n-th, of the commands that begin with the
 * same n words; "" when nothing is near. */
static void
closest_word(char out[24], char **argv, int n)
{
	char words[64][24];
	const char *known[64];
	size_t count = 0;

	out[0] = '\0';
	for (const struct command_spec *c = commands;
	     c->words != NULL && count < 63; c++) {
		const char *word;
		size_t len = 0;
		bool fits = true;

		for (int i = 0; fits && i < n; i++) {
			len = nth_word(&word, c->words, i);
			fits = strlen(argv[i]) == len &&
			    memcmp(argv[i], word, len) == 0;
		}
		len = nth_word(&word, c->words, n);
		if (!fits || len == 0 ||
		    !text_copy_n(words[count], sizeof(words[count]), word, len))
			continue;
		known[count] = words[count];
		count++;
	}
	known[count] = NULL;
	const char *closest = count > 0 ? text_closest(argv[n], known) : NULL;

	if (closest != NULL)
		text_copy(out, 24, closest);
}

/* What begins with the first word. */
static bool
show_group(const char *first)
{
	size_t len = strlen(first);
	bool any = false;

	for (const struct command_spec *c = commands; c->words != NULL; c++)
		if (strncmp(c->words, first, len) == 0 &&
		    (c->words[len] == ' ' || c->words[len] == '\0')) {
			fprintf(stderr, "  leasehold %-18s  %s\n", c->words,
			    c->doc);
			any = true;
		}
	return any;
}

/* The n-th word is not one that fits those before it. */
static int
unknown(char **argv, int n)
{
	struct buf before = { 0 };
	char closest[24];

	for (int i = 0; i < n; i++)
		buf_printf(&before, "%s ", argv[i]);
	closest_word(closest, argv, n);
	if (closest[0] != '\0')
		cli_say("'%s%s' is no command; did you mean '%s%s'?",
		    buf_text(&before), argv[n], buf_text(&before), closest);
	else
		cli_say("'%s%s' is no command%s", buf_text(&before), argv[n],
		    n == 0 ? "; see leasehold --help" : "; there are:");
	if (n > 0)
		(void)show_group(argv[0]);
	buf_release(&before);
	return CLI_USAGE;
}

/* Words that are not all of a command's. */
static int
not_found(int argc, char **argv)
{
	char first[24];

	closest_word(first, argv, 0);
	if (strcmp(first, argv[0]) != 0)
		return unknown(argv, 0);
	/* `leasehold license` alone: show what there is of it. */
	if (argc > 1 && argv[1][0] != '-')
		return unknown(argv, 1);
	show_group(argv[0]);
	return CLI_USAGE;
}

/* "leases relase": the command takes nothing, but others begin so. */
static bool
is_misspelt(const struct command_spec *command, int n, int argc, char **argv)
{
	char closest[24];

	if (argc <= n || argv[n][0] == '-' || command->arguments[0] != '\0')
		return false;
	closest_word(closest, argv, n);
	return closest[0] != '\0';
}

int
help_command(struct cli *cli, int argc, char **argv)
{
	const struct command_spec *command;
	int words;

	(void)cli;
	if (argc < 2) {
		help_all(stdout);
		return CLI_DONE;
	}
	command = find_command(&words, argc - 1, argv + 1);
	if (command == NULL)
		return not_found(argc - 1, argv + 1);
	if (words < argc - 1)
		return unknown(argv + 1, words);
	help_one(command);
	return CLI_DONE;
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
		if (found > 0 && options[i].out == cli->key)
			cli->key_given = true;
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
	if (argc < 2) {
		help_all(help ? stdout : stderr);
		return help ? CLI_DONE : CLI_USAGE;
	}
	command = find_command(&words, argc - 1, argv + 1);
	if (command == NULL)
		return not_found(argc - 1, argv + 1);
	if (is_misspelt(command, words, argc - 1, argv + 1))
		return unknown(argv + 1, words);
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
	if (status == CLI_DONE)
		login_use(&cli);
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
