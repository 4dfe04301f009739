/*
 * Records of sync: reports to vendors out of a site, and what comes back. The
 * documents themselves are shared/report's. Part of operations.h.
 */
#ifndef SHARED_RPC_MESSAGES_SYNC_H
#define SHARED_RPC_MESSAGES_SYNC_H

#include "shared/report/box.h"
#include "shared/report/line.h"

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
/** To a hub over the network: a site's sealed reports, and its word for the
 * certificate of the connection. */
struct hub_report_sent {
	struct record_span line; /* report_line */
	struct record_span file;
	/** SHA-256 of the certificate that was shown; not of the wire: whoever
	 * knows the connection fills it in. */
	uint8_t certificate[32];
};
struct sync_receipt_view {
	char vendor[64];
	uint64_t report; /* that is answered */
	uint32_t answer; /* enum report_answer */
	char reason[192];
	uint64_t acknowledged; /* the last report that was taken */
	uint64_t batch; /* and its last batch */
	bool news; /* false: it was known */
	/** The hub's store was put back: usage from there on is reported again. */
	bool back;
};
struct sync_change_view {
	char license_id[64];
	uint64_t revision;
	uint32_t what; /* enum license_change_what */
	bool done;
	char reason[160]; /* why not */
};
/** A credit note of the vendor. */
struct sync_credit_view {
	char vendor[64];
	char credit_id[64];
	int64_t amount;
	char currency[4];
	bool news; /* false: it was known */
};
struct sync_imported {
	struct record_list receipts; /* sync_receipt_view */
	struct record_list changes; /* sync_change_view */
	struct record_list credits; /* sync_credit_view */
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
	uint64_t unbilled_hours; /* of metrics: the same, or more than a
				  * statement can count */
	uint64_t others; /* that totals count and it does not show */
	uint32_t rollbacks;
	uint64_t acknowledged;
	uint32_t people; /* enum report_people: what it tells of them */
	uint32_t devices, names; /* so many of them */
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
	/** Batches that it has taken and that are not of this journal, which was
	 * put back since; 0: there was never one. */
	uint64_t lost_from, lost_to;
	uint32_t lost_generation;
	uint64_t lost_overage; /* seats of all vendors in them */
	int64_t lost_at;
	int64_t again_at; /* the hub was found put back; 0: never */
	/* Over the network; by this process, since the tenant was opened: */
	char hub[256]; /* "": it goes by file */
	bool under_way; /* a report is being made, sent or answered */
	uint32_t failures; /* in a row */
	char failed[192]; /* why the last try came to nothing; "": it did not */
	int64_t tried_at; /* 0: not yet */
	int64_t synced_at; /* all was taken; 0: not yet */
	int64_t next_try_at; /* 0: none by itself */
};
/** Sync now; vendor "": with all that have a hub. */
struct sync_now {
	char vendor[64];
};
struct sync_started {
	uint32_t vendors; /* with so many it is under way */
};
struct sync_status {
	struct record_list items; /* sync_vendor_view */
};

extern const struct record sync_ask_record, sync_export_record,
    sync_exported_record, sync_previewed_record, sync_file_record,
    hub_report_sent_record, sync_receipt_view_record, sync_change_view_record,
    sync_credit_view_record, sync_imported_record, sync_vendor_view_record,
    sync_status_record, sync_now_record, sync_started_record,
    hub_report_view_record, hub_reports_taken_record;

#endif
