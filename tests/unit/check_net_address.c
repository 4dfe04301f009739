/* shared/net: what one address may take, and who makes room for whom. */
#include "tests/unit/net_world.h"

#include "shared/base/err.h"
#include "tests/unit/suite.h"

unsigned int
suite_at_once(void)
{
	return 6;
}

static struct net_world world;

static void
open_world(int connections, int of_address, int strangers, int rate)
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

	options.connections_max = connections;
	options.address_connections_max = of_address;
	options.address_strangers_max = strangers;
	options.address_rate = rate;
	options.stall_ms = 1500;
	ck_assert_int_eq(net_serve(world.server, net_listen(&world.port),
			     &options, &net_world_server, &world),
	    0);
}

static void
teardown(void)
{
	net_world_close(&world);
}

/* A silent TCP connection from 127.0.0.`host`. */
static int
dial_from(int host)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)host) };
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(world.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 5; i++)
		net_world_turn(&world);
	return fd;
}

static bool
has_ended(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void
become_trusted(struct net_stranger *s)
{
	int before = world.seen.opened;

	net_stranger_open(s, &world, TLS1_3_VERSION, 0);
	ck_assert(net_stranger_greet(s, &world));
	net_stranger_say(s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
	NET_WAIT(&world, world.seen.opened > before);
	net_trust(world.server, world.seen.conn);
}

START_TEST(the_oldest_stranger_of_an_address_makes_room)
{
	open_world(50, 20, 2, 0);
	int first = dial_from(1), second = dial_from(1);
	int elsewhere = dial_from(2);
	int third = dial_from(1);

	NET_WAIT(&world, has_ended(first));
	ck_assert(!has_ended(second));
	ck_assert(!has_ended(third));
	ck_assert(!has_ended(elsewhere));
	NET_WAIT(&world, net_connections(world.server) == 3);
	close(first);
	close(second);
	close(third);
	close(elsewhere);
}
END_TEST

START_TEST(who_is_trusted_makes_room_for_nobody)
{
	struct net_stranger friend;
	int strangers[8];

	open_world(50, 20, 2, 0);
	become_trusted(&friend);
	for (int i = 0; i < 8; i++)
		strangers[i] = dial_from(1);
	NET_WAIT(&world, net_connections(world.server) == 3);
	net_stranger_read(&friend);
	ck_assert(!friend.ended);
	ck_assert(!has_ended(strangers[7]));
	ck_assert_int_eq(world.seen.closed, 0);
	net_stranger_leave(&friend);
	for (int i = 0; i < 8; i++)
		close(strangers[i]);
}
END_TEST

START_TEST(an_address_has_its_share_of_connections)
{
	struct net_stranger friends[2];

	open_world(50, 2, 2, 0);
	become_trusted(&friends[0]);
	become_trusted(&friends[1]);
	/* Nobody there makes room: the newcomer is turned away. */
	int late = dial_from(1);

	NET_WAIT(&world, has_ended(late));
	int elsewhere = dial_from(2);

	ck_assert(!has_ended(elsewhere));
	ck_assert_uint_eq(net_connections(world.server), 3);
	/* A place of its own that became free is taken again. */
	net_stranger_leave(&friends[0]);
	NET_WAIT(&world, world.seen.closed == 1);
	int again = dial_from(1);

	ck_assert(!has_ended(again));
	net_stranger_leave(&friends[1]);
	close(late);
	close(elsewhere);
	close(again);
}
END_TEST

START_TEST(when_places_run_short_the_crowded_address_pays)
{
	struct net_stranger friend;
	int crowd[12];

	open_world(16, 16, 16, 0);
	become_trusted(&friend);
	int quiet = dial_from(2);

	for (int i = 0; i < 12; i++)
		crowd[i] = dial_from(1);
	/* Half of the places are for strangers. */
	NET_WAIT(&world, net_connections(world.server) == 9);
	ck_assert(!has_ended(quiet));
	ck_assert(has_ended(crowd[0]));
	ck_assert(!has_ended(crowd[11]));
	net_stranger_read(&friend);
	ck_assert(!friend.ended);
	net_stranger_leave(&friend);
	close(quiet);
	for (int i = 0; i < 12; i++)
		close(crowd[i]);
}
END_TEST

START_TEST(who_comes_too_fast_waits_and_others_do_not)
{
	int ended = 0, fds[12];

	open_world(100, 50, 50, 1);
	for (int i = 0; i < 12; i++)
		fds[i] = dial_from(1);
	for (int i = 0; i < 12; i++)
		ended += has_ended(fds[i]) ? 1 : 0;
	/* The bucket holds five, and one or two more come a second. */
	ck_assert_int_ge(ended, 4);
	ck_assert_int_le(ended, 7);
	int elsewhere = dial_from(2);

	ck_assert(!has_ended(elsewhere));
	for (int i = 0; i < 12; i++)
		close(fds[i]);
	close(elsewhere);
	NET_WAIT(&world, net_connections(world.server) == 0);
	/* What it used up is remembered, until the bucket fills again. */
	int later = dial_from(1);

	for (int i = 0; i < 40 && has_ended(later); i++) {
		close(later);
		for (int j = 0; j < 50; j++)
			net_world_turn(&world);
		later = dial_from(1);
	}
	ck_assert(!has_ended(later));
	close(later);
}
END_TEST

START_TEST(half_bodies_of_one_address_are_bounded_together)
{
	static const char head[] = "POST /x HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Length: 1048576\r\n\r\n";
	struct net_stranger s[18];
	char *bytes = malloc(1 << 20);
	int refused = 0;

	open_world(50, 40, 40, 0);
	memset(bytes, 'x', 1 << 20);
	for (int i = 0; i < 18; i++) {
		/* Trusted, or it would be slow. */
		net_stranger_join(&s[i], &world);
		net_stranger_say(&s[i], &world,
		    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
		NET_WAIT(&world, world.seen.requests > i);
		net_trust(world.server, world.seen.conn);
		NET_WAIT(&world, net_stranger_has(&s[i], "HTTP/1.1 200"));
		net_stranger_say(&s[i], &world, head);
		net_stranger_write(&s[i], &world, bytes, (1 << 20) - 1);
	}
	for (int i = 0; i < 18; i++)
		refused += net_stranger_has(&s[i], "HTTP/1.1 503") ? 1 : 0;
	ck_assert_int_ge(refused, 1);
	ck_assert_int_le(refused, 6); /* buffers grow in steps */
	for (int i = 0; i < 18; i++)
		net_stranger_leave(&s[i]);
	free(bytes);
}
END_TEST

START_TEST(strangers_of_one_address_talk_no_faster_than_they_may)
{
	struct net_stranger s;
	struct buf pongs = { 0 };

	open_world(50, 40, 40, 0);
	/* Unasked pongs: libwebsockets reads them and answers nothing. */
	for (int i = 0; i < 8000; i++) {
		buf_add(&pongs, "\x8a\xfd\0\0\0\0", 6);
		for (int j = 0; j < 125; j++)
			buf_add_byte(&pongs, 'p');
	}
	int64_t start_ms = clock_boottime_ms();

	/* The first four MiB are a burst, whichever connection sends them. */
	for (int i = 0; i < 7; i++) {
		int before = world.seen.messages;

		net_stranger_join(&s, &world);
		net_stranger_say(&s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
		net_stranger_write(&s, &world, pongs.data, pongs.len);
		net_stranger_write(&s, &world, "\x81\x84\0\0\0\0done", 10);
		NET_WAIT(&world, world.seen.messages > before);
		net_stranger_leave(&s);
	}
	ck_assert_int_ge(clock_boottime_ms() - start_ms, 2000);
	/* Another one does not wait for him. */
	int elsewhere = dial_from(2);

	ck_assert(!has_ended(elsewhere));
	close(elsewhere);
	buf_release(&pongs);
}
END_TEST

START_TEST(http_strangers_above_their_rate_are_refused)
{
	static const char head[] = "POST /x HTTP/1.1\r\nHost: localhost\r\n"
				   "Content-Length: 1048576\r\n\r\n";
	struct net_stranger s;
	char *bytes = malloc(1 << 20);

	open_world(50, 40, 40, 0);
	memset(bytes, 'x', 1 << 20);
	for (int i = 0; i < 7 && world.seen.refusal == 0; i++) {
		net_stranger_join(&s, &world);
		net_stranger_say(&s, &world, head);
		net_stranger_write(&s, &world, bytes, 1 << 20);
		NET_WAIT(&world, world.seen.requests == i + 1);
		if (world.seen.refusal == 0)
			ck_assert_uint_eq(world.seen.body.len, 1 << 20);
		else
			ck_assert_int_ge(i, 3);
		net_stranger_leave(&s);
	}
	ck_assert_int_eq(world.seen.refusal, 429);
	free(bytes);
}
END_TEST

START_TEST(who_reads_nothing_is_dropped_after_a_while)
{
	struct net_stranger s;
	char *bytes = malloc(NET_MESSAGE_MAX);
	int err = 0;

	open_world(50, 40, 40, 0);
	memset(bytes, 'x', NET_MESSAGE_MAX);
	net_stranger_open(&s, &world, TLS1_3_VERSION, 4096);
	ck_assert(net_stranger_greet(&s, &world));
	net_stranger_say(&s, &world, NET_UPGRADE NET_PROTOCOL "\r\n");
	NET_WAIT(&world, world.seen.opened == 1);
	/* Below what drops it at once. */
	for (int i = 0; i < 14 && err == 0; i++)
		err = net_send(world.server, world.seen.conn, bytes,
		    NET_MESSAGE_MAX);
	ck_assert_int_eq(world.seen.closed, 0);
	NET_WAIT(&world, world.seen.closed == 1);
	ck_assert_uint_eq(net_connections(world.server), 0);
	net_stranger_leave(&s);
	free(bytes);
}
END_TEST

/* So many at once; how long until all are taken. */
static int64_t
take_crowd(struct net_stranger *trusted)
{
	enum { CROWD = 40 };
	int fds[CROWD];
	size_t before = net_connections(world.server);
	int64_t start_ms = clock_boottime_ms();

	for (int i = 0; i < CROWD; i++) {
		struct sockaddr_in to = { .sin_family = AF_INET,
			.sin_port = htons(world.port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		ck_assert_int_ge(fds[i], 0);
		ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&to,
				     sizeof(to)),
		    0);
	}
	while (net_connections(world.server) < before + CROWD) {
		int64_t now_ms = clock_boottime_ms();

		ck_assert_int_lt(now_ms - start_ms, 20000);
		if (trusted != NULL)
			net_stranger_write(trusted, &world,
			    "\x81\x84\0\0\0\0busy", 10);
		event_base_loop(world.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	int64_t took_ms = clock_boottime_ms() - start_ms;

	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	NET_WAIT(&world, net_connections(world.server) == before);
	return took_ms;
}

START_TEST(newcomers_take_turns_while_somebody_who_is_in_talks)
{
	struct net_stranger s;

	open_world(200, 150, 150, 0);
	become_trusted(&s);
	/* One in 2 ms, however long a machine stands still. */
	ck_assert_int_ge(take_crowd(&s), 70);
	/* What was said last is soon forgotten. */
	int64_t quiet_ms = clock_boottime_ms();

	NET_UNTIL(&world, clock_boottime_ms() - quiet_ms > 300, 1000);
	int64_t least = INT64_MAX;

	for (int i = 0; i < 10 && least >= 70; i++) {
		int64_t took_ms = take_crowd(NULL);

		least = took_ms < least ? took_ms : least;
	}
	ck_assert_int_lt(least, 70);
	net_stranger_leave(&s);
}
END_TEST

Suite *
suite(void)
{
	Suite *s = suite_create("net_address");
	TCase *rooms = tcase_create("rooms");

	tcase_add_checked_fixture(rooms, NULL, teardown);
	tcase_set_timeout(rooms, 60);
	tcase_add_test(rooms,
	    newcomers_take_turns_while_somebody_who_is_in_talks);
	tcase_add_test(rooms, the_oldest_stranger_of_an_address_makes_room);
	tcase_add_test(rooms, who_is_trusted_makes_room_for_nobody);
	tcase_add_test(rooms, an_address_has_its_share_of_connections);
	tcase_add_test(rooms, when_places_run_short_the_crowded_address_pays);
	tcase_add_test(rooms, who_comes_too_fast_waits_and_others_do_not);
	tcase_add_test(rooms, half_bodies_of_one_address_are_bounded_together);
	tcase_add_test(rooms,
	    strangers_of_one_address_talk_no_faster_than_they_may);
	tcase_add_test(rooms, http_strangers_above_their_rate_are_refused);
	tcase_add_test(rooms, who_reads_nothing_is_dropped_after_a_while);
	suite_add_tcase(s, rooms);
	return s;
}
