/* Every serial of a tenant's licenses, for a statement. See billing_answer.h. */
#include "appliance/ledger/billing_answer.h"

#include "appliance/ledger/metered.h"
#include "appliance/ledger/view_query.h"

#include "shared/base/err.h"
#include "shared/token/token.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

struct serial {
	uint64_t number; /* of the license */
	struct license *license; /* in the arena */
};

struct gathering {
	struct ledger_view *view;
	const char *vendor, *license;
	struct arena *arena;
	struct problem *problem;
	struct serial *serials; /* grows in the arena */
	size_t n, room;
};

/* The token was verified when it was installed. */
static int
read_license(struct license **out, const struct record_span *token,
    struct arena *arena)
{
	struct buf payload = { 0 };
	int err = token_peek(&payload, token->data, token->len);
	const char *text = NULL;

	*out = arena_alloc(arena, sizeof(**out));
	if (err == 0)
		text = arena_copy(arena, payload.data, payload.len);
	if (err == 0 && (*out == NULL || text == NULL))
		err = ERR_NOMEM;
	if (err == 0)
		err = record_read_json(*out, &license_record, text, payload.len,
		    arena, NULL);
	buf_release(&payload);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

static int
add_serial(struct gathering *g, uint64_t number, struct license *license)
{
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
	g->serials[g->n++] = (struct serial){ number, license };
	return 0;
}

static int
gather_document(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct gathering *g = ctx;
	struct state_document document;
	struct license *license;

	(void)value;
	int err = key->len == 32
	    ? state_document(&document, &g->view->state, key->data)
	    : ERR_CORRUPT;

	if (err == 0)
		err = read_license(&license, &document.token, g->arena);
	if (err != 0)
		return err;
	if ((g->vendor[0] != '\0' &&
		strcmp(g->vendor, license->vendor.id) != 0) ||
	    (g->license[0] != '\0' &&
		strcmp(g->license, license->license_id) != 0))
		return 0;
	return add_serial(g, document.license, license);
}

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

/* The day it was cancelled, which is the last one. */
static int
find_cancelled(int32_t *day, struct gathering *g, uint64_t number)
{
	struct state_status status;
	int err = state_status(&status, &g->view->state, number);

	*day = INT32_MAX;
	if (err == 0 && status.status == LICENSE_IS_CANCELLED)
		*day = (int32_t)(status.from / DAY_MS);
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
	int err = find_cancelled(&cancelled, g, g->serials[from].number);

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

int
billing_gather(struct billing_gathered *out, struct ledger_view *view,
    const char *vendor, const char *license, struct arena *arena,
    struct problem *problem)
{
	struct gathering g = { .view = view,
		.vendor = vendor,
		.license = license,
		.arena = arena,
		.problem = problem };

	*out = (struct billing_gathered){ .n_licenses = 0 };
	int err = store_each(&view->state.txn, STORE_DOCUMENTS, NULL, 0,
	    gather_document, &g);

	if (err == 0 && g.n == 0)
		return query_refuse(problem, ERR_NOT_FOUND,
		    license[0] != '\0' ? "there is no such license"
				       : "there is no license%s%s",
		    vendor[0] != '\0' ? " of " : "", vendor);
	if (err == 0)
		err = check_vendor(&g);
	if (err != 0)
		return err;
	qsort(g.serials, g.n, sizeof(*g.serials), by_license);
	out->vendor = g.serials[g.n - 1].license->vendor;
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
