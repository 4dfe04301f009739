/* What follows from the rows of a hub; see hub.h and fold.h. */
#include "appliance/hub/hub.h"
#include "appliance/hub/invoice.h"

#include "appliance/ledger/borrow.h"
#include "appliance/ledger/credits.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <stdio.h>
#include <string.h>

static int
must_be(int err, const struct row *row, const char *words)
{
	return err == ERR_NOT_FOUND_INTERNAL ? fold_contradicted(row, words)
					     : err;
}

static int
put_account(struct state *state, const struct hub_account *account)
{
	return hub_put(state, STORE_HUB_ACCOUNT, HUB_ACCOUNT_STATE, 0,
	    &hub_account_record, account);
}

static int
fold_key(struct state *state, const struct row *row)
{
	const struct row_account_key *r = &row->u.account_key;
	struct hub_account account;
	int err = hub_account(&account, state);

	if (err != 0)
		return err;
	if (r->key != account.keys + 1)
		return fold_contradicted(row, "issuing keys have a gap");
	account.keys = r->key;
	err = hub_put(state, STORE_HUB_ACCOUNT, HUB_ACCOUNT_KEY, r->key,
	    &row_account_key_record, r);
	return err == 0 ? put_account(state, &account) : err;
}

static int
fold_issuer(struct state *state, const struct row *row)
{
	const struct row_account_issuer *r = &row->u.account_issuer;
	struct hub_account account;
	int err = hub_account(&account, state);

	if (err != 0)
		return err;
	if (r->key > account.keys)
		return fold_contradicted(row, "there is no such issuing key");
	if (r->key > account.issuing)
		account.issuing = r->key;
	err = hub_put(state, STORE_HUB_ACCOUNT, HUB_ACCOUNT_ISSUER, r->key,
	    &row_account_issuer_record, r);
	return err == 0 ? put_account(state, &account) : err;
}

/* --- customers and sites ------------------------------------------------------ */

static int
put_customer(struct state *state, const struct hub_customer *customer)
{
	return hub_put(state, STORE_HUB_CUSTOMERS, customer->row.customer, 0,
	    &hub_customer_record, customer);
}

static int
name_customer(struct state *state, const struct row_customer *r)
{
	int err =
	    hub_name_put(state, HUB_NAME_CRM, r->crm_account_id, r->customer);

	return err == 0 && r->tenant_id[0] != '\0'
	    ? hub_name_put(state, HUB_NAME_TENANT, r->tenant_id, r->customer)
	    : err;
}

static int
fold_customer_added(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_customer *r = &row->u.customer;
	struct hub_customer customer = { .row = *r,
		.added_at = place->time,
		.changed_at = place->time };
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_CUSTOMERS);

	if (err != 0)
		return err;
	if (r->customer <= last)
		return fold_contradicted(row, "customer numbers go back");
	err = put_customer(state, &customer);
	return err == 0 ? name_customer(state, r) : err;
}

static int
unname(struct state *state, const struct row_customer *before)
{
	uint8_t key[65] = { HUB_NAME_TENANT };
	size_t len = strlen(before->tenant_id);

	if (len == 0)
		return 0;
	memcpy(key + 1, before->tenant_id, len);
	int err = store_delete(&state->txn, STORE_HUB_NAMES, key, 1 + len);

	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

static int
fold_customer_changed(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_customer *r = &row->u.customer;
	struct arena arena = { .chunks = NULL };
	struct hub_customer customer;
	int err = must_be(hub_customer(&customer, state, r->customer, &arena),
	    row, "there is no such customer");

	arena_release(&arena);
	if (err != 0)
		return err;
	if (strcmp(customer.row.crm_account_id, r->crm_account_id) != 0)
		return fold_contradicted(row, "it is another account");
	err = unname(state, &customer.row);
	if (err != 0)
		return err;
	customer.row = *r;
	customer.changed_at = place->time;
	err = put_customer(state, &customer);
	return err == 0 ? name_customer(state, r) : err;
}

static int
fold_site_bound(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_site_bound *r = &row->u.site_bound;
	struct hub_site site = { .row = *r, .at = place->time };
	char name[160];
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_SITES);

	if (err != 0)
		return err;
	if (r->number != last + 1)
		return fold_contradicted(row, "site numbers have a gap");
	err = hub_put(state, STORE_HUB_SITES, r->number, 0, &hub_site_record,
	    &site);
	if (err != 0)
		return err;
	snprintf(name, sizeof name, "%s/%s", r->request.site,
	    r->request.tenant);
	err = hub_name_put(state, HUB_NAME_SITE, name, r->number);
	return err == 0
	    ? hub_list_put(state, HUB_LIST_SITES, r->customer, r->number)
	    : err;
}

