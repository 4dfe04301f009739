/* Rows of the journal as events: from a place on, a page at a time. See
 * ledger.h. */
#include "appliance/ledger/prune.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/record/json.h"
#include "shared/rpc/messages_events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Text of one page, about; and of one row, beyond which its data is left out
 * (a license's documents: GET says them). */
#define PAGE_BYTES ((size_t)128 << 10)
#define DATA_BYTES ((size_t)16 << 10)

static int
read_header(struct journal_header *header, struct journal_batch *batch,
    const struct ledger_view *view, uint64_t number, struct arena *arena)
{
	struct record_span blob;
	uint8_t head[32];
	int err = state_batch(&blob, &view->state, number);

	if (err == 0)
		err = view_batch(batch, &blob, arena);
	if (err == 0)
		err = journal_header_verify(header, head, batch->header.data,
		    batch->header.len,
		    site_keys_of(&view->ledger->site_keys, batch->header.data,
			batch->header.len));
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
ledger_events_begin(struct event_place *place, struct ledger_view *view,
    bool resume, struct arena *arena, struct problem *problem)
{
	const struct counters *counters = &view->state.counters;
	uint64_t low = 0, high = counters->batches;
	struct ledger_beginning beginning;

	if (!resume) {
		*place = (struct event_place){ counters->next_row - 1,
			counters->batches };
		return 0;
	}
	if (place->row >= counters->next_row)
		return query_refuse(problem, ERR_BAD_REQUEST,
		    "the journal has no row %" PRIu64 " yet; its newest is "
		    "%" PRIu64,
		    place->row, counters->next_row - 1);
	int gone = ledger_beginning(&beginning, view);

	if (gone != 0)
		return gone;
	if (place->row + 1 < beginning.row)
		return query_refuse(problem, ERR_GONE,
		    "rows before %" PRIu64 " were given up; follow from row "
		    "%" PRIu64 " on",
		    beginning.row, beginning.row - 1);
	low = beginning.batch;
	/* The batch that holds the next row, or will. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct journal_header header;
		struct journal_batch batch;
		struct arena scratch = { 0 };
		int err = read_header(&header, &batch, view, middle, &scratch);

		arena_release(&scratch);
		if (err != 0)
			return err;
		if (header.first_row + header.rows > place->row + 1)
			high = middle;
		else
			low = middle + 1;
	}
	(void)arena;
	place->batch = low;
	return 0;
}

static void
write_row(struct buf *out, const struct row *row, int64_t time)
{
	char when[CLOCK_TEXT_SIZE];
	size_t start;

	clock_format(when, time);
	buf_printf(out, "{\"row\":%" PRIu64 ",\"time\":\"%s\",\"kind\":\"%s\"",
	    row->number, when, row_kind_name(row->kind));
	start = out->len;
	buf_add_str(out, ",\"data\":");
	record_write_json(out, row_record(row->kind), &row->u);
	if (!out->failed && out->len - start > DATA_BYTES) {
		out->len = start;
		buf_add_str(out, ",\"large\":true");
	}
	buf_add_byte(out, '}');
}

/* One row more; ticks are the site's own pulse and no event. */
static int
add_row(struct event_page *page, struct buf *text, uint64_t number,
    const struct record_span *bytes, int64_t time, struct arena *arena)
{
	struct event_item *items = page->items.items;
	struct event_item *item = &items[page->items.count];
	struct arena scratch = { 0 };
	struct row row;
	int err = row_read(&row, number, bytes->data, bytes->len, &scratch);

	buf_clear(text);
	if (err == 0 && row.kind != ROW_TICK) {
		write_row(text, &row, time);
		*item = (struct event_item){ .row = number };
		snprintf(item->kind, sizeof(item->kind), "%s",
		    row_kind_name(row.kind));
		item->data.data = arena_copy(arena, text->data, text->len);
		item->data.len = (uint32_t)text->len;
		page->items.count++;
		if (text->failed || item->data.data == NULL)
			err = ERR_NOMEM;
	}
	arena_release(&scratch);
	return err;
}

static int
add_batch(struct event_page *page, struct event_place *place, size_t *bytes,
    struct buf *text, const struct ledger_view *view, struct arena *arena)
{
	struct arena scratch = { 0 };
	struct journal_header header;
	struct journal_batch batch = { 0 };
	int err = read_header(&header, &batch, view, place->batch, &scratch);
	const struct journal_row_bytes *rows = batch.rows.items;

	while (err == 0 && place->row + 1 < header.first_row + header.rows &&
	    page->items.count < EVENT_PAGE_MAX && *bytes < PAGE_BYTES) {
		uint64_t index = place->row + 1 - header.first_row;

		if (index >= batch.rows.count) {
			err = ERR_CORRUPT;
			break;
		}
		err = add_row(page, text, place->row + 1, &rows[index].bytes,
		    header.time, arena);
		*bytes += text->len;
		place->row += err == 0;
	}
	if (err == 0 && place->row + 1 == header.first_row + header.rows)
		place->batch++;
	arena_release(&scratch);
	return err;
}

int
ledger_events(struct event_page *page, struct event_place *place,
    struct ledger_view *view, struct arena *arena)
{
	struct buf text = { 0 };
	size_t bytes = 0;
	int err = 0;

	*page = (struct event_page){ .items.items = arena_alloc(arena,
					 EVENT_PAGE_MAX *
					     sizeof(struct event_item)) };
	if (page->items.items == NULL)
		return ERR_NOMEM;
	while (err == 0 && place->batch < view->state.counters.batches &&
	    page->items.count < EVENT_PAGE_MAX && bytes < PAGE_BYTES)
		err = add_batch(page, place, &bytes, &text, view, arena);
	buf_release(&text);
	return err;
}
