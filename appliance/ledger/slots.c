#include "appliance/ledger/slots.h"

#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES (SLOTS_CHUNK / 8)
#define KEY_BYTES 13

static void
slots_key(uint8_t key[KEY_BYTES], uint64_t license, unsigned int level,
    uint32_t index)
{
	be64_write(key, license);
	key[8] = (uint8_t)level;
	be32_write(key + 9, index);
}

/* A chunk that was never written is empty. */
static int
chunk_read(uint8_t chunk[CHUNK_BYTES], const struct state *state,
    uint64_t license, unsigned int level, uint32_t index)
{
	uint8_t key[KEY_BYTES];
	struct record_span value;

	slots_key(key, license, level, index);

	int err = store_get(&value, &state->txn, STORE_SLOTS, key, sizeof key);

	if (err == ERR_NOT_FOUND_INTERNAL) {
		memset(chunk, 0, CHUNK_BYTES);
		return 0;
	}
	if (err != 0)
		return err;
	if (value.len != CHUNK_BYTES) {
		log_error("slots", "a stored bitmap is damaged");
		return ERR_CORRUPT;
	}
	memcpy(chunk, value.data, CHUNK_BYTES);
	return 0;
}

static int
chunk_write(struct state *state, uint64_t license, unsigned int level,
    uint32_t index, const uint8_t chunk[CHUNK_BYTES])
{
	uint8_t key[KEY_BYTES];

	slots_key(key, license, level, index);
	return store_put(&state->txn, STORE_SLOTS, key, sizeof key, chunk,
	    CHUNK_BYTES);
}

static bool
chunk_is_full(const uint8_t chunk[CHUNK_BYTES])
{
	for (size_t i = 0; i < CHUNK_BYTES; i++) {
		if (chunk[i] != 0xff)
			return false;
	}
	return true;
}

/* The lowest clear bit; SLOTS_CHUNK when there is none. */
static uint32_t
chunk_lowest_clear(const uint8_t chunk[CHUNK_BYTES])
{
	for (uint32_t i = 0; i < CHUNK_BYTES; i++) {
		if (chunk[i] != 0xff)
			return i * 8 +
			    (uint32_t)__builtin_ctz(~(unsigned int)chunk[i]);
	}
	return SLOTS_CHUNK;
}

int
slots_lowest_free(uint32_t *slot, const struct state *state, uint64_t license,
    uint32_t end)
{
	uint8_t chunk[CHUNK_BYTES];
	uint64_t marks = ((uint64_t)end + SLOTS_CHUNK - 1) / SLOTS_CHUNK;

	for (uint32_t i = 0; (uint64_t)i * SLOTS_CHUNK < marks; i++) {
		int err = chunk_read(chunk, state, license, 1, i);

		if (err != 0)
			return err;
		uint32_t at = chunk_lowest_clear(chunk);

		if (at == SLOTS_CHUNK)
			continue;
		uint32_t index = i * SLOTS_CHUNK + at;

		err = chunk_read(chunk, state, license, 0, index);
		if (err != 0)
			return err;
		uint64_t found =
		    (uint64_t)index * SLOTS_CHUNK + chunk_lowest_clear(chunk);

		if (found >= end)
			return ERR_NOT_FOUND_INTERNAL;
		*slot = (uint32_t)found;
		return 0;
	}
	return ERR_NOT_FOUND_INTERNAL;
}

static int
mark_chunk(struct state *state, uint64_t license, uint32_t index, bool full)
{
	uint8_t chunk[CHUNK_BYTES];
	uint8_t bit = (uint8_t)(1u << (index % 8));
	uint32_t byte = index % SLOTS_CHUNK / 8;
	int err = chunk_read(chunk, state, license, 1, index / SLOTS_CHUNK);

	if (err != 0)
		return err;
	chunk[byte] = (uint8_t)(full ? chunk[byte] | bit : chunk[byte] & ~bit);
	return chunk_write(state, license, 1, index / SLOTS_CHUNK, chunk);
}

static int
slots_set(struct state *state, uint64_t license, uint32_t slot, bool take)
{
	uint8_t chunk[CHUNK_BYTES];
	uint8_t bit = (uint8_t)(1u << (slot % 8));
	uint32_t byte = slot % SLOTS_CHUNK / 8;
	uint32_t index = slot / SLOTS_CHUNK;
	int err = chunk_read(chunk, state, license, 0, index);

	if (err != 0)
		return err;
	if (((chunk[byte] & bit) != 0) == take) {
		log_error("slots", "slot %u of license %llu is %s already",
		    slot, (unsigned long long)license, take ? "taken" : "free");
		return ERR_CORRUPT;
	}
	bool was_full = !take && chunk_is_full(chunk);

	chunk[byte] ^= bit;
	err = chunk_write(state, license, 0, index, chunk);
	if (err == 0 && take && chunk_is_full(chunk))
		err = mark_chunk(state, license, index, true);
	if (err == 0 && was_full)
		err = mark_chunk(state, license, index, false);
	return err;
}

int
slots_take(struct state *state, uint64_t license, uint32_t slot)
{
	return slots_set(state, license, slot, true);
}

int
slots_give(struct state *state, uint64_t license, uint32_t slot)
{
	return slots_set(state, license, slot, false);
}

int
slots_is_taken(bool *taken, const struct state *state, uint64_t license,
    uint32_t slot)
{
	uint8_t chunk[CHUNK_BYTES];
	int err = chunk_read(chunk, state, license, 0, slot / SLOTS_CHUNK);

	if (err == 0)
		*taken = (chunk[slot % SLOTS_CHUNK / 8] >> (slot % 8) & 1) != 0;
	return err;
}

struct slots_walk {
	const struct state *state;
	int (*each)(void *ctx, uint64_t license, uint32_t taken);
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
	if (k[8] != 0)
		return 0;
	uint64_t license = be64_read(k);
	uint32_t index = be32_read(k + 9);
	int err =
	    chunk_read(marks, walk->state, license, 1, index / SLOTS_CHUNK);

	if (err != 0)
		return err;
	bool marked = (marks[index % SLOTS_CHUNK / 8] >> (index % 8) & 1) != 0;

	if (marked != chunk_is_full(chunk)) {
		snprintf(walk->error, walk->error_size,
		    "license %llu: chunk %u of its slots is marked %s",
		    (unsigned long long)license, index,
		    marked ? "full and is not" : "free and is full");
		return ERR_CORRUPT;
	}
	for (size_t i = 0; i < CHUNK_BYTES; i++)
		taken += (uint32_t)__builtin_popcount(chunk[i]);
	return walk->each(walk->ctx, license, taken);
}

int
slots_check(const struct state *state,
    int (*each)(void *ctx, uint64_t license, uint32_t taken), void *ctx,
    char *error, size_t error_size)
{
	struct slots_walk walk = { state, each, ctx, error, error_size };

	return store_each(&state->txn, STORE_SLOTS, NULL, 0, slots_check_one,
	    &walk);
}
