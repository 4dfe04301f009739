/* Borrowed seats on their way back: a crash at each step, what ran out, what is
 * owed, and a site that is no good. */
#include "tests/unit/keeper_borrower.h"

/* --- returning ------------------------------------------------------------ */

START_TEST(return_takes_the_seats_in_use)
{
	uint64_t lease = borrow(2, 172800);
	struct local_borrow_return ask = { .lease = lease };
	struct local_borrow_returned reply;
	struct local_renew_reply renewed;

	use_seat();
	world_ask(&world, LOCAL_BORROW_RETURN, &ask);
	expect_revoked(lease);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert(reply.proved);
	ck_assert_uint_eq(lender_count(), 0);
	ck_assert_uint_eq(borrows().items.count, 0);
	ck_assert_int_eq(renew(&renewed, lease), ERR_GONE);
}
END_TEST

START_TEST(others_go_on_while_one_comes_back)
{
	uint64_t first = borrow(1, 172800), second, third;
	struct local_borrow_returned reply;
	struct local_renew_reply renewed;

	use_seat();
	second = borrow(1, 172800);
	third = borrow(1, 172800);
	ck_assert_int_eq(give_back(&reply, second, false), 0);
	ck_assert(reply.proved);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_uint_eq(lender_count(), 2);
	ck_assert_uint_eq(borrows().items.count, 2);
	go_offline();
	ck_assert_int_eq(renew(&renewed, first), 0);
	ck_assert_uint_eq(use_seat(), third);
	ck_assert_uint_eq(used(second), UINT32_MAX);
}
END_TEST

START_TEST(return_of_what_is_not_there_is_refused)
{
	struct local_borrow_returned reply;

	ck_assert_int_eq(give_back(&reply, 7, false), ERR_GONE);
	ck_assert_int_eq(give_back(&reply, 0, true), ERR_NOT_FOUND);
	ck_assert_int_eq(give_back(&reply, 0, false), 0);
	ck_assert_uint_eq(reply.count, 0);
}
END_TEST

START_TEST(others_borrows_are_not_ones_own)
{
	struct local_borrow_returned reply;
	struct local_checkout ask = question();
	uint64_t lease;

	if (!connect_as(1))
		return;
	lease = borrow(1, 172800);
	connect_as(2);
	ck_assert_uint_eq(borrows().items.count, 0);
	ck_assert_int_eq(give_back(&reply, lease, false), ERR_GONE);
	ck_assert_int_eq(give_back(&reply, 0, true), ERR_FORBIDDEN);
	take_seat(&ask);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 1);
	world_connect_app(&world);
	ck_assert_uint_eq(borrows().items.count, 1);
	give_back_all(1);
}
END_TEST

START_TEST(offline_all_or_nothing_goes_back)
{
	uint64_t lease = borrow(1, 172800);
	struct local_borrow_returned reply, again;
	struct proof_subject subject;

	borrow(2, 172800);
	go_offline();
	ck_assert_int_eq(give_back(&reply, lease, true), ERR_CONFLICT);
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	ck_assert_uint_eq(reply.count, 2);
	ck_assert(!reply.proved);
	ck_assert_str_eq(reply.file.site, WORLD_SITE);
	ticket_return_subject(&subject, WORLD_SITE, "default", 3,
	    reply.file.nonce);
	ck_assert_int_eq(proof_verify(&reply.file.proof, &subject,
			     world.device_key, world.device_key_len),
	    0);
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease != 0)
			ck_assert_uint_lt(lent_epoch(&lender.lent[i]),
			    reply.file.proof.counter);
	/* The file was lost: another proves the same. */
	ck_assert_int_eq(give_back(&again, 0, true), 0);
	ck_assert_uint_eq(again.file.proof.counter, reply.file.proof.counter);
	/* And it is told by itself. */
	come_back();
	ck_assert_uint_eq(lender_count(), 0);
	ck_assert_uint_eq(borrows().items.count, 0);
}
END_TEST

