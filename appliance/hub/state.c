/* What a hub knows, as values of its tables; see hub.h. */
#include "appliance/hub/hub.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <stdio.h>
#include <string.h>

static const char *const state_names[] = { "ordered", "awaiting_site", "issued",
	"suspended", "cancelled", NULL };

static const struct record_field hub_account_fields[] = {
	R_U64(hub_account, keys, 0, U53_MAX, 0, "Keys that were made."),
	R_U64(hub_account, issuing, 0, U53_MAX, 0, "That which issues."),
	R_U64(hub_account, credits, 0, U53_MAX, RECORD_OPTIONAL,
	    "Credits that were given."),
	R_TIME(hub_account, credited_at, RECORD_OPTIONAL, "The last one."),
};
RECORD_DEFINE(hub_account, 1, "Keys and numbers of an account.");

static const struct record_field hub_customer_fields[] = {
	R_STRUCT(hub_customer, row, &row_customer_record, 0, "As it is."),
	R_TIME(hub_customer, added_at, 0, "Since then,"),
	R_TIME(hub_customer, changed_at, 0, "and so since then."),
	R_U64(hub_customer, orders, 0, U53_MAX, 0, "So many orders."),
};
RECORD_DEFINE(hub_customer, 1, "A customer.");

static const struct record_field hub_site_fields[] = {
	R_STRUCT(hub_site, row, &row_site_bound_record, 0, "As it came."),
	R_TIME(hub_site, at, 0, "When."),
	R_U64(hub_site, sequence, 0, U53_MAX, 0, "Its last report,"),
	R_U64(hub_site, batch, 0, U53_MAX, 0, "where that ends,"),
	R_FIXED(hub_site, head, 0, "with that head,"),
	R_FIXED(hub_site, history, 0, "that history,"),
	R_U32(hub_site, generation, 0, UINT32_MAX, 0, "in that generation,"),
	R_TIME(hub_site, time, 0, "at that time,"),
	R_U64(hub_site, overage, 0, U53_MAX, 0, "with that running total,"),
	R_TIME(hub_site, reported_at, 0, "and when it was taken."),
};
RECORD_DEFINE(hub_site, 1, "A site of a customer.");

static const struct record_field hub_order_fields[] = {
	R_STRUCT(hub_order, row, &row_license_ordered_record, 0,
	    "As it was ordered."),
	R_TIME(hub_order, at, 0, "When."),
	R_ENUM(hub_order, state, state_names, 0, "What became of it."),
	R_U64(hub_order, serial, 0, U53_MAX, 0, "In force."),
	R_U64(hub_order, site, 0, U53_MAX, 0, "Its site."),
	R_U64(hub_order, revision, 0, U53_MAX, 0, "Its last one."),
	R_STRUCT(hub_order, contract, &license_contract_record, 0,
	    "Of the serial in force."),
	R_TIME(hub_order, issued_at, 0, "First."),
	R_TIME(hub_order, changed_at, 0, "Last."),
	R_TIME(hub_order, revised_at, RECORD_OPTIONAL, "Last change."),
};
RECORD_DEFINE(hub_order, 1, "A license that was ordered.");

/* --- values ------------------------------------------------------------------- */

static size_t
write_key(uint8_t key[16], uint64_t number, uint64_t second)
{
	be64_write(key, number);
	be64_write(key + 8, second);
	return second != 0 ? 16 : 8;
}

static int
read_value(void *out, const struct record *record,
    const struct record_span *value, struct arena *arena)
{
	int err = record_read_msgpack(out, record, value->data, value->len,
	    NULL, arena, NULL);

	if (err == 0 || err == ERR_NOMEM)
		return err;
	log_error("hub", "a stored %s does not read", record->name);
	return ERR_CORRUPT;
}

int
hub_get(void *out, const struct state *state, enum store_table table,
    uint64_t number, uint64_t second, const struct record *record,
    struct arena *arena)
{
	struct record_span value;
	uint8_t key[16];
	size_t len = write_key(key, number, second);
	int err = store_get(&value, &state->txn, table, key, len);

	return err != 0 ? err : read_value(out, record, &value, arena);
}

int
hub_put(struct state *state, enum store_table table, uint64_t number,
    uint64_t second, const struct record *record, const void *value)
{
	struct buf bytes = { 0 };
	uint8_t key[16];
	size_t len = write_key(key, number, second);

	record_write_msgpack(&bytes, record, value);
	int err = bytes.failed
	    ? ERR_NOMEM
	    : store_put(&state->txn, table, key, len, bytes.data, bytes.len);

	buf_release(&bytes);
	return err;
}

