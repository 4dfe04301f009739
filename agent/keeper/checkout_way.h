/*
 * One question for a seat on its way. It outlives the connection that asked:
 * what was once sent must be heard to its end. Only checkout.c, grant.c and
 * show.c may include it.
 */
#ifndef AGENT_KEEPER_CHECKOUT_WAY_H
#define AGENT_KEEPER_CHECKOUT_WAY_H

#include "agent/keeper/private.h"

enum checkout_step {
	CHECKOUT_HASHING, /* the executable */
	CHECKOUT_OFFLINE, /* to be asked when the site is reached */
	CHECKOUT_ASKED,
	CHECKOUT_LICENSE, /* granted; the license is being fetched */
	CHECKOUT_WAITING, /* no seat; asked again in a second */
};

struct checkout_way {
	TAILQ_ENTRY(checkout_way) entry;
	struct keeper *keeper;
	enum checkout_step step;
	struct asker asker; /* application 0: nobody waits any more */
	struct user *user;
	struct process *process;
	uint8_t request[REQUEST_BYTES]; /* the application's */
	bool hold;
	struct checkout ask; /* what the site is asked */
	bool own_known; /* ask.known is the keeper's */
	bool unknown; /* was sent, and the answer lost */
	int64_t sent_ms; /* when the nonce in `ask` came or was made */
	int64_t patience_ms; /* offline until then */
	int64_t wait_until_ms; /* for a seat */
	struct event *timer;
	/* the grant, while the license is fetched */
	struct buf grant; /* checkout_reply in MessagePack */
	uint8_t digest[DIGEST_BYTES];
};
/* checkout.c */
void way_free(struct checkout_way *way);
void way_refuse(struct checkout_way *way, int err,
    const struct problem *problem);
/** Does anybody still wait? */
bool way_is_wanted(const struct checkout_way *way);
/** Ask the site now, or when it is reached. */
void way_ask(struct checkout_way *way);

/* grant.c */
void way_take_grant(struct checkout_way *way,
    const struct checkout_reply *grant);

#endif
