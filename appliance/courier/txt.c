#include "appliance/courier/txt.h"

#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 12
#define TYPE_TXT 16
#define CLASS_IN 1
#define RESOLV_CONF "/etc/resolv.conf"
/* Tries over UDP; answers that are not to us are passed over, so many. */
#define TRIES 3
#define STRAYS_MAX 32

/* --- the question ------------------------------------------------------------ */

static bool
is_label(const char *label, size_t len)
{
	if (len == 0 || len > 63)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)label[i];

		if (!isalnum(c) && c != '-' && c != '_')
			return false;
	}
	return true;
}

int
txt_write(uint8_t out[TXT_QUERY_MAX], size_t *len, const char *name,
    uint16_t id)
{
	size_t at = HEAD;

	if (strlen(name) > 253)
		return ERR_BAD_REQUEST;
	memset(out, 0, HEAD);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[2] = 1; /* recursion is wanted */
	out[5] = 1; /* one question */
	for (;;) {
		size_t n = strcspn(name, ".");

		if (!is_label(name, n))
			return ERR_BAD_REQUEST;
		out[at++] = (uint8_t)n;
		memcpy(out + at, name, n);
		at += n;
		if (name[n] == '\0')
			break;
		name += n + 1;
	}
	out[at++] = 0;
	out[at++] = 0;
	out[at++] = TYPE_TXT;
	out[at++] = 0;
	out[at++] = CLASS_IN;
	*len = at;
	return 0;
}

/* --- the answer -------------------------------------------------------------- */

static unsigned int
u16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

/* Past a name, which is not followed: a pointer ends it. 0: it is none. */
static size_t
skip_name(const uint8_t *answer, size_t len, size_t at)
{
	while (at < len) {
		uint8_t n = answer[at];

		if (n == 0)
			return at + 1;
		if ((n & 0xc0) == 0xc0)
			return at + 2 <= len ? at + 2 : 0;
		if ((n & 0xc0) != 0)
			return 0;
		at += 1 + (size_t)n;
	}
	return 0;
}

/* Its strings, one after the other, are the text (RFC 7208, section 3.3). */
static bool
says(const uint8_t *data, size_t len, const char *text)
{
	size_t left = strlen(text), at = 0;

	while (at < len) {
		size_t n = data[at++];

		if (n > len - at || n > left || memcmp(data + at, text, n) != 0)
			return false;
		at += n;
		text += n;
		left -= n;
	}
	return left == 0;
}

/* Case of letters does not count in names. */
static bool
is_our_question(const uint8_t *answer, size_t len, const uint8_t *query,
    size_t query_len)
{
	return len >= query_len && memcmp(answer, query, 2) == 0 &&
	    (answer[2] & 0xf8) == 0x80 && u16(answer + 4) == 1;
}

static bool
has_our_name(const uint8_t *answer, const uint8_t *query, size_t query_len)
{
	for (size_t i = HEAD; i < query_len; i++)
		if (tolower(answer[i]) != tolower(query[i]))
			return false;
	return true;
}

enum txt_verdict
txt_read(const uint8_t *answer, size_t len, const uint8_t *query,
    size_t query_len, const char *text)
{
	if (len < HEAD || !is_our_question(answer, len, query, query_len) ||
	    !has_our_name(answer, query, query_len))
		return TXT_BROKEN;
	if ((answer[2] & 2) != 0)
		return TXT_TRUNCATED;
	unsigned int rcode = answer[3] & 15u, n = u16(answer + 6);

	if (rcode == 3)
		return TXT_ABSENT;
	if (rcode != 0)
		return TXT_REFUSED;
	size_t at = query_len;

	for (; n > 0; n--) {
		at = skip_name(answer, len, at);
		if (at == 0 || len - at < 10)
			return TXT_BROKEN;
		unsigned int type = u16(answer + at);
		unsigned int class_ = u16(answer + at + 2);
		size_t size = u16(answer + at + 8);

		at += 10;
		if (size > len - at)
			return TXT_BROKEN;
		/* An alias stands before what it leads to: the resolver has
		 * followed it. */
		if (type == TYPE_TXT && class_ == CLASS_IN &&
		    says(answer + at, size, text))
			return TXT_FOUND;
		at += size;
	}
	return TXT_ABSENT;
}

/* --- the resolver -------------------------------------------------------------- */

static bool
read_port(uint16_t *port, const char *text)
{
	uint64_t number;

	if (!text_to_u64(&number, text, strlen(text)) || number == 0 ||
	    number > 65535)
		return false;
	*port = htons((uint16_t)number);
	return true;
}

static bool
read_server(struct sockaddr_storage *out, socklen_t *len, const char *server)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	char host[80];
	uint16_t port = htons(53);

	memset(out, 0, sizeof(*out));
	if (!text_copy(host, sizeof(host), server))
		return false;
	char *end = host[0] == '[' ? strchr(host, ']') : NULL;
	const bool bracketed = end != NULL;
	const char *first = strchr(host, ':');

	if (bracketed)
		*end++ = '\0';
	else if (first != NULL && first == strrchr(host, ':'))
		end = strchr(host, ':');
	if (end != NULL && *end == ':') {
		*end = '\0';
		if (!read_port(&port, end + 1))
			return false;
	} else if (end != NULL && *end != '\0') {
		return false;
	}
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		*len = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host + bracketed, &v6->sin6_addr) != 1)
		return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port;
	*len = sizeof(*v6);
	return true;
}

bool
txt_server_is_one(const char *server)
{
	struct sockaddr_storage address;
	socklen_t len;

	return read_server(&address, &len, server);
}

