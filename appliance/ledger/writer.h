/*
 * A thread that commits: it takes all commands that wait (1,024 at most, no
 * linger), in one batch for each tenant, and hands commands and what the rows
 * changed back to the loop after the commit. While one batch commits the next
 * gathers. A tenant is pinned to one writer. It must not know of sessions,
 * fronts or operations.
 */
#ifndef APPLIANCE_LEDGER_WRITER_H
#define APPLIANCE_LEDGER_WRITER_H

#include "appliance/ledger/clock.h"
#include "appliance/ledger/ledger.h"
#include "appliance/ledger/work.h"

#include <pthread.h>

#define WRITER_BATCH_MAX 1024

struct writer;

/** The site clock, read by writers and set by the loop. */
struct shared_clock {
	pthread_mutex_t lock;
	struct site_clock clock;
	uint64_t turns; /* confirmed or put back: rows of one turn that come
			   from several tenants count once */
};
int64_t shared_clock_now(struct shared_clock *clock);
/** Adopt no step of the wall clock before this boottime. */
void shared_clock_steady(struct shared_clock *clock, int64_t until);

/** Embed it first in what waits for a commit; `work.done` is called in the
 * loop after the batch's events. `work.run` is not used. */
struct write {
	struct work work;
	void *tenant; /* the caller's; batches are by it */
	struct ledger *ledger;
	struct command command;
	/** LEDGER_CLOCK that confirms or corrects: the turn it asks for. */
	uint64_t clock_turn;
};

/** What a committed batch changed, for liveness. */
enum write_event_kind {
	WRITE_GRANTED,
	WRITE_ENDED,
	WRITE_REVOKED,
	WRITE_APPROVED, /* a device, also by enrolling again */
	WRITE_LICENSED, /* a license was installed or renewed */
	WRITE_KEY, /* an API key was made, changed or rotated */
	WRITE_ISSUER, /* a hub's issuing key is vouched for */
};
struct write_event {
	enum write_event_kind kind;
	uint64_t lease;
	uint64_t device;
	uint32_t ttl_s;
	uint32_t grace_s;
	uint64_t license;
	int64_t contract_end; /* of the license; INT64_MAX: without end */
	uint32_t reason; /* enum lease_end */
	uint64_t user; /* of a grant: of its user's subject id; 0: nobody */
};

/** One batch; `lost`: there was no memory for all events, so the leases must be
 * read again. */
struct write_outcome {
	void *tenant;
	int rc; /* 0 or the fault */
	size_t rows; /* written */
	size_t facts; /* of them, that are more than a tick */
	const struct write_event *events;
	size_t n;
	bool lost;
};

/** In the loop, before the `done` of the batch's writes. */
struct writer_callbacks {
	void *ctx;
	void (*batch)(void *ctx, const struct write_outcome *outcome);
};

struct writer *writer_new(struct outbox *outbox, struct shared_clock *clock,
    const struct writer_callbacks *callbacks);
void writer_put(struct writer *writer, struct write *write);
/** Finishes what is queued first. */
void writer_free(struct writer *writer);

#endif
