/* Messages between processes: framing, order, back-pressure, ends. */
#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"
#include "shared/ipc/ipc.h"
#include "tests/unit/suite.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
	struct ipc *ipc;
	struct event_base *base;
	int messages;
	int closed;
	int stop_at; /* break the loop after so many */
	int pause_at; /* pause at that one */
	bool free_on_message;
	bool free_on_close;
	bool echo;
	uint64_t next_tag; /* tags must arrive in order */
	uint64_t bytes;
};

static struct event_base *base;
static int fds[2];

static void
setup(void)
{
	log_open("check", LOG_ERROR + 1, 0);
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     fds),
	    0);
}

static void
teardown(void)
{
	event_base_free(base);
}

static void
on_message(void *ctx, const struct ipc_message *message)
{
	struct side *side = ctx;

	ck_assert_uint_eq(message->tag, side->next_tag);
	side->next_tag++;
	for (uint32_t i = 0; i < message->len; i += 997)
		ck_assert_uint_eq(message->payload[i],
		    (uint8_t)(message->tag + i));
	side->messages++;
	side->bytes += message->len;
	if (side->echo)
		ck_assert_int_eq(ipc_send(side->ipc, message), 0);
	if (side->messages == side->pause_at)
		ipc_pause(side->ipc);
	if (side->messages == side->stop_at)
		event_base_loopbreak(side->base);
	if (side->free_on_message) {
		ipc_free(side->ipc);
		side->ipc = NULL;
		event_base_loopbreak(side->base);
	}
}

static void
on_closed(void *ctx)
{
	struct side *side = ctx;

	side->closed++;
	if (side->free_on_close) {
		ipc_free(side->ipc);
		side->ipc = NULL;
	}
	event_base_loopbreak(side->base);
}

static const struct ipc_callbacks callbacks = { on_message, on_closed };

static void
side_open(struct side *side, int fd)
{
	side->base = base;
	side->ipc = ipc_new(base, fd, &callbacks, side);
	ck_assert_ptr_nonnull(side->ipc);
}

static int
send_one(struct ipc *ipc, uint64_t tag, uint32_t len)
{
	uint8_t *payload = malloc(len + 1);

	ck_assert_ptr_nonnull(payload);
	for (uint32_t i = 0; i < len; i++)
		payload[i] = (uint8_t)(tag + i);
	struct ipc_message message = { .kind = 3,
		.op = 4,
		.conn = 5,
		.tag = tag,
		.payload = payload,
		.len = len };
	int err = ipc_send(ipc, &message);

	free(payload);
	return err;
}

static void
run_until_closed_or_broken(void)
{
	struct timeval limit = { 20, 0 };

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	ck_assert(event_base_got_break(base));
}

/* Turns of the loop that find something to do, without waiting for more. */
static void
turn(int n)
{
	for (int i = 0; i < n; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

START_TEST(messages_arrive_whole_and_in_order)
{
	static const uint32_t sizes[] = { 0, 1, 100, 300000, 23,
		IPC_PAYLOAD_MAX, 65536, IPC_PAYLOAD_MAX, 7 };
	const int n = sizeof(sizes) / sizeof(sizes[0]);
	struct side a = { .stop_at = n };
	struct side b = { .echo = true };
	uint64_t bytes = 0;

	side_open(&a, fds[0]);
	side_open(&b, fds[1]);
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(send_one(a.ipc, (uint64_t)i, sizes[i]), 0);
		bytes += sizes[i];
	}
	run_until_closed_or_broken();
	ck_assert_int_eq(a.messages, n);
	ck_assert_uint_eq(a.bytes, bytes);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
	ipc_free(a.ipc);
	ipc_free(b.ipc);
	ipc_free(NULL);
}
END_TEST

START_TEST(a_header_is_24_bytes_big_endian)
{
	static const uint8_t expected[26] = { 0, 0, 0, 2, 0, 3, 0, 4, 0, 0, 0,
		0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x61, 0x61, 0x62 };
	struct side a = { 0 };
	uint8_t got[64];

	side_open(&a, fds[0]);
	ck_assert_int_eq(send_one(a.ipc, 0x61, 2), 0);
	ck_assert_uint_eq(ipc_queued(a.ipc), 26);
	turn(1);
	ck_assert_int_eq(read(fds[1], got, sizeof(got)), 26);
	ck_assert_mem_eq(got, expected, 26);
	ipc_free(a.ipc);
	close(fds[1]);
}
END_TEST

/* With a datagram socket each read is one write. */
START_TEST(a_turn_of_the_loop_writes_once)
{
	struct side a = { 0 };
	uint8_t got[65536];

	close(fds[0]);
	close(fds[1]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     fds),
	    0);
	side_open(&a, fds[0]);
	for (uint64_t i = 0; i < 300; i++)
		ck_assert_int_eq(send_one(a.ipc, i, 100), 0);
	turn(1);
	ck_assert_int_eq(read(fds[1], got, sizeof(got)), 300 * 124);
	ipc_free(a.ipc);
	close(fds[1]);
}
END_TEST

