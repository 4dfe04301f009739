/* Reading API keys: by hash, by number, for people. See ledger_key.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/ledger_key.h"
#include "appliance/ledger/view_query.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Looked at for one page; see view_device.c. */
#define SCAN_MAX 1024

/* --- hashes and scopes ---------------------------------------------------- */

uint8_t *
ledger_key_hashes(const uint8_t tenant_key[32])
{
	uint8_t *secret = sodium_malloc(crypto_generichash_KEYBYTES);

	if (secret == NULL)
		return NULL;
	crypto_kdf_derive_from_key(secret, crypto_generichash_KEYBYTES, 1,
	    "lhapikey", tenant_key);
	sodium_mprotect_readonly(secret);
	return secret;
}

void
ledger_key_hash(uint8_t hash[KEY_HASH_BYTES], const struct ledger *ledger,
    const char *text, size_t len)
{
	crypto_generichash(hash, KEY_HASH_BYTES, (const uint8_t *)text, len,
	    ledger->key_hashes, crypto_generichash_KEYBYTES);
}

void
key_scopes_write(char out[256], scope_set scopes)
{
	size_t len = 0;

	out[0] = '\0';
	for (enum scope scope = 0; scope < SCOPE_COUNT; scope++) {
		const char *name = scope_name(scope);

		if (name == NULL || (scopes & SCOPE_BIT(scope)) == 0)
			continue;
		len += (size_t)snprintf(out + len, 256 - len, "%s%s",
		    len > 0 ? " " : "", name);
		if (len >= 256)
			return;
	}
}

scope_set
key_scopes_read(const char *text)
{
	scope_set scopes = 0;

	while (*(text += strspn(text, " ")) != '\0') {
		size_t len = strcspn(text, " ");

		/* One of a later release gives nothing here. */
		scopes |= scope_read(text, len);
		text += len;
	}
	return scopes;
}

/* --- keys ----------------------------------------------------------------- */

int
ledger_key(struct ledger_key *out, struct ledger_view *view, uint64_t number)
{
	struct state_key key;
	struct state_device device;
	int err = state_key(&key, &view->state, number);

	if (err != 0)
		return err;
	err = state_device(&device, &view->state, number);
	if (err != 0)
		return err == ERR_NOT_FOUND_INTERNAL ? ERR_CORRUPT : err;
	*out = (struct ledger_key){
		.device = number,
		.scopes = key_scopes_read(key.scopes),
		.app_type = key.app_type,
		.revoked = device.state != DEVICE_APPROVED,
		.created_at = key.created_at,
		.rotated_at = key.rotated_at,
		.expires_at = key.expires_at,
		.previous_until = key.previous_until,
		.by = key.by,
	};
	memcpy(out->document, key.document, sizeof out->document);
	return 0;
}

int
ledger_key_find(struct ledger_key *out, struct ledger_view *view,
    const uint8_t hash[KEY_HASH_BYTES])
{
	struct state_key key;
	uint64_t number;
	int err = state_key_by_hash(&number, &view->state, hash);

	if (err == 0)
		err = state_key(&key, &view->state, number);
	if (err == 0)
		err = ledger_key(out, view, number);
	if (err == 0)
		out->previous =
		    sodium_memcmp(key.hash, hash, sizeof key.hash) != 0;
	return err;
}

int
ledger_key_document(struct key_document *out, struct ledger_view *view,
    const struct ledger_key *key, struct arena *arena)
{
	struct sealed sealed;
	int err = sealed_get(&sealed, &view->state, view->ledger->sealed,
	    SEALED_KEY, key->document);

	memset(out, 0, sizeof *out);
	if (err == ERR_NOT_FOUND_INTERNAL)
		return 0;
	if (err != 0)
		return err;
	const uint8_t *copy = arena_copy(arena, sealed.data, sealed.len);

	err = copy == NULL ? ERR_NOMEM
			   : record_read_msgpack(out, &key_document_record,
				 copy, sealed.len, NULL, arena, NULL);
	sealed_wipe(&sealed);
	return err == ERR_BAD_REQUEST ? ERR_CORRUPT : err;
}

/* --- use ------------------------------------------------------------------ */

static int
put_use(struct state *state, const struct ledger_key_use *use)
{
	struct codec_writer w = { .len = 0 };
	uint8_t key[8];

	be64_write(key, use->device);
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_u64(&w, (uint64_t)use->requests_until);
	codec_put_u64(&w, (uint64_t)use->checkouts_until);
	codec_put_u64(&w, (uint64_t)use->last_used_at);
	return store_put(&state->txn, STORE_KEY_USE, key, sizeof key, w.data,
	    w.len);
}

int
ledger_key_use_put(struct ledger *ledger, const struct ledger_key_use *use,
    size_t n)
{
	struct state state = { .cache = NULL };
	int err = store_begin(&state.txn, ledger->store, true);

	if (err != 0)
		return err;
	for (size_t i = 0; i < n && err == 0; i++)
		err = put_use(&state, &use[i]);
	if (err == 0)
		return store_commit(&state.txn);
	store_abort(&state.txn);
	return err;
}

struct each_use {
	int (*each)(void *ctx, const struct ledger_key_use *use);
	void *ctx;
};

