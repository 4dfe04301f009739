#include "appliance/ledger/idempotency.h"

#include "appliance/ledger/core.h"
#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

/*
 * Three kinds of keys in one table:
 *   1 kind principal id        -> time, sealed: digest, has an answer, answer
 *   2 kind principal time id   -> bytes: the principal's, oldest first
 *   3 kind principal           -> entries, bytes
 *   4 time kind principal id   -> nothing: everybody's, oldest first
 */
enum { BY_ID = 1, BY_AGE, SUMS, BY_TIME };
#define WHO_BYTES 12
#define ID_KEY (1 + WHO_BYTES + IDEMPOTENCY_ID)
#define AGE_KEY (ID_KEY + 8)
#define SUMS_KEY (1 + WHO_BYTES)
#define DIGEST 16
#define INNER (DIGEST + 1) /* before the answer */
#define HEAD_BYTES (8 + SEALED_TEXT_EXTRA + INNER)
/* Old ones of others that one command takes along. */
#define PRUNE_MAX 16

static void
put_be(uint8_t *out, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static uint64_t
get_be(const uint8_t *in, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

static void
who_of(uint8_t who[WHO_BYTES], const struct idempotency *asked)
{
	put_be(who, asked->kind, 4);
	put_be(who + 4, asked->principal, 8);
}

static void
id_key(uint8_t key[ID_KEY], const uint8_t who[WHO_BYTES], const uint8_t *id)
{
	key[0] = BY_ID;
	memcpy(key + 1, who, WHO_BYTES);
	memcpy(key + 1 + WHO_BYTES, id, IDEMPOTENCY_ID);
}

static void
age_key(uint8_t key[AGE_KEY], const uint8_t who[WHO_BYTES], uint64_t time,
    const uint8_t *id)
{
	key[0] = BY_AGE;
	memcpy(key + 1, who, WHO_BYTES);
	put_be(key + 1 + WHO_BYTES, time, 8);
	memcpy(key + 9 + WHO_BYTES, id, IDEMPOTENCY_ID);
}

static void
time_key(uint8_t key[AGE_KEY], const uint8_t who[WHO_BYTES], uint64_t time,
    const uint8_t *id)
{
	key[0] = BY_TIME;
	put_be(key + 1, time, 8);
	memcpy(key + 9, who, WHO_BYTES);
	memcpy(key + 9 + WHO_BYTES, id, IDEMPOTENCY_ID);
}

void
idempotency_init(struct idempotency *out, uint32_t op, uint32_t kind,
    uint64_t principal, const char *key, const void *request, size_t len,
    const struct record *reply)
{
	crypto_generichash_state hash;
	uint8_t number[4];

	*out = (struct idempotency){
		.used = true,
		.op = op,
		.kind = kind,
		.principal = principal,
		.reply = reply,
	};
	crypto_generichash(out->id, sizeof(out->id), (const uint8_t *)key,
	    strlen(key), NULL, 0);
	put_be(number, op, sizeof(number));
	crypto_generichash_init(&hash, NULL, 0, sizeof(out->digest));
	crypto_generichash_update(&hash, number, sizeof(number));
	crypto_generichash_update(&hash, request, len);
	crypto_generichash_final(&hash, out->digest, sizeof(out->digest));
}

bool
idempotency_is_secret(const struct record *reply)
{
	for (size_t i = 0; i < reply->n_fields; i++) {
		const struct record_field *field = &reply->fields[i];

		if ((field->flags & RECORD_SECRET) != 0 ||
		    (field->of != NULL && idempotency_is_secret(field->of)))
			return true;
	}
	return false;
}

/* --- reading ------------------------------------------------------------- */

/* An answer, and what it was asked, may name people: it is sealed as they are.
 * What an erasure has made unreadable was done, and that is all one knows. */
static int
open_entry(enum idempotency_found *found, struct record_span *answer,
    const struct ledger *ledger, const struct idempotency *asked,
    const struct record_span *value, struct arena *arena)
{
	size_t len = value->len - 8 - SEALED_TEXT_EXTRA;
	uint8_t *plain = arena_alloc(arena, len);

	if (plain == NULL)
		return ERR_NOMEM;
	*found = IDEMPOTENCY_GONE;
	if (!sealed_text_open(plain, ledger->sealed, asked->id,
		(const uint8_t *)value->data + 8, value->len - 8))
		return 0;
	if (memcmp(plain, asked->digest, DIGEST) != 0)
		*found = IDEMPOTENCY_OTHER;
	else if (plain[DIGEST] != 0)
		*found = IDEMPOTENCY_SAME;
	*answer = (struct record_span){ plain + INNER, (uint32_t)len - INNER };
	return 0;
}

int
idempotency_find(enum idempotency_found *found, struct record_span *answer,
    const struct ledger *ledger, const struct idempotency *asked,
    int64_t now_ms, struct arena *arena)
{
	uint8_t key[ID_KEY], who[WHO_BYTES];
	struct record_span value;
	struct store_txn txn;
	int err = store_begin(&txn, ledger->store, false);

	*found = IDEMPOTENCY_NEW;
	if (err != 0)
		return err;
	who_of(who, asked);
	id_key(key, who, asked->id);
	err = store_get(&value, &txn, STORE_IDEMPOTENCY, key, sizeof(key));
	if (err == ERR_NOT_FOUND_INTERNAL) {
		store_abort(&txn);
		return 0;
	}
	if (err == 0 && value.len < HEAD_BYTES)
		err = ERR_CORRUPT;
	if (err == 0 &&
	    (int64_t)get_be(value.data, 8) + IDEMPOTENCY_KEEP_MS > now_ms)
		err = open_entry(found, answer, ledger, asked, &value, arena);
	store_abort(&txn);
	return err;
}

/* --- writing ------------------------------------------------------------- */

struct sums {
	uint32_t entries, bytes;
};

static int
read_sums(struct sums *out, const struct state *state,
    const uint8_t who[WHO_BYTES])
{
	uint8_t key[SUMS_KEY] = { SUMS };
	struct record_span value;

	memcpy(key + 1, who, WHO_BYTES);
	*out = (struct sums){ 0 };
	int err =
	    store_get(&value, &state->txn, STORE_IDEMPOTENCY, key, sizeof(key));

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && value.len != 8)
		return ERR_CORRUPT;
	if (err == 0) {
		out->entries = (uint32_t)get_be(value.data, 4);
		out->bytes =
		    (uint32_t)get_be((const uint8_t *)value.data + 4, 4);
	}
	return err;
}

static int
write_sums(const struct state *state, const uint8_t who[WHO_BYTES],
    const struct sums *sums)
{
	uint8_t key[SUMS_KEY] = { SUMS }, value[8];

	memcpy(key + 1, who, WHO_BYTES);
	if (sums->entries == 0) {
		int err = store_delete(&state->txn, STORE_IDEMPOTENCY, key,
		    sizeof(key));

		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	}
	put_be(value, sums->entries, 4);
	put_be(value + 4, sums->bytes, 4);
	return store_put(&state->txn, STORE_IDEMPOTENCY, key, sizeof(key),
	    value, sizeof(value));
}

/* Its three keys, and out of the sums. Absent is as good. */
static int
remove_entry(const struct state *state, const uint8_t who[WHO_BYTES],
    const uint8_t id[IDEMPOTENCY_ID])
{
	uint8_t key[ID_KEY], age[AGE_KEY];
	struct record_span value;
	struct sums sums;

	id_key(key, who, id);
	int err =
	    store_get(&value, &state->txn, STORE_IDEMPOTENCY, key, sizeof(key));

	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err == 0 && value.len < HEAD_BYTES)
		err = ERR_CORRUPT;
	if (err == 0)
		err = read_sums(&sums, state, who);
	if (err != 0)
		return err;
	uint64_t time = get_be(value.data, 8);
	uint32_t bytes = value.len;

	sums.entries -= sums.entries > 0;
	sums.bytes -= bytes < sums.bytes ? bytes : sums.bytes;
	err = store_delete(&state->txn, STORE_IDEMPOTENCY, key, sizeof(key));
	age_key(age, who, time, id);
	if (err == 0)
		err = store_delete(&state->txn, STORE_IDEMPOTENCY, age,
		    sizeof(age));
	time_key(age, who, time, id);
	if (err == 0)
		err = store_delete(&state->txn, STORE_IDEMPOTENCY, age,
		    sizeof(age));
	if (err == 0)
		err = write_sums(state, who, &sums);
	return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
}

