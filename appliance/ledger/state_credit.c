#include "appliance/ledger/credits.h"

#include "appliance/ledger/borrow.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <string.h>

/* Customer, number, and (at a site) the vendor's id. */
#define KEY_MAX (8 + 8 + 64)

static size_t
write_key(uint8_t key[KEY_MAX], uint64_t customer, uint64_t number,
    const char *vendor)
{
	const size_t len = strlen(vendor);

	be64_write(key, customer);
	be64_write(key + 8, number);
	memcpy(key + 16, vendor, len);
	return 16 + len;
}

static int
read_credit(struct row_credit *out, const struct record_span *value)
{
	struct arena arena = { .chunks = NULL };
	int err = record_read_msgpack(out, &row_credit_record, value->data,
	    value->len, NULL, &arena, NULL);

	arena_release(&arena);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

int
state_credit(struct row_credit *out, const struct state *state,
    uint64_t customer, uint64_t number, const char *vendor)
{
	struct record_span value;
	uint8_t key[KEY_MAX];
	size_t len = write_key(key, customer, number, vendor);
	int err = store_get(&value, &state->txn, STORE_CREDITS, key, len);

	return err == 0 ? read_credit(out, &value) : err;
}

struct walk {
	uint64_t customer;
	int (*each)(void *ctx, const struct row_credit *credit);
	void *ctx;
	int err; /* that it said */
};

static int
walk_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walk *walk = ctx;
	struct row_credit credit;

	if (key->len < 16 || be64_read(key->data) != walk->customer)
		return 1; /* it is the next one's */
	walk->err = read_credit(&credit, value);
	if (walk->err == 0)
		walk->err = walk->each(walk->ctx, &credit);
	return walk->err != 0;
}

int
state_each_credit(const struct state *state, uint64_t customer,
    int (*each)(void *ctx, const struct row_credit *credit), void *ctx)
{
	struct walk walk = { customer, each, ctx, 0 };
	uint8_t from[8];

	be64_write(from, customer);
	int err = store_each(&state->txn, STORE_CREDITS, from, sizeof from,
	    walk_one, &walk);

	return err == 1 ? walk.err : err;
}

int
state_credit_put(struct state *state, const struct row_credit *credit)
{
	struct buf bytes = { .data = NULL };
	uint8_t key[KEY_MAX];
	size_t len =
	    write_key(key, credit->customer, credit->number, credit->vendor);

	record_write_msgpack(&bytes, &row_credit_record, credit);
	int err = bytes.failed ? ERR_NOMEM
			       : store_put(&state->txn, STORE_CREDITS, key, len,
				     bytes.data, bytes.len);

	buf_release(&bytes);
	return err;
}

int
fold_credit_taken(struct state *state, const struct row *row)
{
	const struct row_credit *r = &row->u.credit;
	struct row_credit known;
	int err = state_credit(&known, state, 0, r->number, r->vendor);

	if (err == 0)
		return fold_contradicted(row, "the credit was taken before");
	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	if (r->customer != 0 || r->vendor[0] == '\0')
		return fold_contradicted(row, "it is no credit of a site");
	return state_credit_put(state, r);
}
