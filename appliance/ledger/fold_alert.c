#include "appliance/ledger/fold_alert.h"

#include "appliance/ledger/borrow.h"
#include "appliance/ledger/ledger_alert.h"
#include "shared/base/err.h"

#include <string.h>

static int
delete_if_closed(struct state *state, uint64_t number)
{
	struct state_alert alert;
	int err = state_alert(&alert, state, number);

	if (err == ERR_NOT_FOUND_INTERNAL || (err == 0 && alert.closed_at == 0))
		return 0;
	return err == 0 ? state_alert_delete(state, number) : err;
}

int
fold_alert_opened(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_alert_opened *r = &row->u.alert_opened;
	struct state_alert alert = {
		.alert = r->alert,
		.subject = r->subject,
		.value = r->value,
		.limit = r->limit,
		.count = r->count,
		.opened_at = place->time,
		.first_at = r->first_at,
		.last_at = r->last_at,
	};
	uint64_t next, open;
	int err = state_alert_next(&next, state);

	if (err != 0)
		return err;
	if (r->alert != next)
		return fold_contradicted(row, "alert numbers have a gap");
	err = state_alert_open(&open, state, &r->subject);
	if (err == 0)
		return fold_contradicted(row, "one is open for it already");
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	memcpy(alert.address, r->address, sizeof alert.address);
	memcpy(alert.host, r->host, sizeof alert.host);
	memcpy(alert.fingerprint, r->fingerprint, sizeof alert.fingerprint);
	err = state_alert_put(state, &alert);
	if (err == 0)
		err = state_alert_open_put(state, &r->subject, r->alert);
	return err == 0 && r->alert > ALERTS_KEPT
	    ? delete_if_closed(state, r->alert - ALERTS_KEPT)
	    : err;
}

static int
find_open(struct state_alert *alert, const struct state *state,
    const struct row *row, uint64_t number)
{
	int err = state_alert(alert, state, number);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return fold_contradicted(row, "there is no such alert");
	if (err == 0 && alert->closed_at != 0)
		return fold_contradicted(row, "the alert is closed");
	return err;
}

int
fold_alert_again(struct state *state, const struct row *row)
{
	const struct row_alert_again *r = &row->u.alert_again;
	struct state_alert alert;
	int err = find_open(&alert, state, row, r->alert);

	if (err != 0)
		return err;
	alert.count += r->count;
	alert.last_at = r->last_at;
	return state_alert_put(state, &alert);
}

int
fold_alert_acknowledged(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_alert_acknowledged *r = &row->u.alert_acknowledged;
	struct state_alert alert;
	int err = find_open(&alert, state, row, r->alert);

	if (err != 0)
		return err;
	alert.acknowledged_at = place->time;
	alert.by = r->by;
	return state_alert_put(state, &alert);
}

int
fold_alert_closed(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_alert_closed *r = &row->u.alert_closed;
	struct state_alert alert;
	uint64_t next;
	int err = find_open(&alert, state, row, r->alert);

	if (err == 0)
		err = state_alert_next(&next, state);
	if (err == 0)
		err = state_alert_open_delete(state, &alert.subject);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL
		    ? fold_contradicted(row, "nothing says that it is open")
		    : err;
	alert.closed_at = place->time;
	alert.why = r->why;
	/* It was so long open that none of its age is kept; but never the
	 * newest, for numbers go on from it. */
	if (r->alert + ALERTS_KEPT < next)
		return state_alert_delete(state, r->alert);
	return state_alert_put(state, &alert);
}
