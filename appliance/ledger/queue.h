/*
 * Who waits for seats of one tenant, in memory. A pool is the seats of a
 * product, or of one feature of it; its waiters stand in the order of priority
 * and then of arrival, and are known by (device, request id). The head gets an
 * offer when there are seats for all it asks; nobody is offered anything before
 * it, so a waiter for many seats holds up those behind it until they are
 * together: it would never get them otherwise. Seats of an offer are set aside
 * until it is claimed or lapses. Waiters of a device that is away keep their
 * place for a while and are passed over meanwhile.
 *
 * Liveness is soft (DESIGN 5): nothing here is journaled, a restart empties it,
 * and the order after it is that of asking again. Memory and time are bounded by
 * the limits: joining, leaving, places, offers and deadlines cost O(log n).
 * Times come in, in milliseconds of one clock. It must not know of stores,
 * sessions, loops or clocks, nor of how many seats there are.
 */
#ifndef APPLIANCE_LEDGER_QUEUE_H
#define APPLIANCE_LEDGER_QUEUE_H

#include "appliance/ledger/rank.h"
#include "appliance/ledger/table.h"
#include "shared/rpc/messages.h"

#define QUEUE_DIGEST_BYTES 16

/** Offers to one waiter that its agent left by hanging up; then it is treated
 * like one that does not answer: nobody holds seats up by coming and going. */
#define QUEUE_OFFERS_MAX 3

/** Places are told when they changed: the first ones every round, all others
 * within so many rounds, and never more than so many notices in a round. */
#define QUEUE_TELL_FIRST 100
#define QUEUE_TELL_ROUNDS 10
#define QUEUE_TELL_MAX 2000

struct queue_limits {
	uint32_t pool_max; /* waiters of one pool */
	uint32_t device_max; /* of one device */
	uint32_t total_max;
	int64_t claim_ms; /* an offer is good for so long */
	int64_t absent_ms; /* a device may be away for so long */
};

enum waiter_state {
	WAITER_WAITING,
	WAITER_OFFERED, /* its seats are set aside */
	WAITER_CLAIMING, /* its claim is on its way through the ledger */
};

/** Whom the site's policy holds up is passed over, and keeps his place. */
enum waiter_held {
	WAITER_NOT_HELD,
	WAITER_HELD, /* for what he has already */
	WAITER_HELD_BACK, /* for what is kept for others: nobody behind him
			     gets seats that are for everybody */
};

struct queue_pool;
struct queue_device;

/** Read it; change it by the functions below. */
struct waiter {
	uint64_t number; /* by arrival; never used again */
	struct queue_pool *pool;
	struct queue_device *device;
	uint8_t request[REQUEST_BYTES];
	uint8_t digest[QUEUE_DIGEST_BYTES]; /* of what was asked */
	uint32_t count; /* seats */
	int32_t priority; /* higher goes first */
	int refusal; /* why it waits: ERR_NO_SEATS, ... */
	enum waiter_state state;
	enum waiter_held held;
	uint32_t offers; /* made, and not refused by the ledger */
	int64_t since, until;
	int64_t claim_until; /* of an offer */
	uint32_t told_place; /* the caller's; 0: none yet */
	void *asker; /* the caller's: who hangs until its turn; or NULL */
	char user[64];
	char host[128];
	char version[32];
	char address[64];
	struct rank_node in_pool, in_all, in_time;
	struct waiter *next, **link; /* of the device */
};

struct queue_device {
	uint64_t device;
	struct waiter *waiters;
	uint32_t count;
	int64_t absent_until; /* 0: it is there */
	struct queue_device *next, **link; /* of those away, longest first */
};

struct queue_pool {
	char product[64];
	char feature[64];
	uint64_t license; /* that it draws from */
	struct rank order; /* ready: may be offered seats */
	uint64_t offered; /* seats of offers not claimed yet */
	uint64_t claiming; /* seats of claims on their way */
	uint32_t n_claiming; /* waiters */
	uint32_t n_held; /* waiters that are passed over */
	uint32_t n_held_back;
	int64_t not_before; /* no turn before then */
	bool due; /* its turn should be looked at */

	uint64_t moves; /* places may have changed so often */
	uint64_t told_moves; /* as all were told them */
	uint64_t round_moves; /* as this round began */
	int64_t cursor_major; /* the last one of the round so far */
	uint64_t cursor_minor; /* 0: it begins */

	struct queue_pool *next, **link; /* of all */
	struct queue_pool *next_due, **due_link;
	struct queue_pool *next_same; /* of the same hash */
	struct queue_pool *next_of_license, **license_link;
};

/** Zero-initialised, with limits set, is empty and valid. */
struct queue {
	struct queue_limits limits;
	uint64_t next_number;
	struct rank all; /* by number */
	struct rank times; /* by deadline */
	struct table devices; /* device -> queue_device */
	struct table pools; /* hash of the names -> queue_pool */
	struct table licenses; /* license -> its first queue_pool */
	struct queue_pool *first_pool, *last_told;
	struct queue_pool *first_due;
	struct queue_device *first_absent, **last_absent;
};

