/*
 * Figures for Prometheus: what the process counts, and the seats of every open
 * tenant, read by its own reader in the ordinary way. A tenant's key sees its
 * tenant, a site's key all that are open; no figure names a person. It must not
 * open a tenant, nor cost more than a page of licenses of each.
 */
#ifndef APPLIANCE_LEDGER_METRICS_H
#define APPLIANCE_LEDGER_METRICS_H

#include "appliance/ledger/inside.h"

/** OP_METRICS */
void metrics_asked(const struct request *request);
/** A refusal or fault goes out. */
void metrics_count_refusal(struct process *process, int err);

#endif
