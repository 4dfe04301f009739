/*
 * Which of what an outbox owes goes next, as it is read in its order. A lane is a
 * channel and one thing that is told there: its deliveries go one after the other,
 * and none passes one that waits. Channels take turns: one that is slow, or gone,
 * or is owed more than it takes holds up no other. Made for one look. It must not
 * know what is delivered, nor how.
 */
#ifndef APPLIANCE_LEDGER_LANES_H
#define APPLIANCE_LEDGER_LANES_H

#include "appliance/ledger/ledger_channel.h"

/** Of one look, and of one channel that gets alerts. */
#define LANES_LOOK_MAX 8
/** To one channel of all else, of which there is no end: half of the threads that
 * the courier has for deliveries. */
#define LANES_CHANNEL_MAX 2

struct lanes;

/** `turn`: that of the look before and one; another channel comes first. NULL:
 * out of memory. */
struct lanes *lanes_new(int64_t now_ms, uint64_t turn);
void lanes_free(struct lanes *lanes);

/** The next one of the outbox. ERR_NOMEM: the look comes to nothing. */
int lanes_add(struct lanes *lanes, const struct state_delivery *delivery);

/** So many are not given up. */
uint64_t lanes_waiting(const struct lanes *lanes);
/** When the first is due of those that are not yet; INT64_MAX: none is. */
int64_t lanes_next_at(const struct lanes *lanes);
/** Those that may go now. */
size_t lanes_choose(struct state_delivery out[LANES_LOOK_MAX],
    const struct lanes *lanes);

#endif
