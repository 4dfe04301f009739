/*
 * Framed messages over a socketpair; see ipc.h. A message costs no system call
 * of its own: what a turn of the loop sends is one flat buffer and one send(2)
 * at the end of that turn, what arrived comes with one read(2) and is handed
 * out in place.
 *
 * Not a bufferevent: those of libevent 2.1 read at most 4,096 bytes a turn
 * whatever they are told, which is about 30 requests, and the ledger's batches
 * are as large as its reads.
 */
#include "shared/ipc/ipc.h"

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/base/err.h"
#include "shared/base/log.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IPC_SOCKET_BYTES (4 << 20)
/* Read at once; also the buffer's size while no message is larger. */
#define IPC_READ_BYTES ((size_t)256 << 10)
/* A peer that does not read may cost this much, then sending fails. */
#define IPC_QUEUE_MAX ((size_t)64 << 20)
/* What an empty output buffer may keep. */
#define IPC_KEEP_BYTES ((size_t)1 << 20)

struct ipc {
	int fd;
	struct ipc_callbacks callbacks;
	void *ctx;
	struct event *readable;
	struct event *writable; /* only while the socket is full */
	struct event *turn_end; /* made active by the first send of a turn */
	struct event *go_on; /* hands out what a pause left */

	uint8_t *in; /* bytes in_start..in_end are not handed out yet */
	size_t in_size, in_start, in_end;
	struct buf out; /* bytes from out_start on have not left */
	size_t out_start;

	bool waiting; /* turn_end or writable will come */
	bool deaf; /* the peer will not read any more */
	bool closed; /* told the owner so */
	bool paused;
	bool handing; /* inside a callback */
	bool doomed; /* freed by it */
};

static void
ipc_destroy(struct ipc *ipc)
{
	if (ipc->readable != NULL)
		event_free(ipc->readable);
	if (ipc->writable != NULL)
		event_free(ipc->writable);
	if (ipc->turn_end != NULL)
		event_free(ipc->turn_end);
	if (ipc->go_on != NULL)
		event_free(ipc->go_on);
	if (ipc->fd >= 0)
		close(ipc->fd);
	free(ipc->in);
	buf_release(&ipc->out);
	free(ipc);
}

void
ipc_free(struct ipc *ipc)
{
	if (ipc == NULL)
		return;
	if (ipc->handing)
		ipc->doomed = true;
	else
		ipc_destroy(ipc);
}

static void
ipc_stop(struct ipc *ipc)
{
	event_del(ipc->readable);
	event_del(ipc->writable);
	event_del(ipc->turn_end);
	event_del(ipc->go_on);
	ipc->deaf = true;
	ipc->closed = true;
	buf_release(&ipc->out);
	ipc->out_start = 0;
}

/* The last thing done with this ipc in a callback of the loop. */
static void
ipc_close(struct ipc *ipc)
{
	if (ipc->closed)
		return;
	ipc_stop(ipc);
	ipc->handing = true;
	ipc->callbacks.closed(ipc->ctx);
	ipc->handing = false;
	if (ipc->doomed)
		ipc_destroy(ipc);
}

/* --- reading ----------------------------------------------------------------
 */

static int
ipc_grow(struct ipc *ipc, size_t size)
{
	uint8_t *in = malloc(size);

	if (in == NULL)
		return ERR_NOMEM;
	if (ipc->in_end > ipc->in_start)
		memcpy(in, ipc->in + ipc->in_start,
		    ipc->in_end - ipc->in_start);
	free(ipc->in);
	ipc->in = in;
	ipc->in_size = size;
	ipc->in_end -= ipc->in_start;
	ipc->in_start = 0;
	return 0;
}

/* After handing out: what is left moves to the front, a buffer that a large
 * message needed goes. `want` is what the next message takes in all. */
static int
ipc_make_room(struct ipc *ipc, size_t want)
{
	size_t left = ipc->in_end - ipc->in_start;

	if (want > ipc->in_size)
		return ipc_grow(ipc, want);
	if (ipc->in_size > IPC_READ_BYTES && want <= IPC_READ_BYTES &&
	    left <= IPC_READ_BYTES)
		return ipc_grow(ipc, IPC_READ_BYTES);
	if (ipc->in_start > 0) {
		if (left > 0)
			memmove(ipc->in, ipc->in + ipc->in_start, left);
		ipc->in_start = 0;
		ipc->in_end = left;
	}
	return 0;
}