START_TEST(nothing_is_used_after_an_offline_return)
{
	uint64_t lease = borrow(1, 172800);
	struct local_borrow_return ask = { .all = true, .offline = true };
	struct local_borrow_returned reply;

	use_seat();
	go_offline();
	world_ask(&world, LOCAL_BORROW_RETURN, &ask);
	expect_revoked(lease);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	/* Also not by a keeper that starts with an older book. */
	ck_assert_uint_eq(used(lease), 0);
	ck_assert_uint_eq(((const struct local_borrow *)borrows().items.items)
			      ->state,
	    BORROW_RETURNING);
}
END_TEST

START_TEST(restored_book_serves_nothing_after_a_return)
{
	struct local_checkout ask = question();
	struct local_borrow_returned reply;

	borrow(1, 172800);
	copy_part("borrows.json", "old");
	go_offline();
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	world_kill_keeper(&world);
	copy_part("old", "borrows.json");
	world.offline = false;
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert_uint_eq(borrows().items.count, 0);
	ck_assert_uint_eq(lender_count(), 0);
	take_seat(&ask);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 1);
}
END_TEST

/* A folder where the file was: nothing can be put in its place. */
START_TEST(return_that_cannot_be_written_is_not_begun)
{
	uint64_t lease = borrow(1, 172800);
	struct local_borrow_returned reply;
	char words[256];

	use_seat();
	go_offline();
	snprintf(words, sizeof(words),
	    "cd %s && mv borrows.json kept && mkdir -p borrows.json/x",
	    world.folder);
	ck_assert_int_eq(system(words), 0);
	ck_assert_int_ne(give_back(&reply, 0, true), 0);
	snprintf(words, sizeof(words),
	    "cd %s && rm -r borrows.json && mv kept borrows.json",
	    world.folder);
	ck_assert_int_eq(system(words), 0);
	come_back();
	ck_assert_uint_eq(lender_count(), 1);
	ck_assert_uint_eq(used(lease), 1);
	ck_assert_uint_eq(lender_find(lease)->now.epoch, lender.proven);
	give_back_all(1);
}
END_TEST

/* --- a crash at each step ------------------------------------------------- */

/* Two borrows, of which the second comes back; where it was interrupted, it
 * goes on by itself, and the first goes on all the while. */
static void
expect_second_returned(uint64_t first)
{
	struct local_renew_reply renewed;

	ck_assert_uint_eq(lender_count(), 1);
	ck_assert_uint_eq(borrows().items.count, 1);
	ck_assert_int_eq(renew(&renewed, first), 0);
	ck_assert_ptr_nonnull(lender_find(first));
}

static uint64_t
borrow_two(uint64_t *second)
{
	uint64_t first = borrow(1, 172800);

	use_seat();
	*second = borrow(1, 172800);
	return first;
}

START_TEST(crash_before_the_site_hears_of_a_return)
{
	uint64_t second, first = borrow_two(&second);

	lender.silent_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	crash();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_the_target_is_heard)
{
	uint64_t second, first = borrow_two(&second);

	lender.dies_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	ck_assert_uint_ne(lender.target, 0);
	crash();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_replacements_are_stored)
{
	uint64_t second, first = borrow_two(&second);

	lender.silent_at = OP_BORROW_MINE;
	begin_return(second, OP_BORROW_MINE);
	crash();
	expect_second_returned(first);
}
END_TEST

/* The target is written, the counter not raised: by the book of after and the
 * key of before. */
START_TEST(crash_before_the_counter_is_raised)
{
	uint64_t second, first = borrow_two(&second);

	copy_part("identity", "before");
	lender.silent_at = OP_BORROW_RETURN;
	begin_return(second, OP_BORROW_RETURN);
	world_kill_keeper(&world);
	copy_part("before", "identity");
	lender.silent_at = 0;
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_the_site_hears_the_proof)
{
	uint64_t second, first = borrow_two(&second);

	lender.silent_at = OP_BORROW_RETURN;
	begin_return(second, OP_BORROW_RETURN);
	ck_assert_uint_eq(lender_count(), 2);
	crash();
	expect_second_returned(first);
}
END_TEST

