/* Rows, headers and what can be proved from them by somebody who knows only
 * the site's key. */
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/proof/proof.h"
#include "tests/unit/journal_maker.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

/* --- rows ------------------------------------------------------------------
 */

static void
fill(void *out, size_t len, uint8_t byte)
{
	memset(out, byte, len);
}

static void
fill_license(struct license *l)
{
	strcpy(l->license_id, "lic-vector-test-2026-001");
	l->serial = 3;
	strcpy(l->vendor.id, "vector");
	strcpy(l->vendor.name, "Vector Informatik");
	strcpy(l->site, "site-test");
	strcpy(l->tenant, "default");
	fill(l->site_key, 32, 0xa1);
	strcpy(l->product.id, "davinci");
	strcpy(l->product.name, "DaVinci \xe2\x82\xac");
	strcpy(l->product.version, ">=8.0.0 <9");
	l->entitlement.total_licenses = 20;
	l->entitlement.commit_qty = 5;
	l->entitlement.max_overage = 15;
	l->entitlement.pricing.commit_fee_monthly = 500000;
	l->entitlement.pricing.overage_per_use = 50000;
	strcpy(l->entitlement.pricing.currency, "EUR");
	l->contract.start_date = 20454;
	l->contract.end_date = 20818;
	l->contract.auto_renew = true;
	l->contract.billing_cycle = LICENSE_ANNUAL;
	l->terms.ttl_s = 120;
	l->terms.grace_s = 0;
	l->terms.enforce = LICENSE_GRACE;
	l->issued_at = MAKER_TIME;
}

static void
fill_installed(struct row *row)
{
	struct row_license_installed *r = &row->u.license_installed;

	r->license = 2;
	fill(r->digest, 32, 0xb2);
	fill_license(&r->document);
	r->issuer_token = (struct record_span){ "v4.public.abc", 13 };
	r->license_token = (struct record_span){ "v4.public.defg", 14 };
	r->by = (struct row_actor){ ACTOR_ADMIN, 7 };
}

static void
fill_granted(struct row *row)
{
	struct row_lease_granted *r;

	*row = maker_grant(1042, 2, 9);
	r = &row->u.lease_granted;
	fill(r->license_digest, 32, 0xb2);
	r->slot = 13;
	fill(r->nonce, 32, 0xc3);
	fill(r->request, 16, 0xd4);
	fill(r->request_digest, 16, 0xe5);
	strcpy(r->feature, "calibration");
	fill(r->user, 16, 1);
	fill(r->host, 16, 2);
	fill(r->application, 32, 3);
}

/* One full row of each kind. */
static void
fill_row(struct row *row, enum row_kind kind)
{
	static const uint8_t key[32] = { 5, 6, 7 };

	memset(row, 0, sizeof(*row));
	row->kind = kind;
	switch (kind) {
	case ROW_GENESIS:
		strcpy(row->u.genesis.site, "site-test");
		strcpy(row->u.genesis.tenant, "default");
		fill(row->u.genesis.site_key, 32, 4);
		row->u.genesis.format = 1;
		return;
	case ROW_STARTED:
		strcpy(row->u.started.software, "leaseholdd 0.1.0");
		row->u.started.generation = 2;
		row->u.started.clean = true;
		return;
	case ROW_SUBJECT_ADDED:
		fill(row->u.subject_added.subject, 16, 8);
		row->u.subject_added.kind = SUBJECT_ADDRESS;
		fill(row->u.subject_added.commitment, 32, 9);
		return;
	case ROW_LICENSE_INSTALLED:
		fill_installed(row);
		return;
	case ROW_JOIN_CREATED:
		fill(row->u.join_created.join, 16, 10);
		row->u.join_created.uses = 21;
		row->u.join_created.expires_at = MAKER_TIME;
		row->u.join_created.class_ = PROOF_ASSIGNED;
		return;
	case ROW_DEVICE_ENROLLED:
		row->u.device_enrolled.device = 3;
		row->u.device_enrolled.class_ = PROOF_SOFTWARE;
		row->u.device_enrolled.public_key =
		    (struct record_span){ key, 32 };
		fill(row->u.device_enrolled.name, 16, 11);
		fill(row->u.device_enrolled.host, 16, 12);
		fill(row->u.device_enrolled.join, 16, 10);
		return;
	case ROW_DEVICE_REVOKED:
		row->u.device_revoked.device = 3;
		row->u.device_revoked.by = (struct row_actor){ ACTOR_ADMIN, 1 };
		return;
	case ROW_LEASE_GRANTED:
		fill_granted(row);
		return;
	case ROW_LEASE_ENDED:
		*row = maker_end(1042, 2);
		row->u.lease_ended.slot = 13;
		row->u.lease_ended.type = SEAT_OVERAGE;
		row->u.lease_ended.reason = LEASE_EXPIRED;
		row->u.lease_ended.deadline = MAKER_TIME;
		row->u.lease_ended.by = (struct row_actor){ ACTOR_DEVICE, 3 };
		return;
	case ROW_DENIED:
		row->u.denied.device = 3;
		row->u.denied.license = 2;
		strcpy(row->u.denied.product, "davinci");
		strcpy(row->u.denied.code, "overage_exhausted");
		row->u.denied.count = 400;
		row->u.denied.minute = MAKER_TIME;
		return;
	case ROW_CHECKPOINT:
		row->u.checkpoint.batch = 70000;
		fill(row->u.checkpoint.head, 32, 13);
		fill(row->u.checkpoint.state_hash, 32, 14);
		return;
	case ROW_CLOCK:
		row->u.clock.event = CLOCK_CORRECTED;
		row->u.clock.held = MAKER_TIME;
		row->u.clock.wall = MAKER_TIME - 5;
		row->u.clock.by = (struct row_actor){ ACTOR_ADMIN, 1 };
		return;
	}
}

