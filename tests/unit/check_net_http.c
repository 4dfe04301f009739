/* shared/net: HTTP, spoken by hand so that nothing is polite by accident. */
#include "tests/unit/net_world.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

static struct net_world world;
static struct net_stranger s;

static void
setup(void)
{
	net_world_open(&world);
	net_stranger_join(&s, &world);
}

static void
teardown(void)
{
	net_stranger_leave(&s);
	net_world_close(&world);
}

/* How many answers with this status line have come? */
static int
answers(const char *status)
{
	int n = 0;

	net_stranger_read(&s);
	const char *at = buf_text(&s.got);

	while ((at = strstr(at, status)) != NULL) {
		n++;
		at += strlen(status);
	}
	return n;
}

START_TEST(a_request_is_taken_apart)
{
	net_stranger_say(&s, &world,
	    "GET /api/v1/leases/7?limit=10&product=a%26b%3Dc%20d&x HTTP/1.1\r\n"
	    "Host: site.example:7443\r\nAuthorization: Bearer abc\r\n"
	    "Idempotency-Key:  key-1 \r\nAccept: */*\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200 OK") == 1);
	ck_assert_str_eq(world.seen.method, "GET");
	ck_assert_str_eq(world.seen.path, "/api/v1/leases/7");
	ck_assert_str_eq(world.seen.query, "limit=10&product=a%26b%3Dc%20d&x");
	ck_assert_str_eq(world.seen.host, "site.example");
	ck_assert_str_eq(world.seen.authorization, "Bearer abc");
	ck_assert_str_eq(world.seen.key, "key-1");
	ck_assert_str_eq(world.seen.peer.address, "127.0.0.1");
	ck_assert(net_stranger_has(&s, "Server: leasehold\r\n"));
	ck_assert(net_stranger_has(&s, "X-Test: yes\r\n"));
	ck_assert(net_stranger_has(&s, "Content-Length: 0\r\n"));
	ck_assert(net_stranger_has(&s, " GMT\r\n"));
}
END_TEST

START_TEST(a_body_arrives_and_comes_back)
{
	net_stranger_say(&s, &world,
	    "POST /api/v1/joins HTTP/1.1\r\nHost: [::1]:7443\r\n"
	    "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n"
	    "{\"uses\":1}");
	NET_WAIT(&world, net_stranger_has(&s, "\r\n\r\n{\"uses\":1}"));
	ck_assert_str_eq(world.seen.method, "POST");
	ck_assert_str_eq(world.seen.content_type, "application/json");
	ck_assert_str_eq(buf_text(&world.seen.body), "{\"uses\":1}");
}
END_TEST

/* Many TLS records: what libwebsockets reads at once must not end a body. */
START_TEST(the_largest_body_arrives_whole)
{
	char head[160];
	char *bytes = malloc(NET_BODY_MAX);

	for (size_t i = 0; i < NET_BODY_MAX; i++)
		bytes[i] = (char)('a' + i % 26);
	snprintf(head, sizeof(head),
	    "PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
	    NET_BODY_MAX);
	net_stranger_say(&s, &world, head);
	net_stranger_write(&s, &world, bytes, NET_BODY_MAX);
	NET_WAIT(&world, world.seen.requests == 1);
	ck_assert_int_eq(world.seen.refusal, 0);
	ck_assert_uint_eq(world.seen.body.len, NET_BODY_MAX);
	ck_assert_mem_eq(world.seen.body.data, bytes, NET_BODY_MAX);
	NET_WAIT(&world,
	    (net_stranger_read(&s), s.got.len > NET_BODY_MAX + 100));
	ck_assert_mem_eq(s.got.data + s.got.len - 26, bytes + NET_BODY_MAX - 26,
	    26);
	free(bytes);
}
END_TEST

