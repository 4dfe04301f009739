#include "appliance/ledger/metering_groups.h"

#include "appliance/ledger/ledger_usage.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

/* A group in a day or month. */
struct cell {
	bool used;
	int64_t start, end;
	uint64_t checkouts, seats, borrows;
	uint64_t seat_ms, borrow_ms, overage;
};

struct gathering {
	const struct metering_groups_question *question;
	struct ledger_view *view;
	struct ledger_groups *groups;
	struct usage_page *reply;
	struct usage_line *items;
	uint32_t n_groups, n_spans;
	struct cell *cells; /* of one license and feature: [group][span] */
	bool begun;
	struct metering_line line; /* whose cells they are */
	uint64_t seen;
	/* Whose line came last: a name is unsealed once for all his hours. */
	bool known;
	uint8_t subject[SUBJECT_BYTES];
	uint32_t in[POLICY_GROUPS_MAX], n_in;
};

static uint32_t
month_of(int64_t time)
{
	time_t seconds = (time_t)(time / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	return (uint32_t)(tm.tm_year * 12 + tm.tm_mon);
}

static uint32_t
span_of(const struct metering_question *lines, int64_t time)
{
	switch (lines->step) {
	case METERING_DAY:
		return (uint32_t)(time / DAY_MS - lines->from / DAY_MS);
	case METERING_MONTH:
		return month_of(time) - month_of(lines->from);
	case METERING_HOUR:
	case METERING_WHOLE:
		break;
	}
	return 0;
}

static uint64_t
bound(uint64_t value)
{
	return value > U53_MAX ? U53_MAX : value;
}

static void
fill(struct usage_line *line, const struct gathering *g, uint32_t group,
    const struct cell *cell)
{
	*line = (struct usage_line){ .from = cell->start,
		.to = cell->end,
		.checkouts = cell->checkouts,
		.seats = cell->seats,
		.borrows = cell->borrows,
		.seat_seconds = bound(cell->seat_ms / 1000),
		.borrow_seconds = bound(cell->borrow_ms / 1000),
		.overage = cell->overage };
	text_copy(line->license_id, sizeof(line->license_id), g->line.license);
	text_copy(line->feature, sizeof(line->feature), g->line.feature);
	text_copy(line->group, sizeof(line->group),
	    ledger_groups_name(g->groups, group));
}

#define PAGE_FULL 1

/* A license's feature is whole: its lines, and nothing left for the next. */
static int
flush(struct gathering *g)
{
	const struct metering_groups_question *question = g->question;
	struct usage_page *reply = g->reply;
	size_t n = (size_t)g->n_groups * g->n_spans;

	for (size_t i = 0; i < n; i++) {
		if (!g->cells[i].used || g->seen++ < question->after)
			continue;
		if (reply->items.count == question->limit) {
			reply->next = question->after + question->limit;
			return PAGE_FULL;
		}
		fill(&g->items[reply->items.count++], g,
		    (uint32_t)(i / g->n_spans), &g->cells[i]);
	}
	memset(g->cells, 0, n * sizeof(*g->cells));
	return 0;
}

static int
find_groups(struct gathering *g, const uint8_t subject[SUBJECT_BYTES])
{
	char user[128];

	if (g->known && memcmp(g->subject, subject, SUBJECT_BYTES) == 0)
		return 0;
	int err = ledger_subject_name(user, sizeof(user), g->view, subject);

	if (err != 0)
		return err;
	g->n_in = ledger_groups_of(g->in, g->groups, user);
	memcpy(g->subject, subject, SUBJECT_BYTES);
	g->known = true;
	return 0;
}

static int
add(void *ctx, const struct metering_rollup *rollup)
{
	struct gathering *g = ctx;
	const struct metering_seats *seats = &rollup->seats;
	uint32_t span = span_of(&g->question->lines, rollup->start);
	int err = 0;

	if (span >= g->n_spans)
		return ERR_CORRUPT;
	if (g->begun &&
	    (strcmp(g->line.license, rollup->line.license) != 0 ||
		strcmp(g->line.feature, rollup->line.feature) != 0))
		err = flush(g);
	g->begun = true;
	g->line = rollup->line;
	if (err == 0)
		err = find_groups(g, rollup->line.subject);
	for (uint32_t i = 0; i < g->n_in && err == 0; i++) {
		struct cell *cell =
		    &g->cells[(size_t)g->in[i] * g->n_spans + span];

		cell->used = true;
		cell->start = rollup->start;
		cell->end = rollup->end;
		cell->checkouts += seats->checkouts;
		cell->seats += seats->seats;
		cell->borrows += seats->borrows;
		cell->seat_ms += seats->seat_ms;
		cell->borrow_ms += seats->borrow_ms;
		cell->overage += seats->overage;
	}
	return err;
}

static int
gather(struct gathering *g, struct metering *metering)
{
	const struct metering_question *lines = &g->question->lines;

	g->n_groups = ledger_groups_count(g->groups);
	g->n_spans = span_of(lines, lines->to - 1) + 1;
	if (g->n_groups == 0)
		return 0;
	if (g->n_spans > METERING_GROUP_CELLS_MAX / g->n_groups)
		return ERR_TOO_LARGE;
	g->cells = calloc((size_t)g->n_groups * g->n_spans, sizeof(*g->cells));
	if (g->cells == NULL)
		return ERR_NOMEM;
	int err = metering_read(metering, lines, add, g);

	if (err == 0 && g->begun)
		err = flush(g);
	free(g->cells);
	return err == PAGE_FULL ? 0 : err;
}

int
metering_list_groups(struct usage_page *reply, struct usage_line *items,
    const struct metering_groups_question *question, struct metering *metering,
    struct ledger_view *view, struct arena *arena)
{
	struct gathering *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return ERR_NOMEM;
	g->question = question;
	g->view = view;
	g->reply = reply;
	g->items = items;
	reply->items = (struct record_list){ items, 0 };
	int err = ledger_groups_open(&g->groups, view, arena);

	if (err == 0)
		err = gather(g, metering);
	ledger_groups_close(g->groups);
	free(g);
	return err;
}
