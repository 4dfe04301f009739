/* A taken process writes what it likes to its peer: every message handed out
 * is whole and within bounds, and a broken frame closes once. The first byte
 * is the size of the writes. */
#include "shared/base/buf.h"
#include "shared/base/log.h"
#include "shared/ipc/ipc.h"

#include <assert.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct listener {
	struct ipc *ipc;
	const uint8_t *sent;
	size_t taken; /* bytes of whole messages so far */
	int closed;
};

static void
on_message(void *ctx, const struct ipc_message *message)
{
	struct listener *listener = ctx;
	const uint8_t *frame = listener->sent + listener->taken;

	assert(listener->closed == 0);
	assert(message->len == be32_read(frame));
	assert(message->len <= IPC_PAYLOAD_MAX);
	assert(message->kind == be16_read(frame + 4));
	assert(message->tag == be64_read(frame + 16));
	assert(message->len == 0 ||
	    memcmp(message->payload, frame + IPC_HEADER_BYTES, message->len) ==
		0);
	listener->taken += IPC_HEADER_BYTES + message->len;
	if (message->kind == 1) {
		ipc_pause(listener->ipc);
		ipc_resume(listener->ipc);
	}
}

static void
on_closed(void *ctx)
{
	struct listener *listener = ctx;

	listener->closed++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ipc_callbacks callbacks = { on_message, on_closed };
	struct listener listener = { 0 };
	struct event_base *base = event_base_new();
	int fds[2];

	if (size == 0) {
		event_base_free(base);
		return 0;
	}
	if (base == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		abort();
	size_t step = 1 + (size_t)data[0] * 64;

	log_open("fuzz", LOG_ERROR + 1, 0);
	listener.sent = data + 1;
	listener.ipc = ipc_new(base, fds[0], &callbacks, &listener);
	assert(listener.ipc != NULL);
	for (size_t at = 1; at < size && listener.closed == 0; at += step) {
		size_t n = size - at < step ? size - at : step;

		if (send(fds[1], data + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		for (int turn = 0; turn < 3; turn++)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	close(fds[1]);
	for (int turn = 0; turn < 3; turn++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert(listener.closed == 1);
	assert(listener.taken < size);
	ipc_free(listener.ipc);
	event_base_free(base);
	return 0;
}
