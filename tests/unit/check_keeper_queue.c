/* The keeper between an application that waits and the site's queue. */
#include "shared/base/clock.h"
#include "tests/unit/keeper_test.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

/* Ask with a wait, and be told a place. */
static struct local_checkout
stand_in_line(uint32_t place, uint32_t wait_s)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	ask.wait_s = wait_s;
	world.queue = (struct queue_place){ place, place + 3, 0 };
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.lease, 0);
	ck_assert_uint_eq(reply.device, 3);
	ck_assert_uint_eq(reply.queue.place, place);
	ck_assert_uint_eq(reply.queue.length, place + 3);
	return ask;
}

/* Take the turn: the same question with a fresh nonce. */
static struct local_checkout_reply
claim(struct local_checkout *ask)
{
	randombytes_buf(ask->nonce, sizeof(ask->nonce));
	world.queue.place = 0;
	return take_seat(ask);
}

static void
expect_offer(const struct local_checkout *ask)
{
	struct lease_offered offered;

	world_notice(&offered, &world, LOCAL_OFFERED);
	ck_assert_mem_eq(offered.request, ask->request, REQUEST_BYTES);
	ck_assert_uint_ge(offered.claim_s, 1);
}

static void
expect_place(const struct local_checkout *ask, uint32_t place, const char *code)
{
	struct lease_waiting waiting;

	world_notice(&waiting, &world, LOCAL_WAITING);
	ck_assert_mem_eq(waiting.request, ask->request, REQUEST_BYTES);
	ck_assert_uint_eq(waiting.queue.place, place);
	ck_assert_str_eq(waiting.code, code);
}

static struct local_questions
questions(void)
{
	struct empty nothing = { 0 };
	struct local_questions reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_QUESTIONS, &nothing,
			     &arena, &problem),
	    0);
	return reply;
}

/* Somebody else wants the site: it is tried again at once. */
static void
hurry(void)
{
	struct local_checkout ask = question();
	int first = world.app;

	world.app = -1;
	world_connect_app(&world);
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	usleep(100 * 1000);
	close(world.app);
	world.app = first;
	world.next_id--;
}

/* --- places and turns ----------------------------------------------------- */

START_TEST(place_is_the_answer_and_its_changes_are_notices)
{
	struct local_checkout ask = stand_in_line(4, 60);

	ck_assert_uint_eq(world.last_checkout.wait_s, 60);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
	world_place(&world, 2, 6, "");
	expect_place(&ask, 2, "");

	/* It is shown as one that waits for a seat, at its place. */
	struct local_questions shown = questions();
	const struct local_question *item = shown.items.items;

	ck_assert_uint_eq(shown.items.count, 1);
	ck_assert_uint_eq(item->waits, LOCAL_WAITS_SEAT);
	ck_assert_uint_eq(item->queue.place, 2);
	ck_assert_uint_eq(count_leases(), 0);
	/* Nobody asks the site meanwhile. */
	world_serve_for(&world, 1500);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 1);
}
END_TEST

START_TEST(turn_is_taken_with_a_fresh_nonce_under_the_same_request)
{
	struct local_checkout ask = stand_in_line(1, 60);
	struct local_checkout first = ask;

	world_offer(&world, ask.request);
	expect_offer(&ask);
	ask.wait_s = 50;
	struct local_checkout_reply reply = claim(&ask);

	ck_assert_uint_ne(reply.lease, 0);
	ck_assert_mem_ne(ask.nonce, first.nonce, NONCE_BYTES);
	ck_assert_mem_eq(world.last_checkout.nonce, ask.nonce, NONCE_BYTES);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
	ck_assert_uint_eq(world.last_checkout.wait_s, 50);
	ck_assert_uint_eq(count_leases(), 1);
	ck_assert_uint_eq(questions().items.count, 0);
	ck_assert_uint_eq(world.asked[OP_LEASE_CANCEL], 0);
}
END_TEST

START_TEST(turn_of_a_held_seat_gets_its_nonce_when_it_is_taken)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;
	uint8_t first[NONCE_BYTES];

	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.wait_s = 60;
	world.queue = (struct queue_place){ 1, 1, 0 };
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	memcpy(first, world.last_checkout.nonce, NONCE_BYTES);
	world_offer(&world, ask.request);
	expect_offer(&ask);
	world.queue.place = 0;
	reply = take_seat(&ask);
	ck_assert_uint_ne(reply.lease, 0);
	ck_assert_mem_ne(world.last_checkout.nonce, first, NONCE_BYTES);
}
END_TEST

START_TEST(turn_that_went_by_is_a_place_again)
{
	struct local_checkout ask = stand_in_line(1, 60);
	struct local_checkout_reply reply;

	world_offer(&world, ask.request);
	expect_offer(&ask);
	world.queue = (struct queue_place){ 5, 5, 0 };
	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.lease, 0);
	ck_assert_uint_eq(reply.queue.place, 5);
	claim(&ask);
}
END_TEST

