/* What is told of a hub's account: single things, for answers and queries. */
#include "appliance/hub/decide.h"
#include "appliance/hub/measured.h"
#include "appliance/hub/reported.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

void
hub_customer_id(char out[32], uint64_t customer)
{
	snprintf(out, 32, "CUST-%05" PRIu64, customer);
}

uint32_t
hub_status(const struct hub_order *order, int64_t now_ms)
{
	int64_t end = ((int64_t)order->contract.end_date + 1) * DAY_MS;

	switch ((enum hub_order_state)order->state) {
	case HUB_ORDERED:
		return HUB_STATUS_GENERATED;
	case HUB_AWAITING_SITE:
		return HUB_STATUS_AWAITING_SITE;
	case HUB_CANCELLED:
		return HUB_STATUS_CANCELLED;
	case HUB_SUSPENDED:
		return now_ms >= end ? HUB_STATUS_EXPIRED
				     : HUB_STATUS_SUSPENDED;
	case HUB_ISSUED:
		break;
	}
	return now_ms >= end ? HUB_STATUS_EXPIRED : HUB_STATUS_PROVISIONED;
}

static int
add_site(struct hub_license_view *out, const struct state *state,
    uint64_t number, struct arena *arena)
{
	struct hub_site site;
	int err = hub_site(&site, state, number, arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	memcpy(out->site, site.row.request.site, sizeof out->site);
	memcpy(out->tenant, site.row.request.tenant, sizeof out->tenant);
	return 0;
}

int
hub_view_order(struct hub_license_view *out, const struct state *state,
    const struct hub_order *order, int64_t now_ms, struct arena *arena)
{
	const struct row_license_ordered *r = &order->row;
	struct hub_customer customer;
	int err = hub_customer(&customer, state, r->customer, arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct hub_license_view){ .status = hub_status(order, now_ms),
		.product = r->terms.product,
		.entitlement = r->terms.entitlement,
		.contract = order->contract,
		.serial = order->serial,
		.ordered_at = order->at,
		.issued_at = order->issued_at,
		.changed_at = order->changed_at,
		.revisions = order->revision };
	memcpy(out->license_id, r->license_id, sizeof out->license_id);
	memcpy(out->crm_opportunity_id, r->opportunity,
	    sizeof out->crm_opportunity_id);
	memcpy(out->crm_account_id, customer.row.crm_account_id,
	    sizeof out->crm_account_id);
	memcpy(out->customer_name, customer.row.name,
	    sizeof out->customer_name);
	memcpy(out->tenant, customer.row.tenant_id, sizeof out->tenant);
	return order->serial > 0 ? add_site(out, state, order->site, arena) : 0;
}

int
hub_view_site(struct hub_site_view *out, const struct state *state,
    const struct hub_site *site, struct arena *arena)
{
	const struct license_request *request = &site->row.request;
	struct hub_customer customer;
	int err = hub_customer(&customer, state, site->row.customer, arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct hub_site_view){ .bound_at = site->at,
		.sequence = site->sequence,
		.reported_at = site->reported_at };
	struct hub_reported reported;

	err = hub_reported(&reported, state, site->row.number);
	if (err != 0)
		return err;
	out->seats = reported.seats;
	out->unbilled = reported.unbilled;
	out->unbilled_hours = reported.unbilled_hours;
	out->gaps = reported.gaps;
	out->forks = reported.forks;
	out->rollbacks = reported.rollbacks;
	out->refused = reported.refused;
	out->gone = reported.gone;
	memcpy(out->reason, reported.reason, sizeof out->reason);
	err = hub_view_measured(out, state, site->row.number);
	if (err != 0)
		return err;
	memcpy(out->site, request->site, sizeof out->site);
	memcpy(out->name, request->name, sizeof out->name);
	memcpy(out->tenant, request->tenant, sizeof out->tenant);
	memcpy(out->software, request->software, sizeof out->software);
	memcpy(out->crm_account_id, customer.row.crm_account_id,
	    sizeof out->crm_account_id);
	return 0;
}

void
hub_view_customer(struct customer_view *out,
    const struct hub_customer *customer)
{
	const struct row_customer *r = &customer->row;

	*out = (struct customer_view){ .status = r->status,
		.plan = r->plan,
		.licenses = customer->orders,
		.registered_at = customer->added_at,
		.changed_at = customer->changed_at };
	hub_customer_id(out->platform_customer_id, r->customer);
	memcpy(out->crm_account_id, r->crm_account_id,
	    sizeof out->crm_account_id);
	memcpy(out->name, r->name, sizeof out->name);
	memcpy(out->tenant_id, r->tenant_id, sizeof out->tenant_id);
	memcpy(out->domain, r->domain, sizeof out->domain);
	memcpy(out->country, r->country, sizeof out->country);
	memcpy(out->region, r->region, sizeof out->region);
}

int
hub_view_contact(struct customer_view *out, const struct ledger *ledger,
    const struct state *state, const struct hub_customer *customer)
{
	struct customer_contact contact;
	int err = hub_contact(&contact, state, ledger->sealed, customer);

	if (err == 0) {
		memcpy(out->contact_email, contact.email,
		    sizeof out->contact_email);
		memcpy(out->contact_name, contact.name,
		    sizeof out->contact_name);
		memcpy(out->tenant_url, contact.tenant_url,
		    sizeof out->tenant_url);
	}
	sodium_memzero(&contact, sizeof contact);
	/* It may have been forgotten since this snapshot's row. */
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
add_issuing(struct hub_key_view *out, const struct state *state,
    struct arena *arena)
{
	struct row_account_issuer issuer;
	int err = hub_issuer(&issuer, state, out->issuing, arena);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	out->vendor = issuer.vendor;
	out->not_before = issuer.not_before;
	out->not_after = issuer.not_after;
	return 0;
}

int
hub_view_key(struct hub_key_view *out, const struct state *state,
    struct arena *arena)
{
	struct hub_account account;
	struct row_account_key key;
	int err = hub_account(&account, state);

	*out = (struct hub_key_view){ .key = account.keys };
	if (err != 0 || account.keys == 0)
		return err;
	out->vouched = account.issuing == account.keys;
	out->issuing = account.issuing;
	err = hub_key(&key, state, account.keys, arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	token_public_format(out->public_key, key.public_key);
	token_key_id(out->kid, key.public_key);
	return account.issuing != 0 ? add_issuing(out, state, arena) : 0;
}
