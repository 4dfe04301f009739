/* What is asked about a hub's account. */
#include "appliance/hub/decide.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>
#include <strings.h>

#define DAY_MS INT64_C(86400000)

/* --- customers -------------------------------------------------------------------- */

static int
find_customer(struct hub_customer *out, struct query *q, const char *crm)
{
	uint64_t number;
	int err = hub_name(&number, &q->view->state, HUB_NAME_CRM, crm);

	if (err == 0)
		err = hub_customer(out, &q->view->state, number, q->arena);
	return err != ERR_NOT_FOUND_INTERNAL
	    ? err
	    : query_refuse(q->problem, ERR_NOT_FOUND, "there is no customer %s",
		  crm);
}

int
query_hub_customer(struct query *q)
{
	const struct hub_crm *request = q->request;
	struct customer_view *out = q->reply;
	struct hub_customer customer;
	int err = find_customer(&customer, q, request->crm_account_id);

	if (err != 0)
		return err;
	hub_view_customer(out, &customer);
	return hub_view_contact(out, q->view->ledger, &q->view->state,
	    &customer);
}

int
query_hub_customers(struct query *q)
{
	const struct customer_query *request = q->request;
	struct customer_page *out = q->reply;
	uint32_t limit = query_limit(request->limit), n = 0;
	struct customer_view *items =
	    arena_alloc(q->arena, limit * sizeof *items);
	uint64_t last, at = request->after;
	int err = items == NULL
	    ? ERR_NOMEM
	    : hub_last(&last, &q->view->state, STORE_HUB_CUSTOMERS);

	while (err == 0 && at < last && n < limit) {
		struct hub_customer customer;

		err = hub_customer(&customer, &q->view->state, ++at, q->arena);
		if (err == 0)
			hub_view_customer(&items[n++], &customer);
		else if (err == ERR_NOT_FOUND_INTERNAL)
			err = 0; /* left out: hub_next() */
	}
	if (err != 0)
		return err;
	out->items = (struct record_list){ items, n };
	out->next = at < last ? at : 0;
	return 0;
}

static int
brief(struct customer_brief *out, struct query *q,
    const struct hub_customer *customer)
{
	const struct row_customer *r = &customer->row;

	*out = (struct customer_brief){ .status = r->status,
		.registered_at = customer->added_at };
	hub_customer_id(out->platform_customer_id, r->customer);
	memcpy(out->crm_account_id, r->crm_account_id,
	    sizeof out->crm_account_id);
	memcpy(out->tenant_id, r->tenant_id, sizeof out->tenant_id);
	memcpy(out->company_name, r->name, sizeof out->company_name);
	return hub_tenant_url(out->tenant_url, q->view->ledger, &q->view->state,
	    customer);
}

