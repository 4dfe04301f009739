/*
 * Lines over a Unix socket with deadlines: never blocks past one, never raises
 * SIGPIPE, goes on after EINTR, closes on exec. One thread may read while
 * another writes. It must not know what the lines say.
 *
 * Deadlines are ms of CLOCK_MONOTONIC (conditions of threads know no
 * CLOCK_BOOTTIME); -1 is none. `why` gets words for people with ERR_CLOSED,
 * ERR_CORRUPT and ERR_SYSTEM.
 */
#ifndef AGENT_LIB_STREAM_H
#define AGENT_LIB_STREAM_H

#include "shared/base/buf.h"

#include <time.h>

#define STREAM_WHY 224

struct stream {
	int fd;
	struct buf in;
	size_t taken; /* bytes at the front of `in` already handed out */
};

/** Now and timeout_ms; a negative one is no deadline. */
int64_t stream_deadline(int timeout_ms);
/** What is left of a deadline: 0 when it passed, -1 when there is none. */
int stream_left(int64_t deadline);
void stream_timespec(struct timespec *out, int64_t deadline);

/** Returns 0, ERR_CLOSED, ERR_TIMEOUT or ERR_SYSTEM, with errno set. */
int stream_connect(struct stream *stream, const char *path, int64_t deadline);
void stream_close(struct stream *stream);

/** All of it, or the stream is broken: ERR_CLOSED, also when the deadline
 * passed. */
int stream_write(struct stream *stream, const void *data, size_t len,
    int64_t deadline, char why[static STREAM_WHY]);

/** Wait for bytes and take them in. ERR_BUSY: `wake_fd` is readable. */
int stream_read(struct stream *stream, int wake_fd, int64_t deadline,
    char why[static STREAM_WHY]);

/** The next whole line without its end, valid until the next call; NULL: there
 * is none yet. ERR_CORRUPT: longer than LOCAL_LINE_MAX. */
int stream_line(const char **line, size_t *len, struct stream *stream,
    char why[static STREAM_WHY]);

/** Wait for either descriptor (-1: none). ERR_BUSY: `wake_fd`; 0: the eventfd
 * `handoff_fd`, which is emptied; ERR_TIMEOUT. */
int stream_poll(int wake_fd, int handoff_fd, int64_t deadline);

#endif
