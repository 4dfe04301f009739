/*
 * Records of sync: reports to vendors out of a site, and what comes back. The
 * documents themselves are shared/report's. Part of operations.h.
 */
#ifndef SHARED_RPC_MESSAGES_SYNC_H
#define SHARED_RPC_MESSAGES_SYNC_H

#include "shared/report/box.h"

/** A file that goes through HTTP in one piece: in JSON it is a third longer, and
 * the body of a request is at most 1 MiB. */
#define SYNC_FILE_MAX 780000
/** What a report for such a file stays below, where it can. */
#define SYNC_BODY_GOAL ((size_t)512 << 10)
#define SYNC_VENDORS_MAX 256

struct sync_ask {
	char vendor[64];
};

/** The next report, as a sealed file. */
struct sync_export {
	char vendor[64];
	/** Where the file before this one ended; sequence 0: the last receipt. */
	struct report_mark after;
};
struct sync_exported {
	uint64_t report; /* its number */
	uint64_t first_batch, last_batch;
	uint64_t seats; /* overage seats that it shows */
	struct report_mark next; /* where the one after begins */
	bool more; /* there is something behind it */
	struct record_span file;
};

/** The same unsealed, and nothing is journaled. */
struct sync_previewed {
	struct report report;
	struct record_span body; /* report_body, MessagePack */
};

struct sync_file {
	struct record_span file;
};
struct sync_receipt_view {
	char vendor[64];
	uint64_t report; /* that is answered */
	uint32_t answer; /* enum report_answer */
	char reason[192];
	uint64_t acknowledged; /* the last report that was taken */
	uint64_t batch; /* and its last batch */
	bool news; /* false: it was known */
};
struct sync_change_view {
	char license_id[64];
	uint64_t revision;
	uint32_t what; /* enum license_change_what */
	bool done;
	char reason[160]; /* why not */
};
struct sync_imported {
	struct record_list receipts; /* sync_receipt_view */
	struct record_list changes; /* sync_change_view */
};

/** At a hub: what came of the reports of a file, and the answer, sealed to the
 * site. */
struct hub_report_view {
	char site[64];
	char tenant[64];
	uint64_t report;
	uint32_t answer; /* enum report_answer */
	char reason[192];
	uint64_t seats; /* overage seats that it added */
	uint64_t unbilled; /* of these: of what was not issued to the site */
	uint64_t others; /* that totals count and it does not show */
	uint32_t rollbacks;
	uint64_t acknowledged;
};
struct hub_reports_taken {
	struct record_list items; /* hub_report_view */
	struct record_span file;
};

/** How the site stands with a vendor. */
struct sync_vendor_view {
	char vendor[64];
	uint64_t acknowledged; /* the last report taken; 0: none */
	uint64_t acknowledged_batch;
	int64_t acknowledged_to; /* usage up to that time */
	int64_t receipt_at; /* the last one came */
	uint64_t made; /* the last report made */
	int64_t made_at;
	uint64_t waiting_batches; /* behind what was acknowledged */
	uint64_t answered; /* the last answer, to this report */
	uint32_t answer; /* enum report_answer */
	char reason[192];
	uint32_t days; /* without a receipt */
	uint32_t max_days; /* that a license allows; 0: any */
	int64_t stops_at; /* nothing is granted from then on; 0: never */
};
struct sync_status {
	struct record_list items; /* sync_vendor_view */
};

extern const struct record sync_ask_record, sync_export_record,
    sync_exported_record, sync_previewed_record, sync_file_record,
    sync_receipt_view_record, sync_change_view_record, sync_imported_record,
    sync_vendor_view_record, sync_status_record, hub_report_view_record,
    hub_reports_taken_record;

#endif
