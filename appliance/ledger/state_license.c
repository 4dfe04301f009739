/* Licenses, their documents, vendors; and what stands outside the dump: the
 * newest header, batches, the note of a clean stop. See state.h. */
#include "appliance/ledger/codec.h"
#include "appliance/ledger/state.h"

#include <stdlib.h>

/* Licenses decoded once per writer: a checkout must not pay for reading terms.
 * License numbers are dense, so a plain array finds them. */
#define CACHE_MAX 4096

struct cache_entry {
	struct state_license license;
	struct arena arena; /* its features */
};

struct license_cache {
	bool used; /* something is in it */
	bool dirty; /* it may hold what a transaction wrote */
	struct cache_entry *entry[CACHE_MAX]; /* by number - 1 */
};

static void
entry_free(struct cache_entry **entry)
{
	if (*entry != NULL)
		arena_release(&(*entry)->arena);
	free(*entry);
	*entry = NULL;
}

struct license_cache *
license_cache_new(void)
{
	return calloc(1, sizeof(struct license_cache));
}

void
license_cache_clear(struct license_cache *cache)
{
	if (cache == NULL || !cache->used)
		return;
	cache->used = cache->dirty = false;
	for (size_t i = 0; i < CACHE_MAX; i++)
		entry_free(&cache->entry[i]);
}

void
license_cache_end(struct license_cache *cache, bool committed)
{
	if (cache == NULL)
		return;
	if (cache->dirty && !committed)
		license_cache_clear(cache);
	cache->dirty = false;
}

void
license_cache_free(struct license_cache *cache)
{
	license_cache_clear(cache);
	free(cache);
}

static struct cache_entry **
cache_entry(struct license_cache *cache, uint64_t license)
{
	if (cache == NULL || license == 0 || license > CACHE_MAX)
		return NULL;
	return &cache->entry[license - 1];
}

int
state_license_read(struct state_license *out, const struct record_span *key,
    const struct record_span *value, struct arena *arena)
{
	struct codec_reader r = codec_reader_of(value);

	codec_get_bytes(out->digest, &r, sizeof out->digest);
	out->pools = codec_get_u32(&r);
	if (r.failed || key->len != 8)
		return ERR_CORRUPT;
	out->license = be64_read(key->data);

	int err = record_read_msgpack(&out->document, &license_record, r.data,
	    r.left, NULL, arena, NULL);

	if (err != 0)
		log_error("state", "stored license %llu is damaged",
		    (unsigned long long)out->license);
	return err != 0 ? ERR_CORRUPT : 0;
}

int
state_license(const struct state_license **out, struct state *state,
    uint64_t license, struct arena *arena)
{
	struct cache_entry **entry = cache_entry(state->cache, license);
	struct cache_entry *new = NULL;
	struct state_license *room;
	struct record_span value;
	uint8_t key[8];

	if (entry != NULL && *entry != NULL) {
		*out = &(*entry)->license;
		return 0;
	}
	be64_write(key, license);

	int err =
	    store_get(&value, &state->txn, STORE_LICENSES, key, sizeof key);

	if (err != 0)
		return err;
	if (entry != NULL)
		new = calloc(1, sizeof *new);
	room = new != NULL ? &new->license : arena_alloc(arena, sizeof *room);
	if (room == NULL)
		return ERR_NOMEM;
	err = state_license_read(room, &(struct record_span){ key, sizeof key },
	    &value, new != NULL ? &new->arena : arena);
	if (err != 0) {
		entry_free(&new);
		return err;
	}
	*out = room;
	if (new != NULL) {
		*entry = new;
		state->cache->used = true;
	}
	return 0;
}

int
state_license_put(struct state *state, const struct state_license *license)
{
	struct cache_entry **entry =
	    cache_entry(state->cache, license->license);
	struct buf value = { .len = 0 };
	uint8_t key[8];

	if (entry != NULL) {
		entry_free(entry);
		state->cache->dirty = true;
	}
	be64_write(key, license->license);
	buf_add_byte(&value, CODEC_FORMAT);
	buf_add(&value, license->digest, sizeof license->digest);
	buf_add_be32(&value, license->pools);
	record_write_msgpack(&value, &license_record, &license->document);

	int err = value.failed ? ERR_NOMEM
			       : store_put(&state->txn, STORE_LICENSES, key,
				     sizeof key, value.data, value.len);

	buf_release(&value);
	return err;
}