static int
read_use(void *ctx, const struct record_span *key,
    const struct record_span *value)
{
	struct each_use *walk = ctx;
	struct codec_reader r = codec_reader_of(value);
	struct ledger_key_use use = { 0 };

	use.requests_until = (int64_t)codec_get_u64(&r);
	use.checkouts_until = (int64_t)codec_get_u64(&r);
	use.last_used_at = (int64_t)codec_get_u64(&r);
	if (key->len != 8)
		r.failed = true;
	else
		use.device = be64_read(key->data);
	int err = codec_end(&r, "use of a key");

	return err == 0 ? walk->each(walk->ctx, &use) : err;
}

int
ledger_key_use_each(struct ledger_view *view,
    int (*each)(void *ctx, const struct ledger_key_use *use), void *ctx)
{
	struct each_use walk = { each, ctx };

	return store_each(&view->state.txn, STORE_KEY_USE, NULL, 0, read_use,
	    &walk);
}

/* --- queries -------------------------------------------------------------- */

static int
fill_scopes(struct record_list *out, struct arena *arena, scope_set scopes)
{
	struct key_scope *items =
	    arena_alloc(arena, SCOPE_COUNT * sizeof *items);

	if (items == NULL)
		return ERR_NOMEM;
	*out = (struct record_list){ items, 0 };
	for (enum scope scope = 0; scope < SCOPE_COUNT; scope++)
		if (scope_name(scope) != NULL &&
		    (scopes & SCOPE_BIT(scope)) != 0)
			text_copy(items[out->count++].scope,
			    sizeof items->scope, scope_name(scope));
	return 0;
}

static enum api_key_state
state_of(const struct ledger_key *key, int64_t now_ms)
{
	if (key->revoked)
		return API_KEY_REVOKED;
	return key->expires_at != 0 && now_ms >= key->expires_at
	    ? API_KEY_EXPIRED
	    : API_KEY_ACTIVE;
}

static int
fill_key(struct key_view *out, struct key_restrictions *restrictions,
    struct query *q, const struct ledger_key *key)
{
	struct key_document document;
	int err = ledger_key_document(&document, q->view, key, q->arena);

	if (err != 0)
		return err;
	*out = (struct key_view){
		.app_type = key->app_type,
		.state = state_of(key, q->now_ms),
		.created_at = key->created_at,
		.expires_at = key->expires_at,
		.rotated_at = key->rotated_at,
		.previous_until =
		    key->previous_until > q->now_ms ? key->previous_until : 0,
		.by = key->by,
		.metadata = document.metadata,
	};
	snprintf(out->key_id, sizeof out->key_id, "key-%" PRIu64, key->device);
	memcpy(out->app_name, document.app_name, sizeof out->app_name);
	const struct key_restrictions *r = &document.restrictions;

	out->restricted = r->allowed_hostnames.count > 0 ||
	    r->allowed_ip_ranges.count > 0 || r->require_mtls ||
	    r->client_cert_cn[0] != '\0' || r->client_cert_sha256[0] != '\0' ||
	    r->fingerprint_mode != KEY_PRINTS_OFF ||
	    r->blocked_fingerprints.count > 0 ||
	    r->working_hours.days[0] != '\0';
	if (restrictions != NULL)
		*restrictions = *r;
	return fill_scopes(&out->scopes, q->arena, key->scopes);
}

int
query_key(struct query *q)
{
	const struct key_ref *request = q->request;
	struct key_details *out = q->reply;
	struct ledger_key key;
	uint64_t number = key_number(request->key_id, "key-");
	int err = number == 0 ? ERR_NOT_FOUND_INTERNAL
			      : ledger_key(&key, q->view, number);

	if (err == ERR_NOT_FOUND_INTERNAL)
		return query_refuse(q->problem, ERR_NOT_FOUND,
		    "there is no API key %s", request->key_id);
	return err == 0 ? fill_key(&out->key, &out->restrictions, q, &key)
			: err;
}

struct key_walk {
	struct query *q;
	struct key_view *items;
	uint32_t n, limit, scanned;
	uint64_t last; /* number of the last one that was looked at */
	bool more;
};

static int
walk_key(void *ctx, const struct record_span *key_bytes,
    const struct record_span *value)
{
	struct key_walk *walk = ctx;
	const struct key_query *request = walk->q->request;
	struct ledger_key key;

	(void)value;
	if (walk->n == walk->limit || walk->scanned == SCAN_MAX) {
		walk->more = true;
		return ERR_BUSY; /* the page is full */
	}
	if (key_bytes->len != 8)
		return ERR_CORRUPT;
	walk->last = be64_read(key_bytes->data);
	walk->scanned++;
	int err = ledger_key(&key, walk->q->view, walk->last);

	if (err != 0)
		return err;
	if (!request->all && state_of(&key, walk->q->now_ms) != API_KEY_ACTIVE)
		return 0;
	return fill_key(&walk->items[walk->n++], NULL, walk->q, &key);
}

int
query_keys(struct query *q)
{
	const struct key_query *request = q->request;
	struct key_page *out = q->reply;
	struct key_walk walk = { .q = q, .limit = query_limit(request->limit) };
	uint8_t from[8];

	walk.items = arena_alloc(q->arena, walk.limit * sizeof *walk.items);
	if (walk.items == NULL)
		return ERR_NOMEM;
	be64_write(from, request->after + 1);
	int err = store_each(&q->view->state.txn, STORE_KEYS, from, sizeof from,
	    walk_key, &walk);

	if (err != 0 && !walk.more)
		return err;
	out->items = (struct record_list){ walk.items, walk.n };
	out->next = walk.more ? walk.last : 0;
	return 0;
}