static void
ipc_decode(struct ipc_message *message, const uint8_t *p)
{
	message->len = be32_read(p);
	message->kind = be16_read(p + 4);
	message->op = be16_read(p + 6);
	message->conn = be64_read(p + 8);
	message->tag = be64_read(p + 16);
	message->payload = p + IPC_HEADER_BYTES;
}

/* Hands out every whole message. Returns ERR_BUSY when paused, ERR_CLOSED
 * when freed or broken, otherwise 0; *want is the size of the next message
 * as far as it is known. */
static int
ipc_hand_out(struct ipc *ipc, size_t *want)
{
	struct ipc_message message;

	*want = IPC_HEADER_BYTES;
	while (ipc->in_end - ipc->in_start >= IPC_HEADER_BYTES) {
		if (ipc->paused)
			return ERR_BUSY;
		ipc_decode(&message, ipc->in + ipc->in_start);
		if (message.len > IPC_PAYLOAD_MAX) {
			log_error("ipc",
			    "peer announced %u bytes, at most %u; closed",
			    message.len, IPC_PAYLOAD_MAX);
			ipc_close(ipc);
			return ERR_CLOSED;
		}
		*want = IPC_HEADER_BYTES + (size_t)message.len;
		if (ipc->in_end - ipc->in_start < *want)
			return 0;
		ipc->in_start += *want;
		*want = IPC_HEADER_BYTES;
		ipc->handing = true;
		ipc->callbacks.message(ipc->ctx, &message);
		ipc->handing = false;
		if (ipc->doomed) {
			ipc_destroy(ipc);
			return ERR_CLOSED;
		}
	}
	return 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct ipc *ipc = ctx;
	size_t want;

	(void)what;
	ssize_t n = read(fd, ipc->in + ipc->in_end, ipc->in_size - ipc->in_end);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* ECONNRESET: the peer died with bytes of ours unread. */
		if (n < 0 && errno != ECONNRESET)
			log_error("ipc", "reading failed: %s", strerror(errno));
		ipc_close(ipc);
		return;
	}
	ipc->in_end += (size_t)n;
	int err = ipc_hand_out(ipc, &want);

	if (err == 0 && ipc_make_room(ipc, want) != 0) {
		log_error("ipc", "no memory for a message of %zu bytes", want);
		ipc_close(ipc);
	}
}

static void
on_go_on(evutil_socket_t fd, short what, void *ctx)
{
	struct ipc *ipc = ctx;
	size_t want;

	(void)fd;
	(void)what;
	int err = ipc_hand_out(ipc, &want);

	if (err != 0)
		return;
	if (ipc_make_room(ipc, want) != 0 ||
	    (!ipc->paused && event_add(ipc->readable, NULL) != 0)) {
		log_error("ipc", "no memory to go on reading");
		ipc_close(ipc);
	}
}

void
ipc_pause(struct ipc *ipc)
{
	if (ipc->paused || ipc->closed)
		return;
	ipc->paused = true;
	event_del(ipc->go_on);
	event_del(ipc->readable);
}

void
ipc_resume(struct ipc *ipc)
{
	if (!ipc->paused || ipc->closed)
		return;
	ipc->paused = false;
	/* From the loop, not from here: the caller may be in a callback. */
	event_active(ipc->go_on, EV_TIMEOUT, 0);
}

/* --- writing ----------------------------------------------------------------
 */

/* Returns 0 when all has left, ERR_BUSY when the socket is full, or
 * ERR_CLOSED; then reading goes on, because what the peer said before it left
 * still counts, and its end of file closes this side. */
