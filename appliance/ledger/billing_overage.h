/*
 * The overage export of a tenant: row by row, customer by customer, into a
 * document whose size does not matter. Memory is that of the largest customer.
 * It must not know who asks, nor how the bytes get to him.
 */
#ifndef APPLIANCE_LEDGER_BILLING_OVERAGE_H
#define APPLIANCE_LEDGER_BILLING_OVERAGE_H

#include "appliance/ledger/documents.h"

#include "shared/rpc/messages_billing.h"
#include "shared/rpc/rpc.h"

struct ledger_view;
struct metering;

/** `folder`: where a long one is put. On error nothing is kept. */
int billing_overage(struct document *document, struct ledger_view *view,
    struct metering *metering, const struct billing_overage_query *query,
    const char *folder, struct problem *problem);

#endif
