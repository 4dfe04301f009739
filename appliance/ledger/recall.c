/* Building the memory of requests anew when a ledger opens: from the leases
 * held, and from the newest rows for those that have ended. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

/* Rows looked at for ended leases, at most: bounds the time of a start. */
#define RECALL_ROWS_MAX ((uint64_t)4 * LEDGER_ENDED_MAX)

struct recall {
	struct requests *requests;
	struct request *ended; /* newest first */
	size_t n, max;
	uint64_t rows_left;
	struct arena arena;
};

static int
recall_held(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct requests *requests = ctx;
	struct state_lease lease;
	int err = state_lease_read(&lease, key, value);

	if (err != 0)
		return err;
	struct request request = { .device = lease.device,
		.lease = lease.lease };

	memcpy(request.request, lease.request, sizeof request.request);
	memcpy(request.digest, lease.request_digest, sizeof request.digest);
	err = requests_grant(requests, &request);
	/* They are in the store: there is nothing to take back. */
	requests_keep(requests);
	return err;
}

static int
recall_row(struct recall *recall, const struct journal_row_bytes *bytes,
    const struct state *state)
{
	const uint8_t *data = bytes->bytes.data;
	struct row_lease_granted grant;
	const struct row_lease_granted *r = &grant;
	struct state_lease held;
	struct row row;

	/* Only grants are read whole. */
	if (bytes->bytes.len < 2 ||
	    (be16_read(data) != ROW_LEASE_GRANTED &&
		be16_read(data) != ROW_LEASE_ADOPTED &&
		be16_read(data) != ROW_BORROWED))
		return 0;
	int err = row_read(&row, 0, data, bytes->bytes.len, &recall->arena);

	if (err == 0)
		err = row_grant(&grant, &row, &recall->arena);
	if (err != 0)
		return err;

	err = state_lease(&held, state, r->lease);
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	struct request *request = &recall->ended[recall->n++];

	request->device = r->device;
	request->lease = r->lease;
	memcpy(request->request, r->request, sizeof request->request);
	memcpy(request->digest, r->request_digest, sizeof request->digest);
	return 0;
}

static int
recall_batch(struct recall *recall, const struct state *state, uint64_t number)
{
	struct journal_batch batch;
	struct record_span blob;
	int err = state_batch(&blob, state, number);

	/* The journal before a checkpoint may have been pruned. */
	if (err == ERR_NOT_FOUND_INTERNAL) {
		recall->rows_left = 0;
		return 0;
	}
	if (err == 0)
		err = view_batch(&batch, &blob, &recall->arena);
	if (err != 0)
		return err;
	const struct journal_row_bytes *rows = batch.rows.items;
	uint32_t i = batch.rows.count;

	while (i > 0 && err == 0 && recall->n < recall->max &&
	    recall->rows_left > 0) {
		recall->rows_left--;
		err = recall_row(recall, &rows[--i], state);
	}
	arena_clear(&recall->arena);
	return err;
}

/* An id forgotten once may have been used again since: the lease held counts.
 */
static int
recall_one_ended(struct requests *requests, const struct request *ended)
{
	struct request known;

	if (requests_find(&known, requests, ended->device, ended->request) &&
	    !known.ended)
		return 0;
	int err = requests_grant(requests, ended);

	if (err == 0)
		err = requests_end(requests, ended->lease);
	requests_keep(requests);
	return err;
}

static int
recall_ended(struct recall *recall, const struct state *state)
{
	uint64_t number = state->counters.batches;
	uint64_t ended = state->counters.totals.ends;
	int err = 0;

	if (recall->max > ended)
		recall->max = (size_t)ended;
	recall->ended = calloc(recall->max + 1, sizeof *recall->ended);
	if (recall->ended == NULL)
		return ERR_NOMEM;
	while (number > 0 && err == 0 && recall->n < recall->max &&
	    recall->rows_left > 0)
		err = recall_batch(recall, state, --number);
	/* Oldest first, so that they are forgotten in that order. */
	for (size_t i = recall->n; i > 0 && err == 0; i--)
		err = recall_one_ended(recall->requests, &recall->ended[i - 1]);
	free(recall->ended);
	return err;
}

int
recall_requests(struct ledger *ledger, const struct state *state)
{
	struct recall recall = { .requests = ledger->requests,
		.max = requests_ended_max(ledger->requests),
		.rows_left = RECALL_ROWS_MAX };
	int err = store_each(&state->txn, STORE_LEASES, NULL, 0, recall_held,
	    ledger->requests);

	if (err == 0)
		err = recall_ended(&recall, state);
	arena_release(&recall.arena);
	return err;
}
