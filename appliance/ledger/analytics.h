/*
 * Usage across a hub's customers (DESIGN 12): who used what, how much of it
 * beyond the seats that he bought, at which hours of the week, and what it
 * brings; the lines of appliance/billing and the hours that sites reported, added
 * up. It must not know prices or processes.
 */
#ifndef APPLIANCE_LEDGER_ANALYTICS_H
#define APPLIANCE_LEDGER_ANALYTICS_H

#include "appliance/ledger/billing_answer.h"
#include "shared/rpc/messages_analytics.h"

/** What sites reported by now. Lists go to the arena. Memory is of the licenses,
 * not of what was used.
 *
 * @retval ERR_BAD_REQUEST  The period is none.
 * @retval ERR_NOT_FOUND    There is no license.
 * @retval ERR_TOO_LARGE    A sum of money does not fit, or there are more than
 *                          ANALYTICS_CURRENCIES_MAX currencies.
 */
int analytics_answer(struct analytics *reply,
    const struct analytics_query *query, struct ledger_view *view,
    struct metering *metering, struct arena *arena, struct problem *problem);

#endif
