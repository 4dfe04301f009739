/*
 * The ledger process: a policy and those who wait. Who is held up by it is
 * passed over, and served once it allows; a change of it is heard at once.
 */
#include "tests/unit/process_queue.h"

#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 4;
}

static void
put(const struct policy_rule *rules, uint32_t n)
{
	struct policy_rule *copy = calloc(n + (size_t)1, sizeof(*copy));
	struct policy_summary summary;

	ck_assert_ptr_nonnull(copy);
	if (n > 0)
		memcpy(copy, rules, n * sizeof(*copy));
	struct policy_put request = { .policy.rules = { copy, n } };

	ck_assert_int_eq(admin_do(&world, &summary, OP_POLICY_PUT, &request),
	    0);
	ck_assert_uint_eq(summary.rules, n);
	free(copy);
}

/* A rule about the device of one agent. */
static void
put_rule(struct policy_rule rule, const struct agent *agent)
{
	struct policy_device device;

	snprintf(device.device, sizeof(device.device), "device-%llu",
	    (unsigned long long)agent->device);
	snprintf(rule.name, sizeof(rule.name), "r");
	snprintf(rule.product, sizeof(rule.product), "%s", PRODUCT);
	rule.devices = (struct record_list){ &device, 1 };
	put(&rule, 1);
}

static int
ask_seats(struct checkout_reply *reply, const struct agent *agent, char request,
    uint32_t count, uint32_t wait_s)
{
	struct checkout checkout;

	fill_checkout(&checkout, request, wait_s);
	checkout.count = count;
	return agent_ask(&world, reply, agent->conn, OP_LEASE_CHECKOUT,
	    &checkout, NULL);
}

START_TEST(who_is_at_his_maximum_is_passed_over_until_he_is_not)
{
	const struct policy_rule each = { .name = "r",
		.kind = POLICY_MAX,
		.each = POLICY_EACH_DEVICE,
		.seats = 1 };

	start_three(2);
	put(&each, 1);
	uint64_t first = get_seat(&alice, 'a');

	wait_at(&alice, 'b', 60, 1, 1);
	get_seat(&bob, 'c');
	give_back(&alice, first);
	hear_offer(&alice, 'b');
	get_seat(&alice, 'b');
}
END_TEST

START_TEST(a_member_gets_what_is_kept_for_him_before_those_who_wait)
{
	struct checkout_reply reply;

	start_three(1);
	put_rule((struct policy_rule){ .kind = POLICY_RESERVE, .seats = 1 },
	    &bob);
	wait_at(&alice, 'a', 60, 1, 1);
	wait_at(&carol, 'c', 60, 2, 2);
	ck_assert_int_eq(ask(&reply, &carol, 'd', 0), ERR_NO_SEATS);
	uint64_t lease = get_seat(&bob, 'b');

	give_back(&bob, lease);
	hear_nothing(&alice, 300);
	get_seat(&bob, 'e');
}
END_TEST

START_TEST(who_asks_for_less_does_not_overtake_those_held_back)
{
	struct checkout_reply reply;

	start_three(3);
	put_rule((struct policy_rule){ .kind = POLICY_RESERVE, .seats = 2 },
	    &carol);
	ck_assert_int_eq(ask_seats(&reply, &alice, 'a', 2, 60), 0);
	ck_assert_uint_eq(reply.queue.place, 1);
	ck_assert_int_eq(ask_seats(&reply, &bob, 'b', 1, 0), ERR_NO_SEATS);
	wait_at(&bob, 'c', 60, 2, 2);
	hear_nothing(&bob, 300);
	get_seat(&carol, 'd');
	get_seat(&carol, 'e');
}
END_TEST

START_TEST(a_change_serves_who_waited_for_it)
{
	start_three(1);
	put_rule((struct policy_rule){ .kind = POLICY_RESERVE, .seats = 1 },
	    &bob);
	wait_at(&alice, 'a', 60, 1, 1);
	put(NULL, 0);
	hear_offer(&alice, 'a');
	get_seat(&alice, 'a');
}
END_TEST

START_TEST(a_change_ends_the_wait_of_who_is_excluded_and_takes_no_seat)
{
	const struct lease_query query = { .limit = 10 };
	struct lease_page page;

	start_three(1);
	get_seat(&alice, 'a');
	wait_at(&alice, 'b', 60, 1, 1);
	put_rule((struct policy_rule){ .kind = POLICY_EXCLUDE }, &alice);
	hear_end(&alice, 'b', "excluded");
	ck_assert_int_eq(admin_do(&world, &page, OP_LEASE_LIST, &query), 0);
	ck_assert_uint_eq(page.items.count, 1);
}
END_TEST

