/* Every serial of a site's licenses, or of those that a hub issued, for a
 * statement. See billing_answer.h. */
#include "appliance/ledger/billing_answer.h"

#include "appliance/hub/hub.h"
#include "appliance/ledger/metered.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

struct serial {
	uint64_t number; /* of the license at a site, of the order at a hub */
	bool ordered;
	uint64_t customer; /* at a hub */
	struct license *license; /* in the arena */
};

struct gathering {
	struct ledger_view *view;
	const struct billing_whose *whose;
	struct arena *arena;
	struct problem *problem;
	struct serial *serials; /* grows in the arena */
	size_t n, room;
};

static int
add_serial(struct gathering *g, const struct serial *from,
    const struct record_span *token)
{
	struct serial serial = *from;

	serial.license = arena_alloc(g->arena, sizeof(*serial.license));
	if (serial.license == NULL)
		return ERR_NOMEM;
	int err = license_read_stored(serial.license, (const char *)token->data,
	    token->len, g->arena);

	if (err != 0)
		return err;
	if ((g->whose->vendor[0] != '\0' &&
		strcmp(g->whose->vendor, serial.license->vendor.id) != 0) ||
	    (g->whose->license[0] != '\0' &&
		strcmp(g->whose->license, serial.license->license_id) != 0))
		return 0;
	if (g->n == g->room) {
		size_t room = g->room == 0 ? 16 : 2 * g->room;
		struct serial *serials =
		    arena_alloc(g->arena, room * sizeof(*serials));

		if (serials == NULL)
			return ERR_NOMEM;
		if (g->n > 0)
			memcpy(serials, g->serials, g->n * sizeof(*serials));
		g->serials = serials;
		g->room = room;
	}
	g->serials[g->n++] = serial;
	return 0;
}

/* --- of a site ---------------------------------------------------------------- */

static int
gather_document(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct gathering *g = ctx;
	struct state_document document;
	struct serial serial = { .number = 0 };

	(void)value;
	int err = key->len == 32
	    ? state_document(&document, &g->view->state, key->data)
	    : ERR_CORRUPT;

	serial.number = err == 0 ? document.license : 0;
	return err == 0 ? add_serial(g, &serial, &document.token) : err;
}

/* --- of a hub ----------------------------------------------------------------- */

struct ordered {
	struct gathering *g;
	struct serial serial;
};

static int
gather_issued(void *ctx, const struct row_license_issued *issued)
{
	struct ordered *ordered = ctx;

	return add_serial(ordered->g, &ordered->serial, &issued->token);
}

