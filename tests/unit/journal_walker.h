/*
 * One walk a test over a journal made in memory, up to the batch in question:
 * what the tests of the walk share.
 */
#ifndef TESTS_UNIT_JOURNAL_WALKER_H
#define TESTS_UNIT_JOURNAL_WALKER_H

#include "shared/base/err.h"
#include "tests/unit/journal_maker.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

/* check runs each test in a process of its own, so these are one test's. */
static struct journal_walk *walk;
static char error[256];

static inline void
walk_make(void)
{
	walk = malloc(sizeof(*walk));
	ck_assert_ptr_nonnull(walk);
}

static inline void
walk_free(void)
{
	free(walk);
}

static inline int
walk_batch(const struct maker *maker, uint64_t i)
{
	return journal_walk_batch(walk, maker->blobs[i].data,
	    maker->blobs[i].len, NULL, NULL, error, sizeof(error));
}

/* Walks up to the last batch, which is the one in question. */
static inline int
walk_all(const struct maker *maker)
{
	journal_walk_init(walk, maker->secret + 32);
	for (uint64_t i = 0; i + 1 < maker->n; i++)
		ck_assert_msg(walk_batch(maker, i) == 0, "%s", error);
	return walk_batch(maker, maker->n - 1);
}

static inline void
add(struct maker *maker, struct row row)
{
	maker_add(maker, &row);
}

/* Batches 1 to 17, seventeen being open; license 1 has two overage checkouts,
 * license 2 has one. */
static inline struct maker *
maker_with_past(uint8_t seed)
{
	struct maker *maker = maker_new(seed);

	for (uint64_t i = 1; i < 17; i++) {
		add(maker, maker_grant(i, 1, 0));
		if (i == 5 || i == 9)
			add(maker, maker_grant(100 + i, 1, i / 4));
		if (i == 7)
			add(maker, maker_grant(100 + i, 2, 1));
		if (i == 10)
			add(maker, maker_end(3, 1));
		maker_commit(maker);
	}
	add(maker, maker_grant(17, 1, 3));
	add(maker, maker_end(5, 1));
	return maker;
}

#endif
