/*
 * Contracts that go on by themselves, for who has a clock: the process looks
 * for those that are due and commits LEDGER_HUB_RENEW for each. It must not know
 * sockets or sessions.
 */
#ifndef APPLIANCE_HUB_RENEW_H
#define APPLIANCE_HUB_RENEW_H

#include "appliance/ledger/ledger.h"

/** LEDGER_HUB_RENEW: a contract that goes on by itself is near its end. Nothing
 * happens when it has gone on, or was ended, meanwhile. */
struct hub_auto_renew {
	uint64_t order;
};
extern const struct record hub_auto_renew_record;

/** Orders that are to renew now, at most `size` of them. Reads all: for a
 * reader's thread. */
int hub_due(uint64_t *orders, uint32_t *n, uint32_t size,
    struct ledger_view *view, int64_t now_ms);

#endif
