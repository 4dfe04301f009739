/* A growing tree in memory for tests. */
#ifndef TESTS_UNIT_MERKLE_TREE_H
#define TESTS_UNIT_MERKLE_TREE_H

#include "shared/journal/merkle.h"

#include <check.h>
#include <string.h>

#define N_MAX 64

/* A growing tree in memory, and what it was asked for. */
struct tree {
	struct merkle_source source;
	uint64_t leaves;
	uint8_t nodes[8][N_MAX][MERKLE_BYTES];
	unsigned int reads;
	int fail; /* answer of the read number `fail_at` */
	unsigned int fail_at;
};

static inline int
tree_get(uint8_t out[MERKLE_BYTES], void *ctx, unsigned int level,
    uint64_t index)
{
	struct tree *tree = ctx;

	if (++tree->reads == tree->fail_at)
		return tree->fail;
	/* Only complete subtrees are there to be read. */
	ck_assert_uint_lt(level, 8);
	ck_assert_uint_le((index + 1) << level, tree->leaves);
	memcpy(out, tree->nodes[level][index], MERKLE_BYTES);
	return 0;
}

static inline int
tree_put(void *ctx, unsigned int level, uint64_t index,
    const uint8_t hash[MERKLE_BYTES])
{
	struct tree *tree = ctx;

	ck_assert_uint_lt(level, 8);
	ck_assert_uint_lt(index, N_MAX);
	memcpy(tree->nodes[level][index], hash, MERKLE_BYTES);
	return 0;
}

static inline void
tree_add(struct tree *tree, const uint8_t leaf[MERKLE_BYTES])
{
	ck_assert_int_eq(merkle_append(&tree->source, tree_put, tree->leaves,
			     leaf),
	    0);
	tree->leaves++;
}

static inline void
tree_init(struct tree *tree, const struct merkle_hash *hash)
{
	memset(tree, 0, sizeof(*tree));
	tree->source.hash = hash;
	tree->source.ctx = tree;
	tree->source.get = tree_get;
}

#endif
