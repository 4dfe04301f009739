/* Where a journal that was put back leaves what a vendor has taken of it. See
 * sync.h. */
#include "appliance/ledger/sync.h"

#include "shared/base/err.h"

#include <string.h>

/* ERR_NOT_FOUND_INTERNAL: it was given up. */
static int
read_header(struct journal_header *out, const struct state *state,
    uint64_t number)
{
	struct journal_batch batch;
	struct record_span blob;
	struct buf payload = { .data = NULL };
	struct arena arena = { .chunks = NULL };
	int err = state_batch(&blob, state, number);

	if (err == 0)
		err = view_batch(&batch, &blob, &arena);
	if (err == 0)
		err = token_peek(&payload, batch.header.data, batch.header.len);
	if (err == 0)
		err = record_read_json(out, &journal_header_record,
		    (char *)payload.data, payload.len, &arena, NULL);
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

int
sync_restart(uint64_t *batch, const struct state *state, uint32_t after)
{
	uint64_t low = 0, high = state->counters.batches;

	/* Generations only go up; what was given up is of the oldest. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct journal_header header;
		int err = read_header(&header, state, middle);

		if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
			return err;
		if (err == 0 && header.generation > after)
			high = middle;
		else
			low = middle + 1;
	}
	*batch = low;
	return low < state->counters.batches ? 0 : ERR_ROLLED_BACK;
}

int
sync_lost(uint64_t *from, uint64_t *overage, struct state *state,
    const struct report_mark *mark)
{
	struct journal_known known = { .batch = mark->batch };
	struct journal_header header = { .totals.overage = 0 };

	*from = *overage = 0;
	if (mark->sequence == 0)
		return 0;
	memcpy(known.head, mark->head, sizeof known.head);
	int err = history_holds(state, &known);

	if (err != ERR_ROLLED_BACK)
		return err;
	err = sync_restart(from, state, mark->generation);
	if (err != 0)
		return err;
	if (*from > 0)
		err = read_header(&header, state, *from - 1);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (mark->overage > header.totals.overage)
		*overage = mark->overage - header.totals.overage;
	return 0;
}