START_TEST(bytes_that_drip_make_the_same_message)
{
	struct side a = { 0 };
	uint8_t bytes[2 * 34] = { 0 };

	for (int m = 0; m < 2; m++) {
		uint8_t *p = bytes + 34 * m;

		be32_write(p, 10);
		be64_write(p + 16, (uint64_t)m);
		for (int i = 0; i < 10; i++)
			p[24 + i] = (uint8_t)(m + i);
	}
	side_open(&a, fds[0]);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		ck_assert_int_eq(a.messages, i < 34 ? 0 : 1);
		ck_assert_int_eq(write(fds[1], bytes + i, 1), 1);
		turn(1);
	}
	ck_assert_int_eq(a.messages, 2);
	ipc_free(a.ipc);
	close(fds[1]);
}
END_TEST

START_TEST(a_peer_that_announces_too_much_is_closed)
{
	struct side a = { .free_on_close = true };
	uint8_t header[24] = { 0 };

	be32_write(header, IPC_PAYLOAD_MAX + 1);
	side_open(&a, fds[0]);
	ck_assert_int_eq(write(fds[1], header, 24), 24);
	run_until_closed_or_broken();
	ck_assert_int_eq(a.closed, 1);
	ck_assert_int_eq(a.messages, 0);
	ck_assert_ptr_null(a.ipc);
	ck_assert_int_eq(read(fds[1], header, 24), 0);
	close(fds[1]);
}
END_TEST

START_TEST(the_last_words_of_a_dead_peer_count)
{
	struct side a = { 0 };
	struct side b = { 0 };

	side_open(&a, fds[0]);
	side_open(&b, fds[1]);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(send_one(a.ipc, i, 10000), 0);
	ipc_flush(a.ipc, 100);
	/* Some of ours are under way to it when it dies. */
	ck_assert_int_eq(send_one(b.ipc, 0, 10), 0);
	ipc_flush(b.ipc, 100);
	ipc_free(a.ipc);
	ck_assert_int_eq(send_one(b.ipc, 1, 10), 0);
	run_until_closed_or_broken();
	ck_assert_int_eq(b.messages, 100);
	ck_assert_int_eq(b.closed, 1);
	ck_assert_int_eq(send_one(b.ipc, 0, 1), ERR_CLOSED);
	ipc_flush(b.ipc, 100);
	ipc_free(b.ipc);
}
END_TEST

START_TEST(an_owner_may_free_it_in_a_message)
{
	struct side a = { .free_on_message = true };
	struct side b = { 0 };

	side_open(&a, fds[0]);
	side_open(&b, fds[1]);
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(send_one(b.ipc, i, 10), 0);
	run_until_closed_or_broken();
	ck_assert_int_eq(a.messages, 1);
	ck_assert_int_eq(a.closed, 0);
	ipc_free(b.ipc);
}
END_TEST

START_TEST(a_paused_reader_hears_nothing_until_it_resumes)
{
	struct side a = { .pause_at = 2 };
	struct side b = { 0 };

	side_open(&a, fds[0]);
	side_open(&b, fds[1]);
	for (uint64_t i = 0; i < 4; i++)
		ck_assert_int_eq(send_one(b.ipc, i, 10), 0);
	turn(5);
	ck_assert_int_eq(a.messages, 2);
	a.pause_at = 4; /* the last of what was read already */
	ipc_resume(a.ipc);
	ck_assert_int_eq(a.messages, 2);
	turn(5);
	ck_assert_int_eq(a.messages, 4);
	ck_assert_int_eq(send_one(b.ipc, 4, 10), 0);
	turn(5);
	ck_assert_int_eq(a.messages, 4);
	ipc_resume(a.ipc);
	ipc_pause(a.ipc);
	turn(5);
	ck_assert_int_eq(a.messages, 4);
	ipc_resume(a.ipc);
	turn(5);
	ck_assert_int_eq(a.messages, 5);
	ipc_free(a.ipc);
	ipc_free(b.ipc);
}
END_TEST

