#include "shared/journal/tree.h"

#include "shared/base/err.h"

#include <stdlib.h>
#include <string.h>

int
tree_reserve(struct tree *tree, size_t n)
{
	/* n + n/2 + n/4 ... and one more a level for odd ones. */
	size_t need = 2 * n + 64;

	if (need <= tree->size)
		return 0;
	uint8_t(*hashes)[MERKLE_BYTES] =
	    realloc(tree->hashes, 2 * need * sizeof *hashes);

	if (hashes == NULL)
		return ERR_NOMEM;
	tree->hashes = hashes;
	tree->size = 2 * need;
	return 0;
}

void
tree_build(uint8_t root[MERKLE_BYTES], struct tree *tree, size_t n)
{
	size_t below = 0;

	tree->leaves = n;
	if (n == 0) {
		merkle_root(root, &merkle_blake2b, NULL, 0);
		return;
	}
	/* Pairing neighbours level by level, an odd one going up unchanged,
	 * gives the tree of RFC 9162: its left side is always the largest
	 * complete subtree. */
	for (size_t width = n; width > 1; width = (width + 1) / 2) {
		size_t level = below + width;

		for (size_t i = 0; i < width / 2; i++)
			merkle_node(tree->hashes[level + i], &merkle_blake2b,
			    tree->hashes[below + 2 * i],
			    tree->hashes[below + 2 * i + 1]);
		if (width % 2 == 1)
			memcpy(tree->hashes[level + width / 2],
			    tree->hashes[below + width - 1], MERKLE_BYTES);
		below = level;
	}
	memcpy(root, tree->hashes[below], MERKLE_BYTES);
}

size_t
tree_path(uint8_t out[][MERKLE_BYTES], const struct tree *tree, size_t index)
{
	size_t below = 0, len = 0;

	for (size_t width = tree->leaves; width > 1; width = (width + 1) / 2) {
		/* The last one of an odd level has no neighbour. */
		if ((index ^ 1) < width)
			memcpy(out[len++], tree->hashes[below + (index ^ 1)],
			    MERKLE_BYTES);
		below += width;
		index /= 2;
	}
	return len;
}

void
tree_release(struct tree *tree)
{
	free(tree->hashes);
	*tree = (struct tree){ 0 };
}
