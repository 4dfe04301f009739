/* What the keeper says to people: why the site is not reached, what it could
 * not write, whose clock is wrong, who waits. */
#include "tests/unit/keeper_test.h"

static struct local_status
wait_cause(enum local_cause cause)
{
	struct local_status now = status();

	for (int i = 0; i < 500 && now.cause != cause; i++) {
		world_serve_for(&world, 10);
		now = status();
	}
	ck_assert_str_eq(local_cause_names[now.cause],
	    local_cause_names[cause]);
	ck_assert(!now.connected);
	return now;
}

START_TEST(the_end_of_a_connection_keeps_its_cause)
{
	struct local_status now;

	wait_connected();
	now = status();
	ck_assert_uint_eq(now.cause, CAUSE_NONE);
	ck_assert_str_eq(now.site_name, "Stuttgart");
	world.offline = true;
	world.cause = CAUSE_NAME;
	world_disconnect(&world);
	now = wait_cause(CAUSE_NAME);
	ck_assert_str_ne(now.trouble, "");
	world.cause = CAUSE_CERTIFICATE_HOST;
	wait_cause(CAUSE_CERTIFICATE_HOST);
	world.offline = false;
	wait_connected();
	now = status();
	ck_assert_uint_eq(now.cause, CAUSE_NONE);
	ck_assert_str_eq(now.trouble, "");
}
END_TEST

START_TEST(a_cause_that_is_none_is_not_believed)
{
	wait_connected();
	world.offline = true;
	world.cause = (enum local_cause)9999;
	world_disconnect(&world);
	wait_cause(CAUSE_OTHER);
}
END_TEST

START_TEST(a_site_that_stops_said_so_before)
{
	const struct draining soon = { .spread_ms = 100 };

	wait_connected();
	/* The attempts after that would have causes of their own. */
	world.unreachable = true;
	world.cause = CAUSE_CLOSED;
	world_notify(&world, OP_SERVER_DRAINING, &soon);
	world_disconnect(&world);
	wait_cause(CAUSE_STOPPING);
	/* the one that hangs ends, and the next is refused */
	world.unreachable = false;
	world.offline = true;
	world.cause = CAUSE_REFUSED;
	world_turn_away(&world, CAUSE_REFUSED, "refused");
	wait_cause(CAUSE_REFUSED);
}
END_TEST

static void
refuses(int err, enum local_cause cause)
{
	wait_connected();
	world.refuse_proof = err;
	world.cause = CAUSE_LOST; /* the cut is not taken for it */
	world_disconnect(&world);
	ck_assert_str_eq(wait_cause(cause).hint, "do this");
}

START_TEST(a_refused_proof_names_its_cause)
{
	static const struct {
		int err;
		enum local_cause cause;
	} cases[] = {
		{ ERR_UNKNOWN_DEVICE, CAUSE_UNKNOWN_DEVICE },
		{ ERR_DEVICE_REVOKED, CAUSE_REVOKED },
		{ ERR_BAD_PROOF, CAUSE_BAD_PROOF },
		{ ERR_CLASS_NOT_ALLOWED, CAUSE_CLASS },
		{ ERR_UNAVAILABLE, CAUSE_UNAVAILABLE },
		{ ERR_CONFLICT, CAUSE_OTHER },
	};

	refuses(cases[_i].err, cases[_i].cause);
}
END_TEST

START_TEST(another_release_is_told_from_other_refusals)
{
	wait_connected();
	world.refuse_hello = ERR_BAD_REQUEST;
	world_disconnect(&world);
	wait_cause(CAUSE_PROTOCOL);
	world.refuse_hello = ERR_UNAVAILABLE;
	wait_cause(CAUSE_UNAVAILABLE);
	world.refuse_hello = 0;
	wait_connected();
	ck_assert_str_eq(status().hint, "");
}
END_TEST

START_TEST(another_key_is_told_from_another_ca)
{
	wait_connected();
	world.forge = true;
	world_commit(&world, (const uint8_t *)"forged", 6);
	world_disconnect(&world);
	wait_cause(CAUSE_OTHER_KEY);
}
END_TEST

