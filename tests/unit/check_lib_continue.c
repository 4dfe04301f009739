/* Does a journal continue what was seen of it; does a beat renew a lease? */
#include "tests/unit/lib_question.h"

/* --- what was known --------------------------------------------------------
 */

static int
continues(const struct journal_known *known)
{
	why[0] = '\0';
	int error = verify_continues(&lease, &reply, known, why);

	ck_assert_int_eq(error != LH_OK, why[0] != '\0');
	return error;
}

START_TEST(first_answer_continues_nothing)
{
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(continues(&nothing), LH_OK);
}
END_TEST

START_TEST(later_batches_continue_every_earlier_one)
{
	struct journal_known known[20];

	for (size_t i = 0; i < 20; i++) {
		ck_assert_int_eq(verify(), LH_OK);
		chain_known(&known[i], &chain);
		for (size_t j = 0; j <= i; j++) {
			chain_reply(&reply, &chain, &known[j]);
			ck_assert_int_eq(continues(&known[j]), LH_OK);
		}
		chain_commit(&chain);
		chain_reply(&reply, &chain, &nothing);
	}
}
END_TEST

START_TEST(header_older_than_known_is_a_fork)
{
	struct journal_known known;
	struct local_checkout_reply old = reply;

	ck_assert_int_eq(verify(), LH_OK);
	struct verify_lease older = lease;

	chain_prepare(&chain, &request, 1);
	chain_commit(&chain);
	chain_known(&known, &chain);
	reply = old;
	lease = older;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
}
END_TEST

START_TEST(same_batch_with_another_head_is_a_fork)
{
	struct journal_known known;

	chain_known(&known, &chain);
	chain.next_batch--; /* the site goes back and writes another past */
	chain.next_row -= CHAIN_ROWS;
	chain_prepare(&chain, &request, 1);
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(continues(&known), LH_E_FORK);
}
END_TEST

START_TEST(missing_proofs_are_a_fork)
{
	struct journal_known known;

	chain_commit(&chain);
	chain_commit(&chain);
	chain_known(&known, &chain);
	chain_commit(&chain);
	chain_commit(&chain);
	chain_reply(&reply, &chain, &known);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(continues(&known), LH_OK);
	struct local_checkout_reply whole = reply;

	reply.inclusion.len = 0;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
	reply = whole;
	reply.consistency.len = 0;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
	reply = whole;
	reply.inclusion.len--;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
	reply = whole;
	chain.consistency[0][0] ^= 1;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
}
END_TEST

START_TEST(another_past_under_a_newer_batch_is_a_fork)
{
	struct journal_known known;

	chain_commit(&chain);
	chain_known(&known, &chain);
	/* Put back by one batch, and on past where it was. */
	chain.next_batch--;
	chain.next_row -= CHAIN_ROWS;
	chain.time++;
	for (int i = 0; i < 3; i++)
		chain_commit(&chain);
	chain_reply(&reply, &chain, &known);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(continues(&known), LH_E_FORK);
}
END_TEST

START_TEST(proofs_with_bytes_left_over_are_a_fork)
{
	struct journal_known known;

	chain_commit(&chain);
	chain_known(&known, &chain);
	chain_commit(&chain);
	chain_commit(&chain);
	chain_reply(&reply, &chain, &known);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_int_eq(continues(&known), LH_OK);
	reply.inclusion.len++;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
	reply.inclusion.len--;
	reply.consistency.len += 31;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
}
END_TEST

/* --- beats -----------------------------------------------------------------
 */

static struct buf beat_token;
static uint8_t beat_path[8][32];
static size_t beat_hashes;
static struct local_renew_reply beat_reply;
static uint64_t beat_leases[5] = { 11, 12, 13, 14, 15 };
static uint8_t beat_nonces[5][32];

static void
beat(uint32_t ttl_s, uint32_t index)
{
	ck_assert_int_eq(verify(), LH_OK);
	randombytes_buf(beat_nonces, sizeof(beat_nonces));
	beat_leases[index] = lease.lease;
	chain_beat(&beat_token, beat_path, &beat_hashes, &chain, beat_leases,
	    beat_nonces, ttl_s, 5, index);
	beat_reply = (struct local_renew_reply){
		.beat = { beat_token.data, (uint32_t)beat_token.len },
		.index = index,
		.path = { beat_path, (uint32_t)beat_hashes * 32 },
	};
}

static int
check_beat(const struct journal_known *known, const uint8_t nonce[32])
{
	struct journal_beat read;

	why[0] = '\0';
	int error = verify_beat_token(&read, &lease, &beat_reply, known, why);

	if (error == LH_OK)
		error = verify_beat(&read, &lease, &beat_reply, nonce, why);
	ck_assert_int_eq(error != LH_OK, why[0] != '\0');
	return error;
}

START_TEST(true_beat_renews_at_every_place)
{
	for (uint32_t i = 0; i < 5; i++) {
		beat(120, i);
		ck_assert_int_eq(check_beat(&nothing, beat_nonces[i]), LH_OK);
	}
}
END_TEST

