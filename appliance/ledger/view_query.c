/* Answers of the query operations: site, licenses, journal, subjects. Those on
 * leases are in view_lease.c, on borrows in view_borrow.c, on devices in
 * view_device.c. See ledger.h. */
#include "appliance/ledger/view_query.h"
#include "appliance/ledger/metered.h"
#include "appliance/ledger/prune.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Blobs of a page of the journal, about; the first one always goes. */
#define PAGE_BYTES ((size_t)512 << 10)
#define DAY_MS INT64_C(86400000)

int
query_refuse(struct problem *problem, int err, const char *format, ...)
{
	va_list args;

	memset(problem, 0, sizeof *problem);
	snprintf(problem->code, sizeof problem->code, "%s", err_code(err));
	va_start(args, format);
	vsnprintf(problem->detail, sizeof problem->detail, format, args);
	va_end(args);
	return err;
}

uint32_t
query_limit(uint32_t limit)
{
	if (limit == 0)
		return LIST_LIMIT_DEFAULT;
	return limit < LIST_LIMIT_MAX ? limit : LIST_LIMIT_MAX;
}

/* --- site -------------------------------------------------------------- */

static int
query_site(struct query *q)
{
	struct site_view *out = q->reply;
	const struct ledger *ledger = q->view->ledger;
	const struct counters *c = &q->view->state.counters;
	struct journal_header header;
	struct record_span token;
	uint8_t head[32];
	int err = ledger_newest(&header, head, &token, q->view, q->arena);

	if (err != 0)
		return err;
	*out = (struct site_view){ .generation = header.generation,
		.batch = header.batch,
		.rows = c->next_row - 1,
		.time = header.time,
		.leases = c->totals.grants - c->totals.ends,
		.devices = c->next_device - 1 - c->devices_skipped,
		.devices_pending = c->pending,
		.licenses = c->next_license - 1 };
	memcpy(out->site, ledger->site, sizeof out->site);
	memcpy(out->tenant, ledger->tenant, sizeof out->tenant);
	memcpy(out->site_key, ledger->site_public, sizeof out->site_key);
	return view_worst_alerts(out, q);
}

/* --- licenses ---------------------------------------------------------- */

static int
view_feature(struct license_feature_view *out, const struct state *state,
    uint64_t license, const struct license_feature *feature)
{
	struct pool_id id = { license, 0 };
	struct state_pool pool;
	int err = state_pool_find(&id.pool, state, license, feature->id);

	if (err == 0)
		err = state_pool(&pool, state, id);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct license_feature_view){
		.total_licenses = feature->total_licenses,
		.commit_qty = feature->commit_qty,
		.max_overage = feature->max_overage,
		.overage_per_use = feature->overage_per_use,
		.used_commit = pool.commit,
		.used_overage = pool.overage,
	};
	memcpy(out->id, feature->id, sizeof out->id);
	memcpy(out->name, feature->name, sizeof out->name);
	memcpy(out->currency, feature->currency, sizeof out->currency);
	return 0;
}

/* The license may be in a cache: its list is not the reply's. */
static int
copy_classes(struct record_list *classes, struct arena *arena)
{
	if (classes->count == 0)
		return 0;
	classes->items = arena_copy(arena, classes->items,
	    classes->count * sizeof(struct license_class));
	return classes->items != NULL ? 0 : ERR_NOMEM;
}

static int
view_classes(struct license_view *out, struct arena *arena)
{
	int err = copy_classes(&out->terms.borrow_classes, arena);

	return err == 0 ? copy_classes(&out->terms.classes, arena) : err;
}

static int
view_features(struct license_view *out, const struct state *state,
    const struct state_license *license, struct arena *arena)
{
	const struct record_list *from = &license->document.features;
	const struct license_feature *features = from->items;
	struct license_feature_view *items;
	int err = 0;

	if (from->count == 0)
		return 0;
	items = arena_alloc(arena, from->count * sizeof *items);
	if (items == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < from->count && err == 0; i++)
		err = view_feature(&items[i], state, license->license,
		    &features[i]);
	out->features = (struct record_list){ items, from->count };
	return err;
}

