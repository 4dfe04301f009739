/* Renewals by key: each accepted lease gets a new deadline, and a leaf where a
 * beat is wanted. See by_key.h. */
#include "appliance/ledger/by_key.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <sodium.h>
#include <string.h>

static int
renew_one(struct seat_renewed *out, uint8_t *leaves,
    const struct request *request, const struct seat_renew *renew,
    const char *id)
{
	struct seat_renewed_item *items = out->renewed.items;
	struct live_lease *live;
	int64_t boottime = clock_boottime_ms();
	uint64_t number;

	if (!seat_id_read(&number, id))
		return ERR_BAD_REQUEST;
	live = lease_held_by(request, number);
	if (live == NULL)
		return ERR_GONE;
	if (contracts_are_over(&request->tenant->contracts, live->license,
		process_now(request->process)))
		return ERR_LICENSE_EXPIRED;
	liveness_note(live, renew->active, renew->active, boottime);
	if (command_take_idle(request->tenant, live, boottime))
		return ERR_IDLE;
	liveness_renew(live, boottime);
	journal_beat_leaf(leaves + (size_t)32 * out->renewed.count, number,
	    renew->nonce, live->ttl_s);
	struct seat_renewed_item *item = &items[out->renewed.count++];

	seat_id_write(item->id, number);
	item->ttl_s = live->ttl_s;
	by_key_fill_times(&item->renew_by, &item->expires_at, request->process,
	    live);
	return 0;
}

static void
refuse_renewal(struct seat_renewed *out, const char *id, int err)
{
	struct seat_refused_item *items = out->refused.items;
	struct seat_refused_item *item = &items[out->refused.count++];

	text_copy(item->id, sizeof(item->id), id);
	text_copy(item->code, sizeof(item->code), err_code(err));
}

/* Returns why the first one that is refused is, or 0. */
static int
renew_all(struct seat_renewed *out, uint8_t *leaves,
    const struct request *request, const struct seat_renew *renew)
{
	const struct seat_id *ids = renew->ids.items;
	int first = 0;

	for (uint32_t i = 0; i < renew->ids.count; i++) {
		int rc = renew_one(out, leaves, request, renew, ids[i].id);

		if (rc != 0)
			refuse_renewal(out, ids[i].id, rc);
		if (first == 0)
			first = rc;
	}
	return first;
}

/* With nothing to go on the answer is a problem: who looks at the status alone
 * knows. */
static void
refuse_all(const struct request *request, const struct seat_renewed *out,
    int err)
{
	const struct seat_refused_item *items = out->refused.items;
	struct problem problem;

	if (err == ERR_LICENSE_EXPIRED)
		problem_set(&problem, err,
		    "what is held stays until expires_at",
		    "the contract of the license behind %s is over",
		    items[0].id);
	else if (err == ERR_IDLE)
		problem_set(&problem, err,
		    "say \"active\": true where somebody works with it; take a "
		    "new one: POST /api/v1/licenses/checkout",
		    "%s was taken back: it lay idle for longer than the site's "
		    "policy lets it",
		    items[0].id);
	else if (err == ERR_BAD_REQUEST)
		by_key_refuse_field(&problem, "ids",
		    "no lease: \"lease-1042\"");
	else
		problem_set(&problem, err,
		    "take a new one: POST /api/v1/licenses/checkout",
		    "this key does not hold %s: it has ended, or is another's",
		    items[0].id);
	request_refuse(request, err, &problem);
}

void
by_key_renew(const struct request *request)
{
	struct arena *arena = &request->process->arena;
	const struct seat_renew *renew =
	    by_key_is_one(request) ? request_read(request) : NULL;
	struct seat_renewed out = { 0 };
	struct buf token = { 0 };

	if (renew == NULL)
		return;
	uint32_t n = renew->ids.count;
	uint8_t *leaves = arena_alloc(arena, (size_t)n * 32);

	out.renewed.items =
	    arena_alloc(arena, n * sizeof(struct seat_renewed_item));
	out.refused.items =
	    arena_alloc(arena, n * sizeof(struct seat_refused_item));
	if (leaves == NULL || out.renewed.items == NULL ||
	    out.refused.items == NULL) {
		request_refuse(request, ERR_NOMEM, NULL);
		return;
	}
	int err = renew_all(&out, leaves, request, renew);

	if (out.renewed.count == 0) {
		refuse_all(request, &out, err);
		return;
	}
	err = sodium_is_zero(renew->nonce, sizeof(renew->nonce))
	    ? 0
	    : lease_sign_beat(&token, request, leaves, out.renewed.count);
	out.beat.data = token.data;
	out.beat.len = (uint32_t)token.len;
	if (err == 0)
		request_reply(request, &out);
	else
		request_refuse(request, err, NULL);
	buf_release(&token);
}
