/*
 * How the seats of each product are used: what is licensed, what is held, who
 * waits. Read from the site; it must not know single leases.
 */
#ifndef AGENT_CLI_PRODUCTS_H
#define AGENT_CLI_PRODUCTS_H

#include "agent/cli/screen.h"

/** Seats of a product, or of one of its features. */
struct product_use {
	char product[64];
	char feature[64]; /* "": the product's own seats */
	uint32_t used_commit;
	uint32_t commit;
	uint32_t used_overage;
	uint32_t overage;
	uint32_t waiting; /* questions */
	char state[16]; /* of the license */
	uint64_t license;
};

struct products {
	char site[64];
	char name[128];
	uint64_t leases;
	uint64_t devices;
	uint64_t sessions;
	uint64_t alerts; /* open, and seen by nobody */
	uint32_t severity; /* of the worst */
	struct buf uses; /* struct product_use */
	struct buf before; /* of the last reading, for what is new */
};

/** Ask the site. Returns an exit status; the problem has been said. */
int products_read(struct products *products, struct cli *cli);
/** Of one product, or all ("" ). */
void products_show(struct buf *out, const struct products *products,
    const char *product, const struct frame *frame);
/** `{"site": ..., "products": [...], "items": [`: what the leases follow. */
void products_json(struct buf *out, const struct products *products);
bool products_have_features(const struct products *products);
void products_release(struct products *products);

#endif
