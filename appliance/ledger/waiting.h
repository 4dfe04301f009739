/*
 * Waiting for a seat, in the process around the ledger: the queue (queue.h)
 * between agents that ask and a core that knows no waiting.
 *
 * A checkout that may wait and that the core refused for want of seats joins
 * the queue of its pool and is answered with its place; no denial is noted
 * until the wait has ended without a seat. A newcomer does not overtake: while
 * somebody waits, is there and has no offer yet, the core is asked to count all
 * seats as reserved, so that a retry of an old checkout still gets its answer
 * and everybody else joins, or is refused in words. Waiting begins when the
 * core's refusal is back in the loop: a seat that comes free within the same
 * batch may go to who stands behind in it.
 *
 * When seats of a pool may be free it gets a turn: what the ledger has free,
 * less what is set aside, is offered to the head by notice (lease.offered). The
 * same checkout again is the claim. It goes through the core like any other,
 * with the seats of other offers reserved; if it was raced all the same, the
 * waiter keeps its place. An offer that is not claimed in time, or that is
 * cancelled, passes on. Who waits is told its place when it changed, once a
 * second at most for the first hundred of a pool, within some ten seconds for
 * those further back (queue.h), and why, when its wait is over.
 *
 * A session that ends takes back the offers to its device, whose waiters are
 * passed over and leave after a minute. A restart empties the queue: agents ask
 * again, and stand in the order of that.
 *
 * A cancel knows waiters only: one that overtakes its own checkout finds
 * nothing. Who then gets a place, an offer or a lease that nobody wants any more
 * cancels again or gives it back.
 */
#ifndef APPLIANCE_LEDGER_WAITING_H
#define APPLIANCE_LEDGER_WAITING_H

#include "appliance/ledger/inside.h"

#include <event2/util.h>

/** Seconds in which an offer is to be claimed. */
#define WAITING_CLAIM_S 15
/** Seconds that the place of a device without a session is kept. */
#define WAITING_ABSENT_S 60
/** Waiters at most: of a pool, of a device, of a tenant. */
#define WAITING_POOL_MAX 16384
#define WAITING_DEVICE_MAX 256
#define WAITING_TOTAL_MAX 32768

/** Before anything else of it is used; needs no release but queue_release. */
void waiting_init(struct tenant *tenant);
/** Pools that are due get their turn once the loop comes to it. */
void waiting_wake(struct tenant *tenant);
/** The event of process.turn; ctx is the process. */
void waiting_turn(evutil_socket_t fd, short what, void *ctx);
/** Once a second. */
void waiting_tick(struct tenant *tenant);

/** What happened elsewhere; all cost next to nothing while nobody waits. */
void waiting_seats_freed(struct tenant *tenant, uint64_t license);
void waiting_anything_changed(struct tenant *tenant);
void waiting_device_left(struct tenant *tenant, uint64_t device);
void waiting_device_came(struct tenant *tenant, uint64_t device);
void waiting_device_revoked(struct tenant *tenant, uint64_t device);

/** Seats of a pool that are not for who comes now and does not wait: those on
 * offer, or all, while somebody waits. */
uint32_t waiting_reserved(const struct tenant *tenant, const char *product,
    const char *feature);

/** A checkout, whoever asked for it; call->answer answers it. Its request is
 * call->write.command's. */
void waiting_begin(struct call *call);
/** The turn of a checkout that hung: its waiter has an offer. */
void waiting_claim(struct call *call, struct waiter *waiter);

/** Handlers. */
void waiting_checkout(const struct request *request);
void waiting_cancel(const struct request *request);
void waiting_list(const struct request *request);
void waiting_remove(const struct request *request);

/** Who asks for what, to a policy. Borrowed from the waiter. */
void waiting_facts(struct policy_facts *facts, const struct waiter *waiter);

/** A wait was in vain. */
void waiting_note_denial(struct tenant *tenant, const struct waiter *waiter,
    int err);
/** It leaves without a seat: its agent is told why, and a denial noted if
 * `denied`. */
void waiting_end(struct tenant *tenant, struct waiter *waiter, int err,
    bool denied);

#endif
