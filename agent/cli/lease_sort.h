/*
 * Leases kept to be sorted: what the site gives in pages by number, in another
 * order. Sorting needs all of them in memory, about 120 bytes each and their
 * names; printing them as they come needs one page. It must not know how they
 * are shown.
 */
#ifndef AGENT_CLI_LEASE_SORT_H
#define AGENT_CLI_LEASE_SORT_H

#include "shared/rpc/messages.h"

enum lease_order {
	ORDER_NUMBER, /* as they come: no need to keep them */
	ORDER_SINCE,
	ORDER_USER,
	ORDER_HOST,
	ORDER_PRODUCT,
	ORDER_LEFT,
};
/** "since", "user"...; ends with NULL. The index is the order. */
extern const char *const lease_order_names[];

struct lease_sort;

/** NULL: out of memory. */
struct lease_sort *lease_sort_new(void);
void lease_sort_free(struct lease_sort *sort);
/** Copied. Returns 0 or ERR_NOMEM. */
int lease_sort_add(struct lease_sort *sort, const struct lease_view *lease);
/** Equal ones stay in the order of their numbers. */
void lease_sort_run(struct lease_sort *sort, enum lease_order order,
    bool reverse);
uint32_t lease_sort_count(const struct lease_sort *sort);
/** The n-th, from 0. */
void lease_sort_get(struct lease_view *lease, const struct lease_sort *sort,
    uint32_t n);

#endif
