/*
 * The same load on a peer, over plain TCP on loopback: N connections, each with
 * one durable checkout under way at any time, or an open loop.
 *
 *   peer_bench --peer redis|postgres --port P --connections N --seconds S
 *              [--rate R] [--warm-up S] [--sha1 of the script, for redis]
 *
 * Redis runs a script (EVALSHA), PostgreSQL a prepared statement that is a
 * transaction by itself: one round trip each, as ours. Both are made by
 * peers.py. What is sent is what a lease needs: product, version, device, user,
 * host, nonce and request id.
 */
#include "tests/bench/meter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define OUT_MAX 1024
#define IN_MAX 2048
#define EVENTS 256

enum answer { ANSWER_NONE, ANSWER_GRANTED, ANSWER_REFUSED, ANSWER_READY };

struct conn {
	int fd;
	struct conn *next_free;
	unsigned int number;
	bool working; /* a checkout is under way */
	int64_t meant_us;
	uint8_t in[IN_MAX];
	size_t in_len;
	/* postgres: seen on the way to the last message of an answer */
	bool prepared, granted;
};

struct load;

struct peer {
	const char *name;
	/** The first bytes of a connection; 0: none, it is ready at once. */
	size_t (*greet)(uint8_t out[OUT_MAX], struct load *load);
	size_t (*ask)(uint8_t out[OUT_MAX], struct load *load,
	    const struct conn *conn);
	/** Takes what it could read out of `in`. */
	enum answer (*read)(struct conn *conn);
};

struct load {
	const struct peer *peer;
	struct conn *conns;
	struct conn *free;
	unsigned int n, ready, under_way;
	int epoll;
	const char *sha1;
	char seats[16];
	uint64_t random;
	struct meter meter;
	bool over, failed;
};

static void
fail(struct load *load, const char *words)
{
	fprintf(stderr, "peer_bench: %s\n", words);
	load->failed = load->over = true;
}

/* Nonces and request ids: not guessed, only never the same. */
static void
random_hex(char *out, size_t bytes, struct load *load)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		load->random =
		    load->random * 6364136223846793005u + 1442695040888963407u;
		uint8_t byte = (uint8_t)(load->random >> 56);

		out[2 * i] = digits[byte >> 4];
		out[2 * i + 1] = digits[byte & 15];
	}
	out[2 * bytes] = '\0';
}

/* The words of a lease, in the order of script and statement. */
#define WORDS 7
struct words {
	const char *word[WORDS];
	char device[16], user[24], host[24], nonce[65], request[33];
};

static void
fill_words(struct words *w, struct load *load, const struct conn *conn)
{
	snprintf(w->device, sizeof(w->device), "%u", conn->number + 1);
	snprintf(w->user, sizeof(w->user), "user-%u", conn->number);
	snprintf(w->host, sizeof(w->host), "ws-%u", conn->number);
	random_hex(w->nonce, 32, load);
	random_hex(w->request, 16, load);
	w->word[0] = "davinci-configurator-se";
	w->word[1] = "8.1.0";
	w->word[2] = w->device;
	w->word[3] = w->user;
	w->word[4] = w->host;
	w->word[5] = w->nonce;
	w->word[6] = w->request;
}

static void
drop(struct conn *conn, size_t used)
{
	conn->in_len -= used;
	memmove(conn->in, conn->in + used, conn->in_len);
}

/* --- redis ------------------------------------------------------------------ */

static size_t
redis_greet(uint8_t out[OUT_MAX], struct load *load)
{
	(void)out;
	(void)load;
	return 0;
}

static size_t
redis_ask(uint8_t out[OUT_MAX], struct load *load, const struct conn *conn)
{
	char *text = (char *)out;
	struct words words;

	fill_words(&words, load, conn);
	int len = snprintf(text, OUT_MAX,
	    "*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n0\r\n", WORDS + 3,
	    load->sha1);

	for (int i = 0; i < WORDS; i++)
		len += snprintf(text + len, OUT_MAX - (size_t)len,
		    "$%zu\r\n%s\r\n", strlen(words.word[i]), words.word[i]);
	return (size_t)len;
}

static enum answer
redis_read(struct conn *conn)
{
	uint8_t *end = memmem(conn->in, conn->in_len, "\r\n", 2);

	if (end == NULL)
		return ANSWER_NONE;
	bool granted = conn->in[0] == ':';

	if (!granted && conn->in[0] != '-')
		return ANSWER_NONE;
	if (!granted)
		fprintf(stderr, "peer_bench: %.*s\n", (int)(end - conn->in),
		    (const char *)conn->in);
	drop(conn, (size_t)(end - conn->in) + 2);
	return granted ? ANSWER_GRANTED : ANSWER_REFUSED;
}

