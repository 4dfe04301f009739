#include "agent/cli/audit_query.h"
#include "agent/cli/journal.h"

#include "shared/base/clock.h"
#include "shared/base/text.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

static const struct {
	const char *option;
	size_t offset, size;
} texts[] = {
#define TEXT(option, field)                                  \
	{                                                    \
		option, offsetof(struct audit_query, field), \
		    sizeof(((struct audit_query *)0)->field) \
	}
	TEXT("--user", user),
	TEXT("--hostname", hostname),
	TEXT("--address", ip_address),
	TEXT("--product", product),
	TEXT("--key-id", api_key_id),
	TEXT("--device", device_id),
	TEXT("--actor", actor),
	TEXT("--event", event),
	TEXT("--result", result),
	TEXT("--fingerprint", fingerprint),
#undef TEXT
};

/* "2026-11-22T08:00:00Z", "2026-11-22", or "7d": so long ago. */
bool
audit_read_time(int64_t *time, const char *text, const char *what)
{
	size_t len = strlen(text);
	uint32_t ago;
	int32_t days;

	if (clock_parse(time, text, len) == 0)
		return true;
	if (clock_parse_date(&days, text, len) == 0) {
		*time = days * DAY_MS;
		return true;
	}
	if (strchr(text, '-') == NULL && cli_duration(&ago, text, what)) {
		*time = clock_wall_ms() - (int64_t)ago * 1000;
		return true;
	}
	if (strchr(text, '-') != NULL)
		cli_say("%s: a time is wanted: 2026-11-22T08:00:00Z, "
			"2026-11-22, or 7d for a week ago",
		    what);
	return false;
}

int
audit_query_read(struct audit_query *query, int *argc, char **argv)
{
	const char *value;
	int found = 0;

	*query = (struct audit_query){ .limit = AUDIT_PAGE_MAX };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		found = cli_option(&value, argc, argv, texts[i].option);
		if (found < 0)
			return CLI_USAGE;
		if (found > 0 &&
		    !text_copy((char *)query + texts[i].offset, texts[i].size,
			value)) {
			cli_say("%s: longer than %zu bytes", texts[i].option,
			    texts[i].size - 1);
			return CLI_USAGE;
		}
	}
	found = cli_option(&value, argc, argv, "--from");
	if (found < 0 ||
	    (found > 0 && !audit_read_time(&query->from, value, "--from")))
		return CLI_USAGE;
	found = cli_option(&value, argc, argv, "--to");
	if (found < 0 ||
	    (found > 0 && !audit_read_time(&query->to, value, "--to")))
		return CLI_USAGE;
	return CLI_DONE;
}

/* A cursor goes on in the order that was asked for. */
static int
go_on(struct audit_query *query, uint64_t next)
{
	bool onward = query->oldest_first
	    ? next >= query->after
	    : query->after == 0 || next <= query->after;

	if (!onward) {
		cli_say("the site's answer goes back to a page before; that is "
			"a fault of the site");
		return CLI_FAILED;
	}
	query->after = next;
	return CLI_DONE;
}

static void
say_behind(uint64_t behind)
{
	cli_say("%llu rows of the journal are not searched yet: the site is "
		"making its projection; see: leasehold audit state",
	    (unsigned long long)behind);
}

int
audit_query_each(bool *cut, struct cli *cli, struct audit_query *query,
    uint64_t most, int (*each)(void *ctx, const struct audit_item *item),
    void *ctx)
{
	struct arena arena = { 0 };
	struct audit_page page;
	bool told = false;
	uint64_t n = 0;
	int status;

	*cut = false;
	do {
		arena_clear(&arena);
		status = cli_call(cli, OP_AUDIT_SEARCH, query, &page, &arena);
		if (status != CLI_DONE)
			break;
		const struct audit_item *items = page.items.items;

		if (page.behind > 0 && !told)
			say_behind(page.behind);
		told |= page.behind > 0;
		for (uint32_t i = 0;
		     i < page.items.count && status == CLI_DONE && !*cut; i++) {
			if (most != 0 && n == most)
				*cut = true;
			else
				status = each(ctx, &items[i]);
			n++;
		}
		if (page.next == 0 || status != CLI_DONE || *cut)
			break;
		status = go_on(query, page.next);
	} while (status == CLI_DONE);
	arena_release(&arena);
	return status;
}