#define KINDS ((int)ROW_CLOCK + 1)

START_TEST(a_row_of_each_kind_is_read_as_it_was_written)
{
	struct row row;
	struct row found;
	struct buf bytes = { 0 };
	struct buf again = { 0 };
	struct arena arena = { 0 };

	fill_row(&row, (enum row_kind)_i);
	ck_assert_int_eq(record_check(row_record((uint32_t)_i), &row.u, NULL),
	    0);
	row_write(&bytes, &row);
	ck_assert_uint_eq(be16_read(bytes.data), (unsigned int)_i);
	ck_assert_int_eq(row_read(&found, 77, bytes.data, bytes.len, &arena),
	    0);
	ck_assert_uint_eq(found.number, 77);
	ck_assert_uint_eq(found.kind, (unsigned int)_i);
	row_write(&again, &found);
	ck_assert_uint_eq(again.len, bytes.len);
	ck_assert_mem_eq(again.data, bytes.data, bytes.len);
	buf_release(&bytes);
	buf_release(&again);
	arena_release(&arena);
}
END_TEST

/* Cut anywhere, longer by a byte, or with any byte changed: refused, or else a
 * row with exactly these bytes (there are no two ways to write one). */
START_TEST(damaged_rows_are_refused_or_other_rows)
{
	struct row row;
	struct row found;
	struct buf bytes = { 0 };
	struct buf again = { 0 };
	struct arena arena = { 0 };

	fill_row(&row, (enum row_kind)_i);
	row_write(&bytes, &row);
	size_t len = bytes.len;

	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(row_read(&found, 1, bytes.data, n, &arena),
		    ERR_CORRUPT);
	buf_add_byte(&bytes, 0);
	ck_assert_int_eq(row_read(&found, 1, bytes.data, bytes.len, &arena),
	    ERR_CORRUPT);
	for (size_t i = 0; i < len; i++) {
		uint8_t was = bytes.data[i];

		for (int c = 0; c < 256; c++) {
			bytes.data[i] = (uint8_t)c;
			arena_clear(&arena);
			int err = row_read(&found, 1, bytes.data, len, &arena);

			if (err != 0) {
				ck_assert(err == ERR_CORRUPT ||
				    err == ERR_UNKNOWN_ROW);
				continue;
			}
			buf_clear(&again);
			row_write(&again, &found);
			ck_assert_uint_eq(again.len, len);
			ck_assert_mem_eq(again.data, bytes.data, len);
		}
		bytes.data[i] = was;
	}
	buf_release(&bytes);
	buf_release(&again);
	arena_release(&arena);
}
END_TEST

START_TEST(unknown_kinds_are_named_as_such)
{
	static const uint32_t unknown[] = { 0, ROW_CLOCK + 1, 255, 65535 };
	struct row row;
	struct arena arena = { 0 };

	for (size_t i = 0; i < 4; i++) {
		uint8_t bytes[] = { (uint8_t)(unknown[i] >> 8),
			(uint8_t)unknown[i], 0x91, 0x01 };

		ck_assert_ptr_null(row_record(unknown[i]));
		ck_assert_str_eq(row_kind_name(unknown[i]), "unknown");
		ck_assert_int_eq(row_read(&row, 1, bytes, sizeof(bytes),
				     &arena),
		    ERR_UNKNOWN_ROW);
	}
	ck_assert_ptr_null(row_record(UINT32_MAX));
	ck_assert_str_eq(row_kind_name(ROW_LEASE_GRANTED), "lease.granted");
	arena_release(&arena);
}
END_TEST

