/* appliance/front: agents on one side, a ledger on the other; the end. */
#include "tests/unit/front_world.h"

#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

/* What a site_view must have besides. */
#define SITE_REST .tenant = "default", .software = "leaseholdd 0"

static struct front_world world;
static struct visitor v;

static void
setup(void)
{
	memset(&world, 0, sizeof(world));
	front_world_open(&world);
}

static void
setup_hasty(void)
{
	memset(&world, 0, sizeof(world));
	world.prove_ms = 1500;
	front_world_open(&world);
}

static void
teardown(void)
{
	front_world_close(&world);
}

/* --- sessions ------------------------------------------------------------ */

START_TEST(an_agent_is_announced_with_its_exporter)
{
	struct wire_peer peer;
	uint8_t exporter[NET_EXPORTER_BYTES];

	agent_opens(&v, &world);
	ck_assert_int_eq(record_read_msgpack(&peer, &wire_peer_record,
			     world.payload, world.heard.len, NULL, &world.arena,
			     NULL),
	    0);
	ck_assert_int_eq(SSL_export_keying_material(v.ssl, exporter,
			     sizeof(exporter), NET_EXPORTER_LABEL,
			     strlen(NET_EXPORTER_LABEL), NULL, 0, 0),
	    1);
	ck_assert_mem_eq(peer.exporter, exporter, sizeof(exporter));
	ck_assert_str_eq(peer.address, "127.0.0.1");
	uint64_t conn = world.heard.conn;

	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
	ck_assert_uint_eq(world.heard.conn, conn);
}
END_TEST

#define RENEW(id)                                                         \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"lease.return\"," \
	"\"params\":{\"lease\":9,\"reason\":\"returned\"}}"

START_TEST(a_request_and_its_reply_keep_their_id)
{
	struct lease_return request;
	struct lease_ended reply = { .lease = 9 };

	agent_opens(&v, &world);
	agent_says(&v, RENEW("4711"));
	ledger_hears(&world, WIRE_REQUEST);
	ck_assert_int_eq(world.heard.op, OP_LEASE_RETURN);
	ck_assert_uint_eq(world.heard.tag, 4711);
	ck_assert_int_eq(record_read_msgpack(&request, &lease_return_record,
			     world.payload, world.heard.len, NULL, &world.arena,
			     NULL),
	    0);
	ck_assert_uint_eq(request.lease, 9);
	ledger_replies(&world, &lease_ended_record, &reply);
	ck_assert(agent_hears(&v));
	ck_assert(visitor_got(&v, "\"id\":4711,\"result\":{\"lease\":9,"));
	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

START_TEST(a_refusal_has_its_code)
{
	agent_opens(&v, &world);
	agent_says(&v, RENEW("1"));
	ledger_hears(&world, WIRE_REQUEST);
	ledger_refuses(&world, ERR_NO_SEATS, "wait for one");
	ck_assert(agent_hears(&v));
	ck_assert(visitor_got(&v, "\"id\":1,\"error\":{\"code\":-32049,"));
	ck_assert(visitor_got(&v, "\"code\":\"no_seats\""));
	ck_assert(visitor_got(&v, "wait for one"));
	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

static void
expect_error(const char *message, const char *words)
{
	agent_says(&v, message);
	ck_assert(agent_hears(&v));
	ck_assert_int_eq(v.opcode, 1);
	ck_assert_msg(visitor_got(&v, words), "answer is %s", v.text);
	ck_assert(ledger_hears_nothing(&world));
}

START_TEST(broken_messages_get_json_rpcs_own_errors)
{
	agent_opens(&v, &world);
	expect_error("{\"jsonrpc\":", "\"id\":null,\"error\":{\"code\":-32700");
	expect_error("[]", "\"code\":-32600");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"no.such\"}",
	    "\"id\":5,\"error\":{\"code\":-32601");
	/* What is on HTTP only, and what only the site says. */
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"site.show\"}",
	    "\"code\":-32601");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":7,"
		     "\"method\":\"server.draining\"}",
	    "\"code\":-32601");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"lease."
		     "return\","
		     "\"params\":{\"lease\":9,\"reason\":\"returned\","
		     "\"x\":1}}",
	    "\"code\":-32602");
	ck_assert(visitor_got(&v, "\"field\":\"x\""));
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":\"lease.return\"}",
	    "\"code\":-32600");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}",
	    "\"code\":-32600");
	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