START_TEST(other_question_under_the_same_request_takes_no_turn)
{
	struct local_checkout ask = stand_in_line(1, 60);
	struct local_checkout other = ask;
	struct local_checkout_reply reply;

	other.count = 7;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &other,
			     &arena, &problem),
	    ERR_CONFLICT);
	/* Nor does another connection take it. */
	int first = world.app;

	world.app = -1;
	world_connect_app(&world);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_CONFLICT);
	close(world.app);
	world.app = first;
	claim(&ask);
}
END_TEST

START_TEST(count_and_feature_go_to_the_site)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	strcpy(ask.feature, "flux");
	ask.count = 3;
	world.refuse_checkouts = 1;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_NO_SEATS);
	ck_assert_str_eq(world.last_checkout.feature, "flux");
	ck_assert_uint_eq(world.last_checkout.count, 3);
	ck_assert_uint_eq(world.last_checkout.wait_s, 0);
}
END_TEST

/* --- leaving -------------------------------------------------------------- */

START_TEST(cancel_leaves_the_sites_queue)
{
	struct local_checkout ask = stand_in_line(2, 60);
	struct lease_cancel cancel;
	struct empty nothing;

	memcpy(cancel.request, ask.request, REQUEST_BYTES);
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_CANCEL, &cancel,
			     &arena, &problem),
	    0);
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
	ck_assert_mem_eq(world.last_cancel, ask.request, REQUEST_BYTES);
	ck_assert_uint_eq(questions().items.count, 0);
	/* Again, and of what never was: nothing happens. */
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_CANCEL, &cancel,
			     &arena, &problem),
	    0);
	world_serve_for(&world, 200);
	ck_assert_uint_eq(world.asked[OP_LEASE_CANCEL], 1);
}
END_TEST

START_TEST(hanging_up_leaves_the_sites_queue)
{
	struct local_checkout ask = stand_in_line(2, 60);

	world_connect_app(&world); /* another connection; the first ends */
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
	ck_assert_mem_eq(world.last_cancel, ask.request, REQUEST_BYTES);
	ck_assert_uint_eq(questions().items.count, 0);
}
END_TEST

START_TEST(killed_process_leaves_the_sites_queue_at_once)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;
	pid_t pid = start_sleeper();

	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.pid = (uint64_t)pid;
	ask.wait_s = 60;
	world.queue = (struct queue_place){ 1, 1, 0 };
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	expect_place(&ask, 0, "gone");
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
}
END_TEST

START_TEST(question_taken_back_before_its_answer_keeps_nothing)
{
	struct local_checkout ask = question();
	struct lease_cancel cancel;
	struct rpc_envelope envelope;

	wait_connected();
	ask.wait_s = 60;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	memcpy(cancel.request, ask.request, REQUEST_BYTES);
	world_ask(&world, LOCAL_CANCEL, &cancel);
	/* Both are answered: the first with a refusal. */
	world_line(&envelope, &world);
	ck_assert_uint_eq(envelope.id, world.next_id - 2);
	ck_assert_ptr_nonnull(envelope.error);
	world_line(&envelope, &world);
	ck_assert_uint_eq(envelope.id, world.next_id - 1);
	ck_assert_ptr_nonnull(envelope.result);
	/* If the site was asked, what it granted goes back. */
	world_serve_for(&world, 300);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN],
	    world.asked[OP_LEASE_CHECKOUT]);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(place_for_nobody_is_given_up)
{
	struct local_checkout ask = question();

	wait_connected();
	world.silent = true;
	ask.wait_s = 60;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_until(&world, OP_LEASE_CHECKOUT, 1);
	world_connect_app(&world);
	status();
	/* The line is cut, and the site keeps a place for the question. */
	world.silent = false;
	world.queue = (struct queue_place){ 1, 1, 0 };
	world_disconnect(&world);
	wait_connected();
	world_serve_for(&world, 200);
	ck_assert_uint_eq(questions().items.count, 0);
	/* Asked again as one who does not wait: here the site granted it. */
	ck_assert_uint_eq(world.last_checkout.wait_s, 0);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN], 1);
}
END_TEST

START_TEST(offer_to_nobody_is_given_up)
{
	uint8_t request[REQUEST_BYTES] = { 7 };

	wait_connected();
	/* An application may come back to a keeper that was restarted. */
	world_offer(&world, request);
	world_serve_for(&world, 200);
	ck_assert_uint_eq(world.asked[OP_LEASE_CANCEL], 0);
	world_serve_for(&world, 10000);
	world_offer(&world, request);
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
	ck_assert_mem_eq(world.last_cancel, request, REQUEST_BYTES);
}
END_TEST

