/* Becoming a device, and the bounds of what one user may ask. */
#include "tests/unit/keeper_test.h"

/* --- enrolment ------------------------------------------------------------ */

static struct local_enroll
make_token(const uint8_t secret[64])
{
	struct license_join join = { .site = WORLD_SITE,
		.tenant = "default",
		.join = 1,
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

/* --- approval, and its end ------------------------------------------------ */

static struct local_status
enroll_pending(void)
{
	struct local_enroll ask = make_token(world.site_secret);
	struct local_status reply;

	world.pending = true;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena,
			     &problem),
	    0);
	return reply;
}

START_TEST(pending_device_is_connected_and_says_what_it_waits_for)
{
	struct local_status reply = enroll_pending();

	ck_assert(reply.connected);
	ck_assert(reply.pending);
	ck_assert_str_eq(reply.trouble,
	    "device-3 waits for an admin's approval");
	ck_assert_ptr_nonnull(strstr(reply.hint, "leasehold device approve 3"));
	/* It asks the site for nothing. */
	ck_assert_uint_eq(world.asked[OP_LEASE_MINE], 0);
	ck_assert_uint_eq(world.asked[OP_LEASE_ATTACH], 0);
	/* Nor after a restart. */
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert(status().pending);
}
END_TEST

START_TEST(who_would_not_wait_is_refused_until_the_admin_came)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;
	const struct empty nothing = { 0 };

	enroll_pending();
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    ERR_FORBIDDEN);
	ck_assert_str_eq(problem.detail,
	    "device-3 waits for an admin's approval");
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
	world.pending = false;
	world_notify(&world, OP_DEVICE_APPROVED, &nothing);
	while (status().pending)
		world_serve_for(&world, 10);
	ask = question();
	take_seat(&ask);
	ck_assert_str_eq(status().trouble, "");
}
END_TEST

START_TEST(who_waits_is_served_when_the_admin_came)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;
	struct rpc_envelope envelope;
	const struct empty nothing = { 0 };

	enroll_pending();
	ask.wait_s = 60;
	world_ask(&world, LOCAL_CHECKOUT, &ask);
	world_serve_for(&world, 200);
	ck_assert_uint_eq(world.asked[OP_LEASE_CHECKOUT], 0);
	world.pending = false;
	world_notify(&world, OP_DEVICE_APPROVED, &nothing);
	world_line(&envelope, &world);
	ck_assert_ptr_nonnull(envelope.result);
	ck_assert_int_eq(record_read_json(&reply, &local_checkout_reply_record,
			     envelope.result, envelope.result_len, &arena,
			     NULL),
	    0);
	ck_assert_uint_ne(reply.lease, 0);
}
END_TEST

START_TEST(word_of_an_admin_that_nobody_waits_for_changes_nothing)
{
	const struct empty nothing = { 0 };

	wait_connected();
	unsigned int asked = world.asked[OP_LEASE_MINE];

	world_notify(&world, OP_DEVICE_APPROVED, &nothing);
	world_serve_for(&world, 50);
	ck_assert(status().connected);
	ck_assert_uint_eq(world.asked[OP_LEASE_MINE], asked);
}
END_TEST

/* Turned away: told at once, and it does not come back soon, whoever asks. */
static void
expect_quiet(int err, const char *words, uint32_t least_s)
{
	struct local_checkout ask = question();
	struct local_checkout_reply reply;
	unsigned int hellos = world.asked[OP_SESSION_HELLO];

	ask.wait_s = 60;
	ck_assert_int_eq(world_call(&reply, &world, LOCAL_CHECKOUT, &ask,
			     &arena, &problem),
	    err);
	ck_assert_str_eq(problem.detail, words);
	world_serve_for(&world, 1500);
	struct local_status now = status();

	ck_assert(!now.connected);
	ck_assert_str_eq(now.trouble, words);
	ck_assert_uint_ge(now.retry_s, least_s);
	ck_assert_uint_eq(world.asked[OP_SESSION_HELLO], hellos);
}

START_TEST(revoked_agent_says_why_and_keeps_still)
{
	wait_connected();
	world_turn_away(&world, CAUSE_REVOKED, "revoked: it was stolen");
	expect_quiet(ERR_DEVICE_REVOKED, "revoked: it was stolen", 400);
	ck_assert_uint_eq(status().cause, CAUSE_REVOKED);
}
END_TEST

START_TEST(replaced_agent_lets_the_other_be)
{
	wait_connected();
	world_turn_away(&world, CAUSE_REPLACED, "connected from elsewhere");
	expect_quiet(ERR_FORBIDDEN, "connected from elsewhere", 25);
	ck_assert_uint_eq(status().cause, CAUSE_REPLACED);
}
END_TEST

/* --- another key ---------------------------------------------------------- */

static bool
has_folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", world.folder, name);
	return access(path, F_OK) == 0;
}

static int
enroll_anew(void)
{
	struct local_enroll ask = make_token(world.site_secret);
	struct local_status reply;

	ask.new_key = true;
	return world_call(&reply, &world, LOCAL_ENROLL, &ask, &arena, &problem);
}

