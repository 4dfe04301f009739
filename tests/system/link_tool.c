/*
 * A bad link between two network namespaces, for the system tests: packets go
 * through this program, which loses, delays, doubles and cuts. It needs root
 * and /dev/net/tun, and no module of the kernel for it.
 *
 *   link_tool NAMESPACE NAMESPACE
 *
 * Makes an interface "link0" in each, says {"event":"ready"}, and then obeys
 * lines of its standard input, each answered with {"event":"done"}:
 *   loss PERCENT   delay MS   jitter MS   double PERCENT   cut 0|1
 * until that ends. Delays are each way. The same packets are lost each time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65536
/* Of both ways; a queue that is full loses what comes. */
#define QUEUE_MAX 4096

struct packet {
	int64_t due_ms;
	int to;
	size_t len;
	uint8_t *data; /* NULL: free */
};

struct link {
	int fds[2];
	struct packet queue[QUEUE_MAX];
	unsigned int loss, delay_ms, jitter_ms, twice;
	bool cut;
	uint64_t random;
};

static void
give_up(const char *what)
{
	fprintf(stderr, "link_tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* xorshift64*, below `limit` */
static unsigned int
any_below(struct link *link, unsigned int limit)
{
	link->random ^= link->random >> 12;
	link->random ^= link->random << 25;
	link->random ^= link->random >> 27;
	return limit == 0
	    ? 0
	    : (unsigned int)((link->random * UINT64_C(2685821657736338717)) >>
		  33) %
		limit;
}

/* An interface in a namespace; the descriptor works from any. */
static int
open_end(const char *namespace)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char path[256];

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	int ns = open(path, O_RDONLY | O_CLOEXEC);

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		give_up(path);
	close(ns);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "link0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
		give_up("/dev/net/tun");
	return fd;
}

static void
keep(struct link *link, int to, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < QUEUE_MAX; i++) {
		struct packet *packet = &link->queue[i];

		if (packet->data != NULL)
			continue;
		packet->data = malloc(len);
		if (packet->data == NULL)
			return;
		memcpy(packet->data, data, len);
		packet->len = len;
		packet->to = to;
		packet->due_ms = now_ms() + link->delay_ms +
		    any_below(link, link->jitter_ms + 1);
		return;
	}
}

static void
receive(struct link *link, int from)
{
	static uint8_t data[PACKET_MAX];
	ssize_t len;

	while ((len = read(link->fds[from], data, sizeof(data))) > 0) {
		if (link->cut || any_below(link, 100) < link->loss)
			continue;
		keep(link, 1 - from, data, (size_t)len);
		if (any_below(link, 100) < link->twice)
			keep(link, 1 - from, data, (size_t)len);
	}
}

/* Hand on what is due; ms until the next is, -1: nothing waits. */
static int
deliver(struct link *link)
{
	int64_t now = now_ms(), next = -1;

	for (size_t i = 0; i < QUEUE_MAX; i++) {
		struct packet *packet = &link->queue[i];

		if (packet->data == NULL)
			continue;
		if (packet->due_ms > now) {
			if (next < 0 || packet->due_ms < next)
				next = packet->due_ms;
			continue;
		}
		if (!link->cut)
			(void)!write(link->fds[packet->to], packet->data,
			    packet->len);
		free(packet->data);
		packet->data = NULL;
	}
	return next < 0 ? -1 : (int)(next - now);
}

static bool
obey(struct link *link)
{
	char line[64], word[16];
	unsigned int value;

	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	if (sscanf(line, "%15s %u", word, &value) != 2)
		give_up("not an order");
	if (strcmp(word, "loss") == 0)
		link->loss = value;
	else if (strcmp(word, "delay") == 0)
		link->delay_ms = value;
	else if (strcmp(word, "jitter") == 0)
		link->jitter_ms = value;
	else if (strcmp(word, "double") == 0)
		link->twice = value;
	else if (strcmp(word, "cut") == 0)
		link->cut = value != 0;
	else
		give_up(word);
	printf("{\"event\":\"done\"}\n");
	fflush(stdout);
	return true;
}

int
main(int argc, char **argv)
{
	static struct link link = { .random = 1 };

	if (argc != 3) {
		fprintf(stderr, "usage: link_tool NAMESPACE NAMESPACE\n");
		return 2;
	}
	link.fds[0] = open_end(argv[1]);
	link.fds[1] = open_end(argv[2]);
	printf("{\"event\":\"ready\"}\n");
	fflush(stdout);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = STDIN_FILENO, .events = POLLIN },
			{ .fd = link.fds[0], .events = POLLIN },
			{ .fd = link.fds[1], .events = POLLIN },
		};

		if (poll(fds, 3, deliver(&link)) < 0 && errno != EINTR)
			give_up("poll");
		if (fds[0].revents != 0 && !obey(&link))
			return 0;
		receive(&link, 0);
		receive(&link, 1);
	}
}