static int
search_name(struct query *q, const char *name)
{
	struct customer_found *out = q->reply;
	struct customer_brief *others =
	    arena_alloc(q->arena, HUB_FOUND_MAX * sizeof *others);
	uint64_t last;
	int err = others == NULL
	    ? ERR_NOMEM
	    : hub_last(&last, &q->view->state, STORE_HUB_CUSTOMERS);

	out->others.items = others;
	for (uint64_t at = 1; err == 0 && at <= last; at++) {
		struct hub_customer customer;

		err = hub_customer(&customer, &q->view->state, at, q->arena);
		if (err == ERR_NOT_FOUND_INTERNAL) {
			err = 0; /* left out: hub_next() */
			continue;
		}
		if (err != 0 || strcasestr(customer.row.name, name) == NULL)
			continue;
		if (!out->found)
			err = brief(&out->customer, q, &customer);
		else if (out->others.count < HUB_FOUND_MAX)
			err = brief(&others[out->others.count++], q, &customer);
		out->found = true;
	}
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
query_hub_search(struct query *q)
{
	const struct customer_search *request = q->request;
	struct customer_found *out = q->reply;
	const bool crm = request->crm_account_id[0] != '\0';
	const bool tenant = request->tenant_id[0] != '\0';
	const bool name = request->name[0] != '\0';
	struct hub_customer customer;
	uint64_t number;

	if (crm + tenant + name != 1)
		return query_refuse(q->problem, ERR_BAD_REQUEST,
		    "search by one of crm_account_id, tenant_id and name");
	if (name)
		return search_name(q, request->name);
	int err = hub_name(&number, &q->view->state,
	    crm ? HUB_NAME_CRM : HUB_NAME_TENANT,
	    crm ? request->crm_account_id : request->tenant_id);

	if (err == 0)
		err =
		    hub_customer(&customer, &q->view->state, number, q->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	out->found = true;
	return brief(&out->customer, q, &customer);
}

/* --- the account -------------------------------------------------------------------- */

int
query_hub_key(struct query *q)
{
	return hub_view_key(q->reply, &q->view->state, q->arena);
}

int
query_hub_sites(struct query *q)
{
	const struct hub_site_query *request = q->request;
	struct hub_site_page *out = q->reply;
	uint32_t limit = query_limit(request->limit), n = 0;
	struct hub_site_view *items =
	    arena_alloc(q->arena, limit * sizeof *items);
	struct hub_customer of = { .orders = 0 };
	uint64_t last, at = request->after;
	int err = items == NULL
	    ? ERR_NOMEM
	    : hub_last(&last, &q->view->state, STORE_HUB_SITES);

	if (err == 0 && request->crm_account_id[0] != '\0')
		err = find_customer(&of, q, request->crm_account_id);
	while (err == 0 && at < last && n < limit) {
		struct hub_site site;

		err = hub_site(&site, &q->view->state, ++at, q->arena);
		if (err == 0 &&
		    (of.row.customer == 0 ||
			of.row.customer == site.row.customer))
			err = hub_view_site(&items[n++], &q->view->state, &site,
			    q->arena);
	}
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	out->items = (struct record_list){ items, n };
	out->next = at < last ? at : 0;
	return 0;
}

/* --- licenses ----------------------------------------------------------------------- */

static int
find_order(struct hub_order *out, struct query *q, const char *license_id)
{
	uint64_t number;
	int err =
	    hub_name(&number, &q->view->state, HUB_NAME_LICENSE, license_id);

	if (err == 0)
		err = hub_order(out, &q->view->state, number, q->arena);
	return err != ERR_NOT_FOUND_INTERNAL
	    ? err
	    : query_refuse(q->problem, ERR_NOT_FOUND, "there is no license %s",
		  license_id);
}

int
query_hub_license(struct query *q)
{
	const struct hub_license_ref *request = q->request;
	struct hub_order order;
	int err = find_order(&order, q, request->license_id);

	return err == 0 ? hub_view_order(q->reply, &q->view->state, &order,
			      q->now_ms, q->arena)
			: err;
}

static bool
is_wanted(const struct hub_order *order,
    const struct hub_license_query *request, int64_t now_ms)
{
	uint32_t status = hub_status(order, now_ms);
	int64_t end = ((int64_t)order->contract.end_date + 1) * DAY_MS;

	if (request->status != HUB_STATUS_ANY && request->status != status)
		return false;
	return request->expiring_days == 0 ||
	    (status == HUB_STATUS_PROVISIONED &&
		end - now_ms <= request->expiring_days * DAY_MS);
}

struct listing {
	struct query *q;
	const struct hub_license_query *request;
	struct hub_license_view *items;
	uint32_t n, limit;
	uint64_t at;
	bool more;
	int err;
};

static int
list_one(void *ctx, uint64_t number)
{
	struct listing *list = ctx;
	struct query *q = list->q;
	struct hub_order order;

	if (list->n == list->limit) {
		list->more = true;
		return 1;
	}
	list->at = number;
	list->err = hub_order(&order, &q->view->state, number, q->arena);
	if (list->err == 0 && is_wanted(&order, list->request, q->now_ms))
		list->err = hub_view_order(&list->items[list->n++],
		    &q->view->state, &order, q->now_ms, q->arena);
	return list->err;
}

static int
list_all(struct listing *list, const struct state *state)
{
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_ORDERS);

	for (uint64_t at = list->at + 1; err == 0 && at <= last; at++)
		err = list_one(list, at);
	return err == 1 ? 0 : err;
}

int
query_hub_licenses(struct query *q)
{
	const struct hub_license_query *request = q->request;
	struct hub_license_page *out = q->reply;
	struct listing list = { .q = q,
		.request = request,
		.limit = query_limit(request->limit),
		.at = request->after };
	struct hub_customer of = { .orders = 0 };
	int err = 0;

	list.items = arena_alloc(q->arena, list.limit * sizeof *list.items);
	if (list.items == NULL)
		return ERR_NOMEM;
	if (request->crm_account_id[0] != '\0') {
		err = find_customer(&of, q, request->crm_account_id);
		if (err == 0)
			err = hub_each_order(&q->view->state, of.row.customer,
			    request->after, list_one, &list);
		if (err == 0)
			err = list.err;
	} else {
		err = list_all(&list, &q->view->state);
	}
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	out->items = (struct record_list){ list.items, list.n };
	out->next = list.more ? list.at : 0;
	return 0;
}

/* As leasehold-vendor issue writes it: with the word for the key that signed
 * this serial, which may be an older one. */
int
query_hub_package(struct query *q)
{
	const struct hub_license_ref *request = q->request;
	struct license_file *out = q->reply;
	const struct state *state = &q->view->state;
	struct row_account_issuer issuer;
	struct row_license_issued issued;
	struct hub_order order = { .at = 0 };
	int err = find_order(&order, q, request->license_id);

	if (err != 0)
		return err;
	if (order.serial == 0)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "license %s is not issued yet: it waits for %s",
		    order.row.license_id,
		    order.state == HUB_ORDERED
			? "POST /api/v1/licenses/provision"
			: "its site's request");
	if (order.state == HUB_CANCELLED)
		return query_refuse(q->problem, ERR_GONE,
		    "license %s is cancelled", order.row.license_id);
	err =
	    hub_issued(&issued, state, order.row.order, order.serial, q->arena);
	if (err == 0)
		err = hub_issuer(&issuer, state, issued.key, q->arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	memcpy(out->vendor_key, issuer.root, sizeof out->vendor_key);
	out->issuer.len = issuer.issuer.len;
	out->issuer.data =
	    arena_copy(q->arena, issuer.issuer.data, issuer.issuer.len);
	out->license.len = issued.token.len;
	out->license.data =
	    arena_copy(q->arena, issued.token.data, issued.token.len);
	return out->issuer.data != NULL && out->license.data != NULL
	    ? 0
	    : ERR_NOMEM;
}

/* --- figures --------------------------------------------------------------------------- */

static void
add_fee(struct hub_statistics *out, const struct license_pricing *pricing)
{
	struct hub_fees *fees = out->fees.items;
	uint32_t i = 0;

	while (i < out->fees.count &&
	    strcmp(fees[i].currency, pricing->currency) != 0)
		i++;
	if (i == HUB_CURRENCIES_MAX)
		return;
	if (i == out->fees.count) {
		fees[i] = (struct hub_fees){ .commit_fee_monthly = 0 };
		memcpy(fees[i].currency, pricing->currency,
		    sizeof fees[i].currency);
		out->fees.count++;
	}
	fees[i].commit_fee_monthly += pricing->commit_fee_monthly;
}

static void
count_order(struct hub_statistics *out, const struct hub_order *order,
    int64_t now_ms)
{
	const struct license_entitlement *seats = &order->row.terms.entitlement;
	int64_t end = ((int64_t)order->contract.end_date + 1) * DAY_MS;

	switch ((enum hub_status)hub_status(order, now_ms)) {
	case HUB_STATUS_ANY:
		break;
	case HUB_STATUS_GENERATED:
		out->generated++;
		break;
	case HUB_STATUS_AWAITING_SITE:
		out->awaiting_site++;
		break;
	case HUB_STATUS_SUSPENDED:
		out->suspended++;
		break;
	case HUB_STATUS_EXPIRED:
		out->expired++;
		break;
	case HUB_STATUS_CANCELLED:
		out->cancelled++;
		break;
	case HUB_STATUS_PROVISIONED:
		out->provisioned++;
		out->expiring_30_days += end - now_ms <= 30 * DAY_MS;
		out->commit_seats += seats->commit_qty;
		out->overage_seats += seats->max_overage;
		add_fee(out, &seats->pricing);
		break;
	}
}

int
query_hub_statistics(struct query *q)
{
	struct hub_statistics *out = q->reply;
	const struct state *state = &q->view->state;
	struct arena arena = { .chunks = NULL };
	struct hub_order order;

	out->fees.items =
	    arena_alloc(q->arena, HUB_CURRENCIES_MAX * sizeof(struct hub_fees));
	int err = out->fees.items == NULL
	    ? ERR_NOMEM
	    : store_count(&out->customers, &state->txn, STORE_HUB_CUSTOMERS);

	if (err == 0)
		err = hub_last(&out->sites, state, STORE_HUB_SITES);
	if (err == 0)
		err = hub_last(&out->licenses, state, STORE_HUB_ORDERS);
	for (uint64_t at = 1; err == 0 && at <= out->licenses; at++) {
		err = hub_order(&order, state, at, &arena);
		if (err == 0)
			count_order(out, &order, q->now_ms);
		arena_clear(&arena);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

int
hub_due(uint64_t *orders, uint32_t *n, uint32_t size, struct ledger_view *view,
    int64_t now_ms)
{
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	uint64_t last;
	int err = hub_last(&last, &view->state, STORE_HUB_ORDERS);

	*n = 0;
	for (uint64_t at = 1; err == 0 && at <= last && *n < size; at++) {
		err = hub_order(&order, &view->state, at, &arena);
		if (err == 0 && hub_is_to_renew(&order, now_ms))
			orders[(*n)++] = at;
		arena_clear(&arena);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}
