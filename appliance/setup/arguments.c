/* The command line of leaseholdd; see verbs.h. */
#include "appliance/setup/settings.h"
#include "appliance/setup/verbs.h"
#include "appliance/setup/words.h"
#include "shared/base/text.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
arguments_complain(const char *text)
{
	fprintf(stderr, "leaseholdd: %s\n", text);
	return STATUS_CONFIG;
}

int
arguments_unknown(const char *word)
{
	const char *closest = words_closest(word);

	fprintf(stderr, "leaseholdd: '%s' is nothing that it does%s%s%s\n",
	    word, closest != NULL ? "; did you mean '" : "; see: ",
	    closest != NULL ? closest : "leaseholdd --help",
	    closest != NULL ? "'?" : "");
	return STATUS_CONFIG;
}

static int
take_state(struct arguments *arguments, const char *path)
{
	char cwd[SETUP_PATH_MAX - 64] = "";
	int len;

	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return arguments_complain(
		    "--state: the current folder has no name");
	len = snprintf(arguments->state, sizeof(arguments->state), "%s%s%s",
	    cwd, path[0] == '/' ? "" : "/", path);
	if (path[0] == '\0' || len >= (int)sizeof(arguments->state))
		return arguments_complain(
		    "--state: the path is empty or too long");
	return 0;
}

static int
take_host(struct arguments *arguments, const char *host)
{
	if (arguments->n_hosts == HOSTS_MAX)
		return arguments_complain("--host: too many of them");
	arguments->hosts[arguments->n_hosts++] = host;
	return 0;
}

static int
take_part(struct arguments *arguments, const char *word)
{
	if (part_read(&arguments->part, word))
		return 0;
	return arguments_complain("--part: ledger, front or courier");
}

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "state", required_argument, NULL, 's' },
	{ "listen", required_argument, NULL, 'l' },
	{ "name", required_argument, NULL, 'n' },
	{ "host", required_argument, NULL, 'H' },
	{ "user", required_argument, NULL, 'u' },
	{ "passphrase-file", required_argument, NULL, 'p' },
	{ "tenant", required_argument, NULL, 't' },
	{ "site-key", required_argument, NULL, 'K' },
	{ "part", required_argument, NULL, 'P' },
	{ "recovery-file", required_argument, NULL, 'r' },
	{ "heir", no_argument, NULL, 'e' },
	{ "json", no_argument, NULL, 'j' },
	{ "check-config", no_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

/* The word, and what is left behind it. */
static int
read_word(struct arguments *arguments, int argc, char **argv)
{
	arguments->word = optind < argc ? argv[optind++] : "";
	if (strcmp(arguments->word, "help") == 0) {
		arguments->help = true;
		arguments->word = optind < argc ? argv[optind++] : "";
	}
	if (arguments->help)
		return 0;
	if (strcmp(arguments->word, "restore") == 0 && optind < argc)
		arguments->file = argv[optind++];
	for (int i = 0; options[i].name != NULL; i++)
		if ((arguments->seen & 1U << i) != 0 &&
		    !words_take(arguments->word, options[i].name)) {
			fprintf(stderr,
			    "leaseholdd: --%s is no option of %s; see: "
			    "leaseholdd %s%s--help\n",
			    options[i].name,
			    arguments->word[0] != '\0' ? arguments->word
						       : "the daemon",
			    arguments->word,
			    arguments->word[0] != '\0' ? " " : "");
			return STATUS_CONFIG;
		}
	/* --host A B C: the words that are left are hosts as well. */
	while (arguments->n_hosts > 0 && optind < argc)
		if (take_host(arguments, argv[optind++]) != 0)
			return STATUS_CONFIG;
	return 0;
}

int
arguments_read(struct arguments *arguments, int argc, char **argv)
{
	int c, row = 0, rc = 0;

	while (
	    rc == 0 && (c = getopt_long(argc, argv, "", options, &row)) != -1) {
		if (c != '?')
			arguments->seen |= 1U << row;
		if (c == 'c')
			arguments->config = optarg;
		else if (c == 's')
			rc = take_state(arguments, optarg);
		else if (c == 'l')
			arguments->listen = optarg;
		else if (c == 'n')
			arguments->name = optarg;
		else if (c == 'H')
			rc = take_host(arguments, optarg);
		else if (c == 'u')
			arguments->user = optarg;
		else if (c == 'p')
			arguments->passphrase_file = optarg;
		else if (c == 't')
			arguments->tenant = optarg;
		else if (c == 'K')
			arguments->site_key = optarg;
		else if (c == 'P')
			rc = take_part(arguments, optarg);
		else if (c == 'r')
			arguments->recovery_file = optarg;
		else if (c == 'e')
			arguments->heir = true;
		else if (c == 'j')
			arguments->json = true;
		else if (c == 'k')
			arguments->check = true;
		else if (c == 'h')
			arguments->help = true;
		else if (c == 'v') {
			puts("leaseholdd " LEASEHOLD_VERSION);
			return 0;
		} else
			return arguments_complain("see: leaseholdd --help");
	}
	if (rc == 0)
		rc = read_word(arguments, argc, argv);
	return rc == 0 ? -1 : rc;
}

const char *
arguments_config(const struct arguments *arguments)
{
	return arguments->config != NULL ? arguments->config
					 : SETTINGS_PATH_DEFAULT;
}

int
arguments_settings(struct settings *settings, struct settings_users *users,
    const struct arguments *arguments)
{
	char error[512] = "";
	const char *path = arguments_config(arguments);

	settings_default(settings);
	int rc = settings_read(settings, path, arguments->config == NULL, error,
	    sizeof(error));

	if (rc == 0 && arguments->state[0] != '\0')
		text_copy(settings->state, sizeof(settings->state),
		    arguments->state);
	if (rc == 0 && arguments->listen != NULL)
		rc = settings_set_listen(settings, arguments->listen, error,
		    sizeof(error));
	if (rc == 0)
		rc = settings_check(users, settings, error, sizeof(error));
	return rc == 0 ? 0 : arguments_complain(error);
}