int
view_license(struct license_view *out, const struct state *state,
    const struct state_license *license, int64_t now_ms, struct arena *arena)
{
	const struct license *terms = &license->document;
	int64_t start = (int64_t)terms->contract.start_date * DAY_MS;
	const char *phase = now_ms < start         ? "not_yet"
	    : now_ms < license_contract_end(terms) ? "active"
	    : now_ms < license_grants_until(terms) ? "overrun"
						   : "expired";
	struct state_status status;
	struct state_pool pool;
	int err =
	    state_pool(&pool, state, (struct pool_id){ license->license, 0 });

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct license_view){ .license = license->license,
		.serial = terms->serial,
		.vendor = terms->vendor,
		.product = terms->product,
		.entitlement = terms->entitlement,
		.contract = terms->contract,
		.terms = terms->terms,
		.used_commit = pool.commit,
		.used_overage = pool.overage,
		.overage_checkouts = pool.overage_checkouts };
	memcpy(out->license_id, terms->license_id, sizeof out->license_id);
	memcpy(out->digest, license->digest, sizeof out->digest);
	snprintf(out->state, sizeof out->state, "%s", phase);
	err = state_status(&status, state, license->license);
	if (err != 0)
		return err;
	snprintf(out->status, sizeof out->status, "%s",
	    license_status_names[state_status_at(&status, terms, now_ms)]);
	err = view_classes(out, arena);
	return err == 0 ? view_features(out, state, license, arena) : err;
}

static int
query_license(struct query *q)
{
	const struct license_number *request = q->request;
	const struct state_license *license;
	int err = state_license(&license, &q->view->state, request->license,
	    q->arena);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no license %" PRIu64, request->license);
	return err != 0 ? err
			: view_license(q->reply, &q->view->state, license,
			      q->now_ms, q->arena);
}

static int
query_licenses(struct query *q)
{
	const struct license_query *request = q->request;
	struct license_page *out = q->reply;
	uint64_t end = q->view->state.counters.next_license;
	uint32_t limit = query_limit(request->limit), n = 0;
	struct license_view *items =
	    arena_alloc(q->arena, limit * sizeof *items);
	int err = 0;

	if (items == NULL)
		return ERR_NOMEM;
	for (uint64_t at = request->after + 1;
	     at < end && n < limit && err == 0; at++) {
		struct license_number number = { at };
		struct query one = *q;

		one.request = &number;
		one.reply = &items[n++];
		err = query_license(&one);
	}
	out->items = (struct record_list){ items, n };
	if (request->after + n + 1 < end)
		out->next = request->after + n;
	return err;
}

static int
query_license_file(struct query *q)
{
	const struct license_ref *request = q->request;
	struct license_file *out = q->reply;
	struct state_document document;
	int err = state_document(&document, &q->view->state, request->digest);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "no license with this digest was ever installed here");
	if (err != 0)
		return err;
	out->issuer.data =
	    arena_copy(q->arena, document.issuer.data, document.issuer.len);
	out->issuer.len = document.issuer.len;
	out->license.data =
	    arena_copy(q->arena, document.token.data, document.token.len);
	out->license.len = document.token.len;
	return out->issuer.data != NULL && out->license.data != NULL
	    ? 0
	    : ERR_NOMEM;
}

/* --- journal, subjects ------------------------------------------------- */

static int
query_batches(struct query *q)
{
	const struct batch_query *request = q->request;
	struct batch_page *out = q->reply;
	uint64_t end = q->view->state.counters.batches, at = request->from;
	uint32_t limit = query_limit(request->limit), n = 0;
	struct ledger_beginning beginning;
	size_t bytes = 0;
	struct batch_item *items = arena_alloc(q->arena, limit * sizeof *items);

	if (items == NULL)
		return ERR_NOMEM;
	int gone = ledger_beginning(&beginning, q->view);

	if (gone != 0)
		return gone;
	if (at < beginning.batch)
		return query_refuse(q->problem, ERR_GONE,
		    "batches before %" PRIu64 " were given up; ask from there",
		    beginning.batch);
	for (; at < end && n < limit; at++) {
		struct record_span blob;
		int err = state_batch(&blob, &q->view->state, at);

		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
		if (n > 0 && bytes + blob.len > PAGE_BYTES)
			break;
		bytes += blob.len;
		items[n] = (struct batch_item){ .batch = at };
		items[n].blob.data = arena_copy(q->arena, blob.data, blob.len);
		items[n].blob.len = blob.len;
		if (items[n++].blob.data == NULL)
			return ERR_NOMEM;
	}
	out->items = (struct record_list){ items, n };
	out->next = at < end ? at : 0;
	return 0;
}

static int
query_subject(struct query *q)
{
	const struct subject_ref *request = q->request;
	struct subject_view *out = q->reply;
	struct subject subject;
	int err = subject_get(&subject, &q->view->state, q->view->ledger->keys,
	    request->subject);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no such subject, or it was erased");
	if (err != 0)
		return err;
	*out = (struct subject_view){ .kind = subject.kind };
	memcpy(out->subject, subject.id, sizeof out->subject);
	snprintf(out->value, sizeof out->value, "%s", subject.value);
	return 0;
}

/* --- the table --------------------------------------------------------- */

