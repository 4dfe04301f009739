/*
 * From what an agent says of itself to one sentence, what it means and the
 * next command. Pure: it asks nobody. Every cause that the agent can name has
 * an entry.
 */
#ifndef AGENT_CLI_VERDICT_H
#define AGENT_CLI_VERDICT_H

#include "agent/cli/cli.h"

struct verdict {
	bool ok;
	char code[32]; /* stable: "ok", "not_enrolled", "connection_refused" */
	char summary[384]; /* what is so */
	char meaning[384]; /* what it means, or "" */
	char next[384]; /* what to type, or "" */
	uint32_t status; /* exit status */
};
struct warning {
	char code[32]; /* "clock", "certificate", "fault" */
	char summary[256];
	char next[256];
};
#define WARNINGS_MAX 4

extern const struct record verdict_record, warning_record;

void verdict_of(struct verdict *verdict, const struct local_status *status);
/** What is not wrong yet; returns how many. `now` is the wall clock, ms. */
uint32_t verdict_warnings(struct warning warnings[WARNINGS_MAX],
    const struct local_status *status, int64_t now);

#endif