START_TEST(revoked_while_away_it_holds_nothing_and_comes_back_with_a_new_key)
{
	struct local_checkout ask = question();
	struct local_revoked told;
	uint8_t before[PROOF_KEY_MAX];

	take_seat(&ask);
	world.refuse_proof = ERR_DEVICE_REVOKED;
	world_disconnect(&world);
	world_notice(&told, &world, LOCAL_REVOKED);
	ck_assert_str_eq(told.code, "device_revoked");
	ck_assert_uint_eq(count_leases(), 0);
	world.refuse_proof = 0;
	memcpy(before, world.device_key, sizeof(before));
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(enroll_anew(), 0);
		ck_assert_mem_ne(before, world.device_key,
		    world.device_key_len);
		memcpy(before, world.device_key, sizeof(before));
	}
	ck_assert(!has_folder("identity"));
	ck_assert(!has_folder("identity-2"));
	ck_assert(has_folder("identity-3"));
	ask = question();
	take_seat(&ask);
	/* A start finds the key that was enrolled. */
	world_kill_keeper(&world);
	world_start_keeper(&world);
	world_connect_app(&world);
	wait_connected();
	ck_assert_int_eq(world.refused_proofs, 0);
	ck_assert(!has_folder("identity"));
}
END_TEST

START_TEST(new_key_that_the_site_refuses_leaves_the_old_one)
{
	uint8_t old[PROOF_KEY_MAX];

	wait_connected();
	memcpy(old, world.device_key, sizeof(old));
	world.refuse_proof = ERR_GONE;
	ck_assert_int_eq(enroll_anew(), ERR_GONE);
	world.refuse_proof = 0;
	memcpy(world.device_key, old, sizeof(old));
	wait_connected();
	ck_assert(has_folder("identity"));
	ck_assert(!has_folder("identity-2"));
}
END_TEST

/* --- limits --------------------------------------------------------------- */

START_TEST(user_has_so_many_connections_and_no_more)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char line[512];
	int fds[64];

	strcpy(address.sun_path, world.socket);
	status(); /* the first one is in */
	for (int i = 0; i < 64; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&address,
				     sizeof(address)),
		    0);
	}
	struct pollfd last = { fds[63], POLLIN, 0 };

	ck_assert_int_eq(poll(&last, 1, WORLD_PATIENCE_MS), 1);
	ssize_t n = recv(fds[63], line, sizeof(line) - 1, 0);

	ck_assert_int_gt(n, 0);
	line[n] = '\0';
	ck_assert_ptr_nonnull(strstr(line, "rate_limited"));
	ck_assert_int_eq(recv(fds[63], line, sizeof(line), 0), 0);
	close(fds[0]); /* makes room for one */
	world_serve_for(&world, 50);
	fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	last.fd = fds[0];
	ck_assert_int_eq(poll(&last, 1, 200), 0);
	for (int i = 0; i < 64; i++)
		close(fds[i]);
}
END_TEST

START_TEST(line_without_an_end_is_cut_off)
{
	static char line[LOCAL_LINE_MAX + 8192];
	struct rpc_envelope envelope;

	memset(line, 'x', sizeof(line));
	ck_assert_int_gt(send(world.app, line, sizeof(line), MSG_NOSIGNAL), 0);
	world_line(&envelope, &world);
	ck_assert_ptr_nonnull(envelope.error);
	ck_assert_ptr_nonnull(
	    memmem(envelope.error, envelope.error_len, "too long", 8));
	world_connect_app(&world);
	status(); /* others are served */
}
END_TEST

START_TEST(questions_that_wait_are_bounded)
{
	struct local_checkout ask;
	struct rpc_envelope envelope;

	wait_connected();
	world.silent = true;
	for (int i = 0; i < 257; i++) {
		ask = question();
		world_ask(&world, LOCAL_CHECKOUT, &ask);
	}
	world_line(&envelope, &world);
	ck_assert_uint_eq(envelope.id, world.next_id - 1);
	ck_assert_ptr_nonnull(
	    memmem(envelope.error, envelope.error_len, "rate_limited", 12));
	world_connect_app(&world); /* what waited counts no more */
	world_serve_for(&world, 50);
	status();
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("keeper_enroll");
	TCase *enrolment = tcase_create("enrolment");
	TCase *again = tcase_create("again");
	TCase *limits = tcase_create("limits");

	tcase_set_timeout(enrolment, 30);
	tcase_add_checked_fixture(enrolment, setup_fresh, teardown);
	tcase_add_test(enrolment, token_makes_a_device);
	tcase_add_test(enrolment, token_of_another_key_makes_no_device);
	tcase_add_test(enrolment, what_is_no_token_is_refused);
	tcase_add_test(enrolment, unreachable_site_is_said_so);
	tcase_add_test(enrolment,
	    pending_device_is_connected_and_says_what_it_waits_for);
	tcase_add_test(enrolment,
	    who_would_not_wait_is_refused_until_the_admin_came);
	tcase_add_test(enrolment, who_waits_is_served_when_the_admin_came);
	suite_add_tcase(s, enrolment);
	tcase_set_timeout(again, 30);
	tcase_add_checked_fixture(again, setup, teardown);
	tcase_add_test(again, leases_stand_in_the_way_of_another_enrolment);
	tcase_add_test(again,
	    word_of_an_admin_that_nobody_waits_for_changes_nothing);
	tcase_add_test(again, revoked_agent_says_why_and_keeps_still);
	tcase_add_test(again, replaced_agent_lets_the_other_be);
	tcase_add_test(again,
	    revoked_while_away_it_holds_nothing_and_comes_back_with_a_new_key);
	tcase_add_test(again, new_key_that_the_site_refuses_leaves_the_old_one);
	suite_add_tcase(s, again);
	tcase_set_timeout(limits, 30);
	tcase_add_checked_fixture(limits, setup, teardown);
	tcase_add_test(limits, user_has_so_many_connections_and_no_more);
	tcase_add_test(limits, line_without_an_end_is_cut_off);
	tcase_add_test(limits, questions_that_wait_are_bounded);
	suite_add_tcase(s, limits);
	return s;
}
