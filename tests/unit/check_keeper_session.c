/* The keeper and its site: sessions, renewals, and a journal that lies. */
#include "tests/unit/keeper_test.h"

/* --- renewals ------------------------------------------------------------- */

START_TEST(nonces_share_a_beat_and_verify)
{
	struct local_checkout ask = question();
	struct local_renew renew[3] = { 0 };
	struct local_renew_reply reply;
	struct rpc_envelope envelope;
	struct journal_beat beat;
	uint64_t first = 0;

	for (int i = 0; i < 3; i++) {
		ask = question();
		renew[i].lease = take_seat(&ask).lease;
		randombytes_buf(renew[i].nonce, NONCE_BYTES);
	}
	for (int i = 0; i < 3; i++) {
		uint64_t id = world_ask(&world, LOCAL_RENEW, &renew[i]);

		first = i == 0 ? id : first;
	}
	for (int i = 0; i < 3; i++) {
		world_line(&envelope, &world);
		ck_assert_ptr_nonnull(envelope.result);
		ck_assert_int_eq(record_read_json(&reply,
				     &local_renew_reply_record, envelope.result,
				     envelope.result_len, &arena, NULL),
		    0);
		ck_assert_int_eq(license_document_read(&beat,
				     &journal_beat_record, TOKEN_BEAT,
				     reply.beat.data, reply.beat.len,
				     world.site_public, &arena, NULL),
		    0);
		ck_assert_int_eq(journal_beat_verify(&beat,
				     renew[envelope.id - first].lease,
				     renew[envelope.id - first].nonce, 3,
				     reply.index, reply.path.data,
				     reply.path.len / 32),
		    0);
	}
	ck_assert_uint_eq(world.asked[OP_LEASE_RENEW], 1);
	ck_assert_uint_eq(world.last_renewed, 3);
}
END_TEST

START_TEST(held_lease_is_renewed_by_the_keeper)
{
	struct local_checkout ask = question();

	ask.hold = true;
	memset(ask.nonce, 0, sizeof(ask.nonce));
	take_seat(&ask);
	ck_assert(!sodium_is_zero(world.last_checkout.nonce, NONCE_BYTES));
	world_serve_until(&world, OP_LEASE_RENEW, 2); /* ttl 3 s: 1 s apart */
	ck_assert_uint_eq(count_leases(), 1);
}
END_TEST

START_TEST(lease_refused_by_a_beat_is_gone)
{
	struct local_checkout ask = question(), other = question();
	struct local_renew renew = { .lease = take_seat(&ask).lease };
	struct local_renew_reply reply;

	take_seat(&other);
	world.refuse_lease = renew.lease;
	randombytes_buf(renew.nonce, NONCE_BYTES);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RENEW, &renew, &arena,
			     &problem),
	    ERR_GONE);
	/* The notice of it follows; the other lease is untouched. */
	struct rpc_envelope envelope;

	world_line(&envelope, &world);
	ck_assert_mem_eq(envelope.method, "lease.revoked", 13);
	ck_assert_uint_eq(count_leases(), 1);
}
END_TEST

START_TEST(renewal_waits_for_the_site_to_come_back)
{
	struct local_checkout ask = question();
	struct local_renew renew = { .lease = take_seat(&ask).lease };
	struct local_renew_reply reply;

	world_disconnect(&world);
	randombytes_buf(renew.nonce, NONCE_BYTES);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_RENEW, &renew, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(world.last_attached, renew.lease);
}
END_TEST

/* --- sessions ------------------------------------------------------------- */

START_TEST(leases_are_kept_and_attached_again)
{
	struct local_checkout ask = question();
	uint64_t lease = take_seat(&ask).lease;

	world_disconnect(&world);
	ck_assert_uint_eq(count_leases(), 1);
	world_serve_until(&world, OP_LEASE_ATTACH, 1);
	ck_assert_uint_eq(world.last_attached, lease);
	wait_connected();
	ck_assert_uint_eq(count_leases(), 1);
	ck_assert_str_eq(status().trouble, "");
}
END_TEST

