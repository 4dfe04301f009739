/*
 * Named metrics and the status of licenses, within the core: what a decision
 * about a limit reads, and what their rows do. Of a metric the state holds the
 * sums of the minute, day and month at hand; of an event its id, for so many
 * days that a repeat is known. Rollups are no part of it (appliance/metering):
 * nothing is decided by a projection.
 */
#ifndef APPLIANCE_LEDGER_METERED_H
#define APPLIANCE_LEDGER_METERED_H

#include "appliance/ledger/core.h"
#include "shared/rpc/messages_usage.h"

/** Days, that of the event included, for which an id is known. */
#define METERED_DAYS 8
/** Metrics of one license. */
#define METERED_METRICS_MAX 256

/** The minute, day and month (UTC) that the last event was in. */
struct state_metric {
	uint64_t license;
	char metric[64];
	uint32_t kind; /* enum usage_kind */
	uint64_t value; /* the last amount */
	int64_t minute, day, month; /* their starts, ms */
	uint64_t in_minute, in_day, in_month; /* sums; of a gauge the highest */
	uint64_t events;
	int64_t at; /* of the last one's batch */
};
/** ERR_NOT_FOUND_INTERNAL. Sums of a window that is over at `now` are 0 (a
 * gauge: what it is). */
int state_metric(struct state_metric *out, const struct state *state,
    uint64_t license, const char *metric, int64_t now);
/** All of a license (0: of all) as of `now`, in order; non-zero stops. */
int state_each_metric(const struct state *state, uint64_t license, int64_t now,
    int (*each)(void *ctx, const struct state_metric *metric), void *ctx);
/** Did this event count, within METERED_DAYS before `now`? */
int state_usage_known(bool *known, const struct state *state, uint64_t license,
    const uint8_t event[16], int64_t now);
int fold_usage_tracked(struct state *state, const struct row *row,
    const struct fold_place *place);

/** What its vendor says of a license: active where there is nothing. */
struct state_status {
	uint32_t status; /* enum license_status, never expired */
	uint64_t revision; /* of the last document; 0: there was none */
	int64_t from; /* since then or from then on; until then: */
	uint32_t before;
	int64_t since; /* the document came */
	/** When it holds by the document's own word, whenever it came: what is
	 * owed follows from that. Of a cancellation: of the first one. */
	int64_t said;
	uint8_t digest[32];
};
int state_status(struct state_status *out, const struct state *state,
    uint64_t license);
/** What it is at that time (enum license_status), its contract included. */
uint32_t state_status_at(const struct state_status *status,
    const struct license *license, int64_t now);
int decide_license_change(struct batch *batch, struct command *command);
struct license_change;
/** Install the license that comes with a renewal of that license, unless it is
 * there already. May refuse. */
int decide_renewal(struct batch *batch, struct command *command,
    const uint8_t vendor_key[TOKEN_PUBLIC_BYTES],
    const struct license_change *change, uint64_t number);
int decide_usage_track(struct batch *batch, struct command *command);
/** By its id, or where that is "" by its product: ERR_NOT_FOUND_INTERNAL. */
int metered_find_license(uint64_t *number, struct state *state,
    const char *license_id, const char *product, struct arena *arena);
/** What of a limit of that window (enum license_per) is used. */
uint64_t metered_used(const struct state_metric *metric, uint32_t per);
/** At most 1,000,000. */
uint32_t metered_percent(uint64_t used, uint64_t amount);
int fold_license_changed(struct state *state, const struct row *row,
    const struct fold_place *place);

#endif