/* --- the end of a wait ---------------------------------------------------- */

START_TEST(end_of_a_wait_is_told_with_the_sites_reason)
{
	struct local_checkout ask = stand_in_line(1, 60);

	world_place(&world, 0, 0, "overage_exhausted");
	expect_place(&ask, 0, "overage_exhausted");
	ck_assert_uint_eq(questions().items.count, 0);
	/* The site knows it: it is told nothing. */
	world_serve_for(&world, 200);
	ck_assert_uint_eq(world.asked[OP_LEASE_CANCEL], 0);
}
END_TEST

START_TEST(wait_ends_though_the_site_says_nothing)
{
	struct local_checkout ask = stand_in_line(1, 1);

	expect_place(&ask, 0, "no_seats");
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
	ck_assert_uint_eq(questions().items.count, 0);
}
END_TEST

START_TEST(wait_ends_while_the_site_is_not_reached)
{
	struct local_checkout ask = stand_in_line(1, 2);

	world.offline = true;
	world_disconnect(&world);
	expect_place(&ask, 0, "");
	expect_place(&ask, 0, "unavailable");
	ck_assert_uint_eq(questions().items.count, 0);
}
END_TEST

/* --- lines that are cut, sites and keepers that are restarted ------------- */

START_TEST(cut_line_has_the_application_ask_again)
{
	struct local_checkout ask = stand_in_line(3, 60);

	world_disconnect(&world);
	expect_place(&ask, 0, "");
	expect_offer(&ask); /* reached again: ask with a fresh nonce */
	struct local_checkout first = ask;
	struct local_checkout_reply reply;

	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	ask.wait_s = 40;
	world.queue = (struct queue_place){ 2, 2, 0 };
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.queue.place, 2);
	ck_assert_mem_eq(world.last_checkout.request, first.request,
	    REQUEST_BYTES);
	ck_assert_mem_ne(world.last_checkout.nonce, first.nonce, NONCE_BYTES);
	ck_assert_uint_eq(world.last_checkout.wait_s, 40);
	claim(&ask);
}
END_TEST

START_TEST(lost_answer_is_asked_for_word_for_word)
{
	struct local_checkout ask = question();

	wait_connected();
	world.silent = true;
	ask.wait_s = 60;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_until(&world, OP_LEASE_CHECKOUT, 1);
	world.silent = false;
	world_disconnect(&world);

	struct local_checkout_reply reply;

	ck_assert_int_eq(world_take(&reply, &world, LOCAL_CHECKOUT, &arena,
			     &problem),
	    0);
	ck_assert_uint_ne(reply.lease, 0);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 2);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
	ck_assert_mem_eq(world.last_checkout.nonce, ask.nonce, NONCE_BYTES);
}
END_TEST

/* Its disk is full for a moment, or it is about to stop. */
START_TEST(turn_that_the_site_cannot_write_is_taken_later)
{
	struct local_checkout ask = stand_in_line(1, 60);
	struct local_checkout_reply reply;

	world_offer(&world, ask.request);
	expect_offer(&ask);
	world.faulty = true;
	world.refuse_checkouts = 1;
	reply = claim(&ask);
	ck_assert_uint_eq(reply.lease, 0);
	ck_assert_uint_ge(reply.queue.claim_s, 1);
	/* The site keeps the place: it was not given up. */
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 2);
	ck_assert_uint_eq(world.asked[OP_LEASE_CANCEL], 0);
	reply = claim(&ask);
	ck_assert_uint_ne(reply.lease, 0);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
	ck_assert_mem_eq(world.last_checkout.nonce, ask.nonce, NONCE_BYTES);
}
END_TEST

START_TEST(question_that_grew_old_offline_is_asked_anew)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.offline = true;
	world_disconnect(&world);
	ask.wait_s = 60;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_for(&world, 3000);
	int64_t until_ms = clock_boottime_ms() + 3000;

	while (clock_boottime_ms() < until_ms)
		world_serve_for(&world, 100);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
	world.offline = false;
	hurry();
	/* The site was not asked with the old nonce: the answer is to ask. */
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_CHECKOUT, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.lease, 0);
	ck_assert_uint_eq(reply.queue.place, 0);
	ck_assert_uint_ge(reply.queue.claim_s, 1);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
	reply = claim(&ask);
	ck_assert_mem_eq(world.last_checkout.nonce, ask.nonce, NONCE_BYTES);
	ck_assert_uint_ne(reply.lease, 0);
}
END_TEST

