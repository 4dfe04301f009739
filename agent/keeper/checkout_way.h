/*
 * One question for a seat on its way. It outlives the connection that asked:
 * what was once sent must be heard to its end. Only checkout.c,
 * checkout_ask.c, grant.c, queue.c, show.c, tickets.c and ticket_proofs.c may
 * include it.
 */
#ifndef AGENT_KEEPER_CHECKOUT_WAY_H
#define AGENT_KEEPER_CHECKOUT_WAY_H

#include "agent/keeper/private.h"

#include <event2/util.h>

enum checkout_step {
	CHECKOUT_HASHING, /* the executable */
	CHECKOUT_PROVING, /* a borrowed seat; tickets.c */
	CHECKOUT_OFFLINE, /* to be asked when the site is reached */
	CHECKOUT_ASKED,
	CHECKOUT_LICENSE, /* granted; the license is being fetched */
	/* It stands in the site's queue, or is to be asked anew by the
	 * application: no question of his is open. */
	CHECKOUT_QUEUED,
};

struct checkout_way {
	TAILQ_ENTRY(checkout_way) entry;
	struct keeper *keeper;
	enum checkout_step step;
	/* application 0: nobody waits any more; id 0: no question is open */
	struct asker asker;
	struct user *user;
	struct process *process;
	uint8_t request[REQUEST_BYTES]; /* the application's */
	bool hold;
	struct checkout ask; /* what the site is asked */
	bool own_known; /* ask.known is the keeper's */
	bool unknown; /* was sent, and the answer lost */
	bool queued; /* the site may keep a place for it */
	bool again; /* offline because the site could not write: ask it again */
	bool offered; /* while it was asked: the answer may be older */
	bool no_ticket; /* none can be proved now */
	struct seat_use *use; /* of a borrow, while it is proved */
	struct queue_place place; /* as last told */
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

/* checkout_ask.c */

/** Ask the site now, or when it is reached. */
void way_ask(struct checkout_way *way);
/** Nobody waits for this site any longer. */
void way_give_up(struct checkout_way *way);
void way_wake_after(struct checkout_way *way, int64_t ms);
/** Its timer's. */
void way_on_timer(evutil_socket_t fd, short what, void *ctx);

/* queue.c */

/** The site has no seat now: the place becomes the answer. */
void way_take_place(struct checkout_way *way, const struct queue_place *place);
/** The application is to ask again, with a fresh nonce. Its open question, if
 * there is one, is answered with that. */
void way_ask_back(struct checkout_way *way);
/** Nobody waits any longer: the site is told, now or when it is reached. */
void way_leave(struct checkout_way *way);
/** The wait of a queued one has ended without a seat: the application is told.
 */
void way_end_wait(struct checkout_way *way, const char *code);
/** Its time is over, and the site did not say so. */
void way_wait_over(struct checkout_way *way);

/* grant.c */
void way_take_grant(struct checkout_way *way,
    const struct checkout_reply *grant);

#endif
