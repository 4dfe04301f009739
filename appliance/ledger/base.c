#include "appliance/ledger/base.h"

#include "appliance/ledger/codec.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A piece with LMDB's own header fills 16 pages. */
#define CHUNK_BYTES ((size_t)65000)
/* So many go into one transaction, about. */
#define CHUNKS_AT_ONCE 8
/* What one transaction of a load keeps in memory. */
#define LOAD_BYTES ((size_t)16 << 20)
#define KEY_BYTES 12

static const char base_key[] = "base";
static const char dump_title[] = "leasehold.state.v1";

/* --- the dump ------------------------------------------------------------------ */

struct dumping {
	int (*add)(void *ctx, const void *data, size_t len);
	void *ctx;
	const char *table; /* whose name is still to be told; or NULL */
};

static int
add_u32(const struct dumping *dumping, uint32_t value)
{
	uint8_t bytes[4];

	be32_write(bytes, value);
	return dumping->add(dumping->ctx, bytes, sizeof bytes);
}

static int
dump_entry_of(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct dumping *dumping = ctx;
	const char *name = dumping->table;
	int err = 0;

	dumping->table = NULL;
	if (name != NULL)
		err = add_u32(dumping, UINT32_MAX); /* no key is that long */
	if (err == 0 && name != NULL)
		err = dumping->add(dumping->ctx, name, strlen(name) + 1);
	if (err == 0)
		err = add_u32(dumping, key->len);
	if (err == 0)
		err = dumping->add(dumping->ctx, key->data, key->len);
	if (err == 0)
		err = add_u32(dumping, value->len);
	return err == 0 ? dumping->add(dumping->ctx, value->data, value->len)
			: err;
}

/* An empty table says nothing, so one that a later version adds does not make
 * another state of the same journal: what an earlier one signed still holds. */
static int
dump_state(const struct state *state, struct dumping *dumping)
{
	int err = 0;

	for (enum store_table t = 0; t < STORE_TABLES && err == 0; t++) {
		if (!store_table_is_state(t))
			continue;
		dumping->table = store_table_name(t);
		err =
		    store_each(&state->txn, t, NULL, 0, dump_entry_of, dumping);
	}
	return err;
}

static void
hash_begin(crypto_generichash_state *st)
{
	crypto_generichash_init(st, NULL, 0, 32);
	crypto_generichash_update(st, (const uint8_t *)dump_title,
	    sizeof dump_title);
}

static int
hash_add(void *ctx, const void *data, size_t len)
{
	crypto_generichash_update(ctx, data, len);
	return 0;
}

int
ledger_state_hash(uint8_t hash[32], struct journal_header *after,
    uint8_t head[32], struct ledger_view *view)
{
	crypto_generichash_state st;
	struct dumping dumping = { hash_add, &st, NULL };
	struct arena arena = { .chunks = NULL };
	struct record_span token;
	int err = ledger_newest(after, head, &token, view, &arena);

	arena_release(&arena);
	hash_begin(&st);
	if (err == 0)
		err = dump_state(&view->state, &dumping);
	crypto_generichash_final(&st, hash, 32);
	return err;
}

/* --- the pointer --------------------------------------------------------------- */

int
base_get(struct ledger_base *out, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_META, base_key,
	    sizeof base_key);

	*out = (struct ledger_base){ .chunks = 0 };
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
	struct codec_reader r = codec_reader_of(&value);

	out->batch = codec_get_u64(&r);
	codec_get_bytes(out->hash, &r, sizeof out->hash);
	out->chunks = codec_get_u32(&r);
	return codec_end(&r, "base");
}

int
base_put(struct state *state, const struct ledger_base *base)
{
	struct codec_writer w = { .len = 0 };

	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, base->batch);
	codec_put_bytes(&w, base->hash, sizeof base->hash);
	codec_put_u32(&w, base->chunks);
	return store_put(&state->txn, STORE_META, base_key, sizeof base_key,
	    w.data, w.len);
}

int
ledger_base(struct ledger_base *out, struct ledger_view *view)
{
	return base_get(out, &view->state);
}

static void
chunk_key(uint8_t key[KEY_BYTES], uint64_t batch, uint32_t index)
{
	be64_write(key, batch);
	be32_write(key + 8, index);
}

int
base_is_whole(const struct state *state, const struct ledger_base *base)
{
	struct record_span piece;
	uint8_t key[KEY_BYTES];
	int err = 0;

	for (uint32_t i = 0; i < base->chunks && err == 0; i++) {
		chunk_key(key, base->batch, i);
		err =
		    store_get(&piece, &state->txn, STORE_BASE, key, sizeof key);
	}
	return base->chunks == 0 ? ERR_NOT_FOUND_INTERNAL : err;
}

