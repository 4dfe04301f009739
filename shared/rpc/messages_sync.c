#include "shared/rpc/messages_sync.h"

#include "shared/rpc/tables.h"

static const struct record_field sync_ask_fields[] = {
	R_TEXT(sync_ask, vendor, 1, 63, 0, "Whom a report is for."),
};
RECORD_DEFINE(sync_ask, 1, "A report for a vendor.");

static const struct record_field sync_export_fields[] = {
	R_TEXT(sync_export, vendor, 1, 63, 0, "Whom the report is for."),
	R_STRUCT(sync_export, after, &report_mark_record, OPT,
	    "`next` of the file before; absent: the last receipt."),
};
RECORD_DEFINE(sync_export, 1, "The next report to a vendor is asked for.");

static const struct record_field sync_exported_fields[] = {
	R_U64(sync_exported, report, 1, U53_MAX, 0, "Its number."),
	R_U64(sync_exported, first_batch, 0, U53_MAX, 0,
	    "First batch of the journal that it covers."),
	R_U64(sync_exported, last_batch, 0, U53_MAX, 0, "The last one."),
	R_U64(sync_exported, seats, 0, U53_MAX, 0,
	    "Overage seats that it shows."),
	R_STRUCT(sync_exported, next, &report_mark_record, 0,
	    "Where the one after begins."),
	R_BOOL(sync_exported, more, 0, "There is something behind it."),
	R_BLOB(sync_exported, file, 1, BLOB_MAX, 0,
	    "The report, sealed to the vendor's issuing key."),
};
RECORD_DEFINE(sync_exported, 1, "A report as a file.");

static const struct record_field sync_previewed_fields[] = {
	R_STRUCT(sync_previewed, report, &report_record, 0,
	    "What would be signed."),
	R_BLOB(sync_previewed, body, 1, BLOB_MAX, 0,
	    "What it would show, in MessagePack."),
};
RECORD_DEFINE(sync_previewed, 1, "What would leave the site.");

static const struct record_field sync_file_fields[] = {
	R_BLOB(sync_file, file, 1, SYNC_FILE_MAX, 0, "As the hub made it."),
};
RECORD_DEFINE(sync_file, 1, "Receipts and changes of licenses.");

static const struct record_field hub_report_sent_fields[] = {
	R_STRING(hub_report_sent, line, 1, REPORT_LINE_MAX, 0,
	    "The site's word for the client certificate of the connection."),
	R_BLOB(hub_report_sent, file, 1, SYNC_FILE_MAX, 0,
	    "Its reports, as `sync.export` makes them."),
};
RECORD_DEFINE(hub_report_sent, 1, "Reports of a site, over the network.");

static const struct record_field sync_receipt_view_fields[] = {
	R_TEXT(sync_receipt_view, vendor, 1, 63, 0, "Who answered."),
	R_U64(sync_receipt_view, report, 0, U53_MAX, 0,
	    "The report that is answered."),
	R_ENUM(sync_receipt_view, answer, report_answer_names, 0,
	    "What became of it."),
	R_TEXT(sync_receipt_view, reason, 0, 191, OPT, "Why it was refused."),
	R_U64(sync_receipt_view, acknowledged, 0, U53_MAX, 0,
	    "The last report that was taken."),
	R_U64(sync_receipt_view, batch, 0, U53_MAX, 0, "Its last batch."),
	R_BOOL(sync_receipt_view, news, 0, "It was not known before."),
	R_BOOL(sync_receipt_view, back, OPT,
	    "The hub's store was put back: what follows that report is "
	    "reported again."),
};
RECORD_DEFINE(sync_receipt_view, 1, "A receipt.");

static const struct record_field sync_change_view_fields[] = {
	R_TEXT(sync_change_view, license_id, 1, 63, 0, "The license."),
	R_U64(sync_change_view, revision, 1, U53_MAX, 0,
	    "Number of the change."),
	R_ENUM(sync_change_view, what, license_change_names, 0, "What it is."),
	R_BOOL(sync_change_view, done, 0, "It is in force, or known."),
	R_TEXT(sync_change_view, reason, 0, 159, OPT, "Why it is not."),
};
RECORD_DEFINE(sync_change_view, 1, "A change of a license.");

