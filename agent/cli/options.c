/* Command lines, environment and the config file. */
#include "agent/cli/cli.h"
#include "shared/base/config.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct config_key keys[] = {
	{ "server", "url", CONFIG_TEXT, offsetof(struct cli, server),
	    sizeof(((struct cli *)0)->server), 0, 0,
	    "https://HOST:PORT of the site" },
	{ "server", "key", CONFIG_TEXT, offsetof(struct cli, key),
	    sizeof(((struct cli *)0)->key), 0, 0, "an admin's API key" },
	{ "server", "ca_file", CONFIG_TEXT, offsetof(struct cli, ca_file),
	    sizeof(((struct cli *)0)->ca_file), 0, 0, "the site's CA, PEM" },
	{ "agent", "socket", CONFIG_TEXT, offsetof(struct cli, socket),
	    sizeof(((struct cli *)0)->socket), 0, 0, "the agent's socket" },
	{ 0 },
};

static int
read_config(struct cli *cli, const char *path, bool required)
{
	char error[512];
	char key[sizeof(cli->key)];
	struct stat facts;

	/* Is it this file that has one? */
	memcpy(key, cli->key, sizeof(key));
	cli->key[0] = '\0';
	int err = config_read(cli, keys, path, error, sizeof(error));

	if (cli->key[0] == '\0')
		memcpy(cli->key, key, sizeof(key));
	else if (stat(path, &facts) == 0 && (facts.st_mode & 077) != 0)
		text_copy(cli->loose_file, sizeof(cli->loose_file), path);
	sodium_memzero(key, sizeof(key));
	if (err == 0 || (err == ERR_NOT_FOUND && !required))
		return CLI_DONE;
	cli_say("%s", error);
	return CLI_USAGE;
}

static int
from_environment(char *out, size_t size, const char *name)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0')
		return CLI_DONE;
	if (text_copy(out, size, value))
		return CLI_DONE;
	cli_say("%s is longer than %zu bytes", name, size - 1);
	return CLI_USAGE;
}

int
cli_configure(struct cli *cli)
{
	const char *named = getenv("LEASEHOLD_CONFIG");
	const char *home = getenv("HOME"), *key = getenv("LICENSE_API_KEY");
	char path[512];
	int status = CLI_DONE;

	text_copy(cli->socket, sizeof(cli->socket), LOCAL_SOCKET_DEFAULT);
	if (named != NULL && named[0] != '\0') {
		status = read_config(cli, named, true);
	} else {
		status = read_config(cli, "/etc/leasehold/cli.ini", false);
		if (status == CLI_DONE && home != NULL &&
		    (size_t)snprintf(path, sizeof(path),
			"%s/.config/leasehold/cli.ini", home) < sizeof(path))
			status = read_config(cli, path, false);
	}
	if (status == CLI_DONE)
		status = from_environment(cli->server, sizeof(cli->server),
		    "LICENSE_SERVER_URL");
	if (status == CLI_DONE)
		status = from_environment(cli->key, sizeof(cli->key),
		    "LICENSE_API_KEY");
	cli->key_given = key != NULL && key[0] != '\0';
	if (status == CLI_DONE)
		status = from_environment(cli->ca_file, sizeof(cli->ca_file),
		    "LICENSE_CA_FILE");
	if (status == CLI_DONE)
		status = from_environment(cli->socket, sizeof(cli->socket),
		    "LEASEHOLD_SOCKET");
	return status;
}

static void
take(int *argc, char **argv, int at, int n)
{
	for (int i = at; i + n <= *argc; i++)
		argv[i] = argv[i + n];
	*argc -= n;
}

int
cli_option(const char **value, int *argc, char **argv, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			break;
		if (strncmp(argv[i], name, len) != 0)
			continue;
		if (argv[i][len] == '=') {
			*value = argv[i] + len + 1;
			take(argc, argv, i, 1);
			return 1;
		}
		if (argv[i][len] != '\0')
			continue;
		if (i + 1 >= *argc) {
			cli_say("%s needs a value", name);
			return -1;
		}
		*value = argv[i + 1];
		take(argc, argv, i, 2);
		return 1;
	}
	return 0;
}

bool
cli_flag(int *argc, char **argv, const char *name)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0)
			return false;
		if (strcmp(argv[i], name) == 0) {
			take(argc, argv, i, 1);
			return true;
		}
	}
	return false;
}

int
cli_arguments(int argc, char **argv, int least, int most, const char *usage)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			take(&argc, argv, i, 1);
			break;
		}
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			cli_say("%s is given twice or no option here; usage: "
				"leasehold %s",
			    argv[i], usage);
			return CLI_USAGE;
		}
	}
	if (argc - 1 < least || argc - 1 > most) {
		cli_say("usage: leasehold %s", usage);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

bool
cli_number(uint64_t *value, const char *text, const char *what, uint64_t least,
    uint64_t most)
{
	if (text_to_u64(value, text, strlen(text)) && *value >= least &&
	    *value <= most)
		return true;
	cli_say("%s: '%s' is not a whole number from %llu to %llu", what, text,
	    (unsigned long long)least, (unsigned long long)most);
	return false;
}

bool
cli_id(uint64_t *id, const char *text, const char *what, const char *prefix)
{
	const char *number = text;
	size_t len = strlen(prefix);

	if (strncmp(text, prefix, len) == 0)
		number += len;
	if (text_to_u64(id, number, strlen(number)) && *id >= 1 &&
	    *id < 1ULL << 53)
		return true;
	cli_say("%s: '%s' is no number like %s1042", what, text, prefix);
	return false;
}

int
cli_only_id(uint64_t *id, int argc, char **argv, const char *usage,
    const char *prefix)
{
	int status = cli_arguments(argc, argv, 1, 1, usage);

	if (status != CLI_DONE)
		return status;
	return cli_id(id, argv[1], strrchr(usage, ' ') + 1, prefix) ? CLI_DONE
								    : CLI_USAGE;
}

bool
cli_duration(uint32_t *seconds, const char *text, const char *what)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text);
	uint64_t factor = 1;
	uint64_t value;

	for (size_t i = 0; len > 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (text[len - 1] == units[i].unit) {
			factor = units[i].seconds;
			len--;
			break;
		}
	if (text_to_u64(&value, text, len) && value <= UINT32_MAX / factor) {
		*seconds = (uint32_t)(value * factor);
		return true;
	}
	cli_say("%s: '%s' is not a time like 90s, 15m, 1h or 7d", what, text);
	return false;
}
