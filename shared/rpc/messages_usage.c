/* Tables of messages_usage.h. */
#include "shared/rpc/messages_usage.h"

#include "shared/journal/rows.h"
#include "shared/rpc/tables.h"

const char *const usage_outcome_names[] = { "counted", "repeated", "refused",
	NULL };
const char *const usage_by_names[] = { "feature", "license", "serial", "user",
	"host", "metric", "group", NULL };
const char *const usage_step_names[] = { "whole", "hour", "day", "month",
	NULL };
static const char *const per_names[] = { "minute", "day", "month", "at_once",
	NULL };
static const char *const tier_names[] = { "none", "starter", "professional",
	"enterprise", "custom", NULL };

/* --- events ----------------------------------------------------------------- */

static const struct record_field usage_event_fields[] = {
	R_TEXT(usage_event, event_id, 1, 64, 0,
	    "Yours; the same event has the same id, and counts once."),
	R_TEXT(usage_event, license_id, 0, 63, OPT, "Of which license; or:"),
	R_TEXT(usage_event, product, 0, 63, OPT, "of which product."),
	R_TEXT(usage_event, metric, 1, 63, 0,
	    "What was used: api_calls, storage_mb, users, or any name."),
	R_ENUM(usage_event, kind, usage_kind_names, OPT,
	    "counter: amounts add up; gauge: it is what there is now. Absent: "
	    "counter."),
	R_U64(usage_event, amount, 0, U53_MAX, 0, "How much."),
	R_TIME(usage_event, timestamp, OPT,
	    "When it was; absent: now. It counts when it arrives."),
	R_TEXT(usage_event, user, 0, 127, OPT, "Who used it."),
};
RECORD_DEFINE(usage_event, 1, "Something was used.");

static const struct record_field usage_track_fields[] = {
	R_LIST(usage_track, events, &usage_event_record, 1, USAGE_EVENTS_MAX, 0,
	    "In their order."),
};
RECORD_DEFINE(usage_track, 1, "What was used.");

static const struct record_field usage_result_fields[] = {
	R_TEXT(usage_result, event_id, 1, 64, 0, "Of which event."),
	R_ENUM(usage_result, outcome, usage_outcome_names, 0,
	    "counted; repeated: it had been; refused: it was not."),
	R_TEXT(usage_result, code, 0, 31, OPT, "Why it was refused."),
	R_TEXT(usage_result, metric, 0, 63, OPT, "Which metric."),
	R_U64(usage_result, used, 0, U53_MAX, OPT,
	    "How much of the limit is used now."),
	R_U64(usage_result, limit, 0, U53_MAX, OPT,
	    "The limit that it is nearest to; absent: there is none."),
};
RECORD_DEFINE(usage_result, 1, "What became of an event.");

static const struct record_field usage_tracked_fields[] = {
	R_U32(usage_tracked, counted, 0, USAGE_EVENTS_MAX, 0, "Events."),
	R_U32(usage_tracked, repeated, 0, USAGE_EVENTS_MAX, 0,
	    "Events that had been counted before."),
	R_U32(usage_tracked, refused, 0, USAGE_EVENTS_MAX, 0,
	    "Events that were not counted."),
	R_LIST(usage_tracked, results, &usage_result_record, 0,
	    USAGE_EVENTS_MAX, 0, "Of each, in their order."),
};
RECORD_DEFINE(usage_tracked, 1, "What became of events.");

/* --- now -------------------------------------------------------------------- */

static const struct record_field usage_limit_view_fields[] = {
	R_ENUM(usage_limit_view, per, per_names, 0, "Window, UTC."),
	R_U64(usage_limit_view, amount, 0, U53_MAX, 0, "Most."),
	R_BOOL(usage_limit_view, soft, OPT, "It is told, and not refused."),
	R_U64(usage_limit_view, used, 0, U53_MAX, 0, "Of it."),
	R_U32(usage_limit_view, percent, 0, 1000000, 0, "The same."),
};
static RECORD_DEFINE(usage_limit_view, 1, "A limit of a metric.");

static const struct record_field usage_metric_view_fields[] = {
	R_TEXT(usage_metric_view, metric, 1, 63, 0, "Its name."),
	R_ENUM(usage_metric_view, kind, usage_kind_names, 0,
	    "counter or gauge."),
	R_U64(usage_metric_view, value, 0, U53_MAX, 0, "The last amount."),
	R_U64(usage_metric_view, this_minute, 0, U53_MAX, 0,
	    "Sum of this minute; of a gauge its highest."),
	R_U64(usage_metric_view, today, 0, U53_MAX, 0, "Of this day, UTC."),
	R_U64(usage_metric_view, this_month, 0, U53_MAX, 0,
	    "Of this month, UTC."),
	R_TIME(usage_metric_view, last_at, OPT, "Of the last event."),
	R_LIST(usage_metric_view, limits, &usage_limit_view_record, 0,
	    LICENSE_LIMITS_MAX, 0, "What the license allows."),
};
static RECORD_DEFINE(usage_metric_view, 1, "A named metric.");

