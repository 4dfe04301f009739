/* One site: how it stands, and what went wrong with its reports. */
#include "appliance/hub/decide.h"
#include "appliance/hub/reported.h"

#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"

#include <string.h>

struct listing {
	struct hub_incident *items;
	uint32_t n;
};

static int
list_incident(void *ctx, const struct hub_incident *incident)
{
	struct listing *listing = ctx;

	listing->items[listing->n++] = *incident;
	return 0;
}

static int
find_site(struct hub_site *out, struct query *q)
{
	const struct hub_site_ref *request = q->request;
	const struct state *state = &q->view->state;
	uint64_t last, at = 0, n = 0, found = 0;
	int err = hub_last(&last, state, STORE_HUB_SITES);

	if (err == 0 && request->tenant[0] != '\0') {
		err = hub_site_by_id(out, state, request->site, request->tenant,
		    q->arena);
		return err == ERR_NOT_FOUND_INTERNAL
		    ? query_refuse(q->problem, ERR_NOT_FOUND,
			  "tenant %s of site %s is not known here",
			  request->tenant, request->site)
		    : err;
	}
	while (err == 0 && at < last) {
		err = hub_site(out, state, ++at, q->arena);
		if (err == 0 &&
		    strcmp(out->row.request.site, request->site) == 0) {
			found = at;
			n++;
		}
	}
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (n == 0)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "site %s is not known here", request->site);
	if (n > 1)
		return query_refuse(q->problem, ERR_BAD_REQUEST,
		    "site %s has several tenants here: name one, tenant=%s",
		    request->site, out->row.request.tenant);
	return hub_site(out, state, found, q->arena);
}

int
query_hub_site(struct query *q)
{
	struct hub_site_shown *out = q->reply;
	const struct state *state = &q->view->state;
	struct listing listing = { .n = 0 };
	struct hub_site site = { 0 };
	int err = find_site(&site, q);

	if (err == 0)
		err = hub_view_site(&out->site, state, &site, q->arena);
	if (err != 0)
		return err;
	listing.items =
	    arena_alloc(q->arena, HUB_INCIDENTS_KEPT * sizeof *listing.items);
	if (listing.items == NULL)
		return ERR_NOMEM;
	err =
	    hub_each_incident(state, site.row.number, list_incident, &listing);
	out->incidents = (struct record_list){ listing.items, listing.n };
	return err;
}
