/* Headers, leaves and what they prove; see journal.h. */
#include "shared/journal/journal.h"

#include "shared/base/err.h"

#include <sodium.h>
#include <string.h>

#define HEADER_TOKEN_MAX 8192

static const struct record_field journal_totals_fields[] = {
	R_U64(journal_totals, grants, 0, U53_MAX, 0, "Leases granted so far."),
	R_U64(journal_totals, ends, 0, U53_MAX, 0, "Leases ended so far."),
	R_U64(journal_totals, overage, 0, U53_MAX, 0,
	    "Overage seats granted so far."),
};
RECORD_DEFINE(journal_totals, 1,
    "Rows of each kind since genesis, this batch included.");

static const struct record_field journal_header_fields[] = {
	R_TEXT(journal_header, site, 1, 63, 0, "Id of the site."),
	R_TEXT(journal_header, tenant, 1, 63, 0, "Whose journal it is."),
	R_U32(journal_header, generation, 0, UINT32_MAX, 0,
	    "How often the journal was adopted anew."),
	R_U64(journal_header, batch, 0, U53_MAX, 0, "Number, from 0."),
	R_U64(journal_header, first_row, 1, U53_MAX, 0,
	    "Number of its first row; rows count from 1."),
	R_U32(journal_header, rows, 1, JOURNAL_BATCH_ROWS_MAX, 0,
	    "How many rows."),
	R_FIXED(journal_header, root, 0, "Merkle root over its rows."),
	R_FIXED(journal_header, history, 0,
	    "Merkle root over the heads of all batches before."),
	R_TIME(journal_header, time, 0, "Time of all its rows."),
	R_STRUCT(journal_header, totals, &journal_totals_record, 0,
	    "Running totals."),
};
RECORD_DEFINE(journal_header, 1, "What the site signs of a batch.");

static const struct record_field journal_row_bytes_fields[] = {
	R_BLOB(journal_row_bytes, bytes, 3, JOURNAL_ROW_BYTES_MAX, 0,
	    "A row as it is stored and hashed."),
};
const struct record journal_row_bytes_record = {
	.name = "journal_row_bytes",
	.doc = "A row's bytes.",
	.version = 1,
	.size = sizeof(struct journal_row_bytes),
	.fields = journal_row_bytes_fields,
	.n_fields = 1,
	.bare = true,
};

static const struct record_field journal_batch_fields[] = {
	R_STRING(journal_batch, header, 1, HEADER_TOKEN_MAX, 0,
	    "Signed header."),
	R_LIST(journal_batch, rows, &journal_row_bytes_record, 1,
	    JOURNAL_BATCH_ROWS_MAX, 0, "Its rows, in order."),
};
RECORD_DEFINE(journal_batch, 1, "A batch as it is stored and sent.");

