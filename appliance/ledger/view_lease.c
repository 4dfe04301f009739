/* Answers about leases. What a lease is for stands in its row, so a page reads
 * rows batch by batch. See ledger.h. */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Work done for one page, at most: a page ends early when few of many match,
 * so that a reader's snapshot stays short. A lease costs 1, its row ROW_COST.
 */
#define SCAN_MAX 100000
#define ROW_COST 10

/* What is asked for. */
struct filter {
	uint64_t license; /* 0: any */
	uint64_t device;
	const char *feature; /* NULL: any */
	bool by_user, by_host;
	uint8_t user[SUBJECT_BYTES], host[SUBJECT_BYTES];
	/** Whose user or host is one of these; 0: any. */
	const struct row_subject *named;
	uint32_t n_named;
};

/* A page in the making. The last batch read is kept: neighbours share it. */
struct lease_walk {
	struct ledger_view *view;
	struct arena scratch; /* the batch's spans */
	struct journal_batch batch;
	uint64_t batch_number;
	bool batch_read;
	struct filter filter;
	struct lease_view *items;
	uint32_t n, limit, scanned;
	uint64_t last; /* the last lease looked at */
	bool more;
};

static int
walk_row(struct row_lease_granted *grant, struct lease_walk *walk,
    const struct state_lease *lease)
{
	struct row row;

	if (!walk->batch_read || walk->batch_number != lease->batch) {
		struct record_span blob;
		int err = state_batch(&blob, &walk->view->state, lease->batch);

		walk->batch_read = false;
		arena_clear(&walk->scratch);
		if (err == 0)
			err = view_batch(&walk->batch, &blob, &walk->scratch);
		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
		walk->batch_number = lease->batch;
		walk->batch_read = true;
	}
	if (lease->index >= walk->batch.rows.count)
		return ERR_CORRUPT;
	const struct journal_row_bytes *rows = walk->batch.rows.items;
	const struct record_span *bytes = &rows[lease->index].bytes;
	int err = row_read(&row, lease->row_number, bytes->data, bytes->len,
	    &walk->scratch);

	if (err == 0)
		err = row_grant(grant, &row, &walk->scratch);
	return err == ERR_MISMATCH ? ERR_CORRUPT : err;
}

static int
fill_lease(struct lease_view *out, struct ledger_view *view,
    const struct state_lease *lease, const struct row_lease_granted *r)
{
	struct state_device device;
	int err = state_device(&device, &view->state, lease->device);

	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct lease_view){ .lease = lease->lease,
		.count = lease->count,
		.type = lease->overage_count > 0 ? SEAT_OVERAGE : SEAT_COMMIT,
		.slot = lease->slots.first,
		.license = lease->license,
		.device = lease->device,
		.granted_at = lease->granted_at,
		.ttl_s = lease->ttl_s,
		.grace_s = lease->grace_s };
	if (lease_is_borrow(lease)) {
		struct state_borrow borrow;

		err = state_borrow(&borrow, &view->state, lease->device,
		    lease->lease);
		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
		out->until = borrow.until;
	}
	memcpy(out->product, r->product, sizeof out->product);
	memcpy(out->version, r->version, sizeof out->version);
	memcpy(out->feature, r->feature, sizeof out->feature);
	err = view_subject(out->device_name, sizeof out->device_name, view,
	    device.name);
	if (err == 0)
		err = view_subject(out->user, sizeof out->user, view, r->user);
	if (err == 0)
		err = view_subject(out->host, sizeof out->host, view, r->host);
	return err;
}

static bool
is_named(const struct filter *f, const struct row_lease_granted *r)
{
	for (uint32_t i = 0; i < f->n_named; i++) {
		const uint8_t *id = f->named[i].subject;

		if (memcmp(id, r->user, SUBJECT_BYTES) == 0 ||
		    memcmp(id, r->host, SUBJECT_BYTES) == 0)
			return true;
	}
	return f->n_named == 0;
}

/* Into the page, if it is asked for. */
static int
walk_lease(struct lease_walk *walk, const struct state_lease *lease)
{
	const struct filter *f = &walk->filter;
	struct row_lease_granted grant;

	walk->scanned++;
	walk->last = lease->lease;
	if ((f->license != 0 && lease->license != f->license) ||
	    (f->device != 0 && lease->device != f->device) ||
	    (f->feature != NULL && lease->pool == 0))
		return 0;
	walk->scanned += ROW_COST;

	int err = walk_row(&grant, walk, lease);
	const struct row_lease_granted *r = &grant;

	if (err != 0)
		return err;
	if ((f->feature != NULL && strcmp(f->feature, r->feature) != 0) ||
	    (f->by_user && memcmp(f->user, r->user, sizeof f->user) != 0) ||
	    (f->by_host && memcmp(f->host, r->host, sizeof f->host) != 0) ||
	    !is_named(f, r))
		return 0;
	return fill_lease(&walk->items[walk->n++], walk->view, lease, r);
}

static bool
walk_is_full(const struct lease_walk *walk)
{
	return walk->n == walk->limit || walk->scanned >= SCAN_MAX;
}