static const struct record_field sync_credit_view_fields[] = {
	R_TEXT(sync_credit_view, vendor, 1, 63, 0, "By whom."),
	R_TEXT(sync_credit_view, credit_id, 1, 63, 0, "Which."),
	R_MONEY(sync_credit_view, amount, currency, 0, "How much."),
	R_TEXT(sync_credit_view, currency, 3, 3, 0, "In this."),
	R_BOOL(sync_credit_view, news, 0, "It was not known yet."),
};
RECORD_DEFINE(sync_credit_view, 1, "A credit note.");

static const struct record_field sync_imported_fields[] = {
	R_LIST(sync_imported, receipts, &sync_receipt_view_record, 0,
	    SYNC_RECEIPTS_MAX, 0, "Receipts that were in it."),
	R_LIST(sync_imported, changes, &sync_change_view_record, 0,
	    SYNC_CHANGES_MAX, 0, "Changes that were in it."),
	R_LIST(sync_imported, credits, &sync_credit_view_record, 0,
	    SYNC_CREDITS_MAX, OPT, "Credit notes that were in it."),
};
RECORD_DEFINE(sync_imported, 1, "What was in a file of a hub.");

static const struct record_field sync_vendor_view_fields[] = {
	R_TEXT(sync_vendor_view, vendor, 1, 63, 0, "The vendor."),
	R_U64(sync_vendor_view, acknowledged, 0, U53_MAX, 0,
	    "The last report that was taken; 0: none."),
	R_U64(sync_vendor_view, acknowledged_batch, 0, U53_MAX, 0,
	    "Its last batch."),
	R_TIME(sync_vendor_view, acknowledged_to, OPT,
	    "Usage was taken up to then."),
	R_TIME(sync_vendor_view, receipt_at, OPT, "The last receipt came."),
	R_U64(sync_vendor_view, made, 0, U53_MAX, 0,
	    "First report of the last export."),
	R_TIME(sync_vendor_view, made_at, OPT, "When."),
	R_U64(sync_vendor_view, waiting_batches, 0, U53_MAX, 0,
	    "Batches of the journal that were not taken yet."),
	R_U64(sync_vendor_view, answered, 0, U53_MAX, OPT,
	    "The last answer is to this report."),
	R_ENUM(sync_vendor_view, answer, report_answer_names, 0,
	    "The last answer."),
	R_TEXT(sync_vendor_view, reason, 0, 191, OPT, "Why it was refused."),
	R_U32(sync_vendor_view, days, 0, UINT32_MAX, 0,
	    "Days without a receipt."),
	R_U32(sync_vendor_view, max_days, 0, UINT32_MAX, OPT,
	    "So many a license allows; absent: any."),
	R_TIME(sync_vendor_view, stops_at, OPT,
	    "Nothing is granted from then on; absent: never."),
	R_U64(sync_vendor_view, lost_from, 0, U53_MAX, OPT,
	    "The first batch that the vendor has taken and that this journal "
	    "does not have any more, for it was put back."),
	R_U64(sync_vendor_view, lost_to, 0, U53_MAX, OPT, "The last one."),
	R_U32(sync_vendor_view, lost_generation, 0, UINT32_MAX, OPT,
	    "The journal's generation that it was of."),
	R_U64(sync_vendor_view, lost_overage, 0, U53_MAX, OPT,
	    "Overage seats, of all vendors, in them. They stay billed."),
	R_TIME(sync_vendor_view, lost_at, OPT, "When a receipt showed it."),
	R_TIME(sync_vendor_view, again_at, OPT,
	    "When a receipt showed that the hub was put back to an older copy "
	    "of its store; usage that it had taken was reported again."),
	R_TEXT(sync_vendor_view, hub, 0, 255, OPT,
	    "Where reports go over the network; absent: by file alone."),
	R_BOOL(sync_vendor_view, under_way, OPT, "It is being synced now."),
	R_U32(sync_vendor_view, failures, 0, UINT32_MAX, OPT,
	    "Tries in a row that came to nothing."),
	R_TEXT(sync_vendor_view, failed, 0, 191, OPT, "Why the last one did."),
	R_TIME(sync_vendor_view, tried_at, OPT, "The last try began."),
	R_TIME(sync_vendor_view, synced_at, OPT,
	    "The last one that succeeded ended."),
	R_TIME(sync_vendor_view, next_try_at, OPT,
	    "The next one; absent: none by itself."),
};
RECORD_DEFINE(sync_vendor_view, 1, "How the site stands with a vendor.");