START_TEST(killed_keeper_finds_its_leases_again)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply = take_seat(&ask);
	struct local_attach attach = { .lease = reply.lease,
		.row_number = reply.row_number,
		.row = reply.row,
		.path = reply.path,
		.header = reply.header };
	struct empty nothing;

	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	ck_assert_uint_eq(count_leases(), 1);
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_ATTACH, &attach,
			     &arena, &problem),
	    0);
	world_serve_until(&world, OP_LEASE_ATTACH, 1);
	ck_assert_uint_eq(world.last_attached, reply.lease);
	attach.lease++;
	ck_assert_int_eq(world_call(&nothing, &world, LOCAL_ATTACH, &attach,
			     &arena, &problem),
	    ERR_GONE);
}
END_TEST

START_TEST(process_that_died_meanwhile_returns_its_seat)
{
	struct local_checkout ask = question();
	pid_t pid = start_sleeper();

	ask.pid = (uint64_t)pid;
	uint64_t lease = take_seat(&ask).lease;

	world_kill_keeper(&world);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	world_start_keeper(&world);
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(world.last_return.lease, lease);
	ck_assert_uint_eq(world.last_return.reason, LEASE_EXITED);
	ck_assert_uint_eq(world.asked[OP_LEASE_ATTACH], 0);
}
END_TEST

START_TEST(grant_that_a_killed_keeper_never_wrote_goes_back)
{
	wait_connected();
	world_kill_keeper(&world);
	world.stray = 4711;
	world_start_keeper(&world);
	world_serve_until(&world, OP_LEASE_RETURN, 1);
	ck_assert_uint_eq(world.last_return.lease, 4711);
}
END_TEST

START_TEST(lease_that_ended_meanwhile_is_dropped)
{
	struct local_checkout ask = question();
	struct rpc_envelope envelope;

	world.refuse_lease = take_seat(&ask).lease;
	world_disconnect(&world);
	world_line(&envelope, &world);
	ck_assert_mem_eq(envelope.method, "lease.revoked", 13);
	ck_assert_uint_eq(count_leases(), 0);
}
END_TEST

START_TEST(a_policy_that_came_into_force_shows)
{
	const struct policy_changed notice = { .version = 7 };
	struct local_checkout ask = question();
	uint64_t lease = take_seat(&ask).lease;
	int64_t end = clock_boottime_ms() + 60000;

	ck_assert_uint_eq(status().policy, 0);
	world_tell_record(&world, UPLINK_NOTICE, OP_POLICY_CHANGED, 0,
	    &policy_changed_record, &notice);
	while (status().policy != 7)
		ck_assert_int_lt(clock_boottime_ms(), end);
	ck_assert_int_ne(status().policy_at, 0);
	/* It takes nothing. */
	ck_assert_uint_ne(lease, 0);
	ck_assert_uint_eq(count_leases(), 1);
	ck_assert_uint_eq(world.asked[OP_LEASE_RETURN], 0);
}
END_TEST

START_TEST(journal_that_goes_on_is_no_trouble)
{
	struct local_checkout ask;

	for (int i = 0; i < 5; i++) {
		ask = question();
		take_seat(&ask);
		world_disconnect(&world);
		wait_connected();
		ck_assert_str_eq(status().trouble, "");
	}
	ck_assert_uint_gt(world.last_hello.known.batch, 2);
}
END_TEST

START_TEST(rolled_back_journal_is_reported_and_the_session_goes_on)
{
	struct local_checkout ask;

	for (int i = 0; i < 4; i++) {
		ask = question();
		take_seat(&ask);
	}
	world_disconnect(&world);
	world_roll_back(&world, 2);
	wait_connected();
	ck_assert_ptr_nonnull(strstr(status().trouble, "rolled back"));
	ask = question();
	take_seat(&ask);
}
END_TEST

