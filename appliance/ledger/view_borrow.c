/* Answers about borrows: what people see, and the tickets of a device with all
 * that an application needs to believe them. See ledger.h and borrow.h. */
#include "appliance/ledger/borrow.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"

#include <inttypes.h>
#include <string.h>

/* --- tickets of a device -------------------------------------------------- */

/* Evidence in one page, about; the first one always goes. In base64 it fits a
 * message of 64 KB. */
#define PAGE_BYTES ((size_t)24 << 10)

struct tickets {
	struct ledger_view *view;
	struct arena *arena; /* of the reply */
	struct arena scratch; /* the batch's spans */
	struct tree tree;
	struct borrow_evidence *items;
	uint32_t n;
	size_t bytes;
	uint64_t last; /* the cursor of the last ticket in the page */
	bool more;
};

static int
copy_span(struct record_span *out, const void *data, size_t len,
    struct arena *arena)
{
	*out = (struct record_span){ NULL, (uint32_t)len };
	if (len == 0)
		return 0;
	out->data = arena_copy(arena, data, len);
	return out->data != NULL ? 0 : ERR_NOMEM;
}

/* Row, path and header out of the batch in which the ticket stands. */
static int
fill_evidence(struct borrow_evidence *out, struct tickets *t,
    const struct borrow_ticket_place *place, const struct record_span *blob)
{
	const char *tenant = t->view->ledger->tenant;
	uint8_t path[MERKLE_PATH_MAX][MERKLE_BYTES], root[MERKLE_BYTES];
	struct journal_batch batch;
	int err = view_batch(&batch, blob, &t->scratch);

	if (err == 0 && place->index >= batch.rows.count)
		err = ERR_CORRUPT;
	if (err == 0)
		err = tree_reserve(&t->tree, batch.rows.count);
	if (err != 0)
		return err;
	const struct journal_row_bytes *rows = batch.rows.items;
	const struct record_span *row = &rows[place->index].bytes;

	for (uint32_t i = 0; i < batch.rows.count; i++)
		journal_row_leaf(t->tree.hashes[i], tenant,
		    place->row_number - place->index + i, rows[i].bytes.data,
		    rows[i].bytes.len);
	tree_build(root, &t->tree, batch.rows.count);
	size_t n = tree_path(path, &t->tree, place->index);

	out->row_number = place->row_number;
	err = copy_span(&out->row, row->data, row->len, t->arena);
	if (err == 0)
		err = copy_span(&out->path, path, n * MERKLE_BYTES, t->arena);
	if (err == 0)
		err = copy_span(&out->header, batch.header.data,
		    batch.header.len, t->arena);
	return err;
}

/* The cursor tells both tickets of a borrow apart. */
static int
add_ticket(struct tickets *t, const struct state_borrow *borrow, bool next,
    uint64_t after)
{
	const struct borrow_ticket_place *place =
	    next ? &borrow->next : &borrow->now;
	uint64_t cursor = 2 * borrow->lease + next;
	struct borrow_evidence *item = &t->items[t->n];
	struct record_span blob;

	if (place->epoch == 0 || cursor <= after || t->more)
		return 0;
	if (t->n > 0 && t->bytes > PAGE_BYTES / 2) {
		t->more = true;
		return 0;
	}
	arena_clear(&t->scratch);
	int err = state_batch(&blob, &t->view->state, place->batch);

	if (err == 0)
		err = fill_evidence(item, t, place, &blob);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	item->lease = borrow->lease;
	t->bytes += item->row.len + item->path.len + item->header.len;
	t->last = cursor;
	t->n++;
	return 0;
}

/* Before it is fenced nobody knows how high: any counter is too low. */
static uint64_t
owes(const struct state_borrower *borrower, uint32_t generation)
{
	if (borrower_is_unfenced(borrower, generation))
		return BORROW_COUNTER_MAX;
	return borrower->fence > borrower->owed ? borrower->fence
						: borrower->owed;
}

int
ledger_tickets(struct borrow_tickets *page, struct ledger_view *view,
    uint64_t device, const struct borrow_mine *query, struct arena *arena)
{
	struct state_borrow borrows[BORROW_DEVICE_MAX];
	struct state_borrower borrower;
	struct tickets t = { .view = view, .arena = arena };
	uint32_t n = 0;
	int err = state_borrower(&borrower, &view->state, device);

	if (err == 0)
		err = state_borrows_of(borrows, &n, &view->state, device);
	if (err != 0)
		return err;
	t.items = arena_alloc(arena, (2 * (size_t)n + 1) * sizeof *t.items);
	if (t.items == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n && err == 0; i++) {
		err = add_ticket(&t, &borrows[i], false, query->after);
		if (err == 0)
			err = add_ticket(&t, &borrows[i], true, query->after);
	}
	*page = (struct borrow_tickets){
		.items = { t.items, t.n },
		.next = t.more ? t.last : 0,
		.target = borrower.target,
		.owed = owes(&borrower, view->state.counters.generation),
	};
	tree_release(&t.tree);
	arena_release(&t.scratch);
	return err;
}

/* --- for people ----------------------------------------------------------- */

