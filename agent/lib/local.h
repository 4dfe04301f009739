/*
 * A connection to the agent: JSON-RPC 2.0 on its Unix socket, a line each way
 * (shared/rpc/local.h says what). The library and the CLI both speak through
 * it. Several threads may call at once: each answer finds its caller by its
 * id, whichever of them reads it, so that a checkout which waits in the queue
 * never holds up a beat. It starts no thread and logs nothing; it must not
 * know what the answers mean, nor try again: a connection that failed once is
 * dead and is to be closed.
 *
 * Errors are ERR_* of shared/base/err.h. Refusals come back as the agent named
 * them (ERR_NO_SEATS). Of the connection itself:
 *   ERR_CLOSED   no agent listens there, or it hung up
 *   ERR_TIMEOUT  no answer in time; a late one is passed over, the connection
 *                stays good
 *   ERR_CORRUPT  the agent said something that is not in the protocol
 *   ERR_NOMEM, ERR_SYSTEM, ERR_TOO_LARGE
 * `problem` may be NULL; else it is filled in on every error, for people.
 */
#ifndef AGENT_LIB_LOCAL_H
#define AGENT_LIB_LOCAL_H

#include "shared/base/buf.h"
#include "shared/rpc/local.h"

#include <stdatomic.h>
#include <stdbool.h>

struct local;

/** Where the agent listens: $LEASEHOLD_SOCKET (not in set-uid programs), else
 * LOCAL_SOCKET_DEFAULT. Static or the environment's. */
const char *local_default_path(void);

/** Connect to the socket at `path`; NULL: local_default_path(). */
int local_open(struct local **local, const char *path, int timeout_ms,
    struct problem *problem);

/** Hang up and free. No other thread may be in a call. Takes NULL. */
void local_close(struct local *local);

/**
 * Ask and wait for the answer.
 *
 * @param[out] reply    The operation's reply record, local_get(op)->reply;
 *                      spans live in `arena`. NULL: not wanted.
 * @param[in]  request  The operation's request record; NULL when it has none.
 * @param[in]  timeout_ms  -1: wait as long as the connection lasts.
 */
int local_call(void *reply, struct local *local, enum local_id op,
    const void *request, struct arena *arena, int timeout_ms,
    struct problem *problem);

/** A call on its way, for asking several things at once. Zero-initialise;
 * lives with its caller from local_begin until local_end. */
struct local_waiter {
	struct local_waiter *next;
	uint64_t id;
	enum local_id op;
	int wake_fd; /* eventfd told when the answer is there, or -1 */
	bool done;
	bool refused; /* `answer` is an error object, not a result */
	struct buf answer; /* raw JSON */
};

/** Send a question. On 0 the waiter is registered and local_end must follow.
 * `wake_fd` is written when the answer came (-1: nobody to tell). */
int local_begin(struct local_waiter *waiter, struct local *local,
    enum local_id op, const void *request, int wake_fd, int timeout_ms,
    struct problem *problem);
/** Has it been answered? */
bool local_done(struct local *local, const struct local_waiter *waiter);
/** Stop waiting for it: nothing is read, so no notice comes from here. */
void local_cancel(struct local_waiter *waiter, struct local *local);
/** Read until the question is answered (NULL: none is asked), `news` is set
 * (NULL: nothing will be; set it from a notice), `wake_fd` (-1: none) is
 * readable, the time is over or the connection ends; then returns the
 * connection's error, or 0. Several threads may be in here, but then without a
 * wake_fd: only who reads would see it. The waiter stays registered. */
int local_pause(struct local *local, const struct local_waiter *waiter,
    const _Atomic bool *news, int wake_fd, int timeout_ms);
/** Wait for its answer. The waiter is released whatever comes back. With
 * timeout_ms 0 what has arrived is read, once. */
int local_end(void *reply, struct local_waiter *waiter, struct local *local,
    struct arena *arena, int timeout_ms, struct problem *problem);

/**
 * Who gets notices (LOCAL_REVOKED and those after it). `notice` is called by whichever thread
 * reads, inside its local_call, local_end or local_wait, with no lock held; it
 * may not call local_*. `params` is the notice's record, valid until it
 * returns. Set before the first call.
 */
void local_on_notice(struct local *local,
    void (*notice)(void *ctx, enum local_id id, const void *params), void *ctx);

/**
 * Read notices until the time is over, `wake_fd` (-1: none) is readable, or the
 * connection ends. Returns 0, or the connection's error at once. One thread at
 * a time.
 */
int local_wait(struct local *local, int wake_fd, int timeout_ms);

/** In a child of fork: let go of the descriptors, which are the parent's
 * connection, and touch nothing else. */
void local_abandon(struct local *local);

/** 0 while the connection is good, else what ended it. */
int local_error(struct local *local);

#endif
