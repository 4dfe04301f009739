/* What a device says about its leases without changing who holds them:
 * renewals, its own list. */
#include "appliance/ledger/beat.h"
#include "appliance/ledger/inside.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/base/text.h"

#include <string.h>

struct live_lease *
lease_held_by(const struct request *request, uint64_t number)
{
	struct live_lease *lease =
	    liveness_get(&request->tenant->liveness, number);

	if (lease == NULL || lease->ending != 0 ||
	    lease->device != request->who.id)
		return NULL;
	return lease;
}

void
lease_refuse(struct record_list *refused, uint64_t lease, int err)
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
		struct live_lease *lease =
		    lease_held_by(request, items[i].lease);

		if (lease == NULL) {
			lease_refuse(refused, items[i].lease, ERR_GONE);
			continue;
		}
		/* It runs out, grace included, and its seat comes back at the
		 * deadline. */
		if (contracts_are_over(contracts, lease->license, now)) {
			lease_refuse(refused, items[i].lease,
			    ERR_LICENSE_EXPIRED);
			continue;
		}
		liveness_note(lease, items[i].reports, items[i].active,
		    boottime);
		if (command_take_idle(request->tenant, lease, boottime)) {
			lease_refuse(refused, items[i].lease, ERR_IDLE);
			continue;
		}
		liveness_renew(lease, boottime);
		journal_beat_leaf(leaves + (size_t)32 * n++, lease->lease,
		    items[i].nonce, lease->ttl_s);
	}
	return n;
}

int
lease_sign_beat(struct buf *token, const struct request *request,
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
		rc = lease_sign_beat(&token, request, leaves, accepted);
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