static const struct record_field journal_known_fields[] = {
	R_U64(journal_known, batch, 0, U53_MAX, 0, "Number of the batch."),
	R_FIXED(journal_known, head, 0, "Its head."),
	R_FIXED(journal_known, history, 0, "Its history."),
	R_U32(journal_known, generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Its generation; absent: 1."),
};
RECORD_DEFINE(journal_known, 1, "The last header that somebody saw.");

static const struct record_field journal_beat_fields[] = {
	R_TEXT(journal_beat, site, 1, 63, 0, "Id of the site."),
	R_TEXT(journal_beat, tenant, 1, 63, 0, "Whose leases they are."),
	R_U32(journal_beat, generation, 0, UINT32_MAX, 0,
	    "How often the journal was adopted anew."),
	R_U64(journal_beat, batch, 0, U53_MAX, 0, "Newest batch then."),
	R_FIXED(journal_beat, head, 0, "Its head."),
	R_TIME(journal_beat, time, 0, "Time of the site."),
	R_U32(journal_beat, count, 1, UINT32_MAX, 0, "Leases renewed."),
	R_FIXED(journal_beat, root, 0,
	    "Merkle root over (lease, nonce, ttl_s) of each."),
};
RECORD_DEFINE(journal_beat, 1, "The site renews leases.");

/* --- leaves --------------------------------------------------------------- */

void
journal_row_leaf(uint8_t leaf[32], const char *tenant, uint64_t number,
    const void *bytes, size_t len)
{
	uint8_t tenant_len[2];
	uint8_t row_number[8];
	const struct merkle_part parts[] = {
		{ tenant_len, sizeof(tenant_len) },
		{ tenant, strlen(tenant) },
		{ row_number, sizeof(row_number) },
		{ bytes, len },
	};

	be16_write(tenant_len, (uint16_t)parts[1].len);
	be64_write(row_number, number);
	merkle_leaf(leaf, &merkle_blake2b, parts, 4);
}

void
journal_head(uint8_t head[32], const void *payload, size_t len)
{
	crypto_generichash(head, 32, payload, len, NULL, 0);
}

void
journal_head_leaf(uint8_t leaf[32], const uint8_t head[32])
{
	merkle_leaf(leaf, &merkle_blake2b, &(struct merkle_part){ head, 32 },
	    1);
}

void
journal_beat_leaf(uint8_t leaf[32], uint64_t lease, const uint8_t nonce[32],
    uint32_t ttl_s)
{
	uint8_t lease_bytes[8];
	uint8_t ttl_bytes[4];
	const struct merkle_part parts[] = {
		{ lease_bytes, sizeof(lease_bytes) },
		{ nonce, 32 },
		{ ttl_bytes, sizeof(ttl_bytes) },
	};

	be64_write(lease_bytes, lease);
	be32_write(ttl_bytes, ttl_s);
	merkle_leaf(leaf, &merkle_blake2b, parts, 3);
}

/* --- headers -------------------------------------------------------------- */

int
journal_header_sign(struct buf *token, uint8_t head[32],
    const struct journal_header *header, const uint8_t secret[64])
{
	struct buf payload = { 0 };

	record_write_json(&payload, &journal_header_record, header);
	int err = payload.failed
	    ? ERR_NOMEM
	    : token_sign(token, TOKEN_BATCH, payload.data, payload.len, secret);

	if (err == 0)
		journal_head(head, payload.data, payload.len);
	buf_release(&payload);
	return err;
}

int
journal_header_verify(struct journal_header *header, uint8_t head[32],
    const char *token, size_t len, const uint8_t site_key[32])
{
	struct arena arena = { 0 };
	struct buf payload = { 0 };
	int err = token_verify(&payload, TOKEN_BATCH, token, len, site_key);

	if (err == 0 &&
	    record_read_json(header, &journal_header_record,
		(const char *)payload.data, payload.len, &arena, NULL) != 0)
		err = ERR_BAD_TOKEN;
	if (err == 0)
		journal_head(head, payload.data, payload.len);
	else
		memset(header, 0, sizeof(*header));
	buf_release(&payload);
	arena_release(&arena);
	return err;
}

int
journal_row_verify(const struct journal_header *header, uint64_t number,
    const void *bytes, size_t len, const uint8_t *path, size_t path_hashes)
{
	uint8_t leaf[32];

	if (number < header->first_row ||
	    number - header->first_row >= header->rows)
		return ERR_BAD_PATH;
	journal_row_leaf(leaf, header->tenant, number, bytes, len);
	return merkle_verify_path(&merkle_blake2b, header->root, leaf,
	    number - header->first_row, header->rows, (const void *)path,
	    path_hashes);
}

uint32_t
journal_known_generation(const struct journal_known *known)
{
	return known->generation != 0 ? known->generation : 1;
}

int
journal_continues(const struct journal_known *known,
    const struct journal_header *header, const uint8_t head[32],
    const uint8_t *inclusion, size_t inclusion_hashes,
    const uint8_t *consistency, size_t consistency_hashes)
{
	uint8_t leaf[32];

	/* No head is zero: nothing was known yet. */
	if (known->batch == 0 && sodium_is_zero(known->head, 32))
		return 0;
	uint32_t before = journal_known_generation(known);

	if (header->generation > before)
		return 0;
	if (header->generation < before && before > 1)
		return ERR_FORK;
	if (known->batch > header->batch)
		return ERR_FORK;
	if (known->batch == header->batch)
		return memcmp(known->head, head, 32) == 0 ? 0 : ERR_FORK;
	journal_head_leaf(leaf, known->head);
	if (merkle_verify_path(&merkle_blake2b, header->history, leaf,
		known->batch, header->batch, (const void *)inclusion,
		inclusion_hashes) != 0)
		return ERR_FORK;
	return merkle_verify_consistency(&merkle_blake2b, known->batch,
	    known->history, header->batch, header->history,
	    (const void *)consistency, consistency_hashes);
}

int
journal_beat_verify(const struct journal_beat *beat, uint64_t lease,
    const uint8_t nonce[32], uint32_t ttl_s, uint32_t index,
    const uint8_t *path, size_t path_hashes)
{
	uint8_t leaf[32];

	journal_beat_leaf(leaf, lease, nonce, ttl_s);
	return merkle_verify_path(&merkle_blake2b, beat->root, leaf, index,
	    beat->count, (const void *)path, path_hashes);
}
