/*
 * Seats of borrows in use: answered from the book and proved by the device, with
 * no word to the site. Of private.h.
 */
#ifndef AGENT_KEEPER_TICKETS_H
#define AGENT_KEEPER_TICKETS_H

#include "agent/keeper/application.h"
#include "agent/keeper/book.h"

struct checkout_way;

/* Seats of one borrow in use by a process: so many as it asked for. */
struct seat_use {
	TAILQ_ENTRY(seat_use) entry;
	struct keeper *keeper;
	uint64_t number; /* never used again in this keeper */
	uint64_t lease;
	uint32_t count;
	struct process *process;
	struct user *user;
	uint64_t application; /* connection that speaks for it; 0: none */
	uint8_t request[REQUEST_BYTES];
	bool hold;
	int64_t taken_at;
	int64_t proved_ms; /* boottime: the last nonce that was answered */
	uint32_t prove_s;
	unsigned int proofs; /* on their way */
	/** Its first proof is being made for this question; NULL after it. */
	struct checkout_way *way;
};
TAILQ_HEAD(seat_uses, seat_use);

struct tickets {
	struct seat_uses uses;
	unsigned int n;
	uint64_t next;
};

/** In ticket_uses.c. */
void tickets_open(struct keeper *keeper);
/** Who used them before this keeper, and lives. */
int tickets_load(struct keeper *keeper);
void tickets_close(struct keeper *keeper);
/** Take the seats of borrows that are over, or silent for too long. */
void tickets_watch(struct keeper *keeper);
/** A question for a seat: is there one in the book for it? Then it is answered
 * from there, or comes back to way_ask(). A borrowed seat is used before the
 * site is asked for another, so that nobody holds two. */
bool tickets_take(struct checkout_way *way);
/** Why not, for people; "" when nothing of the kind is borrowed. */
void tickets_why_not(char *out, size_t size, const struct checkout_way *way);
/** The question was taken back. */
void tickets_leave(struct checkout_way *way);
/** The same question again, after the answer. */
bool tickets_rejoin(struct application *application, const struct asker *asker,
    const struct local_checkout *request);
/* False: no borrowed seat of this asker's. */
bool tickets_renew(struct application *application, const struct asker *asker,
    const struct local_renew *request);
bool tickets_attach(struct application *application, const struct asker *asker,
    const struct local_attach *request);
/** How many went back. lease 0: all of this user's. */
uint32_t tickets_return(struct application *application, uint64_t lease,
    uint32_t count);
void tickets_process_ended(struct keeper *keeper, struct process *process);
/** Some may have come back: who waits without the site may have one. */
void tickets_freed(struct keeper *keeper);

/* In ticket_uses.c. */

/** Seats of a borrow that are in use. */
uint32_t tickets_used(const struct keeper *keeper, uint64_t lease);
/** NULL: no memory, or too many. A reference to the process is taken. */
struct seat_use *use_new(struct keeper *keeper, const struct ticket *ticket,
    uint32_t count, struct process *process, uid_t uid);
/** In memory only. */
void use_free(struct seat_use *use);
void use_drop(struct seat_use *use);
/** The seat is over: its application is told. */
void use_lost(struct seat_use *use, const char *code);
/** The note of them all. */
int uses_write(struct keeper *keeper);
/** In the order of their numbers; NULL: the first, or the last was before. */
const struct seat_use *tickets_next(const struct keeper *keeper,
    const struct seat_use *use);
struct seat_use *tickets_find(const struct keeper *keeper, uint64_t number);

/** In ticket_proofs.c. What a proof is made for. */
enum use_question { USE_CHECKOUT, USE_AGAIN, USE_RENEW, USE_HOLD };
/** A proof over the nonce and the ticket as it is, and the answer with both.
 * Refuses nobody when it returns an error. */
int use_prove(struct seat_use *use, enum use_question question,
    const uint8_t nonce[NONCE_BYTES], const struct asker *asker);

#endif
