/*
 * Deadlines of the leases of one tenant, in memory: when the seat of a client
 * that fell silent is free. A deadline is the last span that was signed plus
 * grace and skew, in CLOCK_BOOTTIME, so that no step of a wall clock ends a
 * lease. After a restart every deadline is now plus that. It decides nothing:
 * a deadline that passed becomes a command, and the journal says what is
 * (DESIGN 5, 8). It must not know of stores, sessions or loops.
 */
#ifndef APPLIANCE_LEDGER_LIVENESS_H
#define APPLIANCE_LEDGER_LIVENESS_H

#include "appliance/ledger/table.h"

#include <stdbool.h>
#include <stdint.h>

struct live_lease {
	uint64_t lease;
	uint64_t device;
	uint64_t license;
	uint32_t ttl_s;
	uint32_t grace_s;
	int64_t deadline; /* boottime, ms */
	int64_t heap_key; /* at most the deadline: moved on only when it rises
			     to the top, so that a renewal costs nothing */
	size_t heap_at;
	/** Its application has said whether it is worked with, and when it was,
	 * or began. After a restart: at the start. */
	bool reports;
	int64_t active_at; /* boottime, ms */
	/** A command that ends it is on its way: it is not renewed. */
	uint32_t ending;
	bool told; /* its holder, that it ends */
	struct live_lease *next, **link; /* of the same device */
};

struct live_device {
	uint64_t device;
	struct live_lease *leases;
	size_t count;
};

/** Zero-initialised is empty and valid. */
struct liveness {
	struct table leases; /* number -> live_lease */
	struct table devices; /* number -> live_device, while it has leases */
	struct live_lease **heap;
	size_t heap_len, heap_size;
	uint64_t newest; /* number of any lease added so far */
};

void liveness_release(struct liveness *liveness);

/** A lease is held from now on; known ones get the new deadline. ERR_NOMEM. */
int liveness_add(struct liveness *liveness, uint64_t lease, uint64_t device,
    uint64_t license, uint32_t ttl_s, uint32_t grace_s, int64_t boottime);

/** It has ended; unknown ones are passed over. */
void liveness_remove(struct liveness *liveness, uint64_t lease);

struct live_lease *liveness_get(const struct liveness *liveness,
    uint64_t lease);

/** First lease of a device (then ->next), or NULL. */
struct live_lease *liveness_of_device(const struct liveness *liveness,
    uint64_t device);
size_t liveness_count_device(const struct liveness *liveness, uint64_t device);

/** What its application said with a renewal. */
void liveness_note(struct live_lease *lease, bool reports, bool active,
    int64_t boottime);

/** A new span was signed for it. */
void liveness_renew(struct live_lease *lease, int64_t boottime);

/** A lease whose deadline passed and that is not ending; it is put off by
 * `again_ms`, in case the command that the caller now sends comes to nothing.
 * NULL when there is none. */
struct live_lease *liveness_due(struct liveness *liveness, int64_t boottime,
    int64_t again_ms);

/** ms until liveness_due is worth asking; -1: nothing is held. */
int64_t liveness_wait_ms(const struct liveness *liveness, int64_t boottime);

#endif
