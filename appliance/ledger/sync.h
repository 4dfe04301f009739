/*
 * Reports to vendors, within the core: where the site stands with each of them,
 * what a receipt and a change of a license do, and the next report out of a
 * view. Documents and their checks are shared/report's; who asks, and how what
 * is made gets to the vendor, is the process's. It must not know files, sockets
 * or threads.
 *
 * A report is no state: it follows from the last receipt and the journal. Only
 * that one was made is a row (ROW_REPORT_MADE), so that a site where nothing
 * happens has something to report; and every answer of a vendor that is news
 * (ROW_RECEIPT_TAKEN).
 */
#ifndef APPLIANCE_LEDGER_SYNC_H
#define APPLIANCE_LEDGER_SYNC_H

#include "appliance/ledger/core.h"
#include "appliance/ledger/ledger_sync.h"

/** The site and one vendor. */
struct sync_state {
	char vendor[64];
	struct report_mark mark; /* up to where usage was taken */
	int64_t since; /* the first license of it was installed */
	int64_t receipt_at; /* site time of the last one; 0: there was none */
	uint64_t made; /* number of the last report made */
	int64_t made_at;
	uint64_t answered; /* the last answer: to that report */
	uint32_t answer; /* enum report_answer */
	int64_t answered_at;
	char reason[192];
	/** Batches that the vendor has taken and that are not of this journal:
	 * it was put back since. 0: there was never one. */
	uint64_t lost_from, lost_to;
	uint32_t lost_generation; /* of the last one */
	uint64_t lost_overage; /* overage seats of all vendors in them */
	int64_t lost_at; /* when a receipt showed it */
	/** Of the hub's journal, as its receipts say; 0: its first. */
	uint32_t hub_generation;
	int64_t again_at; /* it was put back: a receipt said so; 0: never */
};
extern const struct record sync_state_record;

/** ERR_NOT_FOUND_INTERNAL: no license of that vendor was ever installed. */
int state_sync(struct sync_state *out, const struct state *state,
    const char *vendor);
/** Each vendor, by id; non-zero stops. */
int state_each_sync(const struct state *state,
    int (*each)(void *ctx, const struct sync_state *sync), void *ctx);

/** A license of it was installed. */
int fold_sync_begins(struct state *state, const char *vendor,
    const struct fold_place *place);
int fold_report_made(struct state *state, const struct row *row,
    const struct fold_place *place);
int fold_receipt_taken(struct state *state, const struct row *row,
    const struct fold_place *place);

/** When nothing is granted any more for want of a receipt (max_unsynced_days)
 * or of a newer document (refresh_by); INT64_MAX: never. */
int sync_stops_at(int64_t *at, const struct state *state,
    const struct license *license);

/** The first batch of a later generation than that. ERR_ROLLED_BACK: there is
 * none. */
int sync_restart(uint64_t *batch, const struct state *state, uint32_t after);
/** What of a mark is not of this journal: batches from there on, and so many
 * overage seats; 0: all of it is. */
int sync_lost(uint64_t *from, uint64_t *overage, struct state *state,
    const struct report_mark *mark);

/** What reports to that vendor tell of people: by the policy in force, in
 * sync_people.c. Pseudonyms, unless it says otherwise. */
int sync_people(enum report_people *out, struct ledger_view *view,
    const char *vendor);
/** Whose name it is. ERR_NOT_FOUND_INTERNAL: he was erased. */
int sync_name(struct report_name *out, const struct ledger_view *view,
    const uint8_t subject[SUBJECT_BYTES]);

/** LEDGER_SYNC_MADE: struct sync_ask. */
int decide_sync_made(struct batch *batch, struct command *command);
/** OP_SYNC_IMPORT. All of a file is checked before a row is written. */
int decide_sync_import(struct batch *batch, struct command *command);

#endif