/* Its reports go on where they were. */
static int
fold_site_reissued(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_site_reissued *r = &row->u.site_reissued;
	struct arena arena = { .chunks = NULL };
	struct hub_site site;
	int err = hub_site(&site, state, r->number, &arena);

	if (err == ERR_NOT_FOUND_INTERNAL ||
	    (err == 0 &&
		(memcmp(site.row.request.site_key, r->retired,
		     sizeof r->retired) != 0 ||
		    strcmp(site.row.request.site, r->request.site) != 0 ||
		    strcmp(site.row.request.tenant, r->request.tenant) != 0)))
		err = fold_contradicted(row, "no such site has that key");
	if (err == 0) {
		site.row.request = r->request;
		site.at = place->time;
		err = hub_put(state, STORE_HUB_SITES, r->number, 0,
		    &hub_site_record, &site);
	}
	arena_release(&arena);
	return err;
}

/* --- licenses ------------------------------------------------------------------- */

static int
put_order(struct state *state, const struct hub_order *order)
{
	return hub_put(state, STORE_HUB_ORDERS, order->row.order, 0,
	    &hub_order_record, order);
}

/* "lic-vector-mercedes-2026-014": the 14th of its series. */
static int
put_series(struct state *state, const char *license_id)
{
	char series[64];
	uint64_t number, newest;

	text_copy(series, sizeof series, license_id);
	char *last = strrchr(series, '-');

	if (last == NULL)
		return 0;
	const char *digits = last + 1 + strspn(last + 1, "0");

	if (!text_to_u64(&number, digits, strlen(digits)))
		return 0;
	*last = '\0';
	int err = hub_name(&newest, state, HUB_NAME_SERIES, series);

	if (err == 0 && newest > number)
		return 0; /* this one was lost, and is found */
	return err == 0 || err == ERR_NOT_FOUND_INTERNAL
	    ? hub_name_put(state, HUB_NAME_SERIES, series, number)
	    : err;
}

static int
name_order(struct state *state, const struct row_license_ordered *r)
{
	int err =
	    hub_name_put(state, HUB_NAME_LICENSE, r->license_id, r->order);

	if (err == 0 && r->opportunity[0] != '\0')
		err = hub_name_put(state, HUB_NAME_OPPORTUNITY, r->opportunity,
		    r->order);
	if (err == 0)
		err = put_series(state, r->license_id);
	return err == 0
	    ? hub_list_put(state, HUB_LIST_ORDERS, r->customer, r->order)
	    : err;
}

static int
fold_ordered(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_license_ordered *r = &row->u.license_ordered;
	struct hub_order order = { .row = *r,
		.at = place->time,
		.state = r->provision ? HUB_AWAITING_SITE : HUB_ORDERED,
		.contract = r->terms.contract,
		.changed_at = place->time };
	struct arena arena = { .chunks = NULL };
	struct hub_customer customer;
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_ORDERS);

	if (err != 0)
		return err;
	if (r->order != last + 1)
		return fold_contradicted(row, "order numbers have a gap");
	if (hub_name(&last, state, HUB_NAME_LICENSE, r->license_id) == 0)
		return fold_contradicted(row, "its license id is taken");
	err = must_be(hub_customer(&customer, state, r->customer, &arena), row,
	    "there is no such customer");
	arena_release(&arena);
	if (err != 0)
		return err;
	customer.orders++;
	err = put_customer(state, &customer);
	if (err == 0)
		err = put_order(state, &order);
	return err == 0 ? name_order(state, r) : err;
}

static int
fold_released(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	int err = must_be(hub_order(&order, state,
			      row->u.license_released.order, &arena),
	    row, "there is no such order");

	if (err == 0 && order.state != HUB_ORDERED)
		err = fold_contradicted(row, "it was released before");
	if (err == 0) {
		order.state = HUB_AWAITING_SITE;
		order.changed_at = place->time;
		err = put_order(state, &order);
	}
	arena_release(&arena);
	return err;
}

static int
fold_issued(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_license_issued *r = &row->u.license_issued;
	const bool found = row->kind == ROW_LICENSE_FOUND;
	struct arena arena = { .chunks = NULL };
	struct row_license_issued known;
	struct hub_order order;
	int err = must_be(hub_order(&order, state, r->order, &arena), row,
	    "there is no such order");

	if (err == 0 && found) {
		err = hub_issued(&known, state, r->order, r->serial, &arena);
		err = err == ERR_NOT_FOUND_INTERNAL ? 0
		    : err == 0 ? fold_contradicted(row, "it was not lost")
			       : err;
	}
	if (err == 0 && !found && r->serial <= order.serial)
		err = fold_contradicted(row, "serials go back");
	if (err == 0 && r->serial > order.serial) {
		if (order.serial == 0)
			order.issued_at = found ? r->at : place->time;
		if (found && order.at > r->at)
			order.at = r->at; /* the latest that it can be */
		order.serial = r->serial;
		order.site = r->site;
		order.contract = r->contract;
		order.changed_at = place->time;
		if (order.state != HUB_SUSPENDED &&
		    !(found && order.state == HUB_CANCELLED))
			order.state = HUB_ISSUED;
		err = put_order(state, &order);
	}
	arena_release(&arena);
	return err == 0 ? hub_put(state, STORE_HUB_ISSUED, r->order, r->serial,
			      &row_license_issued_record, r)
			: err;
}

