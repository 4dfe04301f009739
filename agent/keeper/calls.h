/*
 * The keeper's end of the channel to the uplink: connect, hang up, and calls
 * that each get exactly one answer. It must not know what is asked for, nor
 * when to connect.
 */
#ifndef AGENT_KEEPER_CALLS_H
#define AGENT_KEEPER_CALLS_H

#include "agent/uplink/wire.h"
#include "shared/rpc/local.h"
#include "shared/rpc/operations.h"

#include <stdbool.h>

struct event_base;
struct calls;

struct calls_callbacks {
	void (*opened)(void *ctx, const struct uplink_peer *peer);
	/** The connection is gone or never came about; every call has had its
	 * answer. Also when the uplink itself ended. */
	void (*closed)(void *ctx, enum local_cause cause, const char *reason);
	/** What any call came to, before its `done`; problem as there. */
	void (*answered)(void *ctx, enum operation_id op, int err,
	    const struct problem *problem);
	/** `record` is the operation's request record. */
	void (*notice)(void *ctx, enum operation_id op, const void *record);
	/** An uplink is there again: time to connect. */
	void (*ready)(void *ctx);
};

/**
 * The answer. err 0: `reply` is the operation's reply record, valid until the
 * return. Else an ERR_*, and `problem` says more; ERR_CLOSED: the connection
 * ended first, outcome unknown.
 */
typedef void calls_done(void *ctx, int err, const void *reply,
    const struct problem *problem);

int calls_new(struct calls **calls, struct event_base *base,
    const struct calls_callbacks *callbacks, void *ctx);
/** No callbacks. Takes NULL. */
void calls_free(struct calls *calls);

/** A new uplink's descriptor (taken); an old one is dropped. */
int calls_take_uplink(struct calls *calls, int fd);
bool calls_have_uplink(const struct calls *calls);

int calls_connect(struct calls *calls, const struct uplink_target *target);
/** `closed` follows, from the loop. */
void calls_hang_up(struct calls *calls);

/** Ask the site. 0: `done` will be called once. */
int calls_ask(struct calls *calls, enum operation_id op, const void *request,
    calls_done *done, void *ctx);

/** Age of the oldest call without an answer, ms; 0: none. */
int64_t calls_oldest_ms(const struct calls *calls);

/** Last words out to the uplink. */
void calls_flush(struct calls *calls, int wait_ms);

#endif
