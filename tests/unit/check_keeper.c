/* The keeper as applications and the site see it. */
#include "tests/unit/keeper_world.h"

static struct world world;
static struct arena arena;
static struct problem problem;

static void
setup(void)
{
	world_open(&world);
	world_enrolled(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	memset(&arena, 0, sizeof(arena));
}

static void
setup_fresh(void)
{
	world_open(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	memset(&arena, 0, sizeof(arena));
}

static void
teardown(void)
{
	arena_release(&arena);
	world_close(&world);
}

static struct local_checkout
question(void)
{
	struct local_checkout ask = { .product = "p", .version = "1.0" };

	randombytes_buf(ask.nonce, sizeof(ask.nonce));
	randombytes_buf(ask.request, sizeof(ask.request));
	return ask;
}

static struct local_checkout_reply
take_seat(const struct local_checkout *ask)
{
	struct local_checkout_reply reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, ask, &arena,
			     &problem),
	    0);
	return reply;
}

static pid_t
start_sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	return pid;
}

static struct local_status
status(void)
{
	struct empty nothing = { 0 };
	struct local_status reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_STATUS, &nothing,
			     &arena, &problem),
	    0);
	return reply;
}

static uint32_t
count_leases(void)
{
	struct local_list all = { 0 };
	struct local_leases reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_LIST, &all, &arena,
			     &problem),
	    0);
	return reply.items.count;
}

/* A line that was cut a moment ago counts as such before the keeper knows. */
static void
wait_connected(void)
{
	for (int i = 0; i < 500 && !(world.connected && status().connected);
	     i++)
		world_serve_for(&world, 10);
	ck_assert(world.connected && status().connected);
}

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

START_TEST(waiting_asks_again_with_a_new_request)
{
	struct local_checkout ask = question();

	ask.wait_s = 5;
	world.refuse_checkouts = 1;
	take_seat(&ask);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 2);
	ck_assert_mem_eq(world.first_request, ask.request, REQUEST_BYTES);
	ck_assert_mem_ne(world.last_checkout.request, ask.request,
	    REQUEST_BYTES);
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

/* --- renewals ------------------------------------------------------------- */

START_TEST(nonces_share_a_beat_and_verify)
{
	struct local_checkout ask = question();
	struct local_renew renew[3];
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

/* --- enrolment ------------------------------------------------------------ */

static struct local_enroll
make_token(const uint8_t secret[64])
{
	struct license_join join = { .site = WORLD_SITE,
		.tenant = "default",
		.uses = 1,
		.expires_at = 4000000000000 };
	struct local_enroll ask = { .url = "https://site.example:7443" };
	struct buf token = { 0 };

	ck_assert_int_eq(license_document_sign(&token, &license_join_record,
			     &join, TOKEN_JOIN, secret),
	    0);
	strcpy(world.join, buf_text(&token));
	ask.join =
	    (struct record_span){ world.join, (uint32_t)strlen(world.join) };
	buf_release(&token);
	return ask;
}

START_TEST(token_makes_a_device)
{
	struct local_enroll ask = make_token(world.site_secret);
	struct local_status reply;
	struct local_checkout seat = question();
	struct local_checkout_reply granted;

	ck_assert_int_eq(world_call(&granted, &world, LOCAL_CHECKOUT, &seat,
			     &arena, &problem),
	    ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(problem.hint, "leasehold enroll"));
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    0);
	ck_assert_uint_eq(reply.device, 3);
	ck_assert_str_eq(reply.site, WORLD_SITE);
	ck_assert(reply.connected);
	ck_assert_int_eq(world.refused_proofs, 0);
	take_seat(&seat);
	/* And it stays one. */
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert_uint_eq(status().device, 3);
}
END_TEST

START_TEST(token_of_another_key_makes_no_device)
{
	uint8_t public_key[32], secret[64];
	struct local_enroll ask;
	struct local_status reply;

	crypto_sign_keypair(public_key, secret);
	ask = make_token(secret);
	ck_assert_int_lt(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    0);
	ck_assert_ptr_nonnull(strstr(problem.detail, "not signed by the site"));
	ck_assert_str_eq(status().url, "");
}
END_TEST

