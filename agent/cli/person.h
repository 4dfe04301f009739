/*
 * What the commands about one person's data share: whom, and which ids are his.
 * It must not know what is then done about him.
 */
#ifndef AGENT_CLI_PERSON_H
#define AGENT_CLI_PERSON_H

#include "agent/cli/cli.h"

/** NAME, --hosts, --mentions. CLI_DONE or CLI_USAGE, told. */
int person_read_who(struct person_query *who, int argc, char **argv,
    const char *usage);
/** Every subject that is his, page by page; items live in the arena. Fails, and
 * says so, when there are more than one answer holds. */
int person_find_all(struct cli *cli, struct record_list *found,
    struct person_query *who, struct arena *arena);

#endif
