/* The ledger process: who waits for a seat, and how it comes to one. */
#include "tests/unit/process_queue.h"

#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 4;
}

/* --- turns --------------------------------------------------------------- */

START_TEST(seat_that_comes_back_is_offered_and_claimed)
{
	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	lease = get_seat(&bob, 'b');
	give_back(&bob, lease);
	get_seat(&carol, 'c');
}
END_TEST

START_TEST(newcomer_does_not_overtake)
{
	struct checkout checkout;
	struct checkout_reply reply;
	struct problem problem;

	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	/* The seat is free, and bob's. */
	fill_checkout(&checkout, 'd', 0);
	ck_assert_int_eq(agent_ask(&world, &reply, 1, OP_LEASE_CHECKOUT,
			     &checkout, &problem),
	    ERR_NO_SEATS);
	ck_assert_str_eq(problem.detail, "1 is waiting for davinci before you");
	wait_at(&alice, 'e', 60, 3, 3);
	lease = get_seat(&bob, 'b');
	wait_at(&carol, 'c', 60, 1, 2);
	give_back(&bob, lease);
	hear_offer(&carol, 'c');
	get_seat(&carol, 'c');
}
END_TEST

/* Only who has an offer stands before it, and there is one more seat. */
START_TEST(newcomer_gets_a_seat_beyond_those_set_aside)
{
	start_three(2);
	uint64_t first = get_seat(&alice, 'a'), second = get_seat(&alice, 'b');

	wait_at(&bob, 'c', 60, 1, 1);
	give_back(&alice, first);
	hear_offer(&bob, 'c');
	ck_assert_int_eq(ask(&(struct checkout_reply){ 0 }, &carol, 'd', 0),
	    ERR_NO_SEATS);
	give_back(&alice, second);
	get_seat(&carol, 'e');
	ck_assert_int_eq(ask(&(struct checkout_reply){ 0 }, &carol, 'f', 0),
	    ERR_NO_SEATS);
	get_seat(&bob, 'c');
}
END_TEST

START_TEST(offer_that_is_not_claimed_passes_on)
{
	start_three(1);
	restart(1, 0);
	agent_login(&world, &alice, 1);
	agent_login(&world, &bob, 2);
	agent_login(&world, &carol, 3);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	hear_end(&bob, 'b', "gone");
	hear_offer(&carol, 'c');
	get_seat(&carol, 'c');
	/* It may ask again, at the back. */
	wait_at(&bob, 'b', 60, 1, 1);
}
END_TEST

/* A machine that stood still has claims underway when it goes on. */
START_TEST(offer_outlives_a_machine_that_stood_still)
{
	start_three(1);
	restart(2, 0);
	agent_login(&world, &alice, 1);
	agent_login(&world, &bob, 2);
	agent_login(&world, &carol, 3);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	ck_assert_int_eq(kill(world.pid, SIGSTOP), 0);
	sleep(5);
	ck_assert_int_eq(kill(world.pid, SIGCONT), 0);
	usleep(200 * 1000);
	get_seat(&bob, 'b');
	hear_nothing(&bob, 100);
}
END_TEST

/* The answer to the claim was lost. */
START_TEST(retry_of_a_claim_is_answered_though_others_wait)
{
	struct checkout checkout;
	struct checkout_reply reply;

	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	fill_checkout(&checkout, 'b', 60);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(agent_ask(&world, &reply, 2, OP_LEASE_CHECKOUT,
				     &checkout, NULL),
		    0);
		ck_assert_uint_ne(reply.lease, 0);
		ck_assert(i == 0 || reply.lease == lease);
		lease = reply.lease;
	}
	wait_at(&carol, 'c', 60, 1, 1);
}
END_TEST

/* --- leaving ------------------------------------------------------------- */

START_TEST(cancelled_wait_frees_its_place_and_its_offer)
{
	struct waiter_view views[8];

	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&bob, 'd', 60, 2, 2);
	wait_at(&carol, 'c', 60, 3, 3);
	cancel(&bob, 'b');
	cancel(&bob, 'b'); /* again, and nothing happens */
	wait_at(&bob, 'd', 60, 1, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'd');
	cancel(&bob, 'd');
	hear_offer(&carol, 'c');
	ck_assert_uint_eq(list_waiters(views, ""), 1);
	ck_assert(views[0].offered);
	/* Somebody else's request is nobody's. */
	cancel(&bob, 'c');
	get_seat(&carol, 'c');
}
END_TEST

