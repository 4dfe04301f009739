/* The ledger process: devices that wait, that are shut out, and that come
 * twice. */
#include "tests/unit/process_site.h"

#include "shared/base/text.h"
#include "tests/unit/suite.h"

/* Why the connection was closed. */
static char closed[256];

static void
hear_close(uint64_t conn, uint16_t code)
{
	struct heard heard;

	ck_assert(front_await(&world, &heard, WIRE_CLOSE, conn, ANSWER_MS));
	ck_assert_uint_eq(heard.op, code);
	snprintf(closed, sizeof(closed), "%.*s", (int)heard.len,
	    (const char *)world.payload);
	/* RFC 6455 section 5.5: a code and 123 bytes. */
	ck_assert_uint_eq(strlen(closed), heard.len);
	ck_assert_uint_le(heard.len, 123);
	ck_assert(text_is_utf8(closed, heard.len));
}

static struct device_view
show_device(const struct agent *agent)
{
	const struct device_number number = { agent->device };
	struct device_view view;

	ck_assert_int_eq(admin_do(&world, &view, OP_DEVICE_SHOW, &number), 0);
	return view;
}

/* --- approval ------------------------------------------------------------ */

static void
enroll_pending(void)
{
	install_license(&world, PRODUCT, 2, 120, 300);
	world.pending = true;
	agent_enroll(&world, &alice, "alice", 1);
	ck_assert(alice.pending);
}

START_TEST(pending_device_gets_nothing_but_its_session)
{
	struct checkout_reply granted;
	struct renew_reply renewed;
	struct problem problem;
	const uint8_t nonce[32] = { 1 };
	const struct lease_query all = { 0 };

	enroll_pending();
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     &problem),
	    ERR_FORBIDDEN);
	ck_assert_str_eq(problem.detail,
	    "device-1 waits for an admin's approval");
	ck_assert_ptr_nonnull(
	    strstr(problem.hint, "leasehold device approve 1"));
	ck_assert_int_eq(renew_one(&renewed, &alice, 1, nonce), ERR_FORBIDDEN);
	ck_assert_int_eq(agent_ask(&world, NULL, 1, OP_LEASE_MINE, &all, NULL),
	    ERR_FORBIDDEN);
	ck_assert_uint_eq(show_device(&alice).state, DEVICE_PENDING);
}
END_TEST

START_TEST(approval_reaches_the_live_session)
{
	const struct device_number number = { 1 };
	struct checkout_reply granted;
	struct device_number reply;
	struct heard heard;
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };
	struct buf payload = { 0 };

	enroll_pending();
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &device_number_record, &number);
	front_write(&world, WIRE_CALL, OP_DEVICE_APPROVE, 8, 5, &payload);
	buf_release(&payload);
	ck_assert(front_await(&world, &heard, WIRE_NOTICE, 1, ANSWER_MS));
	ck_assert_uint_eq(heard.op, OP_DEVICE_APPROVED);
	ck_assert_int_eq(front_answer(&world, &reply, OP_DEVICE_APPROVE, 5,
			     NULL),
	    0);
	ck_assert_int_eq(agent_checkout(&world, &granted, &alice, PRODUCT,
			     NULL),
	    0);
	/* And the next one is a full one from the start. */
	agent_login(&world, &alice, 2);
	ck_assert(!alice.pending);
	/* Once more tells nobody. */
	ck_assert_int_eq(admin_do(&world, &reply, OP_DEVICE_APPROVE, &number),
	    0);
	ck_assert(!front_await(&world, &heard, WIRE_NOTICE, 2, 100));
}
END_TEST

START_TEST(approval_holds_over_a_restart)
{
	const struct device_number number = { 1 };
	struct device_number reply;

	enroll_pending();
	for (int i = 0; i < 2; i++) {
		process_stop(&world, SIGKILL);
		process_start(&world);
		process_await_ready(&world);
		agent_login(&world, &alice, 3);
		ck_assert(alice.pending == (i == 0));
		if (i == 0)
			ck_assert_int_eq(admin_do(&world, &reply,
					     OP_DEVICE_APPROVE, &number),
			    0);
	}
}
END_TEST

/* --- revocation ---------------------------------------------------------- */

static void
shut_out(const struct agent *agent, const char *reason)
{
	struct device_revoke request = { .device = agent->device };
	struct device_number reply;
	struct wire_caller caller = { .address = "192.0.2.1",
		.key = { world.key, (uint32_t)strlen(world.key) } };
	struct buf payload = { 0 };

	snprintf(request.reason, sizeof(request.reason), "%s", reason);
	record_write_msgpack(&payload, &wire_caller_record, &caller);
	record_write_msgpack(&payload, &device_revoke_record, &request);
	front_write(&world, WIRE_CALL, OP_DEVICE_REVOKE, 8, 5, &payload);
	buf_release(&payload);
	hear_close(agent->conn, 4003);
	ck_assert_int_eq(front_answer(&world, &reply, OP_DEVICE_REVOKE, 5,
			     NULL),
	    0);
}

START_TEST(revoked_device_hears_the_reason_now_and_later)
{
	struct problem problem;

	agent_enroll(&world, &alice, "alice", 1);
	shut_out(&alice, "it was stolen");
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, &problem),
	    ERR_DEVICE_REVOKED);
	ck_assert_str_eq(problem.detail,
	    "an admin revoked device-1: it was stolen");
	ck_assert_str_eq(show_device(&alice).reason, "it was stolen");
}
END_TEST