/* The first key at or after `from`. */
struct first {
	uint8_t key[AGE_KEY];
	bool found;
};

static int
take_first(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct first *first = ctx;

	(void)value;
	first->found = key->len == AGE_KEY;
	if (first->found)
		memcpy(first->key, key->data, AGE_KEY);
	return 1; /* that was all */
}

static int
find_first(struct first *first, const struct state *state, const uint8_t *from,
    size_t len)
{
	*first = (struct first){ .found = false };
	int err = store_each(&state->txn, STORE_IDEMPOTENCY, from, len,
	    take_first, first);

	return err == 1 ? 0 : err;
}

/* Everybody's that are over, a few at a time. */
static int
prune(const struct state *state, int64_t now_ms)
{
	const uint8_t from[1] = { BY_TIME };
	struct first first;
	int err = 0;

	for (int i = 0; i < PRUNE_MAX && err == 0; i++) {
		err = find_first(&first, state, from, sizeof(from));
		if (err != 0 || !first.found || first.key[0] != BY_TIME ||
		    (int64_t)get_be(first.key + 1, 8) + IDEMPOTENCY_KEEP_MS >
			now_ms)
			break;
		err = remove_entry(state, first.key + 9,
		    first.key + 9 + WHO_BYTES);
	}
	return err;
}

