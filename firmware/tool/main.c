/*
 * leasehold-box: what an appliance does as root for people who stand before it
 * or ask by the daemon. Each verb is a oneshot unit's; it reads a file that
 * somebody else wrote, and trusts none of it.
 */
#include "firmware/box/tool.h"

#include "shared/base/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: leasehold-box VERB [OPTION]...\n"
    "\n"
    "The appliance's own tool; its units call it.\n"
    "\n"
    "  network FILE        take the network's settings from network.ini\n"
    "  maintenance [FILE]  open the console to whom the box's owner lets in\n"
    "  shell               the console, until the time is over\n"
    "  --help              this text; leasehold-box VERB --help says more\n"
    "  --version           the version\n"
    "Exit status: 0 done, 1 failed, 2 usage, 3 refused.\n";

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} verbs[] = {
		{ "network", tool_network },
		{ "maintenance", tool_maintenance },
		{ "shell", tool_shell },
	};
	const char *verb = argc > 1 ? argv[1] : "";

	if (sodium_init() < 0)
		return TOOL_FAILED;
	if (strcmp(verb, "--help") == 0) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(verb, "--version") == 0) {
		puts("leasehold-box " LEASEHOLD_VERSION);
		return EXIT_SUCCESS;
	}
	log_open("leasehold-box", LOG_INFO, getenv("JOURNAL_STREAM") != NULL);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	fputs("try: leasehold-box --help\n", stderr);
	return TOOL_USAGE;
}
