/* The keeper as applications see it: taking seats and giving them back. */
#include "tests/unit/keeper_test.h"

#include <sys/stat.h>

/* --- checkout ------------------------------------------------------------- */

START_TEST(grant_comes_with_all_its_evidence)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply = take_seat(&ask);
	struct journal_header header;
	uint8_t head[32];

	ck_assert_uint_eq(reply.device, 3);
	ck_assert_mem_eq(reply.license.data, "license-token", 13);
	ck_assert_mem_eq(reply.issuer.data, "issuer-token", 12);
	ck_assert_int_eq(journal_header_verify(&header, head, reply.header.data,
			     reply.header.len, world.site_public),
	    0);
	ck_assert_int_eq(journal_row_verify(&header, reply.row_number,
			     reply.row.data, reply.row.len, reply.path.data,
			     reply.path.len / 32),
	    0);
	ck_assert_mem_eq(world.last_checkout.nonce, ask.nonce, NONCE_BYTES);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
	ck_assert(!sodium_is_zero(world.last_checkout.application, 32));
	ck_assert_uint_eq(count_leases(), 1);
	ck_assert_int_eq(world.refused_proofs, 0);
}
END_TEST

START_TEST(license_is_fetched_once)
{
	struct local_checkout first = question(), second = question();

	take_seat(&first);
	take_seat(&second);
	ck_assert_uint_eq(world.asked[OP_LICENSE_GET], 1);
	ck_assert_uint_eq(count_leases(), 2);
}
END_TEST

START_TEST(refusal_reaches_the_application)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	world.refuse_checkouts = 1;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_NO_SEATS);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(grant_signed_by_another_key_is_refused_and_returned)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.forge = true;
	ck_assert_int_lt(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_str_eq(problem.code, "bad_proof");
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(license_that_is_not_the_rows_is_refused_and_returned)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	world.wrong_license = true;
	ck_assert_int_lt(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    0);
	ck_assert_str_eq(problem.code, "bad_proof");
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(nonce_and_hold_exclude_each_other)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	ask.hold = true;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_BAD_REQUEST);
	memset(ask.nonce, 0, sizeof(ask.nonce));
	ask.hold = false;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_BAD_REQUEST);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
}
END_TEST

START_TEST(process_that_is_not_there_gets_no_seat)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;
	pid_t pid = start_sleeper();

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ask.pid = (uint64_t)pid;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_NOT_FOUND);
}
END_TEST

START_TEST(cut_line_asks_again_with_the_same_request)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.silent = true;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_until(&world, OP_LEASE_CHECKOUT, 1);
	world.silent = false;
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_CHECKOUT, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 2);
	ck_assert_mem_eq(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
}
END_TEST

START_TEST(retry_over_another_connection_gets_the_answer)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.silent = true;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_until(&world, OP_LEASE_CHECKOUT, 1);
	world_connect_app(&world);
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_for(&world, 100);
	world.silent = false;
	world_disconnect(&world);
	ck_assert_int_eq(world_take(&reply, &world, LOCAL_CHECKOUT, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(count_leases(), 1);
}
END_TEST

START_TEST(grant_for_nobody_goes_back)
{
	struct local_checkout ask = question();

	wait_connected();
	world.silent = true;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_until(&world, OP_LEASE_CHECKOUT, 1);
	world_connect_app(&world); /* the first one hangs up */
	world.silent = false;
	world_disconnect(&world);
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(site_is_not_asked_too_much_at_a_time)
{
	struct local_checkout ask;

	wait_connected();
	world.silent = true;
	for (int i = 0; i < 100; i++) {
		ask = question();
		world_ask(&world, LOCAL_CHECKOUT, &ask);
	}
	world_serve_for(&world, 200);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 64);
	world.silent = false;
	world.refuse_checkouts = 1000;
	world_disconnect(&world);
	world_serve_until(&world, OP_LEASE_CHECKOUT, 164);
}
END_TEST

/* --- the end of leases ---------------------------------------------------- */

START_TEST(killed_process_returns_its_seat_at_once)
{
	struct local_checkout ask = question();
	pid_t pid = start_sleeper();

	ask.pid = (uint64_t)pid;
	struct local_checkout_reply reply = take_seat(&ask);

	kill(pid, SIGKILL);
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(world.last_return.lease, reply.lease);
	ck_assert_uint_eq(world.last_return.reason, LEASE_EXITED);
	ck_assert_uint_eq(count_leases(), 0);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(return_is_answered_when_the_site_has_it)
{
	struct local_checkout ask = question();
	struct local_return back = { .lease = take_seat(&ask).lease };
	struct local_returned reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN], 1);
	ck_assert_uint_eq(world.last_return.reason, LEASE_RETURNED);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    ERR_GONE);
}
END_TEST

START_TEST(return_without_the_site_is_told_later)
{
	struct local_checkout ask = question();
	struct local_return back = { .all = true };
	struct local_returned reply;

	take_seat(&ask);
	ask = question();
	take_seat(&ask);
	world.offline = true;
	world_disconnect(&world);
	world_serve_for(&world, 50);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.count, 2);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN], 0);
	world.offline = false;
	world_serve_until(&world, OP_LEASE_RETURN, 2);
	ck_assert_uint_eq(world.asked[OP_LEASE_ATTACH], 0);
}
END_TEST

START_TEST(end_survives_a_killed_keeper)
{
	struct local_checkout ask = question();
	struct local_return back = { .all = true };
	struct local_returned reply;
	uint64_t lease = take_seat(&ask).lease;

	world.offline = true;
	world_disconnect(&world);
	world_serve_for(&world, 50);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RETURN, &back, &arena,
			     &problem),
	    0);
	world_kill_keeper(&world);
	world.offline = false;
	world_start_keeper(&world);
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(world.last_return.lease, lease);
	ck_assert_uint_eq(world.last_return.reason, LEASE_RETURNED);
}
END_TEST

