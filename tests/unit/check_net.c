/* shared/net: WebSockets, both ends in one process. */
#include "tests/unit/net_world.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

static struct net_world world;

static void
setup(void)
{
	net_world_open(&world);
}

static void
teardown(void)
{
	net_world_close(&world);
}

/* --- WebSockets ---------------------------------------------------------- */

static void
expect_upgrade_refused(const char *request, const char *status)
{
	struct net_stranger s;

	net_stranger_join(&s, &world);
	net_stranger_say(&s, &world, request);
	NET_WAIT(&world, net_stranger_has(&s, "\r\n\r\n"));
	ck_assert_msg(net_stranger_has(&s, status), "answer is \"%s\"",
	    buf_text(&s.got));
	NET_WAIT(&world, (net_stranger_read(&s), s.ended));
	ck_assert_int_eq(world.seen.opened, 0);
	net_stranger_leave(&s);
}

START_TEST(an_upgrade_with_an_origin_is_refused)
{
	expect_upgrade_refused(NET_UPGRADE NET_PROTOCOL
	    "Origin: https://evil.example\r\n\r\n",
	    "HTTP/1.1 403");
}
END_TEST

START_TEST(an_upgrade_without_a_subprotocol_is_refused)
{
	expect_upgrade_refused(NET_UPGRADE "\r\n", "HTTP/1.1 400");
}
END_TEST

START_TEST(an_upgrade_that_names_the_first_protocol_is_refused)
{
	expect_upgrade_refused(NET_UPGRADE
	    "Sec-WebSocket-Protocol: http\r\n\r\n",
	    "HTTP/1.1 400");
}
END_TEST

START_TEST(an_upgrade_elsewhere_is_refused)
{
	expect_upgrade_refused("GET /other HTTP/1.1\r\nHost: x\r\nUpgrade: "
			       "websocket\r\n"
			       "Connection: Upgrade\r\nSec-WebSocket-Version: "
			       "13\r\n"
			       "Sec-WebSocket-Key: "
			       "dGhlIHNhbXBsZSBub25jZQ==\r\n" NET_PROTOCOL
			       "\r\n",
	    "HTTP/1.1 404");
}
END_TEST

