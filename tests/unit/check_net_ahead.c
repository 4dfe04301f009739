/* shared/net: one read for all that came; nothing of it is left lying. */
#include "tests/unit/net_world.h"

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

static void
join(struct net_stranger *s)
{
	net_stranger_join(s, &world);
	net_stranger_say(s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
	NET_WAIT(&world, world.seen.opened > 0);
}

/* Frames, each in a TLS record of its own; what of it may arrive at once. */
static void
encrypt(struct buf *out, struct net_stranger *s, int n, const char *frame,
    size_t len)
{
	BIO *bytes = BIO_new(BIO_s_mem());
	BIO *wire = SSL_get_wbio(s->ssl);
	const char *data;

	BIO_up_ref(wire);
	SSL_set0_wbio(s->ssl, bytes);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(SSL_write(s->ssl, frame, (int)len), (int)len);
	long size = BIO_get_mem_data(bytes, &data);

	buf_add(out, data, (size_t)size);
	SSL_set0_wbio(s->ssl, wire);
}

static void
write_all(const struct net_stranger *s, const uint8_t *data, size_t len)
{
	ck_assert_int_eq(write(s->fd, data, len), (ssize_t)len);
}

START_TEST(records_that_come_together_are_all_read)
{
	struct net_stranger s;

	join(&s);
	for (int n = 1; n <= 300; n = n * 2 + 1) {
		struct buf bytes = { 0 };
		int before = world.seen.messages;

		encrypt(&bytes, &s, n, "\x81\x82\0\0\0\0hi", 8);
		write_all(&s, bytes.data, bytes.len);
		NET_WAIT(&world, world.seen.messages == before + n);
		buf_release(&bytes);
	}
	net_stranger_leave(&s);
}
END_TEST

START_TEST(a_message_behind_a_ping_is_read)
{
	struct net_stranger s;
	struct buf bytes = { 0 };

	join(&s);
	/* libwebsockets says nothing of either of the first two. */
	encrypt(&bytes, &s, 1, "\x8a\x80\0\0\0\0", 6);
	encrypt(&bytes, &s, 1, "\x89\x80\0\0\0\0", 6);
	encrypt(&bytes, &s, 1, "\x81\x82\0\0\0\0hi", 8);
	write_all(&s, bytes.data, bytes.len);
	NET_WAIT(&world, world.seen.messages == 1);
	buf_release(&bytes);
	net_stranger_leave(&s);
}
END_TEST

START_TEST(a_record_in_two_halves_is_read)
{
	struct net_stranger s;
	struct buf bytes = { 0 };

	join(&s);
	encrypt(&bytes, &s, 2, "\x81\x82\0\0\0\0hi", 8);
	/* All of the first and a part of the second. */
	write_all(&s, bytes.data, bytes.len - 7);
	NET_WAIT(&world, world.seen.messages == 1);
	NET_UNTIL(&world, false, 50);
	ck_assert_int_eq(world.seen.messages, 1);
	write_all(&s, bytes.data + bytes.len - 7, 7);
	NET_WAIT(&world, world.seen.messages == 2);
	buf_release(&bytes);
	net_stranger_leave(&s);
}
END_TEST

START_TEST(who_hangs_up_behind_many_records_is_served_and_gone)
{
	struct net_stranger s;
	struct buf bytes = { 0 };

	join(&s);
	encrypt(&bytes, &s, 100, "\x81\x82\0\0\0\0hi", 8);
	write_all(&s, bytes.data, bytes.len);
	shutdown(s.fd, SHUT_WR);
	NET_WAIT(&world, world.seen.closed == 1);
	ck_assert_int_eq(world.seen.messages, 100);
	buf_release(&bytes);
	net_stranger_leave(&s);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("net-ahead");
	TCase *tcase = tcase_create("ahead");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, records_that_come_together_are_all_read);
	tcase_add_test(tcase, a_message_behind_a_ping_is_read);
	tcase_add_test(tcase, a_record_in_two_halves_is_read);
	tcase_add_test(tcase,
	    who_hangs_up_behind_many_records_is_served_and_gone);
	suite_add_tcase(suite, tcase);
	return suite;
}