/* What each of the three hears until an answer comes. */
static void
count_changes(uint32_t counts[4], uint64_t version, uint64_t tag)
{
	struct heard heard;

	do {
		struct policy_changed changed;

		ck_assert(front_hear(&world, &heard, ANSWER_MS));
		if (heard.kind != WIRE_NOTICE || heard.op != OP_POLICY_CHANGED)
			continue;
		ck_assert_int_eq(record_read_msgpack(&changed,
				     &policy_changed_record, world.payload,
				     heard.len, NULL, &world.arena, NULL),
		    0);
		ck_assert_uint_eq(changed.version, version);
		ck_assert_uint_lt(heard.conn, 4);
		counts[heard.conn]++;
	} while (heard.kind != WIRE_REPLY || heard.tag != tag);
}

START_TEST(a_change_is_told_to_every_agent_once)
{
	const struct policy_put request = { .policy.comment = "empty" };
	const struct empty nothing = { 0 };
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };
	uint32_t counts[4] = { 0 };

	start_three(1);
	for (uint64_t version = 1; version <= 2; version++) {
		struct buf payload = { 0 };

		record_write_msgpack(&payload, &wire_caller_record, &caller);
		record_write_msgpack(&payload, &policy_put_record, &request);
		front_write(&world, WIRE_CALL, OP_POLICY_PUT, 8, version,
		    &payload);
		count_changes(counts, version, version);
		/* And none comes later: an answer to another question does. */
		buf_clear(&payload);
		record_write_msgpack(&payload, &wire_caller_record, &caller);
		record_write_msgpack(&payload, &empty_record, &nothing);
		front_write(&world, WIRE_CALL, OP_POLICY_SHOW, 8, version + 10,
		    &payload);
		count_changes(counts, version, version + 10);
		buf_release(&payload);
		for (size_t i = 1; i < 4; i++)
			ck_assert_uint_eq(counts[i], version);
	}
}
END_TEST

START_TEST(a_policy_bounds_who_waits_and_for_how_long)
{
	struct checkout_reply reply;
	struct waiter_view views[8];

	start_three(1);
	get_seat(&carol, 'c');
	put_rule((struct policy_rule){ .kind = POLICY_QUEUE, .none = true },
	    &alice);
	ck_assert_int_eq(ask(&reply, &alice, 'a', 60), ERR_QUEUE_FULL);
	wait_at(&bob, 'b', 60, 1, 1);
	put_rule((struct policy_rule){ .kind = POLICY_QUEUE, .length = 1 },
	    &alice);
	ck_assert_int_eq(ask(&reply, &alice, 'a', 60), ERR_QUEUE_FULL);
	cancel(&bob, 'b');
	put_rule((struct policy_rule){ .kind = POLICY_QUEUE, .wait_s = 1 },
	    &alice);
	wait_at(&alice, 'a', 3600, 1, 1);
	hear_end(&alice, 'a', "no_seats");
	ck_assert_uint_eq(list_waiters(views, PRODUCT), 0);
}
END_TEST

START_TEST(who_has_the_higher_priority_goes_first)
{
	start_three(1);
	uint64_t lease = get_seat(&carol, 'c');

	put_rule((struct policy_rule){ .kind = POLICY_QUEUE, .priority = 5 },
	    &bob);
	wait_at(&alice, 'a', 60, 1, 1);
	wait_at(&bob, 'b', 60, 1, 2);
	give_back(&carol, lease);
	hear_offer(&bob, 'b');
	get_seat(&bob, 'b');
}
END_TEST

Suite *
suite(void)
{
	const TTest *const tests[] = {
		who_is_at_his_maximum_is_passed_over_until_he_is_not,
		a_member_gets_what_is_kept_for_him_before_those_who_wait,
		who_asks_for_less_does_not_overtake_those_held_back,
		a_change_serves_who_waited_for_it,
		a_change_ends_the_wait_of_who_is_excluded_and_takes_no_seat,
		a_change_is_told_to_every_agent_once,
		a_policy_bounds_who_waits_and_for_how_long,
		who_has_the_higher_priority_goes_first,
	};
	Suite *s = suite_create("process_policy");

	ADD_CASE(s, "policy", tests);
	return s;
}
