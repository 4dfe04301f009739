/*
 * An ordered set whose members know their place: a treap over nodes that are
 * embedded in what they order, with the size of each subtree, so that inserting,
 * removing, the place of a member and the first one that is `ready` cost
 * O(log n) expected. The shape comes from the keys by a mixing function, not
 * from chance: the same keys make the same tree. Keys are given out by us and
 * not chosen by strangers. It must not know what is ordered.
 */
#ifndef APPLIANCE_LEDGER_RANK_H
#define APPLIANCE_LEDGER_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Smaller majors first; among equals smaller minors. A pair stands once. */
struct rank_node {
	int64_t major;
	uint64_t minor;
	void *owner; /* what it is embedded in; the caller's */
	bool ready; /* changed by rank_set_ready only */

	struct rank_node *parent, *left, *right;
	uint64_t weight; /* the largest is the root */
	uint32_t size; /* of its subtree */
	uint32_t n_ready; /* in its subtree */
};

/** Zero-initialised is empty and valid; there is nothing to release. */
struct rank {
	struct rank_node *root;
};

/** major, minor, owner and ready are set; the pair is not in the set yet. */
void rank_add(struct rank *rank, struct rank_node *node);
/** It is in this set. */
void rank_remove(struct rank *rank, struct rank_node *node);

/** How many stand before it. */
uint32_t rank_of(const struct rank_node *node);
uint32_t rank_size(const struct rank *rank);
uint32_t rank_count_ready(const struct rank *rank);
void rank_set_ready(struct rank_node *node, bool ready);

/** NULL: there is none. */
struct rank_node *rank_first(const struct rank *rank);
struct rank_node *rank_first_ready(const struct rank *rank);
struct rank_node *rank_next(const struct rank_node *node);
/** The first behind that pair, whether or not that stands in the set. */
struct rank_node *rank_after(const struct rank *rank, int64_t major,
    uint64_t minor);

#endif