START_TEST(crash_before_the_book_forgets)
{
	uint64_t second, first = borrow_two(&second);

	lender.dies_at = OP_BORROW_RETURN;
	begin_return(second, OP_BORROW_RETURN);
	ck_assert_uint_eq(lender_count(), 1);
	crash();
	expect_second_returned(first);
	ck_assert_uint_eq(lender.ended, 1);
}
END_TEST

/* The same steps, and the line is cut instead. */
START_TEST(cut_line_ends_no_return)
{
	static const uint32_t steps[] = { OP_BORROW_PREPARE, OP_BORROW_MINE,
		OP_BORROW_RETURN };
	struct local_borrow_returned reply;
	uint64_t second, first = borrow_two(&second);

	for (size_t i = 0; i < 3; i++) {
		lender.dies_at = steps[i];
		begin_return(second, steps[i]);
		lender.dies_at = 0;
		world_disconnect(&world);
		ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN,
				     &arena, &problem),
		    0);
		ck_assert(!reply.proved);
		ck_assert_uint_eq(reply.count, 1);
		wait_connected();
		expect_second_returned(first);
		second = borrow(1, 172800);
	}
}
END_TEST

/* The answer with the target was lost, and without the site all goes back: also
 * what the site has made tickets of for that target. */
START_TEST(offline_return_is_above_a_target_that_was_lost)
{
	struct local_borrow_returned reply;
	uint64_t second;

	borrow_two(&second);
	lender.dies_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	lender.dies_at = 0;
	world.offline = true;
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	world_connect_app(&world);
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease != 0)
			ck_assert_uint_lt(lent_epoch(&lender.lent[i]),
			    reply.file.proof.counter);
	come_back();
	ck_assert_uint_eq(lender_count(), 0);
	ck_assert_uint_eq(borrows().items.count, 0);
}
END_TEST

/* No target was ever heard, and one that ran out meanwhile made it higher. */
START_TEST(offline_return_is_above_all_targets_that_were_lost)
{
	struct local_borrow_returned reply;
	uint64_t second;

	borrow_two(&second);
	borrow(1, 1);
	lender.dies_at = OP_BORROW_PREPARE;
	begin_return(second, OP_BORROW_PREPARE);
	ck_assert_uint_eq(lender.target, lender.proven + 1);
	usleep(1100000);
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_BORROW_RETURN, &arena,
			     &problem),
	    0);
	world_serve_until(&world, OP_BORROW_PREPARE, 2);
	ck_assert_uint_gt(lender.target, lender.proven + 1);
	lender.dies_at = 0;
	world.offline = true;
	world_disconnect(&world);
	world_connect_app(&world);
	ck_assert_int_eq(give_back(&reply, 0, true), 0);
	for (size_t i = 0; i < LENDER_MAX; i++)
		if (lender.lent[i].lease != 0)
			ck_assert_uint_lt(lent_epoch(&lender.lent[i]),
			    reply.file.proof.counter);
	come_back();
	ck_assert_uint_eq(lender_count(), 0);
}
END_TEST

/* --- a site that is no good ------------------------------------------------ */

static uint64_t
counter_now(uint64_t lease)
{
	struct local_renew_reply reply;

	ck_assert_int_eq(renew(&reply, lease), 0);
	return reply.ticket.proof.counter;
}

/* Each step is written into the TPM, which bears so many and no more. */
START_TEST(target_far_away_is_not_counted_to)
{
	uint64_t second, first = borrow_two(&second), before;
	struct local_borrow_returned reply;

	before = counter_now(first);
	lender.far = UINT64_C(1) << 40;
	ck_assert_int_eq(give_back(&reply, second, false), ERR_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(problem.detail, "steps"));
	ck_assert_uint_eq(counter_now(first), before);
	/* It was a mistake: what was begun is settled before anything else. */
	lender.far = 0;
	ck_assert_int_eq(give_back(&reply, second, false), ERR_GONE);
	ck_assert_uint_eq(lender_count(), 1);
}
END_TEST

