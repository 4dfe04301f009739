#include "appliance/ledger/slots.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES (SLOTS_CHUNK / 8)
#define KEY_BYTES 17

static void
slots_key(uint8_t key[KEY_BYTES], struct pool_id id, unsigned int level,
    uint32_t index)
{
	be64_write(key, id.license);
	be32_write(key + 8, id.pool);
	key[12] = (uint8_t)level;
	be32_write(key + 13, index);
}

/* Borrowed until the next write. A chunk that was never written is empty. */
static int
chunk_borrow(const uint8_t **chunk, const struct state *state,
    struct pool_id id, unsigned int level, uint32_t index)
{
	static const uint8_t empty[CHUNK_BYTES];
	uint8_t key[KEY_BYTES];
	struct record_span value;

	slots_key(key, id, level, index);

	int err = store_get(&value, &state->txn, STORE_SLOTS, key, sizeof key);

	if (err != 0) {
		*chunk = empty;
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	}
	if (value.len != CHUNK_BYTES) {
		log_error("slots", "a stored bitmap is damaged");
		return ERR_CORRUPT;
	}
	*chunk = value.data;
	return 0;
}

static int
chunk_read(uint8_t chunk[CHUNK_BYTES], const struct state *state,
    struct pool_id id, unsigned int level, uint32_t index)
{
	const uint8_t *stored;
	int err = chunk_borrow(&stored, state, id, level, index);

	if (err == 0)
		memcpy(chunk, stored, CHUNK_BYTES);
	return err;
}

static int
chunk_write(struct state *state, struct pool_id id, unsigned int level,
    uint32_t index, const uint8_t chunk[CHUNK_BYTES])
{
	uint8_t key[KEY_BYTES];

	slots_key(key, id, level, index);
	return store_put(&state->txn, STORE_SLOTS, key, sizeof key, chunk,
	    CHUNK_BYTES);
}

/* 64 slots at once, the lowest in the lowest bit. */
static uint64_t
chunk_word(const uint8_t chunk[CHUNK_BYTES], uint32_t word)
{
	uint64_t bits;

	memcpy(&bits, chunk + (size_t)word * 8, sizeof bits);
	return le64toh(bits);
}

static bool
chunk_is_full(const uint8_t chunk[CHUNK_BYTES])
{
	for (uint32_t i = 0; i < SLOTS_CHUNK / 64; i++) {
		if (chunk_word(chunk, i) != UINT64_MAX)
			return false;
	}
	return true;
}

static bool
chunk_has(const uint8_t chunk[CHUNK_BYTES], uint32_t bit)
{
	return (chunk[bit / 8] >> (bit % 8) & 1) != 0;
}

/* The lowest clear bit from `from` on; SLOTS_CHUNK when there is none. */
static uint32_t
chunk_next_clear(const uint8_t chunk[CHUNK_BYTES], uint32_t from)
{
	uint32_t i = from / 64;

	if (from >= SLOTS_CHUNK)
		return SLOTS_CHUNK;
	/* Bits below `from` count as set. */
	uint64_t clear = ~chunk_word(chunk, i) & UINT64_MAX << from % 64;

	while (clear == 0 && ++i < SLOTS_CHUNK / 64)
		clear = ~chunk_word(chunk, i);
	return clear == 0 ? SLOTS_CHUNK
			  : i * 64 + (uint32_t)__builtin_ctzll(clear);
}

/* --- finding ------------------------------------------------------------- */

struct search {
	struct row_slots *runs;
	uint32_t n_runs;
	uint32_t left; /* slots still wanted */
	uint32_t end;
};

static void
search_add(struct search *search, uint32_t slot)
{
	struct row_slots *last = &search->runs[search->n_runs];

	search->left--;
	if (search->n_runs > 0 && last[-1].first + last[-1].count == slot) {
		last[-1].count++;
		return;
	}
	*last = (struct row_slots){ slot, 1 };
	search->n_runs++;
}

/* False when what is free begins at the end. */
static bool
search_chunk(struct search *search, const uint8_t chunk[CHUNK_BYTES],
    uint32_t index)
{
	uint32_t bit = chunk_next_clear(chunk, 0);

	while (bit < SLOTS_CHUNK && search->left > 0) {
		uint64_t slot = (uint64_t)index * SLOTS_CHUNK + bit;

		if (slot >= search->end)
			return false;
		search_add(search, (uint32_t)slot);
		bit = chunk_next_clear(chunk, bit + 1);
	}
	return true;
}

