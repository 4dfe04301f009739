/*
 * The book of borrows: what a device keeps of them, in one file that is written
 * whole and durably at each step, so that a crash leaves one step or the next
 * and nothing in between. It holds the tickets, whose they are, and how far a
 * return has come. It must not know of sites, TPMs or applications; what the
 * steps are and who takes them is borrow.h's.
 *
 *   STATE/borrows.json
 */
#ifndef AGENT_KEEPER_BOOK_H
#define AGENT_KEEPER_BOOK_H

#include "agent/keeper/files.h"
#include "shared/journal/ticket.h"
#include "shared/rpc/borrow.h"

#include <sys/queue.h>

/** A ticket with its evidence, read. */
struct ticket {
	TAILQ_ENTRY(ticket) entry;
	uint64_t lease;
	uint64_t row_number;
	struct buf row, path, header;
	uint32_t uid; /* whose; 0: everybody's here */
	/* out of the row */
	uint64_t device;
	uint8_t request[REQUEST_BYTES]; /* that it was taken with */
	char product[64];
	char version[32];
	char feature[64];
	uint32_t count;
	uint32_t type;
	uint32_t prove_s;
	uint8_t license[DIGEST_BYTES];
	struct row_ticket ticket; /* but its public_key */
	/** A proof showed that its time is used up, or its clock went back:
	 * nobody gets it any more. Not written down: a proof shows it again. */
	bool over;
};
TAILQ_HEAD(ticket_list, ticket);

struct book {
	struct ticket_list tickets;
	uint32_t n;
	/** What was last asked for, and by whom: the site knows the request,
	 * and not the user, so that a ticket which comes after a crash is known
	 * to be his. Zero: nothing. */
	uint8_t taking[REQUEST_BYTES];
	uint32_t taker;
	/** A return was begun: of all, or of these. */
	bool returning;
	bool all;
	uint64_t leases[BORROW_DEVICE_MAX];
	uint32_t n_leases;
	/** Every borrow that stays has a ticket for it here, and the counter
	 * may be raised to it. 0: not yet. */
	uint64_t target;
};

void book_init(struct book *book);
void book_release(struct book *book);

/** Empty when there is no file. ERR_CORRUPT, logged, when it cannot be read. */
int book_read(struct book *book, const struct files *files);
/** Before anything is done that rests on it. Logged. */
int book_write(const struct book *book, const struct files *files);
/** The device left its site. */
void book_remove(const struct files *files);

/** One more; everything is copied. Checks that the row is a sound ticket and of
 * that lease, not that it is true: ERR_CORRUPT. */
int book_add(struct book *book, const struct borrow_evidence *evidence,
    uint32_t uid);
/** The tickets of `from` instead of what is there; `from` is empty then. How far
 * a return has come stays. */
void book_replace(struct book *book, struct book *from);
/** This one is on its way back too; what was prepared was for others. False:
 * there is no room. */
bool book_give_back(struct book *book, uint64_t lease);
/** The site has the proof: nothing is on its way, and what is below the counter
 * is over. */
void book_finish(struct book *book, uint64_t counter);

/** The ticket of a borrow that is good at this value; NULL: none. */
struct ticket *book_find(const struct book *book, uint64_t lease,
    uint64_t counter);
/** Any of its tickets. */
struct ticket *book_find_any(const struct book *book, uint64_t lease);
/** Nobody gets it any more: it ran out, or a proof showed that it did. */
bool book_is_over(const struct ticket *ticket);
/** Is there anything to settle, before the site says so? */
bool book_is_due(const struct book *book);
/** Is it on its way back? */
bool book_returns(const struct book *book, uint64_t lease);
/** The highest epoch of all tickets; 0: there are none. */
uint64_t book_highest(const struct book *book);

#endif
