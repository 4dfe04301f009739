/*
 * Framed messages between our own processes over a Unix stream socketpair, on
 * a libevent base: a fixed header and a payload, big-endian. Writes of one
 * turn of the loop leave as one. It must not know what the kinds mean; each
 * pair of processes has its own list of them.
 */
#ifndef SHARED_IPC_IPC_H
#define SHARED_IPC_IPC_H

#include <stddef.h>
#include <stdint.h>

struct event_base;

/** Payload of one message at most, bytes. */
#define IPC_PAYLOAD_MAX ((uint32_t)4 << 20)

/** len u32 (payload), kind u16, op u16, conn u64, tag u64: 24 bytes. */
#define IPC_HEADER_BYTES 24

struct ipc_message {
	uint16_t kind;
	uint16_t op; /* operation id, or what the kind makes of it */
	uint64_t conn; /* connection: index and generation */
	uint64_t tag; /* request on that connection */
	const uint8_t *payload;
	uint32_t len;
};

struct ipc;

struct ipc_callbacks {
	/** One whole message; its payload is valid until the return. */
	void (*message)(void *ctx, const struct ipc_message *message);
	/** The peer is gone or broke the framing; the ipc may be freed here. */
	void (*closed)(void *ctx);
};

/** Takes fd (also on failure). Sets it non-blocking, buffers of 4 MB where
 * allowed. NULL when out of memory. One thread: the base's. */
struct ipc *ipc_new(struct event_base *base, int fd,
    const struct ipc_callbacks *callbacks, void *ctx);
void ipc_free(struct ipc *ipc);

/** Queue a message; copied. Returns 0, ERR_TOO_LARGE, ERR_NOMEM or
 * ERR_CLOSED. */
int ipc_send(struct ipc *ipc, const struct ipc_message *message);

/** Bytes waiting to leave, for back-pressure. */
size_t ipc_queued(const struct ipc *ipc);

/** Stop and go on reading, for back-pressure. */
void ipc_pause(struct ipc *ipc);
void ipc_resume(struct ipc *ipc);

/** Try to write what is queued until it is gone or `wait_ms` is over; for the
 * last words of a process. */
void ipc_flush(struct ipc *ipc, int wait_ms);

#endif