START_TEST(beat_of_a_stranger_is_a_bad_signature)
{
	struct chain_keys mine = chain.site_key;

	ck_assert_int_eq(verify(), LH_OK);
	beat(120, 2);
	chain_new_keys(&chain.site_key);
	chain_beat(&beat_token, beat_path, &beat_hashes, &chain, beat_leases,
	    beat_nonces, 120, 5, 2);
	beat_reply.beat =
	    (struct record_span){ beat_token.data, (uint32_t)beat_token.len };
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[2]),
	    LH_E_BAD_SIGNATURE);
	chain.site_key = mine;
}
END_TEST

START_TEST(header_does_not_pass_for_a_beat)
{
	beat(120, 0);
	beat_reply.beat = reply.header;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[0]),
	    LH_E_BAD_SIGNATURE);
}
END_TEST

START_TEST(beat_over_another_nonce_or_lease_or_span_renews_nothing)
{
	beat(120, 3);
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[2]),
	    LH_E_NOT_IN_JOURNAL);
	beat_reply.index = 2;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[3]),
	    LH_E_NOT_IN_JOURNAL);
	beat_reply.index = 3;
	lease.lease++;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[3]),
	    LH_E_NOT_IN_JOURNAL);
	beat(60, 3);
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[3]),
	    LH_E_NOT_IN_JOURNAL);
	beat(120, 3);
	beat_path[0][0] ^= 1;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[3]),
	    LH_E_NOT_IN_JOURNAL);
	beat_reply.path.len = 31;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[3]),
	    LH_E_NOT_IN_JOURNAL);
}
END_TEST

START_TEST(path_of_a_beat_with_bytes_left_over_renews_nothing)
{
	beat(120, 1);
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]), LH_OK);
	beat_reply.path.len++;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]),
	    LH_E_NOT_IN_JOURNAL);
}
END_TEST

START_TEST(beat_on_a_later_batch_renews)
{
	struct journal_known known = { 0 };

	ck_assert_int_eq(verify(), LH_OK);
	chain_known(&known, &chain);
	struct verify_lease granted_ = lease;

	commit_again();
	commit_again();
	beat(120, 1);
	lease = granted_;
	beat_leases[1] = lease.lease;
	chain_beat(&beat_token, beat_path, &beat_hashes, &chain, beat_leases,
	    beat_nonces, 120, 5, 1);
	beat_reply.beat =
	    (struct record_span){ beat_token.data, (uint32_t)beat_token.len };
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_OK);
	/* In the generation that is known, too. */
	chain.header.generation = known.generation = lease.header.generation =
	    2;
	chain_beat(&beat_token, beat_path, &beat_hashes, &chain, beat_leases,
	    beat_nonces, 120, 5, 1);
	beat_reply.beat =
	    (struct record_span){ beat_token.data, (uint32_t)beat_token.len };
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_OK);
}
END_TEST

START_TEST(beat_behind_what_is_known_is_a_fork)
{
	struct journal_known known = { 0 };

	beat(120, 1);
	chain_known(&known, &chain);
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_OK);
	known.batch++;
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_E_FORK);
}
END_TEST

START_TEST(beat_on_another_head_of_the_known_batch_is_a_fork)
{
	struct journal_known known = { 0 };

	beat(120, 1);
	chain_known(&known, &chain);
	known.head[0] ^= 1;
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_E_FORK);
}
END_TEST

START_TEST(beat_behind_the_lease_itself_is_a_fork)
{
	struct journal_known older = { 0 };

	/* Known is what was there before the grant. */
	chain_known(&older, &chain);
	chain_prepare(&chain, &request, 0);
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
	chain.header.batch--;
	beat(120, 1);
	ck_assert_int_eq(check_beat(&older, beat_nonces[1]), LH_E_FORK);
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]), LH_E_FORK);
}
END_TEST

START_TEST(beat_of_an_older_generation_is_a_fork)
{
	beat(120, 1);
	lease.header.generation = 2;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]), LH_E_FORK);
	/* A newer one was opened by an admin. */
	lease.header.generation = 0;
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]), LH_OK);
}
END_TEST

/* The site's store was put back by `batches`, and its admin acknowledged it. */
static void
put_back(uint64_t batches)
{
	chain.next_batch -= batches;
	chain.next_row -= batches * CHAIN_ROWS;
	chain.put_back++;
	chain_prepare(&chain, &request, 0);
	commit_again();
}

START_TEST(later_generation_goes_on_from_an_older_batch)
{
	struct journal_known known;

	commit_again();
	commit_again();
	chain_known(&known, &chain);
	ck_assert_int_eq(verify(), LH_OK);
	put_back(2);
	ck_assert_int_eq(verify(), LH_OK);
	ck_assert_uint_lt(lease.header.batch, known.batch);
	ck_assert_int_eq(continues(&known), LH_OK);

	/* And the way back is a fork again. */
	struct verify_lease later = lease;

	chain_known(&known, &chain);
	lease.header.generation--;
	lease.header.batch += 100;
	ck_assert_int_eq(continues(&known), LH_E_FORK);
	lease = later;
	ck_assert_int_eq(continues(&known), LH_OK);
}
END_TEST

