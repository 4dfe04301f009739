/*
 * What the commands about a hub's account share. It must not know what a hub
 * does with what it is asked.
 */
#ifndef AGENT_CLI_HUB_H
#define AGENT_CLI_HUB_H

#include "agent/cli/cli.h"

/** The value of an option of text; says what is wrong. `needed`: it must be
 * there, and `usage` says how. */
int hub_text(char *out, size_t size, int *argc, char **argv, const char *name);
int hub_one_of(uint32_t *out, int *argc, char **argv, const char *name,
    const char *const *names);
/** The one argument, copied. */
int hub_only(char *out, size_t size, int argc, char **argv, const char *usage);
/** "2026-12-31". */
bool hub_date(int32_t *out, const char *text, const char *what);

#endif