static int
gather_order(void *ctx, uint64_t number)
{
	struct gathering *g = ctx;
	const struct state *state = &g->view->state;
	struct arena arena = { .chunks = NULL };
	struct hub_order order;
	int err = hub_order(&order, state, number, &arena);
	struct ordered ordered = { g, { number, true, 0, NULL } };

	if (err == 0) {
		ordered.serial.customer = order.row.customer;
		err = hub_each_issued(state, number, gather_issued, &ordered);
	}
	arena_release(&arena);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

static int
gather_orders(struct gathering *g)
{
	const struct state *state = &g->view->state;
	const char *customer = g->whose->customer;
	const bool named = customer[0] != '\0' && !g->whose->customers;
	uint64_t number, last = 0;
	int err = 0;

	if (g->whose->number != 0)
		return hub_each_order(state, g->whose->number, 0, gather_order,
		    g);
	if (g->whose->license[0] != '\0')
		err = hub_name(&number, state, HUB_NAME_LICENSE,
		    g->whose->license);
	else if (named)
		err = hub_name(&number, state, HUB_NAME_CRM, customer);
	else
		err = hub_last(&last, state, STORE_HUB_ORDERS);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	if (g->whose->license[0] != '\0')
		return gather_order(g, number);
	if (named)
		return hub_each_order(state, number, 0, gather_order, g);
	for (uint64_t i = 1; i <= last && err == 0; i++)
		err = gather_order(g, i);
	return err;
}

static bool
is_of(const struct license *license, const char *customer)
{
	return customer[0] == '\0' ||
	    strcmp(license->customer.crm_account_id, customer) == 0;
}

/* A statement has one who pays it. */
static int
check_customer(struct gathering *g)
{
	const struct license_customer *first = &g->serials[0].license->customer;

	for (size_t i = 0; i < g->n && !g->whose->customers; i++)
		if (!is_of(g->serials[i].license, g->whose->customer))
			return query_refuse(g->problem, ERR_NOT_FOUND,
			    "license %s is not of customer %s",
			    g->serials[i].license->license_id,
			    g->whose->customer);
	for (size_t i = 1; i < g->n && !g->whose->customers; i++)
		if (g->serials[i].customer != g->serials[0].customer)
			return query_refuse(g->problem, ERR_BAD_REQUEST,
			    "there are licenses of several customers, %s and "
			    "%s: name one, customer_crm_id=%s",
			    first->crm_account_id,
			    g->serials[i].license->customer.crm_account_id,
			    first->crm_account_id);
	return 0;
}

/* --- sorted ------------------------------------------------------------------- */

static int
by_license(const void *a, const void *b)
{
	const struct serial *x = a, *y = b;
	int order = strcmp(x->license->license_id, y->license->license_id);

	return order != 0 ? order
			  : (x->license->serial > y->license->serial) -
		(x->license->serial < y->license->serial);
}

static int
check_vendor(struct gathering *g)
{
	for (size_t i = 1; i < g->n; i++)
		if (strcmp(g->serials[i].license->vendor.id,
			g->serials[0].license->vendor.id) != 0)
			return query_refuse(g->problem, ERR_BAD_REQUEST,
			    "there are licenses of several vendors, %s and %s: "
			    "name one, vendor=%s",
			    g->serials[0].license->vendor.id,
			    g->serials[i].license->vendor.id,
			    g->serials[0].license->vendor.id);
	return 0;
}

/* The day it was cancelled, as the vendor's word says, is the last one. */
static int
find_cancelled(int32_t *day, struct gathering *g, const struct serial *serial)
{
	struct arena arena = { .chunks = NULL };
	struct state_status status;
	struct hub_order order;
	int64_t at = INT64_MAX;
	int err;

	if (serial->ordered) {
		err =
		    hub_order(&order, &g->view->state, serial->number, &arena);
		if (err == 0 && order.state == HUB_CANCELLED)
			at = order.changed_at;
	} else {
		err = state_status(&status, &g->view->state, serial->number);
		if (err == 0 && status.status == LICENSE_IS_CANCELLED)
			at = status.said;
	}
	*day = at == INT64_MAX ? INT32_MAX : (int32_t)(at / DAY_MS);
	arena_release(&arena);
	return err;
}

/* Those of one license stand side by side. Digests may differ for one serial
 * only where a vendor signed it twice; then it is not clear what is owed. */
static int
add_license(struct billing_gathered *out, struct gathering *g, size_t from,
    size_t end)
{
	struct billing_license *license = &out->licenses[out->n_licenses++];
	struct billing_version *versions =
	    arena_alloc(g->arena, (end - from) * sizeof(*versions));
	int32_t cancelled;
	int err = find_cancelled(&cancelled, g, &g->serials[from]);

	if (versions == NULL)
		return ERR_NOMEM;
	if (err != 0)
		return err;
	for (size_t i = from; i < end; i++)
		versions[i - from].license = g->serials[i].license;
	*license = (struct billing_license){ versions, end - from };
	err = billing_versions_arrange(versions, end - from, cancelled);
	return err == 0 ? 0
			: query_refuse(g->problem, ERR_CONFLICT,
			      "%s has a serial that stands in two documents",
			      g->serials[from].license->license_id);
}

static int
refuse_none(const struct gathering *g)
{
	const struct billing_whose *w = g->whose;
	const char *of = w->customer[0] != '\0' ? w->customer : w->vendor;

	if (w->license[0] != '\0')
		return query_refuse(g->problem, ERR_NOT_FOUND,
		    "there is no such license");
	return query_refuse(g->problem, ERR_NOT_FOUND,
	    "there is no license%s%s", of[0] != '\0' ? " of " : "", of);
}

int
billing_gather(struct billing_gathered *out, struct ledger_view *view,
    const struct billing_whose *whose, struct arena *arena,
    struct problem *problem)
{
	struct gathering g = { .view = view,
		.whose = whose,
		.arena = arena,
		.problem = problem };

	*out = (struct billing_gathered){ .n_licenses = 0 };
	int err = store_each(&view->state.txn, STORE_DOCUMENTS, NULL, 0,
	    gather_document, &g);

	if (err == 0)
		err = gather_orders(&g);
	if (err == 0 && g.n == 0)
		return refuse_none(&g);
	if (err == 0)
		err = check_vendor(&g);
	if (err == 0)
		err = check_customer(&g);
	if (err != 0)
		return err;
	qsort(g.serials, g.n, sizeof(*g.serials), by_license);
	out->vendor = g.serials[g.n - 1].license->vendor;
	out->customer = whose->customers ? 0 : g.serials[0].customer;
	out->licenses = arena_alloc(arena, g.n * sizeof(*out->licenses));
	if (out->licenses == NULL)
		return ERR_NOMEM;
	for (size_t at = 0, end; at < g.n && err == 0; at = end) {
		for (end = at + 1; end < g.n; end++)
			if (strcmp(g.serials[end].license->license_id,
				g.serials[at].license->license_id) != 0)
				break;
		err = add_license(out, &g, at, end);
	}
	return err;
}