START_TEST(lease_that_a_rollback_forgot_is_told_so)
{
	struct local_checkout ask;
	struct rpc_envelope envelope;
	struct local_revoked told;

	for (int i = 0; i < 4; i++) {
		ask = question();
		world.refuse_lease = take_seat(&ask).lease;
	}
	world_disconnect(&world);
	world_roll_back(&world, 2);
	world_line(&envelope, &world);
	ck_assert_mem_eq(envelope.method, "lease.revoked", 13);
	ck_assert_int_eq(record_read_json(&told, &local_revoked_record,
			     envelope.params, envelope.params_len, &arena,
			     NULL),
	    0);
	ck_assert_uint_eq(told.lease, world.refuse_lease);
	ck_assert_str_eq(told.code, "rolled_back");
}
END_TEST

START_TEST(forked_journal_is_reported_after_a_restart_too)
{
	struct local_checkout ask;

	for (int i = 0; i < 3; i++) {
		ask = question();
		take_seat(&ask);
	}
	world_disconnect(&world);
	wait_connected(); /* the keeper has seen batch 3 */
	world_kill_keeper(&world);
	world_roll_back(&world, 1);
	for (int i = 0; i < 5; i++)
		world_commit(&world, (const uint8_t *)"more", 4);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert_ptr_nonnull(strstr(status().trouble, "forked"));
}
END_TEST

START_TEST(site_without_the_key_gets_no_proof)
{
	struct local_status now;

	wait_connected();
	world.forge = true;
	world_commit(&world, (const uint8_t *)"forged", 6);
	world_disconnect(&world);
	unsigned int proofs = world.asked[OP_SESSION_PROVE];

	world_serve_until(&world, OP_SESSION_HELLO, 3);
	now = status();
	ck_assert(!now.connected);
	ck_assert_ptr_nonnull(strstr(now.trouble, "not signed by the key"));
	ck_assert_uint_eq(world.asked[OP_SESSION_PROVE], proofs);
}
END_TEST

START_TEST(revoked_device_is_told_at_once)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;

	wait_connected();
	world.device_key[0] ^= 1; /* the site takes its proofs no more */
	world_disconnect(&world);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_BAD_PROOF);
	ck_assert_ptr_nonnull(strstr(problem.detail, "refuses this device"));
	ask = question();
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_BAD_PROOF);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper_session");
	TCase *renewals = tcase_create("renewals");
	TCase *sessions = tcase_create("sessions");

	tcase_set_timeout(renewals, 30);
	tcase_add_checked_fixture(renewals, setup, teardown);
	tcase_add_test(renewals, nonces_share_a_beat_and_verify);
	tcase_add_test(renewals, held_lease_is_renewed_by_the_keeper);
	tcase_add_test(renewals, lease_refused_by_a_beat_is_gone);
	tcase_add_test(renewals, renewal_waits_for_the_site_to_come_back);
	suite_add_tcase(s, renewals);
	tcase_set_timeout(sessions, 30);
	tcase_add_checked_fixture(sessions, setup, teardown);
	tcase_add_test(sessions, leases_are_kept_and_attached_again);
	tcase_add_test(sessions, killed_keeper_finds_its_leases_again);
	tcase_add_test(sessions, process_that_died_meanwhile_returns_its_seat);
	tcase_add_test(sessions,
	    grant_that_a_killed_keeper_never_wrote_goes_back);
	tcase_add_test(sessions, lease_that_ended_meanwhile_is_dropped);
	tcase_add_test(sessions, a_policy_that_came_into_force_shows);
	tcase_add_test(sessions, journal_that_goes_on_is_no_trouble);
	tcase_add_test(sessions,
	    rolled_back_journal_is_reported_and_the_session_goes_on);
	tcase_add_test(sessions, lease_that_a_rollback_forgot_is_told_so);
	tcase_add_test(sessions,
	    forked_journal_is_reported_after_a_restart_too);
	tcase_add_test(sessions, site_without_the_key_gets_no_proof);
	tcase_add_test(sessions, revoked_device_is_told_at_once);
	suite_add_tcase(s, sessions);
	return s;
}
