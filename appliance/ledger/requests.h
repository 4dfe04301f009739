/*
 * In memory, who holds what and which request asked for it: (device, request
 * id) -> lease, and the leases of a device. Rebuilt when the ledger opens, so
 * that no randomly keyed table is written on the way of a checkout. Changes of
 * a batch are undone when it fails. Ended leases are remembered up to a bound,
 * oldest forgotten first. One thread changes it; requests_device may be called
 * from any. It must not know the store.
 */
#ifndef APPLIANCE_LEDGER_REQUESTS_H
#define APPLIANCE_LEDGER_REQUESTS_H

#include "shared/journal/rows.h"

struct requests;

struct request {
	uint64_t device;
	uint64_t lease;
	uint8_t request[REQUEST_BYTES];
	uint8_t digest[16];
	bool ended;
};

struct requests *requests_new(size_t ended_max);
void requests_free(struct requests *requests);

/** Is this request known? */
bool requests_find(struct request *out, const struct requests *requests,
    uint64_t device, const uint8_t request[REQUEST_BYTES]);

/** A lease was granted; `ended` in `request` is not looked at. ERR_NOMEM. */
int requests_grant(struct requests *requests, const struct request *request);
/** It ended. Unknown ones are ignored. ERR_NOMEM. */
int requests_end(struct requests *requests, uint64_t lease);

/** The batch is in the store: what it did stays. */
void requests_keep(struct requests *requests);
/** It is not: take back everything since the last requests_keep. */
void requests_undo(struct requests *requests);

/** How many leases a device holds; for the thread that commits. */
uint32_t requests_device_count(const struct requests *requests,
    uint64_t device);
/** The same for any thread. */
uint32_t requests_device_count_shared(struct requests *requests,
    uint64_t device);
/** Their numbers above `after`, ascending, at most `size`; returns how many.
 * Any thread; may be ahead of a view, never behind by more than a batch. */
size_t requests_device(uint64_t *leases, size_t size, struct requests *requests,
    uint64_t device, uint64_t after);

/** How many ended ones it remembers at most. */
size_t requests_ended_max(const struct requests *requests);

#endif
