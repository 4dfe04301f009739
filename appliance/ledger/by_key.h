/*
 * Seats for programs without an agent, by API key (messages_key_lease.h): the
 * same checkouts, queue and returns as an agent's, asked for over HTTP. A key
 * is a device of class `key`; its leases have no session, so they live by
 * renewals alone, which promise what a beat signs: deadlines are liveness.h's.
 *
 * A checkout that may wait hangs in the loop until its turn comes, its time is
 * over, or it has hung as long as it may; then its place is kept for a moment
 * until it asks again. Its waiter claims for it, without a round trip. Only the
 * process's own files may include it.
 */
#ifndef APPLIANCE_LEDGER_BY_KEY_H
#define APPLIANCE_LEDGER_BY_KEY_H

#include "appliance/ledger/inside.h"

/** A checkout by key, while it is under way or hangs. */
struct by_key {
	struct call *call;
	bool repeatable; /* it came with an Idempotency-Key */
	uint8_t nonce[NONCE_BYTES];
	int64_t hold_until; /* boottime: an answer is due */
	int64_t wait_until; /* boottime: as long as it wants a seat */
	uint64_t waiter; /* number of the one that it hangs for */
	struct by_key *next, **link; /* of all that hang */
};

/* Handlers. */
void by_key_checkout(const struct request *request);
void by_key_renew(const struct request *request);
void by_key_return(const struct request *request);
void by_key_cancel(const struct request *request);

/** Its waiter's turn has come: it claims. */
void by_key_offered(struct by_key *asked, struct waiter *waiter);
/** Its waiter leaves without a seat. */
void by_key_ended(struct by_key *asked, int err);
/** The client has hung up. */
void by_key_abandoned(struct front *front, uint64_t conn, uint64_t tag);
/** Once a second: who has hung long enough is told its place. */
void by_key_tick(struct process *process);
/** The site stops: whoever hangs is told. */
void by_key_drain(struct process *process);
/** Its tenant is suspended: whoever hangs there is told, and waits no more. */
void by_key_suspend(struct tenant *tenant);

/* --- shared by by_key.c and by_key_renew.c --------------------------------- */

/** ERR_BAD_REQUEST, with words. */
int by_key_refuse_field(struct problem *problem, const char *field,
    const char *words);
/** When the site stops believing in it, in its own time. */
void by_key_fill_times(int64_t *renew_by, int64_t *expires_at,
    struct process *process, const struct live_lease *live);
/** Other credentials are not devices and hold no seats: false, and refused. */
bool by_key_is_one(const struct request *request);

#endif
