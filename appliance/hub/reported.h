/*
 * What a hub knows of the reports of a site beside its mark (hub_site): how far
 * the overage numbers of each of its licenses are, which editions it installed,
 * which rows were counted, and what was refused. Money on the hub comes from the
 * rows that are counted here, each once. It must not know files or prices.
 */
#ifndef APPLIANCE_HUB_REPORTED_H
#define APPLIANCE_HUB_REPORTED_H

#include "appliance/hub/hub.h"
#include "shared/report/box.h"

/** Of a site, for people. */
struct hub_reported {
	uint64_t seats; /* overage seats that count */
	uint64_t unbilled; /* of these: not `billed` */
	uint64_t unbilled_hours; /* of metrics: the same */
	uint64_t others; /* that totals count and nothing showed */
	uint64_t gaps, forks, rollbacks; /* and all other refusals: */
	uint64_t refused;
	uint32_t answer; /* enum report_answer: the last one */
	uint64_t answered; /* to that report */
	int64_t answered_at;
	char reason[192];
	/** Overage seats that were billed by rows of a branch that the site has
	 * lost, and that nobody holds any more. They stay billed. */
	uint64_t gone;
	uint64_t incidents; /* of which the newest are kept */
	/** Refusals of what came over the network or by hand since then: those
	 * of an hour, at most. */
	int64_t hour_at;
	uint32_t hour_refused;
	int64_t taking_at; /* and of those that were taken */
	uint32_t hour_taken;
};
extern const struct record hub_reported_record;
/** All zero where nothing came yet. */
int hub_reported(struct hub_reported *out, const struct state *state,
    uint64_t site);

/** Reports of a site that are refused in an hour; then what it sends over the
 * network is not looked at until the hour is over. A person who brings a file is
 * heard in any case. */
#define HUB_REFUSED_HOUR_MAX 30
#define HUB_HOUR_MS INT64_C(3600000)
/** And that are taken of what it sends in an hour: each is rows for good. What
 * brings a person is taken in any case. */
#define HUB_TAKEN_HOUR_MAX 600
/** Licenses that one report brings back (hub_find_lost()); two rows each. */
#define HUB_LOST_MAX 128
/** Of one report, that are told one by one. */
#define HUB_ROLLBACKS_MAX 16
/** Rows that one report makes: that it was taken, how its site was started, its
 * rollbacks, licenses that were lost, and what it shows and counts, in pieces. */
#define HUB_REPORT_ROWS_MAX                         \
	(2 + HUB_ROLLBACKS_MAX + 2 * HUB_LOST_MAX + \
	    REPORT_ROWS_MAX / ROW_SHOWN_MAX + 1 +   \
	    REPORT_HOURS_MAX / ROW_SHOWN_MAX + 1 +  \
	    REPORT_HOURS_MAX / (ROW_SHOWN_MAX / 4) + 1)
/** Something that is wrong between a site and what it reported. */
#define HUB_INCIDENTS_KEPT 100
/** Newest first, to HUB_INCIDENTS_KEPT; non-zero stops. */
int hub_each_incident(const struct state *state, uint64_t site,
    int (*each)(void *ctx, const struct hub_incident *incident), void *ctx);
/** Overage seats that were counted of what is lost when the site's journal goes on
 * as that generation from that row on. */
int hub_gone(uint64_t *seats, const struct state *state, uint64_t site,
    uint32_t generation, uint64_t row);
int fold_site_rolled_back(struct state *state, const struct row *row,
    const struct fold_place *place);

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
	uint64_t unbilled_hours; /* of metrics, so far */
};
int hub_is_billed(bool *yes, struct hub_editions *editions,
    const struct report_overage *shown);

/**
 * Licenses that a report shows, and this account signed, and its journal does not
 * know, since it was put back to an older copy: a row each (ROW_LICENSE_FOUND),
 * after one of the order where that was lost too. Of that customer; to that very
 * site; signed before it was put back.
 */
int hub_find_lost(struct batch *batch, struct command *command,
    const struct hub_site *site, const struct report_finding *found);

/** Is an hour of a metric billed (`item->billed`)? By the license's id and serial,
 * which its site signs, and by its amount: license_usage_max(). */
int hub_bill_metric(struct row_shown_metric *item,
    struct hub_editions *editions);
/** Rows of the metrics that a report tells. The editions' arena is used. */
int hub_emit_metrics(struct batch *batch, struct hub_editions *editions,
    const struct report_finding *found, struct arena *arena);

/** And of its hours of seats. */
int hub_emit_seats(struct batch *batch, struct hub_editions *editions,
    const struct report_finding *found, struct arena *arena);

/** changes.c: what the site may still need to be told of its licenses, and who
 * vouches for each; `issuing` is first. As much as one answer holds: what is
 * more comes in turns, by the reports that were taken. Spans are borrowed from
 * the transaction or live in the arena. */
int hub_add_changes(struct sync_box *box, struct batch *batch,
    const struct hub_site *site, const struct row_account_issuer *issuing,
    struct arena *arena);

int fold_report_shown(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_report_metrics(struct state *state, const struct row *row);
int fold_report_refused(struct state *state, const struct row *row,
    const struct fold_place *place);

/** OP_HUB_REPORT_IMPORT. */
int decide_hub_report(struct batch *batch, struct command *command);
/** OP_HUB_REPORT_TAKE: the same, once the connection is that of the site whose
 * reports they are. */
int decide_hub_report_sent(struct batch *batch, struct command *command);

/** In decide_line.c: the site that speaks on the connection, by its own word for
 * the certificate that was shown. Refuses what is none, before anything else of
 * the request is looked at. */
int hub_find_speaker(struct hub_site *site, struct batch *batch,
    struct command *command, const struct hub_report_sent *sent);

#endif
