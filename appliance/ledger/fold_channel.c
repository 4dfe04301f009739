#include "appliance/ledger/borrow.h"
#include "appliance/ledger/fold_alert.h"
#include "appliance/ledger/ledger_channel.h"
#include "shared/base/err.h"

#include <string.h>

int
fold_channel_added(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_channel_added *r = &row->u.channel_added;
	struct state_channel channel = {
		.channel = r->channel,
		.kind = r->kind,
		.least = r->least,
		.takes = r->takes,
		.created_at = place->time,
		.by = r->by,
	};
	uint64_t next;
	int err = state_channel_next(&next, state);

	if (err != 0)
		return err;
	if (r->channel != next)
		return fold_contradicted(row, "channel numbers have a gap");
	memcpy(channel.document, r->document, sizeof channel.document);
	memcpy(channel.commitment, r->commitment, sizeof channel.commitment);
	return state_channel_put(state, &channel);
}

int
fold_channel_removed(struct state *state, const struct row *row)
{
	struct state_channel channel;
	int err =
	    state_channel(&channel, state, row->u.channel_removed.channel);

	if (err == ERR_NOT_FOUND_INTERNAL || (err == 0 && channel.removed))
		return fold_contradicted(row, "there is no such channel");
	if (err != 0)
		return err;
	channel.removed = true;
	return state_channel_put(state, &channel);
}