START_TEST(place_given_up_offline_is_given_up_at_the_site)
{
	struct local_checkout ask = stand_in_line(1, 60);

	world.offline = true;
	world_disconnect(&world);
	expect_place(&ask, 0, "");
	world_connect_app(&world);
	ck_assert_uint_eq(questions().items.count, 0);
	world.offline = false;
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
	ck_assert_mem_eq(world.last_cancel, ask.request, REQUEST_BYTES);
}
END_TEST

START_TEST(killed_keeper_leaves_the_place_to_the_site)
{
	struct local_checkout ask = stand_in_line(2, 60);

	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	/* The application comes back with its request. */
	struct local_checkout_reply reply;

	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	world.queue = (struct queue_place){ 1, 1, 0 };
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.queue.place, 1);
	ck_assert_uint_eq(world.asked[OP_LEASE_CANCEL], 0);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
	world_offer(&world, ask.request);
	expect_offer(&ask);
	claim(&ask);
}
END_TEST

/* --- a site that says what cannot be -------------------------------------- */

START_TEST(place_for_one_who_does_not_wait_is_given_up)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	world.queue = (struct queue_place){ 1, 1, 0 };
	world.place_for_all = true;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_NO_SEATS);
	world_serve_until(&world, OP_LEASE_CANCEL, 1);
}
END_TEST

START_TEST(answer_without_lease_or_place_is_a_fault)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	world.place_for_all = true;
	ck_assert_int_lt(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_int_ne(strcmp(problem.code, "no_seats"), 0);
	ck_assert_uint_eq(questions().items.count, 0);
}
END_TEST

START_TEST(grant_without_evidence_is_returned)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	world.no_evidence = true;
	ck_assert_int_lt(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(waiting_questions_of_a_user_are_bounded)
{
	struct local_checkout ask;
	struct local_checkout_reply reply;

	world.queue = (struct queue_place){ 1, 1, 0 };
	wait_connected();
	for (int i = 0; i < 1024; i++) {
		ask = question();
		ask.wait_s = 60;
		ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT,
				     &ask, &arena, &problem),
		    0);
		arena_clear(&arena);
	}
	ask = question();
	ask.wait_s = 60;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_QUOTA_EXCEEDED);
	/* They all go with their connection. */
	world_connect_app(&world);
	world_serve_until(&world, OP_LEASE_CANCEL, 1024);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper queue");
	TCase *turns = tcase_create("turns");
	TCase *leaving = tcase_create("leaving");
	TCase *ends = tcase_create("ends");
	TCase *restarts = tcase_create("restarts");
	TCase *faults = tcase_create("faults");
	TCase *cases[] = { turns, leaving, ends, restarts, faults };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tcase_add_checked_fixture(cases[i], setup, teardown);
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(s, cases[i]);
	}
	tcase_add_test(turns, place_is_the_answer_and_its_changes_are_notices);
	tcase_add_test(turns,
	    turn_is_taken_with_a_fresh_nonce_under_the_same_request);
	tcase_add_test(turns,
	    turn_of_a_held_seat_gets_its_nonce_when_it_is_taken);
	tcase_add_test(turns, turn_that_went_by_is_a_place_again);
	tcase_add_test(turns,
	    other_question_under_the_same_request_takes_no_turn);
	tcase_add_test(turns, count_and_feature_go_to_the_site);
	tcase_add_test(leaving, cancel_leaves_the_sites_queue);
	tcase_add_test(leaving, hanging_up_leaves_the_sites_queue);
	tcase_add_test(leaving, killed_process_leaves_the_sites_queue_at_once);
	tcase_add_test(leaving,
	    question_taken_back_before_its_answer_keeps_nothing);
	tcase_add_test(leaving, place_for_nobody_is_given_up);
	tcase_add_test(leaving, offer_to_nobody_is_given_up);
	tcase_add_test(ends, end_of_a_wait_is_told_with_the_sites_reason);
	tcase_add_test(ends, wait_ends_though_the_site_says_nothing);
	tcase_add_test(ends, wait_ends_while_the_site_is_not_reached);
	tcase_add_test(restarts, cut_line_has_the_application_ask_again);
	tcase_add_test(restarts, lost_answer_is_asked_for_word_for_word);
	tcase_add_test(restarts,
	    turn_that_the_site_cannot_write_is_taken_later);
	tcase_add_test(restarts, question_that_grew_old_offline_is_asked_anew);
	tcase_add_test(restarts,
	    place_given_up_offline_is_given_up_at_the_site);
	tcase_add_test(restarts, killed_keeper_leaves_the_place_to_the_site);
	tcase_add_test(faults, place_for_one_who_does_not_wait_is_given_up);
	tcase_add_test(faults, answer_without_lease_or_place_is_a_fault);
	tcase_add_test(faults, grant_without_evidence_is_returned);
	tcase_add_test(faults, waiting_questions_of_a_user_are_bounded);
	return s;
}