static const struct record_field usage_license_view_fields[] = {
	R_TEXT(usage_license_view, license_id, 1, 63, 0, "The license."),
	R_TEXT(usage_license_view, product, 1, 63, 0, "Its product."),
	R_ENUM(usage_license_view, status, license_status_names, 0,
	    "active, suspended, expired or cancelled."),
	R_ENUM(usage_license_view, tier, tier_names, 0, "Its tier."),
	R_U32(usage_license_view, used, 0, UINT32_MAX, 0,
	    "Seats in use, of the product itself."),
	R_U32(usage_license_view, total, 0, UINT32_MAX, 0, "Seats."),
	R_U64(usage_license_view, overage_checkouts, 0, U53_MAX, 0,
	    "Overage seats since installation."),
	R_LIST(usage_license_view, metrics, &usage_metric_view_record, 0,
	    100000, 0, "Named metrics that were tracked or have limits."),
};
static RECORD_DEFINE(usage_license_view, 1, "What is used of a license.");

static const struct record_field usage_current_fields[] = {
	R_TIME(usage_current, at, 0, "Time of the site."),
	R_LIST(usage_current, licenses, &usage_license_view_record, 0, 4096, 0,
	    "Every license."),
};
RECORD_DEFINE(usage_current, 1, "What is used now.");

/* --- a period --------------------------------------------------------------- */

static const struct record_field usage_query_fields[] = {
	R_TEXT(usage_query, period, 0, 23, OPT,
	    "First and last day, UTC: 2026-11-01,2026-11-30; absent: this "
	    "month."),
	R_TEXT(usage_query, license_id, 0, 63, OPT,
	    "Of one license; absent: all."),
};
RECORD_DEFINE(usage_query, 1, "Which period.");

static const struct record_field usage_summary_fields[] = {
	R_U64(usage_summary, totalApiCalls, 0, U53_MAX, 0,
	    "Sum of the metric api_calls."),
	R_U32(usage_summary, peakConcurrency, 0, UINT32_MAX, 0,
	    "Most seats held at once."),
	R_TEXT(usage_summary, averageResponseTime, 1, 15, 0,
	    "Milliseconds: the mean of the events of the metric "
	    "response_time_ms."),
	R_TEXT(usage_summary, errorRate, 1, 15, 0,
	    "The metric api_errors over api_calls: 0.0031."),
	R_U64(usage_summary, checkouts, 0, U53_MAX, 0, "Seats were taken."),
	R_U64(usage_summary, denials, 0, U53_MAX, 0, "Seats were refused."),
	R_U64(usage_summary, overage, 0, U53_MAX, 0, "Overage seats."),
	R_U64(usage_summary, seatHours, 0, U53_MAX, 0,
	    "Whole hours that seats were held, all together."),
};
static RECORD_DEFINE(usage_summary, 1, "A period in one line.");

static const struct record_field usage_day_fields[] = {
	R_DATE(usage_day, date, 0, "The day, UTC."),
	R_U64(usage_day, apiCalls, 0, U53_MAX, 0, "Metric api_calls."),
	R_U64(usage_day, users, 0, U53_MAX, 0, "Highest of the metric users."),
	R_U64(usage_day, storageUsed, 0, U53_MAX, 0,
	    "Highest of the metric storage_mb."),
	R_U64(usage_day, bandwidthUsed, 0, U53_MAX, 0,
	    "Sum of the metric bandwidth_gb."),
	R_U64(usage_day, checkouts, 0, U53_MAX, 0, "Seats were taken."),
	R_U64(usage_day, denials, 0, U53_MAX, 0, "Seats were refused."),
	R_U64(usage_day, overage, 0, U53_MAX, 0, "Overage seats."),
	R_U32(usage_day, peakConcurrency, 0, UINT32_MAX, 0,
	    "Most seats held at once."),
};
static RECORD_DEFINE(usage_day, 1, "A day.");

static const struct record_field usage_report_body_fields[] = {
	R_TEXT(usage_report_body, period, 0, 23, 0, "First and last day."),
	R_STRUCT(usage_report_body, summary, &usage_summary_record, 0,
	    "All of it."),
	R_LIST(usage_report_body, dailyBreakdown, &usage_day_record, 0,
	    USAGE_DAYS_MAX, 0, "Days in which something was."),
};
static RECORD_DEFINE(usage_report_body, 1, "What was used in a period.");

static const struct record_field usage_report_fields[] = {
	R_BOOL(usage_report, success, 0, "True."),
	R_STRUCT(usage_report, usageReport, &usage_report_body_record, 0,
	    "The report."),
	R_U64(usage_report, behind, 0, U53_MAX, OPT,
	    "Rows of the journal that are not counted yet."),
};
RECORD_DEFINE(usage_report, 1, "What was used in a period.");