/* The principal's own oldest, until one more fits. */
static int
make_room(const struct state *state, const uint8_t who[WHO_BYTES],
    uint32_t bytes)
{
	uint8_t from[1 + WHO_BYTES] = { BY_AGE };
	struct first first;
	struct sums sums;
	int err;

	memcpy(from + 1, who, WHO_BYTES);
	for (;;) {
		err = read_sums(&sums, state, who);
		if (err != 0 ||
		    (sums.entries < IDEMPOTENCY_MAX &&
			sums.bytes + bytes <= IDEMPOTENCY_BYTES_MAX))
			return err;
		err = find_first(&first, state, from, sizeof(from));
		if (err == 0 &&
		    (!first.found ||
			memcmp(first.key, from, sizeof(from)) != 0))
			err = ERR_CORRUPT;
		if (err == 0)
			err =
			    remove_entry(state, who, first.key + 9 + WHO_BYTES);
		if (err != 0)
			return err;
	}
}

static int
add_entry(const struct state *state, const struct idempotency *asked,
    const uint8_t who[WHO_BYTES], uint64_t time, const struct buf *value)
{
	uint8_t key[ID_KEY], age[AGE_KEY];
	struct sums sums;
	int err = read_sums(&sums, state, who);

	if (err != 0)
		return err;
	sums.entries++;
	sums.bytes += (uint32_t)value->len;
	id_key(key, who, asked->id);
	err = store_put(&state->txn, STORE_IDEMPOTENCY, key, sizeof(key),
	    value->data, value->len);
	age_key(age, who, time, asked->id);
	if (err == 0)
		err = store_put(&state->txn, STORE_IDEMPOTENCY, age,
		    sizeof(age), "", 0);
	time_key(age, who, time, asked->id);
	if (err == 0)
		err = store_put(&state->txn, STORE_IDEMPOTENCY, age,
		    sizeof(age), "", 0);
	return err == 0 ? write_sums(state, who, &sums) : err;
}

int
idempotency_put(struct state *state, const struct sealed_keys *keys,
    struct idempotency *asked, int64_t now_ms, const void *answer, size_t len)
{
	uint8_t who[WHO_BYTES], head[8], inner[INNER];
	struct buf value = { 0 }, plain = { 0 };
	uint64_t time = now_ms > 0 ? (uint64_t)now_ms : 0;

	if (len > IDEMPOTENCY_REPLY_MAX)
		answer = NULL;
	who_of(who, asked);
	put_be(head, time, 8);
	memcpy(inner, asked->digest, DIGEST);
	inner[DIGEST] = answer != NULL;
	buf_add(&plain, inner, sizeof(inner));
	if (answer != NULL)
		buf_add(&plain, answer, len);
	buf_add(&value, head, sizeof(head));
	int err = plain.failed
	    ? ERR_NOMEM
	    : sealed_text_add(&value, keys, asked->id, plain.data, plain.len);

	if (plain.data != NULL)
		sodium_memzero(plain.data, plain.len);
	buf_release(&plain);
	if (err == 0)
		err = remove_entry(state, who, asked->id);

	if (err == 0)
		err = prune(state, now_ms);
	if (err == 0)
		err = make_room(state, who, (uint32_t)value.len);
	if (err == 0)
		err = add_entry(state, asked, who, time, &value);
	buf_release(&value);
	if (err == 0)
		asked->noted = true;
	return err;
}

int
decide_remember(struct batch *batch, struct command *command)
{
	const struct ledger_remember *request = command->request;
	int err = idempotency_put(&batch->state, batch->ledger->sealed,
	    request->asked, batch->place.time, request->answer.data,
	    request->answer.len);

	batch->noted |= err == 0;
	return err;
}