static const struct {
	uint32_t op;
	size_t reply_size;
	int (*query)(struct query *q);
} queries[] = {
	{ OP_SITE_SHOW, sizeof(struct site_view), query_site },
	{ OP_LICENSE_LIST, sizeof(struct license_page), query_licenses },
	{ OP_LICENSE_SHOW, sizeof(struct license_view), query_license },
	{ OP_LICENSE_GET, sizeof(struct license_file), query_license_file },
	{ OP_SEAT_LICENSE, sizeof(struct license_file), query_license_file },
	{ OP_SYNC_STATUS, sizeof(struct sync_status), query_sync },
	{ OP_POLICY_SHOW, sizeof(struct policy_view), query_policy },
	{ OP_POLICY_VERSION, sizeof(struct policy_view), query_policy_version },
	{ OP_POLICY_LIST, sizeof(struct policy_page), query_policies },
	{ OP_LEASE_LIST, sizeof(struct lease_page), query_leases },
	{ OP_LEASE_SHOW, sizeof(struct lease_view), query_lease },
	{ OP_BORROW_LIST, sizeof(struct borrow_page), query_borrows },
	{ OP_BORROW_SHOW, sizeof(struct borrow_view), query_borrow },
	{ OP_JOIN_LIST, sizeof(struct join_page), query_joins },
	{ OP_KEY_LIST, sizeof(struct key_page), query_keys },
	{ OP_KEY_SHOW, sizeof(struct key_details), query_key },
	{ OP_DEVICE_LIST, sizeof(struct device_page), query_devices },
	{ OP_DEVICE_SHOW, sizeof(struct device_view), query_device },
	{ OP_JOURNAL_BATCHES, sizeof(struct batch_page), query_batches },
	{ OP_USER_LIST, sizeof(struct user_page), query_users },
	{ OP_USER_SHOW, sizeof(struct user_view), query_user },
	{ OP_SUBJECT_SHOW, sizeof(struct subject_view), query_subject },
	{ OP_PERSON_FIND, sizeof(struct person_page), query_person },
	{ OP_PERSON_EXPORT, sizeof(struct person_data), query_person_data },
	{ OP_ERASURE_LIST, sizeof(struct erasure_page), query_erasures },
	{ OP_ALERT_LIST, sizeof(struct alert_page), query_alerts },
	{ OP_ALERT_SHOW, sizeof(struct alert_view), query_alert },
	{ OP_CHANNEL_LIST, sizeof(struct channel_page), query_channels },
	{ OP_OUTBOX_LIST, sizeof(struct delivery_page), query_deliveries },
	{ OP_HUB_PACKAGE, sizeof(struct license_file), query_hub_package },
	{ OP_HUB_LICENSE_LIST, sizeof(struct hub_license_page),
	    query_hub_licenses },
	{ OP_HUB_LICENSE_SHOW, sizeof(struct hub_license_view),
	    query_hub_license },
	{ OP_HUB_STATISTICS, sizeof(struct hub_statistics),
	    query_hub_statistics },
	{ OP_CUSTOMER_SEARCH, sizeof(struct customer_found), query_hub_search },
	{ OP_CUSTOMER_LIST, sizeof(struct customer_page), query_hub_customers },
	{ OP_CUSTOMER_SHOW, sizeof(struct customer_view), query_hub_customer },
	{ OP_HUB_SITE_SHOW, sizeof(struct hub_site_shown), query_hub_site },
	{ OP_HUB_SITE_LIST, sizeof(struct hub_site_page), query_hub_sites },
	{ OP_HUB_KEY_SHOW, sizeof(struct hub_key_view), query_hub_key },
	{ OP_BILLING_INVOICE_LIST, sizeof(struct billing_invoice_page),
	    query_hub_invoices },
	{ OP_BILLING_CREDIT_LIST, sizeof(struct billing_credit_page),
	    query_hub_credits },
	{ OP_HUB_IMAGE_LIST, sizeof(struct hub_image_page), query_hub_images },
	{ OP_USAGE_CURRENT, sizeof(struct usage_current), query_usage },
	{ OP_USAGE_ALERTS, sizeof(struct alert_page), query_usage_alerts },
};

int
ledger_query(void *reply, struct ledger_view *view, uint32_t op,
    const void *request, int64_t now_ms, struct arena *arena,
    struct problem *problem)
{
	struct query q = { reply, view, request, now_ms, arena, problem };

	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		if (queries[i].op != op)
			continue;
		memset(reply, 0, queries[i].reply_size);
		memset(problem, 0, sizeof *problem);
		int err = queries[i].query(&q);

		if (err != 0 && problem->code[0] == '\0')
			query_refuse(problem, err, "%s", err_str(err));
		return err;
	}
	return query_refuse(problem, ERR_BAD_REQUEST,
	    "operation %u is no query of the ledger", op);
}