START_TEST(a_peer_that_does_not_read_costs_no_more_than_the_bound)
{
	struct side a = { 0 };
	int err = 0;
	int sent = 0;

	side_open(&a, fds[0]);
	while (err == 0 && sent < 1000) {
		err = send_one(a.ipc, (uint64_t)sent, 1 << 20);
		if (err == 0)
			sent++;
		turn(1);
	}
	ck_assert_int_eq(err, ERR_NOMEM);
	ck_assert_int_ge(sent, 32);
	ck_assert_uint_le(ipc_queued(a.ipc), (size_t)64 << 20);
	int64_t start = clock_boottime_ms();

	ipc_flush(a.ipc, 50);
	ck_assert_int_ge(clock_boottime_ms() - start, 45);
	ck_assert_int_lt(clock_boottime_ms() - start, 2000);
	/* It starts to read: everything taken arrives, and more is taken. */
	struct side b = { .stop_at = sent + 1 };

	side_open(&b, fds[1]);
	turn(200);
	ck_assert_int_eq(send_one(a.ipc, (uint64_t)sent, 100), 0);
	run_until_closed_or_broken();
	ck_assert_int_eq(b.messages, sent + 1);
	ipc_free(a.ipc);
	ipc_free(b.ipc);
}
END_TEST

START_TEST(a_message_over_the_bound_is_not_sent)
{
	struct side a = { 0 };
	struct ipc_message message = { .len = IPC_PAYLOAD_MAX + 1 };

	side_open(&a, fds[0]);
	ck_assert_int_eq(ipc_send(a.ipc, &message), ERR_TOO_LARGE);
	ck_assert_uint_eq(ipc_queued(a.ipc), 0);
	ipc_free(a.ipc);
	close(fds[1]);
}
END_TEST

/* Random traffic both ways with pauses: nothing lost, nothing doubled. */
START_TEST(random_traffic_is_complete)
{
	struct side a = { .stop_at = -1 };
	struct side b = { .stop_at = -1 };
	uint64_t sent_a = 0;
	uint64_t sent_b = 0;

	srand(7);
	side_open(&a, fds[0]);
	side_open(&b, fds[1]);
	for (int i = 0; i < 3000; i++) {
		int r = rand() % 8;

		if (r < 3)
			ck_assert_int_eq(send_one(a.ipc, sent_a++,
					     (uint32_t)(rand() % 5000)),
			    0);
		else if (r < 6)
			ck_assert_int_eq(send_one(b.ipc, sent_b++,
					     (uint32_t)(rand() % 50000)),
			    0);
		else if (r == 6)
			ipc_pause(rand() % 2 ? a.ipc : b.ipc);
		else
			ipc_resume(rand() % 2 ? a.ipc : b.ipc);
		turn(rand() % 3);
	}
	ipc_resume(a.ipc);
	ipc_resume(b.ipc);
	turn(2000);
	ck_assert_uint_eq(a.next_tag, sent_b);
	ck_assert_uint_eq(b.next_tag, sent_a);
	ipc_free(a.ipc);
	ipc_free(b.ipc);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("ipc");
	TCase *tcase = tcase_create("ipc");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, messages_arrive_whole_and_in_order);
	tcase_add_test(tcase, a_header_is_24_bytes_big_endian);
	tcase_add_test(tcase, a_turn_of_the_loop_writes_once);
	tcase_add_test(tcase, bytes_that_drip_make_the_same_message);
	tcase_add_test(tcase, a_peer_that_announces_too_much_is_closed);
	tcase_add_test(tcase, the_last_words_of_a_dead_peer_count);
	tcase_add_test(tcase, an_owner_may_free_it_in_a_message);
	tcase_add_test(tcase, a_paused_reader_hears_nothing_until_it_resumes);
	tcase_add_test(tcase,
	    a_peer_that_does_not_read_costs_no_more_than_the_bound);
	tcase_add_test(tcase, a_message_over_the_bound_is_not_sent);
	tcase_add_test(tcase, random_traffic_is_complete);
	suite_add_tcase(s, tcase);
	return s;
}
