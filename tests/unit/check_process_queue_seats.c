/*
 * The ledger process: where seats for those who wait come from. Licenses that
 * change, features, many seats at once, seats that linger, and many who wait.
 */
#include "tests/unit/process_queue.h"

#include "appliance/ledger/ledger.h"
#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 4;
}

/* --- licenses ------------------------------------------------------------ */

START_TEST(seats_of_a_new_license_are_offered)
{
	start_three(1);
	get_seat(&alice, 'a');
	wait_at(&bob, 'b', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	install_serial(&world, PRODUCT, 2, 3, 120, 300, 30);
	hear_offer(&bob, 'b');
	hear_offer(&carol, 'c');
	get_seat(&carol, 'c');
	get_seat(&bob, 'b');
}
END_TEST

START_TEST(claim_that_finds_no_seat_keeps_its_place)
{
	start_three(2);
	uint64_t first = get_seat(&alice, 'a'), second = get_seat(&alice, 'b');

	wait_at(&bob, 'c', 60, 1, 1);
	wait_at(&carol, 'd', 60, 2, 2);
	give_back(&alice, first);
	hear_offer(&bob, 'c');
	/* The vendor takes that seat away. */
	install_serial(&world, PRODUCT, 2, 1, 120, 300, 30);
	wait_at(&bob, 'c', 60, 1, 2);
	give_back(&alice, second);
	hear_offer(&bob, 'c');
	get_seat(&bob, 'c');
	wait_at(&carol, 'd', 60, 1, 1);
}
END_TEST

/* Its contract ended yesterday, and so far the site takes it for yesterday. */
START_TEST(wait_for_a_contract_that_is_over_ends_with_its_code)
{
	const struct empty empty = { 0 };
	struct clock_correct correct = { .reason = "a test" };
	struct lease_waiting waiting;

	make_older();
	correct.time = clock_wall_ms() - DAY_MS;
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CORRECT, &correct), 0);
	install_serial(&world, PRODUCT, 1, 1, 120, 300, -1);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	uint64_t lease = get_seat(&alice, 'a');

	wait_at(&bob, 'b', 60, 1, 1);
	ck_assert_int_eq(admin_do(&world, NULL, OP_CLOCK_CONFIRM, &empty), 0);
	give_back(&alice, lease);
	hear_notice(&waiting, &bob, OP_LEASE_WAITING);
	ck_assert_str_eq(waiting.code, "license_expired");
	ck_assert_uint_eq(waiting.queue.place, 0);
}
END_TEST

/* --- features and counts ------------------------------------------------- */

static void
install_feature(uint64_t serial, uint32_t seats, uint32_t feature_seats)
{
	struct license_feature feature = { .id = "can",
		.name = "CAN",
		.total_licenses = feature_seats,
		.commit_qty = feature_seats,
		.currency = "EUR" };

	if (feature_seats > 0)
		world.features = (struct record_list){ &feature, 1 };
	install_serial(&world, PRODUCT, serial, seats, 120, 300, 30);
	world.features = (struct record_list){ 0 };
}

static int
ask_for(struct checkout_reply *reply, const struct agent *agent, char request,
    const char *feature, uint32_t count)
{
	struct checkout checkout;

	fill_checkout(&checkout, request, 60);
	snprintf(checkout.feature, sizeof(checkout.feature), "%s", feature);
	checkout.count = count;
	return agent_ask(&world, reply, agent->conn, OP_LEASE_CHECKOUT,
	    &checkout, NULL);
}

START_TEST(feature_has_a_queue_of_its_own)
{
	struct checkout_reply reply;
	struct waiter_view views[8];

	install_feature(1, 1, 1);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	uint64_t lease = get_seat(&alice, 'a');

	ck_assert_int_eq(ask_for(&reply, &alice, 'b', "can", 1), 0);
	uint64_t can = reply.lease;

	ck_assert_uint_ne(can, 0);
	wait_at(&bob, 'c', 60, 1, 1);
	ck_assert_int_eq(ask_for(&reply, &bob, 'd', "can", 1), 0);
	ck_assert_uint_eq(reply.queue.place, 1);
	ck_assert_uint_eq(list_waiters(views, PRODUCT), 2);
	ck_assert_str_eq(views[1].feature, "can");
	give_back(&alice, can);
	hear_offer(&bob, 'd');
	ck_assert_int_eq(ask_for(&reply, &bob, 'd', "can", 1), 0);
	ck_assert_uint_ne(reply.lease, 0);
	give_back(&alice, lease);
	hear_offer(&bob, 'c');
}
END_TEST

START_TEST(wait_for_a_feature_that_a_renewal_left_out_ends)
{
	struct checkout_reply reply;

	install_feature(1, 1, 1);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	ck_assert_int_eq(ask_for(&reply, &alice, 'a', "can", 1), 0);
	ck_assert_int_eq(ask_for(&reply, &bob, 'b', "can", 1), 0);
	ck_assert_uint_eq(reply.lease, 0);
	install_feature(2, 1, 0);
	hear_end(&bob, 'b', "not_entitled");
}
END_TEST