static const struct record_field sync_status_fields[] = {
	R_LIST(sync_status, items, &sync_vendor_view_record, 0,
	    SYNC_VENDORS_MAX, 0, "Vendors with a license here."),
};
RECORD_DEFINE(sync_status, 1, "How the site stands with its vendors.");

static const struct record_field sync_now_fields[] = {
	R_TEXT(sync_now, vendor, 0, 63, OPT,
	    "With that vendor; absent: with all that have a hub."),
};
RECORD_DEFINE(sync_now, 1, "Reports are to be sent at once.");

static const struct record_field sync_started_fields[] = {
	R_U32(sync_started, vendors, 0, SYNC_VENDORS_MAX, 0,
	    "It is under way with so many."),
};
RECORD_DEFINE(sync_started, 1, "Reports are being sent.");

/* --- of a hub ------------------------------------------------------------- */

static const struct record_field hub_report_view_fields[] = {
	R_TEXT(hub_report_view, site, 1, 63, 0, "Whose it is."),
	R_TEXT(hub_report_view, tenant, 1, 63, 0, "The tenant there."),
	R_U64(hub_report_view, report, 0, U53_MAX, 0, "Its number."),
	R_ENUM(hub_report_view, answer, report_answer_names, 0,
	    "What became of it."),
	R_TEXT(hub_report_view, reason, 0, 191, OPT, "Why it was refused."),
	R_U64(hub_report_view, seats, 0, U53_MAX, OPT,
	    "Overage seats that it added."),
	R_U64(hub_report_view, unbilled, 0, U53_MAX, OPT,
	    "Of these: of licenses or serials that were not issued to the "
	    "site, which no statement counts."),
	R_U64(hub_report_view, unbilled_hours, 0, U53_MAX, OPT,
	    "Hours of metrics that no statement counts: of what was not issued "
	    "to the site, or of more than 10,000,000,000.00 in money."),
	R_U64(hub_report_view, others, 0, U53_MAX, OPT,
	    "Overage seats of other vendors, which it does not show."),
	R_U32(hub_report_view, rollbacks, 0, UINT32_MAX, OPT,
	    "So often the journal was put back within."),
	R_U64(hub_report_view, acknowledged, 0, U53_MAX, 0,
	    "The last report that was taken."),
	R_ENUM(hub_report_view, people, report_people_names, OPT,
	    "What it tells of who used seats, as the site's tenant lets it; "
	    "absent: pseudonyms."),
	R_U32(hub_report_view, devices, 0, UINT32_MAX, OPT,
	    "Devices that it tells the pseudonyms of."),
	R_U32(hub_report_view, names, 0, UINT32_MAX, OPT,
	    "Names that it tells in the clear. None is kept here."),
};
RECORD_DEFINE(hub_report_view, 1, "What came of a report.");

static const struct record_field hub_reports_taken_fields[] = {
	R_LIST(hub_reports_taken, items, &hub_report_view_record, 0,
	    SYNC_REPORTS_MAX, 0, "Reports of the file."),
	R_BLOB(hub_reports_taken, file, 1, BLOB_MAX, 0,
	    "Receipt and changes of licenses, sealed to the site."),
};
RECORD_DEFINE(hub_reports_taken, 1, "What came of a file of reports.");