void queue_release(struct queue *queue);
uint32_t queue_count(const struct queue *queue);

/* --- waiters ------------------------------------------------------------- */

/** What a waiter asked; all borrowed. */
struct queue_ask {
	uint64_t device;
	const uint8_t *request; /* REQUEST_BYTES */
	const uint8_t *digest; /* QUEUE_DIGEST_BYTES */
	const char *product, *feature, *user, *host;
	const char *version, *address; /* NULL: not told */
	uint64_t license;
	uint32_t count;
	int32_t priority;
	int refusal;
	int64_t wait_ms;
	bool present; /* its device has a session */
};

/** Join at the end of its priority. (device, request) does not wait yet.
 * ERR_QUEUE_FULL, ERR_NOMEM: nothing changed. */
int queue_join(struct waiter **waiter, struct queue *queue,
    const struct queue_ask *ask, int64_t now);
struct waiter *queue_find(const struct queue *queue, uint64_t device,
    const uint8_t request[REQUEST_BYTES]);
struct waiter *queue_get(const struct queue *queue, uint64_t number);
/** The one with the next higher number; NULL: there is none. */
struct waiter *queue_after(const struct queue *queue, uint64_t number);
/** 1: the first. Those with an offer stand in line until it is claimed. */
uint32_t queue_place(const struct waiter *waiter);
/** It waits until then from now on. */
void queue_set_until(struct queue *queue, struct waiter *waiter, int64_t until);
/** Leave, in whatever state; frees it. */
void queue_leave(struct queue *queue, struct waiter *waiter);

/* --- devices ------------------------------------------------------------- */

/** Its session ended: offers to it are taken back. */
void queue_set_absent(struct queue *queue, uint64_t device, int64_t now);
void queue_set_present(struct queue *queue, uint64_t device);
/** Any waiter of the device, or NULL. */
struct waiter *queue_of_device(const struct queue *queue, uint64_t device);

/* --- pools and offers ---------------------------------------------------- */

/** NULL while nobody waits for it. A pool is freed with its last waiter. */
struct queue_pool *queue_pool_find(const struct queue *queue,
    const char *product, const char *feature);
uint32_t queue_pool_length(const struct queue_pool *pool);
/** How many a newcomer would overtake: those who wait and are there. */
uint32_t queue_pool_ahead(const struct queue_pool *pool);

/** Seats of these pools may be free, or offers possible. */
void queue_pool_set_due(struct queue *queue, struct queue_pool *pool);
void queue_license_set_due(struct queue *queue, uint64_t license);
void queue_all_set_due(struct queue *queue);
/** Take out a pool whose turn is due; NULL: none, or not before its time. */
struct queue_pool *queue_take_due(struct queue *queue, int64_t now);
/** No turn for so long: its claims came to nothing. It stays due. */
void queue_pool_put_off(struct queue *queue, struct queue_pool *pool,
    int64_t until);
/** The pool draws from another license now. ERR_NOMEM. */
int queue_pool_set_license(struct queue *queue, struct queue_pool *pool,
    uint64_t license);

/** Whose turn it is, offered or not; NULL: nobody is there. */
struct waiter *queue_head(const struct queue_pool *pool);
/** Whose turn it is when `free` seats are free in the ledger, those of offers
 * and claims included; NULL: they are not enough for the head. */
struct waiter *queue_next(const struct queue_pool *pool, uint64_t free);
/** Set its seats aside. It waits. */
void queue_offer(struct queue *queue, struct waiter *waiter, int64_t now);
/** Its claim is on its way. It was offered. */
void queue_claim(struct queue *queue, struct waiter *waiter);
/** The claim came to nothing: it waits again, at its place, and the offer does
 * not count. */
void queue_unclaim(struct queue *queue, struct waiter *waiter);

/** The policy holds it up, or does not any more. */
void queue_set_held(struct queue *queue, struct waiter *waiter,
    enum waiter_held held);

/** Nobody of the pool is held up any more: all are looked at anew, in the turn
 * that the pool has now. */
void queue_let_go(struct queue_pool *pool);

/* --- time ---------------------------------------------------------------- */

enum queue_over {
	QUEUE_WAIT_OVER, /* as long as it asked for */
	QUEUE_OFFER_OVER, /* nobody claimed it */
	QUEUE_ABSENT_OVER, /* its device did not come back */
};
/** A waiter that should leave now, and why; the caller makes it. NULL: none. */
struct waiter *queue_take_over(enum queue_over *over, const struct queue *queue,
    int64_t now);

/** One round: `tell` is called for waiters that are there and stand at another
 * place than they were told; told_place is set before. */
void queue_tell_places(struct queue *queue,
    void (*tell)(void *ctx, const struct waiter *waiter), void *ctx);

#endif
