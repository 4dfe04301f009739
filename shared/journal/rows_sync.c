/* Tables of the rows about reports to vendors; see rows.h. */
#include "shared/journal/rows_private.h"

/** enum report_answer: shared/report says what each means. */
#define ANSWERS_MAX 15

static const struct record_field row_report_made_fields[] = {
	R_TEXT(row_report_made, vendor, 1, 63, 0, "Whom it is for."),
	R_U64(row_report_made, sequence, 1, U53_MAX, 0, "Its number."),
	R_STRUCT(row_report_made, by, &row_actor_record, 0, "Who asked."),
};
RECORD_DEFINE(row_report_made, 1, "A report was made.");

static const struct record_field row_taken_fields[] = {
	R_U64(row_taken, sequence, 0, U53_MAX, 0,
	    "Number of the last report taken."),
	R_U64(row_taken, batch, 0, U53_MAX, 0, "Its last batch."),
	R_FIXED(row_taken, head, 0, "Head of that."),
	R_FIXED(row_taken, history, 0, "History of that."),
	R_U32(row_taken, generation, 0, UINT32_MAX, 0, "Generation of that."),
	R_TIME(row_taken, time, 0, "Time of that."),
	R_U64(row_taken, overage, 0, U53_MAX, 0,
	    "Overage seats granted until then."),
};
RECORD_DEFINE(row_taken, 1, "Up to where usage was taken.");

static const struct record_field row_receipt_taken_fields[] = {
	R_TEXT(row_receipt_taken, vendor, 1, 63, 0, "Who answered."),
	R_U64(row_receipt_taken, report, 0, U53_MAX, 0,
	    "Number of the report."),
	R_U32(row_receipt_taken, answer, 0, ANSWERS_MAX, 0, "The answer."),
	R_TEXT(row_receipt_taken, reason, 0, 191, RECORD_OPTIONAL,
	    "Why it was refused."),
	R_STRUCT(row_receipt_taken, taken, &row_taken_record, 0,
	    "Up to where usage was taken."),
	R_TIME(row_receipt_taken, at, 0, "When, as the vendor says."),
	R_FIXED(row_receipt_taken, digest, 0, "BLAKE2b-256 of the receipt."),
	R_STRUCT(row_receipt_taken, by, &row_actor_record, 0,
	    "Who brought it."),
	R_U64(row_receipt_taken, lost_from, 0, U53_MAX, RECORD_OPTIONAL,
	    "Batches from here on are not those that were taken."),
	R_U64(row_receipt_taken, lost_overage, 0, U53_MAX, RECORD_OPTIONAL,
	    "Overage seats of all vendors in those."),
	R_U32(row_receipt_taken, generation, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "Of the hub's journal."),
};
RECORD_DEFINE(row_receipt_taken, 1, "A vendor answered a report.");

/* --- of a hub ------------------------------------------------------------- */

static const struct record_field row_shown_license_fields[] = {
	R_U64(row_shown_license, license, 1, U53_MAX, 0,
	    "Its number in the site's journal."),
	R_TEXT(row_shown_license, license_id, 1, 63, 0, "The vendor's id."),
	R_U64(row_shown_license, serial, 1, U53_MAX, 0, "Edition."),
	R_FIXED(row_shown_license, digest, 0, "Of its token."),
};
RECORD_DEFINE(row_shown_license, 1, "A license that a site installed.");

static const struct record_field row_shown_overage_fields[] = {
	R_U64(row_shown_overage, license, 1, U53_MAX, 0,
	    "Its number in the site's journal."),
	R_TEXT(row_shown_overage, license_id, 1, 63, 0, "The vendor's id."),
	R_U64(row_shown_overage, serial, 1, U53_MAX, 0,
	    "Edition that it was granted under."),
	R_TEXT(row_shown_overage, feature, 0, 63, RECORD_OPTIONAL, "Feature."),
	R_U32(row_shown_overage, generation, 0, UINT32_MAX, 0, "Of its batch."),
	R_U64(row_shown_overage, row, 1, U53_MAX, 0, "Its row there."),
	R_TIME(row_shown_overage, time, 0, "Of its batch."),
	R_U64(row_shown_overage, first, 1, U53_MAX, 0, "Its first number."),
	R_U32(row_shown_overage, count, 1, LEASE_COUNT_MAX, 0, "Seats."),
	R_U64(row_shown_overage, lease, 0, U53_MAX, 0, "Its lease there."),
	R_U32(row_shown_overage, origin_generation, 0, UINT32_MAX,
	    RECORD_OPTIONAL, "Of the row that it stands for."),
	R_U64(row_shown_overage, origin_row, 0, U53_MAX, RECORD_OPTIONAL,
	    "Of a lost branch: the row that it stands for."),
	R_BOOL(row_shown_overage, again, RECORD_OPTIONAL,
	    "That one was counted; this one is not."),
	R_BOOL(row_shown_overage, billed, RECORD_OPTIONAL,
	    "Of a license that was issued to that site, with this serial."),
};
RECORD_DEFINE(row_shown_overage, 1, "Overage that a report shows.");