START_TEST(what_is_no_token_is_refused)
{
	struct local_enroll ask = { .url = "https://a", .join = { "x", 1 } };
	struct local_status reply;

	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    ERR_BAD_REQUEST);
	ask = make_token(world.site_secret);
	strcpy(ask.url, "http://a");
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    ERR_BAD_REQUEST);
	ck_assert_str_eq(problem.field, "url");
}
END_TEST

START_TEST(unreachable_site_is_said_so)
{
	struct local_enroll ask = make_token(world.site_secret);
	struct local_status reply;

	world.offline = true;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    ERR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(problem.detail, "refused"));
	world.offline = false;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    0);
}
END_TEST

START_TEST(leases_stand_in_the_way_of_another_enrolment)
{
	struct local_checkout ask = question();
	struct local_enroll again;
	struct local_status reply;

	take_seat(&ask);
	again = make_token(world.site_secret);
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &again,
			     &arena, &problem),
	    ERR_CONFLICT);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper");
	TCase *leases = tcase_create("leases");
	TCase *sessions = tcase_create("sessions");
	TCase *fresh = tcase_create("enrolment");

	tcase_set_timeout(leases, 30);
	tcase_set_timeout(sessions, 30);
	tcase_set_timeout(fresh, 30);
	tcase_add_checked_fixture(leases, setup, teardown);
	tcase_add_test(leases, grant_comes_with_all_its_evidence);
	tcase_add_test(leases, license_is_fetched_once);
	tcase_add_test(leases, refusal_reaches_the_application);
	tcase_add_test(leases, waiting_asks_again_with_a_new_request);
	tcase_add_test(leases,
	    grant_signed_by_another_key_is_refused_and_returned);
	tcase_add_test(leases,
	    license_that_is_not_the_rows_is_refused_and_returned);
	tcase_add_test(leases, nonce_and_hold_exclude_each_other);
	tcase_add_test(leases, process_that_is_not_there_gets_no_seat);
	tcase_add_test(leases, cut_line_asks_again_with_the_same_request);
	tcase_add_test(leases, retry_over_another_connection_gets_the_answer);
	tcase_add_test(leases, grant_for_nobody_goes_back);
	tcase_add_test(leases, site_is_not_asked_too_much_at_a_time);
	tcase_add_test(leases, killed_process_returns_its_seat_at_once);
	tcase_add_test(leases, return_is_answered_when_the_site_has_it);
	tcase_add_test(leases, return_without_the_site_is_told_later);
	tcase_add_test(leases, end_survives_a_killed_keeper);
	tcase_add_test(leases, revoked_lease_is_told_to_the_application);
	tcase_add_test(leases, nonces_share_a_beat_and_verify);
	tcase_add_test(leases, held_lease_is_renewed_by_the_keeper);
	tcase_add_test(leases, lease_refused_by_a_beat_is_gone);
	tcase_add_test(leases, renewal_waits_for_the_site_to_come_back);
	suite_add_tcase(s, leases);
	tcase_add_checked_fixture(sessions, setup, teardown);
	tcase_add_test(sessions, leases_are_kept_and_attached_again);
	tcase_add_test(sessions, killed_keeper_finds_its_leases_again);
	tcase_add_test(sessions, process_that_died_meanwhile_returns_its_seat);
	tcase_add_test(sessions,
	    grant_that_a_killed_keeper_never_wrote_goes_back);
	tcase_add_test(sessions, lease_that_ended_meanwhile_is_dropped);
	tcase_add_test(sessions, journal_that_goes_on_is_no_trouble);
	tcase_add_test(sessions,
	    rolled_back_journal_is_reported_and_the_session_goes_on);
	tcase_add_test(sessions,
	    forked_journal_is_reported_after_a_restart_too);
	tcase_add_test(sessions, site_without_the_key_gets_no_proof);
	tcase_add_test(sessions, revoked_device_is_told_at_once);
	tcase_add_test(sessions, leases_stand_in_the_way_of_another_enrolment);
	suite_add_tcase(s, sessions);
	tcase_add_checked_fixture(fresh, setup_fresh, teardown);
	tcase_add_test(fresh, token_makes_a_device);
	tcase_add_test(fresh, token_of_another_key_makes_no_device);
	tcase_add_test(fresh, what_is_no_token_is_refused);
	tcase_add_test(fresh, unreachable_site_is_said_so);
	suite_add_tcase(s, fresh);
	return s;
}
