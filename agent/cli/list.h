/*
 * One list of the site, page for page until its end: lines for people, or the
 * whole as JSON. It must not know what is listed, nor its words.
 */
#ifndef AGENT_CLI_LIST_H
#define AGENT_CLI_LIST_H

#include "agent/cli/cli.h"
#include "agent/cli/table.h"

struct cli_list {
	enum operation_id op;
	void *request;
	uint64_t *after; /* in it: where a page begins */
	void *page; /* its reply */
	const struct record_list *items; /* in it */
	const uint64_t *next; /* in it; 0: it was the last one */
	const struct record *record; /* of an item */
	/** Cells of one item, a record of that kind. */
	void (*row)(struct table *table, const void *item);
	/** Said instead of the head where there is nothing; NULL: the head
	 * stands alone. */
	const char *none;
};

/** `table` was begun by the caller, and is ended here. Returns the exit status;
 * what went wrong was said. */
int cli_list(struct cli *cli, const struct cli_list *list, struct table *table);

#endif
