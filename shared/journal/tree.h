/*
 * The Merkle tree of one batch's rows with all its levels kept, so that every
 * grant in the batch gets its path for the price of copying it. Shaped as
 * shared/journal/merkle.h. It must not know what the leaves are.
 */
#ifndef SHARED_JOURNAL_TREE_H
#define SHARED_JOURNAL_TREE_H

#include "shared/journal/merkle.h"

#include <stdint.h>

/** Zero-initialised is empty. Keeps its memory between batches. */
struct tree {
	uint8_t (*hashes)[MERKLE_BYTES]; /* level after level, leaves first */
	size_t size; /* hashes there is room for */
	size_t leaves;
};

/** Room for n leaves, which the caller then writes into tree->hashes. */
int tree_reserve(struct tree *tree, size_t n);
/** Hash every level above the first n leaves; the root, H() for none. */
void tree_build(uint8_t root[MERKLE_BYTES], struct tree *tree, size_t n);
/** Path of a leaf, leaf's end first. Returns its length. */
size_t tree_path(uint8_t out[][MERKLE_BYTES], const struct tree *tree,
    size_t index);
void tree_release(struct tree *tree);

#endif