static bool
find_server(struct sockaddr_storage *out, socklen_t *len)
{
	char line[256], word[80];
	FILE *file = fopen(RESOLV_CONF, "re");
	bool found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = sscanf(line, "nameserver %79s", word) == 1 &&
		    read_server(out, len, word);
	fclose(file);
	return found;
}

/* --- asking ------------------------------------------------------------------------ */

struct asking {
	struct sockaddr_storage server;
	socklen_t server_len;
	uint8_t query[TXT_QUERY_MAX];
	size_t query_len;
	const char *text;
	int64_t deadline; /* boottime, ms */
	uint8_t answer[TXT_ANSWER_MAX];
};

/* False: the time is up, or the socket is of no use. */
static bool
wait_on(int fd, short what, int64_t until)
{
	struct pollfd poll_fd = { .fd = fd, .events = what };
	int64_t left = until - clock_boottime_ms();

	while (left > 0) {
		int n = poll(&poll_fd, 1, (int)left);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		left = until - clock_boottime_ms();
	}
	return false;
}

static int
open_socket(const struct asking *asking, int type)
{
	int fd = socket(asking->server.ss_family,
	    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    connect(fd, (const struct sockaddr *)&asking->server,
		asking->server_len) != 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Only from the resolver's address (the socket is connected); others may still
 * guess, so what is not to our question is passed over. */
static enum txt_verdict
ask_udp(struct asking *asking, int64_t until)
{
	enum txt_verdict verdict = TXT_BROKEN;
	int fd = open_socket(asking, SOCK_DGRAM);

	if (fd < 0)
		return TXT_BROKEN;
	if (send(fd, asking->query, asking->query_len, MSG_NOSIGNAL) ==
	    (ssize_t)asking->query_len) {
		for (int i = 0; i < STRAYS_MAX && verdict == TXT_BROKEN &&
		     wait_on(fd, POLLIN, until);
		     i++) {
			ssize_t n =
			    recv(fd, asking->answer, sizeof(asking->answer), 0);

			if (n < 0)
				break;
			verdict = txt_read(asking->answer, (size_t)n,
			    asking->query, asking->query_len, asking->text);
		}
	}
	close(fd);
	return verdict;
}

static bool
send_all(int fd, const uint8_t *data, size_t len, int64_t until)
{
	while (len > 0) {
		if (!wait_on(fd, POLLOUT, until))
			return false;
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool
receive_all(int fd, uint8_t *data, size_t len, int64_t until)
{
	while (len > 0) {
		if (!wait_on(fd, POLLIN, until))
			return false;
		ssize_t n = recv(fd, data, len, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static enum txt_verdict
ask_tcp(struct asking *asking)
{
	uint8_t head[2] = { (uint8_t)(asking->query_len >> 8),
		(uint8_t)asking->query_len };
	enum txt_verdict verdict = TXT_BROKEN;
	int fd = open_socket(asking, SOCK_STREAM);

	if (fd < 0)
		return TXT_BROKEN;
	if (send_all(fd, head, sizeof(head), asking->deadline) &&
	    send_all(fd, asking->query, asking->query_len, asking->deadline) &&
	    receive_all(fd, head, sizeof(head), asking->deadline) &&
	    u16(head) <= sizeof(asking->answer) &&
	    receive_all(fd, asking->answer, u16(head), asking->deadline))
		verdict = txt_read(asking->answer, u16(head), asking->query,
		    asking->query_len, asking->text);
	close(fd);
	return verdict == TXT_TRUNCATED ? TXT_BROKEN : verdict;
}

static enum txt_verdict
ask(struct asking *asking)
{
	int64_t began = clock_boottime_ms();
	int64_t step = (asking->deadline - began) / TRIES;
	enum txt_verdict verdict = TXT_BROKEN;

	for (int i = 1; i <= TRIES && verdict == TXT_BROKEN; i++)
		verdict = ask_udp(asking, began + i * step);
	return verdict == TXT_TRUNCATED ? ask_tcp(asking) : verdict;
}

static void
fail(struct courier_posted *out, uint32_t status, const char *words)
{
	*out = (struct courier_posted){ .outcome = COURIER_FAILED,
		.status = status };
	text_copy(out->error, sizeof(out->error), words);
}

void
txt_look_up(struct courier_posted *out, const char *server,
    const struct courier_txt *job, int64_t timeout_ms)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	uint16_t id;

	randombytes_buf(&id, sizeof(id));
	fail(out, 0, "out of memory");
	if (asking == NULL)
		return;
	asking->text = job->text;
	asking->deadline = clock_boottime_ms() + timeout_ms;
	if (!(server[0] != '\0'
		    ? read_server(&asking->server, &asking->server_len, server)
		    : find_server(&asking->server, &asking->server_len)))
		fail(out, 0, "no resolver is known: [courier] dns");
	else if (txt_write(asking->query, &asking->query_len, job->name, id) !=
	    0)
		fail(out, 404, "it is no name");
	else
		switch (ask(asking)) {
		case TXT_FOUND:
			*out = (struct courier_posted){
				.outcome = COURIER_DELIVERED,
				.status = 200,
			};
			break;
		case TXT_ABSENT:
			fail(out, 404, "the record is not there");
			break;
		case TXT_TRUNCATED:
		case TXT_BROKEN:
			fail(out, 0, "the resolver does not answer");
			break;
		case TXT_REFUSED:
			fail(out, 0, "the resolver could not find out");
			break;
		}
	free(asking);
}
