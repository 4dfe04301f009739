/* Decide on updates of the box; see update.h. */
#include "appliance/ledger/update.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <string.h>

/* Made by the process alone. */
const struct record ledger_update_record = {
	.name = "ledger_update",
	.doc = "An update is asked for.",
	.version = 1,
	.size = sizeof(struct ledger_update),
};
const struct record ledger_update_ended_record = {
	.name = "ledger_update_ended",
	.doc = "An update came to its end.",
	.version = 1,
	.size = sizeof(struct ledger_update_ended),
};

static void
fill_reply(struct command *command, uint64_t number)
{
	const struct ledger_update *request = command->request;
	struct update_view *reply = &command->reply.update;

	memset(reply, 0, sizeof(*reply));
	memcpy(reply->digest, request->digest, sizeof(reply->digest));
	reply->bytes = request->bytes;
	reply->offset = request->bytes;
	reply->phase = UPDATE_REQUESTED;
	reply->update = number;
	reply->usb = request->usb;
}

int
decide_update(struct batch *batch, struct command *command)
{
	const struct ledger_update *request = command->request;
	struct state_update last;
	int err = state_update(&last, &batch->state);

	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	const bool busy = err == 0 && last.phase == UPDATE_REQUESTED;

	if (busy &&
	    (last.usb != request->usb ||
		memcmp(last.digest, request->digest, 32) != 0))
		return decide_refuse(command, ERR_CONFLICT,
		    "see how far it is: leasehold appliance status",
		    "another update is under way: update-%" PRIu64,
		    last.update);
	if (busy) {
		fill_reply(command, last.update);
		return 0;
	}
	struct row *row = batch_row(batch, ROW_UPDATE_REQUESTED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_update_requested *r = &row->u.update_requested;

	r->update = last.update + 1;
	memcpy(r->digest, request->digest, sizeof(r->digest));
	r->bytes = request->bytes;
	r->usb = request->usb;
	text_copy(r->running, sizeof(r->running), request->running);
	r->by = decide_actor(&command->who);
	fill_reply(command, r->update);
	return batch_emit(batch);
}

int
decide_update_ended(struct batch *batch, struct command *command)
{
	const struct ledger_update_ended *request = command->request;
	struct state_update last;
	int err = state_update(&last, &batch->state);

	if (err != 0 && err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (err != 0 || last.update != request->row.update ||
	    last.phase != UPDATE_REQUESTED)
		return 0;
	struct row *row = batch_row(batch,
	    request->phase == UPDATE_DONE         ? ROW_UPDATE_FINISHED
		: request->phase == UPDATE_FAILED ? ROW_UPDATE_FAILED
						  : ROW_UPDATE_FELL_BACK);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.update_ended = request->row;
	return batch_emit(batch);
}