static const struct record_field usage_stats_query_fields[] = {
	R_TEXT(usage_stats_query, period, 0, 23, OPT,
	    "First and last day, UTC; absent: this month."),
	R_TEXT(usage_stats_query, license_id, 0, 63, OPT,
	    "Of one license; absent: all."),
	R_ENUM(usage_stats_query, by, usage_by_names, OPT,
	    "A line for each of these; absent: feature."),
	R_ENUM(usage_stats_query, step, usage_step_names, OPT,
	    "And for each of these; absent: whole."),
	R_CURSOR(usage_stats_query, after, 'G', OPT, "From an earlier page."),
	R_U32(usage_stats_query, limit, 0, USAGE_PAGE_MAX, OPT,
	    "Lines at most; absent: 100."),
};
RECORD_DEFINE(usage_stats_query, 1, "Which lines of usage.");

static const struct record_field usage_denied_fields[] = {
	R_TEXT(usage_denied, code, 1, 31, 0, "Why."),
	R_U64(usage_denied, count, 1, U53_MAX, 0, "So often."),
};
static RECORD_DEFINE(usage_denied, 1, "Refusals of one kind.");

static const struct record_field usage_line_fields[] = {
	R_TEXT(usage_line, license_id, 0, 63, OPT, "The license."),
	R_U64(usage_line, serial, 0, U53_MAX, OPT, "Its serial."),
	R_TEXT(usage_line, feature, 0, 63, OPT,
	    "The feature; absent: the product itself."),
	R_TEXT(usage_line, metric, 0, 63, OPT, "The metric."),
	R_TEXT(usage_line, user, 0, 127, OPT, "The user."),
	R_TEXT(usage_line, hostname, 0, 127, OPT, "The host."),
	R_TIME(usage_line, from, 0, "Inclusive."),
	R_TIME(usage_line, to, 0, "Exclusive."),
	R_U64(usage_line, checkouts, 0, U53_MAX, OPT,
	    "Leases and borrows that were granted."),
	R_U64(usage_line, seats, 0, U53_MAX, OPT, "Seats of all of them."),
	R_U64(usage_line, borrows, 0, U53_MAX, OPT, "Of them, borrows."),
	R_U32(usage_line, peak, 0, UINT32_MAX, OPT, "Most seats held at once."),
	R_U64(usage_line, seat_seconds, 0, U53_MAX, OPT,
	    "Seats times how long they were held."),
	R_U64(usage_line, borrow_seconds, 0, U53_MAX, OPT, "Of that, offline."),
	R_U64(usage_line, overage, 0, U53_MAX, OPT, "Overage seats."),
	R_U64(usage_line, overage_first, 0, U53_MAX, OPT,
	    "The first of their numbers."),
	R_U64(usage_line, overage_last, 0, U53_MAX, OPT, "And the last."),
	R_U64(usage_line, denials, 0, U53_MAX, OPT, "Refusals."),
	R_LIST(usage_line, denied, &usage_denied_record, 0, 64, OPT,
	    "By their codes."),
	R_U64(usage_line, events, 0, U53_MAX, OPT, "Of the metric."),
	R_U64(usage_line, sum, 0, U53_MAX, OPT, "Of its amounts."),
	R_U64(usage_line, max, 0, U53_MAX, OPT, "Highest amount."),
	R_U64(usage_line, last, 0, U53_MAX, OPT, "Last amount."),
	R_TEXT(usage_line, group, 0, 63, OPT,
	    "A group of the policy in force now: what its users had. Its peak "
	    "and its refusals are not known."),
};
static RECORD_DEFINE(usage_line, 1, "What was used of one thing.");

static const struct record_field usage_page_fields[] = {
	R_LIST(usage_page, items, &usage_line_record, 0, USAGE_PAGE_MAX, 0,
	    "By name, then by time."),
	R_CURSOR(usage_page, next, 'G', OPT,
	    "For `after`; absent: that was all."),
	R_U64(usage_page, behind, 0, U53_MAX, OPT,
	    "Rows of the journal that are not counted yet."),
};
RECORD_DEFINE(usage_page, 1, "Lines of usage.");

static const struct record_field license_change_file_fields[] = {
	R_FIXED(license_change_file, vendor_key, 0,
	    "The vendor's root key, in hexadecimal."),
	R_STRING(license_change_file, issuer, 1, LICENSE_ISSUER_TOKEN_MAX, 0,
	    "The issuing key, signed by it."),
	R_STRING(license_change_file, change, 1, TOKEN_MAX, 0,
	    "What the vendor says, signed by the issuing key."),
};
RECORD_DEFINE(license_change_file, 1, "What a vendor says of a license.");