START_TEST(beat_of_a_later_generation_renews_a_lease_of_before)
{
	struct journal_known known;

	for (int i = 0; i < 3; i++)
		commit_again();
	chain_known(&known, &chain);
	chain.header.batch -= 2;
	beat(120, 1);
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_E_FORK);
	chain.header.generation++;
	beat(120, 1);
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_OK);
	/* But not when more was seen of that generation. */
	known.generation = chain.header.generation;
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_E_FORK);
	known.generation++;
	known.batch = 0;
	ck_assert_int_eq(check_beat(&known, beat_nonces[1]), LH_E_FORK);
}
END_TEST

/* What a beat of this time says to a license that enforces so. */
static int
beat_at(int64_t time, uint32_t enforce)
{
	struct journal_beat late = { .time = time };

	chain.license.terms.enforce = enforce;
	chain.license.terms.grace_days = enforce == LICENSE_GRACE ? 3 : 0;
	chain_sign(&chain);
	chain_prepare(&chain, &request, 0);
	commit_again();
	ck_assert_int_eq(verify(), LH_OK);
	why[0] = '\0';
	int error = verify_beat_contract(&late, &lease, why);

	ck_assert_int_eq(error != LH_OK, why[0] != '\0');
	return error;
}

START_TEST(beat_after_the_contract_renews_only_what_is_not_hard)
{
	int64_t end =
	    ((int64_t)chain.license.contract.end_date + 1) * CHAIN_DAY_MS;

	ck_assert_int_eq(beat_at(end - 1, LICENSE_HARD), LH_OK);
	ck_assert_int_eq(beat_at(end, LICENSE_HARD), LH_E_EXPIRED);
	ck_assert_int_eq(beat_at(end + 3 * CHAIN_DAY_MS - 1, LICENSE_GRACE),
	    LH_OK);
	ck_assert_int_eq(beat_at(end + 3 * CHAIN_DAY_MS, LICENSE_GRACE),
	    LH_E_EXPIRED);
	ck_assert_ptr_nonnull(strstr(why, "the 3 days after it"));
	ck_assert_int_eq(beat_at(end, LICENSE_ADVISORY), LH_OK);
}
END_TEST

START_TEST(beat_of_another_site_is_a_mismatch)
{
	beat(120, 1);
	text_copy(lease.header.site, sizeof(lease.header.site), "site-2");
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]), LH_E_MISMATCH);
}
END_TEST

START_TEST(beat_of_another_tenant_is_a_mismatch)
{
	beat(120, 1);
	text_copy(lease.header.tenant, sizeof(lease.header.tenant), "other");
	ck_assert_int_eq(check_beat(&nothing, beat_nonces[1]), LH_E_MISMATCH);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("lib continue");
	TCase *tc = tcase_create("lib continuation");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, first_answer_continues_nothing);
	tcase_add_test(tc, later_batches_continue_every_earlier_one);
	tcase_add_test(tc, header_older_than_known_is_a_fork);
	tcase_add_test(tc, same_batch_with_another_head_is_a_fork);
	tcase_add_test(tc, missing_proofs_are_a_fork);
	tcase_add_test(tc, another_past_under_a_newer_batch_is_a_fork);
	tcase_add_test(tc, proofs_with_bytes_left_over_are_a_fork);
	suite_add_tcase(s, tc);

	tc = tcase_create("lib beat");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, true_beat_renews_at_every_place);
	tcase_add_test(tc, beat_of_a_stranger_is_a_bad_signature);
	tcase_add_test(tc, header_does_not_pass_for_a_beat);
	tcase_add_test(tc,
	    beat_over_another_nonce_or_lease_or_span_renews_nothing);
	tcase_add_test(tc, path_of_a_beat_with_bytes_left_over_renews_nothing);
	tcase_add_test(tc, beat_on_a_later_batch_renews);
	tcase_add_test(tc, beat_behind_what_is_known_is_a_fork);
	tcase_add_test(tc, beat_on_another_head_of_the_known_batch_is_a_fork);
	tcase_add_test(tc, beat_behind_the_lease_itself_is_a_fork);
	tcase_add_test(tc, beat_of_an_older_generation_is_a_fork);
	tcase_add_test(tc, later_generation_goes_on_from_an_older_batch);
	tcase_add_test(tc, beat_of_a_later_generation_renews_a_lease_of_before);
	tcase_add_test(tc,
	    beat_after_the_contract_renews_only_what_is_not_hard);
	tcase_add_test(tc, beat_of_another_site_is_a_mismatch);
	tcase_add_test(tc, beat_of_another_tenant_is_a_mismatch);
	suite_add_tcase(s, tc);
	return s;
}
