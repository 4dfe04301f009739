/* The walk over a whole journal: an honest one passes, and every dishonest one
 * is stopped at its batch, in words. Headers are bent before they are signed:
 * what is tested is a site that lies under its own signature. */
#include "tests/unit/journal_walker.h"

START_TEST(an_honest_journal_passes)
{
	struct maker *maker = maker_with_past(1);

	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	ck_assert_str_eq(error, "");
	ck_assert_uint_eq(walk->next_batch, 18);
	ck_assert_uint_eq(walk->next_row, maker->next.first_row);
	ck_assert_uint_eq(walk->totals.grants, 20);
	ck_assert_uint_eq(walk->totals.ends, 2);
	ck_assert_uint_eq(walk->totals.overage, 4);
	ck_assert_uint_eq(walk->overage[0], 3);
	ck_assert_uint_eq(walk->overage[1], 1);
	ck_assert_mem_eq(walk->head, maker->heads[17], 32);
	ck_assert_str_eq(walk->tenant, "default");
	maker_release(maker);
}
END_TEST

static void
bend_root(struct journal_header *h)
{
	h->root[3] ^= 1;
}
static void
bend_history(struct journal_header *h)
{
	h->history[0] ^= 1;
}
static void
bend_batch(struct journal_header *h)
{
	h->batch++;
}
static void
bend_first_row(struct journal_header *h)
{
	h->first_row++;
}
static void
bend_rows(struct journal_header *h)
{
	h->rows++;
}
static void
bend_time(struct journal_header *h)
{
	h->time -= 1001;
}
static void
bend_site(struct journal_header *h)
{
	h->site[0] = 'S';
}
static void
bend_tenant(struct journal_header *h)
{
	h->tenant[0] = 'D';
}
static void
bend_grants(struct journal_header *h)
{
	h->totals.grants--;
}
static void
bend_ends(struct journal_header *h)
{
	h->totals.ends++;
}
static void
bend_overage(struct journal_header *h)
{
	h->totals.overage--;
}

static const struct {
	void (*bend)(struct journal_header *header);
	int err;
	const char *error;
} bends[] = {
	{ bend_root, ERR_CORRUPT, "batch 17: root does not match its rows" },
	{ bend_history, ERR_FORK,
	    "batch 17: history does not match the batches before" },
	{ bend_batch, ERR_CORRUPT, "batch 17: its header is that of batch 18" },
	{ bend_first_row, ERR_CORRUPT,
	    "batch 17: its rows begin at 23, not at 22" },
	{ bend_rows, ERR_CORRUPT, "batch 17: holds 2 rows, its header says 3" },
	{ bend_time, ERR_CORRUPT, "batch 17: its time goes back" },
	{ bend_site, ERR_CORRUPT,
	    "batch 17: is of site Site-test and tenant default, not of "
	    "site-test and default" },
	{ bend_tenant, ERR_CORRUPT,
	    "batch 17: is of site site-test and tenant Default, not of "
	    "site-test and default" },
	{ bend_grants, ERR_CORRUPT, "batch 17: totals do not match the rows" },
	{ bend_ends, ERR_CORRUPT, "batch 17: totals do not match the rows" },
	{ bend_overage, ERR_CORRUPT, "batch 17: totals do not match the rows" },
};

START_TEST(a_header_that_lies_is_named)
{
	struct maker *maker = maker_with_past(2);

	maker_commit_bent(maker, bends[_i].bend);
	ck_assert_int_eq(walk_all(maker), bends[_i].err);
	ck_assert_str_eq(error, bends[_i].error);
	ck_assert_uint_eq(walk->next_batch, 17);
	maker_release(maker);
}
END_TEST