START_TEST(a_body_above_the_bound_gets_413_and_no_reset)
{
	char head[160];
	char *bytes = calloc(1, 200000);

	snprintf(head, sizeof(head),
	    "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
	    NET_BODY_MAX + 1);
	net_stranger_say(&s, &world, head);
	net_stranger_write(&s, &world, bytes, 200000);
	NET_WAIT(&world, answers("HTTP/1.1 413") == 1);
	ck_assert(net_stranger_has(&s, "Connection: close\r\n"));
	ck_assert_int_eq(world.seen.refusal, 413);
	ck_assert_uint_eq(world.seen.body.len, 0);
	/* Who goes on all the same is cut off after a while. */
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	free(bytes);
}
END_TEST

static void
expect_status(const char *request, const char *status)
{
	net_stranger_say(&s, &world, request);
	NET_WAIT(&world, (net_stranger_read(&s), s.got.len > 12));
	ck_assert_msg(net_stranger_has(&s, status), "answer is \"%.40s\"",
	    buf_text(&s.got));
}

START_TEST(a_chunked_body_gets_411)
{
	expect_status("POST /x HTTP/1.1\r\nHost: x\r\n"
		      "Transfer-Encoding: "
		      "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	    "HTTP/1.1 411");
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
}
END_TEST

START_TEST(chunks_beside_a_length_get_411)
{
	expect_status("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n",
	    "HTTP/1.1 411");
}
END_TEST

START_TEST(a_post_without_length_gets_411)
{
	expect_status("POST /x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 411");
}
END_TEST

START_TEST(a_length_that_is_no_number_gets_400)
{
	expect_status("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n"
		      "\r\n",
	    "HTTP/1.1 400");
}
END_TEST

START_TEST(two_lengths_get_400)
{
	expect_status("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
		      "Content-Length: 4\r\n\r\nabcd",
	    "HTTP/1.1 400");
}
END_TEST

START_TEST(http_1_1_without_a_host_gets_400)
{
	expect_status("GET /x HTTP/1.1\r\n\r\n", "HTTP/1.1 400");
}
END_TEST

/* What follows a refused body is no request, whatever it looks like. */
START_TEST(nothing_is_believed_after_a_refusal)
{
	struct buf bytes = { 0 };
	char *body = calloc(1, NET_BODY_MAX + 1);

	buf_printf(&bytes,
	    "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
	    NET_BODY_MAX + 1);
	buf_add(&bytes, body, NET_BODY_MAX + 1);
	buf_add_str(&bytes,
	    "POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
	    "GET /z HTTP/1.1\r\nHost: x\r\n\r\n");
	net_stranger_write(&s, &world, bytes.data, bytes.len);
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	ck_assert_int_eq(answers("HTTP/1.1 413"), 1);
	ck_assert_int_eq(world.seen.requests, 1);
	free(body);
	buf_release(&bytes);
}
END_TEST

START_TEST(an_empty_post_is_a_request)
{
	expect_status("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
		      "\r\n",
	    "HTTP/1.1 200");
	ck_assert_int_eq(world.seen.requests, 1);
}
END_TEST

START_TEST(an_empty_put_is_a_request)
{
	expect_status("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
		      "\r\n",
	    "HTTP/1.1 200");
	ck_assert_int_eq(world.seen.requests, 1);
}
END_TEST

START_TEST(a_connection_serves_two_requests)
{
	net_stranger_say(&s, &world, "GET /one HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	ck_assert_str_eq(world.seen.path, "/one");
	net_stranger_say(&s, &world,
	    "POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 2);
	ck_assert_str_eq(world.seen.path, "/two");
	net_stranger_say(&s, &world,
	    "DELETE /three HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 3);
	ck_assert_str_eq(world.seen.method, "DELETE");
	ck_assert_int_eq(world.seen.aborts, 0);
}
END_TEST

/* Whoever has the answer asks again at once: it may be there before
 * libwebsockets has had its turn. */
static void
ask_again(void)
{
	static const char next[] = "POST /next HTTP/1.1\r\nHost: x\r\n"
				   "Content-Length: 2\r\n\r\nhi";

	if (answers("HTTP/1.1 200") == world.seen.requests)
		ck_assert_int_eq(SSL_write(s.ssl, next, sizeof(next) - 1),
		    (int)sizeof(next) - 1);
}

START_TEST(a_quick_client_is_not_taken_for_a_pipelining_one)
{
	world.answered = ask_again;
	ask_again();
	for (int n = 1; n < 4; n++) {
		NET_WAIT(&world, answers("HTTP/1.1 200") >= n || s.ended);
		ck_assert(!s.ended);
		ask_again();
	}
	ck_assert_int_eq(world.seen.aborts, 0);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	net_stranger_say(&s, &world,
	    "POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
	    "GET /two HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 3);
	ck_assert_int_eq(world.seen.requests, 3);
	ck_assert_str_eq(world.seen.path, "/three");
}
END_TEST

/* libwebsockets would take the wrong bytes for it, and never end. */
static void
expect_end(const char *pipelined)
{
	net_stranger_say(&s, &world, pipelined);
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	ck_assert_int_eq(world.seen.requests, 1);
	ck_assert_int_eq(answers("HTTP/1.1 200"), 1);
}

START_TEST(a_pipelined_body_ends_the_connection)
{
	expect_end("GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
		   "POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		   "\r\nhi"
		   "GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
}
END_TEST

START_TEST(a_pipelined_body_behind_a_body_ends_the_connection)
{
	expect_end("PUT /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		   "\r\nhi"
		   "DELETE /two HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		   "\r\nhi");
}
END_TEST

START_TEST(a_pipelined_post_without_length_ends_the_connection)
{
	expect_end("GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
		   "POST /two HTTP/1.1\r\nHost: x\r\n\r\n"
		   "GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
}
END_TEST

static double
cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

START_TEST(an_answer_may_come_later_and_waiting_costs_nothing)
{
	world.hold = true;
	/* More bytes behind the request would make a naive loop spin. */
	net_stranger_say(&s, &world, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, world.seen.requests == 1);
	net_conn conn = world.seen.conn;

	net_stranger_say(&s, &world, "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	double before = cpu_s();
	const struct timeval second = { .tv_sec = 1 };

	event_base_loopexit(world.base, &second);
	event_base_dispatch(world.base);
	ck_assert_double_lt(cpu_s() - before, 0.1);
	ck_assert_int_eq(world.seen.requests, 1);
	world.hold = false;
	ck_assert_int_eq(net_reply(world.server, conn, 201, NULL, NULL, "made",
			     4),
	    0);
	ck_assert_int_eq(net_reply(world.server, conn, 201, NULL, NULL, "twice",
			     5),
	    ERR_CLOSED);
	NET_WAIT(&world, answers("HTTP/1.1 201 Created") == 1);
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	ck_assert_str_eq(world.seen.path, "/next");
}
END_TEST

START_TEST(who_does_not_read_a_long_answer_costs_nothing)
{
	struct net_stranger slow;
	const struct timeval second = { .tv_sec = 1 };

	world.reply_bytes = 8 << 20;
	net_stranger_open(&slow, &world, TLS1_3_VERSION, 65536);
	ck_assert(net_stranger_greet(&slow, &world));
	net_stranger_say(&slow, &world,
	    "GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, world.seen.requests == 1);
	net_stranger_say(&slow, &world,
	    "GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	/* Not at all, and then a little at a time. */
	for (int i = 0; i < 3; i++) {
		NET_UNTIL(&world, false, 50);
		double before = cpu_s();

		event_base_loopexit(world.base, &second);
		event_base_dispatch(world.base);
		ck_assert_double_lt(cpu_s() - before, 0.1);
		ck_assert_int_eq(world.seen.requests, 1);
		char bytes[100000];

		for (int n = 0; n < 10; n++)
			SSL_read(slow.ssl, bytes, sizeof(bytes));
	}
	world.reply_bytes = 0;
	/* Others are served meanwhile. */
	net_stranger_say(&s, &world, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	/* And when he reads at last, all of it is there, and the next. */
	NET_WAIT(&world,
	    (net_stranger_read(&slow),
		slow.got.len > 150 &&
		    strstr(buf_text(&slow.got) + slow.got.len - 150,
			"X-Test") != NULL));
	ck_assert_uint_gt(slow.got.len, (8 << 20) - 3000000);
	ck_assert_int_eq(world.seen.requests, 3);
	ck_assert_int_eq(world.seen.aborts, 0);
	net_stranger_leave(&slow);
}
END_TEST

START_TEST(who_leaves_before_the_answer_is_noticed)
{
	world.hold = true;
	net_stranger_say(&s, &world, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, world.seen.requests == 1);
	net_conn conn = world.seen.conn;

	net_close(world.server, conn, 0, NULL);
	NET_WAIT(&world, world.seen.aborts == 1);
	ck_assert_int_eq(net_reply(world.server, conn, 200, NULL, NULL, "x", 1),
	    ERR_CLOSED);
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
}
END_TEST

START_TEST(head_has_no_body_but_its_length)
{
	world.reply_bytes = 77;
	net_stranger_say(&s, &world, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, net_stranger_has(&s, "Content-Length: 77\r\n"));
	NET_WAIT(&world, net_stranger_has(&s, "\r\n\r\n"));
	NET_UNTIL(&world, false, 50);
	net_stranger_read(&s);
	ck_assert_mem_eq(s.got.data + s.got.len - 4, "\r\n\r\n", 4);
}
END_TEST

START_TEST(http_1_0_ends_after_the_answer)
{
	net_stranger_say(&s, &world, "GET /x HTTP/1.0\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	ck_assert(net_stranger_has(&s, "Connection: close\r\n"));
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
}
END_TEST

START_TEST(connection_close_ends_after_the_answer)
{
	world.reply_bytes = 300000;
	net_stranger_say(&s, &world,
	    "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	ck_assert_uint_gt(s.got.len, 300000);
}
END_TEST

START_TEST(expect_continue_is_told_to_go_on)
{
	net_stranger_say(&s, &world,
	    "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
	    "Expect: 100-continue\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 100 Continue\r\n\r\n") == 1);
	net_stranger_say(&s, &world, "ok");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	ck_assert_str_eq(buf_text(&world.seen.body), "ok");
}
END_TEST

/* On a connection kept alive, libwebsockets looks at freed memory here. */
START_TEST(an_unknown_upgrade_after_a_request_is_harmless)
{
	net_stranger_say(&s, &world, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	net_stranger_say(&s, &world,
	    "GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: foo\r\n"
	    "Connection: Upgrade\r\n\r\n");
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	ck_assert_int_eq(world.seen.requests, 1);
}
END_TEST

START_TEST(a_pipelined_upgrade_ends_the_connection)
{
	expect_end(
	    "GET /one HTTP/1.1\r\nHost: x\r\n\r\n" NET_UPGRADE NET_PROTOCOL
	    "\r\n\x81\x80\0\0\0\0");
	ck_assert_int_eq(world.seen.opened, 0);
}
END_TEST

/* Before TLS, before a request, within its head, within its body, and between
 * two: nobody holds a connection by saying nothing. */
START_TEST(who_stops_talking_is_cut_off)
{
	struct net_stranger head, half, between;
	int mute = net_dial(world.port, 0);
	char byte;

	net_stranger_join(&head, &world);
	net_stranger_say(&head, &world, "GET /x HTTP/1.1\r\nHost");
	net_stranger_join(&half, &world);
	net_stranger_say(&half, &world,
	    "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
	net_stranger_join(&between, &world);
	net_stranger_say(&between, &world,
	    "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_UNTIL(&world, net_connections(world.server) == 1, 15000);
	/* Only the one that has spoken may wait longer. */
	ck_assert_uint_eq(net_connections(world.server), 1);
	ck_assert_int_eq(recv(mute, &byte, 1, 0), 0);
	ck_assert(net_stranger_has(&between, "HTTP/1.1 200"));
	ck_assert(!between.ended);
	net_stranger_leave(&head);
	net_stranger_leave(&half);
	net_stranger_leave(&between);
	close(mute);
}
END_TEST

START_TEST(connect_makes_no_tunnel)
{
	net_stranger_say(&s, &world, "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	ck_assert_uint_eq(net_connections(world.server), 0);
}
END_TEST

START_TEST(a_nul_in_the_path_gets_400)
{
	net_stranger_say(&s, &world,
	    "GET /api/%00/v1 HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, (net_stranger_read(&s), s.ended || s.got.len > 12));
	ck_assert_int_eq(answers("HTTP/1.1 200"), 0);
}
END_TEST

START_TEST(random_bytes_do_no_harm)
{
	uint32_t x = 12345;

	for (int round = 0; round < 60; round++) {
		struct net_stranger one;
		char bytes[700];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			x = x * 1664525 + 1013904223;
			bytes[i] = (char)(x >> 24);
		}
		memcpy(bytes, round % 2 ? "GET /" : "POST /a?b=", 5);
		net_stranger_join(&one, &world);
		net_stranger_write(&one, &world, bytes, sizeof(bytes));
		net_world_turn(&world);
		net_stranger_leave(&one);
	}
	net_stranger_say(&s, &world, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	NET_WAIT(&world, answers("HTTP/1.1 200") == 1);
	NET_WAIT(&world, net_connections(world.server) == 1);
}
END_TEST

Suite *
suite(void)
{
	Suite *net = suite_create("net-http");
	TCase *http = tcase_create("net-http");

	tcase_add_checked_fixture(http, setup, teardown);
	tcase_set_timeout(http, 30);
	tcase_add_test(http, a_request_is_taken_apart);
	tcase_add_test(http, a_body_arrives_and_comes_back);
	tcase_add_test(http, the_largest_body_arrives_whole);
	tcase_add_test(http, a_body_above_the_bound_gets_413_and_no_reset);
	tcase_add_test(http, a_chunked_body_gets_411);
	tcase_add_test(http, chunks_beside_a_length_get_411);
	tcase_add_test(http, a_post_without_length_gets_411);
	tcase_add_test(http, a_length_that_is_no_number_gets_400);
	tcase_add_test(http, two_lengths_get_400);
	tcase_add_test(http, http_1_1_without_a_host_gets_400);
	tcase_add_test(http, nothing_is_believed_after_a_refusal);
	tcase_add_test(http, an_empty_post_is_a_request);
	tcase_add_test(http, an_empty_put_is_a_request);
	tcase_add_test(http, a_connection_serves_two_requests);
	tcase_add_test(http, a_quick_client_is_not_taken_for_a_pipelining_one);
	tcase_add_test(http, pipelined_requests_are_answered_in_order);
	tcase_add_test(http, a_pipelined_body_ends_the_connection);
	tcase_add_test(http,
	    a_pipelined_body_behind_a_body_ends_the_connection);
	tcase_add_test(http,
	    a_pipelined_post_without_length_ends_the_connection);
	tcase_add_test(http,
	    an_answer_may_come_later_and_waiting_costs_nothing);
	tcase_add_test(http, who_does_not_read_a_long_answer_costs_nothing);
	tcase_add_test(http, who_leaves_before_the_answer_is_noticed);
	tcase_add_test(http, head_has_no_body_but_its_length);
	tcase_add_test(http, http_1_0_ends_after_the_answer);
	tcase_add_test(http, connection_close_ends_after_the_answer);
	tcase_add_test(http, expect_continue_is_told_to_go_on);
	tcase_add_test(http, an_unknown_upgrade_after_a_request_is_harmless);
	tcase_add_test(http, a_pipelined_upgrade_ends_the_connection);
	tcase_add_test(http, who_stops_talking_is_cut_off);
	tcase_add_test(http, connect_makes_no_tunnel);
	tcase_add_test(http, a_nul_in_the_path_gets_400);
	tcase_add_test(http, random_bytes_do_no_harm);
	suite_add_tcase(net, http);
	return net;
}
