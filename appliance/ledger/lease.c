/* What a device says about its leases without changing who holds them:
 * renewals, reattachment, its own list. */
#include "appliance/ledger/beat.h"
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <string.h>

/* The lease, if this device holds it and nothing that ends it is on its way. */
static struct live_lease *
held_by(const struct request *request, uint64_t number)
{
	struct live_lease *lease =
	    liveness_get(&request->tenant->liveness, number);

	if (lease == NULL || lease->ending != 0 ||
	    lease->device != request->who.id)
		return NULL;
	return lease;
}

static void
refuse_item(struct record_list *refused, uint64_t lease, int err)
{
	struct lease_refused *item =
	    (struct lease_refused *)refused->items + refused->count++;

	item->lease = lease;
	text_copy(item->code, sizeof(item->code), err_code(err));
}

/* --- renewal ------------------------------------------------------------- */

/* Each accepted lease gets a leaf and a new deadline; from here on the span
 * that is about to be signed is believed in. */
static uint32_t
accept_items(uint8_t *leaves, struct record_list *refused,
    const struct request *request, const struct renew *renew)
{
	const struct renew_item *items = renew->leases.items;
	const struct contracts *contracts = &request->tenant->contracts;
	int64_t boottime = clock_boottime_ms();
	int64_t now = process_now(request->process);
	uint32_t n = 0;

	for (uint32_t i = 0; i < renew->leases.count; i++) {
		struct live_lease *lease = held_by(request, items[i].lease);

		if (lease == NULL) {
			refuse_item(refused, items[i].lease, ERR_GONE);
			continue;
		}
		/* It runs out, grace included, and its seat comes back at the
		 * deadline. */
		if (contracts_are_over(contracts, lease->license, now)) {
			refuse_item(refused, items[i].lease,
			    ERR_LICENSE_EXPIRED);
			continue;
		}
		liveness_renew(lease, boottime);
		journal_beat_leaf(leaves + (size_t)32 * n++, lease->lease,
		    items[i].nonce, lease->ttl_s);
	}
	return n;
}

static int
sign_beat(struct buf *token, const struct request *request,
    const uint8_t *leaves, uint32_t count)
{
	struct process *process = request->process;
	struct journal_header newest;
	struct record_span header;
	struct ledger_view *view;
	uint8_t head[32];
	int rc = ledger_view_open(&view, request->tenant->ledger);

	if (rc != 0)
		return rc;
	rc = ledger_newest(&newest, head, &header, view, &process->arena);
	ledger_view_close(view);
	if (rc != 0)
		return rc;
	return beat_sign(token, &newest, head, process_now(process), leaves,
	    count, process->secret);
}

void
lease_renew(const struct request *request)
{
	struct arena *arena = &request->process->arena;
	const struct renew *renew = request_read(request);
	struct renew_reply reply = { 0 };
	struct buf token = { 0 };
	int rc = 0;

	if (renew == NULL)
		return;
	uint32_t n = renew->leases.count;
	uint8_t *leaves = arena_alloc(arena, (size_t)n * 32);

	reply.refused.items =
	    arena_alloc(arena, n * sizeof(struct lease_refused));
	if (leaves == NULL || reply.refused.items == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	uint32_t accepted =
	    accept_items(leaves, &reply.refused, request, renew);

	if (accepted > 0)
		rc = sign_beat(&token, request, leaves, accepted);
	if (rc == 0) {
		reply.beat.data = token.data;
		reply.beat.len = (uint32_t)token.len;
		request_reply(request, &reply);
	} else {
		log_error("ledger", "cannot sign a beat: %s", err_str(rc));
		request_refuse(request, rc, NULL);
	}
	buf_release(&token);
}

/* --- reattachment -------------------------------------------------------- */

/* 0: it goes on; ERR_GONE: not this device's any more; else a fault. A row costs
 * the reading of its batch, so it is looked up `*left` times at most. */
static int
attach_item(const struct request *request, struct ledger_view *view,
    const struct attach_item *item, size_t *left, struct arena *arena)
{
	struct ledger_lease lease;

	if (held_by(request, item->lease) == NULL)
		return ERR_GONE;
	if (*left == 0)
		return ERR_BAD_REQUEST;
	(*left)--;
	arena_clear(arena);
	int rc = ledger_lease(&lease, view, item->lease, arena);

	if (rc != 0)
		return rc;
	if (lease.device != request->who.id ||
	    lease.row_number != item->row_number ||
	    lease.row.len != item->row.len ||
	    memcmp(lease.row.data, item->row.data, item->row.len) != 0)
		return ERR_GONE;
	return 0;
}

void
lease_attach(const struct request *request)
{
	const struct attach *attach = request_read(request);
	struct attach_reply reply = { 0 };
	struct arena scratch = { 0 };
	struct ledger_view *view;

	if (attach == NULL)
		return;
	const struct attach_item *items = attach->leases.items;

	reply.refused.items = arena_alloc(&request->process->arena,
	    attach->leases.count * sizeof(struct lease_refused));
	int rc = reply.refused.items == NULL
	    ? ERR_NOMEM
	    : ledger_view_open(&view, request->tenant->ledger);

	if (rc != 0) {
		request_refuse(request, rc, NULL);
		return;
	}
	/* Twice each: a keeper may have two rows that it takes for one's own.
	 */
	size_t left = 2 *
	    liveness_count_device(&request->tenant->liveness, request->who.id);

	for (uint32_t i = 0; rc == 0 && i < attach->leases.count; i++) {
		rc = attach_item(request, view, &items[i], &left, &scratch);
		if (rc == ERR_GONE) {
			refuse_item(&reply.refused, items[i].lease, rc);
			rc = 0;
		}
	}
	ledger_view_close(view);
	arena_release(&scratch);
	if (rc == 0)
		request_reply(request, &reply);
	else
		request_refuse(request, rc, NULL);
}

/* --- its own list -------------------------------------------------------- */

void
lease_mine(const struct request *request)
{
	const struct lease_query *query = request_read(request);
	struct lease_page page = { 0 };
	struct ledger_view *view;

	if (query == NULL)
		return;
	int rc = ledger_view_open(&view, request->tenant->ledger);

	if (rc == 0) {
		rc = ledger_device_leases(&page, view, request->who.id, query,
		    &request->process->arena);
		ledger_view_close(view);
	}
	if (rc == 0)
		request_reply(request, &page);
	else
		request_refuse(request, rc, NULL);
}
