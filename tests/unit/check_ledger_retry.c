/* Retries: the same request gets the same lease, and no second seat. */
#include "tests/unit/ledger_world.h"
#include "tests/unit/suite.h"

#define PRODUCT "davinci-configurator-se"

static struct world world;
static uint64_t device;

static void
setup(void)
{
	world_init(&world, 1);
	struct license license = world_license(&world, PRODUCT, 2, 3);

	ck_assert_int_eq(world_install(&world, &license), 0);
	device = world_device(&world, "ws-1");
}

static void
teardown(void)
{
	world_check(&world);
	world_free(&world);
}

static int
checkout_of(const struct checkout *body)
{
	struct command command;
	int err = world_checkout(&world, &command, device, body);

	arena_release(&command.arena);
	return err;
}

START_TEST(retry_takes_no_second_seat)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command first, second;

	ck_assert_int_eq(world_checkout(&world, &first, device, &body), 0);
	struct journal_known before = world_known(&world);

	ck_assert_int_eq(world_checkout(&world, &second, device, &body), 0);
	const struct checkout_reply *a = &first.reply.checkout;
	const struct checkout_reply *b = &second.reply.checkout;

	ck_assert_uint_eq(a->lease, b->lease);
	ck_assert_uint_eq(a->row_number, b->row_number);
	ck_assert_uint_eq(a->row.len, b->row.len);
	ck_assert_mem_eq(a->row.data, b->row.data, a->row.len);
	ck_assert_uint_eq(a->path.len, b->path.len);
	ck_assert_uint_eq(a->header.len, b->header.len);
	ck_assert_mem_eq(a->header.data, b->header.data, a->header.len);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 1);
	ck_assert_uint_eq(world_known(&world).batch, before.batch);
	arena_release(&first.arena);
	arena_release(&second.arena);
}
END_TEST

START_TEST(retry_in_the_same_batch_takes_no_second_seat)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command first = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, device, &body);
	struct command second = first;
	struct command *both[] = { &first, &second };

	ck_assert_int_eq(ledger_commit(world.ledger, both, 2, world.now, NULL),
	    0);
	ck_assert_int_eq(first.err, 0);
	ck_assert_int_eq(second.err, 0);
	ck_assert_uint_eq(first.reply.checkout.lease,
	    second.reply.checkout.lease);
	ck_assert_mem_eq(first.reply.checkout.row.data,
	    second.reply.checkout.row.data, first.reply.checkout.row.len);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 1);
	arena_release(&first.arena);
	arena_release(&second.arena);
}
END_TEST

START_TEST(another_body_with_the_same_id_is_a_conflict)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");

	ck_assert_int_eq(checkout_of(&body), 0);
	snprintf(body.user, sizeof body.user, "mallory");
	ck_assert_int_eq(checkout_of(&body), ERR_CONFLICT);
}
END_TEST

START_TEST(what_the_application_knows_by_now_is_no_other_body)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");

	ck_assert_int_eq(checkout_of(&body), 0);
	body.known = world_known(&world);
	ck_assert_int_eq(checkout_of(&body), 0);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 1);
}
END_TEST

START_TEST(a_retry_after_the_return_is_gone)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");

	ck_assert_int_eq(checkout_of(&body), 0);
	ck_assert_int_eq(world_return(&world, device, 1), 0);
	ck_assert_int_eq(checkout_of(&body), ERR_GONE);
	world_reopen(&world);
	ck_assert_int_eq(checkout_of(&body), ERR_GONE);
	snprintf(body.user, sizeof body.user, "mallory");
	ck_assert_int_eq(checkout_of(&body), ERR_CONFLICT);
}
END_TEST

START_TEST(a_retry_after_a_restart_gets_the_same_lease)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct command command;

	ck_assert_int_eq(checkout_of(&body), 0);
	world_lease(&world, device, PRODUCT);
	world_reopen(&world);
	ck_assert_int_eq(world_checkout(&world, &command, device, &body), 0);
	ck_assert_uint_eq(command.reply.checkout.lease, 1);
	arena_release(&command.arena);
	ck_assert_uint_eq(world_usage(&world, 1).used_commit, 2);
}
END_TEST

START_TEST(the_request_id_of_another_device_is_its_own)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	uint64_t other = world_device(&world, "ws-2");
	struct command command;

	ck_assert_int_eq(checkout_of(&body), 0);
	ck_assert_int_eq(world_checkout(&world, &command, other, &body), 0);
	ck_assert_uint_eq(command.reply.checkout.lease, 2);
	arena_release(&command.arena);
}
END_TEST

START_TEST(a_retry_may_meet_its_return_in_one_batch)
{
	struct checkout body = world_checkout_body(&world, PRODUCT, "alice");
	struct lease_return give = { .lease = 1 };

	ck_assert_int_eq(checkout_of(&body), 0);
	struct command retry = world_command(&world, OP_LEASE_CHECKOUT,
	    ACTOR_DEVICE, device, &body);
	struct command back =
	    world_command(&world, OP_LEASE_RETURN, ACTOR_DEVICE, device, &give);
	struct command late = retry;
	struct command *all[] = { &retry, &back, &late };

	ck_assert_int_eq(ledger_commit(world.ledger, all, 3, world.now, NULL),
	    0);
	ck_assert_int_eq(retry.err, 0);
	ck_assert_uint_gt(retry.reply.checkout.row.len, 0);
	ck_assert_int_eq(back.err, 0);
	ck_assert_int_eq(late.err, ERR_GONE);
	arena_release(&retry.arena);
	arena_release(&back.arena);
	arena_release(&late.arena);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ledger_retry");
	TCase *t = tcase_create("ledger_retry");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, retry_takes_no_second_seat);
	tcase_add_test(t, retry_in_the_same_batch_takes_no_second_seat);
	tcase_add_test(t, another_body_with_the_same_id_is_a_conflict);
	tcase_add_test(t, what_the_application_knows_by_now_is_no_other_body);
	tcase_add_test(t, a_retry_after_the_return_is_gone);
	tcase_add_test(t, a_retry_after_a_restart_gets_the_same_lease);
	tcase_add_test(t, the_request_id_of_another_device_is_its_own);
	tcase_add_test(t, a_retry_may_meet_its_return_in_one_batch);
	suite_add_tcase(s, t);
	return s;
}