int
state_document(struct state_document *out, const struct state *state,
    const uint8_t digest[32])
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_DOCUMENTS, digest, 32);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	out->license = codec_get_u64(&r);
	out->issuer.len = codec_get_u32(&r);
	out->token.len = codec_get_u32(&r);
	if (r.failed || (uint64_t)out->issuer.len + out->token.len != r.left) {
		log_error("state", "a stored document is damaged");
		return ERR_CORRUPT;
	}
	out->issuer.data = r.data;
	out->token.data = r.data + out->issuer.len;
	return 0;
}

int
state_document_put(struct state *state, const uint8_t digest[32],
    const struct state_document *document)
{
	struct buf value = { .len = 0 };

	buf_add_byte(&value, CODEC_FORMAT);
	buf_add_be64(&value, document->license);
	buf_add_be32(&value, document->issuer.len);
	buf_add_be32(&value, document->token.len);
	buf_add(&value, document->issuer.data, document->issuer.len);
	buf_add(&value, document->token.data, document->token.len);

	int err = value.failed ? ERR_NOMEM
			       : store_put(&state->txn, STORE_DOCUMENTS, digest,
				     32, value.data, value.len);

	buf_release(&value);
	return err;
}

int
state_vendor(char kid[TOKEN_KID_TEXT], const struct state *state,
    const char *vendor)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_VENDORS, vendor,
	    strlen(vendor));

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	codec_get_bytes(kid, &r, TOKEN_KID_TEXT);
	kid[TOKEN_KID_TEXT - 1] = '\0';
	return codec_end(&r, "vendor");
}

int
state_vendor_put(struct state *state, const char *vendor, const char *kid)
{
	struct codec_writer w = { .len = 0 };
	char room[TOKEN_KID_TEXT] = "";

	memcpy(room, kid, strnlen(kid, sizeof room - 1));
	codec_put_u8(&w, CODEC_FORMAT);
	codec_put_bytes(&w, room, sizeof room);
	return store_put(&state->txn, STORE_VENDORS, vendor, strlen(vendor),
	    w.data, w.len);
}

/* --- outside the logical dump ------------------------------------------- */

static const char newest_key[] = "newest";
static const char clean_key[] = "clean";

int
state_newest(struct state_newest *out, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_META, newest_key,
	    sizeof newest_key);

	if (err != 0)
		return err;
	struct codec_reader r = codec_reader_of(&value);

	codec_get_bytes(out->head, &r, sizeof out->head);
	out->header.len = codec_get_u32(&r);
	out->token.len = codec_get_u32(&r);
	if (r.failed || (uint64_t)out->header.len + out->token.len != r.left) {
		log_error("state", "the stored newest header is damaged");
		return ERR_CORRUPT;
	}
	out->header.data = r.data;
	out->token.data = r.data + out->header.len;
	return 0;
}

int
state_newest_put(struct state *state, const struct state_newest *newest)
{
	struct buf value = { .len = 0 };

	buf_add_byte(&value, CODEC_FORMAT);
	buf_add(&value, newest->head, sizeof newest->head);
	buf_add_be32(&value, newest->header.len);
	buf_add_be32(&value, newest->token.len);
	buf_add(&value, newest->header.data, newest->header.len);
	buf_add(&value, newest->token.data, newest->token.len);

	int err = value.failed ? ERR_NOMEM
			       : store_put(&state->txn, STORE_META, newest_key,
				     sizeof newest_key, value.data, value.len);

	buf_release(&value);
	return err;
}

int
state_batch(struct record_span *blob, const struct state *state, uint64_t batch)
{
	uint8_t key[8];

	be64_write(key, batch);
	return store_get(blob, &state->txn, STORE_BATCHES, key, sizeof key);
}

int
state_batch_append(struct state *state, uint64_t batch, const void *blob,
    size_t len)
{
	uint8_t key[8];

	be64_write(key, batch);
	return store_append(&state->txn, STORE_BATCHES, key, sizeof key, blob,
	    len);
}

int
state_clean(bool *clean, const struct state *state)
{
	struct record_span value;
	int err = store_get(&value, &state->txn, STORE_META, clean_key,
	    sizeof clean_key);

	*clean = err == 0;
	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}

int
state_clean_put(struct state *state, bool clean)
{
	static const uint8_t format = CODEC_FORMAT;

	if (clean)
		return store_put(&state->txn, STORE_META, clean_key,
		    sizeof clean_key, &format, sizeof format);

	int err =
	    store_delete(&state->txn, STORE_META, clean_key, sizeof clean_key);

	return err == ERR_NOT_FOUND_INTERNAL ? 0 : err;
}
