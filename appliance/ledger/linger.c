#include "appliance/ledger/linger.h"

#include "appliance/ledger/codec.h"
#include "appliance/ledger/pools.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

/* Keys are (until, license, pool, first slot), values how many slots: what is
 * due first comes first. */
#define KEY_BYTES 24

static void
linger_key(uint8_t key[KEY_BYTES], int64_t until, struct pool_id id,
    uint32_t first)
{
	be64_write(key, (uint64_t)until);
	be64_write(key + 8, id.license);
	be32_write(key + 16, id.pool);
	be32_write(key + 20, first);
}

/* An entry, whole. */
struct entry {
	uint8_t key[KEY_BYTES];
	int64_t until;
	struct pool_id id;
	struct row_slots slots;
};

static int
entry_read(struct entry *entry, const struct record_span *key,
    const struct record_span *value)
{
	struct codec_reader r = codec_reader_of(value);
	const uint8_t *k = key->data;

	if (key->len != KEY_BYTES)
		return ERR_CORRUPT;
	memcpy(entry->key, k, KEY_BYTES);
	entry->until = (int64_t)be64_read(k);
	entry->id = (struct pool_id){ be64_read(k + 8), be32_read(k + 16) };
	entry->slots.first = be32_read(k + 20);
	entry->slots.count = codec_get_u32(&r);
	return codec_end(&r, "lingering slot");
}

int
linger_add(struct state *state, int64_t until, struct pool_id id,
    const struct row_slots *slots)
{
	uint8_t key[KEY_BYTES];
	struct codec_writer w = { .len = 0 };

	state->counters.lingering++;
	linger_key(key, until, id, slots->first);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u32(&w, slots->count);
	return store_put(&state->txn, STORE_LINGER, key, sizeof key, w.data,
	    w.len);
}

static int
first_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	int err = entry_read(ctx, key, value);

	return err != 0 ? err : 1; /* one is enough */
}

static int
linger_end_one(struct state *state, const struct entry *entry)
{
	int err = pool_free_lingering(state, entry->id, &entry->slots);

	if (err == 0)
		err = store_delete(&state->txn, STORE_LINGER, entry->key,
		    KEY_BYTES);
	if (err == 0)
		state->counters.lingering--;
	return err;
}

int
linger_end(struct state *state, int64_t now)
{
	while (state->counters.lingering > 0) {
		struct entry first;
		int err = store_each(&state->txn, STORE_LINGER, NULL, 0,
		    first_one, &first);

		if (err == 0) {
			log_error("linger", "a lingering slot is missing");
			return ERR_CORRUPT;
		}
		if (err != 1)
			return err;
		if (first.until > now)
			return 0;
		err = linger_end_one(state, &first);
		if (err != 0)
			return err;
	}
	return 0;
}

struct linger_walk {
	int (
	    *each)(void *ctx, struct pool_id id, const struct row_slots *slots);
	void *ctx;
};

static int
linger_each_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct linger_walk *walk = ctx;
	struct entry entry;
	int err = entry_read(&entry, key, value);

	return err != 0 ? err : walk->each(walk->ctx, entry.id, &entry.slots);
}

int
linger_each(const struct state *state,
    int (*each)(void *ctx, struct pool_id id, const struct row_slots *slots),
    void *ctx)
{
	struct linger_walk walk = { each, ctx };

	return store_each(&state->txn, STORE_LINGER, NULL, 0, linger_each_one,
	    &walk);
}

struct over {
	struct pool_id id;
	int64_t now;
	uint32_t end;
	uint32_t slots, below;
};

static int
over_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct over *over = ctx;
	struct entry entry;
	int err = entry_read(&entry, key, value);

	if (err != 0)
		return err;
	if (entry.until > over->now)
		return 1; /* and so are all behind it */
	if (entry.id.license == over->id.license &&
	    entry.id.pool == over->id.pool) {
		over->slots += entry.slots.count;
		over->below += row_slots_below(&entry.slots, 1, over->end);
	}
	return 0;
}

int
linger_over(uint32_t *slots, uint32_t *below, const struct state *state,
    struct pool_id id, uint32_t end, int64_t now)
{
	struct over over = { .id = id, .now = now, .end = end };
	int err = state->counters.lingering == 0
	    ? 0
	    : store_each(&state->txn, STORE_LINGER, NULL, 0, over_one, &over);

	*slots = over.slots;
	*below = over.below;
	return err == 1 ? 0 : err;
}

int
linger_last(int64_t *until, const struct state *state)
{
	struct record_span key, value;
	int err = store_last(&key, &value, &state->txn, STORE_LINGER);

	*until = 0;
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && key.len != KEY_BYTES)
		err = ERR_CORRUPT;
	if (err == 0)
		*until = (int64_t)be64_read(key.data);
	return err;
}