/* --- removing -------------------------------------------------------------------- */

struct removing {
	uint64_t batch;
	bool others;
	size_t n, most;
	uint8_t (*keys)[KEY_BYTES];
};

static int
find_old(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct removing *removing = ctx;

	(void)value;
	if (key->len != KEY_BYTES)
		return ERR_CORRUPT;
	uint64_t batch = be64_read(key->data);

	if (batch == removing->batch ||
	    (batch > removing->batch && !removing->others))
		return 0;
	if (removing->n == removing->most)
		return 1;
	memcpy(removing->keys[removing->n++], key->data, KEY_BYTES);
	return 0;
}

int
base_remove(bool *more, struct store *store, uint64_t batch, bool others,
    size_t most)
{
	struct removing removing = { .batch = batch,
		.others = others,
		.most = most,
		.keys = calloc(most, KEY_BYTES) };
	struct store_txn txn;
	int err =
	    removing.keys == NULL ? ERR_NOMEM : store_begin(&txn, store, true);

	*more = false;
	if (err != 0) {
		free(removing.keys);
		return err;
	}
	err = store_each(&txn, STORE_BASE, NULL, 0, find_old, &removing);
	*more = err == 1;
	if (err == 1)
		err = 0;
	for (size_t i = 0; i < removing.n && err == 0; i++)
		err =
		    store_delete(&txn, STORE_BASE, removing.keys[i], KEY_BYTES);
	free(removing.keys);
	if (err != 0 || removing.n == 0) {
		store_abort(&txn);
		return err;
	}
	return store_commit(&txn);
}

/* --- making ---------------------------------------------------------------------- */

struct making {
	struct store *store;
	struct ledger_base *base;
	crypto_generichash_state st;
	struct buf waiting; /* pieces that are not written yet */
};

static int
write_pieces(struct making *making, bool last)
{
	struct buf *waiting = &making->waiting;
	struct store_txn txn;
	uint8_t key[KEY_BYTES];
	size_t at = 0;
	int err = store_begin(&txn, making->store, true);

	if (err != 0)
		return err;
	while (err == 0 && at < waiting->len &&
	    (last || waiting->len - at >= CHUNK_BYTES)) {
		size_t len = waiting->len - at < CHUNK_BYTES ? waiting->len - at
							     : CHUNK_BYTES;

		chunk_key(key, making->base->batch, making->base->chunks++);
		err = store_put(&txn, STORE_BASE, key, sizeof key,
		    waiting->data + at, len);
		at += len;
	}
	if (err != 0) {
		store_abort(&txn);
		return err;
	}
	memmove(waiting->data, waiting->data + at, waiting->len - at);
	waiting->len -= at;
	return store_commit(&txn);
}

static int
make_add(void *ctx, const void *data, size_t len)
{
	struct making *making = ctx;

	crypto_generichash_update(&making->st, data, len);
	buf_add(&making->waiting, data, len);
	if (making->waiting.failed)
		return ERR_NOMEM;
	return making->waiting.len < CHUNKS_AT_ONCE * CHUNK_BYTES
	    ? 0
	    : write_pieces(making, false);
}

/* What an attempt left that came to nothing. */
static int
remove_orphans(struct store *store, const struct ledger_base *in_use)
{
	uint64_t batch = in_use->chunks != 0 ? in_use->batch : UINT64_MAX;
	bool more = true;
	int err = 0;

	while (err == 0 && more)
		err = base_remove(&more, store, batch, true, CHUNKS_AT_ONCE);
	return err;
}

int
ledger_base_make(struct ledger_base *base, struct row_checkpoint *row,
    struct ledger_view *view)
{
	struct making making = { .store = view->ledger->store, .base = base };
	struct dumping dumping = { make_add, &making, NULL };
	struct arena arena = { .chunks = NULL };
	struct journal_header header;
	struct ledger_base in_use;
	struct record_span token;
	int err = ledger_newest(&header, row->head, &token, view, &arena);

	arena_release(&arena);
	if (err == 0)
		err = base_get(&in_use, &view->state);
	if (err == 0 && in_use.chunks != 0 && in_use.batch == header.batch)
		err = ERR_CONFLICT;
	if (err == 0)
		err = remove_orphans(making.store, &in_use);
	*base = (struct ledger_base){ .batch = header.batch };
	hash_begin(&making.st);
	if (err == 0)
		err = dump_state(&view->state, &dumping);
	if (err == 0)
		err = write_pieces(&making, true);
	crypto_generichash_final(&making.st, base->hash, sizeof base->hash);
	buf_release(&making.waiting);
	row->batch = header.batch;
	memcpy(row->state_hash, base->hash, sizeof row->state_hash);
	return err;
}