START_TEST(a_clock_that_is_wrong_shows)
{
	struct local_status now;

	world.clock_behind_ms = 300000;
	wait_connected();
	now = status();
	ck_assert_int_gt(now.clock_ahead_ms, 295000);
	ck_assert_int_lt(now.clock_ahead_ms, 305000);
	world.clock_behind_ms = -300000;
	world_disconnect(&world);
	wait_connected();
	now = status();
	ck_assert_int_lt(now.clock_ahead_ms, -295000);
}
END_TEST

/* The site answers, but what it was to write it could not. */
START_TEST(a_fault_of_the_site_stays_until_it_can_write)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.refuse_checkouts = 1;
	world.faulty = true;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_UNAVAILABLE);
	ck_assert_str_ne(status().fault, "");
	ck_assert_int_gt(status().fault_at, 0);
	ask = question();
	take_seat(&ask);
	ck_assert_str_eq(status().fault, "");
	ck_assert_int_eq(status().fault_at, 0);
}
END_TEST

START_TEST(a_refusal_is_no_fault)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.refuse_checkouts = 1;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_NO_SEATS);
	ck_assert_str_eq(status().fault, "");
}
END_TEST

START_TEST(a_lease_tells_of_user_seats_and_grace)
{
	const struct local_list all = { 0 };
	struct local_checkout ask = question();
	struct local_leases reply;
	const struct local_lease *lease;

	take_seat(&ask);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_LIST, &all, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.items.count, 1);
	lease = reply.items.items;
	ck_assert_uint_eq(lease->count, 1);
	ck_assert_str_ne(lease->user, "");
	ck_assert_uint_le(lease->beat_age_s, 5);
	ck_assert_uint_gt(lease->left_s, 0);
}
END_TEST

static const struct local_question *
only_question(void)
{
	const struct empty nothing = { 0 };
	struct local_questions reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_QUESTIONS, &nothing,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(reply.items.count, 1);
	return reply.items.items;
}

START_TEST(who_waits_for_the_site_is_listed)
{
	struct local_checkout ask = question();
	const struct local_question *item;

	wait_connected();
	world.offline = true;
	world_disconnect(&world);
	ask.wait_s = 60;
	ask.count = 3;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	/* its executable is hashed first */
	item = only_question();
	for (int i = 0; i < 500 && item->waits == LOCAL_WAITS_HERE; i++) {
		world_serve_for(&world, 10);
		item = only_question();
	}
	ck_assert_uint_eq(status().questions, 1);
	ck_assert_str_eq(item->product, "p");
	ck_assert_uint_eq(item->count, 3);
	ck_assert_uint_eq(item->pid, (uint64_t)getpid());
	ck_assert_uint_eq(item->waits, LOCAL_WAITS_SITE);
	ck_assert_uint_gt(item->left_s, 0);
	ck_assert_uint_le(item->left_s, 60);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper_status");
	TCase *causes = tcase_create("causes");
	TCase *lists = tcase_create("lists");

	tcase_set_timeout(causes, 30);
	tcase_add_checked_fixture(causes, setup, teardown);
	tcase_add_test(causes, the_end_of_a_connection_keeps_its_cause);
	tcase_add_test(causes, a_cause_that_is_none_is_not_believed);
	tcase_add_test(causes, a_site_that_stops_said_so_before);
	tcase_add_loop_test(causes, a_refused_proof_names_its_cause, 0, 6);
	tcase_add_test(causes, another_release_is_told_from_other_refusals);
	tcase_add_test(causes, another_key_is_told_from_another_ca);
	tcase_add_test(causes, a_clock_that_is_wrong_shows);
	tcase_add_test(causes, a_fault_of_the_site_stays_until_it_can_write);
	tcase_add_test(causes, a_refusal_is_no_fault);
	suite_add_tcase(s, causes);
	tcase_set_timeout(lists, 30);
	tcase_add_checked_fixture(lists, setup, teardown);
	tcase_add_test(lists, a_lease_tells_of_user_seats_and_grace);
	tcase_add_test(lists, who_waits_for_the_site_is_listed);
	suite_add_tcase(s, lists);
	return s;
}
