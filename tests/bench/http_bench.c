/*
 * Load over keep-alive HTTPS: N connections of TLS 1.3, each with one request
 * under way at any time.
 *
 *   http_bench --port P --ca FILE --connections N --seconds S [--warm-up S]
 *              [--path PATH] [--keys FILE --body JSON]
 *
 * Without keys it gets PATH, as from any web server. With them each connection
 * posts the body with its line of the file as bearer key, and an
 * Idempotency-Key of its own each time, as a program would that takes a seat.
 * Everything but a status of 2xx is a refusal.
 */
#include "tests/bench/meter.h"
#include "tests/bench/socket.h"

#include <strings.h>

#define CONNECTIONS_MAX 4096
#define EVENTS 256
#define REQUEST_MAX 2048

struct load;

struct client {
	struct socket socket; /* first */
	struct load *load;
	unsigned int number;
	char *key; /* NULL: it gets */
	uint64_t sent; /* requests */
	int64_t meant_us;
};

struct load {
	struct meter meter;
	struct sockets sockets;
	struct client *clients;
	unsigned int n, shaking, ready;
	const char *path, *body;
	bool over, failed;
};

static void
fail(struct load *load, const char *why)
{
	if (!load->failed)
		fprintf(stderr, "http_bench: %s\n", why);
	load->failed = load->over = true;
}

/* --- requests --------------------------------------------------------------- */

static void
ask(struct client *client)
{
	struct load *load = client->load;
	char request[REQUEST_MAX];
	int len;

	if (client->key == NULL)
		len = snprintf(request, sizeof(request),
		    "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", load->path);
	else
		len = snprintf(request, sizeof(request),
		    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		    "Authorization: Bearer %s\r\n"
		    "Content-Type: application/json\r\n"
		    "Idempotency-Key: bench-%u-%llu\r\n"
		    "Content-Length: %zu\r\n\r\n%s",
		    load->path, client->key, client->number,
		    (unsigned long long)client->sent, strlen(load->body),
		    load->body);
	client->sent++;
	client->meant_us = clock_boottime_us();
	if (len < 0 || (size_t)len >= sizeof(request) ||
	    socket_write(&client->socket, request, (size_t)len) != 0)
		fail(load, "cannot send");
}

/* --- answers ---------------------------------------------------------------- */

/* The answer's length, head and body; 0: it is not whole; -1: it is none. */
static ssize_t
answer_len(const char *text, size_t len)
{
	static const char name[] = "content-length:";
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	size_t body = SIZE_MAX;

	if (end == NULL)
		return len < REQUEST_MAX ? 0 : -1;
	for (const char *at = text; at < end;) {
		const char *line =
		    memmem(at, (size_t)(end + 2 - at), "\r\n", 2);

		if (strncasecmp(at, name, sizeof(name) - 1) == 0)
			body = strtoul(at + sizeof(name) - 1, NULL, 10);
		at = line + 2;
	}
	if (body == SIZE_MAX)
		return -1;
	size_t whole = (size_t)(end - text) + 4 + body;

	return len < whole ? 0 : (ssize_t)whole;
}

static void
got_answer(struct client *client, const char *text)
{
	struct load *load = client->load;
	bool good = memcmp(text, "HTTP/1.1 2", 10) == 0;

	if (!good && load->meter.refused == 0)
		fprintf(stderr, "http_bench: %.300s\n", text);
	if (load->meter.start_us == 0) {
		/* Everybody has had an answer: the site knows them all. */
		if (++load->ready == load->n) {
			meter_start(&load->meter);
			for (unsigned int i = 0; i < load->n; i++)
				ask(&load->clients[i]);
		}
		return;
	}
	if (meter_count(&load->meter, client->meant_us, good))
		ask(client);
	else
		load->over = true;
}