START_TEST(a_journal_has_one_genesis_and_it_is_first)
{
	struct maker *maker = maker_with_past(7);
	struct row genesis = { .kind = ROW_GENESIS };

	text_copy(genesis.u.genesis.site, sizeof(genesis.u.genesis.site),
	    "site-test");
	text_copy(genesis.u.genesis.tenant, sizeof(genesis.u.genesis.tenant),
	    "default");
	memcpy(genesis.u.genesis.site_key, maker->secret + 32, 32);
	genesis.u.genesis.format = 1;
	add(maker, genesis);
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 17: row 24: a second genesis");
	maker_release(maker);

	/* Batch 0 again, without and with the wrong one. */
	maker = maker_new(7);
	maker->n = 0;
	maker->next.first_row = 1;
	buf_clear(&maker->blobs[0]);
	add(maker, maker_grant(1, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 0: does not begin with a genesis");
	for (int i = 0; i < 3; i++) {
		maker_release(maker);
		maker = maker_new(7);
		maker->n = 0;
		maker->next.first_row = 1;
		buf_clear(&maker->blobs[0]);
		struct row other = genesis;

		if (i == 0)
			other.u.genesis.site[0] = 'x';
		else if (i == 1)
			other.u.genesis.tenant[0] = 'x';
		else
			other.u.genesis.site_key[0] ^= 1;
		add(maker, other);
		maker_commit(maker);
		ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
		ck_assert_str_eq(error,
		    "batch 0: its genesis is of another site, tenant or key");
	}
	maker_release(maker);
}
END_TEST

START_TEST(time_goes_back_only_where_a_correction_stands)
{
	struct maker *maker = maker_with_past(8);
	struct row row = { .kind = ROW_CLOCK };

	row.u.clock.event = CLOCK_CORRECTED;
	row.u.clock.held = maker->next.time;
	row.u.clock.wall = maker->next.time - 5000;
	add(maker, row);
	maker_commit(maker);
	/* To the very time of the row, and from there on. */
	maker->next.time = row.u.clock.wall;
	add(maker, maker_grant(60, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	maker->next.time = row.u.clock.wall - 1;
	add(maker, maker_grant(61, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 19: its time goes back");
	maker_release(maker);
}
END_TEST

/* A batch of this row, and one that is a second earlier. */
static int
walk_back_after(struct row row)
{
	struct maker *maker = maker_with_past(15);

	maker_commit(maker);
	add(maker, row);
	maker_commit(maker);
	maker->next.time -= 2000;
	add(maker, maker_grant(62, 1, 0));
	maker_commit(maker);
	int err = walk_all(maker);

	maker_release(maker);
	return err;
}

START_TEST(no_other_row_turns_time_back)
{
	struct row row = { .kind = ROW_CLOCK };

	row.u.clock.held = MAKER_TIME;
	row.u.clock.wall = MAKER_TIME;
	row.u.clock.event = CLOCK_CORRECTED;
	ck_assert_int_eq(walk_back_after(row), 0);
	row.u.clock.event = CLOCK_CONFIRMED;
	ck_assert_int_eq(walk_back_after(row), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 19: its time goes back");
	/* One whose numbers look like those of a correction. */
	ck_assert_int_eq(walk_back_after(maker_end(CLOCK_CORRECTED, 1)),
	    ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 19: its time goes back");
}
END_TEST

START_TEST(a_correction_forward_binds_no_later_batch)
{
	struct maker *maker = maker_with_past(16);
	struct row row = { .kind = ROW_CLOCK };

	row.u.clock.event = CLOCK_CORRECTED;
	row.u.clock.held = maker->next.time;
	row.u.clock.wall = maker->next.time + 60000;
	add(maker, row);
	maker_commit(maker);
	add(maker, maker_grant(63, 1, 0));
	maker_commit(maker);
	ck_assert_int_eq(walk_all(maker), 0);
	maker_release(maker);
}
END_TEST

START_TEST(a_row_that_cannot_be_read_is_named)
{
	struct maker *maker = maker_with_past(17);

	/* An array whose second element is nothing of MessagePack. */
	buf_add(&maker->rows[maker->n_rows++], "\x93\x01\xc1\xc1", 4);
	maker_commit(maker);
	snprintf(error, sizeof(error), "words of before");
	ck_assert_int_ne(walk_all(maker), 0);
	ck_assert_ptr_nonnull(strstr(error, "batch 17: row 24: "));
	/* Of those before it nothing is said. */
	journal_walk_init(walk, maker->secret + 32);
	snprintf(error, sizeof(error), "words of before");
	ck_assert_int_eq(walk_batch(maker, 0), 0);
	ck_assert_str_eq(error, "");
	maker_release(maker);
}
END_TEST

START_TEST(a_batch_left_out_or_put_elsewhere_is_noticed)
{
	struct maker *maker = maker_with_past(9);

	maker_commit(maker);
	journal_walk_init(walk, maker->secret + 32);
	ck_assert_int_eq(walk_batch(maker, 1), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 0: its header is that of batch 1");
	journal_walk_init(walk, maker->secret + 32);
	ck_assert_int_eq(walk_batch(maker, 0), 0);
	ck_assert_int_eq(walk_batch(maker, 2), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 1: its header is that of batch 2");
	maker_release(maker);
}
END_TEST

START_TEST(any_altered_byte_of_a_batch_is_noticed)
{
	struct maker *maker = maker_new(10);
	size_t n;

	add(maker, maker_grant(1, 1, 0));
	add(maker, maker_grant(2, 1, 1));
	maker_commit(maker);
	uint8_t *blob = maker->blobs[1].data;

	n = maker->blobs[1].len;
	for (size_t i = 0; i < n; i++) {
		blob[i] ^= 0x20;
		ck_assert_int_ne(walk_all(maker), 0);
		ck_assert_int_eq(strncmp(error, "batch 1: ", 9), 0);
		blob[i] ^= 0x20;
	}
	for (maker->blobs[1].len = 0; maker->blobs[1].len < n;
	     maker->blobs[1].len++)
		ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_int_eq(walk_all(maker), 0);
	maker_release(maker);
}
END_TEST

START_TEST(rows_of_another_batch_do_not_fit)
{
	struct maker *maker = maker_new(11);
	struct journal_batch batch[2];
	struct arena arena = { 0 };

	for (int i = 0; i < 2; i++) {
		add(maker, maker_grant((uint64_t)i + 1, 1, 0));
		maker_commit(maker);
		ck_assert_int_eq(record_read_msgpack(&batch[i],
				     &journal_batch_record,
				     maker->blobs[i + 1].data,
				     maker->blobs[i + 1].len, NULL, &arena,
				     NULL),
		    0);
	}
	struct buf mixed = { 0 };

	batch[1].rows = batch[0].rows;
	record_write_msgpack(&mixed, &journal_batch_record, &batch[1]);
	buf_clear(&maker->blobs[2]);
	buf_add(&maker->blobs[2], mixed.data, mixed.len);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	ck_assert_str_eq(error, "batch 2: root does not match its rows");
	buf_release(&mixed);
	arena_release(&arena);
	maker_release(maker);
}
END_TEST

START_TEST(another_sites_journal_is_untrusted)
{
	struct maker *maker = maker_with_past(12);
	uint8_t key[32] = { 1 };

	journal_walk_init(walk, key);
	ck_assert_int_eq(walk_batch(maker, 0), ERR_UNTRUSTED);
	ck_assert_str_eq(error, "batch 0: header: not signed by a trusted key");
	maker_release(maker);
}
END_TEST

struct seen {
	uint64_t rows;
	uint64_t stop_at;
};

static int
see(void *ctx, const struct row *row, int64_t time)
{
	struct seen *seen = ctx;

	ck_assert_uint_eq(row->number, ++seen->rows);
	ck_assert_int_ge(time, MAKER_TIME);
	return row->number == seen->stop_at ? 42 : 0;
}

START_TEST(every_row_is_shown_and_may_end_the_walk)
{
	struct maker *maker = maker_with_past(13);
	struct seen seen = { 0, 0 };

	maker_commit(maker);
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i < maker->n; i++)
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[i].data,
				     maker->blobs[i].len, see, &seen, error,
				     sizeof(error)),
		    0);
	ck_assert_uint_eq(seen.rows, 23);
	seen = (struct seen){ 0, 3 };
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[i].data,
				     maker->blobs[i].len, see, &seen, error,
				     sizeof(error)),
		    i < 2 ? 0 : 42);
	ck_assert_str_eq(error, "");
	maker_release(maker);
	/* Who looks on does not make a bad row a good one. */
	maker = maker_with_past(18);
	add(maker, maker_grant(64, 1, 9));
	maker_commit(maker);
	seen = (struct seen){ 0, 0 };
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i < maker->n; i++)
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[i].data,
				     maker->blobs[i].len, see, &seen, error,
				     sizeof(error)),
		    i + 1 < maker->n ? 0 : ERR_CORRUPT);
	ck_assert_uint_eq(seen.rows, 23);
	maker_release(maker);
}
END_TEST

START_TEST(a_short_buffer_for_words_is_enough)
{
	struct maker *maker = maker_with_past(14);
	char small[12];

	maker_commit_bent(maker, bend_root);
	ck_assert_int_eq(walk_all(maker), ERR_CORRUPT);
	for (size_t size = 0; size <= sizeof(small); size++) {
		memset(small, 'x', sizeof(small));
		ck_assert_int_eq(journal_walk_batch(walk, maker->blobs[17].data,
				     maker->blobs[17].len, NULL, NULL, small,
				     size),
		    ERR_CORRUPT);
		if (size != 0)
			ck_assert_uint_lt(strnlen(small, size), size);
		for (size_t i = size; i < sizeof(small); i++)
			ck_assert_int_eq(small[i], 'x');
	}
	maker_release(maker);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("journal walk");
	TCase *tc = tcase_create("journal walk");

	tcase_add_checked_fixture(tc, walk_make, walk_free);
	tcase_add_test(tc, an_honest_journal_passes);
	tcase_add_loop_test(tc, a_header_that_lies_is_named, 0,
	    (int)(sizeof(bends) / sizeof(bends[0])));
	tcase_add_test(tc, a_journal_has_one_genesis_and_it_is_first);
	tcase_add_test(tc, time_goes_back_only_where_a_correction_stands);
	tcase_add_test(tc, no_other_row_turns_time_back);
	tcase_add_test(tc, a_correction_forward_binds_no_later_batch);
	tcase_add_test(tc, a_row_that_cannot_be_read_is_named);
	tcase_add_test(tc, a_batch_left_out_or_put_elsewhere_is_noticed);
	tcase_add_test(tc, any_altered_byte_of_a_batch_is_noticed);
	tcase_add_test(tc, rows_of_another_batch_do_not_fit);
	tcase_add_test(tc, another_sites_journal_is_untrusted);
	tcase_add_test(tc, every_row_is_shown_and_may_end_the_walk);
	tcase_add_test(tc, a_short_buffer_for_words_is_enough);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return s;
}