/* --- postgres: protocol 3.0, extended queries ------------------------------- */

static size_t
put16(uint8_t *out, size_t at, unsigned int value)
{
	out[at] = (uint8_t)(value >> 8);
	out[at + 1] = (uint8_t)value;
	return at + 2;
}

static size_t
put32(uint8_t *out, size_t at, size_t value)
{
	put16(out, at, (unsigned int)(value >> 16));
	return put16(out, at + 2, (unsigned int)value & 0xffff);
}

static size_t
put_text(uint8_t *out, size_t at, const char *text)
{
	size_t len = strlen(text) + 1;

	memcpy(out + at, text, len);
	return at + len;
}

/* The length stands at `from` and counts itself. */
static size_t
end_message(uint8_t *out, size_t from, size_t at)
{
	put32(out, from, at - from);
	return at;
}

static size_t
postgres_sync(uint8_t *out, size_t at)
{
	out[at] = 'S';
	return put32(out, at + 1, 4);
}

/* One statement: atomic, and the row of the counter is locked for as short as
 * it can be. */
static const char postgres_checkout[] =
    "WITH seat AS (UPDATE seats SET used = used + 1 "
    "WHERE product = $1 AND used < total RETURNING used) "
    "INSERT INTO leases (lease, product, version, device, app_user, host, "
    "nonce, request) SELECT used, $1, $2, $3::bigint, $4, $5, $6, $7 FROM seat";

static size_t
postgres_greet(uint8_t out[OUT_MAX], struct load *load)
{
	size_t at = put32(out, 4, 196608), parse;

	(void)load;
	at = put_text(out, at, "user");
	at = put_text(out, at, "bench");
	at = put_text(out, at, "database");
	at = put_text(out, at, "postgres");
	out[at++] = '\0';
	end_message(out, 0, at);
	out[at++] = 'P';
	parse = at;
	at = put_text(out, at + 4, "checkout");
	at = put_text(out, at, postgres_checkout);
	at = end_message(out, parse, put16(out, at, 0));
	return postgres_sync(out, at);
}

static size_t
postgres_ask(uint8_t out[OUT_MAX], struct load *load, const struct conn *conn)
{
	struct words words;
	size_t at = 0, from;

	fill_words(&words, load, conn);
	out[at++] = 'B';
	from = at;
	at = put_text(out, at + 4, "");
	at = put_text(out, at, "checkout");
	at = put16(out, at, 0);
	at = put16(out, at, WORDS);
	for (int i = 0; i < WORDS; i++) {
		size_t len = strlen(words.word[i]);

		at = put32(out, at, len);
		memcpy(out + at, words.word[i], len);
		at += len;
	}
	at = end_message(out, from, put16(out, at, 0));
	out[at++] = 'E';
	from = at;
	at = put_text(out, at + 4, "");
	at = end_message(out, from, put32(out, at, 0));
	return postgres_sync(out, at);
}

static enum answer
postgres_read(struct conn *conn)
{
	size_t at = 0;
	enum answer answer = ANSWER_NONE;

	while (answer == ANSWER_NONE && conn->in_len - at >= 5) {
		const uint8_t *m = conn->in + at;
		size_t len = (size_t)m[1] << 24 | (size_t)m[2] << 16 |
		    (size_t)m[3] << 8 | m[4];

		if (conn->in_len - at < len + 1)
			break;
		if (m[0] == '1')
			conn->prepared = true;
		if (m[0] == 'C')
			conn->granted = memcmp(m + 5, "INSERT 0 1", 11) == 0;
		if (m[0] == 'E')
			fprintf(stderr, "peer_bench: %.*s\n", (int)len - 5,
			    (const char *)m + 5);
		/* Ready twice: after the greeting, and with the statement. */
		if (m[0] == 'Z' && conn->prepared)
			answer = !conn->working ? ANSWER_READY
			    : conn->granted     ? ANSWER_GRANTED
						: ANSWER_REFUSED;
		at += len + 1;
	}
	drop(conn, at);
	return answer;
}

static const struct peer peers[] = {
	{ "redis", redis_greet, redis_ask, redis_read },
	{ "postgres", postgres_greet, postgres_ask, postgres_read },
};

/* --- the loop --------------------------------------------------------------- */

/* What is sent is small and answered before more is: it fits the socket. */
static void
send_all(struct load *load, const struct conn *conn, const uint8_t *data,
    size_t len)
{
	ssize_t sent = send(conn->fd, data, len, MSG_NOSIGNAL);

	if (sent != (ssize_t)len)
		fail(load, "cannot send");
}