static const struct record_field row_report_shown_fields[] = {
	R_U64(row_report_shown, site, 1, U53_MAX, 0, "Number of the site."),
	R_U64(row_report_shown, sequence, 1, U53_MAX, 0, "The report."),
	R_LIST(row_report_shown, licenses, &row_shown_license_record, 0,
	    ROW_SHOWN_MAX, RECORD_OPTIONAL, "Licenses that it shows."),
	R_LIST(row_report_shown, overage, &row_shown_overage_record, 0,
	    ROW_SHOWN_MAX, RECORD_OPTIONAL, "Overage that it shows."),
	R_U64(row_report_shown, others, 0, U53_MAX, RECORD_OPTIONAL,
	    "Overage seats that are not shown: of other vendors."),
	R_U32(row_report_shown, rollbacks, 0, UINT32_MAX, RECORD_OPTIONAL,
	    "So often the journal was put back within."),
};
RECORD_DEFINE(row_report_shown, 1, "What a report shows.");

static const struct record_field row_shown_metric_fields[] = {
	R_TEXT(row_shown_metric, license_id, 1, 63, 0, "The vendor's id."),
	R_U64(row_shown_metric, serial, 1, U53_MAX, 0, "Edition in force."),
	R_TEXT(row_shown_metric, metric, 0, 63, RECORD_OPTIONAL,
	    "What was used; absent: the edition came into force."),
	R_TIME(row_shown_metric, start, 0, "Start of the hour, UTC."),
	R_ENUM(row_shown_metric, kind, usage_kind_names, 0,
	    "How amounts count."),
	R_U64(row_shown_metric, events, 0, U53_MAX, 0, "How often."),
	R_U64(row_shown_metric, sum, 0, U53_MAX, 0, "Of all amounts."),
	R_U64(row_shown_metric, max, 0, U53_MAX, 0, "The highest amount."),
	R_U64(row_shown_metric, last, 0, U53_MAX, 0, "The newest amount."),
	R_BOOL(row_shown_metric, billed, RECORD_OPTIONAL,
	    "Of a license that was issued to that site, with this serial."),
};
RECORD_DEFINE(row_shown_metric, 1, "A metric in an hour.");

static const struct record_field row_report_metrics_fields[] = {
	R_U64(row_report_metrics, site, 1, U53_MAX, 0, "Number of the site."),
	R_U64(row_report_metrics, sequence, 1, U53_MAX, 0, "The report."),
	R_LIST(row_report_metrics, metrics, &row_shown_metric_record, 1,
	    ROW_SHOWN_MAX, 0, "What its range adds up to."),
};
RECORD_DEFINE(row_report_metrics, 1, "Metrics that a report tells.");

static const struct record_field row_report_refused_fields[] = {
	R_U64(row_report_refused, site, 1, U53_MAX, 0, "Number of the site."),
	R_U64(row_report_refused, sequence, 0, U53_MAX, 0, "The report."),
	R_U32(row_report_refused, answer, 1, ANSWERS_MAX, 0, "Why."),
	R_TEXT(row_report_refused, reason, 0, 191, RECORD_OPTIONAL,
	    "In words."),
	R_FIXED(row_report_refused, digest, 0,
	    "BLAKE2b-256 of the report's token."),
};
RECORD_DEFINE(row_report_refused, 1, "A report was refused.");

static const struct record_field row_site_rolled_back_fields[] = {
	R_U64(row_site_rolled_back, site, 1, U53_MAX, 0, "Which site."),
	R_U64(row_site_rolled_back, sequence, 1, U53_MAX, 0,
	    "By which report."),
	R_U32(row_site_rolled_back, generation, 0, UINT32_MAX, 0,
	    "The generation that began."),
	R_U64(row_site_rolled_back, batch, 0, U53_MAX, 0, "With this batch."),
	R_U64(row_site_rolled_back, row, 0, U53_MAX, 0, "And this row."),
	R_TIME(row_site_rolled_back, time, 0, "Then, by the site's clock."),
	R_U64(row_site_rolled_back, lost_batch, 0, U53_MAX, RECORD_OPTIONAL,
	    "The furthest batch that is known to be lost."),
	R_U64(row_site_rolled_back, seats, 0, U53_MAX, RECORD_OPTIONAL,
	    "Overage seats counted of what was lost."),
};
RECORD_DEFINE(row_site_rolled_back, 1, "A site's journal was put back.");