/* The bytes are a promise: a journal of today is read for ever. */
START_TEST(the_bytes_of_a_row_never_change)
{
	struct row row;
	struct buf bytes = { 0 };
	char hex[4096];

	fill_row(&row, ROW_LEASE_ENDED);
	row_write(&bytes, &row);
	text_to_hex(hex, bytes.data, bytes.len);
	ck_assert_str_eq(hex,
	    "0009" /* kind */
	    "9801" /* seven fields, version 1 */
	    "cd0412020d0102" /* 1042, 2, 13, overage, expired */
	    "cf000001977420dc00" /* deadline */
	    "93010103" /* by device 3 */);
	buf_release(&bytes);
}
END_TEST

/* --- leaves and headers -----------------------------------------------------
 */

START_TEST(a_row_leaf_is_hashed_as_documented)
{
	static const char said[] = "\x00\x00\x07"
				   "default\x00\x00\x00\x00\x00\x00\x01\x02"
				   "bytes";
	uint8_t expected[32];
	uint8_t leaf[32];

	crypto_generichash(expected, 32, (const uint8_t *)said,
	    sizeof(said) - 1, NULL, 0);
	journal_row_leaf(leaf, "default", 258, "bytes", 5);
	ck_assert_mem_eq(leaf, expected, 32);
}
END_TEST

START_TEST(no_header_but_the_sites_own_is_believed)
{
	struct maker *maker = maker_new(1);
	struct journal_header header = maker->headers[0];
	struct journal_header found;
	struct buf token = { 0 };
	struct buf beat = { 0 };
	uint8_t head[32];
	uint8_t found_head[32];
	uint8_t other_secret[64];
	uint8_t other_key[32];

	header.time = 1;
	ck_assert_int_eq(journal_header_sign(&token, head, &header,
			     maker->secret),
	    0);
	ck_assert_int_eq(journal_header_verify(&found, found_head,
			     buf_text(&token), token.len, maker->secret + 32),
	    0);
	ck_assert_mem_eq(head, found_head, 32);
	ck_assert_str_eq(found.tenant, "default");
	ck_assert_mem_eq(found.root, header.root, 32);
	ck_assert_int_eq(found.time, 1);
	crypto_sign_keypair(other_key, other_secret);
	ck_assert_int_eq(journal_header_verify(&found, found_head,
			     buf_text(&token), token.len, other_key),
	    ERR_UNTRUSTED);
	ck_assert_uint_eq(found.rows, 0);
	token.data[30] = token.data[30] == 'A' ? 'B' : 'A';
	ck_assert_int_eq(journal_header_verify(&found, found_head,
			     buf_text(&token), token.len, maker->secret + 32),
	    ERR_BAD_SIGNATURE);
	/* The same words, signed as another kind or as no header at all. */
	ck_assert_int_eq(license_document_sign(&beat, &journal_header_record,
			     &header, TOKEN_BEAT, maker->secret),
	    0);
	ck_assert_int_eq(journal_header_verify(&found, found_head,
			     buf_text(&beat), beat.len, maker->secret + 32),
	    ERR_BAD_SIGNATURE);
	buf_clear(&beat);
	ck_assert_int_eq(token_sign(&beat, TOKEN_BATCH, "{\"rows\":1}", 10,
			     maker->secret),
	    0);
	ck_assert_int_eq(journal_header_verify(&found, found_head,
			     buf_text(&beat), beat.len, maker->secret + 32),
	    ERR_BAD_TOKEN);
	buf_release(&token);
	buf_release(&beat);
	maker_release(maker);
}
END_TEST