/* The library ends it with its last span and grace: it is not gone yet. */
START_TEST(lease_of_a_contract_that_is_over_runs_out)
{
	struct local_checkout ask = question();
	struct local_renew renew = { .lease = take_seat(&ask).lease };
	struct local_renew_reply reply;

	world.refuse_lease = renew.lease;
	world.refuse_code = "license_expired";
	for (int i = 0; i < 2; i++) {
		randombytes_buf(renew.nonce, NONCE_BYTES);
		ck_assert_int_eq(world_call(&reply, &world, LOCAL_RENEW, &renew,
				     &arena, &problem),
		    ERR_LICENSE_EXPIRED);
		ck_assert_uint_eq(count_leases(), 1);
	}
	world.refuse_lease = 0;
	randombytes_buf(renew.nonce, NONCE_BYTES);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RENEW, &renew, &arena,
			     &problem),
	    0);
}
END_TEST

START_TEST(revoked_lease_is_told_to_the_application)
{
	struct local_checkout ask = question();
	struct lease_refused notice = { .lease = take_seat(&ask).lease,
		.code = "gone" };
	struct local_revoked told;
	struct rpc_envelope envelope;

	world_tell_record(&world, UPLINK_NOTICE, OP_LEASE_REVOKED, 0,
	    &lease_refused_record, &notice);
	world_line(&envelope, &world);
	ck_assert_mem_eq(envelope.method, "lease.revoked", 13);
	ck_assert_int_eq(record_read_json(&told, &local_revoked_record,
			     envelope.params, envelope.params_len, &arena,
			     NULL),
	    0);
	ck_assert_uint_eq(told.lease, notice.lease);
	ck_assert_uint_eq(count_leases(), 0);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN], 0);
}
END_TEST

/* --- whose it is ---------------------------------------------------------- */

#define UID 4242

/* Connects as another user. False when not root, who alone can. */
static bool
connect_as_user(void)
{
	if (geteuid() != 0) {
		test_skip("keeper", "needs root to be several users");
		return false;
	}
	ck_assert_int_eq(chmod(world.folder, 0755), 0);
	ck_assert_int_eq(chmod(world.socket, 0666), 0);
	ck_assert_int_eq(seteuid(UID), 0);
	world_connect_app(&world);
	return true;
}

START_TEST(seat_is_of_the_user_who_connected)
{
	struct local_checkout ask = question();
	struct local_return back = { 0 };
	struct local_returned returned;

	if (!connect_as_user())
		return;
	back.lease = take_seat(&ask).lease;
	ck_assert_uint_eq(count_leases(), 1);
	ck_assert_int_eq(world_call(&returned, &world, LOCAL_RETURN, &back,
			     &arena, &problem),
	    0);
	ck_assert_uint_eq(returned.count, 1);
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* As it looks when who connected has ended, a child keeps the socket, and the
 * pid was given out again. */
START_TEST(pid_that_is_another_users_by_now_is_refused)
{
	struct rpc_envelope envelope;

	kill(world.keeper, SIGSTOP);
	bool is_root = connect_as_user();

	if (is_root)
		ck_assert_int_eq(seteuid(0), 0);
	kill(world.keeper, SIGCONT);
	if (!is_root)
		return;
	world_line(&envelope, &world);
	ck_assert_ptr_nonnull(envelope.error);
	ck_assert_int_eq(rpc_read_error(&problem, envelope.error,
			     envelope.error_len),
	    ERR_FORBIDDEN);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper");
	TCase *checkout = tcase_create("checkout");
	TCase *ends = tcase_create("ends");
	TCase *users = tcase_create("users");

	tcase_set_timeout(checkout, 30);
	tcase_add_checked_fixture(checkout, setup, teardown);
	tcase_add_test(checkout, grant_comes_with_all_its_evidence);
	tcase_add_test(checkout, license_is_fetched_once);
	tcase_add_test(checkout, refusal_reaches_the_application);
	tcase_add_test(checkout,
	    grant_signed_by_another_key_is_refused_and_returned);
	tcase_add_test(checkout,
	    license_that_is_not_the_rows_is_refused_and_returned);
	tcase_add_test(checkout, nonce_and_hold_exclude_each_other);
	tcase_add_test(checkout, process_that_is_not_there_gets_no_seat);
	tcase_add_test(checkout, cut_line_asks_again_with_the_same_request);
	tcase_add_test(checkout, retry_over_another_connection_gets_the_answer);
	tcase_add_test(checkout, grant_for_nobody_goes_back);
	tcase_add_test(checkout, site_is_not_asked_too_much_at_a_time);
	suite_add_tcase(s, checkout);
	tcase_set_timeout(ends, 30);
	tcase_add_checked_fixture(ends, setup, teardown);
	tcase_add_test(ends, killed_process_returns_its_seat_at_once);
	tcase_add_test(ends, return_is_answered_when_the_site_has_it);
	tcase_add_test(ends, return_without_the_site_is_told_later);
	tcase_add_test(ends, end_survives_a_killed_keeper);
	tcase_add_test(ends, lease_of_a_contract_that_is_over_runs_out);
	tcase_add_test(ends, revoked_lease_is_told_to_the_application);
	suite_add_tcase(s, ends);
	tcase_set_timeout(users, 30);
	tcase_add_checked_fixture(users, setup, teardown);
	tcase_add_test(users, seat_is_of_the_user_who_connected);
	tcase_add_test(users, pid_that_is_another_users_by_now_is_refused);
	suite_add_tcase(s, users);
	return s;
}
