/*
 * What ends by itself at a hub, for who has a clock. Licenses whose contract is
 * over: the process looks for them and commits LEDGER_HUB_EXPIRE for each, so
 * that it is known, and a CRM told. What such a license may do is not its matter:
 * that says the contract. And the issuing key, of which an alert tells before. It
 * must not know sockets or sessions.
 */
#ifndef APPLIANCE_HUB_EXPIRE_H
#define APPLIANCE_HUB_EXPIRE_H

#include "appliance/ledger/ledger.h"

/** LEDGER_HUB_EXPIRE: the contract of a license is over. Nothing happens when it
 * was said before, or is not so. */
struct hub_expire {
	uint64_t order;
};
extern const struct record hub_expire_record;

/** Orders whose contract is over and of which that is not journaled, at most
 * `size`. Reads all: for a reader's thread. */
int hub_over(uint64_t *orders, uint32_t *n, uint32_t size,
    struct ledger_view *view, int64_t now_ms);

/** Until when the key that issues is vouched for, ms. ERR_NOT_FOUND_INTERNAL:
 * none is, or this is no hub. */
int hub_issuer_ends(int64_t *at, struct ledger_view *view);

#endif
