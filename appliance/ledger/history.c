#include "appliance/ledger/history.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <string.h>

#define KEY_BYTES 9

static void
node_key(uint8_t key[KEY_BYTES], unsigned int level, uint64_t index)
{
	key[0] = (uint8_t)level;
	be64_write(key + 1, index);
}

static int
node_get(uint8_t out[MERKLE_BYTES], void *ctx, unsigned int level,
    uint64_t index)
{
	struct state *state = ctx;
	uint8_t key[KEY_BYTES];
	struct record_span value;

	node_key(key, level, index);

	int err = store_get(&value, &state->txn, STORE_NODES, key, sizeof key);

	if (err == ERR_NOT_FOUND_INTERNAL || (err == 0 && value.len != 32)) {
		log_error("history", "node %u/%llu is missing", level,
		    (unsigned long long)index);
		return ERR_CORRUPT;
	}
	if (err == 0)
		memcpy(out, value.data, MERKLE_BYTES);
	return err;
}

static int
node_put(void *ctx, unsigned int level, uint64_t index,
    const uint8_t hash[MERKLE_BYTES])
{
	struct state *state = ctx;
	uint8_t key[KEY_BYTES];

	node_key(key, level, index);
	return store_put(&state->txn, STORE_NODES, key, sizeof key, hash,
	    MERKLE_BYTES);
}

struct merkle_source
history_source(struct state *state)
{
	return (struct merkle_source){ &merkle_blake2b, state, node_get };
}

int
history_root(uint8_t root[MERKLE_BYTES], struct state *state, uint64_t n)
{
	struct merkle_source source = history_source(state);

	return merkle_source_root(root, &source, n);
}

int
history_append(struct state *state, uint64_t batch, const uint8_t head[32])
{
	struct merkle_source source = history_source(state);
	uint8_t leaf[MERKLE_BYTES];

	journal_head_leaf(leaf, head);
	return merkle_append(&source, node_put, batch, leaf);
}

int
history_frontier(uint8_t *out, size_t *hashes, struct state *state, uint64_t n)
{
	int err = 0;

	*hashes = 0;
	for (unsigned int level = 0; level < 64 && err == 0; level++) {
		uint64_t index = n >> level;

		if ((index & 1) == 0)
			continue;
		err = node_get(out + MERKLE_BYTES * (*hashes)++, state, level,
		    index - 1);
	}
	return err;
}

int
history_copy(struct state *to, struct state *from, uint64_t first, uint64_t end)
{
	struct merkle_source source = history_source(to);
	uint8_t leaf[MERKLE_BYTES];
	int err = 0;

	for (uint64_t i = first; i < end && err == 0; i++) {
		err = node_get(leaf, from, 0, i);
		if (err == 0)
			err = merkle_append(&source, node_put, i, leaf);
	}
	return err;
}

bool
history_is_unknown(const struct journal_known *known)
{
	return known->batch == 0 &&
	    sodium_is_zero(known->head, sizeof known->head);
}

int
history_holds(struct state *state, const struct journal_known *known)
{
	uint8_t leaf[MERKLE_BYTES], ours[MERKLE_BYTES];

	if (known->batch >= state->counters.batches)
		return ERR_ROLLED_BACK;
	int err = node_get(ours, state, 0, known->batch);

	if (err != 0)
		return err;
	journal_head_leaf(leaf, known->head);
	return memcmp(leaf, ours, sizeof leaf) == 0 ? 0 : ERR_ROLLED_BACK;
}

int
history_judge(struct state *state, const struct journal_known *known)
{
	int err = history_holds(state, known);

	return err == ERR_ROLLED_BACK &&
		journal_known_generation(known) < state->counters.generation
	    ? ERR_GONE
	    : err;
}

int
history_prove(struct history_proof *proof, struct state *state, uint64_t early,
    uint64_t late)
{
	struct merkle_source source = history_source(state);

	proof->early = early;
	proof->late = late;
	proof->inclusion_len = proof->consistency_len = 0;
	if (early == late)
		return 0;
	int err = merkle_source_path(proof->inclusion, &proof->inclusion_len,
	    &source, early, late);

	if (err == 0)
		err = merkle_source_consistency(proof->consistency,
		    &proof->consistency_len, &source, early, late);
	return err;
}
