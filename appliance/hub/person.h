/*
 * Where the contacts of customers name a person: for whom he is the one to write
 * to. Found for an export, and taken out when he is erased: the customer then has
 * no contact, and keeps its tax id. It must not know requests.
 */
#ifndef APPLIANCE_HUB_PERSON_H
#define APPLIANCE_HUB_PERSON_H

#include "appliance/ledger/core.h"

struct customer_view;

/** Customers whose contact he is, by number. Zero-initialised but for what is
 * said to be in. */
struct hub_person_walk {
	const struct state *state; /* in */
	const struct sealed_keys *sealed; /* in */
	const struct person_query *who; /* in */
	uint64_t after; /* in: the last one seen; out: the last looked at */
	uint32_t limit; /* in: of those that are looked at; 0: all */
	bool more; /* not all were looked at, or not all had room */
	uint32_t n;
	uint64_t numbers[ERASURE_KEYS_MAX];
};
/** 0, or a fault. Of a site there are none. */
int hub_person_find(struct hub_person_walk *walk);
/** One of them, as admins see it. */
int hub_person_view(struct customer_view *out, const struct ledger *ledger,
    const struct state *state, uint64_t number, struct arena *arena);

/** Take him out of those: a new document, or none, and a row each. `seed`: 32
 * random bytes, which may be used for others too. */
int hub_person_erase(struct batch *batch, const struct command *command,
    const struct hub_person_walk *customers, const uint8_t seed[32]);

#endif
