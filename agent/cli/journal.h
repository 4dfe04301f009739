/*
 * The journal as the CLI reads it: from its genesis, or from where it begins
 * since what is old was given up. It must not know what is done with it.
 */
#ifndef AGENT_CLI_JOURNAL_H
#define AGENT_CLI_JOURNAL_H

#include "agent/cli/cli.h"

/** Ask where it begins, and set the walk to that: `view->begins` is the first
 * batch to be read. What the view points to is in the arena. `key` NULL: no
 * walk. Says what is wrong. */
int journal_begin(struct journal_walk *walk, struct journal_view *view,
    struct cli *cli, const struct site_keys *keys, struct arena *arena);

/** Batches from where the journal begins to before `until`, with their proofs
 * and without entries, into a new file. */
int audit_archive(struct cli *cli, const char *path, uint64_t until,
    const uint8_t head[32]);

/** "2026-11-22", a time, or "7d": so long ago. */
bool audit_read_time(int64_t *time, const char *text, const char *what);

#endif
