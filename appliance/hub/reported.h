/*
 * What a hub knows of the reports of a site beside its mark (hub_site): how far
 * the overage numbers of each of its licenses are, which editions it installed,
 * which rows were counted, and what was refused. Money on the hub comes from the
 * rows that are counted here, each once. It must not know files or prices.
 */
#ifndef APPLIANCE_HUB_REPORTED_H
#define APPLIANCE_HUB_REPORTED_H

#include "appliance/hub/hub.h"
#include "shared/report/report.h"

/** Of a site, for people. */
struct hub_reported {
	uint64_t seats; /* overage seats that count */
	uint64_t unbilled; /* of these: not `billed` */
	uint64_t others; /* that totals count and nothing showed */
	uint64_t gaps, forks, rollbacks; /* and all other refusals: */
	uint64_t refused;
	uint32_t answer; /* enum report_answer: the last one */
	uint64_t answered; /* to that report */
	int64_t answered_at;
	char reason[192];
};
extern const struct record hub_reported_record;
/** All zero where nothing came yet. */
int hub_reported(struct hub_reported *out, const struct state *state,
    uint64_t site);

/** Of struct report_known; ctx is this. */
struct hub_known {
	const struct state *state;
	uint64_t site;
};
int hub_known_overage(void *ctx, uint64_t *last, uint32_t *generation,
    uint64_t license);
int hub_known_installed(void *ctx, struct report_installed *out,
    uint64_t license, const uint8_t digest[32]);
int hub_known_counted(void *ctx, bool *yes, uint32_t generation, uint64_t row);

/**
 * Which usage costs money: that of a license which this account issued to that
 * very site, under a serial that is the very document it issued, and of what
 * that document has a price for. A site signs what it likes; so it can put
 * nothing on the license of another customer, and nothing that would keep a
 * statement from being made. Editions that were looked up are kept in the arena,
 * at most what was issued to the site.
 */
struct hub_editions {
	const struct state *state;
	uint64_t site;
	struct arena *arena;
	struct hub_edition *newest;
};
int hub_is_billed(bool *yes, struct hub_editions *editions,
    const struct report_overage *shown);

int fold_report_shown(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_report_refused(struct state *state, const struct row *row,
    const struct fold_place *place);

/** OP_HUB_REPORT_IMPORT. */
int decide_hub_report(struct batch *batch, struct command *command);

#endif
