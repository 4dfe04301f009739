/*
 * A journal in memory for tests: signed batches of any rows, with a hook to
 * bend a header before it is signed. Made of the published pieces only (leaves,
 * trees, signatures), not of the ledger.
 */
#ifndef TESTS_UNIT_JOURNAL_MAKER_H
#define TESTS_UNIT_JOURNAL_MAKER_H

#include "shared/base/text.h"
#include "shared/journal/journal.h"

#include <check.h>
#include <sodium.h>
#include <string.h>

#define MAKER_BATCHES 64
#ifndef MAKER_ROWS
#define MAKER_ROWS 16
#endif
#define MAKER_TIME INT64_C(1750000000000)

struct maker {
	uint8_t secret[64];
	struct journal_header next; /* as the next batch will have it */
	/* Rows of the batch being made. */
	struct buf rows[MAKER_ROWS];
	uint32_t n_rows;
	/* What was made. */
	struct buf blobs[MAKER_BATCHES];
	struct journal_header headers[MAKER_BATCHES];
	uint8_t heads[MAKER_BATCHES][32];
	uint8_t leaves[MAKER_BATCHES][32]; /* of the heads */
	uint64_t n;
};

static inline void
maker_add(struct maker *maker, const struct row *row)
{
	ck_assert_uint_lt(maker->n_rows, MAKER_ROWS);
	row_write(&maker->rows[maker->n_rows++], row);
	if (row->kind == ROW_LEASE_GRANTED) {
		maker->next.totals.grants++;
		maker->next.totals.overage +=
		    row->u.lease_granted.overage_count;
	}
	if (row->kind == ROW_LEASE_ADOPTED) {
		maker->next.totals.grants++;
		maker->next.totals.overage +=
		    row->u.lease_adopted.overage_count;
	}
	if (row->kind == ROW_BORROWED) {
		maker->next.totals.grants++;
		maker->next.totals.overage +=
		    row->u.borrowed.grant.overage_count;
	}
	if (row->kind == ROW_BORROW_ENDED)
		maker->next.totals.overage += row->u.borrow_ended.overage_count;
	if (row->kind == ROW_LEASE_ENDED || row->kind == ROW_BORROW_ENDED)
		maker->next.totals.ends++;
}

/* Signs the rows added; `bend` may alter what is signed. */
static inline void
maker_commit_bent(struct maker *maker, void (*bend)(struct journal_header *))
{
	struct journal_header *header = &maker->next;
	struct journal_row_bytes rows[MAKER_ROWS];
	uint8_t leaves[MAKER_ROWS][32];
	struct buf token = { 0 };
	uint64_t n = maker->n;

	ck_assert_uint_lt(n, MAKER_BATCHES);
	for (uint32_t i = 0; i < maker->n_rows; i++) {
		struct buf *row = &maker->rows[i];

		ck_assert(!row->failed);
		rows[i].bytes.data = row->data;
		rows[i].bytes.len = (uint32_t)row->len;
		journal_row_leaf(leaves[i], header->tenant,
		    header->first_row + i, row->data, row->len);
	}
	header->batch = n;
	header->rows = maker->n_rows;
	merkle_root(header->root, &merkle_blake2b, leaves[0], maker->n_rows);
	merkle_root(header->history, &merkle_blake2b, maker->leaves[0], n);
	struct journal_header signed_one = *header;

	if (bend != NULL)
		bend(&signed_one);
	ck_assert_int_eq(journal_header_sign(&token, maker->heads[n],
			     &signed_one, maker->secret),
	    0);
	struct journal_batch batch = {
		.header = { token.data, (uint32_t)token.len },
		.rows = { rows, maker->n_rows },
	};

	record_write_msgpack(&maker->blobs[n], &journal_batch_record, &batch);
	ck_assert(!maker->blobs[n].failed);
	journal_head_leaf(maker->leaves[n], maker->heads[n]);
	maker->headers[n] = signed_one;
	for (uint32_t i = 0; i < maker->n_rows; i++)
		buf_clear(&maker->rows[i]);
	header->first_row += maker->n_rows;
	header->time += 1000;
	maker->n_rows = 0;
	maker->n++;
	buf_release(&token);
}

static inline void
maker_commit(struct maker *maker)
{
	maker_commit_bent(maker, NULL);
}

/* A journal with its genesis; seed chooses the site's key. */
static inline struct maker *
maker_new(uint8_t seed)
{
	static struct maker one; /* one a test: each test is a process */
	struct maker *maker = &one;
	uint8_t seed_bytes[32] = { seed };
	uint8_t public_key[32];
	struct row row = { .kind = ROW_GENESIS };

	memset(maker, 0, sizeof(*maker));
	crypto_sign_seed_keypair(public_key, maker->secret, seed_bytes);
	text_copy(maker->next.site, sizeof(maker->next.site), "site-test");
	text_copy(maker->next.tenant, sizeof(maker->next.tenant), "default");
	maker->next.first_row = 1;
	maker->next.time = MAKER_TIME;
	maker->next.generation = 1;
	text_copy(row.u.genesis.site, sizeof(row.u.genesis.site), "site-test");
	text_copy(row.u.genesis.tenant, sizeof(row.u.genesis.tenant),
	    "default");
	memcpy(row.u.genesis.site_key, public_key, 32);
	row.u.genesis.format = 1;
	maker_add(maker, &row);
	maker_commit(maker);
	return maker;
}

static inline void
maker_release(struct maker *maker)
{
	for (size_t i = 0; i < MAKER_BATCHES; i++)
		buf_release(&maker->blobs[i]);
	for (size_t i = 0; i < MAKER_ROWS; i++)
		buf_release(&maker->rows[i]);
}

/* A grant; overage 0 is a committed seat. */
static inline struct row
maker_grant(uint64_t lease, uint64_t license, uint64_t overage)
{
	static struct row_slots first = { 0, 1 };
	struct row row = { .kind = ROW_LEASE_GRANTED };
	struct row_lease_granted *grant = &row.u.lease_granted;

	grant->lease = lease;
	grant->license = license;
	grant->device = 1;
	grant->type = overage != 0 ? SEAT_OVERAGE : SEAT_COMMIT;
	grant->overage = overage;
	grant->overage_count = overage != 0;
	grant->count = 1;
	grant->slots = (struct record_list){ &first, 1 };
	text_copy(grant->product, sizeof(grant->product), "davinci");
	text_copy(grant->version, sizeof(grant->version), "8.1.0");
	grant->ttl_s = 120;
	grant->grace_s = 300;
	return row;
}

static inline struct row
maker_end(uint64_t lease, uint64_t license)
{
	struct row row = { .kind = ROW_LEASE_ENDED };

	row.u.lease_ended.lease = lease;
	row.u.lease_ended.license = license;
	row.u.lease_ended.count = 1;
	return row;
}

#endif