static int
ipc_write(struct ipc *ipc)
{
	struct buf *out = &ipc->out;

	while (ipc->out_start < out->len) {
		ssize_t n = send(ipc->fd, out->data + ipc->out_start,
		    out->len - ipc->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return ERR_BUSY;
		if (n < 0) {
			if (errno != EPIPE && errno != ECONNRESET)
				log_error("ipc", "writing failed: %s",
				    strerror(errno));
			ipc->deaf = true;
			buf_release(out);
			ipc->out_start = 0;
			return ERR_CLOSED;
		}
		ipc->out_start += (size_t)n;
	}
	ipc->out_start = 0;
	if (out->size > IPC_KEEP_BYTES)
		buf_release(out);
	else
		buf_clear(out);
	return 0;
}

static void
on_writable(evutil_socket_t fd, short what, void *ctx)
{
	struct ipc *ipc = ctx;

	(void)fd;
	(void)what;
	ipc->waiting = false;
	if (ipc_write(ipc) != ERR_BUSY)
		return;
	if (event_add(ipc->writable, NULL) == 0) {
		ipc->waiting = true;
		return;
	}
	log_error("ipc", "no memory to go on writing");
	ipc_close(ipc);
}

/* Before the buffer grows: bytes that left make room at its front. */
static void
ipc_compact(struct ipc *ipc, size_t more)
{
	struct buf *out = &ipc->out;

	if (ipc->out_start == 0 || out->size - out->len >= more ||
	    ipc->out_start < out->len / 2)
		return;
	memmove(out->data, out->data + ipc->out_start,
	    out->len - ipc->out_start);
	out->len -= ipc->out_start;
	ipc->out_start = 0;
}

int
ipc_send(struct ipc *ipc, const struct ipc_message *message)
{
	size_t size = IPC_HEADER_BYTES + (size_t)message->len;

	if (message->len > IPC_PAYLOAD_MAX)
		return ERR_TOO_LARGE;
	if (ipc->deaf || ipc->doomed)
		return ERR_CLOSED;
	ipc_compact(ipc, size);
	uint8_t *p = buf_extend(&ipc->out, size);

	if (p == NULL) {
		/* What was queued before is whole and may still leave. */
		ipc->out.failed = false;
		return ERR_NOMEM;
	}
	be32_write(p, message->len);
	be16_write(p + 4, message->kind);
	be16_write(p + 6, message->op);
	be64_write(p + 8, message->conn);
	be64_write(p + 16, message->tag);
	if (message->len != 0)
		memcpy(p + IPC_HEADER_BYTES, message->payload, message->len);
	if (!ipc->waiting) {
		ipc->waiting = true;
		event_active(ipc->turn_end, EV_TIMEOUT, 0);
	}
	return 0;
}

size_t
ipc_queued(const struct ipc *ipc)
{
	return ipc->out.len - ipc->out_start;
}

void
ipc_flush(struct ipc *ipc, int wait_ms)
{
	int64_t end = clock_boottime_ms() + wait_ms;

	if (ipc->deaf)
		return;
	while (ipc_write(ipc) == ERR_BUSY) {
		struct pollfd pfd = { .fd = ipc->fd, .events = POLLOUT };
		int64_t left = end - clock_boottime_ms();

		if (left <= 0)
			return;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return;
	}
}

/* --- making -----------------------------------------------------------------
 */

static int
ipc_prepare_socket(int fd)
{
	const int size = IPC_SOCKET_BYTES;
	int now = 0;
	socklen_t now_len = sizeof(now);
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return ERR_SYSTEM;
	/* The supervisor may have done it, and asking again without
	 * CAP_NET_ADMIN would make it smaller. */
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &now_len) == 0 &&
	    now >= size)
		return 0;
	/* Without force as much as the system allows: slower, not wrong. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) !=
	    0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size,
		    sizeof(size));
	return 0;
}

struct ipc *
ipc_new(struct event_base *base, int fd, const struct ipc_callbacks *callbacks,
    void *ctx)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));

	if (ipc == NULL) {
		close(fd);
		return NULL;
	}
	ipc->fd = fd;
	ipc->callbacks = *callbacks;
	ipc->ctx = ctx;
	ipc->out.max = IPC_QUEUE_MAX;
	ipc->readable =
	    event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ipc);
	ipc->writable = event_new(base, fd, EV_WRITE, on_writable, ipc);
	ipc->turn_end = event_new(base, -1, 0, on_writable, ipc);
	ipc->go_on = event_new(base, -1, 0, on_go_on, ipc);
	if (ipc_prepare_socket(fd) != 0 || ipc_grow(ipc, IPC_READ_BYTES) != 0 ||
	    ipc->readable == NULL || ipc->writable == NULL ||
	    ipc->turn_end == NULL || ipc->go_on == NULL ||
	    event_add(ipc->readable, NULL) != 0) {
		log_error("ipc", "cannot be set up: %s", strerror(errno));
		ipc_destroy(ipc);
		return NULL;
	}
	return ipc;
}