int
slots_find(struct row_slots *runs, uint32_t *n_runs, const struct state *state,
    struct pool_id id, uint32_t count, uint32_t end)
{
	struct search search = { runs, 0, count, end };
	const uint8_t *marks, *chunk;
	uint64_t chunks = ((uint64_t)end + SLOTS_CHUNK - 1) / SLOTS_CHUNK;

	for (uint32_t i = 0; (uint64_t)i * SLOTS_CHUNK < chunks; i++) {
		int err = chunk_borrow(&marks, state, id, 1, i);

		if (err != 0)
			return err;
		uint32_t at = chunk_next_clear(marks, 0);

		for (; at < SLOTS_CHUNK; at = chunk_next_clear(marks, at + 1)) {
			uint32_t index = i * SLOTS_CHUNK + at;

			if (index >= chunks)
				return ERR_NOT_FOUND_INTERNAL;
			err = chunk_borrow(&chunk, state, id, 0, index);
			if (err != 0)
				return err;
			if (!search_chunk(&search, chunk, index))
				return ERR_NOT_FOUND_INTERNAL;
			*n_runs = search.n_runs;
			if (search.left == 0)
				return 0;
		}
	}
	return ERR_NOT_FOUND_INTERNAL;
}

struct counting {
	uint8_t key[KEY_BYTES]; /* where it began */
	uint32_t end;
	uint32_t taken;
};

static int
count_chunk(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct counting *counting = ctx;
	const uint8_t *k = key->data, *chunk = value->data;

	if (key->len != KEY_BYTES || value->len != CHUNK_BYTES)
		return ERR_CORRUPT;
	uint64_t first = (uint64_t)be32_read(k + 13) * SLOTS_CHUNK;

	if (memcmp(k, counting->key, 13) != 0 || first >= counting->end)
		return 1; /* nor is any behind it */
	uint64_t bits = counting->end - first;

	if (bits > SLOTS_CHUNK)
		bits = SLOTS_CHUNK;
	for (uint32_t i = 0; i < bits / 8; i++)
		counting->taken += (uint32_t)__builtin_popcount(chunk[i]);
	if (bits % 8 != 0)
		counting->taken += (uint32_t)__builtin_popcount(
		    chunk[bits / 8] & ((1u << bits % 8) - 1));
	return 0;
}

int
slots_count(uint32_t *taken, const struct state *state, struct pool_id id,
    uint32_t end)
{
	struct counting counting = { .end = end };

	slots_key(counting.key, id, 0, 0);

	int err = store_each(&state->txn, STORE_SLOTS, counting.key, KEY_BYTES,
	    count_chunk, &counting);

	*taken = counting.taken;
	return err == 1 ? 0 : err;
}

int
slots_are_taken(bool *taken, const struct state *state, struct pool_id id,
    const struct row_slots *runs, uint32_t n_runs)
{
	uint8_t chunk[CHUNK_BYTES];
	uint32_t index = UINT32_MAX; /* of the chunk read last */

	*taken = true;
	for (uint32_t i = 0; i < n_runs; i++) {
		for (uint32_t k = 0; k < runs[i].count; k++) {
			uint32_t slot = runs[i].first + k;
			int err = 0;

			if (slot / SLOTS_CHUNK != index)
				err = chunk_read(chunk, state, id, 0,
				    slot / SLOTS_CHUNK);
			if (err != 0)
				return err;
			index = slot / SLOTS_CHUNK;
			*taken = *taken && chunk_has(chunk, slot % SLOTS_CHUNK);
		}
	}
	return 0;
}

/* --- taking and giving --------------------------------------------------- */

static int
mark_chunk(struct state *state, struct pool_id id, uint32_t index, bool full)
{
	uint8_t chunk[CHUNK_BYTES];
	uint8_t bit = (uint8_t)(1u << (index % 8));
	uint32_t byte = index % SLOTS_CHUNK / 8;
	int err = chunk_read(chunk, state, id, 1, index / SLOTS_CHUNK);

	if (err != 0)
		return err;
	chunk[byte] = (uint8_t)(full ? chunk[byte] | bit : chunk[byte] & ~bit);
	return chunk_write(state, id, 1, index / SLOTS_CHUNK, chunk);
}

