/*
 * What online.c tells its neighbour that answers requests. It must not be
 * included from anywhere else.
 */
#ifndef APPLIANCE_LEDGER_ONLINE_PRIVATE_H
#define APPLIANCE_LEDGER_ONLINE_PRIVATE_H

#include "appliance/ledger/online.h"

struct work;

/** NULL: that vendor is not known here. */
struct online_vendor *online_find(const struct tenant *tenant,
    const char *vendor);
/** Off the loop: which vendors there are, into the call's own. */
void online_look(struct work *work);
/** In the loop, after it: those are the tenant's. */
void online_learn(struct call *call);
/** Is it ready to send anything? */
bool online_may_go(const struct tenant *tenant);
/** Make what was asked for, or is due. */
void online_begin_due(struct tenant *tenant);

#endif
