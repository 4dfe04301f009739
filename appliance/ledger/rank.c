#include "appliance/ledger/rank.h"

/* Finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static bool
is_before(const struct rank_node *a, int64_t major, uint64_t minor)
{
	return a->major < major || (a->major == major && a->minor < minor);
}

static void
count(struct rank_node *node)
{
	node->size = 1;
	node->n_ready = node->ready;
	if (node->left != NULL) {
		node->size += node->left->size;
		node->n_ready += node->left->n_ready;
	}
	if (node->right != NULL) {
		node->size += node->right->size;
		node->n_ready += node->right->n_ready;
	}
}

static void
count_up(struct rank_node *node)
{
	for (; node != NULL; node = node->parent)
		count(node);
}

/* Put `node` where `old` hangs. */
static void
replace(struct rank *rank, struct rank_node *old, struct rank_node *node)
{
	struct rank_node *parent = old->parent;

	if (parent == NULL)
		rank->root = node;
	else if (parent->left == old)
		parent->left = node;
	else
		parent->right = node;
	if (node != NULL)
		node->parent = parent;
}

/* The child goes up, its parent becomes its child. */
static void
rotate_up(struct rank *rank, struct rank_node *child)
{
	struct rank_node *parent = child->parent;
	struct rank_node *moved;

	replace(rank, parent, child);
	if (parent->left == child) {
		moved = child->right;
		parent->left = moved;
		child->right = parent;
	} else {
		moved = child->left;
		parent->right = moved;
		child->left = parent;
	}
	if (moved != NULL)
		moved->parent = parent;
	parent->parent = child;
	count(parent);
	count(child);
}

void
rank_add(struct rank *rank, struct rank_node *node)
{
	struct rank_node **at = &rank->root;
	struct rank_node *parent = NULL;

	while (*at != NULL) {
		parent = *at;
		at = is_before(parent, node->major, node->minor)
		    ? &parent->right
		    : &parent->left;
	}
	*at = node;
	node->parent = parent;
	node->left = node->right = NULL;
	node->weight = mix(mix((uint64_t)node->major) ^ node->minor);
	count_up(node);
	while (node->parent != NULL && node->parent->weight < node->weight)
		rotate_up(rank, node);
}

void
rank_remove(struct rank *rank, struct rank_node *node)
{
	while (node->left != NULL && node->right != NULL)
		rotate_up(rank,
		    node->left->weight > node->right->weight ? node->left
							     : node->right);
	replace(rank, node, node->left != NULL ? node->left : node->right);
	count_up(node->parent);
	node->parent = node->left = node->right = NULL;
}

uint32_t
rank_of(const struct rank_node *node)
{
	uint32_t before = node->left == NULL ? 0 : node->left->size;

	for (; node->parent != NULL; node = node->parent) {
		const struct rank_node *parent = node->parent;

		if (parent->right == node)
			before +=
			    1 + (parent->left == NULL ? 0 : parent->left->size);
	}
	return before;
}

uint32_t
rank_size(const struct rank *rank)
{
	return rank->root == NULL ? 0 : rank->root->size;
}

uint32_t
rank_count_ready(const struct rank *rank)
{
	return rank->root == NULL ? 0 : rank->root->n_ready;
}

void
rank_set_ready(struct rank_node *node, bool ready)
{
	if (node->ready == ready)
		return;
	node->ready = ready;
	count_up(node);
}

static struct rank_node *
leftmost(struct rank_node *node)
{
	while (node != NULL && node->left != NULL)
		node = node->left;
	return node;
}

struct rank_node *
rank_first(const struct rank *rank)
{
	return leftmost(rank->root);
}

struct rank_node *
rank_first_ready(const struct rank *rank)
{
	struct rank_node *node = rank->root;

	if (rank_count_ready(rank) == 0)
		return NULL;
	for (;;) {
		if (node->left != NULL && node->left->n_ready > 0)
			node = node->left;
		else if (node->ready)
			return node;
		else
			node = node->right;
	}
}

struct rank_node *
rank_next(const struct rank_node *node)
{
	if (node->right != NULL)
		return leftmost(node->right);
	while (node->parent != NULL && node->parent->right == node)
		node = node->parent;
	return node->parent;
}

struct rank_node *
rank_after(const struct rank *rank, int64_t major, uint64_t minor)
{
	struct rank_node *node = rank->root, *found = NULL;

	while (node != NULL) {
		bool behind = !is_before(node, major, minor) &&
		    !(node->major == major && node->minor == minor);

		if (behind)
			found = node;
		node = behind ? node->left : node->right;
	}
	return found;
}