static int
fill_row(struct borrow_view *out, struct ledger_view *view,
    const struct state_borrow *borrow, struct arena *arena)
{
	struct record_span bytes;
	struct row row;
	int err = view_row(&bytes, &view->state, borrow->now.batch,
	    borrow->now.index, arena);

	if (err == 0)
		err = row_read(&row, borrow->now.row_number, bytes.data,
		    bytes.len, arena);
	if (err == 0 && row.kind != ROW_BORROWED &&
	    row.kind != ROW_BORROW_REISSUED)
		err = ERR_CORRUPT;
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	const struct row_lease_granted *r = &row.u.borrowed.grant;

	memcpy(out->product, r->product, sizeof out->product);
	memcpy(out->version, r->version, sizeof out->version);
	memcpy(out->feature, r->feature, sizeof out->feature);
	out->type = r->type;
	out->class_ = row.u.borrowed.ticket.class_;
	err = view_subject(out->user, sizeof out->user, view, r->user);
	return err == 0
	    ? view_subject(out->host, sizeof out->host, view, r->host)
	    : err;
}

static int
fill_borrow(struct borrow_view *out, struct ledger_view *view,
    const struct state_borrow *borrow, int64_t now_ms)
{
	struct state_borrower borrower;
	struct state_device device;
	struct state_lease lease;
	struct arena arena = { .chunks = NULL };
	int err = state_lease(&lease, &view->state, borrow->lease);

	if (err == 0)
		err = state_device(&device, &view->state, borrow->device);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	err = state_borrower(&borrower, &view->state, borrow->device);
	*out = (struct borrow_view){
		.lease = borrow->lease,
		.count = lease.count,
		.state = borrow->until <= now_ms             ? BORROW_UNPROVEN
		    : borrow_is_returning(borrow, &borrower) ? BORROW_RETURNING
							     : BORROW_LENT,
		.license = borrow->license,
		.device = borrow->device,
		.taken_at = lease.granted_at,
		.until = borrow->until,
		.epoch = borrow_epoch(borrow),
	};
	if (err == 0)
		err = view_subject(out->device_name, sizeof out->device_name,
		    view, device.name);
	if (err == 0)
		err = fill_row(out, view, borrow, &arena);
	arena_release(&arena);
	return err;
}

int
query_borrow(struct query *q)
{
	const struct lease_ref *request = q->request;
	const struct counters *counters = &q->view->state.counters;
	struct state_borrow borrow;
	struct state_lease lease;
	int err = state_lease(&lease, &q->view->state, request->lease);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		bool was =
		    request->lease > 0 && request->lease < counters->next_lease;

		return query_refuse(q->problem, was ? ERR_GONE : ERR_NOT_FOUND,
		    was ? "borrow-%" PRIu64 " has ended"
			: "there is no borrow-%" PRIu64,
		    request->lease);
	}
	if (err == 0 && !lease_is_borrow(&lease))
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "lease-%" PRIu64 " is not borrowed", request->lease);
	if (err == 0)
		err = state_borrow(&borrow, &q->view->state, lease.device,
		    lease.lease);
	return err == 0 ? fill_borrow(q->reply, q->view, &borrow, q->now_ms)
			: err;
}

/* Borrows stand by device, and pages go by their numbers: the numbers of all
 * that fit are sorted first. Few devices borrow. */
#define BORROWS_SCAN_MAX 100000

struct borrow_walk {
	uint64_t license; /* 0: any */
	uint64_t device;
	uint64_t after;
	uint32_t limit;
	struct state_borrow *found; /* the lowest limit + 1, by number */
	uint32_t n;
	uint32_t scanned;
};

static int
walk_borrow(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct borrow_walk *walk = ctx;
	struct state_borrow borrow;
	int err = state_borrow_read(&borrow, key, value);

	if (err != 0)
		return err;
	if (++walk->scanned > BORROWS_SCAN_MAX)
		return ERR_TOO_LARGE;
	if (borrow.lease <= walk->after ||
	    (walk->license != 0 && borrow.license != walk->license) ||
	    (walk->device != 0 && borrow.device != walk->device))
		return 0;
	uint32_t at = walk->n;

	while (at > 0 && walk->found[at - 1].lease > borrow.lease)
		at--;
	if (at > walk->limit)
		return 0;
	if (walk->n <= walk->limit)
		walk->n++;
	memmove(&walk->found[at + 1], &walk->found[at],
	    (walk->n - 1 - at) * sizeof *walk->found);
	walk->found[at] = borrow;
	return 0;
}

int
query_borrows(struct query *q)
{
	const struct borrow_query *request = q->request;
	struct borrow_page *page = q->reply;
	struct borrow_walk walk = { .device = request->device,
		.after = request->after,
		.limit = query_limit(request->limit) };
	int err = 0;

	if (request->product[0] != '\0')
		err = state_product(&walk.license, &q->view->state,
		    request->product);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	walk.found =
	    arena_alloc(q->arena, (walk.limit + 1) * sizeof *walk.found);
	struct borrow_view *items =
	    arena_alloc(q->arena, walk.limit * sizeof *items);

	if (walk.found == NULL || items == NULL)
		return ERR_NOMEM;
	if (err == 0)
		err = store_each(&q->view->state.txn, STORE_BORROWS, NULL, 0,
		    walk_borrow, &walk);
	uint32_t n = walk.n < walk.limit ? walk.n : walk.limit;

	for (uint32_t i = 0; i < n && err == 0; i++)
		err =
		    fill_borrow(&items[i], q->view, &walk.found[i], q->now_ms);
	page->items = (struct record_list){ items, n };
	page->next = walk.n > n ? walk.found[n - 1].lease : 0;
	return err;
}