START_TEST(reason_too_long_for_a_close_is_cut_at_a_character)
{
	struct problem problem;
	char reason[128] = "x";

	for (int i = 0; i < 63; i++)
		strcat(reason, "\u00fc"); /* two bytes each */
	ck_assert_uint_eq(strlen(reason), 127);
	agent_enroll(&world, &alice, "alice", 1);
	shut_out(&alice, reason);
	ck_assert_uint_ge(strlen(closed), 121);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	ck_assert_int_eq(agent_prove(&world, &alice, &problem),
	    ERR_DEVICE_REVOKED);
	ck_assert_ptr_nonnull(strstr(problem.detail, reason));
}
END_TEST

START_TEST(no_reason_is_none)
{
	agent_enroll(&world, &alice, "alice", 1);
	shut_out(&alice, "");
	ck_assert_str_eq(closed, "an admin revoked this device");
}
END_TEST

/* --- one live session ---------------------------------------------------- */

START_TEST(replaced_session_hears_from_where)
{
	struct prove prove = { 0 };
	struct buf payload = { 0 };

	agent_enroll(&world, &alice, "alice", 1);
	agent_connect(&world, &alice, 2);
	ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
	agent_proof(&prove.proof, &world, &alice, PROOF_LOGIN, NULL);
	record_write_msgpack(&payload, &prove_record, &prove);
	front_write(&world, WIRE_REQUEST, OP_SESSION_PROVE, 2, 9, &payload);
	buf_release(&payload);
	hear_close(1, 4001);
	ck_assert_str_eq(closed,
	    "this device connected from elsewhere (192.0.2.50)");
}
END_TEST

START_TEST(device_that_comes_too_often_keeps_the_session_it_has)
{
	const struct lease_query all = { 0 };
	struct lease_page page;
	struct problem problem;
	uint64_t conn = 10;
	int rc = 0;

	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &bob, "bob", 2);
	for (; conn < 60 && rc == 0; conn++) {
		agent_connect(&world, &alice, conn);
		ck_assert_int_eq(agent_hello(&world, &alice, NULL, NULL), 0);
		rc = agent_prove(&world, &alice, &problem);
	}
	ck_assert_int_eq(rc, ERR_RATE_LIMITED);
	ck_assert_uint_ge(conn, 10 + 15);
	ck_assert_ptr_nonnull(strstr(problem.detail, "its last session stays"));
	alice.conn = conn - 2; /* the last one that was let in */
	ck_assert_int_eq(agent_ask(&world, &page, alice.conn, OP_LEASE_MINE,
			     &all, NULL),
	    0);
	/* Others are not slowed. */
	agent_login(&world, &bob, 3);
}
END_TEST

START_TEST(who_does_not_have_the_key_cannot_keep_a_device_out)
{
	struct agent mallory = { 0 };

	agent_enroll(&world, &alice, "alice", 1);
	agent_enroll(&world, &mallory, "mallory", 2);
	uint64_t own = mallory.device;

	mallory.device = alice.device;
	for (uint64_t conn = 10; conn < 50; conn++) {
		agent_connect(&world, &mallory, conn);
		ck_assert_int_eq(agent_hello(&world, &mallory, NULL, NULL), 0);
		ck_assert_int_eq(agent_prove(&world, &mallory, NULL),
		    ERR_BAD_PROOF);
	}
	mallory.device = own;
	identity_close(mallory.identity);
	agent_login(&world, &alice, 3);
}
END_TEST

START_TEST(device_is_shown_with_its_session_and_when_it_was_seen)
{
	struct device_view view;

	agent_enroll(&world, &alice, "alice", 1);
	view = show_device(&alice);
	ck_assert(view.connected);
	ck_assert_str_eq(view.address, "192.0.2.50");
	ck_assert_str_eq(view.software, "test");
	ck_assert_int_gt(view.connected_at, 0);
	ck_assert_int_ge(view.seen_at, view.connected_at - 1000);
	ck_assert_uint_eq(view.join, 1);
	front_write(&world, WIRE_CLOSED, 0, 1, 0, NULL);
	view = show_device(&alice);
	ck_assert(!view.connected);
	ck_assert_str_eq(view.address, "");
	ck_assert_int_gt(view.seen_at, 0);
	/* What no process remembers is not told. */
	process_stop(&world, SIGTERM);
	process_start(&world);
	process_await_ready(&world);
	ck_assert_int_eq(show_device(&alice).seen_at, 0);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("process_device");
	TCase *approval = tcase_create("approval");
	TCase *revocation = tcase_create("revocation");
	TCase *sessions = tcase_create("sessions");

	tcase_add_test(approval, pending_device_gets_nothing_but_its_session);
	tcase_add_test(approval, approval_reaches_the_live_session);
	tcase_add_test(approval, approval_holds_over_a_restart);
	tcase_add_test(revocation,
	    revoked_device_hears_the_reason_now_and_later);
	tcase_add_test(revocation,
	    reason_too_long_for_a_close_is_cut_at_a_character);
	tcase_add_test(revocation, no_reason_is_none);
	tcase_add_test(sessions, replaced_session_hears_from_where);
	tcase_add_test(sessions,
	    device_that_comes_too_often_keeps_the_session_it_has);
	tcase_add_test(sessions,
	    who_does_not_have_the_key_cannot_keep_a_device_out);
	tcase_add_test(sessions,
	    device_is_shown_with_its_session_and_when_it_was_seen);
	process_case_add(suite, approval);
	process_case_add(suite, revocation);
	process_case_add(suite, sessions);
	return suite;
}