START_TEST(who_sends_only_rubbish_is_sent_away)
{
	agent_opens(&v, &world);
	for (int i = 0; i < 17; i++)
		agent_says(&v, "rubbish");
	ck_assert_uint_eq(agent_is_sent_away(&v), 1008);
	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

START_TEST(too_many_requests_at_once_are_sent_away)
{
	char request[128];

	agent_opens(&v, &world);
	for (int i = 1; i <= 257; i++) {
		snprintf(request, sizeof(request),
		    "{\"jsonrpc\":\"2.0\",\"id\":%d,"
		    "\"method\":\"lease.list\",\"params\":{}}",
		    i);
		agent_says(&v, request);
	}
	ck_assert_uint_eq(agent_is_sent_away(&v), 1013);
	for (int i = 1; i <= 256; i++)
		ledger_hears(&world, WIRE_REQUEST);
	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

START_TEST(a_notice_reaches_its_agent)
{
	struct lease_refused notice = { .lease = 5, .code = "gone" };
	struct buf out = { 0 };

	agent_opens(&v, &world);
	record_write_msgpack(&out, &lease_refused_record, &notice);
	ledger_sends(&world,
	    &(struct ipc_message){ .kind = WIRE_NOTICE,
		.op = OP_LEASE_REVOKED,
		.conn = world.heard.conn,
		.payload = out.data,
		.len = (uint32_t)out.len });
	ck_assert(agent_hears(&v));
	ck_assert_str_eq(v.text,
	    "{\"jsonrpc\":\"2.0\",\"method\":\"lease.revoked\","
	    "\"params\":{\"lease\":5,\"code\":\"gone\"}}");
	buf_release(&out);
	visitor_leave(&v);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

START_TEST(the_ledger_can_send_an_agent_away)
{
	agent_opens(&v, &world);
	ledger_sends(&world,
	    &(struct ipc_message){ .kind = WIRE_CLOSE,
		.op = 1008,
		.conn = world.heard.conn,
		.payload = (const uint8_t *)"device revoked",
		.len = 14 });
	ck_assert_uint_eq(agent_is_sent_away(&v), 1008);
	ck_assert_str_eq(v.text + 2, "device revoked");
	ledger_hears(&world, WIRE_CLOSED);
	visitor_leave(&v);
}
END_TEST

/* --- the end ------------------------------------------------------------- */

START_TEST(when_the_ledger_goes_everybody_is_told)
{
	static struct visitor agent;

	agent_opens(&agent, &world);
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/site", "", NULL);
	ledger_hears(&world, WIRE_CALL);
	close(world.ledger);
	world.ledger = -1;
	ck_assert_int_eq(visitor_hears(&v), 503);
	ck_assert(visitor_got(&v, "restarting"));
	ck_assert_uint_eq(agent_is_sent_away(&agent), 1012);
	ck_assert_int_eq(front_world_wait(&world), 1);
	visitor_leave(&v);
	visitor_leave(&agent);
}
END_TEST

START_TEST(a_stop_waits_for_the_answers_that_are_out)
{
	static struct visitor agent;
	struct site_view site = { .site = "here", SITE_REST };
	struct lease_ended ended = { .lease = 9 };
	struct ipc_message call;

	agent_opens(&agent, &world);
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/site", "", NULL);
	ledger_hears(&world, WIRE_CALL);
	call = world.heard;
	agent_says(&agent, RENEW("2"));
	ledger_hears(&world, WIRE_REQUEST);
	kill(world.pid, SIGTERM);
	ck_assert(agent_hears(&agent));
	ck_assert(visitor_got(&agent, "\"method\":\"server.draining\""));
	/* Nothing new any more, but what was asked is answered. */
	agent_says(&agent, RENEW("3"));
	ck_assert(agent_hears(&agent));
	ck_assert(visitor_got(&agent, "\"id\":3,\"error\""));
	ck_assert(visitor_got(&agent, "\"unavailable\""));
	ledger_replies(&world, &lease_ended_record, &ended);
	ck_assert(agent_hears(&agent));
	ck_assert(visitor_got(&agent, "\"id\":2,\"result\""));
	world.heard = call;
	ledger_replies(&world, &site_view_record, &site);
	ck_assert_int_eq(visitor_hears(&v), 200);
	ck_assert_uint_eq(agent_is_sent_away(&agent), 1001);
	visitor_leave(&agent);
	visitor_leave(&v);
	ck_assert_int_eq(front_world_wait(&world), 0);
}
END_TEST

START_TEST(a_stop_does_not_wait_for_ever)
{
	visitor_open(&v, &world);
	visitor_asks(&v, "GET", "/api/v1/site", "", NULL);
	ledger_hears(&world, WIRE_CALL);
	kill(world.pid, SIGTERM);
	ck_assert_int_eq(visitor_hears(&v), 503);
	visitor_leave(&v);
	ck_assert_int_eq(front_world_wait(&world), 0);
}
END_TEST

static long
serial_seen(void)
{
	visitor_open(&v, &world);
	X509 *certificate = SSL_get1_peer_certificate(v.ssl);
	long serial =
	    (long)X509_NAME_hash_ex(X509_get_subject_name(certificate), NULL,
		NULL, NULL);

	X509_free(certificate);
	visitor_leave(&v);
	return serial;
}

START_TEST(a_hangup_brings_the_new_certificate)
{
	struct pki_leaf leaf = pki_leaf_new(&world.ca, "renewed",
	    "DNS:localhost", "serverAuth", -60, 3600);
	long before = serial_seen();
	static struct visitor agent;

	agent_opens(&agent, &world);
	front_world_share(&world, &leaf);
	kill(world.pid, SIGHUP);
	long now = before;

	for (int i = 0; i < 100 && now == before; i++) {
		usleep(10000);
		now = serial_seen();
	}
	ck_assert_int_ne(now, before);
	/* Who was there stays. */
	agent_says(&agent, "rubbish");
	ck_assert(agent_hears(&agent));
	visitor_leave(&agent);
	ledger_hears(&world, WIRE_CLOSED);
	pki_leaf_release(&leaf);
}
END_TEST

START_TEST(who_does_not_prove_itself_is_sent_away)
{
	static struct visitor agent;
	struct prove_reply reply = { .device = 3, .name = "x", .renew_s = 60 };
	char proof[600];

	agent_opens(&agent, &world);
	uint64_t proved = world.heard.conn;

	snprintf(proof, sizeof(proof),
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.prove\","
	    "\"params\":{\"proof\":%s}}",
	    "{\"evidence\":\"AAAA\"}");
	agent_says(&agent, proof);
	ck_assert(agent_hears(&agent)); /* whatever a proof looks like */
	/* The ledger's word counts, not the agent's. */
	world.heard = (struct ipc_message){ .op = OP_SESSION_PROVE,
		.conn = proved,
		.tag = 1 };
	ledger_replies(&world, &prove_reply_record, &reply);
	ck_assert(agent_hears(&agent));
	ck_assert(visitor_got(&agent, "\"device\":3"));
	agent_opens(&v, &world);
	ck_assert_uint_eq(agent_is_sent_away(&v), 1008);
	ledger_hears(&world, WIRE_CLOSED);
	ck_assert_uint_ne(world.heard.conn, proved);
	ck_assert(ledger_hears_nothing(&world));
	visitor_leave(&v);
	visitor_leave(&agent);
	ledger_hears(&world, WIRE_CLOSED);
}
END_TEST

static TCase *
session_case(void)
{
	TCase *session = tcase_create("front-session");

	tcase_add_checked_fixture(session, setup, teardown);
	tcase_set_timeout(session, 30);
	tcase_add_test(session, an_agent_is_announced_with_its_exporter);
	tcase_add_test(session, a_request_and_its_reply_keep_their_id);
	tcase_add_test(session, a_refusal_has_its_code);
	tcase_add_test(session, broken_messages_get_json_rpcs_own_errors);
	tcase_add_test(session, who_sends_only_rubbish_is_sent_away);
	tcase_add_test(session, too_many_requests_at_once_are_sent_away);
	tcase_add_test(session, a_notice_reaches_its_agent);
	tcase_add_test(session, the_ledger_can_send_an_agent_away);
	tcase_add_test(session, when_the_ledger_goes_everybody_is_told);
	tcase_add_test(session, a_stop_waits_for_the_answers_that_are_out);
	tcase_add_test(session, a_stop_does_not_wait_for_ever);
	tcase_add_test(session, a_hangup_brings_the_new_certificate);
	return session;
}

Suite *
suite(void)
{
	Suite *front = suite_create("front-session");
	TCase *hasty = tcase_create("front-hasty");

	tcase_add_checked_fixture(hasty, setup_hasty, teardown);
	tcase_set_timeout(hasty, 30);
	tcase_add_test(hasty, who_does_not_prove_itself_is_sent_away);

	suite_add_tcase(front, session_case());
	suite_add_tcase(front, hasty);
	return front;
}