static int
readable(struct client *client)
{
	struct sockets *sockets = &client->load->sockets;
	struct buf *in = &client->socket.in;

	do {
		int got = SSL_read(client->socket.ssl, sockets->in,
		    (int)sizeof(sockets->in));

		if (got <= 0)
			return SSL_get_error(client->socket.ssl, got) ==
				SSL_ERROR_WANT_READ
			    ? 0
			    : -1;
		buf_add(in, sockets->in, (size_t)got);
		ssize_t used = answer_len(buf_text(in), in->len);

		if (used < 0 || (size_t)used > in->len)
			return -1;
		if (used == 0)
			continue;
		got_answer(client, (const char *)in->data);
		buf_clear(in);
	} while (!client->load->over && SSL_has_pending(client->socket.ssl));
	return 0;
}

/* --- connections ------------------------------------------------------------ */

/* A few at a time: strangers from one address are bounded. */
static void
connect_next(struct load *load)
{
	while (load->shaking < load->n && load->shaking < load->ready + 64) {
		struct client *client = &load->clients[load->shaking++];

		if (socket_connect(&client->socket, &load->sockets,
			client->number) != 0) {
			fail(load, "cannot connect");
			return;
		}
	}
}

static int
shake(struct client *client)
{
	struct socket *it = &client->socket;
	struct sockets *sockets = &client->load->sockets;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = it };
	int rc = SSL_do_handshake(it->ssl);

	if (it->state == SOCKET_CONNECTING) {
		it->state = SOCKET_SHAKING;
		epoll_ctl(sockets->epoll, EPOLL_CTL_MOD, it->fd, &event);
	}
	if (rc != 1)
		return SSL_get_error(it->ssl, rc) == SSL_ERROR_WANT_READ ? 0
									 : -1;
	it->state = SOCKET_OPEN;
	ask(client);
	return 0;
}

static void
run(struct load *load)
{
	struct epoll_event events[EVENTS];

	while (!load->over) {
		connect_next(load);
		int n = epoll_wait(load->sockets.epoll, events, EVENTS, -1);

		for (int i = 0; i < n && !load->over; i++) {
			struct client *client = events[i].data.ptr;
			int rc = client->socket.state == SOCKET_OPEN
			    ? readable(client)
			    : shake(client);

			if (rc != 0)
				fail(load, "the server hung up");
		}
	}
}

/* --- options ---------------------------------------------------------------- */

static int
read_keys(struct load *load, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];

	if (file == NULL)
		return -1;
	for (unsigned int i = 0; i < load->n; i++) {
		if (fgets(line, sizeof(line), file) == NULL)
			break;
		line[strcspn(line, "\n")] = '\0';
		load->clients[i].key = strdup(line);
	}
	fclose(file);
	return load->clients[load->n - 1].key != NULL ? 0 : -1;
}

static int
open_load(struct load *load, int argc, char **argv)
{
	const char *keys = option_text(argc, argv, "--keys", "");
	uint16_t port = (uint16_t)option_number(argc, argv, "--port", 0);

	load->path = option_text(argc, argv, "--path", "/");
	load->body = option_text(argc, argv, "--body", "{}");
	load->meter.seconds = option_number(argc, argv, "--seconds", 1);
	load->meter.warm_up_s = option_number(argc, argv, "--warm-up", 0);
	load->clients = calloc(load->n, sizeof(*load->clients));
	if (load->clients == NULL || meter_init(&load->meter) != 0 ||
	    sockets_init(&load->sockets, option_text(argc, argv, "--ca", NULL),
		port) != 0)
		return -1;
	for (unsigned int i = 0; i < load->n; i++) {
		load->clients[i].load = load;
		load->clients[i].number = i;
	}
	return keys[0] == '\0' ? 0 : read_keys(load, keys);
}

int
main(int argc, char **argv)
{
	struct load load = { 0 };

	load.n = (unsigned int)option_number(argc, argv, "--connections", 1);
	const struct rlimit files = { load.n + 100, load.n + 100 };

	if (load.n < 1 || load.n > CONNECTIONS_MAX)
		return 2;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    open_load(&load, argc, argv) != 0)
		fail(&load, "cannot begin");
	run(&load);
	if (!load.failed)
		meter_print(&load.meter, load.n);
	for (unsigned int i = 0; load.clients != NULL && i < load.n; i++) {
		socket_close(&load.clients[i].socket);
		free(load.clients[i].key);
	}
	free(load.meter.samples);
	free(load.clients);
	return load.failed ? 1 : 0;
}