START_TEST(a_row_stands_at_its_number_only)
{
	struct maker *maker = maker_new(2);
	struct journal_row_bytes *rows;
	struct journal_batch batch;
	struct arena arena = { 0 };
	uint8_t leaves[MAKER_ROWS][32];
	uint8_t path[MERKLE_PATH_MAX][32];

	for (uint64_t i = 0; i < 11; i++) {
		struct row row = maker_grant(i + 1, 1, 0);

		maker_add(maker, &row);
	}
	maker_commit(maker);
	ck_assert_int_eq(record_read_msgpack(&batch, &journal_batch_record,
			     maker->blobs[1].data, maker->blobs[1].len, NULL,
			     &arena, NULL),
	    0);
	rows = batch.rows.items;
	const struct journal_header *header = &maker->headers[1];

	for (uint32_t i = 0; i < 11; i++)
		journal_row_leaf(leaves[i], "default", 2 + i,
		    rows[i].bytes.data, rows[i].bytes.len);
	for (uint32_t i = 0; i < 11; i++) {
		size_t len =
		    merkle_path(path, &merkle_blake2b, leaves[0], 11, i);

		for (uint64_t number = 0; number < 16; number++)
			ck_assert_int_eq(journal_row_verify(header, number,
					     rows[i].bytes.data,
					     rows[i].bytes.len, path[0], len),
			    number == 2 + i ? 0 : ERR_BAD_PATH);
		/* Of another tenant, or of other bytes, it is another row. */
		struct journal_header other = *header;

		other.tenant[0] = 'D';
		ck_assert_int_eq(journal_row_verify(&other, 2 + i,
				     rows[i].bytes.data, rows[i].bytes.len,
				     path[0], len),
		    ERR_BAD_PATH);
		ck_assert_int_eq(journal_row_verify(header, 2 + i,
				     rows[i].bytes.data, rows[i].bytes.len - 1,
				     path[0], len),
		    ERR_BAD_PATH);
	}
	arena_release(&arena);
	maker_release(maker);
}
END_TEST

/* --- continuing --------------------------------------------------------------
 */

static struct journal_known
known_of(const struct maker *maker, uint64_t batch)
{
	struct journal_known known = { .batch = batch };

	memcpy(known.head, maker->heads[batch], 32);
	memcpy(known.history, maker->headers[batch].history, 32);
	return known;
}

static int
leaf_get(uint8_t out[32], void *ctx, unsigned int level, uint64_t index)
{
	struct maker *maker = ctx;

	merkle_root(out, &merkle_blake2b, maker->leaves[index << level],
	    (size_t)1 << level);
	return 0;
}

/* Does the journal of `site`, at its batch n, continue what is known? */
static int
continues(const struct journal_known *known, struct maker *site, uint64_t n)
{
	struct merkle_source source = { &merkle_blake2b, site, leaf_get };
	uint8_t inclusion[MERKLE_PATH_MAX][32];
	uint8_t consistency[MERKLE_PATH_MAX][32];
	size_t inclusion_len = 0;
	size_t consistency_len = 0;

	if (known->batch < n) {
		ck_assert_int_eq(merkle_source_path(inclusion, &inclusion_len,
				     &source, known->batch, n),
		    0);
		ck_assert_int_eq(merkle_source_consistency(consistency,
				     &consistency_len, &source, known->batch,
				     n),
		    0);
	}
	return journal_continues(known, &site->headers[n], site->heads[n],
	    inclusion[0], inclusion_len, consistency[0], consistency_len);
}

static void
add_batches(struct maker *maker, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct row row = maker_grant(maker->n, 1, 0);

		maker_add(maker, &row);
		maker_commit(maker);
	}
}

START_TEST(an_honest_journal_continues_all_its_past)
{
	struct maker *maker = maker_new(3);

	add_batches(maker, 40);
	for (uint64_t n = 0; n < maker->n; n++) {
		for (uint64_t m = 0; m < maker->n; m++) {
			struct journal_known known = known_of(maker, m);

			ck_assert_int_eq(continues(&known, maker, n),
			    m <= n ? 0 : ERR_FORK);
		}
	}
	maker_release(maker);
}
END_TEST

