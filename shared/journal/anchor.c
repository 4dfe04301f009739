/* A journal whose beginning was given up: what stands in its place, and what
 * can be checked of it. See journal.h. */
#include "shared/journal/journal.h"

#include "shared/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any header is. */
#define HEADER_MAX 4096

static const struct record_field journal_anchor_fields[] = {
	R_U64(journal_anchor, before, 1, U53_MAX, 0,
	    "The first batch that is there."),
	R_STRING(journal_anchor, header, 1, HEADER_MAX, 0,
	    "Signed header of the batch before it."),
	R_BLOB(journal_anchor, frontier, 32, 64 * 32, 0,
	    "Complete subtrees of the history up to there."),
};
RECORD_DEFINE(journal_anchor, 1, "Where a journal begins.");

int
journal_walk_anchor(struct journal_walk *walk, const uint8_t site_key[32],
    const struct journal_anchor *anchor)
{
	if (anchor->frontier.len % MERKLE_BYTES != 0)
		return ERR_CORRUPT;
	int err = journal_walk_resume(walk, site_key, anchor->header.data,
	    anchor->header.len, anchor->frontier.data,
	    anchor->frontier.len / MERKLE_BYTES);

	return err == 0 && walk->anchor != anchor->before ? ERR_CORRUPT : err;
}

bool
journal_walk_is_explained(const struct journal_walk *walk)
{
	return walk->anchor == 0 || walk->pruned >= walk->anchor;
}

static int
check_rows(const struct journal_header *header,
    const struct journal_batch *batch)
{
	const struct journal_row_bytes *rows = batch->rows.items;
	uint32_t n = batch->rows.count;
	uint8_t root[MERKLE_BYTES];
	uint8_t *leaves = calloc(n > 0 ? n : 1, MERKLE_BYTES);

	if (leaves == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++)
		journal_row_leaf(leaves + (size_t)i * MERKLE_BYTES,
		    header->tenant, header->first_row + i, rows[i].bytes.data,
		    rows[i].bytes.len);
	merkle_root(root, &merkle_blake2b, leaves, n);
	free(leaves);
	return header->rows == n &&
		memcmp(root, header->root, sizeof(root)) == 0
	    ? 0
	    : ERR_CORRUPT;
}

int
journal_batch_verify(struct journal_header *header, uint8_t head[32],
    const uint8_t *blob, size_t len, const struct site_keys *keys)
{
	struct arena arena = { 0 };
	struct journal_batch batch;
	int err = record_read_msgpack(&batch, &journal_batch_record, blob, len,
	    NULL, &arena, NULL);

	if (err == ERR_BAD_REQUEST)
		err = ERR_CORRUPT;
	if (err == 0)
		err = journal_header_verify(header, head, batch.header.data,
		    batch.header.len,
		    site_keys_of(keys, batch.header.data, batch.header.len));
	if (err == 0)
		err = check_rows(header, &batch);
	arena_release(&arena);
	return err;
}

/* --- in a store's tables ------------------------------------------------------ */

static int
take_anchor(struct journal_walk *walk, const void *value, size_t len,
    char *error, size_t error_size)
{
	struct arena arena = { 0 };
	struct journal_anchor anchor;
	const struct site_keys *keys = walk->keys;
	uint8_t site_key[32];
	int err = record_read_msgpack(&anchor, &journal_anchor_record, value,
	    len, NULL, &arena, NULL);

	if (err == 0)
		memcpy(site_key,
		    journal_walk_key(walk, anchor.header.data,
			anchor.header.len),
		    sizeof(site_key));
	if (err == 0)
		err = journal_walk_anchor(walk, site_key, &anchor);
	if (err == 0 && keys != NULL)
		journal_walk_trust(walk, keys);
	arena_release(&arena);
	if (err == 0 || err == ERR_NOMEM)
		return err;
	snprintf(error, error_size,
	    "what stands in place of its beginning does not hold");
	return ERR_CORRUPT;
}

static int
take_kept(const struct journal_walk *walk, uint64_t number, const void *value,
    size_t len, char *error, size_t error_size)
{
	struct journal_header header;
	uint8_t head[32];
	const struct site_keys one = site_keys_one(walk->site_key);
	int err = journal_batch_verify(&header, head, value, len,
	    walk->keys != NULL ? walk->keys : &one);

	if (err == ERR_NOMEM)
		return err;
	if (err == 0 && header.batch == number &&
	    strcmp(header.site, walk->site) == 0 &&
	    strcmp(header.tenant, walk->tenant) == 0)
		return 0;
	snprintf(error, error_size, "batch %" PRIu64 " does not hold", number);
	return ERR_CORRUPT;
}

int
journal_walk_stored(struct journal_walk *walk, bool batches, const void *key,
    size_t key_len, const void *value, size_t value_len, char *error,
    size_t error_size)
{
	if (error_size != 0)
		error[0] = '\0';
	if (!batches)
		return key_len == sizeof(JOURNAL_ANCHOR_KEY) &&
			memcmp(key, JOURNAL_ANCHOR_KEY, key_len) == 0
		    ? take_anchor(walk, value, value_len, error, error_size)
		    : 0;
	if (key_len == 8 && be64_read(key) < walk->anchor)
		return take_kept(walk, be64_read(key), value, value_len, error,
		    error_size);
	if (key_len == 8 && be64_read(key) == walk->next_batch)
		return journal_walk_batch(walk, value, value_len, NULL, NULL,
		    error, error_size);
	snprintf(error, error_size, "batch %" PRIu64 " is missing",
	    walk->next_batch);
	return ERR_CORRUPT;
}