/* Non-zero ends the walk; `more` says whether that was an error. */
static int
walk_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct lease_walk *walk = ctx;
	struct state_lease lease;

	if (walk_is_full(walk)) {
		walk->more = true;
		return ERR_FULL;
	}
	int err = state_lease_read(&lease, key, value);

	return err == 0 ? walk_lease(walk, &lease) : err;
}

/* ERR_NOT_FOUND_INTERNAL: nothing can match. */
static int
filter_make(struct filter *filter, struct ledger_view *view,
    const struct lease_query *query)
{
	const struct subject_keys *keys = view->ledger->keys;
	int err = 0;

	*filter = (struct filter){ .device = query->device,
		.feature = query->feature[0] != '\0' ? query->feature : NULL,
		.by_user = query->user[0] != '\0',
		.by_host = query->host[0] != '\0' };
	/* A product that is not licensed has no leases, a user who was never
	 * seen none either. */
	if (query->product[0] != '\0')
		err = state_product(&filter->license, &view->state,
		    query->product);
	if (err == 0 && filter->by_user)
		err = subject_find(filter->user, &view->state, keys,
		    SUBJECT_USER, query->user);
	if (err == 0 && filter->by_host)
		err = subject_find(filter->host, &view->state, keys,
		    SUBJECT_HOST, query->host);
	return err;
}

static int
walk_begin(struct lease_walk *walk, struct ledger_view *view,
    const struct lease_query *query, struct arena *arena)
{
	*walk = (struct lease_walk){ .view = view,
		.limit = query_limit(query->limit) };
	walk->items = arena_alloc(arena, walk->limit * sizeof *walk->items);
	return walk->items != NULL ? filter_make(&walk->filter, view, query)
				   : ERR_NOMEM;
}

static void
walk_end(struct lease_page *out, struct lease_walk *walk)
{
	out->items = (struct record_list){ walk->items, walk->n };
	out->next = walk->more ? walk->last : 0;
	arena_release(&walk->scratch);
}

int
query_leases(struct query *q)
{
	const struct lease_query *request = q->request;
	struct lease_walk walk;
	uint8_t from[8];

	if (request->device != 0)
		return ledger_device_leases(q->reply, q->view, request->device,
		    request, q->arena);
	int err = walk_begin(&walk, q->view, request, q->arena);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err != 0)
		return err;
	be64_write(from, request->after + 1);
	err = store_each(&q->view->state.txn, STORE_LEASES, from, sizeof from,
	    walk_one, &walk);
	walk_end(q->reply, &walk);
	return walk.more ? 0 : err;
}

int
view_leases_naming(struct lease_page *out, struct ledger_view *view,
    const struct row_subject *named, uint32_t n, uint64_t after,
    struct arena *arena)
{
	const struct lease_query request = { .after = after };
	struct lease_walk walk;
	uint8_t from[8];
	int err = walk_begin(&walk, view, &request, arena);

	if (err != 0)
		return err;
	walk.filter.named = named;
	walk.filter.n_named = n;
	be64_write(from, after + 1);
	err = store_each(&view->state.txn, STORE_LEASES, from, sizeof from,
	    walk_one, &walk);
	walk_end(out, &walk);
	return walk.more ? 0 : err;
}

int
query_lease(struct query *q)
{
	const struct lease_ref *request = q->request;
	struct lease_walk walk = { .view = q->view };
	struct state_lease lease;
	int err = state_lease(&lease, &q->view->state, request->lease);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		bool was = request->lease > 0 &&
		    request->lease < q->view->state.counters.next_lease;

		return query_refuse(q->problem, was ? ERR_GONE : ERR_NOT_FOUND,
		    was ? "lease-%" PRIu64 " has ended"
			: "there is no lease-%" PRIu64,
		    request->lease);
	}
	struct row_lease_granted grant;

	if (err == 0)
		err = walk_row(&grant, &walk, &lease);
	if (err == 0)
		err = fill_lease(q->reply, q->view, &lease, &grant);
	arena_release(&walk.scratch);
	return err;
}

int
ledger_device_leases(struct lease_page *page, struct ledger_view *view,
    uint64_t device, const struct lease_query *query, struct arena *arena)
{
	struct lease_walk walk;
	uint64_t *leases = NULL;
	size_t n = 0, i = 0;
	int err = walk_begin(&walk, view, query, arena);

	*page = (struct lease_page){ .next = 0 };
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0) {
		leases = malloc(LEDGER_DEVICE_LEASES_MAX * sizeof *leases);
		if (leases == NULL)
			return ERR_NOMEM;
		n = requests_device(leases, LEDGER_DEVICE_LEASES_MAX,
		    view->ledger->requests, device, query->after);
	}
	for (; i < n && err == 0 && !walk_is_full(&walk); i++) {
		struct state_lease lease;

		walk.last = leases[i];
		err = state_lease(&lease, &view->state, leases[i]);
		/* Memory is ahead of the snapshot. */
		if (err == ERR_NOT_FOUND_INTERNAL) {
			err = 0;
			continue;
		}
		/* Its keeper has it by its ticket: borrow.list. */
		if (err == 0 && !lease_is_borrow(&lease))
			err = walk_lease(&walk, &lease);
	}
	walk.more = i < n;
	walk_end(page, &walk);
	free(leases);
	return err;
}