START_TEST(an_upgrade_to_http2_is_refused)
{
	expect_upgrade_refused("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n"
			       "Connection: Upgrade, HTTP2-Settings\r\n"
			       "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	    "HTTP/1.1 400");
}
END_TEST

START_TEST(a_good_upgrade_by_hand_is_taken)
{
	struct net_stranger s;

	net_stranger_join(&s, &world);
	net_stranger_say(&s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
	NET_WAIT(&world, net_stranger_has(&s, "\r\n\r\n"));
	ck_assert(net_stranger_has(&s, "HTTP/1.1 101"));
	ck_assert(net_stranger_has(&s, "leasehold.v1"));
	/* RFC 6455, section 1.3: the answer to this very key. */
	ck_assert(net_stranger_has(&s, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	NET_WAIT(&world, world.seen.opened == 1);
	net_stranger_leave(&s);
	NET_WAIT(&world, world.seen.closed == 1);
}
END_TEST

START_TEST(messages_go_both_ways)
{
	net_conn conn = net_world_join(&world);

	world.echo = true;
	ck_assert_int_eq(net_send(world.client, conn, "{\"a\":1}", 7), 0);
	NET_WAIT(&world, world.felt.messages == 1);
	ck_assert_str_eq(buf_text(&world.felt.message), "{\"a\":1}");
}
END_TEST

START_TEST(the_largest_message_arrives_whole)
{
	net_conn conn = net_world_join(&world);
	uint8_t *bytes = malloc(NET_MESSAGE_MAX + 1);

	world.echo = true;
	for (size_t i = 0; i <= NET_MESSAGE_MAX; i++)
		bytes[i] = (uint8_t)('a' + i % 26);
	ck_assert_int_eq(net_send(world.client, conn, bytes, NET_MESSAGE_MAX),
	    0);
	NET_WAIT(&world, world.felt.messages == 1);
	ck_assert_uint_eq(world.felt.message.len, NET_MESSAGE_MAX);
	ck_assert_mem_eq(world.felt.message.data, bytes, NET_MESSAGE_MAX);
	ck_assert_int_eq(net_send(world.client, conn, bytes,
			     NET_MESSAGE_MAX + 1),
	    ERR_TOO_LARGE);
	free(bytes);
}
END_TEST

/* Frames of a client are masked; a mask of zeros leaves the bytes. */
static void
add_frame(struct buf *out, uint8_t first, const void *data, size_t len)
{
	buf_add_byte(out, first);
	if (len < 126) {
		buf_add_byte(out, (uint8_t)(0x80 | len));
	} else if (len < 65536) {
		buf_add_byte(out, 0x80 | 126);
		buf_add_be16(out, (uint16_t)len);
	} else {
		buf_add_byte(out, 0x80 | 127);
		buf_add_be64(out, len);
	}
	buf_add_be32(out, 0);
	buf_add(out, data, len);
}

static void
join_by_hand(struct net_stranger *s)
{
	net_stranger_join(s, &world);
	net_stranger_say(s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
	NET_WAIT(&world, world.seen.opened == 1);
	NET_WAIT(&world, net_stranger_has(s, "\r\n\r\n"));
	buf_clear(&s->got);
}

START_TEST(a_fragmented_message_is_put_together)
{
	struct net_stranger s;
	struct buf frames = { 0 };
	char *middle = malloc(5000);

	memset(middle, 'm', 5000);
	join_by_hand(&s);
	add_frame(&frames, 0x01, "one ", 4);
	add_frame(&frames, 0x00, middle, 5000);
	add_frame(&frames, 0x89, "ping", 4); /* may stand in between */
	add_frame(&frames, 0x80, " three", 6);
	net_stranger_write(&s, &world, frames.data, frames.len);
	NET_WAIT(&world, world.seen.messages == 1);
	ck_assert_uint_eq(world.seen.message.len, 5010);
	ck_assert_mem_eq(world.seen.message.data, "one m", 5);
	ck_assert_mem_eq(world.seen.message.data + 5003, "m three", 7);
	buf_release(&frames);
	free(middle);
	net_stranger_leave(&s);
}
END_TEST

START_TEST(a_message_right_behind_the_upgrade_is_heard)
{
	struct net_stranger s;
	struct buf bytes = { 0 };

	net_stranger_join(&s, &world);
	buf_add_str(&bytes, NET_UPGRADE NET_PROTOCOL "\r\n");
	add_frame(&bytes, 0x81, "early", 5);
	add_frame(&bytes, 0x81, "bird", 4);
	net_stranger_write(&s, &world, bytes.data, bytes.len);
	NET_WAIT(&world, world.seen.messages == 2);
	ck_assert_str_eq(buf_text(&world.seen.message), "bird");
	buf_release(&bytes);
	net_stranger_leave(&s);
}
END_TEST

static unsigned int
close_code(struct net_stranger *s)
{
	net_stranger_read(s);
	if (s->got.len < 4 || s->got.data[0] != 0x88)
		return 0;
	return (unsigned int)(s->got.data[2] << 8 | s->got.data[3]);
}

START_TEST(a_message_above_the_bound_closes_1009)
{
	struct net_stranger s;
	struct buf frames = { 0 };
	size_t len = NET_MESSAGE_MAX + 1;
	char *bytes = malloc(len);

	memset(bytes, 'b', len);
	join_by_hand(&s);
	add_frame(&frames, 0x81, bytes, len);
	net_stranger_write(&s, &world, frames.data, frames.len);
	NET_WAIT(&world, close_code(&s) == 1009);
	ck_assert_int_eq(world.seen.messages, 0);
	net_stranger_leave(&s);
	NET_WAIT(&world, world.seen.closed == 1);
	buf_release(&frames);
	free(bytes);
}
END_TEST

START_TEST(fragments_above_the_bound_close_1009)
{
	struct net_stranger s;
	struct buf frames = { 0 };
	size_t len = NET_MESSAGE_MAX / 2 + 1;
	char *bytes = malloc(len);

	memset(bytes, 'b', len);
	join_by_hand(&s);
	add_frame(&frames, 0x01, bytes, len);
	add_frame(&frames, 0x80, bytes, len);
	net_stranger_write(&s, &world, frames.data, frames.len);
	NET_WAIT(&world, close_code(&s) == 1009);
	ck_assert_int_eq(world.seen.messages, 0);
	net_stranger_leave(&s);
	buf_release(&frames);
	free(bytes);
}
END_TEST

START_TEST(a_binary_message_closes_1003)
{
	struct net_stranger s;
	struct buf frames = { 0 };

	join_by_hand(&s);
	add_frame(&frames, 0x82, "\1\2\3", 3);
	net_stranger_write(&s, &world, frames.data, frames.len);
	NET_WAIT(&world, close_code(&s) == 1003);
	ck_assert_int_eq(world.seen.messages, 0);
	net_stranger_leave(&s);
	buf_release(&frames);
}
END_TEST

START_TEST(a_slow_reader_is_dropped)
{
	struct net_stranger s;
	char *bytes = malloc(32768);
	int err = 0;
	size_t sent = 0;

	memset(bytes, 's', 32768);
	net_stranger_open(&s, &world, TLS1_3_VERSION, 4096);
	ck_assert(net_stranger_greet(&s, &world));
	net_stranger_say(&s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
	NET_WAIT(&world, world.seen.opened == 1);
	/* Whatever the kernel takes, the queue has an end. */
	for (int i = 0; i < 1000 && err == 0; i++) {
		err = net_send(world.server, world.seen.conn, bytes, 32768);
		sent += 32768;
		net_world_turn(&world);
	}
	ck_assert_int_eq(err, ERR_FULL);
	ck_assert_uint_gt(sent, NET_QUEUE_MAX);
	ck_assert_int_eq(net_send(world.server, world.seen.conn, bytes, 10),
	    ERR_CLOSED);
	NET_WAIT(&world, world.seen.closed == 1);
	ck_assert_uint_eq(net_connections(world.server), 0);
	net_stranger_leave(&s);
	free(bytes);
}
END_TEST

static void
send_from_a_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	ck_assert_int_eq(net_send(world.server, world.seen.conn, "tick", 4), 0);
}

START_TEST(a_message_sent_from_another_event_is_delivered)
{
	const struct timeval soon = { .tv_usec = 20000 };

	net_world_join(&world);
	event_base_once(world.base, -1, EV_TIMEOUT, send_from_a_timer, NULL,
	    &soon);
	NET_WAIT(&world, world.felt.messages == 1);
	ck_assert_str_eq(buf_text(&world.felt.message), "tick");
}
END_TEST

START_TEST(what_is_queued_goes_out_before_a_close)
{
	char *bytes = malloc(60000);

	memset(bytes, 'q', 60000);
	net_world_join(&world);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(net_send(world.server, world.seen.conn, bytes,
				     60000),
		    0);
	net_close(world.server, world.seen.conn, 1012, "restarting");
	ck_assert_int_eq(net_send(world.server, world.seen.conn, "x", 1),
	    ERR_CLOSED);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.messages, 4);
	ck_assert_msg(strstr(world.felt.reason, "restarting") != NULL,
	    "reason is %s", world.felt.reason);
	NET_WAIT(&world, world.seen.closed == 1);
	free(bytes);
}
END_TEST

START_TEST(a_client_can_hang_up)
{
	net_conn conn = net_world_join(&world);

	net_close(world.client, conn, 1000, "done");
	NET_WAIT(&world, world.seen.closed == 1 && world.felt.closed == 1);
	ck_assert_uint_eq(net_connections(world.client), 0);
}
END_TEST

START_TEST(a_stale_name_hits_nothing)
{
	net_conn conn = net_world_join(&world);
	net_conn old = world.seen.conn;

	net_close(world.client, conn, 1000, NULL);
	NET_WAIT(&world, world.seen.closed == 1 && world.felt.closed == 1);
	world.felt.opened = world.seen.opened = 0;
	net_world_join(&world);
	ck_assert_uint_ne(world.seen.conn, old);
	ck_assert_int_eq(net_send(world.server, old, "x", 1), ERR_CLOSED);
	net_close(world.server, old, 1000, NULL);
	ck_assert_int_eq(net_send(world.server, 0, "x", 1), ERR_CLOSED);
	ck_assert_int_eq(net_send(world.server, world.seen.conn, "y", 1), 0);
	NET_WAIT(&world, world.felt.messages == 1);
}
END_TEST

START_TEST(no_server_is_said_once)
{
	uint16_t port;

	close(net_listen(&port));
	world.port = port;
	net_world_connect(&world, "127.0.0.1", world.ca.pem, NULL);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_ptr_nonnull(strstr(world.felt.reason, "cannot connect"));
	NET_UNTIL(&world, world.felt.closed > 1, 100);
	ck_assert_int_eq(world.felt.closed, 1);
	ck_assert_uint_eq(net_connections(world.client), 0);
}
END_TEST

START_TEST(an_answer_that_is_no_upgrade_is_said)
{
	const struct net_client_options options = {
		.host = "localhost",
		.port = world.port,
		.path = "/elsewhere",
		.protocol = "leasehold.v1",
		.ca_pem = world.ca.pem,
		.connect_timeout_s = 5,
	};
	net_conn conn;

	ck_assert_int_eq(net_connect(&conn, world.client, &options,
			     &net_world_client, &world),
	    0);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
	ck_assert_msg(strstr(world.felt.reason, "refuses") != NULL,
	    "reason is \"%s\"", world.felt.reason);
}
END_TEST

/* An agent tries again for weeks. */
START_TEST(attempts_that_fail_leave_nothing_behind)
{
	uint16_t port;

	close(net_listen(&port));
	world.port = port;
	int before = dup(0);

	close(before);
	for (int i = 0; i < 300; i++) {
		world.felt.closed = 0;
		net_world_connect(&world, "localhost", world.ca.pem, NULL);
		NET_WAIT(&world, world.felt.closed == 1);
	}
	ck_assert_uint_eq(net_connections(world.client), 0);
	int after = dup(0);

	close(after);
	ck_assert_int_le(after, before + 1);
}
END_TEST

START_TEST(an_unknown_name_is_said_once)
{
	net_world_connect(&world, "no-such-host.invalid", world.ca.pem, NULL);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_ptr_nonnull(strstr(world.felt.reason, "cannot find"));
}
END_TEST

START_TEST(a_silent_server_times_out)
{
	uint16_t port;
	int fd = net_listen(&port);
	const struct net_client_options options = {
		.host = "127.0.0.1",
		.port = port,
		.path = "/agent/v1",
		.protocol = "leasehold.v1",
		.ca_pem = world.ca.pem,
		.connect_timeout_s = 1,
	};
	net_conn conn;

	ck_assert_int_eq(net_connect(&conn, world.client, &options,
			     &net_world_client, &world),
	    0);
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_ptr_nonnull(strstr(world.felt.reason, "in time"));
	close(fd);
}
END_TEST

START_TEST(a_connection_can_be_given_up_before_it_is_there)
{
	net_conn conn =
	    net_world_connect(&world, "localhost", world.ca.pem, NULL);

	net_close(world.client, conn, 1000, "changed my mind");
	NET_WAIT(&world, world.felt.closed == 1);
	ck_assert_int_eq(world.felt.opened, 0);
}
END_TEST

START_TEST(accepting_stops_at_the_limit_and_resumes)
{
	struct net_stranger s[4];

	net_free(world.server);
	struct pki_leaf leaf = world.leaf;
	struct net *client = world.client;
	struct event_base *base = world.base;

	net_world_open_with(&world, leaf, NULL, 3);
	net_free(client);
	event_base_free(base);
	/* Strangers would make room for each other. */
	int before = world.seen.opened;

	for (int i = 0; i < 3; i++) {
		net_stranger_join(&s[i], &world);
		net_stranger_say(&s[i], &world,
		    NET_UPGRADE NET_PROTOCOL "\r\n");
		NET_WAIT(&world, world.seen.opened > before + i);
		net_trust(world.server, world.seen.conn);
	}
	net_stranger_open(&s[3], &world, TLS1_3_VERSION, 0);
	SSL_do_handshake(s[3].ssl);
	NET_UNTIL(&world, net_connections(world.server) > 3, 200);
	ck_assert_uint_eq(net_connections(world.server), 3);
	net_stranger_leave(&s[0]);
	ck_assert(net_stranger_greet(&s[3], &world));
	for (int i = 1; i < 4; i++)
		net_stranger_leave(&s[i]);
}
END_TEST

START_TEST(nobody_is_accepted_after_stopping)
{
	int fd;

	net_world_join(&world);
	net_stop_accepting(world.server);
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(world.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_ne(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	close(fd);
	world.echo = true;
	ck_assert_int_eq(net_send(world.client, world.felt.conn, "still", 5),
	    0);
	NET_WAIT(&world, world.felt.messages == 1);
}
END_TEST

START_TEST(a_waiting_loop_sleeps)
{
	net_world_join(&world);
	NET_UNTIL(&world, false, 100);
	struct timespec before, after;
	const struct timeval second = { .tv_sec = 1 };

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	event_base_loopexit(world.base, &second);
	event_base_dispatch(world.base);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	double used = (double)(after.tv_sec - before.tv_sec) +
	    1e-9 * (double)(after.tv_nsec - before.tv_nsec);

	ck_assert_double_lt(used, 0.1);
}
END_TEST

static TCase *
socket_case(void)
{
	TCase *ws = tcase_create("net");

	tcase_add_checked_fixture(ws, setup, teardown);
	tcase_set_timeout(ws, 30);
	tcase_add_test(ws, an_upgrade_with_an_origin_is_refused);
	tcase_add_test(ws, an_upgrade_without_a_subprotocol_is_refused);
	tcase_add_test(ws, an_upgrade_that_names_the_first_protocol_is_refused);
	tcase_add_test(ws, an_upgrade_elsewhere_is_refused);
	tcase_add_test(ws, an_upgrade_to_http2_is_refused);
	tcase_add_test(ws, a_good_upgrade_by_hand_is_taken);
	tcase_add_test(ws, messages_go_both_ways);
	tcase_add_test(ws, the_largest_message_arrives_whole);
	tcase_add_test(ws, a_fragmented_message_is_put_together);
	tcase_add_test(ws, a_message_right_behind_the_upgrade_is_heard);
	tcase_add_test(ws, a_message_above_the_bound_closes_1009);
	tcase_add_test(ws, fragments_above_the_bound_close_1009);
	tcase_add_test(ws, a_binary_message_closes_1003);
	tcase_add_test(ws, a_slow_reader_is_dropped);
	tcase_add_test(ws, a_message_sent_from_another_event_is_delivered);
	tcase_add_test(ws, what_is_queued_goes_out_before_a_close);
	tcase_add_test(ws, a_client_can_hang_up);
	tcase_add_test(ws, a_stale_name_hits_nothing);
	tcase_add_test(ws, no_server_is_said_once);
	tcase_add_test(ws, an_answer_that_is_no_upgrade_is_said);
	tcase_add_test(ws, attempts_that_fail_leave_nothing_behind);
	tcase_add_test(ws, an_unknown_name_is_said_once);
	tcase_add_test(ws, a_silent_server_times_out);
	tcase_add_test(ws, a_connection_can_be_given_up_before_it_is_there);
	tcase_add_test(ws, accepting_stops_at_the_limit_and_resumes);
	tcase_add_test(ws, nobody_is_accepted_after_stopping);
	tcase_add_test(ws, a_waiting_loop_sleeps);
	return ws;
}

Suite *
suite(void)
{
	Suite *net = suite_create("net");

	suite_add_tcase(net, socket_case());
	return net;
}
