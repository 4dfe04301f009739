/* Licenses whose contract is over: looked for by who has a clock, journaled once
 * for each end that a contract had. See expire.h. */
#include "appliance/hub/crm.h"
#include "appliance/ledger/borrow.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>

#define DAY_MS INT64_C(86400000)

const struct record hub_expire_record = {
	.name = "hub_expire",
	.doc = "The contract of a license is over.",
	.version = 1,
	.size = sizeof(struct hub_expire),
};

static void
write_name(char out[24], uint64_t order)
{
	snprintf(out, 24, "%" PRIu64, order);
}

/* The last day of the contract that is known to be over; 0: none is. A site that
 * goes on in another box gets another serial, with the same end. */
static int
known_over(uint64_t *day, const struct state *state, uint64_t order)
{
	char name[24];

	write_name(name, order);
	int err = hub_name(day, state, HUB_NAME_OVER, name);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*day = 0;
	return 0;
}

static int
is_over(bool *yes, const struct state *state, const struct hub_order *order,
    int64_t now_ms)
{
	uint64_t known;
	int64_t end = ((int64_t)order->contract.end_date + 1) * DAY_MS;

	*yes = order->contract.end_date > 0 &&
	    (order->state == HUB_ISSUED || order->state == HUB_SUSPENDED) &&
	    order->serial > 0 && now_ms >= end;
	if (!*yes)
		return 0;
	int err = known_over(&known, state, order->row.order);

	*yes = err == 0 && known < (uint64_t)order->contract.end_date;
	return err;
}

int
fold_expired(struct state *state, const struct row *row)
{
	const struct row_license_expired *r = &row->u.license_expired;
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	char name[24];
	uint64_t known;
	int err = hub_order(&order, state, r->order, &arena);

	arena_release(&arena);
	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 &&
		(order.serial != r->serial || r->end_date <= 0 ||
		    order.contract.end_date != r->end_date)))
		return fold_contradicted(row, "no such license is in force");
	if (err == 0)
		err = known_over(&known, state, r->order);
	if (err != 0)
		return err;
	if (known >= (uint64_t)r->end_date)
		return fold_contradicted(row, "it is known to be over");
	write_name(name, r->order);
	return hub_name_put(state, HUB_NAME_OVER, name, (uint64_t)r->end_date);
}

/* It was renewed, cancelled or said meanwhile: then nothing is to be done. */
int
decide_hub_expire(struct batch *batch, struct command *command)
{
	const struct hub_expire *request = command->request;
	struct hub_order order;
	bool over;
	int err =
	    hub_order(&order, &batch->state, request->order, &command->arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	err = is_over(&over, &batch->state, &order, batch->place.time);
	if (err != 0 || !over)
		return err;
	struct row *row = batch_row(batch, ROW_LICENSE_EXPIRED);

	if (row == NULL)
		return ERR_NOMEM;
	row->u.license_expired = (struct row_license_expired){
		.order = order.row.order,
		.serial = order.serial,
		.end_date = order.contract.end_date,
	};
	err = batch_emit(batch);
	return err == 0
	    ? hub_tell_license(batch, command, CRM_LICENSE_EXPIRED, &order)
	    : err;
}

int
hub_over(uint64_t *orders, uint32_t *n, uint32_t size, struct ledger_view *view,
    int64_t now_ms)
{
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	uint64_t last;
	int err = hub_last(&last, &view->state, STORE_HUB_ORDERS);

	*n = 0;
	for (uint64_t at = 1; err == 0 && at <= last && *n < size; at++) {
		bool over = false;

		err = hub_order(&order, &view->state, at, &arena);
		if (err == 0)
			err = is_over(&over, &view->state, &order, now_ms);
		if (err == 0 && over)
			orders[(*n)++] = at;
		arena_clear(&arena);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
hub_issuer_ends(int64_t *at, struct ledger_view *view)
{
	struct arena arena = { .chunks = NULL };
	struct row_account_issuer issuer;
	struct hub_account account;
	int err = hub_account(&account, &view->state);

	if (err == 0)
		err = account.issuing == 0 ? ERR_NOT_FOUND_INTERNAL
					   : hub_issuer(&issuer, &view->state,
						 account.issuing, &arena);
	if (err == 0)
		*at = issuer.not_after;
	arena_release(&arena);
	return err;
}
