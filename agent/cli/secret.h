/*
 * What must not stand on a command line: passwords and codes, read from the
 * terminal without being shown or from a descriptor; and the session of who
 * logged in, in a file of his own. It must not know what they are for.
 */
#ifndef AGENT_CLI_SECRET_H
#define AGENT_CLI_SECRET_H

#include "agent/cli/cli.h"

#define SECRET_MAX 256

/** Where secrets come from: a descriptor, a line each, or the terminal. */
struct secrets {
	int fd; /* -1: the terminal */
};
/** Takes --password-fd out of argv. Returns CLI_DONE or CLI_USAGE (said). */
int secrets_open(struct secrets *secrets, int *argc, char **argv);
/** One line. Wipe it after use. `empty`: it may be. Returns CLI_DONE or
 * CLI_USAGE (said). */
int secrets_read(char out[SECRET_MAX + 1], const struct secrets *secrets,
    const char *prompt, bool empty);
/** A new one: at the terminal it is typed twice. */
int secrets_read_new(char out[SECRET_MAX + 1], const struct secrets *secrets,
    const char *prompt);

/** Act by the session that `leasehold login` left, where no key is given. */
void login_use(struct cli *cli);
/** Keep it, 0600. Returns CLI_DONE or CLI_FAILED (said). */
int login_keep(const struct cli *cli, const struct record_span *token);
/** Takes one that is not there. */
void login_forget(void);

#endif