START_TEST(many_seats_are_offered_together_or_not_at_all)
{
	struct checkout_reply reply;
	uint64_t leases[3];

	start_three(3);
	for (int i = 0; i < 3; i++)
		leases[i] = get_seat(&alice, (char)('a' + i));
	ck_assert_int_eq(ask_for(&reply, &bob, 'x', "", 2), 0);
	ck_assert_uint_eq(reply.queue.place, 1);
	wait_at(&carol, 'y', 60, 2, 2);
	/* One is free, and kept for who waits for two. */
	give_back(&alice, leases[0]);
	hear_nothing(&carol, 1500);
	give_back(&alice, leases[1]);
	hear_offer(&bob, 'x');
	ck_assert_int_eq(ask_for(&reply, &bob, 'x', "", 2), 0);
	ck_assert_uint_ne(reply.lease, 0);
	give_back(&alice, leases[2]);
	hear_offer(&carol, 'y');
	/* More than there can ever be is not waited for. */
	ck_assert_int_eq(ask_for(&reply, &carol, 'z', "", 4), ERR_MAX_REACHED);
}
END_TEST

START_TEST(wait_for_more_seats_than_a_renewal_left_ends)
{
	struct checkout_reply reply;

	start_three(3);
	get_seat(&alice, 'a');
	ck_assert_int_eq(ask_for(&reply, &bob, 'b', "", 3), 0);
	wait_at(&carol, 'c', 60, 2, 2);
	install_serial(&world, PRODUCT, 2, 2, 120, 300, 30);
	hear_end(&bob, 'b', "max_reached");
	hear_offer(&carol, 'c');
}
END_TEST

/* --- seats that linger --------------------------------------------------- */

/* A released seat whose holder was not reached is free once its last span is
 * over: no row says so, and nobody else is there whose row would. */
START_TEST(seat_that_lingered_is_offered_when_it_is_free)
{
	struct lease_ref ref;
	struct lease_ended ended;
	struct heard heard;

	install_license(&world, PRODUCT, 1, 1, 1);
	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	ref.lease = get_seat(&alice, 'a');
	front_write(&world, WIRE_CLOSED, 0, 1, 0, NULL);
	wait_at(&bob, 'b', 60, 1, 1);
	ck_assert_int_eq(admin_do(&world, &ended, OP_LEASE_RELEASE, &ref), 0);
	/* Looked for every five seconds, by a tick of one. */
	ck_assert(front_await(&world, &heard, WIRE_NOTICE, 2,
	    2000 + LEDGER_SKEW_MS + 5000 + 5000));
	ck_assert_uint_eq(heard.op, OP_LEASE_OFFERED);
	get_seat(&bob, 'b');
}
END_TEST

/* --- many ---------------------------------------------------------------- */

#define EACH 60

/* Two seats go round among many, and everybody gets one in the order of asking,
 * whichever device it is of. */
START_TEST(everybody_is_served_in_the_order_of_asking)
{
	const struct agent *agents[3];
	struct lease_offered offered;
	struct heard heard;
	uint64_t leases[2];
	unsigned int n;

	start_three(2);
	agents[0] = &alice;
	agents[1] = &bob;
	agents[2] = &carol;
	for (int i = 0; i < 2; i++)
		leases[i] = get_seat(&alice, (char)i);
	for (n = 0; n < 3 * EACH; n++)
		wait_at(agents[n % 3], (char)(10 + n), 60, n + 1, n + 1);
	for (n = 0; n < 3 * EACH;) {
		give_back(agents[n < 2 ? 0 : (n - 2) % 3], leases[n % 2]);
		do
			ck_assert(front_hear(&world, &heard, ANSWER_MS));
		while (heard.op != OP_LEASE_OFFERED);
		ck_assert_uint_eq(heard.conn, agents[n % 3]->conn);
		ck_assert_int_eq(record_read_msgpack(&offered,
				     &lease_offered_record, world.payload,
				     heard.len, NULL, &world.arena, NULL),
		    0);
		ck_assert_int_eq(offered.request[0], (uint8_t)(10 + n));
		leases[n % 2] = get_seat(agents[n % 3], (char)(10 + n));
		n++;
	}
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_queue_seats");
	const TTest *const licenses[] = {
		seats_of_a_new_license_are_offered,
		claim_that_finds_no_seat_keeps_its_place,
		wait_for_a_contract_that_is_over_ends_with_its_code,
	};
	const TTest *const counts[] = {
		feature_has_a_queue_of_its_own,
		wait_for_a_feature_that_a_renewal_left_out_ends,
		many_seats_are_offered_together_or_not_at_all,
		wait_for_more_seats_than_a_renewal_left_ends,
	};
	const TTest *const time[] = {
		seat_that_lingered_is_offered_when_it_is_free,
		everybody_is_served_in_the_order_of_asking,
	};

	ADD_CASE(suite, "licenses", licenses);
	ADD_CASE(suite, "counts", counts);
	ADD_CASE(suite, "time", time);
	return suite;
}