/* --- loading --------------------------------------------------------------------- */

struct loading {
	struct store *to;
	const struct ledger_base *base;
	struct store_txn txn;
	enum store_table table;
	struct buf bytes; /* read, and not loaded yet */
	size_t at; /* in them */
	size_t written; /* in this transaction */
};

static int
load_turn(struct loading *loading)
{
	int err = store_commit(&loading->txn);

	loading->written = 0;
	return err == 0 ? store_begin(&loading->txn, loading->to, true) : err;
}

static int
load_put(struct loading *loading, enum store_table table, const void *key,
    size_t key_len, const void *data, size_t len)
{
	int err = store_append(&loading->txn, table, key, key_len, data, len);

	loading->written += key_len + len;
	return err;
}

static bool
left(const struct loading *loading, size_t n)
{
	return loading->bytes.len - loading->at >= n;
}

/* The beginning of a table: its name, with the NUL. 1: not all of it is there. */
static int
load_table(struct loading *loading)
{
	const uint8_t *name = loading->bytes.data + loading->at + 4;
	size_t len = loading->bytes.len - loading->at - 4;
	const uint8_t *end = memchr(name, 0, len);

	if (end == NULL)
		return len > 64 ? ERR_CORRUPT : 1;
	for (enum store_table t = 0; t < STORE_TABLES; t++)
		if (store_table_is_state(t) &&
		    strcmp(store_table_name(t), (const char *)name) == 0) {
			loading->table = t;
			loading->at += 4 + (size_t)(end - name) + 1;
			return 0;
		}
	return ERR_CORRUPT;
}

/* 1: not all of it is there. */
static int
load_one(struct loading *loading)
{
	const uint8_t *at = loading->bytes.data + loading->at;

	if (!left(loading, 4))
		return 1;
	uint32_t key_len = be32_read(at);

	if (key_len == UINT32_MAX)
		return load_table(loading);
	if (loading->table == STORE_TABLES)
		return ERR_CORRUPT;
	if (!left(loading, 8 + (size_t)key_len))
		return 1;
	uint32_t len = be32_read(at + 4 + key_len);

	if (!left(loading, 8 + (size_t)key_len + len))
		return 1;
	loading->at += 8 + (size_t)key_len + len;
	return load_put(loading, loading->table, at + 4, key_len,
	    at + 8 + key_len, len);
}

static int
load_bytes(struct loading *loading, const struct record_span *piece)
{
	struct buf *bytes = &loading->bytes;
	int err = 0;

	if (loading->at > 0)
		memmove(bytes->data, bytes->data + loading->at,
		    bytes->len - loading->at);
	bytes->len -= loading->at;
	loading->at = 0;
	buf_add(bytes, piece->data, piece->len);
	if (bytes->failed)
		return ERR_NOMEM;
	while (err == 0)
		err = load_one(loading);
	return err == 1 ? 0 : err;
}

static int
load_pieces(struct loading *loading, crypto_generichash_state *st,
    const struct state *from)
{
	const struct ledger_base *base = loading->base;
	struct record_span piece;
	uint8_t key[KEY_BYTES];
	int err = 0;

	for (uint32_t i = 0; i < base->chunks && err == 0; i++) {
		chunk_key(key, base->batch, i);
		err =
		    store_get(&piece, &from->txn, STORE_BASE, key, sizeof key);
		if (err != 0)
			return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT
							     : err;
		crypto_generichash_update(st, piece.data, piece.len);
		err = load_put(loading, STORE_BASE, key, sizeof key, piece.data,
		    piece.len);
		if (err == 0)
			err = load_bytes(loading, &piece);
		if (err == 0 && loading->written > LOAD_BYTES)
			err = load_turn(loading);
	}
	return err == 0 && left(loading, 1) ? ERR_CORRUPT : err;
}

int
base_load(struct store *to, const struct ledger_base *base,
    const struct state *from)
{
	struct loading loading = { .to = to,
		.base = base,
		.table = STORE_TABLES };
	crypto_generichash_state st;
	uint8_t hash[32];
	int err = store_begin(&loading.txn, to, true);

	if (err != 0)
		return err;
	hash_begin(&st);
	err = load_pieces(&loading, &st, from);
	crypto_generichash_final(&st, hash, sizeof hash);
	buf_release(&loading.bytes);
	if (err == 0 && memcmp(hash, base->hash, sizeof hash) != 0)
		err = ERR_CORRUPT;
	if (err != 0) {
		store_abort(&loading.txn);
		if (err == ERR_CORRUPT)
			log_error("refold",
			    "the state that the journal rests on is damaged");
		return err;
	}
	return store_commit(&loading.txn);
}