int
hub_last(uint64_t *number, const struct state *state, enum store_table table)
{
	struct record_span key, value;
	int err = store_last(&key, &value, &state->txn, table);

	*number = 0;
	if (err == 0 && key.len >= 8)
		*number = be64_read(key.data);
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

uint64_t
hub_next(uint64_t last, int64_t at, const struct state *state)
{
	const struct counters *counters = &state->counters;

	return counters->generation <= 1 || at > counters->generation_at
	    ? last + 1
	    : generation_skip(last + 1, HUB_SKIP, counters->generation);
}

int
hub_account(struct hub_account *out, const struct state *state)
{
	struct arena none = { .chunks = NULL };
	int err = hub_get(out, state, STORE_HUB_ACCOUNT, HUB_ACCOUNT_STATE, 0,
	    &hub_account_record, &none);

	if (err != ERR_NOT_FOUND_INTERNAL)
		return err;
	*out = (struct hub_account){ .keys = 0 };
	return 0;
}

int
hub_key(struct row_account_key *out, const struct state *state, uint64_t key,
    struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_ACCOUNT, HUB_ACCOUNT_KEY, key,
	    &row_account_key_record, arena);
}

int
hub_issuer(struct row_account_issuer *out, const struct state *state,
    uint64_t key, struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_ACCOUNT, HUB_ACCOUNT_ISSUER, key,
	    &row_account_issuer_record, arena);
}

int
hub_customer(struct hub_customer *out, const struct state *state,
    uint64_t customer, struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_CUSTOMERS, customer, 0,
	    &hub_customer_record, arena);
}

int
hub_site(struct hub_site *out, const struct state *state, uint64_t site,
    struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_SITES, site, 0, &hub_site_record,
	    arena);
}

int
hub_order(struct hub_order *out, const struct state *state, uint64_t order,
    struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_ORDERS, order, 0,
	    &hub_order_record, arena);
}

int
hub_issued(struct row_license_issued *out, const struct state *state,
    uint64_t order, uint64_t serial, struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_ISSUED, order, serial,
	    &row_license_issued_record, arena);
}

int
hub_revision(struct row_license_revised *out, const struct state *state,
    uint64_t order, uint64_t revision, struct arena *arena)
{
	return hub_get(out, state, STORE_HUB_REVISED, order, revision,
	    &row_license_revised_record, arena);
}

int
hub_next_customer(uint64_t *number, const struct state *state,
    struct arena *arena)
{
	struct hub_customer newest = { .added_at = 0 };
	uint64_t last;
	int err = hub_last(&last, state, STORE_HUB_CUSTOMERS);

	if (err == 0 && last > 0)
		err = hub_customer(&newest, state, last, arena);
	*number = err == 0 ? hub_next(last, newest.added_at, state) : 0;
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* --- names and lists --------------------------------------------------------- */

#define NAME_MAX_BYTES 192

static size_t
name_key(uint8_t key[NAME_MAX_BYTES], enum hub_name kind, const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_MAX_BYTES - 1)
		len = NAME_MAX_BYTES - 1;
	key[0] = (uint8_t)kind;
	memcpy(key + 1, name, len);
	return 1 + len;
}

int
hub_name(uint64_t *number, const struct state *state, enum hub_name kind,
    const char *name)
{
	uint8_t key[NAME_MAX_BYTES];
	struct record_span value;
	size_t len = name_key(key, kind, name);
	int err = store_get(&value, &state->txn, STORE_HUB_NAMES, key, len);

	if (err == 0 && value.len != 8)
		return ERR_CORRUPT;
	if (err == 0)
		*number = be64_read(value.data);
	return err;
}

int
hub_name_put(struct state *state, enum hub_name kind, const char *name,
    uint64_t number)
{
	uint8_t key[NAME_MAX_BYTES], value[8];
	size_t len = name_key(key, kind, name);

	be64_write(value, number);
	return store_put(&state->txn, STORE_HUB_NAMES, key, len, value,
	    sizeof value);
}

int
hub_list_put(struct state *state, char list, uint64_t customer, uint64_t number)
{
	uint8_t key[17];

	key[0] = (uint8_t)list;
	write_key(key + 1, customer, number);
	return store_put(&state->txn, STORE_HUB_NAMES, key, sizeof key, "", 0);
}

struct walk {
	uint8_t from[17];
	int (*each)(void *ctx, uint64_t number);
	void *ctx;
};

/* 1 ends it: what follows is of another customer. */
static int
walk_one(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct walk *walk = ctx;

	(void)value;
	if (key->len != sizeof walk->from ||
	    memcmp(key->data, walk->from, 9) != 0)
		return 1;
	return walk->each(walk->ctx, be64_read((const uint8_t *)key->data + 9));
}