START_TEST(wait_without_a_seat_ends_in_a_denial)
{
	struct checkout_reply reply;
	struct batch_query query = { .limit = 100 };
	struct batch_page page;
	unsigned int denied = 0;

	start_three(1);
	get_seat(&alice, 'a');
	wait_at(&bob, 'b', 1, 1, 1);
	hear_end(&bob, 'b', "no_seats");
	ck_assert_int_eq(ask(&reply, &bob, 'b', 0), ERR_NO_SEATS);
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(admin_do(&world, &page, OP_JOURNAL_BATCHES, &query),
	    0);
	for (uint32_t i = 0; i < page.items.count; i++) {
		const struct batch_item *item =
		    (const struct batch_item *)page.items.items + i;
		struct journal_batch batch;
		struct row row;

		ck_assert_int_eq(record_read_msgpack(&batch,
				     &journal_batch_record, item->blob.data,
				     item->blob.len, NULL, &world.arena, NULL),
		    0);
		const struct journal_row_bytes *rows = batch.rows.items;

		for (uint32_t r = 0; r < batch.rows.count; r++) {
			ck_assert_int_eq(row_read(&row, 1, rows[r].bytes.data,
					     rows[r].bytes.len, &world.arena),
			    0);
			if (row.kind != ROW_DENIED)
				continue;
			ck_assert_str_eq(row.u.denied.code, "no_seats");
			ck_assert_uint_eq(row.u.denied.device, bob.device);
			denied += (unsigned int)row.u.denied.count;
		}
	}
	/* One for the wait, one for the question that did not wait. */
	ck_assert_uint_eq(denied, 2);
}
END_TEST

START_TEST(admin_sees_who_waits_and_takes_one_out)
{
	const struct empty empty = { 0 };
	struct site_view site;
	struct waiter_view views[8];
	struct waiter_number number, reply;

	start_three(1);
	get_seat(&alice, 'a');
	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 120, 2, 2);
	ck_assert_int_eq(admin_do(&world, &site, OP_SITE_SHOW, &empty), 0);
	ck_assert_uint_eq(site.waiting, 2);
	ck_assert_uint_eq(list_waiters(views, "other"), 0);
	ck_assert_uint_eq(list_waiters(views, PRODUCT), 2);
	ck_assert_uint_eq(views[0].device, bob.device);
	ck_assert_uint_eq(views[1].place, 2);
	ck_assert_str_eq(views[1].user, "alice");
	ck_assert(views[1].connected && !views[1].offered);
	ck_assert_int_eq(views[1].until - views[1].since, 120000);
	number.waiter = views[0].waiter;
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };
	struct buf payload = { 0 };

	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &waiter_number_record, &number);
	front_write(&world, WIRE_CALL, OP_QUEUE_REMOVE, 8, 5, &payload);
	buf_release(&payload);
	hear_end(&bob, 'b', "gone");
	ck_assert_int_eq(front_answer(&world, &reply, OP_QUEUE_REMOVE, 5, NULL),
	    0);
	ck_assert_uint_eq(list_waiters(views, ""), 1);
	ck_assert_uint_eq(views[0].place, 1);
	ck_assert_int_eq(admin_do(&world, &reply, OP_QUEUE_REMOVE, &number),
	    ERR_GONE);
	number.waiter = 4711;
	ck_assert_int_eq(admin_do(&world, &reply, OP_QUEUE_REMOVE, &number),
	    ERR_NOT_FOUND);
}
END_TEST

