#include "appliance/ledger/told.h"

#include "shared/base/err.h"

int
told_read(struct told *told, const struct ledger_view *view, uint64_t number)
{
	struct record_span blob;
	struct buf payload = { 0 };
	int err = state_batch(&blob, &view->state, number);

	arena_clear(&told->arena);
	if (err == 0)
		err = view_batch(&told->batch, &blob, &told->arena);
	if (err == 0)
		err = token_peek(&payload, told->batch.header.data,
		    told->batch.header.len);
	if (err == 0)
		err = record_read_json(&told->header, &journal_header_record,
		    (const char *)payload.data, payload.len, &told->arena,
		    NULL);
	if (err == 0)
		journal_head(told->head, payload.data, payload.len);
	buf_release(&payload);
	return err == ERR_NOT_FOUND_INTERNAL || err == ERR_BAD_REQUEST
	    ? ERR_CORRUPT
	    : err;
}
