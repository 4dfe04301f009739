/*
 * One question for seats that stands in the site's queue, as its asker sees it:
 * what answers and notices say of its place and its turn. The library and the
 * CLI both keep one. It must not know connections, time or threads: whoever
 * shares a turn between threads guards it; `news` alone is read without.
 */
#ifndef AGENT_LIB_TURN_H
#define AGENT_LIB_TURN_H

#include "shared/rpc/local.h"

#include <stdatomic.h>
#include <stdbool.h>

struct turn {
	uint8_t request[REQUEST_BYTES];
	uint32_t place; /* 0: not known */
	uint32_t length;
	bool ours; /* ask again, with a fresh nonce */
	int over; /* ERR_* of why it does not wait any more; 0: it does */
	bool told; /* by a notice, since it was last asked */
	_Atomic bool news; /* a notice came; the owner clears it */
};

/** The question is about to be asked (again) under this id. */
void turn_ask(struct turn *turn, const uint8_t request[REQUEST_BYTES]);

/** A notice of the agent. False: it is none of this turn's. */
bool turn_notice(struct turn *turn, enum local_id id, const void *params);

/** An answer without a lease. ERR_CORRUPT: nor with a place. */
int turn_answer(struct turn *turn, const struct local_checkout_reply *reply);

/** The agent is gone: nobody knows the place. */
void turn_lose(struct turn *turn);

/** Has an answer that names a lease all that shows it? */
bool turn_is_grant(const struct local_checkout_reply *reply);

/** Words for the end of the wait of a question. */
void turn_problem(struct problem *problem, int err,
    const struct local_checkout *question, uint32_t wait_s);

#endif
