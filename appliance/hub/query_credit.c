/* The credits of a customer. */
#include "appliance/hub/decide.h"
#include "appliance/ledger/credits.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

int
hub_view_credit(struct billing_credit_view *out, const struct state *state,
    const struct row_credit *credit, struct arena *arena)
{
	char day[CLOCK_TEXT_SIZE];
	struct hub_customer customer;
	struct hub_site site;
	int err = hub_customer(&customer, state, credit->customer, arena);

	*out = (struct billing_credit_view){
		.credit = credit->number,
		.amount = credit->amount,
		.reason = credit->reason,
		.at = credit->at,
	};
	clock_format_date(day, credit->first);
	memcpy(out->period, day, strlen("2026-11"));
	text_copy(out->credit_id, sizeof out->credit_id, credit->id);
	text_copy(out->license, sizeof out->license, credit->license_id);
	text_copy(out->currency, sizeof out->currency, credit->currency);
	text_copy(out->evidence, sizeof out->evidence, credit->evidence);
	if (err == 0)
		text_copy(out->customer_crm_id, sizeof out->customer_crm_id,
		    customer.row.crm_account_id);
	if (err != 0 || credit->site == 0)
		return err;
	err = hub_site(&site, state, credit->site, arena);
	if (err == 0) {
		text_copy(out->site, sizeof out->site, site.row.request.site);
		text_copy(out->tenant, sizeof out->tenant,
		    site.row.request.tenant);
	}
	return err;
}

struct listing {
	struct query *q;
	struct billing_credit_view *items;
	uint64_t after;
	uint32_t n, limit;
	bool more;
};

static int
list_credit(void *ctx, const struct row_credit *credit)
{
	struct listing *listing = ctx;

	if (credit->number <= listing->after)
		return 0;
	if (listing->n == listing->limit) {
		listing->more = true;
		return 1;
	}
	return hub_view_credit(&listing->items[listing->n++],
	    &listing->q->view->state, credit, listing->q->arena);
}

int
query_hub_credits(struct query *q)
{
	const struct billing_credit_query *request = q->request;
	struct billing_credit_page *out = q->reply;
	const struct state *state = &q->view->state;
	struct listing listing = { .q = q,
		.after = request->after,
		.limit = query_limit(request->limit) };
	uint64_t customer;

	listing.items =
	    arena_alloc(q->arena, listing.limit * sizeof *listing.items);
	if (listing.items == NULL)
		return ERR_NOMEM;
	int err =
	    hub_name(&customer, state, HUB_NAME_CRM, request->customer_crm_id);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no customer %s", request->customer_crm_id);
	if (err == 0)
		err = state_each_credit(state, customer, list_credit, &listing);
	if (err != 0 && !listing.more)
		return err;
	out->items = (struct record_list){ listing.items, listing.n };
	out->next = listing.more ? listing.items[listing.n - 1].credit : 0;
	return 0;
}