START_TEST(pages_of_waiters_hold_them_all)
{
	struct waiter_query query = { .limit = 2 };
	struct waiter_page page;
	unsigned int n = 0, pages = 0;

	start_three(1);
	get_seat(&alice, 'a');
	for (char i = 0; i < 5; i++)
		wait_at(&bob, (char)('b' + i), 60, (uint32_t)i + 1,
		    (uint32_t)i + 1);
	do {
		ck_assert_int_eq(admin_do(&world, &page, OP_QUEUE_LIST, &query),
		    0);
		n += page.items.count;
		pages++;
		query.after = page.next;
	} while (page.next != 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_uint_eq(pages, 3);
}
END_TEST

START_TEST(revoked_device_leaves_the_queue)
{
	struct device_revoke revoke = { 0 };
	struct device_number reply;
	struct waiter_view views[8];

	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	revoke.device = bob.device;
	ck_assert_int_eq(admin_do(&world, &reply, OP_DEVICE_REVOKE, &revoke),
	    0);
	ck_assert_uint_eq(list_waiters(views, ""), 1);
	give_back(&alice, lease);
	hear_offer(&carol, 'c');
}
END_TEST

START_TEST(queue_of_a_device_is_bounded)
{
	struct checkout checkout;
	struct checkout_reply reply;
	struct problem problem;
	unsigned int n = 0;
	int rc;

	start_three(1);
	get_seat(&alice, 'a');
	do {
		fill_checkout(&checkout, 'b', 60);
		memcpy(checkout.request, &n, sizeof(n));
		rc = agent_ask(&world, &reply, 2, OP_LEASE_CHECKOUT, &checkout,
		    &problem);
	} while (rc == 0 && ++n < 10000);
	ck_assert_int_eq(rc, ERR_QUEUE_FULL);
	ck_assert_str_eq(problem.code, "queue_full");
	ck_assert_uint_ge(n, 100);
	/* Others may. */
	ck_assert_int_eq(ask(&reply, &carol, 'c', 60), 0);
	ck_assert_uint_eq(reply.queue.place, n + 1);
}
END_TEST

/* --- sessions ------------------------------------------------------------ */

START_TEST(same_question_is_answered_with_its_place_and_another_refused)
{
	struct checkout checkout;
	struct checkout_reply reply;

	start_three(1);
	get_seat(&alice, 'a');
	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	wait_at(&bob, 'b', 30, 1, 2);
	fill_checkout(&checkout, 'b', 60);
	snprintf(checkout.version, sizeof(checkout.version), "8.2.0");
	ck_assert_int_eq(agent_ask(&world, &reply, 2, OP_LEASE_CHECKOUT,
			     &checkout, NULL),
	    ERR_CONFLICT);
	/* An id is a device's own. */
	wait_at(&carol, 'b', 60, 3, 3);
}
END_TEST

START_TEST(agent_that_reconnects_keeps_its_place)
{
	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	agent_login(&world, &bob, 12);
	wait_at(&bob, 'b', 60, 1, 2);
	front_write(&world, WIRE_CLOSED, 0, 12, 0, NULL);
	agent_login(&world, &bob, 22);
	give_back(&alice, lease);
	/* Also without asking again. */
	hear_offer(&bob, 'b');
	get_seat(&bob, 'b');
}
END_TEST

START_TEST(device_that_is_away_is_passed_over_and_leaves_in_time)
{
	struct waiter_view views[8];

	start_three(1);
	restart(0, 2);
	agent_login(&world, &alice, 1);
	agent_login(&world, &bob, 2);
	agent_login(&world, &carol, 3);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	front_write(&world, WIRE_CLOSED, 0, 2, 0, NULL);
	give_back(&alice, lease);
	hear_offer(&carol, 'c');
	ck_assert_uint_eq(list_waiters(views, ""), 2);
	ck_assert(!views[0].connected);
	lease = get_seat(&carol, 'c');
	for (int i = 0; list_waiters(views, "") > 0; i++) {
		ck_assert_int_lt(i, 50);
		usleep(100000);
	}
	give_back(&carol, lease);
	get_seat(&carol, 'd');
}
END_TEST

START_TEST(offer_to_an_agent_that_hangs_up_passes_on)
{
	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	front_write(&world, WIRE_CLOSED, 0, 2, 0, NULL);
	hear_offer(&carol, 'c');
	agent_login(&world, &bob, 12);
	wait_at(&bob, 'b', 60, 1, 2);
	cancel(&carol, 'c');
	hear_offer(&bob, 'b');
}
END_TEST

START_TEST(restart_empties_the_queue_and_asking_again_makes_it_anew)
{
	struct waiter_view views[8];

	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	restart(0, 0);
	ck_assert_uint_eq(list_waiters(views, ""), 0);
	agent_login(&world, &alice, 1);
	agent_login(&world, &carol, 3);
	wait_at(&carol, 'c', 60, 1, 1);
	agent_login(&world, &bob, 2);
	wait_at(&bob, 'b', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&carol, 'c');
}
END_TEST

START_TEST(place_that_changed_is_told_within_a_second_or_two)
{
	struct lease_waiting waiting;
	int64_t began;

	start_three(1);
	get_seat(&alice, 'a');
	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	hear_nothing(&carol, 1500);
	cancel(&bob, 'b');
	began = clock_boottime_ms();
	hear_notice(&waiting, &carol, OP_LEASE_WAITING);
	ck_assert_int_lt(clock_boottime_ms() - began, 2500);
	ck_assert_int_eq(waiting.request[0], 'c');
	ck_assert_uint_eq(waiting.queue.place, 1);
	ck_assert_uint_eq(waiting.queue.length, 1);
	ck_assert_str_eq(waiting.code, "");
}
END_TEST

/* --- without waiting for answers ------------------------------------------ */

static uint64_t
write_request(const struct agent *agent, uint16_t op, const void *request)
{
	struct buf payload = { 0 };
	uint64_t tag = ++world.tag;

	record_write_msgpack(&payload, operation_get(op)->request, request);
	front_write(&world, WIRE_REQUEST, op, agent->conn, tag, &payload);
	buf_release(&payload);
	return tag;
}

static int
read_checkout(struct checkout_reply *reply, uint64_t tag)
{
	return front_answer(&world, reply, OP_LEASE_CHECKOUT, tag, NULL);
}

START_TEST(question_asked_twice_at_once_waits_once)
{
	struct checkout checkout;
	struct checkout_reply reply;
	struct waiter_view views[8];
	uint64_t tags[3];

	start_three(1);
	get_seat(&alice, 'a');
	fill_checkout(&checkout, 'b', 60);
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			checkout.count = 2;
		tags[i] = write_request(&bob, OP_LEASE_CHECKOUT, &checkout);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(read_checkout(&reply, tags[i]), 0);
		ck_assert_uint_eq(reply.queue.place, 1);
	}
	/* More than the license has, or another question than the one that
	 * waits by then; the wait is not touched by it. */
	int err = read_checkout(&reply, tags[2]);

	ck_assert(err == ERR_MAX_REACHED || err == ERR_CONFLICT);
	ck_assert_uint_eq(list_waiters(views, ""), 1);
}
END_TEST

