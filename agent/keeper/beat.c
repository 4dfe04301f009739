#include "agent/keeper/beat.h"

#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

/* Pairing level by level, with a lone last node passed up as it is, gives the
 * tree of RFC 9162 section 2.1.1: the left subtree is always complete. */
int
beat_tree_make(struct beat_tree *tree, const uint8_t *leaves, size_t n)
{
	size_t total = 0, at = 0;

	for (size_t width = n; width > 1; width = (width + 1) / 2)
		total += width;
	tree->n = n;
	tree->nodes = calloc(total + 1, MERKLE_BYTES);
	if (tree->nodes == NULL)
		return ERR_NOMEM;
	memcpy(tree->nodes, leaves, n * MERKLE_BYTES);
	for (size_t width = n; width > 1; width = (width + 1) / 2) {
		for (size_t i = 0; i < width; i += 2) {
			uint8_t *up = tree->nodes[at + width + i / 2];

			if (i + 1 < width)
				merkle_node(up, &merkle_blake2b,
				    tree->nodes[at + i],
				    tree->nodes[at + i + 1]);
			else
				memcpy(up, tree->nodes[at + i], MERKLE_BYTES);
		}
		at += width;
	}
	return 0;
}

void
beat_tree_release(struct beat_tree *tree)
{
	free(tree->nodes);
	tree->nodes = NULL;
}

const uint8_t *
beat_tree_root(const struct beat_tree *tree)
{
	size_t at = 0;

	for (size_t width = tree->n; width > 1; width = (width + 1) / 2)
		at += width;
	return tree->nodes[at];
}

size_t
beat_tree_path(uint8_t out[MERKLE_PATH_MAX][MERKLE_BYTES],
    const struct beat_tree *tree, size_t index)
{
	size_t at = 0, len = 0;

	for (size_t width = tree->n; width > 1; width = (width + 1) / 2) {
		size_t sibling = index ^ 1;

		if (sibling < width)
			memcpy(out[len++], tree->nodes[at + sibling],
			    MERKLE_BYTES);
		at += width;
		index /= 2;
	}
	return len;
}
