/*
 * The tree of a renewal round: every leaf's path at the price of one pass.
 * Shaped as in shared/journal/merkle.h. It must not know leases.
 */
#ifndef AGENT_KEEPER_BEAT_H
#define AGENT_KEEPER_BEAT_H

#include "shared/journal/merkle.h"

#include <stddef.h>
#include <stdint.h>

struct beat_tree {
	uint8_t (*nodes)[MERKLE_BYTES]; /* all levels, leaves first */
	size_t n; /* leaves */
};

/** Takes a copy of n leaves (n * 32 bytes), n >= 1. */
int beat_tree_make(struct beat_tree *tree, const uint8_t *leaves, size_t n);
void beat_tree_release(struct beat_tree *tree);
const uint8_t *beat_tree_root(const struct beat_tree *tree);
/** Path of a leaf; returns its length in hashes. */
size_t beat_tree_path(uint8_t out[MERKLE_PATH_MAX][MERKLE_BYTES],
    const struct beat_tree *tree, size_t index);

#endif