static uint32_t
state_after(const struct hub_order *order, enum revision_what what)
{
	switch (what) {
	case REVISION_RENEWED:
		break;
	case REVISION_SUSPENDED:
		return HUB_SUSPENDED;
	case REVISION_RESUMED:
		return HUB_ISSUED;
	case REVISION_CANCELLED:
		return HUB_CANCELLED;
	}
	return order->state;
}

static int
fold_revised(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_license_revised *r = &row->u.license_revised;
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	int err = must_be(hub_order(&order, state, r->order, &arena), row,
	    "there is no such order");

	if (err == 0 && r->revision <= order.revision)
		err = fold_contradicted(row, "revisions go back");
	if (err == 0) {
		order.revision = r->revision;
		order.revised_at = place->time;
		order.state = state_after(&order, (enum revision_what)r->what);
		order.changed_at = place->time;
		err = put_order(state, &order);
	}
	arena_release(&arena);
	return err == 0 ? hub_put(state, STORE_HUB_REVISED, r->order,
			      r->revision, &row_license_revised_record, r)
			: err;
}

static int
fold_report_taken(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	const struct row_report_taken *r = &row->u.report_taken;
	struct arena arena = { .chunks = NULL };
	struct hub_site site;
	int err = must_be(hub_site(&site, state, r->site, &arena), row,
	    "there is no such site");

	if (err == 0 && r->sequence <= site.sequence)
		err = fold_contradicted(row, "reports go back");
	if (err == 0) {
		site.sequence = r->sequence;
		site.batch = r->batch;
		memcpy(site.head, r->head, sizeof site.head);
		memcpy(site.history, r->history, sizeof site.history);
		site.generation = r->generation;
		site.time = r->time;
		site.overage = r->overage;
		site.reported_at = place->time;
		err = hub_put(state, STORE_HUB_SITES, r->site, 0,
		    &hub_site_record, &site);
	}
	arena_release(&arena);
	return err;
}

static int
fold_credit(struct state *state, const struct row *row)
{
	const struct row_credit *r = &row->u.credit;
	struct arena arena = { .chunks = NULL };
	struct hub_customer customer;
	struct hub_account account;
	uint64_t known;
	int err = must_be(hub_customer(&customer, state, r->customer, &arena),
	    row, "there is no such customer");

	arena_release(&arena);
	if (err == 0)
		err = hub_account(&account, state);
	if (err != 0)
		return err;
	if (r->number <= account.credits)
		return fold_contradicted(row, "credits go back");
	if (hub_name(&known, state, HUB_NAME_CREDIT, r->id) == 0)
		return fold_contradicted(row, "its id is taken");
	if (r->vendor[0] != '\0')
		return fold_contradicted(row, "it is no credit of a hub");
	account.credits = r->number;
	account.credited_at = r->at;
	err = put_account(state, &account);
	if (err == 0)
		err = hub_name_put(state, HUB_NAME_CREDIT, r->id, r->number);
	return err == 0 ? state_credit_put(state, r) : err;
}

int
fold_hub(struct state *state, const struct row *row,
    const struct fold_place *place)
{
	switch ((int)row->kind) {
	case ROW_ACCOUNT_KEY:
		return fold_key(state, row);
	case ROW_ACCOUNT_ISSUER:
		return fold_issuer(state, row);
	case ROW_CUSTOMER_ADDED:
		return fold_customer_added(state, row, place);
	case ROW_CUSTOMER_CHANGED:
		return fold_customer_changed(state, row, place);
	case ROW_LICENSE_ORDERED:
		return fold_ordered(state, row, place);
	case ROW_SITE_BOUND:
		return fold_site_bound(state, row, place);
	case ROW_SITE_REISSUED:
		return fold_site_reissued(state, row, place);
	case ROW_LICENSE_RELEASED:
		return fold_released(state, row, place);
	case ROW_LICENSE_ISSUED:
	case ROW_LICENSE_FOUND:
		return fold_issued(state, row, place);
	case ROW_LICENSE_REVISED:
		return fold_revised(state, row, place);
	case ROW_LICENSE_EXPIRED:
		return fold_expired(state, row);
	case ROW_CREDIT_ADDED:
		return fold_credit(state, row);
	case ROW_INVOICE_MADE:
	case ROW_INVOICE_AGAIN:
		return fold_invoice(state, row, place);
	case ROW_REPORT_TAKEN:
		return fold_report_taken(state, row, place);
	}
	return ERR_UNKNOWN_ROW;
}