START_TEST(list_that_never_ends_is_given_up)
{
	struct local_borrow_returned reply;
	uint64_t lease = borrow(1, 172800);

	lender.endless = true;
	ck_assert_int_eq(give_back(&reply, lease, false), ERR_BAD_PROOF);
	lender.endless = false;
	ck_assert_int_eq(give_back(&reply, 0, false), 0);
	ck_assert(reply.proved);
	ck_assert_uint_eq(lender_count(), 0);
}
END_TEST

/* Who reads the number of another's request in a row gets nothing by it. */
START_TEST(anothers_request_takes_nothing_over)
{
	struct local_borrow_take ask = wish(1, 172800);
	struct local_borrow reply;
	uint64_t lease;

	wait_connected();
	text_copy(ask.user, sizeof(ask.user), "somebody");
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	lease = reply.lease;
	if (!connect_as(1))
		return;
	memcpy(ask.request, lender_find(lease)->row.grant.request,
	    sizeof(ask.request));
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_BORROW_TAKE, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_ne(reply.lease, lease);
	connect_as(0);
	for (uint32_t i = 0; i < borrows().items.count; i++) {
		const struct local_borrow *item =
		    (const struct local_borrow *)borrows().items.items + i;

		ck_assert_uint_eq(item->uid, item->lease == lease ? 0 : 1);
	}
}
END_TEST

