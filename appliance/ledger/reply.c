/* Evidence for those who were granted a lease: row, path, header, and that the
 * journal goes on from what they knew. See core.h. */
#include "appliance/ledger/core.h"
#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

/* What one reply is put together from; all borrowed. */
struct evidence {
	struct record_span row;
	struct record_span header;
	uint8_t path[MERKLE_PATH_MAX][MERKLE_BYTES];
	size_t path_len;
	uint64_t batch;
	const struct history_proof *proof; /* NULL: nothing was known */
};

static struct record_span
put(uint8_t **at, const void *data, size_t len)
{
	struct record_span span = { *at, (uint32_t)len };

	if (len == 0)
		return (struct record_span){ NULL, 0 };
	memcpy(*at, data, len);
	*at += len;
	return span;
}

/* One piece of memory holds all of a reply. */
static int
fill(struct command *command, const struct evidence *e)
{
	struct checkout_reply *reply = &command->reply.checkout;
	size_t inclusion = 0, consistency = 0;
	size_t path = e->path_len * MERKLE_BYTES;

	if (e->proof != NULL) {
		inclusion = e->proof->inclusion_len * MERKLE_BYTES;
		consistency = e->proof->consistency_len * MERKLE_BYTES;
	}
	uint8_t *at = arena_alloc(&command->arena,
	    e->row.len + e->header.len + path + inclusion + consistency);

	if (at == NULL)
		return ERR_NOMEM;
	reply->row = put(&at, e->row.data, e->row.len);
	reply->header = put(&at, e->header.data, e->header.len);
	reply->path = put(&at, e->path, path);
	if (e->proof != NULL) {
		reply->inclusion = put(&at, e->proof->inclusion, inclusion);
		reply->consistency =
		    put(&at, e->proof->consistency, consistency);
	}
	return 0;
}

/* What the application knew, against the batch it gets: a retry may get an
 * older one than it knows, then the proof runs the other way. */
static int
prove_known(struct evidence *e, struct batch *batch,
    const struct command *command)
{
	const struct checkout *request = command->request;
	uint64_t known = request->known.batch;
	uint64_t early = known < e->batch ? known : e->batch;
	uint64_t late = known < e->batch ? e->batch : known;
	size_t i = (size_t)(early % BATCH_PROOFS);
	struct history_proof *proof = batch->proofs[i];

	e->proof = NULL;
	if (history_is_unknown(&request->known))
		return 0;
	/* Of a branch that was abandoned there is nothing to prove. */
	if (journal_known_generation(&request->known) <
	    batch->state.counters.generation) {
		int err = history_judge(&batch->state, &request->known);

		if (err != 0)
			return err == ERR_GONE ? 0 : err;
	}
	if (proof == NULL) {
		proof = batch->proofs[i] = calloc(1, sizeof *proof);
		if (proof == NULL)
			return ERR_NOMEM;
	}
	if (!batch->proof_made[i] || proof->early != early ||
	    proof->late != late) {
		batch->proof_made[i] = false;
		int err = history_prove(proof, &batch->state, early, late);

		if (err != 0)
			return err;
		batch->proof_made[i] = true;
	}
	e->proof = proof;
	return 0;
}

static int
reply_fresh(struct batch *batch, const struct batch_grant *grant)
{
	struct evidence e = { .batch = grant->batch };

	e.row = batch->spans[grant->index].bytes;
	e.header = (struct record_span){ batch->token.data,
		(uint32_t)batch->token.len };
	e.path_len = tree_path(e.path, &batch->tree, grant->index);
	int err = prove_known(&e, batch, grant->command);

	return err == 0 ? fill(grant->command, &e) : err;
}

/* A grant of an earlier batch: its tree is built again from the journal. */
static int
reply_old(struct batch *batch, const struct batch_grant *grant)
{
	struct ledger *ledger = batch->ledger;
	struct evidence e = { .batch = grant->batch };
	const struct checkout_reply *reply = &grant->command->reply.checkout;
	struct journal_batch stored;
	struct record_span blob;
	uint8_t root[MERKLE_BYTES];
	int err = state_batch(&blob, &batch->state, grant->batch);

	arena_clear(&ledger->old_arena);
	if (err == 0)
		err = view_batch(&stored, &blob, &ledger->old_arena);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	if (grant->index >= stored.rows.count)
		return ERR_CORRUPT;
	err = tree_reserve(&ledger->old_tree, stored.rows.count);
	if (err != 0)
		return err;
	const struct journal_row_bytes *rows = stored.rows.items;
	uint64_t first = reply->row_number - grant->index;

	for (uint32_t i = 0; i < stored.rows.count; i++)
		journal_row_leaf(ledger->old_tree.hashes[i], ledger->tenant,
		    first + i, rows[i].bytes.data, rows[i].bytes.len);
	tree_build(root, &ledger->old_tree, stored.rows.count);
	e.row = rows[grant->index].bytes;
	e.header = stored.header;
	e.path_len = tree_path(e.path, &ledger->old_tree, grant->index);
	err = prove_known(&e, batch, grant->command);
	return err == 0 ? fill(grant->command, &e) : err;
}

int
reply_grants(struct batch *batch)
{
	int err = 0;

	for (size_t i = 0; i < batch->n_grants && err == 0; i++) {
		const struct batch_grant *grant = &batch->grants[i];

		err = grant->batch == batch->place.batch
		    ? reply_fresh(batch, grant)
		    : reply_old(batch, grant);
	}
	return err;
}