static void
check_out(struct load *load, struct conn *conn, int64_t meant_us)
{
	uint8_t out[OUT_MAX];
	size_t len = load->peer->ask(out, load, conn);

	conn->working = true;
	conn->granted = false;
	conn->meant_us = meant_us;
	load->under_way++;
	send_all(load, conn, out, len);
}

static void
next_turn(struct load *load, struct conn *conn)
{
	if (load->meter.rate > 0) {
		conn->next_free = load->free;
		load->free = conn;
	} else {
		check_out(load, conn, clock_boottime_us());
	}
}

static void
send_due(struct load *load)
{
	int64_t now = clock_boottime_us(), meant;

	while (load->free != NULL && meter_due(&meant, &load->meter, now)) {
		struct conn *conn = load->free;

		load->free = conn->next_free;
		check_out(load, conn, meant);
	}
	if (load->under_way == 0 && meter_all_sent(&load->meter))
		load->over = true;
}

static bool
connect_one(struct load *load, struct conn *conn, uint16_t port)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	const int one = 1;
	uint8_t out[OUT_MAX];

	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0 ||
	    connect(conn->fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ||
	    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) !=
		0 ||
	    epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
		return false;
	size_t len = load->peer->greet(out, load);

	if (len > 0)
		send_all(load, conn, out, len);
	else
		load->ready++;
	return true;
}

static void
begin(struct load *load)
{
	meter_start(&load->meter);
	for (unsigned int i = 0; i < load->n; i++)
		next_turn(load, &load->conns[i]);
}

static void
got_answer(struct load *load, struct conn *conn, enum answer answer)
{
	if (answer == ANSWER_READY) {
		if (++load->ready == load->n)
			begin(load);
		return;
	}
	conn->working = false;
	load->under_way--;
	if (!meter_count(&load->meter, conn->meant_us,
		answer == ANSWER_GRANTED) &&
	    load->meter.rate <= 0)
		load->over = true;
	else
		next_turn(load, conn);
}

static void
readable(struct load *load, struct conn *conn)
{
	ssize_t got = recv(conn->fd, conn->in + conn->in_len,
	    IN_MAX - conn->in_len, MSG_DONTWAIT);
	enum answer answer;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		fail(load, "the peer hung up, or said too much");
		return;
	}
	conn->in_len += (size_t)got;
	while (!load->over && (answer = load->peer->read(conn)) != ANSWER_NONE)
		got_answer(load, conn, answer);
}

static void
run(struct load *load)
{
	struct epoll_event events[EVENTS];

	while (!load->over) {
		bool spin = load->meter.rate > 0 && load->meter.start_us != 0;
		int n = epoll_wait(load->epoll, events, EVENTS, spin ? 0 : -1);

		for (int i = 0; i < n && !load->over; i++)
			readable(load, events[i].data.ptr);
		if (spin && !load->over)
			send_due(load);
	}
}

static void
read_options(struct load *load, int argc, char **argv)
{
	const char *name = option_text(argc, argv, "--peer", NULL);

	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (strcmp(name, peers[i].name) == 0)
			load->peer = &peers[i];
	load->n = (unsigned int)option_number(argc, argv, "--connections", 1);
	load->sha1 = option_text(argc, argv, "--sha1", "-");
	load->meter.seconds = option_number(argc, argv, "--seconds", 1);
	load->meter.warm_up_s = option_number(argc, argv, "--warm-up", 0);
	load->meter.rate = option_number(argc, argv, "--rate", 0);
	load->random = (uint64_t)clock_boottime_us();
}

int
main(int argc, char **argv)
{
	struct load load = { 0 };

	read_options(&load, argc, argv);
	uint16_t port = (uint16_t)option_number(argc, argv, "--port", 0);
	const struct rlimit files = { load.n + 100, load.n + 100 };

	if (load.peer == NULL || load.n < 1 || load.n > CONNECTIONS_MAX)
		return 2;
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.conns = calloc(load.n, sizeof(*load.conns));
	if (load.epoll < 0 || load.conns == NULL ||
	    setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    meter_init(&load.meter) != 0)
		return 1;
	for (unsigned int i = 0; i < load.n && !load.over; i++) {
		load.conns[i].number = i;
		if (!connect_one(&load, &load.conns[i], port))
			fail(&load, strerror(errno));
	}
	if (load.ready == load.n && !load.over)
		begin(&load);
	run(&load);
	if (!load.failed)
		meter_print(&load.meter, load.n);
	for (unsigned int i = 0; i < load.n; i++)
		close(load.conns[i].fd);
	free(load.meter.samples);
	free(load.conns);
	return load.failed ? 1 : 0;
}