START_TEST(claim_sent_twice_at_once_takes_one_seat)
{
	struct checkout checkout;
	struct checkout_reply reply;
	uint64_t lease, tags[2];

	start_three(1);
	lease = get_seat(&alice, 'a');
	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	fill_checkout(&checkout, 'b', 60);
	for (int i = 0; i < 2; i++)
		tags[i] = write_request(&bob, OP_LEASE_CHECKOUT, &checkout);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(read_checkout(&reply, tags[i]), 0);
		ck_assert_uint_ne(reply.lease, 0);
		ck_assert(i == 0 || reply.lease == lease);
		lease = reply.lease;
	}
	wait_at(&carol, 'c', 60, 1, 1);
	give_back(&bob, lease);
	hear_offer(&carol, 'c');
}
END_TEST

/* Whoever is first, the seat is not lost and nobody waits for nobody. */
START_TEST(cancel_right_behind_a_claim_loses_no_seat)
{
	struct lease_cancel cancel = { 0 };
	struct checkout checkout;
	struct checkout_reply reply;
	struct waiter_view views[8];
	uint64_t tags[2];

	start_three(1);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	give_back(&alice, lease);
	hear_offer(&bob, 'b');
	fill_checkout(&checkout, 'b', 60);
	memcpy(cancel.request, checkout.request, sizeof(cancel.request));
	tags[0] = write_request(&bob, OP_LEASE_CHECKOUT, &checkout);
	tags[1] = write_request(&bob, OP_LEASE_CANCEL, &cancel);
	ck_assert_int_eq(front_answer(&world, NULL, OP_LEASE_CANCEL, tags[1],
			     NULL),
	    0);
	ck_assert_int_eq(read_checkout(&reply, tags[0]), 0);
	ck_assert_uint_ne(reply.lease, 0);
	ck_assert_uint_eq(list_waiters(views, ""), 1);
	give_back(&bob, reply.lease);
	reply.lease = 0;
	/* Its offer may have come while other answers were read. */
	for (int i = 0; i < 50 && reply.lease == 0; i++) {
		ck_assert_int_eq(ask(&reply, &carol, 'c', 60), 0);
		usleep(100000);
	}
	ck_assert_uint_ne(reply.lease, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_queue");
	const TTest *const turns[] = {
		seat_that_comes_back_is_offered_and_claimed,
		newcomer_does_not_overtake,
		newcomer_gets_a_seat_beyond_those_set_aside,
		offer_that_is_not_claimed_passes_on,
		offer_outlives_a_machine_that_stood_still,
		retry_of_a_claim_is_answered_though_others_wait,
	};
	const TTest *const leaving[] = {
		cancelled_wait_frees_its_place_and_its_offer,
		wait_without_a_seat_ends_in_a_denial,
		admin_sees_who_waits_and_takes_one_out,
		pages_of_waiters_hold_them_all,
		revoked_device_leaves_the_queue,
		queue_of_a_device_is_bounded,
	};
	const TTest *const sessions[] = {
		same_question_is_answered_with_its_place_and_another_refused,
		agent_that_reconnects_keeps_its_place,
		device_that_is_away_is_passed_over_and_leaves_in_time,
		offer_to_an_agent_that_hangs_up_passes_on,
		restart_empties_the_queue_and_asking_again_makes_it_anew,
		place_that_changed_is_told_within_a_second_or_two,
	};

	const TTest *const at_once[] = {
		question_asked_twice_at_once_waits_once,
		claim_sent_twice_at_once_takes_one_seat,
		cancel_right_behind_a_claim_loses_no_seat,
	};

	ADD_CASE(suite, "turns", turns);
	ADD_CASE(suite, "at_once", at_once);
	ADD_CASE(suite, "leaving", leaving);
	ADD_CASE(suite, "sessions", sessions);
	return suite;
}
