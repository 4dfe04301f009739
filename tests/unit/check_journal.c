/* Headers, and what can be proved from them by somebody who knows only the
 * site's key. */
#include "shared/base/err.h"
#include "tests/unit/journal_maker.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

/* --- leaves and headers --------------------------------------------------- */

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

/* --- continuing ----------------------------------------------------------- */

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
	TCase *tc = tcase_create("journal");

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