START_TEST(a_fork_or_a_lie_does_not_continue)
{
	struct maker *maker = maker_new(4);
	struct journal_known known;
	struct journal_known seen[MAKER_BATCHES];

	add_batches(maker, 20);
	for (uint64_t i = 0; i < maker->n; i++)
		seen[i] = known_of(maker, i);
	/* The store is put back to batch 10 and goes on differently. */
	for (uint64_t i = 11; i < maker->n; i++)
		buf_clear(&maker->blobs[i]);
	maker->next = maker->headers[11];
	maker->next.time += 7;
	maker->n = 11;
	add_batches(maker, 20);
	for (uint64_t m = 0; m <= 20; m++)
		for (uint64_t n = m; n < maker->n; n++)
			ck_assert_int_eq(continues(&seen[m], maker, n),
			    m <= 10 ? 0 : ERR_FORK);
	/* A true head with another history, and the reverse. */
	known = known_of(maker, 7);
	known.history[0] ^= 1;
	ck_assert_int_eq(continues(&known, maker, 20), ERR_FORK);
	known = known_of(maker, 7);
	known.head[31] ^= 1;
	ck_assert_int_eq(continues(&known, maker, 20), ERR_FORK);
	known = known_of(maker, 7);
	known.batch = 6;
	ck_assert_int_eq(continues(&known, maker, 20), ERR_FORK);
	/* Without proof nothing is believed. */
	known = known_of(maker, 7);
	ck_assert_int_eq(journal_continues(&known, &maker->headers[20],
			     maker->heads[20], NULL, 0, NULL, 0),
	    ERR_FORK);
	maker_release(maker);
}
END_TEST

START_TEST(who_knows_nothing_can_be_told_anything)
{
	struct maker *maker = maker_new(5);
	struct journal_known nothing = { .batch = 0 };

	add_batches(maker, 3);
	ck_assert_int_eq(journal_continues(&nothing, &maker->headers[3],
			     maker->heads[3], NULL, 0, NULL, 0),
	    0);
	ck_assert_int_eq(journal_continues(&nothing, &maker->headers[0],
			     maker->heads[0], NULL, 0, NULL, 0),
	    0);
	/* A zero head of a later batch is not nothing. */
	nothing.batch = 1;
	ck_assert_int_eq(journal_continues(&nothing, &maker->headers[3],
			     maker->heads[3], NULL, 0, NULL, 0),
	    ERR_FORK);
	maker_release(maker);
}
END_TEST

START_TEST(a_beat_renews_what_was_asked_and_nothing_else)
{
	enum { N = 9 };
	struct journal_beat beat = { .count = N };
	uint8_t leaves[N][32];
	uint8_t path[MERKLE_PATH_MAX][32];
	uint8_t nonce[32] = { 0 };

	for (uint32_t i = 0; i < N; i++) {
		nonce[0] = (uint8_t)i;
		journal_beat_leaf(leaves[i], 100 + i, nonce, 120);
	}
	merkle_root(beat.root, &merkle_blake2b, leaves[0], N);
	for (uint32_t i = 0; i < N; i++) {
		size_t len =
		    merkle_path(path, &merkle_blake2b, leaves[0], N, i);

		nonce[0] = (uint8_t)i;
		ck_assert_int_eq(journal_beat_verify(&beat, 100 + i, nonce, 120,
				     i, path[0], len),
		    0);
		ck_assert_int_eq(journal_beat_verify(&beat, 101 + i, nonce, 120,
				     i, path[0], len),
		    ERR_BAD_PATH);
		ck_assert_int_eq(journal_beat_verify(&beat, 100 + i, nonce, 121,
				     i, path[0], len),
		    ERR_BAD_PATH);
		ck_assert_int_eq(journal_beat_verify(&beat, 100 + i, nonce, 120,
				     (i + 1) % N, path[0], len),
		    ERR_BAD_PATH);
		nonce[31] = 1;
		ck_assert_int_eq(journal_beat_verify(&beat, 100 + i, nonce, 120,
				     i, path[0], len),
		    ERR_BAD_PATH);
		nonce[31] = 0;
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("journal");
	TCase *rows = tcase_create("rows");
	TCase *tc = tcase_create("journal");

	tcase_add_loop_test(rows, a_row_of_each_kind_is_read_as_it_was_written,
	    1, KINDS);
	tcase_add_loop_test(rows, damaged_rows_are_refused_or_other_rows, 1,
	    KINDS);
	tcase_add_test(rows, unknown_kinds_are_named_as_such);
	tcase_add_test(rows, the_bytes_of_a_row_never_change);
	tcase_set_timeout(rows, 60);
	suite_add_tcase(s, rows);

	tcase_add_test(tc, a_row_leaf_is_hashed_as_documented);
	tcase_add_test(tc, no_header_but_the_sites_own_is_believed);
	tcase_add_test(tc, a_row_stands_at_its_number_only);
	tcase_add_test(tc, an_honest_journal_continues_all_its_past);
	tcase_add_test(tc, a_fork_or_a_lie_does_not_continue);
	tcase_add_test(tc, who_knows_nothing_can_be_told_anything);
	tcase_add_test(tc, a_beat_renews_what_was_asked_and_nothing_else);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
