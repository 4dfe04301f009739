/* Decide on alerts: opened, counted, acknowledged, closed. See
 * ledger_alert.h. */
#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_alert.h"
#include "appliance/ledger/ledger_channel.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <string.h>

/* Made by the process alone. */
const struct record ledger_alert_record = {
	.name = "ledger_alert",
	.doc = "Something happened, or is over.",
	.version = 1,
	.size = sizeof(struct ledger_alert),
};

_Static_assert(2 * SUBJECT_ENTROPY + DELIVERY_ENTROPY <= LEDGER_ENTROPY,
    "an alert's address and host have random bytes of their own");

static int
open_one(uint64_t *number, struct batch *batch, struct command *command)
{
	const struct ledger_alert *request = command->request;
	uint8_t address[SUBJECT_BYTES], host[SUBJECT_BYTES];
	int err = decide_subject(address, batch, SUBJECT_ADDRESS,
	    request->address, command->entropy);

	if (err == 0)
		err = decide_subject(host, batch, SUBJECT_HOST, request->host,
		    command->entropy + SUBJECT_ENTROPY);
	if (err == 0)
		err = state_alert_next(number, &batch->state);
	if (err != 0)
		return err;
	struct row *row = batch_row(batch, ROW_ALERT_OPENED);

	if (row == NULL)
		return ERR_NOMEM;
	struct row_alert_opened *r = &row->u.alert_opened;

	r->alert = *number;
	r->subject = request->subject;
	memcpy(r->address, address, sizeof r->address);
	memcpy(r->host, host, sizeof r->host);
	memcpy(r->fingerprint, request->fingerprint, sizeof r->fingerprint);
	r->value = request->value;
	r->limit = request->limit;
	r->count = request->count;
	r->first_at = request->first_at;
	r->last_at = request->last_at;
	err = batch_emit(batch);
	return err == 0 ? delivery_add(batch, *number, &request->subject,
			      ALERT_EVENT_OPENED, 0,
			      command->entropy + 2 * (size_t)SUBJECT_ENTROPY)
			: err;
}

static int
count_again(struct batch *batch, const struct command *command, uint64_t number)
{
	const struct ledger_alert *request = command->request;
	struct row *row = batch_row(batch, ROW_ALERT_AGAIN);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.alert_again = (struct row_alert_again){
		.alert = number,
		.count = request->count,
		.last_at = request->last_at,
	};
	return batch_emit(batch);
}

static int
close_one(struct batch *batch, const struct command *command, uint64_t number)
{
	const struct ledger_alert *request = command->request;
	struct row *row = batch_row(batch, ROW_ALERT_CLOSED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.alert_closed = (struct row_alert_closed){ number, request->why };
	int err = batch_emit(batch);

	return err == 0
	    ? delivery_add(batch, number, &request->subject, ALERT_EVENT_CLOSED,
		  0, command->entropy + 2 * (size_t)SUBJECT_ENTROPY)
	    : err;
}

int
decide_alert(struct batch *batch, struct command *command)
{
	const struct ledger_alert *request = command->request;
	uint64_t number = 0;
	int err = state_alert_open(&number, &batch->state, &request->subject);
	bool open = err == 0;

	if (err == ERR_NOT_FOUND_INTERNAL)
		err = 0;
	if (err == 0 && request->count > 0) {
		err = open ? count_again(batch, command, number)
			   : open_one(&number, batch, command);
		open = true;
	}
	if (err == 0 && request->over && open) {
		err = close_one(batch, command, number);
		open = false;
	}
	command->reply.alert.alert = open ? number : 0;
	return err;
}

int
decide_alert_acknowledge(struct batch *batch, struct command *command)
{
	const struct alert_number *request = command->request;
	struct state_alert alert;
	int err = state_alert(&alert, &batch->state, request->alert);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return decide_refuse_field(command, "alert", ERR_NOT_FOUND,
		    "see what there is: leasehold alerts list --all",
		    "there is no alert-%" PRIu64, request->alert);
	if (err != 0)
		return err;
	if (alert.closed_at != 0)
		return decide_refuse_field(command, "alert", ERR_GONE,
		    "see what is open: leasehold alerts list",
		    "alert-%" PRIu64 " is closed: it is over", request->alert);
	command->reply.alert.alert = request->alert;
	if (alert.acknowledged_at != 0)
		return 0;
	struct row *row = batch_row(batch, ROW_ALERT_ACKNOWLEDGED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.alert_acknowledged.alert = request->alert;
	row->u.alert_acknowledged.by = decide_actor(&command->who);
	return batch_emit(batch);
}
