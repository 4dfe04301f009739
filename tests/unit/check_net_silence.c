/* shared/net: who is silent is asked for a sign of life, then hung up on. */
#include "tests/unit/net_world.h"

#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

#define SILENCE_MS 1000

static struct net_world world;

static void
setup(void)
{
	memset(&world, 0, sizeof(world));
	log_open("test", LOG_ERROR, 0);
	world.ca = pki_ca_new("Test CA");
	world.leaf = pki_leaf_new(&world.ca, "site", "DNS:localhost",
	    "serverAuth", -60, 3600);
	world.base = event_base_new();
	world.server = net_new(world.base);
	world.client = net_new(world.base);
	struct net_server_options options = net_world_options(&world);

	options.silence_ms = SILENCE_MS;
	ck_assert_int_eq(net_serve(world.server, net_listen(&world.port),
			     &options, &net_world_server, &world),
	    0);
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

static bool
was_pinged(struct net_stranger *s)
{
	net_stranger_read(s);
	return memmem(s->got.data, s->got.len, "\x89\x01?", 3) != NULL;
}

START_TEST(who_is_silent_is_pinged_then_hung_up_on)
{
	struct net_stranger s;

	join(&s);
	int64_t start_ms = clock_boottime_ms();

	NET_WAIT(&world, was_pinged(&s));
	ck_assert_int_ge(clock_boottime_ms() - start_ms, SILENCE_MS);
	ck_assert_int_eq(world.seen.closed, 0);
	NET_WAIT(&world, world.seen.closed == 1);
	ck_assert_int_ge(clock_boottime_ms() - start_ms, 2 * SILENCE_MS);
	net_stranger_leave(&s);
}
END_TEST

START_TEST(a_pong_is_a_sign_of_life)
{
	/* A client of ours answers pings by itself. */
	net_world_join(&world);
	NET_UNTIL(&world, world.seen.closed > 0, 4 * SILENCE_MS);
	ck_assert_int_eq(world.seen.closed, 0);
	ck_assert_int_eq(world.felt.closed, 0);
}
END_TEST

START_TEST(who_talks_is_not_asked)
{
	struct net_stranger s;

	join(&s);
	for (int i = 1; i <= 6; i++) {
		NET_UNTIL(&world, false, SILENCE_MS / 2);
		net_stranger_write(&s, &world, "\x81\x82\0\0\0\0hi", 8);
		NET_WAIT(&world, world.seen.messages == i);
	}
	ck_assert(!was_pinged(&s));
	ck_assert_int_eq(world.seen.closed, 0);
	/* Then it is, when it falls silent. */
	NET_WAIT(&world, world.seen.closed == 1);
	ck_assert(was_pinged(&s));
	net_stranger_leave(&s);
}
END_TEST

START_TEST(a_client_asks_too_and_is_content_with_pongs)
{
	const struct net_client_options options = {
		.host = "localhost",
		.port = world.port,
		.path = "/agent/v1",
		.protocol = "leasehold.v1",
		.ca_pem = world.ca.pem,
		.connect_timeout_s = 5,
		.silence_ms = SILENCE_MS,
	};
	net_conn conn = 0;

	ck_assert_int_eq(net_connect(&conn, world.client, &options,
			     &net_world_client, &world),
	    0);
	NET_WAIT(&world, world.felt.opened == 1 && world.seen.opened == 1);
	NET_UNTIL(&world, world.felt.closed > 0, 4 * SILENCE_MS);
	ck_assert_msg(world.felt.closed == 0, "%s", world.felt.reason);
}
END_TEST

Suite *
suite(void)
{
	Suite *suite = suite_create("net-silence");
	TCase *tcase = tcase_create("silence");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, who_is_silent_is_pinged_then_hung_up_on);
	tcase_add_test(tcase, a_pong_is_a_sign_of_life);
	tcase_add_test(tcase, who_talks_is_not_asked);
	tcase_add_test(tcase, a_client_asks_too_and_is_content_with_pongs);
	suite_add_tcase(suite, tcase);
	return suite;
}