/* One chunk at a time: runs ascend, so each is read and written once. */
struct change {
	struct state *state;
	struct pool_id id;
	bool take;
	bool open; /* a chunk is in hand */
	uint32_t index;
	bool was_full;
	uint8_t chunk[CHUNK_BYTES];
};

static int
change_close(struct change *c)
{
	if (!c->open)
		return 0;
	c->open = false;

	int err = chunk_write(c->state, c->id, 0, c->index, c->chunk);

	if (err == 0 && c->take && chunk_is_full(c->chunk))
		err = mark_chunk(c->state, c->id, c->index, true);
	if (err == 0 && c->was_full)
		err = mark_chunk(c->state, c->id, c->index, false);
	return err;
}

static int
change_open(struct change *c, uint32_t index)
{
	int err = change_close(c);

	if (err == 0)
		err = chunk_read(c->chunk, c->state, c->id, 0, index);
	if (err != 0)
		return err;
	c->was_full = !c->take && chunk_is_full(c->chunk);
	c->index = index;
	c->open = true;
	return 0;
}

static int
change_slot(struct change *c, uint32_t slot)
{
	uint32_t bit = slot % SLOTS_CHUNK;

	if (!c->open || c->index != slot / SLOTS_CHUNK) {
		int err = change_open(c, slot / SLOTS_CHUNK);

		if (err != 0)
			return err;
	}
	if (chunk_has(c->chunk, bit) == c->take) {
		log_error("slots",
		    "slot %u of license %llu, pool %u is %s "
		    "already",
		    slot, (unsigned long long)c->id.license, c->id.pool,
		    c->take ? "taken" : "free");
		return ERR_CORRUPT;
	}
	c->chunk[bit / 8] ^= (uint8_t)(1u << bit % 8);
	return 0;
}

static int
slots_change(struct state *state, struct pool_id id,
    const struct row_slots *runs, uint32_t n_runs, bool take)
{
	struct change c;
	int err = 0;

	c.state = state;
	c.id = id;
	c.take = take;
	c.open = false;
	for (uint32_t i = 0; i < n_runs; i++)
		for (uint32_t k = 0; k < runs[i].count && err == 0; k++)
			err = change_slot(&c, runs[i].first + k);
	return err == 0 ? change_close(&c) : err;
}

int
slots_take(struct state *state, struct pool_id id, const struct row_slots *runs,
    uint32_t n_runs)
{
	return slots_change(state, id, runs, n_runs, true);
}

int
slots_give(struct state *state, struct pool_id id, const struct row_slots *runs,
    uint32_t n_runs)
{
	return slots_change(state, id, runs, n_runs, false);
}

/* --- checking ------------------------------------------------------------ */

struct slots_walk {
	const struct state *state;
	int (*each)(void *ctx, struct pool_id id, uint32_t taken);
	void *ctx;
	char *error;
	size_t error_size;
};

static int
slots_check_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct slots_walk *walk = ctx;
	const uint8_t *k = key->data, *chunk = value->data;
	uint8_t marks[CHUNK_BYTES];
	uint32_t taken = 0;

	if (key->len != KEY_BYTES || value->len != CHUNK_BYTES) {
		snprintf(walk->error, walk->error_size,
		    "a bitmap of slots has a wrong size");
		return ERR_CORRUPT;
	}
	if (k[12] != 0)
		return 0;
	struct pool_id id = { be64_read(k), be32_read(k + 8) };
	uint32_t index = be32_read(k + 13);
	int err = chunk_read(marks, walk->state, id, 1, index / SLOTS_CHUNK);

	if (err != 0)
		return err;
	bool marked = chunk_has(marks, index % SLOTS_CHUNK);

	if (marked != chunk_is_full(chunk)) {
		snprintf(walk->error, walk->error_size,
		    "license %llu, pool %u: chunk %u of its slots is marked %s",
		    (unsigned long long)id.license, id.pool, index,
		    marked ? "full and is not" : "free and is full");
		return ERR_CORRUPT;
	}
	for (size_t i = 0; i < CHUNK_BYTES; i++)
		taken += (uint32_t)__builtin_popcount(chunk[i]);
	return walk->each(walk->ctx, id, taken);
}

int
slots_check(const struct state *state,
    int (*each)(void *ctx, struct pool_id id, uint32_t taken), void *ctx,
    char *error, size_t error_size)
{
	struct slots_walk walk = { state, each, ctx, error, error_size };

	return store_each(&state->txn, STORE_SLOTS, NULL, 0, slots_check_one,
	    &walk);
}