static int
walk_list(const struct state *state, char list, uint64_t customer,
    uint64_t after, int (*each)(void *ctx, uint64_t number), void *ctx)
{
	struct walk walk = { .each = each, .ctx = ctx };

	walk.from[0] = (uint8_t)list;
	be64_write(walk.from + 1, customer);
	be64_write(walk.from + 9, after + 1);
	int err = store_each(&state->txn, STORE_HUB_NAMES, walk.from,
	    sizeof walk.from, walk_one, &walk);

	return err == 1 ? 0 : err;
}

int
hub_each_order(const struct state *state, uint64_t customer, uint64_t after,
    int (*each)(void *ctx, uint64_t order), void *ctx)
{
	return walk_list(state, HUB_LIST_ORDERS, customer, after, each, ctx);
}

int
hub_each_site(const struct state *state, uint64_t customer, uint64_t after,
    int (*each)(void *ctx, uint64_t site), void *ctx)
{
	return walk_list(state, HUB_LIST_SITES, customer, after, each, ctx);
}

struct naming {
	int (*each)(void *ctx, uint64_t customer);
	void *ctx;
	bool over; /* what comes is no customer's */
};

static int
each_name(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct naming *naming = ctx;

	naming->over = *(const uint8_t *)key->data != HUB_NAME_CRM;
	if (naming->over)
		return 1;
	return value->len == 8
	    ? naming->each(naming->ctx, be64_read(value->data))
	    : ERR_CORRUPT;
}

int
hub_each_customer(const struct state *state,
    int (*each)(void *ctx, uint64_t customer), void *ctx)
{
	static const uint8_t from = HUB_NAME_CRM;
	struct naming naming = { each, ctx, false };
	int err = store_each(&state->txn, STORE_HUB_NAMES, &from, 1, each_name,
	    &naming);

	return naming.over ? 0 : err;
}

/* --- for sync -------------------------------------------------------------------- */

int
hub_site_by_id(struct hub_site *out, const struct state *state,
    const char *site, const char *tenant, struct arena *arena)
{
	char name[160];
	uint64_t number;

	snprintf(name, sizeof name, "%s/%s", site, tenant);
	int err = hub_name(&number, state, HUB_NAME_SITE, name);

	return err != 0 ? err : hub_site(out, state, number, arena);
}

struct of_order {
	uint64_t order;
	int (*revised)(void *ctx, const struct row_license_revised *revision);
	int (*issued)(void *ctx, const struct row_license_issued *issued);
	void *ctx;
	bool over; /* what comes is another order's */
	struct arena arena;
};

static int
each_of_order(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct of_order *of = ctx;
	struct row_license_revised revision;
	struct row_license_issued issued;
	int err;

	of->over = key->len != 16 || be64_read(key->data) != of->order;
	if (of->over)
		return 1;
	arena_clear(&of->arena);
	if (of->issued != NULL) {
		err = read_value(&issued, &row_license_issued_record, value,
		    &of->arena);
		return err == 0 ? of->issued(of->ctx, &issued) : err;
	}
	err = read_value(&revision, &row_license_revised_record, value,
	    &of->arena);
	return err == 0 && revision.token.len > 0
	    ? of->revised(of->ctx, &revision)
	    : err;
}

/* By the number of both: they go up, and may have gaps (hub_next()). */
static int
walk_order(const struct state *state, enum store_table table, uint64_t after,
    struct of_order *of)
{
	uint8_t from[16];

	be64_write(from, of->order);
	be64_write(from + 8, after + 1);
	int err = store_each(&state->txn, table, from, sizeof from,
	    each_of_order, of);

	arena_release(&of->arena);
	return of->over ? 0 : err;
}

int
hub_each_revision(const struct state *state, uint64_t order, uint64_t after,
    int (*each)(void *ctx, const struct row_license_revised *revision),
    void *ctx)
{
	struct of_order of = { .order = order, .revised = each, .ctx = ctx };

	return walk_order(state, STORE_HUB_REVISED, after, &of);
}

int
hub_each_issued(const struct state *state, uint64_t order,
    int (*each)(void *ctx, const struct row_license_issued *issued), void *ctx)
{
	struct of_order of = { .order = order, .issued = each, .ctx = ctx };

	return walk_order(state, STORE_HUB_ISSUED, 0, &of);
}

int
hub_site_keys(struct site_keys *keys, const struct hub_site *site)
{
	const struct license_request *request = &site->row.request;

	*keys = site_keys_one(request->site_key);
	if (request->succession.count == 0)
		return 0;
	int err =
	    succession_keys(keys, request->site, NULL, &request->succession);

	/* Whatever a stranger's request says of its past: the key it is signed
	 * with is the one. */
	if (err == 0 &&
	    memcmp(site_keys_last(keys), request->site_key, 32) == 0)
		return 0;
	*keys = site_keys_one(request->site_key);
	return err == ERR_NOMEM ? err : 0;
}
