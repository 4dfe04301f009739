#include "appliance/ledger/linger.h"

#include "appliance/ledger/slots.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <string.h>

/* Keys are (until, license, slot): what is due first comes first. */
#define KEY_BYTES 20

static void
linger_key(uint8_t key[KEY_BYTES], int64_t until, uint64_t license,
    uint32_t slot)
{
	be64_write(key, (uint64_t)until);
	be64_write(key + 8, license);
	be32_write(key + 16, slot);
}

int
linger_add(struct state *state, int64_t until, uint64_t license, uint32_t slot)
{
	static const uint8_t format = 1;
	uint8_t key[KEY_BYTES];
	struct state_usage usage;
	int err = state_usage(&usage, state, license);

	if (err != 0)
		return err;
	usage.lingering++;
	err = state_usage_put(state, license, &usage);
	if (err != 0)
		return err;
	state->counters.lingering++;
	linger_key(key, until, license, slot);
	return store_put(&state->txn, STORE_LINGER, key, sizeof key, &format,
	    sizeof format);
}

/* The first entry, when it is due. */
struct first {
	int64_t now;
	uint8_t key[KEY_BYTES];
	bool due;
};

static int
first_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct first *first = ctx;

	(void)value;
	if (key->len != KEY_BYTES)
		return ERR_CORRUPT;
	memcpy(first->key, key->data, KEY_BYTES);
	first->due = (int64_t)be64_read(first->key) <= first->now;
	return 1; /* one is enough */
}

static int
linger_end_one(struct state *state, const uint8_t key[KEY_BYTES])
{
	uint64_t license = be64_read(key + 8);
	struct state_usage usage;
	int err = state_usage(&usage, state, license);

	if (err != 0 || usage.lingering == 0)
		return err != 0 && err != ERR_NOT_FOUND_INTERNAL ? err
								 : ERR_CORRUPT;
	usage.lingering--;
	err = state_usage_put(state, license, &usage);
	if (err == 0)
		err = slots_give(state, license, be32_read(key + 16));
	if (err == 0)
		err = store_delete(&state->txn, STORE_LINGER, key, KEY_BYTES);
	if (err == 0)
		state->counters.lingering--;
	return err;
}

int
linger_end(struct state *state, int64_t now)
{
	while (state->counters.lingering > 0) {
		struct first first = { .now = now };
		int err = store_each(&state->txn, STORE_LINGER, NULL, 0,
		    first_one, &first);

		if (err == 0) {
			log_error("linger", "a lingering slot is missing");
			return ERR_CORRUPT;
		}
		if (err != 1)
			return err;
		if (!first.due)
			return 0;
		err = linger_end_one(state, first.key);
		if (err != 0)
			return err;
	}
	return 0;
}

struct linger_walk {
	int (*each)(void *ctx, uint64_t license, uint32_t slot);
	void *ctx;
};

static int
linger_each_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	const struct linger_walk *walk = ctx;
	const uint8_t *k = key->data;

	(void)value;
	if (key->len != KEY_BYTES)
		return ERR_CORRUPT;
	return walk->each(walk->ctx, be64_read(k + 8), be32_read(k + 16));
}

int
linger_each(const struct state *state,
    int (*each)(void *ctx, uint64_t license, uint32_t slot), void *ctx)
{
	struct linger_walk walk = { each, ctx };

	return store_each(&state->txn, STORE_LINGER, NULL, 0, linger_each_one,
	    &walk);
}

struct over {
	uint64_t license;
	int64_t now;
	uint32_t slots;
};

static int
over_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct over *over = ctx;
	const uint8_t *k = key->data;

	(void)value;
	if (key->len != KEY_BYTES)
		return ERR_CORRUPT;
	if ((int64_t)be64_read(k) > over->now)
		return 1; /* and so are all behind it */
	if (be64_read(k + 8) == over->license)
		over->slots++;
	return 0;
}

int
linger_over(uint32_t *slots, const struct state *state, uint64_t license,
    int64_t now)
{
	struct over over = { .license = license, .now = now };
	int err = state->counters.lingering == 0
	    ? 0
	    : store_each(&state->txn, STORE_LINGER, NULL, 0, over_one, &over);

	*slots = over.slots;
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
