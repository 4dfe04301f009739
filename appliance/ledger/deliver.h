/*
 * Bringing alerts, invoices and news to their channels: what the outbox of a tenant owes goes to
 * the courier as finished jobs, in order for one subject and channel, a few at
 * once; what becomes of each comes back as a command. What fails is tried again
 * later and later; what is on its way when a process dies is sent again with
 * its id. In the loop; the outbox is read on the reader's thread. It must not
 * know what is delivered, nor how.
 */
#ifndef APPLIANCE_LEDGER_DELIVER_H
#define APPLIANCE_LEDGER_DELIVER_H

#include "appliance/ledger/inside.h"
#include "appliance/ledger/ledger_channel.h"

/** On their way at once, of all tenants; logins need the courier too. */
#define DELIVER_MAX 16

extern const struct deliver_policy deliver_default;

/** Until the next try after so many: doubled each time, between half of it and
 * all of it by `random`. */
int64_t deliver_backoff_ms(const struct deliver_policy *policy,
    uint32_t attempts, uint32_t random);

int deliver_open(struct tenant *tenant);
void deliver_close(struct tenant *tenant);
/** There may be something new. */
void deliver_wake(struct tenant *tenant);
/** Once a second. */
void deliver_tick(struct tenant *tenant);
/** Is something on its way, or to be? */
bool deliver_waits(const struct tenant *tenant);
/** What was on its way; before the process ends. */
void deliver_release(struct process *process);

/** channel.test, outbox.retry, outbox.drop. */
void deliver_command(const struct request *request);
/** In channels_admin.c. */
void channel_add_asked(const struct request *request);

#endif