/* Whoever asks faster than the key proves does not keep others from it. */
START_TEST(proofs_of_one_seat_are_not_piled_up)
{
	uint64_t lease = borrow(1, 172800);
	struct local_renew ask = { .lease = lease };
	struct local_renew_reply reply;
	unsigned int refused = 0;

	use_seat();
	for (int i = 0; i < 100; i++) {
		randombytes_buf(ask.nonce, sizeof(ask.nonce));
		world_ask(&world, LOCAL_RENEW, &ask);
	}
	for (int i = 0; i < 100; i++) {
		struct rpc_envelope line;

		world_line(&line, &world);
		if (line.error == NULL)
			continue;
		ck_assert_int_eq(rpc_read_error(&problem, line.error,
				     line.error_len),
		    ERR_RATE_LIMITED);
		refused++;
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_int_eq(renew(&reply, lease), 0);
}
END_TEST

/* --- what is over, and what is owed --------------------------------------- */

START_TEST(borrow_that_ran_out_is_settled_at_the_next_contact)
{
	uint64_t lease = borrow(1, 1), other = borrow(1, 172800);

	go_offline();
	usleep(1100000);
	ck_assert_uint_eq(((const struct local_borrow *)borrows().items.items)
			      ->state,
	    BORROW_UNPROVEN);
	ck_assert_uint_eq(use_seat(), other);
	ck_assert_uint_eq(lender_count(), 2);
	come_back();
	ck_assert_ptr_null(lender_find(lease));
	ck_assert_ptr_nonnull(lender_find(other));
	ck_assert_uint_eq(borrows().items.count, 1);
}
END_TEST

START_TEST(what_ran_out_is_settled_before_more_is_borrowed)
{
	uint64_t lease = borrow(1, 1), other;

	usleep(1100000);
	other = borrow(1, 100);
	ck_assert_ptr_null(lender_find(lease));
	ck_assert_ptr_nonnull(lender_find(other));
}
END_TEST

/* The wall clock says that it is good; the device's own says otherwise, which
 * counts since this machine was turned on: not long ago, maybe. */
START_TEST(used_up_time_ends_a_ticket)
{
	struct local_checkout ask = question();
	uint64_t lease;

	lender.clock_back_ms = 60000;
	lease = borrow(1, 60);
	/* Not given out, and the site is asked instead. */
	ck_assert_uint_ne(take_seat(&ask).lease, lease);
	ck_assert_uint_eq(used(lease), 0);
	for (int i = 0; i < 100 && lender_count() != 0; i++)
		world_serve_for(&world, 20);
	ck_assert_uint_eq(lender_count(), 0);
}
END_TEST

START_TEST(used_up_time_ends_a_renewal)
{
	struct local_renew_reply reply;
	uint64_t lease;

	lender.clock_back_ms = 60000 - 400;
	lease = borrow(1, 60);
	use_seat();
	go_offline();
	usleep(500000);
	ck_assert_int_eq(renew(&reply, lease), ERR_GONE);
	ck_assert_ptr_nonnull(strstr(problem.detail, "are over"));
	expect_revoked(lease);
}
END_TEST

START_TEST(what_is_owed_is_proved_without_being_asked)
{
	borrow(1, 172800);
	/* An admin wrote it off. */
	lender.owed = lender_find(501)->now.epoch;
	lender.lent[0].lease = 0;
	world_disconnect(&world);
	wait_connected();
	ck_assert_uint_eq(lender.owed, 0);
	ck_assert_uint_eq(borrows().items.count, 0);
	borrow(1, 100);
}
END_TEST

START_TEST(site_that_forgot_a_borrow_takes_none_away)
{
	uint64_t lease = borrow(1, 172800);

	world_disconnect(&world);
	world_roll_back(&world, 1);
	lender.lent[0].lease = 0;
	wait_connected();
	go_offline();
	ck_assert_uint_eq(use_seat(), lease);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper return");
	TCase *returns = tcase_create("returns");
	TCase *crashes = tcase_create("crashes");
	TCase *over = tcase_create("over");
	TCase *cases[] = { returns, crashes, over };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_checked_fixture(cases[i], lender_setup,
		    lender_teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	tcase_add_test(returns, return_takes_the_seats_in_use);
	tcase_add_test(returns, return_that_cannot_be_written_is_not_begun);
	tcase_add_test(returns, others_go_on_while_one_comes_back);
	tcase_add_test(returns, return_of_what_is_not_there_is_refused);
	tcase_add_test(returns, others_borrows_are_not_ones_own);
	tcase_add_test(returns, offline_all_or_nothing_goes_back);
	tcase_add_test(returns, nothing_is_used_after_an_offline_return);
	tcase_add_test(returns, restored_book_serves_nothing_after_a_return);
	tcase_add_test(crashes, crash_before_the_site_hears_of_a_return);
	tcase_add_test(crashes, crash_before_the_target_is_heard);
	tcase_add_test(crashes, crash_before_replacements_are_stored);
	tcase_add_test(crashes, crash_before_the_counter_is_raised);
	tcase_add_test(crashes, crash_before_the_site_hears_the_proof);
	tcase_add_test(crashes, crash_before_the_book_forgets);
	tcase_add_test(crashes, cut_line_ends_no_return);
	tcase_add_test(crashes, offline_return_is_above_a_target_that_was_lost);
	tcase_add_test(crashes,
	    offline_return_is_above_all_targets_that_were_lost);
	tcase_add_test(over, proofs_of_one_seat_are_not_piled_up);
	tcase_add_test(over, target_far_away_is_not_counted_to);
	tcase_add_test(over, list_that_never_ends_is_given_up);
	tcase_add_test(over, anothers_request_takes_nothing_over);
	tcase_add_test(over,
	    borrow_that_ran_out_is_settled_at_the_next_contact);
	tcase_add_test(over, what_ran_out_is_settled_before_more_is_borrowed);
	tcase_add_test(over, used_up_time_ends_a_ticket);
	tcase_add_test(over, used_up_time_ends_a_renewal);
	tcase_add_test(over, what_is_owed_is_proved_without_being_asked);
	tcase_add_test(over, site_that_forgot_a_borrow_takes_none_away);
	return s;
}
