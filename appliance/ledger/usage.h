/*
 * What each tenant does on a day (UTC): requests, refusals, time to answer,
 * leases at once, people with a seat. Counted in the loop, in the tenant's
 * entry, so that a tenant that closes loses nothing; kept in the system store
 * once a minute, all tenants in one transaction, and at the stop: a crash loses
 * at most a minute. It must not know what the requests are about.
 */
#ifndef APPLIANCE_LEDGER_USAGE_H
#define APPLIANCE_LEDGER_USAGE_H

#include "appliance/ledger/inside.h"

/** What the store has of today, before anything is counted. */
int usage_load(struct process *process);
/** Is it the tenant's? What needs no credential is anybody's: a stranger must not
 * use up the calls of others. */
bool usage_counts(const struct operation *op);
/** A request of the tenant is handled; false: its calls of the day are used up.
 */
bool usage_call(struct tenant *tenant);
/** ...and was answered: so long it took, in all; or a part of it. */
void usage_took(struct tenant *tenant, int64_t ns);
void usage_error(struct tenant *tenant);
/** A seat was given to a user (hash of his subject's id). */
void usage_seat(struct tenant *tenant, uint64_t user);
/** How many people the bits stand for: exact for some dozens. */
uint32_t usage_users(const struct system_usage *usage);
/** Once a second. */
void usage_watch(struct process *process);
/** Now, before the process ends; no thread runs any more. */
void usage_save_all(struct process *process);
/** The tenant's counts of that day, if it is today; else NULL. */
const struct system_usage *usage_today(struct process *process,
    struct tenant_entry *entry, int32_t day);

int64_t usage_clock_ns(void);

#endif
