/*
 * One borrow as an agent does it, from the challenge to the proof that frees
 * the seat: challenge, take, the ticket is fetched, prepare, the counter goes
 * up, return. It must not know of the loop around it.
 */
#ifndef TESTS_BENCH_LEND_H
#define TESTS_BENCH_LEND_H

#include "tests/bench/entry.h"

enum lend_step {
	LEND_CHALLENGE,
	LEND_TAKE,
	LEND_TICKETS,
	LEND_PREPARE,
	LEND_RETURN,
};

struct lend {
	struct entry *entry;
	const char *product;
	enum lend_step step;
	uint64_t lease;
};

/** 0 or -1. */
int lend_begin(struct lend *lend);

/** An answer came: 1 when the seat is back, 0 when it goes on, -1 when it was
 * refused or cannot be understood, said on stderr. */
int lend_heard(struct lend *lend, const char *text, size_t len);

#endif
