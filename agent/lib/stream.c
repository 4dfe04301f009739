#include "agent/lib/stream.h"

#include "shared/base/err.h"
#include "shared/rpc/local.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES ((size_t)8 << 10)
/* How soon to knock again at a listener whose backlog is full. */
#define CONNECT_RETRY_MS 20

static int64_t
monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
stream_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : monotonic_ms() + timeout_ms;
}

int
stream_left(int64_t deadline)
{
	if (deadline < 0)
		return -1;
	int64_t left = deadline - monotonic_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void
stream_timespec(struct timespec *out, int64_t deadline)
{
	out->tv_sec = (time_t)(deadline / 1000);
	out->tv_nsec = (long)(deadline % 1000) * 1000000;
}

/* poll that a signal does not shorten. Returns > 0, 0 when the time is over,
 * -1 with errno. */
static int
poll_until(struct pollfd *fds, nfds_t n, int64_t deadline)
{
	int ready;

	do
		ready = poll(fds, n, stream_left(deadline));
	while (ready < 0 && errno == EINTR);
	return ready;
}

int
stream_connect(struct stream *stream, const char *path, int64_t deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return ERR_CLOSED;
	}
	memcpy(address.sun_path, path, len);
	stream->fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (stream->fd < 0)
		return ERR_SYSTEM;
	stream->in.max = 2 * LOCAL_LINE_MAX;
	while (connect(stream->fd, (const struct sockaddr *)&address,
		   sizeof(address)) != 0) {
		int saved = errno;

		if (saved == EINTR)
			continue;
		if (saved == EAGAIN && stream_left(deadline) != 0) {
			(void)poll(NULL, 0, CONNECT_RETRY_MS);
			continue;
		}
		stream_close(stream);
		errno = saved;
		return saved == EAGAIN ? ERR_TIMEOUT : ERR_CLOSED;
	}
	return 0;
}

void
stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	buf_release(&stream->in);
	stream->taken = 0;
}

static int
broken(char why[static STREAM_WHY], const char *doing)
{
	int saved = errno;
	bool hung_up = saved == EPIPE || saved == ECONNRESET;

	snprintf(why, STREAM_WHY, "%s the agent failed: %s", doing,
	    hung_up ? "it hung up" : strerror(saved));
	return hung_up ? ERR_CLOSED : ERR_SYSTEM;
}

int
stream_write(struct stream *stream, const void *data, size_t len,
    int64_t deadline, char why[static STREAM_WHY])
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t n = send(stream->fd, at, len, MSG_NOSIGNAL);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return broken(why, "writing to");
		struct pollfd fd = { .fd = stream->fd, .events = POLLOUT };
		int ready = poll_until(&fd, 1, deadline);

		if (ready < 0)
			return broken(why, "writing to");
		if (ready == 0) {
			snprintf(why, STREAM_WHY, "the agent does not read");
			return ERR_CLOSED;
		}
	}
	return 0;
}

int
stream_read(struct stream *stream, int wake_fd, int64_t deadline,
    char why[static STREAM_WHY])
{
	struct pollfd fds[2] = {
		{ .fd = stream->fd, .events = POLLIN },
		{ .fd = wake_fd, .events = POLLIN },
	};
	int ready = poll_until(fds, 2, deadline);

	if (ready < 0)
		return broken(why, "reading from");
	if (ready == 0)
		return ERR_TIMEOUT;
	/* First who wakes, or a flood of bytes would drown it. */
	if (fds[1].revents != 0)
		return ERR_BUSY;

	/* What was handed out makes room for what comes. */
	struct buf *in = &stream->in;

	if (stream->taken > 0) {
		in->len -= stream->taken;
		memmove(in->data, in->data + stream->taken, in->len);
		stream->taken = 0;
	}
	uint8_t *room = buf_extend(in, READ_BYTES);

	if (room == NULL) {
		snprintf(why, STREAM_WHY, "out of memory");
		return ERR_NOMEM;
	}
	ssize_t n = recv(stream->fd, room, READ_BYTES, 0);

	in->len -= READ_BYTES - (n > 0 ? (size_t)n : 0);
	if (n > 0)
		return 0;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return broken(why, "reading from");
	snprintf(why, STREAM_WHY, "the agent hung up");
	return ERR_CLOSED;
}

int
stream_line(const char **line, size_t *len, struct stream *stream,
    char why[static STREAM_WHY])
{
	size_t left = stream->in.len - stream->taken;
	const uint8_t *from =
	    left == 0 ? NULL : stream->in.data + stream->taken;
	const uint8_t *end = left == 0 ? NULL : memchr(from, '\n', left);
	size_t n = end == NULL ? left : (size_t)(end - from);

	*line = NULL;
	*len = 0;
	if (n > LOCAL_LINE_MAX) {
		snprintf(why, STREAM_WHY,
		    "the agent's line is longer than %zu bytes",
		    (size_t)LOCAL_LINE_MAX);
		return ERR_CORRUPT;
	}
	if (end != NULL) {
		*line = (const char *)from;
		*len = n;
		stream->taken += n + 1;
	}
	return 0;
}

int
stream_poll(int wake_fd, int handoff_fd, int64_t deadline)
{
	struct pollfd fds[2] = {
		{ .fd = handoff_fd, .events = POLLIN },
		{ .fd = wake_fd, .events = POLLIN },
	};
	int ready = poll_until(fds, 2, deadline);
	eventfd_t count;

	if (ready < 0)
		return ERR_SYSTEM;
	if (ready == 0)
		return ERR_TIMEOUT;
	if (fds[0].revents != 0)
		(void)eventfd_read(handoff_fd, &count);
	return fds[1].revents != 0 ? ERR_BUSY : 0;
}
